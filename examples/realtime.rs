//! The roles without the simulator: a nameserver, a broker, a producer and a consumer on real threads, channels and clocks.
//!
//! 1,000 messages go through one kill of the broker: its thread stops, its connections break, and a new life starts from the same disk. The
//! application sends again what failed, so every message must arrive at least once. Only `base`, `contract` and `rocketmq` are imported: this
//! driver does for them in real time what the world does in simulated time, on the terms of the contract page.
//!
//! Three of RocketMQ's periods are shortened, or the example would take minutes: `heartbeatBrokerInterval` (30 s; the new life of the broker knows
//! the consumer only after a heartbeat), `pollNameServerInterval` (30 s) and `pullTimeDelayMillsWhenException` (1 s). The kill resets its connections,
//! as a kernel does where unread bytes lay: after an orderly FIN the consumer would sit out the 30 s timeout of its held pulls.
//!
//! `cargo run --release --example realtime`

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use windtunnel::base::draw::Draws;
use windtunnel::base::ids::{Addr, Entity, MessageId};
use windtunnel::base::names::{Names, NamesBuilder};
use windtunnel::base::time::{Now, WALL_EPOCH_MS};
use windtunnel::contract::note::{Note, SendEnd};
use windtunnel::contract::{AppInput, Conn, ConnectError, Ending, Env, Input, Offered, Op, Out, Port, Role, Verdict};
use windtunnel::rocketmq::broker::{Broker, BrokerConfig};
use windtunnel::rocketmq::client::ClientProcess;
use windtunnel::rocketmq::client::config::{ClientConfig, ConsumerConfig, MemberConfig, MemberKind, ProducerConfig, SendMode};
use windtunnel::rocketmq::client::consumer::allocate::Strategy;
use windtunnel::rocketmq::disk::NodeDisk;
use windtunnel::rocketmq::message::BatchPool;
use windtunnel::rocketmq::nameserver::role::{NameServer, NameserverConfig};
use windtunnel::rocketmq::protocol::Frame;
use windtunnel::rocketmq::route::TopicConfig;
use windtunnel::rocketmq::settings::{ConsumeFromWhere, ConsumerSettings, InstanceSettings, Rules, Version};

/// What the thread of a process is sent.
enum Mail {
    /// For the role, as it stands.
    Role(Input<Frame>),
    /// Somebody connects; its end has this number there.
    Dial { from: Sender<Mail>, conn: Conn },
    /// The connection is open; the other end has this number there.
    Opened { conn: Conn, to: Sender<Mail>, theirs: Conn },
    /// SIGKILL.
    Kill,
}

/// What the application hears.
enum Heard {
    /// The listener was called.
    Arrived(MessageId),
    /// `send` returned.
    Sent { message: MessageId, ok: bool },
}

/// Who listens at which address.
type Listeners = Arc<Mutex<BTreeMap<Addr, Sender<Mail>>>>;

/// One process: a role, and what a driver owes it.
struct Process<R> {
    role: R,
    life: u32,
    entity: Entity,
    disk: NodeDisk,
    pool: BatchPool,
    out: Out<Frame>,
    began: Instant,
    mail: Sender<Mail>,
    letters: Receiver<Mail>,
    listeners: Listeners,
    /// The other end of each open connection, with its number there.
    conns: BTreeMap<Conn, (Sender<Mail>, Conn)>,
    dialing: BTreeSet<Conn>,
    accepted: u32,
    /// Inputs that follow at once.
    next: VecDeque<Input<Frame>>,
    application: Sender<Heard>,
}

