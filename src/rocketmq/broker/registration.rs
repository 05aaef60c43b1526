//! The broker as a client of the nameservers: registration and unregistration.
//!
//! `BrokerOuterAPI#registerBrokerAll`, `BrokerController#registerBrokerAll` (4.9.8): to every nameserver in parallel, 6 s each, unconditionally
//! every 30 s (`forceRegister`), and at once when a topic is created. What an operator changes is registered alone, without the other topics
//! (`#registerIncrementBrokerData`; server spec 2.4). Nameservers never talk to each other, so each knows a broker from this alone.

use super::{Broker, Cx};
use crate::base::ids::{Addr, TopicId};
use crate::rocketmq::protocol::{Answer, Registration, Request};
use crate::rocketmq::remoting::client::{Done, Invoke, Net, Target};
use std::sync::Arc;

/// What an outer call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    Register {
        /// The thread that registers every period waits for the end of it.
        awaited: bool,
    },
    Unregister(Addr),
    /// A slave asks its master.
    Sync,
}

/// Calls under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Registrations {
    unregistering: usize,
    /// No nameserver has answered the present round yet.
    unread: bool,
    /// Calls of the periodic round that have not ended.
    awaited: usize,
    /// Periods that are over and have had no round.
    owed: u32,
}

impl Broker {
    fn registration(&self, cx: &Cx<'_, '_>) -> Registration {
        let disk = &cx.env.disk.broker;
        let permission = self.config.settings.broker_permission as u8;
        let mut topics = disk.topics.clone();
        if permission & 6 != 6 {
            topics.values_mut().for_each(|t| t.perm = permission);
        }
        Registration {
            broker: self.config.broker,
            broker_id: self.broker_id,
            addr: self.config.addr,
            ha_addr: self.config.addr,
            version: disk.topics_version,
            topics,
        }
    }

    /// Registers with every nameserver.
    #[inline(never)]
    pub(super) fn register_all(&mut self, cx: &mut Cx<'_, '_>) {
        let registration = self.registration(cx);
        self.register(cx, Arc::new(registration), false);
    }

    /// A period is over (`BrokerController#start`, scheduleAtFixedRate on one thread): a round waits for its answers, so those missed in a freeze follow one
    /// another, and the second goes out on a new connection where the first has found the old one dead.
    pub(super) fn register_periodically(&mut self, cx: &mut Cx<'_, '_>) {
        self.registration.owed += 1;
        self.register_owed(cx);
    }

    fn register_owed(&mut self, cx: &mut Cx<'_, '_>) {
        if self.registration.awaited == 0 && self.registration.owed > 0 && !self.stopping {
            self.registration.owed -= 1;
            self.registration.awaited = self.config.nameservers.len();
            let registration = self.registration(cx);
            self.register(cx, Arc::new(registration), true);
        }
    }

    /// `registerIncrementBrokerData`: this topic alone, under the version of all of them. A nameserver that has never heard of the broker takes
    /// it for everything, and the same version keeps it from looking at the rest when that comes.
    pub(super) fn register_increment(&mut self, cx: &mut Cx<'_, '_>, topic: TopicId) {
        let mut registration = self.registration(cx);
        registration.topics.retain(|known, _| *known == topic);
        self.register(cx, Arc::new(registration), false);
    }

    fn register(&mut self, cx: &mut Cx<'_, '_>, registration: Arc<Registration>, awaited: bool) {
        if self.stopping {
            return;
        }
        let timeout = self.config.settings.register_broker_timeout_mills;
        self.registration.unread = true;
        for addr in self.config.clone().nameservers.iter().copied() {
            let luck = self.luck(cx.env);
            let mut net = Net { now: cx.now, out: cx.out, conns: &mut self.conns };
            let request = Request::Register(registration.clone());
            self.outer.call(&mut net, Invoke::Sync, Target::Addr(addr), request, timeout, luck, Outer::Register { awaited });
        }
        self.drain_outer(cx);
    }

    /// Registers without waiting: what the nameservers answer is not looked at.
    pub(super) fn register_oneway(&mut self, cx: &mut Cx<'_, '_>) {
        self.register_all(cx);
        self.registration.unread = false;
    }

    /// Unregisters everywhere (`BrokerController#shutdown`); returns how many answers are awaited.
    pub(super) fn unregister_all(&mut self, cx: &mut Cx<'_, '_>) -> usize {
        self.registration.unregistering = self.config.nameservers.len();
        for addr in self.config.clone().nameservers.iter().copied() {
            let luck = self.luck(cx.env);
            let mut net = Net { now: cx.now, out: cx.out, conns: &mut self.conns };
            let request = Request::Unregister { broker: self.config.broker, broker_id: self.broker_id, addr: self.config.addr };
            self.outer.call(&mut net, Invoke::Sync, Target::Addr(addr), request, 3_000, luck, Outer::Unregister(addr));
        }
        self.drain_outer(cx);
        self.registration.unregistering
    }

    #[inline(never)]
    pub(super) fn drain_outer(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some(Done { token: what, result, .. }) = self.outer.next_done() {
            match what {
                // A failed registration is only logged; the next period tries again. Of the answers only the first of each round is looked at.
                Outer::Register { awaited } => {
                    if let Ok(Answer::Registered { master_addr, ha_addr }) = result
                        && std::mem::take(&mut self.registration.unread)
                    {
                        self.registered(master_addr, ha_addr);
                    }
                    if awaited {
                        self.registration.awaited -= 1;
                        self.register_owed(cx);
                    }
                }
                Outer::Sync => self.synced(cx, result.ok()),
                Outer::Unregister(_) => {
                    self.registration.unregistering -= 1;
                    if self.registration.unregistering == 0 && self.stopping {
                        self.exit(cx);
                    }
                }
            }
        }
    }
}
