//! What is compared: the figures of one run, live or simulated, read by one function.
//!
//! Names and moments that are luck in life are taken out, so that luck is not compared with luck: which queue was the worst (the worst and
//! the median one are kept), when exactly the fault struck (moments count from it), what an exception's text says after its class.
//! Everything that a member or broker has a name for keeps it, because allocation goes by name.
//!
//! Left out on purpose: what happened before time 0 (processes start as fast as the machine lets them), the number of samples behind a
//! quantile (it is another row), and `n` of sends, which is the load that was asked for.

use super::SECOND;
use super::live::{Client, Fault};
use crate::explore::figures::{from_count, from_ms, from_seconds};
use crate::explore::rank::Value;
use crate::run::outcome::{AllocationChange, GroupFigures, MsQuantiles, SecondsSpread, SendFigures, TransactionFigures, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// What sort of figure a row is: decides which timers may spread it and how it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// How many sends ended in which way.
    Sends,
    /// When sends failed or were slow, from the fault.
    SendWindow,
    /// A series of sends by 10 s.
    SendSeries,
    /// Longest time between two successes, at all brokers.
    WithoutSuccess,
    /// The same at one broker.
    WithoutSuccessAtBroker,
    RoundTrip,
    FailedRoundTrip,
    /// Deliveries, distinct ones, lost ones, inversions: what arrived.
    Delivered,
    /// What was delivered more than once.
    Duplicates,
    DuplicateWindow,
    /// How many deliveries were late.
    Late,
    /// From birth to first delivery, or from the store to the listener.
    DeliveryLatency,
    DeliverySeries,
    /// Deliveries by attempt.
    Attempts,
    /// Between the first attempt and the second.
    FirstRetry,
    /// Between two later attempts.
    BetweenAttempts,
    /// From birth to delivery by delay level.
    DelayLevel,
    /// How often members saw their allocation change.
    AllocationChanges,
    /// When they did, from the fault.
    AllocationTime,
    /// What they saw: members listed, queues in view, queues taken.
    AllocationSizes,
    CheckCount,
    CheckTime,
    ShutdownTime,
}

/// A row's name: the path in the summary, as a reader would look it up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub path: String,
    pub kind: Kind,
}

/// A figure of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    Number(Value),
    /// Bins of 10 s.
    Series(Vec<i64>),
}

/// Everything that one run has to compare, in the order of paths.
pub type Measures = BTreeMap<Key, Measure>;

impl Kind {
    pub fn unit(self) -> Unit {
        use Kind::*;
        match self {
            Sends | SendSeries | Delivered | Duplicates | Late | DeliverySeries | Attempts | AllocationChanges
            | AllocationSizes | CheckCount => Unit::Count,
            SendWindow
            | WithoutSuccess
            | WithoutSuccessAtBroker
            | RoundTrip
            | FailedRoundTrip
            | DuplicateWindow
            | DeliveryLatency
            | FirstRetry
            | BetweenAttempts
            | DelayLevel
            | AllocationTime
            | CheckTime
            | ShutdownTime => Unit::Duration,
        }
    }

    /// What a run that does not mention the figure has: no failure listed is no failure, no moment listed is none.
    pub fn absent(self) -> Measure {
        match self {
            Kind::SendSeries | Kind::DeliverySeries => Measure::Series(Vec::new()),
            _ if self.unit() == Unit::Count => Measure::Number(Some(0)),
            _ => Measure::Number(None),
        }
    }

    /// A stretch of time, not a moment: below a second nothing but the machine's speed is in it, for no timer of RocketMQ's that could
    /// is that short.
    pub fn is_stretch(self) -> bool {
        self.unit() == Unit::Duration && !matches!(self, Kind::SendWindow | Kind::DuplicateWindow)
    }

    /// Below this, two values cannot be told apart: live summaries are rounded to milliseconds.
    pub fn resolution(self) -> i64 {
        if self.unit() == Unit::Duration { 1_000_000 } else { 0 }
    }
}

/// When something happened to the cluster from outside: faults, ends of faults, members that start after time 0.
pub fn instants(faults: &[Fault], clients: &[Client]) -> Vec<i64> {
    let late = clients.iter().map(|c| c.start).filter(|t| *t > 0);
    let all: BTreeSet<i64> = faults.iter().map(|f| f.at).chain(late).collect();
    all.into_iter().collect()
}

