//! From the page cache to the disk, and whose answer waits for it.
//!
//! ASYNC_FLUSH: `FlushRealTimeService` sleeps half a second and flushes when four pages are dirty, or anything once in ten seconds; nobody waits. SYNC_FLUSH:
//! `GroupCommitService` flushes for all who wait together, and `FlushDiskWatcher` answers FLUSH_DISK_TIMEOUT to whoever waited too long. With the pool,
//! `CommitRealTimeService` first moves what was appended into the page cache. One fsync is under way at a time; what is appended meanwhile is the
//! next one's (4.9.8; server spec 4.4). Cycles in which nothing can be dirty are computed, not run.

use super::puts::Part;
use super::store::medium::Synced;
use super::{Broker, Cx, Tick};
use crate::base::draw::Purpose;
use crate::base::time::MS;
use crate::contract::WorkClass;
use crate::contract::note::Note;
use crate::rocketmq::protocol::answer_code;
use crate::rocketmq::remoting::timers::grid;
use crate::rocketmq::settings::{BrokerRole, BrokerSettings, FlushDiskType};
use std::collections::VecDeque;

/// The ticket of an fsync.
pub(super) const FSYNC_TICKET: u32 = u32::MAX - 1;
/// `GroupCommitService` waits at most this long, ms.
const GROUP_COMMIT_WAIT: u64 = 10;
/// `commitCommitLogLeastPages`.
const COMMIT_LEAST_PAGES: u64 = 4;

/// A put that waits for the disk.
#[derive(Clone, Debug)]
struct Waiting {
    /// The log must be flushed up to here.
    next: u64,
    /// mono ns.
    deadline: u64,
    /// Its number among the puts that are not answered.
    put: u32,
}

/// The flush services of a life.
#[derive(Clone, Debug, Default)]
pub(super) struct Flusher {
    /// `MappedFileQueue.flushedWhere`: what this life believes to be flushed. Recovery takes everything it found for flushed.
    flushed_where: u64,
    /// What the fsync under way will have reached.
    under_way: Option<u64>,
    /// It leaves nothing out; then when the newest record it covers was stored, wall ms.
    thoroughly: Option<i64>,
    /// It is over but the disk stands still.
    held_up: bool,
    fsyncs: u64,
    /// In the order of the log.
    waiting: VecDeque<Waiting>,
    /// A cycle of the service is planned.
    cycle_set: bool,
    /// When the flush loop last began to sleep, mono ns: its cycles lie a whole number of intervals later.
    asleep_since: u64,
    /// The cycle that last flushed thoroughly, mono ns.
    thorough: u64,
    watch_set: bool,
    commit_set: bool,
    /// When the pool was last committed, mono ns.
    committed_at: u64,
}

/// Whether appends go into an off-heap buffer first (`MessageStoreConfig#isTransientStorePoolEnable`).
pub(super) fn pooled(s: &BrokerSettings) -> bool {
    s.transient_store_pool_enable && s.flush_disk_type == FlushDiskType::AsyncFlush && s.broker_role != BrokerRole::Slave
}

impl Broker {
    /// The services start with everything that was recovered taken for flushed.
    pub(super) fn flush_start(&mut self, cx: &mut Cx<'_, '_>) {
        let log = &mut cx.env.disk.broker.log;
        log.ends.file_size = self.config.settings.mapped_file_size_commit_log.max(1);
        let now = cx.now.mono;
        self.flusher = Flusher {
            flushed_where: log.ends.committed,
            asleep_since: now,
            thorough: now,
            committed_at: now,
            ..Flusher::default()
        };
    }

    /// Something was appended (`CommitLog#submitFlushRequest`, `MappedFileQueue#commit`).
    pub(super) fn appended(&mut self, cx: &mut Cx<'_, '_>) {
        if pooled(&self.config.settings) {
            self.commit_real_time(cx);
        } else {
            let written = cx.env.disk.broker.log.ends.written;
            cx.env.disk.broker.page_cached(written, cx.now.mono);
        }
        self.file_rolled(cx);
        self.plan_flush(cx);
    }

