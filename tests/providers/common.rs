//! One client per wire format, and what to ask it.

use std::sync::Arc;

use crate::server::Wire;
use serde_json::{Value, json};
use topicloom::LlmClient;
use topicloom::llm::providers::{AnthropicClient, ClientOptions, GeminiClient, OpenAiClient};
use topicloom::llm::{
    ApiKey, ChatRequest, Message, ModelName, OutputFormat, OutputMode, OutputSchema,
};

pub(crate) const WIRES: [Wire; 3] = [Wire::OpenAi, Wire::Anthropic, Wire::Gemini];

pub(crate) const KEY: &str = "sk-a-key-for-tests";

pub(crate) fn client(wire: Wire, base_url: &str) -> Arc<dyn LlmClient> {
    client_with(wire, ClientOptions::new().base_url(base_url).api_key(KEY))
}

pub(crate) fn client_with(wire: Wire, options: ClientOptions) -> Arc<dyn LlmClient> {
    let name = match wire {
        Wire::OpenAi => "openai/gpt-4o-mini",
        Wire::Anthropic => "anthropic/claude-haiku-4-5",
        Wire::Gemini => "gemini/gemini-2.5-flash",
    };
    named(name, options)
}

pub(crate) fn named(name: &str, options: ClientOptions) -> Arc<dyn LlmClient> {
    let name: ModelName = name.parse().unwrap();
    match name.provider() {
        "anthropic" => Arc::new(AnthropicClient::new(&name, options).unwrap()),
        "gemini" => Arc::new(GeminiClient::new(&name, options).unwrap()),
        _ => Arc::new(OpenAiClient::new(&name, options).unwrap()),
    }
}

/// Options that need nothing from the environment.
pub(crate) fn options(base_url: &str) -> ClientOptions {
    ClientOptions::new()
        .base_url(base_url)
        .api_key(ApiKey::new(KEY))
}

pub(crate) fn text(prompt: &str) -> ChatRequest {
    ChatRequest::new(vec![
        Message::system("You write records.").ending_stable_prefix(),
        Message::user(prompt),
    ])
}

pub(crate) fn structured(prompt: &str, mode: OutputMode) -> ChatRequest {
    let schema = OutputSchema::new("records", schema(), mode);
    text(prompt).with_output(OutputFormat::Schema(Arc::new(schema)))
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
        "additionalProperties": false,
    })
}
