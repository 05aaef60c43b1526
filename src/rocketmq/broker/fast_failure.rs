//! Answers SYSTEM_BUSY to requests that have waited too long, or while the store stands still.
//!
//! `BrokerFastFailure#cleanExpiredRequest` and `DefaultMessageStore#isOSPageCacheBusy` (4.9.8; server spec 2.8): every 10 ms, the oldest request of each queue is looked
//! at. Looks at empty queues are not made.

use super::{Broker, Cx, PoolKind, Tick};
use crate::base::time::MS;
use crate::contract::Now;

impl Broker {
    /// `DefaultMessageStore#isOSPageCacheBusy`: the put lock has been held for more than a second.
    pub(super) fn page_cache_busy(&self, now: Now) -> bool {
        !self.put_lock.is_empty()
            && now.wall_ms - self.put_lock_since_ms > self.config.settings.os_page_cache_busy_time_out_mills as i64
    }

    pub(super) fn watch_queues(&mut self, now: Now) {
        if self.fast_failure_set || !self.config.settings.broker_fast_failure_enable {
            return;
        }
        if self.pools[..3].iter().all(|p| p.queued() == 0) && self.put_lock.is_empty() {
            return;
        }
        self.fast_failure_set = true;
        self.timers.set(self.grid(now, 10), Tick::FastFailure);
    }

    pub(super) fn fast_failure(&mut self, cx: &mut Cx<'_, '_>) {
        self.fast_failure_set = false;
        let s = &self.config.settings;
        let limits = [s.wait_time_mills_in_send_queue, s.wait_time_mills_in_pull_queue, s.wait_time_mills_in_heartbeat_queue];
        let busy = self.page_cache_busy(cx.now);
        for (i, limit) in limits.into_iter().enumerate() {
            let limit = if i == PoolKind::Send as usize && busy { 0 } else { limit * MS };
            while let Some(job) = self.pools[i].expire(cx.now.mono, limit) {
                self.refuse_busy(cx, &job);
            }
        }
        self.watch_queues(cx.now);
    }
}