    /// Something in the page cache may be dirty: the service's next cycle looks at it.
    fn plan_flush(&mut self, cx: &mut Cx<'_, '_>) {
        let dirty = cx.env.disk.broker.log.ends.committed > self.flusher.flushed_where;
        if !dirty || self.flusher.cycle_set || self.flusher.under_way.is_some() {
            return;
        }
        self.flusher.cycle_set = true;
        let at = match self.config.settings.flush_disk_type {
            FlushDiskType::SyncFlush => cx.now.mono + GROUP_COMMIT_WAIT * MS,
            FlushDiskType::AsyncFlush => self.next_cycle(cx.now.mono),
        };
        self.timers.set(at, Tick::Flush);
    }

    /// The next cycle of the flush loop.
    fn next_cycle(&self, now: u64) -> u64 {
        grid(now + 1, self.flusher.asleep_since, self.config.settings.flush_interval_commit_log.max(1) * MS)
    }

    /// `CommitRealTimeService#run`: woken by each put; four pages, or anything when 200 ms have passed since it last found something.
    fn commit_real_time(&mut self, cx: &mut Cx<'_, '_>) {
        let interval = self.config.settings.commit_interval_commit_log.max(1) * MS;
        let disk = &mut cx.env.disk.broker;
        let least = if cx.now.mono >= self.flusher.committed_at + interval { 0 } else { COMMIT_LEAST_PAGES };
        while let Some(target) = disk.log.ends.target(disk.log.ends.committed, disk.log.ends.written, least) {
            disk.page_cached(target, cx.now.mono);
            self.flusher.committed_at = cx.now.mono;
            cx.out.note(Note::PageCached { upto: target });
        }
        if disk.log.ends.committed < disk.log.ends.written && !self.flusher.commit_set {
            self.flusher.commit_set = true;
            self.timers.set(self.flusher.committed_at.max(cx.now.mono) + interval, Tick::Commit);
        }
    }

    pub(super) fn commit_tick(&mut self, cx: &mut Cx<'_, '_>) {
        self.flusher.commit_set = false;
        self.commit_real_time(cx);
        self.plan_flush(cx);
        self.plan_reput(cx);
    }

    /// A cycle of the flush service.
    pub(super) fn flush_tick(&mut self, cx: &mut Cx<'_, '_>) {
        self.flusher.cycle_set = false;
        let s = &self.config.settings;
        let least = match s.flush_disk_type {
            FlushDiskType::SyncFlush => 0,
            FlushDiskType::AsyncFlush => {
                // Thorough cycles go on while nothing is dirty; those that were not run are made up for.
                let interval = s.flush_interval_commit_log.max(1) * MS;
                let every = (s.flush_commit_log_thorough_interval * MS).div_ceil(interval).max(1);
                let cycles = (cx.now.mono - self.flusher.thorough) / interval;
                let due = cycles >= every && cycles.is_multiple_of(every);
                if due {
                    self.flusher.thorough = cx.now.mono;
                }
                if due { 0 } else { s.flush_commit_log_least_pages }
            }
        };
        self.begin_flush(cx, least);
        self.plan_flush(cx);
    }

    /// `MappedFileQueue#flush`: the pages that are dirty now.
    fn begin_flush(&mut self, cx: &mut Cx<'_, '_>, least_pages: u64) {
        let ends = &cx.env.disk.broker.log.ends;
        if self.flusher.under_way.is_some() {
            return;
        }
        let Some(target) = ends.target(self.flusher.flushed_where, ends.committed, least_pages) else { return };
        self.flusher.under_way = Some(target);
        self.flusher.thoroughly = if least_pages == 0 { cx.env.disk.broker.log.newest_by(target) } else { None };
        self.flusher.fsyncs += 1;
        let n = (cx.env.life as u64) << 40 | self.flusher.fsyncs;
        let word = cx.env.draws.word(cx.env.entity, Purpose::Work, n);
        cx.out.work(FSYNC_TICKET, WorkClass::Fsync, word);
    }

