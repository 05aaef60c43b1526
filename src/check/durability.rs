//! The durability ledger: on how many hosts, and how safely, each acknowledged message lay when a broker died, and what the death cost.
//!
//! Copies of one log share their offsets, so one number a host says which messages its page cache holds and another which its disk does. At
//! every death of a broker process or its host each message answered SEND_OK is given the best state it had a moment before; what recovery
//! then discards is counted under that state. So a lost message names the last thing that was true of it, and with the fault that struck, the rule that lost it.

use super::chunked::Chunked;
use super::facts::{NodeKind, RunFacts};
use super::index::Index;
use super::ledger::{Ledger, Message};
use crate::base::ids::{BrokerName, MessageId, NodeId};
use crate::contract::note::{SendStatus, Walk};
use std::collections::BTreeMap;

/// Where a message lay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lay {
    /// Hosts that have it at least in their page cache.
    pub hosts: u8,
    /// Those of them that have it on disk.
    pub disks: u8,
    /// A broker takes it for flushed, and its disk has not got it.
    pub vain: Vain,
}

/// Why an fsync was in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vain {
    #[default]
    No,
    /// The disk keeps it in a cache of its own.
    Held,
    /// The disk refused it, or something before it.
    Refused,
}

impl Lay {
    pub fn describe(self) -> String {
        let lay = match (self.hosts, self.disks) {
            (0, _) => "in the buffer of the process".to_owned(),
            (1, 0) => "page cache of 1 host".to_owned(),
            (1, _) => "disk of 1 host".to_owned(),
            (n, 0) => format!("page cache of {n} hosts"),
            (n, d) if d == n => format!("disk of {n} hosts"),
            (n, d) => format!("{n} hosts, disk of {d}"),
        };
        match self.vain {
            Vain::No => lay,
            Vain::Held => format!("{lay} (an fsync lied)"),
            Vain::Refused => format!("{lay} (at or behind a failed fsync)"),
        }
    }
}

/// How far the log of one host has got: physical offsets.
#[derive(Clone, Copy, Debug, Default)]
struct Copy {
    committed: u64,
    durable: u64,
    /// What its broker takes for flushed and is not: up to where, and why.
    vain: (u64, Vain),
    /// Appends go into a buffer of the process first.
    buffered: bool,
    /// It lost power and has not come back.
    dark: bool,
}

/// A death of a broker process or its host.
#[derive(Clone, Debug)]
pub struct Crash {
    pub node: NodeId,
    /// ns of the run.
    pub at: u64,
    pub host: bool,
    copies: Vec<Copy>,
    /// Messages answered SEND_OK by then, by how they lay.
    pub answered: BTreeMap<Lay, u64>,
    /// Those of them that recovery discarded, or that the broker which took over did not have.
    pub discarded: BTreeMap<Lay, u64>,
    /// What its next life read of its log, once there is one.
    pub walk: Option<Walk>,
    /// Of those that are gone, where the first one ended in the log; `u64::MAX`: none is.
    lost_from: u64,
    /// When the calls of the oldest and the newest of them began, ns of the run.
    oldest_lost: u64,
    newest_lost: u64,
    /// When the first of them was found to be gone, ns of the run.
    pub paid_at: Option<u64>,
    /// It took its set's messages when it died; somebody has taken them since.
    served: bool,
    pub succeeded: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Durability {
    /// By node: its broker set, and its copy of that set's log.
    copies: Vec<Option<(BrokerName, Copy)>>,
    /// By set: the broker that takes its messages.
    serving: Vec<Option<NodeId>>,
    /// By table of the ledger and message: where its latest ordinary record ends; 0: nowhere.
    ends: Vec<Chunked<u64>>,
    /// Something can die in this run.
    on: bool,
    pub crashes: Vec<Crash>,
}

impl Durability {
    pub fn new(facts: &RunFacts) -> Self {
        let copy = |kind: &NodeKind| match kind {
            NodeKind::Broker { broker, .. } => Some((*broker, Copy::default())),
            _ => None,
        };
        Durability {
            copies: facts.nodes.iter().map(|node| copy(&node.kind)).collect(),
            serving: vec![None; facts.names.brokers().count()],
            ends: Vec::new(),
            on: !facts.faults.is_empty(),
            crashes: Vec::new(),
        }
    }

    /// The set that a broker belongs to.
    pub fn set_of(&self, node: NodeId) -> Option<BrokerName> {
        Some(self.copies.get(node.0 as usize)?.as_ref()?.0)
    }

