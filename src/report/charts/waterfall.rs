//! Outages of broker sets as waterfalls: a row a client, a bar a stage, from the strike on. What was waited for stands side by side with what it
//! waited behind, so the stage to blame is the widest bar, and whether it is the cluster's or the client's is seen in the set's own row on top.

use super::canvas::{Anchor, Canvas, Ink, fitted, sheet, text_width};
use super::frame::{Head, Key, SMALL, Time, WIDTH, draw_legend, legend_lines};
use crate::report::recovery::to_blame;
use crate::report::text;
use crate::run::outcome::{Outcome, Recovery, Waited};

const WHAT: &str = "Outages of broker sets, stage by stage";
const RIGHT: i32 = 690;
/// Where the column of totals ends and that of the longest stages begins.
const TOTAL_X: i32 = 764;
const BLAME_X: i32 = 776;
/// Outages, and rows of each kind in one, before the rest is only counted.
const MOST_OUTAGES: usize = 4;
const MOST_ROWS: usize = 12;
const BAR: i32 = 16;
const PITCH: i32 = 21;
/// What each further line of a name adds.
const LINE: i32 = 13;
const MOST_LINES: usize = 3;
/// Most that names may take of the width before they are broken into lines.
const NAMES: i32 = 250;
const HEADING: i32 = 30;
/// Between the last row of an outage and its frame, and between frames.
const GAP: i32 = 8;

const MISSING: &str = "not back";
const RED: Ink = Ink(0xC4, 0x1E, 0x1E, 1.0);
const PALE_RED: Ink = Ink(0xFC, 0xE3, 0xE0, 1.0);

/// The stages in their order, and how each is drawn: warm while the cluster decides, blue while a broker is on its way, green from the client's route on.
const INKS: [(&str, Ink); 18] = [
    ("detected", Ink(0xF0, 0xE4, 0x42, 1.0)),
    ("process started", Ink(0xA8, 0xC8, 0xE8, 1.0)),
    ("booted", Ink(0x7F, 0xA3, 0xC7, 1.0)),
    ("log recovered", Ink(0x3F, 0x7F, 0xA8, 1.0)),
    ("quorum back", Ink(0xD9, 0x5F, 0x4B, 1.0)),
    ("election begun", Ink(0xE6, 0x9F, 0x00, 1.0)),
    ("elected", Ink(0xB3, 0x5C, 0x00, 1.0)),
    ("opened", Ink(0x56, 0xB4, 0xE9, 1.0)),
    ("replicating", Ink(0x8F, 0xD0, 0xD0, 1.0)),
    ("registered", Ink(0x2B, 0x4B, 0x95, 1.0)),
    ("route refreshed", Ink(0x00, 0x9E, 0x73, 1.0)),
    ("isolation over", Ink(0x8C, 0x6D, 0x46, 1.0)),
    ("queue assigned", Ink(0xCC, 0x9A, 0xC4, 1.0)),
    ("first message stored", Ink(0xC8, 0xC8, 0xC8, 1.0)),
    ("pulled", Ink(0x7A, 0x3E, 0x9D, 1.0)),
    ("first answer", Ink(0xA6, 0xD8, 0x54, 1.0)),
    ("SEND_OK", Ink(0x33, 0x66, 0x1A, 1.0)),
    ("first delivery", Ink(0x4D, 0x4D, 0x4D, 1.0)),
];

fn ink(stage: &str) -> Ink {
    INKS.iter().find(|(name, _)| *name == stage).map_or(Ink::GREY, |(_, ink)| *ink)
}

