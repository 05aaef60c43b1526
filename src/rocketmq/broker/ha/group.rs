//! A broker whose log is a DLedger group's.
//!
//! `DLedgerCommitLog` and `DLedgerRoleChangeHandler` (4.9.8; server spec 11.6). The member of the group ([`dledger`](super::dledger)) decides who leads and what is
//! committed; here its calls travel over a remoting of their own, its log is the broker's, and its roles become the broker's: the leader is master with id 0 as
//! soon as everything it holds is committed and dispatched, everybody else a slave with its own number. A put is answered when a quorum has it; readers see what is
//! committed. Offsets, locks and delays are no part of the group: they follow the slave's sync every 10 s.

use super::super::puts::Part;
use super::super::schedule::Delivery;
use super::super::store::medium::Fsync;
use super::super::{Broker, Cx, Job, Tick};
use super::dledger::clean::{CleanConfig, DataFiles};
use super::dledger::config::DLedgerConfig;
use super::dledger::ledger::{BODY_OFFSET, Entry, Ledger};
use super::dledger::member::Role;
use super::dledger::protocol::{CallId, Code, PeerId, RequestId, Rpc};
use super::dledger::thread::Thread;
use super::dledger::{DLedgerServer, Effect, FlushedFile, Host, Input as MemberInput};
use crate::base::draw::{Luck, Purpose};
use crate::base::ids::Addr;
use crate::base::names::Names;
use crate::base::time::{MS, SEC};
use crate::contract::note::Note;
use crate::contract::{Conn, Deadline, Port, WorkClass};
use crate::rocketmq::disk::{DLedgerDisk, NodeDisk};
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, Body, Frame, Request, answer_code};
use crate::rocketmq::remoting::client::{Invoke, Net, RemotingClient, RemotingSettings, Target};
use crate::rocketmq::settings::cleaning::{hours, ratio};
use crate::rocketmq::settings::dledger::preferred_leaders;
use crate::rocketmq::settings::{BrokerRole, BrokerSettings};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The remoting instance of the group's own calls.
pub(in super::super) const OWNER: u16 = 2;
/// `DLedgerRpcNettyService` makes a remoting client of its own: a timeout of a call leaves its channel open.
const REMOTING: RemotingSettings =
    RemotingSettings { connect_timeout_ms: 3_000, idle_ns: 120 * SEC, close_if_timeout: false, port: Port::DLedger };
/// Timeout of a call between members (`DLedgerRpcNettyService`), ms.
const CALL_TIMEOUT: u64 = 3_000;
/// `DLedgerRoleChangeHandler` looks so often whether a new leader may become master, ms.
const LEADER_LOOK: u64 = 100;

/// Threads of the member that are woken have tickets from here on: above those of jobs, below those that the broker's own threads have.
const THREAD_TICKET: u32 = 1 << 31;

/// Who is in the group: this member's number and everybody's address.
pub type Members = (u16, Arc<[Addr]>);

/// Who waits for an append's future.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Waiter {
    /// A client's put, by number.
    Put(u32),
    /// A thread of delayed delivery.
    Delay(Delivery),
}

/// A request of a peer that is not answered yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    conn: Conn,
    serial: u32,
    opaque: u32,
    luck: Luck,
}

/// The member and what stands around it.
#[derive(Clone, Debug)]
pub(in super::super) struct Group {
    member: DLedgerServer<Message>,
    peers: Arc<[Addr]>,
    remoting: RemotingClient<CallId>,
    effects: Vec<Effect<Message>>,
    asked: BTreeMap<u64, Asked>,
    next_request: u64,
    /// Puts by the index they wait for.
    waiting: BTreeMap<i64, Vec<Waiter>>,
    deadline: Option<Deadline>,
    /// A leader that is not master yet.
    rising: bool,
    /// Pushes that came while the disk stood still.
    held_up: VecDeque<(Asked, Rpc<Message>)>,
    fsyncs: u64,
    resumes: u64,
}

/// The broker's log as DLedger's: entry i is record i, its term lies beside.
struct RecordLedger<'a> {
    disk: &'a mut NodeDisk,
    names: &'a Names,
    now_ms: i64,
}

impl RecordLedger<'_> {
    fn size_of(&self, message: &Message) -> u32 {
        message.record_size(self.names.topic_name(message.topic).len()) + BODY_OFFSET
    }
}

