//! What a topic's route says: how many queues each broker offers, and at which addresses the broker is found.
//!
//! Brokers register these facts, nameservers hand them out, clients act on them. The two halves are joined only by
//! the broker's name, so a route may promise queues of a broker that has no address left, and a reader must cope.
//! Models `TopicRouteData`, `QueueData`, `BrokerData`, `PermName`, `TopicConfig` and `DataVersion` (4.9.8).

use crate::base::ids::{Addr, BrokerName, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `PermName.PERM_READ`: consumers may take from the queues.
pub const PERM_READ: u8 = 4;
/// `PermName.PERM_WRITE`: producers may put into the queues.
pub const PERM_WRITE: u8 = 2;
/// `PermName.PERM_INHERIT`: a topic may be created with this one as its pattern.
pub const PERM_INHERIT: u8 = 1;
/// `MixAll.MASTER_ID`: the broker id of a master; every other id is a slave.
pub const MASTER_ID: u64 = 0;

/// Whether a permission lets consumers read (`PermName#isReadable`).
pub const fn is_readable(perm: u8) -> bool {
    perm & PERM_READ != 0
}

/// Whether a permission lets producers write (`PermName#isWriteable`).
pub const fn is_writable(perm: u8) -> bool {
    perm & PERM_WRITE != 0
}

/// The queues of one topic on one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueData {
    /// The broker that has the queues.
    pub broker: BrokerName,
    /// Queues a consumer sees.
    pub read_queue_nums: u32,
    /// Queues a producer sees.
    pub write_queue_nums: u32,
    /// Bits of [`PERM_READ`], [`PERM_WRITE`], [`PERM_INHERIT`].
    pub perm: u8,
}

/// Where the processes that share one broker name listen.
#[derive(Clone, Debug)]
pub struct BrokerData {
    /// The shared name.
    pub broker: BrokerName,
    /// The cluster, by its number in the scenario.
    pub cluster: u16,
    /// Broker id to address; [`MASTER_ID`] is the master.
    pub addrs: BTreeMap<u64, Addr>,
}

/// `BrokerData#equals` leaves the cluster out, so a broker that only moves between clusters changes no route.
impl PartialEq for BrokerData {
    fn eq(&self, other: &Self) -> bool {
        self.broker == other.broker && self.addrs == other.addrs
    }
}
impl Eq for BrokerData {}

impl BrokerData {
    /// The master's address, if a master is registered.
    pub fn master(&self) -> Option<Addr> {
        self.addrs.get(&MASTER_ID).copied()
    }
}

/// The route of one topic, as a nameserver answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRouteData {
    /// One entry for each broker that has the topic.
    pub queue_datas: Vec<QueueData>,
    /// The addresses of those brokers, as far as they are known.
    pub broker_datas: Vec<BrokerData>,
    /// `"broker-a:4;broker-b:4"`: a fixed list of queues that overrides the rest for producers.
    pub order_topic_conf: Option<Arc<str>>,
}

impl TopicRouteData {
    /// The addresses of one broker.
    pub fn broker(&self, name: BrokerName) -> Option<&BrokerData> {
        self.broker_datas.iter().find(|data| data.broker == name)
    }
}

/// Whether a freshly fetched route says anything new: `MQClientInstance#topicRouteDataIsChange` (4.9.8).
///
/// A nameserver lists its entries in hash order, so both sides are put in the order of broker names first; what is
/// equal as it stands needs no sorting.
pub fn changed(old: Option<&TopicRouteData>, new: &TopicRouteData) -> bool {
    let Some(old) = old else { return true };
    old != new && by_broker_name(old) != by_broker_name(new)
}

fn by_broker_name(route: &TopicRouteData) -> TopicRouteData {
    let mut sorted = route.clone();
    sorted.queue_datas.sort_by_key(|data| data.broker);
    sorted.broker_datas.sort_by_key(|data| data.broker);
    sorted
}

/// A topic as one broker has it configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// `readQueueNums`.
    pub read: u32,
    /// `writeQueueNums`.
    pub write: u32,
    /// Permission bits.
    pub perm: u8,
}

/// The stamp of a broker's topic table. Nameservers compare it for equality only; newer and older mean nothing to
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataVersion {
    /// When the table last changed.
    pub timestamp_ms: i64,
    /// How many changes it has seen.
    pub counter: u64,
}

impl DataVersion {
    /// Stamps one more change: `DataVersion#nextVersion`.
    pub fn next(self, now_ms: i64) -> DataVersion {
        DataVersion { timestamp_ms: now_ms, counter: self.counter.wrapping_add(1) }
    }
}

/// A broker's topic table as it travels to the nameserver: `TopicConfigSerializeWrapper` (4.9.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfigs {
    /// The stamp of `topics`.
    pub version: DataVersion,
    /// Every topic of the broker.
    pub topics: Arc<BTreeMap<TopicId, TopicConfig>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(broker: u16, perm: u8) -> QueueData {
        QueueData { broker: BrokerName(broker), read_queue_nums: 4, write_queue_nums: 4, perm }
    }
    fn addresses(broker: u16, cluster: u16, master: u16) -> BrokerData {
        BrokerData { broker: BrokerName(broker), cluster, addrs: BTreeMap::from([(MASTER_ID, Addr(master))]) }
    }
    fn route(queue_datas: Vec<QueueData>, broker_datas: Vec<BrokerData>) -> TopicRouteData {
        TopicRouteData { queue_datas, broker_datas, order_topic_conf: None }
    }

    #[test]
    fn neither_order_nor_cluster_is_a_change() {
        let old = route(vec![queues(0, 6), queues(1, 6)], vec![addresses(0, 0, 7), addresses(1, 0, 8)]);
        let reordered = route(vec![queues(1, 6), queues(0, 6)], vec![addresses(1, 9, 8), addresses(0, 9, 7)]);
        assert!(!changed(Some(&old), &reordered));
        assert!(changed(None, &old));
    }

    #[test]
    fn permission_address_and_order_conf_are_changes() {
        let old = route(vec![queues(0, 6)], vec![addresses(0, 0, 7)]);
        assert!(changed(Some(&old), &route(vec![queues(0, 4)], vec![addresses(0, 0, 7)])));
        assert!(changed(Some(&old), &route(vec![queues(0, 6)], vec![addresses(0, 0, 8)])));
        assert!(changed(Some(&old), &TopicRouteData { order_topic_conf: Some("b:1".into()), ..old.clone() }));
    }

    #[test]
    fn perm_bits() {
        for (perm, read, write) in
            [(0, false, false), (1, false, false), (2, false, true), (4, true, false), (6, true, true), (7, true, true)]
        {
            assert_eq!((is_readable(perm), is_writable(perm)), (read, write), "perm {perm}");
        }
    }
}
