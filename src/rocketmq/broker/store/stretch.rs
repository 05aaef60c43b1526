//! A stretch of the log that is full: its records in half the room.
//!
//! The records of a broker that lie together are much alike. What differs from one to the next fits into 32 bits once it is counted from the stretch's first
//! record; what many share (topic, queue, tag, flags) is written down once a stretch, as a *kind*, and a record names its kind by number. A stretch with a record
//! that does not fit is kept as it is. Runs hold millions of records, most of which nobody reads again.

use crate::base::ids::{MessageId, TopicId};
use crate::rocketmq::message::Message;
use std::collections::BTreeMap;

/// What many records share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    queue_id: u16,
    topic: TopicId,
    tag_code: i32,
    real_topic: TopicId,
    origin_topic: TopicId,
    real_queue_id: u16,
    properties_len: u16,
    reconsume_times: u16,
    tag: u8,
    delay_level: u8,
    flags: u8,
}

/// One record. Numbers of 64 bits are split, so that a row is no longer than its fields.
#[derive(Clone, Copy, Debug)]
struct Row {
    producer_and_high: u32,
    low: u32,
    /// `store_ms` from the first record's, `born_ms` from its own `store_ms`.
    stored: i32,
    born: i32,
    queue_offset: u32,
    /// From the first record's.
    phys: u32,
    body_len: u32,
    key: u32,
    kind: u16,
}

const _: () = assert!(std::mem::size_of::<Row>() <= 36);

#[derive(Clone, Debug)]
enum Records {
    Packed { phys: u64, store_ms: i64, kinds: Box<[Kind]>, rows: Box<[Row]> },
    Whole(Box<[Message]>),
}

/// Records in physical order; at most 65,536.
#[derive(Clone, Debug)]
pub(super) struct Stretch(Records);

impl Stretch {
    pub(super) fn of(records: &[Message]) -> Stretch {
        Stretch(pack(records).unwrap_or_else(|| Records::Whole(records.into())))
    }

    pub(super) fn get(&self, index: usize) -> Option<Message> {
        match &self.0 {
            Records::Whole(records) => records.get(index).copied(),
            Records::Packed { phys, store_ms, kinds, rows } => {
                let row = rows.get(index)?;
                let kind = kinds.get(row.kind as usize)?;
                let store_ms = store_ms + row.stored as i64;
                Some(Message {
                    id: row.id(),
                    born_ms: store_ms + row.born as i64,
                    store_ms,
                    queue_offset: row.queue_offset as u64,
                    phys: phys + row.phys as u64,
                    body_len: row.body_len,
                    tag_code: kind.tag_code,
                    key: row.key,
                    topic: kind.topic,
                    real_topic: kind.real_topic,
                    origin_topic: kind.origin_topic,
                    queue_id: kind.queue_id,
                    real_queue_id: kind.real_queue_id,
                    properties_len: kind.properties_len,
                    reconsume_times: kind.reconsume_times,
                    tag: kind.tag,
                    delay_level: kind.delay_level,
                    flags: kind.flags,
                })
            }
        }
    }

