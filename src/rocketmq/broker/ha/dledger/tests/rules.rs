//! The leaf rules as tables: what a vote request and a heartbeat are answered, in the order of the checks, and what a round comes to.

use super::super::config::DLedgerConfig;
use super::super::elector::{AfterBeat, BeatTally, Elector, ParseResult, VoteTally};
use super::super::ledger::{DLedgerFiles, Entry, Ledger, committed_after, truncate_to};
use super::super::member::{MemberState, Role};
use super::super::protocol::{
    Code, HeartBeatRequest, HeartBeatResponse, LeadershipTransferRequest, PeerId, RequestId, RpcAnswer, VoteRequest,
    VoteResponse, VoteResult,
};
use super::super::transfer::{LeadershipTransfer, check_taking_over};
use super::super::{Core, Cx, Effect, Host};
use super::harness::VecLedger;
use crate::base::draw::Draws;
use crate::base::ids::Entity;
use crate::base::time::SEC;
use crate::contract::Now;
use std::sync::Arc;

const NOW: Now = Now { mono: 10 * SEC, wall_ms: 10_000 };

fn ledger(terms: &[i64]) -> VecLedger {
    let mut ledger = VecLedger::default();
    for &term in terms {
        let (index, pos) = (ledger.end() + 1, ledger.place(100));
        ledger.append(Entry { index, term, pos, size: 100, payload: index.unsigned_abs() });
    }
    ledger
}

/// Member n1 of three, in term 3, with a log that ends at index 2 of term 2.
struct Stage {
    core: Core,
    elector: Elector,
    ledger: VecLedger,
    files: DLedgerFiles,
    out: Vec<Effect<u64>>,
}

