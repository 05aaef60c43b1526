//! Delivery latency over time: every delivery as a point on a log scale, quantiles a second, failed sends at the time they took, faults as
//! grey bands. It shows at a glance when messages were late, how late, and how long after the fault that lasted.

use super::canvas::{Anchor, Canvas, Ink, sheet};
use super::frame::{Head, Key, SMALL, Time, WIDTH, draw_legend, legend_lines};
use crate::report::text;
use crate::run::outcome::Outcome;
use std::collections::BTreeSet;

const HEIGHT: i32 = 520;
const LEFT: i32 = 84;
const RIGHT: i32 = 1176;
const BOTTOM: i32 = HEIGHT - 50;
const WHAT: &str = "Delivery latency";

/// Jepsen's colours, which people who test know: ok, info, fail.
const FIRST: Ink = Ink(0x81, 0xBF, 0xFC, 1.0);
const DUPLICATE: Ink = Ink(0xFF, 0xA4, 0x00, 1.0);
const FAILED: Ink = Ink(0xFF, 0x1E, 0x90, 1.0);
const P50: Ink = Ink(0x0B, 0x4F, 0x9C, 1.0);
const P99: Ink = Ink(0x5B, 0x21, 0x8F, 1.0);
const MAX: Ink = Ink(0x33, 0x33, 0x33, 0.6);
/// What may have been stored all the same, though the send failed.
const UNSURE: Ink = Ink(0xA0, 0x00, 0x60, 1.0);

/// Below a tenth of a millisecond nothing is told apart.
const FLOOR_MS: f64 = 0.1;
/// Points within one cell of this many pixels are one mark.
const CELL: i32 = 3;

/// The chart as SVG.
pub fn delivery_latency(outcome: &Outcome) -> String {
    let series = &outcome.series;
    let time = Time::of(outcome, LEFT, RIGHT);
    let usable = |(t, ms): (f64, f64)| time.contains(t) && ms.is_finite();
    let points = |class: u8| -> Vec<(f64, f64)> {
        series.deliveries.iter().filter(|d| d.2 == class).map(|d| (d.0, d.1)).filter(|p| usable(*p)).collect()
    };
    let sends = |class: u8| -> Vec<(f64, f64)> {
        series.sends.iter().filter(|d| d.2 == class).map(|d| (d.0, d.1)).filter(|p| usable(*p)).collect()
    };
    let (first, duplicates, unsure, failed) = (points(0), points(1), sends(1), sends(2));
    let window = window_s(time);
    let quantiles = windows(&series.delivery_quantiles, time, window);

    let values = [&first, &duplicates, &unsure, &failed].into_iter().flatten().map(|p| p.1);
    let values = values.chain(quantiles.iter().flat_map(|q| [q.1, q.2, q.3]));
    let range = values.fold(None, |range: Option<(f64, f64)>, v| {
        let v = v.max(FLOOR_MS);
        Some(range.map_or((v, v), |(a, b)| (a.min(v), b.max(v))))
    });

    let each = if window > 1.0 { format!("{} s", text::plain(window, 0)) } else { "second".to_owned() };
    // The keys say how a class will be drawn, and the room they take says where the plot begins: the scale that both need is made twice.
    let classes = |scale: &Log| {
        [
            ("first delivery", Points::of(&first, Mark::Box, FIRST, time, scale)),
            ("duplicate", Points::of(&duplicates, Mark::Dot, DUPLICATE, time, scale)),
            ("failed send, at the time it took", Points::of(&failed, Mark::Cross, FAILED, time, scale)),
            ("failed send that may be stored", Points::of(&unsure, Mark::Ring, UNSURE, time, scale)),
        ]
    };
    let keys_of = |scale: &Log| {
        let mut keys: Vec<Key<'static>> = Vec::new();
        for (label, points) in classes(scale).into_iter().filter(|(_, points)| !points.cells.is_empty()) {
            let (mark, ink) = (points.mark, points.ink);
            keys.push(Key { label: label.to_owned(), mark: Box::new(move |c, b| mark.draw_key(c, b, ink)) });
        }
        if !quantiles.is_empty() {
            for (label, ink, width) in
                [(format!("p50 of each {each}"), P50, 2), ("p99".to_owned(), P99, 2), ("max".to_owned(), MAX, 1)]
            {
                let mark = move |c: &mut Canvas<'_>, b: (i32, i32, i32, i32)| {
                    c.path(&[(b.0, middle(b).1), (b.2, middle(b).1)], ink, width)
                };
                keys.push(Key { label, mark: Box::new(mark) });
            }
        }
        keys
    };
    let (low, high) = range.unwrap_or((1.0, 10.0));
    let head_of = |keys: &[Key<'_>]| Head::of(outcome, WHAT, legend_lines(keys, RIGHT - LEFT).len() as i32, time);
    let top = head_of(&keys_of(&Log::around(low, high, 0, BOTTOM))).height();
    let scale = Log::around(low, high, top + 6, BOTTOM);
    let keys = keys_of(&scale);
    let head = head_of(&keys);
    sheet((WIDTH as u32, HEIGHT as u32), &format!("{WHAT}: {}", outcome.header.question), |c| {
        head.draw_title(outcome, WHAT, c, 24);
        draw_legend(c, &keys, &head, LEFT, RIGHT - LEFT);
        head.draw_bands(c, time, top, BOTTOM);
        time.draw_axis(c, top, BOTTOM);
        if range.is_none() {
            c.outline(LEFT, top, RIGHT, BOTTOM, Ink::LINE);
            head.draw_strip(c, time, top);
            let at = ((LEFT + RIGHT) / 2, (top + BOTTOM) / 2);
            c.text("nothing was delivered and no send failed", at, 15, Anchor::Middle, Ink::GREY);
            return;
        }
        scale.draw(c, top);
        for (_, points) in classes(&scale) {
            points.draw(c);
        }
        draw_line(c, &quantiles, |q| q.3, MAX, 1, (time, &scale, window));
        draw_line(c, &quantiles, |q| q.2, P99, 2, (time, &scale, window));
        draw_line(c, &quantiles, |q| q.1, P50, 2, (time, &scale, window));
        head.draw_edges(c, time, top, BOTTOM);
        time.draw_load_end(outcome, c, (top, BOTTOM), BOTTOM - 8);
        c.outline(LEFT, top, RIGHT, BOTTOM, Ink::GREY);
        head.draw_strip(c, time, top);
    })
}

