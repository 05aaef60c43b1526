//! Sockets and links: connections between processes, bytes in order, latencies, cuts.
//!
//! Sockets, not packets. A frame takes a latency from the link's table and never overtakes an earlier one of its direction. A frame that meets a
//! cut waits for TCP's retransmission: 200 ms, doubling to 120 s, until the path is open again or the sender gives up after about 15
//! minutes. What a closed, killed or vanished peer makes of a frame is decided on its arrival.

use super::spec::{LinkSpec, LinkTable, Spec};
use crate::base::ids::NodeId;
use crate::base::quantile::Quantiles;
use crate::contract::Conn;
use crate::rocketmq::protocol::Frame;
use std::collections::VecDeque;

/// Number of a connection in the world.
pub(super) type ConnId = u32;

/// Something that travels.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Frame(Frame),
    /// The peer closed in order.
    Fin,
    /// The peer's host does not know the flow, or nobody read what was sent.
    Reset,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) node: NodeId,
    pub(super) life: u32,
    pub(super) conn: Conn,
    /// The process still has it open.
    pub(super) open: bool,
}

/// What the sender keeps until TCP tries again: items with their bytes and words.
#[derive(Clone, Debug, Default)]
pub(super) struct Stall {
    pub(super) items: VecDeque<(Item, u32, u32)>,
    /// How many of these came back because the receiver's buffer was full; they go before what was written later.
    pub(super) bounced: u32,
    pub(super) since: u64,
    /// Retransmissions so far.
    pub(super) retries: u32,
}

/// What has arrived at a process that does not read: the oldest items on the way.
#[derive(Clone, Copy, Debug)]
struct Unread {
    items: u32,
    /// The receiver's kernel takes in no more than its buffer holds.
    bytes: u64,
    /// Place on the wire of the newest of them.
    newest: u32,
}

/// No place on the wire.
const NOWHERE: u32 = u32::MAX;

/// An item on its way, with its bytes, and the place of the one behind it in its direction.
#[derive(Clone, Debug)]
struct Flight {
    item: Option<Item>,
    bytes: u32,
    behind: u32,
}

/// What is on its way on any connection. One table for all: a place that has just become free is taken next, so that thousands of connections, on each of which
/// hardly anything is under way, pass the same few cache lines on instead of keeping a ring each.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire {
    flights: Vec<Flight>,
    free: Vec<u32>,
}

impl Wire {
    #[inline]
    fn put(&mut self, item: Item, bytes: u32) -> u32 {
        let flight = Flight { item: Some(item), bytes, behind: NOWHERE };
        match self.free.pop() {
            Some(place) => {
                self.flights[place as usize] = flight;
                place
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        }
    }
    #[inline]
    fn take(&mut self, place: u32) -> Option<(Item, u32)> {
        let flight = self.flights.get_mut(place as usize)?;
        let item = flight.item.take()?;
        self.free.push(place);
        Some((item, flight.bytes))
    }
    fn behind(&self, place: u32) -> u32 {
        self.flights.get(place as usize).map_or(NOWHERE, |flight| flight.behind)
    }
}

/// One direction: from end `i` to the other.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// Places on the wire of the oldest and the newest item on the way, in order of sending; each has an arrival event.
    oldest: u32,
    newest: u32,
    /// Rare, so that what every item passes stays small; as is [`Stall`].
    unread: Option<Box<Unread>>,
    pub(super) stall: Option<Box<Stall>>,
    /// Arrival of the last item, so that none overtakes it.
    pub(super) last_arrival: u64,
    /// Something was written while the sender's selector had not come round after a thaw: it reads first, and what it finds closed takes no write.
    pub(super) unflushed: bool,
    /// When the link's bandwidth is free again for this flow.
    pub(super) busy_until: u64,
}

impl Default for Direction {
    fn default() -> Self {
        Direction {
            oldest: NOWHERE,
            newest: NOWHERE,
            unread: None,
            stall: None,
            last_arrival: 0,
            unflushed: false,
            busy_until: 0,
        }
    }
}

/// A connection, or an attempt at one: two cache lines, and not parts of three.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Connection {
    pub(super) ends: [End; 2],
    pub(super) directions: [Direction; 2],
    /// The kernel of the serving host has completed the handshake.
    pub(super) established: bool,
    /// SYNs sent without an answer.
    pub(super) syns: u32,
    pub(super) port: crate::contract::Port,
}

