//! What the published Java classes computed, line by line, against what this crate computes.
//!
//! Each file of `tests/vectors/`, or of the directory named by `WINDTUNNEL_VECTORS`, holds one JSON object a line: inputs
//! and the answers of the Apache artifact. The file's name says which class it came from. A comparison that compares
//! nothing is worth nothing, so an empty file or directory, an unknown name and a line that does not read are failures
//! just like a different answer.
//!
//! To add a kind: write its comparison and give it a line in [`KINDS`].

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windtunnel::base::ids::{Addr, BrokerName, MessageId, MessageQueue, TopicId};
use windtunnel::base::names::{Names, NamesBuilder};
use windtunnel::rocketmq::broker::delay_level::DelayLevels;
use windtunnel::rocketmq::broker::rebalance_lock::RebalanceLockManager;
use windtunnel::rocketmq::broker::store::BrokerDisk;
use windtunnel::rocketmq::broker::store::access::{GetMessageStatus, Query};
use windtunnel::rocketmq::client::consumer::allocate::{
    AllocateMessageQueueStrategy, MachineRoom, MachineRoomNearby, RoomResolver, Strategy,
};
use windtunnel::rocketmq::client::consumer::process_queue::{Cached, ProcessQueue};
use windtunnel::rocketmq::client::producer::fault_strategy::{BrokerHashes, MQFaultStrategy, compute_not_available_duration};
use windtunnel::rocketmq::client::producer::publish_info::{
    ThreadLocalIndex, TopicPublishInfo, topic_route_data_to_publish_info, topic_route_data_to_subscribe_info,
};
use windtunnel::rocketmq::client::producer::validators::check_message;
use windtunnel::rocketmq::filter::string_hash;
use windtunnel::rocketmq::message::Message as Record;
use windtunnel::rocketmq::nameserver::route_info::{Channel, Registration, RouteInfoManager};
use windtunnel::rocketmq::route::{BrokerData, DataVersion, QueueData, TopicConfig, TopicConfigs, TopicRouteData};
use windtunnel::rocketmq::settings::BrokerSettings;

/// Compares one line; the error says at which step what was expected and what came.
type Compare = fn(Value) -> Result<(), String>;

/// File name without `.jsonl`, and the comparison of its lines.
const KINDS: &[(&str, Compare)] = &[
    ("allocate", allocate),
    ("delay_levels", delay_levels),
    ("fault_strategy", |line| fault_strategy(line, false)),
    ("fault_strategy_4.9.7", |line| fault_strategy(line, true)),
    ("message_store", message_store),
    ("process_queue", process_queue),
    ("publish_select", publish_select),
    ("rebalance_lock", rebalance_lock),
    ("route_info", route_info),
    ("route_table", route_table),
    ("tag_hash", tag_hash),
    ("validators", validators),
];

