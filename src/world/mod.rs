//! The simulated world: hosts and processes, sockets and links, clocks, load and faults. The only place where inputs and outputs of roles meet.
//!
//! One event queue drives everything. An event is handed to one process; what the process asks for becomes further events. The whole value is plain
//! data: a clone is a checkpoint.

mod application;
pub mod clock;
#[cfg(test)]
mod cold_tests;
mod faults;
mod lives;
mod load;
mod net;
mod pauses;
mod planted;
mod process;
mod processors;
mod set_up;
mod sockets;
pub mod spec;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod thaw_tests;
pub mod unbuilt;

pub use self::planted::Planted;

use self::clock::NodeClock;
use self::load::Load;
use self::net::{ConnId, Connection, Direction, End, Item, Links, Wire};
use self::process::{AnyRole, Blueprint, Call, Held, Host, Listener, Process, State, hosts};
use self::processors::{Boots, Processor};
use self::set_up::blueprint;
use self::spec::{ListenerScript, MemberRole, NodeKind, Spec, StartSpec};
use crate::base::draw::{Draws, Purpose};
use crate::base::ids::{Addr, Entity, MessageId, NodeId};
use crate::base::quantile::Quantiles;
use crate::base::time::{MS, SEC};
use crate::contract::note::{Note, Observer, SendEnd, SendError, Stamp};
use crate::contract::{
    AppInput, Conn, ConnectError, Deadline, Ending, Env, Input, Now, Offered, Op, Out, Port, Role, Verdict, WorkClass,
};
use crate::kernel::digest::Digest;
use crate::kernel::order::{Class, Order, Ties};
use crate::kernel::queue::EventQueue;
use crate::rocketmq::broker::{Broker, BrokerConfig};
use crate::rocketmq::client::ClientProcess;
use crate::rocketmq::client::config::ClientConfig;
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::nameserver::role::{NameServer, NameserverConfig};
use crate::rocketmq::protocol::{Body, Frame, HaFrame};
use std::collections::VecDeque;
use std::sync::Arc;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Entry `a` of the fault plan.
    Fault,
    /// The process begins its boot.
    Boot,
    /// Booted: the role begins.
    Begin,
    /// The oldest item of direction `b` of connection `a` arrives.
    Deliver,
    /// A SYN of connection `a` arrives at the serving host.
    Syn,
    /// The handshake's answer of connection `a` arrives at the caller; `b`: 0 open, 1 refused.
    SynAck,
    /// TCP tries again: direction `b` of connection `a`.
    Retransmit,
    /// Work with ticket `b` is done.
    Work,
    /// Listener call with ticket `b` returns.
    Listened,
    /// The next message of producer `a` is due.
    Due,
    /// A role's deadline.
    Wake,
    /// A killed process has been taken apart.
    Gone,
    /// A process that has thawed comes to closing end `b` of connection `a`.
    Close,
    /// Host `a` stands still, for the `b`-th time.
    Pause,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Kind; 14] = [
        Kind::Fault,
        Kind::Boot,
        Kind::Begin,
        Kind::Deliver,
        Kind::Syn,
        Kind::SynAck,
        Kind::Retransmit,
        Kind::Work,
        Kind::Listened,
        Kind::Due,
        Kind::Wake,
        Kind::Gone,
        Kind::Close,
        Kind::Pause,
    ];
}

/// One event: what, with which numbers, in which life of its process, and which event caused it.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub kind: Kind,
    pub life: u16,
    pub node: NodeId,
    pub a: u32,
    pub b: u32,
    /// Number of the event that scheduled it; its low 24 bits while the event is pending.
    pub cause: u32,
}

/// An event as the queue holds it: two words, read and written whole.
#[derive(Clone, Copy, Debug)]
struct Packed([u64; 2]);

