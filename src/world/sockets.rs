//! What the kernels at both ends make of a connection: handshakes, bytes in order, retransmission, ends.
//!
//! [`net`](super::net) holds the state; here are the events that change it.

use super::*;

impl<O: Observer> World<O> {
    pub(super) fn side_of(&self, id: ConnId, node: NodeId) -> Option<usize> {
        let connection = self.connections.get(id as usize)?;
        connection.ends.iter().position(|e| e.node == node && e.open)
    }

    pub(super) fn host_of(&self, node: NodeId) -> u16 {
        self.processes[node.0 as usize].host
    }

    #[cold]
    pub(super) fn connect(&mut self, node: NodeId, conn: Conn, to: Addr, port: Port) {
        let Some(server) = self.by_addr.get(to.0 as usize).copied().filter(|n| n.0 != u16::MAX) else { return };
        let life = self.processes[node.0 as usize].life as u32;
        let caller = End { node, life, conn, open: true };
        let callee = End { node: server, life: 0, conn: Conn(0), open: false };
        let connection = Connection {
            ends: [caller, callee],
            directions: [Direction::default(), Direction::default()],
            established: false,
            syns: 0,
            port,
        };
        let id = match self.free_connections.pop() {
            Some(id) => {
                self.connections[id as usize] = connection;
                id
            }
            None => {
                self.connections.push(connection);
                self.connections.len() as ConnId - 1
            }
        };
        let outgoing = &mut self.processes[node.0 as usize].outgoing;
        if outgoing.len() <= conn.index() {
            outgoing.resize(conn.index() + 1, ConnId::MAX);
        }
        outgoing[conn.index()] = id;
        self.send_syn(id);
    }

    /// A SYN goes out; if nobody can answer, another follows after 1, 2, 4 s.
    #[cold]
    pub(super) fn send_syn(&mut self, id: ConnId) {
        let [caller, callee] = self.connections[id as usize].ends;
        let (from, to) = (self.host_of(caller.node), self.host_of(callee.node));
        self.connections[id as usize].syns += 1;
        let syns = self.connections[id as usize].syns;
        let word = self.draw_net(caller.node);
        if self.hosts[to as usize].lost || self.links.is_cut(from, to) || self.links.is_cut(to, from) {
            let again = self.now + (SEC << (syns - 1).min(5));
            self.schedule_at(again, Class::Network, caller.node, Kind::Retransmit, id, 2);
            return;
        }
        let (delay, _) = self.links.delay(from, to, word, 40);
        self.schedule_at(self.now + delay, Class::Network, caller.node, Kind::Syn, id, 0);
    }

    pub(super) fn draw_net(&mut self, node: NodeId) -> u32 {
        let process = &mut self.processes[node.0 as usize];
        self.draws.word(process.entity, Purpose::Connect, process.counter << 8 | process.life as u64 & 0xff)
    }

    /// The SYN arrives: the kernel completes the handshake, whether or not the process runs.
    #[cold]
    pub(super) fn syn(&mut self, id: ConnId) {
        let [caller, callee] = self.connections[id as usize].ends;
        let established = self.connections[id as usize].established;
        // What the kernel has accepted is taken up even where the caller has closed meanwhile: its bytes are still there to be read (H87).
        if !established && !caller.open || established && !callee.open || callee.conn.is_accepted() {
            return;
        }
        let (from, to) = (self.host_of(caller.node), self.host_of(callee.node));
        let server = callee.node;
        let state = self.processes[server.0 as usize].state;
        // A thawed process takes up what its kernel had accepted.
        if established {
            match state {
                State::Up => self.accept(id),
                s if s.stands_still() => self.processes[server.0 as usize].held.push(Held::Accepted(id)),
                _ => {}
            }
            return;
        }
        if !caller.open {
            return;
        }
        if self.hosts[to as usize].lost {
            self.schedule_at(self.now + SEC, Class::Network, caller.node, Kind::Retransmit, id, 2);
            return;
        }
        let word = self.draw_net(caller.node);
        let (back, _) = self.links.delay(to, from, word, 40);
        let refuse = match state {
            State::Up => false,
            s if s.stands_still() => self.processes[server.0 as usize].backlog >= self.links.spec().backlog,
            _ => true,
        };
        if refuse && state.stands_still() {
            // A full backlog drops the SYN.
            self.schedule_at(self.now + SEC, Class::Network, caller.node, Kind::Retransmit, id, 2);
            return;
        }
        if !refuse {
            self.connections[id as usize].established = true;
            self.connections[id as usize].ends[1].life = self.processes[server.0 as usize].life as u32;
            if state.stands_still() {
                self.processes[server.0 as usize].backlog += 1;
                self.processes[server.0 as usize].held.push(Held::Accepted(id));
                self.connections[id as usize].ends[1].open = true;
            } else {
                self.accept(id);
            }
        }
        self.schedule_at(self.now + back, Class::Network, caller.node, Kind::SynAck, id, refuse as u32);
    }

