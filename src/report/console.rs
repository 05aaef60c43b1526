//! The answer on the console: what was asked, whether it held, what was lost, doubled or late and why, and the command that repeats it.
//!
//! It is written to be pasted into an incident review: aligned, terse, no figure twice. What is zero is named on one line, what is long is
//! cut with a pointer to `summary.json`, which holds everything. Colour only repeats what the words already say.

use super::counters::counters;
use super::page::{Ink, Page};
use super::recovery::recoveries;
use super::text::{self, Align, count, moment};
use crate::run::outcome::{CheckResult, GroupFigures, Outcome, SendFigures, Verdict};
use std::collections::BTreeMap;

/// Width of the answer in characters; the last column of a table may exceed it.
pub(super) const WIDTH: usize = 110;
/// Rows of a table before the rest is only counted.
pub(super) const ROWS: usize = 6;

/// The whole answer, ending in a newline.
pub fn render(outcome: &Outcome, colour: bool) -> String {
    let mut page = Page::new(colour);
    head(outcome, &mut page);
    laws(outcome, &mut page);
    expectations(outcome, &mut page);
    faults(outcome, &mut page);
    traffic(outcome, &mut page);
    counters(outcome, &mut page);
    crashes(outcome, &mut page);
    recoveries(outcome, &mut page);
    failed_sends(outcome, &mut page);
    outages(outcome, &mut page);
    backlog(outcome, &mut page);
    page.line("");
    page.line(&format!("repeat: {}", super::repeat_command(&outcome.header)));
    page.finish()
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
    let (judged_laws, idle): (Vec<&CheckResult>, Vec<&CheckResult>) = outcome.laws.iter().partition(|l| !nothing_to_judge(l));
    let mut laws = judged(&mut judged_laws.iter().map(|l| l.verdict));
    match idle.len() {
        0 => {}
        1 => laws.push_str(", 1 had nothing to judge"),
        n => laws.push_str(&format!(", {n} had nothing to judge")),
    }
    let expectations = judged(&mut outcome.expectations.iter().map(|e| e.verdict));
    let end = crate::base::time::seconds(h.end, h.zero);
    let (ended, remark) = match (h.interrupted, h.drained) {
        (true, _) => ("stopped from outside", ""),
        (_, true) => ("drained", ""),
        _ if gone_for_good(outcome) => ("ended", "; what is missing is lost for good"),
        (_, false) => ("not drained", ""),
    };
    let ended = format!("{ended} at {} after {} events{remark}", moment(end), count(h.events));
    let verdict = page.paint(text::verdict(outcome.verdict), Ink::Of(outcome.verdict));
    page.line(&format!("{verdict}  expectations: {expectations}; laws: {laws}; {ended}"));
    for warning in outcome.warnings.iter().take(ROWS) {
        let mark = page.paint("warning:", Ink::Of(Verdict::Unknown));
        page.line(&format!("{mark} {warning}"));
    }
    if outcome.warnings.len() > ROWS {
        page.line(&format!("… and {} more warnings in summary.json", count((outcome.warnings.len() - ROWS) as i128)));
    }
}

/// The law met nothing that it could have held or broken in. That is no pass, and no doubt about what was measured either.
fn nothing_to_judge(law: &CheckResult) -> bool {
    law.verdict == Verdict::Unknown && law.compared == 0
}

/// Messages are missing, and none of them would have come by waiting longer.
fn gone_for_good(outcome: &Outcome) -> bool {
    let sum = |of: fn(&GroupFigures) -> u64| outcome.groups.values().map(of).sum::<u64>();
    let lost = sum(|g| g.lost_acked.unwrap_or(0));
    lost > 0 && lost == sum(|g| g.lost_for_good)
}