impl Direction {
    /// One item sets out.
    #[inline]
    pub(super) fn depart(&mut self, wire: &mut Wire, item: Item, bytes: u32) {
        let place = wire.put(item, bytes);
        match wire.flights.get_mut(self.newest as usize) {
            Some(before) => before.behind = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
    /// The oldest item is taken off the wire, with its bytes.
    #[inline]
    pub(super) fn arrive(&mut self, wire: &mut Wire) -> Option<(Item, u32)> {
        let place = self.oldest;
        let item = wire.take(place)?;
        self.oldest = wire.behind(place);
        if self.oldest == NOWHERE {
            self.newest = NOWHERE;
        }
        Some(item)
    }
    /// Places of what is on the way, the oldest first.
    fn places(&self, wire: &Wire) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(self.oldest), |place| Some(wire.behind(*place))).take_while(|place| *place != NOWHERE)
    }
    /// How many of the oldest `n` items are the end of the connection.
    pub(super) fn ends_among(&self, wire: &Wire, n: u32) -> u32 {
        let ends = |place: &u32| !matches!(wire.flights[*place as usize].item, Some(Item::Frame(_)));
        self.places(wire).take(n as usize).filter(ends).count() as u32
    }
    /// Something is on its way, or lies unread.
    pub(super) fn is_under_way(&self) -> bool {
        self.oldest != NOWHERE
    }
    /// Something waits for a retransmission.
    pub(super) fn stalls(&self) -> bool {
        self.stall.as_ref().is_some_and(|stall| !stall.items.is_empty())
    }
    /// How much of that came back from a full buffer.
    pub(super) fn bounced(&self) -> u32 {
        self.stall.as_ref().map_or(0, |stall| stall.bounced)
    }
    pub(super) fn stall(&mut self) -> &mut Stall {
        self.stall.get_or_insert_default()
    }
    /// An item reaches the kernel of a process that does not read. With no room left it goes back to its sender, who keeps it until there is: a closed
    /// window. The answer is whether it was taken in.
    pub(super) fn buffer(&mut self, wire: &mut Wire, room: u64) -> bool {
        let before = self.unread.as_deref().copied();
        let place = before.map_or(self.oldest, |unread| wire.behind(unread.newest));
        let bytes = wire.flights.get(place as usize).map_or(0, |flight| flight.bytes) as u64;
        let Some(before) = before.filter(|unread| unread.bytes + bytes > room) else {
            let unread = self.unread.get_or_insert_with(|| Box::new(Unread { items: 0, bytes: 0, newest: place }));
            (unread.items, unread.bytes, unread.newest) = (unread.items + 1, unread.bytes + bytes, place);
            return true;
        };
        let behind = wire.behind(place);
        if let Some((item, bytes)) = wire.take(place) {
            wire.flights[before.newest as usize].behind = behind;
            self.newest = if self.newest == place { before.newest } else { self.newest };
            let stall = self.stall();
            stall.items.insert((stall.bounced as usize).min(stall.items.len()), (item, bytes, 0x4000_0000));
            stall.bounced += 1;
        }
        false
    }
    /// How many items the receiver's kernel holds for it, and their bytes.
    pub(super) fn unread(&self) -> (u32, u64) {
        self.unread.as_ref().map_or((0, 0), |unread| (unread.items, unread.bytes))
    }
    /// The receiver reads on, or will never: how many items its kernel held.
    pub(super) fn take_unread(&mut self) -> u32 {
        self.unread.take().map_or(0, |unread| unread.items)
    }
    /// What waits for a retransmission goes out, in order, or is given up.
    pub(super) fn take_stalled(&mut self) -> VecDeque<(Item, u32, u32)> {
        self.stall.take().map(|stall| stall.items).unwrap_or_default()
    }
}

impl Connection {
    /// Nothing can happen on it any more.
    pub(super) fn finished(&self) -> bool {
        self.ends.iter().all(|e| !e.open) && self.directions.iter().all(|d| d.oldest == NOWHERE && !d.stalls())
    }
}

/// A condition of the network between two sets of hosts.
#[derive(Clone, Debug)]
struct Condition {
    id: u32,
    from: Vec<bool>,
    to: Vec<bool>,
    cut: bool,
    latency: Option<Quantiles>,
    bandwidth: Option<u64>,
    /// Frames and connects that met it.
    pub(super) touched: u64,
}

/// The links between hosts.
#[derive(Clone, Debug)]
pub(super) struct Links {
    spec: LinkSpec,
    hosts: usize,
    /// Index of the link table by (from, to): 0 default, 1 loopback, 2.. overrides.
    table: Vec<u8>,
    conditions: Vec<Condition>,
    next_condition: u32,
}

impl Links {
    pub(super) fn new(spec: &Spec) -> Self {
        let hosts = spec.hosts.len();
        let mut table = vec![0u8; if spec.links.overrides.is_empty() { 0 } else { hosts * hosts }];
        for (i, (from, to, _)) in spec.links.overrides.iter().enumerate() {
            for a in from {
                for b in to {
                    table[*a as usize * hosts + *b as usize] = i as u8 + 2;
                }
            }
        }
        Links { spec: spec.links.clone(), hosts, table, conditions: Vec::new(), next_condition: 0 }
    }

    fn link(&self, from: u16, to: u16) -> &LinkTable {
        if from == to {
            return &self.spec.loopback;
        }
        match self.table.get(from as usize * self.hosts + to as usize) {
            Some(i) if *i >= 2 => &self.spec.overrides[*i as usize - 2].2,
            _ => &self.spec.default,
        }
    }

    pub(super) fn spec(&self) -> &LinkSpec {
        &self.spec
    }

