//! A follower's end of the push: entries in order, whatever order they come in.
//!
//! APPEND requests wait in a table by index until theirs is the next one; COMPARE, TRUNCATE and COMMIT wait in a queue that is worked off first.
//! A server thread puts them there and wakes this one. Who is no follower answers the queue NOT_FOLLOWER at once and leaves the table as it is: a new
//! leader compares within a millisecond, its first heartbeat follows up to 10 ms later, so those who elected it are candidates still, and its
//! dispatchers sleep for 500 ms before they ask again. Once a second what has waited in vain is sorted out: an entry that is there already
//! is acknowledged (the acknowledgement was lost) or contradicted, and one that is ahead of a gap for longer than a second is answered
//! INCONSISTENT_STATE, which makes the leader compare ("fast forward"). The answer is given before anything is flushed. Models
//! `DLedgerEntryPusher.EntryHandler` (DLedger 0.3.1.2; server spec 11.4, which does not tell of NOT_FOLLOWER).

use super::config::{COMPARE_QUEUE, HANDLER_TIMEOUT_MS};
use super::ledger::{Entry, Ledger, may_append, truncate_to};
use super::protocol::{Code, Push, PushEntryRequest, PushEntryResponse, RequestId, RpcAnswer};
use super::thread::{DUE, DoWork, NEVER, ShutdownAbleThread, Thread};
use super::{Core, Cx, Effect, Host, Planted};
use crate::contract::Deadline;
use std::collections::VecDeque;

/// An APPEND that waits for its turn.
#[derive(Clone, Copy, Debug)]
struct WriteRequest<P> {
    /// `None`: answered, but in the way of its like until it is removed.
    request: Option<RequestId>,
    term: i64,
    leader: super::protocol::PeerId,
    commit_index: i64,
    entry: Entry<P>,
    came_ms: i64,
}

/// `DLedgerEntryPusher.EntryHandler` (0.3.1.2).
#[derive(Clone, Debug)]
pub(super) struct EntryHandler<P> {
    thread: ShutdownAbleThread,
    /// `writeRequestMap`, by index: they come and go at the ends.
    write_requests: VecDeque<WriteRequest<P>>,
    compare_or_truncate: VecDeque<(RequestId, PushEntryRequest<P>)>,
    last_check_fast_forward_ms: i64,
}

impl<P: Copy + PartialEq + std::fmt::Debug> EntryHandler<P> {
    pub(super) fn new<L: Ledger>(host: &Host<'_, L>) -> Self {
        EntryHandler {
            thread: ShutdownAbleThread::new(Thread::EntryHandler, host),
            write_requests: VecDeque::new(),
            compare_or_truncate: VecDeque::new(),
            last_check_fast_forward_ms: host.now.wall_ms,
        }
    }

    /// Where the APPEND of an index is, or would be.
    fn place_of(&self, index: i64) -> Result<usize, usize> {
        self.write_requests.binary_search_by_key(&index, |write| write.entry.index)
    }

    /// `EntryHandler#handlePush`, by a server thread: takes a request in and wakes this one; some are answered at once.
    pub(super) fn handle_push<L: Ledger<Payload = P>>(
        &mut self,
        cx: &mut Cx<'_, L>,
        request: RequestId,
        push: PushEntryRequest<P>,
    ) {
        if let Push::Append(entry) = push.push {
            if self.write_requests.is_empty() {
                // With an empty table the check has gone by once a second and left no trace but this.
                let idle = cx.now().wall_ms.saturating_sub(self.last_check_fast_forward_ms).max(0);
                if cx.core.member.is_follower() {
                    self.last_check_fast_forward_ms += idle / HANDLER_TIMEOUT_MS * HANDLER_TIMEOUT_MS;
                }
            }
            let PushEntryRequest { term, leader, commit_index, .. } = push;
            let write = WriteRequest { request: Some(request), term, leader, commit_index, entry, came_ms: cx.now().wall_ms };
            match self.place_of(entry.index) {
                Ok(_) => answer(cx, request, term, entry.index, Code::RepeatedPush),
                Err(at) => self.write_requests.insert(at, write),
            }
            return self.thread.wakeup(cx.out);
        }
        if push.push != Push::Commit {
            // Requests that were waiting are never answered; their callers give up by themselves.
            for write in self.write_requests.drain(..) {
                cx.out.extend(write.request.map(|request| Effect::Forgotten { request }));
            }
        }
        if self.compare_or_truncate.len() >= COMPARE_QUEUE {
            answer(cx, request, push.term, push.index(), Code::PushRequestIsFull);
        } else {
            self.compare_or_truncate.push_back((request, push));
        }
        self.thread.wakeup(cx.out);
    }