impl Packed {
    #[inline]
    fn of(event: Event) -> Packed {
        let Event { kind, life, node, a, b, cause } = event;
        Packed([
            (kind as u64) << 56 | (life as u64) << 40 | (node.0 as u64) << 24 | (cause & 0xff_ffff) as u64,
            (a as u64) << 32 | b as u64,
        ])
    }
    #[inline]
    fn event(self) -> Event {
        let Packed([head, numbers]) = self;
        Event {
            kind: Kind::ALL[(head >> 56) as usize],
            life: (head >> 40) as u16,
            node: NodeId((head >> 24) as u16),
            a: (numbers >> 32) as u32,
            b: numbers as u32,
            cause: head as u32 & 0xff_ffff,
        }
    }
}

/// A producer's load and where it goes.
#[derive(Clone, Debug)]
struct Feed {
    node: NodeId,
    member: u16,
    load: Load,
    /// When the next message falls due, ns of the run.
    due: u64,
    /// Messages of one batch, and those gathered for the next.
    batch: u16,
    gathered: Vec<Offered>,
}

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time asked for is reached.
    Time,
    /// No event is left.
    Nothing,
    /// The limit on events was reached.
    Events,
    /// More than ten million events at one instant.
    Livelock,
}

/// A run in progress.
#[derive(Clone, Debug)]
pub struct World<O> {
    spec: Arc<Spec>,
    draws: Draws,
    ties: Ties,
    now: u64,
    queue: EventQueue<Packed>,
    digest: Digest,
    events: u64,
    at_this_instant: u64,
    processes: Vec<Process>,
    hosts: Vec<Host>,
    disks: Vec<NodeDisk>,
    pool: BatchPool,
    links: Links,
    wire: Wire,
    connections: Vec<Connection>,
    free_connections: Vec<ConnId>,
    by_addr: Vec<NodeId>,
    feeds: Vec<Feed>,
    calls: Vec<Vec<Call>>,
    faults: faults::Faults,
    out: Out<Frame>,
    inbox: VecDeque<(u16, Input<Frame>)>,
    observer: O,
    /// Called with every event when recording is on: (number, time, event).
    recorder: Option<Vec<(u64, u64, Event)>>,
    /// An input is being handled.
    busy: bool,
    /// No host stands still from here on.
    pauses_end: u64,
    /// A bug that a test has planted.
    plant: Option<planted::Plant>,
}

/// Events at one instant above which a run is taken to be stuck.
const LIVELOCK: u64 = 10_000_000;

impl<O: Observer> World<O> {
    /// Builds the world of a specification at its beginning.
    pub fn new(spec: Arc<Spec>, observer: O) -> Self {
        let draws = Draws::new(spec.seed);
        let mut processes = Vec::with_capacity(spec.nodes.len());
        let mut feeds = Vec::new();
        let most_addr = spec.nodes.iter().map(|n| n.addr.0).max().unwrap_or(0) as usize;
        let mut by_addr = vec![NodeId(u16::MAX); most_addr + 1];
        for (i, node) in spec.nodes.iter().enumerate() {
            by_addr[node.addr.0 as usize] = NodeId(i as u16);
            let mut consumers = Vec::new();
            if let NodeKind::Client(client) = &node.kind {
                for (m, member) in client.members.iter().enumerate() {
                    match &member.role {
                        MemberRole::Producer(p) => {
                            let entity = member.entity;
                            feeds.push(Feed {
                                node: NodeId(i as u16),
                                member: m as u16,
                                load: Load::new(entity, p),
                                due: 0,
                                batch: p.batch,
                                gathered: Vec::new(),
                            });
                        }
                        MemberRole::Consumer(c) => {
                            let listener =
                                Listener { member: m as u16, service: c.service_time.clone(), script: c.script.clone() };
                            consumers.push(listener);
                        }
                    }
                }
            }
            processes.push(Process {
                entity: node.entity,
                host: node.host,
                state: State::Down,
                life: 0,
                role: None,
                blueprint: blueprint(&spec, i),
                clock: NodeClock::new(node.clock_offset, node.clock_drift_ppm),
                counter: 0,
                armed: u64::MAX,
                armed_for: u64::MAX,
                outgoing: Vec::new(),
                accepted: Vec::new(),
                free_accepted: Vec::new(),
                held: Vec::new(),
                frozen_at: 0,
                thawed_at: 0,
                drained_at: 0,
                backlog: 0,
                consumers,
                deliveries: 0,
                answered: 0,
                fresh: true,
                again: None,
            });
        }
        let mut world = World {
            draws,
            ties: Ties::new(spec.tie_seed),
            now: 0,
            queue: EventQueue::default(),
            digest: Digest::default(),
            events: 0,
            at_this_instant: 0,
            disks: vec![NodeDisk::default(); processes.len()],
            calls: vec![Vec::new(); processes.len()],
            hosts: hosts(&spec),
            processes,
            pool: BatchPool::default(),
            links: Links::new(&spec),
            wire: Wire::default(),
            connections: Vec::new(),
            free_connections: Vec::new(),
            by_addr,
            feeds,
            faults: faults::Faults::new(&spec),
            out: Out::default(),
            inbox: VecDeque::new(),
            observer,
            recorder: None,
            busy: false,
            pauses_end: 0,
            plant: None,
            spec,
        };
        world.set_up();
        world
    }

