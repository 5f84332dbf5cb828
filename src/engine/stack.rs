//! The layers a run puts around a client.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::RunSettings;
use super::call_log::CallLog;
use crate::llm::LlmClient;
use crate::llm::layers::{ConcurrencyLimited, Laddered, Metered, Retrying, TimedOut};

/// Stacks the layers in the order that [`crate::llm::layers`] gives reasons for.
pub(super) fn stack(
    client: Arc<dyn LlmClient>,
    settings: &RunSettings,
    seed: u64,
    permits: &Arc<Semaphore>,
    calls: &Arc<CallLog>,
) -> Arc<dyn LlmClient> {
    let client = TimedOut::new(client, settings.call_timeout);
    let client = Metered::new(client, Arc::<CallLog>::clone(calls) as _);
    let client = ConcurrencyLimited::new(client, Arc::clone(permits));
    let client = Retrying::new(client)
        .max_attempts(settings.max_retries.saturating_add(1))
        .seed(seed);
    Arc::new(Laddered::new(client))
}