impl Ledger for RecordLedger<'_> {
    type Payload = Message;

    fn begin(&self) -> i64 {
        let log = &self.disk.broker.log;
        if log.first() == log.len() { -1 } else { log.first() as i64 }
    }
    fn end(&self) -> i64 {
        let log = &self.disk.broker.log;
        if log.first() == log.len() { -1 } else { log.len() as i64 - 1 }
    }
    fn entry(&self, index: i64) -> Option<Entry<Message>> {
        let payload = self.disk.broker.log.get(usize::try_from(index).ok()?)?;
        let term = self.disk.dledger.terms.term_of(index)?;
        Some(Entry { index, term, pos: payload.phys - u64::from(BODY_OFFSET), size: self.size_of(&payload), payload })
    }
    fn term_of(&self, index: i64) -> Option<i64> {
        let there = index >= 0 && (self.begin()..=self.end()).contains(&index);
        there.then(|| self.disk.dledger.terms.term_of(index)).flatten()
    }
    fn place(&self, size: u32) -> u64 {
        self.disk.broker.log.ends.place(size)
    }
    fn append(&mut self, entry: Entry<Message>) {
        let message = Message { phys: entry.pos + u64::from(BODY_OFFSET), ..entry.payload };
        let index = self.disk.broker.log.append_at(message, entry.size - BODY_OFFSET, self.now_ms) as i64;
        self.disk.broker.log.ends.committed = self.disk.broker.log.ends.written;
        self.disk.dledger.terms.append(index, entry.term);
    }
    fn truncate_after(&mut self, index: i64) {
        let keep = usize::try_from(index.saturating_add(1)).unwrap_or(0);
        self.disk.broker.drop_from(keep);
        self.disk.dledger.terms.truncate_after(index);
        let DLedgerDisk { durable, .. } = &mut self.disk.dledger;
        *durable = (*durable).min(index);
    }
    fn durable(&self) -> i64 {
        self.disk.dledger.durable
    }
    fn set_durable(&mut self, index: i64) {
        self.disk.dledger.durable = index;
    }
    fn data_files(&self) -> DataFiles {
        let files = self.disk.broker.log.files();
        DataFiles { count: files.count(), oldest_ms: files.oldest().unwrap_or_default() }
    }
    fn used_percent(&self) -> Option<u64> {
        (self.disk.broker.partition.size > 0).then(|| self.disk.broker.used_percent())
    }
    fn rebuild_with(&mut self, entry: Entry<Message>) {
        // What no log could hold is no entry.
        if let Ok(index) = u32::try_from(entry.index) {
            self.disk.broker.begin_anew(index as usize, entry.pos);
            self.disk.dledger.begin_anew();
            self.append(entry);
        }
    }
}

impl Group {
    /// When the member or its calls want to be woken.
    pub(in super::super) fn next_deadline(&mut self, now: crate::contract::Now) -> Option<Deadline> {
        Deadline::sooner(self.deadline, self.remoting.next_deadline(now), now)
    }
}

/// What `DLedgerCommitLog` sets of its store's cleaning (4.9.8): an hour more, and the ratio of RocketMQ's own.
fn clean_config(s: &BrokerSettings) -> CleanConfig {
    let default = CleanConfig::default();
    CleanConfig {
        delete_when: hours(&s.delete_when).unwrap_or(default.delete_when),
        file_reserved_hours: i64::try_from(s.file_reserved_time).unwrap_or(i64::MAX).saturating_add(1),
        disk_space_ratio_to_check_expired: s.disk_max_used_space_ratio.clamp(10, 95) * 100,
        disk_space_ratio_to_force_clean: ratio(&s.dledger_disk_ratio_clean).unwrap_or(default.disk_space_ratio_to_force_clean),
        enable_disk_force_clean: s.clean_file_forcibly_enable,
    }
}

/// `DLedgerCommitLog#asyncPutMessage`: how a future's end reads as an answer.
fn answer_of(code: Code) -> u16 {
    match code {
        Code::Success => answer_code::SUCCESS,
        Code::InconsistentLeader | Code::NotLeader | Code::DiskFull => answer_code::SERVICE_NOT_AVAILABLE,
        _ => answer_code::SYSTEM_ERROR,
    }
}

