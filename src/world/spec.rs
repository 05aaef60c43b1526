//! What a run is made of, resolved: every default applied, every name an id, every time a number.
//!
//! A scenario file is decoded into this ([`crate::scenario`]); the world is built from it and from nothing else.

use crate::base::ids::{Addr, BrokerName, Entity, GroupId, MessageQueue, NodeId, TopicId};
use crate::base::names::Names;
use crate::base::quantile::Quantiles;
pub use crate::contract::TxState;
use crate::contract::WorkClass;
pub use crate::rocketmq::broker::store::files::Partition;
pub use crate::rocketmq::broker::store::medium::{Fsync, Kernel};
use crate::rocketmq::client::config::{self, ClientConfig, ConsumerConfig, MemberConfig, MemberKind, ProducerConfig};
pub use crate::rocketmq::client::consumer::allocate::AllocateMessageQueueStrategy;
use crate::rocketmq::client::consumer::allocate::Strategy;
use crate::rocketmq::client::consumer::allocate::config::{self as by_config, Config};
use crate::rocketmq::client::consumer::allocate::machine_room::MachineRoom;
use crate::rocketmq::filter;
use crate::rocketmq::settings::{
    BrokerSettings, ConsumerSettings, InstanceSettings, NameserverSettings, ProducerSettings, Rules, Version,
};
use std::sync::Arc;

/// One run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The file's stem or the name a program gave.
    pub name: String,
    pub question: String,
    pub version: Version,
    pub seed: u64,
    /// Permutes ties of events at one instant when not 0.
    pub tie_seed: u64,
    /// From the beginning of the run to time 0, ns.
    pub warmup: u64,
    /// From time 0 to the end of the load, ns.
    pub duration: u64,
    /// At most this long after the load until everything is delivered, ns.
    pub drain: u64,
    /// The run ends as unknown past this many events.
    pub max_events: u64,
    pub names: Arc<Names>,
    /// In the order of the scenario: nameservers, brokers, producers, consumers. `NodeId` is the index.
    pub nodes: Vec<NodeSpec>,
    /// Names of the hosts; several nodes may share one.
    pub hosts: Vec<String>,
    pub topics: Vec<TopicSpec>,
    pub preloads: Vec<Preload>,
    pub start_offsets: Vec<StartOffset>,
    pub links: LinkSpec,
    pub disks: DiskSpec,
    /// When hosts stand still; `None`: never.
    pub pauses: Option<PauseSpec>,
    pub faults: Vec<FaultSpec>,
    pub expect: Vec<Expectation>,
}

impl Spec {
    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name).map(|i| NodeId(i as u16))
    }
    /// Nodes that are nameservers, in order.
    pub fn nameservers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().enumerate().filter(|(_, n)| matches!(n.kind, NodeKind::Nameserver(_))).map(|(i, _)| NodeId(i as u16))
    }
}

/// One process slot: a name, a host, and what runs in it.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// "ns-0", "broker-a:0", "pg-0", "cg-1".
    pub name: String,
    pub entity: Entity,
    /// Index into [`Spec::hosts`].
    pub host: u16,
    /// Address of its service port. One a node.
    pub addr: Addr,
    pub start: StartSpec,
    /// Wall clock minus true time at the beginning, ns.
    pub clock_offset: i64,
    /// Parts per million by which the node's clocks run fast.
    pub clock_drift_ppm: i64,
    pub version: Version,
    pub rules: Rules,
    /// Cores: sizes of thread pools follow from it.
    pub cpus: u32,
    pub services: Services,
    pub kind: NodeKind,
}

/// When a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartSpec {
    /// At a drawn moment of its kind's window in the warm-up.
    Drawn,
    /// At this moment, ns from time 0 (negative: in the warm-up).
    At(i64),
}

/// How long each class of work lasts on a node.
#[derive(Clone, Debug)]
pub struct Services {
    pub send: Quantiles,
    pub pull: Quantiles,
    pub manage: Quantiles,
    pub heartbeat: Quantiles,
    pub route: Quantiles,
    pub channel_event: Quantiles,
    pub fsync: Quantiles,
    pub boot: Quantiles,
    /// How late a thread goes on after a thaw, and the cost of each buffered frame.
    pub thaw: Quantiles,
    pub thaw_frame: Quantiles,
    /// How late a timed wait ends: timer slack, scheduling, pauses of the runtime.
    pub wakeup: Quantiles,
    /// How late a thread goes on that was woken: the answer it waits for has come, or its channel has ended; at a DLedger member, a push or an acknowledgement.
    pub resume: Quantiles,
    /// What a failed request costs its thread, in each of the two places that log it, and what it costs to log that a share of queues has changed.
    pub failure: Quantiles,
    /// How long the kernel takes to end a killed process, until its sockets close.
    pub exit: Quantiles,
    /// What a consumer's first delivery costs, the n-th costs an n-th of it: the classes of the way to the listener are loaded, then interpreted, then
    /// compiled.
    pub first_delivery: Quantiles,
    /// What the first answered call of a producer's process costs, the n-th costs an n-th of it.
    pub first_send: Quantiles,
    /// The same for a process that has consumers only.
    pub first_call: Quantiles,
    /// What an orderly end costs a consumer's process besides its requests.
    pub shutdown: Quantiles,
}

