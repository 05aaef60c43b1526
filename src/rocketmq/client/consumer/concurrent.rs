//! Concurrent consumption: any thread, any order, the offset held back by the smallest message that is not done.
//!
//! `ConsumeMessageConcurrentlyService`, `DefaultMQPushConsumerImpl#sendMessageBack`, `ProcessQueue#cleanExpiredMsg` (4.9.8; client spec 5.6 and 6). A listener's
//! result counts only if its queue has not been dropped meanwhile: otherwise neither the offset moves nor a failed message goes back.

use crate::base::ids::RecordId;
use crate::base::time::MS;
use crate::contract::note::Note;
use crate::contract::{Op as ContractOp, Verdict};
use crate::rocketmq::client::instance::{Cx, Exec, Instance, ThreadId, Tick};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::producer::send::Send;
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Request, answer_code, code};
use crate::rocketmq::remoting::client::Target;
use smallvec::SmallVec;

/// Pause before messages whose send-back failed are tried again locally, ms.
const LOCAL_RETRY_MS: u64 = 5_000;
/// Timeout of a send-back, ms.
const SEND_BACK_MS: u64 = 5_000;

impl Instance {
    /// `submitConsumeRequest`: the pulled list in chunks, one task each. Whether the pool takes them.
    pub(super) fn submit_pulled(&mut self, cx: &mut Cx<'_, '_>, c: u16, p: u32, messages: &[Message]) -> bool {
        let size = self.consumers[c as usize].config.settings.consume_message_batch_max_size.max(1) as usize;
        messages.chunks(size).all(|chunk| self.submit_concurrent(cx, c, p, SmallVec::from_slice(chunk)))
    }

    /// One task. A pool that is shut down rejects it, and so does the scheduler that would try again later: the messages stay in the tree, uncommitted.
    pub(in crate::rocketmq::client) fn submit_concurrent(
        &mut self,
        cx: &mut Cx<'_, '_>,
        c: u16,
        p: u32,
        messages: SmallVec<[Message; 1]>,
    ) -> bool {
        if self.consumers[c as usize].shutting_down {
            return false;
        }
        self.submit(
            cx,
            Exec::Consume(c),
            Concurrent { c, p, messages, begun_ms: 0, failed_from: 0, next: 0, kept: Vec::new() }.into(),
        );
        true
    }

    /// Calls the listener on this thread.
    pub(super) fn listen(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, c: u16, p: u32, messages: &[Message]) {
        let consumer = &self.consumers[c as usize];
        let (group, index) = (consumer.config.group, consumer.index);
        let queue = consumer.pqs[p as usize].mq;
        let first = cx.out.ids.len() as u32;
        for m in messages {
            cx.out.ids.push(m.id);
            let rec = RecordId { queue, log: 0, offset: m.queue_offset };
            cx.out.note(Note::ListenerEntered {
                group,
                consumer: index,
                msg: m.id,
                rec,
                store_ms: m.store_ms,
                reconsume: m.reconsume_times,
            });
        }
        let reconsume_times = messages.first().map_or(0, |m| m.reconsume_times);
        let ticket = (self.number as u32) << 20 | t;
        cx.out.ops.push(ContractOp::Listen { ticket, consumer: index, first, count: messages.len() as u32, reconsume_times });
    }

    pub(super) fn note_left(&self, cx: &mut Cx<'_, '_>, c: u16, p: u32, messages: &[Message], ok: bool) {
        let consumer = &self.consumers[c as usize];
        let queue = consumer.pqs[p as usize].mq;
        for m in messages {
            let rec = RecordId { queue, log: 0, offset: m.queue_offset };
            cx.out.note(Note::ListenerLeft { group: consumer.config.group, consumer: consumer.index, msg: m.id, rec, ok });
        }
    }
}

/// `ConsumeMessageConcurrentlyService.ConsumeRequest`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Concurrent {
    c: u16,
    p: u32,
    messages: SmallVec<[Message; 1]>,
    /// CONSUME_START_TIME of the messages.
    begun_ms: i64,
    /// Messages from here on failed.
    failed_from: usize,
    next: usize,
    /// Failed messages that could not be sent back: they stay in the tree and are tried again here.
    kept: Vec<Message>,
}

impl Concurrent {
    /// Since when the listener has this message of this process queue.
    pub(super) fn started(&self, p: u32, offset: u64) -> Option<i64> {
        (self.p == p && self.messages.iter().any(|m| m.queue_offset == offset)).then_some(self.begun_ms)
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let consumer = &i.consumers[self.c as usize];
        match ret {
            Ret::Go => {
                if consumer.pqs[self.p as usize].queue.dropped {
                    return Step::Done(Ret::Unit);
                }
                self.begun_ms = cx.now.wall_ms;
                i.listen(cx, t, self.c, self.p, &self.messages);
                return Step::Block;
            }
            Ret::Listened(verdict) => {
                let ok = verdict == Verdict::Success;
                i.note_left(cx, self.c, self.p, &self.messages, ok);
                let consumer = &i.consumers[self.c as usize];
                if consumer.pqs[self.p as usize].queue.dropped {
                    return Step::Done(Ret::Unit);
                }
                self.failed_from = if ok { self.messages.len() } else { 0 };
                self.next = self.failed_from;
                if !consumer.clustering() {
                    for m in &self.messages[self.failed_from..] {
                        cx.out.note(Note::GivenUp { group: consumer.config.group, msg: m.id });
                    }
                    self.next = self.messages.len();
                }
            }
            Ret::Bool(sent) => {
                if !sent {
                    let mut message = self.messages[self.next];
                    message.reconsume_times += 1;
                    self.kept.push(message);
                }
                self.next += 1;
            }
            _ => return Step::Block,
        }
        if let Some(message) = self.messages.get(self.next) {
            return Step::Call(SendBack::new(self.c, *message, 0).into());
        }
        self.settle(i, cx)
    }

