//! What DLedger 0.3.1.2 does not promise, each shown to happen.
//!
//! Raft's proofs ask for things that this implementation leaves out: an fsync before an answer, the term of what is committed, a comparison that
//! begins anew with each leadership, messages that tell late from new. Each test takes one of them away from an otherwise sound history.

use super::conversations::play_on;
use super::harness::{Cluster, Weather};
use crate::base::time::{MS, SEC};

/// Lets time pass until something holds; whether it did within a minute.
fn wait(cluster: &mut Cluster, holds: impl Fn(&Cluster) -> bool) -> bool {
    for _ in 0..60_000 {
        if holds(cluster) {
            return true;
        }
        cluster.run_for(MS);
    }
    false
}

/// Waits for one leader, and for it to be followed; its number and those of the others that run.
fn leader(cluster: &mut Cluster) -> (usize, Vec<usize>) {
    assert!(wait(cluster, |c| c.leaders().len() == 1), "nobody was elected");
    let leader = cluster.leaders()[0];
    let others = (0..cluster.nodes.len()).filter(|&i| i != leader).collect();
    (leader, others)
}

fn committed(cluster: &Cluster, i: usize) -> i64 {
    cluster.nodes[i].server.as_ref().map_or(-1, |s| s.committed_index())
}

/// H79, "figure 8" of the Raft paper: an entry of an older term counts as committed as soon as a quorum holds it, and is overwritten later by an
/// entry of a term in between. Nothing acknowledged is lost by it: the entry's own append had been given up.
#[test]
fn an_entry_of_an_older_term_is_committed_and_then_overwritten() {
    for seed in 0..20 {
        let mut c = Cluster::new(3, seed);
        c.start_all();
        let (a, _) = leader(&mut c);
        c.append(a).unwrap();
        c.run_for(3 * SEC);
        // The first leader writes k for itself alone, and dies.
        c.part(&[a]);
        c.append(a).unwrap();
        let k = *c.payloads(a).last().unwrap();
        c.run_for(MS);
        c.kill(a);
        c.heal();
        // So does the second, with another entry at the same index.
        let (b, _) = leader(&mut c);
        c.part(&[b]);
        c.append(b).unwrap();
        c.run_for(MS);
        c.kill(b);
        c.heal();
        let third = 3 - a - b;
        // The first leads again, with the third, and brings k to it: that is a quorum.
        c.start(a);
        assert!(wait(&mut c, |c| committed(c, a) == 1), "seed {seed}");
        assert_eq!((c.leaders(), c.holders(k)), (vec![a], 2), "seed {seed}");
        assert!(c.nodes[a].ledger.entries[1].term < c.server(a).term());
        c.run_for(2 * SEC);
        assert_eq!(committed(&c, third), 1, "seed {seed}: consumers there have seen k");
        // It dies before it writes anything of its own term; the second has the higher last term and wins.
        c.kill(a);
        c.start(b);
        let (last, _) = leader(&mut c);
        assert_eq!(last, b, "seed {seed}");
        c.start(a);
        c.append(b).unwrap();
        c.run_for(20 * SEC);
        assert_eq!(c.holders(k), 0, "seed {seed}: k is gone");
        assert!(c.safety.figure_8 > 0 && c.safety.violations.is_empty(), "seed {seed}: {:?}", c.safety.violations);
    }
}

/// H80: answers are given before any fsync, so what a majority had only in its page cache is lost with its power.
#[test]
fn a_loss_of_power_at_a_majority_loses_what_was_acknowledged() {
    let mut c = Cluster::new(3, 1);
    c.weather.fsync = 20 * MS;
    c.start_all();
    let (l, _) = leader(&mut c);
    c.run_for(SEC);
    for _ in 0..100 {
        c.append(l).unwrap();
        c.run_for(MS);
    }
    c.run_for(2 * MS);
    let acked = c.acked().len();
    assert!(acked >= 99);
    (0..3).for_each(|i| c.power_off(i));
    let left = (0..3).map(|i| c.nodes[i].ledger.entries.len()).max().unwrap();
    assert!(left > 0 && acked - left >= 10 && acked - left <= 60, "{acked} acknowledged, {left} left");
    c.start_all();
    leader(&mut c);
    assert!(c.safety.violations.iter().any(|v| v.contains("without acknowledged")));
    // The clean twin: the processes die, the hosts do not.
    let mut c = Cluster::new(3, 1);
    c.weather.fsync = u64::MAX;
    c.start_all();
    let (l, _) = leader(&mut c);
    c.run_for(SEC);
    c.append(l).unwrap();
    c.run_for(10 * MS);
    (0..3).for_each(|i| c.kill(i));
    c.start_all();
    let (l, _) = leader(&mut c);
    assert!(c.safety.violations.is_empty() && c.acked().len() == 1 && c.payloads(l) == [1]);
}

