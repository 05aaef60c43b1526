//! Lives of processes and hosts: boot, kill, lost power, freeze and thaw, and what the kernel does with their sockets meanwhile.
//!
//! A killed process leaves a living kernel that closes its sockets; a lost host says nothing to anybody; a frozen process keeps its kernel, which
//! completes handshakes and buffers. What was owed to a past life is dropped, because every event carries the life it was meant for.

use super::*;

impl<O: Observer> World<O> {
    #[cold]
    pub(super) fn boot(&mut self, node: NodeId) {
        let host = self.processes[node.0 as usize].host as usize;
        let process = &mut self.processes[node.0 as usize];
        if process.state == State::Dying {
            // Whoever starts it waits for its end.
            process.again = Some(0);
        }
        if process.state != State::Down || self.hosts[host].lost {
            return;
        }
        process.life += 1;
        process.state = State::Booting;
        (process.thawed_at, process.drained_at, process.deliveries) = (0, 0, 0);
        process.answered = processors::warm_up(&self.spec.nodes[node.0 as usize].kind);
        process.fresh = false;
        process.disarm();
        let own = self.draws.word(process.entity, Purpose::Boot, process.life as u64);
        let boot = &self.spec.nodes[node.0 as usize].services.boot;
        let boots = match self.common_luck(host) {
            None => boot.at(own),
            // By a tenth each is its own.
            Some(luck) => boot.at(luck) / 1_000 * u64::from(900 + own % 201),
        };
        let lasts = boots.saturating_add(self.reads_its_log(node));
        self.truth(node, Note::Up);
        if self.hosts[host].shared {
            let now = self.now;
            self.hosts[host].boots.begin(node, now, lasts.max(1));
            self.boots_change(host);
        } else {
            self.schedule_at(self.now + lasts.max(1), Class::Work, node, Kind::Begin, 0, 0);
        }
    }

    /// The start of each process of a host ends later now, or sooner.
    fn boots_change(&mut self, host: usize) {
        for (node, end) in self.hosts[host].boots.ends() {
            self.schedule_at(end, Class::Work, node, Kind::Begin, 0, 0);
        }
    }

    fn no_longer_boots(&mut self, node: NodeId) {
        let host = self.processes[node.0 as usize].host as usize;
        let now = self.now;
        if self.hosts[host].boots.end(node, now) {
            self.boots_change(host);
        }
    }

    /// How long a broker reads its log before it serves, ns (`DefaultMessageStore#recover`).
    fn reads_its_log(&self, node: NodeId) -> u64 {
        let NodeKind::Broker(broker) = &self.spec.nodes[node.0 as usize].kind else { return 0 };
        let bytes = self.disks[node.0 as usize].broker.walk(broker.dledger.is_some()).bytes;
        let ns = (bytes as u128 * SEC as u128).checked_div(self.spec.disks.recovery as u128).unwrap_or(0);
        u64::try_from(ns).unwrap_or(u64::MAX / 4)
    }

    #[cold]
    pub(super) fn begin(&mut self, node: NodeId) {
        let process = &mut self.processes[node.0 as usize];
        if process.state != State::Booting {
            return;
        }
        let host = process.host as usize;
        if self.hosts[host].shared {
            // Whoever began to start meanwhile has made it later, and then a later event says when.
            if !self.hosts[host].boots.is_over(node, self.now) {
                return;
            }
            self.no_longer_boots(node);
        }
        let process = &mut self.processes[node.0 as usize];
        process.state = State::Up;
        process.role = Some(process.blueprint.build());
        process.outgoing.clear();
        self.dispatch(node, Input::Start);
    }

    /// The process is gone, and its sockets with it.
    pub(super) fn end_life(&mut self, node: NodeId, orderly: bool) {
        if self.stop_threads(node) {
            self.close_sockets(node, orderly);
        }
    }

    /// Nothing runs in the process any more.
    fn stop_threads(&mut self, node: NodeId) -> bool {
        let n = node.0 as usize;
        let process = &mut self.processes[n];
        if matches!(process.state, State::Down | State::Dying) {
            return false;
        }
        process.state = State::Dying;
        self.no_longer_boots(node);
        let process = &mut self.processes[n];
        let role = process.role.take();
        process.disarm();
        self.calls[n].clear();
        let now = self.processes[n].clock.now(self.now).mono;
        self.disks[n].process_died(now);
        self.nobody_heard(node, role);
        true
    }

    /// The kernel closes what the process had open.
    #[cold]
    pub(super) fn close_sockets(&mut self, node: NodeId, orderly: bool) {
        let n = node.0 as usize;
        let process = &mut self.processes[n];
        if process.state != State::Dying {
            return;
        }
        process.state = State::Down;
        let held = std::mem::take(&mut process.held);
        process.backlog = 0;
        self.refuse_untaken(&held, true);
        let conns: Vec<ConnId> = self.processes[n]
            .outgoing
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter()
            .chain(self.processes[n].accepted.drain(..))
            .collect();
        self.processes[n].free_accepted.clear();
        for id in conns {
            let Some(side) = self.side_of(id, node) else { continue };
            let unread = self.connections[id as usize].directions[1 - side].unread().0 > 0;
            self.connections[id as usize].ends[side].open = false;
            self.connections[id as usize].directions[1 - side].take_unread();
            let item = if unread && !orderly { Item::Reset } else { Item::Fin };
            self.send_item(id, side, item, 40, 0x4000_0000);
            self.reap(id);
        }
        self.start_again(node);
    }

