//! Nameservers, brokers, and what every process has: host, start, cores, version, rules, clocks, service times.
//!
//! The entries become drafts, which the later sections refer to by name; [`super::decode`] turns drafts into the specification
//! when nothing is wrong.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, items, short};
use super::keys::{self, BOOT_CLIENT, BOOT_SERVER, Key, MAX_BROKERS, MAX_NODES};
use super::tree::{self, Node, Place, Shape};
use super::values::{self, TargetName};
use crate::base::quantile::Quantiles;
use crate::rocketmq::settings::{BrokerRole, BrokerSettings, InstanceSettings, NameserverSettings, Rules, Version};
use crate::rocketmq::settings::{cleaning, dledger};
use crate::world::spec::{ConsumerSpec, LoadSpec, Partition, ProducerSpec, SendMode, Services, TransactionSpec};
use std::collections::BTreeMap;

/// What the entries of nodes are read against, and what they add up to.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) version: Version,
    pub(super) rules: Vec<(String, bool)>,
    pub(super) cpus: u32,
    pub(super) services: AllServices,
    /// ns.
    pub(super) warmup: i64,
    /// End of the load, ns from time 0.
    pub(super) duration: i64,
    /// End of the drain, ns from time 0.
    pub(super) end: i64,
    pub(super) nodes: Vec<NodeDraft>,
    /// Every name of a node or member, and where it was given.
    pub(super) taken: BTreeMap<String, Place>,
    /// Where each (brokerName, brokerId) stands.
    pub(super) broker_ids: BTreeMap<(String, u64), Place>,
    /// Client processes that several members share, by name.
    pub(super) processes: BTreeMap<String, usize>,
    /// Next number of an unnamed member, and next ordinal of any, by group.
    pub(super) numbers: BTreeMap<String, (u32, u32)>,
    /// Nodes and members so far, those that were too many included.
    pub(super) total: usize,
}

#[derive(Debug)]
pub(super) struct NodeDraft {
    pub(super) name: String,
    pub(super) common: Common,
    pub(super) kind: KindDraft,
}

#[derive(Debug)]
pub(super) enum KindDraft {
    Nameserver(NameserverSettings),
    Broker(Box<BrokerDraft>),
    Client(ClientDraft),
}

#[derive(Debug)]
pub(super) struct BrokerDraft {
    pub(super) broker: String,
    pub(super) id: u64,
    pub(super) cluster: String,
    pub(super) settings: BrokerSettings,
    pub(super) nameservers: Option<Vec<TargetName>>,
    /// Group, index, and where it stands.
    pub(super) dledger: Option<(String, u8, Place)>,
    pub(super) disk: Partition,
}

impl BrokerDraft {
    /// Whether it takes writes when all is well.
    pub(super) fn is_master(&self) -> bool {
        self.settings.broker_role != BrokerRole::Slave
    }
}

#[derive(Debug)]
pub(super) struct ClientDraft {
    pub(super) ip: Option<String>,
    pub(super) new_ip: bool,
    pub(super) nameservers: Option<Vec<TargetName>>,
    /// Several members may live here.
    pub(super) shared: bool,
    pub(super) members: Vec<MemberDraft>,
}

#[derive(Debug)]
pub(super) struct MemberDraft {
    pub(super) name: String,
    pub(super) group: String,
    /// Number within the group.
    pub(super) ordinal: u32,
    pub(super) instance: InstanceSettings,
    pub(super) started: bool,
    pub(super) role: RoleDraft,
}

#[derive(Clone, Debug)]
pub(super) enum RoleDraft {
    Producer(Box<ProducerDraft>),
    Consumer(Box<ConsumerDraft>),
}

/// A [`ProducerSpec`] before names are ids.
#[derive(Clone, Debug)]
pub(super) struct ProducerDraft {
    pub(super) topic: String,
    pub(super) topic_place: Place,
    pub(super) settings: crate::rocketmq::settings::ProducerSettings,
    pub(super) mode: SendMode,
    pub(super) threads: u16,
    pub(super) load: LoadSpec,
    pub(super) retry_response_codes: Vec<u16>,
    pub(super) batch: u16,
    pub(super) transactional: Option<TransactionSpec>,
    pub(super) wait_store_msg_ok: bool,
    pub(super) warm_up_sends: u64,
}

