//! Random schedules: thousands of small histories of kills, partitions and losses, each held to Raft's promises.
//!
//! A schedule is a seed. For half a minute processes die and come back, links are cut and healed, messages are late or lost, and everybody who
//! believes to lead is given appends; then all is healed and the group must agree again. Nobody loses power, but in one test that shows the
//! difference. Most schedules run with `compare_afresh`, since without it a follower may be made to drop what was acknowledged; those that run
//! as 0.3.1.2 does are held to everything as long as that has not happened.

use super::super::Planted;
use super::harness::{Cluster, Weather};
use crate::base::time::{MS, SEC};

/// What a batch of schedules came to.
#[derive(Default, Debug)]
struct Tally {
    schedules: u64,
    elections: u64,
    acked: u64,
    drops: u64,
    figure_8: u64,
    acked_dropped: u64,
    /// At the end one led, and everybody agreed with it.
    led: u64,
    converged: u64,
    violations: Vec<String>,
}

/// What schedules are about.
#[derive(Clone, Copy, Default)]
struct Kind {
    compare_afresh: bool,
    planted: Option<Planted>,
    /// Single members lose power, besides processes that die.
    power: bool,
}

/// How long faults fall.
const TROUBLE: u64 = 25 * SEC;

fn run(seed: u64, kind: Kind) -> Cluster {
    let Kind { compare_afresh, planted, power } = kind;
    let members = if seed.is_multiple_of(8) { 5 } else { 3 };
    let mut cluster = Cluster::with(members, seed, |config| config.compare_afresh = compare_afresh);
    cluster.planted = planted;
    let pick = |c: &mut Cluster, of: &[u64]| of[usize::try_from(c.draw(of.len() as u64)).unwrap()];
    let jitter = pick(&mut cluster, &[0, MS, 20 * MS, 300 * MS]);
    let loss = pick(&mut cluster, &[0, 0, 10, 100]);
    let resume = pick(&mut cluster, &[0, MS, 20 * MS]);
    cluster.weather = Weather { delay: MS, jitter, loss, fsync: if power { 50 * MS } else { MS }, reorder: false, resume };
    let gap = pick(&mut cluster, &[100, 300, 1_500]);
    let calm = pick(&mut cluster, &[1_000, 3_000, 6_000]);
    cluster.start_all();
    let (mut next_append, mut next_fault) = (0, cluster.draw(calm) * MS);
    let mut back: Vec<(u64, usize)> = Vec::new();
    let mut healed = u64::MAX;
    while cluster.elapsed() < TROUBLE {
        let restart = back.iter().map(|b| b.0).min().unwrap_or(u64::MAX);
        let next = next_append.min(next_fault).min(restart).min(healed);
        cluster.run_until(next.min(TROUBLE));
        if next == restart {
            for (_, i) in back.extract_if(.., |b| b.0 == restart).collect::<Vec<_>>() {
                cluster.start(i);
            }
        } else if next == healed {
            cluster.heal();
            healed = u64::MAX;
        } else if next == next_append {
            for i in cluster.leaders() {
                let _ = cluster.append(i);
            }
            next_append += (1 + cluster.draw(2 * gap)) * MS;
        } else if next == next_fault {
            let i = usize::try_from(cluster.draw(members as u64)).unwrap();
            let long = (50 + cluster.draw(9_000)) * MS;
            match cluster.draw(5) {
                0 | 1 if !back.iter().any(|b| b.1 == i) => {
                    if power {
                        cluster.power_off(i)
                    } else {
                        cluster.kill(i)
                    }
                    back.push((next + long, i));
                }
                // The leader, if there is one: that is where it hurts.
                2 => {
                    for i in cluster.leaders() {
                        cluster.kill(i);
                        back.push((next + long, i));
                    }
                }
                3 => {
                    let other = usize::try_from(cluster.draw(members as u64)).unwrap();
                    cluster.part(&[i, other]);
                    healed = healed.min(next + long);
                }
                _ => {
                    let other = usize::try_from(cluster.draw(members as u64)).unwrap();
                    cluster.set_cut(i, other, true);
                    healed = healed.min(next + long);
                }
            }
            next_fault += (100 + cluster.draw(2 * calm)) * MS;
        }
    }
    cluster.heal();
    cluster.weather = Weather::default();
    cluster.start_all();
    // A leader with nothing new to push may leave followers as they are, so it gets something.
    for _ in 0..10 {
        cluster.run_for(4 * SEC);
        if cluster.converged() {
            break;
        }
        if let [leader] = cluster.leaders()[..] {
            let _ = cluster.append(leader);
        }
    }
    cluster
}

fn batch(seeds: std::ops::Range<u64>, kind: Kind) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let mut cluster = run(seed, kind);
        let converged = cluster.converged();
        if let [leader] = cluster.leaders()[..] {
            tally.led += 1;
            cluster.safety.survived(&cluster.nodes[leader]);
        }
        let safety = &cluster.safety;
        tally.schedules += 1;
        tally.elections += safety.elections;
        tally.acked += safety.acked.len() as u64;
        tally.drops += safety.drops;
        tally.figure_8 += safety.figure_8;
        tally.acked_dropped += safety.acked_dropped;
        tally.converged += u64::from(converged);
        if kind.compare_afresh || safety.acked_dropped == 0 {
            tally.violations.extend(safety.violations.iter().map(|v| format!("seed {seed}: {v}")));
        }
        if kind.planted.is_some() && !tally.violations.is_empty() {
            break;
        }
    }
    tally
}

#[test]
fn ten_thousand_schedules_break_no_promise() {
    let tally = batch(0..10_000, Kind { compare_afresh: true, ..Kind::default() });
    assert!(tally.violations.is_empty(), "{} violations, first: {:?}", tally.violations.len(), &tally.violations[0]);
    assert_eq!(tally.acked_dropped, 0, "{tally:?}");
    // The schedules did what they are for.
    assert!(tally.elections > 20_000 && tally.acked > 200_000 && tally.drops > 5_000, "{tally:?}");
    // A few end with a member that never comes back, or one that is still catching up: see `limits`.
    assert!(tally.led > 9_900 && tally.converged > 9_500, "{tally:?}");
}

#[test]
fn as_it_is_a_group_breaks_no_other_promise_than_the_known_one() {
    let tally = batch(20_000..22_000, Kind::default());
    assert!(tally.violations.is_empty(), "{} violations, first: {:?}", tally.violations.len(), &tally.violations[0]);
    assert!(tally.acked_dropped > 0, "the known one did not come up: {tally:?}");
}

/// H80, found by chance: where members lose power, acknowledged entries and votes are lost. Nothing else comes to light than what rests on
/// them.
#[test]
fn with_losses_of_power_promises_are_broken() {
    let tally = batch(0..500, Kind { compare_afresh: true, planted: None, power: true });
    let seen = |what: &str| tally.violations.iter().filter(|v| v.contains(what)).count();
    assert!(seen("without acknowledged") > 0 && seen("two leaders") > 0, "{tally:?}");
}

/// Each bug is found by the schedules that its clean twin passes.
#[test]
fn planted_bugs_are_found() {
    for (bug, says) in
        [(Planted::AckBeforeQuorum, "acknowledged"), (Planted::VoteTwice, "two leaders"), (Planted::SkipTruncation, "committed")]
    {
        let tally = batch(0..2_000, Kind { compare_afresh: true, planted: Some(bug), power: false });
        assert!(tally.violations.iter().any(|v| v.contains(says)), "{bug:?} was not found: {tally:?}");
    }
}
