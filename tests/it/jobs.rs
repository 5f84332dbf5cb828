//! The jobs in `examples/inputs`, with models that a test answers for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, OfflineModel};
use topicloom::{Dataset, Error, ErrorKind, GenerateByTopicInput, Pipeline, Result};

use crate::embedding::embedding_server;

fn job(name: &str) -> GenerateByTopicInputBuilder {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("examples/inputs")
        .join(name);
    GenerateByTopicInputBuilder::from_file(file).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn built(builder: GenerateByTopicInputBuilder) -> GenerateByTopicInput {
    builder
        .set("seed", 1)
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Finds the stand-in under the names of these providers.
fn registry(providers: &[&str]) -> ModelRegistry {
    providers
        .iter()
        .fold(ModelRegistry::new(), |registry, provider| {
            registry.register(*provider, |name| {
                Ok(Arc::new(OfflineModel::new(name.as_str())))
            })
        })
}

async fn run(input: GenerateByTopicInput, models: &ModelRegistry) -> Dataset {
    let pipeline = Pipeline::builder_from_input(&input, models)
        .expect("the models are known")
        .build();
    let dataset = pipeline.generate(input).await;
    dataset.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(start_paused = true)]
async fn a_classification_has_no_label_that_its_filter_refuses() {
    let dataset = run(built(job("classification.yaml")), &registry(&["openai"])).await;
    assert_eq!(dataset.len(), 24);
    let labels = dataset
        .iter()
        .map(|record| record.data["sentiment"].as_str());
    assert!(
        labels
            .clone()
            .all(|label| matches!(label, Some("positive" | "negative")))
    );
    let refused = &dataset.report().filtered;
    assert!(
        refused
            .keys()
            .any(|reason| reason.contains("`sentiment` is none of the values")),
        "{refused:?}"
    );
    assert_eq!(dataset.by_topic()["a train journey"].len(), 6);
}

#[tokio::test(start_paused = true)]
async fn reviews_have_exact_shares_of_ratings() {
    let dataset = run(built(job("reviews.yaml")), &registry(&["openai"])).await;
    assert_eq!(dataset.len(), 60);
    let of = |rating: u64| {
        let is_it = |record: &&topicloom::Record| record.data["rating"] == rating;
        dataset.iter().filter(is_it).count()
    };
    assert_eq!([1, 2, 3, 4, 5].map(of), [6, 6, 12, 18, 18]);
    let customers = &dataset.report().attributes["customer"];
    assert!(
        customers
            .values()
            .all(|share| share.wanted == 20 && share.accepted == 20)
    );
    let tents = &dataset.by_topic()["a tent"];
    let ratings = tents.iter().filter(|record| record.data["rating"] == 4);
    assert_eq!((tents.len(), ratings.count()), (10, 3));
    assert!(json!(tents[0])["customer"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_topic_tree_has_as_many_topics_as_leaves() {
    let dataset = run(built(job("topic-tree.yaml")), &registry(&["openai"])).await;
    let topics = &dataset.report().topics;
    assert_eq!((dataset.len(), topics.len()), (60, 20));
    assert!(
        topics
            .iter()
            .all(|topic| topic.topic.path().count() == 1 && topic.quota == 3)
    );
}

/// Refuses its key.
#[derive(Debug)]
struct Refused;

#[async_trait]
impl LlmClient for Refused {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Err(Error::new(ErrorKind::Unavailable, "it is out"))
    }

    fn model(&self) -> &'static str {
        "mistral/mistral-small-latest"
    }
}

#[tokio::test(start_paused = true)]
async fn models_share_the_work_and_a_fallback_takes_over() {
    let input = built(job("two-models.yaml"));
    let written = |dataset: &Dataset| {
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for record in dataset {
            *by.entry(record.meta.model.to_string()).or_default() += 1;
        }
        by
    };
    let shared = written(&run(input.clone(), &registry(&["openai", "mistral", "groq"])).await);
    let [first, second] =
        ["openai/gpt-4o-mini", "mistral/mistral-small-latest"].map(|name| shared[name]);
    assert_eq!(first + second, 40, "{shared:?}");
    assert!(first > 2 * second && second > 0, "{shared:?}");
    let models = registry(&["openai", "groq"]).register("mistral", |_| Ok(Arc::new(Refused)));
    let taken = written(&run(input, &models).await);
    assert!(taken["groq/llama-3.3-70b-versatile"] > 0, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn prompts_are_in_the_words_of_the_file() {
    let input = built(job("own-prompts.toml"));
    let pipeline = Pipeline::builder_from_input(&input, &registry(&["openai"]))
        .expect("it is known")
        .build();
    let shown = pipeline
        .preview(input, 1)
        .await
        .expect("it begins")
        .to_string();
    for words in [
        "You invent riddles: Riddles with their solutions. They are for children of eight.",
        "1 for children of eight, about: ",
        "\"riddle\": ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

/// Counts calls.
#[derive(Debug)]
struct Counted(OfflineModel, Arc<AtomicU64>);

#[async_trait]
impl LlmClient for Counted {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.complete(request).await
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limits_are_kept_to() {
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let models = ModelRegistry::new().register("house", move |name| {
        Ok(Arc::new(Counted(
            OfflineModel::new(name.as_str()),
            Arc::clone(&count),
        )))
    });
    let input = built(job("rate-limits.yaml").set("records_per_request", 1));
    let started = Instant::now();
    run(input, &models).await;
    let calls = calls.load(Ordering::Relaxed);
    // Two a second, of which a second's worth may go at once.
    let least = Duration::from_millis((calls - 2) * 500);
    assert!(
        calls >= 30 && started.elapsed() >= least,
        "{calls} in {:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_benchmark_comes_again() {
    let answers = |question: &str| json!({"records": [{"question": question, "answer": "It is in the benchmark, or is it not?"}]});
    let leaked = "Why does a comet have a tail?";
    let models = ModelRegistry::new().register("openai", move |name| {
        Ok(Arc::new(Leaking(
            OfflineModel::new(name.as_str()),
            answers(leaked),
            AtomicU64::new(0),
        )))
    });
    let dataset = run(built(job("without-benchmark.yaml")), &models).await;
    assert_eq!(dataset.len(), 20);
    assert!(
        dataset
            .iter()
            .all(|record| record.data["question"] != leaked)
    );
    assert!(dataset.report().duplicates.values().sum::<u64>() >= 1);
}

/// Says what it should not, every third time.
#[derive(Debug)]
struct Leaking(OfflineModel, Value, AtomicU64);

#[async_trait]
impl LlmClient for Leaking {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if self.2.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            return Ok(ChatResponse::new(self.1.to_string()));
        }
        self.0.complete(request).await
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test]
async fn repeats_are_found_by_their_meaning() {
    let (base_url, asked) = embedding_server();
    let job = job("by-meaning.yaml")
        .set("deduplication.embedding_model", "house/small")
        .set("providers.house.base_url", base_url)
        .set("dead_queue_threshold", 1_000);
    let dataset = run(built(job), &registry(&["openai"])).await;
    assert_eq!(dataset.len(), 15);
    assert!(asked.load(std::sync::atomic::Ordering::Relaxed) >= 15);
    let found = &dataset.report().duplicates;
    assert!(
        found.keys().any(|method| method.contains("semantic")),
        "{found:?}"
    );
}
