//! What a nameserver believes of the cluster: who registered, at which address, with which topics.
//!
//! There is no agreement behind it. A registration is taken at its word, two processes that claim one broker id simply
//! overwrite each other, and what no one repeats for two minutes is forgotten. Topics are copied only from masters, only
//! when their version differs from the one last seen from that *address*, and are never removed by a later copy without
//! them. A broker leaves by saying so, by losing its connection, or by silence; the last address to go takes the
//! broker's queues along. Models `RouteInfoManager` (4.9.8; 4.9.7 agrees), with `DefaultRequestProcessor`'s version
//! query and the one namespace of `KVConfigManager` that routes carry.
//!
//! Answers are shared: the route of a topic is built once and handed out until something in any route changes. A
//! heartbeat that changes nothing keeps them.

use crate::base::ids::{Addr, BrokerName, TopicId};
use crate::rocketmq::route::{
    BrokerData, DataVersion, MASTER_ID, PERM_READ, PERM_WRITE, QueueData, TopicConfig, TopicConfigs, TopicRouteData,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `RouteInfoManager.BROKER_CHANNEL_EXPIRED_TIME`: a broker silent for longer is removed by the next scan.
pub const BROKER_CHANNEL_EXPIRED_MS: i64 = 120_000;

/// The connection a registration came over, numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u32);

/// A broker's registration: REGISTER_BROKER.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// The cluster, by its number in the scenario.
    pub cluster: u16,
    /// The broker's name.
    pub broker: BrokerName,
    /// 0 for a master.
    pub broker_id: u64,
    /// Where clients reach it.
    pub addr: Addr,
    /// Where slaves reach it.
    pub ha_server_addr: Addr,
    /// The connection it came over.
    pub channel: Channel,
    /// Its topic table.
    pub topics: &'a TopicConfigs,
}

/// The answer to a registration, and what it displaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegisterResult {
    /// For a slave whose master is alive: where to copy the log from.
    pub ha_server_addr: Option<Addr>,
    /// For a slave whose master is alive: where to copy settings from.
    pub master_addr: Option<Addr>,
    /// Not part of the answer: another process had this broker id and has lost it.
    pub displaced: Option<Addr>,
    /// Not part of the answer: the process did not have this broker id before.
    pub new_id: bool,
}

/// What the removal of a broker address dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The address was among the living.
    pub live: bool,
    /// The broker id and address taken out of a broker's addresses.
    pub address: Option<(BrokerName, u64, Addr)>,
    /// That was the broker's last address: the name is gone, and its queues with it.
    pub broker: Option<BrokerName>,
    /// Topics that had queues on that broker only.
    pub topics: Vec<TopicId>,
}

/// A broker that a scan found silent. Its channel is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The silent address.
    pub addr: Addr,
    /// The connection it last registered over.
    pub channel: Channel,
    /// What went with it. It names no broker if another process had taken the broker id meanwhile.
    pub dropped: Dropped,
}

#[derive(Clone, Debug)]
struct BrokerLiveInfo {
    last_update_ms: i64,
    version: DataVersion,
    channel: Channel,
    ha_server_addr: Addr,
}

/// The tables of one nameserver process.
#[derive(Clone, Debug)]
pub struct RouteInfoManager {
    expired_ms: i64,
    topic_queues: BTreeMap<TopicId, BTreeMap<BrokerName, QueueData>>,
    broker_addrs: BTreeMap<BrokerName, BrokerData>,
    clusters: BTreeMap<u16, BTreeSet<BrokerName>>,
    live: BTreeMap<Addr, BrokerLiveInfo>,
    order_topic_confs: BTreeMap<TopicId, Arc<str>>,
    /// Routes handed out since the last change.
    answers: BTreeMap<TopicId, Arc<TopicRouteData>>,
}

impl Default for RouteInfoManager {
    fn default() -> Self {
        Self::new(BROKER_CHANNEL_EXPIRED_MS)
    }
}

