//! `windtunnel fidelity`: simulated runs held against runs of a real cluster, figure by figure, and a page that shows it.
//!
//! An experiment is compared when there are live runs `EXPERIMENT.REPETITION.json`; its scenario is `EXPERIMENT.json`, or is made from what the runs say of
//! their set-up. What cannot be compared is named with the reason, so that nothing is left out silently.

use super::Format;
use super::{Changes, CliError, Exit};
use crate::explore::fidelity::judge::{Comparison, Difference};
use crate::explore::fidelity::live::{self, Live};
use crate::explore::fidelity::{self, EXTREMES, Experiment};
use crate::explore::runs::{Crew, MOST_SEEDS};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  windtunnel fidelity
  windtunnel fidelity --seeds 20 --out reports/fidelity.md
  windtunnel fidelity --scenarios my/scenarios --live my/runs --format json";

/// Known differences stand in this file beside the live runs.
const DIFFERENCES: &str = "differences.json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", super::EXIT_CODES))]
pub(super) struct Args {
    /// The folder of the scenarios, one an experiment
    #[arg(long, value_name = "DIR", default_value = "scenarios/live")]
    scenarios: PathBuf,
    /// The folder of the live runs
    #[arg(long, value_name = "DIR", default_value = "tests/live")]
    live: PathBuf,
    /// How many seeds each figure is held against; rows outside are held against five times as many
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MOST_SEEDS / EXTREMES as u64))]
    seeds: u64,
    /// Threads; what is printed does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = super::seeds::jobs)]
    jobs: Option<usize>,
    /// What standard output gets: the page for people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the page into this file; standard output then has its opening only
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
    /// No progress and no remarks on standard error
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let scenarios = scenarios(&args.scenarios)?;
    let lives = live::load_all(&args.live)?;
    let differences = differences(&args.live.join(DIFFERENCES))?;
    if let Some(out) = args.out.as_ref().filter(|out| out.is_dir()) {
        let source = std::io::Error::other("a folder has this name");
        return Err(CliError::Out { path: out.display().to_string(), source });
    }
    let mut not_compared: Vec<(String, String)> = Vec::new();
    for name in scenarios.keys().filter(|name| !lives.contains_key(*name)) {
        not_compared.push((name.clone(), "there is a scenario, but no live run of this name".to_owned()));
    }
    let mut experiments = Vec::new();
    let steady = steady(&scenarios);
    for (name, lives) in lives {
        match scenarios.get(&name) {
            Some(path) => experiments.push(experiment(name, path, lives)?),
            None => match derived(&name, &lives, steady.as_ref()) {
                Ok(set_ups) => {
                    if !args.quiet {
                        super::remark(&format!("{name}: there is no scenario of this name; set up as its runs say"));
                    }
                    experiments.push(Experiment { name, set_ups, lives });
                }
                Err(why) => {
                    not_compared.push((name, format!("there is no scenario of this name: {why}")));
                }
            },
        }
    }
    not_compared.sort();
    let crew = Crew::new(args.jobs)?;
    let stop = super::interrupt::watch()?;
    let seeds = args.seeds as usize;
    let bar = super::progress::Runs::new("fidelity", seeds, args.quiet);
    let compared = fidelity::compare(&experiments, &crew, seeds, stop, &|name, done| bar.tick_of(name, done));
    bar.done();
    let Some(mut comparison) = compared else {
        super::remark("stopped: a part of the comparison says nothing, so none is printed");
        return Ok(Exit::Unknown);
    };
    comparison.not_compared = not_compared;
    for idle in comparison.list(&differences) {
        super::remark(&format!("{DIFFERENCES}: {} {} names no row; take the entry out", idle.experiment, idle.figure));
    }
    answer(args, &comparison)?;
    Ok(if comparison.judge().broken.is_empty() { Exit::Pass } else { Exit::Fail })
}

fn answer(args: &Args, comparison: &Comparison) -> Result<(), CliError> {
    use crate::report::fidelity::{json, opening, page};
    if let Some(out) = &args.out {
        let failed = |source| CliError::Out { path: out.display().to_string(), source };
        std::fs::write(out, page(comparison)).map_err(failed)?;
        if !args.quiet {
            super::remark(&format!("wrote {}", out.display()));
        }
    }
    super::print(&match (args.format, &args.out) {
        (Format::Json, _) => json(comparison),
        (Format::Text, Some(_)) => opening(comparison),
        (Format::Text, None) => page(comparison),
    })
}

/// Scenario files by their stem.
fn scenarios(dir: &Path) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let path = dir.display().to_string();
    let failed = |source| CliError::Folder { path: path.clone(), source };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
        if let Some(stem) = stem.filter(|_| file.extension().is_some_and(|e| e == "json") && file.is_file()) {
            found.insert(stem, file);
        }
    }
    match found.is_empty() {
        true => Err(CliError::Folder { path, source: std::io::Error::other("it holds no scenario files (*.json)") }),
        false => Ok(found),
    }
}

fn experiment(name: String, path: &Path, lives: Vec<Live>) -> Result<Experiment, CliError> {
    let base = super::load(path, &Changes::default())?;
    let mut set_ups = Vec::new();
    for live in &lives {
        let set = fidelity::changes(live, &base)?;
        let set_up = super::load(path, &Changes { set, ..Changes::default() });
        set_ups.push(set_up.map_err(|e| CliError::Usage(format!("as {} was set up: {e}", live.path)))?);
    }
    Ok(Experiment { name, set_ups, lives })
}

/// An experiment that nobody has written a scenario for: each of its runs says how it was set up.
fn derived(name: &str, lives: &[Live], steady: Option<&serde_json::Value>) -> Result<Vec<crate::scenario::Loaded>, String> {
    let steady = steady.ok_or_else(|| format!("{}.json, which says how fast the machine is, is not there", fidelity::STEADY))?;
    let read = |text: &str, changes: &Changes| {
        let parsed = crate::scenario::parse(name, text, &changes.overrides(), &crate::scenario::Known::default());
        parsed.map_err(|errors| errors.to_string().trim_end().to_owned())
    };
    let mut set_ups = Vec::new();
    for live in lives {
        let text = fidelity::set_up::scenario(live, steady)?;
        let base = read(&text, &Changes::default())?;
        let set = fidelity::changes(live, &base).map_err(|e| e.to_string())?;
        set_ups.push(read(&text, &Changes { set, ..Changes::default() })?);
    }
    Ok(set_ups)
}

/// What the scenario of the steady run says, if it is among them.
fn steady(scenarios: &BTreeMap<String, PathBuf>) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(scenarios.get(fidelity::STEADY)?).ok()?;
    serde_json::from_str(&text).ok()
}

/// Known differences; a folder without the file has none.
fn differences(path: &Path) -> Result<Vec<Difference>, CliError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| {
            CliError::Usage(format!(
                "{name}: is not a list of known differences: {e}; expected [{{\"experiment\": …, \"figure\": …, \"missing\": …}}]"
            ))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(CliError::Usage(format!("{name}: cannot be read: {e}; make it readable or take it away"))),
    }
}
