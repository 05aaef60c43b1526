//! Replication end to end: what producers, consumers and disks see of a master and its slave, by the clock of the rules.
//!
//! Each test is one rule of the HA connection or of the slave (server spec 10 and 2.6), seen from outside in a running cluster. Times are those
//! that the constants imply; nothing here was read off the simulator.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use windtunnel::run::outcome::{Outcome, Verdict};
use windtunnel::run::{Control, run};
use windtunnel::scenario::{Known, Overrides, parse};

/// A master and a slave; `set` adds keys to master and slave, `rest` ends the object.
struct Stage<'a> {
    role: &'a str,
    master: &'a str,
    slave: &'a str,
    rest: &'a str,
}

impl Stage<'_> {
    fn run(&self, seed: u64) -> Outcome {
        let text = format!(
            r#"{{"format": 1, "question": "?", "rocketmq": "4.9.8", "duration": "60s", "drain": "60s", "nameservers": 1,
            "brokers": [{{"brokerName": "broker-a", "brokerRole": "{}"{}}},
                {{"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE"{}}}],
            "topics": [{{"name": "T", "queues": 4}}],
            "consumers": [{{"group": "cg", "topic": "T", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}}], {}}}"#,
            self.role, self.master, self.slave, self.rest
        );
        let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
        let loaded = parse("replication", &text, &overrides, &Known::default()).unwrap_or_else(|e| panic!("{e}"));
        let stop = AtomicBool::new(false);
        let outcome = run(&loaded.spec, &Control { stop: &stop, progress: None });
        assert!(outcome.laws.iter().all(|l| l.verdict != Verdict::Fail), "{:?}", outcome.laws);
        outcome
    }
}

const LOAD: &str = r#""producers": [{"group": "pg", "topic": "T", "rate": "50/s", "threads": 64}]"#;

fn counter(outcome: &Outcome, name: &str) -> i64 {
    let found = outcome.counters.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no counter {name}"));
    found.value.unwrap_or(-1)
}

fn answered(outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    outcome.sends.values().next().map(|s| s.status.clone()).unwrap_or_default()
}

#[test]
fn with_a_slave_in_step_every_put_is_replicated_and_the_logs_agree() {
    for seed in 1..4 {
        let found = Stage { role: "SYNC_MASTER", master: "", slave: "", rest: LOAD }.run(seed);
        assert_eq!(answered(&found), BTreeMap::from([("SEND_OK", 3_000)]));
        assert_eq!((counter(&found, "diverged_replicas"), counter(&found, "lost"), counter(&found, "duplicates")), (0, 0, 0));
    }
}

