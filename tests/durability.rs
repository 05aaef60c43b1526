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
/// Cuts of a seed that is cut again and again, each in a run of its own: an even share of the flush cycle apart, so that whatever the cycle's phase,
/// the unflushed time of the cuts is spread evenly over the cycle.
const CUTS: u64 = 8;
const FLUSH_CYCLE_NS: u64 = 500_000_000;

/// What all cuts of a seed lose together at least under ASYNC_FLUSH, at 200 records of 1,133 bytes a second. The unflushed time of the cuts is at least
/// 0, 62.5, ... 437.5 ms, so 12.5 records more from one cut to the next. Of each cut are spared the pages that the kernel had happened to write: every
/// one more is half as likely, and eight, 28.9 records, are allowed for; and one is under way and not answered. That leaves 7.6 + 20.1 + 32.6 + 45.1 +
/// 57.6 of the later five cuts.
const LEAST_OF_A_CYCLE: i64 = 163;
/// The same for a killed process with the pool: what waits for the commit is 0 to 14.5 records, four pages, and 12.5 records from cut to cut are an even
/// spread over that too, of 6 on average at the worst phase; less the one under way of each cut and what a whole record loses to the page's end.
const LEAST_OF_A_POOL: i64 = 30;

/// One master, a fault within a second of 20 s, consumers afterwards. A row a seed.
fn runs(rate: &str, broker: Value, fault: &str, cuts: u64, change: impl Fn(&mut Value) + Sync) -> Vec<Vec<Outcome>> {
    let run = |seed: u64, cut: u64| {
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
        let moved = seed * 53_000_000 + cut * FLUSH_CYCLE_NS / cuts;
        spec.faults.iter_mut().for_each(|f| f.at += moved as i64);
        common::outcome(&spec)
    };
    let row = |seed| (0..cuts).into_par_iter().map(|cut| run(seed, cut)).collect();
    let rows: Vec<Vec<Outcome>> = (1..=SEEDS).into_par_iter().map(row).collect();
    for (seed, outcome) in rows.iter().enumerate().flat_map(|(seed, row)| row.iter().map(move |o| (seed, o))) {
        common::no_law_is_broken(outcome).unwrap_or_else(|e| panic!("seed {}: {e}", seed + 1));
        assert!(counter(outcome, "acked") > 0 && outcome.faults.iter().all(|f| f.touched > 0));
    }
    rows
}

/// One cut a seed.
fn once(rate: &str, broker: Value, fault: &str, change: impl Fn(&mut Value) + Sync) -> Vec<Outcome> {
    runs(rate, broker, fault, 1, change).into_iter().flatten().collect()
}

/// In every seed all cuts together lose at least so much, and no cut more than that.
fn within(name: &str, rows: &[Vec<Outcome>], what: &str, least_of_a_seed: i64, most_of_a_cut: i64) {
    for (seed, row) in rows.iter().enumerate() {
        let got: Vec<i64> = row.iter().map(|o| counter(o, what)).collect();
        let sum: i64 = got.iter().sum();
        assert!(sum >= least_of_a_seed, "{name}, seed {}: {what} {got:?}, together below {least_of_a_seed}", seed + 1);
        assert!(got.iter().all(|n| *n <= most_of_a_cut), "{name}, seed {}: {what} {got:?}, above {most_of_a_cut}", seed + 1);
    }
}

