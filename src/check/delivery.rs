//! Deliveries: which are first, which were asked for, which are unwanted copies, and why those came.
//!
//! Each group (each member of a broadcasting group) has one word a message: the millisecond of its first delivery and whether more followed.
//! A later delivery was *asked for* if the listener had failed the one before. Every other one is a duplicate, and its cause is read off
//! what happened to the queue since the first delivery. Precedence, first match wins:
//!
//! 1. another record of the same message: sent back twice, sent back by the consume timeout while still in the listener, or a send that was
//!    retried and stored twice;
//! 2. the queue has two holders, or the deliverer is none: owner overlap;
//! 3. the queue was assigned anew since the first delivery; then what ended the ownership before counts: its holder died before committing,
//!    else the broker restarted meanwhile (offsets reloaded, or never committed), else the offset went back, else the queue simply moved
//!    while messages were in flight or uncommitted;
//! 4. the offset went back under a standing owner; 5. other.

use super::chunked::Chunked;
use super::covered::Covered;
use super::facts::RunFacts;
use super::index::{Index, Rows};
use crate::base::ids::{MessageId, RecordId};
use crate::base::time::MS;
use std::collections::BTreeMap;

/// Why a copy came that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    StoredTwice,
    /// Of a delayed message, whose level may have gone back to older progress as well.
    DelayedTwice,
    SentBackTwice,
    ConsumeTimeout,
    Overlap,
    Died,
    BrokerRestarted,
    RolledBack,
    Moved,
    /// A broadcasting member's file of offsets was older than what it had done, or gone.
    OwnOffsets,
    Other,
}

impl Cause {
    pub const ALL: [Cause; 11] = [
        Cause::StoredTwice,
        Cause::DelayedTwice,
        Cause::SentBackTwice,
        Cause::ConsumeTimeout,
        Cause::Overlap,
        Cause::Died,
        Cause::BrokerRestarted,
        Cause::RolledBack,
        Cause::Moved,
        Cause::OwnOffsets,
        Cause::Other,
    ];
    pub const fn name(self) -> &'static str {
        match self {
            Cause::StoredTwice => "send retried: stored twice",
            Cause::DelayedTwice => "send retried or delay progress older: stored twice",
            Cause::SentBackTwice => "sent back twice",
            Cause::ConsumeTimeout => "consume timeout: sent back while in the listener",
            Cause::Overlap => "owner overlap",
            Cause::Died => "consumer died before committing",
            Cause::BrokerRestarted => "broker restarted with older offsets",
            Cause::RolledBack => "offset rolled back",
            Cause::Moved => "queue moved while in flight or uncommitted",
            Cause::OwnOffsets => "the member's own offset file was older, or gone",
            Cause::Other => "other",
        }
    }
}

/// What one delivery is. `before`: when the delivery before it was, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    First,
    Asked { before: u64 },
    Unasked { before: u64, cause: Cause },
}

/// What the classification needs to know of the queue at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Two processes hold the queue, or the deliverer does not.
    pub overlap: bool,
    /// When the group's offset last went back, ns; 0: never.
    pub rolled_at: u64,
    /// The record lies in a retry topic.
    pub retry: bool,
    /// The message has a delay level.
    pub delayed: bool,
}

/// One entry into a listener, as dense numbers.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The ledger's table of the message.
    pub table: usize,
    pub member: u16,
    pub feed: u32,
    pub msg: MessageId,
    pub rec: RecordId,
    /// ns
    pub at: u64,
    pub broadcasting: bool,
}

#[derive(Clone, Copy, Debug)]
struct Assigned {
    at: u64,
    /// What ended the ownership before.
    cause: Cause,
}

#[derive(Clone, Debug, Default)]
struct FeedRow {
    log: u16,
    covered: Covered,
    assigned: Option<Assigned>,
    /// The last holder died.
    died: bool,
    /// Lowest offset at which the group ever began here.
    start: Option<u64>,
}

const AGAIN: u32 = 1 << 31;

#[derive(Clone, Debug, Default)]
struct Slot {
    /// By ledger table, counted from `lowest`, and message number: millisecond of the first delivery + 1, and `AGAIN`. A group reads the messages of a few producers
    /// that stand side by side, of thousands.
    first: Vec<Chunked<u32>>,
    lowest: usize,
    /// Deliveries still owed on request: `true` if the listener asked, `false` if the client sent back behind its back.
    owed: BTreeMap<MessageId, bool>,
    /// Messages in their second or later try: when the last delivery was.
    last: BTreeMap<MessageId, u64>,
}

