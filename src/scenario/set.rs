//! `--set key=value` and its kin: edits of the tree before it is decoded.
//!
//! A path says which value: `duration=2m`, `producers[0].rate=500/s`, `consumers.cg.persistConsumerOffsetInterval=1s`,
//! `brokers.*.cpus=2`. Entries of a list are meant by number, name, group or glob. What an edit brings in carries the argument as its
//! place, so that a mistake in it is reported as a mistake in the argument.

use super::Overrides;
use super::error::{Problem, ScenarioError};
use super::fields::short;
use super::keys::{self, Section, Takes};
use super::suggest::nearest;
use super::targets::matches;
use super::tree::{self, Member, Node, Place, Shape};

/// The arguments of all edits, in the order of their numbers in [`Place::Argument`].
pub(super) fn arguments(overrides: &Overrides) -> Vec<String> {
    edits(overrides).into_iter().map(|(argument, ..)| argument).collect()
}

/// (argument as given, path, value as text).
fn edits(overrides: &Overrides) -> Vec<(String, String, Option<String>)> {
    let mut edits = Vec::new();
    let numbers = [
        ("seed", "seed", overrides.seed),
        ("tie-seed", "tie_seed", overrides.tie_seed),
        ("max-events", "max_events", overrides.max_events),
    ];
    for (option, key, value) in numbers {
        if let Some(value) = value {
            edits.push((format!("--{option} {value}"), key.to_owned(), Some(value.to_string())));
        }
    }
    for set in &overrides.set {
        let argument = format!("--set {set}");
        match set.split_once('=') {
            Some((path, value)) => edits.push((argument, path.trim().to_owned(), Some(value.trim().to_owned()))),
            None => edits.push((argument, set.clone(), None)),
        }
    }
    edits.truncate(u16::MAX as usize);
    edits
}

/// Applies every edit; answers what is wrong with them.
pub(super) fn apply(tree: &mut Node, overrides: &Overrides) -> Vec<ScenarioError> {
    let edits = edits(overrides);
    let arguments: Vec<String> = edits.iter().map(|e| e.0.clone()).collect();
    let mut errors = Vec::new();
    for (i, (_, path, value)) in edits.into_iter().enumerate() {
        let place = Place::Argument(i as u16);
        let result = match value {
            None => refuse(
                ScenarioError::new(Problem::Syntax, "there is no '='")
                    .expected("key=value, such as duration=2m or producers[0].rate=500/s"),
            ),
            Some(value) => read_value(&value, place).and_then(|value| set(tree, &path, value, place)),
        };
        if let Err(error) = result {
            errors.push(error.at(place, &arguments));
        }
    }
    errors
}

/// What an edit comes to.
type Edited<T> = Result<T, Box<ScenarioError>>;

fn refuse<T>(error: ScenarioError) -> Edited<T> {
    Err(Box::new(error))
}

/// JSON where it is JSON, else text: `2m` is text, `true` and `500` are not.
fn read_value(text: &str, place: Place) -> Edited<Node> {
    match tree::parse(text) {
        Ok(mut node) => {
            stamp(&mut node, place);
            Ok(node)
        }
        Err(errors) if text.starts_with(['{', '[', '"']) => {
            let what = errors.into_iter().next().map_or_else(String::new, |e| e.what);
            refuse(ScenarioError::new(Problem::Syntax, format!("the value is not JSON: {what}")))
        }
        Err(_) => Ok(Node { place, shape: Shape::Text(text.to_owned()) }),
    }
}

fn stamp(node: &mut Node, place: Place) {
    node.place = place;
    match &mut node.shape {
        Shape::List(values) => values.iter_mut().for_each(|v| stamp(v, place)),
        Shape::Object(members) => {
            for member in members {
                member.key_place = place;
                stamp(&mut member.value, place);
            }
        }
        _ => {}
    }
}

