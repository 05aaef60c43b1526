//! Committed offsets that go back: what was consumed will come again.
//!
//! The offset of a feed is one number at the broker; a commit below the last one, or an assignment that starts below it, is a rollback by the
//! difference. The cause is the nearest thing that could have done it. Precedence, first match wins:
//!
//! 1. the broker restarted since the last commit: it reloads what it had persisted;
//! 2. two owners commit against each other;
//! 3. a client was told that its offset is illegal, and moved it down (`DefaultMQPushConsumerImpl#pullMessage`, OFFSET_ILLEGAL, 4.9.8);
//! 4. a commit that waited at a broker that was frozen, and came behind newer ones: it is below what the queue held when the broker froze;
//! 5. a commit that came when somebody else had been given the queue since and the one before has given it up: his parting word
//!    (`RebalancePushImpl#removeUnnecessaryMessageQueue`, 4.9.8), from which the new owner was ahead;
//! 6. an assignment, or a commit from the offset of the last one on: the new owner had asked before the last commit of the one before arrived;
//! 7. other.

use super::index::Rows;

/// Why an offset went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollbackCause {
    BrokerRestarted,
    TwoOwners,
    Corrected,
    Kept,
    Parting,
    AskedBefore,
    Other,
}

impl RollbackCause {
    pub const ALL: [RollbackCause; 7] = [
        RollbackCause::BrokerRestarted,
        RollbackCause::TwoOwners,
        RollbackCause::Corrected,
        RollbackCause::Kept,
        RollbackCause::Parting,
        RollbackCause::AskedBefore,
        RollbackCause::Other,
    ];
    pub const fn name(self) -> &'static str {
        match self {
            RollbackCause::BrokerRestarted => "broker restarted with older offsets",
            RollbackCause::TwoOwners => "two owners committed",
            RollbackCause::Corrected => "client told that its offset was illegal",
            RollbackCause::Kept => "commit that had waited at the frozen broker",
            RollbackCause::Parting => "former owner committed when it gave the queue up",
            RollbackCause::AskedBefore => "new owner asked before the last commit",
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
    /// When a member was last given the queue, and when one last gave it up.
    assigned_at: u64,
    given_up_at: u64,
    /// Where that member began.
    begins: u64,
    /// A client was told to go back, and its next commit will.
    corrected: bool,
    /// Where the queue ended when its broker was last frozen.
    froze_at: u64,
}

/// Rollbacks of one group by cause: how many, and by how many messages in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rollbacks {
    pub count: [u64; RollbackCause::ALL.len()],
    pub messages: [u64; RollbackCause::ALL.len()],
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
        self.set(feed, group, offset, at, false, context)
    }

    #[inline]
    fn set(
        &mut self,
        feed: u32,
        group: usize,
        offset: u64,
        at: u64,
        assigned: bool,
        context: impl FnOnce() -> (u64, bool),
    ) -> Step {
        let row = self.rows.at(feed);
        let step = Step { from: row.offset, to: offset };
        if row.known && offset < row.offset {
            let (down_at, two) = context();
            let cause = if down_at >= row.at && down_at > 0 {
                RollbackCause::BrokerRestarted
            } else if two {
                RollbackCause::TwoOwners
            } else if std::mem::take(&mut row.corrected) {
                RollbackCause::Corrected
            } else if offset <= row.froze_at {
                RollbackCause::Kept
            } else if !assigned && row.given_up_at > row.assigned_at {
                RollbackCause::Parting
            } else if row.given_up_at > 0 && (assigned || offset >= row.begins) {
                RollbackCause::AskedBefore
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
        let step = self.set(feed, group, offset, at, true, context);
        let row = self.rows.at(feed);
        (row.assigned_at, row.begins) = (at, offset);
        step
    }

    /// The queue's broker is frozen; the queue ends here.
    pub fn broker_frozen(&mut self, feed: u32, top: u64) {
        self.rows.at(feed).froze_at = top;
    }
    /// A member gives the queue up.
    pub fn given_up(&mut self, feed: u32, at: u64) {
        self.rows.at(feed).given_up_at = at;
    }
    /// A client was told to go on from another offset.
    pub fn corrected(&mut self, feed: u32, from: i64, to: u64) {
        self.rows.at(feed).corrected = from > 0 && from.unsigned_abs() > to;
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
        let corrected =
            "1 broker-a committed a:0 10; 2 c1 corrected a:0 10 4; 3 broker-a committed a:0 4; 4 broker-a committed a:0 6";
        let again = format!("{corrected}; 5 broker-a committed a:0 5");
        assert_eq!(causes(&play(&again), "offset_rollbacks"), "client told that its offset was illegal 1, other 1");
        assert_eq!(
            causes(&play(&corrected.replace("10 4", "10 12")), "offset_rollbacks"),
            "other 1",
            "it was told to go forward"
        );
        let parting = "0 c1 assigned a:0 0; 1 broker-a committed a:0 10; 2 c2 assigned a:0 10; 3 broker-a committed a:0 20; 4 c1 revoked a:0; \
            5 broker-a committed a:0 12";
        assert_eq!(causes(&play(parting), "offset_rollbacks"), "former owner committed when it gave the queue up 1");
        let late = "0 c1 assigned a:0 0; 1 broker-a committed a:0 10; 2 c1 revoked a:0; 2.1 c2 assigned a:0 10; 2.2 broker-a committed a:0 20; \
            5 broker-a committed a:0 12";
        assert_eq!(causes(&play(late), "offset_rollbacks"), "new owner asked before the last commit 1");
        let kept = "-5 c1 assigned a:0 0; 1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 1.1 broker-a committed a:0 1; 2 broker-a frozen; 9 broker-a thawed; \
            9.1 broker-a committed a:0 9; 9.2 broker-a committed a:0 1; 9.3 broker-a committed a:0 9; 9.4 broker-a committed a:0 8";
        assert_eq!(causes(&play(kept), "offset_rollbacks"), "commit that had waited at the frozen broker 1, other 1");
        let asked = "0 c1 assigned a:0 0; 1 broker-a committed a:0 10; 2 c1 revoked a:0; 3 broker-a committed a:0 20; 4 c2 assigned a:0 10";
        assert_eq!(causes(&play(asked), "offset_rollbacks"), "new owner asked before the last commit 1");
        let two = play("0 c1 assigned a:0 0; 1 broker-a committed a:0 10; 2 c2 assigned a:0 10; 3 broker-a committed a:0 8");
        assert_eq!(causes(&two, "offset_rollbacks"), "two owners committed 1");
    }
}
