//! Who waits for a processor: work that stands in line for those of its host, and code that is cold.
//!
//! A host has as many processors as it has (`cpus`), each known by the moment at which it is free again. Most work of RocketMQ is far too short to be
//! waited for, so only bursts take a place: threads that one closing channel fails together, everything where processes share a host, and the
//! first steps of a process. A JVM loads classes, interprets and then compiles, so that the n-th time of anything costs an n-th of the first; the
//! compiling is done by threads of its own, which want processors too.

use super::*;

/// What HotSpot's compiler threads take of the processors for each ms that cold code takes, in hundredths: over the first two hundred deliveries a
/// DefaultMQPushConsumer (4.9.8, JDK 17) spent 0.29 s in `C1` and `C2 CompilerThread0` and 0.40 s in all other threads.
const COMPILED_PERCENT: u64 = 75;

/// So many calls that a further one costs nothing more.
const WARM: u64 = u64::MAX / 2;

/// How long a thread computes before another one may have its processor, ns: Linux looks once a tick (`CONFIG_HZ` 250), and lets a thread finish its slice.
const TICK: u64 = 4 * MS;

/// A processor of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Processor {
    /// When those in line for it have had it, short as their work is.
    free: u64,
    /// Until when cold code computes on it.
    cold: u64,
    /// When each piece of that would end if it were done in turn.
    pieces: Vec<u64>,
}

impl Processor {
    /// When work of `lasts` ns is done whose thread is woken now. The thread that computes keeps its processor for the rest of the tick; then each of those that do
    /// has as much of it as the new one.
    fn done(&self, now: u64, lasts: u64) -> u64 {
        let turn = now.max(self.free);
        let backlog = self.cold.saturating_sub(turn);
        if backlog == 0 {
            return turn + lasts;
        }
        let others = self.pieces.iter().filter(|end| **end > turn).count() as u64;
        turn + backlog.min(TICK - now % TICK + others.saturating_mul(lasts)) + lasts
    }

    fn computes(&mut self, now: u64, lasts: u64) {
        self.cold = now.max(self.cold) + lasts;
        self.pieces.retain(|end| *end > now);
        self.pieces.push(self.cold);
    }
}

/// So long cold code is as fast or slow on all of a host, ns. Live members took 0.8 to 5.1 s to start, those of one run hardly differed, also where they started 3 s
/// apart (0.89, 0.83, 0.83 s; 5.11, 5.03, 4.22 s), and neither did the slowest deliveries of their queues (26 to 60 ms; 163 to 342 ms); but runs with slow starts had
/// slow first deliveries, half a minute later, no more often than others.
const ONE_LUCK: u64 = 30 * SEC;

/// Processors that a JVM keeps busy while it starts, if there are so many: one loads and interprets, others compile.
const BOOT_PROCESSORS: u64 = 2;

/// Processes of one host that are starting. Each has the same share of the processors, so that three JVMs started at once on two processors take three
/// times as long as one, and end together: live members started 3 s apart were known after 0.8 to 2.4 s, three started at once after 2.4 to 5.6 s.
#[derive(Clone, Debug, Default)]
pub(super) struct Boots {
    pub(super) cpus: u64,
    /// What each has still to do, as it was at `since`: the time it would take alone, ns.
    left: Vec<(NodeId, u64)>,
    since: u64,
}

impl Boots {
    pub(super) fn begin(&mut self, node: NodeId, now: u64, lasts: u64) {
        self.advance(now);
        self.left.push((node, lasts));
    }

    /// Ends a start, or breaks it off; false if there was none.
    pub(super) fn end(&mut self, node: NodeId, now: u64) -> bool {
        let Some(place) = self.left.iter().position(|(n, _)| *n == node) else { return false };
        self.advance(now);
        self.left.remove(place);
        true
    }

    pub(super) fn is_over(&self, node: NodeId, now: u64) -> bool {
        self.left.iter().all(|(n, left)| *n != node || *left <= self.done(now))
    }

    /// When each would be over if nothing changed.
    pub(super) fn ends(&self) -> Vec<(NodeId, u64)> {
        let (share, of) = self.share();
        let lasts = |left: u64| u64::try_from((left as u128 * of as u128).div_ceil(share as u128)).unwrap_or(u64::MAX);
        // Far beyond the end of any run, and still a time that others may be added to.
        let end = |left: u64| self.since.saturating_add(lasts(left)).min(u64::MAX / 2);
        self.left.iter().map(|(node, left)| (*node, end(*left))).collect()
    }

