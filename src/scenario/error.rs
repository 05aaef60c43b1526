//! What is wrong with a scenario: where it stands, what was expected, the nearest valid name and the remedy.
//!
//! A scenario file is written by hand, so its errors are part of the product: all of them are collected, each points at the line (or at
//! the argument of the command line that caused it), and each says what would have been right.

use super::tree::{Place, Span};
use std::fmt;

/// The kinds of mistakes, for programs that want to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file could not be read, is too large, or is not UTF-8.
    Unreadable,
    /// Not JSON, or a key given twice.
    Syntax,
    /// A key that means nothing at this place.
    UnknownKey,
    /// A name that nothing in the scenario has.
    UnknownName,
    /// A required key is absent.
    Missing,
    /// The wrong type, unit or word.
    WrongValue,
    /// A value that makes no sense in size.
    OutOfRange,
    /// Two things that contradict each other.
    Conflict,
    /// A version or format that this build does not know.
    NotBuilt,
}

/// Where a mistake stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The file as a whole.
    File,
    /// In the text; line and column count from 1, the column in characters.
    Text(Span),
    /// In an argument of the command line, as it was given.
    Argument(String),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    pub at: At,
    pub problem: Problem,
    /// What is wrong.
    pub what: String,
    pub expected: Option<String>,
    /// The nearest valid name.
    pub did_you_mean: Option<String>,
    /// What to do about it, or why it is so.
    pub remedy: Option<String>,
}

impl ScenarioError {
    pub(crate) fn new(problem: Problem, what: impl Into<String>) -> Self {
        ScenarioError { at: At::File, problem, what: what.into(), expected: None, did_you_mean: None, remedy: None }
    }
    pub(crate) fn at(mut self, place: Place, arguments: &[String]) -> Self {
        self.at = match place {
            Place::Nowhere => At::File,
            Place::Text(span) => At::Text(span),
            Place::Argument(index) => arguments.get(index as usize).map_or(At::File, |a| At::Argument(a.clone())),
        };
        self
    }
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
    pub(crate) fn did_you_mean(mut self, name: Option<impl Into<String>>) -> Self {
        self.did_you_mean = name.map(Into::into);
        self
    }
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The block that is printed, with the file's name in front.
    fn print(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::File => write!(f, "{file}: {}", self.what)?,
            At::Text(span) => write!(f, "{file}:{}:{}: {}", span.line, span.column, self.what)?,
            At::Argument(argument) => write!(f, "{file}: {argument}: {}", self.what)?,
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(name) = &self.did_you_mean {
            write!(f, "\n  did you mean \"{name}\"?")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  {remedy}")?;
        }
        Ok(())
    }
}

/// Every mistake of one scenario, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioErrors {
    /// The file as the user named it.
    pub file: String,
    pub errors: Vec<ScenarioError>,
    /// How many more there were than are listed.
    pub more: usize,
}

impl ScenarioErrors {
    pub(crate) fn one(file: &str, error: ScenarioError) -> Self {
        ScenarioErrors { file: file.to_owned(), errors: vec![error], more: 0 }
    }

    /// Sorted: the whole file first, then arguments, then by position.
    pub(crate) fn sorted(file: &str, mut errors: Vec<ScenarioError>, more: usize) -> Self {
        errors.sort_by_key(|e| match &e.at {
            At::File => (0, 0),
            At::Argument(_) => (1, 0),
            At::Text(span) => (2, span.start),
        });
        errors.dedup();
        ScenarioErrors { file: file.to_owned(), errors, more }
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.print(&self.file, f)?;
        }
        if self.more > 0 {
            write!(f, "\n{}: and {} more", self.file, self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioErrors {}
