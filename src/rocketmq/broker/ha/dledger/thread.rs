//! The loops of DLedger: each looks, waits for a millisecond at most, and looks again.
//!
//! A round trip of a group is made of these waits. `EntryDispatcher` is woken by nobody (`DLedgerEntryPusher#wakeUpDispatchers` has no caller in 0.3.1.2),
//! so an entry that the leader has appended lies there until the next look: half a millisecond on average, for each follower its own. `EntryHandler` is
//! woken by every push that comes in and `QuorumAckChecker` by every acknowledgement: they go on as soon as their thread runs again, which the
//! driver says ([`Effect::Resume`](super::Effect), answered by `Input::Resumed`). What nobody tells them (a role that changed, a second that went by) they see at
//! their next look. Models `ShutdownAbleThread#waitForRunning`, `#wakeup` and the three `#doWork` (DLedger 0.3.1.2; server spec 11.4, 11.5, 14).
//!
//! Looks that find nothing are not made. Between two of them the waits form a grid of whole milliseconds, counted from the last look that did something;
//! its beginning is a draw, since no thread starts at a round moment. That a timed wait ends late is the driver's part.

use super::protocol::PeerId;
use super::{Core, Cx, Effect, Host, Ledger};
use crate::base::draw::Purpose;
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;

/// `waitForRunning(1)`, ns.
pub const WAIT: u64 = MS;
/// A look is due at once; at no time. Between them: from a wall millisecond on.
pub(super) const DUE: i64 = i64::MIN;
pub(super) const NEVER: i64 = i64::MAX;

/// A thread of a member that others wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thread {
    /// Woken by every push.
    EntryHandler,
    /// Woken by every acknowledgement.
    QuorumAckChecker,
    /// Woken by the answer to its COMPARE or TRUNCATE.
    EntryDispatcher(PeerId),
}

impl Thread {
    /// A small number of its own, for drivers and draws.
    pub fn number(self) -> u32 {
        match self {
            Thread::EntryHandler => 0,
            Thread::QuorumAckChecker => 1,
            Thread::EntryDispatcher(peer) => 2 + u32::from(peer.0),
        }
    }
    /// The thread with a number.
    pub fn numbered(number: u32) -> Option<Thread> {
        match number {
            0 => Some(Thread::EntryHandler),
            1 => Some(Thread::QuorumAckChecker),
            n => u16::try_from(n - 2).ok().map(|peer| Thread::EntryDispatcher(PeerId(peer))),
        }
    }
}

/// `ShutdownAbleThread` (0.3.1.2): where its waits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShutdownAbleThread {
    thread: Thread,
    /// The waits are counted from here: the last look.
    since: u64,
    /// From when on the next look finds something, wall ms.
    due: i64,
    /// The look that will find it; `u64::MAX`: none.
    armed: u64,
    /// `hasNotified`: it has been woken and does not run yet.
    woken: bool,
}

impl ShutdownAbleThread {
    pub(super) fn new<L: Ledger>(thread: Thread, host: &Host<'_, L>) -> Self {
        let n = u64::from(host.life) << 40 | 1 << 39 | u64::from(thread.number());
        let phase = host.draws.below(host.entity, Purpose::Phase, n, WAIT);
        let since = host.now.mono.saturating_sub(phase);
        ShutdownAbleThread { thread, since, due: NEVER, armed: u64::MAX, woken: false }
    }
    /// `wakeup`: it runs again when the driver says so.
    pub(super) fn wakeup<P>(&mut self, out: &mut Vec<Effect<P>>) {
        if !self.woken {
            self.woken = true;
            out.push(Effect::Resume { thread: self.thread });
        }
    }
    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }
    /// It runs.
    pub(super) fn looks(&mut self, now: Now) {
        (self.since, self.armed, self.woken) = (now.mono, u64::MAX, false);
    }
    /// It waits, and a look from `due` on (wall ms) would find something.
    pub(super) fn waits(&mut self, now: Now, due: i64) {
        self.due = due;
        if now.wall_ms < due {
            self.armed = u64::MAX;
        } else if self.armed == u64::MAX {
            self.armed = grid(now.mono, self.since.saturating_add(WAIT), WAIT);
        }
    }
    /// Whether its timed wait is over and there is something to find.
    pub(super) fn is_over(&self, now: Now) -> bool {
        !self.woken && self.armed <= now.mono
    }
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        match (self.woken, self.armed, self.due) {
            (true, ..) | (_, u64::MAX, NEVER) => None,
            (_, u64::MAX, due) => Some(Deadline::wall(due)),
            (_, armed, _) => Some(Deadline::mono(armed)),
        }
    }
}

