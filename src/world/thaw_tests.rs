//! After a thaw: what lay in the sockets, and what fell due meanwhile.

use super::spec::FaultKind;
use super::tests::{cluster, fault};
use super::*;

/// Notes of every node.
struct All(Vec<(u64, NodeId, Note)>);

impl Observer for All {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        self.0.push((stamp.at, stamp.node, note.clone()));
    }
}

/// The second of two brokers stands still for three minutes.
fn frozen_broker(seed: u64) -> (u64, Vec<(u64, NodeId, Note)>) {
    let mut spec = cluster(2, 2, 20, false);
    spec.seed = seed;
    spec.faults.push(fault(10, Some(180 * SEC), FaultKind::Freeze { nodes: vec![NodeId(2)] }));
    let (thaw, until) = (spec.warmup + 190 * SEC, spec.warmup + 225 * SEC);
    let mut world = World::new(Arc::new(spec), All(Vec::new()));
    world.run_until(until, u64::MAX);
    (thaw, world.into_observer().0)
}

/// The broker's threads find channels idle for longer than 120 s and want them closed; the selector first reads what lies there. So every message that was
/// sent to it in vain is stored after all.
#[test]
fn a_thawed_broker_reads_before_it_closes() {
    for seed in 1..=5 {
        let (thaw, notes) = frozen_broker(seed);
        let unknown: Vec<_> = notes
            .iter()
            .filter_map(|(at, _, note)| match note {
                Note::SendEnded { msg, end: SendEnd::Unknown { .. }, .. } if *at < thaw => Some(*msg),
                _ => None,
            })
            .collect();
        let stored: std::collections::BTreeSet<_> = notes
            .iter()
            .filter_map(|(at, node, note)| match note {
                Note::Stored { msg, .. } if *at > thaw || *node != NodeId(2) => Some(*msg),
                _ => None,
            })
            .collect();
        let missing: Vec<_> = unknown.iter().filter(|msg| !stored.contains(msg)).collect();
        assert!(unknown.len() > 2 && missing.is_empty(), "seed {seed}: of {} messages never stored: {missing:?}", unknown.len());
    }
}

/// Six registrations fell due meanwhile. The first may find its channel dead; the next one follows it at once, on a new channel.
#[test]
fn a_thawed_broker_makes_up_for_the_registrations_it_missed() {
    for seed in 1..=10 {
        let (thaw, notes) = frozen_broker(seed);
        let back = notes
            .iter()
            .find(|(at, node, note)| *at > thaw && *node == NodeId(0) && matches!(note, Note::BrokerRegistered { .. }));
        let after = back.map(|(at, ..)| at - thaw);
        assert!(after.is_some_and(|after| after < 7 * SEC), "seed {seed}: {after:?}");
    }
}
