//! The event queue: a monotone radix heap over a short sorted run.
//!
//! Simulated time never goes back, so an entry only has to be sorted as finely as it is near. What lies before the *horizon* is a short sorted run,
//! from which events are taken. Beyond it bucket b holds the entries whose time differs from the run's beginning first at bit b - 1. When the run
//! is used up, the lowest bucket becomes the next one; if it is long, it is first spread over lower buckets. Pending timers far away cost
//! nothing, and an entry moves two or three times in its life.

use super::order::Order;

/// One pending event.
#[derive(Clone, Copy, Debug)]
pub struct Entry<E> {
    /// ns.
    pub time: u64,
    pub order: Order,
    pub event: E,
}

impl<E> Entry<E> {
    #[inline]
    fn key(&self) -> (u64, Order) {
        (self.time, self.order)
    }
}

/// A bucket up to this long is sorted as a whole.
const SHORT: usize = 24;
/// A run longer than this is cut down to its first instant, so that adding to it stays cheap.
const LONG: usize = 64;

/// A priority queue on (time, order) for times below `u64::MAX` that never lie before the last one taken.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    /// Entries at or beyond the horizon.
    buckets: Vec<Vec<Entry<E>>>,
    /// Bit b is set when bucket b is not empty (b >= 1).
    filled: u128,
    /// Every entry before the horizon, last one first.
    run: Vec<Entry<E>>,
    /// What buckets are counted from. It and the horizon differ in no bit above the one in which the horizon first exceeds it.
    base: u64,
    horizon: u64,
    current: u64,
    len: usize,
}

impl<E: Copy> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue {
            buckets: (0..65).map(|_| Vec::new()).collect(),
            filled: 0,
            run: Vec::new(),
            base: 0,
            horizon: 1,
            current: 0,
            len: 0,
        }
    }
}

impl<E: Copy> EventQueue<E> {
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Time of the last event taken.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// Adds an event. A time before the current one is a bug of the caller and is taken as the current instant.
    #[inline]
    pub fn push(&mut self, time: u64, order: Order, event: E) {
        debug_assert!(time >= self.current, "an event at {time} was scheduled at {}", self.current);
        self.len += 1;
        let entry = Entry { time: time.max(self.current), order, event };
        if entry.time < self.horizon { self.insert(entry) } else { self.place(entry) }
    }

    #[inline]
    fn place(&mut self, entry: Entry<E>) {
        let bucket = 64 - (entry.time ^ self.base).leading_zeros() as usize;
        self.buckets[bucket].push(entry);
        self.filled |= 1 << bucket;
    }

    /// Into the run, from the side on which it is taken: what is added is mostly near.
    #[inline]
    fn insert(&mut self, entry: Entry<E>) {
        let at = self.run.partition_point(|e| e.key() > entry.key());
        self.run.insert(at, entry);
        if self.run.len() > LONG {
            self.cut();
        }
    }

    /// Moves the horizon to just behind the first instant.
    #[cold]
    fn cut(&mut self) {
        let base = self.base.max(self.current);
        if self.horizon - base <= 1 {
            return;
        }
        (self.base, self.horizon) = (base, base + 1);
        let near = self.run.partition_point(|e| e.time > base);
        let run = self.run.split_off(near);
        for entry in std::mem::replace(&mut self.run, run) {
            self.place(entry);
        }
    }

    /// Takes the earliest event.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry<E>> {
        self.pop_until(u64::MAX)
    }

    /// Takes the earliest event unless it lies after `until`.
    #[inline]
    pub fn pop_until(&mut self, until: u64) -> Option<Entry<E>> {
        if self.run.is_empty() {
            self.advance();
        }
        let entry = *self.run.last().filter(|e| e.time <= until)?;
        self.run.pop();
        self.len -= 1;
        self.current = entry.time;
        Some(entry)
    }

    /// Time of the earliest event.
    pub fn peek_time(&self) -> Option<u64> {
        match self.run.last() {
            Some(entry) => Some(entry.time),
            None if self.filled == 0 => None,
            None => self.buckets[self.filled.trailing_zeros() as usize].iter().map(|e| e.time).min(),
        }
    }

    /// Makes the next run, of the lowest bucket.
    fn advance(&mut self) {
        if self.filled == 0 {
            return;
        }
        let bucket = self.filled.trailing_zeros() as usize;
        self.filled &= !(1 << bucket);
        let width = 1u64 << (bucket - 1);
        if self.buckets[bucket].len() <= SHORT {
            self.base = (self.base & !(width - 1)) | width;
            self.horizon = self.base.saturating_add(width);
            // The emptied vector keeps its allocation for the next time.
            std::mem::swap(&mut self.run, &mut self.buckets[bucket]);
        } else {
            let mut entries = std::mem::take(&mut self.buckets[bucket]);
            let first = entries.iter().map(|e| e.time).min().unwrap_or(self.base);
            (self.base, self.horizon) = (first, first.saturating_add(1));
            for entry in entries.drain(..) {
                if entry.time == first { self.run.push(entry) } else { self.place(entry) }
            }
            self.buckets[bucket] = entries;
        }
        if self.run.len() > 1 {
            self.run.sort_unstable_by_key(|b| std::cmp::Reverse(b.key()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Class;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn ties_come_in_the_written_order() {
        let mut q = EventQueue::default();
        for (class, node, counter) in
            [(Class::Wake, 0, 0), (Class::Network, 9, 5), (Class::Network, 9, 4), (Class::Network, 2, 7), (Class::Fault, 30, 1)]
        {
            q.push(1000, Order::new(class, node, counter), (class, node, counter));
        }
        let got: Vec<_> = std::iter::from_fn(|| q.pop().map(|e| e.event)).collect();
        assert_eq!(
            got,
            [(Class::Fault, 30, 1), (Class::Network, 2, 7), (Class::Network, 9, 4), (Class::Network, 9, 5), (Class::Wake, 0, 0)]
        );
    }

    proptest! {
        /// Against the obvious reference: any interleaving of pushes and pops gives the same sequence.
        #[test]
        fn behaves_like_a_sorted_map(steps in proptest::collection::vec((0u64..1 << 40, 0u8..4, 0u8..8), 1..1200), pops in 0u8..6) {
            let mut q = EventQueue::default();
            let mut reference = BTreeMap::new();
            let mut now = 0;
            for (i, (ahead, shift, pop)) in steps.into_iter().enumerate() {
                if pop < pops {
                    let got = q.pop().map(|e| (e.time, e.order, e.event));
                    let want = reference.pop_first().map(|((t, o), e)| (t, o, e));
                    prop_assert_eq!(got, want);
                    now = got.map_or(now, |g| g.0);
                } else {
                    let time = now + (ahead >> (shift * 12));
                    let order = Order::new(Class::Network, (ahead % 7) as u16, i as u64);
                    q.push(time, order, i);
                    reference.insert((time, order), i);
                }
                prop_assert_eq!(q.len(), reference.len());
                prop_assert_eq!(q.peek_time(), reference.keys().next().map(|k| k.0));
            }
        }
    }
}
