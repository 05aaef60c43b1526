//! Sending: the synchronous budget and its retries, oneway, selector sends, and the asynchronous path.
//!
//! `DefaultMQProducerImpl#sendDefaultImpl`, `#sendKernelImpl`, `#sendSelectImpl`, `#tryToFindTopicPublishInfo`, `MQClientAPIImpl#sendMessageAsync` and
//! `#onExceptionImpl` (4.9.8; client spec 2.3 to 2.9). One budget serves all attempts of a call, so a broker that hangs eats the
//! retries; only fast failures are really tried again. `sendMsgMaxTimeoutPerRequest` (`#sendDefaultImpl`, 5.3.3) leaves some of it to the attempts
//! that may follow; it bounds the wait for an answer, while a connect lasts as long as `connectTimeoutMillis` says.

use super::parcel::Parcel;
use crate::base::draw::Purpose;
use crate::base::ids::{BrokerName, MessageQueue, TopicId};
use crate::contract::note::{AttemptError, ONEWAY_OFFSET, RpcFailure, SendEnd, SendError, SendStatus};
use crate::rocketmq::client::config::SendMode;
use crate::rocketmq::client::instance::{Cx, Exec, Instance, ServiceState, ThreadId, Token};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::route::UpdateRoute;
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, Request, SendRequest, answer_code};
use crate::rocketmq::remoting::client::{Invoke, RpcError, Target};

/// Codes that a synchronous send tries again (`DefaultMQProducer.retryResponseCodes`).
const RETRY_CODES: [u16; 6] = [
    answer_code::TOPIC_NOT_EXIST,
    answer_code::SERVICE_NOT_AVAILABLE,
    answer_code::SYSTEM_ERROR,
    answer_code::NO_PERMISSION,
    answer_code::NO_BUYER_ID,
    answer_code::NOT_IN_CURRENT_UNIT,
];

/// `DefaultMQProducerImpl.asyncSenderThreadPoolQueue` capacity.
const ASYNC_QUEUE: usize = 50_000;

fn attempt_error(error: &RpcError) -> AttemptError {
    match error.why {
        RpcFailure::Connect => AttemptError::Connect,
        RpcFailure::Timeout => AttemptError::Timeout,
        RpcFailure::ChannelClosed => AttemptError::ChannelClosed,
        RpcFailure::TooMuchRequest => AttemptError::TooMuchRequest,
    }
}

fn status(code: u16) -> Option<SendStatus> {
    match code {
        answer_code::SUCCESS => Some(SendStatus::SendOk),
        answer_code::FLUSH_DISK_TIMEOUT => Some(SendStatus::FlushDiskTimeout),
        answer_code::FLUSH_SLAVE_TIMEOUT => Some(SendStatus::FlushSlaveTimeout),
        answer_code::SLAVE_NOT_AVAILABLE => Some(SendStatus::SlaveNotAvailable),
        _ => None,
    }
}

/// `tryToFindTopicPublishInfo`: up to two synchronous route requests. Ends with whether there is a usable list.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct FindPublishInfo {
    p: u16,
    topic: TopicId,
    asked: u8,
}

impl FindPublishInfo {
    pub(in crate::rocketmq::client) fn new(p: u16, topic: TopicId) -> Self {
        FindPublishInfo { p, topic, asked: 0 }
    }
    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, _: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        if let Ret::Route(Err(())) = ret {
            return Step::Done(Ret::Route(Err(())));
        }
        let producer = &mut i.producers[self.p as usize];
        let (ok, have_route) = producer.info(self.topic).map_or((false, false), |info| (info.ok(), info.have_route));
        if ok || (self.asked >= 1 && have_route) || self.asked >= 2 {
            return Step::Done(Ret::Bool(ok));
        }
        self.asked += 1;
        if self.asked == 1 {
            producer.place_holder(self.topic);
            return Step::Call(UpdateRoute::of(self.topic).into());
        }
        let (key, queues) = (producer.config.create_topic_key, producer.config.settings.default_topic_queue_nums as u32);
        Step::Call(UpdateRoute::default_of(self.topic, key, queues).into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Finding,
    /// The broker of the chosen queue has no known address: one more look at the route.
    FindingAddress,
    Sent,
}

/// What is sent.
#[derive(Clone, Debug)]
enum What {
    Parcel(Parcel),
    /// By the internal producer, with its maxReconsumeTimes. Rare, so that an ordinary send stays small.
    Internal(Box<(Message, u16)>),
}

/// A synchronous or oneway send, of the application or of the instance's internal producer.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Send {
    p: u16,
    what: What,
    stage: Stage,
    first_ms: i64,
    begin_ms: i64,
    /// What this attempt may take, from `begin_ms` on.
    budget_ms: i64,
    attempts: u8,
    queue: Option<MessageQueue>,
    /// Broker of the last attempt that came to a request: the next one is chosen before the budget is looked at.
    tried: Option<BrokerName>,
    acked: Option<SendEnd>,
    error: Option<AttemptError>,
    maybe_stored: bool,
    call_timeout: bool,
}

