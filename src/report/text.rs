//! How figures are spelled for people: thousands separators, durations with a unit, moments, columns, a quoted command.
//!
//! All of it is integer arithmetic or one rounding, so the same figure is the same text everywhere.

use crate::base::time::{MS, SEC, US};
use crate::run::outcome::{Unit, Verdict};

/// "12,345".
pub(crate) fn count(n: impl Into<i128>) -> String {
    let n: i128 = n.into();
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    if n < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A measured duration with the digits that matter: "412 ns", "4.1 ms", "850 ms", "1.75 s", "31.2 s", "12 min 5 s".
pub(crate) fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    // Each unit takes over where the finer one would round up to it.
    let text = match ns {
        0 => "0 s".to_owned(),
        _ if ns < US => format!("{ns} ns"),
        _ if ns < 995 * US / 100 => decimals(ns, US, 1, "µs"),
        _ if ns < MS - US / 2 => decimals(ns, US, 0, "µs"),
        _ if ns < 995 * MS / 100 => decimals(ns, MS, 1, "ms"),
        _ if ns < SEC - MS / 2 => decimals(ns, MS, 0, "ms"),
        _ if ns < 9_995 * MS => decimals(ns, SEC, 2, "s"),
        _ if ns < 600 * SEC - 50 * MS => decimals(ns, SEC, 1, "s"),
        _ => {
            let s = (ns + SEC / 2) / SEC;
            match s % 60 {
                0 => format!("{} min", count(s / 60)),
                rest => format!("{} min {rest} s", count(s / 60)),
            }
        }
    };
    format!("{sign}{text}")
}

fn decimals(ns: u64, unit: u64, digits: u32, name: &str) -> String {
    let scale = 10u64.pow(digits);
    let tenths = (ns as u128 * scale as u128 + unit as u128 / 2) / unit as u128;
    let (whole, rest) = (tenths / scale as u128, tenths % scale as u128);
    match digits {
        0 => format!("{whole} {name}"),
        _ => format!("{whole}.{rest:0width$} {name}", width = digits as usize),
    }
}

/// A duration to the millisecond, without trailing zeros, so that "30.04 s" is not read as the bound "30 s" it breaks.
pub(crate) fn exact_duration(ns: i64) -> String {
    let size = ns.unsigned_abs();
    let (unit, name) = match size {
        0 => return "0 s".to_owned(),
        _ if size < US => (1, "ns"),
        _ if size < MS => (US, "µs"),
        _ if size < SEC => (MS, "ms"),
        _ => (SEC, "s"),
    };
    let text = decimals(size, unit, 3, "");
    let text = text.trim_end().trim_end_matches('0').trim_end_matches('.');
    format!("{}{text} {name}", if ns < 0 { "-" } else { "" })
}

/// Whole milliseconds of a live-shaped figure: without decimals that were never measured.
pub(crate) fn millis(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    duration(i64::try_from(ms as u128 * MS as u128).unwrap_or(i64::MAX))
}

/// Seconds of a live-shaped figure as a duration.
pub(crate) fn seconds(s: f64) -> String {
    if s.is_finite() { duration((s * SEC as f64).round() as i64) } else { "?".to_owned() }
}

/// A moment of the run: "30.1 s", to a tenth of a second whatever its size, so that moments line up.
pub(crate) fn moment(s: f64) -> String {
    if s.is_finite() { format!("{} s", plain(s, 1)) } else { "?".to_owned() }
}

/// A float with so many decimals, and never "-0.0".
pub(crate) fn plain(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        _ => text,
    }
}

/// A counter's value in its unit, as measured.
pub(crate) fn value(v: i64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(v),
        Unit::Duration => duration(v),
        Unit::QueueTime => format!("{} queue·s", plain(v as f64 / SEC as f64, if v.unsigned_abs() < 10 * SEC { 2 } else { 1 })),
        Unit::Ratio => thousandths(v),
    }
}

/// A counter's value in its unit, to the digit that a bound is compared with.
pub(crate) fn exact_value(v: i64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(v),
        Unit::Duration => exact_duration(v),
        Unit::QueueTime => format!("{} queue·s", plain(v as f64 / SEC as f64, 3).trim_end_matches('0').trim_end_matches('.')),
        Unit::Ratio => thousandths(v),
    }
}

