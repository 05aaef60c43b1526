//! The page of `windtunnel fidelity`: what was compared, whether it holds, every row, and where simulator and cluster differ.
//!
//! Written for somebody who knows RocketMQ and has never seen this project: the verdict first, then the experiments, the rows that do not fit,
//! the histogram, and last everything. Rows in which all seeds and all live runs have one value are folded into a line an experiment.

use super::json::{Json, in_unit, unit};
use super::text;
use crate::explore::fidelity::judge::{BINS, Comparison, Histogram, INSIDE_PERCENT, Judgement, LISTED_PERCENT, Machine, Row};
use crate::explore::fidelity::{EXTREMES, STEADY, measures::Kind};
use crate::run::outcome::Unit;
use std::collections::BTreeMap;

/// The number of the JSON format: additions keep it, renames raise it.
pub const FORMAT: u64 = 1;

/// The whole page, as Markdown.
pub fn page(comparison: &Comparison) -> String {
    let mut out = opening(comparison);
    let rows = |pick: &dyn Fn(&Row) -> bool| comparison.rows.iter().filter(|r| pick(r)).collect::<Vec<&Row>>();
    let outside = rows(&|r| r.compared() && !r.is_inside());
    out += "\n## Rows that are outside\n\n";
    out += if outside.is_empty() { "None.\n" } else { "" };
    table(&outside, true, &mut out);
    let wide = rows(&|r| r.is_wide());
    out += "\n## Intervals that are too wide\n\n";
    out += if wide.is_empty() { "None.\n" } else { "" };
    widths(&wide, &mut out);
    out += "\n## Where we differ, and why\n\n";
    differences(comparison, &mut out);
    out += "\n## Every row\n";
    for (experiment, rows) in by_experiment(comparison) {
        out += &format!("\n### {experiment}\n\n");
        let (same, told): (Vec<&Row>, Vec<&Row>) = rows.into_iter().partition(|r| is_settled(r));
        table(&told, false, &mut out);
        if !same.is_empty() {
            let mut by_value: BTreeMap<String, Vec<String>> = BTreeMap::new();
            same.iter().for_each(|r| by_value.entry(show(r.low, r.kind)).or_default().push(format!("`{}`", r.path)));
            let values: Vec<String> = by_value.iter().map(|(value, paths)| format!("{value}: {}", paths.join(", "))).collect();
            out += &format!("\nOne value under every seed and in every live run. {}\n", values.join("; "));
        }
    }
    out += METHOD;
    out
}

/// What it is, the verdict, the experiments, the histogram.
pub fn opening(comparison: &Comparison) -> String {
    let judgement = comparison.judge();
    let mut out = format!(
        "# Held against a real cluster\n\n\
         Real RocketMQ clusters were run under kills, freezes, joins and restarts, and the figures that their clients saw were kept. Here each of \
         these figures is held against {} simulated runs of the same set-up, which differ by seed only: phases of timers, start-up times, \
         latencies. No constant was fitted to a run with a fault.\n\n",
        comparison.seeds
    );
    rules(&judgement, comparison, &mut out);
    out += "\n| experiment | repetitions | rows | inside | beyond all seeds | too wide | seeds run |\n|---|---|---|---|---|---|---|\n";
    for (name, rows) in by_experiment(comparison) {
        let compared = || rows.iter().filter(|r| r.compared());
        let count = |pick: &dyn Fn(&Row) -> bool| compared().filter(|r| pick(r)).count();
        out += &format!(
            "| {name} | {} | {} | {} | {} | {} | {} |\n",
            rows.first().map_or(0, |r| r.live.len()),
            compared().count(),
            count(&Row::is_inside),
            count(&Row::is_beyond),
            count(&Row::is_wide),
            rows.first().map_or(0, |r| r.seeds)
        );
    }
    for (name, why) in &comparison.not_compared {
        out += &format!("| {name} | – | not compared: {why} | | | | |\n");
    }
    out += "\n## Percentiles of the live values among the seeds\n\n";
    histogram(&judgement, &mut out);
    out
}

