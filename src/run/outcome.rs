//! What a run amounts to: plain data that every report is written from. Nothing here refers to the world.
//!
//! The figures of producers and groups have the names and the shape of the live summaries, so that the two can be laid
//! side by side.

use std::collections::BTreeMap;

/// Three-valued: a check that compared nothing, or a run that could not drain, is unknown, never pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Pass,
    Unknown,
    Fail,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub header: Header,
    pub verdict: Verdict,
    /// Laws: hold in every run, whatever is expected.
    pub laws: Vec<CheckResult>,
    pub expectations: Vec<ExpectationResult>,
    /// Every counter, in a fixed order.
    pub counters: Vec<Counter>,
    pub faults: Vec<FaultReport>,
    /// By producer node name.
    pub sends: BTreeMap<String, SendFigures>,
    /// By group name.
    pub groups: BTreeMap<String, GroupFigures>,
    pub outages: Vec<Outage>,
    /// Deaths of brokers, in order.
    pub crashes: Vec<CrashReport>,
    /// Outages of broker sets by a strike at the broker that served them, in order.
    pub recoveries: Vec<Recovery>,
    pub series: Series,
    /// (node, "closing" or "closed", second): a client began or ended its shutdown.
    pub shutdowns: Vec<(String, &'static str, f64)>,
    pub transaction_checks: Option<TransactionFigures>,
    /// Remarks that a reader must not miss: faults that touched nothing, an interrupted run.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Header {
    pub scenario: String,
    pub question: String,
    pub rocketmq: String,
    pub seed: u64,
    pub tie_seed: u64,
    pub digest: u64,
    pub events: u64,
    /// ns, from the beginning of the warm-up to the end of the run.
    pub simulated: u64,
    /// ns of warm-up: time 0 of the scenario lies here.
    pub zero: u64,
    /// ns from the beginning: end of the load and end of the run.
    pub load_end: u64,
    pub end: u64,
    /// The run was stopped from outside before its end.
    pub interrupted: bool,
    /// It ended because nothing was left to do, and everything had drained.
    pub drained: bool,
    /// Arguments that differ from the file, for the command that repeats the run ("--seed 7", "--set ...").
    pub arguments: Vec<String>,
    /// Path of the scenario as the user gave it.
    pub path: String,
}

/// One law, or another check that is always on.
#[derive(Clone, Debug)]
pub struct CheckResult {
    pub name: &'static str,
    pub verdict: Verdict,
    /// How many comparisons were made.
    pub compared: u64,
    /// First violation, or why it is unknown.
    pub detail: String,
}

#[derive(Clone, Debug)]
pub struct ExpectationResult {
    pub counter: String,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub got: Option<i64>,
    pub unit: Unit,
    pub verdict: Verdict,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    /// Nanoseconds.
    Duration,
    /// Queue-nanoseconds: nanoseconds summed over queues.
    QueueTime,
    /// Thousandths.
    Ratio,
}

/// One figure of the run.
#[derive(Clone, Debug)]
pub struct Counter {
    /// "lost", "lost@cg".
    pub name: String,
    /// `None`: nothing was there to count (no success at all, no such group).
    pub value: Option<i64>,
    pub unit: Unit,
    /// Split by cause, largest first.
    pub causes: Vec<(String, i64)>,
}

#[derive(Clone, Debug)]
pub struct FaultReport {
    pub label: String,
    /// Seconds from time 0.
    pub from_s: f64,
    pub until_s: Option<f64>,
    /// Processes, connections and frames it met. 0 is reported.
    pub touched: u64,
}

