//! The rules: when a row is inside, when an interval is too wide, when percentiles pile up, and when all of it passes.
//!
//! 1. At least 97 % of all rows are inside: every repetition's value between the seeds' 1st and 99th percentile.
//! 2. None is beyond the extremes of five times as many seeds.
//! 3. Each interval is at most twice the spread of the live repetitions, or at most the periods of the row's timers together.
//! 4. The percentiles of all live values are not piled up at an end (see [`Histogram::piled`]).
//! 5. At most 3 % of the rows stand under "where we differ, and why"; those are excused from 2 and 3, never from 1 and 4.
//!
//! Two values that the live measurement cannot tell apart are equal throughout: a millisecond, and for figures of the machine's speed what
//! repetitions of one experiment differ by elsewhere.

use super::measures::{Key, Kind};
use crate::explore::rank::{self, Value};

/// Rows that must be inside, in hundredths of all.
pub const INSIDE_PERCENT: usize = 97;
/// Rows that may be listed as known differences, in hundredths of all.
pub const LISTED_PERCENT: usize = 3;
/// Columns of the histogram.
pub const BINS: usize = 10;

/// How far a row rests on the speed of the live machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// It does not: timers are in it.
    Apart,
    /// It does, and the scenario has the tables of the steady run. `mood`: what it differs by between repetitions of
    /// other experiments, ns.
    Compared { mood: i64 },
    /// It does, and the scenario's tables are other ones: nothing can be said.
    NotCompared,
}

/// A figure of an experiment, live against simulated.
#[derive(Clone, Debug)]
pub struct Row {
    pub experiment: String,
    pub path: String,
    pub kind: Kind,
    pub machine: Machine,
    /// By repetition. A series is its distance from the seeds' median series.
    pub live: Vec<Value>,
    /// The seeds' 1st and 99th percentile.
    pub low: Value,
    pub high: Value,
    /// The least and the most of all seeds.
    pub least: Value,
    pub most: Value,
    /// The live values among the seeds', in ten-thousandths, by repetition.
    pub percentiles: Vec<u32>,
    /// Some seeds differ by more than the measurement can tell.
    pub varies: bool,
    /// Below this, two values are equal.
    pub slack: i64,
    /// The interval's width, and what it may be.
    pub width: i64,
    pub allowed: i64,
    /// The timers that may spread it.
    pub timers: Vec<&'static str>,
    /// How many seeds were run in the end.
    pub seeds: usize,
    /// The mechanism that is missing, if the row is listed as a known difference.
    pub listed: Option<String>,
}

impl Row {
    #[allow(clippy::too_many_arguments, reason = "the one place where a row is put together")]
    pub(super) fn new(
        experiment: &str,
        key: &Key,
        live: Vec<Value>,
        sorted: &[Value],
        slack: i64,
        room: i64,
        timers: Vec<&'static str>,
        machine: Machine,
    ) -> Row {
        let (low, high) = rank::central(sorted);
        let (least, most) = (sorted.first().copied().flatten(), sorted.last().copied().flatten());
        let percentiles = live.iter().map(|v| rank::percentile(*v, sorted, slack)).collect();
        let spread = width(live.iter().min().copied().flatten(), live.iter().max().copied().flatten(), &live);
        Row {
            experiment: experiment.to_owned(),
            path: key.path.clone(),
            kind: key.kind,
            machine,
            percentiles,
            varies: least.is_some() != most.is_some() || width(least, most, sorted) > slack,
            width: width(low, high, sorted),
            allowed: spread.saturating_mul(2).max(room),
            live,
            low,
            high,
            least,
            most,
            slack,
            timers,
            seeds: sorted.len(),
            listed: None,
        }
    }

    pub(super) fn key(&self) -> Key {
        Key { path: self.path.clone(), kind: self.kind }
    }

    /// A further seed's value.
    pub(super) fn widen(&mut self, value: Value) {
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    pub fn compared(&self) -> bool {
        self.machine != Machine::NotCompared
    }

    /// Whether each repetition's value is between the 1st and the 99th percentile.
    pub fn is_inside(&self) -> bool {
        self.live.iter().all(|v| rank::within(*v, self.low, self.high, self.slack))
    }

    /// Whether some repetition's value is more extreme than that of any seed.
    pub fn is_beyond(&self) -> bool {
        self.compared() && !self.live.iter().all(|v| rank::within(*v, self.least, self.most, self.slack))
    }

    /// Whether the interval is wider than life and timers allow. What cannot be told apart is no width.
    pub fn is_wide(&self) -> bool {
        self.compared() && self.width > self.allowed && self.width > self.slack.saturating_mul(2)
    }
}

/// From the one to the other; where the lower is absent, from the least value there is.
fn width(low: Value, high: Value, all: &[Value]) -> i64 {
    let Some(high) = high else { return 0 };
    let low = low.or_else(|| all.iter().copied().flatten().min()).unwrap_or(high);
    high.saturating_sub(low).max(0)
}

/// Percentiles by tenths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub bins: [usize; BINS],
}

