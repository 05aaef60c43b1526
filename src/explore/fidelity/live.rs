//! A run of a real cluster as its file tells it: who started when, what struck, and the figures, in the very types that a simulated run has.
//!
//! Decoding into those types is what makes the comparison fair: one function reads both (see `measures`), so a figure cannot be understood in
//! two ways. Keys that are not known are left alone; keys that are missing, and numbers that are none, are errors that name file and place.

use super::SECOND;
use crate::explore::figures::from_seconds;
use crate::run::outcome::{AllocationChange, GroupFigures, MsQuantiles, SecondsSpread, SendFigures, TransactionFigures};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A live file is some kilobytes; this is none.
const MAX_SIZE: u64 = 64 << 20;
/// Threads that send where a run does not say.
const THREADS: i64 = 8;
/// Statuses that a send can end with, as the live summaries spell them.
const STATUSES: [&str; 5] = ["SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "EXC"];

/// Why a live run could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("{path}: cannot list this folder: {source}; give the folder that holds the runs of a real cluster with --live")]
    Folder { path: String, source: std::io::Error },
    #[error("{path}: holds no live run; give the folder that holds files such as broker_kill.1.json with --live")]
    Empty { path: String },
    #[error("{path}: cannot be read: {source}; make it readable or take it out of the folder")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: is larger than a live run can be ({} MiB); take it out of the folder", MAX_SIZE >> 20)]
    Large { path: String },
    #[error("{path}: is not a live run: {source}; expected the form that README.md beside the shipped runs describes")]
    Form { path: String, source: serde_json::Error },
    #[error("{path}: {what}; expected {expected}")]
    Content { path: String, what: String, expected: String },
}

/// A repetition of an experiment.
#[derive(Clone, Debug)]
pub struct Live {
    pub path: String,
    pub experiment: String,
    pub repetition: String,
    /// ns from time 0 until recording stopped.
    pub end: i64,
    pub clients: Vec<Client>,
    pub faults: Vec<Fault>,
    /// Who led from when on, ns from time 0: its brokers were a DLedger group.
    pub leaders: Vec<(i64, String)>,
    pub sends: BTreeMap<String, SendFigures>,
    pub groups: BTreeMap<String, GroupFigures>,
    pub transaction_checks: Option<TransactionFigures>,
    pub shutdowns: Vec<(String, &'static str, f64)>,
}

/// A producer or consumer process.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub node: String,
    pub topic: String,
    pub group: String,
    /// How it was told to run, as the run says it.
    pub options: BTreeMap<String, serde_json::Value>,
    pub producer: bool,
    /// ns from time 0.
    pub start: i64,
    /// Messages a second, and for how many ns; 0 for consumers.
    pub rate: i64,
    pub lasts: i64,
    /// That send, each through its own turn of the queues; 0 where a selector or a single thread decides.
    pub threads: i64,
    pub transactional: bool,
}

#[derive(Clone, Debug)]
pub struct Fault {
    /// ns from time 0.
    pub at: i64,
    /// "kill", "restart", "freeze", "thaw", "shutdown".
    pub what: String,
    pub node: String,
}

impl Client {
    /// Another one of its kind, itself included, that was started within a second of it: they share the machine while they start.
    pub fn starts_beside(&self, other: &Client) -> bool {
        self.producer == other.producer && self.start.abs_diff(other.start) < SECOND.unsigned_abs()
    }
    /// An option as a number, whether the run has it as one or as text.
    pub fn number(&self, option: &str) -> Option<i64> {
        let value = self.options.get(option)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
    pub fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_str()
    }
    /// Whether its listener is an orderly one.
    pub fn is_orderly(&self) -> bool {
        self.text("listen") == Some("orderly")
    }
}

impl Live {
    /// The run names leaders.
    pub fn elected(&self) -> bool {
        !self.leaders.is_empty()
    }
    /// Who led at a moment: the last one named before it, or the first one, who may have been named late.
    pub fn leader_at(&self, at: i64) -> Option<&str> {
        let before = self.leaders.iter().rfind(|l| l.0 <= at);
        before.or(self.leaders.first()).map(|l| l.1.as_str())
    }

