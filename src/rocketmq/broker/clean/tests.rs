//! The cleaning of a broker as conversations: what happens to its disk and clock, one line each, and what it deletes.
//!
//! A line is `seconds what`: `put COUNT` or `put COUNT QUEUE` (messages of 100 bytes, nine to a log file), `full PERCENT` (others fill the partition), `free` (they leave it), `step HOURS` (the
//! wall clock is set), `restart` and `end`. The day begins at midnight; time passes on its own between the lines. Printed is each file that goes, with where
//! the log begins then, the minimum of queue 0 when it moves, and the flag of a full disk.

use crate::base::draw::Draws;
use crate::base::ids::{Entity, MessageId};
use crate::base::time::{MS, WALL_EPOCH_MS};
use crate::contract::note::Note;
use crate::contract::{Env, Input, Now, Out, Role};
use crate::rocketmq::broker::store::files::Partition;
use crate::rocketmq::broker::{Broker, BrokerConfig, stage};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::{BatchPool, Message};
use crate::rocketmq::settings::{BrokerRole, BrokerSettings};
use std::fmt::Write as _;
use std::sync::Arc;

struct Stage {
    config: Arc<BrokerConfig>,
    broker: Broker,
    disk: NodeDisk,
    pool: BatchPool,
    now: u64,
    step_ms: i64,
    next_offsets: Vec<u64>,
    min: u64,
    log: String,
}

impl Stage {
    fn new(settings: BrokerSettings) -> Stage {
        let config = Arc::new(stage::config(BrokerSettings { mapped_file_size_commit_log: 1_000, ..settings }));
        let broker = Broker::new(config.clone());
        let (disk, pool, log) = (NodeDisk::default(), BatchPool::default(), String::new());
        Stage { config, broker, disk, pool, now: 0, step_ms: 0, next_offsets: Vec::new(), min: 0, log }
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, wall_ms: WALL_EPOCH_MS + (self.now / MS) as i64 + self.step_ms }
    }

    fn tell(&mut self, input: Input<crate::rocketmq::protocol::Frame>) {
        let now = self.clock();
        let mut out = Out::default();
        let (draws, entity) = (Draws::new(1), Entity::named("broker-a"));
        let mut env = Env { disk: &mut self.disk, pool: &mut self.pool, draws, entity, life: 1 };
        self.broker.handle(now, input, &mut env, &mut out);
        let at = self.now as f64 / 1e9;
        for note in out.notes {
            let said = match note {
                Note::FileDeleted { upto, expired: true } => format!("expired up to {upto}"),
                Note::FileDeleted { upto, expired: false } => format!("deleted up to {upto}"),
                Note::Expired { below, .. } => format!("queue lost what is below {below}"),
                Note::DiskFull { on: true } => "disk full".to_owned(),
                Note::DiskFull { on: false } => "disk ok".to_owned(),
                _ => continue,
            };
            _ = writeln!(self.log, "{at:.1} {said}");
        }
        let min = self.disk.broker.queues().iter().find(|q| q.queue_id == 0).map_or(0, |q| q.min);
        if min > std::mem::replace(&mut self.min, min) {
            _ = writeln!(self.log, "{at:.1} minimum {min}");
        }
    }

    fn until(&mut self, at: u64) {
        loop {
            let now = self.clock();
            let Some(next) = self.broker.next_deadline(now).map(|d| self.now + d.in_ns(now)).filter(|next| *next <= at) else {
                break;
            };
            self.now = next.max(self.now + MS / 2);
            self.tell(Input::Wake);
        }
        self.now = at;
    }

    fn put(&mut self, count: u64, queue_id: u16) {
        let topic = self.config.names.topic("T").expect("a topic");
        for _ in 0..count {
            let id = MessageId::new(0, self.disk.broker.log.len() as u64);
            let mut message = Message { id, store_ms: self.clock().wall_ms, body_len: 8, queue_id, ..Message::blank(topic) };
            let disk = &mut self.disk.broker;
            disk.put(&mut message, 1, &self.config.settings, &mut self.next_offsets);
            disk.log.ends.committed = disk.log.ends.written;
            while disk.dispatch_next(u64::MAX).is_some() {}
        }
        let now = self.clock();
        let (draws, entity) = (Draws::new(1), Entity::named("broker-a"));
        let mut env = Env { disk: &mut self.disk, pool: &mut self.pool, draws, entity, life: 1 };
        let mut out = Out::default();
        self.broker.file_rolled(&super::Cx { now, env: &mut env, out: &mut out });
    }
}

