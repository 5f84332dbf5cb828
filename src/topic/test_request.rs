//! What the tests of this folder share.

use std::sync::LazyLock;

use async_trait::async_trait;

use super::{Topic, TopicRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};
use crate::prompt::TemplatePrompts;

/// A model that nobody should ask.
#[derive(Debug)]
pub(super) struct NoModel;

#[async_trait]
impl LlmClient for NoModel {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Err(Error::new(ErrorKind::Unavailable, "nobody should ask this"))
    }

    fn model(&self) -> &'static str {
        "test/none"
    }
}

pub(super) fn request(count: usize, model: &dyn LlmClient) -> TopicRequest<'_> {
    static PROMPTS: LazyLock<TemplatePrompts> = LazyLock::new(TemplatePrompts::default);
    TopicRequest::new(count, model, &*PROMPTS).with_instruction(Some("facts about the sea"))
}

pub(super) fn names(topics: &[Topic]) -> Vec<&str> {
    topics.iter().map(Topic::name).collect()
}
