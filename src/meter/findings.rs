//! The end of a run: what the checks and meters hold becomes laws, counters, figures, outages and series.

use super::drain::undrained;
use super::outages::{SendsEnd, Stall};
use super::sends::Gap;
use super::watch::{STALL, Watch};
use crate::base::ids::GroupId;
use crate::base::time::{MS, SEC, seconds};
use crate::check::ledger::Message;
use crate::check::losses::{self, Evidence, Losses};
use crate::run::outcome::{
    AllocationChange, CheckResult, Counter, CrashReport, FaultReport, GroupFigures, Outage, OwnershipRow, Recovery, SendFigures,
    Series, TransactionFigures,
};
use std::collections::BTreeMap;

/// How the run ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// ns from the beginning of the run.
    pub end: u64,
    /// Nothing was left to do.
    pub drained: bool,
    /// Stopped from outside.
    pub interrupted: bool,
}

/// Everything of an outcome that follows from the notes.
#[derive(Clone, Debug)]
pub struct Findings {
    pub laws: Vec<CheckResult>,
    pub counters: Vec<Counter>,
    pub faults: Vec<FaultReport>,
    pub sends: BTreeMap<String, SendFigures>,
    pub groups: BTreeMap<String, GroupFigures>,
    pub outages: Vec<Outage>,
    pub series: Series,
    pub shutdowns: Vec<(String, &'static str, f64)>,
    pub transaction_checks: Option<TransactionFigures>,
    pub warnings: Vec<String>,
    /// It did not drain, and something may still come.
    pub goes_on: bool,
    pub crashes: Vec<CrashReport>,
    pub recoveries: Vec<Recovery>,
}

impl Watch {
    /// Ends the observation.
    pub fn finish(mut self, end: End) -> Findings {
        self.close(&end);
        let losses: Vec<Losses> = self.facts.names.groups().map(|group| self.losses(group)).collect();
        let counters = self.counters(&losses, end.end);
        let warnings = self.warnings(&end, &losses);
        let series_backlog = self.backlog_series();
        let crashes = self.crash_reports();
        let recoveries = self.recoveries(end.end);
        let goes_on = !end.drained && self.goes_on(&losses);
        Findings {
            laws: self.laws(),
            counters,
            faults: self.fault_reports(),
            sends: self.send_figures(end.end),
            groups: self.group_figures(&losses, end.end),
            shutdowns: self
                .shutdowns
                .iter()
                .map(|s| (self.facts.nodes[s.0.0 as usize].name.clone(), s.1, self.seconds(s.2)))
                .collect(),
            transaction_checks: self.transactions.figures(self.facts.producers.iter().any(|p| p.transactional)),
            series: Series {
                ownership: self.ownership_rows(end.end),
                deliveries: self.delivery_points.points(&self.clock),
                sends: self.send_points.points(&self.clock),
                delivery_quantiles: self.per_second.rows(),
                backlog: series_backlog,
            },
            crashes,
            recoveries,
            goes_on,
            outages: self.outages.finish().0,
            warnings,
        }
    }

    /// Closes every stretch that is still open.
    fn close(&mut self, end: &End) {
        if let Some(ended) = self.clock.advance(end.end) {
            self.turn(ended);
        }
        self.discard();
        // Figures read them over and over.
        self.sends.iter_mut().for_each(|sends| sends.round_trip.settle());
        self.groups.iter_mut().flat_map(|group| [&mut group.from_due, &mut group.from_birth]).for_each(|hist| hist.settle());
        self.per_second.turn(self.clock.second_end(), &self.clock);
        self.ownership.shorten(end.end);
        self.takeover.shorten(end.end);
        self.convergence.shorten(end.end);
        self.routes.shorten(end.end);
        for feed in 0..self.index.feeds.len() as u32 {
            if self.index.feeds[feed as usize].counted {
                self.ownership.close(feed);
            }
        }
        self.takeover.finish();
        self.convergence.finish();
        self.routes.finish();
        self.recovery.finish(end.end);
        self.open_outages(end.end);
        if end.drained && !end.interrupted {
            self.conservation.finish(&self.ledger);
        }
        if self.imbalance.is_none() {
            self.imbalance = Some(self.balance());
        }
    }

