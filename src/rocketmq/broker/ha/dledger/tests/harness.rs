//! A small world for a group: members, a network that delays, drops and cuts, and disks that survive as much as real ones do.
//!
//! Everything hangs on one seed. A call fails after 3 s without an answer and at once when the process is dead but its host lives. Requests of one
//! pair arrive in order, as on a connection, but for APPENDs, which server threads may take out of order. Clocks agree; the wall clock is the
//! monotonic one in whole milliseconds.

use super::super::clean::DataFiles;
use super::super::config::DLedgerConfig;
use super::super::ledger::{DLedgerFiles, Entry, Ledger};
use super::super::member::Role;
use super::super::protocol::{CallId, Code, PeerId, Push, RequestId, Rpc, RpcAnswer};
use super::super::thread::Thread;
use super::super::{DLedgerServer, Effect, Host, Input, Planted};
use super::safety::Safety;
use crate::base::draw::{Draws, Purpose};
use crate::base::ids::Entity;
use crate::base::time::{MS, SEC, WALL_EPOCH_MS};
use crate::contract::{Clock, Now};
use crate::rocketmq::remoting::timers::Timers;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Size of every entry.
pub(super) const SIZE: u32 = 48 + 100;

/// A ledger in memory.
#[derive(Clone, Debug)]
pub(crate) struct VecLedger {
    pub(super) begin: i64,
    pub(super) entries: Vec<Entry<u64>>,
    pub(super) durable: i64,
    /// What was appended since somebody looked, each with the term before it.
    pub(super) fresh: Vec<(Entry<u64>, i64)>,
    /// What was dropped since somebody looked.
    pub(super) dropped: Vec<Entry<u64>>,
    /// Entries of a file; 0: all lie in one.
    pub(super) a_file: i64,
    /// When each file was last written, by number, wall ms.
    written_ms: BTreeMap<i64, i64>,
    pub(super) now_ms: i64,
    /// How full its partition is.
    pub(super) used_percent: Option<u64>,
}

impl Default for VecLedger {
    fn default() -> Self {
        VecLedger {
            begin: -1,
            entries: Vec::new(),
            durable: -1,
            fresh: Vec::new(),
            dropped: Vec::new(),
            a_file: 0,
            written_ms: BTreeMap::new(),
            now_ms: 0,
            used_percent: None,
        }
    }
}

impl VecLedger {
    fn keep(&mut self, upto: i64) {
        let keep = usize::try_from(upto - self.begin + 1).unwrap_or(0).min(self.entries.len());
        self.entries.truncate(keep);
        if self.entries.is_empty() {
            self.begin = -1;
        }
        self.durable = self.durable.min(self.end());
    }
}

impl VecLedger {
    fn file_of(&self, index: i64) -> i64 {
        if self.a_file == 0 { 0 } else { index / self.a_file }
    }
    /// Drops the entries of the oldest file.
    fn delete_oldest_file(&mut self) {
        let oldest = self.file_of(self.begin);
        let gone = self.entries.partition_point(|e| self.file_of(e.index) == oldest);
        self.entries.drain(..gone);
        self.begin = self.entries.first().map_or(-1, |e| e.index);
    }
}

impl Ledger for VecLedger {
    type Payload = u64;
    fn begin(&self) -> i64 {
        self.begin
    }
    fn end(&self) -> i64 {
        self.entries.last().map_or(-1, |e| e.index)
    }
    fn entry(&self, index: i64) -> Option<Entry<u64>> {
        let at = usize::try_from(index.checked_sub(self.begin)?).ok()?;
        (index >= 0).then(|| self.entries.get(at).copied()).flatten()
    }
    fn place(&self, _size: u32) -> u64 {
        self.entries.last().map_or(0, |e| e.pos + u64::from(e.size))
    }
    fn append(&mut self, entry: Entry<u64>) {
        let before = self.entries.last().map_or(-1, |e| e.term);
        if self.entries.is_empty() {
            self.begin = entry.index;
        }
        self.fresh.push((entry, before));
        self.written_ms.insert(self.file_of(entry.index), self.now_ms);
        self.entries.push(entry);
    }
    fn truncate_after(&mut self, index: i64) {
        let from = usize::try_from(index - self.begin + 1).unwrap_or(0).min(self.entries.len());
        self.dropped.extend_from_slice(&self.entries[from..]);
        self.keep(index);
    }
    fn durable(&self) -> i64 {
        self.durable
    }
    fn set_durable(&mut self, index: i64) {
        self.durable = index;
    }
    fn data_files(&self) -> DataFiles {
        let (oldest, newest) = (self.file_of(self.begin), self.file_of(self.end()));
        let count = usize::try_from(newest - oldest + 1).unwrap_or(0);
        DataFiles { count, oldest_ms: self.written_ms.get(&oldest).copied().unwrap_or(0) }
    }
    fn used_percent(&self) -> Option<u64> {
        self.used_percent
    }
}

