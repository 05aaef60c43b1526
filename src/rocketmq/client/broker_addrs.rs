//! `MQClientInstance.brokerAddrTable` (4.9.8): brokers by name, and of each name its processes by id.
//!
//! A client asks it for every send and every pull, and it has a few rows: they lie side by side, sorted.

use crate::base::ids::{Addr, BrokerName};
use crate::base::java_map::JavaMap;
use crate::base::names::Names;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Row {
    broker: BrokerName,
    addr: Addr,
    id: u64,
}

/// Addresses by broker name and id.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokerAddrs(Vec<Row>);

impl BrokerAddrs {
    /// What a route says of a broker replaces what was known of it.
    pub(super) fn set(&mut self, broker: BrokerName, ids: &BTreeMap<u64, Addr>) {
        let from = self.0.partition_point(|row| row.broker < broker);
        let until = self.0.partition_point(|row| row.broker <= broker);
        self.0.splice(from..until, ids.iter().map(|(id, addr)| Row { broker, addr: *addr, id: *id }));
    }
    pub(super) fn get(&self, broker: BrokerName, id: u64) -> Option<Addr> {
        self.0.iter().find(|row| row.broker == broker && row.id == id).map(|row| row.addr)
    }
    /// The process of a broker with the lowest id.
    pub(super) fn first(&self, broker: BrokerName) -> Option<(u64, Addr)> {
        self.0.iter().find(|row| row.broker == broker).map(|row| (row.id, row.addr))
    }
    pub(super) fn retain(&mut self, keep: impl Fn(Addr) -> bool) {
        self.0.retain(|row| keep(row.addr));
    }
    /// Ids and addresses as the map of maps lists them: names by their bins, ids by number (their bins, below 16).
    pub(super) fn listed(&self, names: &Names) -> impl Iterator<Item = (u64, Addr)> + use<> {
        let mut rows = self.0.clone();
        let brokers = self.0.chunk_by(|a, b| a.broker == b.broker).count();
        JavaMap::Concurrent.list_of(brokers, &mut rows, |row| names.broker_hash(row.broker));
        rows.into_iter().map(|row| (row.id, row.addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::names::NamesBuilder;

    #[test]
    fn a_route_replaces_what_was_known_of_its_brokers_alone() {
        let mut names = NamesBuilder::default();
        (0..10).for_each(|n| _ = names.broker(&n.to_string()));
        let names = names.freeze();
        let mut table = BrokerAddrs::default();
        let mut set = |broker, ids: &[(u64, u16)]| {
            table.set(BrokerName(broker), &ids.iter().map(|(id, addr)| (*id, Addr(*addr))).collect());
            table.listed(&names).map(|(id, addr)| (id, addr.0)).collect::<Vec<_>>()
        };
        assert_eq!(set(4, &[(0, 40), (2, 42)]), [(0, 40), (2, 42)]);
        assert_eq!(set(1, &[(1, 11)]), [(1, 11), (0, 40), (2, 42)]);
        assert_eq!(set(4, &[(1, 41), (7, 47)]), [(1, 11), (1, 41), (7, 47)]);
        assert_eq!(set(9, &[]), [(1, 11), (1, 41), (7, 47)]);
        assert_eq!(table.get(BrokerName(4), 7), Some(Addr(47)));
        assert_eq!((table.get(BrokerName(4), 0), table.first(BrokerName(9))), (None, None));
        assert_eq!(table.first(BrokerName(4)), Some((1, Addr(41))));
        table.retain(|addr| addr != Addr(41));
        assert_eq!(table.first(BrokerName(4)), Some((7, Addr(47))));
    }

    /// Who is asked first follows from the hash of the names, not from their order: broker-b before broker-a.
    #[test]
    fn brokers_are_listed_by_their_bins_and_their_processes_by_number() {
        let mut names = NamesBuilder::default();
        names.broker("broker-a").broker("broker-b");
        let names = names.freeze();
        let mut table = BrokerAddrs::default();
        for broker in [0u16, 1] {
            table.set(BrokerName(broker), &[(1, Addr(broker * 10 + 1)), (0, Addr(broker * 10))].into());
        }
        assert_eq!(table.listed(&names).map(|(_, addr)| addr.0).collect::<Vec<_>>(), [10, 11, 0, 1]);
    }
}
