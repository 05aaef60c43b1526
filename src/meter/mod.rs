//! Meters: the same notes, counted. [`Watch`] hears every note, hands it to the checks and meters as dense numbers, and at the end
//! turns what they hold into laws, counters, figures, outages and chart series: everything of an outcome but its header and its verdict.

pub mod births;
pub mod clock;
pub mod counters;
mod crashes;
mod cuts;
mod disks;
mod drain;
mod findings;
pub mod groups;
pub mod hist;
pub mod outages;
mod recoveries;
mod recovery;
pub mod routes;
pub mod sends;
pub mod series;
mod strikes;
mod support;
mod tally;
pub mod transactions;
mod truth;
mod watch;

pub use counters::{CounterDoc, Scope, describe, known_counters};
pub use drain::rests_on_the_end;
pub use findings::{End, Findings};
pub use watch::Watch;
