//! `summary.json`: every figure of a run for programs, with the names, nesting, units and number formats of the live summaries, so that a
//! simulated run and a real one can be laid side by side and compared by `diff`.
//!
//! Keys keep the order written here. Seconds are rounded to milliseconds; a figure that does not exist is `null`; there is no NaN, no wall
//! time and no machine name. What fits on a line stays on one line, as in the live summaries, so that a changed figure is one changed line.

use super::text;
use crate::run::outcome::{
    AllocationChange, CheckResult, Counter, CrashReport, ExpectationResult, FaultReport, GroupFigures, MsQuantiles, Outage,
    Outcome, Recovery, Rpo, SecondsSpread, SendFigures, StageReport, TransactionFigures, Unit, Verdict, Waited,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The number of the format: additions keep it, renames raise it.
pub const FORMAT: u64 = 1;

/// Lines longer than this are broken.
const WIDTH: usize = 150;

/// The whole of `summary.json`.
pub fn summary(outcome: &Outcome) -> String {
    let h = &outcome.header;
    let mut top: Vec<(String, Json)> = Vec::new();
    let mut put = |key: &str, value: Json| top.push((key.to_owned(), value));
    put("format", Json::U(FORMAT));
    put("windtunnel", Json::s(env!("CARGO_PKG_VERSION")));
    put("rocketmq", Json::s(&h.rocketmq));
    put("scenario", Json::s(&h.scenario));
    put("question", Json::s(&h.question));
    put("seed", Json::U(h.seed));
    if h.tie_seed != 0 {
        put("tie_seed", Json::U(h.tie_seed));
    }
    put("digest", Json::S(format!("{:016x}", h.digest)));
    put("events", Json::U(h.events));
    put("verdict", verdict(outcome.verdict));
    put("interrupted", Json::B(h.interrupted));
    put("drained", Json::B(h.drained));
    put("begin_s", Json::seconds(-(h.zero as f64 / 1e9)));
    put("load_end_s", Json::seconds(crate::base::time::seconds(h.load_end, h.zero)));
    put("end_s", Json::seconds(crate::base::time::seconds(h.end, h.zero)));
    put("repeat", Json::S(super::repeat_command(h)));
    put("warnings", Json::A(outcome.warnings.iter().map(|w| Json::s(w)).collect()));
    put("laws", Json::A(outcome.laws.iter().map(law).collect()));
    put("expectations", Json::A(outcome.expectations.iter().map(expectation).collect()));
    put("counters", Json::O(outcome.counters.iter().map(|c| (c.name.clone(), counter(c))).collect()));
    put("faults", Json::A(outcome.faults.iter().map(fault).collect()));
    put("outages", Json::A(outcome.outages.iter().map(outage).collect()));
    if !outcome.crashes.is_empty() {
        let lay = |parts: &[(String, u64)]| Json::O(parts.iter().map(|(lay, n)| (lay.clone(), Json::U(*n))).collect());
        let one = |c: &CrashReport| {
            let (answered, discarded) = (lay(&c.answered), lay(&c.discarded));
            let back = Json::O(c.back.iter().map(|(what, s)| ((*what).to_owned(), Json::seconds(*s))).collect());
            let read = c.read.map(|read| {
                let (from, bytes) = (Json::U(read.from), Json::U(read.bytes));
                ("log_read", Json::object([("abnormal", Json::B(read.abnormal)), ("from", from), ("bytes", bytes)]))
            });
            let rest = [
                ("what", Json::s(&c.what)),
                ("at_s", Json::seconds(c.at_s)),
                ("answered_send_ok", answered),
                ("discarded", discarded),
                ("back_after_s", back),
            ];
            Json::O(rest.into_iter().chain(read).map(|(name, value)| (name.to_owned(), value)).collect())
        };
        put("crashes", Json::A(outcome.crashes.iter().map(one).collect()));
    }
    if !outcome.recoveries.is_empty() {
        put("recoveries", Json::A(outcome.recoveries.iter().map(recovery).collect()));
    }
    put("sends", map(&outcome.sends, sends));
    put("groups", map(&outcome.groups, group));
    if !outcome.shutdowns.is_empty() {
        let one = |(node, what, t): &(String, &'static str, f64)| {
            Json::object([("node", Json::s(node)), ("what", Json::s(what)), ("t", Json::seconds(*t))])
        };
        put("shutdowns", Json::A(outcome.shutdowns.iter().map(one).collect()));
    }
    if let Some(checks) = &outcome.transaction_checks {
        put("transaction_checks", transactions(checks));
    }
    let mut out = String::new();
    Json::O(top).write(&mut out, 0, true);
    out.push('\n');
    out
}

pub(super) fn verdict(v: Verdict) -> Json {
    Json::S(text::verdict(v).to_ascii_lowercase())
}

fn law(l: &CheckResult) -> Json {
    let mut fields = vec![("name", Json::s(l.name)), ("verdict", verdict(l.verdict)), ("compared", Json::U(l.compared))];
    if !l.detail.is_empty() {
        fields.push(("detail", Json::s(&l.detail)));
    }
    Json::object(fields)
}

fn expectation(e: &ExpectationResult) -> Json {
    let mut fields = vec![("counter", Json::s(&e.counter)), ("verdict", verdict(e.verdict))];
    for (key, bound) in [("min", e.min), ("max", e.max)] {
        if bound.is_some() {
            fields.push((key, in_unit(bound, e.unit)));
        }
    }
    fields.push(("got", in_unit(e.got, e.unit)));
    fields.push(("unit", Json::s(unit(e.unit))));
    if !e.detail.is_empty() {
        fields.push(("detail", Json::s(&e.detail)));
    }
    Json::object(fields)
}

fn counter(c: &Counter) -> Json {
    let mut fields = vec![("value", in_unit(c.value, c.unit)), ("unit", Json::s(unit(c.unit)))];
    if !c.causes.is_empty() {
        fields.push(("causes", Json::O(c.causes.iter().map(|(cause, n)| (cause.clone(), in_unit(Some(*n), c.unit))).collect())));
    }
    Json::object(fields)
}

pub(super) fn unit(u: Unit) -> &'static str {
    match u {
        Unit::Count => "count",
        Unit::Duration => "s",
        Unit::QueueTime => "queue_s",
        Unit::Ratio => "ratio",
    }
}

