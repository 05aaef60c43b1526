//! Durations in an HDR histogram: three significant digits, whatever the range, in some tens of kilobytes.
//!
//! Microseconds are recorded; the extremes are kept exactly beside it, because a histogram rounds its largest value up. The first thousand values are
//! also kept as they are: three digits of two minutes are a tenth of a second, which is as long as what a delay level is late by. While there are no more than
//! these, they are all there is: the table is made with the next one, so that thousands of quiet producers have none. A busy one's table is entered in batches: a
//! value at a time finds it cold, since the notes between two values go over more memory than the nearest cache has.

use crate::base::time::{MS, SEC, US};
use crate::run::outcome::{MsQuantiles, SecondsSpread};
use hdrhistogram::Histogram;
use std::borrow::Cow;

/// So many values are kept exactly.
const FEW: usize = 1_024;
/// So many values wait to be entered into the table together.
const BATCH: usize = 256;

#[derive(Clone, Debug)]
pub struct Hist {
    /// All values but those that wait, once there are more than a few.
    inner: Option<Box<Histogram<u32>>>,
    /// ns, fewer than a batch.
    waiting: Vec<u64>,
    /// ns, all of them while there are no more than fit.
    few: Vec<u64>,
    /// ns
    min: u64,
    max: u64,
}

impl Default for Hist {
    fn default() -> Self {
        Hist { inner: None, waiting: Vec::new(), few: Vec::new(), min: u64::MAX, max: 0 }
    }
}

impl Hist {
    #[inline]
    pub fn record(&mut self, ns: u64) {
        if self.few.len() < FEW {
            self.few.push(ns);
        } else if self.inner.is_none() {
            self.inner = Some(Self::table(&self.few));
        }
        if self.inner.is_some() {
            self.waiting.push(ns);
            if self.waiting.len() == BATCH {
                self.settle();
            }
        }
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }
    /// Nothing waits any more.
    #[inline(never)]
    pub fn settle(&mut self) {
        if let Some(inner) = &mut self.inner {
            Self::enter(inner, &self.waiting);
        }
        self.waiting.clear();
    }
    fn enter(table: &mut Histogram<u32>, values: &[u64]) {
        for ns in values {
            // Recording grows the table as needed; it cannot fail for a histogram that resizes.
            let _ = table.record(ns / US);
        }
    }
    /// The table with what waits.
    fn whole(&self) -> Option<Cow<'_, Histogram<u32>>> {
        let mut whole = Cow::Borrowed(&**self.inner.as_ref()?);
        if !self.waiting.is_empty() {
            Self::enter(whole.to_mut(), &self.waiting);
        }
        Some(whole)
    }
    #[cold]
    fn table(values: &[u64]) -> Box<Histogram<u32>> {
        let mut table = Histogram::new(3).expect("three digits are valid");
        Self::enter(&mut table, values);
        Box::new(table)
    }
    pub fn merge(&mut self, other: &Hist) {
        self.settle();
        if self.inner.is_some() || other.inner.is_some() || self.few.len() + other.few.len() > FEW {
            let few = &self.few;
            let inner = self.inner.get_or_insert_with(|| Self::table(few));
            let _ = match other.whole() {
                Some(theirs) => inner.add(&*theirs),
                None => inner.add(&*Self::table(&other.few)),
            };
        }
        self.few.extend(other.few.iter().take(FEW.saturating_sub(self.few.len())));
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
    pub fn len(&self) -> u64 {
        self.inner.as_ref().map_or(self.few.len() as u64, |inner| inner.len() + self.waiting.len() as u64)
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The value below which this share (0 to 1) lies, ns; `None` without any.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let value = match self.whole() {
            Some(inner) => inner.value_at_quantile(share),
            None => Self::table(&self.few).value_at_quantile(share),
        };
        Some((value * US).clamp(self.min, self.max))
    }
    /// ns
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max)
    }
    pub fn clear(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.reset();
        }
        self.waiting.clear();
        self.few.clear();
        (self.min, self.max) = (u64::MAX, 0);
    }
    /// The value at place ⌊n·percent/100⌋ of the sorted list, counted from 0: how the live summaries pick their quantiles. It matters where a
    /// step of the distribution falls on the quantile, as when a tenth of the messages waits for a suspended queue.
    fn at_place(&self, percent: u64) -> Option<u64> {
        let n = self.len();
        let rank = (n * percent / 100 + 1).min(n);
        if n > 0 && n == self.few.len() as u64 {
            let mut sorted = self.few.clone();
            sorted.sort_unstable();
            return sorted.get(rank as usize - 1).copied();
        }
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

    /// The table that is made late, and entered in batches, says what one says that was there from the first value and that nothing waits for.
    #[test]
    fn a_late_table_has_every_value() {
        let (mut late, mut early) = (Hist::default(), Hist { inner: Some(Hist::table(&[])), ..Hist::default() });
        for n in 0..3 * FEW as u64 {
            let ns = crate::base::ids::mix(n) % (40 * MS);
            late.record(ns);
            early.record(ns);
            early.settle();
            if n % 97 == 0 || n.abs_diff(FEW as u64) < 3 {
                assert_eq!(
                    (late.len(), late.quantile(0.5), late.quantile(0.99)),
                    (n + 1, early.quantile(0.5), early.quantile(0.99))
                );
                let (mut a, mut b) = (late.clone(), early.clone());
                a.merge(&late);
                b.merge(&early);
                assert_eq!((a.len(), a.quantile(0.9), a.max()), (2 * n + 2, b.quantile(0.9), b.max()));
            }
        }
    }

    /// Six levels of a hundred messages: the live median of such a run is the least value of the fourth level.
    #[test]
    fn quantiles_fall_on_the_live_side_of_a_step() {
        let mut hist = Hist::default();
        for level in 1..=6 {
            (0..100).for_each(|_| hist.record(level * SEC));
        }
        assert_eq!((hist.ms().p50, hist.ms().p90, hist.ms().p99), (4000, 6000, 6000));
        let mut late = Hist::default();
        (0..100).for_each(|n| late.record(120 * SEC + n * MS));
        assert_eq!((late.ms().p50, late.spread().p90), (120_050, 120.09), "a few values are exact");
        late.merge(&hist);
        assert_eq!((late.len(), late.ms().p99), (700, 120_093));
        let mut hist = Hist::default();
        (1..=100).for_each(|n| hist.record(n * MS));
        assert_eq!(
            (hist.ms().p50, hist.ms().p90, hist.ms().p99),
            (51, 91, 100),
            "of a hundred, the 99th percentile is the largest"
        );
    }
}
