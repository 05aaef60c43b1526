//! Outages of planted histories, stage by stage.

use crate::base::ids::{Addr, NodeId};
use crate::base::time::MS;
use crate::check::facts::{FaultFacts, Needs, NodeFacts, Waits};
use crate::check::script::{causes, counter, facts, facts_with_slave, node, play_with, sent_at};
use crate::meter::Findings;
use crate::run::outcome::{Recovery, Rpo, Waited};
use proptest::prelude::*;

/// "detected 500, elected 4500": the stages with their milliseconds.
fn told(row: &Waited) -> String {
    assert_eq!(row.stages.iter().map(|s| s.took).sum::<u64>(), row.outage, "{row:?}");
    row.stages.iter().map(|s| format!("{} {}", s.name, s.took / MS)).collect::<Vec<_>>().join(", ")
}

fn only(found: &Findings) -> &Recovery {
    assert_eq!(found.recoveries.len(), 1, "{:?}", found.recoveries);
    &found.recoveries[0]
}

fn set(script: &str) -> Findings {
    play_with(
        facts_with_slave(),
        &format!("-9 broker-a serving 0; -9 broker-b serving 0; -5 pg-0 asks ns-0; -5 pg-0 route a,b; {script}"),
    )
}

const KILLED: &str = "10 broker-a killed; 10.5 pg-0 missed 9 a refused; 14 broker-a-s stands; 15 broker-a-s elected; \
    15.1 broker-a-s serving 300; 15.2 ns-0 brokerup a;";

#[test]
fn an_election_is_told_from_the_strike_to_the_first_send_ok() {
    let found = set(&format!("{} {KILLED} 30 pg-0 route a,b; {}", sent_at(0, 9.0, "a:0", 0), sent_at(1, 30.5, "a:0", 1)));
    let r = only(&found);
    assert_eq!(
        (r.what.as_str(), r.set.as_str(), r.at_s, r.rpo),
        ("broker-a killed", "broker-a", 10.0, Some(Rpo { messages: 0, span: 0 }))
    );
    let stages =
        "detected 500, election begun 3500, elected 1000, opened 100, registered 100, route refreshed 14800, first answer 500";
    assert_eq!(told(&r.senders[0]), stages);
    assert_eq!(told(&r.itself), "election begun 4000, elected 1000, opened 100, registered 100, first answer 15300");
    assert_eq!((r.senders[0].outage / MS, r.senders[0].over, r.senders[0].without_any), (20_500, true, Some(21_500 * MS)));
    assert_eq!(r.senders[0].by_queue, [("broker-a:0".to_owned(), Some(20_500 * MS))]);
    assert_eq!(counter(&found, "rto"), Some(20_500_000_000));
    assert_eq!(causes(&found, "rto@pg-0").split(", ").next(), Some("route refreshed 14800000000"));
    assert_eq!(found.crashes[0].back, [("elected", 5.0), ("opened", 5.1), ("registered", 5.2), ("answered", 20.5)]);
}

/// What was under way at the strike is no return, and a broker that returns where it was needs no new route.
#[test]
fn stages_that_a_mode_does_not_have_are_absent() {
    let late = "10.1 pg-0 began 5; 10.1 broker-a stored 5 a:0 5; 10.1 pg-0 acked 5 a:0 5;";
    let found = set(&format!(
        "{} 10 broker-a killed; {late} 40 broker-a serving 100; 40.1 ns-0 brokerup a; 41 pg-0 route a,b; {}",
        sent_at(0, 9.0, "a:0", 0),
        sent_at(1, 42.0, "a:0", 6)
    ));
    assert_eq!(told(&only(&found).senders[0]), "opened 30000, registered 100, first answer 1900");
    // A client that has lost the route waits for the next one.
    let found = set(&format!(
        "{} 10 broker-a killed; 11 pg-0 route b; 40 broker-a serving 100; 40.1 ns-0 brokerup a; 41 pg-0 route a,b; {}",
        sent_at(0, 9.0, "a:0", 0),
        sent_at(1, 42.0, "a:0", 1)
    ));
    assert_eq!(
        told(&only(&found).senders[0]),
        "detected 1000, opened 29000, registered 100, route refreshed 900, first answer 1000"
    );
    // A freeze that nobody takes the place of ends with the thaw; what the client's own table adds is a stage of its own.
    let found = set(&format!(
        "{} 10 broker-a frozen; 13 pg-0 missed 9 a; 13 pg-0 avoided a 30000; 20 broker-a thawed; {}",
        sent_at(0, 9.0, "a:0", 0),
        sent_at(1, 44.0, "a:0", 1)
    ));
    let r = only(&found);
    assert_eq!(
        (told(&r.senders[0]).as_str(), r.rpo),
        ("detected 3000, opened 7000, isolation over 23000, first answer 1000", None)
    );
    assert!(set("10 broker-a-s killed; 11 broker-a-s up").recoveries.is_empty(), "a slave's death is no outage of its set");
    assert!(set("10 pg-0 killed").recoveries.is_empty());
}

