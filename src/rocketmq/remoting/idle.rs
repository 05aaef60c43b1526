//! Netty's `IdleStateHandler` for many channels: a channel without a read or write for 120 s is closed.
//!
//! Every channel has one entry in a heap, at a time not later than its deadline; when it comes up and the channel was used
//! meanwhile, the entry moves on. So traffic costs nothing and an idle channel is found exactly at its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Watches channels numbered by the caller.
#[derive(Clone, Debug, Default)]
pub struct IdleWatch {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// 0: channels are never idle.
    limit: u64,
}

impl IdleWatch {
    /// `limit` in ns; 0 switches the watch off.
    pub fn new(limit: u64) -> Self {
        IdleWatch { heap: BinaryHeap::new(), limit }
    }
    /// A channel was opened.
    pub fn watch(&mut self, channel: u32, now: u64) {
        if self.limit > 0 {
            self.heap.push(Reverse((now + self.limit, channel)));
        }
    }
    /// A moment at which the watch wants to look.
    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
    /// One channel that is idle now. `last_io` gives a channel's last read or write, `None` when it no longer exists.
    pub fn idle(&mut self, now: u64, last_io: impl Fn(u32) -> Option<u64>) -> Option<u32> {
        while let Some(Reverse((at, channel))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            match last_io(channel) {
                Some(last) if last + self.limit > now => self.heap.push(Reverse((last + self.limit, channel))),
                Some(_) => return Some(channel),
                None => {}
            }
        }
        None
    }
}
