//! What a client process is configured with: its members and the settings they carry.

use crate::base::ids::{Addr, Entity, GroupId, TopicId};
use crate::base::names::Names;
use crate::contract::TxState;
use crate::rocketmq::client::consumer::allocate::Strategy;
use crate::rocketmq::settings::{ConsumerSettings, InstanceSettings, ProducerSettings, Rules};
use std::sync::Arc;

/// One client process.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub names: Arc<Names>,
    pub nameservers: Arc<[Addr]>,
    /// What comes before the `@` of a client id.
    pub client_ip: Arc<str>,
    pub new_ip_each_life: bool,
    /// Each thread whose answer has come asks the driver for [`WorkClass::Resume`](crate::contract::WorkClass::Resume) before it goes on.
    pub threads_resume_late: bool,
    /// Each thread whose request failed asks it for [`WorkClass::Failure`](crate::contract::WorkClass::Failure), twice; the rebalance thread asks for
    /// [`WorkClass::Log`](crate::contract::WorkClass::Log), which costs as much, when a share of queues has changed.
    pub failures_cost: bool,
    pub rules: Rules,
    pub cpus: u32,
    pub members: Vec<MemberConfig>,
}

/// A producer or consumer of the process.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    pub instance: InstanceSettings,
    /// Started with the process, or by a later command.
    pub started: bool,
    pub role: MemberKind,
}

#[derive(Clone, Debug)]
pub enum MemberKind {
    Producer(Arc<ProducerConfig>),
    Consumer(Arc<ConsumerConfig>),
}

/// How a producer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    Sync,
    Async,
    Oneway,
}

/// `DefaultMQProducer` with the application around it.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// The producer's name, hashed: its sends draw from it.
    pub entity: Entity,
    pub group: GroupId,
    pub settings: ProducerSettings,
    pub mode: SendMode,
    pub threads: u16,
    pub retry_response_codes: Vec<u16>,
    pub create_topic_key: TopicId,
    pub wait_store_msg_ok: bool,
    pub transaction: Option<(TxState, TxState)>,
}

/// `DefaultMQPushConsumer` with its listener.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub group: GroupId,
    pub settings: ConsumerSettings,
    pub orderly: bool,
    /// Topic and filter codes (`None`: everything).
    pub subscriptions: Vec<(TopicId, Option<Arc<[i32]>>)>,
    pub strategy: Strategy,
}
