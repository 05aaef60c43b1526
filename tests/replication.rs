//! Replication end to end: what producers, consumers and disks see of a master and its slave, or of a DLedger group, by the clock of the rules.
//!
//! Each test is one rule of the HA connection, the slave or the group (server spec 2.6, 10 and 11), seen from outside in a running cluster. Times are those
//! that the constants imply; nothing here was read off the simulator.

mod common;

use common::{S, counter, seeded};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use windtunnel::run::outcome::{Outcome, SendFigures};

/// 50 messages a second for a minute, from 64 threads, and a group that reads them.
fn stage(brokers: Value, faults: Value) -> Value {
    json!({
        "question": "What do producers and disks see?",
        "duration": "60s", "drain": "60s",
        "nameservers": 1,
        "brokers": brokers,
        "topics": [{"name": "T", "queues": 4}],
        "producers": [{"group": "pg", "topic": "T", "rate": "50/s", "threads": 64}],
        "consumers": [{"group": "cg", "topic": "T", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}],
        "faults": faults,
    })
}

/// A master of this role and its slave, both with these settings.
fn pair(role: &str, settings: &Value, faults: Value) -> Value {
    let mut brokers = [settings.clone(), settings.clone()];
    for (id, broker) in brokers.iter_mut().enumerate() {
        broker["brokerName"] = json!("broker-a");
        broker["brokerId"] = json!(id);
        broker["brokerRole"] = json!(if id == 0 { role } else { "SLAVE" });
    }
    stage(json!(brokers), faults)
}

/// A DLedger group of three.
fn group(faults: Value) -> Value {
    let member = |index: u8| json!({"brokerName": "broker-a", "dledger": {"group": "broker-a", "index": index}});
    let mut scenario = stage(json!([member(0), member(1), member(2)]), faults);
    scenario["duration"] = json!("90s");
    scenario
}

fn run(scenario: &Value, seed: u64) -> Outcome {
    let outcome = common::outcome(&seeded(scenario, seed));
    common::no_law_is_broken(&outcome).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    outcome
}

fn sends(outcome: &Outcome) -> &SendFigures {
    outcome.sends.values().next().expect("a producer")
}

fn answered(outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    sends(outcome).status.clone()
}

#[test]
fn with_a_slave_in_step_every_put_is_replicated_and_the_logs_agree() {
    for seed in 1..4 {
        let found = run(&pair("SYNC_MASTER", &json!({}), json!([])), seed);
        assert_eq!(answered(&found), BTreeMap::from([("SEND_OK", 3_000)]));
        assert_eq!((counter(&found, "diverged_replicas"), counter(&found, "lost"), counter(&found, "duplicates")), (0, 0, 0));
    }
}

#[test]
fn without_a_slave_a_sync_master_stores_and_says_so() {
    // It dies before the first message.
    let dead = |role| run(&pair(role, &json!({}), json!([{"at": "-5s", "kill": "broker-a:1"}])), 1);
    let found = dead("SYNC_MASTER");
    assert_eq!(answered(&found), BTreeMap::from([("SLAVE_NOT_AVAILABLE", 3_000)]));
    assert_eq!((counter(&found, "lost"), counter(&found, "duplicates")), (0, 0), "stored and visible all the same");
    assert_eq!(answered(&dead("ASYNC_MASTER")), BTreeMap::from([("SEND_OK", 3_000)]));
}

/// The first report comes 5 s after the connect; until then nothing flows, and a put waits out its 3 s.
#[test]
fn a_slave_that_returns_counts_before_it_receives() {
    let scenario = pair("SYNC_MASTER", &json!({}), json!([{"at": "10s", "kill": "broker-a:1", "for": "10s"}]));
    for seed in 1..6 {
        let found = run(&scenario, seed);
        let sends = sends(&found);
        // Gone from the kill to the connect: a boot of 1 to 3 s and the 5 s pause of a client that knows no address yet.
        let (first, last) = (sends.not_send_ok_first_s.expect("some"), sends.not_send_ok_last_s.expect("some"));
        assert!((9.9..10.2).contains(&first) && (25.5..29.0).contains(&last), "{first} {last}");
        // From the connect on all 64 threads wait; what the first of them began is over after 3 s, what the next began at the first report, at 5 s.
        let (failed, slow) = (sends.failed_last_s.expect("some"), sends.slow_last_s.expect("some"));
        assert!((0.0..3.2).contains(&(failed - last)) && (3.0..4.2).contains(&(slow - last)), "{last} {failed} {slow}");
        assert_eq!((counter(&found, "lost"), counter(&found, "diverged_replicas")), (0, 0));
    }
}

