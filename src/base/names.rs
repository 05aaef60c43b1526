//! The names of a run, frozen once: topics, groups, broker names, each with a small id.
//!
//! Ids follow the order of the names in UTF-16 code units, which is how Java compares strings, so that sorting ids
//! is sorting names. Everything a run can ever name is known when the scenario is resolved: for each consumer group its
//! retry and dead-letter topics are named with it, whether or not they come to exist.

use super::ids::{BrokerName, GroupId, MessageQueue, TopicId};
use super::java_map::string_hash;
use std::sync::Arc;

/// `MixAll.RETRY_GROUP_TOPIC_PREFIX` (4.9.8).
pub const RETRY_PREFIX: &str = "%RETRY%";
/// `MixAll.DLQ_GROUP_TOPIC_PREFIX` (4.9.8).
pub const DLQ_PREFIX: &str = "%DLQ%";

/// Collects names in any order; [`NamesBuilder::freeze`] sorts them.
#[derive(Clone, Debug, Default)]
pub struct NamesBuilder {
    topics: Vec<String>,
    groups: Vec<String>,
    brokers: Vec<String>,
}

impl NamesBuilder {
    pub fn topic(&mut self, name: &str) -> &mut Self {
        self.topics.push(name.to_owned());
        self
    }
    /// Names a group and, with it, its retry and dead-letter topics.
    pub fn group(&mut self, name: &str) -> &mut Self {
        self.groups.push(name.to_owned());
        self.topics.push(format!("{RETRY_PREFIX}{name}"));
        self.topics.push(format!("{DLQ_PREFIX}{name}"));
        self
    }
    pub fn broker(&mut self, name: &str) -> &mut Self {
        self.brokers.push(name.to_owned());
        self
    }
    /// Sorts, removes doubles and hands out the ids.
    pub fn freeze(self) -> Names {
        let topics = sorted(self.topics);
        let groups = sorted(self.groups);
        let brokers = sorted(self.brokers);
        let find = |name: String| position(&topics, &name).map(|i| TopicId(i as u16));
        let retry = groups.iter().map(|g| find(format!("{RETRY_PREFIX}{g}"))).collect();
        let dlq = groups.iter().map(|g| find(format!("{DLQ_PREFIX}{g}"))).collect();
        let retry_of = topics
            .iter()
            .map(|t| t.strip_prefix(RETRY_PREFIX).and_then(|g| position(&groups, g)).map(|i| GroupId(i as u16)))
            .collect();
        let dlq_of = topics
            .iter()
            .map(|t| t.strip_prefix(DLQ_PREFIX).and_then(|g| position(&groups, g)).map(|i| GroupId(i as u16)))
            .collect();
        let hashes = |names: &[Arc<str>]| names.iter().map(|name| string_hash(name)).collect();
        let (topic_hashes, broker_hashes) = (hashes(&topics), hashes(&brokers));
        Names { topics, groups, brokers, retry, dlq, retry_of, dlq_of, topic_hashes, broker_hashes }
    }
}

/// Java's string order: by UTF-16 code units.
///
/// Bytes of UTF-8 have the same order, unless the first difference is between a character from U+E000 on and one beyond U+FFFF, whose
/// surrogates come earlier. Both begin with a byte of at least 0xEE, so nearly always the first bytes that differ decide, and of two texts one of which is plain
/// ASCII always: then they are compared whole.
pub fn java_cmp(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() {
        return a.as_bytes().cmp(b.as_bytes());
    }
    match a.bytes().zip(b.bytes()).find(|(x, y)| x != y) {
        None => a.len().cmp(&b.len()),
        Some((x, y)) if x < 0xEE || y < 0xEE => x.cmp(&y),
        Some(_) => a.encode_utf16().cmp(b.encode_utf16()),
    }
}

fn sorted(mut names: Vec<String>) -> Vec<Arc<str>> {
    names.sort_by(|a, b| java_cmp(a, b));
    names.dedup();
    names.into_iter().map(Arc::from).collect()
}

fn position(sorted: &[Arc<str>], name: &str) -> Option<usize> {
    sorted.binary_search_by(|probe| java_cmp(probe, name)).ok()
}

/// The frozen table. Shared by every role of a run as `Arc<Names>`.
#[derive(Clone, Debug, Default)]
pub struct Names {
    topics: Vec<Arc<str>>,
    groups: Vec<Arc<str>>,
    brokers: Vec<Arc<str>>,
    retry: Vec<Option<TopicId>>,
    dlq: Vec<Option<TopicId>>,
    retry_of: Vec<Option<GroupId>>,
    dlq_of: Vec<Option<GroupId>>,
    topic_hashes: Vec<i32>,
    broker_hashes: Vec<i32>,
}

