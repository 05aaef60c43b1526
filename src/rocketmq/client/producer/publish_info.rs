//! The queues a producer may write to, and the turn-taking among them.
//!
//! A route becomes a flat list of queues once; each sending thread then walks the list with its own counter. The
//! counter lives with (thread, list), so a new route restarts the walk. Avoiding the broker that has just failed is
//! nothing but walking on. Models `TopicPublishInfo`, `ThreadLocalIndex`,
//! `MQClientInstance#topicRouteData2TopicPublishInfo` and `#topicRouteData2TopicSubscribeInfo` (4.9.8).

use crate::base::ids::{BrokerName, MessageQueue, TopicId};
use crate::base::names::Names;
use crate::rocketmq::filter::java_split;
use crate::rocketmq::route::{TopicRouteData, is_readable, is_writable};

/// One thread's place in a list: `ThreadLocalIndex` (4.9.8). Java seeds it with a random number; here the caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadLocalIndex(i32);

impl ThreadLocalIndex {
    /// An index whose next value is one past `index`.
    pub const fn starting_at(index: i32) -> Self {
        ThreadLocalIndex(index)
    }

    /// Steps and returns the value without its sign bit, so the sequence runs from 2^31 - 1 on to 0.
    pub fn increment_and_get(&mut self) -> i32 {
        self.0 = self.0.wrapping_add(1);
        self.0 & i32::MAX
    }
}

/// What a producer knows of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPublishInfo {
    /// The list came from an order configuration.
    pub order_topic: bool,
    /// A route has been seen, even one with nothing to write to. `haveTopicRouterInfo` in Java.
    pub have_route: bool,
    /// The queues in the order they are walked.
    pub queues: Vec<MessageQueue>,
}

impl TopicPublishInfo {
    /// Whether there is anything to write to.
    pub fn ok(&self) -> bool {
        !self.queues.is_empty()
    }

    /// The next queue in turn; none if there are no queues (Java divides by zero there).
    pub fn select_in_turn(&self, index: &mut ThreadLocalIndex) -> Option<MessageQueue> {
        self.next_position(index).map(|position| self.queues[position])
    }

    /// The next queue of another broker than `last_broker`. After one fruitless round, the next queue whatever it is:
    /// with a single broker each retry therefore takes one step more than there are queues.
    pub fn select_one_message_queue(
        &self,
        index: &mut ThreadLocalIndex,
        last_broker: Option<BrokerName>,
    ) -> Option<MessageQueue> {
        if let Some(last) = last_broker {
            for _ in 0..self.queues.len() {
                let queue = self.select_in_turn(index)?;
                if queue.broker != last {
                    return Some(queue);
                }
            }
        }
        self.select_in_turn(index)
    }

    pub(super) fn next_position(&self, index: &mut ThreadLocalIndex) -> Option<usize> {
        let step = index.increment_and_get() as usize;
        step.checked_rem(self.queues.len())
    }
}

/// An order configuration that does not read as `broker:count;broker:count`. In Java the unchecked exception escapes
/// from the route update.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderConfError {
    /// An entry without a count.
    #[error("order configuration entry {0:?} has no `:count`")]
    NoCount(String),
    /// A count that is no 32-bit integer.
    #[error("order configuration entry {0:?} does not count its queues with an integer")]
    BadCount(String),
}

/// Reads an order configuration as (broker name, number of queues), in its own order. A scenario runs its texts through
/// here so that it can name every broker they mention.
pub fn parse_order_conf(text: &str) -> Result<Vec<(&str, i32)>, OrderConfError> {
    let entry = |entry: &'_ str| -> Result<i32, OrderConfError> {
        let count = *java_split(entry, ":").get(1).ok_or_else(|| OrderConfError::NoCount(entry.to_owned()))?;
        count.parse().map_err(|_| OrderConfError::BadCount(entry.to_owned()))
    };
    java_split(text, ";").into_iter().map(|e| Ok((java_split(e, ":").first().copied().unwrap_or(""), entry(e)?))).collect()
}

/// The queues a producer may write to: `MQClientInstance#topicRouteData2TopicPublishInfo` (4.9.8).
///
/// An order configuration wins over everything, permissions and missing masters included. A broker it mentions that no
/// name stands for has no address either and could only fail every send; its queues are left out.
pub fn topic_route_data_to_publish_info(
    names: &Names,
    topic: TopicId,
    route: &TopicRouteData,
) -> Result<TopicPublishInfo, OrderConfError> {
    let mut info = TopicPublishInfo { order_topic: false, have_route: true, queues: Vec::new() };
    if let Some(conf) = route.order_topic_conf.as_deref().filter(|conf| !conf.is_empty()) {
        info.order_topic = true;
        for (name, count) in parse_order_conf(conf)? {
            let Some(broker) = names.broker(name) else {
                continue;
            };
            info.queues.extend((0..count).map(|queue_id| MessageQueue { topic, broker, queue_id }));
        }
        return Ok(info);
    }
    let mut queue_datas: Vec<_> = route.queue_datas.iter().filter(|data| is_writable(data.perm)).collect();
    queue_datas.sort_by_key(|data| data.broker);
    for data in queue_datas {
        if route.broker(data.broker).and_then(|broker| broker.master()).is_some() {
            let queue = |id| MessageQueue { topic, broker: data.broker, queue_id: id as i32 };
            info.queues.extend((0..data.write_queue_nums).map(queue));
        }
    }
    Ok(info)
}

