//! The keys, by the object that carries them in RocketMQ. Defaults are those of 4.9.8 (spec: client section 11, server section 15).

use super::{BrokerRole, ConsumeFromWhere, FlushDiskType, Kind, MessageModel, Setting, SettingError, Value, Word};
use crate::base::time::{MS, parse_duration};

/// How a field's type reads a value.
trait Field: Sized {
    const KIND: Kind;
    fn read(kind: Kind, value: &Value) -> Option<Self>;
    fn print(&self) -> String;
}

impl Field for u64 {
    const KIND: Kind = Kind::Count;
    fn read(kind: Kind, value: &Value) -> Option<u64> {
        match (kind, value) {
            (_, Value::Int(n)) => u64::try_from(*n).ok(),
            (Kind::Millis, Value::Text(text)) => {
                let ns = parse_duration(text).ok()?;
                ns.is_multiple_of(MS).then_some(ns / MS)
            }
            (_, Value::Text(text)) => text.parse().ok(),
            _ => None,
        }
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

impl Field for i64 {
    const KIND: Kind = Kind::Signed;
    fn read(_: Kind, value: &Value) -> Option<i64> {
        match value {
            Value::Int(n) => Some(*n),
            Value::Text(text) => text.parse().ok(),
            Value::Flag(_) => None,
        }
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

impl Field for bool {
    const KIND: Kind = Kind::Flag;
    fn read(_: Kind, value: &Value) -> Option<bool> {
        match value {
            Value::Flag(b) => Some(*b),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => None,
        }
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

impl Field for String {
    const KIND: Kind = Kind::Text;
    fn read(_: Kind, value: &Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
    fn print(&self) -> String {
        self.clone()
    }
}

impl<W: Word> Field for W {
    const KIND: Kind = Kind::Choice(W::WORDS);
    fn read(_: Kind, value: &Value) -> Option<W> {
        match value {
            Value::Text(text) => W::WORDS.iter().position(|w| w == text).map(W::from_index),
            _ => None,
        }
    }
    fn print(&self) -> String {
        W::WORDS[self.index()].to_owned()
    }
}

macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty $(as $kind:ident)? = $default:expr, $key:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            /// Every key, in the order of the fields.
            pub const TABLE: &'static [Setting] = &[
                $(Setting { key: $key, kind: settings!(@kind $type $(, $kind)?), doc: concat!($($doc),+) },)*
            ];

            /// Sets one key by RocketMQ's spelling.
            pub fn set(&mut self, key: &str, value: &Value) -> Result<(), SettingError> {
                match key {
                    $($key => {
                        const KIND: Kind = settings!(@kind $type $(, $kind)?);
                        match <$type as Field>::read(KIND, value) {
                            Some(v) => self.$field = v,
                            None => return Err(SettingError::WrongValue { key: $key, expected: KIND.expected(), got: match value {
                                Value::Int(n) => n.to_string(),
                                Value::Text(t) => format!("\"{t}\""),
                                Value::Flag(b) => b.to_string(),
                            } }),
                        }
                        Ok(())
                    })*
                    _ => Err(SettingError::UnknownKey { key: key.to_owned() }),
                }
            }

            /// The value of every key as text, for the resolved scenario.
            pub fn entries(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$field.print()),)*]
            }
        }
    };
    (@kind $type:ty, $kind:ident) => { Kind::$kind };
    (@kind $type:ty) => { <$type as Field>::KIND };
}

