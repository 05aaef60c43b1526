//! An allocation strategy from outside: rendezvous hashing with a ceiling, beside RocketMQ's own AVG.
//!
//! First as a function: over many sizes each queue must have exactly one owner and nobody more than his share, and what moves when a member joins
//! or leaves is counted. Then in a cluster: the same scenario under both strategies, with a consumer that dies and comes back.
//!
//! `cargo run --release --example own_strategy`

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use windtunnel::base::ids::{Entity, MessageQueue, mix};
use windtunnel::base::names::{Names, NamesBuilder};
use windtunnel::rocketmq::client::consumer::allocate::{AllocateError, AllocateMessageQueueStrategy, Averagely};
use windtunnel::run::{Control, run};
use windtunnel::scenario::{Known, Overrides, parse};

/// Each queue ranks all members by a hash of both names and goes to the first that is below the ceiling. A member that
/// joins or leaves changes nobody's ranking, so few queues move; the ceiling keeps the shares even.
#[derive(Debug)]
struct Rendezvous;

impl AllocateMessageQueueStrategy for Rendezvous {
    fn name(&self) -> String {
        "RENDEZVOUS".to_owned()
    }

    fn allocate(
        &self,
        names: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError> {
        let Some(me) = cid_all.iter().position(|cid| &**cid == current_cid) else { return Ok(Vec::new()) };
        let ceiling = mq_all.len().div_ceil(cid_all.len());
        let members: Vec<u64> = cid_all.iter().map(|cid| Entity::named(cid).0).collect();
        let mut load = vec![0; cid_all.len()];
        let mut mine = Vec::new();
        for queue in mq_all {
            // Names, never numbers: two processes must come to the same result.
            let name = format!("{}/{}", names.topic_name(queue.topic), names.queue(*queue));
            let queue_hash = Entity::named(&name).0;
            let open = (0..members.len()).filter(|m| load[*m] < ceiling);
            let Some(owner) = open.max_by_key(|m| mix(members[*m] ^ queue_hash)) else { break };
            load[owner] += 1;
            if owner == me {
                mine.push(*queue);
            }
        }
        Ok(mine)
    }
}

/// The owner of each queue, as each member for itself computes it; what is wrong with it, if anything is.
fn owners(
    strategy: &dyn AllocateMessageQueueStrategy,
    names: &Names,
    queues: &[MessageQueue],
    members: &[Arc<str>],
) -> Result<Vec<Arc<str>>, String> {
    let size = format!("{}: {} queues, {} members", strategy.name(), queues.len(), members.len());
    let mut owner: Vec<Option<Arc<str>>> = vec![None; queues.len()];
    let fair = queues.len().div_ceil(members.len());
    for member in members {
        let share = strategy.allocate(names, member, queues, members).map_err(|e| format!("{size}: {e}"))?;
        if share.len() > fair {
            return Err(format!("{size}: {member} has {} queues, a fair share is {fair}", share.len()));
        }
        for queue in share {
            let at = queues.iter().position(|q| *q == queue).ok_or(format!("{size}: a queue that is not there"))?;
            if let Some(other) = owner[at].replace(member.clone()) {
                return Err(format!("{size}: {} belongs to {other} and {member}", names.queue(queue)));
            }
        }
    }
    owner.into_iter().enumerate().map(|(i, o)| o.ok_or(format!("{size}: {} has no owner", names.queue(queues[i])))).collect()
}

/// What was found over all sizes.
#[derive(Default)]
struct Moves {
    sizes: u64,
    queues: u64,
    join: u64,
    leave: u64,
}

/// Every number of queues on two brokers and every number of members, with client ids in random order.
fn properties(strategy: &dyn AllocateMessageQueueStrategy, names: &Names) -> Result<Moves, String> {
    let mut found = Moves::default();
    let Some(topic) = names.topic("orders") else { return Err("no topic".to_owned()) };
    for queues_a_broker in 1..=16 {
        let queues: Vec<MessageQueue> = names
            .brokers()
            .flat_map(|broker| (0..queues_a_broker).map(move |queue_id| MessageQueue { topic, broker, queue_id }))
            .collect();
        for members in 1..=12 {
            let mut ids: Vec<Arc<str>> = (0..members + 1).map(|m| format!("10.0.0.{}@{}", mix(m) % 250, m).into()).collect();
            let new = ids.remove((mix(members) % (members + 1)) as usize);
            ids.sort();
            let mut with_new = ids.clone();
            with_new.push(new.clone());
            with_new.sort();
            let (before, after) = (owners(strategy, names, &queues, &ids)?, owners(strategy, names, &queues, &with_new)?);
            found.sizes += 1;
            found.queues += queues.len() as u64;
            // Queues that the newcomer gets move either way; counted are all that change hands.
            found.join += before.iter().zip(&after).filter(|(b, a)| b != a).count() as u64;
            // A leaves what it got: seen from the others, only what was not its own moves needlessly.
            found.leave += after.iter().zip(&before).filter(|(a, b)| a != b && **a != new).count() as u64;
        }
    }
    Ok(found)
}

const SCENARIO: &str = r#"{
  "question": "What does a consumer that dies and comes back cost under this strategy?",
  "duration": "90s",
  "brokers": [{"brokerName": "broker-a"}, {"brokerName": "broker-b"}],
  "topics": [{"name": "orders", "queues": 8}],
  "producers": [{"group": "pg", "topic": "orders", "rate": "200/s"}],
  "consumers": [{"group": "cg", "count": 5, "topic": "orders", "service_time": {"p50": "5ms", "p99": "50ms"}}],
  "faults": [{"at": "30s", "kill": "cg-2", "for": "30s"}]
}"#;

