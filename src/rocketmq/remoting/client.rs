//! The calling end: channels by address, the response table and its scan, the chosen nameserver.
//!
//! `NettyRemotingClient` and `NettyRemotingAbstract` (4.9.8). The rules that decide outages: a synchronous timeout closes its channel and
//! thereby fails every other request on it at once; a peer's orderly close fails nothing, requests run to their own timeout; a reset fails
//! them; asynchronous timeouts are noticed by a scan once a second, a second late; a connect blocks its caller for up to 3 s whatever the
//! request's own timeout. A call is a row in a table and ends as a row in [`RemotingClient::done`], with the caller's token.

mod choice;
mod table;

use self::table::{Call, Patience, State, Table};
use super::idle::IdleWatch;
use super::timers::Timers;
use crate::base::draw::Luck;
use crate::base::ids::Addr;
use crate::base::time::MS;
use crate::contract::note::{Note, RpcFailure};
use crate::contract::{Conn, Deadline, Ending, Now, Out, Port};
use crate::rocketmq::protocol::{Answer, Body, Frame, Request};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Numbers the outgoing connections of one process and remembers whose they are.
#[derive(Clone, Debug, Default)]
pub struct ConnNumbers {
    owners: SmallVec<[(u16, Addr); 4]>,
}

impl ConnNumbers {
    /// A connection that this remoting instance, or another part of the process, is about to open.
    pub fn open(&mut self, owner: u16, to: Addr) -> Conn {
        self.owners.push((owner, to));
        Conn::outgoing(self.owners.len() as u32 - 1)
    }
    /// Which remoting instance of the process opened this connection, and to where.
    pub fn owner(&self, conn: Conn) -> Option<(u16, Addr)> {
        if conn.is_accepted() { None } else { self.owners.get(conn.index()).copied() }
    }
}

/// What a call of this room needs from its surroundings.
#[derive(Debug)]
pub struct Net<'a> {
    pub now: Now,
    pub out: &'a mut Out<Frame>,
    pub conns: &'a mut ConnNumbers,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Addr(Addr),
    /// The chosen nameserver: what a null address means in `NettyRemotingClient`.
    Nameserver,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoke {
    Sync,
    Async,
    Oneway,
    /// Nothing is sent: the caller only waits until there is a channel, as every invocation does first.
    Connect,
}

/// A call that failed below the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub why: RpcFailure,
    /// Whether the request left: then the server may have acted on it.
    pub written: bool,
    pub to: Option<Addr>,
}

/// Settings of one instance.
#[derive(Clone, Copy, Debug)]
pub struct RemotingSettings {
    pub connect_timeout_ms: u64,
    pub idle_ns: u64,
    pub close_if_timeout: bool,
    /// Which listener of its peers it talks to.
    pub port: Port,
}

/// `NettySystemConfig` permits (client 4.9.8).
const ASYNC_PERMITS: usize = 65_535;
/// `NettyRemotingClient.LOCK_TIMEOUT_MILLIS`.
const LOCK_TIMEOUT: u64 = 3_000 * MS;

#[derive(Clone, Debug)]
enum Channel {
    Connecting { conn: Conn, waiters: Vec<u32> },
    Active { conn: Conn, last_io: u64 },
}

