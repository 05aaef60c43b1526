//! The answer of `windtunnel seeds`: how many seeds passed, how figures vary, and the commands that repeat the extremes.
//!
//! Without more it is a page: the counters that the scenario asks about, then those of the run that vary, what was lost or away first. With `--all` it is every figure.
//! Figures that are the same under every seed are folded into one list at the end: what does not vary needs no distribution. A counter of the
//! only producer or group ("lost@cg" where there is but one) repeats the whole and is left to the JSON, which holds every figure.

use super::json::{Json, in_unit, unit, verdict};
use super::text::{self, Align, columns, count};
use super::words::words;
use crate::explore::survey::{Distribution, Survey};
use std::collections::BTreeMap;

/// The number of the JSON format: additions keep it, renames raise it.
pub const FORMAT: u64 = 1;

/// Commands in the answer for people before the rest is only counted; the JSON has one for every extreme.
const COMMANDS: usize = 12;
const FEW_COMMANDS: usize = 4;
/// Counters that vary before the rest is only counted.
const HEADLINES: usize = 20;
/// Seeds of a verdict that are listed; ranges count as one.
const LISTED: usize = 12;
/// Width of a figure's path in the table, in characters.
const PATH: usize = 72;
/// Width of the folded list, in characters.
const WIDTH: usize = 110;

/// The command that repeats one seed. `arguments` are those that change the scenario.
fn command(path: &str, arguments: &[String], seed: u64) -> String {
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    let mut words = vec!["windtunnel run".to_owned(), text::shell_quote(&path), format!("--seed {seed}")];
    words.extend(arguments.iter().cloned());
    words.join(" ")
}

/// The answer for people: the counters that vary, or `all` figures.
pub fn render(survey: &Survey, path: &str, arguments: &[String], all: bool) -> String {
    let mut out = format!("seeds {}  {}  RocketMQ {}\n{}\n", survey.seeds, survey.scenario, survey.rocketmq, survey.question);
    let total = survey.seeds.len() as u64;
    out += &format!(
        "{}  of {} seeds {} passed, {} failed, {} unknown{}\n",
        text::verdict(survey.verdict()),
        count(total),
        count(survey.passed.len() as u64),
        count(survey.failed.len() as u64),
        count(survey.unknown.len() as u64),
        if survey.interrupted { "; stopped from outside, the others were not run" } else { "" }
    );
    for (what, seeds) in [("failed", &survey.failed), ("unknown", &survey.unknown)] {
        if !seeds.is_empty() {
            out += &format!("  {what}: {}\n", ranges(seeds));
        }
    }
    for (name, n) in &survey.broken {
        out += &format!("  broken by {}: {name}\n", seeds_of(*n as usize));
    }
    let ran = survey.passed.len() + survey.failed.len() + survey.unknown.len();
    let told =
        survey.figures.iter().filter(|d| !repeats_the_whole(d, survey)).filter(|d| all || is_headline(d) || asked_for(d, survey));
    let (same, mut varied): (Vec<_>, Vec<_>) = told.partition(|d| d.min == d.max && d.n == ran);
    if all {
        if !varied.is_empty() {
            out.push('\n');
            table(&varied, ran, &mut out);
        }
        if !same.is_empty() {
            out += &format!("\nthe same under every seed ({} figures)\n", count(same.len() as u64));
            list_of_same(&same, &mut out);
        }
        commands(&varied, path, arguments, COMMANDS, &mut out);
        return out;
    }
    let (asked, rest): (Vec<_>, Vec<_>) = varied.into_iter().partition(|d| asked_for(d, survey));
    varied = rest;
    varied.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| by_spread(a, b)));
    let left_out = varied.len().saturating_sub(HEADLINES);
    varied.truncate(HEADLINES);
    let wobbles = if left_out == 0 { String::new() } else { format!("{} counters that vary less, ", count(left_out as u64)) };
    if !asked.is_empty() {
        out += "\nwhat \"expect\" asks for\n";
        headlines(&asked, ran, &mut out);
    }
    if !varied.is_empty() {
        out += "\nwhat varies: losses, copies and outages, then what varies most\n";
        headlines(&varied, ran, &mut out);
    }
    let same: Vec<&Distribution> = same.into_iter().filter(|d| d.min != 0 || asked_for(d, survey)).collect();
    if !same.is_empty() {
        out += "\nthe same under every seed\n";
        list_of_same(&same, &mut out);
    }
    let shown: Vec<&Distribution> = asked.into_iter().chain(varied).collect();
    commands(&shown, path, arguments, FEW_COMMANDS, &mut out);
    let figures = survey.figures.len() - shown.len() - same.len();
    out += &format!(
        "--all shows {wobbles}causes, groups, producers, queues, stages and seconds: {} more figures\n",
        count(figures as u64)
    );
    out
}

