//! What is left of a store whose oldest files are deleted: every way of reading it, against a twin that has kept everything.

use super::access::{GetMessageStatus, Query};
use super::*;
use crate::base::ids::{MessageId, TopicId};

/// Records of 100 bytes, nine to a file of 1000.
const FILE: u64 = 1_000;
const A_FILE: usize = 9;

fn message(n: u64, queue_id: u16) -> Message {
    Message { id: MessageId::new(0, n), store_ms: n as i64, body_len: 8, queue_id, ..Message::blank(TopicId(0)) }
}

/// Consume-queue files of ten entries.
fn settings() -> BrokerSettings {
    BrokerSettings { mapped_file_size_consume_queue: 10 * ENTRY, ..BrokerSettings::default() }
}

struct Store {
    disk: BrokerDisk,
    next_offsets: Vec<u64>,
}

impl Store {
    /// So many records, dealt out to queues in turn.
    fn new(records: u64, queues: u64) -> Store {
        let mut store = Store { disk: BrokerDisk::default(), next_offsets: Vec::new() };
        store.disk.log.ends.file_size = FILE;
        (0..records).for_each(|n| store.put(n, (n % queues) as u16));
        store
    }
    fn put(&mut self, n: u64, queue_id: u16) {
        self.disk.put(&mut message(n, queue_id), 1, &settings(), &mut self.next_offsets);
        self.disk.log.ends.committed = self.disk.log.ends.written;
        while self.disk.dispatch_next(u64::MAX).is_some() {}
    }
    fn delete(&mut self, files: usize) {
        (0..files).for_each(|_| _ = self.disk.delete_oldest_file());
    }
    fn get(&self, queue: usize, offset: i64) -> (GetMessageStatus, u64, Vec<u64>) {
        let mut messages = Vec::new();
        let query = Query { queue, offset, max_msg_nums: 4, codes: None, overflow_badly_restarts_at_zero: false };
        let got = self.disk.get(query, &settings(), |_| 100, &mut messages);
        (got.status, got.next_begin_offset, messages.iter().map(|m| m.id.n()).collect())
    }
}

#[test]
fn what_is_left_is_read_as_before() {
    // Three stretches and a tail; deletions end within stretches, at their ends, and in the tail.
    let records = 3 * STRETCH as u64 + 100;
    let whole = Store::new(records, 2);
    let files = whole.disk.log.files().count();
    for files_deleted in [1, 454, 455, 456, 911, files - 1, files] {
        let mut store = Store::new(records, 2);
        store.delete(files_deleted);
        // Never the last file.
        let gone = files_deleted.min(files - 1) * A_FILE;
        let (log, all) = (&store.disk.log, &whole.disk.log);
        assert_eq!((log.first(), log.len(), log.min_phys()), (gone, all.len(), (gone / A_FILE) as u64 * FILE));
        assert!(log.sealed.len() + log.freed == 3 && log.freed == gone / STRETCH, "what is freed: {}", log.freed);
        assert!(log.places().eq(all.places().skip(gone)));
        for index in (0..all.len()).step_by(7) {
            let kept = all.get(index).filter(|_| index >= gone);
            assert_eq!(log.get(index), kept, "{index}");
            assert_eq!(all.get(index).and_then(|m| log.at_phys(m.phys)), kept, "{index}");
        }
        for phys in (log.min_phys()..log.ends.written).step_by(777) {
            assert_eq!(log.first_behind(phys), all.first_behind(phys), "{phys}");
        }
        assert_eq!(log.first_behind(0), gone);
    }
}

#[test]
fn a_log_goes_on_and_is_cut_back_behind_what_is_deleted() {
    for records in [40, STRETCH as u64 + 40, 2 * STRETCH as u64 + 40] {
        for files_deleted in [1, 3] {
            let (mut store, mut whole) = (Store::new(records, 2), Store::new(records, 2));
            store.delete(files_deleted);
            for disk in [&mut store.disk, &mut whole.disk] {
                // Of the last records, some were never flushed.
                disk.log.ends.durable = disk.log.get(records as usize - 5).unwrap().phys;
                disk.power_lost(0, 0);
            }
            for n in 0..30 {
                store.put(records + n, 0);
                whole.put(records + n, 0);
            }
            assert!(store.disk.log.places().eq(whole.disk.log.places().skip(files_deleted * A_FILE)));
            assert_eq!(store.disk.log.files().count() + files_deleted, whole.disk.log.files().count());
            assert_eq!(store.disk.queue(0).max(), whole.disk.queue(0).max());
        }
    }
}

/// Deleted files do not come back, however little of the log a crash leaves.
#[test]
fn a_crash_leaves_nothing_of_what_is_deleted() {
    let mut store = Store::new(40, 1);
    store.delete(2);
    store.disk.log.ends.durable = 500;
    store.disk.power_lost(0, 0);
    let log = &store.disk.log;
    assert_eq!((log.min_phys(), log.ends.written, log.first(), log.len()), (2_000, 2_000, 18, 18));
    store.put(100, 0);
    assert_eq!(store.disk.log.get(18).map(|m| (m.phys, m.queue_offset)), Some((2_000, 40)), "the next offset is in memory");
}