#[derive(Clone, Debug)]
struct Selection {
    holder: u32,
    tries_left: usize,
    waiters: VecDeque<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Tick {
    /// A caller has waited long enough for a connection.
    ConnectWait(u32),
    /// A caller has waited long enough for the nameserver lock.
    LockWait(u32),
}

/// What became of an arriving frame.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "the ordinary case is the large one, and it is taken apart at once")]
pub enum Arrived<T> {
    /// It answered this call, which is over.
    Ended(Done<T>),
    /// It answered a call whose thread is on its way to give up; it will find the answer.
    Answered,
    /// It answered nothing that still waits.
    Late(Answer),
    /// A request of the peer.
    Request(Request),
}

/// The end of a call.
#[derive(Clone, Debug)]
pub struct Done<T> {
    /// What the caller gave.
    pub token: T,
    pub result: Result<Answer, RpcError>,
    /// The waiting thread was woken by another one: the word of how late it goes on.
    pub woken: Option<u32>,
    /// What the two steps take in which a failure is handled.
    pub failure: [u32; 2],
}

/// A caller whose channel has opened, or whose time for the answer is over.
#[derive(Clone, Copy, Debug)]
pub struct Awake<T> {
    pub token: T,
    /// What [`RemotingClient::go_on`] wants.
    pub call: u32,
    /// The word of how late it goes on.
    pub word: u32,
}

/// One remoting client. What every call touches lies together in front: with thousands of clients none of it is in a cache when an event comes.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct RemotingClient<T> {
    calls: Table<T>,
    channels: Vec<Option<Channel>>,
    sync_deadlines: VecDeque<(u64, u32)>,
    async_expiries: VecDeque<(i64, u32)>,
    outstanding_async: usize,
    /// Wall time of the first scan of the response table.
    scan_from_ms: i64,
    /// Rows of `done` and `awake` together: mostly none, and then nobody looks there.
    pending: usize,
    timers: Timers<Tick>,
    idle: IdleWatch,
    /// Calls that ended, in order.
    done: VecDeque<Done<T>>,
    /// Callers to wake up.
    awake: VecDeque<Awake<T>>,
    settings: RemotingSettings,
    owner: u16,
    /// A thread whose wait for a channel or an answer ends asks for the processor before it goes on.
    waiters_resume_late: bool,
    chosen: Option<Addr>,
    namesrv_index: u64,
    nameservers: Arc<[Addr]>,
    selection: Option<Selection>,
}

/// Keeps a queue of deadlines sorted; they are nearly in order already.
fn insert_sorted<K: Copy + PartialOrd>(queue: &mut VecDeque<(K, u32)>, at: K, id: u32) {
    let mut i = queue.len();
    while i > 0 && queue[i - 1].0 > at {
        i -= 1;
    }
    queue.insert(i, (at, id));
}

impl<T: Copy + std::fmt::Debug> RemotingClient<T> {
    /// `first_index` is the random start of `namesrvIndex` (0..999).
    pub fn new(owner: u16, settings: RemotingSettings, nameservers: Arc<[Addr]>, first_index: u64, now: Now) -> Self {
        RemotingClient {
            owner,
            settings,
            channels: Vec::new(),
            calls: Table::default(),
            pending: 0,
            nameservers,
            chosen: None,
            namesrv_index: first_index,
            selection: None,
            timers: Timers::default(),
            sync_deadlines: VecDeque::new(),
            async_expiries: VecDeque::new(),
            outstanding_async: 0,
            scan_from_ms: now.wall_ms + 3_000,
            idle: IdleWatch::new(settings.idle_ns),
            done: VecDeque::new(),
            waiters_resume_late: false,
            awake: VecDeque::new(),
        }
    }

    /// Callers whose wait ends come through [`Self::awake`], and see what there is when they [`Self::go_on`].
    pub fn with_late_waiters(self, late: bool) -> Self {
        RemotingClient { waiters_resume_late: late, ..self }
    }

    /// The nameserver in use.
    pub fn chosen_nameserver(&self) -> Option<Addr> {
        self.chosen
    }

    /// Sends a request; the end comes through [`Self::done`].
    #[allow(clippy::too_many_arguments, reason = "one row of the response table")]
    pub fn call(
        &mut self,
        net: &mut Net<'_>,
        invoke: Invoke,
        target: Target,
        request: Request,
        timeout_ms: u64,
        luck: Luck,
        token: T,
    ) {
        let call = Call {
            token,
            invoke,
            begin_ms: net.now.wall_ms,
            timeout_ms,
            request: None,
            luck,
            state: State::Selecting,
            patience: Patience::Waits,
        };
        let addr = match target {
            Target::Addr(addr) => Some(addr),
            Target::Nameserver => self.chosen.filter(|addr| self.is_active(*addr)),
        };
        if let Some(addr) = addr
            && let Some(Channel::Active { conn, .. }) = self.channel(addr)
        {
            let conn = *conn;
            let id = self.calls.insert(Call { state: State::Connecting(addr), ..call });
            return self.send(net, id, conn, addr, request);
        }
        let id = self.calls.insert(Call { request: Some(Box::new(request)), ..call });
        match addr {
            Some(addr) => self.reach(net, id, addr),
            None => self.select(net, id),
        }
    }