impl Stage {
    fn new(vote: Option<u16>, role: Role, leader: Option<u16>) -> Self {
        let config = DLedgerConfig::new(PeerId(1), vec![PeerId(0), PeerId(1), PeerId(2)]);
        let mut files = DLedgerFiles::default();
        files.term.cached.term = 3;
        files.term.cached.vote_for = vote.map(PeerId);
        let mut member = MemberState::load(&files);
        match (role, leader) {
            (Role::Leader, _) => member.change_to_leader(PeerId(1)),
            (Role::Follower, leader) => member.change_to_follower(PeerId(leader.unwrap_or(0))),
            (Role::Candidate, _) => {}
        }
        let core = Core::new(Arc::new(config), member);
        Stage { core, elector: Elector::new(NOW), ledger: ledger(&[1, 2, 2]), files, out: Vec::new() }
    }
    fn with<R>(&mut self, act: impl FnOnce(&mut Elector, &mut Cx<'_, VecLedger>) -> R) -> R {
        let host =
            Host { now: NOW, ledger: &mut self.ledger, files: &mut self.files, draws: Draws::new(1), entity: Entity(1), life: 1 };
        act(&mut self.elector, &mut Cx { core: &mut self.core, host, out: &mut self.out })
    }
}

#[test]
fn a_vote_request_is_answered_in_the_order_of_the_checks() {
    use Role::*;
    use VoteResult::*;
    // (vote, role, leader), (from, term, end index, end term), answer, and the role afterwards.
    let table = [
        // Strangers before anything else.
        ((None, Candidate, None), (9, 0, -1, -1), RejectUnknownLeader, Candidate),
        ((None, Candidate, None), (1, 9, 9, 9), RejectUnexpectedLeader, Candidate),
        // The log before the term: a candidate that is behind changes nothing, whatever its term.
        ((None, Leader, None), (0, 9, 9, 1), RejectExpiredLedgerTerm, Leader),
        ((None, Leader, None), (0, 9, 1, 2), RejectSmallLedgerEndIndex, Leader),
        ((None, Follower, Some(2)), (0, 9, -1, -1), RejectExpiredLedgerTerm, Follower),
        // Then the term.
        ((None, Candidate, None), (0, 2, 2, 2), RejectExpiredVoteTerm, Candidate),
        ((None, Leader, None), (0, 4, 2, 2), RejectTermNotReady, Candidate),
        ((None, Follower, Some(2)), (0, 4, 0, 3), RejectTermNotReady, Candidate),
        // Then the vote.
        ((Some(2), Candidate, None), (0, 3, 2, 2), RejectAlreadyVoted, Candidate),
        ((Some(2), Follower, Some(2)), (0, 3, 2, 2), RejectAlreadyHasLeader, Follower),
        ((Some(0), Candidate, None), (0, 3, 2, 2), Accept, Candidate),
        ((None, Candidate, None), (0, 3, 2, 2), Accept, Candidate),
        ((None, Candidate, None), (0, 3, 0, 3), Accept, Candidate),
        // A follower that has not voted votes, though it has a leader.
        ((None, Follower, Some(2)), (0, 3, 2, 2), Accept, Follower),
    ];
    for ((vote, role, leader), (from, term, ledger_end_index, ledger_end_term), expect, after) in table {
        let mut stage = Stage::new(vote, role, leader);
        let request = VoteRequest { term, leader: PeerId(from), ledger_end_index, ledger_end_term };
        let answer = stage.with(|elector, cx| elector.handle_vote(cx, &request, false));
        assert_eq!((answer.result, stage.core.member.role()), (expect, after), "{request:?}");
        assert_eq!((answer.term, stage.core.member.curr_term()), (3, 3), "{request:?}");
        let voted = if expect == Accept { Some(PeerId(from)) } else { vote.map(PeerId) };
        assert_eq!(stage.files.term.cached.vote_for, voted, "{request:?}: a vote is on the disk before it is given");
    }
    // A term below that of the own log, which a lost term file leaves behind.
    let mut stage = Stage::new(None, Candidate, None);
    stage.ledger = ledger(&[5]);
    let request = VoteRequest { term: 3, leader: PeerId(0), ledger_end_index: 0, ledger_end_term: 5 };
    let answer = stage.with(|elector, cx| elector.handle_vote(cx, &request, false));
    assert_eq!(answer, VoteResponse { term: 5, result: RejectTermSmallThanLedger });
}

/// It is asked to lead term 3 and is on its own list: its own vote is its own, others need a longer log.
#[test]
fn who_takes_a_leadership_over_votes_for_nobody_who_has_no_more() {
    use VoteResult::*;
    // Asked to lead this term, on this list, asked for its vote by a candidate whose log ends there.
    let table: [(i64, &[u16], u16, i64, VoteResult); 7] = [
        (3, &[1], 0, 2, RejectTakingLeadership),
        (3, &[0, 1], 0, 2, RejectTakingLeadership),
        (3, &[1], 0, 3, Accept),
        (3, &[1], 1, 2, Accept),
        (3, &[0], 0, 2, Accept),
        (4, &[1], 0, 2, Accept),
        (-1, &[1], 0, 2, Accept),
    ];
    for (asked, preferred, from, ledger_end_index, expect) in table {
        let mut stage = Stage::new(None, Role::Candidate, None);
        stage.core.member.set_term_to_take_leadership(asked);
        let preferred_leaders = preferred.iter().map(|&id| PeerId(id)).collect();
        stage.core.config = Arc::new(DLedgerConfig { preferred_leaders, ..(*stage.core.config).clone() });
        let request = VoteRequest { term: 3, leader: PeerId(from), ledger_end_index, ledger_end_term: 2 };
        let answer = stage.with(|elector, cx| elector.handle_vote(cx, &request, from == 1));
        assert_eq!(answer.result, expect, "asked to lead {asked}, {preferred:?} preferred: {request:?}");
    }
}

#[test]
fn a_transfer_is_answered_at_once_or_with_the_next_role() {
    let asked = |term, transfer, transferee| LeadershipTransferRequest {
        term,
        transfer: PeerId(transfer),
        transferee: PeerId(transferee),
        take_leadership_ledger_index: 2,
    };
    let codes = |stage: &mut Stage| -> Vec<Code> {
        let code = |effect| match effect {
            Effect::Answer { answer: RpcAnswer::LeadershipTransfer(answer), .. } => Some(answer.code),
            _ => None,
        };
        stage.out.drain(..).filter_map(code).collect()
    };
    let table = [
        (asked(3, 0, 2), &[Code::UnexpectedArgument][..], Role::Follower),
        (asked(3, 2, 1), &[Code::InconsistentLeader], Role::Follower),
        (asked(2, 0, 1), &[Code::InconsistentTerm], Role::Follower),
        (asked(3, 0, 1), &[], Role::Candidate),
    ];
    for (request, expect, role) in table {
        let mut stage = Stage::new(Some(0), Role::Follower, Some(0));
        let transfer = |elector: &mut Elector, cx: &mut Cx<'_, VecLedger>| {
            LeadershipTransfer::new(NOW).handle_leadership_transfer(cx, elector, RequestId(7), request);
        };
        stage.with(transfer);
        assert_eq!((&codes(&mut stage)[..], stage.core.member.role()), (expect, role), "{request:?}");
    }
    // It was asked to lead term 4.
    let table = [
        (4, Role::Candidate, None),
        (4, Role::Leader, Some(Code::Success)),
        (4, Role::Follower, Some(Code::TakeLeadershipFailed)),
        (5, Role::Candidate, Some(Code::ExpiredTerm)),
        (3, Role::Follower, Some(Code::TakeLeadershipFailed)),
        (3, Role::Candidate, Some(Code::InternalError)),
    ];
    for (term, role, expect) in table {
        let mut stage = Stage::new(None, Role::Candidate, None);
        stage.core.member.set_term_to_take_leadership(4);
        stage.core.taking_over = Some(RequestId(7));
        stage.with(|_, cx| check_taking_over(cx, term, role));
        stage.with(|_, cx| check_taking_over(cx, term, role));
        assert_eq!(codes(&mut stage), Vec::from_iter(expect), "{role:?} of term {term}, told once");
        assert_eq!(stage.core.taking_over.is_none(), expect.is_some(), "nobody is told twice");
    }
}

