//! The layers a run puts around its clients.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::call_log::CallLog;
use super::summary::Account;
use super::{Backend, Job, Model, Observer, RunSettings};
use crate::error::{Error, Result};
use crate::event::RunEvent;
#[cfg(feature = "postgres")]
use crate::input::Settings;
use crate::llm::layers::{
    Adaptive, Budget, Budgeted, ConcurrencyLimited, Fallback, FirstAnswer, FirstAnswers, Metered,
    OutputModeFallback, OutputModes, ParameterFallback, Retrying, TimedOut, Traced, Warn, Weighted,
};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};

/// What the clients of one run share.
pub(super) struct Shared {
    pub(super) permits: Arc<Semaphore>,
    pub(super) calls: Arc<CallLog>,
    pub(super) budget: Arc<Budget>,
    pub(super) output_modes: Arc<OutputModes>,
    pub(super) warn: Warn,
    pub(super) seed: u64,
    /// Backends that have their layers, which know what was learned of them.
    pub(super) stacked: Mutex<Vec<(Backend, Arc<dyn LlmClient>)>>,
    pub(super) first_answers: Arc<FirstAnswers>,
    pub(super) observers: Vec<Observer>,
}

impl Shared {
    pub(super) fn new(job: &Job, account: &Account, seed: u64) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(job.settings.max_concurrency)),
            calls: Arc::clone(&account.calls),
            budget: Arc::clone(&job.budget),
            output_modes: Arc::clone(&account.output_modes),
            warn: account.warnings.listener(),
            seed,
            stacked: Mutex::default(),
            first_answers: Arc::default(),
            observers: job.observers.clone(),
        }
    }
}

/// Stacks the layers in the order that [`crate::llm::layers`] gives reasons for.
///
/// Each backend gets all layers that care about one provider's model; the choice between backends comes on top.
pub(super) fn stack(model: &Model, settings: &RunSettings, shared: &Shared) -> Arc<dyn LlmClient> {
    choice(model, |backend| {
        let mut stacked = shared.stacked.lock().expect("stacking does not panic");
        let known = stacked.iter().find(|(known, _)| known.is(backend));
        if let Some((_, layered)) = known {
            return Arc::clone(layered);
        }
        let layered = backend_layers(backend, settings, shared);
        stacked.push((backend.clone(), Arc::clone(&layered)));
        layered
    })
}

/// Stacks the layers of a process that makes calls for a run which another process drives: those that are about one
/// call. Retries, caps and counting are the other's; only a model with fallbacks is retried here, since those are for when
/// retries are used up.
#[cfg(feature = "postgres")]
pub(crate) fn calling(
    model: &Model,
    settings: &Settings,
    max_concurrency: usize,
) -> Arc<dyn LlmClient> {
    choice(model, |backend| {
        let client = TimedOut::new(Arc::clone(&backend.client), settings.task_runner_timeout);
        let client = Traced::new(client);
        let client: Arc<dyn LlmClient> = match &backend.lane {
            Some(lane) => Arc::new(Adaptive::new(client, Arc::clone(lane), max_concurrency)),
            None => Arc::new(client),
        };
        let client = OutputModeFallback::new(ParameterFallback::new(client)).giving_failures_back();
        if model.fallbacks.is_empty() {
            Arc::new(client)
        } else {
            Arc::new(retrying(client, settings.max_retries, 0))
        }
    })
}

/// Spreads calls over the backends of a model, each with its layers.
fn choice(model: &Model, layers: impl Fn(&Backend) -> Arc<dyn LlmClient>) -> Arc<dyn LlmClient> {
    let alone = model.choices.len() == 1 && model.fallbacks.is_empty();
    let leaf = |backend: &Backend| -> Arc<dyn LlmClient> {
        let client = layers(backend);
        if alone {
            client
        } else {
            let name = client.model().into();
            Arc::new(Signed {
                inner: client,
                name,
            })
        }
    };
    let fallbacks: Vec<_> = model.fallbacks.iter().map(leaf).collect();
    // One chain for each choice, so that a choice that is out does not take the others with it.
    let mut chains = model.choices.iter().map(|(backend, weight)| {
        let first = leaf(backend);
        if fallbacks.is_empty() {
            return (first, *weight);
        }
        let chain = fallbacks.iter().fold(Fallback::new(first), |chain, next| {
            chain.then(Arc::clone(next))
        });
        (Arc::new(chain) as Arc<dyn LlmClient>, *weight)
    });
    let (first, weight) = chains.next().expect("a model has at least one backend");
    if model.choices.len() == 1 {
        return first;
    }
    let spread = chains.fold(Weighted::new(first, weight), |spread, (client, weight)| {
        spread.or(client, weight)
    });
    Arc::new(spread)
}

fn backend_layers(
    backend: &Backend,
    settings: &RunSettings,
    shared: &Shared,
) -> Arc<dyn LlmClient> {
    if backend.is_leased {
        let calls = Arc::<CallLog>::clone(&shared.calls) as _;
        let client = Metered::new(Arc::clone(&backend.client), calls);
        let client = ConcurrencyLimited::new(client, Arc::clone(&shared.permits));
        let client = Budgeted::new(client, Arc::clone(&shared.budget));
        return Arc::new(watched(client, settings, shared));
    }
    let client = TimedOut::new(Arc::clone(&backend.client), settings.call_timeout);
    let client = told(client, shared);
    let client = Traced::new(client);
    let client = Metered::new(client, Arc::<CallLog>::clone(&shared.calls) as _);
    let client = ConcurrencyLimited::new(client, Arc::clone(&shared.permits));
    match &backend.lane {
        Some(lane) => {
            let client = Adaptive::new(client, Arc::clone(lane), settings.max_concurrency);
            upper_layers(client, settings, shared)
        }
        None => upper_layers(client, settings, shared),
    }
}

fn upper_layers(
    client: impl LlmClient,
    settings: &RunSettings,
    shared: &Shared,
) -> Arc<dyn LlmClient> {
    let client = Budgeted::new(client, Arc::clone(&shared.budget));
    let client = ParameterFallback::new(client).on_warning(Arc::clone(&shared.warn));
    let client = OutputModeFallback::new(client).remembering(Arc::clone(&shared.output_modes));
    Arc::new(watched(client, settings, shared))
}

/// Retries, and tells the observers of the run what is waited for.
fn watched<C: LlmClient>(client: C, settings: &RunSettings, shared: &Shared) -> Retrying<C> {
    let observers = shared.observers.clone();
    retrying(client, settings.max_retries, shared.seed).watched_by(move |model, wait| {
        for observer in &observers {
            observer(&RunEvent::RetryPlanned { model, wait });
        }
    })
}

/// Watches for the first answer, and tells the observers of the run what fails.
fn told<C: LlmClient>(client: C, shared: &Shared) -> FirstAnswer<C> {
    let observers = shared.observers.clone();
    let tell = move |model: &str, error: &Error| {
        for observer in &observers {
            observer(&RunEvent::AttemptFailed { model, error });
        }
    };
    FirstAnswer::new(client, Arc::clone(&shared.first_answers), Arc::new(tell))
}

fn retrying<C: LlmClient>(client: C, max_retries: u32, seed: u64) -> Retrying<C> {
    Retrying::new(client)
        .max_attempts(max_retries.saturating_add(1))
        .seed(seed)
}

/// Writes on each answer which backend gave it, where there are several.
#[derive(Debug)]
struct Signed {
    inner: Arc<dyn LlmClient>,
    name: Arc<str>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Signed {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut response = self.inner.complete(request).await?;
        response.answered_by = Some(Arc::clone(&self.name));
        Ok(response)
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
