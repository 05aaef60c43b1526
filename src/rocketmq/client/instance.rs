//! `MQClientInstance` (4.9.8): the threads, timers and tables that the producers and consumers of one client id share.
//!
//! Java's threads are data here. A [`Thread`] holds a small stack of [`Op`]s; an op says where its code stands and waits for exactly one thing. An
//! [`Executor`] is one FIFO and k threads; the scheduled executor, the rebalance thread and the pull thread are executors of one thread, so
//! a request that blocks one of them delays everything behind it, as it does there.

mod threads;

use self::threads::Executor;
pub(in crate::rocketmq) use self::threads::Round;
pub(in crate::rocketmq::client) use self::threads::{ChannelEvent, Exec, Thread, ThreadId};
use super::broker_addrs::BrokerAddrs;
use super::by_topic::ByTopic;
use super::config::{ClientConfig, ConsumerConfig, ProducerConfig};
use super::consumer::Consumer;
use super::ops::{Op, Ret, Step};
use super::producer::Producer;
use super::producer::fault_strategy::BrokerHashes;
use crate::base::draw::{Luck, Purpose};
use crate::base::ids::{Addr, BrokerName, Entity, MessageId, TopicId};
use crate::base::time::{MS, SEC};
use crate::contract::note::Note;
use crate::contract::{Conn, Deadline, Env, Now, Out, WorkClass};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::{BatchPool, Message};
use crate::rocketmq::protocol::{Answer, Frame, Request};
use crate::rocketmq::remoting::client::{ConnNumbers, Done, Invoke, Net, RemotingClient, RemotingSettings, RpcError, Target};
use crate::rocketmq::remoting::timers::Timers;
use crate::rocketmq::route::TopicRouteData;
use crate::rocketmq::settings::InstanceSettings;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// A mutual exclusion with a queue of waiting threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Mutex {
    holder: Option<ThreadId>,
    waiters: VecDeque<ThreadId>,
}

/// Locks that threads of an instance wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockId {
    /// `lockNamesrv`: around each route update.
    Route,
    /// `MessageQueueLock` of one queue: consumer, process queue.
    Queue(u16, u32),
    /// `ProcessQueue.consumeLock`.
    Consume(u16, u32),
}

/// The instance's fixed-rate tasks (`MQClientInstance#startScheduledTask`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    PollRoutes,
    Heartbeat,
    PersistOffsets,
}

#[derive(Clone, Debug)]
pub(super) enum Tick {
    Periodic(Task),
    RebalanceWait(u32),
    /// A thread's sleep or timed wait is over.
    Wait(ThreadId, u32),
    PullLater(u16, u32),
    ConsumeLater(u16, u32, Box<[Message]>),
    OrderlyLater(u16, u32),
    TryLockLater(u16, u32),
    UnlockLater(u16, crate::base::ids::MessageQueue),
    LockAll(u16),
    OffsetFix(u16, u32, u64),
    CleanExpired(u16),
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Thread(ThreadId),
    Pull(u16, u32),
    AsyncSend(u32),
}

/// `ServiceState`, without START_FAILED: what throws in Java between it and RUNNING (no nameserver address, a broken listener) cannot be written
/// in a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ServiceState {
    #[default]
    CreateJust,
    Running,
    ShutdownAlready,
}

/// What a call lends.
pub(super) struct Cx<'a, 'e> {
    pub(super) now: Now,
    pub(super) env: &'a mut Env<'e, NodeDisk, BatchPool>,
    pub(super) out: &'a mut Out<Frame>,
    pub(super) conns: &'a mut ConnNumbers,
}

impl Cx<'_, '_> {
    pub(super) fn net(&mut self) -> Net<'_> {
        Net { now: self.now, out: self.out, conns: self.conns }
    }
}

