//! `topic_model_kwargs` and `generation_model_kwargs`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::form::{Form, POSITIVE, object};
use super::place::Place;
use super::reader::Reader;
use crate::llm::Parameters;

/// What the library itself puts into a call, so that a value given here would break it.
const OURS: [&str; 9] = [
    "model",
    "messages",
    "n",
    "stream",
    "stream_options",
    "response_format",
    "tools",
    "tool_choice",
    "functions",
];

/// What OpenAI's own client and LiteLLM put into the body of a request as it is, over what else is there.
const EXTRA_BODY: &str = "extra_body";

pub(super) struct ParametersForm;

impl Form<Arc<Parameters>> for ParametersForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Arc<Parameters>> {
        let object = object(value, place)?;
        Some(Arc::new(from_object(object, place)))
    }

    fn write(&self, parameters: &Arc<Parameters>) -> Value {
        let mut object = Map::new();
        let temperature = parameters.temperature.map(Value::from);
        object.extend(temperature.map(|value| ("temperature".to_owned(), value)));
        let max_tokens = parameters.max_tokens.map(Value::from);
        object.extend(max_tokens.map(|value| ("max_tokens".to_owned(), value)));
        object.extend(parameters.extra.clone());
        object.into()
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "properties": {
            "temperature": {"description": "Sampling temperature.", "type": ["number", "null"], "minimum": 0, "examples": [0.8]},
            "max_tokens": {"description": "The most tokens an answer may have.", "type": ["integer", "null"], "minimum": 1, "examples": [400]},
        }})
    }
}

/// Reads what the library understands out of a model's parameters, and passes on the rest.
fn from_object(mut object: Map<String, Value>, place: &mut Place<'_>) -> Parameters {
    match object.shift_remove(EXTRA_BODY) {
        Some(Value::Object(extra)) => object.extend(extra),
        None | Some(Value::Null) => {}
        Some(other) => {
            place.at(EXTRA_BODY).refuse::<()>(&other, "write an object");
        }
    }
    let mut reader = Reader::new(object, place.here());
    let temperature = reader.take("temperature").and_then(|value| {
        let mut place = reader.at("temperature");
        match value.as_f64() {
            Some(temperature) if temperature >= 0.0 => Some(temperature),
            Some(_) => place.fault("is negative", "write 0 or more"),
            None => place.refuse(&value, "write a number"),
        }
    });
    let older: Option<u64> = reader.read(&["max_tokens"], &POSITIVE);
    let newer = reader.read(&["max_completion_tokens"], &POSITIVE);
    if newer.is_some() && older.is_some() && older != newer {
        reader.at("max_completion_tokens").fault::<()>(
            "differs from `max_tokens`",
            "give one of the two; each provider gets the one it understands",
        );
    }
    for key in OURS {
        if reader.take(key).is_some() {
            reader
                .at(key)
                .warn("is ignored, since the library sets it for each call");
        }
    }
    let mut extra = reader.rest();
    extra.retain(|_, value| !value.is_null());
    if holds_a_key(&extra) {
        place.fault::<()>(
            "holds an API key or another secret, which would be written into journals",
            "take it out and set it in the environment, such as `OPENAI_API_KEY`, or on the client",
        );
    }
    let mut parameters = Parameters::default();
    (parameters.temperature, parameters.max_tokens) = (temperature, newer.or(older));
    parameters.extra = extra;
    parameters
}

/// Whether a name anywhere in the object says that its value is a secret, or a value shows that it is one.
fn holds_a_key(object: &Map<String, Value>) -> bool {
    const SECRETS: [&str; 14] = [
        "apikey",
        "authorization",
        "secret",
        "passw",
        "passphrase",
        "credential",
        "privatekey",
        "accesskey",
        "accesstoken",
        "authtoken",
        "bearertoken",
        "refreshtoken",
        "sessiontoken",
        "securitytoken",
    ];
    object.iter().any(|(name, value)| {
        let plain = name.to_ascii_lowercase().replace(['_', '-'], "");
        SECRETS.iter().any(|secret| plain.contains(secret)) || is_inside(value)
    })
}

fn is_inside(value: &Value) -> bool {
    match value {
        Value::Object(object) => holds_a_key(object),
        Value::Array(items) => items.iter().any(is_inside),
        Value::String(text) => is_secret(text),
        _ => false,
    }
}

/// Whether a text is a URL with a password in it, or the value of a header that proves who sends it.
fn is_secret(text: &str) -> bool {
    let userinfo = text.split_once("://").and_then(|(_, rest)| {
        let host = rest.split(['/', '?', '#']).next()?;
        host.rsplit_once('@')
    });
    userinfo.is_some_and(|(user, _)| user.contains(':'))
        || ["Bearer ", "Basic "]
            .iter()
            .any(|scheme| text.starts_with(scheme) && !text[scheme.len()..].contains(' '))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::place::Notes;
    use super::*;

    fn parameters(given: Value) -> Result<Parameters, String> {
        let mut notes = Notes::default();
        let mut place = Place::new("generation_model_kwargs", &mut notes);
        let read = ParametersForm.read(given, &mut place);
        let read = notes.faults.or(read).map_err(crate::Error::from);
        let read = read.map_err(|error| error.to_string())?;
        Ok(Arc::unwrap_or_clone(read.expect("it is an object")))
    }

    #[test]
    fn what_is_in_extra_body_stands_beside_the_rest_and_over_it() {
        let read = parameters(json!({
            "top_p": 0.9, "top_k": 5,
            "extra_body": {"top_k": 20, "chat_template_kwargs": {"enable_thinking": false}, "max_tokens": 300},
        }))
        .unwrap();
        assert_eq!(read.max_tokens, Some(300));
        assert_eq!(
            Value::Object(read.extra),
            json!({"top_p": 0.9, "top_k": 20, "chat_template_kwargs": {"enable_thinking": false}})
        );
        let refused = parameters(json!({"extra_body": "x"})).unwrap_err();
        assert!(refused.contains("extra_body: is a string"), "{refused}");
        let secret = parameters(json!({"extra_body": {"api_key": "SECRET"}})).unwrap_err();
        assert!(!secret.contains("SECRET"), "{secret}");
    }

    #[test]
    fn secrets_are_told_from_parameters() {
        for secret in [
            json!({"extra_headers": {"X-Passwd": "x"}}),
            json!({"aws_session_token": "x"}),
            json!({"vertex_credentials": "x"}),
            json!({"proxy": "http://user:hunter2@proxy:8080/path"}),
            json!({"extra": [{"header": "Bearer abcdef"}]}),
        ] {
            assert!(is_inside(&secret), "{secret}");
        }
        for plain in [
            json!({"max_tokens": 3, "eos_token": "</s>", "prompt_cache_key": "run-7"}),
            json!({"url": "https://host/a:b@c", "site": "http://user@host/"}),
            json!({"system": "Bearer of bad news: the end"}),
        ] {
            assert!(!is_inside(&plain), "{plain}");
        }
    }
}
