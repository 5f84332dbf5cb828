//! What a conformance run found.

use std::fmt;

/// What a conformance run found, case by case: kept, broken, or skipped with the reason.
///
/// Nothing is skipped silently: print the report, or assert on [`skipped`](Self::skipped), to see what was not
/// checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a report that nobody reads checks nothing; call `assert_kept`"]
pub struct Report {
    cases: Vec<(String, Finding)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Kept,
    Broken(String),
    Skipped(String),
}

impl Report {
    pub(super) fn skip(&mut self, case: impl Into<String>, reason: impl Into<String>) {
        self.cases
            .push((case.into(), Finding::Skipped(reason.into())));
    }

    pub(super) fn record(&mut self, case: impl Into<String>, found: Result<(), String>) {
        let finding = found.map_or_else(Finding::Broken, |()| Finding::Kept);
        self.cases.push((case.into(), finding));
    }

    /// Returns the cases that were checked and kept.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.cases
            .iter()
            .filter(|(_, finding)| *finding == Finding::Kept)
            .map(|(case, _)| case.as_str())
    }

    /// Returns the cases that were broken, each with what happened.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cases
            .iter()
            .filter_map(|(case, finding)| match finding {
                Finding::Broken(what) => Some((case.as_str(), what.as_str())),
                _ => None,
            })
    }

    /// Returns the cases that were not checked, each with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cases
            .iter()
            .filter_map(|(case, finding)| match finding {
                Finding::Skipped(reason) => Some((case.as_str(), reason.as_str())),
                _ => None,
            })
    }

    /// Checks that no promise is broken.
    ///
    /// # Panics
    ///
    /// If one is, with the whole report as the message.
    pub fn assert_kept(&self) {
        assert!(
            self.broken().next().is_none(),
            "a promise is broken:\n{self}"
        );
    }
}

/// One line per case.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, finding) in &self.cases {
            match finding {
                Finding::Kept => writeln!(f, "kept     {case}")?,
                Finding::Broken(what) => writeln!(f, "BROKEN   {case}: {what}")?,
                Finding::Skipped(reason) => writeln!(f, "skipped  {case}: {reason}")?,
            }
        }
        Ok(())
    }
}
