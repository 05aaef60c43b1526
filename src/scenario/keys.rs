//! Every structural key of a scenario file: what it takes, its bounds, its default and what it means.
//!
//! RocketMQ's own keys are in [`crate::rocketmq::settings`]; these are the keys around them. One table serves three readers: decoding
//! looks its bounds and defaults up here, the JSON Schema is printed from it, and unknown keys are compared with it. A key that decoding
//! does not read, or reads as something else, fails an assertion in the tests.

use crate::base::time::{MIN, SEC};
use crate::rocketmq::settings::{
    BrokerSettings, ConsumerSettings, InstanceSettings, NameserverSettings, ProducerSettings, Setting,
};

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// A duration as text with a unit; bounds in ns.
    Duration {
        min: u64,
        max: u64,
    },
    /// A moment from time 0: a duration that may be negative.
    Moment,
    /// A whole number.
    Count {
        min: u64,
        max: u64,
    },
    /// A whole number that may be negative.
    Signed {
        min: i64,
        max: i64,
    },
    /// A number of bytes: a whole number, or text with a unit.
    Bytes {
        min: u64,
        max: u64,
    },
    Flag,
    Text,
    Choice(&'static [&'static str]),
    /// "4.9.8".
    Version,
    /// A duration, or `{"p50", "p99"}`.
    Delay,
    /// A number of bytes, or `{"p50", "p99"}`.
    Sizes,
    /// "200/s".
    Rate,
    /// A request or answer code: a number, or its name.
    Code,
    /// A bound of a counter: a whole number, or a duration.
    Bound,
    /// One name, glob or group, or a list of them.
    Target,
    /// An object with the keys of a section.
    Section(&'static Section),
    /// A list of these.
    List(&'static Takes),
    /// Any of these.
    Either(&'static [Takes]),
    /// An object of rule names and flags.
    Rules,
    /// An object of counter names and bounds.
    Expectations,
}

/// Whether a key may be left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Required,
    Optional,
    /// The value that holds when it is left out, as JSON.
    Default(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

/// The keys of one kind of object.
#[derive(Debug)]
pub(crate) struct Section {
    /// "a producer".
    pub(crate) title: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// Further keys, shared with other sections.
    pub(crate) shared: &'static [&'static Section],
    /// RocketMQ's keys that are accepted here.
    pub(crate) settings: &'static [&'static [Setting]],
}

impl Section {
    /// The structural keys, own and shared.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &'static Key> + '_ {
        self.keys.iter().chain(self.shared.iter().flat_map(|s| s.keys))
    }
    /// RocketMQ's keys.
    pub(crate) fn all_settings(&self) -> impl Iterator<Item = &'static Setting> + '_ {
        self.settings.iter().flat_map(|table| table.iter())
    }
    /// Every name that may stand here.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.all_keys().map(|k| k.name).chain(self.all_settings().map(|s| s.key))
    }
}

macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident, $title:literal, shared [$($shared:ident),*], settings [$($table:ident),*] {
        $($konst:ident $key:literal, $takes:expr, $need:expr, $kdoc:literal;)*
    }) => {
        $(#[doc = $doc])+
        pub(crate) mod $name {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use super::Need::{Default, Optional, Required};
            $(pub(crate) const $konst: Key = Key { name: $key, takes: $takes, need: $need, doc: $kdoc };)*
            pub(crate) static SECTION: Section = Section {
                title: $title,
                doc: concat!($($doc),+),
                keys: &[$($konst),*],
                shared: &[$(&super::$shared::SECTION),*],
                settings: &[$($table::TABLE),*],
            };
        }
    };
}

/// The longest run, in simulated time.
const LONGEST: u64 = 31 * 24 * 60 * MIN;
/// The longest delay of anything.
const YEAR: u64 = 365 * 24 * 60 * MIN;
pub(crate) const MAX_COUNT: u64 = 20_000;
pub(crate) const MAX_NODES: usize = 60_000;
pub(crate) const MAX_BROKERS: usize = 4_096;
pub(crate) const MAX_QUEUES: u64 = 1_024;
/// Messages a second that a producer may be asked for.
pub(crate) const MAX_RATE: u64 = 10_000_000;

const ANY: Takes = Takes::Duration { min: 0, max: YEAR };
const SOME: Takes = Takes::Duration { min: 1, max: YEAR };
const QUEUE_COUNT: Takes = Takes::Count { min: 1, max: MAX_QUEUES };
const BYTES_A_SECOND: Takes = Takes::Bytes { min: 0, max: 1 << 50 };
static TEXT: Takes = Takes::Text;
static MOMENT: Takes = Takes::Moment;
static CODE: Takes = Takes::Code;
static TX: &[&str] = &["commit", "rollback", "unknown"];

