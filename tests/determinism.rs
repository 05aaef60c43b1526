//! One scenario and one seed are one run: the same events, the same answer, byte for byte, whatever happens around it.
//!
//! Everything else rests on this. A difference between two runs of different settings means something only if the same settings never differ;
//! and two settings can be laid side by side only if they meet the same luck wherever they do the same thing.

mod common;

use common::{outcome, root, seeded, shipped, spec, stem, two_masters};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use windtunnel::base::ids::MessageId;
use windtunnel::contract::note::{Note, Observer, SendEnd, Stamp, StoredAs};
use windtunnel::report;
use windtunnel::run::observe;
use windtunnel::scenario::Overrides;
use windtunnel::world::World;
use windtunnel::world::spec::Spec;

fn quickstart(overrides: &Overrides) -> Spec {
    common::load(&root().join("scenarios/quickstart.json"), overrides)
}

/// Digests tell seeds apart and nothing else. The load is cut to 35 s, which still holds the kill: 400 runs are to take seconds.
#[test]
fn two_hundred_seeds_are_two_hundred_different_and_repeatable_runs() {
    let short = quickstart(&Overrides { set: vec!["duration=35s".into(), "drain=5s".into()], ..Overrides::default() });
    let digest = |seed: u64| observe(&Spec { seed, ..short.clone() }, ()).1;
    let first: Vec<u64> = (0..200u64).into_par_iter().map(digest).collect();
    let again: Vec<u64> = (0..200u64).into_par_iter().map(digest).collect();
    assert_eq!(first, again);
    let different: BTreeSet<u64> = first.iter().copied().collect();
    assert_eq!(different.len(), 200);
}

/// State that leaks from run to run, or between threads, would show in the second answer.
#[test]
fn a_run_depends_on_nothing_around_it() {
    let shipped = quickstart(&Overrides::default());
    let answer = |spec: &Spec| {
        let outcome = outcome(spec);
        (outcome.header.digest, outcome.header.events, report::json::summary(&outcome))
    };
    let first = answer(&shipped);
    let other = answer(&Spec { seed: 99, ..shipped.clone() });
    assert_ne!(first.0, other.0);
    assert_eq!(answer(&shipped), first, "after other runs in the same process");
    let beside: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| answer(&shipped))).collect();
        threads.into_iter().map(|t| t.join().expect("a run does not panic")).collect()
    });
    assert!(beside.iter().all(|b| *b == first), "in two threads");
}

/// An observer is told everything and changes nothing.
#[test]
fn watching_does_not_change_what_happens() {
    let spec = seeded(&two_masters("50/s", "20s"), 3);
    let (_, bare, events) = observe(&spec, ());
    let (watched, same, as_many) = observe(&spec, Hops::default());
    assert_eq!((bare, events), (same, as_many));
    assert!(watched.attempted.len() > 900);
}

/// When each message passed which point: enough to tell every hop's delay. Names, not numbers, identify who was there, because an inserted
/// group shifts numbers.
#[derive(Clone, Debug, Default)]
struct Hops {
    began: BTreeMap<MessageId, u64>,
    /// By attempt: when it was handed to the transport and for which broker; and when a broker stored it.
    attempted: BTreeMap<(MessageId, u8), (u64, u16)>,
    stored: BTreeMap<(MessageId, u8), u64>,
    ended: BTreeMap<MessageId, (u64, bool)>,
    entered: BTreeMap<MessageId, u64>,
    left: BTreeMap<MessageId, u64>,
    started: BTreeMap<u16, u64>,
}

impl Observer for Hops {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        let at = stamp.at;
        match *note {
            Note::SendBegan { msg, .. } => drop(self.began.insert(msg, at)),
            Note::Attempted { msg, attempt, queue } => drop(self.attempted.insert((msg, attempt), (at, queue.broker.0))),
            Note::Stored { msg, rec, stored_as: StoredAs::Plain, .. } => {
                // The attempt that it belongs to is the last one that went to this broker.
                let open = self.attempted.range((msg, 0)..=(msg, u8::MAX)).rfind(|(_, to)| to.1 == rec.queue.broker.0);
                if let Some((&attempt, _)) = open {
                    self.stored.entry(attempt).or_insert(at);
                }
            }
            Note::SendEnded { msg, end, .. } => drop(self.ended.insert(msg, (at, matches!(end, SendEnd::Acked { .. })))),
            Note::ListenerEntered { msg, .. } => drop(self.entered.entry(msg).or_insert(at)),
            Note::ListenerLeft { msg, .. } => drop(self.left.entry(msg).or_insert(at)),
            Note::Up => drop(self.started.entry(stamp.node.0).or_insert(at)),
            _ => {}
        }
    }
}

