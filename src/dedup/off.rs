//! No comparison at all.

use async_trait::async_trait;

use super::{Deduplicator, Memory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::error::Result;

/// Accepts every record, for data where repeats are wanted, or looked for elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAll;

#[async_trait]
impl Deduplicator for AcceptAll {
    type Fingerprint = ();
    type Memory = Self;

    async fn fingerprint(&self, _: &Candidate<'_>) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> Self {
        Self
    }

    fn describe(&self) -> String {
        "nothing: repeats are accepted".to_owned()
    }
}

impl Memory for AcceptAll {
    type Fingerprint = ();

    fn admit(&mut self, (): (), _: Reference) -> Verdict {
        Verdict::Unique
    }
}
