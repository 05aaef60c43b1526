//! How much may be under way, what is on the disk when, and how little happens when nothing happens.

use super::super::ledger::{DLedgerFiles, Ledger};
use super::super::member::Role;
use super::super::protocol::{Code, PeerId, Rpc};
use super::super::{Appended, DLedgerServer, Effect, Host, Input};
use super::harness::{Cluster, SIZE, VecLedger};
use crate::base::draw::Draws;
use crate::base::ids::Entity;
use crate::base::time::{MS, SEC, WALL_EPOCH_MS};
use crate::contract::Now;
use std::sync::Arc;

fn led(cluster: &mut Cluster) -> usize {
    cluster.start_all();
    cluster.run_for(2 * SEC);
    cluster.leaders()[0]
}

#[test]
fn a_leader_takes_so_many_appends_that_nobody_acknowledges() {
    let mut c = Cluster::with(3, 1, |config| config.max_pending_requests_num = 5);
    let l = led(&mut c);
    c.part(&[l]);
    let codes: Vec<_> = (0..8).map(|_| c.append(l)).collect();
    // The limit is looked at before the append, and passed by one.
    assert_eq!(codes[..6], [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]);
    assert_eq!(codes[6..], [Err(Code::LeaderPendingFull), Err(Code::LeaderPendingFull)]);
    // Those that were answered with a timeout still count.
    c.run_for(3 * SEC);
    assert_eq!(c.append(l), Err(Code::LeaderPendingFull));
}

#[test]
fn a_thousand_entries_are_under_way_to_a_peer_at_most() {
    let mut c = Cluster::new(3, 1);
    let l = led(&mut c);
    let f = (l + 1) % 3;
    c.append(l).unwrap();
    c.run_for(SEC);
    c.part(&[f]);
    for _ in 1..1_500 {
        c.append(l).unwrap();
    }
    c.run_for(50 * MS);
    assert_eq!((c.nodes[f].ledger.entries.len(), c.appends_under_way(f)), (1, 1_000));
    // Requests of a member that is cut off were lost: only the first is sent again, until it is acknowledged; then the next.
    c.heal();
    c.run_for(1_100 * MS);
    let caught_up = c.nodes[f].ledger.entries.len();
    assert!((2..1_000).contains(&caught_up), "{caught_up}");
    c.run_for(10 * SEC);
    assert_eq!(c.nodes[f].ledger.entries.len(), 1_500);
}

#[test]
fn a_peer_that_is_far_behind_is_fed_by_quota() {
    let entries_a_second = 100;
    let mut c = Cluster::with(3, 1, |config| {
        config.peer_push_throttle_point = u64::from(SIZE) * 200;
        config.peer_push_quota = u64::from(SIZE) * entries_a_second;
    });
    let l = led(&mut c);
    let f = (l + 1) % 3;
    c.kill(f);
    for _ in 0..1_500 {
        c.append(l).unwrap();
    }
    c.run_for(10 * MS);
    c.start(f);
    let begin = c.elapsed();
    while c.nodes[f].ledger.entries.len() < 1_500 {
        c.run_for(10 * MS);
        assert!(c.elapsed() < begin + 30 * SEC);
    }
    // The first 500 are more than 1,000 behind the end; the rest goes as fast as it can.
    let took = c.elapsed() - begin;
    assert!((4 * SEC..8 * SEC).contains(&took), "{took}");
}

