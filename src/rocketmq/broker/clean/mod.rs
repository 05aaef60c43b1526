//! The old end of the log: which files go, when, and what a full disk stops.
//!
//! `DefaultMessageStore.CleanCommitLogService` and `CleanConsumeQueueService` (4.9.8; server spec 5.7): one thread looks every 10 s, first 60 s after the
//! start. In the hours of `deleteWhen`, or above `diskMaxUsedSpaceRatio`, files whose last write is `fileReservedTime` ago are deleted; above the mark of
//! forced cleaning any file but the last; at most ten a pass, 100 ms apart, read or not. Above the warning mark the broker takes no more
//! messages (`RunningFlags`, in memory: a restart forgets it until its first pass) and takes them again when a pass finds less than the mark of forced cleaning.
//! A slave cleans by its own clock, and goes on appending what its master ships. In a DLedger group the files of the log are deleted by the group's own service
//! ([`super::ha::dledger::clean`]); the passes here then set the flag and delete consume queues. Passes that can neither delete nor measure anything are computed, not run.

#[cfg(test)]
mod tests;

use super::{Broker, Cx, Tick};
use crate::base::time::{MS, SEC};
use crate::contract::note::Note;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;
use crate::rocketmq::settings::BrokerSettings;
use crate::rocketmq::settings::cleaning::{HOUR_MS, hours, next_time_to_delete, ratio};

/// First pass after the start (`DefaultMessageStore#addScheduleTask`).
const FIRST: u64 = 60 * SEC;
/// `MappedFileQueue.DELETE_FILES_BATCH_MAX`.
const BATCH: usize = 10;

/// Where a pass stands between two pauses.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// So many log files may still be deleted in it, whatever their age or only expired ones.
    Log { left: usize, at_once: bool },
    /// Consume queues from this one on.
    Queues { next: usize },
}

/// The cleaning services of a life, and what they know of the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleaner {
    /// When the oldest file that may be deleted expires, wall ms; `None`: the log has only one.
    expires: Option<i64>,
    /// Hours of `deleteWhen`, one bit each.
    hours: u32,
    tick_set: bool,
    pass: Option<Pass>,
    /// `RunningFlags.DISK_FULL_BIT`.
    disk_full: bool,
    /// Observers take it for a broker that refuses messages for want of room.
    told: bool,
    /// `CleanConsumeQueueService.lastPhysicalMinOffset`.
    last_physical_min: u64,
}

impl Cleaner {
    /// Messages are refused.
    pub(super) fn disk_full(&self) -> bool {
        self.disk_full
    }
    /// When a pass could first delete something by its age.
    pub(super) fn next_due(&self, now: Now) -> Option<Deadline> {
        let expires = self.expires.filter(|_| !self.tick_set)?;
        next_time_to_delete(self.hours, expires.max(now.wall_ms)).map(Deadline::wall)
    }
}

/// What `isSpaceToDelete` makes of a partition that is so full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    /// Expired files may go at any hour.
    to_delete: bool,
    /// Files may go before their time.
    immediately: bool,
    /// The flag, if it is to change.
    disk_full: Option<bool>,
}

fn is_space_to_delete(s: &BrokerSettings, used_percent: u64) -> Space {
    let above = |mark: Option<u64>, default: u64| used_percent * 100 > mark.unwrap_or(default);
    let warning = above(ratio(&s.disk_space_warning_level_ratio), 9_000);
    let forcibly = above(ratio(&s.disk_space_clean_forcibly_ratio), 8_500);
    Space {
        // The marks alone delete nothing: where this ratio is set above them, files wait for it.
        to_delete: used_percent > s.disk_max_used_space_ratio.clamp(10, 95),
        immediately: warning || forcibly,
        disk_full: if warning {
            Some(true)
        } else if forcibly {
            None
        } else {
            Some(false)
        },
    }
}

