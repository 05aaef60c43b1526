//! An outage told as stages that sum to it: what was waited for first, and what next.
//!
//! Whoever waits for a broker set waits for several things at once: to notice, for an election, for a role, for a registration, for its own
//! next look at the route. The moments at which these came are put into one fixed order, that of cause and effect, and each stage runs from the
//! latest moment so far to its own. So each stage is the time that it alone added, the stages are contiguous, and they sum to the outage to
//! the nanosecond whatever the order in which the moments truly came. A moment that never came, that came after the outage was over, or that
//! came while something before it in the order was still awaited, added nothing and is no stage.

/// What an outage may wait for, in the order of cause and effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The client's first attempt at the set that failed, or the first route without it.
    Detected,
    /// A process that was waited for is started.
    Started,
    /// It begins to read its log.
    Booted,
    /// It has read it.
    Recovered,
    /// Enough members of a group can vote to elect one of them.
    Quorum,
    /// The first member that stands for election.
    VoteBegan,
    /// A member leads.
    Elected,
    /// A broker takes the set's messages.
    Opened,
    /// A slave that was waited for gets the log again.
    Replicated,
    /// The client's nameserver knows it as the set's master.
    Registered,
    /// The client has that route.
    Routed,
    /// The client keeps the set aside no longer (`sendLatencyFaultEnable`).
    Favoured,
    /// A consumer is given the queue.
    Assigned,
    /// There is something to deliver.
    Stored,
    /// A pull brings it.
    Pulled,
    /// A call is answered, with whatever status.
    Answered,
    /// The listener is entered; or, after answers of a lesser status, the first SEND_OK.
    Served,
    /// It was not over: the rest of the time.
    Missing,
}

impl Step {
    pub const ALL: [Step; 18] = [
        Step::Detected,
        Step::Started,
        Step::Booted,
        Step::Recovered,
        Step::Quorum,
        Step::VoteBegan,
        Step::Elected,
        Step::Opened,
        Step::Replicated,
        Step::Registered,
        Step::Routed,
        Step::Favoured,
        Step::Assigned,
        Step::Stored,
        Step::Pulled,
        Step::Answered,
        Step::Served,
        Step::Missing,
    ];
}

/// One stage: it ended when this came, and took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub step: Step,
    /// ns
    pub took: u64,
}

/// The stages from `from` to `until`, which `last` ended. Moments may be given in any order; of several of one kind the last given counts.
pub fn telescope(from: u64, until: u64, last: Step, moments: &[(Step, Option<u64>)]) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut reached = from;
    for step in Step::ALL.into_iter().filter(|step| *step != last) {
        let moment = moments.iter().rev().find(|m| m.0 == step).and_then(|m| m.1);
        if let Some(at) = moment.filter(|at| *at > reached && *at <= until) {
            stages.push(Stage { step, took: at - reached });
            reached = at;
        }
    }
    if until > reached {
        stages.push(Stage { step: last, took: until - reached });
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_stage_is_what_it_alone_added() {
        let moments = [(Step::Routed, Some(90)), (Step::Detected, Some(12)), (Step::Elected, Some(60)), (Step::Opened, Some(55))];
        let told: Vec<_> = telescope(10, 100, Step::Answered, &moments).iter().map(|s| (s.step, s.took)).collect();
        assert_eq!(told, [(Step::Detected, 2), (Step::Elected, 48), (Step::Routed, 30), (Step::Answered, 10)]);
        let late = telescope(10, 50, Step::Answered, &[(Step::Registered, Some(51)), (Step::Opened, Some(9))]);
        assert_eq!(
            late,
            [Stage { step: Step::Answered, took: 40 }],
            "what came too late or before the strike was not waited for"
        );
        assert_eq!(telescope(10, 10, Step::Answered, &moments), []);
        let over = telescope(0, 30, Step::Served, &[(Step::Answered, Some(20))]);
        assert_eq!(over.iter().map(|s| s.step).collect::<Vec<_>>(), [Step::Answered, Step::Served]);
    }

    proptest! {
        /// Whatever came when, and in whatever order: contiguous stages in the one order, none empty, that sum to the outage; and each but the
        /// last ended at its own moment.
        #[test]
        fn stages_sum_to_the_outage(
            from in 0u64..1_000, length in 0u64..1_000, last in 0..Step::ALL.len(),
            moments in proptest::collection::vec((0..Step::ALL.len(), proptest::option::of(0u64..3_000)), 0..24),
        ) {
            let (until, last) = (from + length, Step::ALL[last]);
            let moments: Vec<(Step, Option<u64>)> = moments.into_iter().map(|(s, at)| (Step::ALL[s], at)).collect();
            let stages = telescope(from, until, last, &moments);
            prop_assert_eq!(stages.iter().map(|s| s.took).sum::<u64>(), length);
            prop_assert!(stages.iter().all(|s| s.took > 0));
            let mut end = from;
            for (i, stage) in stages.iter().enumerate() {
                end += stage.took;
                if stage.step == last {
                    prop_assert_eq!((i + 1, end), (stages.len(), until));
                } else {
                    prop_assert!(moments.contains(&(stage.step, Some(end))));
                    prop_assert!(i == 0 || stages[i - 1].step < stage.step);
                }
            }
        }
    }
}
