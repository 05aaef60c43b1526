//! Pulling: one request a queue, always either in the thread's FIFO, delayed, or in flight.
//!
//! `PullMessageService`, `DefaultMQPushConsumerImpl#pullMessage`, `PullAPIWrapper` (4.9.8; client spec 4.4 to 4.7). The pull thread serves all groups of an
//! instance; the steps that block it (a connect, a route look-up, the start offset of a queue newly locked) are a routine of their own.

use super::offsets::ReadOffset;
use crate::base::draw::Purpose;
use crate::base::ids::mix;
use crate::base::time::MS;
use crate::contract::WorkClass;
use crate::contract::note::{Note, RevokeWhy};
use crate::rocketmq::client::instance::{Cx, Exec, Instance, ServiceState, ThreadId, Tick, Token};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::route::UpdateRoute;
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, PullRequest, Request, answer_code, code};
use crate::rocketmq::remoting::client::{Invoke, RpcError, Target};

/// Pause while the local cache is full, ms.
const FLOW_CONTROL_MS: u64 = 50;
/// Pause after FLOW_CONTROL, ms.
const BROKER_FLOW_CONTROL_MS: u64 = 20;
/// `BROKER_SUSPEND_MAX_TIME_MILLIS`.
pub const SUSPEND_MS: u32 = 15_000;
/// `CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND`.
pub const TIMEOUT_MS: u64 = 30_000;
/// Delay of the fix of an illegal offset, ms.
const OFFSET_FIX_MS: u64 = 10_000;

/// What a pull step needs first, when it cannot go on at once.
enum Need {
    StartOffset,
    Route,
    Connect(crate::base::ids::Addr),
}

impl Instance {
    /// The pull thread: steps until its FIFO is empty or a step blocks it.
    pub(in crate::rocketmq::client) fn serve_pulls(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some((c, p)) = self.pull_queue.pop_front() {
            if let Some(need) = self.pull(cx, c, p) {
                self.pull_blocked = true;
                let op = PullBlocking {
                    c,
                    p,
                    need: match need {
                        Need::StartOffset => Waiting::StartOffset,
                        Need::Route => Waiting::Route,
                        Need::Connect(addr) => Waiting::Connect(addr),
                    },
                };
                self.submit(cx, Exec::Pull, op.into());
                return;
            }
        }
    }

    /// What the pull thread is woken by: the first pull of a queue is handed over by the thread that rebalances, a further one by the callback of an answer.
    pub(in crate::rocketmq::client) fn next_pull_comes_by(&self) -> WorkClass {
        let first = |(c, p): &(u16, u32)| self.consumers[*c as usize].pqs[*p as usize].tried_offset == -1;
        if self.pull_queue.front().is_some_and(first) { WorkClass::HandOver } else { WorkClass::Resume }
    }

    fn pull_later(&mut self, cx: &Cx<'_, '_>, c: u16, p: u32, ms: u64) {
        let at = cx.now.mono + ms * MS;
        self.pulls_put_off_until = self.pulls_put_off_until.max(at);
        self.timers.set(at, Tick::PullLater(c, p));
    }