    /// What each has of what it wants, as a fraction.
    fn share(&self) -> (u64, u64) {
        let cpus = self.cpus.max(1);
        (cpus, cpus.max(BOOT_PROCESSORS.min(cpus) * self.left.len() as u64))
    }

    fn done(&self, now: u64) -> u64 {
        let (share, of) = self.share();
        ((now - self.since) as u128 * share as u128 / of as u128) as u64
    }

    fn advance(&mut self, now: u64) {
        let done = self.done(now);
        self.left.iter_mut().for_each(|(_, left)| *left = left.saturating_sub(done));
        self.since = now;
    }
}

/// Answered calls that a life begins with.
pub(super) fn warm_up(kind: &NodeKind) -> u64 {
    let NodeKind::Client(client) = kind else { return WARM };
    producers(client).fold(0, u64::saturating_add)
}

/// What the producers of a process have sent before their load.
fn producers(client: &super::spec::ClientSpec) -> impl Iterator<Item = u64> {
    client.members.iter().filter_map(|m| match &m.role {
        MemberRole::Producer(producer) => Some(producer.warm_up_sends),
        MemberRole::Consumer(_) => None,
    })
}

impl<O: Observer> World<O> {
    /// The draw for whatever runs cold now on a host that processes share: what else the machine does slows all of it. `None`: each process is alone and draws for itself.
    pub(super) fn common_luck(&self, host: usize) -> Option<u32> {
        let host = self.spec.hosts.get(host).filter(|_| self.hosts[host].shared)?;
        let entity = Entity::named(host);
        let phase = self.draws.below(entity, Purpose::Boot, u64::MAX, ONE_LUCK);
        Some(self.draws.word(entity, Purpose::Boot, (self.now + phase) / ONE_LUCK))
    }

    /// What a delivery costs because the process has made few so far, ns.
    pub(super) fn first_delivery(&mut self, node: NodeId) -> u64 {
        let first = &self.spec.nodes[node.0 as usize].services.first_delivery;
        let process = &mut self.processes[node.0 as usize];
        process.deliveries += 1;
        if first.p99() == 0 {
            return 0;
        }
        let (n, host) = (process.deliveries, process.host as usize);
        let own = self.draws.word(process.entity, Purpose::Boot, (process.life as u64) << 8 | 1);
        first.at(self.common_luck(host).unwrap_or(own)) / n
    }

    /// What an answered call costs because the client's process has made few so far, ns. The way to a sent message is longer than that of a member into its
    /// group: 33 members (DefaultMQPushConsumer 4.9.8, JDK 17) took 0.3 s from their first route to the second heartbeat, and 70 to 90 ms more to their first locks.
    pub(super) fn first_call(&mut self, node: NodeId) -> u64 {
        let spec = &self.spec.nodes[node.0 as usize];
        let first = match &spec.kind {
            NodeKind::Client(client) if producers(client).next().is_none() => &spec.services.first_call,
            _ => &spec.services.first_send,
        };
        if first.p99() == 0 {
            return 0;
        }
        let process = &mut self.processes[node.0 as usize];
        process.answered = process.answered.saturating_add(1);
        let (n, host) = (process.answered, process.host as usize);
        let own = self.draws.word(process.entity, Purpose::Boot, (process.life as u64) << 8 | 2);
        first.at(self.common_luck(host).unwrap_or(own)) / n
    }

    /// Cold code takes its thread `lasts`, ns, and compiling it takes processors besides. How long it lasts with the wait before it, ns.
    pub(super) fn runs_cold(&mut self, node: NodeId, lasts: u64) -> u64 {
        if lasts == 0 {
            return self.in_line(node, WorkClass::Delivery, 0);
        }
        let now = self.now;
        let host = self.host_of(node) as usize;
        let processors = &mut self.hosts[host].processors;
        let Some(own) = processors.iter_mut().min_by_key(|p| p.done(now, lasts)) else { return lasts };
        let done = own.done(now, lasts);
        own.computes(now, lasts);
        if let Some(other) = processors.iter_mut().min_by_key(|p| p.cold) {
            other.computes(now, lasts / 100 * COMPILED_PERCENT);
        }
        done - now
    }

