//! A pipeline as the processes of a shared run use it.

use std::sync::Arc;

use super::Pipeline;
use crate::error::Result;
use crate::event::RunEvent;
use crate::guard::caught;
use crate::hooks::Hooks;
use crate::input::Settings;
use crate::journal::Journal;
use crate::llm::layers::{
    Adaptive, OutputModeFallback, ParameterFallback, Retrying, TimedOut, Traced,
};
use crate::llm::{Backend, LlmClient, Model, Parameters};

/// Whom a process asks for the calls it makes.
pub(crate) struct ProcessClients {
    pub(crate) records: Arc<dyn LlmClient>,
    pub(crate) topics: Arc<dyn LlmClient>,
}

impl Pipeline {
    /// Returns the models with the layers that are about one call.
    pub(crate) fn process_clients(
        &self,
        settings: &Settings,
        max_concurrency: usize,
    ) -> ProcessClients {
        let parts = &self.parts;
        let model = |choices, fallbacks| Model {
            choices,
            fallbacks,
            // Those of a call come with its request.
            parameters: Arc::new(Parameters::default()),
        };
        let records = model(parts.generation.clone(), parts.fallbacks.clone());
        let topics = match &parts.topic_model {
            Some(backend) => model(vec![(backend.clone(), 1)], Vec::new()),
            None => records.clone(),
        };
        ProcessClients {
            records: caller_layers(&records, settings, max_concurrency),
            topics: caller_layers(&topics, settings, max_concurrency),
        }
    }

    /// Returns the pipeline with a journal, and with models whose calls other processes make.
    pub(crate) fn leased(
        &self,
        records: impl LlmClient,
        topics: impl LlmClient,
        journal: impl Journal,
    ) -> Self {
        let leased = |client| Backend {
            client,
            limiter: None,
            is_leased: true,
        };
        let mut parts = self.parts.clone();
        parts.generation = vec![(leased(Arc::new(records)), 1)];
        parts.fallbacks = Vec::new();
        parts.topic_model = Some(leased(Arc::new(topics)));
        parts.journal = Some(Arc::new(journal));
        Self { parts }
    }

    /// Tells observers of what happens where no run of this process does.
    pub(crate) fn notify(&self, event: &RunEvent<'_>) -> Result<()> {
        let mut observers = self.parts.observers.iter();
        observers.try_for_each(|observer| caught("an observer (`on_event`)", || observer(event)))
    }

    /// Returns the pipeline with a journal whose run is over, and with a model that says so. Nobody is told twice what
    /// happened.
    pub(crate) fn replaying(&self, client: impl LlmClient, journal: impl Journal) -> Self {
        let client = Arc::new(client);
        let mut replay = self.leased(Arc::clone(&client), client, journal);
        replay.parts.observers.clear();
        replay.parts.hooks = Hooks::default();
        replay
    }
}

/// Stacks the layers of a process that makes calls for a run which another process drives: those that are about one
/// call. Retries, caps and counting are the other's; only a model with fallbacks is retried here, since those are for when
/// retries are used up.
fn caller_layers(model: &Model, settings: &Settings, max_concurrency: usize) -> Arc<dyn LlmClient> {
    model.client(|backend| {
        let client = TimedOut::new(Arc::clone(&backend.client), settings.call_timeout);
        let client = Traced::new(client);
        let client: Arc<dyn LlmClient> = match &backend.limiter {
            Some(limiter) => Arc::new(Adaptive::new(client, Arc::clone(limiter), max_concurrency)),
            None => Arc::new(client),
        };
        let client = OutputModeFallback::new(ParameterFallback::new(client)).giving_failures_back();
        if model.fallbacks.is_empty() {
            return Arc::new(client);
        }
        let attempts = settings.max_retries.saturating_add(1);
        Arc::new(Retrying::new(client).max_attempts(attempts).seed(0))
    })
}
