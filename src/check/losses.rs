//! What did not arrive, and what arrived although it should not have: one pass over all messages at the end.
//!
//! *Lost*: acknowledged, and never delivered to a clustering group that subscribes to it. A group owes nothing for messages older than
//! itself and below the offset at which it began; everything sent while it existed is owed, whatever offset policy it follows. *Skipped*: stored,
//! owed, below the group's committed offset, never delivered: nobody will ever look there again. *Ghosts*: delivered, then
//! discarded from the log at recovery. Records that recovery discards are marked when it happens, since their offsets are used again; those that
//! expire with their log file leave an offset of their queue below which nothing is.

use super::delivery::Delivery;
use super::facts::{RunFacts, TagFilter};
use super::index::Index;
use super::ledger::{Ledger, Message, STATUSES};
use super::offsets::Offsets;
use crate::base::ids::{GroupId, TopicId};
use crate::base::time::MS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why an acknowledged message did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its record was discarded at recovery.
    Discarded,
    /// Its record is in the log, but the entry of its consume queue was lost, and nothing dispatched it again.
    Unindexed,
    /// Its log file was deleted, by age or for want of room.
    Expired,
    /// The committed offset moved past it.
    Skipped,
    /// Sent one way, which counts as answered when it is written, and not stored by any broker.
    Unstored,
    /// It is still in the log, or parked.
    Waiting,
}

impl Lost {
    pub const ALL: [Lost; 6] = [Lost::Discarded, Lost::Unindexed, Lost::Expired, Lost::Skipped, Lost::Unstored, Lost::Waiting];
    pub const fn name(self) -> &'static str {
        match self {
            Lost::Discarded => "discarded at recovery",
            Lost::Unindexed => "in the log and in no consume queue",
            Lost::Expired => "expired: its log file was deleted before it was delivered",
            Lost::Skipped => "passed over by the committed offset",
            Lost::Unstored => "sent one way and stored nowhere",
            Lost::Waiting => "not delivered by the end",
        }
    }
}

/// The result for one group.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// By status (the fifth: preloaded) and reason.
    pub lost: [[u64; Lost::ALL.len()]; 5],
    pub lost_at_load_end: u64,
    /// Deliveries that were owed: of acknowledged or preloaded messages, one a group or a member of a broadcasting one.
    pub owed: u64,
    /// The lost ones of each member of a broadcasting group, in the order of its members.
    pub missed: Vec<u64>,
    pub skipped: u64,
    /// Delivered although the call was refused, and although its fate was unknown to the sender.
    pub refused: u64,
    pub unsure: u64,
    /// Delivered, and nobody ever heard how the call ended.
    pub unheard: u64,
    /// By feed: due time of the oldest message that is not yet committed, ns.
    pub oldest: BTreeMap<u32, u64>,
    /// By feed: messages not yet committed that nobody has got either, and the due time of the oldest, ns.
    pub undelivered: BTreeMap<u32, (u64, u64)>,
}

impl Losses {
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().flatten().sum()
    }
    pub fn lost_by(&self, why: Lost) -> u64 {
        self.lost.iter().map(|by| by[why as usize]).sum()
    }
    /// Part of the lost that no waiting would bring: passed over, or gone from the log.
    pub fn lost_for_good(&self) -> u64 {
        self.lost_by(Lost::Discarded) + self.lost_by(Lost::Unindexed) + self.lost_by(Lost::Expired) + self.lost_by(Lost::Skipped)
    }
    /// "SEND_OK, discarded at recovery" and how many.
    pub fn lost_causes(&self) -> impl Iterator<Item = (String, i64)> + '_ {
        (0..5).flat_map(move |status| {
            let name = STATUSES.get(status).map_or("preloaded", |s| s.name());
            Lost::ALL.into_iter().map(move |why| (format!("{name}, {}", why.name()), self.lost[status][why as usize] as i64))
        })
    }
}

