//! What producers met: answers, failures, round trips, and times without success.
//!
//! Figures have the meaning of the live summaries: times of failures and slow calls are those of the call's beginning, bins too; a round
//! trip runs from the beginning of the call to its answer. A time without success is
//! measured between answers; in the figures that live runs have too, between the beginnings of calls, as theirs are.

use super::clock::{Clock, count, padded};
use super::hist::Hist;
use crate::base::ids::BrokerName;
use crate::base::names::Names;
use crate::base::time::SEC;
use crate::contract::note::{SendError, SendStatus};
use crate::run::outcome::SendFigures;
use std::collections::{BTreeMap, VecDeque};

/// A call this long is slow, ns.
const SLOW: u64 = SEC;
/// A producer without success for longer than this, while it wants to send, has an outage, ns.
pub const OUTAGE: u64 = SEC;
/// The same for one broker among others, ns, if at least this many other calls ended meanwhile.
pub const BROKER_OUTAGE: u64 = 5 * SEC;
const BROKER_OUTAGE_CALLS: u64 = 16;

/// First and last of a kind, ns.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    n: u64,
    first: u64,
    last: u64,
}

impl Range {
    fn add(&mut self, at: u64) {
        self.first = if self.n == 0 { at } else { self.first.min(at) };
        self.last = self.last.max(at);
        self.n += 1;
    }
    fn seconds(&self, clock: &Clock) -> (Option<f64>, Option<f64>) {
        (self.n > 0).then(|| (clock.seconds(self.first), clock.seconds(self.last))).unzip()
    }
}

/// Beginnings of the calls that succeeded, put in order as their answers come: what is older than so many later ones is taken to be complete.
#[derive(Clone, Debug, Default)]
struct Begun {
    recent: VecDeque<u64>,
    longest: u64,
}

impl Begun {
    const KEPT: usize = 1024;

    #[inline]
    fn add(&mut self, began: u64) {
        let mut place = self.recent.len();
        while place > 0 && self.recent[place - 1] > began {
            place -= 1;
        }
        self.recent.insert(place, began);
        if self.recent.len() > Self::KEPT
            && let Some(oldest) = self.recent.pop_front()
            // One that is older than all that are kept has lain between others that are gone.
            && place > 0
        {
            self.longest = self.longest.max(self.recent[0] - oldest);
        }
    }
    /// The longest time between two of them, ns.
    fn longest(&self) -> u64 {
        let pairs = self.recent.iter().zip(self.recent.iter().skip(1));
        pairs.map(|(a, b)| b - a).max().unwrap_or(0).max(self.longest)
    }
}

#[derive(Clone, Debug, Default)]
#[repr(C)]
struct ToBroker {
    attempts: u64,
    answers: u64,
    last: Option<u64>,
    /// Calls of the producer that had ended by the last success.
    ended: u64,
    successes: Begun,
    acked: Vec<u64>,
}

/// A stretch without success that has just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub broker: Option<BrokerName>,
    pub from: u64,
    pub until: u64,
}

/// The calls of a producer. What every call touches lies together in front: with thousands of producers none of it is in a cache when a note comes.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Sends {
    pub begun: u64,
    pub ended: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Calls under way.
    pending: u32,
    /// Since when it wants to send and has not succeeded.
    wanting: Option<u64>,
    first_began: Option<u64>,
    last_success: Option<u64>,
    last_ended: u64,
    between: u64,
    brokers: Vec<ToBroker>,
    successes: Begun,
    pub round_trip: Hist,
    /// By status.
    pub acked: [u64; 4],
    head: u64,
    pub not_offered: u64,
    pub refused: u64,
    pub unsure: u64,
    pub unheard: u64,
    errors: BTreeMap<(SendError, Option<BrokerName>), u64>,
    failed_round_trip: Hist,
    failed: Range,
    slow: Range,
    not_ok: Range,
    failed_bins: Vec<u64>,
    slow_bins: Vec<u64>,
}

