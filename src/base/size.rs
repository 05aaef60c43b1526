//! Bytes as people write them, in whole numbers throughout.

/// In the largest unit that leaves a whole part, to a tenth: "900 B", "13.2 MiB".
pub fn pretty_bytes(n: u64) -> String {
    let fit = [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(shift, _)| n >> shift > 0);
    fit.map_or_else(
        || format!("{n} B"),
        |(shift, unit)| {
            let tenths = (u128::from(n) * 10 + (1 << (shift - 1))) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_largest_unit_that_fits() {
        let table = [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (13_841_203, "13.2 MiB"), (5 << 30, "5.0 GiB")];
        for (n, text) in table {
            assert_eq!(pretty_bytes(n), text);
        }
        assert_eq!(pretty_bytes(u64::MAX), "17179869184.0 GiB");
    }
}
