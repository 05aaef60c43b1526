//! The old end of a group's log at one member: which files go, when, and what its full disk stops.
//!
//! One thread looks, sleeps for 100 ms and looks again, from the start on. In the hours of `deleteWhen`, or above the mark of checking, files whose last write is
//! the reserved time ago are deleted; above the mark of forced cleaning any file but the last, committed or not; at most ten a pass, 100 ms apart. Above the mark
//! of a full disk the member appends nothing, whoever asks: a leader refuses with DISK_FULL and goes on leading, a follower answers INCONSISTENT_STATE, and
//! its leader compares, finds the same end, pushes the same entry and is refused again, as fast as answers come. The flag is set and cleared by the same mark, and by
//! each member for itself: the group neither deletes nor refuses together. What a comparison finds below the first entry that is left begins the follower's log anew
//! ([`super::ledger::truncate_to`]). Models `DLedgerMmapFileStore.CleanSpaceService`, `MmapFileList#deleteExpiredFileByTime`, `DLedgerConfig#getDiskFullRatio`
//! (DLedger 0.3.1.2; server spec 11.5).
//!
//! The broker beside it has a cleaning of its own (`DefaultMessageStore.CleanCommitLogService`, every 10 s), which deletes consume queues and sets the broker's flag but leaves
//! the files of a group's log to the group (`DLedgerCommitLog#deleteExpiredFile`, 4.9.8).
//!
//! Passes that can neither delete nor measure anything are computed, not run. A deleted file is out of the log at once; there the list of files, and with it the first
//! index, is brought up to date at the end of the pass, up to a second later. The marks are floats there and the use is a double, so that a use of exactly a mark may count
//! as above it; with the defaults it does not.

use super::ledger::Ledger;
use super::{Cx, Effect};
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;
use crate::rocketmq::settings::cleaning::{HOUR_MS, next_time_to_delete};

/// `waitForRunning(100)` behind each pass, and the sleep between two files, ns.
const INTERVAL: u64 = 100 * MS;
/// `MmapFileList.DELETE_FILES_BATCH_MAX`.
const BATCH: usize = 10;

/// What the cleaning of a member is configured with (`DLedgerConfig`), as `DLedgerCommitLog` sets it. Marks are hundredths of a percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanConfig {
    /// `deleteWhen`: hours of the day, one bit each.
    pub delete_when: u32,
    /// `fileReservedHours`.
    pub file_reserved_hours: i64,
    /// `diskSpaceRatioToCheckExpired`.
    pub disk_space_ratio_to_check_expired: u64,
    /// `diskSpaceRatioToForceClean`.
    pub disk_space_ratio_to_force_clean: u64,
    /// `enableDiskForceClean`.
    pub enable_disk_force_clean: bool,
}

impl Default for CleanConfig {
    fn default() -> Self {
        CleanConfig {
            delete_when: 1 << 4,
            file_reserved_hours: 72,
            disk_space_ratio_to_check_expired: 7_000,
            disk_space_ratio_to_force_clean: 8_500,
            enable_disk_force_clean: true,
        }
    }
}

impl CleanConfig {
    /// `DLedgerConfig#getDiskFullRatio`.
    fn disk_full_ratio(&self) -> u64 {
        self.disk_space_ratio_to_force_clean.saturating_add(500).min(9_500)
    }
    /// How long a file is kept after its last write: an hour at least.
    fn reserved_ms(&self) -> i64 {
        self.file_reserved_hours.max(1).saturating_mul(HOUR_MS)
    }
}

/// The files of a log as a pass sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataFiles {
    /// How many there are.
    pub count: usize,
    /// When the oldest was last written, wall ms.
    pub oldest_ms: i64,
}

/// What a pass makes of what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    /// So many files may go.
    files: usize,
    /// Whatever their age.
    at_once: bool,
    disk_full: bool,
}

fn pass(config: &CleanConfig, files: DataFiles, used_percent: Option<u64>, now_ms: i64) -> Pass {
    let above = |mark: u64| used_percent.is_some_and(|used| used.saturating_mul(100) > mark);
    let time_up = next_time_to_delete(config.delete_when, now_ms) == Some(now_ms);
    let wanted = time_up || above(config.disk_space_ratio_to_check_expired);
    Pass {
        files: if wanted { files.count.saturating_sub(1).min(BATCH) } else { 0 },
        at_once: config.enable_disk_force_clean && above(config.disk_space_ratio_to_force_clean),
        disk_full: above(config.disk_full_ratio()),
    }
}

/// `DLedgerMmapFileStore.CleanSpaceService` (0.3.1.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct CleanSpaceService {
    /// Passes are counted from here: the end of the last one that was run.
    since: u64,
    /// The next pass, or the next file of this one; `u64::MAX`: none.
    armed: u64,
    /// Files that the pass under way may still delete, and whether before their time.
    under_way: Option<(usize, bool)>,
    /// When a pass could first delete something by its age, wall ms.
    due: Option<i64>,
}