impl Sends {
    pub fn new(brokers: usize) -> Self {
        Sends {
            begun: 0,
            ended: 0,
            retries: 0,
            not_offered: 0,
            acked: [0; 4],
            refused: 0,
            unsure: 0,
            unheard: 0,
            errors: BTreeMap::new(),
            round_trip: Hist::default(),
            failed_round_trip: Hist::default(),
            failed: Range::default(),
            slow: Range::default(),
            not_ok: Range::default(),
            brokers: vec![ToBroker::default(); brokers],
            failed_bins: Vec::new(),
            slow_bins: Vec::new(),
            first_began: None,
            last_success: None,
            successes: Begun::default(),
            last_ended: 0,
            between: 0,
            head: 0,
            pending: 0,
            wanting: None,
        }
    }

    #[inline]
    pub fn began(&mut self, at: u64) {
        self.begun += 1;
        self.pending += 1;
        if self.wanting.is_none() {
            self.wanting = Some(at);
        }
        if self.first_began.is_none() {
            self.first_began = Some(at);
        }
    }

    /// An attempt went out to this broker.
    #[inline]
    pub fn attempted(&mut self, broker: BrokerName) {
        self.brokers[broker.0 as usize].attempts += 1;
    }

    fn close_call(&mut self, at: u64) {
        self.ended += 1;
        self.pending = self.pending.saturating_sub(1);
        self.last_ended = at;
    }

    /// Answered. Says which stretches without success this ends: of the producer, and of the producer at this broker.
    #[inline]
    pub fn acked(&mut self, status: SendStatus, broker: BrokerName, began: u64, clock: &Clock) -> [Option<Gap>; 2] {
        let at = clock.now;
        let took = at.saturating_sub(began);
        self.acked[status as usize] += 1;
        self.round_trip.record(took);
        let bin = if took < SEC { self.bin_near(began, clock) } else { clock.bin_of(began) };
        if took >= SLOW {
            self.slow.add(began);
            count(&mut self.slow_bins, bin);
        }
        if status != SendStatus::SendOk {
            self.not_ok.add(began);
        }
        match self.last_success {
            Some(last) => self.between = self.between.max(at - last),
            None => self.head = at - self.first_began.unwrap_or(at),
        }
        self.last_success = Some(at);
        self.successes.add(began);
        self.close_call(at);
        let wanted = self.wanting.filter(|from| at - from > OUTAGE).map(|from| Gap { broker: None, from, until: at });
        self.wanting = (self.pending > 0).then_some(at);
        let ended = self.ended;
        let to = &mut self.brokers[broker.0 as usize];
        count(&mut to.acked, bin);
        to.answers += 1;
        to.successes.add(began);
        let mut starved = None;
        if let Some(last) = to.last {
            let gap = at - last;
            if gap > BROKER_OUTAGE && ended - to.ended >= BROKER_OUTAGE_CALLS {
                starved = Some(Gap { broker: Some(broker), from: last, until: at });
            }
        }
        (to.last, to.ended) = (Some(at), ended);
        [wanted, starved]
    }

    /// The bin of a moment less than a second ago: mostly the present one.
    #[inline]
    fn bin_near(&self, began: u64, clock: &Clock) -> Option<usize> {
        match clock.bin() {
            Some(bin) if began >= clock.zero + bin as u64 * super::clock::BIN => Some(bin),
            _ => clock.bin_of(began),
        }
    }

    /// Failed for the caller; `unsure`: an attempt may have been stored.
    pub fn failed(&mut self, error: SendError, broker: Option<BrokerName>, unsure: bool, began: u64, clock: &Clock) {
        *self.errors.entry((error, broker)).or_default() += 1;
        self.close_call(clock.now);
        if error == SendError::ProcessDied {
            // Nobody waits for it any more, and nobody saw it fail.
            self.unheard += 1;
            if self.pending == 0 {
                self.wanting = None;
            }
            return;
        }
        if unsure {
            self.unsure += 1;
        } else {
            self.refused += 1;
        }
        self.failed_round_trip.record(clock.now.saturating_sub(began));
        self.failed.add(began);
        count(&mut self.failed_bins, clock.bin_of(began));
    }