impl Services {
    /// Everything lasts equally long.
    pub fn constant(ns: u64) -> Services {
        let q = || Quantiles::constant(ns);
        Services {
            send: q(),
            pull: q(),
            manage: q(),
            heartbeat: q(),
            route: q(),
            channel_event: q(),
            fsync: q(),
            boot: q(),
            thaw: q(),
            thaw_frame: q(),
            wakeup: q(),
            resume: q(),
            failure: q(),
            exit: q(),
            first_delivery: q(),
            first_send: q(),
            first_call: q(),
            shutdown: q(),
        }
    }
    /// All of them, in the order in which scenario files list them.
    pub fn slots(&mut self) -> [&mut Quantiles; 18] {
        [
            &mut self.send,
            &mut self.pull,
            &mut self.manage,
            &mut self.heartbeat,
            &mut self.route,
            &mut self.channel_event,
            &mut self.fsync,
            &mut self.boot,
            &mut self.thaw,
            &mut self.thaw_frame,
            &mut self.wakeup,
            &mut self.resume,
            &mut self.failure,
            &mut self.exit,
            &mut self.first_delivery,
            &mut self.first_send,
            &mut self.first_call,
            &mut self.shutdown,
        ]
    }
    pub fn of(&self, class: WorkClass) -> &Quantiles {
        match class {
            WorkClass::Send => &self.send,
            WorkClass::Pull => &self.pull,
            WorkClass::Manage => &self.manage,
            WorkClass::Heartbeat => &self.heartbeat,
            WorkClass::Route => &self.route,
            WorkClass::ChannelEvent => &self.channel_event,
            WorkClass::Fsync => &self.fsync,
            WorkClass::Boot => &self.boot,
            WorkClass::Resume | WorkClass::Delivery => &self.resume,
            WorkClass::HandOver => &self.wakeup,
            WorkClass::Failure | WorkClass::Log => &self.failure,
            WorkClass::Shutdown => &self.shutdown,
        }
    }
}

/// What runs in a process.
#[derive(Clone, Debug)]
pub enum NodeKind {
    Nameserver(Arc<NameserverSettings>),
    Broker(Arc<BrokerSpec>),
    Client(Arc<ClientSpec>),
}

#[derive(Clone, Debug)]
pub struct BrokerSpec {
    pub broker: BrokerName,
    pub broker_id: u64,
    pub cluster: String,
    pub settings: BrokerSettings,
    /// Addresses of all nameservers.
    pub nameservers: Arc<[Addr]>,
    /// DLedger group, when `enableDLegerCommitLog` is set: index of this node and the addresses of all.
    pub dledger: Option<(u8, Arc<[Addr]>)>,
    /// The partition that its store lies on, and what others keep there.
    pub disk: Partition,
}

/// A client process: one or more producers and consumers, each with its instance settings. Members with one client id share an instance.
#[derive(Clone, Debug)]
pub struct ClientSpec {
    pub nameservers: Arc<[Addr]>,
    /// What comes before the `@` of a client id.
    pub client_ip: String,
    /// Whether the ip is drawn anew in each life (a container that is rescheduled).
    pub new_ip_each_life: bool,
    pub members: Vec<MemberSpec>,
}

/// A producer or consumer of a client process.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    /// "pg-0", "c1": what reports call it. The node's own name unless several members share the process.
    pub name: String,
    /// The name, hashed: the draws of a member hang on it, wherever it lives.
    pub entity: Entity,
    pub instance: InstanceSettings,
    /// Started with the process, or by an operation later. A process with no started member does not start by itself.
    pub started: bool,
    pub role: MemberRole,
}

#[derive(Clone, Debug)]
pub enum MemberRole {
    Producer(ProducerSpec),
    Consumer(ConsumerSpec),
}

/// How a producer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    Sync,
    Async,
    Oneway,
}

