//! Route updates: one topic from the chosen nameserver, and the poll over all of them.
//!
//! `MQClientInstance#updateTopicRouteInfoFromNameServer` (4.9.8; client spec 1.7). A route is never forgotten: an application error leaves the
//! last one in place. A transport error is thrown on, which ends the round of the periodic poll at that topic.

use super::instance::{Cx, Instance, LockId, ThreadId};
use super::ops::{Ret, Step};
use super::producer::publish_info::{topic_route_data_to_publish_info, topic_route_data_to_subscribe_info};
use crate::base::ids::{MessageQueue, TopicId};
use crate::base::java_map::JavaMap;
use crate::contract::note::Note;
use crate::rocketmq::protocol::{Answer, Request, code};
use crate::rocketmq::remoting::client::Target;
use crate::rocketmq::route::{self, TopicRouteData};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One topic.
#[derive(Clone, Debug)]
pub(super) struct UpdateRoute {
    topic: TopicId,
    /// Ask for this topic's route instead, with at most so many queues a broker: the auto-create form.
    default: Option<(TopicId, u32)>,
    asked: bool,
}

impl UpdateRoute {
    pub(super) fn of(topic: TopicId) -> Self {
        UpdateRoute { topic, default: None, asked: false }
    }
    pub(super) fn default_of(topic: TopicId, key: TopicId, queues: u32) -> Self {
        UpdateRoute { topic, default: Some((key, queues)), asked: false }
    }

    #[inline(never)]
    pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let got_lock = match ret {
            Ret::Go => i.lock(cx, t, LockId::Route, Some(3_000)),
            Ret::Lock(got) => Some(got),
            Ret::Rpc(result) => {
                i.unlock(cx, LockId::Route);
                return Step::Done(match result {
                    Ok(Answer::Route(route)) => Ret::Route(Ok(i.apply_route(cx, self.topic, self.shrunk(route)))),
                    Ok(_) => Ret::Route(Ok(false)),
                    Err(error) => {
                        i.note_failure(cx, code::GET_ROUTEINFO_BY_TOPIC, &error);
                        Ret::Route(Err(()))
                    }
                });
            }
            _ => Some(false),
        };
        match got_lock {
            None => Step::Block,
            Some(false) => Step::Done(Ret::Route(Ok(false))),
            Some(true) if self.asked => Step::Done(Ret::Route(Ok(false))),
            Some(true) => {
                self.asked = true;
                let topic = self.default.map_or(self.topic, |(key, _)| key);
                i.rpc(cx, t, Target::Nameserver, Request::Route { topic }, i.settings.mq_client_api_timeout)
            }
        }
    }

    fn shrunk(&self, route: Arc<TopicRouteData>) -> Arc<TopicRouteData> {
        let Some((_, queues)) = self.default else { return route };
        let mut route = (*route).clone();
        for data in &mut route.queue_datas {
            let n = queues.min(data.read_queue_nums);
            (data.read_queue_nums, data.write_queue_nums) = (n, n);
        }
        Arc::new(route)
    }
}

impl Instance {
    /// Step 2 and 3 of the update: what changed, and into which tables it goes.
    fn apply_route(&mut self, cx: &mut Cx<'_, '_>, topic: TopicId, new: Arc<TopicRouteData>) -> bool {
        let old = self.route(topic);
        let same = old.is_some_and(|old| Arc::ptr_eq(old, &new));
        let changed = !same && route::changed(old.map(|r| &**r), &new)
            || self.producers.iter().any(|p| p.needs_route(topic))
            || self.consumers.iter().any(|c| c.needs_queues(topic));
        if !changed {
            return false;
        }
        for broker in &new.broker_datas {
            self.addrs.set(broker.broker, &broker.addrs);
        }
        let names = self.config.names.clone();
        // An order configuration that cannot be parsed throws in Java; the topic then has no usable list.
        let info = topic_route_data_to_publish_info(&names, topic, &new).unwrap_or_default();
        if self.producers.len() > 1 {
            let mut brokers: Vec<_> = info.queues.iter().map(|q| q.broker).collect();
            brokers.dedup();
            cx.out.note(Note::PublishRouteBelieved { topic, queues: info.queues.len() as u16, brokers: brokers.into() });
        }
        for producer in &mut self.producers {
            producer.take_publish_info(topic, info.clone());
        }
        let queues: Arc<[MessageQueue]> = topic_route_data_to_subscribe_info(topic, &new).into();
        if self.consumers.iter().any(|c| c.subscriptions.contains_key(&topic)) {
            let mut brokers: Vec<_> = queues.iter().map(|q| q.broker).collect();
            brokers.dedup();
            cx.out.note(Note::SubscribeRouteBelieved { topic, brokers: brokers.into() });
        }
        for consumer in &mut self.consumers {
            consumer.take_queues(topic, &queues);
        }
        self.routes.set(topic, new);
        true
    }
}

/// The periodic form: every topic of this instance, one after the other.
#[derive(Clone, Debug)]
pub(super) struct PollRoutes {
    topics: Vec<TopicId>,
    next: usize,
}

impl PollRoutes {
    /// All topics that a consumer subscribes or a producer has in its publish table, as the `HashSet` of them lists them.
    pub(super) fn all(i: &Instance) -> Self {
        let mut topics = BTreeSet::new();
        for consumer in &i.consumers {
            topics.extend(consumer.subscriptions.keys().copied());
        }
        for producer in &i.producers {
            topics.extend(producer.topics());
        }
        let mut topics: Vec<TopicId> = topics.into_iter().collect();
        JavaMap::Hash.list(&mut topics, |topic| i.config.names.topic_hash(*topic));
        PollRoutes { topics, next: 0 }
    }

    #[inline(never)]
    pub(super) fn step(&mut self, _: &mut Instance, _: &mut Cx<'_, '_>, _: ThreadId, ret: Ret) -> Step {
        if matches!(ret, Ret::Route(Err(()))) || self.next >= self.topics.len() {
            return Step::Done(Ret::Unit);
        }
        self.next += 1;
        Step::Call(UpdateRoute::of(self.topics[self.next - 1]).into())
    }
}
