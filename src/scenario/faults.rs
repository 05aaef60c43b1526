//! Faults and operations: one verb an entry, at its time, on something that exists.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, items, short};
use super::keys::{self, Key, Takes, fault, verbs};
use super::links::two_sides;
use super::nodes::{Draft, KindDraft, within_run};
use super::suggest::nearest;
use super::targets::Roster;
use super::tree::{Node, Place, Shape};
use super::values::{self, ANSWER_CODES, REQUEST_CODES, TargetName, label};
use crate::base::ids::NodeId;
use crate::base::names::Names;
use crate::world::spec::{FaultKind, FaultSpec, Fsync, HoldStep, InterceptAction, Only};

/// What verbs are read against.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) draft: &'a Draft,
    pub(super) roster: &'a Roster,
    pub(super) names: &'a Names,
}

/// A fault's kind, the end of its label ("broker-a:0"), and the verb's value as it was understood.
type Verb = (FaultKind, String, Node);

/// Verbs that do not end, so that `for` means nothing to them.
const ENDLESS: &[&str] = &["restart", "rolling_restart", "start", "promote", "clock_step", "reset", "update_topic"];

/// Verbs that `only` can narrow down to those brokers that lead, or do not.
const NARROWED: &[&str] = &["kill", "lose_host", "freeze", "shutdown", "restart", "slow_disk", "fill_disk", "fsync", "cut"];

/// Verbs after which `wipe` can take the disk away.
const WIPED: &[&str] = &["kill", "lose_host"];

/// The key `faults`.
pub(super) fn faults(top: &mut Fields<'_>, scene: &Scene<'_>) -> Vec<FaultSpec> {
    let key = &keys::top::FAULTS;
    let ctx = top.ctx;
    let entries = top.given(key).map_or(&[][..], |node| items(ctx, key, node, 10_000));
    let mut shown = Vec::new();
    let mut faults = Vec::new();
    for entry in entries {
        if let Some((fault, node)) = one(ctx, entry, scene) {
            faults.push(fault);
            shown.push(node);
        }
    }
    top.show(key, Node::list(shown));
    faults
}

fn one(ctx: &Ctx<'_>, entry: &Node, scene: &Scene<'_>) -> Option<(FaultSpec, Node)> {
    let mut fields = Fields::open(ctx, entry, &fault::SECTION)?;
    let at_place = fields.place_of(&fault::AT);
    let at = fields.moment(&fault::AT).filter(|at| within_run(ctx, scene.draft, "at", *at, at_place));
    let lasts = fields.duration(&fault::FOR);
    let every = fields.section(&fault::EVERY, |mut inner| {
        let period = inner.duration(&keys::every::PERIOD);
        let times = inner.count(&keys::every::TIMES);
        (period.zip(times), inner.finish())
    });
    let every = every.flatten();
    let own_label = fields.text(&fault::LABEL);
    let verb = the_verb(&fields)?;
    if lasts.is_some() && ENDLESS.contains(&verb.name) {
        let error =
            ScenarioError::new(Problem::Conflict, format!("\"for\" means nothing to \"{}\", which does not last", verb.name));
        ctx.push(fields.key_place(&fault::FOR), error.remedy("leave it out"));
    }
    let only = fields.choice(&fault::ONLY).map(|choice| if choice == 0 { Only::Leader } else { Only::Followers });
    if only.is_some() && !NARROWED.contains(&verb.name) {
        let error = ScenarioError::new(Problem::Conflict, format!("\"only\" means nothing to \"{}\"", verb.name));
        ctx.push(fields.key_place(&fault::ONLY), error.expected(format!("one of {}", NARROWED.join(", "))));
    }
    let wipe = fields.flag(&fault::WIPE).unwrap_or_default();
    if wipe && !WIPED.contains(&verb.name) {
        let error = ScenarioError::new(Problem::Conflict, format!("\"wipe\" means nothing to \"{}\"", verb.name));
        ctx.push(fields.key_place(&fault::WIPE), error.expected(format!("one of {}", WIPED.join(", "))));
    }
    let node = fields.given(verb)?;
    let (what, on, shown) = kind(ctx, verb, node, scene)?;
    fields.show(verb, shown);
    let label = own_label.unwrap_or_else(|| {
        let whom = match only {
            Some(Only::Leader) => "leader of ",
            Some(Only::Followers) => "followers of ",
            None => "",
        };
        let disk = if wipe { ", disk wiped" } else { "" };
        format!("{} {whom}{on}{disk}", verb.name.replace('_', " "))
    });
    let at = at?;
    if let Some((period, times)) = every {
        let last = at.saturating_add((period as i64).saturating_mul(times as i64 - 1));
        within_run(ctx, scene.draft, "every", last, fields.place_of(&fault::EVERY));
        if lasts.is_some_and(|lasts| lasts > period) {
            let error = ScenarioError::new(Problem::Conflict, "the fault strikes again before it has ended");
            ctx.push(fields.place_of(&fault::EVERY), error.expected("a period of at least \"for\""));
        }
    }
    let spec = FaultSpec { label, at, lasts, every: every.map(|(period, times)| (period, times as u32)), only, wipe, what };
    Some((spec, fields.finish()))
}

