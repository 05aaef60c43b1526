//! What a node of either kind keeps on its host's disk.

use super::broker::ha::dledger::ledger::{DLedgerFiles, TermAndVote, TermRuns};
use super::broker::store::BrokerDisk;
use super::broker::store::medium::Medium;
use super::broker::store::small_files::SmallFile;
use crate::base::ids::{GroupId, MessageQueue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's files. A broker uses one part, a client the other.
#[derive(Clone, Debug, Default)]
pub struct NodeDisk {
    pub broker: BrokerDisk,
    pub dledger: DLedgerDisk,
    pub client: ClientFiles,
}

impl NodeDisk {
    /// The process is gone; what only it had is gone with it.
    pub fn process_died(&mut self, now: u64) {
        self.broker.process_died(now);
    }
    /// The host is gone; what only its memory had is gone with it.
    pub fn power_lost(&mut self, luck: u32, now: u64) {
        self.broker.power_lost(luck, now);
        let last = self.broker.log.len() as i64 - 1;
        self.dledger.terms.truncate_after(last);
        // What is left has come from the disk.
        self.dledger.durable = last;
        self.dledger.power_lost(now, &self.broker.medium);
    }
}

impl NodeDisk {
    /// The disk is replaced by an empty one.
    pub fn replaced(&mut self) {
        self.broker.replaced();
        (self.dledger, self.client) = Default::default();
    }
}

/// What a DLedger member keeps beside the log (server spec 11.1, 11.5).
#[derive(Clone, Debug)]
pub struct DLedgerDisk {
    pub files: DLedgerFiles,
    /// The terms of the log's entries: entry i is record i.
    pub terms: TermRuns,
    /// Up to here the member takes its entries for flushed; -1: none.
    pub durable: i64,
    /// `currterm` and `checkpoint` as files.
    term_file: SmallFile<TermAndVote>,
    committed_file: SmallFile<i64>,
}

impl DLedgerDisk {
    /// The member has run, and may have written its small files (`IOUtils#string2File`, DLedger 0.3.1.2: the twin of RocketMQ's, but nobody reads its `.bak`).
    pub fn wrote(&mut self, files: DLedgerFiles, now: u64, medium: &Medium) {
        if files.term.cached != self.files.term.cached {
            self.term_file.string2file(files.term.cached, now, medium);
        }
        if files.committed.cached != self.files.committed.cached {
            self.committed_file.string2file(files.committed.cached, now, medium);
        }
        self.files = files;
    }
    /// The log begins anew.
    pub fn begin_anew(&mut self) {
        self.terms = TermRuns::default();
        self.durable = -1;
    }
    /// An fsync of the log has committed the journal.
    pub fn commit_names(&mut self, now: u64, medium: &Medium) {
        self.term_file.commit(now, medium);
        self.committed_file.commit(now, medium);
    }
    fn power_lost(&mut self, now: u64, medium: &Medium) {
        self.term_file.power_lost(now, medium);
        self.committed_file.power_lost(now, medium);
        let empty = DLedgerFiles::default();
        self.files.term.durable = self.term_file.load_without_bak().copied().unwrap_or(empty.term.cached);
        self.files.committed.durable = self.committed_file.load_without_bak().copied().unwrap_or(empty.committed.cached);
        self.files.power_lost();
    }
}

impl Default for DLedgerDisk {
    fn default() -> Self {
        let (files, terms) = (DLedgerFiles::default(), TermRuns::default());
        DLedgerDisk { files, terms, durable: -1, term_file: SmallFile::default(), committed_file: SmallFile::default() }
    }
}

/// `.rocketmq_offsets/<clientId>/<group>/offsets.json` of broadcasting consumers (`LocalFileOffsetStore`, 4.9.8).
#[derive(Clone, Debug, Default)]
pub struct ClientFiles {
    pub offsets: BTreeMap<(Arc<str>, GroupId), BTreeMap<MessageQueue, u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SEC;

    /// A member's term is in the page cache when it votes; the disk has it half a minute later, and before that an empty file or the one before.
    #[test]
    fn a_term_that_was_just_written_is_lost_with_the_power() {
        let medium = Medium::default();
        // Terms written at these seconds, fsyncs of the log, the cut; the term that is left.
        type Line<'a> = (&'a [(u64, i64)], &'a [u64], u64, i64);
        let table: [Line<'_>; 5] = [
            (&[(1, 4)], &[], 40, 4),
            (&[(1, 4)], &[2], 30, 0),
            (&[(1, 4), (41, 5)], &[], 42, 4),
            (&[(1, 4), (41, 5)], &[42], 43, 0),
            (&[(1, 4), (41, 5)], &[42], 80, 5),
        ];
        for (terms, fsyncs, cut, left) in table {
            let mut disk = DLedgerDisk::default();
            for (at, term) in terms {
                let mut files = disk.files;
                files.term.cached = TermAndVote { term: *term, vote_for: None };
                disk.wrote(files, at * SEC, &medium);
            }
            fsyncs.iter().for_each(|at| disk.commit_names(at * SEC, &medium));
            assert_eq!(disk.files.term.cached.term, terms[terms.len() - 1].1, "a process sees what it wrote");
            disk.power_lost(cut * SEC, &medium);
            assert_eq!(disk.files.term.cached.term, left, "{terms:?}, fsyncs at {fsyncs:?}, cut at {cut}");
        }
    }
}
