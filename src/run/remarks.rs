//! What a specification can run and its author will hardly have meant: said beforehand, by `run` among its warnings and by `check`.
//!
//! RocketMQ starts with each of these and says nothing (4.9.8): a SYNC_MASTER whose puts wait for a slave that nobody set up
//! (`CommitLog#submitReplicaRequest`), a SLAVE that has nobody to copy (`HAService.HAClient#connectMaster`), a pool that its own getter hides
//! (`MessageStoreConfig#isTransientStorePoolEnable`). One remark is about this program instead: a disk without a byte left (`FaultKind::FillDisk` at 100 %), where a JVM
//! meets pages without a block (`InternalError`) and what happens is the compiler's chance.

use crate::base::time::Pretty;
use crate::rocketmq::settings::{BrokerRole, FlushDiskType};
use crate::world::spec::{BrokerSpec, FaultKind, FaultSpec, NodeKind, NodeSpec, Spec};

/// One sentence each; empty: nothing is odd.
pub fn remarks(spec: &Spec) -> Vec<String> {
    let mut found = Vec::new();
    for (node, broker) in brokers(spec).filter(|(_, b)| b.dledger.is_none()) {
        let name = &node.name;
        let set = spec.names.broker_name(broker.broker);
        let others = || brokers(spec).filter(|(n, b)| n.name != *name && b.broker == broker.broker);
        let (role, flush) = (broker.settings.broker_role, broker.settings.flush_disk_type);
        if role == BrokerRole::SyncMaster && !others().any(|(_, b)| b.settings.broker_role == BrokerRole::Slave) {
            found.push(format!("{name} is a SYNC_MASTER, and {set} has no SLAVE: its sends are answered SLAVE_NOT_AVAILABLE"));
        }
        if role == BrokerRole::Slave && !others().any(|(_, b)| b.settings.broker_role != BrokerRole::Slave) {
            found.push(format!(
                "{name} is a SLAVE, and {set} has no master: it has nothing to copy, and nobody can send to {set}"
            ));
        }
        if broker.settings.transient_store_pool_enable {
            let why = match (flush, role) {
                (FlushDiskType::SyncFlush, _) => Some("with flushDiskType SYNC_FLUSH"),
                (_, BrokerRole::Slave) => Some("on a SLAVE"),
                _ => None,
            };
            found.extend(why.map(|why| format!("{name}: transientStorePoolEnable has no effect {why}")));
        }
    }
    let late = |f: &&FaultSpec| i128::from(f.at) >= i128::from(spec.duration) && may_cost_sends(&f.what, spec);
    for fault in spec.faults.iter().filter(late) {
        let (at, end) = (Pretty(fault.at.unsigned_abs()), Pretty(spec.duration));
        found.push(format!("the fault \"{}\" strikes at {at}, and the load ends at {end}: no send will meet it", fault.label));
    }
    let to_the_brim = |f: &&FaultSpec| matches!(f.what, FaultKind::FillDisk { percent: 100, .. });
    for fault in spec.faults.iter().filter(to_the_brim) {
        found.push(format!(
            "the fault \"{}\" leaves no byte: a real broker may then acknowledge what it cannot write and lose its dispatch until a restart, which is not modelled; below 100 all of it is",
            fault.label
        ));
    }
    found
}

fn brokers(spec: &Spec) -> impl Iterator<Item = (&NodeSpec, &BrokerSpec)> {
    spec.nodes.iter().filter_map(|node| if let NodeKind::Broker(b) = &node.kind { Some((node, &**b)) } else { None })
}

/// Whether it strikes something that sends pass through. What strikes consumers alone has its meaning after the load as well.
fn may_cost_sends(what: &FaultKind, spec: &Spec) -> bool {
    let consumes = |node: &NodeSpec| matches!(node.kind, NodeKind::Client(_));
    let all_clients = |nodes: &[crate::base::ids::NodeId]| {
        let of = |n: &crate::base::ids::NodeId| spec.nodes.get(usize::from(n.0)).is_some_and(consumes);
        nodes.iter().all(of)
    };
    match what {
        FaultKind::Kill { nodes }
        | FaultKind::Freeze { nodes }
        | FaultKind::Restart { nodes, .. }
        | FaultKind::RollingRestart { nodes, .. } => !all_clients(nodes),
        FaultKind::LoseHost { hosts } => spec.nodes.iter().any(|n| hosts.contains(&n.host) && !consumes(n)),
        FaultKind::SlowDisk { .. } | FaultKind::Fsync { .. } | FaultKind::FillDisk { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Known, Overrides, parse};

    fn of(brokers: &str, faults: &str) -> Vec<String> {
        let text = format!(
            r#"{{"format": 1, "question": "Q?", "duration": "60s", "nameservers": 1, "topics": [{{"name": "T", "queues": 4}}],
            "brokers": [{brokers}], "producers": [{{"group": "pg", "topic": "T", "rate": "10/s"}}],
            "consumers": [{{"group": "cg", "topic": "T"}}], "faults": [{faults}]}}"#
        );
        remarks(&parse("test", &text, &Overrides::default(), &Known::default()).unwrap().spec)
    }

    #[test]
    fn what_has_no_effect_or_nobody_to_help_is_remarked() {
        let sync = r#"{"brokerName": "a", "brokerRole": "SYNC_MASTER"}"#;
        let slave = r#"{"brokerName": "a", "brokerRole": "SLAVE", "brokerId": 1}"#;
        assert_eq!(of(sync, ""), ["a:0 is a SYNC_MASTER, and a has no SLAVE: its sends are answered SLAVE_NOT_AVAILABLE"]);
        assert_eq!(of(&format!("{sync}, {slave}"), ""), [""; 0]);
        let alone = of(&format!(r#"{{"brokerName": "b"}}, {slave}"#), "");
        assert_eq!(alone, ["a:1 is a SLAVE, and a has no master: it has nothing to copy, and nobody can send to a"]);
        let pool = |more: &str| of(&format!(r#"{{"brokerName": "a", "transientStorePoolEnable": true{more}}}"#), "");
        assert_eq!(
            pool(r#", "flushDiskType": "SYNC_FLUSH""#),
            ["a:0: transientStorePoolEnable has no effect with flushDiskType SYNC_FLUSH"]
        );
        assert_eq!(pool(""), [""; 0]);
    }

    #[test]
    fn a_fault_that_no_send_can_meet_is_remarked() {
        let plain = r#"{"brokerName": "a"}"#;
        let late = r#"{"at": "60s", "kill": "a:0"}"#;
        assert_eq!(of(plain, late), ["the fault \"kill a:0\" strikes at 60s, and the load ends at 60s: no send will meet it"]);
        assert_eq!(of(plain, r#"{"at": "59s", "kill": "a:0"}"#), [""; 0]);
        assert_eq!(of(plain, r#"{"at": "61s", "kill": "cg"}"#), [""; 0], "deliveries go on after the load");
    }

    #[test]
    fn a_disk_without_a_byte_left_is_remarked() {
        let fill = |percent: u32| {
            of(
                r#"{"brokerName": "a", "disk": "100GiB"}"#,
                &format!(r#"{{"at": "5s", "fill_disk": {{"target": "a", "percent": {percent}}}}}"#),
            )
        };
        assert_eq!(fill(99), [""; 0]);
        assert!(fill(100)[0].contains("leaves no byte"), "{:?}", fill(100));
    }
}
