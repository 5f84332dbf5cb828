//! `generateContent` as it goes over the wire: <https://ai.google.dev/api/generate-content>.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::llm::{ChatRequest, OutputFormat, OutputMode, Role};

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