    /// Connections that the kernel had accepted for a process which now never will: they end with it, with a reset if the host can send one.
    #[cold]
    pub(super) fn refuse_untaken(&mut self, held: &[Held], tell: bool) {
        for item in held {
            let Held::Accepted(id) = item else { continue };
            let connection = &mut self.connections[*id as usize];
            connection.ends[1].open = false;
            connection.directions[0].take_unread();
            if tell && connection.ends[0].open {
                self.send_item(*id, 1, Item::Reset, 40, 0x4000_0000);
            }
            self.reap(*id);
        }
    }

    #[cold]
    pub(super) fn accept(&mut self, id: ConnId) {
        let server = self.connections[id as usize].ends[1].node;
        let process = &mut self.processes[server.0 as usize];
        let index = match process.free_accepted.pop() {
            Some(index) => {
                process.accepted[index as usize] = id;
                index
            }
            None => {
                process.accepted.push(id);
                process.accepted.len() as u32 - 1
            }
        };
        let conn = Conn::accepted(index);
        let port = self.connections[id as usize].port;
        self.connections[id as usize].ends[1] = End { node: server, life: process.life as u32, conn, open: true };
        // What arrived between the thaw and now was left with the kernel.
        for _ in 0..self.connections[id as usize].directions[0].take_unread() {
            self.schedule_at(self.now + 1, Class::Network, server, Kind::Deliver, id, 0);
        }
        self.dispatch(server, Input::Accepted { conn, port });
    }

    #[cold]
    pub(super) fn syn_ack(&mut self, id: ConnId, ok: bool) {
        let caller = self.connections[id as usize].ends[0];
        let process = &mut self.processes[caller.node.0 as usize];
        if !caller.open || process.life as u32 != caller.life {
            return;
        }
        if process.state.stands_still() {
            process.held.push(Held::Connected(id, ok));
            return;
        }
        let conn = caller.conn;
        if ok {
            self.dispatch(caller.node, Input::Connected { conn });
        } else {
            self.connections[id as usize].ends[0].open = false;
            self.reap(id);
            self.dispatch(caller.node, Input::ConnectFailed { conn, why: ConnectError::Refused });
        }
    }

    pub(super) fn conn_id(&self, node: NodeId, conn: Conn) -> Option<ConnId> {
        let process = &self.processes[node.0 as usize];
        let table = if conn.is_accepted() { &process.accepted } else { &process.outgoing };
        table.get(conn.index()).copied().filter(|id| *id != ConnId::MAX)
    }

