//! A progress bar on standard error for runs that take long enough to make somebody wonder.

use crate::run::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Shorter runs show nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows itself once a run has lasted; shows nothing where nobody is looking.
pub(super) struct Meter {
    began: Instant,
    wanted: bool,
    what: String,
    bar: OnceLock<ProgressBar>,
}

impl Meter {
    #[allow(clippy::disallowed_methods, reason = "times the display of this command, not anything in a run")]
    pub(super) fn new(what: &str, quiet: bool) -> Meter {
        let wanted = !quiet && std::io::stderr().is_terminal();
        Meter { began: Instant::now(), wanted, what: what.to_owned(), bar: OnceLock::new() }
    }

    /// A run reports where it is.
    pub(super) fn tick(&self, at: Progress) {
        if !self.wanted || self.began.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(Some(at.total_ns), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix}  [{bar:30}] {percent:>3} %  {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_prefix(self.what.clone())
        });
        bar.set_length(at.total_ns);
        bar.set_position(at.simulated_ns.min(at.total_ns));
        let wall = self.began.elapsed().as_secs_f64();
        let simulated = at.simulated_ns as f64 / 1e9;
        bar.set_message(format!("{simulated:.0} s simulated, {:.0} times real time, {} events", simulated / wall, at.events));
    }

    /// Takes the bar off the screen.
    pub(super) fn done(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

/// How many of many runs are done.
pub(super) struct Runs {
    began: Instant,
    wanted: bool,
    what: String,
    total: usize,
    bar: OnceLock<ProgressBar>,
}

impl Runs {
    #[allow(clippy::disallowed_methods, reason = "times the display of this command, not anything in a run")]
    pub(super) fn new(what: &str, total: usize, quiet: bool) -> Runs {
        let wanted = !quiet && std::io::stderr().is_terminal();
        Runs { began: Instant::now(), wanted, what: what.to_owned(), total, bar: OnceLock::new() }
    }

    /// A run is done, of one among several such ranges.
    pub(super) fn tick_of(&self, what: &str, done: usize) {
        self.tick(done);
        if let Some(bar) = self.bar.get() {
            // Further seeds where the first were not enough.
            bar.set_length(self.total.max(done) as u64);
            bar.set_prefix(format!("{}: {what}", self.what));
        }
    }

    /// A run is done; called from any thread.
    pub(super) fn tick(&self, done: usize) {
        if !self.wanted || self.began.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(Some(self.total as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix}  [{bar:30}] {pos}/{len} runs  {eta} left") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_prefix(self.what.clone())
        });
        bar.set_position(done as u64);
    }

    /// Takes the bar off the screen.
    pub(super) fn done(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
