//! Judging: expectations against counters, and everything together.
//!
//! Three-valued throughout. An expectation is unknown when its counter does not exist or had nothing to count, or when the fault it rests on
//! touched nothing: "nothing was lost" says little when nothing was sent. A run fails if any law or expectation fails, is unknown if the run was
//! interrupted or an expectation is unknown, and passes otherwise.
//!
//! A law that had nothing to judge is never called a pass, but whether it makes the run unknown depends on what else was asked. Where the
//! scenario says what must happen and all of that was measured (nothing is delivered, as expected), the answer is known. Where nobody said
//! what to expect, an untested law is all there is to say, and the run is unknown.

use crate::run::outcome::{CheckResult, Counter, ExpectationResult, Unit, Verdict};

/// A bound on a counter.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// "lost", "lost@cg".
    pub counter: String,
    /// In the counter's own unit.
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// What the fault that this rests on touched; `None`: it rests on none.
    pub fault_touched: Option<u64>,
}

/// Judges each expectation.
pub fn judge(counters: &[Counter], expected: &[Expected]) -> Vec<ExpectationResult> {
    expected.iter().map(|e| judge_one(counters, e)).collect()
}

fn judge_one(counters: &[Counter], expected: &Expected) -> ExpectationResult {
    let counter = counters.iter().find(|c| c.name == expected.counter);
    let got = counter.and_then(|c| c.value);
    let (verdict, detail) = match (counter, got) {
        (None, _) => (
            Verdict::Unknown,
            format!("there is no counter \"{}\"; nearest: {}", expected.counter, nearest(counters, &expected.counter)),
        ),
        (Some(_), None) => {
            let near = nearest(counters, &expected.counter);
            let entity = expected.counter.strip_prefix("lost").filter(|rest| rest.is_empty() || rest.starts_with('@'));
            let missed = entity.map(|rest| format!("missed{rest}"));
            let broadcasting = missed.filter(|m| counters.iter().any(|c| c.name == *m && c.value.is_some()));
            let hint = match broadcasting {
                Some(missed) => format!("what members of a broadcasting group did not get is counted as \"{missed}\""),
                None => format!("nearest with a value: {near}"),
            };
            (Verdict::Unknown, format!("\"{}\" had nothing to count in this run; {hint}", expected.counter))
        }
        _ if expected.fault_touched == Some(0) => (Verdict::Unknown, "the fault it rests on touched nothing".to_owned()),
        (Some(counter), Some(got)) => {
            let low = expected.min.is_some_and(|min| got < min);
            let high = expected.max.is_some_and(|max| got > max);
            let cause = counter.causes.first().map(|c| format!("mostly: {}", c.0)).unwrap_or_default();
            match (low, high) {
                (false, false) => (Verdict::Pass, String::new()),
                (true, _) => (Verdict::Fail, "below the minimum".to_owned()),
                (_, true) if cause.is_empty() => (Verdict::Fail, "above the maximum".to_owned()),
                _ => (Verdict::Fail, format!("above the maximum; {cause}")),
            }
        }
    };
    ExpectationResult {
        counter: expected.counter.clone(),
        min: expected.min,
        max: expected.max,
        got,
        unit: counter.map_or(Unit::Count, |c| c.unit),
        verdict,
        detail,
    }
}

/// Everything together.
pub fn overall(laws: &[CheckResult], expectations: &[ExpectationResult], interrupted: bool) -> Verdict {
    let law = |verdict| laws.iter().any(|l| l.verdict == verdict);
    let expectation = |verdict| expectations.iter().any(|e| e.verdict == verdict);
    if law(Verdict::Fail) || expectation(Verdict::Fail) {
        Verdict::Fail
    } else if interrupted || expectation(Verdict::Unknown) || (law(Verdict::Unknown) && expectations.is_empty()) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    }
}

/// The three counters with a value whose names are nearest.
fn nearest(counters: &[Counter], name: &str) -> String {
    let mut names: Vec<(usize, &str)> = counters
        .iter()
        .filter(|c| c.value.is_some() && c.name != name)
        .map(|c| (distance(name, &c.name), c.name.as_str()))
        .collect();
    names.sort();
    names.truncate(3);
    names.iter().map(|n| format!("\"{}\"", n.1)).collect::<Vec<_>>().join(", ")
}