/// Truncations of one recovery, applied to the ledger together: `mark` is what their messages are from now on. Returns how many of them somebody had
/// been given.
pub fn discard(
    ledger: &mut Ledger,
    delivery: &Delivery,
    cuts: &[(u32, u64)],
    mark: u16,
    mut tell: impl FnMut(usize, usize, &Message),
) -> u64 {
    let mut from: Vec<u64> = Vec::new();
    for &(queue, offset) in cuts {
        if from.len() <= queue as usize {
            from.resize(queue as usize + 1, u64::MAX);
        }
        from[queue as usize] = from[queue as usize].min(offset);
    }
    let cut = |queue: u32, offset: u32| from.get(queue as usize).is_some_and(|from| offset as u64 >= *from);
    let mut ghosts = 0;
    for msg in ledger.cut_copies(cut) {
        let (Some(table), Some(row)) = (ledger.table(msg), ledger.row(msg)) else { continue };
        tell(table, msg.n() as usize, row);
        row.set(mark);
        ghosts += delivery.anywhere(table, msg.n() as usize) as u64;
    }
    for (table, rows) in ledger.tables_mut() {
        for (n, row) in rows.iter_mut().enumerate() {
            if row.is(Message::PLACED) && !row.is(Message::GONE | Message::TWICE) && cut(row.queue, row.offset) {
                tell(table, n, row);
                row.set(mark);
                ghosts += delivery.anywhere(table, n) as u64;
            }
        }
    }
    ghosts
}

/// What a group wants of one producer's messages.
enum Wanted {
    Nothing,
    All,
    /// By tag number.
    Tags(Vec<bool>),
}

impl Wanted {
    fn has(&self, n: usize) -> bool {
        match self {
            Wanted::Nothing => false,
            Wanted::All => true,
            Wanted::Tags(tags) => tags[n % tags.len()],
        }
    }
}

/// A message is owed if any member of the group wants it: members with different subscriptions are an error that must show as loss.
fn wanted(facts: &RunFacts, members: &[u16], topic: TopicId, tags: &[Arc<str>]) -> Wanted {
    let subscriptions = members.iter().flat_map(|m| &facts.consumers[*m as usize].subscriptions);
    let filters: Vec<&TagFilter> = subscriptions.filter(|s| s.0 == topic).map(|s| &s.1).collect();
    let wants = |tag: Option<&str>| filters.iter().any(|f| f.wants(tag));
    if filters.is_empty() {
        Wanted::Nothing
    } else if tags.is_empty() {
        if wants(None) { Wanted::All } else { Wanted::Nothing }
    } else {
        Wanted::Tags(tags.iter().map(|tag| wants(Some(tag))).collect())
    }
}

/// Everything a pass reads.
pub struct Evidence<'a> {
    pub facts: &'a RunFacts,
    pub index: &'a Index,
    pub ledger: &'a Ledger,
    pub delivery: &'a Delivery,
    pub offsets: &'a Offsets,
}

/// Whether anything is lost to a group at this moment: the question of [`settle`] that is asked once a second while a run drains, without the rest of its answer.
pub fn anything_lost(evidence: &Evidence, group: GroupId) -> bool {
    let Evidence { facts, index, ledger, delivery, .. } = *evidence;
    let slots = delivery.slots(index, group.0 as usize);
    let mut found = Losses::default();
    ledger.tables().any(|(table, rows)| {
        let producer = facts.producers.get(table);
        let wants = wants(evidence, group, table);
        let transactional = producer.is_some_and(|p| p.transactional);
        let mut missing = |(n, row): (usize, &Message)| {
            if !wants.has(n) || slots.iter().all(|slot| delivery.first_ms(*slot, table, n).is_some()) {
                return false;
            }
            let feed = if row.is(Message::PLACED) { index.find(group, row.queue) } else { None };
            let owed = producer.is_some() || feed.is_some();
            owed && undelivered(&mut found, evidence, group, row, feed, false, producer.is_none(), transactional)
        };
        !matches!(wants, Wanted::Nothing) && rows.iter().enumerate().any(&mut missing)
    })
}

