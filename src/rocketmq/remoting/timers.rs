//! Deadlines on the monotonic clock, first come first served at equal times.
//!
//! Most timers of a role are set for a fixed time ahead, so that each new one belongs at or near the end of those that are set: a sorted line takes them by
//! a step or two. What belongs further in goes to a heap beside it, which stays small: a stream of timers that are soon due does not sift through thousands that
//! wait longer.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

#[derive(Clone, Debug)]
struct Timer<K> {
    at: u64,
    seq: u64,
    what: K,
}

impl<K> PartialEq for Timer<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}
impl<K> Eq for Timer<K> {}
impl<K> PartialOrd for Timer<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Timer<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// So far from its end a timer is still put into the line.
const REACH: usize = 8;

/// Deadlines with what they are for.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    /// The earliest deadline; `u64::MAX`: none. A role is asked for it after each event, and here that costs no look at the others.
    first: u64,
    /// Apart, since timers are asked far more often than they are set: whoever holds them keeps two words among what it needs for each event.
    set: Option<Box<Set<K>>>,
}

#[derive(Clone, Debug)]
struct Set<K> {
    seq: u64,
    /// Sorted, the next one in front.
    line: VecDeque<Timer<K>>,
    heap: BinaryHeap<Timer<K>>,
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Set { seq: 0, line: VecDeque::new(), heap: BinaryHeap::new() }
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { first: u64::MAX, set: None }
    }
}

impl<K> Timers<K> {
    /// Sets a timer; `at` in ns of the monotonic clock.
    pub fn set(&mut self, at: u64, what: K) {
        self.first = self.first.min(at);
        let set = self.set.get_or_insert_default();
        set.seq += 1;
        let timer = Timer { at, seq: set.seq, what };
        // Of equal times the later one stands behind.
        let behind = set.line.iter().rev().take(REACH + 1).take_while(|t| t.at > at).count();
        if behind <= REACH { set.line.insert(set.line.len() - behind, timer) } else { set.heap.push(timer) }
    }
    /// The earliest deadline.
    #[inline]
    pub fn next(&self) -> Option<u64> {
        (self.first != u64::MAX).then_some(self.first)
    }
    /// Takes one timer that is due, with its nominal time.
    #[inline]
    pub fn due(&mut self, now: u64) -> Option<(u64, K)> {
        if self.first > now {
            return None;
        }
        let set = self.set.as_mut()?;
        // The heap's order is turned round: its greatest is the earliest.
        let from_heap = match (set.line.front(), set.heap.peek()) {
            (Some(first), Some(top)) => top > first,
            (first, _) => first.is_none(),
        };
        let timer = if from_heap { set.heap.pop() } else { set.line.pop_front() };
        self.first = match (set.line.front(), set.heap.peek()) {
            (Some(first), Some(top)) => first.at.min(top.at),
            (first, top) => first.or(top).map_or(u64::MAX, |t| t.at),
        };
        timer.map(|t| (t.at, t.what))
    }
    pub fn is_empty(&self) -> bool {
        self.set.as_ref().is_none_or(|set| set.line.is_empty() && set.heap.is_empty())
    }
}

/// The first moment of a fixed-rate grid (`phase + k * period`) that is not before `at`.
pub fn grid(at: u64, phase: u64, period: u64) -> u64 {
    if at <= phase {
        return phase;
    }
    phase + (at - phase).div_ceil(period) * period
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn equal_deadlines_keep_their_order() {
        let mut t = Timers::default();
        for (at, k) in [(5, 'a'), (3, 'b'), (5, 'c'), (4, 'd')] {
            t.set(at, k);
        }
        assert_eq!(t.due(2), None);
        let got: Vec<_> = std::iter::from_fn(|| t.due(10)).collect();
        assert_eq!(got, [(3, 'b'), (4, 'd'), (5, 'a'), (5, 'c')]);
    }

    proptest! {
        /// Wherever a timer is kept, they come by time, and by the order in which they were set.
        #[test]
        fn behaves_like_a_sorted_list(steps in proptest::collection::vec((0u64..40, 0u8..3), 1..400)) {
            let mut timers = Timers::default();
            let (mut reference, mut now) = (BTreeSet::new(), 0);
            for (seq, (ahead, take)) in steps.into_iter().enumerate() {
                timers.set(now + ahead, seq);
                reference.insert((now + ahead, seq));
                prop_assert_eq!(timers.next(), reference.first().map(|t| t.0));
                if take == 0 {
                    now += ahead / 4;
                    while let Some(due) = timers.due(now) {
                        prop_assert_eq!(Some(due), reference.pop_first());
                    }
                    prop_assert!(reference.first().is_none_or(|t| t.0 > now));
                    prop_assert_eq!(timers.is_empty(), reference.is_empty());
                }
            }
        }
    }

    #[test]
    fn the_grid_rounds_up() {
        for (at, want) in [(0, 7), (7, 7), (8, 17), (17, 17), (18, 27)] {
            assert_eq!(grid(at, 7, 10), want);
        }
    }
}
