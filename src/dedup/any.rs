//! Any deduplicator behind one type, whatever its fingerprints are.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{Deduplicator, Memory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::error::{Error, ErrorKind, Result};

/// Any [`Deduplicator`], as a pipeline stores it. Cheap to clone.
#[derive(Clone)]
pub struct AnyDeduplicator(Arc<dyn Erased>);

/// A fingerprint of the deduplicator that made it. Serialises as that fingerprint does.
pub struct AnyFingerprint(Box<dyn ErasedFingerprint>);

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

    /// Creates the empty memory of one run.
    #[must_use]
    pub fn memory(&self) -> AnyMemory {
        AnyMemory {
            memory: self.0.memory(),
            records: 0,
        }
    }

    /// Reads a fingerprint that was stored by [`AnyFingerprint::to_value`] or its `Serialize`.
    ///
    /// # Errors
    ///
    /// Returns a [`Journal`](ErrorKind::Journal) error where the value is not a fingerprint of this deduplicator.
    pub fn read_fingerprint(&self, value: &Value) -> Result<AnyFingerprint> {
        self.0.read_fingerprint(value)
    }

    /// Names how fingerprints are made; see [`Deduplicator::format`].
    #[must_use]
    pub fn format(&self) -> String {
        self.0.format()
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

impl AnyFingerprint {
    /// Returns the fingerprint as a value for storage.
    ///
    /// # Errors
    ///
    /// Returns a [`Plugin`](ErrorKind::Plugin) error where the fingerprint cannot be expressed as JSON.
    pub fn to_value(&self) -> Result<Value> {
        self.0.to_value().map_err(|e| {
            Error::new(ErrorKind::Plugin, "a fingerprint cannot be stored as JSON").with_source(e)
        })
    }
}

impl Serialize for AnyFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .to_value()
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
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

    /// Returns the embeddings of up to so many records; see [`Memory::embeddings`].
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
    fn memory(&self) -> Box<dyn ErasedMemory>;
    fn read_fingerprint(&self, value: &Value) -> Result<AnyFingerprint>;
    fn format(&self) -> String;
}

trait ErasedFingerprint: Send {
    fn to_value(&self) -> serde_json::Result<Value>;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

trait ErasedMemory: fmt::Debug + Send {
    fn admit(&mut self, fingerprint: AnyFingerprint, reference: Reference) -> Verdict;
    fn embeddings(&self, most: usize) -> Vec<Vec<f32>>;
}

#[async_trait]
impl<D: Deduplicator> Erased for D {
    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<AnyFingerprint> {
        let fingerprint = Deduplicator::fingerprint(self, candidate).await?;
        Ok(AnyFingerprint(Box::new(fingerprint)))
    }

    fn memory(&self) -> Box<dyn ErasedMemory> {
        Box::new(Deduplicator::memory(self))
    }

    fn read_fingerprint(&self, value: &Value) -> Result<AnyFingerprint> {
        // The cause is left out on purpose: it may quote the value.
        let fingerprint = D::Fingerprint::deserialize(value).map_err(|_| {
            Error::new(
                ErrorKind::Journal,
                "a stored fingerprint does not belong to this deduplicator",
            )
        })?;
        Ok(AnyFingerprint(Box::new(fingerprint)))
    }

    fn format(&self) -> String {
        Deduplicator::format(self)
    }
}

impl<F: Serialize + Send + 'static> ErasedFingerprint for F {
    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<M> ErasedMemory for M
where
    M: Memory,
    M::Fingerprint: 'static,
{
    fn admit(&mut self, fingerprint: AnyFingerprint, reference: Reference) -> Verdict {
        let fingerprint = fingerprint
            .0
            .into_any()
            .downcast()
            .expect("a memory is given the fingerprints of its own deduplicator only");
        Memory::admit(self, *fingerprint, reference)
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
            Verdict::duplicate(Reference::Record(1), 1.0)
        );
        assert_eq!(memory.records(), 2);
    }

    #[tokio::test]
    async fn a_stored_fingerprint_is_as_good_as_a_new_one() {
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let stored = fingerprint(&deduplicator, "a")
            .await
            .to_value()
            .expect("JSON");
        let mut memory = deduplicator.memory();
        let read = deduplicator.read_fingerprint(&stored).expect("its own");
        assert!(memory.admit(read).is_unique());
        assert!(
            !memory
                .admit(fingerprint(&deduplicator, "a").await)
                .is_unique()
        );
        assert!(deduplicator.read_fingerprint(&json!([1])).is_err());
    }
}
