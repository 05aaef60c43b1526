//! Notes: the common language of checks, meters, charts and explanations.
//!
//! A role's note is its *belief* at that moment ("I hold this lock"); the world stamps true time, node, life and cause on it and
//! adds the notes of *truth* (a process died, a link was cut). Observers read nothing else, so a peer system that speaks the
//! same notes is judged by the same checks. The enum is closed on purpose: a new note makes every observer say what it does with it.

use crate::base::ids::{Addr, BrokerName, GroupId, MessageId, MessageQueue, NodeId, RecordId, TopicId};
use std::sync::Arc;

/// Where and when a note was made: true time, never a node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since the beginning of the run.
    pub at: u64,
    pub node: NodeId,
    pub life: u32,
    /// Number of the event in which it was made.
    pub event: u64,
}

/// `SendStatus` (client 4.9.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendStatus {
    SendOk,
    FlushDiskTimeout,
    FlushSlaveTimeout,
    SlaveNotAvailable,
}

impl SendStatus {
    /// As RocketMQ prints it.
    pub const fn name(self) -> &'static str {
        match self {
            SendStatus::SendOk => "SEND_OK",
            SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
            SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        }
    }
}

/// What went wrong with the last attempt of a send that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptError {
    /// `RemotingConnectException`: the connection could not be made.
    Connect,
    /// `RemotingSendRequestException`: the channel closed under the request.
    ChannelClosed,
    /// `RemotingTimeoutException`.
    Timeout,
    /// `RemotingTooMuchRequestException`: no budget or permit left.
    TooMuchRequest,
    /// `MQClientException`: the broker has no known master address.
    BrokerNotExist,
    /// `MQBrokerException` with the answer's code.
    Broker(u16),
}

/// How a send failed, as the application sees it (client 4.9.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendError {
    /// `RemotingTooMuchRequestException: sendDefaultImpl call timeout`: the budget was gone before another attempt.
    CallTimeout,
    /// `MQClientException: Send [n] times, still failed`, with the last attempt's error.
    Exhausted { last: AttemptError },
    /// The broker's refusal, thrown at once because its code is not retried.
    Refused(AttemptError),
    /// `MQClientException: No route info of this topic`.
    NoRoute,
    /// `MQClientException: No name server address`.
    NoNameServer,
    /// `IllegalStateException`: the nameserver could not be asked.
    NameServerUnreachable,
    /// The producer is not RUNNING.
    NotRunning,
    /// `Validators` refused it.
    Illegal(i16),
    /// The async-send queue was full, or the budget was spent waiting in it.
    Rejected,
    /// A selector or transaction failed on the client side.
    Client,
    /// The process ended while the call was under way: nobody heard the result.
    ProcessDied,
}

impl SendError {
    /// One line for people, near RocketMQ's own words.
    pub fn describe(self) -> String {
        match self {
            SendError::CallTimeout => "RemotingTooMuchRequestException: sendDefaultImpl call timeout".into(),
            SendError::Exhausted { last } => format!("MQClientException: Send failed, last: {}", last.describe()),
            SendError::Refused(error) => format!("MQBrokerException: {}", error.describe()),
            SendError::NoRoute => "MQClientException: No route info of this topic".into(),
            SendError::NoNameServer => "MQClientException: No name server address".into(),
            SendError::NameServerUnreachable => "IllegalStateException: RemotingConnectException to the nameserver".into(),
            SendError::NotRunning => "MQClientException: The producer service state not OK".into(),
            SendError::Illegal(code) => format!("MQClientException: CODE {code}, message illegal"),
            SendError::Rejected => "MQClientException: executor rejected".into(),
            SendError::Client => "MQClientException: client side".into(),
            SendError::ProcessDied => "the sending process died".into(),
        }
    }
}

impl AttemptError {
    pub fn describe(self) -> String {
        match self {
            AttemptError::Connect => "connect failed".into(),
            AttemptError::ChannelClosed => "channel closed under the request".into(),
            AttemptError::Timeout => "wait response timeout".into(),
            AttemptError::TooMuchRequest => "no budget left".into(),
            AttemptError::BrokerNotExist => "the broker has no master address".into(),
            AttemptError::Broker(code) => format!("broker answered {}", crate::contract::note::response_name(code)),
        }
    }
}

