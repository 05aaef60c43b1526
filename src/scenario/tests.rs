//! Scenario texts, good and bad: what they decode to, and what the first line of their errors says.

use super::error::At;
use super::*;
use crate::base::time::{MS, SEC};
use crate::world::spec::*;

mod mistakes;
mod rubbish;

/// The example of the design, with every section.
const DESIGN: &str = r#"{
  "$schema": "../scenario.schema.json", "format": 1,
  "question": "How long do producers fail, and what is lost, when a master's host loses power?",
  "rocketmq": "4.9.8",
  "seed": 1, "duration": "5m", "drain": "5m",
  "nameservers": 2,
  "brokers": [
    {"brokerName": "broker-a", "brokerId": 0, "brokerRole": "ASYNC_MASTER", "flushDiskType": "ASYNC_FLUSH"},
    {"brokerName": "broker-a", "brokerId": 1, "brokerRole": "SLAVE"},
    {"brokerName": "broker-b", "brokerId": 0}
  ],
  "topics": [{"name": "orders", "queues": 4}],
  "producers": [{"group": "pg", "count": 2, "topic": "orders", "rate": "200/s", "sendLatencyFaultEnable": true, "keys": 16}],
  "consumers": [{"group": "cg", "count": 3, "topic": "orders", "listener": "orderly", "service_time": {"p50": "2ms", "p99": "20ms"}}],
  "faults": [{"at": "60s", "lose_host": "broker-a:0", "for": "90s"}],
  "expect": {"lost": {"max": 0}, "order_inversions_per_key": {"max": 0}, "longest_time_without_success": {"max": "30s"}, "delivery_latency_p99": {"max": "2s"}}
}"#;

