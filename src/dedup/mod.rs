//! Decides which candidates repeat what was already accepted.
//!
//! The work has two halves, so that the heavy one can run on many candidates at once while the light one
//! has a single owner and needs no lock:
//!
//! - [`Deduplicator::fingerprint`] takes `&self` and does everything that can be done by looking at one
//!   candidate alone: normalising, hashing, asking an embedding model;
//! - [`Memory::admit`] takes `&mut self` and does what needs the others: it looks and remembers in one step.
//!
//! A [`Deduplicator`] is settings and belongs to a pipeline; a [`Memory`] is state and belongs to one run.
//! [`AnyDeduplicator`] is the form a pipeline stores, whatever type of fingerprint is behind it.

mod any;
mod chain;
mod compared;
mod exact;
mod fields;
mod fold;
mod hashed_map;
mod known_records;
mod near;
mod neighbours;
mod off;
mod semantic;
mod settings;
mod word_index;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::candidate::Candidate;
use crate::error::Result;

pub use any::{AnyDeduplicator, AnyFingerprint, AnyMemory};
pub use chain::{Chain, ChainFingerprint, ChainMemory, DeduplicatorExt};
pub use exact::{ExactDuplicates, ExactFingerprint, ExactMemory};
pub use fields::{Fields, Scope};
pub use known_records::KnownRecords;
pub use near::{NearDuplicates, NearFingerprint, NearMemory};
pub use neighbours::{ClosestSides, Nearest, NearestOfEach, Neighbours};
pub use off::AcceptAll;
pub use semantic::{SemanticDuplicates, SemanticFingerprint, SemanticMemory};
pub use settings::{Deduplication, Method};

/// Decides what is new.
///
/// # For implementors
///
/// Two promises make a run repeatable and a resumed run cheap; `testing::conformance::dedup` checks them:
///
/// - [`fingerprint`](Self::fingerprint) depends on the candidate and the settings alone. It runs concurrently
///   and in any order, so keep no state there.
/// - [`Memory::admit`] depends on what was admitted before, in order, and on nothing else: the same
///   fingerprints in the same order get the same verdicts.
///
/// A deduplicator by a field that must be unique, in full:
///
/// ```
/// use std::collections::HashMap;
///
/// use topicloom::dedup::{Deduplicator, Memory, Reference, Verdict};
/// use topicloom::{Candidate, Result};
///
/// #[derive(Debug)]
/// struct UniqueName;
///
/// #[derive(Debug, Default)]
/// struct Names(HashMap<String, Reference>);
///
/// #[async_trait::async_trait]
/// impl Deduplicator for UniqueName {
///     type Fingerprint = String;
///     type Memory = Names;
///
///     async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<String> {
///         Ok(candidate.text("name").unwrap_or_default().to_lowercase())
///     }
///
///     fn memory(&self) -> Names {
///         Names::default()
///     }
/// }
///
/// impl Memory for Names {
///     type Fingerprint = String;
///
///     fn admit(&mut self, name: String, reference: Reference) -> Verdict {
///         match self.0.get(&name) {
///             Some(first) => Verdict::duplicate(first.clone(), 1.0),
///             None => {
///                 self.0.insert(name, reference);
///                 Verdict::Unique
///             }
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Deduplicator: fmt::Debug + Send + Sync + 'static {
    /// What is compared of a candidate.
    type Fingerprint: Send + 'static;

    /// What one run has seen so far.
    type Memory: Memory<Fingerprint = Self::Fingerprint>;

    /// Computes what is compared. The heavy half: runs concurrently and in any order.
    ///
    /// # Errors
    ///
    /// Returns an error where the fingerprint needs something that can fail, such as an embedding model.
    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<Self::Fingerprint>;

    /// Checks that what fingerprints need can be had, such as an embedding model. Called once, before a run makes its first
    /// call, so that a wrong URL or key costs no answer. Default: nothing to check.
    ///
    /// # Errors
    ///
    /// Returns an error where no fingerprint could be computed; it ends the run.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Creates the empty memory of one run.
    fn memory(&self) -> Self::Memory;

    /// Says what is compared, in a few words such as `near: question, context`, for plans, reports and events.
    ///
    /// Default: nothing is said.
    fn describe(&self) -> String {
        String::new()
    }
}

/// What one run has seen so far.
pub trait Memory: fmt::Debug + Send + 'static {
    /// What is remembered of a candidate.
    type Fingerprint;

    /// Says whether the fingerprint is new and, if it is, remembers it under `reference`.
    ///
    /// The light half: called one at a time. The caller accepts the candidate when the verdict is
    /// [`Unique`](Verdict::Unique), since nothing is ever forgotten again. A duplicate is not remembered.
    fn admit(&mut self, fingerprint: Self::Fingerprint, reference: Reference) -> Verdict;

    /// Returns what the fingerprint repeats, and remembers nothing; for a look at a data set that is not to be changed by it.
    /// Default: nothing is found.
    fn find(&self, fingerprint: &Self::Fingerprint) -> Option<Match> {
        let _ = fingerprint;
        None
    }

    /// Returns the embeddings of up to `most` of the records that are remembered, spread evenly over them, for the
    /// measures of diversity in the report. Default: none, as most memories have none.
    fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        let _ = most;
        Vec::new()
    }
}

/// Whether a candidate is new.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing like it was seen; from now on it was.
    Unique,
    /// It repeats something.
    Duplicate(Match),
}

impl Verdict {
    /// Creates the verdict that a candidate repeats `of`, with a similarity from 0 to 1.
    #[must_use]
    pub fn duplicate(of: Reference, similarity: f32) -> Self {
        Self::Duplicate(Match {
            of,
            similarity,
            method: "",
        })
    }

    /// Names the method that found the repeat, for the counts of the report.
    #[must_use]
    pub fn by(self, name: &'static str) -> Self {
        match self {
            Self::Duplicate(found) => Self::Duplicate(Match {
                method: name,
                ..found
            }),
            Self::Unique => Self::Unique,
        }
    }

    /// Returns whether the candidate is new.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique)
    }
}

/// What a duplicate repeats, and how closely.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Match {
    /// What it repeats.
    pub of: Reference,
    /// From 0 to 1, where 1 is equal after normalisation. Comparable within one deduplicator only.
    pub similarity: f32,
    /// The method that found it: `near`, `exact`, `semantic`, or the name that a deduplicator of your own gives; else
    /// empty.
    pub method: &'static str,
}

impl Match {
    /// Returns the ordinal of the record that it repeats, if that is one of the run.
    pub(crate) fn record(&self) -> Option<u64> {
        match self.of {
            Reference::Record(ordinal) => Some(ordinal),
            Reference::Given(_) => None,
        }
    }
}

/// Something a candidate can repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reference {
    /// A record of this run, by the number of unique verdicts before it: the first is 0.
    Record(u64),
    /// A piece of given material.
    Given(Arc<GivenPlace>),
}

impl Reference {
    /// Creates a reference to given material: the name of its source, and the line in it, from 1.
    #[must_use]
    pub fn given(source: &Arc<str>, line: u64) -> Self {
        Self::Given(Arc::new(GivenPlace {
            source: Arc::clone(source),
            line,
        }))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(ordinal) => write!(f, "record {ordinal}"),
            Self::Given(place) => write!(f, "{} line {}", place.source, place.line),
        }
    }
}

/// Where in the given material something stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GivenPlace {
    /// The name of the source, such as a file name.
    pub source: Arc<str>,
    /// The line in a file, or the number of the item in an iterator; the first is 1.
    pub line: u64,
}
