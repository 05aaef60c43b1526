//! Which offsets of a queue were delivered, in bounded memory: a run without gaps as two numbers, the rest in a compressed bitmap.
//!
//! Deliveries come nearly in order, so the run swallows almost everything and the bitmap holds only what came ahead or below.

use roaring::RoaringBitmap;

#[derive(Clone, Debug, Default)]
pub struct Covered {
    from: u64,
    next: u64,
    /// Offsets outside the run. Offsets of one simulated queue stay below 2^32.
    odd: RoaringBitmap,
}

impl Covered {
    #[inline]
    pub fn contains(&self, offset: u64) -> bool {
        (self.from <= offset && offset < self.next) || (!self.odd.is_empty() && self.odd.contains(offset as u32))
    }

    /// Takes an offset in; `false` if it was in already.
    #[inline]
    pub fn insert(&mut self, offset: u64) -> bool {
        if offset == self.next {
            self.next += 1;
            if !self.odd.is_empty() {
                while self.odd.remove(self.next as u32) {
                    self.next += 1;
                }
            }
            return true;
        }
        if self.from == self.next && self.odd.is_empty() {
            (self.from, self.next) = (offset, offset + 1);
            return true;
        }
        if self.contains(offset) {
            return false;
        }
        self.odd.insert(offset as u32)
    }

    /// Forgets everything from this offset on.
    pub fn truncate(&mut self, from: u64) {
        self.next = self.next.min(from).max(self.from);
        if from <= self.from {
            // The run is empty; it may begin anew only where no odd offset lies behind it.
            (self.from, self.next) = (from, from);
        }
        self.odd.remove_range((from as u32)..=u32::MAX);
    }

    #[cfg(test)]
    fn len(&self) -> u64 {
        self.next - self.from + self.odd.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((0u64..60, proptest::bool::weighted(0.05)), 0..200)) {
            let (mut covered, mut model) = (Covered::default(), BTreeSet::new());
            for (offset, cut) in steps {
                if cut {
                    covered.truncate(offset);
                    model.retain(|o| *o < offset);
                } else {
                    prop_assert_eq!(covered.insert(offset), model.insert(offset));
                }
                for o in 0..60 {
                    prop_assert_eq!(covered.contains(o), model.contains(&o), "{}", o);
                }
                prop_assert_eq!(covered.len(), model.len() as u64);
            }
        }
    }

    #[test]
    fn in_order_deliveries_take_no_bitmap() {
        let mut covered = Covered::default();
        for offset in 1000..100_000 {
            assert!(covered.insert(offset));
        }
        assert!(covered.odd.is_empty() && !covered.insert(5000) && !covered.contains(999));
    }
}