    fn get(&mut self, id: u32) -> Option<&mut Call<T>> {
        self.calls.get(id)
    }

    /// The oldest call that has ended and that nobody has heard of yet.
    #[inline]
    pub fn next_done(&mut self) -> Option<Done<T>> {
        if self.pending == 0 {
            return None;
        }
        let done = self.done.pop_front();
        self.pending -= done.is_some() as usize;
        done
    }

    /// The oldest caller to wake up.
    #[inline]
    pub fn next_awake(&mut self) -> Option<Awake<T>> {
        if self.pending == 0 {
            return None;
        }
        let awake = self.awake.pop_front();
        self.pending -= awake.is_some() as usize;
        awake
    }

    fn wake_caller(&mut self, awake: Awake<T>) {
        self.awake.push_back(awake);
        self.pending += 1;
    }

    fn end(&mut self, id: u32, result: Result<Answer, RpcFailure>) {
        if let Some(done) = self.over(id, result) {
            self.done.push_back(done);
            self.pending += 1;
        }
    }

    /// A call is over; what its caller is to hear, unless the caller is on its way and will look for itself.
    fn over(&mut self, id: u32, result: Result<Answer, RpcFailure>) -> Option<Done<T>> {
        if let Some(Call { patience: Patience::Over(found), .. }) = self.get(id) {
            found.get_or_insert_with(|| Box::new(result));
            return None;
        }
        let call = self.calls.take(id)?;
        self.outstanding_async -= (call.invoke == Invoke::Async && matches!(call.state, State::Outstanding(..))) as usize;
        let (written, to) = match call.state {
            State::Outstanding(_, addr) => (true, Some(addr)),
            State::Connecting(addr) | State::Connected(_, addr) => (false, Some(addr)),
            State::Selecting => (false, self.chosen),
        };
        // A thread that waits for an answer is woken by the thread that brings it. A timeout it has found itself.
        let own = !written || matches!(result, Err(RpcFailure::Timeout)) || matches!(call.patience, Patience::Found);
        let woken = (call.invoke == Invoke::Sync && !own).then_some(call.luck.resume());
        let result = result.map_err(|why| RpcError { why, written, to });
        let failure = [call.luck.spare(0), call.luck.spare(1)];
        Some(Done { token: call.token, result, woken, failure })
    }

    fn channel(&self, addr: Addr) -> Option<&Channel> {
        self.channels.get(addr.0 as usize).and_then(|c| c.as_ref())
    }

    /// Whether there is an open connection to the address.
    pub fn is_active(&self, addr: Addr) -> bool {
        matches!(self.channel(addr), Some(Channel::Active { .. }))
    }

    /// `getAndCreateChannel`: write now, or wait for the connection.
    fn reach(&mut self, net: &mut Net<'_>, id: u32, addr: Addr) {
        let i = addr.0 as usize;
        if self.channels.len() <= i {
            self.channels.resize(i + 1, None);
        }
        if let Some(call) = self.get(id) {
            call.state = State::Connecting(addr);
        }
        match &mut self.channels[i] {
            Some(Channel::Active { conn, .. }) => {
                let conn = *conn;
                self.write(net, id, conn, addr);
                return;
            }
            Some(Channel::Connecting { waiters, .. }) => waiters.push(id),
            slot @ None => {
                let conn = net.conns.open(self.owner, addr);
                net.out.connect(conn, addr, self.settings.port);
                *slot = Some(Channel::Connecting { conn, waiters: vec![id] });
            }
        }
        self.timers.set(net.now.mono + self.settings.connect_timeout_ms * MS, Tick::ConnectWait(id));
    }

    /// A call that has waited for its channel is written.
    fn write(&mut self, net: &mut Net<'_>, id: u32, conn: Conn, addr: Addr) {
        if let Some(request) = self.get(id).and_then(|call| call.request.take()) {
            self.send(net, id, conn, addr, *request);
        }
    }

