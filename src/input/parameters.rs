//! `topic_model_kwargs` and `generation_model_kwargs`.

use serde_json::{Map, Value};

use super::reader::Reader;
use super::warning::InputWarning;
use crate::fault::{InputFault, InputFaults};
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

/// Reads what the library understands out of a model's parameters, and passes on the rest.
pub(super) fn read(
    object: Map<String, Value>,
    path: &'static str,
    faults: &mut InputFaults,
    warnings: &mut Vec<InputWarning>,
) -> Parameters {
    let mut reader = Reader::new(object, path, faults);
    let mut parameters = Parameters {
        temperature: reader.number("temperature"),
        ..Parameters::default()
    };
    if parameters
        .temperature
        .is_some_and(|temperature| temperature < 0.0)
    {
        reader.fault("temperature", "is negative", "write 0 or more");
    }
    parameters.max_tokens = reader.count_within("max_tokens", 1..=u64::MAX);
    let newer = reader.count_within("max_completion_tokens", 1..=u64::MAX);
    if newer.is_some()
        && parameters
            .max_tokens
            .is_some_and(|older| Some(older) != newer)
    {
        reader.fault(
            "max_completion_tokens",
            "differs from `max_tokens`",
            "give one of the two; each provider gets the one it understands",
        );
    }
    parameters.max_tokens = newer.or(parameters.max_tokens);
    for key in OURS {
        if reader.take(key).is_some() {
            let reason = "is ignored, since the library sets it for each call";
            warnings.push(InputWarning::new(format!("{path}.{key}"), reason));
        }
    }
    let mut extra = reader.rest();
    extra.retain(|_, value| !value.is_null());
    if holds_a_key(&extra) {
        faults.push(InputFault::new(
            path,
            "holds an API key or another secret, which would be written into journals",
            "take it out and set it in the environment, such as `OPENAI_API_KEY`, or on the client",
        ));
    }
    parameters.extra = extra;
    parameters
}

/// Returns the JSON form.
pub(super) fn to_json(parameters: &Parameters) -> Value {
    let mut object = Map::new();
    let temperature = parameters.temperature.map(Value::from);
    object.extend(temperature.map(|value| ("temperature".to_owned(), value)));
    let max_tokens = parameters.max_tokens.map(Value::from);
    object.extend(max_tokens.map(|value| ("max_tokens".to_owned(), value)));
    object.extend(parameters.extra.clone());
    object.into()
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
    use super::*;
    use serde_json::json;

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