#[test]
fn who_is_not_back_is_counted_to_the_end_of_the_load() {
    let found = set(&format!("{} 10 broker-a hostlost; 10 pg-0 began 9; 13 pg-0 missed 9 a;", sent_at(0, 9.0, "a:0", 0)));
    let r = only(&found);
    assert_eq!((told(&r.senders[0]).as_str(), r.senders[0].over), ("detected 3000, not back 87000", false));
    assert_eq!((told(&r.itself).as_str(), r.rpo), ("not back 90000", None));
    assert_eq!(
        (counter(&found, "rto"), counter(&found, "rpo"), counter(&found, "rpo_messages")),
        (Some(90_000_000_000), None, None)
    );
    assert_eq!(r.senders[0].stages[1].waits_for, "nobody took the set's messages");
    let dead = set(&format!("{} 10 broker-a hostlost; 20 pg-0 killed", sent_at(0, 9.0, "a:0", 0)));
    assert!(only(&dead).senders.is_empty() && counter(&dead, "rto").is_none(), "a dead client waits for nothing");
    let stopped = set(&format!("{} 10 broker-a killed; 40 broker-a serving 100;", sent_at(0, 9.0, "a:0", 0)));
    assert!(only(&stopped).senders.is_empty() && counter(&stopped, "rto").is_none(), "who sends no more does not wait");
    let unused = set(&format!("{} 10 broker-a killed;", sent_at(0, 9.0, "b:0", 0)));
    assert!(only(&unused).senders.is_empty(), "who never used the set does not miss it");
}

/// Who had SEND_OK before is not served by less; who had less never had more.
#[test]
fn a_lesser_status_is_a_stage_and_no_end() {
    let lesser = "31 pg-0 began 1; 31 broker-a stored 1 a:0 1; 31 pg-0 acked 1 a:0 1 SLAVE_NOT_AVAILABLE;";
    let back = "10 broker-a killed; 30 broker-a serving 100;";
    let found = set(&format!("{} {back} {lesser} {}", sent_at(0, 9.0, "a:0", 0), sent_at(2, 36.0, "a:0", 2)));
    assert_eq!(told(&only(&found).senders[0]), "opened 20000, first answer 1000, SEND_OK 5000");
    let first = "9 pg-0 began 0; 9 broker-a stored 0 a:0 0; 9 pg-0 acked 0 a:0 0 SLAVE_NOT_AVAILABLE;";
    let found = set(&format!("{first} {back} {lesser}"));
    assert_eq!(told(&only(&found).senders[0]), "opened 20000, first answer 1000");
}

