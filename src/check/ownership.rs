//! Who owns each queue, and for how long nobody or two did.
//!
//! An owner is a live process that holds the queue: assigned and not yet revoked, and for orderly groups also locked in its own view. What
//! counts is the truth seen from above: a killed process owns nothing from that instant, whatever lists say, while a frozen one still does,
//! since it will go on where it stopped; time in which only frozen owners hold a queue is counted apart. Every change closes the stretch before
//! it, so unowned, single and overlapping stretches add up to the whole by construction. Counted are queues of subscribed ordinary
//! topics, in clustering groups, from time 0 to the end of the load.

use super::facts::RunFacts;
use super::index::Rows;
use smallvec::SmallVec;

/// Why nobody owns a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unowned {
    #[default]
    NeverAssigned,
    OwnerDied,
    GivenUp,
    NotLocked,
    BrokerDown,
    BrokerFrozen,
}

impl Unowned {
    pub const ALL: [Unowned; 6] = [
        Unowned::NeverAssigned,
        Unowned::OwnerDied,
        Unowned::GivenUp,
        Unowned::NotLocked,
        Unowned::BrokerDown,
        Unowned::BrokerFrozen,
    ];
    pub const fn name(self) -> &'static str {
        match self {
            Unowned::NeverAssigned => "never assigned yet",
            Unowned::OwnerDied => "its owner died",
            Unowned::GivenUp => "given up by its holder",
            Unowned::NotLocked => "held, but not locked",
            Unowned::BrokerDown => "its broker is down",
            Unowned::BrokerFrozen => "its broker is frozen",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    member: u16,
    orderly: bool,
    locked: bool,
    frozen: bool,
}

impl Holder {
    fn owns(self) -> bool {
        !self.orderly || self.locked
    }
}

/// Queue-time of one feed or group, ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueTime {
    pub unowned: [u64; 6],
    pub single: u64,
    pub overlap: u64,
    /// Part of `single` and `overlap` in which every owner was frozen.
    pub frozen: u64,
}

impl QueueTime {
    pub fn total(&self) -> u64 {
        self.unowned.iter().sum::<u64>() + self.single + self.overlap
    }
    pub fn add(&mut self, other: &QueueTime) {
        for (mine, theirs) in self.unowned.iter_mut().zip(other.unowned) {
            *mine += theirs;
        }
        self.single += other.single;
        self.overlap += other.overlap;
        self.frozen += other.frozen;
    }
}

/// From when on, and the members.
pub type Span = (u64, SmallVec<[u16; 2]>);

/// Rows of the chart stay readable and bounded: more changes than this extend the last span.
const MAX_SPANS: usize = 4096;

#[derive(Clone, Debug, Default)]
struct Row {
    holders: SmallVec<[Holder; 2]>,
    /// Up to here the time is accounted for.
    since: u64,
    known: bool,
    /// Why its broker does not answer, if it does not.
    silent: Option<Unowned>,
    lost: Unowned,
    time: QueueTime,
    spans: Vec<Span>,
    last_member: Option<u16>,
    moves: u64,
}

#[derive(Clone, Debug)]
pub struct Ownership {
    zero: u64,
    load_end: u64,
    /// Feeds that exist from the beginning; later ones count from their first message or owner.
    initial: u32,
    rows: Rows<Row>,
}

impl Ownership {
    pub fn new(facts: &RunFacts, initial: u32) -> Self {
        Ownership { zero: facts.zero, load_end: facts.load_end, initial, rows: Rows::default() }
    }

    /// Closes the stretch up to `at`, then applies a change.
    fn change<R>(&mut self, feed: u32, at: u64, apply: impl FnOnce(&mut Row) -> R) -> R {
        let (zero, load_end, initial) = (self.zero, self.load_end, self.initial);
        let row = self.rows.at(feed);
        if !row.known {
            row.known = true;
            if feed >= initial {
                row.since = at;
            }
        }
        let length = at.min(load_end).saturating_sub(row.since.max(zero));
        row.since = at;
        let owners = row.holders.iter().filter(|h| h.owns()).count();
        match owners {
            0 => {
                let held = (!row.holders.is_empty()).then_some(Unowned::NotLocked);
                row.time.unowned[row.silent.or(held).unwrap_or(row.lost) as usize] += length;
            }
            1 => row.time.single += length,
            _ => row.time.overlap += length,
        }
        if owners > 0 && row.holders.iter().filter(|h| h.owns()).all(|h| h.frozen) {
            row.time.frozen += length;
        }
        let result = apply(row);
        let now: SmallVec<[u16; 2]> = row.holders.iter().filter(|h| h.owns()).map(|h| h.member).collect();
        match row.spans.last() {
            Some((_, before)) if *before == now => {}
            None if now.is_empty() => {}
            _ if row.spans.len() >= MAX_SPANS => {}
            _ => row.spans.push((at, now)),
        }
        result
    }

