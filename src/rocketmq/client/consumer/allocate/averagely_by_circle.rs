//! Queues dealt out in turn, like cards: member i of m takes i, i + m, i + 2m and so on.
//!
//! The queues of one broker spread over the members instead of filling one member's block. Models
//! `AllocateMessageQueueAveragelyByCircle` (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy, check};
use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use std::sync::Arc;

/// `AllocateMessageQueueAveragelyByCircle#getName`.
pub const NAME: &str = "AVG_BY_CIRCLE";

/// The dealing strategy.
#[derive(Clone, Copy, Debug)]
pub struct AveragelyByCircle;

impl AllocateMessageQueueStrategy for AveragelyByCircle {
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
        Ok(mq_all.iter().skip(index).step_by(cid_all.len()).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cids, queues, shares};
    use super::*;

    #[test]
    fn dealt_in_turn() {
        let (names, seven) = queues(&["x"], 7);
        assert_eq!(shares(&AveragelyByCircle, &names, &seven, &cids(&["a", "b", "c"])), [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        let (names, one) = queues(&["x"], 1);
        assert_eq!(shares(&AveragelyByCircle, &names, &one, &cids(&["a", "b"])), [vec![0], vec![]]);
    }
}
