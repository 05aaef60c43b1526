//! `DefaultMQProducerImpl` (4.9.8): what a producer remembers, and its start and end.

pub mod fault_strategy;
pub(super) mod parcel;
pub mod publish_info;
pub(super) mod send;
pub mod validators;

use self::fault_strategy::{BrokerHashes, MQFaultStrategy};
use self::parcel::Parcel;
use self::publish_info::{ThreadLocalIndex, TopicPublishInfo};
use self::validators::IllegalMessage;
use super::by_topic::ByTopic;
use super::config::{ProducerConfig, SendMode};
use super::heartbeat::HeartbeatAll;
use super::instance::{Cx, Exec, Instance, ServiceState, ThreadId};
use super::ops::{Ret, Step};
use crate::base::draw::Purpose;
use crate::base::ids::{BrokerName, MessageQueue, TopicId};
use crate::base::names::Names;
use crate::contract::Op as ContractOp;
use crate::contract::note::Note;
use crate::rocketmq::protocol::Request;
use crate::rocketmq::remoting::client::Target;
use std::sync::Arc;

pub(super) use self::send::AsyncSend;

/// A topic's publish list and the thread-local positions in it; a new list restarts them all.
#[derive(Clone, Debug, Default)]
struct Publish {
    info: TopicPublishInfo,
    generation: u32,
    indexes: Vec<Option<(u32, ThreadLocalIndex)>>,
}

#[derive(Clone, Debug)]
pub(super) struct Producer {
    /// Number among the members of the process; `u16::MAX` for the instance's internal producer.
    pub(super) index: u16,
    pub(super) config: Arc<ProducerConfig>,
    pub(super) state: ServiceState,
    pub(super) registered: bool,
    /// topicPublishInfoTable, by topic.
    publish: ByTopic<Publish>,
    pub(super) fault: MQFaultStrategy,
    /// `LatencyFaultToleranceImpl.whichItemWorst` and the send threads' own indexes are seeded per life.
    worst_index: ThreadLocalIndex,
    /// The topic whose name passed the validators last.
    legal: Option<TopicId>,
}

impl Producer {
    pub(super) fn new(index: u16, config: Arc<ProducerConfig>, hashes: BrokerHashes, writes_into_publish_list: bool) -> Self {
        let fault = MQFaultStrategy::new(hashes, config.settings.send_latency_fault_enable, writes_into_publish_list);
        Producer {
            index,
            state: ServiceState::CreateJust,
            registered: false,
            publish: ByTopic::default(),
            fault,
            worst_index: ThreadLocalIndex::starting_at(0),
            legal: None,
            config,
        }
    }

    pub(super) fn app_threads(&self) -> u32 {
        match self.config.mode {
            // A callback send returns at once: one thread offers them all.
            SendMode::Async => 1,
            _ => self.config.threads.max(1) as u32,
        }
    }

    /// `Validators#checkMessage`. A name that passed once is not spelled out again.
    /// Members of a batch are checked one by one, then their frames together.
    fn check_message(&mut self, names: &Names, parcel: &Parcel) -> Result<(), IllegalMessage> {
        let (max, topic) = (self.config.settings.max_message_size, parcel.topic());
        let (least, most) = parcel.body_lens();
        for body_len in [least, most, parcel.body_len()] {
            let body_ok = body_len > 0 && body_len as u64 <= max;
            if self.legal != Some(topic) || !body_ok {
                validators::check_message(Some(names.topic_name(topic)), Some(body_len as u64), max)?;
                self.legal = Some(topic);
            }
        }
        Ok(())
    }

    /// Topics in the publish table.
    pub(super) fn topics(&self) -> impl Iterator<Item = TopicId> + '_ {
        self.publish.topics()
    }
    /// A topic in the table without a usable list.
    pub(super) fn needs_route(&self, topic: TopicId) -> bool {
        self.publish.get(topic).is_some_and(|p| !p.info.ok())
    }
    pub(super) fn take_publish_info(&mut self, topic: TopicId, info: TopicPublishInfo) {
        let generation = self.publish.get(topic).map_or(0, |p| p.generation + 1);
        self.publish.set(topic, Publish { info, generation, indexes: Vec::new() });
    }
    /// An empty entry, so that the topic joins the periodic poll.
    pub(super) fn place_holder(&mut self, topic: TopicId) {
        if self.publish.get(topic).is_none() {
            self.publish.set(topic, Publish::default());
        }
    }
    pub(super) fn info(&self, topic: TopicId) -> Option<&TopicPublishInfo> {
        self.publish.get(topic).map(|p| &p.info)
    }
}

