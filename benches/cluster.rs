//! The whole product: request and answer through its simulated connections, delivered messages and events a wall second, what checks, meters and
//! digest cost, what many clients cost, how much memory a message takes, what a second core brings.
//!
//! `cargo bench --bench cluster`. It prints its figures itself: they are ratios within one run, and a run of seconds needs no statistics of
//! nanoseconds. Each pair of sides is run in turn, several times, and the median is printed with the spread.

#[path = "model/echo.rs"]
mod echo;
#[path = "model/watch.rs"]
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use watch::timed;
use windtunnel::contract::note::{Note, Observer, SendEnd, Stamp};
use windtunnel::kernel::digest::Digest;
use windtunnel::run::{Control, observe, run};
use windtunnel::scenario::{Known, Overrides, load, parse};
use windtunnel::world::spec::Spec;

/// Runs of each side.
const ROUNDS: usize = 5;

/// What one run took, and what it did meanwhile.
#[derive(Clone, Copy, Debug)]
struct Run {
    took: Duration,
    events: u64,
    delivered: u64,
    digest: u64,
}

impl Run {
    fn messages_a_second(self) -> f64 {
        self.delivered as f64 / self.took.as_secs_f64()
    }
    fn ns_an_event(self) -> f64 {
        self.took.as_nanos() as f64 / self.events as f64
    }
}

/// With every check and meter, as the command runs it, up to the judged outcome.
fn whole(spec: &Spec) -> Run {
    let stop = AtomicBool::new(false);
    let (outcome, took) = timed(|| run(spec, &Control { stop: &stop, progress: None }));
    let delivered = outcome.counters.iter().find(|c| c.name == "delivered").and_then(|c| c.value).unwrap_or(0) as u64;
    let lost = outcome.counters.iter().find(|c| c.name == "lost").and_then(|c| c.value);
    assert_eq!(lost, Some(0), "{}: messages are missing, so the figure means nothing", spec.name);
    Run { took, events: outcome.header.events, delivered, digest: outcome.header.digest }
}

/// With an observer of its own; the drain lasts as long as the scenario allows, which quiet clusters do not feel.
fn observed<O: Observer>(spec: &Spec, observer: O) -> Run {
    let ((_, digest, events), took) = timed(|| observe(spec, observer));
    Run { took, events, delivered: 0, digest }
}

/// Both sides in turn; the median of each, and how far the runs lie apart.
fn pair(mut a: impl FnMut() -> Run, mut b: impl FnMut() -> Run) -> (Run, Run) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_a.push(a());
        of_b.push(b());
    }
    (median(&mut of_a), median(&mut of_b))
}

fn median(runs: &mut [Run]) -> Run {
    assert!(runs.iter().all(|r| r.digest == runs[0].digest), "runs of one seed differ");
    runs.sort_by_key(|r| r.took);
    let (first, last) = (runs[0].took.as_secs_f64(), runs[runs.len() - 1].took.as_secs_f64());
    println!("    {ROUNDS} runs of {} events, {first:.3} s to {last:.3} s", runs[0].events);
    runs[runs.len() / 2]
}

fn scenario(text: &str, name: &str) -> Spec {
    match parse(name, text, &Overrides::default(), &Known::default()) {
        Ok(loaded) => loaded.spec,
        Err(errors) => panic!("{errors}"),
    }
}

/// Groups of 10 producers and 20 consumers, each with a topic of its own; together 20,000 messages a second, as in `bench-2m`.
fn groups(n: usize) -> Spec {
    let rate = 2_000_000 / n;
    let list = |item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",\n");
    let text = format!(
        r#"{{
  "question": "What does an event cost with so many clients?",
  "duration": "8s", "drain": "30s", "nameservers": 2,
  "brokers": [{{"brokerName": "broker-a"}}, {{"brokerName": "broker-b"}}],
  "topics": [{}],
  "producers": [{}],
  "consumers": [{}]
}}"#,
        list(&|i| format!(r#"{{"name": "orders-{i}", "queues": 8}}"#)),
        list(&|i| format!(
            r#"{{"group": "pg-{i}", "count": 10, "topic": "orders-{i}", "rate": "{}.{:03}/s", "arrivals": "poisson", "threads": 16}}"#,
            rate / 1000,
            rate % 1000
        )),
        list(&|i| format!(
            r#"{{"group": "cg-{i}", "count": 20, "topic": "orders-{i}", "service_time": {{"p50": "1ms", "p99": "5ms"}}}}"#
        )),
    );
    scenario(&text, &format!("{} clients", 30 * n))
}

