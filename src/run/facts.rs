//! What the observers are told beforehand, from the specification.

use crate::base::ids::{MessageQueue, NodeId};
use crate::base::time::MS;
use crate::check::facts::{
    ConsumerFacts, FaultFacts, Needs, NodeFacts, NodeKind as Kind, ProducerFacts, RunFacts, TagFilter, Waits,
};
use crate::rocketmq::broker::delay_level::DelayLevels;
use crate::rocketmq::broker::ha::CONNECT_AGAIN_MS;
use crate::rocketmq::broker::ha::dledger::config::DLedgerConfig;
use crate::rocketmq::broker::ha::dledger::protocol::PeerId;
use crate::rocketmq::client::consumer::pull::{SUSPEND_MS, TIMEOUT_MS as PULL_TIMEOUT_MS};
use crate::rocketmq::settings::{BrokerRole, MessageModel};
use crate::world::spec::{BrokerSpec, ClientSpec, FaultKind, FaultSpec, MemberRole, NodeKind, Spec};

/// How long a delay level waits, by the table of the first broker.
fn delay(spec: &Spec, level: u8) -> u64 {
    let broker = spec.nodes.iter().find_map(|n| if let NodeKind::Broker(b) = &n.kind { Some(b) } else { None });
    let levels = broker.and_then(|b| DelayLevels::parse(&b.settings.message_delay_level).ok());
    let delay_ms = levels.and_then(|levels| levels.delay_ms((level as i32).min(levels.max_level())));
    delay_ms.map_or(0, |ms| ms.max(0) as u64 * MS)
}

/// The facts of a run.
pub fn of(spec: &Spec) -> RunFacts {
    let mut facts = RunFacts {
        names: spec.names.clone(),
        zero: spec.warmup,
        load_end: spec.warmup + spec.duration,
        faults: spec.faults.iter().map(|f| fault(f, spec)).collect(),
        log_read_rate: spec.disks.recovery,
        ..RunFacts::default()
    };
    for (i, node) in spec.nodes.iter().enumerate() {
        let kind = match &node.kind {
            NodeKind::Nameserver(_) => Kind::Nameserver,
            NodeKind::Broker(b) => {
                facts.lock_life = b.settings.rebalance_lock_max_live_time * MS;
                Kind::Broker { broker: b.broker, broker_id: b.broker_id }
            }
            NodeKind::Client(_) => Kind::Client,
        };
        let waits = match &node.kind {
            NodeKind::Nameserver(_) => Waits::default(),
            NodeKind::Broker(b) => broker_waits(b),
            NodeKind::Client(c) => client_waits(c),
        };
        let needs = match &node.kind {
            NodeKind::Broker(b) if b.dledger.is_some() => Needs::Majority,
            NodeKind::Broker(b) if b.settings.broker_role == BrokerRole::SyncMaster => Needs::Replica,
            _ => Needs::Nobody,
        };
        facts.nodes.push(NodeFacts { name: node.name.clone(), kind, addr: node.addr, waits, needs });
        let NodeKind::Client(client) = &node.kind else { continue };
        for (m, member) in client.members.iter().enumerate() {
            match &member.role {
                MemberRole::Producer(p) => facts.producers.push(ProducerFacts {
                    name: member.name.clone(),
                    node: NodeId(i as u16),
                    topic: p.topic,
                    keys: p.load.keys,
                    delay_level: p.load.delay_level,
                    delay: delay(spec, p.load.delay_level),
                    tags: p.load.tags.clone(),
                    transactional: p.transactional.is_some(),
                }),
                MemberRole::Consumer(c) => facts.consumers.push(ConsumerFacts {
                    name: member.name.clone(),
                    node: NodeId(i as u16),
                    index: m as u16,
                    client_index: m as u16,
                    from_start: member.started,
                    group: c.group,
                    orderly: c.orderly,
                    broadcasting: c.settings.message_model == MessageModel::Broadcasting,
                    subscriptions: c.subscriptions.iter().map(|(topic, expression)| (*topic, filter(expression))).collect(),
                }),
            }
        }
    }
    for topic in &spec.topics {
        for broker in &topic.brokers {
            facts.queues.extend((0..topic.read_queue_nums).map(|q| MessageQueue {
                topic: topic.topic,
                broker: *broker,
                queue_id: q as i32,
            }));
        }
    }
    facts
}