    /// `pullMessage`: first match wins.
    fn pull(&mut self, cx: &mut Cx<'_, '_>, c: u16, p: u32) -> Option<Need> {
        let exception_ms = self.settings.pull_time_delay_mills_when_exception;
        let consumer = &mut self.consumers[c as usize];
        let state = consumer.state;
        let (threshold, threshold_size) = (consumer.threshold_for_queue, consumer.threshold_size_for_queue);
        let (orderly, clustering) = (consumer.config.orderly, consumer.clustering());
        let max_span = consumer.config.settings.consume_concurrently_max_span;
        let pq = &mut consumer.pqs[p as usize];
        if pq.queue.dropped {
            return None;
        }
        pq.queue.last_pull_ms = cx.now.wall_ms;
        if state != ServiceState::Running {
            self.pull_later(cx, c, p, exception_ms);
            return None;
        }
        if pq.queue.count() > threshold as i64 || (pq.queue.bytes() >> 20) > threshold_size as i64 {
            self.pull_later(cx, c, p, FLOW_CONTROL_MS);
            return None;
        }
        if !orderly {
            if pq.queue.max_span() > max_span {
                self.pull_later(cx, c, p, FLOW_CONTROL_MS);
                return None;
            }
        } else if !pq.queue.locked {
            self.pull_later(cx, c, p, exception_ms);
            return None;
        } else if !pq.previously_locked {
            return Some(Need::StartOffset);
        }
        let mq = pq.mq;
        let Some(subscribed) = consumer.subscriptions.get(&mq.topic) else {
            self.pull_later(cx, c, p, exception_ms);
            return None;
        };
        let sub_version = subscribed.sub_version;
        let pq = &mut consumer.pqs[p as usize];
        let suggested = pq.suggested;
        let Some((addr, slave)) = self.subscribe_addr(mq.broker, suggested, false) else { return Some(Need::Route) };
        if !self.remoting.is_active(addr) {
            return Some(Need::Connect(addr));
        }
        let consumer = &mut self.consumers[c as usize];
        let group = consumer.config.group;
        let max_msg_nums = consumer.config.settings.pull_batch_size as u16;
        let pq = &mut consumer.pqs[p as usize];
        // An offset of 0 is never piggy-backed, and nothing is on a pull to a slave.
        let commit_offset = pq.offset.filter(|o| clustering && *o > 0 && !slave);
        if pq.tried_offset == pq.next_offset {
            pq.tries += 1;
        } else {
            (pq.tried_offset, pq.tries) = (pq.next_offset, 0);
        }
        let luck = cx.env.draws.luck(pq.entity, Purpose::Pull, mix(pq.next_offset as u64) ^ pq.tries);
        let pull = PullRequest {
            group,
            topic: mq.topic,
            queue_id: mq.queue_id,
            offset: pq.next_offset,
            max_msg_nums,
            commit_offset,
            suspend_timeout_ms: SUSPEND_MS,
            sub_version,
        };
        self.remoting.call(
            &mut cx.net(),
            Invoke::Async,
            Target::Addr(addr),
            Request::Pull(pull),
            TIMEOUT_MS,
            luck,
            Token::Pull(c, p),
        );
        None
    }

    /// `PullCallback`: on the callback pool.
    pub(in crate::rocketmq::client) fn pull_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        c: u16,
        p: u32,
        result: Result<Answer, RpcError>,
    ) {
        let exception_ms = self.settings.pull_time_delay_mills_when_exception;
        match result {
            Ok(Answer::Pulled { code, next_begin, max, suggest_broker_id, messages, .. }) => {
                self.consumers[c as usize].pqs[p as usize].suggested = suggest_broker_id;
                match code {
                    answer_code::SUCCESS => return self.pull_found(cx, c, p, next_begin, max, messages),
                    answer_code::PULL_OFFSET_MOVED => self.pull_illegal(cx, c, p, next_begin),
                    _ => {
                        let consumer = &mut self.consumers[c as usize];
                        let pq = &mut consumer.pqs[p as usize];
                        if code == answer_code::PULL_RETRY_IMMEDIATELY && pq.next_offset == next_begin as i64 {
                            cx.out.note(Note::PulledInVain { group: consumer.config.group });
                        }
                        cx.out.note(Note::PulledNothing { group: consumer.config.group, queue: pq.mq });
                        pq.next_offset = next_begin as i64;
                        if pq.queue.count() == 0 && !pq.queue.dropped {
                            pq.offset = Some(pq.offset.map_or(next_begin, |o| o.max(next_begin)));
                        }
                        self.pull_queue.push_back((c, p));
                    }
                }
                cx.env.pool.give(messages);
            }
            Ok(answer) => {
                let flow = answer.code() == answer_code::FLOW_CONTROL && self.config.rules.flow_control_pause;
                self.pull_later(cx, c, p, if flow { BROKER_FLOW_CONTROL_MS } else { exception_ms });
            }
            Err(error) => {
                self.pull_failed(cx, c, p, &error);
                self.pull_later(cx, c, p, exception_ms);
            }
        }
    }

    fn pull_failed(&self, cx: &mut Cx<'_, '_>, c: u16, p: u32, error: &RpcError) {
        self.note_failure(cx, code::PULL_MESSAGE, error);
        let consumer = &self.consumers[c as usize];
        let (group, queue) = (consumer.config.group, consumer.pqs[p as usize].mq);
        cx.out.note(Note::PullFailed { group, queue, why: error.why });
    }

    fn pull_found(&mut self, cx: &mut Cx<'_, '_>, c: u16, p: u32, next_begin: u64, max: u64, mut messages: Vec<Message>) {
        let consumer = &mut self.consumers[c as usize];
        let (group, orderly) = (consumer.config.group, consumer.config.orderly);
        let pull_interval = consumer.config.settings.pull_interval;
        let mq = consumer.pqs[p as usize].mq;
        // The second filter, with this member's own tags.
        if let Some(codes) = consumer.subscriptions.get(&mq.topic).and_then(|s| s.codes.clone()) {
            messages.retain(|m| codes.contains(&m.tag_code));
        }
        let pq = &mut consumer.pqs[p as usize];
        let from = pq.next_offset.max(0) as u64;
        pq.next_offset = next_begin as i64;
        if messages.is_empty() {
            self.pull_queue.push_back((c, p));
            return cx.env.pool.give(messages);
        }
        cx.out.note(Note::Pulled { group, queue: mq, from, to: next_begin, count: messages.len() as u16 });
        let dispatch = pq.queue.put(messages.iter().copied(), Some(max));
        let taken = match orderly {
            true => !dispatch || self.submit_orderly(cx, c, p, WorkClass::Delivery),
            false => self.submit_pulled(cx, c, p, &messages),
        };
        if !taken {
            self.pull_later(cx, c, p, self.settings.pull_time_delay_mills_when_exception);
        } else if pull_interval > 0 {
            self.pull_later(cx, c, p, pull_interval)
        } else {
            self.pull_queue.push_back((c, p))
        }
        cx.env.pool.give(messages);
    }

    /// The queue is dropped at once; 10 s later the offset is corrected, and the next rebalance brings the queue back.
    fn pull_illegal(&mut self, cx: &mut Cx<'_, '_>, c: u16, p: u32, next_begin: u64) {
        let consumer = &mut self.consumers[c as usize];
        let group = consumer.config.group;
        let pq = &mut consumer.pqs[p as usize];
        cx.out.note(Note::OffsetCorrected { group, queue: pq.mq, from: pq.next_offset, to: next_begin });
        pq.next_offset = next_begin as i64;
        if !pq.queue.dropped {
            pq.queue.dropped = true;
            cx.out.note(Note::Revoked { group, queue: pq.mq, why: RevokeWhy::OffsetIllegal });
        }
        self.timers.set(cx.now.mono + OFFSET_FIX_MS * MS, Tick::OffsetFix(c, p, next_begin));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    StartOffset,
    Route,
    Connect(crate::base::ids::Addr),
}

