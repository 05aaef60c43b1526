//! Rows by number that grow and are hardly ever moved.
//!
//! A vector that doubles holds up to twice what lies in it, and for a moment both the old rows and the new ones. Checks keep some rows a message, and there are
//! millions of messages: here they lie in chunks of which only the last one has room to spare. The first chunk grows as a vector does, so that thousands of quiet
//! producers hold little.

/// Rows of a chunk.
const CHUNK: usize = 1024;

/// Rows numbered from 0, made as they are asked for.
#[derive(Clone, Debug)]
pub struct Chunked<T>(Vec<Vec<T>>);

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Chunked(Vec::new())
    }
}

impl<T: Copy + Default> Chunked<T> {
    /// The row, made if need be together with those before it.
    #[inline]
    pub fn at(&mut self, n: usize) -> &mut T {
        let (chunk, row) = (n / CHUNK, n % CHUNK);
        if self.0.get(chunk).is_none_or(|rows| row >= rows.len()) {
            self.grow(chunk, row);
        }
        &mut self.0[chunk][row]
    }
    #[inline(never)]
    fn grow(&mut self, chunk: usize, row: usize) {
        while self.0.len() <= chunk {
            if let Some(last) = self.0.last_mut() {
                last.resize(CHUNK, T::default());
            }
            let room = if self.0.is_empty() { 0 } else { CHUNK };
            self.0.push(Vec::with_capacity(room));
        }
        self.0[chunk].resize(row + 1, T::default());
    }
    #[inline]
    pub fn get(&self, n: usize) -> Option<&T> {
        self.0.get(n / CHUNK)?.get(n % CHUNK)
    }
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
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
