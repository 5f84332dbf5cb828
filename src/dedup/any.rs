//! Any deduplicator behind one type, whatever its fingerprints are.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Deduplicator, Match, Memory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::error::Result;

const OWN: &str = "a memory is given the fingerprints of its own deduplicator only";

/// Any [`Deduplicator`], as a pipeline stores it. Cheap to clone.
#[derive(Clone)]
pub struct AnyDeduplicator(Arc<dyn Erased>);

/// A fingerprint of the deduplicator that made it.
pub struct AnyFingerprint(Box<dyn Any + Send>);

/// The [`Memory`] of one run, which also counts the records in it.
pub struct AnyMemory {
    memory: Box<dyn ErasedMemory>,
    records: u64,
}

impl AnyDeduplicator {
    /// Wraps a deduplicator.
    pub fn new(deduplicator: impl Deduplicator) -> Self {
        Self(Arc::new(deduplicator))
    }

    /// Computes what is compared; see [`Deduplicator::fingerprint`].
    ///
    /// # Errors
    ///
    /// Returns what the deduplicator returns.
    pub async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<AnyFingerprint> {
        self.0.fingerprint(candidate).await
    }

    /// Checks that what fingerprints need can be had; see [`Deduplicator::check`].
    ///
    /// # Errors
    ///
    /// Returns what the deduplicator returns.
    pub async fn check(&self) -> Result<()> {
        self.0.check().await
    }

    /// Creates the empty memory of one run.
    #[must_use]
    pub fn memory(&self) -> AnyMemory {
        AnyMemory {
            memory: self.0.memory(),
            records: 0,
        }
    }

    /// Says what is compared; see [`Deduplicator::describe`].
    #[must_use]
    pub fn describe(&self) -> String {
        self.0.describe()
    }
}

impl<D: Deduplicator> From<D> for AnyDeduplicator {
    fn from(deduplicator: D) -> Self {
        Self::new(deduplicator)
    }
}

impl fmt::Debug for AnyDeduplicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AnyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyFingerprint").finish_non_exhaustive()
    }
}

impl AnyMemory {
    /// Says whether a record is new and, if it is, remembers it as the next one of this run.
    ///
    /// Call it only for a candidate that will be accepted when it is new: nothing is forgotten again.
    pub fn admit(&mut self, fingerprint: AnyFingerprint) -> Verdict {
        let verdict = self
            .memory
            .admit(fingerprint, Reference::Record(self.records));
        self.records += u64::from(verdict.is_unique());
        verdict
    }

    /// Remembers given material, so that a record repeating it is a duplicate of `reference`.
    ///
    /// The verdict says whether the material repeats something itself; it is remembered either way, through
    /// what it repeats.
    pub fn remember(&mut self, fingerprint: AnyFingerprint, reference: Reference) -> Verdict {
        self.memory.admit(fingerprint, reference)
    }

    /// Returns what a fingerprint repeats, and remembers nothing; see [`Memory::find`].
    #[must_use]
    pub fn find(&self, fingerprint: &AnyFingerprint) -> Option<Match> {
        self.memory.find(fingerprint)
    }

    /// Returns the embeddings of up to this many records; see [`Memory::embeddings`].
    #[must_use]
    pub fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        self.memory.embeddings(most)
    }

    /// Returns how many records of this run were unique so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl fmt::Debug for AnyMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyMemory")
            .field("memory", &self.memory)
            .field("records", &self.records)
            .finish()
    }
}

#[async_trait]
trait Erased: fmt::Debug + Send + Sync {
    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<AnyFingerprint>;
    async fn check(&self) -> Result<()>;
    fn memory(&self) -> Box<dyn ErasedMemory>;
    fn describe(&self) -> String;
}

trait ErasedMemory: fmt::Debug + Send {
    fn admit(&mut self, fingerprint: AnyFingerprint, reference: Reference) -> Verdict;
    fn find(&self, fingerprint: &AnyFingerprint) -> Option<Match>;
    fn embeddings(&self, most: usize) -> Vec<Vec<f32>>;
}

#[async_trait]
impl<D: Deduplicator> Erased for D {
    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<AnyFingerprint> {
        let fingerprint = Deduplicator::fingerprint(self, candidate).await?;
        Ok(AnyFingerprint(Box::new(fingerprint)))
    }

    async fn check(&self) -> Result<()> {
        Deduplicator::check(self).await
    }

    fn memory(&self) -> Box<dyn ErasedMemory> {
        Box::new(Deduplicator::memory(self))
    }

    fn describe(&self) -> String {
        Deduplicator::describe(self)
    }
}

impl<M> ErasedMemory for M
where
    M: Memory,
    M::Fingerprint: 'static,
{
    fn admit(&mut self, fingerprint: AnyFingerprint, reference: Reference) -> Verdict {
        let fingerprint = fingerprint.0.downcast().expect(OWN);
        Memory::admit(self, *fingerprint, reference)
    }

    fn find(&self, fingerprint: &AnyFingerprint) -> Option<Match> {
        let fingerprint = fingerprint.0.downcast_ref().expect(OWN);
        Memory::find(self, fingerprint)
    }

    fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        Memory::embeddings(self, most)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dedup::ExactDuplicates;

    async fn fingerprint(deduplicator: &AnyDeduplicator, text: &str) -> AnyFingerprint {
        let data = json!({ "text": text });
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        deduplicator
            .fingerprint(&candidate)
            .await
            .expect("exact fingerprints do not fail")
    }

    #[tokio::test]
    async fn records_are_numbered_by_unique_verdicts() {
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let mut memory = deduplicator.memory();
        assert!(
            memory
                .admit(fingerprint(&deduplicator, "a").await)
                .is_unique()
        );
        assert!(
            !memory
                .admit(fingerprint(&deduplicator, "A").await)
                .is_unique()
        );
        assert!(
            memory
                .admit(fingerprint(&deduplicator, "b").await)
                .is_unique()
        );
        assert_eq!(
            memory.admit(fingerprint(&deduplicator, "B.").await),
            Verdict::duplicate(Reference::Record(1), 1.0).by("exact")
        );
        assert_eq!(memory.records(), 2);
        for (text, found) in [("b!", Some(1)), ("c", None), ("c", None)] {
            let found = found.map(|number| (Reference::Record(number), "exact"));
            let hit = memory.find(&fingerprint(&deduplicator, text).await);
            assert_eq!(hit.map(|hit| (hit.of, hit.method)), found, "{text}");
        }
        assert_eq!(memory.records(), 2);
    }
}
