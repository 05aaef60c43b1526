//! Raft's promises, looked at while a group runs.
//!
//! *Election safety*: one leader a term. *Log matching*: an index and a term name one entry, with one term before it; since every append is
//! looked at, that makes whole prefixes equal. *Survival*: an append answered with success is in the log of everyone who is elected afterwards, and
//! no follower is ever made to drop it. *Agreement*: an index counted as committed names one entry for everybody; an index that was only ever
//! committed by counting copies of an older term's entry (the "figure 8") may break that, and is counted apart.

use super::super::ledger::{Entry, Ledger};
use super::harness::Node;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Safety {
    leaders: BTreeMap<i64, usize>,
    seen: BTreeMap<(i64, i64), (u64, i64)>,
    /// By index: term and payload.
    pub(super) acked: BTreeMap<i64, (i64, u64)>,
    committed: BTreeMap<i64, (i64, u64)>,
    /// Up to here a leader has committed an entry of its own term.
    strong: i64,
    verified: BTreeMap<usize, i64>,
    pub(super) violations: Vec<String>,
    /// An index was committed with two entries, the first of them by counting only.
    pub(super) figure_8: u64,
    /// A follower was made to drop an entry that had been acknowledged.
    pub(super) acked_dropped: u64,
    pub(super) elections: u64,
    pub(super) drops: u64,
}

impl Safety {
    pub(super) fn died(&mut self, i: usize) {
        self.verified.remove(&i);
    }

    pub(super) fn look_at_log(&mut self, i: usize, node: &mut Node) {
        for (Entry { index, term, payload, .. }, before) in node.ledger.fresh.drain(..) {
            // A log that begins with it does not know what came before it.
            let begins = before == -1 && index > 0;
            let old = *self.seen.entry((index, term)).or_insert((payload, before));
            if old.0 != payload || old.1 != before && !begins {
                self.violations
                    .push(format!("log matching: n{i} has {payload} after term {before} at ({index}, {term}), was {old:?}"));
            }
        }
        for entry in node.ledger.dropped.drain(..) {
            self.drops += 1;
            let verified = self.verified.entry(i).or_insert(-1);
            *verified = (*verified).min(entry.index - 1);
            if self.acked.get(&entry.index) == Some(&(entry.term, entry.payload)) {
                self.acked_dropped += 1;
            }
        }
    }

    pub(super) fn elected(&mut self, i: usize, term: i64, node: &Node) {
        self.elections += 1;
        let first = *self.leaders.entry(term).or_insert(i);
        if first != i {
            self.violations.push(format!("two leaders in term {term}: n{first} and n{i}"));
        }
        // What was deleted by its age, or for want of room, is missed by nobody.
        for (&index, &(acked_term, payload)) in self.acked.range(node.ledger.begin..) {
            if node.ledger.entry(index).is_none_or(|e| (e.term, e.payload) != (acked_term, payload)) {
                self.violations.push(format!("n{i} leads term {term} without acknowledged {index} of term {acked_term}"));
                break;
            }
        }
    }

    pub(super) fn acked(&mut self, index: i64, term: i64, payload: u64) {
        if self.acked.insert(index, (term, payload)).is_some_and(|old| old != (term, payload)) {
            self.violations.push(format!("{index} was acknowledged twice"));
        }
    }

    pub(super) fn committed(&mut self, i: usize, index: i64, node: &Node) {
        let from = self.verified.insert(i, index).unwrap_or(-1);
        let Some(server) = &node.server else { return };
        for at in from + 1..=index {
            let Some(Entry { term, payload, .. }) = node.ledger.entry(at) else { continue };
            let old = *self.committed.entry(at).or_insert((term, payload));
            if old != (term, payload) && at > self.strong {
                self.figure_8 += 1;
                self.committed.insert(at, (term, payload));
            } else if old != (term, payload) {
                self.violations.push(format!("n{i} committed {payload} of term {term} at {at}, others {old:?}"));
            }
        }
        let own = node.ledger.term_of(index) == Some(server.term());
        if server.role() == super::super::member::Role::Leader && own {
            self.strong = self.strong.max(index);
        }
    }

    /// At the end, when everybody agrees: whether the log that is left has all that was acknowledged.
    pub(super) fn survived(&mut self, node: &Node) {
        for (&index, &(term, payload)) in &self.acked {
            if node.ledger.entry(index).is_none_or(|e| (e.term, e.payload) != (term, payload)) {
                self.violations.push(format!("acknowledged {index} of term {term} is gone"));
            }
        }
    }
}
