//! What goes over the wire, as the server receives it.

use std::sync::{Arc, Mutex};

use crate::server::{ProviderServer, Question, Wire};
use serde_json::{Value, json};
use topicloom::ErrorKind;
use topicloom::llm::providers::ClientOptions;
use topicloom::llm::{ChatRequest, Message, OutputFormat, OutputMode, OutputSchema, Parameters};

use crate::common::{KEY, named, schema, structured, text};

/// Sends a request to a model and returns the body that arrives.
async fn sent(model: &str, request: ChatRequest) -> Value {
    let body = Arc::new(Mutex::new(Value::Null));
    let seen = Arc::clone(&body);
    let wire = match model.split_once('/').unwrap().0 {
        "anthropic" => Wire::Anthropic,
        "gemini" => Wire::Gemini,
        _ => Wire::OpenAi,
    };
    let server = ProviderServer::start(wire, move |question: &Question<'_>| {
        assert!(question.key().ends_with(KEY));
        *seen.lock().unwrap() = question.body();
        "{}"
    })
    .await
    .unwrap();
    let options = ClientOptions::new()
        .base_url(server.base_url())
        .api_key(KEY);
    named(model, options).complete(&request).await.unwrap();
    std::mem::take(&mut *body.lock().unwrap())
}

fn with_parameters(request: ChatRequest) -> ChatRequest {
    let mut parameters = Parameters::default();
    parameters.temperature = Some(0.8);
    parameters.max_tokens = Some(200);
    parameters.extra.insert("top_p".to_owned(), json!(0.9));
    parameters.extra.insert("stop".to_owned(), json!("END"));
    request.with_parameters(parameters)
}

macro_rules! bodies {
    ($($name:ident: $model:literal, $request:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            insta::assert_json_snapshot!(sent($model, $request).await);
        }
    )*};
}

bodies! {
    openai_text: "openai/gpt-4o-mini", with_parameters(text("a prompt"));
    openai_strict: "openai/gpt-4o-mini", structured("a prompt", OutputMode::Strict);
    openai_schema: "hosted_vllm/qwen3", structured("a prompt", OutputMode::Schema);
    openai_tool: "openai/gpt-4", structured("a prompt", OutputMode::Tool);
    openai_json: "deepseek/deepseek-chat", text("a prompt").with_output(OutputFormat::Json);
    openai_reasoning: "openai/gpt-5-mini", with_parameters(text("a prompt"));
    openrouter_claude: "openrouter/anthropic/claude-haiku-4.5",
        structured("a prompt", OutputMode::Schema);
    anthropic_text: "anthropic/claude-haiku-4-5", with_parameters(text("a prompt"));
    anthropic_strict: "anthropic/claude-haiku-4-5", structured("a prompt", OutputMode::Strict);
    anthropic_tool: "anthropic/claude-haiku-4-5", structured("a prompt", OutputMode::Tool);
    gemini_text: "gemini/gemini-2.5-flash", with_parameters(text("a prompt"));
    gemini_strict: "gemini/gemini-2.5-flash", structured("a prompt", OutputMode::Strict);
    gemini_json: "gemini/gemini-2.5-flash", text("a prompt").with_output(OutputFormat::Json);
}

#[tokio::test]
async fn gemini_is_forced_to_call_the_tool() {
    let body = sent(
        "gemini/gemini-2.5-flash",
        structured("a prompt", OutputMode::Tool),
    )
    .await;
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(declared["parametersJsonSchema"], schema());
    let calling = &body["toolConfig"]["functionCallingConfig"];
    assert_eq!(
        calling,
        &json!({"mode": "ANY", "allowedFunctionNames": ["records"]})
    );
}

#[tokio::test]
async fn what_the_caller_passes_wins_over_what_the_library_would_send() {
    let mut parameters = Parameters::default();
    parameters.max_tokens = Some(200);
    parameters
        .extra
        .insert("max_completion_tokens".to_owned(), json!(300));
    let body = sent("openai/gpt-5", text("a prompt").with_parameters(parameters)).await;
    assert_eq!(body["max_completion_tokens"], 300);
    assert_eq!(body.get("max_tokens"), None);
}

#[tokio::test]
async fn what_the_library_must_set_cannot_be_passed() {
    let client = named(
        "openai/gpt-4o",
        ClientOptions::new()
            .base_url("http://localhost:1/v1")
            .api_key(KEY),
    );
    for name in ["messages", "model", "stream", "api_key", "response_format"] {
        let mut parameters = Parameters::default();
        parameters.extra.insert(name.to_owned(), json!("SECRET"));
        let schema = OutputSchema::new("records", schema(), OutputMode::Strict);
        let request = text("a prompt")
            .with_output(OutputFormat::Schema(Arc::new(schema)))
            .with_parameters(parameters);
        let error = client.complete(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(!format!("{error:?}").contains("SECRET"));
    }
}

#[tokio::test]
async fn a_lone_system_message_is_a_turn_where_one_is_needed() {
    let request = || ChatRequest::new(vec![Message::system("do it")]);
    let body = sent("anthropic/claude-haiku-4-5", request()).await;
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(body.get("system"), None);
    let body = sent("gemini/gemini-2.5-flash", request()).await;
    assert_eq!(body["contents"][0]["role"], "user");
    assert_eq!(body.get("systemInstruction"), None);
}

#[tokio::test]
async fn anthropic_gets_at_most_four_cache_marks_and_the_last_ones() {
    let messages = (0..6)
        .map(|n| Message::user(format!("part {n}")).ending_stable_prefix())
        .collect();
    let body = sent("anthropic/claude-haiku-4-5", ChatRequest::new(messages)).await;
    let marked: Vec<bool> = (0..6)
        .map(|n| {
            body["messages"][n]["content"][0]
                .get("cache_control")
                .is_some()
        })
        .collect();
    assert_eq!(marked, [false, false, true, true, true, true]);
}

#[tokio::test]
async fn an_own_header_is_sent_and_replaces_ours() {
    let server = ProviderServer::start(Wire::OpenAi, |question: &Question<'_>| {
        question.key().to_owned()
    })
    .await
    .unwrap();
    let options = ClientOptions::new()
        .base_url(server.base_url())
        .api_key(KEY)
        .header("Authorization", "Token mine");
    let answer = named("openai/gpt-4o", options)
        .complete(&text("a prompt"))
        .await
        .unwrap();
    assert_eq!(answer.text, "Token mine");
}
