//! Bugs planted in the running cluster: each must be caught by the check that exists for it, and its clean twin must pass.
//!
//! The checks' own tests feed them written histories. Here the whole chain is tested: role, world, notes, watch, counter. See
//! `world/planted.rs` for what each bug does; no scenario file can reach one.

mod common;

use common::{S, counter, law, outcome, planted, seeded, two_masters};
use serde_json::{Value, json};
use windtunnel::run::outcome::{Outcome, Verdict};
use windtunnel::world::Planted;

/// Who must notice.
enum Caught {
    /// This law is broken.
    Law(&'static str),
    /// This counter is at least the second figure, where the clean twin has at most the first.
    Counter(&'static str, i64, i64),
}

use Caught::{Counter, Law};

/// Seconds in which nothing but the bug can happen: enough load on few queues that answers carry several messages.
fn plain() -> Value {
    let mut s = two_masters("400/s", "40s");
    s["topics"][0]["queues"] = json!(1);
    s["links"] = json!({"latency": {"p50": "2ms", "p99": "8ms"}});
    s
}

fn orderly() -> Value {
    let mut s = plain();
    s["producers"][0]["keys"] = json!(4);
    s["producers"][0]["rate"] = json!("100/s");
    s["consumers"][0]["listener"] = json!("orderly");
    s["consumers"][0]["service_time"] = json!("5ms");
    s
}

/// Keyed messages in bursts, so that one answer holds neighbours of one key.
fn keyed_bursts() -> Value {
    let mut s = plain();
    s["producers"][0]["keys"] = json!(1);
    s["producers"][0]["burst"] = json!(40);
    s["consumers"][0]["listener"] = json!("orderly");
    s["consumers"][0]["service_time"] = json!("2ms");
    s
}

fn with_a_kill(mut s: Value) -> Value {
    s["duration"] = json!("120s");
    s["faults"] = json!([{"at": "30s", "kill": "cg-1"}]);
    s
}

/// A synchronous pair whose master's host is lost for good, and whose slave an operator promotes.
fn promoted() -> Value {
    let mut s = plain();
    s["brokers"] = json!([
        {"brokerName": "broker-a", "brokerRole": "SYNC_MASTER"},
        {"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE"}
    ]);
    s["faults"] = json!([{"at": "30s", "lose_host": "broker-a:0"}, {"at": "32s", "promote": "broker-a:1"}]);
    s
}

fn replicated() -> Value {
    let mut s = promoted();
    s["faults"] = json!([]);
    s
}

/// A master that flushes before it answers, with fsyncs of 2 s; it is killed, comes back while one of them is under way, and loses power before its own is over.
fn two_lives() -> Value {
    let mut s = plain();
    s["brokers"] =
        json!([{"brokerName": "broker-a", "flushDiskType": "SYNC_FLUSH", "services": {"fsync": "2s", "boot": "0.2s"}}]);
    // No thread of the producer waits for what the dead life owed it.
    s["producers"][0]["mode"] = json!("async");
    s["faults"] = json!([
        {"at": "29s", "kill": "broker-a", "for": "100ms"},
        {"at": "30.9s", "lose_host": "broker-a", "for": "1s"}
    ]);
    s
}

fn holds(outcome: &Outcome, caught: &Caught, bug: Option<Planted>) {
    match *caught {
        Law(name) => {
            let found = law(outcome, name);
            let wanted = if bug.is_some() { Verdict::Fail } else { Verdict::Pass };
            assert_eq!(found.verdict, wanted, "{name}, {bug:?}: {}", found.detail);
        }
        Counter(name, clean, dirty) => {
            let got = counter(outcome, name);
            match bug {
                Some(bug) => assert!(got >= dirty, "{bug:?} is not seen by {name}: {got}"),
                None => assert!(got <= clean, "the clean twin has {name} {got}"),
            }
        }
    }
}

#[test]
fn every_planted_bug_is_caught_and_its_clean_twin_passes() {
    let table: Vec<(Planted, Value, Vec<Caught>)> = vec![
        (Planted::Phantom, plain(), vec![Law("no phantom")]),
        (Planted::AnsweredEarly, promoted(), vec![Counter("discarded_send_ok", 0, 1)]),
        (Planted::ShippedWrong, replicated(), vec![Counter("diverged_replicas", 0, 1)]),
        (Planted::LivesMixed, two_lives(), vec![Counter("discarded_send_ok", 0, 1)]),
        (Planted::Skipped, plain(), vec![Counter("lost", 0, 1), Counter("skipped", 0, 1)]),
        (Planted::ServedTwice, plain(), vec![Counter("duplicates", 0, 1)]),
        (Planted::AckedUnstored, plain(), vec![Law("conservation"), Counter("lost", 0, 1)]),
        (Planted::StoredRefused, plain(), vec![Counter("delivered_though_refused", 0, 1), Counter("failed_sends", 0, 1)]),
        (Planted::EndedTwice, plain(), vec![Law("conservation")]),
        (Planted::Swapped, keyed_bursts(), vec![Counter("order_inversions_per_key", 0, 1)]),
        // A commit of the timer and one of a pull are worked off by different pools, so a step back by a handful of messages is in order.
        (Planted::Rewound, plain(), vec![Counter("offset_rollback_messages", 100, 900)]),
        (Planted::LocksForgotten, with_a_kill(orderly()), vec![Law("one lock holder at a broker")]),
        (Planted::ListenerLeftRunning, orderly(), vec![Law("an orderly listener has a queue to itself")]),
        (
            Planted::MembersKept,
            with_a_kill(plain()),
            vec![
                Counter("takeover", S, 80 * S),
                Counter("unowned_queue_time", 2 * S, 80 * S),
                Counter("rebalance_converge", S, 80 * S),
                Counter("longest_stall", 2 * S, 80 * S),
            ],
        ),
    ];
    for (bug, scenario, checks) in &table {
        let spec = seeded(scenario, 7);
        let (clean, dirty) = (outcome(&spec), planted(&spec, *bug));
        common::no_law_is_broken(&clean).unwrap_or_else(|e| panic!("the clean twin of {bug:?}: {e}"));
        assert_ne!(clean.header.digest, 0);
        for check in checks {
            holds(&clean, check, None);
            holds(&dirty, check, Some(*bug));
        }
    }
}

/// A broken law is a failed run whatever the scenario expects.
#[test]
fn a_broken_law_fails_the_run_whatever_is_expected() {
    let mut scenario = plain();
    scenario["expect"] = json!({"lost": {"max": 1_000_000}});
    let spec = seeded(&scenario, 7);
    assert_eq!(planted(&spec, Planted::Phantom).verdict, Verdict::Fail);
}
