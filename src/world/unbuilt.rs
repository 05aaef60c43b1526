//! What a specification asks for that this build does not do.
//!
//! Nothing runs silently as something else: a setting whose mechanism is missing is refused by name. A mechanism that gets built loses its line here.

use super::spec::{MemberRole, NodeKind, Spec};
use std::collections::BTreeSet;

/// Every missing mechanism, one sentence each; empty: the specification can run.
pub fn missing(spec: &Spec) -> Vec<String> {
    let mut found = BTreeSet::new();
    for node in &spec.nodes {
        let name = &node.name;
        match &node.kind {
            NodeKind::Nameserver(_) => {}
            NodeKind::Broker(b) => {
                if b.dledger.is_some() && !spec.preloads.is_empty() {
                    found.insert(format!("{name}: a DLedger group cannot begin with preloaded messages"));
                }
            }
            NodeKind::Client(c) => {
                for member in &c.members {
                    let name = &member.name;
                    if member.instance.vip_channel_enabled {
                        found.insert(format!("{name}: vipChannelEnabled is not built; requests share one connection a broker"));
                    }
                    if matches!(&member.role, MemberRole::Producer(p) if p.transactional.is_some()) {
                        found.insert(format!("{name}: transactional producers are not built yet"));
                    }
                }
            }
        }
    }
    found.into_iter().collect()
}
