//! A list the user wrote down, whatever the route and the group say.
//!
//! It asks neither whether the queues exist nor whether this consumer is a member, so two consumers given the same list
//! both consume it. Models `AllocateMessageQueueByConfig` (4.9.8).

use super::{AllocateError, AllocateMessageQueueStrategy};
use crate::base::ids::MessageQueue;
use crate::base::names::Names;
use std::sync::Arc;

/// `AllocateMessageQueueByConfig#getName`.
pub const NAME: &str = "CONFIG";

/// The fixed list; empty where Java has null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The queues, in the order to be returned.
    pub queues: Arc<[MessageQueue]>,
}

impl AllocateMessageQueueStrategy for Config {
    fn name(&self) -> String {
        NAME.to_owned()
    }
    fn allocate(&self, _: &Names, _: &str, _: &[MessageQueue], _: &[Arc<str>]) -> Result<Vec<MessageQueue>, AllocateError> {
        Ok(self.queues.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::queues;
    use super::*;

    #[test]
    fn the_list_and_nothing_but_the_list() {
        let (names, queues) = queues(&["x"], 2);
        let config = Config { queues: queues.clone().into() };
        assert_eq!(config.allocate(&names, "", &[], &[]), Ok(queues));
        assert_eq!(Config::default().allocate(&names, "a", &[], &[]), Ok(vec![]));
    }
}
