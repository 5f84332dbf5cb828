//! What drives a run: the ledger decides, workers do, the driver loops.

mod asked_again;
mod breaker;
mod call_log;
mod driver;
mod embeddings;
mod findings;
mod folding;
mod guard;
mod judge;
mod ledger;
mod log;
mod open_topics;
mod opening;
mod output;
mod output_limits;
mod own_limit;
mod planner;
mod recollection;
mod settling;
#[cfg(feature = "testing")]
mod simulation;
mod stack;
mod stop_signal;
mod summary;
mod tasks;
mod unproven_modes;
mod warnings;
mod worker;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::dedup::{AnyDeduplicator, Given};
use crate::error::{Error, Result};
use crate::event::RunEvent;
use crate::filter::RecordFilter;
use crate::hooks::Hooks;
use crate::journal::Journal;
use crate::llm::layers::{Budget, Lane};
use crate::llm::{LlmClient, Parameters};
use crate::plan::Allocation;
use crate::prompt::Prompts;
use crate::report::Report;
use crate::schema::{RecordSchema, SchemaRenderer};
use crate::topic::{Angles, TopicProvider};

pub(crate) use driver::drive;
pub(crate) use embeddings::RunEmbedder;
pub(crate) use opening::ResumePolicy;
pub(crate) use own_limit::OwnLimit;
#[cfg(feature = "testing")]
pub(crate) use simulation::simulate;
#[cfg(feature = "postgres")]
pub(crate) use stack::calling;
pub(crate) use stop_signal::StopSignal;

/// Is told what happens in a run.
pub(crate) type Observer = Arc<dyn Fn(&RunEvent<'_>) + Send + Sync>;

/// Everything a run needs: what is wanted, how it is driven, and the parts it is made with.
pub(crate) struct Job {
    pub(crate) instruction: Option<String>,
    pub(crate) allocation: Allocation,
    pub(crate) schema: RecordSchema,
    /// The input in its canonical form, as the journal keeps it.
    pub(crate) input: Value,
    pub(crate) fingerprint: u128,
    pub(crate) warnings: Vec<String>,
    /// What the report has to say beyond what the run does.
    pub(crate) notes: Vec<String>,
    pub(crate) settings: RunSettings,
    pub(crate) generation: Model,
    pub(crate) topics: Model,
    pub(crate) topic_provider: Arc<dyn TopicProvider>,
    pub(crate) prompts: Arc<dyn Prompts>,
    pub(crate) renderer: Arc<dyn SchemaRenderer>,
    pub(crate) filters: Vec<Arc<dyn RecordFilter>>,
    pub(crate) deduplicator: AnyDeduplicator,
    /// What the deduplicator says it compares.
    pub(crate) compared_by: String,
    /// What the deduplicator asks for embeddings, where the input names a model.
    pub(crate) embeddings: Option<Arc<RunEmbedder>>,
    /// What counts as seen before the first record.
    pub(crate) already_seen: Vec<Given>,
    pub(crate) angles: Option<Angles>,
    /// Keeps the account of this run, and its caps.
    pub(crate) budget: Arc<Budget>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    pub(crate) resume: ResumePolicy,
    pub(crate) observers: Vec<Observer>,
    pub(crate) hooks: Hooks,
    pub(crate) broken: Broken,
}

/// The first part of the caller's that panicked where it cannot return an error. No observer or hook is called again.
#[derive(Debug, Default)]
pub(crate) struct Broken(Mutex<(bool, Option<Error>)>);

impl Broken {
    /// Calls a part of the caller's unless one has panicked.
    fn guard<R>(&self, part: &str, call: impl FnOnce() -> R) -> Option<R> {
        if self.lock().0 {
            return None;
        }
        self.keep(guard::caught(part, call))
    }

    /// Keeps an error to end the run with.
    fn keep<R>(&self, result: Result<R>) -> Option<R> {
        result
            .map_err(|error| {
                *self.lock() = (true, Some(error));
            })
            .ok()
    }

    /// Takes the error, which ends the run.
    fn take(&self) -> Option<Error> {
        self.lock().1.take()
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Option<Error>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is asked, and how.
#[derive(Clone)]
pub(crate) struct Model {
    /// Backends with their weights; at least one.
    pub(crate) choices: Vec<(Backend, u32)>,
    /// Who is asked, in order, when the chosen backend is out.
    pub(crate) fallbacks: Vec<Backend>,
    pub(crate) parameters: Arc<Parameters>,
}

/// A client, and what its provider is known to take.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) client: Arc<dyn LlmClient>,
    /// `None` asks as much as the run wants.
    pub(crate) lane: Option<Arc<Lane>>,
    /// Whether another process makes the calls, which then has the layers that are about one call: time-out, lane
    /// and fallbacks of output mode and parameters.
    pub(crate) is_leased: bool,
}

impl Backend {
    fn is(&self, other: &Self) -> bool {
        let lane = |backend: &Self| backend.lane.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.client, &other.client) && lane(self) == lane(other)
    }
}

impl Model {
    /// Returns every backend, the choices first.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        let choices = self.choices.iter().map(|(backend, _)| backend);
        choices.chain(&self.fallbacks)
    }
}

/// The settings of the input that the engine reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunSettings {
    /// `None` draws one.
    pub(crate) seed: Option<u64>,
    pub(crate) max_concurrency: usize,
    pub(crate) call_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) miss_threshold: u32,
    pub(crate) breaker_rounds: u32,
    pub(crate) records_per_request: u64,
    pub(crate) avoid_examples: usize,
    pub(crate) reallocate: bool,
    pub(crate) coerce_types: bool,
    pub(crate) allow_placeholders: bool,
    pub(crate) max_tokens_ceiling: Option<u64>,
    /// The output limit of calls for records, where the caps need one and the caller gave none.
    pub(crate) own_limit: Option<OwnLimit>,
    /// Makes so many tasks at most, one after the other.
    pub(crate) rehearses: Option<u64>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) report: Report,
    /// Why it is not complete; `None` where it is.
    pub(crate) error: Option<Error>,
}

impl Job {
    fn tell(&self, event: &RunEvent<'_>) {
        for observer in &self.observers {
            self.broken
                .guard("an observer (`on_event`)", || observer(event));
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
