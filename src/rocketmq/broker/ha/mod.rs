//! High availability: how a broker's log comes to lie on more than one host.
//!
//! Every mode answers three questions and is asked nothing else: whether a put may begin ([`Broker::writable`]), what a put must wait for before
//! it is answered ([`Broker::ackable`]), and how far readers may see ([`Broker::readable`]). Master and slave ship the log over a connection of their own
//! (`HAService`, 4.9.8; server spec 10): [`master`] is the sending end and whoever waits for it, [`slave`] the receiving end.

pub mod dledger;
pub(super) mod master;
pub(super) mod slave;

pub mod group;

#[cfg(test)]
mod tests;

use super::{Broker, Cx};
use crate::contract::{Conn, Input};
use crate::rocketmq::protocol::{Frame, answer_code};
use crate::rocketmq::settings::{BrokerRole, FlushDiskType};

/// How long a slave that found no master waits before it connects again (`HAService.HAClient#run`, 4.9.8), ms.
pub const CONNECT_AGAIN_MS: u64 = slave::PAUSE;

/// What a put has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ackable {
    /// The record must be flushed.
    pub(super) flush: bool,
    /// A slave must have it.
    pub(super) replica: bool,
    /// Known at once: the status of a record for which no slave is there.
    pub(super) status: u16,
}

impl Broker {
    /// Whether this broker takes messages at all (`DefaultMessageStore#checkStoreStatus`: a slave does not).
    pub(super) fn writable(&self) -> bool {
        self.role != BrokerRole::Slave
    }

    /// Whether it takes messages at present.
    pub fn leads(&self) -> bool {
        self.writable()
    }

    /// How far readers and slaves may see the log (`MappedFile#getReadPosition`): neither flush nor replication is waited for.
    pub(super) fn readable(&self, cx: &Cx<'_, '_>) -> u64 {
        cx.env.disk.broker.log.readable()
    }

    /// What the answer to a put waits for (`CommitLog#submitFlushRequest`, `#submitReplicaRequest`); `waits`: `isWaitStoreMsgOK`, which a group does
    /// not ask for.
    pub(super) fn ackable(&self, cx: &Cx<'_, '_>, waits: bool) -> Ackable {
        if self.group.is_some() {
            return Ackable { flush: false, replica: true, status: answer_code::SUCCESS };
        }
        let s = &self.config.settings;
        let sync = waits && self.role == BrokerRole::SyncMaster;
        let replica = sync && self.is_slave_ok(cx);
        Ackable {
            flush: waits && s.flush_disk_type == FlushDiskType::SyncFlush,
            replica,
            status: if sync && !replica { answer_code::SLAVE_NOT_AVAILABLE } else { answer_code::SUCCESS },
        }
    }

    /// The log has grown: whoever ships it may be woken.
    pub(super) fn log_grew(&mut self, cx: &mut Cx<'_, '_>, wake: bool) {
        if !self.ha.master.is_alone() {
            self.wake_writers(cx, wake);
        }
    }

    /// When a slave's connection wants looking after, wall ms.
    pub(super) fn ha_due(&self) -> Option<i64> {
        let s = &self.config.settings;
        self.ha.master.next_due(s.ha_send_heartbeat_interval, s.ha_housekeeping_interval)
    }

    /// A frame of log shipping.
    pub(super) fn on_ha_frame(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: crate::rocketmq::protocol::HaFrame) {
        if conn.is_accepted() { self.on_report(cx, conn, frame) } else { self.on_transfer(cx, conn, frame) }
    }

    /// Something else happened to a connection of log shipping; other inputs come back.
    #[cold]
    pub(super) fn on_ha_input(&mut self, cx: &mut Cx<'_, '_>, input: Input<Frame>) -> Option<Input<Frame>> {
        match input {
            Input::Closed { conn, .. } if conn.is_accepted() && self.ha.master.has(conn) => self.connection_gone(cx, conn),
            Input::Closed { conn, how } if self.ha.client.has(conn) => self.master_gone(cx, how),
            Input::Connected { conn } if self.ha.client.has(conn) => self.master_connected(cx),
            Input::ConnectFailed { conn, .. } if self.ha.client.has(conn) => self.connect_failed(cx),
            other => return Some(other),
        }
        None
    }
}

/// Log shipping of a life, both ends: a broker has them whatever its role, as `HAService` does.
#[derive(Clone, Debug, Default)]
pub(super) struct MasterSlave {
    pub(super) master: master::HaService,
    pub(super) client: slave::HaClient,
}
