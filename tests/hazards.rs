//! The shipped hazards, over 50 seeds each: every run of a hazard lands in its predicted window, the seeds cover most of that window unless
//! the phases are pinned, and the mitigated twin shows none of it or stays in its smaller one.
//!
//! A window is what the scenario's `expect` block says of one counter. `reports/hazards.md` is the table of predicted against measured;
//! it is compared here, and written anew by `cargo test --test hazards -- --ignored`.

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

/// A pair of scenarios: `<slug>.hazard.json` and `<slug>.mitigated.json`.
struct Pair {
    hazard: &'static str,
    slug: &'static str,
    /// The counter whose window the hazard is about.
    counter: &'static str,
    phases: Phases,
    /// Why the window is what it is.
    why: &'static str,
}

#[derive(PartialEq)]
enum Phases {
    /// Drawn with the seed: 50 seeds cover at least half of the window.
    Drawn,
    /// Fixed by the scenario, or by the mechanism itself.
    Pinned,
    /// Drawn, but the ends of the window are coincidences of which fifty seeds seldom hold both.
    Rare,
}

use Phases::{Drawn, Pinned, Rare};

const PAIRS: &[Pair] = &[
    Pair {
        hazard: "H01",
        slug: "rebalance-inflight-dup",
        counter: "duplicates",
        phases: Drawn,
        why: "3 of 8 queues move, each with about 2.5 messages in listeners; orderly: one batch a queue",
    },
    Pair {
        hazard: "H02",
        slug: "consumer-kill-offset-window-dup",
        counter: "duplicates",
        phases: Drawn,
        why: "up to 5 s (1 s) of 400 messages a second and 20 in flight, once the cache holds the backlog and no pull carries offsets; plus up to 340 when the second member joined",
    },
    Pair {
        hazard: "H05",
        slug: "missed-notify-double-owner-20s",
        counter: "overlap_queue_time",
        phases: Drawn,
        why: "2 queues until the next tick, 20 s (5 s) at most",
    },
    Pair {
        hazard: "H06",
        slug: "broker-restart-partial-cidlist",
        counter: "overlap_queue_time",
        phases: Drawn,
        why: "at most 6 queues with two owners until the last heartbeat lands, 30 s; every 5 s: 6 queues for 5 s",
    },
    Pair {
        hazard: "H08",
        slug: "topic-expand-view-skew",
        counter: "unowned_queue_time",
        phases: Drawn,
        why: "8 new queues for up to a poll (30 s) and a tick (20 s), from their first message on",
    },
    Pair {
        hazard: "H09",
        slug: "mixed-allocation-strategies",
        counter: "lost",
        phases: Pinned,
        why: "2 of 8 queues are nobody's, 2 belong to both: a quarter of 12,000",
    },
    Pair {
        hazard: "H11",
        slug: "group-topic-mismatch-unowned",
        counter: "delivery_latency_max",
        phases: Drawn,
        why: "half of both topics has no owner; the rest stalls from the other member's heartbeat to one's own, the longer part of 30 s, and 1 s of a pull's pause",
    },
    Pair {
        hazard: "H12",
        slug: "tag-mismatch-silent-filter",
        counter: "lost",
        phases: Rare,
        why: "each broker holds the filter of whoever rebalanced last: three quarters of 12,000; half or all (1 seed in 100 each) if both did at once",
    },
    Pair {
        hazard: "H14",
        slug: "consumer-host-loss-150s-stall",
        counter: "takeover",
        phases: Drawn,
        why: "expiry 120 s after a heartbeat 0 to 30 s old, scan 0 to 10 s, tick 0 to 20 s; mitigated 45 s, 0 to 10 s, 0 to 10 s, 0 to 5 s",
    },
    Pair {
        hazard: "H32",
        slug: "order-key-remap-on-broker-loss",
        counter: "order_inversions_per_key",
        phases: Pinned,
        why: "60 s x (25 - 13.3) a second left on the lost broker, less 50 to 82 a queue that the consumers had cached",
    },
    Pair {
        hazard: "H36",
        slug: "order-locks-forgotten",
        counter: "overlap_queue_time",
        phases: Pinned,
        why: "4 queues from the newcomer's lock at 66 s to the old owners' rebalance at 79 s",
    },
    Pair {
        hazard: "H38",
        slug: "order-owner-kill-60s",
        counter: "takeover",
        phases: Pinned,
        why: "the lock lapses 40 to 60 s (5 to 25 s) after the kill; tries come with the notice and every 20 s after it",
    },
    Pair {
        hazard: "H43",
        slug: "one-timeout-eats-all-retries",
        counter: "failed_sends",
        phases: Drawn,
        why: "one send each 3 s for 90 to 160 s: its timeout ends the channel or connect for all others, which are retried late; and up to 150 in flight whenever a retry with 0 ms left closes the healthy channel",
    },
    Pair {
        hazard: "H44",
        slug: "stale-route-window",
        counter: "last_failed_send",
        phases: Drawn,
        why: "expiry 120 s after a registration 0 to 30 s old, scan 0 to 10 s, poll 0 to 30 s (5 s)",
    },
    Pair {
        hazard: "H46",
        slug: "busy-not-retried",
        counter: "failed_sends",
        phases: Drawn,
        why: "10 stalls; of the 100 sends a second those of the first 300 ms, less 4 with the send threads; Poisson arrivals",
    },
    Pair {
        hazard: "H51",
        slug: "ns-connection-blip-removes-broker",
        counter: "unowned_queue_time",
        phases: Pinned,
        why: "4 queues, polled away at 74.5 s, back with the tick after the poll of 104.5 s",
    },
    Pair {
        hazard: "H54a",
        slug: "async-flush-power-loss",
        counter: "lost",
        phases: Drawn,
        why: "up to a flush cycle of 0.5 s and its fsync at 100 messages a second, less the pages that the kernel had happened to write",
    },
    Pair {
        hazard: "H54b",
        slug: "async-flush-power-loss-trickle",
        counter: "lost",
        phases: Drawn,
        why: "never four dirty pages: up to 10 s between thorough flushes, at one message a second",
    },
    Pair {
        hazard: "H55",
        slug: "transient-pool-process-kill",
        counter: "lost",
        phases: Drawn,
        why: "a put wakes the commit, which waits for four pages: up to 16 KiB of records of about 200 bytes",
    },
    Pair {
        hazard: "H87",
        slug: "ghost-members-after-freeze",
        counter: "ghost_members",
        phases: Drawn,
        why: "4 or 5 heartbeats of each of 3 members wait in dead connections; each races its connection's end",
    },
];

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
        if 2 * (high - low) < max - min {
            complaints.push(format!("{}: {low} to {high} is less than half of {min} to {max}", pair.slug));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The twins say the same but for what mitigates: workload and question aside, they differ in little.
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
         | | scenario | counter | predicted | measured | mitigated: predicted | mitigated: measured | why | phases |\n|---|---|---|---|---|---|---|---|---|\n"
    );
    for (pair, [hazard, mitigated]) in PAIRS.iter().zip(&*SURVEY) {
        let Pair { hazard: number, slug, counter, phases, why } = pair;
        let phases = match phases {
            Pinned => "pinned",
            Drawn => "drawn",
            Rare => "drawn, its ends rare",
        };
        let (predicted, got) = (window(hazard, counter), measured(hazard, counter));
        let (predicted_twin, got_twin) = (window(mitigated, counter), measured(mitigated, counter));
        let line = [number, slug, counter, predicted.as_str(), &got, &predicted_twin, &got_twin, why, phases].join(" | ");
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
