//! A sheet to draw on: lines, boxes, marks and text in pixels, on plotters' SVG backend.
//!
//! Text is placed by estimated widths (the reader's font is not known), on the wide side, so that labels do not run into each other.

use crate::report::text;
use plotters::prelude::{DrawingBackend, FontFamily, FontStyle, IntoFont, RGBAColor, SVGBackend, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Red, green, blue, opacity.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Ink(pub u8, pub u8, pub u8, pub f64);

impl Ink {
    pub(super) const BLACK: Ink = Ink(0x22, 0x22, 0x22, 1.0);
    pub(super) const GREY: Ink = Ink(0x66, 0x66, 0x66, 1.0);
    pub(super) const LINE: Ink = Ink(0xBB, 0xBB, 0xBB, 1.0);
    pub(super) const GRID: Ink = Ink(0xE4, 0xE4, 0xE4, 1.0);
    pub(super) const WHITE: Ink = Ink(0xFF, 0xFF, 0xFF, 1.0);

    pub(super) fn faint(self, opacity: f64) -> Ink {
        Ink(self.0, self.1, self.2, opacity)
    }

    /// Black or white, whichever reads better on this colour.
    pub(super) fn text_on(self) -> Ink {
        let light = 299 * u32::from(self.0) + 587 * u32::from(self.1) + 114 * u32::from(self.2);
        if light > 140_000 { Ink::BLACK } else { Ink::WHITE }
    }
}

/// A colour with a stroke width, as plotters takes it.
fn stroke(ink: Ink, width: u32) -> ShapeStyle {
    ShapeStyle { color: RGBAColor(ink.0, ink.1, ink.2, ink.3), filled: true, stroke_width: width }
}

/// Where a text hangs on its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// The sheet. Drawing cannot fail: the backend writes into a string, so its results say nothing.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Draws a sheet of this size and returns it as SVG, with a title that browsers and screen readers show.
pub(super) fn sheet(size: (u32, u32), title: &str, draw: impl FnOnce(&mut Canvas<'_>)) -> String {
    let mut svg = String::new();
    {
        let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size) };
        canvas.fill(0, 0, size.0 as i32, size.1 as i32, Ink::WHITE);
        draw(&mut canvas);
        _ = canvas.backend.present();
    }
    if let Some(end_of_head) = svg.find(">\n") {
        let mut escaped = String::new();
        for c in legible(title).chars() {
            match c {
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '&' => escaped.push_str("&amp;"),
                c => escaped.push(c),
            }
        }
        svg.insert_str(end_of_head + 2, &format!("<title>{escaped}</title>\n"));
    }
    svg
}

/// XML has no way to write control characters, whatever a scenario's question contains.
fn legible(label: &str) -> String {
    label.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect()
}

/// Estimated width of a text in pixels; sans-serif faces differ, so on the wide side of most.
pub(super) fn text_width(label: &str, size: u32) -> i32 {
    let thousandths: u64 = label
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 330,
            ' ' | 'f' | 't' | 'r' | '(' | ')' | '-' | '/' | '[' | ']' => 400,
            'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 980,
            'A'..='Z' => 700,
            c if c.is_ascii() => 620,
            c if (c as u32) < 0x2000 => 650,
            _ => 1000,
        })
        .sum();
    (thousandths * u64::from(size) / 1000) as i32
}

/// The text, cut so that it is at most so wide; empty when not even a few letters fit.
pub(super) fn fitted(label: &str, size: u32, width: i32) -> String {
    if text_width(label, size) <= width {
        return label.to_owned();
    }
    // No chart has room for more, however long a scenario's texts are.
    let label = &text::truncate(label, 300);
    let n = label.chars().count();
    let fit = (2..n).rev().map(|keep| text::truncate(label, keep)).find(|cut| text_width(cut, size) <= width);
    fit.filter(|cut| cut.chars().count() >= 3).unwrap_or_default()
}

