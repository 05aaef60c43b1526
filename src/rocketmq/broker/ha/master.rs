//! The sending end of log shipping, and the puts that wait for it.
//!
//! `HAConnection` and `GroupTransferService` (4.9.8; server spec 10.2 and 10.4). A connection counts as a slave from the moment it is accepted, but nothing is sent
//! before the slave has said how much it has, which it does after five seconds. Then bytes of the log go out as they lie there, 32 KiB at a time; an
//! idle writer looks again after 100 ms, or at once when a put of a SYNC_MASTER wakes it. The largest offset that any slave ever reported only grows: one
//! slave is enough, and a slave that is ahead makes every put look replicated. The writer's idle looks are computed, not run.

use super::super::puts::Part;
use super::super::{Broker, Cx, Tick};
use crate::base::draw::Luck;
use crate::base::time::MS;
use crate::contract::Conn;
use crate::rocketmq::protocol::{Body, Frame, HaFrame, answer_code};
use crate::rocketmq::remoting::timers::grid;
use std::collections::VecDeque;

/// `WriteSocketService` looks so often for the first report, ms.
const FIRST_REPORT_POLL: u64 = 10;
/// `WaitNotifyObject#allWaitForRunning` of an idle writer, ms.
const IDLE_WAIT: u64 = 100;
/// `GroupTransferService` waits for a report in slices of this length, ms.
const SLICE: u64 = 1_000;
/// `SO_SNDBUF` of the master plus `SO_RCVBUF` of the slave (`HAConnection`, `HAClient`): so much can be under way unread, bytes.
const SOCKET_BUFFERS: u64 = 2 * 64 * 1024;

/// One slave (`HAConnection`).
#[derive(Clone, Debug)]
struct HaConnection {
    conn: Conn,
    accepted: u64,
    /// `slaveRequestOffset`: its first report.
    request: Option<u64>,
    /// `slaveAckOffset`: its latest.
    ack: u64,
    /// Where this connection's stream begins.
    origin: u64,
    /// `nextTransferFromWhere`.
    next: Option<u64>,
    /// The first record that has not been shipped whole.
    cursor: usize,
    last_write_ms: i64,
    last_read_ms: i64,
    /// When the writer last found nothing and began to wait, mono ns.
    asleep_since: u64,
    look_set: bool,
}

/// A put that waits for a slave (`CommitLog.GroupCommitRequest`).
#[derive(Clone, Copy, Debug)]
struct Waiting {
    next: u64,
    /// mono ns (`System.nanoTime`).
    deadline: u64,
    put: u32,
}

/// `HAService` of a life.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct HaService {
    connections: Vec<HaConnection>,
    /// `push2SlaveMaxOffset`.
    push2_slave_max_offset: u64,
    waiting: VecDeque<Waiting>,
    /// The present slice of the wait for the oldest of them ends then; earlier timers are stale.
    slice_ends: Option<u64>,
}

impl HaService {
    pub(super) fn is_alone(&self) -> bool {
        self.connections.is_empty()
    }
    pub(super) fn has(&self, conn: Conn) -> bool {
        self.connections.iter().any(|c| c.conn == conn)
    }
    fn find(&self, conn: Conn) -> Option<usize> {
        self.connections.iter().position(|c| c.conn == conn)
    }
    /// When the next heartbeat or housekeeping is due, wall ms.
    pub(in super::super) fn next_due(&self, heartbeat_ms: u64, housekeeping_ms: u64) -> Option<i64> {
        let due = |c: &HaConnection| {
            let gone = c.last_read_ms + housekeeping_ms as i64 + 1;
            if c.next.is_some() { gone.min(c.last_write_ms + heartbeat_ms as i64 + 1) } else { gone }
        };
        self.connections.iter().map(due).min()
    }
}

