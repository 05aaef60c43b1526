//! DLedger: one member of a Raft group, as the real one is, with its omissions.
//!
//! RocketMQ's DLedger mode replaces master and slave by a group that elects its master and counts an append as done when a quorum holds it. This
//! is such a member as a pure state machine: `DLedgerServer` (DLedger 0.3.1.2, the library of RocketMQ 4.9.8 and 5.3.3; server spec 11). It is told what happened
//! ([`Input`]) and appends what it wants to a list ([`Effect`]); it knows no socket, file, thread or clock. The log and the two small files lie with
//! the driver and are lent for each call ([`Host`]).
//!
//! The parts are the threads of the original: `elector` (who leads), `transfer` (who should), `dispatcher` (one a peer, pushes the log), `handler` (takes pushes in),
//! `checker` (counts watermarks), and the flush thread, which is small enough to be here. They wait for each other as those do (`thread`): the elector beats
//! every 10 ms, a dispatcher looks for entries every millisecond, the others are woken. What a wake-up takes is the driver's part ([`Effect::Resume`]).
//!
//! What holds: at most one member leads in a term, logs match, and an append answered with success survives the deaths of processes and the loss of a
//! minority, as long as connections keep order. What does not hold, each shown by a test: acknowledgements come before any fsync, and neither they nor
//! votes survive a loss of power at a majority, or at a follower that a quorum counted on (H80). The committed index, up to which consumers read, may
//! cover entries of older terms that are overwritten later (H79). A comparison that a later leadership takes up where an earlier one left it, a TRUNCATE
//! that comes late and an APPEND that a COMPARE overtakes make a follower drop what was acknowledged. A member with a higher term and a shorter log is
//! not heard while the others have a quorum (dl#325).
//!
//! Not built: batch push.

pub mod checker;
pub mod clean;
pub mod config;
pub mod dispatcher;
pub mod elector;
pub mod handler;
pub mod ledger;
pub mod member;
pub mod protocol;
pub mod thread;
pub mod transfer;

#[cfg(test)]
pub(crate) mod tests;

use self::checker::{QuorumAckChecker, WaterMarks};
use self::clean::CleanSpaceService;
use self::config::DLedgerConfig;
use self::dispatcher::{EntryDispatcher, PushState};
use self::elector::Elector;
use self::handler::EntryHandler;
use self::ledger::{DLedgerFiles, Entry, Ledger, committed_after};
use self::member::{MemberState, Role};
use self::protocol::{CallId, CallKind, Code, PeerId, RequestId, Rpc, RpcAnswer};
use self::thread::{DoWork, Thread};
use self::transfer::LeadershipTransfer;
use crate::base::draw::{Draws, Purpose};
use crate::base::ids::Entity;
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;
use std::sync::Arc;

/// What happens to a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<P> {
    /// A deadline has come.
    Wake,
    /// A request of a peer. It is answered by [`Effect::Answer`], perhaps later, or by [`Effect::Forgotten`] never.
    Request { request: RequestId, rpc: Rpc<P> },
    /// The answer to a call.
    Answered { call: CallId, answer: RpcAnswer },
    /// A call failed: no connection, or no answer within the remoting's 3 s.
    Failed { call: CallId },
    /// The fsync asked for is done.
    Flushed,
    /// A thread that was to be woken runs.
    Resumed { thread: Thread },
}

/// What a member wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<P> {
    /// Send a request to a peer; [`Input::Answered`] or [`Input::Failed`] follows.
    Call { call: CallId, to: PeerId, rpc: Rpc<P> },
    /// Answer a request.
    Answer { request: RequestId, answer: RpcAnswer },
    /// A request will not be answered: its caller runs into its timeout.
    Forgotten { request: RequestId },
    /// `RoleChangeHandler#handle`; also when the role stays the same. The term is the one the change was asked for.
    Role { term: i64, role: Role, leader: Option<PeerId> },
    /// An append's future is completed; never before [`DLedgerServer::append`] returns.
    Appended { index: i64, code: Code },
    /// The committed index moved: forward, or back to the end of a log that was truncated below it.
    Committed { index: i64 },
    /// A follower's log now ends with entry `after`, sent by the leader; entries up to `old_end` behind it are gone.
    Truncated { after: i64, old_end: i64 },
    /// Begin an fsync of the data file, or of the index file behind it; [`Input::Flushed`] follows.
    Flush { file: FlushedFile },
    /// A thread has been woken; [`Input::Resumed`] follows when it runs.
    Resume { thread: Thread },
    /// Delete the oldest data file with the entries that begin in it. Not `expired`: its time had not come.
    DeleteOldestFile { expired: bool },
    /// `isDiskFull` changed: the member appends nothing more, or appends again.
    DiskFull { on: bool },
}

