//! Transaction checks: which messages were asked about, how often, and how long after their send.

use super::clock::Clock;
use super::hist::Hist;
use crate::base::ids::MessageId;
use crate::base::time::SEC;
use crate::check::ledger::Ledger;
use crate::run::outcome::TransactionFigures;
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default)]
pub struct Transactions {
    seen: BTreeSet<MessageId>,
    repeated: BTreeSet<MessageId>,
    checks: u64,
    first: Hist,
    /// Whole seconds from time 0 in which checks came.
    seconds: BTreeSet<i64>,
}

/// More seconds than this nobody reads.
const KEPT: usize = 1000;

impl Transactions {
    pub fn checked(&mut self, ledger: &Ledger, msg: MessageId, clock: &Clock) {
        self.checks += 1;
        if !self.seen.insert(msg) {
            self.repeated.insert(msg);
        } else {
            let began = ledger.get(msg).map_or(clock.now, |row| row.began());
            self.first.record(clock.now.saturating_sub(began));
        }
        if self.seconds.len() < KEPT {
            self.seconds.insert((clock.now as i64 - clock.zero as i64).div_euclid(SEC as i64));
        }
    }

    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// `None`: no transactional producer and no check.
    pub fn figures(&self, transactional: bool) -> Option<TransactionFigures> {
        (transactional || self.checks > 0).then(|| TransactionFigures {
            messages_checked: self.seen.len() as u64,
            checks: self.checks,
            more_than_one: self.repeated.len() as u64,
            seconds_to_first_check: self.first.spread(),
            check_times_s: self.seconds.iter().map(|s| *s as f64).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::play;

    #[test]
    fn the_first_check_is_timed_from_the_send() {
        let found = play("1 pg-0 began 0; 2 pg-0 began 1; 31 pg-0 checked 0; 31.5 pg-0 checked 1; 91 pg-0 checked 0");
        let figures = found.transaction_checks.unwrap();
        assert_eq!((figures.messages_checked, figures.checks), (2, 3));
        assert_eq!((figures.seconds_to_first_check.min, figures.seconds_to_first_check.max), (29.5, 30.0));
        assert_eq!(figures.check_times_s, [31.0, 91.0]);
        assert!(play("1 pg-0 began 0").transaction_checks.is_none());
    }
}