/// The first timeout closes the channel under 64 callers, each of whom hands the channel's thread a close of its own; the next connection opens behind them
/// (`NettyRemotingClient#closeChannel`). Who then has no time left closes it at once, so of three attempts not all are written.
#[test]
fn callers_that_fail_together_are_late_for_their_next_channel() {
    let mut scenario = pair("SYNC_MASTER", &json!({}), json!([{"at": "10s", "kill": "broker-a:1", "for": "10s"}]));
    // One machine for all, as slow ones are.
    scenario["cpus"] = json!(2);
    for list in ["brokers", "producers", "consumers"] {
        scenario[list].as_array_mut().into_iter().flatten().for_each(|node| node["host"] = json!("machine"));
    }
    let (mut failed, mut copies) = (0, 0);
    for seed in 1..17 {
        let found = run(&scenario, seed);
        failed += answered(&found)["EXC"] as i64;
        copies += counter(&found, "duplicates");
    }
    let share = 100 * copies / failed;
    assert!((60..180).contains(&share), "{share} more copies for 100 sends that failed after three attempts each");
}

/// Nobody closes anything at a cut: the master waits for a report for 20 s and every put for 3 s; then the slave no longer counts.
#[test]
fn a_silent_slave_counts_for_twenty_seconds() {
    let scenario = pair("SYNC_MASTER", &json!({}), json!([{"at": "10s", "cut": {"between": ["broker-a:0", "broker-a:1"]}}]));
    for seed in 1..4 {
        let found = run(&scenario, seed);
        // The last report came with the last put before the cut; whoever begins after the 20 s is answered at once.
        let last = sends(&found).failed_last_s.expect("calls that waited in vain");
        assert!((26.0..30.2).contains(&last), "{last}");
        // 1,500 fall due after it, and those of the 20 s that no thread had been free for.
        assert!((1_500..2_200).contains(&answered(&found)["SLAVE_NOT_AVAILABLE"]));
        assert_eq!(counter(&found, "lost"), 0);
    }
}

/// A caller with more patience than the master hears FLUSH_SLAVE_TIMEOUT: 3 s after the append, looked at in slices of a second, and in the order of the log.
#[test]
fn a_put_that_no_slave_confirms_is_answered_when_its_slice_ends() {
    let mut scenario = pair("SYNC_MASTER", &json!({}), json!([{"at": "10s", "cut": {"between": ["broker-a:0", "broker-a:1"]}}]));
    scenario["producers"][0]["sendMsgTimeout"] = json!("10s");
    for seed in 1..4 {
        let found = run(&scenario, seed);
        let (answered, sends) = (answered(&found), sends(&found));
        assert!(answered["FLUSH_SLAVE_TIMEOUT"] > 200 && !answered.contains_key("EXC"), "{answered:?}");
        assert!(
            (3_900..4_100).contains(&sends.round_trip_ms.max),
            "{} ms: 3 s, and a slice that began just before",
            sends.round_trip_ms.max
        );
        assert_eq!((counter(&found, "lost"), counter(&found, "duplicates")), (0, 0));
    }
}

/// `masterOffset - masterOffset % fileSize`: history is never shipped. A group that comes when only the slave is left gets what it has.
#[test]
fn an_empty_slave_begins_with_the_newest_file() {
    let mut scenario = pair(
        "ASYNC_MASTER",
        &json!({"mappedFileSizeCommitLog": 65_536}),
        json!([{"at": "58s", "lose_host": "broker-a:0"}, {"at": "59s", "promote": "broker-a:1"}]),
    );
    scenario["brokers"][1]["start"] = json!("20s");
    scenario["consumers"][0]["start"] = json!("100s");
    scenario["drain"] = json!("3m");
    for seed in 1..4 {
        let found = run(&scenario, seed);
        assert_eq!(counter(&found, "diverged_replicas"), 1, "the old master has what the new one never got");
        assert!(
            counter(&found, "discarded_send_ok") <= 50 / 5,
            "of what lies behind the slave's end, at most 100 ms and what is under way"
        );
        // It begins to receive 11 to 15 s after its start, with the file of that moment: at most 300 records of 230 bytes, 6 s, before it.
        let missing = counter(&found, "lost");
        assert!((50 * 25..50 * 36).contains(&missing), "{missing} of the first 31 to 35 s are in older files");
    }
}

