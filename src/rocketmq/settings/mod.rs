//! Every key that RocketMQ's users set and that this model honours: type, unit, default, source, spelled as in `broker.conf` and
//! the client's setters. One table drives scenario decoding, `--set`, the JSON Schema and the lists in the documentation.
//!
//! A version is a number and a change is a row ([`rules`]): defaults that moved between versions are rows too.

pub mod cleaning;
pub mod dledger;
pub mod rules;
pub mod table;

pub use rules::{Rules, Version};
pub use table::{BrokerSettings, ConsumerSettings, InstanceSettings, NameserverSettings, ProducerSettings};

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A duration: text with a unit, or a bare number of milliseconds as in RocketMQ's own files.
    Millis,
    /// A number.
    Count,
    /// A number that may be negative.
    Signed,
    /// A number of bytes.
    Bytes,
    /// true or false.
    Flag,
    /// Free text.
    Text,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// "a duration such as \"30s\"", for error messages and the schema.
    pub fn expected(self) -> String {
        match self {
            Kind::Millis => "a duration such as \"30s\" (or a bare number of milliseconds)".into(),
            Kind::Count => "a whole number".into(),
            Kind::Signed => "a whole number, possibly negative".into(),
            Kind::Bytes => "a number of bytes".into(),
            Kind::Flag => "true or false".into(),
            Kind::Text => "text".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
}

/// A value as a scenario file, a properties file or the command line gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Text(String),
    Flag(bool),
}

/// Why a key could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("unknown key \"{key}\"")]
    UnknownKey { key: String },
    #[error("\"{key}\" takes {expected}, not {got}")]
    WrongValue { key: &'static str, expected: String, got: String },
}

/// `BrokerRole` (server 4.9.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerRole {
    #[default]
    AsyncMaster,
    SyncMaster,
    Slave,
}

/// `FlushDiskType` (server 4.9.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushDiskType {
    #[default]
    AsyncFlush,
    SyncFlush,
}

/// `ConsumeFromWhere` (client 4.9.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsumeFromWhere {
    #[default]
    LastOffset,
    FirstOffset,
    Timestamp,
}

/// `MessageModel` (client 4.9.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageModel {
    #[default]
    Clustering,
    Broadcasting,
}

/// A settings type that reads one word.
pub trait Word: Sized {
    const WORDS: &'static [&'static str];
    fn from_index(index: usize) -> Self;
    fn index(&self) -> usize;
}

macro_rules! words {
    ($type:ty { $($variant:path => $word:literal),+ $(,)? }) => {
        impl Word for $type {
            const WORDS: &'static [&'static str] = &[$($word),+];
            fn from_index(index: usize) -> Self {
                [$($variant),+][index]
            }
            fn index(&self) -> usize {
                [$($variant),+].iter().position(|v| v == self).unwrap_or(0)
            }
        }
    };
}

words!(BrokerRole { BrokerRole::AsyncMaster => "ASYNC_MASTER", BrokerRole::SyncMaster => "SYNC_MASTER", BrokerRole::Slave => "SLAVE" });
words!(FlushDiskType { FlushDiskType::AsyncFlush => "ASYNC_FLUSH", FlushDiskType::SyncFlush => "SYNC_FLUSH" });
words!(ConsumeFromWhere {
    ConsumeFromWhere::LastOffset => "CONSUME_FROM_LAST_OFFSET",
    ConsumeFromWhere::FirstOffset => "CONSUME_FROM_FIRST_OFFSET",
    ConsumeFromWhere::Timestamp => "CONSUME_FROM_TIMESTAMP",
});
words!(MessageModel { MessageModel::Clustering => "CLUSTERING", MessageModel::Broadcasting => "BROADCASTING" });
