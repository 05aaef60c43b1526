//! A client process: producers and consumers, each on an instance of its own or sharing one.
//!
//! `MQClientManager` (4.9.8): instances by client id. The id is `ip@instanceName`; from 4.9.0 a default name becomes pid#nanoTime, so that members do
//! not share unless the user names the instance.

mod broker_addrs;
mod by_topic;
pub mod config;
pub mod consumer;
mod heartbeat;
mod instance;
mod ops;
pub mod producer;
mod route;

use self::config::{ClientConfig, MemberKind, ProducerConfig, SendMode};
use self::consumer::lifecycle::{ShutdownConsumer, StartConsumer};
pub(in crate::rocketmq) use self::instance::Round;
use self::instance::{ChannelEvent, Cx, Exec, Instance, ServiceState};
use self::ops::Ret;
use self::producer::parcel::Parcel;
use self::producer::{ShutdownProducer, StartProducer};
use crate::base::draw::Purpose;

use crate::contract::{AppInput, Deadline, Env, Input, Now, Op, Out, Role};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::protocol::{Answer, Frame, Request};
use crate::rocketmq::remoting::client::{Arrived, ConnNumbers};
use crate::rocketmq::settings::{MessageModel, ProducerSettings};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Where a member of the process lives.
#[derive(Clone, Copy, Debug)]
enum Place {
    Producer { instance: u16, p: u16 },
    Consumer { instance: u16, c: u16 },
}

/// A client process. What each event passes stands in front of the instance, which begins with what it needs itself.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct ClientProcess {
    config: Arc<ClientConfig>,
    stopping: usize,
    conns: ConnNumbers,
    places: SmallVec<[Option<Place>; 2]>,
    /// Mostly one with one member, which then lie here and not an address further.
    instances: SmallVec<[Instance; 1]>,
}

impl ClientProcess {
    /// The process before its first input.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        let places = smallvec![None; config.members.len()];
        ClientProcess { config, conns: ConnNumbers::default(), instances: SmallVec::new(), places, stopping: 0 }
    }

    /// Messages whose call is under way at this moment.
    pub fn open_sends(&self) -> Vec<crate::base::ids::MessageId> {
        self.instances.iter().flat_map(|i| i.open_sends()).collect()
    }

    /// `ClientConfig#buildMQClientId` with `changeInstanceNameToPID`.
    fn client_id(&self, index: usize, now: Now, env: &Env<'_, NodeDisk, BatchPool>) -> Arc<str> {
        let member = &self.config.members[index];
        let broadcasting =
            matches!(&member.role, MemberKind::Consumer(c) if c.settings.message_model == MessageModel::Broadcasting);
        let drawn = |n: u64, bound: u64| env.draws.below(env.entity, Purpose::Boot, (env.life as u64) << 32 | n, bound);
        let ip: String = if self.config.new_ip_each_life {
            format!("10.{}.{}.{}", drawn(1, 256), drawn(2, 256), drawn(3, 256))
        } else {
            self.config.client_ip.to_string()
        };
        let name = &member.instance.instance_name;
        if name == "DEFAULT" && !broadcasting {
            return format!("{ip}@{}#{}", 1_000 + drawn(0, 30_000), now.mono + index as u64).into();
        }
        format!("{ip}@{name}").into()
    }

    /// Creates a member (and its instance, unless one with its id exists) and starts it.
    fn start_member(&mut self, index: usize, now: Now, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        if index >= self.config.members.len() {
            return;
        }
        let id = self.client_id(index, now, env);
        let member = self.config.members[index].clone();
        let mut cx = Cx { now, env, out, conns: &mut self.conns };
        let running = |i: &Instance| i.client_id == id && i.state != ServiceState::ShutdownAlready;
        let number = match self.instances.iter().position(running) {
            Some(number) => number,
            None => {
                let mut instance =
                    Instance::new(self.instances.len() as u16, self.config.clone(), member.instance.clone(), id, &cx);
                instance.add_internal_producer();
                self.instances.push(instance);
                self.instances.len() - 1
            }
        };
        let instance = &mut self.instances[number];
        let number = number as u16;
        match &member.role {
            MemberKind::Producer(config) => {
                let p = instance.add_producer(index as u16, config.clone());
                self.places[index] = Some(Place::Producer { instance: number, p });
                instance.submit(&mut cx, Exec::Main, StartProducer::new(p).into());
            }
            MemberKind::Consumer(config) => {
                let c = instance.add_consumer(index as u16, config.clone(), now);
                self.places[index] = Some(Place::Consumer { instance: number, c });
                instance.submit(&mut cx, Exec::Main, StartConsumer::new(c).into());
            }
        }
        instance.pump(&mut cx);
    }

    fn stop_member(
        &mut self,
        index: usize,
        cx_now: Now,
        env: &mut Env<'_, NodeDisk, BatchPool>,
        out: &mut Out<Frame>,
        exit: bool,
    ) {
        let Some(place) = self.places.get(index).copied().flatten() else { return };
        let (number, op) = match place {
            Place::Producer { instance, p } => (instance, ShutdownProducer::new(p, exit).into()),
            Place::Consumer { instance, c } => (instance, ShutdownConsumer::new(c, exit).into()),
        };
        let instance = &mut self.instances[number as usize];
        let mut cx = Cx { now: cx_now, env, out, conns: &mut self.conns };
        instance.submit(&mut cx, Exec::Main, op);
        instance.pump(&mut cx);
    }

    fn send(&mut self, producer: u16, parcel: Parcel, now: Now, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        let Some(Some(Place::Producer { instance, p })) = self.places.get(producer as usize).copied() else { return };
        let instance = &mut self.instances[instance as usize];
        let mut cx = Cx { now, env, out, conns: &mut self.conns };
        instance.app_send(&mut cx, p, parcel);
        instance.pump(&mut cx);
    }

    fn app(&mut self, now: Now, input: AppInput, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        match input {
            AppInput::Send { producer, message } => self.send(producer, Parcel::one(message), now, env, out),
            AppInput::SendBatch { producer, messages } => {
                if let Some(parcel) = Parcel::batch(&messages) {
                    self.send(producer, parcel, now, env, out);
                }
            }
            AppInput::Listened { ticket, verdict } => {
                let Some(instance) = self.instances.get_mut((ticket >> 20) as usize) else { return };
                let mut cx = Cx { now, env, out, conns: &mut self.conns };
                instance.resume(&mut cx, ticket & 0xf_ffff, Ret::Listened(verdict));
                instance.pump(&mut cx);
            }
            AppInput::StartClient { index } => self.start_member(index as usize, now, env, out),
            AppInput::StopClient { index } => self.stop_member(index as usize, now, env, out, false),
        }
    }
}

