//! How large RocketMQ's own keys may be.
//!
//! The client refuses some values when it starts (client spec 4.1); Java's executors refuse a period of 0; beyond that a number is a slip
//! of the pen and would only make a run endless. Decoding and the schema read the same rows.

use crate::rocketmq::settings::{Kind, Setting};

/// A year in milliseconds.
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// What a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// Every value but 0.
    pub(crate) not_zero: bool,
}

impl Range {
    pub(crate) fn holds(self, n: i64) -> bool {
        n >= self.min && n <= self.max && !(self.not_zero && n == 0)
    }
    pub(crate) fn expected(self) -> String {
        match self {
            Range { min: -1, max, not_zero: true } => format!("-1, or from 1 to {max}"),
            Range { min, max, .. } => format!("from {min} to {max}"),
        }
    }
}

const ROWS: &[(&str, i64, i64)] = &[
    // DefaultMQPushConsumerImpl#checkConfig (4.9.8).
    ("consumeThreadMin", 1, 1_000),
    ("consumeThreadMax", 1, 1_000),
    ("consumeConcurrentlyMaxSpan", 1, 65_535),
    ("pullThresholdForQueue", 1, 65_535),
    ("pullThresholdForTopic", -1, 6_553_500),
    ("pullThresholdSizeForQueue", 1, 1_024),
    ("pullThresholdSizeForTopic", -1, 102_400),
    ("pullInterval", 0, 65_535),
    ("consumeMessageBatchMaxSize", 1, 1_024),
    ("pullBatchSize", 1, 1_024),
    // Periods: an executor takes none of 0.
    ("pollNameServerInterval", 1, YEAR_MS),
    ("heartbeatBrokerInterval", 1, YEAR_MS),
    ("persistConsumerOffsetInterval", 1, YEAR_MS),
    ("rocketmq.client.rebalance.waitInterval", 1, YEAR_MS),
    ("rocketmq.client.rebalance.lockInterval", 1, YEAR_MS),
    ("scanNotActiveBrokerInterval", 1, YEAR_MS),
    ("flushConsumerOffsetInterval", 1, YEAR_MS),
    ("flushDelayOffsetInterval", 1, YEAR_MS),
    ("flushIntervalCommitLog", 1, YEAR_MS),
    ("flushIntervalConsumeQueue", 1, YEAR_MS),
    ("commitIntervalCommitLog", 1, YEAR_MS),
    ("cleanResourceInterval", 1, YEAR_MS),
    ("haSendHeartbeatInterval", 1, YEAR_MS),
    ("transactionCheckInterval", 1, YEAR_MS),
    // Sizes that divide or count.
    ("virtualNodeCnt", 1, 10_000),
    ("mappedFileSizeCommitLog", 4_096, 1 << 40),
    ("mappedFileSizeConsumeQueue", 20, 1 << 40),
    ("haTransferBatchSize", 1, 1 << 30),
    ("maxMessageSize", 1, 1 << 30),
    ("maxTransferCountOnMessageInMemory", 1, 1_000_000),
    ("maxTransferCountOnMessageInDisk", 1, 1_000_000),
    ("physicalMemory", 1 << 20, 1 << 50),
    ("accessMessageInMemoryMaxRatio", 0, 100),
    ("brokerPermission", 0, 7),
    ("defaultTopicQueueNums", 1, 1_024),
    ("retryQueueNums", 0, 1_024),
    ("sendMessageThreadPoolNums", 0, 1_024),
    ("pullMessageThreadPoolNums", 0, 1_024),
    ("heartbeatThreadPoolNums", 0, 1_024),
    ("sendThreadPoolQueueCapacity", 1, 10_000_000),
    ("pullThreadPoolQueueCapacity", 1, 10_000_000),
    ("retryTimesWhenSendFailed", 0, 1_000),
    ("retryTimesWhenSendAsyncFailed", 0, 1_000),
    ("maxReconsumeTimes", -1, i32::MAX as i64),
    ("suspendCurrentQueueTimeMillis", -1, YEAR_MS),
    ("diskMaxUsedSpaceRatio", 0, 100),
    // Seconds, minutes and hours.
    ("fileReservedTime", 0, YEAR_MS / 3_600_000),
    ("serverChannelMaxIdleTimeSeconds", 0, YEAR_MS / 1_000),
    ("clientChannelMaxIdleTimeSeconds", 0, YEAR_MS / 1_000),
    ("consumeTimeout", 1, YEAR_MS / 60_000),
];

/// Keys whose 0 is refused although -1 is not.
const NOT_ZERO: &[&str] = &["pullThresholdForTopic", "pullThresholdSizeForTopic"];

/// The range of a key; `None` for keys that are no numbers.
pub(crate) fn range(setting: &Setting) -> Option<Range> {
    let (min, max) = match setting.kind {
        Kind::Millis => (0, YEAR_MS),
        Kind::Count => (0, 1_000_000_000),
        Kind::Signed => (-YEAR_MS, YEAR_MS),
        Kind::Bytes => (0, 1 << 50),
        Kind::Flag | Kind::Text | Kind::Choice(_) => return None,
    };
    let (min, max) = ROWS.iter().find(|row| row.0 == setting.key).map_or((min, max), |row| (row.1, row.2));
    Some(Range { min, max, not_zero: NOT_ZERO.contains(&setting.key) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocketmq::settings::*;

    #[test]
    fn every_row_names_a_key_and_holds_its_default() {
        let tables = [
            BrokerSettings::TABLE,
            NameserverSettings::TABLE,
            InstanceSettings::TABLE,
            ProducerSettings::TABLE,
            ConsumerSettings::TABLE,
        ];
        for (key, ..) in ROWS {
            assert!(tables.iter().any(|t| t.iter().any(|s| s.key == *key)), "{key}");
        }
        let check = |table: &[Setting], entries: Vec<(&str, String)>| {
            for (setting, (key, text)) in table.iter().zip(entries) {
                if let Some(range) = range(setting) {
                    assert!(range.holds(text.parse().unwrap()), "{key} = {text}");
                }
            }
        };
        check(BrokerSettings::TABLE, BrokerSettings::default().entries());
        check(NameserverSettings::TABLE, NameserverSettings::default().entries());
        check(InstanceSettings::TABLE, InstanceSettings::default().entries());
        check(ProducerSettings::TABLE, ProducerSettings::default().entries());
        check(ConsumerSettings::TABLE, ConsumerSettings::default().entries());
    }
}