    /// The tree loses what is done; the offset is its smallest rest.
    fn settle(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>) -> Step {
        let done: SmallVec<[u64; 1]> =
            self.messages.iter().map(|m| m.queue_offset).filter(|o| !self.kept.iter().any(|k| k.queue_offset == *o)).collect();
        let pq = &mut i.consumers[self.c as usize].pqs[self.p as usize];
        let offset = pq.queue.remove(&done, cx.now.wall_ms);
        if offset >= 0 && !pq.queue.dropped {
            pq.offset = Some(pq.offset.map_or(offset as u64, |o| o.max(offset as u64)));
        }
        if !self.kept.is_empty() {
            let kept = std::mem::take(&mut self.kept);
            i.timers.set(cx.now.mono + LOCAL_RETRY_MS * MS, Tick::ConsumeLater(self.c, self.p, kept.into_boxed_slice()));
        }
        Step::Done(Ret::Unit)
    }
}

/// `sendMessageBack`: to the message's broker, and on any failure as a new message to the retry topic. Ends with whether either worked.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct SendBack {
    c: u16,
    message: Message,
    level: i8,
    fell_back: bool,
}

impl SendBack {
    pub(in crate::rocketmq::client) fn new(c: u16, message: Message, level: i8) -> Self {
        SendBack { c, message, level, fell_back: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let consumer = &i.consumers[self.c as usize];
        let group = consumer.config.group;
        let max = consumer.max_reconsume_times();
        match ret {
            Ret::Go => {
                let broker = consumer
                    .pqs
                    .iter()
                    .rev()
                    .find(|p| p.mq.topic == self.message.topic && p.mq.queue_id == self.message.queue_id as i32);
                // An unknown master is a null address: the request goes to the nameserver, which stays silent.
                let target = match broker.and_then(|p| i.master_addr(p.mq.broker)) {
                    Some(addr) => Target::Addr(addr),
                    None => Target::Nameserver,
                };
                let request = Request::SendBack {
                    group,
                    phys: self.message.phys,
                    delay_level: self.level,
                    max_reconsume_times: max,
                    origin: Box::new(self.message),
                };
                i.rpc(cx, t, target, request, SEND_BACK_MS)
            }
            Ret::Rpc(Ok(answer)) if answer.code() == answer_code::SUCCESS => Step::Done(Ret::Bool(true)),
            Ret::Rpc(result) => {
                if let Err(error) = result {
                    i.note_failure(cx, code::CONSUMER_SEND_MSG_BACK, &error);
                }
                self.fell_back = true;
                let message = retry_message(&self.message, i.config.names.retry_topic(group), self.message.reconsume_times + 1);
                Step::Call(Send::internal(0, message, max).into())
            }
            Ret::Bool(ok) => Step::Done(Ret::Bool(ok)),
            _ => Step::Block,
        }
    }
}

/// The message that a client itself sends to a retry topic: delay level 3 + reconsumeTimes, whatever level was wanted.
pub(super) fn retry_message(message: &Message, retry: crate::base::ids::TopicId, reconsume_times: u16) -> Message {
    Message {
        topic: retry,
        real_topic: retry,
        reconsume_times,
        delay_level: (3 + message.reconsume_times).min(255) as u8,
        flags: Message::RETRY_BY_CLIENT,
        ..*message
    }
}

/// `cleanExpireMsg`: heads of trees that were begun more than consumeTimeout ago go back at level 3, while their listener still runs.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct CleanExpired {
    c: u16,
    queues: Vec<u32>,
    next: usize,
    rounds: u8,
    sending: Option<u64>,
    begun: bool,
}

impl CleanExpired {
    pub(in crate::rocketmq::client) fn new(c: u16) -> Self {
        CleanExpired { c, queues: Vec::new(), next: 0, rounds: 0, sending: None, begun: false }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, _: Ret) -> Step {
        if !self.begun {
            self.begun = true;
            self.queues = i.consumers[self.c as usize].table.values().copied().collect();
        }
        let timeout_ms = i.consumers[self.c as usize].config.settings.consume_timeout as i64 * 60_000;
        while let Some(p) = self.queues.get(self.next).copied() {
            if let Some(offset) = self.sending.take() {
                let queue = &mut i.consumers[self.c as usize].pqs[p as usize].queue;
                if queue.head().is_some_and(|m| m.queue_offset == offset) {
                    queue.remove(&[offset], cx.now.wall_ms);
                }
            }
            let queue = &i.consumers[self.c as usize].pqs[p as usize].queue;
            let started = i.consume_started(self.c, p);
            if self.rounds < 16
                && let Some(head) = queue.head().copied()
                && started.is_some_and(|(offset, since)| offset == head.queue_offset && cx.now.wall_ms - since > timeout_ms)
            {
                self.rounds += 1;
                self.sending = Some(head.queue_offset);
                return Step::Call(SendBack::new(self.c, head, 3).into());
            }
            self.rounds = 0;
            self.next += 1;
        }
        Step::Done(Ret::Unit)
    }
}
