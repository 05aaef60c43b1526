//! From the tree of a scenario file to what a run is made of.
//!
//! The sections are read in the order in which they refer to each other: nodes, then topics, then names, then links, faults and
//! expectations. All mistakes are collected; only a scenario without any becomes a [`Spec`].

use super::clients::RESERVED_GROUPS;
use super::error::{Problem, ScenarioError};
use super::expect::expect;
use super::faults::{Scene, faults};
use super::fields::{Ctx, Fields, short};
use super::keys::{self, top};
use super::links::links;
use super::nodes::{ConsumerDraft, Draft, KindDraft, MemberDraft, ProducerDraft, RoleDraft, all_services};
use super::suggest::nearest;
use super::targets::Roster;
use super::topics::{SYSTEM_TOPICS, Topics, topics};
use super::tree::{Node, Place, Shape};
use super::values::{self, TargetName};
use crate::base::ids::{Addr, Entity, GroupId, MessageQueue, NodeId, TopicId};
use crate::base::names::{Names, NamesBuilder};
use crate::rocketmq::settings::Version;
use crate::world::spec::{
    BrokerSpec, ClientSpec, DiskSpec, FaultSpec, Kernel, LinkSpec, MemberRole, MemberSpec, NodeKind, NodeSpec, PauseSpec,
    Preload, Spec, StartOffset, StartSpec, TopicSpec,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The number of this format.
pub const FORMAT: u64 = 1;

/// Reads a scenario; answers it with its resolved form, or nothing when mistakes were reported.
pub(super) fn decode(ctx: &Ctx<'_>, tree: &Node, name: &str) -> Option<(Spec, Node)> {
    if is_newer(ctx, tree) {
        return None;
    }
    let mut fields = Fields::open(ctx, tree, &top::SECTION)?;
    let (mut draft, head) = head(&mut fields);
    draft.nameservers(&mut fields);
    draft.brokers(&mut fields);
    draft.check_dledger(ctx);
    let topics = topics(&draft, &mut fields);
    draft.producers(&mut fields);
    draft.consumers(&mut fields);
    let roster = Roster::new(&draft);
    let autos = check_topics(ctx, &draft, &topics);
    let preloaded = topics.by_name.values().filter(|(i, _)| topics.list.get(*i).is_some_and(|t| t.1.preload.is_some()));
    for (_, place) in preloaded.filter(|_| draft.broker_drafts().any(|b| b.dledger.is_some())) {
        ctx.unbuilt(*place, "a DLedger group cannot begin with preloaded messages");
    }
    let names = names(ctx, &fields, &draft, &topics)?;
    check_config_queues(ctx, &draft, &names);
    let start_offsets = start_offsets(ctx, &draft, &topics, &names);
    let links = fields.section(&top::LINKS, |inner| links(inner, &roster));
    let disks = fields.section(&top::DISKS, disks);
    let pauses = fields.section(&top::PAUSES, pauses);
    let scene = Scene { draft: &draft, roster: &roster, names: &names };
    let faults = faults(&mut fields, &scene);
    let members: BTreeSet<&str> = draft.members().map(|m| m.name.as_str()).collect();
    let expect = expect(&mut fields, &roster, &members, &faults);
    let addresses = nameserver_addresses(ctx, &draft, &roster);
    if !ctx.is_clean() {
        return None;
    }
    let resolved = fields.finish();
    let parts = Parts {
        name,
        head,
        draft,
        topics,
        autos,
        names,
        roster,
        start_offsets,
        links: links?,
        disks: disks?,
        pauses: pauses.flatten(),
        faults,
        addresses,
    };
    let mut spec = parts.build()?;
    spec.expect = expect;
    Some((spec, resolved))
}

/// The key `disks`.
fn disks(mut fields: Fields<'_>) -> (DiskSpec, Node) {
    use keys::disks::*;
    let dirty_expire = fields.duration(&DIRTY_EXPIRE).unwrap_or_default();
    let dirty_writeback = fields.duration(&DIRTY_WRITEBACK).unwrap_or_default();
    let journal_commit = fields.duration(&JOURNAL_COMMIT).unwrap_or_default();
    let recovery = fields.bytes(&RECOVERY).unwrap_or_default();
    (DiskSpec { kernel: Kernel { dirty_expire, dirty_writeback, journal_commit }, recovery }, fields.finish())
}

/// The key `pauses`.
fn pauses(mut fields: Fields<'_>) -> (Option<PauseSpec>, Node) {
    use keys::pauses::*;
    let (every, lasts) = (fields.duration(&EVERY), fields.delay(&LASTS));
    (every.zip(lasts).map(|(every, lasts)| PauseSpec { every, lasts }), fields.finish())
}

/// A newer format is refused before its keys are, which this build cannot know.
fn is_newer(ctx: &Ctx<'_>, tree: &Node) -> bool {
    let Some(node) = tree.get("format") else { return false };
    let newer = matches!(&node.shape, Shape::Number(text) if text.parse::<u64>().is_ok_and(|n| n > FORMAT));
    if newer {
        let error = ScenarioError::new(
            Problem::NotBuilt,
            format!("the scenario has format {}, this build reads format {FORMAT}", node.describe()),
        );
        ctx.push(node.place, error.remedy("a newer build is needed"));
    }
    newer
}

/// What stands at the top and belongs to the run as a whole.
#[derive(Debug)]
struct Head {
    question: String,
    seed: u64,
    tie_seed: u64,
    drain: u64,
    max_events: u64,
}

fn head(fields: &mut Fields<'_>) -> (Draft, Head) {
    fields.text(&top::SCHEMA);
    fields.count(&top::FORMAT);
    let place = fields.place_of(&top::QUESTION);
    let question = fields.text(&top::QUESTION).unwrap_or_default();
    if question.trim().is_empty() && fields.given(&top::QUESTION).is_some_and(|n| n.as_text().is_some()) {
        fields.ctx.push(
            place,
            ScenarioError::new(Problem::Missing, "\"question\" is empty").expected("the question that the run answers"),
        );
    }
    let version = fields.version(&top::ROCKETMQ).unwrap_or(Version::V4_9_8);
    let rules = fields.rules(&top::RULES);
    let seed = fields.count(&top::SEED).unwrap_or_default();
    let tie_seed = fields.count(&top::TIE_SEED).unwrap_or_default();
    let warmup = fields.duration(&top::WARMUP).unwrap_or_default() as i64;
    let duration_given = fields.duration(&top::DURATION);
    // Without a duration nothing that refers to it can be judged.
    let duration = duration_given.map_or(i64::MAX / 4, |ns| ns as i64);
    let drain = fields.duration(&top::DRAIN).unwrap_or_default();
    let max_events = fields.count(&top::MAX_EVENTS).unwrap_or(u64::MAX);
    let cpus = fields.count(&top::CPUS).unwrap_or(4) as u32;
    let services = fields.section(&top::SERVICES, all_services).unwrap_or_else(|| {
        let services = crate::world::spec::Services::constant(0);
        super::nodes::AllServices { nameserver: services.clone(), broker: services.clone(), client: services }
    });
    let draft = Draft {
        version,
        rules,
        cpus,
        services,
        warmup,
        duration,
        end: duration.saturating_add(drain as i64),
        nodes: Vec::new(),
        taken: BTreeMap::new(),
        broker_ids: BTreeMap::new(),
        processes: BTreeMap::new(),
        numbers: BTreeMap::new(),
        total: 0,
    };
    (draft, Head { question, seed, tie_seed, drain, max_events })
}

fn producers(draft: &Draft) -> impl Iterator<Item = (&MemberDraft, &ProducerDraft)> {
    draft.members().filter_map(|m| match &m.role {
        RoleDraft::Producer(p) => Some((m, &**p)),
        RoleDraft::Consumer(_) => None,
    })
}

fn consumers(draft: &Draft) -> impl Iterator<Item = (&MemberDraft, &ConsumerDraft)> {
    draft.members().filter_map(|m| match &m.role {
        RoleDraft::Consumer(c) => Some((m, &**c)),
        RoleDraft::Producer(_) => None,
    })
}

/// Checks that every topic that is sent to or subscribed to can exist; answers those that sending creates.
fn check_topics(ctx: &Ctx<'_>, draft: &Draft, topics: &Topics) -> Vec<(String, u32)> {
    let can_create = draft.broker_drafts().any(|b| b.settings.auto_create_topic_enable) || draft.broker_drafts().next().is_none();
    let mut autos: Vec<(String, u32)> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut reported: BTreeSet<Option<u32>> = BTreeSet::new();
    let mut unknown = |topic: &str, place: Place, remedy: &str| {
        let start = match place {
            Place::Text(span) => Some(span.start),
            _ => None,
        };
        if reported.insert(start) || start.is_none() {
            let error = ScenarioError::new(Problem::UnknownName, format!("there is no topic \"{}\"", short(topic)));
            let near = if ctx.is_full() { None } else { nearest(topic, topics.list.iter().map(|t| t.0.as_str())) };
            ctx.push(place, error.did_you_mean(near).remedy(remedy));
        }
    };
    for (_, producer) in producers(draft) {
        let topic = producer.topic.as_str();
        if topics.by_name.contains_key(topic) || SYSTEM_TOPICS.contains(&topic) {
            continue;
        }
        if !can_create {
            unknown(topic, producer.topic_place, "add it to \"topics\", since autoCreateTopicEnable is false on every broker");
        } else if seen.insert(topic) {
            autos.push((topic.to_owned(), producer.settings.default_topic_queue_nums.min(1024) as u32));
        }
    }
    let groups: BTreeSet<&str> = draft.members().map(|m| m.group.as_str()).collect();
    for (_, consumer) in consumers(draft) {
        for (topic, _, place) in &consumer.subscriptions {
            let of_group =
                topic.strip_prefix("%DLQ%").or_else(|| topic.strip_prefix("%RETRY%")).is_some_and(|g| groups.contains(g));
            let known =
                topics.by_name.contains_key(topic) || SYSTEM_TOPICS.contains(&topic.as_str()) || seen.contains(topic.as_str());
            if !of_group && !known {
                unknown(topic, *place, "add it to \"topics\", or let a producer send to it with autoCreateTopicEnable");
            }
        }
    }
    autos
}

/// Everything the run can ever name.
fn names(ctx: &Ctx<'_>, fields: &Fields<'_>, draft: &Draft, topics: &Topics) -> Option<Arc<Names>> {
    let mut builder = NamesBuilder::default();
    for topic in SYSTEM_TOPICS {
        builder.topic(topic);
    }
    for group in ["CLIENT_INNER_PRODUCER", "CID_RMQ_SYS_TRANS"] {
        debug_assert!(RESERVED_GROUPS.contains(&group));
        builder.group(group);
    }
    for (topic, _) in &topics.list {
        builder.topic(topic);
    }
    for broker in draft.broker_names() {
        builder.broker(broker);
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut topics_seen: BTreeSet<&str> = BTreeSet::new();
    for member in draft.members() {
        if seen.insert(&member.group) {
            builder.group(&member.group);
        }
        match &member.role {
            RoleDraft::Producer(producer) => {
                for topic in [&producer.topic, &producer.settings.create_topic_key] {
                    if topics_seen.insert(topic) {
                        builder.topic(topic);
                    }
                }
            }
            RoleDraft::Consumer(consumer) => {
                for (topic, ..) in &consumer.subscriptions {
                    if topics_seen.insert(topic) {
                        builder.topic(topic);
                    }
                }
            }
        }
    }
    let count = topics.list.len() + topics_seen.len() + 2 * seen.len();
    if count > 65_000 {
        let error = ScenarioError::new(
            Problem::OutOfRange,
            format!("the scenario has {} groups and {} topics", seen.len(), topics.list.len()),
        );
        ctx.push(fields.place, error.expected("at most 65000 topics, of which each group has two (retry and dead letter)"));
        return None;
    }
    Some(Arc::new(builder.freeze()))
}

/// Offsets that groups have before the run; entries of one group must agree.
fn start_offsets(ctx: &Ctx<'_>, draft: &Draft, topics: &Topics, names: &Names) -> Vec<StartOffset> {
    let mut offsets: BTreeMap<(GroupId, TopicId), (u8, Place)> = BTreeMap::new();
    // An entry has many members and one place: its mistake is told once.
    let mut reported: BTreeSet<String> = BTreeSet::new();
    for (member, consumer) in consumers(draft) {
        let Some((percent, place)) = consumer.start_offset else { continue };
        let preloaded =
            |topic: &str| topics.by_name.get(topic).and_then(|(i, _)| topics.list.get(*i)).is_some_and(|t| t.1.preload.is_some());
        if !consumer.subscriptions.iter().any(|(topic, ..)| preloaded(topic)) && reported.insert(format!("{place:?}")) {
            let error = ScenarioError::new(
                Problem::Conflict,
                "\"start_offset\" is a share of what the topics are preloaded with: nothing",
            );
            ctx.push(place, error.remedy("give a topic of the group a \"preload\""));
        }
        for (topic, ..) in consumer.subscriptions.iter().filter(|(topic, ..)| preloaded(topic)) {
            let (Some(group), Some(id)) = (names.group(&member.group), names.topic(topic)) else { continue };
            let (other, at) = *offsets.entry((group, id)).or_insert((percent, place));
            if other != percent && reported.insert(format!("{place:?}")) {
                let what =
                    format!("the group \"{}\" begins at {percent} % here and at {other} % elsewhere", short(&member.group));
                let remedy = format!("the other one stands at {}", ctx.whereabouts(at));
                ctx.push(place, ScenarioError::new(Problem::Conflict, what).remedy(remedy));
            }
        }
    }
    offsets.into_iter().map(|((group, topic), (consumed_percent, _))| StartOffset { group, topic, consumed_percent }).collect()
}

/// A queue as a scenario names it: "broker-a:0".
fn queue_named(names: &Names, topic: TopicId, text: &str) -> Option<MessageQueue> {
    let (broker, id) = text.rsplit_once(':')?;
    let queue_id = id.parse::<u16>().ok()?;
    Some(MessageQueue { topic, broker: names.broker(broker)?, queue_id: queue_id as i32 })
}

/// Queues that no strategy could hand out, because they cannot be read or their broker does not exist.
fn check_config_queues(ctx: &Ctx<'_>, draft: &Draft, names: &Names) {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for (_, consumer) in consumers(draft) {
        let (queues, place) = &consumer.config_queues;
        for text in queues.iter().filter(|text| queue_named(names, TopicId(0), text).is_none()) {
            if reported.insert(text) {
                let error =
                    ScenarioError::new(Problem::UnknownName, format!("\"{}\" in \"config_queues\" is no queue", short(text)));
                let broker = text.rsplit_once(':').map_or(text.as_str(), |(broker, _)| broker);
                let known = names.brokers().map(|b| &**names.broker_name(b));
                ctx.push(
                    *place,
                    error
                        .expected("a broker's name, a colon and a queue id, such as \"broker-a:0\"")
                        .did_you_mean(nearest(broker, known)),
                );
            }
        }
    }
}

/// The nameserver addresses of each node that has any.
fn nameserver_addresses(ctx: &Ctx<'_>, draft: &Draft, roster: &Roster) -> Vec<Arc<[Addr]>> {
    let is_nameserver = |n: &NodeId| draft.nodes.get(n.0 as usize).is_some_and(|n| matches!(n.kind, KindDraft::Nameserver(_)));
    let all: Arc<[Addr]> = (0..draft.nodes.len() as u16).map(NodeId).filter(is_nameserver).map(|n| Addr(n.0)).collect();
    let mut cache: BTreeMap<String, Arc<[Addr]>> = BTreeMap::new();
    let mut resolve = |target: &[TargetName]| {
        let key = values::label(target);
        if let Some(found) = cache.get(&key) {
            return found.clone();
        }
        let nodes = roster.hits(ctx, target).nodes;
        if let Some(other) = nodes.iter().find(|n| !is_nameserver(n))
            && let Some(first) = target.first()
        {
            let name = roster.nodes.get(other.0 as usize).map_or("", |n| n.0.as_str());
            ctx.report(first.place, Problem::Conflict, format!("\"{name}\" is no nameserver"));
        }
        let found: Arc<[Addr]> = nodes.into_iter().map(|n| Addr(n.0)).collect();
        cache.insert(key, found.clone());
        found
    };
    let of = |node: &super::nodes::NodeDraft| match &node.kind {
        KindDraft::Nameserver(_) => None,
        KindDraft::Broker(broker) => broker.nameservers.clone(),
        KindDraft::Client(client) => client.nameservers.clone(),
    };
    draft.nodes.iter().map(|node| of(node).map_or_else(|| all.clone(), |target| resolve(&target))).collect()
}

/// Everything, checked: what is left is to replace names by ids.
struct Parts<'a> {
    name: &'a str,
    head: Head,
    draft: Draft,
    topics: Topics,
    autos: Vec<(String, u32)>,
    names: Arc<Names>,
    roster: Roster,
    start_offsets: Vec<StartOffset>,
    links: LinkSpec,
    disks: DiskSpec,
    pauses: Option<PauseSpec>,
    faults: Vec<FaultSpec>,
    addresses: Vec<Arc<[Addr]>>,
}

