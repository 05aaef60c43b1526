//! Orderly consumption and its three locks.
//!
//! `ConsumeMessageOrderlyService`, `RebalanceImpl#lock`, `#lockAll`, `#unlock` (4.9.8; client spec 7 and 8.9): the broker's lock on a queue, trusted for 30 s after its last
//! renewal; the local mutex, one consuming task a queue; the consume lock, held while the listener runs, which a rebalance waits for.

use super::concurrent::retry_message;
use crate::base::ids::{BrokerName, MessageQueue};
use crate::base::java_map::JavaMap;
use crate::base::time::MS;
use crate::contract::note::Note;
use crate::contract::{Verdict, WorkClass};
use crate::rocketmq::client::instance::{Cx, Exec, Instance, LockId, ThreadId, Tick};
use crate::rocketmq::client::ops::{Op, Ret, Step};
use crate::rocketmq::client::producer::send::Send;
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, Request, code};
use crate::rocketmq::remoting::client::Target;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Timeout of lock and unlock requests, ms.
const LOCK_MS: u64 = 1_000;

impl Instance {
    /// `submitConsumeRequest(dispatchToConsume = true)`. A pool that is shut down does not take it.
    pub(in crate::rocketmq::client) fn submit_orderly(&mut self, cx: &mut Cx<'_, '_>, c: u16, p: u32, class: WorkClass) -> bool {
        if self.consumers[c as usize].shutting_down {
            return false;
        }
        self.submit_as(cx, Exec::Consume(c), Orderly::new(c, p).into(), class);
        true
    }

    /// `submitConsumeRequestLater`: -1 means the consumer's own setting; clamped to 10 ms .. 30 s.
    fn submit_orderly_later(&mut self, cx: &Cx<'_, '_>, c: u16, p: u32, ms: i64) {
        let ms = if ms == -1 { self.consumers[c as usize].config.settings.suspend_current_queue_time_millis } else { ms };
        self.timers.set(cx.now.mono + ms.clamp(10, 30_000) as u64 * MS, Tick::OrderlyLater(c, p));
    }

    fn try_lock_later(&mut self, cx: &Cx<'_, '_>, c: u16, p: u32, ms: u64) {
        self.timers.set(cx.now.mono + ms * MS, Tick::TryLockLater(c, p));
    }

    /// A lock answer: queues granted are locked and stamped; asked for but not granted means unlocked.
    fn take_locks(&mut self, cx: &mut Cx<'_, '_>, c: u16, asked: &[MessageQueue], granted: &[MessageQueue], all: bool) {
        let consumer = &mut self.consumers[c as usize];
        let group = consumer.config.group;
        for mq in asked {
            let Some(p) = consumer.table.get(mq) else { continue };
            let queue = &mut consumer.pqs[*p as usize].queue;
            if granted.contains(mq) {
                if !queue.locked {
                    cx.out.note(Note::Locked { group, queue: *mq });
                }
                queue.locked = true;
                queue.last_lock_ms = cx.now.wall_ms;
            } else if all && queue.locked {
                queue.locked = false;
                cx.out.note(Note::Unlocked { group, queue: *mq });
            }
        }
    }

    /// When the message at the head of a tree was handed to a listener, if it was.
    pub(super) fn consume_started(&self, c: u16, p: u32) -> Option<(u64, i64)> {
        let head = self.consumers[c as usize].pqs[p as usize].queue.head()?.queue_offset;
        self.running(Exec::Consume(c)).into_iter().find_map(|t| match self.thread(t).top() {
            Some(Op::Concurrent(task)) => task.started(p, head).map(|since| (head, since)),
            _ => None,
        })
    }
}

/// `lock(mq)`: LOCK_BATCH_MQ for one queue, to the master only. Ends with whether it was granted.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct LockOne {
    c: u16,
    mq: MessageQueue,
}

impl LockOne {
    pub(in crate::rocketmq::client) fn new(c: u16, mq: MessageQueue) -> Self {
        LockOne { c, mq }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        match ret {
            Ret::Go => {
                let Some(addr) = i.master_addr(self.mq.broker) else { return Step::Done(Ret::Bool(false)) };
                let group = i.consumers[self.c as usize].config.group;
                let request = Request::LockBatch { group, client_id: i.client_id.clone(), queues: [self.mq].into() };
                i.rpc(cx, t, Target::Addr(addr), request, LOCK_MS)
            }
            Ret::Rpc(Ok(Answer::Locked(granted))) => {
                i.take_locks(cx, self.c, &[self.mq], &granted, false);
                Step::Done(Ret::Bool(granted.contains(&self.mq)))
            }
            Ret::Rpc(Err(error)) => {
                i.note_failure(cx, code::LOCK_BATCH_MQ, &error);
                Step::Done(Ret::Bool(false))
            }
            _ => Step::Done(Ret::Bool(false)),
        }
    }
}

