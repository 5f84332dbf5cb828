//! A hunt for keys and prompts: in errors of every kind, in debug output, and in logs at the finest level.

use std::fmt::Write as _;
use std::sync::{Mutex, Once};
use std::time::Duration;

use crate::server::{ProviderServer, RawReply, ServedAnswer, ServerFault};
use serde_json::json;
use topicloom::LlmClient;
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::providers::{ClientOptions, http_client_builder};
use topicloom::llm::{ApiKey, Message, OutputFormat, OutputMode, OutputSchema, Parameters};
use topicloom::llm::{ChatRequest, ModelName};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::common::{WIRES, client_with, named, schema};

/// Part of everything that is secret here, and of nothing else.
const MARKER: &str = "Zq7markerZq7";

/// Everything that was logged, by this crate and those below it.
static LOG: Mutex<String> = Mutex::new(String::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(LOG.lock().unwrap(), "{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut Fields);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Fields);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields;

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = writeln!(LOG.lock().unwrap(), "{field}={value:?}");
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_max_level(log::LevelFilter::Trace);
        log::set_logger(&Listener).unwrap();
        tracing::subscriber::set_global_default(Listener).unwrap();
    });
}

/// Returns everything an error can print, its sources included.
fn shown(error: &topicloom::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(text, " {cause} {cause:?}");
        source = cause.source();
    }
    text
}

fn request() -> ChatRequest {
    let schema = OutputSchema::new("records", schema(), OutputMode::Strict);
    let mut parameters = Parameters::default();
    parameters
        .extra
        .insert("user".to_owned(), json!(format!("user-{MARKER}")));
    ChatRequest::new(vec![
        Message::system(format!("system {MARKER}")),
        Message::user(format!("user {MARKER}")),
    ])
    .with_output(OutputFormat::Schema(std::sync::Arc::new(schema)))
    .with_parameters(parameters)
}

/// Options with a secret wherever one fits.
fn options(base_url: &str) -> ClientOptions {
    let base_url = base_url.replacen("http://", &format!("http://user-{MARKER}:{MARKER}@"), 1);
    ClientOptions::new()
        .base_url(format!("{base_url}?key={MARKER}"))
        .api_key(ApiKey::new(format!("sk-{MARKER}")))
        .header("x-extra", format!("extra-{MARKER}"))
}

/// Replies in which a hostile or careless server echoes what it was sent.
fn echoes() -> Vec<RawReply> {
    let key = format!("sk-{MARKER}");
    let mut replies = Vec::new();
    for status in [200, 302, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503] {
        for body in [
            MARKER.to_owned(),
            format!("<html>{MARKER}</html>"),
            json!({"error": {"message": MARKER, "code": MARKER, "type": key, "param": MARKER}}).to_string(),
            json!({"error": {"message": key, "code": key, "status": MARKER, "details": [{"reason": MARKER}]}})
                .to_string(),
            json!({"type": "error", "error": {"type": MARKER, "message": MARKER}}).to_string(),
            json!({"detail": MARKER, "message": MARKER, MARKER: MARKER}).to_string(),
            json!({"choices": MARKER, "content": MARKER, "candidates": MARKER}).to_string(),
        ] {
            replies.push(
                RawReply::new(status, body)
                    .header("x-request-id", format!("req-{MARKER}"))
                    .header("location", format!("http://localhost:1/{MARKER}?key={MARKER}"))
                    .header("retry-after", MARKER),
            );
        }
    }
    replies
}

fn faults() -> Vec<ServerFault> {
    vec![
        ServerFault::RateLimited(Some(Duration::from_secs(1))),
        ServerFault::NoCredit,
        ServerFault::BadKey,
        ServerFault::UnknownModel,
        ServerFault::ContextLength,
        ServerFault::SchemaRefused,
        ServerFault::ServerError,
        ServerFault::Overloaded,
        ServerFault::ErrorInSuccess,
        ServerFault::Malformed,
        ServerFault::OtherJson,
        ServerFault::EmptyBody,
        ServerFault::WebPage,
        ServerFault::BadGateway,
        ServerFault::CutOff,
        ServerFault::CutChunks,
        ServerFault::HungUp,
        ServerFault::TooLong(9 * 1024 * 1024),
        ServerFault::Redirect(format!("http://localhost:1/{MARKER}?key={MARKER}")),
    ]
}

