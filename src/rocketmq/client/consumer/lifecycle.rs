//! Start and shutdown of a push consumer.
//!
//! `DefaultMQPushConsumerImpl#start` and `#shutdown` (4.9.8; client spec 4.1 and 9.5). Start ends with a route look-up of each topic, a heartbeat and a
//! rebalance; shutdown does not wait for running listeners unless told to, then persists, unregisters and is gone.

use super::offsets::PersistAll;
use super::orderly::UnlockQueues;
use crate::base::ids::{Addr, TopicId};
use crate::base::time::{MS, SEC};
use crate::contract::note::{Note, RevokeWhy};
use crate::contract::{Op as ContractOp, WorkClass};
use crate::rocketmq::client::heartbeat::HeartbeatAll;
use crate::rocketmq::client::instance::{Cx, Exec, Instance, ServiceState, ThreadId, Tick};
use crate::rocketmq::client::ops::{Ret, Step};
use crate::rocketmq::client::route::UpdateRoute;
use crate::rocketmq::protocol::Request;
use crate::rocketmq::remoting::client::Target;

/// `start()`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct StartConsumer {
    c: u16,
    topics: Vec<TopicId>,
    next: usize,
    heartbeat: bool,
}

impl StartConsumer {
    pub(in crate::rocketmq::client) fn new(c: u16) -> Self {
        StartConsumer { c, topics: Vec::new(), next: 0, heartbeat: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        let index = i.consumers[self.c as usize].index;
        match ret {
            Ret::Go => {
                if !self.register(i, cx) {
                    cx.out.note(Note::ClientStarted { index, ok: false });
                    return Step::Done(Ret::Unit);
                }
                self.topics = i.consumers[self.c as usize].topics(&i.config.names);
            }
            // The unchecked exception leaves start() after the state is RUNNING: no heartbeat, no rebalance; the timers repair it.
            Ret::Route(Err(())) => {
                cx.out.note(Note::ClientStarted { index, ok: false });
                return Step::Done(Ret::Unit);
            }
            _ => {}
        }
        if let Some(topic) = self.topics.get(self.next) {
            self.next += 1;
            return Step::Call(UpdateRoute::of(*topic).into());
        }
        if !self.heartbeat {
            self.heartbeat = true;
            return Step::Call(HeartbeatAll::default().into());
        }
        i.rebalance_immediately(cx);
        cx.out.note(Note::ClientStarted { index, ok: true });
        Step::Done(Ret::Unit)
    }

    fn register(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>) -> bool {
        let group = i.consumers[self.c as usize].config.group;
        if i.consumers.iter().any(|other| other.registered && other.config.group == group) {
            return false;
        }
        let renew = i.settings.rebalance_lock_interval;
        let consumer = &mut i.consumers[self.c as usize];
        consumer.registered = true;
        consumer.state = ServiceState::Running;
        let (orderly, clustering) = (consumer.config.orderly, consumer.clustering());
        let clean_ns = consumer.config.settings.consume_timeout.max(1) * 60 * SEC;
        if orderly && clustering && renew > 0 {
            i.timers.set(cx.now.mono + SEC, Tick::LockAll(self.c));
        }
        if !orderly {
            i.timers.set(cx.now.mono + clean_ns, Tick::CleanExpired(self.c));
        }
        i.heartbeat_cache = None;
        i.start(cx);
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Awaiting,
    Unlocking,
    Persisting,
    Unregistering,
    /// The last of its instance loads the classes of its end and stops threads.
    Stopping,
    /// It waits for the pull service.
    Draining,
    /// It stops the rest.
    Stopped,
}

/// `shutdown()`.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct ShutdownConsumer {
    c: u16,
    stage: Stage,
    targets: Vec<Addr>,
    next: usize,
    exit: bool,
    awaited_ms: u64,
    /// The instance's own producer is what unregisters.
    inner: bool,
}

/// `PullMessageService#shutdown`: what its delay executor gets for the pulls that wait in it, ms. A pull that brings messages after the consume service has shut
/// down is one: they are rejected, that counts as a failed pull, and the next one is put off by `pullTimeDelayMillsWhenException`. With nothing put off
/// the end takes some tens of ms (12 published clients: 29 to 71 ms, or 1.03 s).
const PULL_SERVICE_DRAIN_MS: u64 = 1_000;
/// How often shutdown looks whether its listeners are done, ms.
const LOOK_MS: u64 = 10;

impl ShutdownConsumer {
    pub(in crate::rocketmq::client) fn new(c: u16, exit: bool) -> Self {
        ShutdownConsumer { c, stage: Stage::Begin, targets: Vec::new(), next: 0, exit, awaited_ms: 0, inner: false }
    }

