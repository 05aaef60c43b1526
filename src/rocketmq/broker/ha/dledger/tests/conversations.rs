//! Conversations as text: what is done to a group, one line each, and what its members then do.
//!
//! A line is `seconds verb arguments`. Verbs: `start [n..]`, `kill n`, `power n` (its host loses power), `append n [count]`, `part n..` (cuts these off from the
//! others, both ways), `cut a b` (one way), `heal`, `fsync never`, `files ENTRIES` (so many fit into a file), `full n PERCENT` (of its disk). The log shows changes of role, acknowledgements, committed indexes and
//! dropped entries. All links take 1 ms; draws hang on the seed 1.

use super::harness::Cluster;
use crate::base::time::MS;

pub(super) fn play_on(cluster: &mut Cluster, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at: f64 = words[0].parse().unwrap_or_else(|_| panic!("no time in \"{line}\""));
        cluster.run_until((at * 1e3).round() as u64 * MS);
        let ids: Vec<usize> = words[2..].iter().filter_map(|w| w.strip_prefix('n')?.parse().ok()).collect();
        match (words[1], &ids[..]) {
            ("start", []) => cluster.start_all(),
            ("start", ids) => ids.iter().for_each(|&i| cluster.start(i)),
            ("kill", ids) => ids.iter().for_each(|&i| cluster.kill(i)),
            ("power", ids) => ids.iter().for_each(|&i| cluster.power_off(i)),
            ("append", &[i]) => {
                let count = words.get(3).and_then(|w| w.parse().ok()).unwrap_or(1);
                for _ in 0..count {
                    if let Err(code) = cluster.append(i) {
                        cluster.say(i, &format!("refuses: {code:?}"));
                    }
                }
            }
            ("part", ids) => cluster.part(ids),
            ("cut", &[a, b]) => cluster.set_cut(a, b, true),
            ("heal", _) => cluster.heal(),
            ("files", _) => {
                let entries = words.get(2).and_then(|w| w.parse().ok()).unwrap_or(0);
                cluster.nodes.iter_mut().for_each(|node| node.ledger.a_file = entries);
            }
            ("full", &[i]) => cluster.nodes[i].ledger.used_percent = words.get(3).and_then(|w| w.parse().ok()),
            ("fsync", _) => cluster.weather.fsync = u64::MAX,
            ("end", _) => {}
            _ => panic!("cannot read \"{line}\""),
        }
    }
}

fn check(members: usize, script: &str, expect: &str) {
    check_from(0.0, members, script, expect);
}

/// The same, of what happens from a moment on: the first election is told once, above, and so is an append.
pub(super) fn check_from(from: f64, members: usize, script: &str, expect: &str) {
    check_on(Cluster::new(members, 1), from, script, expect);
}

/// The same with a group of one's own.
pub(super) fn check_on(mut cluster: Cluster, from: f64, script: &str, expect: &str) {
    cluster.log = Some(String::new());
    play_on(&mut cluster, script);
    assert!(cluster.safety.violations.is_empty(), "{:?}", cluster.safety.violations);
    let log = cluster.log.take().unwrap_or_default();
    let late = |line: &&str| line.split_whitespace().next().and_then(|at| at.parse().ok()).is_none_or(|at: f64| at >= from);
    let log: String = log.lines().filter(late).map(|line| format!("{line}\n")).collect();
    let trimmed: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let expect = trimmed.join("\n") + "\n";
    assert!(log == expect, "the log is\n{log}\nand was expected to be\n{expect}");
}

/// Everybody asks for votes at once, in term 0, and votes for itself. The first to go on makes the others follow into term 1.
#[test]
fn a_fresh_group_splits_its_first_vote_and_agrees_in_the_next_term() {
    check(
        3,
        "
        0 start
        3 append n2 2
        6 end
        ",
        "
        0.313 n0 candidate, term 0, knows 1
        0.313 n1 candidate, term 0, knows 1
        0.326 n2 leader, term 1
        0.337 n0 follows n2, term 1
        0.337 n1 follows n2, term 1
        3.004 n2 committed 0
        3.004 n2 acked 0
        3.006 n0 committed 0
        3.006 n1 committed 0
        3.007 n2 committed 1
        3.007 n2 acked 1
        4.007 n0 committed 1
        4.007 n1 committed 1
        ",
    );
}

