//! Messages as they go over the wire: <https://docs.anthropic.com/en/api/messages>.

use serde::Serialize as DeriveSerialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::llm::{ChatRequest, Message, OutputFormat, OutputMode, Role};

/// The most cache marks a request may have:
/// <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>.
const MOST_MARKS: usize = 4;

/// A request, written straight from the caller's parts.
pub(super) struct Body<'a> {
    pub(super) model: &'a str,
    pub(super) request: &'a ChatRequest,
    pub(super) max_tokens: u64,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let extra = &self.request.parameters.extra;
        let (system, turns) = self.split();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", self.model)?;
        // What the caller passes goes in last and as it is, so ours makes room where the names are the same.
        if !extra.contains_key("max_tokens") {
            map.serialize_entry("max_tokens", &self.max_tokens)?;
        }
        if !system.is_empty() {
            let blocks: Vec<_> = system.iter().map(|message| self.block(message)).collect();
            map.serialize_entry("system", &blocks)?;
        }
        let turns: Vec<_> = turns
            .iter()
            .map(|message| Turn {
                role: if message.role == Role::Assistant {
                    "assistant"
                } else {
                    "user"
                },
                content: [self.block(message)],
            })
            .collect();
        map.serialize_entry("messages", &turns)?;
        // Some gateways stream unless told not to.
        if !extra.contains_key("stream") {
            map.serialize_entry("stream", &false)?;
        }
        if let Some(temperature) = self.request.parameters.temperature
            && !extra.contains_key("temperature")
        {
            map.serialize_entry("temperature", &temperature)?;
        }
        self.output(&mut map)?;
        for (name, value) in extra {
            match (name.as_str(), value) {
                // OpenAI's name, which people's files hold.
                ("stop", Value::String(_)) => map.serialize_entry("stop_sequences", &[value])?,
                ("stop", _) => map.serialize_entry("stop_sequences", value)?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl<'a> Body<'a> {
    /// Parts what holds for the whole conversation from its turns. A conversation needs a turn, so a lone system
    /// message is one.
    fn split(&self) -> (Vec<&'a Message>, Vec<&'a Message>) {
        let (mut system, mut turns): (Vec<_>, Vec<_>) = self
            .request
            .messages
            .iter()
            .partition(|message| message.role == Role::System);
        if turns.is_empty() {
            turns.extend(system.pop());
        }
        (system, turns)
    }

    fn block(&self, message: &'a Message) -> Block<'a> {
        let later_marks = self
            .request
            .messages
            .iter()
            .rev()
            .take_while(|other| !std::ptr::eq(*other, message))
            .filter(|other| other.ends_stable_prefix)
            .count();
        Block {
            r#type: "text",
            text: &message.text,
            cache_control: (message.ends_stable_prefix && later_marks < MOST_MARKS)
                .then(|| json!({"type": "ephemeral"})),
        }
    }

    fn output<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        #[derive(DeriveSerialize)]
        struct ToolOf<'a> {
            name: &'a str,
            input_schema: &'a Value,
        }
        #[derive(DeriveSerialize)]
        struct Config<'a> {
            format: Format<'a>,
        }
        #[derive(DeriveSerialize)]
        struct Format<'a> {
            r#type: &'static str,
            schema: &'a Value,
        }

        let OutputFormat::Schema(output) = &self.request.output else {
            return Ok(());
        };
        match output.mode {
            OutputMode::Strict | OutputMode::Schema => {
                let format = Format {
                    r#type: "json_schema",
                    schema: &output.schema,
                };
                map.serialize_entry("output_config", &Config { format })
            }
            OutputMode::Tool => {
                let tool = ToolOf {
                    name: &output.name,
                    input_schema: &output.schema,
                };
                map.serialize_entry("tools", &[tool])?;
                let choice = json!({"type": "tool", "name": output.name});
                map.serialize_entry("tool_choice", &choice)
            }
            // There is no mode for mere JSON; the schema is in the prompt.
            OutputMode::Json | OutputMode::Prompt => Ok(()),
        }
    }
}

#[derive(DeriveSerialize)]
struct Turn<'a> {
    role: &'static str,
    content: [Block<'a>; 1],
}

#[derive(DeriveSerialize)]
struct Block<'a> {
    r#type: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Value>,
}
