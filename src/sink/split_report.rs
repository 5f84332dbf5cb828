//! How a data set was split.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dedup::Neighbours;
use crate::record::Split;

/// How the records of a data set were split, and what holds between the sides.
///
/// Neighbours are on one side: what the near deduplicator takes for a repeat, and what shares as many words of the fields that
/// decide as `shared_words` says; so is what is a neighbour of a neighbour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitReport {
    /// The sides in their order.
    pub sides: Vec<Side>,
    /// Groups of several records that were kept together.
    pub groups: usize,
    /// Records in them.
    pub grouped: usize,
    /// No two records of different sides share this part of their words, or more.
    pub shared_words: f64,
    /// The two records of different sides that share the largest part of their words. `None` where that is below
    /// [`Neighbours::LEAST`].
    pub closest_sides: Option<ClosestRows>,
}

/// The two records on different sides that are most similar.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClosestRows {
    /// The part of their words that they share, from 0 to 1.
    pub similarity: f64,
    /// Whether no two share more. In very large sets of records that are all alike, the search may be ended early, see
    /// [`Neighbours::LOOKS`].
    pub is_exact: bool,
    /// Where they stand.
    pub rows: [Row; 2],
}

/// A place in the file of a side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The name of the side.
    pub side: String,
    /// The number of the record in its file, from 1: the line, in JSON Lines.
    pub row: usize,
}

/// A side of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Records on it.
    pub records: usize,
    /// Records that its share comes to. It has another number only where groups are too large for that.
    pub wanted: usize,
}

impl SplitReport {
    /// Puts records on sides, each group on one. Returns the side of each.
    pub(super) fn of(split: &Split, neighbours: &Neighbours, path: &Path) -> (Vec<usize>, Self) {
        let groups = neighbours.groups();
        let assigned = split.assign(&groups);
        let row = |record: usize| Row {
            side: split
                .names()
                .nth(assigned[record])
                .unwrap_or_default()
                .to_owned(),
            row: assigned[..=record]
                .iter()
                .filter(|side| **side == assigned[record])
                .count(),
        };
        let closest = neighbours.closest(&assigned);
        let mut members: HashMap<usize, usize> = HashMap::new();
        for group in &groups {
            *members.entry(*group).or_default() += 1;
        }
        let several: Vec<usize> = members.into_values().filter(|count| *count > 1).collect();
        let wanted = split.counts(groups.len());
        let sides = split.names().zip(wanted).enumerate();
        let sides = sides.map(|(number, (name, wanted))| Side {
            name: name.to_owned(),
            file: Split::file_of(name, path),
            records: assigned.iter().filter(|side| **side == number).count(),
            wanted,
        });
        let report = Self {
            sides: sides.collect(),
            groups: several.len(),
            grouped: several.iter().sum(),
            shared_words: Neighbours::OF_A_GROUP,
            closest_sides: closest.map(|found| ClosestRows {
                similarity: found.similarity,
                is_exact: found.is_exact,
                rows: [row(found.records.0), row(found.records.1)],
            }),
        };
        (assigned, report)
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.sides.iter().map(|side| side.file.clone()).collect()
    }
}

impl fmt::Display for SplitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for side in &self.sides {
            write!(f, "{}: {} records", side.name, side.records)?;
            if side.records != side.wanted {
                write!(f, " instead of {}, since groups are not torn", side.wanted)?;
            }
            f.write_str("; ")?;
        }
        write!(
            f,
            "{} records in {} groups were kept together; ",
            self.grouped, self.groups
        )?;
        let percent = |share: f64| share * 100.0;
        match &self.closest_sides {
            Some(ClosestRows {
                similarity,
                is_exact,
                rows: [one, other],
            }) => write!(
                f,
                "the most similar two on different sides share {}{:.0} % of their words: row {} of {} and row {} of {}",
                if *is_exact { "" } else { "at least " },
                percent(*similarity),
                one.row,
                one.side,
                other.row,
                other.side
            ),
            None => write!(
                f,
                "no two on different sides share {:.0} % of their words",
                percent(Neighbours::LEAST)
            ),
        }
    }
}
