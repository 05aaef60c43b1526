//! Expectations: bounds on counters by name, with the entity they are of.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, short};
use super::keys::{self, expectation};
use super::suggest::nearest;
use super::targets::Roster;
use super::tree::{Member, Node, Shape};
use super::values;
use crate::world::spec::{Expectation, FaultSpec};
use std::collections::BTreeSet;

/// The key `expect`.
pub(super) fn expect(top: &mut Fields<'_>, roster: &Roster, members: &BTreeSet<&str>, faults: &[FaultSpec]) -> Vec<Expectation> {
    let key = &keys::top::EXPECT;
    let ctx = top.ctx;
    let entries = match top.given(key) {
        None => &[][..],
        Some(node) => match &node.shape {
            Shape::Object(entries) => entries,
            _ => {
                values::wrong(ctx, key.name, &key.takes, node);
                &[][..]
            }
        },
    };
    let mut shown = Vec::new();
    let mut list = Vec::new();
    for entry in entries {
        check_counter(ctx, entry, roster, members);
        if let Some((expectation, node)) = one(ctx, entry, faults) {
            shown.push((entry.key.as_str(), node));
            list.push(expectation);
        }
    }
    top.show(key, Node::object(shown));
    list
}

/// "lost", "lost@cg": the counter must be known, the entity must exist.
fn check_counter(ctx: &Ctx<'_>, entry: &Member, roster: &Roster, members: &BTreeSet<&str>) {
    let (counter, entity) = entry.key.split_once('@').map_or((entry.key.as_str(), None), |(c, e)| (c, Some(e)));
    if let Some(known) = ctx.known.counters
        && !known.contains(&counter)
    {
        let error = ScenarioError::new(Problem::UnknownName, format!("there is no counter \"{}\"", short(counter)));
        let near = if ctx.is_full() { None } else { nearest(counter, known.iter().copied()) };
        ctx.push(entry.key_place, error.did_you_mean(near));
    } else if counter.is_empty() {
        ctx.report(entry.key_place, Problem::WrongValue, format!("\"{}\" is no counter", short(&entry.key)));
    }
    if let Some(entity) = entity
        && !roster.is_group(entity)
        && !members.contains(entity)
    {
        let error = ScenarioError::new(
            Problem::UnknownName,
            format!("\"{}\" is no group, producer or consumer of this scenario", short(entity)),
        );
        let near = if ctx.is_full() { None } else { nearest(entity, roster.group_names().chain(members.iter().copied())) };
        ctx.push(entry.key_place, error.did_you_mean(near));
    }
}

fn one(ctx: &Ctx<'_>, entry: &Member, faults: &[FaultSpec]) -> Option<(Expectation, Node)> {
    let mut fields = Fields::open(ctx, &entry.value, &expectation::SECTION)?;
    let mut bound = |key: &keys::Key| {
        let node = fields.given(key)?;
        let value = values::bound(ctx, key.name, &key.takes, node)?;
        check_unit(ctx, entry, key, node, value);
        let shown = match node.shape {
            Shape::Text(_) => values::show_ns(value.unsigned_abs()),
            _ => Node::number(value),
        };
        fields.show(key, shown);
        Some(value)
    };
    let (min, max) = (bound(&expectation::MIN), bound(&expectation::MAX));
    let needs_fault = needs_fault(&mut fields, faults);
    if fields.given(&expectation::MIN).is_none() && fields.given(&expectation::MAX).is_none() {
        let error = ScenarioError::new(Problem::Missing, format!("\"{}\" has no bound", short(&entry.key)));
        ctx.push(fields.place, error.expected("\"min\", \"max\" or both"));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        ctx.report(
            fields.place_of(&expectation::MIN),
            Problem::Conflict,
            format!("\"min\" is above \"max\" for \"{}\"", short(&entry.key)),
        );
    }
    Some((Expectation { counter: entry.key.clone(), min, max, needs_fault }, fields.finish()))
}

/// A time is bounded by a duration and a count by a number, or the bound is off by nine orders of magnitude. 0 is 0 of anything.
fn check_unit(ctx: &Ctx<'_>, entry: &Member, key: &keys::Key, node: &Node, value: i64) {
    let counter = entry.key.split_once('@').map_or(entry.key.as_str(), |(counter, _)| counter);
    let text = matches!(node.shape, Shape::Text(_));
    let time = ctx.known.times.contains(&counter);
    if ctx.known.times.is_empty() || value == 0 || text == time {
        return;
    }
    let (is, expected) = match time {
        true => ("a time", format!("a duration such as \"{value}s\"")),
        false => ("a count", "a number without a unit".to_owned()),
    };
    let error = ScenarioError::new(
        Problem::WrongValue,
        format!("\"{}\" of \"{}\" is {}, and it is {is}", key.name, short(&entry.key), node.describe()),
    );
    ctx.push(node.place, error.expected(expected));
}

/// A fault by its number or label.
fn needs_fault(fields: &mut Fields<'_>, faults: &[FaultSpec]) -> Option<u16> {
    let key = &expectation::NEEDS_FAULT;
    let node = fields.given(key)?;
    let found = match &node.shape {
        Shape::Number(text) => text.parse::<usize>().ok().filter(|i| *i < faults.len()),
        Shape::Text(text) => faults.iter().position(|f| f.label == *text),
        _ => {
            values::wrong(fields.ctx, key.name, &key.takes, node);
            return None;
        }
    };
    match found {
        Some(index) => {
            fields.show(key, Node::number(index));
            Some(index as u16)
        }
        None => {
            let error = ScenarioError::new(Problem::UnknownName, format!("there is no fault {}", node.describe()));
            let near = node.as_text().and_then(|text| nearest(text, faults.iter().map(|f| f.label.as_str())));
            fields.ctx.push(node.place, error.expected("the number of a fault, from 0, or its label").did_you_mean(near));
            None
        }
    }
}
