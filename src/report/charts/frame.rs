//! What every chart over time shares: the title, the time axis, and the faults, as labelled bars above the plot and grey bands through it.

use super::canvas::{Anchor, Canvas, Ink, fitted, text_width, wrapped_bold};
use crate::report::text;
use crate::run::outcome::Outcome;

/// Width of all charts.
pub(super) const WIDTH: i32 = 1200;
/// Size of ordinary text.
pub(super) const SMALL: u32 = 12;
const TITLE: u32 = 17;
const LINE: i32 = 22;
const FAULT_ROW: i32 = 18;
/// Rows of fault labels; what does not find a place in them is only counted.
const FAULT_ROWS: usize = 5;
/// The grey of Jepsen's fault periods, a little lighter for labels to stand on.
const BAND: Ink = Ink(0xCC, 0xCC, 0xCC, 0.45);
const BAR: Ink = Ink(0xB4, 0xB4, 0xB4, 1.0);

/// The window of time that a chart shows, and where it lies on the sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub from: f64,
    pub until: f64,
    pub left: i32,
    pub right: i32,
}

impl Time {
    /// From time 0 (or the first fault, when one comes earlier) to the end of the run; at least a second.
    pub(super) fn of(outcome: &Outcome, left: i32, right: i32) -> Time {
        let h = &outcome.header;
        let first_fault = outcome.faults.iter().map(|f| f.from_s).filter(|t| t.is_finite()).fold(0.0, f64::min);
        let begin = -(h.zero as f64) / 1e9;
        let from = first_fault.max(begin).min(0.0);
        let until = crate::base::time::seconds(h.end, h.zero).max(from + 1.0);
        Time { from, until, left, right }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.until - self.from
    }

    /// The pixel of a moment, inside the plot.
    pub(super) fn x(&self, t: f64) -> i32 {
        let share = ((t - self.from) / self.seconds()).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        self.left + (share * f64::from(self.right - self.left)).round() as i32
    }

    pub(super) fn contains(&self, t: f64) -> bool {
        t >= self.from && t <= self.until
    }

    /// The axis under a plot with its grid lines, down to `bottom`.
    pub(super) fn draw_axis(&self, c: &mut Canvas<'_>, top: i32, bottom: i32) {
        self.draw_axis_of("seconds from time 0, the first measured send", c, top, bottom);
    }

    /// The same for times that are counted from something else.
    pub(super) fn draw_axis_of(&self, what: &str, c: &mut Canvas<'_>, top: i32, bottom: i32) {
        let step = nice_step(self.seconds() / 12.0);
        let mut k = libm::ceil(self.from / step) as i64;
        while k as f64 * step <= self.until {
            let t = k as f64 * step;
            let x = self.x(t);
            c.line((x, top), (x, bottom), Ink::GRID, 1);
            c.line((x, bottom), (x, bottom + 4), Ink::GREY, 1);
            c.text(&tick(t, step), (x, bottom + 14), SMALL, Anchor::Middle, Ink::GREY);
            k += 1;
        }
        let middle = (self.left + self.right) / 2;
        c.text(what, (middle, bottom + 33), SMALL, Anchor::Middle, Ink::BLACK);
    }

    /// The dashed line at which the load ends and only what is owed is still delivered.
    /// Its label stands at `label_y`.
    pub(super) fn draw_load_end(&self, outcome: &Outcome, c: &mut Canvas<'_>, (top, bottom): (i32, i32), label_y: i32) {
        let h = &outcome.header;
        let t = crate::base::time::seconds(h.load_end, h.zero);
        if h.load_end > h.zero && h.load_end < h.end && self.contains(t) {
            let x = self.x(t);
            c.dashed_down(x, top, bottom, Ink::GREY);
            let (x, anchor) = if self.right - x > 80 { (x + 4, Anchor::Left) } else { (x - 4, Anchor::Right) };
            c.text("load ends", (x, label_y), 11, anchor, Ink::GREY);
        }
    }
}

fn tick(t: f64, step: f64) -> String {
    if step >= 1.0 { text::count(t.round() as i64) } else { text::plain(t, 1) }
}

/// The smallest comfortable step that is not below `least` seconds.
fn nice_step(least: f64) -> f64 {
    const STEPS: [f64; 18] =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];
    STEPS.into_iter().find(|s| *s >= least).unwrap_or_else(|| libm::ceil(least / 14_400.0) * 14_400.0)
}

/// A fault's periods under one label, and where its bars and its text lie above the plot.
struct FaultRow {
    label: String,
    /// From, until (`None`: it did not end), in seconds.
    periods: Vec<(f64, Option<f64>)>,
    /// The row above the plot; `None`: there was no room.
    lane: Option<usize>,
    text: String,
    at: i32,
    anchor: Anchor,
}

/// What stands above a plot: title, subtitle, legend room, fault rows. `legend_lines` lines are left free for the chart.
pub(super) struct Head {
    title: Vec<String>,
    rows: Vec<FaultRow>,
    lanes: usize,
    legend_lines: i32,
}