/// A counter of the whole run, without its causes.
fn is_headline(d: &Distribution) -> bool {
    d.path.starts_with("counters.") && !d.path.contains(['@', ':'])
}

/// An expectation bounds it, or the same of its only entity.
fn asked_for(d: &Distribution, survey: &Survey) -> bool {
    let name = name_of(d);
    d.path != name && survey.judged.iter().any(|j| j == name || (!name.contains([':', '@']) && j.split('@').next() == Some(name)))
}

fn name_of(d: &Distribution) -> &str {
    d.path.strip_prefix("counters.").unwrap_or(&d.path)
}

/// Where an operator looks first.
fn rank(d: &Distribution) -> usize {
    const FIRST: &[&str] = &[
        "lost",
        "missed",
        "discarded_send_ok",
        "rpo",
        "failed_sends",
        "duplicates",
        "reordered",
        "rto",
        "rto_deliveries",
        "longest_time_without_success",
        "longest_stall",
        "unowned_queue_time",
    ];
    FIRST.iter().position(|name| *name == name_of(d)).unwrap_or(FIRST.len())
}

/// What some seeds have and others have not comes first, then what varies by the larger factor; the paths settle the rest.
fn by_spread(a: &Distribution, b: &Distribution) -> std::cmp::Ordering {
    let comes_and_goes = |d: &Distribution| d.min == 0;
    // a.max / a.min against b.max / b.min, without a division.
    let (x, y) = (i128::from(a.max) * i128::from(b.min.max(1)), i128::from(b.max) * i128::from(a.min.max(1)));
    comes_and_goes(b).cmp(&comes_and_goes(a)).then(y.cmp(&x)).then_with(|| a.path.cmp(&b.path))
}

fn headlines(rows: &[&Distribution], ran: usize, out: &mut String) {
    let mut lines = vec![["", "min", "p50", "p95", "max", "seed of max", ""].map(str::to_owned).to_vec()];
    for d in rows {
        let mut row = vec![name_of(d).to_owned()];
        row.extend([d.min, d.p50, d.p95, d.max].map(|v| text::value(v, d.unit)));
        row.push(d.max_seed.0.to_string());
        let some = if d.n < ran { format!(" (in {} of {ran} seeds)", d.n) } else { String::new() };
        row.push(words(name_of(d)).to_owned() + &some);
        lines.push(row);
    }
    let align: Vec<Align> = (0..7).map(|i| if i == 0 || i == 6 { Align::Left } else { Align::Right }).collect();
    columns("  ", &align, &lines).into_iter().for_each(|line| *out += &(line + "\n"));
}

fn list_of_same(same: &[&Distribution], out: &mut String) {
    let mut by_value: BTreeMap<(bool, String), Vec<&str>> = BTreeMap::new();
    for d in same {
        by_value.entry((d.min == 0, text::value(d.min, d.unit))).or_default().push(name_of(d));
    }
    for ((_, value), paths) in by_value {
        for line in text::wrap(&format!("{value}: {}", paths.join(", ")), WIDTH - 2) {
            *out += &format!("  {line}\n");
        }
    }
}

/// Whether this is a counter of one entity that says what the counter of all says.
fn repeats_the_whole(d: &Distribution, survey: &Survey) -> bool {
    let Some((name, entity)) = d.path.split_once('@').filter(|_| d.path.starts_with("counters.")) else { return false };
    let whole = name.to_owned() + entity.find(": ").map_or("", |at| &entity[at..]);
    let found = survey.figures.binary_search_by(|f| f.path.as_str().cmp(&whole));
    found.is_ok_and(|at| Distribution { path: d.path.clone(), ..survey.figures[at].clone() } == *d)
}

