//! The filters of a run. One that asks a model does so as a part of the run: under its caps, in its rate limiters, in its journal.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::client_stack::ClientContext;
use crate::candidate::Candidate;
use crate::error::Result;
use crate::filter::{Filter, FilterVerdict, LabelledRecord, ModelFilter, RecordFilter, Scores};
use crate::guard::{bounded, caught_async, silent};
use crate::journal::{CallOf, Entry, Log, SideCall};
use crate::llm::{CallsUnderWay, Capabilities, ChatRequest, ChatResponse, LlmClient, Purpose};
use crate::random::Random;
use crate::record::JsonRecord;

/// A filter, as a run asks it.
pub(super) struct RunFilter {
    kind: Kind,
    /// Under what its word is kept.
    pub(super) key: Option<String>,
    /// How long it may take while it asks no model.
    longest: Duration,
}

enum Kind {
    Own(Arc<dyn RecordFilter>),
    Asking(Arc<dyn ModelFilter>, Arc<FilterModel>),
}

impl RunFilter {
    pub(super) fn new(
        filter: &Filter,
        clients: &ClientContext,
        seed: u64,
        longest: Duration,
    ) -> Self {
        let key = filter.key();
        let kind = match filter {
            Filter::Own(filter) => Kind::Own(Arc::clone(filter)),
            Filter::Asking(filter, model) => {
                let model = FilterModel {
                    client: clients.client(model, seed),
                    log: Arc::clone(&clients.log),
                    under_way: CallsUnderWay::new(&clients.parts.budget),
                    deciding: AtomicU64::new(0),
                    random: Random::new(seed).fork(key.as_deref().unwrap_or_default()),
                };
                Kind::Asking(Arc::clone(filter), Arc::new(model))
            }
        };
        Self { kind, key, longest }
    }

    /// Asks it about a record of this hash.
    ///
    /// # Errors
    ///
    /// Where it panics or is silent for too long; the inner one is its own.
    pub(super) async fn check(
        &self,
        candidate: &Candidate<'_>,
        record: u128,
    ) -> Result<Result<FilterVerdict>> {
        match &self.kind {
            Kind::Own(filter) => {
                let decided = async { Ok(filter.check(candidate).await) };
                bounded(PART, self.longest, decided).await
            }
            Kind::Asking(filter, model) => {
                let _deciding = Counted::new(&model.deciding);
                let asked = AskedModel::new(model, record);
                let decided = async { Ok(filter.check(candidate, &asked).await) };
                let mut decided = pin!(caught_async(PART, decided));
                loop {
                    if let Ok(decided) = timeout(self.longest, decided.as_mut()).await {
                        return decided;
                    }
                    // Calls have time limits of their own, and may wait in line for long.
                    if asked.open.load(Ordering::Relaxed) == 0 {
                        return Err(silent(PART, self.longest));
                    }
                }
            }
        }
    }

    /// Returns whether what it says of a record is more than a yes or no.
    pub(super) fn says_more(&self) -> bool {
        matches!(self.kind, Kind::Asking(..))
    }

    /// Returns why a record with such scores is not wanted.
    pub(super) fn refuses(&self, scores: &Scores) -> Option<&'static str> {
        match &self.kind {
            Kind::Own(_) => None,
            Kind::Asking(filter, _) => filter.refuses(scores),
        }
    }

    /// Returns records that people labelled.
    pub(super) fn labelled(&self) -> &[LabelledRecord] {
        match &self.kind {
            Kind::Own(_) => &[],
            Kind::Asking(filter, _) => filter.labelled(),
        }
    }

    /// Puts a record in order that is wanted with such scores.
    pub(super) fn settle(&self, record: &mut JsonRecord, scores: &mut Scores) -> bool {
        matches!(&self.kind, Kind::Asking(filter, _) if filter.settle(record, scores))
    }

    /// Returns whether it decides on a record with its model, and, where no further call is made, waits for one.
    pub(super) fn is_at_work(&self, makes_no_call: bool) -> bool {
        match &self.kind {
            Kind::Own(_) => false,
            Kind::Asking(_, model) if makes_no_call => model.under_way.are_there(),
            Kind::Asking(_, model) => model.deciding.load(Ordering::Relaxed) > 0,
        }
    }
}

const PART: &str = "a filter";

/// The model of a filter.
struct FilterModel {
    client: Arc<dyn LlmClient>,
    log: Arc<Log>,
    under_way: CallsUnderWay,
    /// Records that the filter decides on.
    deciding: AtomicU64,
    random: Random,
}

/// The model of a filter, as it is asked about one record.
struct AskedModel {
    model: Arc<FilterModel>,
    /// Seeds its requests.
    random: Random,
    asked: AtomicU64,
    /// Requests without an answer.
    open: AtomicU64,
}

impl AskedModel {
    fn new(model: &Arc<FilterModel>, record: u128) -> Self {
        Self {
            model: Arc::clone(model),
            random: model.random.fork(&format!("{record:032x}")),
            asked: AtomicU64::new(0),
            open: AtomicU64::new(0),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for AskedModel {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let FilterModel {
            client,
            log,
            under_way,
            ..
        } = &*self.model;
        let _open = Counted::new(&self.open);
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let seed = self.random.nth(number).next_u64();
        let call = under_way.follow();
        let request = request
            .clone()
            .with_purpose(Purpose::Filters)
            .with_seed(seed)
            .with_attempts(call.attempts.clone());
        let result = client.complete(&request).await;
        let attempts = call.attempts.ended();
        if !attempts.is_empty() {
            let answer = result.as_ref().ok();
            let name = answer.map_or(client.model(), |answer| answer.backend_or(client));
            let usage = answer.map(|answer| answer.usage);
            let entry = SideCall::new(CallOf::Filters(seed), name, usage, attempts);
            log.append_aside(|| Entry::SideCalled(entry)).await?;
            call.attempts.take();
        }
        result
    }

    fn model(&self) -> &str {
        self.model.client.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.model.client.capabilities()
    }
}

impl fmt::Debug for AskedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskedModel")
            .field("model", &self.model.client)
            .finish_non_exhaustive()
    }
}

/// Counts as long as it lives.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