impl<R: Role<Wire = Frame, Disk = NodeDisk, Pool = BatchPool>> Process<R> {
    /// Until it is killed; what remains is the disk.
    fn run(mut self) -> NodeDisk {
        self.feed(Input::Start);
        loop {
            let now = self.now();
            let letter = match self.role.next_deadline(now) {
                Some(deadline) => self.letters.recv_timeout(Duration::from_nanos(deadline.in_ns(now))),
                None => self.letters.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match letter {
                Err(RecvTimeoutError::Timeout) => self.feed(Input::Wake),
                Ok(Mail::Role(input)) => self.arrived(input),
                Ok(Mail::Dial { from, conn }) => self.accept(from, conn),
                Ok(Mail::Opened { conn, to, theirs }) => self.opened(conn, to, theirs),
                Ok(Mail::Kill) | Err(RecvTimeoutError::Disconnected) => return self.die(),
            }
        }
    }

    fn now(&self) -> Now {
        let mono = self.began.elapsed().as_nanos() as u64;
        Now { mono, wall_ms: WALL_EPOCH_MS + (mono / 1_000_000) as i64 }
    }

    /// Hands the role an input, and whatever follows from it at once.
    fn feed(&mut self, input: Input<Frame>) {
        self.next.push_back(input);
        while let Some(input) = self.next.pop_front() {
            let now = self.now();
            let mut env =
                Env { disk: &mut self.disk, pool: &mut self.pool, draws: Draws::new(1), entity: self.entity, life: self.life };
            self.role.handle(now, input, &mut env, &mut self.out);
            let mut out = std::mem::take(&mut self.out);
            out.notes.drain(..).for_each(|note| self.tell(&note));
            for op in out.ops.drain(..) {
                self.perform(op, &out.ids);
            }
            out.clear();
            self.out = out;
        }
    }

    fn tell(&self, note: &Note) {
        if let Note::SendEnded { msg, end, .. } = note {
            let ok = matches!(end, SendEnd::Acked { .. });
            let _ = self.application.send(Heard::Sent { message: *msg, ok });
        }
    }

    fn perform(&mut self, op: Op<Frame>, ids: &[MessageId]) {
        match op {
            Op::Connect { conn, to, port: _ } => {
                let listener = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).get(&to).cloned();
                let dialed = listener.is_some_and(|l| l.send(Mail::Dial { from: self.mail.clone(), conn }).is_ok());
                if dialed {
                    self.dialing.insert(conn);
                } else {
                    self.next.push_back(Input::ConnectFailed { conn, why: ConnectError::Refused });
                }
            }
            Op::Write { conn, frame, .. } => {
                if let Some((to, theirs)) = self.conns.get(&conn) {
                    let _ = to.send(Mail::Role(Input::Frame { conn: *theirs, frame }));
                }
            }
            Op::Close { conn } => {
                self.dialing.remove(&conn);
                self.hang_up(conn, Ending::Fin);
            }
            // Real work takes its time by itself: what the role asked for is done.
            Op::Work { ticket, .. } => self.next.push_back(Input::Worked { ticket }),
            Op::Listen { ticket, first, count, .. } => {
                for id in &ids[first as usize..(first + count) as usize] {
                    let _ = self.application.send(Heard::Arrived(*id));
                }
                self.next.push_back(Input::App(AppInput::Listened { ticket, verdict: Verdict::Success }));
            }
            Op::Interrupt { .. } | Op::Exit => {}
        }
    }

    fn hang_up(&mut self, conn: Conn, how: Ending) {
        if let Some((to, theirs)) = self.conns.remove(&conn) {
            let _ = to.send(Mail::Role(Input::Closed { conn: theirs, how }));
        }
    }

    /// What a peer sent. Nothing is heard of a connection that this side has closed.
    fn arrived(&mut self, input: Input<Frame>) {
        let known = match &input {
            Input::Frame { conn, .. } => self.conns.contains_key(conn),
            Input::Closed { conn, .. } => self.conns.remove(conn).is_some(),
            _ => true,
        };
        if known {
            self.feed(input);
        }
    }

    fn accept(&mut self, from: Sender<Mail>, theirs: Conn) {
        let conn = Conn::accepted(self.accepted);
        self.accepted += 1;
        let _ = from.send(Mail::Opened { conn: theirs, to: self.mail.clone(), theirs: conn });
        self.conns.insert(conn, (from, theirs));
        self.feed(Input::Accepted { conn, port: Port::Main });
    }

    fn opened(&mut self, conn: Conn, to: Sender<Mail>, theirs: Conn) {
        if self.dialing.remove(&conn) {
            self.conns.insert(conn, (to, theirs));
            self.feed(Input::Connected { conn });
        } else {
            let _ = to.send(Mail::Role(Input::Closed { conn: theirs, how: Ending::Fin }));
        }
    }

    /// The kernel closes what the process had open, and refuses who had not been accepted yet.
    fn die(mut self) -> NodeDisk {
        let open: Vec<Conn> = self.conns.keys().copied().collect();
        open.into_iter().for_each(|conn| self.hang_up(conn, Ending::Reset));
        for letter in self.letters.try_iter() {
            if let Mail::Dial { from, conn } = letter {
                let _ = from.send(Mail::Role(Input::ConnectFailed { conn, why: ConnectError::Refused }));
            }
        }
        self.disk
    }
}

