//! Seeds over threads: every seed of a range is run once, and a caller's function keeps what it wants of each outcome.
//!
//! The function is called from many threads in any order, with the seed's place in the range; whoever keeps results by that place has the
//! same results whatever the number of threads. Threads take one seed at a time, so a long run does not hold back the others.

use crate::run::outcome::Outcome;
use crate::run::{self, Control};
use crate::scenario::Loaded;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// More seeds than this are not meant: figures of each are kept in memory.
pub const MOST_SEEDS: u64 = 100_000;
/// More threads than this are not meant.
pub const MOST_JOBS: usize = 1_024;

/// An inclusive range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    pub first: u64,
    pub last: u64,
}

impl Seeds {
    pub fn len(&self) -> usize {
        // At most MOST_SEEDS, see `parse`.
        (self.last - self.first) as usize + 1
    }

    /// Never: a range that holds nothing is refused where it is read.
    pub fn is_empty(&self) -> bool {
        false
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        self.first..=self.last
    }
}

impl std::fmt::Display for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

/// Why a text is no range of seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedsError {
    #[error("expected two seeds and two dots, both seeds included, such as 1..200")]
    Form,
    #[error("{0:?} is not a seed; expected a whole number from 0 to {max}, as in 1..200", max = u64::MAX)]
    Number(String),
    #[error("the range {first}..{last} holds no seed; write the smaller one first: {last}..{first}")]
    Empty { first: u64, last: u64 },
    #[error("the range {first}..{last} holds more than {MOST_SEEDS} seeds; split it")]
    Many { first: u64, last: u64 },
}

impl std::str::FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Seeds, SeedsError> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| digits).ok_or_else(|| SeedsError::Number(text.to_owned()))
        };
        let (first, last) = text.split_once("..").ok_or(SeedsError::Form)?;
        let (first, last) = (number(first)?, number(last)?);
        match last.checked_sub(first) {
            None => Err(SeedsError::Empty { first, last }),
            Some(more) if more >= MOST_SEEDS => Err(SeedsError::Many { first, last }),
            Some(_) => Ok(Seeds { first, last }),
        }
    }
}

/// Why no runs could be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {jobs} threads for the runs: {source}; ask for fewer with --jobs")]
pub struct ThreadsError {
    pub jobs: usize,
    pub source: rayon::ThreadPoolBuildError,
}

/// The threads that runs are spread over.
pub struct Crew {
    pool: rayon::ThreadPool,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("jobs", &self.pool.current_num_threads()).finish()
    }
}

impl Crew {
    /// So many threads; `None`: as many as the machine has cores.
    pub fn new(jobs: Option<usize>) -> Result<Crew, ThreadsError> {
        let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, MOST_JOBS);
        match rayon::ThreadPoolBuilder::new().num_threads(jobs).build() {
            Ok(pool) => Ok(Crew { pool }),
            Err(source) => Err(ThreadsError { jobs, source }),
        }
    }

    /// Does `work` for every place in `0..n`, until `stop` is set; `progress` is told how many are done.
    pub fn each(&self, n: usize, stop: &AtomicBool, progress: &(dyn Fn(usize) + Sync), work: impl Fn(usize) + Sync) {
        let done = AtomicUsize::new(0);
        self.pool.install(|| {
            (0..n).into_par_iter().with_max_len(1).for_each(|place| {
                if !stop.load(Ordering::Relaxed) {
                    work(place);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        });
    }
}

/// One seed of a scenario; `None` when the run was stopped from outside, for then it says nothing about the seed.
pub fn one(loaded: &Loaded, seed: u64, stop: &AtomicBool) -> Option<Outcome> {
    let mut spec = loaded.spec.clone();
    spec.seed = seed;
    let outcome = run::run(&spec, &Control { stop, progress: None });
    (!stop.load(Ordering::Relaxed)).then_some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn ranges_are_inclusive_and_mistakes_are_named() {
        assert_eq!("1..200".parse(), Ok(Seeds { first: 1, last: 200 }));
        assert_eq!("7..7".parse::<Seeds>().map(|s| (s.len(), s.to_string())), Ok((1, "7..7".to_owned())));
        assert_eq!("18446744073709551615..18446744073709551615".parse::<Seeds>().map(|s| s.len()), Ok(1));
        for (text, said) in [
            ("5..1", "smaller one first: 1..5"),
            ("1..100001", "split it"),
            ("0..18446744073709551615", "split it"),
            ("", "two dots"),
            ("200", "two dots"),
            ("1...3", "\".3\" is not a seed"),
            ("1..", "\"\" is not a seed"),
            ("-1..3", "\"-1\" is not a seed"),
            ("+1..3", "\"+1\" is not a seed"),
            ("1..99999999999999999999", "is not a seed"),
            ("a..b", "\"a\" is not a seed"),
        ] {
            let error = text.parse::<Seeds>().map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(said)), "{text}: {error:?}");
        }
    }

    #[test]
    fn every_place_is_worked_on_once_and_a_stop_is_heard() {
        for jobs in [1, 3] {
            let crew = Crew::new(Some(jobs)).unwrap();
            let (stop, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
            crew.each(50, &stop, &|_| (), |place| seen.lock().unwrap().push(place));
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..50).collect::<Vec<_>>());
        }
        let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        Crew::new(Some(1)).unwrap().each(50, &stop, &|done| stop.store(done == 5, Ordering::Relaxed), |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 5);
    }
}
