//! The answer on the console: what was asked, whether it held, what was lost, doubled or late and why, and the command that repeats it.
//!
//! It is written to be pasted into an incident review: aligned, terse, no figure twice. What is zero is named on one line, what is long is
//! cut with a pointer to `summary.json`, which holds everything. Colour only repeats what the words already say.

use super::text::{self, Align, columns, count, moment};
use crate::run::outcome::{Counter, GroupFigures, Outcome, SendFigures, Verdict};
use std::collections::BTreeMap;

/// Width of the answer in characters; the last column of a table may exceed it.
const WIDTH: usize = 110;
/// Rows of a table before the rest is only counted.
const ROWS: usize = 6;

/// The whole answer, ending in a newline.
pub fn render(outcome: &Outcome, colour: bool) -> String {
    let mut page = Page { out: String::new(), colour };
    head(outcome, &mut page);
    laws(outcome, &mut page);
    expectations(outcome, &mut page);
    faults(outcome, &mut page);
    traffic(outcome, &mut page);
    counters(outcome, &mut page);
    failed_sends(outcome, &mut page);
    outages(outcome, &mut page);
    backlog(outcome, &mut page);
    page.line("");
    page.line(&format!("repeat: {}", super::repeat_command(&outcome.header)));
    page.out
}

/// The answer while it is written.
struct Page {
    out: String,
    colour: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Of(Verdict),
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn section(&mut self, title: &str) {
        let title = self.paint(title, Ink::Bold);
        self.line("");
        self.line(&title);
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Of(Verdict::Pass) => "1;32",
            Ink::Of(Verdict::Fail) => "1;31",
            Ink::Of(Verdict::Unknown) => "1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The first so many rows of a table, and how many more there are. A row's verdict colours its first word.
    fn table(&mut self, align: &[Align], rows: &[Vec<String>], verdicts: &[Verdict], keep: usize) {
        // One row more is printed rather than named as "1 more".
        let shown = if rows.len() <= keep + 1 { rows.len() } else { keep };
        for (i, line) in columns("  ", align, &rows[..shown]).into_iter().enumerate() {
            match (verdicts.get(i), rows[i].first()) {
                (Some(v), Some(word)) if self.colour && !word.is_empty() => {
                    let painted = self.paint(word, Ink::Of(*v));
                    self.line(&line.replacen(word.as_str(), &painted, 1));
                }
                _ => self.line(&line),
            }
        }
        if shown < rows.len() {
            let more =
                self.paint(&format!("  … and {} more in summary.json", count(rows.len() as i128 - shown as i128)), Ink::Dim);
            self.line(&more);
        }
    }
}

fn head(outcome: &Outcome, page: &mut Page) {
    let h = &outcome.header;
    let tie = if h.tie_seed == 0 { String::new() } else { format!("  tie seed {}", h.tie_seed) };
    page.line(&format!("seed {}{tie}  {}  RocketMQ {}  digest {:016x}", h.seed, h.scenario, h.rocketmq, h.digest));
    for line in text::wrap(&h.question, WIDTH) {
        let line = page.paint(&line, Ink::Bold);
        page.line(&line);
    }
    let judged = |verdicts: &mut dyn Iterator<Item = Verdict>| {
        let all: Vec<Verdict> = verdicts.collect();
        let of = |v: Verdict| all.iter().filter(|x| **x == v).count();
        match (of(Verdict::Fail), of(Verdict::Unknown)) {
            _ if all.is_empty() => "none".to_owned(),
            (0, 0) => format!("{} of {} hold", all.len(), all.len()),
            (0, u) => format!("{u} of {} unknown", all.len()),
            (f, 0) => format!("{f} of {} broken", all.len()),
            (f, u) => format!("{f} of {} broken, {u} unknown", all.len()),
        }
    };
    let laws = judged(&mut outcome.laws.iter().map(|l| l.verdict));
    let expectations = judged(&mut outcome.expectations.iter().map(|e| e.verdict));
    let end = crate::base::time::seconds(h.end, h.zero);
    let ended = match (h.interrupted, h.drained) {
        (true, _) => format!("stopped from outside at {}", moment(end)),
        (_, true) => format!("drained at {}", moment(end)),
        (_, false) => format!("not drained at {}", moment(end)),
    };
    let verdict = page.paint(text::verdict(outcome.verdict), Ink::Of(outcome.verdict));
    page.line(&format!("{verdict}  expectations: {expectations}; laws: {laws}; {ended} after {} events", count(h.events)));
    for warning in outcome.warnings.iter().take(ROWS) {
        let mark = page.paint("warning:", Ink::Of(Verdict::Unknown));
        page.line(&format!("{mark} {warning}"));
    }
    if outcome.warnings.len() > ROWS {
        page.line(&format!("… and {} more warnings in summary.json", count((outcome.warnings.len() - ROWS) as i128)));
    }
}

/// Laws that hold are counted in the verdict line; the others are shown one by one.
fn laws(outcome: &Outcome, page: &mut Page) {
    let mut broken: Vec<_> = outcome.laws.iter().filter(|l| l.verdict != Verdict::Pass).collect();
    if broken.is_empty() {
        return;
    }
    broken.sort_by_key(|l| std::cmp::Reverse(l.verdict));
    page.section("laws");
    let row = |l: &&crate::run::outcome::CheckResult| {
        let detail = if l.detail.is_empty() { format!("{} comparisons", count(l.compared)) } else { l.detail.clone() };
        vec![text::verdict(l.verdict).to_owned(), l.name.to_owned(), detail]
    };
    let rows: Vec<Vec<String>> = broken.iter().map(row).collect();
    let verdicts: Vec<Verdict> = broken.iter().map(|l| l.verdict).collect();
    page.table(&[Align::Left; 3], &rows, &verdicts, ROWS);
}

fn expectations(outcome: &Outcome, page: &mut Page) {
    if outcome.expectations.is_empty() {
        return;
    }
    page.section("expectations");
    // The broken ones first; otherwise in the scenario's order.
    let mut all: Vec<_> = outcome.expectations.iter().collect();
    all.sort_by_key(|e| std::cmp::Reverse(e.verdict));
    let mut rows = Vec::new();
    for e in &all {
        let exact = |v: i64| text::exact_value(v, e.unit);
        let bounds = match (e.min, e.max) {
            (Some(min), Some(max)) if min == max => format!("= {}", exact(min)),
            (Some(min), Some(max)) => format!("{} to {}", exact(min), exact(max)),
            (Some(min), None) => format!(">= {}", exact(min)),
            (None, Some(max)) => format!("<= {}", exact(max)),
            (None, None) => "any".to_owned(),
        };
        let got = e.got.map_or("not measured".to_owned(), exact);
        let detail = if e.verdict == Verdict::Pass { String::new() } else { e.detail.clone() };
        rows.push(vec![
            text::verdict(e.verdict).to_owned(),
            e.counter.clone(),
            format!("expected {bounds}"),
            format!("got {got}"),
            detail,
        ]);
    }
    let verdicts: Vec<Verdict> = all.iter().map(|e| e.verdict).collect();
    let not_passed = verdicts.iter().filter(|v| **v != Verdict::Pass).count();
    page.table(&[Align::Left; 5], &rows, &verdicts, ROWS.max(not_passed) + 2);
}

fn faults(outcome: &Outcome, page: &mut Page) {
    if outcome.faults.is_empty() {
        return;
    }
    page.section("faults");
    let mut rows = Vec::new();
    for f in &outcome.faults {
        let until = f.until_s.map_or(String::new(), |u| format!("to {}", moment(u)));
        let touched = match f.touched {
            0 => "touched NOTHING".to_owned(),
            n => format!("touched {}", count(n)),
        };
        rows.push(vec![f.label.clone(), moment(f.from_s), until, touched]);
    }
    page.table(&[Align::Left, Align::Right, Align::Left, Align::Left], &rows, &[], ROWS);
}

/// What was sent and delivered, and how fast: one row a producer and one a group.
fn traffic(outcome: &Outcome, page: &mut Page) {
    let align = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left];
    if !outcome.sends.is_empty() {
        page.section("sends");
        let mut rows = vec![header(&["", "sent", "answered", "failed", "p50", "p99", "max", "longest without success"])];
        // The worst producers first: they are why someone reads on.
        let mut all: Vec<_> = outcome.sends.iter().collect();
        all.sort_by(|(a, x), (b, y)| failed(y).cmp(&failed(x)).then_with(|| text::natural_cmp(a, b)));
        for (name, s) in all {
            let q = &s.round_trip_ms;
            let of = |ms: u64| if q.n == 0 { "-".to_owned() } else { text::millis(ms) };
            rows.push(vec![
                name.clone(),
                count(s.n),
                count(s.n - failed(s).min(s.n)),
                count(failed(s)),
                of(q.p50),
                of(q.p99),
                of(q.max),
                longest(s),
            ]);
        }
        page.table(&align, &rows, &[], ROWS + 1);
    }
    if !outcome.groups.is_empty() {
        page.section("deliveries");
        let mut rows =
            vec![header(&["", "delivered", "distinct", "over 1 s", "p50", "p99", "max", "worst queue, from store to listener"])];
        for (name, g) in &outcome.groups {
            let q = &g.latency_ms;
            let of = |ms: u64| if q.n == 0 { "-".to_owned() } else { text::millis(ms) };
            rows.push(vec![
                kind(name, g),
                count(g.deliveries),
                count(g.distinct),
                count(g.latency_over_1s),
                of(q.p50),
                of(q.p99),
                of(q.max),
                worst_queue(g),
            ]);
        }
        page.table(&align, &rows, &[], ROWS + 1);
    }
}

