//! What became of each message on its way in: due, begun, stored where, ended how.
//!
//! Message numbers are dense per producer, so 24 bytes a message in a table of rows serve every question that is asked later, and a hot
//! note costs one indexed access. Copies beyond the first (a retried send) are rare and live in a map beside it.

use super::chunked::Chunked;
use super::facts::RunFacts;
use crate::base::ids::MessageId;
use crate::contract::note::SendStatus;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Producer numbers from here on are preloaded messages: acknowledged by definition, due when they were stored.
pub const PRELOADED: u16 = 0xFF00;

/// The statuses in the order of their numbers in [`Message`].
pub const STATUSES: [SendStatus; 4] =
    [SendStatus::SendOk, SendStatus::FlushDiskTimeout, SendStatus::FlushSlaveTimeout, SendStatus::SlaveNotAvailable];

/// One message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// ns from the beginning of the run.
    pub due: u64,
    /// From due to the beginning of the send, in µs.
    pub late_us: u32,
    /// Queue number and offset of its latest ordinary record; read only when [`Message::is`] `PLACED`, or of the parked one when it is `PARKED`.
    pub queue: u32,
    pub offset: u32,
    state: u16,
    status: u8,
}

impl Message {
    pub const BEGAN: u16 = 1;
    pub const ENDED: u16 = 1 << 1;
    pub const ACKED: u16 = 1 << 2;
    pub const FAILED: u16 = 1 << 3;
    pub const UNKNOWN: u16 = 1 << 4;
    /// Some record of it was appended.
    pub const STORED: u16 = 1 << 5;
    /// An ordinary record was appended: `queue` and `offset` say where.
    pub const PLACED: u16 = 1 << 6;
    /// The record that `queue` and `offset` name was discarded at recovery.
    pub const GONE: u16 = 1 << 7;
    /// Fell due while its process was down.
    pub const NOT_OFFERED: u16 = 1 << 8;
    /// The process died during the call: nobody heard the result.
    pub const UNHEARD: u16 = 1 << 9;
    /// Stored more than once as an ordinary record.
    pub const TWICE: u16 = 1 << 10;
    /// Parked until its delay is over, and not placed yet.
    pub const PARKED: u16 = 1 << 11;
    /// It is `GONE` from its queue only: the record is in the log, and no entry names it.
    pub const UNINDEXED: u16 = 1 << 12;

    #[inline]
    pub fn is(&self, bits: u16) -> bool {
        self.state & bits != 0
    }
    #[inline]
    pub fn set(&mut self, bits: u16) {
        self.state |= bits;
    }
    pub fn clear(&mut self, bits: u16) {
        self.state &= !bits;
    }
    /// When the send began, ns (to the microsecond).
    #[inline]
    pub fn began(&self) -> u64 {
        self.due + self.late_us as u64 * 1_000
    }
    /// With what it was acknowledged.
    pub fn status(&self) -> SendStatus {
        STATUSES[self.status as usize & 3]
    }
    #[inline]
    pub fn ack(&mut self, status: SendStatus) {
        self.set(Message::ACKED);
        self.status = status as u8;
    }
}

/// All messages of a run.
#[derive(Clone, Debug)]
pub struct Ledger {
    producers: usize,
    tables: Vec<Chunked<Message>>,
    /// Keys of keyed producers' messages.
    keys: Vec<Chunked<u32>>,
    keyed: Vec<bool>,
    /// All places of messages that were stored more than once.
    places: BTreeMap<MessageId, SmallVec<[Place; 2]>>,
}

/// Where a copy of a message was appended, and whether it has been discarded since.
#[derive(Clone, Copy, Debug)]
struct Place {
    queue: u32,
    offset: u32,
    gone: bool,
}

impl Ledger {
    pub fn new(facts: &RunFacts) -> Self {
        let producers = facts.producers.len();
        Ledger {
            producers,
            tables: vec![Chunked::default(); producers],
            keys: vec![Chunked::default(); producers],
            keyed: facts.producers.iter().map(|p| p.keys > 0).collect(),
            places: BTreeMap::new(),
        }
    }

    /// Number of the table a message is in; preloaded ones follow the producers. `None`: no such producer.
    #[inline]
    pub fn table(&self, msg: MessageId) -> Option<usize> {
        let producer = msg.producer();
        if (producer as usize) < self.producers {
            Some(producer as usize)
        } else if producer >= PRELOADED {
            Some(self.producers + (producer - PRELOADED) as usize)
        } else {
            None
        }
    }

    /// Whether this table holds preloaded messages.
    pub fn preloaded(&self, table: usize) -> bool {
        table >= self.producers
    }

    #[inline]
    pub fn get(&self, msg: MessageId) -> Option<&Message> {
        self.tables.get(self.table(msg)?)?.get(msg.n() as usize)
    }

    /// The message's row, made if need be. `None`: no such producer.
    #[inline]
    pub fn row(&mut self, msg: MessageId) -> Option<&mut Message> {
        let table = self.table(msg)?;
        if table >= self.tables.len() {
            self.tables.resize(table + 1, Chunked::default());
        }
        Some(self.tables[table].at(msg.n() as usize))
    }