impl Hops {
    fn of(spec: &Spec) -> Hops {
        observe(spec, Hops::default()).0
    }
    /// Request hop and answer hop of an attempt that a broker stored and that was the call's last; ns.
    fn hops(&self, attempt: (MessageId, u8)) -> Option<(u64, u64)> {
        let (sent, stored) = (self.attempted.get(&attempt)?.0, *self.stored.get(&attempt)?);
        let (ended, acked) = *self.ended.get(&attempt.0)?;
        let last = !self.attempted.contains_key(&(attempt.0, attempt.1 + 1));
        (acked && last).then(|| (stored - sent, ended - stored))
    }
}

/// An idle group adds nodes, connections, heartbeats and a group id; it must add nobody else's luck.
#[test]
fn an_idle_group_changes_no_other_draws() {
    let alone = two_masters("100/s", "40s");
    let mut beside = alone.clone();
    beside["topics"] = json!([{"name": "T", "queues": 4}, {"name": "quiet", "queues": 2}]);
    // Its name sorts before the other group's, so that every number behind it shifts.
    beside["consumers"] = json!([
        {"group": "a-idle", "count": 2, "topic": "quiet"},
        {"group": "cg", "count": 2, "topic": "T"},
    ]);
    for seed in 1..=5 {
        let (one, two) = (seeded(&alone, seed), seeded(&beside, seed));
        let (a, b) = (Hops::of(&one), Hops::of(&two));
        assert!(a.began.len() >= 3_999);
        assert_eq!(a.began, b.began, "when sends begin, seed {seed}");
        let attempts: Vec<_> = a.attempted.keys().copied().collect();
        assert_eq!(attempts, b.attempted.keys().copied().collect::<Vec<_>>());
        for attempt in attempts {
            assert_eq!(a.hops(attempt), b.hops(attempt), "hops of {attempt:?}, seed {seed}");
        }
        for (msg, entered) in &a.entered {
            let (mine, other) = (a.left[msg] - entered, b.left[msg] - b.entered[msg]);
            assert_eq!(mine, other, "listener time of {msg:?}, seed {seed}");
        }
        for (n, node) in one.nodes.iter().enumerate() {
            let there = two.node(&node.name).expect("the same node");
            assert_eq!(a.started.get(&(n as u16)), b.started.get(&there.0), "start of {}", node.name);
        }
    }
}

/// The point of keyed draws: with and without retries, what both runs do takes the same time in both. Twenty milliseconds lie between two
/// sends and the tables end far below, so no frame waits behind another and a difference can only be a draw.
#[test]
fn retries_change_no_shared_hop() {
    let scenario = |retries: u32| {
        let mut s = two_masters("50/s", "60s");
        s["producers"][0]["retryTimesWhenSendFailed"] = json!(retries);
        s["producers"][0]["threads"] = json!(1);
        // The one thread would carry the cost of a failure over to its next send.
        s["services"] = json!({"exit": "0s", "failure": "0s"});
        // The connection's own making is paid by whoever comes first after the restart; everything is over before the broker is back.
        s["faults"] = json!([{"at": "20s", "kill": "broker-b:0"}]);
        s
    };
    let mut shared = 0;
    let (mut failed, mut retried) = (0, 0);
    for seed in 1..=5 {
        let (with, without) = (Hops::of(&seeded(&scenario(2), seed)), Hops::of(&seeded(&scenario(0), seed)));
        assert_eq!(with.began, without.began, "the offered load is open loop, seed {seed}");
        failed += without.ended.values().filter(|e| !e.1).count();
        retried += with.attempted.keys().filter(|a| a.1 > 0 && with.hops(**a).is_some()).count();
        for attempt in with.attempted.keys() {
            if let (Some(x), Some(y)) = (with.hops(*attempt), without.hops(*attempt)) {
                assert_eq!(x, y, "hops of {attempt:?}, seed {seed}");
                shared += 1;
            }
        }
    }
    // The comparison must have met what it is about: sends that fail without retries, and retries that save them.
    assert!(shared > 10_000 && failed > 50 && retried > 50, "shared {shared}, failed {failed}, retried {retried}");
}

