//! What a specification asks for that this build does not do.
//!
//! Nothing runs silently as something else: a setting whose mechanism is missing is refused by name. A mechanism that gets built loses its line here.

use super::spec::{MemberRole, NodeKind, Spec};
use crate::rocketmq::settings::BrokerRole;
use std::collections::BTreeSet;

/// Every missing mechanism, one sentence each; empty: the specification can run.
pub fn missing(spec: &Spec) -> Vec<String> {
    let mut found = BTreeSet::new();
    for node in &spec.nodes {
        let name = &node.name;
        match &node.kind {
            NodeKind::Nameserver(_) => {}
            NodeKind::Broker(b) => {
                let s = &b.settings;
                if s.broker_role != BrokerRole::AsyncMaster || b.broker_id != 0 {
                    found.insert(format!(
                        "{name}: replication (SYNC_MASTER, SLAVE, brokerId above 0) is not built yet; masters run alone"
                    ));
                }
                if s.slave_read_enable {
                    found.insert(format!("{name}: slaveReadEnable needs slaves, which are not built yet"));
                }
                if b.dledger.is_some() {
                    found.insert(format!("{name}: DLedger groups are not built yet"));
                }
            }
            NodeKind::Client(c) => {
                for member in &c.members {
                    let name = &member.name;
                    if member.instance.vip_channel_enabled {
                        found.insert(format!("{name}: vipChannelEnabled is not built; requests share one connection a broker"));
                    }
                    if let MemberRole::Producer(p) = &member.role {
                        if p.transactional.is_some() {
                            found.insert(format!("{name}: transactional producers are not built yet"));
                        }
                    }
                }
            }
        }
    }
    found.into_iter().collect()
}
