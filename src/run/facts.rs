//! What the observers are told beforehand, from the specification.

use crate::base::ids::{MessageQueue, NodeId};
use crate::base::time::MS;
use crate::check::facts::{ConsumerFacts, FaultFacts, NodeFacts, NodeKind as Kind, ProducerFacts, RunFacts, TagFilter};
use crate::rocketmq::settings::MessageModel;
use crate::world::spec::{FaultKind, FaultSpec, MemberRole, NodeKind, Spec};

/// The facts of a run.
pub fn of(spec: &Spec) -> RunFacts {
    let mut facts = RunFacts {
        names: spec.names.clone(),
        zero: spec.warmup,
        load_end: spec.warmup + spec.duration,
        faults: spec.faults.iter().map(fault).collect(),
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
        facts.nodes.push(NodeFacts { name: node.name.clone(), kind });
        let NodeKind::Client(client) = &node.kind else { continue };
        for (m, member) in client.members.iter().enumerate() {
            match &member.role {
                MemberRole::Producer(p) => facts.producers.push(ProducerFacts {
                    name: member.name.clone(),
                    node: NodeId(i as u16),
                    topic: p.topic,
                    keys: p.load.keys,
                    delay_level: p.load.delay_level,
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

fn fault(fault: &FaultSpec) -> FaultFacts {
    let restarts = match &fault.what {
        FaultKind::Restart { nodes, .. } | FaultKind::RollingRestart { nodes, .. } | FaultKind::Promote { nodes } => {
            nodes.clone()
        }
        _ => Vec::new(),
    };
    FaultFacts { label: fault.label.clone(), at: fault.at, ends: fault.lasts.is_some(), restarts }
}

fn filter(expression: &str) -> TagFilter {
    let tags: Vec<_> = expression.split("||").map(str::trim).filter(|t| !t.is_empty()).map(std::sync::Arc::from).collect();
    if expression.trim() == "*" || tags.is_empty() { TagFilter::All } else { TagFilter::Any(tags) }
}
