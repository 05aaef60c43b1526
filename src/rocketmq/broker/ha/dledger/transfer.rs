//! Preferred leaders: how a leadership is handed to a member that should have it.
//!
//! Every second a leader that is not on the list of preferred ones (`preferredLeaderIds`, of its own configuration) looks for the one of them that answers heartbeats and is
//! the least behind: by its watermark in this term, which is nothing at all until the first comparison has agreed. If that is less than 1,000 entries it takes no more appends
//! (LEADER_TRANSFERRING) and asks it to take over. The transferee waits, a second at most, until it has all that the leader had then; becomes a candidate for the next term;
//! and, if it is on its own list, asks for votes 30 to 100 ms later instead of 300 to 1000. The old leader, which still counts for nothing but its vote, steps down when it is asked; its
//! appends are refused until then, or until the transferee has answered that it failed, or 3 s have gone by without an answer. The answer to the leader comes with the
//! transferee's next role. Models `DLedgerServer#checkPreferredLeader`, `#handleLeadershipTransfer`, `DLedgerLeaderElector#handleLeadershipTransfer`, `#handleTakeLeadership`,
//! `.TakeLeadershipTask` and `MemberState`'s `transferee`, `termToTakeLeadership` and `peersLiveTable` (DLedger 0.3.1.2; server spec 11.2, 11.3).
//!
//! The check is made by a timer's only thread, which sits in the transfer until it is answered; turns that it missed follow at once. Turns that can find nothing are not made. A transferee
//! that waits holds one of the four threads of its server there, and none here. The command of an operator (`LeadershipTransferCommand`) is not built.

use super::config::DLedgerConfig;
use super::elector::Elector;
use super::ledger::Ledger;
use super::member::Role;
use super::protocol::{
    CallId, CallKind, Code, LeadershipTransferRequest, LeadershipTransferResponse, PeerId, RequestId, Rpc, RpcAnswer,
};
use super::{Core, Cx, Effect};
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;

/// First turn of `checkPreferredLeader` after the start, and the period, ns.
const CHECK: u64 = 1_000 * MS;
/// A transferee that is behind looks so often whether it still is, ns.
const LOOK: u64 = 10 * MS;

/// Which member the leadership should go to, of a leader that is not preferred itself: among those on the list that are members and answered the last heartbeat the first of those
/// that are the least behind, if that is not too far. `behind` counts the entries.
pub fn transferee(config: &DLedgerConfig, is_live: impl Fn(PeerId) -> bool, behind: impl Fn(PeerId) -> i64) -> Option<PeerId> {
    let there = config.preferred_leaders.iter().copied().filter(|&id| config.is_member(id) && is_live(id));
    let nearest = there.min_by_key(|&id| behind(id))?;
    (behind(nearest) < config.max_leadership_transfer_wait_index).then_some(nearest)
}

/// A transfer that a leader waits for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    term: i64,
    n: u64,
}

/// A request to take over that waits until this member has what the leader had.
#[derive(Clone, Copy, Debug)]
struct Behind {
    request: RequestId,
    transfer: LeadershipTransferRequest,
    came: Now,
}

/// What a member has to do with transfers, as leader and as transferee.
#[derive(Clone, Debug)]
pub(super) struct LeadershipTransfer {
    started: u64,
    /// The next turn of the check; `u64::MAX`: it could find nothing.
    check_at: u64,
    asked: Option<Asked>,
    calls: u64,
    behind: Vec<Behind>,
    /// The next look of one that is behind.
    look_at: u64,
}

impl LeadershipTransfer {
    pub(super) fn new(now: Now) -> Self {
        let started = now.mono;
        LeadershipTransfer { started, check_at: u64::MAX, asked: None, calls: 0, behind: Vec::new(), look_at: u64::MAX }
    }

    // ---- the leader

    /// Whether a turn of `checkPreferredLeader` could find somebody.
    fn may_find(core: &Core) -> bool {
        let preferred = &core.config.preferred_leaders;
        core.member.is_leader() && !preferred.is_empty() && !preferred.contains(&core.config.self_id)
    }

