//! `providers`: how providers are reached.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::described::{Described, described};
use super::form::{Choice, Form, Maybe, Text, object, parts};
use super::place::Place;
use super::reader::Reader;
use crate::llm::{OutputMode, ProviderSettings};
use crate::schema::Dialect;

const DIALECTS: Choice<Dialect> = parts! {
    Dialect {
        "azure" => Azure, "Azure's deployment of OpenAI's strict mode.";
        "open_ai_strict" => OpenAiStrict, "OpenAI's strict mode, and xAI's.";
        "groq" => Groq, "OpenAI's strict rules on the models that enforce them.";
        "mistral" => Mistral, "Near OpenAI's strict mode.";
        "anthropic" => Anthropic, "Structured output and strict tools.";
        "gemini" => Gemini, "`responseJsonSchema`.";
        "vllm" => Vllm, "vLLM with xgrammar.";
        "llama_cpp" => LlamaCpp, "llama.cpp and Ollama.";
        "full" => Full, "All of JSON Schema.";
    }
};

const OUTPUT_MODES: Choice<OutputMode> = parts! {
    OutputMode {
        "strict" => Strict, "The provider enforces the schema.";
        "schema" => Schema, "The provider is given the schema and tries.";
        "tool" => Tool, "The schema is the parameter of a tool that the model has to call.";
        "json" => Json, "The provider enforces JSON; the schema is in the prompt.";
        "prompt" => Prompt, "The schema is in the prompt, and nothing is enforced.";
    }
};

described! {
    impl ProviderSettings {
        /// Where it is, such as `http://10.0.0.7:8000/v1`.
        #[example("\"http://10.0.0.7:8000/v1\"")]
        base_url: Option<String>, Text;
        /// The environment variable that holds its key.
        #[example("\"HOUSE_KEY\"")]
        api_key_env: Option<String>, Text;
        /// Headers of every request. `$NAME` and `${NAME}` stand for what an environment variable holds.
        #[example("{\"X-Team\": \"${TEAM}\"}")]
        headers: BTreeMap<String, String>, Headers;
        /// The part of JSON Schema that it understands.
        #[example("\"vllm\"")]
        dialect: Option<Dialect>, Maybe(DIALECTS);
        /// The firmest way in which it can be asked for structured output.
        #[example("\"json\"")]
        output_mode: Option<OutputMode>, Maybe(OUTPUT_MODES);
    }
}

pub(super) type Providers = BTreeMap<String, ProviderSettings>;

pub(super) struct ProvidersForm;

impl Form<Providers> for ProvidersForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Providers> {
        let mut providers = Providers::new();
        for (name, value) in object(value, place)? {
            if name.is_empty() || name.contains('/') {
                let advice = "write what stands before the slash of a model's name";
                place.fault::<()>("names a provider that no model can have", advice);
                continue;
            }
            let mut place = place.at(&name);
            match value {
                Value::Object(object) => {
                    let settings = read_one(Reader::new(object, place));
                    providers.insert(name, settings);
                }
                other => {
                    place.refuse::<()>(&other, "write an object");
                }
            }
        }
        Some(providers)
    }

    fn write(&self, providers: &Providers) -> Value {
        if providers.is_empty() {
            return Value::Null;
        }
        let entries = providers.iter();
        entries
            .map(|(name, settings)| (name.clone(), settings.write_set()))
            .collect()
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": ProviderSettings::schema()})
    }
}

fn read_one(mut reader: Reader<'_>) -> ProviderSettings {
    if reader.take("api_key").is_some() {
        let advice = "name the environment variable that holds it in `api_key_env`";
        reader
            .at("api_key")
            .fault::<()>("would be written into journals", advice);
    }
    reader.refuse_unknown_keys(ProviderSettings::KEYS, &[]);
    let settings = ProviderSettings::read(&mut reader);
    if settings.base_url.as_deref().is_some_and(holds_a_secret) {
        reader.at("base_url").fault::<()>(
            "holds a password or a key, which would be written into journals",
            "put it into an environment variable and name that here, such as `${TOKEN}`",
        );
    }
    settings
}

struct Headers;

impl Form<BTreeMap<String, String>> for Headers {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<BTreeMap<String, String>> {
        let mut headers = BTreeMap::new();
        for (name, value) in object(value, place)? {
            if let Some(value) = Text.read(value, &mut place.at(&name)) {
                headers.insert(name, value);
            }
        }
        Some(headers)
    }

    fn write(&self, headers: &BTreeMap<String, String>) -> Value {
        if headers.is_empty() {
            return Value::Null;
        }
        json!(headers)
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    }
}

/// Whether a URL has a user's password, or a pair in its query whose name says that it is a secret.
pub(super) fn holds_a_secret(url: &str) -> bool {
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
