//! What a crash costs, by the way of flushing and the way of dying.
//!
//! The crash table of `MappedFile` (4.9.8): a killed process leaves the page cache, so only what lay in its own buffer is gone; a lost host takes the
//! page cache with it, so only what an fsync had covered is safe. The consumers come when all is over: what they do not get is lost. Bounds are sums of
//! the flush services' own intervals, written beside each case.

mod common;

use common::{S, counter, seeded};
use rayon::prelude::*;
use serde_json::{Value, json};
use windtunnel::run::outcome::Outcome;

const SEEDS: u64 = 20;

/// One master, a fault at a drawn moment within a second of 20 s, consumers afterwards.
fn runs(rate: &str, broker: Value, fault: &str, change: impl Fn(&mut Value) + Sync) -> Vec<Outcome> {
    let run = |seed: u64| {
        let mut broker = broker.clone();
        broker["brokerName"] = json!("broker-a");
        let mut scenario = json!({
            "question": "What is lost?",
            "duration": "60s", "drain": "2m",
            "nameservers": 1,
            "brokers": [broker],
            "topics": [{"name": "T", "queues": 4}],
            "producers": [{"group": "pg", "topic": "T", "rate": rate, "size": 1000, "threads": 32}],
            "consumers": [{"group": "cg", "topic": "T", "start": "70s", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET"}],
            "faults": [{"at": "20s", fault: "broker-a:0", "for": "15s"}],
        });
        change(&mut scenario);
        let mut spec = seeded(&scenario, seed);
        // Spread over the flush cycle.
        spec.faults.iter_mut().for_each(|f| f.at += seed as i64 * 53_000_000);
        common::outcome(&spec)
    };
    let outcomes: Vec<Outcome> = (1..=SEEDS).into_par_iter().map(run).collect();
    for (seed, outcome) in outcomes.iter().enumerate() {
        common::no_law_is_broken(outcome).unwrap_or_else(|e| panic!("seed {}: {e}", seed + 1));
        assert!(counter(outcome, "acked") > 0 && outcome.faults.iter().all(|f| f.touched > 0));
    }
    outcomes
}

fn lost(outcomes: &[Outcome]) -> Vec<i64> {
    outcomes.iter().map(|o| counter(o, "lost")).collect()
}

/// (name, the broker's settings, fault, least in all runs together, most in one).
#[test]
fn the_crash_table() {
    let pool = json!({"transientStorePoolEnable": true});
    let table: [(&str, Value, &str, i64, i64); 6] = [
        ("mapped, ASYNC_FLUSH, kill", json!({}), "kill", 0, 0),
        // 500 ms of 200 messages, an fsync of up to 20 ms, and none of the pages by luck.
        ("mapped, ASYNC_FLUSH, host", json!({}), "lose_host", 300, 110),
        ("mapped, SYNC_FLUSH, kill", json!({"flushDiskType": "SYNC_FLUSH"}), "kill", 0, 0),
        ("mapped, SYNC_FLUSH, host", json!({"flushDiskType": "SYNC_FLUSH"}), "lose_host", 0, 0),
        // Four pages hold at most 15 records of 1,133 bytes.
        ("pool, kill", pool.clone(), "kill", 20, 15),
        ("pool, host", pool, "lose_host", 300, 125),
    ];
    for (name, broker, fault, together, most) in table {
        let lost = lost(&runs("200/s", broker, fault, |_| ()));
        assert!(lost.iter().sum::<i64>() >= together, "{name} loses: {lost:?}");
        assert!(lost.iter().all(|n| *n <= most), "{name} loses at most {most}: {lost:?}");
    }
}

/// Thin traffic dirties no four pages: only the thorough flush, once in 10 s, makes it durable.
#[test]
fn thin_traffic_waits_for_the_thorough_flush() {
    let lost = lost(&runs("2/s", json!({}), "lose_host", |s| s["producers"][0]["size"] = json!(10)));
    assert!(lost.iter().all(|n| *n <= 21) && lost.iter().any(|n| *n >= 10), "{lost:?}");
}

/// A stall beyond `syncFlushTimeout`: stored, visible, and the producer is told.
#[test]
fn a_stalled_fsync_times_answers_out() {
    let slow = json!({"flushDiskType": "SYNC_FLUSH"});
    let runs = runs("400/s", slow, "slow_disk", |s| {
        s["faults"] = json!([{"at": "20s", "slow_disk": {"target": "broker-a:0", "stall": true}, "for": "8s"}]);
        s["producers"][0]["sendMsgTimeout"] = json!("12s");
        s["brokers"][0]["osPageCacheBusyTimeOutMills"] = json!("20s");
        s["brokers"][0]["waitTimeMillsInSendQueue"] = json!("20s");
    });
    for outcome in &runs {
        let timed_out = counter(outcome, "acked_flush_disk_timeout");
        // Those that were appended before the stall and whose fsync it caught: one of each sending thread at most.
        assert!((0..=32).contains(&timed_out), "{timed_out}");
        assert_eq!(counter(outcome, "lost"), 0);
    }
    assert!(runs.iter().map(|o| counter(o, "acked_flush_disk_timeout")).sum::<i64>() > 0, "the watcher never struck");
}

/// Consumers see a record before it is durable: what they got and the host then lost is a ghost, and its queue offset is given to another message.
#[test]
fn what_was_delivered_and_then_lost_is_a_ghost() {
    let runs = runs("200/s", json!({}), "lose_host", |s| s["consumers"][0]["start"] = json!("-20s"));
    let ghosts: Vec<i64> = runs.iter().map(|o| counter(o, "ghosts")).collect();
    assert!(ghosts.iter().all(|n| *n <= 110) && ghosts.iter().sum::<i64>() >= 300, "{ghosts:?}");
    assert!(runs.iter().all(|o| counter(o, "delivery_latency_max") < 60 * S));
}
