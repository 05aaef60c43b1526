//! The log that the group agrees on, as far as DLedger must know it, and the small files beside it.
//!
//! DLedger brings a store of its own; here the entries lie wherever the driver keeps them (a broker's commit log: entry i is record i) and this
//! room asks for them through [`Ledger`]. What the store decides (which entry may follow which, how far the log counts as committed) is here.
//! Two small files beside the log say what a member must remember of itself: its term and vote, and how far it knew the log committed. Both are
//! replaced by renaming and never fsynced. Models `DLedgerEntry`, `DLedgerMmapFileStore`, `MemberState#persistState` (DLedger 0.3.1.2; server spec 11.1, 11.3, 11.5).

use super::clean::DataFiles;
use super::protocol::PeerId;
use std::fmt::Debug;

/// `DLedgerEntry.BODY_OFFSET`: magic 4, size 4, index 8, term 8, pos 8, channel 4, chainCrc 4, bodyCrc 4, bodyLen 4. A message's physical offset
/// is its entry's `pos` plus this.
pub const BODY_OFFSET: u32 = 48;

/// `DLedgerEntry` (0.3.1.2). Equality is that of every field, as `DLedgerEntry#equals` compares them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<P> {
    pub index: i64,
    pub term: i64,
    /// Where it begins in the data files.
    pub pos: u64,
    /// With its header.
    pub size: u32,
    pub payload: P,
}

/// The entries of one member on its host's disk.
///
/// Indexes are whole from `begin` to `end`; an empty ledger says -1 to both. `durable` is the last index that an fsync has covered: a loss of
/// power cuts the ledger back to it, the death of the process leaves everything.
pub trait Ledger {
    type Payload: Copy + PartialEq + Debug;

    /// `getLedgerBeginIndex`.
    fn begin(&self) -> i64;
    /// `getLedgerEndIndex`.
    fn end(&self) -> i64;
    /// The entry at an index, if it is there.
    fn entry(&self, index: i64) -> Option<Entry<Self::Payload>>;
    /// The term of the entry at an index, if it is there.
    fn term_of(&self, index: i64) -> Option<i64> {
        self.entry(index).map(|entry| entry.term)
    }
    /// Where an entry of this size would begin (`MmapFileList#preAppend`: the rest of a full file is left blank).
    fn place(&self, size: u32) -> u64;
    /// Adds an entry behind the last one, or as the first of a ledger that was always empty or is rebuilt, whatever its index. The driver may stamp the payload with its place.
    fn append(&mut self, entry: Entry<Self::Payload>);
    /// Drops every entry behind an index; all of them when the index lies before `begin`. `durable` goes back with it.
    fn truncate_after(&mut self, index: i64);
    fn durable(&self) -> i64;
    /// An fsync has covered everything up to an index.
    fn set_durable(&mut self, index: i64);
    /// The files that the entries lie in.
    fn data_files(&self) -> DataFiles {
        DataFiles::default()
    }
    /// Use of their partition in whole percent, rounded up (`DLedgerUtils#getDiskPartitionSpaceUsedPercent`); `None`: it has no end.
    fn used_percent(&self) -> Option<u64> {
        None
    }
    /// `MmapFileList#rebuildWithPos`: forgets every entry and begins anew with this one, at its place.
    fn rebuild_with(&mut self, entry: Entry<Self::Payload>) {
        self.truncate_after(-1);
        self.append(entry);
    }
}

/// The term of the last entry: `getLedgerEndTerm`, -1 when there is none. Since DLedger 0.2 it is the entry's own term, not the member's (H78).
pub fn end_term<L: Ledger>(ledger: &L) -> i64 {
    ledger.term_of(ledger.end()).unwrap_or(-1)
}

/// A small file that is written without fsync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsynced<T> {
    /// What a process reads: it survives the process.
    pub cached: T,
    /// What the kernel has written back by itself: it survives the host.
    pub durable: T,
}

impl<T: Copy> Unsynced<T> {
    /// The kernel has written it back.
    pub fn written_back(&mut self) {
        self.durable = self.cached;
    }
    /// The host is gone, and with it what had not been written back.
    pub fn power_lost(&mut self) {
        self.cached = self.durable;
    }
}

/// `currterm`: `MemberState#persistState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TermAndVote {
    pub term: i64,
    pub vote_for: Option<PeerId>,
}

