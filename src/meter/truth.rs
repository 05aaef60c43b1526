//! The part of the watch that hears what truly happened to processes: who died, froze, came back, and when a fault struck and was over.
//!
//! Roles only believe; these notes are the world's. Everything that is measured against the truth (ownership, takeover, routes, convergence)
//! is told from here, the roster first.

use super::strikes::Strike;
use super::support::{Change, Support};
use super::watch::{FaultLog, Watch};
use crate::base::ids::{BrokerName, NodeId};
use crate::check::facts::{Needs, NodeKind};
use crate::check::index::Group;
use crate::check::ownership::Unowned;
use crate::contract::note::{Note, Stamp, Walk};
use std::sync::Arc;

impl Watch {
    /// A process dies, stands still, or is there again.
    #[cold]
    pub(super) fn fate(&mut self, stamp: Stamp, note: &Note) {
        let (node, at) = (stamp.node, stamp.at);
        match note {
            Note::Killed | Note::HostLost => {
                let host = matches!(note, Note::HostLost);
                self.struck(node, if host { Strike::HostLost } else { Strike::Killed });
                self.durability.died(node, host, at, &self.ledger, &self.index);
                self.disks.full(node, false, at);
                self.support.ready(node, false);
            }
            Note::Exited => {
                self.struck(node, Strike::Stopped);
                self.disks.full(node, false, at);
                self.support.ready(node, false);
            }
            Note::Frozen => self.struck(node, Strike::Frozen),
            Note::Thawed => {
                let serving = self.durability.set_of(node).is_some_and(|set| self.durability.serving(set) == Some(node));
                self.recovery.thawed(node, serving, at);
            }
            _ => {}
        }
        self.life(stamp, note);
    }

    /// A process ends or stands still: an outage of its set if it took the set's messages, the end of what a client waited for.
    fn struck(&mut self, node: NodeId, strike: Strike) {
        match self.durability.set_of(node) {
            Some(set) if self.durability.serving(set) == Some(node) && self.roster.life(node).up => {
                self.strike(node, strike, &|_| true);
            }
            Some(_) => {}
            None if strike != Strike::Frozen => self.recovery.died(node),
            None => {}
        }
    }

    /// A strike at the broker that takes its set's messages, for the clients on these nodes.
    fn strike(&mut self, node: NodeId, strike: Strike, hits: &dyn Fn(NodeId) -> bool) {
        let sources = (&self.ledger, &self.index, &self.ownership, &self.roster);
        self.recovery.struck(node, strike, self.clock.now, sources, hits);
    }

    /// A DLedger member leads, or no longer.
    #[cold]
    pub(super) fn leads(&mut self, node: NodeId, leads: bool) {
        self.support.leads(node, leads);
        if leads {
            return self.recovery.elected(node, self.clock.now);
        }
        if self.roster.life(node).awake() && self.durability.set_of(node).is_some_and(|set| !self.recovery.is_away(set)) {
            // A member that led before the set went away is told again that it does not.
            self.struck(node, Strike::Deposed);
        } else {
            self.recovery.stepped_down(node);
        }
        self.look(self.durability.set_of(node), None);
    }

    /// A broker has read its log: it can vote, and take what a master sends.
    #[cold]
    pub(super) fn ready(&mut self, node: NodeId, walk: Walk) {
        let Some(set) = self.durability.set_of(node) else { return };
        self.recovery.recovered(set, node, walk, self.clock.now);
        self.support.ready(node, true);
        self.look(Some(set), Some(node));
    }

    /// A slave or follower got something of the log.
    #[cold]
    pub(super) fn replicated(&mut self, node: NodeId) {
        if let Some(set) = self.durability.set_of(node) {
            self.recovery.replicated(set, node, self.clock.now);
        }
    }

    /// A broker refuses what it is sent for want of room, or takes it again.
    #[cold]
    pub(super) fn disk_full(&mut self, node: NodeId, on: bool) {
        self.disks.full(node, on, self.clock.now);
        self.kept_from_its_puts(node, Strike::DiskFull, on);
    }

