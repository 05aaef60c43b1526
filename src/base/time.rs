//! Time as whole nanoseconds in a `u64`, and its spelling as text ("30s", "1.5ms").
//!
//! The simulated clock starts at 0, which is the beginning of the warm-up; a scenario's own time 0 (the first
//! measured send) lies `warmup` later. 2^64 ns are 584 years, so no arithmetic of a run can overflow.

use std::fmt;

/// One microsecond in nanoseconds.
pub const US: u64 = 1_000;
/// One millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;
/// One second in nanoseconds.
pub const SEC: u64 = 1_000_000_000;
/// One minute in nanoseconds.
pub const MIN: u64 = 60 * SEC;

/// The wall clock of a simulated node at the beginning of a run, in milliseconds since 1970: 2024-01-01T00:00:00Z.
/// RocketMQ compares wall times with each other only, so any fixed epoch serves; a real-looking one reads better.
pub const WALL_EPOCH_MS: i64 = 1_704_067_200_000;

/// What a role is told about time with every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// The node's monotonic clock, in nanoseconds: what executors, latches, sleeps and Netty's idle handler read.
    pub mono: u64,
    /// The node's wall clock, in whole milliseconds: what `System.currentTimeMillis()` returns.
    pub wall_ms: i64,
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("a duration is a number with a unit, such as \"30s\" or \"1.5ms\"; \"{0}\" has no unit (ns, us, ms, s, m, h)")]
    NoUnit(String),
    #[error("\"{0}\" is not a duration: expected a number and one of ns, us, ms, s, m, h, such as \"30s\" or \"1.5ms\"")]
    Syntax(String),
    #[error("\"{0}\" is finer than a nanosecond")]
    TooFine(String),
    #[error("\"{0}\" is longer than a simulated year")]
    TooLong(String),
}

/// The longest duration that is accepted anywhere: one year. Beyond it a number is a slip of the pen.
const LONGEST: u128 = 365 * 24 * 3600 * SEC as u128;

/// Reads "30s", "1.5ms", "-2s" (sign apart) as nanoseconds. Exact: no floating point is involved.
pub fn parse_duration(text: &str) -> Result<u64, DurationError> {
    let text_trimmed = text.trim();
    let digits_end = text_trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text_trimmed.len());
    let (number, unit) = text_trimmed.split_at(digits_end);
    let unit_ns: u128 = match unit.trim() {
        "ns" => 1,
        "us" | "µs" => US as u128,
        "ms" => MS as u128,
        "s" => SEC as u128,
        "m" | "min" => MIN as u128,
        "h" => 60 * MIN as u128,
        "" if !number.is_empty() => return Err(DurationError::NoUnit(text.to_owned())),
        _ => return Err(DurationError::Syntax(text.to_owned())),
    };
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 || fraction.len() > 18 {
        return Err(DurationError::Syntax(text.to_owned()));
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError::Syntax(text.to_owned()))? };
    let mut ns = whole * unit_ns;
    if !fraction.is_empty() {
        let numerator: u128 = fraction.parse().map_err(|_| DurationError::Syntax(text.to_owned()))?;
        let denominator = 10u128.pow(fraction.len() as u32);
        if !(numerator * unit_ns).is_multiple_of(denominator) {
            return Err(DurationError::TooFine(text.to_owned()));
        }
        ns += numerator * unit_ns / denominator;
    }
    if ns > LONGEST {
        return Err(DurationError::TooLong(text.to_owned()));
    }
    Ok(ns as u64)
}

/// A duration for people: "30s", "1.5ms", "2m30s"; exact, so that it can be read back when it has one unit.
#[derive(Clone, Copy)]
pub struct Pretty(pub u64);

impl fmt::Display for Pretty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        let (unit, name) = match ns {
            0 => return f.write_str("0s"),
            _ if ns >= SEC => (SEC, "s"),
            _ if ns >= MS => (MS, "ms"),
            _ if ns >= US => (US, "us"),
            _ => (1, "ns"),
        };
        if ns >= 2 * MIN && ns.is_multiple_of(MIN) {
            return write!(f, "{}m", ns / MIN);
        }
        let (whole, rest) = (ns / unit, ns % unit);
        if rest == 0 {
            return write!(f, "{whole}{name}");
        }
        let digits = (unit as f64).log10().round() as usize;
        let fraction = format!("{rest:0digits$}");
        write!(f, "{whole}.{}{name}", fraction.trim_end_matches('0'))
    }
}

/// A moment of a run for people, in seconds from the scenario's time 0, with milliseconds: "31.204 s", "-12.000 s".
pub fn seconds(at_ns: u64, zero_ns: u64) -> f64 {
    (at_ns as i128 - zero_ns as i128) as f64 / SEC as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, ns) in [
            ("30s", 30 * SEC),
            ("1.5ms", 1_500_000),
            ("250us", 250_000),
            ("0s", 0),
            ("2m", 2 * MIN),
            ("1h", 60 * MIN),
            ("0.5s", SEC / 2),
            ("7ns", 7),
        ] {
            assert_eq!(parse_duration(text), Ok(ns), "{text}");
        }
        for text in ["30", "", "s", "1.2.3s", "-1s", "3 parsecs", "99999999h", "0.0000000001s", "1e3s", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text} must be refused");
        }
        for (ns, text) in [
            (30 * SEC, "30s"),
            (1_500_000, "1.5ms"),
            (0, "0s"),
            (2 * MIN, "2m"),
            (90 * SEC, "90s"),
            (1_234_567_890, "1.23456789s"),
        ] {
            assert_eq!(Pretty(ns).to_string(), text);
            assert_eq!(parse_duration(text), Ok(ns));
        }
    }
}