    #[inline(never)]
    pub(in crate::rocketmq::client) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, _: Ret) -> Step {
        let consumer = &mut i.consumers[self.c as usize];
        let index = consumer.index;
        match self.stage {
            Stage::Begin => {
                if consumer.state != ServiceState::Running {
                    if self.exit {
                        cx.out.ops.push(ContractOp::Exit);
                    }
                    return Step::Done(Ret::Unit);
                }
                consumer.shutting_down = true;
                cx.out.note(Note::ShutdownBegan { index });
                self.stage = Stage::Awaiting;
                self.await_listeners(i, cx, t)
            }
            Stage::Awaiting => self.await_listeners(i, cx, t),
            Stage::Unlocking => {
                self.stage = Stage::Persisting;
                Step::Call(PersistAll::of(self.c).into())
            }
            Stage::Persisting => {
                let consumer = &mut i.consumers[self.c as usize];
                consumer.registered = false;
                i.heartbeat_cache = None;
                self.targets = i.unregister_targets();
                self.stage = Stage::Unregistering;
                self.unregister(i, cx, t)
            }
            Stage::Unregistering => self.unregister(i, cx, t),
            Stage::Stopping => {
                self.stage = Stage::Draining;
                let put_off = i.pulls_put_off_until.saturating_sub(cx.now.mono).min(PULL_SERVICE_DRAIN_MS * MS);
                i.sleep(cx, t, put_off)
            }
            Stage::Draining => {
                self.stage = Stage::Stopped;
                Instance::works(cx, t, WorkClass::Shutdown)
            }
            Stage::Stopped => self.finish(i, cx),
        }
    }

    /// `ThreadUtils.shutdownGracefully`: the pool takes nothing new, what it has is given awaitTerminationMillisWhenShutdown, then what still waits is
    /// dropped and what runs is interrupted.
    fn await_listeners(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let running = i.running(Exec::Consume(self.c));
        let wait = i.consumers[self.c as usize].config.settings.await_termination_millis_when_shutdown;
        let busy = !running.is_empty() || i.queued(Exec::Consume(self.c)) > 0;
        if busy && self.awaited_ms < wait {
            self.awaited_ms += LOOK_MS;
            return i.sleep(cx, t, LOOK_MS * MS);
        }
        i.drop_queued(Exec::Consume(self.c));
        for thread in running {
            cx.out.ops.push(ContractOp::Interrupt { ticket: (i.number as u32) << 20 | thread });
        }
        let consumer = &i.consumers[self.c as usize];
        if consumer.config.orderly && consumer.clustering() {
            self.stage = Stage::Unlocking;
            return Step::Call(UnlockQueues::all(i, self.c).into());
        }
        self.stage = Stage::Persisting;
        Step::Call(PersistAll::of(self.c).into())
    }

    fn unregister(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId) -> Step {
        let group = i.consumers[self.c as usize].config.group;
        if self.next < self.targets.len() {
            self.next += 1;
            let consumer = Some(group).filter(|_| !self.inner);
            let request = Request::UnregisterClient { client_id: i.client_id.clone(), producer: None, consumer };
            return i.rpc(cx, t, Target::Addr(self.targets[self.next - 1]), request, i.settings.mq_client_api_timeout);
        }
        // The last consumer ends its instance, and with it the producer that sends messages back (`CLIENT_INNER_PRODUCER`).
        if i.is_last() && !std::mem::replace(&mut self.inner, true) {
            self.next = 0;
            return self.unregister(i, cx, t);
        }
        let consumer = &mut i.consumers[self.c as usize];
        for p in consumer.table.values() {
            let pq = &mut consumer.pqs[*p as usize];
            if !pq.queue.dropped {
                pq.queue.dropped = true;
                cx.out.note(Note::Revoked { group, queue: pq.mq, why: RevokeWhy::Shutdown });
            }
        }
        consumer.table.clear();
        consumer.state = ServiceState::ShutdownAlready;
        if !i.is_last() {
            return self.finish(i, cx);
        }
        self.stage = Stage::Stopping;
        Instance::works(cx, t, WorkClass::Shutdown)
    }

    fn finish(&self, i: &mut Instance, cx: &mut Cx<'_, '_>) -> Step {
        let index = i.consumers[self.c as usize].index;
        i.stop_if_last(cx);
        cx.out.note(Note::ShutdownEnded { index });
        if self.exit {
            cx.out.ops.push(ContractOp::Exit);
        }
        Step::Done(Ret::Unit)
    }
}
