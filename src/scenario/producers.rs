//! Producers: what they send, how often, and how.

use super::clients::{legal, not_both};
use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, items, short};
use super::keys::{self, producer};
use super::nodes::{Draft, ProducerDraft, RoleDraft};
use super::tree::{Node, Place, Shape};
use super::values::{self, ANSWER_CODES};
use crate::base::quantile::Quantiles;
use crate::rocketmq::settings::ProducerSettings;
use crate::world::spec::{Arrivals, LoadPhase, LoadSpec, SendMode, TransactionSpec, TxState};
use std::sync::Arc;

/// Topics that a client refuses to send to (`TopicValidator`, 4.9.8).
const FORBIDDEN_TO_SEND: &[&str] = &[
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

impl Draft {
    /// The key `producers`.
    pub(super) fn producers(&mut self, top: &mut Fields<'_>) {
        let key = &keys::top::PRODUCERS;
        let ctx = top.ctx;
        let entries = top.given(key).map_or(&[][..], |node| items(ctx, key, node, keys::MAX_COUNT as usize));
        let shown = entries.iter().filter_map(|entry| self.producer(ctx, entry)).collect();
        top.show(key, Node::list(shown));
    }

    fn producer(&mut self, ctx: &Ctx<'_>, node: &Node) -> Option<Node> {
        let mut fields = Fields::open(ctx, node, &producer::SECTION)?;
        let entry = self.entry(&mut fields);
        let topic_place = fields.place_of(&producer::TOPIC);
        let topic = fields.text(&producer::TOPIC).filter(|topic| check_send_topic(ctx, topic, topic_place));
        let load = self.load(&mut fields);
        let mode = match fields.choice(&producer::MODE) {
            Some(1) => SendMode::Async,
            Some(2) => SendMode::Oneway,
            _ => SendMode::Sync,
        };
        let threads = threads(&mut fields, load.keys);
        let batch = fields.count(&producer::BATCH).unwrap_or(1) as u16;
        let retry_response_codes = retry_codes(&mut fields);
        let transactional = transaction(&mut fields);
        if transactional.is_some() {
            ctx.unbuilt(fields.key_place(&producer::TRANSACTION), "transactional producers are not built yet");
        }
        let wait_store_msg_ok = fields.flag(&producer::WAIT_STORE).unwrap_or(true);
        let warm_up_sends = fields.count(&producer::WARM_UP_SENDS).unwrap_or_default();
        let mut settings = ProducerSettings::default();
        if fields.given(&producer::SEND_LATENCY_ENABLE).is_some() {
            if fields.given_setting("sendLatencyFaultEnable").is_some() {
                let place = fields.key_place(&producer::SEND_LATENCY_ENABLE);
                ctx.report(place, Problem::Conflict, "\"sendLatencyEnable\" and \"sendLatencyFaultEnable\" are given together");
            }
            let key = &producer::SEND_LATENCY_ENABLE;
            let value = fields.given(key).and_then(|n| values::flag(ctx, key.name, &key.takes, n));
            settings.send_latency_fault_enable = value.unwrap_or_default();
        }
        let settings = fields.settings(settings);
        check_create_topic_key(&fields, &settings);
        check_combinations(&fields, mode, &load, batch, transactional.is_some());
        let shown = fields.finish();
        if let Some(topic) = topic {
            let draft = ProducerDraft {
                topic,
                topic_place,
                settings,
                mode,
                threads,
                load,
                retry_response_codes,
                batch,
                transactional,
                wait_store_msg_ok,
                warm_up_sends,
            };
            self.expand(ctx, entry, RoleDraft::Producer(Box::new(draft)));
        }
        Some(shown)
    }

    fn load(&self, fields: &mut Fields<'_>) -> LoadSpec {
        let phases = self.phases(fields);
        let arrivals = match fields.choice(&producer::ARRIVALS) {
            Some(1) => Arrivals::Poisson,
            Some(2) => Arrivals::Pinned,
            Some(3) => Arrivals::Led,
            _ => Arrivals::Even,
        };
        let keys = fields.count(&producer::KEYS).unwrap_or_default() as u32;
        let keys_drawn = fields.flag(&producer::KEYS_DRAWN).unwrap_or_default();
        let size = fields.take(&producer::SIZE, values::sizes, values::show_sizes).unwrap_or_else(|| Quantiles::constant(1024));
        let level_place = fields.place_of(&producer::DELAY_LEVEL);
        let delay_level = fields.count(&producer::DELAY_LEVEL).unwrap_or_default() as u8;
        if delay_level as usize > self.delay_levels() && self.delay_levels() > 0 {
            let what = format!("\"delay_level\" is {delay_level}, and the brokers know {} levels", self.delay_levels());
            fields.ctx.push(
                level_place,
                ScenarioError::new(Problem::OutOfRange, what).remedy("messageDelayLevel of the brokers sets the levels"),
            );
        }
        LoadSpec { phases, arrivals, keys, keys_drawn, size, delay_level, tags: tags(fields) }
    }

    /// The stretches of load: `phases`, or one of `rate`, `from`, `until` and `burst`. Written down as phases.
    fn phases(&self, fields: &mut Fields<'_>) -> Vec<LoadPhase> {
        use producer::{BURST, FROM, PHASES, RATE, UNTIL};
        let ctx = fields.ctx;
        for key in [&RATE, &FROM, &UNTIL, &BURST] {
            not_both(fields, &PHASES, key);
        }
        let mut phases: Vec<(LoadPhase, Place)> = Vec::new();
        if let Some(node) = fields.given(&PHASES) {
            let entries = items(ctx, &PHASES, node, 256);
            if entries.is_empty() {
                ctx.report(node.place, Problem::OutOfRange, "\"phases\" has no phase");
            }
            for entry in entries {
                let Some(mut inner) = Fields::open(ctx, entry, &keys::phase::SECTION) else { continue };
                let rate = inner.rate(&keys::phase::RATE);
                let from = inner.moment(&keys::phase::FROM).unwrap_or(0);
                let until = inner.moment(&keys::phase::UNTIL).unwrap_or(self.duration);
                let burst = inner.count(&keys::phase::BURST).unwrap_or(1) as u32;
                inner.finish();
                phases.extend(rate.map(|per_1000s| (LoadPhase { from, until, per_1000s, burst }, entry.place)));
            }
        } else {
            let value = |key: &keys::Key, default| {
                fields.given(key).map_or(Some(default), |n| values::moment(ctx, key.name, &key.takes, n))
            };
            let (from, until) = (value(&FROM, 0).unwrap_or(0), value(&UNTIL, self.duration).unwrap_or(self.duration));
            let burst = fields.given(&BURST).and_then(|n| values::count(ctx, BURST.name, &BURST.takes, n)).unwrap_or(1) as u32;
            match fields.given(&RATE) {
                Some(node) => {
                    let place = if fields.given(&UNTIL).is_some() { fields.place_of(&UNTIL) } else { fields.place_of(&FROM) };
                    let rate = values::rate(ctx, RATE.name, &RATE.takes, node);
                    phases.extend(rate.map(|per_1000s| (LoadPhase { from, until, per_1000s, burst }, place)));
                }
                None => {
                    let error = ScenarioError::new(Problem::Missing, "a producer needs \"rate\" or \"phases\"")
                        .expected(RATE.takes.expected());
                    ctx.push(fields.place, error);
                }
            }
        }
        self.check_phases(ctx, &phases);
        let phases: Vec<LoadPhase> = phases.into_iter().map(|p| p.0).collect();
        fields.show(&PHASES, Node::list(phases.iter().map(show_phase).collect()));
        phases
    }

    fn check_phases(&self, ctx: &Ctx<'_>, phases: &[(LoadPhase, Place)]) {
        let mut last = -self.warmup;
        for (phase, place) in phases {
            let (from, until) = (values::show_moment(phase.from).to_line(), values::show_moment(phase.until).to_line());
            if phase.from >= phase.until {
                ctx.report(*place, Problem::OutOfRange, format!("the load from {from} until {until} is empty"));
            } else if phase.from < -self.warmup || phase.until > self.duration {
                let error = ScenarioError::new(Problem::OutOfRange, format!("the load from {from} until {until} leaves the run"));
                let (begin, end) = (values::show_moment(-self.warmup).to_line(), values::show_moment(self.duration).to_line());
                ctx.push(*place, error.expected(format!("from {begin} (the warm-up) until {end} (the duration)")));
            } else if phase.from < last {
                let error =
                    ScenarioError::new(Problem::Conflict, format!("the phase from {from} begins before the one above has ended"));
                ctx.push(*place, error.expected("phases in order of time, without overlap"));
            }
            last = last.max(phase.until);
        }
    }
}

fn show_phase(phase: &LoadPhase) -> Node {
    Node::object([
        ("from", values::show_moment(phase.from)),
        ("until", values::show_moment(phase.until)),
        ("rate", values::show_rate(phase.per_1000s)),
        ("burst", Node::number(phase.burst)),
    ])
}

fn check_send_topic(ctx: &Ctx<'_>, topic: &str, place: Place) -> bool {
    if !legal(topic, 127) {
        let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a topic", short(topic)));
        ctx.push(place, error.expected("1 to 127 letters, digits or any of %|_-"));
        return false;
    }
    if FORBIDDEN_TO_SEND.contains(&topic) {
        ctx.report(place, Problem::Conflict, format!("RocketMQ's client refuses to send to \"{topic}\""));
        return false;
    }
    true
}

fn check_create_topic_key(fields: &Fields<'_>, settings: &ProducerSettings) {
    if let Some(node) = fields.given_setting("createTopicKey")
        && !legal(&settings.create_topic_key, 127)
    {
        let error = ScenarioError::new(Problem::WrongValue, format!("\"createTopicKey\" cannot be {}", node.describe()));
        fields.ctx.push(node.place, error.expected("1 to 127 letters, digits or any of %|_-"));
    }
}

/// Sending threads: keyed sends use one, so that the order within a key is the caller's.
fn threads(fields: &mut Fields<'_>, keys: u32) -> u16 {
    let place = fields.place_of(&producer::THREADS);
    let given = fields.count(&producer::THREADS);
    let threads = given.unwrap_or(if keys > 0 { 1 } else { 8 });
    if given.is_none() {
        fields.show(&producer::THREADS, Node::number(threads));
    } else if keys > 0 && threads > 1 {
        let error = ScenarioError::new(Problem::Conflict, format!("\"threads\" is {threads}, and keyed sends use one thread"));
        fields.ctx.push(place, error.remedy("leave threads out, or 1; several producers send in parallel"));
    }
    threads as u16
}

fn tags(fields: &mut Fields<'_>) -> Vec<Arc<str>> {
    let Some(node) = fields.given(&producer::TAGS) else {
        fields.show(&producer::TAGS, Node::list(Vec::new()));
        return Vec::new();
    };
    let (ctx, takes) = (fields.ctx, &producer::TAGS.takes);
    let tags: Vec<(String, Place)> = match &node.shape {
        Shape::List(_) => {
            let values = items(ctx, &producer::TAGS, node, 255).iter();
            values.filter_map(|v| values::text(ctx, "tags", takes, v).map(|t| (t, v.place))).collect()
        }
        _ => values::text(ctx, "tags", takes, node).map(|t| (t, node.place)).into_iter().collect(),
    };
    for (tag, place) in &tags {
        if tag.trim().is_empty() || tag.contains('|') || tag.len() > 255 {
            let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a tag", short(tag)));
            ctx.push(*place, error.expected("1 to 255 characters without '|'"));
        }
    }
    fields.show(&producer::TAGS, Node::list(tags.iter().map(|t| Node::text(t.0.as_str())).collect()));
    tags.into_iter().map(|t| t.0.into()).collect()
}

fn retry_codes(fields: &mut Fields<'_>) -> Vec<u16> {
    let key = &producer::RETRY_RESPONSE_CODES;
    let ctx = fields.ctx;
    let values = fields.given(key).map_or(&[][..], |node| items(ctx, key, node, 256));
    let codes: Vec<u16> =
        values.iter().filter_map(|v| values::code(ctx, key.name, &keys::Takes::Code, v, ANSWER_CODES)).collect();
    fields.show(key, Node::list(codes.iter().map(|c| values::show_code(*c, ANSWER_CODES)).collect()));
    codes
}

fn transaction(fields: &mut Fields<'_>) -> Option<TransactionSpec> {
    let state = |word: Option<usize>| match word {
        Some(1) => TxState::Rollback,
        Some(2) => TxState::Unknow,
        _ => TxState::Commit,
    };
    fields.section(&producer::TRANSACTION, |mut inner| {
        let local = state(inner.choice(&keys::transaction::LOCAL));
        let check = state(inner.choice(&keys::transaction::CHECK));
        let takes = inner.duration(&keys::transaction::TAKES).unwrap_or_default();
        (TransactionSpec { local, check, takes }, inner.finish())
    })
}

/// What RocketMQ's client has no call for.
fn check_combinations(fields: &Fields<'_>, mode: SendMode, load: &LoadSpec, batch: u16, transactional: bool) {
    let conflict = |key: &keys::Key, what: &str| fields.ctx.report(fields.place_of(key), Problem::Conflict, what);
    if transactional && mode != SendMode::Sync {
        conflict(&producer::MODE, "transactional messages are sent with \"mode\": \"sync\" only");
    }
    if transactional && load.keys > 0 {
        conflict(&producer::KEYS, "transactional messages take no queue selector, so they cannot have keys");
    }
    if transactional && batch > 1 {
        conflict(&producer::BATCH, "transactional messages cannot be sent in batches");
    }
    if transactional && load.delay_level > 0 {
        conflict(&producer::DELAY_LEVEL, "transactional messages cannot be delayed");
    }
    if batch > 1 && load.delay_level > 0 {
        conflict(&producer::BATCH, "delayed messages cannot be sent in batches");
    }
    if batch > 1 && mode == SendMode::Oneway {
        conflict(&producer::BATCH, "the client has no oneway call for a batch; use \"sync\" or \"async\"");
    }
    if batch > 1 && load.keys > 0 {
        conflict(&producer::BATCH, "keyed messages cannot be sent in batches");
    }
    if load.keys_drawn && load.keys == 0 {
        conflict(&producer::KEYS_DRAWN, "\"keys_drawn\" needs \"keys\"");
    }
}