impl Send {
    /// `send(msg)` by the application.
    pub(in crate::rocketmq::client) fn application(p: u16, parcel: Parcel) -> Self {
        Self::new(p, What::Parcel(parcel))
    }
    /// A send by the internal producer: the fallback of a failed send-back.
    pub(in crate::rocketmq::client) fn internal(p: u16, message: Message, max_reconsume_times: u16) -> Self {
        Self::new(p, What::Internal(Box::new((message, max_reconsume_times))))
    }
    fn new(p: u16, what: What) -> Self {
        Send {
            p,
            what,
            stage: Stage::Begin,
            first_ms: 0,
            begin_ms: 0,
            budget_ms: 0,
            attempts: 0,
            queue: None,
            tried: None,
            acked: None,
            error: None,
            maybe_stored: false,
            call_timeout: false,
        }
    }

    /// The application's messages while their call is under way.
    pub(in crate::rocketmq::client) fn open(&self) -> Option<&Parcel> {
        self.parcel().filter(|_| self.stage != Stage::Begin)
    }
    fn parcel(&self) -> Option<&Parcel> {
        if let What::Parcel(parcel) = &self.what { Some(parcel) } else { None }
    }
    fn topic(&self) -> TopicId {
        match &self.what {
            What::Parcel(parcel) => parcel.topic(),
            What::Internal(internal) => internal.0.topic,
        }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        match (self.stage, ret) {
            (Stage::Begin, _) => self.begin(i, cx, t),
            (Stage::Finding, Ret::Bool(true)) => self.attempt(i, cx, t),
            (Stage::Finding, Ret::Route(Err(()))) | (Stage::FindingAddress, Ret::Route(Err(()))) => {
                self.finish(i, cx, t, Err(SendError::NameServerUnreachable))
            }
            (Stage::Finding, _) => {
                let error = if i.config.nameservers.is_empty() { SendError::NoNameServer } else { SendError::NoRoute };
                self.finish(i, cx, t, Err(error))
            }
            (Stage::FindingAddress, _) => self.kernel(i, cx, t),
            (Stage::Sent, Ret::Rpc(result)) => self.answered(i, cx, t, result),
            (Stage::Sent, _) => Step::Block,
        }
    }

    fn begin(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let producer = &mut i.producers[self.p as usize];
        self.first_ms = cx.now.wall_ms;
        if let What::Parcel(parcel) = &self.what {
            parcel.note_began(cx);
            if producer.state != ServiceState::Running {
                return self.finish(i, cx, 0, Err(SendError::NotRunning));
            }
            if let Err(illegal) = producer.check_message(&i.config.names, parcel) {
                return self.finish(i, cx, 0, Err(SendError::Illegal(illegal.code as i16)));
            }
        }
        self.stage = Stage::Finding;
        let topic = self.topic();
        // Mostly the list is there and nothing has to be found.
        if producer.info(topic).is_some_and(|info| info.ok()) {
            return self.attempt(i, cx, t);
        }
        Step::Call(FindPublishInfo::new(self.p, topic).into())
    }

    fn key(&self) -> Option<u32> {
        self.parcel().and_then(|parcel| parcel.key())
    }

