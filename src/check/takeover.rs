//! Takeover: from the death or freeze of a member until each queue it held has a new owner.
//!
//! The truth fixes the beginning (the process died, was frozen), the ownership of another process, or of the next life of the same one,
//! the end. A thaw ends it too: the old owner goes on. Deaths in the warm-up are nobody's concern; what is still without an owner at the
//! end of the load is measured up to there.

use smallvec::SmallVec;

#[derive(Clone, Copy, Debug)]
struct Pending {
    feed: u32,
    member: u16,
    since: u64,
    frozen: bool,
}

/// How a takeover ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    By(u16),
    Thawed,
    Never,
}

/// One queue's takeover.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub feed: u32,
    pub from: u16,
    pub frozen: bool,
    pub ending: Ending,
    /// ns
    pub took: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Takeover {
    zero: u64,
    load_end: u64,
    pending: Vec<Pending>,
    /// The longest first; bounded.
    taken: Vec<Taken>,
}

/// More rows than this nobody reads.
const KEPT: usize = 256;

impl Takeover {
    pub fn new(zero: u64, load_end: u64) -> Self {
        Takeover { zero, load_end, pending: Vec::new(), taken: Vec::new() }
    }

    /// The run ended before its load did.
    pub fn shorten(&mut self, end: u64) {
        self.load_end = self.load_end.min(end);
    }

    /// A holder of the queue went silent.
    pub fn lost(&mut self, feed: u32, member: u16, frozen: bool, at: u64) {
        if (self.zero..self.load_end).contains(&at) {
            // Killed while frozen: it has been silent since the freeze.
            match self.pending.iter_mut().find(|p| p.feed == feed && p.member == member) {
                Some(pending) => pending.frozen = frozen,
                None => self.pending.push(Pending { feed, member, since: at, frozen }),
            }
        }
    }

    fn end(&mut self, which: impl Fn(&Pending) -> bool, ending: Ending, at: u64) {
        let ended: SmallVec<[Pending; 4]> = self.pending.iter().copied().filter(|p| which(p)).collect();
        self.pending.retain(|p| !which(p));
        for p in ended {
            let took = at.min(self.load_end) - p.since;
            let place = self.taken.partition_point(|t| t.took >= took);
            self.taken.insert(place, Taken { feed: p.feed, from: p.member, frozen: p.frozen, ending, took });
            self.taken.truncate(KEPT);
        }
    }

    /// A member became owner of the queue.
    pub fn gained(&mut self, feed: u32, member: u16, at: u64) {
        if !self.pending.is_empty() {
            self.end(|p| p.feed == feed && (!p.frozen || p.member != member), Ending::By(member), at);
        }
    }

    pub fn thawed(&mut self, member: u16, at: u64) {
        self.end(|p| p.member == member && p.frozen, Ending::Thawed, at);
    }

    /// What is still without an owner at the end of the load.
    pub fn finish(&mut self) {
        self.end(|_| true, Ending::Never, self.load_end);
    }

    /// The longest first.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }
}

#[cfg(test)]
mod tests {
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, orderly, play, play_with};

    const HELD: &str = "0 c1 assigned a:0 0; 0 c1 assigned a:1 0; 0 c2 assigned b:0 0; 0 c2 assigned b:1 0;";

    #[test]
    fn each_queue_of_the_dead_is_timed() {
        let found =
            play(&format!("{HELD} 10 c1 killed; 12 c2 assigned a:0 0; 13.5 c3 assigned a:1 0; 50 c1 up; 51 c1 assigned a:0 0"));
        assert_eq!(causes(&found, "takeover"), "broker-a:1 from c1 by c3 3500000000, broker-a:0 from c1 by c2 2000000000");
        assert_eq!(counter(&found, "takeover"), Some(3_500_000_000));
        assert_eq!(counter(&play(HELD), "takeover"), None);
        let graceful = format!("{HELD} 10 c1 revoked a:0; 10 c1 revoked a:1; 10.1 c1 exited");
        assert_eq!(counter(&play(&graceful), "takeover"), None);
    }

    #[test]
    fn a_thaw_ends_it_and_an_orderly_queue_waits_for_its_lock() {
        let frozen = play(&format!("{HELD} 10 c1 frozen; 30 c2 assigned a:0 0; 40 c1 thawed"));
        assert_eq!(causes(&frozen, "takeover"), "broker-a:1 from c1 thawed 30000000000, broker-a:0 from c1 by c2 20000000000");
        let lapse =
            "0 c1 assigned a:0 0 orderly; 0 c1 locked a:0; 10 c1 killed; 11 c2 assigned a:0 0 orderly; 70.5 c2 locked a:0";
        assert_eq!(counter(&play_with(orderly(), lapse), "takeover"), Some(60 * SEC as i64 + SEC as i64 / 2));
        let never = play(&format!("{HELD} 90 c2 hostlost"));
        assert_eq!(counter(&never, "takeover"), Some(10 * SEC as i64));
    }
}
