//! Whose help a broker has: whether those whose answer its puts wait for are in its reach, and whether a group could elect somebody.
//!
//! A DLedger leader needs a majority of its group (server spec 11.4), a SYNC_MASTER one slave (`HAService#isSlaveOK`, 4.9.8; server spec 10.5). Both follow from
//! truth alone: who is up and awake, who has read its log since it started, which links are cut. So it is known to the nanosecond when
//! a broker lost its help, long before it notices: a leader steps down after `maxHeartBeatLeak` rounds of heartbeats, a put fails after its timeout.

use super::strikes::Majority;
use crate::base::ids::{BrokerName, NodeId};
use crate::check::facts::{Needs, NodeKind, RunFacts};
use crate::check::roster::Roster;
use std::sync::Arc;

/// What a look at a set has found to be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Lost(NodeId),
    Regained(NodeId),
}

/// Cut links: the fault, one side, the other.
type Severed = (u16, Arc<[NodeId]>, Arc<[NodeId]>);

#[derive(Clone, Debug)]
pub(super) struct Support {
    /// By set: its brokers.
    sets: Vec<Vec<NodeId>>,
    /// By node.
    needs: Vec<Needs>,
    /// It has read its log in this life.
    ready: Vec<bool>,
    leads: Vec<bool>,
    severed: Vec<Severed>,
    /// By set: who takes its messages has whom it needs; some member could win an election.
    held: Vec<bool>,
    electable: Vec<bool>,
}

impl Support {
    pub(super) fn new(facts: &RunFacts) -> Self {
        let brokers = facts.names.brokers().count();
        let mut sets = vec![Vec::new(); brokers];
        for (n, node) in facts.nodes.iter().enumerate() {
            if let NodeKind::Broker { broker, .. } = node.kind {
                sets[broker.0 as usize].push(NodeId(n as u16));
            }
        }
        let nodes = facts.nodes.len();
        Support {
            sets,
            needs: facts.nodes.iter().map(|n| n.needs).collect(),
            ready: vec![false; nodes],
            leads: vec![false; nodes],
            severed: Vec::new(),
            held: vec![false; brokers],
            electable: vec![false; brokers],
        }
    }

    pub(super) fn needs(&self, node: NodeId) -> Needs {
        self.needs[node.0 as usize]
    }
    pub(super) fn members(&self, set: BrokerName) -> &[NodeId] {
        &self.sets[set.0 as usize]
    }
    pub(super) fn ready(&mut self, node: NodeId, ready: bool) {
        self.ready[node.0 as usize] = ready;
        self.leads[node.0 as usize] &= ready;
    }
    pub(super) fn leads(&mut self, node: NodeId, leads: bool) {
        self.leads[node.0 as usize] = leads;
    }

    /// A fault cuts these off from those, in one direction at least: what asks for an answer gets none either way.
    pub(super) fn severed(&mut self, fault: u16, from: &Arc<[NodeId]>, to: &Arc<[NodeId]>) {
        self.severed.retain(|s| s.0 != fault);
        self.severed.push((fault, from.clone(), to.clone()));
    }
    /// It is over. Whether it had cut anything.
    pub(super) fn healed(&mut self, fault: u16) -> bool {
        let before = self.severed.len();
        self.severed.retain(|s| s.0 != fault);
        self.severed.len() < before
    }
    /// Whether one of the cuts, or that of this fault, separates the two.
    pub(super) fn severs(&self, fault: Option<u16>, one: NodeId, other: NodeId) -> bool {
        let across =
            |(_, from, to): &&Severed| from.contains(&one) && to.contains(&other) || from.contains(&other) && to.contains(&one);
        self.severed.iter().filter(|s| fault.is_none_or(|f| f == s.0)).any(|s| across(&s))
    }