    /// One turn of the loop of `sendDefaultImpl`.
    fn attempt(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let producer = &i.producers[self.p as usize];
        let config = &producer.config;
        let sync = config.mode == SendMode::Sync || self.parcel().is_none();
        let most = match (sync, self.key()) {
            (true, None) => 1 + config.settings.retry_times_when_send_failed.min(250) as u8,
            _ => 1,
        };
        if self.attempts >= most {
            return self.exhausted(i, cx, t);
        }
        let timeout = config.settings.send_msg_timeout as i64;
        let queue = match self.key() {
            Some(key) => producer.info(self.topic()).and_then(|info| {
                let n = info.queues.len();
                (n > 0).then(|| info.queues[key as usize % n])
            }),
            None => {
                let ordinal = i.thread(t).ordinal;
                i.select_queue(cx, self.p, self.topic(), ordinal, self.queue.map(|q| q.broker))
            }
        };
        let Some(queue) = queue else { return self.exhausted(i, cx, t) };
        self.queue = Some(queue);
        self.begin_ms = cx.now.wall_ms;
        if timeout < self.begin_ms - self.first_ms {
            self.call_timeout = true;
            return self.exhausted(i, cx, t);
        }
        self.attempts += 1;
        self.budget_ms = timeout - (self.begin_ms - self.first_ms);
        let at_most = i.producers[self.p as usize].config.settings.send_msg_max_timeout_per_request;
        if at_most > -1 && self.attempts < most {
            self.budget_ms = self.budget_ms.min(at_most);
        }
        if i.master_addr(queue.broker).is_none() {
            self.stage = Stage::FindingAddress;
            return Step::Call(FindPublishInfo::new(self.p, queue.topic).into());
        }
        self.kernel(i, cx, t)
    }

    /// `sendKernelImpl`: the request itself.
    fn kernel(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let Some(queue) = self.queue else { return self.exhausted(i, cx, t) };
        let Some(addr) = i.master_addr(queue.broker) else {
            self.tried = Some(queue.broker);
            return self.failed(i, cx, t, AttemptError::BrokerNotExist, false);
        };
        let config = &i.producers[self.p as usize].config;
        let left = self.budget_ms - (cx.now.wall_ms - self.begin_ms);
        if left < 0 {
            return self.failed(i, cx, t, AttemptError::TooMuchRequest, false);
        }
        self.tried = Some(queue.broker);
        let mut invoke = Invoke::Sync;
        let (request, luck) = match &self.what {
            What::Parcel(parcel) => {
                if config.mode == SendMode::Oneway {
                    invoke = Invoke::Oneway;
                }
                let attempt = self.attempts - 1;
                parcel.note_attempted(cx, attempt, queue);
                let luck = cx.env.draws.luck(config.entity, Purpose::Send, parcel.id().n() << 4 | (attempt as u64 & 15));
                (parcel.request(cx, config, queue.queue_id), luck)
            }
            What::Internal(internal) => {
                let send = SendRequest {
                    group: config.group,
                    queue_id: queue.queue_id,
                    default_topic: config.create_topic_key,
                    default_queues: config.settings.default_topic_queue_nums as u16,
                    max_reconsume_times: internal.1,
                    message: internal.0,
                };
                (Request::Send(cx.env.pool.boxed(send)), i.luck(cx))
            }
        };
        self.stage = Stage::Sent;
        i.rpc_with(cx, t, invoke, Target::Addr(addr), request, left as u64, luck)
    }

    fn answered(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, result: Result<Answer, RpcError>) -> Step {
        let Some(queue) = self.queue else { return self.exhausted(i, cx, t) };
        let latency = cx.now.wall_ms - self.begin_ms;
        let config = &i.producers[self.p as usize].config;
        let (oneway, next_if_not_stored) =
            (config.mode == SendMode::Oneway, config.settings.retry_another_broker_when_not_store_ok);
        match result {
            Ok(Answer::Sent { code, queue_id, queue_offset, .. }) if status(code).is_some() => {
                let status = status(code).unwrap_or(SendStatus::SendOk);
                let queue = MessageQueue { queue_id, ..queue };
                if self.key().is_none() {
                    i.update_fault_item(cx, self.p, queue.broker, latency, false);
                }
                let end = SendEnd::Acked { status, queue, offset: queue_offset };
                if status != SendStatus::SendOk && next_if_not_stored && self.key().is_none() {
                    self.acked = Some(end);
                    return self.attempt(i, cx, t);
                }
                self.finish(i, cx, t, Ok(end))
            }
            // A oneway request ends when it is written: nobody ever learns an offset.
            Ok(_) if oneway => {
                i.update_fault_item(cx, self.p, queue.broker, latency, false);
                self.finish(i, cx, t, Ok(SendEnd::Acked { status: SendStatus::SendOk, queue, offset: ONEWAY_OFFSET }))
            }
            Ok(answer) => {
                let code = answer.code();
                if self.key().is_none() {
                    i.update_fault_item(cx, self.p, queue.broker, latency, true);
                }
                let error = AttemptError::Broker(code);
                self.note_attempt_failed(cx, error);
                let config = &i.producers[self.p as usize].config;
                if self.key().is_none() && (RETRY_CODES.contains(&code) || config.retry_response_codes.contains(&code)) {
                    self.error = Some(error);
                    return self.attempt(i, cx, t);
                }
                match self.acked.take() {
                    Some(end) => self.finish(i, cx, t, Ok(end)),
                    None => self.finish(i, cx, t, Err(SendError::Refused(error))),
                }
            }
            Err(error) => {
                let written = error.written;
                self.failed(i, cx, t, attempt_error(&error), written)
            }
        }
    }

