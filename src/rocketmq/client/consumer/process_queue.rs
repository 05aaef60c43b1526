//! The messages of one queue that a consumer has pulled and not yet finished with.
//!
//! Concurrent consumers finish messages in any order, but only one number can be committed: the smallest offset still
//! cached. An orderly consumer instead moves messages from the cache to a second tree while it works on them and commits
//! when they are done, or puts them back. Models `ProcessQueue` (4.9.8), with its oddities: a message pulled twice is
//! counted once and its size never corrected, the newest offset is that of the last *new* message rather than the
//! largest, and a commit point of -1 means only that nothing was cached before the call.
//!
//! The trees are sorted rings. Messages arrive in order at the back and leave near the front, so the two ends are tried
//! first and a search in between is the exception. Nothing is allocated once the rings have grown to their working size.

use std::collections::VecDeque;

/// `ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME`: how long a client trusts its broker lock without renewal.
pub const REBALANCE_LOCK_MAX_LIVE_MS: i64 = 30_000;
/// `ProcessQueue.PULL_MAX_IDLE_TIME`: a queue not pulled for longer than this is taken for stuck.
pub const PULL_MAX_IDLE_MS: i64 = 120_000;

/// A message as far as the cache must know it.
pub trait Cached: Clone {
    /// Its offset in the queue: the key of the tree.
    fn queue_offset(&self) -> u64;
    /// The length of its body in bytes.
    fn body_len(&self) -> u32;
}

/// Messages sorted by queue offset, each offset once.
#[derive(Clone, Debug)]
struct Tree<M>(VecDeque<M>);

impl<M: Cached> Tree<M> {
    fn first(&self) -> Option<u64> {
        self.0.front().map(M::queue_offset)
    }
    fn last(&self) -> Option<u64> {
        self.0.back().map(M::queue_offset)
    }
    /// Whether the offset was new; otherwise the message replaces the one there.
    fn insert(&mut self, message: M) -> bool {
        let offset = message.queue_offset();
        if self.last().is_none_or(|last| last < offset) {
            self.0.push_back(message);
            return true;
        }
        match self.0.binary_search_by_key(&offset, M::queue_offset) {
            Ok(place) => {
                self.0[place] = message;
                false
            }
            Err(place) => {
                self.0.insert(place, message);
                true
            }
        }
    }
    fn remove(&mut self, offset: u64) -> Option<M> {
        let place = match self.first() {
            Some(first) if first == offset => 0,
            _ => self.0.binary_search_by_key(&offset, M::queue_offset).ok()?,
        };
        let message = self.0.remove(place);
        if self.0.is_empty() {
            // The ring begins anew, so that a quiet queue uses the same bytes again instead of going round.
            self.0.clear();
        }
        message
    }
}

/// The cache of one queue: `ProcessQueue` (4.9.8).
#[derive(Clone, Debug)]
pub struct ProcessQueue<M> {
    tree: Tree<M>,
    /// Taken by an orderly consumer and neither committed nor put back.
    consuming: Tree<M>,
    count: i64,
    bytes: i64,
    queue_offset_max: u64,
    consume_scheduled: bool,
    msg_acc_cnt: i64,
    /// The queue has been taken away: whoever still works on it discards the result. Never cleared.
    pub dropped: bool,
    /// The broker has granted the queue to this client (orderly).
    pub locked: bool,
    /// When a pull was last sent.
    pub last_pull_ms: i64,
    /// When messages were last taken or finished.
    pub last_consume_ms: i64,
    /// When the broker last granted or renewed the lock.
    pub last_lock_ms: i64,
    /// How often giving the queue up had to wait for the listener.
    pub try_unlock_times: u64,
}