/// `RebalanceImpl#buildProcessQueueTableByBrokerName`: the queues of each broker, brokers as its `HashMap` lists them.
fn queues_by_broker(i: &Instance, c: u16) -> Vec<(BrokerName, Vec<MessageQueue>)> {
    let mut by_broker: BTreeMap<BrokerName, Vec<MessageQueue>> = BTreeMap::new();
    for mq in i.consumers[c as usize].table.keys() {
        by_broker.entry(mq.broker).or_default().push(*mq);
    }
    let mut listed: Vec<_> = by_broker.into_iter().collect();
    JavaMap::Hash.list(&mut listed, |(broker, _)| i.config.names.broker_hash(*broker));
    listed
}

/// `lockAll`: the renewal, every 20 s, one request a broker.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct LockAll {
    c: u16,
    work: Vec<(BrokerName, Vec<MessageQueue>)>,
    next: usize,
    begun: bool,
}

impl LockAll {
    pub(in crate::rocketmq::client) fn new(c: u16) -> Self {
        LockAll { c, work: Vec::new(), next: 0, begun: false }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        if !self.begun {
            self.begun = true;
            self.work = queues_by_broker(i, self.c);
        }
        match ret {
            Ret::Rpc(Ok(Answer::Locked(granted))) => {
                let asked = std::mem::take(&mut self.work[self.next - 1].1);
                i.take_locks(cx, self.c, &asked, &granted, true);
            }
            Ret::Rpc(Err(error)) => i.note_failure(cx, code::LOCK_BATCH_MQ, &error),
            _ => {}
        }
        while let Some((broker, queues)) = self.work.get(self.next) {
            self.next += 1;
            if let Some(addr) = i.master_addr(*broker) {
                let group = i.consumers[self.c as usize].config.group;
                let request = Request::LockBatch { group, client_id: i.client_id.clone(), queues: queues.as_slice().into() };
                return i.rpc(cx, t, Target::Addr(addr), request, LOCK_MS);
            }
        }
        Step::Done(Ret::Unit)
    }
}

/// `unlock(mq, oneway)`, or all queues synchronously at shutdown.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct UnlockQueues {
    c: u16,
    work: Vec<(BrokerName, Vec<MessageQueue>)>,
    next: usize,
    oneway: bool,
}

impl UnlockQueues {
    pub(in crate::rocketmq::client) fn one(c: u16, mq: MessageQueue) -> Self {
        UnlockQueues { c, work: vec![(mq.broker, vec![mq])], next: 0, oneway: true }
    }
    pub(in crate::rocketmq::client) fn all(i: &Instance, c: u16) -> Self {
        UnlockQueues { c, work: queues_by_broker(i, c), next: 0, oneway: false }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        if let Ret::Rpc(Err(error)) = &ret {
            i.note_failure(cx, code::UNLOCK_BATCH_MQ, error);
        }
        while let Some((broker, queues)) = self.work.get(self.next) {
            self.next += 1;
            if let Some(addr) = i.master_addr(*broker) {
                let group = i.consumers[self.c as usize].config.group;
                let request = Request::UnlockBatch { group, client_id: i.client_id.clone(), queues: queues.as_slice().into() };
                return if self.oneway {
                    i.oneway(cx, t, Target::Addr(addr), request, LOCK_MS)
                } else {
                    i.rpc(cx, t, Target::Addr(addr), request, LOCK_MS)
                };
            }
        }
        Step::Done(Ret::Bool(true))
    }
}

/// `tryLockLaterAndReconsume`: lock the queue, then consume in 10 ms, or in 3 s if the lock was refused. It does not look whether the queue
/// has been dropped meanwhile, so it can take the lock of a queue that was just given away.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct TryLockLater {
    c: u16,
    p: u32,
}

