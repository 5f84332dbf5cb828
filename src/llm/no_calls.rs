//! A model that is asked nothing: where records are made of answers that are there already.

use async_trait::async_trait;

use super::{ChatRequest, ChatResponse, LlmClient, ModelName};
use crate::embedding::Embedder;
use crate::error::{Error, ErrorKind, Result};

/// Ends a run that has used up the answers of its journal.
#[derive(Debug)]
pub(super) struct NoCalls(pub(super) ModelName);

fn no_call() -> Error {
    Error::new(ErrorKind::Cancelled, "the journal holds no more answers").with_fatal(true)
}

#[async_trait]
impl LlmClient for NoCalls {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Err(no_call())
    }

    fn model(&self) -> &str {
        self.0.as_str()
    }
}

#[async_trait]
impl Embedder for NoCalls {
    async fn embed(&self, _: &[&str]) -> Result<Vec<Vec<f32>>> {
        Err(no_call())
    }

    fn name(&self) -> &str {
        self.0.as_str()
    }
}
