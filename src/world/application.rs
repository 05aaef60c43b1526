//! The application around the clients: messages that fall due, listeners that are called and return.
//!
//! Open loop: a message is offered when it is due, whatever became of the one before. A listener works for a time that hangs on the message, so
//! another member or another retry setting changes nobody's service times.

use super::*;

impl<O: Observer> World<O> {
    pub(super) fn due(&mut self, feed: u32) {
        let node = self.feeds[feed as usize].node;
        match self.processes[node.0 as usize].state {
            // The application's own threads stand still too; what fell due goes out at the thaw.
            State::Frozen => {
                self.processes[node.0 as usize].held.push(Held::Due(feed));
            }
            _ => self.due_now(feed),
        }
    }

    pub(super) fn due_now(&mut self, feed: u32) {
        let Feed { node, member, .. } = self.feeds[feed as usize];
        let due = self.feeds[feed as usize].due;
        let message = self.feeds[feed as usize].load.take(self.draws, due);
        let running = self.processes[node.0 as usize].state == State::Up;
        let batch = self.feeds[feed as usize].batch as usize;
        if !running {
            self.truth(node, Note::NotOffered { msg: message.id });
        } else if batch > 1 {
            self.feeds[feed as usize].gathered.push(message);
        } else {
            self.dispatch(node, Input::App(AppInput::Send { producer: member, message }));
        }
        let more = self.next_due(feed as usize);
        // A batch goes out when it is full, and what is left when the load is over.
        let gathered = &mut self.feeds[feed as usize].gathered;
        if gathered.len() >= batch || !more && !gathered.is_empty() {
            let messages: Arc<[Offered]> = std::mem::take(gathered).into();
            self.dispatch(node, Input::App(AppInput::SendBatch { producer: member, messages }));
        }
    }

    /// What the application of a process had gathered for a batch dies with it.
    #[cold]
    pub(super) fn forget_gathered(&mut self, node: NodeId) {
        for feed in 0..self.feeds.len() {
            if self.feeds[feed].node == node {
                for message in std::mem::take(&mut self.feeds[feed].gathered) {
                    self.truth(node, Note::NotOffered { msg: message.id });
                }
            }
        }
    }

    pub(super) fn listen(&mut self, node: NodeId, ticket: u32, member: u16, ids: std::ops::Range<usize>, reconsume_times: u16) {
        if self.plant.is_some() && self.planted_listen(node, ticket, ids.len()) {
            return;
        }
        let ids = &self.out.ids[ids];
        let process = &self.processes[node.0 as usize];
        let Some(listener) = process.consumers.iter().find(|l| l.member == member) else { return };
        let script = &listener.script;
        let hit = |every: u64, id: &MessageId| every > 0 && id.n().is_multiple_of(every);
        let fails = ids.iter().any(|id| hit(script.fail_every, id)) && reconsume_times < script.fail_times;
        let stays = ids.iter().any(|id| hit(script.stay_every, id));
        let lasts = if stays {
            script.stay
        } else if listener.service.is_constant() {
            listener.service.p50()
        } else {
            let first = ids.first().copied().unwrap_or(MessageId::new(0, 0));
            let n = first.n() << 20 | (reconsume_times as u64 & 0xff) << 12 | first.producer() as u64 & 0xfff;
            listener.service.at(self.draws.word(process.entity, Purpose::Listener, n))
        };
        let throws = script.throw_on_interrupt;
        if lasts == 0 {
            let verdict = if fails { Verdict::Later } else { Verdict::Success };
            self.inbox.push_back((node.0, Input::App(AppInput::Listened { ticket, verdict })));
            return;
        }
        self.calls[node.0 as usize].push(Call { ticket, fails, throws });
        self.schedule_at(self.now + lasts, Class::Work, node, Kind::Listened, 0, ticket);
    }

    pub(super) fn listened(&mut self, node: NodeId, ticket: u32) {
        let calls = &mut self.calls[node.0 as usize];
        let Some(at) = calls.iter().position(|c| c.ticket == ticket) else { return };
        let call = calls.swap_remove(at);
        let verdict = if call.fails { Verdict::Later } else { Verdict::Success };
        self.dispatch(node, Input::App(AppInput::Listened { ticket, verdict }));
    }

    /// A pool is shut down under its listeners: those that mind fail at once, the others finish.
    #[cold]
    pub(super) fn interrupt(&mut self, node: NodeId, ticket: u32) {
        let calls = &mut self.calls[node.0 as usize];
        if let Some(at) = calls.iter().position(|c| c.ticket == ticket && c.throws) {
            calls.swap_remove(at);
            self.inbox.push_back((node.0, Input::App(AppInput::Listened { ticket, verdict: Verdict::Later })));
        }
    }
}