#[derive(Clone, Debug)]
pub struct ProducerSpec {
    /// Number of the producer in the run: the high part of its message ids.
    pub index: u16,
    pub group: GroupId,
    pub topic: TopicId,
    pub settings: ProducerSettings,
    pub mode: SendMode,
    /// Application threads that call `send`, behind an unbounded queue of due messages. Keyed sends use one.
    pub threads: u16,
    pub load: LoadSpec,
    /// Codes added to the retry set (`addRetryResponseCode`).
    pub retry_response_codes: Vec<u16>,
    /// Messages that form one `MessageBatch`; 1: no batch.
    pub batch: u16,
    pub transactional: Option<TransactionSpec>,
    /// `false`: sends do not wait for flush and replication (`waitStoreMsgOK`).
    pub wait_store_msg_ok: bool,
    /// Sends to topics of no interest that each life of its process makes before the load. They are not simulated, but they warm the process up.
    pub warm_up_sends: u64,
}

/// A transactional producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSpec {
    pub local: TxState,
    pub check: TxState,
    /// How long `executeLocalTransaction` takes, ns.
    pub takes: u64,
}

/// The open-loop load of one producer.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Stretches of load, in time order, without overlap; times in ns from time 0.
    pub phases: Vec<LoadPhase>,
    pub arrivals: Arrivals,
    /// Sharding keys 0..keys; 0: unkeyed. Message n has key n mod keys, as the live runs have it, unless `keys_drawn`.
    pub keys: u32,
    pub keys_drawn: bool,
    /// Body sizes in bytes.
    pub size: Quantiles,
    pub delay_level: u8,
    /// Tags, taken in turn by message number; empty: none.
    pub tags: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPhase {
    pub from: i64,
    pub until: i64,
    /// Messages in 1000 seconds, so that "0.5/s" is a whole number.
    pub per_1000s: u64,
    /// Messages that fall due together.
    pub burst: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly spaced, from a drawn phase.
    Even,
    /// Exponential inter-arrival times.
    Poisson,
    /// Even, and the first at the very beginning.
    Pinned,
    /// The first at the very beginning, the others even from a drawn phase: what a load looks like whose clock starts with its first message, when that one comes late.
    Led,
}

#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    /// Number of the consumer in the run.
    pub index: u16,
    pub group: GroupId,
    pub settings: ConsumerSettings,
    pub orderly: bool,
    /// Topic and tag expression ("*" or "a || b").
    pub subscriptions: Vec<(TopicId, String)>,
    /// Time a listener call takes.
    pub service_time: Quantiles,
    pub script: ListenerScript,
    /// Brokers with a machine room, for the machine-room strategies: `room@name`.
    pub consumer_idcs: Vec<String>,
    /// Queues that `CONFIG` hands out to this consumer.
    pub config_queues: Vec<MessageQueue>,
    /// A strategy from outside, by registry name; `None` uses `settings.allocate_message_queue_strategy`.
    pub custom_strategy: Option<Arc<dyn AllocateMessageQueueStrategy>>,
}

/// What a listener answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerScript {
    /// Messages whose number is a multiple of this fail; 0: none, 1: all.
    pub fail_every: u64,
    /// How many times such a message fails before it succeeds; `u16::MAX`: for ever.
    pub fail_times: u16,
    /// A call that takes this long instead of the drawn time, for messages whose number is a multiple of `stay_every`.
    pub stay: u64,
    pub stay_every: u64,
    /// An interrupted call fails instead of finishing.
    pub throw_on_interrupt: bool,
}

impl Default for ListenerScript {
    fn default() -> Self {
        ListenerScript { fail_every: 0, fail_times: u16::MAX, stay: 0, stay_every: 0, throw_on_interrupt: false }
    }
}

#[derive(Clone, Debug)]
pub struct TopicSpec {
    pub topic: TopicId,
    pub read_queue_nums: u32,
    pub write_queue_nums: u32,
    pub perm: u8,
    /// Broker names that carry it; empty: it is not created anywhere (auto-create).
    pub brokers: Vec<BrokerName>,
    /// `ORDER_TOPIC_CONFIG` at the nameservers ("broker-a:4;broker-b:4").
    pub order_conf: Option<Arc<str>>,
}

/// Messages that lie in a topic before the run begins.
#[derive(Clone, Copy, Debug)]
pub struct Preload {
    pub topic: TopicId,
    /// Messages over all queues together.
    pub messages: u64,
    /// Age of the oldest at the beginning, ns; they are evenly spread.
    pub age: u64,
    pub body_len: u32,
}

/// A group's committed offset before the run begins.
#[derive(Clone, Copy, Debug)]
pub struct StartOffset {
    pub group: GroupId,
    pub topic: TopicId,
    /// Share of the preloaded messages already consumed, in percent.
    pub consumed_percent: u8,
}

