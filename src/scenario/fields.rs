//! Reading an object of the scenario by the rows of its section.
//!
//! A reader knows its section: it reports unknown and missing keys when it is opened, answers each key with its value, else its default,
//! and writes down what it answered, so that the resolved scenario is what decoding understood and nothing else.

use super::Known;
use super::error::{Problem, ScenarioError};
use super::keys::{Key, Need, Section, Takes};
use super::limits;
use super::suggest::nearest;
use super::tree::{self, Member, Node, Place, Shape};
use super::values::{self, TargetName};
use crate::base::quantile::Quantiles;
use crate::base::time::{MS, Pretty, parse_duration};
use crate::rocketmq::settings::{
    BrokerSettings, ConsumerSettings, InstanceSettings, Kind, NameserverSettings, ProducerSettings, Rules, Setting, SettingError,
    Value, Version,
};
use std::cell::{Cell, RefCell};

/// Errors that are kept; the rest is counted.
const MOST_ERRORS: usize = 100;

/// What all readers of one scenario share.
#[derive(Debug)]
pub(super) struct Ctx<'a> {
    pub(super) known: &'a Known<'a>,
    arguments: &'a [String],
    errors: RefCell<Vec<ScenarioError>>,
    more: Cell<usize>,
    /// What is well written and asks for a mechanism that this build does not have.
    unbuilt: RefCell<Vec<ScenarioError>>,
}

impl<'a> Ctx<'a> {
    pub(super) fn new(known: &'a Known<'a>, arguments: &'a [String]) -> Self {
        Ctx { known, arguments, errors: RefCell::default(), more: Cell::new(0), unbuilt: RefCell::default() }
    }
    /// Reports a mistake at a place.
    pub(super) fn push(&self, place: Place, error: ScenarioError) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < MOST_ERRORS {
            errors.push(error.at(place, self.arguments));
        } else {
            self.more.set(self.more.get() + 1);
        }
    }
    /// What is read and understood, and cannot run: `world::unbuilt` refuses it by name, this says where it stands.
    pub(super) fn unbuilt(&self, place: Place, what: impl Into<String>) {
        let mut unbuilt = self.unbuilt.borrow_mut();
        if unbuilt.len() < MOST_ERRORS {
            unbuilt.push(ScenarioError::new(Problem::NotBuilt, what).at(place, self.arguments));
        }
    }
    /// Reports a mistake that needs no further words.
    pub(super) fn report(&self, place: Place, problem: Problem, what: impl Into<String>) {
        self.push(place, ScenarioError::new(problem, what));
    }
    /// Whether so much is wrong already that looking for near names no longer pays.
    pub(super) fn is_full(&self) -> bool {
        self.errors.borrow().len() >= MOST_ERRORS
    }
    pub(super) fn is_clean(&self) -> bool {
        self.errors.borrow().is_empty()
    }
    pub(super) fn into_errors(self) -> (Vec<ScenarioError>, usize, Vec<ScenarioError>) {
        (self.errors.into_inner(), self.more.get(), self.unbuilt.into_inner())
    }
    /// "line 12" or the argument: where something else stands, for messages.
    pub(super) fn whereabouts(&self, place: Place) -> String {
        match place {
            Place::Text(span) => format!("line {}", span.line),
            Place::Argument(i) => self.arguments.get(i as usize).cloned().unwrap_or_default(),
            Place::Nowhere => "the default".into(),
        }
    }
}

/// The members of a list, at most so many; reports a longer list, and what is no list.
pub(super) fn items<'n>(ctx: &Ctx<'_>, key: &Key, node: &'n Node, most: usize) -> &'n [Node] {
    match &node.shape {
        Shape::List(values) if values.len() > most => {
            let error = ScenarioError::new(Problem::OutOfRange, format!("\"{}\" has {} entries", key.name, values.len()));
            ctx.push(node.place, error.expected(format!("at most {most}")));
            values.get(..most).unwrap_or_default()
        }
        Shape::List(values) => values,
        _ => {
            values::wrong(ctx, key.name, &key.takes, node);
            &[]
        }
    }
}