/// What `FlushDataService` flushes, one behind the other: `dataFileList`, `indexFileList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushedFile {
    Data,
    Index,
}

/// What the driver lends for the length of one call.
pub struct Host<'a, L> {
    pub now: Now,
    /// The entries on the host's disk.
    pub ledger: &'a mut L,
    /// The small files beside them.
    pub files: &'a mut DLedgerFiles,
    pub draws: Draws,
    /// The process's scenario name, hashed.
    pub entity: Entity,
    /// Number of this life of the process.
    pub life: u32,
}

/// Bugs that tests plant, to see that they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// An append counts as done when the leader has it.
    AckBeforeQuorum,
    /// A vote does not keep from voting for another in the same term.
    VoteTwice,
    /// A follower says that it truncated, and did not.
    SkipTruncation,
}

/// What the parts share.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    config: Arc<DLedgerConfig>,
    member: MemberState,
    /// `committedIndex`.
    committed: i64,
    /// `committedPos`: where the entry at that index ends; -1 when none was ever committed in this life. It outlives the entry.
    committed_pos: i64,
    /// `isDiskFull`.
    disk_full: bool,
    /// `TakeLeadershipTask`: who is to hear that this member leads, or does not.
    taking_over: Option<RequestId>,
    marks: WaterMarks,
    /// A peer's watermark was set: whoever counts them is to be woken.
    acknowledged: bool,
    draws: u64,
    planted: Option<Planted>,
}

impl Core {
    fn new(config: Arc<DLedgerConfig>, member: MemberState) -> Self {
        let marks = WaterMarks::new(&config.peers);
        Core {
            config,
            member,
            committed: -1,
            committed_pos: -1,
            disk_full: false,
            taking_over: None,
            marks,
            acknowledged: false,
            draws: 0,
            planted: None,
        }
    }
    /// A peer has acknowledged everything up to an index (`updatePeerWaterMark`, `quorumAckChecker.wakeup()`).
    fn raise_mark(&mut self, term: i64, peer: PeerId, index: i64) {
        self.marks.raise(term, peer, index);
        self.acknowledged = true;
    }
    fn plants(&self, bug: Planted) -> bool {
        self.planted == Some(bug)
    }
}

/// What a part is handed.
struct Cx<'a, L: Ledger> {
    core: &'a mut Core,
    host: Host<'a, L>,
    out: &'a mut Vec<Effect<L::Payload>>,
}

impl<L: Ledger> Cx<'_, L> {
    fn now(&self) -> Now {
        self.host.now
    }
    /// `Random#nextInt`: whole milliseconds below a bound.
    fn draw_ms(&mut self, bound: i64) -> i64 {
        self.core.draws += 1;
        let n = u64::from(self.host.life) << 40 | self.core.draws;
        let bound = u64::try_from(bound).unwrap_or(0);
        i64::try_from(self.host.draws.below(self.host.entity, Purpose::Election, n, bound)).unwrap_or(0)
    }
    /// `DLedgerStore#updateCommittedIndex`.
    fn update_committed(&mut self, term: i64, index: i64) {
        let curr_term = self.core.member.curr_term();
        if let Some(index) = committed_after(self.host.ledger, self.core.committed, curr_term, term, index) {
            self.core.committed = index;
            self.core.committed_pos = end_of(self.host.ledger, index);
            self.out.push(Effect::Committed { index });
        }
    }
}

/// Where the entry at an index ends; -1: there is none.
fn end_of<L: Ledger>(ledger: &L, index: i64) -> i64 {
    let end = ledger.entry(index).map(|entry| entry.pos.saturating_add(u64::from(entry.size)));
    end.and_then(|end| i64::try_from(end).ok()).unwrap_or(-1)
}

