//! What a model answered, found in whatever a server made of it.
//!
//! Gateways, proxies and local engines bend the formats they speak, and some speak another one than they were asked
//! in. Of an answer that is paid for only the text has to be readable. So one reader knows the words of all formats,
//! takes what fits, piece by piece where a server streams, and passes over the rest.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::counts::Counts;
use crate::llm::{ChatRequest, ChatResponse, FinishReason, OutputFormat};

type Object = Map<String, Value>;

/// Where a text stands, or a message around one. The first that says something counts.
const TEXTS: [&str; 8] = [
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

/// What the values of a body say together.
#[derive(Default)]
struct Answer {
    /// What was said, by the index of the choice.
    choices: BTreeMap<u64, Said>,
    counts: Counts,
    model: Option<String>,
    /// What stands where some have the JSON of an answer, such as Cloudflare, and others a wrapper.
    json: Option<String>,
    failure: Option<Value>,
    /// What may be a failure, if nothing else is said: a message, or a list of errors.
    complaint: Option<Value>,
    /// Whether the failure came in the middle of a choice.
    broke_off: bool,
}

/// Returns what the values of a body say together.
///
/// # Errors
///
/// The error that stands in its place, whatever the status said, or nothing where there is no sign of a model.
pub(super) fn read(values: &[Value], request: &ChatRequest) -> Result<ChatResponse, Option<Value>> {
    let mut answer = Answer::default();
    values.iter().for_each(|value| answer.take(value));
    // Where there is an answer, an error beside it is passed over, unless it says that the answer broke off.
    let mut said = answer.choices.values();
    let answered = if answer.broke_off {
        said.any(|said| is_json(&said.text))
    } else {
        said.any(|said| !said.is_blank() || said.seen && said.finish.is_some())
    };
    if !answered && let Some(failure) = answer.failure {
        return Err(Some(failure));
    }
    let said = answer
        .choices
        .into_values()
        .filter(|said| said.seen || !said.is_blank())
        .reduce(|first, next| if first.is_blank() { next } else { first });
    let has_sign = said.is_some();
    let mut said = said.unwrap_or_default();
    let wants_json = !matches!(request.output, OutputFormat::Text);
    if said.is_blank() || wants_json && !holds_json(&said.text) && said.calls.is_empty() {
        let json = answer.json.filter(|_| !has_sign);
        let stray = || {
            let found = stray_json(values, &said.reasoning, request);
            // What says something is only given up for what is whole.
            let found = found.filter(|text| said.is_blank() || is_json(text));
            found.map(str::to_owned)
        };
        match json.or_else(stray) {
            Some(text) => said.text = text,
            None if is_json(&said.reasoning) => said.text.clear(),
            None if has_sign => {}
            None => return Err(answer.complaint),
        }
    }
    let finish = said.finish.unwrap_or(FinishReason::Other);
    let mut response = ChatResponse::new(said.into_text())
        .with_usage(answer.counts.usage())
        .with_finish_reason(finish);
    response.served_by = answer.model;
    Ok(response)
}

/// Reads the body of a success as the clients do, whatever its format.
#[cfg(feature = "testing")]
pub(crate) fn read_body(body: &[u8], request: &ChatRequest) -> Option<ChatResponse> {
    let values = crate::llm::http::json_values(&reqwest::header::HeaderMap::new(), body).ok()?;
    read(&values, request).ok()
}

impl Answer {
    fn take(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.take(value)),
            Value::Object(object) if !is_echo(object) => self.object(object),
            _ => {}
        }
    }

    /// Takes a whole answer, an event of a stream, or something that may be wrapped around one.
    fn object(&mut self, object: &Object) {
        let model = text_at(object, "model").or_else(|| text_at(object, "modelVersion"));
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.model.get_or_insert_with(|| model.to_owned());
        }
        self.counts.learn(object);
        // The start of a stream of Anthropic's.
        if let Some(Value::Object(message)) = object.get("message") {
            self.counts.learn(message);
        }
        self.failure = self.failure.take().or_else(|| failure(object));
        self.complaint = self.complaint.take().or_else(|| {
            let mut told = ["errors", "detail"]
                .iter()
                .filter_map(|key| object.get(*key));
            let complains = told.any(says_something) || message(object).is_some();
            complains.then(|| Value::Object(object.clone()))
        });
        let mut known = false;
        for choices in ["choices", "candidates"] {
            known |= object
                .get(choices)
                .is_some_and(|choices| self.choices(choices));
        }
        // A bare text under this name is an error's or a status's.
        let is_wrapper = object.values().any(holds_choices) || message(object).is_some();
        if !known && !is_wrapper {
            known = self.choices.entry(0).or_default().event(object);
        }
        let feedback = object.get("promptFeedback");
        if feedback.is_some_and(|feedback| feedback["blockReason"].is_string()) {
            let said = self.choices.entry(0).or_default();
            said.finish.get_or_insert(FinishReason::ContentFilter);
            said.seen = true;
            known = true;
        }
        if !known {
            let wrapped = object.iter().filter(|(key, _)| *key != "error");
            wrapped.for_each(|(_, value)| self.take(value));
            for name in ["response", "output"] {
                let answer = object.get(name).and_then(json_text);
                self.json = self.json.take().or(answer);
            }
        }
    }

    fn choices(&mut self, choices: &Value) -> bool {
        let list: Vec<&Value> = match choices {
            Value::Array(list) => list.iter().collect(),
            Value::Object(one) if TEXTS.iter().any(|text| one.contains_key(*text)) => vec![choices],
            Value::Object(numbered) => numbered.values().collect(),
            _ => Vec::new(),
        };
        for (place, choice) in list.iter().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(place as u64);
            let said = self.choices.entry(index).or_default();
            said.seen = true;
            let Value::Object(choice) = choice else {
                continue;
            };
            if let Some(error) = choice.get("error").filter(|error| says_something(error)) {
                self.failure = Some(json!({ "error": error }));
                self.broke_off = true;
            }
            if !said.event(choice) {
                let inner = choice.iter().filter(|(key, _)| *key != "logprobs");
                for object in inner.filter_map(|(_, value)| value.as_object()) {
                    said.message(object);
                }
            }
        }
        !list.is_empty()
    }
}

