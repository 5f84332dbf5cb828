//! What a refusal in OpenAI's format means, for all who speak it.

use serde_json::Value;

use super::super::answer::{CODES, MESSAGES};
use super::super::failure::{Call, Refusal, Verdict, by_status, misplaced};
use crate::error::{Error, ErrorKind};
use crate::llm::OutputFormat;
use crate::llm::http::Reply;

/// No credit, or a spending limit reached: <https://platform.openai.com/docs/guides/error-codes>; the spend limits are
/// `OpenAI`'s of 2026.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "insufficient_credits",
    // LiteLLM's, DashScope's, Moonshot's, New API's and Volcengine's; Zhipu's is a number.
    "budget_exceeded",
    "Arrearage",
    "exceeded_current_quota_error",
    "insufficient_user_quota",
    "SetLimitExceeded",
    "1113",
];

/// Azure's filter, `OpenAI`'s policy, `OpenRouter`'s moderation, `DashScope`'s inspection.
const FILTER: &[&str] = &[
    "content_filter",
    "ResponsibleAIPolicyViolation",
    "content_policy_violation",
    "invalid_prompt",
    "moderation",
    "data_inspection_failed",
];

const CONTEXT: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size_error",
    "string_above_max_length",
    "request_too_large",
];

/// vLLM, llama.cpp, Mistral, Together, Fireworks and `OpenRouter` say it in words.
const CONTEXT_MESSAGES: &[&str] = &[
    "maximum context length",
    "context length",
    "context window",
    "context size",
    "maximum prompt length",
    "too large for model",
    "prompt is too long",
    "too many tokens",
];

/// xAI's wrong key comes as 400 and is told by its message alone.
const KEY_MESSAGES: &[&str] = &[
    "incorrect api key",
    "invalid api key",
    "api key not valid",
    "access token invalid",
];

const UNKNOWN_MODEL: &[&str] = &[
    "model_not_found",
    "invalid_model",
    "model_decommissioned",
    "model_not_supported",
    "DeploymentNotFound",
];

/// `OpenAI`'s, of models that are reached through its responses, and of those of old that only complete a text.
const NO_CHAT_MESSAGES: &[&str] = &["v1/responses", "not a chat model"];

/// What is said of such a model.
pub(super) const NO_CHAT: &str = "the provider does not reach this model through chat completions";

/// Groq's: the model's own answer did not fit, which another try may repair.
const BAD_GENERATION: &[&str] = &["json_validate_failed", "tool_use_failed"];

const SCHEMA: &[&str] = &["invalid_json_schema", "invalid_function_parameters"];

const SCHEMA_PARAMETERS: &[&str] = &["response_format", "tools", "tool_choice", "functions"];

/// How a server says that it cannot do structured output, or not this schema.
const SCHEMA_MESSAGES: &[&str] = &[
    "response_format",
    "json_schema",
    "json schema",
    "json_object",
    "structured output",
    "schema",
    "tool_choice",
    "tool choice",
    "tool use",
    "tool calling",
    "function calling",
    "does not support tools",
    "grammar",
    "guided",
];

/// Returns the error of a reply of which `said` is what its body says: JSON, or a text.
pub(in crate::llm::providers) fn refused(call: &Call<'_>, reply: &Reply, said: &Value) -> Error {
    let refusal = refusal(said);
    let status = if reply.is_success() {
        let codes = refusal.words.iter().filter_map(|word| word.parse().ok());
        let mut codes = codes.filter(|status| (400..600).contains(status));
        codes.next().unwrap_or_else(|| status_of(&refusal))
    } else {
        reply.status
    };
    let structured = !matches!(call.request.output, OutputFormat::Text);
    let verdict = refusal
        .verdict(status, said)
        .unwrap_or_else(|| verdict(status, &refusal, structured));
    call.refused(verdict, status, reply, &refusal, said)
}