settings! {
    /// `NamesrvConfig` and the constants of `RouteInfoManager` / `NamesrvController` (4.9.8).
    NameserverSettings {
        /// Period of the scan for expired brokers, ms (`NamesrvController#initialize`).
        scan_not_active_broker_interval: u64 as Millis = 10_000, "scanNotActiveBrokerInterval";
        /// A broker not heard of for longer than this is expired by the scan, ms (`RouteInfoManager.BROKER_CHANNEL_EXPIRED_TIME`).
        broker_channel_expired_time: u64 as Millis = 120_000, "brokerChannelExpiredTime";
        /// Whether route answers carry the order configuration (`NamesrvConfig.orderMessageEnable`).
        order_message_enable: bool = false, "orderMessageEnable";
        /// Idle channels are closed after this, s (`NettyServerConfig.serverChannelMaxIdleTimeSeconds`).
        server_channel_max_idle_time_seconds: u64 = 120, "serverChannelMaxIdleTimeSeconds";
    }
}

settings! {
    /// `BrokerConfig`, `MessageStoreConfig` and `NettyServerConfig` (4.9.8).
    BrokerSettings {
        /// ASYNC_MASTER, SYNC_MASTER or SLAVE.
        broker_role: BrokerRole = BrokerRole::AsyncMaster, "brokerRole";
        /// ASYNC_FLUSH or SYNC_FLUSH.
        flush_disk_type: FlushDiskType = FlushDiskType::AsyncFlush, "flushDiskType";
        /// Permission bits of the whole broker: 4 read, 2 write.
        broker_permission: u64 = 6, "brokerPermission";
        /// Period of registration with every nameserver, ms; used clamped to 10 000..60 000.
        register_name_server_period: u64 as Millis = 30_000, "registerNameServerPeriod";
        /// How long one registration round may take, ms.
        register_broker_timeout_mills: u64 as Millis = 6_000, "registerBrokerTimeoutMills";
        /// Whether an unknown topic is created by a send.
        auto_create_topic_enable: bool = true, "autoCreateTopicEnable";
        /// Queues of the auto-create key TBW102.
        default_topic_queue_nums: u64 = 8, "defaultTopicQueueNums";
        /// Whether an unknown subscription group is created by a heartbeat.
        auto_create_subscription_group: bool = true, "autoCreateSubscriptionGroup";
        /// Whether changes of a group are announced to its members.
        notify_consumer_ids_changed_enable: bool = true, "notifyConsumerIdsChangedEnable";
        /// A client not heard of for longer than this is expired by the scan, ms (`ConsumerManager.CHANNEL_EXPIRED_TIMEOUT`; a setting from 5.x on).
        channel_expired_timeout: u64 as Millis = 120_000, "channelExpiredTimeout";
        /// Period at which consumerOffset.json is written, ms.
        flush_consumer_offset_interval: u64 as Millis = 5_000, "flushConsumerOffsetInterval";
        /// Life of a queue lock that is not renewed, ms (-D rocketmq.broker.rebalance.lockMaxLiveTime).
        rebalance_lock_max_live_time: u64 as Millis = 60_000, "rocketmq.broker.rebalance.lockMaxLiveTime";
        /// Send threads; 0 means min(cpus, 4).
        send_message_thread_pool_nums: u64 = 0, "sendMessageThreadPoolNums";
        /// Pull threads; 0 means 16 + 2 x cpus.
        pull_message_thread_pool_nums: u64 = 0, "pullMessageThreadPoolNums";
        /// Heartbeat threads; 0 means min(32, cpus).
        heartbeat_thread_pool_nums: u64 = 0, "heartbeatThreadPoolNums";
        /// Capacity of the send queue; a full queue answers SYSTEM_BUSY.
        send_thread_pool_queue_capacity: u64 = 10_000, "sendThreadPoolQueueCapacity";
        /// Capacity of the pull queue.
        pull_thread_pool_queue_capacity: u64 = 100_000, "pullThreadPoolQueueCapacity";
        /// Whether requests that waited too long are answered SYSTEM_BUSY.
        broker_fast_failure_enable: bool = true, "brokerFastFailureEnable";
        /// Age at which a queued send is answered SYSTEM_BUSY, ms.
        wait_time_mills_in_send_queue: u64 as Millis = 200, "waitTimeMillsInSendQueue";
        /// Age at which a queued pull is answered SYSTEM_BUSY, ms.
        wait_time_mills_in_pull_queue: u64 as Millis = 5_000, "waitTimeMillsInPullQueue";
        /// Age at which a queued heartbeat is answered SYSTEM_BUSY, ms.
        wait_time_mills_in_heartbeat_queue: u64 as Millis = 31_000, "waitTimeMillsInHeartbeatQueue";
        /// The put lock held for longer than this means page cache busy, ms.
        os_page_cache_busy_time_out_mills: u64 as Millis = 1_000, "osPageCacheBusyTimeOutMills";
        /// Whether empty pulls are held.
        long_polling_enable: bool = true, "longPollingEnable";
        /// Hold when long polling is off, ms.
        short_polling_time_mills: u64 as Millis = 1_000, "shortPollingTimeMills";
        /// Whether consumers are sent to a slave when the backlog is larger than memory.
        slave_read_enable: bool = false, "slaveReadEnable";
        /// Share of RAM that is taken to be in page cache, %.
        access_message_in_memory_max_ratio: u64 = 40, "accessMessageInMemoryMaxRatio";
        /// Physical memory of the broker's host, bytes.
        physical_memory: u64 as Bytes = 24 << 30, "physicalMemory";
        /// Messages a pull may bring from memory.
        max_transfer_count_on_message_in_memory: u64 = 32, "maxTransferCountOnMessageInMemory";
        /// Bytes a pull may bring from memory.
        max_transfer_bytes_on_message_in_memory: u64 as Bytes = 262_144, "maxTransferBytesOnMessageInMemory";
        /// Messages a pull may bring from disk.
        max_transfer_count_on_message_in_disk: u64 = 8, "maxTransferCountOnMessageInDisk";
        /// Bytes a pull may bring from disk.
        max_transfer_bytes_on_message_in_disk: u64 as Bytes = 65_536, "maxTransferBytesOnMessageInDisk";
        /// Largest body, bytes.
        max_message_size: u64 as Bytes = 4_194_304, "maxMessageSize";
        /// Levels of delayed delivery.
        message_delay_level: String = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".into(), "messageDelayLevel";
        /// Period at which delayOffset.json is written, ms.
        flush_delay_offset_interval: u64 as Millis = 10_000, "flushDelayOffsetInterval";
        /// Commit log file size, bytes.
        mapped_file_size_commit_log: u64 as Bytes = 1 << 30, "mappedFileSizeCommitLog";
        /// Consume queue file size, bytes.
        mapped_file_size_consume_queue: u64 as Bytes = 6_000_000, "mappedFileSizeConsumeQueue";
        /// Hours of the day, on the broker's own clock (UTC), in which expired files are deleted: two digits each, separated by ";".
        delete_when: String = "04".into(), "deleteWhen";
        /// Hours after its last write at which a log file may be deleted, whoever has read it.
        file_reserved_time: u64 = 72, "fileReservedTime";
        /// Use of the store's partition above which expired files are deleted at any hour, %; used clamped to 10..95.
        disk_max_used_space_ratio: u64 = 75, "diskMaxUsedSpaceRatio";
        /// Use of the store's partition above which the broker takes no messages, and deletes files before their time (-D; at most four decimals).
        disk_space_warning_level_ratio: String = "0.90".into(), "rocketmq.broker.diskSpaceWarningLevelRatio";
        /// Use of the store's partition above which files are deleted before their time (-D; at most four decimals).
        disk_space_clean_forcibly_ratio: String = "0.85".into(), "rocketmq.broker.diskSpaceCleanForciblyRatio";
        /// The same of a DLedger group's store, which appends nothing above 0.05 more, or above 0.95 (-D; at most four decimals).
        dledger_disk_ratio_clean: String = "0.85".into(), "dledger.disk.ratio.clean";
        /// Whether files are deleted before their time when the disk is that full.
        clean_file_forcibly_enable: bool = true, "cleanFileForciblyEnable";
        /// Period of the cleaning, ms; the first comes 60 s after the start.
        clean_resource_interval: u64 as Millis = 10_000, "cleanResourceInterval";
        /// Pause between two log files that are deleted, ms.
        delete_commit_log_files_interval: u64 as Millis = 100, "deleteCommitLogFilesInterval";
        /// Pause after a consume queue of which files were deleted, ms.
        delete_consume_queue_files_interval: u64 as Millis = 100, "deleteConsumeQueueFilesInterval";
        /// Members of its DLedger group that should lead ("n0", or "n0;n2"): a leader that is none of them hands its leadership to one. Empty: none.
        preferred_leader_id: String = String::new(), "preferredLeaderId";
        /// Cycle of the asynchronous flush, ms.
        flush_interval_commit_log: u64 as Millis = 500, "flushIntervalCommitLog";
        /// Dirty pages of 4 KiB below which the asynchronous flush waits.
        flush_commit_log_least_pages: u64 = 4, "flushCommitLogLeastPages";
        /// Age at which the asynchronous flush writes any dirty page, ms.
        flush_commit_log_thorough_interval: u64 as Millis = 10_000, "flushCommitLogThoroughInterval";
        /// How long a SYNC_FLUSH put waits, ms.
        sync_flush_timeout: u64 as Millis = 5_000, "syncFlushTimeout";
        /// Cycle of the consume-queue flush, ms.
        flush_interval_consume_queue: u64 as Millis = 1_000, "flushIntervalConsumeQueue";
        /// Dirty pages (4 KiB) that a consume queue must have before it is flushed; 0: any byte.
        flush_consume_queue_least_pages: u64 = 2, "flushConsumeQueueLeastPages";
        /// Age at which the consume-queue flush writes every queue, ms.
        flush_consume_queue_thorough_interval: u64 as Millis = 60_000, "flushConsumeQueueThoroughInterval";
        /// Whether appends go to an off-heap buffer first.
        transient_store_pool_enable: bool = false, "transientStorePoolEnable";
        /// Cycle of the pool's commit, ms.
        commit_interval_commit_log: u64 as Millis = 200, "commitIntervalCommitLog";
        /// How long a SYNC_MASTER put waits for a slave, ms.
        slave_timeout: u64 as Millis = 3_000, "slaveTimeout";
        /// Lag above which a slave does not count as available, bytes.
        ha_slave_fallbehind_max: u64 as Bytes = 268_435_456, "haSlaveFallbehindMax";
        /// Heartbeat of the HA connection, ms.
        ha_send_heartbeat_interval: u64 as Millis = 5_000, "haSendHeartbeatInterval";
        /// Silence after which an HA connection is closed, ms.
        ha_housekeeping_interval: u64 as Millis = 20_000, "haHousekeepingInterval";
        /// Largest batch of log bytes an HA packet carries.
        ha_transfer_batch_size: u64 as Bytes = 32_768, "haTransferBatchSize";
        /// Whether a slave corrects offsets that are out of its range.
        offset_check_in_slave: bool = false, "offsetCheckInSlave";
        /// Age below which a half message is not checked, ms.
        transaction_time_out: u64 as Millis = 6_000, "transactionTimeOut";
        /// Checks after which a half message is discarded.
        transaction_check_max: u64 = 15, "transactionCheckMax";
        /// Period of the transaction check, ms.
        transaction_check_interval: u64 as Millis = 60_000, "transactionCheckInterval";
        /// Idle channels are closed after this, s (`NettyServerConfig.serverChannelMaxIdleTimeSeconds`).
        server_channel_max_idle_time_seconds: u64 = 120, "serverChannelMaxIdleTimeSeconds";
        /// Retry queues of a subscription group (`SubscriptionGroupConfig.retryQueueNums`).
        retry_queue_nums: u64 = 1, "retryQueueNums";
        /// Retries before a message goes to the dead-letter topic (`SubscriptionGroupConfig.retryMaxTimes`).
        retry_max_times: u64 = 16, "retryMaxTimes";
    }
}

