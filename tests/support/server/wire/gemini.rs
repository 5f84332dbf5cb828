//! Gemini's `generateContent`.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Bill, Question};
use topicloom::llm::FinishReason;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    system_instruction: Option<Content>,
    contents: Vec<Content>,
    #[serde(default)]
    generation_config: Config,
}

#[derive(Deserialize)]
struct Content {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    response_mime_type: Option<IgnoredAny>,
}

pub(super) fn question<'a>(head: &'a [u8], body: &'a [u8]) -> Option<Question<'a>> {
    let request: Request = serde_json::from_slice(body).ok()?;
    let mut prompt = String::new();
    for content in request.system_instruction.iter().chain(&request.contents) {
        content
            .parts
            .iter()
            .for_each(|part| prompt.push_str(&part.text));
        prompt.push('\n');
    }
    Some(Question {
        call: 0,
        model: model(head)?.into(),
        prompt,
        structured: request.generation_config.response_mime_type.is_some(),
        tool: None,
        key: Cow::Borrowed(""),
        body,
    })
}

/// Finds the model in the path, `.../models/{model}:generateContent`.
fn model(head: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let path = line.split(' ').nth(1)?;
    let (_, rest) = path.split_once("/models/")?;
    rest.strip_suffix(":generateContent")
}

pub(super) fn answer(
    question: &Question<'_>,
    text: &str,
    finish: FinishReason,
    bill: Bill,
) -> Value {
    let usage = json!({
        "promptTokenCount": bill.input,
        "candidatesTokenCount": bill.output,
        "totalTokenCount": bill.input + bill.output,
    });
    let reason = match finish {
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        _ => "STOP",
    };
    json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": reason,
            "index": 0,
        }],
        "usageMetadata": usage,
        "modelVersion": question.model,
    })
}

pub(super) fn error(status: u16, message: &str, delay: Option<Duration>) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    let mut error = json!({"code": status, "message": message, "status": name});
    if let Some(delay) = delay {
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_secs_f64()),
        }]);
    }
    json!({"error": error})
}

/// A quota that comes back only the next day.
pub(super) fn daily_quota() -> Value {
    let mut body = error(429, "You exceeded your current quota", None);
    body["error"]["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
            "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        }],
    }]);
    body
}
