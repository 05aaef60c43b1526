//! A leader's push to one follower: find where the logs agree, cut the follower back to there, then append.
//!
//! One thread a peer. In COMPARE it walks back from the leader's end until the follower has the same entry; if the follower has more behind it,
//! TRUNCATE makes that entry its last; then APPEND sends entry after entry without waiting, at most 1,000 unacknowledged, and sends the first
//! unacknowledged one again after a second. COMPARE and TRUNCATE block the thread for up to 3 s; anything unexpected puts it to sleep for 500 ms
//! and back to COMPARE, while a failed APPEND is only sent again. Nobody wakes the thread for an entry: it finds it at its next look, a millisecond
//! after the last one, and sends all there are then. Models `DLedgerEntryPusher.EntryDispatcher` and `Quota` (DLedger 0.3.1.2; server spec 11.4).
//!
//! A comparison that was broken off is taken up where it stood, also by a later leadership: only leaving APPEND or TRUNCATE starts it over. If
//! the log has grown since, an old entry is compared, found equal, and everything behind it is cut from the follower although it agrees.

use super::config::{CHECK_LEAK_MS, COMPARE_WAIT, ERROR_PAUSE, MAX_PENDING_SIZE, PUSH_COMMIT_MS};
use super::ledger::{Entry, Ledger};
use super::protocol::{CallId, CallKind, Code, PeerId, Push, PushEntryRequest, PushEntryResponse, Rpc};
use super::thread::{DUE, DoWork, NEVER, ShutdownAbleThread, Thread};
use super::{Core, Cx, Effect, Host};
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use std::collections::VecDeque;

/// `PushEntryRequest.Type`, as the state of a dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushState {
    Compare,
    Truncate,
    Append,
}

/// `pendingMap`: unacknowledged appends, by index, and when each was last sent. They come and go at the ends.
#[derive(Clone, Debug, Default)]
struct Pending(VecDeque<(i64, i64)>);

impl Pending {
    fn get(&self, index: i64) -> Option<i64> {
        let at = self.0.binary_search_by_key(&index, |p| p.0).ok()?;
        Some(self.0[at].1)
    }
    fn insert(&mut self, index: i64, sent_ms: i64) {
        match self.0.binary_search_by_key(&index, |p| p.0) {
            Ok(at) => self.0[at].1 = sent_ms,
            Err(at) => self.0.insert(at, (index, sent_ms)),
        }
    }
    fn remove(&mut self, index: i64) {
        if let Ok(at) = self.0.binary_search_by_key(&index, |p| p.0) {
            self.0.remove(at);
        }
    }
    /// Those below the watermark have leaked: a later one was acknowledged.
    fn forget_below(&mut self, mark: i64) {
        while self.0.front().is_some_and(|p| p.0 < mark) {
            self.0.pop_front();
        }
    }
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_PENDING_SIZE
    }
    /// Whether it stays full when those below the watermark are forgotten.
    fn is_full_above(&self, mark: i64) -> bool {
        self.is_full() && self.0.len() - self.0.partition_point(|p| p.0 < mark) >= MAX_PENDING_SIZE
    }
}

/// A request whose answer the thread waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    n: u64,
    until: u64,
    truncate: bool,
    index: i64,
}

/// What the thread does next in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCompare {
    /// The follower ends with this entry: append behind it.
    Append,
    Truncate(i64),
    Compare(i64),
}

/// What the answer to a COMPARE at `index` means for a leader whose log is `begin..=end` (`EntryDispatcher#doCompare`).
pub fn after_compare(index: i64, same: bool, follower: (i64, i64), leader: (i64, i64)) -> AfterCompare {
    let (begin, end) = leader;
    if same {
        return if index == follower.1 { AfterCompare::Append } else { AfterCompare::Truncate(index) };
    }
    if follower.1 < begin || follower.0 > end || index < follower.0 {
        return AfterCompare::Truncate(begin);
    }
    let next = if index > follower.1 { follower.1 } else { index - 1 };
    if next < begin { AfterCompare::Truncate(begin) } else { AfterCompare::Compare(next) }
}

