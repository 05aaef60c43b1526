//! The ownership chart of whole, empty and odd runs.

use super::*;
use crate::report::charts::well_formed;
use crate::report::sample;

#[test]
fn an_orderly_kills_chart_is_whole() {
    let svg = ownership(&sample::orderly_kill());
    well_formed(&svg);
    for wanted in ["kill c2", "owned by nobody", "group cg", "broker-a:3", "60.2", "180.8", "unowned", "overlap"] {
        assert!(svg.contains(wanted), "{wanted} is missing");
    }
    assert!(!svg.contains("owned by several"));
    assert!(ownership(&sample::broker_freeze()).contains("owned by several"));
    assert_eq!(svg, ownership(&sample::orderly_kill()));
}

#[test]
fn odd_runs_have_a_chart() {
    well_formed(&ownership(&sample::nothing()));
    let svg = ownership(&sample::crowd());
    well_formed(&svg);
    assert!(svg.contains("180 queues with the least"), "capped rows are named");
    let mut odd = sample::nothing();
    odd.series.ownership = vec![
        sample::row(
            "g",
            "q",
            &[(f64::NAN, 1.0, "a"), (0.0, f64::INFINITY, "a b c"), (0.5, 0.5, ""), (0.9, 0.1, "x"), (-1e300, 1e300, "")],
        ),
        sample::row("g", "", &[]),
        sample::row("", "<&>", &[(0.0, 1.0, "<b>")]),
    ];
    well_formed(&ownership(&odd));
}

/// Members of a group with a long name differ in their last characters.
#[test]
fn long_names_are_whole_in_the_legend() {
    let mut outcome = sample::nothing();
    let name = |n: u32| format!("settlement-reconciliation-consumers-of-the-southern-region-{n}");
    outcome.series.ownership = vec![sample::row(&name(0), "broker-a:0", &[(0.0, 1.0, &name(1)), (1.0, 2.0, &name(2))])];
    let svg = ownership(&outcome);
    well_formed(&svg);
    for n in 0..3 {
        assert!(svg.contains(&name(n)), "{n}");
    }
}

#[test]
fn totals_count_only_what_is_shown() {
    let time = Time { from: 0.0, until: 100.0, left: 0, right: 100 };
    let row = sample::row("g", "q", &[(-30.0, 10.0, ""), (10.0, 20.0, "a b"), (20.0, 90.0, "a"), (90.0, 130.0, "")]);
    let r = totals(&row, time);
    assert_eq!((r.unowned, r.doubly), (20.0, 10.0));
}
