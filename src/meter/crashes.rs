//! Deaths of brokers as reports tell them: how acknowledged messages lay then, and what recovery discarded of them.

use super::counters::Entry;
use super::watch::Watch;
use crate::base::time::seconds;
use crate::check::durability::{Lay, Stage};
use crate::contract::note::Walk;
use crate::run::outcome::{CrashReport, LogRead};
use std::collections::BTreeMap;

fn named(by: &BTreeMap<Lay, u64>) -> Vec<(String, u64)> {
    by.iter().map(|(lay, n)| (lay.describe(), *n)).collect()
}

/// Seconds from a death, to the millisecond.
fn since(death: u64, at: u64) -> f64 {
    (seconds(at, death) * 1e3).round() / 1e3
}

impl Watch {
    pub(super) fn crash_reports(&self) -> Vec<CrashReport> {
        let report = |crash: &crate::check::durability::Crash| {
            let name = &self.facts.nodes[crash.node.0 as usize].name;
            CrashReport {
                what: if crash.host { format!("host of {name} lost") } else { format!("{name} killed") },
                at_s: (seconds(crash.at, self.clock.zero) * 1e3).round() / 1e3,
                answered: named(&crash.answered),
                discarded: named(&crash.discarded),
                back: Stage::ALL.iter().filter_map(|s| Some((s.name(), since(crash.at, crash.back[*s as usize]?)))).collect(),
                served: crash.served(),
                read: crash.walk.map(|Walk { abnormal, from, bytes }| LogRead { abnormal, from, bytes }),
            }
        };
        self.durability.crashes.iter().map(report).collect()
    }

    pub(super) fn discarded_send_ok(&self) -> Entry {
        let crashes = &self.durability.crashes;
        let mut causes: BTreeMap<Lay, u64> = BTreeMap::new();
        for (lay, n) in crashes.iter().flat_map(|c| &c.discarded) {
            *causes.entry(*lay).or_default() += n;
        }
        let total = crashes.iter().map(|c| c.discarded_total() as i64).sum();
        (Some(total), causes.into_iter().map(|(lay, n)| (lay.describe(), n as i64)).collect())
    }
}
