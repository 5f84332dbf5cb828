//! OpenAI's chat completions.

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
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(default)]
    response_format: Option<IgnoredAny>,
    #[serde(default)]
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

#[derive(Deserialize)]
struct ToolChoice {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
}

pub(super) fn question(body: &[u8]) -> Option<Question<'_>> {
    let request: Request<'_> = serde_json::from_slice(body).ok()?;
    let mut prompt = String::new();
    for message in &request.messages {
        match &message.content {
            Content::Text(text) => prompt.push_str(text),
            Content::Parts(parts) => parts.iter().for_each(|part| prompt.push_str(&part.text)),
        }
        prompt.push('\n');
    }
    Some(Question {
        call: 0,
        model: request.model,
        prompt,
        structured: request.response_format.is_some() || request.tool_choice.is_some(),
        tool: request.tool_choice.map(|choice| choice.function.name),
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
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    if let Some(tool) = &question.tool {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([{
            "id": "call_0",
            "type": "function",
            "function": {"name": tool, "arguments": text},
        }]);
    }
    let reason = match finish {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Refusal => {
            message["content"] = Value::Null;
            message["refusal"] = json!("I cannot help with that.");
            "stop"
        }
        _ if question.tool.is_some() => "tool_calls",
        _ => "stop",
    };
    json!({
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": question.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": bill.input,
            "completion_tokens": bill.output,
            "total_tokens": bill.input + bill.output,
        },
    })
}

pub(super) fn error(code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": code, "param": null, "code": code}})
}
