//! An outcome as a flat list of named whole numbers: every figure that `summary.json` has, under the path it has there.
//!
//! Seconds become nanoseconds, as in the counters. A figure that a run had nothing to measure for is left out, so that a distribution says
//! in how many seeds it existed. Lists whose length varies (allocations, outages) are counted, not listed.

use crate::run::outcome::{GroupFigures, MsQuantiles, Outcome, Recovery, SecondsSpread, SendFigures, Unit};

/// ns of a second of a live-shaped figure, to the microsecond; absent where it is no number.
pub fn from_seconds(s: f64) -> Option<i64> {
    // Casts saturate, so that no figure can wrap.
    s.is_finite().then(|| ((s * 1e6).round() as i64).saturating_mul(1_000))
}

/// ns of whole milliseconds.
pub fn from_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

/// A count as a signed number.
pub fn from_count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Calls `put` with the path, unit and value of every figure, in a fixed order.
pub fn walk(outcome: &Outcome, put: &mut dyn FnMut(String, Unit, i64)) {
    let mut out = Walk { put };
    out.count("events", outcome.header.events);
    out.seconds("end_s", Some(crate::base::time::seconds(outcome.header.end, outcome.header.zero)));
    for c in &outcome.counters {
        let path = format!("counters.{}", c.name);
        if let Some(value) = c.value {
            (out.put)(path.clone(), c.unit, value);
        }
        c.causes.iter().for_each(|(cause, value)| (out.put)(format!("{path}: {cause}"), c.unit, *value));
    }
    for (i, fault) in outcome.faults.iter().enumerate() {
        out.count(&format!("faults[{i}].touched"), fault.touched);
    }
    out.count("outages", outcome.outages.len() as u64);
    outcome.recoveries.iter().enumerate().for_each(|(i, r)| out.recovery(&format!("recoveries[{i}]"), r));
    outcome.sends.iter().for_each(|(name, figures)| out.sends(&format!("sends.{name}"), figures));
    outcome.groups.iter().for_each(|(name, figures)| out.group(&format!("groups.{name}"), figures));
    for (node, what, t) in &outcome.shutdowns {
        out.seconds(&format!("shutdowns.{node}.{what}"), Some(*t));
    }
    if let Some(t) = &outcome.transaction_checks {
        out.count("transaction_checks.messages", t.messages_checked);
        out.count("transaction_checks.checks", t.checks);
        out.count("transaction_checks.more_than_one", t.more_than_one);
        out.spread("transaction_checks.seconds_to_first_check", &t.seconds_to_first_check);
    }
}

struct Walk<'a> {
    put: &'a mut dyn FnMut(String, Unit, i64),
}

