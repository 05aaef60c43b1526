//! Who owned which queue when: a row a queue, a bar an owner, red hatching where nobody owned it and stripes where several did. A queue
//! that nobody owns is where messages wait, and one that several own is where they are doubled or overtake each other.

use super::canvas::{Anchor, Canvas, Ink, fitted, sheet, text_width};
use super::frame::{Head, Key, SMALL, Time, WIDTH, draw_legend, legend_lines};
use crate::report::text;
use crate::run::outcome::{Outcome, OwnershipRow};
use std::collections::BTreeMap;

const WHAT: &str = "Queue ownership";
const RIGHT: i32 = 1030;
/// Right ends of the columns of totals.
const UNOWNED_X: i32 = 1106;
const DOUBLY_X: i32 = 1182;
/// Rows beyond this many are left out, those without gaps first.
const MOST_ROWS: usize = 60;
/// Consumers in the legend before the rest is only counted.
const MOST_KEYS: usize = 14;

/// Widest name of the legend: a line of its own.
const MOST_OF_A_LINE: i32 = 760;

/// Okabe and Ito's colours without the reds, which mark unowned time; told apart by most colour-blind people.
const PALETTE: [Ink; 7] = [
    Ink(0x56, 0xB4, 0xE9, 1.0),
    Ink(0xE6, 0x9F, 0x00, 1.0),
    Ink(0x00, 0x9E, 0x73, 1.0),
    Ink(0x3B, 0x5B, 0xA5, 1.0),
    Ink(0xF0, 0xE4, 0x42, 1.0),
    Ink(0xCC, 0x9A, 0xC4, 1.0),
    Ink(0x8C, 0x6D, 0x46, 1.0),
];
const NOBODY: Ink = Ink(0xC4, 0x1E, 0x1E, 1.0);
const NOBODY_GROUND: Ink = Ink(0xFC, 0xE3, 0xE0, 1.0);

/// A row to draw, with its totals inside the window.
struct Row<'o> {
    row: &'o OwnershipRow,
    unowned: f64,
    doubly: f64,
}