impl Names {
    pub fn topic(&self, name: &str) -> Option<TopicId> {
        position(&self.topics, name).map(|i| TopicId(i as u16))
    }
    pub fn group(&self, name: &str) -> Option<GroupId> {
        position(&self.groups, name).map(|i| GroupId(i as u16))
    }
    pub fn broker(&self, name: &str) -> Option<BrokerName> {
        position(&self.brokers, name).map(|i| BrokerName(i as u16))
    }
    pub fn topic_name(&self, id: TopicId) -> &Arc<str> {
        &self.topics[id.0 as usize]
    }
    pub fn group_name(&self, id: GroupId) -> &Arc<str> {
        &self.groups[id.0 as usize]
    }
    pub fn broker_name(&self, id: BrokerName) -> &Arc<str> {
        &self.brokers[id.0 as usize]
    }
    pub fn topics(&self) -> impl Iterator<Item = TopicId> + use<> {
        (0..self.topics.len() as u16).map(TopicId)
    }
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups.len() as u16).map(GroupId)
    }
    pub fn brokers(&self) -> impl Iterator<Item = BrokerName> + use<> {
        (0..self.brokers.len() as u16).map(BrokerName)
    }
    /// `%RETRY%group`. Every group is named together with its retry topic, so this always exists.
    pub fn retry_topic(&self, group: GroupId) -> TopicId {
        self.retry[group.0 as usize].unwrap_or(TopicId(u16::MAX))
    }
    /// `%DLQ%group`.
    pub fn dlq_topic(&self, group: GroupId) -> TopicId {
        self.dlq[group.0 as usize].unwrap_or(TopicId(u16::MAX))
    }
    /// The group whose retry topic this is.
    pub fn retry_group(&self, topic: TopicId) -> Option<GroupId> {
        self.retry_of.get(topic.0 as usize).copied().flatten()
    }
    /// The group whose dead-letter topic this is.
    pub fn dlq_group(&self, topic: TopicId) -> Option<GroupId> {
        self.dlq_of.get(topic.0 as usize).copied().flatten()
    }
    /// `String#hashCode` of a topic's name.
    pub fn topic_hash(&self, id: TopicId) -> i32 {
        self.topic_hashes[id.0 as usize]
    }
    /// `String#hashCode` of a broker's name.
    pub fn broker_hash(&self, id: BrokerName) -> i32 {
        self.broker_hashes[id.0 as usize]
    }
    /// `MessageQueue#hashCode` (4.9.8).
    pub fn queue_hash(&self, mq: MessageQueue) -> i32 {
        let of = |hash: i32, part: i32| hash.wrapping_mul(31).wrapping_add(part);
        of(of(of(1, self.broker_hash(mq.broker)), mq.queue_id), self.topic_hash(mq.topic))
    }
    /// "broker-a:3", as the live summaries and `mqadmin` spell a queue.
    pub fn queue(&self, mq: MessageQueue) -> String {
        format!("{}:{}", self.broker_name(mq.broker), mq.queue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::java_map::JavaMap;
    use super::*;

    #[test]
    fn ids_follow_javas_order_of_names() {
        let mut b = NamesBuilder::default();
        b.topic("b").topic("a").topic("B").topic("a").group("cg").broker("broker-b").broker("broker-a").broker("broker-10");
        let n = b.freeze();
        assert!(n.topic("B") < n.topic("a") && n.topic("a") < n.topic("b"));
        assert!(n.broker("broker-10") < n.broker("broker-a"));
        let cg = n.group("cg").unwrap();
        assert_eq!(&**n.topic_name(n.retry_topic(cg)), "%RETRY%cg");
        assert_eq!(n.retry_group(n.topic("%RETRY%cg").unwrap()), Some(cg));
        assert_eq!(n.dlq_group(n.topic("%DLQ%cg").unwrap()), Some(cg));
        // U+FFFF sorts after a surrogate pair in Java, before it in UTF-8.
        assert_eq!(java_cmp("\u{ffff}", "\u{10000}"), std::cmp::Ordering::Greater);
    }

    /// The order in which a `HashSet<MessageQueue>` of Java 17, filled in order, listed the queues of one topic.
    #[test]
    fn queues_are_listed_as_java_lists_them() {
        let table = [(2, 4, "a2 b3 a1 b2 a3 a0 b1 b0"), (3, 5, "c0 a0 b1 c2 b0 c1 a2 b3 c4 a1 b2 c3 a4 a3 b4")];
        for (brokers, queues, listed) in table {
            let mut b = NamesBuilder::default();
            b.topic("T").broker("broker-a").broker("broker-b").broker("broker-c");
            let n = b.freeze();
            let mut all: Vec<MessageQueue> = (0..brokers)
                .flat_map(|b| {
                    (0..queues).map(move |queue_id| MessageQueue { topic: TopicId(0), broker: BrokerName(b), queue_id })
                })
                .collect();
            JavaMap::Hash.list(&mut all, |mq| n.queue_hash(*mq));
            let short: Vec<String> = all.iter().map(|mq| n.queue(*mq).replace("broker-", "").replace(':', "")).collect();
            assert_eq!(short.join(" "), listed);
        }
    }

    #[test]
    fn javas_order_is_that_of_utf16() {
        let parts = ["", "a", "b", "\u{7f}", "\u{80}", "\u{7ff}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}"];
        let words: Vec<String> = parts.iter().flat_map(|x| parts.iter().map(move |y| format!("x{x}{y}"))).collect();
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            assert_eq!(java_cmp(a, b), a.encode_utf16().cmp(b.encode_utf16()), "{a:?} {b:?}");
        }
    }
}
