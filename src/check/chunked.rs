//! Rows by number that grow and are hardly ever moved.
//!
//! A vector that doubles holds up to twice what lies in it, and for a moment both the old rows and the new ones. Checks keep some rows a message, and there are
//! millions of messages: here they lie in chunks of which only the last one has room to spare. The first chunk grows as a vector does, so that thousands of quiet
//! producers hold little, and it is found without a look at the list of the others: quiet producers have no such list.

/// Rows of a chunk.
const CHUNK: usize = 1024;

/// Rows numbered from 0, made as they are asked for.
#[derive(Clone, Debug)]
pub struct Chunked<T> {
    first: Vec<T>,
    further: Vec<Vec<T>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Chunked { first: Vec::new(), further: Vec::new() }
    }
}

impl<T: Copy + Default> Chunked<T> {
    /// The row, made if need be together with those before it.
    #[inline]
    pub fn at(&mut self, n: usize) -> &mut T {
        if self.get(n).is_none() {
            self.grow(n);
        }
        if n < CHUNK { &mut self.first[n] } else { &mut self.further[n / CHUNK - 1][n % CHUNK] }
    }
    #[inline(never)]
    fn grow(&mut self, n: usize) {
        let (chunk, row) = (n / CHUNK, n % CHUNK);
        while self.further.len() < chunk {
            self.further.last_mut().unwrap_or(&mut self.first).resize(CHUNK, T::default());
            self.further.push(Vec::with_capacity(CHUNK));
        }
        self.further.last_mut().unwrap_or(&mut self.first).resize(row + 1, T::default());
    }
    #[inline]
    pub fn get(&self, n: usize) -> Option<&T> {
        if n < CHUNK { self.first.get(n) } else { self.further.get(n / CHUNK - 1)?.get(n % CHUNK) }
    }
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.further.iter().flatten())
    }
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.further.iter_mut().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_numbers() {
        for step in [1, 7, 1023, 1024, 1025, 5000] {
            let mut rows = Chunked::default();
            for n in (0..20_000).step_by(step) {
                *rows.at(n) = n + 1;
                assert_eq!((rows.get(n), rows.get(n + 1)), (Some(&(n + 1)), None), "{step}");
            }
            let expect = |n: usize| if n.is_multiple_of(step) { n + 1 } else { 0 };
            assert!(rows.iter().enumerate().all(|(n, row)| *row == expect(n)), "{step}");
            assert_eq!(rows.iter().count(), (20_000 - 1) / step * step + 1);
            *rows.at(3) = 77;
            assert_eq!(rows.iter_mut().nth(3), Some(&mut 77));
        }
    }
}
