//! What checks and meters hold at the end, as counters: each of the table's lines is written here, and nowhere else.

use super::counters::{Book, Entry, sum, worst};
use super::hist::Hist;
use super::routes::Worst;
use super::sends::Sends;
use super::watch::Watch;
use crate::base::ids::{GroupId, NodeId};
use crate::check::delivery::Cause;
use crate::check::losses::Losses;
use crate::check::offsets::RollbackCause;
use crate::check::ownership::{QueueTime, Unowned};
use crate::check::takeover::{Ending, Taken};
use crate::contract::note::response_name;
use crate::run::outcome::Counter;

fn count(n: u64) -> Entry {
    (Some(n as i64), Vec::new())
}

fn duration(ns: Option<u64>) -> Entry {
    (ns.map(|ns| ns as i64), Vec::new())
}

/// Parts of one counter, each with its entity.
type Parts = Vec<(String, Entry)>;

impl Watch {
    pub(super) fn counters(&self, losses: &[Losses], end: u64) -> Vec<Counter> {
        let mut book = Book::default();
        self.producer_counters(&mut book, end);
        self.group_counters(&mut book, losses, end);
        self.run_counters(&mut book, end);
        book.counters()
    }

    fn producer_counters(&self, book: &mut Book, end: u64) {
        let first_fault = self.faults.iter().filter_map(|f| f.from).min();
        let names = &self.facts.names;
        let each = |book: &mut Book, name, total: fn(&[(String, Entry)]) -> Entry, of: &dyn Fn(&Sends) -> Entry| {
            let parts: Parts = self.facts.producers.iter().zip(&self.sends).map(|(p, s)| (p.name.clone(), of(s))).collect();
            book.put(name, None, total(&parts));
            parts.into_iter().for_each(|(entity, entry)| book.put(name, Some(&entity), entry));
        };
        each(book, "sent", sum, &|s| count(s.begun));
        each(book, "acked", sum, &|s| count(s.acked_total()));
        each(book, "acked_send_ok", sum, &|s| count(s.acked[0]));
        each(book, "acked_flush_disk_timeout", sum, &|s| count(s.acked[1]));
        each(book, "acked_flush_slave_timeout", sum, &|s| count(s.acked[2]));
        each(book, "acked_slave_not_available", sum, &|s| count(s.acked[3]));
        each(book, "failed_sends", sum, &|s| (Some(s.thrown() as i64), s.error_causes(names, false)));
        each(book, "refused_sends", sum, &|s| count(s.refused));
        let unknown = |s: &Sends| {
            (
                Some((s.unsure + s.unheard) as i64),
                vec![("the call threw".to_owned(), s.unsure as i64), ("the process died".to_owned(), s.unheard as i64)],
            )
        };
        each(book, "unknown_sends", sum, &unknown);
        each(book, "send_retries", sum, &|s| count(s.retries));
        each(book, "not_offered", sum, &|s| count(s.not_offered));
        each(book, "sends_over_1s", sum, &|s| count(s.slow()));
        let until = end.min(self.facts.load_end);
        each(book, "longest_time_without_success", worst, &|s| duration(s.longest_without_success(until)));
        let last_failed =
            |s: &Sends| duration(first_fault.filter(|_| s.begun > 0).map(|f| s.last_failed().unwrap_or(0).saturating_sub(f)));
        each(book, "last_failed_send", worst, &last_failed);
        let rto = self.rto(end);
        book.put("rto", None, worst(&rto));
        rto.into_iter().for_each(|(entity, entry)| book.put("rto", Some(&entity), entry));
        let hists: Vec<(String, &Hist)> =
            self.facts.producers.iter().zip(&self.sends).map(|(p, s)| (p.name.clone(), &s.round_trip)).collect();
        quantiles(book, ["send_latency_p50", "send_latency_p90", "send_latency_p99", "send_latency_max"], &hists);
    }