/// What a group wants of the messages of a table.
fn wants(evidence: &Evidence, group: GroupId, table: usize) -> Wanted {
    let Evidence { facts, index, .. } = *evidence;
    match facts.producers.get(table) {
        // Many groups, each with a topic of its own: mostly it is this.
        Some(p) if !index.group(group).topics.contains(&p.topic) => Wanted::Nothing,
        Some(p) => wanted(facts, &index.group(group).members, p.topic, &p.tags),
        None => Wanted::All,
    }
}

/// The pass for one group.
pub fn settle(evidence: &Evidence, group: GroupId) -> Losses {
    let Evidence { facts, index, ledger, delivery, .. } = *evidence;
    let mut found = Losses::default();
    let slots = delivery.slots(index, group.0 as usize);
    found.missed = vec![0; slots.len()];
    let deleted = |queue: u32, offset: u32| (offset as u64) < index.queues[queue as usize].expired;
    let expired = |table: usize, n: usize, row: &Message| ledger.lies_nowhere(table, n, row, deleted);
    for (table, rows) in ledger.tables() {
        let producer = facts.producers.get(table);
        let wants = wants(evidence, group, table);
        if matches!(wants, Wanted::Nothing) {
            continue;
        }
        let transactional = producer.is_some_and(|p| p.transactional);
        for (n, row) in rows.iter().enumerate() {
            let feed = if row.is(Message::PLACED) { index.find(group, row.queue) } else { None };
            // Preloaded messages have no producer: their queue says what topic they belong to.
            if !wants.has(n) || (producer.is_none() && feed.is_none()) {
                continue;
            }
            for (i, &slot) in slots.iter().enumerate() {
                match delivery.first_ms(slot, table, n) {
                    Some(first) => delivered(&mut found, row, producer.is_none(), first, facts.load_end),
                    None => {
                        let expired = expired(table, n, row);
                        let lost =
                            undelivered(&mut found, evidence, group, row, feed, expired, producer.is_none(), transactional);
                        found.missed[i] += lost as u64;
                    }
                }
            }
            if let Some(feed) = feed
                && !row.is(Message::GONE)
                && row.offset as u64 >= evidence.offsets.offset(feed)
                && !expired(table, n, row)
                && owed(evidence, group, row, Some(feed))
            {
                let oldest = found.oldest.entry(feed).or_insert(row.due);
                *oldest = row.due.min(*oldest);
                if slots.iter().any(|slot| delivery.first_ms(*slot, table, n).is_none()) {
                    let (n, due) = found.undelivered.entry(feed).or_insert((0, row.due));
                    (*n, *due) = (*n + 1, row.due.min(*due));
                }
            }
        }
    }
    found
}

fn delivered(found: &mut Losses, row: &Message, preloaded: bool, first_ms: u32, load_end: u64) {
    if row.is(Message::ACKED) || preloaded {
        found.owed += 1;
        found.lost_at_load_end += (first_ms as u64 * MS > load_end) as u64;
    } else if row.is(Message::UNHEARD) || !row.is(Message::ENDED) {
        found.unheard += 1;
    } else if row.is(Message::UNKNOWN) {
        found.unsure += 1;
    } else if row.is(Message::FAILED) {
        found.refused += 1;
    }
}

/// Whether the group was there for the message, or began below it.
fn owed(evidence: &Evidence, group: GroupId, row: &Message, feed: Option<u32>) -> bool {
    let began = evidence.delivery.began(group.0 as usize).unwrap_or(0);
    let start = feed.and_then(|feed| evidence.delivery.start(feed)).unwrap_or(0);
    row.due >= began || row.offset as u64 >= start
}

