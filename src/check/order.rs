//! Order, per sharding key and per queue: did a group meet messages in the order in which they were sent and stored?
//!
//! Three counts. *Per key* is the figure of the live runs: a first delivery of message n of a key after a later message of that key had
//! come. *Per queue*: a first delivery below an offset of the queue that had come already, and for orderly groups a start while an earlier
//! message of the queue was still in another process's listener ([`super::listener`]). *Reordered* is what an application with state per key
//! suffers: any delivery, copies included, after a later one of its key, or before the previous one had left its listener. A copy that
//! the listener asked for is excepted. One number a key and one a queue suffice, since only the highest matters.

use super::index::Rows;
use crate::base::ids::MessageId;
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// Highest message number delivered, plus 1.
    high: u64,
    /// Messages of it in a listener, and the event in which the last one entered.
    inside: u16,
    event: u64,
}

/// What one delivery of a keyed message amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyOrder {
    pub inverted: bool,
    pub reordered: bool,
}

/// The order of one group, or of one member of a broadcasting group.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// By producer, then key.
    keys: Vec<Vec<Key>>,
    /// By feed: highest offset delivered for the first time, plus 1.
    queues: Rows<u64>,
    /// Keyed messages in listeners: (member, message). As many as there are listener threads.
    inside: SmallVec<[(u16, MessageId, u32); 8]>,
}

impl Order {
    /// A first delivery at this offset: does it come after a later one of its queue?
    #[inline]
    pub fn queue(&mut self, feed: u32, offset: u64) -> bool {
        let high = self.queues.at(feed);
        let inverted = offset < *high;
        *high = (*high).max(offset + 1);
        inverted
    }

    /// Offsets from here on will be used again.
    pub fn truncated(&mut self, feed: u32, from: u64) {
        let high = self.queues.at(feed);
        *high = (*high).min(from);
    }

    fn key(&mut self, msg: MessageId, key: u32) -> &mut Key {
        let producer = msg.producer() as usize;
        if producer >= self.keys.len() {
            self.keys.resize(producer + 1, Vec::new());
        }
        let keys = &mut self.keys[producer];
        if key as usize >= keys.len() {
            keys.resize(key as usize + 1, Key::default());
        }
        &mut keys[key as usize]
    }

    /// A keyed message entered a listener.
    pub fn entered(&mut self, msg: MessageId, key: u32, member: u16, event: u64, first: bool, asked: bool) -> KeyOrder {
        let state = self.key(msg, key);
        let late = msg.n() + 1 < state.high;
        let together = state.inside > 0 && state.event != event;
        state.high = state.high.max(msg.n() + 1);
        state.inside += 1;
        state.event = event;
        self.inside.push((member, msg, key));
        KeyOrder { inverted: first && late, reordered: !asked && (late || together) }
    }

    pub fn left(&mut self, msg: MessageId, member: u16) {
        if let Some(at) = self.inside.iter().rposition(|i| i.0 == member && i.1 == msg) {
            let (_, msg, key) = self.inside.swap_remove(at);
            let state = self.key(msg, key);
            state.inside -= 1;
        }
    }

    /// The member's process is gone: nothing of it is in a listener any more.
    pub fn died(&mut self, member: u16) {
        let gone: SmallVec<[(MessageId, u32); 8]> = self.inside.iter().filter(|i| i.0 == member).map(|i| (i.1, i.2)).collect();
        self.inside.retain(|i| i.0 != member);
        for (msg, key) in gone {
            self.key(msg, key).inside -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script::{counter, facts, play_with};

    const SENT: &str = "1 pg-0 began 0 key=1; 1 broker-a stored 0 a:0 0; 1 pg-0 acked 0 a:0 0; 1 pg-0 began 1 key=1; 1 broker-a stored 1 a:0 1; 1 pg-0 acked 1 a:0 1;";

    #[test]
    fn inversions_per_key_and_per_queue() {
        let of = |script: &str| {
            let mut facts = facts();
            facts.producers[0].keys = 4;
            let found = play_with(facts, &format!("{SENT} {script}"));
            ["order_inversions_per_key", "order_inversions_per_queue", "reordered"].map(|name| counter(&found, name).unwrap())
        };
        let clean = "2 c1 entered 0 a:0 0; 2.1 c1 left 0 a:0 0; 2.2 c1 entered 1 a:0 1; 2.3 c1 left 1 a:0 1";
        assert_eq!(of(clean), [0, 0, 0]);
        let swapped = "2 c1 entered 1 a:0 1; 2.1 c1 left 1 a:0 1; 2.2 c1 entered 0 a:0 0; 2.3 c1 left 0 a:0 0";
        assert_eq!(of(swapped), [1, 1, 1]);
        let together = "2 c1 entered 0 a:0 0; 2.1 c1 entered 1 a:0 1; 2.2 c1 left 0 a:0 0; 2.3 c1 left 1 a:0 1";
        assert_eq!(of(together), [0, 0, 1]);
        // A copy of an old message that nobody asked for reorders; one that the listener asked for does not.
        assert_eq!(of(&format!("{clean}; 3 c2 entered 0 a:0 0")), [0, 0, 1]);
        let asked = "2 c1 entered 0 a:0 0; 2.1 c1 left 0 a:0 0 failed; 2.2 c1 entered 1 a:0 1; 2.3 c1 left 1 a:0 1; 5 c1 entered 0 a:0 0 reconsume=1";
        assert_eq!(of(asked), [0, 0, 0]);
    }

    #[test]
    fn a_death_empties_the_listeners() {
        let mut order = Order::default();
        let msg = |n| MessageId::new(0, n);
        order.entered(msg(0), 3, 7, 1, true, false);
        order.died(7);
        assert_eq!(order.entered(msg(1), 3, 8, 2, true, false), KeyOrder::default());
    }
}
