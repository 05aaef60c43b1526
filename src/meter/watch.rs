//! The one observer of a run: resolves each note to dense numbers once and tells every check and meter what concerns it.
//!
//! The order in which they are told matters where one asks another: the roster knows of a death before ownership does, and a delivery is
//! classified before its stall is closed. Notes of the data path (sends, stores, listener entries, commits) touch vectors only.

use super::births::Births;
use super::clock::Clock;
use super::cuts::Cuts;
use super::disks::Disks;
use super::groups::{Change, Delivered, GroupMeter, Spread};
use super::outages::{Outages, SendsEnd, Stall};
use super::recovery::{Answered, Recovery};
use super::routes::Routes;
use super::sends::Sends;
use super::series::{PerSecond, Thin};
use super::support::Support;
use super::transactions::Transactions;
use crate::base::ids::{BrokerName, GroupId, MessageId, MessageQueue, NodeId, RecordId};
use crate::base::time::{MS, SEC, WALL_EPOCH_MS};
use crate::check::conservation::Conservation;
use crate::check::convergence::Convergence;
use crate::check::delivery::{Arrival, Circumstances, Delivery, Kind};
use crate::check::durability::Durability;
use crate::check::facts::RunFacts;
use crate::check::index::{Group, Index};
use crate::check::ledger::{Ledger, Message, PRELOADED};
use crate::check::listener::Listeners;
use crate::check::lock_holder::LockHolder;
use crate::check::members::Members;
use crate::check::offsets::Offsets;
use crate::check::order::Order;
use crate::check::ownership::Ownership;
use crate::check::phantom::Phantom;
use crate::check::replicas::Divergence;
use crate::check::roster::Roster;
use crate::check::stalls::Stalls;
use crate::check::takeover::Takeover;
use crate::contract::note::{Note, ONEWAY_OFFSET, Observer, SendEnd, SendError, Stamp, StoredAs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A delivery stall longer than this is an outage, ns.
pub(super) const STALL: u64 = SEC;

/// When a fault struck and ended, ns, and what it met.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultLog {
    pub(super) from: Option<u64>,
    pub(super) until: Option<u64>,
    pub(super) touched: u64,
    /// Processes that it restarts and that are not up again.
    pub(super) restarting: Vec<NodeId>,
}

/// One entry into a listener, as its note tells it.
#[derive(Clone, Copy)]
struct Entry {
    group: GroupId,
    consumer: u16,
    msg: MessageId,
    rec: RecordId,
    store_ms: i64,
    reconsume: u16,
}

/// All checks and meters of one run. Plain data: a clone goes on independently.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) facts: Arc<RunFacts>,
    pub(super) clock: Clock,
    /// Notes so far.
    pub notes: u64,
    pub(super) index: Index,
    pub(super) ledger: Ledger,
    births: Births,
    pub(super) roster: Roster,
    pub(super) delivery: Delivery,
    // Laws.
    pub(super) phantom: Phantom,
    pub(super) conservation: Conservation,
    pub(super) locks: LockHolder,
    pub(super) listeners: Listeners,
    // Measures.
    /// By slot of [`Delivery`].
    pub(super) orders: Vec<Order>,
    pub(super) ownership: Ownership,
    pub(super) takeover: Takeover,
    pub(super) convergence: Convergence,
    pub(super) offsets: Offsets,
    pub(super) stalls: Stalls,
    pub(super) members: Members,
    pub(super) routes: Routes,
    // Meters.
    pub(super) sends: Vec<Sends>,
    pub(super) groups: Vec<GroupMeter>,
    pub(super) spread: Spread,
    pub(super) transactions: Transactions,
    pub(super) disks: Disks,
    /// How long hosts stood still, ns, by the first of their processes.
    pub(super) pauses: BTreeMap<NodeId, u64>,
    pub(super) outages: Outages,
    pub(super) recovery: Recovery,
    pub(super) support: Support,
    pub(super) delivery_points: Thin,
    pub(super) send_points: Thin,
    pub(super) per_second: PerSecond,
    // Odds and ends.
    pub(super) faults: Vec<FaultLog>,
    pub(super) shutdowns: Vec<(NodeId, &'static str, u64)>,
    pub(super) busy: BTreeMap<u16, u64>,
    pub(super) ghosts: u64,
    pub(super) cuts: Cuts,
    pub(super) durability: Durability,
    /// Slaves whose log is no prefix of their master's at the end, and how.
    pub(super) diverged: Vec<(NodeId, Divergence)>,
    /// By broker name: when a process of it last died, ns, and whether one is awake.
    pub(super) broker_down_at: Vec<u64>,
    pub(super) broker_awake: Vec<bool>,
    /// By group: most minus fewest queues a living member held at the end of the load.
    pub(super) imbalance: Option<Vec<Option<u64>>>,
}

