//! Each machine room serves itself; a room whose consumers are all gone is served by everybody.
//!
//! Queues and members are grouped by room, and another strategy shares out each group. Messages cross between rooms
//! only where nobody is left at home. Models `AllocateMachineRoomNearby` (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy, Strategy, check, java_text};
use crate::base::ids::MessageQueue;
use crate::base::names::{Names, java_cmp};
use std::fmt::Debug;
use std::sync::Arc;

/// `AllocateMachineRoomNearby#getName` before the inner strategy's name.
pub const NAME_PREFIX: &str = "MACHINE_ROOM_NEARBY-";

/// Says where a queue's broker and where a consumer stands: `AllocateMachineRoomNearby.MachineRoomResolver`. No room and
/// an empty one are the same.
pub trait MachineRoomResolver: Send + Sync + Debug {
    /// The room of a queue.
    fn broker_deploy_in(&self, names: &Names, queue: MessageQueue) -> Option<Arc<str>>;
    /// The room of a consumer.
    fn consumer_deploy_in(&self, client_id: &str) -> Option<Arc<str>>;
}

/// How rooms are found.
#[derive(Clone, Debug)]
pub enum RoomResolver {
    /// From the names: the part before a separator, or the whole name where there is none.
    Prefix {
        /// Ends the room in a broker's name.
        broker: char,
        /// Ends the room in a client id.
        consumer: char,
    },
    /// As the user says.
    Custom(Arc<dyn MachineRoomResolver>),
}

impl Default for RoomResolver {
    /// `room@broker` and `room_client`.
    fn default() -> Self {
        RoomResolver::Prefix { broker: '@', consumer: '_' }
    }
}

impl MachineRoomResolver for RoomResolver {
    fn broker_deploy_in(&self, names: &Names, queue: MessageQueue) -> Option<Arc<str>> {
        match self {
            RoomResolver::Prefix { broker, .. } => names.broker_name(queue.broker).split(*broker).next().map(Arc::from),
            RoomResolver::Custom(resolver) => resolver.broker_deploy_in(names, queue),
        }
    }
    fn consumer_deploy_in(&self, client_id: &str) -> Option<Arc<str>> {
        match self {
            RoomResolver::Prefix { consumer, .. } => client_id.split(*consumer).next().map(Arc::from),
            RoomResolver::Custom(resolver) => resolver.consumer_deploy_in(client_id),
        }
    }
}

/// The strategy with the one that shares out a room.
#[derive(Clone, Debug)]
pub struct MachineRoomNearby {
    inner: Box<Strategy>,
    resolver: RoomResolver,
}

impl MachineRoomNearby {
    /// Shares out each room with `inner`.
    pub fn new(inner: Strategy, resolver: RoomResolver) -> Self {
        MachineRoomNearby { inner: Box::new(inner), resolver }
    }
}

impl AllocateMessageQueueStrategy for MachineRoomNearby {
    fn name(&self) -> String {
        format!("{NAME_PREFIX}{}", self.inner.name())
    }
    fn allocate(
        &self,
        names: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError> {
        let Some(own) = check(current_cid, mq_all, cid_all)? else {
            return Ok(Vec::new());
        };
        let queue_rooms = rooms(mq_all, |queue| {
            let room = self.resolver.broker_deploy_in(names, *queue).filter(|room| !room.is_empty());
            room.ok_or_else(|| AllocateError::QueueWithoutRoom(java_text(names, *queue)))
        })?;
        let client_rooms = rooms(cid_all, |cid| {
            let room = self.resolver.consumer_deploy_in(cid).filter(|room| !room.is_empty());
            room.ok_or_else(|| AllocateError::ClientWithoutRoom(cid.to_string()))
        })?;
        let share =
            |room: &Room<MessageQueue>, clients: &[Arc<str>]| self.inner.allocate(names, current_cid, &room.members, clients);

        let at_home = client_rooms.iter().find(|room| room.members.contains(&cid_all[own]));
        let mut result = Vec::new();
        // The own room comes first, the deserted ones after it in the order of their names.
        if let Some(home) = at_home
            && let Some(room) = queue_rooms.iter().find(|room| room.name == home.name)
        {
            result = share(room, &home.members)?;
        }
        for room in &queue_rooms {
            if !client_rooms.iter().any(|clients| clients.name == room.name) {
                result.extend(share(room, cid_all)?);
            }
        }
        Ok(result)
    }
}

struct Room<T> {
    name: Arc<str>,
    members: Vec<T>,
}

/// Groups by room, the rooms in Java's order of strings, the members in their own.
fn rooms<T: Clone>(all: &[T], room_of: impl Fn(&T) -> Result<Arc<str>, AllocateError>) -> Result<Vec<Room<T>>, AllocateError> {
    let mut rooms: Vec<Room<T>> = Vec::new();
    for member in all {
        let name = room_of(member)?;
        match rooms.binary_search_by(|room| java_cmp(&room.name, &name)) {
            Ok(at) => rooms[at].members.push(member.clone()),
            Err(at) => rooms.insert(at, Room { name, members: vec![member.clone()] }),
        }
    }
    Ok(rooms)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cids, queues, shares};
    use super::*;

    fn nearby() -> MachineRoomNearby {
        MachineRoomNearby::new(Strategy::Averagely, RoomResolver::default())
    }

    #[test]
    fn rooms_keep_their_queues_and_the_deserted_one_is_shared_by_all() {
        let (names, queues) = queues(&["r1@a", "r2@b", "r3@c"], 2);
        // 0 1 are in r1, 2 3 in r2, 4 5 in r3.
        for (members, expect) in [
            (&["r1_x", "r2_y", "r3_z"][..], vec![vec![0, 1], vec![2, 3], vec![4, 5]]),
            (&["r1_x", "r1_y", "r2_z"], vec![vec![0, 4], vec![1, 5], vec![2, 3]]),
            (&["r2_x"], vec![vec![2, 3, 0, 1, 4, 5]]),
            (&["r9_x", "r9_y"], vec![vec![0, 2, 4], vec![1, 3, 5]]),
        ] {
            assert_eq!(shares(&nearby(), &names, &queues, &cids(members)), expect, "{members:?}");
        }
    }

    #[test]
    fn everything_stands_in_a_room() {
        let (names, queues) = queues(&["@a"], 1);
        let no_room = AllocateError::QueueWithoutRoom("MessageQueue [topic=T, brokerName=@a, queueId=0]".into());
        assert_eq!(nearby().allocate(&names, "r_x", &queues, &cids(&["r_x"])), Err(no_room));
        let (names, queues) = super::super::testing::queues(&["r@a"], 1);
        let no_room = AllocateError::ClientWithoutRoom("_y".into());
        assert_eq!(nearby().allocate(&names, "r_x", &queues, &cids(&["_y", "r_x"])), Err(no_room));
    }
}
