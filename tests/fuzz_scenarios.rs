//! Scenario files as nobody should write them: decoding must refuse them well, and what it accepts must run.
//!
//! Two promises. Any text at all is decoded without a panic, and every error stands at a place inside the text, because an error without a
//! place is half an error. And whatever is accepted runs: a scenario is a program that users write, so no combination of legal settings may
//! bring the world down. Texts are made from whole scenarios by small damage of several kinds, so that most of them are nearly right.

mod common;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use windtunnel::report;
use windtunnel::run::{self, Control};
use windtunnel::scenario::{self, At, Known, Overrides};
use windtunnel::world::spec::{MemberRole, NodeKind, Spec};

/// One cluster that uses every section and nearly every fault, short enough that faults strike within a few thousand events.
fn everything() -> Value {
    json!({
        "format": 1, "question": "What holds?", "rocketmq": "4.9.8", "seed": 1, "tie_seed": 0,
        "warmup": "4s", "duration": "20s", "drain": "10s", "max_events": 100000, "cpus": 4,
        "services": {"send": {"p50": "60us", "p99": "400us"}, "broker": {"fsync": "1ms"}, "boot": "100ms"},
        "nameservers": [{"name": "ns-0"}, {"name": "ns-1", "clock": {"offset": "5ms", "drift_ppm": 20}}],
        "brokers": [
            {"brokerName": "broker-a", "brokerId": 0, "flushDiskType": "ASYNC_FLUSH", "sendMessageThreadPoolNums": 2},
            {"brokerName": "broker-b", "host": "shared", "start": "-3s", "disk": "1MiB", "disk_used": 1000},
        ],
        "topics": [
            {"name": "T", "queues": 4, "preload": {"messages": 40, "age": "10m", "size": 100}},
            {"name": "U", "readQueueNums": 2, "writeQueueNums": 3, "perm": 6, "brokers": "broker-a", "order": true},
        ],
        "producers": [
            {"group": "pg", "count": 2, "topic": "T", "rate": "40/s", "mode": "sync", "threads": 4, "retryTimesWhenSendFailed": 2,
             "sendLatencyFaultEnable": true, "size": {"p50": 200, "p99": 2000}, "tags": ["x", "y"], "arrivals": "poisson"},
            {"group": "pk", "topic": "U", "phases": [{"from": "1s", "until": "10s", "rate": "20/s", "burst": 4}], "keys": 8, "keys_drawn": true},
            {"group": "pa", "topic": "T", "rate": "10/s", "mode": "async", "delay_level": 1},
            {"group": "po", "topic": "T", "rate": "10/s", "mode": "oneway", "batch": 1},
        ],
        "consumers": [
            {"group": "cg", "count": 3, "topic": "T", "tags": "x || y", "service_time": {"p50": "2ms", "p99": "20ms"},
             "allocateMessageQueueStrategy": "AVG_BY_CIRCLE", "fail": {"every": 7, "times": 2}, "start_offset": {"consumed_percent": 50}},
            {"group": "og", "names": ["o1", "o2"], "topics": ["T", {"name": "U", "tags": "*"}], "listener": "orderly", "service_time": "5ms",
             "stay": {"every": 50, "for": "2s"}, "throw_on_interrupt": true},
            {"group": "late", "name": "l1", "topic": "T", "started": false, "messageModel": "BROADCASTING", "process": "shared-process"},
        ],
        "links": {"latency": {"p50": "0.2ms", "p99": "1ms"}, "bandwidth": 0, "rto_first": "200ms", "rto_max": "120s", "backlog": 16,
                  "between": [{"from": "cg-0", "to": "broker-b", "latency": "3ms", "bandwidth": 100000}]},
        "faults": [
            {"at": "1s", "kill": "broker-b:0", "for": "2s"},
            {"at": "2s", "freeze": "cg-1", "for": "3s"},
            {"at": "3s", "lose_host": "cg-2", "for": "4s"},
            {"at": "4s", "cut": {"between": ["pg-*", "broker-a"]}, "for": "2s"},
            {"at": "5s", "slow_link": {"from": "cg", "to": "broker-b", "latency": "50ms", "bandwidth": 10000}, "for": "2s"},
            {"at": "6s", "freeze": "broker-a:0", "for": "4s"},
            {"at": "6500ms", "start": "late"},
            {"at": "7s", "clock_step": {"target": "broker-b", "by": "-90s"}},
            {"at": "7s", "clock_drift": {"target": "cg-0", "ppm": 100000}},
            {"at": "8s", "reset": {"between": ["cg-0", "broker-a"]}, "every": {"period": "1s", "times": 3}},
            {"at": "9s", "intercept": {"from": "cg", "to": "broker-a", "code": "HEART_BEAT", "first": 2, "percent": 50, "drop": true}, "for": "3s"},
            {"at": "9s", "intercept": {"from": "pg", "to": "broker-b", "code": 310, "answer": "SYSTEM_BUSY"}, "for": "1s"},
            {"at": "10s", "update_topic": {"topic": "T", "queues": 8}},
            {"at": "11s", "restart": {"target": "o1", "down": "1s"}},
            {"at": "12s", "rolling_restart": {"target": "broker-*", "down": "1s", "gap": "2s"}},
            {"at": "13s", "shutdown": "cg-0", "for": "3s"},
            {"at": "14s", "slow_disk": {"target": "broker-a", "stall": true}, "for": "1s"},
            {"at": "14s", "fill_disk": {"target": "broker-b", "percent": 92}, "for": "3s"},
            {"at": "15s", "wipe_write_perm": "broker-b", "for": "2s"},
            {"at": "16s", "kill": "ns-0", "for": "1s"},
        ],
        "expect": {"lost": {"max": 0}, "takeover": {"max": "2s", "needs_fault": 1}},
    })
}