/// (name, the broker's settings, fault, least in all cuts of a seed together, most in one).
#[test]
fn the_crash_table() {
    let pool = json!({"transientStorePoolEnable": true});
    let table: [(&str, Value, &str, i64, i64); 6] = [
        ("mapped, ASYNC_FLUSH, kill", json!({}), "kill", 0, 0),
        // 500 ms of 200 messages, an fsync of up to 20 ms, and none of the pages by luck.
        ("mapped, ASYNC_FLUSH, host", json!({}), "lose_host", LEAST_OF_A_CYCLE, 110),
        ("mapped, SYNC_FLUSH, kill", json!({"flushDiskType": "SYNC_FLUSH"}), "kill", 0, 0),
        ("mapped, SYNC_FLUSH, host", json!({"flushDiskType": "SYNC_FLUSH"}), "lose_host", 0, 0),
        // Four pages hold at most 15 records of 1,133 bytes.
        ("pool, kill", pool.clone(), "kill", LEAST_OF_A_POOL, 15),
        ("pool, host", pool, "lose_host", LEAST_OF_A_CYCLE, 125),
    ];
    for (name, broker, fault, least, most) in table {
        // Nothing is nothing at every phase.
        let cuts = if most == 0 { 1 } else { CUTS };
        within(name, &runs("200/s", broker, fault, cuts, |_| ()), "lost", least, most);
    }
}

/// Thin traffic dirties no four pages: only the thorough flush, once in 10 s, makes it durable.
#[test]
fn thin_traffic_waits_for_the_thorough_flush() {
    let runs = once("2/s", json!({}), "lose_host", |s| s["producers"][0]["size"] = json!(10));
    let lost: Vec<i64> = runs.iter().map(|o| counter(o, "lost")).collect();
    assert!(lost.iter().all(|n| *n <= 21) && lost.iter().any(|n| *n >= 10), "{lost:?}");
}