/// One direction of the network between two hosts.
#[derive(Clone, Debug)]
pub struct LinkTable {
    pub latency: Quantiles,
    /// Bytes a second; 0: unlimited.
    pub bandwidth: u64,
}

#[derive(Clone, Debug)]
pub struct LinkSpec {
    pub default: LinkTable,
    /// Latency between processes of one host.
    pub loopback: LinkTable,
    /// Overrides, later ones win: from any of these hosts to any of those.
    pub overrides: Vec<(Vec<u16>, Vec<u16>, LinkTable)>,
    /// First retransmission timeout, ns (200 ms on Linux), and the ceiling of its doubling (120 s).
    pub rto_first: u64,
    pub rto_max: u64,
    /// A sender gives a flow up after this long without an acknowledgement, ns (about 15 minutes).
    pub give_up: u64,
    /// Bytes that the kernel of a frozen process takes in before the sender stalls.
    pub receive_buffer: u64,
    /// Connections the kernel completes for a frozen process.
    pub backlog: u32,
}

/// The disks of the brokers' hosts.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSpec {
    pub kernel: Kernel,
    /// Bytes a second at which a broker reads its log at its start; 0: in no time.
    pub recovery: u64,
}

/// Moments at which a host stands still with all its processes, each host by its own draws.
#[derive(Clone, Debug)]
pub struct PauseSpec {
    /// Mean time from the beginning of one to that of the next, ns.
    pub every: u64,
    pub lasts: Quantiles,
}

/// A fault or an operation, at its time.
#[derive(Clone, Debug)]
pub struct FaultSpec {
    /// As the file names it, for reports: "kill broker-b:0".
    pub label: String,
    /// ns from time 0.
    pub at: i64,
    /// ns until it ends; `None`: it does not end by itself.
    pub lasts: Option<u64>,
    /// Repeats every so many ns, this many times in all.
    pub every: Option<(u64, u32)>,
    /// Of the brokers it names, only these, as they are when it strikes.
    pub only: Option<Only>,
    /// Their disks are gone with them: the next life begins on empty ones.
    pub wipe: bool,
    pub what: FaultKind,
}

/// Which brokers of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Those that take messages.
    Leader,
    /// The others.
    Followers,
}

/// What strikes.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// SIGKILL; ends with a restart on the same disk.
    Kill { nodes: Vec<NodeId> },
    /// The host is gone with all its processes; ends with the host's return and a restart.
    LoseHost { hosts: Vec<u16> },
    /// SIGSTOP; ends with SIGCONT.
    Freeze { nodes: Vec<NodeId> },
    /// SIGTERM; ends with a start. `members` are single producers and consumers (by number in the process) of processes that
    /// hold others too: `shutdown()` is called on them and the process goes on.
    Shutdown { nodes: Vec<NodeId>, members: Vec<(NodeId, u16)> },
    /// SIGTERM (or a start, when it is down), and a start `down` later.
    Restart { nodes: Vec<NodeId>, down: u64 },
    /// The nodes one after the other, `gap` apart, each down for `down`.
    RollingRestart { nodes: Vec<NodeId>, down: u64, gap: u64 },
    /// Starts what was declared but not started: the process if it does not run, and with it every member that was not started; or
    /// single `members` of processes that hold others too.
    Start { nodes: Vec<NodeId>, members: Vec<(NodeId, u16)> },
    /// These slaves restart as masters.
    Promote { nodes: Vec<NodeId> },
    /// No packet passes from any of these hosts to any of those (and back, when `both`).
    Cut { from: Vec<u16>, to: Vec<u16>, both: bool },
    /// Packets take longer.
    SlowLink { from: Vec<u16>, to: Vec<u16>, both: bool, latency: Option<Quantiles>, bandwidth: Option<u64> },
    /// Appends and fsyncs of these nodes stand still (`stall`), or last `factor` times as long.
    SlowDisk { nodes: Vec<NodeId>, factor: u32, stall: bool },
    /// Others fill the partitions of these nodes' stores up to so many percent; at its end they take back what they brought.
    FillDisk { nodes: Vec<NodeId>, percent: u64 },
    /// Fsyncs of these nodes fail, or say yes and have written nothing.
    Fsync { nodes: Vec<NodeId>, comes_to: Fsync },
    /// The wall clock is set by so many ms.
    ClockStep { nodes: Vec<NodeId>, by_ms: i64 },
    /// The clocks run fast by so many parts per million.
    ClockDrift { nodes: Vec<NodeId>, ppm: i64 },
    /// Open connections between the two sides are reset.
    Reset { a: Vec<NodeId>, b: Vec<NodeId> },
    /// Requests with this code from one side to the other meet an accident: the first so many of them (`u64::MAX`: all), and of those
    /// this share.
    Intercept { from: Vec<NodeId>, to: Vec<NodeId>, code: u16, first: u64, percent: u8, action: InterceptAction },
    /// A role stands still between two named steps.
    Hold { nodes: Vec<NodeId>, step: HoldStep, pause: u64 },
    /// `updateTopic` on these brokers.
    UpdateTopic { brokers: Vec<NodeId>, topic: TopicId, read: Option<u32>, write: Option<u32>, perm: Option<u8> },
    /// `wipeWritePerm` at every nameserver; ends with `addWritePerm`.
    WipeWritePerm { broker: BrokerName },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterceptAction {
    /// The request vanishes; the connection lives.
    Drop,
    /// It arrives so much later, ns.
    Delay(u64),
    /// The server's answer is this code instead, without the request being looked at.
    Answer(u16),
}