/// Whole scenarios to damage: the shipped ones, and one with everything in it.
fn originals() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let mut texts = vec![serde_json::to_string_pretty(&everything()).expect("a value prints")];
        texts.extend(common::shipped().iter().map(|path| std::fs::read_to_string(path).expect("a scenario is text")));
        texts
    })
}

/// Every key and word that the schema knows: what a user mistypes into the wrong place.
fn words() -> &'static [String] {
    static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    WORDS.get_or_init(|| {
        fn collect(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(object) => {
                    for (key, inner) in object {
                        if key == "properties"
                            && let Some(named) = inner.as_object()
                        {
                            into.extend(named.keys().cloned());
                        }
                        if key == "enum"
                            && let Some(list) = inner.as_array()
                        {
                            into.extend(list.iter().filter_map(|w| w.as_str().map(str::to_owned)));
                        }
                        collect(inner, into);
                    }
                }
                Value::Array(list) => list.iter().for_each(|inner| collect(inner, into)),
                _ => {}
            }
        }
        let schema = std::fs::read_to_string(common::root().join("scenario.schema.json")).expect("the schema is there");
        let mut words = Vec::new();
        collect(&serde_json::from_str(&schema).expect("the schema is JSON"), &mut words);
        words.sort();
        words.dedup();
        assert!(words.len() > 150, "only {} words: was the schema read?", words.len());
        words
    })
}

const VALUES: [&str; 34] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "64",
    "1000",
    "65535",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "1e9",
    "0.5",
    "1e400",
    "null",
    "true",
    "false",
    "\"\"",
    "\"0s\"",
    "\"1ns\"",
    "\"1ms\"",
    "\"3s\"",
    "\"-3s\"",
    "\"10m\"",
    "\"1/s\"",
    "\"1000/s\"",
    "\"*\"",
    "\"cg\"",
    "\"broker-a\"",
    "\"ORDERLY\"",
    "[]",
    "{}",
    "[[]]",
    "\"\\ud800\"",
];

/// One piece of damage, told by numbers so that a failure shrinks to few and small ones.
#[derive(Clone, Debug)]
enum Damage {
    Byte {
        at: u32,
        with: u8,
    },
    Delete {
        at: u32,
        len: u8,
    },
    Double {
        at: u32,
        len: u8,
    },
    Cut {
        at: u32,
    },
    /// The n-th number of the text becomes another value.
    Number {
        n: u32,
        value: usize,
    },
    /// The n-th string becomes a word of the schema.
    Word {
        n: u32,
        word: u32,
    },
    /// The n-th value of the tree is replaced by, or doubled with, the m-th.
    Splice {
        n: u32,
        m: u32,
        add: bool,
    },
    /// The n-th value of the tree is taken out.
    Remove {
        n: u32,
    },
    /// The n-th value of the tree becomes this.
    Value {
        n: u32,
        value: usize,
    },
    /// The n-th duration of the text becomes this: legal nearly everywhere, so that most of these run.
    Time {
        n: u32,
        ms: u32,
    },
    /// The n-th fault strikes once more, at another moment, and for another time if it lasts.
    Again {
        n: u32,
        at_ms: u32,
        for_ms: u32,
    },
    /// The n-th fault strikes whom the m-th does.
    Aim {
        n: u32,
        m: u32,
    },
}