/// Counts the sends that were answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answered(u64);

impl Observer for Answered {
    fn note(&mut self, _: Stamp, note: &Note) {
        self.0 += matches!(note, Note::SendEnded { end: SendEnd::Acked { .. }, .. }) as u64;
    }
}

/// Producers only: a send is a request, its acknowledgement the answer, and both travel through the world's sockets.
fn senders(brokers: u16, clients: u16, drain: &str) -> Spec {
    let list = (0..brokers).map(|i| format!(r#"{{"brokerName": "broker-{i}"}}"#)).collect::<Vec<_>>().join(", ");
    let text = format!(
        r#"{{
  "question": "What does a request and its answer cost?",
  "duration": "4s", "drain": "{drain}", "nameservers": 1,
  "brokers": [{list}],
  "topics": [{{"name": "orders", "queues": 4}}],
  "producers": [{{"group": "pg", "count": {clients}, "topic": "orders", "rate": "{}/s", "arrivals": "poisson", "threads": 16}}]
}}"#,
        100_000 / clients as u32
    );
    scenario(&text, &format!("{brokers} x {clients}"))
}

/// Request and answer: plain state machines on the kernel, which is what rivals are given to do, and RocketMQ's own on the whole world.
fn request_and_answer() {
    for (servers, clients) in echo::SIZES {
        let spec = senders(servers, clients, "1s");
        println!("request and answer, {servers} servers x {clients} clients, digest on");
        let plain = || {
            let mut echo = echo::Echo::new(servers, clients, 1_000_000 / clients as u32);
            let (digest, took) = timed(|| echo.run());
            Run { took, events: echo.messages, delivered: 0, digest }
        };
        let sends = || {
            let ((answered, digest, events), took) = timed(|| observe(&spec, Answered::default()));
            Run { took, events, delivered: 2 * answered.0, digest }
        };
        let (plain, sends) = pair(plain, sends);
        println!("  plain, ns a message          {:>12.1}", plain.ns_an_event());
        println!(
            "  RocketMQ sends, ns a message {:>12.1}   {:.2} events a message, {:.1} ns an event",
            sends.took.as_nanos() as f64 / sends.delivered as f64,
            sends.events as f64 / sends.delivered as f64,
            sends.ns_an_event()
        );
    }
}

/// What the digest alone takes: its two words of so many events, folded in a loop of their own.
fn digest_of(events: u64) -> Duration {
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        let mut digest = Digest::default();
        let ((), took) = timed(|| {
            for event in 0..events {
                digest.word(event << 10);
                digest.word(event << 32 | 7);
            }
        });
        assert_ne!(digest.value(), 0);
        runs.push(took);
    }
    runs.sort();
    runs[ROUNDS / 2]
}

/// The most memory this process has held so far, bytes; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Messages that nobody consumes, with every check on: what each of them holds until the end of the run. Growing vectors count as they peak.
fn memory() {
    let few = whole_sends(&Spec { duration: 1_000_000_000, ..senders(2, 10, "1s") });
    let (before, Some(_)) = (peak(), peak()) else { return };
    let many = whole_sends(&Spec { duration: 20_000_000_000, ..senders(2, 10, "1s") });
    if let (Some(before), Some(after)) = (before, peak()) {
        println!("memory of {} messages in logs, with their stamps", many);
        println!("  bytes a message, at peak     {:>12.1}", (after - before) as f64 / (many - few) as f64);
    }
}