/// What one choice says.
#[derive(Default)]
struct Said {
    text: String,
    reasoning: String,
    /// The arguments of calls to a tool, by the index of the call.
    calls: BTreeMap<u64, String>,
    finish: Option<FinishReason>,
    /// Whether there is any sign of it, if only an empty text.
    seen: bool,
    /// Whether it came in pieces, so that a whole text behind them says the same again.
    streamed: bool,
}

impl Said {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.called().next().is_none()
    }

    fn called(&self) -> impl Iterator<Item = &str> {
        let calls = self.calls.values().map(String::as_str);
        calls.filter(|call| holds_json(call))
    }

    /// Returns the arguments of the calls, or else the text, or else the reasoning: servers that take it apart put
    /// the whole answer there when a model does not reason. Where a model was cut off or declined, it is a draft.
    fn into_text(self) -> String {
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
    fn event(&mut self, object: &Object) -> bool {
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
    fn message(&mut self, object: &Object) -> bool {
        if is_echo(object) {
            return true;
        }
        let mut known = self.end(object);
        let kind = text_at(object, "type").unwrap_or_default();
        if kind.contains("thinking")
            || kind.contains("reasoning")
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
    fn put(&mut self, value: &Value, may_be_json: bool) -> bool {
        match value {
            Value::String(text) => {
                self.text.push_str(text);
                true
            }
            Value::Array(pieces) if !may_be_json || pieces.iter().any(is_piece) => {
                for piece in pieces {
                    match piece {
                        Value::String(text) => self.text.push_str(text),
                        Value::Object(piece) => {
                            self.message(piece);
                        }
                        _ => {}
                    }
                }
                true
            }
            Value::Object(piece) if !may_be_json || is_piece(value) => self.message(piece),
            _ => {
                let text = wrapped_text(value).or_else(|| json_text(value));
                self.text.push_str(text.as_deref().unwrap_or_default());
                text.is_some()
            }
        }
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

fn text_at<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// Whether this is a message of the request, which some servers send back.
fn is_echo(object: &Object) -> bool {
    matches!(
        text_at(object, "role"),
        Some("user" | "system" | "developer")
    )
}

fn is_piece(value: &Value) -> bool {
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

/// Whether this is a whole answer; a record may have `choices` too.
fn holds_choices(value: &Value) -> bool {
    let is_choice = |choice: &Value| {
        let keys = ["message", "delta", "finish_reason", "finishReason"];
        keys.iter().any(|key| choice.get(*key).is_some())
    };
    let lists = ["choices", "candidates"]
        .iter()
        .filter_map(|key| value.get(*key)?.as_array());
    lists.flatten().any(is_choice)
}

/// Whether a text is an object or a list of JSON.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a text may hold an object or a list of JSON with something in it.
fn holds_json(text: &str) -> bool {
    text.contains(['{', '[']) && !["{}", "[]"].contains(&text.trim())
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

/// Returns the text of an answer that is JSON already, or that is wrapped or cut into pieces of no known form.
fn json_text(value: &Value) -> Option<String> {
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
fn prose(value: &Value) -> String {
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

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => list.iter().any(says_something),
        Value::Object(object) => object.values().any(says_something),
        _ => true,
    }
}

/// Returns the error that an object is or holds.
fn failure(object: &Object) -> Option<Value> {
    if let Some(error) = object.get("error").filter(|error| says_something(error)) {
        return Some(json!({ "error": error }));
    }
    let is_error = ["type", "object"]
        .iter()
        .any(|key| text_at(object, key) == Some("error"));
    is_error.then(|| Value::Object(object.clone()))
}

/// Returns what an error says, or a status.
fn message(object: &Object) -> Option<&str> {
    text_at(object, "message").filter(|text| !is_json(text))
}

/// Finds the text of an answer under a name that nobody knows: the longest that holds JSON and is neither the
/// reasoning nor out of the request.
fn stray_json<'a>(values: &'a [Value], reasoning: &str, request: &ChatRequest) -> Option<&'a str> {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => found.push(text),
            Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
            Value::Object(object) if !is_echo(object) => {
                let inner = object.iter().filter(|(key, _)| *key != "error");
                inner.for_each(|(_, value)| walk(value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    values.iter().for_each(|value| walk(value, &mut found));
    let sent = request
        .messages
        .iter()
        .map(|message| &*message.text)
        .chain([reasoning]);
    found.retain(|text| holds_json(text) && !sent.clone().any(|sent| sent.contains(text)));
    found.into_iter().max_by_key(|text| text.len())
}
