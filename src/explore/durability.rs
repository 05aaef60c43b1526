//! What a broker's settings are worth: messages answered SEND_OK that are gone, by setting and fault, over many seeds.
//!
//! A master and its slave on two hosts, or a DLedger group on three, take a steady load; at 20 s a fault strikes. Each cell of the matrix is that stage with one setting and
//! one fault, run under every seed, so that the phases of the flush and transfer timers vary. Beside what was measured stands what RocketMQ's rules allow (server spec 4.9,
//! 10.4 and 16): a bound that follows from intervals and rates alone, and whether the loss must show at all. A cell that breaks its bound is a failure of the
//! simulator or of the rule.

use super::runs::{self, Crew, Seeds};
use crate::scenario::{self, Loaded, Overrides, ScenarioErrors};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

/// `flushDiskType`, `transientStorePoolEnable` and `brokerRole`: a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    pub sync_flush: bool,
    pub pool: bool,
    pub sync_master: bool,
    /// A DLedger group of three instead: the other settings mean nothing to it.
    pub dledger: bool,
}

impl Mode {
    const fn of(sync_flush: bool, pool: bool, sync_master: bool) -> Mode {
        Mode { sync_flush, pool, sync_master, dledger: false }
    }
    pub const ALL: [Mode; 7] = [
        Mode::of(false, true, false),
        Mode::of(false, false, false),
        Mode::of(true, false, false),
        Mode::of(false, true, true),
        Mode::of(false, false, true),
        Mode::of(true, false, true),
        Mode { dledger: true, ..Mode::of(false, false, false) },
    ];

    pub fn flush_disk_type(self) -> &'static str {
        if self.sync_flush { "SYNC_FLUSH" } else { "ASYNC_FLUSH" }
    }
    pub fn broker_role(self) -> &'static str {
        if self.sync_master { "SYNC_MASTER" } else { "ASYNC_MASTER" }
    }
    pub fn name(self) -> String {
        if self.dledger {
            return "DLedger group of 3".to_owned();
        }
        let pool = if self.pool { " + pool" } else { "" };
        format!("{}{pool}, {}", self.flush_disk_type(), self.broker_role())
    }
}

/// What strikes at 20 s: a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// The master's process is killed and started again.
    ProcessKill,
    /// The master's host loses power and comes back on the same disk.
    HostLoss,
    /// The master's host never comes back; an operator promotes the slave, or the group elects another leader.
    Promotion,
    /// All hosts of the set lose power and come back.
    BothHosts,
}

impl Strike {
    pub const ALL: [Strike; 4] = [Strike::ProcessKill, Strike::HostLoss, Strike::Promotion, Strike::BothHosts];

    pub const fn name(self) -> &'static str {
        match self {
            Strike::ProcessKill => "process killed",
            Strike::HostLoss => "host loses power",
            Strike::Promotion => "host gone, another serves",
            Strike::BothHosts => "all hosts lose power",
        }
    }
    const fn faults(self, dledger: bool) -> &'static str {
        if dledger {
            return match self {
                Strike::ProcessKill => r#"{"at": "20s", "kill": "broker-a", "only": "leader", "for": "10s"}"#,
                Strike::HostLoss => r#"{"at": "20s", "lose_host": "broker-a", "only": "leader", "for": "10s"}"#,
                Strike::Promotion => r#"{"at": "20s", "lose_host": "broker-a", "only": "leader"}"#,
                Strike::BothHosts => r#"{"at": "20s", "lose_host": "broker-a", "for": "10s"}"#,
            };
        }
        match self {
            Strike::ProcessKill => r#"{"at": "20s", "kill": "broker-a:0", "for": "10s"}"#,
            Strike::HostLoss => r#"{"at": "20s", "lose_host": "broker-a:0", "for": "10s"}"#,
            Strike::Promotion => r#"{"at": "20s", "lose_host": "broker-a:0"}, {"at": "25s", "promote": "broker-a:1"}"#,
            Strike::BothHosts => r#"{"at": "20s", "lose_host": ["broker-a:0", "broker-a:1"], "for": "10s"}"#,
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Messages a second.
    pub rate: u64,
    /// Bytes of a body.
    pub size: u64,
}