/// A counter's number in the unit that stands beside it. Times keep microseconds: a delivery takes a few hundred of them.
pub(super) fn in_unit(value: Option<i64>, u: Unit) -> Json {
    match (value, u) {
        (None, _) => Json::Null,
        (Some(v), Unit::Count) => Json::I(v),
        (Some(v), Unit::Duration | Unit::QueueTime) => Json::rounded(v as f64 / 1e9, 6),
        (Some(v), Unit::Ratio) => Json::rounded(v as f64 / 1e3, 3),
    }
}

fn fault(f: &FaultReport) -> Json {
    Json::object([
        ("label", Json::s(&f.label)),
        ("from_s", Json::seconds(f.from_s)),
        ("until_s", Json::maybe_seconds(f.until_s)),
        ("touched", Json::U(f.touched)),
    ])
}

fn outage(o: &Outage) -> Json {
    Json::object([
        ("what", Json::s(&o.what)),
        ("from_s", Json::seconds(o.from_s)),
        ("until_s", Json::maybe_seconds(o.until_s)),
        ("ended_by", Json::s(&o.ended_by)),
    ])
}

/// Senders, and queues, of one outage that summary.json lists.
const LISTED: usize = 1_000;

/// Every time to the nanosecond, so that the stages still sum to the outage.
fn recovery(r: &Recovery) -> Json {
    let rpo = |rpo: Rpo| Json::object([("messages", Json::U(rpo.messages)), ("span_s", nanoseconds(rpo.span))]);
    let mut fields = vec![("what", Json::s(&r.what)), ("set", Json::s(&r.set)), ("at_s", Json::seconds(r.at_s))];
    if r.struck_again > 0 {
        fields.push(("struck_again", Json::U(r.struck_again)));
    }
    let of = |rows: &[Waited]| match Recovery::worst_and_median(rows) {
        None => Json::Null,
        Some((worst, median)) => Json::object([
            ("median_s", nanoseconds(median.outage)),
            ("worst_s", nanoseconds(worst.outage)),
            ("not_back", Json::U(rows.iter().filter(|row| !row.over).count() as u64)),
        ]),
    };
    fields.extend([
        ("rto_sends", of(&r.senders)),
        ("rto_deliveries", of(&r.queues)),
        ("rpo", r.rpo.map_or(Json::Null, rpo)),
        ("itself", waited(&r.itself)),
    ]);
    // The worst come first; of a large cluster the rest is in the medians, and its number is told.
    for (list, rest, rows) in [("senders", "senders_not_listed", &r.senders), ("queues", "queues_not_listed", &r.queues)] {
        let listed = rows.len().min(LISTED);
        fields.push((list, Json::A(rows[..listed].iter().map(waited).collect())));
        if listed < rows.len() {
            fields.push((rest, Json::U((rows.len() - listed) as u64)));
        }
    }
    Json::object(fields)
}

