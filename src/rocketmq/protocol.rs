//! Requests and answers, with RocketMQ's codes (`RequestCode`, `ResponseCode` 4.9.8).
//!
//! Bodies on the data path are `Copy` or borrow a pooled buffer; control messages share their lists behind an `Arc`, built once a version.

use super::broker::ha::dledger::protocol::{Push, Rpc, RpcAnswer};
use super::message::Message;
use super::route::{DataVersion, TopicConfig, TopicRouteData};
use super::settings::MessageModel;
use crate::base::draw::Luck;
use crate::base::ids::{Addr, BrokerName, GroupId, MessageQueue, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `RequestCode` (4.9.8).
pub mod code {
    pub const SEND_MESSAGE: u16 = 310;
    pub const SEND_BATCH_MESSAGE: u16 = 320;
    pub const PULL_MESSAGE: u16 = 11;
    pub const QUERY_CONSUMER_OFFSET: u16 = 14;
    pub const UPDATE_CONSUMER_OFFSET: u16 = 15;
    pub const SEARCH_OFFSET_BY_TIMESTAMP: u16 = 29;
    pub const GET_MAX_OFFSET: u16 = 30;
    pub const GET_MIN_OFFSET: u16 = 31;
    pub const HEART_BEAT: u16 = 34;
    pub const UNREGISTER_CLIENT: u16 = 35;
    pub const CONSUMER_SEND_MSG_BACK: u16 = 36;
    pub const END_TRANSACTION: u16 = 37;
    pub const GET_CONSUMER_LIST_BY_GROUP: u16 = 38;
    pub const CHECK_TRANSACTION_STATE: u16 = 39;
    pub const NOTIFY_CONSUMER_IDS_CHANGED: u16 = 40;
    pub const LOCK_BATCH_MQ: u16 = 41;
    pub const UNLOCK_BATCH_MQ: u16 = 42;
    pub const GET_ALL_TOPIC_CONFIG: u16 = 21;
    pub const GET_ALL_CONSUMER_OFFSET: u16 = 43;
    pub const GET_ALL_DELAY_OFFSET: u16 = 45;
    pub const GET_ALL_SUBSCRIPTIONGROUP_CONFIG: u16 = 201;
    /// `DLedgerRequestCode` (0.3.1.2).
    pub const DLEDGER_VOTE: u16 = 51_001;
    pub const DLEDGER_HEART_BEAT: u16 = 51_002;
    pub const DLEDGER_PUSH: u16 = 51_004;
    pub const DLEDGER_LEADERSHIP_TRANSFER: u16 = 51_005;
    pub const REGISTER_BROKER: u16 = 103;
    pub const UNREGISTER_BROKER: u16 = 104;
    pub const GET_ROUTEINFO_BY_TOPIC: u16 = 105;

    /// Codes by name, for scenario files ("HEART_BEAT" or 34).
    pub const BY_NAME: &[(&str, u16)] = &[
        ("SEND_MESSAGE", SEND_MESSAGE),
        ("SEND_BATCH_MESSAGE", SEND_BATCH_MESSAGE),
        ("PULL_MESSAGE", PULL_MESSAGE),
        ("QUERY_CONSUMER_OFFSET", QUERY_CONSUMER_OFFSET),
        ("UPDATE_CONSUMER_OFFSET", UPDATE_CONSUMER_OFFSET),
        ("SEARCH_OFFSET_BY_TIMESTAMP", SEARCH_OFFSET_BY_TIMESTAMP),
        ("GET_MAX_OFFSET", GET_MAX_OFFSET),
        ("GET_MIN_OFFSET", GET_MIN_OFFSET),
        ("HEART_BEAT", HEART_BEAT),
        ("UNREGISTER_CLIENT", UNREGISTER_CLIENT),
        ("CONSUMER_SEND_MSG_BACK", CONSUMER_SEND_MSG_BACK),
        ("END_TRANSACTION", END_TRANSACTION),
        ("GET_CONSUMER_LIST_BY_GROUP", GET_CONSUMER_LIST_BY_GROUP),
        ("CHECK_TRANSACTION_STATE", CHECK_TRANSACTION_STATE),
        ("NOTIFY_CONSUMER_IDS_CHANGED", NOTIFY_CONSUMER_IDS_CHANGED),
        ("LOCK_BATCH_MQ", LOCK_BATCH_MQ),
        ("UNLOCK_BATCH_MQ", UNLOCK_BATCH_MQ),
        ("GET_ALL_TOPIC_CONFIG", GET_ALL_TOPIC_CONFIG),
        ("GET_ALL_CONSUMER_OFFSET", GET_ALL_CONSUMER_OFFSET),
        ("GET_ALL_DELAY_OFFSET", GET_ALL_DELAY_OFFSET),
        ("GET_ALL_SUBSCRIPTIONGROUP_CONFIG", GET_ALL_SUBSCRIPTIONGROUP_CONFIG),
        ("VOTE", DLEDGER_VOTE),
        ("HEART_BEAT_DLEDGER", DLEDGER_HEART_BEAT),
        ("PUSH", DLEDGER_PUSH),
        ("REGISTER_BROKER", REGISTER_BROKER),
        ("UNREGISTER_BROKER", UNREGISTER_BROKER),
        ("GET_ROUTEINFO_BY_TOPIC", GET_ROUTEINFO_BY_TOPIC),
    ];
}

/// `ResponseCode` (4.9.8).
pub mod answer_code {
    pub const SUCCESS: u16 = 0;
    pub const SYSTEM_ERROR: u16 = 1;
    pub const SYSTEM_BUSY: u16 = 2;
    pub const REQUEST_CODE_NOT_SUPPORTED: u16 = 3;
    pub const FLUSH_DISK_TIMEOUT: u16 = 10;
    pub const SLAVE_NOT_AVAILABLE: u16 = 11;
    pub const FLUSH_SLAVE_TIMEOUT: u16 = 12;
    pub const MESSAGE_ILLEGAL: u16 = 13;
    pub const SERVICE_NOT_AVAILABLE: u16 = 14;
    pub const NO_PERMISSION: u16 = 16;
    pub const TOPIC_NOT_EXIST: u16 = 17;
    pub const PULL_NOT_FOUND: u16 = 19;
    pub const PULL_RETRY_IMMEDIATELY: u16 = 20;
    pub const PULL_OFFSET_MOVED: u16 = 21;
    pub const QUERY_NOT_FOUND: u16 = 22;
    pub const SUBSCRIPTION_NOT_EXIST: u16 = 24;
    pub const SUBSCRIPTION_NOT_LATEST: u16 = 25;
    pub const SUBSCRIPTION_GROUP_NOT_EXIST: u16 = 26;
    pub const NO_BUYER_ID: u16 = 204;
    pub const NOT_IN_CURRENT_UNIT: u16 = 205;
    pub const FLOW_CONTROL: u16 = 215;
}

/// One frame on a connection.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Correlates an answer with its request, within one remoting instance.
    pub opaque: u32,
    pub luck: Luck,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Request {
        oneway: bool,
        request: Request,
    },
    Answer(Answer),
    /// Master-slave log shipping and DLedger have their own frames.
    Ha(crate::rocketmq::protocol::HaFrame),
}