impl ProducerDraft {
    pub(super) fn resolve(&self, index: u16, group: crate::base::ids::GroupId, topic: crate::base::ids::TopicId) -> ProducerSpec {
        let d = self.clone();
        ProducerSpec {
            index,
            group,
            topic,
            settings: d.settings,
            mode: d.mode,
            threads: d.threads,
            load: d.load,
            retry_response_codes: d.retry_response_codes,
            batch: d.batch,
            transactional: d.transactional,
            wait_store_msg_ok: d.wait_store_msg_ok,
            warm_up_sends: d.warm_up_sends,
        }
    }
}

/// A [`ConsumerSpec`] before names are ids: group, index and topics of `spec` are filled in later.
#[derive(Clone, Debug)]
pub(super) struct ConsumerDraft {
    pub(super) spec: ConsumerSpec,
    /// Topic, tags, and where the topic is named.
    pub(super) subscriptions: Vec<(String, String, Place)>,
    /// "broker:queue" of the first topic, and where they stand.
    pub(super) config_queues: (Vec<String>, Place),
    /// Percent, and where it stands.
    pub(super) start_offset: Option<(u8, Place)>,
}

/// What every process has.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) host: Option<(String, Place)>,
    /// ns from time 0; `None`: drawn.
    pub(super) start: Option<i64>,
    pub(super) cpus: u32,
    pub(super) version: Version,
    pub(super) rules: Rules,
    pub(super) clock_offset: i64,
    pub(super) clock_drift_ppm: i64,
    pub(super) services: Services,
    /// The keys that the entry gives, with where.
    pub(super) given: Vec<(&'static str, Place)>,
}

impl Common {
    /// A key's value in one spelling, to compare two entries that share a process.
    pub(super) fn canonical(&self, key: &str) -> String {
        match key {
            "host" => self.host.as_ref().map(|h| h.0.clone()).unwrap_or_default(),
            "start" | "starts" => format!("{:?}", self.start),
            "cpus" => self.cpus.to_string(),
            "version" => self.version.to_string(),
            "rules" => format!("{:?}", self.rules),
            "clock" => format!("{} {}", self.clock_offset, self.clock_drift_ppm),
            _ => self.services.clone().slots().map(|q| format!("{} {}", q.p50(), q.p99())).join(" "),
        }
    }
}

/// Service times by kind of node.
#[derive(Clone, Debug)]
pub(super) struct AllServices {
    pub(super) nameserver: Services,
    pub(super) broker: Services,
    pub(super) client: Services,
}

/// The services that an object gives, on top of those it inherits. Both sections begin with the keys of the classes, in the order of the slots.
fn overlay(fields: &mut Fields<'_>, base: &Services, keys: &'static [Key]) -> Services {
    let mut services = base.clone();
    for (slot, key) in services.slots().into_iter().zip(keys) {
        if let Some(given) = fields.delay(key) {
            *slot = given;
        }
    }
    services
}

fn node_overlay(mut fields: Fields<'_>, base: &Services) -> (Services, Node) {
    let services = overlay(&mut fields, base, keys::services::SECTION.keys);
    (services, fields.finish())
}

/// The scenario's `services`.
pub(super) fn all_services(mut fields: Fields<'_>) -> (AllServices, Node) {
    use keys::all_services::*;
    let own_boot = fields.given(&BOOT).is_some();
    let base = overlay(&mut fields, &Services::constant(0), keys::all_services::SECTION.keys);
    let mut kind = |key: &Key, boot: &str| {
        let mut base = base.clone();
        if !own_boot && let Ok(node) = tree::parse(boot) {
            base.boot = values::delay(fields.ctx, "boot", &BOOT.takes, &node).unwrap_or_else(|| Quantiles::constant(0));
        }
        let given = fields.given(key).and_then(|node| Fields::open(fields.ctx, node, &keys::services::SECTION));
        let (services, mut shown) = match given {
            Some(inner) => node_overlay(inner, &base),
            None => (base, Node::object::<&str>([])),
        };
        if shown.get("boot").is_none()
            && let Shape::Object(members) = &mut shown.shape
        {
            let value = values::show_delay(&services.boot);
            members.push(tree::Member { key: "boot".into(), key_place: Place::Nowhere, value });
        }
        fields.show(key, shown);
        services
    };
    let nameserver = kind(&NAMESERVER, BOOT_SERVER);
    let broker = kind(&BROKER, BOOT_SERVER);
    let client = kind(&CLIENT, BOOT_CLIENT);
    (AllServices { nameserver, broker, client }, fields.finish())
}