    /// Where a record lies, and whose it is.
    pub(super) fn place(&self, index: usize) -> Option<(u64, MessageId)> {
        match &self.0 {
            Records::Whole(records) => records.get(index).map(|m| (m.phys, m.id)),
            Records::Packed { phys, rows, .. } => rows.get(index).map(|row| (phys + row.phys as u64, row.id())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Records::Whole(records) => records.len(),
            Records::Packed { rows, .. } => rows.len(),
        }
    }

    /// Physical offset of the last record.
    pub(super) fn last_phys(&self) -> Option<u64> {
        self.place(self.len().checked_sub(1)?).map(|place| place.0)
    }

    /// How many records begin before a physical offset.
    pub(super) fn before(&self, upto: u64) -> usize {
        match &self.0 {
            Records::Whole(records) => records.partition_point(|m| m.phys < upto),
            Records::Packed { phys, rows, .. } => rows.partition_point(|row| phys + (row.phys as u64) < upto),
        }
    }
}

impl Row {
    fn id(&self) -> MessageId {
        let (high, low) = (self.producer_and_high, self.low as u64);
        MessageId::new((high >> 16) as u16, (high as u64 & 0xffff) << 32 | low)
    }
}

/// `None`: something does not fit.
fn pack(records: &[Message]) -> Option<Records> {
    let first = records.first()?;
    let mut kinds = Vec::new();
    let mut numbers = BTreeMap::new();
    // Where a kind was found last; whatever stands there is compared, so that nothing hangs on it.
    let mut found = [0u16; 256];
    let mut rows = Vec::with_capacity(records.len());
    for m in records {
        let kind = Kind {
            queue_id: m.queue_id,
            topic: m.topic,
            tag_code: m.tag_code,
            real_topic: m.real_topic,
            origin_topic: m.origin_topic,
            real_queue_id: m.real_queue_id,
            properties_len: m.properties_len,
            reconsume_times: m.reconsume_times,
            tag: m.tag,
            delay_level: m.delay_level,
            flags: m.flags,
        };
        let guess = &mut found[(m.queue_id ^ m.topic.0 << 4 ^ (m.tag as u16) << 6) as usize % 256];
        if kinds.get(*guess as usize) != Some(&kind) {
            let next = u16::try_from(kinds.len()).ok()?;
            *guess = *numbers.entry(kind).or_insert(next);
            if *guess == next {
                kinds.push(kind);
            }
        }
        let n = m.id.n();
        rows.push(Row {
            producer_and_high: (m.id.producer() as u32) << 16 | (n >> 32) as u32,
            low: n as u32,
            stored: i32::try_from(m.store_ms.checked_sub(first.store_ms)?).ok()?,
            born: i32::try_from(m.born_ms.checked_sub(m.store_ms)?).ok()?,
            queue_offset: u32::try_from(m.queue_offset).ok()?,
            phys: u32::try_from(m.phys.checked_sub(first.phys)?).ok()?,
            body_len: m.body_len,
            key: m.key,
            kind: *guess,
        });
    }
    Some(Records::Packed { phys: first.phys, store_ms: first.store_ms, kinds: kinds.into(), rows: rows.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty records of all sorts, none like the one before it.
    fn records() -> Vec<Message> {
        (0..40u64)
            .map(|n| Message {
                id: MessageId::new(n as u16 * 1_600, n << 40 | n),
                born_ms: 1_600_000_000_000 + n as i64 * 7 - 90_000,
                store_ms: 1_600_000_000_000 + (n as i64 % 5 - 2) * 1_000,
                queue_offset: n * 3,
                phys: (1 << 40) + n * 100_000_000,
                body_len: u32::MAX - n as u32,
                tag_code: -(n as i32 % 3),
                key: n as u32,
                real_topic: TopicId(n as u16 % 7),
                origin_topic: TopicId(n as u16 % 2),
                queue_id: n as u16 % 4,
                real_queue_id: n as u16 % 6,
                properties_len: 60 + n as u16 % 2,
                reconsume_times: n as u16 % 3,
                tag: n as u8 % 9,
                delay_level: n as u8 % 2,
                flags: n as u8 % 4,
                ..Message::blank(TopicId(n as u16 % 300))
            })
            .collect()
    }

    fn says_what_it_was_given(stretch: &Stretch, records: &[Message]) {
        assert_eq!((stretch.len(), stretch.get(records.len())), (records.len(), None));
        for (i, m) in records.iter().enumerate() {
            assert_eq!((stretch.get(i), stretch.place(i)), (Some(*m), Some((m.phys, m.id))));
            assert_eq!((stretch.before(m.phys), stretch.before(m.phys + 1)), (i, i + 1));
        }
        assert_eq!(stretch.last_phys(), records.last().map(|m| m.phys));
    }

    #[test]
    fn a_packed_record_is_the_one_that_was_put_in() {
        let records = records();
        let stretch = Stretch::of(&records);
        assert!(matches!(stretch.0, Records::Packed { .. }));
        says_what_it_was_given(&stretch, &records);
    }

    #[test]
    fn what_does_not_fit_is_kept_as_it_is() {
        let misfits: [fn(&mut Message); 4] =
            [|m| m.queue_offset = 1 << 32, |m| m.phys += 1 << 32, |m| m.born_ms = 0, |m| m.store_ms = i64::MIN];
        for misfit in misfits {
            let mut records = records();
            misfit(records.last_mut().unwrap());
            let stretch = Stretch::of(&records);
            assert!(matches!(stretch.0, Records::Whole(_)));
            says_what_it_was_given(&stretch, &records);
        }
    }
}