    fn there(&self, node: NodeId, roster: &Roster) -> bool {
        self.ready[node.0 as usize] && roster.life(node).awake()
    }
    /// Those of its set that it reaches, itself left out.
    fn in_reach<'a>(&'a self, node: NodeId, set: BrokerName, roster: &'a Roster) -> impl Iterator<Item = NodeId> + 'a {
        let others = self.sets[set.0 as usize].iter().copied().filter(move |n| *n != node);
        others.filter(move |n| self.there(*n, roster) && !self.severs(None, node, *n))
    }
    fn is_majority(&self, members: usize, set: BrokerName) -> bool {
        members > self.sets[set.0 as usize].len() / 2
    }
    fn has_whom_it_needs(&self, node: NodeId, set: BrokerName, roster: &Roster) -> bool {
        match self.needs(node) {
            Needs::Nobody => true,
            Needs::Replica => self.in_reach(node, set, roster).next().is_some(),
            Needs::Majority => self.is_majority(1 + self.in_reach(node, set, roster).count(), set),
        }
    }

    /// `serving` takes the set's messages from now on: what it lacks, it lacked before.
    pub(super) fn serves(&mut self, set: BrokerName, serving: NodeId, roster: &Roster) {
        self.held[set.0 as usize] = self.has_whom_it_needs(serving, set, roster);
    }

    /// Somebody of the set, or a link, is not what it was: what that means to the broker that serves it. One that is not there itself loses nobody.
    pub(super) fn look(&mut self, set: BrokerName, serving: Option<NodeId>, roster: &Roster) -> Option<Change> {
        let serving = serving?;
        let leads = self.needs(serving) != Needs::Majority || self.leads[serving.0 as usize];
        let there = leads && self.there(serving, roster);
        let held = there && self.has_whom_it_needs(serving, set, roster);
        match (std::mem::replace(&mut self.held[set.0 as usize], held), held) {
            (true, false) if there => Some(Change::Lost(serving)),
            (false, true) => Some(Change::Regained(serving)),
            _ => None,
        }
    }

