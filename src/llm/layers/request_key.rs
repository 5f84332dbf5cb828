//! A name for a request: the same for the same question, on every platform and in every version.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::llm::{ChatRequest, OutputFormat, Role};

/// A hash of all that may change the answer. Not for secrets: an attacker who chooses requests can find two with
/// the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RequestKey(u128);

impl RequestKey {
    pub(super) fn of(model: &str, request: &ChatRequest) -> Self {
        // Every text is preceded by its length, so that no two requests give the same bytes.
        let mut bytes = Vec::with_capacity(1_024);
        text(&mut bytes, model);
        for message in &request.messages {
            bytes.push(match message.role {
                Role::System => b's',
                Role::User => b'u',
                Role::Assistant => b'a',
            });
            text(&mut bytes, &message.text);
        }
        match &request.output {
            OutputFormat::Text => bytes.push(b'T'),
            OutputFormat::Json => bytes.push(b'J'),
            OutputFormat::Schema(schema) => {
                bytes.push(b'S');
                text(&mut bytes, &format!("{:?}", schema.mode));
                text(&mut bytes, &schema.name);
                canonical(&mut bytes, &schema.schema);
            }
        }
        let parameters = &request.parameters;
        text(&mut bytes, &format!("{:?}", parameters.temperature));
        text(&mut bytes, &format!("{:?}", parameters.max_tokens));
        canonical(&mut bytes, &Value::Object(parameters.extra.clone()));
        bytes.extend(request.seed.to_le_bytes());
        Self(xxh3_128(&bytes))
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Object keys in order of their names, since the order they come in means nothing.
fn canonical(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(object) => {
            bytes.push(b'{');
            bytes.extend((object.len() as u64).to_le_bytes());
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            for (name, value) in entries {
                text(bytes, name);
                canonical(bytes, value);
            }
        }
        Value::Array(items) => {
            bytes.push(b'[');
            bytes.extend((items.len() as u64).to_le_bytes());
            for item in items {
                canonical(bytes, item);
            }
        }
        scalar => {
            bytes.push(b'=');
            text(bytes, &scalar.to_string());
        }
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RequestKey {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::{Message, Parameters};

    fn with(extra: Value) -> ChatRequest {
        let parameters = Parameters {
            extra: serde_json::from_value(extra).unwrap(),
            ..Parameters::default()
        };
        ChatRequest::new(vec![Message::user("a question")]).with_parameters(parameters)
    }

    #[test]
    fn the_order_of_keys_means_nothing_and_everything_else_does() {
        let key = |request: &ChatRequest| RequestKey::of("test/model", request);
        let one = with(json!({"top_p": 0.5, "nested": {"a": 1, "b": [1, 2]}}));
        let same = with(json!({"nested": {"b": [1, 2], "a": 1}, "top_p": 0.5}));
        assert_eq!(key(&one), key(&same));

        let others = [
            with(json!({"top_p": 0.5, "nested": {"a": 1, "b": [2, 1]}})),
            with(json!({"top_p": "0.5", "nested": {"a": 1, "b": [1, 2]}})),
            one.clone().with_seed(1),
            one.clone().with_output(OutputFormat::Json),
        ];
        for other in &others {
            assert_ne!(key(&one), key(other), "{other:?}");
        }
        assert_ne!(RequestKey::of("test/another", &one), key(&one));
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let split = |texts: [&str; 2]| ChatRequest::new(texts.map(Message::user).into());
        let (one, other) = (split(["ab", "c"]), split(["a", "bc"]));
        assert_ne!(RequestKey::of("m", &one), RequestKey::of("m", &other));
    }

    #[test]
    fn keys_are_pinned_since_files_hold_them() {
        let key = RequestKey::of("test/model", &with(json!({"top_p": 0.5})));
        assert_eq!(key.to_string(), "d2638ac868310c02f42e51d3559f1b7c");
        assert_eq!(key.to_string().parse(), Ok(key));
    }
}
