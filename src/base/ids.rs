//! Small integers instead of strings and pointers: names become ids once, and everything afterwards copies them.
//!
//! Topic, group and broker ids are handed out in the order of the names (see [`super::names`]), so comparing two
//! ids compares the names, and a [`MessageQueue`] sorts exactly as `MessageQueue#compareTo` sorts it.

/// A topic's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u16);

/// A producer or consumer group's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

/// A `brokerName`: a master and its slaves share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerName(pub u16);

/// A node of the scenario: one process slot, whatever lives it goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// A network address. Broker and nameserver addresses are known from the scenario; the world maps them to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub u16);

/// (topic, brokerName, queueId), ordered as RocketMQ orders it: `MessageQueue#compareTo` (4.9.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageQueue {
    pub topic: TopicId,
    pub broker: BrokerName,
    pub queue_id: i32,
}

/// One message of one producer: the n-th that fell due there. A retry, a send-back and a delayed delivery keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl MessageId {
    /// The message `n` of producer number `producer` (the index of the producer in the scenario).
    pub const fn new(producer: u16, n: u64) -> Self {
        MessageId((producer as u64) << 48 | n)
    }
    pub const fn producer(self) -> u16 {
        (self.0 >> 48) as u16
    }
    pub const fn n(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

impl std::fmt::Debug for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}#{}", self.producer(), self.n())
    }
}

/// One stored copy of a message: where it lies. The log identity tells a wiped or replaced disk from the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    pub queue: MessageQueue,
    /// Number of the log on this broker: rises when a disk is replaced.
    pub log: u16,
    pub offset: u64,
}

/// What a scenario calls a thing, hashed: the identity that draws hang on. Never an index, so that inserting an
/// entity changes nobody else's luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity(pub u64);

impl Entity {
    /// FNV-1a over the name, then a finaliser: written down here because the bytes of every report depend on it.
    pub fn named(name: &str) -> Self {
        let mut h: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            h = (h ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Entity(mix(h))
    }
    /// The entity that `self` and a number make together (a thread of a producer, a queue of a topic).
    pub fn with(self, n: u64) -> Self {
        Entity(mix(self.0 ^ mix(n.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