impl Broker {
    /// A slave has connected (`AcceptSocketService`): from now on it counts.
    #[cold]
    pub(in super::super) fn slave_connected(&mut self, cx: &mut Cx<'_, '_>, conn: Conn) {
        self.ha.master.connections.push(HaConnection {
            conn,
            accepted: cx.now.mono,
            request: None,
            ack: 0,
            origin: 0,
            next: None,
            cursor: 0,
            last_write_ms: cx.now.wall_ms,
            last_read_ms: cx.now.wall_ms,
            asleep_since: cx.now.mono,
            look_set: false,
        });
    }

    pub(super) fn connection_gone(&mut self, _: &mut Cx<'_, '_>, conn: Conn) {
        self.ha.master.connections.retain(|c| c.conn != conn);
    }

    fn close_connection(&mut self, cx: &mut Cx<'_, '_>, conn: Conn) {
        cx.out.close(conn);
        self.connection_gone(cx, conn);
    }

    /// `HAService#isSlaveOK`.
    pub(super) fn is_slave_ok(&self, cx: &Cx<'_, '_>) -> bool {
        let behind = cx.env.disk.broker.log.ends.written.saturating_sub(self.ha.master.push2_slave_max_offset);
        !self.ha.master.is_alone() && behind < self.config.settings.ha_slave_fallbehind_max
    }

    /// The put waits until a slave has everything up to the present end of the log.
    pub(in super::super) fn await_slave(&mut self, cx: &mut Cx<'_, '_>, put: u32) {
        let deadline = cx.now.mono + self.config.settings.slave_timeout * MS;
        self.ha.master.waiting.push_back(Waiting { next: cx.env.disk.broker.log.ends.written, deadline, put });
        if self.ha.master.slice_ends.is_none() {
            self.group_transfer(cx);
        }
    }

    /// `GroupTransferService#doWaitTransfer`: in the order of the log; whoever stands first is waited for, and the others behind it.
    fn group_transfer(&mut self, cx: &mut Cx<'_, '_>) {
        self.ha.master.slice_ends = None;
        while let Some(&Waiting { next, deadline, put }) = self.ha.master.waiting.front() {
            let status = if self.ha.master.push2_slave_max_offset >= next {
                answer_code::SUCCESS
            } else if cx.now.mono >= deadline {
                answer_code::FLUSH_SLAVE_TIMEOUT
            } else {
                let ends = cx.now.mono + SLICE * MS;
                self.ha.master.slice_ends = Some(ends);
                return self.timers.set(ends, Tick::GroupTransfer);
            };
            self.ha.master.waiting.pop_front();
            self.settle(cx, put, Part::Replica, status);
        }
    }

    pub(in super::super) fn group_transfer_tick(&mut self, cx: &mut Cx<'_, '_>) {
        if self.ha.master.slice_ends.is_some_and(|ends| ends <= cx.now.mono) {
            self.group_transfer(cx);
        }
    }

    /// `ReadSocketService#processReadEvent`: how far a slave has got.
    pub(super) fn on_report(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: HaFrame) {
        let HaFrame::Report(offset) = frame else { return };
        let Some(slot) = self.ha.master.find(conn) else { return };
        let max = self.readable(cx);
        let slave = &mut self.ha.master.connections[slot];
        slave.last_read_ms = cx.now.wall_ms;
        slave.ack = slave.ack.max(offset);
        if slave.request.is_none() {
            // Whatever it says is believed.
            slave.request = Some(offset);
            slave.look_set = true;
            let at = grid(cx.now.mono + 1, slave.accepted, FIRST_REPORT_POLL * MS);
            self.timers.set(at, Tick::HaLook(conn));
        } else if offset > max {
            return self.close_connection(cx, conn);
        }
        if offset > self.ha.master.push2_slave_max_offset {
            self.ha.master.push2_slave_max_offset = offset;
            if !self.ha.master.waiting.is_empty() {
                self.group_transfer(cx);
            }
        }
        // Room in the socket again.
        if let Some(slot) = self.ha.master.find(conn)
            && !self.ha.master.connections[slot].look_set
            && self.ha.master.connections[slot].next.is_some_and(|next| next < max)
            && self.ha.master.connections[slot].asleep_since == u64::MAX
        {
            self.transfer(cx, slot);
        }
    }

