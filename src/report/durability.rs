//! The answer of `windtunnel durability`: a matrix, the rules behind it, and what the losses had been.

use super::json::Json;
use super::text::{self, Align, columns, count};
use crate::explore::durability::{Cell, Matrix, Mode, Strike};
use crate::run::outcome::Verdict;
use std::collections::BTreeMap;

/// The number of the JSON format: additions keep it, renames raise it.
const FORMAT: u64 = 1;
/// Width of a rule, in characters.
const WIDTH: usize = 106;

/// Pass when every cell agrees with its rule.
pub fn verdict(matrix: &Matrix) -> Verdict {
    let cells = || matrix.cells.iter().map(Cell::agrees);
    if cells().any(|a| a == Some(false)) && !matrix.interrupted {
        Verdict::Fail
    } else if matrix.interrupted || cells().any(|a| a.is_none()) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    }
}

/// "0", or "12 to 251".
pub(super) fn range(cell: &Cell) -> String {
    match (cell.gone.is_empty(), cell.fewest(), cell.most()) {
        (true, ..) => "not run".to_owned(),
        (false, low, high) if low == high => count(high),
        (false, low, high) => format!("{} to {}", count(low), count(high)),
    }
}

fn cell(matrix: &Matrix, mode: Mode, strike: Strike) -> Option<&Cell> {
    matrix.cells.iter().find(|c| c.mode == mode && c.strike == strike)
}

/// The answer for people.
pub fn render(matrix: &Matrix) -> String {
    let load = matrix.load;
    let mut out = format!(
        "{}  messages answered SEND_OK that are gone; {} messages/s of {} bytes, seeds {}: fewest to most\n",
        text::verdict(verdict(matrix)),
        count(load.rate),
        count(load.size),
        matrix.seeds
    );
    if matrix.interrupted {
        out += "stopped from outside: some seeds were not run\n";
    }
    let mut rows =
        vec![std::iter::once(String::new()).chain(Strike::ALL.iter().map(|s| s.name().to_owned())).collect::<Vec<_>>()];
    let mut notes: Vec<(&'static str, u64, Vec<String>)> = Vec::new();
    for mode in Mode::ALL {
        let mut row = vec![mode.name()];
        for strike in Strike::ALL {
            let Some(cell) = cell(matrix, mode, strike) else { continue };
            let mark = match cell.agrees() {
                Some(false) => " (!)",
                _ if cell.diverged > 0 => " *",
                _ => "",
            };
            row.push(format!("{}{mark}", range(cell)));
            let place = format!("{}: {}", mode.name(), strike.name());
            match notes.iter_mut().find(|n| n.0 == cell.allowed.rule && n.1 == cell.allowed.most) {
                Some(note) => note.2.push(place),
                None => notes.push((cell.allowed.rule, cell.allowed.most, vec![place])),
            }
        }
        rows.push(row);
    }
    out.push('\n');
    for line in columns("  ", &[Align::Left, Align::Right, Align::Right, Align::Right, Align::Right], &rows) {
        out += &format!("{}\n", line.trim_end());
    }
    if matrix.cells.iter().any(|c| c.diverged > 0) {
        let (some, of) = (matrix.cells.iter().map(|c| c.diverged).sum::<usize>(), matrix.cells.iter().filter(|c| c.diverged > 0));
        let of: usize = of.map(|c| c.gone.len()).sum();
        out += &format!(
            "\n  * in {} of {} runs the copies disagreed afterwards: one host has what the other has lost, and nothing in 4.x mends that\n",
            count(some as u64),
            count(of as u64)
        );
    }
    out += "\nwhy, and how many the rules allow\n";
    for (rule, most, places) in &notes {
        let allowed = if *most == 0 { "none".to_owned() } else { format!("at most {}", count(*most)) };
        for (n, line) in text::wrap(&format!("{allowed}: {rule}  [{}]", places.join("; ")), WIDTH).into_iter().enumerate() {
            out += &format!("  {}{line}\n", if n == 0 { "" } else { "  " });
        }
    }
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for (state, n) in matrix.cells.iter().flat_map(|c| &c.by_state) {
        *states.entry(state).or_default() += n;
    }
    if !states.is_empty() {
        let list: Vec<String> = states.iter().map(|(state, n)| format!("{state} {}", count(*n))).collect();
        out += &format!("\nthe best that was ever true of what is gone, all runs together\n  {}\n", list.join(" · "));
    }
    out
}

/// The same as data.
pub fn json(matrix: &Matrix) -> String {
    let one = |c: &Cell| {
        Json::object([
            ("flushDiskType", Json::s(c.mode.flush_disk_type())),
            ("transientStorePoolEnable", Json::B(c.mode.pool)),
            ("brokerRole", Json::s(c.mode.broker_role())),
            ("fault", Json::s(c.strike.name())),
            ("gone_fewest", Json::U(c.fewest())),
            ("gone_most", Json::U(c.most())),
            ("gone_by_seed_ascending", Json::A(c.gone.iter().map(|n| Json::U(*n)).collect())),
            ("gone_by_state", Json::O(c.by_state.iter().map(|(s, n)| (s.clone(), Json::U(*n))).collect())),
            ("answered_send_ok", Json::U(c.answered)),
            ("allowed", Json::U(c.allowed.most)),
            ("rule", Json::s(c.allowed.rule)),
            ("agrees", c.agrees().map_or(Json::Null, Json::B)),
            ("slave_diverged_in_seeds", Json::U(c.diverged as u64)),
        ])
    };
    let top = Json::object([
        ("format", Json::U(FORMAT)),
        ("seeds", Json::S(matrix.seeds.to_string())),
        ("rate_per_s", Json::U(matrix.load.rate)),
        ("size_bytes", Json::U(matrix.load.size)),
        ("verdict", super::json::verdict(verdict(matrix))),
        ("interrupted", Json::B(matrix.interrupted)),
        ("cells", Json::A(matrix.cells.iter().map(one).collect())),
    ]);
    let mut out = String::new();
    top.write(&mut out, 0, true);
    out.push('\n');
    out
}
