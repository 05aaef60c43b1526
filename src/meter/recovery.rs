//! How the clients of a broker set came through its outages: the moments that each producer and each consumed queue waited for.
//!
//! An outage begins when the broker that takes a set's messages is struck ([`Strike`]): it is gone, or it is there and its puts are not done. From then on everybody
//! who had used the set, over a cut link if that is the strike, is followed to the first answer, or the first delivery, after somebody takes the set's messages
//! again (what was under way at the strike is no sign of a return). The moments are kept as they come; `recoveries.rs` tells them as stages
//! ([`crate::check::stages`]). A second strike before somebody is back belongs to the outage he is already in: the set's own moments begin anew,
//! his beginning stays. A strike that only hinders is an outage for those to whom a call failed, or a lesser status came, before one begun after it was
//! answered as well as before; the others it has not touched.
//!
//! Not followed: producers that send oneway, and clients that died meanwhile.

use super::strikes::{Majority, Sign, Strike};
use crate::base::ids::{Addr, BrokerName, MessageId, NodeId, TopicId};
use crate::base::time::MS;
use crate::check::facts::{NodeKind, RunFacts};
use crate::check::index::Index;
use crate::check::ledger::{Ledger, Message};
use crate::check::ownership::Ownership;
use crate::check::roster::Roster;
use crate::contract::note::{AttemptError, RpcFailure, SendStatus, Walk};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A producer that had been answered by the set.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) producer: usize,
    pub(super) detected: Option<(u64, Sign)>,
    /// It keeps the set aside until then, ns; 0: it does not.
    pub(super) aside_until: u64,
    /// First answer, with whatever status, and first SEND_OK.
    pub(super) answered: Option<u64>,
    pub(super) served: Option<u64>,
    /// It had got SEND_OK from the set: anything less is no return.
    pub(super) had_ok: bool,
    /// What it got instead while the broker's puts were not done: the latest such answer.
    pub(super) lesser: Option<SendStatus>,
    /// The queues that had answered it, and the first answer of each.
    pub(super) queues: Vec<(u32, Option<u64>)>,
    /// Longest time between two answers of any set meanwhile, ns.
    pub(super) dark: u64,
    /// Its process died before it was back.
    pub(super) gone: bool,
}

impl Sender {
    /// When it was back.
    pub(super) fn back(&self) -> Option<u64> {
        if self.had_ok { self.served } else { self.answered }
    }
    fn done(&self) -> bool {
        self.gone || (self.back().is_some() && self.queues.iter().all(|q| q.1.is_some()))
    }
}

/// A queue of the set as one group reads it.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) feed: u32,
    /// Its first pull that failed.
    pub(super) detected: Option<(u64, RpcFailure)>,
    /// How the latest pull before the one that brought something ended: `None` for one that was answered with nothing.
    pub(super) in_vain: Option<(u64, Option<RpcFailure>)>,
    pub(super) assigned: Option<u64>,
    /// First record appended after the set opened: when, and its offset.
    pub(super) stored: Option<(u64, u64)>,
    /// First pull that brought something after the set opened: when, whose, and from which offset.
    pub(super) pulled: Option<(u64, u16, u64)>,
    pub(super) delivered: Option<(u64, u16, u64)>,
    /// Messages that pulls brought before: from a slave, but for what was under way.
    pub(super) meanwhile: u64,
}

impl Reader {
    fn ended_in_vain(&mut self, at: u64, why: Option<RpcFailure>) {
        if self.pulled.is_none() {
            self.in_vain = Some((at, why));
        }
    }
}

/// How a call was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) status: SendStatus,
    pub(super) set: BrokerName,
    pub(super) queue: u32,
    /// ns
    pub(super) began: u64,
}

/// What a client believes about the way to the set.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Its route is without the set.
    lost: bool,
    /// It was left without any broker.
    pub(super) none_left: bool,
    /// Each time it got a route that led to the set as it was then.
    gained: Vec<u64>,
}

impl View {
    /// The last such route until then.
    pub(super) fn routed(&self, until: u64) -> Option<u64> {
        self.gained.iter().copied().rfind(|at| *at <= until)
    }
}

