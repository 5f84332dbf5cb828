//! Settles the topics before the first record is asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::Job;
use super::call_log::CallLog;
use super::log::Log;
use super::worker::answered_by;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Entry, TopicAnswer};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};
use crate::plan::Plan;
use crate::topic::TopicRequest;

/// Has the missing topics supplied and completes the plan.
pub(super) async fn settle(
    job: &Job,
    client: Arc<dyn LlmClient>,
    log: &Arc<Log>,
    calls: &Arc<CallLog>,
    past: HashMap<u64, ChatResponse>,
    seed: u64,
) -> Result<Plan> {
    let allocation = job.allocation.clone();
    if allocation.generated.is_empty() {
        return allocation.complete(Vec::new());
    }
    let existing = allocation.existing();
    let client = Journalled {
        inner: client,
        log: Arc::clone(log),
        calls: Arc::clone(calls),
        past: Mutex::new(past),
    };
    let request = TopicRequest::new(allocation.generated.len(), &client, &*job.prompts)
        .with_instruction(job.instruction.as_deref())
        .with_existing(&existing)
        .with_parameters(Arc::clone(&job.topics.parameters))
        .with_seed(seed);
    let topics = match job.topic_provider.topics(&request).await {
        Ok(topics) => topics,
        Err(error) if error.is_fatal() => return Err(error),
        // The plan may do with the topics in hand, and says so; without any, this is why.
        Err(error) => {
            return allocation.complete(Vec::new()).map_err(|short| {
                Error::new(ErrorKind::Topics, short.message().to_owned()).with_source(error)
            });
        }
    };
    allocation.complete(topics)
}

/// Writes the answers of the topic model into the journal, and gives those that are there already.
struct Journalled {
    inner: Arc<dyn LlmClient>,
    log: Arc<Log>,
    calls: Arc<CallLog>,
    /// What an earlier process was answered, by the seed of the request.
    past: Mutex<HashMap<u64, ChatResponse>>,
}

impl fmt::Debug for Journalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journalled")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Journalled {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let past = self
            .past
            .lock()
            .expect("taking an answer does not panic")
            .remove(&request.seed);
        if let Some(response) = past {
            return Ok(response);
        }
        let result = self.inner.complete(request).await;
        let failed_calls = self.calls.take_failures(request.seed);
        let response = result?;
        self.log
            .append(|| {
                Entry::TopicAnswered(TopicAnswer {
                    seed: request.seed,
                    model: answered_by(&response, &self.inner).to_owned(),
                    response: response.clone(),
                    failed_calls,
                })
            })
            .await?;
        Ok(response)
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