/// Named gaps between two steps of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldStep {
    /// Broker: between "nothing found" and parking the pull (H20).
    PullSuspend,
}

/// A bound on a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Counter name, with an optional `@entity` ("lost", "lost@cg").
    pub counter: String,
    /// In the counter's own unit: a number, or ns for durations.
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// A fault that this rests on, by index: unknown when it touched nothing.
    pub needs_fault: Option<u16>,
}

/// The configuration of a client process, from its specification.
pub(super) fn client_config(spec: &Spec, node: &NodeSpec, client: &ClientSpec) -> ClientConfig {
    let names = &spec.names;
    let members = client
        .members
        .iter()
        .map(|member| MemberConfig {
            instance: member.instance.clone(),
            started: member.started,
            role: match &member.role {
                MemberRole::Producer(p) => MemberKind::Producer(Arc::new(ProducerConfig {
                    entity: member.entity,
                    group: p.group,
                    settings: p.settings.clone(),
                    mode: match p.mode {
                        SendMode::Sync => config::SendMode::Sync,
                        SendMode::Async => config::SendMode::Async,
                        SendMode::Oneway => config::SendMode::Oneway,
                    },
                    threads: if p.load.keys > 0 { 1 } else { p.threads },
                    retry_response_codes: p.retry_response_codes.clone(),
                    create_topic_key: names.topic(&p.settings.create_topic_key).or(names.topic("TBW102")).unwrap_or(p.topic),
                    wait_store_msg_ok: p.wait_store_msg_ok,
                    transaction: p.transactional.map(|t| (t.local, t.check)),
                })),
                MemberRole::Consumer(c) => MemberKind::Consumer(Arc::new(ConsumerConfig {
                    group: c.group,
                    settings: c.settings.clone(),
                    orderly: c.orderly,
                    subscriptions: c
                        .subscriptions
                        .iter()
                        .map(|(topic, expression)| (*topic, codes(*topic, expression)))
                        .collect(),
                    strategy: strategy(c),
                })),
            },
        })
        .collect();
    ClientConfig {
        names: names.clone(),
        nameservers: client.nameservers.clone(),
        client_ip: client.client_ip.as_str().into(),
        new_ip_each_life: client.new_ip_each_life,
        threads_resume_late: node.services.resume.p99() > 0,
        failures_cost: node.services.failure.p99() > 0,
        rules: node.rules,
        cpus: node.cpus,
        members,
    }
}

/// Filter codes of a tag expression; `None` for everything. Decoding has refused what cannot be parsed.
fn codes(topic: TopicId, expression: &str) -> Option<Arc<[i32]>> {
    let data = filter::build_subscription_data(topic, Some(expression), 0).ok()?;
    if data.is_sub_all() || data.codes.is_empty() { None } else { Some(data.codes.iter().copied().collect()) }
}

fn strategy(consumer: &ConsumerSpec) -> Strategy {
    if let Some(custom) = &consumer.custom_strategy {
        return Strategy::Custom(custom.clone());
    }
    match consumer.settings.allocate_message_queue_strategy.as_str() {
        "MACHINE_ROOM" => {
            Strategy::MachineRoom(MachineRoom::new(consumer.consumer_idcs.iter().map(|room| Arc::from(room.as_str()))))
        }
        "CONSISTENT_HASH" => Strategy::ConsistentHash { virtual_nodes: consumer.settings.virtual_node_cnt as u32 },
        by_config::NAME => Strategy::Config(Config { queues: consumer.config_queues.as_slice().into() }),
        name => Strategy::by_name(name).unwrap_or_default(),
    }
}