/// What is known about the object that a step leads into.
#[derive(Clone, Copy, Debug)]
enum Within {
    /// It has the keys of a section.
    Section(&'static Section),
    /// Its keys are free, their values are objects of a section.
    MapOf(&'static Section),
    Unknown,
}

impl Within {
    /// What the value of a key is, however it is wrapped.
    fn of(takes: Takes) -> Within {
        match takes {
            Takes::Section(section) => Within::Section(section),
            Takes::List(inner) => Within::of(*inner),
            Takes::Either(any) => {
                any.iter().map(|t| Within::of(*t)).find(|w| !matches!(w, Within::Unknown)).unwrap_or(Within::Unknown)
            }
            Takes::Expectations => Within::MapOf(&keys::expectation::SECTION),
            _ => Within::Unknown,
        }
    }
    fn names(self) -> Vec<&'static str> {
        match self {
            Within::Section(section) => section.names().collect(),
            _ => Vec::new(),
        }
    }
}

/// Most steps of a path: deeper than any scenario.
const MAX_STEPS: usize = 16;

fn set(tree: &mut Node, path: &str, value: Node, place: Place) -> Edited<()> {
    if path.is_empty() {
        return refuse(
            ScenarioError::new(Problem::Syntax, "there is no key before '='").expected("key=value, such as duration=2m"),
        );
    }
    step(tree, Within::Section(&keys::top::SECTION), path, &value, place, MAX_STEPS)
}

/// Follows the first step of a path and goes on; `within` is what the object is, as far as that is known.
fn step(node: &mut Node, within: Within, path: &str, value: &Node, place: Place, left: usize) -> Edited<()> {
    if left == 0 {
        return refuse(ScenarioError::new(Problem::Syntax, format!("the path has more than {MAX_STEPS} steps")));
    }
    match &mut node.shape {
        Shape::Object(members) => in_object(members, within, path, value, place, left),
        Shape::List(values) => in_list(values, within, path, value, place, left),
        _ => {
            let what = format!("\"{}\" leads into {}, which has no keys", short(path), node.describe());
            refuse(ScenarioError::new(Problem::UnknownKey, what))
        }
    }
}

fn in_object(members: &mut Vec<Member>, within: Within, path: &str, value: &Node, place: Place, left: usize) -> Edited<()> {
    let (key, rest) = first_key(members, within, path);
    if key.is_empty() {
        return refuse(
            ScenarioError::new(Problem::Syntax, format!("\"{}\" begins with no key", short(path)))
                .expected("key.key=value, key[0].key=value"),
        );
    }
    let found = members.iter().position(|m| m.key == key);
    if rest.is_empty() {
        match (found, &value.shape) {
            (Some(i), Shape::Null) => {
                members.remove(i);
            }
            (Some(i), _) => members[i].value = value.clone(),
            (None, Shape::Null) => {}
            (None, _) => members.push(Member { key: key.to_owned(), key_place: place, value: value.clone() }),
        }
        return Ok(());
    }
    let (takes, inner) = match within {
        Within::Section(section) => {
            let takes = section.all_keys().find(|k| k.name == key).map(|k| k.takes);
            (takes, takes.map_or(Within::Unknown, Within::of))
        }
        Within::MapOf(section) => (None, Within::Section(section)),
        Within::Unknown => (None, Within::Unknown),
    };
    if let Some(i) = found {
        return step(&mut members[i].value, inner, rest, value, place, left - 1);
    }
    if matches!(within, Within::Section(_)) && takes.is_none() {
        let error = ScenarioError::new(Problem::UnknownKey, format!("there is no \"{}\"", short(key)));
        return refuse(error.did_you_mean(nearest(key, within.names())));
    }
    if matches!(takes, Some(Takes::List(_))) || rest.starts_with('[') {
        return refuse(ScenarioError::new(Problem::UnknownKey, format!("the scenario has no \"{}\"", short(key))));
    }
    let mut inserted = Node { place, shape: Shape::Object(Vec::new()) };
    step(&mut inserted, inner, rest, value, place, left - 1)?;
    members.push(Member { key: key.to_owned(), key_place: place, value: inserted });
    Ok(())
}

/// The first key of a path and the rest. Keys may hold dots ("rocketmq.client.rebalance.waitInterval"): a known key, the longest one,
/// goes before the part up to the first dot or bracket.
fn first_key<'p>(members: &[Member], within: Within, path: &'p str) -> (&'p str, &'p str) {
    let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(i, _)| i).chain([path.len()]);
    let names = within.names();
    let known = |key: &str| members.iter().any(|m| m.key == key) || names.contains(&key);
    let end = ends.clone().rfind(|end| known(&path[..*end])).or_else(|| ends.clone().next()).unwrap_or(path.len());
    (&path[..end], after(path, end))
}