/// A cut link is an outage for the clients behind it only, and over when it is whole again.
#[test]
fn a_cut_is_an_outage_for_those_behind_it() {
    let play = |from: &str, script: &str| {
        let mut facts = facts_with_slave();
        let label = format!("cut {from} | broker-a");
        facts.faults =
            vec![FaultFacts { label, at: 0, ends: true, restarts: Vec::new(), slows: Vec::new(), touches: Vec::new() }];
        let start = "-9 broker-a serving 0; -9 broker-b serving 0; -5 pg-0 asks ns-0; -5 pg-0 route a,b;";
        play_with(facts, &format!("{start} {} 10 ns-0 severed 0 {from} broker-a; {script}", sent_at(0, 9.0, "a:0", 0)))
    };
    // What was under way at the cut is no return.
    let late = "10.1 pg-0 began 5; 10.1 broker-a stored 5 a:0 5; 10.1 pg-0 acked 5 a:0 5;";
    let back = format!("{late} 13 pg-0 missed 9 a; 40 ns-0 fault 0 1 off; {}", sent_at(1, 42.0, "a:0", 6));
    let found = play("pg-0", &back);
    let r = only(&found);
    assert_eq!((r.what.as_str(), r.rpo), ("broker-a cut off", None));
    assert_eq!(told(&r.senders[0]), "detected 3000, opened 27000, first answer 2000");
    assert_eq!(r.senders[0].stages[1].waits_for, "the end of the cut");
    let dark = play("pg-0", &format!("{late} 13 pg-0 missed 9 a; 40 ns-0 fault 0 1 off;"));
    assert_eq!(only(&dark).itself.stages.last().map(|s| s.waits_for.as_str()), Some("no call was answered there"));
    assert!(play("c1", &back).recoveries.is_empty(), "others do not wait for it");
    // A second cut before the first answer lengthens the wait; a broker that is killed behind the cut does not serve when the link is whole.
    let again = format!(
        "13 pg-0 missed 9 a; 20 ns-0 fault 0 1 off; 22 ns-0 severed 0 pg-0 broker-a; 30 ns-0 fault 0 1 off; {}",
        sent_at(1, 32.0, "a:0", 6)
    );
    assert_eq!(told(&only(&play("pg-0", &again)).senders[0]), "detected 3000, opened 7000, first answer 12000");
    let killed = "13 pg-0 missed 9 a; 20 broker-a killed; 30 ns-0 fault 0 1 off; 50 broker-a up; 51 broker-a serving 100; 51.5 ns-0 brokerup a;";
    let found = play("pg-0", &format!("{killed} {}", sent_at(1, 60.0, "a:0", 6)));
    assert_eq!(
        told(&only(&found).senders[0]),
        "detected 3000, process started 37000, opened 1000, registered 500, first answer 8500"
    );
    // One that is in another outage already goes on waiting there.
    let before = format!(
        "13 pg-0 missed 9 a; 12 broker-a killed; 14 broker-a up; 15 broker-a serving 100; 16 ns-0 severed 0 c1 broker-a; 18 ns-0 fault 0 1 off; {}",
        sent_at(1, 19.0, "a:0", 6)
    );
    assert!(play("c1", &before).recoveries.len() == 1, "the kill alone");
    // Another member takes over before the link is whole.
    let moved =
        "15 broker-a-s elected; 15.1 broker-a-s serving 300; 15.2 ns-0 brokerup a; 20 pg-0 route a,b; 40 ns-0 fault 0 1 off;";
    let found = play("pg-0", &format!("13 pg-0 missed 9 a; {moved} {}", sent_at(1, 21.0, "a:0", 1)));
    let stages = "detected 3000, elected 2000, opened 100, registered 100, route refreshed 4800, first answer 1000";
    assert_eq!(told(&only(&found).senders[0]), stages);
}

/// `broker-a` leads two others, all of them ready; `pg-0` has used it and goes on at 33 s.
fn group(script: &str) -> Findings {
    let mut facts = facts_with_slave();
    let kind = facts.nodes[node(&facts, "broker-a-s").0 as usize].kind;
    let third =
        NodeFacts { name: "broker-a-t".to_owned(), kind, addr: Addr(90), waits: Waits::default(), needs: Needs::default() };
    facts.nodes.push(third);
    facts.nodes.iter_mut().filter(|n| n.name.starts_with("broker-a")).for_each(|n| n.needs = Needs::Majority);
    facts.log_read_rate = 1 << 20;
    let ready = ["broker-a", "broker-a-s", "broker-a-t"].map(|n| format!("-9 {n} recovered 0;")).concat();
    let start = format!("{ready} -9 broker-a elected; -9 broker-a serving 0; -5 pg-0 asks ns-0; -5 pg-0 route a,b;");
    play_with(facts, &format!("{start} {} {script} {}", sent_at(0, 9.0, "a:0", 0), sent_at(1, 33.0, "a:0", 1)))
}