impl Broker {
    /// The member starts on what the disk holds.
    pub(in super::super) fn group_start(&mut self, cx: &mut Cx<'_, '_>) {
        let config = self.config.clone();
        let Some((number, peers)) = &config.dledger else { return };
        cx.env.disk.broker.log.header = u64::from(BODY_OFFSET);
        let members = (0..peers.len() as u16).map(PeerId).collect();
        let clean = clean_config(&config.settings);
        let preferred = preferred_leaders(&config.settings.preferred_leader_id).unwrap_or_default();
        let preferred_leaders = preferred.into_iter().map(PeerId).collect();
        let dledger = Arc::new(DLedgerConfig { clean, preferred_leaders, ..DLedgerConfig::new(PeerId(*number), members) });
        let mut effects = Vec::new();
        let mut files = cx.env.disk.dledger.files;
        let (draws, entity, life) = (cx.env.draws, cx.env.entity, cx.env.life);
        let mut ledger = RecordLedger { disk: cx.env.disk, names: &config.names, now_ms: cx.now.wall_ms };
        let host = Host { now: cx.now, ledger: &mut ledger, files: &mut files, draws, entity, life };
        let member = DLedgerServer::start(dledger, host, &mut effects);
        let committed = member.committed_pos();
        let NodeDisk { broker, dledger, .. } = &mut *cx.env.disk;
        dledger.wrote(files, cx.now.mono, &broker.medium);
        cx.env.disk.broker.log.visible = Some(committed.unwrap_or(cx.env.disk.broker.log.min_phys()));
        self.group = Some(Box::new(Group {
            member,
            peers: peers.clone(),
            remoting: RemotingClient::new(OWNER, REMOTING, Arc::new([]), 0, cx.now),
            effects,
            asked: BTreeMap::new(),
            next_request: 0,
            waiting: BTreeMap::new(),
            deadline: None,
            rising: false,
            held_up: VecDeque::new(),
            fsyncs: 0,
            resumes: 0,
        }));
        self.group_effects(cx);
    }

    /// One call of the member, and what it asks for.
    fn member<R>(
        &mut self,
        cx: &mut Cx<'_, '_>,
        act: impl FnOnce(&mut DLedgerServer<Message>, Host<'_, RecordLedger<'_>>, &mut Vec<Effect<Message>>) -> R,
    ) -> Option<R> {
        let config = self.config.clone();
        let Group { member, effects, .. } = &mut **self.group.as_mut()?;
        let before = cx.env.disk.broker.log.ends.written;
        cx.env.disk.broker.settle(cx.now.mono);
        let (draws, entity, life) = (cx.env.draws, cx.env.entity, cx.env.life);
        let mut files = cx.env.disk.dledger.files;
        let mut ledger = RecordLedger { disk: cx.env.disk, names: &config.names, now_ms: cx.now.wall_ms };
        let host = Host { now: cx.now, ledger: &mut ledger, files: &mut files, draws, entity, life };
        let done = act(member, host, effects);
        let NodeDisk { broker, dledger, .. } = &mut *cx.env.disk;
        dledger.wrote(files, cx.now.mono, &broker.medium);
        let upto = cx.env.disk.broker.log.ends.written;
        if upto > before {
            cx.env.disk.broker.page_cached(upto, cx.now.mono);
        }
        if upto > before && member.role() != Role::Leader {
            cx.out.note(Note::Replicated { upto });
        }
        self.group_effects(cx);
        Some(done)
    }

    /// Does what the member wants, and what follows from that, until it wants nothing.
    fn group_effects(&mut self, cx: &mut Cx<'_, '_>) {
        loop {
            let Some(group) = self.group.as_mut() else { return };
            if group.effects.is_empty() {
                break;
            }
            let effects = std::mem::take(&mut group.effects);
            for effect in &effects {
                self.group_effect(cx, effect);
            }
            if let Some(group) = self.group.as_mut()
                && group.effects.is_empty()
            {
                group.effects = effects;
                group.effects.clear();
            }
        }
        self.group_deadline(cx);
    }

    fn group_deadline(&mut self, cx: &mut Cx<'_, '_>) {
        if let Some(group) = self.group.as_mut() {
            group.deadline = group.member.next_deadline(cx.now);
        }
    }

