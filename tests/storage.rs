//! The log's old end and a full disk, from outside: what expires, who notices, and what a broker does whose disk has no room.
//!
//! One master with small files and times; each bound is a sum of the cleaning's own intervals, written beside its case. Records are 1,158 bytes: 91,
//! a body of 1000, the topic's letter and 66 of properties; 226 of them fill a file of 256 KiB.

mod common;

use common::{S, counter, seeded};
use rayon::prelude::*;
use serde_json::{Value, json};
use windtunnel::run::outcome::Outcome;

const SEEDS: u64 = 10;
/// Records in a file.
const A_FILE: i64 = 226;

fn scenario(broker: Value) -> Value {
    let mut broker = broker;
    broker["brokerName"] = json!("broker-a");
    broker["mappedFileSizeCommitLog"] = json!("256KiB");
    json!({
        "question": "What is left?",
        "duration": "140s", "drain": "2m",
        "nameservers": 1,
        "brokers": [broker],
        "topics": [{"name": "T", "queues": 4}],
        "producers": [{"group": "pg", "topic": "T", "rate": "50/s", "size": 1000, "arrivals": "pinned"}],
        "consumers": [{"group": "cg", "topic": "T"}],
    })
}

fn runs(scenario: &Value) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = (1..=SEEDS).into_par_iter().map(|seed| common::outcome(&seeded(scenario, seed))).collect();
    for (seed, outcome) in outcomes.iter().enumerate() {
        common::no_law_is_broken(outcome).unwrap_or_else(|e| panic!("seed {}: {e}", seed + 1));
        assert!(outcome.faults.iter().all(|f| f.touched > 0), "seed {}: {:?}", seed + 1, outcome.faults);
    }
    outcomes
}

fn within(name: &str, outcomes: &[Outcome], what: &str, range: std::ops::RangeInclusive<i64>) {
    let got: Vec<i64> = outcomes.iter().map(|o| counter(o, what)).collect();
    assert!(got.iter().all(|n| range.contains(n)), "{name}: {what} {got:?}, expected {range:?}");
}

fn causes(outcome: &Outcome, name: &str) -> Vec<(String, i64)> {
    outcome.counters.iter().find(|c| c.name == name).map(|c| c.causes.clone()).unwrap_or_default()
}

/// A disk of 16 MiB of which 8 are taken: 85 % is passed with 5.6 MiB of log, 4,983 records of 1,158 + 20 bytes, after 99.7 s; the first
/// pass after that deletes ten files. The next would be due after 144 s, when load of 140 s is over.
fn small_disk() -> Value {
    json!({"disk": "16MiB", "disk_used": "8MiB"})
}

/// OFFSET_TOO_SMALL, end to end: the group comes back below the minimum, drops its queues, waits 10 s and for a rebalance within 20 s, and goes on
/// at the minimum. What was deleted is lost under its own name, what was not is delivered once.
#[test]
fn a_group_below_the_minimum_goes_on_at_the_minimum() {
    let mut s = scenario(small_disk());
    s["faults"] = json!([{"at": "20003ms", "shutdown": "cg-0", "for": "100s"}]);
    let found = runs(&s);
    // Ten files, less what the group had had in 20 s.
    within("lost", &found, "lost", 10 * A_FILE - 1_002..=10 * A_FILE - 1_000);
    within("lost", &found, "log_files_deleted", 10..=10);
    within("copies", &found, "duplicates", 0..=4);
    within("skipped", &found, "skipped", 0..=0);
    // 100 s away, and the correction: at least 10 s, at most 10 + 20 and the start of a process.
    within("stall", &found, "longest_stall", 110 * S..=133 * S);
    for outcome in &found {
        let why = causes(outcome, "lost");
        assert!(why.len() == 1 && why[0].0.starts_with("SEND_OK, expired"), "{why:?}");
        assert!(outcome.warnings.iter().any(|w| w.contains("their log files were deleted")), "{:?}", outcome.warnings);
    }
}

