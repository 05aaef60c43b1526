//! The outages of broker sets as reports tell them: who was away for how long (RTO), what each stage of that waited for, and what the death
//! cost in acknowledged messages (RPO).
//!
//! Two times without success are told apart. A client's *outage of a set* runs from the strike to its first answer there; its time *without any
//! answer* is the longest time between two answers of any set, and is what its application felt. With one set they are nearly the same.

use super::counters::{Entry, worst};
use super::recovery::{Away, Reader, Sender, Start};
use super::strikes::{Majority, Sign, Strike};
use super::watch::Watch;
use crate::base::ids::{GroupId, NodeId};
use crate::base::size::pretty_bytes;
use crate::base::time::{SEC, seconds};
use crate::check::durability::Crash;
use crate::check::facts::Needs;
use crate::check::ledger::Message;
use crate::check::stages::{Stage, Step, telescope};
use crate::contract::note::{AttemptError, RpcFailure, Walk};
use crate::run::outcome::{Recovery, Rpo, StageReport, Waited};
use std::collections::BTreeMap;

/// What a stage is called.
fn name(step: Step, sends: bool) -> &'static str {
    match step {
        Step::Detected => "detected",
        Step::Started => "process started",
        Step::Booted => "booted",
        Step::Recovered => "log recovered",
        Step::Quorum => "quorum back",
        Step::VoteBegan => "election begun",
        Step::Elected => "elected",
        Step::Opened => "opened",
        Step::Replicated => "replicating",
        Step::Registered => "registered",
        Step::Routed => "route refreshed",
        Step::Favoured => "isolation over",
        Step::Assigned => "queue assigned",
        Step::Stored => "first message stored",
        Step::Pulled => "pulled",
        Step::Answered => "first answer",
        Step::Served if sends => "SEND_OK",
        Step::Served => "first delivery",
        Step::Missing => "not back",
    }
}

/// A stretch in its stages: of whom, from the strike until it was over; `None`: it was not, up to `end`.
struct Wait<'a> {
    away: &'a Away,
    /// The client, and the nameserver that it asks.
    client: Option<NodeId>,
    none_left: bool,
    sign: Option<Sign>,
    /// Of a queue: how the latest pull that brought nothing ended, before one did.
    in_vain: Option<Option<(u64, Option<RpcFailure>)>>,
    moments: Vec<(Step, Option<u64>)>,
    last: Step,
    until: Option<u64>,
    end: u64,
}

impl Watch {
    pub(super) fn recoveries(&self, end: u64) -> Vec<Recovery> {
        // What hindered nobody is nobody's outage.
        let told = |away: &&Away| !away.strike.hinders() || self.rows(away).next().is_some();
        self.recovery.all.iter().filter(told).map(|away| self.recovery_of(away, end)).collect()
    }

    fn recovery_of(&self, away: &Away, end: u64) -> Recovery {
        let what = away.strike.describe(&self.facts.nodes[away.node.0 as usize].name);
        let mut senders: Vec<Waited> = self.rows(away).map(|s| self.sender_row(away, s, end)).collect();
        let mut queues: Vec<Waited> = self.read_rows(away).map(|r| self.reader_row(away, r, end)).collect();
        // The worst first; those who are not back are worse than all.
        for rows in [&mut senders, &mut queues] {
            rows.sort_by_key(|row| (row.over, std::cmp::Reverse(row.outage)));
        }
        Recovery {
            what,
            set: self.facts.names.broker_name(away.set).to_string(),
            at_s: (seconds(away.at, self.clock.zero) * 1e3).round() / 1e3,
            struck_again: away.again,
            itself: self.set_row(away, end),
            died: away.strike.is_death(),
            rpo: self.death_told_with(away).map(|crash| self.rpo(crash)),
            senders,
            queues,
        }
    }

    /// Senders whose process lived through it, and that had something to send: who had stopped waits for nothing.
    fn rows<'a>(&'a self, away: &'a Away) -> impl Iterator<Item = &'a Sender> {
        let waited = |s: &&Sender| !s.gone && (s.back().is_some() || self.sent_since(s.producer, away.at));
        away.senders.iter().filter(|s| away.touched(s)).filter(waited)
    }

    fn sent_since(&self, producer: usize, at: u64) -> bool {
        let rows = self.ledger.tables().find(|(table, _)| *table == producer).map(|(_, rows)| rows);
        let mut open = rows.into_iter().flat_map(|rows| rows.iter()).filter(|row| row.is(Message::BEGAN));
        open.any(|row| row.began() >= at || !row.is(Message::ENDED))
    }

