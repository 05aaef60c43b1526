//! Outages of broker sets in the running cluster: the roles' own notes make every stage that a mode has, and none that it has not.

mod common;

use common::{S, counter, load, outcome, root, spec};
use serde_json::{Value, json};
use windtunnel::run::outcome::{Outcome, Recovery, Waited};
use windtunnel::scenario::Overrides;

fn run(scenario: &str) -> Outcome {
    outcome(&load(&root().join("scenarios").join(scenario), &Overrides::default()))
}

fn only(outcome: &Outcome) -> &Recovery {
    assert_eq!(outcome.recoveries.len(), 1, "{:?}", outcome.recoveries);
    &outcome.recoveries[0]
}

fn names(row: &Waited) -> Vec<&'static str> {
    assert_eq!(row.stages.iter().map(|s| s.took).sum::<u64>(), row.outage, "{row:?}");
    row.stages.iter().map(|s| s.name).collect()
}

fn waits<'a>(row: &'a Waited, stage: &str) -> &'a str {
    row.stages.iter().find(|s| s.name == stage).map_or("no such stage", |s| s.waits_for.as_str())
}

#[test]
fn an_election_has_its_stages_and_their_timers() {
    let outcome = run("dledger-election-gap.hazard.json");
    let r = only(&outcome);
    let stages = ["detected", "election begun", "elected", "opened", "registered", "route refreshed", "first answer"];
    assert_eq!(names(&r.senders[0]), stages);
    assert!(waits(&r.senders[0], "election begun").starts_with("maxHeartBeatLeak 3 x heartBeatTimeIntervalMs 2 s"));
    assert!(waits(&r.senders[0], "route refreshed").starts_with("pollNameServerInterval 30 s"));
    // The pull that was under way at the strike waits out its timeout, whoever leads meanwhile.
    assert_eq!(names(&r.queues[0]), ["detected", "pulled", "first delivery"]);
    assert!(waits(&r.queues[0], "detected").starts_with("CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND 30 s"));
    assert_eq!(r.rpo.map(|rpo| rpo.messages), Some(0));
}

#[test]
fn a_master_that_restarts_has_no_election() {
    let outcome = run("quickstart.json");
    let r = only(&outcome);
    let of = names(&r.senders[0]);
    // Its start is told in its parts, and it opens with the end of the last one.
    assert!(of.starts_with(&["detected", "process started", "booted"]) && of.contains(&"route refreshed"), "{of:?}");
    assert_eq!(waits(&r.senders[0], "process started"), "the restart of broker-b:0");
    assert!(!of.contains(&"elected") && !of.contains(&"election begun"), "{of:?}");
    // The other set answers meanwhile: the producer as a whole was never without.
    assert!(r.senders[0].outage > 30_000_000_000 && r.senders[0].without_any < Some(1_000_000_000), "{:?}", r.senders[0]);
    assert!(names(&r.queues[0]).contains(&"route refreshed"), "the routes of consumers are told too: {:?}", r.queues[0]);
}

#[test]
fn a_promotion_costs_what_had_not_been_shipped() {
    let outcome = run("async-master-loss.hazard.json");
    let r = only(&outcome);
    assert_eq!(waits(&r.senders[0], "process started"), "the promotion of broker-a:1");
    let gone: u64 = outcome.crashes[0].discarded.iter().map(|d| d.1).sum();
    let rpo = r.rpo.expect("its slave took over");
    assert!(gone > 0 && rpo.messages == gone && rpo.span > 0, "{rpo:?}, {gone} gone");
}

/// One set under a small load.
fn one_set(brokers: Value, faults: Value) -> Outcome {
    outcome(&spec(&json!({
        "question": "What happens?", "seed": 3, "warmup": "170s", "duration": "120s", "drain": "1m", "nameservers": 1,
        "brokers": brokers, "topics": [{"name": "T", "queues": 4}],
        "producers": [{"group": "pg", "topic": "T", "rate": "20/s", "sendMsgTimeout": "10s"}], "consumers": [{"group": "cg", "topic": "T"}],
        "faults": faults
    })))
}

fn members() -> Value {
    let member = |index: u8| json!({"brokerName": "broker-a", "dledger": {"group": "broker-a", "index": index}});
    json!([member(0), member(1), member(2)])
}

/// Nothing is acknowledged from the cut on, though the leader steps down seconds later: `maxHeartBeatLeak` 3 x 2 s after the last heartbeat that a quorum
/// answered (server spec 11.4), at most. The two that are left elect one of themselves, and the producer is back without the link.
#[test]
fn a_leader_that_is_cut_off_from_its_followers_is_away_from_the_cut_on() {
    let outcome =
        one_set(members(), json!([{"at": "60s", "for": "30s", "cut": {"between": ["broker-a", "broker-a"]}, "only": "leader"}]));
    let r = only(&outcome);
    assert!(r.what.ends_with(" without a majority") && r.at_s == 60.0, "{} at {} s", r.what, r.at_s);
    let worst = &r.senders[0];
    let of = names(worst);
    assert!(of[0] == "detected" && of.contains(&"elected") && of.contains(&"opened"), "{of:?}");
    assert!(worst.over && (3 * S as u64..25 * S as u64).contains(&worst.outage), "{worst:?}");
    // What the producer itself counts agrees: its longest time without an answer begins with the same cut.
    let longest = counter(&outcome, "longest_time_without_success") as u64;
    assert!(longest >= worst.outage && longest < worst.outage + S as u64 / 5, "{longest} ns, {worst:?}");
}

