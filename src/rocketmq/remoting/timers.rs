//! A small heap of deadlines on the monotonic clock, first come first served at equal times.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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

/// Deadlines with what they are for.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Timer<K>>,
    seq: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { heap: BinaryHeap::new(), seq: 0 }
    }
}

impl<K> Timers<K> {
    /// Sets a timer; `at` in ns of the monotonic clock.
    pub fn set(&mut self, at: u64, what: K) {
        self.seq += 1;
        self.heap.push(Timer { at, seq: self.seq, what });
    }
    /// The earliest deadline.
    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|t| t.at)
    }
    /// Takes one timer that is due, with its nominal time.
    pub fn due(&mut self, now: u64) -> Option<(u64, K)> {
        if self.heap.peek().is_some_and(|t| t.at <= now) { self.heap.pop().map(|t| (t.at, t.what)) } else { None }
    }
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
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

    #[test]
    fn the_grid_rounds_up() {
        for (at, want) in [(0, 7), (7, 7), (8, 17), (17, 17), (18, 27)] {
            assert_eq!(grid(at, 7, 10), want);
        }
    }
}