fn middle(b: (i32, i32, i32, i32)) -> (i32, i32) {
    ((b.0 + b.2) / 2, (b.1 + b.3) / 2)
}

/// A logarithmic axis of milliseconds.
struct Log {
    low: f64,
    high: f64,
    top: i32,
    bottom: i32,
    /// Values that get a line and a label, and lines only.
    labelled: Vec<f64>,
    minor: Vec<f64>,
}

impl Log {
    /// Covers the values with room to spare: ends on 1, 2 or 5 times a power of ten, and spans at least two decades.
    fn around(low: f64, high: f64, top: i32, bottom: i32) -> Log {
        let grid: Vec<f64> = (-2..=12).flat_map(|d| [1.0, 2.0, 5.0].map(|m| m * libm::pow(10.0, f64::from(d)))).collect();
        let start = grid.iter().rev().copied().find(|g| *g <= low * 0.95).unwrap_or(0.01);
        let mut end = grid.iter().copied().find(|g| *g >= high * 1.1).unwrap_or(5e12);
        while end / start < 99.0 {
            end = grid.iter().copied().find(|g| *g > end * 1.01).unwrap_or(end * 10.0);
        }
        let inside = |g: &f64| *g >= start * 0.999 && *g <= end * 1.001;
        let powers: Vec<f64> = grid.iter().copied().step_by(3).filter(inside).collect();
        let minor: Vec<f64> = grid.iter().copied().filter(inside).filter(|g| !powers.contains(g)).collect();
        Log { low: libm::log10(start), high: libm::log10(end), top, bottom, labelled: powers, minor }
    }

    fn y(&self, ms: f64) -> i32 {
        let share = (libm::log10(ms.max(FLOOR_MS)) - self.low) / (self.high - self.low);
        self.bottom - (share.clamp(0.0, 1.0) * f64::from(self.bottom - self.top)).round() as i32
    }

    fn draw(&self, c: &mut Canvas<'_>, top: i32) {
        for ms in &self.minor {
            c.line((LEFT, self.y(*ms)), (RIGHT, self.y(*ms)), Ink::GRID.faint(0.6), 1);
        }
        for ms in &self.labelled {
            let y = self.y(*ms);
            c.line((LEFT, y), (RIGHT, y), Ink::LINE, 1);
            c.line((LEFT - 4, y), (LEFT, y), Ink::GREY, 1);
            c.text(&label(*ms), (LEFT - 8, y), SMALL, Anchor::Right, Ink::GREY);
        }
        c.text("latency", (LEFT - 8, top - 22), SMALL, Anchor::Right, Ink::BLACK);
        c.text("(log)", (LEFT - 8, top - 8), SMALL, Anchor::Right, Ink::BLACK);
    }
}

fn label(ms: f64) -> String {
    let tidy = |x: f64, unit: &str| {
        format!(
            "{} {unit}",
            if x < 1.0 { text::plain(x, 2).trim_end_matches('0').to_owned() } else { text::count(x.round() as i64) }
        )
    };
    if ms < 999.0 { tidy(ms, "ms") } else { tidy(ms / 1000.0, "s") }
}