    pub(super) fn write(&mut self, node: NodeId, conn: Conn, mut frame: Frame, bytes: u32, hop: u32) {
        let Some(id) = self.conn_id(node, conn) else { return };
        let Some(side) = self.side_of(id, node) else { return };
        if self.plant.is_some()
            && let Some(answer) = self.planted_frame(&mut frame)
        {
            let word = frame.luck.inbound();
            let answer = Frame { opaque: frame.opaque, luck: frame.luck, body: Body::Answer(answer) };
            return self.send_item(id, 1 - side, Item::Frame(answer), 150, word);
        }
        let mut extra = 0;
        if let Body::Request { request, .. } = &frame.body
            && self.faults.intercepts()
        {
            let peer = self.connections[id as usize].ends[1 - side].node;
            match self.intercept(node, peer, request.code(), frame.opaque) {
                faults::Met::Nothing => {}
                faults::Met::Drop => return,
                faults::Met::Delay(ns) => extra = ns,
                faults::Met::Answer(code) => {
                    let answer = Frame {
                        opaque: frame.opaque,
                        luck: frame.luck,
                        body: Body::Answer(crate::rocketmq::protocol::Answer::Code(code)),
                    };
                    let word = frame.luck.inbound();
                    self.send_item(id, 1 - side, Item::Frame(answer), 100, word);
                    return;
                }
            }
        }
        if self.now < self.processes[node.0 as usize].drained_at {
            self.connections[id as usize].directions[side].unflushed = true;
        }
        self.send_item_late(id, side, Item::Frame(frame), bytes, hop, extra);
    }

    #[cold]
    pub(super) fn close(&mut self, node: NodeId, conn: Conn) {
        let Some(id) = self.conn_id(node, conn) else { return };
        let Some(side) = self.side_of(id, node) else { return };
        if let Some(read) = self.reads_first(node, id, side) {
            return self.schedule_at(read, Class::Network, node, Kind::Close, id, side as u32);
        }
        self.close_now(node, conn, id, side);
    }

    /// When a serving process that has just thawed has read what lay at this end of a connection; `None` where nothing lies there. Its other threads ask the selector for the
    /// close, and that reads what is ready before it turns to what was asked of it (`NioEventLoop#run`: processSelectedKeys, then runAllTasks).
    fn reads_first(&self, node: NodeId, id: ConnId, side: usize) -> Option<u64> {
        let connection = &self.connections[id as usize];
        let (inbound, netty) = (&connection.directions[1 - side], connection.port != Port::Ha);
        let lies = side == 1 && netty && self.now < self.processes[node.0 as usize].drained_at && inbound.is_under_way();
        lies.then_some(inbound.last_arrival).filter(|read| *read > self.now)
    }

    /// The selector comes to a close that was asked of it; the process hears of it as of any other end (`channelInactive`).
    #[cold]
    pub(super) fn close_at_last(&mut self, node: NodeId, id: ConnId, side: usize) {
        let end = self.connections[id as usize].ends[side];
        if !end.open || end.node != node || end.life != self.processes[node.0 as usize].life as u32 {
            return;
        }
        if self.processes[node.0 as usize].state.stands_still() {
            return self.processes[node.0 as usize].held.push(Held::Closing(id, side as u32));
        }
        self.close_now(node, end.conn, id, side);
        self.dispatch(node, Input::Closed { conn: end.conn, how: Ending::Fin });
    }

    fn close_now(&mut self, node: NodeId, conn: Conn, id: ConnId, side: usize) {
        self.connections[id as usize].ends[side].open = false;
        self.forget_conn(node, conn, id);
        let unread = self.connections[id as usize].directions[1 - side].unread().0 > 0;
        if self.connections[id as usize].established {
            self.send_item(id, side, if unread { Item::Reset } else { Item::Fin }, 40, 0x4000_0000);
        }
        self.reap(id);
    }

    /// The process's number for a connection is free again, if it still means this one: a life that ended has no numbers.
    pub(super) fn forget_conn(&mut self, node: NodeId, conn: Conn, id: ConnId) {
        let process = &mut self.processes[node.0 as usize];
        let table = if conn.is_accepted() { &mut process.accepted } else { &mut process.outgoing };
        if let Some(slot) = table.get_mut(conn.index())
            && *slot == id
        {
            *slot = ConnId::MAX;
            if conn.is_accepted() {
                process.free_accepted.push(conn.index() as u32);
            }
        }
    }

    pub(super) fn send_item(&mut self, id: ConnId, side: usize, item: Item, bytes: u32, word: u32) {
        self.send_item_late(id, side, item, bytes, word, 0);
    }

