//! The durability matrix as a picture: one box a setting and fault, the darker the more is gone, with the rule's bound beside what was measured.

use super::canvas::{Anchor, Ink, fitted, sheet};
use crate::explore::durability::{Cell, Matrix, Mode, Strike};
use crate::report::durability::range;
use crate::report::text::count;

const LEFT: i32 = 318;
const TOP: i32 = 96;
const BOX: (i32, i32) = (205, 58);
const SAFE: Ink = Ink(0xD8, 0xEB, 0xDD, 1.0);
const GONE: Ink = Ink(0xB2, 0x2B, 0x2B, 1.0);

/// Green for nothing, and from a light to a full red by the share of the worst cell; whole numbers only.
fn colour(most: u64, worst: u64) -> Ink {
    if most == 0 {
        return SAFE;
    }
    let mix = |full: u8| (0xF6 - (0xF6 - u64::from(full)) * (worst + 3 * most) / (4 * worst.max(1))) as u8;
    Ink(mix(GONE.0), mix(GONE.1), mix(GONE.2), 1.0)
}

/// The chart as SVG.
pub fn durability(matrix: &Matrix) -> String {
    let (width, height) = (LEFT + 4 * BOX.0 + 24, TOP + Mode::ALL.len() as i32 * BOX.1 + 64);
    let title = "What is gone of what was answered SEND_OK";
    let worst = matrix.cells.iter().map(Cell::most).max().unwrap_or(0);
    sheet((width as u32, height as u32), title, |c| {
        c.bold(title, (16, 30), 17, Anchor::Left, Ink::BLACK);
        let load = matrix.load;
        let about = format!(
            "messages, fewest to most over seeds {}, at {} messages/s of {} bytes; below: the most that RocketMQ's rules allow",
            matrix.seeds,
            count(load.rate),
            count(load.size)
        );
        c.text(&about, (16, 52), 12, Anchor::Left, Ink::GREY);
        for (k, strike) in Strike::ALL.iter().enumerate() {
            let x = LEFT + k as i32 * BOX.0 + BOX.0 / 2;
            c.bold(strike.name(), (x, TOP - 8), 13, Anchor::Middle, Ink::BLACK);
        }
        for (r, mode) in Mode::ALL.iter().enumerate() {
            let y = TOP + r as i32 * BOX.1;
            c.text(&fitted(&mode.name(), 13, LEFT - 24), (LEFT - 12, y + BOX.1 / 2 + 5), 13, Anchor::Right, Ink::BLACK);
            for (k, strike) in Strike::ALL.iter().enumerate() {
                let Some(cell) = matrix.cells.iter().find(|c| c.mode == *mode && c.strike == *strike) else { continue };
                let x = LEFT + k as i32 * BOX.0;
                let ink = colour(cell.most(), worst);
                c.fill(x + 2, y + 2, x + BOX.0 - 2, y + BOX.1 - 2, ink);
                let mark = if cell.diverged > 0 { " *" } else { "" };
                c.bold(&format!("{}{mark}", range(cell)), (x + BOX.0 / 2, y + 27), 16, Anchor::Middle, ink.text_on());
                let rule = match (cell.agrees(), cell.allowed.most) {
                    (Some(false), most) => format!("breaks the rule: at most {}", count(most)),
                    (_, 0) => "allowed: none".to_owned(),
                    (_, most) => format!("allowed: {}", count(most)),
                };
                c.text(&rule, (x + BOX.0 / 2, y + 46), 11, Anchor::Middle, ink.text_on());
            }
        }
        if matrix.cells.iter().any(|c| c.diverged > 0) {
            let y = TOP + Mode::ALL.len() as i32 * BOX.1 + 18;
            let note = "* the copies disagreed afterwards: one host has what the other has lost, and nothing in 4.x mends that";
            c.text(note, (16, y + 12), 12, Anchor::Left, Ink::GREY);
        }
    })
}
