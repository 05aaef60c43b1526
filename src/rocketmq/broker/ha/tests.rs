//! Both ends of log shipping as conversations: what a broker is told, one line each, and what it says to its peer.
//!
//! A line is `seconds what`. A slave is told `address` (a registration names its master), `connected`, `refused`, `closed`, `reset` and `bytes FROM COUNT`; a
//! master `slave` (one connects), `report OFFSET`, `put COUNT` (messages of 100 bytes) and `gone`. Whatever a broker asks of its HA connection is
//! printed; time passes on its own between the lines, up to `end`.

use crate::base::draw::Draws;
use crate::base::ids::{Addr, Entity, MessageId};
use crate::base::time::{MS, WALL_EPOCH_MS};
use crate::contract::{Conn, ConnectError, Ending, Env, Input, Now, Op, Out, Port, Role};
use crate::rocketmq::broker::{Broker, stage};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::{BatchPool, Message};
use crate::rocketmq::protocol::{Body, Frame, HaFrame};
use crate::rocketmq::settings::{BrokerRole, BrokerSettings};
use std::fmt::Write as _;
use std::sync::Arc;

struct Stage {
    broker: Broker,
    disk: NodeDisk,
    pool: BatchPool,
    now: u64,
    /// The broker's present connection to its peer.
    conn: Conn,
    log: String,
}

impl Stage {
    fn new(role: BrokerRole) -> Stage {
        let config = stage::config(BrokerSettings { broker_role: role, ..BrokerSettings::default() });
        let broker = Broker::new(Arc::new(config));
        Stage {
            broker,
            disk: NodeDisk::default(),
            pool: BatchPool::default(),
            now: 0,
            conn: Conn::accepted(0),
            log: String::new(),
        }
    }

    fn tell(&mut self, input: Input<Frame>) {
        let now = Now { mono: self.now, wall_ms: WALL_EPOCH_MS + (self.now / MS) as i64 };
        let mut out = Out::default();
        let (draws, entity) = (Draws::new(1), Entity::named("broker-a"));
        let mut env = Env { disk: &mut self.disk, pool: &mut self.pool, draws, entity, life: 1 };
        self.broker.handle(now, input, &mut env, &mut out);
        for op in out.ops {
            let said = match op {
                Op::Connect { conn, port: Port::Ha, .. } => {
                    self.conn = conn;
                    "connects".to_owned()
                }
                Op::Write { frame: Frame { body: Body::Ha(HaFrame::Report(offset)), .. }, .. } => format!("reports {offset}"),
                Op::Write { frame: Frame { body: Body::Ha(HaFrame::Transfer { from, bytes, records }), .. }, .. } => {
                    format!("sends {bytes} bytes from {from}, {} records", records.len())
                }
                Op::Close { conn } if conn == self.conn => "closes".to_owned(),
                _ => continue,
            };
            _ = writeln!(self.log, "{:.3} {said}", self.now as f64 / 1e9);
        }
    }

    /// Everything that is due up to a moment.
    fn until(&mut self, at: u64) {
        loop {
            let now = Now { mono: self.now, wall_ms: WALL_EPOCH_MS + (self.now / MS) as i64 };
            let Some(next) = self.broker.next_deadline(now).map(|d| self.now + d.in_ns(now)).filter(|next| *next <= at) else {
                break;
            };
            // A wall deadline falls on whole milliseconds; a turn takes some time.
            self.now = next.max(self.now + MS / 2);
            self.tell(Input::Wake);
        }
        self.now = at;
    }

    fn put(&mut self, count: u64) {
        let topic = self.broker.config.names.topic("T").expect("a topic");
        for _ in 0..count {
            let n = self.disk.broker.log.len() as u64;
            let message =
                Message { id: MessageId::new(0, n), queue_offset: n, phys: n * 100, body_len: 8, ..Message::blank(topic) };
            self.disk.broker.log.append(message, 100);
            self.disk.broker.log.ends.committed = self.disk.broker.log.ends.written;
        }
    }
}

