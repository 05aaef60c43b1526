//! `windtunnel allocate`: who gets which queues under a strategy, how even that is, and what moves when a consumer joins or leaves. It asks
//! the very code that simulated consumers run.

use super::{CliError, Exit};
use crate::base::ids::MessageQueue;
use crate::base::names::{Names, NamesBuilder, java_cmp};
use crate::report::text::{Align, columns};
use crate::rocketmq::client::consumer::allocate::{AllocateMessageQueueStrategy, Strategy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The strategies that a name tells everything about.
const NAMES: [&str; 4] = ["AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", "MACHINE_ROOM_NEARBY-AVG"];
/// Pairs of owners whose moves are named before the rest is only counted.
const NAMED_MOVES: usize = 6;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windtunnel allocate --queues 8 --consumers 3 --strategy all
  windtunnel allocate --brokers room1@a,room2@b --consumer-ids room1_c1,room2_c2 --strategy MACHINE_ROOM_NEARBY-AVG")]
pub(super) struct Args {
    /// Read queues of the topic on each broker
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    queues: u16,
    /// Names of the brokers that carry the topic
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', default_values_t = ["broker-a".to_owned(), "broker-b".to_owned()])]
    brokers: Vec<String>,
    /// Consumers in the group, named cg-0, cg-1, ...
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=256))]
    consumers: u16,
    /// Client ids of the consumers, instead of their number: they decide the order, and what a hash gives
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', conflicts_with = "consumers")]
    consumer_ids: Vec<String>,
    /// AVG, AVG_BY_CIRCLE, CONSISTENT_HASH, MACHINE_ROOM_NEARBY- before one of these, or all
    #[arg(long, value_name = "NAME", default_value = "AVG")]
    strategy: String,
}

/// One topic and everything that can be asked about it.
struct Table {
    names: Names,
    queues: Vec<MessageQueue>,
    consumers: Vec<Arc<str>>,
    joiner: Arc<str>,
}

/// Queue to owner. A queue that two get, or nobody, is told apart.
type Owners = BTreeMap<MessageQueue, Vec<Arc<str>>>;

/// Queues by who had them and who gets them.
type Moves = BTreeMap<(String, String), Vec<MessageQueue>>;

fn size(moves: &Moves) -> usize {
    moves.values().map(Vec::len).sum()
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let table = Table::of(args)?;
    let wanted: Vec<&str> = if args.strategy.eq_ignore_ascii_case("all") { NAMES.to_vec() } else { vec![&args.strategy] };
    let mut out = format!(
        "{} queues on {} brokers, {} consumers\n",
        table.queues.len(),
        table.names.brokers().count(),
        table.consumers.len()
    );
    let mut compared =
        vec![["strategy", "fewest", "most", "moves on join", "moves on leave, at worst"].map(str::to_owned).to_vec()];
    for name in &wanted {
        let strategy = Strategy::by_name(name).ok_or_else(|| {
            let known = NAMES.join(", ");
            CliError::Usage(format!(
                "--strategy: \"{name}\" is no strategy that a name is enough for; choose one of {known}, or all"
            ))
        })?;
        let report = table.report(name, &strategy)?;
        out.push('\n');
        out.push_str(&report.text);
        compared.push(report.row);
    }
    if wanted.len() > 1 {
        out.push('\n');
        let align = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right];
        columns("", &align, &compared).into_iter().for_each(|line| out.extend([line.as_str(), "\n"]));
    }
    super::print(&out)?;
    Ok(Exit::Pass)
}

struct Report {
    text: String,
    row: Vec<String>,
}