/// Laws that hold are counted in the verdict line; the others are shown one by one.
fn laws(outcome: &Outcome, page: &mut Page) {
    let mut broken: Vec<_> = outcome.laws.iter().filter(|l| l.verdict != Verdict::Pass).collect();
    if broken.is_empty() {
        return;
    }
    broken.sort_by_key(|l| std::cmp::Reverse(l.verdict));
    page.section("laws");
    let row = |l: &&CheckResult| {
        if nothing_to_judge(l) {
            return vec!["-".to_owned(), l.name.to_owned(), "nothing to judge".to_owned()];
        }
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

pub(super) fn failed(s: &SendFigures) -> u64 {
    s.status.get("EXC").copied().unwrap_or(0)
}

fn longest(s: &SendFigures) -> String {
    let all = s.without_answer_s.map_or("no success".to_owned(), text::seconds);
    let worst = s.without_answer_by_broker_s.iter().max_by(|a, b| a.1.total_cmp(b.1));
    match worst {
        Some((broker, t)) if s.without_answer_by_broker_s.len() > 1 => {
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
    page.section(&format!("failed sends{when}"));
    let mut all: Vec<_> = by.into_iter().collect();
    all.sort_by_key(|(key, n)| (std::cmp::Reverse(*n), *key));
    let mut rows = vec![header(&["calls", "last attempt at", "thrown to the caller"])];
    rows.extend(all.iter().map(|((broker, cause), n)| vec![count(*n), (*broker).to_owned(), (*cause).to_owned()]));
    page.table(&[Align::Right, Align::Left, Align::Left], &rows, &[], ROWS + 1);
    // The broker of the last attempt may be a healthy one that was asked too late: whose attempts failed says who cost the calls their time.
    let mut attempts: BTreeMap<&str, u64> = BTreeMap::new();
    for (broker, n) in outcome.sends.values().flat_map(|s| &s.failed_attempts_by_broker) {
        *attempts.entry(broker).or_default() += n;
    }
    let mut attempts: Vec<_> = attempts.into_iter().collect();
    attempts.sort_by_key(|(broker, n)| (std::cmp::Reverse(*n), *broker));
    if !attempts.is_empty() {
        let mut parts: Vec<String> = attempts.iter().take(ROWS).map(|(broker, n)| format!("{broker} {}", count(*n))).collect();
        if attempts.len() > ROWS {
            parts.push(format!("{} more", attempts.len() - ROWS));
        }
        page.line(&format!("  attempts that failed, by broker, retried ones included: {}", parts.join(" · ")));
    }
}

/// How messages answered SEND_OK lay when a broker died, and which of them recovery discarded.
fn crashes(outcome: &Outcome, page: &mut Page) {
    let told: Vec<_> = outcome.crashes.iter().filter(|c| !c.answered.is_empty()).collect();
    if told.is_empty() {
        return;
    }
    page.section("where messages answered SEND_OK lay when a broker died, and what is gone of them");
    let list = |parts: &[(String, u64)]| {
        let parts: Vec<String> = parts.iter().map(|(lay, n)| format!("{lay} {}", count(*n))).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(" · ") }
    };
    let row = |c: &&crate::run::outcome::CrashReport| {
        let read = c.read.filter(|read| read.bytes > 0);
        let read = read.map_or(String::new(), |read| {
            format!("its next life read {} of its log", crate::base::size::pretty_bytes(read.bytes))
        });
        vec![moment(c.at_s), c.what.clone(), list(&c.answered), format!("gone: {}", list(&c.discarded)), read]
    };
    let rows: Vec<Vec<String>> = told.iter().map(row).collect();
    page.table(&[Align::Right, Align::Left, Align::Left, Align::Left, Align::Left], &rows, &[], ROWS);
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
        let (until, ended) = match o.until_s {
            None => ("until the run ended".to_owned(), String::new()),
            Some(_) if o.ended_by.starts_with("not ended") => ("until the load ended".to_owned(), String::new()),
            Some(u) if o.ended_by.is_empty() => (format!("to {}", moment(u)), String::new()),
            Some(u) => (format!("to {}", moment(u)), format!("ended by {}", o.ended_by)),
        };
        rows.push(vec![o.what.clone(), moment(o.from_s), until, text::seconds(*length), ended]);
    }
    page.table(&[Align::Left, Align::Right, Align::Left, Align::Right, Align::Left], &rows, &[], ROWS);
}

/// What nobody has got, by queue. What was delivered and only waits for the next commit is the normal state of a running group: one line.
fn backlog(outcome: &Outcome, page: &mut Page) {
    let mut queues: Vec<(u64, f64, &str, &str)> = Vec::new();
    let (mut uncommitted, mut in_queues) = (0, 0);
    for (name, g) in &outcome.groups {
        for (queue, stored) in g.backlog_by_queue.iter().filter(|(_, n)| **n > 0) {
            let undelivered = g.undelivered_by_queue.get(queue).copied().unwrap_or(0);
            if undelivered > 0 {
                queues.push((undelivered, g.oldest_undelivered_by_queue_s.get(queue).copied().unwrap_or(0.0), name, queue));
            }
            uncommitted += stored.saturating_sub(undelivered);
            in_queues += u64::from(*stored > undelivered);
        }
    }
    if !queues.is_empty() {
        page.section("undelivered at the end");
        queues.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.2.cmp(b.2)).then_with(|| text::natural_cmp(a.3, b.3)));
        let mut rows = vec![header(&["group", "queue", "messages", "oldest"])];
        let row = |(n, oldest, group, queue): &(u64, f64, &str, &str)| {
            vec![(*group).to_owned(), (*queue).to_owned(), count(*n), text::seconds(*oldest)]
        };
        rows.extend(queues.iter().map(row));
        page.table(&[Align::Left, Align::Left, Align::Right, Align::Right], &rows, &[], ROWS + 1);
    }
    if uncommitted > 0 {
        let (of, places) =
            (if uncommitted == 1 { "message" } else { "messages" }, if in_queues == 1 { "queue" } else { "queues" });
        let what = format!(
            "  {} {of} in {} {places} delivered or filtered out, but not yet committed at the end",
            count(uncommitted),
            count(in_queues)
        );
        if queues.is_empty() {
            page.line("");
        }
        let what = page.paint(&what, Ink::Dim);
        page.line(&what);
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