fn ns(ns: u64) -> String {
    text::duration(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// Rows of one kind that are drawn, and what is said of the others.
struct Rows<'o> {
    kind: &'static str,
    shown: &'o [Waited],
    more: String,
}

impl<'o> Rows<'o> {
    fn of(kind: &'static str, all: &'o [Waited]) -> Self {
        // One row more is drawn rather than named as "1 more".
        let n = if all.len() <= MOST_ROWS + 1 { all.len() } else { MOST_ROWS };
        let (shown, rest) = all.split_at(n);
        let more = match (rest.first(), rest.iter().filter(|r| !r.over).count()) {
            (None, _) => String::new(),
            (Some(_), away) if away > 0 => {
                format!("and {} more {kind}, {} of them not back", text::count(rest.len() as u64), text::count(away as u64))
            }
            (Some(next), _) => format!("and {} more {kind}, back within {}", text::count(rest.len() as u64), ns(next.outage)),
        };
        Rows { kind, shown, more }
    }
    fn height(&self, pitch: i32) -> i32 {
        (self.shown.len() as i32 + i32::from(!self.more.is_empty())) * pitch
    }
}

/// One outage with its place on the sheet.
struct Section<'o> {
    r: &'o Recovery,
    rows: [Rows<'o>; 2],
}

impl Section<'_> {
    /// Between its rows: more where a name takes several lines.
    fn pitch(&self) -> i32 {
        let lines = |w: &Waited| name_lines(&w.who, NAMES).len().max(1) as i32;
        PITCH + LINE * (self.shown().map(lines).max().unwrap_or(1) - 1)
    }
    fn height(&self) -> i32 {
        let pitch = self.pitch();
        HEADING + pitch + self.rows.iter().map(|rows| rows.height(pitch)).sum::<i32>() + 2 * GAP
    }
    fn shown(&self) -> impl Iterator<Item = &Waited> {
        std::iter::once(&self.r.itself).chain(self.rows.iter().flat_map(|rows| rows.shown))
    }
}

fn told(r: &&Recovery) -> bool {
    !r.senders.is_empty() || !r.queues.is_empty()
}

/// The chart as SVG.
pub fn waterfall(outcome: &Outcome) -> String {
    let mut all: Vec<&Recovery> = outcome.recoveries.iter().filter(told).collect();
    let longest = |r: &Recovery| r.senders.first().or(r.queues.first()).map_or(0, |w| w.outage);
    all.sort_by(|a, b| longest(b).cmp(&longest(a)).then(a.at_s.total_cmp(&b.at_s)));
    let left_out = all.len().saturating_sub(MOST_OUTAGES);
    all.truncate(MOST_OUTAGES);
    all.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let section = |r| Section { r, rows: [Rows::of("producers", &r.senders), Rows::of("queues", &r.queues)] };
    let sections: Vec<Section<'_>> = all.into_iter().map(section).collect();

    let shown = || sections.iter().flat_map(Section::shown);
    // The set's own row is bold, which takes a tenth more.
    let own = sections.iter().map(|s| text_width(&own_name(&s.r.itself), SMALL) * 11 / 10);
    let widest = shown().map(|w| text_width(&w.who, SMALL)).chain(own).max().unwrap_or(0);
    let left = 24 + widest.clamp(80, NAMES) + 10;
    let until = shown().map(|w| w.outage).max().unwrap_or(0);
    // A little beyond the longest, so that its end is seen to be one.
    let time = Time { from: 0.0, until: (until as f64 * 1.03 / 1e9).max(0.01), left, right: RIGHT };
    let keys = legend(&shown().collect::<Vec<_>>());
    let head = Head::plain(outcome, legend_lines(&keys, WIDTH - left - 20).len() as i32);
    let top = head.height() + 16;
    let body = sections.iter().map(Section::height).sum::<i32>().max(80);
    // The axis hangs on the last frame.
    let bottom = if sections.is_empty() { top + body } else { top + body - GAP };
    let height = bottom + 50 + if left_out > 0 { 24 } else { 0 };

    sheet((WIDTH as u32, height as u32), &format!("{WHAT}: {}", outcome.header.question), |c| {
        head.draw_title(outcome, WHAT, c, 24);
        draw_legend(c, &keys, &head, left, WIDTH - left - 20);
        time.draw_axis_of("seconds from the strike", c, top, bottom);
        if sections.is_empty() {
            c.text("no broker set was away", ((left + RIGHT) / 2, (top + bottom) / 2), 15, Anchor::Middle, Ink::GREY);
        }
        let mut y = top;
        if !sections.is_empty() {
            c.text("longest stage, and what it waits for", (BLAME_X, top - 6), SMALL, Anchor::Left, Ink::GREY);
        }
        for section in &sections {
            draw_section(c, section, time, y);
            y += section.height();
        }
        if left_out > 0 {
            let what = format!("{} shorter outages are not shown; summary.json has them", text::count(left_out as u64));
            c.text(&what, (left, height - 14), SMALL, Anchor::Left, Ink::GREY);
        }
    })
}