/// The queues a consumer may read from, sorted: `MQClientInstance#topicRouteData2TopicSubscribeInfo` (4.9.8). Java
/// leaves them in a set; whoever allocates sorts them. Slaves can be read, so no master is asked for.
pub fn topic_route_data_to_subscribe_info(topic: TopicId, route: &TopicRouteData) -> Vec<MessageQueue> {
    let mut queues: Vec<MessageQueue> = route
        .queue_datas
        .iter()
        .filter(|data| is_readable(data.perm))
        .flat_map(|data| (0..data.read_queue_nums).map(|id| MessageQueue { topic, broker: data.broker, queue_id: id as i32 }))
        .collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::Addr;
    use crate::base::names::NamesBuilder;
    use crate::rocketmq::route::{BrokerData, QueueData};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn queue(broker: u16, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: TopicId(0), broker: BrokerName(broker), queue_id }
    }
    fn info(queues: Vec<MessageQueue>) -> TopicPublishInfo {
        TopicPublishInfo { queues, ..TopicPublishInfo::default() }
    }

    #[test]
    fn the_index_wraps_to_zero() {
        let mut index = ThreadLocalIndex::starting_at(i32::MAX - 1);
        assert_eq!([0; 3].map(|_| index.increment_and_get()), [i32::MAX, 0, 1]);
    }

    #[test]
    fn a_single_broker_costs_a_retry_one_step_more_than_its_queues() {
        let info = info(vec![queue(0, 0), queue(0, 1)]);
        let mut index = ThreadLocalIndex::starting_at(-1);
        assert_eq!(info.select_one_message_queue(&mut index, Some(BrokerName(0))), Some(queue(0, 0)));
        assert_eq!(index, ThreadLocalIndex::starting_at(2));
    }

    #[test]
    fn order_conf_texts() {
        for (text, expect) in [
            ("broker-b:2;broker-a:3", Ok(vec![("broker-b", 2), ("broker-a", 3)])),
            ("a:1;", Ok(vec![("a", 1)])),
            ("a:1:9", Ok(vec![("a", 1)])),
            ("a:-1", Ok(vec![("a", -1)])),
            ("a", Err(OrderConfError::NoCount("a".into()))),
            ("a:", Err(OrderConfError::NoCount("a:".into()))),
            (";a:1", Err(OrderConfError::NoCount("".into()))),
            ("a:x", Err(OrderConfError::BadCount("a:x".into()))),
        ] {
            assert_eq!(parse_order_conf(text), expect, "{text:?}");
        }
    }

    #[test]
    fn an_order_conf_overrides_permission_and_skips_the_unknown() {
        let mut names = NamesBuilder::default();
        names.broker("a").broker("b").topic("T");
        let names = names.freeze();
        let route = TopicRouteData {
            queue_datas: vec![QueueData { broker: BrokerName(0), read_queue_nums: 1, write_queue_nums: 1, perm: 0 }],
            broker_datas: vec![BrokerData { broker: BrokerName(0), cluster: 0, addrs: BTreeMap::from([(1, Addr(0))]) }],
            order_topic_conf: Some("b:1;nobody:7;a:2".into()),
        };
        let got = topic_route_data_to_publish_info(&names, TopicId(0), &route).unwrap();
        assert!(got.order_topic && got.have_route);
        assert_eq!(got.queues, [queue(1, 0), queue(0, 0), queue(0, 1)]);
        assert_eq!(topic_route_data_to_subscribe_info(TopicId(0), &route), []);
    }

    proptest! {
        #[test]
        fn the_last_broker_is_avoided_if_there_is_another(start in any::<i32>(), sizes in proptest::collection::vec(1..4i32, 1..5), last in 0..5u16) {
            let queues: Vec<_> = sizes.iter().enumerate().flat_map(|(b, n)| (0..*n).map(move |q| queue(b as u16, q))).collect();
            let info = info(queues);
            let got = info.select_one_message_queue(&mut ThreadLocalIndex::starting_at(start), Some(BrokerName(last))).unwrap();
            prop_assert!(got.broker != BrokerName(last) || sizes.len() == 1);
        }
    }
}
