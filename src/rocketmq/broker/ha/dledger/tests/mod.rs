//! A group under test: leaf rules as tables, conversations as text, random schedules against Raft's promises, and what DLedger does not promise.

mod cleaning;
mod conversations;
mod flow;
mod harness;
mod limits;
mod preferred;
mod rules;
mod safety;
mod schedules;

pub(super) use harness::VecLedger;
