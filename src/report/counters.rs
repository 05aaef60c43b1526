//! The answer's list of counters: what happened and why, then in one line what did not happen, then what nothing was there to count.

use super::console::{ROWS, WIDTH, failed};
use super::page::{Ink, Page};
use super::text::{self, Align, count};
use super::words::words;
use crate::run::outcome::{Counter, Outcome, Unit};

/// Every counter once: those with a value and their causes, then the names of those at zero, then of those that nothing was there to count.
pub(super) fn counters(outcome: &Outcome, page: &mut Page) {
    let whole = |c: &&Counter| !c.name.contains('@');
    // "lost@cg" repeats "lost" unless the run has no total of that name.
    let totals: Vec<&str> = outcome.counters.iter().filter(whole).map(|c| c.name.as_str()).collect();
    let lone = |c: &&Counter| match c.name.split_once('@') {
        Some((stem, _)) => !totals.contains(&stem),
        None => true,
    };
    let judged = |c: &Counter| outcome.expectations.iter().any(|e| e.counter == c.name);
    let failures_follow = outcome.sends.values().any(|s| !s.failed_by_broker.is_empty());
    // The tables have a row a producer and a row a group: totals stand there too only where there is one row.
    let (one_producer, one_group) = (outcome.sends.len() == 1, outcome.groups.len() == 1);
    let in_a_table = |c: &Counter| {
        IN_TABLES.iter().any(|stem| c.name.starts_with(stem))
            || (one_producer && ["sent", "failed_sends"].contains(&c.name.as_str()))
            || (one_producer
                && c.name.starts_with("acked")
                && c.value.is_some_and(|v| v > 0 && all_answered(outcome) == v as u64))
            || (one_group && c.name == "delivered")
    };
    let in_recoveries = |c: &Counter| !outcome.recoveries.is_empty() && OF_RECOVERIES.contains(&c.name.as_str());
    let all: Vec<&Counter> = outcome.counters.iter().filter(lone).collect();
    if all.is_empty() {
        return;
    }
    let mut rows = Vec::new();
    for c in &all {
        let Some(v) = c.value.filter(|v| *v != 0) else { continue };
        if (c.causes.is_empty() && (judged(c) || in_a_table(c)))
            || (c.name == "failed_sends" && failures_follow)
            || in_recoveries(c)
        {
            continue;
        }
        rows.push(vec![c.name.clone(), text::value(v, c.unit), in_words(c)]);
    }
    let names = |wanted: Option<i64>| -> Vec<&str> {
        all.iter().filter(|c| c.value == wanted && !judged(c)).map(|c| c.name.as_str()).collect()
    };
    let (zero, mut absent) = (names(Some(0)), names(None));
    if outcome.groups.is_empty() && absent.len() > ROWS {
        absent.retain(|name| OF_THE_RUN.contains(name));
        absent.push("anything about deliveries, for nobody consumes");
    }
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
/// Counters that the section of recoveries tells in stages.
const OF_RECOVERIES: &[&str] = &["rto", "rto_deliveries", "rpo", "rpo_messages"];
/// Counters that may be without a value although they need no consumer.
const OF_THE_RUN: &[&str] = &[
    "longest_time_without_success",
    "last_failed_send",
    "rto",
    "rpo",
    "rpo_messages",
    "route_removal",
    "stale_route",
    "avoided_broker_time",
];

fn all_answered(outcome: &Outcome) -> u64 {
    outcome.sends.values().map(|s| s.n - failed(s).min(s.n)).sum()
}

/// "acknowledged, never delivered: SEND_OK, discarded at recovery 5".
fn in_words(c: &Counter) -> String {
    let parts = [words(&c.name).to_owned(), causes_of(c)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn causes_of(c: &Counter) -> String {
    const SHOWN: usize = 4;
    let mut parts: Vec<String> =
        c.causes.iter().take(SHOWN).map(|(cause, n)| format!("{cause} {}", text::value(*n, c.unit))).collect();
    if c.causes.len() > SHOWN {
        let (n, rest) = (c.causes.len() - SHOWN, &c.causes[SHOWN..]);
        // Counts add up. Durations are the worst of each, at times that overlap: their sum would be nothing that happened.
        parts.push(match c.unit {
            Unit::Duration | Unit::Ratio => format!("{} more", count(n as i128)),
            Unit::Count | Unit::QueueTime => {
                let rest = rest.iter().map(|(_, n)| *n).fold(0, i64::saturating_add);
                format!("{} other causes {}", count(n as i128), text::value(rest, c.unit))
            }
        });
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_what_its_name_means() {
        let of = |name: &str, causes: &[(&str, i64)]| {
            let causes = causes.iter().map(|(cause, n)| ((*cause).to_owned(), *n)).collect();
            in_words(&Counter { name: name.into(), value: Some(5), unit: Unit::Count, causes })
        };
        assert_eq!(of("delivered_though_refused@cg", &[]), "delivered although the call threw");
        assert_eq!(
            of("lost", &[("SEND_OK, discarded at recovery", 5)]),
            "acknowledged, never delivered: SEND_OK, discarded at recovery 5"
        );
        assert_eq!(of("of another build", &[]), "");
    }

    #[test]
    fn stalls_of_different_queues_are_not_added_up() {
        let of = |unit| {
            let causes = (0..9).map(|q| (format!("broker-a:{q}"), 60_000_000_000 - q)).collect();
            causes_of(&Counter { name: "x".into(), value: Some(60_000_000_000), unit, causes })
        };
        assert!(of(Unit::Duration).ends_with("broker-a:3 60.0 s · 5 more"), "{}", of(Unit::Duration));
        assert!(of(Unit::QueueTime).ends_with("5 other causes 300.0 queue·s"), "{}", of(Unit::QueueTime));
    }
}