    /// When a producer's measured sends begin, ns: the first producer's at time 0 by definition. Others that started before it began a little earlier or later,
    /// and their series tell by how many sends; one that starts later and never succeeds tells with its first failure. `None`: nobody knows, and the scenario says when.
    pub fn first_send(&self, client: &Client) -> Option<i64> {
        let sends = self.sends.get(&client.node);
        if client.start > 0 {
            return from_seconds(sends.filter(|s| s.acked_by_broker_per_10s.is_empty())?.failed_first_s?);
        }
        let first = self.clients.iter().find(|c| c.producer).is_some_and(|c| c.node == client.node);
        Some(sends.filter(|_| !first).map_or(0, |sends| late_by(sends, client)))
    }
}

/// How much later than at time 0 a producer began, negative: earlier, to half the time between two sends: of a load that lasts whole bins and never fails, as many sends
/// lie behind its last bin, or before the first, as it began late or early.
fn late_by(sends: &SendFigures, client: &Client) -> i64 {
    const BIN: i64 = 10 * SECOND;
    let answered: i64 = sends.acked_by_broker_per_10s.values().flatten().map(|n| *n as i64).sum();
    let offered = client.rate.saturating_mul(client.lasts) / SECOND;
    if client.rate == 0 || client.lasts % BIN != 0 || sends.failed_per_10s.iter().any(|n| *n > 0) {
        return 0;
    }
    let bins = (client.lasts / BIN) as usize;
    let behind: i64 =
        sends.acked_by_broker_per_10s.values().flat_map(|bins_of| bins_of.iter().skip(bins)).map(|n| *n as i64).sum();
    let between = SECOND / client.rate;
    let late = match (behind, offered - answered) {
        (behind @ 1.., _) => behind * between - between / 2,
        (_, before @ 1..) => between / 2 - before * between,
        _ => 0,
    };
    // Processes that start together are not seconds apart: whatever is missing then is missing for another reason.
    if late.abs() <= SECOND { late } else { 0 }
}