/// The one verb of an entry.
fn the_verb(fields: &Fields<'_>) -> Option<&'static Key> {
    let given: Vec<&'static Key> = verbs().iter().filter(|key| fields.given(key).is_some()).collect();
    match given[..] {
        [one] => Some(one),
        [] => {
            let names: Vec<_> = verbs().iter().map(|k| k.name).collect();
            let error =
                ScenarioError::new(Problem::Missing, "a fault needs a verb").expected(format!("one of {}", names.join(", ")));
            fields.ctx.push(fields.place, error);
            None
        }
        [first, second, ..] => {
            let error = ScenarioError::new(
                Problem::Conflict,
                format!("a fault has one verb, and this has \"{}\" and \"{}\"", first.name, second.name),
            );
            fields.ctx.push(fields.key_place(second), error.remedy("make two entries of it"));
            None
        }
    }
}

fn kind(ctx: &Ctx<'_>, verb: &'static Key, node: &Node, scene: &Scene<'_>) -> Option<Verb> {
    match verb.takes {
        Takes::Target => on_target(ctx, verb, node, scene),
        Takes::Text => wipe_write_perm(ctx, verb, node, scene),
        Takes::Either(_) => restart(ctx, verb, node, scene),
        Takes::Section(section) => {
            let fields = Fields::open(ctx, node, section)?;
            match verb.name {
                "cut" => cut(fields, scene),
                "slow_link" => slow_link(fields, scene),
                "slow_disk" => slow_disk(fields, scene),
                "fill_disk" => fill_disk(fields, scene),
                "fsync" => fsync(fields, scene),
                "clock_step" => clock_step(fields, scene),
                "clock_drift" => clock_drift(fields, scene),
                "reset" => reset(fields, scene),
                "intercept" => intercept(fields, scene),
                "hold" => hold(fields, scene),
                _ => update_topic(fields, scene),
            }
        }
        _ => None,
    }
}

fn on_target(ctx: &Ctx<'_>, verb: &Key, node: &Node, scene: &Scene<'_>) -> Option<Verb> {
    let target = values::target(ctx, verb.name, &verb.takes, node)?;
    let roster = scene.roster;
    let processes = || roster.processes(ctx, &target, verb.name, node.place);
    let what = match verb.name {
        "kill" => FaultKind::Kill { nodes: processes() },
        "freeze" => FaultKind::Freeze { nodes: processes() },
        "promote" => {
            let nodes = processes();
            for slave in &nodes {
                if let Some(entry) = scene.draft.nodes.get(slave.0 as usize)
                    && !matches!(&entry.kind, KindDraft::Broker(b) if b.id > 0)
                {
                    let error = ScenarioError::new(Problem::Conflict, format!("\"{}\" is no slave", entry.name));
                    ctx.push(node.place, error.expected("brokers with a brokerId of 1 or more"));
                }
            }
            FaultKind::Promote { nodes }
        }
        "lose_host" => FaultKind::LoseHost { hosts: roster.host_set(ctx, &target) },
        "shutdown" => {
            let hits = roster.hits(ctx, &target);
            FaultKind::Shutdown { nodes: hits.nodes, members: hits.members }
        }
        _ => {
            let hits = roster.hits(ctx, &target);
            FaultKind::Start { nodes: hits.nodes, members: hits.members }
        }
    };
    Some((what, label(&target), values::show_target(&target)))
}

/// `restart` and `rolling_restart`: a target alone, or an object with times.
fn restart(ctx: &Ctx<'_>, verb: &Key, node: &Node, scene: &Scene<'_>) -> Option<Verb> {
    let wrapped;
    let node = match node.shape {
        Shape::Object(_) => node,
        _ => {
            values::target(ctx, verb.name, &Takes::Target, node)?;
            wrapped = Node { place: node.place, ..Node::object([("target", node.clone())]) };
            &wrapped
        }
    };
    if verb.name == fault::RESTART.name {
        let mut fields = Fields::open(ctx, node, &keys::restart::SECTION)?;
        let target = fields.target(&keys::restart::TARGET)?;
        let down = fields.duration(&keys::restart::DOWN)?;
        let nodes = scene.roster.processes(ctx, &target, verb.name, fields.place_of(&keys::restart::TARGET));
        return Some((FaultKind::Restart { nodes, down }, label(&target), fields.finish()));
    }
    let mut fields = Fields::open(ctx, node, &keys::rolling::SECTION)?;
    let target = fields.target(&keys::rolling::TARGET)?;
    let down = fields.duration(&keys::rolling::DOWN)?;
    let gap = fields.duration(&keys::rolling::GAP)?;
    let nodes = scene.roster.processes(ctx, &target, verb.name, fields.place_of(&keys::rolling::TARGET));
    Some((FaultKind::RollingRestart { nodes, down, gap }, label(&target), fields.finish()))
}

/// Two sides of the network: `between` for both ways, `from` and `to` for one.
struct Sides {
    from: Vec<TargetName>,
    to: Vec<TargetName>,
    both: bool,
    /// "A | B", "A -> B".
    label: String,
}

fn sides(fields: &mut Fields<'_>) -> Option<Sides> {
    use keys::sides::*;
    let ctx = fields.ctx;
    for key in [&FROM, &TO] {
        super::clients::not_both(fields, &BETWEEN, key);
    }
    let from = fields.target(&FROM);
    let to = fields.target(&TO);
    let sides = match (fields.given(&BETWEEN), from, to) {
        (Some(node), ..) => match &node.shape {
            Shape::List(pair) if pair.len() == 2 => {
                let a = values::target(ctx, BETWEEN.name, &Takes::Target, &pair[0])?;
                let b = values::target(ctx, BETWEEN.name, &Takes::Target, &pair[1])?;
                fields.show(&BETWEEN, Node::list(vec![values::show_target(&a), values::show_target(&b)]));
                Sides { label: format!("{} | {}", label(&a), label(&b)), from: a, to: b, both: true }
            }
            _ => {
                let error = ScenarioError::new(Problem::WrongValue, format!("\"between\" cannot be {}", node.describe()));
                ctx.push(node.place, error.expected("a list of two sides: [A, B], each a name or a list of names"));
                return None;
            }
        },
        (None, Some(from), Some(to)) => Sides { label: format!("{} -> {}", label(&from), label(&to)), from, to, both: false },
        (None, ..) => {
            let error = ScenarioError::new(Problem::Missing, "two sides are needed")
                .expected("\"between\": [A, B], or \"from\" and \"to\"");
            ctx.push(fields.place, error);
            return None;
        }
    };
    Some(sides)
}

fn cut(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    let sides = sides(&mut fields)?;
    let (from, to) = two_sides(fields.ctx, scene.roster, &sides.from, &sides.to, fields.place);
    Some((FaultKind::Cut { from, to, both: sides.both }, sides.label, fields.finish()))
}

fn slow_link(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    let latency = fields.delay(&keys::slow_link::LATENCY);
    let bandwidth = fields.bytes(&keys::slow_link::BANDWIDTH);
    let sides = sides(&mut fields)?;
    if latency.is_none() && bandwidth.is_none() {
        let error =
            ScenarioError::new(Problem::Missing, "this slow link is not slow").expected("\"latency\", \"bandwidth\" or both");
        fields.ctx.push(fields.place, error);
    }
    let (from, to) = two_sides(fields.ctx, scene.roster, &sides.from, &sides.to, fields.place);
    Some((FaultKind::SlowLink { from, to, both: sides.both, latency, bandwidth }, sides.label, fields.finish()))
}

fn slow_disk(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::slow_disk::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET)?;
    let factor = fields.count(&FACTOR);
    let stall = fields.flag(&STALL).unwrap_or_default();
    if factor.is_some() == stall {
        let error = ScenarioError::new(
            Problem::Conflict,
            if stall { "\"factor\" and \"stall\" are given together" } else { "this slow disk is not slow" },
        );
        fields.ctx.push(fields.place, error.expected("\"factor\", or \"stall\": true"));
    }
    let nodes = scene.roster.processes(fields.ctx, &target, "slow_disk", place);
    let what = FaultKind::SlowDisk { nodes, factor: factor.unwrap_or(1) as u32, stall };
    Some((what, label(&target), fields.finish()))
}

