//! Requests to `OpenAI`'s responses, for models that chat completions do not reach:
//! <https://platform.openai.com/docs/api-reference/responses/create>.

use serde_json::{Map, Value, json};

use super::wire::{self, role};
use crate::llm::{OutputFormat, OutputMode};

/// Writes a chat completion's request as one for a response.
pub(super) fn body(chat: &wire::Body<'_>) -> Value {
    let parameters = &chat.request.parameters;
    let messages = chat.request.messages.iter();
    let input: Vec<Value> = messages
        .map(|message| json!({"role": role(message.role), "content": &*message.text}))
        .collect();
    let mut body = Map::new();
    let mut text = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(chat.model));
    set("input", json!(input));
    set("stream", json!(false));
    // A chat completion is not kept by default, and a response is.
    set("store", json!(false));
    let limits = [
        ("temperature", chat.temperature.map(Value::from)),
        ("max_output_tokens", parameters.max_tokens.map(Value::from)),
        ("prompt_cache_key", chat.cache_key.map(Value::from)),
    ];
    for (name, value) in limits {
        value.map(|value| set(name, value));
    }
    match &chat.request.output {
        OutputFormat::Schema(output) => match output.mode {
            OutputMode::Strict | OutputMode::Schema => {
                let format = json!({
                    "type": "json_schema",
                    "name": output.name,
                    "strict": output.mode == OutputMode::Strict,
                    "schema": output.schema,
                });
                text.insert("format".to_owned(), format);
            }
            OutputMode::Tool => {
                let (name, schema) = (&output.name, &output.schema);
                let tool = json!({"type": "function", "name": name, "parameters": schema, "strict": false});
                set("tools", json!([tool]));
                set("tool_choice", json!({"type": "function", "name": name}));
            }
            OutputMode::Json => {
                text.insert("format".to_owned(), json!({"type": "json_object"}));
            }
            OutputMode::Prompt => {}
        },
        OutputFormat::Json if chat.modes.contains(&OutputMode::Json) => {
            text.insert("format".to_owned(), json!({"type": "json_object"}));
        }
        OutputFormat::Json | OutputFormat::Text => {}
    }
    for (name, value) in &parameters.extra {
        match (name.as_str(), value) {
            ("max_tokens" | "max_completion_tokens", _) => set("max_output_tokens", value.clone()),
            ("reasoning_effort", _) => set("reasoning", json!({"effort": value})),
            ("verbosity", _) => text.insert(name.clone(), value.clone()),
            ("text", Value::Object(own)) => {
                text.extend(own.clone());
                None
            }
            _ => set(name, value.clone()),
        };
    }
    if !text.is_empty() {
        set("text", text.into());
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::OpenAiClient;
    use super::*;
    use crate::llm::providers::ClientOptions;
    use crate::llm::{
        ChatRequest, FinishReason, LlmClient, Message, OutputSchema, Parameters, Usage,
    };

    /// Answers each call with a status and a body; returns what was sent.
    async fn serve(listener: TcpListener, replies: Vec<(u16, Value)>) -> Vec<(String, Value)> {
        let mut calls = Vec::new();
        let (mut stream, _) = listener.accept().await.unwrap();
        for (status, body) in replies {
            let mut sent = String::new();
            let call = loop {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.unwrap();
                sent.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                let parts = sent.split_once("\r\n\r\n");
                if let Some(body) = parts.and_then(|(_, body)| serde_json::from_str(body).ok()) {
                    break (sent.lines().next().unwrap().to_owned(), body);
                }
            };
            calls.push(call);
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
        calls
    }

    #[tokio::test]
    async fn a_model_that_chats_do_not_reach_is_asked_for_responses_from_then_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let options = ClientOptions::new()
            .base_url(url)
            .api_key("sk-a-key-for-tests");
        let client = OpenAiClient::new(&"openai/o9-pro".parse().unwrap(), options).unwrap();
        let refusal = json!({"error": {
            "message": "This model is only supported in v1/responses and not in v1/chat/completions.",
            "type": "invalid_request_error", "param": "model", "code": null,
        }});
        let answer = |content: Value, status: &str| {
            json!({
                "object": "response", "model": "o9-pro-1", "status": status, "error": null,
                "text": {"format": {"type": "text"}}, "tools": [], "instructions": null,
                "output": [
                    {"type": "reasoning", "summary": []},
                    {"type": "message", "role": "assistant", "content": [content]},
                ],
                "usage": {
                    "input_tokens": 50, "input_tokens_details": {"cached_tokens": 8},
                    "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 70,
                },
            })
        };
        let replies = vec![
            (404, refusal),
            (
                200,
                answer(json!({"type": "output_text", "text": "{}"}), "completed"),
            ),
            (
                200,
                answer(json!({"type": "refusal", "refusal": "No."}), "completed"),
            ),
        ];
        let schema = OutputSchema::new("qa", json!({"type": "object"}), OutputMode::Strict);
        let request = ChatRequest::new(vec![Message::system("Be brief."), Message::user("Go.")])
            .with_output(OutputFormat::Schema(Arc::new(schema)))
            .with_parameters(Parameters {
                max_tokens: Some(9),
                extra: serde_json::from_value(json!({"reasoning_effort": "low"})).unwrap(),
                ..Parameters::default()
            });
        let ask = async {
            let first = client.complete(&request).await.unwrap();
            (first, client.complete(&request).await.unwrap())
        };
        let ((first, second), calls) = tokio::join!(ask, serve(listener, replies));

        let mut usage = Usage::new(50, 20);
        (usage.cached_input_tokens, usage.reasoning_tokens) = (8, 5);
        assert_eq!((first.text.as_str(), first.usage), ("{}", usage));
        assert_eq!(first.finish_reason, FinishReason::Stop);
        assert_eq!(first.provider_model.as_deref(), Some("o9-pro-1"));
        assert_eq!(
            (second.text.as_str(), second.finish_reason),
            ("", FinishReason::Refusal)
        );

        let paths: Vec<&str> = calls.iter().map(|(line, _)| line.as_str()).collect();
        let responses = "POST /v1/responses HTTP/1.1";
        assert_eq!(
            paths,
            ["POST /v1/chat/completions HTTP/1.1", responses, responses]
        );
        let expected = json!({
            "model": "o9-pro",
            "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go."}],
            "stream": false, "store": false, "max_output_tokens": 9,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "qa", "strict": true, "schema": {"type": "object"}}},
        });
        assert_eq!(calls[1].1, expected);
    }
}