impl TryLockLater {
    pub(in crate::rocketmq::client) fn new(c: u16, p: u32) -> Self {
        TryLockLater { c, p }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        match ret {
            Ret::Go => Step::Call(LockOne::new(self.c, i.consumers[self.c as usize].pqs[self.p as usize].mq).into()),
            Ret::Bool(got) => {
                i.submit_orderly_later(cx, self.c, self.p, if got { 10 } else { 3_000 });
                Step::Done(Ret::Unit)
            }
            _ => Step::Done(Ret::Unit),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Mutex,
    ConsumeLock,
    Listening,
    SendingAway,
}

/// `ConsumeMessageOrderlyService.ConsumeRequest`: a stretch of up to 60 s on one queue.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Orderly {
    c: u16,
    p: u32,
    stage: Stage,
    begun_ms: i64,
    messages: SmallVec<[Message; 1]>,
    /// Next failed message to look at, and whether one of them must stay.
    next: usize,
    suspend: bool,
}

impl Orderly {
    fn new(c: u16, p: u32) -> Self {
        Orderly { c, p, stage: Stage::Mutex, begun_ms: 0, messages: SmallVec::new(), next: 0, suspend: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        match (self.stage, ret) {
            (Stage::Mutex, Ret::Go) => {
                if self.dropped(i) {
                    return Step::Done(Ret::Unit);
                }
                match i.lock(cx, t, LockId::Queue(self.c, self.p), None) {
                    Some(_) => self.begin(i, cx, t),
                    None => Step::Block,
                }
            }
            (Stage::Mutex, _) => self.begin(i, cx, t),
            (Stage::ConsumeLock, _) => self.call_listener(i, cx, t),
            (Stage::Listening, Ret::Listened(verdict)) => {
                let ok = verdict == Verdict::Success;
                i.note_left(cx, self.c, self.p, &self.messages, ok);
                i.unlock(cx, LockId::Consume(self.c, self.p));
                if ok {
                    self.commit(i);
                    return self.turn(i, cx, t);
                }
                (self.next, self.suspend) = (0, false);
                self.stage = Stage::SendingAway;
                self.check_reconsume(i, cx, t)
            }
            (Stage::SendingAway, Ret::Bool(sent)) => {
                if !sent {
                    self.suspend = true;
                    self.messages[self.next].reconsume_times += 1;
                }
                self.next += 1;
                self.check_reconsume(i, cx, t)
            }
            _ => Step::Block,
        }
    }

    fn dropped(&self, i: &Instance) -> bool {
        i.consumers[self.c as usize].pqs[self.p as usize].queue.dropped
    }

    /// The task ends; the next one of this queue may go on.
    fn end(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>) -> Step {
        i.unlock(cx, LockId::Queue(self.c, self.p));
        Step::Done(Ret::Unit)
    }

    fn begin(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let max_live = i.settings.rebalance_lock_max_live_time as i64;
        let consumer = &i.consumers[self.c as usize];
        let queue = &consumer.pqs[self.p as usize].queue;
        if consumer.clustering() && !(queue.locked && cx.now.wall_ms - queue.last_lock_ms <= max_live) {
            if !queue.dropped {
                i.try_lock_later(cx, self.c, self.p, 100);
            }
            return self.end(i, cx);
        }
        self.begun_ms = cx.now.wall_ms;
        self.turn(i, cx, t)
    }

    /// One turn of the loop, up to the consume lock.
    fn turn(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let max_live = i.settings.rebalance_lock_max_live_time as i64;
        let longest = i.settings.max_time_consume_continuously as i64;
        let consumer = &mut i.consumers[self.c as usize];
        let clustering = consumer.clustering();
        let batch = consumer.config.settings.consume_message_batch_max_size.max(1) as usize;
        let queue = &mut consumer.pqs[self.p as usize].queue;
        if queue.dropped {
            return self.end(i, cx);
        }
        if clustering && (!queue.locked || cx.now.wall_ms - queue.last_lock_ms > max_live) {
            i.try_lock_later(cx, self.c, self.p, 10);
            return self.end(i, cx);
        }
        if cx.now.wall_ms - self.begun_ms > longest {
            i.submit_orderly_later(cx, self.c, self.p, 10);
            return self.end(i, cx);
        }
        let mut taken = cx.env.pool.take();
        queue.take(batch, cx.now.wall_ms, &mut taken);
        self.messages = SmallVec::from_slice(&taken);
        cx.env.pool.give(taken);
        if self.messages.is_empty() {
            return self.end(i, cx);
        }
        self.stage = Stage::ConsumeLock;
        match i.lock(cx, t, LockId::Consume(self.c, self.p), None) {
            Some(_) => self.call_listener(i, cx, t),
            None => Step::Block,
        }
    }

    fn call_listener(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        if self.dropped(i) {
            i.unlock(cx, LockId::Consume(self.c, self.p));
            return self.end(i, cx);
        }
        self.stage = Stage::Listening;
        i.listen(cx, t, self.c, self.p, &self.messages);
        Step::Block
    }

    fn commit(&mut self, i: &mut Instance) {
        let pq = &mut i.consumers[self.c as usize].pqs[self.p as usize];
        if let Some(offset) = pq.queue.commit()
            && offset >= 0
            && !pq.queue.dropped
        {
            pq.offset = Some(offset as u64);
        }
    }

    /// `checkReconsumeTimes`: messages at their limit are sent to the dead letters; one that stays suspends the whole batch.
    fn check_reconsume(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let consumer = &i.consumers[self.c as usize];
        let setting = consumer.config.settings.max_reconsume_times;
        let max = if setting < 0 { u16::MAX } else { setting.min(u16::MAX as i64) as u16 };
        while let Some(message) = self.messages.get_mut(self.next) {
            if message.reconsume_times >= max {
                let retry = i.config.names.retry_topic(consumer.config.group);
                let away = retry_message(message, retry, message.reconsume_times);
                return Step::Call(Send::internal(0, away, max).into());
            }
            self.suspend = true;
            message.reconsume_times = message.reconsume_times.saturating_add(1);
            self.next += 1;
        }
        if !self.suspend {
            self.commit(i);
            return self.turn(i, cx, t);
        }
        let offsets: SmallVec<[u64; 1]> = self.messages.iter().map(|m| m.queue_offset).collect();
        let queue = &mut i.consumers[self.c as usize].pqs[self.p as usize].queue;
        queue.make_message_to_consume_again(&offsets);
        for message in &self.messages {
            queue.replace(*message);
        }
        i.submit_orderly_later(cx, self.c, self.p, -1);
        self.end(i, cx)
    }
}
