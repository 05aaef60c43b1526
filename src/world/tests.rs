//! The smallest cluster that is real: one nameserver, one broker, one producer, one consumer, built by hand.

use super::spec::*;
use super::*;
use crate::base::ids::{GroupId, TopicId};
use crate::base::names::{Names, NamesBuilder};
use crate::contract::note::SendEnd;
use crate::rocketmq::settings::{
    BrokerSettings, ConsumerSettings, InstanceSettings, NameserverSettings, ProducerSettings, Rules, Version,
};

/// Counts what the notes say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    pub(crate) delivered: u64,
    pub(crate) text: Vec<String>,
    pub(crate) keep: bool,
}

impl Observer for Tally {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        match note {
            Note::SendEnded { end: SendEnd::Acked { .. }, .. } => self.acked += 1,
            Note::SendEnded { .. } => self.failed += 1,
            Note::ListenerEntered { .. } => self.delivered += 1,
            _ => {}
        }
        if self.keep {
            self.text.push(format!("{:>14.6} {} {note:?}", stamp.at as f64 / 1e9, stamp.node.0));
        }
    }
}

fn node(name: &str, index: u16, names: &mut Vec<String>, kind: NodeKind) -> NodeSpec {
    names.push(name.to_owned());
    let us = |p50: u64, p99: u64| Quantiles::log_normal(p50 * 1000, p99 * 1000);
    NodeSpec {
        name: name.to_owned(),
        entity: Entity::named(name),
        host: index,
        addr: Addr(index),
        start: StartSpec::Drawn,
        clock_offset: 0,
        clock_drift_ppm: 0,
        version: Version::V4_9_8,
        rules: Rules::of(Version::V4_9_8),
        cpus: 4,
        services: Services {
            send: us(60, 400),
            pull: us(40, 300),
            manage: us(80, 500),
            heartbeat: us(80, 500),
            route: us(80, 500),
            channel_event: us(50, 300),
            fsync: us(2000, 12_000),
            boot: us(500_000, 1_500_000),
            thaw: us(2000, 30_000),
            thaw_frame: us(20, 200),
            wakeup: us(300, 3000),
            resume: Quantiles::constant(0),
            failure: us(100, 1000),
            exit: us(30_000, 80_000),
            first_delivery: Quantiles::constant(0),
            first_send: Quantiles::constant(0),
            first_call: Quantiles::constant(0),
            shutdown: Quantiles::constant(0),
        },
        kind,
    }
}