    fn group_counters(&self, book: &mut Book, losses: &[Losses], end: u64) {
        let consuming: Vec<GroupId> = self.facts.names.groups().filter(|g| !self.index.group(*g).members.is_empty()).collect();
        let name_of = |group: GroupId| self.facts.names.group_name(group).to_string();
        let each = |book: &mut Book, name, total: fn(&[(String, Entry)]) -> Entry, of: &dyn Fn(GroupId) -> Entry| {
            let parts: Parts = consuming.iter().map(|g| (name_of(*g), of(*g))).collect();
            book.put(name, None, total(&parts));
            parts.into_iter().for_each(|(entity, entry)| book.put(name, Some(&entity), entry));
        };
        let meter = |group: GroupId| &self.groups[group.0 as usize];
        let found = |group: GroupId| &losses[group.0 as usize];
        let clustering =
            |group: GroupId, entry: Entry| if self.index.group(group).clustering() { entry } else { (None, Vec::new()) };
        each(book, "deliveries", sum, &|g| count(meter(g).deliveries));
        each(book, "delivered", sum, &|g| count(meter(g).distinct));
        // Where nothing was owed nothing was compared.
        let owed = |g: GroupId, entry: Entry| if found(g).owed > 0 { entry } else { (None, Vec::new()) };
        each(book, "lost", sum, &|g| {
            clustering(g, owed(g, (Some(found(g).lost_total() as i64), found(g).lost_causes().collect())))
        });
        each(book, "missed", sum, &|g| {
            let (group, missed) = (self.index.group(g), &found(g).missed);
            let name = |member: &u16| self.facts.consumers[*member as usize].name.clone();
            let of_members = group.members.iter().map(name).zip(missed.iter().map(|n| *n as i64));
            let entry = (Some(missed.iter().sum::<u64>() as i64), of_members.collect());
            if group.broadcasting { owed(g, entry) } else { (None, Vec::new()) }
        });
        each(book, "lost_at_load_end", sum, &|g| clustering(g, owed(g, count(found(g).lost_at_load_end))));
        each(book, "duplicates", sum, &|g| {
            let causes = Cause::ALL.map(|cause| (cause.name().to_owned(), meter(g).copies[cause as usize] as i64));
            (Some(meter(g).copies.iter().sum::<u64>() as i64), causes.into())
        });
        each(book, "redelivered_on_request", sum, &|g| count(meter(g).asked));
        each(book, "delivered_though_refused", sum, &|g| {
            let (refused, unsure) = (found(g).refused as i64, found(g).unsure as i64);
            (
                Some(refused + unsure),
                vec![("the call was refused".to_owned(), refused), ("its fate was unknown to the sender".to_owned(), unsure)],
            )
        });
        each(book, "skipped", sum, &|g| clustering(g, count(found(g).skipped)));
        each(book, "order_inversions_per_key", sum, &|g| count(meter(g).inversions_per_key));
        each(book, "order_inversions_per_queue", sum, &|g| {
            let [below, during] = meter(g).inversions_per_queue.map(|n| n as i64);
            (
                Some(below + during),
                vec![
                    ("came after a later offset".to_owned(), below),
                    ("another process was still in the queue".to_owned(), during),
                ],
            )
        });
        each(book, "reordered", sum, &|g| count(meter(g).reordered));
        each(book, "deliveries_over_1s", sum, &|g| count(meter(g).overdue_1s));
        each(book, "deliveries_early", sum, &|g| count(meter(g).early_1s));
        let hists: Vec<(String, &Hist)> = consuming.iter().map(|g| (name_of(*g), &meter(*g).from_due)).collect();
        quantiles(book, ["delivery_latency_p50", "delivery_latency_p90", "delivery_latency_p99", "delivery_latency_max"], &hists);
        each(book, "longest_stall", worst, &|g| self.longest_stall(g, end));
        each(book, "rto_deliveries", worst, &|g| self.rto_deliveries(g, end));
        each(book, "unowned_queue_time", sum, &|g| {
            let time = self.queue_time(g);
            let causes = Unowned::ALL.map(|why| (why.name().to_owned(), time.unowned[why as usize] as i64));
            clustering(g, (Some(time.unowned.iter().sum::<u64>() as i64), causes.into()))
        });
        each(book, "overlap_queue_time", sum, &|g| clustering(g, count(self.queue_time(g).overlap)));
        each(book, "frozen_owner_queue_time", sum, &|g| clustering(g, count(self.queue_time(g).frozen)));
        each(book, "queue_moves", sum, &|g| clustering(g, count(self.counted_feeds(g).map(|f| self.ownership.moves(f)).sum())));
        let imbalance = |g: GroupId| self.imbalance.as_ref().and_then(|all| all[g.0 as usize]);
        each(book, "queue_imbalance", worst, &|g| duration(imbalance(g)));
        each(book, "rebalance_converge", worst, &|g| {
            let worst = self.convergence.worst(g.0 as usize).map(|ns| ns as i64);
            let open = self.convergence.unfinished(g.0 as usize);
            clustering(
                g,
                (worst, open.then(|| ("not agreed by the end of the load".to_owned(), worst.unwrap_or(0))).into_iter().collect()),
            )
        });
        each(book, "takeover", worst, &|g| self.takeovers(g));
        each(book, "ghost_members", worst, &|g| (self.members.worst(g), Vec::new()));
        let rollback = |amounts: [u64; RollbackCause::ALL.len()]| {
            let causes = RollbackCause::ALL.map(|cause| (cause.name().to_owned(), amounts[cause as usize] as i64));
            (Some(amounts.iter().sum::<u64>() as i64), causes.into())
        };
        each(book, "offset_rollbacks", sum, &|g| clustering(g, rollback(self.offsets.of_group(g.0 as usize).count)));
        each(book, "offset_rollback_messages", sum, &|g| clustering(g, rollback(self.offsets.of_group(g.0 as usize).messages)));
        each(book, "retries_sent_back", sum, &|g| count(meter(g).sent_back));
        each(book, "dead_letters", sum, &|g| count(meter(g).dead));
        each(book, "given_up", sum, &|g| count(meter(g).given_up));
        each(book, "pulls_in_vain", sum, &|g| count(meter(g).pulls_in_vain));
        each(book, "backlog_end", sum, &|g| clustering(g, count(self.counted_feeds(g).map(|f| self.backlog(f)).sum())));
        each(book, "peak_backlog", worst, &|g| clustering(g, count(meter(g).peak_backlog.max(0) as u64)));
    }