fn fill_disk(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::fill_disk::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET);
    let percent = fields.count(&PERCENT);
    let target = target?;
    let nodes = scene.roster.processes(fields.ctx, &target, "fill_disk", place);
    for node in &nodes {
        if let Some(entry) = scene.draft.nodes.get(node.0 as usize)
            && !matches!(&entry.kind, KindDraft::Broker(b) if b.disk.size > 0)
        {
            let error = ScenarioError::new(Problem::Conflict, format!("\"{}\" has no disk that could fill up", entry.name));
            fields.ctx.push(place, error.remedy("give the broker a size: \"disk\": \"100GiB\""));
        }
    }
    Some((FaultKind::FillDisk { nodes, percent: percent? }, label(&target), fields.finish()))
}

fn fsync(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::fsync::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET)?;
    let fails = fields.flag(&FAILS).unwrap_or_default();
    let lies = fields.flag(&LIES).unwrap_or_default();
    let keeps = fields.duration(&KEEPS);
    if fails == lies {
        let what = if fails { "this fsync fails and lies" } else { "this fsync neither fails nor lies" };
        let error = ScenarioError::new(Problem::Conflict, what);
        fields.ctx.push(fields.place, error.expected("\"fails\": true, or \"lies\": true"));
    } else if fails && keeps.is_some() {
        let error = ScenarioError::new(Problem::Conflict, "a disk that refuses keeps nothing");
        fields.ctx.push(fields.key_place(&KEEPS), error.expected("\"keeps\" with \"lies\": true only"));
    }
    let nodes = scene.roster.processes(fields.ctx, &target, "fsync", place);
    only_brokers(fields.ctx, scene, &nodes, "only brokers call fsync", place);
    let comes_to = if fails { Fsync::Fails } else { Fsync::Lies { keeps: keeps.unwrap_or(u64::MAX) } };
    let on = format!("{} {}", label(&target), if fails { "fails" } else { "lies" });
    Some((FaultKind::Fsync { nodes, comes_to }, on, fields.finish()))
}

