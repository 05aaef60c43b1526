//! Consecutive blocks, as equal as can be; the first members get one queue more where it does not come out even.
//!
//! One member more or less shifts nearly every block, which is why rebalancing under this default moves so many queues.
//! Models `AllocateMessageQueueAveragely` (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy, check};
use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use std::sync::Arc;

/// `AllocateMessageQueueAveragely#getName`.
pub const NAME: &str = "AVG";

/// The default strategy.
#[derive(Clone, Copy, Debug)]
pub struct Averagely;

impl AllocateMessageQueueStrategy for Averagely {
    fn name(&self) -> String {
        NAME.to_owned()
    }
    fn allocate(
        &self,
        _: &Names,
        current_cid: &str,
        mq_all: &[MessageQueue],
        cid_all: &[Arc<str>],
    ) -> Result<Vec<MessageQueue>, AllocateError> {
        let Some(index) = check(current_cid, mq_all, cid_all)? else {
            return Ok(Vec::new());
        };
        let (each, left_over) = (mq_all.len() / cid_all.len(), mq_all.len() % cid_all.len());
        let start = index * each + index.min(left_over);
        let len = each + usize::from(index < left_over);
        Ok(mq_all[start..start + len].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cids, queues, shares};
    use super::*;

    #[test]
    fn blocks() {
        for (n, members, expect) in [
            (10, &["a", "b", "c"][..], vec![vec![0, 1, 2, 3], vec![4, 5, 6], vec![7, 8, 9]]),
            (8, &["a", "b", "c"], vec![vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]),
            (3, &["a", "b", "c", "d", "e"], vec![vec![0], vec![1], vec![2], vec![], vec![]]),
            (7, &["a", "b"], vec![vec![0, 1, 2, 3], vec![4, 5, 6]]),
            (1, &["a", "b", "c"], vec![vec![0], vec![], vec![]]),
        ] {
            let (names, queues) = queues(&["x"], n);
            assert_eq!(shares(&Averagely, &names, &queues, &cids(members)), expect, "{n} queues");
        }
    }
}
