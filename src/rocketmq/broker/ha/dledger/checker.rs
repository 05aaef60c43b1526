//! What a quorum has: the leader's committed index, and the appends that wait for it.
//!
//! Every peer has a watermark, the highest index it is known to hold in this term; sorted downwards the middle one is what a quorum holds. The
//! committed index follows it whatever term the entry there has (the "figure 8" of the Raft paper: H79), and appends up to it are answered.
//! Appends that wait longer than 2.5 s are answered WAIT_QUORUM_ACK_TIMEOUT, which does not take them back. Those of an earlier term are answered
//! TERM_CHANGED, but only by a member that leads again: one that stays a follower never answers them. Models `DLedgerEntryPusher.QuorumAckChecker`,
//! `#updatePeerWaterMark`, `#waitAck` (DLedger 0.3.1.2; server spec 11.5).
//!
//! Every acknowledgement wakes the thread. What moves without one it sees at its next look, within a millisecond: its own watermark (which is all that a group
//! of one waits for), a term that changed, a future that is too old. Where it finds acknowledged entries that nobody waits for it first waits, and then
//! answers what lies below them.

use super::config::CHECK_LEAK_MS;
use super::ledger::Ledger;
use super::protocol::{Code, PeerId};
use super::thread::{DUE, DoWork, NEVER, ShutdownAbleThread, Thread};
use super::{Core, Cx, Effect, Host, Planted};
use crate::contract::Deadline;
use std::collections::VecDeque;

/// `peerWaterMarksByTerm`, of the highest term that any was set in: nobody asks for those of others.
#[derive(Clone, Debug, Default)]
pub(super) struct WaterMarks {
    term: i64,
    peers: Vec<PeerId>,
    marks: Vec<i64>,
}

impl WaterMarks {
    pub(super) fn new(peers: &[PeerId]) -> Self {
        WaterMarks { term: -1, peers: peers.to_vec(), marks: vec![-1; peers.len()] }
    }
    /// `updatePeerWaterMark`: they only grow, also when the follower has lost what it acknowledged.
    pub(super) fn raise(&mut self, term: i64, peer: PeerId, index: i64) {
        if term > self.term {
            self.term = term;
            self.marks.fill(-1);
        }
        if term == self.term
            && let Some(at) = self.peers.iter().position(|&p| p == peer)
        {
            self.marks[at] = self.marks[at].max(index);
        }
    }
    /// `getPeerWaterMark`.
    pub(super) fn of(&self, term: i64, peer: PeerId) -> i64 {
        let at = self.peers.iter().position(|&p| p == peer && term == self.term);
        at.map_or(-1, |at| self.marks[at])
    }
    /// What a quorum holds.
    fn quorum(&self, term: i64) -> i64 {
        if term == self.term { quorum_index(&self.marks) } else { -1 }
    }
}

/// The middle of the watermarks, sorted downwards.
pub fn quorum_index(marks: &[i64]) -> i64 {
    let mut sorted: smallvec::SmallVec<[i64; 8]> = marks.into();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.get(marks.len() / 2).copied().unwrap_or(-1)
}

/// `AppendFuture`: an append that waits for a quorum.
#[derive(Clone, Copy, Debug)]
struct AppendFuture {
    term: i64,
    index: i64,
    created_ms: i64,
    done: bool,
}

/// What a look leaves to be done behind its wait.
#[derive(Clone, Copy, Debug)]
struct Behind {
    term: i64,
    quorum: i64,
    /// `needCheck`: a quorum has an entry that nobody here waits for.
    unasked: bool,
}

/// `DLedgerEntryPusher.QuorumAckChecker` (0.3.1.2) and the futures it completes.
#[derive(Clone, Debug)]
pub(super) struct QuorumAckChecker {
    thread: ShutdownAbleThread,
    /// Terms and indexes rise from front to back.
    futures: VecDeque<AppendFuture>,
    /// How many at the front have been answered with a timeout.
    timed_out: usize,
    last_check_leak_ms: i64,
    last_quorum_index: i64,
    behind: Option<Behind>,
}

impl QuorumAckChecker {
    pub(super) fn new<L: Ledger>(host: &Host<'_, L>) -> Self {
        QuorumAckChecker {
            thread: ShutdownAbleThread::new(Thread::QuorumAckChecker, host),
            futures: VecDeque::new(),
            timed_out: 0,
            last_check_leak_ms: host.now.wall_ms,
            last_quorum_index: -1,
            behind: None,
        }
    }

    /// `isPendingFull`: futures that were answered with a timeout still count.
    pub(super) fn is_pending_full(&self, term: i64, max: usize) -> bool {
        self.futures.len() > max && self.futures.iter().filter(|f| f.term == term).count() > max
    }