fn clock_step(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::clock_step::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET);
    let by_place = fields.place_of(&BY);
    let by = fields.moment(&BY);
    let by_ms = by.and_then(values::whole_ms);
    if by.is_some() && by_ms.is_none() {
        let error = ScenarioError::new(Problem::WrongValue, "wall clocks are kept in whole milliseconds");
        fields.ctx.push(by_place, error.expected("a step such as \"10s\" or \"-250ms\""));
    }
    let target = target?;
    let nodes = scene.roster.processes(fields.ctx, &target, "clock_step", place);
    let on = format!(
        "{} by {}",
        label(&target),
        by.map_or_else(String::new, |by| values::show_moment(by).as_text().unwrap_or_default().to_owned())
    );
    Some((FaultKind::ClockStep { nodes, by_ms: by_ms? }, on, fields.finish()))
}

fn clock_drift(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::clock_drift::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET);
    let ppm = fields.signed(&PPM);
    let target = target?;
    let nodes = scene.roster.processes(fields.ctx, &target, "clock_drift", place);
    Some((FaultKind::ClockDrift { nodes, ppm: ppm? }, label(&target), fields.finish()))
}

fn reset(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    let sides = sides(&mut fields)?;
    if !sides.both {
        let error = ScenarioError::new(Problem::Conflict, "a reset closes a connection for both sides");
        fields.ctx.push(fields.place, error.expected("\"between\": [A, B]"));
    }
    let a = scene.roster.processes(fields.ctx, &sides.from, "reset", fields.place);
    let b = scene.roster.processes(fields.ctx, &sides.to, "reset", fields.place);
    Some((FaultKind::Reset { a, b }, sides.label, fields.finish()))
}

