//! How long something took: time of this thread on a processor where the system tells it, so that neighbours who are given the core meanwhile do not
//! count. On an idle machine it is the wall's time. Shared by the benches of the product and of its rivals.

use std::time::{Duration, Instant};

/// What the act returned, and what it took.
pub(crate) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    #[allow(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let begun = Instant::now();
    let before = on_processor();
    let value = act();
    let took = begun.elapsed();
    match (before, on_processor()) {
        (Some(before), Some(after)) => (value, after - before),
        _ => (value, took),
    }
}

/// Nanoseconds that the scheduler has given this thread so far; `None` where nobody says.
pub(crate) fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