/// 10.5-1: a master that lost its tail and a slave that has it. The slave is ahead, so puts count as replicated that are not; what the master then sends does
/// not go on where the slave's log breaks off.
#[test]
fn a_slave_that_is_ahead_of_its_master_ends_in_another_log() {
    let faults = json!([{"at": "20s", "lose_host": "broker-a:0", "for": "5s"}]);
    let diverged: i64 = (1..9)
        .map(|seed| {
            let found = run(&pair("SYNC_MASTER", &json!({}), faults.clone()), seed);
            let gone = counter(&found, "discarded_send_ok");
            assert!(gone <= 50 * 54 / 100 + 64, "{gone}: no more than the flush interval holds");
            counter(&found, "diverged_replicas")
        })
        .sum();
    assert!(diverged >= 4, "{diverged} of 8");
    for seed in 1..5 {
        let found = run(&pair("SYNC_MASTER", &json!({"flushDiskType": "SYNC_FLUSH"}), faults.clone()), seed);
        assert_eq!(counter(&found, "discarded_send_ok"), 0);
    }
}

/// Without a master the slave is read on: what it has is delivered, within its holds' 5 s look; its offsets are those of the last sync.
#[test]
fn consumers_read_on_from_the_slave() {
    // The group is stopped while messages come in, and starts again when the master is gone.
    let faults = json!([{"at": "5s", "shutdown": "cg"}, {"at": "30s", "kill": "broker-a:0"}, {"at": "33s", "start": "cg"}]);
    for seed in 1..4 {
        let found = run(&pair("ASYNC_MASTER", &json!({}), faults.clone()), seed);
        let sent = answered(&found)["SEND_OK"];
        assert!((1_480..1_520).contains(&sent), "{sent}: until the kill");
        let lost = counter(&found, "lost");
        assert!(lost <= 6, "{lost}: what the slave had not been sent, at most 100 ms");
        let again = counter(&found, "duplicates");
        assert!(again <= 50 * 16, "{again}: at most the slave's sync and the client's commit, 15 s");
    }
}

/// 6 s of silence, 0.3 to 1 s and a vote, then the clients' route poll: nothing that was answered is lost, and the old leader comes back into line.
#[test]
fn a_group_outlives_its_leader() {
    for (seed, strike) in [(1, "kill"), (2, "kill"), (3, "lose_host"), (4, "lose_host")] {
        let mut scenario = group(json!([{"at": "20s", strike: "broker-a", "only": "leader", "for": "20s"}]));
        scenario["producers"][0]["rate"] = json!("500/s");
        let found = run(&scenario, seed);
        let outage = counter(&found, "longest_time_without_success");
        assert!((4 * S..38 * S).contains(&outage), "seed {seed}: {outage} ns");
        let gone = (counter(&found, "discarded_send_ok"), counter(&found, "lost"), counter(&found, "diverged_replicas"));
        assert_eq!(gone, (0, 0, 0), "seed {seed}");
    }
}

/// What a send to a group takes, hop by hop, when everything but the waits is constant (server spec 11.4, 11.5): two links to the leader and back, two to a
/// follower and back, and the look of the first of two dispatchers, the median of which comes after 0.29 ms. A push is a request like others for the follower's
/// server threads, and wakes one thread there and one at the leader; the answer wakes the caller.
#[test]
fn a_send_to_a_group_takes_its_hops_and_the_look_of_a_dispatcher() {
    let median = |manage: &str, resume: &str| {
        let mut scenario = group(json!([]));
        scenario["duration"] = json!("30s");
        // No whole number of milliseconds apart: nothing else moves the beats of the dispatchers against the sends.
        scenario["producers"][0]["rate"] = json!("47/s");
        scenario["links"] = json!({"latency": "1ms"});
        scenario["services"] = json!({"send": "0s", "wakeup": "0s", "manage": manage, "resume": resume});
        counter(&run(&scenario, 1), "send_latency_p50") / 1_000
    };
    let bare = median("0s", "0s");
    assert!((4_200..=4_400).contains(&bare), "{bare} us");
    let (worked, woken) = (median("3ms", "0s") - bare, median("0s", "2ms") - bare);
    assert!((2_900..=3_100).contains(&worked), "the work of a push: {worked} us");
    assert!((5_900..=6_100).contains(&woken), "handler, checker and caller: {woken} us");
}