/// Names of the answer codes that reach users (server spec 13.2).
pub fn response_name(code: u16) -> String {
    let name = match code {
        0 => "SUCCESS",
        1 => "SYSTEM_ERROR",
        2 => "SYSTEM_BUSY",
        3 => "REQUEST_CODE_NOT_SUPPORTED",
        10 => "FLUSH_DISK_TIMEOUT",
        11 => "SLAVE_NOT_AVAILABLE",
        12 => "FLUSH_SLAVE_TIMEOUT",
        13 => "MESSAGE_ILLEGAL",
        14 => "SERVICE_NOT_AVAILABLE",
        16 => "NO_PERMISSION",
        17 => "TOPIC_NOT_EXIST",
        19 => "PULL_NOT_FOUND",
        20 => "PULL_RETRY_IMMEDIATELY",
        21 => "PULL_OFFSET_MOVED",
        22 => "QUERY_NOT_FOUND",
        24 => "SUBSCRIPTION_NOT_EXIST",
        25 => "SUBSCRIPTION_NOT_LATEST",
        26 => "SUBSCRIPTION_GROUP_NOT_EXIST",
        215 => "FLOW_CONTROL",
        _ => return format!("code {code}"),
    };
    name.to_owned()
}

/// The offset of an acknowledged oneway send: the caller believes in it, and nobody ever learns a place.
pub const ONEWAY_OFFSET: u64 = u64::MAX;

/// How a send ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendEnd {
    /// Answered with a status: stored as far as the status says.
    Acked { status: SendStatus, queue: MessageQueue, offset: u64 },
    /// Failed, and no attempt can have been stored.
    Failed { error: SendError, broker: Option<BrokerName> },
    /// Failed, but an attempt was written whose fate the client does not know.
    Unknown { error: SendError, broker: Option<BrokerName> },
}

/// What a stored record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// An ordinary message of its topic.
    Plain,
    /// A copy for another try of one group, in its retry topic; the number is `reconsumeTimes`.
    Retry(u16),
    /// Parked in `SCHEDULE_TOPIC_XXXX` until its delay is over.
    Delayed,
    /// In a group's dead-letter topic.
    Dead,
    /// A half message or another internal record.
    Internal,
}

/// Where a commit of a consumer offset came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitBy {
    /// UPDATE_CONSUMER_OFFSET: the client's 5 s timer, a dropped queue, a shutdown.
    Update,
    /// The commit field of a pull.
    Pull,
}

/// Why a client gave a queue up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeWhy {
    /// A rebalance gave it to somebody else, or it left the view.
    Rebalance,
    /// PULL_MAX_IDLE_TIME passed.
    PullExpired,
    /// The broker answered that the offset moved.
    OffsetIllegal,
    /// The topic is no longer subscribed.
    Unsubscribed,
    /// The consumer shuts down.
    Shutdown,
}

/// Why a registry forgot somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForgetWhy {
    ChannelClosed,
    ChannelIdle,
    Expired,
    Unregistered,
}

impl ForgetWhy {
    pub const fn describe(self) -> &'static str {
        match self {
            ForgetWhy::ChannelClosed => "its connection closed",
            ForgetWhy::ChannelIdle => "its connection was idle for 120 s",
            ForgetWhy::Expired => "nothing was heard of it for 120 s (expiry scan)",
            ForgetWhy::Unregistered => "it unregistered",
        }
    }
}

/// Which request failed at the transport, for the causes of outages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcFailure {
    Connect,
    Timeout,
    ChannelClosed,
    TooMuchRequest,
}

/// What a broker reads of its log at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The life before did not end in order.
    pub abnormal: bool,
    /// From this physical offset on.
    pub from: u64,
    pub bytes: u64,
}