/// `brokers` masters and `consumers` consumers of topic T with 4 queues a broker.
pub(crate) fn cluster(brokers: u16, consumers: u16, per_s: u64, orderly: bool) -> Spec {
    let mut b = NamesBuilder::default();
    for topic in ["T", "TBW102", "SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT"] {
        b.topic(topic);
    }
    b.group("pg").group("cg").group("CLIENT_INNER_PRODUCER");
    (0..brokers).for_each(|i| {
        b.broker(&format!("broker-{i}"));
    });
    let names: Arc<Names> = Arc::new(b.freeze());
    let topic: TopicId = names.topic("T").unwrap();
    let group = |g: &str| -> GroupId { names.group(g).unwrap() };
    let nameservers: Arc<[Addr]> = [Addr(0)].into();
    let mut hosts = Vec::new();
    let mut nodes = vec![node("ns-0", 0, &mut hosts, NodeKind::Nameserver(Arc::new(NameserverSettings::default())))];
    for i in 0..brokers {
        let broker = BrokerSpec {
            broker: names.broker(&format!("broker-{i}")).unwrap(),
            broker_id: 0,
            cluster: "DefaultCluster".into(),
            settings: BrokerSettings::default(),
            nameservers: nameservers.clone(),
            dledger: None,
            disk: Default::default(),
        };
        let index = nodes.len() as u16;
        nodes.push(node(&format!("broker-{i}:0"), index, &mut hosts, NodeKind::Broker(Arc::new(broker))));
    }
    let client = |name: &str, role: MemberRole| {
        NodeKind::Client(Arc::new(ClientSpec {
            nameservers: nameservers.clone(),
            client_ip: name.to_owned(),
            new_ip_each_life: false,
            members: vec![MemberSpec {
                name: name.to_owned(),
                entity: Entity::named(name),
                instance: InstanceSettings::default(),
                started: true,
                role,
            }],
        }))
    };
    let producer = MemberRole::Producer(ProducerSpec {
        index: 0,
        group: group("pg"),
        topic,
        settings: ProducerSettings::default(),
        mode: SendMode::Sync,
        threads: 8,
        load: LoadSpec {
            phases: vec![LoadPhase { from: 0, until: 120 * SEC as i64, per_1000s: per_s * 1000, burst: 1 }],
            arrivals: Arrivals::Even,
            keys: if orderly { 16 } else { 0 },
            keys_drawn: false,
            size: Quantiles::constant(100),
            delay_level: 0,
            tags: Vec::new(),
        },
        retry_response_codes: Vec::new(),
        batch: 1,
        transactional: None,
        wait_store_msg_ok: true,
        warm_up_sends: 0,
    });
    let index = nodes.len() as u16;
    nodes.push(node("pg-0", index, &mut hosts, client("pg-0", producer)));
    for i in 0..consumers {
        let settings = ConsumerSettings {
            consume_from_where: crate::rocketmq::settings::ConsumeFromWhere::FirstOffset,
            ..Default::default()
        };
        let consumer = MemberRole::Consumer(ConsumerSpec {
            index: i,
            group: group("cg"),
            settings,
            orderly,
            subscriptions: vec![(topic, "*".into())],
            service_time: Quantiles::constant(0),
            script: ListenerScript::default(),
            consumer_idcs: Vec::new(),
            config_queues: Vec::new(),
            custom_strategy: None,
        });
        let name = format!("cg-{i}");
        let index = nodes.len() as u16;
        nodes.push(node(&name, index, &mut hosts, client(&name, consumer)));
    }
    let table = |p50: u64, p99: u64| LinkTable { latency: Quantiles::log_normal(p50 * 1000, p99 * 1000), bandwidth: 0 };
    Spec {
        name: "test".into(),
        question: "Does it run?".into(),
        version: Version::V4_9_8,
        seed: 1,
        tie_seed: 0,
        warmup: 60 * SEC,
        duration: 120 * SEC,
        drain: 60 * SEC,
        max_events: u64::MAX,
        topics: vec![TopicSpec {
            topic,
            read_queue_nums: 4,
            write_queue_nums: 4,
            perm: 6,
            brokers: names.brokers().collect(),
            order_conf: None,
        }],
        names,
        nodes,
        hosts,
        preloads: Vec::new(),
        start_offsets: Vec::new(),
        links: LinkSpec {
            default: table(200, 1000),
            loopback: table(30, 100),
            overrides: Vec::new(),
            rto_first: 200 * MS,
            rto_max: 120 * SEC,
            give_up: 924 * SEC,
            receive_buffer: 131_072,
            backlog: 1024,
        },
        disks: DiskSpec::default(),
        pauses: None,
        faults: Vec::new(),
        expect: Vec::new(),
    }
}

pub(crate) fn run(spec: Spec, keep: bool) -> World<Tally> {
    let end = spec.warmup + spec.duration + spec.drain;
    let mut world = World::new(Arc::new(spec), Tally { keep, ..Tally::default() });
    world.run_until(end, u64::MAX);
    world
}

#[allow(clippy::disallowed_methods, reason = "a debugging aid of tests")]
fn dump(world: &World<Tally>, name: &str) {
    if let Ok(dir) = std::env::var("WT_DUMP") {
        std::fs::write(format!("{dir}/{name}.txt"), world.observer.text.join("\n")).unwrap();
    }
    println!(
        "{name}: {} events, acked {}, failed {}, delivered {}",
        world.events, world.observer.acked, world.observer.failed, world.observer.delivered
    );
}

#[test]
fn one_of_each_delivers_everything() {
    let world = run(cluster(1, 1, 100, false), true);
    dump(&world, "one");
    assert_eq!((world.observer.acked, world.observer.failed, world.observer.delivered), (12_000, 0, 12_000));
}

#[test]
fn two_masters_one_killed() {
    let mut spec = cluster(2, 3, 100, false);
    spec.faults.push(FaultSpec {
        label: "kill".into(),
        at: 30 * SEC as i64,
        lasts: Some(30 * SEC),
        only: None,
        wipe: false,
        every: None,
        what: FaultKind::Kill { nodes: vec![NodeId(2)] },
    });
    let world = run(spec, true);
    dump(&world, "kill");
    assert_eq!((world.observer.acked, world.observer.failed), (12_000, 0));
    assert!(world.observer.delivered >= 12_000);
}

