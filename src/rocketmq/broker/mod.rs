//! A broker process: requests through pools, the store behind them, the registries beside it.
//!
//! `BrokerController` and its processors (4.9.8). A request is read from its channel, waits in the pool of its kind, is worked on for as long
//! as the driver says, and acts on the store in one step at the end of that time. What runs on timers of its own (registration, holds,
//! housekeeping, delayed delivery, persistence) is computed from the clock, not ticked while nothing can be due.

mod clean;
mod consumers;
pub mod delay_level;
mod fast_failure;
mod flush;
pub mod ha;
mod pull;
mod puts;
pub mod rebalance_lock;
mod registration;
mod role;
mod schedule;
mod send;
mod slave_sync;
#[cfg(test)]
mod stage;
pub mod store;

use self::consumers::ConsumerManager;
use self::delay_level::DelayLevels;
use self::pull::Holds;
use self::rebalance_lock::RebalanceLockManager;
use self::store::BrokerDisk;
use self::store::offsets::ConsumerOffsets;
use crate::base::draw::{Luck, Purpose};
use crate::base::ids::{Addr, BrokerName, MessageQueue, TopicId};
use crate::base::names::Names;
use crate::base::time::{MS, SEC};
use crate::contract::note::{ForgetWhy, Note};
use crate::contract::{Admin, Conn, Env, Now, Op, Out, Port, WorkClass};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::protocol::{Answer, Body, Frame, Request, answer_code};
use crate::rocketmq::remoting::client::{ConnNumbers, RemotingClient, RemotingSettings};
use crate::rocketmq::remoting::server::{Channels, Pool};
use crate::rocketmq::remoting::timers::{Timers, grid};
use crate::rocketmq::settings::{BrokerRole, BrokerSettings, Rules};
use std::collections::VecDeque;
use std::sync::Arc;

/// Everything a broker is configured with.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub names: Arc<Names>,
    pub broker: BrokerName,
    pub broker_id: u64,
    pub addr: Addr,
    pub nameservers: Arc<[Addr]>,
    pub settings: BrokerSettings,
    pub rules: Rules,
    pub cpus: u32,
    /// Its place in a DLedger group (`enableDLegerCommitLog`).
    pub dledger: Option<ha::group::Members>,
}

/// Which pool works a request off (`BrokerController#registerProcessor`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PoolKind {
    Send,
    Pull,
    Heartbeat,
    ClientManage,
    ConsumerManage,
    Admin,
    /// `publicExecutor` of DLedger's own server (`DLedgerRpcNettyService`, DLedger 0.3.1.2): every request of a peer.
    DLedger,
}

const POOLS: usize = 7;

/// A request on its way through the broker.
#[derive(Clone, Debug)]
struct Job {
    conn: Conn,
    serial: u32,
    opaque: u32,
    luck: Luck,
    oneway: bool,
    pool: PoolKind,
    request: Request,
    /// The first run of a pull may be held; a woken one may not.
    may_suspend: bool,
}

/// An event of the Netty event thread.
#[derive(Clone, Copy, Debug)]
struct ChannelEvent {
    conn: Conn,
    serial: u32,
    why: ForgetWhy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Register,
    PersistOffsets,
    Housekeeping,
    HoldCheck,
    Reput,
    Flush,
    FlushWatch,
    Commit,
    FastFailure,
    Delay,
    PersistDelay,
    /// The writer of a slave's connection looks at the log.
    HaLook(Conn),
    GroupTransfer,
    BecomeMaster,
    HaClient,
    SlaveSync,
    Clean,
    /// A pull that was held up on its way to the park is parked: its number among those.
    Park(u32),
}

