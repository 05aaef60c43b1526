//! windtunnel: a wind tunnel for RocketMQ clusters.
//!
//! A deterministic discrete-event simulator. Nameservers, brokers, producers and consumers run RocketMQ's own logic as pure state machines on a simulated
//! clock; faults strike them; checks say what was lost, doubled, reordered or late, and why. The same scenario and seed give the same bytes.
//!
//! The rooms, in reading order:
//!
//! 1. [`base`]: time, ids, names, draws, quantile tables.
//! 2. [`contract`]: the one page that every role obeys, and the notes that everybody speaks.
//! 3. [`rocketmq`]: the real logic, usable without the simulator.
//! 4. [`kernel`], [`world`]: events, and the world in which they happen.
//! 5. [`check`], [`meter`]: what the notes amount to.
//! 6. [`scenario`], [`run`], [`report`], [`cli`]: from a file to an answer.
//! 7. [`explore`]: many runs, on all cores.

pub mod base;
pub mod check;
pub mod cli;
pub mod contract;
pub mod explore;
pub mod kernel;
pub mod meter;
pub mod report;
pub mod rocketmq;
pub mod run;
pub mod scenario;
pub mod world;
