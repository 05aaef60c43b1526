//! Faults and operations: what strikes when, what it met, and how it ends.
//!
//! A fault that met nothing (no running process, no open connection, no frame) is reported as such: an expectation that rests on it is then
//! unknown, not passed.

use super::spec::{FaultKind, HoldStep, InterceptAction, NodeKind, Only, Spec};
use super::{AnyRole, Blueprint, Event, Held, Kind, State, World};
use crate::base::draw::Draws;
use crate::base::ids::{Entity, NodeId};
use crate::contract::note::{Note, Observer};
use crate::contract::{Admin, AppInput, Ending, Input};
use crate::kernel::order::Class;
use crate::rocketmq::broker::store::medium::Fsync;
use crate::rocketmq::route::TopicConfig;
use std::sync::Arc;

/// What an intercepted request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Nothing,
    Drop,
    Delay(u64),
    Answer(u16),
}

#[derive(Clone, Debug)]
struct Intercept {
    fault: u16,
    from: Vec<NodeId>,
    to: Vec<NodeId>,
    code: u16,
    left: u64,
    percent: u8,
    action: InterceptAction,
    seen: u64,
}

/// Progress of the fault plan.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    intercepts: Vec<Intercept>,
    /// Slow disks: fault, node, how many times as long what it writes takes; `None`: for ever.
    slow_disks: Vec<(u16, NodeId, Option<u32>)>,
    /// Full disks: fault, node, and what it brought there, bytes.
    ballast: Vec<(u16, NodeId, u64)>,
    /// Disks whose fsyncs fail or lie.
    bad_fsyncs: Vec<(u16, NodeId, Fsync)>,
    /// Conditions on links by fault.
    conditions: Vec<(u16, u32)>,
    /// Faults that strike only some of those they name: whom they struck.
    narrowed: Vec<(u16, FaultKind)>,
    /// What each fault has met.
    touched: Vec<u64>,
}

impl Faults {
    pub(super) fn new(spec: &Spec) -> Self {
        Faults {
            intercepts: Vec::new(),
            slow_disks: Vec::new(),
            ballast: Vec::new(),
            bad_fsyncs: Vec::new(),
            conditions: Vec::new(),
            narrowed: Vec::new(),
            touched: vec![0; spec.faults.len()],
        }
    }
    pub(super) fn disks_are_slow(&self) -> bool {
        !self.slow_disks.is_empty()
    }
    /// How many times as long a write of this node takes now: the slowest of what strikes its disk. Counts the meeting.
    pub(super) fn slow_disk(&mut self, node: NodeId) -> u64 {
        let mut most = 1;
        for (fault, n, factor) in &self.slow_disks {
            if let (true, Some(factor)) = (*n == node, factor) {
                most = most.max(*factor);
                self.touched[*fault as usize] += 1;
            }
        }
        most as u64
    }
    /// Counts an fsync that meets a disk on which it fails or lies.
    pub(super) fn meets_fsync(&mut self, node: NodeId) {
        for (fault, ..) in self.bad_fsyncs.iter().filter(|(_, n, _)| *n == node) {
            self.touched[*fault as usize] += 1;
        }
    }
    pub(super) fn intercepts(&self) -> bool {
        !self.intercepts.is_empty()
    }
}

/// What a fault event asks for, in the event's second number.
const STRIKE: u32 = 0;
const END: u32 = 1;
/// From here on: step of a rolling restart.
const STEP: u32 = 16;

impl<O: Observer> World<O> {
    /// Everything the scenario has planned.
    pub(super) fn plan_faults(&mut self) {
        let spec = self.spec.clone();
        for (f, fault) in spec.faults.iter().enumerate() {
            let first = (spec.warmup as i128 + fault.at as i128).max(1) as u64;
            let (period, times) = fault.every.unwrap_or((0, 1));
            for k in 0..times.max(1) as u64 {
                let at = first + k * period;
                let node = Self::owner(&spec, &fault.what);
                self.schedule_at(at, Class::Fault, node, Kind::Fault, f as u32, STRIKE);
                if let Some(lasts) = fault.lasts {
                    self.schedule_at(at + lasts, Class::Fault, node, Kind::Fault, f as u32, END);
                }
            }
        }
    }

