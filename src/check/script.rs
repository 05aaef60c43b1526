//! Planted histories for tests: notes as text, one `seconds node verb arguments` each, separated by `;`.
//!
//! The stage: nameserver `ns-0`; brokers `broker-a`, `broker-b` with two queues of topic `T` each (`a:0`, `a:1`, `b:0`, `b:1`); producer `pg-0`;
//! members `c1`, `c2`, `c3` of group `cg`. Warm-up 10 s, load 100 s, end at 200 s. Everybody is up from the beginning. Times are seconds from
//! time 0; notes are played in the order of their times.

use super::facts::*;
use crate::base::ids::{Addr, BrokerName, GroupId, MessageId, MessageQueue, NodeId, RecordId};
use crate::base::names::NamesBuilder;
use crate::base::time::{MS, SEC, WALL_EPOCH_MS};
use crate::contract::note::{
    AttemptError, CommitBy, ForgetWhy, Note, Observer, RevokeWhy, RpcFailure, SendEnd, SendError, SendStatus, Stamp, StoredAs,
    Walk,
};
use crate::meter::{End, Findings, Watch};
use crate::run::outcome::CheckResult;
use std::sync::Arc;

pub(crate) fn facts() -> RunFacts {
    let mut names = NamesBuilder::default();
    names.topic("T").group("cg").broker("broker-a").broker("broker-b");
    let names = Arc::new(names.freeze());
    let (topic, group) = (names.topic("T").unwrap(), names.group("cg").unwrap());
    let broker = |b| NodeKind::Broker { broker: BrokerName(b), broker_id: 0 };
    let node = |name: &str, kind| NodeFacts {
        name: name.to_owned(),
        kind,
        addr: Addr(0),
        waits: Waits::default(),
        needs: Needs::default(),
    };
    let mut nodes = vec![
        node("ns-0", NodeKind::Nameserver),
        node("broker-a", broker(0)),
        node("broker-b", broker(1)),
        node("pg-0", NodeKind::Client),
        node("c1", NodeKind::Client),
        node("c2", NodeKind::Client),
        node("c3", NodeKind::Client),
    ];
    nodes.iter_mut().enumerate().for_each(|(i, node)| node.addr = Addr(i as u16));
    let consumer = |i: u16| ConsumerFacts {
        name: format!("c{}", i + 1),
        node: NodeId(4 + i),
        index: 0,
        client_index: 0,
        from_start: true,
        group,
        orderly: false,
        broadcasting: false,
        subscriptions: vec![(topic, TagFilter::All)],
    };
    let queue = |q: i32| MessageQueue { topic, broker: BrokerName(q as u16 / 2), queue_id: q % 2 };
    RunFacts {
        zero: 10 * SEC,
        load_end: 110 * SEC,
        nodes,
        producers: vec![ProducerFacts {
            name: "pg-0".to_owned(),
            node: NodeId(3),
            topic,
            keys: 0,
            delay_level: 0,
            delay: 0,
            tags: vec![],
            transactional: false,
        }],
        consumers: (0..3).map(consumer).collect(),
        queues: (0..4).map(queue).collect(),
        names,
        ..RunFacts::default()
    }
}

/// The same with a slave `broker-a-s` and no consumers.
pub(crate) fn facts_with_slave() -> RunFacts {
    let mut facts = facts();
    let kind = NodeKind::Broker { broker: BrokerName(0), broker_id: 1 };
    let addr = Addr(facts.nodes.len() as u16);
    facts.nodes.push(NodeFacts { name: "broker-a-s".to_owned(), kind, addr, waits: Waits::default(), needs: Needs::default() });
    facts.consumers.clear();
    facts.faults.push(FaultFacts {
        label: "kill broker-a".to_owned(),
        at: 0,
        ends: false,
        restarts: Vec::new(),
        slows: Vec::new(),
        touches: Vec::new(),
    });
    facts
}

/// The same with orderly listeners.
pub(crate) fn orderly() -> RunFacts {
    let mut facts = facts();
    facts.consumers.iter_mut().for_each(|c| c.orderly = true);
    facts
}

pub(crate) fn node(facts: &RunFacts, name: &str) -> NodeId {
    NodeId(facts.nodes.iter().position(|n| n.name == name).unwrap_or_else(|| panic!("no node {name}")) as u16)
}

pub(crate) fn play(script: &str) -> Findings {
    play_with(facts(), script)
}

pub(crate) fn play_with(facts: RunFacts, script: &str) -> Findings {
    run(facts, script, 200.0, true)
}

pub(crate) fn play_until(script: &str, until: f64, drained: bool) -> Findings {
    run(facts(), script, until, drained)
}