pub(super) struct Node {
    pub(super) config: Arc<DLedgerConfig>,
    pub(super) server: Option<DLedgerServer<u64>>,
    pub(super) ledger: VecLedger,
    pub(super) files: DLedgerFiles,
    pub(super) life: u32,
    host_up: bool,
    wake: u64,
    /// How often it was woken by a deadline.
    pub(super) wakes: u64,
    /// Appends that wait: (term, index, payload).
    pub(super) waiting: Vec<(i64, i64, u64)>,
    shown: Option<(Role, Option<PeerId>, i64)>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    from: usize,
    life: u32,
    call: CallId,
    to: usize,
    rpc: Rpc<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Wake(usize),
    Request(usize),
    Answer(usize, RpcAnswer),
    Refused(usize),
    Flushed(usize, u32),
    Resumed(usize, u32, Thread),
}

/// How the network and the disks behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: u64,
    pub(super) jitter: u64,
    /// Requests or answers lost, of 1,000.
    pub(super) loss: u64,
    /// How long an fsync takes; `u64::MAX`: it never ends.
    pub(super) fsync: u64,
    /// APPENDs may overtake and be overtaken.
    pub(super) reorder: bool,
    /// A thread that was woken runs so much later at most.
    pub(super) resume: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Weather { delay: MS, jitter: 0, loss: 0, fsync: MS, reorder: false, resume: 0 }
    }
}

pub(super) struct Cluster {
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) weather: Weather,
    pub(super) safety: Safety,
    /// What happened, when somebody wants to read it.
    pub(super) log: Option<String>,
    pub(super) planted: Option<Planted>,
    /// How many COMPAREs were sent.
    pub(super) compares: u64,
    events: Timers<Event>,
    calls: Vec<Option<Call>>,
    /// Timeouts of calls, in order.
    call_timeouts: std::collections::VecDeque<(u64, usize)>,
    cut: Vec<bool>,
    last_arrival: Vec<u64>,
    draws: Draws,
    drawn: u64,
    payloads: u64,
    out: Vec<Effect<u64>>,
}

impl Cluster {
    pub(super) fn new(n: usize, seed: u64) -> Self {
        Self::with(n, seed, |_| {})
    }
    pub(super) fn with(n: usize, seed: u64, adjust: impl Fn(&mut DLedgerConfig)) -> Self {
        let peers: Vec<PeerId> = (0..n).map(|i| PeerId(u16::try_from(i).unwrap())).collect();
        let node = |&self_id: &PeerId| {
            let mut config = DLedgerConfig::new(self_id, peers.clone());
            adjust(&mut config);
            Node {
                config: Arc::new(config),
                server: None,
                ledger: VecLedger::default(),
                files: DLedgerFiles::default(),
                life: 0,
                host_up: true,
                wake: u64::MAX,
                wakes: 0,
                waiting: Vec::new(),
                shown: None,
            }
        };
        Cluster {
            now: SEC,
            nodes: peers.iter().map(node).collect(),
            weather: Weather::default(),
            safety: Safety::default(),
            log: None,
            planted: None,
            compares: 0,
            events: Timers::default(),
            calls: Vec::new(),
            call_timeouts: Default::default(),
            cut: vec![false; n * n],
            last_arrival: vec![0; n * n],
            draws: Draws::new(seed),
            drawn: 0,
            payloads: 0,
            out: Vec::new(),
        }
    }

    pub(super) fn draw(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        self.draws.below(Entity::named("world"), Purpose::Plan, self.drawn, bound)
    }
    /// Time since the beginning, which is 1 s after the clocks' zero.
    pub(super) fn elapsed(&self) -> u64 {
        self.now - SEC
    }

    // ---- lives and links

