//! Stalls: how long a queue had messages for a group and the group got none.
//!
//! A feed waits from the moment a record is stored that is neither delivered nor committed, or from the last delivery if more are there, until
//! the next delivery. So an idle queue never stalls, and a busy one is measured between deliveries. Time before the load counts for
//! nobody.

use super::index::Rows;

const IDLE: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Row {
    /// Since when messages wait, ns; `IDLE`: none does.
    since: u64,
    /// Up to here (exclusive) everything was delivered, as far as order tells.
    top: u64,
    committed: u64,
    worst: u64,
    delivered: bool,
}

impl Default for Row {
    fn default() -> Self {
        Row { since: IDLE, top: 0, committed: 0, worst: 0, delivered: false }
    }
}

#[derive(Clone, Debug)]
pub struct Stalls {
    zero: u64,
    rows: Rows<Row>,
}

impl Stalls {
    pub fn new(zero: u64) -> Self {
        Stalls { zero, rows: Rows::default() }
    }

    #[inline]
    pub fn stored(&mut self, feed: u32, at: u64) {
        let row = self.rows.at(feed);
        if row.since == IDLE {
            row.since = at.max(self.zero);
        }
    }

    /// A delivery; says since when the feed had waited for it. `top`: offset after the last stored record.
    #[inline]
    pub fn delivered(&mut self, feed: u32, offset: u64, top: u64, at: u64) -> Option<u64> {
        let row = self.rows.at(feed);
        let since = row.since;
        row.delivered = true;
        row.top = row.top.max(offset + 1);
        row.since = if top > row.top.max(row.committed) { at.max(self.zero) } else { IDLE };
        if since >= at {
            return None;
        }
        row.worst = row.worst.max(at - since);
        Some(since)
    }

    /// The group's offset was set: what lies below waits no longer.
    #[inline]
    pub fn committed(&mut self, feed: u32, offset: u64, top: u64, at: u64) {
        let row = self.rows.at(feed);
        row.committed = offset;
        if top <= row.top.max(offset) && row.since != IDLE {
            // Nothing is left to deliver: whatever it waited for was passed over.
            row.worst = row.worst.max(at.saturating_sub(row.since));
            row.since = IDLE;
        }
    }

    pub fn truncated(&mut self, feed: u32, from: u64) {
        let row = self.rows.at(feed);
        row.top = row.top.min(from);
        row.committed = row.committed.min(from);
        if from <= row.top.max(row.committed) {
            row.since = IDLE;
        }
    }

    /// Longest stall of a feed, ns, counting one that still lasts at `end`. `None`: nothing ever waited or came.
    pub fn worst(&self, feed: u32, end: u64) -> Option<u64> {
        let row = self.rows.get(feed)?;
        let open = end.saturating_sub(row.since);
        (row.delivered || row.worst > 0 || row.since != IDLE).then(|| row.worst.max(open))
    }

    /// Since when the feed still waits.
    pub fn open(&self, feed: u32) -> Option<u64> {
        self.rows.get(feed).filter(|row| row.since != IDLE).map(|row| row.since)
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, play};

    fn sent(n: u32, at: f64) -> String {
        format!("{at} pg-0 began {n}; {at} broker-a stored {n} a:0 {n}; {at} pg-0 acked {n} a:0 {n};")
    }

    #[test]
    fn waiting_is_measured_from_the_first_waiting_message() {
        let script = format!(
            "{} 1.5 c1 entered 0 a:0 0; {} {} 13 c1 entered 1 a:0 1; 14 c1 entered 2 a:0 2;",
            sent(0, 1.0),
            sent(1, 9.0),
            sent(2, 10.0)
        );
        let found = play(&script);
        assert_eq!(counter(&found, "longest_stall"), Some(4 * SEC as i64));
        assert_eq!(causes(&found, "longest_stall@cg"), "broker-a:0 4000000000");
        assert_eq!(found.outages.iter().filter(|o| o.what == "delivery of T broker-a:0 to cg").count(), 1);
    }

    #[test]
    fn a_stall_that_never_ends_lasts_until_the_end() {
        assert_eq!(counter(&play(&sent(0, 1.0)), "longest_stall"), Some(199 * SEC as i64));
        let passed_over = format!("{} 3 broker-a committed a:0 1", sent(0, 1.0));
        assert_eq!(counter(&play(&passed_over), "longest_stall"), Some(2 * SEC as i64));
    }
}
