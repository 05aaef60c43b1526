//! Who a member is at the moment: its role, its leader, its term and whom it voted for.
//!
//! A term rises in one place only, in the elector's own loop; a message with a higher term merely makes the member a candidate that knows how
//! high it must go. Term and vote are in a file before anything is answered. Models `MemberState` (DLedger 0.3.1.2; server spec 11.1).

use super::ledger::{DLedgerFiles, TermAndVote};
use super::protocol::PeerId;

/// `MemberState.Role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Candidate,
    Leader,
    Follower,
}

/// `MemberState` (0.3.1.2).
#[derive(Clone, Debug)]
pub struct MemberState {
    role: Role,
    leader: Option<PeerId>,
    curr_term: i64,
    curr_vote_for: Option<PeerId>,
    known_max_term_in_group: i64,
    /// To whom this leader is handing its leadership.
    transferee: Option<PeerId>,
    /// -1: it was asked to take none.
    term_to_take_leadership: i64,
    /// `peersLiveTable`: who answered the last heartbeat, by this leadership.
    live: Vec<PeerId>,
}

impl MemberState {
    /// `MemberState#loadPersistentState`.
    pub fn load(files: &DLedgerFiles) -> Self {
        let TermAndVote { term, vote_for } = files.term.cached;
        MemberState {
            role: Role::Candidate,
            leader: None,
            curr_term: term,
            curr_vote_for: vote_for,
            known_max_term_in_group: -1,
            transferee: None,
            term_to_take_leadership: -1,
            live: Vec::new(),
        }
    }
    pub fn role(&self) -> Role {
        self.role
    }
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
    pub fn is_follower(&self) -> bool {
        self.role == Role::Follower
    }
    pub fn leader(&self) -> Option<PeerId> {
        self.leader
    }
    pub fn curr_term(&self) -> i64 {
        self.curr_term
    }
    pub fn curr_vote_for(&self) -> Option<PeerId> {
        self.curr_vote_for
    }
    pub fn transferee(&self) -> Option<PeerId> {
        self.transferee
    }
    pub(super) fn set_transferee(&mut self, transferee: Option<PeerId>) {
        self.transferee = transferee;
    }
    pub fn term_to_take_leadership(&self) -> i64 {
        self.term_to_take_leadership
    }
    pub(super) fn set_term_to_take_leadership(&mut self, term: i64) {
        self.term_to_take_leadership = term;
    }
    pub fn is_live(&self, peer: PeerId) -> bool {
        self.live.contains(&peer)
    }
    /// A peer has answered a heartbeat, or has not.
    pub(super) fn heard(&mut self, peer: PeerId, answered: bool) {
        self.live.retain(|&id| id != peer);
        if answered {
            self.live.push(peer);
        }
    }

    fn persist(&self, files: &mut DLedgerFiles) {
        files.term.cached = TermAndVote { term: self.curr_term, vote_for: self.curr_vote_for };
    }
    /// `MemberState#setCurrVoteFor`.
    pub(super) fn vote_for(&mut self, files: &mut DLedgerFiles, peer: PeerId) {
        self.curr_vote_for = Some(peer);
        self.persist(files);
    }
    /// `MemberState#nextTerm`: the highest term heard of, if that is higher; the next one otherwise.
    pub(super) fn next_term(&mut self, files: &mut DLedgerFiles) -> i64 {
        let next = self.curr_term.saturating_add(1);
        self.curr_term = if self.known_max_term_in_group > self.curr_term { self.known_max_term_in_group } else { next };
        self.curr_vote_for = None;
        self.persist(files);
        self.curr_term
    }
    /// `MemberState#changeToLeader`, for the present term.
    pub(super) fn change_to_leader(&mut self, self_id: PeerId) {
        self.role = Role::Leader;
        self.leader = Some(self_id);
        self.live.clear();
    }
    /// `MemberState#changeToFollower`, for the present term: that is the only one a heartbeat is followed in.
    pub(super) fn change_to_follower(&mut self, leader: PeerId) {
        self.known_max_term_in_group = self.known_max_term_in_group.max(self.curr_term);
        self.role = Role::Follower;
        self.leader = Some(leader);
        self.transferee = None;
    }
    /// `MemberState#changeToCandidate`: not for a term below the present one; the present one stays.
    pub(super) fn change_to_candidate(&mut self, term: i64) -> bool {
        if term < self.curr_term {
            return false;
        }
        self.known_max_term_in_group = self.known_max_term_in_group.max(term);
        self.role = Role::Candidate;
        self.leader = None;
        self.transferee = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_rises_by_one_or_to_the_highest_heard_of() {
        let mut files = DLedgerFiles::default();
        let mut m = MemberState::load(&files);
        m.vote_for(&mut files, PeerId(2));
        assert_eq!(files.term.cached, TermAndVote { term: 0, vote_for: Some(PeerId(2)) });
        assert_eq!((m.next_term(&mut files), m.curr_vote_for()), (1, None));
        assert!(m.change_to_candidate(7) && m.curr_term() == 1);
        assert_eq!((m.next_term(&mut files), m.next_term(&mut files)), (7, 8));
        assert!(!m.change_to_candidate(7));
        assert_eq!(MemberState::load(&files).curr_term(), 8);
        assert_eq!(files.term.durable, TermAndVote::default());
    }
}
