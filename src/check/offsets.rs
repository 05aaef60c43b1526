//! Committed offsets that go back: what was consumed will come again.
//!
//! The offset of a feed is one number at the broker; a commit below the last one, or an assignment that starts below it, is a rollback by the
//! difference. The cause is the nearest thing that could have done it: the broker restarted since the last commit (it reloads what it had
//! persisted), two owners commit against each other, or neither.

use super::index::Rows;

/// Why an offset went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollbackCause {
    BrokerRestarted,
    TwoOwners,
    Other,
}

impl RollbackCause {
    pub const ALL: [RollbackCause; 3] = [RollbackCause::BrokerRestarted, RollbackCause::TwoOwners, RollbackCause::Other];
    pub const fn name(self) -> &'static str {
        match self {
            RollbackCause::BrokerRestarted => "broker restarted with older offsets",
            RollbackCause::TwoOwners => "two owners committed",
            RollbackCause::Other => "other",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    offset: u64,
    at: u64,
    /// A commit or an assignment was seen.
    known: bool,
    /// When an offset last went back.
    rolled_at: u64,
}

/// Rollbacks of one group by cause: how many, and by how many messages in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rollbacks {
    pub count: [u64; 3],
    pub messages: [u64; 3],
}

#[derive(Clone, Debug)]
pub struct Offsets {
    rows: Rows<Row>,
    groups: Vec<Rollbacks>,
}

/// What a commit did to the feed's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub from: u64,
    pub to: u64,
}

impl Offsets {
    pub fn new(groups: usize) -> Self {
        Offsets { rows: Rows::default(), groups: vec![Rollbacks::default(); groups] }
    }

    /// The offset was set. `context` is asked only for a rollback: when the broker was last down (ns, 0: never), and whether the queue has
    /// two owners.
    #[inline]
    pub fn committed(&mut self, feed: u32, group: usize, offset: u64, at: u64, context: impl FnOnce() -> (u64, bool)) -> Step {
        let row = self.rows.at(feed);
        let step = Step { from: row.offset, to: offset };
        if row.known && offset < row.offset {
            let (down_at, two) = context();
            let cause = if down_at >= row.at && down_at > 0 {
                RollbackCause::BrokerRestarted
            } else if two {
                RollbackCause::TwoOwners
            } else {
                RollbackCause::Other
            };
            row.rolled_at = at;
            let tally = &mut self.groups[group];
            tally.count[cause as usize] += 1;
            tally.messages[cause as usize] += row.offset - offset;
        }
        (row.offset, row.at, row.known) = (offset, at, true);
        step
    }

    /// A member begins at this offset: the broker's answer, so it is the offset that the broker knows.
    pub fn assigned(&mut self, feed: u32, group: usize, offset: u64, at: u64, context: impl FnOnce() -> (u64, bool)) -> Step {
        self.committed(feed, group, offset, at, context)
    }

    /// Last known offset of the feed; 0 when none is known.
    pub fn offset(&self, feed: u32) -> u64 {
        self.rows.get(feed).map_or(0, |row| row.offset)
    }
    /// When it last went back, ns; 0: never.
    pub fn rolled_at(&self, feed: u32) -> u64 {
        self.rows.get(feed).map_or(0, |row| row.rolled_at)
    }
    pub fn of_group(&self, group: usize) -> Rollbacks {
        self.groups[group]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{causes, counter, play};

    #[test]
    fn going_back_is_counted_with_its_amount_and_cause() {
        let found = play(
            "1 broker-a committed a:0 10; 2 broker-a committed a:0 12; 3 broker-a committed a:0 5; 4 broker-a committed a:0 5",
        );
        assert_eq!((counter(&found, "offset_rollbacks"), counter(&found, "offset_rollback_messages")), (Some(1), Some(7)));
        assert_eq!(causes(&found, "offset_rollbacks"), "other 1");
        let restart = play("1 broker-a committed a:0 10; 2 broker-a killed; 3 broker-a up; 4 c1 assigned a:0 6");
        assert_eq!(causes(&restart, "offset_rollback_messages"), "broker restarted with older offsets 4");
        let clean = play("1 broker-a committed a:0 10; 2 broker-a committed a:1 3; 3 broker-a committed a:0 11");
        assert_eq!(counter(&clean, "offset_rollbacks"), Some(0));
        let two = play("0 c1 assigned a:0 0; 1 broker-a committed a:0 10; 2 c2 assigned a:0 10; 3 broker-a committed a:0 8");
        assert_eq!(causes(&two, "offset_rollbacks"), "two owners committed 1");
    }
}
