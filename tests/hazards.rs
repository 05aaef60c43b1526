//! The shipped hazards, over 50 seeds each: every run of a hazard lands in its predicted window, the seeds cover three quarters of that window
//! unless the phases are pinned, and the mitigated twin shows none of it: nothing at all, or, where the real system has nothing that removes it,
//! what the list says remains and by which mechanism, all of it below the hazard's window.
//!
//! A window is what the scenario's `expect` block says of one counter. `reports/hazards.md` is the table of predicted against measured;
//! it is compared here, and written anew by `cargo test --test hazards -- --ignored`.

#[path = "hazards/pairs.rs"]
mod pairs;

use pairs::{PAIRS, Pair, Phases::*};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex};
use windtunnel::meter::counters::known_counters;
use windtunnel::run::outcome::{ExpectationResult, Outcome, Unit, Verdict};
use windtunnel::run::{Control, run};
use windtunnel::scenario::{Known, Overrides, load_with};
use windtunnel::world::spec::Expectation;

const SEEDS: u64 = 50;

/// All runs of one scenario, by seed.
struct Runs {
    expect: Vec<Expectation>,
    outcomes: Vec<Outcome>,
}

static SURVEY: LazyLock<Vec<[Runs; 2]>> = LazyLock::new(|| {
    PAIRS.par_iter().map(|pair| ["hazard", "mitigated"].map(|twin| runs(&format!("{}.{twin}", pair.slug)))).collect()
});

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn runs(name: &str) -> Runs {
    let counters: Vec<&str> = known_counters().iter().map(|c| c.name).collect();
    let known = Known { counters: Some(&counters), ..Known::default() };
    let loaded =
        load_with(&root(&format!("scenarios/{name}.json")), &Overrides::default(), &known).unwrap_or_else(|e| panic!("{e}"));
    let stop = AtomicBool::new(false);
    let outcome = |seed| {
        let mut spec = loaded.spec.clone();
        spec.seed = seed;
        run(&spec, &Control { stop: &stop, progress: None })
    };
    Runs { expect: loaded.spec.expect.clone(), outcomes: (1..=SEEDS).into_par_iter().map(outcome).collect() }
}

impl Runs {
    /// The values of a counter, lowest first.
    fn values(&self, counter: &str) -> Vec<i64> {
        let of = |o: &Outcome| o.counters.iter().find(|c| c.name == counter).and_then(|c| c.value);
        let mut values: Vec<i64> = self.outcomes.iter().filter_map(of).collect();
        values.sort_unstable();
        values
    }

    fn window(&self, counter: &str) -> Option<&Expectation> {
        self.expect.iter().find(|e| e.counter == counter)
    }

    fn unit(&self, counter: &str) -> Unit {
        self.outcomes[0].counters.iter().find(|c| c.name == counter).map_or(Unit::Count, |c| c.unit)
    }

    /// What broke in any seed: expectations that did not pass, laws that failed.
    fn complaints(&self, name: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        for outcome in &self.outcomes {
            let seed = outcome.header.seed;
            let broken = |e: &&ExpectationResult| e.verdict != Verdict::Pass;
            complaints.extend(
                outcome
                    .expectations
                    .iter()
                    .filter(broken)
                    .map(|e| format!("{name}, seed {seed}: {} is {:?}, expected {:?} to {:?}", e.counter, e.got, e.min, e.max)),
            );
            complaints.extend(
                outcome
                    .laws
                    .iter()
                    .filter(|l| l.verdict == Verdict::Fail)
                    .map(|l| format!("{name}, seed {seed}: {}: {}", l.name, l.detail)),
            );
            complaints.extend(
                outcome
                    .faults
                    .iter()
                    .filter(|f| f.touched == 0)
                    .map(|f| format!("{name}, seed {seed}: {} touched nothing", f.label)),
            );
        }
        complaints
    }
}

