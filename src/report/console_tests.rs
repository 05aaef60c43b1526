//! The answer, letter by letter for one run, and its promises for others.

use super::*;
use crate::report::sample;
use crate::run::outcome::{CheckResult, Counter, FaultReport, Unit};

#[test]
fn the_answer_to_a_frozen_broker() {
    insta::assert_snapshot!(render(&sample::broker_freeze(), false), @r"
    seed 7  broker_freeze  RocketMQ 4.9.8  digest 9f86d081884c7d65
    Who fails, and for how long, when one of two brokers stands still for three minutes?
    FAIL  expectations: 1 of 3 broken; laws: 3 of 3 hold; not drained at 294.0 s after 1,234,567 events

    expectations
      FAIL  longest_time_without_success  expected <= 1 s     got 1.746 s  pg-0, from 30.1 s
      PASS  lost                          expected <= 0       got 0
      PASS  failed_sends                  expected 25 to 400  got 330

    faults
      freeze broker-b:0  30.1 s  to 210.1 s  touched 14

    sends
              sent  answered  failed   p50     p99     max  longest without success
      pg-0  13,000    12,670     330  2 ms  2.67 s  3.00 s  1.75 s (broker-b 206.3 s)

    deliveries
          delivered  distinct  over 1 s   p50     p99      max  worst queue, from store to listener
      cg     14,762    13,000     1,253  4 ms  67.7 s  251.5 s  broker-b:1 71.5 s

    counters
      duplicates                        1,762  delivered again without being asked for: offset not committed before the queue moved 1,700 · producer retry stored twice 62
      delivered_though_refused            330  delivered although the call threw: timeout 330
      offset_rollbacks                      3  committed offsets that went back
      unowned                   382.0 queue·s  ghost members 260.0 queue·s · route dropped the broker 122.0 queue·s
      doubly_owned               1.50 queue·s
      load_skew                         1.125
      none: order_inversions_per_key, ghosts
      not measured: half_messages

    failed sends, begun 30.1 s to 144.0 s
      calls  last attempt at  thrown to the caller
        210  broker-b         RemotingTimeoutException: wait response timeout
        120  broker-a         RemotingTooMuchRequestException: call timeout
      attempts that failed, by broker, retried ones included: broker-b 1,290 · broker-a 4

    outages
      delivery of T broker-b:1 to cg  30.1 s  to 280.6 s  250.5 s  ended by expiry of ghost members (channelExpiredTimeout 120 s)
      sends of pg-0 to broker-b       30.1 s  to 236.3 s  206.2 s  ended by route poll of pg-0 (pollNameServerInterval 30 s)

    undelivered at the end
      group  queue       messages  oldest
      cg     broker-b:1     1,200  31.1 s
      3 messages in 1 queue delivered or filtered out, but not yet committed at the end

    repeat: windtunnel run scenarios/broker_freeze.json --seed 7
    ");
}

#[test]
fn colour_only_adds_to_the_words() {
    let outcome = sample::broker_freeze();
    let mut plain = String::new();
    let mut rest = render(&outcome, true);
    assert!(rest.contains("\x1b[1;31mFAIL"));
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let end = at + rest[at..].find('m').unwrap() + 1;
        rest = rest.split_off(end);
    }
    plain.push_str(&rest);
    assert_eq!(plain, render(&outcome, false));
}

#[test]
fn a_long_answer_is_cut_and_says_so() {
    let mut outcome = sample::crowd();
    for i in 0..40 {
        outcome.outages.push(crate::run::outcome::Outage {
            what: format!("sends of pg-{i} to broker-b"),
            from_s: f64::from(i),
            until_s: None,
            ended_by: String::new(),
        });
        outcome.groups.get_mut("cg").unwrap().backlog_by_queue.insert(format!("broker-a:{i}"), 7);
        outcome.sends.insert(format!("pg-{i}"), Default::default());
        outcome.counters.push(Counter { name: format!("counter-{i}"), value: Some(1), unit: Unit::Count, causes: Vec::new() });
    }
    let answer = render(&outcome, false);
    assert!(answer.contains("more in summary.json"), "{answer}");
    assert!(answer.lines().count() < 85, "{} lines", answer.lines().count());
}

