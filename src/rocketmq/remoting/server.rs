//! The serving end: accepted channels and the pools that work requests off.
//!
//! A pool is one FIFO and k workers, as Java's fixed executors are; a request waits in it, its work lasts as long as the driver says,
//! and requests of one channel may be answered out of order (`NettyRemotingAbstract#processRequestCommand`, 4.9.8).

use super::idle::IdleWatch;
use crate::contract::Conn;
use crate::contract::note::ForgetWhy;
use std::collections::VecDeque;

/// One accepted channel.
#[derive(Clone, Debug)]
pub struct Channel {
    pub conn: Conn,
    /// Tells a channel from an earlier one with the same connection number.
    pub serial: u32,
    /// `false`: this side has closed it. What was read before the selector came to that is still handled, and never answered.
    pub open: bool,
    pub last_io: u64,
}

/// The accepted channels of a server.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    table: Vec<Option<Channel>>,
    serial: u32,
    idle: IdleWatch,
}

impl Channels {
    /// `idle_limit` in ns; 0 keeps idle channels.
    pub fn new(idle_limit: u64) -> Self {
        Channels { idle: IdleWatch::new(idle_limit), ..Default::default() }
    }
    pub fn open(&mut self, conn: Conn, now: u64) -> u32 {
        let i = conn.index();
        if self.table.len() <= i {
            self.table.resize(i + 1, None);
        }
        self.serial += 1;
        self.table[i] = Some(Channel { conn, serial: self.serial, open: true, last_io: now });
        self.idle.watch(conn.0, now);
        self.serial
    }
    fn get(&self, conn: Conn) -> Option<&Channel> {
        self.table.get(conn.index()).and_then(|c| c.as_ref())
    }
    /// The channel's serial, as long as something can come on it.
    pub fn serial(&self, conn: Conn) -> Option<u32> {
        self.get(conn).map(|c| c.serial)
    }
    /// Whether this very channel is still open.
    pub fn is_open(&self, conn: Conn, serial: u32) -> bool {
        self.get(conn).is_some_and(|c| c.open && c.serial == serial)
    }
    pub fn touch(&mut self, conn: Conn, now: u64) {
        if let Some(Some(channel)) = self.table.get_mut(conn.index()) {
            channel.last_io = now;
        }
    }
    /// A channel is gone, and why: it has ended, or this side closes it. Returns its serial if that is news.
    pub fn gone(&mut self, conn: Conn, why: ForgetWhy) -> Option<u32> {
        if why == ForgetWhy::ChannelClosed { self.ended(conn) } else { self.close(conn) }
    }
    /// This side closes a channel; returns its serial if it was open.
    pub fn close(&mut self, conn: Conn) -> Option<u32> {
        let channel = self.table.get_mut(conn.index())?.as_mut()?;
        std::mem::replace(&mut channel.open, false).then_some(channel.serial)
    }
    /// A channel has ended: nothing comes on it any more. Returns its serial.
    fn ended(&mut self, conn: Conn) -> Option<u32> {
        self.table.get_mut(conn.index()).and_then(Option::take).map(|c| c.serial)
    }
    /// The open channel with this serial.
    pub fn find(&self, serial: u32) -> Option<Conn> {
        self.table.iter().flatten().find(|c| c.open && c.serial == serial).map(|c| c.conn)
    }
    pub fn next_idle_check(&self) -> Option<u64> {
        self.idle.next()
    }
    /// One channel that has been idle for the limit.
    pub fn idle(&mut self, now: u64) -> Option<Conn> {
        let table = &self.table;
        self.idle
            .idle(now, |c| table.get(Conn(c).index()).and_then(|c| c.as_ref()).filter(|c| c.open).map(|c| c.last_io))
            .map(Conn)
    }
}

/// A job in a pool's queue.
#[derive(Clone, Debug)]
struct Queued<J> {
    since: u64,
    job: J,
}

/// One FIFO and k workers.
#[derive(Clone, Debug)]
pub struct Pool<J> {
    workers: u32,
    busy: u32,
    capacity: usize,
    queue: VecDeque<Queued<J>>,
}

impl<J> Pool<J> {
    pub fn new(workers: u32, capacity: u64) -> Self {
        Pool { workers: workers.max(1), busy: 0, capacity: capacity as usize, queue: VecDeque::new() }
    }
    /// Gives a job to a free worker (returned: begin it now), queues it (`None`), or refuses it (`Err`) when the queue is full.
    pub fn offer(&mut self, job: J, now: u64) -> Result<Option<J>, J> {
        if self.take_worker() { Ok(Some(job)) } else { self.queue(job, now).map(|()| None) }
    }
    /// Whether a worker is free; it then begins a job.
    #[inline]
    pub fn take_worker(&mut self) -> bool {
        let free = self.busy < self.workers;
        self.busy += free as u32;
        free
    }
    /// The job waits for a worker, or is refused.
    pub fn queue(&mut self, job: J, now: u64) -> Result<(), J> {
        if self.queue.len() >= self.capacity {
            return Err(job);
        }
        self.queue.push_back(Queued { since: now, job });
        Ok(())
    }
    /// A worker is free: the next job to begin, if there is one.
    pub fn done(&mut self) -> Option<J> {
        match self.queue.pop_front() {
            Some(queued) => Some(queued.job),
            None => {
                self.busy -= 1;
                None
            }
        }
    }
    /// Since when the head of the queue waits, ns.
    pub fn head_since(&self) -> Option<u64> {
        self.queue.front().map(|q| q.since)
    }
    /// Takes the head of the queue away if it has waited for `limit` ns.
    pub fn expire(&mut self, now: u64, limit: u64) -> Option<J> {
        if self.queue.front().is_some_and(|q| now.saturating_sub(q.since) >= limit) {
            self.queue.pop_front().map(|q| q.job)
        } else {
            None
        }
    }
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
    pub fn workers(&self) -> u32 {
        self.workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_one_fifo_and_k_workers() {
        let mut pool = Pool::new(2, 2);
        assert_eq!(pool.offer('a', 0), Ok(Some('a')));
        assert_eq!(pool.offer('b', 0), Ok(Some('b')));
        assert_eq!(pool.offer('c', 1), Ok(None));
        assert_eq!(pool.offer('d', 2), Ok(None));
        assert_eq!(pool.offer('e', 3), Err('e'));
        assert_eq!(pool.expire(200, 200), None);
        assert_eq!(pool.expire(201, 200), Some('c'));
        assert_eq!(pool.done(), Some('d'));
        assert_eq!(pool.done(), None);
        assert_eq!(pool.offer('f', 9), Ok(Some('f')));
    }
}