    /// Stretches without success that last to the end.
    fn open_outages(&mut self, end: u64) {
        for producer in 0..self.sends.len() {
            let gaps: Vec<Gap> = self.sends[producer].open_gaps(end.min(self.facts.load_end));
            let loaded = end >= self.facts.load_end;
            let how = if loaded { SendsEnd::LoadEnded } else { SendsEnd::RunEnded };
            gaps.into_iter().for_each(|gap| self.outages.sends(producer, gap, how));
        }
        for feed in 0..self.index.feeds.len() as u32 {
            if let Some(since) = self.stalls.open(feed).filter(|since| end.saturating_sub(*since) > STALL) {
                self.outages.delivery(&self.index, &self.roster, Stall { feed, from: since, ended: None });
            }
        }
    }

    /// Nothing is owed any more: every call has ended, every acknowledged message was delivered to every group, no listener waits for
    /// a message it asked to get again. Passes over all messages: ask once a second, not once a note.
    pub fn drained(&self) -> bool {
        let calls = self.ledger.tables().all(|(table, rows)| {
            self.ledger.preloaded(table) || rows.iter().all(|row| !row.is(Message::BEGAN) || row.is(Message::ENDED))
        });
        let groups: Vec<GroupId> = self.facts.names.groups().collect();
        let consumes = |group: &GroupId| !self.index.group(*group).members.is_empty();
        let lost = |group: GroupId| losses::anything_lost(&self.evidence(), group);
        calls && !self.delivery.anything_owed() && !groups.into_iter().filter(consumes).any(lost)
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            facts: &self.facts,
            index: &self.index,
            ledger: &self.ledger,
            delivery: &self.delivery,
            offsets: &self.offsets,
        }
    }

    fn losses(&self, group: GroupId) -> Losses {
        if self.index.group(group).members.is_empty() {
            return Losses::default();
        }
        losses::settle(&self.evidence(), group)
    }

    /// Whether the question asked while a run drains has the answer that the whole pass gives.
    #[cfg(test)]
    pub(crate) fn loss_is_told_alike(&self) -> bool {
        let consuming = self.facts.names.groups().filter(|group| !self.index.group(*group).members.is_empty());
        consuming.into_iter().all(|group| losses::anything_lost(&self.evidence(), group) == (self.losses(group).lost_total() > 0))
    }

    /// Milliseconds are what reports show.
    fn seconds(&self, at: u64) -> f64 {
        (seconds(at, self.clock.zero) * 1e3).round() / 1e3
    }

    /// A law that the run gave no occasion for by its very make-up is not listed; one that should have been tested and was not is unknown.
    fn laws(&self) -> Vec<CheckResult> {
        let consumers = &self.facts.consumers;
        let orderly = consumers.iter().any(|c| c.orderly && !c.broadcasting);
        let mut laws = Vec::new();
        if !consumers.is_empty() {
            laws.push(self.phantom.0.clone().result("no phantom"));
        }
        if !self.facts.producers.is_empty() {
            laws.push(self.conservation.law.clone().result("conservation"));
        }
        if orderly {
            laws.push(self.locks.law.clone().result("one lock holder at a broker"));
            laws.push(self.listeners.law.clone().result("an orderly listener has a queue to itself"));
        }
        laws
    }

    fn fault_reports(&self) -> Vec<FaultReport> {
        let report = |(index, fault): (usize, &crate::check::facts::FaultFacts)| {
            let log = &self.faults[index];
            FaultReport {
                label: fault.label.clone(),
                from_s: log.from.map_or(fault.at as f64 / SEC as f64, |at| self.seconds(at)),
                until_s: log.until.map(|at| self.seconds(at)),
                touched: log.touched,
            }
        };
        self.facts.faults.iter().enumerate().map(report).collect()
    }