    /// Calls that threw.
    pub fn thrown(&self) -> u64 {
        self.refused + self.unsure
    }
    pub fn acked_total(&self) -> u64 {
        self.acked.iter().sum()
    }
    pub fn slow(&self) -> u64 {
        self.slow.n
    }
    /// Beginning of the last call that threw, ns.
    pub fn last_failed(&self) -> Option<u64> {
        (self.failed.n > 0).then_some(self.failed.last)
    }
    /// Longest time without success, ns: between two, from the first call to the first, from the last one to the last call that failed, or to `end` where
    /// calls are still open there that began before. `None` without any success.
    pub fn longest_without_success(&self, end: u64) -> Option<u64> {
        let last = self.last_success?;
        let open = self.wanting.filter(|from| self.pending > 0 && *from < end).map_or(0, |_| end.saturating_sub(last));
        Some(self.between.max(self.head).max(self.last_ended - last).max(open))
    }

    /// Stretches without success that last until `end`.
    pub fn open_gaps(&self, end: u64) -> Vec<Gap> {
        let mut gaps = Vec::new();
        // What still waits at the end counts only if it failed at least once: else it is merely the last call.
        if let Some(from) =
            self.wanting.filter(|from| end.saturating_sub(*from) > OUTAGE && self.thrown() > 0 && self.failed.last >= *from)
        {
            gaps.push(Gap { broker: None, from, until: end });
        }
        for (broker, to) in self.brokers.iter().enumerate() {
            if let Some(from) =
                to.last.filter(|from| end.saturating_sub(*from) > BROKER_OUTAGE && self.ended - to.ended >= BROKER_OUTAGE_CALLS)
            {
                gaps.push(Gap { broker: Some(BrokerName(broker as u16)), from, until: end });
            }
        }
        gaps
    }

    /// Failures as "error, at broker" with their number; `thrown` leaves out calls whose process died.
    pub fn error_causes(&self, names: &Names, died: bool) -> Vec<(String, i64)> {
        let of = |broker: Option<BrokerName>| broker.map_or(String::new(), |b| format!(", last at {}", names.broker_name(b)));
        let chosen = self.errors.iter().filter(|((error, _), _)| (*error == SendError::ProcessDied) == died);
        chosen.map(|((error, broker), n)| (format!("{}{}", error.describe(), of(*broker)), *n as i64)).collect()
    }