/// The part of a pull step that blocks the pull thread.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct PullBlocking {
    c: u16,
    p: u32,
    need: Waiting,
}

impl PullBlocking {
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let exception_ms = i.settings.pull_time_delay_mills_when_exception;
        let mut again = true;
        match (self.need, ret) {
            (Waiting::StartOffset, Ret::Go) => {
                let mq = i.consumers[self.c as usize].pqs[self.p as usize].mq;
                return Step::Call(ReadOffset::new(self.c, mq).into());
            }
            (Waiting::StartOffset, Ret::Offset(Ok(offset))) => {
                let pq = &mut i.consumers[self.c as usize].pqs[self.p as usize];
                pq.previously_locked = true;
                pq.next_offset = offset;
                pq.offset = u64::try_from(offset).ok().or(pq.offset);
            }
            (Waiting::Route, Ret::Go) => {
                let topic = i.consumers[self.c as usize].pqs[self.p as usize].mq.topic;
                return Step::Call(UpdateRoute::of(topic).into());
            }
            (Waiting::Route, _) => {
                let pq = &i.consumers[self.c as usize].pqs[self.p as usize];
                again = i.subscribe_addr(pq.mq.broker, pq.suggested, false).is_some();
            }
            (Waiting::Connect(addr), Ret::Go) => {
                let luck = i.luck(cx);
                let request = Request::ConsumerList { group: i.consumers[self.c as usize].config.group };
                return i.rpc_with(cx, t, Invoke::Connect, Target::Addr(addr), request, 3_000, luck);
            }
            (Waiting::Connect(_), Ret::Rpc(Ok(_))) => {}
            (Waiting::Connect(_), Ret::Rpc(Err(error))) => {
                i.pull_failed(cx, self.c, self.p, &error);
                again = false;
            }
            _ => again = false,
        }
        i.pull_blocked = false;
        if again {
            // It is the pull thread that goes on; nobody has to wake it.
            i.pull_awake = true;
            i.pull_queue.push_front((self.c, self.p));
        } else {
            i.pull_later(cx, self.c, self.p, exception_ms);
        }
        Step::Done(Ret::Unit)
    }
}