impl Instance {
    /// `DefaultMQProducerImpl#selectOneMessageQueue` on the thread with this ordinal.
    fn select_queue(
        &mut self,
        cx: &Cx<'_, '_>,
        p: u16,
        topic: TopicId,
        ordinal: u32,
        last: Option<BrokerName>,
    ) -> Option<MessageQueue> {
        let route = self.routes.get(topic);
        let producer = &mut self.producers[p as usize];
        let publish = producer.publish.get_mut(topic)?;
        if publish.info.queues.is_empty() {
            return None;
        }
        let generation = publish.generation;
        if publish.indexes.len() <= ordinal as usize {
            publish.indexes.resize(ordinal as usize + 1, None);
        }
        let slot = &mut publish.indexes[ordinal as usize];
        if slot.is_none_or(|(g, _)| g != generation) {
            let n = (cx.env.life as u64) << 48 | (topic.0 as u64) << 32 | (generation as u64) << 16 | ordinal as u64;
            let word = cx.env.draws.word(producer.config.entity, Purpose::QueueIndex, n);
            *slot = Some((generation, ThreadLocalIndex::starting_at((word & 0x7fff_ffff) as i32)));
        }
        let (_, index) = slot.as_mut()?;
        let queue_datas = route.map_or(&[][..], |r| &r.queue_datas);
        producer.fault.select_one_message_queue(
            &mut publish.info,
            queue_datas,
            index,
            &mut producer.worst_index,
            last,
            cx.now.wall_ms,
        )
    }

    /// `updateFaultItem`, with a note when the broker is put aside and when a good answer ends that early.
    fn update_fault_item(&mut self, cx: &mut Cx<'_, '_>, p: u16, broker: BrokerName, latency_ms: i64, isolation: bool) {
        let fault = &mut self.producers[p as usize].fault;
        let aside = !fault.tolerance().is_available(broker, cx.now.wall_ms);
        let for_ms = fault.update_fault_item(broker, latency_ms, isolation, cx.now.wall_ms);
        if let Some(for_ms) = for_ms
            && (for_ms > 0 || aside)
        {
            cx.out.note(Note::BrokerAvoided { broker, ms: for_ms as u32 });
        }
    }

    /// The application calls `send`.
    pub(super) fn app_send(&mut self, cx: &mut Cx<'_, '_>, p: u16, parcel: Parcel) {
        match self.producers[p as usize].config.mode {
            SendMode::Async => self.send_async(cx, p, parcel),
            _ => self.submit(cx, Exec::App(p), send::Send::application(p, parcel).into()),
        }
    }
}

/// `DefaultMQProducerImpl#start`.
#[derive(Clone, Debug)]
pub(super) struct StartProducer {
    p: u16,
}

impl StartProducer {
    pub(super) fn new(p: u16) -> Self {
        StartProducer { p }
    }
    #[inline(never)]
    pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        if !matches!(ret, Ret::Go) {
            let index = i.producers[self.p as usize].index;
            cx.out.note(Note::ClientStarted { index, ok: true });
            return Step::Done(Ret::Unit);
        }
        let group = i.producers[self.p as usize].config.group;
        let duplicate = i.producers.iter().any(|other| other.registered && other.config.group == group);
        let producer = &mut i.producers[self.p as usize];
        if duplicate {
            // "The producer group has been created before": the object stays CREATE_JUST.
            producer.state = ServiceState::CreateJust;
            cx.out.note(Note::ClientStarted { index: producer.index, ok: false });
            return Step::Done(Ret::Unit);
        }
        producer.registered = true;
        producer.place_holder(producer.config.create_topic_key);
        producer.state = ServiceState::Running;
        i.heartbeat_cache = None;
        i.start(cx);
        Step::Call(HeartbeatAll::default().into())
    }
}

/// `DefaultMQProducerImpl#shutdown`: unregister everywhere, then stop.
#[derive(Clone, Debug)]
pub(super) struct ShutdownProducer {
    p: u16,
    targets: Vec<crate::base::ids::Addr>,
    next: usize,
    exit: bool,
}

impl ShutdownProducer {
    pub(super) fn new(p: u16, exit: bool) -> Self {
        ShutdownProducer { p, targets: Vec::new(), next: 0, exit }
    }
    #[inline(never)]
    pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let producer = &mut i.producers[self.p as usize];
        if matches!(ret, Ret::Go) {
            if producer.state != ServiceState::Running {
                if self.exit {
                    cx.out.ops.push(ContractOp::Exit);
                }
                return Step::Done(Ret::Unit);
            }
            producer.registered = false;
            cx.out.note(Note::ShutdownBegan { index: producer.index });
            i.heartbeat_cache = None;
            self.targets = i.unregister_targets();
        }
        let producer = &mut i.producers[self.p as usize];
        if self.next < self.targets.len() {
            self.next += 1;
            let request = Request::UnregisterClient {
                client_id: i.client_id.clone(),
                producer: Some(producer.config.group),
                consumer: None,
            };
            return i.rpc(cx, t, Target::Addr(self.targets[self.next - 1]), request, i.settings.mq_client_api_timeout);
        }
        producer.state = ServiceState::ShutdownAlready;
        let index = producer.index;
        i.stop_if_last(cx);
        cx.out.note(Note::ShutdownEnded { index });
        if self.exit {
            cx.out.ops.push(ContractOp::Exit);
        }
        Step::Done(Ret::Unit)
    }
}
