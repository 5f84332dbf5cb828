//! Which parameters a caller may pass through, and which the library sets itself.

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{OutputFormat, Parameters};

/// Parameters that the library sets for every call. A caller's value would break how the answer is read
/// (`stream`, `n`), or what is asked (`model`, `messages`).
const ALWAYS_SET: [(&str, &str); 10] = [
    ("model", "name the model as `provider/model`"),
    ("messages", "the prompt is rendered from the instruction"),
    ("contents", "the prompt is rendered from the instruction"),
    (
        "system",
        "put what holds for every record into the instruction",
    ),
    (
        "systemInstruction",
        "put what holds for every record into the instruction",
    ),
    ("stream", "answers are read whole"),
    ("stream_options", "answers are read whole"),
    ("n", "ask for more records instead of more answers"),
    (
        "candidateCount",
        "ask for more records instead of more answers",
    ),
    (
        "candidate_count",
        "ask for more records instead of more answers",
    ),
];

/// Parameters by which structured output is asked for.
const STRUCTURED: [&str; 8] = [
    "response_format",
    "tools",
    "tool_choice",
    "output_config",
    "output_format",
    "responseSchema",
    "responseJsonSchema",
    "responseMimeType",
];

/// Settings of LiteLLM's client that files written for it hold among the parameters. Sent on, they would be
/// refused, or put a key into a request body.
const CLIENT_SETTINGS: [(&str, &str); 12] = [
    (
        "api_key",
        "set the provider's environment variable or the client's options",
    ),
    (
        "api_base",
        "set the provider's environment variable or the client's options",
    ),
    (
        "base_url",
        "set the provider's environment variable or the client's options",
    ),
    (
        "api_version",
        "set the provider's environment variable or the client's options",
    ),
    ("custom_llm_provider", "name the model as `provider/model`"),
    ("extra_headers", "set the client's options"),
    ("headers", "set the client's options"),
    ("timeout", "set `task_runner_timeout`"),
    ("request_timeout", "set `task_runner_timeout`"),
    ("num_retries", "set how often a call is retried on the run"),
    ("max_retries", "set how often a call is retried on the run"),
    ("drop_params", "leave the parameter out"),
];

/// Checks that a call's parameters are the caller's to set.
pub(super) fn check(parameters: &Parameters, output: &OutputFormat) -> Result<()> {
    let structured = !matches!(output, OutputFormat::Text);
    for (name, value) in &parameters.extra {
        let harmless = match name.as_str() {
            "stream" => value == false,
            "n" | "candidateCount" | "candidate_count" => value == 1,
            _ => false,
        };
        let advice = ALWAYS_SET
            .iter()
            .chain(&CLIENT_SETTINGS)
            .find(|(known, _)| known == name)
            .map(|(_, advice)| *advice)
            .or_else(|| {
                (structured && STRUCTURED.contains(&name.as_str()))
                    .then_some("the shape of a record is asked for by `output_schema`")
            });
        if let Some(advice) = advice.filter(|_| !harmless) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("`{name}` cannot be passed to the model; {advice}"),
            )
            .with_context("parameter", name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(name: &str, value: Value, output: &OutputFormat) -> Result<()> {
        let mut parameters = Parameters::default();
        parameters.extra.insert(name.to_owned(), value);
        check(&parameters, output)
    }

    #[test]
    fn a_setting_of_the_client_is_no_parameter_and_its_value_is_not_shown() {
        let error = checked("api_key", json!("SECRET"), &OutputFormat::Text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("`api_key`"));
        assert!(!format!("{error:?}").contains("SECRET"));
    }

    #[test]
    fn what_changes_nothing_is_let_through() {
        for (name, value) in [
            ("stream", json!(false)),
            ("n", json!(1)),
            ("top_p", json!(0.9)),
        ] {
            assert!(checked(name, value, &OutputFormat::Json).is_ok(), "{name}");
        }
        assert!(checked("stream", json!(true), &OutputFormat::Text).is_err());
        assert!(checked("n", json!(4), &OutputFormat::Text).is_err());
    }

    #[test]
    fn the_output_format_is_the_callers_only_where_the_library_asks_for_none() {
        let format = json!({"type": "json_object"});
        assert!(checked("response_format", format.clone(), &OutputFormat::Text).is_ok());
        assert!(checked("response_format", format, &OutputFormat::Json).is_err());
    }
}
