//! What every law has in common: it counts its comparisons, remembers its first violation, and is unknown if it compared nothing.

use crate::run::outcome::{CheckResult, Verdict};

#[derive(Clone, Debug, Default)]
pub struct Law {
    pub compared: u64,
    pub violations: u64,
    first: Option<String>,
}

impl Law {
    #[inline]
    pub fn compare(&mut self) {
        self.compared += 1;
    }

    /// A violation; the text is made for the first one only.
    #[cold]
    pub fn break_it(&mut self, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.first.is_none() {
            self.first = Some(what());
        }
    }

    pub fn result(self, name: &'static str) -> CheckResult {
        let (verdict, detail) = match self.first {
            Some(first) if self.violations > 1 => (Verdict::Fail, format!("{first} (and {} more)", self.violations - 1)),
            Some(first) => (Verdict::Fail, first),
            None if self.compared == 0 => (Verdict::Unknown, "nothing to judge".to_owned()),
            None => (Verdict::Pass, String::new()),
        };
        CheckResult { name, verdict, compared: self.compared, detail }
    }
}

/// A moment for people: seconds from time 0.
pub fn moment(at: u64, zero: u64) -> String {
    format!("{:.3} s", crate::base::time::seconds(at, zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_valued() {
        assert_eq!(Law::default().result("x").verdict, Verdict::Unknown);
        let mut law = Law::default();
        law.compare();
        assert_eq!(law.clone().result("x").verdict, Verdict::Pass);
        law.break_it(|| "first".to_owned());
        law.break_it(|| unreachable!("only the first is described"));
        let result = law.result("x");
        assert_eq!((result.verdict, result.detail.as_str()), (Verdict::Fail, "first (and 1 more)"));
    }
}