impl Head {
    pub(super) fn of(outcome: &Outcome, what: &str, legend_lines: i32, time: Time) -> Head {
        let h = &outcome.header;
        let question = if h.question.is_empty() { h.scenario.as_str() } else { h.question.as_str() };
        let title = if question.is_empty() { what.to_owned() } else { question.to_owned() };
        let mut rows: Vec<FaultRow> = Vec::new();
        for f in outcome.faults.iter().filter(|f| f.from_s.is_finite()) {
            let period = (f.from_s, f.until_s.filter(|u| u.is_finite()));
            match rows.iter_mut().find(|r| r.label == f.label) {
                Some(row) => row.periods.push(period),
                None => rows.push(FaultRow {
                    label: f.label.clone(),
                    periods: vec![period],
                    lane: None,
                    text: String::new(),
                    at: 0,
                    anchor: Anchor::Left,
                }),
            }
        }
        let lanes = place(&mut rows, time);
        Head { title: wrapped_bold(&title, TITLE, WIDTH - 48, 2), rows, lanes, legend_lines }
    }

    /// Title and legend of a chart whose time is not the run's.
    pub(super) fn plain(outcome: &Outcome, legend_lines: i32) -> Head {
        let h = &outcome.header;
        let title = if h.question.is_empty() { h.scenario.as_str() } else { h.question.as_str() };
        Head { title: wrapped_bold(title, TITLE, WIDTH - 48, 2), rows: Vec::new(), lanes: 0, legend_lines }
    }

    /// Fault labels that found no place.
    fn homeless(&self) -> usize {
        self.rows.iter().filter(|r| r.lane.is_none()).count()
    }

    fn strip_rows(&self) -> i32 {
        self.lanes as i32 + i32::from(self.homeless() > 0)
    }

    /// Height down to the plot.
    pub(super) fn height(&self) -> i32 {
        14 + self.title.len() as i32 * LINE + LINE - 4 + self.legend_lines * 20 + self.strip_rows() * FAULT_ROW + 10
    }

    /// Vertical middle of the legend's line.
    pub(super) fn legend_y(&self, line: i32) -> i32 {
        14 + self.title.len() as i32 * LINE + LINE - 4 + line * 20 + 8
    }

    /// Title, and a line that says which run this is.
    pub(super) fn draw_title(&self, outcome: &Outcome, what: &str, c: &mut Canvas<'_>, left: i32) {
        let mut y = 14 + LINE / 2;
        for line in &self.title {
            c.bold(line, (left, y), TITLE, Anchor::Left, Ink::BLACK);
            y += LINE;
        }
        let h = &outcome.header;
        let verdict = text::verdict(outcome.verdict);
        let run = format!("{what} · {} · RocketMQ {} · seed {} · {verdict}", h.scenario, h.rocketmq, h.seed);
        c.text(&fitted(&run, SMALL, WIDTH - left - 20), (left, y - 2), SMALL, Anchor::Left, Ink::GREY);
    }

    /// The grey bands, behind everything.
    pub(super) fn draw_bands(&self, c: &mut Canvas<'_>, time: Time, top: i32, bottom: i32) {
        for row in &self.rows {
            for period in &row.periods {
                let (x0, x1) = row.extent(time, *period);
                c.fill(x0, top, x1, bottom, BAND);
            }
        }
    }

    /// Where faults begin and end, over everything.
    pub(super) fn draw_edges(&self, c: &mut Canvas<'_>, time: Time, top: i32, bottom: i32) {
        let edges = self.rows.iter().flat_map(|row| {
            row.periods.iter().flat_map(|period| {
                let (x0, x1) = row.extent(time, *period);
                [Some(x0), period.1.map(|_| x1)]
            })
        });
        let mut edges: Vec<i32> = edges.flatten().filter(|x| *x < time.right).collect();
        edges.sort_unstable();
        edges.dedup();
        for x in edges {
            c.line((x, top), (x, bottom), Ink::BLACK.faint(0.45), 1);
        }
    }

    /// The labelled bars above the plot.
    pub(super) fn draw_strip(&self, c: &mut Canvas<'_>, time: Time, top: i32) {
        let first = top - 6 - self.strip_rows() * FAULT_ROW;
        for row in &self.rows {
            let Some(lane) = row.lane else { continue };
            let y = first + lane as i32 * FAULT_ROW;
            for period in &row.periods {
                let (x0, x1) = row.extent(time, *period);
                c.fill(x0, y + 2, x1.max(x0 + 3), y + FAULT_ROW - 2, BAR);
            }
            c.text(&row.text, (row.at, y + FAULT_ROW / 2), SMALL, row.anchor, Ink::BLACK);
        }
        if self.homeless() > 0 {
            let label = format!("… and {} more faults, as bands only", self.homeless());
            c.text(&label, (time.left, top - 6 - FAULT_ROW / 2), SMALL, Anchor::Left, Ink::GREY);
        }
    }
}