/// A running process, from outside.
struct Running {
    mail: Sender<Mail>,
    thread: JoinHandle<NodeDisk>,
}

/// The machine room.
struct Room {
    began: Instant,
    listeners: Listeners,
    application: Sender<Heard>,
}

impl Room {
    fn start<R>(&self, name: &str, addr: Addr, life: u32, disk: NodeDisk, role: R) -> Running
    where
        R: Role<Wire = Frame, Disk = NodeDisk, Pool = BatchPool> + Send + 'static,
    {
        let (mail, letters) = channel();
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(addr, mail.clone());
        let process = Process {
            role,
            life,
            entity: Entity::named(name),
            disk,
            pool: BatchPool::default(),
            out: Out::default(),
            began: self.began,
            mail: mail.clone(),
            letters,
            listeners: self.listeners.clone(),
            conns: BTreeMap::new(),
            dialing: BTreeSet::new(),
            accepted: 0,
            next: VecDeque::new(),
            application: self.application.clone(),
        };
        #[allow(clippy::disallowed_methods, reason = "this example is the real world: a thread a process")]
        let thread = std::thread::spawn(move || process.run());
        Running { mail, thread }
    }

    /// Kills a process; what it leaves is its disk.
    fn kill(&self, addr: Addr, running: Running) -> NodeDisk {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&addr);
        let _ = running.mail.send(Mail::Kill);
        running.thread.join().unwrap_or_default()
    }
}

const NAMESERVER: Addr = Addr(0);
const BROKER: Addr = Addr(1);
const PRODUCER: Addr = Addr(2);
const CONSUMER: Addr = Addr(3);

const MESSAGES: u64 = 1_000;
/// The broker is killed when so many have been sent, and comes back when so many more have.
const KILL_AT: u64 = 400;
const BACK_AT: u64 = 550;

fn names() -> Option<Arc<Names>> {
    let mut names = NamesBuilder::default();
    for topic in ["orders", "TBW102", "SELF_TEST_TOPIC"] {
        names.topic(topic);
    }
    names.group("pg").group("cg").group("CLIENT_INNER_PRODUCER").broker("broker-a");
    Some(Arc::new(names.freeze()))
}

fn nameserver(names: &Arc<Names>) -> NameServer {
    let config = NameserverConfig { names: names.clone(), settings: Default::default(), order_topics: BTreeMap::new() };
    NameServer::new(Arc::new(config))
}

fn broker(names: &Arc<Names>) -> Option<Broker> {
    Some(Broker::new(Arc::new(BrokerConfig {
        names: names.clone(),
        broker: names.broker("broker-a")?,
        broker_id: 0,
        addr: BROKER,
        nameservers: [NAMESERVER].into(),
        settings: Default::default(),
        rules: Rules::of(Version::V4_9_8),
        cpus: 2,
        dledger: None,
    })))
}

fn client(names: &Arc<Names>, name: &str, role: MemberKind) -> ClientProcess {
    let instance = InstanceSettings {
        heartbeat_broker_interval: 200,
        poll_name_server_interval: 500,
        pull_time_delay_mills_when_exception: 100,
        ..Default::default()
    };
    ClientProcess::new(Arc::new(ClientConfig {
        names: names.clone(),
        nameservers: [NAMESERVER].into(),
        client_ip: name.into(),
        new_ip_each_life: false,
        threads_resume_late: false,
        failures_cost: false,
        rules: Rules::of(Version::V4_9_8),
        cpus: 2,
        members: vec![MemberConfig { instance, started: true, role }],
    }))
}

fn producer(names: &Arc<Names>) -> Option<ClientProcess> {
    let config = ProducerConfig {
        entity: Entity::named("pg-0"),
        group: names.group("pg")?,
        settings: Default::default(),
        mode: SendMode::Sync,
        threads: 4,
        retry_response_codes: Vec::new(),
        create_topic_key: names.topic("TBW102")?,
        wait_store_msg_ok: true,
        transaction: None,
    };
    Some(client(names, "pg-0", MemberKind::Producer(Arc::new(config))))
}