impl<M: Cached> ProcessQueue<M> {
    /// An empty cache, unlocked, its three timestamps at `now_ms`. Rebalancing sets `locked` itself (since 4.9.5).
    pub fn new(now_ms: i64) -> Self {
        ProcessQueue {
            tree: Tree(VecDeque::new()),
            consuming: Tree(VecDeque::new()),
            count: 0,
            bytes: 0,
            queue_offset_max: 0,
            consume_scheduled: false,
            msg_acc_cnt: 0,
            dropped: false,
            locked: false,
            last_pull_ms: now_ms,
            last_consume_ms: now_ms,
            last_lock_ms: now_ms,
            try_unlock_times: 0,
        }
    }

    /// Puts a newer value of a cached message in its place: Java's retry counter lives in the cached object itself.
    pub fn replace(&mut self, message: M) {
        for tree in [&mut self.tree, &mut self.consuming] {
            if let Ok(place) = tree.0.binary_search_by_key(&message.queue_offset(), M::queue_offset) {
                tree.0[place] = message;
                return;
            }
        }
    }

    /// `putMessage`: caches pulled messages. The answer is whether an orderly consumer must be set to work: true when
    /// there is something to take and nobody is scheduled to. `max_offset` is the MAX_OFFSET property of the last
    /// message, the broker's idea of the queue's end.
    pub fn put(&mut self, messages: impl IntoIterator<Item = M>, max_offset: Option<u64>) -> bool {
        let mut last = None;
        for message in messages {
            let (offset, body_len) = (message.queue_offset(), message.body_len());
            if self.tree.insert(message) {
                self.count += 1;
                self.bytes += i64::from(body_len);
                self.queue_offset_max = offset;
            }
            last = Some(offset);
        }
        if let (Some(last), Some(max)) = (last, max_offset)
            && max > last
        {
            self.msg_acc_cnt = (max - last) as i64;
        }
        let dispatch = !self.tree.0.is_empty() && !self.consume_scheduled;
        self.consume_scheduled |= dispatch;
        dispatch
    }

    /// `removeMessage`: drops finished messages and returns the offset to commit, or -1 if nothing was cached before.
    pub fn remove(&mut self, offsets: &[u64], now_ms: i64) -> i64 {
        self.last_consume_ms = now_ms;
        if self.tree.0.is_empty() {
            return -1;
        }
        for &offset in offsets {
            if let Some(message) = self.tree.remove(offset) {
                self.count -= 1;
                self.bytes -= i64::from(message.body_len());
            }
        }
        if self.count == 0 {
            self.bytes = 0;
        }
        self.tree.first().unwrap_or_else(|| self.queue_offset_max.wrapping_add(1)) as i64
    }

    /// `takeMessages`: moves up to `n` messages from the front to those being consumed, and appends them to `out`. When
    /// there is nothing to take, the next [`put`](Self::put) must set the consumer to work again.
    pub fn take(&mut self, n: usize, now_ms: i64, out: &mut Vec<M>) {
        self.last_consume_ms = now_ms;
        let taken = n.min(self.tree.0.len());
        for message in self.tree.0.drain(..taken) {
            out.push(message.clone());
            self.consuming.insert(message);
        }
        if taken == 0 {
            self.consume_scheduled = false;
        }
    }

    /// `commit`: forgets what is being consumed and returns the offset to commit. None where nothing is being consumed:
    /// Java throws there and changes nothing.
    pub fn commit(&mut self) -> Option<i64> {
        let last = self.consuming.last()?;
        self.count -= self.consuming.0.len() as i64;
        if self.count == 0 {
            self.bytes = 0;
        } else {
            self.bytes -= self.consuming.0.iter().map(|message| i64::from(message.body_len())).sum::<i64>();
        }
        self.consuming.0.clear();
        Some(last.wrapping_add(1) as i64)
    }

    /// `rollback`: puts back everything that is being consumed.
    pub fn rollback(&mut self) {
        // From the back, so that each lands at the front: what is being consumed was taken from there.
        while let Some(message) = self.consuming.0.pop_back() {
            put_back(&mut self.tree, message);
        }
    }

