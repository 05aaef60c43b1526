//! `windtunnel seeds`: one scenario under many seeds, on all cores: what every figure does from seed to seed.
//!
//! Timer phases, start moments and latencies vary with the seed, as they do in life; what the scenario pins stays pinned.

use super::Format;
use super::{Changes, CliError, Exit};
use crate::explore::runs::{Crew, MOST_JOBS, Seeds};
use crate::explore::survey;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  windtunnel seeds scenarios/quickstart.json
  windtunnel seeds scenarios/quickstart.json --seeds 1..1000 --jobs 2
  windtunnel seeds scenarios/quickstart.json --all
  windtunnel seeds scenarios/quickstart.json --set duration=10m --format json

Ctrl-C ends the survey early; what was found so far is reported, as unknown.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", super::EXIT_CODES))]
pub(super) struct Args {
    /// The scenario file
    scenario: PathBuf,
    /// The seeds, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..200")]
    seeds: Seeds,
    /// Threads; what is printed does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    /// Change one value of the scenario; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::assignment)]
    set: Vec<String>,
    /// Permute events that fall on one instant: an answer that changes depends on a race
    #[arg(long, value_name = "N", value_parser = super::number)]
    tie_seed: Option<u64>,
    /// End each run as unknown past this many events
    #[arg(long, value_name = "N", value_parser = super::number)]
    max_events: Option<u64>,
    /// What standard output gets: the answer for people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Every figure: causes, groups, producers, queues, stages and bins of ten seconds too
    #[arg(long)]
    all: bool,
    /// No progress and no remarks on standard error
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let changes = Changes { seed: None, set: args.set.clone(), tie_seed: args.tie_seed, max_events: args.max_events };
    let loaded = super::load(&args.scenario, &changes)?;
    let crew = Crew::new(args.jobs)?;
    let stop = super::interrupt::watch()?;
    let bar = super::progress::Runs::new(&loaded.spec.name, args.seeds.len(), args.quiet);
    let survey = survey::survey(&loaded, args.seeds, &crew, stop, &|done| bar.tick(done));
    bar.done();
    let path = args.scenario.display().to_string();
    // The seed comes first and is the survey's own.
    let arguments: Vec<String> = changes.arguments(0).split_off(1);
    super::print(&match args.format {
        Format::Text => crate::report::seeds::render(&survey, &path, &arguments, args.all),
        Format::Json => crate::report::seeds::json(&survey, &path, &arguments),
    })?;
    Ok(Exit::of(survey.verdict()))
}

/// A number of threads.
pub(super) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if (1..=MOST_JOBS).contains(&n) => Ok(n),
        _ => Err(format!("expected a number of threads from 1 to {MOST_JOBS}, such as 2")),
    }
}
