//! `windtunnel verify`: the same scenario and seed must give the same bytes, in turn and beside each other. What the scenario expects plays
//! no part.

use super::{Changes, CliError, Exit};
use crate::report::{charts, console, json};
use crate::run::Control;
use crate::run::outcome::Outcome;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::EXIT_CODES)]
pub(super) struct Args {
    /// The scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// After a first run, how many at once to compare with it: one more, then two beside each other
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1u8, 2], value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Vec<u8>,
    /// No progress and no remarks on standard error
    #[arg(short, long)]
    quiet: bool,
}

/// What two runs must agree on.
struct Print {
    digest: u64,
    events: u64,
    /// Name and bytes, what is compared first coming first.
    bytes: [(&'static str, String); 4],
}

impl Print {
    fn of(outcome: &Outcome) -> Print {
        let bytes = [
            ("answer", console::render(outcome, false)),
            ("summary", json::summary(outcome)),
            ("chart of delivery latency", charts::latency::delivery_latency(outcome)),
            ("chart of queue ownership", charts::gantt::ownership(outcome)),
        ];
        Print { digest: outcome.header.digest, events: outcome.header.events, bytes }
    }

    /// In what way the other run differs, if it does.
    fn difference(&self, other: &Print) -> Option<String> {
        if self.digest != other.digest {
            return Some(format!("digest {:016x} against {:016x}", self.digest, other.digest));
        }
        let unequal = self.bytes.iter().zip(&other.bytes).find(|(a, b)| a.1 != b.1);
        unequal.map(|((what, a), (_, b))| {
            let line =
                a.lines().zip(b.lines()).position(|(x, y)| x != y).map_or("its end".to_owned(), |n| format!("line {}", n + 1));
            format!("one digest, but the {what} differs at {line}")
        })
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let stop = super::interrupt::watch()?;
    let mut worst = Exit::Pass;
    for path in &args.scenarios {
        let exit = verify(path, args, stop).or_else(|error| match error {
            // The other files are still worth a look.
            CliError::Scenario(text) => {
                super::complain(&text);
                Ok(Exit::Wrong)
            }
            other => Err(other),
        })?;
        worst = graver(worst, exit);
        if stop.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(worst)
}

/// A difference outweighs a file that could not be read, and that one a run that was stopped.
fn graver(a: Exit, b: Exit) -> Exit {
    let weight = |e: Exit| match e {
        Exit::NotDeterministic => 3,
        Exit::Wrong => 2,
        Exit::Unknown => 1,
        Exit::Pass | Exit::Fail => 0,
    };
    if weight(b) > weight(a) { b } else { a }
}

fn verify(path: &Path, args: &Args, stop: &AtomicBool) -> Result<Exit, CliError> {
    let loaded = super::load(path, &args.changes)?;
    let name = path.display().to_string();
    let one = |quiet: bool| {
        let meter = super::progress::Meter::new(&name, quiet);
        let control = Control { stop, progress: Some(&|at| meter.tick(at)) };
        let outcome = super::run_loaded(path, &loaded, &args.changes, &control);
        meter.done();
        (outcome.header.seed, Print::of(&outcome))
    };
    let (seed, first) = one(args.quiet);
    let mut runs = 1;
    for n in &args.threads {
        let others: Vec<Print> = match n {
            1 => vec![one(args.quiet).1],
            n => at_once(*n, || one(true).1),
        };
        // Runs that were stopped end at different moments, which says nothing.
        if stop.load(Ordering::SeqCst) {
            super::print(&format!("stopped  {name}  after {runs} of the runs\n"))?;
            return Ok(Exit::Unknown);
        }
        for other in others {
            runs += 1;
            if let Some(difference) = first.difference(&other) {
                let event = crate::run::trace_first_difference(&loaded.spec, &loaded.spec);
                let event = event.map_or("two more runs, recorded, had the same events".to_owned(), |e| {
                    format!("first event that differs: {e}")
                });
                super::print(&format!(
                    "DIFFERS  {name}  seed {seed}  run {runs} ({n} at once): {difference}\n         {event}\n"
                ))?;
                return Ok(Exit::NotDeterministic);
            }
        }
    }
    super::print(&format!(
        "ok  {name}  seed {seed}  digest {:016x}  {runs} runs of {} events agree\n",
        first.digest, first.events
    ))?;
    Ok(Exit::Pass)
}

/// The same work `n` times beside each other. A run that panics takes the command with it, as it would alone.
fn at_once<T: Send>(n: u8, work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..n).map(|_| scope.spawn(&work)).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_difference_is_named() {
        let a = sample::broker_freeze();
        assert_eq!(Print::of(&a).difference(&Print::of(&a.clone())), None);
        let mut b = a.clone();
        b.header.digest += 1;
        assert_eq!(Print::of(&a).difference(&Print::of(&b)).unwrap(), "digest 9f86d081884c7d65 against 9f86d081884c7d66");
        let mut b = a.clone();
        b.header.question.push('!');
        assert_eq!(Print::of(&a).difference(&Print::of(&b)).unwrap(), "one digest, but the answer differs at line 2");
    }

    #[test]
    fn the_gravest_exit_wins() {
        assert_eq!(graver(Exit::NotDeterministic, Exit::Wrong), Exit::NotDeterministic);
        assert_eq!(graver(Exit::Unknown, Exit::Wrong), Exit::Wrong);
        assert_eq!(graver(Exit::Unknown, Exit::Pass), Exit::Unknown);
    }

    #[test]
    fn all_runs_beside_each_other_are_returned() {
        assert_eq!(at_once(3, || 7), [7, 7, 7]);
    }
}
