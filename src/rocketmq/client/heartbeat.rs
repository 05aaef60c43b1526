//! Heartbeats to every known broker, one synchronous request after the other.
//!
//! `MQClientInstance#cleanOfflineBroker`, `#sendHeartbeatToAllBrokerWithLock`, `#prepareHeartbeatData` (4.9.8; client spec 1.10, 1.11). A dead broker costs its
//! timeout on whichever thread sends them; a heartbeat asked for while another is on its way is dropped, not queued.

use super::instance::{Cx, Instance, LockId, ThreadId};
use super::ops::{Ret, Step};
use crate::base::ids::Addr;
use crate::rocketmq::protocol::{ConsumerData, HeartbeatData, Request, Subscription, code};
use crate::rocketmq::remoting::client::Target;
use std::sync::Arc;

/// The tick of the scheduled thread: drop addresses that no route names, then heartbeat.
#[derive(Clone, Debug, Default)]
pub(super) struct CleanAndHeartbeat {
    cleaned: bool,
}

impl CleanAndHeartbeat {
    #[inline(never)]
    pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        let got = match ret {
            Ret::Go => i.lock(cx, t, LockId::Route, Some(3_000)),
            Ret::Lock(got) => Some(got),
            _ => return Step::Done(Ret::Unit),
        };
        match got {
            None => return Step::Block,
            Some(true) => {
                i.clean_offline_brokers();
                i.unlock(cx, LockId::Route);
            }
            Some(false) => {}
        }
        self.cleaned = true;
        Step::Call(HeartbeatAll::default().into())
    }
}

/// One heartbeat to every target.
#[derive(Clone, Debug, Default)]
pub(super) struct HeartbeatAll {
    targets: Vec<Addr>,
    next: usize,
    holds: bool,
}

impl HeartbeatAll {
    #[inline(never)]
    pub(super) fn step(&mut self, i: &mut Instance, cx: &mut Cx<'_, '_>, t: ThreadId, ret: Ret) -> Step {
        match ret {
            Ret::Go => {
                if i.heartbeat_busy {
                    return Step::Done(Ret::Bool(false));
                }
                i.heartbeat_busy = true;
                self.holds = true;
                self.targets = i.heartbeat_targets();
            }
            Ret::Rpc(Err(error)) => i.note_failure(cx, code::HEART_BEAT, &error),
            _ => {}
        }
        if self.next >= self.targets.len() {
            i.heartbeat_busy = false;
            return Step::Done(Ret::Bool(true));
        }
        let addr = self.targets[self.next];
        self.next += 1;
        let data = i.heartbeat_data();
        i.rpc(cx, t, Target::Addr(addr), Request::Heartbeat(data), i.settings.mq_client_api_timeout)
    }
}

impl Instance {
    /// Addresses that occur in no stored route are dropped; since routes never expire, this reacts to changed routes only.
    fn clean_offline_brokers(&mut self) {
        let routes = &self.routes;
        let named = |addr| routes.rows().any(|route| route.broker_datas.iter().any(|b| b.addrs.values().any(|a| *a == addr)));
        self.addrs.retain(named);
    }

    /// Every address of every broker; masters only when the instance has no consumer.
    fn heartbeat_targets(&self) -> Vec<Addr> {
        let masters_only = self.consumers.is_empty();
        self.addrs.listed(&self.config.names).filter(|(id, _)| *id == 0 || !masters_only).map(|(_, addr)| addr).collect()
    }

    /// Every address of every broker, in the order in which a client that ends takes its leave of them.
    pub(super) fn unregister_targets(&self) -> Vec<Addr> {
        self.addrs.listed(&self.config.names).map(|(_, addr)| addr).collect()
    }

    /// `prepareHeartbeatData`, built anew when a subscription or a member changed.
    pub(super) fn heartbeat_data(&mut self) -> Arc<HeartbeatData> {
        if let Some(data) = &self.heartbeat_cache {
            return data.clone();
        }
        let consumers = self
            .consumers
            .iter()
            .filter(|c| c.registered)
            .map(|c| ConsumerData {
                group: c.config.group,
                model: c.config.settings.message_model,
                subscriptions: c
                    .subscriptions
                    .iter()
                    .map(|(topic, s)| Subscription { topic: *topic, sub_version: s.sub_version, codes: s.codes.clone() })
                    .collect(),
            })
            .collect();
        let producers = self.producers.iter().filter(|p| p.registered).map(|p| p.config.group).collect();
        let data = Arc::new(HeartbeatData { client_id: self.client_id.clone(), producers, consumers });
        self.heartbeat_cache = Some(data.clone());
        data
    }
}
