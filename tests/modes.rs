//! One suite of conversations that every mode of high availability passes: the leader crashes, is cut off, a follower comes back, a disk is slow.
//!
//! A conversation is text: when, what, whom, for how long. What it must come to is the same for all modes, since it follows from the seam of three questions
//! (`broker/ha`): what may be written, whose answer waits for what, how far readers see. No law is broken; a group reads everything that is on the surviving
//! disks; at the end the disks of a set hold one log; and the set takes and delivers messages again. What a mode promises besides stands in its row: how long it may be
//! closed, and whether a message answered SEND_OK may be gone.

mod common;

use common::{S, counter, seeded};
use serde_json::{Value, json};
use windtunnel::run::outcome::Outcome;

/// The load lasts so long, s; the last fault ends well before.
const LOAD: u64 = 120;
const RATE: u64 = 50;

/// A set of brokers under one name, and what it promises.
struct Mode {
    name: &'static str,
    brokers: Value,
    /// Nobody takes over: as long as the leader is away nothing is written.
    waits_for_its_leader: bool,
}

fn modes() -> Vec<Mode> {
    let pair = |role: &str, flush: &str| {
        json!([
            {"brokerName": "broker-a", "brokerRole": role, "flushDiskType": flush},
            {"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE", "flushDiskType": flush}
        ])
    };
    let member = |index: u8| json!({"brokerName": "broker-a", "dledger": {"group": "broker-a", "index": index}});
    let mode = |name, brokers, waits_for_its_leader| Mode { name, brokers, waits_for_its_leader };
    vec![
        mode("one master", json!([{"brokerName": "broker-a"}]), true),
        mode("ASYNC_MASTER, ASYNC_FLUSH", pair("ASYNC_MASTER", "ASYNC_FLUSH"), true),
        mode("SYNC_MASTER, ASYNC_FLUSH", pair("SYNC_MASTER", "ASYNC_FLUSH"), true),
        mode("SYNC_MASTER, SYNC_FLUSH", pair("SYNC_MASTER", "SYNC_FLUSH"), true),
        mode("DLedger of three", json!([member(0), member(1), member(2)]), false),
    ]
}

/// One fault a line: `seconds verb whom for seconds`. Whom: the leader, the followers, or one member cut off from the others.
const CONVERSATIONS: &[(&str, &str)] = &[
    ("the leader crashes", "30 kill leader for 20"),
    ("the leader's threads stand still", "30 freeze leader for 20"),
    ("a member is cut off", "30 cut broker-a:0 for 20"),
    ("the followers come back", "30 kill followers for 20"),
    ("the leader's disk is slow", "30 slow_disk broker-a:0 for 20"),
    ("the leader crashes, and again when it is back", "30 kill leader for 10\n60 kill leader for 10"),
    ("the leader crashes while a member is cut off", "30 cut broker-a:0 for 40\n45 kill leader for 10"),
];

/// Scheduled faults from the text of a conversation; those that need peers are left out where there are none.
fn faults(text: &str, members: usize) -> Vec<Value> {
    let mut faults = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, verb, whom, "for", lasts] = words[..] else { panic!("cannot read \"{line}\"") };
        let (at, lasts) = (format!("{at}s"), format!("{lasts}s"));
        let others: Vec<String> = (1..members).map(|i| format!("broker-a:{i}")).collect();
        if others.is_empty() && (verb == "cut" || whom == "followers") {
            continue;
        }
        if verb == "cut" {
            let from = |other: &String| json!({"at": at, "cut": {"between": [whom, other]}, "for": lasts});
            faults.extend(others.iter().map(from));
            continue;
        }
        faults.push(match (verb, whom) {
            ("slow_disk", one) => json!({"at": at, "slow_disk": {"target": one, "factor": 50}, "for": lasts}),
            (verb, "followers") => json!({"at": at, verb: "broker-a", "only": "followers", "for": lasts}),
            (verb, _) => json!({"at": at, verb: "broker-a", "only": "leader", "for": lasts}),
        });
    }
    faults
}

fn scenario(mode: &Mode, text: &str) -> Option<Value> {
    let faults = faults(text, mode.brokers.as_array().map_or(0, Vec::len));
    (!faults.is_empty()).then(|| {
        json!({
            "question": "Does the set keep what its mode promises?",
            "duration": format!("{LOAD}s"), "drain": "3m",
            "nameservers": 1,
            "brokers": mode.brokers,
            "topics": [{"name": "T", "queues": 4}],
            "producers": [{"group": "pg", "topic": "T", "rate": format!("{RATE}/s"), "threads": 64}],
            "consumers": [{"group": "cg", "count": 2, "topic": "T", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}],
            "faults": faults,
        })
    })
}

fn passes(mode: &Mode, what: &str, text: &str, found: &Outcome, seed: u64) {
    let of = |name: &str| counter(found, name);
    let said = format!("{}: {what}, seed {seed}", mode.name);
    common::no_law_is_broken(found).unwrap_or_else(|e| panic!("{said}: {e}"));
    // No power is lost, so no mode gives up what it answered; and what is on disk is read.
    assert_eq!((of("discarded_send_ok"), of("lost"), of("skipped")), (0, 0, 0), "{said}: a promise is broken");
    assert_eq!(of("diverged_replicas"), 0, "{said}: the disks hold different logs");
    let sends = found.sends.values().next().expect("a producer");
    let last = sends.failed_last_s.unwrap_or(0.0).max(sends.not_send_ok_last_s.unwrap_or(0.0));
    assert!(last < (LOAD - 5) as f64, "{said}: the set does not come back: {last} s");
    // A leader that is away closes the set; its own return, or an election, opens it, and then each client waits for its next route.
    let away: i64 = text.lines().filter_map(|l| l.split_whitespace().last()?.parse::<i64>().ok()).max().unwrap_or(0);
    let open = if mode.waits_for_its_leader { away + 3 } else { 14 };
    let closed = of("longest_time_without_success");
    assert!(closed < (open + 31) * S, "{said}: closed for {closed} ns");
    let acked = sends.status.get("SEND_OK").copied().unwrap_or(0);
    assert!(acked > LOAD * RATE / 4, "{said}: {acked} answered SEND_OK");
}

#[test]
fn every_mode_passes_every_conversation() {
    let mut held = 0;
    for mode in &modes() {
        for &(what, text) in CONVERSATIONS {
            let Some(scenario) = scenario(mode, text) else { continue };
            for seed in 1..4 {
                let found = common::outcome(&seeded(&scenario, seed));
                passes(mode, what, text, &found, seed);
                held += 1;
            }
        }
    }
    // Four modes hold all of them, a single master those that need no peer.
    assert_eq!(held, 3 * (4 * CONVERSATIONS.len() + 5));
}
