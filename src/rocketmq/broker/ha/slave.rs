//! The receiving end of log shipping.
//!
//! `HAService.HAClient` (4.9.8; server spec 10.3): one thread that connects, reports how much it has, and appends what comes where its log ends. It speaks first, but only after
//! five seconds without having written anything, so every connection idles that long. Its own reports refresh the watch that should notice a silent
//! master, so it never does. What it appends is in its page cache and flushed by its own flush service; the master is told before that.

use super::super::{Broker, Cx, Tick};
use crate::base::ids::Addr;
use crate::base::time::MS;
use crate::contract::note::Note;
use crate::contract::{Conn, Ending, Port};
use crate::rocketmq::protocol::HaFrame;
use std::collections::VecDeque;

/// A pause after a failed connect or an exception, and the limit of a connect, ms.
pub(super) const PAUSE: u64 = 5_000;
/// `Selector#select`, ms.
const SELECT: u64 = 1_000;
/// The remoting instance that owns this connection, for [`ConnNumbers`](crate::rocketmq::remoting::client::ConnNumbers).
pub(super) const OWNER: u16 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Down,
    Connecting(Conn),
    Up(Conn),
}

/// `HAClient` of a life.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct HaClient {
    /// `masterAddress`: a new one is used by the next connect only.
    master: Option<Addr>,
    link: Link,
    /// `currentReportedOffset`.
    reported: u64,
    last_write_ms: i64,
    /// When the thread goes on, mono ns.
    timer: u64,
    /// The timer that is set, mono ns: the thread's moment moves with every frame, the timer follows when it fires.
    timer_set: Option<u64>,
    /// What came while the disk stood still: the thread is inside an append.
    held_up: VecDeque<HaFrame>,
}

impl HaClient {
    pub(super) fn has(&self, conn: Conn) -> bool {
        matches!(self.link, Link::Connecting(c) | Link::Up(c) if c == conn)
    }
    pub(in super::super) fn update_master_address(&mut self, addr: Addr) {
        self.master = Some(addr);
    }
    /// Something waits for the disk.
    pub(in super::super) fn is_held_up(&self) -> bool {
        !self.held_up.is_empty()
    }
}

impl Broker {
    /// The thread begins before the first registration has told it an address.
    pub(in super::super) fn ha_client_start(&mut self, cx: &mut Cx<'_, '_>) {
        self.ha.client = HaClient::default();
        self.connect_master(cx);
    }

    fn ha_timer(&mut self, at: u64) {
        self.ha.client.timer = at;
        if self.ha.client.timer_set.is_none_or(|set| at < set) {
            self.ha.client.timer_set = Some(at);
            self.timers.set(at, Tick::HaClient);
        }
    }

    /// `HAClient#connectMaster`; without an address, or after a failure, again in five seconds.
    fn connect_master(&mut self, cx: &mut Cx<'_, '_>) {
        self.ha.client.link = Link::Down;
        self.ha.client.held_up.clear();
        if let Some(addr) = self.ha.client.master {
            let conn = self.conns.open(OWNER, addr);
            self.ha.client.link = Link::Connecting(conn);
            cx.out.connect(conn, addr, Port::Ha);
        }
        self.ha_timer(cx.now.mono + PAUSE * MS);
    }

    pub(super) fn master_connected(&mut self, cx: &mut Cx<'_, '_>) {
        let Link::Connecting(conn) = self.ha.client.link else { return };
        self.ha.client.link = Link::Up(conn);
        self.ha.client.reported = self.readable(cx);
        self.ha.client.last_write_ms = cx.now.wall_ms;
        self.next_turn(cx);
    }

    pub(super) fn connect_failed(&mut self, cx: &mut Cx<'_, '_>) {
        self.ha.client.link = Link::Down;
        self.ha_timer(cx.now.mono + PAUSE * MS);
    }