/// The figures of a run. `instants` as in [`instants`], `end` is when recording stopped, ns from time 0.
pub fn measure(
    sends: &BTreeMap<String, SendFigures>,
    groups: &BTreeMap<String, GroupFigures>,
    checks: Option<&TransactionFigures>,
    shutdowns: &[(String, &'static str, f64)],
    instants: &[i64],
) -> Measures {
    let mut out = Reader { measures: Measures::new(), instants };
    sends.iter().for_each(|(name, figures)| out.sends(&format!("sends.{name}"), figures));
    groups.iter().for_each(|(name, figures)| out.group(&format!("groups.{name}"), figures));
    if let Some(t) = checks {
        out.number("transaction_checks.messages", Kind::CheckCount, Some(from_count(t.messages_checked)));
        out.number("transaction_checks.checks", Kind::CheckCount, Some(from_count(t.checks)));
        out.number("transaction_checks.more_than_one", Kind::CheckCount, Some(from_count(t.more_than_one)));
        let s = &t.seconds_to_first_check;
        for (name, value) in [("p50", s.p50), ("p90", s.p90), ("max", s.max)] {
            let value = if s.n > 0 { from_seconds(value) } else { None };
            out.number(&format!("transaction_checks.seconds_to_first_check.{name}"), Kind::CheckTime, value);
        }
    }
    for (node, _, begun) in shutdowns.iter().filter(|s| s.1 == "closing") {
        let ended = shutdowns.iter().find(|s| s.0 == *node && s.1 == "closed" && s.2 >= *begun);
        let took = ended.and_then(|e| from_seconds(e.2 - begun));
        out.number(&format!("shutdowns.{node}: from closing to closed"), Kind::ShutdownTime, took);
    }
    out.measures
}

struct Reader<'a> {
    measures: Measures,
    instants: &'a [i64],
}

impl Reader<'_> {
    fn put(&mut self, path: &str, kind: Kind, measure: Measure) {
        self.measures.insert(Key { path: path.to_owned(), kind }, measure);
    }

    fn number(&mut self, path: &str, kind: Kind, value: Value) {
        self.put(path, kind, Measure::Number(value));
    }

    fn count(&mut self, path: &str, kind: Kind, n: u64) {
        self.number(path, kind, Some(from_count(n)));
    }

    fn series(&mut self, path: &str, kind: Kind, bins: &[u64]) {
        self.put(path, kind, Measure::Series(bins.iter().map(|n| from_count(*n)).collect()));
    }

    fn stretch(&mut self, path: &str, kind: Kind, s: Option<f64>) {
        self.number(path, kind, s.and_then(from_seconds));
    }

    /// A moment counts from the last thing that had happened to the cluster, which no two repetitions have at the same millisecond; what began up
    /// to a second before it is its work: a message comes again that was delivered, a send fails that was under way.
    fn moment(&mut self, path: &str, kind: Kind, s: Option<f64>) {
        let moment = |t: i64| {
            let before = self.instants.iter().rev().find(|event| **event <= t.saturating_add(SECOND));
            t.saturating_sub(before.or(self.instants.first()).copied().unwrap_or(0))
        };
        let value = s.and_then(from_seconds).map(moment);
        self.number(path, kind, value);
    }

    fn quantiles(&mut self, path: &str, kind: Kind, q: &MsQuantiles) {
        for (name, ms) in [("p50", q.p50), ("p90", q.p90), ("p99", q.p99), ("max", q.max)] {
            self.number(&format!("{path}.{name}"), kind, (q.n > 0).then(|| from_ms(ms)));
        }
    }

    fn sends(&mut self, path: &str, s: &SendFigures) {
        s.status.iter().for_each(|(status, n)| self.count(&format!("{path}.status.{status}"), Kind::Sends, *n));
        let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
        for (error, n) in &s.errors {
            *classes.entry(error.split(':').next().unwrap_or(error)).or_default() += n;
        }
        classes.iter().for_each(|(class, n)| self.count(&format!("{path}.errors.{class}"), Kind::Sends, *n));
        self.quantiles(&format!("{path}.round_trip_ms"), Kind::RoundTrip, &s.round_trip_ms);
        self.quantiles(&format!("{path}.failed_round_trip_ms"), Kind::FailedRoundTrip, &s.failed_round_trip_ms);
        self.moment(&format!("{path}.failed_first_s"), Kind::SendWindow, s.failed_first_s);
        self.moment(&format!("{path}.failed_last_s"), Kind::SendWindow, s.failed_last_s);
        self.count(&format!("{path}.slow_over_1s.n"), Kind::Sends, s.slow_over_1s);
        self.moment(&format!("{path}.slow_over_1s.first_s"), Kind::SendWindow, s.slow_first_s);
        self.moment(&format!("{path}.slow_over_1s.last_s"), Kind::SendWindow, s.slow_last_s);
        self.count(&format!("{path}.not_send_ok.n"), Kind::Sends, s.not_send_ok);
        self.moment(&format!("{path}.not_send_ok.first_s"), Kind::SendWindow, s.not_send_ok_first_s);
        self.moment(&format!("{path}.not_send_ok.last_s"), Kind::SendWindow, s.not_send_ok_last_s);
        for (broker, bins) in &s.acked_by_broker_per_10s {
            self.series(&format!("{path}.acked_by_broker_per_10s.{broker}"), Kind::SendSeries, bins);
        }
        self.series(&format!("{path}.failed_per_10s"), Kind::SendSeries, &s.failed_per_10s);
        self.series(&format!("{path}.slow_per_10s"), Kind::SendSeries, &s.slow_per_10s);
        self.stretch(&format!("{path}.longest_time_without_success_s"), Kind::WithoutSuccess, s.longest_time_without_success_s);
        for (broker, t) in &s.longest_time_without_success_by_broker_s {
            let path = format!("{path}.longest_time_without_success_by_broker_s.{broker}");
            self.stretch(&path, Kind::WithoutSuccessAtBroker, Some(*t).filter(|_| !stays_without(s, broker)));
        }
    }

    fn group(&mut self, path: &str, g: &GroupFigures) {
        use Kind::*;
        for (name, kind, n) in [
            ("deliveries", Delivered, g.deliveries),
            ("distinct", Delivered, g.distinct),
            ("duplicates", Duplicates, g.duplicates),
            ("duplicated_messages", Duplicates, g.duplicated_messages),
            ("delivered_but_not_acked", Sends, g.delivered_but_not_acked),
            ("unknown", Delivered, g.unknown),
            ("latency_over_1s", Late, g.latency_over_1s),
            ("order_inversions_per_key", Delivered, g.order_inversions_per_key),
        ] {
            self.count(&format!("{path}.{name}"), kind, n);
        }
        self.number(&format!("{path}.lost_acked"), Delivered, g.lost_acked.map(from_count));
        self.quantiles(&format!("{path}.latency_ms"), DeliveryLatency, &g.latency_ms);
        for (consumer, bins) in &g.deliveries_by_consumer_per_10s {
            self.series(&format!("{path}.deliveries_by_consumer_per_10s.{consumer}"), DeliverySeries, bins);
        }
        // Queues are numbered by luck: which of them a fault leaves waiting says nothing, how long the worst and the usual one wait does.
        let mut worst: Vec<i64> = g.worst_store_to_listener_s_by_queue.values().filter_map(|s| from_seconds(*s)).collect();
        worst.sort_unstable();
        let queue = format!("{path}.worst_store_to_listener_s_by_queue");
        self.number(&format!("{queue}: worst"), DeliveryLatency, worst.last().copied());
        self.number(&format!("{queue}: median"), DeliveryLatency, worst.get(worst.len() / 2).copied());
        self.moment(&format!("{path}.duplicate_deliveries_first_s"), DuplicateWindow, g.duplicate_deliveries_first_s);
        self.moment(&format!("{path}.duplicate_deliveries_last_s"), DuplicateWindow, g.duplicate_deliveries_last_s);
        g.reconsume_times.iter().for_each(|(k, n)| self.count(&format!("{path}.reconsume_times.{k}"), Attempts, *n));
        for (k, s) in &g.seconds_before_attempt {
            let kind = if *k == 1 { FirstRetry } else { BetweenAttempts };
            self.spread(&format!("{path}.seconds_before_attempt.{k}"), kind, s);
        }
        for (level, q) in &g.latency_ms_by_delay_level {
            for (name, ms) in [("min", q.min), ("p50", q.p50), ("max", q.max)] {
                self.number(&format!("{path}.latency_ms_by_delay_level.{level}.{name}"), DelayLevel, Some(from_ms(ms)));
            }
        }
        self.allocations(path, &g.allocations);
    }

    fn spread(&mut self, path: &str, kind: Kind, s: &SecondsSpread) {
        for (name, value) in [("min", s.min), ("p50", s.p50), ("max", s.max)] {
            self.stretch(&format!("{path}.{name}"), kind, (s.n > 0).then_some(value));
        }
    }

    /// Changes between two instants belong to the first of them: how many there were, and for each member the first and the last.
    fn allocations(&mut self, path: &str, changes: &[AllocationChange]) {
        let timed: Vec<(i64, &AllocationChange)> = changes.iter().filter_map(|c| Some((from_seconds(c.t)?, c))).collect();
        let members: BTreeSet<&str> = changes.iter().map(|c| c.consumer.as_str()).collect();
        let starts: Vec<i64> = [0].into_iter().chain(self.instants.iter().copied()).collect();
        for (i, &from) in starts.iter().enumerate() {
            let until = starts.get(i + 1).copied().unwrap_or(i64::MAX);
            let inside: Vec<_> = timed.iter().filter(|(t, _)| (from..until).contains(t)).collect();
            let when = if i == 0 { "before anything happened".to_owned() } else { format!("after event {i}") };
            self.count(&format!("{path}.allocations: changes {when}"), Kind::AllocationChanges, inside.len() as u64);
            if i == 0 {
                continue;
            }
            for member in &members {
                let mut own = inside.iter().filter(|(_, c)| c.consumer == *member).map(|(t, _)| t - from);
                let first = own.next();
                let last = own.next_back().or(first);
                self.number(&format!("{path}.allocations: first of {member} {when}"), Kind::AllocationTime, first);
                self.number(&format!("{path}.allocations: last of {member} {when}"), Kind::AllocationTime, last);
            }
        }
        if members.is_empty() {
            return;
        }
        let during = || timed.iter().filter(|(t, _)| *t >= 0).map(|(_, c)| *c);
        let most = during().map(|c| i64::from(c.members)).max();
        let least = during().map(|c| i64::from(c.queues_in_view)).min();
        self.number(&format!("{path}.allocations: most members seen"), Kind::AllocationSizes, most);
        self.number(&format!("{path}.allocations: fewest queues in view"), Kind::AllocationSizes, least);
        for member in members {
            let last = timed.iter().rev().find(|(_, c)| c.consumer == member).map(|(_, c)| c.owned.len() as i64);
            self.number(&format!("{path}.allocations: queues of {member} at the end"), Kind::AllocationSizes, last);
        }
    }
}