    pub fn figures(&self, names: &Names, clock: &Clock, end: u64) -> SendFigures {
        let bins = clock.bins(end);
        let seconds = |ns: u64| ns as f64 / SEC as f64;
        let open: BTreeMap<BrokerName, u64> =
            self.open_gaps(end.min(clock.load_end)).iter().filter_map(|gap| Some((gap.broker?, gap.until - gap.from))).collect();
        let mut figures = SendFigures {
            n: self.begun,
            round_trip_ms: self.round_trip.ms(),
            failed_round_trip_ms: self.failed_round_trip.ms(),
            slow_over_1s: self.slow.n,
            not_send_ok: self.not_ok.n,
            failed_per_10s: padded(&self.failed_bins, bins),
            slow_per_10s: padded(&self.slow_bins, bins),
            without_answer_s: self.longest_without_success(end.min(clock.load_end)).map(seconds),
            longest_time_without_success_s: self.last_success.map(|_| self.successes.longest() as f64 / SEC as f64),
            ..SendFigures::default()
        };
        (figures.failed_first_s, figures.failed_last_s) = self.failed.seconds(clock);
        (figures.slow_first_s, figures.slow_last_s) = self.slow.seconds(clock);
        (figures.not_send_ok_first_s, figures.not_send_ok_last_s) = self.not_ok.seconds(clock);
        for (number, status) in crate::check::ledger::STATUSES.iter().enumerate() {
            if self.acked[number] > 0 {
                figures.status.insert(status.name(), self.acked[number]);
            }
        }
        if self.thrown() > 0 {
            figures.status.insert("EXC", self.thrown());
        }
        for ((error, broker), n) in self.errors.iter().filter(|((error, _), _)| *error != SendError::ProcessDied) {
            *figures.errors.entry(error.describe()).or_default() += n;
            let broker = broker.map_or("no broker".to_owned(), |b| names.broker_name(b).to_string());
            *figures.failed_by_broker.entry(broker).or_default().entry(error.describe()).or_default() += n;
        }
        for (broker, to) in self.brokers.iter().enumerate().filter(|(_, to)| to.attempts > to.answers) {
            let name = names.broker_name(BrokerName(broker as u16)).to_string();
            figures.failed_attempts_by_broker.insert(name, to.attempts - to.answers);
        }
        for (broker, to) in self.brokers.iter().enumerate().filter(|(_, to)| to.last.is_some()) {
            let name = names.broker_name(BrokerName(broker as u16)).to_string();
            figures.longest_time_without_success_by_broker_s.insert(name.clone(), seconds(to.successes.longest()));
            let open = open.get(&BrokerName(broker as u16)).copied().unwrap_or(0);
            figures.without_answer_by_broker_s.insert(name.clone(), seconds(to.successes.longest().max(open)));
            figures.acked_by_broker_per_10s.insert(name, padded(&to.acked, bins));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, play, play_until, sent_at};

    #[test]
    fn figures_of_the_live_summaries() {
        let script = format!(
            "{} 11 pg-0 began 1; 11 broker-a stored 1 a:0 1; 12.5 pg-0 acked 1 a:0 1 FLUSH_DISK_TIMEOUT; \
             13 pg-0 began 2; 16 pg-0 unknown 2 broker-b; 17 pg-0 began 3; 17.1 pg-0 failed 3 broker-b; {}",
            sent_at(0, 1.0, "a:0", 0),
            sent_at(4, 25.0, "b:0", 0)
        );
        let found = play(&script);
        let f = &found.sends["pg-0"];
        assert_eq!((f.n, f.status["SEND_OK"], f.status["FLUSH_DISK_TIMEOUT"], f.status["EXC"]), (5, 2, 1, 2));
        assert_eq!((f.slow_over_1s, f.slow_first_s, f.not_send_ok, f.not_send_ok_last_s), (1, Some(11.0), 1, Some(11.0)));
        assert_eq!((f.failed_first_s, f.failed_last_s), (Some(13.0), Some(17.0)));
        assert_eq!(f.failed_per_10s[..3], [0, 2, 0]);
        assert_eq!(f.acked_by_broker_per_10s["broker-a"][..3], [1, 1, 0]);
        assert_eq!((f.acked_by_broker_per_10s["broker-a"].len(), f.failed_per_10s.len()), (20, 20));
        assert_eq!(f.longest_time_without_success_s, Some(14.0));
        assert_eq!(f.longest_time_without_success_by_broker_s["broker-a"], 10.0);
        assert_eq!((f.failed_round_trip_ms.n, f.failed_round_trip_ms.max, f.round_trip_ms.max), (2, 3000, 1500));
        assert_eq!(f.failed_by_broker["broker-b"].values().sum::<u64>(), 2);
        assert_eq!(
            (counter(&found, "failed_sends"), counter(&found, "unknown_sends"), counter(&found, "sends_over_1s")),
            (Some(2), Some(1), Some(1))
        );
        assert_eq!(counter(&found, "longest_time_without_success"), Some(12 * SEC as i64 + SEC as i64 / 2));
    }

    #[test]
    fn failing_to_the_end_counts_as_time_without_success() {
        let found = play(&format!("{} 2 pg-0 began 1; 60 pg-0 failed 1 broker-a", sent_at(0, 1.0, "a:0", 0)));
        assert_eq!(counter(&found, "longest_time_without_success"), Some(59 * SEC as i64));
        assert_eq!(counter(&play("1 pg-0 began 0; 2 pg-0 failed 0"), "longest_time_without_success"), None);
        let open: Vec<_> = found
            .outages
            .iter()
            .filter(|o| o.what.starts_with("sends"))
            .map(|o| (o.what.as_str(), o.from_s, o.until_s))
            .collect();
        assert_eq!(open, [("sends of pg-0", 2.0, Some(100.0))], "until the load ended, though the run went on to 200 s");
        let f = &found.sends["pg-0"];
        assert_eq!(
            (f.without_answer_s, f.longest_time_without_success_s),
            (Some(59.0), Some(0.0)),
            "the live figure has no open end"
        );
        let hangs = play(&format!("{} 2 pg-0 began 1", sent_at(0, 1.0, "a:0", 0)));
        assert_eq!(counter(&hangs, "longest_time_without_success"), Some(99 * SEC as i64), "a call that never ends");
        let starved: String = (1..40).map(|i| sent_at(i, 1.0 + 0.5 * i as f64, "a:0", i as u64 - 1)).collect();
        let found_b = play(&format!("{} {starved}", sent_at(0, 1.0, "b:0", 0)));
        assert_eq!(found_b.sends["pg-0"].without_answer_by_broker_s["broker-b"], 99.0);
        assert_eq!(causes(&found, "failed_sends"), "MQClientException: Send failed, last: connect failed, last at broker-a 1");
    }

    #[test]
    fn an_interrupted_run_leaves_an_outage_open() {
        let found = play_until(&format!("{} 2 pg-0 began 1; 60 pg-0 failed 1 broker-a", sent_at(0, 1.0, "a:0", 0)), 70.0, false);
        let outage = found.outages.iter().find(|o| o.what == "sends of pg-0").unwrap();
        assert_eq!((outage.until_s, outage.ended_by.as_str()), (None, "not ended"));
    }

    #[test]
    fn attempts_that_failed_are_counted_at_the_broker_that_failed_them() {
        // Three calls meet a silent broker-b first; a retry saves two of them, the third has no time left at broker-a.
        let mut script = String::new();
        for n in 0..3 {
            script += &format!("{0} pg-0 began {n}; {0} pg-0 attempted {n} b:0; {1} pg-0 attempted {n} a:0;", 10 + n, 12 + n);
        }
        script += "12.1 pg-0 acked 0 a:0 0; 13.1 pg-0 acked 1 a:0 1; 15 pg-0 unknown 2 broker-a";
        let found = play(&script);
        let f = &found.sends["pg-0"];
        let attempts: Vec<_> = f.failed_attempts_by_broker.iter().map(|(b, n)| (b.as_str(), *n)).collect();
        assert_eq!(attempts, [("broker-a", 1), ("broker-b", 3)]);
        assert_eq!(f.failed_by_broker.keys().collect::<Vec<_>>(), ["broker-a"]);
    }

    #[test]
    fn the_end_of_an_outage_is_named() {
        let mut script = sent_at(0, 1.0, "b:0", 0);
        for i in 1..40 {
            script += &sent_at(i, 1.0 + 0.5 * i as f64, "a:0", i as u64 - 1);
        }
        script += "22 broker-b up; 30 pg-0 route a,b;";
        script += &sent_at(40, 30.5, "b:0", 1);
        let found = play(&script);
        let outage = found.outages.iter().find(|o| o.what == "sends of pg-0 to broker-b").unwrap();
        assert_eq!((outage.from_s, outage.until_s), (1.0, Some(30.5)));
        assert_eq!(outage.ended_by, "route poll of pg-0 at 30.000 s");
    }
}