/// A process of the set that was started after the strike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) node: NodeId,
    pub(super) at: u64,
    /// When it had read its log, and what of it.
    pub(super) recovered: Option<(u64, Walk)>,
}

/// One outage of a set.
#[derive(Clone, Debug)]
pub(super) struct Away {
    pub(super) set: BrokerName,
    pub(super) node: NodeId,
    pub(super) strike: Strike,
    /// The latest strike: what must be over before anybody is served.
    pub(super) closed_by: Strike,
    pub(super) at: u64,
    /// How often who then took the set's messages was struck before everybody was back.
    pub(super) again: u64,
    /// The latest start of each.
    pub(super) starts: Vec<Start>,
    /// When a majority of the set's DLedger group could vote again, and with whom.
    pub(super) quorum: Option<(u64, Majority)>,
    pub(super) vote: Option<(u64, NodeId)>,
    pub(super) elected: Option<(u64, NodeId)>,
    pub(super) opened: Option<(u64, NodeId)>,
    /// The first time that a slave got anything from who serves since then.
    pub(super) replicated: Option<(u64, NodeId)>,
    /// By nameserver, the first time each.
    pub(super) registered: Vec<(NodeId, u64)>,
    pub(super) views: BTreeMap<NodeId, View>,
    /// In the order of their numbers.
    pub(super) senders: Vec<Sender>,
    pub(super) readers: Vec<Reader>,
}

impl Away {
    /// When this nameserver knew the set again; of an unknown one, when the first did.
    pub(super) fn registered_at(&self, nameserver: Option<NodeId>) -> Option<(u64, NodeId)> {
        let known = self.registered.iter().filter(|r| nameserver.is_none_or(|ns| ns == r.0));
        known.map(|(ns, at)| (*at, *ns)).min_by_key(|r| r.0)
    }
    /// When this broker's latest start was over, stage by stage.
    pub(super) fn start_of(&self, node: NodeId) -> Option<&Start> {
        self.starts.iter().find(|s| s.node == node)
    }
    /// Whom the strike touched: all whom it took the broker from, and of those whom it only hindered the ones that saw it.
    pub(super) fn touched(&self, sender: &Sender) -> bool {
        !self.strike.hinders() || sender.detected.is_some()
    }
    fn done(&self) -> bool {
        self.opened.is_some() && self.senders.iter().all(Sender::done) && self.readers.iter().all(|r| r.delivered.is_some())
    }
}

/// A client's latest route of a topic, for sending or for pulling.
#[derive(Clone, Debug)]
struct Belief {
    topic: TopicId,
    sends: bool,
    brokers: Arc<[BrokerName]>,
}

#[derive(Clone, Debug)]
pub(super) struct Recovery {
    zero: u64,
    load_end: u64,
    sets: Vec<Option<BrokerName>>,
    addrs: Vec<Addr>,
    producer_nodes: Vec<NodeId>,
    /// By client node.
    chosen: Vec<Option<NodeId>>,
    beliefs: Vec<Vec<Belief>>,
    /// By producer: its latest answer, ns, and whether it sends oneway.
    last_answer: Vec<u64>,
    oneway: Vec<bool>,
    pub(super) all: Vec<Away>,
    /// Those in which somebody is still waiting, as indices into `all`.
    open: Vec<usize>,
}

