//! When a message was born: a client stamps it anew for each attempt (`requestHeader.setBornTimestamp` in `sendKernelImpl`), so a message that
//! was stored by its second attempt is younger than the call that sent it. Live summaries count latency from that stamp.
//!
//! First attempts are born when the call begins, which the ledger knows; only further ones, which are rare, are kept here.

use crate::base::ids::{MessageId, MessageQueue};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Attempts beyond the first of each message: where to and when, in their order.
#[derive(Clone, Debug, Default)]
pub struct Births {
    further: BTreeMap<MessageId, SmallVec<[(MessageQueue, u64); 2]>>,
}

impl Births {
    /// An attempt was handed to the transport, ns; the first one has number 0.
    #[inline]
    pub fn attempted(&mut self, msg: MessageId, attempt: u8, queue: MessageQueue, at: u64) {
        if attempt > 0 {
            self.further.entry(msg).or_default().push((queue, at));
        }
    }

    /// When the record in this queue, stored at `stored` ns, was born: at the last attempt to that queue before it was stored, or else
    /// when the call began.
    #[inline]
    pub fn of(&self, msg: MessageId, queue: MessageQueue, stored: u64, began: u64) -> u64 {
        if self.further.is_empty() {
            return began;
        }
        let attempts = self.further.get(&msg).map_or(&[][..], |a| a.as_slice());
        attempts.iter().rev().find(|(to, at)| *to == queue && *at <= stored).map_or(began, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{BrokerName, TopicId};

    #[test]
    fn a_retried_message_is_born_with_the_attempt_that_stored_it() {
        let queue = |broker| MessageQueue { topic: TopicId(0), broker: BrokerName(broker), queue_id: 1 };
        let (msg, other) = (MessageId::new(0, 7), MessageId::new(0, 8));
        let mut births = Births::default();
        births.attempted(msg, 0, queue(1), 100);
        assert_eq!(births.of(msg, queue(1), 110, 99), 99);
        births.attempted(msg, 1, queue(0), 3_100);
        births.attempted(msg, 2, queue(1), 3_200);
        assert_eq!(births.of(msg, queue(0), 3_101, 99), 3_100);
        assert_eq!(births.of(msg, queue(1), 9_000, 99), 3_200, "the last attempt there");
        assert_eq!(births.of(msg, queue(1), 150, 99), 99, "stored before it was tried again");
        assert_eq!(births.of(other, queue(1), 9_000, 99), 99);
    }
}