/// H80 with one power cut and one death: the follower that a quorum was counted on comes back without the entry, in the same term, and its
/// watermark at the leader stays.
#[test]
fn a_follower_that_lost_power_still_counts_for_what_it_lost() {
    let mut c = Cluster::new(3, 1);
    c.weather.fsync = u64::MAX;
    c.start_all();
    let (l, others) = leader(&mut c);
    let [f, g] = others[..] else { panic!() };
    c.run_for(2 * SEC);
    c.part(&[g]);
    c.append(l).unwrap();
    c.run_for(10 * MS);
    assert_eq!(c.acked().len(), 1);
    c.power_off(f);
    c.start(f);
    c.run_for(3 * SEC);
    // Idle, the leader has nothing to push and takes the follower for whole.
    assert_eq!((c.leaders(), c.nodes[f].ledger.entries.len(), committed(&c, l)), (vec![l], 0, 0));
    c.kill(l);
    c.heal();
    leader(&mut c);
    assert!(c.safety.violations.iter().any(|v| v.contains("without acknowledged")));
}

/// The vote is on no disk either: voters that lose power vote again in the same term.
#[test]
fn voters_that_lost_power_elect_a_second_leader_in_one_term() {
    let mut c = Cluster::new(3, 1);
    c.start_all();
    let (l, others) = leader(&mut c);
    let term = c.server(l).term();
    c.run_for(2 * SEC);
    c.part(&[l]);
    for &i in &others {
        c.power_off(i);
        c.start(i);
    }
    assert!(wait(&mut c, |c| c.leaders().len() == 2));
    assert!(c.leaders().iter().all(|&i| c.server(i).term() == term));
    assert!(c.safety.violations[0].contains("two leaders"));
}

/// A member begins comparisons with two dead peers, is deposed, and leads again when all have more: it compares the old entry, finds it equal, and
/// has both drop everything behind it. If it dies then, one of five has died and acknowledged entries are gone. `compare_afresh` is the twin.
/// `None`: others were elected than the story needs.
fn resumed_comparison(seed: u64, compare_afresh: bool) -> Option<Cluster> {
    let mut c = Cluster::with(5, seed, |config| config.compare_afresh = compare_afresh);
    c.start_all();
    // f leads first; it and another die with a log that all have.
    let (f, others) = leader(&mut c);
    let e = others[0];
    c.run_for(SEC);
    (0..5).for_each(|_| assert!(c.append(f).is_ok()));
    c.run_for(3 * SEC);
    c.kill(f);
    c.kill(e);
    // l begins to compare with both, at index 4, and is cut off; the others elect one of their own, whom it follows in the end.
    let (l, _) = leader(&mut c);
    let rest: Vec<usize> = (0..5).filter(|i| ![e, f, l].contains(i)).collect();
    c.run_for(SEC);
    c.part(&[l]);
    c.start(f);
    c.start(e);
    c.run_for(20 * SEC);
    // Those that had died were behind in terms; now that they are not, one of them may win.
    let (now, _) = leader(&mut c);
    c.kill(now);
    c.run_for(20 * SEC);
    c.start(now);
    c.heal();
    c.run_for(10 * SEC);
    // The two that had died and l acknowledge five more between them.
    let (now, _) = leader(&mut c);
    c.part(&rest);
    if ![e, f].contains(&now) {
        return None;
    }
    (0..5).for_each(|_| assert!(c.append(now).is_ok()));
    c.run_for(3 * SEC);
    if c.acked().len() != 10 || c.nodes[l].ledger.entries.len() != 10 {
        return None;
    }
    // l leads again, with the two that its old comparisons are about.
    c.kill(now);
    c.run_for(7 * SEC);
    c.start(now);
    c.weather.delay = 20 * MS;
    let (now, _) = leader(&mut c);
    if now != l {
        return None;
    }
    for _ in 0..4_000 {
        if [e, f].iter().all(|&i| c.nodes[i].ledger.entries.len() == 5) {
            break;
        }
        c.run_for(MS);
    }
    // It dies before it sends them again.
    c.kill(l);
    c.heal();
    leader(&mut c);
    Some(c)
}

#[test]
fn a_comparison_taken_up_by_a_later_leadership_drops_what_was_acknowledged() {
    let (mut happened, mut twins) = (0, 0);
    for seed in 30..60 {
        if let Some(c) = resumed_comparison(seed, false) {
            assert_eq!(c.safety.acked_dropped, 10, "seed {seed}");
            assert!(
                c.safety.violations.iter().any(|v| v.contains("without acknowledged 5")),
                "seed {seed}: {:?}",
                c.safety.violations
            );
            happened += 1;
        }
        if let Some(c) = resumed_comparison(seed, true) {
            assert!(c.safety.acked_dropped == 0 && c.safety.violations.is_empty(), "seed {seed}: {:?}", c.safety.violations);
            twins += 1;
        }
    }
    assert!(happened > 0 && twins > 0, "the story came about {happened} times, its twin {twins} times");
}

