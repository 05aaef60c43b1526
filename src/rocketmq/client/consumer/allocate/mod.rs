//! Who consumes which queues of a topic: the strategies that every member of a group evaluates for itself.
//!
//! There is no coordinator. Each member sorts the queues and the client ids it knows and computes its own share, so the
//! shares fit together only when all members see the same lists and run the same strategy. Being absent from the list
//! of ids is no error but an empty share. Models `AllocateMessageQueueStrategy` and `AbstractAllocateMessageQueueStrategy`
//! (4.9.8). To add a strategy, write a file like [`averagely`] and give it a line in [`Strategy`].

pub mod averagely;
pub mod averagely_by_circle;
pub mod config;
pub mod consistent_hash;
pub mod machine_room;
pub mod machine_room_nearby;

pub use averagely::Averagely;
pub use averagely_by_circle::AveragelyByCircle;
pub use config::Config;
pub use consistent_hash::{ConsistentHash, Ring};
pub use machine_room::MachineRoom;
pub use machine_room_nearby::{MachineRoomNearby, MachineRoomResolver, RoomResolver};

use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use std::fmt::Debug;
use std::sync::Arc;

/// One member's view of the allocation. `mq_all` and `cid_all` are sorted; the answer keeps the strategy's own order.
pub trait AllocateMessageQueueStrategy: Send + Sync + Debug {
    /// The name under which RocketMQ knows the strategy.
    fn name(&self) -> String;

    /// The queues of `current_cid`. An error leaves the member's assignment as it was.
    fn allocate(
        &self,
        names: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError>;
}

/// What a strategy refuses to work with: Java's `IllegalArgumentException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// The member has no id.
    #[error("currentCID is empty")]
    EmptyClientId,
    /// The topic has no queues.
    #[error("mqAll is null or mqAll empty")]
    NoQueues,
    /// The group has no members.
    #[error("cidAll is null or cidAll empty")]
    NoClients,
    /// The resolver knows no machine room for a queue.
    #[error("Machine room is null for mq {0}")]
    QueueWithoutRoom(String),
    /// The resolver knows no machine room for a member.
    #[error("Machine room is null for consumer id {0}")]
    ClientWithoutRoom(String),
}

/// `AbstractAllocateMessageQueueStrategy#check`: the member's place among the ids, none if it is not there.
pub(crate) fn check(current_cid: &str, mq_all: &[MessageQueue], cid_all: &[Arc<str>]) -> Result<Option<usize>, AllocateError> {
    if current_cid.is_empty() {
        return Err(AllocateError::EmptyClientId);
    }
    if mq_all.is_empty() {
        return Err(AllocateError::NoQueues);
    }
    if cid_all.is_empty() {
        return Err(AllocateError::NoClients);
    }
    Ok(cid_all.iter().position(|cid| &**cid == current_cid))
}

/// `MessageQueue#toString`: what a ring hashes and errors show.
pub(crate) fn java_text(names: &Names, queue: MessageQueue) -> String {
    let (topic, broker) = (names.topic_name(queue.topic), names.broker_name(queue.broker));
    format!("MessageQueue [topic={topic}, brokerName={broker}, queueId={}]", queue.queue_id)
}

/// A consumer's configured strategy: RocketMQ's own, or the user's.
#[derive(Clone, Debug, Default)]
pub enum Strategy {
    /// `AVG`, the default: consecutive blocks.
    #[default]
    Averagely,
    /// `AVG_BY_CIRCLE`: dealt out like cards.
    AveragelyByCircle,
    /// `CONFIG`: a fixed list.
    Config(Config),
    /// `MACHINE_ROOM`: only queues of certain rooms.
    MachineRoom(MachineRoom),
    /// `MACHINE_ROOM_NEARBY-` and another strategy: each room serves itself.
    MachineRoomNearby(MachineRoomNearby),
    /// `CONSISTENT_HASH`: a ring, so that one member more moves few queues.
    ConsistentHash {
        /// Points on the ring for each member.
        virtual_nodes: u32,
    },
    /// One that RocketMQ does not have.
    Custom(Arc<dyn AllocateMessageQueueStrategy>),
}

impl Strategy {
    /// The strategy of a name, as far as a name tells everything: `AVG`, `AVG_BY_CIRCLE`, `CONSISTENT_HASH` with its
    /// usual number of points, and `MACHINE_ROOM_NEARBY-` before any of these with rooms read from the names.
    /// `CONFIG` and `MACHINE_ROOM` say nothing without their lists.
    pub fn by_name(name: &str) -> Option<Strategy> {
        match name {
            averagely::NAME => Some(Strategy::Averagely),
            averagely_by_circle::NAME => Some(Strategy::AveragelyByCircle),
            consistent_hash::NAME => Some(Strategy::ConsistentHash { virtual_nodes: consistent_hash::DEFAULT_VIRTUAL_NODES }),
            _ => {
                let inner = Strategy::by_name(name.strip_prefix(machine_room_nearby::NAME_PREFIX)?)?;
                Some(Strategy::MachineRoomNearby(MachineRoomNearby::new(inner, RoomResolver::default())))
            }
        }
    }

