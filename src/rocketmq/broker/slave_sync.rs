//! What a slave copies from its master besides the log: topics, consumer offsets, delay offsets, subscription groups.
//!
//! `SlaveSynchronize#syncAll` (4.9.8; server spec 2.6): first after 3 s, then every 10 s, one request after the other, each for itself. Offsets overwrite what is
//! there, backwards too: commits that consumers made at the slave are gone with the next round. Nothing travels the other way.

use super::registration::Outer;
use super::{Broker, Cx, Tick};
use crate::base::ids::Addr;
use crate::base::time::MS;
use crate::rocketmq::protocol::{Answer, Metadata, OffsetRow, Request};
use crate::rocketmq::remoting::client::{Invoke, Net, Target};

/// First round after the start, and the period, ms.
const FIRST: u64 = 3_000;
const PERIOD: u64 = 10_000;
/// Limit of one request, ms.
const TIMEOUT: u64 = 3_000;

const ORDER: [Metadata; 4] =
    [Metadata::TopicConfigs, Metadata::ConsumerOffsets, Metadata::DelayOffsets, Metadata::SubscriptionGroups];

/// `SlaveSynchronize` of a life.
#[derive(Clone, Debug, Default)]
pub(super) struct SlaveSynchronize {
    /// `masterAddr`: as the last registration answered, even if that was none.
    master: Option<Addr>,
    running: bool,
    tick_set: bool,
    /// The request under way, as an index into [`ORDER`].
    under_way: Option<usize>,
}

impl SlaveSynchronize {
    /// The broker is a master now.
    pub(super) fn stop(&mut self) {
        (self.running, self.master) = (false, None);
    }
}

impl Broker {
    /// `BrokerController#handleSlaveSynchronize`: the master's address comes with the next registration.
    pub(super) fn sync_start(&mut self, cx: &mut Cx<'_, '_>) {
        (self.sync.running, self.sync.master) = (true, None);
        if !self.sync.tick_set {
            self.sync.tick_set = true;
            self.timers.set(cx.now.mono + FIRST * MS, Tick::SlaveSync);
        }
    }

    /// A nameserver has answered a registration (`BrokerController#doRegisterBrokerAll`).
    pub(super) fn registered(&mut self, master: Option<Addr>, ha: Option<Addr>) {
        if let Some(addr) = ha {
            self.ha.client.update_master_address(addr);
        }
        self.sync.master = master;
    }

    pub(super) fn slave_sync_tick(&mut self, cx: &mut Cx<'_, '_>, nominal: u64) {
        self.sync.tick_set = self.sync.running;
        if !self.sync.running {
            return;
        }
        self.timers.set(nominal + PERIOD * MS, Tick::SlaveSync);
        if self.sync.under_way.is_none() && self.sync.master.is_some() {
            self.ask_master(cx, 0);
        }
    }

    fn ask_master(&mut self, cx: &mut Cx<'_, '_>, step: usize) {
        self.sync.under_way = None;
        let (Some(&kind), Some(addr)) = (ORDER.get(step), self.sync.master.filter(|a| *a != self.config.addr)) else { return };
        self.sync.under_way = Some(step);
        let luck = self.luck(cx.env);
        let mut net = Net { now: cx.now, out: cx.out, conns: &mut self.conns };
        self.outer.call(&mut net, Invoke::Sync, Target::Addr(addr), Request::All(kind), TIMEOUT, luck, Outer::Sync);
    }

    /// The master has answered, or not: either way the next request follows.
    pub(super) fn synced(&mut self, cx: &mut Cx<'_, '_>, answer: Option<Answer>) {
        let Some(step) = self.sync.under_way else { return };
        let disk = &mut cx.env.disk.broker;
        match answer {
            Some(Answer::TopicConfigs(version, topics)) if version != disk.topics_version => {
                disk.topics = (*topics).clone();
                disk.topics_version = version;
                disk.persist_topics(cx.now.mono);
            }
            Some(Answer::ConsumerOffsets(rows)) => {
                for row in rows.iter() {
                    let number = disk.queue_number(row.topic, row.queue_id);
                    self.offsets.set(row.group, number, row.offset);
                }
                cx.env.disk.broker.persist_offsets(&self.offsets, cx.now.mono);
            }
            // Into the file only: a slave delivers nothing.
            Some(Answer::DelayOffsets(offsets)) => disk.persist_delays(&offsets, cx.now.mono),
            Some(Answer::SubscriptionGroups(groups)) => groups.iter().for_each(|g| self.consumers.learn(*g)),
            _ => {}
        }
        self.ask_master(cx, step + 1);
    }

    /// GET_ALL_…: the master's side.
    pub(super) fn all(&mut self, cx: &mut Cx<'_, '_>, kind: Metadata) -> Answer {
        let disk = &cx.env.disk.broker;
        match kind {
            Metadata::TopicConfigs => Answer::TopicConfigs(disk.topics_version, disk.topics.clone().into()),
            Metadata::ConsumerOffsets => {
                let named = self.offsets.iter().map(|(group, number, offset)| {
                    let queue = disk.queue(number);
                    OffsetRow { group, topic: queue.topic, queue_id: queue.queue_id, offset }
                });
                Answer::ConsumerOffsets(named.collect())
            }
            Metadata::DelayOffsets => Answer::DelayOffsets(self.schedule.offsets().as_slice().into()),
            Metadata::SubscriptionGroups => Answer::SubscriptionGroups(self.consumers.known().collect()),
        }
    }
}
