//! Generic discrete events: a queue, the written order, the digest. Knows nothing of brokers.

pub mod digest;
pub mod order;
pub mod queue;