    fn group_effect(&mut self, cx: &mut Cx<'_, '_>, effect: &Effect<Message>) {
        match *effect {
            Effect::Call { call, to, rpc } => {
                let luck = self.luck(cx.env);
                let Some(group) = self.group.as_mut() else { return };
                let Some(addr) = group.peers.get(usize::from(to.0)).copied() else { return };
                let mut net = Net { now: cx.now, out: cx.out, conns: &mut self.conns };
                let request = Request::DLedger(Box::new(rpc));
                group.remoting.call(&mut net, Invoke::Async, Target::Addr(addr), request, CALL_TIMEOUT, luck, call);
                self.drain_group(cx);
            }
            Effect::Answer { request: RequestId(request), answer } => {
                let Some(asked) = self.group.as_mut().and_then(|g| g.asked.remove(&request)) else { return };
                if self.channels.is_open(asked.conn, asked.serial) {
                    self.channels.touch(asked.conn, cx.now.mono);
                    let answer = Answer::DLedger(answer);
                    let bytes = answer.bytes();
                    let frame = Frame { opaque: asked.opaque, luck: asked.luck, body: Body::Answer(answer) };
                    cx.out.write(asked.conn, frame, bytes, asked.luck.inbound());
                }
            }
            Effect::Forgotten { request: RequestId(request) } => {
                if let Some(group) = self.group.as_mut() {
                    group.asked.remove(&request);
                }
            }
            Effect::Role { role, term, .. } => {
                let term = u64::try_from(term).unwrap_or(0);
                if role == Role::Candidate {
                    cx.out.note(Note::VoteBegan { term });
                }
                cx.out.note(Note::Elected { term, leads: role == Role::Leader });
                self.role_changed(cx, role);
            }
            Effect::Appended { index, code } => {
                let puts = self.group.as_mut().and_then(|g| g.waiting.remove(&index)).unwrap_or_default();
                for put in puts {
                    match put {
                        Waiter::Put(put) => self.settle(cx, put, Part::Replica, answer_of(code)),
                        Waiter::Delay(delivery) => self.delivered(cx, delivery, code == Code::Success),
                    }
                }
            }
            Effect::Committed { .. } => self.group_committed(cx),
            Effect::Truncated { .. } => {
                // Queue offsets of what is gone are told by whoever leads next.
                cx.env.disk.broker.discarded.clear();
                self.group_committed(cx);
            }
            Effect::Flush { .. } => {
                let Some(group) = self.group.as_mut() else { return };
                group.fsyncs += 1;
                let n = u64::from(cx.env.life) << 40 | group.fsyncs;
                let word = cx.env.draws.word(cx.env.entity, Purpose::Work, n);
                cx.out.work(super::super::flush::FSYNC_TICKET, WorkClass::Fsync, word);
            }
            Effect::Resume { thread } => {
                let Some(group) = self.group.as_mut() else { return };
                group.resumes += 1;
                let n = u64::from(cx.env.life) << 40 | 1 << 39 | group.resumes;
                let word = cx.env.draws.word(cx.env.entity, Purpose::Work, n);
                cx.out.work(THREAD_TICKET + thread.number(), WorkClass::Resume, word);
            }
            Effect::DeleteOldestFile { expired } => {
                self.destroy_oldest_file(cx, expired);
                self.plan_group_clean(cx);
            }
            Effect::DiskFull { .. } => self.tell_disk_full(cx),
        }
    }

