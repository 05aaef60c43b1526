//! What one call of `send` carries: a message, or a batch of them.
//!
//! A batch is one request, goes to one queue and has one fate: its members are stored one behind the other or not at all, and end together. So
//! everything that decides looks at the first member and the total size; only notes and the request itself name them all. Models
//! `MessageBatch#generateFromList`, `MessageDecoder#encodeMessages` and `DefaultMQProducer#batch` (4.9.8; client spec 2.9).

use super::super::config::ProducerConfig;
use super::super::instance::Cx;
use crate::base::ids::{BrokerName, MessageId, MessageQueue, TopicId};
use crate::contract::Offered;
use crate::contract::note::{AttemptError, Note, ONEWAY_OFFSET, SendEnd};
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Request, SendRequest};
use std::sync::Arc;

/// Length of the properties that every message carries once stored: UNIQ_KEY and CLUSTER.
const BASE_PROPERTIES: u16 = 66;
/// The same as the client encodes a member of a batch: UNIQ_KEY alone.
const MEMBER_PROPERTIES: u32 = 42;
/// TAGS with its separators, at a typical length.
const TAGS: u16 = 10;
/// A member's frame within the batch's body: total size, magic, CRC, flag, body length (4 each), properties length (2).
const MEMBER_FRAME: u32 = 22;

/// The messages of one call.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Parcel {
    first: Offered,
    /// The further members of a batch.
    rest: Option<Arc<[Offered]>>,
}

impl Parcel {
    pub(in crate::rocketmq::client) fn one(message: Offered) -> Self {
        Parcel { first: message, rest: None }
    }
    /// `None` of no messages: the client refuses an empty collection before it is a call.
    pub(in crate::rocketmq::client) fn batch(messages: &[Offered]) -> Option<Self> {
        let (first, rest) = messages.split_first()?;
        Some(Parcel { first: *first, rest: (!rest.is_empty()).then(|| rest.into()) })
    }

    pub(super) fn id(&self) -> MessageId {
        self.first.id
    }
    pub(super) fn topic(&self) -> TopicId {
        self.first.topic
    }
    pub(super) fn key(&self) -> Option<u32> {
        self.first.key
    }
    fn rest(&self) -> &[Offered] {
        self.rest.as_deref().unwrap_or(&[])
    }
    fn members(&self) -> impl Iterator<Item = &Offered> {
        std::iter::once(&self.first).chain(self.rest())
    }
    pub(in crate::rocketmq::client) fn ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.members().map(|m| m.id)
    }
    /// Whether a member alone would be refused for its body: (smallest, largest) length in bytes.
    pub(super) fn body_lens(&self) -> (u32, u32) {
        self.members().fold((u32::MAX, 0), |(least, most), m| (least.min(m.body_len), most.max(m.body_len)))
    }
    /// Bytes of the request's body: of a batch, its members in their frames.
    pub(super) fn body_len(&self) -> u32 {
        match &self.rest {
            None => self.first.body_len,
            Some(_) => self.members().map(encoded).fold(0, u32::saturating_add),
        }
    }

    /// Each member's call has begun.
    pub(super) fn note_began(&self, cx: &mut Cx<'_, '_>) {
        for m in self.members() {
            cx.out.note(Note::SendBegan { msg: m.id, topic: m.topic, key: m.key, due: m.due_mono });
        }
    }
    pub(super) fn note_attempted(&self, cx: &mut Cx<'_, '_>, attempt: u8, queue: MessageQueue) {
        for msg in self.ids() {
            cx.out.note(Note::Attempted { msg, attempt, queue });
        }
    }
    /// The attempt ended without an acknowledgement. It has one fate, so the first member speaks for all.
    pub(super) fn note_attempt_failed(&self, cx: &mut Cx<'_, '_>, attempt: u8, broker: BrokerName, error: AttemptError) {
        cx.out.note(Note::AttemptFailed { msg: self.id(), attempt, broker, error });
    }
    /// Each member's call has ended; the broker numbers members of a batch upwards from the offset it answers.
    pub(super) fn note_ended(&self, cx: &mut Cx<'_, '_>, end: SendEnd, attempts: u8) {
        for (k, msg) in self.ids().enumerate() {
            let mut end = end;
            if let SendEnd::Acked { offset, .. } = &mut end
                && *offset != ONEWAY_OFFSET
            {
                *offset += k as u64;
            }
            cx.out.note(Note::SendEnded { msg, end, attempts });
        }
    }

    /// SEND_MESSAGE, or SEND_BATCH_MESSAGE.
    pub(super) fn request(&self, cx: &mut Cx<'_, '_>, config: &ProducerConfig, queue_id: i32) -> Request {
        let message = |m: &Offered| message_of(m, config.wait_store_msg_ok, cx.now.wall_ms);
        let send = SendRequest {
            group: config.group,
            queue_id,
            default_topic: config.create_topic_key,
            default_queues: config.settings.default_topic_queue_nums as u16,
            max_reconsume_times: 0,
            message: message(&self.first),
        };
        match &self.rest {
            None => Request::Send(cx.env.pool.boxed(send)),
            Some(_) => Request::SendBatch(Box::new(send), self.members().map(message).collect()),
        }
    }
}

fn encoded(m: &Offered) -> u32 {
    let tags = if m.tag_code != 0 { TAGS as u32 } else { 0 };
    (MEMBER_FRAME + MEMBER_PROPERTIES + tags).saturating_add(m.body_len)
}

fn message_of(offered: &Offered, wait: bool, now_ms: i64) -> Message {
    Message {
        id: offered.id,
        born_ms: now_ms,
        store_ms: 0,
        queue_offset: 0,
        phys: 0,
        body_len: offered.body_len,
        tag_code: offered.tag_code,
        key: offered.key.unwrap_or(u32::MAX),
        topic: offered.topic,
        real_topic: offered.topic,
        origin_topic: offered.topic,
        queue_id: 0,
        real_queue_id: 0,
        properties_len: BASE_PROPERTIES + if offered.tag_code != 0 { TAGS } else { 0 },
        reconsume_times: 0,
        tag: offered.tag,
        delay_level: offered.delay_level,
        flags: if wait { 0 } else { Message::NO_WAIT },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(n: u64, body_len: u32) -> Offered {
        let (id, topic) = (MessageId::new(0, n), TopicId(3));
        Offered { id, topic, key: None, body_len, tag_code: 0, tag: 0, delay_level: 0, tx: None, due_mono: 0 }
    }

    #[test]
    fn a_batch_counts_its_frames_a_message_does_not() {
        assert_eq!(Parcel::one(offered(1, 100)).body_len(), 100);
        let batch = Parcel::batch(&[offered(1, 100), offered(2, 7)]).unwrap();
        assert_eq!((batch.body_len(), batch.body_lens()), (2 * 64 + 107, (7, 100)));
        assert_eq!(batch.ids().map(|id| id.n()).collect::<Vec<_>>(), [1, 2]);
        assert!(Parcel::batch(&[]).is_none());
        assert!(Parcel::batch(&[offered(1, 5)]).unwrap().rest.is_none(), "one message in a collection is still one");
    }
}
