//! THE CONTRACT between a role and whatever drives it, on one page.
//!
//! A *role* is one process of a messaging system as a state machine: a nameserver, a broker, a client process. It knows no
//! socket, file, thread, clock or random generator; it is told what happened and says what it wants done.
//!
//! 1. The driver calls [`Role::handle`] with one [`Input`]. The first input of a life is [`Input::Start`].
//! 2. The role changes its state and appends what it wants to [`Out::ops`], in the order in which it wants it, and what it
//!    believes happened to [`Out::notes`]. It never waits: an answer, an accepted connection, the end of a piece of work come as
//!    later inputs.
//! 3. The driver drains `Out` completely, then asks [`Role::next_deadline`] and keeps one wake-up for the role. Deadlines on the
//!    wall clock are asked again after a clock step.
//! 4. When that moment comes the driver sends [`Input::Wake`]; the role does everything that is due, in deadline order. A wake-up that
//!    comes early finds nothing due and is harmless.
//! 5. Time is what [`Now`] says and nothing else. `mono` never goes back within a life; `wall_ms` may.
//! 6. Inputs of one connection come in the order in which the peer wrote; after `Closed` none follows. After the role wrote
//!    [`Op::Close`] it hears nothing of that connection again.
//! 7. A life ends without warning. The next life is a new role value, built from its settings and the disk alone.
//!
//! Blocking code of the original is data inside a role (a job says where it stands and waits for one thing), so a value of a role is
//! a checkpoint: `clone` it and the clone continues identically.

pub mod note;

use crate::base::draw::{Draws, Luck};
use crate::base::ids::{Addr, Entity, MessageId, TopicId};
pub use crate::base::time::Now;

/// A connection as one process names it. Outgoing ones are numbered by the role, accepted ones (high bit set) by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u32);

impl Conn {
    const ACCEPTED: u32 = 1 << 31;
    pub const fn outgoing(index: u32) -> Self {
        Conn(index)
    }
    pub const fn accepted(index: u32) -> Self {
        Conn(index | Self::ACCEPTED)
    }
    pub const fn is_accepted(self) -> bool {
        self.0 & Self::ACCEPTED != 0
    }
    pub const fn index(self) -> usize {
        (self.0 & !Self::ACCEPTED) as usize
    }
}

/// Which clock a deadline follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds of the node's monotonic clock.
    Mono,
    /// Milliseconds of the node's wall clock: a step moves the deadline.
    Wall,
}

/// When a role wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub clock: Clock,
    /// Nanoseconds for [`Clock::Mono`], milliseconds for [`Clock::Wall`].
    pub at: i64,
}

impl Deadline {
    pub const fn mono(at_ns: u64) -> Self {
        let at = if at_ns > i64::MAX as u64 { i64::MAX } else { at_ns as i64 };
        Deadline { clock: Clock::Mono, at }
    }
    pub const fn wall(at_ms: i64) -> Self {
        Deadline { clock: Clock::Wall, at: at_ms }
    }
    /// How long until it is due, in nanoseconds; 0 when it is due.
    #[inline]
    pub fn in_ns(self, now: Now) -> u64 {
        match self.clock {
            Clock::Mono => (self.at.max(0) as u64).saturating_sub(now.mono),
            Clock::Wall => self.at.saturating_sub(now.wall_ms).saturating_mul(1_000_000).max(0) as u64,
        }
    }
    /// The earlier of a moment on each clock, seen from `now`; `u64::MAX` and `None` stand for never.
    #[inline]
    pub fn earliest(mono: u64, wall: Option<i64>, now: Now) -> Option<Deadline> {
        let on_mono = (mono != u64::MAX).then(|| Deadline::mono(mono));
        match wall {
            None => on_mono,
            Some(at) => Deadline::sooner(on_mono, Some(Deadline::wall(at)), now),
        }
    }
    /// The earlier of two, seen from `now`.
    #[inline]
    pub fn sooner(a: Option<Deadline>, b: Option<Deadline>, now: Now) -> Option<Deadline> {
        match (a, b) {
            (Some(x), Some(y)) => Some(if y.in_ns(now) < x.in_ns(now) { y } else { x }),
            (x, y) => x.or(y),
        }
    }
}

