//! The cleaning of a group's store as conversations: who deletes, who refuses, and how a member that was away comes back to a log that has lost its beginning.
//!
//! In the scripts of [`super::conversations`]; nine entries fit into a file, and a disk is as full as it is told to be, whatever is deleted.

use super::conversations::{check_from, play_on};
use super::harness::Cluster;
use crate::base::time::SEC;

/// It refuses within a tenth of a second, leads on, and takes messages again within another: there is one mark for both.
#[test]
fn a_leader_whose_disk_is_full_refuses_and_leads_on() {
    check_from(
        4.05,
        3,
        "
        0 full n2 10
        0 start
        3 append n2
        4 full n2 91
        4.2 append n2
        60 append n2
        60 full n2 90
        60.2 append n2
        62 end
        ",
        "
        4.100 n2 disk full
        4.200 n2 refuses: DiskFull
        60.000 n2 refuses: DiskFull
        60.100 n2 disk ok
        60.202 n2 committed 1
        60.202 n2 acked 1
        61.202 n0 committed 1
        61.202 n1 committed 1
        ",
    );
}

/// Both others have room, and a quorum of two is enough.
#[test]
fn a_follower_whose_disk_is_full_is_left_behind_and_comes_back() {
    check_from(
        4.05,
        3,
        "
        0 full n0 10
        0 start
        3 append n2
        4 full n0 91
        5 append n2 3
        20 full n0 90
        25 end
        ",
        "
        4.100 n0 disk full
        5.002 n2 committed 1
        5.002 n2 acked 1
        5.002 n2 committed 2
        5.002 n2 acked 2
        5.002 n2 committed 3
        5.002 n2 acked 3
        6.002 n1 committed 3
        20.100 n0 disk ok
        20.100 n0 committed 1
        20.100 n0 committed 2
        20.100 n0 committed 3
        ",
    );
}

/// Refused, the leader compares, finds the follower whole up to its end, and pushes the next entry again, as fast as answers come: with links of 1 ms a round
/// of two comparisons and a push takes 7 ms. Only an empty follower takes its first entry, as a truncation, for which nobody looks at the disk.
#[test]
fn a_full_follower_keeps_its_leader_comparing() {
    let mut c = Cluster::new(3, 1);
    play_on(&mut c, "0 full n0 91\n 0 start\n 3 append n2\n 5 end");
    assert_eq!(c.nodes[0].ledger.entries.len(), 1);
    let before = c.compares;
    play_on(&mut c, "5 append n2\n 15 end");
    let rounds = c.compares - before;
    assert!((2_000..=4_000).contains(&rounds), "{rounds} in 10 s");
    c.nodes[0].ledger.used_percent = Some(90);
    c.run_for(SEC);
    let before = c.compares;
    c.run_for(10 * SEC);
    assert!(c.converged() && c.compares == before);
}

/// What was deleted begins the log of a member that was away anew.
#[test]
fn a_member_that_was_away_begins_anew_where_the_leaders_log_begins() {
    check_from(
        7.5,
        3,
        "
        0 files 9
        0 full n2 10
        0 start
        3 append n2 3
        4 kill n0
        5 append n2 30
        8 full n2 86
        9 full n2 10
        10 start n0
        20 append n2
        22 end
        ",
        "
        8.100 n2 deleted up to 9
        8.200 n2 deleted up to 18
        8.300 n2 deleted up to 27
        10.347 n0 follows n2, term 1
        10.514 n0 committed 27
        10.517 n0 committed 28
        10.517 n0 committed 29
        10.517 n0 committed 30
        10.517 n0 committed 31
        10.517 n0 committed 32
        20.002 n2 committed 33
        20.002 n2 acked 33
        21.002 n0 committed 33
        21.002 n1 committed 33
        ",
    );
}
