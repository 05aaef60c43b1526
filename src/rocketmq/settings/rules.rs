//! Versions, and the rules that differ between them, as rows.
//!
//! A row says: this behaviour holds from one version on (or up to one). A node's version picks the rows; a scenario may override one by
//! name, to ask "would the newer rule have helped?" without changing anything else.

use std::fmt;
use std::str::FromStr;

/// A RocketMQ release of the 4.9 line and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8, pub u8);

impl Version {
    pub const V4_9_8: Version = Version(4, 9, 8);
    pub const V4_9_7: Version = Version(4, 9, 7);

    /// The versions whose rules are all built.
    pub const BUILT: &'static [Version] = &[Version(4, 9, 5), Version(4, 9, 6), Version(4, 9, 7), Version(4, 9, 8)];

    /// Refuses a version that would run silently as something else, and says what is missing.
    pub fn require_built(self) -> Result<Version, VersionError> {
        if Self::BUILT.contains(&self) {
            return Ok(self);
        }
        let missing = if self >= Version(5, 0, 0) {
            "the 5.x rules (1 s rebalance spacing, 500 ms first pull, pop, controller, confirm offset) are not built"
        } else if self < Version(4, 9, 0) {
            "the rules before 4.9 (shared client instances, retry on the same broker, 3 s pull delay) are not built"
        } else if self < Version(4, 9, 5) {
            "the orderly start of 4.9.4 and older (new queues begin unlocked) and the flow-control pause before 4.9.5 are not built"
        } else {
            "no such release is known"
        };
        Err(VersionError { version: self, missing })
    }
}

/// A version this build cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RocketMQ {version} is not built: {missing}; built are 4.9.5, 4.9.6, 4.9.7 and 4.9.8")]
pub struct VersionError {
    pub version: Version,
    pub missing: &'static str,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a version; expected three numbers such as \"4.9.8\"")]
pub struct NotAVersion(pub String);

impl FromStr for Version {
    type Err = NotAVersion;
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.split('.').map(|p| p.parse::<u8>().ok());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(a)), Some(Some(b)), Some(Some(c)), None) => Ok(Version(a, b, c)),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

/// One row: a rule, the versions it holds for, and where it was read.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    /// First version with the rule.
    pub since: Option<Version>,
    /// Last version with the rule.
    pub until: Option<Version>,
    pub source: &'static str,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $field:ident, $name:literal, $since:expr, $until:expr, $source:literal;)*) => {
        /// The rules in force at one node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Rules {
            $($(#[doc = $doc])+ pub $field: bool,)*
        }

        impl Rules {
            /// Every row.
            pub const ROWS: &'static [Row] = &[$(Row { name: $name, since: $since, until: $until, source: $source },)*];

            /// The rules of a version.
            pub fn of(version: Version) -> Rules {
                let holds = |since: Option<Version>, until: Option<Version>| {
                    since.is_none_or(|v| version >= v) && until.is_none_or(|v| version <= v)
                };
                Rules { $($field: holds($since, $until),)* }
            }

            /// Overrides one row by name; false if there is none of that name.
            pub fn set(&mut self, name: &str, holds: bool) -> bool {
                match name {
                    $($name => self.$field = holds,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

rules! {
    /// When every broker is avoided, the fallback rewrites the shared publish list instead of making a new queue.
    writes_into_publish_list, "writesIntoPublishList", None, Some(Version(4, 9, 7)), "MQFaultStrategy#selectOneMessageQueue";
    /// Before 4.9.4 an offset past the end of a queue whose minimum is 0 restarts at 0 instead of the end.
    overflow_badly_restarts_at_zero, "overflowBadlyRestartsAtZero", None, Some(Version(4, 9, 3)), "DefaultMessageStore#getMessage";
    /// From 4.9.5 on an answer FLOW_CONTROL pauses a pull 20 ms instead of the exception delay.
    flow_control_pause, "flowControlPause", Some(Version(4, 9, 5)), None, "DefaultMQPushConsumerImpl#pullMessage";
    /// From 4.9.5 on a queue newly taken over counts as locked at once.
    new_queue_is_locked, "newQueueIsLocked", Some(Version(4, 9, 5)), None, "RebalanceImpl#updateProcessQueueTableInRebalance";
    /// Up to 4.9.2 the delay task slept until an entry was due instead of looking every 100 ms.
    delay_sleeps_until_due, "delaySleepsUntilDue", None, Some(Version(4, 9, 2)), "ScheduleMessageService.DeliverDelayedMessageTimerTask";
    /// Any error answer to an offset query counts as "no offset"; from 5.x on only QUERY_NOT_FOUND does.
    offset_query_error_means_none, "offsetQueryErrorMeansNone", None, Some(Version(4, 9, 255)), "RemoteBrokerOffsetStore#readOffset";
    /// From 5.3.0 on nothing enters its consume queue before it is flushed, if the broker flushes synchronously (`readUnCommitted` = false).
    dispatch_waits_for_flush, "dispatchWaitsForFlush", Some(Version(5, 3, 0)), None, "CommitLog#getConfirmOffset";
    /// The member list holds one id as often as it has channels; a model switch shows what removing doubles would do.
    member_list_keeps_doubles, "memberListKeepsDoubles", None, None, "ConsumerGroupInfo#getAllClientId";
    /// The broker takes any commit of anybody; a model switch refuses those that go backwards.
    commit_is_unfenced, "commitIsUnfenced", None, None, "ConsumerOffsetManager#commitOffset";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_pick_by_version() {
        assert!(Rules::of(Version(4, 9, 7)).writes_into_publish_list);
        assert!(!Rules::of(Version(4, 9, 8)).writes_into_publish_list);
        assert!(Rules::of(Version(4, 9, 8)).new_queue_is_locked);
        let mut rules = Rules::of(Version(4, 9, 8));
        assert!(rules.set("overflowBadlyRestartsAtZero", true) && rules.overflow_badly_restarts_at_zero);
        assert!(!rules.set("noSuchRule", true));
    }

    #[test]
    fn unbuilt_versions_are_refused_by_name() {
        for v in ["5.3.3", "4.5.1", "4.9.3", "4.9.9"] {
            assert!(v.parse::<Version>().unwrap().require_built().is_err(), "{v}");
        }
        assert!("4.9.8".parse::<Version>().unwrap().require_built().is_ok());
        assert!("4.9".parse::<Version>().is_err() && "4.9.8.1".parse::<Version>().is_err() && "x".parse::<Version>().is_err());
    }
}
