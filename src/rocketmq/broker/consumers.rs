//! Who consumes what: the member table of each group, change notices, expiry.
//!
//! `ConsumerManager`, `ConsumerGroupInfo`, `ClientManageProcessor`, `DefaultConsumerIdsChangeListener`, `ClientHousekeepingService` (4.9.8). The table lives
//! in memory and is filled by heartbeats alone. A heartbeat is taken whether or not its channel is still open, so one that waited behind its
//! own connection's close enters a dead channel (a ghost) which only the 120 s scan finds; the scan tells nobody.

use super::{Broker, Cx};
use crate::base::ids::{GroupId, TopicId};
use crate::contract::Conn;
use crate::contract::note::{ForgetWhy, Note};
use crate::rocketmq::protocol::{Answer, Body, Frame, HeartbeatData, Request, Subscription, answer_code};
use crate::rocketmq::route::TopicConfig;
use crate::rocketmq::settings::MessageModel;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Member {
    conn: Conn,
    serial: u32,
    client: Arc<str>,
    last_update_ms: i64,
}

/// `ConsumerGroupInfo`.
#[derive(Clone, Debug, Default)]
struct Group {
    members: Vec<Member>,
    subscriptions: Vec<Subscription>,
    model: MessageModel,
    /// The list as it would be answered, until the members change.
    list: Option<Arc<[Arc<str>]>>,
}

/// `ConsumerManager`.
#[derive(Clone, Debug, Default)]
pub(super) struct ConsumerManager {
    groups: Vec<Option<Group>>,
    /// Subscription groups that exist (created by a first heartbeat).
    known: Vec<bool>,
}

/// Why a pull is refused (server spec 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    GroupUnknown,
    NotSubscribed,
    NotLatest,
}

impl ConsumerManager {
    fn group(&mut self, group: GroupId) -> &mut Option<Group> {
        let i = group.0 as usize;
        if self.groups.len() <= i {
            self.groups.resize(i + 1, None);
        }
        &mut self.groups[i]
    }

    fn know(&mut self, group: GroupId) -> bool {
        let i = group.0 as usize;
        if self.known.len() <= i {
            self.known.resize(i + 1, false);
        }
        !std::mem::replace(&mut self.known[i], true)
    }

    /// A subscription group that the master knows.
    pub(super) fn learn(&mut self, group: GroupId) {
        self.know(group);
    }

    /// The subscription groups that exist at this broker.
    pub(super) fn known(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.known.iter().enumerate().filter(|(_, known)| **known).map(|(i, _)| GroupId(i as u16))
    }

    /// Whether the subscription group exists at this broker.
    pub(super) fn is_known(&self, group: GroupId) -> bool {
        self.known.get(group.0 as usize).copied().unwrap_or(false)
    }

    /// `getConsumerListByGroup`: `None` when the group has no channel. Doubles are kept, as 4.x keeps them.
    pub(super) fn members(&mut self, group: GroupId, keep_doubles: bool) -> Option<Arc<[Arc<str>]>> {
        Some(self.group(group).as_mut()?.listed(keep_doubles))
    }

    /// The subscription that a pull may use: filter codes (`None`: everything).
    pub(super) fn subscription(&self, group: GroupId, topic: TopicId, sub_version: i64) -> Result<Option<Arc<[i32]>>, Refusal> {
        let Some(Some(group)) = self.groups.get(group.0 as usize) else { return Err(Refusal::GroupUnknown) };
        let Some(subscription) = group.subscriptions.iter().find(|s| s.topic == topic) else {
            return Err(Refusal::NotSubscribed);
        };
        if subscription.sub_version < sub_version { Err(Refusal::NotLatest) } else { Ok(subscription.codes.clone()) }
    }
}

impl Group {
    /// `ConsumerGroupInfo#getAllClientId`.
    fn listed(&mut self, keep_doubles: bool) -> Arc<[Arc<str>]> {
        let members = &self.members;
        let build = || {
            let mut list: Vec<Arc<str>> = members.iter().map(|m| m.client.clone()).collect();
            if !keep_doubles {
                list.sort();
                list.dedup();
            }
            list.into()
        };
        self.list.get_or_insert_with(build).clone()
    }

    /// `ConsumerGroupInfo#updateSubscription`: true when a topic was added or removed. A newer version of a known topic replaces it silently.
    fn update_subscription(&mut self, incoming: &[Subscription]) -> bool {
        let mut changed = false;
        for new in incoming {
            match self.subscriptions.iter_mut().find(|s| s.topic == new.topic) {
                Some(old) => {
                    if new.sub_version > old.sub_version {
                        *old = new.clone();
                    }
                }
                None => {
                    self.subscriptions.push(new.clone());
                    changed = true;
                }
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|s| incoming.iter().any(|new| new.topic == s.topic));
        changed || self.subscriptions.len() != before
    }
}

impl Broker {
    /// `ClientManageProcessor#heartBeat`.
    #[inline(never)]
    pub(super) fn heartbeat(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, serial: u32, data: &Arc<HeartbeatData>) -> Answer {
        for consumer in &data.consumers {
            let group = consumer.group;
            if self.config.settings.auto_create_subscription_group && self.consumers.know(group) {
                let retry = self.config.names.retry_topic(group);
                let queues = self.config.settings.retry_queue_nums as u32;
                if queues > 0 {
                    self.create_topic(cx, retry, TopicConfig { read: queues, write: queues, perm: 6 });
                }
            }
            let now_ms = cx.now.wall_ms;
            let slot = self.consumers.group(group);
            let entry = slot.get_or_insert_with(Group::default);
            entry.model = consumer.model;
            let new_channel = match entry.members.iter_mut().find(|m| m.conn == conn && m.serial == serial) {
                Some(member) => {
                    member.last_update_ms = now_ms;
                    if member.client != data.client_id {
                        member.client = data.client_id.clone();
                        entry.list = None;
                    }
                    false
                }
                None => {
                    entry.members.push(Member { conn, serial, client: data.client_id.clone(), last_update_ms: now_ms });
                    entry.list = None;
                    true
                }
            };
            let topics_changed = entry.update_subscription(&consumer.subscriptions);
            if new_channel {
                let members = entry.listed(self.config.rules.member_list_keeps_doubles).len() as u16;
                cx.out.note(Note::MemberRegistered { group, client: data.client_id.clone(), members });
            }
            if new_channel || topics_changed {
                self.notify_consumer_ids_changed(cx, group);
            }
        }
        Answer::Code(answer_code::SUCCESS)
    }

