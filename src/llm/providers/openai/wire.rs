//! Chat completions as they go over the wire:
//! <https://platform.openai.com/docs/api-reference/chat/create>.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Serialize as DeriveSerialize};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{
    ChatRequest, ChatResponse, FinishReason, Message, OutputFormat, OutputMode, Role, Usage,
};

/// A request, written straight from the caller's parts.
pub(super) struct Body<'a> {
    pub(super) model: &'a str,
    pub(super) request: &'a ChatRequest,
    pub(super) modes: &'a [OutputMode],
    pub(super) limit_name: &'static str,
    pub(super) temperature: Option<f64>,
    pub(super) cache_key: Option<&'a str>,
    pub(super) mark_cache: bool,
    pub(super) require_parameters: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parameters = &self.request.parameters;
        // What the caller passes goes in last and as it is, so ours makes room where the names are the same.
        let ours = |name: &str| !parameters.extra.contains_key(name);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", self.model)?;
        map.serialize_entry("messages", &Messages(self))?;
        if let Some(temperature) = self.temperature
            && ours("temperature")
        {
            map.serialize_entry("temperature", &temperature)?;
        }
        if let Some(limit) = parameters.max_tokens
            && ours("max_tokens")
            && ours("max_completion_tokens")
        {
            map.serialize_entry(self.limit_name, &limit)?;
        }
        self.output(&mut map)?;
        if let Some(key) = self.cache_key
            && ours("prompt_cache_key")
        {
            map.serialize_entry("prompt_cache_key", key)?;
        }
        for (name, value) in &parameters.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Body<'_> {
    fn output<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        #[derive(DeriveSerialize)]
        struct Format<'a> {
            r#type: &'static str,
            json_schema: JsonSchema<'a>,
        }
        #[derive(DeriveSerialize)]
        struct JsonSchema<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            strict: Option<bool>,
            schema: &'a Value,
        }
        #[derive(DeriveSerialize)]
        struct ToolOf<'a> {
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(DeriveSerialize)]
        struct Function<'a> {
            name: &'a str,
            parameters: &'a Value,
        }

        match &self.request.output {
            OutputFormat::Json if self.modes.contains(&OutputMode::Json) => {
                map.serialize_entry("response_format", &json!({"type": "json_object"}))?;
            }
            OutputFormat::Text | OutputFormat::Json => return Ok(()),
            OutputFormat::Schema(output) => match output.mode {
                OutputMode::Strict | OutputMode::Schema => {
                    let format = Format {
                        r#type: "json_schema",
                        json_schema: JsonSchema {
                            name: &output.name,
                            strict: (output.mode == OutputMode::Strict).then_some(true),
                            schema: &output.schema,
                        },
                    };
                    map.serialize_entry("response_format", &format)?;
                }
                OutputMode::Tool => {
                    let tool = ToolOf {
                        r#type: "function",
                        function: Function {
                            name: &output.name,
                            parameters: &output.schema,
                        },
                    };
                    map.serialize_entry("tools", &[tool])?;
                    let choice = json!({"type": "function", "function": {"name": output.name}});
                    map.serialize_entry("tool_choice", &choice)?;
                }
                OutputMode::Json => {
                    map.serialize_entry("response_format", &json!({"type": "json_object"}))?;
                }
                OutputMode::Prompt => return Ok(()),
            },
        }
        if self.require_parameters && !self.request.parameters.extra.contains_key("provider") {
            map.serialize_entry("provider", &json!({"require_parameters": true}))?;
        }
        Ok(())
    }
}

struct Messages<'a>(&'a Body<'a>);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.request.messages.iter().map(|message| WireMessage {
            role: role(message.role),
            content: content(message, self.0.mark_cache),
        }))
    }
}

#[derive(DeriveSerialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(DeriveSerialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Marked([MarkedPart<'a>; 1]),
}

#[derive(DeriveSerialize)]
struct MarkedPart<'a> {
    r#type: &'static str,
    text: &'a str,
    cache_control: Value,
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn content(message: &Message, mark_cache: bool) -> Content<'_> {
    if mark_cache && message.ends_stable_prefix {
        Content::Marked([MarkedPart {
            r#type: "text",
            text: &message.text,
            cache_control: json!({"type": "ephemeral"}),
        }])
    } else {
        Content::Text(&message.text)
    }
}

