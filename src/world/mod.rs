//! The simulated world: hosts and processes, sockets and links, clocks, load and faults. The only place where inputs and outputs of roles meet.
//!
//! One event queue drives everything. An event is handed to one process; what the process asks for becomes further events. The whole value is plain
//! data: a clone is a checkpoint.

pub mod clock;
mod faults;
mod load;
mod net;
mod planted;
pub mod spec;
#[cfg(test)]
pub(crate) mod tests;
pub mod unbuilt;

pub use self::planted::Planted;

use self::clock::NodeClock;
use self::load::Load;
use self::net::{ConnId, Connection, Direction, End, Item, Links};
use self::spec::{ListenerScript, MemberRole, NodeKind, Spec, StartSpec};
use crate::base::draw::{Draws, Purpose};
use crate::base::ids::{Addr, Entity, MessageId, NodeId};
use crate::base::quantile::Quantiles;
use crate::base::time::{MS, SEC};
use crate::contract::note::{Note, Observer, SendEnd, SendError, Stamp};
use crate::contract::{AppInput, Conn, ConnectError, Deadline, Ending, Env, Input, Now, Op, Out, Port, Role, Verdict, WorkClass};
use crate::kernel::digest::Digest;
use crate::kernel::order::{Class, Order, Ties};
use crate::kernel::queue::EventQueue;
use crate::rocketmq::broker::{Broker, BrokerConfig};
use crate::rocketmq::client::ClientProcess;
use crate::rocketmq::client::config::ClientConfig;
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::nameserver::role::{NameServer, NameserverConfig};
use crate::rocketmq::protocol::{Body, Frame};
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
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Kind; 11] = [
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

/// A role of any kind.
#[derive(Clone, Debug)]
enum AnyRole {
    NameServer(Box<NameServer>),
    Broker(Box<Broker>),
    Client(Box<ClientProcess>),
}

impl AnyRole {
    fn handle(&mut self, now: Now, input: Input<Frame>, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        match self {
            AnyRole::NameServer(role) => role.handle(now, input, env, out),
            AnyRole::Broker(role) => role.handle(now, input, env, out),
            AnyRole::Client(role) => role.handle(now, input, env, out),
        }
    }
    fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        match self {
            AnyRole::NameServer(role) => role.next_deadline(now),
            AnyRole::Broker(role) => role.next_deadline(now),
            AnyRole::Client(role) => role.next_deadline(now),
        }
    }
}

/// The blueprint of a role: a new life is built from it and the disk.
#[derive(Clone, Debug)]
enum Blueprint {
    NameServer(Arc<NameserverConfig>),
    Broker(Arc<BrokerConfig>),
    Client(Arc<ClientConfig>),
}

