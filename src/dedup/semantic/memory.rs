//! The embeddings of one run.

use std::collections::BTreeMap;
use std::fmt;

use super::fingerprint::SemanticFingerprint;
use super::shelf::{Query, Shelf};
use crate::dedup::{Memory, Reference, Verdict};

/// The embeddings of one run: a byte a dimension and some 56 bytes beside, so 440 bytes a record in 384 dimensions.
pub struct SemanticMemory {
    threshold: f32,
    /// By the number of dimensions. There is one, unless the embedder was exchanged.
    shelves: BTreeMap<usize, (Shelf, Vec<Reference>)>,
}

impl SemanticMemory {
    pub(super) fn new(threshold: f32) -> Self {
        Self {
            threshold,
            shelves: BTreeMap::new(),
        }
    }

    /// Returns how many bytes are in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let references =
            |references: &Vec<Reference>| references.capacity() * size_of::<Reference>();
        self.shelves
            .values()
            .map(|(shelf, names)| shelf.bytes() + references(names))
            .sum()
    }
}

impl Memory for SemanticMemory {
    type Fingerprint = SemanticFingerprint;

    fn admit(&mut self, fingerprint: SemanticFingerprint, reference: Reference) -> Verdict {
        let (shelf, references) = self.shelves.entry(fingerprint.vector.len()).or_default();
        let query = Query::new(&fingerprint);
        if let Some((at, similarity)) = shelf.nearest(&query, self.threshold) {
            return Verdict::duplicate(references[at].clone(), similarity);
        }
        shelf.push(&query);
        references.push(reference);
        Verdict::Unique
    }
}

impl fmt::Debug for SemanticMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: usize = self.shelves.values().map(|(shelf, _)| shelf.len()).sum();
        f.debug_struct("SemanticMemory")
            .field("records", &records)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
