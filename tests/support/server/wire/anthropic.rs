//! Anthropic's messages.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Bill, Question};
use topicloom::llm::FinishReason;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    // Without it the real server refuses.
    #[serde(rename = "max_tokens")]
    _max_tokens: u64,
    #[serde(default)]
    system: Option<Content>,
    messages: Vec<Message>,
    #[serde(default)]
    output_config: Option<IgnoredAny>,
    #[serde(default)]
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
struct Message {
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
struct Block {
    text: String,
}

#[derive(Deserialize)]
struct ToolChoice {
    name: String,
}

pub(super) fn question(body: &[u8]) -> Option<Question<'_>> {
    let request: Request<'_> = serde_json::from_slice(body).ok()?;
    let mut prompt = String::new();
    let messages = request.messages.iter().map(|message| &message.content);
    for content in request.system.iter().chain(messages) {
        match content {
            Content::Text(text) => prompt.push_str(text),
            Content::Blocks(blocks) => blocks.iter().for_each(|block| prompt.push_str(&block.text)),
        }
        prompt.push('\n');
    }
    Some(Question {
        call: 0,
        model: request.model,
        prompt,
        structured: request.output_config.is_some() || request.tool_choice.is_some(),
        tool: request.tool_choice.map(|choice| choice.name),
        key: Cow::Borrowed(""),
        body,
    })
}

pub(super) fn answer(
    question: &Question<'_>,
    text: &str,
    finish: FinishReason,
    bill: Bill,
) -> Value {
    let (reason, content) = match (finish, &question.tool) {
        (FinishReason::Refusal | FinishReason::ContentFilter, _) => ("refusal", json!([])),
        (FinishReason::Length, _) => ("max_tokens", json!([{"type": "text", "text": text}])),
        (_, Some(tool)) => {
            let input: Value = serde_json::from_str(text).unwrap_or_default();
            (
                "tool_use",
                json!([{"type": "tool_use", "id": "toolu_0", "name": tool, "input": input}]),
            )
        }
        _ => ("end_turn", json!([{"type": "text", "text": text}])),
    };
    json!({
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": null,
        "usage": {"input_tokens": bill.input, "output_tokens": bill.output},
    })
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_0"})
}