fn thousandths(v: i64) -> String {
    format!("{}{}.{:03}", if v < 0 { "-" } else { "" }, v.unsigned_abs() / 1000, v.unsigned_abs() % 1000)
}

/// "PASS", "FAIL", "UNKNOWN".
pub(crate) fn verdict(v: Verdict) -> &'static str {
    match v {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Unknown => "UNKNOWN",
    }
}

/// The text as one word of a POSIX shell, quoted only where it must be.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Breaks a text at blanks into lines of at most `width` characters; a longer word stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text cut to `width` characters, with an ellipsis where something was cut.
pub(crate) fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// Digits inside names compare as numbers, so that "cg-2" comes before "cg-10".
pub(crate) fn natural_cmp(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (x.first(), y.first()) {
            (None, None) => return a.cmp(b),
            (None, _) => return std::cmp::Ordering::Less,
            (_, None) => return std::cmp::Ordering::Greater,
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let digits = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
                let (m, n) = (digits(x), digits(y));
                let strip = |s: &[u8]| s.iter().skip_while(|c| **c == b'0').copied().collect::<Vec<u8>>();
                let (p, q) = (strip(&x[..m]), strip(&y[..n]));
                match p.len().cmp(&q.len()).then_with(|| p.cmp(&q)) {
                    std::cmp::Ordering::Equal => (x, y) = (&x[m..], &y[n..]),
                    unequal => return unequal,
                }
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            (Some(p), Some(q)) => return p.cmp(q),
        }
    }
}

/// How a column is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows set in columns two blanks apart, each line behind `indent`; the last column is not padded.
pub(crate) fn columns(indent: &str, align: &[Align], rows: &[Vec<String>]) -> Vec<String> {
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..align.len()).map(width).collect();
    rows.iter()
        .map(|row| {
            let mut line = indent.to_owned();
            for (c, cell) in row.iter().enumerate() {
                let (w, how) = (widths.get(c).copied().unwrap_or(0), align.get(c).copied().unwrap_or(Align::Left));
                if w == 0 {
                    continue;
                }
                if line.len() > indent.len() {
                    line.push_str("  ");
                }
                let pad = " ".repeat(w.saturating_sub(cell.chars().count()));
                match how {
                    Align::Left => line.extend([cell.as_str(), &pad]),
                    Align::Right => line.extend([pad.as_str(), cell]),
                }
            }
            line.truncate(line.trim_end().len());
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")] {
            assert_eq!(count(n), text);
        }
        for (ns, text) in [
            (0, "0 s"),
            (7, "7 ns"),
            (4_100_000, "4.1 ms"),
            (9_949_999, "9.9 ms"),
            (9_950_000, "10 ms"),
            (850_400_000, "850 ms"),
            (999_600_000, "1.00 s"),
            (1_746_000_000, "1.75 s"),
            (9_996_000_000, "10.0 s"),
            (31_204_000_000, "31.2 s"),
            (599_960_000_000, "10 min"),
            (725_000_000_000, "12 min 5 s"),
            (-2_000_000_000, "-2.00 s"),
        ] {
            assert_eq!(duration(ns), text, "{ns}");
        }
        for (ns, text) in
            [(30_000_000_000, "30 s"), (30_040_000_000, "30.04 s"), (1_500_000, "1.5 ms"), (0, "0 s"), (100_000_000_000, "100 s")]
        {
            assert_eq!(exact_duration(ns), text, "{ns}");
        }
        assert_eq!(moment(-0.01), "0.0 s");
        assert_eq!(value(1_125, Unit::Ratio), "1.125");
    }

    #[test]
    fn a_command_survives_the_shell() {
        assert_eq!(shell_quote("scenarios/a.json"), "scenarios/a.json");
        assert_eq!(shell_quote("a b"), "'a b'");
        assert_eq!(shell_quote("it's"), "'it'\\''s'");
        assert_eq!(shell_quote(""), "''");
    }

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["cg-10", "cg-2", "a", "cg-02", "cg"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["a", "cg", "cg-02", "cg-2", "cg-10"]);
    }
}