    /// `DLedgerServer#checkPreferredLeader`.
    fn check_preferred_leader<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        if cx.core.member.transferee().is_some() {
            return;
        }
        let (term, end) = (cx.core.member.curr_term(), cx.host.ledger.end());
        let Core { config, member, marks, .. } = &*cx.core;
        let behind = |id| end.saturating_sub(marks.of(term, id));
        let Some(to) = transferee(config, |id| member.is_live(id), behind) else { return };
        let transfer = cx.core.config.self_id;
        cx.core.member.set_transferee(Some(to));
        self.calls += 1;
        self.asked = Some(Asked { term, n: self.calls });
        let request = LeadershipTransferRequest { term, transfer, transferee: to, take_leadership_ledger_index: end };
        let call = CallId { peer: to, kind: CallKind::Transfer, n: self.calls };
        cx.out.push(Effect::Call { call, to, rpc: Rpc::LeadershipTransfer(request) });
    }

    /// The transferee has answered, or `None`: the call failed. A leader that still leads its term takes appends again.
    pub(super) fn answered<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, call: CallId, answer: Option<Code>) {
        let Some(asked) = self.asked.filter(|asked| asked.n == call.n) else { return };
        self.asked = None;
        let member = &mut cx.core.member;
        let still = member.curr_term() == asked.term && member.transferee().is_some();
        if (answer != Some(Code::Success) || still) && member.is_leader() {
            member.set_transferee(None);
        }
    }

    // ---- the transferee

    /// `DLedgerServer#handleLeadershipTransfer` at the member that is to take over.
    pub(super) fn handle_leadership_transfer<L: Ledger>(
        &mut self,
        cx: &mut Cx<'_, L>,
        elector: &mut Elector,
        request: RequestId,
        transfer: LeadershipTransferRequest,
    ) {
        if transfer.transferee != cx.core.config.self_id {
            return answer(cx, request, Code::UnexpectedArgument);
        }
        if cx.core.member.leader() != Some(transfer.transfer) {
            return answer(cx, request, Code::InconsistentLeader);
        }
        let came = cx.now();
        let behind = Behind { request, transfer, came };
        if cx.host.ledger.end() < transfer.take_leadership_ledger_index {
            self.behind.push(behind);
        } else {
            take_leadership(cx, elector, behind);
        }
    }

    /// Does what is due; `awake`: timed waits end now.
    pub(super) fn run<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, elector: &mut Elector, awake: bool) {
        let now = cx.now();
        if awake && self.look_at <= now.mono {
            self.look_at = u64::MAX;
            self.look(cx, elector);
        }
        // One that is due and has not come yet stays.
        if self.look_at > now.mono || self.behind.is_empty() {
            self.look_at = self.next_looks(cx.host.ledger.end(), now);
        }
        // A turn that came while the thread sat in a transfer follows it at once.
        while awake && self.asked.is_none() && self.check_at <= now.mono {
            self.check_at = if Self::may_find(cx.core) { self.check_at.saturating_add(CHECK) } else { u64::MAX };
            if self.check_at != u64::MAX {
                self.check_preferred_leader(cx);
            }
        }
        if self.asked.is_none() && (self.check_at == u64::MAX || !Self::may_find(cx.core)) {
            let next = grid(now.mono, self.started.saturating_add(CHECK), CHECK);
            self.check_at = if Self::may_find(cx.core) { next } else { u64::MAX };
        }
    }

    /// Looks lie 10 ms apart; the next one that finds anything is the first at which one has all, or its time is over.
    fn next_looks(&self, end: i64, now: Now) -> u64 {
        let next = |behind: &Behind| {
            let has_all = end >= behind.transfer.take_leadership_ledger_index;
            let from = if has_all { now.mono } else { behind.came.mono.saturating_add(DLedgerConfig::TRANSFER_WAIT + 1) };
            grid(from, behind.came.mono.saturating_add(LOOK), LOOK)
        };
        self.behind.iter().map(next).min().unwrap_or(u64::MAX)
    }

    fn look<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, elector: &mut Elector) {
        let now = cx.now();
        for behind in std::mem::take(&mut self.behind) {
            let cost = now.mono.saturating_sub(behind.came.mono);
            if cx.host.ledger.end() >= behind.transfer.take_leadership_ledger_index {
                take_leadership(cx, elector, behind);
            } else if cost > DLedgerConfig::TRANSFER_WAIT {
                answer(cx, behind.request, Code::TakeLeadershipFailed);
            } else {
                self.behind.push(behind);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        let check_at = if self.asked.is_none() { self.check_at } else { u64::MAX };
        let at = check_at.min(self.look_at);
        (at != u64::MAX).then(|| Deadline::mono(at))
    }
}

fn answer<L: Ledger>(cx: &mut Cx<'_, L>, request: RequestId, code: Code) {
    let answer = RpcAnswer::LeadershipTransfer(LeadershipTransferResponse { term: cx.core.member.curr_term(), code });
    cx.out.push(Effect::Answer { request, answer });
}

/// `DLedgerLeaderElector#handleTakeLeadership`: a candidate for the next term; the answer waits for its next role.
fn take_leadership<L: Ledger>(cx: &mut Cx<'_, L>, elector: &mut Elector, Behind { request, transfer, .. }: Behind) {
    if cx.core.member.curr_term() != transfer.term {
        return answer(cx, request, Code::InconsistentTerm);
    }
    let target = transfer.term.saturating_add(1);
    cx.core.member.set_term_to_take_leadership(target);
    // Who asked before is never answered.
    cx.out.extend(cx.core.taking_over.replace(request).map(|request| Effect::Forgotten { request }));
    elector.take_leadership(cx, target);
}

/// `TakeLeadershipTask#check`: a role was taken for a term.
pub(super) fn check_taking_over<L: Ledger>(cx: &mut Cx<'_, L>, term: i64, role: Role) {
    let target = cx.core.member.term_to_take_leadership();
    let Some(request) = cx.core.taking_over.filter(|_| target != -1) else { return };
    let code = match (term.cmp(&target), role) {
        (std::cmp::Ordering::Equal, Role::Candidate) => return,
        (std::cmp::Ordering::Equal, Role::Leader) => Code::Success,
        (std::cmp::Ordering::Greater, _) => Code::ExpiredTerm,
        (_, Role::Follower) => Code::TakeLeadershipFailed,
        (std::cmp::Ordering::Less, _) => Code::InternalError,
    };
    answer(cx, request, code);
    cx.core.member.set_term_to_take_leadership(-1);
    cx.core.taking_over = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leadership_goes_to_the_first_of_those_that_are_the_least_behind() {
        // On the list, live, entries behind; who gets it.
        type Line<'a> = (&'a [u16], &'a [u16], [i64; 4], Option<u16>);
        let table: &[Line<'_>] = &[
            (&[1, 2], &[1, 2], [0, 0, 0, 0], Some(1)),
            (&[2, 1], &[1, 2], [0, 0, 0, 0], Some(2)),
            (&[1, 2], &[1, 2], [0, 9, 8, 0], Some(2)),
            (&[1, 2], &[1], [0, 9, 8, 0], Some(1)),
            (&[1, 2], &[], [0, 0, 0, 0], None),
            (&[1], &[1], [0, 999, 0, 0], Some(1)),
            (&[1], &[1], [0, 1_000, 0, 0], None),
            // No member of the group.
            (&[3], &[3], [0, 0, 0, 0], None),
            (&[3, 2], &[2, 3], [0, 0, 7, 0], Some(2)),
        ];
        for (preferred, live, behind, expect) in table {
            let mut config = DLedgerConfig::new(PeerId(0), vec![PeerId(0), PeerId(1), PeerId(2)]);
            config.preferred_leaders = preferred.iter().map(|&id| PeerId(id)).collect();
            let got = transferee(&config, |id| live.contains(&id.0), |id| behind[usize::from(id.0)]);
            assert_eq!(got, expect.map(PeerId), "{preferred:?}, live {live:?}, behind {behind:?}");
        }
    }
}
