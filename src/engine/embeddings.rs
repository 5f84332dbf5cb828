//! The embeddings of a run: asked for once, booked under its caps, and kept in its journal.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::Semaphore;
use xxhash_rust::xxh3::xxh3_128;

use super::log::Log;
use crate::embedding::{Batched, Embedder, embed_each};
use crate::error::{Error, Result};
use crate::journal::{Embedding, Entry, Journal};
use crate::llm::layers::{Budget, Retrying};

/// Asks a model for the embeddings of a run, each text once.
pub(crate) struct RunEmbedder {
    model: Batched<Retrying<Booked>>,
    /// What was asked before, by the hash of its text.
    known: Mutex<HashMap<u128, Vec<f32>>>,
    log: OnceLock<Arc<Log>>,
}

impl RunEmbedder {
    /// Asks this model, at most `max_concurrency` calls at a time.
    ///
    /// # Errors
    ///
    /// Where a cap of the budget cannot hold for the model.
    pub(crate) fn new(
        model: Arc<dyn Embedder>,
        budget: Arc<Budget>,
        max_concurrency: usize,
    ) -> Result<Self> {
        budget.check_input_only(model.name())?;
        let booked = Booked {
            model,
            budget,
            permits: Semaphore::new(max_concurrency),
        };
        Ok(Self {
            model: Batched::new(Retrying::new(booked)),
            known: Mutex::default(),
            log: OnceLock::new(),
        })
    }

    /// Reads what an earlier process asked for.
    pub(super) async fn recall(&self, journal: Option<&Arc<dyn Journal>>) -> Result<()> {
        let Some(journal) = journal else {
            return Ok(());
        };
        let mut entries = journal.read().await?;
        while let Some(entry) = entries.next().await {
            if let Entry::Embedded(embedding) = entry?
                && *embedding.model == *self.name()
                && let Some(vector) = embedding.vector()
            {
                self.known().insert(embedding.text, vector);
            }
        }
        Ok(())
    }

    /// Writes what is asked for from now on into a log.
    pub(super) fn keep_in(&self, log: &Arc<Log>) {
        // A run is driven once; were it not, the first log would have to do.
        let _ = self.log.set(Arc::clone(log));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u128, Vec<f32>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>> {
        let hash = xxh3_128(text.as_bytes());
        if let Some(vector) = self.known().get(&hash) {
            return Ok(vector.clone());
        }
        let vectors = embed_each(&self.model, &[text]).await?;
        let vector = vectors.into_iter().next().unwrap_or_default();
        let kept = Embedding::new(hash, self.name(), &vector);
        // As it will be read from the journal, so that a resumed run decides alike.
        let vector = kept.vector().unwrap_or(vector);
        if let Some(log) = self.log.get() {
            log.append_aside(|| Entry::Embedded(kept)).await?;
        }
        Ok(vector)
    }
}

#[async_trait]
impl Embedder for RunEmbedder {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        futures::future::try_join_all(texts.iter().map(|text| self.embed_one(text))).await
    }

    fn name(&self) -> &str {
        self.model.name()
    }
}

impl fmt::Debug for RunEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunEmbedder")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Books each call of an embedder, and bounds how many are made at once.
#[derive(Debug)]
struct Booked {
    model: Arc<dyn Embedder>,
    budget: Arc<Budget>,
    permits: Semaphore,
}

#[async_trait]
impl Embedder for Booked {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let _permit = self.permits.acquire().await.map_err(|error| {
            Error::new(crate::error::ErrorKind::Cancelled, "the run has ended").with_source(error)
        })?;
        let booking = self.budget.reserve_input(self.model.name(), texts).await?;
        let result = self.model.embed(texts).await;
        booking.settle_input(result.is_ok());
        result
    }

    fn name(&self) -> &str {
        self.model.name()
    }
}
