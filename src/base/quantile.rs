//! A delay distribution as a table of integers.
//!
//! The inverse of a distribution function, sampled at 1024 evenly spaced probabilities and, for the tail, at the
//! probabilities 1 - 2^-11 .. 1 - 2^-20. A draw is a 32-bit word: its top bits choose the cell, the rest interpolate.
//! Only integers are involved at run time, so the order of events cannot depend on a platform's `exp`. Tables are
//! built from two quantiles, p50 and p99, as a log-normal: that is what round trips and service times look like, and two
//! quantiles are what an operator can read off a dashboard.

use std::sync::Arc;

const BODY: usize = 1024;
const TAIL: usize = 10;

/// Where the body begins in a table.
const HEAD: usize = 2 + TAIL + 1;

/// A distribution of non-negative nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The median and the 99th percentile, and of what is no constant the tail and the body behind them. `tail[j]` is the quantile at 1 - 2^-(11 + j), finer cells for
    /// the last 1024th; `body[i]` is the one at (i + 0.5) / 1024. One allocation that all share: thousands of nodes have the same table, and what one of them has
    /// read lies in the cache for the next.
    table: Arc<[u64]>,
}

impl Quantiles {
    /// Always the same value; draws are ignored.
    pub fn constant(ns: u64) -> Self {
        Quantiles { table: Arc::new([ns, ns]) }
    }

    /// Log-normal through the two quantiles. `p99 <= p50` gives a constant.
    pub fn log_normal(p50: u64, p99: u64) -> Self {
        if p50 == 0 || p99 <= p50 {
            return Self::constant(p50);
        }
        let sigma = libm::log(p99 as f64 / p50 as f64) / Z99;
        let at = |p: f64| libm::round(p50 as f64 * libm::exp(sigma * normal_quantile(p))) as u64;
        let tail = (0..=TAIL).map(|j| at(1.0 - libm::ldexp(1.0, -(11 + j as i32))));
        let body = (0..BODY).map(|i| at((i as f64 + 0.5) / BODY as f64));
        Quantiles { table: [p50, p99].into_iter().chain(tail).chain(body).collect() }
    }

    pub fn is_constant(&self) -> bool {
        self.table.len() <= HEAD
    }
    /// The median, in nanoseconds.
    pub fn p50(&self) -> u64 {
        self.table[0]
    }
    /// The 99th percentile, in nanoseconds.
    pub fn p99(&self) -> u64 {
        self.table[1]
    }

    /// The delay that belongs to a drawn word: monotone in the word.
    #[inline]
    pub fn at(&self, word: u32) -> u64 {
        if self.is_constant() {
            return self.p50();
        }
        let (tail, body) = self.table[2..].split_at(TAIL + 1);
        // Position in units of half a cell: the quantiles sit in the middle of their cells.
        let shifted = (word as u64).saturating_sub(1 << 21);
        let cell = (shifted >> 22) as usize;
        if cell + 1 < BODY {
            let (low, high) = (body[cell], body[cell + 1]);
            return low + (((high - low) as u128 * (shifted & 0x3f_ffff) as u128) >> 22) as u64;
        }
        // The last half cell: 2^21 words, split by halves towards certainty.
        let left = (u32::MAX - word) as u64 + 1;
        let k = left.ilog2() as usize;
        if k >= 21 {
            return tail[0];
        }
        if 21 - k > TAIL {
            return tail[TAIL];
        }
        let (low, high) = (tail[20 - k], tail[21 - k]);
        low + (((high - low) as u128 * ((2u64 << k) - left) as u128) >> k) as u64
    }
}

/// The 0.99 quantile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

/// Acklam's rational approximation of the standard normal quantile (relative error below 1.2e-9), in plain
/// arithmetic and `libm`, so that every platform builds the same table.
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_8,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] =
        [-54.476_098_798_224_06, 161.585_836_858_040_9, -155.698_979_859_886_6, 66.801_311_887_719_72, -13.280_681_552_885_72];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [0.007_784_695_709_041_462, 0.322_467_129_070_039_8, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let tail = |q: f64| {
        (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5])
            / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    if p < 0.02425 {
        tail(libm::sqrt(-2.0 * libm::log(p)))
    } else if p > 1.0 - 0.02425 {
        -tail(libm::sqrt(-2.0 * libm::log(1.0 - p)))
    } else {
        let q = p - 0.5;
        let r = q * q;
        (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q
            / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{MS, US};

    #[test]
    fn quantiles_come_out_where_they_were_put() {
        let q = Quantiles::log_normal(200 * US, MS);
        let at = |p: f64| q.at((p * 4_294_967_296.0) as u32);
        let near = |got: u64, want: u64| (got as f64 / want as f64 - 1.0).abs() < 0.01;
        assert!(near(at(0.5), 200 * US), "{}", at(0.5));
        assert!(near(at(0.99), MS), "{}", at(0.99));
        assert!(q.at(u32::MAX) > 3 * MS && q.at(0) > 0);
    }

    #[test]
    fn a_larger_word_is_never_a_shorter_delay() {
        let q = Quantiles::log_normal(200 * US, 2 * MS);
        let mut last = 0;
        for step in 0..=1_000_000u64 {
            let v = q.at((step * 4294).min(u32::MAX as u64) as u32);
            assert!(v >= last, "at word {}: {v} after {last}", step * 4294);
            last = v;
        }
        last = 0;
        for left in (0..4_200_000u32).rev().step_by(7) {
            let v = q.at(u32::MAX - left);
            assert!(v >= last, "the tail falls at {left}: {v} after {last}");
            last = v;
        }
    }

    #[test]
    fn a_constant_ignores_its_word() {
        let q = Quantiles::constant(5);
        assert_eq!((q.at(0), q.at(u32::MAX)), (5, 5));
    }
}