settings! {
    /// `ClientConfig` and `NettyClientConfig` (client 4.9.8): what producers and consumers share, once an instance.
    InstanceSettings {
        /// Part of the client id after the ip; DEFAULT is replaced by pid#nanoTime at start, so that each client has its own instance.
        instance_name: String = "DEFAULT".into(), "instanceName";
        /// Period of the route poll, ms.
        poll_name_server_interval: u64 as Millis = 30_000, "pollNameServerInterval";
        /// Period of heartbeats to all brokers, ms.
        heartbeat_broker_interval: u64 as Millis = 30_000, "heartbeatBrokerInterval";
        /// Period at which consumer offsets are sent to the brokers, ms.
        persist_consumer_offset_interval: u64 as Millis = 5_000, "persistConsumerOffsetInterval";
        /// Timeout of route, heartbeat, unregister and member-list requests, ms.
        mq_client_api_timeout: u64 as Millis = 3_000, "mqClientApiTimeout";
        /// Pause of a pull loop after an error, ms.
        pull_time_delay_mills_when_exception: u64 as Millis = 1_000, "pullTimeDelayMillsWhenException";
        /// Whether the broker's port - 2 is used for some requests.
        vip_channel_enabled: bool = false, "vipChannelEnabled";
        /// How long a connect may take, ms (`NettySystemConfig.connectTimeoutMillis`).
        connect_timeout_millis: u64 as Millis = 3_000, "connectTimeoutMillis";
        /// Idle channels are closed after this, s.
        client_channel_max_idle_time_seconds: u64 = 120, "clientChannelMaxIdleTimeSeconds";
        /// Whether a synchronous timeout closes its channel (true since 4.9.1).
        client_close_socket_if_timeout: bool = true, "clientCloseSocketIfTimeout";
        /// Longest wait between two rebalances, ms (-D rocketmq.client.rebalance.waitInterval).
        rebalance_wait_interval: u64 as Millis = 20_000, "rocketmq.client.rebalance.waitInterval";
        /// Period of lock renewal, ms (-D rocketmq.client.rebalance.lockInterval).
        rebalance_lock_interval: u64 as Millis = 20_000, "rocketmq.client.rebalance.lockInterval";
        /// Age at which the client no longer trusts its lock, ms (-D rocketmq.client.rebalance.lockMaxLiveTime).
        rebalance_lock_max_live_time: u64 as Millis = 30_000, "rocketmq.client.rebalance.lockMaxLiveTime";
        /// Delay of the unlock of a queue given up with messages cached, ms (-D rocketmq.client.unlockDelayTimeMills).
        unlock_delay_time_mills: u64 as Millis = 20_000, "rocketmq.client.unlockDelayTimeMills";
        /// A process queue that was not pulled for this long is dropped, ms (-D rocketmq.client.pull.pullMaxIdleTime).
        pull_max_idle_time: u64 as Millis = 120_000, "rocketmq.client.pull.pullMaxIdleTime";
        /// Longest stretch of one orderly consume task, ms (-D rocketmq.client.maxTimeConsumeContinuously).
        max_time_consume_continuously: u64 as Millis = 60_000, "rocketmq.client.maxTimeConsumeContinuously";
    }
}

