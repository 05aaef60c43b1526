//! Which brokers a producer stays away from, and for how long.
//!
//! After each send the strategy notes how long the broker took. A slow answer buys the broker a pause, longer the slower
//! it was, and a failure counts as the slowest of all. A later good answer ends the pause at once. When every broker is
//! pausing, the send goes in turn to one of the better half, so that a bad minute does not stop the producer.
//! Models `MQFaultStrategy` and `LatencyFaultToleranceImpl` (4.9.8, and the difference in 4.9.7 and before).
//!
//! "The better half" comes from a stable sort over a `ConcurrentHashMap`, so brokers that tie are taken in that map's
//! order. It is reproduced here: bins by the hash of the name, in each bin the order of arrival, and the reshuffling of
//! `ConcurrentHashMap#transfer` when the table doubles. Bins of eight and more, which Java turns into trees, are not:
//! that would take eight broker names with one hash.

use super::publish_info::{ThreadLocalIndex, TopicPublishInfo};
use crate::base::ids::{BrokerName, MessageQueue};
use crate::base::java_map::spread;
use crate::base::names::Names;
use crate::rocketmq::route::{QueueData, is_writable};
use std::sync::Arc;

/// `MQFaultStrategy.latencyMax` and `.notAvailableDuration`, paired: from this latency on, this long a pause (ms).
pub const NOT_AVAILABLE_DURATIONS: [(i64, i64); 7] =
    [(50, 0), (100, 0), (550, 30_000), (1_000, 60_000), (2_000, 120_000), (3_000, 180_000), (15_000, 600_000)];

/// The latency that a failed send counts as. It lies beyond the last step, so a failure costs ten minutes.
pub const ISOLATION_LATENCY_MS: i64 = 30_000;

/// How long a broker is avoided after answering in `latency_ms`: `MQFaultStrategy#computeNotAvailableDuration` (4.9.8).
pub fn compute_not_available_duration(latency_ms: i64) -> i64 {
    NOT_AVAILABLE_DURATIONS.iter().rev().find(|(from, _)| latency_ms >= *from).map_or(0, |(_, pause)| *pause)
}

/// Where `ConcurrentHashMap` would file each broker name. Made once a run and shared by every producer.
#[derive(Clone, Debug, Default)]
pub struct BrokerHashes(Arc<[u32]>);

impl BrokerHashes {
    /// The hashes of all broker names of a run.
    pub fn of(names: &Names) -> Self {
        BrokerHashes(names.brokers().map(|broker| spread(names.broker_hash(broker))).collect())
    }

    fn get(&self, broker: BrokerName) -> u32 {
        self.0.get(usize::from(broker.0)).copied().unwrap_or(0)
    }
}

#[derive(Clone, Copy, Debug)]
struct FaultItem {
    broker: BrokerName,
    hash: u32,
    latency_ms: i64,
    available_from_ms: i64,
}

impl FaultItem {
    fn is_available(&self, now_ms: i64) -> bool {
        now_ms >= self.available_from_ms
    }
}

/// What is known of each broker's answers: `LatencyFaultToleranceImpl` (4.9.8).
#[derive(Clone, Debug)]
pub struct LatencyFaultTolerance {
    hashes: BrokerHashes,
    /// In the order in which the Java map would list them.
    items: Vec<FaultItem>,
    /// The size of Java's table: it grows and never shrinks.
    table_size: usize,
}

impl LatencyFaultTolerance {
    /// Nothing known yet.
    pub fn new(hashes: BrokerHashes) -> Self {
        // `new ConcurrentHashMap<>(16)` makes room for one and a half times as many: 32 bins.
        LatencyFaultTolerance { hashes, items: Vec::new(), table_size: 32 }
    }

    /// Notes an answer, overwriting whatever was known of the broker.
    pub fn update_fault_item(&mut self, broker: BrokerName, latency_ms: i64, not_available_ms: i64, now_ms: i64) {
        let available_from_ms = now_ms.saturating_add(not_available_ms);
        if let Some(item) = self.items.iter_mut().find(|item| item.broker == broker) {
            item.latency_ms = latency_ms;
            item.available_from_ms = available_from_ms;
            return;
        }
        let hash = self.hashes.get(broker);
        let mask = self.table_size - 1;
        let end_of_bin = self.items.partition_point(|item| item.hash as usize & mask <= hash as usize & mask);
        self.items.insert(end_of_bin, FaultItem { broker, hash, latency_ms, available_from_ms });
        while self.items.len() >= self.table_size - self.table_size / 4 {
            self.double_the_table();
        }
    }