    pub(super) fn start(&mut self, i: usize) {
        if self.nodes[i].server.is_some() {
            return;
        }
        self.nodes[i].life += 1;
        self.nodes[i].host_up = true;
        self.nodes[i].wake = u64::MAX;
        let mut out = std::mem::take(&mut self.out);
        let (now, draws) = (clock(self.now), self.draws);
        let node = &mut self.nodes[i];
        let host =
            Host { now, ledger: &mut node.ledger, files: &mut node.files, draws, entity: Entity(i as u64), life: node.life };
        let mut server = DLedgerServer::start(node.config.clone(), host, &mut out);
        server.plant(self.planted);
        node.server = Some(server);
        self.apply(i, out);
    }
    pub(super) fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|i| self.start(i));
    }
    /// The process dies; the host and its page cache live on.
    pub(super) fn kill(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        node.server = None;
        node.waiting.clear();
        node.shown = None;
        self.safety.died(i);
    }
    /// The host loses power: what no fsync has covered is gone.
    pub(super) fn power_off(&mut self, i: usize) {
        self.kill(i);
        let node = &mut self.nodes[i];
        node.host_up = false;
        let durable = node.ledger.durable;
        node.ledger.keep(durable);
        node.files.power_lost();
    }
    /// Cuts the way from one member to another.
    pub(super) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        let n = self.nodes.len();
        self.cut[from * n + to] = cut;
    }
    /// Cuts both ways between these members and all others.
    pub(super) fn part(&mut self, side: &[usize]) {
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if side.contains(&a) != side.contains(&b) {
                    self.set_cut(a, b, true);
                }
            }
        }
    }
    pub(super) fn heal(&mut self) {
        self.cut.fill(false);
    }

    // ---- the application

    pub(super) fn append(&mut self, i: usize) -> Result<i64, Code> {
        self.payloads += 1;
        let payload = self.payloads;
        let mut out = std::mem::take(&mut self.out);
        let result = self.with_server(i, |server, host| server.append(&[(payload, SIZE)], host, &mut out));
        let result = match result {
            Some(Ok(at)) => {
                let node = &mut self.nodes[i];
                let term = node.server.as_ref().map_or(-1, DLedgerServer::term);
                node.waiting.push((term, at.last, payload));
                Ok(at.last)
            }
            Some(Err(code)) => Err(code),
            None => Err(Code::NotLeader),
        };
        self.apply(i, out);
        result
    }
    pub(super) fn leaders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&i| self.nodes[i].server.as_ref().is_some_and(|s| s.role() == Role::Leader)).collect()
    }
    pub(super) fn server(&self, i: usize) -> &DLedgerServer<u64> {
        self.nodes[i].server.as_ref().expect("the process runs")
    }

    // ---- events

    fn with_server<R>(&mut self, i: usize, act: impl FnOnce(&mut DLedgerServer<u64>, Host<'_, VecLedger>) -> R) -> Option<R> {
        let (now, draws) = (clock(self.now), self.draws);
        let node = &mut self.nodes[i];
        let server = node.server.as_mut()?;
        node.ledger.now_ms = now.wall_ms;
        let host =
            Host { now, ledger: &mut node.ledger, files: &mut node.files, draws, entity: Entity(i as u64), life: node.life };
        Some(act(server, host))
    }

    pub(super) fn tell(&mut self, i: usize, input: Input<u64>) {
        let mut out = std::mem::take(&mut self.out);
        self.with_server(i, |server, host| server.handle(input, host, &mut out));
        self.apply(i, out);
    }

    /// Carries out what a member wants, and looks whether it may.
    fn apply(&mut self, i: usize, mut out: Vec<Effect<u64>>) {
        self.safety.look_at_log(i, &mut self.nodes[i]);
        for effect in out.drain(..) {
            match effect {
                Effect::Call { call, to, rpc } => self.call(i, call, usize::from(to.0), rpc),
                Effect::Answer { request, answer } => self.answer(request, answer),
                Effect::Forgotten { .. } => {}
                Effect::Role { term, role, leader } => self.role(i, term, role, leader),
                Effect::Appended { index, code } => self.appended(i, index, code),
                Effect::Committed { index } => {
                    self.say(i, &format!("committed {index}"));
                    self.safety.committed(i, index, &self.nodes[i]);
                }
                Effect::Truncated { after, old_end } => {
                    if old_end > after {
                        self.say(i, &format!("dropped {}..={old_end}", after + 1));
                    }
                }
                Effect::DeleteOldestFile { expired } => {
                    self.nodes[i].ledger.delete_oldest_file();
                    let why = if expired { "expired" } else { "deleted" };
                    self.say(i, &format!("{why} up to {}", self.nodes[i].ledger.begin));
                }
                Effect::DiskFull { on } => self.say(i, if on { "disk full" } else { "disk ok" }),
                Effect::Resume { thread } => {
                    let late = if self.weather.resume > 0 { self.draw(self.weather.resume) } else { 0 };
                    self.events.set(self.now + late, Event::Resumed(i, self.nodes[i].life, thread));
                }
                Effect::Flush { .. } => {
                    if self.weather.fsync != u64::MAX {
                        self.events.set(self.now + self.weather.fsync, Event::Flushed(i, self.nodes[i].life));
                    }
                }
            }
        }
        self.out = out;
        let now = clock(self.now);
        let node = &mut self.nodes[i];
        let Some(deadline) = node.server.as_ref().and_then(|s| s.next_deadline(now)) else { return };
        let at = match deadline.clock {
            Clock::Mono => u64::try_from(deadline.at).unwrap_or(0),
            Clock::Wall => u64::try_from(deadline.at.saturating_sub(WALL_EPOCH_MS)).unwrap_or(0).saturating_mul(MS),
        };
        if at < node.wake {
            node.wake = at.max(self.now);
            self.events.set(node.wake, Event::Wake(i));
        }
    }

    fn role(&mut self, i: usize, term: i64, role: Role, leader: Option<PeerId>) {
        let curr_term = self.server(i).term();
        if role == Role::Leader {
            self.safety.elected(i, term, &self.nodes[i]);
        }
        let shown = Some((role, leader, curr_term));
        if self.nodes[i].shown != shown {
            self.nodes[i].shown = shown;
            let line = match (role, leader) {
                (Role::Candidate, _) => format!("candidate, term {curr_term}, knows {term}"),
                (Role::Leader, _) => format!("leader, term {curr_term}"),
                (Role::Follower, leader) => format!("follows n{}, term {curr_term}", leader.map_or(99, |l| l.0)),
            };
            self.say(i, &line);
        }
    }

    fn appended(&mut self, i: usize, index: i64, code: Code) {
        if let Some(at) = self.nodes[i].waiting.iter().position(|w| w.1 == index) {
            let (term, index, payload) = self.nodes[i].waiting.remove(at);
            if code == Code::Success {
                self.safety.acked(index, term, payload);
            }
        } else if code == Code::Success {
            // Answered while `append` still ran: only a planted bug does that.
            if let Some(entry) = self.nodes[i].ledger.entry(index) {
                self.safety.acked(index, entry.term, entry.payload);
            }
        }
        match code {
            Code::Success => self.say(i, &format!("acked {index}")),
            code => self.say(i, &format!("{index}: {code:?}")),
        }
    }

    pub(super) fn say(&mut self, i: usize, what: &str) {
        let ms = self.elapsed() / MS;
        if let Some(log) = &mut self.log {
            log.push_str(&format!("{}.{:03} n{i} {what}\n", ms / 1000, ms % 1000));
        }
    }

    fn lost(&mut self, from: usize, to: usize) -> bool {
        let cut = self.cut[from * self.nodes.len() + to];
        cut || self.weather.loss > 0 && self.draw(1000) < self.weather.loss
    }
    fn travel(&mut self) -> u64 {
        let Weather { delay, jitter, .. } = self.weather;
        self.now + delay + if jitter > 0 { self.draw(jitter) } else { 0 }
    }

    fn call(&mut self, from: usize, call: CallId, to: usize, rpc: Rpc<u64>) {
        self.compares += u64::from(matches!(&rpc, Rpc::Push(push) if matches!(push.push, Push::Compare(_))));
        let number = self.calls.len();
        self.calls.push(Some(Call { from, life: self.nodes[from].life, call, to, rpc }));
        self.call_timeouts.push_back((self.now + 3 * SEC, number));
        if self.lost(from, to) {
            return;
        }
        let mut at = self.travel();
        let appends = matches!(&rpc, Rpc::Push(push) if matches!(push.push, Push::Append(_)));
        if !(appends && self.weather.reorder) {
            let link = from * self.nodes.len() + to;
            at = at.max(self.last_arrival[link] + 1);
            self.last_arrival[link] = at;
        }
        self.events.set(at, Event::Request(number));
    }

    fn answer(&mut self, request: RequestId, answer: RpcAnswer) {
        let number = usize::try_from(request.0).unwrap();
        let Some(Some(call)) = self.calls.get(number).copied() else { return };
        if !self.lost(call.to, call.from) {
            let at = self.travel();
            self.events.set(at, Event::Answer(number, answer));
        }
    }

    /// Ends a call; whether its caller still lives.
    fn end_call(&mut self, number: usize) -> Option<Call> {
        self.calls[number].take().filter(|call| self.nodes[call.from].life == call.life)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(i) => {
                if self.nodes[i].wake == self.now {
                    self.nodes[i].wake = u64::MAX;
                    self.nodes[i].wakes += 1;
                    self.tell(i, Input::Wake);
                }
            }
            Event::Request(number) => {
                let Some(call) = self.calls[number] else { return };
                if self.cut[call.from * self.nodes.len() + call.to] {
                } else if self.nodes[call.to].server.is_some() {
                    self.tell(call.to, Input::Request { request: RequestId(number as u64), rpc: call.rpc });
                } else if self.nodes[call.to].host_up {
                    let at = self.travel();
                    self.events.set(at, Event::Refused(number));
                }
            }
            Event::Answer(number, answer) => {
                if let Some(call) = self.end_call(number) {
                    self.tell(call.from, Input::Answered { call: call.call, answer });
                }
            }
            Event::Refused(number) => {
                if let Some(call) = self.end_call(number) {
                    self.tell(call.from, Input::Failed { call: call.call });
                }
            }
            Event::Flushed(i, life) => {
                if self.nodes[i].life == life && self.nodes[i].server.is_some() {
                    self.tell(i, Input::Flushed);
                }
            }
            Event::Resumed(i, life, thread) => {
                if self.nodes[i].life == life && self.nodes[i].server.is_some() {
                    self.tell(i, Input::Resumed { thread });
                }
            }
        }
    }

    /// Lets time pass up to a moment since the beginning.
    pub(super) fn run_until(&mut self, elapsed: u64) {
        let end = elapsed + SEC;
        loop {
            while self.call_timeouts.front().is_some_and(|(_, number)| self.calls[*number].is_none()) {
                self.call_timeouts.pop_front();
            }
            let timeout = self.call_timeouts.front().map_or(u64::MAX, |t| t.0);
            let next = self.events.next().unwrap_or(u64::MAX).min(timeout);
            if next > end {
                break;
            }
            self.now = next;
            if timeout == next {
                let (_, number) = self.call_timeouts.pop_front().expect("it was there");
                self.happen(Event::Refused(number));
            } else if let Some((_, event)) = self.events.due(next) {
                self.happen(event);
            }
        }
        self.now = end;
    }
    pub(super) fn run_for(&mut self, time: u64) {
        self.run_until(self.elapsed() + time);
    }

    /// Whether everybody has the same log, one leads, and all of it is committed.
    pub(super) fn converged(&self) -> bool {
        let leaders = self.leaders();
        let [leader] = leaders[..] else { return false };
        let log = &self.nodes[leader].ledger.entries;
        self.nodes.iter().all(|node| {
            let committed = node.server.as_ref().map(DLedgerServer::committed_index);
            node.ledger.entries == *log && committed == Some(node.ledger.end())
        })
    }

    /// How many members hold an entry with this payload.
    pub(super) fn holders(&self, payload: u64) -> usize {
        self.nodes.iter().filter(|node| node.ledger.entries.iter().any(|e| e.payload == payload)).count()
    }
    /// The payloads of a member's log.
    pub(super) fn payloads(&self, i: usize) -> Vec<u64> {
        self.nodes[i].ledger.entries.iter().map(|e| e.payload).collect()
    }
    /// How many APPENDs to a member are without an answer.
    pub(super) fn appends_under_way(&self, to: usize) -> usize {
        let append = |call: &&Call| call.to == to && matches!(&call.rpc, Rpc::Push(push) if matches!(push.push, Push::Append(_)));
        self.calls.iter().flatten().filter(append).count()
    }
    /// Every acknowledged payload by index.
    pub(super) fn acked(&self) -> &BTreeMap<i64, (i64, u64)> {
        &self.safety.acked
    }
}

fn clock(now: u64) -> Now {
    Now { mono: now, wall_ms: WALL_EPOCH_MS + i64::try_from(now / MS).unwrap_or(0) }
}
