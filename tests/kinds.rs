//! Three ways to lose a process, and how different they are.
//!
//! *Process kill*: the host lives, its kernel closes the sockets, peers know at once. *Host loss*: packets vanish, and only timers tell. *Freeze*:
//! the kernel goes on accepting and buffering for a process that does nothing. The windows differ by two orders of magnitude; mixing them up
//! is the mistake that makes a simulator useless. The bounds are sums of RocketMQ's own timers, written beside each test, and agree with
//! what real clusters did (hazards H14, H38, H43, H44, H87).

mod common;

use common::{S, counter, seeded, two_masters, value};
use rayon::prelude::*;
use serde_json::{Value, json};
use windtunnel::run::outcome::Outcome;

const SEEDS: u64 = 10;
/// What a heartbeat, a close, a notice and a rebalance cost on their way, on top of the timers.
const SLACK: i64 = 2 * S;

fn with(fault: Value, duration: &str, change: impl Fn(&mut Value)) -> Vec<Outcome> {
    let mut scenario = two_masters("100/s", duration);
    scenario["faults"] = json!([fault]);
    change(&mut scenario);
    let run = |seed: u64| {
        let mut spec = seeded(&scenario, seed);
        // Every node starts within a minute, so a fault at one moment would meet every timer in a part of its phases only.
        spec.faults.iter_mut().for_each(|f| f.at += (seed as i64 - 1) * 3 * S);
        common::outcome(&spec)
    };
    let outcomes: Vec<Outcome> = (1..=SEEDS).into_par_iter().map(run).collect();
    for (seed, outcome) in outcomes.iter().enumerate() {
        common::no_law_is_broken(outcome).unwrap_or_else(|e| panic!("seed {}: {e}", seed + 1));
        assert!(outcome.faults.iter().all(|f| f.touched > 0), "the fault must have met something");
    }
    outcomes
}

fn orderly(scenario: &mut Value) {
    scenario["producers"][0]["keys"] = json!(80);
    scenario["consumers"][0]["listener"] = json!("orderly");
}

/// Every seed inside the window, and the seeds spread over a good part of it: a window that one seed fills says nothing.
fn inside(outcomes: &[Outcome], name: &str, from: i64, to: i64) -> Vec<i64> {
    let all: Vec<i64> = outcomes.iter().map(|o| counter(o, name)).collect();
    let seconds: Vec<f64> = all.iter().map(|v| *v as f64 / S as f64).collect();
    assert!(all.iter().all(|v| (from..=to).contains(v)), "{name} outside {from}..{to}: {seconds:?}");
    all
}

fn spread(all: &[i64], at_least: i64) {
    let (min, max) = (all.iter().min().copied().unwrap_or(0), all.iter().max().copied().unwrap_or(0));
    assert!(max - min >= at_least, "the phases do not show: {all:?}");
}

// ---- consumers

/// The broker hears the close, tells the others, they rebalance: milliseconds (live: 0.1 s).
#[test]
fn a_killed_consumer_is_replaced_within_a_second() {
    let runs = with(json!({"at": "60s", "kill": "cg-1"}), "90s", |_| ());
    inside(&runs, "takeover", 0, S);
    runs.iter().for_each(|o| assert_eq!(counter(o, "lost"), 0));
}

/// H14: 120 s from the last heartbeat (0-30 s before), the 10 s scan, and no notice from it, so the 20 s tick: 90 to 150 s.
#[test]
fn a_lost_consumer_host_is_replaced_by_expiry() {
    let runs = with(json!({"at": "60s", "lose_host": "cg-1"}), "230s", |_| ());
    spread(&inside(&runs, "takeover", 90 * S, 150 * S + SLACK), 15 * S);
    runs.iter().for_each(|o| assert_eq!(counter(o, "lost"), 0));
}

/// A frozen consumer keeps its sockets and says nothing: for the group that is the same as a lost host (live: 105 to 140 s). What differs is that
/// it comes back as if nothing had happened.
#[test]
fn a_frozen_consumer_is_replaced_by_expiry_too() {
    let runs = with(json!({"at": "60s", "freeze": "cg-1", "for": "200s"}), "300s", |_| ());
    spread(&inside(&runs, "takeover", 90 * S, 150 * S + SLACK), 15 * S);
    runs.iter().for_each(|o| {
        assert_eq!(counter(o, "lost"), 0);
        assert!(counter(o, "frozen_owner_queue_time") > 4 * 90 * S, "its queues had an owner that slept");
    });
}

