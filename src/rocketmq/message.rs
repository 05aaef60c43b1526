//! A message as the logic sees it: every field that a rule reads, none of the bytes.
//!
//! One `Copy` value serves on the wire, in the commit log and in a consumer's cache. Bodies are lengths and tags are their
//! hash (plus a number that stands for the text), because no rule of RocketMQ looks further in.

use crate::base::ids::{MessageId, TopicId};
use crate::rocketmq::client::Round;
use crate::rocketmq::client::consumer::process_queue::Cached;
use crate::rocketmq::protocol::SendRequest;

/// `Message` / `MessageExt` (common 4.9.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message {
    pub id: MessageId,
    /// Milliseconds of the producer's wall clock.
    pub born_ms: i64,
    /// Milliseconds of the broker's wall clock at the append.
    pub store_ms: i64,
    pub queue_offset: u64,
    /// Physical offset in the commit log.
    pub phys: u64,
    pub body_len: u32,
    /// `String#hashCode` of the tag; 0 without one. In the schedule topic's consume queue: see `deliver_ms` there.
    pub tag_code: i32,
    /// `None` as `u32::MAX`.
    pub key: u32,
    pub topic: TopicId,
    /// REAL_TOPIC of a delayed message: where it goes when its delay is over.
    pub real_topic: TopicId,
    /// RETRY_TOPIC of a retry copy: the topic the application knows. The topic itself otherwise.
    pub origin_topic: TopicId,
    pub queue_id: u16,
    /// REAL_QID of a delayed message.
    pub real_queue_id: u16,
    /// Length of the stored property string.
    pub properties_len: u16,
    pub reconsume_times: u16,
    /// Text of the tag, as a number within the producer's tags.
    pub tag: u8,
    pub delay_level: u8,
    pub flags: u8,
}

impl Message {
    /// The message does not wait for flush and replication (`WAIT=false`).
    pub const NO_WAIT: u8 = 1;
    /// Transaction type of the sysFlag: prepared.
    pub const PREPARED: u8 = 2;
    /// The internal producer's fallback for a failed send-back: the broker applies its retry/DLQ rule.
    pub const RETRY_BY_CLIENT: u8 = 4;

    /// `isWaitStoreMsgOK`.
    #[inline]
    pub fn waits(&self) -> bool {
        self.flags & Message::NO_WAIT == 0
    }

    /// Size of the record in the commit log: 91 fixed bytes with IPv4, body, topic, properties (server spec 3.5).
    pub fn record_size(&self, topic_len: usize) -> u32 {
        91 + self.body_len + topic_len as u32 + self.properties_len as u32
    }
}

impl Cached for Message {
    fn queue_offset(&self) -> u64 {
        self.queue_offset
    }
    fn body_len(&self) -> u32 {
        self.body_len
    }
}

/// Buffers for what travels inside frames: the messages of pull answers, the bodies of send requests. Whoever takes a frame apart
/// gives its buffer back; one that is not given back is merely freed.
#[derive(Clone, Debug, Default)]
pub struct BatchPool {
    spare: Vec<Vec<Message>>,
    #[allow(clippy::vec_box, reason = "the allocations are what is kept")]
    sends: Vec<Box<SendRequest>>,
    pub(in crate::rocketmq) round: Round,
}

/// Most buffers of a kind that are kept.
pub(in crate::rocketmq) const SPARE: usize = 4096;

impl BatchPool {
    pub fn take(&mut self) -> Vec<Message> {
        self.spare.pop().unwrap_or_default()
    }
    pub fn give(&mut self, mut batch: Vec<Message>) {
        if self.spare.len() < SPARE {
            batch.clear();
            self.spare.push(batch);
        }
    }
    /// A send request in a box that was used before, if there is one.
    pub fn boxed(&mut self, send: SendRequest) -> Box<SendRequest> {
        match self.sends.pop() {
            Some(mut spare) => {
                *spare = send;
                spare
            }
            None => Box::new(send),
        }
    }
    pub fn unbox(&mut self, send: Box<SendRequest>) {
        if self.sends.len() < SPARE {
            self.sends.push(send);
        }
    }
}

impl Message {
    /// The first message of the first producer, with nothing in it: what stands where no record is, and what tests change into what they are about.
    pub const fn blank(topic: TopicId) -> Message {
        Message {
            id: MessageId::new(0, 0),
            born_ms: 0,
            store_ms: 0,
            queue_offset: 0,
            phys: 0,
            body_len: 0,
            tag_code: 0,
            key: u32::MAX,
            topic,
            real_topic: topic,
            origin_topic: topic,
            queue_id: 0,
            real_queue_id: 0,
            properties_len: 0,
            reconsume_times: 0,
            tag: 0,
            delay_level: 0,
            flags: 0,
        }
    }
}
