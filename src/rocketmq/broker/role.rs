//! The broker as a role: which part each input goes to, and what is done after each.
//!
//! After every input everything that is due runs, in the order of the threads it stands for: delayed delivery, timers, whoever waits for a disk that
//! stood still, log shipping, the calls to nameservers, idle channels.

use super::ha::group;
use super::{Broker, Cx};
use crate::contract::note::ForgetWhy;
use crate::contract::{Conn, Deadline, Env, Input, Now, Out, Port, Role};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::protocol::{Body, Frame};
use crate::rocketmq::remoting::client::Net;

impl Broker {
    /// A frame of remoting: an answer to one of its own requests, or somebody's request.
    fn on_frame(&mut self, cx: &mut Cx<'_, '_>, conn: Conn, frame: Frame) {
        let now = cx.now;
        match self.conns.owner(conn) {
            None => self.on_request(cx, conn, frame),
            Some((group::OWNER, addr)) => self.on_group_net(cx, |remoting, _| remoting.take_frame(now, conn, addr, frame)),
            Some((_, addr)) => {
                self.outer.take_frame(now, conn, addr, frame);
                self.drain_outer(cx);
            }
        }
    }

    /// What became of a connection that is not one of log shipping.
    #[cold]
    fn on_channel(&mut self, cx: &mut Cx<'_, '_>, input: Input<Frame>) {
        let now = cx.now;
        match input {
            Input::Closed { conn, how } => match self.conns.owner(conn) {
                Some((group::OWNER, addr)) => self.on_group_net(cx, |remoting, _| remoting.on_closed(conn, addr, how)),
                Some((_, addr)) => {
                    self.outer.on_closed(conn, addr, how);
                    self.drain_outer(cx);
                }
                None => self.channel_gone(cx, conn, ForgetWhy::ChannelClosed),
            },
            Input::Connected { conn } => match self.conns.owner(conn) {
                Some((group::OWNER, addr)) => self.on_group_net(cx, |remoting, net| remoting.on_connected(net, conn, addr)),
                Some((_, addr)) => {
                    self.outer.on_connected(&mut Net { now, out: cx.out, conns: &mut self.conns }, conn, addr);
                    self.drain_outer(cx);
                }
                None => {}
            },
            Input::ConnectFailed { conn, .. } => match self.conns.owner(conn) {
                Some((group::OWNER, addr)) => self.on_group_net(cx, |remoting, net| remoting.on_connect_failed(net, conn, addr)),
                Some((_, addr)) => {
                    self.outer.on_connect_failed(&mut Net { now, out: cx.out, conns: &mut self.conns }, conn, addr);
                    self.drain_outer(cx);
                }
                None => {}
            },
            _ => {}
        }
    }
}

impl Role for Broker {
    type Wire = Frame;
    type Disk = NodeDisk;
    type Pool = BatchPool;

    fn handle(&mut self, now: Now, input: Input<Frame>, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        let mut cx = Cx { now, env, out };
        let cx = &mut cx;
        // What comes most often is taken apart here, so that it is handed on once.
        let awake = match input {
            Input::Frame { conn, frame: Frame { body: Body::Ha(frame), .. } } => {
                self.on_ha_frame(cx, conn, frame);
                true
            }
            Input::Frame { conn, frame } => {
                self.on_frame(cx, conn, frame);
                false
            }
            Input::Worked { ticket } => {
                self.worked(cx, ticket);
                false
            }
            Input::Accepted { conn, port: Port::Ha } => {
                self.slave_connected(cx, conn);
                true
            }
            input @ (Input::Closed { .. } | Input::Connected { .. } | Input::ConnectFailed { .. }) => {
                match self.on_ha_input(cx, input) {
                    Some(input) => {
                        self.on_channel(cx, input);
                        false
                    }
                    None => true,
                }
            }
            Input::Wake => true,
            Input::Start => {
                self.start(cx);
                false
            }
            Input::Accepted { conn, .. } => {
                self.channels.open(conn, now.mono);
                false
            }
            Input::Admin(admin) => {
                self.admin(cx, admin);
                false
            }
            Input::App(_) => false,
            Input::Stop => {
                self.stop(cx);
                false
            }
        };
        self.plan_delayed(cx);
        self.plan_clean(cx);
        while let Some((nominal, tick)) = self.timers.due(now.mono) {
            self.tick(cx, tick, nominal);
        }
        if !self.put_lock.is_empty() {
            self.drain_put_lock(cx);
        }
        self.go_on_flushing(cx);
        if self.ha.client.is_held_up() {
            self.go_on_appending(cx);
        }
        if self.group.is_some() {
            self.group_turn(cx, awake);
        }
        if self.ha_due().is_some_and(|due| due <= now.wall_ms) {
            self.ha_housekeeping(cx);
        }
        if self.outer.is_due(now) {
            self.outer.wake(&mut Net { now, out: cx.out, conns: &mut self.conns });
            self.drain_outer(cx);
        }
        while let Some(conn) = self.channels.idle(now.mono) {
            cx.out.close(conn);
            self.channel_gone(cx, conn, ForgetWhy::ChannelIdle);
        }
    }

    fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        let mono = self.timers.next().unwrap_or(u64::MAX).min(self.channels.next_idle_check().unwrap_or(u64::MAX));
        let wall = match (self.schedule.next_due(), self.ha_due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let own = Deadline::sooner(Deadline::earliest(mono, wall, now), self.outer.next_deadline(now), now);
        let own = Deadline::sooner(own, self.cleaner.next_due(now), now);
        match &mut self.group {
            Some(group) => Deadline::sooner(own, group.next_deadline(now), now),
            None => own,
        }
    }
}
