//! Which messages a subscription wants: an expression over tags, kept as the tags and as their hash codes.
//!
//! A broker filters by hash code, because that is all a consume queue entry stores; the client filters again by the
//! tag itself. Two tags with one hash therefore cross the wire together and are told apart only at the consumer.
//! Models `FilterAPI#buildSubscriptionData` and `SubscriptionData` (4.9.8), with the few rules of `java.lang.String`
//! that decide the odd expressions.

use crate::base::ids::TopicId;
pub use crate::base::java_map::string_hash;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `SubscriptionData.SUB_ALL`: every message.
pub const SUB_ALL: &str = "*";

/// `String#split` by a literal separator: empty pieces at the end are dropped, those elsewhere are kept, and text
/// without the separator (the empty text too) is one piece.
pub(crate) fn java_split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut pieces: Vec<&str> = text.split(separator).collect();
    if pieces.len() > 1 {
        while pieces.last().is_some_and(|piece| piece.is_empty()) {
            pieces.pop();
        }
    }
    pieces
}

/// `String#trim`: strips what is not above a blank, which leaves Unicode's wider spaces alone.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// One topic's subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionData {
    /// The topic subscribed to.
    pub topic: TopicId,
    /// The expression as given, or `*` where none was.
    pub sub_string: Arc<str>,
    /// The tags of the expression; none means no filtering by tag.
    pub tags: BTreeSet<Arc<str>>,
    /// The hash codes of `tags`.
    pub codes: BTreeSet<i32>,
    /// When the subscription was made. Brokers keep the larger of two.
    pub sub_version_ms: i64,
}

impl SubscriptionData {
    /// Whether the expression is the one that wants everything. An expression of blanks has no tags either, but is
    /// not this one.
    pub fn is_sub_all(&self) -> bool {
        &*self.sub_string == SUB_ALL
    }
}

/// An expression that names no tag at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("subString split error")]
pub struct SplitError;

/// Builds a subscription from a tag expression: `FilterAPI#buildSubscriptionData` (4.9.8).
///
/// Nothing, the empty text and `*` want everything. Separators alone are an error, since Java's split leaves no piece;
/// blanks alone are not, since they are a piece that trims to nothing.
pub fn build_subscription_data(topic: TopicId, expression: Option<&str>, now_ms: i64) -> Result<SubscriptionData, SplitError> {
    let mut data = SubscriptionData {
        topic,
        sub_string: SUB_ALL.into(),
        tags: BTreeSet::new(),
        codes: BTreeSet::new(),
        sub_version_ms: now_ms,
    };
    let expression = match expression {
        None | Some("" | SUB_ALL) => return Ok(data),
        Some(expression) => expression,
    };
    let pieces = java_split(expression, "||");
    if pieces.is_empty() {
        return Err(SplitError);
    }
    data.sub_string = expression.into();
    for tag in pieces.into_iter().map(java_trim).filter(|tag| !tag.is_empty()) {
        data.tags.insert(tag.into());
        data.codes.insert(string_hash(tag));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hash_codes() {
        for (tag, hash) in [
            ("", 0),
            ("TagA", 2598919),
            ("TagB", 2598920),
            ("*", 42),
            ("Aa", 2112),
            ("BB", 2112),
            ("\u{10000}", 0xd800 * 31 + 0xdc00),
        ] {
            assert_eq!(string_hash(tag), hash, "{tag:?}");
        }
    }

    #[test]
    fn expressions() {
        let everything = Some(("*", vec![]));
        for (expression, expect) in [
            (None, everything.clone()),
            (Some(""), everything.clone()),
            (Some("*"), everything),
            (Some("a"), Some(("a", vec!["a"]))),
            (Some("a||"), Some(("a||", vec!["a"]))),
            (Some("||a"), Some(("||a", vec!["a"]))),
            (Some(" b || a ||a"), Some((" b || a ||a", vec!["a", "b"]))),
            (Some("a|b"), Some(("a|b", vec!["a|b"]))),
            (Some(" "), Some((" ", vec![]))),
            (Some("|| ||"), Some(("|| ||", vec![]))),
            (Some("||"), None),
            (Some("||||"), None),
        ] {
            let got = build_subscription_data(TopicId(0), expression, 5).ok();
            let got = got.as_ref().map(|d| (&*d.sub_string, d.tags.iter().map(|t| &**t).collect::<Vec<_>>()));
            assert_eq!(got, expect, "{expression:?}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_one_piece_and_its_code_is_its_hash(tags in proptest::collection::vec("[a-zA-Z0-9]{1,8}", 1..6)) {
            let data = build_subscription_data(TopicId(0), Some(&tags.join(" || ")), 0).unwrap();
            let expect: BTreeSet<Arc<str>> = tags.iter().map(|t| t.as_str().into()).collect();
            prop_assert_eq!(&data.codes, &expect.iter().map(|t| string_hash(t)).collect());
            prop_assert_eq!(data.tags, expect);
        }
    }
}