fn table(varied: &[&Distribution], ran: usize, out: &mut String) {
    let mut rows =
        vec![["figure", "min", "p5", "p50", "p95", "max", "seed of min", "seed of max", ""].map(str::to_owned).to_vec()];
    for d in varied {
        let seed = |(seed, share): (u64, usize)| match share {
            1 => seed.to_string(),
            n => format!("{seed} +{}", n - 1),
        };
        let mut row = vec![text::truncate(&d.path, PATH)];
        row.extend([d.min, d.p5, d.p50, d.p95, d.max].map(|v| text::value(v, d.unit)));
        row.extend([seed(d.min_seed), seed(d.max_seed)]);
        row.push(if d.n < ran { format!("in {} of {ran} seeds", d.n) } else { String::new() });
        rows.push(row);
    }
    let align: Vec<Align> = (0..9).map(|i| if i == 0 || i == 8 { Align::Left } else { Align::Right }).collect();
    columns("", &align, &rows).into_iter().for_each(|line| *out += &(line + "\n"));
}

/// One command a seed, those of the most extremes first.
fn commands(varied: &[&Distribution], path: &str, arguments: &[String], most: usize, out: &mut String) {
    let mut by_seed: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for d in varied {
        by_seed.entry(d.min_seed.0).or_default().push(format!("least {}", name_of(d)));
        by_seed.entry(d.max_seed.0).or_default().push(format!("most {}", name_of(d)));
    }
    let mut seeds: Vec<(u64, Vec<String>)> = by_seed.into_iter().collect();
    seeds.sort_by_key(|(seed, what)| (std::cmp::Reverse(what.len()), *seed));
    *out += "\nrepeat an extreme, here those of most figures\n";
    if seeds.is_empty() {
        *out += "  no figure varied\n";
    }
    for (seed, what) in seeds.iter().take(most) {
        let more = if what.len() > 1 { format!(" and {} more", what.len() - 1) } else { String::new() };
        *out += &format!("  {}  # {}{more}\n", command(path, arguments, *seed), what[0]);
    }
    if seeds.len() > most {
        *out += &format!("  … and {} other seeds, each by the same command with its number\n", seeds.len() - most);
    }
}

fn seeds_of(n: usize) -> String {
    format!("{} {}", count(n as u64), if n == 1 { "seed" } else { "seeds" })
}

/// "3, 7..9, 12 … and 40 more".
fn ranges(seeds: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &seed in seeds {
        match runs.last_mut() {
            Some(run) if run.1.checked_add(1) == Some(seed) => run.1 = seed,
            _ => runs.push((seed, seed)),
        }
    }
    let shown: Vec<String> =
        runs.iter().take(LISTED).map(|(a, b)| if a == b { a.to_string() } else { format!("{a}..{b}") }).collect();
    let rest: u64 = runs.iter().skip(LISTED).map(|(a, b)| b - a + 1).sum();
    shown.join(", ") + &if rest > 0 { format!(" … and {} more", count(rest)) } else { String::new() }
}