    fn failed(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, error: AttemptError, written: bool) -> Step {
        self.maybe_stored |= written;
        self.error = Some(error);
        self.note_attempt_failed(cx, error);
        if let (Some(queue), None) = (self.queue, self.key()) {
            i.update_fault_item(cx, self.p, queue.broker, cx.now.wall_ms - self.begin_ms, true);
        }
        self.attempt(i, cx, t)
    }

    fn note_attempt_failed(&self, cx: &mut Cx<'_, '_>, error: AttemptError) {
        if let (Some(parcel), Some(queue)) = (self.parcel(), self.queue) {
            parcel.note_attempt_failed(cx, self.attempts.saturating_sub(1), queue.broker, error);
        }
    }

    /// After the loop: a remembered result, else the error of the last attempt.
    fn exhausted(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let result = match (self.acked.take(), self.call_timeout, self.error) {
            (Some(end), _, _) => Ok(end),
            (None, true, _) => Err(SendError::CallTimeout),
            (None, false, Some(last)) => Err(SendError::Exhausted { last }),
            (None, false, None) => Err(SendError::NoRoute),
        };
        self.finish(i, cx, t, result)
    }

    fn finish(&mut self, _: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, result: Result<SendEnd, SendError>) -> Step {
        let broker = self.tried;
        let ok = result.is_ok();
        if let What::Parcel(parcel) = &self.what {
            let end = result.unwrap_or_else(|error| end_of(error, broker, self.maybe_stored));
            parcel.note_ended(cx, end, self.attempts);
        }
        Step::Done(Ret::Bool(ok))
    }
}

fn end_of(error: SendError, broker: Option<BrokerName>, maybe_stored: bool) -> SendEnd {
    if maybe_stored { SendEnd::Unknown { error, broker } } else { SendEnd::Failed { error, broker } }
}

// ---- asynchronous sends

/// A send with a callback, once its first request is under way.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct AsyncSend {
    p: u16,
    parcel: Parcel,
    queue: MessageQueue,
    /// Broker of the current attempt; the header keeps the first choice.
    broker: BrokerName,
    timeout_ms: i64,
    begin_ms: i64,
    attempts: u8,
    maybe_stored: bool,
}

/// The body of `send(msg, callback)` on the async-send pool.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct StartAsync {
    p: u16,
    parcel: Parcel,
    queued_ms: i64,
    send: Option<Box<AsyncSend>>,
    stage: u8,
}

impl AsyncSend {
    pub(in crate::rocketmq::client) fn parcel(&self) -> &Parcel {
        &self.parcel
    }
}

