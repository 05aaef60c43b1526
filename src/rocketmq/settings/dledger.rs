//! How the settings of a DLedger group are read.

/// `preferredLeaderId`, as numbers of members (`DLedgerServer#checkPreferredLeader`, DLedger 0.3.1.2, splits it at each ";"); `None`: no such list. RocketMQ only logs a
/// name that no member has; here a name must at least be one that a member could have.
pub fn preferred_leaders(text: &str) -> Option<Vec<u16>> {
    let one = |name: &str| name.strip_prefix('n').filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    if text.is_empty() { Some(Vec::new()) } else { text.split(';').map(one).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferred_leaders_are_a_list() {
        let table: [(&str, Option<&[u16]>); 8] = [
            ("", Some(&[])),
            ("n0", Some(&[0])),
            ("n2;n0", Some(&[2, 0])),
            ("0", None),
            ("n", None),
            ("n0;", None),
            ("n0,n1", None),
            ("n+1", None),
        ];
        for (text, expect) in table {
            assert_eq!(preferred_leaders(text).as_deref(), expect, "{text}");
        }
    }
}