/// `DLedgerMmapFileStore.FlushDataService`: what is written is made durable, the data file and then the index file, 10 ms after the last time, and the committed
/// index noted every 3 s. An entry is durable with the data file: recovery makes the index anew.
#[derive(Clone, Copy, Debug)]
struct FlushDataService {
    /// The thread's waits are counted from here: the start, or the end of the last fsync.
    since: u64,
    started: u64,
    /// An fsync is under way: of the data file up to this index, or of the index file.
    flushing: Option<Flushing>,
    /// The committed index that the checkpoint file holds.
    noted: i64,
    /// When the next fsync begins and the next note is written; `u64::MAX`: there is nothing to do.
    flush_at: u64,
    note_at: u64,
}

#[derive(Clone, Copy, Debug)]
enum Flushing {
    Data(i64),
    Index,
}

/// A member of a group: `DLedgerServer` (0.3.1.2).
#[derive(Clone, Debug)]
pub struct DLedgerServer<P> {
    core: Core,
    elector: Elector,
    transfer: LeadershipTransfer,
    dispatchers: Vec<EntryDispatcher>,
    handler: EntryHandler<P>,
    checker: QuorumAckChecker,
    flusher: FlushDataService,
    cleaner: CleanSpaceService,
}

impl<P: Copy + PartialEq + std::fmt::Debug> DLedgerServer<P> {
    /// A process that begins to run: its state is what the disk says (`MemberState`, `DLedgerMmapFileStore#recover`). It asks for votes at once.
    pub fn start<L: Ledger<Payload = P>>(config: Arc<DLedgerConfig>, host: Host<'_, L>, out: &mut Vec<Effect<P>>) -> Self {
        let now = host.now;
        let member = MemberState::load(host.files);
        let noted = host.files.committed.cached;
        let mut core = Core::new(config.clone(), member);
        let term = core.member.curr_term();
        core.committed = committed_after(host.ledger, -1, term, term, noted).unwrap_or(-1);
        core.committed_pos = end_of(host.ledger, core.committed);
        let mut server = DLedgerServer {
            elector: Elector::new(now),
            transfer: LeadershipTransfer::new(now),
            dispatchers: config.others().map(|peer| EntryDispatcher::new(peer, &host)).collect(),
            handler: EntryHandler::new(&host),
            checker: QuorumAckChecker::new(&host),
            flusher: FlushDataService::new(now, noted),
            cleaner: CleanSpaceService::new(now),
            core,
        };
        server.handle(Input::Wake, host, out);
        server
    }

    #[cfg(test)]
    pub(crate) fn plant(&mut self, bug: Option<Planted>) {
        self.core.planted = bug;
    }

    /// Takes one input in. Timed waits end with [`Input::Wake`] only, however late that comes.
    pub fn handle<L: Ledger<Payload = P>>(&mut self, input: Input<P>, host: Host<'_, L>, out: &mut Vec<Effect<P>>) {
        let DLedgerServer { core, elector, transfer, dispatchers, handler, checker, flusher, cleaner } = self;
        let cx = &mut Cx { core, host, out };
        let awake = input == Input::Wake;
        match input {
            Input::Wake => {}
            Input::Request { request, rpc: Rpc::Vote(vote) } => {
                let answer = RpcAnswer::Vote(elector.handle_vote(cx, &vote, false));
                cx.out.push(Effect::Answer { request, answer });
            }
            Input::Request { request, rpc: Rpc::HeartBeat(beat) } => {
                let answer = RpcAnswer::HeartBeat(elector.handle_heart_beat(cx, &beat));
                cx.out.push(Effect::Answer { request, answer });
            }
            Input::Request { request, rpc: Rpc::Push(push) } => handler.handle_push(cx, request, push),
            Input::Request { request, rpc: Rpc::LeadershipTransfer(asked) } => {
                transfer.handle_leadership_transfer(cx, elector, request, asked);
            }
            Input::Answered { call, answer: RpcAnswer::LeadershipTransfer(answer) } => {
                transfer.answered(cx, call, Some(answer.code))
            }
            Input::Failed { call } if call.kind == CallKind::Transfer => transfer.answered(cx, call, None),
            Input::Answered { call, answer } => answered(elector, dispatchers, cx, call, Some(&answer)),
            Input::Failed { call } => answered(elector, dispatchers, cx, call, None),
            Input::Flushed => flusher.flushed(cx),
            Input::Resumed { thread: Thread::EntryHandler } => handler.do_work(cx),
            Input::Resumed { thread: Thread::QuorumAckChecker } => checker.do_work(cx),
            Input::Resumed { thread: Thread::EntryDispatcher(peer) } => {
                if let Some(dispatcher) = dispatchers.iter_mut().find(|d| d.peer() == peer) {
                    dispatcher.resumed(cx);
                }
            }
        }
        elector.run(cx, awake);
        transfer.run(cx, elector, awake);
        handler.run(cx, awake);
        replicate(dispatchers, checker, flusher, cx, awake);
        cleaner.run(cx, awake);
    }