settings! {
    /// `DefaultMQProducer` (client 4.9.8).
    ProducerSettings {
        /// Budget of one send, all attempts together, ms.
        send_msg_timeout: u64 as Millis = 3_000, "sendMsgTimeout";
        /// Longest wait of one attempt of a synchronous send that could still be followed by another, ms; -1: the whole budget. 5.3.3's
        /// (`DefaultMQProducer.sendMsgMaxTimeoutPerRequest`), as ported back to a 4.9.8 client; 4.9.8 itself has none.
        send_msg_max_timeout_per_request: i64 = -1, "sendMsgMaxTimeoutPerRequest";
        /// Further attempts of a synchronous send.
        retry_times_when_send_failed: u64 = 2, "retryTimesWhenSendFailed";
        /// Further attempts of an asynchronous send.
        retry_times_when_send_async_failed: u64 = 2, "retryTimesWhenSendAsyncFailed";
        /// Whether an answer other than SEND_OK is tried again on another broker.
        retry_another_broker_when_not_store_ok: bool = false, "retryAnotherBrokerWhenNotStoreOK";
        /// Whether brokers that failed or were slow are avoided for a time (also accepted as sendLatencyEnable).
        send_latency_fault_enable: bool = false, "sendLatencyFaultEnable";
        /// Topic whose route serves unknown topics.
        create_topic_key: String = "TBW102".into(), "createTopicKey";
        /// Queues of a topic that is created by sending.
        default_topic_queue_nums: u64 = 4, "defaultTopicQueueNums";
        /// Largest body, bytes.
        max_message_size: u64 as Bytes = 4_194_304, "maxMessageSize";
        /// Bodies of at least this size are compressed, bytes.
        compress_msg_body_over_howmuch: u64 as Bytes = 4_096, "compressMsgBodyOverHowmuch";
    }
}

