//! JSON as a tree that remembers where everything stands.
//!
//! Reads the text of a scenario file; every key and value keeps its line, column and byte span, because an error that does not point at
//! the line is half an error. Numbers keep their text: whole numbers stay exact, and whoever takes one decides what it may be. Depth and
//! size are bounded, so no input can exhaust the stack. The same tree, without positions, is what [`Node::to_json`] prints.

use super::error::{At, Problem, ScenarioError};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Nesting that is accepted. A scenario needs 8.
pub const MAX_DEPTH: usize = 64;
/// Size that is accepted, bytes.
pub const MAX_SIZE: usize = 16 << 20;

/// A stretch of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Bytes from the beginning of the text.
    pub start: u32,
    pub end: u32,
}

/// Where a key or value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere in particular: a default.
    Nowhere,
    /// From the text.
    Text(Span),
    /// From the argument of the command line with this number.
    Argument(u16),
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Null,
    Flag(bool),
    /// The number as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A key of an object with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    fn of(shape: Shape) -> Node {
        Node { place: Place::Nowhere, shape }
    }
    pub(crate) fn flag(value: bool) -> Node {
        Node::of(Shape::Flag(value))
    }
    pub(crate) fn text(value: impl Into<String>) -> Node {
        Node::of(Shape::Text(value.into()))
    }
    pub(crate) fn number(value: impl ToString) -> Node {
        Node::of(Shape::Number(value.to_string()))
    }
    pub(crate) fn list(values: Vec<Node>) -> Node {
        Node::of(Shape::List(values))
    }
    pub(crate) fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Node)>) -> Node {
        let member = |(key, value): (K, Node)| Member { key: key.into(), key_place: Place::Nowhere, value };
        Node::of(Shape::Object(members.into_iter().map(member).collect()))
    }

    /// The member of an object with this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.shape {
            Shape::Object(members) => members.iter().find(|m| m.key == key).map(|m| &m.value),
            _ => None,
        }
    }
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for error messages: short, whatever the file holds.
    pub(crate) fn describe(&self) -> String {
        let short = |text: &str| match text.char_indices().nth(40) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.to_owned(),
        };
        match &self.shape {
            Shape::Null => "null".into(),
            Shape::Flag(value) => value.to_string(),
            Shape::Number(text) => short(text),
            Shape::Text(text) => format!("\"{}\"", short(text)),
            Shape::List(_) => "a list".into(),
            Shape::Object(_) => "an object".into(),
        }
    }

    /// JSON for people: what fits on a line stays on a line. Ends with a newline.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.pretty(0, 0, &mut out);
        out.push('\n');
        out
    }

    /// JSON on one line.
    pub fn to_line(&self) -> String {
        let mut out = String::new();
        self.compact(&mut out, usize::MAX);
        out
    }

    fn pretty(&self, indent: usize, used: usize, out: &mut String) {
        const WIDTH: usize = 130;
        let begin = out.len();
        if self.compact(out, WIDTH.saturating_sub(indent + used)) {
            return;
        }
        out.truncate(begin);
        let inner = indent + 2;
        let pad = |out: &mut String, first: bool, width: usize| {
            out.push_str(if first { "\n" } else { ",\n" });
            out.extend(std::iter::repeat_n(' ', width));
        };
        let close = match &self.shape {
            Shape::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    pad(out, i == 0, inner);
                    value.pretty(inner, 0, out);
                }
                ']'
            }
            Shape::Object(members) => {
                out.push('{');
                for (i, member) in members.iter().enumerate() {
                    pad(out, i == 0, inner);
                    let from = out.len();
                    quote(&member.key, out);
                    out.push_str(": ");
                    let used = out.len() - from;
                    member.value.pretty(inner, used, out);
                }
                '}'
            }
            _ => {
                self.compact(out, usize::MAX);
                return;
            }
        };
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
        out.push(close);
    }

    /// Appends the value on one line; false (and then unfinished) if it takes more than `room` bytes.
    fn compact(&self, out: &mut String, room: usize) -> bool {
        let limit = out.len().saturating_add(room);
        match &self.shape {
            Shape::Null => out.push_str("null"),
            Shape::Flag(value) => out.push_str(if *value { "true" } else { "false" }),
            Shape::Number(text) => out.push_str(text),
            Shape::Text(text) => quote(text, out),
            Shape::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    if !value.compact(out, limit.saturating_sub(out.len())) {
                        return false;
                    }
                }
                out.push(']');
            }
            Shape::Object(members) => {
                out.push('{');
                for (i, member) in members.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    quote(&member.key, out);
                    out.push_str(": ");
                    if !member.value.compact(out, limit.saturating_sub(out.len())) {
                        return false;
                    }
                }
                out.push('}');
            }
        }
        out.len() <= limit
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads bytes as UTF-8; the error points at the first byte that is none.
pub fn utf8(bytes: &[u8]) -> Result<&str, Box<ScenarioError>> {
    std::str::from_utf8(bytes).map_err(|e| {
        let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
        let line = good.bytes().filter(|b| *b == b'\n').count() as u32 + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        let start = e.valid_up_to() as u32;
        let mut error = ScenarioError::new(Problem::Unreadable, "this byte is not UTF-8").expected("a JSON file in UTF-8");
        error.at = At::Text(Span { line, column, start, end: start + 1 });
        Box::new(error)
    })
}