/// Records of a DLedger group in a file: each has 48 bytes of its entry before it.
const ENTRIES: i64 = 217;

/// The same on the disks of a group's three members. An entry takes 1,206 bytes, 20 in its queue and 32 in the group's index: 85 % is passed with 4,668 of them, after
/// 93.4 s; each member deletes ten files within a second, and would delete ten more 41.7 s later, when load of 130 s is over.
fn group(disk: Value) -> Value {
    let mut s = scenario(json!({}));
    let member = |index: u64| {
        let mut member = disk.clone();
        member["brokerName"] = json!("broker-a");
        member["dledger"] = json!({"group": "broker-a", "index": index});
        member["mappedFileSizeCommitLog"] = json!("256KiB");
        member
    };
    s["brokers"] = (0..3).map(member).collect();
    s["warmup"] = json!("100s");
    s["duration"] = json!("130s");
    s
}

/// The members clean for themselves; what the leader deletes is lost to a group that is away, and one that comes back goes on at the minimum.
#[test]
fn a_dledger_group_deletes_what_nobody_has_read() {
    let mut s = group(small_disk());
    let found = runs(&s);
    within("deleted", &found, "log_files_deleted", 30..=30);
    within("who keeps up", &found, "lost", 0..=0);
    s["faults"] = json!([{"at": "20003ms", "shutdown": "cg-0", "for": "100s"}]);
    let found = runs(&s);
    within("lost", &found, "lost", 10 * ENTRIES - 1_002..=10 * ENTRIES - 1_000);
    for outcome in &found {
        let why = causes(outcome, "lost");
        assert!(why.len() == 1 && why[0].0.starts_with("SEND_OK, expired"), "{why:?}");
    }
    let roomy = runs(&group(json!({"disk": "1GiB", "disk_used": "100MiB"})));
    within("deleted", &roomy, "log_files_deleted", 0..=0);
}

/// The leader has room and deletes nothing, the others delete ten files; then it dies, and what one of them has deleted is what the group has lost.
#[test]
fn what_a_follower_deleted_is_lost_when_it_leads() {
    let mut s = group(small_disk());
    for member in 0..3 {
        s["brokers"][member]["preferredLeaderId"] = json!("n0");
    }
    s["brokers"][0]["disk"] = json!("100GiB");
    s["faults"] = json!([
        {"at": "20003ms", "shutdown": "cg-0", "for": "100s"},
        {"at": "100s", "kill": "broker-a:0", "for": "5m"},
    ]);
    s["drain"] = json!("6m");
    let found = runs(&s);
    within("deleted", &found, "log_files_deleted", 20..=20);
    within("lost", &found, "lost", 10 * ENTRIES - 1_002..=10 * ENTRIES - 1_000);
    for outcome in &found {
        let why = causes(outcome, "lost");
        assert!(why.len() == 1 && why[0].0.starts_with("SEND_OK, expired"), "{why:?}");
    }
}

/// A member that was away while the others deleted what it lacks begins anew where the leader's log begins, and the group is whole again: what is
/// sent then survives the death of any other.
#[test]
fn a_member_whose_history_was_deleted_comes_back() {
    let mut s = group(small_disk());
    s["faults"] = json!([
        {"at": "20s", "kill": "broker-a:1", "for": "90s"},
        {"at": "125s", "kill": "broker-a:0", "for": "60s"},
    ]);
    s["drain"] = json!("4m");
    let found = runs(&s);
    within("lost", &found, "lost", 0..=0);
    within("diverged", &found, "diverged_replicas", 0..=0);
    // Two delete ten at their marks. The third has ten fewer when it comes back; where it led when it died, the load of the election comes late and finds the mark with it there.
    within("deleted", &found, "log_files_deleted", 20..=30);
}

