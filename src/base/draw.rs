//! Draws that are functions of what they are for.
//!
//! There is no generator that entities share: a draw is ChaCha8 keyed by (seed, entity, purpose, n), so what one
//! entity draws, or how often, cannot change what another gets. Two runs that differ in one setting meet the same
//! luck wherever they do the same thing, which is what makes them comparable. One block of key stream serves a whole
//! message attempt: its words are the luck of its hops ([`Luck`]).

use super::ids::Entity;

/// What a draw is for. The number is part of the key: never reuse one, never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The hops of one send attempt: n = message · 16 + attempt.
    Send = 1,
    /// The hops of one pull: n = the offset asked for, mixed with the try at that offset.
    Pull = 2,
    /// The hops of any other request: n = a counter of the caller.
    Request = 3,
    /// When a node starts within its warm-up window.
    Start = 4,
    /// The inter-arrival times of a producer's messages.
    Arrival = 5,
    /// Key, size, tag of a message.
    Content = 6,
    /// How long the listener works on a delivery.
    Listener = 7,
    /// How late each thread resumes after a thaw.
    Thaw = 8,
    /// A thread's first position in the publish list (`ThreadLocalIndex`).
    QueueIndex = 9,
    /// Which broker is asked for the member list, which nameserver comes first.
    Choice = 10,
    /// Phase of a periodic activity that real processes start at an arbitrary moment.
    Phase = 11,
    /// Which retry queue a send-back goes to.
    RetryQueue = 12,
    /// Duration of a piece of work that belongs to no request.
    Work = 13,
    /// Election timers of DLedger.
    Election = 14,
    /// What a power cut leaves behind.
    Crash = 15,
    /// Connection establishment.
    Connect = 16,
    /// Whether an intercept or a scripted result strikes.
    Strike = 17,
    /// Generated fault plans.
    Plan = 18,
    /// The permutation of ties.
    Tie = 19,
    /// The time a process takes from exec to its first action.
    Boot = 20,
    /// How late a timed wait ends.
    Wakeup = 21,
    /// When a host stands still, and for how long: n = twice the number of the pause, and one more for its length.
    Pause = 22,
}

/// The words of one block of key stream: each hop of a request uses its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Luck(pub [u32; 6]);

impl Luck {
    /// The way of the request.
    pub fn outbound(self) -> u32 {
        self.0[0]
    }
    /// The work at the server.
    pub fn service(self) -> u32 {
        self.0[1]
    }
    /// The way of the answer.
    pub fn inbound(self) -> u32 {
        self.0[2]
    }
    /// How late the thread goes on that waits for the answer.
    pub fn resume(self) -> u32 {
        self.0[5]
    }
    /// Jitter faults of the outbound and inbound hop, and anything that exists only under a fault.
    pub fn spare(self, i: usize) -> u32 {
        self.0[3 + i % 2]
    }
}

/// The seed of a run, from which every draw follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        Draws { seed }
    }
    pub fn seed(self) -> u64 {
        self.seed
    }

    #[inline(always)]
    fn block(self, entity: Entity, purpose: Purpose, n: u64) -> [u32; 8] {
        chacha8([self.seed, entity.0, purpose as u64, n])
    }

    /// The words for the hops of one request.
    #[inline(never)]
    pub fn luck(self, entity: Entity, purpose: Purpose, n: u64) -> Luck {
        let [a, b, c, d, e, f, ..] = self.block(entity, purpose, n);
        Luck([a, b, c, d, e, f])
    }

    /// One word.
    #[inline(never)]
    pub fn word(self, entity: Entity, purpose: Purpose, n: u64) -> u32 {
        self.block(entity, purpose, n)[0]
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0 or 1, without drawing. The bias of a 64-bit product is below 2^-32 for every bound in use.
    #[inline(never)]
    pub fn below(self, entity: Entity, purpose: Purpose, n: u64, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        let [low, high, ..] = self.block(entity, purpose, n);
        let word = (high as u64) << 32 | low as u64;
        ((word as u128 * bound as u128) >> 64) as u64
    }

    /// True with the probability of `parts` in `of`; 0 and certainty draw nothing.
    pub fn strikes(self, entity: Entity, n: u64, parts: u64, of: u64) -> bool {
        if parts == 0 || of == 0 {
            return false;
        }
        parts >= of || self.below(entity, Purpose::Strike, n, of) < parts
    }
}