/// Nothing is acknowledged from the moment at which the leader has no majority, whenever it notices: that is where the outage begins, and what is waited
/// for is a majority that can vote.
#[test]
fn a_lost_quorum_is_an_outage_from_the_loss_on() {
    let lost = "9.5 broker-a-s killed; 9.6 broker-a-t killed; 11 pg-0 missed 9 a; 14 broker-a elected not; 14 broker-a stands;";
    let back = "20 broker-a-t up; 30 broker-a-t recovered 0 read=4194304; 31 broker-a elected; 31.5 broker-a serving 100; 32 broker-a-s up;";
    let found = group(&format!("{lost} {back}"));
    let r = only(&found);
    assert_eq!((r.what.as_str(), r.at_s), ("broker-a without a majority", 9.6));
    let stages =
        "detected 1400, process started 9000, booted 6000, quorum back 4000, elected 1000, opened 500, first answer 1500";
    assert_eq!(told(&r.senders[0]), stages);
    let waits = |stage: &str| r.senders[0].stages.iter().find(|s| s.name == stage).unwrap().waits_for.clone();
    assert_eq!(waits("process started"), "the restart of broker-a-t");
    assert_eq!(
        waits("quorum back"),
        "broker-a-t has read its log (DLedgerMmapFileStore#recover: 4.0 MiB of its log): a majority of the group can vote"
    );
    // A member that led before the power failed is told after its return that it does not: no strike.
    let power = "10 broker-a killed; 10 broker-a-s killed; 20 broker-a up; 20 broker-a-s up; 20 broker-a recovered 0; 20 broker-a-s recovered 0; \
        26 broker-a-s elected; 26.1 broker-a stands; 26.2 broker-a elected not; 26.5 broker-a-s serving 100;";
    let found = group(power);
    assert_eq!(only(&found).struck_again, 0);
    assert!(told(&only(&found).senders[0]).contains("elected 6000"), "{}", told(&only(&found).senders[0]));
    // One blow that takes the leader last is no want of a majority.
    let found =
        group(&power.replace(
            "10 broker-a killed; 10 broker-a-s killed",
            "10 broker-a-s killed; 10 broker-a-t killed; 10 broker-a killed",
        ));
    assert_eq!((only(&found).what.as_str(), only(&found).struck_again), ("broker-a killed", 0));
    // One that steps down with a majority beside it waits for votes alone.
    let found = group("10 broker-a elected not; 10.5 broker-a-s stands; 11 broker-a-s elected; 11.5 broker-a-s serving 100;");
    assert_eq!(only(&found).what, "broker-a leads no longer");
    assert_eq!(told(&only(&found).senders[0]), "election begun 500, elected 500, opened 500, first answer 21500");
    assert!(group("10 broker-a-s elected not;").recoveries.is_empty(), "a follower that leads nothing steps down from nothing");
}

/// A leader that its followers are cut off from: over with the cut, or with another leader, whichever comes first.
#[test]
fn a_cut_leader_is_away_until_it_has_a_majority_again_or_another_opens() {
    let cut = "10 ns-0 severed 0 broker-a broker-a-s,broker-a-t; 13 pg-0 missed 9 a;";
    let found = group(&format!("{cut} 14 ns-0 fault 0 1 off;"));
    assert_eq!(told(&only(&found).senders[0]), "detected 3000, opened 1000, first answer 19000");
    assert_eq!(only(&found).senders[0].stages[1].waits_for, "a majority of the group in reach of the leader again");
    // It has stepped down before the links are whole.
    let moved = "14 broker-a elected not; 15 broker-a-s stands; 16 broker-a-s elected; 16.5 broker-a-s serving 100; 20 ns-0 fault 0 1 off;";
    let found = group(&format!("{cut} {moved}"));
    assert_eq!(
        told(&only(&found).senders[0]),
        "detected 3000, election begun 2000, elected 1000, opened 500, first answer 16500"
    );
    let all = "10 ns-0 severed 0 broker-a broker-a-s,broker-a-t; 10 ns-0 severed 1 broker-a-s broker-a-t; 13 pg-0 missed 9 a; \
        14 broker-a elected not; 20 ns-0 fault 0 1 off; 22 broker-a elected; 22.5 broker-a serving 100;";
    let found = group(all);
    assert_eq!(told(&only(&found).senders[0]), "detected 3000, quorum back 7000, elected 2000, opened 500, first answer 10500");
    assert_eq!(only(&found).senders[0].stages[1].waits_for, "the end of the cut: a majority of the group can vote");
    // Cut off from its clients as well, it has stepped down when the link is whole: that opens nothing.
    let from_all = "10 ns-0 severed 0 broker-a pg-0,broker-a-s,broker-a-t; 13 pg-0 missed 9 a; 14 broker-a elected not; 20 ns-0 fault 0 1 off; \
        22 broker-a elected; 22.5 broker-a serving 100;";
    let found = group(from_all);
    assert_eq!((only(&found).what.as_str(), only(&found).struck_again), ("broker-a cut off", 0));
    assert_eq!(told(&only(&found).senders[0]), "detected 3000, elected 9000, opened 500, first answer 10500");
    // Nobody had noticed when it was over.
    let brief = "10 ns-0 severed 0 broker-a broker-a-s,broker-a-t; 10.2 ns-0 fault 0 1 off;";
    assert!(group(brief).recoveries.is_empty());
}