    /// Whether a majority that can vote for one of its own has just come about, and with whom. Only groups vote.
    pub(super) fn elects(&mut self, set: BrokerName, cause: Option<NodeId>, roster: &Roster) -> Option<Majority> {
        let members = &self.sets[set.0 as usize];
        let votes = members.iter().any(|n| self.needs(*n) == Needs::Majority);
        let hub = |n: &&NodeId| self.there(**n, roster) && self.is_majority(1 + self.in_reach(**n, set, roster).count(), set);
        let electable = votes && members.iter().any(|n| hub(&n));
        let before = std::mem::replace(&mut self.electable[set.0 as usize], electable);
        (electable && !before).then(|| cause.map_or(Majority::Link, Majority::Member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::Addr;
    use crate::check::facts::{NodeFacts, Waits};
    use crate::check::index::Index;
    use crate::check::script::facts;
    use crate::contract::note::{Note, Stamp};

    const SET: BrokerName = BrokerName(0);

    /// `broker-a` and two more of its set, all of them up.
    fn stage(needs: Needs) -> (Support, Roster, [NodeId; 3], impl Fn(&mut Roster, NodeId, &Note)) {
        let mut facts = facts();
        let mut ids = [NodeId(1); 3];
        for id in &mut ids[1..] {
            *id = NodeId(facts.nodes.len() as u16);
            let kind = NodeKind::Broker { broker: SET, broker_id: u64::from(id.0) };
            facts.nodes.push(NodeFacts { name: format!("m{}", id.0), kind, addr: Addr(id.0), waits: Waits::default(), needs });
        }
        facts.nodes[1].needs = needs;
        let index = Index::new(&facts);
        let tell = move |roster: &mut Roster, node: NodeId, note: &Note| {
            roster.note(Stamp { at: 1, node, life: 1, event: 0 }, note, &index);
        };
        let (mut support, mut roster) = (Support::new(&facts), Roster::new(&facts));
        for id in ids {
            tell(&mut roster, id, &Note::Up);
            support.ready(id, true);
        }
        support.leads(ids[0], true);
        support.serves(SET, ids[0], &roster);
        (support, roster, ids, tell)
    }

    #[test]
    fn a_majority_is_lost_with_the_second_of_three_and_regained_with_the_first_to_return() {
        let (mut support, mut roster, [a, b, c], tell) = stage(Needs::Majority);
        assert_eq!(support.elects(SET, Some(c), &roster), Some(Majority::Member(c)));
        let cut = |s: &mut Support, fault, x: NodeId, y: NodeId| s.severed(fault, &[x].into(), &[y].into());
        cut(&mut support, 0, a, b);
        assert_eq!(support.look(SET, Some(a), &roster), None);
        tell(&mut roster, c, &Note::Frozen);
        assert_eq!(support.look(SET, Some(a), &roster), Some(Change::Lost(a)));
        assert_eq!(support.look(SET, Some(a), &roster), None, "told once");
        assert_eq!(support.elects(SET, None, &roster), None);
        tell(&mut roster, c, &Note::Thawed);
        assert_eq!(support.look(SET, Some(a), &roster), Some(Change::Regained(a)));
        // b and c are on one side of a cut, the leader on the other: it has nobody, they can vote.
        cut(&mut support, 1, a, c);
        assert_eq!(support.look(SET, Some(a), &roster), Some(Change::Lost(a)));
        assert_eq!(support.elects(SET, None, &roster), Some(Majority::Link));
        // A leader that has stepped down gets nobody back by a whole link.
        support.leads(a, false);
        assert!(support.healed(0) && support.healed(1) && !support.healed(1));
        assert_eq!(support.look(SET, Some(a), &roster), None);
    }

    #[test]
    fn who_has_not_read_its_log_helps_nobody() {
        let (mut support, mut roster, [a, b, c], tell) = stage(Needs::Majority);
        support.elects(SET, None, &roster);
        for id in [b, c] {
            tell(&mut roster, id, &Note::Killed);
            support.ready(id, false);
        }
        assert_eq!((support.look(SET, Some(a), &roster), support.elects(SET, None, &roster)), (Some(Change::Lost(a)), None));
        tell(&mut roster, b, &Note::Up);
        assert_eq!((support.look(SET, Some(a), &roster), support.elects(SET, Some(b), &roster)), (None, None));
        support.ready(b, true);
        assert_eq!(support.elects(SET, Some(b), &roster), Some(Majority::Member(b)));
        assert_eq!(support.look(SET, Some(a), &roster), Some(Change::Regained(a)));
    }

    #[test]
    fn a_sync_master_needs_one_slave_and_others_need_nobody() {
        let (mut support, mut roster, [a, b, c], tell) = stage(Needs::Replica);
        tell(&mut roster, b, &Note::Killed);
        assert_eq!(support.look(SET, Some(a), &roster), None);
        tell(&mut roster, c, &Note::Frozen);
        assert_eq!(support.look(SET, Some(a), &roster), Some(Change::Lost(a)));
        assert_eq!(support.elects(SET, Some(a), &roster), None, "nobody votes");
        let (mut alone, mut roster, [a, b, c], tell) = stage(Needs::Nobody);
        [b, c].into_iter().for_each(|n| tell(&mut roster, n, &Note::Killed));
        assert_eq!(alone.look(SET, Some(a), &roster), None);
    }

    #[test]
    fn a_leader_that_is_gone_itself_loses_nobody() {
        let (mut support, mut roster, [a, b, c], tell) = stage(Needs::Majority);
        tell(&mut roster, a, &Note::Killed);
        assert_eq!(support.look(SET, Some(a), &roster), None);
        [b, c].into_iter().for_each(|n| tell(&mut roster, n, &Note::Killed));
        assert_eq!(support.look(SET, Some(a), &roster), None);
    }
}