    /// What keeps a broker's puts from being done while it is there begins or ends.
    fn kept_from_its_puts(&mut self, node: NodeId, strike: Strike, on: bool) {
        let Some(set) = self.durability.set_of(node).filter(|set| self.durability.serving(*set) == Some(node)) else { return };
        if !on {
            self.recovery.over(Some(set), strike, self.clock.now);
        } else if self.roster.life(node).up {
            self.strike(node, strike, &|_| true);
        }
    }

    /// Somebody of this set, or of all of them a link, is not what it was: who serves may have lost those whom it needs, or got them back.
    fn look(&mut self, set: Option<BrokerName>, cause: Option<NodeId>) {
        let sets = match set {
            Some(set) => set.0..set.0 + 1,
            None => 0..self.broker_awake.len() as u16,
        };
        for set in sets.map(BrokerName) {
            let serving = self.durability.serving(set);
            let lacks = |support: &Support, node| match support.needs(node) {
                Needs::Majority => Strike::NoMajority,
                _ => Strike::NoSlave,
            };
            match self.support.look(set, serving, &self.roster) {
                Some(Change::Lost(node)) => self.strike(node, lacks(&self.support, node), &|_| true),
                Some(Change::Regained(node)) => self.recovery.over(Some(set), lacks(&self.support, node), self.clock.now),
                None => {}
            }
            if let Some(with) = self.support.elects(set, cause, &self.roster) {
                self.recovery.quorum_back(set, with, self.clock.now);
            }
        }
    }

    /// Links are cut: whoever serves may be cut off from clients, and from those whom it needs.
    #[cold]
    pub(super) fn severed(&mut self, fault: u16, from: &Arc<[NodeId]>, to: &Arc<[NodeId]>) {
        self.support.severed(fault, from, to);
        for node in (0..self.facts.nodes.len() as u16).map(NodeId) {
            let serves = self.durability.set_of(node).is_some_and(|set| self.durability.serving(set) == Some(node));
            if serves && self.roster.life(node).up {
                let (support, sources) = (&self.support, (&self.ledger, &self.index, &self.ownership, &self.roster));
                let severed = |client| support.severs(Some(fault), node, client);
                self.recovery.struck(node, Strike::CutOff { fault }, self.clock.now, sources, &severed);
            }
        }
        self.look(None, None);
    }

    /// A fault begins or ends: the cut that it was is over, the disks that it strikes are slow, or well again.
    #[cold]
    pub(super) fn hindrance(&mut self, fault: u16, on: bool) {
        if !on && self.facts.faults.get(fault as usize).is_some_and(|f| f.ends) {
            self.outages.enablers.fault_ended(fault, self.clock.now);
        }
        if !on && self.support.healed(fault) {
            self.recovery.over(None, Strike::CutOff { fault }, self.clock.now);
            self.look(None, None);
        }
        let facts = self.facts.clone();
        for node in facts.faults.get(fault as usize).map_or(&[][..], |f| &f.slows) {
            self.kept_from_its_puts(*node, Strike::SlowDisk { fault }, on);
        }
    }

    pub(super) fn life(&mut self, stamp: Stamp, note: &Note) {
        let changed = self.roster.note(stamp, note, &self.index);
        let at = stamp.at;
        for group in changed {
            self.convergence.changed(group.0 as usize, at);
        }
        let dead = matches!(note, Note::Killed | Note::HostLost | Note::Exited);
        let silent = dead || matches!(note, Note::Frozen);
        let back = matches!(note, Note::Up | Note::Thawed);
        if silent {
            self.routes.silenced(stamp.node, dead, &self.roster, at);
        }
        if matches!(note, Note::Up) {
            self.restarted(stamp.node);
        }
        match self.facts.nodes[stamp.node.0 as usize].kind {
            NodeKind::Broker { .. } if silent || back => self.broker_life(stamp.node, dead, back, matches!(note, Note::Thawed)),
            NodeKind::Client if silent || back => self.member_life(stamp.node, dead, silent, matches!(note, Note::Thawed)),
            _ => {}
        }
    }