fn intercept(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::intercept::*;
    let ctx = fields.ctx;
    let place = fields.place;
    let from = fields.target(&FROM);
    let to = fields.target(&TO);
    let request = |ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node| values::code(ctx, name, takes, node, REQUEST_CODES);
    let code = fields.take(&CODE, request, |code| values::show_code(*code, REQUEST_CODES));
    let first = fields.count(&FIRST).unwrap_or(u64::MAX);
    let percent = fields.count(&PERCENT).unwrap_or(100) as u8;
    let drop = fields.flag(&DROP);
    let delay = fields.duration(&DELAY);
    let answer = |ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node| values::code(ctx, name, takes, node, ANSWER_CODES);
    let answer = fields.take(&ANSWER, answer, |code| values::show_code(*code, ANSWER_CODES));
    let actions = [&DROP, &DELAY, &ANSWER].iter().filter(|key| fields.given(key).is_some()).count();
    let action = match (drop, delay, answer) {
        (Some(true), ..) => Some(InterceptAction::Drop),
        (_, Some(ns), _) => Some(InterceptAction::Delay(ns)),
        (.., Some(code)) => Some(InterceptAction::Answer(code)),
        _ => None,
    };
    if actions != 1 || drop == Some(false) {
        let error = ScenarioError::new(Problem::Conflict, "an intercept has one action");
        ctx.push(place, error.expected("one of \"drop\": true, \"delay\" and \"answer\""));
    }
    let (from, to, code, action) = (from?, to?, code?, action?);
    let name = values::show_code(code, REQUEST_CODES).to_line().trim_matches('"').to_owned();
    let on = format!("{name} {} -> {}", label(&from), label(&to));
    let nodes = |side: &[TargetName], key: &Key| scene.roster.processes(ctx, side, "intercept", fields.place_of(key));
    let what = FaultKind::Intercept { from: nodes(&from, &FROM), to: nodes(&to, &TO), code, first, percent, action };
    Some((what, on, fields.finish()))
}

