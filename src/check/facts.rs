//! What observers must know about a run besides its notes: who exists, who subscribes to what, when the load begins and ends.
//!
//! Plain data, filled once by whoever builds the run. It names no type of a world or a product, so another messaging system that
//! speaks the same notes can fill it too.

use crate::base::ids::{Addr, BrokerName, GroupId, MessageQueue, NodeId, TopicId};
use crate::base::names::Names;
use crate::base::time::SEC;
use std::sync::Arc;

/// Everything the checks and meters are told beforehand.
#[derive(Clone, Debug)]
pub struct RunFacts {
    pub names: Arc<Names>,
    /// Time 0 of the scenario, ns from the beginning of the run.
    pub zero: u64,
    /// End of the load, ns from the beginning of the run.
    pub load_end: u64,
    /// How long a queue lock lives at a broker without renewal, ns of the broker's wall clock (60 s unless somebody changed it).
    pub lock_life: u64,
    /// Index = `NodeId`.
    pub nodes: Vec<NodeFacts>,
    /// Index = `MessageId::producer()`.
    pub producers: Vec<ProducerFacts>,
    /// Members of all groups. The index is the observers' own number of a member.
    pub consumers: Vec<ConsumerFacts>,
    /// Readable queues of ordinary topics that exist from the beginning. Others count from the first note that names them.
    pub queues: Vec<MessageQueue>,
    /// Index = the index in `Note::Fault`.
    pub faults: Vec<FaultFacts>,
    /// How fast a broker reads its log when it starts, bytes a second; 0: at once.
    pub log_read_rate: u64,
}

impl Default for RunFacts {
    fn default() -> Self {
        RunFacts {
            names: Arc::default(),
            zero: 0,
            load_end: 0,
            lock_life: 60 * SEC,
            nodes: Vec::new(),
            producers: Vec::new(),
            consumers: Vec::new(),
            queues: Vec::new(),
            faults: Vec::new(),
            log_read_rate: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct NodeFacts {
    pub name: String,
    pub kind: NodeKind,
    pub addr: Addr,
    pub waits: Waits,
    /// Of a broker that takes its set's messages.
    pub needs: Needs,
}

/// Whose answer a broker's puts wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Needs {
    #[default]
    Nobody,
    /// One other broker of its set.
    Replica,
    /// A majority of its set, itself counted.
    Majority,
}

/// What a process waits for in the stages of an outage, as its operator would look it up: the setting's name and its value. Empty: nothing to name.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// A call that nobody answers.
    pub call: String,
    /// A connection that nobody answers.
    pub connect: String,
    /// The next look at the route.
    pub route: String,
    /// A pull that a broker keeps because it has nothing.
    pub parked: String,
    /// The end of an isolation.
    pub aside: String,
    /// The next rebalance.
    pub rebalance: String,
    /// A pull that nobody answers, and the next one after a pull that failed.
    pub pull: String,
    pub pull_again: String,
    /// How long a member of a replicated group misses its leader before it stands for election.
    pub silence: String,
    /// How long it then takes to win.
    pub vote: String,
    /// What a new leader does before it takes messages.
    pub role: String,
    /// When a broker tells the nameservers of itself.
    pub register: String,
    /// When a slave connects again.
    pub connect_again: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Nameserver,
    Broker { broker: BrokerName, broker_id: u64 },
    Client,
}

#[derive(Clone, Debug)]
pub struct ProducerFacts {
    pub name: String,
    pub node: NodeId,
    pub topic: TopicId,
    /// Sharding keys 0..keys; 0: unkeyed.
    pub keys: u32,
    pub delay_level: u8,
    /// How long that level waits, ns; 0 without one.
    pub delay: u64,
    /// Message n carries the tag `tags[n % len]`; empty: none.
    pub tags: Vec<Arc<str>>,
    /// Its messages are owed to consumers only once the transaction was committed.
    pub transactional: bool,
}

/// One member of one group.
///
/// Notes address a consumer by the node of their stamp and the group; listener notes add the consumer's number in its process. A
/// process that holds two members of *one* group is therefore seen as one owner of queues, but as two listeners.
#[derive(Clone, Debug)]
pub struct ConsumerFacts {
    pub name: String,
    pub node: NodeId,
    /// Its number in its process, as `ListenerEntered::consumer` names it.
    pub index: u16,
    /// Its number in its process, as `ClientStarted::index` and `ShutdownBegan::index` name it.
    pub client_index: u16,
    /// It starts with its process; otherwise it lives from its first `ClientStarted` on.
    pub from_start: bool,
    pub group: GroupId,
    pub orderly: bool,
    pub broadcasting: bool,
    pub subscriptions: Vec<(TopicId, TagFilter)>,
}

/// Which messages of a topic a subscription asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFilter {
    All,
    /// Messages with one of these tags.
    Any(Vec<Arc<str>>),
}

impl TagFilter {
    pub fn wants(&self, tag: Option<&str>) -> bool {
        match self {
            TagFilter::All => true,
            TagFilter::Any(tags) => tag.is_some_and(|tag| tags.iter().any(|t| &**t == tag)),
        }
    }
}

#[derive(Clone, Debug)]
pub struct FaultFacts {
    /// As the scenario names it: "kill broker-b:0".
    pub label: String,
    /// When it is planned, ns from time 0.
    pub at: i64,
    /// It is planned to end.
    pub ends: bool,
    /// It stops these processes and starts them again, and is over when the last one is up.
    pub restarts: Vec<NodeId>,
    /// It slows the disks of these down, or makes them stand still.
    pub slows: Vec<NodeId>,
    /// Everybody whom it strikes, those at either end of a link included.
    pub touches: Vec<NodeId>,
}