    /// The node whose counter orders the fault's events.
    fn owner(spec: &Spec, what: &FaultKind) -> NodeId {
        let first = match what {
            FaultKind::Kill { nodes }
            | FaultKind::Freeze { nodes }
            | FaultKind::Shutdown { nodes, .. }
            | FaultKind::Restart { nodes, .. }
            | FaultKind::RollingRestart { nodes, .. }
            | FaultKind::Promote { nodes }
            | FaultKind::Start { nodes, .. }
            | FaultKind::SlowDisk { nodes, .. }
            | FaultKind::FillDisk { nodes, .. }
            | FaultKind::Fsync { nodes, .. }
            | FaultKind::ClockStep { nodes, .. }
            | FaultKind::ClockDrift { nodes, .. }
            | FaultKind::Hold { nodes, .. } => nodes.first().copied(),
            FaultKind::Reset { a, .. } => a.first().copied(),
            FaultKind::Intercept { from, .. } => from.first().copied(),
            FaultKind::UpdateTopic { brokers, .. } => brokers.first().copied(),
            FaultKind::LoseHost { .. } | FaultKind::Cut { .. } | FaultKind::SlowLink { .. } | FaultKind::WipeWritePerm { .. } => {
                None
            }
        };
        first.unwrap_or(NodeId(spec.nodes.len().saturating_sub(1) as u16))
    }

    #[cold]
    pub(super) fn fault(&mut self, index: u32, what: u32) {
        let spec = self.spec.clone();
        let Some(fault) = spec.faults.get(index as usize) else { return };
        let f = index as u16;
        if what >= STEP {
            if let FaultKind::RollingRestart { nodes, down, gap } = &fault.what {
                self.roll(f, nodes, *down, *gap, (what - STEP) as usize);
            }
            return;
        }
        let on = what == STRIKE;
        let narrowed = match fault.only {
            Some(only) if on => {
                let narrowed = self.narrowed(&fault.what, only);
                self.faults.narrowed.retain(|(g, _)| *g != f);
                self.faults.narrowed.push((f, narrowed.clone()));
                Some(narrowed)
            }
            // It ends for those whom it struck.
            Some(_) => self.faults.narrowed.iter().find(|(g, _)| *g == f).map(|(_, what)| what.clone()),
            None => None,
        };
        let kind = narrowed.as_ref().unwrap_or(&fault.what);
        let met = if on { self.strike(f, kind) } else { self.relent(f, kind) };
        if on && fault.wipe {
            self.wipe(kind);
        }
        self.faults.touched[index as usize] += met;
        let touched = self.touched(f);
        let node = Self::owner(&spec, &fault.what);
        self.truth(node, Note::Fault { index: f, on, touched });
    }

    /// The fault, for those of its brokers that lead at this moment, or for the others.
    fn narrowed(&self, what: &FaultKind, only: Only) -> FaultKind {
        let chosen = |node: &NodeId| match &self.processes[node.0 as usize].role {
            Some(AnyRole::Broker(broker)) => broker.leads() == (only == Only::Leader),
            _ => only == Only::Followers,
        };
        let of = |nodes: &[NodeId]| nodes.iter().filter(|n| chosen(n)).copied().collect::<Vec<_>>();
        match what {
            FaultKind::Kill { nodes } => FaultKind::Kill { nodes: of(nodes) },
            FaultKind::Freeze { nodes } => FaultKind::Freeze { nodes: of(nodes) },
            FaultKind::Shutdown { nodes, .. } => FaultKind::Shutdown { nodes: of(nodes), members: Vec::new() },
            FaultKind::Restart { nodes, down } => FaultKind::Restart { nodes: of(nodes), down: *down },
            FaultKind::FillDisk { nodes, percent } => FaultKind::FillDisk { nodes: of(nodes), percent: *percent },
            FaultKind::SlowDisk { nodes, stall, factor } => {
                FaultKind::SlowDisk { nodes: of(nodes), stall: *stall, factor: *factor }
            }
            FaultKind::Fsync { nodes, comes_to } => FaultKind::Fsync { nodes: of(nodes), comes_to: *comes_to },
            FaultKind::LoseHost { hosts } => {
                let any = |host: &u16| self.nodes_of(*host).iter().any(&chosen);
                FaultKind::LoseHost { hosts: hosts.iter().filter(|h| any(h)).copied().collect() }
            }
            FaultKind::Cut { from, to, both } => {
                let (from, to) = self.narrowed_sides(from, to, &chosen);
                FaultKind::Cut { from, to, both: *both }
            }
            other => other.clone(),
        }
    }