impl Default for Load {
    fn default() -> Self {
        Load { rate: 500, size: 1_000 }
    }
}

/// Most messages a second and bytes a body that the stage takes.
pub const MOST_RATE: u64 = 5_000;
pub const MOST_SIZE: u64 = 1_000_000;

/// What the rules allow in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub most: u64,
    /// Some seed must show a loss, or the stage does not test what it says.
    pub some: bool,
    pub rule: &'static str,
}

/// `flushIntervalCommitLog` and `flushCommitLogThoroughInterval`, ms, and what a fsync and the thread's wake-up may add.
const FLUSH: u64 = 500;
const THOROUGH: u64 = 10_000;
const FSYNC: u64 = 40;
/// `commitIntervalCommitLog`, ms.
const COMMIT: u64 = 200;
/// The idle wait of a writer to a slave, ms, and the way there.
const SHIP: u64 = 100 + 20;
/// `flushFileInterval` of DLedger, ms, and what a fsync of each member may add: the one that has flushed most may lead.
const GROUP_FLUSH: u64 = 10 + 30;
/// Calls under way at once: the answer to the last one may come a moment before the fault.
const IN_FLIGHT: u64 = 8;

/// What the rules allow.
pub fn allowed(mode: Mode, strike: Strike, load: Load) -> Allowed {
    let record = load.size + 200;
    let within = |ms: u64| (load.rate * ms).div_ceil(1_000) + IN_FLIGHT;
    // Four dirty pages make the service move at once; fewer wait for the interval.
    let uncommitted = within(COMMIT).min(4 * 4_096 / record + IN_FLIGHT + 1);
    // A cycle that finds fewer than four dirty pages leaves them for a later one, up to the thorough one; a record has at least 100 bytes around its body.
    let five_pages = 5 * 4_096 * 1_000 / (load.rate * (load.size + 100)).max(1);
    let cycle = five_pages.div_ceil(FLUSH).max(1).saturating_mul(FLUSH).min(THOROUGH + FLUSH) + FSYNC;
    let (unflushed, unshipped) = (within(cycle), within(SHIP));
    let none = |rule| Allowed { most: 0, some: false, rule };
    // A loss must show where the mechanism leaves messages enough behind that no seed in five can miss it.
    let some = |most: u64, rule| Allowed { most, some: most > IN_FLIGHT + 10, rule };
    if mode.dledger {
        return match strike {
            Strike::BothHosts => Allowed {
                most: within(GROUP_FLUSH),
                // Each page has three chances to have been written by itself.
                some: load.rate * record / 100 >= 16 * 4_096,
                rule: "a quorum acknowledges from its page caches; each member flushes every 10 ms, and none asks for that before it answers",
            },
            _ => none("SEND_OK means that a quorum of the group has it, and a leader must have all of that"),
        };
    }
    let buffer = "the pool's buffer dies with the process: up to four pages, for at most 200 ms, are not committed";
    match strike {
        Strike::ProcessKill if mode.pool && mode.sync_master => {
            none("a slave is sent only what is committed, so SEND_OK means committed")
        }
        Strike::ProcessKill if mode.pool => some(uncommitted, buffer),
        Strike::ProcessKill => none("the page cache outlives the process"),
        Strike::HostLoss | Strike::BothHosts if mode.sync_flush => none("SEND_OK waits for the flush"),
        Strike::HostLoss | Strike::BothHosts if mode.pool => some(
            unflushed + uncommitted,
            "SEND_OK waits for nothing; FlushRealTimeService comes every 500 ms if four pages are dirty, every 10 s if not, after the commit of the pool",
        ),
        Strike::HostLoss => some(
            unflushed,
            "SEND_OK does not wait for the flush, which comes every 500 ms if four pages are dirty, every 10 s if not; the master comes back without asking its slave",
        ),
        Strike::BothHosts => some(
            unflushed,
            "SEND_OK does not wait for the flush, which comes every 500 ms if four pages are dirty, every 10 s if not",
        ),
        Strike::Promotion if mode.sync_master => none("SEND_OK waits until a slave has it"),
        Strike::Promotion if mode.pool => some(
            unshipped + uncommitted,
            "SEND_OK waits for nothing; the slave is sent what is committed, at the latest after 100 ms",
        ),
        Strike::Promotion => {
            some(unshipped, "SEND_OK does not wait for the slave, which is sent what is new at the latest after 100 ms")
        }
    }
}

