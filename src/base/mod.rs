//! What every room stands on: time as an integer, names as small ids, draws that are functions of what they
//! are for, and delays as integer quantile tables. Nothing here knows a broker, a socket or a scenario.

pub mod draw;
pub mod ids;
pub mod java_map;
pub mod names;
pub mod quantile;
pub mod size;
pub mod time;