pub(crate) fn play_until_with(facts: RunFacts, script: &str, until: f64, drained: bool) -> Findings {
    run(facts, script, until, drained)
}

fn run(facts: RunFacts, script: &str, until: f64, drained: bool) -> Findings {
    let zero = facts.zero;
    let mut watch = Watch::new(facts.clone());
    for n in 0..facts.nodes.len() {
        watch.note(Stamp { at: 1, node: NodeId(n as u16), life: 1, event: 0 }, &Note::Up);
    }
    let mut lines: Vec<(i64, &str)> =
        script.split(';').map(str::trim).filter(|l| !l.is_empty()).map(|l| (millis(l), l)).collect();
    lines.sort_by_key(|l| l.0);
    for (event, (ms, line)) in lines.into_iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = (zero as i64 + ms * MS as i64) as u64;
        let stamp = Stamp { at, node: node(&facts, words[1]), life: 1, event: event as u64 + 1 };
        let note = Line { facts: &facts, at, words: &words[2..] }.note().unwrap_or_else(|| panic!("cannot read \"{line}\""));
        watch.note(stamp, &note);
    }
    assert!(watch.loss_is_told_alike(), "{script}");
    watch.finish(End { end: (zero as i64 + (until * 1e3) as i64 * MS as i64) as u64, drained, interrupted: false })
}

fn millis(line: &str) -> i64 {
    let seconds: f64 =
        line.split_whitespace().next().and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("no time in \"{line}\""));
    (seconds * 1e3).round() as i64
}

struct Line<'a> {
    facts: &'a RunFacts,
    at: u64,
    words: &'a [&'a str],
}

