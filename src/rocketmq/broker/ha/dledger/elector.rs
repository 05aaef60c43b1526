//! Who leads: votes, heartbeats and the loop that asks for both.
//!
//! One thread looks every 10 ms whether it is time: a follower for the silence of its leader, a leader for its next heartbeat, a candidate for
//! its next round of votes. It blocks while a round is out, and goes on at the first answer that decides it. Requests of others are answered
//! beside it, under the member's lock. The loop is not ticked here: between rounds nothing can happen before a time that is known, and the
//! round then falls on the next beat of the loop. Models `DLedgerLeaderElector` (DLedger 0.3.1.2; server spec 11.2). A member that was asked to take a
//! leadership over votes sooner and lets nobody pass who has no more than it has ([`super::transfer`]).
//!
//! What it does not do, and why that matters: a vote compares logs before terms, so a member that is behind cannot depose anyone; there is
//! no lease, so a leader that is cut off believes in itself for 6 to 8 s; a restarted member asks for votes in its old term at once.

use super::config::{MAINTAIN_INTERVAL, VOTE_WAIT_MS};
use super::ledger::{Ledger, end_term};
use super::member::Role;
use super::protocol::{
    CallId, CallKind, Code, HeartBeatRequest, HeartBeatResponse, PeerId, Rpc, RpcAnswer, VoteRequest, VoteResponse, VoteResult,
};
use super::transfer::check_taking_over;
use super::{Cx, Effect, Planted};
use crate::base::time::MS;
use crate::contract::{Deadline, Now};
use crate::rocketmq::remoting::timers::grid;

/// `VoteResponse.ParseResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseResult {
    WaitToRevote,
    RevoteImmediately,
    Passed,
    WaitToVoteNext,
}

/// The answers to a round of votes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteTally {
    pub all: usize,
    pub valid: usize,
    pub accepted: usize,
    pub not_ready: usize,
    pub bigger_ledger: usize,
    pub already_has_leader: bool,
    pub max_term: i64,
}

impl VoteTally {
    pub fn new(term: i64) -> Self {
        VoteTally { all: 0, valid: 0, accepted: 0, not_ready: 0, bigger_ledger: 0, already_has_leader: false, max_term: term }
    }
    /// One answer; `None`: the call failed, which DLedger calls UNKNOWN.
    pub fn count(&mut self, answer: Option<VoteResponse>) {
        self.all += 1;
        let Some(VoteResponse { term, result }) = answer else { return };
        self.valid += 1;
        match result {
            VoteResult::Accept => self.accepted += 1,
            VoteResult::RejectAlreadyHasLeader => self.already_has_leader = true,
            VoteResult::RejectTermSmallThanLedger | VoteResult::RejectExpiredVoteTerm => self.max_term = self.max_term.max(term),
            VoteResult::RejectExpiredLedgerTerm | VoteResult::RejectSmallLedgerEndIndex => self.bigger_ledger += 1,
            VoteResult::RejectTermNotReady => self.not_ready += 1,
            VoteResult::RejectAlreadyVoted
            | VoteResult::RejectUnknownLeader
            | VoteResult::RejectUnexpectedLeader
            | VoteResult::RejectTakingLeadership => {}
        }
    }
    /// Whether the round need not wait for more, in a group of `peers`.
    pub fn decided(&self, peers: usize) -> bool {
        let quorum = peers / 2 + 1;
        self.already_has_leader || self.accepted + self.not_ready >= quorum || self.all >= peers
    }
    /// What the round comes to, and the wait before the next one beyond the random interval; `None`: no wait is set.
    pub fn parse(&self, term: i64, peers: usize, lease_ms: i64, max_vote_interval_ms: i64) -> (ParseResult, Option<i64>) {
        let quorum = peers / 2 + 1;
        if self.max_term > term {
            (ParseResult::WaitToVoteNext, Some(0))
        } else if self.already_has_leader {
            (ParseResult::WaitToRevote, Some(lease_ms))
        } else if self.valid < quorum {
            // Cut off: the term does not grow, so that nobody is disturbed later.
            (ParseResult::WaitToRevote, Some(0))
        } else if self.valid - self.bigger_ledger.min(self.valid) < quorum {
            (ParseResult::WaitToRevote, Some(max_vote_interval_ms))
        } else if self.accepted >= quorum {
            (ParseResult::Passed, None)
        } else if self.accepted + self.not_ready >= quorum {
            (ParseResult::RevoteImmediately, None)
        } else {
            (ParseResult::WaitToVoteNext, Some(0))
        }
    }
}

