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
async fn each_row_of_a_table_gives_its_translations() {
    let dataset = run(built(job("translations.yaml")), &registry(&["openai"])).await;
    assert_eq!(dataset.len(), 12);
    for (row, records) in dataset.by_topic() {
        assert_eq!(records.len(), 2, "{row}");
        let record = json!(records[0]);
        let number = records[0].topic.row().expect("it is a row");
        assert_eq!(record["topic"], format!("row {number}"));
        assert_eq!(record["id"], format!("s{number}"));
        assert!(record.get("register").is_none() && record["text"].is_string());
    }
    let kept = dataset.iter().find(|record| record.topic.row() == Some(3));
    let kept = json!(kept.expect("it has two records"));
    assert_eq!(kept["text"], "She said: \"come in\", and left.");
}

/// Quotes a sentence of the text that it is asked about; every third time it makes one up.
#[derive(Debug)]
struct Quoting(OfflineModel, AtomicU64);

#[async_trait]
impl LlmClient for Quoting {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let call = self.1.fetch_add(1, Ordering::Relaxed);
        let answer = self.0.complete(request).await?;
        let mut answer: Value = serde_json::from_str(&answer.text).expect("it is JSON");
        let text = request.last_text();
        let lines = text.lines().skip_while(|line| *line != "text: ").skip(1);
        let lines = lines.take_while(|line| line.starts_with("    "));
        let sentences = lines.collect::<Vec<_>>().join(" ");
        let mut sentences = sentences.split(". ").filter(|sentence| sentence.len() > 30);
        let quote = match call % 3 {
            0 => "It makes tea as well.".to_owned(),
            _ => sentences.next().unwrap_or_default().to_uppercase(),
        };
        answer["records"][0]["quote"] = quote.into();
        Ok(ChatResponse::new(answer.to_string()))
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test(start_paused = true)]
async fn questions_over_documents_quote_what_stands_there() {
    let models = ModelRegistry::new().register("openai", |name| {
        Ok(Arc::new(Quoting(
            OfflineModel::new(name.as_str()),
            AtomicU64::new(0),
        )))
    });
    let dataset = run(built(job("questions-over-documents.yaml")), &models).await;
    assert_eq!(dataset.len(), 12);
    let refused = &dataset.report().filtered;
    assert!(
        refused["the quote does not stand in the text"] >= 4,
        "{refused:?}"
    );
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/inputs/manual");
    for record in &dataset {
        let record = json!(record);
        let file = record["source"].as_str().expect("it is kept");
        let text = std::fs::read_to_string(folder.join(file)).expect("it is a document");
        let plain = |text: &str| {
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase()
        };
        let quote = record["quote"].as_str().expect("the schema says text");
        assert!(plain(&text).contains(&plain(quote)), "{file}");
    }
    let covered = &dataset.report().documents;
    let names: Vec<&String> = covered.keys().collect();
    assert_eq!(names, ["descaling.md", "grinder.txt", "milk.md"]);
    assert!(
        covered
            .values()
            .all(|share| share.wanted == share.accepted && share.accepted > 0)
    );
}

#[tokio::test(start_paused = true)]
async fn examples_are_shown_and_not_made_again() {
    let given = "Can I return a helmet?";
    let models = ModelRegistry::new().register("openai", move |name| {
        let copy = json!({"records": [{"question": given, "answer": "Within 30 days, unworn and in its box."}]});
        Ok(Arc::new(Leaking(OfflineModel::new(name.as_str()), copy, AtomicU64::new(0))))
    });
    let input = built(job("from-examples.yaml"));
    let dataset = run(input.clone(), &models).await;
    assert_eq!(dataset.len(), 12);
    assert!(
        dataset
            .iter()
            .all(|record| record.data["question"] != given)
    );
    assert!(dataset.report().duplicates.values().sum::<u64>() >= 1);
    let pipeline =
        Pipeline::builder_from_input(&input, &registry(&["openai"])).expect("it is known");
    let shown = pipeline
        .build()
        .preview(input, 3)
        .await
        .expect("it begins")
        .to_string();
    assert!(
        shown.contains("Records like these are wanted; copy none of them:\n- {\"question\":"),
        "{shown}"
    );
    assert!(
        shown.contains("slips under load")
            && shown.contains("old bikes")
            && shown.contains("a helmet")
    );
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

#[tokio::test(start_paused = true)]
async fn a_judge_accepts_each_record_of_a_judged_job() {
    let dataset = run(built(job("judged.yaml")), &registry(&["openai"])).await;
    assert_eq!(dataset.len(), 12);
    for record in &dataset {
        let scores = record.meta.scores.as_ref().expect("it was judged");
        let means = scores.means();
        assert!(
            means["correct"] >= 4.0 && means["clear"] >= 3.0,
            "{scores:?}"
        );
        assert_eq!(scores.votes().len(), 2);
    }
    let labels = dataset.report().labels.as_ref();
    let labels = labels.expect("a pharmacist looked at some");
    assert_eq!((labels.records, labels.criteria["clear"].records), (6, 6));
    assert!(labels.accuracy().is_some() && labels.kappa().is_some());
}