impl Walk<'_> {
    fn count(&mut self, path: &str, n: u64) {
        (self.put)(path.to_owned(), Unit::Count, from_count(n));
    }

    fn seconds(&mut self, path: &str, s: Option<f64>) {
        if let Some(ns) = s.and_then(from_seconds) {
            (self.put)(path.to_owned(), Unit::Duration, ns);
        }
    }

    fn ns(&mut self, path: String, ns: u64) {
        (self.put)(path, Unit::Duration, from_count(ns));
    }

    /// By client, and of the queues the worst and the median: there is one for each queue and group.
    fn recovery(&mut self, path: &str, r: &Recovery) {
        for (name, rows) in [("rto_sends", &r.senders), ("rto_deliveries", &r.queues)] {
            if let Some((worst, median)) = Recovery::worst_and_median(rows) {
                self.ns(format!("{path}.{name}.worst_s"), worst.outage);
                self.ns(format!("{path}.{name}.median_s"), median.outage);
                self.count(&format!("{path}.{name}.not_back"), rows.iter().filter(|row| !row.over).count() as u64);
            }
        }
        if let Some(rpo) = r.rpo {
            self.count(&format!("{path}.rpo.messages"), rpo.messages);
            self.ns(format!("{path}.rpo.span_s"), rpo.span);
        }
        let own = std::iter::once(("rto_set".to_owned(), &r.itself));
        let worst_queue = r.queues.first().map(|w| ("rto_deliveries.worst".to_owned(), w));
        for (name, w) in own.chain(r.senders.iter().map(|w| (format!("rto_sends.{}", w.who), w))).chain(worst_queue) {
            self.ns(format!("{path}.{name}.outage_s"), w.outage);
            w.stages.iter().for_each(|s| self.ns(format!("{path}.{name}.stages.{}", s.name), s.took));
            if let Some(dark) = w.without_any {
                self.ns(format!("{path}.{name}.without_any_answer_s"), dark);
            }
        }
    }

    fn quantiles(&mut self, path: &str, q: &MsQuantiles) {
        self.count(&format!("{path}.n"), q.n);
        if q.n > 0 {
            for (name, ms) in [("min", q.min), ("p50", q.p50), ("p90", q.p90), ("p99", q.p99), ("max", q.max)] {
                (self.put)(format!("{path}.{name}"), Unit::Duration, from_ms(ms));
            }
        }
    }

    fn spread(&mut self, path: &str, s: &SecondsSpread) {
        self.count(&format!("{path}.n"), s.n);
        if s.n > 0 {
            for (name, s) in [("min", s.min), ("p50", s.p50), ("p90", s.p90), ("p99", s.p99), ("max", s.max)] {
                self.seconds(&format!("{path}.{name}"), Some(s));
            }
        }
    }

    fn stretch(&mut self, path: &str, n: u64, first: Option<f64>, last: Option<f64>) {
        self.count(&format!("{path}.n"), n);
        self.seconds(&format!("{path}.first_s"), first);
        self.seconds(&format!("{path}.last_s"), last);
    }

    /// One figure a bin of 10 s; the number is where it begins, as wide as the widest so that paths sort as time goes.
    fn bins(&mut self, path: &str, bins: &[u64]) {
        bins.iter().enumerate().for_each(|(i, n)| self.count(&format!("{path}[{:06} s]", 10 * i), *n));
    }

    fn sends(&mut self, path: &str, s: &SendFigures) {
        self.count(&format!("{path}.n"), s.n);
        s.status.iter().for_each(|(status, n)| self.count(&format!("{path}.status.{status}"), *n));
        s.errors.iter().for_each(|(error, n)| self.count(&format!("{path}.errors.{error}"), *n));
        self.quantiles(&format!("{path}.round_trip_ms"), &s.round_trip_ms);
        self.quantiles(&format!("{path}.failed_round_trip_ms"), &s.failed_round_trip_ms);
        self.seconds(&format!("{path}.failed_first_s"), s.failed_first_s);
        self.seconds(&format!("{path}.failed_last_s"), s.failed_last_s);
        self.stretch(&format!("{path}.slow_over_1s"), s.slow_over_1s, s.slow_first_s, s.slow_last_s);
        self.stretch(&format!("{path}.not_send_ok"), s.not_send_ok, s.not_send_ok_first_s, s.not_send_ok_last_s);
        for (broker, bins) in &s.acked_by_broker_per_10s {
            self.bins(&format!("{path}.acked_by_broker_per_10s.{broker}"), bins);
        }
        self.bins(&format!("{path}.failed_per_10s"), &s.failed_per_10s);
        self.bins(&format!("{path}.slow_per_10s"), &s.slow_per_10s);
        self.seconds(&format!("{path}.longest_time_without_success_s"), s.longest_time_without_success_s);
        for (broker, t) in &s.longest_time_without_success_by_broker_s {
            self.seconds(&format!("{path}.longest_time_without_success_by_broker_s.{broker}"), Some(*t));
        }
        self.seconds(&format!("{path}.without_answer_s"), s.without_answer_s);
        for (broker, t) in &s.without_answer_by_broker_s {
            self.seconds(&format!("{path}.without_answer_by_broker_s.{broker}"), Some(*t));
        }
        for (broker, causes) in &s.failed_by_broker {
            causes.iter().for_each(|(cause, n)| self.count(&format!("{path}.failed_by_broker.{broker}: {cause}"), *n));
        }
    }

    fn group(&mut self, path: &str, g: &GroupFigures) {
        for (name, n) in [
            ("deliveries", g.deliveries),
            ("distinct", g.distinct),
            ("duplicates", g.duplicates),
            ("duplicated_messages", g.duplicated_messages),
            ("delivered_but_not_acked", g.delivered_but_not_acked),
            ("unknown", g.unknown),
            ("latency_over_1s", g.latency_over_1s),
            ("order_inversions_per_key", g.order_inversions_per_key),
            ("allocations", g.allocations.len() as u64),
            ("peak_backlog", g.peak_backlog),
        ] {
            self.count(&format!("{path}.{name}"), n);
        }
        if let Some(lost) = g.lost_acked {
            self.count(&format!("{path}.lost_acked"), lost);
        }
        self.quantiles(&format!("{path}.latency_ms"), &g.latency_ms);
        for (consumer, bins) in &g.deliveries_by_consumer_per_10s {
            self.bins(&format!("{path}.deliveries_by_consumer_per_10s.{consumer}"), bins);
        }
        for (queue, t) in &g.worst_store_to_listener_s_by_queue {
            self.seconds(&format!("{path}.worst_store_to_listener_s_by_queue.{queue}"), Some(*t));
        }
        self.seconds(&format!("{path}.duplicate_deliveries_first_s"), g.duplicate_deliveries_first_s);
        self.seconds(&format!("{path}.duplicate_deliveries_last_s"), g.duplicate_deliveries_last_s);
        g.reconsume_times.iter().for_each(|(k, n)| self.count(&format!("{path}.reconsume_times.{k}"), *n));
        g.seconds_before_attempt.iter().for_each(|(k, s)| self.spread(&format!("{path}.seconds_before_attempt.{k}"), s));
        for (level, q) in &g.latency_ms_by_delay_level {
            self.quantiles(&format!("{path}.latency_ms_by_delay_level.{level}"), q);
        }
        for (queue, n) in &g.backlog_by_queue {
            self.count(&format!("{path}.backlog_by_queue.{queue}"), *n);
        }
        for (queue, t) in &g.oldest_by_queue_s {
            self.seconds(&format!("{path}.oldest_by_queue_s.{queue}"), Some(*t));
        }
    }
}