/// Says whether it is lost.
#[allow(clippy::too_many_arguments, reason = "what is known of one message that did not come")]
fn undelivered(
    found: &mut Losses,
    evidence: &Evidence,
    group: GroupId,
    row: &Message,
    feed: Option<u32>,
    expired: bool,
    preloaded: bool,
    transactional: bool,
) -> bool {
    if !owed(evidence, group, row, feed) || (transactional && !row.is(Message::PLACED)) {
        return false;
    }
    let skipped =
        !row.is(Message::GONE) && !expired && feed.is_some_and(|feed| (row.offset as u64) < evidence.offsets.offset(feed));
    found.skipped += skipped as u64;
    let lost = row.is(Message::ACKED) || preloaded;
    if lost {
        let why = match row.is(Message::GONE) {
            true if row.is(Message::UNINDEXED) => Lost::Unindexed,
            true => Lost::Discarded,
            false if expired => Lost::Expired,
            false if skipped => Lost::Skipped,
            false if !preloaded && !row.is(Message::STORED) => Lost::Unstored,
            false => Lost::Waiting,
        };
        let status = if preloaded { 4 } else { row.status() as usize };
        found.lost[status][why as usize] += 1;
        found.owed += 1;
        found.lost_at_load_end += 1;
    }
    lost
}

#[cfg(test)]
mod tests {
    use crate::check::facts::TagFilter;
    use crate::check::script::{causes, counter, facts, play, play_with, sent};

    const HELD: &str = "-5 c1 assigned a:0 0;";

    #[test]
    fn lost_by_status_and_reason() {
        let all = format!("{HELD} {} 2 c1 entered 0 a:0 0; 2 c1 entered 1 a:0 1; 2 c1 entered 2 a:0 2", sent(0..3));
        assert_eq!(counter(&play(&all), "lost"), Some(0));
        let one = format!("{HELD} {} 2 c1 entered 0 a:0 0; 2 c1 entered 2 a:0 2; 3 broker-a committed a:0 2", sent(0..3));
        let found = play(&one);
        assert_eq!(causes(&found, "lost@cg"), "SEND_OK, passed over by the committed offset 1");
        assert_eq!((counter(&found, "skipped"), found.groups["cg"].lost_acked), (Some(1), Some(1)));
        assert_eq!(found.groups["cg"].lost_for_good, 1);
        let late = format!("{HELD} {} 150 c1 entered 0 a:0 0", sent(0..1));
        assert_eq!((counter(&play(&late), "lost"), counter(&play(&late), "lost_at_load_end")), (Some(0), Some(1)));
    }

    /// Who was owed nothing has lost nothing, and that is no finding.
    #[test]
    fn with_nothing_acknowledged_nothing_was_compared() {
        let found =
            play(&format!("{HELD} 1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 2 pg-0 unknown 0 broker-a; 3 c1 entered 0 a:0 0"));
        let of = |name| counter(&found, name);
        assert_eq!([of("lost"), of("lost@cg"), of("lost_at_load_end"), of("missed"), of("discarded_send_ok")], [None; 5]);
        assert_eq!(of("delivered_though_refused"), Some(1));
    }

    #[test]
    fn what_no_broker_stored_is_a_loss_of_its_own() {
        let found = play(&format!("{HELD} {} 2 c1 entered 0 a:0 0; 5 pg-0 began 9; 5 pg-0 acked 9 a:0 7", sent(0..1)));
        assert_eq!(causes(&found, "lost"), "SEND_OK, sent one way and stored nowhere 1");
    }

    #[test]
    fn discarded_records_are_losses_and_ghosts() {
        let crash = format!(
            "{HELD} {} 2 c1 entered 0 a:0 0; 3 broker-a hostlost; 9 broker-a up; 9.1 broker-a truncated a:0 0; 10 pg-0 began 3",
            sent(0..2)
        );
        let found = play(&crash);
        assert_eq!(counter(&found, "ghosts"), Some(1));
        assert_eq!(causes(&found, "lost"), "SEND_OK, discarded at recovery 1");
        // The offset is used again by another message, which is then no copy.
        let again = format!("{crash}; 10 broker-a stored 3 a:0 0; 10.1 pg-0 acked 3 a:0 0; 11 c1 entered 3 a:0 0");
        assert_eq!((counter(&play(&again), "duplicates"), counter(&play(&again), "ghosts")), (Some(0), Some(1)));
    }

