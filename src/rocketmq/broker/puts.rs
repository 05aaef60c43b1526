//! Puts that are appended and not answered yet.
//!
//! `CommitLog#asyncPutMessage` joins two futures, the flush and the replication (4.9.8; server spec 3.6): the answer goes out when both are over, and where both failed
//! it tells of the replication.

use super::{Broker, Cx, Job};
use crate::rocketmq::protocol::{Answer, answer_code};

/// What a put may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Flush,
    Replica,
}

/// Statuses of a message that is stored all the same.
const STORED: [u16; 3] = [answer_code::FLUSH_DISK_TIMEOUT, answer_code::FLUSH_SLAVE_TIMEOUT, answer_code::SLAVE_NOT_AVAILABLE];

#[derive(Clone, Debug)]
struct Pending {
    job: Job,
    answer: Answer,
    open: u8,
    flush: u16,
    replica: u16,
}

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Puts {
    table: Vec<Option<Pending>>,
    free: Vec<u32>,
}

impl Broker {
    /// Keeps the answer to a put until `parts` of it are settled.
    pub(super) fn keep_put(&mut self, job: Job, answer: Answer, parts: u8, replica: u16) -> u32 {
        let pending = Pending { job, answer, open: parts, flush: answer_code::SUCCESS, replica };
        match self.puts.free.pop() {
            Some(number) => {
                self.puts.table[number as usize] = Some(pending);
                number
            }
            None => {
                self.puts.table.push(Some(pending));
                self.puts.table.len() as u32 - 1
            }
        }
    }

    /// One part is over; with the last one the answer goes out.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_, '_>, number: u32, part: Part, status: u16) {
        let Some(slot) = self.puts.table.get_mut(number as usize) else { return };
        let Some(pending) = slot.as_mut() else { return };
        match part {
            Part::Flush => pending.flush = status,
            Part::Replica => pending.replica = status,
        }
        pending.open -= 1;
        if pending.open > 0 {
            return;
        }
        let Some(Pending { job, mut answer, flush, replica, .. }) = slot.take() else { return };
        self.puts.free.push(number);
        let status = if replica != answer_code::SUCCESS { replica } else { flush };
        match &mut answer {
            _ if status == answer_code::SUCCESS => {}
            Answer::Sent { code, .. } if STORED.contains(&status) => *code = status,
            other => *other = Answer::Code(status),
        }
        self.respond(cx, &job, answer);
    }
}