    fn send(&mut self, net: &mut Net<'_>, id: u32, conn: Conn, addr: Addr, request: Request) {
        let now = net.now;
        let outstanding_async = self.outstanding_async;
        let Some(call) = self.get(id) else { return };
        if call.invoke == Invoke::Connect {
            return self.end(id, Ok(Answer::Code(0)));
        }
        let cost = (now.wall_ms - call.begin_ms).max(0) as u64;
        let invoke = call.invoke;
        if invoke != Invoke::Oneway && call.timeout_ms < cost {
            let why = if invoke == Invoke::Sync { RpcFailure::Timeout } else { RpcFailure::TooMuchRequest };
            self.end(id, Err(why));
            // `invokeSync` throws this timeout where it catches the one of the answer: the channel that has just opened is closed, and whoever
            // shares it fails.
            if invoke == Invoke::Sync && self.settings.close_if_timeout {
                self.close_channel(net, addr);
            }
            return;
        }
        if invoke == Invoke::Async && outstanding_async >= ASYNC_PERMITS {
            return self.end(id, Err(RpcFailure::TooMuchRequest));
        }
        let left = call.timeout_ms - cost.min(call.timeout_ms);
        call.state = State::Outstanding(conn, addr);
        let luck = call.luck;
        let bytes = request.bytes();
        net.out.write(
            conn,
            Frame { opaque: id, luck, body: Body::Request { oneway: invoke == Invoke::Oneway, request } },
            bytes,
            luck.outbound(),
        );
        if let Some(Some(Channel::Active { last_io, .. })) = self.channels.get_mut(addr.0 as usize) {
            *last_io = now.mono;
        }
        match invoke {
            Invoke::Oneway | Invoke::Connect => self.end(id, Ok(Answer::Code(0))),
            Invoke::Sync => insert_sorted(&mut self.sync_deadlines, now.mono + left * MS, id),
            Invoke::Async => {
                self.outstanding_async += 1;
                insert_sorted(&mut self.async_expiries, now.wall_ms + left as i64 + 1_000, id);
            }
        }
    }

    // ---- what the sockets bring

    /// A connection asked for is open.
    pub fn on_connected(&mut self, net: &mut Net<'_>, conn: Conn, addr: Addr) {
        let Some(slot) = self.channels.get_mut(addr.0 as usize) else { return };
        if !matches!(slot, Some(Channel::Connecting { conn: c, .. }) if *c == conn) {
            return;
        }
        let Some(Channel::Connecting { waiters, .. }) = slot.replace(Channel::Active { conn, last_io: net.now.mono }) else {
            return;
        };
        self.idle.watch(addr.0 as u32, net.now.mono);
        for id in waiters {
            if self.get(id).is_some_and(|call| call.state == State::Connecting(addr)) {
                let holder = self.is_holder(id);
                if self.waiters_resume_late && !holder {
                    self.wake_waiter(id, conn, addr);
                } else {
                    self.write_if_active(net, id, conn, addr);
                }
                if holder {
                    self.pass_selection_on(net);
                }
            }
        }
    }

    /// A synchronous call gives up.
    fn timed_out(&mut self, net: &mut Net<'_>, id: u32) {
        let Some(State::Outstanding(conn, addr)) = self.get(id).map(|call| call.state) else { return };
        self.end(id, Err(RpcFailure::Timeout));
        if self.settings.close_if_timeout && matches!(self.channel(addr), Some(Channel::Active { conn: c, .. }) if *c == conn) {
            self.close_channel(net, addr);
        }
    }

    fn wake_waiter(&mut self, id: u32, conn: Conn, addr: Addr) {
        let Some(call) = self.get(id) else { return };
        call.state = State::Connected(conn, addr);
        let awake = Awake { token: call.token, call: id, word: call.luck.resume() };
        self.wake_caller(awake);
    }

    /// A caller has woken up. If it waited for its channel it writes, unless the channel is no longer active (`NettyRemotingClient#invokeSync`); if
    /// its time for the answer was over it takes what has come meanwhile (`ResponseFuture#waitResponse`), or gives up and closes the channel.
    pub fn go_on(&mut self, net: &mut Net<'_>, id: u32) {
        let Some(call) = self.get(id) else { return };
        if let Patience::Over(found) = std::mem::replace(&mut call.patience, Patience::Found) {
            return match found {
                Some(result) => self.end(id, *result),
                None => self.timed_out(net, id),
            };
        }
        let State::Connected(conn, addr) = call.state else { return };
        self.write_if_active(net, id, conn, addr);
    }

