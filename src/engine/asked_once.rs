//! What a run asks once and keeps in its journal: embeddings, and what filters say.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::Semaphore;
use xxhash_rust::xxh3::xxh3_128;

use super::RunParts;
use super::log::Log;
use crate::candidate::Candidate;
use crate::embedding::{Batched, Embedder, embed_each};
use crate::error::{Error, Result};
use crate::filter::{FilterVerdict, RecordFilter, label};
use crate::guard::bounded;
use crate::journal::{Embedding, Entry, Filtered};
use crate::llm::layers::{Budget, Retrying};

/// Reads what an earlier process was told.
pub(super) async fn recall(parts: &RunParts) -> Result<()> {
    let mut filters = parts.plug_ins.filters.iter();
    let has_keys = filters.any(|filter| filter.key().is_some());
    let Some(journal) = parts
        .plug_ins
        .journal
        .as_ref()
        .filter(|_| has_keys || parts.embedder.is_some())
    else {
        return Ok(());
    };
    let mut entries = journal.read().await?;
    while let Some(entry) = entries.next().await {
        match (entry?, &parts.embedder) {
            (Entry::Embedded(embedding), Some(embedder))
                if *embedding.model == *embedder.name() =>
            {
                if let Some(vector) = embedding.vector() {
                    embedder.known().insert(embedding.text, vector);
                }
            }
            (Entry::Filtered(filtered), _) => parts.verdicts.recall(filtered),
            _ => {}
        }
    }
    Ok(())
}

/// What filters with a key said, by the hash of the key and the record.
#[derive(Default)]
pub(crate) struct FilterVerdicts(Mutex<HashMap<u128, FilterVerdict>>);

impl FilterVerdicts {
    /// Asks a filter, unless it is known what it said of this record.
    ///
    /// # Errors
    ///
    /// Where it panics or is silent for too long; the inner one is its own.
    pub(super) async fn ask(
        &self,
        filter: &dyn RecordFilter,
        candidate: &Candidate<'_>,
        longest: Duration,
        log: &Log,
    ) -> Result<Result<FilterVerdict>> {
        let key = filter.key().map(|key| (key, hash_of(candidate)));
        if let Some((key, record)) = &key
            && let Some(known) = self.known().get(&hash_in(key, *record))
        {
            return Ok(Ok(known.clone()));
        }
        let asked = async { Ok(filter.check(candidate).await) };
        let verdict = bounded("a filter", longest, asked).await?;
        if let (Some((key, record)), Ok(verdict)) = (key, &verdict) {
            let reason = match verdict {
                FilterVerdict::Keep => None,
                FilterVerdict::Reject(reason) => Some(*reason),
            };
            log.append_aside(|| Entry::Filtered(Filtered::new(key, record, reason)))
                .await?;
        }
        Ok(verdict)
    }

    fn recall(&self, filtered: Filtered) {
        let verdict = match filtered.reason {
            None => FilterVerdict::Keep,
            Some(reason) => match label(reason) {
                Some(label) => FilterVerdict::Reject(label),
                None => return,
            },
        };
        let hash = hash_in(&filtered.filter, filtered.record);
        self.known().insert(hash, verdict);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u128, FilterVerdict>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(candidate: &Candidate<'_>) -> u128 {
    let text = serde_json::to_string(candidate.data()).unwrap_or_default();
    hash_in(candidate.topic(), xxh3_128(text.as_bytes()))
}

fn hash_in(name: &str, hash: u128) -> u128 {
    let mut bytes = hash.to_le_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    xxh3_128(&bytes)
}

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
