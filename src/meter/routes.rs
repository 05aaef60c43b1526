//! How long others went on believing in a broker that was dead or frozen: nameservers until they forgot it, clients until their publish
//! route dropped it; and how long clients kept a broker aside of their own accord.
//!
//! Beginnings come from the world's truth, ends from the believers' own notes. A broker that comes back ends the count without a result; a
//! believer that is dead believes nothing; what is believed at the end of the load is measured up to there. A new master of the same brokerName
//! takes the dead one's place at a nameserver when it registers (`RouteInfoManager#registerBroker`, 4.9.8), and at a client with the first changed route that
//! it takes afterwards.

use crate::base::ids::{Addr, BrokerName, NodeId, TopicId};
use crate::base::time::MS;
use crate::check::facts::{NodeKind, RunFacts};
use crate::check::roster::Roster;
use std::sync::Arc;

/// Believer, broker node, since when.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    believer: NodeId,
    broker: NodeId,
    since: u64,
    /// It was its set's master.
    master: bool,
}

/// Worst of a kind, and whose.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    /// ns
    pub value: Option<u64>,
    /// (believer, broker, ns, still believed)
    pub rows: Vec<(NodeId, NodeId, u64, bool)>,
}

impl Worst {
    fn add(&mut self, doubt: Doubt, until: u64, open: bool) {
        let took = until.saturating_sub(doubt.since);
        self.value = self.value.max(Some(took));
        if self.rows.len() < 256 {
            self.rows.push((doubt.believer, doubt.broker, took, open));
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Aside {
    until: u64,
    total: u64,
}

#[derive(Clone, Debug)]
pub struct Routes {
    zero: u64,
    load_end: u64,
    kinds: Vec<NodeKind>,
    /// By nameserver node: brokers registered there, as nodes.
    registered: Vec<Vec<NodeId>>,
    /// By client node: its publish routes.
    believed: Vec<Vec<(TopicId, Arc<[BrokerName]>)>>,
    at_nameservers: Vec<Doubt>,
    at_clients: Vec<Doubt>,
    pub removal: Worst,
    pub stale: Worst,
    /// By client node, then broker; empty for clients that avoid nobody.
    aside: Vec<Vec<Aside>>,
    brokers: usize,
    addrs: Vec<Addr>,
    /// By brokerName: who last registered as its master.
    masters: Vec<Option<NodeId>>,
}

impl Routes {
    pub fn new(facts: &RunFacts) -> Self {
        let nodes = facts.nodes.len();
        let brokers = facts.names.brokers().count();
        Routes {
            zero: facts.zero,
            load_end: facts.load_end,
            kinds: facts.nodes.iter().map(|n| n.kind).collect(),
            registered: vec![Vec::new(); nodes],
            believed: vec![Vec::new(); nodes],
            at_nameservers: Vec::new(),
            at_clients: Vec::new(),
            removal: Worst::default(),
            stale: Worst::default(),
            aside: vec![Vec::new(); nodes],
            brokers,
            addrs: facts.nodes.iter().map(|n| n.addr).collect(),
            masters: vec![None; brokers],
        }
    }

    /// The run ended before its load did.
    pub fn shorten(&mut self, end: u64) {
        self.load_end = self.load_end.min(end);
    }

    fn node_of(&self, name: BrokerName, id: u64) -> Option<NodeId> {
        let is = |kind: &NodeKind| *kind == NodeKind::Broker { broker: name, broker_id: id };
        self.kinds.iter().position(is).map(|n| NodeId(n as u16))
    }

    /// A process died or was frozen.
    pub fn silenced(&mut self, node: NodeId, dead: bool, roster: &Roster, at: u64) {
        match self.kinds[node.0 as usize] {
            NodeKind::Broker { broker, broker_id } if (self.zero..self.load_end).contains(&at) => {
                let master = self.masters[broker.0 as usize].map_or(broker_id == 0, |master| master == node);
                for (believer, registered) in self.registered.iter().enumerate() {
                    let believer = NodeId(believer as u16);
                    let known = self.at_nameservers.iter().any(|d| d.believer == believer && d.broker == node);
                    if registered.contains(&node) && !known && roster.life(believer).up {
                        self.at_nameservers.push(Doubt { believer, broker: node, since: at, master });
                    }
                }
                // Sends go to masters only.
                for (believer, routes) in self.believed.iter().enumerate().filter(|_| master) {
                    let believer = NodeId(believer as u16);
                    let known = self.at_clients.iter().any(|d| d.believer == believer && d.broker == node);
                    if routes.iter().any(|r| r.1.contains(&broker)) && !known && roster.life(believer).up {
                        self.at_clients.push(Doubt { believer, broker: node, since: at, master });
                    }
                }
            }
            NodeKind::Broker { .. } => {}
            NodeKind::Nameserver if dead => {
                self.registered[node.0 as usize].clear();
                self.at_nameservers.retain(|d| d.believer != node);
            }
            NodeKind::Client if dead => {
                self.believed[node.0 as usize].clear();
                self.at_clients.retain(|d| d.believer != node);
                // Its table of avoided brokers dies with it.
                for aside in &mut self.aside[node.0 as usize] {
                    aside.total -= aside.until.min(self.load_end).saturating_sub(at.max(self.zero));
                    aside.until = aside.until.min(at);
                }
            }
            _ => {}
        }
    }

    /// A broker is back: believing in it is right again.
    pub fn back(&mut self, node: NodeId) {
        self.at_nameservers.retain(|d| d.broker != node);
        self.at_clients.retain(|d| d.broker != node);
    }

    /// `addr` says who it is: a promoted slave registers with the id of the master that it follows.
    pub fn registered(&mut self, nameserver: NodeId, name: BrokerName, id: u64, addr: Addr, at: u64) {
        let who = self.addrs.iter().position(|a| *a == addr).map(|n| NodeId(n as u16));
        if let (0, Some(who)) = (id, who) {
            self.masters[name.0 as usize] = Some(who);
            let (kinds, removal, load_end) = (&self.kinds, &mut self.removal, self.load_end);
            let replaced = |d: &Doubt| {
                let of_set = matches!(kinds[d.broker.0 as usize], NodeKind::Broker { broker, .. } if broker == name);
                d.believer == nameserver && d.broker != who && d.master && of_set
            };
            self.at_nameservers.retain(|doubt| {
                let ended = replaced(doubt);
                if ended {
                    removal.add(*doubt, at.min(load_end), false);
                }
                !ended
            });
        }
        if let Some(broker) = who.or_else(|| self.node_of(name, id)) {
            let known = &mut self.registered[nameserver.0 as usize];
            if !known.contains(&broker) {
                known.push(broker);
            }
        }
    }

    pub fn forgotten(&mut self, nameserver: NodeId, name: BrokerName, id: u64, at: u64) {
        let Some(broker) = self.node_of(name, id) else { return };
        self.registered[nameserver.0 as usize].retain(|b| *b != broker);
        if let Some(i) = self.at_nameservers.iter().position(|d| d.believer == nameserver && d.broker == broker) {
            let doubt = self.at_nameservers.swap_remove(i);
            self.removal.add(doubt, at.min(self.load_end), false);
        }
    }

    pub fn believed(&mut self, client: NodeId, topic: TopicId, brokers: &Arc<[BrokerName]>, at: u64) {
        let routes = &mut self.believed[client.0 as usize];
        match routes.iter_mut().find(|r| r.0 == topic) {
            Some(route) => route.1 = brokers.clone(),
            None => routes.push((topic, brokers.clone())),
        }
        let (kinds, masters, stale, load_end) = (&self.kinds, &self.masters, &mut self.stale, self.load_end);
        self.at_clients.retain(|doubt| {
            let NodeKind::Broker { broker, .. } = kinds[doubt.broker.0 as usize] else { return false };
            let replaced = || {
                let another = masters[broker.0 as usize].is_some_and(|master| master != doubt.broker);
                another && brokers.contains(&broker)
            };
            let ended = doubt.believer == client && (!routes.iter().any(|r| r.1.contains(&broker)) || replaced());
            if ended {
                stale.add(*doubt, at.min(load_end), false);
            }
            !ended
        });
    }

    pub fn avoided(&mut self, client: NodeId, broker: BrokerName, ms: u32, at: u64) {
        let (zero, load_end) = (self.zero, self.load_end);
        let table = &mut self.aside[client.0 as usize];
        table.resize(self.brokers, Aside::default());
        let aside = &mut table[broker.0 as usize];
        // Take back what was counted ahead, then count ahead anew.
        let ahead = |until: u64| until.min(load_end).saturating_sub(at.max(zero));
        aside.total -= ahead(aside.until);
        aside.until = at + ms as u64 * MS;
        aside.total += ahead(aside.until);
    }

    /// ns summed over clients, by broker; from time 0 to the end of the load.
    pub fn avoided_time(&self, broker: BrokerName) -> u64 {
        self.aside.iter().filter_map(|a| a.get(broker.0 as usize)).map(|a| a.total).sum()
    }

    /// What is still believed at the end of the load.
    pub fn finish(&mut self) {
        for doubt in std::mem::take(&mut self.at_nameservers) {
            self.removal.add(doubt, self.load_end, true);
        }
        for doubt in std::mem::take(&mut self.at_clients) {
            self.stale.add(doubt, self.load_end, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, facts_with_slave, play, play_with};

    const KNOWN: &str = "-5 ns-0 brokerup a; -5 ns-0 brokerup b; -4 pg-0 route a,b; -4 c1 route a,b;";
    const S: i64 = SEC as i64;

    #[test]
    fn believing_in_the_dead() {
        let found = play(&format!("{KNOWN} 10 broker-b killed; 10.5 ns-0 brokerdown b closed; 20 pg-0 route a; 38 c1 route a"));
        assert_eq!((counter(&found, "route_removal"), counter(&found, "stale_route")), (Some(S / 2), Some(28 * S)));
        assert_eq!(causes(&found, "stale_route"), "broker-b at c1 28000000000, broker-b at pg-0 10000000000");
        assert_eq!(counter(&play(KNOWN), "stale_route"), None);
    }

    #[test]
    fn a_return_ends_it_and_the_end_of_the_load_cuts_it() {
        let back = play(&format!("{KNOWN} 10 broker-b frozen; 30 broker-b thawed; 40 ns-0 brokerdown b closed; 41 pg-0 route a"));
        assert_eq!((counter(&back, "route_removal"), counter(&back, "stale_route")), (None, None));
        let never = play(&format!("{KNOWN} 10 c1 killed; 90 broker-b hostlost"));
        assert_eq!((counter(&never, "route_removal"), counter(&never, "stale_route")), (Some(10 * S), Some(10 * S)));
        assert_eq!(causes(&never, "stale_route"), "broker-b at pg-0 (still at the end) 10000000000");
    }

    /// Of a set whose slave becomes its master: the nameserver drops the dead one then, each client with its next route.
    #[test]
    fn a_new_master_of_the_same_name_takes_the_place_of_the_dead_one() {
        let known = "-5 ns-0 brokerup a; -5 ns-0 brokerup b; -4 pg-0 route a,b;";
        let of = |script: &str| play_with(facts_with_slave(), &format!("{known} 10 broker-a hostlost; {script}"));
        let found = of("25 ns-0 brokerup a broker-a-s; 40 pg-0 route a,b; 70 pg-0 route b");
        assert_eq!((counter(&found, "route_removal"), counter(&found, "stale_route")), (Some(15 * S), Some(30 * S)));
        assert_eq!(causes(&found, "stale_route"), "broker-a at pg-0 30000000000");
        let other_name = of("25 ns-0 brokerup b broker-b; 40 pg-0 route a,b");
        assert_eq!(counter(&other_name, "stale_route"), Some(90 * S), "a route that leads to the dead one still");
    }

    #[test]
    fn keeping_aside_is_summed_without_overlaps() {
        let found = play("10 pg-0 avoided b 30000; 20 pg-0 avoided b 30000; 45 pg-0 avoided b 0; 50 pg-0 avoided a 600000");
        assert_eq!(counter(&found, "avoided_broker_time"), Some(85 * S));
        assert_eq!(causes(&found, "avoided_broker_time"), "broker-a 50000000000, broker-b 35000000000");
        assert_eq!(
            counter(&play("1 pg-0 began 0"), "avoided_broker_time"),
            Some(0),
            "a bound of 0 can be held without avoidance"
        );
    }
}
