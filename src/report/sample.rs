//! Hand-made outcomes for tests and for looking at the charts: the shape of a frozen broker and of a killed orderly consumer, as real
//! clusters show them, and a run in which nothing happened.
//!
//! `cargo test -- --ignored pictures` writes their charts to a folder and names it.

use crate::run::outcome::*;
use std::collections::BTreeMap;

/// A generator good enough to scatter points.
struct Scatter(u64);

impl Scatter {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Between a and b, evenly on a log scale.
    fn log(&mut self, a: f64, b: f64) -> f64 {
        libm::exp(libm::log(a) + self.unit() * (libm::log(b) - libm::log(a)))
    }
}

/// Warm-up that lasted nothing, no node, no message.
pub(crate) fn nothing() -> Outcome {
    Outcome {
        header: Header::default(),
        verdict: Verdict::Unknown,
        laws: Vec::new(),
        expectations: Vec::new(),
        counters: Vec::new(),
        faults: Vec::new(),
        sends: BTreeMap::new(),
        groups: BTreeMap::new(),
        outages: Vec::new(),
        crashes: Vec::new(),
        recoveries: Vec::new(),
        series: Series::default(),
        shutdowns: Vec::new(),
        transaction_checks: None,
        warnings: Vec::new(),
    }
}

fn header(scenario: &str, question: &str, end_s: u64) -> Header {
    Header {
        scenario: scenario.into(),
        question: question.into(),
        rocketmq: "4.9.8".into(),
        seed: 7,
        digest: 0x9f86_d081_884c_7d65,
        events: 1_234_567,
        simulated: (60 + end_s) * 1_000_000_000,
        zero: 60_000_000_000,
        load_end: (60 + end_s - 30) * 1_000_000_000,
        end: (60 + end_s) * 1_000_000_000,
        drained: true,
        path: format!("scenarios/{scenario}.json"),
        arguments: vec!["--seed 7".into()],
        ..Header::default()
    }
}

fn law(name: &'static str, compared: u64) -> CheckResult {
    CheckResult { name, verdict: Verdict::Pass, compared, detail: String::new() }
}

fn counter(name: &str, value: Option<i64>, unit: Unit, causes: &[(&str, i64)]) -> Counter {
    Counter { name: name.into(), value, unit, causes: causes.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect() }
}

const S: i64 = 1_000_000_000;

