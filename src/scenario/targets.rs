//! Who a fault, a link or an expectation speaks of: nodes by name, glob, group, broker name or host.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, short};
use super::nodes::{Draft, KindDraft};
use super::suggest::nearest;
use super::tree::Place;
use super::values::TargetName;
use crate::base::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Every name that a target may consist of.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Name and host of each node; the index is its id.
    pub(super) nodes: Vec<(String, u16)>,
    /// Hosts, in the order of their first node.
    pub(super) hosts: Vec<String>,
    /// Numbers of hosts that were named in the file, in the order of their first node.
    pub(super) named_hosts: BTreeMap<u16, u32>,
    node_by_name: BTreeMap<String, u16>,
    host_by_name: BTreeMap<String, u16>,
    /// Members of processes that may hold several: node and number in it.
    members: BTreeMap<String, (u16, u16)>,
    /// Members of each group: node, number in it.
    groups: BTreeMap<String, Vec<(u16, u16)>>,
    /// Nodes of each brokerName.
    brokers: BTreeMap<String, Vec<u16>>,
    /// How many members a shared process has.
    shared: BTreeMap<u16, u16>,
}

/// What a target came to.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// Whole processes.
    pub(super) nodes: Vec<NodeId>,
    /// Single members of processes that hold others too.
    pub(super) members: Vec<(NodeId, u16)>,
}