fn rules(j: &Judgement, comparison: &Comparison, out: &mut String) {
    let percent = |n: usize| match j.compared {
        0 => "–".to_owned(),
        all => format!("{}.{} %", 100 * n / all, 1000 * n / all % 10),
    };
    *out += &match j.broken.is_empty() {
        true => format!("**PASS**: all rules hold over {} rows.\n", j.compared),
        false => format!("**FAIL** over {} rows: {}.\n", j.compared, j.broken.join("; ")),
    };
    let mark = |holds: bool| if holds { "holds" } else { "**broken**" };
    let extreme = comparison.seeds.saturating_mul(EXTREMES);
    *out += "\n| rule | found | |\n|---|---|---|\n";
    *out += &format!(
        "| at least {INSIDE_PERCENT} % of the rows lie between the seeds' 1st and 99th percentile, in every repetition | {} of {}: {} | {} |\n",
        j.inside,
        j.compared,
        percent(j.inside),
        mark(j.compared > 0 && 100 * j.inside >= INSIDE_PERCENT * j.compared)
    );
    *out +=
        &format!("| none is beyond all of {} seeds | {} | {} |\n", text::count(extreme as u64), j.beyond, mark(j.beyond == 0));
    *out += &format!(
        "| each interval is at most twice the live spread, or at most the periods of its timers | {} too wide | {} |\n",
        j.wide,
        mark(j.wide == 0)
    );
    *out += &format!("| the percentiles are not piled up at an end | see below | {} |\n", mark(!j.varying.piled()));
    *out += &format!(
        "| at most {LISTED_PERCENT} % are listed under \"where we differ\" | {}: {} | {} |\n",
        j.listed,
        percent(j.listed),
        mark(100 * j.listed <= LISTED_PERCENT * j.compared)
    );
    let machine = comparison.rows.iter().filter(|r| matches!(r.machine, Machine::Compared { .. })).count();
    let apart = comparison.rows.iter().filter(|r| !r.compared()).count();
    *out += &match comparison.rows.iter().any(|r| r.experiment == STEADY) {
        true => format!(
            "\n{machine} of the rows (marked *machine*) rest on the speed of the live machine. They are compared because the tables of links, services and \
             pauses of their scenarios are those of the steady run, and to the accuracy with which that machine repeats itself. {apart} further \
             ones are not compared, since their scenario has other tables.\n"
        ),
        false => format!(
            "\n{apart} of the rows rest on the speed of the live machine and are not compared: without the run \"{STEADY}\" among the others nothing says \
             how fast that machine is, and how far it repeats itself.\n"
        ),
    };
}

fn histogram(j: &Judgement, out: &mut String) {
    let bars = |h: &Histogram| {
        let most = h.bins.iter().copied().max().unwrap_or(0).max(1);
        h.bins.map(|n| format!("{n:>5} {}", "#".repeat((40 * n).div_ceil(most))))
    };
    *out += &format!(
        "{} values of rows that vary from seed to seed; a fair draw has {} in each tenth. (Of all {} values, those of rows that never vary are in \
         the middle by definition.)\n\n```text\n",
        j.varying.total(),
        j.varying.total() / BINS,
        j.all.total()
    );
    for (i, bar) in bars(&j.varying).iter().enumerate() {
        *out += &format!("{:>3}..{:<3} % {bar}\n", i * 100 / BINS, (i + 1) * 100 / BINS);
    }
    *out += "```\n";
}

fn table(rows: &[&Row], with_experiment: bool, out: &mut String) {
    if rows.is_empty() {
        return;
    }
    let first = if with_experiment { "| experiment " } else { "" };
    let rule = if with_experiment { "|---" } else { "" };
    *out += &format!(
        "{first}| figure | live | simulated p1 .. p99 | inside | percentile | width, allowed | timers |\n{rule}|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        if with_experiment {
            *out += &format!("| {} ", row.experiment);
        }
        let live: Vec<String> = row.live.iter().map(|v| show(*v, row.kind)).collect();
        let percentiles: Vec<String> = row.percentiles.iter().map(|p| format!("{}.{}", p / 100, p / 10 % 10)).collect();
        *out += &format!(
            "| {}{} | {} | {} .. {}{} | {} | {} | {}, {} | {} |\n",
            row.path,
            if is_series(row.kind) { " (distance)" } else { "" },
            live.join(" / "),
            show(row.low, row.kind),
            show(row.high, row.kind),
            accuracy(row),
            inside(row),
            percentiles.join(" / "),
            amount(row.width, row.kind),
            amount(row.allowed, row.kind),
            row.timers.join(", ")
        );
    }
}

fn widths(rows: &[&Row], out: &mut String) {
    table(rows, true, out);
}

fn accuracy(row: &Row) -> String {
    match row.machine {
        Machine::Compared { mood } if mood > 1_000_000 => format!(" (± {})", amount(mood, row.kind)),
        _ => String::new(),
    }
}

fn inside(row: &Row) -> String {
    let machine = if row.machine == Machine::Apart { "" } else { ", *machine*" };
    let word = match (row.compared(), row.is_inside(), row.is_beyond()) {
        (false, ..) => "not compared",
        (true, true, _) => "yes",
        (true, false, true) => "**no, beyond**",
        (true, false, false) => "**no**",
    };
    let wide = if row.is_wide() { ", **wide**" } else { "" };
    let listed = if row.listed.is_some() { ", listed" } else { "" };
    format!("{word}{machine}{wide}{listed}")
}

fn differences(comparison: &Comparison, out: &mut String) {
    let mut by_reason: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &comparison.rows {
        if let Some(reason) = &row.listed {
            by_reason.entry(reason).or_default().push(row);
        }
    }
    if by_reason.is_empty() {
        *out += "No row is listed as a known difference.\n";
    }
    for (reason, rows) in by_reason {
        let names: Vec<String> = rows.iter().map(|r| format!("{} `{}`", r.experiment, r.path)).collect();
        *out += &format!("- {reason}: {}\n", names.join(", "));
    }
}

