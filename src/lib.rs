//! placeholder
pub mod base;
pub mod cli;
pub mod contract;
pub mod report;
pub mod rocketmq;
pub mod run;
pub mod world;
