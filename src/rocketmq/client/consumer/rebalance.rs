//! Rebalance: who owns which queue, computed by each member for itself.
//!
//! `RebalanceImpl#doRebalance`, `#rebalanceByTopic`, `#updateProcessQueueTableInRebalance`, `RebalancePushImpl#removeUnnecessaryMessageQueue`,
//! `#messageQueueChanged` (4.9.8; client spec 8). Members ask one random broker for the member list, sort, and run the strategy; nothing checks that they
//! saw the same. An unknown list or queue set changes nothing; a list without oneself drops everything.

use super::Pq;
use super::offsets::{PersistQueue, ReadOffset};
use super::orderly::{LockOne, UnlockQueues};
use super::process_queue::ProcessQueue;
use crate::base::ids::{Entity, MessageQueue, TopicId};
use crate::base::java_map::JavaMap;
use crate::base::names::{Names, java_cmp};
use crate::base::time::MS;
use crate::contract::WorkClass;
use crate::contract::note::{Note, RevokeWhy};
use crate::rocketmq::client::consumer::allocate::AllocateMessageQueueStrategy;
use crate::rocketmq::client::heartbeat::HeartbeatAll;
use crate::rocketmq::client::instance::{Cx, Instance, LockId, Mutex, ServiceState, ThreadId, Tick};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::route::UpdateRoute;
use crate::rocketmq::protocol::{Answer, Request, code};
use crate::rocketmq::remoting::client::Target;
use std::sync::Arc;

/// One pass over all consumers of the instance.
#[derive(Clone, Debug, Default)]
pub(in crate::rocketmq::client) struct Rebalance {
    work: Vec<(u16, TopicId)>,
    next: usize,
    begun: bool,
}

impl Rebalance {
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, _: Ret) -> Step {
        if !self.begun {
            self.begun = true;
            i.rebalance_began();
            for (c, consumer) in i.consumers.iter().enumerate() {
                if consumer.registered && consumer.state == ServiceState::Running {
                    self.work.extend(consumer.topics(&i.config.names).into_iter().map(|topic| (c as u16, topic)));
                }
            }
        }
        if self.next >= self.work.len() {
            i.rebalance_done(cx);
            return Step::Done(Ret::Unit);
        }
        let (c, topic) = self.work[self.next];
        self.next += 1;
        Step::Call(RebalanceTopic { c, topic, asked_route: false, queues: None }.into())
    }
}

/// `rebalanceByTopic`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct RebalanceTopic {
    c: u16,
    topic: TopicId,
    asked_route: bool,
    queues: Option<Arc<[MessageQueue]>>,
}

impl RebalanceTopic {
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let consumer = &i.consumers[self.c as usize];
        match ret {
            Ret::Go => {
                self.queues = consumer.topic_queues.get(&self.topic).cloned();
                if !consumer.clustering() {
                    return match self.queues.take() {
                        Some(queues) => Step::Call(UpdateTable::new(self.c, self.topic, queues.to_vec(), &i.config.names).into()),
                        None => Step::Done(Ret::Unit),
                    };
                }
                self.find_members(i, cx, t)
            }
            Ret::Route(_) => self.find_members(i, cx, t),
            Ret::Rpc(result) => {
                let members = match result {
                    Ok(Answer::Members(members)) if !members.is_empty() => members,
                    Ok(_) => return Step::Done(Ret::Unit),
                    Err(error) => {
                        i.note_failure(cx, code::GET_CONSUMER_LIST_BY_GROUP, &error);
                        return Step::Done(Ret::Unit);
                    }
                };
                match self.allocate(i, cx, &members) {
                    Some(target) => Step::Call(UpdateTable::new(self.c, self.topic, target, &i.config.names).into()),
                    None => Step::Done(Ret::Unit),
                }
            }
            Ret::Bool(true) => Step::Call(QueueChanged { c: self.c, topic: self.topic, logged: false }.into()),
            _ => Step::Done(Ret::Unit),
        }
    }

    /// `findConsumerIdList`: one random broker of the topic's route, after one look at the nameserver if there is none.
    fn find_members(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let group = i.consumers[self.c as usize].config.group;
        match i.random_broker_addr(cx, self.topic) {
            Some(addr) => i.rpc(cx, t, Target::Addr(addr), Request::ConsumerList { group }, i.settings.mq_client_api_timeout),
            None if !self.asked_route => {
                self.asked_route = true;
                Step::Call(UpdateRoute::of(self.topic).into())
            }
            None => Step::Done(Ret::Unit),
        }
    }

    fn allocate(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, members: &Arc<[Arc<str>]>) -> Option<Vec<MessageQueue>> {
        let queues = self.queues.take()?;
        let names = i.config.names.clone();
        let client_id = i.client_id.clone();
        let consumer = &mut i.consumers[self.c as usize];
        let mut sorted: Vec<Arc<str>> = members.to_vec();
        sorted.sort_by(|a, b| java_cmp(a, b));
        let target = consumer.config.strategy.allocate(&names, &client_id, &queues, &sorted).ok()?;
        let input = (members.len() as u16, queues.len() as u16);
        let owned: Arc<[MessageQueue]> = target.as_slice().into();
        let retry = names.retry_topic(consumer.config.group) == self.topic;
        let same = consumer.allocated.get(&self.topic).is_some_and(|(m, q, o)| (*m, *q) == input && **o == *owned);
        if !same {
            consumer.allocated.insert(self.topic, (input.0, input.1, owned.clone()));
            if !retry {
                let group = consumer.config.group;
                cx.out.note(Note::Allocated { group, topic: self.topic, members: input.0, queues: input.1, owned });
            }
        }
        Some(target)
    }
}

