//! Convergence: how long after a change the living members' queues do not add up: some queue of a living broker has no awake holder, or
//! any queue has two.
//!
//! One number of faulty queues a group is kept up to date; agreement is the moment it becomes 0. A disagreement is measured from the change
//! that led to it (a member or broker came, went, froze or thawed), at the latest from its own beginning when that lies more than three
//! minutes after the last change: longer than every expiry of RocketMQ. Measured between time 0 and the end of the load. Locks play no part.

use super::index::Rows;
use crate::base::time::MIN;

/// A disagreement later than this after a change is not its consequence, ns.
const CONSEQUENCE: u64 = 3 * MIN;

#[derive(Clone, Debug, Default)]
struct GroupState {
    faulty: u32,
    /// The last change, ns; `None`: none since time 0.
    change: Option<u64>,
    /// Where the present disagreement is measured from.
    from: u64,
    worst: Option<u64>,
    unfinished: bool,
}

#[derive(Clone, Debug)]
pub struct Convergence {
    zero: u64,
    load_end: u64,
    faulty: Rows<bool>,
    groups: Vec<GroupState>,
}

impl Convergence {
    pub fn new(zero: u64, load_end: u64, groups: usize) -> Self {
        Convergence { zero, load_end, faulty: Rows::default(), groups: vec![GroupState::default(); groups] }
    }

    /// The run ended before its load did.
    pub fn shorten(&mut self, end: u64) {
        self.load_end = self.load_end.min(end);
    }

    /// Membership or routes of the group changed in truth.
    pub fn changed(&mut self, group: usize, at: u64) {
        if (self.zero..self.load_end).contains(&at) {
            let state = &mut self.groups[group];
            state.change = Some(at);
            state.worst = state.worst.max(Some(0));
        }
    }

    /// Whether this feed is faulty now.
    pub fn set(&mut self, feed: u32, group: usize, faulty: bool, at: u64) {
        if std::mem::replace(self.faulty.at(feed), faulty) == faulty {
            return;
        }
        let (zero, load_end) = (self.zero, self.load_end);
        let state = &mut self.groups[group];
        if faulty {
            if state.faulty == 0 {
                state.from = state.change.filter(|change| at - change <= CONSEQUENCE).unwrap_or(at);
            }
            state.faulty += 1;
        } else {
            state.faulty -= 1;
            if state.faulty == 0 && at > zero && state.from.max(zero) < load_end {
                state.worst = state.worst.max(Some(at.min(load_end) - state.from.max(zero)));
            }
        }
    }

    /// Disagreements that last until the end of the load.
    pub fn finish(&mut self) {
        for state in &mut self.groups {
            // A run that ended in its warm-up has a load of no length.
            if state.faulty > 0 && state.from.max(self.zero) < self.load_end {
                state.worst = state.worst.max(Some(self.load_end - state.from.max(self.zero)));
                state.unfinished = true;
            }
        }
    }

    /// Worst time to agreement, ns; `None`: nothing changed and nothing disagreed.
    pub fn worst(&self, group: usize) -> Option<u64> {
        self.groups[group].worst
    }
    /// The group disagreed at the end.
    pub fn unfinished(&self, group: usize) -> bool {
        self.groups[group].unfinished
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::{MS, SEC};
    use crate::check::script::{causes, counter, play};

    const HELD: &str = "-1 c1 assigned a:0 0; -1 c1 assigned a:1 0; -1 c2 assigned b:0 0; -1 c2 assigned b:1 0;";

    fn of(script: &str) -> Option<u64> {
        counter(&play(&format!("{HELD} {script}")), "rebalance_converge").map(|v| v as u64)
    }

    #[test]
    fn from_the_change_to_the_last_agreement() {
        assert_eq!(of(""), None);
        assert_eq!(of("10 c1 killed; 12 c2 assigned a:0 0; 13 c2 assigned a:1 0"), Some(3 * SEC));
        assert_eq!(of("10 c3 killed"), Some(0));
        // A join moves queues although everything is covered at first.
        assert_eq!(of("10 c3 killed; 20 c3 up; 20.4 c1 revoked a:1; 20.5 c3 assigned a:1 0"), Some(500 * MS));
        // Two holders are a disagreement too.
        assert_eq!(of("10 c3 killed; 20 c3 up; 20.3 c3 assigned a:1 0; 20.5 c1 revoked a:1"), Some(500 * MS));
        // Queues of a dead broker belong to nobody without harm; when it is back they must be held again.
        assert_eq!(
            of(
                "10 broker-b killed; 20 c2 revoked b:0; 20 c2 revoked b:1; 30 broker-b up; 37 c2 assigned b:0 0; 38 c2 assigned b:1 0"
            ),
            Some(8 * SEC)
        );
    }

    #[test]
    fn what_never_agrees_lasts_until_the_load_ends() {
        assert_eq!(of("10 c1 killed; 12 c2 assigned a:0 0"), Some(90 * SEC));
        let found = play(&format!("{HELD} 10 c1 killed"));
        assert_eq!(causes(&found, "rebalance_converge@cg"), "not agreed by the end of the load 90000000000");
        // Long after any change a disagreement is its own beginning.
        assert_eq!(of("1 c3 killed; 1 c3 up; 95 c1 revoked a:0; 99 c2 assigned a:0 0"), Some(98 * SEC));
    }
}