fn consumer(names: &Arc<Names>) -> Option<ClientProcess> {
    let config = ConsumerConfig {
        group: names.group("cg")?,
        settings: ConsumerSettings { consume_from_where: ConsumeFromWhere::FirstOffset, ..Default::default() },
        orderly: false,
        subscriptions: vec![(names.topic("orders")?, None)],
        strategy: Strategy::Averagely,
    };
    Some(client(names, "cg-0", MemberKind::Consumer(Arc::new(config))))
}

/// What the application keeps count of.
#[derive(Default)]
struct Tally {
    arrived: BTreeMap<MessageId, u32>,
    failed_calls: u64,
    /// To be sent again.
    again: VecDeque<u64>,
}

impl Tally {
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Arrived(message) => *self.arrived.entry(message).or_default() += 1,
            Heard::Sent { ok: true, .. } => {}
            Heard::Sent { message, ok: false } => {
                self.failed_calls += 1;
                self.again.push_back(message.n());
            }
        }
    }
}

/// Sends everything through one kill. `None` if a name is missing, which cannot be.
fn go() -> Option<Tally> {
    #[allow(clippy::disallowed_methods, reason = "this example is the real world: its clock is the machine's")]
    let began = Instant::now();
    let (application, hears) = channel();
    let room = Room { began, listeners: Listeners::default(), application };
    let names = names()?;
    let orders = names.topic("orders")?;
    let mut disk = NodeDisk::default();
    disk.broker.topics.insert(orders, TopicConfig { read: 4, write: 4, perm: 6 });

    let ns = room.start("ns-0", NAMESERVER, 1, NodeDisk::default(), nameserver(&names));
    let mut up = Some(room.start("broker-a", BROKER, 1, disk, broker(&names)?));
    let mut down = None;
    std::thread::sleep(Duration::from_millis(100));
    let cg = room.start("cg-0", CONSUMER, 1, NodeDisk::default(), consumer(&names)?);
    let pg = room.start("pg-0", PRODUCER, 1, NodeDisk::default(), producer(&names)?);

    let mut tally = Tally::default();
    let mut sent = 0;
    let mut due = began.elapsed();
    while tally.arrived.len() < MESSAGES as usize && began.elapsed() < Duration::from_secs(20) {
        // One message every 2 ms: a new one, then those whose call failed.
        due += Duration::from_millis(2);
        let n = if sent < MESSAGES {
            sent += 1;
            Some(sent - 1)
        } else {
            tally.again.pop_front()
        };
        if let Some(n) = n {
            let message = Offered {
                id: MessageId::new(0, n),
                topic: orders,
                key: None,
                body_len: 100,
                tag_code: 0,
                tag: 0,
                delay_level: 0,
                tx: None,
                due_mono: began.elapsed().as_nanos() as u64,
            };
            let _ = pg.mail.send(Mail::Role(Input::App(AppInput::Send { producer: 0, message })));
        }
        if sent == KILL_AT
            && let Some(running) = up.take()
        {
            down = Some(room.kill(BROKER, running));
            println!("{:5} ms  broker-a killed after {sent} sends", began.elapsed().as_millis());
        }
        if sent == BACK_AT
            && let Some(disk) = down.take()
        {
            println!("{:5} ms  broker-a back, with {} records on its disk", began.elapsed().as_millis(), disk.broker.log.len());
            up = Some(room.start("broker-a", BROKER, 2, disk, broker(&names)?));
        }
        while let Ok(heard) = hears.recv_timeout(due.saturating_sub(began.elapsed())) {
            tally.hear(heard);
        }
    }
    println!("{:5} ms  {} of {MESSAGES} have arrived", began.elapsed().as_millis(), tally.arrived.len());
    for (addr, running) in [(PRODUCER, Some(pg)), (CONSUMER, Some(cg)), (BROKER, up), (NAMESERVER, Some(ns))] {
        running.map(|r| room.kill(addr, r));
    }
    Some(tally)
}

fn main() -> ExitCode {
    let Some(tally) = go() else { return ExitCode::FAILURE };
    let twice = tally.arrived.values().filter(|n| **n > 1).count();
    println!("calls that failed, sent again by the application: {}", tally.failed_calls);
    println!("messages that arrived: {}, of which more than once: {twice}", tally.arrived.len());
    if tally.arrived.len() == MESSAGES as usize { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
