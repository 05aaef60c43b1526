//! Queues that end earlier than they did: what recovery discarded, what a successor does not have, what no consume queue names any more.
//!
//! A recovery tells it queue by queue, and the offsets are given out again from there on. So the queue's own state (backlogs, stalls, places) is cut at once; the
//! messages are marked when the last queue has been told, in one pass for all of them.

use super::watch::Watch;
use crate::base::ids::{MessageQueue, NodeId, RecordId};
use crate::check::ledger::Message;
use crate::check::losses;
use crate::contract::note::Note;

/// What the present recovery has told so far.
#[derive(Clone, Debug)]
pub(super) struct Cuts {
    /// By queue number, the first offset that is gone.
    queues: Vec<(u32, u64)>,
    /// Whose log or queues it is about, or the last one was.
    of: NodeId,
    /// Only entries of consume queues are gone; the records are in the log.
    entries: bool,
}

impl Default for Cuts {
    fn default() -> Self {
        Cuts { queues: Vec::new(), of: NodeId(0), entries: false }
    }
}

impl Cuts {
    /// Whether this note is about something else, and something has been told.
    #[inline]
    pub(super) fn are_over(&self, note: &Note) -> bool {
        !self.queues.is_empty()
            && match note {
                Note::Truncated { .. } => self.entries,
                Note::Unindexed { .. } => !self.entries,
                _ => true,
            }
    }
}

impl Watch {
    /// `Note::Truncated`, or `Note::Unindexed`: `entries`.
    #[cold]
    pub(super) fn cut(&mut self, node: NodeId, mq: MessageQueue, log: u16, from: u64, entries: bool) {
        (self.cuts.of, self.cuts.entries) = (node, entries);
        self.truncated(mq, log, from);
    }

    /// The broker that took over gives an offset out again: whatever had it on the one before is gone, earlier copies of a message included.
    #[cold]
    pub(super) fn overwritten(&mut self, rec: RecordId) {
        self.cuts.entries = false;
        self.truncated(rec.queue, rec.log, rec.offset);
        self.discard();
    }

    fn truncated(&mut self, mq: MessageQueue, log: u16, from: u64) {
        let number = self.index.queue(mq);
        let queue = &mut self.index.queues[number as usize];
        if queue.log != log || from >= queue.top {
            return;
        }
        let top = std::mem::replace(&mut queue.top, from);
        for &(group, feed) in &self.index.queues[number as usize].readers {
            if self.index.feeds[feed as usize].counted {
                let committed = self.offsets.offset(feed);
                self.groups[group.0 as usize].backlog_by(from.max(committed.min(top)) as i64 - top as i64);
                self.stalls.truncated(feed, from);
            }
            self.delivery.truncated(feed, from);
            for slot in self.delivery.slots(&self.index, group.0 as usize) {
                self.orders[slot as usize].truncated(feed, from);
            }
        }
        self.cuts.queues.push((number, from));
    }

    /// The recovery is over: mark what it discarded. One pass over the messages serves all its queues.
    #[cold]
    pub(super) fn discard(&mut self) {
        let (queues, of) = (std::mem::take(&mut self.cuts.queues), self.cuts.of);
        if self.cuts.entries {
            losses::discard(&mut self.ledger, &self.delivery, &queues, Message::GONE | Message::UNINDEXED, |_, _, _| {});
            return;
        }
        let (durability, now) = (&mut self.durability, self.clock.now);
        let tell = |table, n, row: &Message| durability.discarded(of, table, n, row, now);
        self.ghosts += losses::discard(&mut self.ledger, &self.delivery, &queues, Message::GONE, tell);
    }

    /// Another broker of the set takes over: what it does not have is gone.
    #[cold]
    pub(super) fn serves(&mut self, node: NodeId, upto: u64) {
        if let Some(broker) = self.durability.set_of(node) {
            self.recovery.opened(broker, node, self.clock.now);
            self.outages.enablers.opened(broker, node, self.clock.now);
            self.support.serves(broker, node, &self.roster);
        }
        let Some((before, cuts)) = self.durability.serves(node, upto, &self.ledger, &self.index) else { return };
        (self.cuts.of, self.cuts.entries) = (before, false);
        for (queue, from) in cuts {
            let (mq, log) = (self.index.queues[queue as usize].mq, self.index.queues[queue as usize].log);
            self.truncated(mq, log, from);
        }
        self.discard();
    }
}