/// One member's disk is full: the leader's stops the group, a follower's does not.
#[test]
fn one_full_disk_of_a_group() {
    let disk = json!({"disk": "100GiB", "disk_used": "50GiB"});
    let mut s = group(disk);
    s["duration"] = json!("60s");
    s["faults"] = json!([{"at": "20s", "for": "25s", "fill_disk": {"target": "broker-a", "percent": 91}, "only": "leader"}]);
    let found = runs(&s);
    // Its own store notices within 100 ms; what it has told itself every 10 s it takes back up to 10 s after the disk has room again.
    within("the leader's", &found, "failed_sends", 50 * 25 - 6..=50 * 35 + 1);
    within("the leader's", &found, "lost", 0..=0);
    s["faults"][0]["only"] = json!("followers");
    s["producers"][0]["threads"] = json!(1);
    let found = runs(&s);
    // Nobody has a quorum for 25 s: one thread of 3 s a call, and all that it sent lies at the leader and is committed afterwards.
    within("the followers'", &found, "unknown_sends", 7..=9);
    within("the followers'", &found, "lost", 0..=0);
    // One is enough for a quorum. (Few entries: a leader here sends all that its follower lacks at once, each time.)
    s["producers"][0]["rate"] = json!("2/s");
    s["faults"] = json!([{"at": "20s", "for": "25s", "fill_disk": {"target": "broker-a:1", "percent": 91}, "only": "followers"}]);
    for outcome in (1..=SEEDS).map(|seed| common::outcome(&seeded(&s, seed))) {
        let touched = outcome.faults[0].touched;
        assert_eq!((counter(&outcome, "failed_sends"), counter(&outcome, "unknown_sends")), (0, 0), "touched {touched}");
    }
}

/// The mark is passed by others: without a need no file goes, whatever its age, and nothing is lost to a group that keeps up.
#[test]
fn who_keeps_up_loses_nothing() {
    let found = runs(&scenario(small_disk()));
    within("lost", &found, "lost", 0..=0);
    within("deleted", &found, "log_files_deleted", 10..=10);
    let roomy = runs(&scenario(json!({"disk": "1GiB", "disk_used": "100MiB"})));
    within("deleted", &roomy, "log_files_deleted", 0..=0);
}

/// A group that comes when all that was old is gone begins at the minimum and is owed no more: asked for 0, it is told where the queue begins.
#[test]
fn a_new_group_is_owed_what_is_there() {
    let mut s = scenario(small_disk());
    s["consumers"] = json!([{"group": "cg", "topic": "T", "start": "130s", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}]);
    let found = runs(&s);
    within("lost", &found, "lost", 0..=0);
    // 140 s at 50 a second, less the ten files that had gone before it came.
    within("delivered", &found, "delivered", 7_000 - 10 * A_FILE..=7_000 - 10 * A_FILE);
}

/// QUERY_CONSUMER_OFFSET answers 0 for a queue that begins at 0 and is young: one that has lost its beginning is old, and a new group that wants the
/// end gets the end.
#[test]
fn a_queue_that_has_lost_its_beginning_is_not_young() {
    let late = json!([{"group": "cg", "topic": "T", "start": "130s"}]);
    let mut s = scenario(small_disk());
    s["consumers"] = late.clone();
    // 10 s of load are left, less the start.
    within("old", &runs(&s), "deliveries", 50 * 7..=50 * 10);
    let mut s = scenario(json!({}));
    s["consumers"] = late;
    within("young", &runs(&s), "deliveries", 7_000..=7_000);
}