/// Reports a moment that lies outside the run.
pub(super) fn within_run(ctx: &Ctx<'_>, draft: &Draft, name: &str, at: i64, place: Place) -> bool {
    if at < -draft.warmup {
        let what = format!("\"{name}\" is {}, before the warm-up begins", values::show_moment(at).to_line());
        let remedy =
            format!("the warm-up begins at {}; \"warmup\" makes it longer", values::show_moment(-draft.warmup).to_line());
        ctx.push(place, ScenarioError::new(Problem::OutOfRange, what).remedy(remedy));
        return false;
    }
    if at > draft.end {
        let what = format!("\"{name}\" is {}, after the end of the run", values::show_moment(at).to_line());
        let remedy = format!("duration and drain end at {}", values::show_moment(draft.end).to_line());
        ctx.push(place, ScenarioError::new(Problem::OutOfRange, what).remedy(remedy));
        return false;
    }
    true
}

/// Reports a name that cannot name a node or host.
pub(super) fn check_name(ctx: &Ctx<'_>, what: &str, name: &str, place: Place) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "_-.:@%|#/".contains(c);
    if !name.is_empty() && name.chars().count() <= 255 && name.chars().all(fits) {
        return true;
    }
    let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be {what}", short(name)));
    ctx.push(place, error.expected("1 to 255 letters, digits or any of _-.:@%|#/"));
    false
}

impl Draft {
    /// The rules of a version, with the scenario's and the node's exceptions.
    fn rules_of(&self, version: Version, own: &[(String, bool)]) -> Rules {
        let mut rules = Rules::of(version);
        for (name, holds) in self.rules.iter().chain(own) {
            rules.set(name, *holds);
        }
        rules
    }

    /// The keys that every process has. `defaults`: whether those that are left out are written down.
    pub(super) fn common(&self, fields: &mut Fields<'_>, services: &Services, defaults: bool) -> Common {
        use keys::node::*;
        let shows = std::mem::replace(&mut fields.shows_defaults, defaults);
        let mut given = Vec::new();
        for key in [&HOST, &START, &CPUS, &VERSION, &RULES, &CLOCK, &SERVICES] {
            if fields.given(key).is_some() {
                given.push((key.name, fields.place_of(key)));
            }
        }
        let place = fields.place_of(&HOST);
        let host = fields.text(&HOST).map(|host| (host, place));
        let place = fields.place_of(&START);
        let start = fields.moment(&START).filter(|at| within_run(fields.ctx, self, "start", *at, place));
        let cpus = fields.count(&CPUS).map_or(self.cpus, |n| n as u32);
        let version = fields.version(&VERSION).unwrap_or(self.version);
        let own_rules = fields.rules(&RULES);
        let clock = fields.section(&CLOCK, |mut clock| {
            let offset = clock.moment(&keys::clock::OFFSET).unwrap_or_default();
            let drift = clock.signed(&keys::clock::DRIFT_PPM).unwrap_or_default();
            ((offset, drift), clock.finish())
        });
        let (clock_offset, clock_drift_ppm) = clock.unwrap_or_default();
        let services = fields.section(&SERVICES, |inner| node_overlay(inner, services)).unwrap_or_else(|| services.clone());
        if defaults {
            if fields.given(&CPUS).is_none() {
                fields.show(&CPUS, Node::number(cpus));
            }
            if fields.given(&VERSION).is_none() {
                fields.show(&VERSION, Node::text(version.to_string()));
            }
        }
        fields.shows_defaults = shows;
        let rules = self.rules_of(version, &own_rules);
        Common { host, start, cpus, version, rules, clock_offset, clock_drift_ppm, services, given }
    }

    /// Takes a name for a node or member; reports one that is taken.
    pub(super) fn take_name(&mut self, ctx: &Ctx<'_>, name: &str, place: Place) {
        if let Some(first) = self.taken.get(name) {
            let error = ScenarioError::new(Problem::Conflict, format!("the name \"{}\" is taken", short(name)));
            ctx.push(place, error.remedy(format!("it is first given at {}", ctx.whereabouts(*first))));
            return;
        }
        self.taken.insert(name.to_owned(), place);
    }