    /// `DLedgerServer#handleAppend`: writes payloads of these sizes (with the header of an entry) one behind the other, and waits for the last of them
    /// only: its index comes back in an [`Effect::Appended`]. A refusal stores nothing.
    pub fn append<L: Ledger<Payload = P>>(
        &mut self,
        payloads: &[(P, u32)],
        host: Host<'_, L>,
        out: &mut Vec<Effect<P>>,
    ) -> Result<Appended, Code> {
        let DLedgerServer { core, dispatchers, checker, flusher, .. } = self;
        let term = core.member.curr_term();
        if !core.member.is_leader() {
            return Err(Code::NotLeader);
        }
        if core.member.transferee().is_some() {
            return Err(Code::LeaderTransferring);
        }
        if checker.is_pending_full(term, core.config.max_pending_requests_num) {
            return Err(Code::LeaderPendingFull);
        }
        if payloads.is_empty() {
            return Err(Code::UnexpectedArgument);
        }
        if core.disk_full {
            return Err(Code::DiskFull);
        }
        let cx = &mut Cx { core, host, out };
        let first = cx.host.ledger.end().saturating_add(1);
        for &(payload, size) in payloads {
            let (index, pos) = (cx.host.ledger.end().saturating_add(1), cx.host.ledger.place(size));
            cx.host.ledger.append(Entry { index, term, pos, size, payload });
        }
        let last = cx.host.ledger.end();
        checker.wait_ack(cx, term, last);
        replicate(dispatchers, checker, flusher, cx, false);
        Ok(Appended { first, last })
    }

    /// When this member wants [`Input::Wake`], seen from `now`.
    pub fn next_deadline(&self, now: Now) -> Option<Deadline> {
        let Core { config, member, .. } = &self.core;
        let elector = self.elector.next_deadline(now, member.role(), config.heart_beat_time_interval_ms, config.lease_ms());
        let (handler, checker) = (self.handler.next_deadline(), self.checker.next_deadline());
        let dispatchers = self.dispatchers.iter().map(EntryDispatcher::next_deadline);
        dispatchers
            .chain([Some(elector), self.transfer.next_deadline(), handler, checker])
            .chain([self.flusher.next_deadline(), self.cleaner.next_deadline()])
            .fold(None, |a, b| Deadline::sooner(a, b, now))
    }

    pub fn role(&self) -> Role {
        self.core.member.role()
    }
    pub fn term(&self) -> i64 {
        self.core.member.curr_term()
    }
    pub fn leader(&self) -> Option<PeerId> {
        self.core.member.leader()
    }
    /// `getCommittedIndex`; -1 for none.
    pub fn committed_index(&self) -> i64 {
        self.core.committed
    }
    /// `getCommittedPos`: behind the committed entry, which is how far a broker lets consumers read; `None`: nothing is committed yet.
    pub fn committed_pos(&self) -> Option<u64> {
        u64::try_from(self.core.committed_pos).ok()
    }
    /// Whether it appends nothing, because its disk is too full.
    pub fn is_disk_full(&self) -> bool {
        self.core.disk_full
    }
    /// What a new leader's broker waits for besides its own dispatch, before it becomes a master (`DLedgerRoleChangeHandler`, 4.9.8).
    pub fn all_committed<L: Ledger<Payload = P>>(&self, ledger: &L) -> bool {
        ledger.end() == -1 || ledger.end() == self.core.committed
    }
    /// Which file an fsync is under way of.
    pub fn flushing(&self) -> Option<FlushedFile> {
        self.flusher.flushing.map(|f| if matches!(f, Flushing::Data(_)) { FlushedFile::Data } else { FlushedFile::Index })
    }
    /// What the push to a peer is at.
    pub fn push_state(&self, peer: PeerId) -> Option<PushState> {
        self.dispatchers.iter().find(|d| d.peer() == peer).map(EntryDispatcher::state)
    }
}