#[test]
fn orderly_runs() {
    let world = run(cluster(2, 3, 40, true), true);
    dump(&world, "orderly");
    assert_eq!((world.observer.acked, world.observer.failed, world.observer.delivered), (4_800, 0, 4_800));
}

#[test]
#[ignore = "prints how fast the bare world is"]
fn speed() {
    let mut spec = cluster(2, 8, 20_000, false);
    if let NodeKind::Client(c) = &mut spec.nodes[3].kind {
        let mut c2 = (**c).clone();
        if let MemberRole::Producer(p) = &mut c2.members[0].role {
            p.load.phases[0].until = 60 * SEC as i64;
            p.threads = 64;
        }
        *c = Arc::new(c2);
    }
    #[allow(clippy::disallowed_methods, reason = "a bench may ask the machine for the time")]
    let t = std::time::Instant::now();
    let mut world = World::new(Arc::new(spec), ());
    world.run_until(125 * SEC, u64::MAX);
    let e = t.elapsed().as_secs_f64();
    println!(
        "{} events in {e:.2} s: {:.0} ns an event, {:.0} messages a second",
        world.events,
        e * 1e9 / world.events as f64,
        1_200_000.0 / e
    );
}

#[test]
fn sizes_are_watched() {
    use std::mem::size_of;
    println!(
        "message {} request {} frame {} input {} op {} note {}",
        size_of::<crate::rocketmq::message::Message>(),
        size_of::<crate::rocketmq::protocol::Request>(),
        size_of::<Frame>(),
        size_of::<Input<Frame>>(),
        size_of::<Op<Frame>>(),
        size_of::<Note>()
    );
    assert!(size_of::<crate::rocketmq::message::Message>() <= 96, "a message waiting in a log");
    assert!(size_of::<Frame>() <= 256, "a message in flight");
}

/// `WT_SCENARIO=file WT_SEED=n WT_DUMP=dir`: every note of a scenario, for whoever asks why.
#[test]
#[ignore = "prints notes"]
#[allow(clippy::disallowed_methods, reason = "a debugging aid of tests")]
fn dump_scenario() {
    let Ok(path) = std::env::var("WT_SCENARIO") else { return };
    let seed = std::env::var("WT_SEED").ok().and_then(|s| s.parse().ok());
    let overrides = crate::scenario::Overrides { seed, ..Default::default() };
    let loaded = crate::scenario::load(std::path::Path::new(&path), &overrides).unwrap();
    let zero = loaded.spec.warmup as f64 / 1e9;
    let nodes: Vec<String> = loaded.spec.nodes.iter().map(|n| n.name.clone()).collect();
    let mut world = run(loaded.spec, true);
    world.observer.text = world
        .observer
        .text
        .iter()
        .map(|line| {
            let mut parts = line.trim_start().splitn(3, ' ');
            let at: f64 = parts.next().unwrap().parse().unwrap();
            let node: usize = parts.next().unwrap().parse().unwrap();
            format!("{:>12.6} {:<9} {}", at - zero, nodes[node], parts.next().unwrap())
        })
        .collect();
    dump(&world, "scenario");
}

pub(super) fn fault(at: u64, lasts: Option<u64>, what: FaultKind) -> FaultSpec {
    FaultSpec { label: "test".into(), at: (at * SEC) as i64, lasts, every: None, only: None, wipe: false, what }
}

/// `mqadmin updateTopic` (`UpdateTopicSubCommand`) creates what is not there, with 8 queues of each kind unless it is told otherwise.
#[test]
fn an_update_creates_the_topic_where_it_is_not() {
    let mut spec = cluster(2, 1, 10, false);
    let (topic, there) = (spec.topics[0].topic, spec.topics[0].brokers[0]);
    spec.topics[0].brokers.retain(|b| *b == there);
    let update = FaultKind::UpdateTopic { brokers: vec![NodeId(2)], topic, read: None, write: Some(3), perm: None };
    spec.faults.push(fault(10, None, update));
    let world = run(spec, false);
    let of = |node: usize| world.disks[node].broker.topics.get(&topic).map(|t| (t.read, t.write, t.perm));
    assert_eq!((of(1), of(2)), (Some((4, 4, 6)), Some((8, 3, 6))));
}