impl Slot {
    #[inline]
    fn table(&self, table: usize) -> Option<&Chunked<u32>> {
        self.first.get(table.wrapping_sub(self.lowest))
    }
    #[inline]
    fn table_mut(&mut self, table: usize) -> &mut Chunked<u32> {
        if self.table(table).is_none() {
            self.take_in(table);
        }
        &mut self.first[table - self.lowest]
    }
    #[cold]
    fn take_in(&mut self, table: usize) {
        if self.first.is_empty() {
            self.lowest = table;
        }
        if table < self.lowest {
            let below = self.lowest - table;
            self.first.splice(..0, (0..below).map(|_| Chunked::default()));
            self.lowest = table;
        } else {
            self.first.resize(table - self.lowest + 1, Chunked::default());
        }
    }
}

#[derive(Clone, Debug)]
pub struct Delivery {
    slots: Vec<Slot>,
    /// By group: its slot, and by member for broadcasting groups.
    of_group: Vec<u32>,
    of_member: Vec<u32>,
    feeds: Rows<FeedRow>,
    /// By group: when its first member began to pull, ns.
    began: Vec<Option<u64>>,
}

impl Delivery {
    pub fn new(facts: &RunFacts, index: &Index) -> Self {
        let groups = index.groups.len() as u32;
        let members = facts.consumers.len() as u32;
        let of_member = (0..members).map(|m| {
            if facts.consumers[m as usize].broadcasting { groups + m } else { facts.consumers[m as usize].group.0 as u32 }
        });
        Delivery {
            slots: vec![Slot::default(); (groups + members) as usize],
            of_group: (0..groups).collect(),
            of_member: of_member.collect(),
            feeds: Rows::default(),
            began: vec![None; groups as usize],
        }
    }

    /// A listener was entered.
    #[inline]
    pub fn entered(&mut self, arrival: Arrival, circumstances: impl FnOnce() -> Circumstances) -> Kind {
        let Arrival { table, member, feed, msg, rec, at, broadcasting } = arrival;
        let row = self.feeds.at(feed);
        if row.log != rec.log {
            (row.log, row.covered) = (rec.log, Covered::default());
        }
        // The members of a broadcasting group all read the same records: there the record tells nothing.
        let fresh = !broadcasting && row.covered.insert(rec.offset);
        let slot = &mut self.slots[self.of_member[member as usize] as usize];
        let first = slot.table_mut(table).at(msg.n() as usize);
        if *first == 0 {
            *first = (at / MS) as u32 + 1;
            return Kind::First;
        }
        *first |= AGAIN;
        let first_at = ((*first & !AGAIN) - 1) as u64 * MS;
        let before = slot.last.insert(msg, at).unwrap_or(first_at);
        let owed = slot.owed.remove(&msg);
        if owed == Some(true) {
            return Kind::Asked { before };
        }
        let now = circumstances();
        let moved = row.assigned.filter(|a| first_at <= a.at);
        let cause = if owed == Some(false) {
            Cause::ConsumeTimeout
        } else if fresh {
            match now {
                Circumstances { retry: true, .. } => Cause::SentBackTwice,
                Circumstances { delayed: true, .. } => Cause::DelayedTwice,
                _ => Cause::StoredTwice,
            }
        } else if now.overlap {
            Cause::Overlap
        } else if arrival.broadcasting && moved.is_some() {
            Cause::OwnOffsets
        } else if let Some(assigned) = moved {
            assigned.cause
        } else if first_at <= now.rolled_at {
            Cause::RolledBack
        } else {
            Cause::Other
        };
        Kind::Unasked { before, cause }
    }

    /// The listener was left.
    #[inline]
    pub fn left(&mut self, table: usize, member: u16, msg: MessageId, ok: bool) {
        let slot = &mut self.slots[self.of_member[member as usize] as usize];
        if !ok {
            slot.owed.insert(msg, true);
        } else if slot.table(table).and_then(|f| f.get(msg.n() as usize)).is_some_and(|f| f & AGAIN != 0) {
            slot.last.remove(&msg);
        }
    }

    /// A message of the group was taken back for another try, or given up. If the listener did not fail it, the consume
    /// timeout did.
    pub fn sent_back(&mut self, group: usize, msg: MessageId, dead: bool) {
        let owed = &mut self.slots[self.of_group[group] as usize].owed;
        if dead {
            owed.remove(&msg);
        } else {
            owed.entry(msg).or_insert(false);
        }
    }