fn draw_section(c: &mut Canvas<'_>, section: &Section<'_>, time: Time, top: i32) {
    // White behind the words, so that no grid line runs through them.
    c.fill(20, top, WIDTH, top + HEADING, Ink::WHITE);
    let heading = fitted(&heading(section.r), 13, WIDTH - 48);
    c.bold(&heading, (24, top + HEADING / 2), 13, Anchor::Left, Ink::BLACK);
    let (mut y, pitch) = (top + HEADING, section.pitch());
    draw_row(c, &section.r.itself, time, (y, pitch), true);
    y += pitch;
    for rows in &section.rows {
        for row in rows.shown {
            draw_row(c, row, time, (y, pitch), false);
            y += pitch;
        }
        if !rows.more.is_empty() {
            c.fill(time.left + 1, y + 1, RIGHT, y + pitch, Ink::WHITE);
            c.text(&rows.more, (time.left + 6, y + pitch / 2), SMALL, Anchor::Left, Ink::GREY);
            c.text(&format!("more {}", rows.kind), (time.left - 10, y + pitch / 2), SMALL, Anchor::Right, Ink::GREY);
            y += pitch;
        }
    }
    c.outline(time.left, top + HEADING - 2, RIGHT, top + section.height() - GAP, Ink::GREY);
}

/// "60.0 s: host of broker-a:0 lost; sends back after 42.0 s (median 12.0 s); lost 2 messages, 27 ms".
fn heading(r: &Recovery) -> String {
    let back = |rows: &[Waited], what: &str| match Recovery::worst_and_median(rows) {
        None => String::new(),
        Some((worst, _)) if !worst.over => format!("; {what} not back within {}", ns(worst.outage)),
        Some((worst, median)) if rows.len() > 1 => {
            format!("; {what} back after {} (median {})", ns(worst.outage), ns(median.outage))
        }
        Some((worst, _)) => format!("; {what} back after {}", ns(worst.outage)),
    };
    let lost = match r.rpo {
        None => String::new(),
        Some(rpo) if rpo.messages == 0 => "; nothing lost".to_owned(),
        Some(rpo) => format!("; lost {} messages, {}", text::count(rpo.messages), ns(rpo.span)),
    };
    let (sends, deliveries) = (back(&r.senders, "sends"), back(&r.queues, "deliveries"));
    format!("{}: {}{sends}{deliveries}{lost}", text::moment(r.at_s), r.what)
}

fn own_name(row: &Waited) -> String {
    format!("{} itself", row.who)
}

/// A name in as few lines as it takes, none wider than that, and at most three. It breaks before "to", then behind the last mark between its words that
/// fits: what tells one long name from another may stand at either end.
fn name_lines(who: &str, width: i32) -> Vec<String> {
    if text_width(who, SMALL) <= width {
        return vec![who.to_owned()];
    }
    let (queue, group) = who.find(" to ").map_or((who, ""), |at| (&who[..at], &who[at + 1..]));
    let mut lines: Vec<String> = Vec::new();
    for part in [queue, group] {
        let mut rest = part;
        while !rest.is_empty() && lines.len() < MOST_LINES {
            let at = if lines.len() + 1 == MOST_LINES { rest.len() } else { fitting(rest, width) };
            lines.push(fitted(rest[..at].trim_end(), SMALL, width));
            rest = &rest[at..];
        }
    }
    lines
}

