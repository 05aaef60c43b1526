//! Pulls: checks, reading, holding, waking; and the offsets that ride on them.
//!
//! `PullMessageProcessor`, `DefaultMessageStore#getMessage`, `PullRequestHoldService`, `NotifyMessageArrivingListener`, `ConsumerOffsetManager`,
//! `ConsumerManageProcessor` (4.9.8; server spec 6 and 7). A pull that finds nothing is parked; it runs again when a message for its queue is
//! dispatched, or when a check every 5 s finds its 15 s over.

use super::consumers::Refusal;
use super::store::access::{GetMessageResult, GetMessageStatus, Query};
use super::{Broker, Cx, Job, Tick};
use crate::base::ids::{GroupId, MessageQueue};
use crate::contract::note::{CommitBy, Note};
use crate::rocketmq::message::Message;
use crate::rocketmq::protocol::{Answer, PullRequest, answer_code};
use std::sync::Arc;

/// A parked pull.
#[derive(Clone, Debug)]
struct Held {
    job: Job,
    since_ms: i64,
    timeout_ms: i64,
    offset: i64,
    codes: Option<Arc<[i32]>>,
}

/// `PullRequestHoldService.pullRequestTable`, by consume queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    table: Vec<Vec<Held>>,
    count: usize,
    /// Pulls between "nothing found" and the park, while a fault holds that gap open: queue and pull.
    held_up: Vec<Option<(usize, Held)>>,
}

impl Broker {
    /// PULL_MESSAGE, first run or after being woken.
    pub(super) fn pull_message(&mut self, cx: &mut Cx<'_, '_>, job: Job, pull: PullRequest) {
        let codes = match self.check_pull(cx, &pull) {
            Ok(codes) => codes,
            Err(code) => return self.respond(cx, &job, Answer::Code(code)),
        };
        let number = cx.env.disk.broker.queue_number(pull.topic, pull.queue_id as u16);
        let mut messages = cx.env.pool.take();
        let query = Query {
            queue: number,
            offset: pull.offset,
            max_msg_nums: pull.max_msg_nums as usize,
            codes: codes.as_deref(),
            overflow_badly_restarts_at_zero: self.config.rules.overflow_badly_restarts_at_zero,
        };
        let names = &self.config.names;
        let size_of = |m: &Message| m.record_size(names.topic_name(m.topic).len());
        let got = cx.env.disk.broker.get(query, &self.config.settings, size_of, &mut messages);
        let GetMessageResult { status, next_begin_offset, min_offset: min, max_offset: max, suggest_slave, .. } = got;
        let slave = !self.writable();
        let s = &self.config.settings;
        // `nextOffsetCorrection`: a slave lets an offset stand that it cannot serve.
        let corrects = !slave || s.offset_check_in_slave;
        let read_on =
            matches!(status, GetMessageStatus::Found | GetMessageStatus::NoMatchedMessage | GetMessageStatus::MessageWasRemoving);
        let next_begin = if corrects || read_on { next_begin_offset } else { pull.offset.max(0) as u64 };
        // `SubscriptionGroupConfig.whichBrokerWhenConsumeSlowly` is 1 unless an operator changed it, `brokerId` 0.
        let suggest_broker_id = (s.slave_read_enable && suggest_slave) as u64;
        if job.may_suspend
            && !slave
            && let Some(offset) = pull.commit_offset
        {
            let queue = self.queue_of(pull.topic, pull.queue_id as u16);
            self.commit_offset(cx, pull.group, queue, offset, CommitBy::Pull);
        }
        let code = match status {
            GetMessageStatus::Found => answer_code::SUCCESS,
            GetMessageStatus::NoMatchedMessage | GetMessageStatus::MessageWasRemoving => answer_code::PULL_RETRY_IMMEDIATELY,
            GetMessageStatus::NoMessageInQueue if pull.offset != 0 => answer_code::PULL_OFFSET_MOVED,
            GetMessageStatus::NoMessageInQueue | GetMessageStatus::OffsetOverflowOne => answer_code::PULL_NOT_FOUND,
            GetMessageStatus::OffsetOverflowBadly | GetMessageStatus::OffsetTooSmall => answer_code::PULL_OFFSET_MOVED,
        };
        let code = match code {
            answer_code::PULL_OFFSET_MOVED if !corrects => answer_code::PULL_RETRY_IMMEDIATELY,
            code => code,
        };
        if code == answer_code::PULL_NOT_FOUND && job.may_suspend && pull.suspend_timeout_ms > 0 {
            cx.env.pool.give(messages);
            let s = &self.config.settings;
            let timeout_ms =
                if s.long_polling_enable { pull.suspend_timeout_ms as i64 } else { s.short_polling_time_mills as i64 };
            let held = Held { job, since_ms: cx.now.wall_ms, timeout_ms, offset: pull.offset, codes };
            if self.pull_suspend_pause > 0 {
                self.holds.held_up.push(Some((number, held)));
                let waiting = self.holds.held_up.len() as u32 - 1;
                return self.timers.set(cx.now.mono + self.pull_suspend_pause, Tick::Park(waiting));
            }
            return self.park(cx, number, held);
        }
        self.respond(cx, &job, Answer::Pulled { code, next_begin, min, max, suggest_broker_id, messages });
    }

