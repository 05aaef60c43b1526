//! The settings and the fixed numbers of a DLedger member.
//!
//! Everything that RocketMQ leaves at DLedger's default is here with that default; the numbers that no setting reaches are constants beside
//! their class (`DLedgerConfig`, DLedger 0.3.1.2; server spec 11, 15).

use super::clean::CleanConfig;
use super::protocol::PeerId;
use crate::base::time::MS;

/// `DLedgerConfig`. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DLedgerConfig {
    /// `selfId`.
    pub self_id: PeerId,
    /// `peers`: every member, this one too, in the order of their ids.
    pub peers: Vec<PeerId>,
    /// `heartBeatTimeIntervalMs`.
    pub heart_beat_time_interval_ms: i64,
    /// `maxHeartBeatLeak`: so many intervals of silence end a leadership, at both ends.
    pub max_heart_beat_leak: i64,
    /// `minVoteIntervalMs`.
    pub min_vote_interval_ms: i64,
    /// `maxVoteIntervalMs`.
    pub max_vote_interval_ms: i64,
    /// `maxPendingRequestsNum`.
    pub max_pending_requests_num: usize,
    /// `maxWaitAckTimeMs`.
    pub max_wait_ack_time_ms: i64,
    /// `maxPushTimeOutMs`.
    pub max_push_time_out_ms: i64,
    /// `peerPushThrottlePoint`, bytes.
    pub peer_push_throttle_point: u64,
    /// `peerPushQuota`, bytes a second.
    pub peer_push_quota: u64,
    /// `flushFileInterval`.
    pub flush_file_interval_ms: u64,
    /// `checkPointInterval`.
    pub check_point_interval_ms: u64,
    /// `preferredLeaderIds`: of every member its own list; empty: none.
    pub preferred_leaders: Vec<PeerId>,
    /// `maxLeadershipTransferWaitIndex`: so far behind a member is not given the leadership.
    pub max_leadership_transfer_wait_index: i64,
    /// `minTakeLeadershipVoteIntervalMs`.
    pub min_take_leadership_vote_interval_ms: i64,
    /// `maxTakeLeadershipVoteIntervalMs`.
    pub max_take_leadership_vote_interval_ms: i64,
    /// What the cleaning of its store goes by.
    pub clean: CleanConfig,
    /// No setting of DLedger: what 0.3.1.2 would do if a new leadership began every comparison at the leader's end. It goes on instead where the last
    /// unfinished one stood (see `EntryDispatcher`).
    pub compare_afresh: bool,
}

impl DLedgerConfig {
    pub fn new(self_id: PeerId, peers: Vec<PeerId>) -> Self {
        DLedgerConfig {
            self_id,
            peers,
            heart_beat_time_interval_ms: 2_000,
            max_heart_beat_leak: 3,
            min_vote_interval_ms: 300,
            max_vote_interval_ms: 1_000,
            max_pending_requests_num: 10_000,
            max_wait_ack_time_ms: 2_500,
            max_push_time_out_ms: 1_000,
            peer_push_throttle_point: 300 * 1024 * 1024,
            peer_push_quota: 20 * 1024 * 1024,
            flush_file_interval_ms: 10,
            check_point_interval_ms: 3_000,
            preferred_leaders: Vec::new(),
            max_leadership_transfer_wait_index: 1_000,
            min_take_leadership_vote_interval_ms: 30,
            max_take_leadership_vote_interval_ms: 100,
            clean: CleanConfig::default(),
            compare_afresh: false,
        }
    }
    /// `leadershipTransferWaitTimeout`, ns.
    pub const TRANSFER_WAIT: u64 = 1_000 * MS;

    /// `MemberState#isQuorum`.
    pub fn is_quorum(&self, num: usize) -> bool {
        num > self.peers.len() / 2
    }
    /// `MemberState#isPeerMember`.
    pub fn is_member(&self, id: PeerId) -> bool {
        self.peers.contains(&id)
    }
    /// How long a leadership outlives its last sign.
    pub fn lease_ms(&self) -> i64 {
        self.max_heart_beat_leak.saturating_mul(self.heart_beat_time_interval_ms)
    }
    pub fn others(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.iter().copied().filter(|&id| id != self.self_id)
    }
}

/// The sleep between two rounds of `DLedgerLeaderElector.StateMaintainer`, ns.
pub const MAINTAIN_INTERVAL: u64 = 10 * MS;
/// What a vote round waits for at least (`DLedgerLeaderElector#maintainAsCandidate`), ms.
pub const VOTE_WAIT_MS: u64 = 2_000;
/// What a dispatcher waits for a COMPARE or TRUNCATE (`DLedgerEntryPusher.EntryDispatcher`), ns.
pub const COMPARE_WAIT: u64 = 3_000 * MS;
/// What a dispatcher sleeps after an exception, ns.
pub const ERROR_PAUSE: u64 = 500 * MS;
/// `DLedgerEntryPusher.EntryDispatcher.maxPendingSize`.
pub const MAX_PENDING_SIZE: usize = 1_000;
/// A leader with nothing to push sends COMMIT when its last push is longer ago, ms.
pub const PUSH_COMMIT_MS: i64 = 1_000;
/// How often leaked entries of the pending tables are looked for, and a leader's own watermark is renewed, ms.
pub const CHECK_LEAK_MS: i64 = 1_000;
/// Length of `DLedgerEntryPusher.EntryHandler.compareOrTruncateRequests`.
pub const COMPARE_QUEUE: usize = 1_024;
/// The timeout of a push's future at the follower, and the interval of the fast-forward check, ms.
pub const HANDLER_TIMEOUT_MS: i64 = 1_000;
