//! The broker that conversations of this room play with: one name, one topic, no nameserver.

use super::BrokerConfig;
use crate::base::ids::{Addr, BrokerName};
use crate::base::names::NamesBuilder;
use crate::rocketmq::settings::{BrokerRole, BrokerSettings, Rules, Version};
use std::sync::Arc;

pub(super) fn config(settings: BrokerSettings) -> BrokerConfig {
    let mut names = NamesBuilder::default();
    for topic in ["T", "TBW102", "SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT"] {
        names.topic(topic);
    }
    names.group("CLIENT_INNER_PRODUCER").broker("broker-a");
    BrokerConfig {
        names: Arc::new(names.freeze()),
        broker: BrokerName(0),
        broker_id: u64::from(settings.broker_role == BrokerRole::Slave),
        addr: Addr(1),
        nameservers: [].into(),
        settings,
        rules: Rules::of(Version::V4_9_8),
        cpus: 2,
        dledger: None,
    }
}