impl Table {
    fn of(args: &Args) -> Result<Table, CliError> {
        let usage = |text: String| Err(CliError::Usage(text));
        let mut builder = NamesBuilder::default();
        builder.topic("T");
        for (i, broker) in args.brokers.iter().enumerate() {
            if broker.is_empty() || args.brokers[..i].contains(broker) {
                return usage(format!("--brokers: \"{broker}\" is empty or named twice; name each broker once"));
            }
            builder.broker(broker);
        }
        if args.brokers.len() > 256 {
            return usage(format!("--brokers: {} brokers are more than the 256 this table takes", args.brokers.len()));
        }
        let names = builder.freeze();
        let topic = names.topic("T").ok_or_else(|| CliError::Usage("--brokers: no topic can be made of these".to_owned()))?;
        let of_broker = |broker| (0..i32::from(args.queues)).map(move |queue_id| MessageQueue { topic, broker, queue_id });
        let queues: Vec<MessageQueue> = names.brokers().flat_map(of_broker).collect();
        let numbered = |i: usize| -> Arc<str> { format!("cg-{i}").into() };
        let (mut consumers, joiner): (Vec<Arc<str>>, Arc<str>) = if args.consumer_ids.is_empty() {
            ((0..usize::from(args.consumers)).map(numbered).collect(), numbered(usize::from(args.consumers)))
        } else {
            // Of the room of the last, so that strategies that read rooms from ids have one.
            let last = args.consumer_ids.last().map_or("", String::as_str);
            (args.consumer_ids.iter().map(|id| id.as_str().into()).collect(), format!("{last}-new").into())
        };
        // Every member sorts the ids it gets, as Java compares strings.
        consumers.sort_by(|a, b| java_cmp(a, b));
        if consumers.len() > 256 || consumers.windows(2).any(|w| w[0] == w[1]) || consumers.iter().any(|c| c.is_empty()) {
            return usage(
                "--consumer-ids: an id is empty or given twice, or there are more than 256; give each consumer one id".to_owned(),
            );
        }
        Ok(Table { names, queues, consumers, joiner })
    }

    fn owners(&self, strategy: &Strategy, members: &[Arc<str>]) -> Result<Owners, CliError> {
        let mut owners: Owners = self.queues.iter().map(|q| (*q, Vec::new())).collect();
        for member in members {
            let share = strategy.allocate(&self.names, member, &self.queues, members);
            let share = share.map_err(|e| CliError::Usage(format!("{} cannot share these queues out: {e}", strategy.name())))?;
            for queue in share {
                owners.entry(queue).or_default().push(member.clone());
            }
        }
        Ok(owners)
    }

