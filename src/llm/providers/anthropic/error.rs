//! What a refusal of Anthropic's means: <https://docs.anthropic.com/en/api/errors>.

use serde_json::Value;

use super::super::failure::{Call, Refusal, Verdict, by_status, misplaced};
use crate::error::Error;
use crate::llm::OutputFormat;
use crate::llm::http::Reply;

/// A 429 that no waiting helps.
const QUOTA: &[&str] = &["billing_error", "enforced_spend_limit_reached"];

const CONTEXT_MESSAGES: &[&str] = &[
    "prompt is too long",
    "exceed context limit",
    "context window",
];

/// "compiled grammar is too large" and "Schema is too complex" (alphaXiv/agents#49), and refusals that name the field.
const SCHEMA_MESSAGES: &[&str] = &[
    "schema",
    "compiled grammar",
    "output_config",
    "output_format",
    "structured output",
    "tool_choice",
    "tools.",
];

/// Returns the error of a reply of which `said` is what its body says: JSON, or a text.
pub(in crate::llm::providers) fn refused(call: &Call<'_>, reply: &Reply, said: &Value) -> Error {
    let refusal = refusal(said);
    let status = if reply.is_success() {
        status_of(&refusal)
    } else {
        reply.status
    };
    let structured = !matches!(call.request.output, OutputFormat::Text);
    let verdict = refusal
        .verdict(status, said)
        .unwrap_or_else(|| verdict(status, &refusal, structured));
    call.refused(verdict, status, reply, &refusal, said)
}

/// Returns the status that belongs to a type of error.
fn status_of(refusal: &Refusal) -> u16 {
    [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("timeout_error", 504),
        ("overloaded_error", 529),
    ]
    .into_iter()
    .find(|(word, _)| refusal.says(&[word]))
    .map_or(500, |(_, status)| status)
}

fn refusal(body: &Value) -> Refusal {
    let mut refusal = Refusal::default();
    refusal.add_word(body.pointer("/error/details/error_code"));
    refusal.add_word(body.pointer("/error/type"));
    refusal.parameter = misplaced(body).map(str::to_owned);
    refusal.message = body
        .pointer("/error/message")
        .unwrap_or(body)
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    refusal
}

/// Decides what a refusal comes down to.
fn verdict(status: u16, refusal: &Refusal, structured: bool) -> Verdict {
    if refusal.says(QUOTA) {
        return Verdict::QUOTA;
    }
    if status != 400 {
        return by_status(status);
    }
    if refusal.mentions(CONTEXT_MESSAGES) {
        return Verdict::CONTEXT;
    }
    if structured && refusal.mentions(SCHEMA_MESSAGES) {
        return Verdict::SCHEMA;
    }
    by_status(status)
}