/// A settings type of RocketMQ.
pub(super) trait Settings: Default {
    const TABLE: &'static [Setting];
    fn put(&mut self, key: &str, value: &Value) -> Result<(), SettingError>;
    fn list(&self) -> Vec<(&'static str, String)>;
}

macro_rules! settings {
    ($($type:ty),*) => {$(
        impl Settings for $type {
            const TABLE: &'static [Setting] = <$type>::TABLE;
            fn put(&mut self, key: &str, value: &Value) -> Result<(), SettingError> {
                self.set(key, value)
            }
            fn list(&self) -> Vec<(&'static str, String)> {
                self.entries()
            }
        }
    )*};
}
settings!(BrokerSettings, NameserverSettings, InstanceSettings, ProducerSettings, ConsumerSettings);

/// An object under reading.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) ctx: &'a Ctx<'a>,
    /// Where the object begins.
    pub(super) place: Place,
    section: &'static Section,
    members: &'a [Member],
    shown: Vec<(String, Node)>,
    /// Whether defaults are written down too.
    pub(super) shows_defaults: bool,
    /// Keys that were asked for: all must be, by the end.
    #[cfg(debug_assertions)]
    asked: RefCell<std::collections::BTreeSet<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Opens an object; reports what is no object, keys that the section does not have, and required ones that are absent.
    pub(super) fn open(ctx: &'a Ctx<'a>, node: &'a Node, section: &'static Section) -> Option<Self> {
        let Shape::Object(members) = &node.shape else {
            let error = ScenarioError::new(Problem::WrongValue, format!("{} cannot be {}", section.title, node.describe()));
            let keys: Vec<_> = section.keys.iter().take(4).map(|k| k.name).collect();
            ctx.push(node.place, error.expected(format!("an object with keys such as {}", keys.join(", "))));
            return None;
        };
        for member in members {
            if !section.names().any(|name| name == member.key) {
                let error =
                    if ctx.is_full() { ScenarioError::new(Problem::UnknownKey, "") } else { unknown_key(section, &member.key) };
                ctx.push(member.key_place, error);
            }
        }
        for key in section.all_keys() {
            if matches!(key.need, Need::Required) && !members.iter().any(|m| m.key == key.name) {
                let error = ScenarioError::new(Problem::Missing, format!("{} needs \"{}\"", section.title, key.name));
                ctx.push(node.place, error.expected(key.takes.expected()));
            }
        }
        Some(Fields {
            ctx,
            place: node.place,
            section,
            members,
            shown: Vec::new(),
            shows_defaults: true,
            #[cfg(debug_assertions)]
            asked: RefCell::default(),
        })
    }

    /// What was understood, as an object; every key must have been asked for.
    pub(super) fn finish(self) -> Node {
        #[cfg(debug_assertions)]
        for key in self.section.all_keys() {
            debug_assert!(
                self.asked.borrow().contains(key.name),
                "{} is in the table of {} and never read",
                key.name,
                self.section.title
            );
        }
        // In the order of the table, whatever the order of reading was; a group comes first.
        let order: Vec<&str> = self.section.names().collect();
        let rank =
            |name: &str| if name == "group" { 0 } else { order.iter().position(|n| *n == name).map_or(usize::MAX, |i| i + 1) };
        let mut shown = self.shown;
        shown.sort_by_cached_key(|(name, _)| rank(name));
        Node::object(shown)
    }