impl Watch {
    pub fn new(facts: RunFacts) -> Self {
        let facts = Arc::new(facts);
        let index = Index::new(&facts);
        let delivery = Delivery::new(&facts, &index);
        let groups = index.groups.len();
        let brokers = facts.names.brokers().count();
        Watch {
            clock: Clock::new(facts.zero, facts.load_end),
            notes: 0,
            ledger: Ledger::new(&facts),
            births: Births::default(),
            roster: Roster::new(&facts),
            phantom: Phantom::default(),
            conservation: Conservation::new(&facts),
            locks: LockHolder::new(&facts),
            listeners: Listeners::new(&facts),
            orders: vec![Order::default(); delivery.slot_count()],
            ownership: Ownership::new(&facts, index.feeds.len() as u32),
            takeover: Takeover::new(facts.zero, facts.load_end),
            convergence: Convergence::new(facts.zero, facts.load_end, groups),
            offsets: Offsets::new(groups),
            stalls: Stalls::new(facts.zero),
            members: Members::new(groups),
            routes: Routes::new(&facts),
            sends: vec![Sends::new(brokers); facts.producers.len()],
            groups: vec![GroupMeter::default(); groups],
            spread: Spread::default(),
            transactions: Transactions::default(),
            disks: Disks::default(),
            pauses: BTreeMap::new(),
            outages: Outages::new(&facts),
            recovery: Recovery::new(&facts),
            support: Support::new(&facts),
            delivery_points: Thin::default(),
            send_points: Thin::default(),
            per_second: PerSecond::default(),
            faults: vec![FaultLog::default(); facts.faults.len()],
            shutdowns: Vec::new(),
            busy: BTreeMap::new(),
            ghosts: 0,
            durability: Durability::new(&facts),
            diverged: Vec::new(),
            cuts: Cuts::default(),
            broker_down_at: vec![0; brokers],
            broker_awake: vec![false; brokers],
            imbalance: None,
            delivery,
            index,
            facts,
        }
    }

    // ---- sends

    #[inline]
    fn began(&mut self, msg: MessageId, key: Option<u32>, due: u64, at: u64) {
        let Some(row) = self.ledger.row(msg) else { return };
        self.conservation.began(row, msg, at);
        row.set(Message::BEGAN);
        row.due = due;
        row.late_us = (at.saturating_sub(due) / 1_000).min(u32::MAX as u64) as u32;
        if let Some(key) = key {
            self.ledger.set_key(msg, key);
        }
        if let Some(sends) = self.sends.get_mut(msg.producer() as usize) {
            sends.began(at);
        }
    }

    #[inline]
    fn ended(&mut self, msg: MessageId, end: &SendEnd, attempts: u8) {
        let at = self.clock.now;
        let queue = if let SendEnd::Acked { queue, .. } = end { self.index.queue(*queue) } else { 0 };
        self.conservation.ended(&self.ledger, msg, end, queue, at);
        let producer = msg.producer() as usize;
        if producer >= self.sends.len() {
            return;
        }
        let Some(row) = self.ledger.row(msg) else { return };
        row.set(Message::ENDED);
        let began = row.began();
        let sends = &mut self.sends[producer];
        sends.retries += attempts.saturating_sub(1) as u64;
        let class = match *end {
            SendEnd::Acked { status, queue: mq, offset } => {
                row.ack(status);
                match offset {
                    ONEWAY_OFFSET => self.recovery.oneway(producer),
                    _ => self.recovery.answered(producer, Answered { status, set: mq.broker, queue, began }, at),
                }
                for gap in sends.acked(status, mq.broker, began, &self.clock).into_iter().flatten() {
                    self.outages.sends(producer, gap, SendsEnd::Success);
                }
                0
            }
            SendEnd::Unknown { error, broker } => {
                row.set(if error == SendError::ProcessDied { Message::UNHEARD } else { Message::UNKNOWN });
                sends.failed(error, broker, true, began, &self.clock);
                1
            }
            SendEnd::Failed { error, broker } => {
                row.set(if error == SendError::ProcessDied { Message::UNHEARD } else { Message::FAILED });
                sends.failed(error, broker, false, began, &self.clock);
                2
            }
        };
        self.send_points.push(began, at - began.min(at), class);
    }

