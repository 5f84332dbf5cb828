//! `providers`: how providers are reached.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reader::{Reader, kind};
use crate::llm::ProviderSettings;

const KEYS: [&str; 5] = [
    "base_url",
    "api_key_env",
    "headers",
    "dialect",
    "output_mode",
];

pub(super) type Providers = BTreeMap<String, ProviderSettings>;

/// Reads the settings of each provider.
pub(super) fn read(reader: &mut Reader<'_>) -> Providers {
    let mut providers = Providers::new();
    for (name, value) in reader.object("providers").unwrap_or_default() {
        if name.is_empty() || name.contains('/') {
            let advice = "write what stands before the slash of a model's name";
            reader.fault(
                "providers",
                "names a provider that no model can have",
                advice,
            );
            continue;
        }
        let Value::Object(object) = value else {
            let problem = format!("is {}", kind(&value));
            reader.fault(&format!("providers.{name}"), problem, "write an object");
            continue;
        };
        let mut inner = Reader::new(object, format!("providers.{name}"), reader.faults);
        let settings = read_one(&mut inner);
        providers.insert(name, settings);
    }
    providers
}

fn read_one(reader: &mut Reader<'_>) -> ProviderSettings {
    if reader.take("api_key").is_some() {
        let advice = "name the environment variable that holds it in `api_key_env`";
        reader.fault("api_key", "would be written into journals", advice);
    }
    reader.refuse_unknown_keys(&KEYS);
    let base_url = reader.text("base_url");
    if base_url.as_deref().is_some_and(holds_a_secret) {
        let advice = "put it into an environment variable and name that here, such as `${TOKEN}`";
        reader.fault(
            "base_url",
            "holds a password or a key, which would be written into journals",
            advice,
        );
    }
    let mut headers = BTreeMap::new();
    for (name, value) in reader.object("headers").unwrap_or_default() {
        match value {
            Value::String(value) => {
                headers.insert(name, value);
            }
            other => reader.fault(
                &format!("headers.{name}"),
                format!("is {}", kind(&other)),
                "write a string",
            ),
        }
    }
    ProviderSettings {
        base_url,
        api_key_env: reader.text("api_key_env"),
        headers,
        dialect: choice(reader, "dialect"),
        output_mode: choice(reader, "output_mode"),
    }
}

/// Takes one of a few names.
fn choice<T: serde::de::DeserializeOwned>(reader: &mut Reader<'_>, key: &str) -> Option<T> {
    let name = reader.text(key)?;
    let read = serde_json::from_value(name.clone().into());
    if read.is_err() {
        // serde's message lists the names there are.
        let error = read
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default();
        let (_, names) = error.split_once("expected ").unwrap_or_default();
        reader.fault(key, format!("is `{name}`"), format!("write {names}"));
    }
    read.ok()
}

/// Whether a URL has a user's password, or a pair in its query whose name says that it is a secret.
fn holds_a_secret(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, rest) =
        after_scheme.split_at(after_scheme.find(['/', '?']).unwrap_or(after_scheme.len()));
    let literal = |value: &str| !value.is_empty() && !value.contains('$');
    let has_password = host.rsplit_once('@').is_some_and(|(user, _)| literal(user));
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    has_password
        || query.split('&').any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.to_ascii_lowercase();
            literal(value)
                && ["key", "token", "secret", "sig", "password", "code"]
                    .iter()
                    .any(|word| name.contains(word))
        })
}

/// Returns the JSON form.
pub(super) fn to_json(providers: &Providers) -> Value {
    let entries = providers.iter().map(|(name, settings)| {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                object.insert(key.to_owned(), value);
            }
        };
        put("base_url", settings.base_url.clone().into());
        put("api_key_env", settings.api_key_env.clone().into());
        if !settings.headers.is_empty() {
            put("headers", json!(settings.headers));
        }
        put("dialect", json!(settings.dialect));
        put("output_mode", json!(settings.output_mode));
        (name.clone(), object.into())
    });
    Value::Object(entries.collect())
}

#[cfg(test)]
mod tests {
    use crate::GenerateByTopicInput;

    fn read(providers: &serde_json::Value) -> crate::Result<GenerateByTopicInput> {
        GenerateByTopicInput::from_json_value(serde_json::json!({
            "topics": ["tides"], "generation_model_name": "house/qwen3", "providers": providers,
        }))
    }

    #[test]
    fn literal_headers_are_kept_for_the_run_and_masked_in_what_is_written_down() {
        let input = read(&serde_json::json!({"house": {
            "base_url": "http://10.0.0.7:8000/v1", "api_key_env": "HOUSE_KEY", "dialect": "vllm",
            "output_mode": "json", "headers": {"X-Team": "sk-SECRET", "X-Trace": "${TRACE}"},
        }}))
        .unwrap();
        assert_eq!(input.providers()["house"].headers["X-Team"], "sk-SECRET");
        let written = input.to_json();
        assert!(!written.to_string().contains("SECRET"), "{written}");
        assert_eq!(
            written["providers"]["house"]["headers"]["X-Trace"],
            "${TRACE}"
        );
        let again = input.to_builder().num_records(3).build().unwrap();
        assert_eq!(again.providers(), input.providers());
        // Where a model is asked decides nothing of what is asked for.
        let elsewhere =
            read(&serde_json::json!({"house": {"base_url": "http://other/v1"}})).unwrap();
        assert_eq!(elsewhere.fingerprint(), input.fingerprint());
    }

    #[test]
    fn faults_name_the_place_and_never_the_value() {
        for (providers, said) in [
            (
                serde_json::json!({"house": {"url": "x"}}),
                "providers.house.url: is not a known key",
            ),
            (
                serde_json::json!({"house": {"api_key": "sk-SECRET"}}),
                "`api_key_env`",
            ),
            (
                serde_json::json!({"house": {"base_url": "https://me:SECRET@h/v1"}}),
                "${TOKEN}",
            ),
            (
                serde_json::json!({"house": {"base_url": "https://h/v1?api-key=SECRET"}}),
                "${TOKEN}",
            ),
            (
                serde_json::json!({"house": {"headers": {"X": 1}}}),
                "headers.X: is a number",
            ),
            (
                serde_json::json!({"house": {"output_mode": "grammar"}}),
                "`strict`",
            ),
            (
                serde_json::json!({"house": "http://h/v1"}),
                "providers.house: is a string",
            ),
            (serde_json::json!({"a/b": {}}), "before the slash"),
        ] {
            let error = read(&providers).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("SECRET"), "{error}");
        }
        let azure = serde_json::json!({"azure": {"base_url": "https://h/?api-version=2024-10-21"}});
        assert!(read(&azure).is_ok());
    }
}
