//! What a client knows of each topic, in the order of their names.
//!
//! Java's `ConcurrentHashMap<String /* topic */, ..>` (`topicRouteTable`, `topicPublishInfoTable`; 4.9.8). A client knows few of the many topics of a
//! cluster, so it holds rows for those alone: one row a topic of the cluster would make ten thousand clients hold mostly nothing.

use crate::base::ids::TopicId;

/// Rows by topic.
#[derive(Clone, Debug)]
pub(super) struct ByTopic<T>(Vec<(TopicId, T)>);

impl<T> Default for ByTopic<T> {
    fn default() -> Self {
        ByTopic(Vec::new())
    }
}

impl<T> ByTopic<T> {
    fn place(&self, topic: TopicId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&topic, |row| row.0)
    }
    #[inline]
    pub(super) fn get(&self, topic: TopicId) -> Option<&T> {
        self.place(topic).ok().map(|at| &self.0[at].1)
    }
    #[inline]
    pub(super) fn get_mut(&mut self, topic: TopicId) -> Option<&mut T> {
        self.place(topic).ok().map(|at| &mut self.0[at].1)
    }
    /// A topic's row becomes this one.
    pub(super) fn set(&mut self, topic: TopicId, row: T) {
        match self.place(topic) {
            Ok(at) => self.0[at].1 = row,
            Err(at) => self.0.insert(at, (topic, row)),
        }
    }
    pub(super) fn topics(&self) -> impl Iterator<Item = TopicId> + '_ {
        self.0.iter().map(|row| row.0)
    }
    pub(super) fn rows(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|row| &row.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_the_last_one_counts() {
        let mut table = ByTopic::default();
        for (topic, row) in [(5, 'a'), (1, 'b'), (9, 'c'), (5, 'd')] {
            table.set(TopicId(topic), row);
        }
        assert_eq!(table.topics().collect::<Vec<_>>(), [TopicId(1), TopicId(5), TopicId(9)]);
        assert_eq!(table.rows().collect::<String>(), "bdc");
        assert_eq!((table.get(TopicId(9)), table.get(TopicId(2))), (Some(&'c'), None));
        assert_eq!((table.get_mut(TopicId(5)).copied(), table.get_mut(TopicId(10))), (Some('d'), None));
    }
}