#[test]
fn laws_that_do_not_hold_and_faults_that_met_nothing_stand_out() {
    let mut outcome = sample::nothing();
    outcome.verdict = Verdict::Fail;
    outcome.laws = vec![
        CheckResult {
            name: "no phantom",
            verdict: Verdict::Fail,
            compared: 12,
            detail: "p0#7 was delivered and never sent".into(),
        },
        CheckResult { name: "conservation", verdict: Verdict::Unknown, compared: 0, detail: String::new() },
    ];
    outcome.faults = vec![FaultReport { label: "kill broker-z:0".into(), from_s: 30.0, until_s: None, touched: 0 }];
    outcome.header.path = "-odd name.json".into();
    let answer = render(&outcome, false);
    assert!(answer.contains("FAIL  no phantom    p0#7 was delivered and never sent"), "{answer}");
    assert!(answer.contains("-     conservation  nothing to judge"), "{answer}");
    assert!(answer.contains("laws: 1 of 1 broken, 1 had nothing to judge"), "{answer}");
    assert!(answer.contains("touched NOTHING"), "{answer}");
    assert!(answer.ends_with("repeat: windtunnel run './-odd name.json'\n"), "{answer}");
}

#[test]
fn an_outage_of_sends_ends_with_the_load() {
    let mut outcome = sample::nothing();
    let outage = |until_s, ended_by: &str| crate::run::outcome::Outage {
        what: "sends of pg-0".into(),
        from_s: 60.0,
        until_s,
        ended_by: ended_by.into(),
    };
    outcome.header.end = 1_000_000_000_000;
    for (outage, line) in [
        (outage(Some(240.0), "not ended before the load"), "sends of pg-0  60.0 s  until the load ended  180.0 s"),
        (outage(None, "not ended"), "sends of pg-0  60.0 s  until the run ended  15 min 40 s"),
        (outage(Some(70.0), "the thaw of broker-b"), "sends of pg-0  60.0 s  to 70.0 s  10.0 s  ended by the thaw of broker-b"),
    ] {
        outcome.outages = vec![outage];
        let answer = render(&outcome, false);
        assert!(answer.contains(&format!("  {line}\n")), "{line}\n{answer}");
    }
}

#[test]
fn what_is_only_uncommitted_is_not_a_backlog() {
    let mut outcome = sample::nothing();
    let mut group = GroupFigures { model: "clustering", ..GroupFigures::default() };
    group.backlog_by_queue = [("broker-a:0".to_owned(), 1), ("broker-a:1".to_owned(), 2), ("broker-a:2".to_owned(), 0)].into();
    outcome.groups.insert("cg".into(), group.clone());
    let answer = render(&outcome, false);
    assert!(!answer.contains("undelivered"), "{answer}");
    assert!(answer.contains("  3 messages in 2 queues delivered"), "{answer}");
    group.undelivered_by_queue = [("broker-a:1".to_owned(), 1)].into();
    group.oldest_undelivered_by_queue_s = [("broker-a:1".to_owned(), 4.5)].into();
    outcome.groups.insert("cg".into(), group);
    let answer = render(&outcome, false);
    assert!(answer.contains("  cg     broker-a:1         1  4.50 s\n"), "{answer}");
    assert!(answer.contains("  2 messages in 2 queues delivered"), "{answer}");
}

#[test]
fn lost_for_good_is_told_from_not_drained() {
    let mut outcome = sample::nothing();
    outcome.header.drained = false;
    let answer = |lost_acked, lost_for_good| {
        let group = GroupFigures { lost_acked: Some(lost_acked), lost_for_good, ..GroupFigures::default() };
        let mut outcome = outcome.clone();
        outcome.groups.insert("cg".into(), group);
        render(&outcome, false)
    };
    assert!(answer(3, 3).contains("what is missing is lost for good"));
    for (lost, for_good) in [(3, 2), (0, 0)] {
        assert!(answer(lost, for_good).contains("not drained at"), "{lost} {for_good}");
    }
}

#[test]
fn nobody_who_consumes_needs_no_list_of_what_was_not_consumed() {
    let mut outcome = sample::nothing();
    for name in ["delivered", "lost", "duplicates", "takeover", "backlog_end", "queue_moves", "stale_route"] {
        outcome.counters.push(Counter { name: name.into(), value: None, unit: Unit::Count, causes: Vec::new() });
    }
    let answer = render(&outcome, false);
    assert!(answer.contains("not measured: stale_route, anything about deliveries, for nobody consumes\n"), "{answer}");
}

#[test]
fn a_run_of_nothing_has_an_answer() {
    let answer = render(&sample::nothing(), false);
    assert!(answer.starts_with("seed 0  ") && answer.contains("\nUNKNOWN  "), "{answer}");
}