impl Instance {
    /// The instance's own producer (group CLIENT_INNER_PRODUCER), which fallback sends go through. It is always producer 0.
    fn add_internal_producer(&mut self) {
        let names = self.config.names.clone();
        let Some(group) = names.group("CLIENT_INNER_PRODUCER") else { return };
        let Some(key) = names.topic("TBW102") else { return };
        let config = ProducerConfig {
            entity: self.entity.with(u64::MAX),
            group,
            settings: ProducerSettings::default(),
            mode: SendMode::Sync,
            threads: 1,
            retry_response_codes: Vec::new(),
            create_topic_key: key,
            wait_store_msg_ok: true,
            transaction: None,
        };
        let p = self.add_producer(u16::MAX, Arc::new(config));
        let producer = &mut self.producers[p as usize];
        producer.state = ServiceState::Running;
        producer.registered = true;
    }

    /// Nobody but the internal producer is left.
    fn is_last(&self) -> bool {
        let producers = self.producers.iter().filter(|p| p.registered).count();
        self.state == ServiceState::Running && producers <= 1 && !self.consumers.iter().any(|c| c.registered)
    }

    /// `MQClientInstance#shutdown`.
    fn stop_if_last(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.is_last() {
            return;
        }
        self.state = ServiceState::ShutdownAlready;
        self.remoting.shutdown(&mut cx.net());
    }
}

impl Role for ClientProcess {
    type Wire = Frame;
    type Disk = NodeDisk;
    type Pool = BatchPool;

    fn handle(&mut self, now: Now, input: Input<Frame>, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        match input {
            Input::Start => {
                for index in 0..self.config.members.len() {
                    if self.config.members[index].started {
                        self.start_member(index, now, env, out);
                    }
                }
            }
            Input::App(input) => self.app(now, input, env, out),
            Input::Wake => {
                for instance in &mut self.instances {
                    if instance.next_deadline(now).is_some_and(|d| d.in_ns(now) == 0) {
                        instance.wake(&mut Cx { now, env, out, conns: &mut self.conns });
                    }
                }
            }
            Input::Connected { conn }
            | Input::ConnectFailed { conn, .. }
            | Input::Closed { conn, .. }
            | Input::Frame { conn, .. } => {
                let Some((owner, addr)) = self.conns.owner(conn) else { return };
                let Some(instance) = self.instances.get_mut(owner as usize) else { return };
                let mut cx = Cx { now, env, out, conns: &mut self.conns };
                match input {
                    Input::Connected { .. } => instance.channel_event(&mut cx, ChannelEvent::Connected(conn, addr)),
                    Input::ConnectFailed { .. } => instance.remoting.on_connect_failed(&mut cx.net(), conn, addr),
                    Input::Closed { how, .. } => instance.remoting.on_closed(conn, addr, how),
                    Input::Frame { frame, .. } => match instance.remoting.on_frame(now, conn, addr, frame) {
                        Arrived::Request(Request::NotifyConsumerIdsChanged { .. }) => instance.rebalance_immediately(&mut cx),
                        Arrived::Ended(done) => instance.ended(&mut cx, done),
                        Arrived::Late(Answer::Pulled { messages, .. }) => cx.env.pool.give(messages),
                        _ => {}
                    },
                    _ => {}
                }
                instance.pump(&mut cx);
            }
            Input::Stop => {
                // The members are shut down one after the other on the application's thread; the last one ends the process.
                let running: Vec<usize> = (0..self.places.len()).filter(|i| self.places[*i].is_some()).collect();
                let Some(last) = running.last().copied() else {
                    out.ops.push(Op::Exit);
                    return;
                };
                self.stopping += 1;
                for index in running {
                    self.stop_member(index, now, env, out, index == last);
                }
            }
            Input::Worked { ticket } => {
                let Some(instance) = self.instances.get_mut((ticket >> 20) as usize) else { return };
                let mut cx = Cx { now, env, out, conns: &mut self.conns };
                instance.resumed(&mut cx, ticket & 0xf_ffff);
                instance.pump(&mut cx);
            }
            Input::Accepted { .. } | Input::Admin(_) => {}
        }
    }

    fn next_deadline(&mut self, now: Now) -> Option<Deadline> {
        let mut next = None;
        for instance in &mut self.instances {
            next = Deadline::sooner(next, instance.next_deadline(now), now);
        }
        next
    }
}