/// Breaks a bold text into at most `lines` lines of this width, the last one cut where more would follow.
pub(super) fn wrapped_bold(label: &str, size: u32, width: i32, lines: usize) -> Vec<String> {
    // Bold letters are about a sixth wider.
    let width = width * 6 / 7;
    let mut out: Vec<String> = Vec::new();
    for word in legible(label).split_whitespace() {
        match out.last_mut() {
            Some(line) if text_width(line, size) + text_width(" ", size) + text_width(word, size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    if out.len() > lines {
        let rest = out.split_off(lines.max(1) - 1).join(" ");
        out.push(rest);
    }
    out.iter().map(|line| fitted(line, size, width)).collect()
}

impl Canvas<'_> {
    pub(super) fn fill(&mut self, x0: i32, y0: i32, x1: i32, y1: i32, ink: Ink) {
        if x1 > x0 && y1 > y0 {
            _ = self.backend.draw_rect((x0, y0), (x1, y1), &stroke(ink, 1), true);
        }
    }

    pub(super) fn outline(&mut self, x0: i32, y0: i32, x1: i32, y1: i32, ink: Ink) {
        if x1 >= x0 && y1 >= y0 {
            _ = self.backend.draw_rect((x0, y0), (x1, y1), &stroke(ink, 1), false);
        }
    }

    pub(super) fn line(&mut self, from: (i32, i32), to: (i32, i32), ink: Ink, width: u32) {
        _ = self.backend.draw_line(from, to, &stroke(ink, width));
    }

    pub(super) fn dashed_down(&mut self, x: i32, y0: i32, y1: i32, ink: Ink) {
        let points = (y0..y1).step_by(7);
        for y in points {
            self.line((x, y), (x, (y + 4).min(y1)), ink, 1);
        }
    }

    pub(super) fn path(&mut self, points: &[(i32, i32)], ink: Ink, width: u32) {
        match points {
            [] => {}
            // A lone point still shows.
            [(x, y)] => self.line((x - 2, *y), (x + 2, *y), ink, width),
            _ => _ = self.backend.draw_path(points.iter().copied(), &stroke(ink, width)),
        }
    }

    pub(super) fn polygon(&mut self, points: &[(i32, i32)], ink: Ink) {
        if points.len() > 2 {
            _ = self.backend.fill_polygon(points.iter().copied(), &stroke(ink, 1));
        }
    }

    pub(super) fn dot(&mut self, at: (i32, i32), radius: u32, ink: Ink) {
        _ = self.backend.draw_circle(at, radius, &stroke(ink, 1), true);
    }

    pub(super) fn ring(&mut self, at: (i32, i32), radius: u32, ink: Ink) {
        _ = self.backend.draw_circle(at, radius, &stroke(ink, 1), false);
    }

    pub(super) fn cross(&mut self, (x, y): (i32, i32), arm: i32, ink: Ink) {
        self.line((x - arm, y - arm), (x + arm, y + arm), ink, 1);
        self.line((x - arm, y + arm), (x + arm, y - arm), ink, 1);
    }

    /// Boxes of one column, from `x0` to `x1`, as one shape: a comb whose back has no width. Many marks would make a chart large.
    pub(super) fn comb(&mut self, x0: i32, x1: i32, boxes: &[(i32, i32)], ink: Ink) {
        let points: Vec<(i32, i32)> = boxes.iter().flat_map(|(y0, y1)| [(x0, *y0), (x1, *y0), (x1, *y1), (x0, *y1)]).collect();
        self.polygon(&points, ink);
    }

    /// Text whose middle line is at `y`.
    pub(super) fn text(&mut self, label: &str, (x, y): (i32, i32), size: u32, anchor: Anchor, ink: Ink) {
        self.write(label, (x, y), size, anchor, ink, FontStyle::Normal);
    }

    pub(super) fn bold(&mut self, label: &str, (x, y): (i32, i32), size: u32, anchor: Anchor, ink: Ink) {
        self.write(label, (x, y), size, anchor, ink, FontStyle::Bold);
    }

    fn write(&mut self, label: &str, (x, y): (i32, i32), size: u32, anchor: Anchor, ink: Ink, weight: FontStyle) {
        if label.trim().is_empty() {
            return;
        }
        let h = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // The backend divides by 1.24 what it writes as the font's size.
        let font = (FontFamily::SansSerif, f64::from(size) * 1.24, weight).into_font();
        let colour = RGBAColor(ink.0, ink.1, ink.2, ink.3);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(h, VPos::Center));
        _ = self.backend.draw_text(&legible(label), &style, (x, y));
    }

    /// Parallel strokes at 45 degrees inside a box.
    pub(super) fn hatch(&mut self, (x0, y0, x1, y1): (i32, i32, i32, i32), step: i32, ink: Ink) {
        let height = y1 - y0;
        // Anchored to the sheet, so that neighbouring boxes continue one pattern.
        let mut at = x0 - height - (x0 - height).rem_euclid(step.max(2));
        while at < x1 {
            let (left, right) = (at.max(x0), (at + height).min(x1));
            if left < right {
                self.line((left, y1 - (left - at)), (right, y1 - (right - at)), ink, 1);
            }
            at += step.max(2);
        }
    }

    /// Slanted stripes of several colours inside a box.
    pub(super) fn stripes(&mut self, (x0, y0, x1, y1): (i32, i32, i32, i32), inks: &[Ink], width: i32) {
        let Some(first) = inks.first() else { return };
        self.fill(x0, y0, x1, y1, *first);
        let (height, width, n) = (y1 - y0, width.max(2), inks.len() as i32);
        let period = width * n;
        let mut at = x0 - height - (x0 - height).rem_euclid(period);
        while at < x1 {
            for (i, ink) in inks.iter().enumerate().skip(1) {
                let a = at + i as i32 * width;
                let slanted = [(a, y1), (a + width, y1), (a + width + height, y0), (a + height, y0)];
                let inside = clip(&clip(&slanted, x0, true), x1, false);
                self.polygon(&inside, *ink);
            }
            at += period;
        }
    }
}

/// The part of a convex polygon on one side of a vertical line (Sutherland and Hodgman's rule).
fn clip(points: &[(i32, i32)], x: i32, keep_right: bool) -> Vec<(i32, i32)> {
    let inside = |p: (i32, i32)| if keep_right { p.0 >= x } else { p.0 <= x };
    let mut out = Vec::new();
    for (i, &p) in points.iter().enumerate() {
        let q = points[(i + 1) % points.len()];
        if inside(p) {
            out.push(p);
        }
        if inside(p) != inside(q) {
            out.push((x, p.1 + (q.1 - p.1) * (x - p.0) / (q.0 - p.0)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_their_room() {
        assert_eq!(fitted("short", 12, 200), "short");
        let cut = fitted("a rather long label for a narrow place", 12, 100);
        assert!(cut.ends_with('…') && text_width(&cut, 12) <= 100, "{cut}");
        assert_eq!(fitted("anything", 12, 5), "");
        let lines = wrapped_bold("one two three four five six seven eight nine ten", 12, 90, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'));
    }

    #[test]
    fn control_characters_do_not_break_the_xml() {
        let svg = sheet((100, 50), "a\u{0}<b>&\u{1b}", |c| c.text("x\u{7}<y>&\"", (5, 5), 10, Anchor::Left, Ink::BLACK));
        assert!(svg.contains("<title>a &lt;b&gt;&amp; </title>"), "{svg}");
        assert!(!svg.chars().any(|c| c.is_control() && c != '\n'));
    }
}