/// Set forward to an hour of deletion, the clock makes every full file old at once; the consumers' host does not matter.
#[test]
fn a_clock_step_expires_the_backlog() {
    let mut s = scenario(json!({"fileReservedTime": 72}));
    s["faults"] = json!([
        {"at": "20003ms", "shutdown": "cg-0", "for": "100s"},
        {"at": "100s", "clock_step": {"target": "broker-a:0", "by": "100h"}},
    ]);
    let found = runs(&s);
    // 22 full files at the step (5,000 records) go in three passes within 30 s of it, ten by ten, and those that fill up later stay. The group comes back
    // after 20 s, when two passes have been, or three.
    within("lost", &found, "lost", 20 * A_FILE - 1_002..=22 * A_FILE);
    within("deleted", &found, "log_files_deleted", 22..=22);
    s["faults"][1]["clock_step"]["by"] = json!("90h");
    let other_hour = runs(&s);
    within("not the hour", &other_hour, "log_files_deleted", 0..=0);
    within("not the hour", &other_hour, "lost", 0..=0);
}

/// A message that waits longer for its delay than files are kept is never delivered, and nobody is told; its level goes on behind it.
#[test]
fn delays_longer_than_the_log_are_lost() {
    let mut s = scenario(json!({"fileReservedTime": 1, "deleteWhen": "01"}));
    s["duration"] = json!("184m");
    let phases = json!([{"rate": "1/s", "until": "1000s"}, {"rate": "1/s", "from": "3700s", "until": "3800s"}]);
    s["producers"] = json!([
        {"group": "pg", "topic": "T", "phases": phases, "size": 1000, "arrivals": "pinned", "delay_level": 18},
        {"group": "plain", "topic": "T", "rate": "1/s", "size": 1000, "arrivals": "pinned"},
    ]);
    let found = runs(&s);
    for outcome in &found {
        let why = causes(outcome, "lost");
        assert!(why.len() == 1 && why[0].0.starts_with("SEND_OK, expired"), "{why:?}");
    }
    // The hour of deletion is over at 7,140 s. Files of the first 1000 s are full 226 s later at the latest and go after 4,826 s; those of 3,700 s on
    // would go after 7,300 s, and are there when their messages are due, from 10,900 s on.
    within("lost", &found, "lost", 1_000..=1_000);
    s["brokers"][0]["fileReservedTime"] = json!(4);
    let kept = runs(&s);
    within("kept", &kept, "lost", 0..=0);
}

/// SYNC_MASTER and a slave that was away for longer than the log reaches back: nothing is shipped to it any more, and no put is replicated.
#[test]
fn a_slave_below_the_minimum_never_catches_up() {
    let with_slave = |master: Value| {
        let mut s = scenario(master);
        s["brokers"][0]["brokerRole"] = json!("SYNC_MASTER");
        let slave = json!({"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE", "mappedFileSizeCommitLog": "256KiB"});
        s["brokers"].as_array_mut().expect("a list").push(slave);
        s["duration"] = json!("200s");
        // The client's own timeout of 3 s would come first, and hide the answer.
        s["producers"][0]["sendMsgTimeout"] = json!("6s");
        s["producers"][0]["threads"] = json!(400);
        s["faults"] = json!([{"at": "20s", "kill": "broker-a:1", "for": "110s"}]);
        s
    };
    // It is back at 130 to 133 s, and counts from its connection on: each put then waits 3 s in vain, from at most 145 s to 200 s.
    let stuck = runs(&with_slave(small_disk()));
    within("stuck", &stuck, "acked_flush_slave_timeout", 50 * 55..=50 * 72);
    // With its place still there it reports after 5 to 6 s, and is shipped what it lacks.
    let roomy = runs(&with_slave(json!({"disk": "1GiB"})));
    within("roomy", &roomy, "acked_flush_slave_timeout", 0..=50 * 8);
    within("roomy", &roomy, "diverged_replicas", 0..=0);
}