    /// A process that has thawed reads what lay in its sockets, which keeps a processor of its host busy for so long, ns.
    pub(super) fn drains(&mut self, node: NodeId, lasts: u64) {
        let (now, host) = (self.now, self.host_of(node) as usize);
        if let Some(processor) = self.hosts[host].processors.iter_mut().min_by_key(|p| p.cold).filter(|_| lasts > 0) {
            processor.computes(now, lasts);
        }
    }

    /// Threads that a closing channel fails together stand in line for the processors of their host, with the work of every process
    /// that shares it; a thread whose answer comes meanwhile stands behind them. How long work lasts with the wait before it, ns.
    pub(super) fn in_line(&mut self, node: NodeId, class: WorkClass, lasts: u64) -> u64 {
        let host = self.host_of(node) as usize;
        let host = &mut self.hosts[host];
        let works = match class {
            WorkClass::Failure | WorkClass::Delivery => true,
            WorkClass::Resume | WorkClass::HandOver => false,
            WorkClass::Boot | WorkClass::Fsync => return lasts,
            _ if host.shared => true,
            // The pools of a process alone on its host have no more threads than it has processors.
            _ => return lasts,
        };
        let now = self.now;
        let Some(processor) = host.processors.iter_mut().min_by_key(|p| p.done(now, lasts)) else { return lasts };
        let done = processor.done(now, lasts);
        if works {
            processor.free = now.max(processor.free) + lasts;
        }
        done - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computing(pieces: &[u64]) -> Processor {
        let mut processor = Processor::default();
        pieces.iter().for_each(|ms| processor.computes(0, ms * MS));
        processor
    }

    /// Two processors: starts that overlap share them, and one that is broken off leaves the others its share.
    #[test]
    fn starts_share_the_processors() {
        let mut boots = Boots { cpus: 2, ..Boots::default() };
        let ends = |boots: &Boots| boots.ends().into_iter().map(|(n, end)| (n.0, end)).collect::<Vec<_>>();
        boots.begin(NodeId(1), 0, 100);
        assert_eq!(ends(&boots), [(1, 100)]);
        boots.begin(NodeId(2), 40, 100);
        assert_eq!(ends(&boots), [(1, 160), (2, 240)]);
        assert!(!boots.is_over(NodeId(1), 100) && boots.is_over(NodeId(1), 160));
        assert!(boots.end(NodeId(1), 160) && !boots.end(NodeId(1), 160));
        assert_eq!(ends(&boots), [(2, 200)]);
        boots.begin(NodeId(3), 170, 500);
        boots.begin(NodeId(4), 170, 500);
        assert_eq!(ends(&boots)[0], (2, 260));
        assert!(boots.end(NodeId(3), 200));
        assert_eq!(ends(&boots)[0], (2, 240));
        let mut many = Boots { cpus: 8, ..Boots::default() };
        (0..4).for_each(|n| many.begin(NodeId(n), 0, 100));
        assert_eq!(ends(&many)[3], (3, 100), "four have two each");
        let mut one = Boots { cpus: 1, ..Boots::default() };
        one.begin(NodeId(1), 0, 100);
        assert_eq!(ends(&one), [(1, 100)], "alone it takes its own time, however few there are");
        one.begin(NodeId(2), 0, u64::MAX);
        assert_eq!(ends(&one), [(1, 200), (2, u64::MAX / 2)]);
    }

    #[test]
    fn short_work_waits_for_the_tick_and_long_work_shares() {
        for (pieces, lasts, done) in [
            (&[][..], 60, 60),
            // Nothing has a processor longer than it computes.
            (&[5], 1, 6),
            // With the next tick, and then one other has as much of the processor as this one.
            (&[500], 1, 6),
            (&[500], 60, 124),
            (&[100, 100, 300], 10, 44),
            // No longer than until all that was there is done.
            (&[20, 20], 60, 100),
        ] {
            assert_eq!(computing(pieces).done(0, lasts * MS), done * MS, "{pieces:?} {lasts}");
        }
        assert_eq!(computing(&[500]).done(7 * MS, MS), 10 * MS, "of a tick that is nearly over, what is left");
        let mut processor = computing(&[40]);
        assert_eq!(processor.done(50 * MS, 7 * MS), 57 * MS, "what is over holds nobody up");
        processor.free = 60 * MS;
        assert_eq!(processor.done(50 * MS, 7 * MS), 67 * MS, "short work is done in turn");
    }
}