    /// Calls of the application that died with their process.
    pub(super) fn nobody_heard(&mut self, node: NodeId, role: Option<AnyRole>) {
        self.forget_gathered(node);
        if let Some(AnyRole::Client(client)) = role {
            for msg in client.open_sends() {
                let end = SendEnd::Unknown { error: SendError::ProcessDied, broker: None };
                self.truth(node, Note::SendEnded { msg, end, attempts: 0 });
            }
        }
    }

    /// SIGKILL: the kernel frees the memory of the process before it closes its sockets (`do_exit`: `exit_mm`, then `exit_files`), which
    /// takes it tens of ms for a large one; until then its peers see a process that stands still.
    pub(super) fn kill(&mut self, node: NodeId) -> bool {
        let n = node.0 as usize;
        if matches!(self.processes[n].state, State::Down | State::Dying) {
            return false;
        }
        self.truth(node, Note::Killed);
        let word = self.draws.word(self.processes[n].entity, Purpose::Crash, (self.processes[n].life as u64) << 32);
        let lasts = self.spec.nodes[n].services.exit.at(word);
        self.stop_threads(node);
        if lasts == 0 {
            self.close_sockets(node, false);
        } else {
            self.schedule_at(self.now + lasts, Class::Work, node, Kind::Gone, 0, 0);
        }
        true
    }

    #[cold]
    pub(super) fn exit(&mut self, node: NodeId) {
        self.truth(node, Note::Exited);
        self.end_life(node, true);
    }

    /// Power: nothing is said to anybody.
    pub(super) fn lose_host(&mut self, host: u16) -> u64 {
        if self.hosts[host as usize].lost {
            return 0;
        }
        self.hosts[host as usize].lost = true;
        self.hosts[host as usize].incarnation += 1;
        let nodes: Vec<NodeId> = self.nodes_of(host);
        let mut touched = 0;
        for node in nodes {
            let n = node.0 as usize;
            // The page cache is the host's: it goes even where the process had gone before.
            let (entity, incarnation) = (self.processes[n].entity, self.hosts[host as usize].incarnation);
            let luck = self.draws.word(entity, Purpose::Crash, incarnation as u64);
            self.settle_disk(node);
            let now = self.processes[n].clock.now(self.now).mono;
            self.disks[n].power_lost(luck, now);
            if self.processes[n].state == State::Down {
                continue;
            }
            touched += 1;
            self.truth(node, Note::HostLost);
            let process = &mut self.processes[n];
            process.state = State::Down;
            let role = process.role.take();
            process.disarm();
            process.again = None;
            let held = std::mem::take(&mut process.held);
            process.backlog = 0;
            self.calls[n].clear();
            self.nobody_heard(node, role);
            self.refuse_untaken(&held, false);
            let process = &mut self.processes[n];
            let conns: Vec<ConnId> = process.outgoing.drain(..).chain(process.accepted.drain(..)).collect();
            process.free_accepted.clear();
            for id in conns {
                // A number whose connection is long over stands for none.
                let Some(side) = self.side_of(id, node) else { continue };
                let connection = &mut self.connections[id as usize];
                connection.ends[side].open = false;
                // Its own unsent and unacknowledged bytes are gone with it.
                connection.directions[1 - side].take_unread();
                self.give_up(id, side);
                self.reap(id);
            }
        }
        touched
    }

    pub(super) fn nodes_of(&self, host: u16) -> Vec<NodeId> {
        (0..self.processes.len() as u16).map(NodeId).filter(|n| self.processes[n.0 as usize].host == host).collect()
    }

    pub(super) fn freeze(&mut self, node: NodeId) -> bool {
        let process = &mut self.processes[node.0 as usize];
        if process.state != State::Up {
            return false;
        }
        process.state = State::Frozen;
        process.frozen_at = self.now;
        process.backlog = 0;
        self.truth(node, Note::Frozen);
        true
    }

