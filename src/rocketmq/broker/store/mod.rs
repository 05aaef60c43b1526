//! The broker's store: one commit log, a consume queue for each topic queue, and the small files beside them.
//!
//! The log is the only copy of a message; a consume queue holds positions in the log and is what consumers can see
//! (`CommitLog`, `ConsumeQueue`, `DefaultMessageStore`, 4.9.8). The value lives on the host's disk, which outlives the process: the next life of
//! a broker is built from it alone.

pub mod access;
pub mod files;
pub mod medium;
pub mod offsets;
pub mod positions;
pub mod queue_flush;
pub mod recovery;
pub mod small_files;
mod stretch;
#[cfg(test)]
mod tests;

use self::files::{Files, Partition};
use self::medium::Medium;
use self::offsets::ConsumerOffsets;
use self::positions::Positions;
use self::queue_flush::QueueFlusher;
use self::recovery::StoreFiles;
use self::small_files::{SmallFile, Topics};
use self::stretch::Stretch;
use crate::base::ids::{MessageId, TopicId};
use crate::rocketmq::message::Message;
use crate::rocketmq::route::{DataVersion, TopicConfig};
use crate::rocketmq::settings::BrokerSettings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of a sealed stretch of the log.
const STRETCH: usize = 4096;
/// `CQ_STORE_UNIT_SIZE`: bytes of a consume-queue entry.
const ENTRY: u64 = 20;

/// Every record in physical order. Full stretches are packed and shared between clones of a run. A record keeps its index when those before it are deleted;
/// stretches of which nothing is left are freed.
#[derive(Clone, Debug, Default)]
pub struct CommitLog {
    sealed: Vec<Arc<Stretch>>,
    tail: Vec<Message>,
    /// Stretches that lay before those and are freed.
    freed: usize,
    /// Index of the first record that is still there.
    first: usize,
    files: Files,
    /// How far it is written, committed, durable.
    pub ends: Positions,
    /// Tells a wiped or replaced log from the one before.
    pub identity: u16,
    /// Where the oldest file begins, or in a file that was begun in the middle the first record.
    base: u64,
    /// Below here everything was deleted: in this log, or in the one whose beginning it was made from.
    deleted: u64,
    /// Behind the last whole record: behind it lies at most a piece of one that a master is still sending.
    whole: u64,
    /// Readers see no further, whatever is written: what a DLedger group has committed. `None`: everything in the page cache.
    pub visible: Option<u64>,
    /// Bytes in front of each record: DLedger wraps it into an entry of its own.
    pub header: u64,
    /// Bytes that are no record begin here: another log's bytes were appended in the middle of one (server spec 10.5).
    garbage: Option<u64>,
}

