//! What each provider's refusals come down to: status, headers and body in, kind, retry and fatality out. The cases
//! are files in `tests/cases/providers`, one per provider; each is played by a real server.
//!
//! Bodies are as the providers' documentation, client libraries and issue trackers show them, with names and
//! numbers changed.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::server::{ProviderServer, RawReply, Wire};
use serde::Deserialize;
use serde_json::Value;
use topicloom::llm::models::known_providers;
use topicloom::llm::{OutputMode, Parameters};
use topicloom::{ErrorKind, Retry};

use crate::common::{KEY, named, options, structured, text};

#[derive(Deserialize)]
struct File {
    model: String,
    cases: Vec<Case>,
}

#[derive(Deserialize, Clone)]
struct Case {
    name: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
    kind: ErrorKind,
    retry: String,
    fatal: bool,
}

impl Case {
    fn reply(&self) -> RawReply {
        let body = match &self.body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let reply = RawReply::new(self.status, body);
        self.headers
            .iter()
            .fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    fn retry(&self) -> Retry {
        match self.retry.as_str() {
            "never" => Retry::Never,
            "backoff" => Retry::Backoff,
            other => {
                let millis = other
                    .strip_prefix("after ")
                    .and_then(|rest| rest.strip_suffix("ms"))
                    .and_then(|millis| millis.parse().ok());
                Retry::After(Duration::from_millis(millis.expect("`after ...ms`")))
            }
        }
    }
}

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/providers");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

fn wire(model: &str) -> Wire {
    match model.split_once('/').unwrap().0 {
        "anthropic" => Wire::Anthropic,
        "gemini" => Wire::Gemini,
        _ => Wire::OpenAi,
    }
}

#[tokio::test]
async fn every_refusal_comes_down_to_the_right_kind() {
    let mut wrong = Vec::new();
    for File { model, cases } in files() {
        let next: Arc<Mutex<Option<RawReply>>> = Arc::default();
        let shown = Arc::clone(&next);
        let server = ProviderServer::start(wire(&model), move |_: &_| {
            shown.lock().unwrap().clone().expect("a case is set")
        })
        .await
        .unwrap();
        let client = named(&model, options(&server.base_url()));
        for case in cases {
            *next.lock().unwrap() = Some(case.reply());
            let request = structured("an innocent prompt", OutputMode::Strict);
            let error = client
                .complete(&request)
                .await
                .expect_err("every case is a failure");
            let retry = match error.retry() {
                // Bodies give delays to the nanosecond.
                Retry::After(delay) => {
                    Retry::After(Duration::from_millis(delay.as_millis().try_into().unwrap()))
                }
                retry => retry,
            };
            if (error.kind(), retry, error.is_fatal()) != (case.kind, case.retry(), case.fatal) {
                wrong.push(format!("{model}: {}: {error:?}", case.name));
            }
            let shown = format!("{error} {error:?}");
            for secret in [KEY, "SECRET", "innocent"] {
                assert!(!shown.contains(secret), "{model}: {}: {shown}", case.name);
            }
            assert!(shown.contains(&model), "{model}: {}", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_said_names_what_to_change_and_nothing_that_is_not_at_fault() {
    let page = "<!DOCTYPE html><html><title>Just a moment...</title></html>";
    let limit = "The maximum tokens you requested exceeds the model limit of 32768";
    for (status, body, says, does_not_say) in [
        (403, page, "by a page", "key"),
        (
            403,
            "<Error><Message>wrong API key</Message></Error>",
            "key",
            "by a page",
        ),
        (400, limit, "`max_tokens`: set it lower", "model"),
        (
            422,
            "`inputs` + `max_new_tokens` must be <= 8192",
            "`max_tokens`: set it lower",
            "key",
        ),
    ] {
        let server = ProviderServer::start(Wire::OpenAi, move |_: &_| RawReply::new(status, body));
        let server = server.await.unwrap();
        let client = named("openai/m", options(&server.base_url()));
        let mut parameters = Parameters::default();
        parameters.max_tokens = Some(64_000);
        let request = text("a prompt").with_parameters(parameters);
        let error = client.complete(&request).await.unwrap_err();
        let said = error.message();
        assert!(said.contains(says), "{said}");
        assert!(!said.contains(does_not_say), "{said}");
    }
}

#[test]
fn cases_are_of_known_providers_and_of_all_that_speak_a_format_of_their_own() {
    let known: HashSet<&str> = known_providers().iter().map(|known| known.name).collect();
    let covered: HashSet<String> = files()
        .into_iter()
        .map(|file| file.model.split_once('/').unwrap().0.to_owned())
        .collect();
    for provider in &covered {
        assert!(known.contains(&**provider), "{provider}");
    }
    for provider in [
        "openai",
        "anthropic",
        "gemini",
        "ollama",
        "azure",
        "openrouter",
    ] {
        assert!(covered.contains(provider), "{provider} has no cases");
    }
}
