//! A nameserver process: the route tables behind a request pool, and the scan for silent brokers.
//!
//! `NamesrvController`, `DefaultRequestProcessor`, `BrokerHousekeepingService` (4.9.8). It answers from what brokers told it, from the first moment on,
//! and tells nobody anything by itself.

use super::route_info::{Channel, Dropped, Registration, RouteInfoManager};
use crate::base::draw::Luck;
use crate::base::ids::TopicId;
use crate::base::names::Names;
use crate::base::time::{MS, SEC};
use crate::contract::note::{ForgetWhy, Note};
use crate::contract::{Admin, Conn, Deadline, Env, Input, Now, Op, Out, Role, WorkClass};
use crate::rocketmq::disk::NodeDisk;
use crate::rocketmq::message::BatchPool;
use crate::rocketmq::protocol::{Answer, Body, Frame, Request, answer_code};
use crate::rocketmq::remoting::server::{Channels, Pool};
use crate::rocketmq::route::TopicConfigs;
use crate::rocketmq::settings::NameserverSettings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a nameserver is configured with.
#[derive(Clone, Debug)]
pub struct NameserverConfig {
    pub names: Arc<Names>,
    pub settings: NameserverSettings,
    /// KV namespace ORDER_TOPIC_CONFIG (kvConfig.json): the only durable state.
    pub order_topics: BTreeMap<TopicId, Arc<str>>,
}

/// Threads of the default executor (`NettyServerConfig.serverWorkerThreads`).
const WORKERS: u32 = 8;

#[derive(Clone, Debug)]
struct Job {
    conn: Conn,
    serial: u32,
    opaque: u32,
    luck: Luck,
    request: Request,
}

/// `NamesrvController`.
#[derive(Clone, Debug)]
pub struct NameServer {
    config: Arc<NameserverConfig>,
    routes: RouteInfoManager,
    channels: Channels,
    pool: Pool<Job>,
    jobs: Vec<Option<Job>>,
    free: Vec<u32>,
    scan_at: u64,
}

impl NameServer {
    /// The process before its first input.
    pub fn new(config: Arc<NameserverConfig>) -> Self {
        let mut routes = RouteInfoManager::new(config.settings.broker_channel_expired_time as i64);
        if config.settings.order_message_enable {
            for (topic, conf) in &config.order_topics {
                routes.set_order_topic_conf(*topic, Some(conf.clone()));
            }
        }
        NameServer {
            channels: Channels::new(config.settings.server_channel_max_idle_time_seconds * SEC),
            pool: Pool::new(WORKERS, u64::MAX),
            jobs: Vec::new(),
            free: Vec::new(),
            scan_at: u64::MAX,
            routes,
            config,
        }
    }