impl Histogram {
    pub fn of(percentiles: impl Iterator<Item = u32>) -> Histogram {
        let mut bins = [0; BINS];
        // The last tenth holds 100 %.
        percentiles.for_each(|p| bins[(p as usize * BINS / 10_000).min(BINS - 1)] += 1);
        Histogram { bins }
    }

    pub fn total(&self) -> usize {
        self.bins.iter().sum()
    }

    /// Whether an end tenth holds more than it may: more than one and a half times its share, for rows of one run move together, and by more
    /// than three standard deviations of a fair draw, so that a few values are not judged by chance.
    pub fn piled(&self) -> bool {
        let n = self.total();
        [self.bins[0], self.bins[BINS - 1]].into_iter().any(|end| {
            let excess = (BINS * end).saturating_sub(n);
            // Three deviations: end - n/10 > 3 * sqrt(n * 1/10 * 9/10), all times ten and squared.
            2 * excess > n && excess.saturating_mul(excess) > 81 * n
        })
    }
}

/// Everything that `windtunnel fidelity` found.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub seeds: usize,
    pub rows: Vec<Row>,
    /// Live experiments without a scenario, and scenarios without a live run, each with why.
    pub not_compared: Vec<(String, String)>,
}

/// How the rules came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub compared: usize,
    pub inside: usize,
    pub beyond: usize,
    pub wide: usize,
    pub listed: usize,
    /// Of rows that vary from seed to seed: one that never does is in the middle by definition, and would only hide the others.
    pub varying: Histogram,
    pub all: Histogram,
    /// Which rules are broken, in words.
    pub broken: Vec<String>,
}

impl Comparison {
    pub fn new(seeds: usize, rows: Vec<Row>) -> Comparison {
        Comparison { seeds, rows, not_compared: Vec::new() }
    }

    /// Marks the rows that are listed as known differences; answers the entries that name no row.
    pub fn list(&mut self, differences: &[Difference]) -> Vec<Difference> {
        let mut idle = Vec::new();
        for difference in differences {
            let mut named = false;
            for row in self.rows.iter_mut().filter(|r| r.experiment == difference.experiment && r.path == difference.figure) {
                row.listed = Some(difference.missing.clone());
                named = true;
            }
            if !named {
                idle.push(difference.clone());
            }
        }
        idle
    }

    pub fn judge(&self) -> Judgement {
        let rows = || self.rows.iter().filter(|r| r.compared());
        let compared = rows().count();
        let inside = rows().filter(|r| r.is_inside()).count();
        let unlisted = || rows().filter(|r| r.listed.is_none());
        let (beyond, wide) = (unlisted().filter(|r| r.is_beyond()).count(), unlisted().filter(|r| r.is_wide()).count());
        let listed = compared - unlisted().count();
        let varying = Histogram::of(rows().filter(|r| r.varies).flat_map(|r| r.percentiles.iter().copied()));
        let all = Histogram::of(rows().flat_map(|r| r.percentiles.iter().copied()));
        let mut broken = Vec::new();
        let mut rule = |broke: bool, what: String| {
            if broke {
                broken.push(what)
            }
        };
        rule(compared == 0, "nothing was compared".to_owned());
        rule(100 * inside < INSIDE_PERCENT * compared, format!("fewer than {INSIDE_PERCENT} % of the rows are inside"));
        rule(beyond > 0, format!("{beyond} of the rows are beyond every seed"));
        rule(wide > 0, format!("{wide} of the intervals are wider than live runs and timers allow"));
        rule(varying.piled(), "the percentiles are piled up at an end".to_owned());
        rule(
            100 * listed > LISTED_PERCENT * compared,
            format!("more than {LISTED_PERCENT} % of the rows are listed as known differences"),
        );
        Judgement { compared, inside, beyond, wide, listed, varying, all, broken }
    }
}