#[test]
fn a_heartbeat_is_answered_in_the_order_of_the_checks() {
    use Role::*;
    let table = [
        // (role, leader), (from, term), code, term in the answer, role and leader afterwards
        ((Candidate, None), (9, 9), Code::UnknownMember, 3, (Candidate, None)),
        ((Candidate, None), (1, 9), Code::UnexpectedMember, 3, (Candidate, None)),
        ((Leader, None), (0, 2), Code::ExpiredTerm, 3, (Leader, Some(1))),
        ((Candidate, None), (0, 3), Code::Success, -1, (Follower, Some(0))),
        ((Follower, Some(0)), (0, 3), Code::Success, -1, (Follower, Some(0))),
        ((Follower, Some(2)), (0, 3), Code::InconsistentLeader, -1, (Follower, Some(2))),
        ((Leader, None), (0, 3), Code::InconsistentLeader, -1, (Leader, Some(1))),
        // A higher term is not followed at once.
        ((Leader, None), (0, 4), Code::TermNotReady, -1, (Candidate, None)),
        ((Follower, Some(0)), (0, 4), Code::TermNotReady, -1, (Candidate, None)),
    ];
    for ((role, leader), (from, term), code, in_answer, after) in table {
        let mut stage = Stage::new(None, role, leader);
        let answer = stage.with(|elector, cx| elector.handle_heart_beat(cx, &HeartBeatRequest { term, leader: PeerId(from) }));
        assert_eq!(answer, HeartBeatResponse { term: in_answer, code }, "{role:?} {from} {term}");
        let now = (stage.core.member.role(), stage.core.member.leader().map(|l| l.0));
        assert_eq!((now, stage.core.member.curr_term()), (after, 3), "{role:?} {from} {term}");
    }
}

#[test]
fn a_round_of_votes_comes_to_one_of_seven_results() {
    use VoteResult::*;
    let (lease, longest) = (6_000, 1_000);
    let at = |term, result| Some(VoteResponse { term, result });
    // Answers of the two others; the candidate's own vote is an ACCEPT.
    let table = [
        ([at(3, Accept), None], true, (ParseResult::Passed, None)),
        ([at(3, Accept), at(3, RejectAlreadyHasLeader)], true, (ParseResult::WaitToRevote, Some(lease))),
        ([at(3, RejectAlreadyHasLeader), None], true, (ParseResult::WaitToRevote, Some(lease))),
        // Higher terms count before everything.
        ([at(7, RejectExpiredVoteTerm), at(3, Accept)], true, (ParseResult::WaitToVoteNext, Some(0))),
        ([at(7, RejectTermSmallThanLedger), None], true, (ParseResult::WaitToVoteNext, Some(0))),
        // Cut off: the term stays.
        ([None, None], true, (ParseResult::WaitToRevote, Some(0))),
        // Behind: wait longer.
        ([at(3, RejectSmallLedgerEndIndex), at(3, RejectExpiredLedgerTerm)], true, (ParseResult::WaitToRevote, Some(longest))),
        ([at(9, RejectSmallLedgerEndIndex), None], true, (ParseResult::WaitToRevote, Some(longest))),
        // Ask again at once, in the same term.
        ([at(2, RejectTermNotReady), None], true, (ParseResult::RevoteImmediately, None)),
        // Split.
        ([at(3, RejectAlreadyVoted), at(3, RejectAlreadyVoted)], true, (ParseResult::WaitToVoteNext, Some(0))),
        ([at(3, RejectAlreadyVoted), None], true, (ParseResult::WaitToVoteNext, Some(0))),
    ];
    for (answers, decided, expect) in table {
        let mut tally = VoteTally::new(3);
        tally.count(at(3, Accept));
        assert!(!tally.decided(3));
        answers.iter().for_each(|a| tally.count(*a));
        assert_eq!((tally.decided(3), tally.parse(3, 3, lease, longest)), (decided, expect), "{answers:?}");
    }
}