/// The answer for programs.
pub fn json(survey: &Survey, path: &str, arguments: &[String]) -> String {
    let list = |seeds: &[u64]| Json::A(seeds.iter().map(|s| Json::U(*s)).collect());
    let extreme = |d: &Distribution, value: i64, (seed, share): (u64, usize)| {
        Json::object([
            ("value", in_unit(Some(value), d.unit)),
            ("seed", Json::U(seed)),
            ("seeds", Json::U(share as u64)),
            ("repeat", Json::S(command(path, arguments, seed))),
        ])
    };
    let figure = |d: &Distribution| {
        let mut fields = vec![("unit", Json::s(unit(d.unit))), ("n", Json::U(d.n as u64))];
        for (name, value) in [("min", d.min), ("p5", d.p5), ("p50", d.p50), ("p95", d.p95), ("max", d.max)] {
            fields.push((name, in_unit(Some(value), d.unit)));
        }
        fields.extend([("least", extreme(d, d.min, d.min_seed)), ("most", extreme(d, d.max, d.max_seed))]);
        (d.path.clone(), Json::object(fields))
    };
    let top = Json::object([
        ("format", Json::U(FORMAT)),
        ("windtunnel", Json::s(env!("CARGO_PKG_VERSION"))),
        ("rocketmq", Json::s(&survey.rocketmq)),
        ("scenario", Json::s(&survey.scenario)),
        ("question", Json::s(&survey.question)),
        ("seeds", Json::S(survey.seeds.to_string())),
        ("verdict", verdict(survey.verdict())),
        ("interrupted", Json::B(survey.interrupted)),
        ("passed", list(&survey.passed)),
        ("failed", list(&survey.failed)),
        ("unknown", list(&survey.unknown)),
        ("broken", Json::O(survey.broken.iter().map(|(name, n)| (name.clone(), Json::U(*n))).collect())),
        ("figures", Json::O(survey.figures.iter().map(figure).collect())),
    ]);
    let mut out = String::new();
    top.write(&mut out, 0, true);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::Unit;

    fn survey() -> Survey {
        let figure = |path: &str, values: [i64; 5], n| Distribution {
            path: path.to_owned(),
            unit: Unit::Count,
            n,
            min: values[0],
            p5: values[1],
            p50: values[2],
            p95: values[3],
            max: values[4],
            min_seed: (3, 1),
            max_seed: (9, 4),
        };
        Survey {
            scenario: "a".into(),
            question: "Why?".into(),
            rocketmq: "4.9.8".into(),
            seeds: "1..20".parse().unwrap(),
            passed: (1..=9).collect(),
            failed: vec![10, 12, 13, 14],
            unknown: (15..=20).chain([11]).collect(),
            broken: [("lost".to_owned(), 4)].into(),
            judged: vec!["lost".to_owned()],
            interrupted: false,
            figures: vec![figure("counters.lost", [0, 0, 1, 5, 1_000], 20), figure("counters.sent", [7; 5], 20)],
        }
    }

    #[test]
    fn the_answer_says_which_seeds_and_how_to_repeat_them() {
        let text = render(&survey(), "my files/a.json", &["--set duration=5s".to_owned()], true);
        for line in [
            "FAIL  of 20 seeds 9 passed, 4 failed, 7 unknown",
            "  failed: 10, 12..14",
            "  broken by 4 seeds: lost",
            "counters.lost    0   0    1    5  1,000            3         9 +3",
            "  7: sent",
            "  windtunnel run 'my files/a.json' --seed 9 --set duration=5s  # most lost",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let value: serde_json::Value = serde_json::from_str(&json(&survey(), "a.json", &[])).unwrap();
        assert_eq!(value["figures"]["counters.lost"]["most"]["repeat"], "windtunnel run a.json --seed 9");
        assert_eq!((&value["verdict"], &value["failed"][1]), (&"fail".into(), &12.into()));
    }

    /// What was asked for first, then what was lost or away, then what comes and goes, then by the factor; causes, entities and what is always 0 only with `--all`.
    #[test]
    fn without_more_it_is_a_page() {
        let mut survey = survey();
        let figure =
            |path: &str, min, max| Distribution { path: path.to_owned(), min, max, p50: min, ..survey.figures[0].clone() };
        let paths =
            [("counters.rto", 100, 150), ("counters.ghosts", 0, 2), ("counters.queue_moves", 4, 15), ("counters.skipped", 0, 0)];
        let more = [("counters.rto: opened", 1, 9), ("counters.rto@pg-0", 1, 9), ("groups.cg.deliveries", 1, 9)];
        let figures: Vec<Distribution> = paths.into_iter().chain(more).map(|(path, min, max)| figure(path, min, max)).collect();
        survey.figures.extend(figures);
        survey.figures.sort_by(|a, b| a.path.cmp(&b.path));
        let text = render(&survey, "a.json", &[], false);
        let lines: Vec<&str> = text.lines().collect();
        let at = |what: &str| lines.iter().position(|l| l.contains(what)).unwrap_or_else(|| panic!("{what}\n{text}"));
        assert!(at("what \"expect\" asks for") < at("  lost "), "{text}");
        assert!(
            at("  lost ") < at("  rto ") && at("  rto ") < at("  ghosts ") && at("  ghosts ") < at("  queue_moves "),
            "{text}"
        );
        assert!(lines[at("  ghosts ")].ends_with("delivered, and their record discarded afterwards"), "{text}");
        assert!(lines[at("  7: sent")].ends_with("7: sent") && !text.contains("skipped") && !text.contains("opened"), "{text}");
        assert_eq!(
            lines.last().copied(),
            Some("--all shows causes, groups, producers, queues, stages and seconds: 4 more figures")
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let seeds: Vec<u64> = (0..100).map(|n| 2 * n).collect();
        assert!(ranges(&seeds).ends_with("20, 22 … and 88 more"), "{}", ranges(&seeds));
        let mut survey = survey();
        for (path, shown) in [("counters.lost@cg", false), ("counters.sent@cg", true), ("groups.cg@x", true)] {
            let d = Distribution { path: path.into(), ..survey.figures[0].clone() };
            assert_eq!(!repeats_the_whole(&d, &survey), shown, "{path}");
        }
        survey.figures.clear();
        assert!(render(&survey, "a", &[], true).contains("no figure varied"));
        assert_eq!(ranges(&[u64::MAX - 1, u64::MAX]), "18446744073709551614..18446744073709551615");
    }
}