    /// Every thread goes on after a draw of its own: sockets are drained at a cost a frame, work that ran goes on, deadlines that passed fire.
    pub(super) fn thaw(&mut self, node: NodeId) {
        let n = node.0 as usize;
        if self.processes[n].state != State::Frozen {
            return;
        }
        self.processes[n].state = State::Up;
        self.processes[n].thawed_at = self.now;
        self.truth(node, Note::Thawed);
        let (entity, life) = (self.processes[n].entity, self.processes[n].life as u64);
        let services = self.spec.nodes[n].services.clone();
        let frozen_at = self.processes[n].frozen_at;
        let draws = self.draws;
        let mut drawn = 0u64;
        let mut draw = |table: &Quantiles| {
            drawn += 1;
            table.at(draws.word(entity, Purpose::Thaw, (life << 48) ^ (frozen_at << 8) ^ drawn))
        };
        let timers = self.now + draw(&services.thaw).max(1);
        // The kernel wakes the threads of a process in the order of their creation. A client's scheduler and RebalanceService are older than its
        // selector, which starts with the first connect (`MQClientInstance#start`): they still take channels for open whose end lies unread.
        let client = matches!(self.processes[n].role, Some(AnyRole::Client(_)));
        let awake = if client { timers } else { self.now };
        // Netty has three selectors on a server, one on a client: each its own thread.
        let mut selectors = [0u64; 3].map(|_| awake + draw(&services.thaw).max(1));
        if client {
            selectors = [selectors[0]; 3];
        }
        let begun = selectors;
        let mut boss = self.now + draw(&services.thaw).max(1);
        let held = std::mem::take(&mut self.processes[n].held);
        let (mut accepted_at, mut closing) = (Vec::new(), Vec::new());
        for item in held {
            match item {
                Held::Accepted(id) => {
                    boss += draw(&services.thaw_frame).max(1);
                    accepted_at.push((id, boss));
                    self.schedule_at(boss, Class::Network, node, Kind::Syn, id, 0);
                }
                Held::Connected(id, ok) => {
                    let at = self.now + draw(&services.thaw).max(1);
                    self.schedule_at(at, Class::Network, node, Kind::SynAck, id, !ok as u32);
                }
                Held::Worked(ticket) => {
                    let at = self.now + draw(&services.thaw).max(1);
                    self.schedule_at(at, Class::Work, node, Kind::Work, 0, ticket);
                }
                Held::Listened(ticket, flag) => {
                    let at = self.now + draw(&services.thaw).max(1);
                    self.schedule_at(at, Class::Work, node, Kind::Listened, flag as u32, ticket);
                }
                Held::Due(feed) => self.due_now(feed),
                Held::Closing(id, side) => closing.push((id, side)),
                Held::Stop => self.dispatch(node, Input::Stop),
            }
        }
        self.processes[n].backlog = 0;
        let conns: Vec<ConnId> = self.processes[n].outgoing.iter().chain(&self.processes[n].accepted).copied().collect();
        let (mut endings, mut full) = (Vec::new(), Vec::new());
        let waiting: Vec<ConnId> = accepted_at.iter().map(|(id, _)| *id).collect();
        for (k, id) in conns.into_iter().chain(waiting.iter().copied()).enumerate() {
            let Some(side) = self.side_of(id, node) else { continue };
            let direction = 1 - side;
            let unread = self.connections[id as usize].directions[direction].take_unread();
            let selector = &mut selectors[k % 3];
            if let Some((_, at)) = accepted_at.iter().find(|(w, _)| *w == id) {
                *selector = (*selector).max(*at);
            }
            if self.connections[id as usize].directions[direction].bounced() > 0 {
                full.push((id, direction));
            }
            // Netty reads what is there and learns of the end only when it comes round again (`AbstractNioByteChannel#read`).
            let ends = self.connections[id as usize].directions[direction].ends_among(&self.wire, unread);
            for _ in 0..unread - ends {
                *selector += draw(&services.thaw_frame).max(1);
                self.schedule_at(*selector, Class::Network, node, Kind::Deliver, id, direction as u32);
            }
            endings.extend((0..ends).map(|_| (id, direction, k % 3)));
            let last = &mut self.connections[id as usize].directions[direction].last_arrival;
            *last = (*last).max(*selector);
        }
        for (id, direction, k) in endings {
            selectors[k] += draw(&services.thaw_frame).max(1);
            self.schedule_at(selectors[k], Class::Network, node, Kind::Deliver, id, direction as u32);
            let last = &mut self.connections[id as usize].directions[direction].last_arrival;
            *last = (*last).max(selectors[k]);
        }
        for (id, side) in closing {
            let read = self.connections[id as usize].directions[1 - side as usize].last_arrival.max(self.now + 1);
            self.schedule_at(read, Class::Network, node, Kind::Close, id, side);
        }
        for (from, to) in begun.into_iter().zip(selectors).take(if client { 1 } else { 3 }) {
            self.drains(node, to - from);
        }
        self.processes[n].drained_at = selectors.into_iter().max().unwrap_or(0);
        for (id, direction) in full {
            // Room again: a window update travels to the sender.
            let connection = &self.connections[id as usize];
            let (sender, read) = (connection.ends[direction].node, connection.directions[direction].last_arrival);
            let (way, _) = self.links.delay(self.host_of(node), self.host_of(sender), 0x4000_0000, 40);
            self.schedule_at(read.max(self.now) + way, Class::Network, sender, Kind::Retransmit, id, direction as u32);
        }
        (self.processes[n].armed, self.processes[n].armed_for) = (timers, self.now);
        self.schedule_at(timers, Class::Wake, node, Kind::Wake, 0, 0);
    }
}