    /// In the log and in no queue: lost by its own name, nothing was discarded, and what somebody got before is no ghost.
    #[test]
    fn records_that_no_entry_names_are_losses_of_their_own() {
        let lost = format!(
            "{HELD} {} 2 c1 entered 0 a:0 0; 3 broker-a hostlost; 9 broker-a up; 9.1 broker-a unindexed a:0 0; 10 pg-0 began 3",
            sent(0..2)
        );
        let found = play(&lost);
        assert_eq!(causes(&found, "lost"), "SEND_OK, in the log and in no consume queue 1");
        assert_eq!((counter(&found, "ghosts"), counter(&found, "discarded_send_ok")), (Some(0), Some(0)));
        assert_eq!(found.groups["cg"].lost_for_good, 1);
        let again = format!("{lost}; 10 broker-a stored 3 a:0 0; 10.1 pg-0 acked 3 a:0 0; 11 c1 entered 3 a:0 0");
        assert_eq!(counter(&play(&again), "duplicates"), Some(0), "another message at that offset is no copy");
        // A log that is cut and queues that are cut are told one after the other.
        let both = lost.replace("9.1 broker-a", "9.1 broker-a truncated a:0 1; 9.1 broker-a");
        assert_eq!(causes(&play(&both), "lost"), "SEND_OK, discarded at recovery 1");
        assert_eq!(counter(&play(&both), "discarded_send_ok"), Some(1));
    }

    /// Deleted with its log file: lost for good, whether the offset has passed it or not, and by no means skipped; what somebody got before is not lost.
    #[test]
    fn expired_records_are_losses_of_their_own() {
        let of = |rest: &str| play(&format!("{HELD} {} 2 c1 entered 0 a:0 0; 3 broker-a expired a:0 2; {rest}", sent(0..3)));
        let found = of("");
        let why = "SEND_OK, expired: its log file was deleted before it was delivered 1, SEND_OK, not delivered by the end 1";
        assert_eq!(causes(&found, "lost@cg"), why);
        assert_eq!((found.groups["cg"].lost_for_good, counter(&found, "skipped")), (1, Some(0)));
        assert_eq!(found.groups["cg"].undelivered_by_queue["broker-a:0"], 1, "what is deleted waits no more");
        let corrected = of("4 broker-a committed a:0 2; 5 c1 entered 2 a:0 2");
        assert_eq!((counter(&corrected, "lost"), counter(&corrected, "skipped")), (Some(1), Some(0)));
        assert_eq!(counter(&of("4 c1 entered 1 a:0 1; 5 c1 entered 2 a:0 2"), "lost"), Some(0));
        // A copy elsewhere is still there.
        let twice = of("1.5 broker-a stored 1 a:1 0; 5 c1 entered 2 a:0 2");
        assert_eq!(causes(&twice, "lost@cg"), "SEND_OK, not delivered by the end 1");
        // A group that comes when they are gone was never owed them, wherever it begins.
        let late = format!("{} 3 broker-a expired a:0 2; 5 c1 assigned a:0 0; 6 c1 entered 2 a:0 2", sent(0..3));
        assert_eq!(counter(&play(&late), "lost"), Some(0));
        // One that is parked for its delay lies in a queue too.
        let parked = "1 pg-0 began 0; 1 broker-a stored 0 b:0 4 as=delayed; 1 pg-0 acked 0 a:0 0; 3 broker-a expired b:0";
        assert!(causes(&play(&format!("{HELD} {parked} 5")), "lost").contains("expired"));
        assert!(!causes(&play(&format!("{HELD} {parked} 4")), "lost").contains("expired"));
    }

