//! Scenario files: what a run is, written by hand.
//!
//! A file is JSON whose keys are spelled as RocketMQ spells them where RocketMQ has them. It is read into a tree that keeps positions
//! ([`tree`]), edited by `--set`, decoded by tables of keys into [`Spec`], and printed back with every default visible. Mistakes are
//! collected and point at the line, with what was expected and the nearest valid name ([`ScenarioErrors`]).
//!
//! Reading order: `keys` (every structural key), `fields` (how an object is read by them), `decode` (the whole), then a file a section.

mod clients;
mod consumers;
mod decode;
mod error;
mod expect;
mod faults;
mod fields;
mod keys;
mod limits;
mod links;
mod nodes;
mod producers;
pub mod schema;
mod set;
pub mod suggest;
mod targets;
mod topics;
pub mod tree;
mod values;

#[cfg(test)]
mod tests;

pub use decode::FORMAT;
pub use error::{At, Problem, ScenarioError, ScenarioErrors};

use crate::world::spec::{AllocateMessageQueueStrategy, Spec};
use fields::Ctx;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// An allocation strategy from outside, if there is one.
type CustomStrategy = Option<Arc<dyn AllocateMessageQueueStrategy>>;

/// What a command line changes in a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub seed: Option<u64>,
    pub tie_seed: Option<u64>,
    pub max_events: Option<u64>,
    /// `key=value`, see [`load`].
    pub set: Vec<String>,
}

impl Overrides {
    /// The arguments that say the same, for the command that repeats a run: "--seed 7", "--set duration=2m".
    pub fn arguments(&self) -> Vec<String> {
        set::arguments(self)
    }
}

/// What a scenario may name that is known elsewhere.
#[derive(Clone, Default)]
pub struct Known<'a> {
    /// Counters that expectations may name; `None`: any name goes.
    pub counters: Option<&'a [&'a str]>,
    /// Those of them that are times, whose bounds are durations; empty: nobody knows.
    pub times: &'a [&'a str],
    /// Allocation strategies that the calling program brings, by the name that `allocateMessageQueueStrategy` gives.
    pub strategies: &'a [(&'a str, Arc<dyn AllocateMessageQueueStrategy>)],
}

impl fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategies: Vec<_> = self.strategies.iter().map(|s| s.0).collect();
        f.debug_struct("Known").field("counters", &self.counters).field("strategies", &strategies).finish()
    }
}

/// A scenario that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub spec: Spec,
    /// The scenario after all changes, as a scenario file with every default visible; it loads to the same [`Spec`].
    pub resolved: String,
    /// Where it asks for what this build does not do; `world::unbuilt` says the same of a [`Spec`] that no file made.
    pub unbuilt: Option<ScenarioErrors>,
}

/// Reads a scenario file and changes it as the command line says.
///
/// `--set` takes `key=value`; a key is a path such as `duration`, `producers[0].rate`, `consumers.cg.pullBatchSize` or `brokers.*.cpus`,
/// a value is JSON or plain text, and `null` takes the key out.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, ScenarioErrors> {
    load_with(path, overrides, &Known::default())
}

/// [`load`], where the counters and strategies are known.
pub fn load_with(path: &Path, overrides: &Overrides, known: &Known<'_>) -> Result<Loaded, ScenarioErrors> {
    let file = path.display().to_string();
    let bytes = read(path).map_err(|e| {
        let error = ScenarioError::new(Problem::Unreadable, format!("the file cannot be read: {e}"));
        ScenarioErrors::one(&file, error)
    })?;
    if bytes.len() > tree::MAX_SIZE {
        let error = ScenarioError::new(Problem::Unreadable, "the file is too large for a scenario");
        return Err(ScenarioErrors::one(&file, error.expected(format!("at most {} MiB", tree::MAX_SIZE >> 20))));
    }
    let text = tree::utf8(&bytes).map_err(|error| ScenarioErrors::one(&file, *error))?;
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    parse_named(&file, &stem, text, overrides, known)
}

/// At most one byte more than is accepted, so that no file is too large to be refused.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(tree::MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A scenario from text, for programs; `name` is what reports and errors call it.
pub fn parse(name: &str, text: &str, overrides: &Overrides, known: &Known<'_>) -> Result<Loaded, ScenarioErrors> {
    parse_named(name, name, text, overrides, known)
}

fn parse_named(file: &str, name: &str, text: &str, overrides: &Overrides, known: &Known<'_>) -> Result<Loaded, ScenarioErrors> {
    let mut tree = tree::parse(text).map_err(|errors| ScenarioErrors::sorted(file, errors, 0))?;
    let errors = set::apply(&mut tree, overrides);
    if !errors.is_empty() {
        return Err(ScenarioErrors::sorted(file, errors, 0));
    }
    let arguments = overrides.arguments();
    let ctx = Ctx::new(known, &arguments);
    let decoded = decode::decode(&ctx, &tree, name);
    let (errors, more, unbuilt) = ctx.into_errors();
    match decoded {
        Some((spec, resolved)) if errors.is_empty() => {
            let unbuilt = (!unbuilt.is_empty()).then(|| ScenarioErrors::sorted(file, unbuilt, 0));
            Ok(Loaded { spec, resolved: resolved.to_json(), unbuilt })
        }
        _ if errors.is_empty() => {
            Err(ScenarioErrors::one(file, ScenarioError::new(Problem::Conflict, "the scenario could not be resolved")))
        }
        _ => Err(ScenarioErrors::sorted(file, errors, more)),
    }
}
