//! What the suites share: specifications from JSON, runs, and how an outcome is asked.
//!
//! The suites build their clusters as scenario text, not as specifications, so that what they test is what a user can write.

#![allow(dead_code, unreachable_pub, reason = "each suite is a crate of its own and uses a part of this")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use windtunnel::run::outcome::{CheckResult, Outcome, Verdict};
use windtunnel::run::{self, Control};
use windtunnel::scenario::{self, Known, Overrides};
use windtunnel::world::Planted;
use windtunnel::world::spec::Spec;

pub const S: i64 = 1_000_000_000;

/// The folder of the package, wherever the test runs.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The scenarios that are shipped, in the order of their names. Folders below belong to others.
pub fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("scenarios"))
        .expect("scenarios/ is there")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "scenarios/ holds no scenario");
    files
}

pub fn stem(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

pub fn load(path: &Path, overrides: &Overrides) -> Spec {
    scenario::load(path, overrides).unwrap_or_else(|e| panic!("{e}")).spec
}

/// A specification from a scenario written as a JSON value.
pub fn spec(scenario: &Value) -> Spec {
    let text = serde_json::to_string_pretty(scenario).expect("a value prints");
    scenario::parse("test", &text, &Overrides::default(), &Known::default()).unwrap_or_else(|e| panic!("{e}\nin:\n{text}")).spec
}

pub fn seeded(scenario: &Value, seed: u64) -> Spec {
    Spec { seed, ..spec(scenario) }
}

pub fn outcome(spec: &Spec) -> Outcome {
    run::run(spec, &Control { stop: &AtomicBool::new(false), progress: None })
}

pub fn planted(spec: &Spec, bug: Planted) -> Outcome {
    run::run_planted(spec, &Control { stop: &AtomicBool::new(false), progress: None }, bug)
}

/// A counter that must have a value.
pub fn counter(outcome: &Outcome, name: &str) -> i64 {
    value(outcome, name).unwrap_or_else(|| panic!("{name} had nothing to count"))
}

pub fn value(outcome: &Outcome, name: &str) -> Option<i64> {
    outcome.counters.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("there is no counter {name}")).value
}

pub fn law<'a>(outcome: &'a Outcome, name: &str) -> &'a CheckResult {
    outcome.laws.iter().find(|l| l.name == name).unwrap_or_else(|| panic!("there is no law {name}"))
}

/// Laws may be unknown in a small run (no orderly listener, no lock), never broken.
pub fn no_law_is_broken(outcome: &Outcome) -> Result<(), String> {
    match outcome.laws.iter().find(|l| l.verdict == Verdict::Fail) {
        Some(law) => Err(format!("{}: {}", law.name, law.detail)),
        None => Ok(()),
    }
}

/// How many times as many random cases to look at as a usual run of the tests does.
pub fn hunt() -> u32 {
    #[allow(clippy::disallowed_methods, reason = "how long to hunt is the tester's business; no run sees it")]
    let wanted = std::env::var("WINDTUNNEL_FUZZ");
    wanted.ok().and_then(|v| v.parse().ok()).unwrap_or(1).max(1)
}

/// Two masters, four queues each, one producer, two consumers: the catalogue's standard topology.
pub fn two_masters(rate: &str, duration: &str) -> Value {
    json!({
        "question": "What happens?",
        "duration": duration, "drain": "3m",
        "nameservers": 1,
        "brokers": [{"brokerName": "broker-a"}, {"brokerName": "broker-b"}],
        "topics": [{"name": "T", "queues": 4}],
        "producers": [{"group": "pg", "topic": "T", "rate": rate, "size": 64}],
        "consumers": [{"group": "cg", "count": 2, "topic": "T"}],
    })
}