    /// The writers look at the log: all at once when they are woken, else each at the end of its wait.
    pub(super) fn wake_writers(&mut self, cx: &mut Cx<'_, '_>, wake: bool) {
        for slot in 0..self.ha.master.connections.len() {
            let slave = &mut self.ha.master.connections[slot];
            if slave.next.is_none() || slave.look_set {
                continue;
            }
            if wake {
                self.transfer(cx, slot);
            } else if slave.asleep_since != u64::MAX {
                slave.look_set = true;
                let at = grid(cx.now.mono + 1, slave.asleep_since, IDLE_WAIT * MS);
                let conn = slave.conn;
                self.timers.set(at, Tick::HaLook(conn));
            }
        }
    }

    pub(in super::super) fn ha_look(&mut self, cx: &mut Cx<'_, '_>, conn: Conn) {
        if let Some(slot) = self.ha.master.find(conn) {
            self.ha.master.connections[slot].look_set = false;
            self.transfer(cx, slot);
        }
    }

    /// `WriteSocketService#run`: everything that is there, in pieces that end with a file at the latest; then it waits.
    fn transfer(&mut self, cx: &mut Cx<'_, '_>, slot: usize) {
        let readable = self.readable(cx);
        let batch = self.config.settings.ha_transfer_batch_size.max(1);
        let room = SOCKET_BUFFERS.max(batch);
        loop {
            let log = &cx.env.disk.broker.log;
            let slave = &mut self.ha.master.connections[slot];
            let Some(request) = slave.request else { return };
            let next = match slave.next {
                Some(next) => next,
                None => {
                    // An empty slave begins with the newest file.
                    let from = if request == 0 { readable - readable % log.ends.file_size } else { request };
                    slave.cursor = log.first_behind(from);
                    slave.origin = from;
                    from
                }
            };
            slave.next = Some(next);
            let file_end = (next / log.ends.file_size + 1) * log.ends.file_size;
            let end = readable.min(file_end).min(next + batch);
            if end <= next || next < log.min_phys() {
                slave.asleep_since = cx.now.mono;
                return;
            }
            if next.saturating_sub(slave.ack.max(slave.origin)) >= room {
                slave.asleep_since = u64::MAX;
                return;
            }
            let mut records = cx.env.pool.take();
            while slave.cursor < log.len() && log.end_of(slave.cursor) <= end {
                records.extend(log.get(slave.cursor));
                slave.cursor += 1;
            }
            slave.next = Some(end);
            slave.last_write_ms = cx.now.wall_ms;
            let conn = slave.conn;
            self.ship(cx, conn, HaFrame::Transfer { from: next, bytes: (end - next) as u32, records });
        }
    }

    /// Heartbeats to quiet slaves, and the end of silent ones.
    #[cold]
    pub(in super::super) fn ha_housekeeping(&mut self, cx: &mut Cx<'_, '_>) {
        let s = &self.config.settings;
        let (heartbeat, housekeeping) = (s.ha_send_heartbeat_interval as i64, s.ha_housekeeping_interval as i64);
        let mut slot = 0;
        while let Some(slave) = self.ha.master.connections.get_mut(slot) {
            let conn = slave.conn;
            if cx.now.wall_ms - slave.last_read_ms > housekeeping {
                self.close_connection(cx, conn);
                continue;
            }
            slot += 1;
            if let Some(next) = slave.next
                && cx.now.wall_ms - slave.last_write_ms > heartbeat
            {
                slave.last_write_ms = cx.now.wall_ms;
                self.ship(cx, conn, HaFrame::Transfer { from: next, bytes: 0, records: Vec::new() });
            }
        }
    }

    /// Writes a frame of log shipping.
    pub(super) fn ship(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: HaFrame) {
        // Nothing answers it, so its way is all that is drawn for.
        let hop = self.hop(cx.env);
        let frame = Frame { opaque: 0, luck: Luck::default(), body: Body::Ha(frame) };
        let bytes = frame.bytes();
        cx.out.write(conn, frame, bytes, hop);
    }
}