fn waited(w: &Waited) -> Json {
    let stage = |s: &StageReport| {
        Json::object([("stage", Json::s(s.name)), ("took_s", nanoseconds(s.took)), ("waits_for", Json::s(&s.waits_for))])
    };
    let mut fields = vec![("who", Json::s(&w.who)), ("outage_s", nanoseconds(w.outage)), ("back", Json::B(w.over))];
    if let Some(dark) = w.without_any {
        fields.push(("without_any_answer_s", nanoseconds(dark)));
    }
    if let Some(n) = w.meanwhile {
        fields.push(("pulled_meanwhile", Json::U(n)));
    }
    fields.push(("stages", Json::A(w.stages.iter().map(stage).collect())));
    if !w.by_queue.is_empty() {
        let after = |at: &Option<u64>| at.map_or(Json::Null, nanoseconds);
        fields.push(("by_queue_s", Json::O(w.by_queue.iter().map(|(queue, at)| (queue.clone(), after(at))).collect())));
    }
    Json::object(fields)
}

fn nanoseconds(ns: u64) -> Json {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    let text = text.trim_end_matches('0');
    Json::F(if text.ends_with('.') { format!("{text}0") } else { text.to_owned() })
}

fn sends(s: &SendFigures) -> Json {
    let stretch = |n: u64, first: Option<f64>, last: Option<f64>| match n {
        0 => Json::object([("n", Json::U(0))]),
        _ => Json::object([("n", Json::U(n)), ("first_s", Json::maybe_seconds(first)), ("last_s", Json::maybe_seconds(last))]),
    };
    Json::object([
        ("n", Json::U(s.n)),
        ("status", map(&s.status, |n| Json::U(*n))),
        ("errors", map(&s.errors, |n| Json::U(*n))),
        ("round_trip_ms", quantiles(&s.round_trip_ms)),
        ("failed_round_trip_ms", quantiles(&s.failed_round_trip_ms)),
        ("failed_first_s", Json::maybe_seconds(s.failed_first_s)),
        ("failed_last_s", Json::maybe_seconds(s.failed_last_s)),
        ("slow_over_1s", stretch(s.slow_over_1s, s.slow_first_s, s.slow_last_s)),
        ("not_send_ok", stretch(s.not_send_ok, s.not_send_ok_first_s, s.not_send_ok_last_s)),
        ("acked_by_broker_per_10s", map(&s.acked_by_broker_per_10s, |bins| numbers(bins))),
        ("failed_per_10s", numbers(&s.failed_per_10s)),
        ("slow_per_10s", numbers(&s.slow_per_10s)),
        ("longest_time_without_success_s", Json::maybe_seconds(s.longest_time_without_success_s)),
        ("longest_time_without_success_by_broker_s", map(&s.longest_time_without_success_by_broker_s, |t| Json::seconds(*t))),
        ("without_answer_s", Json::maybe_seconds(s.without_answer_s)),
        ("without_answer_by_broker_s", map(&s.without_answer_by_broker_s, |t| Json::seconds(*t))),
        ("failed_by_broker", map(&s.failed_by_broker, |causes| map(causes, |n| Json::U(*n)))),
        ("failed_attempts_by_broker", map(&s.failed_attempts_by_broker, |n| Json::U(*n))),
    ])
}