    /// Counts nodes in; reports, once, when they are too many.
    pub(super) fn room_for(&mut self, ctx: &Ctx<'_>, place: Place, more: usize) -> bool {
        let before = self.total;
        self.total = self.total.saturating_add(more);
        if self.total > MAX_NODES && before <= MAX_NODES {
            let error = ScenarioError::new(Problem::OutOfRange, format!("with this entry the scenario has {} nodes", self.total));
            ctx.push(place, error.expected(format!("at most {MAX_NODES}")));
        }
        self.total <= MAX_NODES
    }

    /// The key `nameservers`.
    pub(super) fn nameservers(&mut self, top: &mut Fields<'_>) {
        let key = &keys::top::NAMESERVERS;
        let ctx = top.ctx;
        let number = Node::number(1);
        let node = top.given(key).unwrap_or(&number);
        let empty = Node::object::<&str>([]);
        let count_takes = keys::Takes::Count { min: 1, max: 64 };
        let entries: Vec<&Node> = match &node.shape {
            Shape::List(values) if values.is_empty() || values.len() > 64 => {
                values::out_of_range(ctx, key.name, node, "from 1 to 64 nameservers".into());
                Vec::new()
            }
            Shape::List(values) => values.iter().collect(),
            Shape::Number(_) => match values::count(ctx, key.name, &count_takes, node) {
                Some(n) => vec![&empty; n as usize],
                None => Vec::new(),
            },
            _ => {
                values::wrong(ctx, key.name, &key.takes, node);
                Vec::new()
            }
        };
        let mut shown = Vec::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let Some(mut fields) = Fields::open(ctx, entry, &keys::nameserver::SECTION) else { continue };
            let place = fields.place_of(&keys::nameserver::NAME);
            let name = fields.text(&keys::nameserver::NAME).unwrap_or_else(|| {
                let name = format!("ns-{i}");
                fields.show(&keys::nameserver::NAME, Node::text(name.as_str()));
                name
            });
            let common = self.common(&mut fields, &self.services.nameserver, true);
            let settings = fields.settings(NameserverSettings::default());
            check_host(ctx, &common);
            shown.push(fields.finish());
            if check_name(ctx, "the name of a nameserver", &name, place) {
                self.take_name(ctx, &name, place);
                self.room_for(ctx, place, 1);
                self.nodes.push(NodeDraft { name, common, kind: KindDraft::Nameserver(settings) });
            }
        }
        top.show(key, Node::list(shown));
    }

    /// The key `brokers`.
    pub(super) fn brokers(&mut self, top: &mut Fields<'_>) {
        let key = &keys::top::BROKERS;
        let Some(node) = top.given(key) else { return };
        let ctx = top.ctx;
        let entries = items(ctx, key, node, MAX_BROKERS);
        if entries.is_empty() && matches!(node.shape, Shape::List(_)) {
            let error = ScenarioError::new(Problem::OutOfRange, "the scenario has no brokers");
            ctx.push(node.place, error.remedy("add at least one, such as {\"brokerName\": \"broker-a\"}"));
        }
        let shown = entries.iter().filter_map(|entry| self.broker(ctx, entry)).collect();
        top.show(key, Node::list(shown));
    }

    fn broker(&mut self, ctx: &Ctx<'_>, entry: &Node) -> Option<Node> {
        use keys::broker::*;
        let mut fields = Fields::open(ctx, entry, &SECTION)?;
        let name_place = fields.place_of(&BROKER_NAME);
        let broker = fields.text(&BROKER_NAME);
        let given_id = fields.given(&BROKER_ID).is_some();
        let id_place = fields.place_of(&BROKER_ID);
        let id = fields.count(&BROKER_ID);
        let cluster = fields.text(&BROKER_CLUSTER_NAME).unwrap_or_default();
        let own_place = fields.place_of(&NAME);
        let own_name = fields.text(&NAME);
        let nameservers = fields.target(&NAMESERVERS);
        let dledger_place = fields.place_of(&DLEDGER);
        let dledger = fields.section(&DLEDGER, |mut inner| {
            let group = inner.text(&keys::dledger::GROUP);
            let index = inner.count(&keys::dledger::INDEX);
            (group.zip(index), inner.finish())
        });
        let dledger = dledger.flatten().map(|(group, index)| (group, index as u8, dledger_place));
        let disk = disk(&mut fields);
        let common = self.common(&mut fields, &self.services.broker, true);
        let settings = fields.settings(BrokerSettings::default());
        check_host(ctx, &common);
        check_broker_settings(&fields, &settings);
        let slave = settings.broker_role == BrokerRole::Slave;
        let default_id = dledger.as_ref().map_or(0, |d| d.1 as u64);
        let id = id.unwrap_or(default_id);
        if dledger.is_some() {
            if given_id && id != default_id {
                let error = ScenarioError::new(
                    Problem::Conflict,
                    format!("\"brokerId\" is {id}, its index in the DLedger group is {default_id}"),
                );
                ctx.push(
                    id_place,
                    error.remedy("leave brokerId out: in a DLedger group the leader gets 0 and the others their number"),
                );
            }
        } else if slave && id == 0 {
            let what = if given_id { "a SLAVE cannot have brokerId 0" } else { "a SLAVE needs a brokerId" };
            let error = ScenarioError::new(Problem::Conflict, what).expected("a brokerId of 1 or more");
            ctx.push(id_place, error.remedy("RocketMQ exits at once with such a file"));
        } else if !slave && id != 0 {
            let error = ScenarioError::new(Problem::Conflict, format!("a master cannot have brokerId {id}"))
                .expected("brokerId 0, or brokerRole SLAVE");
            ctx.push(id_place, error.remedy("RocketMQ forces 0 for ASYNC_MASTER and SYNC_MASTER"));
        }
        if !given_id {
            fields.show(&BROKER_ID, Node::number(id));
        }
        let name_given = own_name.is_some();
        let node_name = own_name.unwrap_or_else(|| format!("{}:{id}", broker.as_deref().unwrap_or_default()));
        if !name_given {
            fields.show(&NAME, Node::text(node_name.as_str()));
        }
        let shown = fields.finish();
        let broker = broker?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
        if broker.is_empty() || broker.len() > 127 || !broker.chars().all(fits) {
            let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a brokerName", short(&broker)));
            ctx.push(name_place, error.expected("1 to 127 letters, digits or any of _-.@"));
            return None;
        }
        if let Some(twin) = self.broker_ids.insert((broker.clone(), id), entry.place) {
            let error =
                ScenarioError::new(Problem::Conflict, format!("there is already a broker \"{broker}\" with brokerId {id}"));
            ctx.push(
                entry.place,
                error.remedy(format!(
                    "it is given at {}; a slave has brokerRole SLAVE and a brokerId of its own",
                    ctx.whereabouts(twin)
                )),
            );
            return Some(shown);
        }
        if check_name(ctx, "the name of a broker", &node_name, own_place) {
            self.take_name(ctx, &node_name, own_place);
        }
        if self.room_for(ctx, entry.place, 1) {
            let kind = KindDraft::Broker(Box::new(BrokerDraft { broker, id, cluster, settings, nameservers, dledger, disk }));
            self.nodes.push(NodeDraft { name: node_name, common, kind });
        }
        Some(shown)
    }

    /// The DLedger groups: each must be numbered from 0 without a gap, and be one broker set.
    pub(super) fn check_dledger(&self, ctx: &Ctx<'_>) {
        let mut groups: BTreeMap<&str, Vec<(u8, &str, Place)>> = BTreeMap::new();
        for node in &self.nodes {
            if let KindDraft::Broker(b) = &node.kind
                && let Some((group, index, place)) = &b.dledger
            {
                groups.entry(group).or_default().push((*index, &b.broker, *place));
            }
        }
        for (group, mut members) in groups {
            members.sort_by_key(|m| m.0);
            for (i, (index, broker, place)) in members.iter().enumerate() {
                if *index as usize != i {
                    let error = ScenarioError::new(
                        Problem::Conflict,
                        format!("the DLedger group \"{group}\" has no node with index {i}"),
                    );
                    ctx.push(*place, error.expected("indexes 0, 1, 2, … each once"));
                    break;
                }
                if *broker != members[0].1 {
                    let error =
                        ScenarioError::new(Problem::Conflict, format!("the DLedger group \"{group}\" has two broker names"));
                    ctx.push(*place, error.remedy(format!("all its nodes need brokerName \"{}\"", members[0].1)));
                    break;
                }
            }
        }
    }

    /// The drafts of brokers.
    pub(super) fn broker_drafts(&self) -> impl Iterator<Item = &BrokerDraft> {
        self.nodes.iter().filter_map(|n| match &n.kind {
            KindDraft::Broker(b) => Some(&**b),
            _ => None,
        })
    }

    /// Every client process.
    pub(super) fn clients(&self) -> impl Iterator<Item = &ClientDraft> {
        self.nodes.iter().filter_map(|n| match &n.kind {
            KindDraft::Client(c) => Some(c),
            _ => None,
        })
    }

    /// Every member, in the order of the nodes.
    pub(super) fn members(&self) -> impl Iterator<Item = &MemberDraft> {
        self.clients().flat_map(|c| &c.members)
    }

    /// The names of broker sets, each once, in the order of the file.
    pub(super) fn broker_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for broker in self.broker_drafts() {
            if seen.insert(broker.broker.as_str()) {
                names.push(&broker.broker);
            }
        }
        names
    }

    /// Levels of delayed delivery that the broker with the most of them knows.
    pub(super) fn delay_levels(&self) -> usize {
        self.broker_drafts().map(|b| b.settings.message_delay_level.split_whitespace().count()).max().unwrap_or_default()
    }
}