/// Edit distance.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + (x != *y) as usize;
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Vec<Counter> {
        let counter = |name: &str, value| Counter {
            name: name.to_owned(),
            value,
            unit: Unit::Count,
            causes: vec![("SEND_OK".to_owned(), 3)],
        };
        vec![counter("lost", Some(3)), counter("lost@cg", Some(0)), counter("delivered", Some(9)), counter("takeover", None)]
    }

    #[test]
    fn bounds_are_inclusive_and_the_rest_is_unknown() {
        let one = |name: &str, min, max, touched| {
            let expected = Expected { counter: name.to_owned(), min, max, fault_touched: touched };
            judge(&counters(), &[expected]).remove(0)
        };
        assert_eq!(one("lost", Some(3), Some(3), None).verdict, Verdict::Pass);
        assert_eq!(one("lost", Some(4), None, Some(7)).verdict, Verdict::Fail);
        assert_eq!(one("lost", None, Some(0), None).detail, "above the maximum; mostly: SEND_OK");
        assert_eq!(one("lost", None, Some(9), Some(0)).verdict, Verdict::Unknown);
        assert_eq!(
            one("lots", None, Some(9), None).detail,
            "there is no counter \"lots\"; nearest: \"lost\", \"lost@cg\", \"delivered\""
        );
        let nothing = one("takeover", None, Some(9), None);
        assert_eq!(nothing.verdict, Verdict::Unknown);
        assert!(
            nothing.detail.starts_with("\"takeover\" had nothing to count in this run; nearest with a value: "),
            "{}",
            nothing.detail
        );
    }

    /// The members of a broadcasting group each miss their own: the counter for that has another name.
    #[test]
    fn lost_of_a_broadcasting_group_is_called_missed() {
        let counter = |name: &str, value| Counter { name: name.to_owned(), value, unit: Unit::Count, causes: Vec::new() };
        let expected = Expected { counter: "lost@bg".to_owned(), max: Some(0), ..Expected::default() };
        let all = [counter("lost@bg", None), counter("lost@cg", Some(0)), counter("missed@bg", Some(4))];
        let judged = judge(&all, std::slice::from_ref(&expected)).remove(0);
        assert_eq!(judged.verdict, Verdict::Unknown);
        assert!(
            judged.detail.ends_with("what members of a broadcasting group did not get is counted as \"missed@bg\""),
            "{}",
            judged.detail
        );
        let without = judge(&all[..2], &[expected]).remove(0);
        assert!(without.detail.ends_with("nearest with a value: \"lost@cg\""), "{}", without.detail);
    }

    #[test]
    fn one_failure_outweighs_all_and_one_unknown_outweighs_passes() {
        let law = |verdict| CheckResult { name: "x", verdict, compared: 1, detail: String::new() };
        let expected = |verdict| ExpectationResult {
            counter: "delivered".to_owned(),
            min: None,
            max: Some(0),
            got: Some(0),
            unit: Unit::Count,
            verdict,
            detail: String::new(),
        };
        use Verdict::*;
        assert_eq!(overall(&[law(Pass), law(Unknown), law(Fail)], &[], true), Fail);
        assert_eq!(overall(&[law(Pass), law(Unknown)], &[], false), Unknown);
        assert_eq!(overall(&[law(Pass)], &[], true), Unknown);
        assert_eq!(overall(&[law(Pass)], &[], false), Pass);
        for (laws, expectations, verdict) in [
            (vec![Pass, Unknown], vec![Pass], Pass),
            (vec![Unknown, Unknown], vec![Pass, Pass], Pass),
            (vec![Pass, Unknown], vec![Pass, Unknown], Unknown),
            (vec![Pass, Unknown], vec![Fail, Pass], Fail),
            (vec![Fail, Unknown], vec![Pass], Fail),
            (vec![Unknown], vec![], Unknown),
            (vec![], vec![], Pass),
        ] {
            let laws: Vec<_> = laws.into_iter().map(law).collect();
            let expectations: Vec<_> = expectations.into_iter().map(expected).collect();
            assert_eq!(overall(&laws, &expectations, false), verdict, "{laws:?} {expectations:?}");
        }
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!((distance("lost", "lots"), distance("", "abc"), distance("abc", "abc")), (2, 3, 0));
    }
}
