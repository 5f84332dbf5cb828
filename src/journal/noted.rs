//! A layer that notes calls before they are sent.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{CallNote, CallOf, Log};
use crate::error::Result;
use crate::llm::layers::Budget;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, Purpose};

/// Notes each call in the journal before it is sent, with the most that it can cost.
pub(crate) struct Noted<C> {
    inner: C,
    log: Arc<Log>,
    budget: Arc<Budget>,
}

impl<C> Noted<C> {
    pub(crate) fn new(inner: C, log: &Arc<Log>, budget: &Arc<Budget>) -> Self {
        Self {
            inner,
            log: Arc::clone(log),
            budget: Arc::clone(budget),
        }
    }
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