/// An answer, as much of it as is read. Everything is optional: gateways leave out what they like.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
    // What an error without an `error` key has at the top.
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    r#type: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    message: Option<AnswerMessage>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
struct AnswerMessage {
    #[serde(default)]
    content: Option<AnswerContent>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnswerContent {
    Text(String),
    /// Mistral's reasoning models answer in parts, of which those of type `thinking` are no text.
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: CalledFunction,
}

#[derive(Deserialize)]
struct CalledFunction {
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    /// DeepSeek's name for cached tokens.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl Answer {
    /// Returns the error object of an answer that is none, whatever its status said. A choice that failed half
    /// way carries its own.
    pub(super) fn failure(&self) -> Option<Value> {
        let choices = self.choices.as_deref().unwrap_or_default();
        let within = choices.iter().find_map(|choice| choice.error.as_ref());
        if let Some(error) = within {
            return Some(json!({"error": error}));
        }
        if !choices.is_empty() {
            return None;
        }
        if let Some(error) = self.error.as_ref().filter(|error| !error.is_null()) {
            return Some(json!({"error": error}));
        }
        (self.object.as_deref() == Some("error") || self.message.is_some()).then(|| {
            json!({"error": {
                "message": self.message,
                "code": self.code,
                "type": self.r#type,
            }})
        })
    }

    /// Returns what the model said.
    pub(super) fn into_response(self) -> Result<ChatResponse> {
        let Some(choice) = self.choices.into_iter().flatten().next() else {
            return Err(Error::new(
                ErrorKind::Empty,
                "the provider answered without a choice",
            ));
        };
        let finish_reason = choice.finish_reason.as_deref();
        let message = choice.message.unwrap_or_default();
        let refused = message.refusal.is_some_and(|refusal| !refusal.is_empty());
        let called = message.tool_calls.into_iter().flatten().next().map(|call| {
            match call.function.arguments {
                Value::String(arguments) => arguments,
                Value::Null => String::new(),
                arguments => arguments.to_string(),
            }
        });
        let text = called.or_else(|| {
            message.content.map(|content| match content {
                AnswerContent::Text(text) => text,
                AnswerContent::Parts(parts) => {
                    parts.into_iter().filter_map(|part| part.text).collect()
                }
            })
        });
        let mut response = ChatResponse::new(text.unwrap_or_default())
            .with_usage(self.usage.unwrap_or_default().into())
            .with_finish_reason(if refused {
                FinishReason::Refusal
            } else {
                finish(finish_reason)
            });
        response.served_by = self.model.filter(|model| !model.is_empty());
        Ok(response)
    }
}

fn finish(reason: Option<&str>) -> FinishReason {
    match reason {
        // `eos` is Together's.
        Some("stop" | "tool_calls" | "function_call" | "eos" | "end_turn" | "stop_sequence") => {
            FinishReason::Stop
        }
        // `model_length` is Mistral's for a full context.
        Some("length" | "max_tokens" | "model_length") => FinishReason::Length,
        Some("content_filter" | "sensitive") => FinishReason::ContentFilter,
        Some("refusal") => FinishReason::Refusal,
        _ => FinishReason::Other,
    }
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let prompt = wire.prompt_tokens_details.unwrap_or_default();
        let completion = wire.completion_tokens_details.unwrap_or_default();
        let mut usage = Usage::new(
            wire.prompt_tokens.unwrap_or(0),
            wire.completion_tokens.unwrap_or(0),
        );
        usage.cached_input_tokens = prompt
            .cached_tokens
            .or(wire.prompt_cache_hit_tokens)
            .unwrap_or(0);
        usage.cache_write_tokens = prompt.cache_write_tokens.unwrap_or(0);
        usage.reasoning_tokens = completion.reasoning_tokens.unwrap_or(0);
        // xAI counts reasoning beside the completion and not in it, which only the total tells.
        let beside = usage.total().saturating_add(usage.reasoning_tokens);
        if usage.reasoning_tokens > 0 && wire.total_tokens == Some(beside) {
            usage.output_tokens = usage.output_tokens.saturating_add(usage.reasoning_tokens);
        }
        usage
    }
}
