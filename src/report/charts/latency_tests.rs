//! The latency chart of whole, empty and odd runs.

use super::*;
use crate::report::charts::well_formed;
use crate::report::sample;

#[test]
fn a_frozen_brokers_chart_is_whole() {
    let svg = delivery_latency(&sample::broker_freeze());
    well_formed(&svg);
    for wanted in [
        "freeze broker-b:0",
        "first delivery",
        "duplicate",
        "failed send",
        "10 s",
        "seconds from time 0",
        "Who fails, and for how long",
        "#FFA400",
    ] {
        assert!(svg.contains(wanted), "{wanted} is missing");
    }
    assert!(svg.len() < 600_000, "{} bytes", svg.len());
    assert_eq!(svg, delivery_latency(&sample::broker_freeze()));
}

#[test]
fn odd_runs_have_a_chart() {
    well_formed(&delivery_latency(&sample::nothing()));
    well_formed(&delivery_latency(&sample::crowd()));
    let mut one = sample::nothing();
    one.series.deliveries = vec![(0.0, 0.0, 0)];
    well_formed(&delivery_latency(&one));
    one.series.deliveries.extend([(f64::NAN, 3.0, 0), (0.5, f64::INFINITY, 1), (0.5, -3.0, 1), (0.5, 1e300, 0), (1e300, 1.0, 0)]);
    one.series.sends = vec![(0.5, f64::NAN, 2), (0.5, 0.0, 1), (0.6, 3000.0, 9)];
    one.series.delivery_quantiles = vec![(0.0, f64::NAN, 1.0, 2.0), (0.0, 1.0, 1.0, 1.0)];
    one.faults = sample::crowd().faults;
    one.faults[0].from_s = f64::NAN;
    one.faults[1].from_s = -1e300;
    one.faults[2].until_s = Some(f64::NAN);
    one.header.question = "<&>\"'\u{0}\u{1b}".repeat(200);
    let svg = delivery_latency(&one);
    well_formed(&svg);
}

#[test]
fn windows_keep_the_worst() {
    let time = Time { from: 0.0, until: 100.0, left: 0, right: 100 };
    let seconds = [(0.0, 1.0, 5.0, 9.0), (1.0, 2.0, 50.0, 60.0), (2.0, 3.0, 5.0, 70.0), (10.0, 4.0, 4.0, 4.0)];
    assert_eq!(windows(&seconds, time, 5.0), [(2.5, 2.0, 50.0, 70.0), (12.5, 4.0, 4.0, 4.0)]);
}