    /// The first side on which brokers stand keeps those of its hosts whose brokers are meant, and the other side is without them: so one list twice
    /// tells a leader from its followers.
    fn narrowed_sides(&self, from: &[u16], to: &[u16], chosen: &dyn Fn(&NodeId) -> bool) -> (Vec<u16>, Vec<u16>) {
        let has_broker = |host: &u16| self.nodes_of(*host).iter().any(|n| self.is_broker(*n));
        let any = |host: &u16| self.nodes_of(*host).iter().any(|n| self.is_broker(*n) && chosen(n));
        let keep = |side: &[u16]| side.iter().copied().filter(any).collect::<Vec<u16>>();
        let without = |side: &[u16], kept: &[u16]| side.iter().copied().filter(|h| !kept.contains(h)).collect::<Vec<u16>>();
        if from.iter().any(has_broker) {
            let from = keep(from);
            let to = without(to, &from);
            (from, to)
        } else {
            let to = keep(to);
            (without(from, &to), to)
        }
    }

    /// The disks of those who have just died are replaced by empty ones.
    fn wipe(&mut self, what: &FaultKind) {
        let nodes: Vec<NodeId> = match what {
            FaultKind::Kill { nodes } => nodes.clone(),
            FaultKind::LoseHost { hosts } => hosts.iter().flat_map(|host| self.nodes_of(*host)).collect(),
            _ => return,
        };
        nodes.iter().for_each(|node| self.disks[node.0 as usize].replaced());
    }

    /// What a fault has met so far, open conditions included.
    fn touched(&self, f: u16) -> u64 {
        let open: u64 = self.faults.conditions.iter().filter(|(g, _)| *g == f).map(|(_, id)| self.links.touched(*id)).sum();
        self.faults.touched[f as usize] + open
    }

    /// Tells the observer what the faults that are still in force have met, at the end of the run.
    pub fn report_faults(&mut self) {
        let spec = self.spec.clone();
        for (f, fault) in spec.faults.iter().enumerate() {
            let in_force = self.faults.conditions.iter().any(|(g, _)| *g as usize == f)
                || self.faults.intercepts.iter().any(|i| i.fault as usize == f)
                || self.faults.slow_disks.iter().any(|(g, _, _)| *g as usize == f)
                || self.faults.bad_fsyncs.iter().any(|(g, _, _)| *g as usize == f);
            if in_force {
                let touched = self.touched(f as u16);
                let node = Self::owner(&spec, &fault.what);
                self.truth(node, Note::Fault { index: f as u16, on: true, touched });
            }
        }
    }