    /// The end of the stream closes the socket and the loop goes on; an exception makes it pause first.
    pub(super) fn master_gone(&mut self, cx: &mut Cx<'_, '_>, how: Ending) {
        self.ha.client.link = Link::Down;
        self.ha.client.held_up.clear();
        if how == Ending::Fin { self.connect_master(cx) } else { self.ha_timer(cx.now.mono + PAUSE * MS) }
    }

    /// A turn of the loop begins: the one in which a report will be due is planned.
    fn next_turn(&mut self, cx: &Cx<'_, '_>) {
        let interval = self.config.settings.ha_send_heartbeat_interval as i64;
        let left = (self.ha.client.last_write_ms + interval + 1 - cx.now.wall_ms).max(0) as u64;
        // Each select returns a little late, so that after whole seconds the interval is over by a millisecond.
        let turns = left.saturating_sub(1).div_ceil(SELECT).max(1);
        self.ha_timer(cx.now.mono + (turns * SELECT + 1) * MS);
    }

    pub(in super::super) fn ha_client_tick(&mut self, cx: &mut Cx<'_, '_>) {
        if self.ha.client.timer_set.is_some_and(|set| cx.now.mono < set) {
            return;
        }
        self.ha.client.timer_set = None;
        let timer = self.ha.client.timer;
        if cx.now.mono < timer {
            return self.ha_timer(timer);
        }
        match self.ha.client.link {
            Link::Down => self.connect_master(cx),
            Link::Connecting(conn) => {
                cx.out.close(conn);
                self.connect_failed(cx);
            }
            Link::Up(conn) => {
                let interval = self.config.settings.ha_send_heartbeat_interval as i64;
                if cx.now.wall_ms - self.ha.client.last_write_ms > interval {
                    self.report(cx, conn);
                }
                self.next_turn(cx);
            }
        }
    }

    fn report(&mut self, cx: &mut Cx<'_, '_>, conn: Conn) {
        let offset = self.ha.client.reported;
        self.ship(cx, conn, HaFrame::Report(offset));
        self.ha.client.last_write_ms = cx.now.wall_ms;
    }

    /// `HAClient#dispatchReadRequest`: bytes that do not go on where this log ends break the connection.
    pub(super) fn on_transfer(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: HaFrame) {
        if self.ha.client.link != Link::Up(conn) {
            return self.give_back(cx, frame);
        }
        if cx.env.disk.broker.stalled || self.ha.client.is_held_up() {
            return self.ha.client.held_up.push_back(frame);
        }
        self.take(cx, conn, frame);
    }

    /// The disk goes on.
    pub(in super::super) fn go_on_appending(&mut self, cx: &mut Cx<'_, '_>) {
        while !cx.env.disk.broker.stalled
            && let Link::Up(conn) = self.ha.client.link
            && let Some(frame) = self.ha.client.held_up.pop_front()
        {
            self.take(cx, conn, frame);
        }
    }

    fn take(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: HaFrame) {
        let HaFrame::Transfer { from, bytes, records } = frame else { return };
        let own = self.readable(cx);
        if own != 0 && own != from {
            cx.env.pool.give(records);
            cx.out.close(conn);
            return self.connect_master(cx);
        }
        if bytes > 0 {
            let names = &self.config.names;
            let size_of = |m: &crate::rocketmq::message::Message| m.record_size(names.topic_name(m.topic).len());
            cx.env.disk.broker.log.append_shipped(from, bytes as u64, &records, size_of, cx.now.wall_ms);
            self.appended(cx);
            self.plan_reput(cx);
            let upto = self.readable(cx);
            cx.out.note(Note::Replicated { upto });
            if upto > self.ha.client.reported {
                self.ha.client.reported = upto;
                self.report(cx, conn);
            }
        }
        cx.env.pool.give(records);
        self.next_turn(cx);
    }

    fn give_back(&mut self, cx: &mut Cx<'_, '_>, frame: HaFrame) {
        if let HaFrame::Transfer { records, .. } = frame {
            cx.env.pool.give(records);
        }
    }
}
