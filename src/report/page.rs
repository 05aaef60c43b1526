//! The page that the answer on the console is written on: lines, headings, tables that are cut with a pointer to `summary.json`, and colour.

use super::text::{Align, columns, count};
use crate::run::outcome::Verdict;

/// The answer while it is written.
pub(super) struct Page {
    out: String,
    colour: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Ink {
    Bold,
    Dim,
    Of(Verdict),
}

impl Page {
    pub(super) fn new(colour: bool) -> Page {
        Page { out: String::new(), colour }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    pub(super) fn section(&mut self, title: &str) {
        let title = self.paint(title, Ink::Bold);
        self.line("");
        self.line(&title);
    }

    pub(super) fn paint(&self, text: &str, ink: Ink) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Of(Verdict::Pass) => "1;32",
            Ink::Of(Verdict::Fail) => "1;31",
            Ink::Of(Verdict::Unknown) => "1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The first so many rows of a table, and how many more there are. A row's verdict colours its first word.
    pub(super) fn table(&mut self, align: &[Align], rows: &[Vec<String>], verdicts: &[Verdict], keep: usize) {
        // One row more is printed rather than named as "1 more".
        let shown = if rows.len() <= keep + 1 { rows.len() } else { keep };
        for (i, line) in columns("  ", align, &rows[..shown]).into_iter().enumerate() {
            match (verdicts.get(i), rows[i].first()) {
                (Some(v), Some(word)) if self.colour && !word.is_empty() => {
                    let painted = self.paint(word, Ink::Of(*v));
                    self.line(&line.replacen(word.as_str(), &painted, 1));
                }
                _ => self.line(&line),
            }
        }
        if shown < rows.len() {
            let more =
                self.paint(&format!("  … and {} more in summary.json", count(rows.len() as i128 - shown as i128)), Ink::Dim);
            self.line(&more);
        }
    }
}
