//! The records of a run that is over, from its journal.

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Entry, Journal, PostgresReader};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};
use crate::outcome::Outcome;

/// A journal that is only read.
#[derive(Debug)]
pub(super) struct ReadOnly(pub(super) PostgresReader);

#[async_trait]
impl Journal for ReadOnly {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        Ok(self.0.entries().await?)
    }

    async fn append(&self, _: Entry) -> Result<u64> {
        Err(Error::new(
            ErrorKind::Journal,
            "the run is over, and its journal is only read",
        ))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

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
            Outcome::Short => ErrorKind::Short,
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
