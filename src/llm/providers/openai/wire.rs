//! Chat completions as they go over the wire:
//! <https://platform.openai.com/docs/api-reference/chat/create>.

use serde::Serialize as DeriveSerialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::llm::{ChatRequest, Message, OutputFormat, OutputMode, Role};

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
        // Some gateways stream unless told not to.
        if ours("stream") {
            map.serialize_entry("stream", &false)?;
        }
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

pub(super) fn role(role: Role) -> &'static str {
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
