//! Request and answer: clients that ask one server after the other over connections of their own and wait for each answer.
//!
//! Plain state machines on the product's kernel: its event queue, its written order, its keyed draws with a log-normal delay a message, its digest
//! over every event, and connections that keep the order of what they carry. It is what rivals are given to do, so the comparison is of engines;
//! the product's own sockets carry RocketMQ frames only and are measured with RocketMQ's roles in `cluster.rs`. Shared by the benches of the
//! product and of its rivals.

use windtunnel::base::draw::{Draws, Purpose};
use windtunnel::base::ids::Entity;
use windtunnel::base::quantile::Quantiles;
use windtunnel::kernel::digest::Digest;
use windtunnel::kernel::order::{Class, Order};
use windtunnel::kernel::queue::EventQueue;

/// Servers and clients.
pub(crate) const SIZES: [(u16, u16); 3] = [(3, 10), (3, 100), (30, 100)];

/// A message on its way: the connection and the request's number.
#[derive(Clone, Copy, Debug)]
struct Message {
    conn: u32,
    to_server: bool,
    n: u32,
    /// The draw for the way back: one block of key stream serves a request and its answer.
    back: u32,
}

/// One connection: the moments at which the last message each way arrives. What is sent later arrives later.
#[derive(Clone, Copy, Debug, Default)]
struct Conn {
    last: [u64; 2],
}

#[derive(Clone, Copy, Debug)]
struct Node {
    entity: Entity,
    /// Messages sent, which number its events.
    counter: u64,
    /// Answers got (a client), requests answered (a server).
    done: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Echo {
    servers: u16,
    nodes: Vec<Node>,
    conns: Vec<Conn>,
    queue: EventQueue<Message>,
    digest: Digest,
    draws: Draws,
    latency: Quantiles,
    requests: u32,
    pub(crate) messages: u64,
}

impl Echo {
    pub(crate) fn new(servers: u16, clients: u16, requests: u32) -> Self {
        let node = |i: u16| Node { entity: Entity::named(&format!("node-{i}")), counter: 0, done: 0 };
        let mut echo = Echo {
            servers,
            nodes: (0..servers + clients).map(node).collect(),
            conns: vec![Conn::default(); servers as usize * clients as usize],
            queue: EventQueue::default(),
            digest: Digest::default(),
            draws: Draws::new(1),
            latency: Quantiles::log_normal(1_000_000, 2_000_000),
            requests,
            messages: 0,
        };
        for client in 0..clients {
            echo.ask(0, client, 0);
        }
        echo
    }

    /// The client's next request, to the next server.
    #[inline]
    fn ask(&mut self, now: u64, client: u16, n: u32) {
        let server = n % self.servers as u32;
        let conn = client as u32 * self.servers as u32 + server;
        let from = self.servers + client;
        let luck = self.draws.luck(self.nodes[from as usize].entity, Purpose::Request, n as u64);
        self.send(now, from, luck.outbound(), Message { conn, to_server: true, n, back: luck.inbound() });
    }

    #[inline]
    fn send(&mut self, now: u64, from: u16, word: u32, message: Message) {
        let node = &mut self.nodes[from as usize];
        node.counter += 1;
        let last = &mut self.conns[message.conn as usize].last[message.to_server as usize];
        let at = (now + self.latency.at(word)).max(*last + 1);
        *last = at;
        self.queue.push(at, Order::new(Class::Network, from, node.counter), message);
    }

    /// Until every client has all its answers. Returns the digest.
    pub(crate) fn run(&mut self) -> u64 {
        while let Some(entry) = self.queue.pop() {
            let (now, message) = (entry.time, entry.event);
            self.messages += 1;
            self.digest.word(now);
            self.digest.word(entry.order.0);
            self.digest.word((message.conn as u64) << 33 | (message.n as u64) << 1 | message.to_server as u64);
            let (client, server) = (message.conn / self.servers as u32, message.conn % self.servers as u32);
            if message.to_server {
                self.nodes[server as usize].done += 1;
                self.send(now, server as u16, message.back, Message { to_server: false, ..message });
            } else {
                let asker = &mut self.nodes[self.servers as usize + client as usize];
                asker.done += 1;
                if asker.done < self.requests {
                    self.ask(now, client as u16, message.n + 1);
                }
            }
        }
        self.digest.value()
    }
}