settings! {
    /// `DefaultMQPushConsumer` (client 4.9.8).
    ConsumerSettings {
        /// CLUSTERING or BROADCASTING.
        message_model: MessageModel = MessageModel::Clustering, "messageModel";
        /// Where a group without offsets begins.
        consume_from_where: ConsumeFromWhere = ConsumeFromWhere::LastOffset, "consumeFromWhere";
        /// Listener threads.
        consume_thread_min: u64 = 20, "consumeThreadMin";
        /// Has no effect: the pool's queue is unbounded.
        consume_thread_max: u64 = 20, "consumeThreadMax";
        /// Messages a listener call gets.
        consume_message_batch_max_size: u64 = 1, "consumeMessageBatchMaxSize";
        /// Messages a pull asks for.
        pull_batch_size: u64 = 32, "pullBatchSize";
        /// Pause between two pulls of a queue, ms.
        pull_interval: u64 as Millis = 0, "pullInterval";
        /// Cached messages a queue above which pulling pauses.
        pull_threshold_for_queue: u64 = 1_000, "pullThresholdForQueue";
        /// Cached MiB a queue above which pulling pauses.
        pull_threshold_size_for_queue: u64 = 100, "pullThresholdSizeForQueue";
        /// Cached messages a topic, divided by the owned queues; -1: off.
        pull_threshold_for_topic: i64 = -1, "pullThresholdForTopic";
        /// Cached MiB a topic, divided by the owned queues; -1: off.
        pull_threshold_size_for_topic: i64 = -1, "pullThresholdSizeForTopic";
        /// Span of cached offsets above which pulling pauses.
        consume_concurrently_max_span: u64 = 2_000, "consumeConcurrentlyMaxSpan";
        /// Tries before a message is dead: -1 means 16 (concurrent) or never (orderly).
        max_reconsume_times: i64 = -1, "maxReconsumeTimes";
        /// Pause of an orderly queue after a failure, ms.
        suspend_current_queue_time_millis: i64 = 1_000, "suspendCurrentQueueTimeMillis";
        /// Minutes after which a message under way is sent back.
        consume_timeout: u64 = 15, "consumeTimeout";
        /// How long shutdown waits for running listeners, ms.
        await_termination_millis_when_shutdown: u64 as Millis = 0, "awaitTerminationMillisWhenShutdown";
        /// How queues are shared out.
        allocate_message_queue_strategy: String = "AVG".into(), "allocateMessageQueueStrategy";
        /// Virtual nodes of CONSISTENT_HASH.
        virtual_node_cnt: u64 = 10, "virtualNodeCnt";
    }
}
