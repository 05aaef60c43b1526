//! Checks: one invariant a file, told every note, never a role's insides.
//!
//! Laws hold in every run: no phantom, conservation, one lock holder at a broker, an orderly listener has its queue to itself. The other files
//! measure what a scenario may bound: order, ownership, takeover, convergence, offsets, stalls, copies, losses, ghosts, durability, the stages of an outage. They share three
//! tables: [`index`] (dense numbers), [`ledger`] (messages), [`roster`] (who lives); [`facts`] is what they are told beforehand and [`verdict`]
//! how everything is judged. Each keeps numbers, not histories. [`crate::meter`] feeds them and turns them into counters.

pub mod chunked;
pub mod conservation;
pub mod convergence;
pub mod covered;
pub mod delivery;
pub mod durability;
pub mod facts;
pub mod index;
pub mod law;
pub mod ledger;
pub mod listener;
pub mod lock_holder;
pub mod losses;
pub mod members;
pub mod offsets;
pub mod order;
pub mod ownership;
pub mod phantom;
pub mod replicas;
pub mod roster;
pub mod stages;
pub mod stalls;
pub mod takeover;
pub mod verdict;

#[cfg(test)]
pub(crate) mod script;

pub use facts::{ConsumerFacts, FaultFacts, NodeFacts, NodeKind, ProducerFacts, RunFacts, TagFilter, Waits};
pub use verdict::{Expected, judge, overall};
