//! Charts as SVG, one file a chart. They show at a glance what the tables say: when it hurt, how much, and which fault it was.
//!
//! Each chart is laid out here in whole pixels and drawn through plotters' SVG backend: axes of plotters' own would take logarithms that
//! vary by platform, and text would be measured without a font.

mod canvas;
pub mod durability;
mod frame;
pub mod gantt;
pub mod latency;
pub mod waterfall;

/// Checks that the text is XML whose tags nest, whose attributes are quoted, and that no number went wrong on the way.
#[cfg(test)]
fn well_formed(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "an svg from end to end");
    for bad in ["NaN", "inf\"", "-inf", "2147483647", "-2147483648"] {
        assert!(!svg.contains(bad), "{bad} in the chart");
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a bare > in {}", &rest[..at]);
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in {tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.extend(tag.split_whitespace().next()),
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?} stay open");
    assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
}