/// `updateProcessQueueTableInRebalance`: first what goes, then what comes, each in the order of its hash table, then all new pulls at once.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct UpdateTable {
    c: u16,
    target: Vec<MessageQueue>,
    leaving: Vec<(MessageQueue, u32)>,
    next: usize,
    adding: usize,
    pulls: Vec<u32>,
    changed: bool,
    stage: Stage,
    topic: TopicId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Removing,
    Locking,
    Offset,
}

impl UpdateTable {
    fn new(c: u16, topic: TopicId, mut target: Vec<MessageQueue>, names: &Names) -> Self {
        JavaMap::Hash.list(&mut target, |mq| names.queue_hash(*mq));
        UpdateTable {
            c,
            target,
            leaving: Vec::new(),
            next: 0,
            adding: 0,
            pulls: Vec::new(),
            changed: false,
            stage: Stage::Begin,
            topic,
        }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        match self.stage {
            Stage::Begin => self.find_leaving(i, cx),
            Stage::Removing => {
                if let Ret::Bool(true) = ret {
                    let (mq, _) = self.leaving[self.next];
                    i.consumers[self.c as usize].table.remove(&mq);
                    self.changed = true;
                }
                self.next += 1;
            }
            Stage::Locking => {
                if let Ret::Bool(true) = ret {
                    return self.begin_queue();
                }
                self.adding += 1;
            }
            Stage::Offset => {
                if let Ret::Offset(Ok(offset)) = ret
                    && offset >= 0
                {
                    self.add(i, cx, offset);
                }
                self.adding += 1;
            }
        }
        if let Some((_, p)) = self.leaving.get(self.next) {
            self.stage = Stage::Removing;
            return Step::Call(RemoveUnnecessary::new(self.c, *p).into());
        }
        while let Some(mq) = self.target.get(self.adding).copied() {
            if i.consumers[self.c as usize].table.contains_key(&mq) {
                self.adding += 1;
                continue;
            }
            if i.consumers[self.c as usize].config.orderly {
                self.stage = Stage::Locking;
                return Step::Call(LockOne::new(self.c, mq).into());
            }
            return self.begin_queue();
        }
        for p in &self.pulls {
            i.pull_queue.push_back((self.c, *p));
        }
        Step::Done(Ret::Bool(self.changed))
    }

    fn begin_queue(&mut self) -> Step {
        self.stage = Stage::Offset;
        Step::Call(ReadOffset::new(self.c, self.target[self.adding]).into())
    }

    fn find_leaving(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>) {
        let consumer = &mut i.consumers[self.c as usize];
        let group = consumer.config.group;
        let max_idle_ms = i.settings.pull_max_idle_time as i64;
        for (mq, p) in consumer
            .table
            .range(MessageQueue { topic: self.topic, broker: crate::base::ids::BrokerName(0), queue_id: i32::MIN }..)
        {
            if mq.topic != self.topic {
                break;
            }
            let pq = &mut consumer.pqs[*p as usize];
            let why = if !self.target.contains(mq) {
                RevokeWhy::Rebalance
            } else if cx.now.wall_ms - pq.queue.last_pull_ms > max_idle_ms {
                RevokeWhy::PullExpired
            } else {
                continue;
            };
            if !pq.queue.dropped {
                pq.queue.dropped = true;
                cx.out.note(Note::Revoked { group, queue: *mq, why });
            }
            self.leaving.push((*mq, *p));
        }
        let (held, names) = (consumer.most_queues, &i.config.names);
        JavaMap::Concurrent.list_of(held, &mut self.leaving, |(mq, _)| names.queue_hash(*mq));
    }

