//! Delayed delivery: one sequential task a level, looking every 100 ms.
//!
//! `ScheduleMessageService` (4.9.8; server spec 8.1). A delayed message lies in SCHEDULE_TOPIC_XXXX, queue level - 1, until its store time plus the
//! level has come on the broker's *wall* clock; then it is put into its real topic as a new record. A level is served in order, so a
//! put that fails blocks the ones behind it. Its progress is written to disk every 10 s: a crash delivers again what came after.
//!
//! A put waits for neither flush nor slave, but in a DLedger group every put has a future, and the level's thread sits in its `get()` until a quorum has the
//! record (`DeliverDelayedMessageTimerTask#syncDeliver`): a level delivers one message a round trip of the group. A future that ends otherwise is
//! a put that failed, though its record may be committed later; the next look puts the message again, and it is there twice.

use super::ha::group::Waiter;
use super::send::Put;
use super::{Broker, Cx, Tick};
use crate::base::draw::Purpose;
use crate::base::time::MS;
use crate::rocketmq::message::Message;
use crate::rocketmq::remoting::timers::grid;

/// `DELAY_FOR_A_WHILE`, ms.
const LOOK_EVERY_MS: u64 = 100;
/// Each look begins [`LOOK_EVERY_MS`] after the end of the one before; the wait of an idle thread and the look together take about so much longer, ns. So
/// looks drift against messages that are stored in step with them: by some tens of ms in ten seconds, as they do in life. Drawn once a life.
const LATE: std::ops::Range<u64> = 100_000..300_000;
/// `FIRST_DELAY_TIME`, ms.
const FIRST_DELAY_MS: u64 = 1_000;

/// Progress of every level.
#[derive(Clone, Debug, Default)]
pub(super) struct ScheduleService {
    /// Next queue offset by level - 1.
    offsets: Vec<u64>,
    /// Deliver time of the head of each level, wall ms.
    heads: Vec<Option<i64>>,
    /// Earliest of the heads.
    next_ms: Option<i64>,
    tick_set: bool,
    /// When it last meant to look, mono ns.
    looked_at: u64,
    /// By how much its looks lie further apart than they are meant to, ns.
    late: u64,
    /// By level - 1: its thread waits for a quorum.
    blocked: Vec<bool>,
    /// How often it was started or stopped: what an earlier run waits for is nobody's.
    runs: u32,
}

/// A delivery that waits for a quorum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    level: usize,
    run: u32,
    /// The look goes on up to here: what its queue held when it began.
    upto: u64,
}

impl ScheduleService {
    pub(super) fn offsets(&self) -> &Vec<u64> {
        &self.offsets
    }
    /// When the earliest head is due, on the wall clock; `None` while a look is already planned.
    pub(super) fn next_due(&self) -> Option<i64> {
        if self.tick_set { None } else { self.next_ms }
    }
}

impl Broker {
    /// `ScheduleMessageService#load` and `#start`: offsets from disk, clamped into the queues.
    #[cold]
    pub(super) fn schedule_start(&mut self, cx: &mut Cx<'_, '_>) {
        let levels = self.levels.max_level() as usize;
        self.schedule.looked_at = self.phase + FIRST_DELAY_MS * MS;
        let spread = cx.env.draws.below(cx.env.entity, Purpose::Phase, cx.env.life as u64, LATE.end - LATE.start);
        self.schedule.late = LATE.start + spread;
        self.schedule.offsets = vec![0; levels];
        self.schedule.heads = vec![None; levels];
        self.schedule.blocked = vec![false; levels];
        self.schedule.runs += 1;
        let Some(topic) = self.topics.schedule else { return };
        for level in 1..=levels {
            let disk = &cx.env.disk.broker;
            let saved = disk.delays_file.load().and_then(|offsets| offsets.get(level - 1)).copied().unwrap_or(0);
            let range = |n: usize| (disk.queue(n).min, disk.queue(n).max());
            let (min, max) = disk.find_queue(topic, level as u16 - 1).map_or((0, 0), range);
            // `correctDelayOffset`.
            self.schedule.offsets[level - 1] = saved.max(min).min(max);
            self.look_at_head(cx, level);
        }
    }

    /// `ScheduleMessageService#persist`, where the service runs: a slave's file is what its master says.
    pub(super) fn persist_delays(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.schedule.heads.is_empty() {
            cx.env.disk.broker.persist_delays(&self.schedule.offsets, cx.now.mono);
        }
    }

    /// No master any more: nothing is delivered (`ScheduleMessageService#shutdown`).
    pub(super) fn schedule_stop(&mut self) {
        self.schedule.heads.clear();
        self.schedule.next_ms = None;
        self.schedule.runs += 1;
    }

    /// A record entered the queue of a level.
    pub(super) fn schedule_arrived(&mut self, cx: &mut Cx<'_, '_>, _number: usize, level: usize) {
        if self.schedule.heads.get(level - 1).is_some_and(|head| head.is_none()) {
            self.look_at_head(cx, level);
        }
    }