/// Whether a glob ('*' any text, '?' one character) or a plain name fits.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < n.len() {
        if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && (p[i] == '?' || p[i] == n[j]) {
            i += 1;
            j += 1;
        } else if let Some((si, sj)) = star {
            i = si + 1;
            j = sj + 1;
            star = Some((si, sj + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

impl Roster {
    pub(super) fn new(draft: &Draft) -> Roster {
        let mut roster = Roster::default();
        for (i, node) in draft.nodes.iter().enumerate() {
            let id = i as u16;
            let named = node.common.host.is_some();
            let host = node.common.host.as_ref().map_or(&node.name, |h| &h.0).clone();
            let host = *roster.host_by_name.entry(host).or_insert_with_key(|name| {
                roster.hosts.push(name.clone());
                (roster.hosts.len() - 1) as u16
            });
            if named {
                let next = roster.named_hosts.len() as u32;
                roster.named_hosts.entry(host).or_insert(next);
            }
            roster.node_by_name.entry(node.name.clone()).or_insert(id);
            roster.nodes.push((node.name.clone(), host));
            match &node.kind {
                KindDraft::Nameserver(_) => {}
                KindDraft::Broker(broker) => roster.brokers.entry(broker.broker.clone()).or_default().push(id),
                KindDraft::Client(client) => {
                    for (m, member) in client.members.iter().enumerate() {
                        roster.groups.entry(member.group.clone()).or_default().push((id, m as u16));
                        if client.shared {
                            roster.members.insert(member.name.clone(), (id, m as u16));
                        }
                    }
                    if client.shared {
                        roster.shared.insert(id, client.members.len() as u16);
                    }
                }
            }
        }
        roster
    }

    pub(super) fn host(&self, node: NodeId) -> u16 {
        self.nodes.get(node.0 as usize).map_or(0, |n| n.1)
    }
    pub(super) fn is_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }
    pub(super) fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
    pub(super) fn broker_names(&self) -> impl Iterator<Item = &str> {
        self.brokers.keys().map(String::as_str)
    }
    /// Every name, for near ones.
    fn all_names(&self) -> impl Iterator<Item = &str> {
        let nodes = self.nodes.iter().map(|n| n.0.as_str());
        let rest = self.groups.keys().chain(self.brokers.keys()).chain(self.members.keys()).chain(self.hosts.iter());
        nodes.chain(rest.map(String::as_str))
    }

    /// (node, member of a shared process) pairs that one name stands for; empty if it stands for nothing.
    fn find(&self, text: &str) -> Vec<(u16, Option<u16>)> {
        if let Some(&node) = self.node_by_name.get(text) {
            return vec![(node, None)];
        }
        let member = |(node, m): (u16, u16)| (node, self.shared.contains_key(&node).then_some(m));
        if let Some(&found) = self.members.get(text) {
            return vec![member(found)];
        }
        if let Some(found) = self.groups.get(text) {
            return found.iter().map(|f| member(*f)).collect();
        }
        if let Some(found) = self.brokers.get(text) {
            return found.iter().map(|node| (*node, None)).collect();
        }
        let on_host = |host: u16| self.nodes.iter().enumerate().filter(move |(_, n)| n.1 == host).map(|(i, _)| (i as u16, None));
        if let Some(&host) = self.host_by_name.get(text) {
            return on_host(host).collect();
        }
        if !is_glob(text) {
            return Vec::new();
        }
        let mut found: Vec<(u16, Option<u16>)> =
            self.nodes.iter().enumerate().filter(|(_, n)| matches(text, &n.0)).map(|(i, _)| (i as u16, None)).collect();
        if found.is_empty() {
            found.extend(self.members.iter().filter(|(name, _)| matches(text, name)).map(|(_, m)| member(*m)));
        }
        if found.is_empty() {
            found.extend(
                self.groups.iter().filter(|(name, _)| matches(text, name)).flat_map(|(_, f)| f.iter().map(|m| member(*m))),
            );
        }
        if found.is_empty() {
            found.extend(
                self.hosts.iter().enumerate().filter(|(_, name)| matches(text, name)).flat_map(|(h, _)| on_host(h as u16)),
            );
        }
        found
    }

    /// Everything that a target stands for, each once, in the order of the nodes; reports names that stand for nothing.
    pub(super) fn hits(&self, ctx: &Ctx<'_>, target: &[TargetName]) -> Hits {
        let mut nodes: BTreeSet<u16> = BTreeSet::new();
        let mut members: BTreeSet<(u16, u16)> = BTreeSet::new();
        for name in target {
            let found = self.find(&name.text);
            if found.is_empty() {
                self.report_unknown(ctx, name);
            }
            for (node, member) in found {
                match member {
                    None => nodes.insert(node),
                    Some(m) => members.insert((node, m)),
                };
            }
        }
        // All members of a process are the process.
        for (node, count) in &self.shared {
            if members.range((*node, 0)..=(*node, u16::MAX)).count() == *count as usize {
                nodes.insert(*node);
            }
        }
        members.retain(|(node, _)| !nodes.contains(node));
        Hits {
            nodes: nodes.into_iter().map(NodeId).collect(),
            members: members.into_iter().map(|(node, m)| (NodeId(node), m)).collect(),
        }
    }

    fn report_unknown(&self, ctx: &Ctx<'_>, name: &TargetName) {
        let error = ScenarioError::new(Problem::UnknownName, format!("\"{}\" names nothing in this scenario", short(&name.text)));
        let near = if ctx.is_full() { None } else { nearest(&name.text, self.all_names()) };
        let error = match near {
            Some(_) => error.did_you_mean(near),
            None => {
                let some: Vec<&str> = self.nodes.iter().take(6).map(|n| n.0.as_str()).collect();
                error.expected(format!(
                    "a node, group, brokerName, host or glob; nodes are {}{}",
                    some.join(", "),
                    if self.nodes.len() > 6 { ", …" } else { "" }
                ))
            }
        };
        ctx.push(name.place, error);
    }

    /// Whole processes only: a signal cannot reach one member of a process.
    pub(super) fn processes(&self, ctx: &Ctx<'_>, target: &[TargetName], verb: &str, place: Place) -> Vec<NodeId> {
        let hits = self.hits(ctx, target);
        if let Some((node, _)) = hits.members.first() {
            let process = self.nodes.get(node.0 as usize).map_or("", |n| n.0.as_str());
            let error = ScenarioError::new(
                Problem::Conflict,
                format!("\"{verb}\" strikes whole processes, and process \"{process}\" holds others too"),
            );
            ctx.push(
                place,
                error.remedy(format!("name the process \"{process}\"; \"start\" and \"shutdown\" reach single members")),
            );
        }
        hits.nodes
    }

    /// The hosts of everything that a target stands for.
    pub(super) fn host_set(&self, ctx: &Ctx<'_>, target: &[TargetName]) -> Vec<u16> {
        let hits = self.hits(ctx, target);
        let nodes = hits.nodes.into_iter().chain(hits.members.into_iter().map(|m| m.0));
        nodes.map(|n| self.host(n)).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_fit() {
        for (pattern, name) in
            [("*", ""), ("broker-*", "broker-a:0"), ("*:0", "broker-a:0"), ("cg-?", "cg-1"), ("a*b*c", "aXbbYc"), ("x", "x")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "x"), ("cg-?", "cg-10"), ("broker-*", "ns-0"), ("a*b", "abc")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
