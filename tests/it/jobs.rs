//! The jobs in `examples/inputs`, with models that a test answers for.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, OfflineModel, Purpose};
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

/// Puts into a record what a job needs that is about more than the schema.
type Puts = fn(u64, &ChatRequest, &mut Value);

/// Writes as the stand-in does, with something put in. Now and then it says what it said before, talks, or leaves a field out.
#[derive(Debug)]
struct Careless {
    model: OfflineModel,
    puts: Puts,
    calls: AtomicU64,
    last: Mutex<String>,
}

#[async_trait]
impl LlmClient for Careless {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let answer = self.model.complete(request).await?;
        let mut said: Value = serde_json::from_str(&answer.text).expect("it is JSON");
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if request.purpose != Purpose::Records {
            (self.puts)(call, request, &mut said);
            return Ok(ChatResponse::new(said.to_string()));
        }
        let records = said["records"].as_array_mut().expect("it is a list");
        for record in records.iter_mut() {
            (self.puts)(call, request, record);
        }
        match call % 9 {
            2 => return Ok(ChatResponse::new("I would rather talk of something else.")),
            4 => {
                let fields = records[0].as_object_mut().expect("it is a record");
                let last = fields.keys().next_back().cloned().unwrap_or_default();
                fields.shift_remove(&last);
            }
            6 => {
                let last = self.last.lock().expect("no panic").clone();
                return Ok(ChatResponse::new(last));
            }
            _ => *self.last.lock().expect("no panic") = said.to_string(),
        }
        Ok(ChatResponse::new(said.to_string()))
    }

    fn model(&self) -> &str {
        self.model.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.model.capabilities()
    }
}

async fn run_careless(input: GenerateByTopicInput, puts: Puts) -> Dataset {
    let models = ModelRegistry::new().register("openai", move |name| {
        Ok(Arc::new(Careless {
            model: OfflineModel::new(name.as_str()),
            puts,
            calls: AtomicU64::new(0),
            last: Mutex::default(),
        }))
    });
    run(input, &models).await
}

/// Quotes a sentence of the text that it is asked about; every third time it makes one up.
fn quote(call: u64, request: &ChatRequest, record: &mut Value) {
    let text = request.last_text();
    let lines = text.lines().skip_while(|line| *line != "text: ").skip(1);
    let lines = lines.take_while(|line| line.starts_with("    "));
    let sentences = lines.collect::<Vec<_>>().join(" ");
    let mut sentences = sentences.split(". ").filter(|sentence| sentence.len() > 30);
    record["quote"] = match call % 3 {
        0 => "It makes tea as well.".into(),
        _ => sentences.next().unwrap_or_default().to_uppercase().into(),
    };
}

/// Likes most of what it buys.
fn praise(call: u64, _: &ChatRequest, record: &mut Value) {
    if call.is_multiple_of(2) {
        record["sentiment"] = "positive".into();
    }
}

/// Now and then changes what it should only read.
fn query(call: u64, _: &ChatRequest, record: &mut Value) {
    record["sql"] = match call % 5 {
        0 => "DROP TABLE orders;".into(),
        _ => format!("SELECT count(*) FROM orders WHERE customer_id = {call};").into(),
    };
}

/// Writes German, names of topics too, and now and then English.
fn in_german(call: u64, request: &ChatRequest, said: &mut Value) {
    const SHIPS: [&str; 7] = [
        "Koggen",
        "Galeeren",
        "Dampfer",
        "Klipper",
        "Karavellen",
        "Fähren",
        "Lotsenboote",
    ];
    const PLACES: [&str; 9] = [
        "der Ostsee",
        "dem Mittelmeer",
        "Hamburg",
        "Venedig",
        "Indien",
        "Grönland",
        "dem Rhein",
        "Lissabon",
        "der Südsee",
    ];
    let word = |number: u64, words: &[&str]| {
        words[usize::try_from(number).expect("it is small") % words.len()].to_owned()
    };
    if request.purpose == Purpose::Topics {
        let names = said
            .as_object_mut()
            .expect("it is an object")
            .values_mut()
            .next()
            .expect("it has names");
        for (name, number) in names
            .as_array_mut()
            .expect("it is a list")
            .iter_mut()
            .zip(call * 5..)
        {
            *name = format!("{} vor {}", word(number, &SHIPS), word(number, &PLACES)).into();
        }
    } else if call.is_multiple_of(4) {
        *said = json!({
            "frage": format!("Why were no more of these ships built after {call} years?"),
            "antwort": "Because there were others that carried more, and the harbours had become too small for them.",
        });
    } else {
        let (ships, place) = (word(call, &SHIPS), word(call, &PLACES));
        *said = json!({
            "frage": format!("Warum wurden die {ships} vor {place} nach {call} Jahren nicht mehr gebaut?"),
            "antwort": format!("Weil andere Schiffe mehr Ware trugen und die Häfen von {place} für sie zu klein geworden waren."),
        });
    }
}

