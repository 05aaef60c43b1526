//! placeholder
pub mod base;
pub mod contract;
pub mod kernel;
pub mod rocketmq;
pub mod run;
pub mod world;
