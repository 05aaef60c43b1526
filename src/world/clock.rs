//! The two clocks of a node, as functions of true time.
//!
//! Drift makes both run fast or slow; a step moves the wall clock alone. A freeze stops neither.

use crate::base::time::{MS, WALL_EPOCH_MS};
use crate::contract::{Clock, Deadline, Now};

/// Where a node's clocks stood at a moment, and how fast they run.
#[derive(Clone, Copy, Debug)]
pub struct NodeClock {
    since: u64,
    mono_then: u64,
    ppm: i64,
    /// Wall clock minus monotonic clock, ns, apart from the epoch.
    wall_offset: i64,
}

impl NodeClock {
    pub fn new(offset_ns: i64, ppm: i64) -> Self {
        NodeClock { since: 0, mono_then: 0, ppm, wall_offset: offset_ns }
    }

    #[inline]
    fn mono(&self, at: u64) -> u64 {
        let passed = at - self.since;
        if self.ppm == 0 {
            return self.mono_then + passed;
        }
        self.mono_then + (passed as i128 * (1_000_000 + self.ppm as i128) / 1_000_000) as u64
    }

    /// What the node's clocks say at a true time.
    #[inline]
    pub fn now(&self, at: u64) -> Now {
        let mono = self.mono(at);
        Now { mono, wall_ms: WALL_EPOCH_MS + (mono as i64 + self.wall_offset).div_euclid(MS as i64) }
    }

    /// The true time at which a deadline is due, rounded up; never before `at`.
    pub fn true_time(&self, deadline: Deadline, at: u64) -> u64 {
        let mono = match deadline.clock {
            Clock::Mono => deadline.at,
            Clock::Wall => (deadline.at - WALL_EPOCH_MS).saturating_mul(MS as i64).saturating_sub(self.wall_offset),
        };
        let left = mono.saturating_sub(self.mono_then as i64);
        let passed = if self.ppm == 0 {
            left
        } else {
            let rate = 1_000_000 + self.ppm as i128;
            (left as i128 * 1_000_000 + rate - 1).div_euclid(rate).clamp(i64::MIN as i128, i64::MAX as i128) as i64
        };
        (self.since as i64).saturating_add(passed).max(at as i64) as u64
    }

    /// The wall clock is set forward or back.
    pub fn step(&mut self, by_ms: i64) {
        self.wall_offset += by_ms * MS as i64;
    }

    /// Both clocks run at another rate from now on.
    pub fn drift(&mut self, at: u64, ppm: i64) {
        self.mono_then = self.mono(at);
        self.since = at;
        self.ppm = ppm.clamp(-900_000, 9_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SEC;

    #[test]
    fn a_deadline_is_due_when_the_clock_says_so() {
        for ppm in [-500, 0, 300, 100_000] {
            let mut clock = NodeClock::new(-7_000_000, ppm);
            clock.drift(SEC, ppm);
            for deadline in [Deadline::mono(90 * SEC), Deadline::wall(WALL_EPOCH_MS + 60_000)] {
                let due = clock.true_time(deadline, 2 * SEC);
                assert_eq!(deadline.in_ns(clock.now(due)), 0, "{ppm} {deadline:?}");
                assert!(deadline.in_ns(clock.now(due - 2)) > 0 || deadline.clock == Clock::Wall);
            }
        }
    }

    #[test]
    fn a_step_moves_the_wall_alone() {
        let mut clock = NodeClock::new(0, 0);
        let before = clock.now(5 * SEC);
        clock.step(-30_000);
        let after = clock.now(5 * SEC);
        assert_eq!((after.mono, after.wall_ms), (before.mono, before.wall_ms - 30_000));
    }
}
