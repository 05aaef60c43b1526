//! Push consumers: what they subscribe to, how their listener behaves, where their group begins.

use super::clients::{legal, not_both};
use super::error::{Problem, ScenarioError};
use super::fields::{Ctx, Fields, items, short};
use super::keys::{self, consumer};
use super::nodes::{ConsumerDraft, Draft, RoleDraft};
use super::suggest::nearest;
use super::tree::{Node, Place, Shape};
use super::values;
use crate::base::ids::GroupId;
use crate::base::quantile::Quantiles;
use crate::base::time::MS;
use crate::rocketmq::settings::ConsumerSettings;
use crate::world::spec::{ConsumerSpec, ListenerScript};

/// The strategies that a scenario can name (client 4.9.8), apart from those a program brings.
pub(crate) const STRATEGIES: &[&str] = &[
    "AVG",
    "AVG_BY_CIRCLE",
    "CONFIG",
    "CONSISTENT_HASH",
    "MACHINE_ROOM",
    "MACHINE_ROOM_NEARBY-AVG",
    "MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE",
    "MACHINE_ROOM_NEARBY-CONSISTENT_HASH",
];

impl Draft {
    /// The key `consumers`.
    pub(super) fn consumers(&mut self, top: &mut Fields<'_>) {
        let key = &keys::top::CONSUMERS;
        let ctx = top.ctx;
        let entries = top.given(key).map_or(&[][..], |node| items(ctx, key, node, keys::MAX_COUNT as usize));
        let shown = entries.iter().filter_map(|entry| self.consumer(ctx, entry)).collect();
        top.show(key, Node::list(shown));
    }

    fn consumer(&mut self, ctx: &Ctx<'_>, node: &Node) -> Option<Node> {
        let mut fields = Fields::open(ctx, node, &consumer::SECTION)?;
        let entry = self.entry(&mut fields);
        let subscriptions = subscriptions(&mut fields);
        let orderly = fields.choice(&consumer::LISTENER) == Some(1);
        let service_time = fields.delay(&consumer::SERVICE_TIME).unwrap_or_else(|| Quantiles::constant(MS));
        let script = script(&mut fields);
        let settings = settings(&mut fields);
        let consumer_idcs = fields.texts(&consumer::CONSUMER_IDCS, 256).unwrap_or_default();
        let config_queues = fields.texts(&consumer::CONFIG_QUEUES, 1_024).unwrap_or_default();
        let custom_strategy = strategy(&fields, &settings, &consumer_idcs, &config_queues);
        let config_queues = (config_queues, fields.place_of(&consumer::CONFIG_QUEUES));
        let offset_place = fields.place_of(&consumer::START_OFFSET);
        let start_offset = fields.section(&consumer::START_OFFSET, |mut inner| {
            let percent = inner.count(&keys::start_offset::CONSUMED_PERCENT);
            (percent.map(|p| p as u8), inner.finish())
        });
        let shown = fields.finish();
        let spec = ConsumerSpec {
            index: 0,
            group: GroupId(0),
            settings,
            orderly,
            subscriptions: Vec::new(),
            service_time,
            script,
            consumer_idcs,
            config_queues: Vec::new(),
            custom_strategy,
        };
        let start_offset = start_offset.flatten().map(|percent| (percent, offset_place));
        self.expand(
            ctx,
            entry,
            RoleDraft::Consumer(Box::new(ConsumerDraft { spec, subscriptions, config_queues, start_offset })),
        );
        Some(shown)
    }
}

/// Topics and tags: `topic` with `tags`, or a list. Written down as a list.
fn subscriptions(fields: &mut Fields<'_>) -> Vec<(String, String, Place)> {
    use consumer::{TAGS, TOPIC, TOPICS};
    not_both(fields, &TOPIC, &TOPICS);
    not_both(fields, &TAGS, &TOPICS);
    let ctx = fields.ctx;
    let text = |key: &keys::Key| fields.given(key).and_then(|n| values::text(ctx, key.name, &key.takes, n));
    let (topic, tags) = (text(&TOPIC), text(&TAGS));
    let mut list: Vec<(String, String, Place)> = Vec::new();
    match (topic, fields.given(&TOPICS)) {
        (Some(topic), _) => {
            check_tags(ctx, tags.as_deref().unwrap_or("*"), fields.place_of(&TAGS));
            list.push((topic, tags.unwrap_or_else(|| "*".into()), fields.place_of(&TOPIC)));
        }
        (None, Some(node)) => list.extend(items(ctx, &TOPICS, node, 256).iter().filter_map(|entry| subscription(ctx, entry))),
        (None, None) => {}
    }
    if list.is_empty() && fields.given(&TOPIC).is_none() {
        let error =
            ScenarioError::new(Problem::Missing, "a consumer needs \"topic\" or \"topics\"").expected("at least one topic");
        ctx.push(fields.place_of(&TOPICS), error);
    }
    for (i, (topic, _, place)) in list.iter().enumerate() {
        if list[..i].iter().any(|other| other.0 == *topic) {
            ctx.report(*place, Problem::Conflict, format!("\"{}\" is subscribed to twice", short(topic)));
        }
        if !legal(topic, 255) {
            let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a topic", short(topic)));
            ctx.push(*place, error.expected("1 to 127 letters, digits or any of %|_-"));
        }
    }
    let show = |(topic, tags, _): &(String, String, Place)| {
        Node::object([("name", Node::text(topic.as_str())), ("tags", Node::text(tags.as_str()))])
    };
    fields.show(&TOPICS, Node::list(list.iter().map(show).collect()));
    list
}