impl Recovery {
    pub(super) fn new(facts: &RunFacts) -> Self {
        let set = |kind: &NodeKind| if let NodeKind::Broker { broker, .. } = kind { Some(*broker) } else { None };
        Recovery {
            zero: facts.zero,
            load_end: facts.load_end,
            sets: facts.nodes.iter().map(|n| set(&n.kind)).collect(),
            addrs: facts.nodes.iter().map(|n| n.addr).collect(),
            producer_nodes: facts.producers.iter().map(|p| p.node).collect(),
            chosen: vec![None; facts.nodes.len()],
            beliefs: vec![Vec::new(); facts.nodes.len()],
            last_answer: vec![0; facts.producers.len()],
            oneway: vec![false; facts.producers.len()],
            all: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Nobody waits for anything: the answer of nearly every note.
    #[inline]
    pub(super) fn calm(&self) -> bool {
        self.open.is_empty()
    }

    fn of_set(&mut self, set: BrokerName) -> impl Iterator<Item = &mut Away> {
        let open = &self.open;
        self.all.iter_mut().enumerate().filter(move |(i, away)| away.set == set && open.contains(i)).map(|(_, away)| away)
    }

    fn settle(&mut self) {
        let all = &self.all;
        self.open.retain(|i| !all[*i].done());
    }

    // ---- truth

    /// The broker that takes the set's messages was struck, for the clients on these nodes.
    #[cold]
    pub(super) fn struck(
        &mut self,
        node: NodeId,
        strike: Strike,
        at: u64,
        (ledger, index, ownership, roster): (&Ledger, &Index, &Ownership, &Roster),
        hits: &dyn Fn(NodeId) -> bool,
    ) {
        let Some(set) = self.sets[node.0 as usize].filter(|_| (self.zero..self.load_end).contains(&at)) else { return };
        let mut senders: Vec<Sender> = Vec::new();
        for (table, rows) in ledger.tables().take_while(|(table, _)| *table < self.producer_nodes.len()) {
            let mut queues: BTreeMap<u32, ()> = BTreeMap::new();
            let mut had_ok = false;
            for row in rows.iter().filter(|row| row.is(Message::ACKED) && row.is(Message::PLACED)) {
                if index.queues[row.queue as usize].mq.broker == set {
                    queues.insert(row.queue, ());
                    had_ok |= row.status() == SendStatus::SendOk;
                }
            }
            let node = self.producer_nodes[table];
            if queues.is_empty() || self.oneway[table] || !roster.life(node).up || !hits(node) {
                continue;
            }
            senders.push(Sender {
                producer: table,
                detected: None,
                aside_until: 0,
                answered: None,
                served: None,
                had_ok,
                lesser: None,
                queues: queues.into_keys().map(|q| (q, None)).collect(),
                dark: 0,
                gone: false,
            });
        }
        let of_set = |feed: &u32| {
            let place = index.feeds[*feed as usize];
            place.counted
                && index.queue_of(*feed).mq.broker == set
                && ownership.members(*feed).any(|member| hits(roster.node_of(member)))
        };
        let reader = |feed| Reader {
            feed,
            detected: None,
            in_vain: None,
            assigned: None,
            stored: None,
            pulled: None,
            delivered: None,
            meanwhile: 0,
        };
        let feeds = if strike.stops_readers() { 0..index.feeds.len() as u32 } else { 0..0 };
        let mut readers: Vec<Reader> = feeds.filter(of_set).map(reader).collect();
        // A link that nobody used, or help that nobody needed, is nobody's outage.
        let partial = matches!(strike, Strike::CutOff { .. }) || strike.hinders();
        let mut waiting = partial;
        for away in self.of_set(set) {
            if partial {
                // Whoever waits already goes on waiting there: for others the set is as it was.
                senders.retain(|s| !away.senders.iter().any(|old| old.producer == s.producer && old.back().is_none()));
                readers.retain(|r| !away.readers.iter().any(|old| old.feed == r.feed && old.delivered.is_none()));
                continue;
            }
            if away.strike.hinders() && away.at < at {
                // Whom the hindrance has not touched so far, it will not: this is the beginning of his outage.
                away.senders.retain(|s| s.detected.is_some() || s.back().is_some());
                if away.senders.iter().all(|s| s.back().is_some()) {
                    away.readers.retain(|r| r.delivered.is_some());
                    away.opened.get_or_insert((at, node));
                    continue;
                }
            }
            waiting = true;
            (away.quorum, away.vote, away.elected, away.opened, away.replicated) = (None, None, None, None, None);
            away.starts.clear();
            away.registered.clear();
            if away.at == at && away.strike.hinders() {
                // One blow took the broker and those who help it.
                (away.strike, away.closed_by, away.node) = (strike, strike, node);
            } else {
                (away.closed_by, away.again) = (strike, away.again + 1);
            }
            for sender in away.senders.iter_mut().filter(|s| s.back().is_none()) {
                sender.answered = None;
                senders.retain(|s| s.producer != sender.producer);
            }
            for reader in away.readers.iter_mut().filter(|r| r.delivered.is_none()) {
                (reader.stored, reader.pulled, reader.in_vain) = (None, None, None);
                readers.retain(|r| r.feed != reader.feed);
            }
        }
        self.settle();
        if waiting && senders.is_empty() && readers.is_empty() {
            return;
        }
        self.open.push(self.all.len());
        self.all.push(Away {
            set,
            node,
            strike,
            closed_by: strike,
            at,
            again: 0,
            starts: Vec::new(),
            quorum: None,
            vote: None,
            elected: None,
            opened: None,
            replicated: None,
            registered: Vec::new(),
            views: BTreeMap::new(),
            senders,
            readers,
        });
    }

    /// The frozen broker runs again, and nobody took its place.
    pub(super) fn thawed(&mut self, node: NodeId, serving: bool, at: u64) {
        if let Some(set) = self.sets[node.0 as usize].filter(|_| serving) {
            self.opened(set, node, at);
        }
    }

    /// What kept the set from its clients is over, and its broker serves them again.
    pub(super) fn over(&mut self, set: Option<BrokerName>, what: Strike, at: u64) {
        for &i in &self.open {
            let away = &mut self.all[i];
            if away.closed_by == what && set.is_none_or(|set| set == away.set) {
                away.opened.get_or_insert((at, away.node));
            }
        }
        self.settle();
    }

    /// A leader steps down while its set is away: whatever it was away for, another opens now.
    pub(super) fn stepped_down(&mut self, node: NodeId) {
        for &i in &self.open {
            let away = &mut self.all[i];
            let was_there = away.strike.hinders() || matches!(away.strike, Strike::CutOff { .. });
            if away.node == node && away.opened.is_none() && was_there {
                away.closed_by = Strike::Deposed;
            }
        }
    }

    /// A process of the set was started.
    pub(super) fn started(&mut self, set: BrokerName, node: NodeId, at: u64) {
        for away in self.of_set(set) {
            away.starts.retain(|s| s.node != node);
            away.starts.push(Start { node, at, recovered: None });
        }
    }

    /// It has read its log.
    pub(super) fn recovered(&mut self, set: BrokerName, node: NodeId, walk: Walk, at: u64) {
        for away in self.of_set(set) {
            if let Some(start) = away.starts.iter_mut().find(|s| s.node == node) {
                start.recovered = Some((at, walk));
            }
        }
    }

    /// Another broker of the set got something of the log.
    pub(super) fn replicated(&mut self, set: BrokerName, node: NodeId, at: u64) {
        self.of_set(set).filter(|away| away.opened.is_some()).for_each(|away| _ = away.replicated.get_or_insert((at, node)));
    }

    /// Whether somebody waits for the set to be taken over, or to return.
    pub(super) fn is_away(&self, set: BrokerName) -> bool {
        self.open.iter().any(|&i| self.all[i].set == set && self.all[i].opened.is_none())
    }

    /// A client process died: what it waited for is nobody's outage any more.
    pub(super) fn died(&mut self, node: NodeId) {
        self.beliefs[node.0 as usize].clear();
        self.chosen[node.0 as usize] = None;
        let nodes = &self.producer_nodes;
        for &i in &self.open {
            for sender in self.all[i].senders.iter_mut().filter(|s| nodes[s.producer] == node && s.back().is_none()) {
                sender.gone = true;
            }
        }
        self.settle();
    }

    // ---- the set

    /// A majority of the set's group can vote again.
    pub(super) fn quorum_back(&mut self, set: BrokerName, with: Majority, at: u64) {
        self.of_set(set).filter(|away| away.elected.is_none()).for_each(|away| away.quorum = Some((at, with)));
    }

    pub(super) fn vote_began(&mut self, node: NodeId, at: u64) {
        let Some(set) = self.sets[node.0 as usize] else { return };
        self.of_set(set).filter(|away| away.elected.is_none()).for_each(|away| _ = away.vote.get_or_insert((at, node)));
    }

    /// The last one before somebody opens is the one that was waited for.
    pub(super) fn elected(&mut self, node: NodeId, at: u64) {
        let Some(set) = self.sets[node.0 as usize] else { return };
        self.of_set(set).filter(|away| away.opened.is_none()).for_each(|away| away.elected = Some((at, node)));
    }

    pub(super) fn opened(&mut self, set: BrokerName, node: NodeId, at: u64) {
        self.of_set(set).for_each(|away| _ = away.opened.get_or_insert((at, node)));
        self.settle();
    }

    pub(super) fn registered(&mut self, nameserver: NodeId, set: BrokerName, at: u64) {
        for away in self.of_set(set).filter(|away| away.opened.is_some()) {
            if away.registered.iter().all(|r| r.0 != nameserver) {
                away.registered.push((nameserver, at));
            }
        }
    }

    // ---- clients

    pub(super) fn chose(&mut self, client: NodeId, nameserver: Addr) {
        self.chosen[client.0 as usize] = self.addrs.iter().position(|a| *a == nameserver).map(|n| NodeId(n as u16));
    }

    /// The nameserver that a client asks.
    pub(super) fn asks(&self, client: NodeId) -> Option<NodeId> {
        self.chosen[client.0 as usize]
    }

    /// A client took a changed route, for sending or for pulling.
    #[cold]
    pub(super) fn believed(&mut self, client: NodeId, topic: TopicId, sends: bool, brokers: &Arc<[BrokerName]>, at: u64) {
        let beliefs = &mut self.beliefs[client.0 as usize];
        let before = match beliefs.iter_mut().find(|b| b.topic == topic && b.sends == sends) {
            Some(belief) => std::mem::replace(&mut belief.brokers, brokers.clone()),
            None => {
                beliefs.push(Belief { topic, sends, brokers: brokers.clone() });
                [].into()
            }
        };
        let asked = self.chosen[client.0 as usize];
        let nodes = &self.producer_nodes;
        for &i in &self.open {
            let away = &mut self.all[i];
            // A broker that came back where it was needs no new route, unless the client had lost the old one.
            let moved_at = away.opened.filter(|o| o.1 != away.node && away.registered_at(asked).is_some()).map(|o| o.0);
            let view = away.views.entry(client).or_default();
            if brokers.contains(&away.set) {
                if view.lost || moved_at.is_some_and(|moved| view.gained.iter().all(|at| *at < moved)) {
                    view.gained.push(at);
                }
                view.lost = false;
            } else if before.contains(&away.set) {
                view.lost = true;
                view.none_left |= brokers.is_empty();
                for sender in away.senders.iter_mut().filter(|s| sends && nodes[s.producer] == client) {
                    sender.detected.get_or_insert((at, Sign::Route));
                }
            }
        }
    }

    pub(super) fn attempt_failed(&mut self, msg: MessageId, set: BrokerName, error: AttemptError, at: u64) {
        for away in self.of_set(set) {
            if let Some(sender) = find_sender(&mut away.senders, msg.producer() as usize) {
                sender.detected.get_or_insert((at, Sign::Attempt(error)));
            }
        }
    }

    pub(super) fn avoided(&mut self, client: NodeId, set: BrokerName, ms: u32, at: u64) {
        let nodes = std::mem::take(&mut self.producer_nodes);
        for away in self.of_set(set) {
            for sender in away.senders.iter_mut().filter(|s| nodes[s.producer] == client && s.back().is_none()) {
                sender.aside_until = if ms > 0 { at + ms as u64 * MS } else { 0 };
            }
        }
        self.producer_nodes = nodes;
    }

    /// A call that began then was answered.
    #[inline]
    pub(super) fn answered(&mut self, producer: usize, answer: Answered, at: u64) {
        if !self.open.is_empty() {
            self.answered_meanwhile(producer, answer, at);
        }
        self.last_answer[producer] = at;
    }

    #[cold]
    fn answered_meanwhile(&mut self, producer: usize, Answered { status, set, queue, began }: Answered, at: u64) {
        let silent = at - self.last_answer[producer];
        let mut done = false;
        for &i in &self.open {
            let away = &mut self.all[i];
            let (there, after) = (away.closed_by.hinders(), began >= away.at);
            let open = away.set == set && (away.opened.is_some() || there && after);
            let Some(sender) = find_sender(&mut away.senders, producer) else { continue };
            if sender.back().is_none() {
                sender.dark = sender.dark.max(silent);
            }
            let as_before = status == SendStatus::SendOk || !sender.had_ok;
            if away.set == set && there && !as_before && sender.back().is_none() {
                // It says that the message is in less safety than it was sent for.
                sender.detected.get_or_insert((at, Sign::Lesser(status)));
                sender.lesser = Some(status);
            }
            if open && (as_before || !there) {
                sender.answered.get_or_insert(at);
                if as_before {
                    sender.served.get_or_insert(at);
                    if let Some(place) = sender.queues.iter_mut().find(|q| q.0 == queue) {
                        place.1.get_or_insert(at);
                    }
                }
                done = sender.done();
            }
        }
        if done {
            self.settle();
        }
    }

    /// A oneway call ended: nobody will ever answer it.
    pub(super) fn oneway(&mut self, producer: usize) {
        self.oneway[producer] = true;
    }

    // ---- consumed queues

    pub(super) fn stored(&mut self, set: BrokerName, feed: u32, offset: u64, at: u64) {
        for away in self.of_set(set).filter(|away| away.opened.is_some()) {
            if let Some(reader) = find_reader(&mut away.readers, feed) {
                reader.stored.get_or_insert((at, offset));
            }
        }
    }

    /// A member was given the queue: what another had pulled does not count.
    pub(super) fn assigned(&mut self, set: BrokerName, feed: u32, at: u64) {
        for away in self.of_set(set) {
            if let Some(reader) = find_reader(&mut away.readers, feed).filter(|r| r.delivered.is_none()) {
                (reader.assigned, reader.pulled) = (Some(at), None);
            }
        }
    }

    pub(super) fn pull_failed(&mut self, set: BrokerName, feed: u32, why: RpcFailure, at: u64) {
        for away in self.of_set(set) {
            if let Some(reader) = find_reader(&mut away.readers, feed) {
                reader.detected.get_or_insert((at, why));
                reader.ended_in_vain(at, Some(why));
            }
        }
    }

    /// A pull was answered with nothing.
    pub(super) fn pulled_nothing(&mut self, set: BrokerName, feed: u32, at: u64) {
        for away in self.of_set(set) {
            if let Some(reader) = find_reader(&mut away.readers, feed) {
                reader.ended_in_vain(at, None);
            }
        }
    }

    pub(super) fn pulled(&mut self, set: BrokerName, feed: u32, member: u16, (from, count): (u64, u16), at: u64) {
        for away in self.of_set(set) {
            let open = away.opened.is_some();
            let Some(reader) = find_reader(&mut away.readers, feed).filter(|r| r.delivered.is_none()) else { continue };
            if !open {
                reader.meanwhile += u64::from(count);
            } else if count > 0 && reader.pulled.is_none_or(|p| p.1 != member) {
                reader.pulled = Some((at, member, from));
            }
        }
    }

    pub(super) fn delivered(&mut self, set: BrokerName, feed: u32, member: u16, offset: u64, at: u64) {
        let mut done = false;
        for away in self.of_set(set) {
            let Some(reader) = find_reader(&mut away.readers, feed) else { continue };
            if reader.delivered.is_none() && reader.pulled.is_some_and(|p| p.1 == member && offset >= p.2) {
                reader.delivered = Some((at, member, offset));
                done = true;
            }
        }
        if done {
            self.settle();
        }
    }

    /// The load is over: so long had those who are not back had no answer at all.
    pub(super) fn finish(&mut self, end: u64) {
        let end = end.min(self.load_end);
        for away in &mut self.all {
            for sender in away.senders.iter_mut().filter(|s| s.back().is_none() && !s.gone) {
                sender.dark = sender.dark.max(end.saturating_sub(self.last_answer[sender.producer].max(self.zero)));
            }
        }
    }
}

fn find_sender(senders: &mut [Sender], producer: usize) -> Option<&mut Sender> {
    let at = senders.binary_search_by_key(&producer, |s| s.producer).ok()?;
    senders.get_mut(at)
}

fn find_reader(readers: &mut [Reader], feed: u32) -> Option<&mut Reader> {
    let at = readers.binary_search_by_key(&feed, |r| r.feed).ok()?;
    readers.get_mut(at)
}