    /// A member begins at this offset. `restarted`: the broker went down since the last assignment; `rolled`: the offset went back.
    pub fn assigned(&mut self, feed: u32, group: usize, offset: Option<u64>, at: u64, broker_down_at: u64, rolled: bool) {
        let row = self.feeds.at(feed);
        let since = row.assigned.map_or(0, |a| a.at);
        let cause = if std::mem::take(&mut row.died) {
            Cause::Died
        } else if broker_down_at > 0 && broker_down_at >= since {
            Cause::BrokerRestarted
        } else if rolled {
            Cause::RolledBack
        } else {
            Cause::Moved
        };
        row.assigned = Some(Assigned { at, cause });
        if let Some(offset) = offset {
            row.start = Some(row.start.map_or(offset, |start| start.min(offset)));
        }
        self.began[group].get_or_insert(at);
    }

    pub fn holder_died(&mut self, feed: u32) {
        self.feeds.at(feed).died = true;
    }

    /// Offsets from here on will be used again for other messages.
    pub fn truncated(&mut self, feed: u32, from: u64) {
        self.feeds.at(feed).covered.truncate(from);
    }

    /// First delivery to the group (to any member of a broadcasting one), ms from the beginning of the run.
    pub fn first_ms(&self, slot: u32, table: usize, n: usize) -> Option<u32> {
        let word = self.slots[slot as usize].table(table)?.get(n)? & !AGAIN;
        word.checked_sub(1)
    }
    /// Delivered more than once.
    pub fn again(&self, slot: u32, table: usize, n: usize) -> bool {
        self.slots[slot as usize].table(table).and_then(|f| f.get(n)).is_some_and(|word| word & AGAIN != 0)
    }
    /// Whether a listener still waits for a message it asked for.
    pub fn anything_owed(&self) -> bool {
        self.slots.iter().any(|slot| slot.owed.values().any(|asked| *asked))
    }

    /// What listeners of this slot still wait for: how many messages, and the first of them.
    pub fn asked_for(&self, slot: u32) -> Option<(u64, MessageId)> {
        let mut asked = self.slots[slot as usize].owed.iter().filter(|(_, asked)| **asked).map(|(msg, _)| *msg);
        asked.next().map(|first| (1 + asked.count() as u64, first))
    }

