//! Durations in an HDR histogram: three significant digits, whatever the range, in some tens of kilobytes.
//!
//! Microseconds are recorded; the extremes are kept exactly beside it, because a histogram rounds its largest value up. The table is made
//! with the first value, so that thousands of quiet producers cost nothing.

use crate::base::time::{MS, SEC, US};
use crate::run::outcome::{MsQuantiles, SecondsSpread};
use hdrhistogram::Histogram;

#[derive(Clone, Debug)]
pub struct Hist {
    inner: Option<Histogram<u32>>,
    /// ns
    min: u64,
    max: u64,
}

impl Default for Hist {
    fn default() -> Self {
        Hist { inner: None, min: u64::MAX, max: 0 }
    }
}

impl Hist {
    #[inline]
    pub fn record(&mut self, ns: u64) {
        // Recording grows the table as needed; it cannot fail for a histogram that resizes.
        let _ = self.inner.get_or_insert_with(Self::table).record(ns / US);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }
    #[cold]
    fn table() -> Histogram<u32> {
        Histogram::new(3).expect("three digits are valid")
    }
    pub fn merge(&mut self, other: &Hist) {
        if let Some(theirs) = &other.inner {
            let _ = self.inner.get_or_insert_with(Self::table).add(theirs);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
    pub fn len(&self) -> u64 {
        self.inner.as_ref().map_or(0, Histogram::len)
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The value below which this share (0 to 1) lies, ns; `None` without any.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let inner = self.inner.as_ref().filter(|inner| !inner.is_empty())?;
        Some((inner.value_at_quantile(share) * US).clamp(self.min, self.max))
    }
    /// ns
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max)
    }
    pub fn clear(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.reset();
        }
        (self.min, self.max) = (u64::MAX, 0);
    }
    /// The value at place ⌊n·percent/100⌋ of the sorted list, counted from 0: how the live summaries pick their quantiles. It matters where a
    /// step of the distribution falls on the quantile, as when a tenth of the messages waits for a suspended queue.
    fn at_place(&self, percent: u64) -> Option<u64> {
        let n = self.len();
        let rank = (n * percent / 100 + 1).min(n);
        // Between two ranks, so that no rounding can reach the next one.
        self.quantile((rank as f64 - 0.5) / n as f64)
    }
    /// Whole milliseconds, as the live summaries have them.
    pub fn ms(&self) -> MsQuantiles {
        let at = |percent| self.at_place(percent).unwrap_or(0) / MS;
        MsQuantiles {
            n: self.len(),
            min: if self.is_empty() { 0 } else { self.min / MS },
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: self.max().unwrap_or(0) / MS,
        }
    }
    /// In seconds, to the millisecond.
    pub fn spread(&self) -> SecondsSpread {
        let seconds = |ns: u64| (ns / MS) as f64 / (SEC / MS) as f64;
        match self.at_place(50) {
            Some(p50) => {
                let at = |percent| seconds(self.at_place(percent).unwrap_or(0));
                SecondsSpread {
                    n: self.len(),
                    min: seconds(self.min),
                    p50: seconds(p50),
                    p90: at(90),
                    p99: at(99),
                    max: seconds(self.max),
                }
            }
            None => SecondsSpread::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_exact_extremes() {
        let mut hist = Hist::default();
        assert_eq!((hist.quantile(0.5), hist.ms()), (None, MsQuantiles::default()));
        for ms in 1..=1000 {
            hist.record(ms * MS + 1);
        }
        let ms = hist.ms();
        assert_eq!((ms.n, ms.max), (1000, 1000));
        assert!((499..=501).contains(&ms.p50) && (989..=991).contains(&ms.p99), "{ms:?}");
        assert_eq!(hist.max(), Some(1_000_000_001));
        let mut sum = Hist::default();
        sum.record(0);
        sum.merge(&hist);
        assert_eq!((sum.len(), sum.spread().min, sum.spread().max), (1001, 0.0, 1.0));
        sum.clear();
        assert!(sum.is_empty());
        assert_eq!(sum.spread().n, 0);
    }

    /// Six levels of a hundred messages: the live median of such a run is the least value of the fourth level.
    #[test]
    fn quantiles_fall_on_the_live_side_of_a_step() {
        let mut hist = Hist::default();
        for level in 1..=6 {
            (0..100).for_each(|_| hist.record(level * SEC));
        }
        assert_eq!((hist.ms().p50, hist.ms().p90, hist.ms().p99), (4000, 6000, 6000));
        let mut hist = Hist::default();
        (1..=100).for_each(|n| hist.record(n * MS));
        assert_eq!(
            (hist.ms().p50, hist.ms().p90, hist.ms().p99),
            (51, 91, 100),
            "of a hundred, the 99th percentile is the largest"
        );
    }
}
