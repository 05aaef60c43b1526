//! Preferred leaders as conversations: who hands the leadership to whom, when, and what stops it.
//!
//! In the scripts of [`super::conversations`]; without a preference n2 leads from 0.326 s on. Checks come 1, 2, 3 ... s after a member's start.

use super::super::protocol::PeerId;
use super::conversations::check_on;
use super::harness::Cluster;

/// Every member has the same list.
fn preferring(ids: &'static [u16]) -> Cluster {
    Cluster::with(3, 1, |config| config.preferred_leaders = ids.iter().map(|&id| PeerId(id)).collect())
}

/// The check of 1 s finds n0 alive and 0 entries behind. n0 is a candidate at once, votes 30 to 100 ms later, is not heard by members whose term is lower, and asks again at the next beat.
#[test]
fn a_leader_that_is_not_preferred_hands_its_leadership_over() {
    check_on(
        preferring(&[0]),
        0.98,
        "
        0 start
        0.95 append n2
        1.001 append n2
        1.05 append n2
        1.2 append n2
        1.2 append n0
        10 end
        ",
        "
        1.001 n0 candidate, term 1, knows 2
        1.001 n2 refuses: LeaderTransferring
        1.043 n1 candidate, term 1, knows 2
        1.043 n2 candidate, term 1, knows 2
        1.050 n2 refuses: NotLeader
        1.056 n0 leader, term 2
        1.067 n1 follows n0, term 2
        1.067 n2 follows n0, term 2
        1.200 n2 refuses: NotLeader
        1.560 n0 committed 0
        1.562 n1 committed 0
        1.563 n0 committed 1
        1.563 n0 acked 1
        2.563 n1 committed 1
        2.563 n2 committed 1
        ",
    );
}

/// It answers heartbeats before it follows, and is asked every second: INCONSISTENT_LEADER, until a heartbeat tells it whom to follow. At 33 s it follows, is asked, and votes once it has been
/// brought up to date.
#[test]
fn a_preferred_leader_that_comes_back_leads_again() {
    check_on(
        preferring(&[2]),
        30.0,
        "
        0 start
        3 append n2
        4 kill n2
        20 append n0
        30 start n2
        50 append n2
        52 end
        ",
        "
        30.991 n2 candidate, term 1, knows 2
        32.993 n2 follows n0, term 2
        33.058 n2 committed 1
        33.061 n2 candidate, term 2, knows 3
        33.165 n0 candidate, term 2, knows 3
        33.165 n1 candidate, term 2, knows 3
        33.178 n2 leader, term 3
        33.189 n0 follows n2, term 3
        33.189 n1 follows n2, term 3
        50.002 n2 committed 2
        50.002 n2 acked 2
        51.002 n0 committed 2
        51.002 n1 committed 2
        ",
    );
}

/// It answers heartbeats and takes no entries: its disk is full. A thousand entries behind, it is not asked.
#[test]
fn a_preferred_member_that_is_far_behind_is_not_asked() {
    check_on(
        preferring(&[0]),
        2.95,
        "
        0 full n0 91
        0 start
        0.9 append n2 1001
        3 append n2
        5 end
        ",
        "
        3.002 n2 committed 1001
        3.002 n2 acked 1001
        4.002 n1 committed 1001
        ",
    );
}

/// Less than that behind, it is asked, has a second to catch up, and fails; the turn of the check that came meanwhile follows at once. Nothing is taken between two turns, so it never
/// falls so far behind that it is not asked: the group takes nothing until it has caught up.
#[test]
fn a_preferred_member_that_cannot_catch_up_stops_the_group() {
    check_on(
        preferring(&[0]),
        1.4,
        "
        0 full n0 91
        0 start
        0.9 append n2 5
        1.5 append n2
        2.5 append n2
        30.5 append n2
        31 full n0 90
        33 append n0
        35 end
        ",
        "
        1.500 n2 refuses: LeaderTransferring
        1.907 n1 committed 4
        2.500 n2 refuses: LeaderTransferring
        30.500 n2 refuses: LeaderTransferring
        31.100 n0 disk ok
        31.104 n0 committed 1
        31.104 n0 committed 2
        31.104 n0 committed 3
        31.104 n0 committed 4
        31.109 n0 candidate, term 1, knows 2
        31.153 n1 candidate, term 1, knows 2
        31.153 n2 candidate, term 1, knows 2
        31.166 n0 leader, term 2
        31.177 n1 follows n0, term 2
        31.177 n2 follows n0, term 2
        33.002 n0 committed 5
        33.002 n0 acked 5
        34.002 n1 committed 5
        34.002 n2 committed 5
        ",
    );
}

/// Nobody on the list answers heartbeats.
#[test]
fn a_dead_member_is_not_asked() {
    check_on(
        preferring(&[0]),
        3.0,
        "
        0 start n1 n2
        6 append n2
        8 end
        ",
        "
        6.004 n2 committed 0
        6.004 n2 acked 0
        7.006 n1 committed 0
        ",
    );
}