    /// `waitAck`.
    pub(super) fn wait_ack<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, term: i64, index: i64) {
        cx.core.marks.raise(term, cx.core.config.self_id, index);
        if cx.core.plants(Planted::AckBeforeQuorum) {
            return cx.out.push(Effect::Appended { index, code: Code::Success });
        }
        self.futures.push_back(AppendFuture { term, index, created_ms: cx.now().wall_ms, done: false });
    }

    /// Somebody has acknowledged something.
    pub(super) fn wakeup<P>(&mut self, out: &mut Vec<Effect<P>>) {
        self.thread.wakeup(out);
    }

    /// What a round of the loop ends with: once a second, or when somebody did not wait for an entry, the leader's own watermark is renewed and everything that a
    /// quorum holds is answered (`checkResponseFuturesElapsed`).
    fn check_leak<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, Behind { term, quorum, unasked }: Behind) {
        let wall_ms = cx.now().wall_ms;
        if unasked || wall_ms.saturating_sub(self.last_check_leak_ms) > CHECK_LEAK_MS {
            cx.core.marks.raise(term, cx.core.config.self_id, cx.host.ledger.end());
            self.last_check_leak_ms = wall_ms;
            if term == cx.core.member.curr_term() {
                let held = self.futures.iter().take_while(|f| f.term == term && f.index <= quorum).count();
                self.complete(cx, 0..held);
            }
        }
        self.last_quorum_index = quorum;
    }

    fn pop<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, future: AppendFuture, code: Code) {
        self.futures.pop_front();
        self.timed_out = self.timed_out.saturating_sub(1);
        if !future.done {
            cx.out.push(Effect::Appended { index: future.index, code });
        }
    }

    /// Answers what a quorum holds from its highest entry down to the last look's, up to the first that nobody waits for; how many there were, and
    /// whether there was such a one.
    fn ack<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, quorum: i64) -> (usize, bool) {
        let fresh = usize::try_from(quorum.saturating_sub(self.last_quorum_index)).unwrap_or(0);
        let end = self.futures.partition_point(|f| f.index <= quorum);
        let newest_first = self.futures.range(..end).rev().map(|f| f.index);
        let asked = newest_first.zip((0..=quorum).rev()).take(fresh).take_while(|(future, index)| future == index).count();
        self.complete(cx, end - asked..end);
        (asked, asked < fresh)
    }

    /// Completes futures with success, the newest first.
    fn complete<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, which: std::ops::Range<usize>) {
        for future in self.futures.range(which.clone()).rev().filter(|f| !f.done) {
            cx.out.push(Effect::Appended { index: future.index, code: Code::Success });
        }
        self.timed_out -= self.timed_out.clamp(which.start, which.end) - which.start;
        self.futures.drain(which);
    }

    /// Answers those that waited too long: one after the other from the one behind the quorum, up to the first that is younger or missing.
    fn time_out<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, quorum: i64) {
        while let Some(due) = self.next_time_out(cx.core.config.max_wait_ack_time_ms, quorum)
            && cx.now().wall_ms >= due
        {
            let future = &mut self.futures[self.timed_out];
            future.done = true;
            cx.out.push(Effect::Appended { index: future.index, code: Code::WaitQuorumAckTimeout });
            self.timed_out += 1;
        }
    }

    /// When the next future times out, if the ones before it are whole up to the quorum.
    fn next_time_out(&self, max_wait_ms: i64, quorum: i64) -> Option<i64> {
        let future = self.futures.get(self.timed_out)?;
        let before = i64::try_from(self.timed_out).unwrap_or(i64::MAX);
        (future.index == quorum.saturating_add(1).saturating_add(before)).then(|| future.created_ms.saturating_add(max_wait_ms))
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.thread.next_deadline()
    }
}

impl<L: Ledger> DoWork<L> for QuorumAckChecker {
    fn thread(&mut self) -> &mut ShutdownAbleThread {
        &mut self.thread
    }
    fn due(&self, core: &Core, ledger: &L) -> i64 {
        if !core.member.is_leader() {
            return NEVER;
        }
        let (term, own) = (core.member.curr_term(), core.config.self_id);
        let (quorum, behind) = (core.marks.quorum(term), self.behind);
        if behind.is_some_and(|b| b.unasked)
            || quorum != behind.map_or(-1, |b| b.quorum)
            || self.futures.front().is_some_and(|f| f.term != term)
        {
            return DUE;
        }
        let lags = core.marks.of(term, own) < ledger.end();
        let renew = lags.then(|| self.last_check_leak_ms.saturating_add(CHECK_LEAK_MS + 1));
        let time_out = self.next_time_out(core.config.max_wait_ack_time_ms, quorum);
        renew.into_iter().chain(time_out).min().unwrap_or(NEVER)
    }

    /// `QuorumAckChecker#doWork`, from behind its wait to the next.
    fn do_work(&mut self, cx: &mut Cx<'_, L>) {
        self.thread.looks(cx.now());
        if let Some(behind) = self.behind.take() {
            self.check_leak(cx, behind);
        }
        while cx.core.member.is_leader() {
            let term = cx.core.member.curr_term();
            while let Some(future) = self.futures.front().copied().filter(|f| f.term != term) {
                self.pop(cx, future, Code::TermChanged);
            }
            let quorum = cx.core.marks.quorum(term);
            cx.update_committed(term, quorum);
            let (acked, unasked) = self.ack(cx, quorum);
            let behind = Behind { term, quorum, unasked };
            if acked == 0 {
                self.time_out(cx, quorum);
                self.behind = Some(behind);
                return;
            }
            self.check_leak(cx, behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quorum_index_is_the_middle_watermark() {
        let table: [(&[i64], i64); 7] = [
            (&[4], 4),
            (&[9, -1, -1], -1),
            (&[9, 7, -1], 7),
            (&[3, 7, 9], 7),
            (&[5, 5, 5], 5),
            (&[9, 8, 2, 1], 2),
            (&[9, 8, 7, -1, -1], 7),
        ];
        for (marks, expect) in table {
            assert_eq!(quorum_index(marks), expect, "{marks:?}");
        }
    }

    #[test]
    fn watermarks_only_grow_and_belong_to_a_term() {
        let (a, b) = (PeerId(0), PeerId(1));
        let mut marks = WaterMarks::new(&[a, b]);
        marks.raise(2, a, 5);
        marks.raise(2, a, 3);
        marks.raise(1, b, 9);
        assert_eq!((marks.of(2, a), marks.of(2, b), marks.of(1, b)), (5, -1, -1));
        marks.raise(3, b, 1);
        assert_eq!((marks.of(3, a), marks.of(3, b), marks.quorum(3), marks.quorum(2)), (-1, 1, -1, -1));
    }
}
