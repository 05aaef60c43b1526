//! What a producer refuses before anything crosses the network.
//!
//! The first rule broken decides the error, so the order of the rules is part of the behaviour: an empty body sent to
//! an illegal topic is a topic error. Topic errors carry no response code (-1), body errors carry MESSAGE_ILLEGAL.
//! Models `Validators` and `TopicValidator` (4.9.8).

/// `ResponseCode.MESSAGE_ILLEGAL`.
pub const MESSAGE_ILLEGAL: i32 = 13;
/// The code of a client error that no response code fits.
pub const NO_CODE: i32 = -1;
/// `Validators.TOPIC_MAX_LENGTH`, in UTF-16 units.
pub const TOPIC_MAX_LENGTH: usize = 127;
/// `Validators.CHARACTER_MAX_LENGTH`, the limit of a group's name in UTF-16 units.
pub const GROUP_MAX_LENGTH: usize = 255;
/// `TopicValidator.NOT_ALLOWED_SEND_TOPIC_SET`: topics that only the broker writes.
pub const NOT_ALLOWED_SEND_TOPICS: [&str; 6] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// Why a message, topic or group was refused. Shows itself with the text of the Java client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct IllegalMessage {
    /// The response code of the exception.
    pub code: i32,
    /// The rule that was broken.
    pub reason: Reason,
}

/// The rules of [`IllegalMessage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No topic, an empty one, or nothing but white space.
    #[error("The specified topic is blank")]
    TopicBlank,
    /// More than [`TOPIC_MAX_LENGTH`].
    #[error("The specified topic is longer than topic max length {TOPIC_MAX_LENGTH}.")]
    TopicTooLong,
    /// A character outside letters, digits and `%|_-`.
    #[error("The specified topic[{0}] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    TopicCharacters(String),
    /// One of [`NOT_ALLOWED_SEND_TOPICS`].
    #[error("Sending message to topic[{0}] is forbidden.")]
    TopicForbidden(String),
    /// No body.
    #[error("the message body is null")]
    BodyNull,
    /// A body of no bytes.
    #[error("the message body length is zero")]
    BodyEmpty,
    /// A body over the producer's limit, which counts bytes before compression.
    #[error("the message body size over max value, MAX: {0}")]
    BodyTooLarge(u64),
    /// No group, an empty one, or nothing but white space.
    #[error("the specified group is blank")]
    GroupBlank,
    /// More than [`GROUP_MAX_LENGTH`].
    #[error("the specified group is longer than group max length {GROUP_MAX_LENGTH}.")]
    GroupTooLong,
    /// A character outside letters, digits and `%|_-`.
    #[error("the specified group[{0}] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    GroupCharacters(String),
}

impl From<Reason> for IllegalMessage {
    fn from(reason: Reason) -> Self {
        let code = match reason {
            Reason::BodyNull | Reason::BodyEmpty | Reason::BodyTooLarge(_) => MESSAGE_ILLEGAL,
            _ => NO_CODE,
        };
        IllegalMessage { code, reason }
    }
}

/// `Validators#checkMessage` (4.9.8) for a message that exists.
pub fn check_message(topic: Option<&str>, body_len: Option<u64>, max_message_size: u64) -> Result<(), IllegalMessage> {
    let topic = check_topic(topic)?;
    let broken = match body_len {
        _ if NOT_ALLOWED_SEND_TOPICS.contains(&topic) => Reason::TopicForbidden(topic.to_owned()),
        None => Reason::BodyNull,
        Some(0) => Reason::BodyEmpty,
        Some(len) if len > max_message_size => Reason::BodyTooLarge(max_message_size),
        Some(_) => return Ok(()),
    };
    Err(broken.into())
}

/// `Validators#checkTopic` (4.9.8). Returns the topic that passed.
pub fn check_topic(topic: Option<&str>) -> Result<&str, IllegalMessage> {
    let topic = topic.filter(|topic| !is_blank(topic)).ok_or(Reason::TopicBlank)?;
    if topic.encode_utf16().count() > TOPIC_MAX_LENGTH {
        return Err(Reason::TopicTooLong.into());
    }
    if !topic.chars().all(is_legal) {
        return Err(Reason::TopicCharacters(topic.to_owned()).into());
    }
    Ok(topic)
}

/// `Validators#checkGroup` (4.9.8). Returns the group that passed.
pub fn check_group(group: Option<&str>) -> Result<&str, IllegalMessage> {
    let group = group.filter(|group| !is_blank(group)).ok_or(Reason::GroupBlank)?;
    if group.encode_utf16().count() > GROUP_MAX_LENGTH {
        return Err(Reason::GroupTooLong.into());
    }
    if !group.chars().all(is_legal) {
        return Err(Reason::GroupCharacters(group.to_owned()).into());
    }
    Ok(group)
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '_' | '-')
}

fn is_blank(text: &str) -> bool {
    text.chars().all(java_is_whitespace)
}

/// `Character#isWhitespace`: unlike Unicode's White_Space it leaves out the no-break spaces and U+0085, and takes in the
/// four information separators.
fn java_is_whitespace(c: char) -> bool {
    match c {
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        '\u{1c}'..='\u{1f}' => true,
        _ => c.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_broken_rule_decides() {
        let long = "x".repeat(128);
        for (topic, body, code) in [
            (None, None, -1),
            (Some(""), None, -1),
            (Some("\u{1c}\u{2003}"), Some(1), -1),
            (Some("\u{a0}"), Some(1), -1),
            (Some(&*long), None, -1),
            (Some("a.b"), None, -1),
            (Some("SELF_TEST_TOPIC"), None, -1),
            (Some("T"), None, 13),
            (Some("T"), Some(0), 13),
            (Some("T"), Some(11), 13),
            (Some("TBW102"), Some(10), 0),
            (Some(&long[1..]), Some(1), 0),
        ] {
            assert_eq!(check_message(topic, body, 10).map_or_else(|e| e.code, |()| 0), code, "{topic:?} {body:?}");
        }
        let no_break = check_topic(Some("\u{a0}")).unwrap_err();
        assert!(matches!(no_break.reason, Reason::TopicCharacters(_)), "a no-break space is not blank in Java");
    }

    #[test]
    fn groups() {
        let limit = "g".repeat(255);
        let over = "g".repeat(256);
        for (group, text) in [
            (None, "the specified group is blank"),
            (Some(" "), "the specified group is blank"),
            (Some(&*over), "the specified group is longer than group max length 255."),
            (Some("a/b"), "the specified group[a/b] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"),
            (Some(&*limit), ""),
        ] {
            assert_eq!(check_group(group).map_or_else(|e| e.to_string(), |_| String::new()), text);
        }
    }

    proptest! {
        #[test]
        fn any_short_word_of_legal_characters_is_a_topic(topic in "[%|a-zA-Z0-9_-]{1,127}") {
            prop_assume!(!NOT_ALLOWED_SEND_TOPICS.contains(&&*topic));
            prop_assert_eq!(check_message(Some(&topic), Some(1), 1), Ok(()));
        }
        #[test]
        fn no_text_panics(topic in any::<String>(), body in any::<Option<u64>>(), max in any::<u64>()) {
            let _ = check_message(Some(&topic), body, max);
            let _ = check_group(Some(&topic));
        }
    }
}