    /// Notes the key of a message of a keyed producer.
    #[inline]
    pub fn set_key(&mut self, msg: MessageId, key: u32) {
        if let Some(keys) = self.keys.get_mut(msg.producer() as usize) {
            *keys.at(msg.n() as usize) = key;
        }
    }

    /// The sharding key of a message, where it has one.
    #[inline]
    pub fn key(&self, msg: MessageId) -> Option<u32> {
        let producer = msg.producer() as usize;
        if *self.keyed.get(producer)? { self.keys[producer].get(msg.n() as usize).copied() } else { None }
    }

    /// An ordinary record was appended here.
    pub fn place(&mut self, msg: MessageId, queue: u32, offset: u64) {
        let Some(row) = self.row(msg) else { return };
        let old = Place { queue: row.queue, offset: row.offset, gone: row.is(Message::GONE) };
        let again = row.is(Message::PLACED);
        row.set(Message::STORED | Message::PLACED);
        row.clear(Message::GONE | Message::PARKED | Message::UNINDEXED);
        (row.queue, row.offset) = (queue, offset as u32);
        if again {
            row.set(Message::TWICE);
            let places = self.places.entry(msg).or_default();
            if places.is_empty() {
                places.push(old);
            }
            places.push(Place { queue, offset: offset as u32, gone: false });
        }
    }

    /// A record of it was appended here to wait for its delay.
    pub fn park(&mut self, msg: MessageId, queue: u32, offset: u64) {
        if let Some(row) = self.row(msg)
            && !row.is(Message::PLACED)
        {
            row.set(Message::PARKED);
            (row.queue, row.offset) = (queue, offset as u32);
        }
    }

    /// Whether a message that has a place lies nowhere any more: `gone` says it of a place. What recovery discarded is not asked for.
    pub fn lies_nowhere(&self, table: usize, n: usize, row: &Message, gone: impl Fn(u32, u32) -> bool) -> bool {
        if !row.is(Message::PLACED | Message::PARKED) || row.is(Message::GONE) {
            return false;
        }
        match self.places.get(&self.id(table, n)).filter(|_| row.is(Message::TWICE)) {
            Some(places) => places.iter().filter(|p| !p.gone).all(|p| gone(p.queue, p.offset)),
            None => gone(row.queue, row.offset),
        }
    }

    /// The message of a row.
    fn id(&self, table: usize, n: usize) -> MessageId {
        let producer = if table < self.producers { table as u16 } else { PRELOADED + (table - self.producers) as u16 };
        MessageId::new(producer, n as u64)
    }

    /// A truncation takes copies of messages that were stored more than once. Returns those of which no copy is left; the others lie where one is.
    pub fn cut_copies(&mut self, cut: impl Fn(u32, u32) -> bool) -> Vec<MessageId> {
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for (msg, places) in &mut self.places {
            let before = places.iter().filter(|p| !p.gone).count();
            places.iter_mut().for_each(|p| p.gone |= cut(p.queue, p.offset));
            match places.iter().rfind(|p| !p.gone) {
                Some(place) => left.push((*msg, *place)),
                None if before > 0 => gone.push(*msg),
                None => {}
            }
        }
        for (msg, place) in left {
            if let Some(row) = self.row(msg) {
                (row.queue, row.offset) = (place.queue, place.offset);
            }
        }
        gone
    }

    /// Whether an ordinary record of the message was appended at this place.
    #[inline]
    pub fn lies_at(&self, msg: MessageId, queue: u32, offset: u64) -> bool {
        match self.get(msg) {
            Some(row) if row.is(Message::PLACED) && (row.queue, row.offset) == (queue, offset as u32) => true,
            Some(row) if row.is(Message::TWICE) => {
                self.places.get(&msg).is_some_and(|places| places.iter().any(|p| (p.queue, p.offset) == (queue, offset as u32)))
            }
            _ => false,
        }
    }

    /// Every table with its messages.
    pub fn tables(&self) -> impl Iterator<Item = (usize, &Chunked<Message>)> {
        self.tables.iter().enumerate()
    }

    pub fn tables_mut(&mut self) -> impl Iterator<Item = (usize, &mut Chunked<Message>)> {
        self.tables.iter_mut().enumerate()
    }
}

const _: () = assert!(std::mem::size_of::<Message>() <= 24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script;

    #[test]
    fn every_copy_keeps_its_place() {
        let mut ledger = Ledger::new(&script::facts());
        let msg = MessageId::new(0, 3);
        assert!(ledger.get(msg).is_none());
        ledger.place(msg, 1, 10);
        assert!(ledger.lies_at(msg, 1, 10) && !ledger.lies_at(msg, 1, 11));
        ledger.place(msg, 2, 7);
        assert!(ledger.lies_at(msg, 1, 10) && ledger.lies_at(msg, 2, 7));
        assert!(ledger.get(msg).unwrap().is(Message::TWICE));
        let preloaded = MessageId::new(PRELOADED + 1, 0);
        ledger.row(preloaded).unwrap().set(Message::STORED);
        assert!(ledger.preloaded(ledger.table(preloaded).unwrap()));
        assert!(ledger.row(MessageId::new(77, 0)).is_none(), "no such producer");
    }
}