/// The other two are gone, and come back: what was waited for is the start of the first, up to its vote.
#[test]
fn a_majority_is_back_when_enough_members_can_vote() {
    let outcome = one_set(members(), json!([{"at": "60s", "for": "20s", "lose_host": "broker-a", "only": "followers"}]));
    let r = only(&outcome);
    assert!(r.what.ends_with(" without a majority") && r.at_s == 60.0, "{} at {} s", r.what, r.at_s);
    let worst = &r.senders[0];
    let of = names(worst);
    assert!(of.starts_with(&["detected", "process started"]) && of.contains(&"elected") && of.contains(&"opened"), "{of:?}");
    // The boot of the member is no part of the election.
    let took = |stage: &str| worst.stages.iter().find(|s| s.name == stage).map_or(0, |s| s.took);
    assert!(took("booted") + took("quorum back") > 500_000_000, "{worst:?}");
}

/// A SYNC_MASTER whose slave is out of reach answers FLUSH_SLAVE_TIMEOUT, then SLAVE_NOT_AVAILABLE (`HAService#isSlaveOK`); it is served again as well as before
/// when the slave has connected again. Deliveries go on.
#[test]
fn a_lost_slave_link_is_an_outage_of_a_sync_master() {
    let pair = |role: &str| json!([{"brokerName": "broker-a", "brokerRole": role}, {"brokerName": "broker-a", "brokerRole": "SLAVE", "brokerId": 1}]);
    let cut = json!([{"at": "60s", "for": "15s", "cut": {"between": ["broker-a:0", "broker-a:1"]}}]);
    let outcome = one_set(pair("SYNC_MASTER"), cut.clone());
    let r = only(&outcome);
    assert_eq!((r.what.as_str(), r.at_s, r.queues.len()), ("broker-a:0 without a slave", 60.0, 0));
    let of = names(&r.senders[0]);
    assert!(of[0] == "detected" && of.contains(&"opened") && of.last() == Some(&"SEND_OK"), "{of:?}");
    assert_eq!(waits(&r.senders[0], "detected"), "the first answer with FLUSH_SLAVE_TIMEOUT");
    assert!(r.senders[0].over && r.senders[0].outage >= 15 * S as u64, "{:?}", r.senders[0]);
    assert!(one_set(pair("ASYNC_MASTER"), cut).recoveries.is_empty(), "nobody waits for an ASYNC_MASTER's slave");
}

/// A disk that stands still keeps SYNC_FLUSH puts from being done. Who flushes later is not hindered.
#[test]
fn a_stalled_disk_is_an_outage_of_who_waits_for_it() {
    let stall = json!([{"at": "60s", "for": "8s", "slow_disk": {"target": "broker-a:0", "stall": true}}]);
    let outcome = one_set(json!([{"brokerName": "broker-a", "flushDiskType": "SYNC_FLUSH"}]), stall);
    let r = only(&outcome);
    assert_eq!((r.what.as_str(), r.at_s, r.queues.len()), ("disk of broker-a:0 slow", 60.0, 0));
    let of = names(&r.senders[0]);
    assert!(of.starts_with(&["detected", "opened"]), "{of:?}");
    assert_eq!(waits(&r.senders[0], "opened"), "the end of the fault at the disk");
    let slow = json!([{"at": "60s", "for": "8s", "slow_disk": {"target": "broker-a:0", "factor": 2}}]);
    assert!(one_set(json!([{"brokerName": "broker-a"}]), slow).recoveries.is_empty(), "no call failed");
}

/// A member that comes back empty and is elected with the help of another that lacks the newest costs what only the dead leader had: its price has a row.
#[test]
fn what_an_emptied_member_costs_is_measured() {
    let outcome = one_set(
        members(),
        json!([
            {"at": "30s", "for": "10s", "lose_host": "broker-a:1", "wipe": true},
            {"at": "30s", "for": "10s", "lose_host": "broker-a:2", "wipe": true},
            {"at": "38s", "lose_host": "broker-a:0"}
        ]),
    );
    let gone: u64 = outcome.crashes.iter().flat_map(|c| &c.discarded).map(|d| d.1).sum();
    assert!(gone > 500, "nearly all of 30 s at 20 a second: {gone}");
    assert_eq!(counter(&outcome, "rpo_messages") as u64, gone);
    assert!(counter(&outcome, "rpo") > 25 * S, "{} ns", counter(&outcome, "rpo"));
    let told: Vec<_> = outcome.recoveries.iter().filter_map(|r| r.rpo).filter(|rpo| rpo.messages > 0).collect();
    assert_eq!(told.len(), 1, "{:?}", outcome.recoveries);
}