#[test]
fn without_a_slave_a_sync_master_stores_and_says_so() {
    // It dies before the first message.
    let rest = format!(r#"{LOAD}, "faults": [{{"at": "-5s", "kill": "broker-a:1"}}]"#);
    let found = Stage { role: "SYNC_MASTER", master: "", slave: "", rest: &rest }.run(1);
    assert_eq!(answered(&found), BTreeMap::from([("SLAVE_NOT_AVAILABLE", 3_000)]));
    assert_eq!((counter(&found, "lost"), counter(&found, "duplicates")), (0, 0), "stored and visible all the same");
    let found = Stage { role: "ASYNC_MASTER", master: "", slave: "", rest: &rest }.run(1);
    assert_eq!(answered(&found), BTreeMap::from([("SEND_OK", 3_000)]));
}

/// The first report comes 5 s after the connect; until then nothing flows, and a put waits out its 3 s.
#[test]
fn a_slave_that_returns_counts_before_it_receives() {
    let rest = format!(r#"{LOAD}, "faults": [{{"at": "10s", "kill": "broker-a:1", "for": "10s"}}]"#);
    for seed in 1..6 {
        let found = Stage { role: "SYNC_MASTER", master: "", slave: "", rest: &rest }.run(seed);
        let sends = found.sends.values().next().expect("a producer");
        // Gone from the kill to the connect: boot (0.5 to 5 s here) and the 5 s pause of a client that knows no address yet.
        let (first, last) = (sends.not_send_ok_first_s.expect("some"), sends.not_send_ok_last_s.expect("some"));
        assert!((10.0..13.5).contains(&first) && (25.0..31.0).contains(&last), "{first} {last}");
        let (from, to) = (sends.failed_first_s.expect("calls that waited in vain"), sends.failed_last_s.expect("some"));
        assert!(from >= 9.9 && to - last < 5.5, "{from} {to} {last}");
        assert!(counter(&found, "sends_over_1s") > 30, "those behind them waited for the first report");
        assert_eq!((counter(&found, "lost"), counter(&found, "diverged_replicas")), (0, 0));
    }
}

/// Nobody closes anything at a cut: the master waits for a report for 20 s and every put for 3 s; then the slave no longer counts.
#[test]
fn a_silent_slave_counts_for_twenty_seconds() {
    let rest = format!(r#"{LOAD}, "faults": [{{"at": "10s", "cut": {{"between": ["broker-a:0", "broker-a:1"]}}}}]"#);
    for seed in 1..4 {
        let found = Stage { role: "SYNC_MASTER", master: "", slave: "", rest: &rest }.run(seed);
        let sends = found.sends.values().next().expect("a producer");
        let last = sends.failed_last_s.expect("calls that waited in vain");
        // The last report came at most 5 s before the cut, or with the last put.
        assert!((24.0..32.0).contains(&last), "{last}");
        assert!(answered(&found)["SLAVE_NOT_AVAILABLE"] > 1_300);
        assert_eq!(counter(&found, "lost"), 0);
    }
}

/// `masterOffset - masterOffset % fileSize`: history is never shipped.
#[test]
fn an_empty_slave_begins_with_the_newest_file() {
    let small = r#", "mappedFileSizeCommitLog": 65536"#;
    let late = r#", "mappedFileSizeCommitLog": 65536, "start": "20s""#;
    // Reading from the slave alone, after the master's host is gone: the older files are not there.
    let rest =
        format!(r#"{LOAD}, "faults": [{{"at": "58s", "lose_host": "broker-a:0"}}, {{"at": "59s", "promote": "broker-a:1"}}]"#);
    for seed in 1..4 {
        let found = Stage { role: "ASYNC_MASTER", master: small, slave: late, rest: &rest }.run(seed);
        assert_eq!(counter(&found, "diverged_replicas"), 1, "the old master has what the new one never got");
        let gone = counter(&found, "discarded_send_ok");
        assert!(gone <= 50 / 5, "{gone}: of what lies behind the slave's end, at most 100 ms and what is under way");
        let minimum = found.groups["cg"].duplicates;
        assert!(minimum < 60 * 50, "{minimum}: what is older than the slave's first file cannot come again");
    }
}

/// 10.5-1: a master that lost its tail and a slave that has it. The slave is ahead, so puts count as replicated that are not; what the master then sends does
/// not go on where the slave's log breaks off.
#[test]
fn a_slave_that_is_ahead_of_its_master_ends_in_another_log() {
    let rest = format!(r#"{LOAD}, "faults": [{{"at": "20s", "lose_host": "broker-a:0", "for": "5s"}}]"#);
    let diverged: i64 = (1..9)
        .map(|seed| {
            let found = Stage { role: "SYNC_MASTER", master: "", slave: "", rest: &rest }.run(seed);
            let gone = counter(&found, "discarded_send_ok");
            assert!(gone <= 50 * 54 / 100 + 64, "{gone}: no more than the flush interval holds");
            counter(&found, "diverged_replicas")
        })
        .sum();
    assert!(diverged >= 4, "{diverged} of 8");
    let safe = r#", "flushDiskType": "SYNC_FLUSH""#;
    for seed in 1..5 {
        let found = Stage { role: "SYNC_MASTER", master: safe, slave: safe, rest: &rest }.run(seed);
        assert_eq!(counter(&found, "discarded_send_ok"), 0);
    }
}

/// Without a master the slave is read on: what it has is delivered, within its holds' 5 s look; its offsets are those of the last sync.
#[test]
fn consumers_read_on_from_the_slave() {
    // The group is stopped while messages come in, and starts again when the master is gone.
    let rest = format!(
        r#"{LOAD}, "faults": [{{"at": "5s", "shutdown": "cg"}}, {{"at": "30s", "kill": "broker-a:0"}}, {{"at": "33s", "start": "cg"}}]"#
    );
    for seed in 1..4 {
        let found = Stage { role: "ASYNC_MASTER", master: "", slave: "", rest: &rest }.run(seed);
        let sent = answered(&found)["SEND_OK"] as i64;
        assert!((1_480..1_520).contains(&sent), "{sent}: until the kill");
        let lost = counter(&found, "lost");
        assert!(lost <= 6, "{lost}: what the slave had not been sent, at most 100 ms");
        let again = counter(&found, "duplicates");
        assert!(again <= 50 * 16, "{again}: at most the slave's sync and the client's commit, 15 s");
    }
}

/// A DLedger group of three, its producers and its consumers.
fn group(seed: u64, faults: &str) -> Outcome {
    let member = |n| format!(r#"{{"brokerName": "broker-a", "dledger": {{"group": "broker-a", "index": {n}}}}}"#);
    let text = format!(
        r#"{{"format": 1, "question": "?", "rocketmq": "4.9.8", "duration": "90s", "drain": "60s", "nameservers": 1,
        "brokers": [{}, {}, {}], "topics": [{{"name": "T", "queues": 4}}],
        "consumers": [{{"group": "cg", "topic": "T", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}}], {LOAD}, "faults": [{faults}]}}"#,
        member(0),
        member(1),
        member(2)
    );
    let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
    let loaded = parse("group", &text, &overrides, &Known::default()).unwrap_or_else(|e| panic!("{e}"));
    let stop = AtomicBool::new(false);
    let outcome = run(&loaded.spec, &Control { stop: &stop, progress: None });
    assert!(outcome.laws.iter().all(|l| l.verdict != Verdict::Fail), "{:?}", outcome.laws);
    outcome
}

/// 6 s of silence, 0.3 to 1 s and a vote, then the clients' route poll: nothing that was answered is lost, and the old leader comes back into line.
#[test]
fn a_group_outlives_its_leader() {
    for (seed, strike) in [(1, "kill"), (2, "kill"), (3, "lose_host"), (4, "lose_host")] {
        let found = group(seed, &format!(r#"{{"at": "20s", "{strike}": "broker-a", "only": "leader", "for": "20s"}}"#));
        let outage = counter(&found, "longest_time_without_success") as f64 / 1e9;
        assert!((6.0..6.0 + 5.0 + 31.0).contains(&outage), "seed {seed}: {outage} s");
        let gone = (counter(&found, "discarded_send_ok"), counter(&found, "lost"), counter(&found, "diverged_replicas"));
        assert_eq!(gone, (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn a_group_without_one_follower_does_not_notice_and_without_two_takes_nothing() {
    let found = group(1, r#"{"at": "20s", "kill": "broker-a", "only": "followers"}"#);
    let sends = found.sends.values().next().expect("a producer");
    assert!(sends.failed_first_s.is_some_and(|at| (16.0..21.0).contains(&at)), "puts wait 2.5 s for a quorum in vain");
    assert_eq!(counter(&found, "discarded_send_ok"), 0);
    assert!(answered(&found)["SEND_OK"] < 21 * 50);
    let alone = group(2, r#"{"at": "20s", "slow_disk": {"target": "broker-a", "stall": true}, "for": "1ms"}"#);
    assert_eq!((answered(&alone)["SEND_OK"], counter(&alone, "lost")), (4_500, 0));
}

/// Acknowledged from page caches: when all hosts lose power at once, what no member had flushed is gone; at 50 messages a second that is one at most.
#[test]
fn a_group_that_loses_all_its_hosts_comes_back() {
    for seed in 1..4 {
        let found = group(seed, r#"{"at": "20s", "lose_host": "broker-a", "for": "5s"}"#);
        assert!(counter(&found, "discarded_send_ok") <= 2, "10 ms, and one under way");
        assert_eq!(counter(&found, "diverged_replicas"), 0);
        assert!(answered(&found)["SEND_OK"] > 25 * 50, "it takes messages again");
    }
}