    fn begin(&mut self, out: &mut Out<Frame>, job: Job) {
        let word = job.luck.service();
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() as u32 - 1
        });
        self.jobs[ticket as usize] = Some(job);
        out.work(ticket, WorkClass::Route, word);
    }

    fn worked(&mut self, now: Now, out: &mut Out<Frame>, ticket: u32) {
        let Some(job) = self.jobs.get_mut(ticket as usize).and_then(Option::take) else { return };
        self.free.push(ticket);
        if let Some(answer) = self.execute(now, out, &job)
            && self.channels.is_open(job.conn, job.serial)
        {
            self.channels.touch(job.conn, now.mono);
            let bytes = answer.bytes();
            out.write(
                job.conn,
                Frame { opaque: job.opaque, luck: job.luck, body: Body::Answer(answer) },
                bytes,
                job.luck.inbound(),
            );
        }
        if let Some(next) = self.pool.done() {
            self.begin(out, next);
        }
    }

    /// `DefaultRequestProcessor#processRequest`. Up to 4.9 an unknown request code gets no answer at all.
    fn execute(&mut self, now: Now, out: &mut Out<Frame>, job: &Job) -> Option<Answer> {
        match &job.request {
            Request::Register(r) => {
                let topics = TopicConfigs { version: r.version, topics: Arc::new(r.topics.clone()) };
                let registration = Registration {
                    cluster: 0,
                    broker: r.broker,
                    broker_id: r.broker_id,
                    addr: r.addr,
                    ha_server_addr: r.ha_addr,
                    channel: Channel(job.serial),
                    topics: &topics,
                };
                let known = self.routes.is_live(r.addr);
                let result = self.routes.register_broker(registration, now.wall_ms);
                if !known || result.new_id {
                    out.note(Note::BrokerRegistered { broker: r.broker, id: r.broker_id, addr: r.addr });
                }
                Some(Answer::Registered { master_addr: result.master_addr, ha_addr: result.ha_server_addr })
            }
            Request::Unregister { broker, broker_id, addr } => {
                let dropped = self.routes.unregister_broker(0, *broker, *broker_id, *addr);
                self.forgotten(out, &dropped, ForgetWhy::Unregistered);
                Some(Answer::Code(answer_code::SUCCESS))
            }
            Request::Route { topic } => Some(match self.routes.pickup_topic_route_data(*topic) {
                Some(route) => Answer::Route(route),
                None => Answer::Code(answer_code::TOPIC_NOT_EXIST),
            }),
            _ => None,
        }
    }

    fn forgotten(&mut self, out: &mut Out<Frame>, dropped: &Dropped, why: ForgetWhy) {
        if let Some((broker, id, _)) = dropped.address {
            out.note(Note::BrokerForgotten { broker, id, why });
        }
    }

    fn channel_gone(&mut self, out: &mut Out<Frame>, conn: Conn, why: ForgetWhy) {
        if let Some(serial) = self.channels.gone(conn, why) {
            let dropped = self.routes.on_channel_destroy(Channel(serial), None);
            self.forgotten(out, &dropped, why);
        }
    }

    fn scan(&mut self, now: Now, out: &mut Out<Frame>) {
        for gone in self.routes.scan_not_active_broker(now.wall_ms) {
            self.forgotten(out, &gone.dropped, ForgetWhy::Expired);
            if let Some(conn) = self.channels.find(gone.channel.0) {
                out.close(conn);
                self.channels.close(conn);
            }
        }
    }

    fn admin(&mut self, admin: Admin) {
        match admin {
            Admin::WipeWritePerm { broker } => self.routes.wipe_write_perm(broker),
            Admin::AddWritePerm { broker } => self.routes.add_write_perm(broker),
            Admin::UpdateTopic { .. } | Admin::HoldPullSuspend { .. } => 0,
        };
    }
}

impl Role for NameServer {
    type Wire = Frame;
    type Disk = NodeDisk;
    type Pool = BatchPool;

    #[inline(never)]
    fn handle(&mut self, now: Now, input: Input<Frame>, env: &mut Env<'_, NodeDisk, BatchPool>, out: &mut Out<Frame>) {
        let _ = env;
        match input {
            Input::Start => self.scan_at = now.mono + 5 * SEC,
            Input::Accepted { conn, .. } => {
                self.channels.open(conn, now.mono);
            }
            Input::Frame { conn, frame } => {
                if let (Some(serial), Body::Request { request, .. }) = (self.channels.serial(conn), frame.body) {
                    self.channels.touch(conn, now.mono);
                    let job = Job { conn, serial, opaque: frame.opaque, luck: frame.luck, request };
                    if let Ok(Some(job)) = self.pool.offer(job, now.mono) {
                        self.begin(out, job);
                    }
                }
            }
            Input::Worked { ticket } => self.worked(now, out, ticket),
            Input::Closed { conn, .. } => self.channel_gone(out, conn, ForgetWhy::ChannelClosed),
            Input::Admin(admin) => self.admin(admin),
            Input::Stop => out.ops.push(Op::Exit),
            Input::Wake | Input::Connected { .. } | Input::ConnectFailed { .. } | Input::App(_) => {}
        }
        while self.scan_at <= now.mono {
            self.scan_at += self.config.settings.scan_not_active_broker_interval.max(1) * MS;
            self.scan(now, out);
        }
        while let Some(conn) = self.channels.idle(now.mono) {
            out.close(conn);
            self.channel_gone(out, conn, ForgetWhy::ChannelIdle);
        }
    }

    fn next_deadline(&mut self, _: Now) -> Option<Deadline> {
        [Some(self.scan_at).filter(|at| *at != u64::MAX), self.channels.next_idle_check()]
            .into_iter()
            .flatten()
            .min()
            .map(Deadline::mono)
    }
}
