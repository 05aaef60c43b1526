//! The part of the answer that an operator pastes into an incident review: one row an outage of a broker set, with its RTO, its RPO and the stage
//! to blame; then the stages of those who waited longest, each with the timer that it waits for.

use super::page::Page;
use super::text::{self, Align, count};
use crate::run::outcome::{Outcome, Recovery, StageReport, Waited};

/// Outages with a row of their own.
const ROWS: usize = 8;
/// Outages whose stages are shown, the longest first.
const STAGED: usize = 3;
/// A stage shorter than this is not shown where a longer one is; the JSON has it. ns.
const BRIEF: u64 = 1_000_000;

fn ns(ns: u64) -> String {
    text::duration(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// "40.8 s", "not within 200 s".
fn outage(row: &Waited) -> String {
    if row.over { ns(row.outage) } else { format!("not within {}", ns(row.outage)) }
}

/// The longest stage.
pub(super) fn to_blame(row: &Waited) -> Option<&StageReport> {
    // The first of several that are equally long.
    row.stages.iter().rev().max_by_key(|s| s.took)
}

/// How long the worst of both kinds waited.
fn length(r: &Recovery) -> (bool, u64) {
    let worst = r.senders.first().into_iter().chain(r.queues.first());
    worst.map(|w| (!w.over, w.outage)).max().unwrap_or_default()
}

pub(super) fn recoveries(outcome: &Outcome, page: &mut Page) {
    let told: Vec<&Recovery> = outcome.recoveries.iter().filter(|r| !r.senders.is_empty() || !r.queues.is_empty()).collect();
    if told.is_empty() {
        return;
    }
    page.section("outages of broker sets: time until clients were served there again (RTO), answered messages lost (RPO)");
    let header = [
        "",
        "",
        "sends: median",
        "worst",
        "no answer of any set",
        "deliveries: worst",
        "lost",
        "longest stage of the worst sender",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(told.iter().map(|r| row(r)));
    let align = [Align::Right, Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left, Align::Left];
    page.table(&align, &rows, &[], ROWS + 1);
    let mut longest: Vec<&Recovery> = told.clone();
    longest.sort_by(|a, b| length(b).cmp(&length(a)).then(a.at_s.total_cmp(&b.at_s)));
    longest.truncate(STAGED);
    longest.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    for r in longest {
        for worst in &r.senders[..r.senders.len().min(1)] {
            stages(r, &format!("sends of {} to {}", worst.who, r.set), worst, page);
        }
        for worst in &r.queues[..r.queues.len().min(1)] {
            stages(r, &format!("delivery of {}", worst.who), worst, page);
        }
    }
    if told.len() > STAGED {
        page.line(&format!("  the stages of {} shorter outages are in summary.json", count((told.len() - STAGED) as u64)));
    }
}

fn row(r: &Recovery) -> Vec<String> {
    let none = || "-".to_owned();
    let (mut median, mut worst, mut dark) = (none(), none(), none());
    if let Some((w, m)) = Recovery::worst_and_median(&r.senders) {
        (median, worst) = (outage(m), outage(w));
        dark = ns(r.senders.iter().filter_map(|s| s.without_any).max().unwrap_or(0));
    }
    let lost = match r.rpo {
        Some(rpo) if rpo.messages == 0 => "none".to_owned(),
        Some(rpo) => format!("{} messages, {}", count(rpo.messages), ns(rpo.span)),
        None if r.itself.over || !r.died => none(),
        None => "not back".to_owned(),
    };
    let blame = r.senders.first().and_then(|w| to_blame(w)).map_or(String::new(), |s| format!("{} {}", s.name, ns(s.took)));
    let what = match r.struck_again {
        0 => r.what.clone(),
        1 => format!("{}, struck again", r.what),
        n => format!("{}, struck {n} times more", r.what),
    };
    let deliveries = r.queues.first().map_or_else(none, outage);
    vec![text::moment(r.at_s), what, median, worst, dark, deliveries, lost, blame]
}

/// The stages of one that waited, and what each waited for.
fn stages(r: &Recovery, what: &str, of: &Waited, page: &mut Page) {
    let end = if of.over { "back after" } else { "not back within" };
    page.line(&format!("  {} at {}, {what}: {end} {}", r.what, text::moment(r.at_s), ns(of.outage)));
    let shown = of.stages.iter().filter(|s| s.took >= BRIEF || of.outage < 10 * BRIEF);
    let rows: Vec<Vec<String>> = shown
        .map(|s| {
            let share = u128::from(s.took) * 100 + u128::from(of.outage) / 2;
            let share = share / u128::from(of.outage.max(1));
            vec!["  ".to_owned() + s.name, ns(s.took), format!("{share} %"), s.waits_for.clone()]
        })
        .collect();
    page.table(&[Align::Left, Align::Right, Align::Right, Align::Left], &rows, &[], rows.len());
    if let Some(n) = of.meanwhile.filter(|n| *n > 0) {
        page.line(&format!("    meanwhile pulls brought {} messages, from a slave or under way at the strike", count(n)));
    }
}
