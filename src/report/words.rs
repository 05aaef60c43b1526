//! What a counter's name says, in words: names are made to be typed into `expect`, and some are read only once they have been looked up.
//!
//! A line is what stands behind the figure in the answer, short enough to stand there; the full meaning, with its beginning, its end and what it leaves out,
//! is in the counters' own table.

const WORDS: &[(&str, &str)] = &[
    ("sent", "calls of send"),
    ("acked", "sends answered"),
    ("acked_send_ok", "sends answered SEND_OK"),
    ("acked_flush_disk_timeout", "stored, not flushed in time"),
    ("acked_flush_slave_timeout", "stored, no slave had it in time"),
    ("acked_slave_not_available", "stored, no slave near enough"),
    ("failed_sends", "calls that threw"),
    ("refused_sends", "calls that threw, nothing stored"),
    ("unknown_sends", "calls that threw or died, perhaps stored"),
    ("send_retries", "attempts beyond the first of a call"),
    ("not_offered", "fell due while the producer was down"),
    ("sends_over_1s", "answered sends of 1 s or more"),
    ("longest_time_without_success", "longest time without an answered send"),
    ("last_failed_send", "from the first fault to the last call that threw"),
    ("rto", "from a strike until a producer was served there again"),
    ("send_latency_p50", "half of the answered sends took at most"),
    ("send_latency_p90", "nine in ten took at most"),
    ("send_latency_p99", "99 in 100 took at most"),
    ("send_latency_max", "the slowest answered send"),
    ("deliveries", "entries into a listener"),
    ("delivered", "messages delivered at least once"),
    ("lost", "acknowledged, never delivered"),
    ("missed", "acknowledged, a broadcasting member never got it"),
    ("lost_at_load_end", "acknowledged, not delivered when the load ended"),
    ("duplicates", "delivered again without being asked for"),
    ("redelivered_on_request", "delivered again after the listener failed it"),
    ("delivered_though_refused", "delivered although the call threw"),
    ("skipped", "stored, passed over by the committed offset"),
    ("order_inversions_per_key", "first delivered after a later one of its key"),
    ("order_inversions_per_queue", "first delivered behind a later offset of its queue"),
    ("reordered", "delivered behind a later one of its key, copies included"),
    ("deliveries_over_1s", "delivered 1 s or more after they were due"),
    ("deliveries_early", "delayed ones delivered before their time"),
    ("delivery_latency_p50", "half were delivered within"),
    ("delivery_latency_p90", "nine in ten were delivered within"),
    ("delivery_latency_p99", "99 in 100 were delivered within"),
    ("delivery_latency_max", "the latest first delivery"),
    ("longest_stall", "a queue had messages and its group got none"),
    ("rto_deliveries", "from a strike until a queue was delivered again"),
    ("unowned_queue_time", "queues without an owner"),
    ("overlap_queue_time", "queues with two owners"),
    ("frozen_owner_queue_time", "queues whose owners were all frozen"),
    ("queue_moves", "queues given to another member"),
    ("queue_imbalance", "most minus fewest queues of a member at the end"),
    ("rebalance_converge", "from a change until every queue had one owner"),
    ("takeover", "from a member's death until its queue had another owner"),
    ("ghost_members", "members in a list that were not alive"),
    ("offset_rollbacks", "committed offsets that went back"),
    ("offset_rollback_messages", "by so many messages"),
    ("retries_sent_back", "failed messages parked for another try"),
    ("dead_letters", "messages given to the dead-letter topic"),
    ("given_up", "failed messages that will not come again"),
    ("pulls_in_vain", "pulls told to ask again at once"),
    ("backlog_end", "stored and not committed at the end"),
    ("peak_backlog", "stored and not committed at the worst moment"),
    ("ghosts", "delivered, and their record discarded afterwards"),
    ("diverged_replicas", "brokers whose log is no prefix of their master's"),
    ("discarded_send_ok", "answered SEND_OK, and the record is gone"),
    ("rpo", "time that the lost messages of one death cover"),
    ("rpo_messages", "most messages answered SEND_OK that one death cost"),
    ("busy_answers", "requests answered SYSTEM_BUSY or the like"),
    ("disk_full_time", "brokers took nothing for want of room"),
    ("log_files_deleted", "files of the log deleted"),
    ("paused_time", "hosts stood still"),
    ("route_removal", "from a broker's death until a nameserver forgot it"),
    ("stale_route", "from a master's death until a client's route was right"),
    ("avoided_broker_time", "clients kept a broker aside"),
    ("transaction_checks", "checks of half messages"),
];

/// In words, what a counter ("lost", "lost@cg") counts; empty for one that has none.
pub(crate) fn words(counter: &str) -> &'static str {
    let name = counter.split('@').next().unwrap_or_default();
    WORDS.iter().find(|row| row.0 == name).map_or("", |row| row.1)
}

/// The counters that have words.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|row| row.0)
}