#[test]
fn a_round_of_heartbeats_comes_to_one_of_four_results() {
    let at = |code, term| Some(HeartBeatResponse { term, code });
    let (yes, soon) = (at(Code::Success, -1), at(Code::TermNotReady, -1));
    let (expired, other) = (at(Code::ExpiredTerm, 8), at(Code::InconsistentLeader, -1));
    let table = [
        ([yes, None], 99_999, AfterBeat::Confirmed),
        // A quorum is enough: nobody looks at the third, who knows a higher term (dl#325).
        ([yes, expired], 0, AfterBeat::Confirmed),
        ([soon, expired], 0, AfterBeat::Resend),
        ([expired, None], 0, AfterBeat::StepDown(8)),
        ([other, None], 0, AfterBeat::StepDown(3)),
        ([None, None], 6_000, AfterBeat::Keep),
        ([None, None], 6_001, AfterBeat::StepDown(3)),
    ];
    for (answers, silent_ms, expect) in table {
        let mut tally = BeatTally::new();
        answers.iter().for_each(|a| tally.count(*a));
        assert!(tally.decided(3));
        assert_eq!(tally.parse(3, 3, silent_ms, 6_000), expect, "{answers:?}");
    }
}

#[test]
fn the_committed_index_follows_without_asking_for_terms() {
    let log = ledger(&[1, 1, 2]);
    // committed, current term, term and index offered, what it becomes
    let table = [
        (-1, 3, 3, -1, None),
        (-1, 3, 2, 1, None),
        // An entry of an older term (H79).
        (-1, 3, 3, 1, Some(1)),
        (-1, 3, 4, 1, Some(1)),
        (1, 3, 3, 1, None),
        (1, 3, 3, 0, None),
        (1, 3, 3, 9, Some(2)),
        // Truncated below what was committed: lower offers are skipped, a higher one is cut to the end (dl#316).
        (5, 3, 3, 4, None),
        (5, 3, 3, 6, Some(2)),
    ];
    for (committed, curr_term, term, index, expect) in table {
        assert_eq!(committed_after(&log, committed, curr_term, term, index), expect, "{committed} {curr_term} {term} {index}");
    }
    assert_eq!(committed_after(&ledger(&[]), -1, 0, 0, 4), None);
}

#[test]
fn a_truncation_makes_its_entry_the_last_one() {
    let leader = ledger(&[1, 1, 3, 3]);
    let table: [(&[i64], i64, &[i64]); 4] = [
        // (follower before, entry, terms afterwards)
        (&[1, 1, 2, 2, 2], 1, &[1, 1]),
        (&[1, 1, 2, 2, 2], 2, &[1, 1, 3]),
        (&[2, 2], 0, &[1]),
        // Too short to reach it: begins anew.
        (&[1], 3, &[3]),
    ];
    for (before, index, after) in table {
        let mut follower = ledger(before);
        truncate_to(&mut follower, &leader.entry(index).unwrap());
        let terms: Vec<i64> = follower.entries.iter().map(|e| e.term).collect();
        assert_eq!((&terms[..], follower.end()), (after, index), "{before:?}");
    }
}