/// The producer of [`cluster`].
fn producer(spec: &mut Spec) -> &mut ProducerSpec {
    let client = spec.nodes.iter_mut().find_map(|n| match &mut n.kind {
        NodeKind::Client(c) => Some(Arc::make_mut(c)),
        _ => None,
    });
    match &mut client.unwrap().members[0].role {
        MemberRole::Producer(p) => p,
        MemberRole::Consumer(_) => unreachable!("the producer comes first"),
    }
}

/// The broker of each message's last attempt, the calls that failed with another one, and those that failed at all.
#[derive(Clone, Debug, Default)]
struct Blame(std::collections::BTreeMap<crate::base::ids::MessageId, crate::base::ids::BrokerName>, Vec<Note>, usize);

impl Observer for Blame {
    fn note(&mut self, _: Stamp, note: &Note) {
        match note {
            Note::Attempted { msg, queue, .. } => _ = self.0.insert(*msg, queue.broker),
            Note::SendEnded { msg, end: SendEnd::Failed { broker, .. } | SendEnd::Unknown { broker, .. }, .. } => {
                self.2 += 1;
                if *broker != self.0.get(msg).copied() {
                    self.1.push(note.clone());
                }
            }
            _ => {}
        }
    }
}

/// `DefaultMQProducerImpl#sendDefaultImpl` (4.9.8) chooses the next queue before it looks at what is left of the budget: a call that has none fails at the broker
/// that took it, not at the one that was never asked.
#[test]
fn a_call_fails_at_the_broker_that_was_asked_last() {
    let mut spec = cluster(2, 1, 100, false);
    spec.faults.push(fault(30, None, FaultKind::LoseHost { hosts: vec![spec.nodes[2].host] }));
    let end = spec.warmup + 90 * SEC;
    let mut world = World::new(Arc::new(spec), Blame::default());
    world.run_until(end, u64::MAX);
    let Blame(_, wrong, failed) = world.observer();
    assert!(*failed > 5 && wrong.is_empty(), "{failed} failed, {wrong:?}");
}

/// Where each message was stored, in the order of storing.
#[derive(Clone, Debug, Default)]
struct Records(Vec<(u64, crate::base::ids::MessageQueue, u64)>, Vec<(u64, u64)>);

impl Observer for Records {
    fn note(&mut self, _: Stamp, note: &Note) {
        match note {
            Note::Stored { rec, msg, .. } => self.0.push((msg.n(), rec.queue, rec.offset)),
            Note::SendEnded { msg, end: SendEnd::Acked { offset, .. }, .. } => self.1.push((msg.n(), *offset)),
            _ => {}
        }
    }
}

/// Ten messages, one request, one queue, consecutive offsets; the last batch is what is left.
#[test]
fn a_batch_is_stored_together_and_ends_together() {
    for mode in [SendMode::Sync, SendMode::Async] {
        let mut spec = cluster(2, 1, 100, false);
        let p = producer(&mut spec);
        (p.batch, p.mode, p.load.phases[0].until) = (10, mode, (20 * SEC + 50 * MS) as i64);
        let end = spec.warmup + spec.duration + spec.drain;
        let mut world = World::new(Arc::new(spec), Records::default());
        world.run_until(end, u64::MAX);
        let Records(stored, acked) = world.observer();
        assert_eq!((stored.len(), acked.len()), (2_005, 2_005), "{mode:?}");
        let mut batches = 0;
        for batch in stored.chunk_by(|a, b| b.0 % 10 != 0 && a.1 == b.1) {
            let (first, queue, offset) = batch[0];
            assert_eq!((first % 10, batch.len()), (0, if first == 2_000 { 5 } else { 10 }));
            for (k, (n, q, o)) in batch.iter().enumerate() {
                assert_eq!((*n, *q, *o), (first + k as u64, queue, offset + k as u64));
                assert!(acked.contains(&(*n, *o)), "the answer's offset is the first member's, the others count on");
            }
            batches += 1;
        }
        assert_eq!(batches, 201);
    }
}

