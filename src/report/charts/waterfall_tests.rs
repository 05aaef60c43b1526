//! The waterfall of whole, empty and odd runs.

use super::*;
use crate::report::charts::well_formed;
use crate::report::sample;
use crate::run::outcome::StageReport;

#[test]
fn a_waterfall_is_whole() {
    let svg = waterfall(&sample::away());
    well_formed(&svg);
    for wanted in [
        "host of broker-a:0 lost; sends back after 32.6 s (median 18.6 s)",
        "lost 2 messages, 27 ms",
        "broker-a itself",
        "pg-39",
        "and 28 more producers, back within 24.2 s",
        "orders broker-a:3 to cg",
        "route refreshed: pollName",
        "sends not back within 23.0 s",
        "&gt; 23.0 s",
        "not back while it was measured",
        "seconds from the strike",
    ] {
        assert!(svg.contains(wanted), "{wanted} is missing");
    }
    assert!(!svg.contains("isolation over"), "a stage that nobody waited for has no key");
    assert_eq!(svg, waterfall(&sample::away()));
}

/// Bars of one row stand side by side: each begins where the one before it ended, and none lies outside the plot.
#[test]
fn bars_do_not_overlap() {
    let mut outcome = sample::nothing();
    let mut one = sample::away().recoveries.remove(0);
    one.senders.truncate(1);
    one.queues.clear();
    outcome.recoveries = vec![one];
    let svg = waterfall(&outcome);
    let number = |line: &str, key: &str| -> i32 {
        let at = line.find(&format!(" {key}=\"")).unwrap() + key.len() + 3;
        line[at..].split('"').next().unwrap().parse().unwrap()
    };
    let fills: Vec<String> = INKS.iter().map(|(_, ink)| format!("fill=\"#{:02X}{:02X}{:02X}\"", ink.0, ink.1, ink.2)).collect();
    let bars =
        svg.lines().filter(|l| l.starts_with("<rect") && fills.iter().any(|f| l.contains(f)) && number(l, "height") == BAR);
    let mut rows: std::collections::BTreeMap<i32, Vec<(i32, i32)>> = std::collections::BTreeMap::new();
    for bar in bars {
        rows.entry(number(bar, "y")).or_default().push((number(bar, "x"), number(bar, "x") + number(bar, "width")));
    }
    assert_eq!(rows.values().map(Vec::len).collect::<Vec<_>>(), [5, 7], "the set and its client");
    for row in rows.values() {
        assert!(row.windows(2).all(|w| w[0].1 <= w[1].0 + 1), "{row:?}");
        assert!(row.iter().all(|(x0, x1)| x0 < x1 && *x1 <= RIGHT + 1), "{row:?}");
    }
}

/// Both ends of a long name are there.
#[test]
fn long_names_take_more_lines() {
    let group = "settlement-reconciliation-consumers-of-the-southern-region";
    let mut outcome = sample::away();
    outcome.recoveries[0].queues[0].who = format!("orders broker-a:3 to {group}");
    let svg = waterfall(&outcome);
    well_formed(&svg);
    for line in ["orders broker-a:3", "to settlement-reconciliation-", "consumers-of-the-southern-region"] {
        assert!(svg.contains(&format!("\n{line}\n")), "{line}");
    }
    let lines = |who: &str, width| name_lines(who, width);
    assert_eq!(lines("pg-0", 250), ["pg-0"]);
    assert_eq!(lines("orders broker-a:3 to the-group", 130), ["orders broker-a:3", "to the-group"]);
    assert_eq!(lines(group, 250), ["settlement-reconciliation-consumers-", "of-the-southern-region"]);
    assert!(lines(&group.repeat(4), 250).last().is_some_and(|line| line.ends_with('…')));
    for odd in ["ä".repeat(300), "-".repeat(300), String::new(), " to ".repeat(99), "a to ".to_owned() + &"b".repeat(999)] {
        let lines = lines(&odd, 250);
        assert!(lines.len() <= MOST_LINES && lines.iter().all(|line| text_width(line, SMALL) <= 250), "{odd}: {lines:?}");
    }
}

#[test]
fn odd_runs_have_a_waterfall() {
    let empty = waterfall(&sample::nothing());
    well_formed(&empty);
    assert!(empty.contains("no broker set was away"));
    let mut odd = sample::away();
    odd.header.question = String::new();
    let stage = |took| StageReport { name: "never heard of", took, waits_for: "<&>".to_owned() };
    odd.recoveries[1].senders[0].stages = vec![stage(u64::MAX), stage(u64::MAX), stage(0)];
    odd.recoveries[1].senders[0].outage = u64::MAX;
    odd.recoveries[1].itself.stages.clear();
    for n in 0..9 {
        odd.recoveries.push(Recovery { at_s: n as f64, ..odd.recoveries[0].clone() });
    }
    let svg = waterfall(&odd);
    well_formed(&svg);
    assert!(svg.contains("7 shorter outages are not shown"));
}
