//! Single values of a scenario file: durations, moments, sizes, rates, codes, distributions; read from the tree and printed back.
//!
//! Every reader reports what it refuses, at its place, and answers `None`; bounds come from the key's row in the table.

use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields};
use super::keys::{self, MAX_RATE, Takes};
use super::suggest::nearest;
use super::tree::{Node, Place, Shape};
use crate::base::quantile::Quantiles;
use crate::base::time::{MS, Pretty, SEC, parse_duration};
use std::sync::Arc;

impl Takes {
    /// What a value of this kind looks like, for messages and the schema.
    pub(crate) fn expected(&self) -> String {
        match self {
            Takes::Duration { .. } => "a duration such as \"30s\" or \"1.5ms\"".into(),
            Takes::Moment => "a moment from time 0, such as \"60s\" or \"-10s\"".into(),
            Takes::Count { min: 0, max } if *max > 1 << 40 => "a whole number".into(),
            Takes::Count { min, max } if *max > 1 << 40 => format!("a whole number of at least {min}"),
            Takes::Count { min, max } => format!("a whole number from {min} to {max}"),
            Takes::Signed { min, max } => format!("a whole number from {min} to {max}"),
            Takes::Bytes { .. } => "a number of bytes, such as 1024 or \"64KiB\"".into(),
            Takes::Flag => "true or false".into(),
            Takes::Text => "text".into(),
            Takes::Choice(words) => format!("one of {}", words.join(", ")),
            Takes::Version => "a version such as \"4.9.8\"".into(),
            Takes::Delay => "a duration such as \"2ms\", or {\"p50\": \"2ms\", \"p99\": \"20ms\"}".into(),
            Takes::Sizes => "a number of bytes, or {\"p50\": 512, \"p99\": 4096}".into(),
            Takes::Rate => "messages in a time, such as \"200/s\", \"0.5/s\" or \"100/m\"".into(),
            Takes::Code => "a code: a number, or its name".into(),
            Takes::Bound => "a whole number, or a duration such as \"30s\"".into(),
            Takes::Target => "a name, a glob, a group, or a list of them".into(),
            Takes::Section(section) => format!("an object with the keys of {}", section.title),
            Takes::List(inner) => format!("a list, each {}", inner.expected()),
            Takes::Either(any) => any.iter().map(Takes::expected).collect::<Vec<_>>().join("; or "),
            Takes::Rules => "an object of rule names, each true or false".into(),
            Takes::Expectations => "an object of counter names, each with min, max or both".into(),
        }
    }
}

/// Reports that `node` is not what the key takes.
pub(super) fn wrong(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) {
    let mut error =
        ScenarioError::new(Problem::WrongValue, format!("\"{name}\" cannot be {}", node.describe())).expected(takes.expected());
    if matches!(node.shape, Shape::Null) {
        error = error.remedy("leave the key out for its default");
    }
    if let (Takes::Choice(words), Some(text)) = (takes, node.as_text()) {
        error = error.did_you_mean(nearest(text, words.iter().copied()));
    }
    ctx.push(node.place, error);
}

/// Reports that a value is of the right kind and of no sensible size.
pub(super) fn out_of_range(ctx: &Ctx<'_>, name: &str, node: &Node, expected: String) {
    let error = ScenarioError::new(Problem::OutOfRange, format!("\"{name}\" cannot be {}", node.describe())).expected(expected);
    ctx.push(node.place, error);
}

/// A duration as people write it: exact, one unit.
pub(super) fn show_ns(ns: u64) -> Node {
    Node::text(Pretty(ns).to_string())
}

pub(super) fn show_moment(ns: i64) -> Node {
    Node::text(format!("{}{}", if ns < 0 { "-" } else { "" }, Pretty(ns.unsigned_abs())))
}