    // ---- brokers

    #[inline]
    fn stored(&mut self, node: NodeId, rec: RecordId, msg: MessageId, store_ms: i64, stored_as: StoredAs) {
        let number = self.index.queue(rec.queue);
        if rec.offset < self.index.queues[number as usize].top && self.durability.serving(rec.queue.broker) == Some(node) {
            self.overwritten(rec);
        }
        let queue = &mut self.index.queues[number as usize];
        if rec.log < queue.log || (rec.log == queue.log && rec.offset < queue.top) {
            // A slave's copy of a record that is known.
            return;
        }
        if rec.log != queue.log {
            queue.expired = 0;
        }
        (queue.log, queue.top) = (rec.log, rec.offset + 1);
        match stored_as {
            StoredAs::Plain => self.ledger.place(msg, number, rec.offset),
            StoredAs::Delayed => self.ledger.park(msg, number, rec.offset),
            _ => {}
        }
        if let Some(row) = self.ledger.row(msg) {
            row.set(Message::STORED);
            if msg.producer() >= PRELOADED {
                row.due = true_ns(store_ms).max(0) as u64;
            }
        }
        let at = self.clock.now;
        for &(group, feed) in &self.index.queues[number as usize].readers {
            if !self.recovery.calm() {
                self.recovery.stored(rec.queue.broker, feed, rec.offset, at);
            }
            // Below the committed offset (which recovery does not bring back) nobody will look for it.
            if self.index.feeds[feed as usize].counted && rec.offset >= self.offsets.offset(feed) {
                self.groups[group.0 as usize].backlog_by(1);
                self.stalls.stored(feed, at);
                self.ownership.stored(feed, at);
            }
        }
    }

    #[inline]
    fn offset_set(&mut self, group: GroupId, mq: MessageQueue, offset: u64, assigned: bool) -> bool {
        let at = self.clock.now;
        let feed = self.index.feed(group, mq);
        let (down_at, ownership) = (&self.broker_down_at, &self.ownership);
        let context = || (down_at[mq.broker.0 as usize], ownership.holders(feed) > 1);
        let step = match assigned {
            true => self.offsets.assigned(feed, group.0 as usize, offset, at, context),
            false => self.offsets.committed(feed, group.0 as usize, offset, at, context),
        };
        if self.index.feeds[feed as usize].counted {
            let top = self.index.queue_of(feed).top;
            self.groups[group.0 as usize].backlog_by(step.from.min(top) as i64 - step.to.min(top) as i64);
            self.stalls.committed(feed, offset, top, at);
        }
        step.to < step.from
    }

    /// Who takes the messages of a broker set at present.
    pub fn serving(&self, broker: BrokerName) -> Option<NodeId> {
        self.durability.serving(broker)
    }

    /// What a look at the disks has found of a slave.
    pub fn diverged(&mut self, slave: NodeId, how: Divergence) {
        self.diverged.push((slave, how));
    }

    // ---- listeners

