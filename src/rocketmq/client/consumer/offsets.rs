//! Consumer offsets: the in-memory table, its 5 s persistence, the read at the start of a queue.
//!
//! `RemoteBrokerOffsetStore`, `LocalFileOffsetStore`, `RebalancePushImpl#computePullFromWhereWithException` (4.9.8; client spec 4.3 and 9). Offsets are sent
//! oneway, one request a queue, changed or not; the broker takes whatever comes.

use super::rebalance::RemoveUnnecessary;
use crate::base::ids::MessageQueue;
use crate::contract::note::Note;
use crate::rocketmq::client::instance::{Cx, Instance, ServiceState, ThreadId};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::route::UpdateRoute;
use crate::rocketmq::protocol::{Answer, Request, answer_code, code};
use crate::rocketmq::remoting::client::Target;
use crate::rocketmq::settings::ConsumeFromWhere;

/// `persistAllConsumerOffset`: every owned queue of every running consumer.
#[derive(Clone, Debug, Default)]
pub(in crate::rocketmq::client) struct PersistAll {
    work: Vec<(u16, u32)>,
    next: usize,
    begun: bool,
    only: Option<u16>,
}

impl PersistAll {
    /// Of one consumer, whatever its state: the last act of a shutdown.
    pub(in crate::rocketmq::client) fn of(c: u16) -> Self {
        PersistAll { only: Some(c), ..Default::default() }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, _: &mut Cx<'_, '_>, _: ThreadId, _: Ret) -> Step {
        if !self.begun {
            self.begun = true;
            for (c, consumer) in i.consumers.iter().enumerate() {
                let wanted = self.only.map_or(consumer.state == ServiceState::Running, |only| only as usize == c);
                if wanted {
                    self.work.extend(consumer.table.values().map(|p| (c as u16, *p)));
                }
            }
        }
        match self.work.get(self.next) {
            Some((c, p)) => {
                self.next += 1;
                Step::Call(PersistQueue::new(*c, *p).into())
            }
            None => Step::Done(Ret::Unit),
        }
    }
}

/// `persist(mq)`: master first, after a look at the route any broker of the name.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct PersistQueue {
    c: u16,
    p: u32,
    asked_route: bool,
}

impl PersistQueue {
    pub(in crate::rocketmq::client) fn new(c: u16, p: u32) -> Self {
        PersistQueue { c, p, asked_route: false }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        if let Ret::Rpc(result) = ret {
            if let Err(error) = result {
                i.note_failure(cx, code::UPDATE_CONSUMER_OFFSET, &error);
            }
            return Step::Done(Ret::Unit);
        }
        let consumer = &i.consumers[self.c as usize];
        let pq = &consumer.pqs[self.p as usize];
        let (group, queue) = (consumer.config.group, pq.mq);
        let Some(offset) = pq.offset else { return Step::Done(Ret::Unit) };
        if !consumer.clustering() {
            let file = cx.env.disk.client.offsets.entry((i.client_id.clone(), group)).or_default();
            file.insert(queue, offset);
            return Step::Done(Ret::Unit);
        }
        let addr = match (i.master_addr(queue.broker), self.asked_route) {
            (Some(addr), _) => Some(addr),
            (None, true) => i.subscribe_addr(queue.broker, 0, false).map(|(addr, _)| addr),
            (None, false) => {
                self.asked_route = true;
                return Step::Call(UpdateRoute::of(queue.topic).into());
            }
        };
        match addr {
            Some(addr) => i.oneway(cx, t, Target::Addr(addr), Request::UpdateOffset { group, queue, offset }, 5_000),
            None => Step::Done(Ret::Unit),
        }
    }
}

/// `computePullFromWhere`: where a queue that was just taken over begins. Ends with `Ret::Offset`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct ReadOffset {
    c: u16,
    mq: MessageQueue,
    asked_route: bool,
    /// The broker knew no offset: its maximum, or a search by time, was asked for.
    by_policy: bool,
}