/// What a member keeps beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLedgerFiles {
    pub term: Unsynced<TermAndVote>,
    /// `checkpoint`: the committed index, -1 when there is no such file.
    pub committed: Unsynced<i64>,
}

impl Default for DLedgerFiles {
    fn default() -> Self {
        DLedgerFiles { term: Unsynced::default(), committed: Unsynced { cached: -1, durable: -1 } }
    }
}

impl DLedgerFiles {
    /// The kernel has written back what was written so far (some seconds later, on Linux by default).
    pub fn written_back(&mut self) {
        self.term.written_back();
        self.committed.written_back();
    }
    pub fn power_lost(&mut self) {
        self.term.power_lost();
        self.committed.power_lost();
    }
}

/// `DLedgerMmapFileStore#updateCommittedIndex`: what the committed index becomes, if it changes. Nothing asks for the term of the entry that is
/// committed (H79). An index past the end is cut to the end, after the comparison with the old one: so the result may be lower than before when
/// the log was truncated below it (dl#316).
pub fn committed_after<L: Ledger>(ledger: &L, committed: i64, curr_term: i64, term: i64, index: i64) -> Option<i64> {
    if index == -1 || ledger.end() == -1 || term < curr_term || index <= committed || index < ledger.begin() {
        return None;
    }
    let index = index.min(ledger.end());
    (index != committed).then_some(index)
}

/// `DLedgerMmapFileStore#appendAsFollower`, its checks of the log: the entry is the next one and lies where it lay at the leader.
pub fn may_append<L: Ledger>(ledger: &L, entry: &Entry<L::Payload>) -> bool {
    entry.index == ledger.end().saturating_add(1) && entry.pos == ledger.place(entry.size)
}

/// `DLedgerMmapFileStore#truncate`: the entry becomes the last one. What lies behind it goes, committed or not; an entry that differs is replaced;
/// a ledger that does not reach up to it begins anew with it (`rebuildWithPos`).
pub fn truncate_to<L: Ledger>(ledger: &mut L, entry: &Entry<L::Payload>) {
    if ledger.entry(entry.index).is_some_and(|own| own == *entry) {
        return ledger.truncate_after(entry.index);
    }
    let before = entry.index.saturating_sub(1);
    ledger.truncate_after(before);
    if ledger.end() != before || ledger.place(entry.size) != entry.pos {
        return ledger.rebuild_with(*entry);
    }
    ledger.append(*entry);
}

/// The terms of a log's entries, kept beside a log whose records do not carry them: one run for each term that wrote anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermRuns {
    /// First index and term of each run, both rising.
    runs: Vec<(i64, i64)>,
}

impl TermRuns {
    /// The entry at an index, which is the next one, has this term.
    pub fn append(&mut self, index: i64, term: i64) {
        if self.runs.last().is_none_or(|run| run.1 != term) {
            self.runs.push((index, term));
        }
    }
    /// Forgets every entry behind an index.
    pub fn truncate_after(&mut self, index: i64) {
        let keep = self.runs.partition_point(|run| run.0 <= index);
        self.runs.truncate(keep);
    }
    /// The term of an entry that is in the log.
    pub fn term_of(&self, index: i64) -> Option<i64> {
        let behind = self.runs.partition_point(|run| run.0 <= index);
        Some(self.runs.get(behind.checked_sub(1)?)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_terms_say_the_term_of_every_entry() {
        let mut runs = TermRuns::default();
        let terms = [0, 0, 1, 1, 1, 4, 4];
        for (index, term) in (3..).zip(terms) {
            runs.append(index, term);
        }
        let all = |runs: &TermRuns, upto: i64| (3..=upto).map(|i| runs.term_of(i).unwrap_or(-9)).collect::<Vec<_>>();
        assert_eq!((all(&runs, 9), runs.term_of(2), runs.runs.len()), (terms.to_vec(), None, 3));
        runs.truncate_after(6);
        runs.append(7, 5);
        assert_eq!(all(&runs, 7), [0, 0, 1, 1, 5]);
        runs.truncate_after(4);
        assert_eq!((all(&runs, 4), runs.runs.len()), (vec![0, 0], 1));
        runs.truncate_after(-1);
        assert_eq!(runs, TermRuns::default());
    }
}
