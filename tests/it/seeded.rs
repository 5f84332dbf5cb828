//! Many runs under faults, quotas and concurrencies drawn from seeds.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use topicloom::journal::FileJournal;
use topicloom::llm::price::PriceTable;
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, OfflineModel};
use topicloom::random::Random;
use topicloom::report::Outcome;
use topicloom::testing::FaultyModel;
use topicloom::{Dataset, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline};

fn model(seed: u64) -> FaultyModel {
    FaultyModel::new(seed)
        .failures(0.3)
        .duplicates(0.4)
        .malformed(0.1)
        .truncated(0.05)
        .delays(Duration::from_millis(1)..=Duration::from_secs(3))
}

fn input(random: &mut Random) -> GenerateByTopicInput {
    let topics: Vec<Value> = (0..=random.below(6))
        .map(|topic| json!({ format!("topic {topic}"): random.below(12) + 1 }))
        .collect();
    let total: u64 = topics
        .iter()
        .flat_map(|topic| topic.as_object().expect("an object").values())
        .filter_map(Value::as_u64)
        .sum();
    GenerateByTopicInput::from_json_value(json!({
        "num_records": total,
        "topics": topics,
        "data_factory_config": {
            "max_concurrency": random.below(16) + 1,
            "records_per_request": random.below(3) + 1,
            "reallocate": random.below(2) == 0,
            "seed": random.next_u64(),
        },
    }))
    .expect("the drawn input is valid")
}