fn group(g: &GroupFigures) -> Json {
    let mut fields = vec![
        ("model", Json::s(g.model)),
        ("deliveries", Json::U(g.deliveries)),
        ("distinct", Json::U(g.distinct)),
        ("duplicates", Json::U(g.duplicates)),
        ("duplicated_messages", Json::U(g.duplicated_messages)),
        ("lost_acked", g.lost_acked.map_or(Json::Null, Json::U)),
        ("delivered_but_not_acked", Json::U(g.delivered_but_not_acked)),
        ("unknown", Json::U(g.unknown)),
        ("latency_ms", quantiles(&g.latency_ms)),
        ("latency_over_1s", Json::U(g.latency_over_1s)),
        ("order_inversions_per_key", Json::U(g.order_inversions_per_key)),
        ("deliveries_by_consumer_per_10s", map(&g.deliveries_by_consumer_per_10s, |bins| numbers(bins))),
        ("worst_store_to_listener_s_by_queue", map(&g.worst_store_to_listener_s_by_queue, |t| Json::seconds(*t))),
        ("duplicate_deliveries_first_s", Json::maybe_seconds(g.duplicate_deliveries_first_s)),
        ("duplicate_deliveries_last_s", Json::maybe_seconds(g.duplicate_deliveries_last_s)),
        ("reconsume_times", map(&g.reconsume_times, |n| Json::U(*n))),
        ("allocations", Json::A(g.allocations.iter().map(allocation).collect())),
    ];
    if !g.seconds_before_attempt.is_empty() {
        let spread = |s: &SecondsSpread| {
            let mut fields = vec![("n", Json::U(s.n))];
            if s.n > 0 {
                fields.extend([("min", Json::seconds(s.min)), ("p50", Json::seconds(s.p50)), ("max", Json::seconds(s.max))]);
            }
            Json::object(fields)
        };
        fields.push(("seconds_before_attempt", map(&g.seconds_before_attempt, spread)));
    }
    if !g.latency_ms_by_delay_level.is_empty() {
        let level = |q: &MsQuantiles| Json::object([("min", Json::U(q.min)), ("p50", Json::U(q.p50)), ("max", Json::U(q.max))]);
        fields.push(("latency_ms_by_delay_level", map(&g.latency_ms_by_delay_level, level)));
    }
    // What no live run can tell.
    fields.extend([
        ("orderly", Json::B(g.orderly)),
        ("lost_for_good", Json::U(g.lost_for_good)),
        ("backlog_by_queue", map(&g.backlog_by_queue, |n| Json::U(*n))),
        ("oldest_by_queue_s", map(&g.oldest_by_queue_s, |t| Json::seconds(*t))),
        ("undelivered_by_queue", map(&g.undelivered_by_queue, |n| Json::U(*n))),
        ("oldest_undelivered_by_queue_s", map(&g.oldest_undelivered_by_queue_s, |t| Json::seconds(*t))),
        ("peak_backlog", Json::U(g.peak_backlog)),
    ]);
    Json::object(fields)
}

fn allocation(a: &AllocationChange) -> Json {
    Json::object([
        ("t", Json::seconds(a.t)),
        ("consumer", Json::s(&a.consumer)),
        ("members", Json::U(a.members.into())),
        ("queues_in_view", Json::U(a.queues_in_view.into())),
        ("owned", Json::A(a.owned.iter().map(|q| Json::s(q)).collect())),
    ])
}

fn transactions(t: &TransactionFigures) -> Json {
    let s = &t.seconds_to_first_check;
    let mut first = vec![("n", Json::U(s.n))];
    if s.n > 0 {
        first.extend([
            ("p50", Json::seconds(s.p50)),
            ("p90", Json::seconds(s.p90)),
            ("p99", Json::seconds(s.p99)),
            ("max", Json::seconds(s.max)),
        ]);
    }
    // Whole seconds in which checks came, each once, as the live summaries list them.
    let mut at: Vec<i64> = t.check_times_s.iter().filter(|x| x.is_finite()).map(|x| x.floor() as i64).collect();
    at.sort_unstable();
    at.dedup();
    Json::object([
        ("messages", Json::U(t.messages_checked)),
        ("checks", Json::U(t.checks)),
        ("seconds_to_first_check", Json::object(first)),
        ("more_than_one", Json::U(t.more_than_one)),
        ("at_s", Json::A(at.into_iter().map(Json::I).collect())),
    ])
}