/// How much of a text is set in a line of this width.
fn fitting(text: &str, width: i32) -> usize {
    let fits = |at: &usize| text_width(&text[..*at], SMALL) <= width;
    if fits(&text.len()) {
        return text.len();
    }
    // No name is so long that more than this could fit.
    let ends = || text.char_indices().take(300).map(|(i, c)| (i + c.len_utf8(), c));
    let mark = ends().filter(|(_, c)| " -_.:%".contains(*c)).map(|(at, _)| at).filter(fits).last();
    mark.or_else(|| ends().map(|(at, _)| at).filter(fits).last()).unwrap_or(text.len())
}

fn draw_row(c: &mut Canvas<'_>, row: &Waited, time: Time, (top, pitch): (i32, i32), itself: bool) {
    let middle = top + pitch / 2;
    let (y0, y1) = (middle - BAR / 2, middle + BAR / 2);
    let who = if itself { own_name(row) } else { row.who.clone() };
    let lines = name_lines(&who, time.left - 34);
    let n = lines.len() as i32;
    for (i, line) in lines.iter().enumerate() {
        let at = (time.left - 10, middle + (2 * i as i32 - (n - 1)) * LINE / 2);
        if itself {
            c.bold(line, at, SMALL, Anchor::Right, Ink::BLACK)
        } else {
            c.text(line, at, SMALL, Anchor::Right, Ink::BLACK)
        }
    }
    let mut reached = 0u64;
    for stage in &row.stages {
        let x0 = time.x(reached as f64 / 1e9);
        reached = reached.saturating_add(stage.took);
        // A stage of a moment still shows.
        let x1 = time.x(reached as f64 / 1e9).max(x0 + 1);
        let paint = ink(stage.name);
        if stage.name == MISSING {
            draw_missing(c, (x0, y0, x1, y1));
        } else {
            c.fill(x0, y0, x1, y1, paint);
        }
        let label = ns(stage.took);
        if text_width(&label, 11) + 8 <= x1 - x0 && stage.name != MISSING {
            c.text(&label, ((x0 + x1) / 2, middle), 11, Anchor::Middle, paint.text_on());
        }
    }
    let total = if row.over { ns(row.outage) } else { format!("> {}", ns(row.outage)) };
    c.bold(&total, (TOTAL_X, middle), SMALL, Anchor::Right, if row.over { Ink::BLACK } else { RED });
    if let Some(stage) = to_blame(row) {
        let more = if stage.waits_for.is_empty() { String::new() } else { format!(": {}", stage.waits_for) };
        c.text(
            &fitted(&(stage.name.to_owned() + &more), 11, WIDTH - 16 - BLAME_X),
            (BLAME_X, middle),
            11,
            Anchor::Left,
            Ink::GREY,
        );
    }
}

fn draw_missing(c: &mut Canvas<'_>, b: (i32, i32, i32, i32)) {
    c.fill(b.0, b.1, b.2, b.3, PALE_RED);
    c.hatch(b, 6, RED);
    c.outline(b.0, b.1, b.2, b.3, RED);
}

fn legend(rows: &[&Waited]) -> Vec<Key<'static>> {
    let there = |name: &str| rows.iter().any(|row| row.stages.iter().any(|s| s.name == name));
    let mut keys: Vec<Key<'static>> = Vec::new();
    for (name, ink) in INKS.into_iter().filter(|(name, _)| there(name)) {
        keys.push(Key { label: name.to_owned(), mark: Box::new(move |c, b| c.fill(b.0, b.1, b.2, b.3, ink)) });
    }
    if there(MISSING) {
        keys.push(Key { label: "not back while it was measured".to_owned(), mark: Box::new(draw_missing) });
    }
    keys
}

#[cfg(test)]
#[path = "waterfall_tests.rs"]
mod tests;
