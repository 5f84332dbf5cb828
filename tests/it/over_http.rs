//! Whole runs over real sockets, against a server that plays the provider.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::providers::ClientOptions;
use topicloom::testing::{ProviderServer, ProviderServerBuilder, Question, ServerFault, Wire};
use topicloom::{Dataset, GenerateByTopicInput, JsonRecord, Pipeline};

/// Answers every call with a record that no other answer holds.
fn server() -> ProviderServerBuilder {
    let answers = AtomicU64::new(0);
    ProviderServer::builder(Wire::OpenAi, move |_: &Question<'_>| {
        let number = answers.fetch_add(1, Ordering::Relaxed);
        json!({"records": [{
            "question": format!("What is the {} of a {}?", word(number), word(number * 7 + 3)),
            "answer": format!("In {number} ways."),
            "difficulty": "easy",
        }]})
        .to_string()
    })
}

/// Spells a number as a made-up word; different numbers give different words.
fn word(mut number: u64) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push(char::from(b"bdfgklmprt"[(number % 10) as usize]));
        word.push(char::from(b"aeiou"[(number / 10 % 5) as usize]));
        number /= 50;
    }
    word
}

fn registry(server: &ProviderServer) -> ModelRegistry {
    let options = ClientOptions::new()
        .base_url(server.base_url().as_str())
        .api_key("a-key");
    ModelRegistry::new().compatible("openai", options)
}

async fn run(input: GenerateByTopicInput, server: &ProviderServer) -> Dataset {
    let pipeline =
        Pipeline::builder_from_input(&input, &registry(server)).expect("the provider is known");
    pipeline
        .build()
        .generate(input)
        .await
        .expect("the run completes")
}

fn distinct(dataset: &Dataset) -> usize {
    dataset
        .iter()
        .map(|record| record.data["question"].to_string())
        .collect::<HashSet<_>>()
        .len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_input_gets_exactly_its_hundred_records() {
    let server = server()
        .delay(Duration::from_millis(5))
        .start()
        .await
        .expect("a port is free");
    let example = GenerateByTopicInput::<JsonRecord>::reference_example();
    let input = GenerateByTopicInput::from_json_str(example).expect("the reference input is valid");
    let schema = input.schema().clone();
    let dataset = run(input, &server).await;

    assert_eq!((dataset.len(), distinct(&dataset)), (100, 100));
    let mut quotas: BTreeMap<&str, u64> = BTreeMap::new();
    for record in &dataset {
        *quotas.entry(record.topic.name()).or_default() += 1;
        assert!(schema.validate(&Value::Object(record.data.clone())).is_ok());
    }
    let expected = [
        ("neural networks", 32),
        ("reinforcement learning", 3),
        ("supervised learning", 33),
        ("unsupervised learning", 32),
    ];
    assert_eq!(quotas, BTreeMap::from(expected));
    assert_eq!(
        server.peak_concurrency(),
        4,
        "the input allows four calls at once, and four are made"
    );
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
    assert_eq!(dataset.report().record_calls.made, server.calls());
    assert_eq!(dataset.report().usage(), server.books().usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_come_through_a_storm_and_every_call_is_explained() {
    let limited = ServerFault::RateLimited(Some(Duration::from_millis(2)));
    let server = server()
        .fault(limited, 0.05)
        .fault(ServerFault::ServerError, 0.05)
        .fault(ServerFault::Malformed, 0.025)
        .fault(ServerFault::BrokenText, 0.025)
        .seed(11)
        .start()
        .await
        .expect("a port is free");
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 1_000,
        "topics": (0..20).map(|topic| format!("topic {topic}")).collect::<Vec<_>>(),
        // A model of its own: its lane learns how this server is, and other tests share lanes by name.
        "generation_model_name": "openai/storm",
        "data_factory_config": {"max_concurrency": 32},
    }))
    .expect("the input is valid");
    let dataset = run(input, &server).await;

    assert_eq!((dataset.len(), distinct(&dataset)), (1_000, 1_000));
    let (report, books) = (dataset.report(), server.books());
    assert_eq!(report.imbalances(), Vec::<String>::new());
    assert_eq!(report.record_calls.made, books.calls);
    // Each call beyond the thousand failed, or its answer was unusable, or repeated another.
    let faulty = report.answers.faults.values().sum::<u64>();
    let further = report.record_calls.failures() + faulty + report.candidates.duplicate;
    assert_eq!(books.calls - 1_000, further);
    assert_eq!(report.usage(), books.usage);
    assert!(further > 50, "the storm did blow: {further}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_no_credit_end_the_run_at_once() {
    for fault in [ServerFault::BadKey, ServerFault::NoCredit] {
        let server = server()
            .fault(fault, 1.0)
            .start()
            .await
            .expect("a port is free");
        let input = GenerateByTopicInput::from_json_value(json!({
            "num_records": 500, "topics": ["a"], "generation_model_name": "openai/fatal",
            "data_factory_config": {"max_concurrency": 4},
        }))
        .expect("the input is valid");
        let pipeline = Pipeline::builder_from_input(&input, &registry(&server))
            .expect("known")
            .build();
        let error = pipeline.generate(input).await.expect_err("it is fatal");
        assert!(error.error().is_fatal(), "{error}");
        assert!(!format!("{error} {error:?}").contains("a-key"), "{error}");
        // Four in flight, each of which may have let one more through before its failure was known.
        assert!(server.calls() <= 8, "{} calls", server.calls());
        assert_eq!(error.report().imbalances(), Vec::<String>::new());
    }
}
