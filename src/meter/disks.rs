//! What full disks cost: how long brokers took no messages, and the log files they deleted.

use super::counters::Entry;
use super::watch::Watch;
use crate::base::ids::NodeId;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
struct Row {
    /// Since when its disk is full, ns.
    since: Option<u64>,
    /// ns
    full: u64,
    /// Files deleted by their age, and before it.
    deleted: [u64; 2],
}

/// By broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Disks(BTreeMap<NodeId, Row>);

impl Disks {
    /// A broker takes no more messages, or takes them again; what a process knew of its disk ends with it.
    pub(super) fn full(&mut self, node: NodeId, on: bool, at: u64) {
        if on {
            self.0.entry(node).or_default().since.get_or_insert(at);
        } else if let Some(row) = self.0.get_mut(&node)
            && let Some(since) = row.since.take()
        {
            row.full += at - since;
        }
    }
    pub(super) fn deleted(&mut self, node: NodeId, expired: bool) {
        self.0.entry(node).or_default().deleted[!expired as usize] += 1;
    }
}

impl Watch {
    pub(super) fn disk_full_time(&self, end: u64) -> Entry {
        let of = |row: &Row| (row.full + row.since.map_or(0, |since| end.saturating_sub(since))) as i64;
        let name = |node: &NodeId| self.facts.nodes[node.0 as usize].name.clone();
        let rows: Vec<(String, i64)> = self.disks.0.iter().map(|(node, row)| (name(node), of(row))).collect();
        (Some(rows.iter().map(|r| r.1).sum()), rows)
    }

    pub(super) fn log_files_deleted(&self) -> Entry {
        const WHY: [&str; 2] = ["they had expired", "before their time, for want of room"];
        let name = |node: &NodeId| self.facts.nodes[node.0 as usize].name.as_str();
        let of =
            |(node, row): (&NodeId, &Row)| [0, 1].map(|why| (format!("{}: {}", name(node), WHY[why]), row.deleted[why] as i64));
        let rows: Vec<(String, i64)> = self.disks.0.iter().flat_map(of).collect();
        (Some(rows.iter().map(|r| r.1).sum()), rows)
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, play};

    #[test]
    fn a_disk_is_full_until_a_pass_finds_room_or_its_broker_ends() {
        let table = [
            ("5 broker-a diskfull; 25 broker-a diskfull off", 20),
            ("5 broker-a diskfull; 25 broker-a killed; 30 broker-a up", 20),
            ("5 broker-a diskfull; 25 broker-a exited; 30 broker-a up; 90 broker-a diskfull; 100 broker-a diskfull off", 30),
            ("5 broker-a diskfull; 6 broker-a diskfull", 195),
            ("5 broker-a diskfull off", 0),
        ];
        for (script, seconds) in table {
            assert_eq!(counter(&play(script), "disk_full_time"), Some(seconds * SEC as i64), "{script}");
        }
    }

    #[test]
    fn deleted_files_are_told_apart() {
        let found = play(
            "5 broker-a deleted 100; 6 broker-a deleted 200 early; 6 broker-b deleted 300 early; 7 broker-a deleted 300 early",
        );
        assert_eq!(counter(&found, "log_files_deleted"), Some(4));
        let why = "broker-a: before their time, for want of room 2, broker-a: they had expired 1, broker-b: before their time, for want of room 1";
        assert_eq!(causes(&found, "log_files_deleted"), why);
    }
}