impl StartAsync {
    pub(in crate::rocketmq::client) fn parcel(&self) -> &Parcel {
        &self.parcel
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let config = i.producers[self.p as usize].config.clone();
        match (self.stage, ret) {
            (0, _) => {
                if config.settings.send_msg_timeout as i64 <= cx.now.wall_ms - self.queued_ms {
                    return self.fail(cx, SendError::Rejected);
                }
                let producer = &mut i.producers[self.p as usize];
                if let Err(illegal) = producer.check_message(&i.config.names, &self.parcel) {
                    return self.fail(cx, SendError::Illegal(illegal.code as i16));
                }
                self.stage = 1;
                Step::Call(FindPublishInfo::new(self.p, self.parcel.topic()).into())
            }
            (1, Ret::Bool(true)) => {
                let queue = match self.parcel.key() {
                    Some(key) => {
                        let queues = i.producers[self.p as usize]
                            .info(self.parcel.topic())
                            .map(|info| info.queues.clone())
                            .unwrap_or_default();
                        if queues.is_empty() { None } else { Some(queues[key as usize % queues.len()]) }
                    }
                    None => {
                        let ordinal = i.thread(t).ordinal;
                        i.select_queue(cx, self.p, self.parcel.topic(), ordinal, None)
                    }
                };
                let Some(queue) = queue else { return self.fail(cx, SendError::NoRoute) };
                let timeout_ms = config.settings.send_msg_timeout as i64 - (cx.now.wall_ms - self.queued_ms);
                let send = AsyncSend {
                    p: self.p,
                    parcel: self.parcel.clone(),
                    queue,
                    broker: queue.broker,
                    timeout_ms,
                    begin_ms: cx.now.wall_ms,
                    attempts: 0,
                    maybe_stored: false,
                };
                self.send = Some(Box::new(send));
                self.connect(i, cx, t)
            }
            (1, Ret::Route(Err(()))) => self.fail(cx, SendError::NameServerUnreachable),
            (1, _) => self.fail(cx, SendError::NoRoute),
            (2, Ret::Rpc(Ok(_))) => {
                let Some(send) = self.send.take() else { return Step::Done(Ret::Unit) };
                let (p, broker, begin) = (send.p, send.queue.broker, send.begin_ms);
                i.async_request(cx, *send);
                // "Returned normally" right after the write: with avoidance on, this lifts the isolation of the first broker.
                i.update_fault_item(cx, p, broker, cx.now.wall_ms - begin, false);
                Step::Done(Ret::Unit)
            }
            (2, Ret::Rpc(Err(error))) => {
                let Some(mut send) = self.send.take() else { return Step::Done(Ret::Unit) };
                send.parcel.note_attempt_failed(cx, send.attempts, send.broker, attempt_error(&error));
                send.attempts += 1;
                let (p, first, begin) = (send.p, send.queue.broker, send.begin_ms);
                i.update_fault_item(cx, send.p, send.broker, cx.now.wall_ms - send.begin_ms, true);
                match i.async_next_broker(cx, *send, attempt_error(&error)) {
                    Some(send) => {
                        self.send = Some(Box::new(send));
                        self.connect(i, cx, t)
                    }
                    None => {
                        i.update_fault_item(cx, p, first, cx.now.wall_ms - begin, false);
                        Step::Done(Ret::Unit)
                    }
                }
            }
            _ => Step::Block,
        }
    }

    /// Every invocation waits for its channel on the calling thread.
    fn connect(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let Some(send) = &self.send else { return Step::Done(Ret::Unit) };
        self.stage = 2;
        let Some(addr) = i.master_addr(send.broker) else {
            return self.fail(cx, SendError::Exhausted { last: AttemptError::BrokerNotExist });
        };
        let luck = i.luck(cx);
        let request = Request::ConsumerList { group: crate::base::ids::GroupId(0) };
        i.rpc_with(cx, t, Invoke::Connect, Target::Addr(addr), request, 3_000, luck)
    }

    fn fail(&mut self, cx: &mut Cx<'_, '_>, error: SendError) -> Step {
        let end = SendEnd::Failed { error, broker: self.send.as_ref().map(|s| s.broker) };
        self.parcel.note_ended(cx, end, self.send.as_ref().map_or(0, |s| s.attempts));
        Step::Done(Ret::Unit)
    }
}

impl Instance {
    /// `send(msg, callback)`: queued on the async-send pool, or rejected when that is full.
    pub(super) fn send_async(&mut self, cx: &mut Cx<'_, '_>, p: u16, parcel: Parcel) {
        parcel.note_began(cx);
        let refused = if self.producers[p as usize].state != ServiceState::Running {
            Some(SendError::NotRunning)
        } else if self.queued(Exec::AsyncSend(p)) >= ASYNC_QUEUE {
            Some(SendError::Rejected)
        } else {
            None
        };
        match refused {
            Some(error) => parcel.note_ended(cx, SendEnd::Failed { error, broker: None }, 0),
            None => {
                let op = StartAsync { p, parcel, queued_ms: cx.now.wall_ms, send: None, stage: 0 };
                self.submit(cx, Exec::AsyncSend(p), op.into());
            }
        }
    }