    /// Who takes the messages of a set.
    pub fn serving(&self, broker: BrokerName) -> Option<NodeId> {
        self.serving.get(broker.0 as usize).copied().flatten()
    }

    fn copy(&mut self, node: NodeId) -> Option<&mut Copy> {
        self.copies.get_mut(node.0 as usize)?.as_mut().map(|c| &mut c.1)
    }

    fn ends(&self, table: usize) -> impl Iterator<Item = &u64> {
        self.ends.get(table).into_iter().flat_map(|ends| ends.iter())
    }

    /// A record was appended at its master.
    #[inline]
    pub fn stored(&mut self, node: NodeId, table: Option<usize>, msg: MessageId, end: u64, plain: bool) {
        if !self.on {
            return;
        }
        if let Some(copy) = self.copy(node)
            && !copy.buffered
        {
            copy.committed = copy.committed.max(end);
        }
        let Some(table) = table.filter(|_| plain) else { return };
        if table >= self.ends.len() {
            self.ends.resize(table + 1, Chunked::default());
        }
        *self.ends[table].at(msg.n() as usize) = end;
    }

    pub fn cached(&mut self, node: NodeId, upto: u64) {
        if let Some(copy) = self.copy(node) {
            copy.committed = copy.committed.max(upto);
        }
    }

    pub fn flushed(&mut self, node: NodeId, upto: u64) {
        if let Some(copy) = self.copy(node) {
            copy.durable = copy.durable.max(upto);
        }
    }

    /// An fsync came to nothing.
    pub fn flushed_in_vain(&mut self, node: NodeId, upto: u64, held: bool) {
        if let Some(copy) = self.copy(node) {
            copy.vain = (copy.vain.0.max(upto), if held { Vain::Held } else { Vain::Refused });
        }
    }

    /// A broker has read its log at its start: so much is there.
    pub fn recovered(&mut self, node: NodeId, upto: u64, buffered: bool, walk: Walk) {
        if let Some(crash) = self.crashes.iter_mut().rev().find(|c| c.node == node) {
            crash.walk.get_or_insert(walk);
        }
        if let Some(copy) = self.copy(node) {
            let durable = if copy.dark || copy.committed == 0 { upto } else { copy.durable.min(upto) };
            let vain = if copy.dark { Default::default() } else { copy.vain };
            *copy = Copy { committed: upto, durable, vain, buffered, dark: false };
        }
    }

    /// A broker takes the messages of its set from now on, with a log that ends at `upto`. What somebody had stored behind that is gone: who took them
    /// before, and the first lost queue offset of each queue.
    pub fn serves(&mut self, node: NodeId, upto: u64, ledger: &Ledger, index: &Index) -> Option<(NodeId, Vec<(u32, u64)>)> {
        let broker = self.copies.get(node.0 as usize)?.as_ref()?.0;
        let sets: Vec<bool> = self.crashes.iter().map(|c| self.set_of(c.node) == Some(broker)).collect();
        for (crash, _) in self.crashes.iter_mut().zip(sets).filter(|(_, of_set)| *of_set) {
            crash.succeeded |= crash.served;
        }
        let before = self.serving[broker.0 as usize].replace(node)?;
        let mut cuts: BTreeMap<u32, u64> = BTreeMap::new();
        for (table, rows) in ledger.tables() {
            for (row, end) in rows.iter().zip(self.ends(table)) {
                if row.is(Message::PLACED)
                    && !row.is(Message::GONE)
                    && *end > upto
                    && index.queues[row.queue as usize].mq.broker == broker
                {
                    let from = cuts.entry(row.queue).or_insert(row.offset as u64);
                    *from = (*from).min(row.offset as u64);
                }
            }
        }
        Some((before, cuts.into_iter().collect()))
    }

