//! The counters: one table that says what each is, and the book that they are written into.
//!
//! The table validates expectations before a run and documents reports after it. A counter exists once for the whole run and, where it makes
//! sense, once for each group (`lost@cg`) or producer (`sent@pg-0`). The whole is the sum of its parts, or the worst of them for durations and
//! maxima; quantiles are taken over everything together.

use crate::run::outcome::{Counter, Unit};
use std::collections::BTreeMap;

/// For whom a counter exists, besides the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Run,
    /// `name@group`, by group name.
    Group,
    /// `name@producer`, by the producer's node name.
    Producer,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct CounterDoc {
    pub name: &'static str,
    pub unit: Unit,
    pub scope: Scope,
    pub meaning: &'static str,
}

const fn doc(name: &'static str, unit: Unit, scope: Scope, meaning: &'static str) -> CounterDoc {
    CounterDoc { name, unit, scope, meaning }
}

use Scope::{Group as G, Producer as P, Run as R};
use Unit::{Count, Duration, QueueTime};

/// Every counter, in the order in which reports list them.
static TABLE: &[CounterDoc] = &[
    doc("sent", Count, P, "calls of send that began"),
    doc("acked", Count, P, "sends answered with any status"),
    doc("acked_send_ok", Count, P, "sends answered SEND_OK"),
    doc("acked_flush_disk_timeout", Count, P, "sends answered FLUSH_DISK_TIMEOUT"),
    doc("acked_flush_slave_timeout", Count, P, "sends answered FLUSH_SLAVE_TIMEOUT"),
    doc("acked_slave_not_available", Count, P, "sends answered SLAVE_NOT_AVAILABLE"),
    doc("failed_sends", Count, P, "calls that threw, by error and broker of the last attempt; refused and unknown together"),
    doc("refused_sends", Count, P, "calls that threw, and no attempt can have been stored"),
    doc(
        "unknown_sends",
        Count,
        P,
        "calls whose message may have been stored although nobody was told so; includes calls cut off by the death of their process",
    ),
    doc("send_retries", Count, P, "attempts beyond the first of each call"),
    doc("not_offered", Count, P, "messages that fell due while their producer was down"),
    doc("sends_over_1s", Count, P, "answered sends that took 1 s or more"),
    doc(
        "longest_time_without_success",
        Duration,
        P,
        "between two answers, from the first call to the first answer, or from the last answer to the last failure, or to the end of the load while calls are open",
    ),
    doc(
        "last_failed_send",
        Duration,
        P,
        "from the first fault to the beginning of the last call that threw; 0 if none did after it",
    ),
    doc(
        "rto",
        Duration,
        P,
        "longest time from a strike (kill, host loss, freeze, stop, cut, a lost majority or slave, a slow or full disk) at the broker that took a set's messages until this producer, which had used the set, was answered there again as well as before; up to the end of the load; by stage",
    ),
    doc("send_latency_p50", Duration, P, "from the beginning of an answered send to its answer"),
    doc("send_latency_p90", Duration, P, "the same, 90th percentile"),
    doc("send_latency_p99", Duration, P, "the same, 99th percentile"),
    doc("send_latency_max", Duration, P, "the same, longest"),
    doc("deliveries", Count, G, "entries of a message into a listener"),
    doc("delivered", Count, G, "messages delivered at least once (by member in broadcasting groups)"),
    doc(
        "lost",
        Count,
        G,
        "acknowledged (or preloaded) and owed to a clustering group, but not delivered to it by the end of the run; by send status and reason; no value where nothing was owed",
    ),
    doc(
        "missed",
        Count,
        G,
        "acknowledged (or preloaded) messages that a member of a broadcasting group did not get by the end of the run, since the group's first member began; by member",
    ),
    doc("lost_at_load_end", Count, G, "the same as of the end of the load: includes what was still under way then"),
    doc("duplicates", Count, G, "deliveries of a message that the group had got and did not ask for again, by cause"),
    doc("redelivered_on_request", Count, G, "deliveries that the listener asked for by failing the one before"),
    doc(
        "delivered_though_refused",
        Count,
        G,
        "messages delivered whose send threw (delivered_but_not_acked of the live summaries)",
    ),
    doc("skipped", Count, G, "stored and owed, below the group's committed offset, never delivered"),
    doc("order_inversions_per_key", Count, G, "first deliveries after a later message of the same key"),
    doc(
        "order_inversions_per_queue",
        Count,
        G,
        "first deliveries below the queue's highest so far; for orderly groups also starts while another process was still in the queue",
    ),
    doc(
        "reordered",
        Count,
        G,
        "deliveries of keyed messages, unwanted copies included, after a later one of the key or before the previous one had left its listener",
    ),
    doc(
        "deliveries_over_1s",
        Count,
        G,
        "first deliveries 1 s or more after the message was due (after the end of its delay, for a delayed one); preloaded messages aside",
    ),
    doc("deliveries_early", Count, G, "first deliveries of delayed messages 1 s or more before the end of their delay"),
    doc("delivery_latency_p50", Duration, G, "from the moment a message was due to its first entry into a listener"),
    doc("delivery_latency_p90", Duration, G, "the same, 90th percentile"),
    doc("delivery_latency_p99", Duration, G, "the same, 99th percentile"),
    doc("delivery_latency_max", Duration, G, "the same, longest"),
    doc(
        "longest_stall",
        Duration,
        G,
        "longest time a queue had stored, undelivered, uncommitted messages for a clustering group and the group got none of it; by queue",
    ),
    doc(
        "rto_deliveries",
        Duration,
        G,
        "longest time from such a strike until the group was delivered something that was pulled from a queue of the set after its return; up to the end of the run; by stage",
    ),
    doc(
        "unowned_queue_time",
        QueueTime,
        G,
        "time queues of subscribed topics had no owner, from time 0 to the end of the load; by reason",
    ),
    doc("overlap_queue_time", QueueTime, G, "time queues had more than one owner, from time 0 to the end of the load"),
    doc(
        "frozen_owner_queue_time",
        QueueTime,
        G,
        "time queues had owners, all of them frozen; from time 0 to the end of the load",
    ),
    doc("queue_moves", Count, G, "assignments of a queue to another member than before, from time 0 to the end of the load"),
    doc("queue_imbalance", Count, G, "most minus fewest queues of a living member, at the end of the load"),
    doc(
        "rebalance_converge",
        Duration,
        G,
        "longest time from a change of members or brokers until every queue had one awake holder; up to the end of the load",
    ),
    doc(
        "takeover",
        Duration,
        G,
        "longest time from the death or freeze of a member until a queue it held had a new owner; by queue",
    ),
    doc("ghost_members", Count, G, "most members in a list beyond those alive"),
    doc("offset_rollbacks", Count, G, "times a committed offset went back, by cause"),
    doc("offset_rollback_messages", Count, G, "messages by which committed offsets went back, by cause"),
    doc("retries_sent_back", Count, G, "failed messages that a broker took back for another try"),
    doc("dead_letters", Count, G, "messages put into the dead-letter topic"),
    doc(
        "given_up",
        Count,
        G,
        "failed messages that will not come again though they are no dead letters: of broadcasting groups, or because retryQueueNums is 0",
    ),
    doc(
        "pulls_in_vain",
        Count,
        G,
        "pulls answered with nothing, for the offset they asked for, and with the order to ask again at once (PULL_RETRY_IMMEDIATELY)",
    ),
    doc("backlog_end", Count, G, "records of ordinary queues stored but not committed at the end"),
    doc("peak_backlog", Count, G, "the highest backlog of the group's ordinary queues together"),
    doc("ghosts", Count, R, "messages delivered, whose record recovery then discarded"),
    doc(
        "diverged_replicas",
        Count,
        R,
        "brokers whose log at the end is no prefix of the one that serves their set: other bytes, or more records",
    ),
    doc(
        "discarded_send_ok",
        Count,
        R,
        "messages answered SEND_OK whose record recovery discarded, or that the broker which took over did not have; by the best state they had when their broker died",
    ),
    doc(
        "rpo",
        Duration,
        R,
        "longest time that the lost messages of one death cover: from the newest message answered SEND_OK that lies before the first lost one to the death of the broker that took its set's messages; 0 if none is lost",
    ),
    doc("rpo_messages", Count, R, "most messages answered SEND_OK that one such death cost"),
    doc("busy_answers", Count, R, "requests answered SYSTEM_BUSY or the like, by code"),
    doc(
        "disk_full_time",
        Duration,
        R,
        "time brokers took no messages because their disk was too full (DISK_FULL), summed over the brokers",
    ),
    doc("log_files_deleted", Count, R, "files of commit logs that brokers deleted, by broker and reason"),
    doc(
        "paused_time",
        Duration,
        R,
        "time hosts stood still (`pauses`), from the beginning of the run, summed over the hosts; by host",
    ),
    doc(
        "route_removal",
        Duration,
        R,
        "longest time from the death or freeze of a broker until a nameserver forgot it, or took another master of its name; up to the end of the load",
    ),
    doc(
        "stale_route",
        Duration,
        R,
        "longest time from the death or freeze of a master until a living client's publish routes dropped it, or had another master of its name; up to the end of the load",
    ),
    doc(
        "avoided_broker_time",
        Duration,
        R,
        "time clients kept brokers aside by their latency-fault table, summed over clients, from time 0 to the end of the load; by broker; 0 when sendLatencyFaultEnable is off",
    ),
    doc("transaction_checks", Count, R, "checks of half messages at their producers"),
];