    /// Issues the request of an attempt.
    fn async_request(&mut self, cx: &mut Cx<'_, '_>, mut send: AsyncSend) {
        let config = self.producers[send.p as usize].config.clone();
        let attempt = send.attempts;
        send.attempts += 1;
        let Some(addr) = self.master_addr(send.broker) else {
            return self.async_ended(cx, &send, Err(SendError::Exhausted { last: AttemptError::BrokerNotExist }));
        };
        send.parcel.note_attempted(cx, attempt, MessageQueue { broker: send.broker, ..send.queue });
        let luck = cx.env.draws.luck(config.entity, Purpose::Send, send.parcel.id().n() << 4 | (attempt as u64 & 15));
        let request = send.parcel.request(cx, &config, send.queue.queue_id);
        let timeout = send.timeout_ms.max(0) as u64;
        let id = self.free_async_sends.pop().unwrap_or_else(|| {
            self.async_sends.push(None);
            self.async_sends.len() as u32 - 1
        });
        self.async_sends[id as usize] = Some(send);
        self.remoting.call(&mut cx.net(), Invoke::Async, Target::Addr(addr), request, timeout, luck, Token::AsyncSend(id));
    }

    pub(in crate::rocketmq::client) fn async_send_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        id: u32,
        result: Result<Answer, RpcError>,
    ) {
        let Some(mut send) = self.async_sends.get_mut(id as usize).and_then(Option::take) else { return };
        self.free_async_sends.push(id);
        let elapsed = cx.now.wall_ms - send.begin_ms;
        match result {
            Ok(Answer::Sent { code, queue_id, queue_offset, .. }) if status(code).is_some() => {
                self.update_fault_item(cx, send.p, send.broker, elapsed, false);
                let queue = MessageQueue { broker: send.broker, queue_id, ..send.queue };
                let status = status(code).unwrap_or(SendStatus::SendOk);
                self.async_ended(cx, &send, Ok(SendEnd::Acked { status, queue, offset: queue_offset }));
            }
            Ok(answer) => {
                let refused = AttemptError::Broker(answer.code());
                send.parcel.note_attempt_failed(cx, send.attempts.saturating_sub(1), send.broker, refused);
                self.update_fault_item(cx, send.p, send.broker, elapsed, true);
                self.async_ended(cx, &send, Err(SendError::Refused(refused)));
            }
            Err(error) => {
                send.maybe_stored |= error.written;
                send.parcel.note_attempt_failed(cx, send.attempts.saturating_sub(1), send.broker, attempt_error(&error));
                self.update_fault_item(cx, send.p, send.broker, elapsed, true);
                if let Some(next) = self.async_next_broker(cx, send, attempt_error(&error)) {
                    self.async_request(cx, next);
                }
            }
        }
    }

    /// `onExceptionImpl`: the next attempt, or the end of the send. Only failures that came fast leave a budget for one.
    fn async_next_broker(&mut self, cx: &mut Cx<'_, '_>, mut send: AsyncSend, last: AttemptError) -> Option<AsyncSend> {
        let config = self.producers[send.p as usize].config.clone();
        let most = 1 + config.settings.retry_times_when_send_async_failed.min(250) as u8;
        let left = send.timeout_ms - (cx.now.wall_ms - send.begin_ms);
        if send.attempts >= most || left < 0 {
            let last = if left < 0 && send.attempts < most { AttemptError::TooMuchRequest } else { last };
            self.async_ended(cx, &send, Err(SendError::Exhausted { last }));
            return None;
        }
        send.timeout_ms = left;
        send.begin_ms = cx.now.wall_ms;
        if send.parcel.key().is_none()
            && let Some(queue) = self.select_queue(cx, send.p, send.parcel.topic(), u16::MAX as u32 & 63, Some(send.broker))
        {
            send.broker = queue.broker;
        }
        Some(send)
    }

    fn async_ended(&mut self, cx: &mut Cx<'_, '_>, send: &AsyncSend, result: Result<SendEnd, SendError>) {
        let end = result.unwrap_or_else(|error| end_of(error, Some(send.broker), send.maybe_stored));
        send.parcel.note_ended(cx, end, send.attempts);
    }
}