fn normalised(data: &topicloom::JsonRecord) -> String {
    let words = |field: &str| {
        let text = data[field]
            .as_str()
            .expect("the schema says text")
            .to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    format!("{} / {}", words("question"), words("answer"))
}

fn check(dataset: &Dataset, seed: u64) {
    let report = dataset.report();
    assert_eq!(report.imbalances(), Vec::<String>::new(), "seed {seed}");
    let distinct: HashSet<String> = dataset
        .iter()
        .map(|record| normalised(&record.data))
        .collect();
    assert_eq!(
        distinct.len(),
        dataset.len(),
        "seed {seed}: a duplicate was accepted"
    );
    for topic in &report.topics {
        let made = dataset
            .iter()
            .filter(|record| record.topic == topic.topic)
            .count() as u64;
        assert_eq!(made, topic.candidates.accepted, "seed {seed}");
        assert!(made <= topic.quota, "seed {seed}");
        // A topic is short exactly if it was given up, and what is moved away is no longer owed.
        if topic.missing() > 0 {
            let why = topic
                .given_up
                .unwrap_or_else(|| panic!("seed {seed}: {} is short for no reason", topic.topic));
            assert!(why.misses >= 3, "seed {seed}");
            assert_eq!(
                Some(why.last),
                topic
                    .last_miss
                    .filter(|last| *last == why.last)
                    .or(Some(why.last))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_runs_are_exact_or_say_why_not() {
    let mut complete = 0;
    for seed in 0..1_000 {
        let mut random = Random::new(seed).fork("seeded runs");
        let input = input(&mut random);
        let concurrency = input.settings().max_concurrency;
        let requested = input.allocation().total();
        let model = model(random.next_u64());
        let dataset = match Pipeline::builder(model.clone())
            .build()
            .generate(input)
            .await
        {
            Ok(dataset) => {
                assert_eq!(dataset.len() as u64, requested, "seed {seed}");
                complete += 1;
                dataset
            }
            Err(error) => {
                assert_eq!(
                    error.error().kind(),
                    ErrorKind::Incomplete,
                    "seed {seed}: {error}"
                );
                assert_eq!(error.report().outcome, Outcome::Incomplete);
                assert!((error.dataset().len() as u64) < requested, "seed {seed}");
                error.into_dataset()
            }
        };
        check(&dataset, seed);
        let books = model.books();
        let (counts, report) = (books.counts(), dataset.report());
        assert_eq!(report.record_calls.made, counts.calls, "seed {seed}");
        assert_eq!(report.record_calls.answered, counts.answers, "seed {seed}");
        assert_eq!(
            report.record_calls.failures(),
            counts.failures,
            "seed {seed}"
        );
        assert_eq!(report.record_calls.usage, counts.usage, "seed {seed}");
        assert!(
            counts.peak_concurrency <= concurrency,
            "seed {seed}: {} at once",
            counts.peak_concurrency
        );
        for record in &dataset {
            assert!(
                books.has_handed_out(&Value::Object(record.data.clone())),
                "seed {seed}: made up: {:?}",
                record.data
            );
        }
    }
    // With a third of all attempts giving nothing, some topics are given up for mere bad luck; most are not.
    assert!(
        complete >= 500,
        "only {complete} of 1 000 runs were complete"
    );
    println!("{complete} of 1 000 runs were complete");
}

/// The embedded model, with answers that take as long as chance has it, and another time each time.
#[derive(Debug)]
struct Unsteady(OfflineModel, AtomicU64);

impl Unsteady {
    fn new(seed: u64) -> Self {
        Self(OfflineModel::default(), AtomicU64::new(seed))
    }
}

#[async_trait]
impl LlmClient for Unsteady {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let step = |seed: u64| Some(Random::new(seed).next_u64());
        let drawn = self
            .1
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let microseconds = drawn.unwrap_or_default() % 3_000;
        tokio::time::sleep(Duration::from_micros(microseconds)).await;
        self.0.complete(request).await
    }

    fn model(&self) -> &'static str {
        "test/unsteady"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

/// Answers its calls one after the other, whatever they ask.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

#[async_trait]
impl LlmClient for Counting {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_micros(100)).await;
        let topic = request.last_text().len();
        let record = json!({"question": format!("{} of {topic}", number * 2 / 3), "answer": "x"});
        Ok(ChatResponse::new(record.to_string()))
    }

    fn model(&self) -> &'static str {
        "test/counting"
    }
}

/// Returns the lines of a data set that is read by a consumer that is busy now and then.
async fn lines(client: impl LlmClient, json: Value, journal: Option<&Path>) -> Vec<String> {
    let input = GenerateByTopicInput::from_json_value(json).expect("the test's input is valid");
    // Their names differ, and what they cost does not.
    let free = json!({"test/*": {"input": 0, "output": 0}, "offline/*": {"input": 0, "output": 0}});
    let prices = PriceTable::empty().with_json(free.as_object().expect("it is an object"));
    let mut builder = Pipeline::builder(client).prices(prices.expect("they are prices"));
    if let Some(path) = journal {
        builder = builder.journal(FileJournal::open(path).expect("there is room"));
    }
    let mut run = builder.build().run(input).expect("it starts");
    let mut lines = Vec::new();
    while let Some(record) = run.next().await {
        let record = record.expect("it completes");
        if lines.len() % 7 == 0 {
            tokio::time::sleep(Duration::from_micros(900)).await;
        }
        lines.push(format!("{} {:?}", json!(record), record.meta));
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_seed_repeats_a_run_of_the_embedded_model_whatever_the_concurrency_is() {
    let directory = tempfile::tempdir().expect("there is room");
    for (number, extra) in [
        json!({}),
        json!({"topics": null, "records_per_topic": 15}),
        // Hardly anything is new.
        json!({"output_schema": [{"name": "first_name", "type": "str"}], "num_records": 24}),
    ]
    .into_iter()
    .enumerate()
    {
        let json = |concurrency: u64| {
            let mut json = json!({
                "user_instruction": "about the sea", "num_records": 120, "topics": ["tides", "waves", {"reefs": 3}],
                "data_factory_config": {
                    "seed": 5, "max_concurrency": concurrency, "records_per_request": 1 + number as u64,
                    "dead_queue_threshold": 100,
                },
            });
            for (key, value) in extra.as_object().expect("it is an object") {
                json[key] = value.clone();
            }
            json
        };
        let first = lines(OfflineModel::default(), json(10), None).await;
        for (run, concurrency) in [1, 2, 7, 10, 10, 30].into_iter().enumerate() {
            let journal = directory.path().join(format!("{number} {run}"));
            let journal = (run % 2 == 0).then_some(&*journal);
            let again = lines(Unsteady::new(run as u64), json(concurrency), journal).await;
            let named = |line: &String| line.replace("test/unsteady", "offline/loom");
            let again: Vec<String> = again.iter().map(named).collect();
            assert!(
                again == first,
                "input {number}, run {run}, concurrency {concurrency}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_seed_repeats_a_run_of_a_model_that_counts_its_calls_at_concurrency_1() {
    let json = json!({
        "num_records": 60, "topics": ["tides", "sea weeds"],
        "data_factory_config": {"seed": 5, "max_concurrency": 1, "dead_queue_threshold": 100},
    });
    let first = lines(Counting::default(), json.clone(), None).await;
    for _ in 0..10 {
        assert!(lines(Counting::default(), json.clone(), None).await == first);
    }
}