/// The last heartbeat was at 8.4 s. The first vote is in the old term, in which both have voted: it only sets the wait for the next.
#[test]
fn a_leader_that_dies_is_replaced_after_its_lease_and_a_vote() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        10 kill n2
        25 append n0
        25 append n1
        26 start n2
        35 end
        ",
        "
        14.352 n0 candidate, term 1, knows 1
        14.352 n1 candidate, term 1, knows 1
        14.968 n0 leader, term 2
        14.979 n1 follows n0, term 2
        25.000 n1 refuses: NotLeader
        25.002 n0 committed 1
        25.002 n0 acked 1
        26.002 n1 committed 1
        26.991 n2 candidate, term 1, knows 2
        28.993 n2 follows n0, term 2
        29.028 n2 committed 1
        ",
    );
}

/// n1 has voted for it and is a candidate still, since the first heartbeat leaves up to 10 ms after the election, and the dispatcher compares within one: it
/// is answered NOT_FOLLOWER and sleeps for 500 ms. So long the entry that the old leader had answered stays uncommitted, and no broker opens before.
#[test]
fn a_new_leader_compares_before_its_first_heartbeat_and_sleeps_for_half_a_second() {
    check_from(
        9.0,
        3,
        "
        0 start
        3 append n2
        9.995 append n2
        10 kill n2
        20 end
        ",
        "
        9.997 n2 committed 1
        9.997 n2 acked 1
        14.352 n0 candidate, term 1, knows 1
        14.352 n1 candidate, term 1, knows 1
        14.968 n0 leader, term 2
        14.979 n1 follows n0, term 2
        15.472 n0 committed 1
        15.474 n1 committed 1
        ",
    );
}

/// It takes an append that nobody will have, and tells so after 2.5 s; its term does not grow while it is alone.
#[test]
fn a_leader_that_is_cut_off_believes_in_itself_for_six_seconds_after_its_last_heartbeat() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        10 part n2
        11 append n2
        25 heal
        40 end
        ",
        "
        13.500 n2 1: WaitQuorumAckTimeout
        14.352 n0 candidate, term 1, knows 1
        14.352 n1 candidate, term 1, knows 1
        14.356 n2 candidate, term 1, knows 1
        17.002 n0 leader, term 2
        17.013 n1 follows n0, term 2
        27.023 n2 follows n0, term 2
        27.505 n2 dropped 1..=1
        ",
    );
}

/// It is first told a higher term, then, a heartbeat later, whom to follow; then it is compared and cut back.
#[test]
fn an_old_leader_that_comes_back_loses_what_nobody_else_had() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2 2
        10 part n2
        11 append n2 3
        25 append n0
        25 append n1
        26 heal
        40 append n0
        45 end
        ",
        "
        13.500 n2 2: WaitQuorumAckTimeout
        13.500 n2 3: WaitQuorumAckTimeout
        13.500 n2 4: WaitQuorumAckTimeout
        14.352 n0 candidate, term 1, knows 1
        14.352 n1 candidate, term 1, knows 1
        14.356 n2 candidate, term 1, knows 1
        17.002 n0 leader, term 2
        17.013 n1 follows n0, term 2
        25.000 n1 refuses: NotLeader
        25.002 n0 committed 2
        25.002 n0 acked 2
        26.002 n1 committed 2
        29.025 n2 follows n0, term 2
        29.513 n2 dropped 2..=4
        29.516 n2 committed 2
        40.002 n0 committed 3
        40.002 n0 acked 3
        41.002 n1 committed 3
        41.002 n2 committed 3
        ",
    );
}

/// The append of 13 s is younger than 2.5 s when the leader steps down: nobody looks at it any more, until n2 leads again, in another term.
#[test]
fn appends_of_a_deposed_leader_are_answered_only_when_it_leads_again() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        10 part n2
        13 append n2
        25 heal
        40 kill n0
        41 kill n1
        41.5 start n1
        60 end
        ",
        "
        14.352 n0 candidate, term 1, knows 1
        14.352 n1 candidate, term 1, knows 1
        14.356 n2 candidate, term 1, knows 1
        17.002 n0 leader, term 2
        17.013 n1 follows n0, term 2
        27.023 n2 follows n0, term 2
        27.505 n2 dropped 1..=1
        45.041 n2 candidate, term 2, knows 2
        45.964 n1 candidate, term 2, knows 3
        45.977 n2 leader, term 3
        45.977 n2 1: TermChanged
        45.988 n1 follows n2, term 3
        ",
    );
}