/// The chart as SVG.
pub fn ownership(outcome: &Outcome) -> String {
    let all = &outcome.series.ownership;
    let widest = all.iter().map(|r| text_width(&r.queue, SMALL)).max().unwrap_or(0);
    let left = 24 + widest.clamp(60, 220) + 10;
    let time = Time::of(outcome, left, RIGHT);

    let mut rows: Vec<Row<'_>> = all.iter().map(|row| totals(row, time)).collect();
    rows.sort_by(|a, b| a.row.group.cmp(&b.row.group).then_with(|| text::natural_cmp(&a.row.queue, &b.row.queue)));
    let left_out = keep_worst(&mut rows);

    let mut consumers: Vec<&str> = all.iter().flat_map(|r| &r.spans).flat_map(|s| &s.2).map(String::as_str).collect();
    consumers.sort_by(|a, b| text::natural_cmp(a, b));
    consumers.dedup();
    let colours: BTreeMap<&str, Ink> =
        consumers.iter().enumerate().map(|(i, name)| (*name, PALETTE[i % PALETTE.len()])).collect();
    let keys = legend(&consumers, &rows);

    let lines = legend_lines(&keys, WIDTH - left - 20).len() as i32;
    let head = Head::of(outcome, WHAT, lines, time);
    let groups: Vec<&str> = {
        let mut names: Vec<&str> = rows.iter().map(|r| r.row.group.as_str()).collect();
        names.dedup();
        names
    };
    let bar = if rows.len() <= 24 { 20 } else { 13 };
    let pitch = bar + 4;
    let top = head.height() + 6;
    let body = if rows.is_empty() { 80 } else { rows.len() as i32 * pitch + groups.len() as i32 * 22 + 4 };
    let bottom = top + body;
    let note = if left_out > 0 { 24 } else { 0 };
    let height = bottom + 50 + note;

    sheet((WIDTH as u32, height as u32), &format!("{WHAT}: {}", outcome.header.question), |c| {
        head.draw_title(outcome, WHAT, c, 24);
        draw_legend(c, &keys, &head, left, WIDTH - left - 20);
        head.draw_bands(c, time, top, bottom);
        time.draw_axis(c, top, bottom);
        if rows.is_empty() {
            c.text("no queue was ever owned", ((left + RIGHT) / 2, (top + bottom) / 2), 15, Anchor::Middle, Ink::GREY);
        } else {
            c.text("seconds", ((RIGHT + DOUBLY_X) / 2 + 8, top - 24), SMALL, Anchor::Middle, Ink::GREY);
            c.text("unowned", (UNOWNED_X, top - 8), SMALL, Anchor::Right, Ink::GREY);
            c.text("overlap", (DOUBLY_X, top - 8), SMALL, Anchor::Right, Ink::GREY);
        }
        let mut y = top + 2;
        for group in groups {
            y += 22;
            let of_group = || rows.iter().filter(|r| r.row.group == group);
            c.bold(&fitted(&format!("group {group}"), SMALL, RIGHT - 40), (24, y - 11), SMALL, Anchor::Left, Ink::BLACK);
            let (unowned, doubly): (f64, f64) = (of_group().map(|r| r.unowned).sum(), of_group().map(|r| r.doubly).sum());
            draw_total(c, UNOWNED_X, y - 11, unowned, true);
            draw_total(c, DOUBLY_X, y - 11, doubly, true);
            for r in of_group() {
                let middle = y + pitch / 2;
                c.text(&fitted(&r.row.queue, SMALL, left - 34), (left - 10, middle), SMALL, Anchor::Right, Ink::BLACK);
                draw_row(c, r.row, time, (y + 2, y + 2 + bar), &colours);
                draw_total(c, UNOWNED_X, middle, r.unowned, false);
                draw_total(c, DOUBLY_X, middle, r.doubly, false);
                y += pitch;
            }
        }
        head.draw_edges(c, time, top, bottom);
        time.draw_load_end(outcome, c, (top, bottom), top + 12);
        c.outline(left, top, RIGHT, bottom, Ink::GREY);
        head.draw_strip(c, time, top);
        if left_out > 0 {
            let what =
                format!("{} queues with the least unowned and overlapping time are not shown", text::count(left_out as i128));
            c.text(&what, (left, height - 14), SMALL, Anchor::Left, Ink::GREY);
        }
    })
}

fn totals(row: &OwnershipRow, time: Time) -> Row<'_> {
    let (mut unowned, mut doubly) = (0.0, 0.0);
    for (from, until, owners) in &row.spans {
        let length = until.min(time.until) - from.max(time.from);
        if length > 0.0 {
            match owners.len() {
                0 => unowned += length,
                1 => {}
                _ => doubly += length,
            }
        }
    }
    Row { row, unowned, doubly }
}

/// Drops the rows with the least to tell until the rest fits; says how many.
fn keep_worst(rows: &mut Vec<Row<'_>>) -> usize {
    if rows.len() <= MOST_ROWS {
        return 0;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| (rows[*b].unowned + rows[*b].doubly).total_cmp(&(rows[*a].unowned + rows[*a].doubly)).then(a.cmp(b)));
    let mut kept = vec![false; rows.len()];
    for i in &order[..MOST_ROWS] {
        kept[*i] = true;
    }
    let left_out = rows.len() - MOST_ROWS;
    let mut i = 0;
    rows.retain(|_| {
        i += 1;
        kept[i - 1]
    });
    left_out
}