    /// Splits each bin in two as `ConcurrentHashMap#transfer` does: the run of equal destination at a bin's end is kept
    /// as it is, everything before it is prepended one by one and so comes out reversed.
    fn double_the_table(&mut self) {
        let size = self.table_size;
        let bin_of = |item: &FaultItem| item.hash as usize & (size - 1);
        let goes_high = |item: &FaultItem| item.hash as usize & size != 0;
        let mut halves = [Vec::new(), Vec::new()];
        for bin in self.items.chunk_by(|a, b| bin_of(a) == bin_of(b)) {
            let run_side = bin.last().is_some_and(goes_high);
            let run_start = bin.iter().rposition(|item| goes_high(item) != run_side).map_or(0, |before| before + 1);
            let (head, run) = bin.split_at(run_start);
            for (side, half) in [false, true].into_iter().zip(&mut halves) {
                half.extend(head.iter().rev().filter(|item| goes_high(item) == side));
                half.extend(run.iter().filter(|_| run_side == side));
            }
        }
        self.items = halves.concat();
        self.table_size = size * 2;
    }

    /// Whether a broker may be used. One that nothing is known of may.
    pub fn is_available(&self, broker: BrokerName, now_ms: i64) -> bool {
        self.items.iter().find(|item| item.broker == broker).is_none_or(|item| item.is_available(now_ms))
    }

    /// Forgets a broker.
    pub fn remove(&mut self, broker: BrokerName) {
        self.items.retain(|item| item.broker != broker);
    }

    /// A broker of the better half, in turn: `LatencyFaultToleranceImpl#pickOneAtLeast`. `worst` is the sending thread's
    /// own index into that half. A lone broker is taken without a step.
    pub fn pick_one_at_least(&self, worst: &mut ThreadLocalIndex, now_ms: i64) -> Option<BrokerName> {
        let mut sorted = self.items.clone();
        sorted.sort_by_key(|item| (!item.is_available(now_ms), item.latency_ms, item.available_from_ms));
        let better_half = sorted.len() / 2;
        let pick = if better_half == 0 { 0 } else { worst.increment_and_get() as usize % better_half };
        sorted.get(pick).map(|item| item.broker)
    }
}

/// A producer's choice of queues: `MQFaultStrategy` (4.9.8).
#[derive(Clone, Debug)]
pub struct MQFaultStrategy {
    /// `sendLatencyFaultEnable`, off by default. Off, nothing is noted and only the last broker is avoided.
    pub send_latency_fault_enable: bool,
    /// Up to 4.9.7 (and in 5.0 to 5.1.3) the queue of last resort is written over an element of the shared list, which
    /// then offers one queue twice and another never, until the next change of the route. One patch ended that and made
    /// the last resort ask for write permission, so the flag stands for the absence of both.
    pub writes_into_publish_list: bool,
    tolerance: LatencyFaultTolerance,
}

impl MQFaultStrategy {
    /// A strategy that has seen nothing.
    pub fn new(hashes: BrokerHashes, send_latency_fault_enable: bool, writes_into_publish_list: bool) -> Self {
        MQFaultStrategy { send_latency_fault_enable, writes_into_publish_list, tolerance: LatencyFaultTolerance::new(hashes) }
    }

    /// What is known of the brokers.
    pub fn tolerance(&self) -> &LatencyFaultTolerance {
        &self.tolerance
    }