/// A SYNC_MASTER that reaches no slave is there and answers with less: over with the first SEND_OK.
#[test]
fn a_lost_slave_is_an_outage_for_those_who_get_a_lesser_status() {
    let play = |needs: Needs, script: &str| {
        let mut facts = facts_with_slave();
        facts.nodes[1].needs = needs;
        facts.log_read_rate = 1 << 20;
        let start =
            "-9 broker-a recovered 0; -9 broker-a-s recovered 0; -9 broker-a serving 0; -5 pg-0 asks ns-0; -5 pg-0 route a,b;";
        play_with(facts, &format!("{start} {} {script}", sent_at(0, 9.0, "a:0", 0)))
    };
    // What was under way at the strike says nothing of what comes after it.
    let lesser = "9.9 pg-0 began 9; 9.9 broker-a stored 9 a:1 0; 10.1 pg-0 acked 9 a:1 0; 10.5 pg-0 began 1; 10.5 broker-a stored 1 a:0 1; 13.5 pg-0 acked 1 a:0 1 FLUSH_SLAVE_TIMEOUT; \
        20 pg-0 began 2; 20 broker-a stored 2 a:0 2; 20 pg-0 acked 2 a:0 2 SLAVE_NOT_AVAILABLE;";
    let back = format!("30 ns-0 fault 0 1 off; 32 broker-a-s replicated 100; {}", sent_at(3, 33.0, "a:0", 3));
    let cut = format!("10 ns-0 severed 0 broker-a broker-a-s; {lesser} {back}");
    let found = play(Needs::Replica, &cut);
    let r = only(&found);
    assert_eq!((r.what.as_str(), r.died, r.rpo), ("broker-a without a slave", false, None));
    assert_eq!(told(&r.senders[0]), "detected 3500, opened 16500, replicating 2000, SEND_OK 1000");
    let waits: Vec<_> = r.senders[0].stages.iter().map(|s| s.waits_for.as_str()).collect();
    assert_eq!(waits[..2], ["the first answer with FLUSH_SLAVE_TIMEOUT", "a slave in reach again"]);
    assert!(r.queues.is_empty(), "deliveries go on");
    let never =
        play(Needs::Replica, &format!("10 ns-0 severed 0 broker-a broker-a-s; {lesser} 30 ns-0 fault 0 1 off; 40 pg-0 began 8;"));
    let last = only(&never).senders[0].stages.last().map(|s| (s.name, s.waits_for.as_str()));
    assert_eq!(last, Some(("not back", "answers came with SLAVE_NOT_AVAILABLE only")));
    assert!(play(Needs::Nobody, &cut).recoveries.is_empty(), "an ASYNC_MASTER waits for nobody");
    // A message that no slave was waited for (waitStoreMsgOK false): hindered nobody.
    let ok = format!("10 ns-0 severed 0 broker-a broker-a-s; {}", sent_at(1, 11.0, "a:0", 1));
    assert!(play(Needs::Replica, &ok).recoveries.is_empty());
    // Killed: the start is told in its parts.
    let killed = format!(
        "10 broker-a-s killed; {lesser} 20 broker-a-s up; 30 broker-a-s recovered 0 abnormal read=2097152; 32 broker-a-s replicated 100; {}",
        sent_at(3, 33.0, "a:0", 3)
    );
    let found = play(Needs::Replica, &killed);
    let stages = "detected 3500, process started 6500, booted 8000, log recovered 2000, replicating 2000, SEND_OK 1000";
    assert_eq!(told(&only(&found).senders[0]), stages);
    let waits: Vec<_> = only(&found).senders[0].stages.iter().map(|s| s.waits_for.as_str()).collect();
    assert_eq!((waits[1], waits[3]), ("the restart of broker-a-s", "CommitLog#recoverAbnormally: 2.0 MiB of its log"));
    // The master's death ends what it lacked, and begins an outage for those whom that had not touched.
    let both = format!("10 broker-a-s killed; 10.1 broker-a killed; 20 broker-a serving 100; {}", sent_at(1, 21.0, "a:0", 1));
    let found = play(Needs::Replica, &both);
    assert_eq!(
        (only(&found).what.as_str(), told(&only(&found).senders[0]).as_str()),
        ("broker-a killed", "opened 9900, first answer 1000")
    );
    let touched =
        format!("10 broker-a-s killed; {lesser} 25 broker-a killed; 30 broker-a serving 300; {}", sent_at(3, 31.0, "a:0", 3));
    let found = play(Needs::Replica, &touched);
    assert_eq!((only(&found).what.as_str(), only(&found).struck_again), ("broker-a without a slave", 1));
}

