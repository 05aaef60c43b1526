//! Moments at which a host stands still.
//!
//! A virtual machine loses its processors to its neighbours for tens of milliseconds, a few times a minute: producers of live runs without any fault, 10 to 25 ms
//! between two of their sends, had no answer for 31 to 124 ms once in each minute, and all of their threads were late together. Unlike a freeze, which stops one process while its
//! kernel goes on, a pause stops everything: packets, timers and threads alike come to their turn when it is over, in the order in which they were
//! due. Clocks go on. Faults of the plan strike at their moment; what follows from them waits.

use super::*;
use crate::world::load::exponential;

impl<O: Observer> World<O> {
    /// The first pause of every host.
    pub(super) fn plan_pauses(&mut self) {
        for host in 0..self.hosts.len() {
            self.plan_pause(host, 0);
        }
    }

    /// Pauses of a host come at random: the next one hangs on its number alone.
    fn plan_pause(&mut self, host: usize, n: u32) {
        let spec = self.spec.clone();
        let Some(pauses) = &spec.pauses else { return };
        let Some(node) = spec.nodes.iter().position(|node| node.host as usize == host) else { return };
        let gap = exponential(pauses.every, self.draws.word(Entity::named(&spec.hosts[host]), Purpose::Pause, u64::from(n) << 1));
        self.schedule_at(self.now.saturating_add(gap).max(1), Class::Fault, NodeId(node as u16), Kind::Pause, host as u32, n);
    }

    /// A pause begins.
    #[cold]
    pub(super) fn pause(&mut self, node: NodeId, host: usize, n: u32) {
        let spec = self.spec.clone();
        let Some(pauses) = &spec.pauses else { return };
        let word = self.draws.word(Entity::named(&spec.hosts[host]), Purpose::Pause, u64::from(n) << 1 | 1);
        let until = self.now.saturating_add(pauses.lasts.at(word));
        let stands = &mut self.hosts[host].stands_until;
        let lasts = until.saturating_sub(self.now.max(*stands));
        *stands = until.max(*stands);
        self.pauses_end = self.pauses_end.max(until);
        if lasts > 0 {
            self.truth(node, Note::Paused { lasts });
        }
        self.plan_pause(host, n.wrapping_add(1));
    }

    /// When an event comes to its turn whose host stands still.
    #[cold]
    pub(super) fn stands_still(&mut self, event: &Event) -> Option<u64> {
        if matches!(event.kind, Kind::Fault | Kind::Boot | Kind::Pause) {
            return None;
        }
        let until = self.hosts[self.host_of(self.meets(event)) as usize].stands_until;
        if until <= self.now {
            return None;
        }
        let process = &mut self.processes[event.node.0 as usize];
        // The one live wake-up is known by its time.
        if event.kind == Kind::Wake && event.life == process.life && process.armed == self.now {
            process.armed = until;
        }
        Some(until)
    }

