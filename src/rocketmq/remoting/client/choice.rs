//! The chosen nameserver: `NettyRemotingClient#getAndCreateNameserverChannel` (4.9.8).
//!
//! One caller at a time walks along the list, each address for as long as a connect lasts; the others wait for the lock and use what it has chosen.

use super::*;

impl<T: Copy + std::fmt::Debug> RemotingClient<T> {
    pub(super) fn select(&mut self, net: &mut Net<'_>, id: u32) {
        match &mut self.selection {
            Some(selection) => {
                selection.waiters.push_back(id);
                self.timers.set(net.now.mono + LOCK_TIMEOUT, Tick::LockWait(id));
            }
            None => {
                self.selection = Some(Selection { holder: id, tries_left: self.nameservers.len(), waiters: VecDeque::new() });
                self.try_next_nameserver(net);
            }
        }
    }

    pub(super) fn try_next_nameserver(&mut self, net: &mut Net<'_>) {
        let Some(selection) = &mut self.selection else { return };
        if selection.tries_left == 0 {
            let holder = selection.holder;
            self.end(holder, Err(RpcFailure::Connect));
            return self.pass_selection_on(net);
        }
        selection.tries_left -= 1;
        let holder = selection.holder;
        self.namesrv_index += 1;
        let addr = self.nameservers[(self.namesrv_index % self.nameservers.len() as u64) as usize];
        if self.chosen != Some(addr) {
            self.chosen = Some(addr);
            net.out.note(Note::NameserverChosen { addr });
        }
        if self.is_active(addr) {
            self.reach(net, holder, addr);
            return self.pass_selection_on(net);
        }
        self.reach(net, holder, addr);
    }

    /// The lock is free again: the next caller in line uses the choice, or makes one of its own.
    pub(super) fn pass_selection_on(&mut self, net: &mut Net<'_>) {
        let Some(mut selection) = self.selection.take() else { return };
        while let Some(id) = selection.waiters.pop_front() {
            if self.get(id).is_none() {
                continue;
            }
            match self.chosen.filter(|addr| self.is_active(*addr)) {
                Some(addr) => self.reach(net, id, addr),
                None => {
                    selection.holder = id;
                    selection.tries_left = self.nameservers.len();
                    self.selection = Some(selection);
                    return self.try_next_nameserver(net);
                }
            }
        }
    }

    pub(super) fn is_holder(&self, id: u32) -> bool {
        self.selection.as_ref().is_some_and(|s| s.holder == id)
    }
}
