//! Scenario texts, good and bad: what they decode to, and what the first line of their errors says.

use super::error::At;
use super::*;
use crate::base::time::{MS, SEC};
use crate::world::spec::*;
use proptest::prelude::*;

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

/// (section that is replaced, by what, first line of the errors after "test:").
const MISTAKES: &[(&str, &str, &str)] = &[
    // The text.
    ("question", "", "1:1: a scenario needs \"question\""),
    ("question", r#""question": 'Q',"#, "2:13: '…' is not a JSON text"),
    ("question", r#""question": "Q?" "#, "3:1: '\"' is not expected here"),
    ("question", r#"question: "Q?","#, "2:1: 'q' is not expected here"),
    ("question", r#""question": nil,"#, "2:13: nil is not a JSON value"),
    ("question", r#""question": "Q?", // why"#, "2:19: '/' is not expected here"),
    ("question", "\"question\": \"Q?", "2:13: this text does not end on its line"),
    ("question", r#""question": "\x","#, "2:14: this escape is unknown"),
    ("question", r#""question": "\ud800","#, "2:14: this escape is half of a surrogate pair"),
    ("question", r#""question": "Q?", "question": "R?","#, "2:19: the key \"question\" is given twice"),
    ("duration", r#""duration": 5m,"#, "3:13: a number runs into letters"),
    ("duration", r#""duration": 05,"#, "3:13: 05 is not a JSON number"),
    ("expect", r#""expect": {},"#, "11:1: a comma stands before '}'"),
    ("expect", r#""expect": {}]"#, "10:13: ']' is not expected here"),
    // The top.
    ("question", r#""question": " ","#, "2:13: \"question\" is empty"),
    ("question", r#""question": 7,"#, "2:13: \"question\" cannot be 7"),
    ("question", r#""question": "Q?", "format": 2,"#, "2:29: the scenario has format 2, this build reads format 1"),
    ("question", r#""question": "Q?", "wramup": "60s","#, "2:19: a scenario has no key \"wramup\""),
    ("question", r#""question": "Q?", "warmup": "0s","#, "2:29: \"warmup\" cannot be \"0s\""),
    ("question", r#""question": "Q?", "rocketmq": "5.3.3","#, "2:31: RocketMQ 5.3.3 is not built: the 5.x rules"),
    ("question", r#""question": "Q?", "rocketmq": "latest","#, "2:31: \"rocketmq\" cannot be \"latest\""),
    ("question", r#""question": "Q?", "rules": {"commitUnfenced": true},"#, "2:29: there is no rule \"commitUnfenced\""),
    ("question", r#""question": "Q?", "seed": 1.5,"#, "2:27: \"seed\" cannot be 1.5"),
    ("question", r#""question": "Q?", "seed": -1,"#, "2:27: \"seed\" cannot be -1"),
    ("question", r#""question": "Q?", "seed": 18446744073709551616,"#, "2:27: \"seed\" cannot be 18446744073709551616"),
    (
        "question",
        r#""question": "Q?", "services": {"send": {"p50": "2ms", "p99": "1ms"}},"#,
        "2:40: \"send\" has a p99 below its p50",
    ),
    ("question", r#""question": "Q?", "services": {"brokers": {}},"#, "2:32: services has no key \"brokers\""),
    ("duration", "", "1:1: a scenario needs \"duration\""),
    ("duration", r#""duration": "0s","#, "3:13: \"duration\" cannot be \"0s\""),
    ("duration", r#""duration": 60,"#, "3:13: \"duration\" cannot be 60"),
    ("duration", r#""duration": "60","#, "3:13: \"duration\" cannot be \"60\""),
    ("duration", r#""duration": "-1m","#, "3:13: \"duration\" cannot be \"-1m\""),
    ("duration", r#""duration": "9999h","#, "3:13: \"duration\" cannot be \"9999h\""),
    ("duration", r#""duration": null,"#, "3:13: \"duration\" cannot be null"),
    // Nodes.
    ("nameservers", r#""nameservers": 0,"#, "4:16: \"nameservers\" cannot be 0"),
    ("nameservers", r#""nameservers": [],"#, "4:16: \"nameservers\" cannot be a list"),
    ("nameservers", r#""nameservers": "two","#, "4:16: \"nameservers\" cannot be \"two\""),
    ("nameservers", r#""nameservers": [{"name": "broker-a:0"}],"#, "5:13: the name \"broker-a:0\" is taken"),
    ("nameservers", r#""nameservers": [{"name": "a b"}],"#, "4:26: \"a b\" cannot be the name of a nameserver"),
    ("brokers", r#""brokers": [],"#, "5:12: the scenario has no brokers"),
    ("brokers", "", "1:1: a scenario needs \"brokers\""),
    ("brokers", r#""brokers": {"brokerName": "broker-a"},"#, "5:12: \"brokers\" cannot be an object"),
    ("brokers", r#""brokers": ["broker-a"],"#, "5:13: a broker cannot be \"broker-a\""),
    ("brokers", r#""brokers": [{}],"#, "5:13: a broker needs \"brokerName\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a"}, {"brokerName": "broker-a"}],"#,
        "5:41: there is already a broker \"broker-a\" with brokerId 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "brokerId": 1}],"#, "5:52: a master cannot have brokerId 1"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "brokerRole": "SLAVE", "brokerId": 0}],"#,
        "5:75: a SLAVE cannot have brokerId 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "brokerRole": "SLAVE"}],"#, "5:13: a SLAVE needs a brokerId"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushDiskType": "SYNC"}],"#,
        "5:57: \"flushDiskType\" cannot be \"SYNC\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushDisktype": "SYNC_FLUSH"}],"#,
        "5:40: a broker has no key \"flushDisktype\"",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "version": "4.9.3"}],"#, "5:51: RocketMQ 4.9.3 is not built"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "start": "-90s"}],"#,
        "5:49: \"start\" is \"-90s\", before the warm-up begins",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "start": "2h"}],"#,
        "5:49: \"start\" is \"120m\", after the end of the run",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "cpus": 0}],"#, "5:48: \"cpus\" cannot be 0"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "flushIntervalCommitLog": 0}],"#,
        "5:66: \"flushIntervalCommitLog\" cannot be 0",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "disk_used": "1GiB"}],"#,
        "5:53: \"disk_used\" means nothing without \"disk\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "disk": "1GiB", "disk_used": "2GiB"}],"#,
        "5:69: \"disk_used\" is 2147483648 bytes, of a disk of 1073741824",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "deleteWhen": "4am"}],"#, "5:54: \"deleteWhen\" cannot be \"4am\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "rocketmq.broker.diskSpaceCleanForciblyRatio": "85"}],"#,
        "5:87: \"rocketmq.broker.diskSpaceCleanForciblyRatio\" cannot be \"85\"",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "slaveTimeout": "1us"}],"#, "5:56: \"slaveTimeout\" cannot be \"1us\""),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "messageDelayLevel": "1s 5x"}],"#,
        "5:61: \"messageDelayLevel\" cannot be \"1s 5x\"",
    ),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "nameservers": "ns-7"}],"#,
        "5:55: \"ns-7\" names nothing in this scenario",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "nameservers": "cg-0"}],"#, "5:55: \"cg-0\" is no nameserver"),
    (
        "brokers",
        r#""brokers": [{"brokerName": "broker-a", "dledger": {"group": "g", "index": 1}}],"#,
        "5:51: the DLedger group \"g\" has no node with index 0",
    ),
    ("brokers", r#""brokers": [{"brokerName": "broker-a", "host": ""}],"#, "5:48: \"\" cannot be the name of a host"),
    // Topics.
    ("topics", r#""topics": [{"name": "T", "queues": 0}],"#, "6:36: \"queues\" cannot be 0"),
    ("topics", r#""topics": [{"name": "T", "queues": 2000}],"#, "6:36: \"queues\" cannot be 2000"),
    (
        "topics",
        r#""topics": [{"name": "T", "queues": 4, "readQueueNums": 4}],"#,
        "6:39: \"queues\" and \"readQueueNums\" are given together",
    ),
    ("topics", r#""topics": [{"name": "T", "brokers": ["broker-c"]}],"#, "6:38: there is no brokerName \"broker-c\""),
    ("topics", r#""topics": [{"name": "T"}, {"name": "T"}],"#, "6:36: there is already a topic \"T\""),
    ("topics", r#""topics": [{"name": "T T"}],"#, "6:21: \"T T\" cannot be a topic"),
    ("topics", r#""topics": [{"name": "TBW102"}, {"name": "T"}],"#, "6:21: the topic \"TBW102\" is made by RocketMQ itself"),
    ("topics", r#""topics": [{"name": "T", "order": "broker-a"}],"#, "6:35: \"order\" cannot be \"broker-a\""),
    ("topics", r#""topics": [{"name": "T", "preload": {"age": "1h"}}],"#, "6:37: a preload needs \"messages\""),
    // Producers.
    ("producers", r#""producers": [{"group": "pg", "topic": "T"}],"#, "7:15: a producer needs \"rate\" or \"phases\""),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "0/s"}],"#,
        "7:53: \"rate\" is 0: nothing would be sent",
    ),
    ("producers", r#""producers": [{"group": "pg", "topic": "T", "rate": 10}],"#, "7:53: \"rate\" cannot be 10"),
    ("producers", r#""producers": [{"group": "pg", "topic": "T", "rate": "10/x"}],"#, "7:53: \"rate\" cannot be \"10/x\""),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "11000000/s"}],"#,
        "7:53: \"rate\" cannot be \"11000000/s\"",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/m"}],"#,
        "7:53: \"rate\" is not a whole number of messages in 1000 s",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "from": "30s", "until": "20s"}],"#,
        "7:84: the load from \"30s\" until \"20s\" is empty",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "until": "2m"}],"#,
        "7:69: the load from \"0s\" until \"2m\" leaves the run",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "phases": [{"rate": "1/s", "until": "30s"}, {"rate": "2/s", "from": "20s"}]}],"#,
        "7:89: the phase from \"20s\" begins before the one above has ended",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "keys": 4, "threads": 8}],"#,
        "7:82: \"threads\" is 8, and keyed sends use one thread",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "delay_level": 19}],"#,
        "7:75: \"delay_level\" is 19, and the brokers know 18 levels",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "SCHEDULE_TOPIC_XXXX", "rate": "1/s"}],"#,
        "7:40: RocketMQ's client refuses to send",
    ),
    (
        "producers",
        r#""producers": [{"group": "DEFAULT_PRODUCER", "topic": "T", "rate": "1/s"}],"#,
        "7:25: the group \"DEFAULT_PRODUCER\" is reserved by RocketMQ",
    ),
    ("producers", r#""producers": [{"group": "p g", "topic": "T", "rate": "1/s"}],"#, "7:25: \"p g\" cannot be a group"),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "count": 20001}],"#,
        "7:69: \"count\" cannot be 20001",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "count": 2, "name": "p"}],"#,
        "7:69: \"count\" is 2, and 1 name is given",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "name": "cg-1"}],"#,
        "8:15: the name \"cg-1\" is taken",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "starts": ["1s", "2s"]}],"#,
        "7:70: \"starts\" has 2 moments for 1 members",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "mode": "asynch"}],"#,
        "7:68: \"mode\" cannot be \"asynch\"",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "mode": "async", "transaction": {}}],"#,
        "7:68: transactional messages are sent",
    ),
    (
        "producers",
        r#""producers": [{"group": "pg", "topic": "T", "rate": "1/s", "retryResponseCodes": ["SYSTEM_BUZY"]}],"#,
        "7:83: \"SYSTEM_BUZY\" is not a code that has a name here",
    ),
    // Consumers.
    ("consumers", r#""consumers": [{"group": "cg"}],"#, "8:15: a consumer needs \"topic\" or \"topics\""),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "TT"}],"#, "8:40: there is no topic \"TT\""),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "T", "tags": "||"}],"#, "8:53: \"||\" cannot be a tag expression"),
    ("consumers", r#""consumers": [{"group": "cg", "topics": ["T", "T"]}],"#, "8:47: \"T\" is subscribed to twice"),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "consumeThreadMin": 64}],"#,
        "8:65: consumeThreadMin (64) is larger than consumeThreadMax (20)",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullBatchSize": 1025}],"#,
        "8:62: \"pullBatchSize\" cannot be 1025",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullThresholdForTopic": 0}],"#,
        "8:70: \"pullThresholdForTopic\" cannot be 0",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "pullInterval": "66s"}],"#,
        "8:61: \"pullInterval\" cannot be \"66s\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "AVERAGE"}],"#,
        "8:77: there is no allocation strategy \"AVERAGE\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "MACHINE_ROOM"}],"#,
        "8:77: MACHINE_ROOM needs \"consumer_idcs\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "CONFIG"}],"#,
        "8:77: CONFIG needs \"config_queues\"",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "allocateMessageQueueStrategy": "CONFIG", "config_queues": ["broker-z:0"]}],"#,
        "8:104: \"broker-z:0\" in \"config_queues\" is no queue",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "start_offset": {"consumed_percent": 50}}],"#,
        "8:61: \"start_offset\" is a share of what the topics are preloaded with",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "cg", "topic": "T", "started": false, "start": "1s"}],"#,
        "8:56: \"started\" is false and a start is given too",
    ),
    ("consumers", r#""consumers": [{"group": "cg", "topic": "T", "stay": {"for": "0s"}}],"#, "8:61: \"for\" cannot be \"0s\""),
    (
        "consumers",
        r#""consumers": [{"group": "DEFAULT_CONSUMER", "topic": "T"}],"#,
        "8:25: the group \"DEFAULT_CONSUMER\" is reserved",
    ),
    (
        "consumers",
        r#""consumers": [{"group": "a", "topic": "T", "process": "app", "cpus": 2}, {"group": "b", "topic": "T", "process": "app", "cpus": 3}],"#,
        "8:129: \"cpus\" differs from what process \"app\" has already",
    ),
    // Faults.
    ("faults", r#""faults": [{"at": "10s", "kill": "broker-c:0"}],"#, "9:34: \"broker-c:0\" names nothing in this scenario"),
    ("faults", r#""faults": [{"at": "10s", "kill": "zebra*"}],"#, "9:34: \"zebra*\" names nothing in this scenario"),
    ("faults", r#""faults": [{"at": "10s", "kill": []}],"#, "9:34: \"kill\" cannot be a list"),
    ("faults", r#""faults": [{"at": "10s"}],"#, "9:12: a fault needs a verb"),
    ("faults", r#""faults": [{"kill": "cg"}],"#, "9:12: a fault needs \"at\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "freeze": "cg"}],"#,
        "9:40: a fault has one verb, and this has \"kill\" and \"freeze\"",
    ),
    ("faults", r#""faults": [{"at": "10s", "kil": "cg"}],"#, "9:12: a fault needs a verb"),
    ("faults", r#""faults": [{"at": "7m", "kill": "cg"}],"#, "9:19: \"at\" is \"7m\", after the end of the run"),
    ("faults", r#""faults": [{"at": "-61s", "kill": "cg"}],"#, "9:19: \"at\" is \"-61s\", before the warm-up begins"),
    ("faults", r#""faults": [{"at": 10, "kill": "cg"}],"#, "9:19: \"at\" cannot be 10"),
    ("faults", r#""faults": [{"at": "10s", "kill": "cg", "for": "0s"}],"#, "9:47: \"for\" cannot be \"0s\""),
    ("faults", r#""faults": [{"at": "10s", "kill": "cg", "for": "-5s"}],"#, "9:47: \"for\" cannot be \"-5s\""),
    ("faults", r#""faults": [{"at": "10s", "restart": "cg", "for": "5s"}],"#, "9:43: \"for\" means nothing to \"restart\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "for": "30s", "every": {"period": "20s", "times": 2}}],"#,
        "9:63: the fault strikes again before it has ended",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "kill": "cg", "every": {"period": "20s", "times": 100}}],"#,
        "9:49: \"every\" is \"1990s\", after the end of the run",
    ),
    ("faults", r#""faults": [{"at": "10s", "cut": {"between": ["cg"]}}],"#, "9:45: \"between\" cannot be a list"),
    ("faults", r#""faults": [{"at": "10s", "cut": {"from": "cg"}}],"#, "9:33: two sides are needed"),
    ("faults", r#""faults": [{"at": "10s", "cut": {"between": ["cg-0", "cg-0"]}}],"#, "9:33: both sides are one host"),
    ("faults", r#""faults": [{"at": "10s", "slow_disk": {"target": "broker-a"}}],"#, "9:39: this slow disk is not slow"),
    ("faults", r#""faults": [{"at": "10s", "freeze": "broker-a", "wipe": true}],"#, "9:48: \"wipe\" means nothing to \"freeze\""),
    ("faults", r#""faults": [{"at": "10s", "fsync": {"target": "broker-a"}}],"#, "9:35: this fsync neither fails nor lies"),
    (
        "faults",
        r#""faults": [{"at": "10s", "fsync": {"target": "broker-a", "fails": true, "lies": true}}],"#,
        "9:35: this fsync fails and lies",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "fsync": {"target": "broker-a", "fails": true, "keeps": "1s"}}],"#,
        "9:73: a disk that refuses keeps nothing",
    ),
    ("faults", r#""faults": [{"at": "10s", "fsync": {"target": "cg", "lies": true}}],"#, "9:46: \"cg-0\" is no broker"),
    ("faults", r#""faults": [{"at": "10s", "slow_link": {"between": ["cg", "pg"]}}],"#, "9:39: this slow link is not slow"),
    (
        "faults",
        r#""faults": [{"at": "10s", "fill_disk": {"target": "broker-a", "percent": 95}}],"#,
        "9:50: \"broker-a:0\" has no disk that could fill up",
    ),
    ("faults", r#""faults": [{"at": "10s", "fill_disk": {"target": "broker-a"}}],"#, "9:39: a full disk needs \"percent\""),
    (
        "faults",
        r#""faults": [{"at": "10s", "clock_step": {"target": "cg", "by": "1us"}}],"#,
        "9:63: wall clocks are kept in whole milliseconds",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "intercept": {"from": "cg", "to": "broker-a", "code": "HEARTBEAT", "drop": true}}],"#,
        "9:80: \"HEARTBEAT\" is not a code",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "intercept": {"from": "cg", "to": "broker-a", "code": 34}}],"#,
        "9:39: an intercept has one action",
    ),
    (
        "faults",
        r#""faults": [{"at": "10s", "hold": {"target": "cg-0", "step": "pull_suspend", "pause": "1ms"}}],"#,
        "9:45: \"cg-0\" is no broker",
    ),
    ("faults", r#""faults": [{"at": "10s", "update_topic": {"topic": "U", "queues": 3}}],"#, "9:52: there is no topic \"U\""),
    ("faults", r#""faults": [{"at": "10s", "update_topic": {"topic": "T"}}],"#, "9:42: this update changes nothing"),
    ("faults", r#""faults": [{"at": "10s", "wipe_write_perm": "broker-a:0"}],"#, "9:45: there is no brokerName \"broker-a:0\""),
    // Expectations.
    ("expect", r#""expect": {"lost": {}}"#, "10:20: \"lost\" has no bound"),
    ("expect", r#""expect": {"lost": 0}"#, "10:20: an expectation cannot be 0"),
    ("expect", r#""expect": {"lost": {"max": 0.5}}"#, "10:28: \"max\" cannot be 0.5"),
    ("expect", r#""expect": {"lost": {"max": "soon"}}"#, "10:28: \"max\" cannot be \"soon\""),
    ("expect", r#""expect": {"lost": {"min": 2, "max": 1}}"#, "10:28: \"min\" is above \"max\" for \"lost\""),
    ("expect", r#""expect": {"lost@gc": {"max": 0}}"#, "10:12: \"gc\" is no group, producer or consumer"),
    ("expect", r#""expect": {"lost": {"max": 0, "needs_fault": 0}}"#, "10:46: there is no fault 0"),
    (
        "expect",
        r#""expect": {"lost": {"max": 0}}, "links": {"rto_first": "200s"}"#,
        "10:56: \"rto_first\" is longer than \"rto_max\"",
    ),
    ("expect", r#""expect": {}, "links": {"between": [{"from": "cg", "to": "pg"}]}"#, "10:37: this link changes nothing"),
];

#[test]
fn mistakes_point_at_the_line() {
    let mut wrong = Vec::new();
    for (key, line, want) in MISTAKES {
        match parsed(&changed(key, line)) {
            Ok(_) => wrong.push(format!("{line}\n  loads; want {want}")),
            Err(errors) => {
                let text = errors.to_string();
                let first = text.lines().next().unwrap_or_default();
                if !first.starts_with(&format!("test:{want}")) {
                    wrong.push(format!("{line}\n  got  {first}\n  want test:{want}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parsed(&changed("", "")).is_ok());
}

#[test]
fn whole_blocks_of_errors_read_well() {
    let text = changed("faults", r#""faults": [{"at": "10s", "kil": "broker-c:0", "for": 90}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:9:12: a fault needs a verb\n  \
         expected one of kill, lose_host, freeze, shutdown, restart, rolling_restart, start, promote, cut, slow_link, slow_disk, fill_disk, fsync, clock_step, \
         clock_drift, reset, intercept, hold, update_topic, wipe_write_perm\n\
         test:9:26: a fault has no key \"kil\"\n  did you mean \"kill\"?\n\
         test:9:54: \"for\" cannot be 90\n  expected a duration such as \"30s\" or \"1.5ms\""
    );
    let text = changed("consumers", r#""consumers": [{"group": "cg", "topic": "T", "persistConsumerOffsetIntervall": "1s"}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:8:45: a consumer has no key \"persistConsumerOffsetIntervall\"\n  did you mean \"persistConsumerOffsetInterval\"?"
    );
    // Keys that a section shares with others are named too.
    let text = changed("faults", r#""faults": [{"at": "10s", "cut": {"zzz": 1, "from": "cg", "to": "pg"}}],"#);
    assert_eq!(
        parsed(&text).unwrap_err().to_string(),
        "test:9:34: a cut has no key \"zzz\"\n  expected one of between, from, to"
    );
    let cut = parsed("{\"question\": \"Q?\",\n \"brokers\": [{\"brokerName\"").unwrap_err().to_string();
    assert_eq!(
        cut,
        "test:2:27: the end of the file is not expected here\n  expected ':' after the key\n  \
         the '{' of line 2, column 14 is still open: is the file cut off?"
    );
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

/// Bits of scenarios that a mutation throws in.
const BITS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "\"30s\"",
    "\"-30s\"",
    "\"*\"",
    "\"cg\"",
    "\"\"",
    "\\",
    "\u{e9}",
    "{}",
    "[]",
    "\"queues\"",
    "\"rate\"",
    "\"for\"",
    "\"brokerName\"",
    "\"kill\"",
    "\"at\"",
    "\"group\"",
    "\"9999999h\"",
    "\"999999999/s\"",
    "\n",
    "\u{1F680}",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn mutated_scenarios_never_panic(
        whole in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, 0..BITS.len()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut chars: Vec<char> = if whole { EVERYTHING } else { DESIGN }.chars().collect();
        for (at, remove, bit) in edits {
            let at = at.index(chars.len());
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, BITS[bit].chars());
        }
        if let Some(cut) = cut {
            chars.truncate(cut.index(chars.len()));
        }
        let text: String = chars.into_iter().collect();
        if let Err(errors) = parsed(&text) {
            assert_positions(&text, &errors);
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn swapped_values_never_panic(pick in any::<prop::sample::Index>(), with in any::<prop::sample::Index>(), bit in 0..BITS.len(), own in any::<bool>()) {
        // Replaces one value of a valid tree by another value of it, or by a bit.
        let mut tree = tree::parse(EVERYTHING).unwrap();
        let mut values = Vec::new();
        collect(&tree, &mut values);
        let value = if own { values[with.index(values.len())].clone() } else { tree::parse(BITS[bit]).unwrap_or(tree::Node::text("x")) };
        let mut left = pick.index(values.len());
        replace(&mut tree, &mut left, &value);
        let text = tree.to_json();
        match parsed(&text) {
            Err(errors) => assert_positions(&text, &errors),
            Ok(loaded) => {
                let again = parsed(&loaded.resolved).unwrap_or_else(|errors| panic!("{errors}\n{}", loaded.resolved));
                prop_assert!(format!("{:?}", loaded.spec) == format!("{:?}", again.spec), "{}", first_difference(&loaded.resolved, &again.resolved));
            }
        }
    }

    #[test]
    fn arguments_never_panic(path in "[a-z]{0,9}([.\\[][a-z0-9*\\]-]{0,8}){0,5}(=.{0,12})?") {
        let _ = with_set(DESIGN, &[&path]);
        let _ = with_set(DESIGN, &[&format!("producers{path}"), &format!("brokers.*.{path}")]);
    }

    #[test]
    fn trees_print_what_they_read(text in "\\PC{0,60}", number in any::<i64>()) {
        let node = tree::Node::object([("k", tree::Node::text(text)), ("n", tree::Node::list(vec![tree::Node::number(number)]))]);
        let again = tree::parse(&node.to_json()).unwrap();
        prop_assert_eq!(again.to_line(), node.to_line());
    }
}

fn collect(node: &tree::Node, out: &mut Vec<tree::Node>) {
    out.push(node.clone());
    match &node.shape {
        tree::Shape::List(values) => values.iter().for_each(|v| collect(v, out)),
        tree::Shape::Object(members) => members.iter().for_each(|m| collect(&m.value, out)),
        _ => {}
    }
}

fn replace(node: &mut tree::Node, left: &mut usize, value: &tree::Node) -> bool {
    if *left == 0 {
        *node = value.clone();
        return true;
    }
    *left -= 1;
    match &mut node.shape {
        tree::Shape::List(values) => values.iter_mut().any(|v| replace(v, left, value)),
        tree::Shape::Object(members) => members.iter_mut().any(|m| replace(&mut m.value, left, value)),
        _ => false,
    }
}
