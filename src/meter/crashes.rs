//! Deaths of brokers as reports tell them: how acknowledged messages lay then, and what recovery discarded of them.

use super::counters::Entry;
use super::watch::Watch;
use crate::base::time::seconds;
use crate::check::durability::{Crash, Lay};
use crate::contract::note::Walk;
use crate::run::outcome::{CrashReport, LogRead};
use std::collections::BTreeMap;

fn named(by: &BTreeMap<Lay, u64>) -> Vec<(String, u64)> {
    by.iter().map(|(lay, n)| (lay.describe(), *n)).collect()
}

impl Watch {
    pub(super) fn crash_reports(&self) -> Vec<CrashReport> {
        let report = |crash: &Crash| {
            let name = &self.facts.nodes[crash.node.0 as usize].name;
            CrashReport {
                what: if crash.host { format!("host of {name} lost") } else { format!("{name} killed") },
                at_s: (seconds(crash.at, self.clock.zero) * 1e3).round() / 1e3,
                answered: named(&crash.answered),
                discarded: named(&crash.discarded),
                back: self.back(crash),
                read: crash.walk.map(|Walk { abnormal, from, bytes }| LogRead { abnormal, from, bytes }),
            }
        };
        self.durability.crashes.iter().map(report).collect()
    }

    /// When the set was elected, opened, registered and answered again, in seconds since the death.
    fn back(&self, crash: &Crash) -> Vec<(&'static str, f64)> {
        let Some(away) = self.recovery.all.iter().find(|a| a.node == crash.node && a.at == crash.at) else { return Vec::new() };
        let moments = [
            ("elected", away.elected.map(|e| e.0)),
            ("opened", away.opened.map(|o| o.0)),
            ("registered", away.registered_at(None).map(|r| r.0)),
            ("answered", away.senders.iter().filter_map(|s| s.answered).min()),
        ];
        let since = |at: u64| (seconds(at, crash.at) * 1e3).round() / 1e3;
        moments.into_iter().filter_map(|(what, at)| Some((what, since(at?)))).collect()
    }

    pub(super) fn discarded_send_ok(&self) -> Entry {
        let crashes = &self.durability.crashes;
        let mut causes: BTreeMap<Lay, u64> = BTreeMap::new();
        for (lay, n) in crashes.iter().flat_map(|c| &c.discarded) {
            *causes.entry(*lay).or_default() += n;
        }
        let total = crashes.iter().map(|c| c.discarded_total() as i64).sum();
        // Of nothing that was answered SEND_OK nothing can be discarded.
        let any = self.sends.iter().any(|s| s.acked[0] > 0);
        (any.then_some(total), causes.into_iter().map(|(lay, n)| (lay.describe(), n as i64)).collect())
    }
}