impl FaultRow {
    /// Where a period begins and ends. A fault that does not end by itself lasts to the end of the run, unless it was over as soon as it
    /// was done.
    fn extent(&self, time: Time, (from, until): (f64, Option<f64>)) -> (i32, i32) {
        let kind = self.label.split_whitespace().next().unwrap_or("");
        let moment = ["reset", "clock_step", "start", "restart", "rolling_restart", "promote", "update_topic"].contains(&kind);
        let x0 = time.x(from);
        let x1 = match until {
            Some(until) => time.x(until),
            None if moment => x0,
            None => time.right,
        };
        (x0, x1.max(x0))
    }
}

/// Gives each fault a row in which neither its bars nor its text touch another's, and places the text; says how many rows were used.
fn place(rows: &mut [FaultRow], time: Time) -> usize {
    // Right and left ends of what is taken, by lane.
    let mut lanes: Vec<Vec<(i32, i32)>> = Vec::new();
    for row in rows {
        let label = match row.periods.len() {
            1 => row.label.clone(),
            n => format!("{} ({n} times)", row.label),
        };
        let bars: Vec<(i32, i32)> = row.periods.iter().map(|p| row.extent(time, *p)).collect();
        let (left, right) = bars.iter().fold((time.right, time.left), |(a, b), (x0, x1)| (a.min(*x0), b.max(x0 + 3).max(*x1)));
        let (x0, x1) = bars.first().copied().unwrap_or((left, right));
        let width = text_width(&label, SMALL);
        let (before, behind) = (left - time.left - 8, time.right - right - 8);
        // Inside its bar if that is long enough, else behind the last bar, else before the first.
        let (taken, text, at, anchor) = if x1 - x0 >= width + 8 {
            ((left, right), label, x0 + 5, Anchor::Left)
        } else if behind >= width || behind >= before {
            ((left, right + 8 + width.min(behind)), fitted(&label, SMALL, behind), right + 5, Anchor::Left)
        } else {
            ((left - 8 - width.min(before), right), fitted(&label, SMALL, before), left - 5, Anchor::Right)
        };
        let free = |lane: &Vec<(i32, i32)>| lane.iter().all(|(a, b)| taken.1 + 10 < *a || taken.0 > *b + 10);
        row.lane = lanes.iter().position(free);
        if row.lane.is_none() && lanes.len() < FAULT_ROWS {
            row.lane = Some(lanes.len());
            lanes.push(Vec::new());
        }
        if let Some(lane) = row.lane.and_then(|i| lanes.get_mut(i)) {
            lane.push(taken);
        }
        (row.text, row.at, row.anchor) = (text, at, anchor);
    }
    lanes.len()
}

/// Draws itself into a box: left, top, right, bottom.
pub(super) type Mark<'k> = dyn Fn(&mut Canvas<'_>, (i32, i32, i32, i32)) + 'k;

/// A piece of a legend: a mark that is drawn into a box, and what it means.
pub(super) struct Key<'k> {
    pub label: String,
    pub mark: Box<Mark<'k>>,
}

/// Width of a legend mark.
const MARK: i32 = 22;

/// How the keys break into lines of the given width: the number of keys in each line.
pub(super) fn legend_lines(keys: &[Key<'_>], width: i32) -> Vec<usize> {
    let mut lines = vec![0usize];
    let mut x = 0;
    for key in keys {
        let w = MARK + 6 + text_width(&key.label, SMALL) + 18;
        if x > 0 && x + w > width {
            lines.push(0);
            x = 0;
        }
        x += w;
        if let Some(last) = lines.last_mut() {
            *last += 1;
        }
    }
    lines.retain(|n| *n > 0);
    lines
}

/// Draws the keys from `left`, in the lines that [`legend_lines`] gives for the same width.
pub(super) fn draw_legend(c: &mut Canvas<'_>, keys: &[Key<'_>], head: &Head, left: i32, width: i32) {
    let mut keys = keys.iter();
    let all: Vec<usize> = legend_lines(keys.as_slice(), width);
    for (line, n) in all.into_iter().enumerate() {
        let (mut x, y) = (left, head.legend_y(line as i32));
        for key in keys.by_ref().take(n) {
            (key.mark)(c, (x, y - 6, x + MARK, y + 6));
            c.text(&key.label, (x + MARK + 6, y), SMALL, Anchor::Left, Ink::BLACK);
            x += MARK + 6 + text_width(&key.label, SMALL) + 18;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (least, step) in [(0.01, 0.1), (0.9, 1.0), (25.0, 30.0), (61.0, 120.0), (8000.0, 14_400.0), (20_000.0, 28_800.0)] {
            assert_eq!(nice_step(least), step, "{least}");
        }
    }

    #[test]
    fn a_run_of_no_length_still_has_an_axis() {
        let time = Time::of(&crate::report::sample::nothing(), 100, 1100);
        assert_eq!((time.x(0.0), time.x(1.0), time.x(f64::NAN), time.x(9e99)), (100, 1100, 100, 1100));
    }
}