impl CommitLog {
    /// One past the index of the last record.
    pub fn len(&self) -> usize {
        self.tail_begins() + self.tail.len()
    }
    /// Whether nothing was ever appended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn tail_begins(&self) -> usize {
        (self.freed + self.sealed.len()) * STRETCH
    }
    /// Index of the first record that is still there.
    pub fn first(&self) -> usize {
        self.first
    }
    pub fn get(&self, index: usize) -> Option<Message> {
        if index < self.first {
            return None;
        }
        match self.sealed.get(index / STRETCH - self.freed) {
            Some(stretch) => stretch.get(index % STRETCH),
            None => self.tail.get(index - self.tail_begins()).copied(),
        }
    }
    /// Where the record at an index begins.
    fn phys_of(&self, index: usize) -> Option<u64> {
        if index < self.first {
            return None;
        }
        match self.sealed.get(index / STRETCH - self.freed) {
            Some(stretch) => stretch.place(index % STRETCH).map(|place| place.0),
            None => self.tail.get(index - self.tail_begins()).map(|m| m.phys),
        }
    }
    /// Appends a record of `size` bytes at its [`Positions::place`] when it is stored; returns its index.
    pub fn append(&mut self, message: Message, size: u32) -> usize {
        self.append_at(message, size, message.store_ms)
    }
    /// The same of a record that another broker has stored: its file is written now.
    pub fn append_at(&mut self, message: Message, size: u32, now_ms: i64) -> usize {
        self.files.written(message.phys, now_ms, self.ends.file_size);
        self.push(message, size)
    }
    /// Forgets every record: the next one has this index and lies at this place, or behind it (`MmapFileList#rebuildWithPos`, DLedger 0.3.1.2).
    fn begin_anew(&mut self, index: usize, place: u64) {
        self.sealed.clear();
        (self.freed, self.first) = (index / STRETCH, index);
        // Those before it in its stretch were deleted; nobody reads what stands there.
        self.tail = vec![Message::blank(TopicId(0)); index % STRETCH];
        self.files = Files::default();
        (self.base, self.deleted, self.whole, self.garbage) = (place, place, place, None);
        self.ends = Positions { written: place, committed: place, durable: place, ..self.ends };
    }
    fn push(&mut self, message: Message, size: u32) -> usize {
        if self.tail.len() == STRETCH {
            self.sealed.push(Arc::new(Stretch::of(&self.tail)));
            self.tail.clear();
        }
        self.tail.push(message);
        self.whole = message.phys + size as u64;
        self.ends.written = self.whole;
        self.len() - 1
    }
    /// Where the record at an index ends: where the next one, or a blank before it, begins.
    pub fn end_of(&self, index: usize) -> u64 {
        self.phys_of(index + 1).map_or(self.whole, |next| next - self.header)
    }
    /// Every record as (physical offset, message).
    pub fn places(&self) -> impl Iterator<Item = (u64, MessageId)> + '_ {
        let deleted = self.first - self.freed * STRETCH;
        let sealed = self.sealed.iter().flat_map(|s| (0..s.len()).filter_map(|i| s.place(i)));
        sealed.chain(self.tail.iter().map(|m| (m.phys, m.id))).skip(deleted)
    }
    /// `getMinPhyOffset`.
    pub fn min_phys(&self) -> u64 {
        self.base
    }
    /// Below here everything was deleted, and is missed by nobody.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }
    /// Its files and when each was last written.
    pub fn files(&self) -> &Files {
        &self.files
    }
    /// Deletes the oldest file (`MappedFile#destroy`) with the records that begin in it; never the last one.
    fn delete_oldest_file(&mut self) {
        if self.files.delete_oldest() {
            self.base = self.ends.end_of_file(self.base);
            self.deleted = self.base;
            self.first = self.first_behind(self.base);
            let free = (self.first / STRETCH - self.freed).min(self.sealed.len());
            self.sealed.drain(..free);
            self.freed += free;
        }
    }
    /// What a DLedger group's index of its entries takes: 32 bytes each. Only whole files of it go with the entries (`DLedgerMmapFileStore#reviseLedgerBeginIndex`,
    /// `mappedFileSizeForEntryIndex`, DLedger 0.3.1.2).
    fn index_bytes(&self) -> u64 {
        const UNIT: u64 = 32;
        const A_FILE: usize = 5 * 1024 * 1024;
        if self.header == 0 { 0 } else { (self.len() - self.first / A_FILE * A_FILE) as u64 * UNIT }
    }
    /// Where bytes begin that no record explains.
    pub fn garbage(&self) -> Option<u64> {
        self.garbage
    }
    /// `getMaxOffset` (`MappedFile#getReadPosition`, `DLedgerCommitLog#getMaxOffset`): how far readers see.
    #[inline]
    pub fn readable(&self) -> u64 {
        self.visible.map_or(self.ends.committed, |visible| visible.min(self.ends.committed))
    }
    /// The stretch in which the first record lies that does not begin before a physical offset, and how many before it in there do.
    fn before(&self, phys: u64) -> (usize, usize) {
        let stretch = self.sealed.partition_point(|s| s.last_phys().is_some_and(|last| last < phys));
        let before = match self.sealed.get(stretch) {
            Some(sealed) => sealed.before(phys),
            None => self.tail.partition_point(|m| m.phys < phys),
        };
        (stretch, before)
    }
    /// Index of the first record that ends behind a physical offset.
    pub fn first_behind(&self, phys: u64) -> usize {
        let (stretch, before) = self.before(phys);
        let next = ((self.freed + stretch) * STRETCH + before).max(self.first);
        // The one before it begins earlier and may reach across.
        next - (next > self.first && self.end_of(next - 1) > phys) as usize
    }
    /// When the last record that ends by `upto` was stored, wall ms (`MappedFile#getStoreTimestamp`).
    pub fn newest_by(&self, upto: u64) -> Option<i64> {
        Some(self.get(self.first_behind(upto).checked_sub(1)?)?.store_ms)
    }
    /// Appends bytes that a master has sent, and the records that they complete (`CommitLog#appendData`; server spec 10.3). Where the
    /// bytes do not go on where a record of ours ends or breaks off, nothing behind can ever be read. The file is written now, whenever its master's was.
    pub fn append_shipped(&mut self, from: u64, bytes: u64, records: &[Message], size_of: impl Fn(&Message) -> u32, now_ms: i64) {
        if self.is_empty() && self.ends.written == 0 {
            self.files = Files::default();
            self.base = from - from % self.ends.file_size;
            (self.ends.written, self.whole) = (from, from);
            (self.ends.committed, self.ends.durable) = (from, from);
        }
        self.files.shipped(from, now_ms, self.ends.file_size);
        for &message in records {
            let last = self.tail.last().map(|m| m.phys).or_else(|| self.sealed.last().and_then(|s| s.last_phys()));
            let known = last.is_some_and(|last| message.phys <= last);
            if known || self.garbage.is_some() {
                continue;
            }
            if message.phys < self.whole {
                self.garbage = Some(self.whole);
                continue;
            }
            self.push(message, size_of(&message));
        }
        self.ends.written = from + bytes;
    }
    /// Drops every record that does not end by `upto`, and pieces of records.
    fn truncate(&mut self, upto: u64) {
        let keep = (self.first..self.len()).rev().find(|i| self.end_of(*i) <= upto).map_or(self.first, |i| i + 1);
        let end = if keep == self.first { self.base } else { self.end_of(keep - 1).min(upto) };
        let stretches = keep / STRETCH - self.freed;
        if stretches < self.sealed.len() {
            let stretch = &self.sealed[stretches];
            self.tail = (0..stretch.len()).filter_map(|i| stretch.get(i)).collect();
            self.sealed.truncate(stretches);
        }
        self.tail.truncate(keep - self.tail_begins());
        self.files.cut(self.base - self.base % self.ends.file_size, end, self.ends.file_size);
        self.whole = end;
        self.garbage = None;
        self.ends = Positions { written: end, committed: end, durable: end.min(self.ends.durable), ..self.ends };
    }
    /// The record that begins at a physical offset.
    pub fn at_phys(&self, phys: u64) -> Option<Message> {
        if phys < self.base {
            return None;
        }
        let (stretch, before) = self.before(phys);
        let record = match self.sealed.get(stretch) {
            Some(sealed) => sealed.get(before),
            None => self.tail.get(before).copied(),
        };
        record.filter(|m| m.phys == phys)
    }
}

