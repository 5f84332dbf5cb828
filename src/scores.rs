//! What a judge gave a record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The scores that a judge gave one record, of each of its votes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores {
    votes: Vec<Vote>,
}

/// One vote of a judge.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Vote {
    /// The score by each criterion.
    pub scores: BTreeMap<String, i64>,
    /// What the judge said of the record.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

impl Vote {
    /// Creates a vote.
    pub fn new(scores: BTreeMap<String, i64>, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { scores, words }
    }
}

impl Scores {
    /// Puts votes together.
    #[must_use]
    pub fn new(votes: Vec<Vote>) -> Self {
        Self { votes }
    }

    /// Returns the votes.
    #[must_use]
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Returns the mean score by each criterion.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Scores are small.
    pub fn means(&self) -> BTreeMap<&str, f64> {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (name, score) in self.votes.iter().flat_map(|vote| &vote.scores) {
            let (sum, count) = sums.entry(name).or_default();
            (*sum, *count) = (*sum + *score as f64, *count + 1.0);
        }
        let means = sums.into_iter();
        means
            .map(|(name, (sum, count))| (name, sum / count))
            .collect()
    }

    /// Returns what was said with the lowest scores.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        let said = self.votes.iter().filter(|vote| !vote.words.is_empty());
        let lowest = said.min_by_key(|vote| vote.scores.values().sum::<i64>());
        lowest.map(|vote| &*vote.words)
    }
}

/// Shows the scores; a judge's words may be those of the record.
impl std::fmt::Debug for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.votes).finish()
    }
}

/// Shows the scores alone.
impl std::fmt::Debug for Vote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scores.fmt(f)
    }
}