/// What the seeds showed in a cell.
#[derive(Clone, Debug)]
pub struct Cell {
    pub mode: Mode,
    pub strike: Strike,
    pub allowed: Allowed,
    /// Messages answered SEND_OK that are gone: one number a seed, ascending.
    pub gone: Vec<u64>,
    /// By the best state they had: over all seeds.
    pub by_state: BTreeMap<String, u64>,
    /// Seeds after which the slave's log was no prefix of its master's.
    pub diverged: usize,
    /// SEND_OK by the end of the load, in all seeds together.
    pub answered: u64,
}

impl Cell {
    pub fn fewest(&self) -> u64 {
        self.gone.first().copied().unwrap_or(0)
    }
    pub fn most(&self) -> u64 {
        self.gone.last().copied().unwrap_or(0)
    }
    /// Whether the seeds agree with the rule; `None`: too few seeds to show a loss that must show.
    pub fn agrees(&self) -> Option<bool> {
        match (self.most() <= self.allowed.most, self.allowed.some && self.most() == 0) {
            (false, _) => Some(false),
            (true, true) if self.gone.len() < 5 => None,
            (true, true) => Some(false),
            (true, false) => Some(!self.gone.is_empty()),
        }
    }
}

/// The whole matrix.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub load: Load,
    pub seeds: Seeds,
    pub cells: Vec<Cell>,
    pub interrupted: bool,
}

/// The scenario of a cell, for those who want to look closer.
pub fn text(mode: Mode, strike: Strike, load: Load) -> String {
    let (role, flush, pool) = (mode.broker_role(), mode.flush_disk_type(), mode.pool);
    let brokers = if mode.dledger {
        let member = |n: u8| format!(r#"    {{"brokerName": "broker-a", "dledger": {{"group": "broker-a", "index": {n}}}}}"#);
        [member(0), member(1), member(2)].join(",\n")
    } else {
        format!(
            r#"    {{"brokerName": "broker-a", "brokerId": 0, "brokerRole": "{role}", "flushDiskType": "{flush}", "transientStorePoolEnable": {pool}}},
    {{"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE", "flushDiskType": "{flush}"}}"#
        )
    };
    format!(
        r#"{{
  "format": 1,
  "question": "{mode}: {strike}. What of what was answered SEND_OK is gone?",
  "rocketmq": "4.9.8",
  "duration": "60s",
  "drain": "30s",
  "nameservers": 1,
  "brokers": [
{brokers}
  ],
  "topics": [{{"name": "orders", "queues": 4}}],
  "producers": [{{"group": "pg", "topic": "orders", "rate": "{rate}/s", "size": {size}, "threads": 64}}],
  "consumers": [],
  "faults": [{faults}]
}}
"#,
        mode = mode.name(),
        strike = strike.name(),
        rate = load.rate,
        size = load.size,
        faults = strike.faults(mode.dledger),
    )
}

fn loaded(mode: Mode, strike: Strike, load: Load) -> Result<Loaded, ScenarioErrors> {
    scenario::parse("durability", &text(mode, strike, load), &Overrides::default(), &scenario::Known::default())
}

