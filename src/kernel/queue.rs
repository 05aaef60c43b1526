//! The event queue: a monotone radix heap.
//!
//! Simulated time never goes back, so an entry only has to be sorted as finely as it is near: bucket b holds the entries whose time
//! differs from the current time first at bit b - 1. Taking the next event redistributes one bucket into lower ones, and every
//! entry falls at most 64 times in its life, in practice two or three. Pending timers far away cost nothing. Entries of one
//! instant land in bucket 0 together and are put into the written order there.

use super::order::Order;

/// One pending event.
#[derive(Clone, Copy, Debug)]
pub struct Entry<E> {
    /// ns.
    pub time: u64,
    pub order: Order,
    pub event: E,
}

/// A priority queue on (time, order) for times that never lie before the last one taken.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    buckets: Vec<Vec<Entry<E>>>,
    /// Bit b is set when bucket b is not empty (b >= 1).
    filled: u128,
    /// Entries of the current instant, last one first.
    now: Vec<Entry<E>>,
    current: u64,
    len: usize,
}

impl<E: Copy> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue { buckets: (0..65).map(|_| Vec::new()).collect(), filled: 0, now: Vec::new(), current: 0, len: 0 }
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
        let time = time.max(self.current);
        let entry = Entry { time, order, event };
        if time == self.current {
            let at = self.now.partition_point(|e| e.order > order);
            self.now.insert(at, entry);
            return;
        }
        self.place(entry);
    }

    #[inline]
    fn place(&mut self, entry: Entry<E>) {
        let bucket = 64 - (entry.time ^ self.current).leading_zeros() as usize;
        self.buckets[bucket].push(entry);
        self.filled |= 1 << bucket;
    }

    /// Takes the earliest event.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry<E>> {
        if self.now.is_empty() {
            self.advance()?;
        }
        self.len -= 1;
        self.now.pop()
    }

    /// Time of the earliest event.
    pub fn peek_time(&mut self) -> Option<u64> {
        if let Some(entry) = self.now.last() {
            return Some(entry.time);
        }
        if self.filled == 0 {
            return None;
        }
        let bucket = self.filled.trailing_zeros() as usize;
        self.buckets[bucket].iter().map(|e| e.time).min()
    }

    /// Moves the earliest instant's entries into `now`.
    fn advance(&mut self) -> Option<()> {
        if self.filled == 0 {
            return None;
        }
        let bucket = self.filled.trailing_zeros() as usize;
        self.filled &= !(1 << bucket);
        let mut entries = std::mem::take(&mut self.buckets[bucket]);
        let time = entries.iter().map(|e| e.time).min()?;
        self.current = time;
        for entry in entries.drain(..) {
            if entry.time == time {
                self.now.push(entry);
            } else {
                self.place(entry);
            }
        }
        // The emptied vector keeps its allocation for the next time.
        self.buckets[bucket] = entries;
        if self.now.len() > 1 {
            self.now.sort_unstable_by(|a, b| b.order.cmp(&a.order));
        }
        Some(())
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
        fn behaves_like_a_sorted_map(steps in proptest::collection::vec((0u64..1 << 40, 0u8..4, any::<bool>()), 1..400)) {
            let mut q = EventQueue::default();
            let mut reference = BTreeMap::new();
            let mut now = 0;
            for (i, (ahead, shift, pop)) in steps.into_iter().enumerate() {
                if pop {
                    let got = q.pop().map(|e| (e.time, e.order, e.event));
                    let want = reference.pop_first().map(|((t, o), e)| (t, o, e));
                    prop_assert_eq!(got, want);
                    now = got.map_or(now, |g| g.0);
                } else {
                    let time = now + 1 + (ahead >> (shift * 12));
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
