//! High availability: how a broker's log comes to lie on more than one host, and who may answer for it.
//!
//! Each mode is a machine of its own beside the broker's store; none of them knows a socket, a file or a thread.

pub mod dledger;