/// Frames of the HA connection (server spec 10.1).
#[derive(Clone, Debug)]
pub enum HaFrame {
    /// Slave to master: its largest physical offset.
    Report(u64),
    /// Master to slave: so many bytes of the log from a physical offset on, and the records that end within them; no bytes is a heartbeat.
    Transfer { from: u64, bytes: u32, records: Vec<Message> },
}

/// `SendMessageRequestHeaderV2`.
#[derive(Clone, Copy, Debug)]
pub struct SendRequest {
    pub group: GroupId,
    pub queue_id: i32,
    /// The topic whose configuration serves when the topic is unknown, and the queues to create it with.
    pub default_topic: TopicId,
    pub default_queues: u16,
    /// `maxReconsumeTimes` of a message to a retry topic.
    pub max_reconsume_times: u16,
    pub message: Message,
}

/// `PullMessageRequestHeader`.
#[derive(Clone, Copy, Debug)]
pub struct PullRequest {
    pub group: GroupId,
    pub topic: TopicId,
    pub queue_id: i32,
    pub offset: i64,
    pub max_msg_nums: u16,
    pub commit_offset: Option<u64>,
    pub suspend_timeout_ms: u32,
    pub sub_version: i64,
}

/// One consumer group in a heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerData {
    pub group: GroupId,
    pub model: MessageModel,
    /// Topic, version and filter codes (`None`: "*").
    pub subscriptions: Vec<Subscription>,
}

