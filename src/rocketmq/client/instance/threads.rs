//! The threads of a client instance: pools, who runs what, and how a thread that was woken goes on.
//!
//! A thread is a stack of routines that wait for one thing at a time; an executor is a FIFO and k threads, of which the one that has waited longest takes the
//! next job, as `ThreadPoolExecutor` has it (4.9.8 runs on it throughout). With `threads_resume_late` a woken thread first asks for the processor.

use super::*;
use crate::rocketmq::message::SPARE;
use crate::rocketmq::remoting::client::Awake;

/// A thread of an instance.
pub(in crate::rocketmq::client) type ThreadId = u32;

/// Stands for the pull thread, whose work is not a routine: `PullMessageService`.
pub(in crate::rocketmq::client) const PULL_THREAD: ThreadId = 0xf_ffff;

/// Stands for the thread of channel events.
const CHANNEL_THREAD: ThreadId = 0xf_fffe;

/// What the thread of channel events has yet to do, in the order in which it came.
#[derive(Clone, Copy, Debug)]
pub(in crate::rocketmq::client) enum ChannelEvent {
    /// A caller whose request failed closes its channel, whether or not another one has done so; the word says what that takes. Most find it closed, so it
    /// is of the lower half of what a failure costs.
    Close(u32),
    Connected(Conn, Addr),
}

/// Which executor a thread belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rocketmq::client) enum Exec {
    /// The scheduled thread of the instance: route polls, heartbeats, offset persistence.
    Scheduler,
    /// `RebalanceService`.
    Rebalance,
    /// `PullMessageService`.
    Pull,
    /// The application's thread that starts and stops members.
    Main,
    /// The application's sending threads of a producer.
    App(u16),
    /// The async-send pool of a producer.
    AsyncSend(u16),
    /// The listener threads of a consumer.
    Consume(u16),
    /// The consume service's scheduled thread of a consumer.
    ConsumeSchedule(u16),
}

