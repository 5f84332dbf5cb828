//! The embeddings of one run.

use std::collections::BTreeMap;
use std::fmt;

use super::fingerprint::SemanticFingerprint;
use super::flat_index::{FlatIndex, Query};
use super::index::Index;
use crate::dedup::near::{Details, Difference};
use crate::dedup::{Match, Memory, Reference, Verdict};

/// The embeddings of one run: a byte a dimension, and some 150 bytes for the words of a question.
///
/// About 540 bytes a record in 384 dimensions, and up to twice as much just after the memory has grown.
pub struct SemanticMemory {
    threshold: f32,
    approximate_beyond: usize,
    /// By the number of dimensions. There is one, unless the embedder was exchanged.
    by_length: BTreeMap<usize, Named>,
}

/// Vectors, and whose they are.
struct Named {
    vectors: FlatIndex,
    names: Vec<Reference>,
    details: Vec<Option<Box<Details>>>,
    index: Index,
}

impl Named {
    fn nearest(
        &self,
        query: &Query,
        details: Option<&Details>,
        threshold: f32,
    ) -> Option<(usize, f32)> {
        let fits = |at: usize| match (&self.details[at], details) {
            (Some(one), Some(other)) => Difference::between(one, other) == Difference::Wording,
            _ => true,
        };
        if self.index.serves(query) {
            self.index.nearest(&self.vectors, query, threshold, &fits)
        } else {
            self.vectors.nearest(query, threshold, &fits)
        }
    }

    fn push(&mut self, query: &Query, details: Option<Box<Details>>, name: Reference) {
        self.vectors.push(query);
        self.names.push(name);
        self.details.push(details);
        self.index.follow(&self.vectors);
    }
}

impl SemanticMemory {
    pub(super) fn new(threshold: f32, approximate_beyond: usize) -> Self {
        Self {
            threshold,
            approximate_beyond,
            by_length: BTreeMap::new(),
        }
    }

    fn named(&mut self, dimensions: usize) -> &mut Named {
        let beyond = self.approximate_beyond;
        self.by_length.entry(dimensions).or_insert_with(|| Named {
            vectors: FlatIndex::default(),
            names: Vec::new(),
            details: Vec::new(),
            index: Index::new(beyond),
        })
    }

    /// Returns how many bytes are in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.by_length
            .values()
            .map(|vectors| {
                let names = vectors.names.capacity() * size_of::<Reference>();
                let of_one = |details: &Details| size_of::<Details>() + details.bytes();
                let details: usize = vectors
                    .details
                    .iter()
                    .flatten()
                    .map(|details| of_one(details))
                    .sum();
                let details = details + vectors.details.capacity() * size_of::<usize>();
                vectors.vectors.bytes() + vectors.index.bytes() + names + details
            })
            .sum()
    }
}

impl Memory for SemanticMemory {
    type Fingerprint = SemanticFingerprint;

    fn find(&self, fingerprint: &SemanticFingerprint) -> Option<Match> {
        let known = self.by_length.get(&fingerprint.vector.len())?;
        let query = Query::new(fingerprint);
        let details = fingerprint.details.as_deref();
        let (at, similarity) = known.nearest(&query, details, self.threshold)?;
        Some(Match {
            of: known.names[at].clone(),
            similarity,
            method: "semantic",
        })
    }

    fn admit(&mut self, fingerprint: SemanticFingerprint, reference: Reference) -> Verdict {
        let threshold = self.threshold;
        let known = self.named(fingerprint.vector.len());
        let query = Query::new(&fingerprint);
        if let Some((at, similarity)) =
            known.nearest(&query, fingerprint.details.as_deref(), threshold)
        {
            return Verdict::duplicate(known.names[at].clone(), similarity).by("semantic");
        }
        known.push(&query, fingerprint.details, reference);
        Verdict::Unique
    }

    fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        let largest = self
            .by_length
            .values()
            .max_by_key(|vectors| vectors.names.len());
        let Some(Named { vectors, names, .. }) = largest else {
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
        let records: usize = self
            .by_length
            .values()
            .map(|vectors| vectors.names.len())
            .sum();
        f.debug_struct("SemanticMemory")
            .field("records", &records)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
