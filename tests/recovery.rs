//! Outages of broker sets in the running cluster: the roles' own notes make every stage that a mode has, and none that it has not.

mod common;

use common::{load, outcome, root};
use windtunnel::run::outcome::{Outcome, Recovery, Waited};
use windtunnel::scenario::Overrides;

fn run(scenario: &str) -> Outcome {
    outcome(&load(&root().join("scenarios").join(scenario), &Overrides::default()))
}

fn only(outcome: &Outcome) -> &Recovery {
    assert_eq!(outcome.recoveries.len(), 1, "{:?}", outcome.recoveries);
    &outcome.recoveries[0]
}

fn names(row: &Waited) -> Vec<&'static str> {
    assert_eq!(row.stages.iter().map(|s| s.took).sum::<u64>(), row.outage, "{row:?}");
    row.stages.iter().map(|s| s.name).collect()
}

fn waits<'a>(row: &'a Waited, stage: &str) -> &'a str {
    row.stages.iter().find(|s| s.name == stage).map_or("no such stage", |s| s.waits_for.as_str())
}

#[test]
fn an_election_has_its_stages_and_their_timers() {
    let outcome = run("dledger-election-gap.hazard.json");
    let r = only(&outcome);
    let stages = ["detected", "election begun", "elected", "opened", "registered", "route refreshed", "first answer"];
    assert_eq!(names(&r.senders[0]), stages);
    assert!(waits(&r.senders[0], "election begun").starts_with("maxHeartBeatLeak 3 x heartBeatTimeIntervalMs 2 s"));
    assert!(waits(&r.senders[0], "route refreshed").starts_with("pollNameServerInterval 30 s"));
    // The pull that was under way at the strike waits out its timeout, whoever leads meanwhile.
    assert_eq!(names(&r.queues[0]), ["detected", "pulled", "first delivery"]);
    assert!(waits(&r.queues[0], "detected").starts_with("CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND 30 s"));
    assert_eq!(r.rpo.map(|rpo| rpo.messages), Some(0));
}

#[test]
fn a_master_that_restarts_has_no_election() {
    let outcome = run("quickstart.json");
    let r = only(&outcome);
    let of = names(&r.senders[0]);
    assert!(of.contains(&"detected") && of.contains(&"opened") && of.contains(&"route refreshed"), "{of:?}");
    assert!(!of.contains(&"elected") && !of.contains(&"election begun"), "{of:?}");
    // The other set answers meanwhile: the producer as a whole was never without.
    assert!(r.senders[0].outage > 30_000_000_000 && r.senders[0].without_any < Some(1_000_000_000), "{:?}", r.senders[0]);
    assert!(names(&r.queues[0]).contains(&"route refreshed"), "the routes of consumers are told too: {:?}", r.queues[0]);
}

#[test]
fn a_promotion_costs_what_had_not_been_shipped() {
    let outcome = run("async-master-loss.hazard.json");
    let r = only(&outcome);
    assert_eq!(waits(&r.senders[0], "opened"), "the promotion of broker-a:1");
    let gone: u64 = outcome.crashes[0].discarded.iter().map(|d| d.1).sum();
    let rpo = r.rpo.expect("its slave took over");
    assert!(gone > 0 && rpo.messages == gone && rpo.span > 0, "{rpo:?}, {gone} gone");
}