impl Parts<'_> {
    fn build(self) -> Option<Spec> {
        let (topics, preloads) = self.topics()?;
        let nodes = self.nodes()?;
        Some(Spec {
            name: self.name.to_owned(),
            question: self.head.question,
            version: self.draft.version,
            seed: self.head.seed,
            tie_seed: self.head.tie_seed,
            warmup: self.draft.warmup as u64,
            duration: self.draft.duration as u64,
            drain: self.head.drain,
            max_events: self.head.max_events,
            names: self.names,
            nodes,
            hosts: self.roster.hosts,
            topics,
            preloads,
            start_offsets: self.start_offsets,
            links: self.links,
            disks: self.disks,
            pauses: self.pauses,
            faults: self.faults,
            expect: Vec::new(),
        })
    }

    fn topics(&self) -> Option<(Vec<TopicSpec>, Vec<Preload>)> {
        let mut specs = Vec::new();
        let mut preloads = Vec::new();
        for (name, draft) in &self.topics.list {
            let topic = self.names.topic(name)?;
            specs.push(TopicSpec {
                topic,
                read_queue_nums: draft.read,
                write_queue_nums: draft.write,
                perm: draft.perm,
                brokers: draft.brokers.iter().filter_map(|b| self.names.broker(b)).collect(),
                order_conf: draft.order.as_deref().map(Arc::from),
            });
            preloads.extend(draft.preload.map(|p| Preload { topic, messages: p.messages, age: p.age, body_len: p.size }));
        }
        for (name, queues) in &self.autos {
            let topic = self.names.topic(name)?;
            let (read_queue_nums, write_queue_nums) = (*queues, *queues);
            specs.push(TopicSpec { topic, read_queue_nums, write_queue_nums, perm: 6, brokers: Vec::new(), order_conf: None });
        }
        Some((specs, preloads))
    }

    fn nodes(&self) -> Option<Vec<NodeSpec>> {
        let mut nodes = Vec::with_capacity(self.draft.nodes.len());
        let (mut producers, mut consumers) = (0, 0);
        let dledger = self.dledger_groups();
        for (i, (draft, (name, host))) in self.draft.nodes.iter().zip(&self.roster.nodes).enumerate() {
            let nameservers = self.addresses.get(i)?.clone();
            let kind = match &draft.kind {
                KindDraft::Nameserver(settings) => NodeKind::Nameserver(Arc::new(settings.clone())),
                KindDraft::Broker(b) => NodeKind::Broker(Arc::new(BrokerSpec {
                    broker: self.names.broker(&b.broker)?,
                    broker_id: b.id,
                    cluster: b.cluster.clone(),
                    settings: b.settings.clone(),
                    nameservers,
                    dledger: b
                        .dledger
                        .as_ref()
                        .and_then(|(group, index, _)| Some((*index, dledger.get(group.as_str())?.clone()))),
                    disk: b.disk,
                })),
                KindDraft::Client(client) => {
                    let members =
                        client.members.iter().map(|m| self.member(m, &mut producers, &mut consumers)).collect::<Option<_>>()?;
                    let client_ip = client.ip.clone().unwrap_or_else(|| self.client_ip(*host, client.members.first()));
                    NodeKind::Client(Arc::new(ClientSpec { nameservers, client_ip, new_ip_each_life: client.new_ip, members }))
                }
            };
            let common = &draft.common;
            nodes.push(NodeSpec {
                name: name.clone(),
                entity: Entity::named(name),
                host: *host,
                addr: Addr(i as u16),
                start: common.start.map_or(StartSpec::Drawn, StartSpec::At),
                clock_offset: common.clock_offset,
                clock_drift_ppm: common.clock_drift_ppm,
                version: common.version,
                rules: common.rules,
                cpus: common.cpus,
                services: common.services.clone(),
                kind,
            });
        }
        Some(nodes)
    }

    /// Addresses of each DLedger group, by index.
    fn dledger_groups(&self) -> BTreeMap<&str, Arc<[Addr]>> {
        let mut groups: BTreeMap<&str, Vec<(u8, Addr)>> = BTreeMap::new();
        for (i, node) in self.draft.nodes.iter().enumerate() {
            if let KindDraft::Broker(b) = &node.kind
                && let Some((group, index, _)) = &b.dledger
            {
                groups.entry(group).or_default().push((*index, Addr(i as u16)));
            }
        }
        let in_order = |mut members: Vec<(u8, Addr)>| {
            members.sort_unstable();
            members.into_iter().map(|m| m.1).collect()
        };
        groups.into_iter().map(|(group, members)| (group, in_order(members))).collect()
    }

    fn member(&self, draft: &MemberDraft, producers: &mut u16, consumers: &mut u16) -> Option<MemberSpec> {
        let group = self.names.group(&draft.group)?;
        let role = match &draft.role {
            RoleDraft::Producer(p) => {
                let index = *producers;
                *producers += 1;
                MemberRole::Producer(p.resolve(index, group, self.names.topic(&p.topic)?))
            }
            RoleDraft::Consumer(c) => {
                let mut spec = c.spec.clone();
                (spec.index, spec.group) = (*consumers, group);
                *consumers += 1;
                let resolve = |(topic, tags, _): &(String, String, Place)| Some((self.names.topic(topic)?, tags.clone()));
                spec.subscriptions = c.subscriptions.iter().map(resolve).collect::<Option<_>>()?;
                if let Some((topic, _)) = spec.subscriptions.first() {
                    spec.config_queues = c.config_queues.0.iter().filter_map(|q| queue_named(&self.names, *topic, q)).collect();
                }
                MemberRole::Consumer(spec)
            }
        };
        Some(MemberSpec {
            name: draft.name.clone(),
            entity: Entity::named(&draft.name),
            instance: draft.instance.clone(),
            started: draft.started,
            role,
        })
    }

    /// The address of a client's host. Client ids are compared as text, and the ids of a group should sort as its members do; an
    /// address from the group's name and the member's number does that and changes for nobody when another group is added.
    fn client_ip(&self, host: u16, first: Option<&MemberDraft>) -> String {
        let octets = |n: u64| (100 + n / 156 % 156, 100 + n % 156);
        if let Some(number) = self.roster.named_hosts.get(&host) {
            let (high, low) = octets(*number as u64);
            return format!("11.{}.{high}.{low}", 100 + u64::from(*number) / (156 * 156));
        }
        let (group, ordinal) = first.map_or(("", 0), |m| (m.group.as_str(), m.ordinal as u64));
        let (high, low) = octets(ordinal);
        format!("10.{}.{high}.{low}", 100 + Entity::named(group).0 % 156)
    }
}