impl Exec {
    /// Its place among the executors of the instance: four of the instance, then two a producer and two a consumer in turn.
    pub(in crate::rocketmq::client) fn place(self) -> usize {
        match self {
            Exec::Scheduler => 0,
            Exec::Rebalance => 1,
            Exec::Pull => 2,
            Exec::Main => 3,
            Exec::App(p) => 4 + 4 * p as usize,
            Exec::AsyncSend(p) => 5 + 4 * p as usize,
            Exec::Consume(c) => 6 + 4 * c as usize,
            Exec::ConsumeSchedule(c) => 7 + 4 * c as usize,
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Thread {
    pub(in crate::rocketmq::client) exec: Exec,
    /// Position among the threads of its executor: what thread-local draws hang on.
    pub(in crate::rocketmq::client) ordinal: u32,
    /// Counts the waits of this thread, so that a stale timer is recognised.
    pub(in crate::rocketmq::client) waits: u32,
    /// The thread that has been idle for the next longest time, while this one is idle.
    behind: ThreadId,
    /// What it works on; `None` while it is idle, and while its routines run.
    job: Option<Box<Job>>,
}

impl Thread {
    /// The routines that wait on this thread, the first called one first.
    fn stack(&self) -> &[Op] {
        self.job.as_ref().map_or(&[], |job| &job.stack)
    }
    /// The routine that waits on this thread.
    pub(in crate::rocketmq::client) fn top(&self) -> Option<&Op> {
        self.stack().last()
    }
}

/// What a thread works on. Most threads of most pools are idle, and the next job goes to the one that has been so for longest, so a job lies in a box from a pool that
/// all processes share: few are under way at a time, and those few cache lines serve thousands of threads.
#[derive(Clone, Debug, Default)]
struct Job {
    stack: SmallVec<[Op; 1]>,
    /// What the thread was woken for, until it runs.
    woken: Option<Ret>,
    /// Steps that it has yet to take before it goes on: its request failed.
    failing: SmallVec<[u32; 2]>,
}

/// What the threads of an instance have yet to do at this instant. It is empty again when the instance has been pumped, so that one serves all of them and never leaves the
/// cache.
#[derive(Clone, Debug, Default)]
#[allow(clippy::vec_box, reason = "the allocations are what is kept")]
pub(in crate::rocketmq) struct Round {
    ready: VecDeque<(ThreadId, Ret)>,
    /// Threads that a job in their pool's queue has woken.
    waking: VecDeque<(ThreadId, WorkClass)>,
    /// Boxes of jobs that are done.
    spare: Vec<Box<Job>>,
}

impl Round {
    fn job(&mut self, op: Op) -> Box<Job> {
        let mut job = self.spare.pop().unwrap_or_default();
        job.stack.push(op);
        job
    }
    fn give(&mut self, mut job: Box<Job>) {
        if self.spare.len() < SPARE {
            job.woken = None;
            job.failing.clear();
            self.spare.push(job);
        }
    }
}

/// No thread.
const NOBODY: ThreadId = ThreadId::MAX;

/// A client has a dozen of these, most of them with one thread that is mostly idle: so who is idle is a list through the threads, and a queue is made when a job has to
/// wait.
#[derive(Clone, Debug)]
pub(in crate::rocketmq::client) struct Executor {
    #[allow(clippy::box_collection, reason = "mostly there is none, and then a pointer is a quarter of it")]
    queue: Option<Box<VecDeque<Op>>>,
    /// The threads that have been idle for longest and for the shortest time.
    oldest: ThreadId,
    newest: ThreadId,
    created: u32,
}

impl Default for Executor {
    fn default() -> Self {
        Executor { queue: None, oldest: NOBODY, newest: NOBODY, created: 0 }
    }
}

impl Executor {
    fn queued(&self) -> impl Iterator<Item = &Op> {
        self.queue.iter().flat_map(|queue| queue.iter())
    }
    fn take_idle(&mut self, threads: &[Thread]) -> Option<ThreadId> {
        let taken = self.oldest;
        self.oldest = threads.get(taken as usize)?.behind;
        Some(taken)
    }
    fn put_idle(&mut self, threads: &mut [Thread], t: ThreadId) {
        threads[t as usize].behind = NOBODY;
        if self.oldest == NOBODY {
            self.oldest = t;
        } else {
            threads[self.newest as usize].behind = t;
        }
        self.newest = t;
    }
}

impl Instance {
    pub(in crate::rocketmq::client) fn size(&self, exec: Exec) -> u32 {
        match exec {
            Exec::App(p) => self.producers[p as usize].app_threads(),
            Exec::AsyncSend(_) => self.config.cpus.max(1),
            Exec::Consume(c) => self.consumers[c as usize].config.settings.consume_thread_min.max(1) as u32,
            _ => 1,
        }
    }

    /// Hands a job to an executor.
    pub(in crate::rocketmq::client) fn submit(&mut self, cx: &mut Cx<'_, '_>, exec: Exec, op: Op) {
        self.submit_as(cx, exec, op, WorkClass::Delivery);
    }

    /// The same; a listener's thread that it wakes is late as this class of work is.
    pub(in crate::rocketmq::client) fn submit_as(&mut self, cx: &mut Cx<'_, '_>, exec: Exec, op: Op, class: WorkClass) {
        let late = matches!(exec, Exec::Consume(_)).then_some(class);
        self.hand_over(cx, exec, op, late);
    }

    /// Hands a job to a service whose thread waits for a wake-up, and goes on late as any thread does that another one of its process wakes.
    pub(in crate::rocketmq::client) fn submit_woken(&mut self, cx: &mut Cx<'_, '_>, exec: Exec, op: Op) {
        self.hand_over(cx, exec, op, Some(WorkClass::HandOver));
    }

    fn hand_over(&mut self, cx: &mut Cx<'_, '_>, exec: Exec, op: Op, late: Option<WorkClass>) {
        let place = exec.place();
        if self.executors.len() <= place {
            self.executors.resize_with(place + 1, Executor::default);
        }
        let size = self.size(exec);
        let executor = &mut self.executors[place];
        // `ThreadPoolExecutor#execute`: a new thread for each job up to the core size; after that the one that has waited longest.
        let late = late.filter(|_| self.config.threads_resume_late);
        let thread = if executor.created < size {
            let ordinal = executor.created;
            executor.created += 1;
            self.threads.push(Thread { exec, ordinal, waits: 0, behind: NOBODY, job: None });
            self.threads.len() as ThreadId - 1
        } else if let Some(thread) = executor.take_idle(&self.threads) {
            thread
        } else {
            return executor.queue.get_or_insert_default().push_back(op);
        };
        self.threads[thread as usize].job = Some(cx.env.pool.round.job(op));
        match late {
            Some(class) => cx.env.pool.round.waking.push_back((thread, class)),
            None => cx.env.pool.round.ready.push_back((thread, Ret::Go)),
        }
    }

    /// Jobs that wait in an executor's queue.
    pub(in crate::rocketmq::client) fn queued(&self, exec: Exec) -> usize {
        self.executors.get(exec.place()).and_then(|e| e.queue.as_ref()).map_or(0, |queue| queue.len())
    }

    /// Messages whose call is under way: nobody will hear how it ends if the process dies now.
    pub(in crate::rocketmq::client) fn open_sends(&self) -> Vec<MessageId> {
        let under_way = self.threads.iter().flat_map(Thread::stack).filter_map(|op| match op {
            Op::Send(send) => send.open(),
            Op::StartAsync(start) => Some(start.parcel()),
            _ => None,
        });
        let queued = self.executors.iter().flat_map(Executor::queued).filter_map(|op| match op {
            Op::StartAsync(start) => Some(start.parcel()),
            _ => None,
        });
        let written = self.async_sends.iter().flatten().map(|send| send.parcel());
        let mut open: Vec<MessageId> = written.chain(under_way).chain(queued).flat_map(|parcel| parcel.ids()).collect();
        open.sort_unstable();
        open.dedup();
        open
    }

    /// Drops what waits in an executor's queue (`shutdownNow`).
    pub(in crate::rocketmq::client) fn drop_queued(&mut self, exec: Exec) {
        if let Some(executor) = self.executors.get_mut(exec.place()) {
            executor.queue = None;
        }
    }

    pub(in crate::rocketmq::client) fn thread(&self, t: ThreadId) -> &Thread {
        &self.threads[t as usize]
    }

    /// Threads of an executor that run a job now.
    pub(in crate::rocketmq::client) fn running(&self, exec: Exec) -> Vec<ThreadId> {
        self.threads
            .iter()
            .enumerate()
            .filter(|(_, t)| t.exec == exec && !t.stack().is_empty())
            .map(|(i, _)| i as ThreadId)
            .collect()
    }

    /// Wakes a thread with what it waited for.
    pub(in crate::rocketmq::client) fn resume(&self, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) {
        cx.env.pool.round.ready.push_back((t, ret));
    }

    pub(in crate::rocketmq::client) fn run(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, mut ret: Ret) {
        // The job is lent out while its routines run, so that none of them is moved.
        let Some(mut job) = self.threads[t as usize].job.take() else { return };
        while let Some(op) = job.stack.last_mut() {
            match op.step(self, cx, t, ret) {
                Step::Block => {
                    self.threads[t as usize].job = Some(job);
                    return;
                }
                Step::Call(child) => {
                    job.stack.push(child);
                    ret = Ret::Go;
                }
                Step::Done(value) => {
                    job.stack.pop();
                    ret = value;
                }
            }
        }
        self.thread_free(cx, t, job);
    }

    /// A thread has done its job and takes the next one.
    fn thread_free(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, mut job: Box<Job>) {
        let executor = &mut self.executors[self.threads[t as usize].exec.place()];
        match executor.queue.as_mut().and_then(|queue| queue.pop_front()) {
            Some(next) => {
                job.stack.push(next);
                self.threads[t as usize].job = Some(job);
                cx.env.pool.round.ready.push_back((t, Ret::Go));
            }
            None => {
                executor.put_idle(&mut self.threads, t);
                cx.env.pool.round.give(job);
            }
        }
    }

    fn job(&mut self, t: ThreadId) -> Option<&mut Job> {
        self.threads.get_mut(t as usize)?.job.as_deref_mut()
    }

    /// Runs until nothing can go on at this instant.
    pub(in crate::rocketmq::client) fn pump(&mut self, cx: &mut Cx<'_, '_>) {
        loop {
            if let Some(done) = self.remoting.next_done() {
                self.ended(cx, done);
            } else if let Some(Awake { token, call, word }) = self.remoting.next_awake() {
                match token {
                    Token::Thread(t) => self.wake_thread(cx, t, Ret::Awake(call), word),
                    Token::Pull(..) | Token::AsyncSend(_) => self.remoting.go_on(&mut cx.net(), call),
                }
            } else if let Some((t, ret)) = cx.env.pool.round.ready.pop_front() {
                self.run(cx, t, ret);
            } else if let Some((t, class)) = cx.env.pool.round.waking.pop_front() {
                let word = self.wake_word(cx);
                if let Some(job) = self.job(t) {
                    job.woken = Some(Ret::Go);
                }
                cx.out.work((self.number as u32) << 20 | t, class, word);
            } else if !self.pull_blocked && !self.pull_queue.is_empty() {
                if self.config.threads_resume_late && !self.pull_awake {
                    // `PullMessageService#run` waits in its queue like everybody else.
                    self.pull_blocked = true;
                    let (word, class) = (self.wake_word(cx), self.next_pull_comes_by());
                    cx.out.work((self.number as u32) << 20 | PULL_THREAD, class, word);
                } else {
                    self.serve_pulls(cx);
                    self.pull_awake = false;
                }
            } else {
                return;
            }
        }
    }

    /// A call has ended: whoever waits for it goes on, late where threads do.
    pub(in crate::rocketmq::client) fn ended(&mut self, cx: &mut Cx<'_, '_>, done: Done<Token>) {
        let Done { token, result, woken, failure } = done;
        let late = woken.filter(|_| self.config.threads_resume_late);
        let failed = result.is_err() && self.config.failures_cost;
        match (token, late) {
            (Token::Thread(t), Some(word)) => {
                if failed && let Some(job) = self.job(t) {
                    job.failing = failure.into();
                }
                self.wake_thread(cx, t, Ret::Rpc(result), word);
            }
            (Token::Thread(t), None) if failed => {
                if let Some(job) = self.job(t) {
                    job.woken = Some(Ret::Rpc(result));
                    job.failing = failure.into();
                }
                self.resumed(cx, t);
            }
            _ => self.answered(cx, token, result),
        }
    }

    /// A thread that was woken has the processor, or one that handles a failure has taken a step: first in `NettyRemotingClient#invokeSync`, which closes
    /// the channel and logs, then in the caller, which logs the exception with its stack (`DefaultMQProducerImpl#sendDefaultImpl`). A channel that
    /// closes fails all that wait on it together, so they stand in line for the processors, and each finds less left of its time.
    pub(in crate::rocketmq::client) fn resumed(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId) {
        if t == PULL_THREAD {
            (self.pull_blocked, self.pull_awake) = (false, true);
        } else if t == CHANNEL_THREAD {
            self.channel_events.pop_front();
            self.next_channel_event(cx);
        } else if let Some(job) = self.job(t) {
            if let Some(word) = job.failing.pop() {
                let closes = match (&job.failing[..], &job.woken) {
                    ([other], Some(Ret::Rpc(Err(RpcError { written: true, .. })))) => Some(*other),
                    _ => None,
                };
                cx.out.work((self.number as u32) << 20 | t, WorkClass::Failure, word);
                if let Some(other) = closes {
                    self.channel_event(cx, ChannelEvent::Close(other.rotate_left(16) / 2));
                }
                return;
            }
            match job.woken.take() {
                Some(Ret::Awake(call)) => self.remoting.go_on(&mut cx.net(), call),
                Some(ret) => self.resume(cx, t, ret),
                None => {}
            }
        }
    }

    /// `NettyRemotingClient.defaultEventExecutorGroup`: what happens on a channel happens on its one thread. `closeChannel` hands it a close for each caller
    /// that failed, also when the channel is long closed, and all of them stand before the word that the next connection is open: whoever then has
    /// little time left closes that one too, and its requests fail before they are written.
    pub(in crate::rocketmq::client) fn channel_event(&mut self, cx: &mut Cx<'_, '_>, event: ChannelEvent) {
        self.channel_events.push_back(event);
        if self.channel_events.len() == 1 {
            self.next_channel_event(cx);
        }
    }

    fn next_channel_event(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some(event) = self.channel_events.front() {
            match *event {
                ChannelEvent::Close(word) => {
                    return cx.out.work((self.number as u32) << 20 | CHANNEL_THREAD, WorkClass::Failure, word);
                }
                ChannelEvent::Connected(conn, addr) => self.remoting.on_connected(&mut cx.net(), conn, addr),
            }
            self.channel_events.pop_front();
        }
    }

    /// It goes on when it gets the processor.
    pub(in crate::rocketmq::client) fn wake_thread(&mut self, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret, word: u32) {
        if let Some(job) = self.job(t) {
            job.woken = Some(ret);
        }
        cx.out.work((self.number as u32) << 20 | t, WorkClass::Resume, word);
    }

    /// A thread has work of this class before it goes on, and blocks until it is done.
    pub(in crate::rocketmq::client) fn works(cx: &mut Cx<'_, '_>, t: ThreadId, class: WorkClass) -> Step {
        cx.env.pool.round.waking.push_back((t, class));
        Step::Block
    }

    /// How late the next thread goes on that finds work in its queue.
    pub(in crate::rocketmq::client) fn wake_word(&mut self, cx: &Cx<'_, '_>) -> u32 {
        self.wakes += 1;
        cx.env.draws.word(self.entity, Purpose::Work, (self.life as u64) << 40 | self.wakes)
    }

    pub(in crate::rocketmq::client) fn answered(&mut self, cx: &mut Cx<'_, '_>, token: Token, result: Result<Answer, RpcError>) {
        match token {
            Token::Thread(t) => self.resume(cx, t, Ret::Rpc(result)),
            Token::Pull(c, p) => self.pull_answered(cx, c, p, result),
            Token::AsyncSend(id) => self.async_send_answered(cx, id, result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_has_been_idle_for_longest_is_taken() {
        let thread = |ordinal| Thread { exec: Exec::Main, ordinal, waits: 0, behind: NOBODY, job: None };
        let mut threads: Vec<Thread> = (0..4).map(thread).collect();
        let mut executor = Executor::default();
        assert_eq!(executor.take_idle(&threads), None);
        for t in [2, 0, 3] {
            executor.put_idle(&mut threads, t);
        }
        assert_eq!(executor.take_idle(&threads), Some(2));
        executor.put_idle(&mut threads, 1);
        executor.put_idle(&mut threads, 2);
        let taken: Vec<ThreadId> = std::iter::from_fn(|| executor.take_idle(&threads)).collect();
        assert_eq!(taken, [0, 3, 1, 2]);
        executor.put_idle(&mut threads, 3);
        assert_eq!((executor.take_idle(&threads), executor.take_idle(&threads)), (Some(3), None));
    }
}