#[test]
fn a_follower_that_missed_entries_is_compared_and_caught_up() {
    check_from(
        3.0,
        3,
        "
        0 start
        3 append n2 2
        4 kill n0
        5 append n2 3
        8 start n0
        16 append n2
        20 end
        ",
        "
        3.004 n2 committed 0
        3.004 n2 acked 0
        3.006 n0 committed 0
        3.006 n1 committed 0
        3.007 n2 committed 1
        3.007 n2 acked 1
        4.007 n1 committed 1
        5.002 n2 committed 2
        5.002 n2 acked 2
        5.002 n2 committed 3
        5.002 n2 acked 3
        5.002 n2 committed 4
        5.002 n2 acked 4
        6.002 n1 committed 4
        8.345 n0 follows n2, term 1
        8.345 n0 committed 2
        8.348 n0 committed 3
        8.350 n0 committed 4
        16.002 n2 committed 5
        16.002 n2 acked 5
        17.002 n0 committed 5
        17.002 n1 committed 5
        ",
    );
}

/// Those behind it wait at the followers for the gap to close.
#[test]
fn an_append_lost_on_the_way_is_sent_again_after_a_second() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        5 cut n2 n0
        5 cut n2 n1
        5.01 append n2
        5.02 heal
        5.5 append n2 2
        10 end
        ",
        "
        6.013 n2 committed 3
        6.013 n2 acked 3
        6.013 n2 acked 2
        6.013 n2 acked 1
        7.013 n0 committed 3
        7.013 n1 committed 3
        ",
    );
}

/// The leader still believes in the old watermark. After a second of waiting for the gap the follower answers INCONSISTENT_STATE and is compared.
#[test]
fn a_follower_that_lost_entries_says_so_when_the_next_one_leaves_a_gap() {
    check_from(
        2.9,
        3,
        "
        0 start
        2.9 fsync never
        3 append n2 3
        5 power n0
        5.5 start n0
        10 append n2
        14 end
        ",
        "
        3.004 n2 committed 0
        3.004 n2 acked 0
        3.006 n0 committed 0
        3.006 n1 committed 0
        3.007 n2 committed 1
        3.007 n2 acked 1
        3.007 n2 committed 2
        3.007 n2 acked 2
        4.007 n0 committed 2
        4.007 n1 committed 2
        6.343 n0 candidate, term 0, knows 1
        6.355 n0 follows n2, term 1
        10.002 n2 committed 3
        10.002 n2 acked 3
        11.002 n1 committed 3
        11.505 n0 committed 0
        11.508 n0 committed 1
        11.508 n0 committed 2
        11.508 n0 committed 3
        ",
    );
}

/// Nobody else has noticed.
#[test]
fn a_restarted_leader_is_elected_again_in_its_old_term() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        5 kill n2
        6 start n2
        8 append n2
        10 end
        ",
        "
        6.002 n2 leader, term 1
        8.002 n2 committed 1
        8.002 n2 acked 1
        9.002 n0 committed 1
        9.002 n1 committed 1
        ",
    );
}

#[test]
fn without_a_quorum_an_append_times_out_and_may_still_be_done_later() {
    check_from(
        4.5,
        3,
        "
        0 start
        3 append n2
        5 kill n0 n1
        6 append n2 2
        9.5 start n0
        20 end
        ",
        "
        8.500 n2 1: WaitQuorumAckTimeout
        8.500 n2 2: WaitQuorumAckTimeout
        10.347 n0 follows n2, term 1
        10.347 n0 committed 0
        10.348 n2 committed 1
        10.350 n0 committed 1
        10.351 n2 committed 2
        11.351 n0 committed 2
        ",
    );
}

#[test]
fn a_minority_of_two_in_five_changes_nothing() {
    check_from(
        5.0,
        5,
        "
        0 start
        5 append n2
        6 part n0 n1
        7 append n2
        20 heal
        21 append n2
        30 end
        ",
        "
        5.004 n2 committed 0
        5.004 n2 acked 0
        6.006 n3 committed 0
        6.006 n4 committed 0
        7.002 n2 committed 1
        7.002 n2 acked 1
        8.002 n3 committed 1
        8.002 n4 committed 1
        10.342 n0 candidate, term 1, knows 1
        10.342 n1 candidate, term 1, knows 1
        20.357 n0 follows n2, term 1
        20.357 n1 follows n2, term 1
        20.357 n0 committed 1
        20.357 n1 committed 1
        21.002 n2 committed 2
        21.002 n2 acked 2
        22.002 n0 committed 2
        22.002 n3 committed 2
        22.002 n1 committed 2
        22.002 n4 committed 2
        ",
    );
}