    /// One item leaves end `side`.
    pub(super) fn send_item_late(&mut self, id: ConnId, side: usize, item: Item, bytes: u32, word: u32, extra: u64) {
        let connection = &self.connections[id as usize];
        let (from, to) = (connection.ends[side].node, connection.ends[1 - side].node);
        let (from_host, to_host) = (self.host_of(from), self.host_of(to));
        let stalled = connection.directions[side].stalls();
        if stalled || self.hosts[to_host as usize].lost || self.links.is_cut(from_host, to_host) {
            let stall = self.connections[id as usize].directions[side].stall();
            stall.items.push_back((item, bytes, word));
            if !stalled {
                (stall.since, stall.retries) = (self.now, 0);
                let at = self.now + self.links.rto(0);
                self.schedule_at(at, Class::Network, from, Kind::Retransmit, id, side as u32);
            }
            return;
        }
        let (latency, transmission) = self.links.delay(from_host, to_host, word, bytes);
        let direction = &mut self.connections[id as usize].directions[side];
        direction.busy_until = direction.busy_until.max(self.now) + transmission;
        let at = (direction.busy_until + latency + extra).max(direction.last_arrival);
        direction.last_arrival = at;
        direction.depart(&mut self.wire, item, bytes);
        self.schedule_at(at, Class::Network, from, Kind::Deliver, id, side as u32);
    }

    /// TCP tries again; `direction` 2 is an unanswered SYN.
    #[cold]
    pub(super) fn retransmit(&mut self, id: ConnId, direction: usize) {
        let Some(connection) = self.connections.get(id as usize) else { return };
        if direction == 2 {
            if connection.ends[0].open && !connection.established {
                self.send_syn(id);
            }
            return;
        }
        if !connection.directions[direction].stalls() {
            return;
        }
        let (sender, receiver) = (connection.ends[direction], connection.ends[1 - direction]);
        let (from, to) = (self.host_of(sender.node), self.host_of(receiver.node));
        if self.hosts[to as usize].lost || self.links.is_cut(from, to) {
            let stall = self.connections[id as usize].directions[direction].stall();
            stall.retries += 1;
            let (since, retries) = (stall.since, stall.retries);
            if self.now - since > self.links.spec().give_up {
                self.give_up(id, direction);
                return self.end_closed(id, direction, Ending::Reset);
            }
            let at = self.now + self.links.rto(retries);
            self.schedule_at(at, Class::Network, sender.node, Kind::Retransmit, id, direction as u32);
            return;
        }
        if self.window_closed(id, direction) {
            // A probe of a closed window is answered: it backs off and never gives up.
            let stall = self.connections[id as usize].directions[direction].stall();
            stall.retries += 1;
            stall.since = self.now;
            let at = self.now + self.links.rto(stall.retries);
            return self.schedule_at(at, Class::Network, sender.node, Kind::Retransmit, id, direction as u32);
        }
        for (item, bytes, word) in self.connections[id as usize].directions[direction].take_stalled() {
            self.send_item(id, direction, item, bytes, word);
        }
    }

    /// The receiver stands still and its kernel's buffer has sent items back.
    fn window_closed(&self, id: ConnId, direction: usize) -> bool {
        let connection = &self.connections[id as usize];
        let receiver = connection.ends[1 - direction];
        connection.directions[direction].bounced() > 0
            && receiver.open
            && self.processes[receiver.node.0 as usize].state.stands_still()
    }

    /// What waited for a retransmission never goes out.
    #[cold]
    pub(super) fn give_up(&mut self, id: ConnId, direction: usize) {
        for (item, _, _) in self.connections[id as usize].directions[direction].take_stalled() {
            self.recycle(item);
        }
    }

