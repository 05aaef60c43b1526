//! Only the queues of certain machine rooms, shared out evenly; all others stay unconsumed.
//!
//! The room is read from the broker's name, `room@broker`. What does not divide evenly goes, one each, to the first
//! members, after everybody's block instead of inside it. Models `AllocateMessageQueueByMachineRoom` (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy, check};
use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use crate::rocketmq::filter::java_split;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `AllocateMessageQueueByMachineRoom#getName`.
pub const NAME: &str = "MACHINE_ROOM";

/// The strategy with its rooms, `consumeridcs` in Java.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRoom {
    rooms: BTreeSet<Arc<str>>,
}

impl MachineRoom {
    /// Consumes from these rooms only.
    pub fn new(rooms: impl IntoIterator<Item = Arc<str>>) -> Self {
        MachineRoom { rooms: rooms.into_iter().collect() }
    }
}

impl AllocateMessageQueueStrategy for MachineRoom {
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
        let Some(index) = check(current_cid, mq_all, cid_all)? else {
            return Ok(Vec::new());
        };
        let in_rooms = |queue: &&MessageQueue| match java_split(names.broker_name(queue.broker), "@")[..] {
            [room, _] => self.rooms.contains(room),
            _ => false,
        };
        let queues: Vec<MessageQueue> = mq_all.iter().filter(in_rooms).copied().collect();
        let (each, left_over) = (queues.len() / cid_all.len(), queues.len() % cid_all.len());
        let mut share = queues[each * index..each * (index + 1)].to_vec();
        if index < left_over {
            share.push(queues[each * cid_all.len() + index]);
        }
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cids, queues, shares};
    use super::*;

    #[test]
    fn the_remainder_follows_the_blocks() {
        let (names, queues) = queues(&["r@x"], 7);
        let strategy = MachineRoom::new(["r".into()]);
        assert_eq!(shares(&strategy, &names, &queues, &cids(&["a", "b", "c"])), [vec![0, 1, 6], vec![2, 3], vec![4, 5]]);
    }

    #[test]
    fn only_names_of_two_parts_have_a_room() {
        let (names, queues) = queues(&["@x", "r", "r@", "r@x", "r@x@", "r@x@y", "s@x"], 1);
        let got = |rooms: &[&str]| {
            let strategy = MachineRoom::new(rooms.iter().map(|&room| room.into()));
            let share = strategy.allocate(&names, "a", &queues, &cids(&["a"])).unwrap();
            share.iter().map(|q| names.broker_name(q.broker).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(got(&["r"]), ["r@x", "r@x@"]);
        assert_eq!(got(&[""]), ["@x"]);
        assert_eq!(got(&[]), Vec::<String>::new());
    }
}
