//! Scenario + world + observers -> Outcome.
pub mod outcome;
