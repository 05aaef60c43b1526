//! The written order of events: time first, then class, then origin, then the origin's own counter.
//!
//! A global sequence number would let an unrelated node's actions shift everybody's ties. Here the key of an event depends on the
//! node that scheduled it alone, so adding a node leaves the order among the others as it was.

/// Classes of events at one instant, in the order in which they happen. One list: what comes first decides races, for
/// instance an answer that arrives at the very instant of its timeout is in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Faults strike before anything else happens at their instant.
    Fault = 0,
    /// What the network brings: connections, frames, closes.
    Network = 1,
    /// Work and listeners that end.
    Work = 2,
    /// Messages that fall due.
    Load = 3,
    /// Deadlines of roles: after the answers that may have met them.
    Wake = 4,
}

/// The part of an event's key behind its time: `class:8 | node:16 | counter:40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order(pub u64);

impl Order {
    #[inline]
    pub fn new(class: Class, node: u16, counter: u64) -> Order {
        Order((class as u64) << 56 | (node as u64) << 40 | (counter & ((1 << 40) - 1)))
    }
    pub fn node(self) -> u16 {
        (self.0 >> 40) as u16
    }
}

/// A permutation of nodes for ties: events of one origin keep their order, those of different origins may swap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ties {
    seed: u64,
}

impl Ties {
    /// Seed 0 is the identity.
    pub fn new(seed: u64) -> Ties {
        Ties { seed }
    }
    /// A bijection of the 16-bit node numbers: xor and multiplication by an odd number are both invertible modulo 2^16.
    #[inline]
    pub fn place(self, node: u16) -> u16 {
        if self.seed == 0 {
            return node;
        }
        let a = crate::base::ids::mix(self.seed);
        let odd = (a >> 16) as u16 | 1;
        (node ^ a as u16).wrapping_mul(odd).rotate_left(7) ^ (a >> 32) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_a_permutation() {
        for seed in [0, 1, 99] {
            let mut seen = vec![false; 1 << 16];
            for node in 0..=u16::MAX {
                let place = Ties::new(seed).place(node) as usize;
                assert!(!std::mem::replace(&mut seen[place], true));
            }
        }
        assert_ne!((0..8).map(|n| Ties::new(1).place(n)).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_comes_before_its_timeout() {
        assert!(Order::new(Class::Network, u16::MAX, u64::MAX) < Order::new(Class::Wake, 0, 0));
    }
}