/// Whatever a peer sends, a member takes it: numbers without sense, answers to questions nobody asked.
#[test]
fn no_input_panics() {
    use super::super::protocol::{CallId, CallKind, LeadershipTransferResponse, Push, PushEntryRequest, PushEntryResponse, Rpc};
    use super::super::{DLedgerServer, Input};
    use crate::base::draw::Purpose;
    let draws = Draws::new(5);
    let mut n = 0;
    let mut draw = |bound: u64| {
        n += 1;
        draws.below(Entity(0), Purpose::Plan, n, bound)
    };
    let numbers = [i64::MIN, -2, -1, 0, 1, 2, 3, 4, 7, i64::MAX - 1, i64::MAX];
    for round in 0..300 {
        let mut config = DLedgerConfig::new(PeerId(1), vec![PeerId(0), PeerId(1), PeerId(2)]);
        let preferred: [&[PeerId]; 3] = [&[], &[PeerId(0)], &[PeerId(2), PeerId(1)]];
        config.preferred_leaders = preferred[round % 3].to_vec();
        let config = Arc::new(config);
        let (mut log, mut files, mut out) = (ledger(&[1, 2, 2]), DLedgerFiles::default(), Vec::new());
        let mut server: Option<DLedgerServer<u64>> = None;
        for step in 0..200_u64 {
            let mut number = || numbers[usize::try_from(draw(numbers.len() as u64)).unwrap()];
            let (term, index, other, third) = (number(), number(), number(), number());
            let peer = PeerId(u16::try_from(draw(4)).unwrap());
            let entry = Entry { index, term: other, pos: third.unsigned_abs(), size: 100, payload: 1 };
            let push = [Push::Append(entry), Push::Compare(entry), Push::Truncate(entry), Push::Commit]
                [usize::try_from(draw(4)).unwrap()];
            let code = [Code::Success, Code::InconsistentState, Code::ExpiredTerm, Code::TermNotReady]
                [usize::try_from(draw(4)).unwrap()];
            let kinds =
                [CallKind::Vote, CallKind::HeartBeat, CallKind::Step, CallKind::Append, CallKind::Commit, CallKind::Transfer];
            let call = CallId { peer, kind: kinds[usize::try_from(draw(6)).unwrap()], n: draw(6) };
            let request = RequestId(step);
            let result = [VoteResult::Accept, VoteResult::RejectExpiredVoteTerm][usize::try_from(draw(2)).unwrap()];
            let input = match draw(13) {
                0 => Input::Wake,
                1 => Input::Flushed,
                2 => Input::Failed { call },
                3 => Input::Answered { call, answer: RpcAnswer::Vote(VoteResponse { term, result }) },
                4 => Input::Answered { call, answer: RpcAnswer::HeartBeat(HeartBeatResponse { term, code }) },
                5 => {
                    let answer = PushEntryResponse { term, index, begin_index: other, end_index: third, code };
                    Input::Answered { call, answer: RpcAnswer::Push(answer) }
                }
                6 => {
                    let vote = VoteRequest { term, leader: peer, ledger_end_index: index, ledger_end_term: other };
                    Input::Request { request, rpc: Rpc::Vote(vote) }
                }
                7 => Input::Request { request, rpc: Rpc::HeartBeat(HeartBeatRequest { term, leader: peer }) },
                8 => {
                    let answer = LeadershipTransferResponse { term, code };
                    Input::Answered { call, answer: RpcAnswer::LeadershipTransfer(answer) }
                }
                9 => {
                    let to = PeerId(1);
                    let transfer =
                        LeadershipTransferRequest { term, transfer: peer, transferee: to, take_leadership_ledger_index: index };
                    Input::Request { request, rpc: Rpc::LeadershipTransfer(transfer) }
                }
                _ => {
                    let push = PushEntryRequest { term, leader: peer, commit_index: third, push };
                    Input::Request { request, rpc: Rpc::Push(push) }
                }
            };
            let now = Now { mono: 5 * SEC + step * SEC / 50, wall_ms: 1_700_000_000_000 + i64::try_from(step * 20).unwrap() };
            let host = Host { now, ledger: &mut log, files: &mut files, draws, entity: Entity(1), life: 1 };
            match &mut server {
                None => server = Some(DLedgerServer::start(config.clone(), host, &mut out)),
                Some(server) if step.is_multiple_of(20) => {
                    let _ = server.append(&[(7, 100)], host, &mut out);
                }
                Some(server) => server.handle(input, host, &mut out),
            }
            out.clear();
            let _ = server.as_ref().and_then(|s| s.next_deadline(now));
        }
    }
}
