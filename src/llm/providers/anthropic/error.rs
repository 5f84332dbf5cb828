//! What a refusal of Anthropic's means: <https://docs.anthropic.com/en/api/errors>.

use serde_json::Value;

use super::super::failure::{Call, Refusal, Verdict, by_status};
use crate::error::{Error, ErrorKind};
use crate::llm::OutputFormat;
use crate::llm::http::{Reply, rate_anthropic, retry_hint};

/// A 429 that no waiting helps.
const QUOTA: &[&str] = &["billing_error", "enforced_spend_limit_reached"];

/// Credit and usage limits come as 400 `invalid_request_error`, told by their message alone.
const QUOTA_MESSAGES: &[&str] = &["credit balance", "specified api usage limits"];

const CONTEXT_MESSAGES: &[&str] = &[
    "prompt is too long",
    "exceed context limit",
    "context window",
];

const FILTER_MESSAGES: &[&str] = &["content filtering policy"];

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

/// Returns the error of a reply whose status is a failure.
pub(super) fn refused(call: &Call<'_>, reply: &Reply) -> Error {
    error(call, reply, reply.status, &refusal(&reply.body))
}

/// Returns the error of a reply whose status was a success and whose body is an error object.
pub(super) fn refused_within_success(call: &Call<'_>, reply: &Reply) -> Error {
    let refusal = refusal(&reply.body);
    error(call, reply, status_of(&refusal), &refusal)
}

fn error(call: &Call<'_>, reply: &Reply, status: u16, refusal: &Refusal) -> Error {
    let structured = !matches!(call.request.output, OutputFormat::Text);
    call.refused(
        verdict(status, refusal, structured),
        status,
        reply,
        refusal,
        retry_hint(&reply.headers, reply.at),
        rate_anthropic(&reply.headers, reply.at),
    )
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

fn refusal(body: &[u8]) -> Refusal {
    let body: Value = serde_json::from_slice(body.trim_ascii()).unwrap_or(Value::Null);
    let mut refusal = Refusal::default();
    refusal.add_word(body.pointer("/error/details/error_code"));
    refusal.add_word(body.pointer("/error/type"));
    refusal.message = body
        .pointer("/error/message")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_lowercase();
    refusal
}

/// Decides what a refusal comes down to.
fn verdict(status: u16, refusal: &Refusal, structured: bool) -> Verdict {
    if refusal.says(QUOTA) || (status == 400 && refusal.mentions(QUOTA_MESSAGES)) {
        return Verdict::new(
            ErrorKind::Quota,
            "no credit is left with the provider, or a spending limit is reached",
        );
    }
    if status != 400 {
        return by_status(status);
    }
    if refusal.mentions(FILTER_MESSAGES) {
        return Verdict::new(
            ErrorKind::ContentFilter,
            "the provider's content filter stopped the answer",
        );
    }
    if refusal.mentions(CONTEXT_MESSAGES) {
        return Verdict::new(
            ErrorKind::ContextLength,
            "the prompt and the asked-for output do not fit into the model's context",
        );
    }
    if structured && refusal.mentions(SCHEMA_MESSAGES) {
        return Verdict::new(
            ErrorKind::SchemaRefused,
            "the provider refuses this schema, or this way of asking for structured output",
        );
    }
    by_status(status)
}