/// `DLedgerEntryPusher.EntryDispatcher` (0.3.1.2).
#[derive(Clone, Debug)]
pub(super) struct EntryDispatcher {
    peer: PeerId,
    thread: ShutdownAbleThread,
    state: PushState,
    compare_index: i64,
    write_index: i64,
    /// The term it pushes in, once it has led; -1 before.
    term: i64,
    pending: Pending,
    last_push_commit_ms: i64,
    last_check_leak_ms: i64,
    waiting: Option<Waiting>,
    /// What has come for it: an answer, or `None` when the call failed.
    answer: Option<Option<PushEntryResponse>>,
    /// Until when it sleeps, whatever happens; 0: it does not.
    sleeps_until: u64,
    /// The entry that the throttle holds back while the thread sleeps.
    held: Option<i64>,
    steps: u64,
    /// Second and bytes of `Quota`.
    quota: (i64, u64),
}

impl EntryDispatcher {
    pub(super) fn new<L: Ledger>(peer: PeerId, host: &Host<'_, L>) -> Self {
        EntryDispatcher {
            peer,
            thread: ShutdownAbleThread::new(Thread::EntryDispatcher(peer), host),
            state: PushState::Compare,
            compare_index: -1,
            write_index: -1,
            term: -1,
            pending: Pending::default(),
            last_push_commit_ms: -1,
            last_check_leak_ms: host.now.wall_ms,
            waiting: None,
            answer: None,
            sleeps_until: 0,
            held: None,
            steps: 0,
            quota: (-1, 0),
        }
    }
    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }
    pub(super) fn state(&self) -> PushState {
        self.state
    }

    /// `EntryDispatcher#checkAndFreshState`: whether to push at all; a new term begins with COMPARE.
    fn fresh<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) -> bool {
        if !cx.core.member.is_leader() {
            return false;
        }
        if self.term != cx.core.member.curr_term() {
            self.term = cx.core.member.curr_term();
            self.compare();
            if cx.core.config.compare_afresh {
                self.compare_index = -1;
            }
        }
        true
    }

    /// `changeState(-1, COMPARE)`.
    fn compare(&mut self) {
        if self.state == PushState::Append {
            self.compare_index = -1;
            self.pending.0.clear();
        }
        self.state = PushState::Compare;
    }
    /// `changeState(index, APPEND)`: the next look appends.
    fn append_behind<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, index: i64) {
        self.compare_index = -1;
        cx.core.raise_mark(self.term, self.peer, index);
        self.write_index = index.saturating_add(1);
        self.state = PushState::Append;
    }
    /// The catch of the thread's loop.
    fn failed(&mut self, now: Now) {
        self.compare();
        self.sleeps_until = now.mono.saturating_add(ERROR_PAUSE);
    }

    /// Goes on if it is time to; `awake`: timed waits and sleeps end now.
    pub(super) fn turn<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, awake: bool) {
        let now = cx.now();
        if let Some(waiting) = self.waiting {
            if !awake || self.thread.is_woken() || now.mono < waiting.until {
                return;
            }
            self.waiting = None;
            self.failed(now);
        }
        if self.sleeps_until != 0 {
            if !awake || now.mono < self.sleeps_until {
                return;
            }
            self.sleeps_until = 0;
            self.slept(cx);
            return self.wait(cx);
        }
        self.run(cx, awake);
    }

    /// Goes on behind a sleep: where the throttle held it up, or with the next round of its loop.
    fn slept<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let Some(index) = self.held.take() else { return self.do_work(cx) };
        self.thread.looks(cx.now());
        self.push(cx, index);
        if index == self.write_index {
            self.write_index += 1;
            if self.fresh(cx) {
                self.do_append(cx);
            }
        }
    }

    /// The thread runs again that an answer has woken.
    pub(super) fn resumed<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        self.thread.looks(cx.now());
        if let (Some(waiting), Some(answer)) = (self.waiting, self.answer.take()) {
            self.waiting = None;
            self.step_answered(cx, waiting, answer);
        }
    }

    fn call<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, kind: CallKind, push: Push<L::Payload>) {
        self.steps += u64::from(kind == CallKind::Step);
        let (leader, commit_index) = (cx.core.config.self_id, cx.core.committed);
        let request = PushEntryRequest { term: self.term, leader, commit_index, push };
        let call = CallId { peer: self.peer, kind, n: self.steps };
        cx.out.push(Effect::Call { call, to: self.peer, rpc: Rpc::Push(request) });
    }

    // ---- COMPARE and TRUNCATE

    /// `EntryDispatcher#doCompare`, up to where it blocks.
    fn do_compare<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let (begin, end) = (cx.host.ledger.begin(), cx.host.ledger.end());
        if self.compare_index == -1 && end == -1 {
            return;
        }
        if self.compare_index == -1 || self.compare_index > end || self.compare_index < begin {
            self.compare_index = end;
        }
        self.step(cx, self.compare_index, false);
    }

    /// Sends the entry at an index to be compared or to become the follower's last, and blocks.
    fn step<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, index: i64, truncate: bool) {
        let Some(entry) = cx.host.ledger.entry(index) else { return self.failed(cx.now()) };
        self.call(cx, CallKind::Step, if truncate { Push::Truncate(entry) } else { Push::Compare(entry) });
        let until = cx.now().mono.saturating_add(COMPARE_WAIT);
        self.answer = None;
        self.waiting = Some(Waiting { n: self.steps, until, truncate, index });
    }

    fn step_answered<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, waiting: Waiting, answer: Option<PushEntryResponse>) {
        let Some(answer) = answer.filter(|a| a.code == Code::Success || a.code == Code::InconsistentState && !waiting.truncate)
        else {
            return self.failed(cx.now());
        };
        if waiting.truncate {
            self.last_push_commit_ms = cx.now().wall_ms;
            return self.append_behind(cx, waiting.index);
        }
        let leader = (cx.host.ledger.begin(), cx.host.ledger.end());
        let same = answer.code == Code::Success;
        match after_compare(waiting.index, same, (answer.begin_index, answer.end_index), leader) {
            AfterCompare::Append => self.append_behind(cx, waiting.index),
            AfterCompare::Compare(index) => {
                self.compare_index = index;
                if self.fresh(cx) {
                    self.do_compare(cx);
                }
            }
            AfterCompare::Truncate(index) => {
                self.compare_index = -1;
                self.state = PushState::Truncate;
                self.step(cx, index, true);
            }
        }
    }

    // ---- APPEND

    /// `EntryDispatcher#doAppend`: everything up to the end of the log.
    fn do_append<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let wall_ms = cx.now().wall_ms;
        while self.state == PushState::Append {
            if self.write_index > cx.host.ledger.end() {
                if wall_ms.saturating_sub(self.last_push_commit_ms) > PUSH_COMMIT_MS {
                    self.call(cx, CallKind::Commit, Push::Commit);
                    self.last_push_commit_ms = wall_ms;
                }
                return self.check_append_response(cx);
            }
            if self.pending.is_full() || wall_ms.saturating_sub(self.last_check_leak_ms) > CHECK_LEAK_MS {
                let mark = cx.core.marks.of(self.term, self.peer);
                self.pending.forget_below(mark);
                self.last_check_leak_ms = wall_ms;
            }
            if self.pending.is_full() {
                return self.check_append_response(cx);
            }
            self.append_inner(cx, self.write_index);
            if self.held.is_some() {
                return;
            }
            self.write_index += 1;
        }
    }

    /// `EntryDispatcher#doCheckAppendResponse`: the first entry that is not acknowledged is sent again after a while.
    fn check_append_response<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let next = cx.core.marks.of(self.term, self.peer).saturating_add(1);
        let (wall_ms, longest) = (cx.now().wall_ms, cx.core.config.max_push_time_out_ms);
        if self.pending.get(next).is_some_and(|sent| wall_ms.saturating_sub(sent) > longest) {
            self.append_inner(cx, next);
        }
    }

    /// `EntryDispatcher#doAppendInner`: sends an entry, or first sleeps when the follower is far behind and the quota is used up.
    fn append_inner<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, index: i64) {
        let Some(entry) = cx.host.ledger.entry(index) else {
            // Deleted meanwhile: compare again. Not there at all: an exception, with its pause.
            let deleted = index < cx.host.ledger.begin();
            self.compare();
            self.sleeps_until = if deleted { self.sleeps_until } else { cx.now().mono.saturating_add(ERROR_PAUSE) };
            return;
        };
        if self.quota_used_up(cx, &entry) {
            self.held = Some(index);
        } else {
            self.push(cx, index);
        }
    }

    fn push<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, index: i64) {
        let Some(entry) = cx.host.ledger.entry(index) else { return };
        self.call(cx, CallKind::Append, Push::Append(entry));
        self.pending.insert(index, cx.now().wall_ms);
        self.last_push_commit_ms = cx.now().wall_ms;
    }

    /// `EntryDispatcher#checkQuotaAndWait`: whether the thread sleeps until the next second.
    fn quota_used_up<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, entry: &Entry<L::Payload>) -> bool {
        let ledger = &*cx.host.ledger;
        let behind = i64::try_from(MAX_PENDING_SIZE).unwrap_or(i64::MAX);
        if ledger.end().saturating_sub(entry.index) <= behind
            || ledger.place(0).saturating_sub(entry.pos) < cx.core.config.peer_push_throttle_point
        {
            return false;
        }
        let Now { mono, wall_ms } = cx.now();
        let second = wall_ms.div_euclid(1_000);
        if self.quota.0 != second {
            self.quota = (second, 0);
        }
        self.quota.1 = self.quota.1.saturating_add(u64::from(entry.size));
        if self.quota.1 < cx.core.config.peer_push_quota {
            return false;
        }
        let left_ms = u64::try_from((second + 1).saturating_mul(1_000).saturating_sub(wall_ms)).unwrap_or(0);
        self.sleeps_until = mono.saturating_add(left_ms.saturating_mul(MS));
        true
    }

    // ---- answers and time

    /// An answer to a call of this dispatcher, or `None` when the call failed: taken by the remoting's thread, which wakes whom it concerns.
    pub(super) fn answered<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, call: CallId, answer: Option<&PushEntryResponse>) {
        match (call.kind, answer) {
            (CallKind::Step, answer) if self.waiting.is_some_and(|w| w.n == call.n) && self.answer.is_none() => {
                self.answer = Some(answer.copied());
                self.thread.wakeup(cx.out);
            }
            (CallKind::Append, Some(PushEntryResponse { code: Code::Success, term, index, .. })) => {
                self.pending.remove(*index);
                cx.core.raise_mark(*term, self.peer, *index);
            }
            (CallKind::Append, Some(PushEntryResponse { code: Code::InconsistentState, .. })) => self.compare(),
            // Anything else is only logged; the entry is sent again in time.
            _ => {}
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        match self.waiting {
            Some(_) if self.thread.is_woken() => None,
            Some(waiting) => Some(Deadline::mono(waiting.until)),
            None if self.sleeps_until != 0 => Some(Deadline::mono(self.sleeps_until)),
            None => self.thread.next_deadline(),
        }
    }
}

