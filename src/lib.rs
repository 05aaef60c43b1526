//! placeholder
pub mod base;
pub mod contract;
pub mod rocketmq;
pub mod run;
pub mod scenario;
pub mod world;
