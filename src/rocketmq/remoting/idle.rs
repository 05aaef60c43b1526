//! Netty's `IdleStateHandler` for many channels: a channel without a read or write for 120 s is closed.
//!
//! Every channel has one entry in a heap, at a time not later than its deadline; when it comes up and the channel was used
//! meanwhile, the entry moves on. So traffic costs nothing and an idle channel is found exactly at its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Watches channels numbered by the caller.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct IdleWatch {
    /// When the heap's first entry comes up; `u64::MAX`: never.
    next: u64,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// 0: channels are never idle.
    limit: u64,
}

impl Default for IdleWatch {
    fn default() -> Self {
        IdleWatch::new(0)
    }
}

impl IdleWatch {
    /// `limit` in ns; 0 switches the watch off.
    pub fn new(limit: u64) -> Self {
        IdleWatch { heap: BinaryHeap::new(), next: u64::MAX, limit }
    }
    /// A channel was opened.
    pub fn watch(&mut self, channel: u32, now: u64) {
        if self.limit > 0 {
            self.heap.push(Reverse((now + self.limit, channel)));
            self.next = self.next.min(now + self.limit);
        }
    }
    /// A moment at which the watch wants to look.
    pub fn next(&self) -> Option<u64> {
        (self.next != u64::MAX).then_some(self.next)
    }
    /// One channel that is idle now. `last_io` gives a channel's last read or write, `None` when it no longer exists.
    pub fn idle(&mut self, now: u64, last_io: impl Fn(u32) -> Option<u64>) -> Option<u32> {
        while self.next <= now {
            let Some(Reverse((_, channel))) = self.heap.pop() else { break };
            let deadline = last_io(channel).map(|last| last + self.limit);
            self.heap.extend(deadline.filter(|at| *at > now).map(|at| Reverse((at, channel))));
            self.next = self.heap.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            if deadline.is_some_and(|at| at <= now) {
                return Some(channel);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_channel_is_found_exactly_at_its_time() {
        let mut watch = IdleWatch::new(100);
        watch.watch(7, 0);
        watch.watch(9, 30);
        // Channel 7 is used at 60, so that its entry moves on when it comes up.
        let last_io = |channel| if channel == 7 { Some(60) } else { Some(30) };
        assert_eq!((watch.next(), watch.idle(99, last_io)), (Some(100), None));
        assert_eq!((watch.idle(100, last_io), watch.next()), (None, Some(130)));
        assert_eq!((watch.idle(130, last_io), watch.next()), (Some(9), Some(160)));
        assert_eq!((watch.idle(160, |_| None), watch.next()), (None, None), "7 is closed");
    }
}