    /// Whether the group's store appends nothing, because its disk is too full.
    pub(in super::super) fn group_disk_full(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.member.is_disk_full())
    }

    /// The committed index moved: readers see so far (`DLedgerCommitLog#getMaxOffset`).
    fn group_committed(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(group) = self.group.as_ref() else { return };
        let log = &mut cx.env.disk.broker.log;
        log.visible = Some(group.member.committed_pos().unwrap_or(log.min_phys()));
        self.plan_reput(cx);
    }

    /// Answers to this member's own calls.
    fn drain_group(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some(done) = self.group.as_mut().and_then(|g| g.remoting.next_done()) {
            let call = done.token;
            let input = match done.result {
                Ok(Answer::DLedger(answer)) => MemberInput::Answered { call, answer },
                _ => MemberInput::Failed { call },
            };
            self.member(cx, |member, host, out| member.handle(input, host, out));
        }
    }

    /// A connection of the group's remoting: what happened to it.
    #[inline(never)]
    pub(in super::super) fn on_group_net(
        &mut self,
        cx: &mut Cx<'_, '_>,
        act: impl FnOnce(&mut RemotingClient<CallId>, &mut Net<'_>),
    ) {
        if let Some(group) = self.group.as_mut() {
            act(&mut group.remoting, &mut Net { now: cx.now, out: cx.out, conns: &mut self.conns });
        }
        self.drain_group(cx);
    }

    /// `DLedgerRpcNettyService#processRequest`: a request of a peer, in one of the four threads of that server. While the disk stands still no push is answered: the
    /// thread that would is inside an append.
    #[inline(never)]
    pub(in super::super) fn on_group_request(&mut self, cx: &mut Cx<'_, '_>, job: &Job, rpc: Rpc<Message>) {
        let Some(group) = self.group.as_mut() else { return };
        let asked = Asked { conn: job.conn, serial: job.serial, opaque: job.opaque, luck: job.luck };
        if matches!(rpc, Rpc::Push(_)) && (cx.env.disk.broker.stalled || !group.held_up.is_empty()) {
            return group.held_up.push_back((asked, rpc));
        }
        self.group_asked(cx, asked, rpc);
    }

    /// A thread of the member that was woken runs; whether the ticket is one of those.
    pub(in super::super) fn group_resumed(&mut self, cx: &mut Cx<'_, '_>, ticket: u32) -> bool {
        let Some(thread) = ticket.checked_sub(THREAD_TICKET).and_then(Thread::numbered) else { return false };
        self.member(cx, |member, host, out| member.handle(MemberInput::Resumed { thread }, host, out));
        true
    }

    fn group_asked(&mut self, cx: &mut Cx<'_, '_>, asked: Asked, rpc: Rpc<Message>) {
        let Some(group) = self.group.as_mut() else { return };
        group.next_request += 1;
        let request = RequestId(group.next_request);
        group.asked.insert(request.0, asked);
        self.member(cx, |member, host, out| member.handle(MemberInput::Request { request, rpc }, host, out));
    }

    /// What of the group is due, and what waited for the disk. `awake`: the driver has woken the broker, late as it wakes; the member's waits end with that only.
    #[inline(never)]
    pub(in super::super) fn group_turn(&mut self, cx: &mut Cx<'_, '_>, awake: bool) {
        while !cx.env.disk.broker.stalled
            && let Some((asked, rpc)) = self.group.as_mut().and_then(|g| g.held_up.pop_front())
        {
            self.group_asked(cx, asked, rpc);
        }
        let Some(group) = self.group.as_mut() else { return };
        if group.remoting.is_due(cx.now) {
            self.on_group_net(cx, |remoting, net| remoting.wake(net));
        }
        if awake && self.group.as_ref().is_some_and(|g| g.deadline.is_some_and(|d| d.in_ns(cx.now) == 0)) {
            self.member(cx, |member, host, out| member.handle(MemberInput::Wake, host, out));
        }
    }

    /// An fsync of the log is over, or has thrown: the member takes its entries for flushed either way (`DefaultMmapFile#flush`; server spec 4.1).
    pub(in super::super) fn group_flushed(&mut self, cx: &mut Cx<'_, '_>) {
        let file = self.group.as_ref().and_then(|g| g.member.flushing());
        self.member(cx, |member, host, out| member.handle(MemberInput::Flushed, host, out));
        if file != Some(FlushedFile::Data) {
            return;
        }
        let NodeDisk { broker: disk, dledger, .. } = &*cx.env.disk;
        let end = usize::try_from(dledger.durable).ok().filter(|index| *index < disk.log.len());
        let upto = end.map_or(disk.log.min_phys(), |index| disk.log.end_of(index));
        self.fsynced(cx, upto);
        let NodeDisk { broker, dledger, .. } = &mut *cx.env.disk;
        if broker.medium.fsync == Fsync::Works {
            dledger.commit_names(cx.now.mono, &broker.medium);
        }
    }

    /// `DLedgerServer#handleAppend` for one message; where it lies, or the answer that refuses it: whatever the reason, a future without a position is
    /// OS_PAGECACHE_BUSY (`DLedgerCommitLog#asyncPutMessage`, 4.9.8; server spec 11.6), and that a SYSTEM_ERROR.
    pub(in super::super) fn group_put(&mut self, cx: &mut Cx<'_, '_>, message: &mut Message, size: u32) -> Result<(), u16> {
        let payload = [(*message, size + BODY_OFFSET)];
        let done = self.member(cx, |member, host, out| member.append(&payload, host, out));
        match done {
            Some(Ok(appended)) => {
                if let Some(stored) = usize::try_from(appended.last).ok().and_then(|i| cx.env.disk.broker.log.get(i)) {
                    *message = stored;
                }
                Ok(())
            }
            Some(Err(_)) => Err(answer_code::SYSTEM_ERROR),
            None => Err(answer_code::SERVICE_NOT_AVAILABLE),
        }
    }

    /// The put waits until a quorum has everything up to the present end of the log.
    pub(in super::super) fn await_quorum(&mut self, cx: &mut Cx<'_, '_>, put: Waiter) {
        let end = cx.env.disk.broker.log.len() as i64 - 1;
        if let Some(group) = self.group.as_mut() {
            group.waiting.entry(end).or_default().push(put);
        }
    }

    // ---- DLedgerRoleChangeHandler

    fn role_changed(&mut self, cx: &mut Cx<'_, '_>, role: Role) {
        match role {
            Role::Candidate if self.role == BrokerRole::Slave => self.rising(false),
            Role::Candidate | Role::Follower => {
                self.rising(false);
                self.change_to_slave(cx);
            }
            Role::Leader => {
                self.rising(true);
                self.become_master(cx);
            }
        }
    }

    fn rising(&mut self, rising: bool) {
        if let Some(group) = self.group.as_mut() {
            group.rising = rising;
        }
    }

    /// A new leader opens when all it holds is committed and dispatched; it looks every 100 ms.
    pub(in super::super) fn become_master(&mut self, cx: &mut Cx<'_, '_>) {
        let config = self.config.clone();
        let Some(group) = self.group.as_ref().filter(|g| g.rising && g.member.role() == Role::Leader) else { return };
        let ledger = RecordLedger { disk: cx.env.disk, names: &config.names, now_ms: cx.now.wall_ms };
        if !group.member.all_committed(&ledger) || ledger.disk.broker.dispatched < ledger.disk.broker.log.len() {
            return self.timers.set(cx.now.mono + LEADER_LOOK * MS, Tick::BecomeMaster);
        }
        self.rising(false);
        if self.role == BrokerRole::SyncMaster {
            return;
        }
        self.next_offsets = cx.env.disk.broker.queues().iter().map(|q| q.max()).collect();
        self.sync.stop();
        self.schedule_start(cx);
        (self.broker_id, self.role) = (crate::rocketmq::route::MASTER_ID, BrokerRole::SyncMaster);
        let upto = cx.env.disk.broker.log.ends.written;
        cx.out.note(Note::Serving { upto });
        self.tell_disk_full(cx);
        // What it deleted while another led is out of reach from now on.
        for (topic, queue_id, below) in cx.env.disk.broker.expired() {
            let log = cx.env.disk.broker.log.identity;
            cx.out.note(Note::Expired { queue: self.queue_of(topic, queue_id), log, below });
        }
        // What the start has left out of the queues is out of reach from now on, and its queue offsets are given out again.
        let log = cx.env.disk.broker.log.identity;
        for (topic, queue_id, from) in cx.env.disk.broker.take_unindexed() {
            cx.out.note(Note::Unindexed { queue: self.queue_of(topic, queue_id), log, from });
        }
        self.register_oneway(cx);
    }

    /// `BrokerController#changeToSlave`: its number in the group, counted from 1, is its id.
    fn change_to_slave(&mut self, cx: &mut Cx<'_, '_>) {
        let number = self.config.dledger.as_ref().map_or(0, |m| u64::from(m.0));
        (self.broker_id, self.role) = (number + 1, BrokerRole::Slave);
        self.tell_disk_full(cx);
        self.schedule_stop();
        self.sync_start(cx);
        self.register_oneway(cx);
    }
}