/// A death of a broker: how messages answered SEND_OK lay then, and which of them are gone.
#[derive(Clone, Debug)]
pub struct CrashReport {
    /// "broker-a:0 killed", "host of broker-a:0 lost".
    pub what: String,
    /// Seconds from time 0.
    pub at_s: f64,
    /// "disk of 1 host": how many, the least safe first.
    pub answered: Vec<(String, u64)>,
    pub discarded: Vec<(String, u64)>,
    /// When its set came back, if this broker took its messages: what was reached, and seconds since the death. [`Recovery`] tells it in stages.
    pub back: Vec<(&'static str, f64)>,
    /// What its next life read of its log.
    pub read: Option<LogRead>,
}

/// What a broker read of its log before it served.
#[derive(Clone, Copy, Debug)]
pub struct LogRead {
    /// The life before did not end in order: from the file that the checkpoint allows; else from the last three files.
    pub abnormal: bool,
    /// Physical offset.
    pub from: u64,
    pub bytes: u64,
}

/// An outage of a broker set: how long each client of it was away, and what for.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// "broker-a:0 killed", "host of broker-a:0 lost", "broker-a:0 frozen", "broker-a:0 stopped", "broker-a:0 cut off", "broker-a:0 leads no longer",
    /// "broker-a:0 without a majority", "broker-a:0 without a slave", "disk of broker-a:0 slow", "disk of broker-a:0 full".
    pub what: String,
    pub set: String,
    /// Seconds from time 0.
    pub at_s: f64,
    /// Further strikes at whoever served the set, before everybody was back.
    pub struck_again: u64,
    /// The set, until its first client was answered.
    pub itself: Waited,
    /// The broker's process died of it: RPO is a question.
    pub died: bool,
    /// Producers that had used the set, the worst first.
    pub senders: Vec<Waited>,
    /// Queues of the set, by group, the worst first.
    pub queues: Vec<Waited>,
    /// What the death cost; `None`: nothing died, or nobody has taken the set's messages since.
    pub rpo: Option<Rpo>,
}

impl Recovery {
    /// The worst and the median row, the better one of two in the middle; `None` where nobody waited.
    pub fn worst_and_median(rows: &[Waited]) -> Option<(&Waited, &Waited)> {
        Some((rows.first()?, rows.get(rows.len() / 2)?))
    }
}

/// Acknowledged messages that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpo {
    pub messages: u64,
    /// ns from the newest one that survived to the death.
    pub span: u64,
}

