//! Answers as gateways, proxies and local engines bend them: of a paid answer only the text has to be readable.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::server::{ProviderServer, RawReply, Wire};
use serde_json::{Value, json};
use topicloom::llm::{ChatResponse, FinishReason, OutputMode, Usage};
use topicloom::{ErrorKind, Result};

use crate::common::{KEY, WIRES, client, client_with, options, structured, text};

/// What every answer here says.
pub(crate) const TEXT: &str =
    r#"{"records": [{"question": "Why?", "answer": "Because: {\"so\"}."}]}"#;

async fn read(wire: Wire, reply: RawReply) -> Result<ChatResponse> {
    let server = ProviderServer::start(wire, move |_: &_| reply.clone())
        .await
        .unwrap();
    client(wire, &server.base_url())
        .complete(&text("a prompt"))
        .await
}

async fn read_json(wire: Wire, body: &Value) -> Result<ChatResponse> {
    read(wire, RawReply::new(200, body.to_string())).await
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// `message` as the answer of a chat completion.
fn completion(message: &Value) -> Value {
    json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70},
    })
}

fn gemini(content: &Value) -> Value {
    json!({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]})
}

/// Puts what every answer says into a case: as a text, in two halves, and as the value it is.
fn fill(case: &Value) -> Value {
    let (head, tail) = TEXT.split_at(TEXT.len() / 2);
    match case {
        Value::String(text) => match text.as_str() {
            "@TEXT" => json!(TEXT),
            "@HEAD" => json!(head),
            "@TAIL" => json!(tail),
            "@OBJECT" => parsed(TEXT),
            "@RECORDS" => parsed(TEXT)["records"].clone(),
            _ => case.clone(),
        },
        Value::Array(list) => list.iter().map(fill).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), fill(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => case.clone(),
    }
}

/// Returns the answers in `tests/cases/answers`, by their names.
pub(crate) fn cases(wire: Wire) -> Vec<(String, Value)> {
    let name = format!("{wire:?}").to_lowercase();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/answers");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let case = |case: &Value| (format!("{name}: {}", case["name"]), fill(&case["body"]));
    cases.iter().map(case).collect()
}

