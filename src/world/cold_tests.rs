//! Cold code in a running cluster: what a process does for the first time takes it longer, and everybody who waits for it.

use super::spec::{FaultKind, Services};
use super::tests::{cluster, fault, notes_of};
use super::*;

/// A cluster whose threads go on a millisecond late, and whose services are changed beyond that.
fn with(brokers: u16, consumers: u16, change: impl Fn(&mut Services)) -> Spec {
    let mut spec = cluster(brokers, consumers, 10, false);
    for node in &mut spec.nodes {
        node.services.resume = Quantiles::constant(MS);
        change(&mut node.services);
    }
    spec
}

/// The n-th delivery of a life costs an n-th of the first.
#[test]
fn the_first_delivery_of_a_life_is_the_slowest() {
    let first = |cost: u64| {
        let spec = with(1, 1, |services| services.first_delivery = Quantiles::constant(cost));
        let until = spec.warmup + 5 * SEC;
        let entered = notes_of(spec, 3, until).into_iter().filter(|(_, n)| matches!(n, Note::ListenerEntered { .. }));
        entered.map(|(at, _)| at).take(20).collect::<Vec<u64>>()
    };
    let late: Vec<u64> = first(60 * MS).iter().zip(first(0)).map(|(slow, fast)| slow - fast).collect();
    assert_eq!((late[0], late[1], late[2], late[19]), (60 * MS, 30 * MS, 20 * MS, 3 * MS));
}

/// An answered call costs its share of the first, and the calls before the load count.
#[test]
fn a_producer_that_has_sent_little_is_slow() {
    let ended = |cost: u64, warm_up: u64| {
        let mut spec = with(1, 1, |services| services.first_send = Quantiles::constant(cost));
        for node in &mut spec.nodes {
            let NodeKind::Client(client) = &mut node.kind else { continue };
            for member in &mut Arc::make_mut(client).members {
                if let MemberRole::Producer(producer) = &mut member.role {
                    producer.warm_up_sends = warm_up;
                }
            }
        }
        let until = spec.warmup + 5 * SEC;
        let notes = notes_of(spec, 2, until).into_iter().filter(|(_, n)| matches!(n, Note::SendEnded { .. }));
        notes.map(|(at, _)| at).take(20).collect::<Vec<u64>>()
    };
    let warm = ended(0, 0);
    let late = |warm_up: u64| ended(120 * MS, warm_up).iter().zip(&warm).map(|(slow, fast)| slow - fast).collect::<Vec<u64>>();
    let (few, many) = (late(0), late(200));
    // Heartbeats were answered before, and the first send asks for its route.
    assert!((30 * MS..=120 * MS).contains(&few[0]) && few[19] < few[0] / 10, "{few:?}");
    assert!(many[1..].iter().all(|late| (530_000..600_000).contains(late)) && many[0] > 2 * many[1], "{many:?}");
}

/// The others are told of a new member with its first heartbeat; until it has its own share it makes five more calls that are cold.
#[test]
fn a_member_that_joins_is_slow() {
    let shares = |cost: u64| {
        let spec = with(1, 2, |services| services.first_call = Quantiles::constant(cost));
        let until = spec.warmup + 5 * SEC;
        let find = |node: u16, of: fn(&Note) -> bool| {
            notes_of(spec.clone(), node, until).into_iter().find(|(_, n)| of(n)).map(|(at, _)| at)
        };
        let up = find(4, |n| matches!(n, Note::Up)).unwrap();
        find(4, |n| matches!(n, Note::Allocated { .. })).unwrap() - up
    };
    // The nameserver's connection and route, the broker's connection and heartbeat, the member list: 1 + 1/2 + .. of the first.
    let late = (shares(120 * MS) - shares(0)) / MS;
    assert!((200..500).contains(&late), "{late}");
}

/// Heartbeats go to one broker after the other, in the order of a hash table: a member is known first at the broker whose name comes first there, and its own
/// cold code lies between.
#[test]
fn brokers_hear_of_a_member_in_the_order_of_their_hashes() {
    let spec = with(3, 1, |services| services.first_call = Quantiles::constant(120 * MS));
    let until = spec.warmup;
    let heard = |broker: u16| {
        let notes = notes_of(spec.clone(), 1 + broker, until);
        notes.into_iter().find(|(_, n)| matches!(n, Note::MemberRegistered { .. })).unwrap().0
    };
    let (zero, one, two) = (heard(0), heard(1), heard(2));
    assert!(two + 20 * MS < zero && zero + 10 * MS < one, "broker-2 first, then 0 and 1: {two} {zero} {one}");
}