/// "30 s", "300 ms".
fn ms(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

/// `HAService.HAClient#run`, `DLedgerLeaderElector#maintainAsFollower` and `#getNextTimeToRequestVote` (DLedger 0.3.1.2), `DLedgerRoleChangeHandler` and
/// `BrokerController#registerBrokerAll` (4.9.8).
fn broker_waits(broker: &BrokerSpec) -> Waits {
    let mut waits = Waits {
        register: format!("when it opens, else registerNameServerPeriod {}", ms(broker.settings.register_name_server_period)),
        connect_again: format!("HAClient: a pause of {} between connects", ms(CONNECT_AGAIN_MS)),
        ..Waits::default()
    };
    if broker.dledger.is_some() {
        let d = DLedgerConfig::new(PeerId(0), Vec::new());
        let positive = |ms: i64| u64::try_from(ms).unwrap_or(0);
        let beat = ms(positive(d.heart_beat_time_interval_ms));
        waits.silence =
            format!("maxHeartBeatLeak {} x heartBeatTimeIntervalMs {beat} since the last heartbeat", d.max_heart_beat_leak);
        waits.vote = format!(
            "votes: a pause drawn from minVoteIntervalMs {} to maxVoteIntervalMs {} each",
            ms(positive(d.min_vote_interval_ms)),
            ms(positive(d.max_vote_interval_ms))
        );
        waits.role = "DLedgerRoleChangeHandler: looks every 100 ms whether all is committed (500 ms when the first COMPARE meets a candidate) and dispatched".to_owned();
    }
    waits
}

/// `MQClientInstance#startScheduledTask`, `DefaultMQProducerImpl#sendDefaultImpl`, `RebalanceService#run`, `DefaultMQPushConsumerImpl#pullMessage` (4.9.8).
fn client_waits(client: &ClientSpec) -> Waits {
    let mut waits = Waits::default();
    for member in &client.members {
        let instance = &member.instance;
        waits.connect = format!("connectTimeoutMillis {}", ms(instance.connect_timeout_millis));
        waits.route = format!("pollNameServerInterval {}", ms(instance.poll_name_server_interval));
        match &member.role {
            MemberRole::Producer(p) => {
                waits.call = format!("sendMsgTimeout {}", ms(p.settings.send_msg_timeout));
                waits.aside = "sendLatencyFaultEnable: notAvailableDuration".to_owned();
            }
            MemberRole::Consumer(_) => {
                waits.rebalance = format!(
                    "a change of members or queues, or rocketmq.client.rebalance.waitInterval {}",
                    ms(instance.rebalance_wait_interval)
                );
                waits.parked = format!("BROKER_SUSPEND_MAX_TIME_MILLIS {}", ms(u64::from(SUSPEND_MS)));
                waits.pull = format!("CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND {}", ms(PULL_TIMEOUT_MS));
                let pause = instance.pull_time_delay_mills_when_exception;
                waits.pull_again = format!("pullTimeDelayMillsWhenException {}", ms(pause));
            }
        }
    }
    waits
}

fn fault(fault: &FaultSpec, spec: &Spec) -> FaultFacts {
    let restarts = match &fault.what {
        FaultKind::Restart { nodes, .. } | FaultKind::RollingRestart { nodes, .. } | FaultKind::Promote { nodes } => {
            nodes.clone()
        }
        _ => Vec::new(),
    };
    let slows = match &fault.what {
        FaultKind::SlowDisk { nodes, .. } => nodes.clone(),
        _ => Vec::new(),
    };
    FaultFacts {
        label: fault.label.clone(),
        at: fault.at,
        ends: fault.lasts.is_some(),
        restarts,
        slows,
        touches: touches(&fault.what, spec),
    }
}

/// Whom a fault strikes.
fn touches(what: &FaultKind, spec: &Spec) -> Vec<NodeId> {
    let on = |hosts: &[u16]| -> Vec<NodeId> {
        let here = |(n, node): (usize, &crate::world::spec::NodeSpec)| hosts.contains(&node.host).then_some(NodeId(n as u16));
        spec.nodes.iter().enumerate().filter_map(here).collect()
    };
    match what {
        FaultKind::Kill { nodes }
        | FaultKind::Freeze { nodes }
        | FaultKind::Shutdown { nodes, .. }
        | FaultKind::Restart { nodes, .. }
        | FaultKind::RollingRestart { nodes, .. }
        | FaultKind::Start { nodes, .. }
        | FaultKind::Promote { nodes }
        | FaultKind::SlowDisk { nodes, .. }
        | FaultKind::FillDisk { nodes, .. }
        | FaultKind::Fsync { nodes, .. }
        | FaultKind::ClockStep { nodes, .. }
        | FaultKind::ClockDrift { nodes, .. }
        | FaultKind::Hold { nodes, .. } => nodes.clone(),
        FaultKind::UpdateTopic { brokers, .. } => brokers.clone(),
        FaultKind::LoseHost { hosts } => on(hosts),
        FaultKind::Cut { from, to, .. } | FaultKind::SlowLink { from, to, .. } => [on(from), on(to)].concat(),
        FaultKind::Reset { a, b } => [&a[..], &b[..]].concat(),
        FaultKind::Intercept { from, to, .. } => [&from[..], &to[..]].concat(),
        FaultKind::WipeWritePerm { broker } => {
            let of = |(n, node): (usize, &crate::world::spec::NodeSpec)| {
                matches!(&node.kind, NodeKind::Broker(b) if b.broker == *broker).then_some(NodeId(n as u16))
            };
            spec.nodes.iter().enumerate().filter_map(of).collect()
        }
    }
}

fn filter(expression: &str) -> TagFilter {
    let tags: Vec<_> = expression.split("||").map(str::trim).filter(|t| !t.is_empty()).map(std::sync::Arc::from).collect();
    if expression.trim() == "*" || tags.is_empty() { TagFilter::All } else { TagFilter::Any(tags) }
}
