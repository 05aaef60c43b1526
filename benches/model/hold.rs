//! The hold model: a queue with so many events pending; take the earliest, put a new one at its time plus a delay.
//!
//! Every queue gets the same delays in the same order and must hand out the same events in the same order: a checksum over them is compared
//! before anything is timed. Shared by the benches of the product and of its rivals.

use windtunnel::base::ids::mix;

/// Where the delays come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Exponential; its mean is so chosen that about one event falls on each microsecond, however many are pending.
    Exponential,
    /// What a message queue asks for: 80 % hops of 50 us to 2 ms, 10 % exactly 1 ms, 7 % timers of 1 to 60 s, 3 % nothing.
    Mixed,
}

/// A stream of delays, ns. Drawing one costs a few instructions, the same for every queue.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    shape: Shape,
    table: Vec<u64>,
    n: u64,
}

impl Delays {
    pub(crate) fn new(shape: Shape, pending: usize) -> Self {
        let mean = pending as f64 * 1000.0;
        let table = (0..4096).map(|i| (-libm::log(1.0 - (i as f64 + 0.5) / 4096.0) * mean) as u64 + 1).collect();
        Delays { shape, table, n: 0 }
    }

    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.n += 1;
        let word = mix(self.n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match self.shape {
            Shape::Exponential => self.table[(word & 4095) as usize] + (word >> 54),
            Shape::Mixed => match word % 100 {
                0..80 => 50_000 + (word >> 32) * 1_950_000 / (1 << 32),
                80..90 => 1_000_000,
                90..97 => 1_000_000_000 + (word >> 32) * 59_000_000_000 / (1 << 32),
                _ => 0,
            },
        }
    }
}

/// A queue under test. `seq` rises with every push and breaks ties.
pub(crate) trait Queue {
    fn push(&mut self, time: u64, seq: u64, node: u32);
    fn pop(&mut self) -> Option<(u64, u64, u32)>;
}

/// A queue with its events and its delays.
#[derive(Clone, Debug)]
pub(crate) struct Hold<Q> {
    queue: Q,
    delays: Delays,
    seq: u64,
    pub(crate) checksum: u64,
}

impl<Q: Queue> Hold<Q> {
    /// `pending` events, then so many turns that no trace of the beginning is left.
    pub(crate) fn new(mut queue: Q, shape: Shape, pending: usize) -> Self {
        let mut delays = Delays::new(shape, pending);
        for seq in 0..pending as u64 {
            queue.push(delays.draw(), seq, node(seq));
        }
        Hold { queue, delays, seq: pending as u64, checksum: 0 }
    }

    #[inline]
    pub(crate) fn turns(&mut self, n: u64) {
        for _ in 0..n {
            let Some((time, seq, to)) = self.queue.pop() else { return };
            self.checksum = fold(self.checksum, time, seq, to);
            self.queue.push(time + self.delays.draw(), self.seq, node(self.seq));
            self.seq += 1;
        }
    }
}

/// A uniform destination.
#[inline]
pub(crate) fn node(seq: u64) -> u32 {
    (mix(seq) & 1023) as u32
}

#[inline]
pub(crate) fn fold(sum: u64, time: u64, seq: u64, to: u32) -> u64 {
    (sum ^ time ^ seq << 20 ^ to as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

/// Sizes that are measured.
pub(crate) const PENDING: [usize; 5] = [100, 1_000, 16_000, 100_000, 1_000_000];

/// The event queue of the product.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ours(windtunnel::kernel::queue::EventQueue<u32>);

impl Queue for Ours {
    #[inline]
    fn push(&mut self, time: u64, seq: u64, node: u32) {
        use windtunnel::kernel::order::{Class, Order};
        self.0.push(time, Order::new(Class::Network, 0, seq), node);
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, u64, u32)> {
        self.0.pop().map(|e| (e.time, e.order.0 & ((1 << 40) - 1), e.event))
    }
}

/// `std::collections::BinaryHeap` with entries of 24 bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap(std::collections::BinaryHeap<std::cmp::Reverse<(u64, u64, u32)>>);

impl Queue for Heap {
    #[inline]
    fn push(&mut self, time: u64, seq: u64, node: u32) {
        self.0.push(std::cmp::Reverse((time, seq, node)));
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, u64, u32)> {
        self.0.pop().map(|e| e.0)
    }
}