/// Every key that has a shape of its own.
const EVERYTHING: &str = r#"{
  "question": "Does every key read?", "duration": "10m", "warmup": "90s", "drain": "0s", "rocketmq": "4.9.7", "cpus": 8, "tie_seed": 3,
  "max_events": 5000000, "rules": {"commitIsUnfenced": false},
  "services": {"send": "1ms", "boot": "2s", "broker": {"fsync": {"p50": "1ms", "p99": "9ms"}}, "client": {"boot": "1s"}},
  "nameservers": [{"name": "ns0", "start": "-80s", "orderMessageEnable": true}, {"host": "rack-1", "version": "4.9.8"}],
  "brokers": [
    {"brokerName": "broker-a", "name": "broker-a", "brokerRole": "SYNC_MASTER", "host": "rack-1", "nameservers": ["ns0"],
     "clock": {"offset": "-5ms", "drift_ppm": 40}, "services": {"send": {"p50": "80us", "p99": "1ms"}}, "cpus": 2,
     "rules": {"memberListKeepsDoubles": false}, "mappedFileSizeCommitLog": "64MiB", "rocketmq.broker.rebalance.lockMaxLiveTime": "25s"},
    {"brokerName": "broker-a", "name": "broker-a-s", "brokerId": 1, "brokerRole": "SLAVE", "start": "60s", "disk": "10GiB", "disk_used": "1GiB",
     "deleteWhen": "02;04", "rocketmq.broker.diskSpaceWarningLevelRatio": "0.95"},
    {"brokerName": "dl", "dledger": {"group": "g", "index": 0}}, {"brokerName": "dl", "dledger": {"group": "g", "index": 1}},
    {"brokerName": "dl", "dledger": {"group": "g", "index": 2}}
  ],
  "topics": [
    {"name": "T", "readQueueNums": 8, "writeQueueNums": 4, "brokers": "broker-*", "order": true, "preload": {"messages": 1000, "age": "2h", "size": "1KiB"}},
    {"name": "U", "brokers": ["dl", "broker-a"], "order": "broker-a:4;dl:4", "perm": 4}
  ],
  "producers": [
    {"group": "pg", "name": "p1", "topic": "T", "start": "-10s", "phases": [{"rate": "100/m", "until": "60s"}, {"rate": "0.5/s", "from": "2m", "burst": 10}],
     "arrivals": "poisson", "mode": "async", "threads": 64, "size": {"p50": 64, "p99": "4KiB"}, "tags": ["a", "b"], "retryResponseCodes": ["SYSTEM_BUSY", 1],
     "sendLatencyEnable": true, "waitStoreMsgOK": false, "createTopicKey": "TEMPLATE"},
    {"group": "pg", "count": 2, "topic": "auto", "rate": "10/s", "from": "-5s", "until": "5m", "batch": 4, "starts": ["-20s", "30s"]},
    {"group": "tx", "topic": "U", "rate": "1/7s", "transaction": {"local": "unknown", "check": "rollback", "takes": "5s"}, "process": "app-0", "clientIP": "10.0.0.1"},
    {"group": "kg", "topic": "T", "rate": "5/s", "keys": 16, "keys_drawn": true, "delay_level": 3}
  ],
  "consumers": [
    {"group": "cg", "names": ["c1", "c2"], "topic": "T", "tags": "a || b", "threads": 4, "fail": {"every": 10, "times": 1}, "stay": {"for": "20m"},
     "throw_on_interrupt": true, "start_offset": {"consumed_percent": 50}, "allocateMessageQueueStrategy": "MACHINE_ROOM", "consumer_idcs": ["room1"]},
    {"group": "cg", "count": 2, "topics": ["T", {"name": "auto", "tags": "x"}], "started": false, "start_offset": {"consumed_percent": 50}},
    {"group": "dlq", "topic": "%DLQ%cg", "process": "app-0", "rocketmq.client.rebalance.waitInterval": 5000, "new_ip_each_life": false},
    {"group": "pair", "count": 3, "topic": "T", "process": "pair-*", "host": "pair-host-*", "messageModel": "BROADCASTING", "nameservers": "ns0"}
  ],
  "links": {"latency": "1ms", "bandwidth": "10MiB", "between": [{"from": "rack-1", "to": ["cg", "p1"], "both": false, "latency": "5ms"},
            {"from": "broker-*", "to": "ns*", "bandwidth": 1000}], "rto_first": "100ms"},
  "disks": {"dirty_expire": "20s", "dirty_writeback": "0s", "journal_commit": "15s", "recovery": "200MiB"},
  "faults": [
    {"at": "-10s", "kill": "broker-a", "for": "30s"},
    {"at": "10s", "lose_host": "rack-1", "wipe": true, "for": "5s", "every": {"period": "20s", "times": 3}},
    {"at": "60s", "freeze": ["cg", "c*"], "for": "10s", "label": "the freeze"},
    {"at": "60s", "shutdown": "dlq-0"}, {"at": "61s", "shutdown": "cg", "for": "9s"}, {"at": "62s", "start": "cg-*"},
    {"at": "63s", "restart": "dl"}, {"at": "64s", "restart": {"target": "dl:1", "down": "1s"}},
    {"at": "65s", "rolling_restart": {"target": "dl", "down": "8s", "gap": "20s"}},
    {"at": "66s", "cut": {"between": ["broker-a", ["cg", "pg"]]}, "for": "1m"}, {"at": "67s", "cut": {"from": "ns0", "to": "broker-*"}},
    {"at": "68s", "slow_link": {"between": ["dl:0", "dl:1"], "latency": {"p50": "1s", "p99": "2s"}, "bandwidth": "1KiB"}, "for": "1s"},
    {"at": "69s", "slow_disk": {"target": "dl", "factor": 10}, "for": "1s"}, {"at": "70s", "slow_disk": {"target": "dl:2", "stall": true}},
    {"at": "70s", "fsync": {"target": "dl", "fails": true}, "for": "1s"}, {"at": "70s", "fsync": {"target": "dl:1", "lies": true, "keeps": "5s"}},
    {"at": "71s", "clock_step": {"target": "ns0", "by": "-30s"}}, {"at": "72s", "clock_drift": {"target": "p1", "ppm": -200}},
    {"at": "73s", "reset": {"between": ["pg", "broker-a"]}},
    {"at": "74s", "intercept": {"from": "broker-a", "to": "c2", "code": "NOTIFY_CONSUMER_IDS_CHANGED", "first": 2, "drop": true}},
    {"at": "75s", "intercept": {"from": "cg", "to": "broker-a", "code": 14, "percent": 5, "answer": "SYSTEM_BUSY"}, "for": "2s"},
    {"at": "76s", "intercept": {"from": "p1", "to": "dl", "code": 310, "delay": "20ms"}},
    {"at": "77s", "hold": {"target": "broker-a", "step": "pull_suspend", "pause": "10ms"}},
    {"at": "78s", "update_topic": {"topic": "T", "queues": 8}}, {"at": "79s", "update_topic": {"topic": "%RETRY%cg", "readQueueNums": 2, "brokers": "broker-a"}},
    {"at": "80s", "wipe_write_perm": "broker-a", "for": "30s"},
    {"at": "81s", "fill_disk": {"target": "broker-a-s", "percent": 91}, "for": "30s"}
  ],
  "expect": {"lost": {"max": 0, "needs_fault": 1}, "lost@cg": {"min": 1, "needs_fault": "the freeze"}, "sends@p1": {"min": "1.5s", "max": "2m"}, "x@dlq-0": {"max": -1}}
}"#;

