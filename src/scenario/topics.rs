//! Topics that exist before the run, with what lies in them.

use super::clients::{legal, not_both};
use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, items, short};
use super::keys::{self, topic};
use super::nodes::Draft;
use super::suggest::nearest;
use super::tree::{Node, Place, Shape};
use super::values;
use crate::base::names::{DLQ_PREFIX, RETRY_PREFIX};
use std::collections::BTreeMap;

const MAX_TOPICS: usize = 10_000;

/// Topics that RocketMQ makes for itself (`TopicValidator`, `MixAll`, 4.9.8).
pub(super) const SYSTEM_TOPICS: &[&str] = &[
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "SELF_TEST_TOPIC",
    "BenchmarkTest",
    "OFFSET_MOVED_EVENT",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
];

#[derive(Debug)]
pub(super) struct TopicDraft {
    pub(super) read: u32,
    pub(super) write: u32,
    pub(super) perm: u8,
    pub(super) brokers: Vec<String>,
    pub(super) order: Option<String>,
    pub(super) preload: Option<PreloadDraft>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PreloadDraft {
    pub(super) messages: u64,
    pub(super) age: u64,
    pub(super) size: u32,
}

/// Topics in the order of the file, and by name.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) list: Vec<(String, TopicDraft)>,
    pub(super) by_name: BTreeMap<String, (usize, Place)>,
}

/// The key `topics`.
pub(super) fn topics(draft: &Draft, top: &mut Fields<'_>) -> Topics {
    let key = &keys::top::TOPICS;
    let mut topics = Topics::default();
    let mut shown = Vec::new();
    let ctx = top.ctx;
    let entries = top.given(key).map_or(&[][..], |node| items(ctx, key, node, MAX_TOPICS));
    let broker_names = draft.broker_names();
    for entry in entries {
        shown.extend(one(&broker_names, ctx, entry, &mut topics));
    }
    top.show(key, Node::list(shown));
    topics
}

fn one(broker_names: &[&str], ctx: &Ctx<'_>, entry: &Node, topics: &mut Topics) -> Option<Node> {
    let mut fields = Fields::open(ctx, entry, &topic::SECTION)?;
    let place = fields.place_of(&topic::NAME);
    let name = fields.text(&topic::NAME);
    let (read, write) = queue_nums(&mut fields);
    let perm = fields.count(&topic::PERM).unwrap_or(6) as u8;
    let brokers = carriers(broker_names, &mut fields);
    let order = order(&mut fields, &brokers, write);
    let preload = fields.section(&topic::PRELOAD, |mut inner| {
        let messages = inner.count(&keys::preload::MESSAGES);
        let age = inner.duration(&keys::preload::AGE).unwrap_or_default();
        let size = inner.bytes(&keys::preload::SIZE).unwrap_or(1) as u32;
        (messages.map(|messages| PreloadDraft { messages, age, size }), inner.finish())
    });
    let shown = fields.finish();
    let name = name?;
    if !legal(&name, 127) {
        let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a topic", short(&name)));
        ctx.push(place, error.expected("1 to 127 letters, digits or any of %|_-"));
        return None;
    }
    if SYSTEM_TOPICS.contains(&name.as_str()) || name.starts_with(RETRY_PREFIX) || name.starts_with(DLQ_PREFIX) {
        let error = ScenarioError::new(Problem::Conflict, format!("the topic \"{name}\" is made by RocketMQ itself"));
        ctx.push(place, error.remedy("leave it out; a fault entry with \"update_topic\" can change it"));
        return None;
    }
    if let Some((_, first)) = topics.by_name.get(&name) {
        let error = ScenarioError::new(Problem::Conflict, format!("there is already a topic \"{name}\""));
        ctx.push(place, error.remedy(format!("it is given at {}", ctx.whereabouts(*first))));
        return Some(shown);
    }
    topics.by_name.insert(name.clone(), (topics.list.len(), place));
    topics.list.push((name, TopicDraft { read, write, perm, brokers, order, preload: preload.flatten() }));
    Some(shown)
}

/// Read and write queues: `queues` is both.
fn queue_nums(fields: &mut Fields<'_>) -> (u32, u32) {
    use topic::{QUEUES, READ_QUEUE_NUMS, WRITE_QUEUE_NUMS};
    not_both(fields, &QUEUES, &READ_QUEUE_NUMS);
    not_both(fields, &QUEUES, &WRITE_QUEUE_NUMS);
    let read_one =
        |fields: &Fields<'_>, key: &keys::Key| fields.given(key).and_then(|n| values::count(fields.ctx, key.name, &key.takes, n));
    let both = read_one(fields, &QUEUES);
    let read = read_one(fields, &READ_QUEUE_NUMS);
    let write = read_one(fields, &WRITE_QUEUE_NUMS);
    let read_nums = read.or(both).or(write).unwrap_or(4);
    let write_nums = write.or(both).or(read).unwrap_or(4);
    fields.show(&READ_QUEUE_NUMS, Node::number(read_nums));
    fields.show(&WRITE_QUEUE_NUMS, Node::number(write_nums));
    (read_nums as u32, write_nums as u32)
}

/// The broker names that carry the topic: those that are named, globs included, else all.
fn carriers(known: &[&str], fields: &mut Fields<'_>) -> Vec<String> {
    let given =
        fields.given(&topic::BROKERS).and_then(|n| values::target(fields.ctx, topic::BROKERS.name, &topic::BROKERS.takes, n));
    let mut brokers: Vec<String> = Vec::new();
    match given {
        None => brokers.extend(known.iter().map(|b| (*b).to_owned())),
        Some(names) => {
            for name in names {
                let matched: Vec<&&str> = known.iter().filter(|b| super::targets::matches(&name.text, b)).collect();
                if matched.is_empty() {
                    let error =
                        ScenarioError::new(Problem::UnknownName, format!("there is no brokerName \"{}\"", short(&name.text)));
                    fields.ctx.push(name.place, error.did_you_mean(nearest(&name.text, known.iter().copied())));
                }
                for broker in matched {
                    if !brokers.iter().any(|b| b == *broker) {
                        brokers.push((*broker).to_owned());
                    }
                }
            }
        }
    }
    fields.show(&topic::BROKERS, Node::list(brokers.iter().map(|b| Node::text(b.as_str())).collect()));
    brokers
}

/// ORDER_TOPIC_CONFIG.
fn order(fields: &mut Fields<'_>, brokers: &[String], write: u32) -> Option<String> {
    let node = fields.given(&topic::ORDER)?;
    let conf = match &node.shape {
        Shape::Flag(false) => return None,
        Shape::Flag(true) => brokers.iter().map(|b| format!("{b}:{write}")).collect::<Vec<_>>().join(";"),
        Shape::Text(text) if text.split(';').all(is_order_part) => text.clone(),
        _ => {
            values::wrong(fields.ctx, topic::ORDER.name, &topic::ORDER.takes, node);
            return None;
        }
    };
    fields.show(&topic::ORDER, Node::text(conf.as_str()));
    Some(conf)
}

/// "broker-a:4". The broker need not exist: the configuration is what it is, and the client believes it.
fn is_order_part(part: &str) -> bool {
    part.split_once(':').is_some_and(|(name, n)| !name.is_empty() && n.parse::<u32>().is_ok_and(|n| (1..=1024).contains(&n)))
}