#[test]
fn a_batch_over_the_limit_is_refused_whole() {
    let mut spec = cluster(1, 1, 100, false);
    let p = producer(&mut spec);
    (p.batch, p.load.size, p.settings.max_message_size) = (10, Quantiles::constant(100), 1_600);
    let world = run(spec, false);
    assert_eq!((world.observer.acked, world.observer.failed, world.observer.delivered), (0, 12_000, 0), "10 frames of 164 bytes");
}

/// A frozen broker's kernel takes in what its buffer holds; the rest stays with the sender, nothing is lost, and order holds.
#[test]
fn a_full_receive_buffer_stalls_the_sender() {
    let mut spec = cluster(1, 1, 500, true);
    let p = producer(&mut spec);
    (p.mode, p.load.size) = (SendMode::Oneway, Quantiles::constant(1_000));
    spec.links.receive_buffer = 65_536;
    if let NodeKind::Broker(b) = &mut spec.nodes[1].kind {
        // Several workers would store in another order what arrives at once, and fast failure would throw away what then waits too long.
        let settings = &mut Arc::make_mut(b).settings;
        (settings.send_message_thread_pool_nums, settings.wait_time_mills_in_send_queue) = (1, 10_000);
    }
    spec.faults.push(fault(30, Some(10 * SEC), FaultKind::Freeze { nodes: vec![NodeId(1)] }));
    let (zero, end) = (spec.warmup, spec.warmup + spec.duration + spec.drain);
    let mut world = World::new(Arc::new(spec), Records::default());
    world.run_until(zero + 39 * SEC, u64::MAX);
    let towards: Vec<&Direction> = world.connections.iter().flat_map(|c| &c.directions).filter(|d| d.bounced() > 0).collect();
    assert_eq!(towards.len(), 1, "the producer's");
    let (_, unread_bytes) = towards[0].unread();
    assert!((60_000..=65_536).contains(&unread_bytes), "{unread_bytes}");
    let waiting = towards[0].stall.as_ref().map_or(0, |stall| stall.items.len());
    assert!(waiting > 4_000, "nine seconds of load wait at the sender: {waiting}");
    world.run_until(end, u64::MAX);
    let mut last = std::collections::BTreeMap::new();
    for (n, queue, _) in &world.observer().0 {
        let before = last.insert(*queue, *n);
        assert!(before < Some(*n), "{before:?} before {n} in {queue:?}");
    }
    assert_eq!(world.observer().0.len(), 60_000, "every message was stored, once");
}

/// A pool's idle thread that has waited longest takes the next job, so two threads alternate, each with its own place in the publish list.
#[test]
fn threads_of_a_pool_take_turns() {
    let mut spec = cluster(1, 1, 10, false);
    producer(&mut spec).threads = 2;
    let end = spec.warmup + 20 * SEC;
    let mut world = World::new(Arc::new(spec), Records::default());
    world.run_until(end, u64::MAX);
    let queues: Vec<i32> = world.observer().0.iter().map(|(_, queue, _)| queue.queue_id).collect();
    assert!(queues.len() >= 199);
    assert!(queues.windows(3).all(|w| w[2] == (w[0] + 1) % 4), "{queues:?}");
}

/// A slow disk makes each append of its node take longer while it lasts, and of no other; stalls that overlap end with the last.
#[test]
fn a_slow_disk_is_slow_until_it_ends() {
    let slow = |stall: bool, factor: u32| FaultKind::SlowDisk { nodes: vec![NodeId(1)], factor, stall };
    let mut spec = cluster(1, 1, 10, false);
    spec.nodes[1].services.send = Quantiles::constant(100_000);
    spec.faults.push(fault(30, Some(30 * SEC), slow(false, 1_000)));
    spec.faults.push(fault(70, Some(400 * MS), slow(true, 1)));
    spec.faults.push(fault(70, Some(800 * MS), slow(true, 1)));
    let zero = spec.warmup;
    let mut world = World::new(Arc::new(spec), Took::default());
    world.run_until(zero + 150 * SEC, u64::MAX);
    let took = |from: u64, until: u64| {
        let inside = world.observer().1.iter().filter(|(at, _)| (zero + from..zero + until).contains(at));
        inside.map(|(_, took)| *took / MS).max().unwrap()
    };
    assert!(took(0, 30 * SEC) < 20, "{}", took(0, 30 * SEC));
    assert!((100..150).contains(&took(30 * SEC, 60 * SEC)), "0.1 ms, a thousandfold: {}", took(30 * SEC, 60 * SEC));
    assert!(took(61 * SEC, 70 * SEC) < 20);
    assert!((700..900).contains(&took(70 * SEC, 72 * SEC)), "until the second stall ends: {}", took(70 * SEC, 72 * SEC));
    assert!(took(72 * SEC, 120 * SEC) < 20);
    assert!(world.observer().2.iter().all(|touched| *touched > 0), "{:?}", world.observer().2);
}