    fn warnings(&self, end: &End, losses: &[Losses]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (fault, log) in self.facts.faults.iter().zip(&self.faults) {
            match log.from {
                None => warnings.push(format!("the fault \"{}\" never struck", fault.label)),
                Some(_) if log.touched == 0 => warnings.push(format!("the fault \"{}\" touched nothing", fault.label)),
                Some(_) => {}
            }
        }
        if end.interrupted {
            warnings.push(format!("the run was interrupted at {:.3} s", self.seconds(end.end)));
        } else if !end.drained {
            let (clustering, broadcast): (Vec<_>, Vec<_>) =
                self.facts.names.groups().zip(losses).partition(|(group, _)| self.index.group(*group).clustering());
            let clustering: Vec<&Losses> = clustering.into_iter().map(|l| l.1).collect();
            warnings.extend(undrained(&clustering, broadcast.iter().map(|l| l.1.lost_total()).sum(), &self.still_open()));
        }
        if self.outages.dropped > 0 {
            warnings.push(format!("{} shorter outages are not listed", self.outages.dropped));
        }
        warnings
    }

    // ---- figures

    fn send_figures(&self, end: u64) -> BTreeMap<String, SendFigures> {
        let figures = self.facts.producers.iter().zip(&self.sends);
        figures.map(|(producer, sends)| (producer.name.clone(), sends.figures(&self.facts.names, &self.clock, end))).collect()
    }

    fn group_figures(&self, losses: &[Losses], end: u64) -> BTreeMap<String, GroupFigures> {
        let consuming = self.facts.names.groups().filter(|g| !self.index.group(*g).members.is_empty());
        consuming.map(|g| (self.facts.names.group_name(g).to_string(), self.figures_of(g, &losses[g.0 as usize], end))).collect()
    }

    fn figures_of(&self, id: GroupId, losses: &Losses, end: u64) -> GroupFigures {
        let (group, meter, bins) = (self.index.group(id), &self.groups[id.0 as usize], self.clock.bins(end));
        let mut figures = GroupFigures {
            model: if group.broadcasting { "broadcasting" } else { "clustering" },
            orderly: group.orderly,
            duplicated_messages: self
                .delivery
                .slots(&self.index, id.0 as usize)
                .into_iter()
                .map(|s| self.delivery.duplicated(s))
                .sum(),
            lost_acked: group.clustering().then(|| losses.lost_total()),
            lost_for_good: if group.clustering() { losses.lost_for_good() } else { 0 },
            delivered_but_not_acked: losses.refused + losses.unsure,
            unknown: losses.unheard,
            allocations: meter.allocations.iter().map(|change| self.allocation(change)).collect(),
            ..GroupFigures::default()
        };
        meter.fill(&mut figures, &self.clock);
        for &member in &group.members {
            figures
                .deliveries_by_consumer_per_10s
                .insert(self.facts.consumers[member as usize].name.clone(), self.spread.of_member(member, bins));
        }
        for &feed in group.feeds.iter().filter(|f| self.index.feeds[**f as usize].plain) {
            let name = self.index.feed_name(feed);
            if let Some(worst) = self.spread.worst_store(feed) {
                figures.worst_store_to_listener_s_by_queue.insert(name.clone(), worst);
            }
            if !self.index.feeds[feed as usize].counted {
                continue;
            }
            figures.backlog_by_queue.insert(name.clone(), self.backlog(feed));
            let age = |due: u64| (end.saturating_sub(due) / MS) as f64 / 1e3;
            if let Some(&(n, due)) = losses.undelivered.get(&feed) {
                figures.undelivered_by_queue.insert(name.clone(), n);
                figures.oldest_undelivered_by_queue_s.insert(name.clone(), age(due));
            }
            if let Some(&due) = losses.oldest.get(&feed) {
                figures.oldest_by_queue_s.insert(name, age(due));
            }
        }
        figures
    }

    fn allocation(&self, change: &super::groups::Change) -> AllocationChange {
        AllocationChange {
            t: self.seconds(change.at),
            consumer: self.facts.consumers[change.member as usize].name.clone(),
            members: change.members,
            queues_in_view: change.queues,
            owned: change.owned.iter().map(|mq| self.facts.names.queue(*mq)).collect(),
        }
    }