/// H38: everybody knows of the kill at once, but the dead client's lock lasts 60 s from its last renewal (0-20 s ago) and is asked for at
/// each 20 s tick: 40 to 80 s. The notice of the kill itself starts the survivor's tick anew, so that it asks 20, 40 and 60 s after it and gets
/// the lock at the third time: nearly always 60 s, as the live runs have it.
#[test]
fn a_killed_orderly_consumer_blocks_its_queues_until_its_locks_lapse() {
    let runs = with(json!({"at": "60s", "kill": "cg-1"}), "180s", orderly);
    inside(&runs, "takeover", 40 * S - SLACK, 80 * S + SLACK);
    runs.iter().for_each(|o| assert_eq!(counter(o, "order_inversions_per_key"), 0));
}

/// With the host gone the expiry (H14) dominates: by then the lock has lapsed.
#[test]
fn a_lost_orderly_host_waits_for_the_expiry_not_for_the_lock() {
    let runs = with(json!({"at": "60s", "lose_host": "cg-1"}), "230s", orderly);
    inside(&runs, "takeover", 90 * S, 150 * S + SLACK);
}

// ---- brokers

/// H43, H44: a connect that is refused costs a round trip and the retry goes elsewhere: nothing fails. The nameserver sees the close; each
/// client believes in the broker until its next 30 s poll.
#[test]
fn a_killed_broker_fails_no_send() {
    let runs = with(json!({"at": "60s", "kill": "broker-b:0"}), "120s", |_| ());
    runs.iter().for_each(|o| assert_eq!(counter(o, "failed_sends"), 0));
    inside(&runs, "route_removal", 0, S);
    spread(&inside(&runs, "stale_route", 0, 30 * S + SLACK), 3 * S);
    inside(&runs, "longest_time_without_success", 0, S);
}

/// H43, H44: nobody answers, one timeout eats the whole 3 s budget. The nameserver's 120 s count from the last registration (0-30 s before),
/// its scan adds 0-10 s: 90 to 130 s; the client's poll adds 0-30 s: sends fail for 90 to 160 s, and the last call may begin just before.
#[test]
fn a_lost_broker_host_fails_sends_until_every_timer_has_passed() {
    let runs = with(json!({"at": "60s", "lose_host": "broker-b:0"}), "260s", |_| ());
    spread(&inside(&runs, "route_removal", 90 * S, 130 * S + SLACK), 10 * S);
    spread(&inside(&runs, "last_failed_send", 90 * S - 3 * S, 160 * S + SLACK), 15 * S);
    for o in &runs {
        assert!(counter(o, "failed_sends") > 10);
        assert_eq!(counter(o, "ghost_members"), 0, "no kernel accepted anything");
        // The budget is spent at the dead broker. The next one has been chosen by then: it is blamed only where some of the budget was left for it.
        let blamed = |broker: &str| o.sends["pg-0"].failed_by_broker.get(broker).map_or(0, |by| by.values().sum::<u64>());
        assert!(blamed("broker-b") > blamed("broker-a"), "{:?}", o.sends["pg-0"].failed_by_broker);
    }
}

/// `sendMsgMaxTimeoutPerRequest` (`DefaultMQProducerImpl#sendDefaultImpl`, 5.3.3) cuts an attempt short only if another may follow: of two attempts
/// the first has 1 s and the second the 2 s that are left, and a lone one has all 3 s.
#[test]
fn the_last_attempt_has_all_that_is_left() {
    let silence = json!({"at": "60s", "for": "20s", "intercept":
        {"from": "pg", "to": ["broker-a:0", "broker-b:0"], "code": "SEND_MESSAGE_V2", "drop": true}});
    for (retries, attempts) in [(1, 2), (0, 1)] {
        let runs = with(silence.clone(), "90s", |scenario| {
            scenario["producers"][0]["sendMsgMaxTimeoutPerRequest"] = json!(1000);
            scenario["producers"][0]["retryTimesWhenSendFailed"] = json!(retries);
            scenario["producers"][0]["threads"] = json!(1);
        });
        for o in &runs {
            let (failed, took) = (counter(o, "failed_sends"), o.sends["pg-0"].failed_round_trip_ms);
            assert!(failed >= 5 && (3_000..3_030).contains(&took.p50), "{failed} failed after {took:?}");
            assert_eq!(counter(o, "send_retries"), failed * (attempts - 1));
        }
    }
}

