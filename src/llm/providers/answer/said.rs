//! What one choice says, piece by piece.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::shape::{Object, holds_json, is_echo, is_json, is_piece, json_text, prose, text_at};
use crate::llm::FinishReason;

/// Where a text stands, or a message around one. The first that says something counts.
pub(super) const TEXTS: [&str; 8] = [
    "message",
    "content",
    "parts",
    "output",
    "output_text",
    "response",
    "text",
    "content_block",
];

/// Those of them that may hold the JSON of the answer itself, which some gateways have read already.
const JSON: [&str; 2] = ["content", "output_text"];

const REASONING: [&str; 4] = [
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
];

const CALLS: [&str; 4] = ["tool_calls", "function_call", "functionCall", "function"];

/// What one choice says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) reasoning: String,
    /// What looks like a piece of a message and says nothing as one, so that it may be a record.
    pub(super) json: Option<String>,
    /// The arguments of calls to a tool, by the index of the call.
    pub(super) calls: BTreeMap<u64, String>,
    pub(super) finish: Option<FinishReason>,
    /// Whether there is any sign of it, if only an empty text.
    pub(super) seen: bool,
    /// Whether it came in pieces, so that a whole text behind them says the same again.
    streamed: bool,
}

impl Said {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.called().next().is_none()
    }

    fn called(&self) -> impl Iterator<Item = &str> {
        let calls = self.calls.values().map(String::as_str);
        calls.filter(|call| holds_json(call))
    }

    /// Returns the arguments of the calls, or else the text, or else the reasoning: servers that take it apart put
    /// the whole answer there when a model does not reason. Where a model was cut off or declined, it is a draft.
    pub(super) fn into_text(self) -> String {
        let calls: Vec<&str> = self.called().collect();
        if !calls.is_empty() {
            return calls.join("\n");
        }
        let ended = matches!(
            self.finish,
            None | Some(FinishReason::Stop | FinishReason::Other)
        );
        if ended && self.text.trim().is_empty() {
            return self.reasoning;
        }
        self.text
    }

    /// Takes a choice or an event of a stream. Returns whether it says anything that is known here.
    pub(super) fn event(&mut self, object: &Object) -> bool {
        let known = match object.get("delta") {
            Some(Value::Object(delta)) if !delta.is_empty() => {
                self.streamed = true;
                self.end(object);
                self.message(delta);
                true
            }
            Some(Value::String(delta)) => {
                self.streamed = true;
                self.text.push_str(delta);
                true
            }
            _ if self.streamed => {
                self.end(object) || TEXTS.iter().any(|text| object.contains_key(*text))
            }
            _ => self.message(object),
        };
        self.seen |= known;
        known
    }

    /// Takes a message or a piece of one. Returns whether it says anything that is known here.
    pub(super) fn message(&mut self, object: &Object) -> bool {
        if is_echo(object) {
            return true;
        }
        let mut known = self.end(object);
        let kind = text_at(object, "type").unwrap_or_default();
        let thinks = [
            "thinking",
            "redacted_thinking",
            "thinking_delta",
            "reasoning",
        ];
        if thinks.contains(&kind)
            || kind.starts_with("reasoning.")
            || object.get("thought") == Some(&json!(true))
        {
            self.reasoning
                .push_str(&prose(&Value::Object(object.clone())));
            return true;
        }
        let called = ["arguments", "input"]
            .iter()
            .any(|key| text_at(object, key).is_some_and(is_json));
        if kind == "tool_use" || kind == "function_call" || called {
            self.call(self.calls.len() as u64, object);
            return true;
        }
        if text_at(object, "refusal").is_some_and(|refusal| !refusal.is_empty()) {
            self.finish = Some(FinishReason::Refusal);
            known = true;
        }
        if let Some(arguments) = text_at(object, "partial_json") {
            let last = self.calls.keys().next_back().copied().unwrap_or(0);
            self.calls.entry(last).or_default().push_str(arguments);
            known = true;
        }
        for reasoning in REASONING.iter().filter_map(|key| object.get(*key)) {
            let text = prose(reasoning);
            // The same text under two names is told once.
            if !text.is_empty() && !self.reasoning.ends_with(&text) {
                self.reasoning.push_str(&text);
                known = true;
            }
        }
        for call in CALLS.iter().filter_map(|key| object.get(*key)) {
            known |= self.calls(call);
        }
        let length = self.text.len();
        for (key, value) in TEXTS
            .iter()
            .filter_map(|key| Some((*key, object.get(*key)?)))
        {
            known |= self.put(value, JSON.contains(&key));
            if self.text.len() > length {
                break;
            }
        }
        known
    }

    /// Takes what stands where a text may stand: a text, pieces of one, or, where `may_be_json`, the answer's JSON.
    pub(super) fn put(&mut self, value: &Value, may_be_json: bool) -> bool {
        let known = match value {
            Value::String(text) => {
                self.text.push_str(text);
                true
            }
            Value::Array(pieces) if !may_be_json || pieces.iter().any(is_piece) => {
                let mut known = false;
                for piece in pieces {
                    known |= piece.is_string() && self.put(piece, false)
                        || piece.as_object().is_some_and(|piece| self.message(piece));
                }
                known
            }
            Value::Object(piece) if !may_be_json || is_piece(value) => self.message(piece),
            _ => false,
        };
        if known || !may_be_json {
            return known;
        }
        if is_piece(value)
            || value
                .as_array()
                .is_some_and(|list| list.iter().any(is_piece))
        {
            self.json = self.json.take().or_else(|| json_text(value));
            return false;
        }
        let text = wrapped_text(value).or_else(|| json_text(value));
        self.text.push_str(text.as_deref().unwrap_or_default());
        text.is_some()
    }

    fn calls(&mut self, value: &Value) -> bool {
        match value {
            Value::Object(call) => self.call(0, call),
            Value::Array(calls) => {
                let mut known = false;
                for (place, call) in calls.iter().enumerate() {
                    let index = call["index"].as_u64().unwrap_or(place as u64);
                    known |= call.as_object().is_some_and(|call| self.call(index, call));
                }
                known
            }
            _ => false,
        }
    }

    fn call(&mut self, index: u64, call: &Object) -> bool {
        let inner = CALLS.iter().find_map(|key| call.get(*key)?.as_object());
        let call = inner.unwrap_or(call);
        let names = ["arguments", "args", "input", "parameters"];
        let Some(arguments) = names.iter().find_map(|name| call.get(*name)) else {
            return false;
        };
        let text = match arguments {
            Value::String(text) => text.clone(),
            // With nothing in it, the start of a streamed call.
            _ => json_text(arguments).unwrap_or_default(),
        };
        self.calls.entry(index).or_default().push_str(&text);
        true
    }

    fn end(&mut self, object: &Object) -> bool {
        const REASONS: [&str; 4] = [
            "finish_reason",
            "finishReason",
            "stop_reason",
            "done_reason",
        ];
        let told = REASONS.iter().find_map(|key| text_at(object, key));
        let incomplete = object.get("incomplete_details").and_then(Value::as_object);
        let incomplete = incomplete.and_then(|details| text_at(details, "reason"));
        let Some(reason) = told.or(incomplete) else {
            // Said of a response, and of anything else that may be wrapped around an answer.
            if text_at(object, "status") == Some("completed") {
                self.finish.get_or_insert(FinishReason::Stop);
            }
            return false;
        };
        // A refusal that was told before has no reason of its own.
        if self.finish != Some(FinishReason::Refusal) {
            self.finish = Some(finish(reason));
        }
        true
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason.to_ascii_lowercase().as_str() {
        // `eos` is Together's.
        "stop" | "end_turn" | "stop_sequence" | "tool_use" | "tool_calls" | "function_call"
        | "eos" => FinishReason::Stop,
        // `model_length` is Mistral's for a full context.
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "model_context_window_exceeded" => FinishReason::Length,
        // All but the first two are Gemini's.
        "content_filter" | "sensitive" | "safety" | "recitation" | "language" | "blocklist"
        | "prohibited_content" | "spii" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        _ => FinishReason::Other,
    }
}

/// Returns the text of pieces that something nobody knows is wrapped around, if it is JSON.
fn wrapped_text(value: &Value) -> Option<String> {
    let inner = match value {
        Value::Array(list) if list.len() == 1 => &list[0],
        Value::Object(object) if object.len() == 1 => object.values().next()?,
        _ => return None,
    };
    let mut said = Said::default();
    said.put(inner, false);
    let text = Some(said.into_text()).filter(|text| is_json(text));
    text.or_else(|| wrapped_text(inner))
}