fn parsed(text: &str) -> Result<Loaded, ScenarioErrors> {
    parse("test", text, &Overrides::default(), &Known::default())
}

fn good(text: &str) -> Loaded {
    parsed(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn with_set(text: &str, set: &[&str]) -> Result<Loaded, ScenarioErrors> {
    let overrides = Overrides { set: set.iter().map(|s| (*s).to_owned()).collect(), ..Overrides::default() };
    parse("test", text, &overrides, &Known::default())
}

fn producer(spec: &Spec, name: &str) -> ProducerSpec {
    match find(spec, name).role {
        MemberRole::Producer(p) => p,
        MemberRole::Consumer(_) => panic!("{name} is a consumer"),
    }
}

fn consumer(spec: &Spec, name: &str) -> ConsumerSpec {
    match find(spec, name).role {
        MemberRole::Consumer(c) => c,
        MemberRole::Producer(_) => panic!("{name} is a producer"),
    }
}

fn find(spec: &Spec, name: &str) -> MemberSpec {
    let members = spec.nodes.iter().filter_map(|n| match &n.kind {
        NodeKind::Client(c) => Some(&c.members),
        _ => None,
    });
    members.flatten().find(|m| m.name == name).cloned().unwrap_or_else(|| panic!("no member {name}"))
}

fn broker<'s>(spec: &'s Spec, name: &str) -> &'s BrokerSpec {
    match &spec.nodes[spec.node(name).unwrap().0 as usize].kind {
        NodeKind::Broker(b) => b,
        _ => panic!("{name} is no broker"),
    }
}

#[test]
fn the_example_of_the_design_decodes() {
    let spec = good(DESIGN).spec;
    let names: Vec<_> = spec.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["ns-0", "ns-1", "broker-a:0", "broker-a:1", "broker-b:0", "pg-0", "pg-1", "cg-0", "cg-1", "cg-2"]);
    assert_eq!((spec.warmup, spec.duration, spec.drain, spec.seed), (60 * SEC, 300 * SEC, 300 * SEC, 1));
    let p = producer(&spec, "pg-1");
    assert!(p.settings.send_latency_fault_enable && p.load.keys == 16 && p.threads == 1 && p.index == 1);
    assert_eq!(p.load.phases, [LoadPhase { from: 0, until: 300 * SEC as i64, per_1000s: 200_000, burst: 1 }]);
    let c = consumer(&spec, "cg-2");
    assert!(c.orderly && c.service_time.p50() == 2 * MS && c.service_time.p99() == 20 * MS && c.index == 2);
    assert_eq!(spec.faults[0].label, "lose host broker-a:0");
    assert_eq!((spec.faults[0].at, spec.faults[0].lasts), (60 * SEC as i64, Some(90 * SEC)));
    assert!(matches!(&spec.faults[0].what, FaultKind::LoseHost { hosts } if hosts == &[2]));
    assert_eq!(
        spec.expect[2],
        Expectation { counter: "longest_time_without_success".into(), min: None, max: Some(30 * SEC as i64), needs_fault: None }
    );
    assert_eq!(broker(&spec, "broker-b:0").nameservers.len(), 2);
    assert_eq!(spec.topics[0].brokers.len(), 2);
}