fn legend(consumers: &[&str], rows: &[Row<'_>]) -> Vec<Key<'static>> {
    let mut keys = Vec::new();
    let shown = if consumers.len() <= MOST_KEYS { consumers.len() } else { MOST_KEYS - 1 };
    for (i, name) in consumers[..shown].iter().enumerate() {
        let ink = PALETTE[i % PALETTE.len()];
        keys.push(Key {
            label: fitted(name, SMALL, MOST_OF_A_LINE),
            mark: Box::new(move |c, b| c.fill(b.0, b.1, b.2, b.3, ink)),
        });
    }
    if shown < consumers.len() {
        let label = format!("and {} more, colours repeat", consumers.len() - shown);
        keys.push(Key { label, mark: Box::new(|c, b| c.outline(b.0, b.1, b.2, b.3, Ink::LINE)) });
    }
    if rows.iter().any(|r| r.unowned > 0.0) {
        keys.push(Key { label: "owned by nobody".to_owned(), mark: Box::new(draw_nobody) });
    }
    if rows.iter().any(|r| r.doubly > 0.0) {
        let mark = |c: &mut Canvas<'_>, b: (i32, i32, i32, i32)| draw_several(c, b, &[PALETTE[0], PALETTE[1]]);
        keys.push(Key { label: "owned by several".to_owned(), mark: Box::new(mark) });
    }
    keys
}

fn draw_nobody(c: &mut Canvas<'_>, b: (i32, i32, i32, i32)) {
    c.fill(b.0, b.1, b.2, b.3, NOBODY_GROUND);
    c.hatch(b, 6, NOBODY);
    c.outline(b.0, b.1, b.2, b.3, NOBODY);
}

fn draw_several(c: &mut Canvas<'_>, b: (i32, i32, i32, i32), inks: &[Ink]) {
    c.stripes(b, inks, 5);
    c.outline(b.0, b.1, b.2, b.3, Ink::BLACK);
}

fn draw_row(c: &mut Canvas<'_>, row: &OwnershipRow, time: Time, (y0, y1): (i32, i32), colours: &BTreeMap<&str, Ink>) {
    let inside = || row.spans.iter().filter(|(from, until, _)| *until > time.from && *from < time.until && until > from);
    let colour = |name: &String| colours.get(name.as_str()).copied().unwrap_or(Ink::GREY);
    for (from, until, owners) in inside().filter(|s| s.2.len() == 1) {
        let (x0, x1) = (time.x(*from), time.x(*until));
        let ink = owners.first().map_or(Ink::GREY, colour);
        c.fill(x0, y0, x1.max(x0 + 1), y1, ink);
        // The name inside the bar, for those whom the colour does not tell.
        if let Some(name) = owners.first().filter(|name| y1 - y0 >= 13 && text_width(name, 11) + 8 <= x1 - x0) {
            c.text(name, (x0 + 5, (y0 + y1) / 2), 11, Anchor::Left, ink.text_on().faint(0.85));
        }
    }
    // On top, and at least a few pixels wide: a second of trouble in an hour must show.
    for (from, until, owners) in inside().filter(|s| s.2.len() != 1) {
        let x0 = time.x(*from);
        let x1 = time.x(*until).max(x0 + 3);
        match owners.len() {
            0 => draw_nobody(c, (x0, y0, x1, y1)),
            _ => draw_several(c, (x0, y0, x1, y1), &owners.iter().map(colour).collect::<Vec<Ink>>()),
        }
    }
}

fn draw_total(c: &mut Canvas<'_>, x: i32, y: i32, seconds: f64, of_group: bool) {
    let (label, ink) = if seconds > 0.0 { (text::plain(seconds, 1), Ink::BLACK) } else { ("0".to_owned(), Ink::LINE) };
    // A tenth of a second hides what matters to an overlap of milliseconds.
    let label = if seconds > 0.0 && seconds < 0.95 { text::plain(seconds, 3) } else { label };
    if of_group {
        c.bold(&label, (x, y), SMALL, Anchor::Right, ink);
    } else {
        c.text(&label, (x, y), SMALL, Anchor::Right, ink);
    }
}

#[cfg(test)]
#[path = "gantt_tests.rs"]
mod tests;
