//! placeholder
pub mod base;
pub mod check;
pub mod contract;
pub mod meter;
pub mod rocketmq;
pub mod run;
pub mod world;
