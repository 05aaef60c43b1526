//! What producers and consumers have in common: their group, how many there are, their names, the process they live in.
//!
//! An entry with a count becomes that many members. A member is a process of its own unless the entry names a process, which may
//! then hold several; what belongs to the process (host, start, cores, clocks) must not be given twice in two ways.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, short};
use super::keys::{self, Key, MAX_COUNT, client};
use super::nodes::{ClientDraft, Common, Draft, KindDraft, MemberDraft, NodeDraft, RoleDraft, check_name, within_run};
use super::tree::{Node, Place, Shape};
use super::values::{self, TargetName};
use crate::rocketmq::settings::InstanceSettings;

/// Groups that are not for applications (`MixAll`, 4.9.8): a start with one fails, or meets RocketMQ's own members.
pub(super) const RESERVED_GROUPS: &[&str] = &[
    "DEFAULT_PRODUCER",
    "DEFAULT_CONSUMER",
    "CLIENT_INNER_PRODUCER",
    "CID_RMQ_SYS_TRANS",
    "TOOLS_CONSUMER",
    "SCHEDULE_CONSUMER",
    "FILTERSRV_CONSUMER",
    "MONITOR_CONSUMER",
    "SELF_TEST_P_GROUP",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
];

/// An entry of producers or consumers, apart from what it does.
#[derive(Debug)]
pub(super) struct Entry {
    place: Place,
    pub(super) group: Option<String>,
    /// Given names; empty: numbered.
    names: Vec<(String, Place)>,
    count: usize,
    starts: Vec<Option<i64>>,
    started: bool,
    process: Option<(String, Place)>,
    ip: Option<String>,
    new_ip: bool,
    nameservers: Option<Vec<TargetName>>,
    instance: InstanceSettings,
    common: Common,
    /// Keys of [`client`] that belong to the process, as given.
    given: Vec<(&'static str, Place)>,
}

/// Whether RocketMQ's client takes this as the name of a topic or group.
pub(super) fn legal(name: &str, longest: usize) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "%|_-".contains(c);
    !name.is_empty() && name.len() <= longest && name.chars().all(fits)
}

fn check_group(ctx: &Ctx<'_>, group: &str, place: Place) -> bool {
    if !legal(group, 255) {
        let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a group", short(group)));
        ctx.push(place, error.expected("1 to 255 letters, digits or any of %|_-"));
        return false;
    }
    if RESERVED_GROUPS.contains(&group) {
        let error = ScenarioError::new(Problem::Conflict, format!("the group \"{group}\" is reserved by RocketMQ"));
        ctx.push(place, error.remedy("choose a name of your own"));
        return false;
    }
    true
}

impl Draft {
    /// The shared keys of an entry.
    pub(super) fn entry(&self, fields: &mut Fields<'_>) -> Entry {
        let ctx = fields.ctx;
        let group_place = fields.place_of(&client::GROUP);
        let group = fields.text(&client::GROUP).filter(|g| check_group(ctx, g, group_place));
        let names = self.names(fields);
        let count = self.count(fields, names.len());
        let process_place = fields.place_of(&client::PROCESS);
        let process = fields.text(&client::PROCESS).map(|p| (p, process_place));
        let own = process.is_none();
        let shows = std::mem::replace(&mut fields.shows_defaults, own);
        let new_ip = fields.flag(&client::NEW_IP).unwrap_or_default();
        fields.shows_defaults = shows;
        let ip = fields.text(&client::CLIENT_IP);
        let nameservers = fields.target(&client::NAMESERVERS);
        let started = fields.flag(&client::STARTED).unwrap_or(true);
        let common = self.common(fields, &self.services.client, own);
        let starts = self.starts(fields, count, &common);
        if !started && (common.start.is_some() || !starts.is_empty()) {
            let error = ScenarioError::new(Problem::Conflict, "\"started\" is false and a start is given too");
            ctx.push(fields.place_of(&client::STARTED), error.remedy("a fault entry with \"start\" starts it"));
        }
        let mut given = Vec::new();
        for key in [&client::STARTS, &client::CLIENT_IP, &client::NEW_IP, &client::NAMESERVERS] {
            if fields.given(key).is_some() {
                given.push((key.name, fields.place_of(key)));
            }
        }
        let instance = fields.settings(InstanceSettings::default());
        if let Some(node) = fields.given_setting("vipChannelEnabled").filter(|_| instance.vip_channel_enabled) {
            fields.ctx.unbuilt(node.place, "vipChannelEnabled is not built; requests share one connection a broker");
        }
        Entry {
            place: fields.place,
            group,
            names,
            count,
            starts,
            started,
            process,
            ip,
            new_ip,
            nameservers,
            instance,
            common,
            given,
        }
    }