/// `broker_freeze`: broker-b stands still from 30 s to 210 s.
pub(crate) fn broker_freeze() -> Outcome {
    let mut rng = Scatter(1);
    let mut series = Series::default();
    let frozen = |t: f64| (30.05..210.05).contains(&t);
    for i in 0..13_000 {
        let t = i as f64 / 50.0;
        let to_b = i % 2 == 1;
        if to_b && t > 30.05 && t < 144.0 && rng.unit() < 0.22 {
            let ms = if rng.unit() < 0.3 { 3000.0 + 45.0 * rng.unit() } else { rng.log(2000.0, 3000.0) };
            series.sends.push((t, ms, if rng.unit() < 0.4 { 1 } else { 2 }));
            // Stored all the same; delivered after the thaw.
            let at = 211.0 + 30.0 * rng.unit();
            series.deliveries.push((at, (at - t) * 1000.0, 0));
            continue;
        }
        let ms = match (to_b, frozen(t), rng.unit()) {
            (true, true, x) if x < 0.3 => rng.log(1000.0, 3000.0),
            (false, true, x) if x < 0.1 => rng.log(500.0, 68_000.0),
            (_, _, x) if x < 0.01 => rng.log(30.0, 200.0),
            _ => rng.log(0.8, 6.0),
        };
        series.deliveries.push((t + ms / 1000.0, ms, 0));
    }
    for i in 0..1762 {
        let t = if i < 100 { 33.0 + 40.0 * rng.unit() } else { 212.0 + 69.0 * rng.unit() };
        series.deliveries.push((t, rng.log(300.0, 180_000.0), 1));
    }
    quantiles(&mut series);
    let queue = |broker: &str, n: u32, spans: &[(f64, f64, &str)]| row("cg", &format!("{broker}:{n}"), spans);
    series.ownership = vec![
        queue("broker-a", 0, &[(-32.1, 293.6, "c1")]),
        queue("broker-a", 1, &[(-32.1, 213.7, "c1"), (213.7, 260.6, ""), (260.6, 293.6, "c1")]),
        queue("broker-a", 2, &[(-26.0, 172.1, "c1"), (172.1, 293.6, "c2")]),
        queue("broker-a", 3, &[(-26.0, 166.2, "c2"), (166.2, 280.6, "c3"), (280.6, 293.6, "c2")]),
        queue("broker-b", 0, &[(-28.9, 172.1, "c2"), (172.1, 240.6, ""), (240.6, 293.6, "c2")]),
        queue("broker-b", 1, &[(-28.9, 172.1, "c2"), (172.1, 280.6, ""), (280.6, 293.6, "c2")]),
        queue("broker-b", 2, &[(-26.0, 166.2, "c3"), (166.2, 213.7, ""), (213.7, 215.2, "c2 c3"), (215.2, 293.6, "c3")]),
        queue(
            "broker-b",
            3,
            &[(-26.0, 166.2, "c3"), (166.2, 233.7, ""), (233.7, 237.5, "c3"), (237.5, 260.6, ""), (260.6, 293.6, "c3")],
        ),
    ];
    let bins = |v: &[u64]| v.to_vec();
    let sends = SendFigures {
        n: 13_000,
        status: BTreeMap::from([("SEND_OK", 12_670), ("EXC", 330)]),
        errors: BTreeMap::from([
            ("RemotingTooMuchRequestException: sendDefaultImpl call timeout".to_owned(), 120),
            ("MQClientException: Send [3] times".to_owned(), 210),
        ]),
        round_trip_ms: MsQuantiles { n: 12_670, min: 1, p50: 2, p90: 78, p99: 2_674, max: 2_999 },
        failed_round_trip_ms: MsQuantiles { n: 330, min: 2, p50: 2_814, p90: 3_017, p99: 3_039, max: 3_047 },
        failed_first_s: Some(30.069),
        failed_last_s: Some(143.9891),
        slow_over_1s: 941,
        slow_first_s: Some(30.708),
        slow_last_s: Some(142.588),
        acked_by_broker_per_10s: BTreeMap::from([
            ("broker-a".to_owned(), bins(&[249, 253])),
            ("broker-b".to_owned(), bins(&[252, 247])),
        ]),
        failed_per_10s: bins(&[0, 0, 0, 210, 94]),
        slow_per_10s: bins(&[0, 0, 0, 19, 47]),
        longest_time_without_success_s: Some(1.746),
        longest_time_without_success_by_broker_s: BTreeMap::from([
            ("broker-a".to_owned(), 1.746),
            ("broker-b".to_owned(), 206.302),
        ]),
        without_answer_s: Some(1.746),
        without_answer_by_broker_s: BTreeMap::from([("broker-a".to_owned(), 1.746), ("broker-b".to_owned(), 206.302)]),
        failed_by_broker: BTreeMap::from([
            ("broker-b".to_owned(), BTreeMap::from([("RemotingTimeoutException: wait response timeout".to_owned(), 210)])),
            ("broker-a".to_owned(), BTreeMap::from([("RemotingTooMuchRequestException: call timeout".to_owned(), 120)])),
        ]),
        failed_attempts_by_broker: BTreeMap::from([("broker-a".to_owned(), 4), ("broker-b".to_owned(), 1_290)]),
        ..SendFigures::default()
    };
    let group = GroupFigures {
        model: "clustering",
        deliveries: 14_762,
        distinct: 13_000,
        duplicates: 1_762,
        duplicated_messages: 1_622,
        lost_acked: Some(0),
        delivered_but_not_acked: 330,
        latency_ms: MsQuantiles { n: 13_000, min: 1, p50: 4, p90: 90, p99: 67_678, max: 251_538 },
        latency_over_1s: 1_253,
        deliveries_by_consumer_per_10s: BTreeMap::from([
            ("c1".to_owned(), bins(&[187, 190])),
            ("c2".to_owned(), bins(&[188, 185])),
        ]),
        worst_store_to_listener_s_by_queue: BTreeMap::from([
            ("broker-a:3".to_owned(), 67.937),
            ("broker-b:1".to_owned(), 71.535),
        ]),
        duplicate_deliveries_first_s: Some(33.091),
        duplicate_deliveries_last_s: Some(281.624),
        reconsume_times: BTreeMap::from([(0, 14_762)]),
        allocations: vec![AllocationChange {
            t: -32.162,
            consumer: "c1".into(),
            members: 1,
            queues_in_view: 8,
            owned: vec!["broker-a:0".into(), "broker-a:1".into()],
        }],
        backlog_by_queue: BTreeMap::from([("broker-a:0".to_owned(), 0), ("broker-b:1".to_owned(), 1_203)]),
        oldest_by_queue_s: BTreeMap::from([("broker-b:1".to_owned(), 31.2)]),
        undelivered_by_queue: BTreeMap::from([("broker-b:1".to_owned(), 1_200)]),
        oldest_undelivered_by_queue_s: BTreeMap::from([("broker-b:1".to_owned(), 31.1)]),
        peak_backlog: 4_011,
        ..GroupFigures::default()
    };
    Outcome {
        header: Header {
            drained: false,
            ..header("broker_freeze", "Who fails, and for how long, when one of two brokers stands still for three minutes?", 294)
        },
        verdict: Verdict::Fail,
        laws: vec![law("no phantom", 14_762), law("conservation of messages", 13_000), law("one lock holder at a broker", 0)],
        expectations: vec![
            expectation("lost", None, Some(0), Some(0), Unit::Count, Verdict::Pass, ""),
            expectation(
                "longest_time_without_success",
                None,
                Some(S),
                Some(1_746_000_000),
                Unit::Duration,
                Verdict::Fail,
                "pg-0, from 30.1 s",
            ),
            expectation("failed_sends", Some(25), Some(400), Some(330), Unit::Count, Verdict::Pass, ""),
        ],
        counters: vec![
            counter("lost", Some(0), Unit::Count, &[]),
            counter("lost@cg", Some(0), Unit::Count, &[]),
            counter("failed_sends", Some(330), Unit::Count, &[("timeout", 210), ("call timeout", 120)]),
            counter(
                "duplicates",
                Some(1_762),
                Unit::Count,
                &[("offset not committed before the queue moved", 1_700), ("producer retry stored twice", 62)],
            ),
            counter("order_inversions_per_key", Some(0), Unit::Count, &[]),
            counter("delivered_though_refused", Some(330), Unit::Count, &[("timeout", 330)]),
            counter("ghosts", Some(0), Unit::Count, &[]),
            counter("offset_rollbacks", Some(3), Unit::Count, &[]),
            counter(
                "unowned",
                Some(382 * S),
                Unit::QueueTime,
                &[("ghost members", 260 * S), ("route dropped the broker", 122 * S)],
            ),
            counter("doubly_owned", Some(1_500_000_000), Unit::QueueTime, &[]),
            counter("longest_time_without_success", Some(1_746_000_000), Unit::Duration, &[]),
            counter("delivery_latency_p99", Some(67_678_000_000), Unit::Duration, &[]),
            counter("load_skew", Some(1_125), Unit::Ratio, &[]),
            counter("half_messages", None, Unit::Count, &[]),
        ],
        faults: vec![FaultReport { label: "freeze broker-b:0".into(), from_s: 30.054, until_s: Some(210.054), touched: 14 }],
        sends: BTreeMap::from([("pg-0".to_owned(), sends)]),
        groups: BTreeMap::from([("cg".to_owned(), group)]),
        outages: vec![
            Outage {
                what: "sends of pg-0 to broker-b".into(),
                from_s: 30.1,
                until_s: Some(236.302),
                ended_by: "route poll of pg-0 (pollNameServerInterval 30 s)".into(),
            },
            Outage {
                what: "delivery of T broker-b:1 to cg".into(),
                from_s: 30.1,
                until_s: Some(280.601),
                ended_by: "expiry of ghost members (channelExpiredTimeout 120 s)".into(),
            },
        ],
        series,
        ..nothing()
    }
}

