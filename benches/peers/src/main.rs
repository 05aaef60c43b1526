//! Rivals, measured beside the product in one run: figures of different days, machines or neighbours are not compared.
//!
//! `cd benches/peers && cargo run --release`. Each pair is run in turn, several times; printed are the medians and their ratio. The hold model gives
//! every queue the same delays and compares a checksum of the order; request and answer gives every engine the same number of messages of
//! 16 bytes over connections that stay open, each hop about 1 ms.

mod desque_hold;
#[path = "../../model/echo.rs"]
#[allow(dead_code, reason = "shared with the product's benches")]
mod echo;
#[path = "../../model/hold.rs"]
#[allow(dead_code, reason = "shared with the product's benches")]
mod hold;
mod tcp_madsim;
mod tcp_turmoil;
#[path = "../../model/watch.rs"]
mod watch;

use hold::{Heap, Hold, Ours, Shape};
use std::time::Duration;
use watch::timed;

/// Runs of each side.
const ROUNDS: usize = 5;

/// The sides in turn, so that a noisy neighbour meets all of them; nanoseconds a unit, the median of each.
fn medians(sides: &mut [(&str, u64, Box<dyn FnMut() -> Duration + '_>)]) -> Vec<f64> {
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for (i, (_, units, side)) in sides.iter_mut().enumerate() {
            all[i].push(side().as_nanos() as f64 / *units as f64);
        }
    }
    all.iter_mut()
        .map(|runs| {
            runs.sort_by(f64::total_cmp);
            runs[runs.len() / 2]
        })
        .collect()
}

fn print(what: &str, sides: &[&str], medians: &[f64]) {
    println!("{what}");
    for (name, ns) in sides.iter().zip(medians) {
        println!("  {name:<34} {ns:>10.1} ns {:>9.2} x ours", ns / medians[0]);
    }
}

fn hold_model(pending: usize) {
    const TURNS: u64 = 2_000_000;
    let shape = Shape::Exponential;
    let mut ours = Hold::new(Ours::default(), shape, pending);
    let mut heap = Hold::new(Heap::default(), shape, pending);
    let mut rival = desque_hold::Hold::new(shape, pending);
    let before = 3 * pending as u64;
    ours.turns(before);
    heap.turns(before);
    rival.turns(before);
    assert_eq!(ours.checksum, heap.checksum, "the heap orders otherwise");
    assert_eq!(ours.checksum, rival.checksum(), "desque orders otherwise");
    let names = ["windtunnel", "std BinaryHeap, 24-byte entries", "desque 0.4"];
    let medians = medians(&mut [
        (names[0], TURNS, Box::new(|| timed(|| ours.turns(TURNS)).1)),
        (names[1], TURNS, Box::new(|| timed(|| heap.turns(TURNS)).1)),
        (names[2], TURNS, Box::new(|| timed(|| rival.turns(TURNS)).1)),
    ]);
    print(&format!("hold model, {pending} pending, exponential delays; an event"), &names, &medians);
}

fn request_and_answer(servers: u16, clients: u16) {
    // As many as take about a second; the figure is a message, and none of the engines gets slower with their number.
    let ours = 1_000_000 / clients as u32;
    let madsim = 60_000 / clients as u32;
    let turmoil = if servers > 3 { 10_000 } else { 20_000 } / clients as u32;
    let names = ["windtunnel's kernel, digest on", "madsim TCP", "turmoil TCP, 1 ms tick"];
    let messages = |requests: u32| 2 * requests as u64 * clients as u64;
    let digest = echo::Echo::new(servers, clients, ours).run();
    let medians = medians(&mut [
        (
            names[0],
            messages(ours),
            Box::new(|| {
                let mut echo = echo::Echo::new(servers, clients, ours);
                let ((), took) = timed(|| assert_eq!(echo.run(), digest, "runs of one seed differ"));
                assert_eq!(echo.messages, messages(ours));
                took
            }),
        ),
        (names[1], messages(madsim), Box::new(|| tcp_madsim::run(servers, clients, madsim))),
        (names[2], messages(turmoil), Box::new(|| tcp_turmoil::run(servers, clients, turmoil))),
    ]);
    print(&format!("request and answer, {servers} servers x {clients} clients; a message"), &names, &medians);
}

fn main() {
    hold_model(1_000);
    hold_model(16_000);
    hold_model(1_000_000);
    request_and_answer(3, 10);
    request_and_answer(30, 100);
}