    /// The process whose host an event needs: what is on its way over the network is its sender's until it arrives.
    fn meets(&self, event: &Event) -> NodeId {
        let end = |side: usize| self.connections[event.a as usize].ends[side & 1].node;
        match event.kind {
            Kind::Deliver => end(1 - (event.b as usize & 1)),
            Kind::Syn => end(1),
            _ => event.node,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::spec::PauseSpec;
    use crate::world::tests::cluster;
    use crate::world::thaw_tests::All;

    const LASTS: u64 = 300 * MS;

    /// A cluster whose hosts stand still for 0.3 s, six times a minute: what happened, and for each host when its pauses ended.
    fn paused(seed: u64, consumers: u16, alone: bool) -> (World<All>, Vec<Vec<u64>>) {
        let mut spec = cluster(2, consumers, 50, false);
        if !alone {
            spec.nodes.iter_mut().for_each(|node| node.host = 0);
        }
        (spec.seed, spec.pauses) = (seed, Some(PauseSpec { every: 10 * SEC, lasts: Quantiles::constant(LASTS) }));
        let end = spec.warmup + spec.duration + spec.drain;
        let mut world = World::new(Arc::new(spec), All(Vec::new()));
        let mut ends = vec![Vec::new(); world.hosts.len()];
        for at in (0..end).step_by((50 * MS) as usize) {
            world.run_until(at, u64::MAX);
            for (host, ends) in world.hosts.iter().zip(&mut ends) {
                if host.stands_until > at && ends.last() != Some(&host.stands_until) {
                    ends.push(host.stands_until);
                }
            }
        }
        (world, ends)
    }

    /// Whoever runs on a host does nothing while it stands still, and what it owed is done afterwards.
    #[test]
    fn nothing_happens_on_a_host_that_stands_still() {
        for alone in [true, false] {
            let (world, ends) = paused(3, 1, alone);
            let mut pauses = 0;
            for (at, node, note) in &world.observer().0 {
                let ends = &ends[world.spec.nodes[node.0 as usize].host as usize];
                let within = ends.iter().any(|end| (end - LASTS + 1..*end).contains(at));
                assert!(!within || matches!(note, Note::Up | Note::Paused { .. }), "{alone}: {at} {node:?} {note:?}");
                pauses = pauses.max(ends.len());
            }
            assert!(pauses > 5, "{alone}: {pauses}");
            let count = |of: fn(&Note) -> bool| world.observer().0.iter().filter(|(.., note)| of(note)).count() as u64;
            let acked = count(|note| matches!(note, Note::SendEnded { end: SendEnd::Acked { .. }, .. }));
            let delivered = count(|note| matches!(note, Note::ListenerEntered { .. }));
            assert_eq!((acked, delivered), (50 * world.spec.duration / SEC, acked), "{alone}");
        }
    }

    /// Each process keeps one live wake-up: one that was put off is not lost, so that an idle process still acts by its timers.
    #[test]
    fn a_timer_that_falls_due_in_a_pause_is_not_lost() {
        let mut spec = cluster(2, 1, 1, false);
        spec.pauses = Some(PauseSpec { every: SEC, lasts: Quantiles::constant(LASTS) });
        let end = spec.warmup + spec.duration;
        let mut world = World::new(Arc::new(spec), All(Vec::new()));
        for at in (0..end).step_by(SEC as usize) {
            world.run_until(at, u64::MAX);
            for (n, process) in world.processes.iter().enumerate() {
                let stands = world.hosts[process.host as usize].stands_until >= at;
                assert!(
                    stands || process.state != State::Up || process.armed >= at,
                    "{at}: {n} was to wake at {}",
                    process.armed
                );
            }
        }
    }

    /// A kernel that stands still completes no handshake.
    #[test]
    fn nobody_connects_to_a_host_that_stands_still() {
        let mut world = World::new(Arc::new(cluster(1, 1, 10, false)), All(Vec::new()));
        // The nameserver and the broker have started, the clients have not.
        world.run_until(24 * SEC, u64::MAX);
        let until = 58 * SEC;
        (world.hosts[0].stands_until, world.pauses_end) = (until, until);
        let asked = |world: &World<All>, taken: bool| {
            let to_it = |c: &&Connection| c.ends[1].node == NodeId(0) && c.ends[0].node != NodeId(1) && c.established == taken;
            world.connections.iter().filter(to_it).count()
        };
        world.run_until(until - 1, u64::MAX);
        assert!(asked(&world, false) > 0 && asked(&world, true) == 0);
        world.run_until(until + 10 * SEC, u64::MAX);
        assert!(asked(&world, true) > 0);
    }

    /// How long a send takes shows it: hosts of their own stand still in turn, and who shares one stands still with it.
    #[test]
    fn each_host_stands_still_by_its_own_draws() {
        let (_, ends) = paused(3, 1, true);
        assert!(ends.iter().enumerate().all(|(i, a)| ends[..i].iter().all(|b| a != b)), "{ends:?}");
        let per_minute = |ends: &[Vec<u64>]| ends.iter().map(Vec::len).sum::<usize>() as u64 / ends.len() as u64;
        let (world, _) = paused(3, 1, true);
        let minutes = (world.spec.warmup + world.spec.duration + world.spec.drain) / (60 * SEC);
        assert!((4 * minutes..=8 * minutes).contains(&per_minute(&ends)), "{ends:?}");
        // A further process elsewhere changes nobody's pauses.
        let (_, more) = paused(3, 2, true);
        assert_eq!(ends, more[..ends.len()]);
        assert_ne!(ends, paused(4, 1, true).1);
    }
}
