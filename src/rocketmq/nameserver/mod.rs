//! The nameserver: route tables, and the process around them.

pub mod role;
pub mod route_info;