fn expectation(
    name: &str,
    min: Option<i64>,
    max: Option<i64>,
    got: Option<i64>,
    unit: Unit,
    verdict: Verdict,
    detail: &str,
) -> ExpectationResult {
    ExpectationResult { counter: name.into(), min, max, got, unit, verdict, detail: detail.into() }
}

/// `orderly_kill`: c2 of three orderly consumers dies at 30 s; its queues wait 60 s for the brokers' locks to lapse.
pub(crate) fn orderly_kill() -> Outcome {
    let mut rng = Scatter(2);
    let mut series = Series::default();
    for i in 0..7200 {
        let t = i as f64 / 40.0;
        let ms = rng.log(1.0, 8.0);
        let (at, ms) = match i % 8 {
            3..=5 if (29.9..90.2).contains(&t) => (90.2 + rng.unit(), 0.0),
            _ => (t + ms / 1000.0, ms),
        };
        series.deliveries.push((at, if ms > 0.0 { ms } else { (at - t) * 1000.0 }, 0));
    }
    series.deliveries.extend([(90.2, 60_400.0, 1), (90.3, 60_500.0, 1)]);
    quantiles(&mut series);
    let queue = |broker: &str, n: u32, spans: &[(f64, f64, &str)]| row("cg", &format!("{broker}:{n}"), spans);
    series.ownership = vec![
        queue("broker-a", 0, &[(-31.0, 203.5, "c1")]),
        queue("broker-a", 1, &[(-31.0, 203.5, "c1")]),
        queue("broker-a", 2, &[(-31.0, 203.5, "c1")]),
        queue("broker-a", 3, &[(-31.0, 30.0, "c2"), (30.0, 90.2, ""), (90.2, 203.5, "c1")]),
        queue("broker-b", 0, &[(-31.0, 30.0, "c2"), (30.0, 90.3, ""), (90.3, 203.5, "c3")]),
        queue("broker-b", 1, &[(-31.0, 30.0, "c2"), (30.0, 90.3, ""), (90.3, 203.5, "c3")]),
        queue("broker-b", 2, &[(-31.0, 203.5, "c3")]),
        queue("broker-b", 3, &[(-31.0, 203.5, "c3")]),
    ];
    let mut h = header("orderly_kill", "How long do the queues of a killed orderly consumer wait?", 204);
    h.load_end = 240_000_000_000;
    Outcome {
        header: h,
        verdict: Verdict::Pass,
        laws: vec![law("no phantom", 7_202), law("one lock holder at a broker", 3_210)],
        expectations: vec![expectation(
            "unowned_longest",
            Some(59 * S),
            Some(61 * S),
            Some(60_230_000_000),
            Unit::Duration,
            Verdict::Pass,
            "",
        )],
        counters: vec![
            counter("lost", Some(0), Unit::Count, &[]),
            counter("duplicates", Some(2), Unit::Count, &[("killed before its commit", 2)]),
        ],
        faults: vec![FaultReport { label: "kill c2".into(), from_s: 30.039, until_s: None, touched: 5 }],
        groups: BTreeMap::from([(
            "cg".to_owned(),
            GroupFigures { model: "clustering", orderly: true, deliveries: 7_202, ..GroupFigures::default() },
        )]),
        series,
        ..nothing()
    }
}

