//! `windtunnel run`: one scenario, one answer, and a report under `--out`.

use super::Format;
use super::{Changes, CliError, Colour, Exit};
use crate::run::Control;
use crate::run::outcome::{Outcome, Verdict};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windtunnel run scenarios/quickstart.json
  windtunnel run scenarios/quickstart.json --seed 0x2a --out report
  windtunnel run scenarios/quickstart.json --set duration=10m --format json

Ctrl-C ends the run early and still reports what was found, as unknown.", after_long_help = help())]
pub(super) struct Args {
    /// The scenario file
    scenario: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Also write the report into this folder: summary.json, answer.txt, the charts, the scenario as it was understood
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What standard output gets: the answer for people, or summary.json
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// No progress and no remarks on standard error
    #[arg(short, long)]
    quiet: bool,
    /// Colour the answer; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
}

fn help() -> String {
    let examples = "\
Examples:
  windtunnel run scenarios/quickstart.json
  windtunnel run scenarios/quickstart.json --seed 0x2a --out report
  windtunnel run scenarios/quickstart.json --set duration=10m --format json

Ctrl-C ends the run early and still reports what was found, as unknown.";
    format!("{examples}\n\n{}", super::EXIT_CODES)
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let loaded = super::load(&args.scenario, &args.changes)?;
    // Said before the run, not after an hour of it.
    if let Some(out) = args.out.as_ref().filter(|out| out.exists() && !out.is_dir()) {
        return Err(CliError::OutIsNoFolder { path: out.display().to_string() });
    }
    let stop = super::interrupt::watch()?;
    let name = args.scenario.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
    let meter = super::progress::Meter::new(&name, args.quiet);
    let control = Control { stop, progress: Some(&|at| meter.tick(at)) };
    let mut outcome = super::run_loaded(&args.scenario, &loaded, &args.changes, &control);
    meter.done();
    unknown_if_interrupted(&mut outcome);

    // The report first: it must not be lost to a closed pipe.
    let written = match &args.out {
        Some(out) => crate::report::write_all(&outcome, out, &loaded.resolved),
        None => Ok(Vec::new()),
    };
    super::print(&match args.format {
        Format::Text => crate::report::console::render(&outcome, args.color.wanted()),
        Format::Json => crate::report::json::summary(&outcome),
    })?;
    for path in written? {
        if !args.quiet {
            super::remark(&format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::of(outcome.verdict))
}

/// What was expected of the whole run cannot be judged from a part of it; a broken law is broken all the same.
fn unknown_if_interrupted(outcome: &mut Outcome) {
    if outcome.header.interrupted && outcome.laws.iter().all(|l| l.verdict != Verdict::Fail) {
        outcome.verdict = Verdict::Unknown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn an_interrupted_run_is_unknown_unless_a_law_is_broken() {
        let mut outcome = sample::broker_freeze();
        outcome.header.interrupted = true;
        unknown_if_interrupted(&mut outcome);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(
            crate::report::console::render(&outcome, false)
                .contains("UNKNOWN  expectations: 1 of 3 broken; laws: 3 of 3 hold; stopped from outside")
        );
        outcome.laws[0].verdict = Verdict::Fail;
        outcome.verdict = Verdict::Fail;
        unknown_if_interrupted(&mut outcome);
        assert_eq!(Exit::of(outcome.verdict), Exit::Fail);
    }
}