    /// A broker process dies, or its host loses power: every message answered SEND_OK gets its state.
    #[cold]
    pub fn died(&mut self, node: NodeId, host: bool, at: u64, ledger: &Ledger, index: &Index) {
        let Some(Some((broker, _))) = self.copies.get(node.0 as usize) else { return };
        let broker = *broker;
        let copies: Vec<Copy> = self.copies.iter().flatten().filter(|c| c.0 == broker).map(|c| c.1).collect();
        let none = BTreeMap::new;
        let (answered, discarded) = (none(), none());
        let served = self.serving(broker) == Some(node);
        let mut crash = Crash {
            node,
            at,
            host,
            copies,
            answered,
            discarded,
            walk: None,
            lost_from: u64::MAX,
            oldest_lost: u64::MAX,
            newest_lost: 0,
            paid_at: None,
            served,
            succeeded: false,
        };
        for (table, rows) in ledger.tables().filter(|(table, _)| !ledger.preloaded(*table)) {
            for (row, end) in rows.iter().zip(self.ends(table)) {
                if answered_ok(row) && index.queues[row.queue as usize].mq.broker == broker {
                    *crash.answered.entry(crash.lay(*end)).or_default() += 1;
                }
            }
        }
        self.crashes.push(crash);
        if host && let Some(copy) = self.copy(node) {
            copy.committed = copy.durable;
            copy.dark = true;
        }
    }

    /// A message's record was discarded: it is counted under the last death of the broker that held it, or of its set.
    pub fn discarded(&mut self, holder: NodeId, table: usize, n: usize, row: &Message, now: u64) {
        let end = self.ends.get(table).and_then(|e| e.get(n)).copied().unwrap_or(0);
        // A holder that never died has lost it to a member of its set that came back with less and takes the messages now.
        let set = self.set_of(holder);
        let own = self.crashes.iter().rposition(|c| c.node == holder);
        let which = own.or_else(|| self.crashes.iter().rposition(|c| self.set_of(c.node) == set));
        if let Some(crash) = which.and_then(|which| self.crashes.get_mut(which))
            && answered_ok(row)
        {
            *crash.discarded.entry(crash.lay(end)).or_default() += 1;
            crash.lost_from = crash.lost_from.min(end);
            crash.oldest_lost = crash.oldest_lost.min(row.began());
            crash.newest_lost = crash.newest_lost.max(row.began());
            crash.paid_at.get_or_insert(now);
        }
    }