/// A row whose owners are written as one text, apart by blanks.
pub(crate) fn row(group: &str, queue: &str, spans: &[(f64, f64, &str)]) -> OwnershipRow {
    let spans = spans.iter().map(|(a, b, who)| (*a, *b, who.split_whitespace().map(str::to_owned).collect())).collect();
    OwnershipRow { group: group.into(), queue: queue.into(), spans }
}

fn quantiles(series: &mut Series) {
    let mut by_second: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (t, ms, class) in &series.deliveries {
        if *class == 0 {
            by_second.entry(libm::floor(*t) as i64).or_default().push(*ms);
        }
    }
    for (second, mut all) in by_second {
        all.sort_by(f64::total_cmp);
        let at = |q: usize| all[(all.len() - 1) * q / 100];
        series.delivery_quantiles.push((second as f64, at(50), at(99), at(100)));
    }
}

/// Many faults, many queues, many consumers, long names.
pub(crate) fn crowd() -> Outcome {
    let mut outcome = broker_freeze();
    let h = &mut outcome.header;
    h.question = "What do two hundred and forty queues and forty consumers of two groups see of a rolling restart of all brokers, three cuts, \
                  a clock that jumps, and a consumer whose listener takes four minutes, in one evening of a busy shop?"
        .into();
    h.end = (60 + 3600) * 1_000_000_000;
    h.load_end = (60 + 3300) * 1_000_000_000;
    outcome.faults = (0..9)
        .map(|i| FaultReport {
            label: format!("cut broker-{i} from every nameserver"),
            from_s: 100.0 + 380.0 * f64::from(i),
            until_s: Some(160.0 + 380.0 * f64::from(i)),
            touched: 3,
        })
        .collect();
    for i in 0..8 {
        let from_s = 300.0 * f64::from(i);
        outcome.faults.push(FaultReport { label: "clock_step ns-0".into(), from_s, until_s: None, touched: 1 });
    }
    outcome.series.ownership = (0..240)
        .map(|i| {
            let gap = f64::from(i * 7 % 100);
            let (a, b) = (format!("order-service-7f9c-{}", i % 40), format!("order-service-7f9c-{}", (i + 1) % 40));
            let both = format!("{a} {b}");
            let spans = [
                (-20.0, 900.0, a.as_str()),
                (900.0, 900.0 + gap, ""),
                (900.0 + gap, 1900.0, b.as_str()),
                (1900.0, 1900.0 + gap / 3.0, both.as_str()),
                (1900.0 + gap / 3.0, 3600.0, a.as_str()),
            ];
            row(if i < 120 { "billing" } else { "shipping" }, &format!("broker-{}:{}", i % 3, i % 120), &spans)
        })
        .collect();
    outcome
}