/// New queues: their first pulls are handed over, the change is logged, and only then does the subscription get its new version. A pull thread that is quicker than the log
/// still names the old one and is served; one that is slower comes before the heartbeat and is refused.
#[test]
fn the_first_pull_of_a_new_queue_races_the_log() {
    let waited = |log: u64| {
        let mut spec = cluster(1, 2, 200, false);
        for node in &mut spec.nodes {
            node.services.resume = Quantiles::constant(MS);
            node.services.wakeup = Quantiles::constant(MS);
            node.services.heartbeat = Quantiles::constant(20 * MS);
            node.services.failure = Quantiles::constant(log);
        }
        spec.faults.push(fault(10, None, FaultKind::Kill { nodes: vec![NodeId(3)] }));
        let (kill, until) = (spec.warmup + 10 * SEC, spec.warmup + 13 * SEC);
        let notes = notes_of(spec, 4, until);
        let mut assigned = std::collections::BTreeMap::new();
        let mut waited = Vec::new();
        for (at, note) in notes.into_iter().filter(|(at, _)| *at > kill) {
            match note {
                Note::Assigned { queue, .. } => _ = assigned.insert(queue, at),
                Note::Pulled { queue, .. } => waited.extend(assigned.remove(&queue).map(|since| at - since)),
                _ => {}
            }
        }
        waited
    };
    let (quick, slow) = (waited(10 * MS), waited(0));
    assert!(quick.len() == 2 && quick.iter().all(|ns| *ns < 900 * MS), "{quick:?}");
    assert!(slow.len() == 2 && slow.iter().all(|ns| *ns > 950 * MS), "{slow:?}");
}

/// What else a machine does slows all that is cold on it: processes that start together on one host take as long as each other, and so do their first
/// deliveries. Alone on their hosts each draws for itself, and at another time the host draws anew.
#[test]
fn cold_code_is_as_slow_on_all_of_a_host() {
    let times = |seed: u64, one_host: bool| {
        let mut spec = with(1, 4, |services| services.boot = Quantiles::log_normal(SEC, 8 * SEC));
        spec.seed = seed;
        for (i, node) in spec.nodes.iter_mut().enumerate().skip(3) {
            node.cpus = 64;
            node.services.first_delivery = Quantiles::log_normal(50 * MS, 400 * MS);
            node.start = StartSpec::At(-(30 + i as i64 % 2) * SEC as i64);
            node.host = if one_host { 3 } else { node.host };
        }
        let until = spec.warmup + 5 * SEC;
        let boots = |node: u16| {
            let notes = notes_of(spec.clone(), node, until);
            let up = notes.iter().position(|(_, n)| matches!(n, Note::Up)).unwrap();
            notes[up + 1].0 - notes[up].0
        };
        (3..7).map(boots).collect::<Vec<u64>>()
    };
    let apart = |times: &[u64]| times.iter().max().unwrap() * 100 / times.iter().min().unwrap();
    // A tenth up or down is each one's own; one start in thirty may fall into another half minute.
    let together = (1..=12).filter(|seed| apart(&times(*seed, true)) < 125).count();
    let alone = (1..=12).filter(|seed| apart(&times(*seed, false)) < 125).count();
    assert!(together >= 10 && alone <= 1, "{together} {alone}");
    let slowest = |one_host: bool| (1..=12).map(|seed| *times(seed, one_host).iter().max().unwrap()).max();
    assert!(slowest(true) > Some(3 * SEC) && slowest(false) > Some(3 * SEC));
}

/// Two members that get their first messages: the host's luck is the same for both.
#[test]
fn first_deliveries_of_a_host_cost_the_same() {
    let late = |seed: u64, one_host: bool| {
        let entered = |cost: Quantiles| {
            let mut spec = with(1, 2, |services| services.first_delivery = cost.clone());
            spec.seed = seed;
            spec.nodes[4].host = if one_host { 3 } else { 4 };
            let until = spec.warmup + 5 * SEC;
            let first = |node: u16| {
                notes_of(spec.clone(), node, until)
                    .into_iter()
                    .find(|(_, n)| matches!(n, Note::ListenerEntered { .. }))
                    .unwrap()
                    .0
            };
            [first(3), first(4)]
        };
        let (cold, warm) = (entered(Quantiles::log_normal(20 * MS, 200 * MS)), entered(Quantiles::constant(0)));
        [cold[0] - warm[0], cold[1] - warm[1]]
    };
    let alike = |one_host: bool| (1..=8).map(|seed| late(seed, one_host)).filter(|[a, b]| a.abs_diff(*b) < 5 * MS).count();
    assert!(alike(true) >= 7 && alike(false) <= 3, "{} {}", alike(true), alike(false));
}

/// A heartbeat has a table of its own: all groups and subscriptions of a client, as JSON.
#[test]
fn a_heartbeat_takes_its_own_time() {
    let known = |heartbeat: u64, manage: u64| {
        let mut spec = cluster(1, 1, 10, false);
        spec.nodes[1].services.heartbeat = Quantiles::constant(heartbeat);
        spec.nodes[1].services.manage = Quantiles::constant(manage);
        let until = spec.warmup + 5 * SEC;
        let at =
            |node: u16, of: fn(&Note) -> bool| notes_of(spec.clone(), node, until).into_iter().find(|(_, n)| of(n)).unwrap().0;
        (at(1, |n| matches!(n, Note::MemberRegistered { .. })), at(3, |n| matches!(n, Note::Allocated { .. })))
    };
    let (base, slow, other) = (known(0, MS), known(70 * MS, MS), known(0, 10 * MS));
    assert!(slow.0 - base.0 == 70 * MS && slow.1 > base.1 + 60 * MS, "{base:?} {slow:?}");
    assert!(other.0 == base.0 && other.1 > base.1, "{base:?} {other:?}");
}
