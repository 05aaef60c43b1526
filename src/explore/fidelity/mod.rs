//! Simulated runs against runs of a real cluster.
//!
//! A live run is one draw from what a cluster may do under a fault; two hundred seeds are two hundred draws of the simulator's. If both come
//! from the same distribution, the live value lies between the seeds' 1st and 99th percentile nearly always, never beyond all of a
//! thousand seeds, and over many figures its percentiles are spread evenly. That is what is tested here, figure by figure.
//!
//! Each repetition of an experiment was set up a little differently: processes started at other moments, faults struck some milliseconds
//! apart. The phases of timers hang on that, so seed by seed the simulator takes the moments of one repetition after the other, and both sides
//! are mixtures of the same set-ups.
//!
//! Reading order: [`live`] (the files), [`measures`] (what is compared), [`timers`] (what may spread it), [`judge`] (the rules), [`set_up`] (a scenario for a run that has none).

pub mod judge;
pub mod live;
pub mod measures;
pub mod set_up;
pub mod timers;

use self::judge::{Comparison, Machine, Row};
use self::live::{Client, Live};
use self::measures::{Key, Kind, Measure, Measures};
use self::timers::{Cast, Event, Timer};
use super::figures;
use super::rank::{self, Value};
use super::runs::{self, Crew};
use crate::run::outcome::{Outcome, Unit};
use crate::scenario::Loaded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// For rows outside the central interval, this many times as many seeds say whether the live value is beyond all of them.
pub const EXTREMES: usize = 5;
/// Below this no timer of RocketMQ's is in a stretch, ns.
const SECOND: i64 = 1_000_000_000;
/// The experiment that has no fault: what it shows is the speed of the machine.
pub const STEADY: &str = "steady";

/// An experiment that has both a scenario and live runs.
#[derive(Debug)]
pub struct Experiment {
    pub name: String,
    /// One scenario a repetition, at the moments of that repetition.
    pub set_ups: Vec<Loaded>,
    pub lives: Vec<Live>,
}

/// A live client that the scenario does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path}: the client {node} is not in the scenario {scenario}; give a node there this name, or take the run out of the folder"
)]
pub struct SetUpError {
    pub path: String,
    pub node: String,
    pub scenario: String,
}

/// What must be changed in the scenario to be this repetition: `key=value`, as `--set` takes them.
///
/// Starts and faults move to the repetition's moments. The run lasts until recording stopped, and producers stop when the live ones did:
/// a simulated run that ends once nothing is owed would miss what members saw afterwards.
pub fn changes(live: &Live, base: &Loaded) -> Result<Vec<String>, SetUpError> {
    let mut set = vec![format!("duration={}", nanos(live.end.max(1))), "drain=0s".to_owned()];
    for client @ Client { node, producer, start, lasts, .. } in &live.clients {
        if !base.spec.nodes.iter().any(|n| n.name == *node) {
            let scenario = base.spec.name.clone();
            return Err(SetUpError { path: live.path.clone(), node: node.clone(), scenario });
        }
        let list = if *producer { "producers" } else { "consumers" };
        set.push(format!("{list}.{node}.start={}", nanos(*start)));
        if let Some(from) = live.first_send(client).filter(|_| *producer) {
            let until = from.saturating_add(*lasts).min(live.end);
            set.push(format!("{list}.{node}.from={}", nanos(from)));
            set.push(format!("{list}.{node}.until={}", nanos(until)));
            set.push(format!("{list}.{node}.arrivals=led"));
        }
    }
    let mut used = BTreeSet::new();
    for (i, fault) in base.spec.faults.iter().enumerate() {
        let begins = |f: &&(usize, &live::Fault)| fault.label == format!("{} {}", f.1.what, f.1.node) && !used.contains(&f.0);
        let Some((at, begun)) = live.faults.iter().enumerate().collect::<Vec<_>>().iter().find(begins).copied() else { continue };
        used.insert(at);
        set.push(format!("faults[{i}].at={}", nanos(begun.at)));
        let ends = |f: &&live::Fault| matches!(f.what.as_str(), "restart" | "thaw") && f.node == begun.node;
        if let Some(ended) = live.faults.iter().skip(at + 1).find(ends).filter(|_| fault.lasts.is_some()) {
            set.push(format!("faults[{i}].for={}", nanos(ended.at.saturating_sub(begun.at).max(0))));
        }
    }
    Ok(set)
}

