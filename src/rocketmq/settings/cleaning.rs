//! How the settings of file cleaning are read: hours of the day, and shares of a disk without floats.

/// The hours of `deleteWhen`, one bit each (`UtilAll#isItTimeToDo`); `None`: no list of hours.
pub fn hours(when: &str) -> Option<u32> {
    let one = |text: &str| text.parse::<u32>().ok().filter(|hour| *hour < 24).map(|hour| 1 << hour);
    when.split(';').try_fold(0, |all, text| Some(all | one(text)?))
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
