//! What judges gave the candidates of a run.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::scores::Scores;

/// The scores that candidates were given by one criterion, accepted or not.
///
/// In JSON: their `mean`, how often votes on the same candidate agreed (`agreement`, from 0 to 1; null with one vote each), and
/// the number of `votes` for each score.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CriterionReport {
    /// Votes, by score.
    pub votes: BTreeMap<i64, u64>,
    /// Pairs of votes on the same candidate.
    pub pairs: u64,
    /// Of those, pairs of the same score.
    pub agreeing: u64,
}

#[allow(clippy::cast_precision_loss)] // Of a ratio, a few digits are read.
impl CriterionReport {
    /// Returns the mean score; `None` without a vote.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count: u64 = self.votes.values().sum();
        let sum = self
            .votes
            .iter()
            .map(|(score, votes)| *score as f64 * *votes as f64);
        (count > 0).then(|| sum.sum::<f64>() / count as f64)
    }

    /// Returns how often two votes on the same candidate agreed, from 0 to 1; `None` where there were no two.
    #[must_use]
    pub fn agreement(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.agreeing as f64 / self.pairs as f64)
    }
}

impl Serialize for CriterionReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("CriterionReport", 3)?;
        report.serialize_field("mean", &self.mean())?;
        report.serialize_field("agreement", &self.agreement())?;
        report.serialize_field("votes", &self.votes)?;
        report.end()
    }
}

/// Writes `4.2, votes agree 80 %`.
impl fmt::Display for CriterionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.mean().unwrap_or_default())?;
        match self.agreement() {
            Some(agreement) => write!(f, ", votes agree {:.0} %", agreement * 100.0),
            None => Ok(()),
        }
    }
}

/// Adds the scores of one candidate.
pub(crate) fn add(report: &mut BTreeMap<String, CriterionReport>, scores: &Scores) {
    let votes = scores.votes();
    for (index, vote) in votes.iter().enumerate() {
        for (name, score) in &vote.scores {
            let criterion = report.entry(name.clone()).or_default();
            *criterion.votes.entry(*score).or_default() += 1;
            for earlier in &votes[..index] {
                criterion.pairs += 1;
                criterion.agreeing += u64::from(earlier.scores.get(name) == Some(score));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scores::Vote;

    #[test]
    fn means_and_agreement_are_of_the_votes() {
        let scores = |given: &[i64]| {
            let vote = |score: &i64| Vote::new(BTreeMap::from([("clear".to_owned(), *score)]), "");
            Scores::new(given.iter().map(vote).collect())
        };
        let mut report = BTreeMap::new();
        add(&mut report, &scores(&[5, 5, 3]));
        add(&mut report, &scores(&[1]));
        let expected =
            json!({"mean": 3.5, "agreement": 1.0 / 3.0, "votes": {"1": 1, "3": 1, "5": 2}});
        assert_eq!(json!(report["clear"]), expected);
        assert_eq!(report["clear"].to_string(), "3.5, votes agree 33 %");
    }
}
