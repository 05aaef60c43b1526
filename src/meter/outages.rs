//! Outages: stretches in which something that should work did not, and the event that ended each.
//!
//! Who notices an end (the meters of sends, the check of stalls) reports the stretch; what ended it is looked up among the *enablers*: the last
//! route, return, lock, rebalance or forgetting that could have made the difference. The latest one before the end is named, because everything
//! earlier was not yet enough. Only the longest outages are kept.

use super::sends::Gap;
use crate::base::ids::{BrokerName, GroupId, NodeId};
use crate::base::names::Names;
use crate::base::time::{MS, SEC};
use crate::check::facts::{NodeKind, RunFacts};
use crate::check::index::{Index, Rows};
use crate::check::law::moment;
use crate::check::roster::Roster;
use crate::contract::note::{AttemptError, ForgetWhy, RpcFailure};
use crate::run::outcome::Outage;
use std::sync::Arc;

/// How many outages a report can hold.
pub const KEPT: usize = 200;
/// A lock that comes within this time after its assignment came with the rebalance, ns.
const WITH_REBALANCE: u64 = SEC;

/// What last made something possible, by kind.
#[derive(Clone, Debug)]
pub struct Enablers {
    /// By client node: its publish route changed, ns; 0: never.
    route: Vec<u64>,
    /// By broker name: a node of it came back; `true`: thawed.
    back: Vec<Option<(u64, NodeId, bool)>>,
    /// By client node: isolation of a broker, until when.
    aside: Vec<Vec<(BrokerName, u64)>>,
    /// By brokerName: a node of it took its messages.
    opened: Vec<Option<(u64, NodeId)>>,
    /// By fault: when it last ended.
    faults: Vec<Option<u64>>,
    /// By producer: its latest attempt that failed.
    attempt: Vec<Option<(u64, BrokerName, AttemptError)>>,
    /// By feed: when the latest pull brought something, ns; when a listener last failed one of its messages.
    got: Rows<u64>,
    failed: Rows<u64>,
    /// By feed: the latest pull that brought nothing; `None`: it was answered with nothing.
    pull: Rows<Option<(u64, Option<RpcFailure>)>>,
    broker_forgotten: Vec<Option<(u64, NodeId, ForgetWhy)>>,
    member_forgotten: Vec<Option<(u64, ForgetWhy, Arc<str>)>>,
    /// By feed: when a member got it, its lock.
    assigned: Rows<Option<(u64, u16)>>,
    locked: Rows<Option<(u64, u16)>>,
}

impl Enablers {
    pub fn new(facts: &RunFacts) -> Self {
        let brokers = facts.names.brokers().count();
        Enablers {
            route: vec![0; facts.nodes.len()],
            back: vec![None; brokers],
            aside: vec![Vec::new(); facts.nodes.len()],
            opened: vec![None; brokers],
            faults: vec![None; facts.faults.len()],
            attempt: vec![None; facts.producers.len()],
            got: Rows::default(),
            failed: Rows::default(),
            pull: Rows::default(),
            broker_forgotten: vec![None; brokers],
            member_forgotten: vec![None; facts.names.groups().count()],
            assigned: Rows::default(),
            locked: Rows::default(),
        }
    }

