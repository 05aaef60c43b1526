//! The code that threads run, as data: one variant a routine that can wait.
//!
//! A routine is entered with `Ret::Go`, and again with the answer of whatever it waited for. It returns [`Step::Block`] after arranging to
//! be woken, [`Step::Call`] to run another routine first, or [`Step::Done`] with its result. Each stands apart in the program (`inline(never)`): the two that run for each
//! message then share no function, and no cache lines of code, with thirty that hardly ever do.

use super::consumer::concurrent::{Concurrent, SendBack};
use super::consumer::lifecycle::{ShutdownConsumer, StartConsumer};
use super::consumer::offsets::{OffsetFix, PersistAll, PersistQueue, ReadOffset};
use super::consumer::orderly::{LockAll, LockOne, Orderly, TryLockLater, UnlockQueues};
use super::consumer::pull::PullBlocking;
use super::consumer::rebalance::{QueueChanged, Rebalance, RebalanceTopic, RemoveUnnecessary, UpdateTable};
use super::heartbeat::{CleanAndHeartbeat, HeartbeatAll};
use super::instance::{Cx, Instance, Task, ThreadId};
use super::producer::send::{FindPublishInfo, Send, StartAsync};
use super::producer::{ShutdownProducer, StartProducer};
use super::route::{PollRoutes, UpdateRoute};
use crate::base::ids::MessageQueue;
use crate::contract::Verdict;
use crate::rocketmq::protocol::Answer;
use crate::rocketmq::remoting::client::RpcError;

/// What a routine is resumed with.
#[derive(Clone, Debug)]
pub(super) enum Ret {
    /// Begin.
    Go,
    /// This call's wait is over; no routine sees it.
    Awake(u32),
    /// The answer of a request, or why there is none.
    Rpc(Result<Answer, RpcError>),
    /// A lock was got, or the wait for it ended without.
    Lock(bool),
    /// A sleep is over.
    Slept,
    /// The listener returned.
    Listened(Verdict),
    /// A called routine ended.
    Unit,
    Bool(bool),
    /// A route update: whether something changed; `Err` is the unchecked exception of a nameserver that cannot be reached.
    Route(Result<bool, ()>),
    /// A start offset; `Err` is an exception.
    Offset(Result<i64, ()>),
}

/// What a routine does next.
#[derive(Debug)]
pub(super) enum Step {
    Block,
    Call(Op),
    Done(Ret),
}

macro_rules! ops {
    ($($variant:ident($type:ty)),+ $(,)?) => {
        /// A routine in progress.
        #[derive(Clone, Debug)]
        pub(super) enum Op {
            $($variant($type),)+
        }

        impl Op {
            pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
                match self {
                    $(Op::$variant(op) => op.step(i, cx, t, ret),)+
                }
            }
        }

        $(impl From<$type> for Op {
            fn from(op: $type) -> Op {
                Op::$variant(op)
            }
        })+
    };
}

ops! {
    Periodic(Periodic),
    UpdateRoute(UpdateRoute),
    PollRoutes(PollRoutes),
    CleanAndHeartbeat(CleanAndHeartbeat),
    HeartbeatAll(HeartbeatAll),
    PersistAll(PersistAll),
    PersistQueue(PersistQueue),
    ReadOffset(ReadOffset),
    OffsetFix(OffsetFix),
    Rebalance(Rebalance),
    RebalanceTopic(RebalanceTopic),
    UpdateTable(UpdateTable),
    RemoveUnnecessary(RemoveUnnecessary),
    QueueChanged(QueueChanged),
    LockOne(LockOne),
    LockAll(LockAll),
    UnlockQueues(UnlockQueues),
    TryLockLater(TryLockLater),
    PullBlocking(PullBlocking),
    Concurrent(Concurrent),
    SendBack(SendBack),
    Orderly(Orderly),
    CleanExpired(super::consumer::concurrent::CleanExpired),
    StartConsumer(StartConsumer),
    ShutdownConsumer(ShutdownConsumer),
    StartProducer(StartProducer),
    ShutdownProducer(ShutdownProducer),
    FindPublishInfo(FindPublishInfo),
    Send(Send),
    StartAsync(StartAsync),
}

impl Op {
    pub(super) fn periodic(task: Task, nominal: u64) -> Op {
        Periodic { task, nominal }.into()
    }
    pub(super) fn try_lock_later(c: u16, p: u32) -> Op {
        TryLockLater::new(c, p).into()
    }
    pub(super) fn unlock(c: u16, mq: MessageQueue) -> Op {
        UnlockQueues::one(c, mq).into()
    }
    pub(super) fn lock_all(c: u16) -> Op {
        LockAll::new(c).into()
    }
    pub(super) fn offset_fix(c: u16, p: u32, offset: u64) -> Op {
        OffsetFix::new(c, p, offset).into()
    }
    pub(super) fn clean_expired(c: u16) -> Op {
        super::consumer::concurrent::CleanExpired::new(c).into()
    }
    pub(super) fn rebalance() -> Op {
        Rebalance::default().into()
    }
}

/// A fixed-rate task around its routine: it is planned again when the routine ends.
#[derive(Clone, Debug)]
pub(super) struct Periodic {
    task: Task,
    nominal: u64,
}

impl Periodic {
    #[inline(never)]
    fn step(&mut self, i: &mut Instance, _: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        if let Ret::Go = ret {
            return Step::Call(match self.task {
                Task::PollRoutes => PollRoutes::all(i).into(),
                Task::Heartbeat => CleanAndHeartbeat::default().into(),
                Task::PersistOffsets => PersistAll::default().into(),
            });
        }
        i.periodic_done(self.task, self.nominal);
        Step::Done(Ret::Unit)
    }
}