    fn run_counters(&self, book: &mut Book, end: u64) {
        book.put("ghosts", None, count(self.ghosts));
        let diverged = self.diverged.iter();
        let causes =
            diverged.map(|(n, how)| (format!("{}: {}", self.facts.nodes[n.0 as usize].name, how.describe()), 1)).collect();
        book.put("diverged_replicas", None, (Some(self.diverged.len() as i64), causes));
        book.put("discarded_send_ok", None, self.discarded_send_ok());
        let (span, messages) = self.rpos();
        book.put("rpo", None, span);
        book.put("rpo_messages", None, messages);
        let busy = self.busy.iter().map(|(code, n)| (response_name(*code), *n as i64)).collect();
        book.put("busy_answers", None, (Some(self.busy.values().sum::<u64>() as i64), busy));
        book.put("disk_full_time", None, self.disk_full_time(end));
        book.put("log_files_deleted", None, self.log_files_deleted());
        let name = |node: &NodeId| format!("host of {}", self.facts.nodes[node.0 as usize].name);
        let paused: Vec<(String, i64)> = self.pauses.iter().map(|(node, ns)| (name(node), *ns as i64)).collect();
        book.put("paused_time", None, (Some(paused.iter().map(|p| p.1).sum()), paused));
        book.put("route_removal", None, self.believers(&self.routes.removal));
        book.put("stale_route", None, self.believers(&self.routes.stale));
        let names = &self.facts.names;
        let avoided: Vec<(String, i64)> =
            names.brokers().map(|b| (names.broker_name(b).to_string(), self.routes.avoided_time(b) as i64)).collect();
        // With sendLatencyFaultEnable off nobody is ever kept aside, and that is a measured 0.
        let total = (!self.facts.producers.is_empty()).then(|| avoided.iter().map(|a| a.1).sum());
        book.put("avoided_broker_time", None, (total, avoided));
        book.put("transaction_checks", None, count(self.transactions.checks()));
    }

