//! Planted bugs: what each check must catch in the running cluster, as tests plant it.
//!
//! A check that never failed proves little. Each of these is one wrong act of a role or of its application, done at the seam where frames and
//! notes pass through the world, once, from a moment on. No scenario file can ask for one: [`World::plant`] is the only way, and only tests
//! call it. A run without one pays a single comparison a frame.

use super::spec::Fsync;
use super::{State, World};
use crate::base::ids::{MessageId, NodeId};
use crate::contract::note::{Note, Observer};
use crate::contract::{AppInput, Input, Verdict};
use crate::rocketmq::protocol::{Answer, Body, Frame, HaFrame, Request, answer_code};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// A broker answers a pull with a message that nobody sent.
    Phantom,
    /// A broker leaves a stored record out of a pull answer and goes on behind it.
    Skipped,
    /// A broker serves the last record of a pull answer once more.
    ServedTwice,
    /// A broker answers SEND_OK and stores nothing.
    AckedUnstored,
    /// A broker stores a message and answers that it is illegal.
    StoredRefused,
    /// A producer's call returns twice.
    EndedTwice,
    /// A broker stores two records in each other's place.
    Swapped,
    /// A broker sets a committed offset back.
    Rewound,
    /// A broker forgets who holds its queue locks, again and again.
    LocksForgotten,
    /// A client takes an orderly listener for returned that still runs.
    ListenerLeftRunning,
    /// A SYNC_MASTER answers from then on before a slave has the message.
    AnsweredEarly,
    /// A master ships another record than the one it has.
    ShippedWrong,
    /// Brokers never take a member off their lists: its queues are handed on to nobody.
    MembersKept,
    /// Work that a past life of a process had under way ends in the present one.
    LivesMixed,
}

/// The bug of a run, and how far it got.
#[derive(Clone, Debug)]
pub(super) struct Plant {
    what: Planted,
    /// ns of the run.
    from: u64,
    done: bool,
    /// Notes of listeners left that the application has not left.
    withheld: usize,
    members: BTreeSet<Arc<str>>,
}

impl<O: Observer> World<O> {
    /// Plants a bug that begins at this moment, ns of the run.
    pub fn plant(&mut self, what: Planted, from: u64) {
        self.plant = Some(Plant { what, from, done: false, withheld: 0, members: BTreeSet::new() });
    }

    /// Whether what was owed to a past life is given to the present one.
    #[cold]
    pub(super) fn mixes_lives(&self) -> bool {
        self.plant.as_ref().is_some_and(|p| p.what == Planted::LivesMixed && p.from <= self.now)
    }

    /// Work that a past life had under way ends in the present one. If that was an fsync, the disk has written nothing of what this life takes for written.
    #[cold]
    pub(super) fn past_work(&mut self, node: NodeId, ticket: u32) {
        let n = node.0 as usize;
        let true_fsync = std::mem::replace(&mut self.disks[n].broker.medium.fsync, Fsync::Lies { keeps: u64::MAX });
        if self.processes[n].state == State::Up {
            self.dispatch(node, Input::Worked { ticket });
        }
        self.disks[n].broker.medium.fsync = true_fsync;
    }

    /// The bug, if its time has come and it has not struck yet.
    fn ripe(&mut self, what: Planted) -> Option<&mut Plant> {
        let now = self.now;
        self.plant.as_mut().filter(|p| p.what == what && p.from <= now && !p.done)
    }