impl RouteInfoManager {
    /// A nameserver that has heard of nobody and forgets after `expired_ms` of silence.
    pub fn new(expired_ms: i64) -> Self {
        RouteInfoManager {
            expired_ms,
            topic_queues: BTreeMap::new(),
            broker_addrs: BTreeMap::new(),
            clusters: BTreeMap::new(),
            live: BTreeMap::new(),
            order_topic_confs: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// `registerBroker`, which is also a broker's heartbeat.
    pub fn register_broker(&mut self, registration: Registration<'_>, now_ms: i64) -> RegisterResult {
        let Registration { cluster, broker, broker_id, addr, ha_server_addr, channel, topics } = registration;
        self.clusters.entry(cluster).or_default().insert(broker);
        let addrs =
            &mut self.broker_addrs.entry(broker).or_insert_with(|| BrokerData { broker, cluster, addrs: BTreeMap::new() }).addrs;
        // A process that changes its role keeps its address: one address has one id.
        let ids = addrs.len();
        addrs.retain(|id, known| *known != addr || *id == broker_id);
        let mut changed = addrs.len() != ids;
        let old = addrs.insert(broker_id, addr);
        changed |= old != Some(addr);

        let version_changed = self.live.get(&addr).is_none_or(|live| live.version != topics.version);
        if broker_id == MASTER_ID && (version_changed || old.is_none()) {
            for (&topic, &TopicConfig { read, write, perm }) in topics.topics.iter() {
                let data = QueueData { broker, read_queue_nums: read, write_queue_nums: write, perm };
                changed |= self.topic_queues.entry(topic).or_default().insert(broker, data) != Some(data);
            }
        }
        self.live.insert(addr, BrokerLiveInfo { last_update_ms: now_ms, version: topics.version, channel, ha_server_addr });
        if changed {
            self.answers.clear();
        }

        let mut result =
            RegisterResult { displaced: old.filter(|old| *old != addr), new_id: old != Some(addr), ..RegisterResult::default() };
        if broker_id != MASTER_ID
            && let Some(master) = self.broker_addrs.get(&broker).and_then(BrokerData::master)
            && let Some(live) = self.live.get(&master)
        {
            result.ha_server_addr = Some(live.ha_server_addr);
            result.master_addr = Some(master);
        }
        result
    }

    /// QUERY_DATA_VERSION (`DefaultRequestProcessor#queryBrokerTopicConfig`): whether the broker must register again, and
    /// the version known of it. A query that finds nothing changed keeps the broker alive like a registration.
    pub fn query_data_version(&mut self, addr: Addr, version: DataVersion, now_ms: i64) -> (bool, Option<DataVersion>) {
        let Some(live) = self.live.get_mut(&addr) else {
            return (true, None);
        };
        let changed = live.version != version;
        if !changed {
            live.last_update_ms = now_ms;
        }
        (changed, Some(live.version))
    }

    /// `unregisterBroker`: a broker says goodbye. Its id is given up whatever address holds it by now, so the late
    /// goodbye of an old process evicts the new one.
    pub fn unregister_broker(&mut self, cluster: u16, broker: BrokerName, broker_id: u64, addr: Addr) -> Dropped {
        let mut dropped = Dropped { live: self.live.remove(&addr).is_some(), ..Dropped::default() };
        if let Some(data) = self.broker_addrs.get_mut(&broker) {
            dropped.address = data.addrs.remove(&broker_id).map(|held| (broker, broker_id, held));
            if data.addrs.is_empty() {
                self.drop_broker(cluster, broker, &mut dropped);
            }
        }
        self.forget_answers_after(&dropped);
        dropped
    }

    /// `onChannelDestroy`: a connection is gone. It stands for the broker that last registered over it; for an older
    /// connection only the remote address is left to go by, and that names a broker only if the caller knows it to.
    pub fn on_channel_destroy(&mut self, channel: Channel, remote: Option<Addr>) -> Dropped {
        let registered = self.live.iter().find(|(_, live)| live.channel == channel).map(|(addr, _)| *addr);
        registered.or(remote).map(|addr| self.drop_address(addr)).unwrap_or_default()
    }

    /// `scanNotActiveBroker`: removes who has been silent for too long.
    pub fn scan_not_active_broker(&mut self, now_ms: i64) -> Vec<Expired> {
        let silent = |live: &BrokerLiveInfo| live.last_update_ms.saturating_add(self.expired_ms) < now_ms;
        let expired: Vec<(Addr, Channel)> =
            self.live.iter().filter(|(_, live)| silent(live)).map(|(addr, live)| (*addr, live.channel)).collect();
        expired
            .into_iter()
            .map(|(addr, channel)| {
                let live = self.live.remove(&addr).is_some();
                // The channel is looked for among the living again, now without this address.
                let mut dropped = self.on_channel_destroy(channel, Some(addr));
                dropped.live |= live;
                Expired { addr, channel, dropped }
            })
            .collect()
    }

    /// Takes an address out of the living and out of the one broker that lists it.
    fn drop_address(&mut self, addr: Addr) -> Dropped {
        let mut dropped = Dropped { live: self.live.remove(&addr).is_some(), ..Dropped::default() };
        let holder = self.broker_addrs.values_mut().find_map(|data| {
            let id = data.addrs.iter().find(|(_, held)| **held == addr).map(|(id, _)| *id)?;
            data.addrs.remove(&id);
            Some((data.broker, id, data.addrs.is_empty(), data.cluster))
        });
        if let Some((broker, id, empty, cluster)) = holder {
            dropped.address = Some((broker, id, addr));
            if empty {
                self.drop_broker(cluster, broker, &mut dropped);
            }
        }
        self.forget_answers_after(&dropped);
        dropped
    }

    /// Removes a broker without addresses: its name, its place in the cluster, its queues, and topics left without any.
    fn drop_broker(&mut self, cluster: u16, broker: BrokerName, dropped: &mut Dropped) {
        self.broker_addrs.remove(&broker);
        dropped.broker = Some(broker);
        if let Some(members) = self.clusters.get_mut(&cluster) {
            members.remove(&broker);
            if members.is_empty() {
                self.clusters.remove(&cluster);
            }
        }
        self.topic_queues.retain(|topic, queues| {
            queues.remove(&broker);
            if queues.is_empty() {
                dropped.topics.push(*topic);
            }
            !queues.is_empty()
        });
    }

    fn forget_answers_after(&mut self, dropped: &Dropped) {
        if dropped.address.is_some() || dropped.broker.is_some() {
            self.answers.clear();
        }
    }

    /// WIPE_WRITE_PERM_OF_BROKER: takes the write permission from all topics of a broker, here only and only until it
    /// registers a new version. Returns the number of topics it has, not of those changed.
    pub fn wipe_write_perm(&mut self, broker: BrokerName) -> usize {
        self.set_perms(broker, |perm| perm & !PERM_WRITE)
    }

    /// ADD_WRITE_PERM_OF_BROKER: read and write, and nothing besides.
    pub fn add_write_perm(&mut self, broker: BrokerName) -> usize {
        self.set_perms(broker, |_| PERM_READ | PERM_WRITE)
    }

    fn set_perms(&mut self, broker: BrokerName, perm: impl Fn(u8) -> u8) -> usize {
        self.answers.clear();
        let datas = self.topic_queues.values_mut().filter_map(|queues| queues.get_mut(&broker));
        datas.map(|data| data.perm = perm(data.perm)).count()
    }

    /// DELETE_TOPIC_IN_NAMESRV: forgets a topic until a master registers it with a new version. Returns the queues it had.
    pub fn delete_topic(&mut self, topic: TopicId) -> Vec<QueueData> {
        self.answers.clear();
        self.topic_queues.remove(&topic).map(|queues| queues.into_values().collect()).unwrap_or_default()
    }

    /// Sets or clears the order configuration that routes of a topic carry (`ORDER_TOPIC_CONFIG`). A nameserver without
    /// `orderMessageEnable` is given none.
    pub fn set_order_topic_conf(&mut self, topic: TopicId, conf: Option<Arc<str>>) {
        self.answers.clear();
        match conf {
            Some(conf) => self.order_topic_confs.insert(topic, conf),
            None => self.order_topic_confs.remove(&topic),
        };
    }

    /// `pickupTopicRouteData`: the route of a topic, by broker name. None if no broker has the topic, or none of those
    /// that have it is known by an address. Neither permissions nor liveness are looked at.
    pub fn pickup_topic_route_data(&mut self, topic: TopicId) -> Option<Arc<TopicRouteData>> {
        if let Some(answer) = self.answers.get(&topic) {
            return Some(Arc::clone(answer));
        }
        let queues = self.topic_queues.get(&topic)?;
        let broker_datas: Vec<BrokerData> = queues.keys().filter_map(|broker| self.broker_addrs.get(broker).cloned()).collect();
        if broker_datas.is_empty() {
            return None;
        }
        let order_topic_conf = self.order_topic_confs.get(&topic).cloned();
        let answer = Arc::new(TopicRouteData { queue_datas: queues.values().copied().collect(), broker_datas, order_topic_conf });
        self.answers.insert(topic, Arc::clone(&answer));
        Some(answer)
    }

    /// The brokers of each cluster, one half of GET_BROKER_CLUSTER_INFO.
    pub fn clusters(&self) -> impl Iterator<Item = (u16, &BTreeSet<BrokerName>)> {
        self.clusters.iter().map(|(cluster, brokers)| (*cluster, brokers))
    }

    /// The addresses of each broker name, the other half.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerData> {
        self.broker_addrs.values()
    }

    /// The topics known: GET_ALL_TOPIC_LIST_FROM_NAMESERVER.
    pub fn topics(&self) -> impl Iterator<Item = TopicId> {
        self.topic_queues.keys().copied()
    }

    /// Whether an address has registered and not been removed since.
    pub fn is_live(&self, addr: Addr) -> bool {
        self.live.contains_key(&addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: BrokerName = BrokerName(0);
    const T: TopicId = TopicId(0);

    fn topics(counter: u64, write: u32) -> TopicConfigs {
        let config = TopicConfig { read: 4, write, perm: 7 };
        TopicConfigs { version: DataVersion { timestamp_ms: 0, counter }, topics: Arc::new(BTreeMap::from([(T, config)])) }
    }
    fn register(routes: &mut RouteInfoManager, broker_id: u64, addr: u16, topics: &TopicConfigs, now_ms: i64) -> RegisterResult {
        let (addr, ha_server_addr) = (Addr(addr), Addr(addr + 100));
        routes.register_broker(
            Registration { cluster: 0, broker: A, broker_id, addr, ha_server_addr, channel: Channel(addr.0.into()), topics },
            now_ms,
        )
    }
    fn addrs(routes: &mut RouteInfoManager) -> Option<Vec<(u64, u16)>> {
        let route = routes.pickup_topic_route_data(T)?;
        Some(route.broker_datas[0].addrs.iter().map(|(id, addr)| (*id, addr.0)).collect())
    }
    fn writes(routes: &mut RouteInfoManager) -> u32 {
        routes.pickup_topic_route_data(T).map_or(0, |route| route.queue_datas[0].write_queue_nums)
    }

    #[test]
    fn a_slave_alone_brings_no_topics_and_learns_its_master_once_there_is_one() {
        let mut routes = RouteInfoManager::default();
        assert_eq!(register(&mut routes, 1, 1, &topics(1, 4), 0), RegisterResult { new_id: true, ..RegisterResult::default() });
        assert_eq!(addrs(&mut routes), None);
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        let answer = register(&mut routes, 1, 1, &topics(1, 4), 0);
        assert!(!answer.new_id, "a heartbeat");
        assert_eq!((answer.master_addr, answer.ha_server_addr), (Some(Addr(0)), Some(Addr(100))));
        assert_eq!(addrs(&mut routes), Some(vec![(0, 0), (1, 1)]));
    }

    #[test]
    fn the_last_to_claim_an_id_has_it_and_one_address_has_one_id() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        assert_eq!(register(&mut routes, 0, 1, &topics(1, 4), 0).displaced, Some(Addr(0)));
        assert_eq!(register(&mut routes, 0, 0, &topics(1, 4), 0).displaced, Some(Addr(1)));
        register(&mut routes, 1, 0, &topics(1, 4), 0);
        assert_eq!(addrs(&mut routes), Some(vec![(1, 0)]), "the master has become a slave");
    }

    #[test]
    fn topics_are_copied_when_the_version_of_the_address_differs() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        register(&mut routes, 0, 0, &topics(1, 8), 0);
        assert_eq!(writes(&mut routes), 4);
        assert_eq!(routes.delete_topic(T).len(), 1);
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        assert_eq!(writes(&mut routes), 0, "deleted, and the version is known");
        register(&mut routes, 0, 0, &topics(2, 8), 0);
        assert_eq!(writes(&mut routes), 8);
        routes.delete_topic(T);
        register(&mut routes, 1, 0, &topics(2, 8), 0);
        register(&mut routes, 0, 0, &topics(2, 8), 0);
        assert_eq!(writes(&mut routes), 8, "whoever takes an id afresh brings its topics");
    }

    #[test]
    fn a_version_query_that_finds_nothing_new_is_a_heartbeat() {
        let mut routes = RouteInfoManager::default();
        let (one, two) = (topics(1, 4).version, topics(2, 4).version);
        assert_eq!(routes.query_data_version(Addr(0), one, 0), (true, None));
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        assert_eq!(routes.query_data_version(Addr(0), two, 50_000), (true, Some(one)));
        assert!(routes.scan_not_active_broker(120_000).is_empty(), "not strictly older");
        assert_eq!(routes.query_data_version(Addr(0), one, 120_000), (false, Some(one)));
        assert!(routes.scan_not_active_broker(240_000).is_empty());
        let expired = routes.scan_not_active_broker(240_001);
        let dropped = Dropped { live: true, address: Some((A, 0, Addr(0))), broker: Some(A), topics: vec![T] };
        assert_eq!(expired, [Expired { addr: Addr(0), channel: Channel(0), dropped }]);
        assert!(!routes.is_live(Addr(0)));
        assert_eq!(routes.clusters().count(), 0);
    }

    #[test]
    fn a_late_goodbye_evicts_the_new_holder_of_the_id() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        register(&mut routes, 1, 2, &topics(1, 4), 0);
        register(&mut routes, 0, 1, &topics(1, 4), 0);
        let dropped = routes.unregister_broker(0, A, 0, Addr(0));
        assert_eq!((dropped.address, dropped.broker), (Some((A, 0, Addr(1))), None));
        assert_eq!(addrs(&mut routes), Some(vec![(1, 2)]), "the queues stay, with a slave only");
        assert!(routes.is_live(Addr(1)));
    }

