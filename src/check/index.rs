//! Dense numbers for queues, members and (group, queue) pairs, so that a hot note finds its rows by indexing.
//!
//! Ids of topics, brokers and groups are small already; what is missing is the queue. A table by (topic, broker) holds a row by queue
//! id, and each queue lists the few groups that read it. A queue as one group reads it is called a *feed*: nearly everything that is
//! judged (offsets, owners, stalls, copies) is judged feed by feed.

use super::facts::RunFacts;
use crate::base::ids::{GroupId, MessageQueue, NodeId, TopicId};
use crate::base::names::Names;
use smallvec::SmallVec;
use std::sync::Arc;

/// A vector that grows to whatever index is asked for.
#[derive(Clone, Debug)]
pub struct Rows<T>(Vec<T>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows(Vec::new())
    }
}

impl<T: Default + Clone> Rows<T> {
    #[inline]
    pub fn at(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, T::default());
        }
        &mut self.0[index]
    }
    pub fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize)
    }
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

/// A queue of a broker.
#[derive(Clone, Debug)]
pub struct Queue {
    pub mq: MessageQueue,
    /// The log that `top` belongs to.
    pub log: u16,
    /// Offset of the next record: one more than the highest stored.
    pub top: u64,
    /// Records below this offset were deleted with their log files.
    pub expired: u64,
    /// Not a retry topic: what counters about queues count.
    pub plain: bool,
    /// Groups that read it, each with its feed.
    pub readers: SmallVec<[(GroupId, u32); 2]>,
}

/// A queue as one group reads it.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    pub group: GroupId,
    pub queue: u32,
    pub plain: bool,
    /// An ordinary queue of a clustering group: what ownership, stalls and backlog are about.
    pub counted: bool,
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Indices into `RunFacts::consumers`; empty: nobody consumes by this name.
    pub members: Vec<u16>,
    pub broadcasting: bool,
    pub orderly: bool,
    pub topics: Vec<TopicId>,
    pub feeds: Vec<u32>,
}

impl Group {
    /// Queues are dealt out among the members.
    pub fn clustering(&self) -> bool {
        !self.members.is_empty() && !self.broadcasting
    }
}

#[derive(Clone, Debug)]
pub struct Index {
    names: Arc<Names>,
    brokers: usize,
    /// By topic · brokers + broker, then by queue id: queue number + 1.
    table: Vec<Vec<u32>>,
    pub queues: Vec<Queue>,
    pub feeds: Vec<Feed>,
    /// By `GroupId`.
    pub groups: Vec<Group>,
    /// By node: (group, number in the process, member).
    by_node: Vec<SmallVec<[(GroupId, u16, u16); 2]>>,
}

impl Index {
    pub fn new(facts: &RunFacts) -> Self {
        let names = facts.names.clone();
        let (topics, brokers) = (names.topics().count(), names.brokers().count());
        let mut index = Index {
            brokers,
            table: vec![Vec::new(); topics * brokers],
            queues: Vec::new(),
            feeds: Vec::new(),
            groups: vec![Group::default(); names.groups().count()],
            by_node: vec![SmallVec::new(); facts.nodes.len()],
            names,
        };
        for (member, consumer) in facts.consumers.iter().enumerate() {
            let group = &mut index.groups[consumer.group.0 as usize];
            group.members.push(member as u16);
            group.broadcasting |= consumer.broadcasting;
            group.orderly |= consumer.orderly;
            for (topic, _) in &consumer.subscriptions {
                if !group.topics.contains(topic) {
                    group.topics.push(*topic);
                }
            }
            index.by_node[consumer.node.0 as usize].push((consumer.group, consumer.index, member as u16));
        }
        for mq in &facts.queues {
            index.queue(*mq);
        }
        index
    }

    /// The number of a queue; a new one gets the feeds of all groups that subscribe to its topic.
    #[inline]
    pub fn queue(&mut self, mq: MessageQueue) -> u32 {
        let cell = mq.topic.0 as usize * self.brokers + mq.broker.0 as usize;
        match self.table[cell].get(mq.queue_id as usize) {
            Some(&number) if number > 0 => number - 1,
            _ => self.add_queue(cell, mq),
        }
    }