/// What follows a step: without the dot, with the bracket.
fn after(path: &str, end: usize) -> &str {
    path[end..].strip_prefix('.').unwrap_or(&path[end..])
}

fn in_list(values: &mut [Node], within: Within, path: &str, value: &Node, place: Place, left: usize) -> Edited<()> {
    let (chosen, rest): (Vec<usize>, &str) = if let Some(inner) = path.strip_prefix('[') {
        let Some((number, _)) = inner.split_once(']') else {
            return refuse(
                ScenarioError::new(Problem::Syntax, "there is no ']' after '['")
                    .expected("a number in brackets, such as producers[0]"),
            );
        };
        let rest = after(path, number.len() + 2);
        match number.parse::<usize>() {
            Ok(i) if i < values.len() => (vec![i], rest),
            Ok(i) => {
                let error = ScenarioError::new(Problem::UnknownName, format!("there is no entry [{i}]"));
                return refuse(error.expected(match values.len() {
                    0 => "an entry of the list, which is empty".into(),
                    n => format!("a number from 0 to {}", n - 1),
                }));
            }
            Err(_) => {
                let error = ScenarioError::new(Problem::Syntax, format!("[{}] is no number", short(number)));
                return refuse(error.expected("a number in brackets, such as producers[0]"));
            }
        }
    } else {
        by_name(values, path)?
    };
    for i in chosen {
        if rest.is_empty() {
            values[i] = value.clone();
        } else {
            step(&mut values[i], within, rest, value, place, left - 1)?;
        }
    }
    Ok(())
}

/// The entries that a name or glob means, and the rest of the path. Names may hold dots: the longest that fits counts.
fn by_name<'p>(values: &[Node], path: &'p str) -> Edited<(Vec<usize>, &'p str)> {
    let identities: Vec<Vec<String>> = values.iter().enumerate().map(|(i, node)| identities(i, node)).collect();
    let ends: Vec<usize> =
        path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(i, _)| i).chain([path.len()]).collect();
    for end in ends.iter().rev() {
        let name = &path[..*end];
        // A glob reaches up to the first dot only: '*' would swallow the keys that follow.
        if name.contains(['*', '?']) && Some(end) != ends.first() {
            continue;
        }
        let fits = |(_, names): &(usize, &Vec<String>)| names.iter().any(|n| matches(name, n));
        let chosen: Vec<usize> = identities.iter().enumerate().filter(fits).map(|(i, _)| i).collect();
        if !chosen.is_empty() {
            return Ok((chosen, after(path, *end)));
        }
    }
    let name = &path[..ends.first().copied().unwrap_or(path.len())];
    let near = nearest(name, identities.iter().flatten().map(String::as_str)).map(str::to_owned);
    let error = ScenarioError::new(Problem::UnknownName, format!("no entry of the list is called \"{}\"", short(name)));
    refuse(match near {
        Some(_) => error.did_you_mean(near),
        None => error.expected("the name or group of an entry, '*', or a number in brackets"),
    })
}

/// What an entry of a list may be called in a path.
fn identities(i: usize, node: &Node) -> Vec<String> {
    let mut names: Vec<String> = ["name", "group", "brokerName", "label", "process"]
        .iter()
        .filter_map(|key| node.get(key).and_then(Node::as_text).map(str::to_owned))
        .collect();
    if let Some(broker) = node.get("brokerName").and_then(Node::as_text) {
        let id = match node.get("brokerId").map(|n| &n.shape) {
            Some(Shape::Number(id)) => id.clone(),
            _ => "0".into(),
        };
        names.push(format!("{broker}:{id}"));
    }
    if let Some(Shape::List(list)) = node.get("names").map(|n| &n.shape) {
        names.extend(list.iter().filter_map(Node::as_text).map(str::to_owned));
    }
    if names.is_empty() {
        names.push(format!("ns-{i}"));
        names.push(i.to_string());
    }
    names
}
