//! The command as a shell sees it: exit codes, streams, and what it says to a file that is wrong.
//!
//! Runs the built binary. Whatever is wrong with a file must be said on standard error, with the file's name, by exit code 2, and never by a
//! panic; standard output then stays empty, so that a script never parses half an answer.

mod common;

use common::root;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's own, gone when it is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("windtunnel-cli-{}-{name}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn windtunnel(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command starts")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windtunnel"));
    // What the tester's own shell prefers must not decide.
    command.args(arguments).current_dir(root()).env_remove("NO_COLOR").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
fn exit(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

/// Seconds of a small cluster: most tests need an answer, not a long one.
fn small() -> Value {
    json!({
        "question": "Does a small cluster deliver?",
        "duration": "5s", "drain": "30s", "warmup": "40s",
        "brokers": [{"brokerName": "broker-a"}],
        "topics": [{"name": "T", "queues": 2}],
        "producers": [{"group": "pg", "topic": "T", "rate": "20/s"}],
        "consumers": [{"group": "cg", "count": 2, "topic": "T"}, {"group": "og", "topic": "T", "listener": "orderly"}],
        "expect": {"lost": {"max": 0}},
    })
}

fn changed(change: impl Fn(&mut Value)) -> String {
    let mut scenario = small();
    change(&mut scenario);
    serde_json::to_string_pretty(&scenario).expect("a value prints")
}

fn refused(output: &Output, file: &str, why: &str) {
    let said = err(output);
    assert_eq!(exit(output), 2, "{why}: {said}");
    assert!(said.contains(file), "{why}: the file is not named: {said}");
    assert!(!said.contains("panicked"), "{why}: {said}");
    assert!(output.stdout.is_empty(), "{why}: standard output is for answers");
}

// ---- answers

#[test]
fn the_answer_begins_with_the_seed_and_ends_with_the_command_that_repeats_it() {
    let folder = Folder::new("answer");
    let file = folder.file("small.json", &changed(|_| ()));
    let first = windtunnel(&["run", &file, "--seed", "0x2a"]);
    assert_eq!(exit(&first), 0, "{}{}", out(&first), err(&first));
    let text = out(&first);
    let opening = text.lines().next().unwrap_or("");
    assert!(opening.contains("seed") && opening.contains("42"), "{opening}");
    let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("").trim();
    let repeat = last.find("windtunnel run").map(|at| &last[at..]).unwrap_or_else(|| panic!("no command in: {last}"));
    assert!(repeat.contains("--seed 42") && repeat.contains("small.json"), "{repeat}");
    // And it does repeat it, to the byte.
    let words: Vec<&str> = repeat.split_whitespace().skip(1).collect();
    assert_eq!(out(&windtunnel(&words)), text);
}

#[test]
fn quickstart_passes() {
    let output = windtunnel(&["run", "scenarios/quickstart.json", "--quiet"]);
    assert_eq!(exit(&output), 0, "{}", out(&output));
    assert!(err(&output).is_empty(), "quiet: {}", err(&output));
}

#[test]
fn json_is_json_and_holds_the_figures() {
    let folder = Folder::new("json");
    let file = folder.file("small.json", &changed(|_| ()));
    let output = windtunnel(&["run", &file, "--format", "json"]);
    assert_eq!(exit(&output), 0);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("standard output is one JSON value");
    assert!(answer["format"].is_u64(), "{answer}");
    assert_eq!(answer["sends"]["pg-0"]["n"], 100);
    assert_eq!(answer["sends"]["pg-0"]["status"]["SEND_OK"], 100);
    for group in ["cg", "og"] {
        for figure in ["deliveries", "distinct", "duplicates", "lost_acked", "latency_ms", "allocations"] {
            assert!(!answer["groups"][group][figure].is_null(), "groups.{group}.{figure}");
        }
        assert_eq!(answer["groups"][group]["distinct"], 100);
    }
}

#[test]
fn out_holds_the_whole_report_and_the_scenario_as_it_was_understood() {
    let folder = Folder::new("out");
    let file = folder.file("small.json", &changed(|_| ()));
    let report = folder.path("report");
    let output = windtunnel(&["run", &file, "--out", &report]);
    assert_eq!(exit(&output), 0, "{}", err(&output));
    for name in ["summary.json", "answer.txt", "delivery-latency.svg", "ownership.svg", "waterfall.svg", "scenario.resolved.json"]
    {
        let path = Path::new(&report).join(name);
        assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 100), "{name} is missing or empty");
        assert!(err(&output).contains(name), "{name} is not mentioned");
    }
    let read = |name: &str| std::fs::read_to_string(Path::new(&report).join(name)).expect("a report is text");
    assert_eq!(read("answer.txt"), out(&output));
    let digest = |output: &Output| {
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["run"]["digest"]
            .as_str()
            .or(answer["digest"].as_str())
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("no digest: {answer}"))
    };
    // Every default written out is the same scenario.
    let resolved = folder.path("report/scenario.resolved.json");
    let (a, b) = (windtunnel(&["run", &file, "--format", "json"]), windtunnel(&["run", &resolved, "--format", "json"]));
    assert_eq!(digest(&a), digest(&b));
}