/// One queue of a topic: positions of its records in the log.
#[derive(Clone, Debug)]
pub struct ConsumeQueue {
    pub topic: TopicId,
    pub queue_id: u16,
    entries: Vec<u32>,
    /// Queue offset of the first entry: a slave without history begins late, and old files are deleted.
    origin: u64,
    /// `minLogicOffset`, as a queue offset: the first one whose record is still there, as of the last correction.
    pub min: u64,
    /// One past the last queue offset whose entry is on the disk. Followed on DLedger members only.
    durable: u64,
    /// Since when there is an entry behind that, ns of the monotonic clock.
    dirty_since: u64,
}

impl ConsumeQueue {
    /// One past the last queue offset that consumers can see.
    pub fn max(&self) -> u64 {
        self.origin + self.entries.len() as u64
    }
    /// The log index of a queue offset.
    #[inline]
    pub fn entry(&self, offset: u64) -> Option<usize> {
        self.entries.get(offset.checked_sub(self.origin)? as usize).map(|&i| i as usize)
    }
    /// Appends the entry of a record (`ConsumeQueue#putMessagePositionInfo`; server spec 5.3): a queue may begin late, an offset that is taken is
    /// a duplicate, one that leaves a gap is appended all the same.
    fn append(&mut self, queue_offset: u64, index: u32, now: u64) {
        if self.durable >= self.max() {
            self.dirty_since = now;
        }
        if queue_offset != 0 && self.entries.is_empty() {
            (self.origin, self.min) = (queue_offset, queue_offset);
        } else if queue_offset != 0 && queue_offset < self.max() {
            return;
        }
        self.entries.push(index);
    }
    /// `ConsumeQueue#truncateDirtyLogicFiles`: entries of records that are gone go.
    fn truncate(&mut self, first_record: usize) {
        self.entries.truncate(self.entries.partition_point(|&index| (index as usize) < first_record));
        self.durable = self.durable.min(self.max());
    }
    /// `ConsumeQueue#deleteExpiredFile` (4.9.8; server spec 5.7): files whose last entry's record is deleted go, but never the last file; returns how many.
    fn delete_expired_files(&mut self, first_record: u32, entries_a_file: u64) -> u64 {
        let file_end = |offset: u64| (offset / entries_a_file + 1) * entries_a_file;
        let mut deleted = 0;
        while file_end(self.origin) < self.max()
            && self.entries[(file_end(self.origin) - 1 - self.origin) as usize] < first_record
        {
            let next = file_end(self.origin);
            self.entries.drain(..(next - self.origin) as usize);
            self.origin = next;
            deleted += 1;
        }
        deleted
    }
    /// `ConsumeQueue#correctMinOffset`: the first entry of the first file whose record is still there; a file without one leaves the minimum as it was.
    fn correct_min_offset(&mut self, first_record: u32, entries_a_file: u64) {
        let file_end = (self.origin / entries_a_file + 1) * entries_a_file;
        let in_file = (file_end - self.origin).min(self.entries.len() as u64) as usize;
        if let Some(at) = self.entries[..in_file].iter().position(|&index| index >= first_record) {
            self.min = self.origin + at as u64;
        }
    }
}

