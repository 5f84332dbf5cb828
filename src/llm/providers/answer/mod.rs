//! What a model answered, found in whatever a server made of it.
//!
//! Gateways, proxies and local engines bend the formats they speak, and some speak another one than they were asked
//! in. Of an answer that is paid for only the text has to be readable. So one reader knows the words of all formats,
//! takes what fits, piece by piece where a server streams, and passes over the rest.

mod counts;
mod said;
mod shape;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use counts::Counts;
use said::{Said, TEXTS};
use shape::{Object, holds_json, is_echo, is_json, json_text, says_something, text_at};

use crate::llm::{ChatRequest, ChatResponse, FinishReason, OutputFormat};

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
        let stray = stray_json(values, &said.reasoning, request).map(str::to_owned);
        // What says something is only given up for what is whole.
        let (whole, part) = match stray {
            Some(text) if is_json(&text) => (Some(text), None),
            stray => (None, stray.filter(|_| said.is_blank())),
        };
        match json.or(whole).or(said.json.take()).or(part) {
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
    response.provider_model = answer.model;
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

/// Where an error that is not wrapped has its code, as Baidu, `DashScope` and gateways in Java name it.
pub(super) const CODES: [&str; 4] = ["code", "error_code", "errcode", "status_code"];

/// And what it says.
pub(super) const MESSAGES: [&str; 4] = ["message", "msg", "error_msg", "errmsg"];

/// Codes of a success, beside none.
const FINE: [&str; 4] = ["", "0", "200", "success"];

/// Returns the error that an object is or holds.
fn failure(object: &Object) -> Option<Value> {
    if let Some(error) = object.get("error").filter(|error| says_something(error)) {
        return Some(json!({ "error": error }));
    }
    let is_error = ["type", "object"]
        .iter()
        .any(|key| text_at(object, key) == Some("error"));
    // MiniMax's success has an error in it, and some gateways' is one.
    let code = object.get("base_resp").map(|told| &told["status_code"]);
    let is_base = code.and_then(Value::as_i64).is_some_and(|code| code != 0);
    let code = CODES.iter().find_map(|name| match object.get(*name)? {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    });
    let says = MESSAGES.iter().any(|name| text_at(object, name).is_some());
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    let is_flat = says
        && code.is_some_and(|code| !FINE.contains(&code.to_lowercase().as_str()))
        && object.values().all(is_plain);
    (is_error || is_base || is_flat).then(|| Value::Object(object.clone()))
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