    /// `makeMessageToConsumeAgain`: puts back these of the messages being consumed. Others are ignored, whereas Java
    /// would cache a message it does not hold; no caller has one to offer.
    pub fn make_message_to_consume_again(&mut self, offsets: &[u64]) {
        for &offset in offsets {
            if let Some(message) = self.consuming.remove(offset) {
                put_back(&mut self.tree, message);
            }
        }
    }

    /// `hasTempMessage`: whether anything is waiting to be taken; what is being consumed does not count.
    pub fn has_temp_message(&self) -> bool {
        !self.tree.0.is_empty()
    }

    /// `getMaxSpan`: the distance between the ends of what is waiting, which flow control limits.
    pub fn max_span(&self) -> u64 {
        match (self.tree.first(), self.tree.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0,
        }
    }

    /// Messages held, those being consumed included.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Bytes of their bodies.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// How far the last pulled message lay behind the end of the queue, when it did.
    pub fn msg_acc_cnt(&self) -> i64 {
        self.msg_acc_cnt
    }

    /// Whether an orderly consumer is scheduled; `consuming` in Java. With concurrent consumption it becomes true once
    /// and stays, since nothing is ever taken.
    pub fn consume_scheduled(&self) -> bool {
        self.consume_scheduled
    }

    /// The message that holds back the commit point.
    pub fn head(&self) -> Option<&M> {
        self.tree.0.front()
    }

    /// The messages being consumed, in order.
    pub fn consuming(&self) -> impl ExactSizeIterator<Item = &M> {
        self.consuming.0.iter()
    }

    /// `clear`: forgets every message, but neither flags nor times.
    pub fn clear(&mut self) {
        self.tree.0.clear();
        self.consuming.0.clear();
        self.count = 0;
        self.bytes = 0;
        self.queue_offset_max = 0;
    }

    /// `isLockExpired`: whether the broker lock has gone without renewal for too long to be trusted.
    pub fn lock_expired(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_lock_ms) > REBALANCE_LOCK_MAX_LIVE_MS
    }

    /// `isPullExpired`: whether pulling seems to have stopped.
    pub fn pull_expired(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_pull_ms) > PULL_MAX_IDLE_MS
    }
}