/// A disk that stands still, or is full, keeps puts from being done: an outage for those whose calls failed meanwhile.
#[test]
fn a_disk_that_keeps_puts_from_being_done_is_an_outage_for_those_whose_calls_fail() {
    let play = |script: &str| {
        let mut facts = facts_with_slave();
        facts.faults[0].slows = vec![NodeId(1)];
        let start = "-9 broker-a serving 0; -5 pg-0 asks ns-0; -5 pg-0 route a,b;";
        play_with(facts, &format!("{start} {} {script} {}", sent_at(0, 9.0, "a:0", 0), sent_at(5, 33.0, "a:0", 5)))
    };
    let found = play("10 ns-0 fault 0 1; 13 pg-0 missed 9 a; 20 ns-0 fault 0 1 off;");
    let r = only(&found);
    assert_eq!(
        (r.what.as_str(), told(&r.senders[0]).as_str()),
        ("disk of broker-a slow", "detected 3000, opened 7000, first answer 13000")
    );
    assert_eq!(r.senders[0].stages[1].waits_for, "the end of the fault at the disk");
    // Some calls go on being done: whoever got SEND_OK for one begun meanwhile is back.
    let slow = format!("10 ns-0 fault 0 1; 13 pg-0 missed 9 a; {} 20 ns-0 fault 0 1 off;", sent_at(1, 15.0, "a:0", 1));
    assert_eq!(told(&only(&play(&slow)).senders[0]), "detected 3000, first answer 2000");
    assert!(play("10 ns-0 fault 0 1; 20 ns-0 fault 0 1 off;").recoveries.is_empty(), "no call failed");
    let found = play("10 broker-a diskfull; 10.2 pg-0 missed 9 a; 20 broker-a diskfull off;");
    assert_eq!(only(&found).what, "disk of broker-a full");
    assert_eq!(told(&only(&found).senders[0]), "detected 200, opened 9800, first answer 13000");
}

/// What a pull waited for is told by how the one before it ended.
#[test]
fn a_pull_that_was_parked_is_not_one_that_failed() {
    let of = |before: &str| {
        let base = "-9 broker-a serving 0; -9 broker-b serving 0; -5 c1 asks ns-0; -5 c1 reads a,b; -5 c1 assigned a:0 0;";
        let way = "10 broker-a elected not; 20 broker-a serving 100; 20.5 ns-0 brokerup a;";
        let script = format!(
            "{base} {} 9.5 c1 entered 0 a:0 0; {way} {} {before} 40 c1 pulled a:0 1 2; 40.5 c1 entered 1 a:0 1",
            sent_at(0, 9.0, "a:0", 0),
            sent_at(1, 25.0, "a:0", 1)
        );
        let mut facts = facts();
        for node in &mut facts.nodes {
            (node.waits.parked, node.waits.pull_again) = ("15 s".to_owned(), "1 s".to_owned());
        }
        let found = play_with(facts, &script);
        only(&found).queues[0].stages.iter().find(|s| s.name == "pulled").unwrap().waits_for.clone()
    };
    assert_eq!(of("39 c1 unanswered a:0;"), "the next pull, after a failed one 1 s");
    assert_eq!(of("12 c1 unanswered a:0; 39.9 c1 empty a:0;"), "the next pull, after one that was parked at broker-a: 15 s");
    assert_eq!(of(""), "the next pull");
}

