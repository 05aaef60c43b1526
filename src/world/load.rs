//! The open-loop load: when each message of a producer falls due, and what it is.
//!
//! A slow answer does not slow the offered load. Everything about message n is a function of the producer's name and n, so another
//! producer, or another retry setting, changes nobody's messages.

use super::spec::{Arrivals, LoadSpec, ProducerSpec};
use crate::base::draw::{Draws, Luck, Purpose};
use crate::base::ids::{Entity, MessageId};
use crate::base::time::SEC;
use crate::contract::{Offered, TxState};
use crate::rocketmq::filter::string_hash;

/// The progress of one producer's load.
#[derive(Clone, Debug)]
pub(super) struct Load {
    entity: Entity,
    index: u16,
    topic: crate::base::ids::TopicId,
    spec: LoadSpec,
    tx: Option<TxState>,
    tag_codes: Vec<i32>,
    phase: usize,
    /// ns within the phase of the next due moment.
    next_in_phase: u64,
    /// Messages left of the current burst.
    burst_left: u32,
    n: u64,
    begun: bool,
}

impl Load {
    pub(super) fn new(entity: Entity, producer: &ProducerSpec) -> Self {
        Load {
            entity,
            index: producer.index,
            topic: producer.topic,
            spec: producer.load.clone(),
            tx: producer.transactional.map(|t| t.local),
            tag_codes: producer.load.tags.iter().map(|t| string_hash(t)).collect(),
            phase: 0,
            next_in_phase: 0,
            burst_left: 0,
            n: 0,
            begun: false,
        }
    }

    /// Due time of the next message, ns of the run; `None` when the load is over. `zero` is the scenario's time 0.
    pub(super) fn next(&mut self, draws: Draws, zero: u64) -> Option<u64> {
        loop {
            let phase = self.spec.phases.get(self.phase)?;
            let gap = (1_000 * SEC as u128 * phase.burst.max(1) as u128 / phase.per_1000s.max(1) as u128) as u64;
            if !self.begun {
                self.begun = true;
                self.next_in_phase = match self.spec.arrivals {
                    Arrivals::Pinned => 0,
                    _ => draws.below(self.entity, Purpose::Arrival, (self.phase as u64) << 48, gap.max(1)),
                };
                self.burst_left = phase.burst.max(1);
            }
            let at = zero as i128 + phase.from as i128 + self.next_in_phase as i128;
            if at < zero as i128 + phase.until as i128 && phase.per_1000s > 0 {
                return Some(at.max(1) as u64);
            }
            self.phase += 1;
            self.begun = false;
        }
    }

    /// Takes the message that is due and moves on.
    pub(super) fn take(&mut self, draws: Draws, due_mono: u64) -> Offered {
        let n = self.n;
        self.n += 1;
        self.burst_left = self.burst_left.saturating_sub(1);
        if self.burst_left == 0
            && let Some(phase) = self.spec.phases.get(self.phase)
        {
            self.burst_left = phase.burst.max(1);
            let gap = (1_000 * SEC as u128 * phase.burst.max(1) as u128 / phase.per_1000s.max(1) as u128) as u64;
            self.next_in_phase += match self.spec.arrivals {
                Arrivals::Even | Arrivals::Pinned => gap.max(1),
                Arrivals::Poisson => exponential(gap, draws.word(self.entity, Purpose::Arrival, n + 1)).max(1),
            };
        }
        let keys = self.spec.keys;
        // What has one value only draws nothing.
        let drawn = self.spec.keys_drawn && keys > 0 || !self.spec.size.is_constant();
        let content = if drawn { draws.luck(self.entity, Purpose::Content, n) } else { Luck::default() };
        let key = match (keys, self.spec.keys_drawn) {
            (0, _) => None,
            (_, true) => Some(((content.0[0] as u64 * keys as u64) >> 32) as u32),
            (_, false) => Some((n % keys as u64) as u32),
        };
        let tag = if self.tag_codes.is_empty() { 0 } else { (n % self.tag_codes.len() as u64) as usize };
        Offered {
            id: MessageId::new(self.index, n),
            topic: self.topic,
            key,
            body_len: self.spec.size.at(content.0[1]).min(u32::MAX as u64) as u32,
            tag_code: self.tag_codes.get(tag).copied().unwrap_or(0),
            tag: tag as u8,
            delay_level: self.spec.delay_level,
            tx: self.tx,
            due_mono,
        }
    }
}

/// An exponential variate of mean `mean` from one word, by von Neumann's halving: the number of leading ones is the whole part in
/// units of ln 2, the rest interpolates within it. Integers only; the error of the interpolation is below 2 %.
fn exponential(mean: u64, word: u32) -> u64 {
    // -ln(1 - u) = k ln 2 - ln(1 - v) with u's leading ones counted by k and v in [0, 1/2).
    let k = word.leading_ones() as u64;
    let rest = if k >= 31 { 0 } else { (word << (k + 1)) as u64 };
    // -ln(1 - x/2) for x in [0, 1): x/2 + x^2/8 + x^3/24 + x^4/64 in 32-bit fixed point.
    let x = rest as u128;
    let x2 = (x * x) >> 32;
    let x3 = (x2 * x) >> 32;
    let x4 = (x3 * x) >> 32;
    let within = x / 2 + x2 / 8 + x3 / 24 + x4 / 64;
    let ln2 = 2_977_044_472u128;
    (((k as u128 * ln2 + within) * mean as u128) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::MS;

    #[test]
    fn exponential_has_its_mean_and_its_tail() {
        let draws = Draws::new(5);
        let n = 40_000u64;
        let values: Vec<u64> = (0..n).map(|i| exponential(10 * MS, draws.word(Entity(1), Purpose::Arrival, i))).collect();
        let mean = values.iter().sum::<u64>() / n;
        assert!((9_800_000..10_200_000).contains(&mean), "{mean}");
        let beyond = values.iter().filter(|v| **v > 20 * MS).count() as f64 / n as f64;
        assert!((0.128..0.143).contains(&beyond), "exp(-2) is 0.135: {beyond}");
    }
}
