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
    /// Puts records on sides by the numbers of their groups. Returns the side of each.
    pub(super) fn of(split: &Split, groups: &[usize], path: &Path) -> (Vec<usize>, Self) {
        let assigned = split.assign(groups);
        let mut members: HashMap<usize, usize> = HashMap::new();
        for group in groups {
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
            "{} records in {} groups were kept together, and no two on different sides share {:.0} % of their words",
            self.grouped,
            self.groups,
            self.shared_words * 100.0
        )
    }
}