#[test]
fn every_key_reads_and_means_what_it_says() {
    let spec = good(EVERYTHING).spec;
    assert_eq!(producer(&spec, "p1").load.phases[0].per_1000s, 1667);
    assert_eq!(producer(&spec, "tx-0").load.phases[0].per_1000s, 143);
    assert_eq!(producer(&spec, "pg-1").batch, 4);
    assert!(producer(&spec, "p1").settings.send_latency_fault_enable);
    assert_eq!(broker(&spec, "broker-a").settings.mapped_file_size_commit_log, 64 << 20);
    assert_eq!(broker(&spec, "broker-a").settings.rebalance_lock_max_live_time, 25_000);
    assert_eq!(broker(&spec, "broker-a").nameservers.len(), 1);
    let (index, peers) = broker(&spec, "dl:2").dledger.clone().unwrap();
    assert_eq!((index, peers.len(), broker(&spec, "dl:2").broker_id), (2, 3, 2));
    let a = &spec.nodes[spec.node("broker-a").unwrap().0 as usize];
    assert_eq!((a.clock_offset, a.clock_drift_ppm, a.cpus), (-5 * MS as i64, 40, 2));
    assert!(!a.rules.member_list_keeps_doubles && !a.rules.commit_is_unfenced && a.rules.writes_into_publish_list);
    assert_eq!((a.services.send.p50(), a.services.fsync.p50(), a.services.boot.p50()), (80_000, MS, 2 * SEC));
    assert_eq!(a.host, spec.nodes[spec.node("ns-1").unwrap().0 as usize].host);
    assert_eq!(spec.nodes[spec.node("pg-1").unwrap().0 as usize].start, StartSpec::At(30 * SEC as i64));
    // One process holds a producer and a consumer.
    let app = &spec.nodes[spec.node("app-0").unwrap().0 as usize];
    assert!(matches!(&app.kind, NodeKind::Client(c) if c.members.len() == 2 && c.client_ip == "10.0.0.1"));
    assert!(spec.node("pair-2").is_some() && spec.hosts.iter().any(|h| h == "pair-host-1"));
    // c1 and c2 are named, the other two of the group are numbered from 0.
    assert!(!find(&spec, "cg-1").started && find(&spec, "c2").started);
    assert_eq!(consumer(&spec, "c1").settings.consume_thread_max, 4);
    assert_eq!(consumer(&spec, "c1").script.fail_times, 1);
    assert_eq!(spec.start_offsets.len(), 1);
    assert_eq!(spec.topics.last().unwrap().brokers.len(), 0, "the topic that sending creates");
    assert_eq!(spec.topics[0].order_conf.as_deref(), Some("broker-a:4"));
    assert_eq!(spec.disks.kernel, Kernel { dirty_expire: 20 * SEC, dirty_writeback: 0, journal_commit: 15 * SEC });
    assert_eq!((spec.disks.recovery, good(DESIGN).spec.disks.kernel), (200 << 20, Kernel::default()));
    assert!(spec.faults[1].wipe && !spec.faults[0].wipe);
    let fsync = |i: usize| match &spec.faults[i].what {
        FaultKind::Fsync { nodes, comes_to } => (nodes.len(), *comes_to, spec.faults[i].label.as_str()),
        other => panic!("{other:?}"),
    };
    assert_eq!(fsync(14), (3, Fsync::Fails, "fsync dl fails"));
    assert_eq!(fsync(15), (1, Fsync::Lies { keeps: 5 * SEC }, "fsync dl:1 lies"));
    assert!(matches!(&spec.faults[3].what, FaultKind::Shutdown { nodes, members } if nodes.is_empty() && members.len() == 1));
    assert!(matches!(
        &spec.faults[19].what,
        FaultKind::Intercept { code: 40, first: 2, percent: 100, action: InterceptAction::Drop, .. }
    ));
    assert!(matches!(
        &spec.faults[20].what,
        FaultKind::Intercept { code: 14, percent: 5, action: InterceptAction::Answer(2), .. }
    ));
    let slave = broker(&spec, "broker-a-s");
    assert_eq!((slave.disk.size, slave.disk.others, slave.settings.delete_when.as_str()), (10 << 30, 1 << 30, "02;04"));
    assert_eq!(broker(&spec, "broker-a").disk.size, 0);
    let full = &spec.faults.last().unwrap().what;
    assert!(matches!(full, FaultKind::FillDisk { nodes, percent: 91 } if nodes[..] == [spec.node("broker-a-s").unwrap()]));
    assert_eq!(spec.expect[1].needs_fault, Some(2));
    // Client ids sort as the members do.
    let ip = |name: &str| match &spec.nodes[spec.node(name).unwrap().0 as usize].kind {
        NodeKind::Client(c) => c.client_ip.clone(),
        _ => panic!(),
    };
    assert!(ip("c1") < ip("c2") && ip("c2") < ip("cg-0") && ip("cg-0") < ip("cg-1"));
}

