//! RocketMQ's own logic, pure: the same rules, names and constants as the Java classes each file cites.
//!
//! Reading order: [`message`] and [`protocol`], then [`remoting`], then the three kinds of process: [`nameserver`], [`broker`], [`client`].

pub mod broker;
pub mod client;
pub mod disk;
pub mod filter;
pub mod message;
pub mod nameserver;
pub mod protocol;
pub mod remoting;
pub mod route;
pub mod settings;