/// When each send began and how long it took, and what each fault had met at its end.
#[derive(Clone, Debug, Default)]
struct Took(std::collections::BTreeMap<MessageId, u64>, Vec<(u64, u64)>, Vec<u64>);

impl Observer for Took {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        match note {
            Note::SendBegan { msg, .. } => _ = self.0.insert(*msg, stamp.at),
            Note::SendEnded { msg, .. } => {
                let began = self.0.remove(msg).unwrap();
                self.1.push((began, stamp.at - began));
            }
            Note::Fault { on: false, touched, .. } => self.2.push(*touched),
            _ => {}
        }
    }
}

/// What each fault had met when it struck.
#[derive(Clone, Debug, Default)]
struct Strikes(Vec<(u16, u64)>);

impl Observer for Strikes {
    fn note(&mut self, _: Stamp, note: &Note) {
        if let Note::Fault { index, on: true, touched } = note {
            self.0.push((*index, *touched));
        }
    }
}

#[test]
fn a_fault_on_a_process_that_is_gone_meets_nothing() {
    let nodes = || vec![NodeId(1)];
    let mut spec = cluster(1, 1, 10, false);
    for (at, what) in [
        (10, FaultKind::ClockStep { nodes: nodes(), by_ms: 5 }),
        (20, FaultKind::Kill { nodes: nodes() }),
        (30, FaultKind::ClockStep { nodes: nodes(), by_ms: 5 }),
        (31, FaultKind::SlowDisk { nodes: nodes(), factor: 1, stall: true }),
        (32, FaultKind::Kill { nodes: nodes() }),
        (33, FaultKind::Freeze { nodes: nodes() }),
    ] {
        spec.faults.push(fault(at, None, what));
    }
    let end = spec.warmup + 40 * SEC;
    let mut world = World::new(Arc::new(spec), Strikes::default());
    world.run_until(end, u64::MAX);
    assert_eq!(world.observer().0, [(0, 1), (1, 1), (2, 0), (3, 0), (4, 0), (5, 0)]);
}

/// Notes of one node, with the moment of each, ns of the run.
#[derive(Clone, Debug)]
struct OfNode(NodeId, Vec<(u64, Note)>);

impl Observer for OfNode {
    fn note(&mut self, stamp: Stamp, note: &Note) {
        if stamp.node == self.0 {
            self.1.push((stamp.at, note.clone()));
        }
    }
}

pub(super) fn notes_of(spec: Spec, node: u16, until: u64) -> Vec<(u64, Note)> {
    let mut world = World::new(Arc::new(spec), OfNode(NodeId(node), Vec::new()));
    world.run_until(until, u64::MAX);
    world.into_observer().1
}

/// Messages that come after a consumer's pool has shut down are rejected, the next pull is put off by a second, and `PullMessageService#shutdown` waits for it. Where
/// none come the end takes what its requests take.
#[test]
fn a_consumers_end_lasts_a_second_if_messages_come_into_it() {
    let lasted = |rate: u64| {
        let mut spec = cluster(1, 2, rate, false);
        spec.faults.push(fault(30, None, FaultKind::Shutdown { nodes: vec![NodeId(3)], members: Vec::new() }));
        let until = spec.warmup + 40 * SEC;
        let notes = notes_of(spec, 3, until);
        let at = |wanted: fn(&Note) -> bool| notes.iter().find(|(_, n)| wanted(n)).unwrap().0;
        at(|n| matches!(n, Note::ShutdownEnded { .. })) - at(|n| matches!(n, Note::ShutdownBegan { .. }))
    };
    let (busy, idle) = (lasted(5_000), lasted(1));
    assert!((SEC..SEC + 200 * MS).contains(&busy) && idle < 20 * MS, "{busy} and {idle}");
}