#[tokio::test]
async fn the_text_is_found_in_every_form_of_an_answer() {
    for wire in WIRES {
        for (name, body) in cases(wire) {
            let twice = Value::String(body.to_string());
            for body in [body, twice] {
                let answer = read_json(wire, &body).await;
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
                let found = parsed(&answer.text);
                let text = parsed(TEXT);
                let is_text = found == text || found == text["records"];
                assert!(is_text, "{name}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn what_a_server_echoes_or_complains_of_is_no_answer() {
    for (body, kind) in [
        (
            json!({"choices": [], "echo": "a prompt {\"records\": []}"}),
            ErrorKind::Empty,
        ),
        (
            json!({"request": {"messages": [{"role": "user", "content": "{\"records\": [1]}"}]}}),
            ErrorKind::Empty,
        ),
        (json!({"status": "ok"}), ErrorKind::Empty),
        (
            json!({"error": {"message": "upstream: {\"a\": [1]}", "code": 502}}),
            ErrorKind::Overloaded,
        ),
        (json!({"error": "model `m` failed"}), ErrorKind::Overloaded),
        (
            json!({"message": "rate limited", "code": 429}),
            ErrorKind::RateLimited,
        ),
        (json!({"detail": "Internal error"}), ErrorKind::Overloaded),
        (
            json!({"success": false, "errors": [{"code": 7003, "message": "no route"}], "result": null}),
            ErrorKind::Overloaded,
        ),
        (json!([1, 2]), ErrorKind::Malformed),
    ] {
        let server = ProviderServer::start(Wire::OpenAi, move |_: &_| {
            RawReply::new(200, body.to_string())
        })
        .await
        .unwrap();
        let request = text("Say: a prompt {\"records\": []} and no more");
        let error = client(Wire::OpenAi, &server.base_url())
            .complete(&request)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    // Thinking that ran into the limit holds drafts.
    let cut = json!({"choices": [{"message": {"content": null, "reasoning": TEXT}, "finish_reason": "length"}]});
    let answer = read_json(Wire::OpenAi, &cut).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.finish_reason),
        ("", FinishReason::Length)
    );
}

fn events(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = write!(text, "event: {}\ndata: {event}\n\n", event["type"]);
    }
    text + "data: [DONE]\n\n"
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // A table.
async fn every_framing_of_an_answer_is_read() {
    let whole = completion(&json!({"content": TEXT}));
    let delta = |delta: Value| json!({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let (head, tail) = TEXT.split_at(11);
    let stream = events(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "hm {"})),
        delta(json!({"content": head})),
        delta(json!({"content": tail})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 20}}),
    ]);
    let arguments =
        |text: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]});
    let native = |text: &str, done: bool| {
        json!({"message": {"role": "assistant", "content": text}, "done": done}).to_string()
    };
    let pretty = serde_json::to_string_pretty(&whole).unwrap();
    for (name, wire, body) in [
        (
            "a byte order mark",
            Wire::OpenAi,
            format!("\u{feff}{whole}"),
        ),
        (
            "done on the same line",
            Wire::OpenAi,
            format!("{whole}data: [DONE]\n\n"),
        ),
        (
            "done on a line of its own",
            Wire::OpenAi,
            format!("{whole}\n\ndata: [DONE]\n\n"),
        ),
        (
            "garbage behind",
            Wire::OpenAi,
            format!("{whole}\n<!-- proxy -->"),
        ),
        (
            "one event",
            Wire::OpenAi,
            events(std::slice::from_ref(&whole)),
        ),
        (
            "one event over several lines",
            Wire::OpenAi,
            format!("event: x\ndata: {}\n\n", pretty.replace('\n', "\ndata: ")),
        ),
        ("a stream", Wire::OpenAi, stream.clone()),
        (
            "a stream with a mark and CRLF",
            Wire::OpenAi,
            format!("\u{feff}{}", stream.replace('\n', "\r\n")),
        ),
        (
            "a stream with comments and no blanks",
            Wire::OpenAi,
            format!(
                ": PROCESSING\n\n{}",
                stream.replace("data: ", "id: 1\ndata:")
            ),
        ),
        (
            "a stream that breaks off",
            Wire::OpenAi,
            stream.replace("data: [DONE]\n\n", "data: {\"cho"),
        ),
        (
            "a stream of arguments",
            Wire::OpenAi,
            events(&[
                delta(
                    json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
                ),
                delta(arguments(head)),
                delta(arguments(tail)),
            ]),
        ),
        (
            "a stream that says all again",
            Wire::OpenAi,
            events(&[
                delta(json!({"content": head})),
                delta(json!({"content": tail})),
                whole.clone(),
            ]),
        ),
        (
            "a stream that fails at its end",
            Wire::OpenAi,
            events(&[
                delta(json!({"content": TEXT})),
                json!({"error": {"message": "x"}}),
            ]),
        ),
        (
            "lines of Ollama's",
            Wire::OpenAi,
            format!("{}\n{}\n", native(head, false), native(tail, true)),
        ),
        (
            "events of Gemini's",
            Wire::Gemini,
            events(&[
                gemini(&json!({"parts": [{"text": head}]})),
                gemini(&json!({"parts": [{"text": tail}]})),
            ]),
        ),
        (
            "events of Anthropic's",
            Wire::Anthropic,
            events(&[
                json!({"type": "message_start", "message": {"role": "assistant", "model": "c", "content": [], "usage": {"input_tokens": 50, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm {"}}),
                json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": head}}),
                json!({"type": "ping"}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": tail}}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}}),
                json!({"type": "message_stop"}),
            ]),
        ),
        (
            "a tool of Anthropic's",
            Wire::Anthropic,
            events(&[
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "f", "input": {}}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": head}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": tail}}),
            ]),
        ),
        (
            "not a number",
            Wire::OpenAi,
            whole
                .to_string()
                .replace("\"index\":0", "\"index\":0,\"logprobs\":[NaN, -Infinity]"),
        ),
        (
            "a line break in a text",
            Wire::OpenAi,
            whole
                .to_string()
                .replace("Why?", "Why?\n")
                .replacen('{', "{\n", 1),
        ),
        (
            "half an emoji",
            Wire::OpenAi,
            whole.to_string().replacen("\"x\"", "\"\\ud83d\"", 1),
        ),
    ] {
        for kind in ["application/json", "text/event-stream", "text/plain"] {
            let reply = RawReply::new(200, body.clone()).header("content-type", kind);
            let answer = read(wire, reply).await;
            let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = answer.text.replace("Why?\n", "Why?");
            assert_eq!(found, TEXT, "{name}");
            let usage = if body.contains("50") {
                Usage::new(50, 20)
            } else {
                Usage::default()
            };
            assert_eq!(answer.usage, usage, "{name}");
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compression_that_nobody_asked_for_is_undone() {
    let whole = completion(&json!({"content": TEXT}))
        .to_string()
        .into_bytes();
    for (encoding, body) in [
        ("gzip", gzip(&whole)),
        ("x-gzip", gzip(&whole)),
        ("", gzip(&whole)),
        ("identity", gzip(&whole)),
        ("deflate", zlib(&whole)),
        ("Deflate", raw_deflate(&whole)),
        // A proxy that unpacked the body and left the header.
        ("gzip", whole.clone()),
        ("deflate", whole.clone()),
    ] {
        let reply = RawReply::new(200, body).header("content-encoding", encoding);
        let answer = read(Wire::OpenAi, reply)
            .await
            .unwrap_or_else(|error| panic!("{encoding}: {error}"));
        assert_eq!(answer.text, TEXT);
    }
    let refusal = br#"{"error": {"code": "insufficient_quota"}}"#;
    let reply = RawReply::new(429, gzip(refusal)).header("content-encoding", "gzip");
    assert_eq!(
        read(Wire::OpenAi, reply).await.unwrap_err().kind(),
        ErrorKind::Quota
    );
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_large_one_is_refused() {
    for body in [gzip(&vec![b' '; 64 << 20]), zlib(&vec![b' '; 64 << 20])] {
        let reply = RawReply::new(200, body).header("content-encoding", "deflate");
        let error = read(Wire::OpenAi, reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains("8 MiB"), "{error}");
    }
    let mut cut = gzip(
        &completion(&json!({"content": TEXT}))
            .to_string()
            .into_bytes(),
    );
    cut.truncate(cut.len() / 2);
    for (encoding, body) in [("gzip", cut), ("br", vec![0x8b, 3, 0x80])] {
        let reply = RawReply::new(200, body).header("content-encoding", encoding);
        let error = read(Wire::OpenAi, reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains("compressed"), "{error}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_names_the_limit() {
    let long = completion(&json!({"content": "x".repeat(5_000)})).to_string();
    let server = ProviderServer::start(Wire::OpenAi, move |_: &_| RawReply::new(200, long.clone()))
        .await
        .unwrap();
    let options = options(&server.base_url()).body_limit(4_096);
    let error = client_with(Wire::OpenAi, options)
        .complete(&text("a prompt"))
        .await
        .unwrap_err();
    assert!(error.message().contains("4 KiB"), "{error}");
}

#[tokio::test]
async fn usage_is_what_can_be_believed_of_it() {
    let reasoning = |input, output, reasoning| {
        let mut usage = Usage::new(input, output);
        usage.reasoning_tokens = reasoning;
        usage
    };
    let cached = |input, cached| {
        let mut usage = Usage::new(input, 20);
        usage.cached_input_tokens = cached;
        usage
    };
    for (sent, expected) in [
        (
            json!({"prompt_tokens": 900, "completion_tokens": -12, "total_tokens": 888}),
            Usage::new(900, 0),
        ),
        (
            json!({"prompt_tokens": 50.0, "completion_tokens": 37.25}),
            Usage::new(50, 0),
        ),
        (
            json!({"prompt_tokens": "50", "completion_tokens": "20"}),
            Usage::default(),
        ),
        (
            json!({"prompt_tokens": null, "completion_tokens": 20}),
            Usage::new(0, 20),
        ),
        (
            json!({"prompt_tokens": 50, "total_tokens": 70}),
            Usage::new(50, 20),
        ),
        (
            json!({"completion_tokens": 20, "total_tokens": 70}),
            Usage::new(50, 20),
        ),
        (json!({"total_tokens": 70}), Usage::default()),
        (json!("many"), Usage::default()),
        (json!([50, 20]), Usage::default()),
        (
            json!({"input_tokens": 50, "output_tokens": 20}),
            Usage::new(50, 20),
        ),
        (
            json!({"prompt_tokens": 50, "completion_tokens": 20, "prompt_tokens_details": [], "completion_tokens_details": 3}),
            Usage::new(50, 20),
        ),
        (
            json!({"prompt_tokens": 50, "completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 300}}),
            reasoning(50, 320, 300),
        ),
        (
            json!({"prompt_tokens": 50, "completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": -3}}),
            Usage::new(50, 20),
        ),
        (
            json!({"prompt_tokens": 50, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}}),
            cached(50, 50),
        ),
        // LiteLLM's proxy tells the cache in both ways, and has counted it once.
        (
            json!({"prompt_tokens": 50, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 30}, "cache_read_input_tokens": 30}),
            cached(50, 30),
        ),
    ] {
        let mut body = completion(&json!({"content": TEXT}));
        body["usage"] = sent.clone();
        let answer = read_json(Wire::OpenAi, &body).await.unwrap();
        assert_eq!(answer.usage, expected, "{sent}");
    }
    for (wire, body, expected) in [
        (
            Wire::Anthropic,
            json!({"content": TEXT, "usage": null}),
            Usage::default(),
        ),
        (
            Wire::Anthropic,
            json!({"content": TEXT, "usage": {"input_tokens": "9", "output_tokens": 20}}),
            Usage::new(0, 20),
        ),
        (
            Wire::Gemini,
            json!({"candidates": [{"content": {"parts": [{"text": TEXT}]}}], "usageMetadata": {"promptTokenCount": 50, "totalTokenCount": 70}}),
            Usage::new(50, 20),
        ),
        (
            Wire::Gemini,
            json!({"candidates": [{"content": {"parts": [{"text": TEXT}]}}], "usageMetadata": {"promptTokenCount": -1, "candidatesTokenCount": 20}}),
            Usage::new(0, 20),
        ),
    ] {
        assert_eq!(
            read_json(wire, &body).await.unwrap().usage,
            expected,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_refusal_in_plain_text_or_html_is_read_as_one_in_json_is() {
    for (status, kind, body, expected) in [
        (
            422,
            "text/plain",
            "Failed to deserialize the JSON body: response_format: unknown variant `json_schema`",
            ErrorKind::SchemaRefused,
        ),
        (
            400,
            "text/html",
            "<html><body>json_schema is not supported</body></html>",
            ErrorKind::SchemaRefused,
        ),
        (
            400,
            "text/plain",
            "This model's maximum context length is 4096 tokens",
            ErrorKind::ContextLength,
        ),
        (
            400,
            "application/json",
            "\"Incorrect API key provided\"",
            ErrorKind::Auth,
        ),
        (
            400,
            "application/json",
            "\u{feff}{\"error\": \"Incorrect API key provided\"}",
            ErrorKind::Auth,
        ),
        (403, "text/plain", "Insufficient credits", ErrorKind::Quota),
        (
            400,
            "text/event-stream",
            "event: error\ndata: {\"error\": {\"code\": \"context_length_exceeded\"}}\n\n",
            ErrorKind::ContextLength,
        ),
        (
            502,
            "text/html",
            "<html><h1>502 Bad Gateway</h1></html>",
            ErrorKind::Overloaded,
        ),
    ] {
        let server = ProviderServer::start(Wire::OpenAi, move |_: &_| {
            RawReply::new(status, body).header("content-type", kind)
        })
        .await
        .unwrap();
        let error = client(Wire::OpenAi, &server.base_url())
            .complete(&structured("a prompt", OutputMode::Strict))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{body}");
    }
}

#[tokio::test]
async fn a_key_that_comes_back_as_the_models_name_is_not_kept() {
    for model in [
        format!("m-{KEY}"),
        KEY.to_owned(),
        "m\u{1b}[2J".to_owned(),
        "m".repeat(999),
    ] {
        let mut body = completion(&json!({"content": TEXT}));
        body["model"] = json!(model);
        let answer = read_json(Wire::OpenAi, &body).await.unwrap();
        assert_eq!((answer.provider_model, answer.text.as_str()), (None, TEXT));
    }
    let server = ProviderServer::start(Wire::OpenAi, |_: &_| {
        RawReply::new(
            200,
            json!({"model": "hunter22-hunter22", "choices": [{"message": {"content": "x"}}]})
                .to_string(),
        )
    })
    .await
    .unwrap();
    let options = options(&server.base_url()).header("x-password", "hunter22-hunter22");
    let answer = client_with(Wire::OpenAi, options)
        .complete(&text("a prompt"))
        .await
        .unwrap();
    assert_eq!(answer.provider_model, None);
}

#[tokio::test]
async fn a_record_that_looks_like_a_piece_of_a_message_is_a_record() {
    for record in [
        json!({"type": "message", "title": "Hello"}),
        json!([{"type": "text", "label": "poem"}, {"type": "reasoning_task", "label": "proof"}]),
        json!({"records": [{"role": "nurse", "input": "a cough", "choices": ["a", "b"]}]}),
        json!([{"role": "nurse", "parts_of_the_day": 3}]),
        json!({"text": "A haiku", "label": "good"}),
        json!([{"content": "A page", "message": "sent"}]),
    ] {
        let answer = read_json(Wire::OpenAi, &completion(&json!({"content": record}))).await;
        assert_eq!(parsed(&answer.unwrap().text), record);
    }
}