/// Damage that leaves JSON whole, so that more than the reader is met.
fn structural() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<u32>(), 0..VALUES.len()).prop_map(|(n, value)| Damage::Number { n, value }),
        (any::<u32>(), any::<u32>()).prop_map(|(n, word)| Damage::Word { n, word }),
        (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(n, m, add)| Damage::Splice { n, m, add }),
        any::<u32>().prop_map(|n| Damage::Remove { n }),
        (any::<u32>(), 0..VALUES.len()).prop_map(|(n, value)| Damage::Value { n, value }),
    ]
}

/// Damage that leaves a scenario, so that the world is met.
fn timing() -> impl Strategy<Value = Damage> {
    let ms = || prop_oneof![1u32..200, 200u32..20_000];
    prop_oneof![
        (any::<u32>(), ms()).prop_map(|(n, ms)| Damage::Time { n, ms }),
        (any::<u32>(), ms(), ms()).prop_map(|(n, at_ms, for_ms)| Damage::Again { n, at_ms, for_ms }),
        (any::<u32>(), any::<u32>()).prop_map(|(n, m)| Damage::Aim { n, m }),
    ]
}

fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        1 => (any::<u32>(), any::<u8>()).prop_map(|(at, with)| Damage::Byte { at, with }),
        1 => (any::<u32>(), 1u8..40).prop_map(|(at, len)| Damage::Delete { at, len }),
        1 => (any::<u32>(), 1u8..200).prop_map(|(at, len)| Damage::Double { at, len }),
        1 => any::<u32>().prop_map(|at| Damage::Cut { at }),
        4 => structural(),
    ]
}

fn damaged(text: &str, damage: &Damage) -> String {
    let bytes = text.as_bytes();
    let place = |at: u32| at as usize % (bytes.len().max(1));
    let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match *damage {
        Damage::Byte { at, with } => {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = bytes.get_mut(place(at)) {
                *byte = with;
            }
            lossy(bytes)
        }
        Damage::Delete { at, len } => {
            let from = place(at);
            let to = (from + len as usize).min(bytes.len());
            lossy([&bytes[..from], &bytes[to..]].concat())
        }
        Damage::Double { at, len } => {
            let from = place(at);
            let to = (from + len as usize).min(bytes.len());
            lossy([&bytes[..to], &bytes[from..]].concat())
        }
        Damage::Cut { at } => lossy(bytes[..place(at)].to_vec()),
        Damage::Number { n, value } => {
            let numbers = stretches(text, |c| c.is_ascii_digit());
            replaced(text, &numbers, n, VALUES[value].trim_matches('"'))
        }
        Damage::Word { n, word } => {
            let names = stretches(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            replaced(text, &names, n, &words()[word as usize % words().len()])
        }
        Damage::Time { n, ms } => {
            let mut times = stretches(text, |c| c.is_ascii_digit());
            times.retain(|(_, to)| ["s\"", "ms\"", "us\"", "m\""].iter().any(|unit| text[*to..].starts_with(unit)));
            let Some(&(from, to)) = times.get(n as usize % times.len().max(1)) else { return text.to_owned() };
            let end = to + text[to..].find('"').unwrap_or(0);
            format!("{}{ms}ms{}", &text[..from], &text[end..])
        }
        Damage::Again { n, at_ms, for_ms } => with_faults(text, |faults| {
            let mut again = faults[n as usize % faults.len()].clone();
            again["at"] = json!(format!("{at_ms}ms"));
            if !again["for"].is_null() {
                again["for"] = json!(format!("{for_ms}ms"));
            }
            faults.push(again);
        }),
        Damage::Aim { n, m } => with_faults(text, |faults| {
            const AIMED: [&str; 6] = ["kill", "freeze", "lose_host", "shutdown", "restart", "start"];
            let aim =
                AIMED.iter().find_map(|verb| faults[m as usize % faults.len()].get(verb)).filter(|t| t.is_string()).cloned();
            let n = n as usize % faults.len();
            for verb in AIMED {
                if let (Some(aim), Some(target)) = (&aim, faults[n].get_mut(verb)) {
                    *target = aim.clone();
                }
            }
        }),
        Damage::Splice { .. } | Damage::Remove { .. } | Damage::Value { .. } => {
            // Only a text that is still JSON has a structure to splice.
            let Ok(mut tree) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
            let count = visit(&mut tree, &mut |_, _| ());
            match *damage {
                Damage::Splice { n, m, add } => {
                    let mut other = Value::Null;
                    visit(&mut tree, &mut |i, v| {
                        if i == m as usize % count {
                            other = v.clone();
                        }
                    });
                    at(&mut tree, n as usize % count, |v| match v {
                        Value::Array(list) if add => list.push(other.clone()),
                        v => *v = other.clone(),
                    });
                }
                Damage::Remove { n } => at(&mut tree, n as usize % count, |v| match v {
                    Value::Array(list) => drop(list.pop()),
                    Value::Object(object) => {
                        let first = object.keys().nth(n as usize / 7 % object.len().max(1)).cloned();
                        first.map(|k| object.remove(&k));
                    }
                    v => *v = Value::Null,
                }),
                Damage::Value { n, value } => {
                    let new = serde_json::from_str(VALUES[value]).unwrap_or(Value::Null);
                    at(&mut tree, n as usize % count, |v| *v = new.clone());
                }
                _ => {}
            }
            serde_json::to_string_pretty(&tree).expect("a value prints")
        }
    }
}

fn with_faults(text: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let Ok(mut tree) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    if let Some(faults) =
        tree.get_mut("faults").and_then(Value::as_array_mut).filter(|f| !f.is_empty() && f.iter().all(Value::is_object))
    {
        change(faults);
    }
    serde_json::to_string_pretty(&tree).expect("a value prints")
}

/// Byte ranges of maximal runs of such characters.
fn stretches(text: &str, of: impl Fn(char) -> bool) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| of(*c)) {
        match found.last_mut() {
            Some(last) if last.1 == at => last.1 = at + c.len_utf8(),
            _ => found.push((at, at + c.len_utf8())),
        }
    }
    found
}