/// H87: a frozen broker's kernel takes connections and bytes. Sends wait out 3 s as with a lost host; the thaw stores what was refused long
/// ago and brings members back from the dead.
#[test]
fn a_frozen_broker_stores_what_was_refused_and_raises_ghosts() {
    let runs = with(json!({"at": "30s", "freeze": "broker-b:0", "for": "180s"}), "380s", |s| {
        s["consumers"][0]["count"] = json!(3);
        s["producers"][0]["rate"] = json!("50/s");
    });
    inside(&runs, "route_removal", 90 * S, 130 * S + SLACK);
    for o in &runs {
        assert!(counter(o, "failed_sends") > 0);
        assert!(counter(o, "delivered_though_refused") > 0, "refused during the freeze, stored at the thaw");
    }
    let ghosts = runs.iter().filter(|o| value(o, "ghost_members").is_some_and(|n| n > 0)).count();
    assert!(ghosts as u64 >= SEEDS - 2, "members that are not there, in {ghosts} of {SEEDS} runs");
}

/// The mitigated twin of H87: the same time without a kernel that accepts has no ghosts.
#[test]
fn a_lost_host_for_the_same_time_raises_no_ghosts() {
    let runs = with(json!({"at": "30s", "lose_host": "broker-b:0", "for": "180s"}), "380s", |s| {
        s["consumers"][0]["count"] = json!(3);
        s["producers"][0]["rate"] = json!("50/s");
    });
    for o in &runs {
        assert_eq!(counter(o, "ghost_members"), 0);
    }
}

// ---- and what ends in order

/// `retryQueueNums` 0: a failed message is answered SUCCESS and kept nowhere, so nobody waits for it.
#[test]
fn what_a_broker_without_retry_queues_throws_away_is_not_waited_for() {
    let runs = with(json!({"at": "1s", "update_topic": {"topic": "T", "queues": 4}}), "30s", |scenario| {
        scenario["brokers"].as_array_mut().unwrap().iter_mut().for_each(|b| b["retryQueueNums"] = json!(0));
        scenario["consumers"][0]["fail"] = json!({"every": 10, "times": 1});
    });
    for o in &runs {
        assert_eq!((counter(o, "given_up"), counter(o, "redelivered_on_request")), (counter(o, "sent") / 10, 0));
        assert!(o.warnings.is_empty(), "{:?}", o.warnings);
    }
}

/// `ThreadUtils.shutdownGracefully`: what the pool has is worked off within awaitTerminationMillisWhenShutdown, and nothing new is taken. The one member is
/// as busy as it can be (20 listeners of 200 ms, 100 messages a second), so what is pulled meanwhile would keep it going for all of the 10 s, and
/// the queues would wait for the next member for 10 s instead of nearly 20.
#[test]
fn a_pool_that_is_shut_down_takes_nothing_new() {
    let wait = json!("10s");
    let runs = with(json!({"at": "20s", "shutdown": "cg-0"}), "100s", |s| {
        s["consumers"] = json!([
            {"group": "cg", "topic": "T", "name": "cg-0", "service_time": "200ms", "awaitTerminationMillisWhenShutdown": wait},
            {"group": "cg", "topic": "T", "name": "cg-1", "started": false},
        ]);
        s["faults"] = json!([{"at": "20s", "shutdown": "cg-0"}, {"at": "40s", "start": "cg-1"}]);
    });
    for o in &runs {
        assert_eq!(counter(o, "lost"), 0);
        let stall = counter(o, "longest_stall");
        assert!((15 * S..25 * S).contains(&stall), "{stall}");
    }
}
