//! The put path: checks, append, dispatch.
//!
//! `SendMessageProcessor`, `AbstractSendMessageProcessor#msgCheck`, `CommitLog#asyncPutMessage`, `ReputMessageService` (4.9.8; server spec 3 and 5.2). The
//! answer to a send is given when the record is in the log; consumers see it when the next millisecond's dispatch has put it into its queue.

use super::ha::Ackable;
use super::store::access::illegal;
use super::{Broker, Cx, Job, Tick};
use crate::base::draw::Purpose;
use crate::base::ids::{GroupId, RecordId};
use crate::base::time::MS;
use crate::contract::note::{Note, StoredAs};
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, SendRequest, answer_code};
use crate::rocketmq::remoting::timers::grid;
use crate::rocketmq::route::TopicConfig;
use crate::rocketmq::settings::BrokerRole;

/// `PutMessageStatus` as far as callers tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Ok {
        queue_offset: u64,
        phys: u64,
    },
    Illegal,
    /// Nothing may be stored here now.
    Refused(u16),
}

impl Broker {
    /// SEND_MESSAGE and SEND_BATCH_MESSAGE.
    pub(super) fn send_message(&mut self, cx: &mut Cx<'_, '_>, send: &SendRequest, batch: Option<&[Message]>) -> Answer {
        let mut message = send.message;
        let config = match self.msg_check(cx, send) {
            Ok(config) => config,
            Err(code) => return Answer::Code(code),
        };
        let queue_id = if send.queue_id < 0 {
            let n = self.next_draw();
            cx.env.draws.below(cx.env.entity, Purpose::RetryQueue, (cx.env.life as u64) << 40 | n, config.write as u64) as u16
        } else {
            send.queue_id as u16
        };
        message.queue_id = queue_id;
        if let Some(group) = self.config.names.retry_group(message.topic) {
            match self.handle_retry_and_dlq(cx, group, send, &mut message) {
                Ok(()) => {}
                Err(code) => return Answer::Code(code),
            }
        }
        let put = match batch {
            None => self.put_message(cx, message),
            // All or nothing: the size of each was checked before the lock (`MessageExtBatchEncoder#encode`), and nobody appends in between.
            Some(members) if members.iter().any(|m| illegal(m, &self.config.settings) || m.delay_level > 0) => Put::Illegal,
            Some(members) => {
                let mut first = None;
                for member in members {
                    let put = self.put_message(cx, Message { topic: message.topic, queue_id, ..*member });
                    first.get_or_insert(put);
                }
                first.unwrap_or(Put::Illegal)
            }
        };
        match put {
            Put::Ok { queue_offset, phys } => {
                Answer::Sent { code: answer_code::SUCCESS, queue_id: message.queue_id as i32, queue_offset, phys }
            }
            Put::Illegal => Answer::Code(answer_code::MESSAGE_ILLEGAL),
            Put::Refused(code) => Answer::Code(code),
        }
    }

    /// Answers a put at once, or when the disk and a slave have it.
    pub(super) fn answer_put(&mut self, cx: &mut Cx<'_, '_>, job: Job, mut answer: Answer, waits: bool) {
        let Answer::Sent { code, .. } = &mut answer else { return self.respond(cx, &job, answer) };
        let Ackable { flush, replica, status } = self.ackable(cx, waits);
        if !flush && !replica {
            *code = status;
            return self.respond(cx, &job, answer);
        }
        let put = self.keep_put(job, answer, flush as u8 + replica as u8, status);
        if flush {
            self.await_flush(cx, put);
        }
        if replica {
            if self.group.is_some() {
                self.await_quorum(cx, super::ha::group::Waiter::Put(put))
            } else {
                self.await_slave(cx, put)
            }
        }
    }

    fn next_draw(&mut self) -> u64 {
        self.draws += 1;
        self.draws
    }

    /// Steps 2 to 7 of server spec 3.1; the topic's own write permission is not among them.
    fn msg_check(&mut self, cx: &mut Cx<'_, '_>, send: &SendRequest) -> Result<TopicConfig, u16> {
        let topic = send.message.topic;
        if self.topics.forbidden.contains(&topic) {
            return Err(answer_code::NO_PERMISSION);
        }
        let existing = cx.env.disk.broker.topics.get(&topic).copied();
        let config = match existing {
            Some(config) => config,
            None => self.create_topic_in_send(cx, send).ok_or(answer_code::TOPIC_NOT_EXIST)?,
        };
        if send.queue_id >= config.write.max(config.read) as i32 {
            return Err(answer_code::SYSTEM_ERROR);
        }
        Ok(config)
    }