/// The answers to a round of heartbeats so far; the leader counts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeatTally {
    pub all: usize,
    pub succ: usize,
    pub not_ready: usize,
    pub max_term: i64,
    pub inconsistent_leader: bool,
}

/// What a leader does after a round of heartbeats (`DLedgerLeaderElector#sendHeartbeats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterBeat {
    /// A quorum follows.
    Confirmed,
    /// Peers are on their way to this term: ask again at once.
    Resend,
    /// Become a candidate that knows this term.
    StepDown(i64),
    /// Not enough answered, but not for long enough.
    Keep,
}

impl BeatTally {
    pub fn new() -> Self {
        BeatTally { all: 1, succ: 1, not_ready: 0, max_term: -1, inconsistent_leader: false }
    }
    /// One answer; `None`: the call failed, which DLedger calls NETWORK_ERROR.
    pub fn count(&mut self, answer: Option<HeartBeatResponse>) {
        self.all += 1;
        match answer {
            Some(HeartBeatResponse { code: Code::Success, .. }) => self.succ += 1,
            Some(HeartBeatResponse { code: Code::ExpiredTerm, term }) => self.max_term = term,
            Some(HeartBeatResponse { code: Code::InconsistentLeader, .. }) => self.inconsistent_leader = true,
            Some(HeartBeatResponse { code: Code::TermNotReady, .. }) => self.not_ready += 1,
            _ => {}
        }
    }
    pub fn decided(&self, peers: usize) -> bool {
        self.succ + self.not_ready > peers / 2 || self.all >= peers
    }
    /// `silent_ms`: since a quorum last answered; `lease_ms`: how long that may be.
    pub fn parse(&self, term: i64, peers: usize, silent_ms: i64, lease_ms: i64) -> AfterBeat {
        if self.succ > peers / 2 {
            AfterBeat::Confirmed
        } else if self.succ + self.not_ready > peers / 2 {
            AfterBeat::Resend
        } else if self.max_term > term {
            AfterBeat::StepDown(self.max_term)
        } else if self.inconsistent_leader || silent_ms > lease_ms {
            AfterBeat::StepDown(term)
        } else {
            AfterBeat::Keep
        }
    }
}

impl Default for BeatTally {
    fn default() -> Self {
        Self::new()
    }
}

/// What the loop's thread is at.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between two rounds of the loop; the last one ended at this time.
    Asleep(u64),
    Voting {
        term: i64,
        tally: VoteTally,
        until: u64,
    },
    Beating {
        term: i64,
        tally: BeatTally,
        until: u64,
    },
}

/// `DLedgerLeaderElector` (0.3.1.2).
#[derive(Clone, Debug)]
pub(super) struct Elector {
    phase: Phase,
    /// Tells the answers of this round from those of earlier ones.
    round: u64,
    /// The beat of the loop at which something is due: `u64::MAX` for none.
    armed: u64,
    last_leader_heart_beat_ms: i64,
    last_send_heart_beat_ms: i64,
    last_succ_heart_beat_ms: i64,
    next_time_to_request_vote_ms: i64,
    need_increase_term_immediately: bool,
    last_parse_result: ParseResult,
}

impl Elector {
    /// A process that begins to run at `now`: it asks for votes at the first beat, in the term it finds on its disk.
    pub(super) fn new(now: Now) -> Self {
        Elector {
            phase: Phase::Asleep(now.mono),
            round: 0,
            armed: now.mono,
            last_leader_heart_beat_ms: -1,
            last_send_heart_beat_ms: -1,
            last_succ_heart_beat_ms: -1,
            next_time_to_request_vote_ms: -1,
            need_increase_term_immediately: false,
            last_parse_result: ParseResult::WaitToRevote,
        }
    }

    // ---- requests of others

