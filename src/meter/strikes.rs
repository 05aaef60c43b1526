//! What may take a broker set's messages away from its clients.
//!
//! Some strikes take the broker itself away: it dies, stands still, is cut off, leads no longer. Others leave it where it is and keep its puts from being
//! done: the members or the slave whose answer a put waits for are out of its reach, its disk stands still or is full. Whether such a *hindrance*
//! was an outage for a client is seen only by what that client got: a call that failed, or an answer of a lesser status, before one that was as good
//! as before (`SendStatus`, 4.9.8; server spec 3.6, 10.5, 11.4).

use crate::contract::note::{AttemptError, RpcFailure, SendStatus};

/// What became of the broker that took the set's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    Killed,
    HostLost,
    Stopped,
    Frozen,
    /// A fault of this number cuts it off from clients.
    CutOff {
        fault: u16,
    },
    /// A DLedger member that leads no longer.
    Deposed,
    /// A DLedger leader that reaches no majority of its group.
    NoMajority,
    /// A SYNC_MASTER that reaches no slave.
    NoSlave,
    /// A fault of this number slows its disk down, or makes it stand still.
    SlowDisk {
        fault: u16,
    },
    /// Its disk is too full: it refuses what it is sent.
    DiskFull,
}

impl Strike {
    /// Its host answers nothing, not even that nobody listens.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Strike::HostLost | Strike::CutOff { .. })
    }
    /// It is there and answers, and its puts are not done.
    pub(super) fn hinders(self) -> bool {
        matches!(self, Strike::NoMajority | Strike::NoSlave | Strike::SlowDisk { .. } | Strike::DiskFull)
    }
    /// Deliveries stop as well: readers see what a majority has, and nothing of a broker that is not there.
    pub(super) fn stops_readers(self) -> bool {
        !matches!(self, Strike::NoSlave | Strike::SlowDisk { .. } | Strike::DiskFull)
    }
    /// A process died.
    pub(super) fn is_death(self) -> bool {
        matches!(self, Strike::Killed | Strike::HostLost)
    }
    /// "broker-a:0 killed".
    pub(super) fn describe(self, node: &str) -> String {
        match self {
            Strike::Killed => format!("{node} killed"),
            Strike::HostLost => format!("host of {node} lost"),
            Strike::Stopped => format!("{node} stopped"),
            Strike::Frozen => format!("{node} frozen"),
            Strike::CutOff { .. } => format!("{node} cut off"),
            Strike::Deposed => format!("{node} leads no longer"),
            Strike::NoMajority => format!("{node} without a majority"),
            Strike::NoSlave => format!("{node} without a slave"),
            Strike::SlowDisk { .. } => format!("disk of {node} slow"),
            Strike::DiskFull => format!("disk of {node} full"),
        }
    }
    /// What must come before this broker serves again, where it does so without anybody's election or restart.
    pub(super) fn ends_with(self) -> Option<&'static str> {
        match self {
            Strike::Frozen => Some("the end of the freeze"),
            Strike::CutOff { .. } => Some("the end of the cut"),
            Strike::NoMajority => Some("a majority of the group in reach of the leader again"),
            Strike::NoSlave => Some("a slave in reach again"),
            Strike::SlowDisk { .. } => Some("the end of the fault at the disk"),
            Strike::DiskFull => Some("room on the disk"),
            Strike::Killed | Strike::HostLost | Strike::Stopped | Strike::Deposed => None,
        }
    }
}

/// How a client came to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Attempt(AttemptError),
    /// An answer that promises less than the answers before.
    Lesser(SendStatus),
    /// A route without the set.
    Route,
    Pull(RpcFailure),
}

/// With whom, or by what, a majority of a group could vote again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Majority {
    Member(crate::base::ids::NodeId),
    /// A link was whole again.
    Link,
}