/// Where an append went: the first and the last index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first: i64,
    pub last: i64,
}

fn answered<L: Ledger>(
    elector: &mut Elector,
    dispatchers: &mut [EntryDispatcher],
    cx: &mut Cx<'_, L>,
    call: CallId,
    answer: Option<&RpcAnswer>,
) {
    match call.kind {
        CallKind::Vote | CallKind::HeartBeat => elector.answered(cx, call, answer),
        CallKind::Transfer => {}
        CallKind::Step | CallKind::Append | CallKind::Commit => {
            let push = answer.and_then(|answer| if let RpcAnswer::Push(push) = answer { Some(push) } else { None });
            if let Some(dispatcher) = dispatchers.iter_mut().find(|d| d.peer() == call.peer) {
                dispatcher.answered(cx, call, push);
            }
        }
    }
}

/// What follows from a log or a watermark that moved, or from time.
fn replicate<L: Ledger>(
    dispatchers: &mut [EntryDispatcher],
    checker: &mut QuorumAckChecker,
    flusher: &mut FlushDataService,
    cx: &mut Cx<'_, L>,
    awake: bool,
) {
    for dispatcher in dispatchers {
        dispatcher.turn(cx, awake);
    }
    if std::mem::take(&mut cx.core.acknowledged) {
        checker.wakeup(cx.out);
    }
    checker.run(cx, awake);
    flusher.run(cx, awake);
}

impl FlushDataService {
    fn new(now: Now, noted: i64) -> Self {
        FlushDataService { since: now.mono, started: now.mono, flushing: None, noted, flush_at: u64::MAX, note_at: u64::MAX }
    }
    fn run<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, awake: bool) {
        let (now, end) = (cx.now().mono, cx.host.ledger.end());
        let interval = cx.core.config.flush_file_interval_ms.max(1).saturating_mul(MS);
        if self.flushing.is_some() || cx.host.ledger.durable() >= end {
            self.flush_at = u64::MAX;
        } else if self.flush_at == u64::MAX {
            self.flush_at = grid(now, self.since.saturating_add(interval), interval);
        }
        if awake && self.flush_at <= now {
            self.flush_at = u64::MAX;
            self.flushing = Some(Flushing::Data(end));
            cx.out.push(Effect::Flush { file: FlushedFile::Data });
        }
        // The note is looked at after each flush, and written when the last one is longer ago than its interval.
        let period = cx.core.config.check_point_interval_ms.saturating_mul(MS).saturating_add(interval);
        if self.noted == cx.core.committed {
            self.note_at = u64::MAX;
        } else if self.note_at == u64::MAX {
            self.note_at = grid(now, self.started.saturating_add(period), period);
        }
        if awake && self.note_at <= now {
            self.note_at = u64::MAX;
            self.noted = cx.core.committed;
            cx.host.files.committed.cached = self.noted;
        }
    }
    fn next_deadline(&self) -> Option<Deadline> {
        let at = self.flush_at.min(self.note_at);
        (at != u64::MAX).then(|| Deadline::mono(at))
    }
    fn flushed<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        match self.flushing.take() {
            Some(Flushing::Data(upto)) => {
                let upto = upto.min(cx.host.ledger.end());
                cx.host.ledger.set_durable(upto);
                self.flushing = Some(Flushing::Index);
                cx.out.push(Effect::Flush { file: FlushedFile::Index });
            }
            Some(Flushing::Index) => self.since = cx.now().mono,
            None => {}
        }
    }
}