/// After a thaw a request that was written to a channel whose end lay unread fails at once: the member is back at work in less than the 3 s that an
/// answer is waited for.
#[test]
fn a_thawed_consumer_does_not_wait_for_dead_channels() {
    for seed in 1..=10 {
        let mut spec = cluster(2, 2, 20, false);
        spec.seed = seed;
        spec.faults.push(fault(10, Some(170 * SEC), FaultKind::Freeze { nodes: vec![NodeId(4)] }));
        let (thaw, until) = (spec.warmup + 180 * SEC, spec.warmup + 200 * SEC);
        let notes = notes_of(spec, 4, until);
        let back = notes.iter().find(|(at, n)| *at > thaw && matches!(n, Note::Assigned { .. })).map(|(at, _)| at - thaw);
        assert!(back.is_some_and(|after| after < 2 * SEC), "seed {seed}: {back:?}");
    }
}

/// Looks for delayed messages drift, so that messages stored in step with them do not all wait equally long.
#[test]
fn delayed_messages_wait_between_nothing_and_a_look() {
    let mut spec = cluster(1, 1, 10, false);
    producer(&mut spec).load.delay_level = 1;
    let until = spec.warmup + 130 * SEC;
    let mut parked = std::collections::BTreeMap::new();
    let mut late = Vec::new();
    for (at, note) in notes_of(spec, 1, until) {
        if let Note::Stored { msg, stored_as, .. } = note {
            match stored_as {
                crate::contract::note::StoredAs::Delayed => _ = parked.insert(msg, at),
                _ => late.extend(parked.remove(&msg).map(|stored| ((at - stored) / MS).saturating_sub(1_000))),
            }
        }
    }
    let (least, most) = (late.iter().min().unwrap(), late.iter().max().unwrap());
    assert!(late.len() > 1_000 && *least < 15 && (85..150).contains(most), "{least} to {most} ms");
}

/// Every answer wakes a thread, and the thread is late.
#[test]
fn a_woken_thread_goes_on_late() {
    let quickest = |resume: u64| {
        let mut spec = cluster(1, 1, 10, false);
        spec.nodes.iter_mut().for_each(|n| n.services.resume = Quantiles::constant(resume));
        let zero = spec.warmup;
        let mut world = World::new(Arc::new(spec), Took::default());
        world.run_until(zero + 60 * SEC, u64::MAX);
        world.observer().1.iter().map(|(_, took)| *took).min().unwrap()
    };
    let (at_once, late) = (quickest(0), quickest(50 * MS));
    assert_eq!(late - at_once, 50 * MS, "the same luck but for that");
}

/// The kernel frees a killed process's memory before it closes its files: until then its peers hear nothing.
#[test]
fn a_killed_members_sockets_close_when_its_kernel_has_done() {
    let heard = |exit: u64| {
        let mut spec = cluster(1, 2, 10, false);
        spec.nodes.iter_mut().for_each(|n| n.services.exit = Quantiles::constant(exit));
        spec.faults.push(fault(10, None, FaultKind::Kill { nodes: vec![NodeId(3)] }));
        let (kill, until) = (spec.warmup + 10 * SEC, spec.warmup + 15 * SEC);
        let notes = notes_of(spec, 4, until);
        notes.iter().find(|(at, n)| *at > kill && matches!(n, Note::Assigned { .. })).map(|(at, _)| at - kill).unwrap()
    };
    let (at_once, late) = (heard(0), heard(700 * MS));
    assert!(at_once < 300 * MS && (700 * MS..SEC).contains(&late), "{at_once} and {late}");
}

/// A restart that comes while the kernel still ends the old process is not lost.
#[test]
fn a_process_that_is_still_dying_starts_again() {
    let mut spec = cluster(1, 1, 10, false);
    spec.nodes.iter_mut().for_each(|n| n.services.exit = Quantiles::constant(700 * MS));
    spec.faults.push(fault(10, Some(100 * MS), FaultKind::Kill { nodes: vec![NodeId(3)] }));
    let until = spec.warmup + 15 * SEC;
    let ups = notes_of(spec, 3, until).iter().filter(|(_, n)| matches!(n, Note::Up)).count();
    assert_eq!(ups, 2);
}