    fn strike(&mut self, f: u16, what: &FaultKind) -> u64 {
        match what {
            FaultKind::Kill { nodes } => nodes.iter().filter(|n| self.kill(**n)).count() as u64,
            FaultKind::LoseHost { hosts } => hosts.iter().map(|h| self.lose_host(*h)).sum(),
            FaultKind::Freeze { nodes } => nodes.iter().filter(|n| self.freeze(**n)).count() as u64,
            FaultKind::Shutdown { nodes, members } => {
                let mut met = 0;
                for node in nodes {
                    met += self.stop(*node) as u64;
                }
                for (node, index) in members {
                    met += 1;
                    self.dispatch(*node, Input::App(AppInput::StopClient { index: *index }));
                }
                met
            }
            FaultKind::Restart { nodes, down } => {
                nodes.iter().for_each(|node| self.restart(*node, *down));
                nodes.len() as u64
            }
            FaultKind::RollingRestart { nodes, down, gap } => {
                self.roll(f, nodes, *down, *gap, 0);
                nodes.len() as u64
            }
            FaultKind::Promote { nodes } => {
                for node in nodes {
                    self.promote(*node);
                }
                nodes.len() as u64
            }
            FaultKind::Start { nodes, members } => {
                for node in nodes {
                    self.start_everything(*node);
                    self.boot(*node);
                }
                for (node, index) in members {
                    self.dispatch(*node, Input::App(AppInput::StartClient { index: *index }));
                }
                (nodes.len() + members.len()) as u64
            }
            FaultKind::Cut { from, to, both } => {
                let on = |hosts: &[u16]| hosts.iter().flat_map(|host| self.nodes_of(*host)).collect::<Vec<NodeId>>().into();
                let severed = Note::Severed { fault: f, from: on(from), to: on(to) };
                self.truth(Self::owner(&self.spec, what), severed);
                self.condition(f, from, to, *both, true, None, None)
            }
            FaultKind::SlowLink { from, to, both, latency, bandwidth } => {
                self.condition(f, from, to, *both, false, latency.clone(), *bandwidth)
            }
            FaultKind::SlowDisk { nodes, stall, factor } => {
                let factor = (!stall).then_some(*factor);
                self.faults.slow_disks.extend(nodes.iter().map(|node| (f, *node, factor)));
                nodes.iter().for_each(|node| self.stall_disk(*node));
                if *stall { self.running(nodes) } else { 0 }
            }
            FaultKind::FillDisk { nodes, percent } => {
                let mut met = 0;
                for node in nodes {
                    let disk = &mut self.disks[node.0 as usize].broker;
                    let stored = disk.stored_bytes();
                    let brought = disk.partition.fill(stored, *percent);
                    self.faults.ballast.push((f, *node, brought));
                    met += (brought > 0) as u64;
                }
                met
            }
            FaultKind::Fsync { nodes, comes_to } => {
                self.faults.bad_fsyncs.extend(nodes.iter().map(|node| (f, *node, *comes_to)));
                nodes.iter().for_each(|node| self.spoil_fsync(*node));
                0
            }
            FaultKind::ClockStep { nodes, by_ms } => {
                for node in nodes {
                    self.processes[node.0 as usize].clock.step(*by_ms);
                    self.truth(*node, Note::ClockStepped { ms: *by_ms });
                    self.processes[node.0 as usize].disarm();
                    self.arm(*node);
                }
                self.running(nodes)
            }
            FaultKind::ClockDrift { nodes, ppm } => {
                let now = self.now;
                for node in nodes {
                    self.processes[node.0 as usize].clock.drift(now, *ppm);
                    self.processes[node.0 as usize].disarm();
                    self.arm(*node);
                }
                self.running(nodes)
            }
            FaultKind::Reset { a, b } => self.reset(a, b),
            FaultKind::Intercept { from, to, code, first, percent, action } => {
                self.faults.intercepts.push(Intercept {
                    fault: f,
                    from: from.clone(),
                    to: to.clone(),
                    code: *code,
                    left: *first,
                    percent: *percent,
                    action: *action,
                    seen: 0,
                });
                0
            }
            FaultKind::Hold { nodes, step: HoldStep::PullSuspend, pause } => {
                for node in nodes {
                    self.dispatch(*node, Input::Admin(Admin::HoldPullSuspend { pause: *pause }));
                }
                self.running(nodes)
            }
            FaultKind::UpdateTopic { brokers, topic, read, write, perm } => {
                let mut met = 0;
                for node in brokers {
                    // What is not there is created, as `UpdateTopicSubCommand` does it: 8 and 8 queues, to be read and written.
                    let created = TopicConfig { read: 8, write: 8, perm: 6 };
                    let now = self.disks[node.0 as usize].broker.topics.get(topic).copied().unwrap_or(created);
                    let admin = Admin::UpdateTopic {
                        topic: *topic,
                        read: read.unwrap_or(now.read),
                        write: write.unwrap_or(now.write),
                        perm: perm.unwrap_or(now.perm),
                    };
                    // A broker that does not run hears no command.
                    met += (self.processes[node.0 as usize].state == State::Up) as u64;
                    self.dispatch(*node, Input::Admin(admin));
                }
                met
            }
            FaultKind::WipeWritePerm { broker } => {
                let nameservers: Vec<NodeId> = self.spec.nameservers().collect();
                for node in &nameservers {
                    self.dispatch(*node, Input::Admin(Admin::WipeWritePerm { broker: *broker }));
                }
                self.running(&nameservers)
            }
        }
    }

    /// How many of these processes are there to meet a fault.
    fn running(&self, nodes: &[NodeId]) -> u64 {
        nodes.iter().filter(|node| matches!(self.processes[node.0 as usize].state, State::Up | State::Frozen)).count() as u64
    }

