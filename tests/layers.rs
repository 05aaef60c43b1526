//! The plan of the house, held: which room may import from which, and how large a file may be.
//!
//! Rust checks that names exist, not that they should be known there. This test reads the sources and fails on the first import that the plan does
//! not know. An exception is written here, with its reason, or the import goes.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a room may import from, itself apart. `room/part` allows that part only.
const MAY: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("contract", &["base"]),
    ("kernel", &["base"]),
    ("rocketmq", &["base", "contract"]),
    ("world", &["base", "contract", "kernel", "rocketmq"]),
    // Checks and meters say what they found in the types of the outcome, which know nothing themselves.
    ("check", &["base", "contract", "run/outcome"]),
    ("meter", &["base", "contract", "check", "run/outcome"]),
    (
        "scenario",
        &["base", "rocketmq/settings", "rocketmq/filter", "rocketmq/client/consumer/allocate", "world/spec", "meter/counters"],
    ),
    ("run", &["base", "contract", "rocketmq", "kernel", "world", "check", "meter", "scenario"]),
    ("explore", &["base", "scenario", "run"]),
    // Outcomes to bytes: of one run, and of many.
    ("report", &["base", "run/outcome", "rocketmq/settings", "explore"]),
    ("cli", &["base", "contract", "rocketmq", "kernel", "world", "check", "meter", "scenario", "run", "explore", "report"]),
    // The crate's root declares the rooms; the command's entry starts one of them.
    ("lib", &[]),
    ("main", &[]),
];

/// (file, what it imports, why that is right there and nowhere else). None is needed: keep it so.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Files of more than 700 lines. None is needed: keep it so.
const LONG: &[&str] = &[];
const LONG_FROM: usize = 700;

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a folder of src/ can be read") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = common::root();
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    found.sort();
    let name = |p: &Path| {
        p.strip_prefix(&root)
            .expect("below the root")
            .components()
            .map(|c| c.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/")
    };
    found.iter().map(|p| (name(p), std::fs::read_to_string(p).expect("a source is text"))).collect()
}

/// Code without comments and without what is compiled for tests only: tests may look where they like.
fn code(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let bare = line.trim_start();
        if bare == "#[cfg(test)]" {
            // The item that follows, by its indentation: formatted code closes where it opened.
            let indent = line.len() - bare.len();
            for item in rest.by_ref() {
                let trimmed = item.trim();
                let closes = item.len() - item.trim_start().len() == indent && trimmed.starts_with('}');
                if closes || trimmed.ends_with(';') && item.len() - item.trim_start().len() == indent {
                    break;
                }
            }
        } else if !bare.starts_with("//") {
            lines.push(line.split(" // ").next().unwrap_or(line));
        }
    }
    lines
}

/// Files that only tests compile: `#[cfg(test)] mod name;`.
fn test_only(sources: &[(String, String)]) -> BTreeSet<String> {
    let mut only = BTreeSet::new();
    for (file, text) in sources {
        let dir = file.strip_suffix("/mod.rs").unwrap_or_else(|| file.trim_end_matches(".rs"));
        let dir = if matches!(file.as_str(), "src/lib.rs" | "src/main.rs") { "src" } else { dir };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                continue;
            }
            let item = lines.next().unwrap_or("").trim();
            if let Some((_, name)) = item.trim_end_matches(';').rsplit_once("mod ").filter(|_| item.ends_with(';')) {
                only.insert(format!("{dir}/{name}.rs"));
                // A `#[path]` module beside its user.
                let parent = dir.rsplit_once('/').map_or(dir, |p| p.0);
                only.insert(format!("{parent}/{name}.rs"));
            }
        }
    }
    only
}

/// Paths from the crate's root that the code names, as `room/part/...`: from `crate::` and from chains of `super::`.
fn imports(file: &str, code: &[&str]) -> BTreeSet<String> {
    let text = code.join("\n");
    let mut found = BTreeSet::new();
    let mut take = |base: &[String], rest: &str| {
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '{')).collect();
        let mut parts: Vec<String> = base.to_vec();
        for part in path.split("::") {
            if part.starts_with('{') || part.is_empty() {
                break;
            }
            parts.push(part.to_owned());
        }
        // A grouped import at the very root would hide its rooms; there is none, and there shall be none.
        assert!(!parts.is_empty(), "{file}: write one `use crate::room` a line, not a group of rooms");
        found.insert(parts.join("/"));
    };
    for (at, word) in text.match_indices("crate::") {
        let joined = text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if !joined {
            take(&[], &text[at + word.len()..]);
        }
    }
    let module: Vec<String> =
        file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned).collect();
    let mut from = 0;
    while let Some(at) = text[from..].find("super::") {
        let start = from + at;
        let mut end = start;
        let mut up = 0;
        while text[end..].starts_with("super::") {
            end += "super::".len();
            up += 1;
        }
        from = end;
        take(&module[..module.len().saturating_sub(up)], &text[end..]);
    }
    found
}

