//! Ollama's own chat as it goes over the wire: <https://docs.ollama.com/api/chat>.

use serde_json::{Map, Value, json};

use crate::llm::{ChatRequest, OutputFormat, OutputMode, Parameters, Role};

/// Parameters that the OpenAI-compatible endpoint reads (Ollama's `openai.go`); any other it ignores.
const COMPATIBLE: [&str; 11] = [
    "frequency_penalty",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "presence_penalty",
    "reasoning",
    "reasoning_effort",
    "seed",
    "stop",
    "top_logprobs",
    "top_p",
];

/// Parameters that stand beside the `options`.
const BESIDE_OPTIONS: [&str; 5] = [
    "think",
    "keep_alive",
    "logprobs",
    "top_logprobs",
    "truncate",
];

/// Returns whether a parameter is one that only Ollama's own API knows.
pub(super) fn is_native(parameters: &Parameters) -> bool {
    parameters
        .extra
        .keys()
        .any(|name| !COMPATIBLE.contains(&name.as_str()))
}

/// Writes a request.
pub(super) fn body(model: &str, request: &ChatRequest) -> Value {
    let parameters = &request.parameters;
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| {
            let role = match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            json!({"role": role, "content": &*message.text})
        })
        .collect();
    let mut body = json!({"model": model, "messages": messages, "stream": false});
    let mut options = Map::new();
    if let Some(temperature) = parameters.temperature {
        options.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(limit) = parameters.max_tokens {
        options.insert("num_predict".to_owned(), limit.into());
    }
    for (name, value) in &parameters.extra {
        match (name.as_str(), value) {
            ("options", Value::Object(given)) => options.extend(given.clone()),
            ("reasoning_effort", effort) => {
                body["think"] = if effort == "none" {
                    false.into()
                } else {
                    effort.clone()
                };
            }
            (beside, value) if BESIDE_OPTIONS.contains(&beside) => body[beside] = value.clone(),
            ("max_tokens" | "max_completion_tokens", limit) => {
                options.insert("num_predict".to_owned(), limit.clone());
            }
            (name, value) => {
                options.insert(name.to_owned(), value.clone());
            }
        }
    }
    if !options.is_empty() {
        body["options"] = options.into();
    }
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => body["format"] = "json".into(),
        OutputFormat::Schema(output) => match output.mode {
            OutputMode::Prompt => {}
            OutputMode::Json => body["format"] = "json".into(),
            _ => body["format"] = output.schema.clone(),
        },
    }
    body
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::llm::{Message, OutputSchema};

    fn parameters(extra: Value) -> Parameters {
        Parameters {
            temperature: Some(0.5),
            max_tokens: Some(200),
            extra: serde_json::from_value(extra).unwrap(),
        }
    }

    #[test]
    fn what_the_compatible_endpoint_ignores_goes_to_ollamas_own() {
        assert!(!is_native(&parameters(json!({"top_p": 0.9, "seed": 1}))));
        for name in [
            "num_ctx",
            "think",
            "keep_alive",
            "options",
            "min_p",
            "top_k",
        ] {
            assert!(is_native(&parameters(json!({name: 1}))), "{name}");
        }
    }

    #[test]
    fn parameters_go_where_ollama_looks_for_them() {
        let extra = json!({
            "num_ctx": 16_384, "think": false, "keep_alive": "10m", "options": {"num_gpu": 1}, "top_p": 0.9,
        });
        let schema = OutputSchema::new("records", json!({"type": "object"}), OutputMode::Schema);
        let request = ChatRequest::new(vec![Message::user("hello")])
            .with_output(OutputFormat::Schema(Arc::new(schema)))
            .with_parameters(Arc::new(parameters(extra)));
        assert_eq!(
            body("qwen3", &request),
            json!({
                "model": "qwen3",
                "messages": [{"role": "user", "content": "hello"}],
                "stream": false,
                "think": false,
                "keep_alive": "10m",
                "options": {"temperature": 0.5, "num_predict": 200, "num_ctx": 16_384, "num_gpu": 1, "top_p": 0.9},
                "format": {"type": "object"},
            })
        );
    }
}