/// The live files of a folder, by experiment and repetition.
pub fn load_all(dir: &Path) -> Result<BTreeMap<String, Vec<Live>>, LiveError> {
    let folder = |source| LiveError::Folder { path: dir.display().to_string(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(folder)? {
        let path = entry.map_err(folder)?.path();
        // EXPERIMENT.REPETITION.json: what has no repetition is something else.
        let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        if name.ends_with(".json") && name.matches('.').count() == 2 && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(LiveError::Empty { path: dir.display().to_string() });
    }
    let mut all: BTreeMap<String, Vec<Live>> = BTreeMap::new();
    for path in files {
        let live = load(&path)?;
        all.entry(live.experiment.clone()).or_default().push(live);
    }
    Ok(all)
}

fn load(path: &Path) -> Result<Live, LiveError> {
    let name = path.display().to_string();
    let read = |source| LiveError::Read { path: name.clone(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(read)?.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(LiveError::Large { path: name });
    }
    let file: File = serde_json::from_slice(&bytes).map_err(|source| LiveError::Form { path: name.clone(), source })?;
    file.live(name)
}

#[derive(Deserialize)]
struct File {
    experiment: String,
    run: String,
    end_s: f64,
    clients: Vec<FileClient>,
    #[serde(default)]
    faults: Vec<FileFault>,
    #[serde(default)]
    leaders: Vec<FileLeader>,
    sends: BTreeMap<String, FileSends>,
    groups: BTreeMap<String, FileGroup>,
    transaction_checks: Option<FileChecks>,
    #[serde(default)]
    shutdowns: Vec<FileShutdown>,
}

#[derive(Deserialize)]
struct FileClient {
    node: String,
    role: String,
    start_s: f64,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    group: String,
    rate: Option<f64>,
    seconds: Option<f64>,
    #[serde(default)]
    options: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct FileLeader {
    t: f64,
    node: String,
}

#[derive(Deserialize)]
struct FileFault {
    t: f64,
    what: String,
    node: String,
}

#[derive(Deserialize)]
struct FileShutdown {
    node: String,
    what: String,
    t: f64,
}

#[derive(Deserialize)]
struct FileQuantiles {
    #[serde(default)]
    n: u64,
    #[serde(default)]
    min: u64,
    #[serde(default)]
    p50: u64,
    #[serde(default)]
    p90: u64,
    #[serde(default)]
    p99: u64,
    #[serde(default)]
    max: u64,
}

#[derive(Deserialize)]
struct FileSpread {
    #[serde(default)]
    n: u64,
    #[serde(default)]
    min: f64,
    #[serde(default)]
    p50: f64,
    #[serde(default)]
    p90: f64,
    #[serde(default)]
    p99: f64,
    #[serde(default)]
    max: f64,
}

#[derive(Deserialize)]
struct FileStretch {
    n: u64,
    first_s: Option<f64>,
    last_s: Option<f64>,
}

#[derive(Deserialize)]
struct FileSends {
    n: u64,
    status: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    round_trip_ms: FileQuantiles,
    failed_round_trip_ms: FileQuantiles,
    failed_first_s: Option<f64>,
    failed_last_s: Option<f64>,
    slow_over_1s: FileStretch,
    not_send_ok: FileStretch,
    acked_by_broker_per_10s: BTreeMap<String, Vec<u64>>,
    failed_per_10s: Vec<u64>,
    slow_per_10s: Vec<u64>,
    longest_time_without_success_s: Option<f64>,
    longest_time_without_success_by_broker_s: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct FileGroup {
    model: String,
    deliveries: u64,
    distinct: u64,
    duplicates: u64,
    duplicated_messages: u64,
    lost_acked: Option<u64>,
    delivered_but_not_acked: u64,
    unknown: u64,
    latency_ms: FileQuantiles,
    latency_over_1s: u64,
    order_inversions_per_key: u64,
    deliveries_by_consumer_per_10s: BTreeMap<String, Vec<u64>>,
    worst_store_to_listener_s_by_queue: BTreeMap<String, f64>,
    duplicate_deliveries_first_s: Option<f64>,
    duplicate_deliveries_last_s: Option<f64>,
    reconsume_times: BTreeMap<u16, u64>,
    allocations: Vec<FileAllocation>,
    #[serde(default)]
    seconds_before_attempt: BTreeMap<u16, FileSpread>,
    #[serde(default)]
    latency_ms_by_delay_level: BTreeMap<u8, FileQuantiles>,
}

#[derive(Deserialize)]
struct FileAllocation {
    t: f64,
    consumer: String,
    members: u16,
    queues_in_view: u16,
    owned: Vec<String>,
}

#[derive(Deserialize)]
struct FileChecks {
    messages: u64,
    checks: u64,
    more_than_one: u64,
    seconds_to_first_check: FileSpread,
    #[serde(default)]
    at_s: Vec<f64>,
}

impl File {
    fn live(self, path: String) -> Result<Live, LiveError> {
        let content =
            |what: String, expected: &str| LiveError::Content { path: path.clone(), what, expected: expected.to_owned() };
        let moment = |what: &str, s: f64| {
            from_seconds(s).ok_or_else(|| content(format!("{what} is {s}"), "seconds from the first measured send"))
        };
        let mut clients = Vec::new();
        for c in &self.clients {
            let producer = match c.role.as_str() {
                "producer" => true,
                "consumer" => false,
                other => return Err(content(format!("{} has the role {other:?}", c.node), "\"producer\" or \"consumer\"")),
            };
            clients.push(Client {
                node: c.node.clone(),
                topic: c.topic.clone(),
                group: c.group.clone(),
                options: c.options.clone(),
                producer,
                start: moment(&format!("start_s of {}", c.node), c.start_s)?,
                // Casts saturate: a rate that is none bounds nothing.
                rate: c.rate.unwrap_or(0.0).max(0.0) as i64,
                lasts: moment(&format!("seconds of {}", c.node), c.seconds.unwrap_or(0.0))?.max(0),
                threads: match (producer, c.options.contains_key("keys")) {
                    (true, false) => c.options.get("threads").and_then(serde_json::Value::as_i64).unwrap_or(THREADS).max(0),
                    _ => 0,
                },
                transactional: c.options.contains_key("tx"),
            });
        }
        let mut faults = Vec::new();
        for f in self.faults {
            faults.push(Fault { at: moment(&format!("t of {} {}", f.what, f.node), f.t)?, what: f.what, node: f.node });
        }
        let mut leaders = Vec::new();
        for l in self.leaders {
            leaders.push((moment(&format!("t of the leader {}", l.node), l.t)?, l.node));
        }
        let mut shutdowns = Vec::new();
        for s in self.shutdowns {
            let what = match s.what.as_str() {
                "closing" => "closing",
                "closed" => "closed",
                other => return Err(content(format!("the shutdown of {} says {other:?}", s.node), "\"closing\" or \"closed\"")),
            };
            shutdowns.push((s.node, what, s.t));
        }
        let mut sends = BTreeMap::new();
        for (name, figures) in self.sends {
            let unknown = |status: String| {
                content(format!("sends.{name} has the status {status:?}"), &format!("one of {}", STATUSES.join(", ")))
            };
            let figures = figures.figures().map_err(unknown)?;
            sends.insert(name, figures);
        }
        Ok(Live {
            experiment: self.experiment,
            repetition: self.run,
            end: moment("end_s", self.end_s)?,
            clients,
            faults,
            leaders,
            sends,
            groups: self.groups.into_iter().map(|(name, g)| (name, g.figures())).collect(),
            transaction_checks: self.transaction_checks.map(FileChecks::figures),
            shutdowns,
            path,
        })
    }
}

impl FileQuantiles {
    fn figures(&self) -> MsQuantiles {
        MsQuantiles { n: self.n, min: self.min, p50: self.p50, p90: self.p90, p99: self.p99, max: self.max }
    }
}

impl FileSpread {
    fn figures(&self) -> SecondsSpread {
        SecondsSpread { n: self.n, min: self.min, p50: self.p50, p90: self.p90, p99: self.p99, max: self.max }
    }
}

impl FileSends {
    /// The status that is not known is the error.
    fn figures(self) -> Result<SendFigures, String> {
        let mut status = BTreeMap::new();
        for (name, n) in self.status {
            match STATUSES.iter().find(|s| **s == name) {
                Some(known) => status.insert(*known, n),
                None => return Err(name),
            };
        }
        Ok(SendFigures {
            n: self.n,
            status,
            errors: self.errors,
            round_trip_ms: self.round_trip_ms.figures(),
            failed_round_trip_ms: self.failed_round_trip_ms.figures(),
            failed_first_s: self.failed_first_s,
            failed_last_s: self.failed_last_s,
            slow_over_1s: self.slow_over_1s.n,
            slow_first_s: self.slow_over_1s.first_s,
            slow_last_s: self.slow_over_1s.last_s,
            not_send_ok: self.not_send_ok.n,
            not_send_ok_first_s: self.not_send_ok.first_s,
            not_send_ok_last_s: self.not_send_ok.last_s,
            acked_by_broker_per_10s: self.acked_by_broker_per_10s,
            failed_per_10s: self.failed_per_10s,
            slow_per_10s: self.slow_per_10s,
            longest_time_without_success_s: self.longest_time_without_success_s,
            longest_time_without_success_by_broker_s: self.longest_time_without_success_by_broker_s,
            ..SendFigures::default()
        })
    }
}

impl FileGroup {
    fn figures(self) -> GroupFigures {
        let change = |a: FileAllocation| AllocationChange {
            t: a.t,
            consumer: a.consumer,
            members: a.members,
            queues_in_view: a.queues_in_view,
            owned: a.owned,
        };
        GroupFigures {
            model: if self.model == "broadcasting" { "broadcasting" } else { "clustering" },
            deliveries: self.deliveries,
            distinct: self.distinct,
            duplicates: self.duplicates,
            duplicated_messages: self.duplicated_messages,
            lost_acked: self.lost_acked,
            delivered_but_not_acked: self.delivered_but_not_acked,
            unknown: self.unknown,
            latency_ms: self.latency_ms.figures(),
            latency_over_1s: self.latency_over_1s,
            order_inversions_per_key: self.order_inversions_per_key,
            deliveries_by_consumer_per_10s: self.deliveries_by_consumer_per_10s,
            worst_store_to_listener_s_by_queue: self.worst_store_to_listener_s_by_queue,
            duplicate_deliveries_first_s: self.duplicate_deliveries_first_s,
            duplicate_deliveries_last_s: self.duplicate_deliveries_last_s,
            reconsume_times: self.reconsume_times,
            allocations: self.allocations.into_iter().map(change).collect(),
            seconds_before_attempt: self.seconds_before_attempt.iter().map(|(k, s)| (*k, s.figures())).collect(),
            latency_ms_by_delay_level: self.latency_ms_by_delay_level.iter().map(|(k, q)| (*k, q.figures())).collect(),
            ..GroupFigures::default()
        }
    }
}

impl FileChecks {
    fn figures(self) -> TransactionFigures {
        TransactionFigures {
            messages_checked: self.messages,
            checks: self.checks,
            more_than_one: self.more_than_one,
            seconds_to_first_check: self.seconds_to_first_check.figures(),
            check_times_s: self.at_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(node: &str, start: i64) -> Client {
        let second = 1_000_000_000;
        Client { node: node.into(), producer: true, start, rate: 10, lasts: 20 * second, threads: 8, ..Client::default() }
    }

    #[test]
    fn series_tell_when_a_producer_began() {
        // Bins of 10 s of two brokers, failures by bin; by how many ms the producer is late.
        type Line<'a> = (&'a [u64], &'a [u64], &'a [u64], i64);
        let table: [Line<'_>; 6] = [
            (&[50, 50], &[50, 50], &[0, 0], 0),
            (&[50, 50, 1], &[50, 48, 1], &[], 150),
            (&[47, 50], &[50, 50], &[], -250),
            (&[47, 50], &[50, 50], &[0, 3], 0),
            (&[50, 50], &[], &[], 0),
            (&[], &[], &[], 0),
        ];
        for (a, b, failed, ms) in table {
            let acked = BTreeMap::from([("a".to_owned(), a.to_vec()), ("b".to_owned(), b.to_vec())]);
            let sends = SendFigures { acked_by_broker_per_10s: acked, failed_per_10s: failed.to_vec(), ..SendFigures::default() };
            assert_eq!(late_by(&sends, &producer("p2", -5)), ms * 1_000_000, "{a:?} {b:?} {failed:?}");
        }
    }

    #[test]
    fn the_first_producer_is_time_zero_and_a_late_one_tells_by_its_failure() {
        let acked = BTreeMap::from([("a".to_owned(), vec![100, 97, 3])]);
        let well = SendFigures { acked_by_broker_per_10s: acked, ..SendFigures::default() };
        let failing = SendFigures { failed_first_s: Some(42.5), ..SendFigures::default() };
        let live = Live {
            path: String::new(),
            experiment: String::new(),
            repetition: String::new(),
            end: 0,
            clients: vec![producer("p1", -5), producer("p2", -5), producer("p3", 40)],
            faults: Vec::new(),
            leaders: Vec::new(),
            sends: [("p1".to_owned(), well.clone()), ("p2".to_owned(), well), ("p3".to_owned(), failing)].into(),
            groups: BTreeMap::new(),
            transaction_checks: None,
            shutdowns: Vec::new(),
        };
        let found: Vec<Option<i64>> = live.clients.iter().map(|c| live.first_send(c)).collect();
        assert_eq!(found, [Some(0), Some(250_000_000), Some(42_500_000_000)]);
        assert_eq!(live.first_send(&producer("p4", 40)), None);
    }
}