    fn add(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, offset: i64) {
        let mq = self.target[self.adding];
        let names = i.config.names.clone();
        let entity = Entity(i.entity.0 ^ Entity::named(names.topic_name(mq.topic)).0)
            .with(Entity::named(names.broker_name(mq.broker)).0)
            .with(mq.queue_id as u64);
        let consumer = &mut i.consumers[self.c as usize];
        if consumer.table.contains_key(&mq) {
            return;
        }
        let mut queue = ProcessQueue::new(cx.now.wall_ms);
        queue.locked = i.config.rules.new_queue_is_locked;
        let (group, orderly) = (consumer.config.group, consumer.config.orderly);
        consumer.pqs.push(Pq {
            mq,
            queue,
            offset: consumer_offset(offset),
            next_offset: offset,
            previously_locked: false,
            suggested: 0,
            consume_lock: Mutex::default(),
            entity,
            tries: 0,
            tried_offset: -1,
        });
        let p = consumer.pqs.len() as u32 - 1;
        consumer.table.insert(mq, p);
        consumer.most_queues = consumer.most_queues.max(consumer.table.len());
        self.pulls.push(p);
        self.changed = true;
        cx.out.note(Note::Assigned { group, queue: mq, offset, orderly });
        if orderly {
            cx.out.note(Note::Locked { group, queue: mq });
        }
    }
}

/// Reading the offset from the store also writes it to memory.
fn consumer_offset(offset: i64) -> Option<u64> {
    u64::try_from(offset).ok()
}

/// `RebalancePushImpl#removeUnnecessaryMessageQueue`: persist and forget the offset, then release the lock of an orderly queue if its
/// listener is not running. Ends with whether the queue may leave the table.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct RemoveUnnecessary {
    c: u16,
    p: u32,
    persisted: bool,
}

impl RemoveUnnecessary {
    pub(in crate::rocketmq::client) fn new(c: u16, p: u32) -> Self {
        RemoveUnnecessary { c, p, persisted: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        if !self.persisted {
            self.persisted = true;
            return Step::Call(PersistQueue::new(self.c, self.p).into());
        }
        let consumer = &mut i.consumers[self.c as usize];
        let lock = LockId::Consume(self.c, self.p);
        let got = match ret {
            Ret::Lock(got) => got,
            // The unlock that was sent at once ended.
            Ret::Bool(_) => {
                i.unlock(cx, lock);
                return Step::Done(Ret::Bool(true));
            }
            _ => {
                consumer.pqs[self.p as usize].offset = None;
                if !(consumer.config.orderly && consumer.clustering()) {
                    return Step::Done(Ret::Bool(true));
                }
                match i.lock(cx, t, lock, Some(1_000)) {
                    Some(got) => got,
                    None => return Step::Block,
                }
            }
        };
        let unlock_delay = i.settings.unlock_delay_time_mills;
        let pq = &mut i.consumers[self.c as usize].pqs[self.p as usize];
        if !got {
            pq.queue.try_unlock_times += 1;
            return Step::Done(Ret::Bool(false));
        }
        if pq.queue.has_temp_message() {
            let mq = pq.mq;
            i.timers.set(cx.now.mono + unlock_delay * MS, Tick::UnlockLater(self.c, mq));
            i.unlock(cx, lock);
            return Step::Done(Ret::Bool(true));
        }
        Step::Call(UnlockQueues::one(self.c, pq.mq).into())
    }
}

/// `messageQueueChanged`: a new subscription version, thresholds by queue count, and a heartbeat on this thread.
///
/// The first pulls of new queues have been handed over before, and each of them, the result and the new version are logged before that version is
/// set (`RebalancePushImpl#dispatchPullRequest`, `RebalanceImpl#rebalanceByTopic`, 4.9.8). Meanwhile the pull thread wakes: a pull that still names the old
/// version is taken, one that names the new version mostly reaches its broker before the heartbeat does, is refused and waits for
/// `pullTimeDelayMillsWhenException`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct QueueChanged {
    c: u16,
    topic: TopicId,
    logged: bool,
}

impl QueueChanged {
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        if !matches!(ret, Ret::Go) {
            return Step::Done(Ret::Unit);
        }
        if !std::mem::replace(&mut self.logged, true) && i.config.failures_cost {
            return Instance::works(cx, t, WorkClass::Log);
        }
        let consumer = &mut i.consumers[self.c as usize];
        if let Some(subscribed) = consumer.subscriptions.get_mut(&self.topic) {
            subscribed.sub_version = cx.now.wall_ms;
        }
        let queues = consumer.table.len() as u64;
        let s = &consumer.config.settings;
        let share =
            |of_topic: i64| u64::try_from(of_topic).ok().and_then(|of_topic| of_topic.checked_div(queues)).map(|n| n.max(1));
        if let Some(share) = share(s.pull_threshold_for_topic) {
            consumer.threshold_for_queue = share;
        }
        if let Some(share) = share(s.pull_threshold_size_for_topic) {
            consumer.threshold_size_for_queue = share;
        }
        i.heartbeat_cache = None;
        Step::Call(HeartbeatAll::default().into())
    }
}