    /// UNREGISTER_CLIENT of a consumer group: the others are told.
    pub(super) fn unregister_consumer(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, serial: u32, group: GroupId) {
        self.forget(cx, group, conn, serial, ForgetWhy::Unregistered);
        self.notify_consumer_ids_changed(cx, group);
    }

    fn forget(&mut self, cx: &mut Cx<'_, '_>, group: GroupId, conn: Conn, serial: u32, why: ForgetWhy) -> bool {
        let slot = self.consumers.group(group);
        let Some(entry) = slot else { return false };
        let Some(at) = entry.members.iter().position(|m| m.conn == conn && m.serial == serial) else { return false };
        let member = entry.members.remove(at);
        entry.list = None;
        let members = entry.listed(self.config.rules.member_list_keeps_doubles).len() as u16;
        if entry.members.is_empty() {
            *slot = None;
        }
        cx.out.note(Note::MemberForgotten { group, client: member.client, members, why });
        true
    }

    /// A channel closed or was idle: it leaves every group, and each of those is told.
    pub(super) fn consumer_channel_event(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, serial: u32, why: ForgetWhy) {
        for i in 0..self.consumers.groups.len() as u16 {
            if self.forget(cx, GroupId(i), conn, serial, why) {
                self.notify_consumer_ids_changed(cx, GroupId(i));
            }
        }
    }

    /// `ConsumerManager#scanNotActiveChannel`: expired entries go and their channels are closed; nobody is told, and the close
    /// event that follows finds nothing.
    #[cold]
    pub(super) fn scan_not_active_channels(&mut self, cx: &mut Cx<'_, '_>) {
        let limit = self.config.settings.channel_expired_timeout as i64;
        for i in 0..self.consumers.groups.len() as u16 {
            let group = GroupId(i);
            while let Some((conn, serial)) = self
                .consumers
                .group(group)
                .as_ref()
                .and_then(|g| g.members.iter().find(|m| cx.now.wall_ms - m.last_update_ms > limit))
                .map(|m| (m.conn, m.serial))
            {
                if self.channels.is_open(conn, serial) {
                    cx.out.close(conn);
                }
                self.forget(cx, group, conn, serial, ForgetWhy::Expired);
                if self.channels.is_open(conn, serial) {
                    self.channel_gone(cx, conn, ForgetWhy::Expired);
                }
            }
        }
    }

    /// `Broker2Client#notifyConsumerIdsChanged`: oneway to every open channel of the group, never repeated.
    fn notify_consumer_ids_changed(&mut self, cx: &mut Cx<'_, '_>, group: GroupId) {
        if !self.config.settings.notify_consumer_ids_changed_enable {
            return;
        }
        let Some(entry) = self.consumers.group(group) else { return };
        let channels: Vec<(Conn, u32)> = entry.members.iter().map(|m| (m.conn, m.serial)).collect();
        for (conn, serial) in channels {
            if self.channels.is_open(conn, serial) {
                let luck = self.luck(cx.env);
                let request = Request::NotifyConsumerIdsChanged { group };
                let bytes = request.bytes();
                self.channels.touch(conn, cx.now.mono);
                cx.out.write(
                    conn,
                    Frame { opaque: 0, luck, body: Body::Request { oneway: true, request } },
                    bytes,
                    luck.outbound(),
                );
            }
        }
    }

    /// Creates a topic if it is new: persisted, and announced at once (`TopicConfigManager#createTopic…`).
    pub(super) fn create_topic(&mut self, cx: &mut Cx<'_, '_>, topic: TopicId, config: TopicConfig) -> TopicConfig {
        let disk = &mut cx.env.disk.broker;
        if let Some(existing) = disk.topics.get(&topic) {
            return *existing;
        }
        disk.topics.insert(topic, config);
        disk.topics_version = disk.topics_version.next(cx.now.wall_ms);
        disk.persist_topics(cx.now.mono);
        self.register_all(cx);
        config
    }

    /// `updateTopic` by an operator (`AdminBrokerProcessor#updateAndCreateTopic`).
    pub(super) fn update_topic(&mut self, cx: &mut Cx<'_, '_>, topic: TopicId, read: u32, write: u32, perm: u8) {
        let disk = &mut cx.env.disk.broker;
        disk.topics.insert(topic, TopicConfig { read, write, perm });
        disk.topics_version = disk.topics_version.next(cx.now.wall_ms);
        disk.persist_topics(cx.now.mono);
        self.register_increment(cx, topic);
    }
}
