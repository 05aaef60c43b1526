//! What each group met: deliveries, copies, latency, order, backlog, allocations.
//!
//! Figures have the meaning of the live summaries. Two latencies are kept: from the moment a message was *due* (what an open-loop load promises
//! its users) and from the beginning of its send (`latency_ms`, as the live runs measure it); both end with the first entry into a listener.

use super::clock::{Clock, count, padded};
use super::hist::Hist;
use super::series::Samples;
use crate::base::ids::MessageQueue;
use crate::base::time::{MS, SEC};
use crate::check::delivery::{Cause, Kind};
use crate::check::index::Rows;
use crate::run::outcome::MsQuantiles;
use std::collections::BTreeMap;

/// A change of a member's allocation.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: u64,
    pub member: u16,
    pub members: u16,
    pub queues: u16,
    pub owned: std::sync::Arc<[MessageQueue]>,
}

#[derive(Clone, Debug, Default)]
pub struct GroupMeter {
    pub deliveries: u64,
    pub distinct: u64,
    /// Unwanted copies by cause.
    pub copies: [u64; Cause::ALL.len()],
    pub asked: u64,
    /// Earliest and latest delivery of a message that was delivered more than once, ns.
    pub copied: Option<(u64, u64)>,
    pub from_due: Hist,
    pub from_birth: Hist,
    pub over_1s: u64,
    /// First deliveries that were overdue by 1 s or more.
    pub overdue_1s: u64,
    /// First deliveries of delayed messages 1 s or more before the end of their delay.
    pub early_1s: u64,
    pub inversions_per_key: u64,
    /// First deliveries below their queue's highest, and starts while another process was still in the queue.
    pub inversions_per_queue: [u64; 2],
    pub reordered: u64,
    reconsume: Vec<u64>,
    attempts: BTreeMap<u16, Hist>,
    by_delay: BTreeMap<u8, Hist>,
    pub allocations: Vec<Change>,
    pub sent_back: u64,
    pub dead: u64,
    pub given_up: u64,
    pub pulls_in_vain: u64,
    /// Stored, not committed: over all ordinary queues.
    pub backlog: i64,
    pub peak_backlog: i64,
    pub levels: Samples,
}

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// ns from due, and from the beginning of the send.
    pub from_due: u64,
    pub from_birth: u64,
    /// How long it was to wait from then on, ns: its delay; without end for a preloaded one, which was never due.
    pub delay: u64,
    pub reconsume: u16,
    pub delay_level: u8,
}

impl GroupMeter {
    #[inline]
    pub fn delivered(&mut self, d: Delivered, kind: Kind, at: u64) {
        self.deliveries += 1;
        let tries = d.reconsume as usize;
        if tries >= self.reconsume.len() {
            self.reconsume.resize(tries + 1, 0);
        }
        self.reconsume[tries] += 1;
        match kind {
            Kind::First => {
                self.distinct += 1;
                self.from_due.record(d.from_due);
                self.from_birth.record(d.from_birth);
                self.over_1s += (d.from_birth >= SEC) as u64;
                self.overdue_1s += (d.from_due.saturating_sub(d.delay) >= SEC) as u64;
                if d.delay_level > 0 {
                    self.early_1s += (d.delay.saturating_sub(d.from_due) >= SEC) as u64;
                    self.by_delay.entry(d.delay_level).or_default().record(d.from_birth);
                }
            }
            Kind::Asked { before } => {
                self.asked += 1;
                self.again(d.reconsume, before, at);
            }
            Kind::Unasked { before, cause } => {
                self.copies[cause as usize] += 1;
                self.again(d.reconsume, before, at);
            }
        }
    }

    fn again(&mut self, reconsume: u16, before: u64, at: u64) {
        let (first, _) = self.copied.unwrap_or((before, at));
        self.copied = Some((first.min(before), at));
        if reconsume > 0 {
            self.attempts.entry(reconsume).or_default().record(at - before);
        }
    }

    #[inline]
    pub fn backlog_by(&mut self, change: i64) {
        self.backlog += change;
        self.peak_backlog = self.peak_backlog.max(self.backlog);
    }

    /// Fills what needs no names.
    pub fn fill(&self, figures: &mut crate::run::outcome::GroupFigures, clock: &Clock) {
        figures.deliveries = self.deliveries;
        figures.distinct = self.distinct;
        figures.duplicates = self.deliveries - self.distinct;
        figures.latency_ms = self.from_birth.ms();
        figures.latency_over_1s = self.over_1s;
        figures.order_inversions_per_key = self.inversions_per_key;
        let seconds = |at: u64| ((at as i64 - clock.zero as i64) / MS as i64) as f64 / 1e3;
        figures.duplicate_deliveries_first_s = self.copied.map(|c| seconds(c.0));
        figures.duplicate_deliveries_last_s = self.copied.map(|c| seconds(c.1));
        figures.reconsume_times =
            self.reconsume.iter().enumerate().filter(|(_, n)| **n > 0).map(|(k, n)| (k as u16, *n)).collect();
        figures.seconds_before_attempt = self.attempts.iter().map(|(k, hist)| (*k, hist.spread())).collect();
        figures.latency_ms_by_delay_level =
            self.by_delay.iter().map(|(level, hist)| (*level, hist.ms())).collect::<BTreeMap<u8, MsQuantiles>>();
        figures.peak_backlog = self.peak_backlog.max(0) as u64;
    }
}

/// Deliveries by member and bin, and the worst time from store to listener by feed.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    by_member: Rows<Vec<u64>>,
    /// ms; a broker whose clock runs ahead may give less than nothing, which counts as 0.
    worst_store_ms: Rows<Option<i64>>,
}

impl Spread {
    #[inline]
    pub fn delivered(&mut self, member: u16, feed: u32, first: bool, store_age_ms: i64, clock: &Clock) {
        count(self.by_member.at(member as u32), clock.bin());
        if first {
            let worst = self.worst_store_ms.at(feed);
            *worst = (*worst).max(Some(store_age_ms.max(0)));
        }
    }
    pub fn of_member(&self, member: u16, bins: usize) -> Vec<u64> {
        padded(self.by_member.get(member as u32).map_or(&[], |row| row), bins)
    }
    /// Seconds.
    pub fn worst_store(&self, feed: u32) -> Option<f64> {
        self.worst_store_ms.get(feed).copied().flatten().map(|ms| ms as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_and_early_are_measured_from_the_end_of_the_delay() {
        let of = |from_due: u64, delay: u64, delay_level: u8| {
            let mut meter = GroupMeter::default();
            let delivered = Delivered { from_due, from_birth: from_due, delay, reconsume: 0, delay_level };
            meter.delivered(delivered, Kind::First, 100 * SEC);
            (meter.overdue_1s, meter.early_1s)
        };
        assert_eq!((of(SEC, 0, 0), of(SEC - 1, 0, 0), of(3_600 * SEC, u64::MAX, 0)), ((1, 0), (0, 0), (0, 0)));
        let ten = 10 * SEC;
        assert_eq!(
            (of(ten, ten, 3), of(ten + SEC, ten, 3), of(ten - SEC, ten, 3), of(0, ten, 3)),
            ((0, 0), (1, 0), (0, 1), (0, 1))
        );
    }
}