    /// The checks of server spec 6.1, in order.
    fn check_pull(&mut self, cx: &Cx<'_, '_>, pull: &PullRequest) -> Result<Option<Arc<[i32]>>, u16> {
        const READ: u8 = 4;
        if self.config.settings.broker_permission as u8 & READ == 0 {
            return Err(answer_code::NO_PERMISSION);
        }
        if !self.consumers.is_known(pull.group) && !self.config.settings.auto_create_subscription_group {
            return Err(answer_code::SUBSCRIPTION_GROUP_NOT_EXIST);
        }
        let Some(config) = cx.env.disk.broker.topics.get(&pull.topic) else { return Err(answer_code::TOPIC_NOT_EXIST) };
        if config.perm & READ == 0 {
            return Err(answer_code::NO_PERMISSION);
        }
        if pull.queue_id < 0 || pull.queue_id >= config.read as i32 {
            return Err(answer_code::SYSTEM_ERROR);
        }
        self.consumers.subscription(pull.group, pull.topic, pull.sub_version).map_err(|refusal| match refusal {
            Refusal::GroupUnknown | Refusal::NotSubscribed => answer_code::SUBSCRIPTION_NOT_EXIST,
            Refusal::NotLatest => answer_code::SUBSCRIPTION_NOT_LATEST,
        })
    }

    // ---- holding

    fn park(&mut self, cx: &mut Cx<'_, '_>, number: usize, held: Held) {
        if self.holds.table.len() <= number {
            self.holds.table.resize_with(number + 1, Vec::new);
        }
        self.holds.table[number].push(held);
        self.holds.count += 1;
        self.plan_hold_check(cx);
    }

    /// A pull whose way to the park was held up arrives there; what was dispatched meanwhile found nobody.
    #[cold]
    pub(super) fn park_held_up(&mut self, cx: &mut Cx<'_, '_>, waiting: u32) {
        if let Some((number, held)) = self.holds.held_up.get_mut(waiting as usize).and_then(Option::take) {
            self.park(cx, number, held);
        }
    }

    fn plan_hold_check(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.hold_check_set && self.holds.count > 0 {
            self.hold_check_set = true;
            let period = if self.config.settings.long_polling_enable {
                5_000
            } else {
                self.config.settings.short_polling_time_mills.max(1)
            };
            self.timers.set(self.grid(cx.now, period), Tick::HoldCheck);
        }
    }

    /// `PullRequestHoldService#checkHoldRequest`.
    #[cold]
    pub(super) fn check_holds(&mut self, cx: &mut Cx<'_, '_>) {
        for number in 0..self.holds.table.len() {
            if !self.holds.table[number].is_empty() {
                let max = cx.env.disk.broker.queue(number).max();
                self.wake_holds(cx, number, max, None);
            }
        }
        self.plan_hold_check(cx);
    }

    /// `PullRequestHoldService#notifyMessageArriving`.
    pub(super) fn message_arriving(&mut self, cx: &mut Cx<'_, '_>, number: usize, max_offset: u64, tag_code: i32) {
        if self.holds.table.get(number).is_some_and(|held| !held.is_empty()) && self.config.settings.long_polling_enable {
            self.wake_holds(cx, number, max_offset, Some(tag_code));
        }
    }

