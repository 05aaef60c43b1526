//! The open-loop load: when each message of a producer falls due, and what it is.
//!
//! A slow answer does not slow the offered load. Everything about message n is a function of the producer's name and n, so another
//! producer, or another retry setting, changes nobody's messages.

use super::spec::{Arrivals, LoadSpec, ProducerSpec};
use crate::base::draw::{Draws, Luck, Purpose};
use crate::base::ids::{Entity, MessageId, TopicId};
use crate::base::time::SEC;
use crate::contract::{Offered, TxState};
use crate::rocketmq::filter::string_hash;

/// The progress of one producer's load.
#[derive(Clone, Debug)]
pub(super) struct Load {
    entity: Entity,
    index: u16,
    topic: TopicId,
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
        let tx = producer.transactional.map(|t| t.local);
        Self::of(entity, producer.index, producer.topic, producer.load.clone(), tx)
    }

    fn of(entity: Entity, index: u16, topic: TopicId, spec: LoadSpec, tx: Option<TxState>) -> Self {
        Load {
            entity,
            index,
            topic,
            tag_codes: spec.tags.iter().map(|t| string_hash(t)).collect(),
            spec,
            tx,
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
                    Arrivals::Pinned | Arrivals::Led => 0,
                    _ => draws.below(self.entity, Purpose::Arrival, (self.phase as u64) << 48, gap.max(1)),
                };
                self.burst_left = phase.burst.max(1);
            }
            let at = zero as i128 + phase.from as i128 + self.next_in_phase as i128;
            // The first one is the last moment's: as many as of an even load.
            let early = if self.spec.arrivals == Arrivals::Led && self.next_in_phase > 0 { gap } else { 0 };
            if at + (early as i128) < zero as i128 + phase.until as i128 && phase.per_1000s > 0 {
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
                Arrivals::Led if self.next_in_phase == 0 => {
                    draws.below(self.entity, Purpose::Arrival, (self.phase as u64) << 48, gap).max(1)
                }
                Arrivals::Even | Arrivals::Pinned | Arrivals::Led => gap.max(1),
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
pub(super) fn exponential(mean: u64, word: u32) -> u64 {
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
    use crate::base::quantile::Quantiles;
    use crate::base::time::MS;
    use crate::world::spec::LoadPhase;

    /// When the messages of two seconds at two a second fall due, ms.
    fn due(arrivals: Arrivals, seed: u64) -> Vec<u64> {
        let spec = LoadSpec {
            phases: vec![LoadPhase { from: 1_000 * MS as i64, until: 3_000 * MS as i64, per_1000s: 2_000, burst: 1 }],
            arrivals,
            keys: 0,
            keys_drawn: false,
            size: Quantiles::constant(1),
            delay_level: 0,
            tags: Vec::new(),
        };
        let mut load = Load::of(Entity::named("pg-0"), 0, TopicId(0), spec, None);
        let mut due = Vec::new();
        while let Some(at) = load.next(Draws::new(seed), 0) {
            due.push(at / MS);
            load.take(Draws::new(seed), at);
        }
        due
    }

    #[test]
    fn a_load_falls_due_as_its_arrivals_say() {
        for seed in 0..50 {
            assert_eq!(due(Arrivals::Pinned, seed), [1_000, 1_500, 2_000, 2_500]);
            let even = due(Arrivals::Even, seed);
            let late = even[0] - 1_000;
            assert_eq!(even, [0, 500, 1_000, 1_500].map(|at| 1_000 + late + at));
            assert!(late < 500);
            // The first stands at the beginning instead of before it, so the others are where an even load has them, and the last is not there.
            assert_eq!(due(Arrivals::Led, seed), [&[1_000], &even[..3]].concat());
        }
    }

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