fn play(settings: BrokerSettings, partition: Partition, script: &str) -> String {
    run(settings, partition, script).log
}

fn run(settings: BrokerSettings, partition: Partition, script: &str) -> Stage {
    let mut stage = Stage::new(settings);
    stage.disk.broker.partition = partition;
    stage.tell(Input::Start);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words.get(i).and_then(|w| w.parse::<i64>().ok()).unwrap_or(0);
        let at: f64 = words[0].parse().unwrap_or_else(|_| panic!("no time in \"{line}\""));
        stage.until((at * 1e3).round() as u64 * MS);
        let disk = &mut stage.disk.broker;
        match words[1] {
            "put" => stage.put(number(2) as u64, number(3) as u16),
            "full" => _ = disk.partition.fill(disk.stored_bytes(), number(2) as u64),
            "free" => disk.partition.others = 0,
            "step" => stage.step_ms += number(2) * 3_600_000,
            "restart" => {
                stage.broker = Broker::new(stage.config.clone());
                stage.tell(Input::Start);
            }
            "end" => {}
            _ => panic!("cannot read \"{line}\""),
        }
    }
    stage
}

fn check(settings: BrokerSettings, size: u64, script: &str, expect: &str) {
    let log = play(settings, Partition { size, others: 0 }, script);
    let expect: String = expect.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{l}\n")).collect();
    assert!(log == expect, "the log is\n{log}\nand was expected to be\n{expect}");
}

fn reserved(hours: u64) -> BrokerSettings {
    BrokerSettings { file_reserved_time: hours, ..BrokerSettings::default() }
}

/// A file is as old as the blank at its end; what expires before the hour waits for it, what expires in it goes with the next pass. The last file stays.
#[test]
fn expired_files_go_in_the_hour_of_deletion() {
    check(
        reserved(1),
        0,
        "
        10 put 9
        5000 put 9
        11000 put 9
        30000 end
        ",
        "
        14410.0 expired up to 1000
        14410.0 queue lost what is below 9
        14410.1 minimum 9
        14610.0 expired up to 2000
        14610.0 queue lost what is below 18
        14610.0 minimum 18
        ",
    );
}

/// The hour is the broker's own: a clock that is set forward makes every file old at once, one that is set back makes none young again.
#[test]
fn a_step_of_the_clock_moves_the_hour_and_the_age() {
    let script = |step: i64| format!("10 put 20\n95 step {step}\n400 end");
    let expect = "
        100.0 expired up to 1000
        100.0 queue lost what is below 9
        100.1 expired up to 2000
        100.1 queue lost what is below 18
        100.1 minimum 18
        ";
    // Four days on, at midnight; and at four.
    check(reserved(72), 0, &script(96), "");
    check(reserved(72), 0, &script(100), expect);
    check(reserved(72), 0, &script(-20), "");
}

/// Ten files a pass, a tenth of a second apart, and the consume queues when the pass is over.
#[test]
fn a_pass_deletes_ten_files() {
    let all = BrokerSettings { delete_when: "00".into(), ..reserved(0) };
    let log = play(all, Partition::default(), "10 put 200\n100 end");
    let at: Vec<&str> = log.lines().filter_map(|l| l.split_once(" expired up to")).map(|l| l.0).collect();
    let first = ["60.0", "60.1", "60.2", "60.3", "60.4", "60.5", "60.6", "60.7", "60.8", "60.9"];
    assert_eq!(at[..10], first);
    assert_eq!(at[10..], ["70.0", "70.1", "70.2", "70.3", "70.4", "70.5", "70.6", "70.7", "70.8", "70.9", "80.0", "80.1"]);
    let minimum: Vec<&str> = log.lines().filter(|l| l.contains("minimum")).collect();
    assert_eq!(minimum, ["60.9 minimum 90", "70.9 minimum 180", "80.1 minimum 198"]);
}