#[tokio::test]
async fn nothing_shows_a_key_or_a_prompt() {
    listen();
    let mut printed = Vec::new();
    for wire in WIRES {
        let mut replies: Vec<ServedAnswer> = faults().into_iter().map(Into::into).collect();
        replies.extend(echoes().into_iter().map(ServedAnswer::from));
        let calls = replies.len();
        let server = ProviderServer::start(wire, move |question: &crate::server::Question<'_>| {
            replies[usize::try_from(question.call()).unwrap()].clone()
        })
        .await
        .unwrap();
        let options = options(&server.base_url());
        printed.push(format!("{options:?} {options:#?} {server:?}"));
        let client = client_with(wire, options);
        printed.push(format!("{client:?} {client:#?}"));
        let mut failed = 0;
        for _ in 0..calls {
            match client.complete(&request()).await {
                Ok(response) => printed.push(format!("{response:?}")),
                Err(error) => {
                    failed += 1;
                    printed.push(shown(&error));
                }
            }
        }
        // Were the calls not to reach the server, nothing would be looked at.
        assert_eq!(server.calls(), calls as u64);
        assert!(failed > calls / 2, "{failed} of {calls}");

        let gone = client_with(wire, self::options("http://127.0.0.1:9/v1"));
        printed.push(shown(&gone.complete(&request()).await.unwrap_err()));
        let hanging = ProviderServer::builder(wire, |_: &_| "too late")
            .delay(Duration::from_secs(3_600))
            .start()
            .await
            .unwrap();
        let impatient = http_client_builder()
            .no_proxy()
            .timeout(Duration::from_millis(10))
            .build()
            .unwrap();
        let late = self::options(&hanging.base_url()).http_client(impatient);
        printed.push(shown(
            &client_with(wire, late)
                .complete(&request())
                .await
                .unwrap_err(),
        ));
    }
    printed.extend(misconfigured());
    printed.push(format!("{:?}", request()));
    for text in &printed {
        assert!(!text.contains(MARKER), "{text}");
    }
    let log = LOG.lock().unwrap();
    assert!(
        log.contains("127.0.0.1"),
        "connections are logged, so the log is a real one"
    );
    let leak = log.lines().find(|line| line.contains(MARKER));
    assert_eq!(leak, None);
}

/// Returns what wrong settings print.
fn misconfigured() -> Vec<String> {
    use topicloom::llm::providers::{AnthropicClient, GeminiClient, OpenAiClient};
    let mut printed = Vec::new();
    let mut look = |name: &str, options: ClientOptions| {
        let name: ModelName = name.parse().unwrap();
        for error in [
            OpenAiClient::new(&name, options.clone()).map(drop),
            AnthropicClient::new(&name, options.clone()).map(drop),
            GeminiClient::new(&name, options).map(drop),
        ] {
            printed.push(shown(&error.unwrap_err()));
        }
    };
    let new = || ClientOptions::new().base_url("http://localhost:1/v1");
    look("openai/m", new().base_url(format!("no url {MARKER}")));
    look("openai/m", new().base_url(format!("ftp://{MARKER}@h/")));
    look("openai/m", new().api_key(format!("sk-\n{MARKER}")));
    look("openai/m", new().header("x", format!("\n{MARKER}")));
    look("openai/m", new().header(format!("x {MARKER}"), "y"));
    let registry = ModelRegistry::new().compatible("house", options("http://localhost:1/v1"));
    printed.push(format!("{registry:?}"));
    let client = named("house/m", options("http://localhost:1/v1"));
    printed.push(format!("{client:?} {:?}", ApiKey::new(MARKER)));
    printed
}
