//! `ConsumerOffsetManager.offsetTable` (4.9.8), in memory and as consumerOffset.json holds it.
//!
//! By group, and within a group only the queues that it has committed: of the many queues of a large cluster a group reads few, and the whole table is written every
//! five seconds.

use crate::base::ids::GroupId;

/// Offsets of groups by the number of the consume queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerOffsets(Vec<Vec<(u32, u64)>>);

impl ConsumerOffsets {
    pub fn get(&self, group: GroupId, queue: usize) -> Option<u64> {
        let row = self.0.get(group.0 as usize)?;
        row.binary_search_by_key(&(queue as u32), |entry| entry.0).ok().map(|at| row[at].1)
    }
    /// Sets an offset; the answer is whether it was another one, or none.
    pub fn set(&mut self, group: GroupId, queue: usize, offset: u64) -> bool {
        let g = group.0 as usize;
        if self.0.len() <= g {
            self.0.resize(g + 1, Vec::new());
        }
        let row = &mut self.0[g];
        match row.binary_search_by_key(&(queue as u32), |entry| entry.0) {
            Ok(at) => std::mem::replace(&mut row[at].1, offset) != offset,
            Err(at) => {
                row.insert(at, (queue as u32, offset));
                true
            }
        }
    }
    /// Every offset, by group and queue.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, usize, u64)> + '_ {
        let row = |(group, row)| {
            let entries: &[(u32, u64)] = row;
            entries.iter().map(move |(queue, offset)| (GroupId(group as u16), *queue as usize, *offset))
        };
        self.0.iter().map(|row| &row[..]).enumerate().flat_map(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_by_group_and_queue() {
        let mut offsets = ConsumerOffsets::default();
        let steps = [(3, 7, 5, true), (1, 9, 4, true), (3, 2, 8, true), (3, 7, 5, false), (3, 7, 0, true), (1, 0, 0, true)];
        for (group, queue, offset, changes) in steps {
            assert_eq!(offsets.set(GroupId(group), queue, offset), changes, "{group} {queue} {offset}");
        }
        let all = [(1, 0, 0), (1, 9, 4), (3, 2, 8), (3, 7, 0)].map(|(group, queue, offset)| (GroupId(group), queue, offset));
        assert_eq!(offsets.iter().collect::<Vec<_>>(), all);
        assert_eq!((offsets.get(GroupId(3), 7), offsets.get(GroupId(3), 8), offsets.get(GroupId(9), 7)), (Some(0), None, None));
    }
}