/// One thing that happened, as somebody saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    // ---- producer
    /// The application's `send` began to run (a thread took it up); `due` is true time.
    SendBegan {
        msg: MessageId,
        topic: TopicId,
        key: Option<u32>,
        due: u64,
    },
    /// One attempt was handed to the transport.
    Attempted {
        msg: MessageId,
        attempt: u8,
        queue: MessageQueue,
    },
    /// One attempt ended without an acknowledgement: the moment at which this client knows that something is wrong with the broker.
    AttemptFailed {
        msg: MessageId,
        attempt: u8,
        broker: BrokerName,
        error: AttemptError,
    },
    /// The call returned or threw.
    SendEnded {
        msg: MessageId,
        end: SendEnd,
        attempts: u8,
    },
    /// The latency-fault table put a broker aside for `ms` (0: back in favour).
    BrokerAvoided {
        broker: BrokerName,
        ms: u32,
    },

    // ---- broker: messages
    /// A record was appended: stored, and visible as soon as the consume queue is built.
    Stored {
        rec: RecordId,
        msg: MessageId,
        store_ms: i64,
        phys: u64,
        bytes: u32,
        stored_as: StoredAs,
    },
    /// The flush service moved the durable position of the commit log.
    Flushed {
        upto: u64,
    },
    /// The flush service takes everything up to here for durable and it is not: the disk refused it or something before it, or (`held`) keeps it in a
    /// cache of its own.
    FlushedInVain {
        upto: u64,
        held: bool,
    },
    /// A member of a replicated group has heard no leader for too long and asks for votes.
    VoteBegan {
        term: u64,
    },
    /// A member of a replicated group believes that it leads, or leads no more.
    Elected {
        term: u64,
        leads: bool,
    },
    /// What a broker had in a buffer of its own is in the page cache up to here.
    PageCached {
        upto: u64,
    },
    /// A broker has read its log at its start: this much is there. `buffered`: it will append into a buffer of its own.
    Recovered {
        upto: u64,
        buffered: bool,
        walk: Walk,
    },
    /// The broker takes the messages of its set from now on, with a log that ends here.
    Serving {
        upto: u64,
    },
    /// A slave appended what its master sent: its copy of the log ends here.
    Replicated {
        upto: u64,
    },
    /// The group's offset at the broker was set.
    Committed {
        group: GroupId,
        queue: MessageQueue,
        offset: u64,
        by: CommitBy,
    },
    /// A failed message was taken back for another try (level 0 and up), or put into the dead-letter topic.
    SentBack {
        group: GroupId,
        msg: MessageId,
        level: u8,
        dead: bool,
    },
    /// Records beyond this offset of the queue were discarded at recovery.
    Truncated {
        queue: MessageQueue,
        log: u16,
        from: u64,
    },
    /// From this offset on records of the queue are in the log, and no entry of the queue names them any more; those behind the newest entry that was left are
    /// dispatched again, at offsets of their own.
    Unindexed {
        queue: MessageQueue,
        log: u16,
        from: u64,
    },
    /// Log files were deleted because of their age or a full disk, and with them the records of this queue below an offset.
    Expired {
        queue: MessageQueue,
        log: u16,
        below: u64,
    },
    /// The oldest file of a broker's log was deleted: the log begins here now. Not `expired`: its time had not come.
    FileDeleted {
        upto: u64,
        expired: bool,
    },
    /// The broker takes no more messages, because its disk is too full; or takes them again.
    DiskFull {
        on: bool,
    },
    /// A request waited too long or the store was busy: answered with this code, SYSTEM_BUSY.
    Busy {
        code: u16,
    },

    // ---- broker: members and locks
    /// A heartbeat added a channel to a group; `members` is the length of the list the broker would now answer with.
    MemberRegistered {
        group: GroupId,
        client: Arc<str>,
        members: u16,
    },
    MemberForgotten {
        group: GroupId,
        client: Arc<str>,
        members: u16,
        why: ForgetWhy,
    },
    /// A queue lock was granted to (or renewed by) a client.
    LockGranted {
        group: GroupId,
        queue: MessageQueue,
        client: Arc<str>,
    },
    LockReleased {
        group: GroupId,
        queue: MessageQueue,
        client: Arc<str>,
    },

    // ---- nameserver
    BrokerRegistered {
        broker: BrokerName,
        id: u64,
        addr: Addr,
    },
    BrokerForgotten {
        broker: BrokerName,
        id: u64,
        why: ForgetWhy,
    },

    // ---- client instance and consumer
    /// A client's publish list of a topic changed: brokers that it would send to.
    PublishRouteBelieved {
        topic: TopicId,
        queues: u16,
        brokers: Arc<[BrokerName]>,
    },
    /// A consuming process took a changed route of a topic: brokers that it would pull from.
    SubscribeRouteBelieved {
        topic: TopicId,
        brokers: Arc<[BrokerName]>,
    },
    /// A client chose a nameserver.
    NameserverChosen {
        addr: Addr,
    },
    /// A client's own request (route, heartbeat, offset, lock, member list) failed at the transport; `code` is the request code.
    RpcFailed {
        code: u16,
        to: Addr,
        why: RpcFailure,
    },
    /// The input or the result of an allocation changed at a member.
    Allocated {
        group: GroupId,
        topic: TopicId,
        members: u16,
        queues: u16,
        owned: Arc<[MessageQueue]>,
    },
    /// A process queue was created; pulling starts at `offset`.
    Assigned {
        group: GroupId,
        queue: MessageQueue,
        offset: i64,
        orderly: bool,
    },
    /// A process queue was dropped: its results no longer count.
    Revoked {
        group: GroupId,
        queue: MessageQueue,
        why: RevokeWhy,
    },
    /// The member's own view of the broker lock of an owned queue.
    Locked {
        group: GroupId,
        queue: MessageQueue,
    },
    Unlocked {
        group: GroupId,
        queue: MessageQueue,
    },
    /// A pull answer brought messages from `from`, up to but excluding `to`.
    Pulled {
        group: GroupId,
        queue: MessageQueue,
        from: u64,
        to: u64,
        count: u16,
    },
    /// A pull of this queue failed at the transport.
    PullFailed {
        group: GroupId,
        queue: MessageQueue,
        why: RpcFailure,
    },
    /// A pull was answered with nothing: mostly a parked one whose time is up.
    PulledNothing {
        group: GroupId,
        queue: MessageQueue,
    },
    /// A pull was answered with nothing, for the offset it had asked for, and with the order to ask again at once.
    PulledInVain {
        group: GroupId,
    },
    /// The listener was entered with this message: a delivery.
    ListenerEntered {
        group: GroupId,
        consumer: u16,
        msg: MessageId,
        rec: RecordId,
        store_ms: i64,
        reconsume: u16,
    },
    ListenerLeft {
        group: GroupId,
        consumer: u16,
        msg: MessageId,
        rec: RecordId,
        ok: bool,
    },
    /// A failed message will not come back to this group although it is in no dead-letter topic: by a broadcasting member, or by a broker whose
    /// group has no retry queues.
    GivenUp {
        group: GroupId,
        msg: MessageId,
    },
    /// The client moved its next pull from one offset to another because the broker said so.
    OffsetCorrected {
        group: GroupId,
        queue: MessageQueue,
        from: i64,
        to: u64,
    },
    /// A start offset was chosen by policy because the broker knew none.
    OffsetInitialised {
        group: GroupId,
        queue: MessageQueue,
        offset: u64,
    },
    /// A consumer or producer of this process became RUNNING, or failed to start.
    ClientStarted {
        index: u16,
        ok: bool,
    },
    ShutdownBegan {
        index: u16,
    },
    ShutdownEnded {
        index: u16,
    },
    /// The first check of a transaction at its producer, and the ones after it.
    TransactionChecked {
        msg: MessageId,
    },

    // ---- truth, from the world
    /// The process began a life.
    Up,
    /// The process was killed; its host lives.
    Killed,
    /// The host lost power or vanished.
    HostLost,
    /// The process ended in order.
    Exited,
    Frozen,
    Thawed,
    /// The host of this process stands still from now on, for so much longer than it would have, ns.
    Paused {
        lasts: u64,
    },
    /// A fault of the scenario struck (`on`) or ended; `touched` counts what it met so far.
    Fault {
        index: u16,
        on: bool,
        touched: u64,
    },
    /// A fault of the scenario cuts these nodes off from those, in one direction at least, until it ends.
    Severed {
        fault: u16,
        from: Arc<[NodeId]>,
        to: Arc<[NodeId]>,
    },
    /// The node's wall clock was set forward or back.
    ClockStepped {
        ms: i64,
    },
    /// A message fell due while its producer process was not running: never offered.
    NotOffered {
        msg: MessageId,
    },
}

/// Somebody who is told everything and changes nothing. A type parameter of the run, so that its cost can be measured.
pub trait Observer {
    fn note(&mut self, stamp: Stamp, note: &Note);
}

/// Observes nothing.
impl Observer for () {
    fn note(&mut self, _: Stamp, _: &Note) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        self.0.note(stamp, note);
        self.1.note(stamp, note);
    }
}

impl<O: Observer> Observer for &mut O {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        (**self).note(stamp, note);
    }
}