pub(super) fn duration(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<u64> {
    let (min, max) = match takes {
        Takes::Duration { min, max } => (*min, *max),
        _ => (0, u64::MAX),
    };
    let Some(text) = node.as_text() else {
        wrong(ctx, name, takes, node);
        return None;
    };
    match parse_duration(text) {
        Ok(ns) if ns < min || ns > max => {
            let expected = match min {
                0 => format!("at most {}", Pretty(max)),
                1 => format!("a duration above 0 and at most {}", Pretty(max)),
                _ => format!("from {} to {}", Pretty(min), Pretty(max)),
            };
            out_of_range(ctx, name, node, expected);
            None
        }
        Ok(ns) => Some(ns),
        Err(why) => {
            let mut error = ScenarioError::new(Problem::WrongValue, format!("\"{name}\" cannot be {}", node.describe()))
                .expected(takes.expected());
            if text.trim_start().starts_with('-') {
                error = error.remedy("it cannot be negative");
            } else if text.len() <= 40 {
                error = error.remedy(why.to_string());
            }
            ctx.push(node.place, error);
            None
        }
    }
}

pub(super) fn moment(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<i64> {
    let read = node.as_text().and_then(|text| {
        let text = text.trim();
        let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        parse_duration(rest).ok().map(|ns| sign * ns as i64)
    });
    if read.is_none() {
        wrong(ctx, name, takes, node);
    }
    read
}

pub(super) fn count(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<u64> {
    let (min, max) = match takes {
        Takes::Count { min, max } => (*min, *max),
        _ => (0, u64::MAX),
    };
    match &node.shape {
        Shape::Number(text) => match text.parse::<u64>() {
            Ok(n) if n >= min && n <= max => Some(n),
            _ => {
                out_of_range(ctx, name, node, takes.expected());
                None
            }
        },
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

pub(super) fn signed(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<i64> {
    let (min, max) = match takes {
        Takes::Signed { min, max } => (*min, *max),
        _ => (i64::MIN, i64::MAX),
    };
    match &node.shape {
        Shape::Number(text) => match text.parse::<i64>() {
            Ok(n) if n >= min && n <= max => Some(n),
            _ => {
                out_of_range(ctx, name, node, takes.expected());
                None
            }
        },
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

/// "64KiB", "1MiB", "512B".
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim() {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(1 << shift)
}

pub(super) fn bytes(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<u64> {
    let (min, max) = match takes {
        Takes::Bytes { min, max } => (*min, *max),
        _ => (1, 1 << 30),
    };
    let read = match &node.shape {
        Shape::Number(text) => text.parse().ok(),
        Shape::Text(text) => parse_bytes(text),
        _ => None,
    };
    match read {
        Some(n) if n >= min && n <= max => Some(n),
        Some(_) => {
            out_of_range(ctx, name, node, format!("from {min} to {max} bytes"));
            None
        }
        None => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

pub(super) fn flag(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<bool> {
    match node.shape {
        Shape::Flag(value) => Some(value),
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

/// The longest text that means anything; thousands of members may carry it.
pub(super) const LONGEST_TEXT: usize = 4_096;

/// Text; on the command line also what looks like a number there.
pub(super) fn text(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<String> {
    match (&node.shape, node.place) {
        (Shape::Text(text), _) if text.len() > LONGEST_TEXT => {
            out_of_range(ctx, name, node, format!("at most {LONGEST_TEXT} bytes of text"));
            None
        }
        (Shape::Text(text), _) => Some(text.clone()),
        (Shape::Number(text), Place::Argument(_)) => Some(text.clone()),
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

/// The index of a word.
pub(super) fn choice(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<usize> {
    let Takes::Choice(words) = takes else { return None };
    let found = node.as_text().and_then(|text| words.iter().position(|w| *w == text));
    if found.is_none() {
        wrong(ctx, name, takes, node);
    }
    found
}

pub(super) fn delay(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<Quantiles> {
    const YEAR: u64 = 365 * 24 * 3600 * SEC;
    match &node.shape {
        Shape::Text(_) => duration(ctx, name, &Takes::Duration { min: 0, max: YEAR }, node).map(Quantiles::constant),
        Shape::Object(_) => {
            let mut fields = Fields::open(ctx, node, &keys::quantiles::SECTION)?;
            let p50 = fields.duration(&keys::quantiles::P50);
            let p99 = fields.duration(&keys::quantiles::P99);
            between(ctx, name, node, p50?, p99?)
        }
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

/// A distribution from its two quantiles, if there is one.
fn between(ctx: &Ctx<'_>, name: &str, node: &Node, p50: u64, p99: u64) -> Option<Quantiles> {
    if p99 < p50 || (p50 == 0 && p99 > 0) {
        let what = format!("\"{name}\" has {}", if p99 < p50 { "a p99 below its p50" } else { "a p50 of 0 and a p99 above" });
        ctx.push(node.place, ScenarioError::new(Problem::Conflict, what).expected("0 < p50 <= p99"));
        return None;
    }
    // Wider than any real distribution, and the tail would leave the numbers.
    if p99 / p50.max(1) > 1_000_000 {
        let what = format!("\"{name}\" has a p99 more than a million times its p50");
        ctx.push(node.place, ScenarioError::new(Problem::OutOfRange, what));
        return None;
    }
    Some(Quantiles::log_normal(p50, p99))
}

pub(super) fn show_delay(q: &Quantiles) -> Node {
    if q.is_constant() {
        return show_ns(q.p50());
    }
    Node::object([("p50", show_ns(q.p50())), ("p99", show_ns(q.p99()))])
}

pub(super) fn sizes(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<Quantiles> {
    match &node.shape {
        Shape::Object(_) => {
            let mut fields = Fields::open(ctx, node, &keys::sizes::SECTION)?;
            let p50 = fields.bytes(&keys::sizes::P50);
            let p99 = fields.bytes(&keys::sizes::P99);
            between(ctx, name, node, p50?, p99?)
        }
        _ => bytes(ctx, name, takes, node).map(Quantiles::constant),
    }
}

pub(super) fn show_sizes(q: &Quantiles) -> Node {
    if q.is_constant() {
        return Node::number(q.p50());
    }
    Node::object([("p50", Node::number(q.p50())), ("p99", Node::number(q.p99()))])
}

/// Messages in 1000 s.
pub(super) fn rate(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<u64> {
    let Some((thousandths, per_ns)) = node.as_text().and_then(split_rate) else {
        wrong(ctx, name, takes, node);
        return None;
    };
    // thousandths / 1000 messages in per_ns; times 1000 s.
    let scaled = thousandths * SEC as u128;
    let per = scaled / per_ns + u128::from(scaled % per_ns * 2 >= per_ns);
    if thousandths == 0 {
        let error = ScenarioError::new(Problem::OutOfRange, format!("\"{name}\" is 0: nothing would be sent"));
        ctx.push(node.place, error.remedy("leave the producer out, or give it phases"));
        return None;
    }
    if per > MAX_RATE as u128 * 1000 {
        out_of_range(ctx, name, node, format!("at most {MAX_RATE} messages a second"));
        return None;
    }
    // Whole messages in 1000 s: what is further than 1 % from that would be another rate.
    if (per * per_ns).abs_diff(scaled) * 100 > scaled {
        let error = ScenarioError::new(Problem::OutOfRange, format!("\"{name}\" is not a whole number of messages in 1000 s"));
        ctx.push(node.place, error.remedy(format!("the nearest rate is {}", show_rate(per.max(1) as u64).to_line())));
        return None;
    }
    Some(per as u64)
}

/// "0.5/s" as (thousandths of messages, ns).
fn split_rate(text: &str) -> Option<(u128, u128)> {
    let (number, unit) = text.trim().split_once('/')?;
    let (number, unit) = (number.trim().replace('_', ""), unit.trim());
    let per = match unit.starts_with(|c: char| c.is_ascii_digit()) {
        true => parse_duration(unit).ok()?,
        false => parse_duration(&format!("1{unit}")).ok()?,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if per == 0 || whole.is_empty() || whole.len() > 12 || fraction.len() > 3 || !digits(whole) || !digits(fraction) {
        return None;
    }
    Some((format!("{whole}{fraction:0<3}").parse().ok()?, per as u128))
}

pub(super) fn show_rate(per_1000s: u64) -> Node {
    let (whole, rest) = (per_1000s / 1000, per_1000s % 1000);
    match rest {
        0 => Node::text(format!("{whole}/s")),
        _ => Node::text(format!("{whole}.{}/s", format!("{rest:03}").trim_end_matches('0'))),
    }
}

/// A bound: a number in the counter's unit, or a duration in ns.
pub(super) fn bound(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<i64> {
    match &node.shape {
        Shape::Text(_) => duration(ctx, name, takes, node).map(|ns| ns as i64),
        _ => signed(ctx, name, takes, node),
    }
}

/// A name that a target consists of.
#[derive(Clone, Debug)]
pub(super) struct TargetName {
    pub(super) text: Arc<str>,
    pub(super) place: Place,
}

pub(super) fn target(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node) -> Option<Vec<TargetName>> {
    let one = |node: &Node| {
        let text = match (&node.shape, node.place) {
            (Shape::Text(text), _) | (Shape::Number(text), Place::Argument(_)) if !text.is_empty() => text,
            _ => {
                wrong(ctx, name, takes, node);
                return None;
            }
        };
        Some(TargetName { text: text.as_str().into(), place: node.place })
    };
    match &node.shape {
        Shape::List(values) if values.is_empty() => {
            wrong(ctx, name, takes, node);
            None
        }
        Shape::List(values) if values.len() > 1_000 => {
            out_of_range(ctx, name, node, "at most 1000 names; a glob or a group says more".into());
            None
        }
        Shape::List(values) => Some(values.iter().filter_map(one).collect()),
        _ => one(node).map(|t| vec![t]),
    }
}

pub(super) fn show_target(target: &[TargetName]) -> Node {
    match target {
        [one] => Node::text(&*one.text),
        many => Node::list(many.iter().map(|t| Node::text(&*t.text)).collect()),
    }
}

/// As a label: "broker-a:0", "cg-0, cg-1".
pub(super) fn label(target: &[TargetName]) -> String {
    target.iter().map(|t| &*t.text).collect::<Vec<_>>().join(", ")
}

/// Request codes by name (`RequestCode`, 4.9.8): those that models send.
pub(super) const REQUEST_CODES: &[(&str, u16)] = &[
    ("SEND_MESSAGE", 10),
    ("PULL_MESSAGE", 11),
    ("QUERY_CONSUMER_OFFSET", 14),
    ("UPDATE_CONSUMER_OFFSET", 15),
    ("UPDATE_AND_CREATE_TOPIC", 17),
    ("GET_ALL_TOPIC_CONFIG", 21),
    ("SEARCH_OFFSET_BY_TIMESTAMP", 29),
    ("GET_MAX_OFFSET", 30),
    ("GET_MIN_OFFSET", 31),
    ("HEART_BEAT", 34),
    ("UNREGISTER_CLIENT", 35),
    ("CONSUMER_SEND_MSG_BACK", 36),
    ("END_TRANSACTION", 37),
    ("GET_CONSUMER_LIST_BY_GROUP", 38),
    ("CHECK_TRANSACTION_STATE", 39),
    ("NOTIFY_CONSUMER_IDS_CHANGED", 40),
    ("LOCK_BATCH_MQ", 41),
    ("UNLOCK_BATCH_MQ", 42),
    ("GET_ALL_CONSUMER_OFFSET", 43),
    ("GET_ALL_DELAY_OFFSET", 45),
    ("CHECK_CLIENT_CONFIG", 46),
    ("REGISTER_BROKER", 103),
    ("UNREGISTER_BROKER", 104),
    ("GET_ROUTEINFO_BY_TOPIC", 105),
    ("GET_ALL_SUBSCRIPTIONGROUP_CONFIG", 201),
    ("WIPE_WRITE_PERM_OF_BROKER", 205),
    ("SEND_MESSAGE_V2", 310),
    ("SEND_BATCH_MESSAGE", 320),
    ("ADD_WRITE_PERM_OF_BROKER", 327),
];

/// Answer codes by name (`RemotingSysResponseCode`, `ResponseCode`, 4.9.8).
pub(super) const ANSWER_CODES: &[(&str, u16)] = &[
    ("SUCCESS", 0),
    ("SYSTEM_ERROR", 1),
    ("SYSTEM_BUSY", 2),
    ("REQUEST_CODE_NOT_SUPPORTED", 3),
    ("TRANSACTION_FAILED", 4),
    ("FLUSH_DISK_TIMEOUT", 10),
    ("SLAVE_NOT_AVAILABLE", 11),
    ("FLUSH_SLAVE_TIMEOUT", 12),
    ("MESSAGE_ILLEGAL", 13),
    ("SERVICE_NOT_AVAILABLE", 14),
    ("VERSION_NOT_SUPPORTED", 15),
    ("NO_PERMISSION", 16),
    ("TOPIC_NOT_EXIST", 17),
    ("TOPIC_EXIST_ALREADY", 18),
    ("PULL_NOT_FOUND", 19),
    ("PULL_RETRY_IMMEDIATELY", 20),
    ("PULL_OFFSET_MOVED", 21),
    ("QUERY_NOT_FOUND", 22),
    ("SUBSCRIPTION_PARSE_FAILED", 23),
    ("SUBSCRIPTION_NOT_EXIST", 24),
    ("SUBSCRIPTION_NOT_LATEST", 25),
    ("SUBSCRIPTION_GROUP_NOT_EXIST", 26),
    ("NO_BUYER_ID", 204),
    ("FLOW_CONTROL", 215),
];

pub(super) fn code(ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node, known: &[(&str, u16)]) -> Option<u16> {
    match &node.shape {
        Shape::Number(text) => match text.parse() {
            Ok(code) => Some(code),
            Err(_) => {
                out_of_range(ctx, name, node, "a code from 0 to 65535".into());
                None
            }
        },
        Shape::Text(text) => match known.iter().find(|(n, _)| n == text) {
            Some((_, code)) => Some(*code),
            None => {
                let error =
                    ScenarioError::new(Problem::UnknownName, format!("{} is not a code that has a name here", node.describe()));
                ctx.push(node.place, error.expected(takes.expected()).did_you_mean(nearest(text, known.iter().map(|(n, _)| *n))));
                None
            }
        },
        _ => {
            wrong(ctx, name, takes, node);
            None
        }
    }
}

pub(super) fn show_code(code: u16, known: &[(&str, u16)]) -> Node {
    known.iter().find(|(_, c)| *c == code).map_or_else(|| Node::number(code), |(name, _)| Node::text(*name))
}

/// Whole milliseconds of a moment, if it has no finer part.
pub(super) fn whole_ms(ns: i64) -> Option<i64> {
    (ns % MS as i64 == 0).then_some(ns / MS as i64)
}