#[test]
fn every_seed_lands_in_its_window() {
    let mut complaints = Vec::new();
    for (pair, [hazard, mitigated]) in PAIRS.iter().zip(&*SURVEY) {
        complaints.extend(hazard.complaints(&format!("{}.hazard", pair.slug)));
        complaints.extend(mitigated.complaints(&format!("{}.mitigated", pair.slug)));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_seeds_cover_most_of_the_window() {
    let mut complaints = Vec::new();
    for (pair, [hazard, _]) in PAIRS.iter().zip(&*SURVEY).filter(|(pair, _)| pair.phases == Drawn) {
        let values = hazard.values(pair.counter);
        let window = hazard.window(pair.counter).and_then(|w| Some((w.min?, w.max?)));
        let (min, max) = window.unwrap_or_else(|| panic!("{} expects no window of {}", pair.slug, pair.counter));
        let (low, high) = (values[0], values[values.len() - 1]);
        if 4 * (high - low) < 3 * (max - min) {
            complaints.push(format!("{}: {low} to {high} is less than three quarters of {min} to {max}", pair.slug));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// None of the hazard in any seed: nothing at all; or a reason why something is left, and all of it below the hazard's window.
#[test]
fn the_mitigated_twin_shows_none_of_it_unless_it_is_said_why() {
    let mut complaints = Vec::new();
    for (pair, [hazard, mitigated]) in PAIRS.iter().zip(&*SURVEY) {
        let most = |runs: &Runs| runs.window(pair.counter).and_then(|w| w.max);
        let least = hazard.window(pair.counter).and_then(|w| w.min).unwrap_or(0);
        let limit = if pair.remains.is_empty() { 0 } else { least - 1 };
        let values = mitigated.values(pair.counter);
        if values.len() < mitigated.outcomes.len() || values.iter().any(|v| *v > limit) {
            complaints.push(format!("{} mitigated: {} shows {values:?}, at most {limit} may remain", pair.slug, pair.counter));
        }
        if most(mitigated).is_none_or(|most| most > limit) {
            complaints.push(format!("{} mitigated: expects {:?} of {}", pair.slug, most(mitigated), pair.counter));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Every pair is on the list, and every file of the list exists.
#[test]
fn every_pair_is_on_the_list_and_every_file_of_the_list_exists() {
    let mut files: Vec<String> = std::fs::read_dir(root("scenarios"))
        .unwrap()
        .filter_map(|f| f.unwrap().file_name().into_string().ok())
        .filter(|f| f.ends_with(".hazard.json") || f.ends_with(".mitigated.json"))
        .collect();
    files.sort_unstable();
    let mut listed: Vec<String> =
        PAIRS.iter().flat_map(|p| ["hazard", "mitigated"].map(|twin| format!("{}.{twin}.json", p.slug))).collect();
    listed.sort_unstable();
    assert_eq!(files, listed);
}

/// A value as the table shows it.
fn show(value: i64, unit: Unit) -> String {
    let tenths = (value as f64 / 1e8).round() / 10.0;
    let tenths = if value > 0 && tenths == 0.0 { "> 0".to_owned() } else { tenths.to_string() };
    match unit {
        Unit::Count | Unit::Ratio => value.to_string(),
        Unit::Duration => format!("{tenths} s"),
        Unit::QueueTime => format!("{tenths} queue·s"),
    }
}

fn window(runs: &Runs, counter: &str) -> String {
    let unit = runs.unit(counter);
    match runs.window(counter).map(|w| (w.min, w.max)) {
        Some((Some(min), Some(max))) => format!("{} to {}", show(min, unit), show(max, unit)),
        Some((None, Some(max))) => format!("at most {}", show(max, unit)),
        Some((Some(min), None)) => format!("at least {}", show(min, unit)),
        _ => "–".to_owned(),
    }
}

fn measured(runs: &Runs, counter: &str) -> String {
    let (values, unit) = (runs.values(counter), runs.unit(counter));
    match values.as_slice() {
        [] => "–".to_owned(),
        [low, .., high] => [*low, values[values.len() / 2], *high].map(|v| show(v, unit)).join(" / "),
        [only] => show(*only, unit),
    }
}

fn table() -> String {
    let mut table = format!(
        "# Hazards: predicted against measured\n\nOver seeds 1 to {SEEDS}; measured is lowest / median / highest. Written by `cargo test --test hazards -- --ignored`.\n\n\
         | | scenario | counter | predicted | measured | mitigated: predicted | mitigated: measured | why | what remains when mitigated | phases |\n|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for (pair, [hazard, mitigated]) in PAIRS.iter().zip(&*SURVEY) {
        let Pair { hazard: number, slug, counter, phases, why, remains } = pair;
        let remains = if remains.is_empty() { "nothing" } else { remains };
        let phases = match phases {
            Pinned => "pinned",
            Drawn => "drawn",
        };
        let (predicted, got) = (window(hazard, counter), measured(hazard, counter));
        let (predicted_twin, got_twin) = (window(mitigated, counter), measured(mitigated, counter));
        let line =
            [number, slug, counter, predicted.as_str(), &got, &predicted_twin, &got_twin, why, remains, phases].join(" | ");
        _ = writeln!(table, "| {line} |");
    }
    table
}

#[test]
fn the_table_is_what_is_measured() {
    let kept = std::fs::read_to_string(root("reports/hazards.md")).unwrap_or_default();
    assert!(kept == table(), "reports/hazards.md is out of date: cargo test --test hazards -- --ignored\n{}", table());
}

static WRITING: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "writes reports/hazards.md"]
fn write_the_table() {
    let _one = WRITING.lock();
    std::fs::write(root("reports/hazards.md"), table()).unwrap();
}