/// A cluster full of ties: constant delays and services, members started together, bursts.
fn ties() -> Value {
    let fixed =
        json!({"send": "100us", "pull": "100us", "manage": "100us", "route": "100us", "channel_event": "50us", "boot": "1s"});
    json!({
        "question": "What if everything happened at once?",
        "duration": "30s", "drain": "30s",
        "services": fixed,
        "links": {"latency": "1ms", "loopback": "1ms"},
        "brokers": [{"brokerName": "broker-a", "start": "-50s"}, {"brokerName": "broker-b", "start": "-50s"}],
        "nameservers": [{"start": "-59s"}],
        "topics": [{"name": "T", "queues": 4}],
        "producers": [{"group": "pg", "count": 2, "topic": "T", "rate": "100/s", "burst": 10, "starts": ["-10s", "-10s"]}],
        "consumers": [{"group": "cg", "count": 3, "topic": "T", "starts": ["-30s", "-30s", "-30s"], "service_time": "1ms"}],
        "faults": [{"at": "10s", "kill": "cg-1", "for": "10s"}],
    })
}

/// Events of one instant may swap, but not those of one origin, and the laws must hold whichever way they fall.
#[test]
fn a_tie_seed_permutes_ties_and_nothing_else() {
    type Recorded = Vec<(u64, u64, u16, String)>;
    let record = |tie_seed: u64| -> Recorded {
        let spec = std::sync::Arc::new(Spec { tie_seed, ..spec(&ties()) });
        let mut world = World::new(spec.clone(), ());
        world.record();
        world.run_until(spec.warmup + spec.duration, u64::MAX);
        // The number of the causing event changes with the order; everything else of an event is what it is.
        let line = |e: &(u64, u64, windtunnel::world::Event)| {
            let event = e.2;
            (e.1, e.0, event.node.0, format!("{:?} life {} {} {}", event.kind, event.life, event.a, event.b))
        };
        world.recorded().iter().map(line).collect()
    };
    let plain = record(0);
    let mut swapped = 0;
    for tie_seed in 1..=6 {
        let permuted = record(tie_seed);
        let first = plain.iter().zip(&permuted).position(|(a, b)| (a.0, a.2, &a.3) != (b.0, b.2, &b.3));
        // Up to the first instant that differs both runs had the same past, so that instant holds the same events in another order.
        if let Some(first) = first {
            swapped += 1;
            let at = plain[first].0;
            assert_eq!(permuted[first].0, at, "they part at one instant, tie seed {tie_seed}");
            let instant =
                |all: &Recorded| -> Vec<(u16, String)> { all.iter().filter(|e| e.0 == at).map(|e| (e.2, e.3.clone())).collect() };
            let (a, b) = (instant(&plain), instant(&permuted));
            let (sorted, other) = (a.iter().collect::<BTreeSet<_>>(), b.iter().collect::<BTreeSet<_>>());
            assert_eq!(sorted, other, "the same events, tie seed {tie_seed}");
            for node in a.iter().map(|e| e.0).collect::<BTreeSet<_>>() {
                let of = |all: &[(u16, String)]| all.iter().filter(|e| e.0 == node).cloned().collect::<Vec<_>>();
                assert_eq!(of(&a), of(&b), "those of node {node} keep their order, tie seed {tie_seed}");
            }
        }
        let outcome = outcome(&Spec { tie_seed, ..spec(&ties()) });
        common::no_law_is_broken(&outcome).unwrap_or_else(|e| panic!("tie seed {tie_seed}: {e}"));
        assert_eq!(common::counter(&outcome, "lost"), 0, "tie seed {tie_seed}");
    }
    assert!(swapped > 0, "no tie was permuted: the scenario has none, and this test says nothing");
}

/// The digests of the shipped scenarios are kept in review: a change of behaviour is a changed line, in debug and in release builds alike.
/// `WINDTUNNEL_REWRITE=1 cargo test --test determinism` writes them anew.
#[test]
fn the_digests_of_the_shipped_scenarios_are_the_recorded_ones() {
    const SEEDS: [u64; 2] = [1, 2];
    let files = shipped();
    let lines: Vec<String> = files
        .par_iter()
        .map(|file| {
            let mut line = stem(file);
            for seed in SEEDS {
                let spec = common::load(file, &Overrides { seed: Some(seed), ..Overrides::default() });
                let digest = outcome(&spec).header.digest;
                write!(line, "  {seed} {digest:016x}").expect("a string takes everything");
            }
            line + "\n"
        })
        .collect();
    let now = format!("# scenario, then seed and digest: written by tests/determinism.rs\n{}", lines.concat());
    let path = root().join("reports/digests.txt");
    #[allow(clippy::disallowed_methods, reason = "a switch for the person who runs the test; no run sees it")]
    let rewrite = std::env::var("WINDTUNNEL_REWRITE").is_ok_and(|v| !v.is_empty() && v != "0");
    if rewrite {
        std::fs::create_dir_all(root().join("reports")).expect("reports/ can be made");
        std::fs::write(&path, &now).expect("reports/digests.txt can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, now, "behaviour changed: look at why, then rewrite with WINDTUNNEL_REWRITE=1");
}