fn quantiles(q: &MsQuantiles) -> Json {
    match q.n {
        0 => Json::object([("n", Json::U(0))]),
        n => Json::object([
            ("n", Json::U(n)),
            ("p50", Json::U(q.p50)),
            ("p90", Json::U(q.p90)),
            ("p99", Json::U(q.p99)),
            ("max", Json::U(q.max)),
        ]),
    }
}

fn numbers(bins: &[u64]) -> Json {
    Json::A(bins.iter().map(|n| Json::U(*n)).collect())
}

fn map<K: ToString, V>(of: &BTreeMap<K, V>, one: impl Fn(&V) -> Json) -> Json {
    Json::O(of.iter().map(|(k, v)| (k.to_string(), one(v))).collect())
}

/// A JSON value whose objects keep the order in which they were written.
pub(super) enum Json {
    Null,
    B(bool),
    I(i64),
    U(u64),
    /// Already spelled.
    F(String),
    S(String),
    A(Vec<Json>),
    O(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn s(text: &str) -> Json {
        Json::S(text.to_owned())
    }

    pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
        Json::O(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    /// Rounded to milliseconds, as the live summaries are.
    fn seconds(s: f64) -> Json {
        Json::rounded(s, 3)
    }

    fn maybe_seconds(s: Option<f64>) -> Json {
        s.map_or(Json::Null, Json::seconds)
    }

    /// At most so many decimals, at least one, and never a NaN: that is `null`.
    pub(super) fn rounded(x: f64, digits: usize) -> Json {
        if !x.is_finite() {
            return Json::Null;
        }
        let text = text::plain(x, digits);
        let text = text.trim_end_matches('0');
        Json::F(if text.ends_with('.') { format!("{text}0") } else { text.to_owned() })
    }

    /// Writes the value; an array or object goes on one line when it fits there, and the outermost one never does.
    pub(super) fn write(&self, out: &mut String, indent: usize, outermost: bool) {
        let (open, close, n) = match self {
            Json::A(items) => ('[', ']', items.len()),
            Json::O(fields) => ('{', '}', fields.len()),
            _ => return self.write_inline(out),
        };
        let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
        let before = out.len();
        self.write_inline(out);
        if n == 0 || (!outermost && column + (out.len() - before) < WIDTH) || self.is_plain_numbers() {
            return;
        }
        out.truncate(before);
        out.push(open);
        let pad = "\n".to_owned() + &" ".repeat(indent + 1);
        for i in 0..n {
            out.push_str(if i > 0 { "," } else { "" });
            out.push_str(&pad);
            match self {
                Json::A(items) => items[i].write(out, indent + 1, false),
                Json::O(fields) => {
                    write_string(out, &fields[i].0);
                    out.push_str(": ");
                    fields[i].1.write(out, indent + 1, false);
                }
                _ => {}
            }
        }
        out.push('\n');
        out.push_str(&" ".repeat(indent));
        out.push(close);
    }

    /// Bins are one line however long the run is.
    fn is_plain_numbers(&self) -> bool {
        matches!(self, Json::A(items) if items.iter().all(|i| matches!(i, Json::U(_) | Json::I(_))))
    }

    fn write_inline(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::B(b) => out.push_str(if *b { "true" } else { "false" }),
            Json::I(n) => _ = write!(out, "{n}"),
            Json::U(n) => _ = write!(out, "{n}"),
            Json::F(text) => out.push_str(text),
            Json::S(text) => write_string(out, text),
            Json::A(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    item.write_inline(out);
                }
                out.push(']');
            }
            Json::O(fields) => {
                out.push('{');
                for (i, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    write_string(out, key);
                    out.push_str(": ");
                    value.write_inline(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