/// What a broker knows of a subscription: enough to filter by hash.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub topic: TopicId,
    pub sub_version: i64,
    pub codes: Option<Arc<[i32]>>,
}

/// `HeartbeatData`.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatData {
    pub client_id: Arc<str>,
    pub producers: Vec<GroupId>,
    pub consumers: Vec<ConsumerData>,
}

/// `RegisterBrokerRequestHeader` and its body.
#[derive(Clone, Debug)]
pub struct Registration {
    pub broker: BrokerName,
    pub broker_id: u64,
    pub addr: Addr,
    pub ha_addr: Addr,
    pub version: DataVersion,
    pub topics: BTreeMap<TopicId, TopicConfig>,
}

/// What carries a whole message is boxed, so that a frame is small wherever it is handed on; see [`BatchPool::boxed`](super::message::BatchPool::boxed).
#[derive(Clone, Debug)]
pub enum Request {
    Send(Box<SendRequest>),
    SendBatch(Box<SendRequest>, Arc<[Message]>),
    Pull(PullRequest),
    SendBack {
        group: GroupId,
        phys: u64,
        delay_level: i8,
        max_reconsume_times: u16,
        origin: Box<Message>,
    },
    QueryOffset {
        group: GroupId,
        queue: MessageQueue,
    },
    UpdateOffset {
        group: GroupId,
        queue: MessageQueue,
        offset: u64,
    },
    MaxOffset {
        queue: MessageQueue,
    },
    SearchOffset {
        queue: MessageQueue,
        timestamp_ms: i64,
    },
    Heartbeat(Arc<HeartbeatData>),
    UnregisterClient {
        client_id: Arc<str>,
        producer: Option<GroupId>,
        consumer: Option<GroupId>,
    },
    ConsumerList {
        group: GroupId,
    },
    NotifyConsumerIdsChanged {
        group: GroupId,
    },
    LockBatch {
        group: GroupId,
        client_id: Arc<str>,
        queues: Arc<[MessageQueue]>,
    },
    UnlockBatch {
        group: GroupId,
        client_id: Arc<str>,
        queues: Arc<[MessageQueue]>,
    },
    /// A slave asks its master for everything of a kind.
    All(Metadata),
    Register(Arc<Registration>),
    Unregister {
        broker: BrokerName,
        broker_id: u64,
        addr: Addr,
    },
    Route {
        topic: TopicId,
    },
    /// Between members of a DLedger group.
    DLedger(Box<Rpc<Message>>),
}

/// What a slave copies from its master (`SlaveSynchronize`), in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    TopicConfigs,
    ConsumerOffsets,
    DelayOffsets,
    SubscriptionGroups,
}

/// One row of consumerOffset.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRow {
    pub group: GroupId,
    pub topic: TopicId,
    pub queue_id: u16,
    pub offset: u64,
}

impl Request {
    /// The request code it travels under.
    pub fn code(&self) -> u16 {
        match self {
            Request::Send(_) => code::SEND_MESSAGE,
            Request::SendBatch(..) => code::SEND_BATCH_MESSAGE,
            Request::Pull(_) => code::PULL_MESSAGE,
            Request::SendBack { .. } => code::CONSUMER_SEND_MSG_BACK,
            Request::QueryOffset { .. } => code::QUERY_CONSUMER_OFFSET,
            Request::UpdateOffset { .. } => code::UPDATE_CONSUMER_OFFSET,
            Request::MaxOffset { .. } => code::GET_MAX_OFFSET,
            Request::SearchOffset { .. } => code::SEARCH_OFFSET_BY_TIMESTAMP,
            Request::Heartbeat(_) => code::HEART_BEAT,
            Request::UnregisterClient { .. } => code::UNREGISTER_CLIENT,
            Request::ConsumerList { .. } => code::GET_CONSUMER_LIST_BY_GROUP,
            Request::NotifyConsumerIdsChanged { .. } => code::NOTIFY_CONSUMER_IDS_CHANGED,
            Request::LockBatch { .. } => code::LOCK_BATCH_MQ,
            Request::UnlockBatch { .. } => code::UNLOCK_BATCH_MQ,
            Request::All(Metadata::TopicConfigs) => code::GET_ALL_TOPIC_CONFIG,
            Request::All(Metadata::ConsumerOffsets) => code::GET_ALL_CONSUMER_OFFSET,
            Request::All(Metadata::DelayOffsets) => code::GET_ALL_DELAY_OFFSET,
            Request::All(Metadata::SubscriptionGroups) => code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
            Request::Register(_) => code::REGISTER_BROKER,
            Request::Unregister { .. } => code::UNREGISTER_BROKER,
            Request::Route { .. } => code::GET_ROUTEINFO_BY_TOPIC,
            Request::DLedger(rpc) => match **rpc {
                Rpc::Vote(_) => code::DLEDGER_VOTE,
                Rpc::HeartBeat(_) => code::DLEDGER_HEART_BEAT,
                Rpc::Push(_) => code::DLEDGER_PUSH,
                Rpc::LeadershipTransfer(_) => code::DLEDGER_LEADERSHIP_TRANSFER,
            },
        }
    }