impl Broker {
    /// `DefaultMessageStore#addScheduleTask`.
    pub(super) fn clean_start(&mut self, cx: &mut Cx<'_, '_>) {
        self.cleaner = Cleaner { hours: hours(&self.config.settings.delete_when).unwrap_or(1 << 4), ..Cleaner::default() };
        self.files_changed(cx);
        // A pass of the life before may have ended between the log and the consume queues.
        let unfinished = cx.env.disk.broker.log.first() > 0;
        self.plan_pass(cx, unfinished);
    }

    /// The oldest file is another one, or no longer the last: when it expires.
    pub(super) fn files_changed(&mut self, cx: &Cx<'_, '_>) {
        if self.config.dledger.is_some() {
            return;
        }
        let files = cx.env.disk.broker.log.files();
        let reserved = i64::try_from(self.config.settings.file_reserved_time).unwrap_or(i64::MAX).saturating_mul(HOUR_MS);
        self.cleaner.expires = files.oldest().filter(|_| files.count() > 1).map(|at| at.saturating_add(reserved));
    }

    /// Something was appended: a second file makes the first one mortal.
    #[inline]
    pub(super) fn file_rolled(&mut self, cx: &Cx<'_, '_>) {
        if self.cleaner.expires.is_none() && cx.env.disk.broker.log.files().count() > 1 {
            self.files_changed(cx);
        }
    }

    /// The next pass is run if it can find something: on a partition that has a size always, else when a file expires in an hour of deletion.
    pub(super) fn plan_clean(&mut self, cx: &Cx<'_, '_>) {
        self.plan_pass(cx, false);
    }

    /// The group has deleted a file: the next pass has consume queues to delete.
    pub(super) fn plan_group_clean(&mut self, cx: &Cx<'_, '_>) {
        self.plan_pass(cx, true);
    }

    fn plan_pass(&mut self, cx: &Cx<'_, '_>, anyhow: bool) {
        let now = cx.now;
        let due = anyhow || self.cleaner.next_due(now).is_some_and(|due| due.in_ns(now) == 0);
        if self.cleaner.tick_set || !(due || cx.env.disk.broker.partition.size > 0) {
            return;
        }
        self.cleaner.tick_set = true;
        let interval = self.config.settings.clean_resource_interval.max(1) * MS;
        self.timers.set(grid(now.mono + 1, self.phase + FIRST, interval), Tick::Clean);
    }

    /// `CleanCommitLogService#run`, then `CleanConsumeQueueService#run`, or what is left of them after a pause.
    #[cold]
    pub(super) fn clean_tick(&mut self, cx: &mut Cx<'_, '_>) {
        let mut pass = self.cleaner.pass.take().unwrap_or_else(|| self.begin_pass(cx));
        loop {
            let (next, pause_ms) = match pass {
                Pass::Log { left, at_once } => self.delete_log_file(cx, left, at_once),
                Pass::Queues { next } => match self.delete_queue_files(cx, next) {
                    Some(step) => step,
                    None => break,
                },
            };
            if pause_ms > 0 {
                self.cleaner.pass = Some(next);
                return self.timers.set(cx.now.mono + pause_ms * MS, Tick::Clean);
            }
            pass = next;
        }
        self.cleaner.tick_set = false;
        self.files_changed(cx);
        self.plan_clean(cx);
    }

    /// `CleanCommitLogService#deleteExpiredFiles` up to the first file.
    fn begin_pass(&mut self, cx: &mut Cx<'_, '_>) -> Pass {
        let config = self.config.clone();
        let s = &config.settings;
        let time_up = next_time_to_delete(self.cleaner.hours, cx.now.wall_ms) == Some(cx.now.wall_ms);
        let space = is_space_to_delete(s, cx.env.disk.broker.used_percent());
        self.cleaner.disk_full = space.disk_full.unwrap_or(self.cleaner.disk_full);
        self.tell_disk_full(cx);
        // `DLedgerCommitLog#deleteExpiredFile` leaves the files to the group.
        if (time_up || space.to_delete) && self.config.dledger.is_none() {
            let left = cx.env.disk.broker.log.files().count().saturating_sub(1).min(BATCH);
            Pass::Log { left, at_once: s.clean_file_forcibly_enable && space.immediately }
        } else {
            Pass::Queues { next: 0 }
        }
    }

