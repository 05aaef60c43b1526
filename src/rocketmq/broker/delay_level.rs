//! How late a delayed message is delivered: a small numbered table of durations.
//!
//! A 4.x producer cannot name a duration, only a level; the broker's configuration says what the levels mean. Models
//! `ScheduleMessageService#parseDelayLevel` and `#computeDeliverTimestamp` (4.9.8; 4.9.7 agrees).

use std::sync::Arc;

/// `MessageStoreConfig.messageDelayLevel`: the 18 levels a broker has unless told otherwise.
pub const DEFAULT_MESSAGE_DELAY_LEVEL: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// What a level outside the table waits.
const UNKNOWN_LEVEL_MS: i64 = 1_000;

/// A `messageDelayLevel` that the broker would refuse to start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelayLevelError {
    /// Nothing between two blanks, or no text at all.
    #[error("delay level {level} is empty: levels are separated by one blank")]
    Empty {
        /// The number the entry would have had.
        level: usize,
    },
    /// A last character that is no unit.
    #[error("delay level {level} ({text:?}) must end in s, m, h or d")]
    Unit {
        /// The number of the entry.
        level: usize,
        /// The entry.
        text: String,
    },
    /// No integer before the unit, or one too large for milliseconds.
    #[error("delay level {level} ({text:?}) must be an integer and a unit, such as 30s")]
    Number {
        /// The number of the entry.
        level: usize,
        /// The entry.
        text: String,
    },
}

/// The delays of levels 1, 2, 3 and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayLevels(Arc<[i64]>);

impl DelayLevels {
    /// Reads entries such as `30s`, separated by single blanks; the first is level 1.
    pub fn parse(text: &str) -> Result<Self, DelayLevelError> {
        let entries = crate::rocketmq::filter::java_split(text, " ");
        entries.iter().enumerate().map(|(i, entry)| parse_entry(i + 1, entry)).collect::<Result<_, _>>().map(DelayLevels)
    }

    /// The number of levels; a message that asks for more is given this one when it is put.
    pub fn max_level(&self) -> i32 {
        i32::try_from(self.0.len()).unwrap_or(i32::MAX)
    }

    /// The delay of a level of the table.
    pub fn delay_ms(&self, level: i32) -> Option<i64> {
        let index = usize::try_from(level).ok()?.checked_sub(1)?;
        self.0.get(index).copied()
    }

    /// `computeDeliverTimestamp`: when a message stored at `store_timestamp_ms` falls due. It does not clamp: a level the
    /// table does not have waits a second.
    pub fn compute_deliver_timestamp(&self, level: i32, store_timestamp_ms: i64) -> i64 {
        store_timestamp_ms.saturating_add(self.delay_ms(level).unwrap_or(UNKNOWN_LEVEL_MS))
    }
}

impl Default for DelayLevels {
    /// [`DEFAULT_MESSAGE_DELAY_LEVEL`].
    fn default() -> Self {
        const SECONDS: [i64; 18] = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
        DelayLevels(SECONDS.map(|s| s * 1000).into())
    }
}

fn parse_entry(level: usize, entry: &str) -> Result<i64, DelayLevelError> {
    let text = || entry.to_owned();
    let unit = entry.chars().next_back().ok_or(DelayLevelError::Empty { level })?;
    let unit_ms: i64 = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => {
            return Err(DelayLevelError::Unit { level, text: text() });
        }
    };
    let number: Option<i64> = entry[..entry.len() - unit.len_utf8()].parse().ok();
    number.and_then(|n| n.checked_mul(unit_ms)).ok_or_else(|| DelayLevelError::Number { level, text: text() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_is_its_own_text() {
        assert_eq!(DelayLevels::parse(DEFAULT_MESSAGE_DELAY_LEVEL), Ok(DelayLevels::default()));
        assert_eq!(DelayLevels::default().max_level(), 18);
    }

    #[test]
    fn levels_outside_the_table_wait_a_second() {
        let levels = DelayLevels::parse("2m 3h 4d").unwrap();
        for (level, delay) in
            [(-1, 1000), (0, 1000), (1, 120_000), (2, 10_800_000), (3, 345_600_000), (4, 1000), (i32::MAX, 1000)]
        {
            assert_eq!(levels.compute_deliver_timestamp(level, 7), 7 + delay, "level {level}");
        }
    }

    #[test]
    fn refused_texts() {
        let number = |level, text: &str| DelayLevelError::Number { level, text: text.into() };
        for (text, error) in [
            ("", DelayLevelError::Empty { level: 1 }),
            ("1s  2s", DelayLevelError::Empty { level: 2 }),
            ("1s 2w", DelayLevelError::Unit { level: 2, text: "2w".into() }),
            ("1s 2時", DelayLevelError::Unit { level: 2, text: "2時".into() }),
            ("s", number(1, "s")),
            ("1.5s", number(1, "1.5s")),
            ("9223372036854775807d", number(1, "9223372036854775807d")),
        ] {
            assert_eq!(DelayLevels::parse(text), Err(error), "{text:?}");
        }
        assert!(DelayLevels::parse("1s ").is_ok(), "a trailing blank vanishes in Java's split");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9smhdw .]{0,24}", level in any::<i32>(), now in any::<i64>()) {
            if let Ok(levels) = DelayLevels::parse(&text) {
                levels.compute_deliver_timestamp(level, now);
            }
        }
    }
}