impl CleanSpaceService {
    pub(super) fn new(now: Now) -> Self {
        // The first pass is the first thing that the thread does, if it can find something.
        CleanSpaceService { since: now.mono.saturating_sub(INTERVAL), armed: u64::MAX, under_way: None, due: None }
    }

    fn expired(config: &CleanConfig, files: DataFiles, now_ms: i64) -> bool {
        files.count > 1 && now_ms >= files.oldest_ms.saturating_add(config.reserved_ms())
    }

    /// Looks if it is time to; `awake`: timed waits end now.
    pub(super) fn run<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, awake: bool) {
        let now = cx.now();
        if self.armed == u64::MAX {
            self.plan(cx, now);
        }
        if awake && self.armed <= now.mono {
            self.do_work(cx, now);
            if self.under_way.is_none() {
                (self.since, self.armed) = (now.mono, u64::MAX);
                self.plan(cx, now);
            }
        }
    }

    /// The next pass is run if it can find something: on a partition that has an end always, else when a file expires in an hour of deletion.
    fn plan<L: Ledger>(&mut self, cx: &Cx<'_, L>, now: Now) {
        let (config, files) = (&cx.core.config.clean, cx.host.ledger.data_files());
        let expires = (files.count > 1).then(|| files.oldest_ms.saturating_add(config.reserved_ms()));
        self.due = expires.and_then(|at| next_time_to_delete(config.delete_when, at.max(now.wall_ms)));
        if self.due.is_some_and(|due| due <= now.wall_ms) || cx.host.ledger.used_percent().is_some() {
            self.armed = grid(now.mono, self.since.saturating_add(INTERVAL), INTERVAL);
        }
    }

    /// `CleanSpaceService#doWork`, or what is left of it after a sleep: one file at most.
    fn do_work<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, now: Now) {
        let (config, files) = (&cx.core.config.clean, cx.host.ledger.data_files());
        let expired = Self::expired(config, files, now.wall_ms);
        let (left, at_once) = match self.under_way.take() {
            Some(under_way) => under_way,
            None => {
                let Pass { files, at_once, disk_full } = pass(config, files, cx.host.ledger.used_percent(), now.wall_ms);
                if std::mem::replace(&mut cx.core.disk_full, disk_full) != disk_full {
                    cx.out.push(Effect::DiskFull { on: disk_full });
                }
                (files, at_once)
            }
        };
        if left > 0 && (expired || at_once) {
            cx.out.push(Effect::DeleteOldestFile { expired });
            // Never one in the middle, and no sleep behind the last.
            self.under_way = (left > 1).then_some((left - 1, at_once));
            self.armed = now.mono.saturating_add(INTERVAL);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        if self.armed != u64::MAX { Some(Deadline::mono(self.armed)) } else { self.due.map(Deadline::wall) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The marks of server spec 11.5 with those that RocketMQ sets, each with the percent on either side of it.
    #[test]
    fn how_full_the_disk_is_decides() {
        let config = CleanConfig { disk_space_ratio_to_check_expired: 7_500, ..CleanConfig::default() };
        let files = DataFiles { count: 13, oldest_ms: 0 };
        let table = [
            (75, 0, false, false),
            (76, 10, false, false),
            (85, 10, false, false),
            (86, 10, true, false),
            (90, 10, true, false),
            (91, 10, true, true),
        ];
        for (used, files_may_go, at_once, disk_full) in table {
            let expect = Pass { files: files_may_go, at_once, disk_full };
            assert_eq!(pass(&config, files, Some(used), 0), expect, "{used} %");
        }
        let four = 4 * HOUR_MS;
        assert_eq!(
            pass(&config, files, Some(10), four),
            Pass { files: 10, at_once: false, disk_full: false },
            "the hour has come"
        );
        let three = DataFiles { count: 3, ..files };
        assert_eq!(pass(&config, three, None, four), Pass { files: 2, at_once: false, disk_full: false }, "never the last");
        let gentle = CleanConfig { enable_disk_force_clean: false, ..config.clone() };
        assert_eq!(pass(&gentle, files, Some(91), 0), Pass { files: 10, at_once: false, disk_full: true });
        for (clean, full) in [(8_500, 9_000), (9_000, 9_500), (9_900, 9_500)] {
            let config = CleanConfig { disk_space_ratio_to_force_clean: clean, ..config.clone() };
            assert_eq!(config.disk_full_ratio(), full, "5 % above the mark of cleaning, 95 % at most");
        }
    }

    /// A file whose reserved hours are none is kept for one.
    #[test]
    fn a_file_is_kept_for_an_hour_at_least() {
        let files = DataFiles { count: 2, oldest_ms: 7 };
        for (hours, kept) in [(0, 1), (1, 1), (73, 73)] {
            let config = CleanConfig { file_reserved_hours: hours, ..CleanConfig::default() };
            let expired = |at| CleanSpaceService::expired(&config, files, at);
            assert_eq!((expired(7 + kept * HOUR_MS - 1), expired(7 + kept * HOUR_MS)), (false, true), "{hours}");
            assert!(!CleanSpaceService::expired(&config, DataFiles { count: 1, ..files }, i64::MAX), "never the last");
        }
    }
}
