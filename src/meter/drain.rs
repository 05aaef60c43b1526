//! Why a run did not drain: what was only late, and what no waiting would have brought.
//!
//! A message that the committed offset has passed, that recovery discarded or whose log file was deleted will not come however long one waits; one that is
//! still in the log or parked may.

use crate::check::losses::{Losses, Lost};

/// The warnings: of what clustering groups have lost, and of deliveries, one a member, that broadcasting groups still miss, which nobody calls lost.
pub(super) fn undrained(losses: &[&Losses], broadcast: u64) -> Vec<String> {
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
    if reasons.is_empty() {
        reasons.push(
            "the run did not drain: calls, or deliveries that a listener asked for again, were still open at its end".to_owned(),
        );
    }
    reasons
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            of(all),
            ["the run did not drain: calls, or deliveries that a listener asked for again, were still open at its end"]
        );
    }
}