fn hold(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::hold::*;
    let place = fields.place_of(&TARGET);
    let target = fields.target(&TARGET);
    let step = fields.choice(&STEP);
    let pause = fields.duration(&PAUSE);
    let target = target?;
    let nodes = scene.roster.processes(fields.ctx, &target, "hold", place);
    only_brokers(fields.ctx, scene, &nodes, "pull_suspend is a step of brokers", place);
    step?;
    Some((FaultKind::Hold { nodes, step: HoldStep::PullSuspend, pause: pause? }, label(&target), fields.finish()))
}

/// Reports nodes that are no brokers.
fn only_brokers(ctx: &Ctx<'_>, scene: &Scene<'_>, nodes: &[NodeId], why: &str, place: Place) {
    let other =
        nodes.iter().filter_map(|n| scene.draft.nodes.get(n.0 as usize)).find(|n| !matches!(n.kind, KindDraft::Broker(_)));
    if let Some(node) = other {
        let error = ScenarioError::new(Problem::Conflict, format!("\"{}\" is no broker", node.name));
        ctx.push(place, error.remedy(why));
    }
}

fn update_topic(mut fields: Fields<'_>, scene: &Scene<'_>) -> Option<Verb> {
    use keys::update_topic::*;
    let ctx = fields.ctx;
    let topic_place = fields.place_of(&TOPIC);
    let topic = fields.text(&TOPIC);
    let brokers_place = fields.place_of(&BROKERS);
    let brokers = fields.target(&BROKERS);
    for key in [&READ_QUEUE_NUMS, &WRITE_QUEUE_NUMS] {
        super::clients::not_both(&fields, &QUEUES, key);
    }
    let queues = fields.count(&QUEUES).map(|n| n as u32);
    let read = fields.count(&READ_QUEUE_NUMS).map(|n| n as u32).or(queues);
    let write = fields.count(&WRITE_QUEUE_NUMS).map(|n| n as u32).or(queues);
    let perm = fields.count(&PERM).map(|n| n as u8);
    if read.is_none() && write.is_none() && perm.is_none() {
        let error = ScenarioError::new(Problem::Missing, "this update changes nothing");
        ctx.push(fields.place, error.expected("queues, readQueueNums, writeQueueNums or perm"));
    }
    let nodes = match &brokers {
        Some(target) => {
            let nodes = scene.roster.processes(ctx, target, "update_topic", brokers_place);
            only_brokers(ctx, scene, &nodes, "topics live on brokers", brokers_place);
            nodes
        }
        None => {
            let masters =
                scene.draft.nodes.iter().enumerate().filter(|(_, n)| matches!(&n.kind, KindDraft::Broker(b) if b.is_master()));
            masters.map(|(i, _)| NodeId(i as u16)).collect()
        }
    };
    let topic = topic?;
    let Some(id) = scene.names.topic(&topic) else {
        let names: Vec<_> = scene.names.topics().map(|id| scene.names.topic_name(id).clone()).collect();
        let error = ScenarioError::new(Problem::UnknownName, format!("there is no topic \"{}\"", short(&topic)));
        ctx.push(topic_place, error.did_you_mean(nearest(&topic, names.iter().map(|n| &**n))));
        return None;
    };
    let on = match &brokers {
        Some(target) => format!("{topic} on {}", label(target)),
        None => topic,
    };
    Some((FaultKind::UpdateTopic { brokers: nodes, topic: id, read, write, perm }, on, fields.finish()))
}

fn wipe_write_perm(ctx: &Ctx<'_>, verb: &Key, node: &Node, scene: &Scene<'_>) -> Option<Verb> {
    let name = values::text(ctx, verb.name, &verb.takes, node)?;
    let Some(broker) = scene.names.broker(&name) else {
        let error = ScenarioError::new(Problem::UnknownName, format!("there is no brokerName \"{}\"", short(&name)));
        ctx.push(node.place, error.did_you_mean(nearest(&name, scene.roster.broker_names())));
        return None;
    };
    Some((FaultKind::WipeWritePerm { broker }, name.clone(), Node::text(name)))
}