/// dl#325: a member that raised its term while it was alone, and has missed an entry since, is never heard again: its log loses every vote, its
/// higher term every heartbeat, and a leader that a quorum follows does not look at the rest.
#[test]
fn a_member_with_a_higher_term_and_a_shorter_log_stays_outside() {
    let mut c = Cluster::new(3, 1);
    play_on(
        &mut c,
        "0 start\n 3 append n2\n 10 kill n2\n 14.4 part n0\n 14.4 start n2\n 16 append n2\n 20 heal\n 21 append n2\n 600 end",
    );
    let state = |c: &Cluster, i: usize| (c.server(i).term(), c.server(i).leader().map(|l| l.0), c.nodes[i].ledger.entries.len());
    assert_eq!([state(&c, 0), state(&c, 1), state(&c, 2)], [(2, None, 1), (1, Some(2), 3), (1, Some(2), 3)]);
    // Only when the others lose their quorum does the leader believe the higher term, and the group is whole again.
    c.kill(1);
    c.run_for(30 * SEC);
    assert_eq!((state(&c, 0).2, state(&c, 0).1), (3, Some(2)));
}

/// dl#61: a leader whose own log is empty compares nothing, and pushes nothing until it is given something.
#[test]
fn a_leader_with_an_empty_log_leaves_the_others_as_they_are() {
    let mut c = Cluster::new(3, 1);
    c.start_all();
    let (l, others) = leader(&mut c);
    c.run_for(SEC);
    c.part(&[l]);
    c.append(l).unwrap();
    c.kill(l);
    c.heal();
    let (now, _) = leader(&mut c);
    assert!(others.contains(&now));
    c.start(l);
    c.run_for(30 * SEC);
    assert_eq!((c.nodes[l].ledger.entries.len(), c.server(l).leader().map(|l| usize::from(l.0))), (1, Some(now)));
    c.append(now).unwrap();
    c.run_for(5 * SEC);
    assert!(c.converged() && c.payloads(l) == [2]);
}

/// Acknowledgements that were lost come one a second: the follower answers for what it has already only when it looks at what waits in vain.
#[test]
fn lost_acknowledgements_come_in_one_a_second() {
    let mut c = Cluster::new(3, 1);
    c.start_all();
    let (l, others) = leader(&mut c);
    c.append(l).unwrap();
    c.run_for(2 * SEC);
    others.iter().for_each(|&i| c.set_cut(i, l, true));
    for _ in 0..5 {
        c.append(l).unwrap();
    }
    c.run_for(20 * MS);
    assert!(others.iter().all(|&i| c.nodes[i].ledger.entries.len() == 6));
    c.heal();
    let mut at = Vec::new();
    for index in 1..=5 {
        assert!(wait(&mut c, |c| committed(c, l) == index));
        at.push(c.elapsed() / MS);
    }
    assert!(at.windows(2).all(|w| (990..=1_010).contains(&(w[1] - w[0]))), "{at:?}");
}

/// Server threads may take an APPEND after a COMPARE that was sent later. The follower then has more than it said, and is cut back.
#[test]
fn an_append_that_a_comparison_overtakes_is_dropped_again() {
    let mut dropped = 0;
    for seed in 0..300 {
        let mut c = Cluster::with(3, seed, |config| config.compare_afresh = true);
        c.weather = Weather { jitter: 300 * MS, loss: 50, reorder: true, ..Weather::default() };
        c.start_all();
        while c.elapsed() < 15 * SEC {
            c.run_for(50 * MS);
            for i in c.leaders() {
                let _ = c.append(i);
            }
        }
        dropped += c.safety.acked_dropped;
    }
    assert!(dropped > 0);
}

/// A TRUNCATE says neither which comparison it belongs to nor how far the group has got: one that comes late is obeyed.
#[test]
fn a_truncation_that_comes_late_drops_what_was_acknowledged() {
    use super::super::Input;
    use super::super::protocol::{PeerId, Push, PushEntryRequest, RequestId, Rpc};
    let mut c = Cluster::new(3, 1);
    c.start_all();
    let (l, others) = leader(&mut c);
    c.run_for(SEC);
    (0..3).for_each(|_| assert!(c.append(l).is_ok()));
    c.run_for(2 * SEC);
    let (term, leader) = (c.server(l).term(), PeerId(u16::try_from(l).unwrap()));
    let push = Push::Truncate(c.nodes[l].ledger.entries[0]);
    let late = PushEntryRequest { term, leader, commit_index: 0, push };
    // A number that no call of the harness has: nobody waits for the answer.
    c.tell(others[0], Input::Request { request: RequestId(u64::MAX), rpc: Rpc::Push(late) });
    c.run_for(0);
    assert_eq!((c.safety.acked_dropped, c.acked().len(), c.nodes[others[0]].ledger.entries.len()), (2, 3, 1));
    // The committed index stays where it was, past the end (dl#316).
    assert_eq!(committed(&c, others[0]), 2);
}