    #[inline]
    fn entered(&mut self, stamp: Stamp, entry: Entry) {
        let Entry { group, consumer, msg, rec, store_ms, reconsume } = entry;
        let at = stamp.at;
        self.phantom.entered(&self.ledger, msg, at, self.clock.zero);
        let Some(member) = self.index.listener(stamp.node, group, consumer) else { return };
        let Some(table) = self.ledger.table(msg) else { return };
        let feed = self.index.feed(group, rec.queue);
        let place = self.index.feeds[feed as usize];
        let Group { broadcasting, orderly, .. } = *self.index.group(group);
        let (ownership, offsets) = (&self.ownership, &self.offsets);
        let delayed = self.facts.producers.get(table).is_some_and(|p| p.delay_level > 0);
        let circumstances = || Circumstances {
            overlap: !broadcasting && (ownership.holders(feed) > 1 || !ownership.holds(feed, member)),
            rolled_at: offsets.rolled_at(feed),
            retry: !place.plain,
            delayed,
        };
        let arrival = Arrival { table, member, feed, msg, rec, at, broadcasting };
        let kind = self.delivery.entered(arrival, circumstances);
        let first = kind == Kind::First;
        let store_age_ms = at as i64 / MS as i64 - (store_ms - WALL_EPOCH_MS);
        let delivered = self.latency(msg, rec, store_ms, at, reconsume);
        let meter = &mut self.groups[group.0 as usize];
        meter.delivered(delivered, kind, at);
        let slot = self.delivery.slot(member);
        if let Some(key) = self.ledger.key(msg) {
            let asked = matches!(kind, Kind::Asked { .. });
            let order = self.orders[slot].entered(msg, key, member, stamp.event, first, asked);
            meter.inversions_per_key += order.inverted as u64;
            meter.reordered += order.reordered as u64;
        }
        if first && place.plain {
            meter.inversions_per_queue[0] += self.orders[slot].queue(feed, rec.offset) as u64;
        }
        if orderly && !broadcasting {
            let (index, names) = (&self.index, &self.facts.names);
            let name = || format!("{} of {}", index.feed_name(feed), names.group_name(group));
            meter.inversions_per_queue[1] += self.listeners.entered(feed, member, consumer, stamp.event, at, name) as u64;
        }
        self.spread.delivered(member, feed, first && place.plain, store_age_ms, &self.clock);
        self.delivery_points.push(at, delivered.from_due, !first as u8);
        if first {
            self.per_second.record(delivered.from_due);
        }
        if place.counted {
            // A copy of what the group has got already is no sign of a return.
            if first && !self.recovery.calm() {
                self.recovery.delivered(rec.queue.broker, feed, member, rec.offset, at);
            }
            let top = self.index.queue_of(feed).top;
            if let Some(since) = self.stalls.delivered(feed, rec.offset, top, at)
                && at - since > STALL
            {
                let stall = Stall { feed, from: since, ended: Some((at, member)) };
                self.outages.delivery(&self.index, &self.roster, stall);
            }
        }
    }

    #[inline]
    fn latency(&self, msg: MessageId, rec: RecordId, store_ms: i64, at: u64, reconsume: u16) -> Delivered {
        if msg.producer() >= PRELOADED {
            let age = (at as i64 - true_ns(store_ms)).max(0) as u64;
            return Delivered { from_due: age, from_birth: age, delay: u64::MAX, reconsume, delay_level: 0 };
        }
        let (due, began) = self.ledger.get(msg).map_or((at, at), |row| (row.due, row.began()));
        let p = &self.facts.producers[msg.producer() as usize];
        // Whole milliseconds: an attempt within the one in which the record was stored counts.
        let stored = (true_ns(store_ms).max(0) as u64).saturating_add(MS);
        let from_birth = at.saturating_sub(self.births.of(msg, rec.queue, stored, began));
        Delivered { from_due: at.saturating_sub(due), from_birth, delay: p.delay, reconsume, delay_level: p.delay_level }
    }

    #[inline]
    fn left(&mut self, stamp: Stamp, group: GroupId, consumer: u16, msg: MessageId, rec: RecordId, ok: bool) {
        let Some(member) = self.index.listener(stamp.node, group, consumer) else { return };
        let Some(table) = self.ledger.table(msg) else { return };
        self.delivery.left(table, member, msg, ok);
        if !ok {
            let feed = self.index.feed(group, rec.queue);
            self.outages.enablers.listener_failed(feed, self.clock.now);
        }
        if self.ledger.key(msg).is_some() {
            self.orders[self.delivery.slot(member)].left(msg, member);
        }
        let place = self.index.group(group);
        if place.orderly && !place.broadcasting {
            let feed = self.index.feed(group, rec.queue);
            self.listeners.left(feed, member, consumer);
        }
    }

    // ---- ownership

    /// A note of a member about one of its queues: `None` for unknown members and broadcasting groups, whose members own everything.
    fn held(&mut self, node: NodeId, group: GroupId, mq: MessageQueue) -> Option<(u32, u16)> {
        let member = self.index.member(node, group)?;
        let feed = self.index.feed(group, mq);
        self.index.group(group).clustering().then_some((feed, member))
    }

