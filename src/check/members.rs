//! Ghost members: lists of a group that are longer than the number of its living members.
//!
//! A ghost is given queues that nobody then consumes (H87). What a member acted upon is believed at once; a broker's own list is
//! believed only if nobody of the group died within the last second, because a close event needs a moment to arrive.

use super::roster::Roster;
use crate::base::ids::GroupId;
use crate::base::time::SEC;

/// How long a broker may take to learn of a closed connection before its list counts, ns.
const GRACE: u64 = SEC;

#[derive(Clone, Debug)]
pub struct Members {
    /// By group: the most ghosts in one list; `None` until a list was seen.
    worst: Vec<Option<u16>>,
}

impl Members {
    pub fn new(groups: usize) -> Self {
        Members { worst: vec![None; groups] }
    }

    /// A member rebalanced over a list of this length.
    pub fn acted_upon(&mut self, roster: &Roster, group: GroupId, members: u16) {
        let ghosts = members.saturating_sub(roster.living(group).0);
        let worst = &mut self.worst[group.0 as usize];
        *worst = (*worst).max(Some(ghosts));
    }

    /// A broker's list has this length.
    pub fn registered(&mut self, roster: &Roster, group: GroupId, members: u16, at: u64) {
        let (_, changed) = roster.living(group);
        if at >= changed + GRACE {
            self.acted_upon(roster, group, members);
        }
    }

    pub fn worst(&self, group: GroupId) -> Option<i64> {
        self.worst[group.0 as usize].map(i64::from)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{counter, play};

    #[test]
    fn ghosts_are_counted_once_the_dust_has_settled() {
        let of = |script: &str| counter(&play(script), "ghost_members@cg");
        assert_eq!(of("1 c1 allocated 3 a:0,a:1"), Some(0));
        assert_eq!(of("1 c1 allocated 7 a:0"), Some(4));
        assert_eq!(of("1 c3 killed; 1.001 broker-a registered c1 3; 1.002 broker-a forgotten c3 2 closed"), None);
        assert_eq!(of("1 c3 killed; 9 broker-a registered c1 3"), Some(1));
        assert_eq!(of("1 c3 frozen; 9 broker-a registered c1 3"), Some(0));
    }
}
