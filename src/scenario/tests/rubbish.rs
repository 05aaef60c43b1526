//! Whatever a file holds, loading it ends with a run or with errors that lie in the text.

use super::*;
use proptest::prelude::*;

/// Bits of scenarios that a mutation throws in.
const BITS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "\"30s\"",
    "\"-30s\"",
    "\"*\"",
    "\"cg\"",
    "\"\"",
    "\\",
    "\u{e9}",
    "{}",
    "[]",
    "\"queues\"",
    "\"rate\"",
    "\"for\"",
    "\"brokerName\"",
    "\"kill\"",
    "\"at\"",
    "\"group\"",
    "\"9999999h\"",
    "\"999999999/s\"",
    "\n",
    "\u{1F680}",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn mutated_scenarios_never_panic(
        whole in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, 0..BITS.len()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut chars: Vec<char> = if whole { EVERYTHING } else { DESIGN }.chars().collect();
        for (at, remove, bit) in edits {
            let at = at.index(chars.len());
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, BITS[bit].chars());
        }
        if let Some(cut) = cut {
            chars.truncate(cut.index(chars.len()));
        }
        let text: String = chars.into_iter().collect();
        if let Err(errors) = parsed(&text) {
            assert_positions(&text, &errors);
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn swapped_values_never_panic(pick in any::<prop::sample::Index>(), with in any::<prop::sample::Index>(), bit in 0..BITS.len(), own in any::<bool>()) {
        // Replaces one value of a valid tree by another value of it, or by a bit.
        let mut tree = tree::parse(EVERYTHING).unwrap();
        let mut values = Vec::new();
        collect(&tree, &mut values);
        let value = if own { values[with.index(values.len())].clone() } else { tree::parse(BITS[bit]).unwrap_or(tree::Node::text("x")) };
        let mut left = pick.index(values.len());
        replace(&mut tree, &mut left, &value);
        let text = tree.to_json();
        match parsed(&text) {
            Err(errors) => assert_positions(&text, &errors),
            Ok(loaded) => {
                let again = parsed(&loaded.resolved).unwrap_or_else(|errors| panic!("{errors}\n{}", loaded.resolved));
                prop_assert!(format!("{:?}", loaded.spec) == format!("{:?}", again.spec), "{}", first_difference(&loaded.resolved, &again.resolved));
            }
        }
    }

    #[test]
    fn arguments_never_panic(path in "[a-z]{0,9}([.\\[][a-z0-9*\\]-]{0,8}){0,5}(=.{0,12})?") {
        let _ = with_set(DESIGN, &[&path]);
        let _ = with_set(DESIGN, &[&format!("producers{path}"), &format!("brokers.*.{path}")]);
    }

    #[test]
    fn trees_print_what_they_read(text in "\\PC{0,60}", number in any::<i64>()) {
        let node = tree::Node::object([("k", tree::Node::text(text)), ("n", tree::Node::list(vec![tree::Node::number(number)]))]);
        let again = tree::parse(&node.to_json()).unwrap();
        prop_assert_eq!(again.to_line(), node.to_line());
    }
}

fn collect(node: &tree::Node, out: &mut Vec<tree::Node>) {
    out.push(node.clone());
    match &node.shape {
        tree::Shape::List(values) => values.iter().for_each(|v| collect(v, out)),
        tree::Shape::Object(members) => members.iter().for_each(|m| collect(&m.value, out)),
        _ => {}
    }
}

fn replace(node: &mut tree::Node, left: &mut usize, value: &tree::Node) -> bool {
    if *left == 0 {
        *node = value.clone();
        return true;
    }
    *left -= 1;
    match &mut node.shape {
        tree::Shape::List(values) => values.iter_mut().any(|v| replace(v, left, value)),
        tree::Shape::Object(members) => members.iter_mut().any(|m| replace(&mut m.value, left, value)),
        _ => false,
    }
}
