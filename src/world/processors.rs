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

/// How long a thread that wakes waits at most for one that computes, ns: within this time every thread that can run does (`sched_latency_ns` of Linux's
/// scheduler, 6 ms, doubled for two processors).
const SCHED_LATENCY: u64 = 12 * MS;

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
    /// When work of `lasts` ns is done whose thread is woken now. Before threads that compute it runs within the scheduler's time; then each of them
    /// has as much of the processor as it has.
    fn done(&self, now: u64, lasts: u64) -> u64 {
        let turn = now.max(self.free);
        let backlog = self.cold.saturating_sub(turn);
        if backlog == 0 {
            return turn + lasts;
        }
        let others = self.pieces.iter().filter(|end| **end > turn).count() as u64;
        turn + backlog.min(SCHED_LATENCY + others.saturating_mul(lasts)) + lasts
    }

    fn computes(&mut self, now: u64, lasts: u64) {
        self.cold = now.max(self.cold) + lasts;
        self.pieces.retain(|end| *end > now);
        self.pieces.push(self.cold);
    }
}

/// Answered calls that a life begins with.
pub(super) fn warm_up(kind: &NodeKind) -> u64 {
    let NodeKind::Client(client) = kind else { return WARM };
    let producers = client.members.iter().filter_map(|m| match &m.role {
        MemberRole::Producer(producer) => Some(producer.warm_up_sends),
        MemberRole::Consumer(_) => None,
    });
    producers.reduce(u64::saturating_add).unwrap_or(WARM)
}

impl<O: Observer> World<O> {
    /// What a delivery costs because the process has made few so far, ns.
    pub(super) fn first_delivery(&mut self, node: NodeId) -> u64 {
        let first = &self.spec.nodes[node.0 as usize].services.first_delivery;
        let process = &mut self.processes[node.0 as usize];
        process.deliveries += 1;
        if first.p99() == 0 {
            return 0;
        }
        let word = self.draws.word(process.entity, Purpose::Boot, (process.life as u64) << 8 | 1);
        first.at(word) / process.deliveries
    }

    /// What an answered call costs because the producer's process has made few so far, ns.
    pub(super) fn first_send(&mut self, node: NodeId) -> u64 {
        let first = &self.spec.nodes[node.0 as usize].services.first_send;
        if first.p99() == 0 {
            return 0;
        }
        let process = &mut self.processes[node.0 as usize];
        process.answered = process.answered.saturating_add(1);
        let word = self.draws.word(process.entity, Purpose::Boot, (process.life as u64) << 8 | 2);
        first.at(word) / process.answered
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

    #[test]
    fn short_work_waits_for_the_scheduler_and_long_work_shares() {
        for (pieces, lasts, done) in [
            (&[][..], 60, 60),
            // Nothing has a processor longer than it computes.
            (&[5], 1, 6),
            // Within the scheduler's time, and then one other has as much of the processor as this one.
            (&[500], 1, 14),
            (&[500], 60, 132),
            (&[100, 100, 300], 10, 52),
            // No longer than until all that was there is done.
            (&[20, 20], 60, 100),
        ] {
            assert_eq!(computing(pieces).done(0, lasts * MS), done * MS, "{pieces:?} {lasts}");
        }
        let mut processor = computing(&[40]);
        assert_eq!(processor.done(50 * MS, 7 * MS), 57 * MS, "what is over holds nobody up");
        processor.free = 60 * MS;
        assert_eq!(processor.done(50 * MS, 7 * MS), 67 * MS, "short work is done in turn");
    }
}