    /// A caller has its channel, which one that was before it may have closed again.
    fn write_if_active(&mut self, net: &mut Net<'_>, id: u32, conn: Conn, addr: Addr) {
        if matches!(self.channel(addr), Some(Channel::Active { conn: c, .. }) if *c == conn) {
            self.write(net, id, conn, addr);
        } else {
            self.end(id, Err(RpcFailure::Connect));
        }
    }

    /// A connection asked for failed.
    pub fn on_connect_failed(&mut self, net: &mut Net<'_>, conn: Conn, addr: Addr) {
        let Some(slot) = self.channels.get_mut(addr.0 as usize) else { return };
        if !matches!(slot, Some(Channel::Connecting { conn: c, .. }) if *c == conn) {
            return;
        }
        let Some(Channel::Connecting { waiters, .. }) = slot.take() else { return };
        for id in waiters {
            self.connect_failed(net, id, addr);
        }
    }

    fn connect_failed(&mut self, net: &mut Net<'_>, id: u32, addr: Addr) {
        if self.get(id).is_none_or(|call| call.state != State::Connecting(addr)) {
            return;
        }
        if self.is_holder(id) {
            if let Some(call) = self.get(id) {
                call.state = State::Selecting;
            }
            return self.try_next_nameserver(net);
        }
        self.end(id, Err(RpcFailure::Connect));
    }

    /// A connection ended. An orderly close fails nothing; a reset fails what is outstanding on it.
    pub fn on_closed(&mut self, conn: Conn, addr: Addr, how: Ending) {
        let Some(slot) = self.channels.get_mut(addr.0 as usize) else { return };
        if !matches!(slot, Some(Channel::Active { conn: c, .. }) if *c == conn) {
            return;
        }
        *slot = None;
        if how == Ending::Reset {
            self.fail_fast(conn);
        }
    }

    /// Ends every request that is outstanding on a channel: `NettyRemotingAbstract#failFast`.
    fn fail_fast(&mut self, conn: Conn) {
        let fails = |(id, state): (u32, State)| matches!(state, State::Outstanding(c, _) if c == conn).then_some(id);
        let failed: SmallVec<[u32; 8]> = self.calls.rows().filter_map(fails).collect();
        for id in failed {
            self.end(id, Err(RpcFailure::ChannelClosed));
        }
    }

    /// Closes a channel from this side.
    pub fn close_channel(&mut self, net: &mut Net<'_>, addr: Addr) {
        let Some(slot) = self.channels.get_mut(addr.0 as usize) else { return };
        match slot.take() {
            Some(Channel::Active { conn, .. }) => {
                net.out.close(conn);
                self.fail_fast(conn);
            }
            Some(Channel::Connecting { conn, waiters }) => {
                net.out.close(conn);
                for id in waiters {
                    self.connect_failed(net, id, addr);
                }
            }
            None => {}
        }
    }

    /// Closes everything: `NettyRemotingClient#shutdown`.
    pub fn shutdown(&mut self, net: &mut Net<'_>) {
        for addr in 0..self.channels.len() as u16 {
            self.close_channel(net, Addr(addr));
        }
    }

    /// A frame arrived; an answer goes to the other calls that have ended.
    pub fn take_frame(&mut self, now: Now, conn: Conn, addr: Addr, frame: Frame) {
        if let Arrived::Ended(done) = self.on_frame(now, conn, addr, frame) {
            self.done.push_back(done);
            self.pending += 1;
        }
    }

    /// A frame arrived.
    pub fn on_frame(&mut self, now: Now, conn: Conn, addr: Addr, frame: Frame) -> Arrived<T> {
        if let Some(Some(Channel::Active { conn: c, last_io })) = self.channels.get_mut(addr.0 as usize)
            && *c == conn
        {
            *last_io = now.mono;
        }
        match frame.body {
            Body::Request { request, .. } => Arrived::Request(request),
            Body::Answer(answer) => {
                if self.get(frame.opaque).is_some_and(|call| matches!(call.state, State::Outstanding(c, _) if c == conn)) {
                    self.over(frame.opaque, Ok(answer)).map_or(Arrived::Answered, Arrived::Ended)
                } else {
                    Arrived::Late(answer)
                }
            }
            Body::Ha(_) => Arrived::Answered,
        }
    }

