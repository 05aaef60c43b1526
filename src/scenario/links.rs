//! The network of a scenario: one latency for all, exceptions between some.

use super::error::{Problem, ScenarioError};
use super::fields::{Fields, items};
use super::keys;
use super::targets::Roster;
use super::tree::{Node, Place};
use super::values::TargetName;
use crate::base::quantile::Quantiles;
use crate::world::spec::{LinkSpec, LinkTable};

/// The key `links`.
pub(super) fn links(mut fields: Fields<'_>, roster: &Roster) -> (LinkSpec, Node) {
    use keys::links::*;
    let constant = || Quantiles::constant(0);
    let latency = fields.delay(&LATENCY).unwrap_or_else(constant);
    let bandwidth = fields.bytes(&BANDWIDTH).unwrap_or_default();
    let default = LinkTable { latency, bandwidth };
    let loopback = LinkTable { latency: fields.delay(&LOOPBACK).unwrap_or_else(constant), bandwidth: 0 };
    let overrides = between(&mut fields, roster, &default);
    let rto_place = fields.place_of(&RTO_FIRST);
    let rto_first = fields.duration(&RTO_FIRST).unwrap_or(1);
    let rto_max = fields.duration(&RTO_MAX).unwrap_or(1);
    if rto_first > rto_max {
        let error = ScenarioError::new(Problem::Conflict, "\"rto_first\" is longer than \"rto_max\"");
        fields.ctx.push(rto_place, error.remedy("timeouts double from rto_first up to rto_max"));
    }
    let give_up = fields.duration(&GIVE_UP).unwrap_or(1);
    let receive_buffer = fields.bytes(&RECEIVE_BUFFER).unwrap_or(1);
    let backlog = fields.count(&BACKLOG).unwrap_or_default() as u32;
    let spec = LinkSpec { default, loopback, overrides, rto_first, rto_max, give_up, receive_buffer, backlog };
    (spec, fields.finish())
}

/// The exceptions, both ways where they hold for both.
fn between(fields: &mut Fields<'_>, roster: &Roster, default: &LinkTable) -> Vec<(Vec<u16>, Vec<u16>, LinkTable)> {
    use keys::between::*;
    let key = &keys::links::BETWEEN;
    let ctx = fields.ctx;
    let mut overrides = Vec::new();
    let mut shown = Vec::new();
    for entry in fields.given(key).map_or(&[][..], |node| items(ctx, key, node, 10_000)) {
        let Some(mut inner) = Fields::open(ctx, entry, &keys::between::SECTION) else { continue };
        let from = inner.target(&FROM).unwrap_or_default();
        let to = inner.target(&TO).unwrap_or_default();
        let both = inner.flag(&BOTH).unwrap_or(true);
        let latency = inner.delay(&LATENCY);
        let bandwidth = inner.bytes(&BANDWIDTH);
        if latency.is_none() && bandwidth.is_none() {
            ctx.push(
                entry.place,
                ScenarioError::new(Problem::Missing, "this link changes nothing").expected("\"latency\", \"bandwidth\" or both"),
            );
        }
        shown.push(inner.finish());
        let table = LinkTable {
            latency: latency.unwrap_or_else(|| default.latency.clone()),
            bandwidth: bandwidth.unwrap_or(default.bandwidth),
        };
        let (from, to) = two_sides(ctx, roster, &from, &to, entry.place);
        if both {
            overrides.push((to.clone(), from.clone(), table.clone()));
        }
        overrides.push((from, to, table));
    }
    fields.show(key, Node::list(shown));
    overrides
}

/// The hosts of two sides; reports sides between which no link exists.
pub(super) fn two_sides(
    ctx: &super::fields::Ctx<'_>,
    roster: &Roster,
    from: &[TargetName],
    to: &[TargetName],
    place: Place,
) -> (Vec<u16>, Vec<u16>) {
    let (from, to) = (roster.host_set(ctx, from), roster.host_set(ctx, to));
    if !from.is_empty() && !to.is_empty() && from.len() == 1 && from == to {
        let error = ScenarioError::new(Problem::Conflict, "both sides are one host: there is no link between them");
        ctx.push(place, error.expected("two sides with at least two hosts"));
    }
    (from, to)
}