/// `MQClientInstance`. What every event touches lies together in front: with thousands of clients none of it is in a cache when an event comes.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Instance {
    pub(super) timers: Timers<Tick>,
    threads: Vec<Thread>,
    /// By [`Exec::place`].
    executors: Vec<Executor>,
    pub(super) config: Arc<ClientConfig>,
    pub(super) producers: Vec<Producer>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) pull_queue: VecDeque<(u16, u32)>,
    pub(super) pull_blocked: bool,
    /// The pull thread has the processor.
    pub(super) pull_awake: bool,
    /// When the last of the pulls comes that wait in the delay executor of `PullMessageService`; over if it is past.
    pub(super) pulls_put_off_until: u64,
    pub(super) number: u16,
    pub(super) life: u32,
    pub(super) entity: Entity,
    wakes: u64,
    /// brokerAddrTable.
    pub(super) addrs: BrokerAddrs,
    /// Its own rare parts stand behind.
    pub(super) remoting: RemotingClient<Token>,
    pub(super) draws: u64,
    /// topicRouteTable, by topic.
    pub(super) routes: ByTopic<Arc<TopicRouteData>>,
    channel_events: VecDeque<ChannelEvent>,
    pub(super) state: ServiceState,
    pub(super) heartbeat_busy: bool,
    rebalance_notified: bool,
    rebalance_running: bool,
    rebalance_wait: u32,
    route_lock: Mutex,
    pub(super) settings: InstanceSettings,
    pub(super) client_id: Arc<str>,
    pub(super) heartbeat_cache: Option<Arc<crate::rocketmq::protocol::HeartbeatData>>,
    pub(super) async_sends: Vec<Option<super::producer::AsyncSend>>,
    pub(super) free_async_sends: Vec<u32>,
}

impl Instance {
    pub(super) fn new(
        number: u16,
        config: Arc<ClientConfig>,
        settings: InstanceSettings,
        client_id: Arc<str>,
        cx: &Cx<'_, '_>,
    ) -> Self {
        let entity = cx.env.entity.with(number as u64);
        let remoting = RemotingSettings {
            port: crate::contract::Port::Main,
            connect_timeout_ms: settings.connect_timeout_millis,
            idle_ns: settings.client_channel_max_idle_time_seconds * SEC,
            close_if_timeout: settings.client_close_socket_if_timeout,
        };
        // updateNameServerAddressList shuffles, namesrvIndex starts at random: together a uniform first choice.
        let first = cx.env.draws.below(entity, Purpose::Choice, (cx.env.life as u64) << 40, 999);
        let nameservers = config.nameservers.clone();
        Instance {
            number,
            settings,
            client_id,
            entity,
            state: ServiceState::CreateJust,
            remoting: RemotingClient::new(number, remoting, nameservers, first, cx.now)
                .with_late_waiters(config.threads_resume_late),
            routes: ByTopic::default(),
            config,
            addrs: BrokerAddrs::default(),
            producers: Vec::new(),
            consumers: Vec::new(),
            threads: Vec::new(),
            executors: Vec::new(),
            timers: Timers::default(),
            route_lock: Mutex::default(),
            heartbeat_busy: false,
            rebalance_notified: false,
            rebalance_running: false,
            rebalance_wait: 0,
            pull_queue: VecDeque::new(),
            pull_blocked: false,
            pull_awake: false,
            pulls_put_off_until: 0,
            wakes: 0,
            channel_events: VecDeque::new(),
            draws: 0,
            life: cx.env.life,
            heartbeat_cache: None,
            async_sends: Vec::new(),
            free_async_sends: Vec::new(),
        }
    }

    /// `MQClientInstance#start`.
    pub(super) fn start(&mut self, cx: &mut Cx<'_, '_>) {
        if self.state != ServiceState::CreateJust {
            return;
        }
        let first = [(Task::PollRoutes, 10), (Task::Heartbeat, 1_000), (Task::PersistOffsets, 10_000)];
        for (task, after_ms) in first {
            self.timers.set(cx.now.mono + after_ms * MS, Tick::Periodic(task));
        }
        self.rebalance_wait_begin(cx.now);
        self.state = ServiceState::Running;
    }