/// Each job with a model that has to be asked again: as many records as wanted, valid, none repeated, with exact shares.
#[tokio::test(start_paused = true)]
async fn jobs_give_what_they_ask_for_whatever_the_model_does() {
    let nothing: Puts = |_, _, _| ();
    let jobs: [(&str, usize, Puts); 9] = [
        ("reviews.yaml", 60, nothing),
        ("text-to-sql.yaml", 40, query),
        ("questions-over-documents.yaml", 12, quote),
        ("classification.yaml", 24, praise),
        ("translations.yaml", 12, nothing),
        ("without-benchmark.yaml", 20, nothing),
        ("topic-tree.yaml", 60, in_german),
        ("code-tasks.yaml", 24, nothing),
        ("clinical-notes.yaml", 30, nothing),
    ];
    for (name, wanted, puts) in jobs {
        let input = built(job(name));
        let dataset = run_careless(input.clone(), puts).await;
        assert_eq!(dataset.len(), wanted, "{name}");
        let mut seen = HashSet::new();
        for record in &dataset {
            let data = json!(record.data);
            assert!(input.schema().validate(&data).is_ok(), "{name}: {data}");
            assert!(
                seen.insert(data.to_string().to_lowercase()),
                "{name}: {data}"
            );
        }
        let report = dataset.report();
        assert!(
            report.candidates.total > report.accepted,
            "{name}: nothing was refused"
        );
        assert_eq!(report.imbalances(), Vec::<String>::new(), "{name}");
        for attribute in input.attributes() {
            for (value, share) in &attribute.values {
                let key = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                let counted = report.attributes[&attribute.name][&key];
                let is_it = |record: &&topicloom::Record| json!(record)[&attribute.name] == *value;
                let made = dataset.iter().filter(is_it).count();
                assert_eq!(
                    [counted.wanted, counted.accepted],
                    [made as u64; 2],
                    "{name}: {key}"
                );
                let exact = share * f64::from(u32::try_from(wanted).expect("it is small"));
                let made = f64::from(u32::try_from(made).expect("it is small"));
                assert!(
                    (made - exact).abs() < 1e-6,
                    "{name}: {key} {made} of {exact}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_classification_has_as_many_of_each_label() {
    let dataset = run_careless(built(job("classification.yaml")), praise).await;
    for label in ["positive", "negative", "neutral"] {
        let is_it = |record: &&topicloom::Record| record.data["sentiment"] == label;
        assert_eq!(dataset.iter().filter(is_it).count(), 8, "{label}");
    }
    let refused = &dataset.report().filtered;
    assert!(
        refused["`sentiment` is not the value that was asked for"] > 3,
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

#[tokio::test(start_paused = true)]
async fn questions_over_documents_quote_what_stands_there() {
    let dataset = run_careless(built(job("questions-over-documents.yaml")), quote).await;
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
async fn a_topic_tree_has_as_many_topics_as_leaves_and_speaks_its_language() {
    let dataset = run_careless(built(job("topic-tree.yaml")), in_german).await;
    let topics = &dataset.report().topics;
    assert_eq!((dataset.len(), topics.len()), (60, 20));
    assert!(
        topics
            .iter()
            .all(|topic| topic.topic.path().count() == 1 && topic.quota == 3)
    );
    assert!(
        topics
            .iter()
            .all(|topic| topic.topic.name().contains(" vor "))
    );
    let frage = |record: &topicloom::Record| record.data["frage"].to_string();
    assert!(
        dataset
            .iter()
            .all(|record| frage(record).contains("nicht mehr gebaut"))
    );
    let refused = &dataset.report().filtered;
    assert!(refused["the record is not in German"] > 5, "{refused:?}");
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