    /// `DLedgerLeaderElector#handleVote`: the log is looked at before the term.
    pub(super) fn handle_vote<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, request: &VoteRequest, from_self: bool) -> VoteResponse {
        let term = cx.core.member.curr_term();
        let reject = |result| VoteResponse { term, result };
        if !cx.core.config.is_member(request.leader) {
            return reject(VoteResult::RejectUnknownLeader);
        }
        if !from_self && cx.core.config.self_id == request.leader {
            return reject(VoteResult::RejectUnexpectedLeader);
        }
        let (own_end, own_end_term) = (cx.host.ledger.end(), end_term(cx.host.ledger));
        if request.ledger_end_term < own_end_term {
            return reject(VoteResult::RejectExpiredLedgerTerm);
        }
        if request.ledger_end_term == own_end_term && request.ledger_end_index < own_end {
            return reject(VoteResult::RejectSmallLedgerEndIndex);
        }
        if request.term < term {
            return reject(VoteResult::RejectExpiredVoteTerm);
        }
        if request.term > term {
            // Even a healthy leader steps down here.
            self.change_role_to_candidate(cx, request.term);
            self.need_increase_term_immediately = true;
            return reject(VoteResult::RejectTermNotReady);
        }
        let voted_for_another = cx.core.member.curr_vote_for().is_some_and(|vote| vote != request.leader);
        if voted_for_another && !cx.core.plants(Planted::VoteTwice) {
            let known = cx.core.member.leader().is_some();
            return reject(if known { VoteResult::RejectAlreadyHasLeader } else { VoteResult::RejectAlreadyVoted });
        }
        if request.term < own_end_term {
            return VoteResponse { term: own_end_term, result: VoteResult::RejectTermSmallThanLedger };
        }
        if !from_self
            && Self::is_taking_leadership(cx)
            && request.ledger_end_term == own_end_term
            && own_end >= request.ledger_end_index
        {
            return reject(VoteResult::RejectTakingLeadership);
        }
        cx.core.member.vote_for(cx.host.files, request.leader);
        VoteResponse { term, result: VoteResult::Accept }
    }

    /// `DLedgerLeaderElector#handleHeartBeat`.
    pub(super) fn handle_heart_beat<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, request: &HeartBeatRequest) -> HeartBeatResponse {
        let term = cx.core.member.curr_term();
        let plain = |code| HeartBeatResponse { term: -1, code };
        if !cx.core.config.is_member(request.leader) {
            return HeartBeatResponse { term, code: Code::UnknownMember };
        }
        if cx.core.config.self_id == request.leader {
            return HeartBeatResponse { term, code: Code::UnexpectedMember };
        }
        if request.term < term {
            return HeartBeatResponse { term, code: Code::ExpiredTerm };
        }
        if request.term > term {
            // The term is adopted by the loop, the leader by a later heartbeat.
            self.change_role_to_candidate(cx, request.term);
            self.need_increase_term_immediately = true;
            return plain(Code::TermNotReady);
        }
        match cx.core.member.leader() {
            None => self.change_role_to_follower(cx, request.leader),
            Some(leader) if leader == request.leader => self.last_leader_heart_beat_ms = cx.now().wall_ms,
            Some(_) => return plain(Code::InconsistentLeader),
        }
        plain(Code::Success)
    }

    // ---- roles

    /// `handleRoleChange`.
    fn tell_role<L: Ledger>(cx: &mut Cx<'_, L>, term: i64) {
        let (role, leader) = (cx.core.member.role(), cx.core.member.leader());
        check_taking_over(cx, term, role);
        cx.out.push(Effect::Role { term, role, leader });
    }
    fn change_role_to_leader<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, term: i64) {
        if cx.core.member.curr_term() == term {
            cx.core.member.change_to_leader(cx.core.config.self_id);
            self.last_send_heart_beat_ms = -1;
            Self::tell_role(cx, term);
        }
    }
    fn change_role_to_candidate<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, term: i64) {
        if cx.core.member.change_to_candidate(term) {
            Self::tell_role(cx, term);
        }
    }
    fn change_role_to_follower<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, leader: PeerId) {
        self.last_parse_result = ParseResult::WaitToRevote;
        cx.core.member.change_to_follower(leader);
        self.last_leader_heart_beat_ms = cx.now().wall_ms;
        let term = cx.core.member.curr_term();
        Self::tell_role(cx, term);
    }

    /// `isTakingLeadership`: it was asked to lead this term, and is on its own list of preferred leaders.
    fn is_taking_leadership<L: Ledger>(cx: &Cx<'_, L>) -> bool {
        let (config, member) = (&cx.core.config, &cx.core.member);
        member.term_to_take_leadership() == member.curr_term() && config.preferred_leaders.contains(&config.self_id)
    }
    /// The last lines of `handleTakeLeadership`: the loop goes on to the next term at its next beat.
    pub(super) fn take_leadership<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, term: i64) {
        self.change_role_to_candidate(cx, term);
        self.need_increase_term_immediately = true;
    }

    // ---- the loop

    /// The first wall millisecond at which a round of the loop would do something.
    fn due_ms(&self, role: Role, interval_ms: i64, lease_ms: i64) -> i64 {
        match role {
            Role::Leader => self.last_send_heart_beat_ms.saturating_add(interval_ms + 1),
            Role::Follower => self.last_leader_heart_beat_ms.saturating_add(lease_ms + 1),
            Role::Candidate if self.need_increase_term_immediately => i64::MIN,
            Role::Candidate => self.next_time_to_request_vote_ms,
        }
    }

    /// Does what is due now: the end of a wait, or a round of the loop; `awake`: timed waits end now.
    pub(super) fn run<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, awake: bool) {
        let now = cx.now();
        match self.phase {
            Phase::Voting { until, tally, .. } if awake && now.mono >= until || tally.decided(cx.core.config.peers.len()) => {
                self.end_vote(cx);
            }
            Phase::Beating { until, tally, .. } if awake && now.mono >= until || tally.decided(cx.core.config.peers.len()) => {
                self.end_beat(cx);
            }
            _ => {}
        }
        let Phase::Asleep(since) = self.phase else { return };
        let (role, config) = (cx.core.member.role(), &cx.core.config);
        if now.wall_ms < self.due_ms(role, config.heart_beat_time_interval_ms, config.lease_ms()) {
            self.armed = u64::MAX;
        } else if self.armed == u64::MAX {
            self.armed = grid(now.mono, since + MAINTAIN_INTERVAL, MAINTAIN_INTERVAL);
        }
        if awake && self.armed <= now.mono {
            self.armed = u64::MAX;
            self.phase = Phase::Asleep(now.mono);
            match role {
                Role::Leader => self.maintain_as_leader(cx),
                Role::Follower => self.maintain_as_follower(cx),
                Role::Candidate => self.maintain_as_candidate(cx),
            }
        }
    }

    /// When [`Elector::run`] has something to do without being told.
    pub(super) fn next_deadline(&self, now: Now, role: Role, interval_ms: i64, lease_ms: i64) -> Deadline {
        match self.phase {
            Phase::Voting { until, .. } | Phase::Beating { until, .. } => Deadline::mono(until),
            Phase::Asleep(since) => {
                let due = self.due_ms(role, interval_ms, lease_ms);
                if due > now.wall_ms {
                    return Deadline::wall(due);
                }
                let beat = grid(now.mono, since + MAINTAIN_INTERVAL, MAINTAIN_INTERVAL);
                Deadline::mono(if self.armed == u64::MAX { beat } else { self.armed })
            }
        }
    }

    fn maintain_as_follower<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let term = cx.core.member.curr_term();
        self.change_role_to_candidate(cx, term);
    }

    fn maintain_as_leader<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let now = cx.now();
        let (term, leader) = (cx.core.member.curr_term(), cx.core.config.self_id);
        self.last_send_heart_beat_ms = now.wall_ms;
        self.round += 1;
        let wait = u64::try_from(cx.core.config.heart_beat_time_interval_ms).unwrap_or(0).saturating_mul(MS);
        self.phase = Phase::Beating { term, tally: BeatTally::new(), until: now.mono.saturating_add(wait) };
        for peer in cx.core.config.others() {
            let call = CallId { peer, kind: CallKind::HeartBeat, n: self.round };
            cx.out.push(Effect::Call { call, to: peer, rpc: Rpc::HeartBeat(HeartBeatRequest { term, leader }) });
        }
    }

    fn end_beat<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let Phase::Beating { term, tally, .. } = self.phase else { return };
        let now = cx.now();
        self.phase = Phase::Asleep(now.mono);
        let silent_ms = now.wall_ms.saturating_sub(self.last_succ_heart_beat_ms);
        match tally.parse(term, cx.core.config.peers.len(), silent_ms, cx.core.config.lease_ms()) {
            AfterBeat::Confirmed => self.last_succ_heart_beat_ms = now.wall_ms,
            AfterBeat::Resend => self.last_send_heart_beat_ms = -1,
            AfterBeat::StepDown(term) => self.change_role_to_candidate(cx, term),
            AfterBeat::Keep => {}
        }
    }

    /// `getNextTimeToRequestVote`.
    fn set_next_vote<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, extra_ms: i64) {
        let config = &cx.core.config;
        let (min, max) = if Self::is_taking_leadership(cx) {
            (config.min_take_leadership_vote_interval_ms, config.max_take_leadership_vote_interval_ms)
        } else {
            (config.min_vote_interval_ms, config.max_vote_interval_ms)
        };
        let random = cx.draw_ms(max.saturating_sub(min));
        self.next_time_to_request_vote_ms = cx.now().wall_ms.saturating_add(min).saturating_add(random).saturating_add(extra_ms);
    }

    fn maintain_as_candidate<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let increase = self.need_increase_term_immediately;
        let term = if self.last_parse_result == ParseResult::WaitToVoteNext || increase {
            self.last_parse_result = ParseResult::WaitToRevote;
            cx.core.member.next_term(cx.host.files)
        } else {
            cx.core.member.curr_term()
        };
        if increase {
            self.set_next_vote(cx, 0);
            self.need_increase_term_immediately = false;
            return;
        }
        let now = cx.now();
        let leader = cx.core.config.self_id;
        let request =
            VoteRequest { term, leader, ledger_end_index: cx.host.ledger.end(), ledger_end_term: end_term(cx.host.ledger) };
        self.round += 1;
        let mut tally = VoteTally::new(term);
        for peer in cx.core.config.peers.clone() {
            if peer == leader {
                let own = self.handle_vote(cx, &request, true);
                tally.count(Some(own));
            } else {
                let call = CallId { peer, kind: CallKind::Vote, n: self.round };
                cx.out.push(Effect::Call { call, to: peer, rpc: Rpc::Vote(request) });
            }
        }
        let wait_ms = VOTE_WAIT_MS.saturating_add(u64::try_from(cx.draw_ms(cx.core.config.max_vote_interval_ms)).unwrap_or(0));
        self.phase = Phase::Voting { term, tally, until: now.mono.saturating_add(wait_ms.saturating_mul(MS)) };
        if tally.decided(cx.core.config.peers.len()) {
            self.end_vote(cx);
        }
    }

    fn end_vote<L: Ledger>(&mut self, cx: &mut Cx<'_, L>) {
        let Phase::Voting { term, tally, .. } = self.phase else { return };
        self.phase = Phase::Asleep(cx.now().mono);
        let config = &cx.core.config;
        let (result, wait) = tally.parse(term, config.peers.len(), config.lease_ms(), config.max_vote_interval_ms);
        if let Some(extra_ms) = wait {
            self.set_next_vote(cx, extra_ms);
        }
        if tally.max_term > term {
            self.change_role_to_candidate(cx, tally.max_term);
        }
        self.last_parse_result = result;
        if result == ParseResult::Passed {
            self.change_role_to_leader(cx, term);
        }
    }

    /// An answer to a call of this elector, or `None` when the call failed. Those of earlier rounds nobody waits for, but a peer that answers is there.
    pub(super) fn answered<L: Ledger>(&mut self, cx: &mut Cx<'_, L>, call: CallId, answer: Option<&RpcAnswer>) {
        if call.kind == CallKind::HeartBeat {
            cx.core.member.heard(call.peer, answer.is_some());
        }
        if call.n != self.round {
            return;
        }
        match (&mut self.phase, call.kind, answer) {
            (Phase::Voting { tally, .. }, CallKind::Vote, Some(RpcAnswer::Vote(vote))) => tally.count(Some(*vote)),
            (Phase::Voting { tally, .. }, CallKind::Vote, _) => tally.count(None),
            (Phase::Beating { tally, .. }, CallKind::HeartBeat, Some(RpcAnswer::HeartBeat(beat))) => tally.count(Some(*beat)),
            (Phase::Beating { tally, .. }, CallKind::HeartBeat, _) => tally.count(None),
            _ => {}
        }
    }
}