/// Nanoseconds as a scenario writes them, exactly.
fn nanos(ns: i64) -> String {
    format!("{ns}ns")
}

/// How far the comparison is: the experiment, and how many of its runs are done.
pub type Progress<'a> = &'a (dyn Fn(&str, usize) + Sync);

/// Holds every experiment against `seeds` seeds. `None`: stopped from outside, and a part of a comparison says nothing.
pub fn compare(
    experiments: &[Experiment],
    crew: &Crew,
    seeds: usize,
    stop: &AtomicBool,
    progress: Progress<'_>,
) -> Option<Comparison> {
    let speed = Speed::of(experiments);
    let mut rows = Vec::new();
    for experiment in experiments {
        let gathered = gather(experiment, crew, 0..seeds, stop, &|done| progress(&experiment.name, done));
        let mut found = Table::new(experiment, &speed, &gathered).rows();
        extremes(experiment, &mut found, &gathered, (crew, seeds), stop, progress);
        rows.append(&mut found);
        if stop.load(Ordering::Relaxed) {
            return None;
        }
    }
    Some(Comparison::new(seeds, rows))
}

/// The measures of seeds, in their order.
fn gather(
    experiment: &Experiment,
    crew: &Crew,
    seeds: std::ops::Range<usize>,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<Measures> {
    let gathered: Mutex<BTreeMap<usize, Measures>> = Mutex::default();
    let instants: Vec<Vec<i64>> = experiment.lives.iter().map(|l| measures::instants(&l.faults, &l.clients)).collect();
    crew.each(seeds.len(), stop, progress, |place| {
        let n = seeds.start + place;
        let which = n % experiment.set_ups.len().max(1);
        if let Some(outcome) = runs::one(&experiment.set_ups[which], n as u64 + 1, stop) {
            let measured = simulated(&outcome, &instants[which]);
            gathered.lock().unwrap_or_else(PoisonError::into_inner).insert(n, measured);
        }
    });
    gathered.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn simulated(outcome: &Outcome, instants: &[i64]) -> Measures {
    let checks = outcome.transaction_checks.as_ref();
    measures::measure(&outcome.sends, &outcome.groups, checks, &outcome.shutdowns, instants)
}

fn lived(live: &Live) -> Measures {
    let instants = measures::instants(&live.faults, &live.clients);
    measures::measure(&live.sends, &live.groups, live.transaction_checks.as_ref(), &live.shutdowns, &instants)
}

/// A series stands for its distance from this one.
fn number(measure: &Measure, median: &[i64]) -> Value {
    match measure {
        Measure::Number(value) => *value,
        Measure::Series(bins) => Some(rank::distance(bins, median)),
    }
}

fn pick<'a>(measures: &'a Measures, key: &Key, absent: &'a Measure) -> &'a Measure {
    measures.get(key).unwrap_or(absent)
}

/// The median series of a figure over runs; empty for a number.
fn median_of(all: &[Measures], key: &Key) -> Vec<i64> {
    let absent = key.kind.absent();
    let series: Vec<&[i64]> = all
        .iter()
        .filter_map(|m| match pick(m, key, &absent) {
            Measure::Series(bins) => Some(bins.as_slice()),
            Measure::Number(_) => None,
        })
        .collect();
    rank::median_series(&series)
}

/// Bins of a series in which something happened.
fn loaded_bins(series: &[i64]) -> i64 {
    series.iter().filter(|n| **n > 0).count() as i64
}

/// What healthy runs tell of the machine's speed.
struct Speed {
    /// The tables of the steady run.
    tables: Option<[serde_json::Value; 3]>,
    /// By experiment, the measures of its repetitions.
    measures: Vec<(String, Vec<Measures>)>,
    /// By how much start-ups before time 0 differ, ns.
    start_up: i64,
    /// By how much the steady runs differ in their slowest deliveries, ns.
    delivery: i64,
}

impl Speed {
    fn of(experiments: &[Experiment]) -> Speed {
        let steady = experiments.iter().find(|e| e.name == STEADY);
        Speed {
            tables: steady.and_then(|e| e.set_ups.first()).map(|l| tables(&parsed(l))),
            measures: experiments.iter().map(|e| (e.name.clone(), e.lives.iter().map(lived).collect())).collect(),
            start_up: start_ups(experiments),
            delivery: steady.map_or(0, slowest_deliveries),
        }
    }

    /// The machine's mood: how much a figure differs between repetitions of one experiment, at most, where it is a matter of speed there
    /// too (below a second), ns. The row's own experiment has no say, or a figure would excuse itself. A figure that no other has is
    /// taken to differ as slowest deliveries do.
    fn mood(&self, experiment: &str, key: &Key) -> i64 {
        let tail = |path: &str| path.splitn(3, '.').nth(2).unwrap_or(path).to_owned();
        let spread = |wanted: &dyn Fn(&Key) -> bool| {
            let others = self.measures.iter().filter(|(name, _)| name != experiment);
            let of = |measures: &Vec<Measures>, k: &Key| {
                let values: Option<Vec<i64>> = measures.iter().map(|m| number(pick(m, k, &k.kind.absent()), &[])).collect();
                let (low, high) = values.as_ref().and_then(|v| Some((*v.iter().min()?, *v.iter().max()?)))?;
                (high < SECOND).then(|| high.saturating_sub(low))
            };
            others
                .flat_map(|(_, measures)| {
                    let keys: BTreeSet<&Key> = measures.iter().flat_map(|m| m.keys()).filter(|k| wanted(k)).collect();
                    keys.into_iter().filter_map(|k| of(measures, k)).collect::<Vec<i64>>()
                })
                .max()
        };
        let own = spread(&|k: &Key| k.kind == key.kind && tail(&k.path) == tail(&key.path));
        own.or_else(|| spread(&|k: &Key| k.path.ends_with(".latency_ms.max"))).unwrap_or(0)
    }
}

/// By how much two repetitions differ in the slowest percent of their deliveries, ns.
fn slowest_deliveries(steady: &Experiment) -> i64 {
    let slow = |l: &Live| l.groups.values().map(|g| figures::from_ms(g.latency_ms.p99)).max();
    let all: BTreeSet<i64> = steady.lives.iter().filter_map(slow).collect();
    all.last().zip(all.first()).map_or(0, |(most, least)| most - least)
}

/// By how much consumers differ in the time from their start to their first allocation, all before anything happened, ns.
fn start_ups(experiments: &[Experiment]) -> i64 {
    let mut took = BTreeSet::new();
    for live in experiments.iter().flat_map(|e| &e.lives) {
        for client in live.clients.iter().filter(|c| !c.producer && c.start < 0) {
            let changes = live.groups.values().flat_map(|g| &g.allocations).filter(|a| a.consumer == client.node);
            let first = changes.filter_map(|a| figures::from_seconds(a.t)).find(|t| (client.start..0).contains(t));
            took.extend(first.map(|t| t - client.start));
        }
    }
    took.last().zip(took.first()).map_or(0, |(most, least)| most - least)
}

fn parsed(loaded: &Loaded) -> serde_json::Value {
    serde_json::from_str(&loaded.resolved).unwrap_or_default()
}

/// The tables of a scenario that say how fast its machine is.
fn tables(resolved: &serde_json::Value) -> [serde_json::Value; 3] {
    ["links", "services", "pauses"].map(|key| resolved[key].clone())
}

/// The rows of one experiment, while they are made.
struct Table<'a> {
    experiment: &'a Experiment,
    speed: &'a Speed,
    simulated: &'a [Measures],
    lives: Vec<Measures>,
    resolved: serde_json::Value,
    events: BTreeSet<Event>,
}

impl<'a> Table<'a> {
    fn new(experiment: &'a Experiment, speed: &'a Speed, simulated: &'a [Measures]) -> Table<'a> {
        let resolved = experiment.set_ups.first().map(parsed).unwrap_or_default();
        let cast = Cast::of(&resolved);
        let events = experiment.lives.iter().flat_map(|l| timers::events(&l.faults, &l.clients, &cast)).collect();
        Table { experiment, speed, simulated, lives: experiment.lives.iter().map(lived).collect(), resolved, events }
    }

    fn rows(&self) -> Vec<Row> {
        let keys: BTreeSet<&Key> = self.simulated.iter().chain(&self.lives).flat_map(|m| m.keys()).collect();
        keys.into_iter().map(|key| self.row(key)).collect()
    }

    fn row(&self, key: &Key) -> Row {
        let absent = key.kind.absent();
        let median = median_of(self.simulated, key);
        let of = |all: &[Measures]| all.iter().map(|m| number(pick(m, key, &absent), &median)).collect::<Vec<Value>>();
        let (live, mut sorted) = (of(&self.lives), of(self.simulated));
        sorted.sort_unstable();
        let timers = timers::of(key.kind, &self.events);
        let machine = self.machine(key, &live, &sorted);
        // A message that is due at the very edge of two bins is counted in either.
        let slack = key.kind.resolution().max(2 * (loaded_bins(&median) - 1).max(0)).max(match machine {
            Machine::Compared { mood } => mood,
            Machine::Apart | Machine::NotCompared => 0,
        });
        // The turn of the queues lies differently in every bin; other timers strike a series once.
        let times = |t: &Timer| if *t == Timer::PublishTurn { loaded_bins(&median).max(1) } else { 1 };
        let of_timer = |t: &Timer| self.room(key, self.period(key, *t)).saturating_mul(times(t));
        let room = timers.iter().map(of_timer).fold(0, i64::saturating_add);
        Row::new(&self.experiment.name, key, live, &sorted, slack, room, timers.iter().map(|t| t.name()).collect(), machine)
    }

    /// A stretch that is below a second on both sides is the machine's.
    fn machine(&self, key: &Key, live: &[Value], sorted: &[Value]) -> Machine {
        let short = |v: &Value| v.is_none_or(|v| v < SECOND);
        let high = rank::central(sorted).1;
        if !key.kind.is_stretch() || !live.iter().all(short) || !short(&high) {
            return Machine::Apart;
        }
        // Nothing was measured on either side, and that is no matter of speed.
        if live.iter().all(Option::is_none) && high.is_none() {
            return Machine::Apart;
        }
        match &self.speed.tables {
            Some(steady) if *steady == tables(&self.resolved) => {
                Machine::Compared { mood: self.speed.mood(&self.experiment.name, key) }
            }
            _ => Machine::NotCompared,
        }
    }

    /// Producers whose sends a figure counts: one by name, or all of a group's.
    fn counted<'b>(live: &'b Live, key: &'b Key) -> impl Iterator<Item = &'b Client> {
        let own = key.path.strip_prefix("sends.").and_then(|rest| rest.split('.').next());
        live.clients.iter().filter(move |c| c.producer && own.is_none_or(|node| node == c.node))
    }

    fn period(&self, key: &Key, timer: Timer) -> i64 {
        match timer {
            Timer::StartUp => self.speed.start_up,
            Timer::Machine => self.speed.delivery,
            _ => timer.period(&self.resolved, self.experiment.lives.iter().flat_map(|l| Self::counted(l, key))),
        }
    }

    /// What a period allows a figure to vary by: time by itself, messages by what is offered meanwhile, the members' changes by how often
    /// the timer fires.
    fn room(&self, key: &Key, period: i64) -> i64 {
        let live = self.experiment.lives.iter();
        let longest = |of: &dyn Fn(&Live) -> i64| live.clone().map(of).max().unwrap_or(0);
        match key.kind {
            _ if key.kind.unit() != Unit::Count => period,
            Kind::AllocationChanges | Kind::AllocationSizes => {
                let members = longest(&|l| l.clients.iter().filter(|c| !c.producer).count() as i64);
                members.saturating_mul(longest(&|l| l.end).max(0) / period.max(1))
            }
            _ => {
                let rate = longest(&|l| Self::counted(l, key).map(|c| c.rate).fold(0, i64::saturating_add));
                (i128::from(rate) * i128::from(period) / 1_000_000_000).try_into().unwrap_or(i64::MAX)
            }
        }
    }
}

/// More seeds for the rows whose live value is outside: it may be rare, but it must not be impossible. Ends as soon as none is beyond.
fn extremes(
    experiment: &Experiment,
    rows: &mut [Row],
    gathered: &[Measures],
    (crew, seeds): (&Crew, usize),
    stop: &AtomicBool,
    progress: Progress<'_>,
) {
    let mut seen = seeds;
    while rows.iter().any(|r| r.is_beyond()) && seen < EXTREMES.saturating_mul(seeds) && !stop.load(Ordering::Relaxed) {
        let more = gather(experiment, crew, seen..seen + seeds, stop, &|done| progress(&experiment.name, seen + done));
        for row in rows.iter_mut().filter(|r| r.is_beyond()) {
            let key = row.key();
            let (absent, median) = (key.kind.absent(), median_of(gathered, &key));
            more.iter().for_each(|m| row.widen(number(pick(m, &key, &absent), &median)));
        }
        seen += seeds;
    }
    rows.iter_mut().for_each(|r| r.seeds = seen);
}