    #[cold]
    fn add_queue(&mut self, cell: usize, mq: MessageQueue) -> u32 {
        let number = self.queues.len() as u32;
        let retry_of = self.names.retry_group(mq.topic);
        self.queues.push(Queue { mq, log: 0, top: 0, expired: 0, plain: retry_of.is_none(), readers: SmallVec::new() });
        let row = &mut self.table[cell];
        let at = mq.queue_id.max(0) as usize;
        if at >= row.len() {
            row.resize(at + 1, 0);
        }
        row[at] = number + 1;
        for group in self.names.groups() {
            if retry_of == Some(group) || self.groups[group.0 as usize].topics.contains(&mq.topic) {
                self.add_feed(group, number);
            }
        }
        number
    }

    fn add_feed(&mut self, group: GroupId, queue: u32) -> u32 {
        let feed = self.feeds.len() as u32;
        let plain = self.queues[queue as usize].plain;
        self.feeds.push(Feed { group, queue, plain, counted: plain && self.groups[group.0 as usize].clustering() });
        self.queues[queue as usize].readers.push((group, feed));
        self.groups[group.0 as usize].feeds.push(feed);
        feed
    }

    /// The feed of a group at a queue.
    #[inline]
    pub fn feed(&mut self, group: GroupId, mq: MessageQueue) -> u32 {
        let queue = self.queue(mq);
        match self.find(group, queue) {
            Some(feed) => feed,
            None => self.add_feed(group, queue),
        }
    }

    #[inline]
    pub fn find(&self, group: GroupId, queue: u32) -> Option<u32> {
        self.queues[queue as usize].readers.iter().find(|r| r.0 == group).map(|r| r.1)
    }

    /// The queue that a feed reads.
    pub fn queue_of(&self, feed: u32) -> &Queue {
        &self.queues[self.feeds[feed as usize].queue as usize]
    }

    pub fn group(&self, group: GroupId) -> &Group {
        &self.groups[group.0 as usize]
    }

    /// The member of this group in this process.
    #[inline]
    pub fn member(&self, node: NodeId, group: GroupId) -> Option<u16> {
        self.by_node.get(node.0 as usize)?.iter().find(|m| m.0 == group).map(|m| m.2)
    }

    /// The member whose listener this is.
    #[inline]
    pub fn listener(&self, node: NodeId, group: GroupId, consumer: u16) -> Option<u16> {
        let here = self.by_node.get(node.0 as usize)?;
        here.iter().find(|m| m.0 == group && m.1 == consumer).or_else(|| here.iter().find(|m| m.0 == group)).map(|m| m.2)
    }

    /// Members in this process.
    pub fn members_at(&self, node: NodeId) -> SmallVec<[(GroupId, u16); 2]> {
        self.by_node.get(node.0 as usize).into_iter().flatten().map(|m| (m.0, m.2)).collect()
    }

    /// "broker-a:3", with the topic before it where the group reads several.
    pub fn feed_name(&self, feed: u32) -> String {
        let group = self.group(self.feeds[feed as usize].group);
        let queue = self.queue_of(feed);
        let name = self.names.queue(queue.mq);
        if queue.plain && group.topics.len() <= 1 { name } else { format!("{}/{name}", self.names.topic_name(queue.mq.topic)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script;

    #[test]
    fn queues_and_feeds_keep_their_numbers() {
        let facts = script::facts();
        let mut index = Index::new(&facts);
        let cg = facts.names.group("cg").unwrap();
        let (first, last) = (facts.queues[0], *facts.queues.last().unwrap());
        assert_eq!(index.feed(cg, first), index.feed(cg, first));
        assert_ne!(index.feed(cg, first), index.feed(cg, last));
        let retry = MessageQueue { topic: facts.names.retry_topic(cg), ..first };
        let feed = index.feed(cg, retry);
        assert!(!index.feeds[feed as usize].plain);
        assert_eq!(index.feed_name(feed), "%RETRY%cg/broker-a:0");
        assert_eq!(index.member(script::node(&facts, "c2"), cg), Some(1));
        // A queue that nobody announced has its readers from the start.
        let late = MessageQueue { queue_id: 9, ..first };
        let number = index.queue(late);
        assert!(index.find(cg, number).is_some());
    }
}