    /// Slots in which a group's deliveries are counted: one, or one a member.
    pub fn slots(&self, index: &Index, group: usize) -> Vec<u32> {
        let members = &index.groups[group].members;
        let mut slots: Vec<u32> = members.iter().map(|m| self.of_member[*m as usize]).collect();
        slots.dedup();
        slots
    }
    /// Messages delivered more than once in a slot.
    pub fn duplicated(&self, slot: u32) -> u64 {
        self.slots[slot as usize].first.iter().flat_map(|first| first.iter()).filter(|word| **word & AGAIN != 0).count() as u64
    }
    /// Whether any group got the message.
    pub fn anywhere(&self, table: usize, n: usize) -> bool {
        (0..self.slots.len() as u32).any(|slot| self.first_ms(slot, table, n).is_some())
    }
    /// When the group's first member began to pull, ns.
    pub fn began(&self, group: usize) -> Option<u64> {
        self.began[group]
    }
    /// Lowest offset at which the group ever began at this feed.
    pub fn start(&self, feed: u32) -> Option<u64> {
        self.feeds.get(feed)?.start
    }
    /// Number of the table that a member's deliveries are counted in: its group's, or its own when broadcasting.
    #[inline]
    pub fn slot(&self, member: u16) -> usize {
        self.of_member[member as usize] as usize
    }
    pub fn slot_count(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{causes, counter, facts, play, play_with, sent};

    fn of(script: &str) -> String {
        causes(&play(&format!("{} -5 c1 assigned a:0 0; {script}", sent(0..3))), "duplicates@cg")
    }

    #[test]
    fn tables_are_found_whichever_came_first() {
        let mut slot = super::Slot::default();
        for table in [7, 9, 5, 7] {
            *slot.table_mut(table).at(2) += table as u32;
        }
        let row = |table: usize| slot.table(table).and_then(|rows| rows.get(2)).copied();
        assert_eq!([4, 5, 6, 7, 8, 9, 10].map(row), [None, Some(5), None, Some(14), None, Some(9), None]);
    }

    #[test]
    fn each_cause_is_told_apart() {
        assert_eq!(of("2 c1 entered 0 a:0 0; 2 c1 left 0 a:0 0"), "");
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 2.1 broker-b stored 0 b:0 0; 2.2 c1 entered 0 b:0 0"),
            "send retried: stored twice 1"
        );
        assert_eq!(of("2 c1 entered 0 a:0 0; 3 c2 assigned a:0 0; 3.1 c2 entered 0 a:0 0"), "owner overlap 1");
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 3 c1 killed; 3 c2 assigned a:0 0; 3.1 c2 entered 0 a:0 0"),
            "consumer died before committing 1"
        );
        assert_eq!(
            of(
                "2 c1 entered 0 a:0 0; 3 broker-a killed; 4 c1 revoked a:0; 5 broker-a up; 6 c2 assigned a:0 0; 7 c2 entered 0 a:0 0"
            ),
            "broker restarted with older offsets 1"
        );
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 3 c1 revoked a:0; 3 c2 assigned a:0 0; 4 c2 entered 0 a:0 0"),
            "queue moved while in flight or uncommitted 1"
        );
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 2.5 broker-a committed a:0 1; 3 c1 revoked a:0; 3 c2 assigned a:0 0; 4 c2 entered 0 a:0 0"),
            "offset rolled back 1"
        );
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 2.5 broker-a committed a:0 1; 3 broker-a committed a:0 0; 4 c1 entered 0 a:0 0"),
            "offset rolled back 1"
        );
        assert_eq!(of("2 c1 entered 0 a:0 0; 4 c1 entered 0 a:0 0"), "other 1");
        assert_eq!(
            of("2 c1 entered 0 a:0 0; 9 broker-a sentback 0; 19 c1 entered 0 retry:0 0 reconsume=1"),
            "consume timeout: sent back while in the listener 1"
        );
    }

    #[test]
    fn what_the_listener_asked_for_is_no_duplicate() {
        let retry = "2 c1 entered 0 a:0 0; 2.1 c1 left 0 a:0 0 failed; 2.2 broker-a sentback 0; 12.2 broker-a stored 0 retry:0 0 as=retry; 12.3 c1 entered 0 retry:0 0 reconsume=1; 12.4 c1 left 0 retry:0 0";
        let found = play(&format!("{} {retry}", sent(0..1)));
        assert_eq!((counter(&found, "duplicates"), counter(&found, "redelivered_on_request")), (Some(0), Some(1)));
        let figures = &found.groups["cg"];
        assert_eq!((figures.deliveries, figures.distinct, figures.duplicates, figures.duplicated_messages), (2, 1, 1, 1));
        assert_eq!(figures.seconds_before_attempt[&1].max, 10.3);
        assert_eq!((figures.duplicate_deliveries_first_s, figures.duplicate_deliveries_last_s), (Some(2.0), Some(12.3)));
        // A second copy of the same try was not asked for.
        let twice = format!("{retry}; 13 broker-a stored 0 retry:0 1 as=retry; 13.1 c1 entered 0 retry:0 1 reconsume=1");
        assert_eq!(causes(&play(&format!("{} {twice}", sent(0..1))), "duplicates"), "sent back twice 1");
    }

    #[test]
    fn members_with_offsets_of_their_own_and_delayed_messages_have_causes_of_their_own() {
        let mut broadcasting = facts();
        broadcasting.consumers.iter_mut().for_each(|c| c.broadcasting = true);
        let again = format!(
            "-5 c1 assigned a:0 0; {} 2 c1 entered 0 a:0 0; 3 c1 killed; 4 c1 up; 5 c1 assigned a:0 0; 6 c1 entered 0 a:0 0",
            sent(0..1)
        );
        assert_eq!(
            causes(&play_with(broadcasting, &again), "duplicates@cg"),
            "the member's own offset file was older, or gone 1"
        );
        let mut delayed = facts();
        delayed.producers[0].delay_level = 3;
        let twice =
            format!("-5 c1 assigned a:0 0; {} 2 c1 entered 0 a:0 0; 3 broker-a stored 0 a:0 1; 4 c1 entered 0 a:0 1", sent(0..1));
        assert_eq!(causes(&play_with(delayed, &twice), "duplicates@cg"), "send retried or delay progress older: stored twice 1");
    }

    #[test]
    fn members_of_a_broadcasting_group_each_get_a_message_once() {
        let mut facts = crate::check::script::facts();
        facts.consumers.iter_mut().for_each(|c| c.broadcasting = true);
        let found = crate::check::script::play_with(
            facts,
            &format!("{} 2 c1 entered 0 a:0 0; 2 c2 entered 0 a:0 0; 3 c2 entered 0 a:0 0", sent(0..1)),
        );
        let figures = &found.groups["cg"];
        assert_eq!((figures.deliveries, figures.distinct, figures.duplicates, figures.lost_acked), (3, 2, 1, None));
    }
}