/// Reads a whole JSON text.
pub fn parse(text: &str) -> Result<Node, Vec<ScenarioError>> {
    if text.len() > MAX_SIZE {
        let what = format!("{} bytes are too large for a scenario", text.len());
        return Err(vec![ScenarioError::new(Problem::Unreadable, what).expected(format!("at most {} MiB", MAX_SIZE >> 20))]);
    }
    let mut parser = Parser { text, bytes: text.as_bytes(), pos: 0, line: 1, column: 1, open: Vec::new(), doubles: Vec::new() };
    if text.starts_with('\u{feff}') {
        parser.pos = '\u{feff}'.len_utf8();
    }
    match parser.whole() {
        Ok(node) if parser.doubles.is_empty() => Ok(node),
        Ok(_) => Err(parser.doubles),
        Err(error) => {
            let mut errors = parser.doubles;
            errors.push(*error);
            Err(errors)
        }
    }
}

type Parsed<T> = Result<T, Box<ScenarioError>>;

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pos: usize,
    line: u32,
    column: u32,
    /// Where the objects and lists begin that are open here.
    open: Vec<(char, Span)>,
    /// Keys that were given twice: reported together, since parsing can go on.
    doubles: Vec<ScenarioError>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }
    fn here(&self) -> Span {
        let end = match self.text[self.pos..].chars().next() {
            Some(c) => self.pos + c.len_utf8(),
            None => self.pos,
        };
        Span { line: self.line, column: self.column, start: self.pos as u32, end: end as u32 }
    }
    fn since(&self, begin: Span) -> Place {
        Place::Text(Span { end: self.pos as u32, ..begin })
    }
    /// Takes one byte. Columns count characters, so continuation bytes do not.
    fn bump(&mut self) {
        if let Some(byte) = self.peek() {
            self.pos += 1;
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else if byte & 0xc0 != 0x80 {
                self.column += 1;
            }
            // Stay on character boundaries.
            while self.peek().is_some_and(|b| b & 0xc0 == 0x80) {
                self.pos += 1;
            }
        }
    }
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.bump();
        }
    }
    fn found(&self) -> String {
        match self.text[self.pos..].chars().next() {
            Some(c) if c.is_control() => format!("the control character U+{:04X}", c as u32),
            Some(c) => format!("'{c}'"),
            None => "the end of the file".into(),
        }
    }
    fn fail<T>(&self, at: Span, what: impl Into<String>, expected: &str) -> Parsed<T> {
        let mut error = ScenarioError::new(Problem::Syntax, what).expected(expected);
        error.at = At::Text(at);
        if self.pos >= self.bytes.len()
            && let Some((what, span)) = self.open.last()
        {
            error = error.remedy(format!(
                "the '{what}' of line {}, column {} is still open: is the file cut off?",
                span.line, span.column
            ));
        } else if self.text[self.pos..].starts_with("//") || self.text[self.pos..].starts_with("/*") || self.peek() == Some(b'#')
        {
            error = error.remedy("JSON has no comments");
        }
        Err(Box::new(error))
    }
    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        self.fail(self.here(), format!("{} is not expected here", self.found()), expected)
    }

    fn whole(&mut self) -> Parsed<Node> {
        self.skip_blanks();
        let node = self.value("a scenario: an object that begins with '{'")?;
        self.skip_blanks();
        if self.pos < self.bytes.len() {
            return self.unexpected("nothing after the end of the scenario");
        }
        Ok(node)
    }

    fn value(&mut self, expected: &str) -> Parsed<Node> {
        let begin = self.here();
        let shape = match self.peek() {
            Some(b'{') => self.nested('{', begin, Self::object)?,
            Some(b'[') => self.nested('[', begin, Self::list)?,
            Some(b'"') => Shape::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number(begin)?,
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => self.word(begin)?,
            Some(b'\'') => return self.fail(begin, "'…' is not a JSON text", "text in double quotes: \"…\""),
            _ => return self.unexpected(expected),
        };
        Ok(Node { place: self.since(begin), shape })
    }

    fn nested(&mut self, what: char, begin: Span, read: fn(&mut Self) -> Parsed<Shape>) -> Parsed<Shape> {
        if self.open.len() >= MAX_DEPTH {
            return self.fail(begin, format!("nested deeper than {MAX_DEPTH}"), "a scenario, which nests less than 10 deep");
        }
        self.open.push((what, begin));
        self.bump();
        self.skip_blanks();
        let shape = read(self)?;
        self.open.pop();
        Ok(shape)
    }

    fn object(&mut self) -> Parsed<Shape> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = BTreeSet::new();
        if self.peek() == Some(b'}') {
            self.bump();
            return Ok(Shape::Object(members));
        }
        loop {
            let begin = self.here();
            match self.peek() {
                Some(b'"') => {}
                Some(b'}') => return self.fail(begin, "a comma stands before '}'", "a key after the comma, or no comma"),
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | b'\'') => return self.unexpected("a key in double quotes"),
                _ => return self.unexpected("a key in double quotes, or '}'"),
            }
            let key = self.string()?;
            let key_place = self.since(begin);
            if !seen.insert(key.clone()) && self.doubles.len() < 100 {
                self.doubles.push(self.double(&key, begin, &members));
            }
            self.skip_blanks();
            if self.peek() != Some(b':') {
                return self.unexpected("':' after the key");
            }
            self.bump();
            self.skip_blanks();
            let value = self.value("a value")?;
            members.push(Member { key, key_place, value });
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.bump(),
                Some(b'}') => {
                    self.bump();
                    return Ok(Shape::Object(members));
                }
                Some(b'"') => return self.unexpected("',' between two keys"),
                _ => return self.unexpected("',' or '}'"),
            }
            self.skip_blanks();
        }
    }

    fn double(&self, key: &str, at: Span, members: &[Member]) -> ScenarioError {
        let first = members.iter().find(|m| m.key == key).map(|m| m.key_place);
        let mut error = ScenarioError::new(Problem::Syntax, format!("the key \"{key}\" is given twice"));
        if let Some(Place::Text(span)) = first {
            error = error.remedy(format!("it is first given in line {}, column {}", span.line, span.column));
        }
        error.at = At::Text(at);
        error
    }

    fn list(&mut self) -> Parsed<Shape> {
        let mut values = Vec::new();
        if self.peek() == Some(b']') {
            self.bump();
            return Ok(Shape::List(values));
        }
        loop {
            if self.peek() == Some(b']') {
                return self.fail(self.here(), "a comma stands before ']'", "a value after the comma, or no comma");
            }
            values.push(self.value("a value, or ']'")?);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.bump(),
                Some(b']') => {
                    self.bump();
                    return Ok(Shape::List(values));
                }
                _ => return self.unexpected("',' or ']'"),
            }
            self.skip_blanks();
        }
    }

    fn word(&mut self, begin: Span) -> Parsed<Shape> {
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.bump();
        }
        match &self.text[begin.start as usize..self.pos] {
            "true" => Ok(Shape::Flag(true)),
            "false" => Ok(Shape::Flag(false)),
            "null" => Ok(Shape::Null),
            other => {
                let end = Span { end: self.pos as u32, ..begin };
                let short: String = other.chars().take(40).collect();
                self.fail(end, format!("{short} is not a JSON value"), "true, false, a number, or text in double quotes")
            }
        }
    }

    fn digits(&mut self) -> usize {
        let begin = self.pos;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.bump();
        }
        self.pos - begin
    }

    fn number(&mut self, begin: Span) -> Parsed<Shape> {
        if self.peek() == Some(b'-') {
            self.bump();
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        let mut good = whole > 0 && !(leading_zero && whole > 1);
        if self.peek() == Some(b'.') {
            self.bump();
            good &= self.digits() > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.bump();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.bump();
            }
            good &= self.digits() > 0;
        }
        let unit = self.peek().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let text = &self.text[begin.start as usize..self.pos];
        let span = Span { end: self.pos as u32, ..begin };
        if unit {
            return self.fail(span, "a number runs into letters", "text in double quotes if it has a unit, such as \"30s\"");
        }
        if !good || text.len() > 400 {
            let short: String = text.chars().take(40).collect();
            return self.fail(span, format!("{short} is not a JSON number"), "a number such as 10, -3 or 0.5");
        }
        Ok(Shape::Number(text.to_owned()))
    }

    fn string(&mut self) -> Parsed<String> {
        let begin = self.here();
        self.bump();
        let mut out = String::new();
        loop {
            let run = self.pos;
            while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
                self.bump();
            }
            out.push_str(&self.text[run..self.pos]);
            match self.peek() {
                Some(b'"') => {
                    self.bump();
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(b'\n' | b'\r') => return self.fail(begin, "this text does not end on its line", "a closing '\"'"),
                Some(_) => return self.unexpected("\\t, \\n or \\u00XX for control characters in text"),
                None => return self.fail(self.here(), "the file ends inside a text", "a closing '\"'"),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Parsed<()> {
        let begin = self.here();
        self.bump();
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.bump();
                out.push(self.unicode(begin)?);
                return Ok(());
            }
            _ => return self.fail(begin, "this escape is unknown", "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"),
        };
        self.bump();
        out.push(c);
        Ok(())
    }

    fn hex4(&mut self, begin: Span) -> Parsed<u32> {
        let mut value = 0;
        for _ in 0..4 {
            match self.peek().and_then(|b| (b as char).to_digit(16)) {
                Some(digit) => value = value * 16 + digit,
                None => return self.fail(begin, "this escape is cut off", "\\u and four hexadecimal digits"),
            }
            self.bump();
        }
        Ok(value)
    }

    fn unicode(&mut self, begin: Span) -> Parsed<char> {
        let mut code = self.hex4(begin)?;
        if (0xd800..0xdc00).contains(&code) && self.text[self.pos..].starts_with("\\u") {
            self.bump();
            self.bump();
            let low = self.hex4(begin)?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail(begin, "this escape is half of a surrogate pair", "both halves, or the character itself"),
        }
    }
}
