//! The layers a run puts around a client.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::call_log::CallLog;
use super::{Model, RunSettings};
use crate::llm::LlmClient;
use crate::llm::layers::{
    Adaptive, Budget, Budgeted, ConcurrencyLimited, Laddered, Metered, Retrying, TimedOut,
};

/// What the clients of one run share.
pub(super) struct Shared {
    pub(super) permits: Arc<Semaphore>,
    pub(super) calls: Arc<CallLog>,
    pub(super) budget: Arc<Budget>,
    pub(super) seed: u64,
}

/// Stacks the layers in the order that [`crate::llm::layers`] gives reasons for.
pub(super) fn stack(model: &Model, settings: &RunSettings, shared: &Shared) -> Arc<dyn LlmClient> {
    let client = TimedOut::new(Arc::clone(&model.client), settings.call_timeout);
    let client = Metered::new(client, Arc::<CallLog>::clone(&shared.calls) as _);
    let client = ConcurrencyLimited::new(client, Arc::clone(&shared.permits));
    match &model.lane {
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
    let attempts = settings.max_retries.saturating_add(1);
    let client = Retrying::new(client)
        .max_attempts(attempts)
        .seed(shared.seed);
    Arc::new(Laddered::new(client))
}
