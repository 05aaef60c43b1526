//! Law: no phantom. A listener never sees a message that nobody sent or no broker stored.
//!
//! The notes of sending and storing come before any delivery can, since time is one line; so at the moment of a delivery the message's
//! row must show both. Preloaded messages need not have been sent.

use super::law::{Law, moment};
use super::ledger::{Ledger, Message};
use crate::base::ids::MessageId;

#[derive(Clone, Debug, Default)]
pub struct Phantom(pub Law);

impl Phantom {
    #[inline]
    pub fn entered(&mut self, ledger: &Ledger, msg: MessageId, at: u64, zero: u64) {
        self.0.compare();
        if msg.producer() >= super::ledger::PRELOADED {
            return;
        }
        let (sent, stored) = ledger.get(msg).map_or((false, false), |row| (row.is(Message::BEGAN), row.is(Message::STORED)));
        if !(sent && stored) {
            self.0.break_it(|| {
                let lack = if sent { "although no broker stored it" } else { "although nobody sent it" };
                format!("{msg:?} was delivered at {} {lack}", moment(at, zero))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::script::{law, play};
    use crate::run::outcome::Verdict;

    #[test]
    fn a_message_from_nowhere_is_caught() {
        let clean = "1 pg-0 began 0; 1.1 broker-a stored 0 a:0 0; 1.2 pg-0 acked 0 a:0 0; 1.3 c1 entered 0 a:0 0";
        assert_eq!(law(&play(clean), "no phantom").verdict, Verdict::Pass);
        let unstored = "1 pg-0 began 0; 1.3 c1 entered 0 a:0 0";
        let found = law(&play(unstored), "no phantom");
        assert_eq!(found.verdict, Verdict::Fail);
        assert_eq!(found.detail, "p0#0 was delivered at 1.300 s although no broker stored it");
        assert_eq!(
            law(&play("1 c1 entered 5 a:0 0"), "no phantom").detail,
            "p0#5 was delivered at 1.000 s although nobody sent it"
        );
        assert_eq!(law(&play("1 pg-0 began 0"), "no phantom").verdict, Verdict::Unknown);
    }
}