fn replaced(text: &str, stretches: &[(usize, usize)], n: u32, with: &str) -> String {
    let Some(&(from, to)) = stretches.get(n as usize % stretches.len().max(1)) else { return text.to_owned() };
    format!("{}{with}{}", &text[..from], &text[to..])
}

/// Shows every value of a tree with its number; returns how many there are.
fn visit(value: &mut Value, show: &mut dyn FnMut(usize, &mut Value)) -> usize {
    fn walk(value: &mut Value, n: &mut usize, show: &mut dyn FnMut(usize, &mut Value)) {
        show(*n, value);
        *n += 1;
        match value {
            Value::Array(list) => list.iter_mut().for_each(|v| walk(v, n, show)),
            Value::Object(object) => object.values_mut().for_each(|v| walk(v, n, show)),
            _ => {}
        }
    }
    let mut n = 0;
    walk(value, &mut n, show);
    n
}

fn at(tree: &mut Value, n: usize, change: impl FnOnce(&mut Value)) {
    let mut change = Some(change);
    visit(tree, &mut |i, v| {
        if i == n
            && let Some(change) = change.take()
        {
            change(v);
        }
    });
}

/// Decodes; an accepted scenario comes back, a refused one must be refused well.
fn decode(text: &str) -> Result<Option<Spec>, TestCaseError> {
    match scenario::parse("fuzz", text, &Overrides::default(), &Known::default()) {
        Ok(loaded) => {
            // What is printed with every default visible must be a scenario too.
            let again = scenario::parse("fuzz", &loaded.resolved, &Overrides::default(), &Known::default());
            prop_assert!(
                again.is_ok(),
                "the resolved scenario is refused: {}",
                again.err().map(|e| e.to_string()).unwrap_or_default()
            );
            Ok(Some(loaded.spec))
        }
        Err(errors) => {
            prop_assert!(!errors.errors.is_empty());
            let lines: Vec<&str> = text.split('\n').collect();
            for error in &errors.errors {
                let At::Text(span) = error.at else {
                    return Err(TestCaseError::fail(format!("an error without a place: {errors}")));
                };
                prop_assert!(span.start <= span.end && span.end as usize <= text.len(), "outside the text: {}", errors);
                prop_assert!(text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize));
                prop_assert!(span.line >= 1 && span.line as usize <= lines.len(), "line {} of {}", span.line, lines.len());
                let columns = lines[span.line as usize - 1].chars().count();
                prop_assert!(
                    span.column >= 1 && span.column as usize <= columns + 1,
                    "column {} of {columns}: {}",
                    span.column,
                    errors
                );
                prop_assert!(!error.what.is_empty());
            }
            Ok(None)
        }
    }
}