    fn relent(&mut self, f: u16, what: &FaultKind) -> u64 {
        match what {
            FaultKind::Kill { nodes } | FaultKind::Shutdown { nodes, .. } => {
                nodes.iter().for_each(|n| self.boot(*n));
                0
            }
            FaultKind::LoseHost { hosts } => {
                for host in hosts {
                    self.hosts[*host as usize].lost = false;
                    for node in self.nodes_of(*host) {
                        if !self.processes[node.0 as usize].fresh {
                            self.boot(node);
                        }
                    }
                }
                0
            }
            FaultKind::Freeze { nodes } => {
                nodes.iter().for_each(|n| self.thaw(*n));
                0
            }
            FaultKind::Cut { .. } | FaultKind::SlowLink { .. } => {
                let (mine, rest): (Vec<_>, Vec<_>) = self.faults.conditions.iter().copied().partition(|(g, _)| *g == f);
                self.faults.conditions = rest;
                mine.iter().map(|(_, id)| self.links.remove(*id)).sum()
            }
            FaultKind::SlowDisk { nodes, .. } => {
                self.faults.slow_disks.retain(|(fault, _, _)| *fault != f);
                for node in nodes {
                    self.stall_disk(*node);
                    self.dispatch(*node, Input::Wake);
                }
                0
            }
            FaultKind::FillDisk { .. } => {
                let (mine, rest): (Vec<_>, Vec<_>) = self.faults.ballast.iter().copied().partition(|(g, _, _)| *g == f);
                self.faults.ballast = rest;
                for (_, node, brought) in mine {
                    let partition = &mut self.disks[node.0 as usize].broker.partition;
                    partition.others = partition.others.saturating_sub(brought);
                }
                0
            }
            FaultKind::Fsync { nodes, .. } => {
                self.faults.bad_fsyncs.retain(|(fault, _, _)| *fault != f);
                nodes.iter().for_each(|node| self.spoil_fsync(*node));
                0
            }
            FaultKind::ClockDrift { nodes, .. } => {
                let now = self.now;
                for node in nodes {
                    self.processes[node.0 as usize].clock.drift(now, 0);
                    self.processes[node.0 as usize].disarm();
                    self.arm(*node);
                }
                0
            }
            FaultKind::ClockStep { nodes, by_ms } => {
                for node in nodes {
                    self.processes[node.0 as usize].clock.step(-by_ms);
                    self.truth(*node, Note::ClockStepped { ms: -by_ms });
                    self.processes[node.0 as usize].disarm();
                    self.arm(*node);
                }
                0
            }
            FaultKind::Hold { nodes, .. } => {
                for node in nodes {
                    self.dispatch(*node, Input::Admin(Admin::HoldPullSuspend { pause: 0 }));
                }
                0
            }
            FaultKind::WipeWritePerm { broker } => {
                let nameservers: Vec<NodeId> = self.spec.nameservers().collect();
                for node in &nameservers {
                    self.dispatch(*node, Input::Admin(Admin::AddWritePerm { broker: *broker }));
                }
                0
            }
            FaultKind::Intercept { .. } => {
                self.faults.intercepts.retain(|i| i.fault != f);
                0
            }
            _ => 0,
        }
    }

    /// The disk stands still while any fault says so.
    fn stall_disk(&mut self, node: NodeId) {
        self.settle_disk(node);
        let stalls = self.faults.slow_disks.iter().any(|(_, n, factor)| *n == node && factor.is_none());
        self.disks[node.0 as usize].broker.stalled = stalls;
    }

    /// What fsyncs of this disk come to from now on: the worst of what strikes it.
    fn spoil_fsync(&mut self, node: NodeId) {
        self.settle_disk(node);
        let struck = self.faults.bad_fsyncs.iter().filter(|(_, n, _)| *n == node).map(|(.., comes_to)| *comes_to);
        self.disks[node.0 as usize].broker.medium.fsync = struck.max().unwrap_or_default();
    }

    /// What the kernel and the disk have written by themselves up to now becomes known.
    pub(super) fn settle_disk(&mut self, node: NodeId) {
        let n = node.0 as usize;
        let now = self.processes[n].clock.now(self.now).mono;
        if self.disks[n].broker.settle(now) {
            let upto = self.disks[n].broker.log.ends.durable;
            self.truth(node, Note::Flushed { upto });
        }
    }

    /// SIGTERM.
    fn stop(&mut self, node: NodeId) -> bool {
        match self.processes[node.0 as usize].state {
            State::Up => {
                self.dispatch(node, Input::Stop);
                true
            }
            State::Frozen => {
                self.processes[node.0 as usize].held.push(Held::Stop);
                true
            }
            State::Booting => {
                self.end_life(node, true);
                true
            }
            State::Dying | State::Down => false,
        }
    }

    /// SIGTERM, and a start `down` after the process has ended, however long its end takes; or a start, if it does not run.
    fn restart(&mut self, node: NodeId, down: u64) {
        self.processes[node.0 as usize].again = Some(down);
        if !self.stop(node) && self.processes[node.0 as usize].state != State::Dying {
            self.start_again(node);
        }
    }

