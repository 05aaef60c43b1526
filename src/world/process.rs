//! A process slot and its host: the role of the current life, its clock, its sockets, what was kept from it while it stood still.

use super::*;

/// A role of any kind.
#[derive(Clone, Debug)]
pub(super) enum AnyRole {
    NameServer(Box<NameServer>),
    Broker(Box<Broker>),
    Client(Box<ClientProcess>),
}

impl AnyRole {
    pub(super) fn handle(&mut self, now: Now, input: Input<Frame>, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        match self {
            AnyRole::NameServer(role) => role.handle(now, input, env, out),
            AnyRole::Broker(role) => role.handle(now, input, env, out),
            AnyRole::Client(role) => role.handle(now, input, env, out),
        }
    }
    pub(super) fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        match self {
            AnyRole::NameServer(role) => role.next_deadline(now),
            AnyRole::Broker(role) => role.next_deadline(now),
            AnyRole::Client(role) => role.next_deadline(now),
        }
    }
}

/// The blueprint of a role: a new life is built from it and the disk.
#[derive(Clone, Debug)]
pub(super) enum Blueprint {
    NameServer(Arc<NameserverConfig>),
    Broker(Arc<BrokerConfig>),
    Client(Arc<ClientConfig>),
}

impl Blueprint {
    pub(super) fn build(&self) -> AnyRole {
        match self {
            Blueprint::NameServer(config) => AnyRole::NameServer(Box::new(NameServer::new(config.clone()))),
            Blueprint::Broker(config) => AnyRole::Broker(Box::new(Broker::new(config.clone()))),
            Blueprint::Client(config) => AnyRole::Client(Box::new(ClientProcess::new(config.clone()))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Down,
    Booting,
    Up,
    Frozen,
    /// Killed; its kernel takes its memory apart before it closes its sockets.
    Dying,
}

impl State {
    /// The kernel still answers for the process: it completes handshakes and buffers.
    pub(super) fn stands_still(self) -> bool {
        matches!(self, State::Frozen | State::Dying)
    }
}

/// One process slot. What every event touches lies together in front: with thousands of processes none of it is in a cache when an event comes.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Process {
    pub(super) role: Option<AnyRole>,
    pub(super) clock: NodeClock,
    /// Events this node has scheduled.
    pub(super) counter: u64,
    /// True time of the live wake-up, and of the deadline it is for; `u64::MAX`: none.
    pub(super) armed: u64,
    pub(super) armed_for: u64,
    pub(super) entity: Entity,
    pub(super) host: u16,
    pub(super) life: u16,
    pub(super) state: State,
    pub(super) fresh: bool,
    /// Connections the kernel accepted for a frozen process.
    pub(super) backlog: u32,
    pub(super) outgoing: Vec<ConnId>,
    pub(super) accepted: Vec<ConnId>,
    /// When its selectors have read everything that came while it stood still.
    pub(super) drained_at: u64,
    /// When it last thawed; 0: never in this life.
    pub(super) thawed_at: u64,
    /// Batches that this life has taken to its listeners.
    pub(super) deliveries: u64,
    /// Calls of this life that were answered, with those before its load; as good as endless where nobody sends.
    pub(super) answered: u64,
    pub(super) consumers: Vec<Listener>,
    pub(super) free_accepted: Vec<u32>,
    /// What came while frozen and is not a frame.
    pub(super) held: Vec<Held>,
    /// Frozen since.
    pub(super) frozen_at: u64,
    /// It is to start again so long after its end, ns.
    pub(super) again: Option<u64>,
    pub(super) blueprint: Blueprint,
}

impl Process {
    /// No wake-up is planned.
    pub(super) fn disarm(&mut self) {
        (self.armed, self.armed_for) = (u64::MAX, u64::MAX);
    }
}

/// A consumer's listener, as the application wrote it.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) member: u16,
    pub(super) service: Quantiles,
    pub(super) script: ListenerScript,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    Accepted(ConnId),
    Worked(u32),
    Listened(u32, bool),
    Due(u32),
    Connected(ConnId, bool),
    /// A close that its selector has not come to.
    Closing(ConnId, u32),
    Stop,
}

/// A listener call under way: enough to answer for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) ticket: u32,
    pub(super) fails: bool,
    pub(super) throws: bool,
}

/// A host: its processes share its fate.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) lost: bool,
    /// Rises when the host comes back: flows of before are unknown to it.
    pub(super) incarnation: u32,
    pub(super) processors: Vec<Processor>,
    /// More than one process runs on it.
    pub(super) shared: bool,
    /// Processes that are starting.
    pub(super) boots: Boots,
    /// It stands still until then.
    pub(super) stands_until: u64,
}

/// The hosts of a specification. Processes that share one share its processors: as many as the largest of them is told it has.
pub(super) fn hosts(spec: &Spec) -> Vec<Host> {
    let mut hosts = vec![Host::default(); spec.hosts.len()];
    for node in &spec.nodes {
        let Some(host) = hosts.get_mut(node.host as usize) else { continue };
        host.shared = !host.processors.is_empty();
        let cpus = host.processors.len().max(node.cpus.max(1) as usize);
        host.processors.resize_with(cpus, Processor::default);
        host.boots.cpus = cpus as u64;
    }
    hosts
}