/// A known difference, as the file of them has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    pub experiment: String,
    pub figure: String,
    /// The mechanism that is missing.
    pub missing: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn key(path: &str, kind: Kind) -> Key {
        Key { path: path.to_owned(), kind }
    }

    fn row(live: &[Value], seeds: impl IntoIterator<Item = Value>, room: i64) -> Row {
        let mut sorted: Vec<Value> = seeds.into_iter().collect();
        sorted.sort_unstable();
        let key = key("groups.cg.duplicates", Kind::Duplicates);
        Row::new("e", &key, live.to_vec(), &sorted, 0, room, Vec::new(), Machine::Apart)
    }

    fn even(n: i64) -> impl Iterator<Item = Value> {
        (1..=n).map(Some)
    }

    /// Rows that a perfect simulator would have: live values at every percentile.
    fn fair(n: i64) -> Vec<Row> {
        (0..n).map(|i| row(&[Some(3 + 194 * i / n)], even(200), 1_000)).collect()
    }

    #[test]
    fn a_fair_comparison_passes_and_a_planted_mismatch_fails() {
        let judged = |rows: Vec<Row>| Comparison::new(200, rows).judge();
        let good = judged(fair(200));
        assert_eq!((good.compared, good.inside, good.beyond, good.wide, good.broken.len()), (200, 200, 0, 0, 0), "{good:?}");
        // One figure that no seed has.
        let mut rows = fair(200);
        rows[7] = row(&[Some(100), Some(201)], even(200), 1_000);
        let bad = judged(rows);
        assert_eq!((bad.inside, bad.beyond), (199, 1));
        assert_eq!(bad.broken, ["1 of the rows are beyond every seed"]);
        // An interval that says nothing.
        let mut rows = fair(200);
        rows[7] = row(&[Some(100), Some(110)], even(200), 30);
        assert_eq!(judged(rows).broken, ["1 of the intervals are wider than live runs and timers allow"]);
        // A simulator that is always a little slow: every figure inside, all of them at one end.
        let low = judged((0..200).map(|i| row(&[Some(3 + i % 15)], even(200), 1_000)).collect());
        assert_eq!((low.inside, low.broken), (200, vec!["the percentiles are piled up at an end".to_owned()]));
        assert_eq!(judged(Vec::new()).broken, ["nothing was compared"]);
    }

    #[test]
    fn a_row_is_inside_when_every_repetition_is() {
        assert!(row(&[Some(2), Some(199)], even(200), 0).is_inside());
        let outside = row(&[Some(50), Some(200)], even(200), 0);
        assert!(!outside.is_inside() && !outside.is_beyond(), "outside the central interval, but some seed had it");
        assert!(row(&[Some(50), Some(201)], even(200), 0).is_beyond());
        let mut widened = row(&[Some(201)], even(200), 0);
        widened.widen(Some(240));
        assert!(!widened.is_beyond() && !widened.is_inside(), "further seeds move the extremes, never the interval");
        assert!(row(&[None], [None, Some(3)], 0).is_inside() && !row(&[None], even(9), 0).is_inside());
    }

    #[test]
    fn a_width_is_held_against_live_spread_and_timers() {
        // p1 .. p99 of 1..=200 is 2..=199.
        for (live, room, wide) in [([1, 100], 0, false), ([1, 99], 0, true), ([50, 50], 197, false), ([50, 50], 196, true)] {
            assert_eq!(row(&live.map(Some), even(200), room).is_wide(), wide, "{live:?} {room}");
        }
        let seeds: Vec<Value> = (0..200).map(|i| Some(30_000 * MS + i % 3 * MS)).collect();
        let key = key("x", Kind::BetweenAttempts);
        let close = Row::new("e", &key, vec![Some(30_000 * MS); 2], &seeds, MS, 0, Vec::new(), Machine::Apart);
        assert!(!close.is_wide(), "2 ms cannot be told apart at a resolution of 1 ms");
    }

    #[test]
    fn machine_rows_count_only_with_the_steady_tables() {
        let seeds: Vec<Value> = even(200).collect();
        let with = |machine| {
            let slack = if let Machine::Compared { mood } = machine { mood } else { 0 };
            Row::new("e", &key("x", Kind::RoundTrip), vec![Some(260)], &seeds, slack, 1_000, Vec::new(), machine)
        };
        let judged = |machine| Comparison::new(200, vec![with(machine)]).judge();
        assert_eq!((judged(Machine::NotCompared).compared, judged(Machine::Apart).beyond), (0, 1));
        assert_eq!(judged(Machine::Compared { mood: 61 }).inside, 1);
    }

    #[test]
    fn known_differences_are_excused_from_the_extremes_and_few() {
        let differs = |figure: &str| Difference { experiment: "e".into(), figure: figure.into(), missing: "page cache".into() };
        let mut rows = fair(99);
        rows.push(row(&[Some(900)], even(200), 0));
        rows[99].path = "groups.cg.odd".into();
        let mut comparison = Comparison::new(200, rows.clone());
        assert_eq!(comparison.list(&[differs("groups.cg.odd"), differs("no such row")]), [differs("no such row")]);
        let judged = comparison.judge();
        assert_eq!((judged.listed, judged.beyond, judged.wide, judged.inside), (1, 0, 0, 99));
        assert!(judged.broken.is_empty(), "{:?}", judged.broken);
        // A list does not buy more than its share.
        let mut comparison = Comparison::new(200, rows);
        comparison.list(&[differs("groups.cg.duplicates")]);
        assert!(comparison.judge().broken.contains(&"more than 3 % of the rows are listed as known differences".to_owned()));
    }

    #[test]
    fn few_values_are_not_judged_by_chance() {
        let piled = |bins| Histogram { bins }.piled();
        assert!(!piled([0, 0, 0, 0, 0, 0, 0, 0, 0, 2]), "two values");
        assert!(piled([20, 3, 3, 3, 3, 3, 3, 3, 3, 3]) && piled([3, 3, 3, 3, 3, 3, 3, 3, 3, 20]));
        assert!(!piled([14, 10, 10, 10, 10, 10, 10, 10, 10, 10]) && !piled([0, 0, 0, 0, 50, 50, 0, 0, 0, 0]));
        assert_eq!(Histogram::of([0, 999, 1_000, 9_999, 10_000].into_iter()).bins, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
}