section! {
    /// The scenario.
    top, "a scenario", shared [], settings [] {
        SCHEMA "$schema", Takes::Text, Optional, "Path of the JSON Schema, for editors.";
        FORMAT "format", Takes::Count { min: 1, max: 1 }, Default("1"), "Number of this format. A newer one is refused.";
        QUESTION "question", Takes::Text, Required, "The question that the run answers.";
        ROCKETMQ "rocketmq", Takes::Version, Default("\"4.9.8\""), "The RocketMQ version that every node runs, unless it says otherwise.";
        RULES "rules", Takes::Rules, Optional, "Rules that hold, or do not, whatever the version says.";
        SEED "seed", Takes::Count { min: 0, max: u64::MAX }, Default("1"), "Seed of every draw.";
        TIE_SEED "tie_seed", Takes::Count { min: 0, max: u64::MAX }, Default("0"), "Permutes events of one instant when it is not 0.";
        WARMUP "warmup", Takes::Duration { min: SEC, max: 24 * 60 * MIN }, Default("\"60s\""), "Time before time 0 in which the nodes start.";
        DURATION "duration", Takes::Duration { min: 1, max: LONGEST }, Required, "Length of the load, from time 0.";
        DRAIN "drain", Takes::Duration { min: 0, max: LONGEST }, Default("\"5m\""), "Longest time after the load until everything is delivered.";
        MAX_EVENTS "max_events", Takes::Count { min: 1, max: u64::MAX }, Default("1000000000"), "The run ends as unknown past this many events.";
        CPUS "cpus", Takes::Count { min: 1, max: 1024 }, Default("4"), "Cores of a node, unless it says otherwise.";
        SERVICES "services", Takes::Section(&all_services::SECTION), Default("{}"), "How long each class of work lasts.";
        NAMESERVERS "nameservers", Takes::Either(&[Takes::Count { min: 1, max: 64 }, Takes::List(&Takes::Section(&nameserver::SECTION))]), Default("1"), "How many nameservers, or a list of them.";
        BROKERS "brokers", Takes::List(&Takes::Section(&broker::SECTION)), Required, "The brokers: one entry a process.";
        TOPICS "topics", Takes::List(&Takes::Section(&topic::SECTION)), Default("[]"), "The topics that exist before the run.";
        PRODUCERS "producers", Takes::List(&Takes::Section(&producer::SECTION)), Default("[]"), "The producers.";
        CONSUMERS "consumers", Takes::List(&Takes::Section(&consumer::SECTION)), Default("[]"), "The push consumers.";
        LINKS "links", Takes::Section(&links::SECTION), Default("{}"), "The network.";
        DISKS "disks", Takes::Section(&disks::SECTION), Default("{}"), "The disks of the brokers' hosts.";
        PAUSES "pauses", Takes::Section(&pauses::SECTION), Optional, "Moments at which a host stands still with all that runs on it. Left out: none.";
        FAULTS "faults", Takes::List(&Takes::Section(&fault::SECTION)), Default("[]"), "Faults and operations, each at its time.";
        EXPECT "expect", Takes::Expectations, Default("{}"), "Bounds on counters: what the run is judged by.";
    }
}

section! {
    /// Two quantiles of a log-normal distribution.
    quantiles, "a distribution", shared [], settings [] {
        P50 "p50", ANY, Required, "The median.";
        P99 "p99", ANY, Required, "The 99th percentile.";
    }
}

section! {
    /// Two quantiles of a log-normal distribution of sizes.
    sizes, "a distribution of sizes", shared [], settings [] {
        P50 "p50", Takes::Bytes { min: 1, max: 1 << 30 }, Required, "The median.";
        P99 "p99", Takes::Bytes { min: 1, max: 1 << 30 }, Required, "The 99th percentile.";
    }
}

section! {
    /// How long each class of work lasts; what is left out is inherited.
    services, "services", shared [], settings [] {
        SEND "send", Takes::Delay, Optional, "One send request at a broker, up to the append.";
        PULL "pull", Takes::Delay, Optional, "One pull request at a broker.";
        MANAGE "manage", Takes::Delay, Optional, "A registration, lock, offset or list request, or one between DLedger members.";
        HEARTBEAT "heartbeat", Takes::Delay, Optional, "One heartbeat at a broker.";
        ROUTE "route", Takes::Delay, Optional, "One request at a nameserver.";
        CHANNEL_EVENT "channel_event", Takes::Delay, Optional, "One event of the Netty event thread.";
        FSYNC "fsync", Takes::Delay, Optional, "One fsync.";
        BOOT "boot", Takes::Delay, Optional, "From the start of the process to its first action.";
        THAW "thaw", Takes::Delay, Optional, "How late a thread goes on after a thaw.";
        THAW_FRAME "thaw_frame", Takes::Delay, Optional, "What each frame costs that was buffered during a freeze.";
        WAKEUP "wakeup", Takes::Delay, Optional, "How late a timed wait ends: timer slack, scheduling, pauses.";
        RESUME "resume", Takes::Delay, Optional, "How late a thread goes on whose answer has come, or whose channel has ended; on brokers, a thread of a DLedger member that another wakes.";
        FAILURE "failure", Takes::Delay, Optional, "What a failed request costs its thread, in each of the two places that log it.";
        EXIT "exit", Takes::Delay, Optional, "From a kill until the kernel closes the process's sockets.";
        FIRST_DELIVERY "first_delivery", Takes::Delay, Optional, "What a consumer process's first delivery costs a processor; the n-th costs an n-th of it.";
        FIRST_SEND "first_send", Takes::Delay, Optional, "What the first answered call of a producer's process costs a processor; the n-th costs an n-th of it.";
        FIRST_CALL "first_call", Takes::Delay, Optional, "The same for a process that has consumers only.";
        SHUTDOWN "shutdown", Takes::Delay, Optional, "What each half of a consumer's orderly end costs its process besides requests.";
    }
}