fn first_difference(a: &str, b: &str) -> String {
    let pair = a.lines().zip(b.lines()).find(|(x, y)| x != y);
    pair.map_or_else(|| "same text".into(), |(x, y)| format!("{x}\n{y}"))
}

#[test]
fn the_resolved_scenario_loads_to_the_same_run() {
    for text in [DESIGN, EVERYTHING] {
        let first = good(text);
        let again = parsed(&first.resolved).unwrap_or_else(|errors| panic!("{errors}\n{}", first.resolved));
        assert!(format!("{:?}", first.spec) == format!("{:?}", again.spec));
        assert!(first.resolved == again.resolved, "{}", first_difference(&first.resolved, &again.resolved));
        for default in
            ["\"pollNameServerInterval\": \"30s\"", "\"transactionCheckMax\": 15", "\"give_up\": \"924s\"", "\"warmup\""]
        {
            assert!(first.resolved.contains(default), "{default}");
        }
    }
}

#[test]
fn set_edits_what_its_path_means() {
    let set = |set: &[&str]| with_set(DESIGN, set).unwrap_or_else(|errors| panic!("{errors}")).spec;
    assert_eq!(set(&["duration=2m"]).duration, 120 * SEC);
    assert_eq!(producer(&set(&["producers[0].rate=500/s"]), "pg-0").load.phases[0].per_1000s, 500_000);
    assert_eq!(
        find(&set(&["consumers.cg.persistConsumerOffsetInterval=1s"]), "cg-0").instance.persist_consumer_offset_interval,
        1000
    );
    assert_eq!(
        find(&set(&["consumers.cg.rocketmq.client.rebalance.waitInterval=5s"]), "cg-0").instance.rebalance_wait_interval,
        5000
    );
    let spec = set(&["brokers.broker-a:0.flushDiskType=SYNC_FLUSH", "brokers.*.cpus=2", "brokers.broker-b.clock.offset=-3ms"]);
    assert_eq!(broker(&spec, "broker-a:0").settings.flush_disk_type, crate::rocketmq::settings::FlushDiskType::SyncFlush);
    assert_eq!(broker(&spec, "broker-b:0").settings.flush_disk_type, crate::rocketmq::settings::FlushDiskType::AsyncFlush);
    assert!(spec.nodes[2..5].iter().all(|n| n.cpus == 2) && spec.nodes[5].cpus == 4);
    assert_eq!(spec.nodes[4].clock_offset, -3 * MS as i64);
    assert_eq!(set(&["expect.lost.max=7"]).expect[0].max, Some(7));
    assert_eq!(set(&["expect.lost@cg.max=7"]).expect[4].counter, "lost@cg");
    assert_eq!(set(&["faults[0].for=null"]).faults[0].lasts, None);
    assert_eq!(set(&["faults=[]"]).faults.len(), 0);
    assert_eq!(set(&["topics.orders.queues=8"]).topics[0].write_queue_nums, 8);
    assert_eq!(set(&["nameservers=3"]).nameservers().count(), 3);
    assert_eq!(find(&set(&["producers.pg.instanceName=7"]), "pg-0").instance.instance_name, "7");
    assert!(!set(&["rules.commitIsUnfenced=false"]).nodes[0].rules.commit_is_unfenced);
    let overrides = Overrides { seed: Some(9), tie_seed: Some(8), max_events: Some(7), set: vec![] };
    let spec = parse("test", DESIGN, &overrides, &Known::default()).unwrap().spec;
    assert_eq!((spec.seed, spec.tie_seed, spec.max_events), (9, 8, 7));
}

