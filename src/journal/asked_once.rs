//! What a run asks once and keeps in its journal: embeddings, and what filters say.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use tokio::sync::{OnceCell, Semaphore};
use xxhash_rust::xxh3::xxh3_128;

use super::{CallNote, CallOf, Embedding, Entry, Filtered, Log, SideCall};
use crate::candidate::Candidate;
use crate::embedding::{Batched, Embedder, embed_each};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FilterVerdict;
use crate::llm::layers::{Budget, Retrying};
use crate::llm::{Attempt, Usage};

/// What was asked and answered, by a hash of the question.
///
/// Who asks what is being asked waits for the answer, and asks if there is none.
struct Answers<A>(Mutex<HashMap<u128, Arc<OnceCell<A>>>>);

impl<A> Default for Answers<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Clone> Answers<A> {
    /// Returns the answer, asking for it unless it is known.
    async fn get<E>(
        &self,
        question: u128,
        ask: impl Future<Output = Result<A, E>>,
    ) -> Result<A, E> {
        let answer = Arc::clone(self.answers().entry(question).or_default());
        answer.get_or_try_init(|| ask).await.cloned()
    }

    fn insert(&self, question: u128, answer: A) {
        let answer = Arc::new(OnceCell::new_with(Some(answer)));
        self.answers().insert(question, answer);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<u128, Arc<OnceCell<A>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What filters with a key said, by the hash of the key and the record.
#[derive(Default)]
pub(crate) struct FilterVerdicts(Answers<FilterVerdict>);

/// Why there is no verdict.
enum NoVerdict {
    /// The filter panicked, or was silent for too long, or its word could not be kept.
    Broken(Error),
    /// It could not decide.
    Undecided(Error),
}

impl FilterVerdicts {
    /// Has a filter decide, unless it has a key and it is known what it said of this record, whose hash it is told.
    ///
    /// # Errors
    ///
    /// Where it panics or is silent for too long; the inner one is its own.
    pub(crate) async fn ask<D>(
        &self,
        key: Option<&str>,
        candidate: &Candidate<'_>,
        log: &Log,
        decide: impl FnOnce(u128) -> D,
    ) -> Result<Result<FilterVerdict>>
    where
        D: Future<Output = Result<Result<FilterVerdict>>>,
    {
        let Some(key) = key else {
            return decide(0).await;
        };
        let record = hash_of(candidate);
        let kept = async {
            let verdict = decide(record).await.map_err(NoVerdict::Broken)?;
            let verdict = verdict.map_err(NoVerdict::Undecided)?;
            let entry = || Entry::Filtered(Filtered::new(key.to_owned(), record, &verdict));
            log.append_aside(entry).await.map_err(NoVerdict::Broken)?;
            Ok(verdict)
        };
        match self.0.get(hash_in(key, record), kept).await {
            Ok(verdict) => Ok(Ok(verdict)),
            Err(NoVerdict::Undecided(error)) => Ok(Err(error)),
            Err(NoVerdict::Broken(error)) => Err(error),
        }
    }

    /// Takes what an earlier process was told.
    pub(crate) fn recall(&self, filtered: &Filtered) {
        if let Some(verdict) = filtered.verdict() {
            let question = hash_in(&filtered.filter, filtered.record);
            self.0.insert(question, verdict);
        }
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
    /// By the hash of the text.
    vectors: Answers<Vec<f32>>,
    log: Arc<OnceLock<Arc<Log>>>,
    /// Why the first text was given up, if this process did so.
    first_failure: OnceLock<String>,
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
        let log = Arc::default();
        let booked = Booked {
            model,
            budget,
            permits: Semaphore::new(max_concurrency),
            log: Arc::clone(&log),
            calls: AtomicU64::new(0),
        };
        Ok(Self {
            model: Batched::new(Retrying::new(booked)),
            vectors: Answers::default(),
            log,
            first_failure: OnceLock::new(),
        })
    }

    /// Writes what is asked for from now on into a log.
    pub(crate) fn keep_in(&self, log: &Arc<Log>) {
        // A run is driven once; were it not, the first log would have to do.
        let _ = self.log.set(Arc::clone(log));
    }

    /// Takes what an earlier process was told.
    pub(crate) fn recall(&self, embedding: &Embedding) {
        if *embedding.model == *self.name()
            && let Some(vector) = embedding.vector()
        {
            self.vectors.insert(embedding.text, vector);
        }
    }

    /// Says how many texts have no embedding, if any.
    pub(crate) fn note(&self) -> Option<String> {
        let answers = self.vectors.answers();
        let is_nothing = |vector: &Vec<f32>| vector.iter().all(|x| *x == 0.0);
        let without = answers.values().filter_map(|answer| answer.get());
        let without = without.filter(|vector| is_nothing(vector)).count();
        (without > 0).then(|| {
            let why = self.first_failure.get();
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            format!(
                "texts of which `{}` made no embedding, whose records were compared by their words alone: {without}{why}",
                self.name()
            )
        })
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>> {
        let hash = xxh3_128(text.as_bytes());
        let asked = async {
            let vector = match embed_each(&self.model, &[text]).await {
                Ok(vectors) => vectors.into_iter().next().unwrap_or_default(),
                // Kept like an answer, so that a resumed run does not ask again. Its record is compared by its words alone.
                Err(error) if error.is_of_its_text() => {
                    let _ = self.first_failure.set(error.to_string());
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            let kept = Embedding::new(hash, self.name(), &vector);
            // As it will be read from the journal, so that a resumed run decides alike.
            let vector = kept.vector().unwrap_or(vector);
            if let Some(log) = self.log.get() {
                log.append_aside(|| Entry::Embedded(kept)).await?;
            }
            Ok(vector)
        };
        self.vectors.get(hash, asked).await
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

/// Books each call of an embedder and notes it in the journal, and bounds how many are made at once.
struct Booked {
    model: Arc<dyn Embedder>,
    budget: Arc<Budget>,
    permits: Semaphore,
    log: Arc<OnceLock<Arc<Log>>>,
    /// Calls so far.
    calls: AtomicU64,
}

#[async_trait]
impl Embedder for Booked {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let _permit = self.permits.acquire().await.map_err(|error| {
            Error::new(ErrorKind::Cancelled, "the run has ended").with_source(error)
        })?;
        let booking = self.budget.reserve_input(self.name(), texts).await?;
        let of = CallOf::Embeddings(self.calls.fetch_add(1, Ordering::Relaxed));
        let most = booking.most();
        if let Some(log) = self.log.get() {
            log.note(|| CallNote::new(of, most)).await?;
        }
        let result = self.model.embed(texts).await;
        if let Some(log) = self.log.get() {
            let usage = result.is_ok().then(|| Usage::new(most.tokens, 0));
            let attempt = Attempt::new(result.as_ref().err().map(Error::kind));
            let call = SideCall::new(of, self.name(), usage, vec![attempt]);
            log.append_aside(|| Entry::SideCalled(call)).await?;
        }
        booking.settle_input(result.is_ok());
        result
    }

    fn name(&self) -> &str {
        self.model.name()
    }
}

impl fmt::Debug for Booked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Booked")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
