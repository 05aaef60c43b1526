//! Where a moment lies: which second, which ten-second bin, inside the load or not. Worked out once a second, not once a note.

use crate::base::time::SEC;

/// Width of the bins of the live summaries, ns.
pub const BIN: u64 = 10 * SEC;

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub zero: u64,
    pub load_end: u64,
    /// The moment of the present note, ns.
    pub now: u64,
    /// End of the present second, counted from time 0.
    next: u64,
    /// Bin of the present moment; `None` before time 0.
    bin: Option<usize>,
}

impl Clock {
    pub fn new(zero: u64, load_end: u64) -> Self {
        Clock { zero, load_end, now: 0, next: 0, bin: None }
    }

    /// Moves on. If a second ended, says at which moment.
    #[inline]
    pub fn advance(&mut self, at: u64) -> Option<u64> {
        self.now = at;
        if at < self.next { None } else { Some(self.turn()) }
    }

    #[cold]
    fn turn(&mut self) -> u64 {
        let ended = self.next;
        // Seconds are aligned to time 0, which need not be a whole second of the run.
        let phase = self.zero % SEC;
        self.next = if self.now < phase { phase } else { phase + ((self.now - phase) / SEC + 1) * SEC };
        self.bin = self.bin_of(self.now);
        ended
    }

    /// Where the present second ends.
    pub fn second_end(&self) -> u64 {
        self.next
    }

    /// Bin of the present moment.
    #[inline]
    pub fn bin(&self) -> Option<usize> {
        self.bin
    }

    /// Bin of another moment.
    pub fn bin_of(&self, at: u64) -> Option<usize> {
        at.checked_sub(self.zero).map(|since| (since / BIN) as usize)
    }

    /// Seconds from time 0, to the microsecond.
    pub fn seconds(&self, at: u64) -> f64 {
        ((at as i64 - self.zero as i64) as f64 / 1e3).round() / 1e6
    }

    /// Number of bins of a run that ends here.
    pub fn bins(&self, end: u64) -> usize {
        end.saturating_sub(self.zero).div_ceil(BIN) as usize
    }
}

/// Adds one to a bin of a growing row.
#[inline]
pub fn count(row: &mut Vec<u64>, bin: Option<usize>) {
    if let Some(bin) = bin {
        if bin >= row.len() {
            row.resize(bin + 1, 0);
        }
        row[bin] += 1;
    }
}

/// The row, cut or filled to this length.
pub fn padded(row: &[u64], bins: usize) -> Vec<u64> {
    let mut row = row.to_vec();
    row.resize(bins.max(row.len()), 0);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_bins_are_aligned_to_time_zero() {
        let zero = 10 * SEC + SEC / 2;
        let mut clock = Clock::new(zero, 100 * SEC);
        assert!(clock.advance(0).is_some() && clock.bin().is_none());
        assert_eq!(clock.advance(SEC / 4), None);
        assert_eq!(clock.advance(zero), Some(SEC / 2));
        assert_eq!(clock.bin(), Some(0));
        assert_eq!(clock.advance(zero + SEC - 1), None);
        assert_eq!(clock.advance(zero + 25 * SEC), Some(zero + SEC));
        assert_eq!(clock.bin(), Some(2));
        assert_eq!((clock.seconds(zero - SEC), clock.bins(zero + 25 * SEC)), (-1.0, 3));
    }
}