    /// `TopicConfigManager#createTopicInSendMessageMethod`; a retry topic is created with one queue.
    fn create_topic_in_send(&mut self, cx: &mut Cx<'_, '_>, send: &SendRequest) -> Option<TopicConfig> {
        const INHERIT: u8 = 1;
        let topic = send.message.topic;
        let default = cx.env.disk.broker.topics.get(&send.default_topic).copied().filter(|d| d.perm & INHERIT != 0);
        let config = match default {
            Some(default) if self.config.names.retry_group(topic).is_none() => {
                let queues = (send.default_queues as u32).min(default.write);
                TopicConfig { read: queues, write: queues, perm: default.perm & !INHERIT }
            }
            _ if self.config.names.retry_group(topic).is_some() => TopicConfig { read: 1, write: 1, perm: 6 },
            _ => return None,
        };
        Some(self.create_topic(cx, topic, config))
    }

    /// `SendMessageProcessor#handleRetryAndDLQ`: a message sent to a retry topic by a client. The zeroed delay level of a dead letter is lost
    /// again in 4.9, because the full property map is installed afterwards.
    fn handle_retry_and_dlq(
        &mut self,
        cx: &mut Cx<'_, '_>,
        group: GroupId,
        send: &SendRequest,
        message: &mut Message,
    ) -> Result<(), u16> {
        if !self.consumers.is_known(group) {
            return Err(answer_code::SUBSCRIPTION_GROUP_NOT_EXIST);
        }
        if message.reconsume_times >= send.max_reconsume_times {
            let dlq = self.config.names.dlq_topic(group);
            self.create_topic(cx, dlq, TopicConfig { read: 1, write: 1, perm: 6 });
            message.topic = dlq;
            message.queue_id = 0;
            cx.out.note(Note::SentBack { group, msg: message.id, level: 0, dead: true });
        }
        Ok(())
    }

    /// `DefaultMessageStore#putMessage` down to the append. Delayed messages change topic on the way in (`CommitLog#asyncPutMessage`).
    pub(super) fn put_message(&mut self, cx: &mut Cx<'_, '_>, mut message: Message) -> Put {
        // `checkStoreStatus`: the role first, then the running flags (server spec 3.3).
        if !self.writable() || self.cleaner.disk_full() {
            return Put::Refused(answer_code::SERVICE_NOT_AVAILABLE);
        }
        let mut stored_as = self.stored_as(&message);
        if message.delay_level > 0
            && let Some(schedule) = self.topics.schedule
        {
            let level = message.delay_level.min(self.levels.max_level().clamp(0, 255) as u8);
            message.delay_level = level;
            message.real_topic = message.topic;
            message.real_queue_id = message.queue_id;
            message.topic = schedule;
            message.queue_id = level as u16 - 1;
            stored_as = StoredAs::Delayed;
        }
        message.store_ms = cx.now.wall_ms;
        let topic_len = self.config.names.topic_name(message.topic).len();
        let size = if self.group.is_some() {
            if illegal(&message, &self.config.settings) {
                return Put::Illegal;
            }
            let number = cx.env.disk.broker.queue_number(message.topic, message.queue_id);
            if self.next_offsets.len() <= number {
                self.next_offsets.resize(number + 1, 0);
            }
            message.queue_offset = self.next_offsets[number];
            let size = message.record_size(topic_len);
            if let Err(code) = self.group_put(cx, &mut message, size) {
                return Put::Refused(code);
            }
            self.next_offsets[number] += 1;
            size
        } else {
            match cx.env.disk.broker.put(&mut message, topic_len, &self.config.settings, &mut self.next_offsets) {
                Some(size) => size,
                None => return Put::Illegal,
            }
        };
        let disk = &cx.env.disk.broker;
        let (queue_offset, phys, log) = (message.queue_offset, message.phys, disk.log.identity);
        let queue = self.queue_of(message.topic, message.queue_id);
        cx.out.note(Note::Stored {
            rec: RecordId { queue, log, offset: queue_offset },
            msg: message.id,
            store_ms: message.store_ms,
            phys,
            bytes: size,
            stored_as,
        });
        if self.group.is_some() {
            return Put::Ok { queue_offset, phys };
        }
        self.appended(cx);
        self.plan_reput(cx);
        let wake = message.waits() && self.role == BrokerRole::SyncMaster;
        self.log_grew(cx, wake);
        Put::Ok { queue_offset, phys }
    }

