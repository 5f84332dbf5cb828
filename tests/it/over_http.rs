//! Whole runs over real sockets, against a server that plays the provider.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::server::{ProviderServer, ProviderServerBuilder, Question, ServerFault, Wire};
use serde_json::{Value, json};
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, Memory, NearDuplicates, Reference};
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::providers::{ClientOptions, OpenAiClient};
use topicloom::random::Random;
use topicloom::report::Rejection;
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
pub(crate) fn word(mut number: u64) -> String {
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
        // A model of its own: its rate limiter learns how this server is, and other tests share rate limiters by name.
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
    let faulty = report.answers.faults.total();
    let further =
        report.record_calls.failures() + faulty + report.candidates.rejected[Rejection::Duplicate];
    assert_eq!(books.calls - 1_000, further);
    assert_eq!(report.usage(), books.usage);
    assert!(further > 50, "the storm did blow: {further}");
}

/// The question with this number, in one of four wordings.
fn worded(number: u64, wording: u64) -> String {
    let of = |place: u64| word(number * 11 + place * 1_000_003);
    let (one, two, three, four) = (of(0), of(1), of(2), of(3));
    match wording {
        0 => format!("How does the {one} of a {two} change when the {three} meets the {four}?"),
        1 => format!("**How does the {one} of a {two} change when the {three} meets the {four}?**"),
        2 => format!(
            "Could you please explain how the {one} of the {two} changes when a {three} meets a {four}?"
        ),
        _ => format!("When the {three} meets the {four}, how does the {one} of a {two} change?"),
    }
}

/// The sequences of three words of a text.
fn trigrams(text: &str) -> HashSet<[String; 3]> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let three = |of: &[String]| [of[0].clone(), of[1].clone(), of[2].clone()];
    words.windows(3).map(three).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_planted_duplicates_none_is_left() {
    let state = Mutex::new((Random::new(5), 0_u64, 0_u64));
    let server = ProviderServer::builder(Wire::OpenAi, move |_: &Question<'_>| {
        let mut state = state.lock().expect("nobody panics");
        let (random, made, planted) = &mut *state;
        // One answer in five repeats an earlier one, half of them in other words.
        let repeats = *made > 0 && random.below(5) == 0;
        let question = if repeats {
            *planted += 1;
            worded(
                random.below(*made),
                if *planted % 2 == 0 {
                    0
                } else {
                    1 + random.below(3)
                },
            )
        } else {
            *made += 1;
            worded(*made - 1, 0)
        };
        json!({"records": [{"question": question, "answer": "It depends.", "difficulty": "hard"}]})
            .to_string()
    });
    let server = server
        .delay(Duration::from_millis(2))
        .start()
        .await
        .expect("a port is free");
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 1_000,
        "topics": (0..10).map(|topic| format!("topic {topic}")).collect::<Vec<_>>(),
        "generation_model_name": "openai/planted",
        "data_factory_config": {"max_concurrency": 64},
    }));
    let input = input.expect("the input is valid");
    // No rate limiter, which would start slowly: all 64 at once, from the first moment on.
    let options = ClientOptions::new()
        .base_url(server.base_url().as_str())
        .api_key("a-key");
    let client =
        OpenAiClient::new(input.generation_model(), options).expect("the options are whole");
    let dataset = Pipeline::builder(client)
        .build()
        .generate(input)
        .await
        .expect("it completes");

    assert_eq!(dataset.len(), 1_000);
    assert!(
        server.peak_concurrency() > 32,
        "{}",
        server.peak_concurrency()
    );
    let duplicates = dataset.report().diversity.duplicates;
    assert!(
        (150..400).contains(&duplicates),
        "a fifth of the answers were planted: {duplicates}"
    );

    let deduplicator = NearDuplicates::default();
    let mut memory = deduplicator.memory();
    for (record, number) in dataset.iter().zip(0..) {
        let candidate = Candidate::new(record.topic.name(), &record.data);
        let fingerprint = deduplicator
            .fingerprint(&candidate)
            .await
            .expect("it cannot fail");
        let verdict = memory.admit(fingerprint, Reference::Record(number));
        assert!(verdict.is_unique(), "{:?}", record.data["question"]);
    }
    let questions = dataset
        .iter()
        .map(|record| record.data["question"].as_str().expect("a text"));
    let sets: Vec<HashSet<[String; 3]>> = questions.map(trigrams).collect();
    for (place, one) in sets.iter().enumerate() {
        for other in &sets[..place] {
            let shared = one.intersection(other).count();
            let all = one.len() + other.len() - shared;
            assert!(shared * 10 < all * 8, "{one:?} {other:?}");
        }
    }
    // What brute force by word sequences cannot see: a question's made-up words are its own.
    let made_up_words: HashSet<String> = dataset
        .iter()
        .map(|record| {
            let question = record.data["question"].as_str().expect("a text");
            let mut made_up: Vec<&str> = question
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.len() == 8)
                .collect();
            made_up.sort_unstable();
            made_up.join(" ")
        })
        .collect();
    assert_eq!(made_up_words.len(), 1_000);
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
