//! From the page cache to the platter: what an fsync comes to, and what the kernel writes by itself.
//!
//! RocketMQ only hears that an fsync has returned, and takes the log for flushed even when it threw (`MappedFile#flush`, 4.9.8, catches the
//! exception, logs it and sets `flushedPosition` all the same; DLedger's `DefaultMmapFile#flush` too: server spec 4.1). What is on the disk is another matter:
//!
//! - It *works*: everything up to the page cache's end then is durable.
//! - It *fails*: the pages were not written, and Linux marks them clean all the same (ext4 and XFS keep the contents and forget that they are dirty). No
//!   later fsync writes them again unless something dirties them again, which an append does to the last, partial page only. So whole pages that
//!   were refused stay a hole for as long as the host has power: readers see the contents, later fsyncs work, and after a loss of power recovery stops at the hole,
//!   whatever lies behind it.
//! - It *lies*: the disk says yes and keeps what it was given in a cache of its own, which loses it with the power. That cache is written when its time is over, or
//!   by the first honest fsync.
//!
//! The kernel writes files that have been dirty for `dirty_expire` (`vm.dirty_expire_centisecs`, 30 s), looking every `dirty_writeback`
//! (`vm.dirty_writeback_centisecs`, 5 s). Both are computed when somebody asks, not ticked: between two appends nothing in the page cache changes.

use super::BrokerDisk;
use super::positions::{PAGE, Positions};
use crate::base::time::SEC;
use std::collections::VecDeque;

/// How the host's kernel writes by itself, ns (Linux; ext4 for the journal). Settings of the host, not of RocketMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `vm.dirty_expire_centisecs`.
    pub dirty_expire: u64,
    /// `vm.dirty_writeback_centisecs`; 0: never.
    pub dirty_writeback: u64,
    /// ext4 `commit=`.
    pub journal_commit: u64,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel { dirty_expire: 30 * SEC, dirty_writeback: 5 * SEC, journal_commit: 5 * SEC }
    }
}

impl Kernel {
    /// When a file that is dirty since then is written: at the first look at which it is old enough. `None`: never.
    pub fn writes_at(&self, since: u64) -> Option<u64> {
        let old_enough = since.saturating_add(self.dirty_expire);
        Some(old_enough.checked_next_multiple_of(self.dirty_writeback.max(1)).unwrap_or(u64::MAX))
            .filter(|_| self.dirty_writeback > 0)
    }
}

/// What fsyncs of a disk come to, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fsync {
    #[default]
    Works,
    /// The disk keeps what it was given so long in a cache of its own, ns.
    Lies {
        keeps: u64,
    },
    Fails,
}

/// What became of an fsync that RocketMQ takes for done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// All of it is on the disk.
    Durable,
    /// It was refused, or lies behind something that was.
    Refused,
    /// It lies in the disk's own cache.
    Held,
}

/// The disk and the kernel under a log.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    pub kernel: Kernel,
    pub fsync: Fsync,
    /// What the disk's own cache holds: until when, and up to where of the log.
    held: VecDeque<(u64, u64)>,
    /// Whole pages from here on were refused, and nobody will write them again.
    refused: Option<u64>,
    /// Since when there is something in the page cache that nobody has tried to write, ns of the host's monotonic clock.
    dirty_since: Option<u64>,
}

impl Medium {
    /// The log is on the disk up to here, but for a hole.
    fn reach(&self, ends: &mut Positions, upto: u64) {
        ends.durable = ends.durable.max(upto.min(self.refused.unwrap_or(u64::MAX)));
    }

    /// Somebody writes the page cache up to here.
    fn write(&mut self, ends: &mut Positions, upto: u64, now: u64) -> Synced {
        match self.fsync {
            Fsync::Works => {
                // A disk that is told to empty its cache empties all of it.
                self.held.clear();
                self.reach(ends, upto);
            }
            Fsync::Fails => {
                let given = self.held.back().map_or(ends.durable, |held| held.1.max(ends.durable));
                if upto / PAGE > given / PAGE {
                    self.refused.get_or_insert(given);
                }
            }
            Fsync::Lies { keeps } => self.held.push_back((now.saturating_add(keeps), upto)),
        }
        match self.fsync {
            Fsync::Lies { .. } if self.refused.is_none() => Synced::Held,
            Fsync::Works if ends.durable >= upto => Synced::Durable,
            _ => Synced::Refused,
        }
    }

    /// What lies behind `upto` is no more, so it is no hole either.
    pub(super) fn cut(&mut self, upto: u64) {
        self.refused = self.refused.filter(|hole| *hole < upto);
        self.held.iter_mut().for_each(|held| held.1 = held.1.min(upto));
    }

    /// Whether pages were refused that nobody will write again.
    pub(super) fn has_hole(&self) -> bool {
        self.refused.is_some()
    }

    /// The page cache and the disk's own cache are gone.
    pub(super) fn power_lost(&mut self) {
        self.held.clear();
        (self.refused, self.dirty_since) = (None, None);
    }

    /// A new disk: nothing is left but how the host treats it.
    pub fn replaced(&self) -> Medium {
        Medium { kernel: self.kernel, fsync: self.fsync, ..Medium::default() }
    }
}

impl BrokerDisk {
    /// Does what the kernel and the disk have done by themselves up to now; says whether more is durable by it.
    pub fn settle(&mut self, now: u64) -> bool {
        let (medium, ends) = (&mut self.medium, &mut self.log.ends);
        let before = ends.durable;
        while let Some((_, upto)) = medium.held.front().copied().filter(|held| held.0 <= now) {
            medium.held.pop_front();
            medium.reach(ends, upto);
        }
        if let Some(since) = medium.dirty_since
            && !self.stalled
            && medium.kernel.writes_at(since).is_some_and(|at| at <= now)
        {
            medium.dirty_since = None;
            medium.write(ends, ends.committed, now);
        }
        ends.durable > before
    }

