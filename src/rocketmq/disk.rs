//! What a node of either kind keeps on its host's disk.

use super::broker::ha::dledger::ledger::{DLedgerFiles, TermRuns};
use super::broker::store::BrokerDisk;
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
    pub fn process_died(&mut self) {
        self.broker.process_died();
    }
    /// The host is gone; what only its memory had is gone with it.
    pub fn power_lost(&mut self, luck: u32) {
        self.broker.power_lost(luck);
        let last = self.broker.log.len() as i64 - 1;
        self.dledger.terms.truncate_after(last);
        // What is left has come from the disk.
        self.dledger.durable = last;
        self.dledger.files.power_lost();
    }
}

/// What a DLedger member keeps beside the log (server spec 11.1, 11.5).
#[derive(Clone, Debug)]
pub struct DLedgerDisk {
    pub files: DLedgerFiles,
    /// The terms of the log's entries: entry i is record i.
    pub terms: TermRuns,
    /// The last entry that an fsync has covered; -1: none.
    pub durable: i64,
}

impl Default for DLedgerDisk {
    fn default() -> Self {
        DLedgerDisk { files: DLedgerFiles::default(), terms: TermRuns::default(), durable: -1 }
    }
}

/// `.rocketmq_offsets/<clientId>/<group>/offsets.json` of broadcasting consumers (`LocalFileOffsetStore`, 4.9.8).
#[derive(Clone, Debug, Default)]
pub struct ClientFiles {
    pub offsets: BTreeMap<(Arc<str>, GroupId), BTreeMap<MessageQueue, u64>>,
}
