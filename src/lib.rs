//! placeholder
pub mod base;
pub mod rocketmq;