    /// A frame that is about to leave its sender. An answer: the receiver never sees the frame, and this comes back.
    #[cold]
    pub(super) fn planted_frame(&mut self, frame: &mut Frame) -> Option<Answer> {
        let (what, done, early) = self.plant.as_ref().map(|p| (p.what, p.done, p.from > self.now))?;
        if let (Planted::MembersKept, Body::Answer(Answer::Members(list))) = (what, &mut frame.body) {
            let plant = self.plant.as_mut()?;
            plant.members.extend(list.iter().cloned());
            *list = plant.members.iter().cloned().collect();
        }
        if done || early {
            return None;
        }
        let mut answer = None;
        let struck = match (what, &mut frame.body) {
            (Planted::Phantom, Body::Answer(Answer::Pulled { messages, .. })) if !messages.is_empty() => {
                let id = messages[0].id;
                messages[0].id = MessageId::new(id.producer(), id.n() + 100_000);
                true
            }
            (Planted::Skipped, Body::Answer(Answer::Pulled { messages, .. })) if !messages.is_empty() => {
                messages.remove(0);
                true
            }
            (Planted::ServedTwice, Body::Answer(Answer::Pulled { messages, next_begin, .. })) if !messages.is_empty() => {
                *next_begin -= 1;
                true
            }
            (Planted::Swapped, Body::Answer(Answer::Pulled { messages, .. })) if messages.len() > 1 => {
                let (first, second) = (messages[0], messages[1]);
                // What was stored changes places; the places keep their offsets.
                (messages[0].id, messages[0].key) = (second.id, second.key);
                (messages[1].id, messages[1].key) = (first.id, first.key);
                true
            }
            (Planted::AckedUnstored, Body::Request { request: Request::Send(send), .. }) => {
                let queue_id = send.queue_id;
                answer = Some(Answer::Sent { code: answer_code::SUCCESS, queue_id, queue_offset: 1_000_000, phys: 0 });
                true
            }
            (Planted::StoredRefused, Body::Answer(sent @ Answer::Sent { .. })) => {
                *sent = Answer::Code(answer_code::MESSAGE_ILLEGAL);
                true
            }
            (Planted::ShippedWrong, Body::Ha(HaFrame::Transfer { records, .. })) if !records.is_empty() => {
                let id = records[0].id;
                records[0].id = MessageId::new(id.producer(), id.n() + 100_000);
                true
            }
            (Planted::Rewound, Body::Request { request: Request::UpdateOffset { offset, .. }, .. }) if *offset > 1_000 => {
                *offset -= 1_000;
                true
            }
            _ => false,
        };
        if let Some(plant) = &mut self.plant {
            plant.done = struck;
        }
        answer
    }

    /// An input that is about to reach a role.
    #[cold]
    pub(super) fn planted_input(&mut self, node: NodeId, input: &Input<Frame>) {
        self.planted_role(node, input);
        let locks = matches!(
            input,
            Input::Frame { frame: Frame { body: Body::Request { request: Request::LockBatch { .. }, .. }, .. }, .. }
        );
        if locks
            && self.ripe(Planted::LocksForgotten).is_some()
            && let Some(super::AnyRole::Broker(broker)) = &mut self.processes[node.0 as usize].role
        {
            broker.forget_locks();
        }
    }

    /// A master forgets what its role asks of it.
    fn planted_role(&mut self, node: NodeId, input: &Input<Frame>) {
        let send =
            matches!(input, Input::Frame { frame: Frame { body: Body::Request { request: Request::Send(_), .. }, .. }, .. });
        if send
            && self.ripe(Planted::AnsweredEarly).is_some()
            && let Some(super::AnyRole::Broker(broker)) = &mut self.processes[node.0 as usize].role
        {
            broker.answer_early();
        }
    }

    /// A listener is called: the client may be told at once that it returned.
    #[cold]
    pub(super) fn planted_listen(&mut self, node: NodeId, ticket: u32, messages: usize) -> bool {
        let Some(plant) = self.ripe(Planted::ListenerLeftRunning) else { return false };
        (plant.done, plant.withheld) = (true, messages);
        self.inbox.push_back((node.0, Input::App(AppInput::Listened { ticket, verdict: Verdict::Success })));
        true
    }

    /// Whether a role's note is true, and how often it is said.
    #[cold]
    pub(super) fn planted_note(&mut self, note: &Note) -> usize {
        match note {
            Note::ListenerLeft { .. } => {
                let Some(plant) = self.plant.as_mut().filter(|p| p.withheld > 0) else { return 1 };
                plant.withheld -= 1;
                0
            }
            Note::SendEnded { .. } => match self.ripe(Planted::EndedTwice) {
                Some(plant) => {
                    plant.done = true;
                    2
                }
                None => 1,
            },
            _ => 1,
        }
    }
}
