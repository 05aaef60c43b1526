//! Which timers of RocketMQ may spread a figure from run to run.
//!
//! A simulated interval that is wide only because the model is vague proves nothing. So every kind of figure names, for every kind of event
//! that strikes a cluster, the timers whose phase it depends on; the interval may be as wide as their periods together, and no wider than
//! that unless the live repetitions themselves differ as much. Counts may spread by what the load offers in that time. Periods are read from the
//! settings of the scenario; the few that RocketMQ has as constants are named with their class.

use super::live::{Client, Fault};
use super::measures::Kind;
use std::collections::BTreeSet;

/// What happened to a cluster in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    BrokerGone,
    /// A master that was gone starts again.
    BrokerBack,
    BrokerFrozen,
    /// A member of a DLedger group is gone; its leader, if it leads.
    LeaderGone,
    MemberGone,
    /// A member of an ordered group is gone.
    OrderlyMemberGone,
    MemberFrozen,
    /// A member started or was shut down in order.
    MemberMoved,
    /// Members of one group started within a second of each other, before the load.
    MembersMeet,
    NameserverGone,
    /// A broker that is a slave: sends still reach its master.
    SlaveGone,
    /// Producers give their messages a delay level: each lies in a delay queue before its consumers may see it.
    Delayed,
    /// Listeners send messages back: each comes again through a delay queue and the retry topic.
    SentBack,
    /// Orderly listeners suspend their queue, and the batch comes again.
    Suspended,
}