/// A loop of such a thread (`doWork`).
pub(super) trait DoWork<L: Ledger> {
    fn thread(&mut self) -> &mut ShutdownAbleThread;
    /// When a look finds something, wall ms.
    fn due(&self, core: &Core, ledger: &L) -> i64;
    /// One look, until the thread waits again.
    fn do_work(&mut self, cx: &mut Cx<'_, L>);

    /// Plans the look that will find something.
    fn wait(&mut self, cx: &Cx<'_, L>) {
        let due = self.due(cx.core, cx.host.ledger);
        self.thread().waits(cx.now(), due);
    }
    /// Looks if it is time to; `awake`: timed waits end now.
    fn run(&mut self, cx: &mut Cx<'_, L>, awake: bool) {
        self.wait(cx);
        if awake && self.thread().is_over(cx.now()) {
            self.do_work(cx);
            self.wait(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::DLedgerFiles;
    use super::super::tests::VecLedger;
    use super::*;
    use crate::base::draw::Draws;
    use crate::base::ids::Entity;
    use crate::base::time::SEC;

    fn at(mono: u64) -> Now {
        Now { mono, wall_ms: i64::try_from(mono / MS).unwrap() }
    }
    fn started(thread: Thread, seed: u64) -> ShutdownAbleThread {
        let (mut ledger, mut files) = (VecLedger::default(), DLedgerFiles::default());
        let draws = Draws::new(seed);
        let host = Host { now: at(SEC), ledger: &mut ledger, files: &mut files, draws, entity: Entity(1), life: 1 };
        ShutdownAbleThread::new(thread, &host)
    }

    #[test]
    fn a_look_falls_on_the_grid_of_the_last_one_that_did_something() {
        let mut t = started(Thread::EntryHandler, 1);
        t.looks(at(SEC));
        t.waits(at(SEC), NEVER);
        assert_eq!(t.next_deadline(), None, "nothing to find: it does not tick");
        let (mut found, tick) = (SEC + 5 * MS + 200_000, SEC + 6 * MS);
        t.waits(at(found), DUE);
        assert_eq!((t.next_deadline(), t.is_over(at(tick - 1)), t.is_over(at(tick))), (Some(Deadline::mono(tick)), false, true));
        // Asked again later, the look stays where it is.
        found += 700_000;
        t.waits(at(found), DUE);
        assert_eq!(t.next_deadline(), Some(Deadline::mono(tick)));
        // It came late, and the grid with it.
        t.looks(at(tick + 300_000));
        t.waits(at(tick + 300_000), DUE);
        assert_eq!(t.next_deadline(), Some(Deadline::mono(tick + 300_000 + MS)));
        // Due at a time of the wall clock: asked then, it waits for the beat.
        t.waits(at(tick + 400_000), 1_500);
        assert_eq!(t.next_deadline(), Some(Deadline::wall(1_500)));
        t.waits(at(SEC + 500 * MS), 1_500);
        assert_eq!(t.next_deadline(), Some(Deadline::mono(SEC + 500 * MS + 300_000)));
    }

    #[test]
    fn a_thread_that_was_woken_is_woken_once_and_does_not_time_out() {
        let mut t = started(Thread::QuorumAckChecker, 1);
        let mut out: Vec<Effect<u64>> = Vec::new();
        t.waits(at(SEC), DUE);
        t.wakeup(&mut out);
        t.wakeup(&mut out);
        assert_eq!(out, [Effect::Resume { thread: Thread::QuorumAckChecker }]);
        assert!(!t.is_over(at(9 * SEC)) && t.next_deadline().is_none() && t.is_woken());
        t.looks(at(2 * SEC));
        t.wakeup(&mut out);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn threads_begin_at_moments_of_their_own() {
        let threads = [
            Thread::EntryHandler,
            Thread::QuorumAckChecker,
            Thread::EntryDispatcher(PeerId(0)),
            Thread::EntryDispatcher(PeerId(1)),
        ];
        for (number, thread) in (0..).zip(threads) {
            assert_eq!((thread.number(), Thread::numbered(number)), (number, Some(thread)));
        }
        let mut firsts = Vec::new();
        for seed in 0..50 {
            for thread in threads {
                let mut t = started(thread, seed);
                t.waits(at(SEC), DUE);
                let Some(first) = t.next_deadline() else { panic!("it is due") };
                firsts.push(first.at - SEC as i64);
            }
        }
        assert!(firsts.iter().all(|&f| (1..=MS as i64).contains(&f)));
        firsts.sort_unstable();
        firsts.dedup();
        assert!(
            firsts.len() > 190 && firsts[0] < 50_000 && firsts[firsts.len() - 1] > 950_000,
            "spread over the whole wait: {firsts:?}"
        );
    }
}