    fn look_at_head(&mut self, cx: &mut Cx<'_, '_>, level: usize) {
        let Some(topic) = self.topics.schedule else { return };
        self.pass_over_deleted(cx, level);
        let disk = &cx.env.disk.broker;
        let head = disk
            .find_queue(topic, level as u16 - 1)
            .filter(|_| !self.schedule.blocked[level - 1])
            .and_then(|n| disk.record(n, self.schedule.offsets[level - 1]))
            .map(|m| self.levels.compute_deliver_timestamp(level as i32, m.store_ms));
        self.schedule.heads[level - 1] = head;
        self.schedule.next_ms = self.schedule.heads.iter().flatten().min().copied();
    }

    /// Records whose file is deleted are passed over without a word (`DeliverDelayedMessageTimerTask#executeOnTimeup`, `lookMessageByOffset` null).
    /// They go at once here and when they fall due there: nobody can tell.
    fn pass_over_deleted(&mut self, cx: &Cx<'_, '_>, level: usize) {
        let disk = &cx.env.disk.broker;
        let Some(number) = self.topics.schedule.and_then(|topic| disk.find_queue(topic, level as u16 - 1)) else { return };
        let offset = &mut self.schedule.offsets[level - 1];
        while *offset < disk.queue(number).max() && disk.record(number, *offset).is_none() {
            *offset += 1;
        }
    }

    /// Called when a head is due (to plan the next look of its task) and at that look.
    pub(super) fn plan_delayed(&mut self, cx: &mut Cx<'_, '_>) {
        if self.schedule.tick_set || self.schedule.next_ms.is_none_or(|at| at > cx.now.wall_ms) {
            return;
        }
        self.schedule.tick_set = true;
        let at = grid(cx.now.mono + 1, self.schedule.looked_at, LOOK_EVERY_MS * MS + self.schedule.late);
        self.timers.set(at, Tick::Delay);
    }

    /// One look of every level that is due.
    #[cold]
    pub(super) fn deliver_delayed(&mut self, cx: &mut Cx<'_, '_>, nominal: u64) {
        self.schedule.tick_set = false;
        self.schedule.looked_at = nominal;
        let now_ms = cx.now.wall_ms;
        for level in 1..=self.schedule.heads.len() {
            if self.schedule.heads[level - 1].is_none_or(|at| at > now_ms) {
                // The guard against a clock that was set back: a head further off than its whole delay counts as due.
                let guard = self.schedule.heads[level - 1]
                    .is_some_and(|at| at > self.levels.compute_deliver_timestamp(level as i32, now_ms));
                if !guard {
                    continue;
                }
            }
            self.execute_on_timeup(cx, level, u64::MAX);
        }
        self.plan_delayed(cx);
    }

    /// `DeliverDelayedMessageTimerTask#executeOnTimeup`: delivers what is due, up to an offset, until something is not or blocks.
    fn execute_on_timeup(&mut self, cx: &mut Cx<'_, '_>, level: usize, upto: u64) {
        let Some(topic) = self.topics.schedule else { return };
        let now_ms = cx.now.wall_ms;
        loop {
            self.pass_over_deleted(cx, level);
            let disk = &cx.env.disk.broker;
            let offset = self.schedule.offsets[level - 1];
            let Some(number) = disk.find_queue(topic, level as u16 - 1) else { break };
            let upto = upto.min(disk.queue(number).max());
            let Some(record) = disk.record(number, offset).filter(|_| offset < upto) else { break };
            let mut due = self.levels.compute_deliver_timestamp(level as i32, record.store_ms);
            if due > self.levels.compute_deliver_timestamp(level as i32, now_ms) {
                due = now_ms;
            }
            if due > now_ms || cx.env.disk.broker.stalled {
                break;
            }
            let message = Message {
                topic: record.real_topic,
                queue_id: record.real_queue_id,
                delay_level: 0,
                flags: record.flags | Message::NO_WAIT,
                ..record
            };
            match self.put_message(cx, message) {
                Put::Ok { .. } if self.group.is_some() => {
                    self.schedule.blocked[level - 1] = true;
                    self.await_quorum(cx, Waiter::Delay(Delivery { level, run: self.schedule.runs, upto }));
                    break;
                }
                Put::Ok { .. } => self.schedule.offsets[level - 1] = offset + 1,
                // The same record again in 100 ms: the level waits behind it.
                _ => break,
            }
        }
        self.look_at_head(cx, level);
    }

    /// The future that a level's thread sat in has ended: it goes on with its look, or the next look has the same record.
    pub(super) fn delivered(&mut self, cx: &mut Cx<'_, '_>, Delivery { level, run, upto }: Delivery, stored: bool) {
        if run != self.schedule.runs {
            return;
        }
        self.schedule.blocked[level - 1] = false;
        if stored {
            self.schedule.offsets[level - 1] += 1;
            self.execute_on_timeup(cx, level, upto);
        } else {
            self.look_at_head(cx, level);
        }
    }
}