/// Returns the status that an error without one would have had. What is not known is taken for a failure of
/// the provider's, since it had accepted the request.
fn status_of(refusal: &Refusal) -> u16 {
    for (words, status) in [
        (
            &["rate_limit_exceeded", "rate_limit_error", "slow_down"][..],
            429,
        ),
        (
            &["invalid_request_error", "BadRequestError", "bad_request"][..],
            400,
        ),
        (&["authentication_error", "invalid_api_key"][..], 401),
        (&["not_found_error", "NotFoundError"][..], 404),
        (UNKNOWN_MODEL, 404),
    ] {
        if refusal.says(words) {
            return status;
        }
    }
    if refusal.mentions(&["rate limit", "limit reached", "too many requests"]) {
        return 429;
    }
    if refusal.mentions(KEY_MESSAGES) {
        return 401;
    }
    500
}

/// Finds code, type, parameter and message wherever a server puts them.
fn refusal(body: &Value) -> Refusal {
    // Gemini's OpenAI-compatible endpoint wraps the object into an array.
    let body = body.get(0).unwrap_or(body);
    let inner = match body.get("error") {
        Some(inner @ Value::Object(_)) => inner,
        _ => body,
    };
    let mut refusal = Refusal::default();
    for name in CODES.iter().chain(&["type", "status"]) {
        refusal.add_word(inner.get(*name));
    }
    // Azure's reason lies one deeper, beside a code that says it too.
    refusal.add_word(inner.pointer("/innererror/code"));
    refusal.add_word(inner.pointer("/metadata/error_type"));
    // OpenRouter's moderation is a 403 that says what was flagged.
    if inner.pointer("/metadata/flagged_input").is_some()
        || inner.pointer("/metadata/reasons").is_some()
    {
        refusal.words.push("moderation".to_owned());
    }
    // MiniMax's, in a success.
    refusal.add_word(body.pointer("/base_resp/status_code"));
    let parameter = inner.get("param").and_then(Value::as_str);
    refusal.parameter = parameter
        .filter(|name| !name.is_empty())
        .or_else(|| misplaced(body))
        .map(str::to_owned);
    refusal.message = [
        Some(body),
        inner.get("message"),
        body.pointer("/base_resp/status_msg"),
        body.get("error"),
        body.get("detail"),
        body.get("errors"),
        inner.pointer("/metadata/raw"),
    ]
    .into_iter()
    .chain(MESSAGES.iter().map(|name| body.get(*name)))
    .flatten()
    .map(|part| match part {
        Value::String(text) => text.to_lowercase(),
        Value::Array(parts) => Value::Array(parts.clone()).to_string().to_lowercase(),
        _ => String::new(),
    })
    .collect::<Vec<_>>()
    .join(" ");
    refusal
}

/// Decides what a refusal comes down to.
fn verdict(status: u16, refusal: &Refusal, structured: bool) -> Verdict {
    if refusal.says(QUOTA) {
        return Verdict::QUOTA;
    }
    if refusal.says(FILTER) {
        return Verdict::FILTER;
    }
    // Groq's 413 is one request above the tokens of a minute, and has the code of a rate limit.
    if refusal.says(CONTEXT) || (matches!(status, 400 | 422) && refusal.mentions(CONTEXT_MESSAGES))
    {
        return Verdict::CONTEXT;
    }
    if matches!(status, 400 | 404) && refusal.mentions(NO_CHAT_MESSAGES) {
        return Verdict::new(ErrorKind::UnknownModel, NO_CHAT);
    }
    if refusal.says(UNKNOWN_MODEL) {
        return by_status(404);
    }
    let names_parameter = || {
        let name = refusal.parameter.as_deref();
        name.is_some_and(|name| {
            SCHEMA_PARAMETERS
                .iter()
                .any(|known| name.starts_with(known))
        })
    };
    if structured && status >= 500 && names_parameter() {
        return Verdict::SCHEMA;
    }
    if !matches!(status, 400 | 422) {
        return by_status(status);
    }
    if refusal.mentions(KEY_MESSAGES) {
        return by_status(401);
    }
    if refusal.says(BAD_GENERATION) {
        return Verdict::new(
            ErrorKind::Malformed,
            "the model's answer did not fit the schema, as the provider found",
        );
    }
    let names_schema =
        refusal.says(SCHEMA) || names_parameter() || refusal.mentions(SCHEMA_MESSAGES);
    if structured && names_schema {
        return Verdict::SCHEMA;
    }
    by_status(status)
}
