//! A scenario for a live run that nobody has written one for.
//!
//! A live run says itself how it was set up: its clients with their options and moments, its faults, and by its name which of the few clusters it ran on
//! (`tests/live/README.md`, "Set-up"). The rest is the same in all of them, and how fast the machine is stands in the scenario of the steady run. So a run
//! that is laid beside the others is compared at once; a scenario of its own, if there is one, is preferred. That what is made here and what was written by
//! hand are the same is a test over all shipped runs.

use super::live::{Client, Live};
use super::nanos;
use serde_json::{Map, Value, json};

/// Queues of a topic on each broker, bytes of a body, and threads of a producer and a consumer, when the run says nothing else.
const QUEUES: u64 = 4;
const BODY: u64 = 74;
const PRODUCER_THREADS: i64 = 8;
const CONSUMER_THREADS: i64 = 20;
/// What a producer sends to another topic before its load, if the run does not say otherwise.
const WARM_UP_SENDS: i64 = 200;
/// From the start of a client that sends no warm-up to its first send, ns: what the middle of `client.boot` and a first route come to in the shipped set-ups.
const WITHOUT_WARM_UP: i64 = 1_400_000_000;
const HOST: &str = "machine";

/// The scenario as text, or why there can be none. `steady` is the scenario of the run without faults.
pub fn scenario(live: &Live, steady: &Value) -> Result<String, String> {
    if live.clients.iter().any(|c| c.transactional) {
        return Err("transactions are not built".to_owned());
    }
    let mut topics: Vec<&str> = live.clients.iter().map(|c| c.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let of = |producer: bool| live.clients.iter().filter(move |c| c.producer == producer);
    let load = of(true).filter(|c| c.start <= 0).map(|c| c.lasts).max().unwrap_or(0).clamp(1, live.end.max(1));
    let mut scenario = json!({
        "format": 1,
        "question": format!("{}, set up as the run says", live.experiment),
        "seed": 1,
        "warmup": "170s",
        "duration": nanos(load),
        "drain": nanos((live.end - load).max(0)),
        "nameservers": [{"name": "ns0", "host": HOST}],
        "brokers": brokers(live),
        "topics": topics.iter().map(|t| json!({"name": t, "queues": QUEUES})).collect::<Vec<_>>(),
        "producers": of(true).map(|c| producer(live, c)).collect::<Vec<_>>(),
        "consumers": of(false).map(consumer).collect::<Vec<_>>(),
    });
    for key in ["rocketmq", "cpus", "links", "services", "pauses"] {
        if let Some(value) = steady.get(key) {
            scenario[key] = value.clone();
        }
    }
    let faults = faults(live)?;
    if !faults.is_empty() {
        scenario["faults"] = Value::Array(faults);
    }
    Ok(scenario.to_string())
}

/// The cluster, by what the experiment is called.
fn brokers(live: &Live) -> Vec<Value> {
    let name = live.experiment.as_str();
    if is_group(live) {
        let member = |n: u64| json!({"brokerName": "broker-a", "name": format!("broker-n{n}"), "dledger": {"group": "broker-a", "index": n}, "host": HOST});
        return (0..3).map(member).collect();
    }
    let role = match name {
        _ if name.starts_with("sync_") => "SYNC_MASTER",
        _ if name.starts_with("async_") => "ASYNC_MASTER",
        _ => return ["broker-a", "broker-b"].map(|b| json!({"brokerName": b, "name": b, "host": HOST})).to_vec(),
    };
    vec![
        json!({"brokerName": "broker-a", "name": "broker-a", "brokerRole": role, "host": HOST}),
        json!({"brokerName": "broker-a", "name": "broker-a-s", "brokerId": 1, "brokerRole": "SLAVE", "host": HOST}),
    ]
}

/// Its brokers are one DLedger group.
fn is_group(live: &Live) -> bool {
    live.elected() || live.experiment.starts_with("dledger_")
}

/// What both kinds of clients have.
fn client(c: &Client, group: String) -> Map<String, Value> {
    let fields = json!({
        "group": group, "name": c.node, "version": "4.9.8", "instanceName": c.node, "topic": c.topic, "start": nanos(c.start), "host": HOST
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn producer(live: &Live, c: &Client) -> Value {
    let mut p = client(c, format!("pg-{}", c.node));
    p.insert("rate".to_owned(), json!(format!("{}/s", c.rate)));
    p.insert("size".to_owned(), json!(BODY));
    p.insert("warm_up_sends".to_owned(), json!(c.number("warm").unwrap_or(WARM_UP_SENDS)));
    // Those that start together share the machine, and yet they were there at time 0.
    let boot = match live.clients.iter().filter(|d| d.starts_beside(c)).count() {
        0 | 1 => json!({"p50": "0.5s", "p99": "1.5s"}),
        _ => json!({"p50": "0.3s", "p99": "0.8s"}),
    };
    p.insert("services".to_owned(), json!({"boot": boot}));
    if let Some(keys) = c.number("keys") {
        p.insert("keys".to_owned(), json!(keys));
    } else if let Some(threads) = c.number("threads").filter(|n| *n != PRODUCER_THREADS) {
        p.insert("threads".to_owned(), json!(threads));
    }
    if c.text("latencyFault").is_some_and(|on| on == "true") {
        p.insert("sendLatencyFaultEnable".to_owned(), json!(true));
    }
    if let Some(level) = c.number("delay") {
        p.insert("delay_level".to_owned(), json!(level));
    }
    if c.start > 0 {
        // The warm-up of one that starts later takes it as long as that of the first one took.
        let first = live.clients.iter().find(|c| c.producer && c.start < 0).map_or(0, |c| -c.start);
        let takes = if c.number("warm") == Some(0) { WITHOUT_WARM_UP } else { first.max(WITHOUT_WARM_UP) };
        let from = c.start.saturating_add(takes);
        p.insert("from".to_owned(), json!(nanos(from)));
        p.insert("until".to_owned(), json!(nanos(from.saturating_add(c.lasts).min(live.end.max(from + 1)))));
    }
    Value::Object(p)
}

fn consumer(c: &Client) -> Value {
    let mut fields = client(c, c.group.clone());
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("service_time", json!(format!("{}ms", c.number("workMs").unwrap_or(0))));
    put("consumeFromWhere", json!("CONSUME_FROM_FIRST_OFFSET"));
    if let Some(threads) = c.number("threads").filter(|n| *n != CONSUMER_THREADS) {
        put("threads", json!(threads));
    }
    if c.is_orderly() {
        put("listener", json!("orderly"));
    }
    if c.text("model").is_some_and(|model| model == "broadcasting") {
        put("messageModel", json!("BROADCASTING"));
    }
    match c.number("failEvery") {
        Some(-1) => _ = put("fail", json!({"every": 1})),
        Some(n @ 1..) => _ = put("fail", json!({"every": n, "times": 1})),
        _ => {}
    }
    if let Some(tags) = c.text("tags") {
        put("tags", json!(tags));
    }
    Value::Object(fields)
}

/// Each strike with the return that belongs to it.
fn faults(live: &Live) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for (i, fault) in live.faults.iter().enumerate() {
        let back = match fault.what.as_str() {
            "kill" | "shutdown" => "restart",
            "freeze" => "thaw",
            "restart" | "thaw" => continue,
            other => return Err(format!("it has a fault {other:?} that is not known")),
        };
        let mut entry = json!({"at": nanos(fault.at)});
        // Who leads is drawn anew in every simulated run.
        if is_group(live) && live.leader_at(fault.at) == Some(fault.node.as_str()) {
            entry[&fault.what] = json!("broker-a");
            entry["only"] = json!("leader");
        } else {
            entry[&fault.what] = json!(fault.node);
        }
        if let Some(end) = live.faults.iter().skip(i + 1).find(|f| f.what == back && f.node == fault.node) {
            entry["for"] = json!(nanos((end.at - fault.at).max(1)));
        }
        found.push(entry);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::fidelity::{changes, live};
    use crate::scenario::{Known, Overrides, parse};
    use std::path::Path;

    fn root(path: &str) -> String {
        format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
    }
    fn steady() -> Value {
        serde_json::from_str(&std::fs::read_to_string(root("scenarios/live/steady.json")).unwrap()).unwrap()
    }
    /// Every default written out, at the moments of this run.
    fn resolved(name: &str, text: &str, live: &Live) -> Value {
        let base = parse(name, text, &Overrides::default(), &Known::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let set = changes(live, &base).unwrap();
        let overrides = Overrides { set, ..Overrides::default() };
        let loaded = parse(name, text, &overrides, &Known::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut value: Value = serde_json::from_str(&loaded.resolved).unwrap();
        // Which draw of it is shown first is no part of a set-up: every comparison takes a seed of its own.
        for words in ["$schema", "question", "seed"] {
            value.as_object_mut().unwrap().remove(words);
        }
        value
    }

    /// The scenarios written by hand were written with care: what is made from the runs alone is the same to the last setting.
    #[test]
    fn what_is_made_from_a_run_is_what_was_written_for_it() {
        let mut compared = 0;
        for (name, lives) in live::load_all(Path::new(&root("tests/live"))).unwrap() {
            let Ok(written) = std::fs::read_to_string(root(&format!("scenarios/live/{name}.json"))) else { continue };
            // What its README says and its files do not: the nameserver comes back. And who leads is known by role, so its fault keeps the moment it has.
            if name == "namesrv_kill" || name == "dledger_leader_kill" {
                continue;
            }
            for live in &lives {
                let made = scenario(live, &steady()).unwrap();
                let (made, written) = (resolved(&name, &made, live), resolved(&name, &written, live));
                for key in written.as_object().unwrap().keys() {
                    assert_eq!(made[key], written[key], "{}: {key}", live.path);
                }
                assert_eq!(made, written, "{}", live.path);
                compared += 1;
            }
        }
        assert!(compared >= 30, "only {compared} runs were compared");
    }

    #[test]
    fn a_leader_is_struck_as_whoever_leads() {
        let lives = live::load_all(Path::new(&root("tests/live"))).unwrap();
        let made: Value = serde_json::from_str(&scenario(&lives["dledger_leader_kill"][0], &steady()).unwrap()).unwrap();
        assert_eq!(made["faults"][0]["only"], "leader");
        assert_eq!((&made["faults"][0]["kill"], made["brokers"].as_array().unwrap().len()), (&json!("broker-a"), 3));
        let refused = scenario(&lives["transaction_unknown"][0], &steady());
        assert_eq!(refused, Err("transactions are not built".to_owned()));
    }

    #[test]
    fn a_late_producer_begins_when_it_is_warm() {
        let mut live = live::load_all(Path::new(&root("tests/live"))).unwrap().remove("namesrv_kill").unwrap().remove(0);
        let from = |live: &Live| {
            let made: Value = serde_json::from_str(&scenario(live, &steady()).unwrap()).unwrap();
            made["producers"][1]["from"].as_str().unwrap().to_owned()
        };
        assert_eq!(from(&live), "61470000000ns", "without warm-up");
        let late = live.clients.iter_mut().find(|c| c.node == "p2").unwrap();
        late.options.clear();
        assert_eq!(from(&live), "66687000000ns", "as long as the first one took");
        live.faults[0].what = "unplug".to_owned();
        assert_eq!(scenario(&live, &steady()), Err("it has a fault \"unplug\" that is not known".to_owned()));
    }
}