/// Small enough to build and to walk through second by second: a scenario of a month with 20 000 consumers is legal, but not here.
fn small(spec: &Spec) -> bool {
    let clients: usize = spec.nodes.iter().map(|n| if let NodeKind::Client(c) = &n.kind { c.members.len() } else { 1 }).sum();
    let threads: u64 = spec
        .nodes
        .iter()
        .filter_map(|n| if let NodeKind::Client(c) = &n.kind { Some(c) } else { None })
        .flat_map(|c| &c.members)
        .map(|m| if let MemberRole::Producer(p) = &m.role { p.threads as u64 * p.load.phases.len() as u64 } else { 0 })
        .sum();
    let hour = 3_600 * 1_000_000_000u64;
    let repeats: u64 = spec.faults.iter().map(|f| f.every.map_or(1, |e| e.1 as u64)).sum();
    let preloaded: u64 = spec.preloads.iter().map(|p| p.messages).sum();
    let queues: u32 = spec.topics.iter().map(|t| t.read_queue_nums.max(t.write_queue_nums)).sum();
    spec.warmup.saturating_add(spec.duration).saturating_add(spec.drain) < hour
        && clients <= 60
        && threads < 10_000
        && repeats < 10_000
        && preloaded < 20_000
        && queues < 300
}

/// Runs what was accepted, judges it and writes its reports: none may panic. How it ends is not asked.
fn survives(mut spec: Spec, max_events: u64) {
    spec.max_events = spec.max_events.min(max_events);
    let outcome = run::run(&spec, &Control { stop: &AtomicBool::new(false), progress: None });
    assert!(!report::console::render(&outcome, false).is_empty());
    let summary = report::json::summary(&outcome);
    assert!(serde_json::from_str::<Value>(&summary).is_ok(), "the summary is JSON");
    assert!(report::charts::latency::delivery_latency(&outcome).contains("<svg"));
    assert!(report::charts::gantt::ownership(&outcome).contains("<svg"));
}

/// The cases are the same each time: a failure is a finding, not bad luck. `WINDTUNNEL_FUZZ=n` looks at n times as many, from other seeds.
fn runner(cases: u32, seed: u8) -> TestRunner {
    let more = common::hunt();
    let config = Config { cases: cases * more, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut bytes = [seed; 32];
    bytes[0] = more as u8;
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// The original must be right, or the rest damages rubble.
#[test]
fn the_scenario_with_everything_decodes_and_runs() {
    for (i, text) in originals().iter().enumerate() {
        let spec = decode(text).unwrap_or_else(|e| panic!("original {i}: {e}")).unwrap_or_else(|| {
            let errors = scenario::parse("everything", text, &Overrides::default(), &Known::default()).err();
            panic!("original {i} is refused: {}", errors.map(|e| e.to_string()).unwrap_or_default())
        });
        survives(spec, 400_000);
    }
}

#[test]
fn any_damage_is_refused_with_a_place_or_runs() {
    let damage = (0..originals().len(), proptest::collection::vec(any_damage(), 1..5));
    let mut runner = runner(3_000, 1);
    let done = runner.run(&damage, |(original, damage)| {
        let text = damage.iter().fold(originals()[original].clone(), |text, d| damaged(&text, d));
        decode(&text)?;
        Ok(())
    });
    done.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn whatever_is_accepted_runs() {
    let damage = (proptest::collection::vec(timing(), 0..12), proptest::collection::vec(structural(), 0..2));
    let mut runner = runner(1_000, 2);
    let ran = std::cell::Cell::new(0u32);
    let done = runner.run(&damage, |(timing, structural)| {
        let text = timing.iter().chain(&structural).fold(originals()[0].clone(), |text, d| damaged(&text, d));
        if let Some(spec) = decode(&text)?.filter(small) {
            ran.set(ran.get() + 1);
            survives(spec, 20_000);
        }
        Ok(())
    });
    done.unwrap_or_else(|e| panic!("{e}"));
    assert!(ran.get() > 100, "only {} damaged scenarios were accepted: nothing was hunted", ran.get());
}
