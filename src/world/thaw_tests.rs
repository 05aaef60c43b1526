//! After a thaw: what lay in the sockets, and what fell due meanwhile.

use super::spec::FaultKind;
use super::tests::{cluster, fault};
use super::*;

/// Notes of every node.
pub(super) struct All(pub(super) Vec<(u64, NodeId, Note)>);

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

/// Draining its sockets keeps a broker's processors busy, and who shares them waits for its turn.
#[test]
fn a_thawed_broker_keeps_the_processors_of_its_host() {
    let waited = |frame: u64, host: u16| {
        let mut spec = cluster(2, 1, 200, false);
        for node in &mut spec.nodes {
            node.cpus = 1;
            node.services.thaw_frame = Quantiles::constant(frame);
            node.services.resume = Quantiles::constant(MS);
        }
        // Enough threads that some are not stuck with the broker that stands still.
        let NodeKind::Client(client) = &mut spec.nodes[3].kind else { panic!("the producer") };
        for member in &mut Arc::make_mut(client).members {
            if let MemberRole::Producer(producer) = &mut member.role {
                producer.threads = 512;
            }
        }
        // The consumer runs beside the broker that stands still, or alone.
        spec.nodes[4].host = host;
        spec.faults.push(fault(10, Some(20 * SEC), FaultKind::Freeze { nodes: vec![NodeId(2)] }));
        let (thaw, until) = (spec.warmup + 30 * SEC, spec.warmup + 31 * SEC);
        let mut world = World::new(Arc::new(spec), All(Vec::new()));
        world.run_until(until, u64::MAX);
        let mut stored = std::collections::BTreeMap::new();
        let mut waits = Vec::new();
        for (at, node, note) in world.into_observer().0.into_iter().filter(|(at, ..)| *at > thaw) {
            match note {
                Note::Stored { msg, .. } if node == NodeId(1) => _ = stored.insert(msg, at),
                Note::ListenerEntered { msg, .. } => waits.extend(stored.get(&msg).map(|since| at - since)),
                _ => {}
            }
        }
        waits.sort_unstable();
        waits[waits.len() / 2]
    };
    let (busy, idle) = (waited(10 * MS, 2), waited(1, 2));
    assert!(busy > idle + MS, "half of its messages wait for half a tick or more: {busy} {idle}");
    assert!(waited(10 * MS, 4).abs_diff(waited(1, 4)) < MS / 10, "nobody else does");
}