    /// Queues in which something waited: one that nobody sent to is not away for want of a delivery.
    fn read_rows<'a>(&'a self, away: &'a Away) -> impl Iterator<Item = &'a Reader> {
        away.readers.iter().filter(|r| r.delivered.is_some() || self.stalls.open(r.feed).is_some())
    }

    /// The death that began this outage, if somebody has taken the set's messages since; or another one of the set, whose price was paid when this outage
    /// ended: by a member that had come back with less than it had, and took over.
    fn death_told_with(&self, away: &Away) -> Option<&Crash> {
        let opened = away.opened?;
        let crashes = &self.durability.crashes;
        let paid_here = |c: &&Crash| c.paid_at == Some(opened.0) && self.durability.set_of(c.node) == Some(away.set);
        crashes.iter().find(|c| c.node == away.node && c.at == away.at).or_else(|| crashes.iter().find(paid_here))
    }

    fn rpo(&self, crash: &Crash) -> Rpo {
        Rpo { messages: crash.discarded_total(), span: self.durability.lost_span(crash, &self.ledger, &self.index) }
    }

    /// The moments of the set itself, as a client of this nameserver waits for them.
    fn set_moments(&self, away: &Away, nameserver: Option<NodeId>) -> Vec<(Step, Option<u64>)> {
        let start = self.waited_start(away);
        let read = start.and_then(|s| s.recovered);
        // With the member that makes up a majority the end of its reading is the return of the majority.
        let votes = away.elected.is_some();
        vec![
            (Step::Started, start.map(|s| s.at)),
            (Step::Booted, read.map(|(at, walk)| at.saturating_sub(self.log_read_time(walk)))),
            (Step::Recovered, read.filter(|_| !votes).map(|r| r.0)),
            (Step::Quorum, away.quorum.map(|q| q.0)),
            (Step::VoteBegan, away.vote.map(|v| v.0)),
            (Step::Elected, away.elected.map(|e| e.0)),
            (Step::Opened, away.opened.map(|o| o.0)),
            (Step::Replicated, away.replicated.filter(|_| away.closed_by == Strike::NoSlave).map(|r| r.0)),
            (Step::Registered, away.registered_at(nameserver).map(|r| r.0)),
        ]
    }

