//! The JSON Schema of scenario files, printed from the very tables that decoding reads.
//!
//! `scenario.schema.json` at the top of the project is this text; a test compares the two. Editors complete and check with it; what needs
//! more than one key (names that must exist, moments inside the run) only decoding can say.

use super::consumers::STRATEGIES;
use super::keys::{self, Key, Need, Section, Takes};
use super::limits;
use super::tree::{self, Node};
use crate::rocketmq::settings::{Kind, Rules, Setting};

/// Every section, each once.
pub(crate) fn sections() -> Vec<&'static Section> {
    let mut found: Vec<&'static Section> = vec![&keys::top::SECTION, &keys::expectation::SECTION];
    let mut next = 0;
    while next < found.len() {
        for key in found[next].all_keys() {
            collect(&key.takes, &mut found);
        }
        next += 1;
    }
    found
}

fn collect(takes: &Takes, found: &mut Vec<&'static Section>) {
    match takes {
        Takes::Section(section) if !found.iter().any(|s| std::ptr::eq(*s, *section)) => found.push(section),
        Takes::Delay => collect(&Takes::Section(&keys::quantiles::SECTION), found),
        Takes::Sizes => collect(&Takes::Section(&keys::sizes::SECTION), found),
        Takes::List(inner) => collect(inner, found),
        Takes::Either(any) => any.iter().for_each(|t| collect(t, found)),
        _ => {}
    }
}

/// The schema as text.
pub fn schema() -> String {
    let all = sections();
    let mut members = vec![
        ("$schema".to_owned(), Node::text("https://json-schema.org/draft/2020-12/schema")),
        ("$id".to_owned(), Node::text("scenario.schema.json")),
        ("title".to_owned(), Node::text("windtunnel scenario")),
    ];
    members.extend(object(&keys::top::SECTION, &all));
    let defs = all.iter().skip(1).map(|section| (name(section, &all), Node::object(object(section, &all))));
    members.push(("$defs".to_owned(), Node::object(defs)));
    Node::object(members).to_json()
}

