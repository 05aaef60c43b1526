//! Law: an orderly listener never runs one queue twice at once within one life of its process. And, as a measure, in how many starts an
//! earlier message of the same queue was still in some other listener of the group.
//!
//! Within a process the queue's lock object serialises the listener whatever the cluster does, so breaking it is an error of the client. Across
//! processes nothing but the broker's lock stands between two listeners, and that can lapse: there it is counted, not forbidden. The
//! messages of one batch enter in one event and count as one start.

use super::facts::RunFacts;
use super::index::Rows;
use super::law::{Law, moment};
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug)]
struct Running {
    member: u16,
    /// Number of the process among several of one member's lives.
    consumer: u16,
    messages: u16,
    event: u64,
}

#[derive(Clone, Debug)]
pub struct Listeners {
    pub law: Law,
    zero: u64,
    /// By feed, of orderly groups only.
    running: Rows<SmallVec<[Running; 1]>>,
}

impl Listeners {
    pub fn new(facts: &RunFacts) -> Self {
        Listeners { law: Law::default(), zero: facts.zero, running: Rows::default() }
    }

    /// Whether another process of the group is still in the listener with an earlier message of this queue.
    pub fn entered(&mut self, feed: u32, member: u16, consumer: u16, event: u64, at: u64, name: impl FnOnce() -> String) -> bool {
        self.law.compare();
        let zero = self.zero;
        let running = self.running.at(feed);
        let elsewhere = running.iter().any(|r| r.member != member && r.event != event);
        match running.iter_mut().find(|r| r.member == member && r.consumer == consumer) {
            Some(own) => {
                if own.event != event {
                    self.law.break_it(|| {
                        format!(
                            "{} was entered at {} while a listener of the same process was still in it",
                            name(),
                            moment(at, zero)
                        )
                    });
                }
                own.messages += 1;
                own.event = event;
            }
            None => running.push(Running { member, consumer, messages: 1, event }),
        }
        elsewhere
    }

    pub fn left(&mut self, feed: u32, member: u16, consumer: u16) {
        let running = self.running.at(feed);
        if let Some(own) = running.iter_mut().find(|r| r.member == member && r.consumer == consumer) {
            own.messages -= 1;
        }
        running.retain(|r| r.messages > 0);
    }

    /// The member's process is gone, and its listeners with it.
    pub fn died(&mut self, member: u16) {
        for running in self.running.iter_mut() {
            running.retain(|r| r.member != member);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{counter, law_of, orderly, play_with};
    use crate::run::outcome::Verdict;

    const SENT: &str = "1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 1 pg-0 acked 0 a:0 0; 1 pg-0 began 1; 1 broker-a stored 1 a:0 1; 1 pg-0 acked 1 a:0 1;";

    #[test]
    fn two_listeners_of_one_process_in_one_queue_are_caught() {
        let of = |script: &str| law_of(orderly(), &format!("{SENT} {script}"), "an orderly listener has a queue to itself");
        assert_eq!(of("2 c1 entered 0 a:0 0; 3 c1 left 0 a:0 0; 4 c1 entered 1 a:0 1").verdict, Verdict::Pass);
        let found = of("2 c1 entered 0 a:0 0; 2.5 c1 entered 1 a:0 1; 3 c1 left 0 a:0 0");
        assert_eq!(found.detail, "broker-a:0 of cg was entered at 2.500 s while a listener of the same process was still in it");
        // Another process may (its lock lapsed), and so may the next life of the same one.
        assert_eq!(of("2 c1 entered 0 a:0 0; 2.5 c2 entered 1 a:0 1").verdict, Verdict::Pass);
        assert_eq!(of("2 c1 entered 0 a:0 0; 2.1 c1 killed; 2.2 c1 up; 2.5 c1 entered 0 a:0 0").verdict, Verdict::Pass);
    }

    #[test]
    fn overtaking_in_another_process_is_counted() {
        let of = |script: &str| counter(&play_with(orderly(), &format!("{SENT} {script}")), "order_inversions_per_queue");
        assert_eq!(of("2 c1 entered 0 a:0 0; 2.5 c2 entered 1 a:0 1"), Some(1));
        assert_eq!(of("2 c1 entered 0 a:0 0; 2.4 c1 left 0 a:0 0; 2.5 c2 entered 1 a:0 1"), Some(0));
        assert_eq!(of("2 c1 entered 0 a:0 0; 2.4 c1 killed; 2.5 c2 entered 1 a:0 1"), Some(0));
    }
}
