//! Why a run did not drain: what was only late, and what no waiting would have brought.
//!
//! A message that the committed offset has passed, that recovery discarded or whose log file was deleted will not come however long one waits; one that is
//! still in the log or parked may.

use super::watch::Watch;
use crate::base::ids::GroupId;
use crate::check::ledger::Message;
use crate::check::losses::{Losses, Lost};
use crate::run::outcome::{ExpectationResult, Verdict};

/// The warnings: of what clustering groups have lost, of deliveries, one a member, that broadcasting groups still miss, which nobody calls lost, and of
/// what is `open`: still under way, or tried again and again.
pub(super) fn undrained(losses: &[&Losses], broadcast: u64, open: &[String]) -> Vec<String> {
    let sum = |of: &dyn Fn(&Losses) -> u64| losses.iter().map(|l| of(l)).sum::<u64>();
    let waiting = sum(&|l| l.lost_by(Lost::Waiting));
    let unstored = sum(&|l| l.lost_by(Lost::Unstored));
    let mut reasons = Vec::new();
    if waiting > 0 {
        reasons.push(format!(
            "the run did not drain: {waiting} of the messages called lost were still waiting at its end and may only be late"
        ));
    }
    if unstored > 0 {
        reasons.push(format!(
            "the run waited in vain for {unstored} messages that were sent one way: no broker stored them, and nobody will send them again"
        ));
    }
    for (n, why) in [
        (sum(&|l| l.lost_by(Lost::Skipped)), "the group's committed offset has passed them"),
        (sum(&|l| l.lost_by(Lost::Discarded)), "recovery discarded them"),
        (sum(&|l| l.lost_by(Lost::Unindexed)), "they are in the log and in no consume queue"),
        (sum(&|l| l.lost_by(Lost::Expired)), "their log files were deleted before the group had got them"),
    ] {
        if n > 0 {
            reasons.push(format!("the run waited in vain for {n} messages that are lost for good: {why}"));
        }
    }
    if broadcast > 0 {
        reasons.push(format!(
            "the run did not drain: {broadcast} deliveries to members of broadcasting groups had not come by its end; a member that begins without its offset \
             file begins behind them"
        ));
    }
    reasons.extend(open.iter().map(|what| format!("the run did not drain: {what}")));
    if reasons.is_empty() {
        reasons.push("the run did not drain: it had no time to, after what came last".to_owned());
    }
    reasons
}

impl Watch {
    /// What is still under way or tried again and again: calls, by producer, and deliveries that a listener asked for, by group.
    pub(super) fn still_open(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (table, rows) in self.ledger.tables().take_while(|(table, _)| *table < self.facts.producers.len()) {
            let calls = rows.iter().filter(|row| row.is(Message::BEGAN) && !row.is(Message::ENDED)).count();
            if calls > 0 {
                open.push(format!("{} of {} had not ended", counted(calls as u64, "call"), self.facts.producers[table].name));
            }
        }
        for group in self.facts.names.groups() {
            let index = self.index.group(group);
            for (slot, member) in self.delivery.slots(&self.index, group.0 as usize).into_iter().zip(&index.members) {
                let Some((n, first)) = self.delivery.asked_for(slot) else { continue };
                let who = if index.broadcasting {
                    self.facts.consumers[*member as usize].name.clone()
                } else {
                    self.facts.names.group_name(group).to_string()
                };
                let place = self.ledger.get(first).filter(|row| row.is(Message::PLACED)).map_or(String::new(), |row| {
                    let mq = self.index.queues[row.queue as usize].mq;
                    format!(" of {} {}", self.facts.names.topic_name(mq.topic), self.facts.names.queue(mq))
                });
                let which = if n == 1 { "it is" } else { "the first is" };
                let again = self.groups[group.0 as usize].asked;
                open.push(format!(
                    "{who} still waits for {} that its listener failed and asked for again; {which} message {} of {}{place} ({} in all so far)",
                    counted(n, "message"),
                    first.n(),
                    self.facts.producers.get(first.producer() as usize).map_or("the preloaded ones", |p| p.name.as_str()),
                    counted(again, "redelivery").replace("redeliverys", "redeliveries"),
                ));
            }
        }
        open
    }