    fn period(&self, task: Task) -> u64 {
        let ms = match task {
            Task::PollRoutes => self.settings.poll_name_server_interval,
            Task::Heartbeat => self.settings.heartbeat_broker_interval,
            Task::PersistOffsets => self.settings.persist_consumer_offset_interval,
        };
        ms.max(1) * MS
    }

    /// A draw for a request that belongs to no message.
    pub(super) fn luck(&mut self, cx: &Cx<'_, '_>) -> Luck {
        self.draws += 1;
        cx.env.draws.luck(self.entity, Purpose::Request, (self.life as u64) << 40 | self.draws)
    }

    /// A uniform choice among `bound`.
    pub(super) fn choose(&mut self, cx: &Cx<'_, '_>, bound: usize) -> usize {
        self.draws += 1;
        cx.env.draws.below(self.entity, Purpose::Choice, (self.life as u64) << 40 | self.draws, bound as u64) as usize
    }

    // ---- what an op may wait for

    /// A request on whose answer the thread waits.
    pub(super) fn rpc(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, target: Target, request: Request, timeout_ms: u64) -> Step {
        let luck = self.luck(cx);
        self.rpc_with(cx, t, Invoke::Sync, target, request, timeout_ms, luck)
    }

    /// A oneway request; the thread waits until it is written, which includes a connect.
    pub(super) fn oneway(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, target: Target, request: Request, timeout_ms: u64) -> Step {
        let luck = self.luck(cx);
        self.rpc_with(cx, t, Invoke::Oneway, target, request, timeout_ms, luck)
    }

    #[allow(clippy::too_many_arguments, reason = "a call is these seven things")]
    pub(super) fn rpc_with(
        &mut self,
        cx: &mut Cx<'_, '_>,
        t: ThreadId,
        invoke: Invoke,
        target: Target,
        request: Request,
        timeout_ms: u64,
        luck: Luck,
    ) -> Step {
        self.remoting.call(&mut cx.net(), invoke, target, request, timeout_ms, luck, Token::Thread(t));
        Step::Block
    }

    /// The thread sleeps, or waits at most this long.
    pub(super) fn sleep(&mut self, cx: &Cx<'_, '_>, t: ThreadId, ns: u64) -> Step {
        let thread = &mut self.threads[t as usize];
        thread.waits += 1;
        let waits = thread.waits;
        self.timers.set(cx.now.mono + ns, Tick::Wait(t, waits));
        Step::Block
    }

    fn mutex(&mut self, lock: LockId) -> &mut Mutex {
        match lock {
            LockId::Route => &mut self.route_lock,
            LockId::Queue(c, p) => self.consumers[c as usize].queue_mutex(p),
            LockId::Consume(c, p) => &mut self.consumers[c as usize].pqs[p as usize].consume_lock,
        }
    }

    /// `tryLock(timeout)` (or `lock`, without one): `Ret::Lock` says whether it was got.
    pub(super) fn lock(&mut self, cx: &Cx<'_, '_>, t: ThreadId, lock: LockId, timeout_ms: Option<u64>) -> Option<bool> {
        let mutex = self.mutex(lock);
        if mutex.holder.is_none() {
            mutex.holder = Some(t);
            return Some(true);
        }
        if timeout_ms == Some(0) {
            return Some(false);
        }
        mutex.waiters.push_back(t);
        if let Some(ms) = timeout_ms {
            let _ = self.sleep(cx, t, ms * MS);
        }
        None
    }

    /// Gives a lock up; the first waiter gets it.
    pub(super) fn unlock(&mut self, cx: &mut Cx<'_, '_>, lock: LockId) {
        let mutex = self.mutex(lock);
        mutex.holder = mutex.waiters.pop_front();
        if let Some(next) = mutex.holder {
            self.threads[next as usize].waits += 1;
            self.resume(cx, next, Ret::Lock(true));
        }
    }