    fn assigned(&mut self, node: NodeId, group: GroupId, mq: MessageQueue, offset: i64, orderly: bool) {
        let at = self.clock.now;
        let feed = self.index.feed(group, mq);
        // Whoever begins below what is still there was never promised what is deleted.
        let start = u64::try_from(offset).ok();
        let begins = start.map(|offset| offset.max(self.index.queue_of(feed).expired));
        let down_at = self.broker_down_at[mq.broker.0 as usize];
        let Some((feed, member)) = self.held(node, group, mq) else {
            self.delivery.assigned(feed, group.0 as usize, begins, at, down_at, false);
            return;
        };
        let rolled = start.is_some_and(|offset| self.offset_set(group, mq, offset, true));
        self.delivery.assigned(feed, group.0 as usize, begins, at, down_at, rolled);
        self.ownership.assigned(feed, member, orderly, at);
        self.outages.enablers.assigned(feed, member, at);
        self.recovery.assigned(mq.broker, feed, at);
        if !orderly {
            self.takeover.gained(feed, member, at);
        }
        self.recheck(feed);
    }

    fn locked(&mut self, node: NodeId, group: GroupId, mq: MessageQueue, locked: bool) {
        let at = self.clock.now;
        let Some((feed, member)) = self.held(node, group, mq) else { return };
        self.ownership.locked(feed, member, locked, at);
        if locked && self.ownership.holds(feed, member) {
            self.takeover.gained(feed, member, at);
            self.outages.enablers.locked(feed, member, at);
        }
    }

    /// Whether this feed adds up, after anything about its holders or its broker changed.
    pub(super) fn recheck(&mut self, feed: u32) {
        let place = self.index.feeds[feed as usize];
        if place.counted {
            let awake = self.broker_awake[self.index.queue_of(feed).mq.broker.0 as usize];
            let holders = self.ownership.awake_holders(feed);
            self.convergence.set(feed, place.group.0 as usize, holders > 1 || (holders == 0 && awake), self.clock.now);
        }
    }

    /// A second is over.
    #[cold]
    pub(super) fn turn(&mut self, ended: u64) {
        self.per_second.turn(ended, &self.clock);
        let second = self.clock.seconds(ended);
        for (group, meter) in self.groups.iter_mut().enumerate() {
            if self.index.groups[group].clustering() {
                meter.levels.sample(second, meter.backlog.max(0) as u64);
            }
        }
        if self.imbalance.is_none() && self.clock.now >= self.clock.load_end {
            self.imbalance = Some(self.balance());
        }
    }

