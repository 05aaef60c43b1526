//! Law: conservation. Every call of `send` that begins ends exactly once, and what was acknowledged was stored where the answer says.
//!
//! A call still open at the end breaks the law only if the run claims to have drained: otherwise it was merely cut off. Delayed and
//! transactional messages are acknowledged for a record in an internal topic; of them only "stored at all" is asked.

use super::facts::RunFacts;
use super::law::{Law, moment};
use super::ledger::{Ledger, Message};
use crate::base::ids::MessageId;
use crate::contract::note::{ONEWAY_OFFSET, SendEnd};

#[derive(Clone, Debug)]
pub struct Conservation {
    pub law: Law,
    zero: u64,
    /// By producer: the acknowledgement names the very record.
    named: Vec<bool>,
}

impl Conservation {
    pub fn new(facts: &RunFacts) -> Self {
        let named = facts.producers.iter().map(|p| p.delay_level == 0 && !p.transactional).collect();
        Conservation { law: Law::default(), zero: facts.zero, named }
    }

    /// Before the row is changed by the beginning.
    #[inline]
    pub fn began(&mut self, row: &Message, msg: MessageId, at: u64) {
        if row.is(Message::BEGAN | Message::NOT_OFFERED) {
            let zero = self.zero;
            self.law.break_it(|| format!("{msg:?} was sent a second time at {}", moment(at, zero)));
        }
    }

    /// Before the row is changed by the end. `queue` is the number of the queue that an acknowledgement names.
    #[inline]
    pub fn ended(&mut self, ledger: &Ledger, msg: MessageId, end: &SendEnd, queue: u32, at: u64) {
        self.law.compare();
        let zero = self.zero;
        let row = ledger.get(msg).copied().unwrap_or_default();
        if !row.is(Message::BEGAN) || row.is(Message::ENDED) {
            let what = if row.is(Message::ENDED) { "ended twice" } else { "ended without having begun" };
            self.law.break_it(|| format!("the send of {msg:?} {what}, at {}", moment(at, zero)));
        }
        if let SendEnd::Acked { offset, .. } = *end
            && offset != ONEWAY_OFFSET
        {
            let named = self.named.get(msg.producer() as usize).copied().unwrap_or(false);
            let kept = if named { ledger.lies_at(msg, queue, offset) } else { row.is(Message::STORED) };
            if !kept {
                self.law.break_it(|| {
                    format!("{msg:?} was acknowledged at {} for offset {offset}, where it was not stored", moment(at, zero))
                });
            }
        }
    }

    /// At the end of a run that drained.
    pub fn finish(&mut self, ledger: &Ledger) {
        for (table, rows) in ledger.tables() {
            for (n, row) in rows.iter().enumerate() {
                if row.is(Message::BEGAN) && !row.is(Message::ENDED) {
                    self.law.break_it(|| format!("the send of {:?} never ended", MessageId::new(table as u16, n as u64)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{law, play, play_until};
    use crate::run::outcome::Verdict;

    #[test]
    fn sends_end_once_and_acknowledgements_are_true() {
        let stored = "1 pg-0 began 0; 1.1 broker-a stored 0 a:0 0;";
        let of = |rest: &str| law(&play(&format!("{stored} {rest}")), "conservation");
        assert_eq!(of("1.2 pg-0 acked 0 a:0 0").verdict, Verdict::Pass);
        assert_eq!(of("1.2 pg-0 acked 0 a:0 1").detail, "p0#0 was acknowledged at 1.200 s for offset 1, where it was not stored");
        assert_eq!(of("1.2 pg-0 acked 0 a:0 0; 1.3 pg-0 failed 0").detail, "the send of p0#0 ended twice, at 1.300 s");
        assert_eq!(
            of("1.2 pg-0 acked 0 a:0 0; 1.3 pg-0 failed 1").detail,
            "the send of p0#1 ended without having begun, at 1.300 s"
        );
        assert_eq!(of("1.2 pg-0 acked 0 a:0 0; 1.3 pg-0 began 0").detail, "p0#0 was sent a second time at 1.300 s");
        // A retried send that was stored twice may be answered for either copy.
        assert_eq!(of("1.15 broker-b stored 0 b:0 0; 1.2 pg-0 acked 0 a:0 0").verdict, Verdict::Pass);
    }

    #[test]
    fn an_open_call_breaks_the_law_only_after_a_drain() {
        let open = "1 pg-0 began 0; 1.1 broker-a stored 0 a:0 0; 1.2 pg-0 acked 0 a:0 0; 2 pg-0 began 1";
        assert_eq!(law(&play(open), "conservation").detail, "the send of p0#1 never ended");
        assert_eq!(law(&play_until(open, 100.0, false), "conservation").verdict, Verdict::Pass);
    }
}
