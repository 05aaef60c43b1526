//! The summary against the shape of the live summaries.

use super::*;
use crate::report::sample;
use serde_json::Value;

fn parsed(outcome: &Outcome) -> Value {
    serde_json::from_str(&summary(outcome)).unwrap()
}

#[test]
fn figures_have_the_live_names_and_spellings() {
    let v = parsed(&sample::broker_freeze());
    let p = &v["sends"]["pg-0"];
    assert_eq!(p["status"].to_string(), r#"{"EXC":330,"SEND_OK":12670}"#);
    assert_eq!(p["round_trip_ms"].to_string(), r#"{"max":2999,"n":12670,"p50":2,"p90":78,"p99":2674}"#);
    assert_eq!(p["slow_over_1s"].to_string(), r#"{"first_s":30.708,"last_s":142.588,"n":941}"#);
    assert_eq!(p["not_send_ok"].to_string(), r#"{"n":0}"#);
    assert_eq!(p["failed_last_s"].to_string(), "143.989");
    assert_eq!(p["longest_time_without_success_by_broker_s"]["broker-b"].to_string(), "206.302");
    let g = &v["groups"]["cg"];
    assert_eq!(g["worst_store_to_listener_s_by_queue"]["broker-a:3"].to_string(), "67.937");
    assert_eq!(g["reconsume_times"].to_string(), r#"{"0":14762}"#);
    assert_eq!(g["allocations"][0]["t"].to_string(), "-32.162");
    assert!(g.get("seconds_before_attempt").is_none() && v.get("transaction_checks").is_none() && v.get("shutdowns").is_none());
    assert_eq!(v["digest"], "9f86d081884c7d65");
    assert_eq!(v["verdict"], "fail");
    assert_eq!(v["counters"]["unowned"]["causes"]["ghost members"].to_string(), "260.0");
    assert_eq!(v["counters"]["half_messages"]["value"], Value::Null);
    assert_eq!(v["counters"]["load_skew"].to_string(), r#"{"unit":"ratio","value":1.125}"#);
}

#[test]
fn keys_of_a_group_and_a_producer_come_in_the_live_order() {
    let text = summary(&sample::broker_freeze());
    let keys = [
        "\"model\"",
        "\"deliveries\"",
        "\"distinct\"",
        "\"duplicates\"",
        "\"duplicated_messages\"",
        "\"lost_acked\"",
        "\"delivered_but_not_acked\"",
        "\"unknown\"",
        "\"latency_ms\"",
        "\"latency_over_1s\"",
        "\"order_inversions_per_key\": 0,\n",
        "\"deliveries_by_consumer_per_10s\"",
        "\"worst_store_to_listener_s_by_queue\"",
        "\"duplicate_deliveries_first_s\"",
        "\"reconsume_times\"",
        "\"allocations\"",
    ];
    let groups = text.find("\"groups\"").unwrap();
    let found: Vec<usize> = keys.iter().map(|k| text[groups..].find(k).unwrap_or_else(|| panic!("{k} is missing"))).collect();
    assert!(found.is_sorted(), "{found:?}");
}

#[test]
fn what_does_not_exist_is_null_and_nothing_is_nan() {
    let mut outcome = sample::orderly_kill();
    let group = GroupFigures { model: "broadcasting", lost_acked: None, ..GroupFigures::default() };
    outcome.groups.insert("b".into(), group);
    outcome.sends.insert("p".into(), SendFigures { longest_time_without_success_s: Some(f64::NAN), ..SendFigures::default() });
    outcome.faults[0].from_s = f64::INFINITY;
    let text = summary(&outcome);
    let v: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(v["groups"]["b"]["lost_acked"], Value::Null);
    assert_eq!(v["groups"]["b"]["latency_ms"].to_string(), r#"{"n":0}"#);
    assert_eq!(v["sends"]["p"]["failed_first_s"], Value::Null);
    assert_eq!(v["sends"]["p"]["longest_time_without_success_s"], Value::Null);
    assert!(!text.contains("NaN") && !text.contains("inf,"), "{text}");
}

#[test]
fn transaction_checks_delay_levels_and_shutdowns_have_the_live_shape() {
    let mut outcome = sample::orderly_kill();
    let spread = SecondsSpread { n: 100, min: 1.0, p50: 19.678, p90: 27.403, p99: 29.376, max: 29.376 };
    outcome.transaction_checks = Some(TransactionFigures {
        messages_checked: 100,
        checks: 100,
        more_than_one: 0,
        seconds_to_first_check: spread,
        check_times_s: vec![29.9, 27.4, 29.1],
    });
    outcome.shutdowns = vec![("c1".into(), "closing", 75.1283), ("c1".into(), "closed", 76.0)];
    let group = outcome.groups.get_mut("cg").unwrap();
    group.latency_ms_by_delay_level.insert(1, MsQuantiles { n: 5, min: 1007, p50: 1070, p90: 1, p99: 1, max: 1324 });
    group.seconds_before_attempt.insert(1, SecondsSpread { n: 120, min: 1.0, p50: 1.001, p90: 1.0, p99: 1.0, max: 1.022 });
    let text = summary(&outcome);
    for line in [
        r#""transaction_checks": {"messages": 100, "checks": 100, "seconds_to_first_check": {"n": 100, "p50": 19.678, "p90": 27.403, "p99": 29.376, "max": 29.376}, "more_than_one": 0, "at_s": [27, 29]}"#,
        r#""shutdowns": [{"node": "c1", "what": "closing", "t": 75.128}, {"node": "c1", "what": "closed", "t": 76.0}]"#,
        r#""seconds_before_attempt": {"1": {"n": 120, "min": 1.0, "p50": 1.001, "max": 1.022}}"#,
        r#""latency_ms_by_delay_level": {"1": {"min": 1007, "p50": 1070, "max": 1324}}"#,
    ] {
        let flat: String = text.split_whitespace().collect();
        assert!(flat.contains(&line.split_whitespace().collect::<String>()), "{line}\n{text}");
    }
}

#[test]
fn the_same_outcome_gives_the_same_bytes_and_any_text_survives() {
    let mut outcome = sample::crowd();
    outcome.header.question = "a \"quoted\"\n\tquestion \u{1} with \\ and \u{1F680}".into();
    assert_eq!(summary(&outcome), summary(&outcome.clone()));
    assert_eq!(parsed(&outcome)["question"], outcome.header.question.as_str());
}

/// Of a large cluster the worst are listed, the number of the others is told, and they count in the medians.
#[test]
fn an_outage_of_very_many_clients_says_what_it_does_not_list() {
    let mut outcome = sample::away();
    let told = |outcome: &Outcome| parsed(outcome)["recoveries"][0].clone();
    assert!(told(&outcome)["senders_not_listed"].is_null());
    let one = outcome.recoveries[0].senders[0].clone();
    let many = |n: u64| Waited { who: format!("p{n}"), outage: one.outage + 1_000_000_000 * (3_000 - n), ..one.clone() };
    outcome.recoveries[0].senders = (0..1_500).map(many).collect();
    let r = told(&outcome);
    assert_eq!((r["senders"].as_array().map(Vec::len), r["senders_not_listed"].as_u64()), (Some(1_000), Some(500)));
    let s = |n: u64| serde_json::json!((one.outage / 1_000_000_000 + 3_000 - n) as f64);
    assert_eq!(r["rto_sends"]["median_s"].as_f64().map(f64::floor), s(750).as_f64());
}