    /// A timed wait for a lock ended without it.
    fn leave_lock_queue(&mut self, t: ThreadId) -> bool {
        let mut queues: Vec<&mut Mutex> = vec![&mut self.route_lock];
        for consumer in &mut self.consumers {
            queues.extend(consumer.mutexes());
        }
        for mutex in queues {
            if let Some(at) = mutex.waiters.iter().position(|w| *w == t) {
                mutex.waiters.remove(at);
                return true;
            }
        }
        false
    }

    // ---- timers

    fn tick(&mut self, cx: &mut Cx<'_, '_>, tick: Tick, nominal: u64) {
        match tick {
            Tick::Periodic(task) => self.submit(cx, Exec::Scheduler, Op::periodic(task, nominal)),
            Tick::RebalanceWait(wait) => {
                if wait == self.rebalance_wait && !self.rebalance_running {
                    self.rebalance_begin(cx, false);
                }
            }
            Tick::Wait(t, waits) => {
                if self.threads[t as usize].waits == waits {
                    let ret = if self.leave_lock_queue(t) { Ret::Lock(false) } else { Ret::Slept };
                    self.resume(cx, t, ret);
                }
            }
            Tick::PullLater(c, p) => self.pull_queue.push_back((c, p)),
            Tick::ConsumeLater(c, p, messages) => {
                self.submit_concurrent(cx, c, p, messages.into_vec().into());
            }
            Tick::OrderlyLater(c, p) => {
                self.submit_orderly(cx, c, p, WorkClass::HandOver);
            }
            Tick::TryLockLater(c, p) => self.submit(cx, Exec::ConsumeSchedule(c), Op::try_lock_later(c, p)),
            Tick::UnlockLater(c, mq) => self.submit(cx, Exec::Scheduler, Op::unlock(c, mq)),
            Tick::LockAll(c) => {
                if self.consumers[c as usize].state == ServiceState::Running && !self.consumers[c as usize].shutting_down {
                    self.timers.set(nominal + self.settings.rebalance_lock_interval.max(1) * MS, Tick::LockAll(c));
                    self.submit(cx, Exec::ConsumeSchedule(c), Op::lock_all(c));
                }
            }
            Tick::OffsetFix(c, p, offset) => self.submit(cx, Exec::Pull, Op::offset_fix(c, p, offset)),
            Tick::CleanExpired(c) => {
                if self.consumers[c as usize].state == ServiceState::Running {
                    let period = self.consumers[c as usize].config.settings.consume_timeout.max(1) * 60 * SEC;
                    self.timers.set(nominal + period, Tick::CleanExpired(c));
                    self.submit(cx, Exec::ConsumeSchedule(c), Op::clean_expired(c));
                }
            }
        }
    }

    /// A fixed-rate task ended: it runs again one period after its nominal time, at once if that has passed.
    pub(super) fn periodic_done(&mut self, task: Task, nominal: u64) {
        if self.state == ServiceState::Running {
            self.timers.set(nominal + self.period(task), Tick::Periodic(task));
        }
    }

