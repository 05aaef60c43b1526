//! The response table: calls by opaque, and which of them are free.
//!
//! `NettyRemotingAbstract.responseTable` (4.9.8), with a row for a call that is not written yet as well. An opaque is the number of a row and of the calls that have
//! had it, so that an answer that comes too late finds nobody. A row that has just become free is taken next; the free ones are a list within the table, since a
//! client has few calls open and a list beside it would be another cache line.

use super::{Invoke, RpcFailure};
use crate::base::draw::Luck;
use crate::base::ids::Addr;
use crate::contract::Conn;
use crate::rocketmq::protocol::{Answer, Request};

const INDEX_BITS: u32 = 20;
const INDEX: u32 = (1 << INDEX_BITS) - 1;
/// No row.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for the channel to this address.
    Connecting(Addr),
    /// The channel is open; its thread has yet to wake up.
    Connected(Conn, Addr),
    /// Waits for another caller to choose a nameserver.
    Selecting,
    /// Written on the channel with this connection.
    Outstanding(Conn, Addr),
}

#[derive(Clone, Debug)]
pub(super) struct Call<T> {
    pub(super) token: T,
    pub(super) invoke: Invoke,
    pub(super) begin_ms: i64,
    pub(super) timeout_ms: u64,
    /// Kept while the call waits for its channel. Mostly that is open: then the request is never laid down here, and the row stays small.
    pub(super) request: Option<Box<Request>>,
    pub(super) luck: Luck,
    pub(super) state: State,
    /// Its wait has timed out, and its thread has yet to wake up and see; what came meanwhile.
    pub(super) patience: Patience,
}

/// How far the wait for an answer is.
#[derive(Clone, Debug)]
pub(super) enum Patience {
    Waits,
    /// The thread is on its way; it finds this, or else gives up.
    Over(Option<Box<Result<Answer, RpcFailure>>>),
    /// It has the processor again.
    Found,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    /// The free row behind this one, while this one is free.
    next_free: u32,
    call: Option<Call<T>>,
}

#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Vec::new(), free: NONE }
    }
}

impl<T> Table<T> {
    /// A row for a call; its opaque.
    pub(super) fn insert(&mut self, call: Call<T>) -> u32 {
        let index = match self.slots.get(self.free as usize) {
            Some(slot) => std::mem::replace(&mut self.free, slot.next_free),
            None => {
                self.slots.push(Slot { generation: 0, next_free: NONE, call: None });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation + 1) & (u32::MAX >> INDEX_BITS);
        slot.call = Some(call);
        slot.generation << INDEX_BITS | index
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Call<T>> {
        let slot = self.slots.get_mut((id & INDEX) as usize)?;
        if slot.generation == id >> INDEX_BITS { slot.call.as_mut() } else { None }
    }

    pub(super) fn take(&mut self, id: u32) -> Option<Call<T>> {
        let index = id & INDEX;
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != id >> INDEX_BITS {
            return None;
        }
        let call = slot.call.take()?;
        slot.next_free = std::mem::replace(&mut self.free, index);
        Some(call)
    }

    /// Whether the call is written and waits for its answer.
    pub(super) fn is_outstanding(&self, id: u32) -> bool {
        let slot = self.slots.get((id & INDEX) as usize).filter(|slot| slot.generation == id >> INDEX_BITS);
        slot.and_then(|slot| slot.call.as_ref()).is_some_and(|call| matches!(call.state, State::Outstanding(..)))
    }

    /// Opaques of all rows, and in which state their calls are.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u32, State)> {
        let row = |(index, slot): (usize, &Slot<T>)| {
            slot.call.as_ref().map(|call| (slot.generation << INDEX_BITS | index as u32, call.state))
        };
        self.slots.iter().enumerate().filter_map(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(token: u32) -> Call<u32> {
        let luck = Luck::default();
        let state = State::Selecting;
        Call { token, invoke: Invoke::Sync, begin_ms: 0, timeout_ms: 0, request: None, luck, state, patience: Patience::Waits }
    }

    #[test]
    fn the_row_that_became_free_last_is_taken_first_under_another_opaque() {
        let mut table = Table::default();
        let ids: Vec<u32> = (0..4).map(|token| table.insert(call(token))).collect();
        assert_eq!(ids, [1 << 20, 1 << 20 | 1, 1 << 20 | 2, 1 << 20 | 3]);
        for id in [ids[1], ids[3]] {
            assert!(table.take(id).is_some() && table.take(id).is_none() && table.get(id).is_none());
        }
        let again: Vec<u32> = (4..7).map(|token| table.insert(call(token))).collect();
        assert_eq!(again, [2 << 20 | 3, 2 << 20 | 1, 1 << 20 | 4]);
        assert_eq!(table.get(again[0]).map(|call| call.token), Some(4));
        assert!(table.get(ids[3]).is_none() && table.take(ids[1]).is_none(), "their rows are others' by now");
    }
}