impl<L: Ledger> DoWork<L> for EntryDispatcher {
    fn thread(&mut self) -> &mut ShutdownAbleThread {
        &mut self.thread
    }
    fn due(&self, core: &Core, ledger: &L) -> i64 {
        if !core.member.is_leader() {
            return NEVER;
        }
        if self.term != core.member.curr_term() {
            return DUE;
        }
        if self.state != PushState::Append {
            return if self.compare_index == -1 && ledger.end() == -1 { NEVER } else { DUE };
        }
        let mark = core.marks.of(self.term, self.peer);
        let idle = self.write_index > ledger.end();
        if !idle && !self.pending.is_full_above(mark) {
            return DUE;
        }
        let again =
            self.pending.get(mark.saturating_add(1)).map(|sent| sent.saturating_add(core.config.max_push_time_out_ms + 1));
        let commit = idle.then(|| self.last_push_commit_ms.saturating_add(PUSH_COMMIT_MS + 1));
        again.into_iter().chain(commit).min().unwrap_or(NEVER)
    }

    /// `EntryDispatcher#doWork`, until it waits, sleeps or blocks.
    fn do_work(&mut self, cx: &mut Cx<'_, L>) {
        self.thread.looks(cx.now());
        if self.fresh(cx) {
            match self.state {
                PushState::Append => self.do_append(cx),
                PushState::Compare | PushState::Truncate => self.do_compare(cx),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_walks_back_to_the_last_common_entry() {
        use AfterCompare::*;
        let table = [
            // index, same, follower, leader, next
            (9, true, (0, 9), (0, 9), Append),
            (9, true, (0, 12), (0, 9), Truncate(9)),
            (9, false, (0, 9), (0, 9), Compare(8)),
            (9, false, (0, 4), (0, 9), Compare(4)),
            (0, false, (0, 4), (0, 9), Truncate(0)),
            (9, false, (-1, -1), (0, 9), Truncate(0)),
            // The ranges do not meet.
            (9, false, (0, 4), (5, 9), Truncate(5)),
            (9, false, (20, 30), (5, 9), Truncate(5)),
            // The follower has lost what is compared.
            (6, false, (7, 12), (5, 9), Truncate(5)),
            (5, false, (0, 12), (5, 9), Truncate(5)),
        ];
        for (index, same, follower, leader, next) in table {
            assert_eq!(after_compare(index, same, follower, leader), next, "{index} {same} {follower:?} {leader:?}");
        }
    }
}