    /// A message that was stored twice is discarded with its last copy, not before.
    #[test]
    fn copies_are_discarded_one_by_one() {
        let of = |cuts: &str| {
            let twice = "1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 2 broker-a stored 0 a:1 0; 2 pg-0 acked 0 a:1 0";
            causes(&play(&format!("{HELD} {twice}; 3 broker-a hostlost; 9 broker-a up; {cuts} 10 pg-0 began 3")), "lost")
        };
        assert_eq!(of("9.1 broker-a truncated a:1 0;"), "SEND_OK, not delivered by the end 1");
        assert_eq!(of("9.1 broker-a truncated a:0 0; 9.1 broker-a truncated a:1 0;"), "SEND_OK, discarded at recovery 1");
        assert_eq!(of("9.1 broker-a truncated a:1 0; 9.5 broker-a truncated a:0 0;"), "SEND_OK, discarded at recovery 1");
    }

    #[test]
    fn refused_yet_delivered() {
        let found = play("1 pg-0 began 0; 1 broker-a stored 0 a:0 0; 4 pg-0 unknown 0; 4.5 c1 entered 0 a:0 0");
        assert_eq!((counter(&found, "delivered_though_refused"), counter(&found, "lost")), (Some(1), None));
        assert_eq!(found.groups["cg"].delivered_but_not_acked, 1);
    }

    #[test]
    fn tags_and_the_age_of_the_group_excuse() {
        let mut tagged = facts();
        tagged.producers[0].tags = vec!["x".into(), "y".into()];
        for consumer in &mut tagged.consumers {
            consumer.subscriptions[0].1 = TagFilter::Any(vec!["x".into()]);
        }
        assert_eq!(counter(&play_with(tagged.clone(), &sent(0..3)), "lost"), Some(2));
        // One member that wants more makes the group owe more.
        tagged.consumers[1].subscriptions[0].1 = TagFilter::All;
        assert_eq!(counter(&play_with(tagged, &sent(0..3)), "lost"), Some(3));
        let later = format!("{} 5 c1 assigned a:0 2; 6 c1 entered 2 a:0 2", sent(0..3));
        assert_eq!(counter(&play(&later), "lost"), Some(0));
        let earlier = format!("-5 c1 assigned a:1 0; {} 5 c1 assigned a:0 2; 6 c1 entered 2 a:0 2", sent(0..3));
        assert_eq!(counter(&play(&earlier), "lost"), Some(2), "sent while the group existed");
    }

    /// Preloaded messages speak through their records: stored before time 0, owed from where the group began.
    #[test]
    fn preloaded_messages_are_owed_too() {
        use crate::base::ids::{MessageId, NodeId, RecordId};
        use crate::base::time::{SEC, WALL_EPOCH_MS};
        use crate::contract::note::{Note, Observer, Stamp, StoredAs};
        use crate::meter::{End, Watch};
        let facts = facts();
        let (queue, group) = (facts.queues[0], facts.consumers[0].group);
        let mut watch = Watch::new(facts);
        let (hour_ago, msg) = (WALL_EPOCH_MS - 3_600_000, |n| MessageId::new(0xFF00, n));
        let rec = |offset| RecordId { queue, log: 0, offset };
        let mut tell = |at, node, note| watch.note(Stamp { at, node: NodeId(node), life: 1, event: at }, &note);
        for n in 0..3 {
            tell(
                0,
                1,
                Note::Stored { rec: rec(n), msg: msg(n), store_ms: hour_ago, phys: 0, bytes: 100, stored_as: StoredAs::Plain },
            );
        }
        tell(SEC, 4, Note::Assigned { group, queue, offset: 1, orderly: false });
        tell(
            2 * SEC,
            4,
            Note::ListenerEntered { group, consumer: 0, msg: msg(1), rec: rec(1), store_ms: hour_ago, reconsume: 0 },
        );
        let found = watch.finish(End { end: 200 * SEC, drained: true, interrupted: false });
        assert_eq!(
            causes(&found, "lost@cg"),
            "preloaded, not delivered by the end 1",
            "the one below the first offset is not owed"
        );
        assert_eq!((counter(&found, "delivery_latency_max"), counter(&found, "backlog_end")), (Some(3602 * SEC as i64), Some(2)));
    }
}