    /// The process whose start the set waited for: that of the member with which a majority could vote again, else of the broker that opened.
    fn waited_start<'a>(&self, away: &'a Away) -> Option<&'a Start> {
        match (away.elected, away.quorum, away.opened) {
            (_, Some((_, Majority::Member(node))), _) => away.start_of(node),
            (Some(_), ..) => None,
            (None, None, Some((_, node))) if away.closed_by == Strike::NoSlave && node == away.node => {
                away.starts.iter().filter(|s| s.recovered.is_some()).min_by_key(|s| s.recovered.map(|r| r.0))
            }
            (None, _, Some((_, node))) => away.start_of(node),
            (None, _, None) => away.start_of(away.node),
        }
    }

    /// How long a broker reads so much of its log, ns (`disks.recovery`).
    fn log_read_time(&self, walk: Walk) -> u64 {
        let ns = (u128::from(walk.bytes) * u128::from(SEC)).checked_div(u128::from(self.facts.log_read_rate)).unwrap_or(0);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The set, until the first of its clients was answered; without any client, until it opened.
    fn set_row(&self, away: &Away, end: u64) -> Waited {
        let answered = self.rows(away).filter_map(|s| s.answered).min();
        let (until, last) = match away.senders.is_empty() {
            true => (away.opened.map(|o| o.0), Step::Opened),
            false => (answered, Step::Answered),
        };
        let moments = self.set_moments(away, None);
        let end = end.min(self.clock.load_end);
        let wait = Wait { away, client: None, none_left: false, sign: None, in_vain: None, moments, last, until, end };
        self.waited(self.facts.names.broker_name(away.set).to_string(), &wait, None)
    }

    fn sender_row(&self, away: &Away, sender: &Sender, end: u64) -> Waited {
        let facts = &self.facts.producers[sender.producer];
        let end = end.min(self.clock.load_end);
        let view = away.views.get(&facts.node);
        let routed = view.and_then(|v| v.routed(sender.back().unwrap_or(end)));
        let mut moments = self.set_moments(away, self.recovery.asks(facts.node));
        moments.extend([
            (Step::Detected, sender.detected.map(|d| d.0)),
            (Step::Routed, routed),
            (Step::Favoured, Some(sender.aside_until).filter(|at| *at > 0)),
            // Who got answers all the time waits for one that is as good as before.
            (Step::Answered, sender.answered.filter(|_| sender.lesser.is_none())),
        ]);
        let last = if sender.had_ok { Step::Served } else { Step::Answered };
        let none_left = view.is_some_and(|v| v.none_left);
        let wait = Wait {
            away,
            client: Some(facts.node),
            none_left,
            sign: sender.detected.map(|d| d.1),
            in_vain: None,
            moments,
            last,
            until: sender.back(),
            end,
        };
        let mut row = self.waited(facts.name.clone(), &wait, Some(sender));
        row.without_any = Some(sender.dark);
        let place = |(queue, at): &(u32, Option<u64>)| {
            let name = self.facts.names.queue(self.index.queues[*queue as usize].mq);
            (name, at.map(|at| at.saturating_sub(away.at)))
        };
        row.by_queue = sender.queues.iter().map(place).collect();
        row
    }

    fn reader_row(&self, away: &Away, reader: &Reader, end: u64) -> Waited {
        let member = reader.delivered.map(|d| d.1);
        let client = member.map(|m| self.roster.node_of(m));
        let view = client.and_then(|c| away.views.get(&c));
        let mut moments = self.set_moments(away, client.and_then(|c| self.recovery.asks(c)));
        // What lay in the queue before the strike was no reason to wait.
        let waited_for_it = |s: &(u64, u64)| reader.delivered.is_none_or(|d| d.2 >= s.1);
        moments.extend([
            (Step::Detected, reader.detected.map(|d| d.0)),
            (Step::Routed, view.and_then(|v| v.routed(reader.delivered.map_or(end, |d| d.0)))),
            (Step::Assigned, reader.assigned),
            (Step::Stored, reader.stored.filter(waited_for_it).map(|s| s.0)),
            (Step::Pulled, reader.pulled.map(|p| p.0)),
        ]);
        let wait = Wait {
            away,
            client,
            none_left: false,
            sign: reader.detected.map(|d| Sign::Pull(d.1)),
            in_vain: Some(reader.in_vain),
            moments,
            last: Step::Served,
            until: reader.delivered.map(|d| d.0),
            end,
        };
        let (group, mq) = (self.index.feeds[reader.feed as usize].group, self.index.queue_of(reader.feed).mq);
        let names = &self.facts.names;
        let who = format!("{} {} to {}", names.topic_name(mq.topic), names.queue(mq), names.group_name(group));
        let mut row = self.waited(who, &wait, None);
        row.meanwhile = self.has_slave(away).then_some(reader.meanwhile);
        row
    }

    /// Another broker of the set may have been read from.
    fn has_slave(&self, away: &Away) -> bool {
        let of_set = |(n, _): &(usize, _)| self.durability.set_of(NodeId(*n as u16)) == Some(away.set);
        self.facts.nodes.iter().enumerate().filter(of_set).count() > 1
    }

    fn waited(&self, who: String, wait: &Wait<'_>, sender: Option<&Sender>) -> Waited {
        let from = wait.away.at;
        let (until, last) = wait.until.map_or((wait.end.max(from), Step::Missing), |until| (until, wait.last));
        let sends = wait.last != Step::Served || sender.is_some();
        let stages = telescope(from, until, last, &wait.moments);
        let told =
            |s: &Stage| StageReport { name: name(s.step, sends), took: s.took, waits_for: self.waits_for(s.step, wait, sender) };
        Waited {
            who,
            outage: until - from,
            over: wait.until.is_some(),
            stages: stages.iter().map(told).collect(),
            without_any: None,
            by_queue: Vec::new(),
            meanwhile: None,
        }
    }

    /// Why a process was started again.
    fn start_waits_for(&self, away: &Away, start: &Start) -> String {
        let name = &self.facts.nodes[start.node.0 as usize].name;
        match start.node == away.node || self.durability.set_of(start.node).is_none_or(|set| self.has_election(set)) {
            true => format!("the restart of {name}"),
            false if away.closed_by == Strike::NoSlave => format!("the restart of {name}"),
            false => format!("the promotion of {name}"),
        }
    }

    fn has_election(&self, set: crate::base::ids::BrokerName) -> bool {
        self.support.members(set).iter().any(|n| self.support.needs(*n) == Needs::Majority)
    }

    /// Where a pull of the set was kept: by the broker that took its messages before.
    fn where_parked(&self, away: &Away) -> &str {
        &self.facts.nodes[away.node.0 as usize].name
    }

    /// The timer or event that a stage waits for, in the words of its settings.
    fn waits_for(&self, step: Step, wait: &Wait<'_>, sender: Option<&Sender>) -> String {
        let away = wait.away;
        let node = |node: NodeId| &self.facts.nodes[node.0 as usize];
        let client = |of: fn(&crate::check::Waits) -> &String| wait.client.map_or(String::new(), |c| of(&node(c).waits).clone());
        match step {
            Step::Detected => match wait.sign {
                Some(Sign::Attempt(AttemptError::Timeout | AttemptError::TooMuchRequest)) => client(|w| &w.call),
                Some(Sign::Attempt(AttemptError::Connect)) if away.strike.is_silent() => client(|w| &w.connect),
                Some(Sign::Attempt(AttemptError::Connect)) => "the next call: its connection is refused".to_owned(),
                Some(Sign::Attempt(AttemptError::ChannelClosed)) if away.strike.is_silent() || away.strike == Strike::Frozen => {
                    format!("{} of a call, which closes the connection under the others", client(|w| &w.call))
                }
                Some(Sign::Attempt(AttemptError::ChannelClosed)) => "the connection closes under a call".to_owned(),
                Some(Sign::Attempt(error)) => error.describe(),
                Some(Sign::Lesser(status)) => format!("the first answer with {}", status.name()),
                Some(Sign::Pull(RpcFailure::Timeout)) => format!("{} of a pull under way at the strike", client(|w| &w.pull)),
                Some(Sign::Pull(RpcFailure::ChannelClosed)) => "the connection closes under a pull".to_owned(),
                Some(Sign::Pull(_)) => "the next pull: no connection".to_owned(),
                Some(Sign::Route) => format!("{}: a route without the set", client(|w| &w.route)),
                None => String::new(),
            },
            Step::Started => self.waited_start(away).map_or(String::new(), |s| self.start_waits_for(away, s)),
            Step::Booted => "services.boot: its start up to the first look at its log".to_owned(),
            Step::Recovered => self
                .waited_start(away)
                .and_then(|s| s.recovered)
                .map_or(String::new(), |r| read_of(r.1, self.has_election(away.set))),
            Step::Quorum => match (away.quorum, self.waited_start(away).and_then(|s| s.recovered)) {
                (Some((_, Majority::Member(n))), Some((_, walk))) if walk.bytes > 0 => {
                    format!("{} has read its log ({}): a majority of the group can vote", node(n).name, read_of(walk, true))
                }
                (Some((_, Majority::Member(n))), _) => {
                    format!("the return of {}: a majority of the group can vote", node(n).name)
                }
                (Some((_, Majority::Link)), _) => "the end of the cut: a majority of the group can vote".to_owned(),
                (None, _) => String::new(),
            },
            Step::VoteBegan => away.vote.map_or(String::new(), |v| node(v.1).waits.silence.clone()),
            Step::Elected => away.elected.map_or(String::new(), |e| node(e.1).waits.vote.clone()),
            Step::Opened => match away.opened {
                Some((_, who)) if who == away.node && away.closed_by.ends_with().is_some() => {
                    away.closed_by.ends_with().unwrap_or_default().to_owned()
                }
                Some((_, who)) if who == away.node && away.closed_by == Strike::Deposed => node(who).waits.role.clone(),
                Some((_, who)) if who == away.node => format!("the restart of {}", node(who).name),
                Some((_, who)) if away.elected.is_some() => node(who).waits.role.clone(),
                Some((_, who)) => format!("the promotion of {}", node(who).name),
                None => String::new(),
            },
            Step::Replicated => {
                let what =
                    |(_, who): (u64, NodeId)| format!("{} gets the log: {}", node(who).name, node(who).waits.connect_again);
                away.replicated.map_or(String::new(), what)
            }
            Step::Registered => {
                let asked = wait.client.and_then(|c| self.recovery.asks(c));
                let at = away.registered_at(asked).map_or(String::new(), |r| format!(" at {}", node(r.1).name));
                let when = away.opened.map_or("", |o| node(o.1).waits.register.as_str());
                format!("registration{at}: {when}")
            }
            Step::Routed if wait.none_left => {
                format!("{}; with no route left, each call asks", client(|w| &w.route))
            }
            Step::Routed => client(|w| &w.route),
            Step::Favoured => client(|w| &w.aside),
            Step::Assigned => client(|w| &w.rebalance),
            Step::Stored => "the first message for this queue".to_owned(),
            Step::Pulled => match wait.in_vain.flatten() {
                Some((_, Some(_))) => format!("the next pull, after a failed one {}", client(|w| &w.pull_again)),
                Some((_, None)) => {
                    format!("the next pull, after one that was parked at {}: {}", self.where_parked(away), client(|w| &w.parked))
                }
                None => "the next pull".to_owned(),
            },
            Step::Answered if wait.client.is_some() => "the next call that picks the set".to_owned(),
            Step::Answered => "the first client that finds it".to_owned(),
            Step::Served if sender.is_some() => "an answer with no lesser status".to_owned(),
            Step::Served => "the listener".to_owned(),
            Step::Missing if away.opened.is_none() => match away.closed_by.ends_with() {
                Some(what) => format!("{what} did not come"),
                None => "nobody took the set's messages".to_owned(),
            },
            Step::Missing if sender.is_some_and(|s| s.lesser.is_some()) => {
                let status = sender.and_then(|s| s.lesser).map_or("", |status| status.name());
                format!("answers came with {status} only")
            }
            Step::Missing if sender.is_some_and(|s| s.aside_until > wait.end) => format!("{}, still aside", client(|w| &w.aside)),
            Step::Missing if sender.is_some() || wait.last == Step::Answered => "no call was answered there".to_owned(),
            Step::Missing => "nothing of it was delivered".to_owned(),
        }
    }

    // ---- counters

    /// By producer: its longest outage of a set, in its stages.
    pub(super) fn rto(&self, end: u64) -> Vec<(String, Entry)> {
        let mut by: BTreeMap<usize, Waited> = BTreeMap::new();
        for away in &self.recovery.all {
            for sender in self.rows(away) {
                let row = self.sender_row(away, sender, end);
                keep_longer(&mut by, sender.producer, row);
            }
        }
        let of = |(n, p): (usize, &crate::check::ProducerFacts)| (p.name.clone(), by.get(&n).map_or((None, Vec::new()), entry));
        self.facts.producers.iter().enumerate().map(of).collect()
    }

    /// Of a group: the longest time until a queue of a set that was struck was delivered again.
    pub(super) fn rto_deliveries(&self, group: GroupId, end: u64) -> Entry {
        let mut by: BTreeMap<usize, Waited> = BTreeMap::new();
        for away in &self.recovery.all {
            for reader in self.read_rows(away).filter(|r| self.index.feeds[r.feed as usize].group == group) {
                keep_longer(&mut by, 0, self.reader_row(away, reader, end));
            }
        }
        by.get(&0).map_or((None, Vec::new()), entry)
    }

    /// The worst death: messages answered SEND_OK that are gone, and the time that they cover, by what died. A death counts when somebody takes the messages
    /// of the set that its broker took, and whenever it cost something.
    pub(super) fn rpos(&self) -> (Entry, Entry) {
        let loaded = |c: &&Crash| (self.clock.zero..self.clock.load_end).contains(&c.at);
        let deaths = self.durability.crashes.iter().filter(loaded).filter(|c| c.succeeded || c.discarded_total() > 0);
        let told: Vec<(String, Rpo)> = deaths.map(|c| (self.facts.nodes[c.node.0 as usize].name.clone(), self.rpo(c))).collect();
        let part = |of: fn(&Rpo) -> u64| -> Vec<(String, Entry)> {
            let row = |(who, rpo): &(String, Rpo)| (who.clone(), (Some(of(rpo) as i64), vec![(who.clone(), of(rpo) as i64)]));
            told.iter().map(row).collect()
        };
        let worst_of = |parts: Vec<(String, Entry)>| {
            let (value, _) = worst(&parts);
            (value, parts.into_iter().flat_map(|p| p.1.1).collect())
        };
        (worst_of(part(|r| r.span)), worst_of(part(|r| r.messages)))
    }
}

/// "CommitLog#recoverAbnormally: 69.3 MiB of its log" (4.9.8; server spec 4.4).
fn read_of(walk: Walk, member: bool) -> String {
    let how = match (member, walk.abnormal) {
        (true, _) => "DLedgerMmapFileStore#recover",
        (false, true) => "CommitLog#recoverAbnormally",
        (false, false) => "CommitLog#recoverNormally",
    };
    format!("{how}: {} of its log", pretty_bytes(walk.bytes))
}

fn keep_longer(by: &mut BTreeMap<usize, Waited>, key: usize, row: Waited) {
    if by.get(&key).is_none_or(|kept| kept.outage < row.outage) {
        by.insert(key, row);
    }
}

fn entry(row: &Waited) -> Entry {
    (Some(row.outage as i64), row.stages.iter().map(|s| (s.name.to_owned(), s.took as i64)).collect())
}

#[cfg(test)]
#[path = "recoveries_tests.rs"]
mod tests;