#[test]
#[allow(clippy::disallowed_methods, reason = "only a test may be pointed at other vectors; no run reads the environment")]
fn published_artifacts_agree() {
    let dir = std::env::var_os("WINDTUNNEL_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let (compared, failures) = compare_dir(&dir);
    for (name, lines) in compared {
        println!("{name}: {lines} lines compared");
    }
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// Compares every `.jsonl` file of a directory: how many lines of each were compared, and everything that failed.
fn compare_dir(dir: &Path) -> (Vec<(String, usize)>, Vec<String>) {
    let (mut compared, mut failures) = (Vec::new(), Vec::new());
    let mut files: Vec<PathBuf> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => return (compared, vec![format!("{}: {error}", dir.display())]),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    if files.is_empty() {
        failures.push(format!("{}: no .jsonl file", dir.display()));
    }
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let (lines, mut failed) = compare_file(&name, &text);
                failures.append(&mut failed);
                if lines > 0 {
                    compared.push((name, lines));
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    (compared, failures)
}

fn compare_file(name: &str, text: &str) -> (usize, Vec<String>) {
    let Some((_, compare)) = KINDS.iter().find(|(kind, _)| *kind == name) else {
        return (0, vec![format!("{name}: no comparison goes by this name")]);
    };
    let (mut lines, mut failures) = (0, Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        lines += 1;
        let compared = serde_json::from_str(line).map_err(unreadable).and_then(compare);
        failures.extend(compared.err().map(|error| format!("{name} line {}: {error}", number + 1)));
    }
    if lines == 0 {
        failures.push(format!("{name}: empty file"));
    }
    (lines, failures)
}

fn unreadable(error: serde_json::Error) -> String {
    format!("cannot be read: {error}")
}

fn read<'de, T: Deserialize<'de>>(line: Value) -> Result<T, String> {
    T::deserialize(line).map_err(unreadable)
}

fn same<T: PartialEq + Debug>(at: impl std::fmt::Display, got: T, expect: T) -> Result<(), String> {
    if got == expect { Ok(()) } else { Err(format!("{at}: expected {expect:?}, got {got:?}")) }
}

/// An optional value whose field must be there: serde would take a missing one for null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}

fn step(number: usize, op: &impl Debug) -> String {
    format!("step {} {op:?}", number + 1)
}

// ---- queues and names -------------------------------------------------------------------------------------------------

/// `[topic, broker, queueId]`.
type Queue = (String, String, i32);

struct Known(Names);

impl Known {
    fn of<'a>(topics: impl IntoIterator<Item = &'a str>, brokers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = NamesBuilder::default();
        for name in topics {
            names.topic(name);
        }
        for name in brokers {
            names.broker(name);
        }
        Known(names.freeze())
    }
    fn of_queues(queues: &[Queue], more_brokers: &[&str]) -> Self {
        let brokers = queues.iter().map(|q| &*q.1).chain(more_brokers.iter().copied());
        Known::of(queues.iter().map(|q| &*q.0), brokers)
    }
    fn topic(&self, name: &str) -> Result<TopicId, String> {
        self.0.topic(name).ok_or_else(|| format!("topic {name:?} is not named by the line"))
    }
    fn broker(&self, name: &str) -> Result<BrokerName, String> {
        self.0.broker(name).ok_or_else(|| format!("broker {name:?} is not named by the line"))
    }
    fn queue(&self, (topic, broker, queue_id): &Queue) -> Result<MessageQueue, String> {
        Ok(MessageQueue { topic: self.topic(topic)?, broker: self.broker(broker)?, queue_id: *queue_id })
    }
    fn queues(&self, queues: &[Queue]) -> Result<Vec<MessageQueue>, String> {
        queues.iter().map(|queue| self.queue(queue)).collect()
    }
    fn show(&self, queue: MessageQueue) -> Queue {
        (self.0.topic_name(queue.topic).to_string(), self.0.broker_name(queue.broker).to_string(), queue.queue_id)
    }
    fn show_all(&self, queues: &[MessageQueue]) -> Vec<Queue> {
        queues.iter().map(|queue| self.show(*queue)).collect()
    }
    fn queue_datas(&self, datas: &[Datum]) -> Result<Vec<QueueData>, String> {
        let data = |d: &Datum| {
            let (read_queue_nums, write_queue_nums) = (d.read, d.write);
            Ok(QueueData { broker: self.broker(&d.broker)?, read_queue_nums, write_queue_nums, perm: d.perm })
        };
        datas.iter().map(data).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Datum {
    broker: String,
    read: u32,
    write: u32,
    perm: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Addresses {
    name: String,
    #[serde(deserialize_with = "by_broker_id")]
    addrs: BTreeMap<u64, String>,
}

/// JSON's keys are texts, and inside a tagged step serde no longer turns them into numbers.
fn by_broker_id<'de, D: Deserializer<'de>>(value: D) -> Result<BTreeMap<u64, String>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(value)?;
    let number = |(id, addr): (String, String)| Ok((id.parse().map_err(serde::de::Error::custom)?, addr));
    texts.into_iter().map(number).collect()
}

/// Addresses as texts, numbered as they are met.
#[derive(Default)]
struct Book(Vec<String>);

impl Book {
    fn addr(&mut self, text: &str) -> Addr {
        let at = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        Addr(at as u16)
    }
    fn show(&self, addr: Addr) -> String {
        self.0[usize::from(addr.0)].clone()
    }
}

// ---- allocate ---------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct Allocate {
    mq_all: Vec<Queue>,
    cid_all: Vec<String>,
    virtual_nodes: u32,
    consumer_idcs: Vec<String>,
    expect: BTreeMap<String, BTreeMap<String, Vec<Queue>>>,
}

fn allocate(line: Value) -> Result<(), String> {
    let line: Allocate = read(line)?;
    let known = Known::of_queues(&line.mq_all, &[]);
    let queues = known.queues(&line.mq_all)?;
    let cids: Vec<Arc<str>> = line.cid_all.iter().map(|cid| cid.as_str().into()).collect();
    for (name, members) in &line.expect {
        let strategy = configured(name, &line).ok_or_else(|| format!("no strategy {name:?}"))?;
        same("name", &strategy.name(), name)?;
        for (cid, expect) in members {
            let got = strategy.allocate(&known.0, cid, &queues, &cids).map_err(|e| format!("{name} of {cid}: {e}"))?;
            same(format!("{name} of {cid}"), &known.show_all(&got), expect)?;
        }
    }
    if line.expect.is_empty() { Err("nothing expected".to_owned()) } else { Ok(()) }
}

/// A name, with the settings that the line gives.
fn configured(name: &str, line: &Allocate) -> Option<Strategy> {
    if let Some(inner) = name.strip_prefix("MACHINE_ROOM_NEARBY-") {
        let nearby = MachineRoomNearby::new(configured(inner, line)?, RoomResolver::default());
        return Some(Strategy::MachineRoomNearby(nearby));
    }
    match name {
        "CONSISTENT_HASH" => Some(Strategy::ConsistentHash { virtual_nodes: line.virtual_nodes }),
        "MACHINE_ROOM" => {
            Some(Strategy::MachineRoom(MachineRoom::new(line.consumer_idcs.iter().map(|room| room.as_str().into()))))
        }
        _ => Strategy::by_name(name),
    }
}

// ---- producer ---------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct PublishSelect {
    queues: Vec<Queue>,
    index_start: i32,
    steps: Vec<Select>,
}

#[derive(Debug, Deserialize)]
struct Select {
    #[serde(deserialize_with = "present")]
    last_broker: Option<String>,
    #[serde(deserialize_with = "present")]
    expect: Option<Queue>,
}

fn publish_select(line: Value) -> Result<(), String> {
    let line: PublishSelect = read(line)?;
    let last: Vec<&str> = line.steps.iter().filter_map(|s| s.last_broker.as_deref()).collect();
    let known = Known::of_queues(&line.queues, &last);
    let info = TopicPublishInfo { order_topic: false, have_route: true, queues: known.queues(&line.queues)? };
    let mut index = ThreadLocalIndex::starting_at(line.index_start);
    for (number, select) in line.steps.iter().enumerate() {
        let last = select.last_broker.as_deref().map(|name| known.broker(name)).transpose()?;
        let got = info.select_one_message_queue(&mut index, last).map(|queue| known.show(queue));
        same(step(number, select), &got, &select.expect)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct RouteInfo {
    topic: String,
    queue_datas: Vec<Datum>,
    broker_datas: Vec<Addresses>,
    #[serde(deserialize_with = "present")]
    order_topic_conf: Option<String>,
    expect: RouteInfoExpect,
}

#[derive(Deserialize)]
struct RouteInfoExpect {
    order_topic: bool,
    publish: Vec<Queue>,
    subscribe_sorted: Vec<Queue>,
}

fn route_info(line: Value) -> Result<(), String> {
    let line: RouteInfo = read(line)?;
    let of_conf = line.order_topic_conf.iter().flat_map(|conf| conf.split(';')).filter_map(|e| e.split(':').next());
    let of_datas = line.queue_datas.iter().map(|data| &*data.broker);
    let of_addresses = line.broker_datas.iter().map(|data| &*data.name);
    let known = Known::of([&*line.topic], of_conf.chain(of_datas).chain(of_addresses));
    let mut book = Book::default();
    let mut broker_datas = Vec::new();
    for data in &line.broker_datas {
        let addrs = data.addrs.iter().map(|(id, addr)| (*id, book.addr(addr))).collect();
        broker_datas.push(BrokerData { broker: known.broker(&data.name)?, cluster: 0, addrs });
    }
    let order_topic_conf = line.order_topic_conf.as_deref().map(Arc::from);
    let route = TopicRouteData { queue_datas: known.queue_datas(&line.queue_datas)?, broker_datas, order_topic_conf };
    let topic = known.topic(&line.topic)?;
    let publish = topic_route_data_to_publish_info(&known.0, topic, &route).map_err(|error| error.to_string())?;
    same("order_topic", publish.order_topic, line.expect.order_topic)?;
    same("publish", known.show_all(&publish.queues), line.expect.publish)?;
    let subscribe = topic_route_data_to_subscribe_info(topic, &route);
    same("subscribe_sorted", known.show_all(&subscribe), line.expect.subscribe_sorted)
}

#[derive(Deserialize)]
struct FaultStrategy {
    enable: bool,
    queue_datas: Vec<Datum>,
    queues: Vec<Queue>,
    index_start: i32,
    worst_index_start: i32,
    steps: Vec<FaultStep>,
    queues_after: Vec<Queue>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum FaultStep {
    Update { broker: String, latency_ms: i64, isolation: bool },
    Advance { ms: i64 },
    Select(Select),
}

#[derive(Deserialize)]
struct Durations {
    not_available_duration_ms: Vec<(i64, i64)>,
}

fn fault_strategy(line: Value, writes_into_publish_list: bool) -> Result<(), String> {
    if line.get("not_available_duration_ms").is_some() {
        let table: Durations = read(line)?;
        for (latency, expect) in table.not_available_duration_ms {
            same(format!("duration of {latency} ms"), compute_not_available_duration(latency), expect)?;
        }
        return Ok(());
    }
    let line: FaultStrategy = read(line)?;
    let mut brokers: Vec<&str> = line.queue_datas.iter().map(|data| &*data.broker).collect();
    for step in &line.steps {
        match step {
            FaultStep::Update { broker, .. } => brokers.push(broker),
            FaultStep::Select(select) => brokers.extend(select.last_broker.as_deref()),
            FaultStep::Advance { .. } => {}
        }
    }
    let known = Known::of_queues(&line.queues, &brokers);
    let queue_datas = known.queue_datas(&line.queue_datas)?;
    let mut strategy = MQFaultStrategy::new(BrokerHashes::of(&known.0), line.enable, writes_into_publish_list);
    let mut info = TopicPublishInfo { order_topic: false, have_route: true, queues: known.queues(&line.queues)? };
    let mut index = ThreadLocalIndex::starting_at(line.index_start);
    let mut worst = ThreadLocalIndex::starting_at(line.worst_index_start);
    let mut now_ms = 1_700_000_000_000;
    for (number, op) in line.steps.iter().enumerate() {
        match op {
            FaultStep::Update { broker, latency_ms, isolation } => {
                strategy.update_fault_item(known.broker(broker)?, *latency_ms, *isolation, now_ms);
            }
            FaultStep::Advance { ms } => now_ms += ms,
            FaultStep::Select(select) => {
                let last = select.last_broker.as_deref().map(|name| known.broker(name)).transpose()?;
                let got = strategy.select_one_message_queue(&mut info, &queue_datas, &mut index, &mut worst, last, now_ms);
                same(step(number, op), &got.map(|queue| known.show(queue)), &select.expect)?;
            }
        }
    }
    same("queues_after", known.show_all(&info.queues), line.queues_after)
}

#[derive(Deserialize)]
struct Validators {
    #[serde(deserialize_with = "present")]
    topic: Option<String>,
    #[serde(deserialize_with = "present")]
    body_len: Option<u64>,
    ok: bool,
    #[serde(deserialize_with = "present")]
    code: Option<i32>,
    #[serde(deserialize_with = "present")]
    error: Option<String>,
}

/// `DefaultMQProducer.maxMessageSize`, which the vectors leave at its default.
const MAX_MESSAGE_SIZE: u64 = 4_194_304;

fn validators(line: Value) -> Result<(), String> {
    let line: Validators = read(line)?;
    let got = check_message(line.topic.as_deref(), line.body_len, MAX_MESSAGE_SIZE).err();
    let at = format!("topic {:?} body {:?}", line.topic, line.body_len);
    let got = (got.is_none(), got.as_ref().map(|e| e.code), got.as_ref().map(ToString::to_string));
    same(at, got, (line.ok, line.code, line.error))
}

#[derive(Deserialize)]
struct TagHash {
    tag: String,
    hash: i32,
}

fn tag_hash(line: Value) -> Result<(), String> {
    let line: TagHash = read(line)?;
    same(format!("hash of {:?}", line.tag), string_hash(&line.tag), line.hash)
}

// ---- consumer ---------------------------------------------------------------------------------------------------------

#[derive(Clone)]
struct Message(u64, u32);

impl Cached for Message {
    fn queue_offset(&self) -> u64 {
        self.0
    }
    fn body_len(&self) -> u32 {
        self.1
    }
}

#[derive(Deserialize)]
struct ProcessQueueLine {
    #[serde(rename = "orderly")]
    _orderly: bool,
    steps: Vec<ProcessQueueStep>,
}

#[derive(Debug, Deserialize)]
struct ProcessQueueStep {
    #[serde(flatten)]
    op: ProcessQueueOp,
    count: i64,
    bytes: i64,
    max_span: u64,
    has_temp: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum ProcessQueueOp {
    Put {
        messages: Vec<(u64, u32)>,
        expect: bool,
    },
    Remove {
        offsets: Vec<u64>,
        expect: i64,
    },
    Take {
        batch: usize,
        expect: Vec<u64>,
    },
    Commit {
        #[serde(deserialize_with = "present")]
        expect: Option<i64>,
    },
    Rollback,
    ConsumeAgain {
        offsets: Vec<u64>,
    },
}

fn process_queue(line: Value) -> Result<(), String> {
    let line: ProcessQueueLine = read(line)?;
    let mut queue = ProcessQueue::new(0);
    for (number, ProcessQueueStep { op, count, bytes, max_span, has_temp }) in line.steps.iter().enumerate() {
        let at = step(number, op);
        match op {
            ProcessQueueOp::Put { messages, expect } => {
                same(&at, queue.put(messages.iter().map(|&(offset, body)| Message(offset, body)), None), *expect)?;
            }
            ProcessQueueOp::Remove { offsets, expect } => same(&at, queue.remove(offsets, 0), *expect)?,
            ProcessQueueOp::Take { batch, expect } => {
                let mut taken = Vec::new();
                queue.take(*batch, 0, &mut taken);
                same(&at, &taken.iter().map(|message| message.0).collect(), expect)?;
            }
            ProcessQueueOp::Commit { expect } => same(&at, queue.commit(), *expect)?,
            ProcessQueueOp::Rollback => queue.rollback(),
            ProcessQueueOp::ConsumeAgain { offsets } => queue.make_message_to_consume_again(offsets),
        }
        let got = (queue.count(), queue.bytes(), queue.max_span(), queue.has_temp_message());
        same(format!("{at}: count, bytes, span, waiting"), got, (*count, *bytes, *max_span, *has_temp))?;
    }
    Ok(())
}

// ---- store -------------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct MessageStore {
    commit_log_file_size: u64,
    consume_queue_file_entries: u64,
    max_message_size: u64,
    steps: Vec<StoreStep>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum StoreStep {
    Put { topic: String, queue: u16, tag: Option<String>, body_len: u32, properties_len: u16, expect: PutExpect },
    Get { topic: String, queue: u16, offset: i64, max: usize, tags: Option<Vec<String>>, expect: GetExpect },
}

#[derive(Debug, PartialEq, Deserialize)]
struct PutExpect {
    status: String,
    append: Option<String>,
    physical_offset: Option<u64>,
    size: Option<u32>,
    queue_offset: Option<u64>,
    log_max_offset: u64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct GetExpect {
    status: String,
    next_begin_offset: u64,
    min_offset: u64,
    max_offset: u64,
    count: usize,
    bytes: u64,
}

fn message_store(line: Value) -> Result<(), String> {
    let line: MessageStore = read(line)?;
    let settings = BrokerSettings {
        mapped_file_size_commit_log: line.commit_log_file_size,
        mapped_file_size_consume_queue: line.consume_queue_file_entries * 20,
        max_message_size: line.max_message_size,
        ..BrokerSettings::default()
    };
    let mut disk = BrokerDisk::default();
    disk.log.ends.file_size = line.commit_log_file_size;
    let (mut topics, mut next_offsets): (Vec<String>, Vec<u64>) = Default::default();
    let mut id = |topic: &str| {
        let known = topics.iter().position(|t| t == topic);
        TopicId(known.unwrap_or_else(|| {
            topics.push(topic.to_owned());
            topics.len() - 1
        }) as u16)
    };
    for (number, s) in line.steps.iter().enumerate() {
        match s {
            StoreStep::Put { topic, queue, tag, body_len, properties_len, expect } => {
                let tag_code = tag.as_deref().map_or(0, string_hash);
                let mut message = stored(id(topic), *queue, *body_len, *properties_len, tag_code);
                let size = disk.put(&mut message, topic.len(), &settings, &mut next_offsets);
                disk.log.ends.committed = disk.log.ends.written;
                while disk.dispatch_next(u64::MAX).is_some() {}
                let ok = size.is_some();
                let got = PutExpect {
                    status: if ok { "PUT_OK" } else { "MESSAGE_ILLEGAL" }.to_owned(),
                    append: ok.then(|| "PUT_OK".to_owned()),
                    physical_offset: ok.then_some(message.phys),
                    size,
                    queue_offset: ok.then_some(message.queue_offset),
                    log_max_offset: disk.log.ends.written,
                };
                same(format!("step {number}, put"), &got, expect)?;
            }
            StoreStep::Get { topic, queue, offset, max, tags, expect } => {
                let codes: Option<Vec<i32>> = tags.as_ref().map(|tags| tags.iter().map(|t| string_hash(t)).collect());
                let query = Query {
                    queue: disk.queue_number(id(topic), *queue),
                    offset: *offset,
                    max_msg_nums: *max,
                    codes: codes.as_deref(),
                    overflow_badly_restarts_at_zero: false,
                };
                let mut messages = Vec::new();
                let got = disk.get(query, &settings, |m| m.record_size(topic.len()), &mut messages);
                let status = match got.status {
                    GetMessageStatus::Found => "FOUND",
                    GetMessageStatus::NoMatchedMessage => "NO_MATCHED_MESSAGE",
                    GetMessageStatus::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
                    GetMessageStatus::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
                    GetMessageStatus::OffsetTooSmall => "OFFSET_TOO_SMALL",
                    GetMessageStatus::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
                    GetMessageStatus::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
                };
                let got = GetExpect {
                    status: status.to_owned(),
                    next_begin_offset: got.next_begin_offset,
                    min_offset: got.min_offset,
                    max_offset: got.max_offset,
                    count: messages.len(),
                    bytes: got.bytes,
                };
                same(format!("step {number}, get"), &got, expect)?;
            }
        }
    }
    Ok(())
}

/// A message as a vector describes it.
fn stored(topic: TopicId, queue_id: u16, body_len: u32, properties_len: u16, tag_code: i32) -> Record {
    Record {
        id: MessageId::new(0, 0),
        born_ms: 0,
        store_ms: 0,
        queue_offset: 0,
        phys: 0,
        body_len,
        tag_code,
        key: u32::MAX,
        topic,
        real_topic: topic,
        origin_topic: topic,
        queue_id,
        real_queue_id: 0,
        properties_len,
        reconsume_times: 0,
        tag: 0,
        delay_level: 0,
        flags: 0,
    }
}

// ---- broker -----------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct RebalanceLock {
    steps: Vec<LockStep>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum LockStep {
    Lock { group: String, client: String, queues: Vec<i32>, expect: Vec<i32> },
    Unlock { group: String, client: String, queues: Vec<i32> },
    Advance { ms: i64 },
}

fn rebalance_lock(line: Value) -> Result<(), String> {
    let line: RebalanceLock = read(line)?;
    let mut names = NamesBuilder::default();
    for op in &line.steps {
        if let LockStep::Lock { group, .. } | LockStep::Unlock { group, .. } = op {
            names.group(group);
        }
    }
    let names = names.freeze();
    let group_id = |group: &str| names.group(group).ok_or_else(|| format!("group {group:?} is not named"));
    let mqs = |ids: &[i32]| -> Vec<MessageQueue> {
        ids.iter().map(|&queue_id| MessageQueue { topic: TopicId(0), broker: BrokerName(0), queue_id }).collect()
    };
    let mut locks = RebalanceLockManager::default();
    let mut now_ms = 1_700_000_000_000;
    for (number, op) in line.steps.iter().enumerate() {
        match op {
            LockStep::Lock { group, client, queues, expect } => {
                let client = client.as_str().into();
                let granted = locks.try_lock_batch(group_id(group)?, &client, &mqs(queues), now_ms);
                let ascending: BTreeSet<i32> = granted.iter().map(|queue| queue.queue_id).collect();
                same(step(number, op), &ascending.into_iter().collect(), expect)?;
            }
            LockStep::Unlock { group, client, queues } => {
                locks.unlock_batch(group_id(group)?, client, &mqs(queues));
            }
            LockStep::Advance { ms } => now_ms += ms,
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct DelayLevelsLine {
    levels: String,
    max_level: i32,
    stored_at_ms: i64,
    deliver_at_ms: Vec<(i32, i64)>,
}

fn delay_levels(line: Value) -> Result<(), String> {
    let line: DelayLevelsLine = read(line)?;
    let levels = DelayLevels::parse(&line.levels).map_err(|error| error.to_string())?;
    same("max_level", levels.max_level(), line.max_level)?;
    for (level, expect) in line.deliver_at_ms {
        same(format!("level {level}"), levels.compute_deliver_timestamp(level, line.stored_at_ms), expect)?;
    }
    Ok(())
}

// ---- nameserver -------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct RouteTable {
    steps: Vec<RouteStep>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum RouteStep {
    Register {
        broker: String,
        id: u64,
        addr: String,
        ha: String,
        version: u64,
        topics: Vec<Topic>,
        expect: Registered,
    },
    Unregister {
        broker: String,
        id: u64,
        addr: String,
    },
    ChannelClosed {
        addr: String,
    },
    Advance {
        ms: i64,
    },
    Scan {
        expect_removed: usize,
    },
    WipeWritePerm {
        broker: String,
        expect: usize,
    },
    Route {
        topic: String,
        #[serde(deserialize_with = "present")]
        expect: Option<Route>,
    },
}

#[derive(Debug, Deserialize)]
struct Topic {
    topic: String,
    read: u32,
    write: u32,
    perm: u8,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Registered {
    #[serde(deserialize_with = "present")]
    ha: Option<String>,
    #[serde(deserialize_with = "present")]
    master: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Route {
    queues: Vec<Datum>,
    brokers: Vec<Addresses>,
}

fn route_table(line: Value) -> Result<(), String> {
    let line: RouteTable = read(line)?;
    let (mut topics, mut brokers) = (Vec::new(), Vec::new());
    for op in &line.steps {
        match op {
            RouteStep::Register { broker, topics: configs, .. } => {
                brokers.push(&**broker);
                topics.extend(configs.iter().map(|config| &*config.topic));
            }
            RouteStep::Unregister { broker, .. } | RouteStep::WipeWritePerm { broker, .. } => brokers.push(&**broker),
            RouteStep::Route { topic, .. } => topics.push(&**topic),
            _ => {}
        }
    }
    let known = Known::of(topics, brokers);
    let mut book = Book::default();
    let mut routes = RouteInfoManager::default();
    let mut now_ms = 1_700_000_000_000;
    for (number, op) in line.steps.iter().enumerate() {
        let at = step(number, op);
        match op {
            RouteStep::Register { broker, id, addr, ha, version, topics, expect } => {
                let mut configs = BTreeMap::new();
                for Topic { topic, read, write, perm } in topics {
                    configs.insert(known.topic(topic)?, TopicConfig { read: *read, write: *write, perm: *perm });
                }
                let version = DataVersion { timestamp_ms: 0, counter: *version };
                let (addr, ha_server_addr) = (book.addr(addr), book.addr(ha));
                let registration = Registration {
                    cluster: 0,
                    broker: known.broker(broker)?,
                    broker_id: *id,
                    addr,
                    ha_server_addr,
                    channel: channel(addr),
                    topics: &TopicConfigs { version, topics: Arc::new(configs) },
                };
                let got = routes.register_broker(registration, now_ms);
                let show = |addr: Option<Addr>| addr.map(|addr| book.show(addr));
                same(at, &Registered { ha: show(got.ha_server_addr), master: show(got.master_addr) }, expect)?;
            }
            RouteStep::Unregister { broker, id, addr } => {
                routes.unregister_broker(0, known.broker(broker)?, *id, book.addr(addr));
            }
            RouteStep::ChannelClosed { addr } => {
                let addr = book.addr(addr);
                routes.on_channel_destroy(channel(addr), Some(addr));
            }
            RouteStep::Advance { ms } => now_ms += ms,
            RouteStep::Scan { expect_removed } => {
                same(at, routes.scan_not_active_broker(now_ms).len(), *expect_removed)?;
            }
            RouteStep::WipeWritePerm { broker, expect } => {
                same(at, routes.wipe_write_perm(known.broker(broker)?), *expect)?;
            }
            RouteStep::Route { topic, expect } => {
                let got = routes.pickup_topic_route_data(known.topic(topic)?);
                same(at, &got.map(|route| shown(&route, &known, &book)), expect)?;
            }
        }
    }
    Ok(())
}

/// The vectors keep one connection for each address.
fn channel(addr: Addr) -> Channel {
    Channel(addr.0.into())
}

fn shown(route: &TopicRouteData, known: &Known, book: &Book) -> Route {
    let name = |broker: BrokerName| known.0.broker_name(broker).to_string();
    let queue = |data: &QueueData| Datum {
        broker: name(data.broker),
        read: data.read_queue_nums,
        write: data.write_queue_nums,
        perm: data.perm,
    };
    let broker = |data: &BrokerData| Addresses {
        name: name(data.broker),
        addrs: data.addrs.iter().map(|(id, addr)| (*id, book.show(*addr))).collect(),
    };
    Route { queues: route.queue_datas.iter().map(queue).collect(), brokers: route.broker_datas.iter().map(broker).collect() }
}

// ---- the harness itself -----------------------------------------------------------------------------------------------

mod harness {
    use super::*;

    /// A directory of its own that is gone when the test is.
    struct Dir(PathBuf);

    impl Dir {
        fn with(test: &str, files: &[(&str, &str)]) -> Self {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vectors-{test}"));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            for (name, text) in files {
                std::fs::write(path.join(name), text).unwrap();
            }
            Dir(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const GOOD: &str = "{\"tag\":\"TagA\",\"hash\":2598919}\n";

    fn failures(test: &str, files: &[(&str, &str)]) -> Vec<String> {
        compare_dir(&Dir::with(test, files).0).1
    }

    #[test]
    fn a_subset_of_the_files_is_enough() {
        let dir = Dir::with("subset", &[("tag_hash.jsonl", GOOD), ("README.md", "not a vector")]);
        assert_eq!(compare_dir(&dir.0), (vec![("tag_hash".to_owned(), 1)], vec![]));
    }

    #[test]
    fn an_empty_or_missing_directory_fails() {
        assert_eq!(failures("empty", &[]).len(), 1);
        assert_eq!(compare_dir(Path::new("/nowhere/at/all")).1.len(), 1);
    }

    #[test]
    fn an_unknown_name_and_an_empty_file_fail() {
        let got = failures("unknown", &[("tag_hashes.jsonl", GOOD), ("tag_hash.jsonl", "\n"), ("allocate.jsonl", "")]);
        assert_eq!(got, ["allocate: empty file", "tag_hash: empty file", "tag_hashes: no comparison goes by this name"]);
    }

    #[test]
    fn a_line_that_cannot_be_read_fails() {
        for line in ["not json", "{}", "[]", "null", "{\"tag\":null,\"hash\":0}"] {
            let got = failures("unreadable", &[("tag_hash.jsonl", &format!("{GOOD}{line}\n"))]);
            assert!(got.len() == 1 && got[0].starts_with("tag_hash line 2: cannot be read: "), "{line}: {got:?}");
        }
    }

    #[test]
    fn every_kind_refuses_an_empty_object() {
        for (name, _) in KINDS {
            let (lines, failures) = compare_file(name, "{}");
            assert!(lines == 1 && failures.len() == 1 && failures[0].contains("cannot be read"), "{name}: {failures:?}");
        }
    }

    #[test]
    fn a_missing_expectation_is_not_null() {
        let line = "{\"steps\":[{\"op\":\"route\",\"topic\":\"T\"}]}";
        assert!(compare_file("route_table", line).1[0].contains("missing field `expect`"));
        let line = "{\"steps\":[{\"op\":\"route\",\"topic\":\"T\",\"expect\":null}]}";
        assert_eq!(compare_file("route_table", line), (1, vec![]));
    }

    #[test]
    fn a_difference_names_file_line_step_and_both_values() {
        let good = "{\"steps\":[{\"op\":\"scan\",\"expect_removed\":0}]}\n";
        let bad = "{\"steps\":[{\"op\":\"advance\",\"ms\":5},{\"op\":\"scan\",\"expect_removed\":3}]}\n";
        let got = failures("difference", &[("route_table.jsonl", &format!("{good}{bad}"))]);
        assert_eq!(got, ["route_table line 2: step 2 Scan { expect_removed: 3 }: expected 3, got 0"]);
    }
}