/// A period that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A key of the scenario, spelled as RocketMQ spells it.
    Setting(&'static str),
    /// A constant of RocketMQ's, ms.
    Constant(&'static str, i64),
    /// The turn of the queues: each sending thread has its own index into the publish list, begun at random, and is with one broker for as
    /// many sends as that has queues. Threads x queues / rate.
    PublishTurn,
    /// Not RocketMQ's: how long a process takes from its start until it takes part. As much as live start-ups before time 0 differ.
    StartUp,
    /// Not RocketMQ's: how late the machine is to deliver. As much as two steady runs differ in their slowest percent.
    Machine,
}

use Timer::{Constant, Machine, PublishTurn, Setting, StartUp};

const POLL: Timer = Setting("pollNameServerInterval");
const REGISTER: Timer = Setting("registerNameServerPeriod");
const BROKER_SCAN: Timer = Setting("scanNotActiveBrokerInterval");
const HEARTBEAT: Timer = Setting("heartbeatBrokerInterval");
const REBALANCE: Timer = Setting("rocketmq.client.rebalance.waitInterval");
const LOCK: Timer = Setting("rocketmq.client.rebalance.lockInterval");
const PERSIST: Timer = Setting("persistConsumerOffsetInterval");
const FLUSH_OFFSETS: Timer = Setting("flushConsumerOffsetInterval");
const SEND_TIMEOUT: Timer = Setting("sendMsgTimeout");
const CALL_TIMEOUT: Timer = Setting("mqClientApiTimeout");
const CHECK: Timer = Setting("transactionCheckInterval");
const SUSPEND: Timer = Setting("suspendCurrentQueueTimeMillis");
const CHANNEL_SCAN: Timer = Constant("ClientHousekeepingService 10 s", 10_000);
const RESPONSE_SCAN: Timer = Constant("NettyRemotingClient.scanResponseTable 1 s", 1_000);
const PULL_RETRY: Timer = Setting("pullTimeDelayMillsWhenException");
const LOCK_LIFE: Timer = Setting("rocketmq.broker.rebalance.lockMaxLiveTime");
const CHANNEL_LIFE: Timer = Constant("ClientChannelInfo CHANNEL_EXPIRED_TIMEOUT 120 s", 120_000);
const LEADER_BEAT: Timer = Constant("DLedgerConfig.heartBeatTimeIntervalMs 2 s", 2_000);
const VOTE: Timer = Constant("DLedgerConfig.maxVoteIntervalMs 1 s", 1_000);
const SLAVE_REPORT: Timer = Setting("haSendHeartbeatInterval");
const SLAVE_CONNECTS: Timer = Constant("HAClient#connectMaster 5 s", 5_000);
const DELAY_SCAN: Timer = Constant("ScheduleMessageService.DELAY_FOR_A_WHILE 100 ms", 100);
const REPUT: Timer = Constant("ReputMessageService 1 ms", 1);
const SHUTDOWN_WAIT: Timer = Constant("PullMessageService.shutdown 1 s", 1_000);

/// Timers of a kind of figure under a kind of event.
type Rule = (&'static [Kind], &'static [Event], &'static [Timer]);

const SENDS: &[Kind] = &[Kind::Sends, Kind::SendSeries, Kind::SendWindow, Kind::WithoutSuccessAtBroker];
const RECEIPTS: &[Kind] = &[
    Kind::Delivered,
    Kind::Duplicates,
    Kind::DuplicateWindow,
    Kind::Late,
    Kind::DeliveryLatency,
    Kind::DeliverySeries,
    Kind::Attempts,
    Kind::AllocationTime,
    Kind::AllocationChanges,
];

/// The table. An event that a kind is not listed under leaves it to the repetitions' own spread.
const RULES: &[Rule] = &[
    // A route is believed until the next poll; a standing broker is first expired by the nameserver.
    (SENDS, &[Event::BrokerGone], &[POLL]),
    (SENDS, &[Event::BrokerFrozen], &[POLL, REGISTER, BROKER_SCAN, SEND_TIMEOUT, RESPONSE_SCAN]),
    (&[Kind::WithoutSuccess, Kind::RoundTrip, Kind::FailedRoundTrip], &[Event::BrokerFrozen], &[SEND_TIMEOUT, RESPONSE_SCAN]),
    // Queues follow the route, then a rebalance; a member also needs a living broker to ask for its group.
    (RECEIPTS, &[Event::BrokerGone], &[POLL, REBALANCE, PERSIST, FLUSH_OFFSETS]),
    // A master that is back is first up, then known, then told of the group by the next heartbeat; until then pulls are refused and tried again.
    (SENDS, &[Event::BrokerBack], &[StartUp]),
    (RECEIPTS, &[Event::BrokerBack], &[StartUp, HEARTBEAT, PULL_RETRY]),
    // Ghost members have their queues until their channels expire.
    (
        RECEIPTS,
        &[Event::BrokerFrozen],
        &[POLL, REGISTER, BROKER_SCAN, HEARTBEAT, CHANNEL_SCAN, CHANNEL_LIFE, REBALANCE, CALL_TIMEOUT, PERSIST],
    ),
    // A follower misses beats, then votes, more than once if votes split; clients hear of the new leader with their next poll.
    (SENDS, &[Event::LeaderGone], &[LEADER_BEAT, VOTE, POLL, SEND_TIMEOUT]),
    (&[Kind::WithoutSuccess, Kind::FailedRoundTrip], &[Event::LeaderGone], &[LEADER_BEAT, VOTE, POLL, SEND_TIMEOUT]),
    (RECEIPTS, &[Event::LeaderGone], &[LEADER_BEAT, VOTE, POLL, REBALANCE, PERSIST, FLUSH_OFFSETS]),
    // How many heartbeats wait in dead sockets, each a ghost that takes queues, hangs on when they were due.
    (&[Kind::AllocationSizes], &[Event::BrokerFrozen], &[HEARTBEAT, POLL, CHANNEL_SCAN, REBALANCE]),
    // A nameserver that comes back empty answers with the brokers that have registered again; who polls meanwhile drops the others' queues.
    (RECEIPTS, &[Event::NameserverGone], &[REGISTER, POLL, REBALANCE]),
    (&[Kind::AllocationSizes], &[Event::NameserverGone], &[REGISTER, POLL, REBALANCE]),
    // A slave that starts has no master's address at first, and looks again in five seconds. It counts as connected before it has first
    // said how far it is; a send waits for that until its own time is up.
    (SENDS, &[Event::SlaveGone], &[SLAVE_CONNECTS, SLAVE_REPORT, SEND_TIMEOUT, StartUp]),
    (RECEIPTS, &[Event::SlaveGone], &[SLAVE_CONNECTS, SLAVE_REPORT, SEND_TIMEOUT, StartUp]),
    (&[Kind::WithoutSuccess, Kind::RoundTrip, Kind::FailedRoundTrip], &[Event::SlaveGone], &[SLAVE_REPORT, SEND_TIMEOUT]),
    // A message is looked for in its delay queue at each turn of the level's scan, in the consume queues after each turn of the dispatch.
    (&[Kind::DeliveryLatency], &[Event::Delayed], &[DELAY_SCAN, REPUT, Machine]),
    // A dead member's sockets close and the others are told; what it had not committed comes again; ordered locks must lapse.
    (RECEIPTS, &[Event::MemberGone, Event::OrderlyMemberGone], &[PERSIST, LOCK]),
    (RECEIPTS, &[Event::OrderlyMemberGone], &[LOCK_LIFE]),
    // What it had not committed comes again when it thaws, or when others have its queues: when its channel has expired.
    (&[Kind::DuplicateWindow], &[Event::MemberFrozen], &[CHANNEL_LIFE]),
    (RECEIPTS, &[Event::MemberFrozen], &[HEARTBEAT, CHANNEL_SCAN, REBALANCE, PERSIST]),
    // A lock that its holder has not given back yet is asked for again with the next rebalance.
    (RECEIPTS, &[Event::MemberMoved], &[SHUTDOWN_WAIT, REBALANCE]),
    (&[Kind::AllocationTime], &[Event::MemberMoved], &[StartUp]),
    // A member whose queues change tells the brokers so, unless another heartbeat of its own is on the way: then that word is dropped
    // (`sendHeartbeatToAllBrokerWithLock`), and until the next heartbeat its pulls are refused as "subscription not latest". Of 25 triples of published clients that were
    // started together 13 dropped at least one.
    (
        &[Kind::Late, Kind::DeliveryLatency, Kind::DeliverySeries],
        &[Event::MembersMeet, Event::MemberMoved],
        &[HEARTBEAT, PULL_RETRY],
    ),
    (&[Kind::ShutdownTime], &[Event::MemberMoved], &[SHUTDOWN_WAIT]),
    // The retry topic is made with the first heartbeat: members know its queues after a poll and have them after a rebalance.
    (&[Kind::FirstRetry, Kind::DuplicateWindow], &[Event::SentBack], &[DELAY_SCAN, REPUT, POLL, REBALANCE]),
    (&[Kind::DuplicateWindow], &[Event::Suspended], &[SUSPEND]),
];

/// Timers that run without any event.
const ALWAYS: &[(&[Kind], &[Timer])] = &[
    (&[Kind::FirstRetry, Kind::BetweenAttempts, Kind::DelayLevel], &[DELAY_SCAN, REPUT, Machine]),
    (&[Kind::Attempts], &[SUSPEND]),
    (&[Kind::CheckTime, Kind::CheckCount], &[CHECK]),
    (&[Kind::SendSeries, Kind::DeliverySeries, Kind::WithoutSuccessAtBroker], &[PublishTurn]),
];

/// The nodes of a scenario that are neither clients nor masters, and what its producers do.
#[derive(Default)]
pub struct Cast {
    nameservers: BTreeSet<String>,
    slaves: BTreeSet<String>,
    /// Members of DLedger groups.
    dledger: BTreeSet<String>,
    delayed: bool,
}

impl Cast {
    /// Of a scenario whose every default is written out.
    pub fn of(resolved: &serde_json::Value) -> Cast {
        let list = |key: &str| resolved[key].as_array().into_iter().flatten();
        let name = |node: &serde_json::Value| node["name"].as_str().map(str::to_owned);
        Cast {
            nameservers: list("nameservers").filter_map(name).collect(),
            slaves: list("brokers").filter(|b| b["brokerRole"] == "SLAVE").filter_map(name).collect(),
            dledger: list("brokers").filter(|b| b["dledger"].is_object()).filter_map(name).collect(),
            delayed: list("producers").any(|p| p["delay_level"].as_u64().is_some_and(|level| level > 0)),
        }
    }
}

/// What struck, by whom it struck: clients are known by name, nameservers and slaves by the scenario, the rest are masters.
pub fn events(faults: &[Fault], clients: &[Client], cast: &Cast) -> BTreeSet<Event> {
    let meet = |c: &Client| clients.iter().any(|d| d.node != c.node && d.group == c.group && d.starts_beside(c));
    let together = clients.iter().filter(|c| !c.producer && c.start <= 0 && meet(c)).map(|_| Event::MembersMeet);
    let late = clients.iter().filter(|c| c.start > 0 && !c.producer).map(|_| Event::MemberMoved);
    let of = |f: &Fault| {
        let client = clients.iter().any(|c| c.node == f.node);
        let orderly = clients.iter().any(|c| c.node == f.node && c.is_orderly());
        match f.what.as_str() {
            "freeze" | "thaw" if client => Event::MemberFrozen,
            "freeze" | "thaw" => Event::BrokerFrozen,
            "shutdown" if client => Event::MemberMoved,
            _ if orderly => Event::OrderlyMemberGone,
            _ if client => Event::MemberGone,
            _ if cast.nameservers.contains(&f.node) => Event::NameserverGone,
            _ if cast.slaves.contains(&f.node) => Event::SlaveGone,
            _ if cast.dledger.contains(&f.node) => Event::LeaderGone,
            "restart" => Event::BrokerBack,
            _ => Event::BrokerGone,
        }
    };
    let fails = clients.iter().filter(|c| c.number("failEvery").is_some_and(|n| n != 0));
    let again = fails.map(|c| if c.is_orderly() { Event::Suspended } else { Event::SentBack });
    let load = cast.delayed.then_some(Event::Delayed).into_iter().chain(again);
    faults.iter().map(of).chain(together).chain(late).chain(load).collect()
}

/// The timers that may spread this kind of figure when these events struck, each once.
pub fn of(kind: Kind, events: &BTreeSet<Event>) -> Vec<Timer> {
    let always = ALWAYS.iter().filter(|(kinds, _)| kinds.contains(&kind)).flat_map(|(_, timers)| *timers);
    let struck = RULES
        .iter()
        .filter(|(kinds, when, _)| kinds.contains(&kind) && when.iter().any(|e| events.contains(e)))
        .flat_map(|(_, _, timers)| *timers);
    let mut found: Vec<Timer> = Vec::new();
    always.chain(struck).for_each(|t| {
        if !found.contains(t) {
            found.push(*t);
        }
    });
    found
}

impl Timer {
    pub fn name(self) -> &'static str {
        match self {
            Setting(name) | Constant(name, _) => name,
            PublishTurn => "ThreadLocalIndex: threads x queues / rate",
            StartUp => "start-up of a process",
            Machine => "slowest deliveries of the machine",
        }
    }

    /// The period in a scenario whose every default is written out, ns: the longest where nodes differ, 0 where no node has it. `producers`
    /// are those whose sends the figure counts.
    pub fn period<'a>(self, resolved: &serde_json::Value, producers: impl Iterator<Item = &'a Client>) -> i64 {
        match self {
            PublishTurn => {
                let topics = resolved["topics"].as_array().into_iter().flatten();
                let queues = topics.filter_map(|t| t["queues"].as_i64().or(t["writeQueueNums"].as_i64())).max().unwrap_or(0);
                let turn = |c: &Client| c.threads.saturating_mul(queues).saturating_mul(1_000_000_000) / c.rate.max(1);
                producers.map(turn).max().unwrap_or(0)
            }
            // Known to whoever has the live runs.
            StartUp | Machine => 0,
            Constant(_, ms) => ms * 1_000_000,
            Setting(name) => longest(resolved, name).unwrap_or(0),
        }
    }
}

