//! `windtunnel durability`: what settings of flush and replication are worth under which fault.

use super::Format;
use super::{CliError, Exit};
use crate::explore::durability::{self, Load, MOST_RATE, MOST_SIZE};
use crate::explore::runs::{Crew, Seeds};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  windtunnel durability
  windtunnel durability --rate 2000 --seeds 1..100 --out report
  windtunnel durability --rate 1 --size 100 --format json

Ctrl-C ends it early; what was found so far is reported, as unknown.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", super::EXIT_CODES))]
pub(super) struct Args {
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = Load::default().rate, value_parser = clap::value_parser!(u64).range(1..=MOST_RATE))]
    rate: u64,
    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = Load::default().size, value_parser = clap::value_parser!(u64).range(1..=MOST_SIZE))]
    size: u64,
    /// The seeds of each cell, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..20")]
    seeds: Seeds,
    /// Threads; what is printed does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = super::seeds::jobs)]
    jobs: Option<usize>,
    /// What standard output gets: the answer for people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write durability.txt, durability.json and durability.svg into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// No progress and no remarks on standard error
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let crew = Crew::new(args.jobs)?;
    let stop = super::interrupt::watch()?;
    let cells = durability::Mode::ALL.len() * durability::Strike::ALL.len();
    let bar = super::progress::Runs::new("durability", cells * args.seeds.len(), args.quiet);
    let load = Load { rate: args.rate, size: args.size };
    let found = durability::matrix(load, args.seeds, &crew, stop, &|done| bar.tick(done));
    bar.done();
    let matrix = found.map_err(|e| CliError::Scenario(e.to_string()))?;
    if let Some(dir) = &args.out {
        crate::report::write_durability(dir, &matrix)?;
    }
    super::print(&match args.format {
        Format::Text => crate::report::durability::render(&matrix),
        Format::Json => crate::report::durability::json(&matrix),
    })?;
    Ok(Exit::of(crate::report::durability::verdict(&matrix)))
}
