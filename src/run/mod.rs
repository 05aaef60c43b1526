//! A run: specification + world + observers -> [`Outcome`].
//!
//! The load runs until its end; then the cluster drains, until every acknowledged message has been delivered or the drain is over. One run is one thread.

pub mod facts;
pub mod outcome;
pub mod remarks;

use self::outcome::{Header, Outcome, Verdict};
use crate::base::ids::NodeId;
use crate::base::time::SEC;
use crate::check::replicas::{Divergence, compare};
use crate::check::verdict::{Expected, judge, overall};
use crate::contract::note::Observer;
use crate::meter::{End, Watch, rests_on_the_end};
use crate::world::spec::{NodeKind, Spec};
use crate::world::{Planted, Stop, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// ns simulated so far, and in all at most.
    pub simulated_ns: u64,
    pub total_ns: u64,
    pub events: u64,
}

/// What a caller may do to a run in progress.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Set from outside: the run ends at the next second and its outcome is unknown.
    pub stop: &'a AtomicBool,
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// How a run ended, apart from what was observed.
#[derive(Clone, Copy, Debug)]
struct Ended {
    at: u64,
    stop: Stop,
    drained: bool,
    interrupted: bool,
}

/// Runs a specification and judges it.
pub fn run(spec: &Spec, control: &Control<'_>) -> Outcome {
    judged(spec, control, None)
}

/// [`run`] with a bug planted 20 s after time 0, to see whether a check catches it. For tests.
#[doc(hidden)]
pub fn run_planted(spec: &Spec, control: &Control<'_>, planted: Planted) -> Outcome {
    judged(spec, control, Some(planted))
}

fn judged(spec: &Spec, control: &Control<'_>, planted: Option<Planted>) -> Outcome {
    let spec = Arc::new(spec.clone());
    let mut world = World::new(spec.clone(), Watch::new(facts::of(&spec)));
    if let Some(planted) = planted {
        world.plant(planted, spec.warmup + 20 * SEC);
    }
    let ended = drive(&mut world, &spec, control, drained());
    world.report_faults();
    let (digest, events) = (world.digest(), world.events());
    look_at_replicas(&mut world, &spec);
    let end = End { end: ended.at, drained: ended.drained, interrupted: ended.interrupted };
    let found = world.into_observer().finish(end);
    let expected: Vec<Expected> = spec
        .expect
        .iter()
        .map(|e| Expected {
            counter: e.counter.clone(),
            min: e.min,
            max: e.max,
            fault_touched: e.needs_fault.map(|f| found.faults.get(f as usize).map_or(0, |f| f.touched)),
        })
        .collect();
    let expectations = judge(&found.counters, &expected);
    let mut warnings = remarks::remarks(&spec);
    warnings.extend(found.warnings);
    if found.goes_on && !ended.interrupted {
        warnings.extend(rests_on_the_end(&expectations));
    }
    match ended.stop {
        Stop::Events => warnings.push(format!("the run ended at its limit of {} events", spec.max_events)),
        Stop::Livelock => {
            warnings.push("more than ten million events happened at one instant: some role never stops asking".into())
        }
        Stop::Time | Stop::Nothing => {}
    }
    let cut_short = ended.interrupted || matches!(ended.stop, Stop::Events | Stop::Livelock);
    let verdict = match overall(&found.laws, &expectations, cut_short) {
        Verdict::Pass if cut_short => Verdict::Unknown,
        verdict => verdict,
    };
    Outcome {
        header: Header {
            scenario: spec.name.clone(),
            question: spec.question.clone(),
            rocketmq: spec.version.to_string(),
            seed: spec.seed,
            tie_seed: spec.tie_seed,
            digest,
            events,
            simulated: ended.at,
            zero: spec.warmup,
            load_end: spec.warmup + spec.duration,
            end: ended.at,
            interrupted: cut_short,
            drained: ended.drained,
            arguments: Vec::new(),
            path: String::new(),
        },
        verdict,
        laws: found.laws,
        expectations,
        counters: found.counters,
        faults: found.faults,
        sends: found.sends,
        groups: found.groups,
        outages: found.outages,
        crashes: found.crashes,
        recoveries: found.recoveries,
        series: found.series,
        shutdowns: found.shutdowns,
        transaction_checks: found.transaction_checks,
        warnings,
    }
}

