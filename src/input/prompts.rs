//! `prompts`: templates of one's own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::described::{Described as _, Keys, described};
use super::form::{Anything, Form, Maybe, Named};
use super::place::Place;
use crate::prompt::PromptTexts;

described! {
    impl PromptTexts {
        /// What stays the same over a run: the system message of requests for records. Its variables are `instruction`, `schema`
        /// and `wrapper`.
        #[example("{\"file\": \"system.jinja\"}")]
        system: Option<String>, Maybe(TextOrFile);
        /// One request for records, with `topic`, `row`, `variables`, `count`, `angle`, `examples`, `avoid`, `feedback` and `rules`.
        #[example("\"Topic: {{ topic }}. {{ count }} records as JSON.\"")]
        request: Option<String>, Maybe(TextOrFile);
        /// The system message of requests for topics, with `instruction`.
        #[example("\"{{ instruction }}. Name topics: {\\\"topics\\\": [...]}\"")]
        topics_system: Option<String>, Maybe(TextOrFile);
        /// One request for topics, with `count`, `existing`, `omitted`, `within` and `angles`.
        #[example("\"{{ count }} new topics as JSON.\"")]
        topics: Option<String>, Maybe(TextOrFile);
        /// Variables that each of these may use beside its own.
        #[example("{\"audience\": \"children\"}")]
        variables: BTreeMap<String, Value>, Named(Anything);
    }
}

pub(super) struct PromptsForm;

impl Form<PromptTexts> for PromptsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<PromptTexts> {
        let before = place.faults();
        let texts: PromptTexts = Keys.read(value, place)?;
        if place.faults() > before {
            return None;
        }
        // Each by itself, so that a fault is said where the template stands.
        for (key, compiled) in texts.each_alone() {
            if let Err(error) = compiled {
                let line = error.context().find(|(name, _)| *name == "line");
                let line =
                    line.map_or_else(String::new, |(_, line)| format!(", in its line {line}"));
                let (problem, advice) = error
                    .message()
                    .split_once("; ")
                    .unwrap_or((error.message(), ""));
                place
                    .at(key)
                    .fault::<()>(format!("{problem}{line}"), advice);
            }
        }
        Some(texts)
    }

    fn write(&self, texts: &PromptTexts) -> Value {
        Keys.write(texts)
    }

    fn schema(&self) -> Value {
        PromptTexts::schema()
    }
}

/// A text, or the name of a file that has it.
struct TextOrFile;

impl Form<String> for TextOrFile {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            Value::Object(object) if object.len() == 1 && object.contains_key("file") => {
                place.at("file").read_text(&object["file"])
            }
            other => place.refuse(&other, r#"write a text, or {"file": "name.jinja"}"#),
        }
    }

    fn write(&self, text: &String) -> Value {
        text.as_str().into()
    }

    fn schema(&self) -> Value {
        let about = "The file that has it, beside the input.";
        let file = json!({
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "description": about, "examples": ["system.jinja"]}},
            "additionalProperties": false,
        });
        json!({"anyOf": [{"type": "string"}, file]})
    }
}