    fn wake_holds(&mut self, cx: &mut Cx<'_, '_>, number: usize, max_offset: u64, tag_code: Option<i32>) {
        let now_ms = cx.now.wall_ms;
        let held = std::mem::take(&mut self.holds.table[number]);
        let mut parked = Vec::new();
        for pull in held {
            let newest = if max_offset as i64 > pull.offset { max_offset } else { cx.env.disk.broker.queue(number).max() };
            let matches = tag_code.is_none_or(|tag| pull.codes.as_ref().is_none_or(|codes| codes.contains(&tag)));
            if (newest as i64 > pull.offset && matches) || now_ms >= pull.since_ms + pull.timeout_ms {
                self.holds.count -= 1;
                let mut job = pull.job;
                job.may_suspend = false;
                // A dead channel's pull is worked off like any other; its answer goes nowhere.
                self.offer(cx, job);
            } else {
                parked.push(pull);
            }
        }
        if self.holds.table[number].is_empty() {
            self.holds.table[number] = parked;
        } else {
            self.holds.table[number].extend(parked);
        }
    }

    // ---- offsets

    /// `ConsumerOffsetManager#commitOffset`: overwrites, whoever asks and whatever was there.
    pub(super) fn commit_offset(&mut self, cx: &mut Cx<'_, '_>, group: GroupId, queue: MessageQueue, offset: u64, by: CommitBy) {
        let number = cx.env.disk.broker.queue_number(queue.topic, queue.queue_id as u16);
        let fenced = !self.config.rules.commit_is_unfenced;
        if fenced && self.offsets.get(group, number).is_some_and(|known| known > offset) {
            return;
        }
        if self.offsets.set(group, number, offset) {
            cx.out.note(Note::Committed { group, queue, offset, by });
            self.offsets_changed(cx.now);
        }
    }

    /// `ConsumerManageProcessor#queryConsumerOffset`: an unknown offset of a young queue is 0.
    #[inline(never)]
    pub(super) fn query_offset(&mut self, cx: &mut Cx<'_, '_>, group: GroupId, queue: MessageQueue) -> Answer {
        let disk = &cx.env.disk.broker;
        let number = disk.find_queue(queue.topic, queue.queue_id as u16);
        if let Some(stored) = number.and_then(|n| self.offsets.get(group, n)) {
            return Answer::Offset(stored);
        }
        let s = &self.config.settings;
        let memory = s.physical_memory / 100 * s.access_message_in_memory_max_ratio;
        let young = number.is_none_or(|n| {
            let queue = disk.queue(n);
            // `checkInDiskByConsumeOffset` asks the consume queue for the place of its first record, which may be deleted: then it lay before what is left.
            let first = || disk.record(n, 0).map_or_else(|| disk.log.min_phys(), |first| first.phys);
            queue.min == 0 && (queue.max() == 0 || disk.log.ends.committed - first() <= memory)
        });
        if young { Answer::Offset(0) } else { Answer::Code(answer_code::QUERY_NOT_FOUND) }
    }

    /// GET_MAX_OFFSET: what consumers can see, not what will be assigned next.
    pub(super) fn max_offset(&self, cx: &Cx<'_, '_>, queue: MessageQueue) -> u64 {
        let disk = &cx.env.disk.broker;
        disk.find_queue(queue.topic, queue.queue_id as u16).map_or(0, |n| disk.queue(n).max())
    }

    /// SEARCH_OFFSET_BY_TIMESTAMP (`ConsumeQueue#getOffsetInQueueByTime`): exact, else the nearer neighbour, the left one at a tie.
    pub(super) fn search_offset(&self, cx: &Cx<'_, '_>, queue: MessageQueue, timestamp_ms: i64) -> u64 {
        let disk = &cx.env.disk.broker;
        let Some(number) = disk.find_queue(queue.topic, queue.queue_id as u16) else { return 0 };
        let (mut low, mut high) = (disk.queue(number).min, disk.queue(number).max());
        if low == high {
            return 0;
        }
        // What is deleted counts as older than everything.
        let store_ms = |offset: u64| disk.record(number, offset).map_or(i64::MIN, |m| m.store_ms);
        let (first, last) = (low, high - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if store_ms(middle) < timestamp_ms { low = middle + 1 } else { high = middle }
        }
        if low > last {
            return last;
        }
        if low == first || store_ms(low) == timestamp_ms {
            return low;
        }
        if timestamp_ms.saturating_sub(store_ms(low - 1)) <= store_ms(low).saturating_sub(timestamp_ms) { low - 1 } else { low }
    }
}