impl Blueprint {
    fn build(&self) -> AnyRole {
        match self {
            Blueprint::NameServer(config) => AnyRole::NameServer(Box::new(NameServer::new(config.clone()))),
            Blueprint::Broker(config) => AnyRole::Broker(Box::new(Broker::new(config.clone()))),
            Blueprint::Client(config) => AnyRole::Client(Box::new(ClientProcess::new(config.clone()))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Booting,
    Up,
    Frozen,
}

/// One process slot.
#[derive(Clone, Debug)]
struct Process {
    entity: Entity,
    host: u16,
    state: State,
    life: u16,
    role: Option<AnyRole>,
    blueprint: Blueprint,
    clock: NodeClock,
    /// Events this node has scheduled.
    counter: u64,
    /// True time of the live wake-up, and of the deadline it is for; `u64::MAX`: none.
    armed: u64,
    armed_for: u64,
    outgoing: Vec<ConnId>,
    accepted: Vec<ConnId>,
    free_accepted: Vec<u32>,
    /// What came while frozen and is not a frame.
    held: Vec<Held>,
    /// Frozen since.
    frozen_at: u64,
    /// When it last thawed; 0: never in this life.
    thawed_at: u64,
    /// Connections the kernel accepted for a frozen process.
    backlog: u32,
    consumers: Vec<Listener>,
    fresh: bool,
    /// It is to start again so long after its end, ns.
    again: Option<u64>,
}

impl Process {
    /// No wake-up is planned.
    fn disarm(&mut self) {
        (self.armed, self.armed_for) = (u64::MAX, u64::MAX);
    }
}

/// A consumer's listener, as the application wrote it.
#[derive(Clone, Debug)]
struct Listener {
    member: u16,
    service: Quantiles,
    script: ListenerScript,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    Accepted(ConnId),
    Worked(u32),
    Listened(u32, bool),
    Due(u32),
    Connected(ConnId, bool),
    Stop,
}

/// A listener call under way: enough to answer for it.
#[derive(Clone, Copy, Debug)]
struct Call {
    ticket: u32,
    fails: bool,
    throws: bool,
}

/// A host: its processes share its fate.
#[derive(Clone, Debug, Default)]
struct Host {
    lost: bool,
    /// Rises when the host comes back: flows of before are unknown to it.
    incarnation: u32,
}

/// A producer's load and where it goes.
#[derive(Clone, Debug)]
struct Feed {
    node: NodeId,
    member: u16,
    load: Load,
    /// When the next message falls due, ns of the run.
    due: u64,
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
                            feeds.push(Feed { node: NodeId(i as u16), member: m as u16, load: Load::new(entity, p), due: 0 });
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
                backlog: 0,
                consumers,
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
            hosts: vec![Host::default(); spec.hosts.len()],
            processes,
            pool: BatchPool::default(),
            links: Links::new(&spec),
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
    pub fn into_observer(self) -> O {
        self.observer
    }
    /// The disks, for checks at the end.
    pub fn disks(&self) -> &[NodeDisk] {
        &self.disks
    }

    /// Topics and preloaded messages on the brokers' disks, starts, first due messages, the fault plan.
    fn set_up(&mut self) {
        let spec = self.spec.clone();
        for (i, node) in spec.nodes.iter().enumerate() {
            if let NodeKind::Broker(broker) = &node.kind {
                let disk = &mut self.disks[i].broker;
                for topic in spec.topics.iter().filter(|t| t.brokers.contains(&broker.broker)) {
                    let config = crate::rocketmq::route::TopicConfig {
                        read: topic.read_queue_nums,
                        write: topic.write_queue_nums,
                        perm: topic.perm,
                    };
                    disk.topics.insert(topic.topic, config);
                }
            }
        }
        self.preload(&spec);
        for (i, node) in spec.nodes.iter().enumerate() {
            if let Some(at) = start_time(&spec, i, self.draws) {
                let _ = node;
                self.schedule_at(at.max(1), Class::Fault, NodeId(i as u16), Kind::Boot, 0, 0);
            }
        }
        for f in 0..self.feeds.len() {
            self.next_due(f);
        }
        self.plan_faults();
    }

    /// Preloaded messages: spread evenly over the queues of their topic and over their age.
    fn preload(&mut self, spec: &Spec) {
        for (k, preload) in spec.preloads.iter().enumerate() {
            let producer = 0xFF00 | (k as u16 & 0xFF);
            let Some(topic) = spec.topics.iter().find(|t| t.topic == preload.topic) else { continue };
            let homes: Vec<(usize, u32)> = spec
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, n)| matches!(&n.kind, NodeKind::Broker(b) if b.broker_id == 0 && topic.brokers.contains(&b.broker)))
                .flat_map(|(i, _)| (0..topic.write_queue_nums).map(move |q| (i, q)))
                .collect();
            if homes.is_empty() {
                continue;
            }
            let oldest = crate::base::time::WALL_EPOCH_MS - (preload.age / MS) as i64;
            let step = preload.age / preload.messages.max(1);
            for n in 0..preload.messages {
                let (node, queue) = homes[(n % homes.len() as u64) as usize];
                let store_ms = oldest + (n * step / MS) as i64;
                let message = crate::rocketmq::message::Message {
                    id: MessageId::new(producer, n),
                    born_ms: store_ms,
                    store_ms,
                    queue_offset: n / homes.len() as u64,
                    phys: self.disks[node].broker.log.end,
                    body_len: preload.body_len,
                    tag_code: 0,
                    key: u32::MAX,
                    topic: preload.topic,
                    real_topic: preload.topic,
                    origin_topic: preload.topic,
                    queue_id: queue as u16,
                    real_queue_id: 0,
                    properties_len: 66,
                    reconsume_times: 0,
                    tag: 0,
                    delay_level: 0,
                    flags: 0,
                };
                let size = message.record_size(spec.names.topic_name(preload.topic).len());
                let disk = &mut self.disks[node].broker;
                disk.log.append(message, size);
                disk.dispatch_next();
                let NodeKind::Broker(b) = &spec.nodes[node].kind else { continue };
                let queue = crate::base::ids::MessageQueue { topic: preload.topic, broker: b.broker, queue_id: queue as i32 };
                let rec = crate::base::ids::RecordId { queue, log: 0, offset: message.queue_offset };
                let note = Note::Stored {
                    rec,
                    msg: message.id,
                    store_ms,
                    phys: message.phys,
                    bytes: size,
                    stored_as: crate::contract::note::StoredAs::Plain,
                };
                self.observer.note(Stamp { at: 0, node: NodeId(node as u16), life: 0, event: 0 }, &note);
            }
        }
        for start in &spec.start_offsets {
            for disk in &mut self.disks {
                let disk = &mut disk.broker;
                let numbers: Vec<(usize, u64)> =
                    disk.queues().iter().enumerate().filter(|(_, q)| q.topic == start.topic).map(|(n, q)| (n, q.max())).collect();
                let g = start.group.0 as usize;
                for (number, max) in numbers {
                    if disk.consumer_offsets.len() <= g {
                        disk.consumer_offsets.resize(g + 1, Vec::new());
                    }
                    let row = &mut disk.consumer_offsets[g];
                    if row.len() <= number {
                        row.resize(number + 1, -1);
                    }
                    row[number] = (max * start.consumed_percent as u64 / 100) as i64;
                }
            }
        }
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

    fn next_due(&mut self, feed: usize) {
        let zero = self.spec.warmup;
        let (node, due) = (self.feeds[feed].node, self.feeds[feed].load.next(self.draws, zero));
        if let Some(at) = due {
            self.feeds[feed].due = at;
            self.schedule_at(at, Class::Load, node, Kind::Due, feed as u32, 0);
        }
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
            self.events += 1;
            let event = entry.event.event();
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
            Kind::Deliver => self.deliver(event.a, event.b as usize),
            Kind::Syn => self.syn(event.a),
            Kind::SynAck => self.syn_ack(event.a, event.b == 0),
            Kind::Retransmit => self.retransmit(event.a, event.b as usize),
            Kind::Due => self.due(event.a),
            // What was owed to a past life is dropped.
            _ if event.life != life => {}
            Kind::Begin => self.begin(node),
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
        if self.out.ops.is_empty() {
            return;
        }
        // Taken from the back, one by one: mostly there is one.
        let mut ops = std::mem::take(&mut self.out.ops);
        ops.reverse();
        while let Some(op) = ops.pop() {
            match op {
                Op::Write { conn, frame, bytes, hop } => self.write(node, conn, frame, bytes, hop),
                Op::Work { ticket, class, amount: _, word } => {
                    let lasts = self.spec.nodes[node.0 as usize].services.of(class).at(word) + self.wakes_after_thaw(node, class);
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
        self.out.ops = ops;
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
        if process.thawed_at == 0 || since >= 2 * thaw.p99() || !event && class != WorkClass::Manage {
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

    // ---- lives

    fn boot(&mut self, node: NodeId) {
        let host = self.processes[node.0 as usize].host as usize;
        let process = &mut self.processes[node.0 as usize];
        if process.state != State::Down || self.hosts[host].lost {
            return;
        }
        process.life += 1;
        process.state = State::Booting;
        process.thawed_at = 0;
        process.fresh = false;
        process.disarm();
        let word = self.draws.word(process.entity, Purpose::Boot, process.life as u64);
        let lasts = self.spec.nodes[node.0 as usize].services.boot.at(word);
        self.truth(node, Note::Up);
        self.schedule_at(self.now + lasts.max(1), Class::Work, node, Kind::Begin, 0, 0);
    }

    fn begin(&mut self, node: NodeId) {
        let process = &mut self.processes[node.0 as usize];
        if process.state != State::Booting {
            return;
        }
        process.state = State::Up;
        process.role = Some(process.blueprint.build());
        process.outgoing.clear();
        self.dispatch(node, Input::Start);
    }

    /// The process is gone: sockets close as the kernel closes them.
    fn end_life(&mut self, node: NodeId, orderly: bool) {
        let n = node.0 as usize;
        let process = &mut self.processes[n];
        if process.state == State::Down {
            return;
        }
        process.state = State::Down;
        let role = process.role.take();
        process.disarm();
        let held = std::mem::take(&mut process.held);
        process.backlog = 0;
        self.calls[n].clear();
        self.nobody_heard(node, role);
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
            let unread = self.connections[id as usize].directions[1 - side].unread > 0;
            self.connections[id as usize].ends[side].open = false;
            self.connections[id as usize].directions[1 - side].unread = 0;
            let item = if unread && !orderly { Item::Reset } else { Item::Fin };
            self.send_item(id, side, item, 40, 0x4000_0000);
            self.reap(id);
        }
        self.start_again(node);
    }

    /// Calls of the application that died with their process.
    fn nobody_heard(&mut self, node: NodeId, role: Option<AnyRole>) {
        if let Some(AnyRole::Client(client)) = role {
            for msg in client.open_sends() {
                let end = SendEnd::Unknown { error: SendError::ProcessDied, broker: None };
                self.truth(node, Note::SendEnded { msg, end, attempts: 0 });
            }
        }
    }

    fn kill(&mut self, node: NodeId) -> bool {
        if self.processes[node.0 as usize].state == State::Down {
            return false;
        }
        self.truth(node, Note::Killed);
        self.end_life(node, false);
        true
    }

    fn exit(&mut self, node: NodeId) {
        self.truth(node, Note::Exited);
        self.end_life(node, true);
    }

    /// Power: nothing is said to anybody.
    fn lose_host(&mut self, host: u16) -> u64 {
        if self.hosts[host as usize].lost {
            return 0;
        }
        self.hosts[host as usize].lost = true;
        self.hosts[host as usize].incarnation += 1;
        let nodes: Vec<NodeId> = self.nodes_of(host);
        let mut touched = 0;
        for node in nodes {
            let n = node.0 as usize;
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
                connection.directions[side].stalled.clear();
                connection.directions[1 - side].unread = 0;
                self.reap(id);
            }
        }
        touched
    }

    fn nodes_of(&self, host: u16) -> Vec<NodeId> {
        (0..self.processes.len() as u16).map(NodeId).filter(|n| self.processes[n.0 as usize].host == host).collect()
    }

    fn freeze(&mut self, node: NodeId) -> bool {
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
    fn thaw(&mut self, node: NodeId) {
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
        // Netty has three selectors on a server, one on a client: each its own thread.
        let mut selectors = [0u64; 3].map(|_| self.now + draw(&services.thaw).max(1));
        let mut boss = self.now + draw(&services.thaw).max(1);
        let held = std::mem::take(&mut self.processes[n].held);
        let mut accepted_at = Vec::new();
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
                Held::Stop => self.dispatch(node, Input::Stop),
            }
        }
        self.processes[n].backlog = 0;
        let conns: Vec<ConnId> = self.processes[n].outgoing.iter().chain(&self.processes[n].accepted).copied().collect();
        let mut endings = Vec::new();
        let waiting: Vec<ConnId> = accepted_at.iter().map(|(id, _)| *id).collect();
        for (k, id) in conns.into_iter().chain(waiting.iter().copied()).enumerate() {
            let Some(side) = self.side_of(id, node) else { continue };
            let direction = 1 - side;
            let unread = std::mem::take(&mut self.connections[id as usize].directions[direction].unread);
            let selector = &mut selectors[k % 3];
            if let Some((_, at)) = accepted_at.iter().find(|(w, _)| *w == id) {
                *selector = (*selector).max(*at);
            }
            // Netty reads what is there and learns of the end only when it comes round again (`AbstractNioByteChannel#read`).
            let flying = &self.connections[id as usize].directions[direction].flying;
            let ends = flying.iter().take(unread as usize).filter(|item| !matches!(item, Item::Frame(_))).count() as u32;
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
        let timers = self.now + draw(&services.thaw).max(1);
        (self.processes[n].armed, self.processes[n].armed_for) = (timers, self.now);
        self.schedule_at(timers, Class::Wake, node, Kind::Wake, 0, 0);
    }

    // ---- the application

    fn due(&mut self, feed: u32) {
        let node = self.feeds[feed as usize].node;
        match self.processes[node.0 as usize].state {
            // The application's own threads stand still too; what fell due goes out at the thaw.
            State::Frozen => {
                self.processes[node.0 as usize].held.push(Held::Due(feed));
            }
            _ => self.due_now(feed),
        }
    }

    fn due_now(&mut self, feed: u32) {
        let Feed { node, member, .. } = self.feeds[feed as usize];
        let due = self.feeds[feed as usize].due;
        let message = self.feeds[feed as usize].load.take(self.draws, due);
        let running = self.processes[node.0 as usize].state == State::Up;
        if running {
            self.dispatch(node, Input::App(AppInput::Send { producer: member, message }));
        } else {
            self.truth(node, Note::NotOffered { msg: message.id });
        }
        self.next_due(feed as usize);
    }

    fn listen(&mut self, node: NodeId, ticket: u32, member: u16, ids: std::ops::Range<usize>, reconsume_times: u16) {
        if self.plant.is_some() && self.planted_listen(node, ticket, ids.len()) {
            return;
        }
        let ids = &self.out.ids[ids];
        let process = &self.processes[node.0 as usize];
        let Some(listener) = process.consumers.iter().find(|l| l.member == member) else { return };
        let script = &listener.script;
        let hit = |every: u64, id: &MessageId| every > 0 && id.n().is_multiple_of(every);
        let fails = ids.iter().any(|id| hit(script.fail_every, id)) && reconsume_times < script.fail_times;
        let stays = ids.iter().any(|id| hit(script.stay_every, id));
        let lasts = if stays {
            script.stay
        } else if listener.service.is_constant() {
            listener.service.p50()
        } else {
            let first = ids.first().copied().unwrap_or(MessageId::new(0, 0));
            let n = first.n() << 20 | (reconsume_times as u64 & 0xff) << 12 | first.producer() as u64 & 0xfff;
            listener.service.at(self.draws.word(process.entity, Purpose::Listener, n))
        };
        let throws = script.throw_on_interrupt;
        if lasts == 0 {
            let verdict = if fails { Verdict::Later } else { Verdict::Success };
            self.inbox.push_back((node.0, Input::App(AppInput::Listened { ticket, verdict })));
            return;
        }
        self.calls[node.0 as usize].push(Call { ticket, fails, throws });
        self.schedule_at(self.now + lasts, Class::Work, node, Kind::Listened, 0, ticket);
    }

    fn listened(&mut self, node: NodeId, ticket: u32) {
        let calls = &mut self.calls[node.0 as usize];
        let Some(at) = calls.iter().position(|c| c.ticket == ticket) else { return };
        let call = calls.swap_remove(at);
        let verdict = if call.fails { Verdict::Later } else { Verdict::Success };
        self.dispatch(node, Input::App(AppInput::Listened { ticket, verdict }));
    }

    /// A pool is shut down under its listeners: those that mind fail at once, the others finish.
    fn interrupt(&mut self, node: NodeId, ticket: u32) {
        let calls = &mut self.calls[node.0 as usize];
        if let Some(at) = calls.iter().position(|c| c.ticket == ticket && c.throws) {
            calls.swap_remove(at);
            self.inbox.push_back((node.0, Input::App(AppInput::Listened { ticket, verdict: Verdict::Later })));
        }
    }

    // ---- sockets

    fn side_of(&self, id: ConnId, node: NodeId) -> Option<usize> {
        let connection = self.connections.get(id as usize)?;
        connection.ends.iter().position(|e| e.node == node && e.open)
    }

    fn host_of(&self, node: NodeId) -> u16 {
        self.processes[node.0 as usize].host
    }

    fn connect(&mut self, node: NodeId, conn: Conn, to: Addr, port: Port) {
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
    fn send_syn(&mut self, id: ConnId) {
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

    fn draw_net(&mut self, node: NodeId) -> u32 {
        let process = &mut self.processes[node.0 as usize];
        self.draws.word(process.entity, Purpose::Connect, process.counter << 8 | process.life as u64 & 0xff)
    }

    /// The SYN arrives: the kernel completes the handshake, whether or not the process runs.
    fn syn(&mut self, id: ConnId) {
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
                State::Frozen => self.processes[server.0 as usize].held.push(Held::Accepted(id)),
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
            State::Frozen => self.processes[server.0 as usize].backlog >= self.links.spec().backlog,
            _ => true,
        };
        if refuse && state == State::Frozen {
            // A full backlog drops the SYN.
            self.schedule_at(self.now + SEC, Class::Network, caller.node, Kind::Retransmit, id, 2);
            return;
        }
        if !refuse {
            self.connections[id as usize].established = true;
            self.connections[id as usize].ends[1].life = self.processes[server.0 as usize].life as u32;
            if state == State::Frozen {
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
    fn refuse_untaken(&mut self, held: &[Held], tell: bool) {
        for item in held {
            let Held::Accepted(id) = item else { continue };
            let connection = &mut self.connections[*id as usize];
            connection.ends[1].open = false;
            connection.directions[0].unread = 0;
            if tell && connection.ends[0].open {
                self.send_item(*id, 1, Item::Reset, 40, 0x4000_0000);
            }
            self.reap(*id);
        }
    }

    fn accept(&mut self, id: ConnId) {
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
        for _ in 0..std::mem::take(&mut self.connections[id as usize].directions[0].unread) {
            self.schedule_at(self.now + 1, Class::Network, server, Kind::Deliver, id, 0);
        }
        self.dispatch(server, Input::Accepted { conn, port });
    }

    fn syn_ack(&mut self, id: ConnId, ok: bool) {
        let caller = self.connections[id as usize].ends[0];
        let process = &mut self.processes[caller.node.0 as usize];
        if !caller.open || process.life as u32 != caller.life {
            return;
        }
        if process.state == State::Frozen {
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

    fn conn_id(&self, node: NodeId, conn: Conn) -> Option<ConnId> {
        let process = &self.processes[node.0 as usize];
        let table = if conn.is_accepted() { &process.accepted } else { &process.outgoing };
        table.get(conn.index()).copied().filter(|id| *id != ConnId::MAX)
    }

    fn write(&mut self, node: NodeId, conn: Conn, mut frame: Frame, bytes: u32, hop: u32) {
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
        self.send_item_late(id, side, Item::Frame(frame), bytes, hop, extra);
    }

    fn close(&mut self, node: NodeId, conn: Conn) {
        let Some(id) = self.conn_id(node, conn) else { return };
        let Some(side) = self.side_of(id, node) else { return };
        self.connections[id as usize].ends[side].open = false;
        self.forget_conn(node, conn, id);
        let unread = self.connections[id as usize].directions[1 - side].unread > 0;
        if self.connections[id as usize].established {
            self.send_item(id, side, if unread { Item::Reset } else { Item::Fin }, 40, 0x4000_0000);
        }
        self.reap(id);
    }

    /// The process's number for a connection is free again, if it still means this one: a life that ended has no numbers.
    fn forget_conn(&mut self, node: NodeId, conn: Conn, id: ConnId) {
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

    fn send_item(&mut self, id: ConnId, side: usize, item: Item, bytes: u32, word: u32) {
        self.send_item_late(id, side, item, bytes, word, 0);
    }

    /// One item leaves end `side`.
    fn send_item_late(&mut self, id: ConnId, side: usize, item: Item, bytes: u32, word: u32, extra: u64) {
        let connection = &self.connections[id as usize];
        let (from, to) = (connection.ends[side].node, connection.ends[1 - side].node);
        let (from_host, to_host) = (self.host_of(from), self.host_of(to));
        let stalled = !connection.directions[side].stalled.is_empty();
        if stalled || self.hosts[to_host as usize].lost || self.links.is_cut(from_host, to_host) {
            let direction = &mut self.connections[id as usize].directions[side];
            direction.stalled.push_back((item, bytes, word));
            if !stalled {
                direction.stalled_since = self.now;
                direction.retries = 0;
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
        direction.flying.push_back(item);
        self.schedule_at(at, Class::Network, from, Kind::Deliver, id, side as u32);
    }

    /// TCP tries again; `direction` 2 is an unanswered SYN.
    fn retransmit(&mut self, id: ConnId, direction: usize) {
        let Some(connection) = self.connections.get(id as usize) else { return };
        if direction == 2 {
            if connection.ends[0].open && !connection.established {
                self.send_syn(id);
            }
            return;
        }
        if connection.directions[direction].stalled.is_empty() {
            return;
        }
        let (sender, receiver) = (connection.ends[direction], connection.ends[1 - direction]);
        let (from, to) = (self.host_of(sender.node), self.host_of(receiver.node));
        if self.hosts[to as usize].lost || self.links.is_cut(from, to) {
            let d = &mut self.connections[id as usize].directions[direction];
            d.retries += 1;
            let (since, retries) = (d.stalled_since, d.retries);
            if self.now - since > self.links.spec().give_up {
                self.connections[id as usize].directions[direction].stalled.clear();
                return self.end_closed(id, direction, Ending::Reset);
            }
            let at = self.now + self.links.rto(retries);
            self.schedule_at(at, Class::Network, sender.node, Kind::Retransmit, id, direction as u32);
            return;
        }
        let items: Vec<(Item, u32, u32)> = self.connections[id as usize].directions[direction].stalled.drain(..).collect();
        for (item, bytes, word) in items {
            self.send_item(id, direction, item, bytes, word);
        }
    }

    /// The oldest item of a direction arrives.
    fn deliver(&mut self, id: ConnId, direction: usize) {
        let receiver = self.connections[id as usize].ends[1 - direction];
        let host = self.host_of(receiver.node);
        let n = receiver.node.0 as usize;
        if self.hosts[host as usize].lost {
            // Nobody acknowledges: the sender keeps it and tries again.
            let Some(item) = self.connections[id as usize].directions[direction].flying.pop_front() else { return };
            let sender = self.connections[id as usize].ends[direction];
            if sender.open {
                let d = &mut self.connections[id as usize].directions[direction];
                let first = d.stalled.is_empty();
                d.stalled.push_back((item, 100, 0x8000_0000));
                if first {
                    d.stalled_since = self.now;
                    d.retries = 0;
                    let at = self.now + self.links.rto(0);
                    self.schedule_at(at, Class::Network, sender.node, Kind::Retransmit, id, direction as u32);
                }
            }
            return self.reap(id);
        }
        let alive = receiver.open && self.processes[n].life as u32 == receiver.life;
        if alive && self.processes[n].state == State::Frozen {
            self.connections[id as usize].directions[direction].unread += 1;
            return;
        }
        if alive && !receiver.conn.is_accepted() && 1 - direction == 1 {
            // The process has not taken the connection up yet.
            self.connections[id as usize].directions[direction].unread += 1;
            return;
        }
        let Some(item) = self.connections[id as usize].directions[direction].flying.pop_front() else { return };
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

    fn recycle(&mut self, item: Item) {
        if let Item::Frame(Frame { body: Body::Answer(crate::rocketmq::protocol::Answer::Pulled { messages, .. }), .. }) = item {
            self.pool.give(messages);
        }
    }

    /// End `side` learns that its connection is over.
    fn end_closed(&mut self, id: ConnId, side: usize, how: Ending) {
        let end = self.connections[id as usize].ends[side];
        if !end.open {
            return self.reap(id);
        }
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
    fn reap(&mut self, id: ConnId) {
        let connection = &mut self.connections[id as usize];
        if connection.finished() && connection.syns != u32::MAX {
            connection.syns = u32::MAX;
            self.free_connections.push(id);
        }
    }
}

/// When a node first starts, ns of the run; `None`: never by itself.
fn start_time(spec: &Spec, node: usize, draws: Draws) -> Option<u64> {
    let n = &spec.nodes[node];
    let zero = spec.warmup as i128;
    // A process that has nothing to start waits for a command.
    if matches!(&n.kind, NodeKind::Client(c) if !c.members.iter().any(|m| m.started)) {
        return None;
    }
    match n.start {
        StartSpec::At(at) => Some((zero + at as i128).max(0) as u64),
        // Nameservers in the first tenth of the warm-up, then brokers, consumers, producers.
        StartSpec::Drawn => {
            let (from, to) = match &n.kind {
                NodeKind::Nameserver(_) => (0, 10),
                NodeKind::Broker(_) => (12, 30),
                NodeKind::Client(c) if c.members.iter().any(|m| matches!(m.role, MemberRole::Consumer(_))) => (40, 60),
                NodeKind::Client(_) => (65, 80),
            };
            let (from, to) = (spec.warmup / 100 * from, spec.warmup / 100 * to);
            Some(from + draws.below(n.entity, Purpose::Start, 0, (to - from).max(1)))
        }
    }
}

/// What a node's lives are built from.
fn blueprint(spec: &Spec, node: usize) -> Blueprint {
    let n = &spec.nodes[node];
    match &n.kind {
        NodeKind::Nameserver(settings) => {
            let mut settings = (**settings).clone();
            let order_topics: std::collections::BTreeMap<_, _> =
                spec.topics.iter().filter_map(|t| t.order_conf.clone().map(|conf| (t.topic, conf))).collect();
            settings.order_message_enable |= !order_topics.is_empty();
            Blueprint::NameServer(Arc::new(NameserverConfig { names: spec.names.clone(), settings, order_topics }))
        }
        NodeKind::Broker(b) => Blueprint::Broker(Arc::new(BrokerConfig {
            names: spec.names.clone(),
            broker: b.broker,
            broker_id: b.broker_id,
            addr: n.addr,
            nameservers: b.nameservers.clone(),
            settings: b.settings.clone(),
            rules: n.rules,
            cpus: n.cpus,
        })),
        NodeKind::Client(c) => Blueprint::Client(Arc::new(spec::client_config(spec, n, c))),
    }
}
