//! The layers a run puts around its clients.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::RunParts;
use crate::error::Error;
use crate::event::{RunEvent, Warnings};
use crate::journal::{Log, Noted};
use crate::llm::layers::{
    Adaptive, Budgeted, ConcurrencyLimited, FirstAnswer, FirstAnswers, Metered, OutputModeFallback,
    OutputModes, ParameterFallback, Retrying, TimedOut, Traced, first_calls,
};
use crate::llm::{Backend, LlmClient, Model};
use crate::report::CallStats;

/// What the clients of one run share.
pub(super) struct ClientContext {
    pub(super) permits: Arc<Semaphore>,
    pub(super) calls: Arc<CallStats>,
    pub(super) warnings: Arc<Warnings>,
    pub(super) parts: Arc<RunParts>,
    pub(super) log: Arc<Log>,
    pub(super) output_modes: Arc<OutputModes>,
    first_answers: Arc<FirstAnswers>,
    /// Backends that have their layers, which know what was learned of them.
    layered: Mutex<Vec<(Backend, Arc<dyn LlmClient>)>>,
}

impl ClientContext {
    pub(super) fn new(parts: RunParts, log: Log) -> Self {
        let warnings = Arc::new(Warnings::new(parts.plug_ins.observers.clone()));
        let max_concurrency = parts.settings().max_concurrency;
        let output_modes = OutputModes::new()
            .first_calls(first_calls(max_concurrency).min(max_concurrency))
            .on_warning(warnings.listener());
        Self {
            permits: Arc::new(Semaphore::new(max_concurrency)),
            calls: Arc::default(),
            warnings,
            parts: Arc::new(parts),
            log: Arc::new(log),
            output_modes: Arc::new(output_modes),
            first_answers: Arc::default(),
            layered: Mutex::default(),
        }
    }

    /// Stacks the layers in the order that [`crate::llm::layers`] gives reasons for.
    ///
    /// Each backend gets all layers that care about one provider's model; the choice between backends comes on top. `seed`
    /// is the run's.
    pub(super) fn client(&self, model: &Model, seed: u64) -> Arc<dyn LlmClient> {
        let client = model.client(|backend| {
            let mut all = self.layered.lock().expect("stacking does not panic");
            let known = all.iter().find(|(known, _)| known.is(backend));
            if let Some((_, layered)) = known {
                return Arc::clone(layered);
            }
            let layered = self.backend_layers(backend, seed);
            all.push((backend.clone(), Arc::clone(&layered)));
            layered
        });
        match &self.parts.cache {
            Some(cache) => Arc::new(cache.around(client)),
            None => client,
        }
    }

    fn backend_layers(&self, backend: &Backend, seed: u64) -> Arc<dyn LlmClient> {
        let settings = self.parts.settings();
        let budget = &self.parts.budget;
        let calls = Arc::<CallStats>::clone(&self.calls) as _;
        if backend.is_leased {
            let client = self.first_answer(Arc::clone(&backend.client));
            let client = Metered::new(client, calls);
            let client = ConcurrencyLimited::new(client, Arc::clone(&self.permits));
            let client = Budgeted::new(client, Arc::clone(budget));
            return Arc::new(self.retrying(client, seed));
        }
        let client = TimedOut::new(Arc::clone(&backend.client), settings.call_timeout);
        let client = self.first_answer(client);
        let client = Traced::new(client);
        let client = Noted::new(Metered::new(client, calls), &self.log, budget);
        let client = ConcurrencyLimited::new(client, Arc::clone(&self.permits));
        match &backend.limiter {
            Some(limiter) => {
                let client = Adaptive::new(client, Arc::clone(limiter), settings.max_concurrency);
                self.upper_layers(client, seed)
            }
            None => self.upper_layers(client, seed),
        }
    }

    fn upper_layers(&self, client: impl LlmClient, seed: u64) -> Arc<dyn LlmClient> {
        let client = Budgeted::new(client, Arc::clone(&self.parts.budget));
        let client = ParameterFallback::new(client).on_warning(self.warnings.listener());
        let client = OutputModeFallback::new(client).remembering(Arc::clone(&self.output_modes));
        Arc::new(self.retrying(client, seed))
    }

    /// Retries, and tells the observers of the run what is waited for.
    fn retrying<C: LlmClient>(&self, client: C, seed: u64) -> Retrying<C> {
        let parts = Arc::clone(&self.parts);
        Retrying::new(client)
            .max_attempts(parts.settings().max_retries.saturating_add(1))
            .seed(seed)
            .watched_by(move |model, wait| parts.notify(&RunEvent::RetryPlanned { model, wait }))
    }

    /// Watches for the first answer, and tells the observers of the run what fails.
    fn first_answer<C: LlmClient>(&self, client: C) -> FirstAnswer<C> {
        let parts = Arc::clone(&self.parts);
        let tell = move |model: &str, error: &Error| {
            parts.notify(&RunEvent::AttemptFailed { model, error });
        };
        FirstAnswer::new(client, Arc::clone(&self.first_answers), Arc::new(tell))
    }
}
