//! What a broker reads of its log before it serves: `abort`, `checkpoint`, and the file with which the walk begins.
//!
//! `DefaultMessageStore#load`, `CommitLog#recoverNormally`, `#recoverAbnormally`, `StoreCheckpoint` (4.9.8; server spec 4.6, 4.8). A store that was not shut down
//! in order has left `abort` behind. Then the walk begins with the newest file whose first record is no younger than the checkpoint, less 3 s, and every record is checked and
//! dispatched; after an orderly end it is the last three files. A DLedger member reads its last three files in any case (`DLedgerMmapFileStore#recover`, 0.3.1.2).
//!
//! The checkpoint's times live in plain fields and reach the file with the thorough flush of the consume queues only, a second after the start and then
//! every minute (`FlushConsumeQueueService#doFlush`), and at a shutdown: what is newer dies with the process. Those moments are made up for when a time changes or the
//! process ends, not ticked. The index file and its time are not built (`messageIndexSafe` is false). A thorough flush makes each queue as durable as
//! the time that is written behind it, so the walk refills whatever a queue has lost.

use super::BrokerDisk;
use crate::base::time::{MS, SEC};
use crate::contract::note::Walk;

/// What recovery takes off the checkpoint, ms.
const MARGIN_MS: i64 = 3_000;
/// Files that an orderly start looks at.
const LAST_FILES: u64 = 3;
/// First thorough flush of the consume queues, and the period (`flushConsumeQueueThoroughInterval`).
const FIRST: u64 = SEC;
const PERIOD: u64 = 60_000 * MS;

/// `physicMsgTimestamp` and `logicsMsgTimestamp`, wall ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub physic: i64,
    pub logics: i64,
}

/// `checkpoint` and `abort`.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreFiles {
    /// The fields of the process.
    memory: Times,
    /// The file.
    checkpoint: Times,
    /// When the next thorough flush writes it, ns of the monotonic clock.
    next: u64,
    /// The store is open, or was not closed in order.
    abort: bool,
}

impl StoreFiles {
    /// The store is open.
    pub fn opened(&mut self, now: u64) {
        (self.abort, self.next, self.memory) = (true, now + FIRST, self.checkpoint);
    }
    /// The store is closed in order.
    pub fn closed(&mut self) {
        (self.abort, self.checkpoint) = (false, self.memory);
    }
    /// Up to now nothing has changed: thorough flushes that were due have written that.
    #[inline]
    pub fn catch_up(&mut self, now: u64) {
        if self.abort && now >= self.next {
            self.checkpoint = self.memory;
            self.next += ((now - self.next) / PERIOD + 1) * PERIOD;
        }
    }
    /// A flush of the log that left nothing out is over: the newest record is so old.
    pub fn flushed(&mut self, store_ms: i64) {
        self.memory.physic = store_ms;
    }
    /// A record entered its consume queue.
    #[inline]
    pub fn dispatched(&mut self, store_ms: i64) {
        self.memory.logics = store_ms;
    }
    /// On a slave and in a DLedger group the dispatch says how far the log is (`ConsumeQueue#putMessagePositionInfoWrapper`).
    pub fn follows(&mut self) {
        self.memory.physic = self.memory.logics;
    }
}

impl BrokerDisk {
    /// How the next start will read the log. `member`: it is a DLedger group's.
    pub fn walk(&self, member: bool) -> Walk {
        let log = &self.log;
        let size = log.ends.file_size.max(1);
        let (first, last) = (log.min_phys() / size, log.ends.written.saturating_sub(1) / size);
        let abnormal = self.files.abort && !member;
        let file = if abnormal {
            let Times { physic, logics } = self.files.checkpoint;
            let threshold = physic.min(logics).saturating_sub(MARGIN_MS).max(0);
            let old_enough = |file: &u64| {
                let begin = log.get(log.first_behind(file * size)).filter(|m| m.phys / size == *file);
                begin.is_some_and(|m| m.store_ms != 0 && m.store_ms <= threshold)
            };
            (first..=last).rev().find(old_enough).unwrap_or(first)
        } else {
            (last + 1).saturating_sub(LAST_FILES).max(first)
        };
        let from = (file * size).max(log.min_phys()).min(log.ends.written);
        Walk { abnormal, from, bytes: log.ends.written - from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;
    use crate::rocketmq::message::Message;

    const BLANK: Message = Message::blank(TopicId(0));

    /// Files of 1,000 bytes with three records of 300 each, stored a second apart from second 1 on.
    fn disk(records: u64) -> BrokerDisk {
        let mut disk = BrokerDisk::default();
        disk.log.ends.file_size = 1_000;
        for n in 0..records {
            let phys = disk.log.ends.place(300);
            disk.log.append(Message { phys, store_ms: (n as i64 + 1) * 1_000, queue_offset: n, ..BLANK }, 300);
        }
        disk
    }

    #[test]
    fn the_walk_begins_where_the_checkpoint_says() {
        // Records, abort, member, physic and logics in seconds; from, bytes. File k begins with the record of second 3k + 1.
        let table = [
            (0, true, false, (0, 0), (0, 0)),
            (15, false, false, (0, 0), (2_000, 2_900)),
            (4, false, false, (0, 0), (0, 1_300)),
            (15, true, true, (15, 15), (2_000, 2_900)),
            (15, true, false, (0, 0), (0, 4_900)),
            (15, true, false, (15, 15), (3_000, 1_900)),
            (15, true, false, (16, 16), (4_000, 900)),
            (15, true, false, (16, 12), (2_000, 2_900)),
            (15, true, false, (9, 16), (1_000, 3_900)),
            (15, true, false, (3, 3), (0, 4_900)),
        ];
        for (records, abort, member, (physic, logics), (from, bytes)) in table {
            let mut disk = disk(records);
            disk.files.abort = abort;
            disk.files.checkpoint = Times { physic: physic * 1_000, logics: logics * 1_000 };
            let expect = Walk { abnormal: abort && !member, from, bytes };
            assert_eq!(disk.walk(member), expect, "{records} records, checkpoint at {physic} and {logics} s");
        }
    }

    #[test]
    fn the_checkpoint_is_written_once_a_minute() {
        // Dispatched at these seconds; the process ends at that one; what the file then says.
        let table: [(&[u64], u64, i64); 6] = [
            (&[2, 30], 50, 0),
            (&[2, 30], 61, 30),
            (&[2, 30, 62], 70, 30),
            (&[2, 62, 100], 121, 100),
            (&[2, 62, 500], 501, 62),
            (&[], 90, 0),
        ];
        for (dispatched, ends, expect) in table {
            let mut files = StoreFiles::default();
            files.opened(0);
            for at in dispatched {
                files.catch_up(at * SEC);
                files.dispatched(*at as i64);
            }
            files.catch_up(ends * SEC);
            assert_eq!(files.checkpoint.logics, expect, "{dispatched:?}, ends at {ends}");
        }
        let mut files = StoreFiles::default();
        files.opened(0);
        files.dispatched(7);
        files.follows();
        files.closed();
        assert_eq!((files.checkpoint, files.abort), (Times { physic: 7, logics: 7 }, false));
        files.opened(10 * SEC);
        files.dispatched(9);
        files.opened(20 * SEC);
        assert_eq!(files.memory.logics, 7, "what was not written is forgotten with the process");
    }
}
