//! topics.json, consumerOffset.json, delayOffset.json and their like: replaced by renaming, never fsynced.
//!
//! `MixAll#string2File` (4.9.8; server spec 2.3) writes `<f>.tmp`, copies the contents of `<f>` into `<f>.bak`, deletes `<f>` and renames `<f>.tmp` to `<f>`. A process that
//! dies leaves all of it to the kernel. What a loss of power leaves is the file system's affair; here it is Linux's usual ext4 (data=ordered, commit=5, auto_da_alloc):
//!
//! - Names (the rename, the deletion) are on the disk with the journal's next commit: 5 s after the first change, or with the next fsync of the log, which
//!   lies on the same file system and commits the journal since it has allocated blocks.
//! - The data of `<f>` is not. Its blocks are allocated when the kernel writes it back, 30 to 35 s later; until then the committed name stands for an empty
//!   file. ext4 forces the allocation for a file that is renamed *over* another one; `string2File` deletes the other one first, so there is none.
//! - The data of `<f>.bak` is: a file that is truncated and written anew has its blocks allocated when it is closed, and the commit waits for them. The
//!   very first `.bak` is a new file and has no such luck.
//!
//! So a file that is written every few seconds is always found empty after a loss of power, and `ConfigManager#load` takes `.bak`: the contents of
//! one writing earlier, or of two, when the last writing was not committed. The first writing of the next life copies the empty file into `.bak`, and the second
//! writes into an empty one: a second loss of power before the third writing leaves neither. A file that is seldom written comes back as it was half a minute ago.

