//! Law: one lock holder at a broker. While a lock lives, nobody but its holder is granted the queue.
//!
//! A lock lives until it is released or 60 s of the broker's wall clock pass without renewal; both are what the broker itself promises. So
//! each grant is compared with the last one at the same broker process: another client must have released it, or let it lapse. A new life
//! of the broker begins with no locks. A clock that runs fast by a hundredth is forgiven.

use super::facts::RunFacts;
use super::index::Rows;
use super::law::{Law, moment};
use crate::base::ids::NodeId;
use crate::base::time::Pretty;
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Grant {
    node: NodeId,
    client: Arc<str>,
    /// True time, and the broker's wall clock, ns.
    at: u64,
    wall: i128,
}

#[derive(Clone, Debug)]
pub struct LockHolder {
    pub law: Law,
    zero: u64,
    /// ns within which nobody else may be granted the queue.
    life: u64,
    /// By node: how far its wall clock was set, ns.
    shift: Vec<i128>,
    /// By feed.
    grants: Rows<SmallVec<[Grant; 1]>>,
}

impl LockHolder {
    pub fn new(facts: &RunFacts) -> Self {
        LockHolder {
            law: Law::default(),
            zero: facts.zero,
            life: facts.lock_life - facts.lock_life / 100,
            shift: vec![0; facts.nodes.len()],
            grants: Rows::default(),
        }
    }

    pub fn granted(&mut self, node: NodeId, feed: u32, client: &Arc<str>, at: u64, name: impl FnOnce() -> String) {
        self.law.compare();
        let wall = at as i128 + self.shift[node.0 as usize];
        let (zero, life) = (self.zero, self.life);
        let grants = self.grants.at(feed);
        let Some(last) = grants.iter_mut().find(|g| g.node == node) else {
            grants.push(Grant { node, client: client.clone(), at, wall });
            return;
        };
        if *last.client != **client && wall - last.wall <= life as i128 {
            let held = last.clone();
            self.law.break_it(|| {
                let ago = Pretty(at - held.at);
                format!(
                    "{client} was granted {} at {}, {ago} after {} got it and without a release",
                    name(),
                    moment(at, zero),
                    held.client
                )
            });
        }
        *last = Grant { node, client: client.clone(), at, wall };
    }

    pub fn released(&mut self, node: NodeId, feed: u32, client: &Arc<str>) {
        self.grants.at(feed).retain(|g| g.node != node || *g.client != **client);
    }

    /// The broker's process begins or ends a life: its lock table is gone.
    pub fn life_changed(&mut self, node: NodeId) {
        for grants in self.grants.iter_mut() {
            grants.retain(|g| g.node != node);
        }
    }

    pub fn clock_stepped(&mut self, node: NodeId, ms: i64) {
        self.shift[node.0 as usize] += ms as i128 * 1_000_000;
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{law_of, orderly};
    use crate::run::outcome::Verdict;

    #[test]
    fn a_second_holder_is_caught() {
        let of = |script: &str| law_of(orderly(), script, "one lock holder at a broker");
        let first = "1 broker-a granted a:0 c1;";
        let found = of(&format!("{first} 21 broker-a granted a:0 c1; 41 broker-a granted a:0 c2"));
        assert_eq!(found.verdict, Verdict::Fail);
        assert_eq!(found.detail, "c2 was granted broker-a:0 to cg at 41.000 s, 20s after c1 got it and without a release");
        for legal in [
            "21 broker-a granted a:0 c1; 30 broker-a released a:0 c1; 31 broker-a granted a:0 c2",
            "61.001 broker-a granted a:0 c2",
            "5 broker-a killed; 9 broker-a up; 10 broker-a granted a:0 c2",
            "5 broker-b granted b:0 c2; 6 broker-a granted a:1 c3",
            "5 broker-a stepped 60000; 6 broker-a granted a:0 c2",
        ] {
            assert_eq!(of(&format!("{first} {legal}")).verdict, Verdict::Pass, "{legal}");
        }
        assert_eq!(of("1 broker-a released a:0 c1").verdict, Verdict::Unknown);
    }
}
