//! How far the log has got: written, in the page cache, durable.
//!
//! Three ends of one log. *Written* is what the broker has appended; without a pool that is in the page cache at once, with
//! `transientStorePoolEnable` only after a commit. *Committed* is what readers see and what survives the process. *Durable* is what an fsync has
//! covered and what survives the host. Each only moves forward within a life; a crash cuts the log back to what its kind spares. Models the positions of
//! `MappedFile` and `MappedFileQueue#flush`, `#commit` (4.9.8; server spec 4.1, 4.2, 4.9).

/// `MappedFile.OS_PAGE_SIZE`, bytes.
pub const PAGE: u64 = 4_096;
/// What `CommitLog` keeps free at the end of a file for the blank record, bytes.
const END_FILE_MIN_BLANK: u64 = 8;

/// The ends of a log, as absolute physical offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Behind the last record appended.
    pub written: u64,
    /// Behind the last byte in the page cache.
    pub committed: u64,
    /// Behind the last byte an fsync has covered.
    pub durable: u64,
    /// `mappedFileSizeCommitLog`, bytes.
    pub file_size: u64,
}

impl Default for Positions {
    fn default() -> Self {
        Positions { written: 0, committed: 0, durable: 0, file_size: 1 << 30 }
    }
}

impl Positions {
    /// Where a record of `size` bytes goes: here, or at the beginning of the next file when this one has no room for it and a blank
    /// (`DefaultAppendMessageCallback#doAppend`, END_OF_FILE).
    pub fn place(&self, size: u32) -> u64 {
        let left = self.file_size - self.written % self.file_size;
        if size as u64 + END_FILE_MIN_BLANK > left { self.written + left } else { self.written }
    }

    /// Where the file ends that a place lies in.
    pub fn end_of_file(&self, place: u64) -> u64 {
        (place / self.file_size + 1) * self.file_size
    }

    /// What a flush or commit from `from` would reach, if there are pages enough: never past the end of the file it begins in
    /// (`MappedFileQueue#flush`). `least_pages` 0: any byte will do.
    pub fn target(&self, from: u64, upto: u64, least_pages: u64) -> Option<u64> {
        let file_end = self.end_of_file(from);
        let target = upto.min(file_end);
        let enough =
            if least_pages > 0 { target / PAGE - (from / PAGE).min(target / PAGE) >= least_pages } else { target > from };
        (enough || target == file_end && target > from).then_some(target)
    }

    /// How much of the log a loss of power leaves: each page behind the durable position is independently on the disk or not, and recovery
    /// stops at the first hole. Every bit of `luck` is the fate of a page.
    pub fn spared_by_power_loss(&self, luck: u32) -> u64 {
        match luck.trailing_ones() as u64 {
            0 => self.durable,
            pages => ((self.durable / PAGE + pages) * PAGE).clamp(self.durable, self.committed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_leaves_no_room_for_a_blank_goes_to_the_next_file() {
        let at = |written, size| Positions { written, file_size: 1_000, ..Default::default() }.place(size);
        let table = [(0, 992, 0), (0, 993, 1_000), (900, 92, 900), (900, 93, 1_000), (2_500, 491, 2_500), (2_500, 493, 3_000)];
        for (written, size, expect) in table {
            assert_eq!(at(written, size), expect, "{size} bytes at {written}");
        }
    }

    #[test]
    fn a_flush_waits_for_pages_and_stops_at_the_end_of_its_file() {
        let p = Positions { file_size: 10 * PAGE, ..Default::default() };
        let table = [
            (0, 4 * PAGE - 1, 4, None),
            (0, 4 * PAGE, 4, Some(4 * PAGE)),
            (PAGE - 1, 4 * PAGE, 4, Some(4 * PAGE)),
            (PAGE, 4 * PAGE, 4, None),
            (5, 5, 0, None),
            (5, 6, 0, Some(6)),
            (9 * PAGE, 12 * PAGE, 4, Some(10 * PAGE)),
            (10 * PAGE, 12 * PAGE, 0, Some(12 * PAGE)),
        ];
        for (from, upto, least, expect) in table {
            assert_eq!(p.target(from, upto, least), expect, "{from} to {upto}, {least} pages");
        }
    }

    #[test]
    fn power_loss_spares_what_is_durable_and_a_run_of_lucky_pages() {
        let p = Positions { written: 9 * PAGE, committed: 8 * PAGE, durable: PAGE + 100, ..Default::default() };
        let table = [(0b0, PAGE + 100), (0b110, PAGE + 100), (0b1, 2 * PAGE), (0b1011, 3 * PAGE), (u32::MAX, 8 * PAGE)];
        for (luck, expect) in table {
            assert_eq!(p.spared_by_power_loss(luck), expect, "{luck:b}");
        }
    }
}