/// A slave's full disk stops nobody: it has no flag to obey, goes on appending, and deletes its own files.
#[test]
fn a_slave_with_a_full_disk_goes_on() {
    let mut s = scenario(json!({"brokerRole": "SYNC_MASTER"}));
    let slave = json!({"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE", "mappedFileSizeCommitLog": "256KiB", "disk": "1GiB"});
    s["brokers"].as_array_mut().expect("a list").push(slave);
    s["faults"] = json!([{"at": "60s", "fill_disk": {"target": "broker-a:1", "percent": 96}, "for": "60s"}]);
    let found = runs(&s);
    within("sends", &found, "failed_sends", 0..=0);
    within("sends", &found, "acked_flush_slave_timeout", 0..=0);
    within("flag", &found, "disk_full_time", 0..=0);
    within("lost", &found, "lost", 0..=0);
    within("its files", &found, "log_files_deleted", 10..=40);
    within("its log", &found, "diverged_replicas", 0..=0);
}

/// The flag is in memory: a broker that restarts on a full disk takes messages until its first pass, 60 s later.
#[test]
fn a_restart_forgets_that_the_disk_is_full() {
    let mut s = scenario(json!({"disk": "1GiB", "cleanFileForciblyEnable": false}));
    s["duration"] = json!("200s");
    s["faults"] = json!([
        {"at": "60s", "fill_disk": {"target": "broker-a:0", "percent": 95}},
        {"at": "100s", "kill": "broker-a:0", "for": "5s"},
    ]);
    let found = runs(&s);
    // Full from 60 to 70 s until the kill, and from 60 s after the start at 105 to 108 s to the end of the drain.
    for outcome in &found {
        let end = (outcome.header.end - outcome.header.zero) as f64 / 1e9;
        let least = 30.0 + (end - 168.0 - 0.2);
        let full = counter(outcome, "disk_full_time") as f64 / 1e9;
        assert!((least..least + 13.4).contains(&full), "full for {full} s of a run that ended at {end} s");
    }
    // Refused or unheard: 30 to 40 s, the restart of 5 to 8.2 s, and 32 to 35 s at the end.
    within("failed", &found, "failed_sends", 50 * 66..=50 * 85);
}

/// What waits behind a full disk comes when there is room, if its file was not deleted to make some: a delayed message is put again every 100 ms, a failed one goes back to its listener.
#[test]
fn delays_and_retries_wait_for_room() {
    let mut s = scenario(json!({"disk": "1GiB", "cleanFileForciblyEnable": false}));
    s["producers"] = json!([{"group": "pg", "topic": "T", "rate": "50/s", "size": 1000, "delay_level": 4, "until": "59s"}]);
    s["consumers"] = json!([{"group": "cg", "topic": "T", "fail": {"every": 50, "times": 1}}]);
    s["faults"] = json!([{"at": "60s", "fill_disk": {"target": "broker-a:0", "percent": 95}, "for": "35s"}]);
    let found = runs(&s);
    within("lost", &found, "lost", 0..=0);
    within("copies", &found, "duplicates", 0..=0);
    within("asked for", &found, "redelivered_on_request", 59..=59);
    // Full from at most 70 s on for 30 or 40 s; messages are due from 30 to 89 s, so one of them waits all that time beyond its own 30 s.
    within("waited", &found, "delivery_latency_max", 60 * S..=71 * S);
    assert!(found.iter().all(|o| o.header.drained), "nothing is owed at the end");
}

/// A keyed send goes to its queue or nowhere; a plain one tries the next broker.
#[test]
fn what_a_full_disk_costs_depends_on_the_retry() {
    let mut s = scenario(json!({"disk": "1GiB"}));
    s["brokers"].as_array_mut().expect("a list").push(json!({"brokerName": "broker-b"}));
    s["producers"].as_array_mut().expect("a list").push(json!({"group": "keyed", "topic": "T", "rate": "50/s", "keys": 16}));
    s["faults"] = json!([{"at": "60s", "fill_disk": {"target": "broker-a:0", "percent": 95}, "for": "25s"}]);
    let found = runs(&s);
    within("plain", &found, "failed_sends@pg-0", 0..=0);
    // Two or three passes, at the half of 50 a second.
    within("keyed", &found, "failed_sends@keyed-0", 495..=755);
    within("lost", &found, "lost", 0..=0);
}
