//! The embeddings of one run.

use std::collections::BTreeMap;
use std::fmt;

use super::fingerprint::SemanticFingerprint;
use super::shelf::{Query, Shelf};
use crate::dedup::{Memory, Reference, Verdict};

/// The embeddings of one run: a byte a dimension and some 64 bytes beside.
///
/// About 450 bytes a record in 384 dimensions, and up to twice as much just after the memory has grown.
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
        self.shelves
            .values()
            .map(|(shelf, names)| shelf.bytes() + names.capacity() * size_of::<Reference>())
            .sum()
    }
}

impl Memory for SemanticMemory {
    type Fingerprint = SemanticFingerprint;

    fn admit(&mut self, fingerprint: SemanticFingerprint, reference: Reference) -> Verdict {
        let (vectors, names) = self.shelves.entry(fingerprint.vector.len()).or_default();
        let query = Query::new(&fingerprint);
        if let Some((at, similarity)) = vectors.nearest(&query, self.threshold) {
            return Verdict::duplicate(names[at].clone(), similarity);
        }
        vectors.push(&query);
        names.push(reference);
        Verdict::Unique
    }

    fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        let largest = self.shelves.values().max_by_key(|(shelf, _)| shelf.len());
        let Some((vectors, names)) = largest else {
            return Vec::new();
        };
        let is_record = |at: &usize| matches!(names[*at], Reference::Record(_));
        let records: Vec<usize> = (0..names.len()).filter(is_record).collect();
        let count = most.min(records.len());
        let spread = (0..count).map(|place| records[place * records.len() / count]);
        spread.map(|at| vectors.vector(at)).collect()
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
