//! Quantiles and percentiles of whole numbers by rank, without interpolation: every figure shown is one that a seed had.
//!
//! A figure may be absent ("no send failed, so none failed first"). Absent sorts before every number, so that "never" has its place in a
//! distribution and a live run in which it never happened can be held against seeds in which it sometimes did.

/// A figure of one run: a whole number in its unit, or nothing to measure.
pub type Value = Option<i64>;

/// The value of rank ⌈percent·n/100⌉ of a sorted list; `None` of an empty one.
pub fn quantile(sorted: &[Value], percent: u32) -> Value {
    let rank = (sorted.len() * percent as usize).div_ceil(100).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().flatten()
}

/// The 1st and the 99th percentile: as many values lie below the one as above the other, ⌈n/100⌉ - 1. Of 200 values, one.
pub fn central(sorted: &[Value]) -> (Value, Value) {
    let n = sorted.len();
    let out = n.div_ceil(100).saturating_sub(1);
    match sorted.get(out).zip(sorted.get(n.saturating_sub(1 + out))) {
        Some((low, high)) => (*low, *high),
        None => (None, None),
    }
}

/// Whether a value lies in a closed interval, where numbers that differ by no more than `slack` cannot be told apart.
pub fn within(value: Value, low: Value, high: Value, slack: i64) -> bool {
    let above = match (value, low) {
        (Some(v), Some(low)) => v >= low.saturating_sub(slack),
        _ => value >= low,
    };
    let below = match (value, high) {
        (Some(v), Some(high)) => v <= high.saturating_add(slack),
        _ => value <= high,
    };
    above && below
}

/// Where a value stands among others, in ten-thousandths: those below it, and half of those equal to it (the mid-rank of the probability
/// integral transform). Numbers that differ by no more than `slack` are equal. 5,000 among none.
pub fn percentile(value: Value, others: &[Value], slack: i64) -> u32 {
    let same = |other: &Value| match (value, other) {
        (Some(a), Some(b)) => a.abs_diff(*b) <= slack.max(0) as u64,
        (a, b) => a == *b,
    };
    let equal = others.iter().filter(|o| same(o)).count();
    let below = others.iter().filter(|o| **o < value && !same(o)).count();
    match others.len() {
        0 => 5_000,
        n => ((2 * below + equal) * 5_000 / n) as u32,
    }
}

/// Distance of two series of bins: what would have to be moved, summed over bins; the shorter one ends in zeros.
pub fn distance(a: &[i64], b: &[i64]) -> i64 {
    let at = |series: &[i64], i: usize| series.get(i).copied().unwrap_or(0);
    (0..a.len().max(b.len())).map(|i| at(a, i).abs_diff(at(b, i)) as i64).sum()
}

/// The median of many series, bin by bin.
pub fn median_series(all: &[&[i64]]) -> Vec<i64> {
    let bins = all.iter().map(|s| s.len()).max().unwrap_or(0);
    (0..bins)
        .map(|i| {
            let mut column: Vec<Value> = all.iter().map(|s| Some(s.get(i).copied().unwrap_or(0))).collect();
            column.sort_unstable();
            quantile(&column, 50).unwrap_or(0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(range: std::ops::RangeInclusive<i64>) -> Vec<Value> {
        range.map(Some).collect()
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        for (n, percent, wanted) in [
            (200, 5, 10),
            (200, 50, 100),
            (200, 95, 190),
            (1, 5, 1),
            (1, 95, 1),
            (3, 50, 2),
            (10, 0, 1),
            (10, 100, 10),
            (7, 95, 7),
        ] {
            assert_eq!(quantile(&some(1..=n), percent), Some(wanted), "p{percent} of {n}");
        }
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[None, None, Some(3)], 50), None, "mostly absent");
    }

    #[test]
    fn the_central_interval_is_symmetrical() {
        for (n, low, high) in [(200, 2, 199), (100, 1, 100), (1000, 10, 991), (7, 1, 7), (1, 1, 1), (101, 2, 100)] {
            assert_eq!(central(&some(1..=n)), (Some(low), Some(high)), "{n}");
        }
        assert_eq!(central(&[]), (None, None));
    }

    #[test]
    fn never_is_below_every_number() {
        let sometimes = [None, None, Some(30)];
        assert!(within(None, sometimes[0], sometimes[2], 0));
        assert!(!within(None, Some(1), Some(9), 5), "it always happened, and here it did not");
        assert!(!within(Some(4), None, None, 5), "it never happened, and here it did");
        assert!(within(Some(10), Some(11), Some(20), 1) && !within(Some(9), Some(11), Some(20), 1));
        assert!(within(Some(21), Some(11), Some(20), 1) && within(Some(-7), None, Some(3), 0));
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(percentile(Some(5), &some(1..=9), 0), 5_000);
        assert_eq!(percentile(Some(1), &[Some(1); 8], 0), 5_000, "a figure that never varies is in the middle");
        assert_eq!(percentile(Some(0), &some(1..=9), 0), 0);
        assert_eq!(percentile(Some(10), &some(1..=9), 0), 10_000);
        assert_eq!(percentile(Some(1), &some(1..=4), 0), 1_250);
        assert_eq!(percentile(None, &[None, None, None, Some(1)], 0), 3_750);
        assert_eq!(percentile(Some(10), &some(1..=9), 1), 9_444, "what cannot be told apart is equal");
        assert_eq!(percentile(Some(1), &[], 0), 5_000);
    }

    #[test]
    fn series_are_compared_bin_by_bin() {
        assert_eq!(distance(&[1, 2, 3], &[1, 0]), 5);
        assert_eq!(median_series(&[&[1, 9], &[2, 0, 4], &[3, 5]]), [2, 5, 0]);
        assert_eq!(median_series(&[]), [0i64; 0]);
    }
}