/// A second strike belongs to the outage of whoever still waits, and is one of its own for those who were back.
#[test]
fn a_second_strike_lengthens_the_outage_it_falls_into() {
    let found = set(&format!(
        "{} 10 broker-a killed; 19 broker-a up; 20 broker-a serving 100; 21 broker-a killed; 29 broker-a up; 30 broker-a serving 100; {}",
        sent_at(0, 9.0, "a:0", 0),
        sent_at(1, 31.0, "a:0", 1)
    ));
    let r = only(&found);
    assert_eq!((told(&r.senders[0]).as_str(), r.struck_again), ("process started 19000, opened 1000, first answer 1000", 1));
    let found = set(&format!(
        "{} 10 broker-a killed; 19 broker-a up; 20 broker-a serving 100; {} 22 broker-a killed; 29 broker-a up; 30 broker-a serving 100; {}",
        sent_at(0, 9.0, "a:0", 0),
        sent_at(1, 21.0, "a:0", 1),
        sent_at(2, 31.0, "a:0", 2)
    ));
    let rows: Vec<_> = found.recoveries.iter().map(|r| (r.at_s, told(&r.senders[0]))).collect();
    assert_eq!(
        rows,
        [
            (10.0, "process started 9000, opened 1000, first answer 1000".to_owned()),
            (22.0, "process started 7000, opened 1000, first answer 1000".to_owned())
        ]
    );
    assert_eq!(counter(&found, "rto"), Some(11_000_000_000), "the longest of both");
}

/// RPO: what is gone, and the time from the newest that is not to the death.
#[test]
fn what_a_death_cost_is_told_in_messages_and_time() {
    let sent = |n: u32, at: f64| {
        format!("{at} pg-0 began {n}; {at} broker-a stored {n} a:0 {n} phys={}; {at} pg-0 acked {n} a:0 {n};", 100 * n)
    };
    let all: String = [2.0, 4.0, 6.0, 8.0].iter().enumerate().map(|(n, at)| sent(n as u32, *at)).collect();
    let of = |kept: u32| {
        let script = format!(
            "{all} 8.5 broker-a-s replicated {kept}; 10 broker-a hostlost; 20 broker-a-s recovered {kept}; 20 broker-a-s serving {kept}"
        );
        let found = set(&script);
        (only(&found).rpo.unwrap(), counter(&found, "rpo"), counter(&found, "rpo_messages"))
    };
    assert_eq!(of(400), (Rpo { messages: 0, span: 0 }, Some(0), Some(0)));
    assert_eq!(of(200), (Rpo { messages: 2, span: 6_000 * MS }, Some(6_000_000_000), Some(2)));
    assert_eq!(of(0), (Rpo { messages: 4, span: 8_000 * MS }, Some(8_000_000_000), Some(4)), "nothing survived: from the oldest");
}