    /// `EntryHandler#checkAbnormalFuture` and `#checkAppendFuture`.
    fn check_abnormal_future<L: Ledger<Payload = P>>(&mut self, cx: &mut Cx<'_, L>) {
        let wall_ms = cx.now().wall_ms;
        if self.write_requests.is_empty() || wall_ms.saturating_sub(self.last_check_fast_forward_ms) < HANDLER_TIMEOUT_MS {
            return;
        }
        self.last_check_fast_forward_ms = wall_ms;
        // What lies at or below the end is answered and leaves the table.
        let ahead = self.place_of(cx.host.ledger.end().saturating_add(1)).unwrap_or_else(|at| at);
        for write in self.write_requests.drain(..ahead) {
            let code = same(cx, &write.entry);
            if let Some(request) = write.request {
                answer(cx, request, write.term, write.entry.index, code);
            }
        }
        // The first one that has waited too long for the gap before it to close.
        let waited = |write: &&mut WriteRequest<P>| wall_ms.saturating_sub(write.came_ms) >= HANDLER_TIMEOUT_MS;
        if let Some(write) = self.write_requests.iter_mut().find(waited)
            && let Some(request) = write.request.take()
        {
            answer(cx, request, write.term, write.entry.index, Code::InconsistentState);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.thread.next_deadline()
    }
}

impl<L: Ledger> DoWork<L> for EntryHandler<L::Payload> {
    fn thread(&mut self) -> &mut ShutdownAbleThread {
        &mut self.thread
    }
    /// Work that nobody woke the thread for is there when it has become a follower.
    fn due(&self, core: &Core, ledger: &L) -> i64 {
        if !self.compare_or_truncate.is_empty() {
            return DUE;
        }
        if self.write_requests.is_empty() || !core.member.is_follower() {
            return NEVER;
        }
        if self.place_of(ledger.end().saturating_add(1)).is_ok() {
            return DUE;
        }
        self.last_check_fast_forward_ms.saturating_add(HANDLER_TIMEOUT_MS)
    }

    /// `EntryHandler#doWork`, until it waits.
    fn do_work(&mut self, cx: &mut Cx<'_, L>) {
        self.thread.looks(cx.now());
        if !cx.core.member.is_follower() {
            // `clearCompareOrTruncateRequestsIfNeed`.
            while let Some((request, push)) = self.compare_or_truncate.pop_front() {
                answer(cx, request, push.term, push.index(), Code::NotFollower);
            }
            return;
        }
        loop {
            if let Some((request, push)) = self.compare_or_truncate.pop_front() {
                let code = match &push.push {
                    Push::Compare(entry) => same(cx, entry),
                    Push::Truncate(entry) => do_truncate(cx, &push, entry),
                    Push::Commit | Push::Append(_) => Code::Success,
                };
                answer(cx, request, push.term, push.index(), code);
                if code == Code::Success && !matches!(push.push, Push::Compare(_)) {
                    cx.update_committed(push.term, push.commit_index);
                }
                continue;
            }
            let next = self.place_of(cx.host.ledger.end().saturating_add(1)).ok();
            match next.and_then(|at| self.write_requests.remove(at)) {
                Some(write) => do_append(cx, &write),
                None => return self.check_abnormal_future(cx),
            }
        }
    }
}

/// `EntryHandler#buildResponse`.
fn answer<L: Ledger>(cx: &mut Cx<'_, L>, request: RequestId, term: i64, index: i64, code: Code) {
    let (begin_index, end_index) = (cx.host.ledger.begin(), cx.host.ledger.end());
    let response = PushEntryResponse { term, index, begin_index, end_index, code };
    cx.out.push(Effect::Answer { request, answer: RpcAnswer::Push(response) });
}

fn same<L: Ledger>(cx: &Cx<'_, L>, entry: &Entry<L::Payload>) -> Code {
    let same = cx.host.ledger.entry(entry.index).is_some_and(|own| own == *entry);
    if same { Code::Success } else { Code::InconsistentState }
}

/// The checks that appending and truncating share: the sender is the leader of this member, in this term. COMPARE and COMMIT have none.
fn from_my_leader<L: Ledger>(cx: &Cx<'_, L>, term: i64, leader: super::protocol::PeerId) -> bool {
    term == cx.core.member.curr_term() && cx.core.member.leader() == Some(leader)
}

/// `EntryHandler#handleDoAppend`.
fn do_append<L: Ledger>(cx: &mut Cx<'_, L>, write: &WriteRequest<L::Payload>) {
    let may = !cx.core.disk_full && from_my_leader(cx, write.term, write.leader) && may_append(cx.host.ledger, &write.entry);
    if may {
        cx.host.ledger.append(write.entry);
    }
    let code = if may { Code::Success } else { Code::InconsistentState };
    if let Some(request) = write.request {
        answer(cx, request, write.term, write.entry.index, code);
    }
    if may {
        cx.update_committed(write.term, write.commit_index);
    }
}

/// `EntryHandler#handleDoTruncate`.
fn do_truncate<L: Ledger>(cx: &mut Cx<'_, L>, push: &PushEntryRequest<L::Payload>, entry: &Entry<L::Payload>) -> Code {
    if !from_my_leader(cx, push.term, push.leader) {
        return Code::InconsistentState;
    }
    if !cx.core.plants(Planted::SkipTruncation) {
        let old_end = cx.host.ledger.end();
        truncate_to(cx.host.ledger, entry);
        cx.out.push(Effect::Truncated { after: entry.index, old_end });
    }
    Code::Success
}
