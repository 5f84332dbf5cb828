//! What a value is by its looks: a text of JSON, a piece of a message, nothing.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// The types that pieces of a message have; a record may have a field `type` too.
const PIECES: [&str; 9] = [
    "text",
    "output_text",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "tool_use",
    "function_call",
    "refusal",
    "message",
];

pub(super) fn text_at<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// Whether this is a message of the request, which some servers send back.
pub(super) fn is_echo(object: &Object) -> bool {
    matches!(
        text_at(object, "role"),
        Some("user" | "system" | "developer")
    )
}

pub(super) fn is_piece(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    let kind = text_at(object, "type");
    kind.is_some_and(|kind| PIECES.contains(&kind))
        || matches!(text_at(object, "role"), Some("assistant" | "model"))
        || ["parts", "tool_calls", "functionCall"]
            .iter()
            .any(|key| object.contains_key(*key))
        || ["text", "content", "thinking", "arguments", "input"]
            .iter()
            .any(|key| text_at(object, key).is_some_and(is_json))
}

/// Whether a text is an object or a list of JSON.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a text may hold an object or a list of JSON with something in it.
pub(super) fn holds_json(text: &str) -> bool {
    text.contains(['{', '[']) && !["{}", "[]"].contains(&text.trim())
}

/// Returns the text of an answer that is JSON already, or that is wrapped or cut into pieces of no known form.
pub(super) fn json_text(value: &Value) -> Option<String> {
    let pieces = || value.as_array()?.iter().map(Value::as_str).collect();
    let inner = only_text(value).map(str::to_owned).or_else(pieces);
    let inner = inner.filter(|text: &String| is_json(text));
    inner
        .or_else(|| (value.is_object() || value.is_array()).then(|| value.to_string()))
        .filter(|_| says_something(value))
}

/// Returns the text inside of a value that holds nothing else.
fn only_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(list) if list.len() == 1 => only_text(&list[0]),
        Value::Object(object) if object.len() == 1 => only_text(object.values().next()?),
        _ => None,
    }
}

/// Returns the reasoning in a value: a text, or those of its pieces.
pub(super) fn prose(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().map(prose).collect(),
        Value::Object(piece) => ["thinking", "text", "content", "summary"]
            .iter()
            .find_map(|key| piece.get(*key).filter(|value| says_something(value)))
            .map(prose)
            .unwrap_or_default(),
        _ => String::new(),
    }
}

pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => list.iter().any(says_something),
        Value::Object(object) => object.values().any(says_something),
        _ => true,
    }
}
