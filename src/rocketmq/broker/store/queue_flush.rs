//! How far each consume queue of a DLedger member is on the disk, and what a loss of power leaves of it.
//!
//! `FlushConsumeQueueService` (4.9.8; `DefaultMessageStore.FlushConsumeQueueService#doFlush`) looks every `flushIntervalConsumeQueue` and writes the queues
//! that have `flushConsumeQueueLeastPages` to write; once in `flushConsumeQueueThoroughInterval`, first at its first look, it writes every queue. Each queue is a file
//! of its own, so a busy one is written often and a quiet one beside it hardly ever. The kernel writes a file that has been dirty for 30 s by itself.
//!
//! After a loss of power that matters in one mode only. A broker with a log of its own walks it from the checkpoint on and refills its queues (server spec 4.6), whatever they
//! have lost. A DLedger member does not: `DLedgerCommitLog#recover` cuts queues that are longer than the log, and the dispatch goes on behind the *newest*
//! entry that any queue still has (`DefaultMessageStore#start`, `maxPhysicalPosInLogicQueue`; server spec 4.7). What a quieter queue had behind its
//! own last flush, and before that entry, is in the log and in no queue: nobody can pull it, and its queue offsets are given out again (H82; mended in
//! 5.2.0). So only a member's queues are followed here.
//!
//! A queue is taken for durable as a prefix (server spec 5.4, SIM). Looks are not ticked: between two dispatches nothing changes, so those that were due are made up
//! for before the next one; those of a process that stands still are made up for too. A look that the disk refuses or lies about has written nothing and the next one tries
//! again, where RocketMQ would take the pages for flushed (`MappedFile#flush`).

use super::medium::Fsync;
use super::positions::PAGE;
use super::{BrokerDisk, ConsumeQueue, ENTRY};
use crate::base::ids::TopicId;
use crate::base::time::MS;
use crate::rocketmq::settings::BrokerSettings;

/// The flusher of one life.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueFlusher {
    interval: u64,
    thorough_interval: u64,
    least_pages: u64,
    /// When it looks next, ns of the monotonic clock. 0: no member's store is open.
    next: u64,
    /// From when on a look is thorough.
    thorough: u64,
    /// When the kernel looks next.
    kernel: u64,
    /// Up to when all of this is made up for.
    pub(super) now: u64,
}

impl QueueFlusher {
    /// The flusher of a store that is opened now. `lastFlushTimestamp` is 0 at first, so the first look is thorough.
    pub fn opened(settings: &BrokerSettings, now: u64) -> QueueFlusher {
        let interval = settings.flush_interval_consume_queue.max(1) * MS;
        QueueFlusher {
            interval,
            thorough_interval: settings.flush_consume_queue_thorough_interval * MS,
            least_pages: settings.flush_consume_queue_least_pages,
            next: now + interval,
            thorough: 0,
            kernel: 0,
            now,
        }
    }

    /// The looks that were due up to now, of which nothing came in between: whether there was one, and whether one of them was thorough.
    fn due(&mut self, now: u64) -> Option<bool> {
        if self.next == 0 || now < self.next {
            return None;
        }
        let last = now - (now - self.next) % self.interval;
        let thorough = self.thorough <= last;
        if thorough {
            let first = self.next.max(self.thorough);
            let mut at = first + (self.interval - (first - self.next) % self.interval) % self.interval;
            let period = self.thorough_interval.max(1).next_multiple_of(self.interval);
            at += (last - at) / period * period;
            self.thorough = at + self.thorough_interval;
        }
        self.next = last + self.interval;
        Some(thorough)
    }
}

impl ConsumeQueue {
    /// `MappedFile#isAbleToFlush`: pages between what is written and what is flushed; 0 least pages: any byte will do.
    fn has_pages(&self, least: u64) -> bool {
        let page = |entries: u64| entries * ENTRY / PAGE;
        if least == 0 { self.durable < self.max() } else { page(self.max()) - page(self.durable.min(self.max())) >= least }
    }
}

impl BrokerDisk {
    /// Whether its log is a DLedger member's: records lie in entries of its own.
    fn is_member(&self) -> bool {
        self.log.header > 0
    }

    /// A member's store is opened: its flusher begins.
    pub fn open_queues(&mut self, settings: &BrokerSettings, now: u64) {
        self.flusher = QueueFlusher::opened(settings, now);
    }

