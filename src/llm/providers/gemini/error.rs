//! What a refusal of Gemini's means: <https://ai.google.dev/gemini-api/docs/troubleshooting>, and google.rpc's
//! `error_details.proto` for what hangs on it.

use serde_json::Value;

use super::super::failure::{Call, Refusal, Verdict, by_status};
use crate::error::Error;
use crate::llm::OutputFormat;
use crate::llm::http::Reply;

/// Keys that are wrong come as 400 and are told by the reason alone.
const KEY: &[&str] = &[
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "API_KEY_SERVICE_BLOCKED",
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
    // Some gateways of Google's wrap the object into an array.
    let body = said.get(0).unwrap_or(said);
    let error = body.get("error").unwrap_or(body);
    let refusal = refusal(error);
    let status = if reply.is_success() {
        let code = error.get("code").and_then(Value::as_u64);
        let code = code.and_then(|code| u16::try_from(code).ok());
        code.filter(|status| (400..600).contains(status))
            .unwrap_or(500)
    } else {
        reply.status
    };
    let structured = !matches!(call.request.output, OutputFormat::Text);
    let verdict = refusal
        .verdict(status, said)
        .unwrap_or_else(|| verdict(status, &refusal, structured));
    call.refused(verdict, status, reply, &refusal, said)
}

fn refusal(error: &Value) -> Refusal {
    let mut refusal = Refusal::default();
    let details = error.get("details").and_then(Value::as_array);
    for detail in details.into_iter().flatten() {
        refusal.add_word(detail.get("reason"));
    }
    refusal.add_word(error.get("status"));
    let message = error.get("message").unwrap_or(error).as_str();
    refusal.message = message.unwrap_or_default().to_lowercase();
    refusal
}

/// Decides what a refusal comes down to.
fn verdict(status: u16, refusal: &Refusal, structured: bool) -> Verdict {
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