#[test]
fn what_is_written_is_durable_at_the_next_beat_and_what_is_committed_is_noted_every_three_seconds() {
    let mut c = Cluster::new(3, 1);
    let l = led(&mut c);
    c.run_for(3 * MS);
    c.append(l).unwrap();
    // Up to 1 ms until a dispatcher looks, 2 ms for COMPARE, 1 ms to its next look, 2 ms for APPEND.
    c.run_for(6 * MS);
    assert_eq!((c.nodes[l].ledger.durable, c.acked().len()), (-1, 1), "acknowledged, not durable");
    c.run_for(6 * MS);
    assert_eq!((c.nodes[l].ledger.durable, c.nodes[l].files.committed.cached), (0, -1));
    c.run_for(3_100 * MS);
    assert_eq!((c.nodes[l].files.committed.cached, c.nodes[l].files.committed.durable), (0, -1));
    // A process that dies leaves everything but what it had not noted yet.
    c.append(l).unwrap();
    c.run_for(5 * MS);
    c.kill(l);
    assert_eq!((c.nodes[l].ledger.end(), c.nodes[l].files.term.cached.vote_for), (1, Some(PeerId(u16::try_from(l).unwrap()))));
    c.start(l);
    assert_eq!(c.server(l).committed_index(), 0);
    // A host leaves what was durable; a small file only what the kernel had written back.
    c.run_for(SEC);
    c.nodes[l].files.written_back();
    let noted = c.nodes[l].files.committed.cached;
    c.weather.fsync = u64::MAX;
    let end = c.nodes[l].ledger.end();
    let _ = c.append(l);
    c.run_for(5 * MS);
    c.power_off(l);
    assert_eq!((c.nodes[l].ledger.end(), c.nodes[l].files.committed.cached), (end, noted));
}

#[test]
fn an_idle_group_does_next_to_nothing() {
    let mut c = Cluster::new(3, 1);
    let l = led(&mut c);
    c.append(l).unwrap();
    c.run_for(10 * SEC);
    let before: Vec<u64> = c.nodes.iter().map(|n| n.wakes).collect();
    c.run_for(60 * SEC);
    for (i, node) in c.nodes.iter().enumerate() {
        let wakes = node.wakes - before[i];
        // A leader sends 30 heartbeats and 60 COMMITs to each, a follower looks up every 6 s: each time the clock says when, and the thread's beat follows.
        assert!(wakes <= if i == l { 2 * 30 + 60 + 2 * 60 } else { 20 }, "n{i}: {wakes}");
    }
    assert_eq!(c.leaders(), [l]);
}

/// Nobody wakes the checker of a group of one: it sees at its next look that the leader alone is a quorum.
#[test]
fn a_batch_waits_for_its_last_entry_and_a_group_of_one_for_its_checker() {
    let config = Arc::new(super::super::config::DLedgerConfig::new(PeerId(0), vec![PeerId(0)]));
    let (mut ledger, mut files, mut out) = (VecLedger::default(), DLedgerFiles::default(), Vec::new());
    fn host<'a>(us: u64, (ledger, files): (&'a mut VecLedger, &'a mut DLedgerFiles)) -> Host<'a, VecLedger> {
        let now = Now { mono: us * MS / 1_000, wall_ms: 1_700_000_000_000 + i64::try_from(us / 1_000).unwrap() };
        Host { now, ledger, files, draws: Draws::new(1), entity: Entity(0), life: 1 }
    }
    let mut server = DLedgerServer::start(config, host(5_000_000, (&mut ledger, &mut files)), &mut out);
    assert_eq!(server.role(), Role::Leader);
    out.clear();
    let appended = server.append(&[(1, SIZE), (2, SIZE), (3, SIZE)], host(5_001_000, (&mut ledger, &mut files)), &mut out);
    assert_eq!((appended, &out[..]), (Ok(Appended { first: 0, last: 2 }), &[][..]));
    server.handle(Input::Wake, host(5_002_000, (&mut ledger, &mut files)), &mut out);
    assert_eq!(out, [Effect::Committed { index: 2 }, Effect::Appended { index: 2, code: Code::Success }]);
    assert_eq!(server.append(&[], host(5_003_000, (&mut ledger, &mut files)), &mut out), Err(Code::UnexpectedArgument));
}

