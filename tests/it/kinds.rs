//! Runs that make records of a kind: chats, calls of tools, preferences.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::journal::{Entry, Journal, MemoryJournal};
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::{
    Capabilities, ChatRequest, ChatResponse, FinishReason, LlmClient, OfflineModel, Purpose, Usage,
};
use topicloom::schema::RecordSchema;
use topicloom::testing::mock_llm;
use topicloom::{Dataset, ErrorKind, GenerateByTopicInput, Pipeline, Result, RunError};

fn job(name: &str) -> GenerateByTopicInputBuilder {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/inputs");
    let job = GenerateByTopicInputBuilder::from_file(folder.join(name));
    job.unwrap_or_else(|error| panic!("{name}: {error}"))
        .set("seed", 1)
}

async fn run_offline(job: GenerateByTopicInputBuilder) -> Dataset {
    let models = ModelRegistry::new().register("openai", |name| {
        Ok(Arc::new(OfflineModel::new(name.as_str())))
    });
    let input = job.build().unwrap_or_else(|error| panic!("{error}"));
    let pipeline = Pipeline::builder_from_input(&input, &models).expect("the models are known");
    let dataset = pipeline.build().generate(input.clone()).await;
    let dataset = dataset.unwrap_or_else(|error| panic!("{error}"));
    for record in &dataset {
        let data = Value::Object(record.data.clone());
        input
            .schema()
            .validate(&data)
            .unwrap_or_else(|faults| panic!("{data}: {faults:?}"));
    }
    let different: BTreeSet<String> = dataset
        .iter()
        .map(|record| json!(record.data).to_string())
        .collect();
    assert_eq!(different.len(), dataset.len());
    dataset
}

