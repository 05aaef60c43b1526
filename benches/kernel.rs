//! The event queue alone: the hold model, beside the standard library's heap.
//!
//! `cargo bench --bench kernel`. Rivals from outside are in `benches/peers/`, which is a package of its own.

#[path = "model/hold.rs"]
mod hold;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hold::{Heap, Hold, Ours, PENDING, Queue, Shape};

/// Both queues must hand out the same events in the same order.
fn check(shape: Shape, pending: usize) {
    let turns = 3 * pending as u64 + 100_000;
    let mut ours = Hold::new(Ours::default(), shape, pending);
    let mut heap = Hold::new(Heap::default(), shape, pending);
    ours.turns(turns);
    heap.turns(turns);
    assert_eq!(ours.checksum, heap.checksum, "{shape:?}, {pending} pending: the queues disagree about the order");
}

fn bench<Q: Queue>(c: &mut Criterion, shape: Shape, name: &str, queue: impl Fn() -> Q) {
    let mut group = c.benchmark_group(format!("hold {shape:?}"));
    group.throughput(Throughput::Elements(1));
    for pending in PENDING {
        let mut hold = Hold::new(queue(), shape, pending);
        hold.turns(3 * pending as u64);
        group.bench_function(BenchmarkId::new(name, pending), |b| {
            b.iter_custom(|n| {
                #[allow(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
                let begun = std::time::Instant::now();
                hold.turns(n);
                begun.elapsed()
            });
        });
    }
    group.finish();
}

fn queues(c: &mut Criterion) {
    for shape in [Shape::Exponential, Shape::Mixed] {
        PENDING.into_iter().for_each(|pending| check(shape, pending));
        bench(c, shape, "windtunnel", Ours::default);
        bench(c, shape, "BinaryHeap, 24 bytes", Heap::default);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(500)).measurement_time(std::time::Duration::from_secs(2));
    targets = queues
}
criterion_main!(benches);