    /// The time that the lost messages of a death cover (RPO), ns: from the newest message answered SEND_OK that lies before the first lost one in the
    /// log to the death, or to the newest lost one where that came later: by a member that was away, came back with less and took over. Where nothing lies before it, from the oldest lost one. Times are those at which the calls began. 0 when nothing was lost.
    pub fn lost_span(&self, crash: &Crash, ledger: &Ledger, index: &Index) -> u64 {
        let Some(broker) = self.set_of(crash.node).filter(|_| crash.lost_from != u64::MAX) else { return 0 };
        let (mut newest, until) = (None, crash.at.max(crash.newest_lost));
        for (table, rows) in ledger.tables().filter(|(table, _)| !ledger.preloaded(*table)) {
            for (row, end) in rows.iter().zip(self.ends(table)).filter(|(row, end)| **end < crash.lost_from && answered_ok(row)) {
                if *end > 0 && row.began() < until && index.queues[row.queue as usize].mq.broker == broker {
                    newest = newest.max(Some(row.began()));
                }
            }
        }
        until.saturating_sub(newest.unwrap_or(crash.oldest_lost))
    }
}

fn answered_ok(row: &Message) -> bool {
    row.is(Message::ACKED) && row.status() == SendStatus::SendOk && row.is(Message::PLACED) && !row.is(Message::GONE)
}

impl Crash {
    fn lay(&self, end: u64) -> Lay {
        let having = |of: fn(&Copy) -> u64| self.copies.iter().filter(|c| of(c) >= end).count() as u8;
        let in_vain = self.copies.iter().filter(|c| c.committed >= end && c.durable < end && c.vain.0 >= end);
        let vain = in_vain.map(|c| c.vain.1).max().unwrap_or_default();
        Lay { hosts: having(|c| c.committed), disks: having(|c| c.durable.min(c.committed)), vain }
    }
    pub fn discarded_total(&self) -> u64 {
        self.discarded.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{causes, counter, facts_with_slave, law, play_with};

    const SENT: &str = "1 pg-0 began 0; 1 broker-a stored 0 a:0 0 phys=0; 1 pg-0 acked 0 a:0 0; \
        2 pg-0 began 1; 2 broker-a stored 1 a:0 1 phys=100; 2 pg-0 acked 1 a:0 1; \
        3 pg-0 began 2; 3 broker-a stored 2 a:0 2 phys=200; 3 pg-0 acked 2 a:0 2;";

    #[test]
    fn each_state_is_told_apart() {
        let table = [
            ("", "page cache of 1 host 3"),
            ("3.1 broker-a flushed 200;", "disk of 1 host 2, page cache of 1 host 1"),
            ("3.1 broker-a flushed 300; 3.2 broker-a-s replicated 100;", "disk of 1 host 2, 2 hosts, disk of 1 1"),
            ("3.1 broker-a flushed 300; 3.2 broker-a-s replicated 300; 3.3 broker-a-s flushed 300;", "disk of 2 hosts 3"),
            (
                "3.1 broker-a flushed 100; 3.1 broker-a refused 200;",
                "disk of 1 host 1, page cache of 1 host 1, page cache of 1 host (at or behind a failed fsync) 1",
            ),
            ("3.1 broker-a held 300;", "page cache of 1 host (an fsync lied) 3"),
            ("3.1 broker-a held 200; 3.1 broker-a refused 300;", "page cache of 1 host (at or behind a failed fsync) 3"),
            ("3.1 broker-a held 300; 3.2 broker-a flushed 300;", "disk of 1 host 3"),
        ];
        for (notes, expect) in table {
            let script = format!("{SENT} {notes} 4 broker-a killed; 5 broker-a up; 5 broker-a truncated a:0 0");
            let found = play_with(facts_with_slave(), &script);
            assert_eq!(causes(&found, "discarded_send_ok"), expect, "{notes}");
        }
    }

    #[test]
    fn a_buffer_is_no_page_cache() {
        let script = format!(
            "0 broker-a recovered 0 buffered; {SENT} 3.1 broker-a cached 100; 4 broker-a killed; 5 broker-a truncated a:0 1"
        );
        let found = play_with(facts_with_slave(), &script);
        assert_eq!(causes(&found, "discarded_send_ok"), "in the buffer of the process 2");
    }

    #[test]
    fn a_slave_that_takes_over_lacks_what_it_never_got() {
        let script = format!(
            "0 broker-a recovered 0; 0 broker-a serving 0; {SENT} 3.1 broker-a-s replicated 100; 4 broker-a hostlost; \
             9 broker-a-s recovered 100; 9 broker-a-s serving 100"
        );
        let found = play_with(facts_with_slave(), &script);
        assert_eq!(causes(&found, "discarded_send_ok"), "page cache of 1 host 2");
        // An offset that only an earlier copy of a message had is given out again: that is no copy of what is known.
        let again = "0 broker-a recovered 0; 0 broker-a serving 0; 1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 2 broker-a stored 0 a:1 0; \
             4 broker-a hostlost; 9 broker-a-s recovered 0; 9 broker-a-s serving 0; 10 pg-0 began 1; 10 broker-a-s stored 1 a:0 0; \
             10 pg-0 acked 1 a:0 0";
        let found = play_with(facts_with_slave(), again);
        assert_eq!(law(&found, "conservation").detail, "the send of p0#0 never ended", "and nothing about p0#1");
        // What only a replaced master had is gone once: a later death of its successor costs nothing.
        let twice = "0 broker-a recovered 0; 0 broker-a serving 0; 1 pg-0 began 0; 1 broker-a stored 0 a:0 0 phys=0; 1 pg-0 acked 0 a:0 0; \
             2 pg-0 began 1; 2 broker-a stored 1 a:0 1 phys=500; 3 broker-a-s replicated 100; 4 broker-a-s recovered 100; 4 broker-a-s serving 100; \
             5 pg-0 began 2; 5 broker-a-s stored 2 a:0 1 phys=100; 5 pg-0 acked 2 a:0 1; 6 broker-a-s killed; \
             7 broker-a-s recovered 200; 7 broker-a-s serving 200";
        assert_eq!(counter(&play_with(facts_with_slave(), twice), "discarded_send_ok"), Some(0));
        // An empty member that takes over from a living one: what only that one has is gone, by the death that emptied the member.
        let empty = format!(
            "0 broker-a serving 0; {SENT} 3.1 broker-a-s replicated 300; 4 broker-a-s hostlost; 9 broker-a-s recovered 0; 9 broker-a-s serving 0"
        );
        assert_eq!(counter(&play_with(facts_with_slave(), &empty), "discarded_send_ok"), Some(3));
        // The same broker that begins anew has lost nothing by that.
        let again = format!("0 broker-a serving 0; {SENT} 4 broker-a killed; 5 broker-a recovered 300; 5 broker-a serving 300");
        assert_eq!(counter(&play_with(facts_with_slave(), &again), "discarded_send_ok"), Some(0));
    }
}
