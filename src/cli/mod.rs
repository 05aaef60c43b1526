//! The command: one file a subcommand, and what they share: exit codes, streams, colour, interruption.
//!
//! Data goes to standard output and nothing else does; progress and remarks go to standard error. This is the only room that may ask the
//! environment or the clock of the machine, and only to decide how things look: neither reaches a run.

mod allocate;
mod check;
mod durability;
mod fidelity;
mod interrupt;
mod list;
mod progress;
mod run;
mod seeds;
mod verify;

use crate::run::outcome::Verdict;
use clap::{Parser, Subcommand, ValueEnum};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// What the shell is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    Pass = 0,
    Fail = 1,
    /// The scenario or the command is wrong, or a result could not be written.
    Wrong = 2,
    Unknown = 3,
    NotDeterministic = 4,
}

impl Exit {
    fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::Fail => Exit::Fail,
            Verdict::Unknown => Exit::Unknown,
        }
    }
}

/// What ends a command before it has an answer.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// Already names file, line, column and remedy.
    #[error("{0}")]
    Scenario(String),
    #[error("{0}")]
    Report(#[from] crate::report::ReportError),
    #[error("cannot write the answer to standard output: {0}; send it elsewhere, or write a report with --out")]
    Output(std::io::Error),
    #[error("{path}: is not a folder, so no report can be written there; name another with --out")]
    OutIsNoFolder { path: String },
    #[error(
        "{path}: cannot list this folder: {source}; give the folder that holds the scenarios, as in: windtunnel list scenarios"
    )]
    List { path: String, source: std::io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{path}: cannot take scenarios from this folder: {source}; give the one that holds them with --scenarios")]
    Folder { path: String, source: std::io::Error },
    #[error("{0}")]
    Live(#[from] crate::explore::fidelity::live::LiveError),
    #[error("{0}")]
    SetUp(#[from] crate::explore::fidelity::SetUpError),
    #[error("{path}: cannot be written: {source}; name another file with --out")]
    Out { path: String, source: std::io::Error },
    #[error("{0}")]
    Threads(#[from] crate::explore::runs::ThreadsError),
    #[error("cannot listen for Ctrl-C: {0}; run again, the report of an interrupted run would otherwise be lost")]
    Interrupt(#[from] ctrlc::Error),
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (models RocketMQ 4.9.8 unless a scenario says otherwise)");

const EXIT_CODES: &str = "\
Exit codes:
  0  every expectation and law holds (seeds: under every seed; verify: every run agrees)
  1  an expectation or a law is broken (fidelity: a rule of the comparison)
  2  the scenario or the command is wrong, or a result could not be written
  3  unknown: a check had nothing to compare, or the run was stopped from outside
  4  not deterministic (verify)";

const EXAMPLES: &str = "\
Examples:
  windtunnel run scenarios/quickstart.json
  windtunnel run scenarios/quickstart.json --seed 0x2a --set duration=10m --out report
  windtunnel seeds scenarios/quickstart.json --seeds 1..200
  windtunnel durability --out report
  windtunnel verify scenarios/*.json
  windtunnel allocate --queues 8 --consumers 3 --strategy all";

/// A wind tunnel for RocketMQ clusters.
#[derive(Debug, Parser)]
#[command(
    name = "windtunnel",
    version = VERSION,
    about = "Runs a RocketMQ cluster under faults in simulated time, and says what was lost, doubled, reordered or late, and why",
    long_about = "Runs a RocketMQ cluster of nameservers, brokers, producers and consumers under faults, in simulated time, and says what \
                  was lost, doubled, reordered or late, and why. A scenario file says what runs and what strikes; the scenario and one seed \
                  fix everything, byte for byte.",
    after_help = EXAMPLES,
    after_long_help = examples_and_codes(),
    subcommand_required = true,
    arg_required_else_help = true,
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn examples_and_codes() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}")
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and print the answer
    Run(run::Args),
    /// Run a scenario under many seeds, on all cores, and print the distribution of every figure
    Seeds(seeds::Args),
    /// Show what settings of flush and replication lose under which fault, as a matrix
    Durability(durability::Args),
    /// Hold simulated runs against runs of a real cluster, figure by figure
    Fidelity(fidelity::Args),
    /// Run scenarios several times, in turn and in threads, and compare them byte for byte
    Verify(verify::Args),
    /// Decode and check scenario files without running them
    Check(check::Args),
    /// List scenarios with the question each one asks
    List(list::Args),
    /// Show which consumer gets which queues under a strategy, and what moves when one joins or leaves
    Allocate(allocate::Args),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => dispatch(&cli.command),
        Err(error) => {
            // Help and versions are asked for and go to standard output; a reader who left has seen enough.
            _ = error.print();
            if error.use_stderr() { Exit::Wrong } else { Exit::Pass }
        }
    };
    ExitCode::from(exit as u8)
}

fn dispatch(command: &Command) -> Exit {
    let done = match command {
        Command::Run(args) => run::run(args),
        Command::Seeds(args) => seeds::run(args),
        Command::Durability(args) => durability::run(args),
        Command::Fidelity(args) => fidelity::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Check(args) => check::run(args),
        Command::List(args) => list::run(args),
        Command::Allocate(args) => allocate::run(args),
    };
    done.unwrap_or_else(|error| {
        complain(&error.to_string());
        Exit::Wrong
    })
}

/// Prints data. A reader that closed the pipe wants no more of it: that is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(e)),
        _ => Ok(()),
    }
}

/// A remark on standard error; if even that is closed there is nobody to tell.
fn remark(text: &str) {
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error on standard error.
fn complain(text: &str) {
    remark(&format!("error: {text}"));
}

/// What standard output gets: an answer for people, or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Whether standard output gets colour, here and now.
    fn wanted(self) -> bool {
        self.decide(variable("CLICOLOR_FORCE"), variable("NO_COLOR"), variable("CLICOLOR"), std::io::stdout().is_terminal())
    }

    /// `CLICOLOR_FORCE` before the flag, the flag before `NO_COLOR` and `CLICOLOR=0`, these before whether somebody is looking.
    fn decide(self, force: Option<String>, no_color: Option<String>, clicolor: Option<String>, terminal: bool) -> bool {
        let set = |v: &Option<String>| v.as_deref().is_some_and(|v| !v.is_empty());
        match self {
            _ if set(&force) && force.as_deref() != Some("0") => true,
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !set(&no_color) && clicolor.as_deref() != Some("0") && terminal,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "decides only how an answer looks on the console, never what it says")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A whole number, decimal or hexadecimal, with `_` between digits if one likes.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16),
        Some(_) => return Err("expected a number such as 42 or 0x2a".to_owned()),
        None if digits.starts_with('+') => return Err("expected a number such as 42 or 0x2a".to_owned()),
        None => digits.parse(),
    };
    parsed.map_err(|e| format!("{e}; expected a number from 0 to {} such as 42 or 0x2a", u64::MAX))
}

/// `key=value`.
fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected key=value, such as duration=10m".to_owned()),
    }
}

/// What the command line changes about a scenario.
#[derive(Clone, Debug, Default, clap::Args)]
struct Changes {
    /// The seed that fixes every draw, decimal or 0x hexadecimal, instead of the scenario's
    #[arg(long, value_name = "N", value_parser = number)]
    seed: Option<u64>,
    /// Change one value of the scenario; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<String>,
    /// Permute events that fall on one instant: an answer that changes depends on a race
    #[arg(long, value_name = "N", value_parser = number)]
    tie_seed: Option<u64>,
    /// End the run as unknown past this many events
    #[arg(long, value_name = "N", value_parser = number)]
    max_events: Option<u64>,
}

impl Changes {
    fn overrides(&self) -> crate::scenario::Overrides {
        crate::scenario::Overrides {
            seed: self.seed,
            tie_seed: self.tie_seed,
            max_events: self.max_events,
            set: self.set.clone(),
        }
    }

    /// As arguments of a command that repeats the run. The seed is always named: the scenario's own may be edited later.
    fn arguments(&self, seed: u64) -> Vec<String> {
        let mut out = vec![format!("--seed {seed}")];
        out.extend(self.tie_seed.map(|n| format!("--tie-seed {n}")));
        out.extend(self.max_events.map(|n| format!("--max-events {n}")));
        out.extend(self.set.iter().map(|s| format!("--set {}", crate::report::shell_quote(s))));
        out
    }
}

fn load(path: &Path, changes: &Changes) -> Result<crate::scenario::Loaded, CliError> {
    let counters: Vec<&str> = crate::meter::known_counters().iter().map(|c| c.name).collect();
    use crate::run::outcome::Unit;
    let times = crate::meter::known_counters().iter().filter(|c| matches!(c.unit, Unit::Duration | Unit::QueueTime));
    let times: Vec<&str> = times.map(|c| c.name).collect();
    let known = crate::scenario::Known { counters: Some(&counters), times: &times, ..Default::default() };
    let loaded = crate::scenario::load_with(path, &changes.overrides(), &known)
        .map_err(|errors| CliError::Scenario(errors.to_string().trim_end().to_owned()))?;
    if let Some(unbuilt) = &loaded.unbuilt {
        return Err(CliError::Scenario(unbuilt.to_string().trim_end().to_owned()));
    }
    let missing = crate::world::unbuilt::missing(&loaded.spec);
    if missing.is_empty() {
        return Ok(loaded);
    }
    let lines: Vec<String> = missing.iter().map(|what| format!("{}: {what}", path.display())).collect();
    Err(CliError::Scenario(lines.join("\n")))
}

/// Runs and says in the outcome which command it was.
fn run_loaded(
    path: &Path,
    loaded: &crate::scenario::Loaded,
    changes: &Changes,
    control: &crate::run::Control<'_>,
) -> crate::run::outcome::Outcome {
    let mut outcome = crate::run::run(&loaded.spec, control);
    outcome.header.path = path.display().to_string();
    outcome.header.arguments = changes.arguments(outcome.header.seed);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert!(VERSION.contains(&crate::rocketmq::settings::Version::V4_9_8.to_string()));
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        assert!(help.contains("Exit codes:") && help.contains("windtunnel verify"), "{help}");
    }

    /// Nobody meets a counter's name without what it says; and no words are left of a counter that is gone.
    #[test]
    fn every_counter_has_words() {
        let counters: Vec<&str> = crate::meter::known_counters().iter().map(|c| c.name).collect();
        assert_eq!(crate::report::words::names().collect::<Vec<_>>(), counters, "in the table's order");
        assert!(counters.iter().all(|name| !crate::report::words::words(name).is_empty()));
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, n) in [("7", 7), ("0x2A", 42), ("0X2a", 42), ("1_000", 1000), ("18446744073709551615", u64::MAX)] {
            assert_eq!(number(text), Ok(n), "{text}");
        }
        for text in ["", "-1", "x", "0x", "1.5", "+1", "0x+1", "18446744073709551616"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn force_beats_flag_beats_no_color_beats_terminal() {
        let v = |s: &str| Some(s.to_owned());
        assert!(Colour::Never.decide(v("1"), v("1"), v("0"), false));
        assert!(!Colour::Never.decide(v("0"), None, None, true));
        assert!(Colour::Always.decide(None, v("1"), None, false));
        assert!(!Colour::Auto.decide(None, v("1"), None, true));
        assert!(!Colour::Auto.decide(None, None, v("0"), true));
        assert!(Colour::Auto.decide(v(""), v(""), None, true));
        assert!(!Colour::Auto.decide(None, None, None, false));
    }

    #[test]
    fn the_repeat_arguments_name_what_was_changed() {
        let changes = Changes { seed: None, set: vec!["a=b c".into()], tie_seed: Some(3), max_events: None };
        assert_eq!(changes.arguments(9).join(" "), "--seed 9 --tie-seed 3 --set 'a=b c'");
        assert!(assignment("novalue").is_err() && assignment("=x").is_err() && assignment("a=").is_ok());
    }
}