fn play(role: BrokerRole, script: &str) -> String {
    let mut stage = Stage::new(role);
    stage.tell(Input::Start);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
        let at: f64 = words[0].parse().unwrap_or_else(|_| panic!("no time in \"{line}\""));
        stage.until((at * 1e3).round() as u64 * MS);
        let conn = stage.conn;
        let ha = |frame| {
            let luck = Draws::new(1).luck(Entity::named("peer"), crate::base::draw::Purpose::Request, 0);
            Input::Frame { conn, frame: Frame { opaque: 0, luck, body: Body::Ha(frame) } }
        };
        match words[1] {
            "address" => stage.broker.registered(None, Some(Addr(9))),
            "connected" => stage.tell(Input::Connected { conn }),
            "refused" => stage.tell(Input::ConnectFailed { conn, why: ConnectError::Refused }),
            "closed" | "gone" => stage.tell(Input::Closed { conn, how: Ending::Fin }),
            "reset" => stage.tell(Input::Closed { conn, how: Ending::Reset }),
            "bytes" => stage.tell(ha(HaFrame::Transfer { from: number(2), bytes: number(3) as u32, records: Vec::new() })),
            "slave" => stage.tell(Input::Accepted { conn, port: Port::Ha }),
            "report" => stage.tell(ha(HaFrame::Report(number(2)))),
            "put" => stage.put(number(2)),
            "end" => {}
            _ => panic!("cannot read \"{line}\""),
        }
    }
    stage.log
}

fn check(role: BrokerRole, script: &str, expect: &str) {
    let log = play(role, script);
    let expect: String = expect.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{l}\n")).collect();
    assert!(log == expect, "the log is\n{log}\nand was expected to be\n{expect}");
}

/// Five seconds without an address, five more of silence on the connection; then a report each five seconds, and one for all that comes.
#[test]
fn a_slave_speaks_first_and_late() {
    check(
        BrokerRole::Slave,
        "
        1 address
        5.010 connected
        12 bytes 0 1000
        12.100 bytes 1000 500
        24 end
        ",
        "
        5.000 connects
        10.011 reports 0
        12.000 reports 1000
        12.100 reports 1500
        17.101 reports 1500
        22.102 reports 1500
        ",
    );
}

/// Bytes that do not go on where the log ends break the connection, and the next attempt follows at once; a heartbeat must fit too.
#[test]
fn a_slave_takes_only_what_goes_on_where_its_log_ends() {
    check(
        BrokerRole::Slave,
        "
        1 address
        5.010 connected
        6 bytes 0 1000
        7 bytes 1200 100
        7.010 connected
        8 bytes 1000 0
        9 bytes 999 0
        10 end
        ",
        "
        5.000 connects
        6.000 reports 1000
        7.000 closes
        7.000 connects
        9.000 closes
        9.000 connects
        ",
    );
}

/// The end of the stream is tried again at once, a refusal and a reset after 5 s.
#[test]
fn a_slave_waits_after_an_exception_only() {
    check(
        BrokerRole::Slave,
        "
        1 address
        5.010 connected
        6 closed
        6.010 refused
        11.100 connected
        12 reset
        20 end
        ",
        "
        5.000 connects
        6.000 connects
        11.010 connects
        17.000 connects
        ",
    );
}

/// Nothing goes out before the first report; then pieces of 32 KiB whatever the records, and heartbeats after 5 s of silence.
#[test]
fn a_master_sends_when_it_has_been_told_where_to_begin() {
    check(
        BrokerRole::AsyncMaster,
        "
        1 put 500
        2 slave
        4.003 report 100
        9.5 end
        ",
        "
        4.010 sends 32768 bytes from 100, 327 records
        4.010 sends 17132 bytes from 32868, 172 records
        9.011 sends 0 bytes from 50000, 0 records
        ",
    );
}

/// The first report is believed whatever it says; a later one beyond the log's end closes the connection (since 4.9.3). Silence does after 20 s. The first heartbeat is due 5 s after the connection, not after the report.
#[test]
fn a_master_doubts_every_report_but_the_first() {
    check(
        BrokerRole::AsyncMaster,
        "
        1 put 10
        2 slave
        3 report 5000
        4 report 5000
        5 slave
        6 report 1000
        30 end
        ",
        "
        4.000 closes
        10.001 sends 0 bytes from 1000, 0 records
        15.002 sends 0 bytes from 1000, 0 records
        20.003 sends 0 bytes from 1000, 0 records
        25.004 sends 0 bytes from 1000, 0 records
        26.001 closes
        ",
    );
}