    /// What happens seldom: apart, so that the notes of the data path share no cache lines of code with it.
    #[inline(never)]
    fn seldom(&mut self, stamp: Stamp, note: &Note) {
        let (at, node) = (stamp.at, stamp.node);
        match note {
            // What [`Self::note`] has taken.
            Note::SendBegan { .. }
            | Note::SendEnded { .. }
            | Note::Stored { .. }
            | Note::ListenerEntered { .. }
            | Note::ListenerLeft { .. }
            | Note::Committed { .. }
            | Note::Attempted { .. }
            | Note::Pulled { .. }
            | Note::PulledInVain { .. } => {}
            Note::Elected { leads, .. } => self.leads(node, *leads),
            Note::VoteBegan { .. } => self.recovery.vote_began(node, at),
            Note::AttemptFailed { msg, broker, error, .. } => {
                self.recovery.attempt_failed(*msg, *broker, *error, at);
                self.outages.enablers.attempt_failed(msg.producer() as usize, *broker, *error, at);
            }
            Note::NameserverChosen { addr } => self.recovery.chose(node, *addr),
            Note::PullFailed { group, queue, why } => {
                let feed = self.index.feed(*group, *queue);
                self.recovery.pull_failed(queue.broker, feed, *why, at);
                self.outages.enablers.pulled_in_vain(feed, Some(*why), at);
            }
            Note::PulledNothing { group, queue } => {
                let feed = self.index.feed(*group, *queue);
                self.outages.enablers.pulled_in_vain(feed, None, at);
                if !self.recovery.calm() {
                    self.recovery.pulled_nothing(queue.broker, feed, at);
                }
            }
            Note::RpcFailed { .. } => {}
            Note::Flushed { upto } => self.durability.flushed(node, *upto),
            Note::FlushedInVain { upto, held } => self.durability.flushed_in_vain(node, *upto, *held),
            Note::PageCached { upto } => self.durability.cached(node, *upto),
            Note::Replicated { upto } => {
                self.durability.cached(node, *upto);
                if !self.recovery.calm() {
                    self.replicated(node);
                }
            }
            Note::Recovered { upto, buffered, walk } => {
                self.durability.recovered(node, *upto, *buffered, *walk);
                self.ready(node, *walk);
            }
            Note::Serving { upto } => self.serves(node, *upto),
            // An assignment names the offset it begins at.
            Note::OffsetCorrected { group, queue, from, to } => {
                let feed = self.index.feed(*group, *queue);
                self.offsets.corrected(feed, *from, *to);
            }
            Note::OffsetInitialised { .. } => {}

            Note::BrokerAvoided { broker, ms } => {
                self.routes.avoided(node, *broker, *ms, at);
                self.recovery.avoided(node, *broker, *ms, at);
                self.outages.enablers.avoided(node, *broker, *ms, at);
            }
            Note::SentBack { group, msg, dead, .. } => {
                let meter = &mut self.groups[group.0 as usize];
                *(if *dead { &mut meter.dead } else { &mut meter.sent_back }) += 1;
                self.delivery.sent_back(group.0 as usize, *msg, *dead);
            }
            Note::GivenUp { group, msg } => {
                self.groups[group.0 as usize].given_up += 1;
                if self.index.group(*group).clustering() {
                    self.delivery.sent_back(group.0 as usize, *msg, true);
                }
            }
            Note::Truncated { queue, log, from } => self.cut(node, *queue, *log, *from, false),
            Note::Unindexed { queue, log, from } => self.cut(node, *queue, *log, *from, true),
            Note::Expired { queue, log, below } => {
                let number = self.index.queue(*queue);
                let queue = &mut self.index.queues[number as usize];
                if queue.log == *log {
                    queue.expired = queue.expired.max(*below);
                }
            }
            Note::FileDeleted { expired, .. } => self.disks.deleted(node, *expired),
            Note::DiskFull { on } => self.disk_full(node, *on),
            Note::Busy { code } => *self.busy.entry(*code).or_default() += 1,
            Note::TransactionChecked { msg } => self.transactions.checked(&self.ledger, *msg, &self.clock),
            Note::NotOffered { msg } => {
                if let Some(row) = self.ledger.row(*msg) {
                    row.set(Message::NOT_OFFERED);
                }
                if let Some(sends) = self.sends.get_mut(msg.producer() as usize) {
                    sends.not_offered += 1;
                }
            }

            Note::MemberRegistered { group, members, .. } => self.members.registered(&self.roster, *group, *members, at),
            Note::MemberForgotten { group, client, members, why } => {
                self.members.registered(&self.roster, *group, *members, at);
                self.outages.enablers.member_forgotten(*group, client, *why, at);
            }
            Note::LockGranted { group, queue, client } => {
                let feed = self.index.feed(*group, *queue);
                let (index, names) = (&self.index, &self.facts.names);
                self.locks
                    .granted(node, feed, client, at, || format!("{} to {}", index.feed_name(feed), names.group_name(*group)));
            }
            Note::LockReleased { group, queue, client } => {
                let feed = self.index.feed(*group, *queue);
                self.locks.released(node, feed, client);
            }

            Note::BrokerRegistered { broker, id, addr } => {
                if *id == 0 {
                    self.recovery.registered(node, *broker, at);
                }
                self.routes.registered(node, *broker, *id, *addr, at);
            }
            Note::BrokerForgotten { broker, id, why } => {
                self.routes.forgotten(node, *broker, *id, at);
                self.outages.enablers.broker_forgotten(node, *broker, *why, at);
            }
            Note::PublishRouteBelieved { topic, brokers, .. } => {
                self.routes.believed(node, *topic, brokers, at);
                self.outages.enablers.route(node, at);
                self.recovery.believed(node, *topic, true, brokers, at);
            }
            Note::SubscribeRouteBelieved { topic, brokers } => self.recovery.believed(node, *topic, false, brokers, at),

            Note::Allocated { group, topic, members, queues, owned } => {
                if let Some(member) = self.index.member(node, *group)
                    && self.index.group(*group).clustering()
                    && self.facts.names.retry_group(*topic).is_none()
                {
                    self.members.acted_upon(&self.roster, *group, *members);
                    let change = Change { at, member, members: *members, queues: *queues, owned: owned.clone() };
                    self.groups[group.0 as usize].allocations.push(change);
                }
            }
            Note::Assigned { group, queue, offset, orderly } => self.assigned(node, *group, *queue, *offset, *orderly),
            Note::Revoked { group, queue, .. } => {
                if let Some((feed, member)) = self.held(node, *group, *queue) {
                    self.ownership.revoked(feed, member, at);
                    self.offsets.given_up(feed, at);
                    self.recheck(feed);
                }
            }
            Note::Locked { group, queue } => self.locked(node, *group, *queue, true),
            Note::Unlocked { group, queue } => self.locked(node, *group, *queue, false),

            Note::ClientStarted { .. } => self.life(stamp, note),
            Note::ShutdownBegan { .. } => {
                self.shutdowns.push((node, "closing", at));
                for (group, _) in self.index.members_at(node) {
                    self.convergence.changed(group.0 as usize, at);
                }
            }
            Note::ShutdownEnded { .. } => {
                self.shutdowns.push((node, "closed", at));
                self.life(stamp, note);
            }
            Note::Killed | Note::HostLost | Note::Exited | Note::Frozen | Note::Thawed | Note::Up => self.fate(stamp, note),
            Note::Paused { lasts } => *self.pauses.entry(node).or_default() += lasts,
            Note::Severed { fault, from, to } => self.severed(*fault, from, to),
            Note::ClockStepped { ms } => self.locks.clock_stepped(node, *ms),
            Note::Fault { index, on, touched } => {
                self.fault(*index, *on, *touched);
                self.hindrance(*index, *on);
            }
        }
    }
}

