//! What a refusal of Gemini's means: <https://ai.google.dev/gemini-api/docs/troubleshooting>, and google.rpc's
//! `error_details.proto` for what hangs on it.

use std::time::Duration;

use serde_json::Value;

use super::super::failure::{Call, Refusal, Verdict, by_status};
use crate::error::{Error, ErrorKind};
use crate::llm::OutputFormat;
use crate::llm::http::{Reply, retry_hint, seconds};

/// Keys that are wrong come as 400 and are told by the reason alone.
const KEY: &[&str] = &[
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "API_KEY_SERVICE_BLOCKED",
];

/// A day's quota, found in the identifier of the quota that was exceeded.
const DAILY: &str = "perday";

/// "Check your plan and billing details" is in every 429, so it tells nothing.
const QUOTA_MESSAGES: &[&str] = &[
    "spending cap",
    "spend cap",
    "spending limit",
    "spend limit",
    "credits are depleted",
    "prepayment",
];

const CONTEXT_MESSAGES: &[&str] = &["token count", "context window"];

/// "too many states for serving" is the refusal of large enums and arrays.
const SCHEMA_MESSAGES: &[&str] = &[
    "schema",
    "too many states",
    "response_mime_type",
    "json mode",
    "function_declarations",
    "function calling",
    "tool_config",
];

/// Returns the error of a reply of which `said` is what its body says: JSON, or a text.
pub(in crate::llm::providers) fn refused(call: &Call<'_>, reply: &Reply, said: &Value) -> Error {
    let details = Details::read(said);
    let status = if reply.is_success() {
        let code = details.code.filter(|status| (400..600).contains(status));
        code.unwrap_or(500)
    } else {
        reply.status
    };
    let structured = !matches!(call.request.output, OutputFormat::Text);
    let mut hint = retry_hint(&reply.headers, reply.at);
    hint.after = hint.after.or(details.retry_delay);
    let verdict = verdict(status, &details, structured);
    call.refused(verdict, status, reply, &details.refusal, hint)
}

/// A refusal and what only Gemini hangs on it.
#[derive(Default)]
struct Details {
    refusal: Refusal,
    code: Option<u16>,
    retry_delay: Option<Duration>,
    daily: bool,
}

impl Details {
    fn read(body: &Value) -> Self {
        // Some gateways of Google's wrap the object into an array.
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").unwrap_or(body);
        let mut details = Self {
            code: error
                .get("code")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok()),
            ..Self::default()
        };
        for detail in error
            .get("details")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            details.refusal.add_word(detail.get("reason"));
            if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
                details.retry_delay = delay.strip_suffix('s').and_then(seconds);
            }
            details.daily |= detail
                .get("violations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|violation| violation.get("quotaId")?.as_str())
                .any(|quota| quota.to_lowercase().contains(DAILY));
        }
        details.refusal.add_word(error.get("status"));
        details.refusal.message = error
            .get("message")
            .unwrap_or(error)
            .as_str()
            .unwrap_or_default()
            .to_lowercase();
        details
    }
}

/// Decides what a refusal comes down to.
fn verdict(status: u16, details: &Details, structured: bool) -> Verdict {
    let refusal = &details.refusal;
    if status == 429 && details.daily {
        return Verdict::new(
            ErrorKind::Quota,
            "the day's quota with the provider is used up",
        );
    }
    if matches!(status, 400 | 403 | 429) && refusal.mentions(QUOTA_MESSAGES) {
        return Verdict::QUOTA;
    }
    if refusal.says(KEY) {
        return by_status(401);
    }
    if status != 400 {
        return by_status(status);
    }
    // The place is not served, or the project has no billing.
    if refusal.says(&["FAILED_PRECONDITION"]) {
        return by_status(403);
    }
    if refusal.mentions(CONTEXT_MESSAGES) {
        return Verdict::CONTEXT;
    }
    if structured && refusal.mentions(SCHEMA_MESSAGES) {
        return Verdict::SCHEMA;
    }
    by_status(status)
}