    pub fn route(&mut self, client: NodeId, at: u64) {
        self.route[client.0 as usize] = at;
    }
    pub fn back(&mut self, broker: BrokerName, node: NodeId, thawed: bool, at: u64) {
        self.back[broker.0 as usize] = Some((at, node, thawed));
    }
    pub fn opened(&mut self, broker: BrokerName, node: NodeId, at: u64) {
        self.opened[broker.0 as usize] = Some((at, node));
    }
    pub fn fault_ended(&mut self, fault: u16, at: u64) {
        if let Some(ended) = self.faults.get_mut(fault as usize) {
            *ended = Some(at);
        }
    }
    pub fn attempt_failed(&mut self, producer: usize, broker: BrokerName, error: AttemptError, at: u64) {
        if let Some(attempt) = self.attempt.get_mut(producer) {
            *attempt = Some((at, broker, error));
        }
    }
    pub fn pulled_in_vain(&mut self, feed: u32, why: Option<RpcFailure>, at: u64) {
        *self.pull.at(feed) = Some((at, why));
    }
    #[inline]
    pub fn pulled(&mut self, feed: u32, at: u64) {
        *self.got.at(feed) = at;
    }
    pub fn listener_failed(&mut self, feed: u32, at: u64) {
        *self.failed.at(feed) = at;
    }
    pub fn avoided(&mut self, client: NodeId, broker: BrokerName, ms: u32, at: u64) {
        let aside = &mut self.aside[client.0 as usize];
        if ms == 0 {
            // The answer that ended an outage ended this as well.
            return aside.retain(|a| a.0 != broker);
        }
        let until = at + ms as u64 * MS;
        match aside.iter_mut().find(|a| a.0 == broker) {
            Some(entry) => entry.1 = until,
            None => aside.push((broker, until)),
        }
    }
    pub fn broker_forgotten(&mut self, nameserver: NodeId, broker: BrokerName, why: ForgetWhy, at: u64) {
        self.broker_forgotten[broker.0 as usize] = Some((at, nameserver, why));
    }
    pub fn member_forgotten(&mut self, group: GroupId, client: &Arc<str>, why: ForgetWhy, at: u64) {
        self.member_forgotten[group.0 as usize] = Some((at, why, client.clone()));
    }
    pub fn assigned(&mut self, feed: u32, member: u16, at: u64) {
        *self.assigned.at(feed) = Some((at, member));
    }
    pub fn locked(&mut self, feed: u32, member: u16, at: u64) {
        *self.locked.at(feed) = Some((at, member));
    }
}

/// A stretch in which a group got nothing of a queue that had something for it.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    pub feed: u32,
    pub from: u64,
    /// When, and which member got the first message again; `None`: it lasts.
    pub ended: Option<(u64, u16)>,
}

/// How a producer's stretch without success came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendsEnd {
    Success,
    /// It was not over, but nothing more was to be sent: what the run does afterwards says nothing about it.
    LoadEnded,
    RunEnded,
}

fn returned(thawed: bool) -> &'static str {
    if thawed { "thaw" } else { "restart" }
}

/// Candidates in the order of preference at one instant; the latest within the stretch wins.
struct Latest {
    from: u64,
    until: u64,
    best: Option<(u64, String)>,
}

impl Latest {
    fn offer(&mut self, at: u64, text: impl FnOnce() -> String) {
        if at >= self.from && at <= self.until && self.best.as_ref().is_none_or(|best| at > best.0) {
            self.best = Some((at, text()));
        }
    }
    fn or(self, zero: u64, otherwise: String) -> String {
        self.best.map_or(otherwise, |(at, text)| format!("{text} at {}", moment(at, zero)))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    what: String,
    from: u64,
    until: Option<u64>,
    ended_by: String,
}

impl Entry {
    fn length(&self, end: u64) -> u64 {
        self.until.unwrap_or(end).saturating_sub(self.from)
    }
}

#[derive(Clone, Debug)]
pub struct Outages {
    pub enablers: Enablers,
    facts: Arc<RunFacts>,
    list: Vec<Entry>,
    pub dropped: u64,
}

impl Outages {
    pub fn new(facts: &Arc<RunFacts>) -> Self {
        Outages { enablers: Enablers::new(facts), facts: facts.clone(), list: Vec::new(), dropped: 0 }
    }

    fn names(&self) -> &Names {
        &self.facts.names
    }