    fn with<R>(&self, act: impl FnOnce(&dyn AllocateMessageQueueStrategy) -> R) -> R {
        match self {
            Strategy::Averagely => act(&Averagely),
            Strategy::AveragelyByCircle => act(&AveragelyByCircle),
            Strategy::Config(strategy) => act(strategy),
            Strategy::MachineRoom(strategy) => act(strategy),
            Strategy::MachineRoomNearby(strategy) => act(strategy),
            Strategy::ConsistentHash { virtual_nodes } => act(&ConsistentHash { virtual_nodes: *virtual_nodes }),
            Strategy::Custom(strategy) => act(&**strategy),
        }
    }
}

impl AllocateMessageQueueStrategy for Strategy {
    fn name(&self) -> String {
        self.with(|strategy| strategy.name())
    }
    fn allocate(
        &self,
        names: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError> {
        self.with(|strategy| strategy.allocate(names, current_cid, mq_all, cid_all))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::base::ids::{BrokerName, TopicId};
    use crate::base::names::NamesBuilder;

    /// Topic `T`, the given brokers, and `n` queues on each, sorted.
    pub(crate) fn queues(brokers: &[&str], n: i32) -> (Names, Vec<MessageQueue>) {
        let mut names = NamesBuilder::default();
        names.topic("T");
        for broker in brokers {
            names.broker(broker);
        }
        let queue = |broker| (0..n).map(move |queue_id| MessageQueue { topic: TopicId(0), broker: BrokerName(broker), queue_id });
        let all = (0..brokers.len() as u16).flat_map(queue).collect();
        (names.freeze(), all)
    }

    pub(crate) fn cids(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|&name| name.into()).collect()
    }

    /// Each member's share as positions in `mq_all`.
    pub(crate) fn shares(
        strategy: &dyn AllocateMessageQueueStrategy,
        names: &Names,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Vec<Vec<usize>> {
        let place = |queue: &MessageQueue| mq_all.iter().position(|mq| mq == queue).unwrap();
        let share = |cid: &Arc<str>| strategy.allocate(names, cid, mq_all, cid_all).unwrap().iter().map(place).collect();
        cid_all.iter().map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    fn all() -> Vec<Strategy> {
        let names = [
            "AVG",
            "AVG_BY_CIRCLE",
            "CONSISTENT_HASH",
            "MACHINE_ROOM_NEARBY-AVG",
            "MACHINE_ROOM_NEARBY-MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE",
        ];
        let mut all: Vec<_> = names.iter().map(|name| Strategy::by_name(name).unwrap()).collect();
        assert!(all.iter().map(Strategy::name).eq(names));
        all.push(Strategy::MachineRoom(MachineRoom::new(["r1".into(), "r2".into()])));
        all.push(Strategy::Custom(Arc::new(Averagely)));
        all
    }

    #[test]
    fn names_that_say_nothing() {
        for name in ["", "CONFIG", "MACHINE_ROOM", "MACHINE_ROOM_NEARBY-", "MACHINE_ROOM_NEARBY-CONFIG", "avg"] {
            assert!(Strategy::by_name(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_common_check() {
        let (names, queues) = testing::queues(&["r1@a"], 3);
        let cids = testing::cids(&["r1_c1", "r1_c2"]);
        for strategy in all() {
            assert_eq!(strategy.allocate(&names, "", &queues, &cids), Err(AllocateError::EmptyClientId));
            assert_eq!(strategy.allocate(&names, "r1_c1", &[], &cids), Err(AllocateError::NoQueues));
            assert_eq!(strategy.allocate(&names, "r1_c1", &queues, &[]), Err(AllocateError::NoClients));
            assert_eq!(strategy.allocate(&names, "stranger", &queues, &cids), Ok(vec![]));
        }
    }

    proptest! {
        #[test]
        fn every_queue_has_one_owner_when_all_see_the_same(n in 1..30i32, members in proptest::collection::btree_set("r[12]_[a-z]{1,4}", 1..12)) {
            let (names, queues) = testing::queues(&["r1@a", "r1@b", "r2@c"], n);
            let cids: Vec<Arc<str>> = members.iter().map(|m| m.as_str().into()).collect();
            for strategy in all() {
                let mut owned = testing::shares(&strategy, &names, &queues, &cids).concat();
                owned.sort_unstable();
                prop_assert!(owned.into_iter().eq(0..queues.len()), "{strategy:?}");
            }
        }
    }
}
