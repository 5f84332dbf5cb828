//! The calls behind an answer of a journal.

use std::sync::Arc;

use super::{AnswerPreview, CallPreview};
use crate::journal::Answer;
use crate::llm::{Message, OutputFormat, OutputMode, OutputSchema, failures};
use crate::outcome::CallError;

impl Answer {
    /// Returns the calls that it took, all with this prompt.
    pub(crate) fn calls(&self, prompt: &[Message]) -> Vec<CallPreview> {
        let response = &self.response;
        let answered = AnswerPreview {
            text: response.text.clone(),
            usage: response.usage,
            finish_reason: response.finish_reason,
        };
        let failed = failures(&self.attempts).map(|kind| Err(CallError::new(kind, "")));
        let ends = failed.chain([Ok(answered)]);
        let call = |end| CallPreview {
            model: self.model.clone(),
            messages: prompt.to_vec(),
            output: output(response.asked.map(|(mode, _)| mode)),
            end: Some(end),
            provider_words: None,
        };
        ends.map(call).collect()
    }
}

/// Returns how an answer was to be formed that was asked for in this mode. The schema itself is not in the journal.
fn output(mode: Option<OutputMode>) -> OutputFormat {
    match mode {
        None | Some(OutputMode::Prompt) => OutputFormat::Text,
        Some(OutputMode::Json) => OutputFormat::Json,
        Some(mode) => {
            let schema = OutputSchema::new("records", serde_json::Value::Null, mode);
            OutputFormat::Schema(Arc::new(schema))
        }
    }
}