/// A round trip of the group is the way to a follower and back, and the wait until a dispatcher looks: the first of two that do so at moments of their own. On
/// average that is a third of a millisecond, at most a whole one, and never again for entries that come meanwhile.
#[test]
fn an_append_waits_for_the_first_dispatcher_that_looks() {
    let mut waits = Vec::new();
    for seed in 0..40 {
        let mut c = Cluster::new(3, seed);
        let l = led(&mut c);
        c.append(l).unwrap();
        c.run_for(SEC);
        for n in 0..25_u64 {
            // No whole number of milliseconds apart.
            c.run_for(7 * MS + n * 39_000);
            let (begin, before) = (c.elapsed(), c.acked().len());
            c.append(l).unwrap();
            while c.acked().len() == before {
                c.run_for(10_000);
            }
            waits.push((c.elapsed() - begin).saturating_sub(2 * MS) / 1_000);
        }
    }
    let mean = waits.iter().sum::<u64>() / waits.len() as u64;
    assert!((290..=380).contains(&mean) && waits.iter().all(|&us| us <= 1_010), "{mean} us: {waits:?}");
    waits.sort_unstable();
    assert!(waits[0] < 30 && waits[waits.len() - 1] > 900, "{waits:?}");
}

/// A timed wait is over when the driver says so: what else happens meanwhile does not shorten how late it is.
#[test]
fn a_look_is_as_late_as_the_wake_up() {
    let mut c = Cluster::new(3, 1);
    let l = led(&mut c);
    c.append(l).unwrap();
    c.run_for(SEC);
    let (now, peers) = (c.now, c.nodes[l].config.others().count());
    let (mut ledger, mut files, mut out) = (c.nodes[l].ledger.clone(), c.nodes[l].files, Vec::new());
    let mut server = c.server(l).clone();
    let mut step = |us: u64, input: Option<Input<u64>>| {
        let at = now + us * 1_000;
        let now = Now { mono: at, wall_ms: WALL_EPOCH_MS + i64::try_from(at / MS).unwrap() };
        let (draws, entity) = (Draws::new(1), Entity(l as u64));
        let host = Host { now, ledger: &mut ledger, files: &mut files, draws, entity, life: 1 };
        match input {
            Some(input) => server.handle(input, host, &mut out),
            None => drop(server.append(&[(7, SIZE)], host, &mut out)),
        }
        let pushes = out.iter().filter(|e| matches!(e, Effect::Call { rpc: Rpc::Push(_), .. })).count();
        out.clear();
        pushes
    };
    assert_eq!(step(0, None), 0, "nobody wakes a dispatcher");
    assert_eq!(step(1_500, None) + step(2_500, Some(Input::Flushed)), 0, "the look was due, and the thread does not run yet");
    assert_eq!(step(3_000, Some(Input::Wake)), 2 * peers, "then it sends all there is");
}

/// All threads that a round trip needs are late by so much; nothing else of it changes.
#[test]
fn threads_that_are_woken_late_make_a_round_trip_late() {
    let round_trip = |resume: u64| {
        let mut c = Cluster::new(3, 1);
        let l = led(&mut c);
        c.append(l).unwrap();
        c.run_for(SEC);
        c.weather.resume = resume;
        let (begin, before) = (c.elapsed(), c.acked().len());
        c.append(l).unwrap();
        while c.acked().len() == before {
            c.run_for(10_000);
        }
        c.elapsed() - begin
    };
    let (quick, late) = (round_trip(0), round_trip(20 * MS));
    assert!((2 * MS..=3 * MS).contains(&quick) && late > quick + 2 * MS && late < quick + 40 * MS, "{quick} {late}");
}

/// The index file is flushed behind the data file, and the 10 ms count from its end.
#[test]
fn a_flush_is_two_fsyncs_and_the_data_is_durable_after_the_first() {
    let mut c = Cluster::new(1, 1);
    c.weather.fsync = 40 * MS;
    let l = led(&mut c);
    let mut durable = Vec::new();
    for _ in 0..400 {
        c.append(l).unwrap();
        c.run_for(MS);
        if durable.last().is_none_or(|&(_, d)| d != c.nodes[l].ledger.durable) {
            durable.push((c.elapsed() / MS, c.nodes[l].ledger.durable));
        }
    }
    let steps: Vec<u64> = durable[1..].windows(2).map(|w| w[1].0 - w[0].0).collect();
    assert!(steps.len() >= 3 && steps.iter().all(|&ms| ms == 90), "{durable:?}");
}