/// How a connection ended, as the kernel of this host learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer closed in order.
    Fin,
    /// A reset: unread bytes at the peer, a host that forgot the flow, or retransmission gave up.
    Reset,
}

/// Why a connection did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The host answered that nobody listens.
    Refused,
    /// Nobody answered in time. Sent by the driver only after the role's own connect timeout would have passed; roles set their own.
    TimedOut,
}

/// A message that the application hands to a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    pub id: MessageId,
    pub topic: TopicId,
    /// Sharding key for ordered sends; `None` lets the client choose the queue.
    pub key: Option<u32>,
    pub body_len: u32,
    /// `String#hashCode` of the tag, 0 without one.
    pub tag_code: i32,
    /// Index of the tag's text among the producer's tags, for the exact second filter at the client.
    pub tag: u8,
    pub delay_level: u8,
    /// What `executeLocalTransaction` will return, for a transactional producer.
    pub tx: Option<TxState>,
    /// When it fell due, on the node's monotonic clock, in nanoseconds.
    pub due_mono: u64,
}

/// `LocalTransactionState` (client 4.9.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxState {
    Commit,
    Rollback,
    Unknow,
}

/// What a listener returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// CONSUME_SUCCESS / SUCCESS.
    Success,
    /// RECONSUME_LATER / SUSPEND_CURRENT_QUEUE_A_MOMENT, or an exception.
    Later,
}

/// Something the application does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppInput {
    /// `send(...)` is called on producer number `producer` of this process.
    Send { producer: u16, message: Offered },
    /// `send(Collection)`: one request for all of them.
    SendBatch { producer: u16, messages: std::sync::Arc<[Offered]> },
    /// The listener called with this ticket returned.
    Listened { ticket: u32, verdict: Verdict },
    /// A consumer or producer of this process is started while the process runs.
    StartClient { index: u16 },
    /// `shutdown()` of one consumer or producer of this process.
    StopClient { index: u16 },
}

/// An operator's command to a role (`mqadmin` and the like).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// `updateTopic`: queue counts of a topic on this broker.
    UpdateTopic { topic: TopicId, read: u32, write: u32, perm: u8 },
    /// `wipeWritePerm` at a nameserver, or the broker's own permission.
    WipeWritePerm { broker: crate::base::ids::BrokerName },
    /// `addWritePerm`: the opposite.
    AddWritePerm { broker: crate::base::ids::BrokerName },
    /// The broker stands still for so long, ns, each time between "nothing found" and parking a pull; 0 ends it. No operator can do
    /// this: it writes down a race of threads.
    HoldPullSuspend { pause: u64 },
}

/// Everything that can happen to a role.
#[derive(Clone, Debug)]
pub enum Input<W> {
    /// The process begins to run.
    Start,
    /// A deadline has come.
    Wake,
    /// A peer connected to the address this process listens on.
    Accepted { conn: Conn, port: Port },
    /// The connection asked for is open.
    Connected { conn: Conn },
    /// The connection asked for failed.
    ConnectFailed { conn: Conn, why: ConnectError },
    /// One frame arrived.
    Frame { conn: Conn, frame: W },
    /// The connection ended.
    Closed { conn: Conn, how: Ending },
    /// The work asked for with this ticket is done.
    Worked { ticket: u32 },
    /// The application acts.
    App(AppInput),
    /// An operator acts.
    Admin(Admin),
    /// SIGTERM: shut down in order, then [`Op::Exit`].
    Stop,
}

/// Which listener of a process a connection goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The service port.
    Main,
    /// `haListenPort`: log shipping.
    Ha,
    /// DLedger's own remoting.
    DLedger,
}

/// What kind of work a piece of work is: the world looks up how long it lasts on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkClass {
    /// One send request, up to the append.
    Send,
    /// One pull request.
    Pull,
    /// Registrations, lock, offset and list requests.
    Manage,
    /// One heartbeat of a client: all its groups and subscriptions, as JSON.
    Heartbeat,
    /// A nameserver request.
    Route,
    /// One event of the Netty event thread (a close, an idle).
    ChannelEvent,
    /// One fsync.
    Fsync,
    /// The start of the process up to its first action.
    Boot,
    /// A thread that another has woken goes on.
    Resume,
    /// A thread handles a request that failed: half of what that takes, on one of the process's processors.
    Failure,
    /// A thread writes lines into its log before it goes on.
    Log,
    /// A process that ends in order loads the classes of its end and stops its threads: half of what that takes.
    Shutdown,
    /// A thread that a batch has woken takes it to the listener.
    Delivery,
    /// One thread of a process hands a job to another that waits for it, and nothing comes from a socket: a batch that waited for a timer, a pull request, the
    /// word to rebalance.
    HandOver,
}