#[test]
fn set_changes_the_run_and_is_part_of_the_command_that_repeats_it() {
    let folder = Folder::new("set");
    let file = folder.file("small.json", &changed(|_| ()));
    let output = windtunnel(&["run", &file, "--format", "json", "--set", "duration=10s", "--set", "producers[0].rate=30/s"]);
    assert_eq!(exit(&output), 0, "{}", err(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["sends"]["pg-0"]["n"], 300);
    let text = out(&windtunnel(&["run", &file, "--set", "duration=10s"]));
    assert!(text.trim_end().ends_with("--set duration=10s"), "{text}");
    let wrong = windtunnel(&["run", &file, "--set", "durration=10s"]);
    refused(&wrong, "small.json", "a key that does not exist");
    assert!(err(&wrong).contains("duration"), "the nearest name: {}", err(&wrong));
}

// ---- exit codes

#[test]
fn exit_codes_are_the_documented_ones() {
    let folder = Folder::new("exit");
    let fails = folder.file("fails.json", &changed(|s| s["expect"] = json!({"acked": {"max": 1}})));
    assert_eq!(exit(&windtunnel(&["run", &fails])), 1, "an expectation is broken");
    let unknown = folder.file("unknown.json", &changed(|s| s["expect"] = json!({"takeover": {"max": "1s"}})));
    assert_eq!(exit(&windtunnel(&["run", &unknown])), 3, "nothing was there to count");
    let passes = folder.file("passes.json", &changed(|_| ()));
    let cut = windtunnel(&["run", &passes, "--max-events", "1000"]);
    assert_eq!(exit(&cut), 3, "a run that was cut short is unknown: {}", out(&cut));
    assert!(out(&cut).contains("1000"), "and says why");
    assert_eq!(exit(&windtunnel(&["run", &passes])), 0);
    for usage in [&["run"] as &[&str], &["walk"], &[], &["run", &passes, "--seed", "many"], &["run", &passes, "--set", "novalue"]]
    {
        let output = windtunnel(usage);
        assert_eq!(exit(&output), 2, "{usage:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{usage:?}");
    }
    for help in [&["--help"] as &[&str], &["run", "--help"], &["--version"]] {
        let output = windtunnel(help);
        assert_eq!(exit(&output), 0, "{help:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{help:?}");
    }
}

#[test]
fn out_that_cannot_be_a_folder_is_refused_before_the_run() {
    let folder = Folder::new("nofolder");
    let file = folder.file("small.json", &changed(|_| ()));
    let taken = folder.file("taken", "a file");
    refused(&windtunnel(&["run", &file, "--out", &taken]), "taken", "--out names a file");
}

// ---- what is wrong with a file

#[test]
fn every_kind_of_wrong_file_is_named_and_refused() {
    type Change = fn(&mut Value);
    let cases: &[(&str, Change)] = &[
        ("wrong type", |s| s["duration"] = json!(["5s"])),
        ("a duration without a unit", |s| s["duration"] = json!("5")),
        ("a list that is none", |s| s["brokers"] = json!("broker-a")),
        ("unknown key", |s| s["durration"] = json!("5s")),
        ("unknown key of RocketMQ", |s| s["brokers"][0]["flushDiskTypo"] = json!("ASYNC_FLUSH")),
        // A producer may well send to a topic that does not exist: brokers create it. An operator cannot change one.
        ("unknown topic", |s| s["faults"] = json!([{"at": "1s", "update_topic": {"topic": "orderz", "queues": 8}}])),
        ("unknown group", |s| s["expect"] = json!({"lost@cgg": {"max": 0}})),
        ("unknown counter", |s| s["expect"] = json!({"losst": {"max": 0}})),
        ("unknown strategy", |s| s["consumers"][0]["allocateMessageQueueStrategy"] = json!("BEST")),
        ("absurd number of consumers", |s| s["consumers"][0]["count"] = json!(1_000_000_000_u64)),
        ("negative count", |s| s["consumers"][0]["count"] = json!(-3)),
        ("fractional count", |s| s["consumers"][0]["count"] = json!(1.5)),
        ("absurd rate", |s| s["producers"][0]["rate"] = json!("1e300/s")),
        ("absurd duration", |s| s["duration"] = json!("99999999999999999999h")),
        ("absurd queues", |s| s["topics"][0]["queues"] = json!(u64::MAX)),
        ("absurd seed", |s| s["seed"] = json!(1e300)),
        ("a fault on a missing node", |s| s["faults"] = json!([{"at": "1s", "kill": "broker-z:0"}])),
        ("a fault that does nothing", |s| s["faults"] = json!([{"at": "1s"}])),
        ("a fault with two verbs", |s| s["faults"] = json!([{"at": "1s", "kill": "cg-0", "freeze": "cg-0"}])),
        ("zero brokers", |s| s["brokers"] = json!([])),
        ("a version that is not built", |s| s["rocketmq"] = json!("3.2.6")),
        ("a version that is none", |s| s["rocketmq"] = json!("four")),
        ("a newer format", |s| s["format"] = json!(2)),
        ("two brokers of one name and id", |s| s["brokers"] = json!([{"brokerName": "a"}, {"brokerName": "a"}])),
        ("no question", |s| drop(s.as_object_mut().map(|o| o.remove("question")))),
    ];
    let folder = Folder::new("wrong");
    for (i, (why, change)) in cases.iter().enumerate() {
        let name = format!("case-{i}.json");
        let file = folder.file(&name, &changed(change));
        refused(&windtunnel(&["run", &file]), &name, why);
        // Unknown counters are known to `run` and `check` alike.
        let check = windtunnel(&["check", &file]);
        refused(&check, &name, why);
    }
}

/// What is well written and not built is refused where it stands, like any mistake; what is only odd is remarked and runs.
#[test]
fn what_is_not_built_is_refused_with_its_line() {
    let folder = Folder::new("unbuilt");
    let line_of = |text: &str, what: &str| text.lines().position(|l| l.contains(what)).map_or(0, |n| n + 1);
    let transaction = changed(|s| s["producers"][0]["transaction"] = json!({"local": "commit"}));
    let vip = changed(|s| s["consumers"][0]["vipChannelEnabled"] = json!(true));
    for (name, text, key, words) in [
        ("transaction.json", transaction, "\"transaction\"", "transactional producers are not built yet"),
        ("vip.json", vip, "vipChannelEnabled", "vipChannelEnabled is not built"),
    ] {
        let output = windtunnel(&["run", &folder.file(name, &text)]);
        refused(&output, name, "it is not built");
        let place = format!("{name}:{}:", line_of(&text, key));
        assert!(err(&output).contains(&place) && err(&output).contains(words), "{place} {}", err(&output));
    }
    let odd = folder.file("odd.json", &changed(|s| s["brokers"][0]["brokerRole"] = json!("SYNC_MASTER")));
    let output = windtunnel(&["check", &odd]);
    assert_eq!(exit(&output), 0);
    assert!(err(&output).contains("warning: ") && err(&output).contains("is a SYNC_MASTER, and "), "{}", err(&output));
    assert!(out(&windtunnel(&["run", &odd])).contains("is a SYNC_MASTER, and "));
}

#[test]
fn every_kind_of_wrong_text_is_named_and_refused() {
    let good = changed(|_| ());
    let folder = Folder::new("text");
    let twice = good.replacen("\"question\"", "\"seed\": 1, \"seed\": 2, \"question\"", 1);
    let deep = "[".repeat(100_000);
    let half = &good[..good.len() / 2];
    for (name, text) in
        [("truncated.json", half), ("empty.json", ""), ("twice.json", &twice), ("deep.json", &deep), ("list.json", "[]")]
    {
        let file = folder.file(name, text);
        refused(&windtunnel(&["run", &file]), name, name);
    }
    let binary = folder.path("binary.json");
    std::fs::write(&binary, [0xff, 0xfe, 0x00, 0x80]).expect("bytes can be written");
    refused(&windtunnel(&["run", &binary]), "binary.json", "not UTF-8");
    refused(&windtunnel(&["run", &folder.path("nobody.json")]), "nobody.json", "a missing file");
    let here = folder.0.display().to_string();
    refused(&windtunnel(&["run", &here]), &here, "a directory");
    refused(&windtunnel(&["verify", &folder.path("nobody.json")]), "nobody.json", "verify of a missing file");
}

/// File, line, column, and the nearest name: enough to put the cursor there.
#[test]
fn a_mistake_is_pointed_at() {
    let folder = Folder::new("point");
    let file = folder.file("slip.json", "{\n  \"question\": \"?\",\n  \"duration\": \"5s\",\n  \"brokerz\": []\n}\n");
    let said = err(&windtunnel(&["run", &file]));
    assert!(said.contains("slip.json:4:3"), "{said}");
    assert!(said.contains("\"brokers\""), "{said}");
}

// ---- the other commands

#[test]
fn colour_only_where_it_is_wanted() {
    let folder = Folder::new("colour");
    let file = folder.file("small.json", &changed(|_| ()));
    let coloured = |output: &Output| out(output).contains('\x1b');
    assert!(!coloured(&windtunnel(&["run", &file])), "a pipe gets none");
    assert!(coloured(&windtunnel(&["run", &file, "--color", "always"])));
    let no = command(&["run", &file]).env("NO_COLOR", "1").output().expect("it starts");
    assert!(!coloured(&no));
    let forced = command(&["run", &file]).env("CLICOLOR_FORCE", "1").output().expect("it starts");
    assert!(coloured(&forced));
}

#[test]
fn check_and_list_read_without_running() {
    let output = windtunnel(&["check", "scenarios/quickstart.json"]);
    assert_eq!((exit(&output), out(&output).trim()), (0, "ok  scenarios/quickstart.json"));
    let output = windtunnel(&["list", "scenarios"]);
    assert_eq!(exit(&output), 0, "{}", err(&output));
    for file in common::shipped() {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(out(&output).contains(&name), "{name} is not listed");
    }
    assert!(out(&output).contains("killed for 30 s"), "questions are shown");
    assert_eq!(exit(&windtunnel(&["list", "nowhere-at-all"])), 2);
}

#[test]
fn verify_agrees_in_turn_and_in_threads() {
    let folder = Folder::new("verify");
    // What it expects plays no part: it is about sameness.
    let file = folder.file("small.json", &changed(|s| s["expect"] = json!({"acked": {"max": 1}})));
    let output = windtunnel(&["verify", &file, "--threads", "1,2"]);
    assert_eq!(exit(&output), 0, "{}{}", out(&output), err(&output));
    assert!(out(&output).starts_with("ok  ") && out(&output).contains("agree"), "{}", out(&output));
}

/// What is printed is a function of the seeds, not of the threads; and the command that repeats an extreme does repeat it.
#[test]
fn seeds_prints_the_same_with_any_number_of_jobs() {
    let folder = Folder::new("seeds");
    let file = folder.file("small.json", &changed(|_| ()));
    let survey = |more: &[&str]| {
        let mut words = vec!["seeds", &file, "--seeds", "3..10", "--set", "duration=4s"];
        words.extend(more);
        windtunnel(&words)
    };
    for format in ["text", "json"] {
        let (one, two) = (survey(&["--format", format, "--jobs", "1"]), survey(&["--format", format, "--jobs", "2"]));
        assert_eq!((exit(&one), exit(&two)), (0, 0), "{}{}", out(&one), err(&one));
        assert_eq!(one.stdout, two.stdout, "{format}");
    }
    let text = out(&survey(&[]));
    assert!(text.contains("PASS  of 8 seeds 8 passed, 0 failed, 0 unknown"), "{text}");
    let answer: Value = serde_json::from_slice(&survey(&["--format", "json"]).stdout).expect("JSON");
    let most = &answer["figures"]["groups.cg.latency_ms.max"]["most"];
    let words: Vec<&str> = most["repeat"].as_str().expect("a command").split_whitespace().skip(1).collect();
    assert_eq!(words[2..], ["--seed", &most["seed"].to_string(), "--set", "duration=4s"]);
    let again: Value = serde_json::from_slice(&windtunnel(&[&words[..], &["--format", "json"]].concat()).stdout).expect("JSON");
    assert_eq!(again["groups"]["cg"]["latency_ms"]["max"].as_f64(), most["value"].as_f64().map(|s| (s * 1e3).round()));
}

#[test]
fn seeds_answers_for_the_worst_seed_and_refuses_ranges_that_hold_none() {
    let folder = Folder::new("seeds-wrong");
    let fails = folder.file("fails.json", &changed(|s| s["expect"] = json!({"acked": {"max": 1}})));
    let output = windtunnel(&["seeds", &fails, "--seeds", "1..3"]);
    assert_eq!(exit(&output), 1, "{}", out(&output));
    assert!(out(&output).contains("failed: 1..3") && out(&output).contains("broken by 3 seeds: acked"), "{}", out(&output));
    let unknown = folder.file("unknown.json", &changed(|s| s["expect"] = json!({"takeover": {"max": "1s"}})));
    assert_eq!(exit(&windtunnel(&["seeds", &unknown, "--seeds", "1..2"])), 3);
    for (range, remedy) in
        [("5..1", "1..5"), ("1..99999999999", "split it"), ("1..99999999999999999999999", "such as"), ("7", "1..200")]
    {
        let output = windtunnel(&["seeds", &fails, "--seeds", range]);
        refused(&output, range, "a range that holds no seeds to run");
        let said = err(&output);
        assert!(said.contains(remedy) || said.contains("as in 1..200"), "{range}: {said}");
    }
    refused(&windtunnel(&["seeds", &fails, "--jobs", "0"]), "--jobs", "no threads");
    refused(&windtunnel(&["seeds", &folder.path("nobody.json")]), "nobody.json", "a missing file");
}

/// A folder with one scenario and one "live" run, which is a seed of its own simulator, `changed` as the test likes.
fn compared(folder: &Folder, change: impl Fn(&mut Value)) -> [String; 2] {
    let scenario = changed(|s| {
        s["producers"] = json!([{"group": "pg", "name": "p1", "topic": "T", "rate": "20/s", "start": "-4s"}]);
        s["consumers"] = json!([{"group": "cg", "name": "c1", "topic": "T", "start": "-20s"}]);
        s["faults"] = json!([{"at": "2s", "freeze": "c1", "for": "1s"}]);
        drop(s.as_object_mut().map(|o| o.remove("expect")));
    });
    for name in ["scenarios", "live"] {
        std::fs::create_dir_all(folder.path(name)).expect("a folder can be made");
    }
    let file = folder.file("scenarios/small.json", &scenario);
    let run = windtunnel(&[
        "run",
        &file,
        "--seed",
        "900",
        "--format",
        "json",
        "--set",
        "duration=8s",
        "--set",
        "producers.p1.until=5s",
        "--set",
        "producers.p1.arrivals=pinned",
    ]);
    let mut live: Value = serde_json::from_slice(&run.stdout).expect("a summary is JSON");
    live["experiment"] = json!("small");
    live["run"] = json!("1");
    live["end_s"] = json!(8.0);
    live["clients"] = json!([
        {"node": "c1", "role": "consumer", "start_s": -20.0, "options": {}},
        {"node": "p1", "role": "producer", "start_s": -4.0, "rate": 20, "seconds": 5, "options": {}},
    ]);
    live["faults"] = json!([{"t": 2.0, "what": "freeze", "node": "c1"}, {"t": 3.0, "what": "thaw", "node": "c1"}]);
    change(&mut live);
    folder.file("live/small.1.json", &live.to_string());
    [folder.path("scenarios"), folder.path("live")]
}

fn fidelity(folders: &[String; 2], more: &[&str]) -> Output {
    windtunnel(&[&["fidelity", "--scenarios", &folders[0], "--live", &folders[1], "--seeds", "30"], more].concat())
}

#[test]
fn fidelity_finds_a_planted_mismatch_and_prints_the_same_with_any_number_of_jobs() {
    let folder = Folder::new("fidelity");
    let row = |output: &Output, figure: &str| -> Value {
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", err(output)));
        let rows = answer["rows"].as_array().expect("rows").clone();
        rows.into_iter().find(|r| r["figure"] == figure).unwrap_or_else(|| panic!("no row {figure}"))
    };
    let folders = compared(&folder, |_| ());
    let own = fidelity(&folders, &["--format", "json", "--jobs", "1"]);
    assert!(exit(&own) <= 1, "{}", err(&own));
    assert_eq!(own.stdout, fidelity(&folders, &["--format", "json", "--jobs", "2"]).stdout);
    for figure in ["groups.cg.distinct", "sends.p1.status.SEND_OK", "groups.cg.worst_store_to_listener_s_by_queue: worst"] {
        assert_eq!(row(&own, figure)["beyond"], false, "{}", row(&own, figure));
    }
    folder.file("scenarios/lonely.json", &changed(|_| ()));
    let folders = compared(&folder, |live| live["groups"]["cg"]["duplicates"] = json!(5_000));
    let planted = fidelity(&folders, &["--format", "json"]);
    assert_eq!(exit(&planted), 1);
    let duplicates = row(&planted, "groups.cg.duplicates");
    assert_eq!((&duplicates["inside"], &duplicates["beyond"], &duplicates["seeds"]), (&json!(false), &json!(true), &json!(150)));
    assert_eq!(duplicates["percentile"], json!([100.0]));
    // A listed difference is excused from the extremes, and the page says why.
    let why = r#"[{"experiment": "small", "figure": "groups.cg.duplicates", "missing": "the rule"}, {"experiment": "x", "figure": "y", "missing": "z"}]"#;
    folder.file("live/differences.json", why);
    let page = folder.path("page.md");
    let listed = fidelity(&folders, &["--out", &page]);
    assert!(err(&listed).contains("differences.json: x y names no row"), "{}", err(&listed));
    let page = std::fs::read_to_string(page).expect("the page is text");
    for said in [
        "# Held against a real cluster",
        "- the rule: small `groups.cg.duplicates`",
        "lonely | – | not compared",
        "## Every row",
        "without the run \"steady\"",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(page.starts_with(&out(&listed)), "standard output has the opening");
}

#[test]
fn fidelity_names_what_it_cannot_compare() {
    let folder = Folder::new("fidelity-wrong");
    let [scenarios, live] = compared(&folder, |_| ());
    let empty = folder.path("empty");
    std::fs::create_dir_all(&empty).expect("a folder can be made");
    for (folders, name) in [
        ([scenarios.clone(), folder.path("nowhere")], "nowhere"),
        ([folder.path("nowhere"), live.clone()], "nowhere"),
        ([scenarios.clone(), empty.clone()], "empty"),
        ([empty, live.clone()], "empty"),
    ] {
        refused(&fidelity(&folders, &[]), name, "a folder without what is needed");
        assert!(err(&fidelity(&folders, &[])).contains("--"), "the remedy");
    }
    let folders = [scenarios, live];
    refused(&fidelity(&folders, &["--out", &folders[0]]), "scenarios", "--out names a folder");
    refused(&windtunnel(&["fidelity", "--seeds", "0"]), "--seeds", "no seeds");
    for (why, text) in [
        ("truncated", "{\"experiment\": \"small\""),
        ("not a live run", "[1, 2]"),
        ("a number that is none", &compared_text(&folder, |l| l["sends"]["p1"]["status"]["SEND_OK"] = json!(-1))),
        ("an unknown status", &compared_text(&folder, |l| l["sends"]["p1"]["status"] = json!({"FINE": 1}))),
        ("an unknown role", &compared_text(&folder, |l| l["clients"][0]["role"] = json!("broker"))),
        ("a client that the scenario lacks", &compared_text(&folder, |l| l["clients"][0]["node"] = json!("c9"))),
        ("a start before the warm-up", &compared_text(&folder, |l| l["clients"][0]["start_s"] = json!(-1e300))),
    ] {
        folder.file("live/small.1.json", text);
        refused(&fidelity(&folders, &[]), "small.1.json", why);
    }
    // Without a scenario it is said, and is no error; then nothing is compared, and that is no pass.
    let text = compared_text(&folder, |l| l["experiment"] = json!("other"));
    folder.file("live/small.1.json", &text);
    let output = fidelity(&folders, &[]);
    assert_eq!(exit(&output), 1, "{}", err(&output));
    assert!(out(&output).contains("other | – | not compared: there is no scenario of this name"), "{}", out(&output));
    assert!(out(&output).contains("nothing was compared"));
    // Beside the scenario of the steady run it is set up as it says itself.
    let steady = std::fs::read_to_string(folder.path("scenarios/small.json")).expect("the scenario is there");
    folder.file("scenarios/steady.json", &steady);
    let text = compared_text(&folder, |l| {
        l["experiment"] = json!("other");
        for client in l["clients"].as_array_mut().expect("it has clients") {
            (client["topic"], client["group"]) = (json!("T"), json!("cg"));
        }
    });
    folder.file("live/small.1.json", &text);
    let output = fidelity(&folders, &[]);
    assert!(
        err(&output).contains("other: there is no scenario of this name; set up as its runs say"),
        "{} {}",
        err(&output),
        out(&output)
    );
    assert!(out(&output).contains("| other | 1 |"), "{}", out(&output));
}

fn compared_text(folder: &Folder, change: impl Fn(&mut Value)) -> String {
    compared(folder, change);
    std::fs::read_to_string(folder.path("live/small.1.json")).expect("it was written")
}

#[test]
fn allocate_shows_shares_and_moves() {
    let output = windtunnel(&["allocate", "--queues", "4", "--consumers", "3", "--strategy", "all"]);
    assert_eq!(exit(&output), 0, "{}", err(&output));
    let text = out(&output);
    for word in ["AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", "cg-0", "cg-2"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let wrong = windtunnel(&["allocate", "--strategy", "BEST"]);
    assert_eq!(exit(&wrong), 2);
    assert!(wrong.stdout.is_empty() && err(&wrong).contains("AVG"), "{}", err(&wrong));
}

/// A reader that leaves (`windtunnel run … | head -1`) is no error and no panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = Folder::new("pipe");
    let file = folder.file("small.json", &changed(|_| ()));
    let mut child = command(&["run", &file, "--format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
    assert_eq!(exit(&output), 0);
}