use super::BrokerDisk;
use super::medium::{Fsync, Medium};
use super::offsets::ConsumerOffsets;
use crate::base::ids::TopicId;
use crate::rocketmq::route::{DataVersion, TopicConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What topics.json holds.
pub type Topics = (BTreeMap<TopicId, TopicConfig>, DataVersion);

/// What a name stands for.
#[derive(Debug)]
struct File<T> {
    /// `None`: it is empty.
    contents: Option<Arc<T>>,
    /// When it was written, ns of the host's monotonic clock; `None`: its data is on the disk.
    written: Option<u64>,
    /// Its data goes out with the commit of its name.
    forced: bool,
}

impl<T> Clone for File<T> {
    fn clone(&self) -> Self {
        File { contents: self.contents.clone(), ..*self }
    }
}

/// `<f>` and `<f>.bak`; `None`: there is no such file.
#[derive(Debug)]
struct Names<T> {
    file: Option<File<T>>,
    bak: Option<File<T>>,
}

impl<T> Clone for Names<T> {
    fn clone(&self) -> Self {
        Names { file: self.file.clone(), bak: self.bak.clone() }
    }
}

/// A small file with its `.bak`, as the kernel shows it and as the disk has it.
#[derive(Debug)]
pub struct SmallFile<T> {
    cached: Names<T>,
    /// As of the last commit of the journal.
    committed: Names<T>,
    /// Since when something is not committed.
    changed: Option<u64>,
    /// It is written so often even if nothing has changed, ns; 0: it is not. Those writings are made up for, not ticked.
    pub every: u64,
}

impl<T> Clone for SmallFile<T> {
    fn clone(&self) -> Self {
        SmallFile { cached: self.cached.clone(), committed: self.committed.clone(), ..*self }
    }
}

impl<T> Default for SmallFile<T> {
    fn default() -> Self {
        let none = || Names { file: None, bak: None };
        SmallFile { cached: none(), committed: none(), changed: None, every: 0 }
    }
}

impl<T> File<T> {
    /// What the disk has of it, when nobody can write more.
    fn on_disk(&self, now: u64, medium: &Medium) -> File<T> {
        let there = self.forced || self.written.is_none_or(|at| medium.data_written_at(at).is_some_and(|at| at <= now));
        File { contents: self.contents.clone().filter(|_| there), written: None, forced: false }
    }
}

impl<T> SmallFile<T> {
    /// It has lain there for long.
    pub fn lies_there(&mut self, contents: T) {
        let file = File { contents: Some(Arc::new(contents)), written: None, forced: false };
        self.cached = Names { file: Some(file), bak: None };
        self.committed = self.cached.clone();
    }

    /// `ConfigManager#load`: `<f>`, or `.bak` if that is missing or empty.
    pub fn load(&self) -> Option<&T> {
        let contents = |file: &Option<File<T>>| file.as_ref().and_then(|f| f.contents.clone()).is_some();
        let from = if contents(&self.cached.file) { &self.cached.file } else { &self.cached.bak };
        from.as_ref()?.contents.as_deref()
    }

    /// `<f>` alone, for who knows no `.bak` (`MemberState#loadTerm`, DLedger 0.3.1.2).
    pub fn load_without_bak(&self) -> Option<&T> {
        self.cached.file.as_ref()?.contents.as_deref()
    }

    /// `MixAll#string2File`.
    pub fn string2file(&mut self, contents: T, now: u64, medium: &Medium) {
        self.catch_up(now, medium);
        self.replace(Arc::new(contents), now, medium);
    }

    fn replace(&mut self, contents: Arc<T>, now: u64, medium: &Medium) {
        self.commit_if_due(now, medium);
        let Names { file, bak } = &mut self.cached;
        if let Some(old) = file.take() {
            // Nobody writes the data of a file any more that is deleted or cut to nothing.
            for kept in [&mut self.committed.file, &mut self.committed.bak].into_iter().flatten() {
                *kept = kept.on_disk(now, medium);
            }
            let truncated = bak.as_ref().is_some_and(|bak| bak.contents.is_some());
            *bak = Some(File { contents: old.contents, written: Some(now), forced: truncated });
        }
        *file = Some(File { contents: Some(contents), written: Some(now), forced: false });
        self.changed.get_or_insert(now);
    }

    /// The writings of what has not changed, up to but not at this moment: the first, and the last two.
    fn catch_up(&mut self, now: u64, medium: &Medium) {
        let Some(File { contents: Some(contents), written: Some(written), .. }) = &self.cached.file else { return };
        let (contents, written) = (contents.clone(), *written);
        let times = now.saturating_sub(written + 1).checked_div(self.every).unwrap_or(0);
        for k in 1..=times {
            if k == 1 || k + 1 >= times {
                self.replace(contents.clone(), written + k * self.every, medium);
            }
        }
    }

    fn commit_if_due(&mut self, now: u64, medium: &Medium) {
        if self.changed.is_some_and(|at| medium.journal_written_at(at) <= now) {
            self.committed = self.cached.clone();
            self.changed = None;
        }
    }

    /// Somebody's fsync has committed the journal.
    pub fn commit(&mut self, now: u64, medium: &Medium) {
        self.catch_up(now, medium);
        if self.changed.take().is_some() {
            self.committed = self.cached.clone();
        }
    }

    /// The process is gone: nobody writes it any more.
    pub fn process_died(&mut self, now: u64, medium: &Medium) {
        self.catch_up(now, medium);
        self.every = 0;
    }

    /// The host is gone: what the disk has is all there is.
    pub fn power_lost(&mut self, now: u64, medium: &Medium) {
        self.process_died(now, medium);
        self.commit_if_due(now, medium);
        let on_disk = |file: &Option<File<T>>| file.as_ref().map(|file| file.on_disk(now, medium));
        self.committed = Names { file: on_disk(&self.committed.file), bak: on_disk(&self.committed.bak) };
        (self.cached, self.changed) = (self.committed.clone(), None);
    }
}

impl Medium {
    /// When a change of names that was made then is committed by the journal's own timer.
    fn journal_written_at(&self, changed: u64) -> u64 {
        changed.saturating_add(self.kernel.journal_commit).saturating_add(self.kept())
    }
    /// When the data of a file that was written then is on the disk.
    fn data_written_at(&self, written: u64) -> Option<u64> {
        Some(self.kernel.writes_at(written)?.saturating_add(self.kept()))
    }
    /// How long the disk keeps what it says it has written.
    fn kept(&self) -> u64 {
        if let Fsync::Lies { keeps } = self.fsync { keeps } else { 0 }
    }
}

impl BrokerDisk {
    /// The table of topics has changed (`TopicConfigManager#persist`).
    pub fn persist_topics(&mut self, now: u64) {
        self.topics_file.string2file((self.topics.clone(), self.topics_version), now, &self.medium);
    }
    /// `ConsumerOffsetManager#persist`.
    pub fn persist_offsets(&mut self, offsets: &ConsumerOffsets, now: u64) {
        self.offsets_file.string2file(offsets.clone(), now, &self.medium);
    }
    /// `ScheduleMessageService#persist`, `SlaveSynchronize#syncDelayOffset`.
    pub fn persist_delays(&mut self, offsets: &[u64], now: u64) {
        self.delays_file.string2file(offsets.to_vec(), now, &self.medium);
    }
    /// An fsync of the log has committed the journal.
    pub(super) fn commit_names(&mut self, now: u64) {
        self.topics_file.commit(now, &self.medium);
        self.offsets_file.commit(now, &self.medium);
        self.delays_file.commit(now, &self.medium);
    }
    pub(super) fn small_files_lose_their_process(&mut self, now: u64) {
        self.topics_file.process_died(now, &self.medium);
        self.offsets_file.process_died(now, &self.medium);
        self.delays_file.process_died(now, &self.medium);
    }
    pub(super) fn small_files_lose_power(&mut self, now: u64) {
        self.topics_file.power_lost(now, &self.medium);
        self.offsets_file.power_lost(now, &self.medium);
        self.delays_file.power_lost(now, &self.medium);
        (self.topics, self.topics_version) = self.topics_file.load().cloned().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SEC;

    /// Plays "w7@3" (contents 7 written at second 3), "c@4" (the log is fsynced), "k@5" (the process dies), "p@6" (the power goes); returns what is
    /// then loaded.
    fn play(every: u64, medium: &Medium, old: Option<u32>, steps: &str) -> Option<u32> {
        let mut file = SmallFile::default();
        old.into_iter().for_each(|old| file.lies_there(old));
        for step in steps.split_whitespace() {
            let (what, at) = step.split_once('@').unwrap();
            let now = at.parse::<u64>().unwrap() * SEC;
            match what {
                "c" => file.commit(now, medium),
                "k" => file.process_died(now, medium),
                "p" => file.power_lost(now, medium),
                write => {
                    file.every = every * SEC;
                    file.string2file(write[1..].parse().unwrap(), now, medium);
                }
            }
        }
        file.load().copied()
    }

    #[test]
    fn what_a_loss_of_power_leaves() {
        let table = [
            ("nothing was ever written", None, "p@9", None),
            ("what has lain there for long", Some(7), "p@9", Some(7)),
            ("a killed process leaves it to the kernel", Some(7), "w8@1 k@1", Some(8)),
            ("not committed yet: the old file", Some(7), "w8@1 p@2", Some(7)),
            ("committed and empty, and the first .bak too", Some(7), "w8@1 c@2 p@3", None),
            ("the journal's own timer does the same", Some(7), "w8@1 p@6", None),
            ("the second .bak was a file before", Some(7), "w8@1 w9@6 c@7 p@8", Some(8)),
            ("the writing before the last commit counts", Some(7), "w8@1 w9@6 c@7 w10@11 p@12", Some(8)),
            ("and that of the last one when it is committed", Some(7), "w8@1 w9@6 c@7 w10@11 c@11 p@12", Some(9)),
            ("half a minute later it is there", Some(7), "w8@1 c@2 p@34", None),
            ("at the kernel's look", Some(7), "w8@1 c@2 p@35", Some(8)),
            ("a first file without any before it", None, "w8@1 c@2 p@3", None),
            ("the next life copies an empty file into .bak", Some(7), "w8@1 w9@6 c@7 p@8 w8@20 c@21 p@22", None),
            ("and its second writing fills an empty one", Some(7), "w8@1 w9@6 c@7 p@8 w8@20 w8@25 c@26 p@27", None),
            ("its third brings it back", Some(7), "w8@1 w9@6 c@7 p@8 w8@20 w8@25 w9@30 c@31 p@32", Some(8)),
            ("a file that is deleted is not written any more", Some(7), "w8@1 c@2 w9@33 p@36", None),
            ("an old file that the journal still knows", Some(7), "w8@1 c@2 w9@40 p@41", Some(8)),
        ];
        for (name, old, steps, expect) in table {
            assert_eq!(play(0, &Medium::default(), old, steps), expect, "{name}: {steps}");
        }
    }

    /// A file that is written every five seconds is written all the same when nothing changes: its `.bak` catches up, its data never gets old enough.
    #[test]
    fn writings_of_the_same_are_made_up_for() {
        let table = [
            ("w8@5 w9@10 c@10 p@12", Some(8)),
            ("w8@5 w9@10 c@10 p@16", Some(8)),
            ("w8@5 w9@10 c@10 p@20", Some(9)),
            ("w8@5 w9@10 c@10 p@300", Some(9)),
            // Nobody writes it after the process: the data of the last one gets old enough.
            ("w8@5 w9@10 c@10 k@11 p@30", Some(8)),
            ("w8@5 w9@10 c@10 k@11 p@40", Some(9)),
            ("w8@5 c@6 w9@50 c@50 p@51", Some(8)),
        ];
        for (steps, expect) in table {
            assert_eq!(play(5, &Medium::default(), Some(7), steps), expect, "{steps}");
        }
    }

    #[test]
    fn a_disk_that_lies_loses_the_journal_too() {
        let mut lies = Medium::default();
        lies.fsync = Fsync::Lies { keeps: 10 * SEC };
        assert_eq!(play(0, &lies, Some(7), "w8@1 w9@2 p@10"), Some(7));
        assert_eq!(play(0, &lies, Some(7), "w8@1 w9@2 p@16"), Some(8));
        assert_eq!(play(0, &lies, Some(7), "w8@1 p@40"), None);
        assert_eq!(play(0, &lies, Some(7), "w8@1 p@45"), Some(8));
    }
}