#[test]
fn mistakes_of_arguments_name_the_argument() {
    for (set, first) in [
        ("durration=2m", "test: --set durration=2m: a scenario has no key \"durration\""),
        ("duration=2 parsecs", "test: --set duration=2 parsecs: \"duration\" cannot be \"2 parsecs\""),
        ("duration", "test: --set duration: there is no '='"),
        ("=3", "test: --set =3: there is no key before '='"),
        ("producers[7].rate=1/s", "test: --set producers[7].rate=1/s: there is no entry [7]"),
        ("producers[x].rate=1/s", "test: --set producers[x].rate=1/s: [x] is no number"),
        ("producers[0.rate=1/s", "test: --set producers[0.rate=1/s: there is no ']' after '['"),
        ("consumers.gc.cpus=2", "test: --set consumers.gc.cpus=2: no entry of the list is called \"gc\""),
        ("consumers.cg.pullBatchsize=2", "test: --set consumers.cg.pullBatchsize=2: a consumer has no key \"pullBatchsize\""),
        ("nameservers.ns-0.cpus=2", "test: --set nameservers.ns-0.cpus=2: \"ns-0.cpus\" leads into 2, which has no keys"),
        ("link.rto_max=2s", "test: --set link.rto_max=2s: there is no \"link\""),
        ("topics=[{]", "test: --set topics=[{]: the value is not JSON: ']' is not expected here"),
        ("rocketmq=5.3.3", "test: --set rocketmq=5.3.3: RocketMQ 5.3.3 is not built: the 5.x rules"),
    ] {
        let errors = with_set(DESIGN, &[set]).map(|_| ()).expect_err(set).to_string();
        let line = errors.lines().next().unwrap_or_default();
        assert!(line.starts_with(first), "{set}\n got {line}\nwant {first}");
    }
    let errors = with_set(DESIGN, &["consumers.gc.cpus=2"]).unwrap_err().to_string();
    assert!(errors.contains("did you mean \"cg\"?"), "{errors}");
}