    /// The queue for the next attempt: `MQFaultStrategy#selectOneMessageQueue`. None only if there are no queues.
    ///
    /// With fault tolerance on, the last broker is not looked at: its failure has just made it unavailable. `index` is
    /// the thread's place in `info`, `worst` its place among the brokers of last resort.
    pub fn select_one_message_queue(
        &mut self,
        info: &mut TopicPublishInfo,
        queue_datas: &[QueueData],
        index: &mut ThreadLocalIndex,
        worst: &mut ThreadLocalIndex,
        last_broker: Option<BrokerName>,
        now_ms: i64,
    ) -> Option<MessageQueue> {
        if !self.send_latency_fault_enable {
            return info.select_one_message_queue(index, last_broker);
        }
        let size = info.queues.len();
        let start = index.increment_and_get();
        for step in 0..size {
            let queue = info.queues[position(start, step, size)];
            if self.tolerance.is_available(queue.broker, now_ms) {
                return Some(queue);
            }
        }
        if let Some(broker) = self.tolerance.pick_one_at_least(worst, now_ms) {
            let counts = |data: &&QueueData| data.broker == broker && (self.writes_into_publish_list || is_writable(data.perm));
            let write_queue_nums = queue_datas.iter().find(counts).map_or(0, |data| data.write_queue_nums);
            if write_queue_nums > 0 {
                let place = info.next_position(index)?;
                let queue_id = (index.increment_and_get() as u32 % write_queue_nums) as i32;
                let queue = MessageQueue { topic: info.queues[place].topic, broker, queue_id };
                if self.writes_into_publish_list {
                    info.queues[place] = queue;
                }
                return Some(queue);
            }
            self.tolerance.remove(broker);
        }
        info.select_in_turn(index)
    }

    /// Notes how an attempt went and returns for how long the broker is now avoided; none if fault tolerance is off.
    pub fn update_fault_item(&mut self, broker: BrokerName, latency_ms: i64, isolation: bool, now_ms: i64) -> Option<i64> {
        if !self.send_latency_fault_enable {
            return None;
        }
        let pause = compute_not_available_duration(if isolation { ISOLATION_LATENCY_MS } else { latency_ms });
        self.tolerance.update_fault_item(broker, latency_ms, pause, now_ms);
        Some(pause)
    }
}

