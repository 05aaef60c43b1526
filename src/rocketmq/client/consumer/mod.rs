//! `DefaultMQPushConsumerImpl` and `RebalancePushImpl` (4.9.8): what a push consumer remembers.

pub mod allocate;
pub(super) mod concurrent;
pub(super) mod lifecycle;
pub(super) mod offsets;
pub(super) mod orderly;
pub mod process_queue;
pub mod pull;
pub(super) mod rebalance;

use self::process_queue::ProcessQueue;
use super::config::ConsumerConfig;
use super::instance::{Mutex, ServiceState};
use crate::base::ids::{Entity, MessageQueue, TopicId};
use crate::base::java_map::JavaMap;
use crate::base::names::Names;
use crate::contract::Now;
use crate::rocketmq::message::Message;
use crate::rocketmq::settings::MessageModel;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A subscription as this member holds it.
#[derive(Clone, Debug)]
pub(super) struct Subscribed {
    pub(super) sub_version: i64,
    /// Hashes of the wanted tags; `None`: everything.
    pub(super) codes: Option<Arc<[i32]>>,
}

/// A process queue with what hangs on it: its pull request, its offset in memory, its locks.
#[derive(Clone, Debug)]
pub(super) struct Pq {
    pub(super) mq: MessageQueue,
    pub(super) queue: ProcessQueue<Message>,
    /// The offset store's entry for this queue (memory).
    pub(super) offset: Option<u64>,
    /// `PullRequest.nextOffset`.
    pub(super) next_offset: i64,
    /// `PullRequest.previouslyLocked`.
    pub(super) previously_locked: bool,
    /// Broker id that the last answer suggested.
    pub(super) suggested: u64,
    pub(super) consume_lock: Mutex,
    /// Draws of this queue's pulls hang on the queue's names and on the offset asked for.
    pub(super) entity: Entity,
    pub(super) tries: u64,
    pub(super) tried_offset: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Consumer {
    /// Number among the members of the process.
    pub(super) index: u16,
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) state: ServiceState,
    pub(super) registered: bool,
    pub(super) subscriptions: BTreeMap<TopicId, Subscribed>,
    /// topicSubscribeInfoTable.
    pub(super) topic_queues: BTreeMap<TopicId, Arc<[MessageQueue]>>,
    /// processQueueTable.
    pub(super) table: BTreeMap<MessageQueue, u32>,
    /// The most that the table ever held, which is what its bins follow.
    pub(super) most_queues: usize,
    pub(super) pqs: Vec<Pq>,
    /// `MessageQueueLock` by queue.
    queue_mutexes: BTreeMap<MessageQueue, Mutex>,
    /// Input and result of the last allocation of each topic, for the notes.
    pub(super) allocated: BTreeMap<TopicId, (u16, u16, Arc<[MessageQueue]>)>,
    pub(super) threshold_for_queue: u64,
    pub(super) threshold_size_for_queue: u64,
    pub(super) shutting_down: bool,
}

impl Consumer {
    pub(super) fn new(index: u16, config: Arc<ConsumerConfig>, names: &Names, now: Now) -> Self {
        let mut subscriptions: BTreeMap<TopicId, Subscribed> = config
            .subscriptions
            .iter()
            .map(|(topic, codes)| (*topic, Subscribed { sub_version: now.wall_ms, codes: codes.clone() }))
            .collect();
        if config.settings.message_model == MessageModel::Clustering {
            subscriptions.insert(names.retry_topic(config.group), Subscribed { sub_version: now.wall_ms, codes: None });
        }
        Consumer {
            index,
            state: ServiceState::CreateJust,
            registered: false,
            subscriptions,
            topic_queues: BTreeMap::new(),
            table: BTreeMap::new(),
            most_queues: 0,
            pqs: Vec::new(),
            queue_mutexes: BTreeMap::new(),
            allocated: BTreeMap::new(),
            threshold_for_queue: config.settings.pull_threshold_for_queue,
            threshold_size_for_queue: config.settings.pull_threshold_size_for_queue,
            shutting_down: false,
            config,
        }
    }

    pub(super) fn clustering(&self) -> bool {
        self.config.settings.message_model == MessageModel::Clustering
    }

    /// Subscribed topics in the order of `RebalanceImpl.subscriptionInner`, a `ConcurrentHashMap` (4.9.8).
    pub(super) fn topics(&self, names: &Names) -> Vec<TopicId> {
        let mut topics: Vec<TopicId> = self.subscriptions.keys().copied().collect();
        JavaMap::Concurrent.list(&mut topics, |topic| names.topic_hash(*topic));
        topics
    }

    /// A subscribed topic whose queues are not known yet.
    pub(super) fn needs_queues(&self, topic: TopicId) -> bool {
        self.subscriptions.contains_key(&topic) && !self.topic_queues.contains_key(&topic)
    }
    pub(super) fn take_queues(&mut self, topic: TopicId, queues: &Arc<[MessageQueue]>) {
        if self.subscriptions.contains_key(&topic) {
            self.topic_queues.insert(topic, queues.clone());
        }
    }
    pub(super) fn queue_mutex(&mut self, p: u32) -> &mut Mutex {
        let mq = self.pqs[p as usize].mq;
        self.queue_mutexes.entry(mq).or_default()
    }
    pub(super) fn mutexes(&mut self) -> impl Iterator<Item = &mut Mutex> {
        self.queue_mutexes.values_mut().chain(self.pqs.iter_mut().map(|p| &mut p.consume_lock))
    }
    /// `getMaxReconsumeTimes`: -1 means 16 for concurrent listeners.
    pub(super) fn max_reconsume_times(&self) -> u16 {
        match self.config.settings.max_reconsume_times {
            n if n < 0 => 16,
            n => n.min(u16::MAX as i64) as u16,
        }
    }
}