    /// The value that the file gives.
    pub(super) fn given(&self, key: &Key) -> Option<&'a Node> {
        debug_assert!(
            self.section.all_keys().any(|k| k.name == key.name),
            "{} is not in the table of {}",
            key.name,
            self.section.title
        );
        #[cfg(debug_assertions)]
        self.asked.borrow_mut().insert(key.name);
        self.members.iter().find(|m| m.key == key.name).map(|m| &m.value)
    }
    /// The value of one of RocketMQ's keys.
    pub(super) fn given_setting(&self, key: &str) -> Option<&'a Node> {
        self.members.iter().find(|m| m.key == key).map(|m| &m.value)
    }
    /// Where the key's value stands, else the object.
    pub(super) fn place_of(&self, key: &Key) -> Place {
        self.members.iter().find(|m| m.key == key.name).map_or(self.place, |m| m.value.place)
    }
    /// Where the key itself stands, else the object.
    pub(super) fn key_place(&self, key: &Key) -> Place {
        self.members.iter().find(|m| m.key == key.name).map_or(self.place, |m| m.key_place)
    }
    /// Writes down what was understood.
    pub(super) fn show(&mut self, key: &Key, value: Node) {
        self.shown.push((key.name.to_owned(), value));
    }

    /// The value of a key, else its default; written down.
    pub(super) fn take<T>(
        &mut self,
        key: &Key,
        read: impl Fn(&Ctx<'_>, &str, &Takes, &Node) -> Option<T>,
        show: impl Fn(&T) -> Node,
    ) -> Option<T> {
        let given = self.given(key);
        let mut value = given.and_then(|node| read(self.ctx, key.name, &key.takes, node));
        if value.is_none()
            && let Need::Default(json) = key.need
            && let Ok(node) = tree::parse(json)
        {
            value = read(self.ctx, key.name, &key.takes, &node);
        }
        if let Some(v) = &value
            && (given.is_some() || self.shows_defaults)
        {
            self.show(key, show(v));
        }
        value
    }

    pub(super) fn duration(&mut self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.takes, Takes::Duration { .. }), "{}", key.name);
        self.take(key, values::duration, |ns| values::show_ns(*ns))
    }
    pub(super) fn moment(&mut self, key: &Key) -> Option<i64> {
        debug_assert!(matches!(key.takes, Takes::Moment), "{}", key.name);
        self.take(key, values::moment, |ns| values::show_moment(*ns))
    }
    pub(super) fn count(&mut self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.takes, Takes::Count { .. }), "{}", key.name);
        self.take(key, values::count, |n| Node::number(n))
    }
    pub(super) fn signed(&mut self, key: &Key) -> Option<i64> {
        debug_assert!(matches!(key.takes, Takes::Signed { .. }), "{}", key.name);
        self.take(key, values::signed, |n| Node::number(n))
    }
    pub(super) fn bytes(&mut self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.takes, Takes::Bytes { .. }), "{}", key.name);
        self.take(key, values::bytes, |n| Node::number(n))
    }
    pub(super) fn flag(&mut self, key: &Key) -> Option<bool> {
        debug_assert!(matches!(key.takes, Takes::Flag), "{}", key.name);
        self.take(key, values::flag, |v| Node::flag(*v))
    }
    pub(super) fn text(&mut self, key: &Key) -> Option<String> {
        debug_assert!(matches!(key.takes, Takes::Text), "{}", key.name);
        self.take(key, values::text, |v| Node::text(v.as_str()))
    }
    pub(super) fn delay(&mut self, key: &Key) -> Option<Quantiles> {
        debug_assert!(matches!(key.takes, Takes::Delay), "{}", key.name);
        self.take(key, values::delay, values::show_delay)
    }
    pub(super) fn rate(&mut self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.takes, Takes::Rate), "{}", key.name);
        self.take(key, values::rate, |v| values::show_rate(*v))
    }
    pub(super) fn target(&mut self, key: &Key) -> Option<Vec<TargetName>> {
        debug_assert!(matches!(key.takes, Takes::Target), "{}", key.name);
        self.take(key, values::target, |v| values::show_target(v))
    }
    /// The index of the word.
    pub(super) fn choice(&mut self, key: &Key) -> Option<usize> {
        let Takes::Choice(words) = key.takes else {
            debug_assert!(false, "{}", key.name);
            return None;
        };
        self.take(key, values::choice, |i| Node::text(words[*i]))
    }
    /// An object with a section of its own, or the default one; `read` answers what it made of it and what it understood.
    pub(super) fn section<T>(&mut self, key: &Key, read: impl FnOnce(Fields<'_>) -> (T, Node)) -> Option<T> {
        let Takes::Section(section) = key.takes else {
            debug_assert!(false, "{}", key.name);
            return None;
        };
        let given = self.given(key);
        let default;
        let node = match (given, key.need) {
            (Some(node), _) => node,
            (None, Need::Default(json)) => {
                default = tree::parse(json).ok()?;
                &default
            }
            (None, _) => return None,
        };
        let (value, shown) = read(Fields::open(self.ctx, node, section)?);
        if given.is_some() || self.shows_defaults {
            self.show(key, shown);
        }
        Some(value)
    }
    /// A list of texts.
    pub(super) fn texts(&mut self, key: &Key, most: usize) -> Option<Vec<String>> {
        let read = |ctx: &Ctx<'_>, name: &str, _: &Takes, node: &Node| {
            let texts = items(ctx, key, node, most).iter().filter_map(|v| values::text(ctx, name, &Takes::Text, v));
            Some(texts.collect::<Vec<_>>())
        };
        self.take(key, read, |v| Node::list(v.iter().map(|t| Node::text(t.as_str())).collect()))
    }
    /// A version that is built.
    pub(super) fn version(&mut self, key: &Key) -> Option<Version> {
        debug_assert!(matches!(key.takes, Takes::Version), "{}", key.name);
        let read = |ctx: &Ctx<'_>, name: &str, takes: &Takes, node: &Node| {
            let text = values::text(ctx, name, takes, node)?;
            let version = match text.parse::<Version>() {
                Ok(version) => version,
                Err(_) => {
                    values::wrong(ctx, name, takes, node);
                    return None;
                }
            };
            match version.require_built() {
                Ok(version) => Some(version),
                Err(why) => {
                    ctx.report(node.place, Problem::NotBuilt, why.to_string());
                    None
                }
            }
        };
        self.take(key, read, |v| Node::text(v.to_string()))
    }
    /// Overridden rules: names and whether they hold.
    pub(super) fn rules(&mut self, key: &Key) -> Vec<(String, bool)> {
        let Some(node) = self.given(key) else { return Vec::new() };
        let Shape::Object(members) = &node.shape else {
            values::wrong(self.ctx, key.name, &key.takes, node);
            return Vec::new();
        };
        let mut rules = Vec::new();
        for member in members {
            if !Rules::ROWS.iter().any(|row| row.name == member.key) {
                let near = nearest(&member.key, Rules::ROWS.iter().map(|row| row.name));
                let error = ScenarioError::new(Problem::UnknownName, format!("there is no rule \"{}\"", short(&member.key)));
                self.ctx.push(member.key_place, error.did_you_mean(near));
            } else if let Some(holds) = values::flag(self.ctx, &member.key, &Takes::Flag, &member.value) {
                rules.push((member.key.clone(), holds));
            }
        }
        self.show(key, Node::object(rules.iter().map(|(name, holds)| (name.as_str(), Node::flag(*holds)))));
        rules
    }

    /// RocketMQ's keys of one settings type; all are written down.
    pub(super) fn settings<S: Settings>(&mut self, begin: S) -> S {
        let mut settings = begin;
        for setting in S::TABLE {
            let Some(node) = self.given_setting(setting.key) else { continue };
            if let Some(value) = setting_value(self.ctx, setting, node)
                && let Err(why) = settings.put(setting.key, &value)
            {
                let error = match why {
                    SettingError::WrongValue { key, expected, got } => {
                        let error = ScenarioError::new(Problem::WrongValue, format!("\"{key}\" cannot be {}", short(&got)))
                            .expected(expected);
                        match (setting.kind, node.as_text()) {
                            (Kind::Choice(words), Some(text)) => error.did_you_mean(nearest(text, words.iter().copied())),
                            (Kind::Millis, Some(text)) => match parse_duration(text) {
                                Ok(_) => error.remedy("RocketMQ counts whole milliseconds here"),
                                // Its words end with what would have been right: only the text that they quote may be too long.
                                Err(why) if text.chars().count() <= 40 => error.remedy(why.to_string()),
                                Err(_) => error,
                            },
                            _ => error,
                        }
                    }
                    SettingError::UnknownKey { key } => unknown_key(self.section, &key),
                };
                self.ctx.push(node.place, error);
            }
        }
        for (setting, (key, text)) in S::TABLE.iter().zip(settings.list()) {
            self.shown.push((key.to_owned(), show_setting(setting, text)));
        }
        settings
    }
}

