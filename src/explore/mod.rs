//! Many runs: the same scenario under many seeds, spread over the cores. The only room with threads.
//!
//! A run is one thread and one value, so runs need nothing from each other; what a seed gives is put where that seed belongs, never where
//! its thread happened to finish. Whatever is printed is therefore the same with any number of threads. Of each run only its figures are
//! kept: a thousand seeds take a thousand small lists, not a thousand worlds.
//!
//! Reading order: [`figures`] (an outcome as named whole numbers), [`runs`] (seeds over threads), [`rank`] (quantiles and percentiles),
//! [`survey`] (the answer of `windtunnel seeds`), [`fidelity`] (simulated runs against real ones), [`durability`] (settings against faults).

pub mod durability;
pub mod fidelity;
pub mod figures;
pub mod rank;
pub mod runs;
pub mod survey;