    /// Keeps every event, to find the first one that differs between two runs.
    pub fn record(&mut self) {
        self.recorder = Some(Vec::new());
    }
    pub fn recorded(&self) -> &[(u64, u64, Event)] {
        self.recorder.as_deref().unwrap_or(&[])
    }

    pub fn digest(&self) -> u64 {
        self.digest.value()
    }
    pub fn events(&self) -> u64 {
        self.events
    }
    pub fn now(&self) -> u64 {
        self.now
    }
    pub fn observer(&self) -> &O {
        &self.observer
    }
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }
    pub fn into_observer(self) -> O {
        self.observer
    }
    /// The disks, for checks at the end.
    pub fn disks(&self) -> &[NodeDisk] {
        &self.disks
    }

    // ---- scheduling

    fn schedule_at(&mut self, at: u64, class: Class, node: NodeId, kind: Kind, a: u32, b: u32) {
        let process = &mut self.processes[node.0 as usize];
        process.counter += 1;
        let order = Order::new(class, self.ties.place(node.0), process.counter);
        let event = Event { kind, life: process.life, node, a, b, cause: self.events as u32 };
        // Nothing is scheduled at the present instant.
        let at = if self.events == 0 { at } else { at.max(self.now + 1) };
        self.queue.push(at, order, Packed::of(event));
    }

    /// Plans the next message of a load; the answer is whether there is one.
    fn next_due(&mut self, feed: usize) -> bool {
        let zero = self.spec.warmup;
        let (node, due) = (self.feeds[feed].node, self.feeds[feed].load.next(self.draws, zero));
        if let Some(at) = due {
            self.feeds[feed].due = at;
            self.schedule_at(at, Class::Load, node, Kind::Due, feed as u32, 0);
        }
        due.is_some()
    }

    /// Runs until a true time, or until the run ends by itself.
    pub fn run_until(&mut self, until: u64, max_events: u64) -> Stop {
        loop {
            if self.events >= max_events && self.queue.peek_time().is_some_and(|at| at <= until) {
                return Stop::Events;
            }
            let Some(entry) = self.queue.pop_until(until) else {
                if self.queue.is_empty() {
                    return Stop::Nothing;
                }
                self.now = self.now.max(until);
                return Stop::Time;
            };
            if entry.time > self.now {
                self.now = entry.time;
                self.at_this_instant = 0;
            }
            self.at_this_instant += 1;
            if self.at_this_instant > LIVELOCK {
                return Stop::Livelock;
            }
            let event = entry.event.event();
            if self.now < self.pauses_end
                && let Some(until) = self.stands_still(&event)
            {
                self.queue.push(until, entry.order, entry.event);
                continue;
            }
            self.events += 1;
            self.digest.word(entry.time ^ entry.order.0.rotate_left(17));
            self.digest.word((event.kind as u64) << 56 | (event.a as u64) << 24 ^ event.b as u64);
            if let Some(recorder) = &mut self.recorder {
                // The queue keeps the low bits of a cause; it lies shortly before.
                let cause = self.events - 1 - (self.events - 1).wrapping_sub(event.cause as u64) % (1 << 24);
                recorder.push((self.events, entry.time, Event { cause: cause as u32, ..event }));
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let node = event.node;
        let (state, life) = {
            let process = &self.processes[node.0 as usize];
            (process.state, process.life)
        };
        match event.kind {
            Kind::Fault => self.fault(event.a, event.b),
            Kind::Boot => self.boot(node),
            Kind::Pause => self.pause(node, event.a as usize, event.b),
            Kind::Deliver => self.deliver(event.a, event.b as usize),
            Kind::Syn => self.syn(event.a),
            Kind::SynAck => self.syn_ack(event.a, event.b == 0),
            Kind::Retransmit => self.retransmit(event.a, event.b as usize),
            Kind::Due => self.due(event.a),
            Kind::Work if event.life != life && self.mixes_lives() => self.past_work(node, event.b),
            // What was owed to a past life is dropped.
            _ if event.life != life => {}
            Kind::Begin => self.begin(node),
            Kind::Gone => self.close_sockets(node, false),
            Kind::Close => self.close_at_last(node, event.a, event.b as usize),
            Kind::Work => match state {
                State::Frozen => self.processes[node.0 as usize].held.push(Held::Worked(event.b)),
                _ => self.dispatch(node, Input::Worked { ticket: event.b }),
            },
            Kind::Listened => match state {
                State::Frozen => self.processes[node.0 as usize].held.push(Held::Listened(event.b, event.a != 0)),
                _ => self.listened(node, event.b),
            },
            Kind::Wake => {
                let process = &mut self.processes[node.0 as usize];
                if process.armed == self.now {
                    process.disarm();
                    if state == State::Up {
                        self.dispatch(node, Input::Wake);
                    }
                }
            }
        }
    }

    fn stamp(&self, node: NodeId) -> Stamp {
        Stamp { at: self.now, node, life: self.processes[node.0 as usize].life as u32, event: self.events }
    }

    fn truth(&mut self, node: NodeId, note: Note) {
        let stamp = self.stamp(node);
        self.observer.note(stamp, &note);
    }

    // ---- the heart: one input of one role, and what it asks for

    fn dispatch(&mut self, node: NodeId, input: Input<Frame>) {
        if self.busy {
            // Same-instant work runs to completion from its own FIFO.
            return self.inbox.push_back((node.0, input));
        }
        self.busy = true;
        self.handle(node, input);
        let mut last = node;
        while let Some((next, input)) = self.inbox.pop_front() {
            if next != last.0 {
                self.arm(last);
                last = NodeId(next);
            }
            self.handle(last, input);
        }
        self.arm(last);
        self.busy = false;
    }

    fn handle(&mut self, node: NodeId, input: Input<Frame>) {
        let n = node.0 as usize;
        if self.plant.is_some() {
            self.planted_input(node, &input);
        }
        let process = &mut self.processes[n];
        let Some(role) = process.role.as_mut() else { return };
        if process.state == State::Frozen {
            return;
        }
        let now = process.clock.now(self.now);
        let mut env = Env {
            disk: &mut self.disks[n],
            pool: &mut self.pool,
            draws: self.draws,
            entity: process.entity,
            life: process.life as u32,
        };
        role.handle(now, input, &mut env, &mut self.out);
        self.drain(node);
    }

    fn drain(&mut self, node: NodeId) {
        if !self.out.notes.is_empty() {
            let stamp = self.stamp(node);
            if self.plant.is_some() {
                let notes = std::mem::take(&mut self.out.notes);
                for note in &notes {
                    for _ in 0..self.planted_note(note) {
                        self.observer.note(stamp, note);
                    }
                }
                self.out.notes = notes;
            } else {
                for note in &self.out.notes {
                    self.observer.note(stamp, note);
                }
            }
            self.out.notes.clear();
        }
        // Taken from the back, one by one: mostly there is one. No role is asked meanwhile, so that none is added.
        self.out.ops.reverse();
        while let Some(op) = self.out.ops.pop() {
            match op {
                Op::Write { conn, frame, bytes, hop } => self.write(node, conn, frame, bytes, hop),
                Op::Work { ticket, class, word } => {
                    let mut lasts = self.spec.nodes[node.0 as usize].services.of(class).at(word);
                    if self.faults.disks_are_slow() && matches!(class, WorkClass::Send | WorkClass::Fsync) {
                        lasts = lasts.saturating_mul(self.faults.slow_disk(node));
                    }
                    if class == WorkClass::Fsync {
                        self.faults.meets_fsync(node);
                    }
                    lasts = match class {
                        // It is woken as any thread is, and then has work of its own.
                        WorkClass::Delivery => {
                            let cold = self.first_delivery(node);
                            lasts + self.runs_cold(node, cold)
                        }
                        WorkClass::Resume => match self.first_call(node) {
                            0 => self.in_line(node, class, lasts),
                            cold => lasts + self.runs_cold(node, cold),
                        },
                        _ => self.in_line(node, class, lasts) + self.wakes_after_thaw(node, class),
                    };
                    if lasts == 0 {
                        self.inbox.push_back((node.0, Input::Worked { ticket }));
                    } else {
                        self.schedule_at(self.now + lasts, Class::Work, node, Kind::Work, 0, ticket);
                    }
                }
                Op::Listen { ticket, consumer, first, count, reconsume_times } => {
                    self.listen(node, ticket, consumer, first as usize..(first + count) as usize, reconsume_times);
                }
                Op::Interrupt { ticket } => self.interrupt(node, ticket),
                Op::Connect { conn, to, port } => self.connect(node, conn, to, port),
                Op::Close { conn } => self.close(node, conn),
                Op::Exit => self.exit(node),
            }
        }
        self.out.ids.clear();
    }

    /// What passes until the thread that takes this work up runs, ns, soon after a thaw: all threads of the process want the processor then. The one
    /// thread of channel events waits once; a worker of the pools that are seldom used is woken by its job and then waits for its turn. So it is open which comes first, a
    /// heartbeat that lay in a socket or the close event of that socket (H87).
    fn wakes_after_thaw(&self, node: NodeId, class: WorkClass) -> u64 {
        let process = &self.processes[node.0 as usize];
        let thaw = &self.spec.nodes[node.0 as usize].services.thaw;
        let since = self.now - process.thawed_at;
        let event = class == WorkClass::ChannelEvent;
        if process.thawed_at == 0
            || since >= 2 * thaw.p99()
            || !matches!(class, WorkClass::ChannelEvent | WorkClass::Manage | WorkClass::Heartbeat)
        {
            return 0;
        }
        let thread = if event { 0 } else { process.counter };
        let n = (process.life as u64) << 48 ^ process.thawed_at << 8 ^ thread << 16 ^ 0xff;
        let word = self.draws.word(process.entity, Purpose::Thaw, n);
        let late = thaw.at(word);
        if event { late.saturating_sub(since) } else { late }
    }

    /// Keeps one live wake-up for the role.
    fn arm(&mut self, node: NodeId) {
        let process = &mut self.processes[node.0 as usize];
        if process.state != State::Up {
            return;
        }
        let Some(role) = process.role.as_mut() else { return };
        let now = process.clock.now(self.now);
        let Some(deadline) = role.next_deadline(now) else { return };
        let due = process.clock.true_time(deadline, self.now);
        if due < process.armed_for {
            // No timed wait ends on the nanosecond: timer slack and scheduling make it late by a draw, which hangs on the deadline alone: what
            // else the process does must not move it.
            let word = self.draws.word(process.entity, Purpose::Wakeup, due);
            let late = self.spec.nodes[node.0 as usize].services.wakeup.at(word);
            process.armed_for = due;
            process.armed = (due + late).max(self.now + 1);
            let at = process.armed;
            self.schedule_at(at, Class::Wake, node, Kind::Wake, 0, 0);
        }
    }
}