#[test]
fn a_queue_is_back_when_something_pulled_after_the_return_is_delivered() {
    let base = "-9 broker-a serving 0; -9 broker-b serving 0; -5 c1 asks ns-0; -5 c1 reads a,b; -5 c1 assigned a:0 0;";
    let way = "10 broker-a killed; 12 c1 reads b; 40 broker-a serving 100; 40.5 ns-0 brokerup a; 50 c1 reads a,b; 51 c1 assigned a:0 1;";
    let found = play_with(
        facts(),
        &format!(
            "{base} {} 9.5 c1 entered 0 a:0 0; {way} {} 55 c1 pulled a:0 1 2; 55.5 c1 entered 1 a:0 1",
            sent_at(0, 9.0, "a:0", 0),
            sent_at(1, 54.0, "a:0", 1)
        ),
    );
    let r = only(&found);
    assert_eq!(r.queues[0].who, "T broker-a:0 to cg");
    let stages = "opened 30000, registered 500, route refreshed 9500, queue assigned 1000, first message stored 3000, pulled 1000, first delivery 500";
    assert_eq!(told(&r.queues[0]), stages);
    assert_eq!(counter(&found, "rto_deliveries@cg"), Some(45_500_000_000));
    // What lay there before the strike was not waited for, and what had been pulled before the return is no return.
    let found = play_with(
        facts(),
        &format!(
            "{base} {} 10.1 c1 pulled a:0 0 1; {way} 55 c1 pulled a:0 0 2; 55.5 c1 entered 0 a:0 0",
            sent_at(0, 9.0, "a:0", 0) + &sent_at(1, 54.0, "a:0", 1)
        ),
    );
    assert_eq!(
        told(&only(&found).queues[0]),
        "opened 30000, registered 500, route refreshed 9500, queue assigned 1000, pulled 4000, first delivery 500"
    );
    // Nor is a copy of what the group has got before.
    let found = play_with(
        facts(),
        &format!(
            "{base} {} 10.1 c1 pulled a:0 0 1; 10.2 c1 entered 0 a:0 0; {way} 55 c1 pulled a:0 0 2; 55.5 c1 entered 0 a:0 0; \
             58 c1 entered 1 a:0 1",
            sent_at(0, 9.0, "a:0", 0) + &sent_at(1, 54.0, "a:0", 1)
        ),
    );
    assert_eq!(counter(&found, "rto_deliveries@cg"), Some(48_000_000_000));
    // A pull under way at the strike that nobody answers: until then the consumer knows of nothing.
    let found = play_with(
        facts(),
        &format!(
            "{base} {} {way} 52 c1 unanswered a:0; 53 c1 unanswered a:0; 55 c1 pulled a:0 0 1; 55.5 c1 entered 0 a:0 0",
            sent_at(0, 9.0, "a:0", 0)
        ),
    );
    assert_eq!(told(&only(&found).queues[0]), "detected 42000, pulled 3000, first delivery 500");
    // Nothing came, and nothing waited.
    let found = play_with(facts(), &format!("{base} {} 9.5 c1 entered 0 a:0 0; {way}", sent_at(0, 9.0, "a:0", 0)));
    assert!(only(&found).queues.is_empty());
}

proptest! {
    /// Whatever happens to a set and its clients: stages sum to their outages, nobody is back before somebody opened, and the counters are the
    /// worst rows.
    #[test]
    fn stages_sum_whatever_happens(steps in proptest::collection::vec((0usize..14, 1u64..4_000), 0..60)) {
        let mut script = sent_at(0, 0.5, "a:0", 0);
        let (mut at, mut n) = (1_000u64, 1u32);
        for (what, wait) in steps {
            at += wait;
            let t = at as f64 / 1e3;
            script += &match what {
                0 => format!("{t} broker-a killed;"),
                1 => format!("{t} broker-a hostlost;"),
                2 => format!("{t} broker-a frozen;"),
                3 => format!("{t} broker-a thawed;"),
                4 => format!("{t} broker-a up; {t} broker-a serving {};", 100 * n),
                5 => format!("{t} broker-a-s stands; {t} broker-a-s elected;"),
                6 => format!("{t} broker-a-s serving {};", 100 * n),
                7 => format!("{t} ns-0 brokerup a;"),
                8 => format!("{t} pg-0 route b;"),
                9 => format!("{t} pg-0 route a,b;"),
                10 => format!("{t} pg-0 missed 9 a;"),
                11 => format!("{t} pg-0 avoided a {wait};"),
                _ => {
                    n += 1;
                    sent_at(n, t, if what == 12 { "a:0" } else { "a:1" }, n as u64)
                }
            };
        }
        let found = set(&script);
        let mut longest = None;
        for r in &found.recoveries {
            for row in r.senders.iter().chain([&r.itself]) {
                told(row);
                prop_assert!(row.stages.iter().all(|s| s.took > 0));
                prop_assert!(!row.over || row.outage == 0 || row.stages.iter().all(|s| s.name != "not back"));
            }
            prop_assert!(r.senders.windows(2).all(|w| (w[0].over, w[1].outage) <= (w[1].over, w[0].outage)));
            longest = longest.max(r.senders.iter().map(|s| s.outage as i64).max());
        }
        prop_assert_eq!(counter(&found, "rto"), longest);
    }
}