    /// How long one item takes, ns: on the way, and at the sender, where one byte follows another.
    pub(super) fn delay(&mut self, from: u16, to: u16, word: u32, bytes: u32) -> (u64, u64) {
        let mut latency = self.link(from, to).latency.at(word);
        let mut bandwidth = self.link(from, to).bandwidth;
        for condition in &mut self.conditions {
            if !condition.cut && condition.from[from as usize] && condition.to[to as usize] {
                condition.touched += 1;
                if let Some(slow) = &condition.latency {
                    latency = latency.max(slow.at(word));
                }
                if let Some(bytes_a_second) = condition.bandwidth {
                    bandwidth = if bandwidth == 0 { bytes_a_second } else { bandwidth.min(bytes_a_second) };
                }
            }
        }
        let transmission = (bytes as u64 * 1_000_000_000).checked_div(bandwidth).unwrap_or(0);
        (latency.max(1), transmission)
    }

    /// Whether nothing passes this way now. Counts the meeting.
    pub(super) fn is_cut(&mut self, from: u16, to: u16) -> bool {
        let mut cut = false;
        for condition in &mut self.conditions {
            if condition.cut && condition.from[from as usize] && condition.to[to as usize] {
                condition.touched += 1;
                cut = true;
            }
        }
        cut
    }

    /// Adds a condition; returns its number.
    pub(super) fn add(&mut self, from: &[u16], to: &[u16], cut: bool, latency: Option<Quantiles>, bandwidth: Option<u64>) -> u32 {
        let set = |hosts: &[u16]| {
            let mut set = vec![false; self.hosts];
            hosts.iter().for_each(|h| set[*h as usize] = true);
            set
        };
        self.next_condition += 1;
        let condition = Condition { id: self.next_condition, from: set(from), to: set(to), cut, latency, bandwidth, touched: 0 };
        self.conditions.push(condition);
        self.next_condition
    }

    /// Removes a condition; returns how much it met.
    pub(super) fn remove(&mut self, id: u32) -> u64 {
        match self.conditions.iter().position(|c| c.id == id) {
            Some(at) => self.conditions.remove(at).touched,
            None => 0,
        }
    }

    /// What a condition that is still there has met so far.
    pub(super) fn touched(&self, id: u32) -> u64 {
        self.conditions.iter().find(|c| c.id == id).map_or(0, |c| c.touched)
    }

    /// The k-th retransmission timeout, ns.
    pub(super) fn rto(&self, k: u32) -> u64 {
        self.spec.rto_first.saturating_mul(1 << k.min(30)).min(self.spec.rto_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(way: &mut Direction, wire: &mut Wire) -> Vec<u32> {
        std::iter::from_fn(|| way.arrive(wire).map(|(_, bytes)| bytes)).collect()
    }

    #[test]
    fn directions_share_the_wire_and_keep_their_order() {
        let mut wire = Wire::default();
        let (mut a, mut b) = (Direction::default(), Direction::default());
        for n in 0..3 {
            a.depart(&mut wire, Item::Fin, n);
            b.depart(&mut wire, Item::Reset, 10 + n);
        }
        assert_eq!((a.arrive(&mut wire).map(|i| i.1), b.arrive(&mut wire).map(|i| i.1)), (Some(0), Some(10)));
        // The places of the two that have arrived are used again, by the other direction.
        b.depart(&mut wire, Item::Reset, 13);
        a.depart(&mut wire, Item::Fin, 3);
        assert_eq!(wire.flights.len(), 6);
        assert_eq!((bytes(&mut a, &mut wire), bytes(&mut b, &mut wire)), (vec![1, 2, 3], vec![11, 12, 13]));
        a.depart(&mut wire, Item::Fin, 4);
        assert_eq!((bytes(&mut a, &mut wire), bytes(&mut b, &mut wire)), (vec![4], vec![]));
    }

    #[test]
    fn what_finds_the_buffer_full_goes_back_and_the_rest_keeps_its_order() {
        let mut wire = Wire::default();
        let mut way = Direction::default();
        for n in 0..5 {
            way.depart(&mut wire, Item::Fin, 100 + n);
        }
        let taken: Vec<bool> = (0..4).map(|_| way.buffer(&mut wire, 210)).collect();
        assert_eq!((taken, way.unread(), way.bounced()), (vec![true, true, false, false], (2, 201), 2));
        assert_eq!(way.ends_among(&wire, 2), 2);
        // The one that has not arrived yet stands behind those that were taken in, and so does a later one.
        way.depart(&mut wire, Item::Reset, 105);
        assert_eq!(way.take_unread(), 2);
        assert_eq!(bytes(&mut way, &mut wire), [100, 101, 104, 105]);
        let back: Vec<u32> = way.take_stalled().into_iter().map(|(_, bytes, _)| bytes).collect();
        assert_eq!((back, way.unread()), (vec![102, 103], (0, 0)));
        // The newest of all may be the one that goes back.
        way.depart(&mut wire, Item::Fin, 1);
        way.depart(&mut wire, Item::Fin, 300);
        assert!(way.buffer(&mut wire, 210) && !way.buffer(&mut wire, 210));
        way.depart(&mut wire, Item::Fin, 2);
        assert_eq!(bytes(&mut way, &mut wire), [1, 2]);
    }
}