/// The table.
pub fn known_counters() -> &'static [CounterDoc] {
    TABLE
}

/// The line for a name, with or without `@entity`; `None` if no such counter can exist.
pub fn describe(name: &str) -> Option<&'static CounterDoc> {
    let (base, entity) = name.split_once('@').map_or((name, None), |(base, entity)| (base, Some(entity)));
    TABLE.iter().find(|d| d.name == base && (entity.is_none() || d.scope != Scope::Run))
}

/// A value with its causes.
pub type Entry = (Option<i64>, Vec<(String, i64)>);

/// Causes that a counter lists at most.
const CAUSES: usize = 16;

/// Collects counters in any order and gives them back in the table's.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    rows: Vec<(usize, usize, Counter)>,
    /// The order in which entities were first named.
    ranks: BTreeMap<String, usize>,
}

impl Book {
    /// Writes a counter. The name must be in the table.
    pub(super) fn put(&mut self, name: &'static str, entity: Option<&str>, (value, mut causes): Entry) {
        let line = TABLE.iter().position(|d| d.name == name).unwrap_or_else(|| unreachable!("{name} is not in the table"));
        causes.retain(|c| c.1 != 0);
        causes.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        causes.truncate(CAUSES);
        let rank = entity.map_or(0, |entity| match self.ranks.get(entity) {
            Some(rank) => *rank,
            None => {
                let rank = self.ranks.len() + 1;
                self.ranks.insert(entity.to_owned(), rank);
                rank
            }
        });
        let name = entity.map_or_else(|| name.to_owned(), |entity| format!("{name}@{entity}"));
        self.rows.push((rank, line, Counter { name, value, unit: TABLE[line].unit, causes }));
    }