    // ---- series

    fn backlog_series(&self) -> BTreeMap<String, Vec<(f64, u64)>> {
        let of = |group: GroupId| {
            (self.facts.names.group_name(group).to_string(), self.groups[group.0 as usize].levels.clone().rows())
        };
        self.facts.names.groups().filter(|g| self.index.group(*g).clustering()).map(of).collect()
    }

    fn ownership_rows(&self, end: u64) -> Vec<OwnershipRow> {
        let mut rows = Vec::new();
        for group in self.facts.names.groups() {
            let mut feeds: Vec<u32> = self.counted_feeds(group).collect();
            feeds.sort_by_key(|f| self.index.queue_of(*f).mq);
            for feed in feeds.into_iter().filter(|f| !self.ownership.spans(*f).is_empty()) {
                let spans = self.ownership.spans(feed);
                let until = spans.iter().skip(1).map(|s| s.0).chain([end]);
                let name = |m: &u16| self.facts.consumers[*m as usize].name.clone();
                let row = spans
                    .iter()
                    .zip(until)
                    .map(|((from, owners), until)| (self.seconds(*from), self.seconds(until), owners.iter().map(name).collect()));
                rows.push(OwnershipRow {
                    group: self.facts.names.group_name(group).to_string(),
                    queue: self.index.feed_name(feed),
                    spans: row.collect(),
                });
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::NodeId;
    use crate::check::facts::FaultFacts;
    use crate::check::script::{counter, facts, orderly, play, play_until, play_with, sent, sent_at};
    use crate::contract::note::{Note, Observer, Stamp};
    use crate::run::outcome::Verdict;
    use proptest::prelude::*;

    #[test]
    fn figures_of_a_takeover_have_the_live_meaning() {
        let mut script = "-5 c1 allocated 1 a:0,a:1; -5 c1 assigned a:0 0; -5 c1 assigned a:1 0;".to_owned();
        for n in 0..4 {
            script += &sent_at(n, 1.0 + 10.0 * n as f64, "a:0", n as u64);
        }
        script +=
            "1.5 c1 entered 0 a:0 0 stored=1; 1.6 c1 left 0 a:0 0; 5 c1 killed; 5.1 c2 allocated 2 a:0; 5.1 c2 assigned a:0 0;";
        script += "65 c2 entered 0 a:0 0; 65.1 c2 entered 1 a:0 1 stored=11; 65.2 c2 entered 2 a:0 2 stored=21; 70 broker-a committed a:0 2";
        let found = play(&script);
        let cg = &found.groups["cg"];
        assert_eq!(
            (cg.model, cg.deliveries, cg.distinct, cg.duplicates, cg.duplicated_messages, cg.lost_acked),
            ("clustering", 4, 3, 1, 1, Some(1))
        );
        assert_eq!((cg.latency_ms.n, cg.latency_ms.max, cg.latency_over_1s), (3, 54_100, 2));
        assert_eq!(cg.deliveries_by_consumer_per_10s["c2"][..8], [0, 0, 0, 0, 0, 0, 3, 0]);
        assert_eq!(cg.deliveries_by_consumer_per_10s["c3"].len(), 20);
        assert_eq!(cg.worst_store_to_listener_s_by_queue["broker-a:0"], 54.1);
        assert_eq!((cg.duplicate_deliveries_first_s, cg.duplicate_deliveries_last_s), (Some(1.5), Some(65.0)));
        assert_eq!((cg.backlog_by_queue["broker-a:0"], cg.oldest_by_queue_s["broker-a:0"], cg.peak_backlog), (2, 179.0, 4));
        let changes: Vec<_> = cg.allocations.iter().map(|a| (a.t, a.consumer.as_str(), a.members, a.owned.join(","))).collect();
        assert_eq!(changes, [(-5.0, "c1", 1, "broker-a:0,broker-a:1".to_owned()), (5.1, "c2", 2, "broker-a:0".to_owned())]);
        assert_eq!(found.series.deliveries.iter().filter(|p| p.2 == 1).count(), 1);
        assert_eq!(found.series.delivery_quantiles.first().map(|q| (q.0, q.3)), Some((1.0, 500.0)));
        assert!(found.series.backlog["cg"].contains(&(66.0, 4)), "{:?}", found.series.backlog["cg"]);
    }

    #[test]
    fn faults_warnings_and_shutdowns_are_reported() {
        let mut facts = facts();
        let fault = |label: &str| FaultFacts {
            label: label.to_owned(),
            at: 5_000_000_000,
            ends: true,
            restarts: Vec::new(),
            slows: Vec::new(),
            touches: Vec::new(),
        };
        facts.faults = vec![fault("kill c1"), fault("cut x"), fault("freeze y")];
        let found = play_with(facts, "5 c1 fault 0 1; 9 c1 fault 0 3 off; 6 c1 fault 1 0; 7 c2 shutting; 8 c2 shut");
        let reports: Vec<_> = found.faults.iter().map(|f| (f.from_s, f.until_s, f.touched)).collect();
        assert_eq!(reports, [(5.0, Some(9.0), 3), (6.0, None, 0), (5.0, None, 0)]);
        assert_eq!(found.warnings, ["the fault \"cut x\" touched nothing", "the fault \"freeze y\" never struck"]);
        assert_eq!(found.shutdowns, [("c2".to_owned(), "closing", 7.0), ("c2".to_owned(), "closed", 8.0)]);
        let cut_off = play_until(&sent(0..2), 50.0, false);
        assert_eq!(
            cut_off.warnings,
            ["the run did not drain: 2 of the messages called lost were still waiting at its end and may only be late"]
        );
    }

    #[test]
    fn uncommitted_is_not_undelivered() {
        let found = play(&format!(
            "-5 c1 assigned a:0 0; {} {} {} 4 c1 entered 0 a:0 0; 4 c1 entered 2 a:0 2",
            sent_at(0, 1.0, "a:0", 0),
            sent_at(1, 2.0, "a:0", 1),
            sent_at(2, 3.0, "a:0", 2)
        ));
        let cg = &found.groups["cg"];
        assert_eq!((cg.backlog_by_queue["broker-a:0"], cg.undelivered_by_queue["broker-a:0"]), (3, 1));
        assert!(cg.oldest_undelivered_by_queue_s["broker-a:0"] < cg.oldest_by_queue_s["broker-a:0"]);
        let all = play(&format!("-5 c1 assigned a:0 0; {} 2 c1 entered 0 a:0 0", sent(0..1)));
        assert_eq!((all.groups["cg"].backlog_by_queue["broker-a:0"], all.groups["cg"].undelivered_by_queue.len()), (1, 0));
    }

    #[test]
    fn a_restart_lasts_until_its_processes_are_up_again() {
        let mut facts = facts();
        let restarts = vec![NodeId(1), NodeId(2)];
        facts.faults = vec![FaultFacts {
            label: "restart both".to_owned(),
            at: 5_000_000_000,
            ends: false,
            restarts,
            slows: Vec::new(),
            touches: Vec::new(),
        }];
        let down = "5 broker-a exited; 5 broker-b exited; 5 broker-a fault 0 2;";
        let band = |rest: &str| {
            let found = play_with(facts.clone(), &format!("{down} {rest}"));
            (found.faults[0].from_s, found.faults[0].until_s)
        };
        assert_eq!(band("9 broker-a up"), (5.0, None));
        assert_eq!(band("9 broker-a up; 12 broker-b up"), (5.0, Some(12.0)));
        assert_eq!(band("9 broker-a up; 12 broker-b up; 30 broker-a killed; 40 broker-a up"), (5.0, Some(12.0)));
    }

    #[test]
    fn laws_without_occasion_are_not_listed_and_untested_ones_are_unknown() {
        let names = |found: &Findings| found.laws.iter().map(|l| (l.name, l.verdict)).collect::<Vec<_>>();
        let traffic = format!("{} 2 c1 entered 0 a:0 0", sent(0..1));
        assert_eq!(names(&play(&traffic)), [("no phantom", Verdict::Pass), ("conservation", Verdict::Pass)]);
        assert_eq!(names(&play_with(orderly(), &traffic))[2], ("one lock holder at a broker", Verdict::Unknown));
    }

    #[test]
    fn a_clone_goes_on_alone_and_alike() {
        let mut watch = Watch::new(facts());
        let stamp = |at, node| Stamp { at, node: NodeId(node), life: 1, event: at };
        (0..7).for_each(|n| watch.note(stamp(1, n), &Note::Up));
        let mut twin = watch.clone();
        twin.note(stamp(20 * SEC, 1), &Note::Killed);
        let end = End { end: 200 * SEC, drained: true, interrupted: false };
        let (untouched, other) = (watch.clone().finish(end), twin.finish(end));
        watch.note(stamp(20 * SEC, 1), &Note::Killed);
        assert_eq!(format!("{:?}", watch.finish(end)), format!("{other:?}"));
        assert_ne!(format!("{untouched:?}"), format!("{other:?}"));
    }

    proptest! {
        /// Parts sum to wholes, whatever happens: deliveries by kind, sends by end, and counters by their causes.
        #[test]
        fn parts_sum_to_wholes(steps in proptest::collection::vec((0u8..9, 0u32..12, 1u8..4), 0..120)) {
            let mut script = String::new();
            let (mut begun, mut open, mut tops, mut places) = (0u32, Vec::new(), [0u64; 4], Vec::new());
            for (i, (what, pick, member)) in steps.into_iter().enumerate() {
                let at = 0.25 * i as f64;
                let queue = pick as usize % 4;
                let q = ["a:0", "a:1", "b:0", "b:1"][queue];
                match what {
                    0 | 1 => {
                        script += &format!("{at} pg-0 began {begun}; {at} broker-{} stored {begun} {q} {};", &q[..1], tops[queue]);
                        open.push((begun, q, tops[queue]));
                        places.push((begun, q, tops[queue]));
                        (begun, tops[queue]) = (begun + 1, tops[queue] + 1);
                    }
                    2 if !open.is_empty() => {
                        let (n, q, offset) = open.remove(pick as usize % open.len());
                        script += &match pick % 3 {
                            0 => format!("{at} pg-0 acked {n} {q} {offset};"),
                            1 => format!("{at} pg-0 failed {n} broker-a;"),
                            _ => format!("{at} pg-0 unknown {n} broker-a;"),
                        };
                    }
                    3..=6 if !places.is_empty() => {
                        let (n, q, offset) = places[pick as usize % places.len()];
                        let verdict = if what == 6 { "failed" } else { "" };
                        script += &format!("{at} c{member} entered {n} {q} {offset}; {at} c{member} left {n} {q} {offset} {verdict};");
                    }
                    7 => script += &format!("{at} c{member} assigned {q} {};", tops[queue]),
                    8 => script += &format!("{at} broker-a committed a:0 {pick};"),
                    _ => {}
                }
            }
            let found = play_until(&script, 100.0, false);
            let get = |name| counter(&found, name).unwrap();
            prop_assert_eq!(get("deliveries"), get("delivered") + get("duplicates") + get("redelivered_on_request"));
            prop_assert_eq!(get("sent"), get("acked") + get("refused_sends") + get("unknown_sends") + open.len() as i64);
            prop_assert_eq!(get("failed_sends"), get("refused_sends") + get("unknown_sends"));
            prop_assert!(counter(&found, "lost") <= counter(&found, "lost_at_load_end"));
            for c in &found.counters {
                let summed = ["lost", "duplicates", "failed_sends", "unowned_queue_time", "offset_rollbacks", "order_inversions_per_queue"];
                if summed.contains(&c.name.split('@').next().unwrap()) && c.value.is_some() {
                    prop_assert_eq!(c.value.unwrap(), c.causes.iter().map(|x| x.1).sum::<i64>(), "{}", &c.name);
                }
            }
        }
    }
}