    fn names(&self, fields: &mut Fields<'_>) -> Vec<(String, Place)> {
        let ctx = fields.ctx;
        let places: Vec<Place> = match fields.given(&client::NAMES).map(|n| &n.shape) {
            Some(Shape::List(values)) => values.iter().map(|v| v.place).collect(),
            _ => Vec::new(),
        };
        let list = fields.texts(&client::NAMES, MAX_COUNT as usize).unwrap_or_default();
        let place = fields.place_of(&client::NAME);
        let one = fields.text(&client::NAME);
        if one.is_some() && fields.given(&client::NAMES).is_some() {
            ctx.report(place, Problem::Conflict, "\"name\" and \"names\" are given together");
        }
        let mut names: Vec<_> = list.into_iter().zip(places).collect();
        names.extend(one.map(|name| (name, place)));
        names.retain(|(name, place)| check_name(ctx, "the name of a member", name, *place));
        names
    }

    fn count(&self, fields: &mut Fields<'_>, names: usize) -> usize {
        let place = fields.place_of(&client::COUNT);
        let count = fields.count(&client::COUNT);
        if count.is_none() {
            fields.show(&client::COUNT, Node::number(names.max(1)));
        }
        let Some(count) = count else { return names.clamp(1, MAX_COUNT as usize) };
        if names > 0 && names as u64 != count {
            let what = format!("\"count\" is {count}, and {names} {} given", if names == 1 { "name is" } else { "names are" });
            fields.ctx.push(
                place,
                ScenarioError::new(Problem::Conflict, what).remedy("leave count out, or name them all in \"names\""),
            );
            return names;
        }
        count as usize
    }

    fn starts(&self, fields: &mut Fields<'_>, count: usize, common: &Common) -> Vec<Option<i64>> {
        let Some(node) = fields.given(&client::STARTS) else { return Vec::new() };
        let ctx = fields.ctx;
        let Shape::List(values) = &node.shape else {
            values::wrong(ctx, client::STARTS.name, &client::STARTS.takes, node);
            return Vec::new();
        };
        if values.len() != count {
            let error =
                ScenarioError::new(Problem::Conflict, format!("\"starts\" has {} moments for {count} members", values.len()));
            ctx.push(node.place, error.expected("one moment a member"));
        }
        if common.start.is_some() {
            ctx.report(node.place, Problem::Conflict, "\"start\" and \"starts\" are given together");
        }
        let read = |value: &Node| {
            let at = values::moment(ctx, "starts", &keys::Takes::Moment, value)?;
            within_run(ctx, self, "starts", at, value.place).then_some(at)
        };
        let starts: Vec<Option<i64>> = values.iter().take(count).map(read).collect();
        fields.show(&client::STARTS, Node::list(starts.iter().flatten().map(|at| values::show_moment(*at)).collect()));
        starts
    }