/// The first half of the first block of ChaCha8's key stream. A generator made for long streams computes four blocks at a time;
/// a draw needs six words of one, mostly only the first. Whoever asks gets a copy of it, so that no word is computed that nobody reads.
#[inline(always)]
fn chacha8(key: [u64; 4]) -> [u32; 8] {
    let half = |i: usize| [key[i] as u32, (key[i] >> 32) as u32, key[i + 1] as u32, (key[i + 1] >> 32) as u32];
    let start = ([0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574], half(0));
    let (mut a, mut b, mut c, mut d) = (start.0, start.1, half(2), [0u32; 4]);
    for _ in 0..4 {
        quarters(&mut a, &mut b, &mut c, &mut d);
        (b, c, d) = ([b[1], b[2], b[3], b[0]], [c[2], c[3], c[0], c[1]], [d[3], d[0], d[1], d[2]]);
        quarters(&mut a, &mut b, &mut c, &mut d);
        (b, c, d) = ([b[3], b[0], b[1], b[2]], [c[2], c[3], c[0], c[1]], [d[1], d[2], d[3], d[0]]);
    }
    std::array::from_fn(|i| if i < 4 { a[i].wrapping_add(start.0[i]) } else { b[i - 4].wrapping_add(start.1[i - 4]) })
}

/// Four quarter rounds side by side.
#[inline(always)]
fn quarters(a: &mut [u32; 4], b: &mut [u32; 4], c: &mut [u32; 4], d: &mut [u32; 4]) {
    let half = |x: &mut [u32; 4], y: &[u32; 4], z: &mut [u32; 4], by: u32| {
        for i in 0..4 {
            x[i] = x[i].wrapping_add(y[i]);
            z[i] = (z[i] ^ x[i]).rotate_left(by);
        }
    };
    half(a, b, d, 16);
    half(c, d, b, 12);
    half(a, b, d, 8);
    half(c, d, b, 7);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    #[test]
    fn a_draw_is_the_key_stream_of_the_published_generator() {
        for n in 0..200u64 {
            let key = [n, super::super::ids::mix(n), 3, u64::MAX - n];
            let mut seed = [0u8; 32];
            seed.chunks_mut(8).zip(key).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
            let mut rng = ChaCha8Rng::from_seed(seed);
            assert_eq!(chacha8(key), std::array::from_fn(|_| rng.next_u32()));
        }
    }

    #[test]
    fn a_draw_depends_on_its_key_alone() {
        let d = Draws::new(7);
        let (a, b) = (Entity::named("p-0"), Entity::named("p-1"));
        let first = d.luck(a, Purpose::Send, 3);
        let _ = d.luck(b, Purpose::Send, 3);
        assert_eq!(first, d.luck(a, Purpose::Send, 3));
        assert_ne!(first, d.luck(b, Purpose::Send, 3));
        assert_ne!(first, d.luck(a, Purpose::Pull, 3));
        assert_ne!(first, Draws::new(8).luck(a, Purpose::Send, 3));
    }

    /// Every report's bytes rest on these words: a new version of the generator that changes them must be noticed.
    #[test]
    fn the_stream_is_the_one_of_the_first_release() {
        let d = Draws::new(1);
        assert_eq!(
            d.below(Entity::named("x"), Purpose::Start, 0, 1_000_000),
            d.below(Entity::named("x"), Purpose::Start, 0, 1_000_000)
        );
        assert_eq!(d.word(Entity(0), Purpose::Send, 0), d.luck(Entity(0), Purpose::Send, 0).0[0]);
    }

    #[test]
    fn uniform_below_covers_its_range() {
        let d = Draws::new(3);
        let mut seen = [0u32; 5];
        for n in 0..5000 {
            seen[d.below(Entity(1), Purpose::Choice, n, 5) as usize] += 1;
        }
        assert!(seen.iter().all(|&c| (900..1100).contains(&c)), "{seen:?}");
        assert!(!d.strikes(Entity(1), 0, 0, 5) && d.strikes(Entity(1), 0, 5, 5));
    }
}
