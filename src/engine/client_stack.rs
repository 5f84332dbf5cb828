//! The layers a run puts around its clients.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{Backend, Model, RunParts};
use crate::error::{Error, Result};
use crate::event::{Observer, RunEvent, Warnings};
use crate::input::Settings;
use crate::journal::{CallNote, CallOf, Log};
use crate::llm::layers::{
    Adaptive, Budget, Budgeted, Cached, ConcurrencyLimited, Fallback, FirstAnswer, FirstAnswers,
    Metered, OutputModeFallback, OutputModes, ParameterFallback, Retrying, TimedOut, Traced,
    Weighted,
};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, Purpose};
use crate::report::CallStats;

/// What the clients of one run share.
pub(super) struct ClientContext {
    pub(super) permits: Arc<Semaphore>,
    pub(super) calls: Arc<CallStats>,
    pub(super) output_modes: Arc<OutputModes>,
    pub(super) warnings: Arc<Warnings>,
    budget: Arc<Budget>,
    log: Arc<Log>,
    observers: Vec<Observer>,
    first_answers: Arc<FirstAnswers>,
    cache: Option<Arc<Cached<()>>>,
    /// Backends that have their layers, which know what was learned of them.
    layered: Mutex<Vec<(Backend, Arc<dyn LlmClient>)>>,
}

impl ClientContext {
    pub(super) fn new(parts: &RunParts, log: &Arc<Log>) -> Self {
        let observers = parts.plug_ins.observers.clone();
        let warnings = Arc::new(Warnings::new(observers.clone()));
        let output_modes = OutputModes::new()
            .first_calls(parts.settings().max_concurrency)
            .on_warning(warnings.listener());
        Self {
            permits: Arc::new(Semaphore::new(parts.settings().max_concurrency)),
            calls: Arc::default(),
            output_modes: Arc::new(output_modes),
            warnings,
            budget: Arc::clone(&parts.budget),
            log: Arc::clone(log),
            observers,
            first_answers: Arc::default(),
            cache: parts.cache.clone(),
            layered: Mutex::default(),
        }
    }

    /// Stacks the layers in the order that [`crate::llm::layers`] gives reasons for.
    ///
    /// Each backend gets all layers that care about one provider's model; the choice between backends comes on top. `seed`
    /// is the run's.
    pub(super) fn client(
        &self,
        model: &Model,
        settings: &Settings,
        seed: u64,
    ) -> Arc<dyn LlmClient> {
        let client = choice(model, |backend| {
            let mut all = self.layered.lock().expect("stacking does not panic");
            let known = all.iter().find(|(known, _)| known.is(backend));
            if let Some((_, layered)) = known {
                return Arc::clone(layered);
            }
            let layered = self.backend_layers(backend, settings, seed);
            all.push((backend.clone(), Arc::clone(&layered)));
            layered
        });
        match &self.cache {
            Some(cache) => Arc::new(cache.around(client)),
            None => client,
        }
    }

    fn backend_layers(
        &self,
        backend: &Backend,
        settings: &Settings,
        seed: u64,
    ) -> Arc<dyn LlmClient> {
        let calls = Arc::<CallStats>::clone(&self.calls) as _;
        if backend.is_leased {
            let client = self.first_answer(Arc::clone(&backend.client));
            let client = Metered::new(client, calls);
            let client = ConcurrencyLimited::new(client, Arc::clone(&self.permits));
            let client = Budgeted::new(client, Arc::clone(&self.budget));
            return Arc::new(self.watched(client, settings, seed));
        }
        let client = TimedOut::new(Arc::clone(&backend.client), settings.call_timeout);
        let client = self.first_answer(client);
        let client = Traced::new(client);
        let client = Noted {
            inner: Metered::new(client, calls),
            log: Arc::clone(&self.log),
            budget: Arc::clone(&self.budget),
        };
        let client = ConcurrencyLimited::new(client, Arc::clone(&self.permits));
        match &backend.lane {
            Some(lane) => {
                let client = Adaptive::new(client, Arc::clone(lane), settings.max_concurrency);
                self.upper_layers(client, settings, seed)
            }
            None => self.upper_layers(client, settings, seed),
        }
    }

    fn upper_layers(
        &self,
        client: impl LlmClient,
        settings: &Settings,
        seed: u64,
    ) -> Arc<dyn LlmClient> {
        let client = Budgeted::new(client, Arc::clone(&self.budget));
        let client = ParameterFallback::new(client).on_warning(self.warnings.listener());
        let client = OutputModeFallback::new(client).remembering(Arc::clone(&self.output_modes));
        Arc::new(self.watched(client, settings, seed))
    }

    /// Retries, and tells the observers of the run what is waited for.
    fn watched<C: LlmClient>(&self, client: C, settings: &Settings, seed: u64) -> Retrying<C> {
        let observers = self.observers.clone();
        retrying(client, settings.max_retries, seed).watched_by(move |model, wait| {
            for observer in &observers {
                observer(&RunEvent::RetryPlanned { model, wait });
            }
        })
    }

    /// Watches for the first answer, and tells the observers of the run what fails.
    fn first_answer<C: LlmClient>(&self, client: C) -> FirstAnswer<C> {
        let observers = self.observers.clone();
        let tell = move |model: &str, error: &Error| {
            for observer in &observers {
                observer(&RunEvent::AttemptFailed { model, error });
            }
        };
        FirstAnswer::new(client, Arc::clone(&self.first_answers), Arc::new(tell))
    }
}

/// Stacks the layers of a process that makes calls for a run which another process drives: those that are about one
/// call. Retries, caps and counting are the other's; only a model with fallbacks is retried here, since those are for when
/// retries are used up.
#[cfg(feature = "postgres")]
pub(crate) fn caller_layers(
    model: &Model,
    settings: &Settings,
    max_concurrency: usize,
) -> Arc<dyn LlmClient> {
    choice(model, |backend| {
        let client = TimedOut::new(Arc::clone(&backend.client), settings.call_timeout);
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
            Arc::new(Labelled {
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

fn retrying<C: LlmClient>(client: C, max_retries: u32, seed: u64) -> Retrying<C> {
    Retrying::new(client)
        .max_attempts(max_retries.saturating_add(1))
        .seed(seed)
}

/// Notes each call in the journal before it is sent, with the most that it can cost.
struct Noted<C> {
    inner: C,
    log: Arc<Log>,
    budget: Arc<Budget>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Noted<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let note = || {
            let of = match (request.task, request.purpose) {
                (Some(task), _) => CallOf::Task(task.id),
                (None, Purpose::Filters) => CallOf::Filters(request.seed),
                (None, _) => CallOf::Topics(request.seed),
            };
            CallNote::new(of, self.budget.most_of(self.inner.model(), request))
        };
        self.log.note(note).await?;
        self.inner.complete(request).await
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

impl<C: fmt::Debug> fmt::Debug for Noted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noted")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Returns the backend that answered, as `provider/model`.
pub(super) fn answered_by<'a>(response: &'a ChatResponse, client: &'a dyn LlmClient) -> &'a str {
    response.answered_by.as_deref().unwrap_or(client.model())
}

/// Writes on each answer which backend gave it, where there are several.
#[derive(Debug)]
struct Labelled {
    inner: Arc<dyn LlmClient>,
    name: Arc<str>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Labelled {
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