section! {
    /// How long each class of work lasts on all nodes, and on nodes of one kind.
    all_services, "services", shared [], settings [] {
        SEND "send", Takes::Delay, Default(r#"{"p50": "60us", "p99": "400us"}"#), "One send request at a broker, up to the append.";
        PULL "pull", Takes::Delay, Default(r#"{"p50": "40us", "p99": "300us"}"#), "One pull request at a broker.";
        MANAGE "manage", Takes::Delay, Default(r#"{"p50": "80us", "p99": "500us"}"#), "A registration, lock, offset or list request, or one between DLedger members.";
        HEARTBEAT "heartbeat", Takes::Delay, Default(r#"{"p50": "80us", "p99": "500us"}"#), "One heartbeat at a broker: all groups and subscriptions of a client, as JSON. A broker that has handled few takes milliseconds.";
        ROUTE "route", Takes::Delay, Default(r#"{"p50": "80us", "p99": "500us"}"#), "One request at a nameserver.";
        CHANNEL_EVENT "channel_event", Takes::Delay, Default(r#"{"p50": "50us", "p99": "300us"}"#), "One event of the Netty event thread.";
        FSYNC "fsync", Takes::Delay, Default(r#"{"p50": "2ms", "p99": "12ms"}"#), "One fsync.";
        BOOT "boot", Takes::Delay, Optional, "From the start of the process to its first action, on every kind of node. Left out: 1s and 3s for nameservers and brokers, 500ms and 1500ms for clients.";
        THAW "thaw", Takes::Delay, Default(r#"{"p50": "2ms", "p99": "30ms"}"#), "How late a thread goes on after a thaw.";
        THAW_FRAME "thaw_frame", Takes::Delay, Default(r#"{"p50": "20us", "p99": "200us"}"#), "What each frame costs that was buffered during a freeze.";
        WAKEUP "wakeup", Takes::Delay, Default(r#"{"p50": "0.3ms", "p99": "3ms"}"#), "How late a timed wait ends: timer slack, scheduling, pauses.";
        RESUME "resume", Takes::Delay, Default(r#""0s""#), "How late a thread goes on whose answer has come, or whose channel has ended: what a busy client machine adds to each round trip. On brokers: how late the threads of a DLedger member go on that a push or an acknowledgement wakes. Each thread draws for itself.";
        FAILURE "failure", Takes::Delay, Default(r#"{"p50": "0.15ms", "p99": "1.5ms"}"#), "What a failed request costs its thread, in each of the two places that log it: the exception, the channel's end, the lines of the log. Also what it costs to log that a share of queues has changed. The threads that one closed channel fails share the processors of their host (`cpus`).";
        EXIT "exit", Takes::Delay, Default(r#"{"p50": "30ms", "p99": "80ms"}"#), "From a kill until the kernel closes the process's sockets: its threads must run once more to die, and its memory is given back before its files are closed (Linux do_exit: exit_mm before exit_files); a JVM of some hundred megabytes.";
        FIRST_DELIVERY "first_delivery", Takes::Delay, Default(r#""0s""#), "What a consumer process's first delivery costs a processor; the n-th costs an n-th of it: classes are loaded, then interpreted, then compiled.";
        FIRST_SEND "first_send", Takes::Delay, Default(r#""0s""#), "What the first answered call of a producer's process costs a processor; the n-th costs an n-th of it. Calls before the load count: `warm_up_sends`.";
        FIRST_CALL "first_call", Takes::Delay, Default(r#""0s""#), "What the first answered call of a process with consumers only costs a processor; the n-th costs an n-th of it. It delays a joining member: from its first heartbeat, which the others are told of at once, to its first rebalance.";
        SHUTDOWN "shutdown", Takes::Delay, Default(r#""0s""#), "What each half of a consumer's orderly end costs its process besides its requests: before the delay executor of its pulls is waited for, and after.";
        NAMESERVER "nameserver", Takes::Section(&services::SECTION), Optional, "On nameservers.";
        BROKER "broker", Takes::Section(&services::SECTION), Optional, "On brokers.";
        CLIENT "client", Takes::Section(&services::SECTION), Optional, "On producers and consumers.";
    }
}
/// `boot` by kind of node when no scenario says otherwise.
pub(crate) const BOOT_SERVER: &str = r#"{"p50": "1s", "p99": "3s"}"#;
pub(crate) const BOOT_CLIENT: &str = r#"{"p50": "500ms", "p99": "1500ms"}"#;

section! {
    /// The clocks of a node.
    clock, "a clock", shared [], settings [] {
        OFFSET "offset", Takes::Moment, Default("\"0s\""), "Wall clock minus true time at the beginning.";
        DRIFT_PPM "drift_ppm", Takes::Signed { min: -100_000, max: 100_000 }, Default("0"), "Parts per million by which the clocks run fast.";
    }
}

section! {
    /// What every process has.
    node, "a node", shared [], settings [] {
        HOST "host", Takes::Text, Optional, "Name of the host; nodes with one name share it. Left out: a host of its own. In producers and consumers '*' stands for the member's number.";
        START "start", Takes::Moment, Optional, "When it starts, from time 0 (\"-20s\" is in the warm-up). Left out: drawn in the warm-up.";
        CPUS "cpus", Takes::Count { min: 1, max: 1024 }, Optional, "Cores: sizes of thread pools follow from it. Left out: the scenario's.";
        VERSION "version", Takes::Version, Optional, "Its RocketMQ version. Left out: the scenario's.";
        RULES "rules", Takes::Rules, Optional, "Rules that hold here, or do not, whatever the version says.";
        CLOCK "clock", Takes::Section(&clock::SECTION), Default("{}"), "Its clocks.";
        SERVICES "services", Takes::Section(&services::SECTION), Optional, "How long each class of work lasts here.";
    }
}

section! {
    /// A nameserver.
    nameserver, "a nameserver", shared [node], settings [NameserverSettings] {
        NAME "name", Takes::Text, Optional, "Its name. Left out: ns-0, ns-1, ….";
    }
}

section! {
    /// Membership of a DLedger group.
    dledger, "dledger", shared [], settings [] {
        GROUP "group", Takes::Text, Required, "dLegerGroup.";
        INDEX "index", Takes::Count { min: 0, max: 15 }, Required, "Number of this node in its group, from 0 (dLegerSelfId n0, n1, …).";
    }
}

section! {
    /// A broker.
    broker, "a broker", shared [node], settings [BrokerSettings] {
        BROKER_NAME "brokerName", Takes::Text, Required, "brokerName: a master and its slaves share it.";
        BROKER_ID "brokerId", Takes::Count { min: 0, max: 1000 }, Optional, "brokerId: 0 for a master, more for a slave. Left out: 0, or the index in a DLedger group.";
        BROKER_CLUSTER_NAME "brokerClusterName", Takes::Text, Default("\"DefaultCluster\""), "brokerClusterName.";
        NAME "name", Takes::Text, Optional, "Its name in this scenario. Left out: brokerName:brokerId.";
        NAMESERVERS "nameservers", Takes::Target, Optional, "The nameservers it registers with. Left out: all.";
        DISK "disk", Takes::Bytes { min: 1 << 20, max: 1 << 50 }, Optional, "Size of the partition that its store lies on. Left out: as large as need be.";
        DISK_USED "disk_used", Takes::Bytes { min: 0, max: 1 << 50 }, Optional, "What others keep on that partition at the beginning.";
        DLEDGER "dledger", Takes::Section(&dledger::SECTION), Optional, "Its place in a DLedger group (enableDLegerCommitLog).";
    }
}

section! {
    /// Messages that lie in a topic before the run.
    preload, "a preload", shared [], settings [] {
        MESSAGES "messages", Takes::Count { min: 1, max: 100_000_000 }, Required, "How many, over all queues together.";
        AGE "age", ANY, Default("\"1h\""), "Age of the oldest at the beginning of the run; they are evenly spread.";
        SIZE "size", Takes::Bytes { min: 1, max: 1 << 30 }, Default("1024"), "Size of a body.";
    }
}

section! {
    /// A topic.
    topic, "a topic", shared [], settings [] {
        NAME "name", Takes::Text, Required, "Its name.";
        QUEUES "queues", QUEUE_COUNT, Optional, "Read and write queues on each broker. Left out: 4.";
        READ_QUEUE_NUMS "readQueueNums", QUEUE_COUNT, Optional, "Read queues on each broker.";
        WRITE_QUEUE_NUMS "writeQueueNums", QUEUE_COUNT, Optional, "Write queues on each broker.";
        PERM "perm", Takes::Count { min: 0, max: 7 }, Default("6"), "Permission bits: 4 read, 2 write.";
        BROKERS "brokers", Takes::Target, Optional, "Broker names that carry it. Left out: all.";
        ORDER "order", Takes::Either(&[Takes::Flag, Takes::Text]), Optional, "ORDER_TOPIC_CONFIG at the nameservers: true, or \"broker-a:4;broker-b:4\". They answer it with orderMessageEnable only.";
        PRELOAD "preload", Takes::Section(&preload::SECTION), Optional, "Messages that lie there before the run.";
    }
}

section! {
    /// What producers and consumers have in common.
    client, "a client", shared [], settings [] {
        GROUP "group", Takes::Text, Required, "Producer or consumer group.";
        NAME "name", Takes::Text, Optional, "Name of the one member. Left out: group-0, group-1, ….";
        NAMES "names", Takes::List(&TEXT), Optional, "Names of the members.";
        COUNT "count", Takes::Count { min: 1, max: MAX_COUNT }, Optional, "How many members. Left out: as many as names, else 1.";
        STARTS "starts", Takes::List(&MOMENT), Optional, "When each member starts: one moment a member.";
        STARTED "started", Takes::Flag, Default("true"), "false: declared, but started by a fault entry `start` only.";
        PROCESS "process", Takes::Text, Optional, "Members with the same process live in one client process of this name; '*' stands for the member's number. Left out: a process each.";
        CLIENT_IP "clientIP", Takes::Text, Optional, "What comes before the '@' of the client id. Left out: an address that sorts as the members of the group do.";
        NEW_IP "new_ip_each_life", Takes::Flag, Default("false"), "The address is drawn anew in each life, as that of a container.";
        NAMESERVERS "nameservers", Takes::Target, Optional, "The nameservers it knows. Left out: all.";
    }
}

section! {
    /// A stretch of load.
    phase, "a phase", shared [], settings [] {
        FROM "from", Takes::Moment, Optional, "Its beginning. Left out: time 0.";
        UNTIL "until", Takes::Moment, Optional, "Its end. Left out: the end of the load.";
        RATE "rate", Takes::Rate, Required, "Messages in a time, of each producer: \"200/s\", \"100/m\".";
        BURST "burst", Takes::Count { min: 1, max: 1_000_000 }, Default("1"), "Messages that fall due together.";
    }
}

section! {
    /// Transactional sending.
    transaction, "a transaction", shared [], settings [] {
        LOCAL "local", Takes::Choice(TX), Default("\"commit\""), "What executeLocalTransaction returns.";
        CHECK "check", Takes::Choice(TX), Default("\"commit\""), "What checkLocalTransaction returns.";
        TAKES "takes", ANY, Default("\"0s\""), "How long executeLocalTransaction takes.";
    }
}

section! {
    /// A producer, or several alike.
    producer, "a producer", shared [client, node], settings [ProducerSettings, InstanceSettings] {
        TOPIC "topic", Takes::Text, Required, "The topic it sends to.";
        RATE "rate", Takes::Rate, Optional, "Messages in a time, of each producer: \"200/s\", \"0.5/s\", \"100/m\".";
        FROM "from", Takes::Moment, Optional, "Beginning of its load. Left out: time 0.";
        UNTIL "until", Takes::Moment, Optional, "End of its load. Left out: the end of the load.";
        BURST "burst", Takes::Count { min: 1, max: 1_000_000 }, Optional, "Messages that fall due together. Left out: 1.";
        PHASES "phases", Takes::List(&Takes::Section(&phase::SECTION)), Optional, "Stretches of load, in order, instead of rate, from, until and burst.";
        ARRIVALS "arrivals", Takes::Choice(&["even", "poisson", "pinned", "led"]), Default("\"even\""), "How messages fall due: evenly from a drawn moment of the first interval, at random, evenly with the first at the very beginning, or with the first at the very beginning and the others evenly from a drawn moment.";
        WARM_UP_SENDS "warm_up_sends", Takes::Count { min: 0, max: 1_000_000_000 }, Default("0"), "Sends to other topics before its load, in each life. They are not simulated; they warm the process up (`first_send`).";
        MODE "mode", Takes::Choice(&["sync", "async", "oneway"]), Default("\"sync\""), "How it sends.";
        THREADS "threads", Takes::Count { min: 1, max: 10_000 }, Optional, "Application threads that send. Left out: 8, or 1 with keys.";
        KEYS "keys", Takes::Count { min: 0, max: 10_000_000 }, Default("0"), "Sharding keys, each bound to a queue by a selector; 0: none. Keyed sends use one thread.";
        KEYS_DRAWN "keys_drawn", Takes::Flag, Default("false"), "Keys are drawn instead of taken in turn.";
        SIZE "size", Takes::Sizes, Default("1024"), "Size of a body.";
        DELAY_LEVEL "delay_level", Takes::Count { min: 0, max: 255 }, Default("0"), "Delay level; 0: none.";
        TAGS "tags", Takes::Either(&[Takes::Text, Takes::List(&TEXT)]), Default("[]"), "Tags, taken in turn.";
        BATCH "batch", Takes::Count { min: 1, max: 10_000 }, Default("1"), "Messages of one batch; 1: no batch.";
        RETRY_RESPONSE_CODES "retryResponseCodes", Takes::List(&CODE), Default("[]"), "Answer codes added to those that are retried (addRetryResponseCode).";
        TRANSACTION "transaction", Takes::Section(&transaction::SECTION), Optional, "It sends transactional messages.";
        WAIT_STORE "waitStoreMsgOK", Takes::Flag, Default("true"), "Sends wait for flush and replication.";
        SEND_LATENCY_ENABLE "sendLatencyEnable", Takes::Flag, Optional, "Other spelling of sendLatencyFaultEnable.";
    }
}

section! {
    /// A subscription.
    subscription, "a subscription", shared [], settings [] {
        NAME "name", Takes::Text, Required, "The topic.";
        TAGS "tags", Takes::Text, Default("\"*\""), "Tag expression: \"*\" or \"a || b\".";
    }
}

section! {
    /// Messages that the listener refuses.
    fail, "fail", shared [], settings [] {
        EVERY "every", Takes::Count { min: 1, max: 1 << 48 }, Required, "Messages whose number is a multiple of this fail; 1: all.";
        TIMES "times", Takes::Count { min: 1, max: 65_534 }, Optional, "How many times each of them fails. Left out: for ever.";
    }
}

section! {
    /// Messages that the listener stays in.
    stay, "stay", shared [], settings [] {
        EVERY "every", Takes::Count { min: 1, max: 1 << 48 }, Default("1"), "Messages whose number is a multiple of this; 1: all.";
        FOR "for", SOME, Required, "How long the call takes instead of service_time.";
    }
}

section! {
    /// A group's offsets before the run.
    start_offset, "start_offset", shared [], settings [] {
        CONSUMED_PERCENT "consumed_percent", Takes::Count { min: 0, max: 100 }, Required, "Share of the preloaded messages that the group has committed.";
    }
}

section! {
    /// A push consumer, or several alike.
    consumer, "a consumer", shared [client, node], settings [ConsumerSettings, InstanceSettings] {
        TOPIC "topic", Takes::Text, Optional, "The topic it subscribes to.";
        TAGS "tags", Takes::Text, Optional, "Tag expression for topic: \"*\" or \"a || b\".";
        TOPICS "topics", Takes::List(&Takes::Either(&[Takes::Text, Takes::Section(&subscription::SECTION)])), Optional, "Several subscriptions, instead of topic and tags.";
        LISTENER "listener", Takes::Choice(&["concurrent", "orderly"]), Default("\"concurrent\""), "Kind of listener.";
        SERVICE_TIME "service_time", Takes::Delay, Default("\"1ms\""), "Time a listener call takes.";
        FAIL "fail", Takes::Section(&fail::SECTION), Optional, "Messages that the listener refuses.";
        STAY "stay", Takes::Section(&stay::SECTION), Optional, "Messages that the listener stays in.";
        THROW_ON_INTERRUPT "throw_on_interrupt", Takes::Flag, Default("false"), "An interrupted call fails instead of finishing.";
        THREADS "threads", Takes::Count { min: 1, max: 1_000 }, Optional, "consumeThreadMin and consumeThreadMax together.";
        CONSUMER_IDCS "consumer_idcs", Takes::List(&TEXT), Default("[]"), "Rooms that MACHINE_ROOM serves.";
        CONFIG_QUEUES "config_queues", Takes::List(&TEXT), Default("[]"), "Queues of the first topic that CONFIG gives to each member of this entry, as \"broker-a:0\".";
        START_OFFSET "start_offset", Takes::Section(&start_offset::SECTION), Optional, "The group's committed offsets before the run.";
    }
}

section! {
    /// The network between some hosts.
    between, "a link", shared [], settings [] {
        FROM "from", Takes::Target, Required, "One side: nodes, groups or hosts.";
        TO "to", Takes::Target, Required, "The other side.";
        BOTH "both", Takes::Flag, Default("true"), "Holds for the way back too.";
        LATENCY "latency", Takes::Delay, Optional, "Time a packet takes. Left out: as everywhere.";
        BANDWIDTH "bandwidth", BYTES_A_SECOND, Optional, "Bytes a second; 0: unlimited. Left out: as everywhere.";
    }
}

section! {
    /// The network.
    links, "links", shared [], settings [] {
        LATENCY "latency", Takes::Delay, Default(r#"{"p50": "0.2ms", "p99": "1ms"}"#), "Time a packet takes between two hosts.";
        BANDWIDTH "bandwidth", BYTES_A_SECOND, Default("0"), "Bytes a second between two hosts; 0: unlimited.";
        LOOPBACK "loopback", Takes::Delay, Default(r#"{"p50": "30us", "p99": "100us"}"#), "Time a packet takes between processes of one host.";
        BETWEEN "between", Takes::List(&Takes::Section(&between::SECTION)), Default("[]"), "Exceptions; later ones win.";
        RTO_FIRST "rto_first", SOME, Default("\"200ms\""), "First retransmission timeout.";
        RTO_MAX "rto_max", SOME, Default("\"120s\""), "Ceiling of its doubling.";
        GIVE_UP "give_up", SOME, Default("\"924s\""), "A sender gives a flow up after this long without an acknowledgement.";
        RECEIVE_BUFFER "receive_buffer", Takes::Bytes { min: 1, max: 1 << 30 }, Default("131072"), "Bytes that the kernel of a frozen process takes in for a connection.";
        BACKLOG "backlog", Takes::Count { min: 0, max: 65_535 }, Default("1024"), "Connections that the kernel completes for a frozen process.";
    }
}

section! {
    /// Repetition of a fault.
    every, "every", shared [], settings [] {
        PERIOD "period", SOME, Required, "From one beginning to the next.";
        TIMES "times", Takes::Count { min: 1, max: 1_000_000 }, Required, "How many times in all.";
    }
}

section! {
    /// A restart.
    restart, "a restart", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "Which nodes.";
        DOWN "down", SOME, Default("\"5s\""), "From the end of the old process to the start of the new one.";
    }
}

section! {
    /// A rolling restart.
    rolling, "a rolling restart", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "Which nodes, one after the other.";
        DOWN "down", SOME, Default("\"5s\""), "How long each is down.";
        GAP "gap", ANY, Default("\"30s\""), "From one node's shutdown to the next one's.";
    }
}

section! {
    /// Two sides of the network: `between`, or `from` and `to` for one way.
    sides, "two sides", shared [], settings [] {
        BETWEEN "between", Takes::List(&Takes::Target), Optional, "Both sides, for both ways: [A, B].";
        FROM "from", Takes::Target, Optional, "The sending side, for one way.";
        TO "to", Takes::Target, Optional, "The receiving side, for one way.";
    }
}

section! {
    /// A link that is cut.
    cut, "a cut", shared [sides], settings [] {}
}

section! {
    /// Connections that are reset.
    reset, "a reset", shared [sides], settings [] {}
}

section! {
    /// A link that is slow.
    slow_link, "a slow link", shared [sides], settings [] {
        LATENCY "latency", Takes::Delay, Optional, "Time a packet takes.";
        BANDWIDTH "bandwidth", Takes::Bytes { min: 1, max: 1 << 50 }, Optional, "Bytes a second.";
    }
}

section! {
    /// A disk that is slow or stands still.
    slow_disk, "a slow disk", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which nodes.";
        FACTOR "factor", Takes::Count { min: 2, max: 1_000_000 }, Optional, "Appends and fsyncs last so many times as long.";
        STALL "stall", Takes::Flag, Optional, "Appends and fsyncs stand still.";
    }
}

section! {
    /// A partition that others fill.
    fill_disk, "a full disk", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which brokers; each needs a `disk`.";
        PERCENT "percent", Takes::Count { min: 1, max: 100 }, Required, "Other files grow until the partition is so full. What the broker writes and deletes afterwards moves it from there.";
    }
}

section! {
    /// An fsync that fails or lies.
    fsync, "a bad fsync", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which brokers.";
        FAILS "fails", Takes::Flag, Optional, "true: it throws. RocketMQ logs that and takes the log for flushed; Linux forgets that the pages are dirty, so no later fsync writes them.";
        LIES "lies", Takes::Flag, Optional, "true: it returns as usual, and the disk keeps what it was given in a cache of its own, which loses it with the power.";
        KEEPS "keeps", SOME, Optional, "With `lies`: how long it keeps it before it writes it. Left out: until the first fsync after the fault.";
    }
}

section! {
    /// A step of the wall clock.
    clock_step, "a clock step", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which nodes.";
        BY "by", Takes::Moment, Required, "By how much, in whole milliseconds; negative: back.";
    }
}

section! {
    /// A clock that runs fast or slow.
    clock_drift, "a clock drift", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which nodes.";
        PPM "ppm", Takes::Signed { min: -500_000, max: 500_000 }, Required, "Parts per million by which the clocks run fast.";
    }
}

section! {
    /// Requests that meet an accident.
    intercept, "an intercept", shared [], settings [] {
        FROM "from", Takes::Target, Required, "Who sends the requests.";
        TO "to", Takes::Target, Required, "Who is asked.";
        CODE "code", Takes::Code, Required, "Request code: a number, or a name such as HEART_BEAT.";
        FIRST "first", Takes::Count { min: 1, max: u64::MAX }, Optional, "Only so many of them, from the first on. Left out: all.";
        PERCENT "percent", Takes::Count { min: 1, max: 100 }, Default("100"), "Only this share of them, drawn.";
        DROP "drop", Takes::Flag, Optional, "true: the request vanishes; the connection lives.";
        DELAY "delay", SOME, Optional, "It arrives so much later.";
        ANSWER "answer", Takes::Code, Optional, "The answer is this code instead: a number, or a name such as SYSTEM_BUSY.";
    }
}

section! {
    /// A role that stands still between two steps.
    hold, "a hold", shared [], settings [] {
        TARGET "target", Takes::Target, Required, "On which nodes.";
        STEP "step", Takes::Choice(&["pull_suspend"]), Required, "Which gap: pull_suspend lies between \"nothing found\" and parking the pull, on a broker.";
        PAUSE "pause", SOME, Required, "For how long.";
    }
}

section! {
    /// `updateTopic`.
    update_topic, "a topic update", shared [], settings [] {
        TOPIC "topic", Takes::Text, Required, "Which topic.";
        BROKERS "brokers", Takes::Target, Optional, "On which brokers; one that does not have the topic creates it, with 8 queues unless told otherwise. Left out: all masters.";
        QUEUES "queues", QUEUE_COUNT, Optional, "New number of read and write queues.";
        READ_QUEUE_NUMS "readQueueNums", QUEUE_COUNT, Optional, "New number of read queues.";
        WRITE_QUEUE_NUMS "writeQueueNums", QUEUE_COUNT, Optional, "New number of write queues.";
        PERM "perm", Takes::Count { min: 0, max: 7 }, Optional, "New permission bits: 4 read, 2 write.";
    }
}

section! {
    /// The disks of the brokers' hosts, and how their kernels write by themselves (Linux, ext4).
    disks, "disks", shared [], settings [] {
        DIRTY_EXPIRE "dirty_expire", ANY, Default("\"30s\""), "vm.dirty_expire_centisecs: the kernel writes what has been dirty for so long.";
        DIRTY_WRITEBACK "dirty_writeback", ANY, Default("\"5s\""), "vm.dirty_writeback_centisecs: how often it looks; 0: never.";
        JOURNAL_COMMIT "journal_commit", ANY, Default("\"5s\""), "ext4's commit=: how long a new name may wait for the journal.";
        RECOVERY "recovery", BYTES_A_SECOND, Default("0"), "Bytes a second at which a broker reads and checks its log before it serves; 0: in no time.";
    }
}

section! {
    /// Moments at which a host stands still: its hypervisor has given the processors to another.
    pauses, "pauses", shared [], settings [] {
        EVERY "every", SOME, Required, "Mean time between two of them on a host; they come at random.";
        LASTS "lasts", Takes::Delay, Required, "How long each lasts.";
    }
}

section! {
    /// A fault or an operation: `at`, one verb, and when it ends or repeats.
    fault, "a fault", shared [], settings [] {
        AT "at", Takes::Moment, Required, "When it strikes, from time 0.";
        FOR "for", SOME, Optional, "How long it lasts. Left out: it does not end by itself.";
        EVERY "every", Takes::Section(&every::SECTION), Optional, "It strikes again and again.";
        LABEL "label", Takes::Text, Optional, "What reports and needs_fault call it. Left out: verb and target.";
        ONLY "only", Takes::Choice(&["leader", "followers"]), Optional, "Of the brokers it names, only those that take messages at that moment (the leader of a DLedger group, a master), or only the others. For kill, lose_host, freeze, shutdown, restart, slow_disk, fill_disk, fsync and cut; a cut is narrowed on the first side that has brokers, and its other side is without them: [\"broker-a\", \"broker-a\"] with \"leader\" cuts a leader off from its followers.";
        WIPE "wipe", Takes::Flag, Optional, "true: their disks are gone with them, and the next life begins on empty ones. For kill and lose_host.";
        KILL "kill", Takes::Target, Optional, "SIGKILL; with `for`, started again on the same disk.";
        LOSE_HOST "lose_host", Takes::Target, Optional, "The hosts of these nodes lose power; with `for`, they return.";
        FREEZE "freeze", Takes::Target, Optional, "SIGSTOP; with `for`, SIGCONT.";
        SHUTDOWN "shutdown", Takes::Target, Optional, "SIGTERM: an orderly end; with `for`, started again.";
        RESTART "restart", Takes::Either(&[Takes::Target, Takes::Section(&restart::SECTION)]), Optional, "SIGTERM and a start later.";
        ROLLING_RESTART "rolling_restart", Takes::Either(&[Takes::Target, Takes::Section(&rolling::SECTION)]), Optional, "Restarts, one after the other.";
        START "start", Takes::Target, Optional, "Starts what was declared with started: false.";
        PROMOTE "promote", Takes::Target, Optional, "An operator makes these slaves masters: SIGTERM, then a start with brokerId 0 and brokerRole ASYNC_MASTER on the same store.";
        CUT "cut", Takes::Section(&cut::SECTION), Optional, "No packet passes.";
        SLOW_LINK "slow_link", Takes::Section(&slow_link::SECTION), Optional, "Packets take longer.";
        SLOW_DISK "slow_disk", Takes::Section(&slow_disk::SECTION), Optional, "What these brokers write takes `factor` times as long, or stands still.";
        FILL_DISK "fill_disk", Takes::Section(&fill_disk::SECTION), Optional, "The partitions of these brokers' stores are filled by others; with `for`, what they brought is deleted again.";
        FSYNC "fsync", Takes::Section(&fsync::SECTION), Optional, "Fsyncs of these brokers fail or lie.";
        CLOCK_STEP "clock_step", Takes::Section(&clock_step::SECTION), Optional, "Wall clocks are set.";
        CLOCK_DRIFT "clock_drift", Takes::Section(&clock_drift::SECTION), Optional, "Clocks run fast or slow.";
        RESET "reset", Takes::Section(&reset::SECTION), Optional, "Open connections are reset.";
        INTERCEPT "intercept", Takes::Section(&intercept::SECTION), Optional, "Requests with one code meet an accident.";
        HOLD "hold", Takes::Section(&hold::SECTION), Optional, "A role stands still between two steps.";
        UPDATE_TOPIC "update_topic", Takes::Section(&update_topic::SECTION), Optional, "updateTopic.";
        WIPE_WRITE_PERM "wipe_write_perm", Takes::Text, Optional, "wipeWritePerm for this brokerName at every nameserver; with `for`, addWritePerm.";
    }
}

/// The keys of a fault that are verbs: everything after these six.
pub(crate) fn verbs() -> &'static [Key] {
    &fault::SECTION.keys[6..]
}

section! {
    /// Bounds of a counter.
    expectation, "an expectation", shared [], settings [] {
        MIN "min", Takes::Bound, Optional, "At least this: a number, or a duration.";
        MAX "max", Takes::Bound, Optional, "At most this.";
        NEEDS_FAULT "needs_fault", Takes::Either(&[Takes::Count { min: 0, max: 65_535 }, Takes::Text]), Optional, "Number (from 0) or label of a fault that this rests on: unknown when the fault touched nothing.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_section_has_a_key_twice() {
        for section in crate::scenario::schema::sections() {
            let mut names: Vec<_> = section.names().collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{}", section.title);
        }
        assert_eq!(verbs()[0].name, "kill");
    }
}