/// Runs the scenario under a strategy and gives some of its counters.
fn in_a_cluster(name: &str, counters: &[&str]) -> Result<Vec<Option<i64>>, String> {
    let brought = [("RENDEZVOUS", Arc::new(Rendezvous) as Arc<dyn AllocateMessageQueueStrategy>)];
    let known = Known { strategies: &brought, ..Known::default() };
    let set = vec![format!("consumers.cg.allocateMessageQueueStrategy={name}")];
    let loaded =
        parse("own_strategy", SCENARIO, &Overrides { set, ..Overrides::default() }, &known).map_err(|e| e.to_string())?;
    let outcome = run(&loaded.spec, &Control { stop: &AtomicBool::new(false), progress: None });
    let value = |name: &&str| outcome.counters.iter().find(|c| c.name == *name).and_then(|c| c.value);
    Ok(counters.iter().map(value).collect())
}

fn compare() -> Result<(), String> {
    let mut names = NamesBuilder::default();
    names.topic("orders").group("cg").broker("broker-a").broker("broker-b");
    let names = names.freeze();
    println!("as a function: 1 owner a queue and no share above the ceiling, in all sizes");
    println!("{:12} {:>6} {:>8} {:>14} {:>22}", "", "sizes", "queues", "move on a join", "needlessly on a leave");
    for strategy in [&Averagely as &dyn AllocateMessageQueueStrategy, &Rendezvous] {
        let found = properties(strategy, &names)?;
        println!(
            "{:12} {:6} {:8} {:12} % {:20} %",
            strategy.name(),
            found.sizes,
            found.queues,
            100 * found.join / found.queues,
            100 * found.leave / found.queues
        );
    }
    let counters = ["queue_moves", "duplicates", "lost", "delivered"];
    println!("\nin a cluster: 16 queues, 5 consumers, one killed for 30 s");
    print!("{:12}", "");
    counters.iter().for_each(|name| print!(" {name:>12}"));
    println!();
    for name in ["AVG", "RENDEZVOUS"] {
        print!("{name:12}");
        for value in in_a_cluster(name, &counters)? {
            print!(" {:>12}", value.map_or("-".to_owned(), |v| v.to_string()));
        }
        println!();
    }
    Ok(())
}

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