/// The longest duration under a key, anywhere.
fn longest(value: &serde_json::Value, key: &str) -> Option<i64> {
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| {
                let here = if name == key { duration(value) } else { None };
                here.max(longest(value, key))
            })
            .max(),
        serde_json::Value::Array(items) => items.iter().filter_map(|item| longest(item, key)).max(),
        _ => None,
    }
}

/// "30s", or whole milliseconds where the setting is a plain number.
fn duration(value: &serde_json::Value) -> Option<i64> {
    match value {
        serde_json::Value::String(text) => crate::base::time::parse_duration(text).ok().and_then(|ns| i64::try_from(ns).ok()),
        number => number.as_i64().map(|ms| ms.saturating_mul(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(node: &str, start: i64) -> Client {
        Client { node: node.into(), start, rate: 10, threads: 8, ..Client::default() }
    }

    #[test]
    fn events_are_told_from_faults_and_starts() {
        let fault = |what: &str, node: &str| Fault { at: 0, what: what.into(), node: node.into() };
        let clients = [client("c1", -5_000_000_000), client("c2", -2_000_000_000), client("c3", 7)];
        let cast = Cast::of(&serde_json::json!({
            "nameservers": [{"name": "ns0"}],
            "brokers": [{"name": "broker-b", "brokerRole": "ASYNC_MASTER"}, {"name": "broker-b-s", "brokerRole": "SLAVE"}],
            "producers": [{"name": "p1", "delay_level": 0}],
        }));
        let faults = [fault("kill", "broker-b"), fault("freeze", "c1"), fault("thaw", "c1"), fault("kill", "ns0")];
        let found: Vec<Event> = events(&faults, &clients, &cast).into_iter().collect();
        let meet = [client("c1", -5_000_000_000), client("c2", -4_400_000_000)];
        assert_eq!(events(&[], &meet, &cast), [Event::MembersMeet].into());
        assert_eq!(found, [Event::BrokerGone, Event::MemberFrozen, Event::MemberMoved, Event::NameserverGone]);
        let slave: Vec<Event> = events(&[fault("kill", "broker-b-s")], &[], &cast).into_iter().collect();
        assert_eq!(slave, [Event::SlaveGone], "its master is there");
        let delayed = Cast::of(&serde_json::json!({"producers": [{"name": "p1"}, {"name": "p2", "delay_level": 3}]}));
        assert_eq!(events(&[], &[], &delayed), [Event::Delayed].into());
        assert!(of(Kind::WithoutSuccess, &[Event::BrokerGone].into()).is_empty(), "a refused send is retried at once");
        assert_eq!(of(Kind::SendWindow, &[Event::BrokerGone].into()), [POLL]);
        assert_eq!(of(Kind::DelayLevel, &BTreeSet::new()), [DELAY_SCAN, REPUT, Machine]);
    }

    #[test]
    fn who_leads_who_comes_back_and_whose_listener_fails_have_timers_of_their_own() {
        let fault = |what: &str, node: &str| Fault { at: 0, what: what.into(), node: node.into() };
        let with = |node: &str, options: &[(&str, &str)]| Client {
            options: options.iter().map(|(k, v)| (k.to_string(), serde_json::json!(v))).collect(),
            ..client(node, if node == "c2" { -2_000_000_000 } else { -5_000_000_000 })
        };
        let cast = Cast::of(&serde_json::json!({"brokers": [{"name": "broker-n0", "dledger": {}}, {"name": "broker-a"}]}));
        let told = |faults: &[Fault], clients: &[Client]| events(faults, clients, &cast).into_iter().collect::<Vec<Event>>();
        assert_eq!(told(&[fault("kill", "broker-n0"), fault("restart", "broker-n0")], &[]), [Event::LeaderGone]);
        assert_eq!(told(&[fault("kill", "broker-a"), fault("restart", "broker-a")], &[]), [Event::BrokerGone, Event::BrokerBack]);
        let orderly = with("c1", &[("listen", "orderly"), ("failEvery", "7")]);
        assert_eq!(told(&[fault("kill", "c1")], &[orderly]), [Event::OrderlyMemberGone, Event::Suspended]);
        assert_eq!(told(&[], &[with("c1", &[("failEvery", "-1")]), with("c2", &[("failEvery", "0")])]), [Event::SentBack]);
        // The first retry waits for its topic, later ones do not.
        let back = [Event::SentBack].into();
        assert_eq!(of(Kind::FirstRetry, &back), [DELAY_SCAN, REPUT, Machine, POLL, REBALANCE]);
        assert_eq!(of(Kind::BetweenAttempts, &back), [DELAY_SCAN, REPUT, Machine]);
    }

    #[test]
    fn periods_are_those_of_the_scenario() {
        let resolved = serde_json::json!({
            "topics": [{"name": "T", "queues": 4}],
            "producers": [{"pollNameServerInterval": "30s"}, {"pollNameServerInterval": "5s"}],
            "consumers": [{"suspendCurrentQueueTimeMillis": 1000, "deeper": {"pollNameServerInterval": "90s"}}],
        });
        let period = |timer: Timer| timer.period(&resolved, [client("p1", -5)].iter());
        assert_eq!(period(POLL), 90_000_000_000);
        assert_eq!(period(SUSPEND), 1_000_000_000);
        assert_eq!(period(CHECK), 0, "no node has it");
        assert_eq!(period(DELAY_SCAN), 100_000_000);
        assert_eq!(period(PublishTurn), 3_200_000_000, "8 threads, each 4 sends with a broker, 10 a second");
    }
}