    /// The whole run first, then entity by entity as they were first named.
    pub(super) fn counters(mut self) -> Vec<Counter> {
        self.rows.sort_by_key(|row| (row.0, row.1));
        self.rows.into_iter().map(|row| row.2).collect()
    }
}

/// The sum of those that have a value.
pub(super) fn sum(parts: &[(String, Entry)]) -> Entry {
    let values: Vec<i64> = parts.iter().filter_map(|p| p.1.0).collect();
    ((!values.is_empty()).then(|| values.iter().sum()), merged(parts))
}

/// The largest of those that have a value.
pub(super) fn worst(parts: &[(String, Entry)]) -> Entry {
    let named = parts.len() > 1;
    let mut causes = Vec::new();
    for (entity, (_, of)) in parts {
        causes.extend(of.iter().map(|(cause, n)| (if named { format!("{entity}: {cause}") } else { cause.clone() }, *n)));
    }
    (parts.iter().filter_map(|p| p.1.0).max(), causes)
}

/// Causes of the same name added up.
fn merged(parts: &[(String, Entry)]) -> Vec<(String, i64)> {
    let mut causes = BTreeMap::new();
    for (cause, n) in parts.iter().flat_map(|p| &p.1.1) {
        *causes.entry(cause.clone()).or_insert(0) += n;
    }
    causes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script::{counter, play, sent};

    #[test]
    fn every_counter_is_documented_and_every_document_is_a_counter() {
        let found = play(&sent(0..1));
        let whole: Vec<&str> = found.counters.iter().map(|c| c.name.as_str()).filter(|n| !n.contains('@')).collect();
        let documented: Vec<&str> = known_counters().iter().map(|d| d.name).collect();
        assert_eq!(whole, documented, "in the table's order");
        for c in &found.counters {
            let doc = describe(&c.name).unwrap_or_else(|| panic!("{} is not documented", c.name));
            assert_eq!(doc.unit, c.unit);
            let entity = c.name.split_once('@').map(|n| n.1);
            assert!(
                matches!((doc.scope, entity), (_, None) | (Scope::Group, Some("cg")) | (Scope::Producer, Some("pg-0"))),
                "{}",
                c.name
            );
        }
        assert!(describe("ghosts@cg").is_none() && describe("lost@cg").is_some() && describe("lots").is_none());
    }

    /// A line a counter: what was planted, and what it must come to.
    #[test]
    fn what_is_planted_is_counted() {
        let s = sent(0..2);
        let one = |extra: &str| format!("-5 c1 assigned a:0 0; {s} {extra}");
        let table: &[(&str, String, i64)] = &[
            ("sent", one("5 pg-0 began 9"), 3),
            ("acked", one(""), 2),
            (
                "acked_slave_not_available",
                one("5 pg-0 began 9; 5 broker-a stored 9 a:0 2; 5 pg-0 acked 9 a:0 2 SLAVE_NOT_AVAILABLE"),
                1,
            ),
            ("refused_sends", one("5 pg-0 began 9; 6 pg-0 failed 9"), 1),
            ("unknown_sends@pg-0", one("5 pg-0 began 9; 6 pg-0 died 9"), 1),
            ("failed_sends", one("5 pg-0 began 9; 6 pg-0 died 9"), 0),
            ("send_retries", one("5 pg-0 began 9; 6 pg-0 failed 9"), 2),
            ("not_offered", one("5 pg-0 notoffered 9"), 1),
            ("last_failed_send", one("4 broker-a fault 0 1; 5 pg-0 began 9; 6 pg-0 failed 9"), 1_000_000_000),
            ("last_failed_send", one("4 broker-a fault 0 1"), 0),
            ("send_latency_max", one("5 pg-0 began 9; 5 broker-a stored 9 a:0 2; 7 pg-0 acked 9 a:0 2"), 2_000_000_000),
            ("deliveries", one("5 c1 entered 0 a:0 0; 6 c1 entered 0 a:0 0"), 2),
            ("delivered@cg", one("5 c1 entered 0 a:0 0; 6 c1 entered 0 a:0 0"), 1),
            (
                "delivery_latency_max",
                "1 pg-0 began 0 late=2; 1 broker-a stored 0 a:0 0; 1 pg-0 acked 0 a:0 0; 2 c1 entered 0 a:0 0".to_owned(),
                3_000_000_000,
            ),
            (
                "deliveries_over_1s",
                "1 pg-0 began 0 late=2; 1 broker-a stored 0 a:0 0; 1 pg-0 acked 0 a:0 0; 2 c1 entered 0 a:0 0; \
                 2 pg-0 began 1; 2 broker-a stored 1 a:0 1; 2 pg-0 acked 1 a:0 1; 2.9 c1 entered 1 a:0 1; 5 c1 entered 1 a:0 1"
                    .to_owned(),
                1,
            ),
            ("delivery_latency_p99@cg", one("2 c1 entered 0 a:0 0; 2 c1 entered 1 a:0 1"), 1_000_000_000),
            ("retries_sent_back", one("5 broker-a sentback 0"), 1),
            ("dead_letters", one("5 broker-a sentback 0 dead"), 1),
            ("given_up", one("5 c1 givenup 0"), 1),
            ("pulls_in_vain@cg", one("5 c1 invain; 6 c1 invain"), 2),
            ("busy_answers", one("5 broker-a busy; 6 broker-a busy"), 2),
            ("backlog_end", one("5 broker-a committed a:0 1"), 1),
            ("peak_backlog", one("5 broker-a committed a:0 2"), 2),
            ("queue_imbalance", one("-5 c1 assigned b:0 0; -5 c2 assigned b:1 0"), 2),
            ("transaction_checks", one("5 pg-0 checked 0"), 1),
        ];
        for (name, script, value) in table {
            assert_eq!(counter(&play(script), name), Some(*value), "{name}: {script}");
        }
    }
}