    /// Before anything is dispatched now: what the flusher and the kernel have written of the queues meanwhile.
    pub fn settle_queues(&mut self, now: u64) {
        let BrokerDisk { queues, flusher, medium, stalled, .. } = self;
        flusher.now = now;
        let kernel = now >= flusher.kernel && medium.kernel.dirty_writeback > 0;
        if *stalled || medium.fsync != Fsync::Works || !kernel && (flusher.next == 0 || now < flusher.next) {
            return;
        }
        if kernel {
            flusher.kernel = (now + 1).checked_next_multiple_of(medium.kernel.dirty_writeback).unwrap_or(u64::MAX);
        }
        // Either writes all of a file; which came first matters to nobody.
        let look = flusher.due(now);
        for queue in queues.iter_mut().filter(|q| q.durable < q.max()) {
            let flushed = look.is_some_and(|thorough| queue.has_pages(if thorough { 0 } else { flusher.least_pages }));
            if flushed || medium.kernel.writes_at(queue.dirty_since).is_some_and(|at| at <= now) {
                queue.durable = queue.max();
            }
        }
    }

    /// The store is closed in order: the flusher ends with a look that writes every queue (`FlushConsumeQueueService#run`, `RETRY_TIMES_OVER`).
    pub fn flush_queues(&mut self, now: u64) {
        if !self.is_member() {
            return;
        }
        self.settle_queues(now);
        self.flusher.next = 0;
        if !self.stalled && self.medium.fsync == Fsync::Works {
            self.queues.iter_mut().for_each(|queue| queue.durable = queue.max());
        }
    }

    /// The power is gone: each queue is as long as it was on the disk, and the dispatch will go on behind the newest entry that is left.
    pub(super) fn queues_lose_power(&mut self, now: u64) {
        if !self.is_member() {
            return;
        }
        self.settle_queues(now);
        self.flusher.next = 0;
        let ends: Vec<u64> = self.queues.iter().map(ConsumeQueue::max).collect();
        for queue in &mut self.queues {
            queue.entries.truncate(queue.durable.saturating_sub(queue.origin) as usize);
        }
        let newest = self.queues.iter().filter_map(|q| q.entries.last()).max();
        let resumes = newest.map_or(self.log.first(), |&index| index as usize + 1);
        self.dispatched = resumes.min(self.log.len());
        for (queue, end) in self.queues.iter().zip(ends) {
            let behind =
                |index: usize| self.log.get(index).is_some_and(|m| (m.topic, m.queue_id) == (queue.topic, queue.queue_id));
            let from = queue.entries.last().map_or(self.log.first(), |&index| index as usize + 1);
            if queue.max() < end && (from..self.dispatched).any(behind) {
                self.unindexed.push((queue.topic, queue.queue_id, queue.max()));
            }
        }
    }

    /// The process is gone, and its flusher with it; the kernel goes on.
    pub(super) fn queues_lose_their_process(&mut self, now: u64) {
        if self.is_member() {
            self.settle_queues(now);
            self.flusher.next = 0;
        }
    }