fn header(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

fn failed(s: &SendFigures) -> u64 {
    s.status.get("EXC").copied().unwrap_or(0)
}

fn longest(s: &SendFigures) -> String {
    let all = s.longest_time_without_success_s.map_or("no success".to_owned(), text::seconds);
    let worst = s.longest_time_without_success_by_broker_s.iter().max_by(|a, b| a.1.total_cmp(b.1));
    match worst {
        Some((broker, t)) if s.longest_time_without_success_by_broker_s.len() > 1 => {
            format!("{all} ({broker} {})", text::seconds(*t))
        }
        _ => all,
    }
}

fn kind(name: &str, g: &GroupFigures) -> String {
    let mut remarks = Vec::new();
    if g.orderly {
        remarks.push("orderly");
    }
    if g.model != "clustering" && !g.model.is_empty() {
        remarks.push(g.model);
    }
    if remarks.is_empty() { name.to_owned() } else { format!("{name} ({})", remarks.join(", ")) }
}

fn worst_queue(g: &GroupFigures) -> String {
    let worst = g.worst_store_to_listener_s_by_queue.iter().max_by(|a, b| a.1.total_cmp(b.1));
    worst.map_or(String::new(), |(queue, t)| format!("{queue} {}", text::seconds(*t)))
}

/// Every counter once: those with a value and their causes, then the names of those at zero, then of those that nothing was there to count.
fn counters(outcome: &Outcome, page: &mut Page) {
    let whole = |c: &&Counter| !c.name.contains('@');
    // "lost@cg" repeats "lost" unless the run has no total of that name.
    let totals: Vec<&str> = outcome.counters.iter().filter(whole).map(|c| c.name.as_str()).collect();
    let lone = |c: &&Counter| match c.name.split_once('@') {
        Some((stem, _)) => !totals.contains(&stem),
        None => true,
    };
    let judged = |c: &Counter| outcome.expectations.iter().any(|e| e.counter == c.name);
    let failures_follow = outcome.sends.values().any(|s| !s.failed_by_broker.is_empty());
    let in_a_table = |c: &Counter| IN_TABLES.iter().any(|stem| c.name.starts_with(stem));
    let all: Vec<&Counter> = outcome.counters.iter().filter(lone).collect();
    if all.is_empty() {
        return;
    }
    let mut rows = Vec::new();
    for c in &all {
        let Some(v) = c.value.filter(|v| *v != 0) else { continue };
        if (c.causes.is_empty() && (judged(c) || in_a_table(c))) || (c.name == "failed_sends" && failures_follow) {
            continue;
        }
        rows.push(vec![c.name.clone(), text::value(v, c.unit), causes(c)]);
    }
    let names = |wanted: Option<i64>| -> Vec<&str> {
        all.iter().filter(|c| c.value == wanted && !judged(c)).map(|c| c.name.as_str()).collect()
    };
    let (zero, absent) = (names(Some(0)), names(None));
    if rows.is_empty() && zero.is_empty() && absent.is_empty() {
        return;
    }
    page.section("counters");
    page.table(&[Align::Left, Align::Right, Align::Left], &rows, &[], 3 * ROWS);
    for (title, names) in [("none:", zero), ("not measured:", absent)] {
        for (i, line) in text::wrap(&names.join(", "), WIDTH - title.len() - 3).into_iter().enumerate() {
            let title = if i == 0 { title.to_owned() } else { " ".repeat(title.len()) };
            let line = page.paint(&format!("  {title} {line}"), Ink::Dim);
            page.line(&line);
        }
    }
}

/// Beginnings of the names of counters that the tables of sends and deliveries show already.
const IN_TABLES: &[&str] = &["delivery_latency", "round_trip", "longest_time_without_success", "deliveries", "distinct"];

fn causes(c: &Counter) -> String {
    const SHOWN: usize = 4;
    let mut parts: Vec<String> =
        c.causes.iter().take(SHOWN).map(|(cause, n)| format!("{cause} {}", text::value(*n, c.unit))).collect();
    if c.causes.len() > SHOWN {
        let rest: i64 = c.causes[SHOWN..].iter().map(|(_, n)| *n).fold(0, i64::saturating_add);
        parts.push(format!("{} other causes {}", c.causes.len() - SHOWN, text::value(rest, c.unit)));
    }
    parts.join(" · ")
}

fn failed_sends(outcome: &Outcome, page: &mut Page) {
    let mut by: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for s in outcome.sends.values() {
        for (broker, causes) in &s.failed_by_broker {
            for (cause, n) in causes {
                *by.entry((broker, cause)).or_default() += n;
            }
        }
    }
    if by.is_empty() {
        return;
    }
    let first = outcome.sends.values().filter_map(|s| s.failed_first_s).min_by(f64::total_cmp);
    let last = outcome.sends.values().filter_map(|s| s.failed_last_s).max_by(f64::total_cmp);
    let when = match (first, last) {
        (Some(a), Some(b)) => format!(", begun {} to {}", moment(a), moment(b)),
        _ => String::new(),
    };
    page.section(&format!("failed sends by cause and broker of the last attempt{when}"));
    let mut all: Vec<_> = by.into_iter().collect();
    all.sort_by_key(|(key, n)| (std::cmp::Reverse(*n), *key));
    let row = |((broker, cause), n): &((&str, &str), u64)| vec![count(*n), (*broker).to_owned(), (*cause).to_owned()];
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    page.table(&[Align::Right, Align::Left, Align::Left], &rows, &[], ROWS);
}

fn outages(outcome: &Outcome, page: &mut Page) {
    if outcome.outages.is_empty() {
        return;
    }
    page.section("outages");
    let end = crate::base::time::seconds(outcome.header.end, outcome.header.zero);
    let mut all: Vec<_> = outcome.outages.iter().map(|o| (o.until_s.unwrap_or(end) - o.from_s, o)).collect();
    // When there are too many, the long ones are kept; they are shown in the order of time.
    all.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.from_s.total_cmp(&y.from_s)));
    let kept = if all.len() <= ROWS + 1 { all.len() } else { ROWS };
    all[..kept].sort_by(|(_, x), (_, y)| x.from_s.total_cmp(&y.from_s).then_with(|| text::natural_cmp(&x.what, &y.what)));
    let mut rows = Vec::new();
    for (length, o) in &all {
        let until = o.until_s.map_or("to the end".to_owned(), |u| format!("to {}", moment(u)));
        let ended = match (o.until_s, o.ended_by.is_empty()) {
            (_, true) => String::new(),
            (Some(_), _) => format!("ended by {}", o.ended_by),
            (None, _) => o.ended_by.clone(),
        };
        rows.push(vec![o.what.clone(), moment(o.from_s), until, text::seconds(*length), ended]);
    }
    page.table(&[Align::Left, Align::Right, Align::Left, Align::Right, Align::Left], &rows, &[], ROWS);
}

fn backlog(outcome: &Outcome, page: &mut Page) {
    let mut queues: Vec<(u64, f64, &str, &str)> = Vec::new();
    for (name, g) in &outcome.groups {
        for (queue, n) in g.backlog_by_queue.iter().filter(|(_, n)| **n > 0) {
            queues.push((*n, g.oldest_by_queue_s.get(queue).copied().unwrap_or(0.0), name, queue));
        }
    }
    if queues.is_empty() {
        return;
    }
    page.section("backlog at the end");
    queues.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.2.cmp(b.2)).then_with(|| text::natural_cmp(a.3, b.3)));
    let mut rows = vec![header(&["group", "queue", "messages", "oldest"])];
    rows.extend(
        queues
            .iter()
            .map(|(n, oldest, group, queue)| vec![(*group).to_owned(), (*queue).to_owned(), count(*n), text::seconds(*oldest)]),
    );
    page.table(&[Align::Left, Align::Left, Align::Right, Align::Right], &rows, &[], ROWS + 1);
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
