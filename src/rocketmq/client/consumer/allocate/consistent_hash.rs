//! A ring of hashes: each member has several points on it, and a queue belongs to the next point clockwise.
//!
//! A member that comes or goes moves only the queues next to its own points, at the price of uneven shares. Models
//! `AllocateMessageQueueConsistentHash` and `ConsistentHashRouter` with its MD5 hash (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy, check, java_text};
use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use md5::{Digest, Md5};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `AllocateMessageQueueConsistentHash#getName`.
pub const NAME: &str = "CONSISTENT_HASH";
/// Points a member has unless told otherwise.
pub const DEFAULT_VIRTUAL_NODES: u32 = 10;

/// The ring strategy.
#[derive(Clone, Copy, Debug)]
pub struct ConsistentHash {
    /// Points on the ring for each member. With none, nobody owns anything.
    pub virtual_nodes: u32,
}

impl AllocateMessageQueueStrategy for ConsistentHash {
    fn name(&self) -> String {
        NAME.to_owned()
    }
    fn allocate(
        &self,
        names: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError> {
        if check(current_cid, mq_all, cid_all)?.is_none() {
            return Ok(Vec::new());
        }
        Ok(Ring::new(cid_all, self.virtual_nodes).share(names, current_cid, mq_all))
    }
}

/// The points of a group's members: `ConsistentHashRouter` (4.9.8). It depends on the ids alone, so whoever allocates
/// often may keep it until they change.
#[derive(Clone, Debug)]
pub struct Ring {
    /// (hash, index in `clients`), ascending.
    points: Vec<(u32, usize)>,
    clients: Arc<[Arc<str>]>,
}

impl Ring {
    /// Gives each client its points. Where two points fall on one hash the later client takes it; a client listed twice
    /// numbers its second points on from those that are left of its first.
    pub fn new(clients: &[Arc<str>], virtual_nodes: u32) -> Self {
        let mut ring: BTreeMap<u32, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut key = String::new();
        for (index, client) in clients.iter().enumerate() {
            let existing = if seen.insert(client) { 0 } else { ring.values().filter(|&&at| clients[at] == *client).count() };
            for node in 0..virtual_nodes as usize {
                key.clear();
                key.push_str(client);
                key.push('-');
                key.push_str(&(node + existing).to_string());
                ring.insert(hash(&key), index);
            }
        }
        Ring { points: ring.into_iter().collect(), clients: clients.into() }
    }

    /// The client that a hash belongs to; none on a ring without points.
    pub fn route(&self, hash: u32) -> Option<&Arc<str>> {
        let next = self.points.partition_point(|(point, _)| *point < hash);
        let (_, client) = self.points.get(next).or(self.points.first())?;
        self.clients.get(*client)
    }

    /// Those of the queues that belong to a client, in their own order.
    pub fn share(&self, names: &Names, client: &str, queues: &[MessageQueue]) -> Vec<MessageQueue> {
        let owns = |queue: &&MessageQueue| self.route(queue_hash(names, **queue)).is_some_and(|owner| &**owner == client);
        queues.iter().filter(owns).copied().collect()
    }
}

/// Where a queue lies: the hash of `MessageQueue#toString`.
pub fn queue_hash(names: &Names, queue: MessageQueue) -> u32 {
    hash(&java_text(names, queue))
}

/// `MD5Hash#hash`: the first four bytes of the digest, big-endian.
pub fn hash(text: &str) -> u32 {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().take(4).fold(0, |hash, byte| hash << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cids, queues};
    use super::*;

    #[test]
    fn hashes_and_owners() {
        let (names, queues) = queues(&["b"], 8);
        assert_eq!((hash("c1-0"), hash("c2-0"), queue_hash(&names, queues[0])), (3886541579, 830676049, 562732085));
        let ring = Ring::new(&cids(&["c1", "c2", "c3"]), DEFAULT_VIRTUAL_NODES);
        let owners: Vec<&str> = queues.iter().map(|q| &**ring.route(queue_hash(&names, *q)).unwrap()).collect();
        assert_eq!(owners.join(" "), "c2 c3 c1 c2 c2 c3 c3 c2");
    }

    #[test]
    fn a_ring_without_points_owns_nothing() {
        let (names, queues) = queues(&["b"], 3);
        assert_eq!(ConsistentHash { virtual_nodes: 0 }.allocate(&names, "c", &queues, &cids(&["c"])), Ok(vec![]));
    }

    #[test]
    fn a_client_listed_twice_has_twice_the_points() {
        assert_eq!(Ring::new(&cids(&["c", "c"]), 5).points.len(), 10);
    }

    #[test]
    fn past_the_last_point_the_first_is_next() {
        let ring = Ring::new(&cids(&["a", "b"]), 3);
        assert_eq!(ring.route(u32::MAX), ring.route(0));
    }
}