/// Server spec 6.2, before and after `correctMinOffset`.
#[test]
fn gets_pass_over_deleted_records_until_the_minimum_is_corrected() {
    use GetMessageStatus::*;
    let mut store = Store::new(30, 1);
    store.delete(2);
    assert_eq!(store.get(0, 0), (MessageWasRemoving, 10, vec![]), "nothing is left of its consume-queue file");
    assert_eq!(store.get(0, 10), (Found, 20, vec![18, 19]));
    store.disk.delete_expired_queue_files(0, &settings());
    assert_eq!(store.disk.queue(0).min, 18);
    assert_eq!(store.get(0, 17), (OffsetTooSmall, 18, vec![]));
    assert_eq!(store.get(0, -1), (OffsetTooSmall, 18, vec![]));
    assert_eq!(store.get(0, 18), (Found, 20, vec![18, 19]));
    assert_eq!(store.get(0, 31), (OffsetOverflowBadly, 30, vec![]));
}

/// `ConsumeQueue#deleteExpiredFile` and `#correctMinOffset`: whole files go, never the last; a file of which nothing is left in the log
/// keeps its minimum.
#[test]
fn consume_queues_follow_the_log() {
    // Records, log files deleted, consume-queue files deleted, minimum.
    let table = [(30, 0, 0, 0), (30, 1, 0, 9), (30, 2, 1, 18), (31, 3, 2, 27), (20, 2, 1, 18), (18, 1, 0, 9)];
    for (records, files, deleted, min) in table {
        let mut store = Store::new(records, 1);
        store.delete(files);
        assert_eq!(store.disk.delete_expired_queue_files(0, &settings()), deleted, "{records} records, {files} files");
        assert_eq!(store.disk.queue(0).min, min, "{records} records, {files} files");
        assert_eq!(store.disk.queue(0).max(), records);
        let entries = (records - deleted * 10) * ENTRY;
        assert_eq!(store.disk.stored_bytes(), store.disk.log.ends.written - files as u64 * FILE + entries);
    }
    // A queue that nobody writes to any more: its minimum stays, and gets run through to its end.
    let mut store = Store::new(9, 1);
    (9..20).for_each(|n| store.put(n, 1));
    store.delete(1);
    assert_eq!((store.disk.delete_expired_queue_files(0, &settings()), store.disk.queue(0).min), (0, 0));
    assert_eq!(store.get(0, 0), (GetMessageStatus::MessageWasRemoving, 9, vec![]));
}

#[test]
fn what_a_deletion_costs_each_queue_is_told() {
    let mut store = Store::new(20, 2);
    assert_eq!(store.disk.delete_oldest_file(), [(TopicId(0), 0, 5), (TopicId(0), 1, 4)]);
    assert_eq!(store.disk.delete_oldest_file(), [(TopicId(0), 0, 9), (TopicId(0), 1, 9)]);
    assert_eq!(store.disk.delete_oldest_file(), [], "never the last file");
    assert_eq!(store.disk.log.places().count(), 2);
}

/// In the middle of a stretch and of a file: it reads, is deleted from, is cut and loses power like a log whose beginning was deleted.
#[test]
fn a_log_begins_anew_with_any_record() {
    for first in [5, 30, STRETCH - 1, STRETCH, STRETCH + 7] {
        let place = |n: usize| (n / A_FILE) as u64 * FILE + (n % A_FILE) as u64 * 100;
        let mut store = Store::new(20, 1);
        store.disk.begin_anew(first, place(first));
        assert_eq!((store.disk.log.first(), store.disk.log.len(), store.disk.log.get(first)), (first, first, None));
        let fresh = 40;
        (first..first + fresh).for_each(|n| store.put(n as u64, 0));
        let disk = &mut store.disk;
        assert_eq!((disk.log.min_phys(), disk.log.len(), disk.dispatched), (place(first), first + fresh, first + fresh));
        for n in first..first + fresh {
            let got = disk.log.get(n).map(|m| (m.id.n(), m.phys));
            assert_eq!(got, Some((n as u64, place(n))), "begun at {first}");
            assert_eq!(disk.log.at_phys(place(n)).map(|m| m.id.n()), Some(n as u64));
        }
        assert_eq!((disk.log.get(first - 1), disk.log.at_phys(place(first - 1))), (None, None));
        assert_eq!(disk.log.places().next().map(|p| p.0), Some(place(first)));
        // The queue goes on behind what it had, of which nothing is there.
        let had = first.min(20) as u64;
        let got = [had - 1, had].map(|offset| disk.record(0, offset).map(|m| m.id.n()));
        assert_eq!(got, [None, Some(first as u64)], "begun at {first}");
        assert_eq!(disk.expired(), [(TopicId(0), 0, had)]);
        // The first file was begun in its middle.
        let files = disk.log.files().count();
        assert_eq!(files, (first + fresh - 1) / A_FILE - first / A_FILE + 1);
        disk.delete_oldest_file();
        let next = (first / A_FILE + 1) * A_FILE;
        assert_eq!((disk.log.first(), disk.log.min_phys(), disk.log.files().count()), (next, place(next), files - 1));
        disk.drop_from(next + 10);
        assert_eq!((disk.log.len(), disk.log.files().count()), (next + 10, 2));
        // Nothing of it was ever flushed.
        disk.power_lost(0, 0);
        assert_eq!((disk.log.first(), disk.log.len()), (next, next));
    }
}