    fn broker_life(&mut self, node: NodeId, dead: bool, back: bool, thawed: bool) {
        let at = self.clock.now;
        let NodeKind::Broker { broker, .. } = self.facts.nodes[node.0 as usize].kind else { return };
        if dead || (back && !thawed) {
            self.locks.life_changed(node);
        }
        if dead {
            self.broker_down_at[broker.0 as usize] = at;
        }
        if back && !thawed {
            self.recovery.started(broker, node, at);
        }
        self.look(Some(broker), Some(node));
        if back {
            self.routes.back(node);
            self.outages.enablers.back(broker, node, thawed, at);
        }
        let same_name = |kind: NodeKind| matches!(kind, NodeKind::Broker { broker: b, .. } if b == broker);
        let facts = self.facts.clone();
        let lives = || {
            let of_name = facts.nodes.iter().enumerate().filter(|(_, f)| same_name(f.kind));
            of_name.map(|(n, _)| self.roster.life(NodeId(n as u16)))
        };
        let awake = lives().any(|life| life.awake());
        let frozen = !dead && !back;
        let silent = match awake {
            true => None,
            false if lives().any(|life| life.up) => Some(Unowned::BrokerFrozen),
            false => Some(Unowned::BrokerDown),
        };
        self.broker_awake[broker.0 as usize] = awake;
        for group in 0..self.index.groups.len() {
            if self.index.groups[group].clustering() {
                self.convergence.changed(group, at);
            }
        }
        for feed in 0..self.index.feeds.len() as u32 {
            if self.index.queue_of(feed).mq.broker == broker && self.index.feeds[feed as usize].counted {
                self.ownership.broker(feed, silent, at);
                if frozen {
                    self.offsets.broker_frozen(feed, self.index.queue_of(feed).top);
                }
                self.recheck(feed);
            }
        }
    }

    fn member_life(&mut self, node: NodeId, dead: bool, silent: bool, thawed: bool) {
        let at = self.clock.now;
        for (group, member) in self.index.members_at(node) {
            self.convergence.changed(group.0 as usize, at);
            if dead {
                self.listeners.died(member);
                let slot = self.delivery.slot(member);
                self.orders[slot].died(member);
            }
            if thawed {
                self.takeover.thawed(member, at);
            }
            for i in 0..self.index.group(group).feeds.len() {
                let feed = self.index.group(group).feeds[i];
                let held =
                    if dead { self.ownership.died(feed, member, at) } else { self.ownership.frozen(feed, member, silent, at) };
                if held && dead {
                    self.delivery.holder_died(feed);
                }
                if held && silent && self.index.feeds[feed as usize].counted {
                    self.takeover.lost(feed, member, !dead, at);
                }
                if held {
                    self.recheck(feed);
                }
            }
        }
    }

    pub(super) fn fault(&mut self, index: u16, on: bool, touched: u64) {
        let index = index as usize;
        if index >= self.faults.len() {
            self.faults.resize(index + 1, FaultLog::default());
        }
        let fault = &mut self.faults[index];
        fault.touched = fault.touched.max(touched);
        let facts = self.facts.faults.get(index);
        if on {
            fault.from.get_or_insert(self.clock.now);
            fault.until = None;
            fault.restarting = facts.map_or_else(Vec::new, |f| f.restarts.clone());
        } else if facts.is_some_and(|f| f.ends) {
            // The end of the run reports every fault once more; that ends only those that are still on.
            fault.until.get_or_insert(self.clock.now);
        }
    }

    /// A process came up. A restart has no end of its own: it is over when the last of its processes is back.
    fn restarted(&mut self, node: NodeId) {
        for fault in self.faults.iter_mut().filter(|fault| fault.restarting.contains(&node)) {
            fault.restarting.retain(|n| *n != node);
            if fault.restarting.is_empty() {
                fault.until = Some(self.clock.now);
            }
        }
    }

    /// Most minus fewest queues of a living member, by group.
    pub(super) fn balance(&self) -> Vec<Option<u64>> {
        let mut held = vec![0u64; self.facts.consumers.len()];
        for feed in 0..self.index.feeds.len() as u32 {
            if self.index.feeds[feed as usize].counted {
                self.ownership.members(feed).for_each(|m| held[m as usize] += 1);
            }
        }
        let of = |group: &Group| {
            let living: Vec<u64> = group.members.iter().filter(|m| self.roster.running(**m)).map(|m| held[*m as usize]).collect();
            let (most, fewest) = (living.iter().max()?, living.iter().min()?);
            group.clustering().then(|| most - fewest)
        };
        self.index.groups.iter().map(of).collect()
    }
}