    fn believers(&self, worst: &Worst) -> Entry {
        let name = |node: crate::base::ids::NodeId| self.facts.nodes[node.0 as usize].name.as_str();
        let row = |r: &(crate::base::ids::NodeId, crate::base::ids::NodeId, u64, bool)| {
            (format!("{} at {}{}", name(r.1), name(r.0), if r.3 { " (still at the end)" } else { "" }), r.2 as i64)
        };
        (worst.value.map(|ns| ns as i64), worst.rows.iter().map(row).collect())
    }

    pub(super) fn counted_feeds(&self, group: GroupId) -> impl Iterator<Item = u32> + '_ {
        self.index.group(group).feeds.iter().copied().filter(|f| self.index.feeds[*f as usize].counted)
    }

    /// Records stored and not committed.
    pub(super) fn backlog(&self, feed: u32) -> u64 {
        self.index.queue_of(feed).top.saturating_sub(self.offsets.offset(feed))
    }

    fn queue_time(&self, group: GroupId) -> QueueTime {
        let mut time = QueueTime::default();
        self.counted_feeds(group).for_each(|feed| time.add(&self.ownership.time(feed)));
        time
    }

    fn longest_stall(&self, group: GroupId, end: u64) -> Entry {
        let rows: Vec<(String, i64)> = self
            .counted_feeds(group)
            .filter_map(|f| self.stalls.worst(f, end).map(|ns| (self.index.feed_name(f), ns as i64)))
            .collect();
        (rows.iter().map(|r| r.1).max(), rows)
    }

    fn takeovers(&self, group: GroupId) -> Entry {
        let consumer = |member: u16| self.facts.consumers[member as usize].name.as_str();
        let text = |t: &Taken| {
            let how = match t.ending {
                Ending::By(member) => format!("by {}", consumer(member)),
                Ending::Thawed => "thawed".to_owned(),
                Ending::Never => "by nobody".to_owned(),
            };
            (format!("{} from {} {how}", self.index.feed_name(t.feed), consumer(t.from)), t.took as i64)
        };
        let of_group = |t: &&Taken| self.index.feeds[t.feed as usize].group == group;
        let rows: Vec<(String, i64)> = self.takeover.taken().iter().filter(of_group).map(text).collect();
        (rows.iter().map(|r| r.1).max(), rows)
    }
}

/// Quantiles of each entity, and of all together.
fn quantiles(book: &mut Book, names: [&'static str; 4], hists: &[(String, &Hist)]) {
    let mut all = Hist::default();
    hists.iter().for_each(|h| all.merge(h.1));
    let whole = [(None, &all)].into_iter().chain(hists.iter().map(|(entity, hist)| (Some(entity.as_str()), *hist)));
    for (entity, hist) in whole {
        let values = [hist.quantile(0.5), hist.quantile(0.9), hist.quantile(0.99), hist.max()];
        names.into_iter().zip(values).for_each(|(name, value)| book.put(name, entity, duration(value)));
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::MS;
    use crate::check::script::{causes, counter, play};

    #[test]
    fn pauses_of_hosts_are_summed_by_host() {
        let found = play("5 broker-a paused 30; 9 broker-a paused 20; 9 broker-b paused 5");
        assert_eq!(counter(&found, "paused_time"), Some(55 * MS as i64));
        assert_eq!(causes(&found, "paused_time"), "host of broker-a 50000000, host of broker-b 5000000");
        assert_eq!(counter(&play("5 broker-a up"), "paused_time"), Some(0));
    }
}
