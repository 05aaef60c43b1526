//! The world before its first event: topics and preloaded messages on disks, starts, the first due messages, the blueprints of the roles.

use super::*;

impl<O: Observer> World<O> {
    /// Topics and preloaded messages on the brokers' disks, starts, first due messages, the fault plan.
    pub(super) fn set_up(&mut self) {
        let spec = self.spec.clone();
        for (i, node) in spec.nodes.iter().enumerate() {
            if let NodeKind::Broker(broker) = &node.kind {
                let disk = &mut self.disks[i].broker;
                disk.partition = broker.disk;
                disk.medium.kernel = spec.disks.kernel;
                for topic in spec.topics.iter().filter(|t| t.brokers.contains(&broker.broker)) {
                    let config = crate::rocketmq::route::TopicConfig {
                        read: topic.read_queue_nums,
                        write: topic.write_queue_nums,
                        perm: topic.perm,
                    };
                    disk.topics.insert(topic.topic, config);
                }
                disk.topics_file.lies_there((disk.topics.clone(), disk.topics_version));
            }
        }
        self.preload(&spec);
        for (i, node) in spec.nodes.iter().enumerate() {
            if let Some(at) = start_time(&spec, i, self.draws) {
                let _ = node;
                self.schedule_at(at.max(1), Class::Fault, NodeId(i as u16), Kind::Boot, 0, 0);
            }
        }
        for f in 0..self.feeds.len() {
            self.next_due(f);
        }
        self.plan_faults();
        self.plan_pauses();
    }

    /// Preloaded messages: spread evenly over the queues of their topic and over their age.
    pub(super) fn preload(&mut self, spec: &Spec) {
        for (k, preload) in spec.preloads.iter().enumerate() {
            let producer = 0xFF00 | (k as u16 & 0xFF);
            let Some(topic) = spec.topics.iter().find(|t| t.topic == preload.topic) else { continue };
            let homes: Vec<(usize, u32)> = spec
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, n)| matches!(&n.kind, NodeKind::Broker(b) if b.broker_id == 0 && topic.brokers.contains(&b.broker)))
                .flat_map(|(i, _)| (0..topic.write_queue_nums).map(move |q| (i, q)))
                .collect();
            if homes.is_empty() {
                continue;
            }
            let oldest = crate::base::time::WALL_EPOCH_MS - (preload.age / MS) as i64;
            let step = preload.age / preload.messages.max(1);
            for n in 0..preload.messages {
                let (node, queue) = homes[(n % homes.len() as u64) as usize];
                let store_ms = oldest + (n * step / MS) as i64;
                let mut message = crate::rocketmq::message::Message {
                    id: MessageId::new(producer, n),
                    born_ms: store_ms,
                    store_ms,
                    queue_offset: n / homes.len() as u64,
                    phys: 0,
                    body_len: preload.body_len,
                    tag_code: 0,
                    key: u32::MAX,
                    topic: preload.topic,
                    real_topic: preload.topic,
                    origin_topic: preload.topic,
                    queue_id: queue as u16,
                    real_queue_id: 0,
                    properties_len: 66,
                    reconsume_times: 0,
                    tag: 0,
                    delay_level: 0,
                    flags: 0,
                };
                let size = message.record_size(spec.names.topic_name(preload.topic).len());
                let disk = &mut self.disks[node].broker;
                let NodeKind::Broker(b) = &spec.nodes[node].kind else { continue };
                disk.log.ends.file_size = b.settings.mapped_file_size_commit_log.max(1);
                message.phys = disk.log.ends.place(size);
                disk.log.append(message, size);
                // It has lain there for long.
                disk.log.ends.committed = disk.log.ends.written;
                disk.log.ends.durable = disk.log.ends.written;
                disk.dispatch_next(u64::MAX);
                let queue = crate::base::ids::MessageQueue { topic: preload.topic, broker: b.broker, queue_id: queue as i32 };
                let rec = crate::base::ids::RecordId { queue, log: 0, offset: message.queue_offset };
                let note = Note::Stored {
                    rec,
                    msg: message.id,
                    store_ms,
                    phys: message.phys,
                    bytes: size,
                    stored_as: crate::contract::note::StoredAs::Plain,
                };
                self.observer.note(Stamp { at: 0, node: NodeId(node as u16), life: 0, event: 0 }, &note);
            }
        }
        for start in &spec.start_offsets {
            for disk in &mut self.disks {
                let disk = &mut disk.broker;
                let numbers: Vec<(usize, u64)> =
                    disk.queues().iter().enumerate().filter(|(_, q)| q.topic == start.topic).map(|(n, q)| (n, q.max())).collect();
                let mut offsets = disk.offsets_file.load().cloned().unwrap_or_default();
                for (number, max) in numbers {
                    offsets.set(start.group, number, max * start.consumed_percent as u64 / 100);
                }
                disk.offsets_file.lies_there(offsets);
            }
        }
    }
}

/// When a node first starts, ns of the run; `None`: never by itself.
pub(super) fn start_time(spec: &Spec, node: usize, draws: Draws) -> Option<u64> {
    let n = &spec.nodes[node];
    let zero = spec.warmup as i128;
    // A process that has nothing to start waits for a command.
    if matches!(&n.kind, NodeKind::Client(c) if !c.members.iter().any(|m| m.started)) {
        return None;
    }
    match n.start {
        StartSpec::At(at) => Some((zero + at as i128).max(0) as u64),
        // Nameservers in the first tenth of the warm-up, then brokers, consumers, producers. Half the usual minute for consumers, so that the
        // phases of their 30 s timers are all met; what is left of it is time enough to settle.
        StartSpec::Drawn => {
            let (from, to) = match &n.kind {
                NodeKind::Nameserver(_) => (0, 10),
                NodeKind::Broker(_) => (10, 40),
                NodeKind::Client(c) if c.members.iter().any(|m| matches!(m.role, MemberRole::Consumer(_))) => (42, 92),
                NodeKind::Client(_) => (60, 95),
            };
            let (from, to) = (spec.warmup / 100 * from, spec.warmup / 100 * to);
            Some(from + draws.below(n.entity, Purpose::Start, 0, (to - from).max(1)))
        }
    }
}

/// What a node's lives are built from.
pub(super) fn blueprint(spec: &Spec, node: usize) -> Blueprint {
    let n = &spec.nodes[node];
    match &n.kind {
        NodeKind::Nameserver(settings) => {
            let mut settings = (**settings).clone();
            let order_topics: std::collections::BTreeMap<_, _> =
                spec.topics.iter().filter_map(|t| t.order_conf.clone().map(|conf| (t.topic, conf))).collect();
            settings.order_message_enable |= !order_topics.is_empty();
            Blueprint::NameServer(Arc::new(NameserverConfig { names: spec.names.clone(), settings, order_topics }))
        }
        NodeKind::Broker(b) => Blueprint::Broker(Arc::new(BrokerConfig {
            names: spec.names.clone(),
            broker: b.broker,
            broker_id: b.broker_id,
            addr: n.addr,
            nameservers: b.nameservers.clone(),
            settings: b.settings.clone(),
            rules: n.rules,
            cpus: n.cpus,
            dledger: b.dledger.as_ref().map(|(number, peers)| (u16::from(*number), peers.clone())),
        })),
        NodeKind::Client(c) => Blueprint::Client(Arc::new(spec::client_config(spec, n, c))),
    }
}
