//! Putting a record into the log, and getting records of a queue.
//!
//! `DefaultMessageStore#putMessage` down to `DefaultAppendMessageCallback#doAppend`, and `DefaultMessageStore#getMessage` (4.9.8; server spec 3.4, 6.2, 6.3). A
//! get reads what is dispatched, never past the end of the consume-queue file it begins in, and stops in front of the record that would
//! make its batch too large.

use super::{BrokerDisk, ENTRY, entries_a_file};
use crate::rocketmq::message::Message;
use crate::rocketmq::settings::BrokerSettings;

/// Bytes of entries that a get looks at, whatever it asks for.
const LEAST_SCAN: u64 = 16_000;

/// `GetMessageStatus` (4.9.8), as far as a queue that exists can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetMessageStatus {
    Found,
    NoMatchedMessage,
    /// Every record looked at lies in a file that is deleted while the consume queue still knows it.
    MessageWasRemoving,
    NoMessageInQueue,
    OffsetTooSmall,
    OffsetOverflowOne,
    OffsetOverflowBadly,
}

/// `GetMessageResult` without its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetMessageResult {
    pub status: GetMessageStatus,
    /// Where the next get begins.
    pub next_begin_offset: u64,
    pub min_offset: u64,
    pub max_offset: u64,
    /// Of the records got, as they lie in the log.
    pub bytes: u64,
    /// What was read lies so far back that it is taken for out of memory (`suggestPullingFromSlave`).
    pub suggest_slave: bool,
}

/// What a get asks for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The number of the queue.
    pub queue: usize,
    pub offset: i64,
    pub max_msg_nums: usize,
    /// Tag codes to let through; `None`: all.
    pub codes: Option<&'a [i32]>,
    /// Version row: up to 4.9.3 an offset far beyond the end restarts at 0.
    pub overflow_badly_restarts_at_zero: bool,
}

impl BrokerDisk {
    /// Appends a message: it gets its queue offset, its place and its size. `None`: MESSAGE_ILLEGAL, nothing is stored. `next_offsets` is
    /// `CommitLog.topicQueueTable`, by number of the queue.
    pub fn put(
        &mut self,
        message: &mut Message,
        topic_len: usize,
        settings: &BrokerSettings,
        next_offsets: &mut Vec<u64>,
    ) -> Option<u32> {
        if illegal(message, settings) {
            return None;
        }
        let number = self.queue_number(message.topic, message.queue_id);
        if next_offsets.len() <= number {
            next_offsets.resize(number + 1, 0);
        }
        message.queue_offset = next_offsets[number];
        next_offsets[number] += 1;
        let size = message.record_size(topic_len);
        message.phys = self.log.ends.place(size);
        self.log.append(*message, size);
        Some(size)
    }

    /// Messages of a queue from an offset on; they are appended to `messages`, which is empty. `size_of` is the size of a record.
    pub fn get(
        &self,
        query: Query<'_>,
        settings: &BrokerSettings,
        size_of: impl Fn(&Message) -> u32,
        messages: &mut Vec<Message>,
    ) -> GetMessageResult {
        let queue = self.queue(query.queue);
        let (min_offset, max_offset) = (queue.min, queue.max());
        let of = |status, next_begin_offset, bytes| GetMessageResult {
            status,
            next_begin_offset,
            min_offset,
            max_offset,
            bytes,
            suggest_slave: false,
        };
        if max_offset == 0 {
            return of(GetMessageStatus::NoMessageInQueue, 0, 0);
        }
        if query.offset < min_offset as i64 {
            return of(GetMessageStatus::OffsetTooSmall, min_offset, 0);
        }
        let offset = query.offset as u64;
        if offset == max_offset {
            return of(GetMessageStatus::OffsetOverflowOne, offset, 0);
        }
        if offset > max_offset {
            let restart = min_offset == 0 && query.overflow_badly_restarts_at_zero;
            return of(GetMessageStatus::OffsetOverflowBadly, if restart { 0 } else { max_offset }, 0);
        }
        let s = settings;
        let entries_a_file = entries_a_file(s);
        let file_end = (offset / entries_a_file + 1) * entries_a_file;
        let visit = LEAST_SCAN.max(query.max_msg_nums as u64 * ENTRY) / ENTRY;
        let memory = s.physical_memory / 100 * s.access_message_in_memory_max_ratio;
        let mut bytes = 0;
        let mut last_phys = None;
        let mut removing = false;
        let mut next = offset;
        while next < max_offset.min(file_end) && next - offset < visit {
            let Some(record) = self.record(query.queue, next) else {
                // Passed over without a word, and all others of its file with it. Where it lay is not kept: before what is left.
                (next, last_phys, removing) = (next + 1, Some(self.log.min_phys()), true);
                continue;
            };
            let size = size_of(&record) as u64;
            if !messages.is_empty() {
                let in_disk = self.log.readable().saturating_sub(record.phys) > memory;
                let (max_bytes, max_count) = if in_disk {
                    (s.max_transfer_bytes_on_message_in_disk, s.max_transfer_count_on_message_in_disk)
                } else {
                    (s.max_transfer_bytes_on_message_in_memory, s.max_transfer_count_on_message_in_memory)
                };
                if messages.len() >= query.max_msg_nums
                    || bytes + size > max_bytes
                    || messages.len() as u64 > max_count.saturating_sub(1)
                {
                    break;
                }
            }
            next += 1;
            last_phys = Some(record.phys);
            if query.codes.is_some_and(|codes| !codes.contains(&record.tag_code)) {
                removing = false;
                continue;
            }
            bytes += size;
            messages.push(record);
        }
        let status = match messages.is_empty() {
            false => GetMessageStatus::Found,
            true if removing => GetMessageStatus::MessageWasRemoving,
            true => GetMessageStatus::NoMatchedMessage,
        };
        let suggest_slave = last_phys.is_some_and(|phys| self.log.readable().saturating_sub(phys) > memory);
        GetMessageResult { suggest_slave, ..of(status, next, bytes) }
    }
}

/// `DefaultMessageStore#checkMessage` and the encoder's limits.
pub fn illegal(message: &Message, settings: &BrokerSettings) -> bool {
    message.body_len as u64 > settings.max_message_size || message.properties_len > 32_767
}