/// Whether a broker has no success in the last bins that others have some in: then its longest time without has not ended, and the longest that
/// has says nothing of it.
fn stays_without(s: &SendFigures, broker: &str) -> bool {
    let ends = |bins: &Vec<u64>| bins.iter().rposition(|n| *n > 0).map_or(0, |last| last + 1);
    let last = s.acked_by_broker_per_10s.values().map(ends).max().unwrap_or(0);
    s.acked_by_broker_per_10s.get(broker).is_some_and(|bins| ends(bins) + 1 < last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(measures: &Measures, path: &str) -> Option<Measure> {
        measures.iter().find(|(key, _)| key.path == path).map(|(_, m)| m.clone())
    }

    #[test]
    fn moments_count_from_the_first_event_and_queues_lose_their_names() {
        let change = |t, consumer: &str, owned: &[&str]| AllocationChange {
            t,
            consumer: consumer.into(),
            members: 2,
            queues_in_view: 8,
            owned: owned.iter().map(|q| q.to_string()).collect(),
        };
        let group = GroupFigures {
            duplicate_deliveries_first_s: Some(29.5),
            worst_store_to_listener_s_by_queue: [("b:1", 0.3), ("b:0", 60.1), ("a:0", 0.1)].map(|(q, s)| (q.into(), s)).into(),
            allocations: vec![
                change(-3.0, "c1", &["a:0"]),
                change(4.0, "c1", &["a:0", "a:1"]),
                change(30.5, "c1", &["a:0"]),
                change(33.0, "c1", &[]),
                change(91.0, "c2", &["a:0", "b:0", "b:1"]),
            ],
            ..GroupFigures::default()
        };
        let groups = [("cg".to_owned(), group)].into();
        let shutdowns = [("c1".to_owned(), "closing", 75.0), ("c1".to_owned(), "closed", 76.018)];
        let found = measure(&BTreeMap::new(), &groups, None, &shutdowns, &[30_000_000_000, 90_000_000_000]);
        for (path, wanted) in [
            ("groups.cg.duplicate_deliveries_first_s", Some(-500_000_000)),
            ("groups.cg.worst_store_to_listener_s_by_queue: worst", Some(60_100_000_000)),
            ("groups.cg.worst_store_to_listener_s_by_queue: median", Some(300_000_000)),
            ("groups.cg.allocations: changes before anything happened", Some(1)),
            ("groups.cg.allocations: changes after event 1", Some(2)),
            ("groups.cg.allocations: first of c1 after event 1", Some(500_000_000)),
            ("groups.cg.allocations: last of c1 after event 1", Some(3_000_000_000)),
            ("groups.cg.allocations: last of c2 after event 1", None),
            ("groups.cg.allocations: first of c2 after event 2", Some(1_000_000_000)),
            ("groups.cg.allocations: queues of c1 at the end", Some(0)),
            ("groups.cg.allocations: queues of c2 at the end", Some(3)),
            ("shutdowns.c1: from closing to closed", Some(1_018_000_000)),
            ("groups.cg.latency_ms.p50", None),
        ] {
            assert_eq!(value(&found, path), Some(Measure::Number(wanted)), "{path}");
        }
    }

    #[test]
    fn moments_count_from_what_had_happened_last() {
        let window = |first: f64, last: f64| {
            let sends = SendFigures { failed_first_s: Some(first), failed_last_s: Some(last), ..SendFigures::default() };
            let found = measure(&[("p1".to_owned(), sends)].into(), &BTreeMap::new(), None, &[], &[30 * SECOND, 70 * SECOND]);
            ["failed_first_s", "failed_last_s"].map(|path| match value(&found, &format!("sends.p1.{path}")) {
                Some(Measure::Number(Some(ns))) => ns / 1_000_000,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(window(29.999, 83.5), [-1, 13_500], "what began within a second before an event is its work");
        assert_eq!(window(12.0, 68.9), [-18_000, 38_900], "what came before all counts from the first");
        assert_eq!(window(33.0, 69.5), [3_000, -500]);
    }

    #[test]
    fn a_time_without_success_that_has_not_ended_is_not_measured() {
        let sends = |b: &[u64]| SendFigures {
            acked_by_broker_per_10s: [("a".to_owned(), vec![9, 9, 9, 9, 0]), ("b".to_owned(), b.to_vec())].into(),
            longest_time_without_success_by_broker_s: [("a".to_owned(), 0.1), ("b".to_owned(), 0.2)].into(),
            ..SendFigures::default()
        };
        let longest = |b: &[u64]| {
            let found = measure(&[("p1".to_owned(), sends(b))].into(), &BTreeMap::new(), None, &[], &[]);
            value(&found, "sends.p1.longest_time_without_success_by_broker_s.b")
        };
        assert_eq!(longest(&[9, 0, 0, 9, 0]), Some(Measure::Number(Some(200_000_000))));
        assert_eq!(longest(&[9, 9, 9, 0, 0]), Some(Measure::Number(Some(200_000_000))), "a bin may be empty by chance");
        assert_eq!(longest(&[9, 9, 0, 0, 0]), Some(Measure::Number(None)));
    }

    #[test]
    fn exceptions_count_by_class_and_what_is_not_mentioned_did_not_happen() {
        let sends = SendFigures {
            errors: [("MQClientException: Send [3] times", 4), ("MQClientException: other", 1)]
                .map(|(e, n)| (e.into(), n))
                .into(),
            ..SendFigures::default()
        };
        let found = measure(&[("p1".to_owned(), sends)].into(), &BTreeMap::new(), None, &[], &[]);
        assert_eq!(value(&found, "sends.p1.errors.MQClientException"), Some(Measure::Number(Some(5))));
        assert_eq!(Kind::Sends.absent(), Measure::Number(Some(0)));
        assert_eq!(Kind::SendWindow.absent(), Measure::Number(None));
        assert_eq!(Kind::SendSeries.absent(), Measure::Series(Vec::new()));
    }
}
