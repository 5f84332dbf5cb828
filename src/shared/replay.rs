//! The records of a run that is over, from its journal.

use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};
use crate::outcome::Outcome;

/// The model of a run that is over: whatever is still wanted fails with how it ended.
#[derive(Debug, Clone)]
pub(super) struct NoMore {
    pub(super) model: String,
    pub(super) ended: Ended,
}

/// How a run ended.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
}

impl Ended {
    /// Returns the error of a run that ended like this.
    pub(super) fn error(&self) -> Error {
        let kind = match self.outcome {
            Outcome::Incomplete => ErrorKind::Incomplete,
            Outcome::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Unavailable,
        };
        let reason = self.reason.as_deref().unwrap_or("it was stopped");
        Error::new(
            kind,
            format!("the run ended before it was complete: {reason}"),
        )
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ended({})", self.outcome)
    }
}

#[async_trait]
impl LlmClient for NoMore {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Err(self.ended.error().with_fatal(true))
    }

    fn model(&self) -> &str {
        &self.model
    }
}