    /// The fsync is over, unless the disk stands still.
    pub(super) fn flushed(&mut self, cx: &mut Cx<'_, '_>) {
        if cx.env.disk.broker.stalled {
            self.flusher.held_up = true;
            return;
        }
        self.flusher.held_up = false;
        if self.group.is_some() {
            return self.group_flushed(cx);
        }
        let Some(target) = self.flusher.under_way.take() else { return };
        self.flusher.flushed_where = target;
        if let Some(store_ms) = self.flusher.thoroughly {
            cx.env.disk.broker.files.catch_up(cx.now.mono);
            cx.env.disk.broker.files.flushed(store_ms);
        }
        if self.config.rules.dispatch_waits_for_flush {
            self.plan_reput(cx);
        }
        self.fsynced(cx, target);
        while self.flusher.waiting.front().is_some_and(|w| w.next <= target) {
            if let Some(waiting) = self.flusher.waiting.pop_front() {
                self.settle(cx, waiting.put, Part::Flush, answer_code::SUCCESS);
            }
        }
        match self.config.settings.flush_disk_type {
            FlushDiskType::SyncFlush => {
                if !self.flusher.waiting.is_empty() {
                    self.begin_flush(cx, 0);
                }
            }
            FlushDiskType::AsyncFlush => self.flusher.asleep_since = cx.now.mono,
        }
        self.plan_flush(cx);
    }

    /// An fsync has returned or thrown: to RocketMQ that is the same (`MappedFile#flush`; server spec 4.1). Observers are told what it came to.
    pub(super) fn fsynced(&mut self, cx: &mut Cx<'_, '_>, upto: u64) {
        let disk = &mut cx.env.disk.broker;
        let came_to = disk.synced(upto, cx.now.mono);
        cx.out.note(Note::Flushed { upto: disk.log.ends.durable });
        if came_to != Synced::Durable {
            cx.out.note(Note::FlushedInVain { upto, held: came_to == Synced::Held });
        }
    }

    /// How far the log may enter the consume queues: all that can be read, or by the rule of 5.3.0 what is flushed (server spec 4.5).
    pub(super) fn dispatchable(&self, cx: &Cx<'_, '_>) -> u64 {
        let waits =
            self.config.rules.dispatch_waits_for_flush && self.config.settings.flush_disk_type == FlushDiskType::SyncFlush;
        if waits { self.flusher.flushed_where } else { self.readable(cx) }
    }

    /// The disk goes on.
    pub(super) fn go_on_flushing(&mut self, cx: &mut Cx<'_, '_>) {
        if self.flusher.held_up {
            self.flushed(cx);
        }
    }

    /// The put waits until the log is flushed up to its present end (`CommitLog#submitFlushRequest`).
    pub(super) fn await_flush(&mut self, cx: &mut Cx<'_, '_>, put: u32) {
        let next = cx.env.disk.broker.log.ends.written;
        let deadline = cx.now.mono + self.config.settings.sync_flush_timeout * MS;
        self.flusher.waiting.push_back(Waiting { next, deadline, put });
        self.begin_flush(cx, 0);
        self.watch(deadline);
    }

    fn watch(&mut self, deadline: u64) {
        if !self.flusher.watch_set {
            self.flusher.watch_set = true;
            self.timers.set(deadline, Tick::FlushWatch);
        }
    }

    /// `FlushDiskWatcher`: the record is stored and visible, the producer is told that its flush was not waited for.
    pub(super) fn flush_watch(&mut self, cx: &mut Cx<'_, '_>) {
        self.flusher.watch_set = false;
        while self.flusher.waiting.front().is_some_and(|w| w.deadline <= cx.now.mono) {
            let Some(late) = self.flusher.waiting.pop_front() else { break };
            self.settle(cx, late.put, Part::Flush, answer_code::FLUSH_DISK_TIMEOUT);
        }
        if let Some(deadline) = self.flusher.waiting.front().map(|w| w.deadline) {
            self.watch(deadline);
        }
    }

    /// A shutdown commits and flushes what there is.
    pub(super) fn flush_all(&mut self, cx: &mut Cx<'_, '_>) {
        cx.env.disk.dledger.durable = cx.env.disk.broker.log.len() as i64 - 1;
        let written = cx.env.disk.broker.log.ends.written;
        if cx.env.disk.broker.log.ends.committed < written {
            cx.env.disk.broker.page_cached(written, cx.now.mono);
            cx.out.note(Note::PageCached { upto: written });
        }
        self.fsynced(cx, written);
    }
}