    #[test]
    fn an_old_connection_no_longer_stands_for_anybody() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        assert_eq!(routes.on_channel_destroy(Channel(9), None), Dropped::default());
        assert_eq!(routes.on_channel_destroy(Channel(0), None).topics, [T]);
        assert_eq!((addrs(&mut routes), routes.brokers().count(), routes.topics().count()), (None, 0, 0));
    }

    #[test]
    fn permissions_change_here_only_until_the_next_version() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        let perm = |routes: &mut RouteInfoManager| routes.pickup_topic_route_data(T).unwrap().queue_datas[0].perm;
        assert_eq!((routes.wipe_write_perm(A), perm(&mut routes)), (1, 5));
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        assert_eq!((routes.wipe_write_perm(A), perm(&mut routes)), (1, 5));
        assert_eq!((routes.add_write_perm(A), perm(&mut routes)), (1, 6));
        register(&mut routes, 0, 0, &topics(2, 4), 0);
        assert_eq!((routes.wipe_write_perm(BrokerName(1)), perm(&mut routes)), (0, 7));
    }

    #[test]
    fn a_heartbeat_keeps_the_answer_and_an_order_conf_replaces_it() {
        let mut routes = RouteInfoManager::default();
        register(&mut routes, 0, 0, &topics(1, 4), 0);
        let first = routes.pickup_topic_route_data(T).unwrap();
        register(&mut routes, 0, 0, &topics(2, 4), 9);
        assert!(Arc::ptr_eq(&first, &routes.pickup_topic_route_data(T).unwrap()));
        routes.set_order_topic_conf(T, Some("a:1".into()));
        assert_eq!(routes.pickup_topic_route_data(T).unwrap().order_topic_conf.as_deref(), Some("a:1"));
    }

    proptest! {
        #[test]
        fn a_kept_answer_is_the_answer(steps in proptest::collection::vec((0..6u8, 0..3u64, 0..4u16, 0..3u64), 1..60)) {
            let (mut routes, mut now) = (RouteInfoManager::default(), 0);
            for (op, id, addr, version) in steps {
                match op {
                    0 | 1 => drop(register(&mut routes, id, addr, &topics(version, version as u32), now)),
                    2 => drop(routes.unregister_broker(0, A, id, Addr(addr))),
                    3 => drop(routes.on_channel_destroy(Channel(addr.into()), Some(Addr(addr)))),
                    4 => drop(routes.wipe_write_perm(A)),
                    _ => {
                        now += 70_000;
                        routes.scan_not_active_broker(now);
                    }
                }
                let kept = routes.pickup_topic_route_data(T);
                routes.answers.clear();
                prop_assert_eq!(kept, routes.pickup_topic_route_data(T));
            }
        }
    }
}
