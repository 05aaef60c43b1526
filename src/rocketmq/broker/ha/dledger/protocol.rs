//! What the members of a DLedger group say to each other, and the codes they say it with.
//!
//! Four conversations: VOTE asks for a vote, HEART_BEAT holds a leadership, PUSH carries the log, LEADERSHIP_TRANSFER hands a leadership on. A push has four kinds: APPEND adds the next
//! entry, COMPARE asks whether an entry is the same on both sides, TRUNCATE makes it the follower's last, COMMIT tells how far the group has got
//! when there is nothing to append. Requests of `io.openmessaging.storage.dledger.protocol` and `DLedgerResponseCode` (DLedger 0.3.1.2; server spec 11, 13.3).
//! Values are small and `Copy`, so that a frame can carry them as they are.

use super::ledger::Entry;

/// A member of the group: `n<k>` of `dLegerPeers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u16);

/// `VoteRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    pub term: i64,
    /// The candidate.
    pub leader: PeerId,
    pub ledger_end_index: i64,
    pub ledger_end_term: i64,
}

/// `HeartBeatRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartBeatRequest {
    pub term: i64,
    pub leader: PeerId,
}

/// `PushEntryRequest.Type` with the entry it needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Push<P> {
    Append(Entry<P>),
    Compare(Entry<P>),
    Truncate(Entry<P>),
    Commit,
}

/// `PushEntryRequest`, without its batch form (`enableBatchPush` is false by default).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PushEntryRequest<P> {
    pub term: i64,
    pub leader: PeerId,
    pub commit_index: i64,
    pub push: Push<P>,
}

impl<P> PushEntryRequest<P> {
    /// The index of the entry it carries; -1 without one.
    pub fn index(&self) -> i64 {
        match &self.push {
            Push::Append(entry) | Push::Compare(entry) | Push::Truncate(entry) => entry.index,
            Push::Commit => -1,
        }
    }
}

/// `LeadershipTransferRequest`, as a leader sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadershipTransferRequest {
    pub term: i64,
    /// `transferId`: the leader.
    pub transfer: PeerId,
    /// `transfereeId`: who is to take over.
    pub transferee: PeerId,
    /// The transferee must have everything up to here.
    pub take_leadership_ledger_index: i64,
}

/// A request from one member to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rpc<P> {
    Vote(VoteRequest),
    HeartBeat(HeartBeatRequest),
    Push(PushEntryRequest<P>),
    LeadershipTransfer(LeadershipTransferRequest),
}

/// `VoteResponse.RESULT`, as far as a member answers with it: UNKNOWN stands for a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteResult {
    Accept,
    RejectUnknownLeader,
    RejectUnexpectedLeader,
    RejectExpiredVoteTerm,
    RejectAlreadyVoted,
    RejectAlreadyHasLeader,
    RejectTermNotReady,
    RejectTermSmallThanLedger,
    RejectExpiredLedgerTerm,
    RejectSmallLedgerEndIndex,
    RejectTakingLeadership,
}

/// `DLedgerResponseCode`, as far as a rule here answers with one or looks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Success,
    UnknownMember,
    UnexpectedMember,
    ExpiredTerm,
    NotLeader,
    NotFollower,
    InconsistentState,
    InconsistentLeader,
    UnexpectedArgument,
    RepeatedPush,
    PushRequestIsFull,
    DiskFull,
    TermNotReady,
    TermChanged,
    WaitQuorumAckTimeout,
    LeaderPendingFull,
    LeaderTransferring,
    TakeLeadershipFailed,
    InconsistentTerm,
    InternalError,
}

/// `VoteResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteResponse {
    pub term: i64,
    pub result: VoteResult,
}

/// `HeartBeatResponse`. `term` is set with EXPIRED_TERM and the two codes for strangers; -1 otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartBeatResponse {
    pub term: i64,
    pub code: Code,
}

/// `PushEntryResponse`: the request's term and index, and what the follower has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushEntryResponse {
    pub term: i64,
    pub index: i64,
    pub begin_index: i64,
    pub end_index: i64,
    pub code: Code,
}

/// `LeadershipTransferResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadershipTransferResponse {
    pub term: i64,
    pub code: Code,
}

/// The answer to an [`Rpc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcAnswer {
    Vote(VoteResponse),
    HeartBeat(HeartBeatResponse),
    Push(PushEntryResponse),
    LeadershipTransfer(LeadershipTransferResponse),
}

/// Which request of a peer an answer belongs to: a number that the driver gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a call was for. A driver only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(super) peer: PeerId,
    pub(super) kind: CallKind,
    /// The round of the elector, or the step of the dispatcher, that asked.
    pub(super) n: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CallKind {
    Vote,
    HeartBeat,
    /// A dispatcher waits for the answer (COMPARE, TRUNCATE).
    Step,
    Append,
    /// Nobody looks at the answer.
    Commit,
    /// The check of preferred leaders waits for the answer.
    Transfer,
}
