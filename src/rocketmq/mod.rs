//! RocketMQ's own logic, pure: the same rules, names and constants as the Java classes each file cites.

pub mod broker;
pub mod client;
pub mod filter;
pub mod nameserver;
pub mod route;
pub mod settings;