/// A stall beyond `syncFlushTimeout`: stored, visible, and the producer is told.
#[test]
fn a_stalled_fsync_times_answers_out() {
    let slow = json!({"flushDiskType": "SYNC_FLUSH"});
    let runs = once("400/s", slow, "slow_disk", |s| {
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
    let rows = runs("200/s", json!({}), "lose_host", CUTS, |s| s["consumers"][0]["start"] = json!("-20s"));
    // One more of each cut is stored and not yet delivered.
    within("ghosts", &rows, "ghosts", LEAST_OF_A_CYCLE - CUTS as i64, 110);
    assert!(rows.iter().flatten().all(|o| counter(o, "delivery_latency_max") < 60 * S));
}

/// RocketMQ takes the log for flushed whatever an fsync came to (`MappedFile#flush`). Five seconds at 200 a second lie between the fault and the death. Pages that
/// were refused are a hole at which recovery stops; a cache of the disk's own holds the last two seconds, less eight pages of 3.6 records that it had
/// happened to write, and is written as soon as an fsync is honest. A killed process loses nothing by it.
#[test]
fn an_fsync_that_fails_or_lies() {
    let fails = json!({"at": "15s", "fsync": {"target": "broker-a", "fails": true}, "for": "100ms"});
    let lies = |keeps: &str| json!({"at": "-60s", "fsync": {"target": "broker-a", "lies": true, "keeps": keeps}});
    let lied = json!({"at": "15s", "fsync": {"target": "broker-a", "lies": true}, "for": "4s"});
    let sync = json!({"flushDiskType": "SYNC_FLUSH"});
    let member = |n| json!({"dledger": {"group": "broker-a", "index": n}});
    type Line<'a> = (&'a str, &'a [Value], &'a Value, &'a str, i64, i64);
    let one = [sync];
    let group = [member(0), member(1), member(2)];
    let table: [Line<'_>; 6] = [
        ("fails, host", &one, &fails, "lose_host", 980, 1_002),
        ("fails, kill", &one, &fails, "kill", 0, 0),
        ("lies, host", &one, &lies("2s"), "lose_host", 370, 402),
        ("lies, kill", &one, &lies("2s"), "kill", 0, 0),
        ("lied until a second before, host", &one, &lied, "lose_host", 0, 0),
        ("a group of which all fail, hosts", &group, &fails, "lose_host", 980, 1_022),
    ];
    for (name, brokers, fsync, death, least, most) in table {
        let runs = once("200/s", json!({}), death, |s| {
            s["warmup"] = json!("170s");
            s["brokers"] = brokers.iter().cloned().map(|mut b| (b["brokerName"] = json!("broker-a"), b).1).collect();
            s["faults"] = json!([fsync, {"at": "20s", death: "broker-a", "for": "15s"}]);
        });
        let lost: Vec<i64> = runs.iter().map(|o| counter(o, "lost")).collect();
        assert!(lost.iter().all(|n| (least..=most).contains(n)), "{name}: {lost:?}, not {least} to {most}");
    }
}

/// Nobody flushes here; the kernel writes what has been dirty for 30 s when it looks, every 5 s: with load from time 0 on at 35, 70 and 105 s. A cut two to three
/// seconds before the third of them loses two messages a second since the second, less eight pages of 3.6 records; one soon after it what came since.
#[test]
fn the_kernel_writes_back_what_nobody_flushes() {
    let never = json!({"flushCommitLogThoroughInterval": "10m", "flushCommitLogLeastPages": 1000});
    for (at, least, most) in [("102s", 64 - 29, 68), ("105.5s", 0, 5)] {
        let runs = once("2/s", never.clone(), "lose_host", |s| {
            s["duration"] = json!("150s");
            s["faults"][0]["at"] = json!(at);
            s["consumers"][0]["start"] = json!("140s");
        });
        let lost: Vec<i64> = runs.iter().map(|o| counter(o, "lost")).collect();
        assert!(lost.iter().all(|n| (least..=most).contains(n)), "cut after {at}: {lost:?}, not {least} to {most}");
    }
}

/// A disk that is gone takes what nobody else has: all 4,000 of a lone master; nothing where a slave or two members of a group are left, which then get
/// another copy.
#[test]
fn a_disk_that_is_replaced() {
    let set = |brokers: [Value; 3]| brokers.into_iter().filter(|b| !b.is_null()).collect::<Vec<_>>();
    let lone = set([json!({}), Value::Null, Value::Null]);
    let slave = set([json!({"brokerRole": "SYNC_MASTER"}), json!({"brokerId": 1, "brokerRole": "SLAVE"}), Value::Null]);
    let group = set([0, 1, 2].map(|n| json!({"dledger": {"group": "broker-a", "index": n}})));
    let table: [(&str, &[Value], &str, i64, i64); 4] = [
        ("lone master, killed", &lone, "kill", 3_999, 4_301),
        ("lone master, its host lost", &lone, "lose_host", 3_999, 4_301),
        ("a slave", &slave, "lose_host", 0, 0),
        ("a member of a group", &group, "lose_host", 0, 0),
    ];
    for (name, brokers, death, least, most) in table {
        let runs = once("200/s", json!({}), death, |s| {
            s["warmup"] = json!("170s");
            s["brokers"] = brokers.iter().cloned().map(|mut b| (b["brokerName"] = json!("broker-a"), b).1).collect();
            s["faults"][0]["wipe"] = json!(true);
            if brokers.len() > 1 {
                s["faults"][0][death] = json!("broker-a:1");
            }
        });
        let lost: Vec<i64> = runs.iter().map(|o| counter(o, "discarded_send_ok")).collect();
        assert!(lost.iter().all(|n| (least..=most).contains(n)), "{name}: {lost:?}, not {least} to {most}");
        assert!(runs.iter().all(|o| counter(o, "diverged_replicas") == 0 && counter(o, "ghosts") == 0), "{name}");
        if brokers.len() > 1 {
            assert!(runs.iter().all(|o| counter(o, "lost") == 0), "{name}");
        }
    }
}

/// topics.json is written when a topic changes. A loss of power within half a minute of that brings the old queue counts back, and what lies in the new queues is
/// nobody's; later, or when only the process dies, it is known.
#[test]
fn a_topic_that_was_just_changed_is_forgotten_with_the_power() {
    for (death, at, forgotten) in [("lose_host", "25s", true), ("kill", "25s", false), ("lose_host", "56s", false)] {
        let runs = once("200/s", json!({"flushDiskType": "SYNC_FLUSH"}), death, |s| {
            s["duration"] = json!("80s");
            s["consumers"][0]["start"] = json!("90s");
            s["producers"][0]["pollNameServerInterval"] = json!("1s");
            s["faults"] = json!([
                {"at": "20s", "update_topic": {"topic": "T", "queues": 8}},
                {"at": at, death: "broker-a:0", "for": "15s"},
            ]);
        });
        let lost: Vec<i64> = runs.iter().map(|o| counter(o, "lost")).collect();
        assert!(lost.iter().all(|n| (*n > 0) == forgotten), "{death} at {at}: {lost:?}");
    }
}

/// delayOffset.json is written every 10 s. A process that is killed delivers again what it delivered since, 50 a second; a loss of power leaves the file empty and its
/// .bak, which is one writing older.
#[test]
fn delayed_messages_come_again() {
    for (death, least, most) in [("kill", 0, 510), ("lose_host", 490, 1_010)] {
        let runs = once("50/s", json!({"flushDiskType": "SYNC_FLUSH"}), death, |s| {
            s["producers"][0]["delay_level"] = json!(1);
            s["consumers"][0]["start"] = json!("-20s");
            s["faults"][0]["at"] = json!("40s");
        });
        let again: Vec<i64> = runs.iter().map(|o| counter(o, "duplicates")).collect();
        assert!(again.iter().all(|n| (least..=most).contains(n)), "{death}: {again:?}, not {least} to {most}");
        assert!(again.iter().any(|n| *n > least + 200), "{death}: {again:?}");
    }
}

/// Recovery reads at 1 MiB a second here, and the log grows by 220 KiB a second in files of 1 MiB. A killed broker reads from the file that its checkpoint allows: it was
/// written at most 60 s before the death, with times up to 10 s old, and 3 s and a file are added; of the 70 s or so of log that is all but never all. One that was shut
/// down reads its last three files.
#[test]
fn coming_back_costs_the_log_that_is_read() {
    let small = json!({"mappedFileSizeCommitLog": "1MiB"});
    let run = |death: &str| {
        once("200/s", small.clone(), death, |s| {
            s["duration"] = json!("140s");
            s["drain"] = json!("3m");
            s["disks"] = json!({"recovery": "1MiB"});
            s["services"] = json!({"boot": "1s"});
            s["faults"] = json!([{"at": "90s", death: "broker-a:0", "for": "5s"}]);
            s["consumers"][0]["start"] = json!("145s");
        })
    };
    const MIB: u64 = 1 << 20;
    for outcome in run("kill") {
        let crash = &outcome.crashes[0];
        let read = crash.read.expect("it came back");
        assert!(read.abnormal && read.from % MIB == 0, "{read:?}");
        assert!((2 * MIB..=(73 * 226 / 1000 + 2) * MIB).contains(&read.bytes), "{read:?}");
        let opened = crash.back.iter().find(|(stage, _)| *stage == "opened").expect("it opened").1;
        let reading = read.bytes as f64 / MIB as f64;
        assert!((5.99 + reading..6.2 + reading).contains(&opened), "{opened} s after {reading} MiB");
    }
    let away = |o: &Outcome| counter(o, "longest_time_without_success");
    for outcome in run("shutdown") {
        assert!((8 * S..=9 * S + S / 2).contains(&away(&outcome)), "{}", away(&outcome));
    }
}

/// A slave's delayOffset.json is its master's as of the last sync, at most 10 s old and then one writing older than the master's own progress: promoted, it delivers
/// again what came since, 50 a second, and not the whole minute.
#[test]
fn a_promoted_slave_knows_how_far_the_delays_were() {
    let runs = once("50/s", json!({}), "lose_host", |s| {
        s["duration"] = json!("90s");
        s["brokers"] = json!([
            {"brokerName": "broker-a"},
            {"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE"},
        ]);
        s["producers"][0]["delay_level"] = json!(1);
        s["consumers"][0]["start"] = json!("-20s");
        s["faults"] = json!([{"at": "60s", "lose_host": "broker-a:0"}, {"at": "62s", "promote": "broker-a:1"}]);
    });
    let again: Vec<i64> = runs.iter().map(|o| counter(o, "duplicates")).collect();
    assert!(again.iter().all(|n| *n <= 650) && again.iter().any(|n| *n > 250), "{again:?}");
}
