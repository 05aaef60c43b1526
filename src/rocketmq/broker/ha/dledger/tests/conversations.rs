//! Conversations as text: what is done to a group, one line each, and what its members then do.
//!
//! A line is `seconds verb arguments`. Verbs: `start [n..]`, `kill n`, `power n` (its host loses power), `append n [count]`, `part n..` (cuts these off from the
//! others, both ways), `cut a b` (one way), `heal`, `fsync never`. The log shows changes of role, acknowledgements, committed indexes and
//! dropped entries. All links take 1 ms; draws hang on the seed 1.

use super::harness::Cluster;
use crate::base::time::MS;

/// Plays a script and gives the log back.
pub(super) fn play(members: usize, script: &str) -> String {
    let mut cluster = Cluster::new(members, 1);
    cluster.log = Some(String::new());
    play_on(&mut cluster, script);
    assert!(cluster.safety.violations.is_empty(), "{:?}", cluster.safety.violations);
    cluster.log.take().unwrap_or_default()
}

pub(super) fn play_on(cluster: &mut Cluster, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at: f64 = words[0].parse().unwrap_or_else(|_| panic!("no time in \"{line}\""));
        cluster.run_until((at * 1e3).round() as u64 * MS);
        let ids: Vec<usize> = words[2..].iter().filter_map(|w| w.strip_prefix('n')?.parse().ok()).collect();
        match (words[1], &ids[..]) {
            ("start", []) => cluster.start_all(),
            ("start", ids) => ids.iter().for_each(|&i| cluster.start(i)),
            ("kill", ids) => ids.iter().for_each(|&i| cluster.kill(i)),
            ("power", ids) => ids.iter().for_each(|&i| cluster.power_off(i)),
            ("append", &[i]) => {
                let count = words.get(3).and_then(|w| w.parse().ok()).unwrap_or(1);
                for _ in 0..count {
                    if let Err(code) = cluster.append(i) {
                        cluster.say(i, &format!("refuses: {code:?}"));
                    }
                }
            }
            ("part", ids) => cluster.part(ids),
            ("cut", &[a, b]) => cluster.set_cut(a, b, true),
            ("heal", _) => cluster.heal(),
            ("fsync", _) => cluster.weather.fsync = u64::MAX,
            ("end", _) => {}
            _ => panic!("cannot read \"{line}\""),
        }
    }
}

fn check(members: usize, script: &str, expect: &str) {
    let log = play(members, script);
    let trimmed: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let expect = trimmed.join("\n") + "\n";
    assert!(log == expect, "the log is\n{log}\nand was expected to be\n{expect}");
}

#[test]
fn a_fresh_group_elects_its_first_leader_at_term_0() {
    check(3, "0 start\n 3 append n0 3\n 6 end", "");
}