#[tokio::test(start_paused = true)]
async fn chats_keep_their_order() {
    let dataset = run_offline(job("chats.yaml")).await;
    assert_eq!(dataset.len(), 12);
    for record in &dataset {
        let messages = record.data["messages"].as_array().expect("a list");
        let roles = messages.iter().map(|message| &message["role"]);
        let turns = ["user", "assistant"].repeat(4);
        assert!(roles.eq(["system"].iter().chain(&turns[..messages.len() - 1])));
        assert!([5, 7, 9].contains(&messages.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_is_none_is_told_to_the_model_and_asked_for_again() {
    let (client, mut handle) = mock_llm();
    let input = GenerateByTopicInput::builder()
        .topics(["parcels"])
        .num_records(1)
        .kind("chat")
        .set("max_concurrency", 1)
        .build()
        .expect("the test's input is valid");
    let run = tokio::spawn(async move { Pipeline::builder(client).build().generate(input).await });
    let chat = |roles: &[&str]| {
        let said = roles.iter().enumerate();
        let said = said
            .map(|(place, role)| json!({"role": role, "content": format!("Words of {place}.")}));
        json!({"records": [{"messages": said.collect::<Vec<_>>()}]}).to_string()
    };
    let first = handle.next_call().await;
    let prompt = first
        .request()
        .messages
        .iter()
        .map(|message| message.text.to_string())
        .collect::<String>();
    assert!(prompt.contains("User and assistant take turns, the user first: 2 to 10 messages, the last from the assistant"), "{prompt}");
    first.text(chat(&["user", "assistant", "user"]));
    let again = handle.next_call().await;
    assert!(
        again
            .request()
            .last_text()
            .contains("the last message is not the assistant's")
    );
    again.text(chat(&["user", "assistant"]));
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(
        dataset.report().filtered["the last message is not the assistant's"],
        1
    );
}

#[tokio::test(start_paused = true)]
async fn chats_that_begin_with_the_same_system_message_are_no_repeats_for_that() {
    let (client, mut handle) = mock_llm();
    let input = GenerateByTopicInput::builder()
        .topics(["parcels"])
        .num_records(4)
        .kind(json!({"chat": {"system": "required"}}))
        .set("max_concurrency", 1)
        .build()
        .expect("the test's input is valid");
    let run = tokio::spawn(async move { Pipeline::builder(client).build().generate(input).await });
    let chat = |asked: &str, told: &str| {
        json!({"messages": [
            {"role": "system", "content": "You are the friendly assistant of a parcel service. Ask for the number of the parcel before you look it up, and never promise a time."},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": told},
        ]})
        .to_string()
    };
    let late = "My parcel was to come on Monday, and today is Thursday. Where is it?";
    let number = "I am sorry about the delay. Would you give me the number of your parcel?";
    for (asked, told) in [
        (late, number),
        (
            "The box arrived with a hole in it, and the vase inside is broken.",
            "That is a pity. Please send a picture of the box, and its number.",
        ),
        (
            "I moved last week. Can you bring my parcel to the new flat?",
            "Yes, as long as it is not on the van yet. What is its number?",
        ),
        // The same again, in other case and with another ending.
        (
            "My parcel was to come on Monday, and today is Thursday! Where is it",
            number,
        ),
        (
            "How do I send back shoes that I bought in a shop?",
            "Print the label of the shop, and bring the shoes to any of our counters.",
        ),
    ] {
        handle.next_call().await.text(chat(asked, told));
    }
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.len(), 4);
    assert_eq!(dataset.report().duplicates.values().sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_call_fits_the_schema_of_its_tool() {
    let dataset = run_offline(job("tool-calls.yaml")).await;
    assert_eq!(dataset.len(), 15);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/inputs");
    let tools = std::fs::read_to_string(folder.join("tools.json")).expect("it is there");
    let tools: Vec<Value> = serde_json::from_str(&tools).expect("it is JSON");
    let mut called = BTreeSet::new();
    for call in dataset
        .iter()
        .flat_map(|record| record.data["tool_calls"].as_array().expect("a list"))
    {
        let tool = tools
            .iter()
            .find(|tool| tool["function"]["name"] == call["name"])
            .expect("it is a tool");
        if let Some(parameters) = tool["function"].get("parameters") {
            let schema =
                RecordSchema::from_json_schema(parameters.clone()).expect("it is a schema");
            schema
                .validate(&call["arguments"])
                .unwrap_or_else(|faults| panic!("{call}: {faults:?}"));
        }
        called.insert(call["name"].as_str().expect("a text"));
    }
    assert_eq!(called.len(), 3, "each is called");
}

/// Writes as the stand-in does, and answers and judges by what it is shown.
#[derive(Debug, Clone)]
struct Scripted {
    name: &'static str,
    calls: Arc<AtomicU64>,
    answer: fn(&str) -> String,
}

impl Scripted {
    fn new(name: &'static str, answer: fn(&str) -> String) -> Self {
        Self {
            name,
            calls: Arc::default(),
            answer,
        }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl LlmClient for Scripted {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if request.purpose != Purpose::Filters {
            return OfflineModel::default().complete(request).await;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let text = (self.answer)(request.last_text());
        let reason = if text == "cut" {
            FinishReason::Length
        } else {
            FinishReason::Stop
        };
        Ok(ChatResponse::new(text)
            .with_finish_reason(reason)
            .with_usage(Usage::new(7, 3)))
    }

    fn model(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        OfflineModel::default().capabilities()
    }
}

fn sum(text: &str) -> usize {
    text.bytes().map(usize::from).sum()
}

/// A plain answer, of which one in four says nothing or is cut off.
fn plain(prompt: &str) -> String {
    match sum(prompt) % 8 {
        0 => " ".to_owned(),
        1 => "cut".to_owned(),
        number => format!("<think>Hm.</think>\nIn brief: {number}."),
    }
}

fn pairs(records: u64, settings: &Value) -> GenerateByTopicInput {
    let mut input = json!({
        "user_instruction": "about the sea", "num_records": records, "topics": ["tides", "waves"],
        "generation_model_name": "offline/loom", "kind": {"preference": {"rejected_model": "plain/plain"}},
        "seed": 1, "max_concurrency": 4, "filters": {"rejected": {"regex": "[2-6]"}},
    });
    let changes = settings.as_object().expect("an object").clone();
    input.as_object_mut().expect("an object").extend(changes);
    GenerateByTopicInput::from_json_value(input).unwrap_or_else(|error| panic!("{error}"))
}

async fn run(
    models: [&Scripted; 2],
    journal: impl Journal,
    input: GenerateByTopicInput,
) -> Result<Dataset, RunError> {
    let [writer, other] = models.map(Clone::clone);
    let registry = ModelRegistry::new()
        .register("offline", move |_| Ok(Arc::new(writer.clone())))
        .register("plain", move |_| Ok(Arc::new(other.clone())));
    let pipeline = Pipeline::builder_from_input(&input, &registry).expect("the models are known");
    pipeline.journal(journal).build().generate(input).await
}

fn texts(dataset: &Dataset) -> Vec<String> {
    let records = dataset.iter();
    records
        .map(|record| format!("{} {:?}", json!(record), record.meta.scores))
        .collect()
}

fn silent(name: &'static str) -> Scripted {
    Scripted::new(name, |_| panic!("it was asked before"))
}

#[tokio::test(start_paused = true)]
async fn a_second_model_gives_the_answer_that_is_rejected_and_is_asked_once() {
    let (writer, other) = (silent("offline/loom"), Scripted::new("plain/plain", plain));
    let journal = MemoryJournal::default();
    let first = run([&writer, &other], journal.clone(), pairs(30, &json!({})))
        .await
        .expect("complete");
    assert_eq!(first.len(), 30);
    for record in &first {
        let names: Vec<&String> = record.data.keys().collect();
        assert_eq!(names, ["prompt", "chosen", "rejected"]);
        let prompt = record.data["prompt"].as_str().expect("a text");
        assert_eq!(
            record.data["rejected"],
            format!("In brief: {}.", sum(prompt) % 8)
        );
    }
    let report = first.report();
    for reason in [
        "the prompt got no other answer",
        "the other answer was cut off",
        "`rejected` does not match the regular expression [2-6]",
    ] {
        assert!(report.filtered[reason] > 0, "{:?}", report.filtered);
    }
    assert_eq!(report.filter_calls.made, other.calls());
    assert_eq!(
        report.spending.calls,
        report.record_calls.made + other.calls()
    );
    assert_eq!(report.imbalances(), Vec::<String>::new());

    let again = run(
        [&silent("offline/loom"), &silent("plain/plain")],
        journal.clone(),
        pairs(30, &json!({})),
    )
    .await;
    let again = again.expect("complete");
    assert_eq!(texts(&again), texts(&first));
    assert_eq!(again.report().spending, report.spending);

    // Killed at any moment, it asks for what is not in the journal, and for that alone.
    let entries = journal.entries();
    for cut in (3..entries.len()).step_by(17) {
        let kept = entries[..cut].to_vec();
        let known = kept
            .iter()
            .filter(|entry| matches!(entry, Entry::Filtered(_)))
            .count() as u64;
        let other = Scripted::new("plain/plain", plain);
        let dataset = run(
            [&writer, &other],
            MemoryJournal::with_entries(kept),
            pairs(30, &json!({})),
        )
        .await;
        let dataset = dataset.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(dataset.len(), 30);
        let verdicts = dataset.report().filtered.values().sum::<u64>()
            + 30
            + dataset.report().duplicates.values().sum::<u64>();
        assert!(
            other.calls() + known >= verdicts && other.calls() + known <= verdicts + 4,
            "cut at {cut}: {} and {known} of {verdicts}",
            other.calls()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn caps_hold_with_the_calls_of_the_second_model() {
    let (writer, other) = (silent("offline/loom"), Scripted::new("plain/plain", plain));
    let journal = MemoryJournal::default();
    for cap in [11, 30] {
        let error = run(
            [&writer, &other],
            journal.clone(),
            pairs(30, &json!({"max_calls": cap})),
        )
        .await;
        let error = error.expect_err("the cap is reached");
        assert_eq!(error.error().kind(), ErrorKind::Budget);
        assert_eq!(error.report().spending.calls, cap);
        assert_eq!(error.report().filter_calls.made, other.calls());
        assert_eq!(error.report().imbalances(), Vec::<String>::new());
    }
    run([&writer, &other], journal, pairs(30, &json!({})))
        .await
        .expect("complete");

    // What it costs has to be known before the first call.
    let capped = pairs(5, &json!({"max_cost_usd": 1}));
    let unused = silent("plain/plain");
    let error = run([&writer, &unused], MemoryJournal::default(), capped).await;
    let error = error.expect_err("nobody knows its price");
    assert_eq!(error.error().kind(), ErrorKind::Config);
    assert_eq!(error.report().spending.calls, 0);
}

#[derive(Debug, Deserialize)]
struct Pair {
    prompt: String,
    chosen: String,
    rejected: String,
}

#[tokio::test(start_paused = true)]
async fn pairs_are_decoded_to_a_type_when_they_are_whole() {
    let other = Scripted::new("plain/plain", plain);
    let registry = ModelRegistry::new()
        .register("offline", |name| {
            Ok(Arc::new(OfflineModel::new(name.as_str())))
        })
        .register("plain", move |_| Ok(Arc::new(other.clone())));
    let input = pairs(5, &json!({}));
    let pipeline = Pipeline::builder_from_input(&input, &registry)
        .expect("the models are known")
        .build();
    let dataset = pipeline
        .generate(input.decoded_as::<Pair>())
        .await
        .expect("complete");
    let whole = |pair: &Pair| {
        !pair.prompt.is_empty() && !pair.chosen.is_empty() && pair.rejected.starts_with("In brief")
    };
    assert!(dataset.len() == 5 && dataset.iter().all(|record| whole(&record.data)));
}

/// Answers in its own words where it is not to judge; judges by a hash of what it is shown.
fn writes_and_judges(shown: &str) -> String {
    match shown.split_once("Record: ") {
        Some((_, record)) => {
            json!({"words": "Too short.", "good": 1 + sum(record) % 5}).to_string()
        }
        None => format!("It is said that {} is the answer.", sum(shown)),
    }
}

fn judged(accept: &str) -> GenerateByTopicInput {
    let judge = json!({"criteria": ["good"], "accept": accept});
    pairs(
        20,
        &json!({"kind": "preference", "judge": judge, "dead_queue_threshold": 100, "filters": {}}),
    )
}

#[tokio::test(start_paused = true)]
async fn a_judge_chooses_between_two_answers_and_another_rule_costs_no_call() {
    let writer = Scripted::new("offline/loom", writes_and_judges);
    let unused = silent("plain/plain");
    let journal = MemoryJournal::default();
    let first = run([&writer, &unused], journal.clone(), judged("good >= 4"))
        .await
        .expect("complete");
    assert_eq!(first.len(), 20);
    let mut swapped = 0;
    for record in &first {
        let score = |answer: &str| {
            let shown =
                json!({"prompt": record.data["prompt"], "answer": record.data[answer]}).to_string();
            1 + sum(&shown) % 5
        };
        assert!(score("chosen") >= 4 && score("rejected") < 4);
        let scores = record.meta.scores.as_ref().expect("it was judged");
        let given = &scores.votes()[0].scores;
        for answer in ["chosen", "rejected"] {
            let given = usize::try_from(given[&format!("{answer}.good")]);
            assert_eq!(given, Ok(score(answer)));
        }
        let text = record.data["chosen"].as_str().expect("a text");
        swapped += usize::from(text.starts_with("It is said"));
    }
    assert!(
        swapped > 2 && swapped < 18,
        "either may be the better one: {swapped}"
    );
    let report = first.report();
    for reason in [
        "the judge accepts both answers",
        "the judge accepts neither answer",
    ] {
        assert!(report.filtered[reason] > 0, "{:?}", report.filtered);
    }
    assert_eq!(report.filter_calls.made, writer.calls());
    assert_eq!(report.imbalances(), Vec::<String>::new());

    let none = silent("offline/loom");
    let again = run([&none, &unused], journal.clone(), judged("good >= 4"))
        .await
        .expect("complete");
    assert_eq!(texts(&again), texts(&first));
    assert_eq!(again.report().filtered, report.filtered);

    // A filter looks at what is chosen in the end.
    let mut said = judged("good >= 4").to_json();
    said["data_factory_config"]["filters"]["chosen"] = json!({"regex": "^It is said"});
    let said = GenerateByTopicInput::from_json_value(said).expect("it is valid");
    let other = Scripted::new("offline/loom", writes_and_judges);
    let kept = MemoryJournal::with_entries(journal.entries());
    let filtered = run([&other, &unused], kept, said).await.expect("complete");
    let is_said = |text: &Value| {
        text.as_str()
            .is_some_and(|text| text.starts_with("It is said"))
    };
    assert!(
        filtered.len() == 20
            && filtered
                .iter()
                .all(|record| is_said(&record.data["chosen"]))
    );

    // What is there is decided anew, and only a gap is asked for.
    let entries = journal.entries();
    let other = Scripted::new("offline/loom", writes_and_judges);
    let decided = run(
        [&other, &unused],
        MemoryJournal::with_entries(entries),
        judged("good >= 3"),
    )
    .await
    .expect("complete");
    assert_eq!(decided.len(), 20);
    assert!(texts(&decided) != texts(&first));
    assert!(
        other.calls() < writer.calls() / 2,
        "{} of {}",
        other.calls(),
        writer.calls()
    );
}

#[tokio::test(start_paused = true)]
async fn the_examples_of_preferences_run() {
    let two = run_offline(job("preferences-two-models.yaml")).await;
    assert_eq!((two.len(), two.report().topics.len()), (12, 3));
    let judged = run_offline(job("preferences-judged.yaml")).await;
    assert_eq!(judged.len(), 9);
    assert!(judged.iter().all(|record| record.meta.scores.is_some()));
}

#[test]
fn an_input_with_a_kind_is_read_again_as_it_was() {
    for kind in [
        json!("chat"),
        json!({"chat": {"turns": [2, 4]}}),
        json!({"tool_calls": {"tools": [{"name": "a"}]}}),
    ] {
        let builder = GenerateByTopicInput::builder()
            .topics(["tides"])
            .kind(kind.clone());
        let input = builder.build().expect("it is valid");
        let again = GenerateByTopicInput::from_json_value(input.to_json()).expect("it is valid");
        let rebuilt = input.to_builder().build().expect("it is valid");
        for other in [again, rebuilt] {
            assert_eq!(other.to_json(), input.to_json());
            assert_eq!(other.fingerprint(), input.fingerprint());
            assert_eq!(other.schema().as_json(), input.schema().as_json());
        }
    }
    let fingerprint = |kind: Value| {
        GenerateByTopicInput::builder()
            .topics(["a"])
            .kind(kind)
            .build()
            .expect("it is valid")
            .fingerprint()
    };
    assert_ne!(
        fingerprint(json!("chat")),
        fingerprint(json!({"chat": {"system": "optional"}}))
    );
}
