//! A hunt over whole runs for what must not be printed: the key, the prompt, and the records.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use crate::server::{ProviderServer, Question, RawReply, ServedAnswer, ServerFault, Wire};
use serde_json::json;
use topicloom::dedup::ExactDuplicates;
use topicloom::journal::FileJournal;
use topicloom::llm::layers::Recorded;
use topicloom::llm::providers::{ClientOptions, OpenAiClient};
use topicloom::report::Outcome;
use topicloom::{GenerateByTopicInput, Pipeline};
use tracing::field::{Field, Visit};
use tracing::span;

const KEY: &str = "Zq7keyZq7";
const API_KEY: &str = "sk-live-Zq7keyZq7-0123456789";
const PROMPT: &str = "Zq7promptZq7";
const RECORD: &str = "Zq7recordZq7";

/// Writes down everything that is traced on this thread, at the finest level.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<String>>);

impl Visit for Listener {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut log = self.0.lock().expect("writing does not panic");
        let _ = writeln!(log, "{field}={value:?}");
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn input() -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": format!("Write about {PROMPT}"),
        "num_records": 12, "topics": ["graphs", "trees"],
        "generation_model_kwargs": {"user": PROMPT},
        "data_factory_config": {"max_concurrency": 2, "max_retries": 0},
    }))
    .expect("the input is valid")
}

/// Returns everything an error can print, its sources included.
fn shown(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, " {cause} {cause:?}");
        source = cause.source();
    }
    text
}

/// What a provider may do: answer well, repeat itself, answer nonsense that holds all it knows, refuse.
fn answers(kind: usize) -> impl Fn(&Question<'_>) -> ServedAnswer + Send + Sync + 'static {
    move |question| {
        let call = question.call();
        let good = || {
            json!({"records": [{
                "question": format!("{RECORD} {call} {}?", call * 7_919 % 10_007),
                "answer": format!("{RECORD} {}", call * 104_729 % 10_009),
            }]})
        };
        let all = format!("{API_KEY} {PROMPT} {RECORD}");
        match kind {
            0 => good().to_string().into(),
            1 if call % 3 == 0 => json!({"records": [{"question": RECORD}]})
                .to_string()
                .into(),
            1 if call % 3 == 1 => json!({"records": [{"question": RECORD, "answer": RECORD}]})
                .to_string()
                .into(),
            1 => all.into(),
            2 => RawReply::new(
                400,
                json!({"error": {"message": all, "code": all}}).to_string(),
            )
            .into(),
            3 => RawReply::new(500, all).into(),
            4 => ServedAnswer::Fault(ServerFault::BadKey),
            5 => ServedAnswer::CutOff(good().to_string().replace("]}", "")),
            _ => RawReply::new(
                429,
                json!({"error": {"message": all, "code": "insufficient_quota"}}).to_string(),
            )
            .into(),
        }
    }
}

#[tokio::test]
async fn nothing_that_a_run_prints_holds_a_key_a_prompt_or_a_record() {
    let listener = Listener::default();
    // With one subscriber alone, `tracing` asks whichever thread comes first whether a place is listened to, and the
    // threads of other tests do not listen; with two, it asks both.
    let _second = tracing::Dispatch::new(Listener::default());
    let _listening = tracing::subscriber::set_default(listener.clone());
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut printed = Vec::new();
    for kind in 0..7 {
        let server = ProviderServer::start(Wire::OpenAi, answers(kind))
            .await
            .expect("a port is free");
        let options = ClientOptions::new()
            .base_url(server.base_url())
            .api_key(API_KEY);
        let client =
            OpenAiClient::new(&"openai/leaky".parse().expect("a name"), options).expect("valid");
        let path = folder.path().join(format!("{kind}.journal"));
        let cassette = folder.path().join(format!("{kind}.cassette.jsonl"));
        let client = Recorded::new(client, &cassette).expect("it can be written");
        let events: Arc<Mutex<String>> = Arc::default();
        let heard = Arc::clone(&events);
        let builder = Pipeline::builder(client)
            .deduplicator(ExactDuplicates::default())
            .journal(FileJournal::open(&path).expect("it opens"))
            .on_event(move |event| {
                let _ = writeln!(heard.lock().expect("writing does not panic"), "{event:?}");
            });
        printed.push(format!("{builder:?} {builder:#?}"));
        let pipeline = builder.build();
        printed.push(format!("{pipeline:?} {:?}", input()));
        let run = pipeline.run(input()).expect("it starts");
        printed.push(format!("{run:?} {:?}", run.stop_handle()));
        let dataset = match run.collect().await {
            Ok(dataset) => dataset,
            Err(error) => {
                printed.push(shown(&error));
                error.into_dataset()
            }
        };
        let report = dataset.report();
        assert!(
            kind != 0 || report.outcome == Outcome::Complete,
            "{:?}",
            report.reason
        );
        printed.push(format!(
            "{report:?} {}",
            serde_json::to_string(report).expect("it is JSON")
        ));
        printed.push(events.lock().expect("writing does not panic").clone());
        assert!(server.calls() > 0);
        drop(pipeline);

        // A journal holds what was asked for and answered; a key it never does, nor does a record's origin.
        let journal = std::fs::read(&path).expect("it was written");
        let holds = |text: &str| {
            journal
                .windows(text.len())
                .any(|bytes| bytes == text.as_bytes())
        };
        assert!(kind == 1 || !holds(KEY), "{kind}");
        assert!(holds(PROMPT), "{kind}: the search works");
        // A cassette replaces what looks like a key, even where a provider says it.
        let cassette = std::fs::read_to_string(&cassette).expect("it was written");
        assert!(
            !cassette.contains(KEY) && cassette.contains(PROMPT),
            "{kind}"
        );
        for record in &dataset {
            assert!(!format!("{:?} {:?}", record.topic, record.meta).contains("Zq7"));
        }
    }
    let log = listener.0.lock().expect("writing does not panic").clone();
    assert!(
        log.contains("gen_ai.request.model=\"leaky\""),
        "calls are traced, so the log is a real one"
    );
    printed.extend(log.lines().map(str::to_owned));
    for text in &printed {
        for marker in [KEY, PROMPT, RECORD] {
            assert!(!text.contains(marker), "{text}");
        }
    }
}