fn whole_sends(spec: &Spec) -> u64 {
    let stop = AtomicBool::new(false);
    let outcome = run(spec, &Control { stop: &stop, progress: None });
    outcome.counters.iter().find(|c| c.name == "acked").and_then(|c| c.value).unwrap_or(0) as u64
}

/// Several seeds, one after the other or on two threads.
fn seeds(spec: &Spec, threads: usize) -> Duration {
    let specs: Vec<Arc<Spec>> = (0..16).map(|seed| Arc::new(Spec { seed, ..spec.clone() })).collect();
    let pool = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool,
        Err(error) => panic!("{error}"),
    };
    // Here the wall counts: it is what a second core is to shorten.
    #[allow(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let begun = Instant::now();
    pool.scope(|scope| {
        for chunk in specs.chunks(specs.len() / threads) {
            scope.spawn(move |_| chunk.iter().for_each(|spec| assert!(whole(spec).events > 0)));
        }
    });
    begun.elapsed()
}

/// A scenario that the floors speak of, and what its checks, meters and digest take.
fn whole_product(bench: &Spec) {
    // The bare world does not know when it has drained, so that both sides get the same short drain.
    let steady = Spec { drain: 3_000_000_000, ..bench.clone() };
    println!("{}, every check and the digest on, against no observer", bench.name);
    let (with, without) = pair(|| whole(&steady), || observed(&steady, ()));
    assert_eq!(with.digest, without.digest, "an observer changed the run");
    println!("  delivered messages a second  {:>12.0}", with.messages_a_second());
    println!("  events a second              {:>12.0}", 1e9 / with.ns_an_event());
    println!("  events a delivered message   {:>12.2}", with.events as f64 / with.delivered as f64);
    println!("  ns an event                  {:>12.1}   without observer {:.1}", with.ns_an_event(), without.ns_an_event());
    println!("  share of checks and meters   {:>11.1} %", 100.0 * (1.0 - without.took.as_secs_f64() / with.took.as_secs_f64()));
    let digest = digest_of(with.events);
    println!("  share of the digest, about   {:>11.1} %", 100.0 * digest.as_secs_f64() / with.took.as_secs_f64());
}

fn many_clients() {
    for n in [34, 334] {
        let (few, many) = (groups(1), groups(n));
        println!("{} against {}, 20,000 messages a second together", many.name, few.name);
        let (a, b) = pair(|| whole(&few), || whole(&many));
        println!("  ns an event                  {:>12.1}   with few {:.1}", b.ns_an_event(), a.ns_an_event());
        println!("  cost an event, ratio         {:>12.2}", b.ns_an_event() / a.ns_an_event());
    }
}

fn two_threads(bench: &Spec) {
    println!("16 seeds of bench-2m, one thread against two");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        one.push(seeds(bench, 1).as_secs_f64());
        two.push(seeds(bench, 2).as_secs_f64());
    }
    one.sort_by(f64::total_cmp);
    two.sort_by(f64::total_cmp);
    println!("  two threads, times as fast   {:>12.2}", one[1] / two[1]);
}

fn main() {
    let shipped = |name: &str| {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).join(name);
        match load(&file, &Overrides::default()) {
            Ok(loaded) => loaded.spec,
            Err(errors) => panic!("{errors}"),
        }
    };
    let (bench, replicated) = (shipped("bench-2m.json"), shipped("bench-2m-2s.json"));
    // Words choose sections: `cargo bench --bench cluster -- bench-2m`. Cargo's own `--bench` is no word.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |section: &str| words.is_empty() || words.iter().any(|word| section == word);
    // Memory first, while nothing else has been held.
    let sections: [(&str, &dyn Fn()); 6] = [
        ("memory", &memory),
        ("request-answer", &request_and_answer),
        ("bench-2m", &|| whole_product(&bench)),
        ("bench-2m-2s", &|| whole_product(&replicated)),
        ("many-clients", &many_clients),
        ("two-threads", &|| two_threads(&bench)),
    ];
    sections.into_iter().filter(|section| wanted(section.0)).for_each(|section| (section.1)());
}