    /// A slave's configuration is edited, and it restarts as a master: how a broker set gets a new master in 4.x.
    fn promote(&mut self, node: NodeId) {
        if let Blueprint::Broker(config) = &mut self.processes[node.0 as usize].blueprint {
            let config = Arc::make_mut(config);
            config.broker_id = crate::rocketmq::route::MASTER_ID;
            config.settings.broker_role = crate::rocketmq::settings::BrokerRole::AsyncMaster;
        }
        self.restart(node, 1);
    }

    /// The process has ended: if a restart waits for that, its time runs from now.
    pub(super) fn start_again(&mut self, node: NodeId) {
        if let Some(down) = self.processes[node.0 as usize].again.take() {
            self.schedule_at(self.now + down.max(1), Class::Fault, node, Kind::Boot, 0, 0);
        }
    }

    /// One node of a rolling restart, and later the next.
    fn roll(&mut self, f: u16, nodes: &[NodeId], down: u64, gap: u64, step: usize) {
        let Some(node) = nodes.get(step).copied() else { return };
        self.restart(node, down);
        if step + 1 < nodes.len() {
            self.schedule_at(self.now + gap.max(1), Class::Fault, node, Kind::Fault, f as u32, STEP + step as u32 + 1);
        }
    }

    /// A process that was declared but not started starts with all its members.
    fn start_everything(&mut self, node: NodeId) {
        if let super::Blueprint::Client(config) = &mut self.processes[node.0 as usize].blueprint {
            let mut all = (**config).clone();
            all.members.iter_mut().for_each(|m| m.started = true);
            *config = std::sync::Arc::new(all);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a condition of the network is these things")]
    fn condition(
        &mut self,
        f: u16,
        from: &[u16],
        to: &[u16],
        both: bool,
        cut: bool,
        latency: Option<crate::base::quantile::Quantiles>,
        bandwidth: Option<u64>,
    ) -> u64 {
        let id = self.links.add(from, to, cut, latency.clone(), bandwidth);
        self.faults.conditions.push((f, id));
        if both {
            let id = self.links.add(to, from, cut, latency, bandwidth);
            self.faults.conditions.push((f, id));
        }
        0
    }

    /// Open connections between the two sides break with a reset at both ends.
    fn reset(&mut self, a: &[NodeId], b: &[NodeId]) -> u64 {
        let mut met = 0;
        for id in 0..self.connections.len() as u32 {
            let ends = self.connections[id as usize].ends;
            let between = |x: NodeId, y: NodeId| (a.contains(&x) && b.contains(&y)) || (b.contains(&x) && a.contains(&y));
            if !between(ends[0].node, ends[1].node) || !ends.iter().all(|e| e.open) || !self.connections[id as usize].established
            {
                continue;
            }
            met += 1;
            for side in 0..2 {
                while let Some((item, _)) = self.connections[id as usize].directions[side].arrive(&mut self.wire) {
                    self.recycle(item);
                }
                self.connections[id as usize].directions[side].take_unread();
                self.give_up(id, side);
            }
            for side in 0..2 {
                self.end_closed(id, side, Ending::Reset);
            }
        }
        met
    }

    /// What a request meets on its way.
    pub(super) fn intercept(&mut self, from: NodeId, to: NodeId, code: u16, opaque: u32) -> Met {
        let draws: Draws = self.draws;
        for intercept in &mut self.faults.intercepts {
            if intercept.code != code || !intercept.from.contains(&from) || !intercept.to.contains(&to) || intercept.left == 0 {
                continue;
            }
            intercept.seen += 1;
            let entity = Entity((intercept.fault as u64) << 32 | from.0 as u64);
            if !draws.strikes(entity, intercept.seen << 32 | opaque as u64, intercept.percent as u64, 100) {
                continue;
            }
            intercept.left -= 1;
            let fault = intercept.fault as usize;
            let met = match intercept.action {
                InterceptAction::Drop => Met::Drop,
                InterceptAction::Delay(ns) => Met::Delay(ns),
                InterceptAction::Answer(code) => Met::Answer(code),
            };
            self.faults.touched[fault] += 1;
            return met;
        }
        Met::Nothing
    }

    /// Whether a node is a broker, for reports.
    pub fn is_broker(&self, node: NodeId) -> bool {
        matches!(self.spec.nodes[node.0 as usize].kind, NodeKind::Broker(_))
    }

    /// The recorded form of an event, for people.
    pub fn describe(&self, event: &Event) -> String {
        let name = &self.spec.nodes[event.node.0 as usize].name;
        format!("{:?} at {name} (life {}, {}, {}), caused by event {}", event.kind, event.life, event.a, event.b, event.cause)
    }
}