fn waited(who: &str, over: bool, stages: &[(&'static str, u64, &str)]) -> Waited {
    let stages =
        stages.iter().map(|(name, ms, waits_for)| StageReport { name, took: ms * 1_000_000, waits_for: (*waits_for).to_owned() });
    let stages: Vec<StageReport> = stages.collect();
    let outage = stages.iter().map(|s| s.took).sum();
    Waited { who: who.to_owned(), outage, over, stages, without_any: None, by_queue: Vec::new(), meanwhile: None }
}

/// Two outages of sets with many clients: one by an election, one that did not end.
pub(crate) fn away() -> Outcome {
    let mut outcome = nothing();
    outcome.header =
        header("dledger-leader-loss", "The leader's host is lost: how long does each client wait, and what for?", 240);
    let poll = "pollNameServerInterval 30 s";
    let elected = [
        ("election begun", 4_700, "maxHeartBeatLeak 3 x heartBeatTimeIntervalMs 2 s since the last heartbeat"),
        ("elected", 400, "votes"),
        ("opened", 100, "DLedgerRoleChangeHandler"),
        ("registered", 2, "registration at ns-0"),
    ];
    let mut senders: Vec<Waited> = (0..40u64)
        .map(|n| {
            let mut stages = vec![("detected", 60 + n, "the connection closes under a call")];
            stages.extend(elected);
            stages.extend([("route refreshed", 700 * n + 20, poll), ("first answer", 15, "the next call that picks the set")]);
            waited(&format!("pg-{n}"), true, &stages)
        })
        .collect();
    senders.reverse();
    let mut itself = elected.to_vec();
    itself.push(("first answer", 30, "the first client that finds it"));
    let queue = |q: u64| {
        let mut stages = elected.to_vec();
        stages.extend([("route refreshed", 9_000, poll), ("queue assigned", 1_000, ""), ("first message stored", 500 * q, "")]);
        stages.extend([("pulled", 12_000, ""), ("first delivery", 40, "the listener")]);
        waited(&format!("orders broker-a:{q} to cg"), true, &stages)
    };
    outcome.recoveries.push(Recovery {
        died: true,
        what: "host of broker-a:0 lost".to_owned(),
        set: "broker-a".to_owned(),
        at_s: 60.0,
        struck_again: 0,
        itself: waited("broker-a", true, &itself),
        senders,
        queues: (0..4).rev().map(queue).collect(),
        rpo: Some(Rpo { messages: 2, span: 27_000_000 }),
    });
    let gone = [("detected", 3_010, "sendMsgTimeout 3 s"), ("not back", 20_000, "nobody took the set's messages")];
    outcome.recoveries.push(Recovery {
        died: true,
        what: "broker-b:0 frozen".to_owned(),
        set: "broker-b".to_owned(),
        at_s: 187.0,
        struck_again: 1,
        itself: waited("broker-b", false, &[("not back", 23_010, "nobody took the set's messages")]),
        senders: vec![waited("a producer with a name that is longer than its column is wide", false, &gone)],
        queues: Vec::new(),
        rpo: None,
    });
    outcome
}

#[test]
#[ignore = "writes pictures for people"]
fn pictures() {
    let dir = std::env::temp_dir().join("windtunnel-pictures");
    for (name, outcome) in [
        ("nothing", nothing()),
        ("broker_freeze", broker_freeze()),
        ("orderly_kill", orderly_kill()),
        ("crowd", crowd()),
        ("away", away()),
    ] {
        super::write_all(&outcome, &dir.join(name), "{}").unwrap();
        println!("{}", super::console::render(&outcome, true));
    }
    println!("{}", dir.display());
}