fn put_back<M: Cached>(tree: &mut Tree<M>, message: M) {
    if tree.first().is_none_or(|first| message.queue_offset() < first) {
        tree.0.push_front(message);
    } else {
        tree.insert(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Message(u64, u32);
    impl Cached for Message {
        fn queue_offset(&self) -> u64 {
            self.0
        }
        fn body_len(&self) -> u32 {
            self.1
        }
    }

    fn holding(offsets: &[u64]) -> ProcessQueue<Message> {
        let mut queue = ProcessQueue::new(0);
        assert!(queue.put(offsets.iter().map(|&o| Message(o, 10)), None));
        queue
    }
    fn take(queue: &mut ProcessQueue<Message>, n: usize) -> Vec<u64> {
        let mut out = Vec::new();
        queue.take(n, 0, &mut out);
        out.iter().map(|m| m.0).collect()
    }

    #[test]
    fn the_commit_point_is_the_smallest_offset_still_cached() {
        let mut queue = holding(&[5, 6, 7]);
        for (remove, commit) in [(&[][..], 5), (&[6], 5), (&[5], 7), (&[99], 7), (&[7], 8), (&[7], -1)] {
            assert_eq!(queue.remove(remove, 3), commit, "{remove:?}");
        }
        assert_eq!((queue.count(), queue.bytes(), queue.last_consume_ms), (0, 0, 3));
    }

    #[test]
    fn orderly_take_commit_suspend() {
        let mut queue = holding(&[5, 6, 7]);
        assert_eq!(take(&mut queue, 1), [5]);
        assert!(!queue.put([Message(8, 10)], None), "already scheduled");
        assert_eq!(queue.commit(), Some(6));
        assert_eq!(queue.commit(), None);
        assert_eq!(take(&mut queue, 1), [6]);
        queue.make_message_to_consume_again(&[6, 42]);
        assert_eq!((queue.count(), queue.max_span()), (3, 2));
        assert_eq!((take(&mut queue, 1), take(&mut queue, 1)), (vec![6], vec![7]));
        assert_eq!(queue.commit(), Some(8));
        assert_eq!(take(&mut queue, 5), [8]);
        queue.rollback();
        assert_eq!(take(&mut queue, 5), [8]);
        assert_eq!(take(&mut queue, 5), [0u64; 0]);
        assert!(!queue.consume_scheduled());
    }

    #[test]
    fn a_message_pulled_again_is_counted_once_and_the_newest_offset_is_the_last_new_one() {
        let mut queue = holding(&[9, 5]);
        queue.put([Message(9, 1000)], Some(12));
        assert_eq!((queue.count(), queue.bytes(), queue.msg_acc_cnt()), (2, 20, 3));
        assert_eq!(queue.remove(&[5, 9], 0), 6, "offset 5 arrived last");
        queue.put([], Some(1000));
        assert_eq!((queue.msg_acc_cnt(), queue.head()), (3, None));
    }

    #[test]
    fn expiry_is_strict() {
        let queue = ProcessQueue::<Message>::new(1000);
        assert_eq!((queue.lock_expired(31_000), queue.lock_expired(31_001)), (false, true));
        assert_eq!((queue.pull_expired(121_000), queue.pull_expired(121_001)), (false, true));
    }

    #[test]
    fn clear_forgets_messages_only() {
        let mut queue = holding(&[5, 6]);
        queue.locked = true;
        take(&mut queue, 1);
        queue.clear();
        assert_eq!((queue.count(), queue.bytes(), queue.has_temp_message(), queue.locked), (0, 0, false, true));
        assert_eq!(queue.commit(), None);
    }

    /// The same rules over Java's own data structure.
    #[derive(Default)]
    struct Reference {
        tree: BTreeMap<u64, u32>,
        consuming: BTreeMap<u64, u32>,
    }

    proptest! {
        #[test]
        fn the_ring_is_a_tree(steps in proptest::collection::vec((0..5u8, 0..40u64, 0..6usize), 0..60)) {
            let mut queue = ProcessQueue::new(0);
            let mut model = Reference::default();
            for (op, at, n) in steps {
                match op {
                    0 => {
                        // What is being consumed is never pulled again: the pull offset has passed it.
                        let new: Vec<u64> = (at..at + n as u64).filter(|o| !model.consuming.contains_key(o)).collect();
                        queue.put(new.iter().map(|&o| Message(o, 7)), None);
                        model.tree.extend(new.iter().map(|&o| (o, 7)));
                    }
                    1 => {
                        let was_empty = model.tree.is_empty();
                        let got = queue.remove(&[at, at + 1], 0);
                        model.tree.retain(|o, _| *o != at && *o != at + 1);
                        prop_assert_eq!(got == -1, was_empty);
                        if let Some((first, _)) = model.tree.first_key_value() {
                            prop_assert_eq!(got, *first as i64);
                        }
                    }
                    2 => {
                        let expect: Vec<u64> = model.tree.keys().take(n).copied().collect();
                        for o in &expect {
                            let body = model.tree.remove(o).unwrap();
                            model.consuming.insert(*o, body);
                        }
                        prop_assert_eq!(take(&mut queue, n), expect);
                    }
                    3 => {
                        let expect = model.consuming.last_key_value().map(|(o, _)| *o as i64 + 1);
                        model.consuming.clear();
                        prop_assert_eq!(queue.commit(), expect);
                    }
                    _ => {
                        queue.rollback();
                        model.tree.append(&mut model.consuming);
                    }
                }
                let held = (model.tree.len() + model.consuming.len()) as i64;
                prop_assert_eq!((queue.count(), queue.bytes()), (held, held * 7));
                prop_assert!(queue.tree.0.iter().map(|m| m.0).eq(model.tree.keys().copied()));
                prop_assert!(queue.consuming().map(|m| m.0).eq(model.consuming.keys().copied()));
            }
        }
    }
}