/// Somebody's part of an outage.
#[derive(Clone, Debug)]
pub struct Waited {
    /// "pg-0", "cg broker-a:2".
    pub who: String,
    /// ns from the strike to the first answer or delivery, or to the end of what was measured.
    pub outage: u64,
    /// It came to an end.
    pub over: bool,
    /// They sum to the outage.
    pub stages: Vec<StageReport>,
    /// Of a producer: longest time between two answers of any set meanwhile, ns.
    pub without_any: Option<u64>,
    /// Of a producer: each queue of the set that had answered it, and after how many ns it did so again.
    pub by_queue: Vec<(String, Option<u64>)>,
    /// Of a queue whose set has another broker: messages that pulls brought before somebody took the set's messages again.
    pub meanwhile: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct StageReport {
    /// "elected", "route refreshed": what ended it.
    pub name: &'static str,
    /// ns
    pub took: u64,
    /// The timer or event that it waits for: "pollNameServerInterval 30 s". May be empty.
    pub waits_for: String,
}

/// Quantiles of whole milliseconds, as the live summaries have them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MsQuantiles {
    pub n: u64,
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

/// `sends.<producer>` of a live summary.
#[derive(Clone, Debug, Default)]
pub struct SendFigures {
    pub n: u64,
    pub status: BTreeMap<&'static str, u64>,
    pub errors: BTreeMap<String, u64>,
    pub round_trip_ms: MsQuantiles,
    pub failed_round_trip_ms: MsQuantiles,
    pub failed_first_s: Option<f64>,
    pub failed_last_s: Option<f64>,
    pub slow_over_1s: u64,
    pub slow_first_s: Option<f64>,
    pub slow_last_s: Option<f64>,
    pub not_send_ok: u64,
    pub not_send_ok_first_s: Option<f64>,
    pub not_send_ok_last_s: Option<f64>,
    pub acked_by_broker_per_10s: BTreeMap<String, Vec<u64>>,
    pub failed_per_10s: Vec<u64>,
    pub slow_per_10s: Vec<u64>,
    pub longest_time_without_success_s: Option<f64>,
    pub longest_time_without_success_by_broker_s: BTreeMap<String, f64>,
    /// The counter `longest_time_without_success`, and the same by broker, stretches that lasted to the end of the load included.
    pub without_answer_s: Option<f64>,
    pub without_answer_by_broker_s: BTreeMap<String, f64>,
    /// Failed calls by broker of the last attempt and cause. The broker that cost a call its time may be another one.
    pub failed_by_broker: BTreeMap<String, BTreeMap<String, u64>>,
    /// Attempts that no broker acknowledged, by broker: those of calls that a later attempt saved, too.
    pub failed_attempts_by_broker: BTreeMap<String, u64>,
}

/// `groups.<group>` of a live summary, and what only a simulator can know.
#[derive(Clone, Debug, Default)]
pub struct GroupFigures {
    pub model: &'static str,
    pub orderly: bool,
    pub deliveries: u64,
    pub distinct: u64,
    pub duplicates: u64,
    pub duplicated_messages: u64,
    /// `None` for broadcasting groups, as in the live summaries.
    pub lost_acked: Option<u64>,
    /// Part of it that no waiting would bring: the committed offset has passed it, or recovery discarded it.
    pub lost_for_good: u64,
    pub delivered_but_not_acked: u64,
    pub unknown: u64,
    pub latency_ms: MsQuantiles,
    pub latency_over_1s: u64,
    pub order_inversions_per_key: u64,
    pub deliveries_by_consumer_per_10s: BTreeMap<String, Vec<u64>>,
    pub worst_store_to_listener_s_by_queue: BTreeMap<String, f64>,
    pub duplicate_deliveries_first_s: Option<f64>,
    pub duplicate_deliveries_last_s: Option<f64>,
    pub reconsume_times: BTreeMap<u16, u64>,
    pub allocations: Vec<AllocationChange>,
    /// By attempt number: seconds between attempt k-1 and k.
    pub seconds_before_attempt: BTreeMap<u16, SecondsSpread>,
    pub latency_ms_by_delay_level: BTreeMap<u8, MsQuantiles>,
    /// Stored, not yet committed by the group, at the end.
    pub backlog_by_queue: BTreeMap<String, u64>,
    /// Age of the oldest uncommitted message at the end, s.
    pub oldest_by_queue_s: BTreeMap<String, f64>,
    /// Part of the backlog that nobody has got, and the age of its oldest, s; the rest only waits for the next commit.
    pub undelivered_by_queue: BTreeMap<String, u64>,
    pub oldest_undelivered_by_queue_s: BTreeMap<String, f64>,
    pub peak_backlog: u64,
}

#[derive(Clone, Debug)]
pub struct AllocationChange {
    pub t: f64,
    pub consumer: String,
    pub members: u16,
    pub queues_in_view: u16,
    pub owned: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SecondsSpread {
    pub n: u64,
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Clone, Debug, Default)]
pub struct TransactionFigures {
    pub messages_checked: u64,
    pub checks: u64,
    /// Messages that were checked more than once.
    pub more_than_one: u64,
    pub seconds_to_first_check: SecondsSpread,
    pub check_times_s: Vec<f64>,
}

/// A stretch in which something that should work did not.
#[derive(Clone, Debug)]
pub struct Outage {
    /// "sends of pg-0 to broker-b", "delivery of orders broker-b:2 to cg".
    pub what: String,
    pub from_s: f64,
    /// `None`: it lasted to the end of the run. Sends cannot fail after the load: theirs end with it at the latest.
    pub until_s: Option<f64>,
    /// The deadline or event that ended it: "route poll of pg-0 (pollNameServerInterval 30 s)".
    pub ended_by: String,
}

/// What the charts draw.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Deliveries, thinned: seconds of delivery, latency in ms, 0 first delivery / 1 duplicate.
    pub deliveries: Vec<(f64, f64, u8)>,
    /// Sends, thinned: second of the call's beginning, ms it took, 0 acked / 1 unknown / 2 failed.
    pub sends: Vec<(f64, f64, u8)>,
    /// Per second: p50, p99, max of delivery latency in ms (only seconds with deliveries).
    pub delivery_quantiles: Vec<(f64, f64, f64, f64)>,
    /// Ownership by group and queue.
    pub ownership: Vec<OwnershipRow>,
    /// Backlog by group: (second, messages).
    pub backlog: BTreeMap<String, Vec<(f64, u64)>>,
}

/// A row of the ownership Gantt.
#[derive(Clone, Debug)]
pub struct OwnershipRow {
    pub group: String,
    pub queue: String,
    /// (from, until, owners): consumer names; empty = unowned, more than one = overlap. Only from the first owner on.
    pub spans: Vec<(f64, f64, Vec<String>)>,
}