fn by_experiment(comparison: &Comparison) -> BTreeMap<&str, Vec<&Row>> {
    let mut found: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    comparison.rows.iter().for_each(|r| found.entry(&r.experiment).or_default().push(r));
    found
}

fn is_series(kind: Kind) -> bool {
    matches!(kind, Kind::SendSeries | Kind::DeliverySeries)
}

/// Nothing to see: one value on both sides.
fn is_settled(row: &Row) -> bool {
    row.least == row.most && row.live.iter().all(|v| *v == row.low)
}

fn show(value: Option<i64>, kind: Kind) -> String {
    value.map_or("never".to_owned(), |v| amount(v, kind))
}

/// Live seconds are measured to the millisecond.
fn amount(v: i64, kind: Kind) -> String {
    match kind.unit() {
        Unit::Duration => text::exact_duration(v),
        unit => text::value(v, unit),
    }
}

const METHOD: &str = "
## How it is measured

- Each repetition was set up a little differently. Seed by seed the simulator takes the moments of one repetition after the other (starts, faults, the
  end of recording), so both sides mix the same set-ups.
- The interval leaves out as many seeds below as above: of 200, one each. A row is inside when every repetition's value is.
- The percentile of a live value is the share of seeds below it plus half of those equal to it. \"Never\" (no send failed) is below every number.
- A series of 10 s bins is one row: its distance, in messages, from the seeds' median series, among the seeds' own distances.
- Moments count from the first fault or late start. What happened before time 0 is not compared: processes start as fast as the machine lets them.
- Two values that differ by a millisecond are equal, and distances that differ by a message at each edge of two bins. Stretches below a second on both sides hold no timer of RocketMQ's: they show the machine, and are
  equal when they differ by no more than repetitions of one experiment do elsewhere in the same figure.
- An interval may be as wide as twice the spread of the live repetitions, or as the periods of the named timers together; counts by what the load
  offers in that time, allocation changes by how often the timers fire. What a timer's phase cannot explain must not vary.
- The percentiles are piled up when an end tenth holds more than one and a half times its share, and by more than three standard deviations of a fair draw. Only rows
  that vary are counted there: the others have the percentile 50 whatever the simulator does.
";

/// The comparison for programs.
pub fn json(comparison: &Comparison) -> String {
    let j = comparison.judge();
    let bins = |h: &Histogram| Json::A(h.bins.iter().map(|n| Json::U(*n as u64)).collect());
    let n = |n: usize| Json::U(n as u64);
    let row = |r: &Row| {
        let of = |v: Option<i64>| in_unit(v, r.kind.unit());
        let mut fields = vec![
            ("experiment", Json::s(&r.experiment)),
            ("figure", Json::s(&r.path)),
            ("unit", Json::s(unit(r.kind.unit()))),
            ("series", Json::B(is_series(r.kind))),
            ("machine", Json::B(r.machine != Machine::Apart)),
            ("compared", Json::B(r.compared())),
            ("live", Json::A(r.live.iter().map(|v| of(*v)).collect())),
            ("p1", of(r.low)),
            ("p99", of(r.high)),
            ("min", of(r.least)),
            ("max", of(r.most)),
            ("seeds", n(r.seeds)),
            ("resolution", of(Some(r.slack))),
            ("inside", Json::B(r.is_inside())),
            ("beyond", Json::B(r.is_beyond())),
            ("percentile", Json::A(r.percentiles.iter().map(|p| Json::rounded(f64::from(*p) / 100.0, 2)).collect())),
            ("width", of(Some(r.width))),
            ("allowed", of(Some(r.allowed))),
            ("wide", Json::B(r.is_wide())),
            ("timers", Json::A(r.timers.iter().map(|t| Json::s(t)).collect())),
        ];
        if let Some(missing) = &r.listed {
            fields.push(("missing", Json::s(missing)));
        }
        Json::object(fields)
    };
    let top = Json::object([
        ("format", Json::U(FORMAT)),
        ("windtunnel", Json::s(env!("CARGO_PKG_VERSION"))),
        ("verdict", Json::s(if j.broken.is_empty() { "pass" } else { "fail" })),
        ("broken", Json::A(j.broken.iter().map(|b| Json::s(b)).collect())),
        ("seeds", n(comparison.seeds)),
        ("rows_compared", n(j.compared)),
        ("rows_inside", n(j.inside)),
        ("rows_beyond", n(j.beyond)),
        ("rows_wide", n(j.wide)),
        ("rows_listed", n(j.listed)),
        ("percentiles_of_varying_rows", bins(&j.varying)),
        ("percentiles_of_all_rows", bins(&j.all)),
        ("not_compared", Json::O(comparison.not_compared.iter().map(|(name, why)| (name.clone(), Json::s(why))).collect())),
        ("rows", Json::A(comparison.rows.iter().map(row).collect())),
    ]);
    let mut out = String::new();
    top.write(&mut out, 0, true);
    out.push('\n');
    out
}