    /// The run ended before its load did.
    pub fn shorten(&mut self, end: u64) {
        self.load_end = self.load_end.min(end);
    }

    /// A message lies in the queue: from now on somebody should own it (H08).
    #[inline]
    pub fn stored(&mut self, feed: u32, at: u64) {
        if feed >= self.initial && self.rows.get(feed).is_none_or(|row| !row.known) {
            self.change(feed, at, |_| ());
        }
    }

    pub fn assigned(&mut self, feed: u32, member: u16, orderly: bool, at: u64) {
        let load = self.zero..self.load_end;
        self.change(feed, at, |row| {
            row.holders.retain(|h| h.member != member);
            row.holders.push(Holder { member, orderly, locked: false, frozen: false });
            let moved = row.last_member.replace(member).is_some_and(|last| last != member);
            row.moves += (moved && load.contains(&at)) as u64;
        });
    }

    pub fn revoked(&mut self, feed: u32, member: u16, at: u64) {
        self.lose(feed, member, Unowned::GivenUp, at);
    }

    /// The holder's process died. Says whether it held the queue.
    pub fn died(&mut self, feed: u32, member: u16, at: u64) -> bool {
        self.lose(feed, member, Unowned::OwnerDied, at)
    }

    fn lose(&mut self, feed: u32, member: u16, why: Unowned, at: u64) -> bool {
        if !self.holds(feed, member) {
            return false;
        }
        self.change(feed, at, |row| {
            row.holders.retain(|h| h.member != member);
            row.lost = why;
        });
        true
    }

    /// The member's own view of the broker's lock.
    pub fn locked(&mut self, feed: u32, member: u16, locked: bool, at: u64) {
        self.change(feed, at, |row| {
            if let Some(holder) = row.holders.iter_mut().find(|h| h.member == member) {
                holder.locked = locked;
            }
        });
    }

    /// The holder's process was frozen or thawed. Says whether it held the queue.
    pub fn frozen(&mut self, feed: u32, member: u16, frozen: bool, at: u64) -> bool {
        if !self.holds(feed, member) {
            return false;
        }
        self.change(feed, at, |row| row.holders.iter_mut().filter(|h| h.member == member).for_each(|h| h.frozen = frozen));
        true
    }

    /// Its broker fell silent, as [`Unowned::BrokerDown`] or [`Unowned::BrokerFrozen`], or answers again.
    pub fn broker(&mut self, feed: u32, silent: Option<Unowned>, at: u64) {
        if feed < self.initial || self.rows.get(feed).is_some_and(|row| row.known) {
            self.change(feed, at, |row| row.silent = silent);
        }
    }

    pub fn holds(&self, feed: u32, member: u16) -> bool {
        self.rows.get(feed).is_some_and(|row| row.holders.iter().any(|h| h.member == member))
    }

    /// Processes that hold the queue, locked or not.
    #[inline]
    pub fn holders(&self, feed: u32) -> usize {
        self.rows.get(feed).map_or(0, |row| row.holders.len())
    }

    /// Holders that are not frozen.
    pub fn awake_holders(&self, feed: u32) -> usize {
        self.rows.get(feed).map_or(0, |row| row.holders.iter().filter(|h| !h.frozen).count())
    }

