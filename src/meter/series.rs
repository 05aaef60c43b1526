//! Points for charts, thinned as they come: some thousand, whatever the length of the run, and never without the worst.
//!
//! Two rules, both without chance, so that equal runs draw equal charts: every k-th point is kept, and k doubles when the room is full; and the
//! slowest point of each stretch of time is kept, whose length doubles likewise. The first shows the crowd, the second what one looks for.

use super::clock::Clock;
use super::hist::Hist;
use crate::base::time::{MS, SEC};

/// One point: when, how long it took (both ns), and its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u64,
    took: u64,
    class: u8,
}

/// At most so many points by each of the two rules.
const ROOM: usize = 2000;

#[derive(Clone, Debug)]
pub struct Thin {
    every: u32,
    wait: u32,
    crowd: Vec<Point>,
    /// Length of a stretch, ns, and where the present one ends.
    stretch: u64,
    until: u64,
    slowest: Option<Point>,
    worst: Vec<Point>,
}

impl Default for Thin {
    fn default() -> Self {
        Thin { every: 1, wait: 0, crowd: Vec::new(), stretch: SEC, until: 0, slowest: None, worst: Vec::new() }
    }
}

impl Thin {
    #[inline]
    pub fn push(&mut self, at: u64, took: u64, class: u8) {
        let point = Point { at, took, class };
        if self.wait == 0 {
            self.keep(point);
        }
        self.wait -= 1;
        if at >= self.until {
            self.close(at);
        }
        if self.slowest.is_none_or(|slowest| took > slowest.took) {
            self.slowest = Some(point);
        }
    }

    fn keep(&mut self, point: Point) {
        if self.crowd.len() == ROOM {
            let mut index = 0;
            self.crowd.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every = self.every.saturating_mul(2);
        }
        self.crowd.push(point);
        self.wait = self.every;
    }

    #[cold]
    fn close(&mut self, at: u64) {
        self.worst.extend(self.slowest.take());
        if self.worst.len() == ROOM {
            self.worst = self
                .worst
                .chunks(2)
                .filter_map(|pair| pair.iter().copied().max_by_key(|p| (p.took, std::cmp::Reverse(p.at))))
                .collect();
            self.stretch *= 2;
        }
        self.until = (at / self.stretch + 1) * self.stretch;
    }

    /// (second, ms, class), in the order of time.
    pub fn points(mut self, clock: &Clock) -> Vec<(f64, f64, u8)> {
        self.worst.extend(self.slowest.take());
        self.crowd.append(&mut self.worst);
        self.crowd.sort();
        self.crowd.dedup();
        self.crowd.iter().map(|p| (clock.seconds(p.at), ms(p.took), p.class)).collect()
    }
}

/// Milliseconds, to the microsecond.
pub fn ms(ns: u64) -> f64 {
    (ns / 1_000) as f64 / (MS / 1_000) as f64
}

/// Quantiles of each second.
#[derive(Clone, Debug, Default)]
pub struct PerSecond {
    present: Hist,
    rows: Vec<(f64, f64, f64, f64)>,
}

impl PerSecond {
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.present.record(ns);
    }

    /// The second that ends at `ended` is over.
    pub fn turn(&mut self, ended: u64, clock: &Clock) {
        self.present.settle();
        if let (Some(p50), Some(p99), Some(max)) = (self.present.quantile(0.5), self.present.quantile(0.99), self.present.max()) {
            self.rows.push((clock.seconds(ended) - 1.0, ms(p50), ms(p99), ms(max)));
            self.present.clear();
        }
    }

    pub fn rows(self) -> Vec<(f64, f64, f64, f64)> {
        self.rows
    }
}

/// A level sampled once a second, thinned by doubling the interval.
#[derive(Clone, Debug)]
pub struct Samples {
    every: u32,
    wait: u32,
    rows: Vec<(f64, u64)>,
}

impl Default for Samples {
    fn default() -> Self {
        Samples { every: 1, wait: 0, rows: Vec::new() }
    }
}

impl Samples {
    pub fn sample(&mut self, second: f64, level: u64) {
        if self.wait == 0 {
            if self.rows.len() == ROOM {
                let mut index = 0;
                self.rows.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.every *= 2;
            }
            self.rows.push((second, level));
            self.wait = self.every;
        }
        self.wait -= 1;
    }

    pub fn rows(self) -> Vec<(f64, u64)> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_worst_and_stays_small() {
        let (mut thin, clock) = (Thin::default(), Clock::new(0, 0));
        for i in 0..1_000_000u64 {
            let took = if i % 30_000 == 17 { 5000 + i } else { i % 7 };
            thin.push(i * 10 * MS, took * MS, 0);
        }
        let points = thin.points(&clock);
        assert!((1500..=2 * ROOM).contains(&points.len()), "{}", points.len());
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0));
        let kept =
            (0..1_000_000u64).filter(|i| i % 30_000 == 17).filter(|i| points.iter().any(|p| p.1 == (5000 + i) as f64)).count();
        assert_eq!(kept, 34, "each spike stands out of its stretch");
    }

    #[test]
    fn samples_double_their_interval() {
        let mut samples = Samples::default();
        for second in 0..10_000 {
            samples.sample(second as f64, second);
        }
        let rows = samples.rows();
        assert!((1000..=ROOM).contains(&rows.len()) && rows[1].0 == 8.0, "{} {:?}", rows.len(), rows[1]);
    }
}
