//! What many seeds of one scenario say: for every figure its distribution, and which seeds produced the extremes.
//!
//! Figures arrive in any order from many threads and are sorted by seed before anything is computed, so the survey depends on the set of
//! seeds alone. A figure that some seeds have nothing to measure for is described over those that have it.

use super::figures;
use super::rank::{Value, quantile};
use super::runs::{self, Crew, Seeds};
use crate::run::outcome::{Outcome, Unit, Verdict};
use crate::scenario::Loaded;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Everything `windtunnel seeds` prints.
#[derive(Clone, Debug)]
pub struct Survey {
    pub scenario: String,
    pub question: String,
    pub rocketmq: String,
    pub seeds: Seeds,
    /// Seeds by verdict, each list ascending.
    pub passed: Vec<u64>,
    pub failed: Vec<u64>,
    pub unknown: Vec<u64>,
    /// Laws and expectations that some seed broke, with how many did.
    pub broken: BTreeMap<String, u64>,
    /// Counters that the scenario's `expect` bounds.
    pub judged: Vec<String>,
    /// Stopped from outside: some seeds were not run.
    pub interrupted: bool,
    /// By path.
    pub figures: Vec<Distribution>,
}

/// A figure over seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// As in `summary.json`: "groups.cg.duplicates".
    pub path: String,
    pub unit: Unit,
    /// In how many seeds there was something to measure.
    pub n: usize,
    pub min: i64,
    pub p5: i64,
    pub p50: i64,
    pub p95: i64,
    pub max: i64,
    /// The first seed with the smallest and with the largest value, and how many seeds share it.
    pub min_seed: (u64, usize),
    pub max_seed: (u64, usize),
}

impl Survey {
    /// The worst of all seeds; what was not run is unknown.
    pub fn verdict(&self) -> Verdict {
        match (self.failed.is_empty(), self.unknown.is_empty() && !self.interrupted) {
            (false, _) => Verdict::Fail,
            (true, false) => Verdict::Unknown,
            (true, true) => Verdict::Pass,
        }
    }
}

/// A figure's unit, and its value by seed in the order in which runs ended.
type Column = (Option<Unit>, Vec<(u64, i64)>);

#[derive(Default)]
struct Gathered {
    verdicts: BTreeMap<u64, Verdict>,
    broken: BTreeMap<String, u64>,
    columns: BTreeMap<String, Column>,
}

impl Gathered {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.verdicts.insert(seed, outcome.verdict);
        let laws = outcome.laws.iter().filter(|l| l.verdict == Verdict::Fail).map(|l| format!("law: {}", l.name));
        let expected = outcome.expectations.iter().filter(|e| e.verdict == Verdict::Fail).map(|e| e.counter.clone());
        laws.chain(expected).for_each(|name| *self.broken.entry(name).or_default() += 1);
        figures::walk(outcome, &mut |path, unit, value| {
            let column = self.columns.entry(path).or_default();
            column.0 = Some(unit);
            column.1.push((seed, value));
        });
    }
}

/// Runs every seed of the range and gathers their figures. `progress` is told how many are done.
pub fn survey(loaded: &Loaded, seeds: Seeds, crew: &Crew, stop: &AtomicBool, progress: &(dyn Fn(usize) + Sync)) -> Survey {
    let gathered = Mutex::new(Gathered::default());
    crew.each(seeds.len(), stop, progress, |place| {
        let seed = seeds.first + place as u64;
        if let Some(outcome) = runs::one(loaded, seed, stop) {
            gathered.lock().unwrap_or_else(PoisonError::into_inner).add(seed, &outcome);
        }
    });
    let gathered = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    let of = |wanted| gathered.verdicts.iter().filter(|(_, v)| **v == wanted).map(|(seed, _)| *seed).collect::<Vec<u64>>();
    Survey {
        scenario: loaded.spec.name.clone(),
        question: loaded.spec.question.clone(),
        rocketmq: loaded.spec.version.to_string(),
        seeds,
        passed: of(Verdict::Pass),
        failed: of(Verdict::Fail),
        unknown: of(Verdict::Unknown),
        broken: gathered.broken,
        judged: loaded.spec.expect.iter().map(|e| e.counter.clone()).collect(),
        interrupted: stop.load(Ordering::Relaxed),
        figures: gathered.columns.into_iter().filter_map(|(path, column)| distribution(path, column.0?, column.1)).collect(),
    }
}

fn distribution(path: String, unit: Unit, mut rows: Vec<(u64, i64)>) -> Option<Distribution> {
    rows.sort_unstable_by_key(|(seed, value)| (*value, *seed));
    let (first, last) = (rows.first()?, rows.last()?);
    let sorted: Vec<Value> = rows.iter().map(|r| Some(r.1)).collect();
    let at = |percent| quantile(&sorted, percent).unwrap_or(first.1);
    // Rows of one value stand together, the smallest seed first.
    let share = |value: i64| {
        let mut same = rows.iter().filter(|r| r.1 == value);
        (same.next().map_or(0, |r| r.0), same.count() + 1)
    };
    Some(Distribution {
        path,
        unit,
        n: rows.len(),
        min: first.1,
        p5: at(5),
        p50: at(50),
        p95: at(95),
        max: last.1,
        min_seed: share(first.1),
        max_seed: share(last.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_names_the_seeds_of_its_extremes() {
        let rows = (1..=200).map(|seed| (seed, (seed % 50) as i64)).rev().collect();
        let d = distribution("x".into(), Unit::Count, rows).unwrap();
        assert_eq!((d.n, d.min, d.p5, d.p50, d.p95, d.max), (200, 0, 2, 24, 47, 49));
        assert_eq!((d.min_seed, d.max_seed), ((50, 4), (49, 4)));
        assert_eq!(distribution("x".into(), Unit::Count, Vec::new()), None);
    }

    #[test]
    fn the_worst_seed_decides() {
        let survey = |failed: &[u64], unknown: &[u64], interrupted| Survey {
            scenario: String::new(),
            question: String::new(),
            rocketmq: String::new(),
            seeds: Seeds { first: 1, last: 3 },
            passed: vec![1],
            failed: failed.to_vec(),
            unknown: unknown.to_vec(),
            broken: BTreeMap::new(),
            judged: Vec::new(),
            interrupted,
            figures: Vec::new(),
        };
        assert_eq!(survey(&[], &[], false).verdict(), Verdict::Pass);
        assert_eq!(survey(&[], &[2], false).verdict(), Verdict::Unknown);
        assert_eq!(survey(&[], &[], true).verdict(), Verdict::Unknown);
        assert_eq!(survey(&[3], &[2], true).verdict(), Verdict::Fail);
    }
}