    /// Observers hear when it begins or ends to refuse messages for want of room. A slave takes none anyhow.
    pub(super) fn tell_disk_full(&mut self, cx: &mut Cx<'_, '_>) {
        let on = self.writable() && (self.cleaner.disk_full || self.group_disk_full());
        if std::mem::replace(&mut self.cleaner.told, on) != on {
            cx.out.note(Note::DiskFull { on });
        }
    }

    /// One turn of `MappedFileQueue#deleteExpiredFileByTime`, and the pause after it.
    fn delete_log_file(&mut self, cx: &mut Cx<'_, '_>, left: usize, at_once: bool) -> (Pass, u64) {
        self.files_changed(cx);
        let expired = self.cleaner.expires.is_some_and(|at| cx.now.wall_ms >= at);
        if left == 0 || !(expired || at_once) {
            // Never one in the middle.
            return (Pass::Queues { next: 0 }, 0);
        }
        self.destroy_oldest_file(cx, expired);
        let pause = if left > 1 { self.config.settings.delete_commit_log_files_interval } else { 0 };
        (Pass::Log { left: left - 1, at_once }, pause)
    }

    /// `MappedFile#destroy` of the oldest file, and what that costs.
    pub(super) fn destroy_oldest_file(&mut self, cx: &mut Cx<'_, '_>, expired: bool) {
        let gone = cx.env.disk.broker.delete_oldest_file();
        let log = &cx.env.disk.broker.log;
        cx.out.note(Note::FileDeleted { upto: log.min_phys(), expired });
        let identity = log.identity;
        for (topic, queue_id, below) in gone {
            // A slave that deletes loses copies.
            if self.writable() {
                cx.out.note(Note::Expired { queue: self.queue_of(topic, queue_id), log: identity, below });
            }
        }
    }

    /// `CleanConsumeQueueService#deleteExpiredFiles` for one queue, and the pause after it; `None`: there is no more.
    fn delete_queue_files(&mut self, cx: &mut Cx<'_, '_>, next: usize) -> Option<(Pass, u64)> {
        let disk = &mut cx.env.disk.broker;
        let min = disk.log.min_phys();
        if min <= self.cleaner.last_physical_min || next >= disk.queues().len() {
            self.cleaner.last_physical_min = min.max(self.cleaner.last_physical_min);
            return None;
        }
        let deleted = disk.delete_expired_queue_files(next, &self.config.settings);
        let pause = if deleted > 0 { self.config.settings.delete_consume_queue_files_interval } else { 0 };
        Some((Pass::Queues { next: next + 1 }, pause))
    }
}

#[cfg(test)]
mod rule_tests {
    use super::*;

    /// The marks of server spec 5.7, each with the percent on either side of it.
    #[test]
    fn how_full_the_disk_is_decides() {
        let s = BrokerSettings::default();
        let table = [
            (75, false, false, Some(false)),
            (76, true, false, Some(false)),
            (85, true, false, Some(false)),
            (86, true, true, None),
            (90, true, true, None),
            (91, true, true, Some(true)),
        ];
        for (percent, to_delete, immediately, disk_full) in table {
            assert_eq!(is_space_to_delete(&s, percent), Space { to_delete, immediately, disk_full }, "{percent} %");
        }
        // Set above the marks, it alone decides when files go; the flag does not wait for it.
        let late = BrokerSettings { disk_max_used_space_ratio: 99, ..s.clone() };
        assert_eq!(is_space_to_delete(&late, 95), Space { to_delete: false, immediately: true, disk_full: Some(true) });
        assert!(is_space_to_delete(&late, 96).to_delete, "clamped to 95");
        let tight = BrokerSettings { disk_space_warning_level_ratio: "0.50".into(), ..s };
        assert_eq!(is_space_to_delete(&tight, 51).disk_full, Some(true));
    }
}