/// Above 75 % expired files go at any hour; above 85 % any file does, until there is room.
#[test]
fn room_is_made_when_it_is_wanted() {
    let script = "10 put 40\n70 full 76\n85 full 86\n120 end";
    check(
        reserved(72),
        1_000_000,
        script,
        "90.0 deleted up to 1000\n90.0 queue lost what is below 9\n90.1 deleted up to 2000\n90.1 queue lost what is below 18\n90.2 deleted up to 3000\n90.2 queue lost what is below 27\n90.3 deleted up to 4000\n90.3 queue lost what is below 36\n90.3 minimum 36",
    );
    let kept = BrokerSettings { clean_file_forcibly_enable: false, ..reserved(72) };
    check(kept, 1_000_000, script, "");
    check(
        reserved(0),
        1_000_000,
        "10 put 18\n70 full 76\n90 end",
        "80.0 expired up to 1000\n80.0 queue lost what is below 9\n80.0 minimum 9",
    );
}

/// Set above 90 %, on 85 % off again, unchanged between; a restart forgets it for a minute.
#[test]
fn the_flag_has_two_marks() {
    let script = "
        10 put 9
        65 full 91
        95 free
        96 full 87
        125 free
        145 full 95
        155 restart
        300 free
        320 end
        ";
    check(reserved(72), 1_000_000, script, "70.0 disk full\n130.0 disk ok\n150.0 disk full\n215.0 disk full\n305.0 disk ok");
}

/// Killed between the log and the consume queues: the start corrects the minimum, the first pass deletes what is left to delete.
#[test]
fn a_start_corrects_the_minimum() {
    let cut = "10 put 40\n85 full 86\n90.15 restart\n";
    let told = "90.0 deleted up to 1000\n90.0 queue lost what is below 9\n90.1 deleted up to 2000\n90.1 queue lost what is below 18\n90.2 minimum 18\n";
    check(reserved(72), 1_000_000, &format!("{cut}91 free\n200 end"), told);
    let small = BrokerSettings { mapped_file_size_consume_queue: 200, ..reserved(72) };
    let mut stage = run(small, Partition { size: 1_000_000, others: 0 }, &format!("{cut}91 free\n150 end"));
    assert_eq!(stage.disk.broker.stored_bytes(), 3_000 - 600 + 40 * 20, "nothing of the consume queue is deleted yet");
    stage.until(155_000 * MS);
    assert_eq!(stage.disk.broker.stored_bytes(), 3_000 - 600 + 30 * 20);
}

/// Killed between two consume queues: nothing expires any more, and the first pass of the next life finishes the work all the same.
#[test]
fn a_pass_that_was_cut_off_is_finished() {
    let settings = BrokerSettings { mapped_file_size_consume_queue: 200, delete_when: "00".into(), ..reserved(0) };
    let mut stage = run(settings, Partition::default(), "10 put 20 0\n11 put 20 1\n60.35 restart\n119 end");
    assert_eq!(stage.disk.broker.stored_bytes(), 400 + (10 + 20) * 20, "the second queue was not reached");
    stage.until(121_000 * MS);
    assert_eq!(stage.disk.broker.stored_bytes(), 400 + (10 + 10) * 20);
}

/// A slave cleans by its own clock; what it deletes costs nobody a message, and its flag stops nothing.
#[test]
fn a_slave_cleans_for_itself() {
    let slave = BrokerSettings { broker_role: BrokerRole::Slave, ..reserved(72) };
    check(slave, 1_000_000, "10 put 18\n65 full 95\n90 end", "70.0 deleted up to 1000\n70.0 minimum 9");
}