    /// Makes the members of an entry.
    pub(super) fn expand(&mut self, ctx: &Ctx<'_>, entry: Entry, role: RoleDraft) {
        if !self.room_for(ctx, entry.place, entry.count) {
            return;
        }
        let Some(group) = entry.group.clone() else { return };
        for i in 0..entry.count {
            let numbers = self.numbers.entry(group.clone()).or_default();
            let ordinal = numbers.1;
            numbers.1 += 1;
            let (name, place) = entry.names.get(i).cloned().unwrap_or_else(|| {
                let number = numbers.0;
                numbers.0 += 1;
                (format!("{group}-{number}"), entry.place)
            });
            // A process may have the name of a member that lives in it: the name then means the process.
            let is_process = entry.process.as_ref().is_some_and(|(process, _)| numbered(process, i) == name);
            if !is_process {
                self.take_name(ctx, &name, place);
            }
            let (instance, started, role) = (entry.instance.clone(), entry.started, role.clone());
            let member = MemberDraft { name: name.clone(), group: group.clone(), ordinal, instance, started, role };
            self.place_member(ctx, &entry, i, member);
        }
    }

    /// Puts a member into its process: one of its own, or one that it shares.
    fn place_member(&mut self, ctx: &Ctx<'_>, entry: &Entry, i: usize, member: MemberDraft) {
        let mut common = entry.common.clone();
        common.host = common.host.map(|(host, place)| (numbered(&host, i), place));
        common.given.extend(&entry.given);
        if let Some(start) = entry.starts.get(i) {
            common.start = *start;
        }
        if let Some((host, place)) = &common.host
            && i == 0
        {
            check_name(ctx, "the name of a host", host, *place);
        }
        let shared = entry.process.is_some();
        let mut client = ClientDraft {
            ip: entry.ip.as_deref().map(|ip| numbered(ip, i)),
            new_ip: entry.new_ip,
            nameservers: entry.nameservers.clone(),
            shared,
            members: vec![member],
        };
        let Some((process, process_place)) = &entry.process else {
            let name = client.members[0].name.clone();
            self.nodes.push(NodeDraft { name, common, kind: KindDraft::Client(client) });
            return;
        };
        let process = numbered(process, i);
        if let Some(&index) = self.processes.get(&process) {
            let node = &mut self.nodes[index];
            if let KindDraft::Client(existing) = &mut node.kind {
                if i == 0 || entry.count == 1 {
                    report_differences(ctx, &process, (&node.common, existing), (&common, &client));
                }
                existing.members.append(&mut client.members);
            }
            return;
        }
        if check_name(ctx, "the name of a process", &process, *process_place) {
            self.take_name(ctx, &process, *process_place);
        }
        self.processes.insert(process.clone(), self.nodes.len());
        self.nodes.push(NodeDraft { name: process, common, kind: KindDraft::Client(client) });
    }
}

/// A name in which '*' stands for the member's number.
fn numbered(text: &str, i: usize) -> String {
    text.replace('*', &i.to_string())
}

/// Reports keys of a process that a later entry gives otherwise than the first.
fn report_differences(ctx: &Ctx<'_>, process: &str, first: (&Common, &ClientDraft), later: (&Common, &ClientDraft)) {
    let names = |t: &Option<Vec<TargetName>>| t.as_deref().map(values::label).unwrap_or_default();
    let canonical = |(common, client): (&Common, &ClientDraft), key: &str| match key {
        "clientIP" => client.ip.clone().unwrap_or_default(),
        "new_ip_each_life" => client.new_ip.to_string(),
        "nameservers" => names(&client.nameservers),
        _ => common.canonical(key),
    };
    for (key, place) in &later.0.given {
        if canonical(first, key) != canonical(later, key) {
            let error = ScenarioError::new(
                Problem::Conflict,
                format!("\"{key}\" differs from what process \"{}\" has already", short(process)),
            );
            ctx.push(*place, error.remedy("it belongs to the process: give it in the first entry only"));
        }
    }
}

/// Reports two keys that say the same thing.
pub(super) fn not_both(fields: &Fields<'_>, one: &Key, other: &Key) {
    if fields.given(one).is_some() && fields.given(other).is_some() {
        fields.ctx.report(
            fields.key_place(other),
            Problem::Conflict,
            format!("\"{}\" and \"{}\" are given together", one.name, other.name),
        );
    }
}
