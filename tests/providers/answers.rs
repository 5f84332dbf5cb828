//! What is read from answers, as each provider forms them.

use crate::server::{ProviderServer, RawReply, Wire};
use serde_json::{Value, json};
use topicloom::ErrorKind;
use topicloom::llm::{ChatResponse, FinishReason, Usage};

use crate::common::{client, text};

async fn read(wire: Wire, body: Value) -> topicloom::Result<ChatResponse> {
    let server = ProviderServer::start(wire, move |_: &_| RawReply::new(200, body.to_string()))
        .await
        .unwrap();
    client(wire, &server.base_url())
        .complete(&text("a prompt"))
        .await
}

fn usage(input: u64, output: u64, cached: u64, written: u64, reasoning: u64) -> Usage {
    let mut usage = Usage::new(input, output);
    usage.cached_input_tokens = cached;
    usage.cache_write_tokens = written;
    usage.reasoning_tokens = reasoning;
    usage
}

fn choice(message: &Value, finish: &str) -> Value {
    json!({"model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

#[tokio::test]
async fn openai_usage_is_read_with_all_its_details() {
    for (wire_usage, expected) in [
        (
            json!({
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 20},
            }),
            usage(100, 50, 64, 8, 20),
        ),
        // DeepSeek.
        (
            json!({"prompt_tokens": 100, "completion_tokens": 50, "prompt_cache_hit_tokens": 64}),
            usage(100, 50, 64, 0, 0),
        ),
        // xAI counts reasoning beside the completion.
        (
            json!({
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 170,
                "completion_tokens_details": {"reasoning_tokens": 20},
            }),
            usage(100, 70, 0, 0, 20),
        ),
        (json!(null), usage(0, 0, 0, 0, 0)),
        (json!({}), usage(0, 0, 0, 0, 0)),
        (
            json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}),
            usage(u64::MAX, u64::MAX, 0, 0, 0),
        ),
    ] {
        let mut body = choice(&json!({"content": "hi"}), "stop");
        body["usage"] = wire_usage;
        let answer = read(Wire::OpenAi, body).await.unwrap();
        assert_eq!(answer.usage, expected);
        assert_eq!(answer.provider_model.as_deref(), Some("m-1"));
    }
}

#[tokio::test]
async fn openai_answers_are_read_in_every_form() {
    use FinishReason as Finish;
    for (message, finish, text, expected) in [
        (json!({"content": "hi"}), "stop", "hi", Finish::Stop),
        (json!({"content": null}), "stop", "", Finish::Stop),
        (json!({"content": "{\"a"}), "length", "{\"a", Finish::Length),
        (json!({"content": "x"}), "model_length", "x", Finish::Length),
        (json!({"content": "x"}), "eos", "x", Finish::Stop),
        (json!({"content": "x"}), "something new", "x", Finish::Other),
        (
            json!({"content": null}),
            "content_filter",
            "",
            Finish::ContentFilter,
        ),
        (
            json!({"content": null, "refusal": "I will not"}),
            "stop",
            "",
            Finish::Refusal,
        ),
        // Some servers send an empty refusal with every answer.
        (
            json!({"content": "hi", "refusal": ""}),
            "stop",
            "hi",
            Finish::Stop,
        ),
        // Mistral's reasoning models.
        (
            json!({"content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "hi"},
            ]}),
            "stop",
            "hi",
            Finish::Stop,
        ),
        (
            json!({"content": "", "reasoning_content": "hm", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            ]}),
            "tool_calls",
            "{\"a\":1}",
            Finish::Stop,
        ),
        // Arguments as an object, as some servers have them.
        (
            json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}),
            "tool_calls",
            "{\"a\":1}",
            Finish::Stop,
        ),
    ] {
        let answer = read(Wire::OpenAi, choice(&message, finish)).await.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason),
            (text, expected),
            "{message}"
        );
    }
}

#[tokio::test]
async fn anthropic_answers_are_read() {
    let answer = read(
        Wire::Anthropic,
        json!({
            "type": "message", "model": "claude-x", "stop_reason": "end_turn",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "one, "},
                {"type": "text", "text": "two"},
            ],
            "usage": {
                "input_tokens": 10, "output_tokens": 5,
                "cache_creation_input_tokens": 100, "cache_read_input_tokens": 1_000,
                "service_tier": "standard",
            },
        }),
    )
    .await
    .unwrap();
    assert_eq!(answer.text, "one, two");
    assert_eq!(answer.usage, usage(1_110, 5, 1_000, 100, 0));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    for (reason, expected) in [
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::Refusal),
        ("pause_turn", FinishReason::Other),
    ] {
        let body = json!({"type": "message", "content": [], "stop_reason": reason, "usage": {}});
        let answer = read(Wire::Anthropic, body).await.unwrap();
        assert_eq!(answer.finish_reason, expected, "{reason}");
    }
    let body = json!({
        "type": "message", "stop_reason": "tool_use",
        "content": [
            {"type": "text", "text": "I will call it."},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        ],
    });
    assert_eq!(read(Wire::Anthropic, body).await.unwrap().text, "{\"a\":1}");
}

#[tokio::test]
async fn gemini_answers_are_read() {
    let answer = read(
        Wire::Gemini,
        json!({
            "candidates": [{
                "content": {"role": "model", "parts": [
                    {"text": "hm", "thought": true}, {"text": "one, "}, {"text": "two"},
                ]},
                "finishReason": "STOP",
            }],
            "usageMetadata": {
                "promptTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 20,
                "cachedContentTokenCount": 64, "totalTokenCount": 125,
            },
            "modelVersion": "gemini-x-001",
        }),
    )
    .await
    .unwrap();
    assert_eq!(answer.text, "one, two");
    assert_eq!(answer.usage, usage(100, 25, 64, 0, 20));
    assert_eq!(answer.provider_model.as_deref(), Some("gemini-x-001"));
    for (reason, expected) in [
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter),
        ("RECITATION", FinishReason::ContentFilter),
        ("BLOCKLIST", FinishReason::ContentFilter),
        ("PROHIBITED_CONTENT", FinishReason::ContentFilter),
        ("SPII", FinishReason::ContentFilter),
        ("OTHER", FinishReason::Other),
    ] {
        let body = json!({"candidates": [{"finishReason": reason}]});
        let answer = read(Wire::Gemini, body).await.unwrap();
        assert_eq!(answer.finish_reason, expected, "{reason}");
    }
    let blocked = json!({
        "promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9},
    });
    let answer = read(Wire::Gemini, blocked).await.unwrap();
    assert_eq!(answer.finish_reason, FinishReason::ContentFilter);
    assert_eq!(answer.usage.input_tokens, 9);
    let called = json!({"candidates": [{
        "content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
        "finishReason": "STOP",
    }]});
    assert_eq!(read(Wire::Gemini, called).await.unwrap().text, "{\"a\":1}");
}

#[tokio::test]
async fn an_answer_without_an_answer_is_empty() {
    for (wire, body) in [
        (Wire::OpenAi, json!({"choices": []})),
        (Wire::OpenAi, json!({"choices": null})),
        (Wire::OpenAi, json!({})),
        (Wire::Anthropic, json!({})),
        (Wire::Gemini, json!({"candidates": []})),
        (Wire::Gemini, json!({})),
    ] {
        let error = read(wire, body.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Empty, "{body}");
        assert!(error.is_retryable());
    }
}