    fn add(&mut self, entry: Entry) {
        self.list.push(entry);
        if self.list.len() >= 4 * KEPT {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        // An outage that is still open is the longest of all.
        self.list.sort_by_key(|e| std::cmp::Reverse(e.length(u64::MAX)));
        self.dropped += self.list.len().saturating_sub(KEPT) as u64;
        self.list.truncate(KEPT);
    }

    /// A producer had no success for a while.
    #[cold]
    pub fn sends(&mut self, producer: usize, gap: Gap, how: SendsEnd) {
        if gap.from < self.facts.zero {
            return;
        }
        let name = self.facts.producers[producer].name.clone();
        let what = match gap.broker {
            Some(broker) => format!("sends of {name} to {}", self.names().broker_name(broker)),
            None => format!("sends of {name}"),
        };
        let ended_by = match how {
            SendsEnd::Success => self.what_ended_sends(producer, &name, gap),
            SendsEnd::LoadEnded => "not ended before the load".to_owned(),
            SendsEnd::RunEnded => "not ended".to_owned(),
        };
        self.add(Entry { what, from: gap.from, until: (how != SendsEnd::RunEnded).then_some(gap.until), ended_by });
    }

    fn what_ended_sends(&self, producer: usize, name: &str, gap: Gap) -> String {
        let (facts, enablers) = (&self.facts, &self.enablers);
        let node = facts.producers[producer].node;
        let concerns = |broker: BrokerName| gap.broker.is_none_or(|b| b == broker);
        let mut latest = Latest { from: gap.from, until: gap.until, best: None };
        latest.offer(enablers.route[node.0 as usize], || format!("route poll of {name}"));
        for &(broker, until) in enablers.aside[node.0 as usize].iter().filter(|a| concerns(a.0)) {
            latest.offer(until, || format!("end of the isolation of {} at {name}", self.names().broker_name(broker)));
        }
        for (broker, back) in enablers.back.iter().enumerate().filter(|(b, _)| concerns(BrokerName(*b as u16))) {
            if let Some((at, node, thawed)) = *back {
                latest.offer(at, || format!("the {} of {}", returned(thawed), facts.nodes[node.0 as usize].name));
            }
            if let Some((at, nameserver, why)) = enablers.broker_forgotten[broker] {
                let (ns, broker) =
                    (&facts.nodes[nameserver.0 as usize].name, self.names().broker_name(BrokerName(broker as u16)));
                latest.offer(at, || format!("{ns} forgetting {broker} ({})", why.describe()));
            }
        }
        for (_, opened) in enablers.opened.iter().enumerate().filter(|(b, _)| concerns(BrokerName(*b as u16))) {
            if let Some((at, node)) = *opened {
                latest.offer(at, || format!("{} taking messages", facts.nodes[node.0 as usize].name));
            }
        }
        self.offer_faults(&mut latest, &|n| n == node || self.serves(n, concerns));
        // Nothing that stood in the way went away: it was the calls themselves that waited.
        let attempt = enablers.attempt[producer].filter(|a| (gap.from..=gap.until).contains(&a.0));
        let calls = match attempt {
            Some((at, broker, error)) => format!(
                "an answer after the last attempt at {} had failed ({}) at {}",
                self.names().broker_name(broker),
                error.describe(),
                moment(at, facts.zero)
            ),
            None => "an answer that was long in coming: no attempt failed meanwhile".to_owned(),
        };
        latest.or(facts.zero, calls)
    }

    /// Faults that strike somebody of these have ended.
    fn offer_faults(&self, latest: &mut Latest, concerns: &dyn Fn(NodeId) -> bool) {
        for (fault, ended) in self.facts.faults.iter().zip(&self.enablers.faults) {
            if let Some(at) = ended.filter(|_| fault.touches.iter().any(|n| concerns(*n))) {
                latest.offer(at, || format!("the end of \"{}\"", fault.label));
            }
        }
    }

    /// A broker of such a set, or a nameserver.
    fn serves(&self, node: NodeId, of: impl Fn(BrokerName) -> bool) -> bool {
        match self.facts.nodes[node.0 as usize].kind {
            NodeKind::Broker { broker, .. } => of(broker),
            NodeKind::Nameserver => true,
            NodeKind::Client => false,
        }
    }

    /// A group got nothing of a queue for a while.
    #[cold]
    pub fn delivery(&mut self, index: &Index, roster: &Roster, stall: Stall) {
        let Stall { feed, from, ended } = stall;
        let place = index.feeds[feed as usize];
        let mq = index.queue_of(feed).mq;
        let names = self.names();
        let what = format!("delivery of {} {} to {}", names.topic_name(mq.topic), names.queue(mq), names.group_name(place.group));
        let ended_by = match ended {
            Some(end) => self.what_ended_stall(roster, stall, end, place.group, mq.broker),
            None => "not ended".to_owned(),
        };
        self.add(Entry { what, from, until: ended.map(|e| e.0), ended_by });
    }

    fn what_ended_stall(
        &self,
        roster: &Roster,
        stall: Stall,
        (until, member): (u64, u16),
        group: GroupId,
        broker: BrokerName,
    ) -> String {
        let Stall { feed, from, .. } = stall;
        let (facts, enablers) = (&self.facts, &self.enablers);
        let name = |member: u16| facts.consumers[member as usize].name.as_str();
        let mut latest = Latest { from, until, best: None };
        let assigned = enablers.assigned.get(feed).copied().flatten();
        let locked = enablers.locked.get(feed).copied().flatten();
        if let Some((at, who)) = assigned {
            latest.offer(at, || {
                let cause = enablers.member_forgotten[group.0 as usize].as_ref().filter(|f| f.0 >= from && f.0 <= at);
                let after = cause.map_or(String::new(), |f| format!(", after a broker forgot {} ({}),", f.2, f.1.describe()));
                format!("rebalance of {}{after}", name(who))
            });
        }
        if let Some((at, who)) = locked.filter(|l| assigned.is_none_or(|a| l.0 > a.0 + WITH_REBALANCE)) {
            latest.offer(at, || format!("lock granted to {} after the old one lapsed", name(who)));
        }
        latest.offer(roster.life(roster.node_of(member)).thawed_at, || format!("the thaw of {}", name(member)));
        if let Some((at, node, thawed)) = enablers.back[broker.0 as usize] {
            latest.offer(at, || format!("the {} of {}", returned(thawed), facts.nodes[node.0 as usize].name));
        }
        if let Some((at, node)) = enablers.opened[broker.0 as usize] {
            latest.offer(at, || format!("{} taking messages", facts.nodes[node.0 as usize].name));
        }
        let consumer = roster.node_of(member);
        self.offer_faults(&mut latest, &|n| n == consumer || self.serves(n, |b| b == broker));
        // A pull that nobody answers keeps its queue from every other; one that fails at once is tried again a second later.
        let pull = enablers.pull.get(feed).copied().flatten().filter(|p| (from..=until).contains(&p.0));
        if let Some((at, Some(RpcFailure::Timeout))) = pull {
            latest.offer(at, || format!("the time-out of a pull of {}, which nobody had answered,", name(member)));
        }
        let pulls = match pull {
            Some((at, Some(_))) => {
                format!("the next pull of {} after one that failed at {}", name(member), moment(at, facts.zero))
            }
            Some((at, None)) => {
                format!(
                    "the next pull of {} after one that was answered with nothing at {}",
                    name(member),
                    moment(at, facts.zero)
                )
            }
            None => match (enablers.failed.get(feed), enablers.got.get(feed)) {
                (Some(failed), _) if (from..until).contains(failed) => {
                    format!("another try by {} of what its listener had failed at {}", name(member), moment(*failed, facts.zero))
                }
                (_, Some(got)) if *got > from && *got <= until => {
                    format!(
                        "the answer to a pull of {} that the broker had kept until {}",
                        name(member),
                        moment(*got, facts.zero)
                    )
                }
                _ => format!("{} coming to what it had pulled before", name(member)),
            },
        };
        latest.or(facts.zero, pulls)
    }

    /// In the order of their beginnings.
    pub fn finish(mut self) -> (Vec<Outage>, u64) {
        self.shorten();
        self.list.sort_by(|a, b| (a.from, &a.what).cmp(&(b.from, &b.what)));
        let seconds = |at: u64| ((at as i64 - self.facts.zero as i64) as f64 / 1e6).round() / 1e3;
        let outages = self.list.iter().map(|e| Outage {
            what: e.what.clone(),
            from_s: seconds(e.from),
            until_s: e.until.map(seconds),
            ended_by: e.ended_by.clone(),
        });
        (outages.collect(), self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{facts, node, orderly, play_with, sent_at};

    fn ended_by(script: &str, orderly_group: bool) -> String {
        let facts = if orderly_group { orderly() } else { facts() };
        let script = format!(
            "-5 c1 assigned a:0 0; -5 c1 locked a:0; {} 1.1 c1 entered 0 a:0 0; 1.2 c1 left 0 a:0 0; {} {script}",
            sent_at(0, 1.0, "a:0", 0),
            sent_at(1, 11.0, "a:0", 1)
        );
        let found = play_with(facts, &script);
        found.outages.iter().find(|o| o.what == "delivery of T broker-a:0 to cg").unwrap().ended_by.clone()
    }

    /// The term of an isolation may end an outage; a good answer that lifts it is the end of the outage itself.
    #[test]
    fn an_isolation_that_an_answer_lifts_ends_nothing() {
        let of = |isolation: &str| {
            let others: String = (1..40).map(|i| sent_at(i, 1.0 + 0.5 * i as f64, "a:0", i as u64 - 1)).collect();
            let (first, last) = (sent_at(0, 1.0, "b:0", 0), sent_at(40, 30.5, "b:0", 1));
            let found = play_with(facts(), &format!("{first} {others} {isolation} {last}"));
            found.outages.iter().find(|o| o.what == "sends of pg-0 to broker-b").unwrap().ended_by.clone()
        };
        assert_eq!(of("21 pg-0 avoided b 5000;"), "end of the isolation of broker-b at pg-0 at 26.000 s");
        assert_eq!(
            of("21 pg-0 avoided b 600000; 30.5 pg-0 avoided b 0;"),
            "an answer that was long in coming: no attempt failed meanwhile"
        );
        assert_eq!(
            of("22 pg-0 missed 60 b;"),
            "an answer after the last attempt at broker-b had failed (wait response timeout) at 22.000 s"
        );
    }

    /// The end of a fault is what lets a group go on, if nothing came later.
    #[test]
    fn the_end_of_a_fault_is_named() {
        let mut facts = facts();
        let fault = |label: &str, whom: &str| crate::check::FaultFacts {
            label: label.to_owned(),
            at: 0,
            ends: true,
            restarts: Vec::new(),
            slows: Vec::new(),
            touches: vec![node(&facts, whom)],
        };
        facts.faults = vec![fault("slow disk broker-b", "broker-b"), fault("freeze c1", "c1")];
        let others: String = (1..40).map(|i| sent_at(i, 1.0 + 0.5 * i as f64, "a:0", i as u64 - 1)).collect();
        let (first, last) = (sent_at(0, 1.0, "b:0", 0), sent_at(40, 30.5, "b:0", 1));
        let script = format!(
            "{first} {others} 10 ns-0 fault 0 1; 28 ns-0 fault 0 1 off; 29 broker-a serving 100; 29.5 ns-0 fault 1 1 off; {last}"
        );
        let found = play_with(facts, &script);
        let of = |what: &str| found.outages.iter().find(|o| o.what == what).map(|o| o.ended_by.as_str());
        assert_eq!(of("sends of pg-0 to broker-b"), Some("the end of \"slow disk broker-b\" at 28.000 s"), "others ended later");
    }

    #[test]
    fn stalls_name_what_ended_them() {
        assert_eq!(
            ended_by("20 c1 killed; 20.1 c2 assigned a:0 1; 20.2 c2 entered 1 a:0 1", false),
            "rebalance of c2 at 20.100 s"
        );
        assert_eq!(
            ended_by("12 c1 killed; 12.1 broker-a forgotten c1 2 expired; 12.2 c2 assigned a:0 1; 20 c2 entered 1 a:0 1", false),
            "rebalance of c2, after a broker forgot c1 (nothing was heard of it for 120 s (expiry scan)), at 12.200 s"
        );
        assert_eq!(
            ended_by("12 c1 killed; 12.2 c2 assigned a:0 1 orderly; 72 c2 locked a:0; 73 c2 entered 1 a:0 1", true),
            "lock granted to c2 after the old one lapsed at 72.000 s"
        );
        assert_eq!(ended_by("12 c1 frozen; 30 c1 thawed; 30.5 c1 entered 1 a:0 1", false), "the thaw of c1 at 30.000 s");
        assert_eq!(
            ended_by("12 broker-a frozen; 30 broker-a thawed; 30.5 c1 entered 1 a:0 1", false),
            "the thaw of broker-a at 30.000 s"
        );
        assert_eq!(ended_by("30.5 c1 entered 1 a:0 1", false), "c1 coming to what it had pulled before");
        assert_eq!(
            ended_by("30.4 c1 pulled a:0 1 2; 30.5 c1 entered 1 a:0 1", false),
            "the answer to a pull of c1 that the broker had kept until 30.400 s"
        );
        assert_eq!(
            ended_by("12 c1 entered 0 a:0 0; 13 c1 left 0 a:0 0 failed; 30.5 c1 entered 1 a:0 1", false),
            "another try by c1 of what its listener had failed at 13.000 s"
        );
        assert_eq!(
            ended_by("29 c1 unanswered a:0; 30.5 c1 entered 1 a:0 1", false),
            "the time-out of a pull of c1, which nobody had answered, at 29.000 s"
        );
        assert_eq!(
            ended_by("29 c1 empty a:0; 30.5 c1 entered 1 a:0 1", false),
            "the next pull of c1 after one that was answered with nothing at 29.000 s"
        );
        assert_eq!(ended_by("20 broker-a serving 900; 30.5 c1 entered 1 a:0 1", false), "broker-a taking messages at 20.000 s");
        assert_eq!(ended_by("", false), "not ended");
    }
}