/// A level of delays has one thread, and that waits for a quorum with every message: 100 that fall due together take 100 round trips of the group, 20 ms and the
/// look of a dispatcher each; a master without a group puts them in one look (`DeliverDelayedMessageTimerTask#syncDeliver`; server spec 8.1, 11.6).
#[test]
fn delayed_messages_of_a_group_are_delivered_one_a_round_trip() {
    let last = |brokers: Value| {
        let mut scenario = group(json!([]));
        scenario["brokers"] = brokers;
        scenario["duration"] = json!("100ms");
        scenario["links"] = json!({"latency": "10ms"});
        scenario["producers"][0]["rate"] = json!("1000/s");
        scenario["producers"][0]["threads"] = json!(100);
        scenario["producers"][0]["delay_level"] = json!(1);
        let found = run(&scenario, 1);
        assert_eq!((answered(&found), counter(&found, "duplicates")), (BTreeMap::from([("SEND_OK", 100)]), 0));
        found.groups["cg"].latency_ms.max
    };
    let (alone, group) = (last(json!([{"brokerName": "broker-a"}])), last(group(json!([]))["brokers"].clone()));
    // A second of delay, up to 0.1 s to a look, and the ways of the send, its route and the pull: some tenths of a second.
    assert!((1_000..1_600).contains(&alone), "{alone} ms");
    // And each behind the one before: two links, up to 1 ms for the look, some tenths by which threads are late.
    assert!((1_000 + 100 * 20..1_600 + 100 * 22).contains(&group), "{group} ms");
}

/// No member reaches another for 2.7 s, which ends no leadership: a delivery that began then is given up after 2.5 s and done again within 0.1 s, and both are
/// committed when TCP has sent them again. The message is there twice, those behind it in its level once.
#[test]
fn a_delayed_message_that_no_quorum_confirms_in_time_is_delivered_twice() {
    let cut = |a: u8, b: u8| json!({"at": "10s", "cut": {"between": [format!("broker-a:{a}"), format!("broker-a:{b}")]}, "for": "2.7s"});
    let mut scenario = group(json!([cut(0, 1), cut(0, 2), cut(1, 2)]));
    // Until 0.5 s before, and a second of delay.
    scenario["duration"] = json!("9.5s");
    scenario["producers"][0]["rate"] = json!("10/s");
    scenario["producers"][0]["delay_level"] = json!(1);
    for seed in 1..6 {
        let found = run(&scenario, seed);
        assert_eq!(answered(&found), BTreeMap::from([("SEND_OK", 95)]), "seed {seed}");
        assert_eq!((counter(&found, "duplicates"), counter(&found, "lost")), (1, 0), "seed {seed}");
    }
}

/// A quorum of two is enough; one alone takes nothing, and says so after 2.5 s.
#[test]
fn a_group_needs_two_of_three() {
    let mut followers = 0;
    for member in 0..3 {
        let target = format!("broker-a:{member}");
        let found = run(&group(json!([{"at": "20s", "kill": target, "only": "followers"}])), 1);
        if found.faults[0].touched > 0 {
            followers += 1;
            assert_eq!(answered(&found), BTreeMap::from([("SEND_OK", 4_500)]), "nobody notices that {target} is gone");
        }
    }
    assert_eq!(followers, 2, "one of three leads");
    let alone = run(&group(json!([{"at": "20s", "kill": "broker-a", "only": "followers"}])), 1);
    assert!(answered(&alone)["SEND_OK"] < 21 * 50);
    let first = sends(&alone).failed_first_s.expect("calls that waited in vain");
    assert!((19.5..20.5).contains(&first), "{first}");
    assert_eq!(counter(&alone, "discarded_send_ok"), 0);
}

/// Acknowledged from page caches: when all hosts lose power at once, what no member had flushed is gone: 10 ms and an fsync, at 500 a second.
#[test]
fn a_group_that_loses_all_its_hosts_comes_back() {
    let mut scenario = group(json!([{"at": "20s", "lose_host": "broker-a", "for": "5s"}]));
    scenario["producers"][0]["rate"] = json!("500/s");
    scenario["producers"][0]["size"] = json!(1_000);
    for seed in 1..8 {
        let found = run(&scenario, seed);
        assert!(counter(&found, "discarded_send_ok") <= 500 * 40 / 1_000 + 8);
        assert_eq!(counter(&found, "diverged_replicas"), 0, "seed {seed}");
        assert!(answered(&found)["SEND_OK"] > 25 * 500, "seed {seed}: it takes messages again");
    }
}