    /// Does everything that is due, then runs.
    /// After a pause much is due at once. The instance's own threads are older than those that watch its channels (which begin with the first
    /// connect), so they come first and still use a channel that the idle handler is about to close.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some((nominal, tick)) = self.timers.due(cx.now.mono) {
            self.tick(cx, tick, nominal);
            self.pump(cx);
        }
        if self.remoting.is_due(cx.now) {
            self.remoting.wake(&mut cx.net());
        }
        self.pump(cx);
    }

    pub(super) fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        self.remoting.next_deadline_before(self.timers.next().unwrap_or(u64::MAX), now)
    }

    // ---- rebalance service: wait at most 20 s or a wake-up; any number of wake-ups during a pass cause one more

    fn rebalance_wait_begin(&mut self, now: Now) {
        self.rebalance_wait += 1;
        self.timers.set(now.mono + self.settings.rebalance_wait_interval.max(1) * MS, Tick::RebalanceWait(self.rebalance_wait));
    }

    /// By itself, after its wait or the pass before, or woken by another thread.
    fn rebalance_begin(&mut self, cx: &mut Cx<'_, '_>, woken: bool) {
        self.rebalance_running = true;
        self.rebalance_wait += 1;
        match woken {
            true => self.submit_woken(cx, Exec::Rebalance, Op::rebalance()),
            false => self.submit(cx, Exec::Rebalance, Op::rebalance()),
        }
    }

    /// The pass begins: wake-ups up to now were for this one (`ServiceThread#waitForRunning` clears `hasNotified` when its thread runs again).
    pub(super) fn rebalance_began(&mut self) {
        self.rebalance_notified = false;
    }

    /// `RebalanceService#wakeup`.
    pub(super) fn rebalance_immediately(&mut self, cx: &mut Cx<'_, '_>) {
        if self.rebalance_running {
            self.rebalance_notified = true;
        } else if self.state == ServiceState::Running {
            self.rebalance_begin(cx, true);
        }
    }

    pub(super) fn rebalance_done(&mut self, cx: &mut Cx<'_, '_>) {
        self.rebalance_running = false;
        if self.state != ServiceState::Running {
            return;
        }
        if self.rebalance_notified {
            self.rebalance_begin(cx, false);
        } else {
            self.rebalance_wait_begin(cx.now);
        }
    }

    // ---- tables

    pub(super) fn route(&self, topic: TopicId) -> Option<&Arc<TopicRouteData>> {
        self.routes.get(topic)
    }

    /// `findBrokerAddressInPublish`: the master or nothing.
    pub(super) fn master_addr(&self, broker: BrokerName) -> Option<Addr> {
        self.addrs.get(broker, 0)
    }

    /// `findBrokerAddressInSubscribe`: the address of `id`, else of `id + 1`, else of any; with whether it is a slave.
    pub(super) fn subscribe_addr(&self, broker: BrokerName, id: u64, only_this: bool) -> Option<(Addr, bool)> {
        let exactly = |id: u64| self.addrs.get(broker, id).map(|addr| (addr, id != 0));
        let next = || if id != 0 { exactly(id + 1) } else { None };
        let any = || self.addrs.first(broker).filter(|_| !only_this).map(|(id, addr)| (addr, id != 0));
        exactly(id).or_else(next).or_else(any)
    }

    /// `findBrokerAddrByTopic`: a uniformly random broker of the route; its master, else one of its slaves.
    pub(super) fn random_broker_addr(&mut self, cx: &Cx<'_, '_>, topic: TopicId) -> Option<Addr> {
        let route = self.route(topic)?.clone();
        if route.broker_datas.is_empty() {
            return None;
        }
        let broker = &route.broker_datas[self.choose(cx, route.broker_datas.len())];
        match broker.addrs.get(&0) {
            Some(master) => Some(*master),
            None => {
                let slaves: Vec<Addr> = broker.addrs.values().copied().collect();
                if slaves.is_empty() { None } else { Some(slaves[self.choose(cx, slaves.len())]) }
            }
        }
    }

    /// Notes a request that failed below the application.
    pub(super) fn note_failure(&self, cx: &mut Cx<'_, '_>, code: u16, error: &RpcError) {
        if let Some(to) = error.to {
            cx.out.note(Note::RpcFailed { code, to, why: error.why });
        }
    }

    pub(super) fn add_producer(&mut self, index: u16, config: Arc<ProducerConfig>) -> u16 {
        let writes = self.config.rules.writes_into_publish_list;
        let hashes = BrokerHashes::of(&self.config.names);
        self.producers.push(Producer::new(index, config, hashes, writes));
        self.heartbeat_cache = None;
        self.producers.len() as u16 - 1
    }

    pub(super) fn add_consumer(&mut self, index: u16, config: Arc<ConsumerConfig>, now: Now) -> u16 {
        self.consumers.push(Consumer::new(index, config, &self.config.names, now));
        self.heartbeat_cache = None;
        self.consumers.len() as u16 - 1
    }
}