/// A queue, and the offset below which its records are gone.
pub type Below = (TopicId, u16, u64);

/// What one broker keeps on its host's disk.
#[derive(Clone, Debug, Default)]
pub struct BrokerDisk {
    pub log: CommitLog,
    queues: Vec<ConsumeQueue>,
    /// By topic, then queue id: index into `queues`, plus one.
    index: Vec<Vec<u32>>,
    /// Records that are in their consume queue.
    pub dispatched: usize,
    /// The table of topics: every change of it is written to its file at once.
    pub topics: BTreeMap<TopicId, TopicConfig>,
    pub topics_version: DataVersion,
    /// topics.json.
    pub topics_file: SmallFile<Topics>,
    /// consumerOffset.json.
    pub offsets_file: SmallFile<ConsumerOffsets>,
    /// delayOffset.json: next queue offset by level.
    pub delays_file: SmallFile<Vec<u64>>,
    /// What the last crash has cost: topic, queue id, first queue offset that is gone. The next life says so.
    pub discarded: Vec<(TopicId, u16, u64)>,
    /// The same of records that are in the log and in no queue.
    unindexed: Vec<(TopicId, u16, u64)>,
    flusher: QueueFlusher,
    /// Appends stand still (a fault): whoever holds the put lock waits.
    pub stalled: bool,
    /// The partition that the store lies on.
    pub partition: Partition,
    /// `checkpoint` and `abort`.
    pub files: StoreFiles,
    /// What carries the log from the page cache to the platter.
    pub medium: Medium,
}