/// A broker's store time as ns from the beginning of the run, as far as its clock is right; negative for what was stored before.
fn true_ns(store_ms: i64) -> i64 {
    (store_ms - WALL_EPOCH_MS) * MS as i64
}

impl Observer for Watch {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        self.notes += 1;
        if let Some(ended) = self.clock.advance(stamp.at) {
            self.turn(ended);
        }
        if self.cuts.are_over(note) {
            self.discard();
        }
        let (at, node) = (stamp.at, stamp.node);
        match note {
            // The data path.
            Note::SendBegan { msg, key, due, .. } => self.began(*msg, *key, *due, at),
            Note::SendEnded { msg, end, attempts } => self.ended(*msg, end, *attempts),
            Note::Stored { rec, msg, store_ms, stored_as, phys, bytes } => {
                let (table, plain) = (self.ledger.table(*msg), *stored_as == StoredAs::Plain);
                self.durability.stored(node, table, *msg, phys + *bytes as u64, plain);
                self.stored(node, *rec, *msg, *store_ms, *stored_as);
            }
            Note::ListenerEntered { group, consumer, msg, rec, store_ms, reconsume } => {
                let entry = Entry {
                    group: *group,
                    consumer: *consumer,
                    msg: *msg,
                    rec: *rec,
                    store_ms: *store_ms,
                    reconsume: *reconsume,
                };
                self.entered(stamp, entry);
            }
            Note::ListenerLeft { group, consumer, msg, rec, ok } => self.left(stamp, *group, *consumer, *msg, *rec, *ok),
            Note::Committed { group, queue, offset, .. } => {
                self.offset_set(*group, *queue, *offset, false);
            }
            Note::Attempted { msg, attempt, queue } => {
                if let Some(sends) = self.sends.get_mut(msg.producer() as usize) {
                    sends.attempted(queue.broker);
                }
                self.births.attempted(*msg, *attempt, *queue, at);
            }
            Note::Pulled { group, queue, from, count, .. } => {
                if let Some((feed, member)) = self.held(node, *group, *queue) {
                    self.outages.enablers.pulled(feed, at);
                    if !self.recovery.calm() {
                        self.recovery.pulled(queue.broker, feed, member, (*from, *count), at);
                    }
                }
            }
            Note::PulledInVain { group } => self.groups[group.0 as usize].pulls_in_vain += 1,
            _ => self.seldom(stamp, note),
        }
    }
}