/// A small scenario in which one line is replaced: line 4 to 11 by key.
fn changed(key: &str, line: &str) -> String {
    let lines = [
        ("question", r#""question": "Q?","#),
        ("duration", r#""duration": "1m","#),
        ("nameservers", r#""nameservers": 1,"#),
        ("brokers", r#""brokers": [{"brokerName": "broker-a"}, {"brokerName": "broker-b"}],"#),
        ("topics", r#""topics": [{"name": "T", "queues": 4}],"#),
        ("producers", r#""producers": [{"group": "pg", "topic": "T", "rate": "10/s"}],"#),
        ("consumers", r#""consumers": [{"group": "cg", "count": 2, "topic": "T"}],"#),
        ("faults", r#""faults": [],"#),
        ("expect", r#""expect": {}"#),
    ];
    let mut text = String::from("{\n");
    for (k, l) in lines {
        text.push_str(if k == key { line } else { l });
        text.push('\n');
    }
    text + "}\n"
}

#[test]
fn counters_and_strategies_come_from_outside() {
    let known = Known { counters: Some(&["lost", "duplicates"]), ..Known::default() };
    let ok = parse("test", &changed("expect", r#""expect": {"lost@cg": {"max": 0}}"#), &Overrides::default(), &known);
    assert!(ok.is_ok());
    let bad = parse("test", &changed("expect", r#""expect": {"losst": {"max": 0}}"#), &Overrides::default(), &known);
    assert_eq!(bad.unwrap_err().to_string(), "test:10:12: there is no counter \"losst\"\n  did you mean \"lost\"?");
}

#[test]
fn a_bound_has_the_unit_of_its_counter() {
    let known = Known { counters: Some(&["lost", "rto"]), times: &["rto"], ..Known::default() };
    let told = |bounds: &str| {
        let text = changed("expect", &format!(r#""expect": {bounds}"#));
        parse("test", &text, &Overrides::default(), &known).map(|_| ()).map_err(|e| e.to_string())
    };
    let fits = r#"{"lost": {"max": 7}, "rto": {"min": "1ms", "max": "30s"}, "rto@pg-0": {"max": 0}}"#;
    assert_eq!(told(fits), Ok(()));
    let count = "test:10:28: \"max\" of \"lost\" is \"30s\", and it is a count\n  expected a number without a unit";
    assert_eq!(told(r#"{"lost": {"max": "30s"}}"#), Err(count.to_owned()));
    let time = "test:10:27: \"max\" of \"rto\" is 30, and it is a time\n  expected a duration such as \"30s\"";
    assert_eq!(told(r#"{"rto": {"max": 30}}"#), Err(time.to_owned()));
}

#[test]
fn a_topic_that_nobody_may_create_must_be_listed() {
    let text = r#"{"question": "Q?", "duration": "1m", "brokers": [{"brokerName": "a", "autoCreateTopicEnable": false}],
 "producers": [{"group": "pg", "count": 3, "topic": "T", "rate": "1/s"}]}"#;
    let errors = parsed(text).unwrap_err();
    assert_eq!(errors.errors.len(), 1, "{errors}");
    assert!(errors.to_string().starts_with("test:2:53: there is no topic \"T\""), "{errors}");
}

#[test]
fn too_many_nodes_are_refused_without_making_them() {
    let entry = r#"{"group": "cg", "count": 20000, "topic": "T"}"#;
    let text = changed("consumers", &format!("\"consumers\": [{entry}, {entry}, {entry}, {entry}],"));
    let errors = parsed(&text).unwrap_err().to_string();
    assert!(errors.contains("with this entry the scenario has 60004 nodes"), "{errors}");
}

#[test]
fn a_large_group_loads_quickly() {
    let spec = good(&changed(
        "consumers",
        r#""consumers": [{"group": "cg", "count": 20000, "topic": "T", "service_time": {"p50": "1ms", "p99": "9ms"}}],"#,
    ))
    .spec;
    assert_eq!(spec.nodes.len(), 20_004);
}

#[test]
fn deep_and_large_texts_are_refused() {
    let deep = "[".repeat(1_000_000);
    assert!(parsed(&deep).unwrap_err().to_string().starts_with("test:1:65: nested deeper than 64"));
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(tree::MAX_SIZE));
    assert!(parsed(&long).unwrap_err().to_string().contains("too large"));
    let many: String = (0..200_000).map(|i| format!("\"k{i}\": 0,")).collect();
    let errors = parsed(&format!("{{{many} \"z\": 1}}")).unwrap_err();
    assert!(errors.errors.len() <= 100 && errors.more > 100_000);
    assert!(parsed("\u{feff} {} ").unwrap_err().to_string().starts_with("test:1:2: a scenario needs"));
}

#[test]
fn files_are_named_in_their_errors() {
    let missing = load(Path::new("no/such/scenario.json"), &Overrides::default()).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/scenario.json: the file cannot be read: "), "{missing}");
    assert_eq!(tree::utf8(b"{\n \"\xe4\": 1}").unwrap_err().at, At::Text(tree::Span { line: 2, column: 3, start: 4, end: 5 }));
}

#[test]
fn the_schema_on_disk_is_the_one_the_tables_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
    let want = schema::schema();
    if std::env::var_os("WINDTUNNEL_BLESS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let got = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "scenario.schema.json is not what the tables give; run this test with WINDTUNNEL_BLESS=1");
    let json: serde_json::Value = serde_json::from_str(&want).unwrap();
    assert!(json["$defs"]["broker"]["properties"]["flushDiskType"]["enum"].is_array());
    // Every reference leads somewhere.
    let defs = json["$defs"].as_object().unwrap();
    for part in want.split("\"#/$defs/").skip(1) {
        assert!(defs.contains_key(part.split('"').next().unwrap()), "{}", &part[..40]);
    }
}

/// A position that is reported must lie in the text.
fn assert_positions(text: &str, errors: &ScenarioErrors) {
    assert!(!errors.errors.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for error in &errors.errors {
        let At::Text(span) = error.at else { panic!("no position: {errors}") };
        assert!(span.line >= 1 && span.line as usize <= lines.len(), "{errors}");
        assert!(span.column >= 1 && span.column as usize <= lines[span.line as usize - 1].chars().count() + 1, "{errors}");
        assert!(span.start <= span.end && span.end as usize <= text.len(), "{errors}");
    }
}
