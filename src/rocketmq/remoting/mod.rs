//! Remoting: RocketMQ's request/answer layer over sockets, both ends.
//!
//! `NettyRemotingAbstract`, `NettyRemotingClient`, `NettyRemotingServer` (4.9.8). Which timer fires, which timeout closes a connection
//! and what a close fails at once decide most outage windows, so all of it is here as plain state; the driver owns sockets only.

pub mod client;
pub mod idle;
pub mod server;
pub mod timers;
