//! How the settings of file cleaning are read: hours of the day, and shares of a disk without floats.
//!
//! `UtilAll#isItTimeToDo` and the ratios of `DefaultMessageStore.CleanCommitLogService` (4.9.8; server spec 5.7); DLedger's `CleanSpaceService` has its own copies of both,
//! so its member reads them here too.

pub const HOUR_MS: i64 = 3_600_000;

/// The hours of `deleteWhen`, one bit each (`UtilAll#isItTimeToDo`); `None`: no list of hours.
pub fn hours(when: &str) -> Option<u32> {
    let one = |text: &str| text.parse::<u32>().ok().filter(|hour| *hour < 24).map(|hour| 1 << hour);
    when.split(';').try_fold(0, |all, text| Some(all | one(text)?))
}

/// The first moment from one on that lies in one of the hours, wall ms; `None`: there is no hour.
pub fn next_time_to_delete(hours: u32, from_ms: i64) -> Option<i64> {
    let is_in = |at_ms: i64| hours & 1 << at_ms.div_euclid(HOUR_MS).rem_euclid(24) != 0;
    let hour = |n: i64| (from_ms.div_euclid(HOUR_MS) + n) * HOUR_MS;
    if is_in(from_ms) { Some(from_ms) } else { (1..24).map(hour).find(|at| is_in(*at)) }
}

/// A share such as "0.90", in hundredths of a percent: exact, with at most four decimals. `None`: no such share.
pub fn ratio(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() > 1 || decimals.len() > 4 {
        return None;
    }
    let parts: u64 = format!("{decimals:0<4}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 10_000 + parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_a_list() {
        let table =
            [("04", Some(1 << 4)), ("00;23", Some(1 | 1 << 23)), ("4", Some(1 << 4)), ("24", None), ("", None), ("04,05", None)];
        for (when, expect) in table {
            assert_eq!(hours(when), expect, "{when}");
        }
    }

    #[test]
    fn deletion_waits_for_its_hour() {
        let at = |hour: i64, minute: i64| hour * HOUR_MS + minute * 60_000;
        let table = [
            ("04", at(3, 59), at(4, 0)),
            ("04", at(4, 0), at(4, 0)),
            ("04", at(4, 59), at(4, 59)),
            ("04", at(5, 0), at(28, 0)),
            ("00;12", at(13, 5), at(24, 0)),
            ("23", -at(2, 0), -at(1, 0)),
        ];
        for (when, from, expect) in table {
            assert_eq!(next_time_to_delete(hours(when).unwrap(), from), Some(expect), "{when} from {from}");
        }
        assert_eq!(next_time_to_delete(0, 0), None);
    }

    #[test]
    fn ratios_are_exact() {
        let table = [
            ("0.90", Some(9_000)),
            ("0.855", Some(8_550)),
            ("1", Some(10_000)),
            (".9", None),
            ("0.", None),
            ("0.90000", None),
            ("90%", None),
            ("-0.9", None),
        ];
        for (text, expect) in table {
            assert_eq!(ratio(text), expect, "{text}");
        }
    }
}
