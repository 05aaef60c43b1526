//! Is each slave's log a prefix of its master's? Read from the surviving disks at the end of a run.
//!
//! Two copies agree when every record of the slave lies in the master's log too, at the same physical offset. A slave may lack the newest ones, or begin
//! later (`HAService` starts an empty slave with the newest file); what it has in other places, or beyond its master's end, nobody shipped: the log that was
//! shipped to it has been cut back since (server spec 10.5). What the master has deleted because of its age or a full disk a slave may still have.

use crate::base::ids::MessageId;
use std::ops::Range;

/// What is wrong with a slave's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Other bytes than the master's from this physical offset on.
    Differs { at: u64 },
    /// So many records lie behind the master's end.
    Ahead { records: u64 },
}

impl Divergence {
    pub fn describe(self) -> String {
        match self {
            Divergence::Differs { at } => format!("other bytes than its master from physical offset {at} on"),
            Divergence::Ahead { records } => format!("ahead of its master by {records} records"),
        }
    }
}

/// Compares two logs, each as (physical offset, message) in order; `whole` is the part of the master's that was not deleted.
pub fn compare(
    master: impl Iterator<Item = (u64, MessageId)>,
    whole: Range<u64>,
    slave: impl Iterator<Item = (u64, MessageId)>,
) -> Option<Divergence> {
    let mut master = master.peekable();
    let mut ahead = 0;
    for (at, message) in slave.skip_while(|record| record.0 < whole.start) {
        if at >= whole.end {
            ahead += 1;
            continue;
        }
        while master.next_if(|m| m.0 < at).is_some() {}
        if master.peek() != Some(&(at, message)) {
            return Some(Divergence::Differs { at });
        }
    }
    (ahead > 0).then_some(Divergence::Ahead { records: ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_told_from_what_is_none() {
        let log = |records: &[(u64, u64)]| records.iter().map(|(at, n)| (*at, MessageId::new(0, *n))).collect::<Vec<_>>();
        let master = [(0, 0), (100, 1), (200, 2), (300, 3)];
        type Line<'a> = (&'a [(u64, u64)], Option<Divergence>);
        let table: &[Line<'_>] = &[
            (&[], None),
            (&[(0, 0), (100, 1)], None),
            (&[(200, 2), (300, 3)], None),
            (&[(0, 0), (100, 9)], Some(Divergence::Differs { at: 100 })),
            (&[(0, 0), (150, 1)], Some(Divergence::Differs { at: 150 })),
            (&[(300, 3), (400, 4), (500, 5)], Some(Divergence::Ahead { records: 2 })),
        ];
        for (slave, expect) in table {
            let got = compare(log(&master).into_iter(), 0..400, log(slave).into_iter());
            assert_eq!(got, *expect, "{slave:?}");
        }
        // The master's first two are deleted.
        let compare = |slave: &[(u64, u64)]| compare(log(&master[2..]).into_iter(), 200..400, log(slave).into_iter());
        assert_eq!(compare(&[(0, 0), (100, 9), (200, 2)]), None);
        assert_eq!(compare(&[(0, 0), (200, 9)]), Some(Divergence::Differs { at: 200 }));
    }
}