    /// Holders, as members.
    pub fn members(&self, feed: u32) -> impl Iterator<Item = u16> + '_ {
        self.rows.get(feed).into_iter().flat_map(|row| row.holders.iter().map(|h| h.member))
    }

    /// Accounts for the rest of the load. Call once for each feed at the end.
    pub fn close(&mut self, feed: u32) {
        if feed < self.initial || self.rows.get(feed).is_some_and(|row| row.known) {
            let end = self.load_end.max(self.rows.at(feed).since);
            self.change(feed, end, |_| ());
        }
    }

    pub fn time(&self, feed: u32) -> QueueTime {
        self.rows.get(feed).map_or_else(QueueTime::default, |row| row.time)
    }
    pub fn moves(&self, feed: u32) -> u64 {
        self.rows.get(feed).map_or(0, |row| row.moves)
    }
    /// From the first owner on.
    pub fn spans(&self, feed: u32) -> &[Span] {
        self.rows.get(feed).map_or(&[], |row| &row.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SEC;
    use crate::check::script::{causes, counter, facts, orderly, play, play_with};
    use proptest::prelude::*;

    const S: i64 = SEC as i64;
    /// Everything but `a:0` is owned by c3 throughout.
    const REST: &str = "0 c3 assigned a:1 0; 0 c3 assigned b:0 0; 0 c3 assigned b:1 0;";

    #[test]
    fn unowned_overlapping_and_frozen_stretches() {
        let of = |script: &str| {
            let found = play(&format!("{REST} {script}"));
            ["unowned_queue_time", "overlap_queue_time", "frozen_owner_queue_time", "queue_moves"]
                .map(|name| counter(&found, name).unwrap())
        };
        assert_eq!(of("0 c1 assigned a:0 0"), [0, 0, 0, 0]);
        assert_eq!(of("0 c1 assigned a:0 0; 10 c1 revoked a:0; 15 c2 assigned a:0 0"), [5 * S, 0, 0, 1]);
        assert_eq!(of("0 c1 assigned a:0 0; 10 c2 assigned a:0 0; 12 c1 revoked a:0"), [0, 2 * S, 0, 1]);
        assert_eq!(of("0 c1 assigned a:0 0; 10 c1 killed; 11 c2 assigned a:0 0"), [S, 0, 0, 1]);
        assert_eq!(
            of("0 c1 assigned a:0 0; 10 c1 frozen; 30 c2 assigned a:0 0; 31 c1 thawed; 32 c1 revoked a:0"),
            [0, 2 * S, 20 * S, 1]
        );
        // The drain after the load (100 s) is not counted.
        assert_eq!(of("0 c1 assigned a:0 0; 99 c1 revoked a:0"), [S, 0, 0, 0]);
    }

    #[test]
    fn a_frozen_broker_is_not_called_down() {
        let of = |what: &str| {
            let script = format!("{REST} 0 c1 assigned a:0 0; 10 c1 revoked a:0; 12 broker-a {what}; 20 c2 assigned a:0 0");
            causes(&play(&script), "unowned_queue_time")
        };
        for (what, why) in
            [("killed", "down"), ("hostlost", "down"), ("frozen", "frozen"), ("frozen; 13 broker-a killed", "frozen")]
        {
            assert!(of(what).contains(&format!("its broker is {why}")), "{what}: {}", of(what));
        }
        assert_eq!(of("frozen; 15 broker-a thawed"), "given up by its holder 7000000000, its broker is frozen 3000000000");
    }

    #[test]
    fn an_orderly_owner_needs_its_lock() {
        let script = "0 c1 assigned a:0 0 orderly; 4 c1 locked a:0; 50 c1 unlocked a:0; 51 c1 locked a:0; 0 c1 assigned a:1 0; 0 c1 assigned b:0 0; 0 c1 assigned b:1 0";
        let found = play_with(orderly(), script);
        assert_eq!(causes(&found, "unowned_queue_time"), "held, but not locked 5000000000");
        let row = found.series.ownership.iter().find(|r| r.queue == "broker-a:0").unwrap();
        assert_eq!(
            row.spans,
            vec![(4.0, 50.0, vec!["c1".to_owned()]), (50.0, 51.0, vec![]), (51.0, 200.0, vec!["c1".to_owned()])]
        );
    }

    proptest! {
        /// Segments sum to the whole: every instant of the load is unowned, single or overlapping, whatever happens.
        #[test]
        fn stretches_sum_to_the_whole(steps in proptest::collection::vec((0u64..40, 0u8..7, 0u16..3), 0..60)) {
            let facts = facts();
            let mut ownership = Ownership::new(&facts, 1);
            let mut at = 0;
            for (wait, what, member) in steps {
                at += wait * SEC / 10;
                match what {
                    0 | 1 => ownership.assigned(0, member, what == 1, at),
                    2 => ownership.revoked(0, member, at),
                    3 => drop(ownership.died(0, member, at)),
                    4 => ownership.locked(0, member, true, at),
                    5 => drop(ownership.frozen(0, member, true, at)),
                    _ => ownership.broker(0, (member == 0).then_some(Unowned::BrokerDown), at),
                }
            }
            ownership.close(0);
            prop_assert_eq!(ownership.time(0).total(), facts.load_end - facts.zero);
            prop_assert!(ownership.time(0).frozen <= ownership.time(0).single + ownership.time(0).overlap);
        }
    }
}
