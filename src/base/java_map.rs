//! The order in which Java's hash tables list what they hold.
//!
//! RocketMQ walks hash tables where order costs time: heartbeats go to one broker after the other, a rebalance pass takes one topic after the other
//! and locks one queue after the other. That order is no chance: it follows from the hash codes and from the size of the table, and the same names give the same
//! order in every process. With brokers named broker-a and broker-b, broker-b hears of a new member first, which a real cluster shows in the order of its
//! notifications. Models `String#hashCode`, the spreading of `HashMap#hash` and `ConcurrentHashMap#spread` and the growth of both (Java 8 to 21).
//!
//! Two keys in one bin are listed as they were given. Java lists them by arrival, but for what `ConcurrentHashMap#transfer` turns round while a table grows; who needs
//! that too keeps a table of its own, as `client/producer/fault_strategy.rs` does.

/// Bins of a table that was made without a size.
const DEFAULT_BINS: usize = 16;

/// `String#hashCode`: over UTF-16 units, wrapping at 32 bits.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// What picks the bin: the hash code with its upper half folded into its lower one.
pub fn spread(hash: i32) -> u32 {
    let hash = hash as u32;
    (hash ^ (hash >> 16)) & 0x7fff_ffff
}

/// The two tables, which differ in when they grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JavaMap {
    /// `HashMap` and `HashSet`: doubles with the entry beyond three quarters.
    Hash,
    /// `ConcurrentHashMap`: doubles with the entry that fills three quarters.
    Concurrent,
}

impl JavaMap {
    /// Bins of a table, made without a size, that has held at most `most` entries. It never shrinks.
    pub fn bins(self, most: usize) -> usize {
        let mut bins = DEFAULT_BINS;
        let full = |bins: usize| bins - bins / 4;
        while match self {
            JavaMap::Hash => most > full(bins),
            JavaMap::Concurrent => most >= full(bins),
        } {
            bins *= 2;
        }
        bins
    }

    /// Puts items into the order in which a table lists them that has held no more than these.
    pub fn list<T>(self, items: &mut [T], hash: impl Fn(&T) -> i32) {
        self.list_of(items.len(), items, hash);
    }

    /// The same for a table whose entries are, or once were, `most`.
    pub fn list_of<T>(self, most: usize, items: &mut [T], hash: impl Fn(&T) -> i32) {
        let mask = self.bins(most) - 1;
        items.sort_by_key(|item| spread(hash(item)) as usize & mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_codes_are_those_of_java() {
        // "Aa" and "BB" are the well-known pair; the last two are 0 and a text beyond the basic plane.
        let table = [("broker-a", 372_697_965), ("Aa", 2_112), ("BB", 2_112), ("", 0), ("\u{1f600}", 1_772_899)];
        for (text, hash) in table {
            assert_eq!(string_hash(text), hash, "{text:?}");
        }
    }

    #[test]
    fn a_table_doubles_at_three_quarters() {
        let table = [(0, 16, 16), (11, 16, 16), (12, 16, 32), (13, 32, 32), (24, 32, 64), (25, 64, 64)];
        for (most, hash, concurrent) in table {
            assert_eq!((JavaMap::Hash.bins(most), JavaMap::Concurrent.bins(most)), (hash, concurrent), "{most}");
        }
    }

    /// Orders that Java 17 printed for these keys.
    #[test]
    fn names_are_listed_as_java_lists_them() {
        let table: [(&[&str], &[&str]); 5] = [
            (&["broker-a", "broker-b"], &["broker-b", "broker-a"]),
            (&["broker-n0", "broker-n1", "broker-n2"], &["broker-n0", "broker-n1", "broker-n2"]),
            (&["T", "%RETRY%cg"], &["%RETRY%cg", "T"]),
            (&["orders", "%RETRY%cg", "payments", "audit"], &["%RETRY%cg", "audit", "payments", "orders"]),
            (&["a", "b", "Aa", "BB", "BrokerTopic"], &["Aa", "BB", "BrokerTopic", "a", "b"]),
        ];
        for (given, listed) in table {
            let mut names = given.to_vec();
            JavaMap::Concurrent.list(&mut names, |n| string_hash(n));
            assert_eq!(names, listed);
        }
    }
}