    /// Something may still come: figures of the run are as of its end.
    pub(super) fn goes_on(&self, losses: &[Losses]) -> bool {
        let waiting = |group: GroupId| {
            let found = &losses[group.0 as usize];
            if self.index.group(group).clustering() { found.lost_by(Lost::Waiting) > 0 } else { found.lost_total() > 0 }
        };
        self.facts.names.groups().any(waiting) || !self.still_open().is_empty()
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What a verdict rests on that was given before everything had come: expectations that held and that what is still open may break. `None`: every one is
/// as it would be for good.
pub fn rests_on_the_end(expectations: &[ExpectationResult]) -> Option<String> {
    let base = |e: &ExpectationResult| e.counter.split('@').next().unwrap_or_default().to_owned();
    let may_break = |e: &&ExpectationResult| match base(e).as_str() {
        name if SHRINKS.contains(&name) => e.min.is_some_and(|min| min > 0),
        name if GROWS.contains(&name) => e.max.is_some(),
        _ => false,
    };
    let named: Vec<String> = expectations
        .iter()
        .filter(|e| e.verdict == Verdict::Pass)
        .filter(may_break)
        .map(|e| format!("\"{}\" may still {}", e.counter, if SHRINKS.contains(&base(e).as_str()) { "fall" } else { "rise" }))
        .collect();
    (!named.is_empty())
        .then(|| format!("the verdict is as of the end of the run: {}; a longer \"drain\" may change it", named.join(", ")))
}

/// Counters that fall while what is open comes in, and those that rise.
const SHRINKS: &[&str] = &["lost", "missed", "backlog_end"];
const GROWS: &[&str] = &[
    "failed_sends",
    "refused_sends",
    "unknown_sends",
    "send_retries",
    "deliveries",
    "delivered",
    "lost_at_load_end",
    "duplicates",
    "redelivered_on_request",
    "delivered_though_refused",
    "order_inversions_per_key",
    "order_inversions_per_queue",
    "reordered",
    "deliveries_over_1s",
    "delivery_latency_p90",
    "delivery_latency_p99",
    "delivery_latency_max",
    "longest_stall",
    "rto_deliveries",
    "offset_rollbacks",
    "offset_rollback_messages",
    "retries_sent_back",
    "dead_letters",
    "given_up",
    "pulls_in_vain",
];

#[cfg(test)]
mod tests {
    use super::{ExpectationResult, Verdict};
    use crate::check::script::{causes, counter, facts, play_until, play_until_with, sent};

    #[test]
    fn what_is_lost_for_good_is_not_called_late() {
        let of = |rest: &str| play_until(&format!("-5 c1 assigned a:0 0; {} {rest}", sent(0..3)), 50.0, false).warnings;
        let good = "the run waited in vain for 3 messages that are lost for good: the group's committed offset has passed them";
        assert_eq!(of("3 broker-a committed a:0 3"), [good]);
        let late = "the run did not drain: 1 of the messages called lost were still waiting at its end and may only be late";
        assert_eq!(of("3 broker-a committed a:0 2"), [late, &good.replace('3', "2")]);
        let deleted = "the run waited in vain for 2 messages that are lost for good: their log files were deleted before the group had got them";
        assert_eq!(of("3 broker-a expired a:0 2"), [late, deleted]);
        let one_way = "the run waited in vain for 1 messages that were sent one way: no broker stored them, and nobody will send them again";
        assert_eq!(of("3 broker-a committed a:0 3; 4 pg-0 began 9; 4 pg-0 acked 9 a:0 7"), [one_way, good]);
        let mut broadcasting = facts();
        broadcasting.consumers.iter_mut().for_each(|c| c.broadcasting = true);
        let of_all =
            play_until_with(broadcasting.clone(), &format!("-5 c1 assigned a:0 0; {}", sent(0..3)), 50.0, false).warnings;
        let found =
            play_until_with(broadcasting, &format!("-5 c1 assigned a:0 0; {} 2 c2 entered 0 a:0 0", sent(0..3)), 50.0, false);
        assert_eq!((counter(&found, "missed"), causes(&found, "missed").as_str()), (Some(8), "c1 3, c3 3, c2 2"));
        assert!(of_all.len() == 1 && of_all[0].contains("9 deliveries to members of broadcasting groups"), "{of_all:?}");
        let all = "2 c1 entered 0 a:0 0; 2 c1 entered 1 a:0 1; 2 c1 entered 2 a:0 2; 2 c1 left 2 a:0 2 failed";
        let asked = "the run did not drain: cg still waits for 1 message that its listener failed and asked for again; it is message 2 of pg-0 of T \
            broker-a:0 (0 redeliveries in all so far)";
        assert_eq!(of(all), [asked]);
        let again = format!("{all}; 5 c1 entered 2 a:0 2; 6 c1 left 2 a:0 2 failed; 7 pg-0 began 9");
        let call = "the run did not drain: 1 call of pg-0 had not ended";
        assert_eq!(of(&again), [call, &asked.replace("0 redeliveries", "1 redelivery")]);
        assert_eq!(of(&all.replace(" failed", "")), ["the run did not drain: it had no time to, after what came last"]);
    }

    /// A bound that more of the same can break rests on where the run ended; one that it cannot does not.
    #[test]
    fn a_verdict_says_when_it_rests_on_the_end_of_the_run() {
        let expected = |counter: &str, min, max, verdict| ExpectationResult {
            counter: counter.to_owned(),
            min,
            max,
            got: Some(5),
            unit: crate::run::outcome::Unit::Count,
            verdict,
            detail: String::new(),
        };
        let of = |counter: &str, min, max| super::rests_on_the_end(&[expected(counter, min, max, Verdict::Pass)]).is_some();
        assert!(of("duplicates", None, Some(9)) && !of("duplicates@cg", Some(1), None), "it only rises");
        assert!(of("lost@cg", Some(1), None) && !of("lost", None, Some(9)) && !of("lost", Some(0), Some(9)), "it only falls");
        assert!(!of("rto", None, Some(9)));
        assert_eq!(super::rests_on_the_end(&[expected("duplicates", None, Some(1), Verdict::Fail)]), None);
        let both = [expected("duplicates", None, Some(9), Verdict::Pass), expected("lost", Some(1), None, Verdict::Pass)];
        let text = "the verdict is as of the end of the run: \"duplicates\" may still rise, \"lost\" may still fall; a longer \"drain\" may change it";
        assert_eq!(super::rests_on_the_end(&both).as_deref(), Some(text));
    }
}
