//! Which client may consume an orderly queue, as this broker remembers it.
//!
//! A lock is a client id and a time. It is kept alive by asking for it again and passes to whoever asks first after it
//! has aged out. Nothing else frees it but its owner: no disconnect, no end of the group. And because it lives in the
//! memory of one process, a restart frees every lock at once. Models `RebalanceLockManager` (4.9.8; 4.9.7 agrees).

use crate::base::ids::{GroupId, MessageQueue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `rocketmq.broker.rebalance.lockMaxLiveTime`: a lock older than this may pass to another client.
pub const REBALANCE_LOCK_MAX_LIVE_MS: i64 = 60_000;

#[derive(Clone, Debug)]
struct LockEntry {
    client: Arc<str>,
    last_update_ms: i64,
}

/// All locks of one broker process.
#[derive(Clone, Debug)]
pub struct RebalanceLockManager {
    max_live_ms: i64,
    locks: BTreeMap<(GroupId, MessageQueue), LockEntry>,
}

impl Default for RebalanceLockManager {
    fn default() -> Self {
        Self::new(REBALANCE_LOCK_MAX_LIVE_MS)
    }
}

impl RebalanceLockManager {
    /// No locks; each will live `max_live_ms` without renewal.
    pub fn new(max_live_ms: i64) -> Self {
        RebalanceLockManager { max_live_ms, locks: BTreeMap::new() }
    }

    /// `tryLockBatch`: grants or renews what it can and returns the queues granted, in the order asked for. A queue need
    /// not exist.
    pub fn try_lock_batch(
        &mut self,
        group: GroupId,
        client: &Arc<str>,
        queues: &[MessageQueue],
        now_ms: i64,
    ) -> Vec<MessageQueue> {
        queues.iter().copied().filter(|&queue| self.try_lock(group, client, queue, now_ms)).collect()
    }

    fn try_lock(&mut self, group: GroupId, client: &Arc<str>, queue: MessageQueue, now_ms: i64) -> bool {
        let max_live_ms = self.max_live_ms;
        let entry =
            self.locks.entry((group, queue)).or_insert_with(|| LockEntry { client: Arc::clone(client), last_update_ms: now_ms });
        if entry.client != *client {
            if now_ms.saturating_sub(entry.last_update_ms) <= max_live_ms {
                return false;
            }
            entry.client = Arc::clone(client);
        }
        entry.last_update_ms = now_ms;
        true
    }

    /// `unlockBatch`: frees those of the queues that this client holds, aged out or not, and returns them.
    pub fn unlock_batch(&mut self, group: GroupId, client: &str, queues: &[MessageQueue]) -> Vec<MessageQueue> {
        let mut freed = Vec::new();
        for &queue in queues {
            if self.locks.get(&(group, queue)).is_some_and(|entry| &*entry.client == client) {
                self.locks.remove(&(group, queue));
                freed.push(queue);
            }
        }
        freed
    }

    /// Who holds a queue, if the lock has not aged out.
    pub fn holder(&self, group: GroupId, queue: MessageQueue, now_ms: i64) -> Option<&Arc<str>> {
        let entry = self.locks.get(&(group, queue))?;
        (now_ms.saturating_sub(entry.last_update_ms) <= self.max_live_ms).then_some(&entry.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{BrokerName, TopicId};
    use proptest::prelude::*;

    const G: GroupId = GroupId(0);
    fn queue(queue_id: i32) -> MessageQueue {
        MessageQueue { topic: TopicId(0), broker: BrokerName(0), queue_id }
    }

    #[test]
    fn a_lock_passes_on_only_after_it_has_aged_out() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut locks = RebalanceLockManager::default();
        assert_eq!(locks.try_lock_batch(G, &a, &[queue(1), queue(0)], 0), [queue(1), queue(0)]);
        assert_eq!(locks.try_lock_batch(G, &b, &[queue(0), queue(2)], 60_000), [queue(2)]);
        assert_eq!(locks.try_lock_batch(G, &a, &[queue(1)], 60_000), [queue(1)], "renewed");
        assert_eq!(locks.try_lock_batch(G, &b, &[queue(0), queue(1)], 60_001), [queue(0)]);
        assert_eq!(locks.try_lock_batch(GroupId(1), &b, &[queue(1)], 60_001), [queue(1)], "another group, another lock");
    }

    #[test]
    fn only_the_owner_unlocks_however_late() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut locks = RebalanceLockManager::new(10);
        locks.try_lock_batch(G, &a, &[queue(0)], 0);
        assert_eq!(locks.unlock_batch(G, &b, &[queue(0)]), []);
        assert_eq!((locks.holder(G, queue(0), 10), locks.holder(G, queue(0), 11)), (Some(&a), None));
        assert_eq!(locks.unlock_batch(G, &a, &[queue(0), queue(5)]), [queue(0)]);
        assert_eq!(locks.holder(G, queue(0), 0), None);
    }

    proptest! {
        #[test]
        fn what_is_granted_is_held_and_by_one_client_only(steps in proptest::collection::vec((0..3usize, 0..4i32, 0..50_000i64), 1..60)) {
            let clients: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
            let (mut locks, mut now) = (RebalanceLockManager::default(), 0);
            for (client, id, wait) in steps {
                now += wait;
                let before = locks.holder(G, queue(id), now).cloned();
                let granted = !locks.try_lock_batch(G, &clients[client], &[queue(id)], now).is_empty();
                prop_assert_eq!(granted, before.is_none_or(|holder| holder == clients[client]));
                prop_assert_eq!(granted, locks.holder(G, queue(id), now) == Some(&clients[client]));
            }
        }
    }
}
