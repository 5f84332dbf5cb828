//! Topics crossed with attributes: exact shares, whatever the model answers.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // Small numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::journal::MemoryJournal;
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, OfflineModel, OutputMode};
use topicloom::random::Random;
use topicloom::schema::Dialect;
use topicloom::testing::scripted;
use topicloom::{Dataset, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline};

/// Answers as the embedded model does, but now and then fails, answers nothing of use, or writes another level; what it is asked
/// for it is told in the prompt alone.
#[derive(Debug, Clone)]
struct Wayward {
    seed: u64,
    calls: Arc<AtomicU64>,
}

impl Wayward {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            calls: Arc::default(),
        }
    }
}

#[async_trait]
impl LlmClient for Wayward {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::new(self.seed).nth(call);
        let said = |name: &str| {
            let mut lines = request.last_text().lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or("none").to_owned()
        };
        let level = match random.below(10) {
            0 => return Err(Error::new(ErrorKind::Overloaded, "busy")),
            1 => return Ok(ChatResponse::new("I would rather not say.")),
            2..=4 => "medium".to_owned(),
            _ => said("level"),
        };
        let question = format!("{} {call} {}?", said("Topic"), random.next_u64());
        let record = json!({"question": question, "level": level});
        Ok(ChatResponse::new(json!({"records": [record]}).to_string()))
    }

    fn model(&self) -> &'static str {
        "test/wayward"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::structured(&[OutputMode::Json], Dialect::Full)
    }
}

fn input(random: &mut Random) -> GenerateByTopicInput {
    let topics: Vec<String> = (0..=random.below(5))
        .map(|topic| format!("topic {topic}"))
        .collect();
    let tenths = 1 + random.below(8);
    GenerateByTopicInput::from_json_value(json!({
        "num_records": topics.len() as u64 + random.below(20),
        "topics": topics,
        "attributes": {
            "level": {"easy": tenths as f64 / 10.0, "medium": 0.1, "hard": (9 - tenths) as f64 / 10.0},
            "persona": ["a", "b", "c"],
        },
        "output_schema": [
            {"name": "question", "type": "str"}, {"name": "level", "type": "str", "enum": ["easy", "medium", "hard"]},
        ],
        "deduplication": "exact",
        "data_factory_config": {
            "max_concurrency": random.below(16) + 1, "seed": random.next_u64(), "dead_queue_threshold": 1_000,
            "job_run_stop_threshold": 1_000,
        },
    }))
    .expect("the drawn input is valid")
}

/// Checks that shares are exact over the run and, for the levels, in each topic.
fn check(dataset: &Dataset, input: &GenerateByTopicInput, seed: u64) {
    let total = input.num_records().expect("the input says it") as f64;
    assert_eq!(
        Some(dataset.len() as u64),
        input.num_records(),
        "seed {seed}"
    );
    let exported: Vec<Value> = dataset.iter().map(|record| json!(record)).collect();
    for attribute in input.attributes() {
        for (value, share) in &attribute.values {
            let is_it = |record: &&Value| record[&attribute.name] == *value;
            let got = exported.iter().filter(is_it).count() as f64;
            assert!(
                (got - share * total).abs() < 1.0,
                "seed {seed}: {} {value}",
                attribute.name
            );
            let reported = dataset.report().attributes[&attribute.name]
                .get(value.as_str().expect("it is a text"));
            let reported = reported.map_or((0, 0), |share| (share.wanted, share.accepted));
            assert_eq!(reported, (got as u64, got as u64), "seed {seed}");
        }
    }
    for (topic, records) in dataset.by_topic() {
        for (value, share) in &input.attributes()[0].values {
            let got = records
                .iter()
                .filter(|record| record.data["level"] == *value)
                .count();
            let off = got as f64 - share * records.len() as f64;
            assert!(off.abs() <= 1.0 + 1e-9, "seed {seed}: {topic} {value}");
        }
    }
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn shares_are_exact_in_two_hundred_runs_of_a_wayward_model() {
    let mut strayed = 0;
    for seed in 0..200 {
        let input = input(&mut Random::new(seed).fork("crossed"));
        let pipeline = Pipeline::builder(Wayward::new(seed)).build();
        let dataset = pipeline.generate(input.clone()).await;
        let dataset = dataset.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check(&dataset, &input, seed);
        let refused = &dataset.report().filtered;
        strayed += refused
            .get("`level` is not the value that was asked for")
            .unwrap_or(&0);
    }
    assert!(strayed > 500, "{strayed} records of another level");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_has_the_shares_that_it_began_with() {
    let input = input(&mut Random::new(7).fork("crossed"));
    let journal = MemoryJournal::default();
    let model = Wayward::new(7);
    let run = async |model: Wayward, journal: MemoryJournal| {
        let pipeline = Pipeline::builder(model).journal(journal).build();
        pipeline.generate(input.clone()).await
    };
    let whole = run(model.clone(), journal.clone())
        .await
        .expect("it completes");
    check(&whole, &input, 7);
    let entries = journal.entries();
    for cut in (0..=entries.len()).step_by(5) {
        let kept = MemoryJournal::with_entries(entries[..cut].to_vec());
        let again = run(Wayward::new(cut as u64), kept)
            .await
            .expect("it completes");
        check(&again, &input, cut as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn another_plan_of_attributes_is_noticed() {
    let input = |share: f64| {
        GenerateByTopicInput::from_json_value(json!({
            "num_records": 10, "topics": ["tides"], "attributes": {"level": {"easy": share, "hard": 1.0 - share}},
        }))
        .expect("it is valid")
    };
    let journal = MemoryJournal::default();
    let pipeline = Pipeline::builder(OfflineModel::default()).journal(journal.clone());
    pipeline
        .clone()
        .build()
        .generate(input(0.5))
        .await
        .expect("it completes");
    let error = pipeline
        .clone()
        .build()
        .generate(input(0.3))
        .await
        .expect_err("it is another input");
    assert!(
        error.to_string().contains("differs in `attributes`"),
        "{error}"
    );
    let changed = pipeline
        .resume_changed_input()
        .build()
        .generate(input(0.3))
        .await;
    let changed = changed.expect("it completes");
    let shares = &changed.report().attributes["level"];
    assert_eq!((shares["easy"].accepted, shares["hard"].accepted), (3, 7));
    // Of the hard ones there were five.
    assert_eq!(
        changed.report().record_calls.answered - changed.report().resumed_answers,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_value_owes_is_not_asked_of_another() {
    // Nothing hard is ever new.
    let model = scripted((0..60).map(|call| {
        json!({"records": [{"question": format!("{} {call}?", "why ".repeat(call % 7)), "level": "easy"}]})
    }));
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 12, "topics": ["a", "b"], "attributes": {"level": ["easy", "hard"]}, "deduplication": "exact",
        "output_schema": [{"name": "question", "type": "str"}, {"name": "level", "type": "str"}],
        "reallocate": true, "dead_queue_threshold": 3, "max_concurrency": 1, "seed": 1,
    }))
    .expect("it is valid");
    let error = Pipeline::builder(model)
        .build()
        .generate(input)
        .await
        .expect_err("it is short");
    assert_eq!(error.error().kind(), ErrorKind::Incomplete, "{error}");
    assert!(
        error.error().to_string().contains("(level: hard)"),
        "{error}"
    );
    let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
    for record in error.dataset() {
        *levels
            .entry(record.data["level"].as_str().expect("a text"))
            .or_default() += 1;
    }
    assert_eq!(levels, BTreeMap::from([("easy", 6)]));
    assert_eq!(error.report().attributes["level"]["hard"].wanted, 6);
}