/// Name of a section among the definitions: "a producer" is `producer`; where two share a title, the later one has its number.
fn name(section: &Section, all: &[&'static Section]) -> String {
    let plain = |s: &Section| s.title.trim_start_matches("an ").trim_start_matches("a ").replace(' ', "_");
    let twins: Vec<_> = all.iter().filter(|s| plain(s) == plain(section)).collect();
    match twins.iter().position(|s| std::ptr::eq(**s, section)) {
        Some(0) | None => plain(section),
        Some(n) => format!("{}_{}", plain(section), n + 1),
    }
}

fn object(section: &Section, all: &[&'static Section]) -> Vec<(String, Node)> {
    let structural = section.all_keys().map(|key| (key.name, key_schema(key, all)));
    let settings = section.all_settings().map(|setting| (setting.key, setting_schema(setting)));
    let required: Vec<Node> =
        section.all_keys().filter(|k| matches!(k.need, Need::Required)).map(|k| Node::text(k.name)).collect();
    let mut members = vec![
        ("description".to_owned(), Node::text(section.doc.trim())),
        ("type".to_owned(), Node::text("object")),
        ("additionalProperties".to_owned(), Node::flag(false)),
        ("properties".to_owned(), Node::object(structural.chain(settings))),
    ];
    if !required.is_empty() {
        members.push(("required".to_owned(), Node::list(required)));
    }
    if std::ptr::eq(section, &keys::fault::SECTION) {
        let verb = |key: &Key| Node::object([("required", Node::list(vec![Node::text(key.name)]))]);
        members.push(("oneOf".to_owned(), Node::list(keys::verbs().iter().map(verb).collect())));
    }
    members
}

fn key_schema(key: &Key, all: &[&'static Section]) -> Node {
    let mut members = vec![("description".to_owned(), Node::text(key.doc))];
    members.extend(takes_schema(&key.takes, all));
    if let Need::Default(json) = key.need
        && let Ok(node) = tree::parse(json)
    {
        members.push(("default".to_owned(), node));
    }
    Node::object(members)
}

const DURATION: &str = "^ *[0-9][0-9_.]* *(ns|us|µs|ms|s|m|min|h) *$";
const MOMENT: &str = "^ *-?[0-9][0-9_.]* *(ns|us|µs|ms|s|m|min|h) *$";
const RATE: &str = "^ *[0-9][0-9_]*(\\.[0-9]{1,3})? */ *[0-9_.]* *(ns|us|µs|ms|s|m|min|h) *$";
const BYTES: &str = "^ *[0-9]+ *(B|KiB|MiB|GiB) *$";

type Members = Vec<(String, Node)>;

fn of_type(kind: &str) -> Members {
    vec![("type".to_owned(), Node::text(kind))]
}

fn text_like(pattern: &str, example: &str) -> Members {
    let mut members = of_type("string");
    members.push(("pattern".to_owned(), Node::text(pattern)));
    members.push(("examples".to_owned(), Node::list(vec![Node::text(example)])));
    members
}

fn whole(min: impl ToString, max: impl ToString) -> Members {
    let mut members = of_type("integer");
    members.push(("minimum".to_owned(), Node::number(min)));
    members.push(("maximum".to_owned(), Node::number(max)));
    members
}

fn any_of(choices: Vec<Members>) -> Members {
    vec![("anyOf".to_owned(), Node::list(choices.into_iter().map(Node::object).collect()))]
}

fn words(words: &[&str]) -> Members {
    vec![("enum".to_owned(), Node::list(words.iter().map(|w| Node::text(*w)).collect()))]
}

fn list_of(items: Members) -> Members {
    vec![("type".to_owned(), Node::text("array")), ("items".to_owned(), Node::object(items))]
}

fn map_of(values: Members) -> Members {
    vec![("type".to_owned(), Node::text("object")), ("additionalProperties".to_owned(), Node::object(values))]
}

fn takes_schema(takes: &Takes, all: &[&'static Section]) -> Members {
    let section = |section: &'static Section| vec![("$ref".to_owned(), Node::text(format!("#/$defs/{}", name(section, all))))];
    match takes {
        Takes::Duration { .. } => text_like(DURATION, "30s"),
        Takes::Moment => text_like(MOMENT, "-10s"),
        Takes::Count { min, max } => whole(min, max),
        Takes::Signed { min, max } => whole(min, max),
        Takes::Bytes { min, max } => any_of(vec![whole(min, max), text_like(BYTES, "64KiB")]),
        Takes::Flag => of_type("boolean"),
        Takes::Text => of_type("string"),
        Takes::Choice(choices) => words(choices),
        Takes::Version => text_like("^[0-9]+\\.[0-9]+\\.[0-9]+$", "4.9.8"),
        Takes::Delay => any_of(vec![text_like(DURATION, "2ms"), section(&keys::quantiles::SECTION)]),
        Takes::Sizes => any_of(vec![whole(1, 1 << 30), text_like(BYTES, "1KiB"), section(&keys::sizes::SECTION)]),
        Takes::Rate => text_like(RATE, "200/s"),
        Takes::Code => any_of(vec![whole(0, u16::MAX), text_like("^[A-Z][A-Z0-9_]*$", "SYSTEM_BUSY")]),
        Takes::Bound => any_of(vec![of_type("integer"), text_like(DURATION, "30s")]),
        Takes::Target => any_of(vec![of_type("string"), list_of(of_type("string"))]),
        Takes::Section(inner) => section(inner),
        Takes::List(inner) => list_of(takes_schema(inner, all)),
        Takes::Either(choices) => any_of(choices.iter().map(|t| takes_schema(t, all)).collect()),
        Takes::Rules => {
            let row = |row: &crate::rocketmq::settings::rules::Row| {
                (row.name, Node::object([("description", Node::text(row.source)), ("type", Node::text("boolean"))]))
            };
            vec![
                ("type".to_owned(), Node::text("object")),
                ("additionalProperties".to_owned(), Node::flag(false)),
                ("properties".to_owned(), Node::object(Rules::ROWS.iter().map(row))),
            ]
        }
        Takes::Expectations => map_of(section(&keys::expectation::SECTION)),
    }
}

fn setting_schema(setting: &Setting) -> Node {
    let mut members = vec![("description".to_owned(), Node::text(setting.doc.trim()))];
    let number = || match limits::range(setting) {
        Some(range) => {
            let mut members = whole(range.min, range.max);
            if range.not_zero {
                members.push(("not".to_owned(), Node::object([("const", Node::number(0))])));
            }
            members
        }
        None => of_type("integer"),
    };
    members.extend(match setting.kind {
        Kind::Millis => any_of(vec![text_like(DURATION, "30s"), number()]),
        Kind::Count | Kind::Signed => number(),
        Kind::Bytes => any_of(vec![number(), text_like(BYTES, "64MiB")]),
        Kind::Flag => of_type("boolean"),
        Kind::Choice(choices) => words(choices),
        Kind::Text if setting.key == "allocateMessageQueueStrategy" => {
            let mut members = of_type("string");
            members.push(("examples".to_owned(), Node::list(STRATEGIES.iter().map(|s| Node::text(*s)).collect())));
            members
        }
        Kind::Text => of_type("string"),
    });
    Node::object(members)
}