    fn report(&self, name: &str, strategy: &Strategy) -> Result<Report, CliError> {
        let now = self.owners(strategy, &self.consumers)?;
        let share = |member: &Arc<str>| -> Vec<MessageQueue> {
            now.iter().filter(|(_, o)| o.contains(member)).map(|(q, _)| *q).collect()
        };
        let shares: Vec<(Arc<str>, Vec<MessageQueue>)> = self.consumers.iter().map(|c| (c.clone(), share(c))).collect();
        let rows: Vec<Vec<String>> =
            shares.iter().map(|(c, s)| vec![c.to_string(), s.len().to_string(), self.ranges(s)]).collect();
        let mut text = format!("{name}\n");
        let mut put = |line: &str| text.extend([line, "\n"]);
        columns("  ", &[Align::Left, Align::Right, Align::Left], &rows).iter().for_each(|line| put(line));

        let sizes = || shares.iter().map(|(_, s)| s.len());
        let (fewest, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        let mean = self.queues.len() as f64 / self.consumers.len().max(1) as f64;
        put(&format!("  balance: {fewest} to {most} a consumer; the fullest has {:.2} times the mean", most as f64 / mean));
        let odd: Vec<MessageQueue> = now.iter().filter(|(_, o)| o.len() != 1).map(|(q, _)| *q).collect();
        if !odd.is_empty() {
            put(&format!("  not owned by exactly one: {}", self.ranges(&odd)));
        }

        let mut joined = self.consumers.clone();
        joined.push(self.joiner.clone());
        joined.sort_by(|a, b| java_cmp(a, b));
        let on_join = self.moves(&now, &self.owners(strategy, &joined)?);
        let fair = self.queues.len() / joined.len();
        let mut rows = vec![self.move_row(&format!("{} joins", self.joiner), &on_join, &format!("an even share is {fair}"))];
        let mut worst = 0;
        for (member, share) in self.leavers(&shares) {
            let left: Vec<Arc<str>> = self.consumers.iter().filter(|c| *c != member).cloned().collect();
            let moves = self.moves(&now, &self.owners(strategy, &left)?);
            worst = worst.max(size(&moves));
            rows.push(self.move_row(&format!("{member} leaves"), &moves, &format!("it had {}", share.len())));
        }
        columns("  ", &[Align::Left, Align::Right, Align::Left, Align::Left], &rows).iter().for_each(|line| put(line));
        let at_worst = if self.consumers.len() > 1 { worst.to_string() } else { "-".to_owned() };
        let row = vec![name.to_owned(), fewest.to_string(), most.to_string(), size(&on_join).to_string(), at_worst];
        Ok(Report { text, row })
    }

    /// Who leaves in the table: everyone of a small group; the first, the middle and the last of a large one; nobody when none would stay.
    fn leavers<'s>(&self, shares: &'s [(Arc<str>, Vec<MessageQueue>)]) -> Vec<&'s (Arc<str>, Vec<MessageQueue>)> {
        match shares.len() {
            0 | 1 => Vec::new(),
            n if n <= 16 => shares.iter().collect(),
            n => [0, n / 2, n - 1].into_iter().filter_map(|i| shares.get(i)).collect(),
        }
    }

    /// What changes hands, by (from, to).
    fn moves(&self, before: &Owners, after: &Owners) -> Moves {
        let who = |o: &[Arc<str>]| if o.is_empty() { "nobody".to_owned() } else { o.join("+") };
        let mut moves = Moves::new();
        for (queue, was) in before {
            let is = after.get(queue).map_or(&[][..], Vec::as_slice);
            if was != is {
                moves.entry((who(was), who(is))).or_default().push(*queue);
            }
        }
        moves
    }

    fn move_row(&self, event: &str, moves: &Moves, measure: &str) -> Vec<String> {
        let named = moves.iter().take(NAMED_MOVES);
        let mut named: Vec<String> = named.map(|((was, is), queues)| format!("{was} -> {is} {}", self.ranges(queues))).collect();
        if moves.len() > NAMED_MOVES {
            named.push(format!("and {} more pairs", moves.len() - NAMED_MOVES));
        }
        vec![event.to_owned(), format!("moves {}", size(moves)), format!("({measure})"), named.join("; ")]
    }

    /// "broker-a:0-3,7  broker-b:1".
    fn ranges(&self, queues: &[MessageQueue]) -> String {
        let of_broker = |queues: &[MessageQueue]| {
            let runs = queues
                .chunk_by(|a, b| a.queue_id + 1 == b.queue_id)
                .filter_map(|run| Some((run.first()?.queue_id, run.last()?.queue_id)));
            let runs: Vec<String> = runs.map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") }).collect();
            queues.first().map_or(String::new(), |q| format!("{}:{}", self.names.broker_name(q.broker), runs.join(",")))
        };
        let parts: Vec<String> = queues.chunk_by(|a, b| a.broker == b.broker).map(of_broker).collect();
        if parts.is_empty() { "-".to_owned() } else { parts.join("  ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(strategy: &str) -> Args {
        Args {
            queues: 4,
            brokers: vec!["broker-b".into(), "broker-a".into()],
            consumers: 3,
            consumer_ids: Vec::new(),
            strategy: strategy.to_owned(),
        }
    }

    #[test]
    fn the_default_strategy_as_a_table() {
        let table = Table::of(&args("AVG")).unwrap();
        let report = table.report("AVG", &Strategy::by_name("AVG").unwrap()).unwrap();
        insta::assert_snapshot!(report.text, @r"
        AVG
          cg-0  3  broker-a:0-2
          cg-1  3  broker-a:3  broker-b:0-1
          cg-2  2  broker-b:2-3
          balance: 2 to 3 a consumer; the fullest has 1.12 times the mean
          cg-3 joins   moves 5  (an even share is 2)  cg-0 -> cg-1 broker-a:2; cg-1 -> cg-2 broker-b:0-1; cg-2 -> cg-3 broker-b:2-3
          cg-0 leaves  moves 5  (it had 3)            cg-0 -> cg-1 broker-a:0-2; cg-1 -> cg-2 broker-b:0-1
          cg-1 leaves  moves 3  (it had 3)            cg-1 -> cg-0 broker-a:3; cg-1 -> cg-2 broker-b:0-1
          cg-2 leaves  moves 3  (it had 2)            cg-1 -> cg-0 broker-a:3; cg-2 -> cg-1 broker-b:2-3
        ");
        assert_eq!(report.row, ["AVG", "2", "3", "5", "5"]);
    }

    #[test]
    fn all_named_strategies_can_be_asked() {
        for name in NAMES {
            let table = Table::of(&args(name)).unwrap();
            table.report(name, &Strategy::by_name(name).unwrap()).unwrap();
        }
        let large = Table::of(&Args { queues: 50, consumers: 40, ..args("AVG") }).unwrap();
        large.report("AVG", &Strategy::by_name("AVG").unwrap()).unwrap();
    }

    #[test]
    fn slips_are_named() {
        let twice = Args { brokers: vec!["a".into(), "a".into()], ..args("AVG") };
        assert!(Table::of(&twice).err().unwrap().to_string().contains("named twice"));
        let same = Args { consumer_ids: vec!["x".into(), "x".into()], ..args("AVG") };
        assert!(Table::of(&same).err().unwrap().to_string().contains("given twice"));
        assert!(run(&args("AVERAGE")).err().unwrap().to_string().contains("AVG_BY_CIRCLE"));
    }
}