/// Compares what the slaves' disks hold with their masters'.
fn look_at_replicas(world: &mut World<Watch>, spec: &Spec) {
    let mut found = Vec::new();
    for (n, node) in spec.nodes.iter().enumerate() {
        let NodeKind::Broker(broker) = &node.kind else { continue };
        let Some(master) = world.observer().serving(broker.broker).filter(|m| m.0 as usize != n) else { continue };
        let (theirs, own) = (&world.disks()[master.0 as usize].broker.log, &world.disks()[n].broker.log);
        let differs = compare(theirs.places(), theirs.deleted()..theirs.ends.written, own.places());
        let garbage = own.garbage().map(|at| Divergence::Differs { at });
        found.extend(differs.or(garbage).map(|how| (NodeId(n as u16), how)));
    }
    for (slave, how) in found {
        world.observer_mut().diverged(slave, how);
    }
}

/// Runs with an observer of the caller's, for tests and benches; returns it with the digest and the number of events.
pub fn observe<O: Observer>(spec: &Spec, observer: O) -> (O, u64, u64) {
    let spec = Arc::new(spec.clone());
    let mut world = World::new(spec.clone(), observer);
    let stop = AtomicBool::new(false);
    drive(&mut world, &spec, &Control { stop: &stop, progress: None }, |_| false);
    let (digest, events) = (world.digest(), world.events());
    (world.into_observer(), digest, events)
}

/// [`Watch::drained`], asked anew only when a note has come since: it passes over all messages, and of the quiet seconds at the end nothing is to be learned.
fn drained() -> impl FnMut(&Watch) -> bool {
    let mut known = None;
    move |watch| match known {
        Some((notes, answer)) if notes == watch.notes => answer,
        _ => {
            let answer = watch.drained();
            known = Some((watch.notes, answer));
            answer
        }
    }
}

/// Load, then drain in steps of a second, until nothing is owed any more (and a grace second for what is still under way).
fn drive<O: Observer>(world: &mut World<O>, spec: &Spec, control: &Control<'_>, mut drained: impl FnMut(&O) -> bool) -> Ended {
    let load_end = spec.warmup + spec.duration;
    let last = load_end + spec.drain;
    let faults_end = spec.faults.iter().map(|f| fault_end(spec, f)).max().unwrap_or(0).min(last);
    let mut at = 0;
    let mut quiet = 0;
    loop {
        at = (at + SEC).min(last);
        let stop = world.run_until(at, spec.max_events);
        if let Some(progress) = control.progress {
            progress(Progress { simulated_ns: at, total_ns: last, events: world.events() });
        }
        let interrupted = control.stop.load(Ordering::Relaxed);
        let done = at >= load_end.max(faults_end) && drained(world.observer());
        quiet = if done { quiet + 1 } else { 0 };
        if interrupted || stop == Stop::Events || stop == Stop::Livelock || at >= last || quiet > 2 {
            return Ended { at: world.now(), stop, drained: done, interrupted };
        }
    }
}

/// When a fault is over, ns of the run.
fn fault_end(spec: &Spec, fault: &crate::world::spec::FaultSpec) -> u64 {
    let (period, times) = fault.every.unwrap_or((0, 1));
    let first = (spec.warmup as i128 + fault.at as i128).max(0) as u64;
    first + period * (times.max(1) as u64 - 1) + fault.lasts.unwrap_or(0)
}

/// Runs two specifications with a recorder on and describes the first event in which they differ.
pub fn trace_first_difference(a: &Spec, b: &Spec) -> Option<String> {
    let trace = |spec: &Spec| {
        let spec = Arc::new(spec.clone());
        let mut world = World::new(spec.clone(), Watch::new(facts::of(&spec)));
        world.record();
        let stop = AtomicBool::new(false);
        drive(&mut world, &spec, &Control { stop: &stop, progress: None }, drained());
        world
    };
    let (one, two) = (trace(a), trace(b));
    let (x, y) = (one.recorded(), two.recorded());
    let first = x.iter().zip(y).position(|(p, q)| format!("{p:?}") != format!("{q:?}"));
    match first {
        Some(i) => Some(format!(
            "event {}: at {} ns {} — against at {} ns {}",
            x[i].0,
            x[i].1,
            one.describe(&x[i].2),
            y[i].1,
            two.describe(&y[i].2)
        )),
        None if x.len() != y.len() => Some(format!("one run has {} events, the other {}", x.len(), y.len())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MessageId;
    use crate::check::script;
    use crate::contract::note::{Note, Stamp};

    #[test]
    fn whether_something_is_owed_is_asked_anew_when_a_note_has_come() {
        let facts = script::facts();
        let topic = facts.queues[0].topic;
        let (mut watch, mut drained) = (Watch::new(facts), drained());
        assert!(drained(&watch));
        let stamp = Stamp { at: 20 * SEC, node: NodeId(0), life: 1, event: 1 };
        watch.note(stamp, &Note::SendBegan { msg: MessageId::new(0, 0), topic, key: None, due: 20 * SEC });
        assert!(!drained(&watch), "a call is open");
    }
}
