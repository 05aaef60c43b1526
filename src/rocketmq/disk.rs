//! What a node of either kind keeps on its host's disk.

use super::broker::store::BrokerDisk;
use crate::base::ids::{GroupId, MessageQueue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's files. A broker uses one part, a client the other.
#[derive(Clone, Debug, Default)]
pub struct NodeDisk {
    pub broker: BrokerDisk,
    pub client: ClientFiles,
}

/// `.rocketmq_offsets/<clientId>/<group>/offsets.json` of broadcasting consumers (`LocalFileOffsetStore`, 4.9.8).
#[derive(Clone, Debug, Default)]
pub struct ClientFiles {
    pub offsets: BTreeMap<(Arc<str>, GroupId), BTreeMap<MessageQueue, u64>>,
}