/// A setting's value as the settings table takes it, if it is in range.
fn setting_value(ctx: &Ctx<'_>, setting: &Setting, node: &Node) -> Option<Value> {
    let value = match (&node.shape, setting.kind) {
        (Shape::Number(text), Kind::Text) if matches!(node.place, Place::Argument(_)) => Value::Text(text.clone()),
        (Shape::Number(text), _) => match text.parse() {
            Ok(n) => Value::Int(n),
            Err(_) => {
                values::out_of_range(ctx, setting.key, node, setting.kind.expected());
                return None;
            }
        },
        (Shape::Text(text), Kind::Bytes) if values::parse_bytes(text).is_some_and(|n| n <= i64::MAX as u64) => {
            Value::Int(values::parse_bytes(text).unwrap_or_default() as i64)
        }
        (Shape::Text(text), _) if text.len() > values::LONGEST_TEXT => {
            values::out_of_range(ctx, setting.key, node, format!("at most {} bytes of text", values::LONGEST_TEXT));
            return None;
        }
        (Shape::Text(text), _) => Value::Text(text.clone()),
        (Shape::Flag(flag), _) => Value::Flag(*flag),
        _ => {
            let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be {}", setting.key, node.describe()));
            ctx.push(node.place, error.expected(setting.kind.expected()));
            return None;
        }
    };
    if let Some(range) = limits::range(setting) {
        let number = match (&value, setting.kind) {
            (Value::Int(n), _) => Some(*n),
            (Value::Text(text), Kind::Millis) => parse_duration(text).ok().map(|ns| (ns / MS) as i64),
            (Value::Text(text), _) => text.parse().ok(),
            _ => None,
        };
        if number.is_some_and(|n| !range.holds(n)) {
            let unit = if setting.kind == Kind::Millis { " ms" } else { "" };
            values::out_of_range(ctx, setting.key, node, format!("{}{unit}", range.expected()));
            return None;
        }
    }
    Some(value)
}

fn show_setting(setting: &Setting, text: String) -> Node {
    match setting.kind {
        Kind::Millis => match text.parse::<u64>().ok().and_then(|ms| ms.checked_mul(MS)) {
            Some(ns) => Node::text(Pretty(ns).to_string()),
            None => Node::number(text),
        },
        Kind::Count | Kind::Signed | Kind::Bytes => Node::number(text),
        Kind::Flag => Node::flag(text == "true"),
        Kind::Text | Kind::Choice(_) => Node::text(text),
    }
}

/// A text that may be as long as the file, cut for a message.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

fn unknown_key(section: &'static Section, key: &str) -> ScenarioError {
    let error = ScenarioError::new(Problem::UnknownKey, format!("{} has no key \"{}\"", section.title, short(key)));
    let near = nearest(key, section.names());
    match near {
        Some(_) => error.did_you_mean(near),
        None => {
            let own = section.keys.iter().chain(section.shared.iter().flat_map(|shared| shared.keys));
            let names: Vec<_> = own.map(|k| k.name).collect();
            let rest = if section.settings.is_empty() { "" } else { ", …" };
            error.expected(format!("one of {}{rest}", names.join(", ")))
        }
    }
}