/// What a role may ask for.
#[derive(Clone, Debug)]
pub enum Op<W> {
    /// Open a connection; the role numbers it ([`Conn::outgoing`]).
    Connect { conn: Conn, to: Addr, port: Port },
    /// Send one frame of `bytes` bytes; `luck` is drawn for the request it belongs to, `hop` says which word is this way's.
    Write { conn: Conn, frame: W, bytes: u32, hop: u32 },
    /// Close. Frames written before still go out.
    Close { conn: Conn },
    /// Do work of this class; [`Input::Worked`] follows, at once if it takes no time.
    Work { ticket: u32, class: WorkClass, word: u32 },
    /// Call the listener of consumer `consumer` of this process with the messages `ids[first..first + count]` of [`Out::ids`].
    Listen { ticket: u32, consumer: u16, first: u32, count: u32, reconsume_times: u16 },
    /// Interrupt the listener call with this ticket (shutdown of a pool).
    Interrupt { ticket: u32 },
    /// The process is done.
    Exit,
}

/// Effects of one call, reused from call to call so that nothing is allocated on the data path.
#[derive(Clone, Debug)]
pub struct Out<W> {
    pub ops: Vec<Op<W>>,
    pub notes: Vec<note::Note>,
    /// Message ids that [`Op::Listen`] refers to.
    pub ids: Vec<MessageId>,
}

impl<W> Default for Out<W> {
    fn default() -> Self {
        Out { ops: Vec::new(), notes: Vec::new(), ids: Vec::new() }
    }
}

impl<W> Out<W> {
    pub fn note(&mut self, note: note::Note) {
        self.notes.push(note);
    }
    pub fn connect(&mut self, conn: Conn, to: Addr, port: Port) {
        self.ops.push(Op::Connect { conn, to, port });
    }
    pub fn write(&mut self, conn: Conn, frame: W, bytes: u32, hop: u32) {
        self.ops.push(Op::Write { conn, frame, bytes, hop });
    }
    pub fn close(&mut self, conn: Conn) {
        self.ops.push(Op::Close { conn });
    }
    pub fn work(&mut self, ticket: u32, class: WorkClass, word: u32) {
        self.ops.push(Op::Work { ticket, class, word });
    }
    pub fn clear(&mut self) {
        self.ops.clear();
        self.notes.clear();
        self.ids.clear();
    }
}

/// What the driver lends for the length of one call.
pub struct Env<'a, D, P> {
    /// The host's disk: it outlives the process.
    pub disk: &'a mut D,
    /// Payload buffers that travel inside frames; whoever takes a frame apart gives its buffer back.
    pub pool: &'a mut P,
    /// The run's draws; a role draws for its own entity only.
    pub draws: Draws,
    /// The process's scenario name, hashed.
    pub entity: Entity,
    /// Number of this life of the process, from 1.
    pub life: u32,
}

impl<D, P> Env<'_, D, P> {
    /// The hops of one request of this process that belongs to no message.
    pub fn luck(&self, purpose: crate::base::draw::Purpose, n: u64) -> Luck {
        self.draws.luck(self.entity, purpose, n)
    }
}

/// A role: see the page above.
pub trait Role {
    /// The frames it exchanges.
    type Wire;
    /// What it keeps on its host's disk.
    type Disk;
    /// Payload buffers.
    type Pool;

    fn handle(
        &mut self,
        now: Now,
        input: Input<Self::Wire>,
        env: &mut Env<'_, Self::Disk, Self::Pool>,
        out: &mut Out<Self::Wire>,
    );

    /// The next moment at which the role wants [`Input::Wake`], seen from `now`.
    fn next_deadline(&mut self, now: Now) -> Option<Deadline>;
}