    /// Queues with records that no entry names, and the first offset that is missing. Told once.
    pub fn take_unindexed(&mut self) -> Vec<(TopicId, u16, u64)> {
        std::mem::take(&mut self.unindexed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SEC;
    use crate::rocketmq::message::Message;

    const BUSY: TopicId = TopicId(0);
    const QUIET: TopicId = TopicId(1);
    /// Entries of two pages.
    const FULL: u64 = 2 * PAGE / ENTRY + 1;

    fn opened(settings: &BrokerSettings) -> BrokerDisk {
        let mut disk = BrokerDisk::default();
        disk.log.header = 48;
        disk.open_queues(settings, 0);
        disk
    }
    /// So many records of a topic's only queue, dispatched at a second.
    fn put(disk: &mut BrokerDisk, at: u64, topic: TopicId, n: u64) {
        disk.settle_queues(at * SEC);
        for _ in 0..n {
            let queue_offset = disk.find_queue(topic, 0).map_or(0, |q| disk.queue(q).max());
            let phys = disk.log.ends.place(100) + 48;
            disk.log.append(Message { phys, topic, queue_offset, ..Message::blank(topic) }, 100);
            disk.log.ends.committed = disk.log.ends.written;
            assert!(disk.dispatch_next(u64::MAX).is_some());
        }
    }
    fn durable(disk: &BrokerDisk, topic: TopicId) -> u64 {
        disk.find_queue(topic, 0).map_or(0, |q| disk.queue(q).durable)
    }

    #[test]
    fn looks_and_thorough_ones() {
        // Asked at these seconds: whether there was a look since, and whether a thorough one.
        let table: [(&[u64], &[Option<bool>]); 4] = [
            (&[0, 1, 2, 60, 61, 62], &[None, Some(true), Some(false), Some(false), Some(true), Some(false)]),
            (&[1, 1], &[Some(true), None]),
            (&[30, 60, 90, 91], &[Some(true), Some(false), Some(true), Some(false)]),
            (&[1, 500, 540, 541], &[Some(true), Some(true), Some(false), Some(true)]),
        ];
        for (asked, expect) in table {
            let mut flusher = QueueFlusher::opened(&BrokerSettings::default(), 0);
            let found: Vec<Option<bool>> = asked.iter().map(|at| flusher.due(at * SEC)).collect();
            assert_eq!(found, expect, "{asked:?}");
        }
    }

    #[test]
    fn a_queue_is_written_for_its_pages_for_its_age_or_with_all_others() {
        // Entries dispatched at a second each, asked at; durable then. The first look, at second 1, is thorough.
        type Line<'a> = (&'a [(u64, u64)], u64, u64);
        let table: [Line<'_>; 7] = [
            (&[(0, 5)], 0, 0),
            (&[(0, 5)], 1, 5),
            (&[(0, 5), (2, 7)], 29, 5),
            (&[(0, 5), (2, FULL)], 3, 5 + FULL),
            (&[(0, 5), (2, FULL - 10)], 3, 5),
            (&[(0, 5), (2, 7)], 35, 12),
            (&[(0, 5), (40, 7)], 61, 12),
        ];
        for (steps, asked, expect) in table {
            let mut disk = opened(&BrokerSettings::default());
            steps.iter().for_each(|(at, n)| put(&mut disk, *at, BUSY, *n));
            disk.settle_queues(asked * SEC);
            assert_eq!(durable(&disk, BUSY), expect, "{steps:?}, asked at {asked}");
        }
        let mut refused = opened(&BrokerSettings::default());
        put(&mut refused, 0, BUSY, 5);
        refused.medium.fsync = Fsync::Fails;
        refused.settle_queues(50 * SEC);
        assert_eq!(durable(&refused, BUSY), 0, "a disk that refuses has written nothing");
        refused.medium.fsync = Fsync::Works;
        refused.settle_queues(51 * SEC);
        assert_eq!(durable(&refused, BUSY), 5, "the next look tries again");
    }

    #[test]
    fn without_a_process_only_the_kernel_writes() {
        let mut disk = opened(&BrokerSettings::default());
        put(&mut disk, 0, BUSY, 5);
        put(&mut disk, 3, BUSY, 5);
        disk.process_died(4 * SEC);
        disk.settle_queues(32 * SEC);
        assert_eq!(durable(&disk, BUSY), 5, "written by the first look");
        disk.settle_queues(35 * SEC);
        assert_eq!(durable(&disk, BUSY), 10);
        let mut closed = opened(&BrokerSettings::default());
        put(&mut closed, 2, BUSY, 5);
        closed.flush_queues(2 * SEC);
        assert_eq!(durable(&closed, BUSY), 5, "an orderly end writes every queue");
    }

    /// What a quiet queue has in front of the newest entry that a busy one kept is in no queue any more; what lies behind that entry is dispatched again.
    #[test]
    fn the_dispatch_goes_on_behind_the_newest_entry_that_is_left() {
        let play = |settings: &BrokerSettings| {
            let mut disk = opened(settings);
            put(&mut disk, 0, QUIET, 3);
            put(&mut disk, 0, BUSY, 1);
            put(&mut disk, 3, QUIET, 4);
            put(&mut disk, 3, BUSY, FULL);
            put(&mut disk, 4, QUIET, 2);
            disk.log.ends.durable = disk.log.ends.written;
            disk.power_lost(0, 4 * SEC + 1);
            disk.open_queues(settings, 5 * SEC);
            while disk.dispatch_next(u64::MAX).is_some() {}
            let quiet = disk.find_queue(QUIET, 0).map(|q| disk.queue(q));
            let offsets: Vec<u64> = quiet
                .map(|q| (q.min..q.max()).filter_map(|at| disk.log.get(q.entry(at)?)).map(|m| m.queue_offset).collect())
                .unwrap_or_default();
            (offsets, disk.take_unindexed())
        };
        // The two of second 4 are dispatched again, at the places of two that are out of reach.
        assert_eq!(play(&BrokerSettings::default()), (vec![0, 1, 2, 7, 8], vec![(QUIET, 0, 3)]));
        // All queues written at each look lose nothing: the newest entry is as old in each.
        let settings = BrokerSettings { flush_consume_queue_least_pages: 0, ..BrokerSettings::default() };
        assert_eq!(play(&settings), ((0..9).collect(), vec![]));
        // A broker with a log of its own walks it and refills its queues.
        let mut master = opened(&BrokerSettings::default());
        put(&mut master, 2, QUIET, 3);
        put(&mut master, 2, BUSY, FULL);
        (master.log.header, master.log.ends.durable) = (0, master.log.ends.written);
        master.power_lost(0, 4 * SEC);
        assert_eq!((master.queue(0).max(), master.take_unindexed()), (3, vec![]));
    }

    #[test]
    fn it_is_told_once() {
        let mut disk = opened(&BrokerSettings::default());
        disk.unindexed.push((QUIET, 0, 3));
        assert_eq!((disk.take_unindexed().len(), disk.take_unindexed().len()), (1, 0));
    }
}