impl ReadOffset {
    pub(in crate::rocketmq::client) fn new(c: u16, mq: MessageQueue) -> Self {
        ReadOffset { c, mq, asked_route: false, by_policy: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let consumer = &i.consumers[self.c as usize];
        let group = consumer.config.group;
        match ret {
            Ret::Go if !consumer.clustering() => {
                let file = cx.env.disk.client.offsets.get(&(i.client_id.clone(), group));
                match file.and_then(|f| f.get(&self.mq)).copied() {
                    Some(offset) => Step::Done(Ret::Offset(Ok(offset as i64))),
                    None => self.by_policy(i, cx, t),
                }
            }
            Ret::Go | Ret::Route(_) => self.query(i, cx, t),
            Ret::Rpc(Ok(Answer::Offset(offset))) if self.by_policy => {
                cx.out.note(Note::OffsetInitialised { group, queue: self.mq, offset });
                Step::Done(Ret::Offset(Ok(offset as i64)))
            }
            Ret::Rpc(_) if self.by_policy => Step::Done(Ret::Offset(Err(()))),
            Ret::Rpc(Ok(Answer::Offset(offset))) => Step::Done(Ret::Offset(Ok(offset as i64))),
            // Any error answer counts as "no offset" in 4.x.
            Ret::Rpc(Ok(answer)) => {
                if answer.code() == answer_code::QUERY_NOT_FOUND || i.config.rules.offset_query_error_means_none {
                    self.by_policy(i, cx, t)
                } else {
                    Step::Done(Ret::Offset(Ok(-1)))
                }
            }
            Ret::Rpc(Err(error)) => {
                i.note_failure(cx, code::QUERY_CONSUMER_OFFSET, &error);
                Step::Done(Ret::Offset(Ok(-1)))
            }
            _ => Step::Done(Ret::Offset(Err(()))),
        }
    }

    fn query(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let group = i.consumers[self.c as usize].config.group;
        let addr = match (i.master_addr(self.mq.broker), self.asked_route) {
            (Some(addr), _) => addr,
            (None, false) => {
                self.asked_route = true;
                return Step::Call(UpdateRoute::of(self.mq.topic).into());
            }
            (None, true) => match i.subscribe_addr(self.mq.broker, 0, false) {
                Some((addr, _)) => addr,
                None => return Step::Done(Ret::Offset(Ok(-1))),
            },
        };
        i.rpc(cx, t, Target::Addr(addr), Request::QueryOffset { group, queue: self.mq }, 5_000)
    }

    fn by_policy(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let consumer = &i.consumers[self.c as usize];
        let retry = i.config.names.retry_group(self.mq.topic).is_some();
        let group = consumer.config.group;
        let request = match (consumer.config.settings.consume_from_where, retry) {
            (ConsumeFromWhere::FirstOffset, _) | (ConsumeFromWhere::LastOffset, true) => {
                cx.out.note(Note::OffsetInitialised { group, queue: self.mq, offset: 0 });
                return Step::Done(Ret::Offset(Ok(0)));
            }
            (ConsumeFromWhere::LastOffset, false) | (ConsumeFromWhere::Timestamp, true) => Request::MaxOffset { queue: self.mq },
            // consumeTimestamp defaults to half an hour before the start, whole seconds.
            (ConsumeFromWhere::Timestamp, false) => {
                Request::SearchOffset { queue: self.mq, timestamp_ms: (cx.now.wall_ms - 1_800_000) / 1_000 * 1_000 }
            }
        };
        self.by_policy = true;
        match i.master_addr(self.mq.broker) {
            Some(addr) => i.rpc(cx, t, Target::Addr(addr), request, 6_000),
            None => Step::Done(Ret::Offset(Err(()))),
        }
    }
}

/// 10 s after an offset was found illegal: overwrite it, persist it, give the queue up.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct OffsetFix {
    c: u16,
    p: u32,
    offset: u64,
    stage: u8,
}

impl OffsetFix {
    pub(in crate::rocketmq::client) fn new(c: u16, p: u32, offset: u64) -> Self {
        OffsetFix { c, p, offset, stage: 0 }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, _: &mut Cx<'_, '_>, _: ThreadId, _: Ret) -> Step {
        self.stage += 1;
        let consumer = &mut i.consumers[self.c as usize];
        match self.stage {
            1 => {
                consumer.pqs[self.p as usize].offset = Some(self.offset);
                Step::Call(PersistQueue::new(self.c, self.p).into())
            }
            2 => {
                let mq = consumer.pqs[self.p as usize].mq;
                if consumer.table.get(&mq) == Some(&self.p) {
                    consumer.table.remove(&mq);
                }
                Step::Call(RemoveUnnecessary::new(self.c, self.p).into())
            }
            _ => Step::Done(Ret::Unit),
        }
    }
}