    /// The oldest item of a direction arrives.
    pub(super) fn deliver(&mut self, id: ConnId, direction: usize) {
        let receiver = self.connections[id as usize].ends[1 - direction];
        let host = self.host_of(receiver.node);
        let n = receiver.node.0 as usize;
        if self.hosts[host as usize].lost {
            // Nobody acknowledges: the sender keeps it and tries again.
            let Some((item, bytes)) = self.connections[id as usize].directions[direction].arrive(&mut self.wire) else { return };
            let sender = self.connections[id as usize].ends[direction];
            if sender.open {
                let d = &mut self.connections[id as usize].directions[direction];
                let first = !d.stalls();
                let stall = d.stall();
                stall.items.push_back((item, bytes, 0x8000_0000));
                if first {
                    (stall.since, stall.retries) = (self.now, 0);
                    let at = self.now + self.links.rto(0);
                    self.schedule_at(at, Class::Network, sender.node, Kind::Retransmit, id, direction as u32);
                }
            }
            return self.reap(id);
        }
        let alive = receiver.open && self.processes[n].life as u32 == receiver.life;
        // It stands still, or has not taken the connection up yet.
        if alive && (self.processes[n].state.stands_still() || !receiver.conn.is_accepted() && 1 - direction == 1) {
            let room = self.links.spec().receive_buffer;
            let d = &mut self.connections[id as usize].directions[direction];
            let first = !d.stalls();
            if !d.buffer(&mut self.wire, room) && first {
                let stall = d.stall();
                (stall.since, stall.retries) = (self.now, 0);
                let (sender, at) = (self.connections[id as usize].ends[direction].node, self.now + self.links.rto(0));
                self.schedule_at(at, Class::Network, sender, Kind::Retransmit, id, direction as u32);
            }
            return;
        }
        let Some((item, _)) = self.connections[id as usize].directions[direction].arrive(&mut self.wire) else { return };
        if !alive {
            // A closed or forgotten flow is answered with a reset.
            if !matches!(item, Item::Reset) && self.connections[id as usize].ends[direction].open {
                self.send_item(id, 1 - direction, Item::Reset, 40, 0x4000_0000);
            }
            self.recycle(item);
            return self.reap(id);
        }
        match item {
            Item::Frame(frame) => self.dispatch(receiver.node, Input::Frame { conn: receiver.conn, frame }),
            Item::Fin => self.end_closed(id, 1 - direction, Ending::Fin),
            Item::Reset => self.end_closed(id, 1 - direction, Ending::Reset),
        }
    }

    pub(super) fn recycle(&mut self, item: Item) {
        match item {
            Item::Frame(Frame { body: Body::Answer(crate::rocketmq::protocol::Answer::Pulled { messages, .. }), .. }) => {
                self.pool.give(messages);
            }
            Item::Frame(Frame { body: Body::Ha(HaFrame::Transfer { records, .. }), .. }) => self.pool.give(records),
            _ => {}
        }
    }

    /// End `side` learns that its connection is over.
    #[cold]
    pub(super) fn end_closed(&mut self, id: ConnId, side: usize, how: Ending) {
        let end = self.connections[id as usize].ends[side];
        if !end.open {
            return self.reap(id);
        }
        // `NioEventLoop#run`: ready keys come before queued writes, and a write to a channel that the reading has closed fails at once.
        let how = if self.connections[id as usize].directions[side].unflushed
            && self.now <= self.processes[end.node.0 as usize].drained_at
        {
            Ending::Reset
        } else {
            how
        };
        self.connections[id as usize].ends[side].open = false;
        self.forget_conn(end.node, end.conn, id);
        // Netty closes its own side when the peer has closed.
        let peer = self.connections[id as usize].ends[1 - side];
        if peer.open && how == Ending::Reset {
            self.send_item(id, side, Item::Reset, 40, 0x4000_0000);
        }
        self.reap(id);
        self.dispatch(end.node, Input::Closed { conn: end.conn, how });
    }

    /// Frees a connection on which nothing can happen any more.
    pub(super) fn reap(&mut self, id: ConnId) {
        let connection = &mut self.connections[id as usize];
        if connection.finished() && connection.syns != u32::MAX {
            connection.syns = u32::MAX;
            self.free_connections.push(id);
        }
    }
}