/// `Math.abs(start + step) % size` on 32 bits, where the absolute value of the smallest number is itself, negative.
fn position(start: i32, step: usize, size: usize) -> usize {
    let sum = i64::from(start.wrapping_add(step as i32).wrapping_abs());
    (sum % size as i64).max(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;
    use crate::base::names::NamesBuilder;

    fn names(count: usize) -> Names {
        let mut b = NamesBuilder::default();
        for i in 0..count {
            b.broker(&format!("broker-{}", char::from(b'a' + i as u8)));
        }
        b.freeze()
    }
    fn order(tolerance: &LatencyFaultTolerance, names: &Names) -> String {
        tolerance.items.iter().map(|item| names.broker_name(item.broker).chars().last().unwrap()).collect()
    }

    #[test]
    fn durations() {
        for (latency, pause) in [
            (-1, 0),
            (0, 0),
            (99, 0),
            (549, 0),
            (550, 30_000),
            (999, 30_000),
            (1000, 60_000),
            (2999, 120_000),
            (3000, 180_000),
            (14_999, 180_000),
            (15_000, 600_000),
        ] {
            assert_eq!(compute_not_available_duration(latency), pause, "{latency}");
        }
    }

    #[test]
    fn positions_where_the_sum_wraps() {
        for (start, step, size, expect) in [(5, 0, 3, 2), (5, 4, 3, 0), (i32::MAX, 1, 7, 0), (i32::MAX, 2, 7, 1)] {
            assert_eq!(position(start, step, size), expect, "{start}+{step}");
        }
    }

    #[test]
    fn items_lie_in_the_order_of_javas_map() {
        // The second has grown its table once. Both as listed by a ConcurrentHashMap of JDK 17.
        for (count, expect) in [(5, "debca"), (26, "jkhifgderspqnolmbcazxyvwtu")] {
            let names = names(count);
            let mut tolerance = LatencyFaultTolerance::new(BrokerHashes::of(&names));
            for broker in names.brokers() {
                tolerance.update_fault_item(broker, 0, 0, 0);
            }
            assert_eq!(order(&tolerance, &names), expect);
        }
    }

    #[test]
    fn a_growing_table_keeps_the_last_run_and_reverses_the_rest() {
        // All in bin 0 of 32; bit 5 sends an item to the upper half.
        let hashes: Vec<u32> = [0u32, 32, 0, 32, 32].into_iter().chain((5..24).map(|i| i % 31 + 1)).collect();
        let mut tolerance = LatencyFaultTolerance::new(BrokerHashes(hashes.into()));
        for broker in 0..24 {
            tolerance.update_fault_item(BrokerName(broker), 0, 0, 0);
        }
        assert_eq!(tolerance.table_size, 64);
        let bin = |n: usize| tolerance.items.iter().filter(|i| i.hash as usize & 63 == n).map(|i| i.broker.0).collect::<Vec<_>>();
        assert_eq!((bin(0), bin(32)), (vec![2, 0], vec![1, 3, 4]));
    }

    #[test]
    fn with_every_broker_pausing_the_better_half_takes_turns() {
        let names = names(4);
        let hashes = BrokerHashes::of(&names);
        let queues: Vec<_> = names.brokers().map(|broker| MessageQueue { topic: TopicId(0), broker, queue_id: 0 }).collect();
        let datas: Vec<_> =
            names.brokers().map(|broker| QueueData { broker, read_queue_nums: 4, write_queue_nums: 4, perm: 6 }).collect();
        for writes in [false, true] {
            let mut strategy = MQFaultStrategy::new(hashes.clone(), true, writes);
            for (broker, latency) in names.brokers().zip([15_000, 600, 20_000, 700]) {
                strategy.update_fault_item(broker, latency, false, 0);
            }
            let mut info = TopicPublishInfo { order_topic: false, have_route: true, queues: queues.clone() };
            let (mut index, mut worst) = (ThreadLocalIndex::starting_at(-1), ThreadLocalIndex::starting_at(-1));
            let mut select = |now| {
                strategy
                    .select_one_message_queue(&mut info, &datas, &mut index, &mut worst, None, now)
                    .map(|q| (q.broker.0, q.queue_id))
            };
            assert_eq!([select(1), select(2)], [Some((1, 2)), Some((3, 1))]);
            // Half a minute later the two of the short pause are back and the list is walked again.
            assert_eq!(select(30_000).map(|q| q.0 % 2), Some(1));
            assert_eq!(info.queues != queues, writes);
        }
    }

    #[test]
    fn the_last_resort_asks_for_write_permission_since_4_9_8() {
        let names = names(1);
        let broker = BrokerName(0);
        let queue = MessageQueue { topic: TopicId(0), broker, queue_id: 0 };
        let data = QueueData { broker, read_queue_nums: 4, write_queue_nums: 4, perm: 4 };
        for (writes, kept) in [(false, 0), (true, 1)] {
            let mut strategy = MQFaultStrategy::new(BrokerHashes::of(&names), true, writes);
            strategy.update_fault_item(broker, 1, true, 0);
            let mut info = TopicPublishInfo { queues: vec![queue], ..Default::default() };
            let (mut index, mut worst) = (ThreadLocalIndex::starting_at(0), ThreadLocalIndex::starting_at(0));
            assert!(strategy.select_one_message_queue(&mut info, &[data], &mut index, &mut worst, None, 1).is_some());
            assert_eq!(strategy.tolerance.items.len(), kept);
        }
    }

    #[test]
    fn a_broker_that_left_the_route_is_forgotten() {
        let names = names(2);
        let mut strategy = MQFaultStrategy::new(BrokerHashes::of(&names), true, false);
        for broker in names.brokers() {
            assert_eq!(strategy.update_fault_item(broker, 1, true, 0), Some(600_000));
        }
        let mut info = TopicPublishInfo {
            queues: vec![MessageQueue { topic: TopicId(0), broker: BrokerName(1), queue_id: 0 }],
            ..Default::default()
        };
        let (mut index, mut worst) = (ThreadLocalIndex::starting_at(0), ThreadLocalIndex::starting_at(0));
        assert!(strategy.select_one_message_queue(&mut info, &[], &mut index, &mut worst, None, 1).is_some());
        assert_eq!(strategy.tolerance.items.len(), 1);
        info.queues.clear();
        assert_eq!(strategy.select_one_message_queue(&mut info, &[], &mut index, &mut worst, None, 1), None);
    }
}