    // ---- deadlines

    /// Does everything that is due.
    pub fn wake(&mut self, net: &mut Net<'_>) {
        let now = net.now;
        while let Some((_, tick)) = self.timers.due(now.mono) {
            match tick {
                Tick::ConnectWait(id) => self.connect_wait_over(net, id),
                Tick::LockWait(id) => {
                    if self.get(id).is_some_and(|call| call.state == State::Selecting) && !self.is_holder(id) {
                        self.end(id, Err(RpcFailure::Connect));
                    }
                }
            }
        }
        while let Some((at, id)) = self.sync_deadlines.front().copied() {
            if at > now.mono {
                break;
            }
            self.sync_deadlines.pop_front();
            if !self.waiters_resume_late {
                self.timed_out(net, id);
            } else if let Some(call) = self.get(id).filter(|call| matches!(call.state, State::Outstanding(..))) {
                call.patience = Patience::Over(None);
                let awake = Awake { token: call.token, call: id, word: call.luck.resume() };
                self.wake_caller(awake);
            }
        }
        if self.next_scan_ms().is_some_and(|at| at <= now.wall_ms) {
            while let Some((at, id)) = self.async_expiries.front().copied() {
                if at > now.wall_ms {
                    break;
                }
                self.async_expiries.pop_front();
                self.end(id, Err(RpcFailure::Timeout));
            }
        }
        loop {
            let channels = &self.channels;
            let idle = self.idle.idle(now.mono, |addr| match channels.get(addr as usize) {
                Some(Some(Channel::Active { last_io, .. })) => Some(*last_io),
                _ => None,
            });
            let Some(addr) = idle else { break };
            self.close_channel(net, Addr(addr as u16));
        }
    }

    fn connect_wait_over(&mut self, net: &mut Net<'_>, id: u32) {
        let Some(State::Connecting(addr)) = self.get(id).map(|call| call.state) else { return };
        // Netty's own connect timeout is the same 3 s and gives the attempt up: its future fails, and all who share it go on at once, the later
        // ones with time left to try elsewhere.
        if let Some(slot) = self.channels.get_mut(addr.0 as usize)
            && let Some(Channel::Connecting { waiters, .. }) = slot
        {
            if waiters.first() == Some(&id) {
                return self.close_channel(net, addr);
            }
            waiters.retain(|w| *w != id);
        }
        self.connect_failed(net, id, addr);
    }

    /// The first tick of the scan at which the oldest asynchronous request would be expired.
    fn next_scan_ms(&self) -> Option<i64> {
        let (expiry, _) = self.async_expiries.front()?;
        let behind = (*expiry - self.scan_from_ms).max(0);
        Some(self.scan_from_ms + (behind + 999) / 1_000 * 1_000)
    }

    /// The next moment at which something is due.
    pub fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        self.next_deadline_before(u64::MAX, now)
    }

    /// The same, or a moment of the caller's on the monotonic clock if that comes first.
    #[inline]
    pub fn next_deadline_before(&mut self, mono: u64, now: Now) -> Option<Deadline> {
        while self.sync_deadlines.front().is_some_and(|(_, id)| !self.calls.is_outstanding(*id)) {
            self.sync_deadlines.pop_front();
        }
        while self.async_expiries.front().is_some_and(|(_, id)| !self.calls.is_outstanding(*id)) {
            self.async_expiries.pop_front();
        }
        Deadline::earliest(self.next_mono().min(mono), self.next_scan_ms(), now)
    }

    #[inline]
    fn next_mono(&self) -> u64 {
        let sync = self.sync_deadlines.front().map_or(u64::MAX, |(at, _)| *at);
        sync.min(self.timers.next().unwrap_or(u64::MAX)).min(self.idle.next().unwrap_or(u64::MAX))
    }

    /// Whether [`Self::wake`] may have something to do.
    #[inline]
    pub fn is_due(&self, now: Now) -> bool {
        self.next_mono() <= now.mono || self.next_scan_ms().is_some_and(|at| at <= now.wall_ms)
    }
}