fn subscription(ctx: &Ctx<'_>, entry: &Node) -> Option<(String, String, Place)> {
    if let Shape::Text(topic) = &entry.shape {
        return Some((topic.clone(), "*".into(), entry.place));
    }
    let mut inner = Fields::open(ctx, entry, &keys::subscription::SECTION)?;
    let place = inner.place_of(&keys::subscription::NAME);
    let topic = inner.text(&keys::subscription::NAME);
    let tags_place = inner.place_of(&keys::subscription::TAGS);
    let tags = inner.text(&keys::subscription::TAGS).unwrap_or_else(|| "*".into());
    inner.finish();
    check_tags(ctx, &tags, tags_place);
    Some((topic?, tags, place))
}

/// `FilterAPI#buildSubscriptionData`: what is neither empty nor `*` needs at least one tag.
fn check_tags(ctx: &Ctx<'_>, tags: &str, place: Place) {
    if !tags.is_empty() && tags.split("||").all(|tag| tag.is_empty()) {
        let error = ScenarioError::new(Problem::WrongValue, format!("\"{}\" cannot be a tag expression", short(tags)));
        ctx.push(place, error.expected("\"*\", or tags such as \"a || b\""));
    }
}

fn script(fields: &mut Fields<'_>) -> ListenerScript {
    let mut script = ListenerScript::default();
    let fail = fields.section(&consumer::FAIL, |mut inner| {
        let every = inner.count(&keys::fail::EVERY).unwrap_or_default();
        let times = inner.count(&keys::fail::TIMES).map_or(u16::MAX, |n| n as u16);
        ((every, times), inner.finish())
    });
    (script.fail_every, script.fail_times) = fail.unwrap_or((0, u16::MAX));
    let stay = fields.section(&consumer::STAY, |mut inner| {
        let every = inner.count(&keys::stay::EVERY).unwrap_or_default();
        let stay = inner.duration(&keys::stay::FOR).unwrap_or_default();
        ((stay, every), inner.finish())
    });
    (script.stay, script.stay_every) = stay.unwrap_or_default();
    script.throw_on_interrupt = fields.flag(&consumer::THROW_ON_INTERRUPT).unwrap_or_default();
    script
}

/// RocketMQ's keys of a consumer; `threads` is both bounds of its pool.
fn settings(fields: &mut Fields<'_>) -> ConsumerSettings {
    let key = &consumer::THREADS;
    let ctx = fields.ctx;
    let mut settings = ConsumerSettings::default();
    let threads = fields.given(key).and_then(|n| values::count(ctx, key.name, &key.takes, n));
    if let Some(threads) = threads {
        for setting in ["consumeThreadMin", "consumeThreadMax"] {
            if fields.given_setting(setting).is_some() {
                ctx.report(fields.key_place(key), Problem::Conflict, format!("\"threads\" and \"{setting}\" are given together"));
            }
        }
        (settings.consume_thread_min, settings.consume_thread_max) = (threads, threads);
    }
    let settings = fields.settings(settings);
    if settings.consume_thread_min > settings.consume_thread_max {
        let place = ["consumeThreadMin", "consumeThreadMax"]
            .into_iter()
            .find_map(|k| fields.given_setting(k))
            .map_or(fields.place, |n| n.place);
        let (min, max) = (settings.consume_thread_min, settings.consume_thread_max);
        let error =
            ScenarioError::new(Problem::Conflict, format!("consumeThreadMin ({min}) is larger than consumeThreadMax ({max})"));
        ctx.push(place, error.remedy("the consumer would not start; give both, or \"threads\""));
    }
    settings
}

/// A strategy that a program brought, or none; reports names that nobody knows.
fn strategy(fields: &Fields<'_>, settings: &ConsumerSettings, idcs: &[String], queues: &[String]) -> super::CustomStrategy {
    let name = &settings.allocate_message_queue_strategy;
    let ctx = fields.ctx;
    let custom = ctx.known.strategies.iter().find(|(known, _)| known == name);
    let node = fields.given_setting("allocateMessageQueueStrategy");
    let place = node.map_or(fields.place, |n| n.place);
    if custom.is_none() && !STRATEGIES.contains(&name.as_str()) {
        let names = || STRATEGIES.iter().copied().chain(ctx.known.strategies.iter().map(|(name, _)| *name));
        let error = ScenarioError::new(Problem::UnknownName, format!("there is no allocation strategy \"{}\"", short(name)));
        let error =
            error.expected(format!("one of {}", names().collect::<Vec<_>>().join(", "))).did_you_mean(nearest(name, names()));
        ctx.push(place, error);
    }
    if name == "MACHINE_ROOM" && idcs.is_empty() {
        let error = ScenarioError::new(Problem::Missing, "MACHINE_ROOM needs \"consumer_idcs\"")
            .expected("the rooms it serves, such as [\"room1\"]");
        ctx.push(place, error);
    }
    if (name == "CONFIG") == queues.is_empty() {
        let what =
            if queues.is_empty() { "CONFIG needs \"config_queues\"" } else { "\"config_queues\" is for the strategy CONFIG" };
        let error = ScenarioError::new(Problem::Missing, what).expected("both, such as [\"broker-a:0\", \"broker-b:0\"]");
        ctx.push(place, error);
    }
    custom.map(|(_, strategy)| strategy.clone())
}