/// `BrokerController` (4.9.8).
#[derive(Clone, Debug)]
pub struct Broker {
    config: Arc<BrokerConfig>,
    channels: Channels,
    pools: [Pool<Job>; POOLS],
    jobs: Vec<Option<Job>>,
    free_jobs: Vec<u32>,
    events: Pool<ChannelEvent>,
    event_now: Option<ChannelEvent>,
    conns: ConnNumbers,
    outer: RemotingClient<registration::Outer>,
    registration: registration::Registrations,
    consumers: ConsumerManager,
    locks: RebalanceLockManager,
    /// Live consumer offsets.
    offsets: ConsumerOffsets,
    offsets_dirty: bool,
    holds: Holds,
    levels: DelayLevels,
    schedule: schedule::ScheduleService,
    flusher: flush::Flusher,
    puts: puts::Puts,
    cleaner: clean::Cleaner,
    ha: ha::MasterSlave,
    group: Option<Box<ha::group::Group>>,
    /// What it is at present: settings give it, a DLedger group changes it.
    role: BrokerRole,
    broker_id: u64,
    sync: slave_sync::SlaveSynchronize,
    /// Next queue offset by consume queue (`CommitLog.topicQueueTable`).
    next_offsets: Vec<u64>,
    /// Jobs that wait for the put lock, the first one holding it, and since when (wall ms) it is held.
    put_lock: VecDeque<u32>,
    put_lock_since_ms: i64,
    timers: Timers<Tick>,
    reput_set: bool,
    hold_check_set: bool,
    fast_failure_set: bool,
    offsets_persist_set: bool,
    phase: u64,
    draws: u64,
    stopping: bool,
    topics: SystemTopics,
    /// A held race: how long a pull that found nothing takes to be parked, ns.
    pull_suspend_pause: u64,
}

/// Built-in topics by id, looked up once.
#[derive(Clone, Debug, Default)]
struct SystemTopics {
    schedule: Option<TopicId>,
    /// Topics that no client may send to.
    forbidden: Vec<TopicId>,
}

impl SystemTopics {
    fn of(names: &Names) -> Self {
        let forbidden =
            super::client::producer::validators::NOT_ALLOWED_SEND_TOPICS.iter().filter_map(|name| names.topic(name)).collect();
        SystemTopics { schedule: names.topic("SCHEDULE_TOPIC_XXXX"), forbidden }
    }
}

/// The remoting that calls nameservers and, from a slave, the master.
const OUTER: RemotingSettings =
    RemotingSettings { connect_timeout_ms: 3_000, idle_ns: 120 * SEC, close_if_timeout: true, port: Port::Main };

/// The id of a broker whose group has given it no role yet: -1 (`BrokerStartup#createBrokerController`).
const NO_ID: u64 = u64::MAX;

/// The ticket of the event thread's work; jobs count from 0.
const EVENT_TICKET: u32 = u32::MAX;