fn check_host(ctx: &Ctx<'_>, common: &Common) {
    if let Some((host, place)) = &common.host {
        check_name(ctx, "the name of a host", host, *place);
    }
}

/// The keys `disk` and `disk_used`.
fn disk(fields: &mut Fields<'_>) -> Partition {
    use keys::broker::{DISK, DISK_USED};
    let place = fields.place_of(&DISK_USED);
    let size = fields.bytes(&DISK);
    let others = fields.bytes(&DISK_USED);
    if let Some(others) = others
        && size.is_none_or(|size| others > size)
    {
        let what = match size {
            None => "\"disk_used\" means nothing without \"disk\"".to_owned(),
            Some(size) => format!("\"disk_used\" is {others} bytes, of a disk of {size}"),
        };
        let error = ScenarioError::new(Problem::Conflict, what);
        fields.ctx.push(place, error.expected("\"disk\": the size of the partition, and no more on it than that"));
    }
    Partition { size: size.unwrap_or(0), others: others.unwrap_or(0) }
}

/// What single keys of a broker cannot say alone.
fn check_broker_settings(fields: &Fields<'_>, settings: &BrokerSettings) {
    let refuse = |key: &'static str, fits: bool, expected: &str| {
        if let Some(node) = fields.given_setting(key)
            && !fits
        {
            let error = ScenarioError::new(Problem::WrongValue, format!("\"{key}\" cannot be {}", node.describe()));
            fields.ctx.push(node.place, error.expected(expected));
        }
    };
    refuse("deleteWhen", cleaning::hours(&settings.delete_when).is_some(), "hours of the day, such as \"04\" or \"02;04\"");
    for (key, value) in [
        ("rocketmq.broker.diskSpaceWarningLevelRatio", &settings.disk_space_warning_level_ratio),
        ("rocketmq.broker.diskSpaceCleanForciblyRatio", &settings.disk_space_clean_forcibly_ratio),
        ("dledger.disk.ratio.clean", &settings.dledger_disk_ratio_clean),
    ] {
        let fits = cleaning::ratio(value).is_some_and(|ratio| ratio <= 10_000);
        refuse(key, fits, "a share from \"0.0\" to \"1.0\" with at most four decimals, such as \"0.90\"");
    }
    let fits = dledger::preferred_leaders(&settings.preferred_leader_id).is_some();
    refuse("preferredLeaderId", fits, "members of its DLedger group, such as \"n0\" or \"n0;n2\"");
    let level = |text: &str| {
        let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
        matches!(unit, "s" | "m" | "h" | "d") && number.parse::<u32>().is_ok_and(|n| n <= 100_000)
    };
    let levels: Vec<&str> = settings.message_delay_level.split_whitespace().collect();
    let fits = !levels.is_empty() && levels.len() <= 255 && levels.iter().all(|l| level(l));
    refuse("messageDelayLevel", fits, "1 to 255 delays with the units s, m, h or d, such as \"1s 5s 10s 1m\"");
}
