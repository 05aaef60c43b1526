//! The nearest valid name, for "did you mean".

/// Longest name that is compared: beyond it nobody mistypes a single letter.
const LONGEST: usize = 80;
/// Most candidates that are looked at.
const MOST: usize = 4096;

/// The candidate nearest to `name`, if one is near enough to be meant. Of two equally near ones the first.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let name = folded(name);
    let allowed = (name.len() / 3).clamp(1, 6);
    let mut best: Option<(usize, &str)> = None;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    for candidate in candidates.into_iter().take(MOST) {
        let folded = folded(candidate);
        if folded.len().abs_diff(name.len()) > allowed || folded.len() > LONGEST {
            continue;
        }
        let d = distance(&name, &folded);
        if d <= allowed && best.is_none_or(|(b, _)| d < b) {
            best = Some((d, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Case and separators do not tell names apart: "send-msg-timeout" is near "sendMsgTimeout".
fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edit distance in which swapping two neighbours is one edit (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, y) in b.iter().enumerate() {
            let swap = i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y;
            row[j + 1] = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if swap {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["duration", "drain", "producers", "persistConsumerOffsetInterval"];
        assert_eq!(nearest("durration", names), Some("duration"));
        assert_eq!(nearest("producer", names), Some("producers"));
        assert_eq!(nearest("persist-consumer-offset-interval", names), Some("persistConsumerOffsetInterval"));
        assert_eq!(nearest("drian", names), Some("drain"));
        assert_eq!(nearest("weather", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"x".repeat(100_000), names), None);
    }

    #[test]
    fn a_swap_is_one_edit() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!((d("ab", "ba"), d("kill", "kil"), d("", "abc"), d("abc", "abc")), (1, 1, 3, 0));
    }
}