impl Line<'_> {
    fn word(&self, i: usize) -> Option<&str> {
        self.words.get(i).copied()
    }
    fn number(&self, i: usize) -> Option<u64> {
        self.word(i)?.parse().ok()
    }
    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
    fn value(&self, key: &str) -> Option<&str> {
        self.words.iter().find_map(|w| w.strip_prefix(key))
    }
    fn msg(&self) -> Option<MessageId> {
        Some(MessageId::new(0, self.number(1)?))
    }
    fn queue_of(&self, text: &str) -> Option<MessageQueue> {
        let (place, id) = text.split_once(':')?;
        let names = &self.facts.names;
        let (topic, broker) = match place {
            "retry" => (names.retry_topic(GroupId(0)), "a"),
            broker => (names.topic("T")?, broker),
        };
        Some(MessageQueue { topic, broker: names.broker(&format!("broker-{broker}"))?, queue_id: id.parse().ok()? })
    }
    fn queue(&self, i: usize) -> Option<MessageQueue> {
        self.queue_of(self.word(i)?)
    }
    fn record(&self) -> Option<RecordId> {
        Some(RecordId { queue: self.queue(2)?, log: 0, offset: self.number(3)? })
    }
    fn broker(&self, i: usize) -> Option<BrokerName> {
        let name = self.word(i)?;
        self.facts.names.broker(name).or_else(|| self.facts.names.broker(&format!("broker-{name}")))
    }
    /// "a,b"; "-": none.
    fn brokers(&self, i: usize) -> Option<Arc<[BrokerName]>> {
        let names = self.word(i)?.split(',').filter(|b| *b != "-");
        names.map(|b| self.facts.names.broker(&format!("broker-{b}"))).collect()
    }
    fn client(&self, i: usize) -> Option<Arc<str>> {
        Some(Arc::from(self.word(i)?))
    }
    fn why(&self, i: usize) -> ForgetWhy {
        match self.word(i) {
            Some("expired") => ForgetWhy::Expired,
            Some("idle") => ForgetWhy::ChannelIdle,
            Some("unregistered") => ForgetWhy::Unregistered,
            _ => ForgetWhy::ChannelClosed,
        }
    }
    fn store_ms(&self) -> i64 {
        self.value("stored=")
            .map_or((self.at / MS) as i64, |s| (self.facts.zero / MS) as i64 + (s.parse::<f64>().unwrap() * 1e3) as i64)
            + WALL_EPOCH_MS
    }

    fn note(&self) -> Option<Note> {
        let group = GroupId(0);
        let topic = self.facts.names.topic("T")?;
        let error = SendError::Exhausted { last: AttemptError::Connect };
        Some(match self.word(0)? {
            "began" => {
                let late = self.value("late=").map_or(0, |s| (s.parse::<f64>().unwrap() * 1e9) as u64);
                Note::SendBegan {
                    msg: self.msg()?,
                    topic,
                    key: self.value("key=").and_then(|k| k.parse().ok()),
                    due: self.at - late,
                }
            }
            "stored" => {
                let stored_as = match self.value("as=") {
                    Some("retry") => StoredAs::Retry(1),
                    Some("delayed") => StoredAs::Delayed,
                    Some("dead") => StoredAs::Dead,
                    _ => StoredAs::Plain,
                };
                let phys = self.value("phys=").map_or(0, |p| p.parse().unwrap());
                Note::Stored { rec: self.record()?, msg: self.msg()?, store_ms: self.store_ms(), phys, bytes: 100, stored_as }
            }
            "acked" => {
                let status = match self.word(4) {
                    Some("FLUSH_DISK_TIMEOUT") => SendStatus::FlushDiskTimeout,
                    Some("FLUSH_SLAVE_TIMEOUT") => SendStatus::FlushSlaveTimeout,
                    Some("SLAVE_NOT_AVAILABLE") => SendStatus::SlaveNotAvailable,
                    _ => SendStatus::SendOk,
                };
                Note::SendEnded {
                    msg: self.msg()?,
                    attempts: 1,
                    end: SendEnd::Acked { status, queue: self.queue(2)?, offset: self.number(3)? },
                }
            }
            "attempted" => Note::Attempted { msg: self.msg()?, attempt: 1, queue: self.queue(2)? },
            "failed" => Note::SendEnded { msg: self.msg()?, attempts: 3, end: SendEnd::Failed { error, broker: self.broker(2) } },
            "unknown" => Note::SendEnded {
                msg: self.msg()?,
                attempts: 1,
                end: SendEnd::Unknown { error: SendError::CallTimeout, broker: self.broker(2) },
            },
            "died" => Note::SendEnded {
                msg: self.msg()?,
                attempts: 1,
                end: SendEnd::Unknown { error: SendError::ProcessDied, broker: None },
            },
            "avoided" => Note::BrokerAvoided { broker: self.broker(1)?, ms: self.number(2)? as u32 },
            "committed" => Note::Committed { group, queue: self.queue(1)?, offset: self.number(2)?, by: CommitBy::Update },
            "sentback" => Note::SentBack { group, msg: self.msg()?, level: 3, dead: self.has("dead") },
            "truncated" => Note::Truncated { queue: self.queue(1)?, log: 0, from: self.number(2)? },
            "unindexed" => Note::Unindexed { queue: self.queue(1)?, log: 0, from: self.number(2)? },
            "expired" => Note::Expired { queue: self.queue(1)?, log: 0, below: self.number(2)? },
            "deleted" => Note::FileDeleted { upto: self.number(1)?, expired: !self.has("early") },
            "paused" => Note::Paused { lasts: self.number(1)? * MS },
            "diskfull" => Note::DiskFull { on: !self.has("off") },
            "flushed" => Note::Flushed { upto: self.number(1)? },
            "refused" => Note::FlushedInVain { upto: self.number(1)?, held: false },
            "held" => Note::FlushedInVain { upto: self.number(1)?, held: true },
            "cached" => Note::PageCached { upto: self.number(1)? },
            "replicated" => Note::Replicated { upto: self.number(1)? },
            "recovered" => {
                let bytes = self.value("read=").map_or(0, |n| n.parse().unwrap());
                let walk = Walk { abnormal: self.has("abnormal"), from: 0, bytes };
                Note::Recovered { upto: self.number(1)?, buffered: self.has("buffered"), walk }
            }
            "stands" => Note::VoteBegan { term: 1 },
            "elected" => Note::Elected { term: 1, leads: !self.has("not") },
            "serving" => Note::Serving { upto: self.number(1)? },
            "busy" => Note::Busy { code: 2 },
            "registered" => Note::MemberRegistered { group, client: self.client(1)?, members: self.number(2)? as u16 },
            "forgotten" => {
                Note::MemberForgotten { group, client: self.client(1)?, members: self.number(2)? as u16, why: self.why(3) }
            }
            "granted" => Note::LockGranted { group, queue: self.queue(1)?, client: self.client(2)? },
            "released" => Note::LockReleased { group, queue: self.queue(1)?, client: self.client(2)? },
            "brokerup" => {
                let addr = self.word(2).map_or_else(
                    || {
                        self.facts.nodes[node(self.facts, &format!("broker-{}", self.word(1).unwrap_or_default())).0 as usize]
                            .addr
                    },
                    |name| self.facts.nodes[node(self.facts, name).0 as usize].addr,
                );
                Note::BrokerRegistered { broker: self.broker(1)?, id: 0, addr }
            }
            "brokerdown" => Note::BrokerForgotten { broker: self.broker(1)?, id: 0, why: self.why(2) },
            "route" => Note::PublishRouteBelieved { topic, queues: 4, brokers: self.brokers(1)? },
            "reads" => Note::SubscribeRouteBelieved { topic, brokers: self.brokers(1)? },
            "asks" => Note::NameserverChosen { addr: self.facts.nodes[node(self.facts, self.word(1)?).0 as usize].addr },
            "missed" => {
                let error = if self.has("refused") { AttemptError::Connect } else { AttemptError::Timeout };
                Note::AttemptFailed { msg: self.msg()?, attempt: 0, broker: self.broker(2)?, error }
            }
            "unanswered" => Note::PullFailed { group, queue: self.queue(1)?, why: RpcFailure::Timeout },
            "pulled" => Note::Pulled {
                group,
                queue: self.queue(1)?,
                from: self.number(2)?,
                to: self.number(3)?,
                count: (self.number(3)? - self.number(2)?) as u16,
            },
            "allocated" => {
                let owned: Option<Vec<MessageQueue>> = self.word(2)?.split(',').map(|q| self.queue_of(q)).collect();
                Note::Allocated { group, topic, members: self.number(1)? as u16, queues: 4, owned: owned?.into() }
            }
            "assigned" => {
                Note::Assigned { group, queue: self.queue(1)?, offset: self.number(2)? as i64, orderly: self.has("orderly") }
            }
            "corrected" => {
                Note::OffsetCorrected { group, queue: self.queue(1)?, from: self.number(2)? as i64, to: self.number(3)? }
            }
            "revoked" => Note::Revoked { group, queue: self.queue(1)?, why: RevokeWhy::Rebalance },
            "locked" => Note::Locked { group, queue: self.queue(1)? },
            "unlocked" => Note::Unlocked { group, queue: self.queue(1)? },
            "entered" => {
                let reconsume = self.value("reconsume=").map_or(0, |k| k.parse().unwrap());
                Note::ListenerEntered {
                    group,
                    consumer: 0,
                    msg: self.msg()?,
                    rec: self.record()?,
                    store_ms: self.store_ms(),
                    reconsume,
                }
            }
            "left" => Note::ListenerLeft { group, consumer: 0, msg: self.msg()?, rec: self.record()?, ok: !self.has("failed") },
            "invain" => Note::PulledInVain { group },
            "empty" => Note::PulledNothing { group, queue: self.queue(1)? },
            "severed" => {
                let side = |i: usize| self.word(i).map(|names| names.split(',').map(|n| node(self.facts, n)).collect());
                Note::Severed { fault: self.number(1)? as u16, from: side(2)?, to: side(3)? }
            }
            "givenup" => Note::GivenUp { group, msg: self.msg()? },
            "shutting" => Note::ShutdownBegan { index: 0 },
            "shut" => Note::ShutdownEnded { index: 0 },
            "checked" => Note::TransactionChecked { msg: self.msg()? },
            "up" => Note::Up,
            "killed" => Note::Killed,
            "hostlost" => Note::HostLost,
            "exited" => Note::Exited,
            "frozen" => Note::Frozen,
            "thawed" => Note::Thawed,
            "stepped" => Note::ClockStepped { ms: self.number(1)? as i64 },
            "fault" => Note::Fault { index: self.number(1)? as u16, on: !self.has("off"), touched: self.number(2)? },
            "notoffered" => Note::NotOffered { msg: self.msg()? },
            _ => return None,
        })
    }
}

/// A message sent, stored and acknowledged at one moment.
pub(crate) fn sent_at(n: u32, at: f64, queue: &str, offset: u64) -> String {
    let broker = &queue[..1];
    format!("{at} pg-0 began {n}; {at} broker-{broker} stored {n} {queue} {offset}; {at} pg-0 acked {n} {queue} {offset};")
}

/// Messages at 1 s, in order, to `a:0`.
pub(crate) fn sent(messages: std::ops::Range<u32>) -> String {
    messages.map(|n| sent_at(n, 1.0, "a:0", n as u64)).collect()
}

pub(crate) fn counter(found: &Findings, name: &str) -> Option<i64> {
    found.counters.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no counter {name}")).value
}

/// "cause number, cause number".
pub(crate) fn causes(found: &Findings, name: &str) -> String {
    let counter = found.counters.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no counter {name}"));
    counter.causes.iter().map(|(cause, n)| format!("{cause} {n}")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn law(found: &Findings, name: &str) -> CheckResult {
    found.laws.iter().find(|l| l.name == name).unwrap_or_else(|| panic!("no law {name}")).clone()
}

pub(crate) fn law_of(facts: RunFacts, script: &str, name: &str) -> CheckResult {
    law(&play_with(facts, script), name)
}