/// How a class of points is drawn: a shape of its own while the points are few, boxes of its colour when they are many.
#[derive(Clone, Copy)]
enum Mark {
    Box,
    Dot,
    Ring,
    Cross,
}

/// Cells beyond this many become boxes.
const MANY: usize = 500;

impl Mark {
    fn draw(self, c: &mut Canvas<'_>, (x, y): (i32, i32), ink: Ink) {
        match self {
            Mark::Box => c.fill(x - 1, y - 1, x - 1 + CELL, y - 1 + CELL, ink),
            Mark::Dot => c.dot((x, y), 3, ink),
            Mark::Ring => c.ring((x, y), 3, ink),
            Mark::Cross => c.cross((x, y), 3, ink),
        }
    }

    fn draw_key(self, c: &mut Canvas<'_>, b: (i32, i32, i32, i32), ink: Ink) {
        let (x, y) = middle(b);
        for (dx, dy) in [(-6, 2), (0, -3), (6, 3)] {
            self.draw(c, (x + dx, y + dy), ink);
        }
    }
}

/// A class of points, thinned to cells.
struct Points {
    cells: BTreeSet<(i32, i32)>,
    mark: Mark,
    ink: Ink,
}

impl Points {
    fn of(points: &[(f64, f64)], mark: Mark, ink: Ink, time: Time, scale: &Log) -> Points {
        let cell = |p: &(f64, f64)| ((time.x(p.0) - LEFT).div_euclid(CELL), scale.y(p.1).div_euclid(CELL));
        let cells: BTreeSet<(i32, i32)> = points.iter().map(cell).collect();
        let mark = if cells.len() > MANY { Mark::Box } else { mark };
        Points { cells, mark, ink }
    }

    fn draw(&self, c: &mut Canvas<'_>) {
        let cells: Vec<(i32, i32)> = self.cells.iter().copied().collect();
        if !matches!(self.mark, Mark::Box) {
            for (x, y) in cells {
                self.mark.draw(c, (LEFT + x * CELL + CELL / 2, y * CELL + CELL / 2), self.ink);
            }
            return;
        }
        for column in cells.chunk_by(|a, b| a.0 == b.0) {
            // Cells that touch are one box.
            let runs = column.chunk_by(|a, b| a.1 + 1 == b.1).filter_map(|run| Some((run.first()?.1, run.last()?.1 + 1)));
            let boxes: Vec<(i32, i32)> = runs.map(|(y0, y1)| (y0 * CELL, (y1 * CELL).min(BOTTOM))).collect();
            let x0 = LEFT + column.first().map_or(0, |cell| cell.0) * CELL;
            c.comb(x0, (x0 + CELL).min(RIGHT), &boxes, self.ink);
        }
    }
}

/// Seconds that one step of the quantile lines stands for: as many as make it a few pixels wide.
fn window_s(time: Time) -> f64 {
    let least = time.seconds() * 3.0 / f64::from(time.right - time.left);
    [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0].into_iter().find(|w| *w >= least).unwrap_or(7200.0)
}

/// The quantiles of whole windows: the median of the p50s, the worst p99 and max.
fn windows(seconds: &[(f64, f64, f64, f64)], time: Time, window: f64) -> Vec<(f64, f64, f64, f64)> {
    let mut usable: Vec<_> =
        seconds.iter().copied().filter(|q| time.contains(q.0) && q.1.is_finite() && q.2.is_finite() && q.3.is_finite()).collect();
    usable.sort_by(|a, b| a.0.total_cmp(&b.0));
    let slot = |q: &(f64, f64, f64, f64)| libm::floor(q.0 / window) as i64;
    usable
        .chunk_by(|a, b| slot(a) == slot(b))
        .map(|chunk| {
            let mut p50s: Vec<f64> = chunk.iter().map(|q| q.1).collect();
            p50s.sort_by(f64::total_cmp);
            let worst = |of: fn(&(f64, f64, f64, f64)) -> f64| chunk.iter().map(of).fold(0.0, f64::max);
            let at = chunk.first().map_or(0, slot) as f64 * window + window / 2.0;
            (at, p50s[p50s.len() / 2], worst(|q| q.2), worst(|q| q.3))
        })
        .collect()
}

/// A line through the windows, broken where windows without deliveries lie between.
fn draw_line(
    c: &mut Canvas<'_>,
    windows: &[(f64, f64, f64, f64)],
    of: impl Fn(&(f64, f64, f64, f64)) -> f64,
    ink: Ink,
    width: u32,
    (time, scale, window): (Time, &Log, f64),
) {
    for stretch in windows.chunk_by(|a, b| b.0 - a.0 < window * 1.5) {
        let points: Vec<(i32, i32)> = stretch.iter().map(|q| (time.x(q.0), scale.y(of(q)))).collect();
        c.path(&points, ink, width);
    }
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
