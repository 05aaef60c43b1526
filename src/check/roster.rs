//! Who lives: which processes are up or frozen since when, and how many members a group truly has.
//!
//! Built from the world's notes of truth, so that what roles believe (member lists, routes) can be measured against it.

use super::facts::RunFacts;
use super::index::Index;
use crate::base::ids::{GroupId, NodeId};
use crate::contract::note::{Note, Stamp};

/// One process slot. Times are ns from the beginning of the run, 0 while it never happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Life {
    pub up: bool,
    pub frozen: bool,
    pub up_at: u64,
    pub down_at: u64,
    pub frozen_at: u64,
    pub thawed_at: u64,
}

impl Life {
    /// Up and running.
    pub fn awake(&self) -> bool {
        self.up && !self.frozen
    }
    /// Since when it is dead or frozen; `None` while it is awake.
    pub fn silent_since(&self) -> Option<u64> {
        match (self.up, self.frozen) {
            (false, _) => Some(self.down_at),
            (true, true) => Some(self.frozen_at),
            (true, false) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Roster {
    nodes: Vec<Life>,
    /// By member: started and neither shut down nor dead. A frozen process still counts: it may come back.
    running: Vec<bool>,
    /// By group: living members, and when that number last changed.
    living: Vec<(u16, u64)>,
    /// By member: (node, client index, group, starts with the process).
    members: Vec<(NodeId, u16, GroupId, bool)>,
}

impl Roster {
    pub fn new(facts: &RunFacts) -> Self {
        Roster {
            nodes: vec![Life::default(); facts.nodes.len()],
            running: vec![false; facts.consumers.len()],
            living: vec![(0, 0); facts.names.groups().count()],
            members: facts.consumers.iter().map(|c| (c.node, c.client_index, c.group, c.from_start)).collect(),
        }
    }

    pub fn life(&self, node: NodeId) -> Life {
        self.nodes.get(node.0 as usize).copied().unwrap_or_default()
    }
    pub fn running(&self, member: u16) -> bool {
        self.running[member as usize]
    }
    /// Living members of a group, and when that last changed.
    pub fn living(&self, group: GroupId) -> (u16, u64) {
        self.living[group.0 as usize]
    }
    /// The process of a member.
    pub fn node_of(&self, member: u16) -> NodeId {
        self.members[member as usize].0
    }

    /// Takes in a note of truth or of a client's start and end. Says which groups' membership it changed.
    pub fn note(&mut self, stamp: Stamp, note: &Note, index: &Index) -> Vec<GroupId> {
        let Some(life) = self.nodes.get_mut(stamp.node.0 as usize) else { return Vec::new() };
        match note {
            Note::Up => (life.up, life.frozen, life.up_at) = (true, false, stamp.at),
            Note::Killed | Note::HostLost | Note::Exited => {
                if life.up {
                    life.down_at = stamp.at;
                }
                (life.up, life.frozen) = (false, false);
            }
            Note::Frozen => (life.frozen, life.frozen_at) = (true, stamp.at),
            Note::Thawed => (life.frozen, life.thawed_at) = (false, stamp.at),
            _ => {}
        }
        let mut changed = Vec::new();
        for (group, member) in index.members_at(stamp.node) {
            let (_, client, _, from_start) = self.members[member as usize];
            let runs = match note {
                Note::Up => from_start,
                Note::Killed | Note::HostLost | Note::Exited => false,
                Note::ClientStarted { index, ok } if *index == client => *ok,
                Note::ShutdownEnded { index } if *index == client => false,
                _ => continue,
            };
            if std::mem::replace(&mut self.running[member as usize], runs) != runs {
                let living = &mut self.living[group.0 as usize];
                *living = (if runs { living.0 + 1 } else { living.0 - 1 }, stamp.at);
                if !changed.contains(&group) {
                    changed.push(group);
                }
            }
        }
        changed
    }
}
