//! The files of the log, when each was last written, and the partition that they lie on.
//!
//! A file expires by its modification time (`MappedFileQueue#deleteExpiredFileByTime`, 4.9.8; server spec 5.7), which is the time of the last write to
//! it on this broker's own wall clock: for a full file that of the blank at its end, written by the put that no longer fitted; for a slave's that of the
//! shipment, whenever the message was stored at the master. Times stand in a row, one a file, so that appending costs one comparison.

use std::collections::VecDeque;

/// When each file was last written.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// From the oldest file on, wall ms.
    modified: VecDeque<i64>,
    /// Where the newest one ends.
    end: u64,
}

impl Files {
    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.modified.len()
    }
    /// When the oldest was last written, wall ms.
    pub fn oldest(&self) -> Option<i64> {
        self.modified.front().copied()
    }
    /// A record was appended at a physical offset; the blank that fills a file is written with the first record of the next one.
    #[inline]
    pub(super) fn written(&mut self, at: u64, now_ms: i64, file_size: u64) {
        if let Some(last) = self.modified.back_mut() {
            *last = now_ms;
        }
        self.shipped(at, now_ms, file_size);
    }
    /// Bytes were appended at a physical offset as they came: blanks among them.
    #[inline]
    pub(super) fn shipped(&mut self, at: u64, now_ms: i64, file_size: u64) {
        if at < self.end {
            if let Some(last) = self.modified.back_mut() {
                *last = now_ms;
            }
        } else {
            self.modified.push_back(now_ms);
            self.end = (at / file_size + 1) * file_size;
        }
    }
    /// Deletes the oldest, unless it is the last; whether it did.
    pub(super) fn delete_oldest(&mut self) -> bool {
        self.modified.len() > 1 && self.modified.pop_front().is_some()
    }
    /// The log, which begins at `base`, is cut back to `end` (`MappedFileQueue#truncateDirtyFiles`): the file that `end` lies in stays.
    pub(super) fn cut(&mut self, base: u64, end: u64, file_size: u64) {
        let keep = (end.saturating_sub(base).div_ceil(file_size).max(1) as usize).min(self.modified.len());
        self.modified.truncate(keep);
        self.end = base + keep as u64 * file_size;
    }
}

/// A partition of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Bytes; 0: as large as need be.
    pub size: u64,
    /// What others than the store keep on it, bytes.
    pub others: u64,
}

impl Partition {
    /// How full it is with this much of the store on it, in whole percent and rounded up, as `df` has it (`UtilAll#getDiskPartitionSpaceUsedPercent`).
    pub fn used_percent(&self, stored: u64) -> u64 {
        if self.size == 0 {
            return 0;
        }
        let used = self.others.saturating_add(stored).min(self.size);
        (u128::from(used) * 100).div_ceil(u128::from(self.size)) as u64
    }
    /// Others fill it up to so many percent; how many bytes that took.
    pub fn fill(&mut self, stored: u64, percent: u64) -> u64 {
        let wanted = (u128::from(self.size) * u128::from(percent) / 100) as u64;
        let more = wanted.saturating_sub(self.others.saturating_add(stored));
        self.others += more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_old_as_its_last_write() {
        let mut files = Files::default();
        for (at, ms) in [(0, 10), (400, 20), (900, 30), (1_000, 40), (1_500, 50)] {
            files.written(at, ms, 1_000);
        }
        assert_eq!((files.count(), files.oldest()), (2, Some(40)), "the blank of the first file came at 40");
        assert!(files.delete_oldest());
        assert_eq!((files.count(), files.oldest()), (1, Some(50)));
        assert!(!files.delete_oldest(), "never the last");
        files.shipped(1_900, 60, 1_000);
        files.shipped(2_000, 70, 1_000);
        assert_eq!((files.count(), files.oldest()), (2, Some(60)), "a blank was shipped before the next file");
    }

    #[test]
    fn a_cut_keeps_the_file_it_lies_in() {
        // Bytes that are left of a log from 2,000 on, and how many files of 1,000 bytes that makes.
        for (end, count) in [(5_500, 4), (5_000, 3), (3_001, 2), (2_001, 1), (2_000, 1)] {
            let mut files = Files::default();
            (2..6).for_each(|n| files.written(n * 1_000, n as i64, 1_000));
            files.cut(2_000, end, 1_000);
            assert_eq!(files.count(), count, "cut to {end}");
            files.written(2_000 + count as u64 * 1_000, 9, 1_000);
            assert_eq!(files.count(), count + 1, "cut to {end}, and a new file behind it");
        }
    }

    #[test]
    fn percent_are_rounded_up() {
        let table = [(0, 0, 0), (0, 1, 1), (0, 500, 50), (400, 501, 91), (400, 500, 90), (900, 500, 100)];
        for (others, stored, percent) in table {
            assert_eq!(Partition { size: 1_000, others }.used_percent(stored), percent, "{others} and {stored} of 1000");
        }
        assert_eq!(Partition::default().used_percent(1 << 40), 0, "no size, no limit");
    }

    #[test]
    fn it_is_filled_up_and_never_emptied() {
        let mut partition = Partition { size: 1_000, others: 100 };
        assert_eq!((partition.fill(200, 92), partition.others), (620, 720));
        assert_eq!((partition.fill(200, 50), partition.others), (0, 720));
    }
}