/// Runs every cell under every seed. `progress` is told how many runs are done.
pub fn matrix(
    load: Load,
    seeds: Seeds,
    crew: &Crew,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Matrix, ScenarioErrors> {
    let places: Vec<(Mode, Strike)> = Mode::ALL.iter().flat_map(|m| Strike::ALL.iter().map(|s| (*m, *s))).collect();
    let stages = places.iter().map(|(m, s)| loaded(*m, *s, load)).collect::<Result<Vec<Loaded>, _>>()?;
    let empty = |(mode, strike): &(Mode, Strike)| Cell {
        mode: *mode,
        strike: *strike,
        allowed: allowed(*mode, *strike, load),
        gone: Vec::new(),
        by_state: BTreeMap::new(),
        diverged: 0,
        answered: 0,
    };
    let cells = Mutex::new(places.iter().map(empty).collect::<Vec<Cell>>());
    let all: Vec<u64> = seeds.iter().collect();
    crew.each(places.len() * all.len(), stop, progress, |place| {
        let (cell, seed) = (place / all.len(), all[place % all.len()]);
        let Some(outcome) = runs::one(&stages[cell], seed, stop) else { return };
        let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = &mut cells[cell];
        let counter = |name: &str| outcome.counters.iter().find(|c| c.name == name);
        let value = |name: &str| counter(name).and_then(|c| c.value).unwrap_or(0).max(0) as u64;
        cell.gone.push(value("discarded_send_ok"));
        for (state, n) in counter("discarded_send_ok").map_or(&[][..], |c| &c.causes) {
            *cell.by_state.entry(state.clone()).or_default() += *n as u64;
        }
        cell.diverged += usize::from(value("diverged_replicas") > 0);
        cell.answered += value("acked_send_ok");
    });
    let mut cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
    cells.iter_mut().for_each(|c| c.gone.sort_unstable());
    let interrupted = cells.iter().any(|c| c.gone.len() < all.len());
    Ok(Matrix { load, seeds, cells, interrupted })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds follow the load: a trickle leaves pages to the thorough flush, large records commit one by one.
    #[test]
    fn bounds_follow_the_load() {
        let of = |rate, size, mode, strike| {
            let allowed = allowed(mode, strike, Load { rate, size });
            (allowed.most, allowed.some)
        };
        let (plain, pool) = (Mode::of(false, false, false), Mode::of(false, true, false));
        assert_eq!(of(500, 1_000, plain, Strike::HostLoss), (270 + 8, true));
        assert_eq!(of(1, 100, plain, Strike::HostLoss), (11 + 8, true), "10 s and a cycle, and what is under way");
        assert_eq!(of(20, 1_000, plain, Strike::HostLoss), (21 + 8, true), "five pages in 0.93 s: two cycles");
        assert_eq!(of(500, 1_000, pool, Strike::ProcessKill), (13 + 9, true));
        assert_eq!(of(5_000, 20_000, pool, Strike::ProcessKill), (9, false), "each record is four pages by itself");
        assert_eq!(of(1, 100, plain, Strike::Promotion), (1 + 8, false));
    }

    /// The whole crash table of the server spec (4.9 and the first rows of 16), with few seeds: the command runs more.
    #[test]
    fn every_cell_agrees_with_the_crash_table() {
        let crew = Crew::new(None).unwrap();
        let seeds: Seeds = "1..5".parse().unwrap();
        let found = matrix(Load::default(), seeds, &crew, &AtomicBool::new(false), &|_| ()).unwrap();
        for cell in &found.cells {
            let name = format!("{}, {}: {:?} of at most {}", cell.mode.name(), cell.strike.name(), cell.gone, cell.allowed.most);
            assert!(cell.answered > 5 * 5_000, "{name}");
            assert_eq!(cell.agrees(), Some(true), "{name}");
        }
    }
}