    /// Bytes on the wire: bodies exactly, headers as a round figure (they matter for bandwidth only).
    pub fn bytes(&self) -> u32 {
        match self {
            Request::Send(send) => 260 + send.message.body_len + send.message.properties_len as u32,
            Request::SendBatch(send, rest) => 260 + rest.iter().map(|m| m.body_len + 20).sum::<u32>().max(send.message.body_len),
            Request::Heartbeat(data) => 300 + 200 * (data.consumers.len() + data.producers.len()) as u32,
            Request::LockBatch { queues, .. } | Request::UnlockBatch { queues, .. } => 200 + 60 * queues.len() as u32,
            Request::DLedger(rpc) => match &**rpc {
                Rpc::Push(push) => match &push.push {
                    Push::Append(entry) | Push::Compare(entry) | Push::Truncate(entry) => 200 + entry.size,
                    Push::Commit => 200,
                },
                _ => 200,
            },
            Request::Register(registration) => 400 + 120 * registration.topics.len() as u32,
            _ => 220,
        }
    }
}

/// What a server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A bare code: SUCCESS without a body, or an error.
    Code(u16),
    /// SUCCESS, FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT or SLAVE_NOT_AVAILABLE: stored.
    Sent {
        code: u16,
        queue_id: i32,
        queue_offset: u64,
        phys: u64,
    },
    Pulled {
        code: u16,
        next_begin: u64,
        min: u64,
        max: u64,
        suggest_broker_id: u64,
        messages: Vec<Message>,
    },
    Offset(u64),
    Members(Arc<[Arc<str>]>),
    Locked(Arc<[MessageQueue]>),
    Registered {
        master_addr: Option<Addr>,
        ha_addr: Option<Addr>,
    },
    Route(Arc<TopicRouteData>),
    TopicConfigs(DataVersion, Arc<BTreeMap<TopicId, TopicConfig>>),
    ConsumerOffsets(Arc<[OffsetRow]>),
    /// By level.
    DelayOffsets(Arc<[u64]>),
    SubscriptionGroups(Arc<[GroupId]>),
    DLedger(RpcAnswer),
}

impl Answer {
    pub fn code(&self) -> u16 {
        match self {
            Answer::Code(code) | Answer::Sent { code, .. } | Answer::Pulled { code, .. } => *code,
            _ => answer_code::SUCCESS,
        }
    }
    pub fn bytes(&self) -> u32 {
        match self {
            Answer::Pulled { messages, .. } => {
                200 + messages.iter().map(|m| 100 + m.body_len + m.properties_len as u32).sum::<u32>()
            }
            Answer::Members(list) => 100 + 40 * list.len() as u32,
            Answer::Route(route) => 200 + 150 * route.queue_datas.len() as u32,
            Answer::TopicConfigs(_, topics) => 200 + 120 * topics.len() as u32,
            Answer::ConsumerOffsets(rows) => 100 + 30 * rows.len() as u32,
            _ => 150,
        }
    }
}

impl Frame {
    /// Bytes on the wire.
    pub fn bytes(&self) -> u32 {
        match &self.body {
            Body::Request { request, .. } => request.bytes(),
            Body::Answer(answer) => answer.bytes(),
            Body::Ha(HaFrame::Report(_)) => 8,
            Body::Ha(HaFrame::Transfer { bytes, .. }) => 12 + bytes,
        }
    }
}