    /// The page cache has the log up to here from now on.
    #[inline]
    pub fn page_cached(&mut self, upto: u64, now: u64) {
        self.settle(now);
        self.log.ends.committed = upto;
        self.medium.dirty_since.get_or_insert(now);
    }

    /// An fsync that covers the log up to here has returned.
    pub fn synced(&mut self, upto: u64, now: u64) -> Synced {
        self.settle(now);
        let ends = &mut self.log.ends;
        self.medium.dirty_since = (ends.committed > upto).then_some(now);
        let came_to = self.medium.write(ends, upto, now);
        if self.medium.fsync == Fsync::Works {
            self.commit_names(now);
        }
        came_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(committed: u64) -> BrokerDisk {
        let mut disk = BrokerDisk::default();
        disk.log.ends.written = committed;
        disk.page_cached(committed, 0);
        disk
    }
    fn lies(seconds: u64) -> Fsync {
        Fsync::Lies { keeps: seconds * SEC }
    }
    /// Plays fsyncs (what the disk does, up to where, at which second); returns what each came to, and the durable end.
    fn play(disk: &mut BrokerDisk, steps: &[(Fsync, u64, u64)]) -> (Vec<Synced>, u64) {
        let mut came_to = Vec::new();
        for (fsync, upto, at) in steps {
            disk.medium.fsync = *fsync;
            disk.log.ends.written = disk.log.ends.written.max(*upto);
            disk.page_cached(disk.log.ends.committed.max(*upto), at * SEC);
            came_to.push(disk.synced(*upto, at * SEC));
        }
        (came_to, disk.log.ends.durable)
    }

    #[test]
    fn what_an_fsync_comes_to() {
        use Fsync::{Fails, Works};
        use Synced::{Durable, Held, Refused};
        type Line<'a> = (&'a str, &'a [(Fsync, u64, u64)], &'a [Synced], u64);
        let p = PAGE;
        let table: &[Line<'_>] = &[
            ("it works", &[(Works, p, 1), (Works, 3 * p, 2)], &[Durable, Durable], 3 * p),
            (
                "a refused page is a hole for good",
                &[(Works, 100, 1), (Fails, 2 * p, 2), (Works, 9 * p, 3)],
                &[Durable, Refused, Refused],
                100,
            ),
            (
                "a part of a page is written with the next append",
                &[(Works, 100, 1), (Fails, 300, 2), (Works, 500, 3)],
                &[Durable, Refused, Durable],
                500,
            ),
            (
                "the hole begins with the first refusal",
                &[(Fails, 2 * p, 1), (Fails, 4 * p, 2), (Works, 5 * p, 3)],
                &[Refused; 3],
                0,
            ),
            (
                "a disk that lies has written nothing",
                &[(Works, p, 1), (lies(5), 2 * p, 2), (lies(5), 3 * p, 6)],
                &[Durable, Held, Held],
                p,
            ),
            ("its cache is written when its time is over", &[(lies(5), 2 * p, 2), (lies(5), 3 * p, 7)], &[Held, Held], 2 * p),
            ("an honest fsync writes it too", &[(lies(500), 2 * p, 2), (Works, 3 * p, 7)], &[Held, Durable], 3 * p),
            (
                "a refusal spares what the cache holds",
                &[(lies(5), 2 * p, 2), (Fails, 4 * p, 3), (Works, 5 * p, 9)],
                &[Held, Refused, Refused],
                2 * p,
            ),
        ];
        for (name, steps, expect, durable) in table {
            assert_eq!(play(&mut disk(0), steps), (expect.to_vec(), *durable), "{name}");
        }
    }

    #[test]
    fn a_hole_goes_with_what_lies_behind_it() {
        let mut one = disk(0);
        play(&mut one, &[(Fsync::Works, 100, 1), (Fsync::Fails, 3 * PAGE, 2)]);
        one.medium.cut(100);
        assert_eq!(play(&mut one, &[(Fsync::Works, 5 * PAGE, 3)]), (vec![Synced::Durable], 5 * PAGE));
    }

    #[test]
    fn the_kernel_writes_what_is_dirty_for_thirty_seconds() {
        // Dirty since, asked at, durable by then.
        let table = [(1, 34, 0), (1, 35, 700), (0, 30, 700), (0, 29, 0), (5, 34, 0), (5, 35, 700)];
        for (since, at, durable) in table {
            let mut disk = BrokerDisk::default();
            disk.log.ends.written = 700;
            disk.page_cached(700, since * SEC);
            assert_eq!((disk.settle(at * SEC), disk.log.ends.durable), (durable > 0, durable), "dirty since {since}, at {at}");
        }
        let mut disk = disk(700);
        disk.page_cached(900, 40 * SEC);
        assert_eq!(disk.log.ends.durable, 700, "what came after the look waits for its own");
        disk.medium.kernel.dirty_writeback = 0;
        assert!(!disk.settle(1_000 * SEC), "a kernel that is told not to look");
        disk.medium.kernel = Kernel::default();
        disk.stalled = true;
        assert!(!disk.settle(1_000 * SEC), "a disk that stands still");
        disk.stalled = false;
        disk.medium.fsync = Fsync::Fails;
        assert!(!disk.settle(1_000 * SEC) && disk.medium.refused.is_none(), "refused, in a part of a page");
        assert_eq!(Kernel::default().writes_at(u64::MAX), Some(u64::MAX));
    }
}