impl BrokerDisk {
    /// The queue's number, created when it is new.
    pub fn queue_number(&mut self, topic: TopicId, queue_id: u16) -> usize {
        if let Some(number) = self.find_queue(topic, queue_id) {
            return number;
        }
        let t = topic.0 as usize;
        if self.index.len() <= t {
            self.index.resize(t + 1, Vec::new());
        }
        let row = &mut self.index[t];
        if row.len() <= queue_id as usize {
            row.resize(queue_id as usize + 1, 0);
        }
        self.queues.push(ConsumeQueue { topic, queue_id, entries: Vec::new(), origin: 0, min: 0, durable: 0, dirty_since: 0 });
        row[queue_id as usize] = self.queues.len() as u32;
        self.queues.len() - 1
    }
    /// The queue's number, if it has been created.
    #[inline]
    pub fn find_queue(&self, topic: TopicId, queue_id: u16) -> Option<usize> {
        let number = *self.index.get(topic.0 as usize)?.get(queue_id as usize)?;
        (number > 0).then(|| number as usize - 1)
    }
    pub fn queue(&self, number: usize) -> &ConsumeQueue {
        &self.queues[number]
    }
    pub fn queues(&self) -> &[ConsumeQueue] {
        &self.queues
    }
    /// Puts the next record of the log into its consume queue if it ends by `upto` (`ReputMessageService#doReput`); returns the queue's number and the
    /// record.
    pub fn dispatch_next(&mut self, upto: u64) -> Option<(usize, Message)> {
        let message = self.log.get(self.dispatched)?;
        if self.log.end_of(self.dispatched) > upto.min(self.log.readable()) {
            return None;
        }
        let number = self.queue_number(message.topic, message.queue_id);
        self.queues[number].append(message.queue_offset, self.dispatched as u32, self.flusher.now);
        self.dispatched += 1;
        self.files.dispatched(message.store_ms);
        Some((number, message))
    }
    /// The process is gone: what was only in its own buffer is gone with it (server spec 4.9).
    pub fn process_died(&mut self, now: u64) {
        self.files.catch_up(now);
        self.small_files_lose_their_process(now);
        self.queues_lose_their_process(now);
        self.cut_back(self.log.ends.committed);
    }
    /// The host is gone: the page cache is gone, but for pages that the kernel had happened to write. After recovery what is left is on the disk.
    pub fn power_lost(&mut self, luck: u32, now: u64) {
        self.settle(now);
        self.files.catch_up(now);
        self.small_files_lose_power(now);
        // Behind a hole nothing helps.
        let luck = if self.medium.has_hole() { 0 } else { luck };
        self.cut_back(self.log.ends.spared_by_power_loss(luck));
        self.queues_lose_power(now);
        self.medium.power_lost();
        self.log.ends.durable = self.log.ends.written;
    }
    /// The disk is gone and another one is in its place, empty. The queues begin again at 0, as after a truncation that leaves nothing.
    pub fn replaced(&mut self) {
        self.cut_back(self.log.min_phys());
        let discarded = std::mem::take(&mut self.discarded);
        *self = BrokerDisk { discarded, stalled: self.stalled, medium: self.medium.replaced(), ..BrokerDisk::default() };
    }
    /// Drops every record from an index on, and everything that refers to it.
    pub fn drop_from(&mut self, index: usize) {
        if index < self.log.len() {
            let upto = if index == 0 { self.log.min_phys() } else { self.log.end_of(index - 1) };
            self.cut_back(upto);
        }
    }
    /// What `recoverAbnormally` makes of a log of which only this much is left: it stops at the first record that is not whole, and the
    /// consume queues lose what lies beyond.
    fn cut_back(&mut self, upto: u64) {
        if upto >= self.log.ends.written && self.log.whole == self.log.ends.written {
            return;
        }
        let before = self.log.len();
        let kept = self.log.first();
        let first = (kept..before).rev().find(|i| self.log.end_of(*i) <= upto).map_or(kept, |i| i + 1);
        let lost: Vec<(TopicId, u16, u64)> = {
            let mut lost: BTreeMap<(TopicId, u16), u64> = BTreeMap::new();
            for message in (first..before).filter_map(|i| self.log.get(i)) {
                let from = lost.entry((message.topic, message.queue_id)).or_insert(message.queue_offset);
                *from = (*from).min(message.queue_offset);
            }
            lost.into_iter().map(|((topic, queue), from)| (topic, queue, from)).collect()
        };
        self.queues.iter_mut().for_each(|queue| queue.truncate(first));
        self.discarded.extend(lost);
        self.log.truncate(upto);
        self.medium.cut(self.log.ends.written);
        self.dispatched = self.dispatched.min(self.log.len());
    }
    /// Deletes the oldest file of the log, unless it is the last; what that costs each queue, consumed or not.
    pub fn delete_oldest_file(&mut self) -> Vec<Below> {
        let before = self.log.first();
        let mut gone: BTreeMap<(TopicId, u16), u64> = BTreeMap::new();
        let end = self.log.ends.end_of_file(self.log.min_phys());
        if self.log.files().count() > 1 {
            for message in (before..self.log.len()).map_while(|i| self.log.get(i)).take_while(|m| m.phys < end) {
                gone.insert((message.topic, message.queue_id), message.queue_offset + 1);
            }
            self.log.delete_oldest_file();
        }
        // `ReputMessageService#doReput` goes on at the minimum.
        self.dispatched = self.dispatched.max(self.log.first());
        gone.into_iter().map(|((topic, queue), below)| (topic, queue, below)).collect()
    }
    /// The log begins anew, with the record of this index at this place. Consume queues keep what they have: entries of records that are gone.
    pub fn begin_anew(&mut self, index: usize, place: u64) {
        self.log.begin_anew(index, place);
        self.queues.iter_mut().for_each(|queue| queue.truncate(index));
        self.medium.cut(0);
        self.dispatched = index;
    }
    /// Where each queue begins that has lost its beginning with deleted files.
    pub fn expired(&self) -> Vec<Below> {
        let first = self.log.first() as u32;
        let of = |q: &ConsumeQueue| (q.topic, q.queue_id, q.origin + q.entries.partition_point(|&index| index < first) as u64);
        self.queues.iter().map(of).filter(|below| below.2 > 0).collect()
    }
    /// Deletes the files of one consume queue whose records are gone, and corrects its minimum; returns how many.
    pub fn delete_expired_queue_files(&mut self, number: usize, settings: &BrokerSettings) -> u64 {
        let (first, entries_a_file) = (self.log.first() as u32, entries_a_file(settings));
        let Some(queue) = self.queues.get_mut(number) else { return 0 };
        let deleted = queue.delete_expired_files(first, entries_a_file);
        queue.correct_min_offset(first, entries_a_file);
        deleted
    }
    /// `DefaultMessageStore#recoverTopicQueueTable`: a start corrects every minimum (server spec 4.7).
    pub fn correct_min_offsets(&mut self, settings: &BrokerSettings) {
        let first = self.log.first() as u32;
        self.queues.iter_mut().for_each(|queue| queue.correct_min_offset(first, entries_a_file(settings)));
    }
    /// What the store takes of its partition, bytes: what was written. Files have their full length from the beginning, but blocks that
    /// nobody has written yet take no room.
    pub fn stored_bytes(&self) -> u64 {
        let entries: u64 = self.queues.iter().map(|q| q.entries.len() as u64).sum();
        self.log.ends.written.saturating_sub(self.log.min_phys()) + entries * ENTRY + self.log.index_bytes()
    }
    /// How full the partition is, in percent; 0 when it has no size.
    pub fn used_percent(&self) -> u64 {
        self.partition.used_percent(self.stored_bytes())
    }
    /// The record at a queue offset that consumers can see; `None` below the maximum: its file is deleted.
    pub fn record(&self, number: usize, offset: u64) -> Option<Message> {
        self.queues.get(number)?.entry(offset).and_then(|i| self.log.get(i))
    }
}

/// Entries of a consume-queue file.
fn entries_a_file(settings: &BrokerSettings) -> u64 {
    (settings.mapped_file_size_consume_queue / ENTRY).max(1)
}