impl Broker {
    /// The process before its first input.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        let s = &config.settings;
        let cpus = config.cpus as u64;
        let or = |set: u64, default: u64| if set > 0 { set as u32 } else { default as u32 };
        let pools = [
            Pool::new(or(s.send_message_thread_pool_nums, cpus.min(4)), s.send_thread_pool_queue_capacity),
            Pool::new(or(s.pull_message_thread_pool_nums, 16 + 2 * cpus), s.pull_thread_pool_queue_capacity),
            Pool::new(or(s.heartbeat_thread_pool_nums, cpus.min(32)), 50_000),
            Pool::new(32, 1_000_000),
            Pool::new(32, 1_000_000),
            Pool::new(16, 1_000_000),
            Pool::new(4, u64::MAX),
        ];
        let levels = DelayLevels::parse(&s.message_delay_level).unwrap_or_default();
        let start = Now { mono: 0, wall_ms: 0 };
        Broker {
            channels: Channels::new(s.server_channel_max_idle_time_seconds * SEC),
            pools,
            jobs: Vec::new(),
            free_jobs: Vec::new(),
            events: Pool::new(1, u64::MAX),
            event_now: None,
            conns: ConnNumbers::default(),
            outer: RemotingClient::new(0, OUTER, config.nameservers.clone(), 0, start),
            registration: Default::default(),
            consumers: ConsumerManager::default(),
            locks: RebalanceLockManager::new(s.rebalance_lock_max_live_time as i64),
            offsets: ConsumerOffsets::default(),
            offsets_dirty: false,
            holds: Holds::default(),
            schedule: schedule::ScheduleService::default(),
            flusher: flush::Flusher::default(),
            puts: puts::Puts::default(),
            cleaner: clean::Cleaner::default(),
            ha: ha::MasterSlave::default(),
            group: None,
            role: if config.dledger.is_some() { BrokerRole::Slave } else { s.broker_role },
            broker_id: if config.dledger.is_some() { NO_ID } else { config.broker_id },
            sync: slave_sync::SlaveSynchronize::default(),
            levels,
            next_offsets: Vec::new(),
            put_lock: VecDeque::new(),
            put_lock_since_ms: 0,
            timers: Timers::default(),
            reput_set: false,
            hold_check_set: false,
            fast_failure_set: false,
            offsets_persist_set: false,
            phase: 0,
            draws: 0,
            stopping: false,
            topics: SystemTopics::of(&config.names),
            pull_suspend_pause: 0,
            config,
        }
    }

    /// Loses the lock table, as no broker does: a bug for tests to plant.
    #[doc(hidden)]
    pub fn forget_locks(&mut self) {
        self.locks = RebalanceLockManager::new(self.config.settings.rebalance_lock_max_live_time as i64);
    }

    /// Waits for no slave any more, as no SYNC_MASTER does: a bug for tests to plant.
    #[doc(hidden)]
    pub fn answer_early(&mut self) {
        self.role = BrokerRole::AsyncMaster;
    }

    fn luck(&mut self, env: &Env<'_, NodeDisk, BatchPool>) -> Luck {
        self.draws += 1;
        env.luck(Purpose::Request, (env.life as u64) << 40 | self.draws)
    }

    /// The first word of [`Self::luck`] alone: the way of what nobody answers.
    fn hop(&mut self, env: &Env<'_, NodeDisk, BatchPool>) -> u32 {
        self.draws += 1;
        env.draws.word(env.entity, Purpose::Request, (env.life as u64) << 40 | self.draws)
    }

    /// A fixed-rate moment: the phase of this life plus whole periods.
    fn grid(&self, now: Now, period_ms: u64) -> u64 {
        grid(now.mono + 1, self.phase, period_ms * MS)
    }

    // ---- life

    #[cold]
    fn start(&mut self, cx: &mut Cx<'_, '_>) {
        self.outer = RemotingClient::new(0, OUTER, self.config.nameservers.clone(), 0, cx.now);
        self.phase = cx.now.mono;
        self.load(cx);
        self.flush_start(cx);
        self.clean_start(cx);
        let now = cx.now.mono;
        let first = |after_ms: u64| now + after_ms * MS;
        self.timers.set(first(10_000), Tick::Register);
        self.timers.set(first(10_000), Tick::Housekeeping);
        self.timers.set(first(self.config.settings.flush_delay_offset_interval), Tick::PersistDelay);
        if self.config.dledger.is_some() {
            // It is registered as soon as it has a role.
            return self.group_start(cx);
        }
        if self.writable() {
            self.schedule_start(cx);
        } else {
            self.ha_client_start(cx);
            self.sync_start(cx);
        }
        self.register_all(cx);
    }

    /// Builds the state of this life from the disk (`DefaultMessageStore#load`, `ConfigManager#load`).
    #[cold]
    fn load(&mut self, cx: &mut Cx<'_, '_>) {
        for (topic, queue_id, from) in std::mem::take(&mut cx.env.disk.broker.discarded) {
            let (queue, log) = (self.queue_of(topic, queue_id), cx.env.disk.broker.log.identity);
            // The queue's records are the master's; a slave that loses some has lost copies.
            if self.writable() {
                cx.out.note(Note::Truncated { queue, log, from });
            }
        }
        let disk = &mut cx.env.disk.broker;
        let upto = disk.log.ends.written;
        let walk = disk.walk(self.config.dledger.is_some());
        cx.out.note(Note::Recovered { upto, buffered: flush::pooled(&self.config.settings), walk });
        disk.files.opened(cx.now.mono);
        if self.config.dledger.is_some() {
            disk.open_queues(&self.config.settings, cx.now.mono);
        }
        if self.writable() {
            cx.out.note(Note::Serving { upto });
        }
        self.ensure_system_topics(disk, cx.now);
        while disk.dispatch_next(u64::MAX).is_some() {}
        disk.correct_min_offsets(&self.config.settings);
        self.next_offsets = disk.queues().iter().map(|q| q.max()).collect();
        self.offsets = disk.offsets_file.load().cloned().unwrap_or_default();
        disk.offsets_file.every = self.config.settings.flush_consumer_offset_interval * MS;
    }

    /// Topics that `TopicConfigManager` creates at construction (server spec 2.5).
    fn ensure_system_topics(&self, disk: &mut BrokerDisk, now: Now) {
        use crate::rocketmq::route::TopicConfig;
        let s = &self.config.settings;
        let names = &self.config.names;
        let queues = s.default_topic_queue_nums as u32;
        let built_in = [
            ("TBW102", queues, 7, s.auto_create_topic_enable),
            ("SELF_TEST_TOPIC", 1, 6, true),
            ("BenchmarkTest", 1024, 6, true),
            ("OFFSET_MOVED_EVENT", 1, 6, true),
            ("SCHEDULE_TOPIC_XXXX", self.levels.max_level() as u32, 6, true),
        ];
        for (name, nums, perm, wanted) in built_in {
            if let Some(topic) = names.topic(name)
                && wanted
                && !disk.topics.contains_key(&topic)
            {
                disk.topics.insert(topic, TopicConfig { read: nums, write: nums, perm });
                disk.topics_version = disk.topics_version.next(now.wall_ms);
            }
        }
    }

    // ---- requests

    fn pool_of(request: &Request) -> PoolKind {
        match request {
            Request::Send(_) | Request::SendBatch(..) | Request::SendBack { .. } => PoolKind::Send,
            Request::Pull(_) => PoolKind::Pull,
            Request::Heartbeat(_) => PoolKind::Heartbeat,
            Request::UnregisterClient { .. } => PoolKind::ClientManage,
            Request::QueryOffset { .. } | Request::UpdateOffset { .. } | Request::ConsumerList { .. } => PoolKind::ConsumerManage,
            Request::DLedger(_) => PoolKind::DLedger,
            _ => PoolKind::Admin,
        }
    }

    fn on_request(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: Frame) {
        let Frame { opaque, luck, body } = frame;
        let Body::Request { oneway, request } = body else { return };
        let Some(serial) = self.channels.serial(conn) else { return };
        self.channels.touch(conn, cx.now.mono);
        let pool = Self::pool_of(&request);
        let job = Job { conn, serial, opaque, luck, oneway, pool, request, may_suspend: true };
        if pool == PoolKind::Send && self.page_cache_busy(cx.now) {
            return self.refuse_busy(cx, &job);
        }
        self.offer(cx, job);
    }

    fn offer(&mut self, cx: &mut Cx<'_, '_>, job: Job) {
        let pool = &mut self.pools[job.pool as usize];
        if pool.take_worker() {
            return self.begin(cx, job);
        }
        match pool.queue(job, cx.now.mono) {
            Ok(()) => self.watch_queues(cx.now),
            Err(job) => self.refuse_busy(cx, &job),
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_, '_>, job: Job) {
        let class = match job.pool {
            PoolKind::Send => WorkClass::Send,
            PoolKind::Pull => WorkClass::Pull,
            PoolKind::Heartbeat => WorkClass::Heartbeat,
            _ => WorkClass::Manage,
        };
        let word = job.luck.service();
        let ticket = match self.free_jobs.pop() {
            Some(i) => {
                self.jobs[i as usize] = Some(job);
                i
            }
            None => {
                self.jobs.push(Some(job));
                self.jobs.len() as u32 - 1
            }
        };
        cx.out.work(ticket, class, word);
    }

    fn take_job(&mut self, ticket: u32) -> Option<Job> {
        let job = self.jobs.get_mut(ticket as usize)?.take()?;
        self.free_jobs.push(ticket);
        Some(job)
    }

    /// A worker is done with its job: it takes the next one.
    fn free_worker(&mut self, cx: &mut Cx<'_, '_>, pool: PoolKind) {
        if let Some(next) = self.pools[pool as usize].done() {
            self.begin(cx, next);
        }
    }

    fn worked(&mut self, cx: &mut Cx<'_, '_>, ticket: u32) {
        match ticket {
            EVENT_TICKET => return self.channel_event_done(cx),
            flush::FSYNC_TICKET => return self.flushed(cx),
            ticket if self.group_resumed(cx, ticket) => return,
            _ => {}
        }
        let Some(Some(job)) = self.jobs.get(ticket as usize) else { return };
        if job.pool == PoolKind::Send {
            // Appends happen one at a time, under the put lock; with a healthy disk nobody ever waits for it.
            self.put_lock.push_back(ticket);
            if self.put_lock.len() == 1 {
                self.put_lock_since_ms = cx.now.wall_ms;
            }
            return self.drain_put_lock(cx);
        }
        let Some(job) = self.take_job(ticket) else { return };
        let pool = job.pool;
        self.execute(cx, job);
        self.free_worker(cx, pool);
    }

    fn drain_put_lock(&mut self, cx: &mut Cx<'_, '_>) {
        while !cx.env.disk.broker.stalled {
            let Some(ticket) = self.put_lock.pop_front() else { return };
            self.put_lock_since_ms = cx.now.wall_ms;
            if let Some(job) = self.take_job(ticket) {
                self.execute(cx, job);
                self.free_worker(cx, PoolKind::Send);
            }
        }
        self.watch_queues(cx.now);
    }

    /// Acts on a request whose work is done and answers it.
    fn execute(&mut self, cx: &mut Cx<'_, '_>, mut job: Job) {
        let request = std::mem::replace(&mut job.request, Request::ConsumerList { group: crate::base::ids::GroupId(0) });
        let answer = match request {
            Request::Send(send) => {
                let answer = self.send_message(cx, &send, None);
                let waits = send.message.waits();
                cx.env.pool.unbox(send);
                return self.answer_put(cx, job, answer, waits);
            }
            Request::SendBatch(send, rest) => {
                let answer = self.send_message(cx, &send, Some(&rest));
                return self.answer_put(cx, job, answer, send.message.waits());
            }
            Request::SendBack { group, phys, delay_level, max_reconsume_times, origin } => {
                let answer = self.consumer_send_msg_back(cx, group, phys, delay_level, max_reconsume_times, &origin);
                if self.group.is_some() && answer.code() == answer_code::SUCCESS {
                    let put = self.keep_put(job, answer, 1, answer_code::SUCCESS);
                    return self.await_quorum(cx, ha::group::Waiter::Put(put));
                }
                answer
            }
            Request::Pull(pull) => {
                job.request = Request::Pull(pull);
                return self.pull_message(cx, job, pull);
            }
            Request::Heartbeat(data) => self.heartbeat(cx, job.conn, job.serial, &data),
            Request::UnregisterClient { client_id: _, producer: _, consumer } => {
                if let Some(group) = consumer {
                    self.unregister_consumer(cx, job.conn, job.serial, group);
                }
                Answer::Code(answer_code::SUCCESS)
            }
            Request::ConsumerList { group } => match self.consumers.members(group, self.config.rules.member_list_keeps_doubles) {
                Some(list) => Answer::Members(list),
                None => Answer::Code(answer_code::SYSTEM_ERROR),
            },
            Request::QueryOffset { group, queue } => self.query_offset(cx, group, queue),
            Request::UpdateOffset { group, queue, offset } => {
                self.commit_offset(cx, group, queue, offset, crate::contract::note::CommitBy::Update);
                Answer::Code(answer_code::SUCCESS)
            }
            Request::MaxOffset { queue } => Answer::Offset(self.max_offset(cx, queue)),
            Request::SearchOffset { queue, timestamp_ms } => Answer::Offset(self.search_offset(cx, queue, timestamp_ms)),
            Request::LockBatch { group, client_id, queues } => {
                let granted = self.locks.try_lock_batch(group, &client_id, &queues, cx.now.wall_ms);
                for queue in &granted {
                    cx.out.note(Note::LockGranted { group, queue: *queue, client: client_id.clone() });
                }
                Answer::Locked(granted.into())
            }
            Request::UnlockBatch { group, client_id, queues } => {
                for queue in self.locks.unlock_batch(group, &client_id, &queues) {
                    cx.out.note(Note::LockReleased { group, queue, client: client_id.clone() });
                }
                Answer::Code(answer_code::SUCCESS)
            }
            Request::All(kind) => self.all(cx, kind),
            Request::DLedger(rpc) => return self.on_group_request(cx, &job, *rpc),
            Request::NotifyConsumerIdsChanged { .. }
            | Request::Register(_)
            | Request::Unregister { .. }
            | Request::Route { .. } => Answer::Code(answer_code::REQUEST_CODE_NOT_SUPPORTED),
        };
        self.respond(cx, &job, answer);
    }

    fn respond(&mut self, cx: &mut Cx<'_, '_>, job: &Job, answer: Answer) {
        if job.oneway || !self.channels.is_open(job.conn, job.serial) {
            if let Answer::Pulled { messages, .. } = answer {
                cx.env.pool.give(messages);
            }
            return;
        }
        self.channels.touch(job.conn, cx.now.mono);
        let bytes = answer.bytes();
        cx.out.write(
            job.conn,
            Frame { opaque: job.opaque, luck: job.luck, body: Body::Answer(answer) },
            bytes,
            job.luck.inbound(),
        );
    }

    #[cold]
    fn refuse_busy(&mut self, cx: &mut Cx<'_, '_>, job: &Job) {
        cx.out.note(Note::Busy { code: answer_code::SYSTEM_BUSY });
        self.respond(cx, job, Answer::Code(answer_code::SYSTEM_BUSY));
    }

    // ---- channel events: NettyEventExecutor, one thread

    #[cold]
    fn channel_gone(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, why: ForgetWhy) {
        let Some(serial) = self.channels.gone(conn, why) else { return };
        if let Ok(Some(event)) = self.events.offer(ChannelEvent { conn, serial, why }, cx.now.mono) {
            self.begin_event(cx, event);
        }
    }

    fn begin_event(&mut self, cx: &mut Cx<'_, '_>, event: ChannelEvent) {
        self.event_now = Some(event);
        let word = self.luck(cx.env).service();
        cx.out.work(EVENT_TICKET, WorkClass::ChannelEvent, word);
    }

    #[cold]
    fn channel_event_done(&mut self, cx: &mut Cx<'_, '_>) {
        if let Some(event) = self.event_now.take() {
            self.consumer_channel_event(cx, event.conn, event.serial, event.why);
        }
        if let Some(next) = self.events.done() {
            self.begin_event(cx, next);
        }
    }

    // ---- timers

    fn tick(&mut self, cx: &mut Cx<'_, '_>, tick: Tick, nominal: u64) {
        let s = &self.config.settings;
        match tick {
            Tick::Register => {
                let period = s.register_name_server_period.clamp(10_000, 60_000);
                self.timers.set(nominal + period * MS, Tick::Register);
                self.register_periodically(cx);
            }
            Tick::Housekeeping => {
                self.timers.set(nominal + 10 * SEC, Tick::Housekeeping);
                self.scan_not_active_channels(cx);
            }
            Tick::PersistOffsets => {
                self.offsets_persist_set = false;
                cx.env.disk.broker.persist_offsets(&self.offsets, cx.now.mono);
                self.offsets_dirty = false;
            }
            Tick::HoldCheck => {
                self.hold_check_set = false;
                self.check_holds(cx);
            }
            Tick::Flush => self.flush_tick(cx),
            Tick::FlushWatch => self.flush_watch(cx),
            Tick::Commit => self.commit_tick(cx),
            Tick::Reput => {
                self.reput_set = false;
                self.reput(cx);
            }
            Tick::FastFailure => self.fast_failure(cx),
            Tick::HaLook(conn) => self.ha_look(cx, conn),
            Tick::GroupTransfer => self.group_transfer_tick(cx),
            Tick::BecomeMaster => self.become_master(cx),
            Tick::HaClient => self.ha_client_tick(cx),
            Tick::SlaveSync => self.slave_sync_tick(cx, nominal),
            Tick::Clean => self.clean_tick(cx),
            Tick::Park(number) => self.park_held_up(cx, number),
            Tick::Delay => self.deliver_delayed(cx, nominal),
            Tick::PersistDelay => {
                self.timers.set(nominal + s.flush_delay_offset_interval * MS, Tick::PersistDelay);
                self.persist_delays(cx);
            }
        }
    }

    /// Offsets changed: they will be written with the next turn of the 5 s timer (first after 10 s).
    fn offsets_changed(&mut self, now: Now) {
        self.offsets_dirty = true;
        if !self.offsets_persist_set {
            self.offsets_persist_set = true;
            let at = grid(now.mono + 1, self.phase + 10 * SEC, self.config.settings.flush_consumer_offset_interval.max(1) * MS);
            self.timers.set(at, Tick::PersistOffsets);
        }
    }

    #[cold]
    fn admin(&mut self, cx: &mut Cx<'_, '_>, admin: Admin) {
        match admin {
            Admin::UpdateTopic { topic, read, write, perm } => self.update_topic(cx, topic, read, write, perm),
            Admin::HoldPullSuspend { pause } => self.pull_suspend_pause = pause,
            Admin::WipeWritePerm { .. } | Admin::AddWritePerm { .. } => {}
        }
    }

    #[cold]
    fn stop(&mut self, cx: &mut Cx<'_, '_>) {
        // The JVM runs its shutdown hooks once, however often it is asked.
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        if self.unregister_all(cx) == 0 {
            self.exit(cx);
        }
    }

    /// The end of `BrokerController#shutdown`: the log is flushed, offsets are written, then the process is gone.
    #[cold]
    fn exit(&mut self, cx: &mut Cx<'_, '_>) {
        self.flush_all(cx);
        cx.env.disk.broker.flush_queues(cx.now.mono);
        cx.env.disk.broker.files.closed();
        cx.env.disk.broker.persist_offsets(&self.offsets, cx.now.mono);
        self.persist_delays(cx);
        cx.out.ops.push(Op::Exit);
    }

    fn queue_of(&self, topic: TopicId, queue_id: u16) -> MessageQueue {
        MessageQueue { topic, broker: self.config.broker, queue_id: queue_id as i32 }
    }
}

/// What a call lends to the rooms of this broker.
pub(super) struct Cx<'a, 'e> {
    pub(super) now: Now,
    pub(super) env: &'a mut Env<'e, NodeDisk, BatchPool>,
    pub(super) out: &'a mut Out<Frame>,
}
