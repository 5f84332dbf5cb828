//! `generateContent` as it goes over the wire: <https://ai.google.dev/api/generate-content>.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, FinishReason, OutputFormat, OutputMode, Role, Usage};

/// Parameters under `OpenAI`'s names, which people's files hold, and under Gemini's.
const RENAMED: [(&str, &str); 8] = [
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("stop", "stopSequences"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("thinking_config", "thinkingConfig"),
];

/// Parameters that stand beside `generationConfig` and not in it.
const BESIDE: [&str; 5] = [
    "safetySettings",
    "cachedContent",
    "labels",
    "tools",
    "toolConfig",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    generation_config: Map<String, Value>,
    #[serde(flatten)]
    beside: Map<String, Value>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

/// Writes a request.
pub(super) fn body(request: &ChatRequest) -> Body<'_> {
    let mut system = Vec::new();
    let mut contents = Vec::new();
    for message in &request.messages {
        let part = Part {
            text: &message.text,
        };
        match message.role {
            Role::System => system.push(part),
            role => contents.push(Content {
                role: Some(if role == Role::Assistant {
                    "model"
                } else {
                    "user"
                }),
                parts: vec![part],
            }),
        }
    }
    // A conversation needs a turn, so a lone system message is one.
    if contents.is_empty() {
        contents.push(Content {
            role: Some("user"),
            parts: std::mem::take(&mut system),
        });
    }
    let mut config = Map::new();
    let mut beside = Map::new();
    output(request, &mut config, &mut beside);
    parameters(request, &mut config, &mut beside);
    Body {
        system_instruction: (!system.is_empty()).then_some(Content {
            role: None,
            parts: system,
        }),
        contents,
        generation_config: config,
        beside,
    }
}

fn parameters(
    request: &ChatRequest,
    config: &mut Map<String, Value>,
    beside: &mut Map<String, Value>,
) {
    let parameters = &request.parameters;
    if let Some(temperature) = parameters.temperature {
        config.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(limit) = parameters.max_tokens {
        config.insert("maxOutputTokens".to_owned(), json!(limit));
    }
    for (name, value) in &parameters.extra {
        let renamed = RENAMED.iter().find(|(known, _)| known == name);
        match (renamed, value) {
            (Some((_, "stopSequences")), Value::String(_)) => {
                config.insert("stopSequences".to_owned(), json!([value]));
            }
            (Some((_, renamed)), _) => {
                config.insert((*renamed).to_owned(), value.clone());
            }
            (None, Value::Object(own)) if name == "generationConfig" => {
                config.extend(own.clone());
            }
            (None, _) if BESIDE.contains(&name.as_str()) => {
                beside.insert(name.clone(), value.clone());
            }
            (None, _) => {
                config.insert(name.clone(), value.clone());
            }
        }
    }
}

fn output(request: &ChatRequest, config: &mut Map<String, Value>, beside: &mut Map<String, Value>) {
    let json_only = |config: &mut Map<String, Value>| {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
    };
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => json_only(config),
        OutputFormat::Schema(output) => match output.mode {
            OutputMode::Strict | OutputMode::Schema => {
                json_only(config);
                config.insert("responseJsonSchema".to_owned(), output.schema.clone());
            }
            OutputMode::Tool => {
                let function = json!({
                    "name": output.name,
                    "parametersJsonSchema": output.schema,
                });
                beside.insert(
                    "tools".to_owned(),
                    json!([{"functionDeclarations": [function]}]),
                );
                let calling = json!({"mode": "ANY", "allowedFunctionNames": [output.name]});
                beside.insert(
                    "toolConfig".to_owned(),
                    json!({"functionCallingConfig": calling}),
                );
            }
            OutputMode::Json => json_only(config),
            OutputMode::Prompt => {}
        },
    }
}

/// An answer, as much of it as is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    #[serde(default)]
    candidates: Option<Vec<Candidate>>,
    #[serde(default)]
    prompt_feedback: Option<PromptFeedback>,
    #[serde(default)]
    usage_metadata: WireUsage,
    #[serde(default)]
    model_version: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Option<AnswerContent>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct AnswerContent {
    #[serde(default)]
    parts: Vec<AnswerPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerPart {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    #[serde(default)]
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    #[serde(default)]
    args: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    #[serde(default)]
    block_reason: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names)] // The names on the wire.
struct WireUsage {
    #[serde(default)]
    prompt_token_count: Option<u64>,
    #[serde(default)]
    candidates_token_count: Option<u64>,
    #[serde(default)]
    thoughts_token_count: Option<u64>,
    #[serde(default)]
    cached_content_token_count: Option<u64>,
}

impl Answer {
    /// Returns whether this is an error object, whatever its status said.
    pub(super) fn is_failure(&self) -> bool {
        self.error.is_some()
    }

    /// Returns what the model said.
    pub(super) fn into_response(self) -> Result<ChatResponse> {
        let blocked = self
            .prompt_feedback
            .is_some_and(|feedback| feedback.block_reason.is_some());
        let candidate = self.candidates.into_iter().flatten().next();
        let (text, finish_reason) = match candidate {
            Some(candidate) => candidate.read(),
            // The prompt was read, and is paid for.
            None if blocked => (String::new(), FinishReason::ContentFilter),
            None => {
                return Err(Error::new(
                    ErrorKind::Empty,
                    "the provider answered without a candidate",
                ));
            }
        };
        let mut response = ChatResponse::new(text)
            .with_usage(self.usage_metadata.into())
            .with_finish_reason(finish_reason);
        response.served_by = self.model_version.filter(|model| !model.is_empty());
        Ok(response)
    }
}

impl Candidate {
    fn read(self) -> (String, FinishReason) {
        let mut text = String::new();
        let mut called = None;
        for part in self.content.unwrap_or_default().parts {
            if let Some(call) = part.function_call {
                called = Some(call.args.to_string());
            } else if !part.thought {
                text.push_str(part.text.as_deref().unwrap_or_default());
            }
        }
        (
            called.unwrap_or(text),
            finish(self.finish_reason.as_deref()),
        )
    }
}

fn finish(reason: Option<&str>) -> FinishReason {
    match reason {
        Some("STOP") => FinishReason::Stop,
        Some("MAX_TOKENS") => FinishReason::Length,
        Some(
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII",
        ) => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let thoughts = wire.thoughts_token_count.unwrap_or(0);
        // Gemini counts thoughts beside the candidates and not in them, and bills both as output.
        let output = wire
            .candidates_token_count
            .unwrap_or(0)
            .saturating_add(thoughts);
        let mut usage = Usage::new(wire.prompt_token_count.unwrap_or(0), output);
        usage.reasoning_tokens = thoughts;
        usage.cached_input_tokens = wire.cached_content_token_count.unwrap_or(0);
        usage
    }
}