#[test]
fn rooms_import_only_what_the_plan_allows() {
    let sources = sources();
    let only = test_only(&sources);
    let allowed: BTreeMap<&str, &[&str]> = MAY.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (file, text) in sources.iter().filter(|(file, _)| !only.contains(file)) {
        let room = file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
        let Some(may) = allowed.get(room) else {
            wrong.push(format!("{file}: the plan has no room \"{room}\""));
            continue;
        };
        for path in imports(file, &code(text)) {
            let within = |part: &str| path == part || path.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'));
            if within(room) || may.iter().any(|part| within(part)) || room == "lib" || room == "main" {
                continue;
            }
            match EXCEPTIONS.iter().position(|(f, part, _)| f == file && within(part)) {
                Some(exception) => drop(used.insert(exception)),
                None => wrong.push(format!("{file} imports {path}; {room} may import {may:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (i, (file, part, _)) in EXCEPTIONS.iter().enumerate() {
        assert!(used.contains(&i), "the exception {file} -> {part} is not needed any more: take it out");
    }
}

/// The logic of RocketMQ must be usable by a real client: no simulator, clock, socket, thread or file.
/// Rooms, and the parts of rooms that others may know, import each other without a cycle, whatever the list above allows.
#[test]
fn there_is_no_cycle_of_imports() {
    let parts: BTreeSet<&str> = MAY.iter().flat_map(|(room, may)| std::iter::once(room).chain(*may)).copied().collect();
    // The part that a path belongs to: the longest that the plan names.
    let part_of = |path: &str| {
        let holds = |part: &&&str| path == **part || path.strip_prefix(**part).is_some_and(|rest| rest.starts_with('/'));
        parts.iter().filter(holds).max_by_key(|part| part.len()).copied()
    };
    let sources = sources();
    let only = test_only(&sources);
    let mut graph = petgraph::graphmap::DiGraphMap::<&str, ()>::new();
    for (file, text) in sources.iter().filter(|(file, _)| !only.contains(file)) {
        let place = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let Some(from) = part_of(place) else { continue };
        for to in imports(file, &code(text)).iter().filter_map(|path| part_of(path)) {
            // A room and its own parts are one house's business.
            if from.split('/').next() != to.split('/').next() {
                graph.add_edge(from, to, ());
            }
        }
    }
    assert!(graph.edge_count() > 20, "the imports were not read");
    let order = petgraph::algo::toposort(&graph, None);
    assert!(order.is_ok(), "a cycle goes through {}", order.map_err(|cycle| cycle.node_id()).unwrap_err());
}

#[test]
fn the_logic_knows_no_simulator_and_no_machine() {
    const BANNED: [&str; 10] = [
        "crate::world",
        "crate::kernel",
        "std::time",
        "std::net",
        "std::thread",
        "std::fs",
        "std::env",
        "std::process",
        "thread_local!",
        "static mut",
    ];
    for (file, text) in
        sources().iter().filter(|(file, _)| file.starts_with("src/rocketmq/") || file.starts_with("src/contract/"))
    {
        let code = code(text).join("\n");
        for word in BANNED {
            assert!(!code.contains(word), "{file} mentions {word}");
        }
        // Also by another road: a path through `super` ends in a room, and the plan knows which are allowed.
        assert!(imports(file, &[&code]).iter().all(|p| !p.starts_with("world") && !p.starts_with("kernel")), "{file}");
    }
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file} does not open with a module comment");
    }
}

#[test]
fn files_stay_short() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        let known = LONG.contains(&file.as_str());
        assert!(lines <= LONG_FROM || known, "{file} has {lines} lines: split it, or say here why it is one thing");
        assert!(lines > LONG_FROM || !known, "{file} has {lines} lines now: take it off the list");
    }
}