    /// The next millisecond's `ReputMessageService#doReput`, if it could find something.
    pub(super) fn plan_reput(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.reput_set {
            self.reput_set = true;
            self.timers.set(grid(cx.now.mono + 1, self.phase, MS), Tick::Reput);
        }
    }

    fn stored_as(&self, message: &Message) -> StoredAs {
        let names = &self.config.names;
        if names.retry_group(message.topic).is_some() {
            StoredAs::Retry(message.reconsume_times)
        } else if names.dlq_group(message.topic).is_some() {
            StoredAs::Dead
        } else {
            StoredAs::Plain
        }
    }

    /// `ReputMessageService#doReput`: everything that may become visible does, and held pulls hear of it.
    pub(super) fn reput(&mut self, cx: &mut Cx<'_, '_>) {
        let schedule = self.topics.schedule;
        let upto = self.dispatchable(cx);
        let dispatch_leads = self.group.is_some() || !self.writable();
        cx.env.disk.broker.files.catch_up(cx.now.mono);
        if self.group.is_some() {
            cx.env.disk.broker.settle_queues(cx.now.mono);
        }
        while let Some((number, message)) = cx.env.disk.broker.dispatch_next(upto) {
            if dispatch_leads {
                cx.env.disk.broker.files.follows();
            }
            if !self.writable() {
                // `longPollingEnable` or not: on a slave only the holds' own check finds messages.
                continue;
            }
            if Some(message.topic) == schedule {
                self.schedule_arrived(cx, number, message.queue_id as usize + 1);
            } else {
                self.message_arriving(cx, number, message.queue_offset + 1, message.tag_code);
            }
        }
    }

    /// CONSUMER_SEND_MSG_BACK (server spec 8.2): acknowledged after the append in every mode.
    pub(super) fn consumer_send_msg_back(
        &mut self,
        cx: &mut Cx<'_, '_>,
        group: GroupId,
        phys: u64,
        delay_level: i8,
        max_reconsume_times: u16,
        origin: &Message,
    ) -> Answer {
        if !self.consumers.is_known(group) {
            return Answer::Code(answer_code::SUBSCRIPTION_GROUP_NOT_EXIST);
        }
        if self.config.settings.broker_permission & 2 == 0 {
            return Answer::Code(answer_code::NO_PERMISSION);
        }
        let retry_queues = self.config.settings.retry_queue_nums;
        if retry_queues == 0 {
            cx.out.note(Note::GivenUp { group, msg: origin.id });
            return Answer::Code(answer_code::SUCCESS);
        }
        let retry = self.config.names.retry_topic(group);
        let queues = retry_queues as u32;
        self.create_topic(cx, retry, TopicConfig { read: queues, write: queues, perm: 6 });
        let Some(stored) = cx.env.disk.broker.log.at_phys(phys).filter(|m| m.id == origin.id) else {
            return Answer::Code(answer_code::SYSTEM_ERROR);
        };
        let mut copy = stored;
        copy.flags |= Message::NO_WAIT;
        copy.reconsume_times = stored.reconsume_times + 1;
        let dead = stored.reconsume_times >= max_reconsume_times || delay_level < 0;
        if dead {
            let dlq = self.config.names.dlq_topic(group);
            self.create_topic(cx, dlq, TopicConfig { read: 1, write: 1, perm: 6 });
            (copy.topic, copy.queue_id, copy.delay_level) = (dlq, 0, 0);
        } else {
            let n = self.next_draw();
            copy.topic = retry;
            copy.queue_id =
                cx.env.draws.below(cx.env.entity, Purpose::RetryQueue, (cx.env.life as u64) << 40 | n, retry_queues) as u16;
            copy.delay_level = if delay_level == 0 { (3 + stored.reconsume_times).min(255) as u8 } else { delay_level as u8 };
        }
        let level = copy.delay_level;
        match self.put_message(cx, copy) {
            Put::Ok { .. } => {
                cx.out.note(Note::SentBack { group, msg: stored.id, level, dead });
                Answer::Code(answer_code::SUCCESS)
            }
            _ => Answer::Code(answer_code::SYSTEM_ERROR),
        }
    }
}
