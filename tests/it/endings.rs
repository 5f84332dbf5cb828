//! The ways a run can end before it is complete. Whatever was accepted is there.

use async_trait::async_trait;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use topicloom::dedup::{Deduplicator, Memory, Reference, Verdict};
use topicloom::filter::filter_fn;
use topicloom::journal::MemoryJournal;
use topicloom::llm::{ChatRequest, ChatResponse};
use topicloom::report::Outcome;
use topicloom::testing::{FaultyModel, mock_llm};
use topicloom::topic::{Topic, TopicProvider, TopicRequest};
use topicloom::{Candidate, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

fn qa(question: &str) -> Value {
    json!({"question": question, "answer": "Because."})
}

#[tokio::test(start_paused = true)]
async fn a_run_that_adds_to_what_is_all_there_is_complete_without_a_call() {
    let file = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(file.path(), "{\"question\": \"a\"}\n").expect("there is room");
    let settings = json!({"append": true, "output": file.path()});
    let input =
        input(json!({"topics": ["graphs"], "num_records": 1, "data_factory_config": settings}));
    let model = FaultyModel::new(1).refused(1.0);
    let dataset = Pipeline::builder(model).build().generate(input).await;
    let dataset = dataset.expect("there is nothing to do");
    let report = dataset.report();
    assert_eq!((report.accepted, report.requested), (0, 0));
    assert_eq!(report.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_topic_is_given_up_and_reported() {
    let model = FaultyModel::new(1).refused(1.0);
    let error = Pipeline::builder(model)
        .build()
        .generate(input(json!({"topics": ["graphs"], "num_records": 5})))
        .await
        .expect_err("nothing can be made");
    assert_eq!(error.error().kind(), ErrorKind::Incomplete);
    let report = error.report();
    assert_eq!((report.outcome, report.missing()), (Outcome::Incomplete, 5));
    assert!(report.topics[0].given_up.is_some());
    assert_eq!(report.imbalances(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_leaves_the_accepted_records() {
    let (model, mut handle) = mock_llm();
    let json = json!({"topics": ["graphs"], "num_records": 9, "data_factory_config": {"max_concurrency": 1}});
    let run =
        tokio::spawn(async move { Pipeline::builder(model).build().generate(input(json)).await });
    handle.next_call().await.records([qa("What is a graph?")]);
    handle.next_call().await.fail(ErrorKind::Quota);
    let error = run
        .await
        .expect("no panic")
        .expect_err("no credit is fatal");
    assert_eq!(error.error().kind(), ErrorKind::Quota);
    assert_eq!(error.dataset().len(), 1);
    assert_eq!(error.report().imbalances(), Vec::<String>::new());
    handle.ignore_rest();
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_stops_the_run() {
    let model = FaultyModel::new(1).failure(ErrorKind::Overloaded, 1.0);
    let json = json!({"topics": ["a", "b", "c"], "num_records": 900});
    let error = Pipeline::builder(model.clone())
        .build()
        .generate(input(json))
        .await
        .expect_err("it is down");
    assert_eq!(error.error().kind(), ErrorKind::Unavailable);
    assert_eq!(error.report().outcome, Outcome::Failed);
    assert_eq!(error.report().imbalances(), Vec::<String>::new());
    assert!(
        model.books().counts().calls < 2_000,
        "{}",
        model.books().counts().calls
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_stops_its_calls() {
    let (model, mut handle) = mock_llm();
    let json = json!({"topics": ["graphs"], "num_records": 9, "data_factory_config": {"max_concurrency": 3}});
    let run = Pipeline::builder(model)
        .build()
        .run(input(json))
        .expect("it starts");
    let calls = [
        handle.next_call().await.hang(),
        handle.next_call().await.hang(),
        handle.next_call().await.hang(),
    ];
    drop(run);
    while !calls.iter().all(topicloom::testing::HungCall::is_abandoned) {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.in_flight(), 0);
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_ends_with_what_is_there() {
    let (model, mut handle) = mock_llm();
    let json = json!({"topics": ["graphs"], "num_records": 9, "data_factory_config": {"max_concurrency": 1}});
    let run = Pipeline::builder(model)
        .build()
        .run(input(json))
        .expect("it starts");
    let stop = run.stop_handle();
    let collecting = tokio::spawn(run.collect());
    handle.next_call().await.records([qa("What is a graph?")]);
    let hung = handle.next_call().await.hang();
    stop.stop();
    let error = collecting
        .await
        .expect("no panic")
        .expect_err("it was stopped");
    assert_eq!(error.error().kind(), ErrorKind::Cancelled);
    assert_eq!(error.dataset().len(), 1);
    assert_eq!(error.report().record_calls.cancelled, 1);
    assert_eq!(error.report().imbalances(), Vec::<String>::new());
    assert!(hung.is_abandoned());
    handle.ignore_rest();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stops_after_its_calls_asks_no_more_and_keeps_what_arrives() {
    for last_call_hangs in [false, true] {
        let (model, mut handle) = mock_llm();
        let json = json!({
            "topics": ["graphs"], "num_records": 9,
            "data_factory_config": {"max_concurrency": 3, "task_runner_timeout": 20},
        });
        let pipeline = Pipeline::builder(model)
            .journal(MemoryJournal::default())
            .build();
        let run = pipeline.run(input(json)).expect("it starts");
        let stop = run.stop_handle();
        let collecting = tokio::spawn(run.collect());
        let first = handle.next_call().await;
        let second = handle.next_call().await;
        let third = handle.next_call().await;
        stop.stop_after_calls();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!collecting.is_finished());
        first.records([qa("What is a graph?")]);
        // It may be made again, but not now.
        second.fail(ErrorKind::Overloaded);
        if last_call_hangs {
            third.hang();
        } else {
            third.records([qa("How do trees grow?")]);
        }
        let stopped = tokio::time::Instant::now();
        let error = collecting
            .await
            .expect("no panic")
            .expect_err("it was stopped");
        assert!(stopped.elapsed() < Duration::from_secs(if last_call_hangs { 16 } else { 1 }));
        assert_eq!(error.error().kind(), ErrorKind::Cancelled);
        assert_eq!(error.dataset().len(), if last_call_hangs { 1 } else { 2 });
        assert_eq!(error.report().record_calls.made, 3);
        assert_eq!(error.report().imbalances(), Vec::<String>::new());
        handle.no_more_calls();
    }
}

/// Supplies topics by a panic or never.
#[derive(Debug)]
struct NoTopics {
    panics: bool,
}

#[async_trait]
impl TopicProvider for NoTopics {
    async fn topics(&self, _: &TopicRequest<'_>) -> Result<Vec<Topic>, Error> {
        assert!(!self.panics, "a bug of the caller's");
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_provider_that_panics_or_never_returns_ends_the_run() {
    for (panics, told) in [
        (true, "the topic provider panicked"),
        (false, "the topic provider has not returned after 600 s"),
    ] {
        let pipeline = Pipeline::builder(FaultyModel::new(1))
            .topics(NoTopics { panics })
            .build();
        let input = input(json!({"user_instruction": "anything", "num_records": 5}));
        let error = pipeline
            .generate(input.clone())
            .await
            .expect_err("no topics");
        assert_eq!(error.error().kind(), ErrorKind::Plugin);
        assert!(error.error().message().starts_with(told), "{error}");

        let run = pipeline.run(input).expect("it starts");
        let (stop, begun) = (run.stop_handle(), tokio::time::Instant::now());
        stop.stop_after_calls();
        run.collect().await.expect_err("it was stopped");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

/// Compares nothing: it panics or never returns, before or while it decides.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BadDeduplicator {
    NeverReturns,
    PanicsInFingerprint,
    /// At the third record.
    PanicsInMemory,
}

#[derive(Debug)]
struct BadMemory(u32);

#[async_trait]
impl Deduplicator for BadDeduplicator {
    type Fingerprint = ();
    type Memory = BadMemory;

    async fn fingerprint(&self, _: &Candidate<'_>) -> Result<(), Error> {
        match self {
            Self::NeverReturns => std::future::pending().await,
            Self::PanicsInFingerprint => panic!("a bug of the caller's"),
            Self::PanicsInMemory => Ok(()),
        }
    }

    fn memory(&self) -> BadMemory {
        BadMemory(0)
    }
}

impl Memory for BadMemory {
    type Fingerprint = ();

    fn admit(&mut self, (): (), _: Reference) -> Verdict {
        self.0 += 1;
        assert!(self.0 < 3, "a bug of the caller's");
        Verdict::Unique
    }
}

#[tokio::test(start_paused = true)]
async fn a_deduplicator_that_panics_or_never_returns_ends_the_run_with_what_is_there() {
    for (bad, told, made) in [
        (
            BadDeduplicator::NeverReturns,
            "the deduplicator, or its embedder, has not returned after 600 s",
            0,
        ),
        (
            BadDeduplicator::PanicsInFingerprint,
            "the deduplicator, or its embedder, panicked",
            0,
        ),
        (
            BadDeduplicator::PanicsInMemory,
            "the memory of the deduplicator panicked",
            2,
        ),
    ] {
        let pipeline = Pipeline::builder(FaultyModel::new(1))
            .deduplicator(bad)
            .journal(MemoryJournal::default())
            .build();
        let input = input(json!({
            "topics": ["a"], "num_records": 50, "data_factory_config": {"records_per_request": 5},
        }));
        // And once more, from what the journal holds.
        for _ in 0..2 {
            let error = pipeline
                .generate(input.clone())
                .await
                .expect_err("it is broken");
            assert_eq!(error.error().kind(), ErrorKind::Plugin);
            assert!(error.error().message().starts_with(told), "{error}");
            assert_eq!(error.dataset().len(), made, "{bad:?}");
            assert_eq!(error.report().imbalances(), Vec::<String>::new(), "{bad:?}");
        }
        let run = pipeline.run(input).expect("it starts");
        let (stop, begun) = (run.stop_handle(), tokio::time::Instant::now());
        stop.stop_after_calls();
        run.collect().await.expect_err("it was stopped");
        assert!(begun.elapsed() < Duration::from_secs(1), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_waited_for() {
    let model = FaultyModel::new(1);
    let json = json!({"topics": ["a", "b"], "num_records": 5_000, "data_factory_config": {"max_concurrency": 4}});
    let mut run = Pipeline::builder(model.clone())
        .build()
        .run(input(json))
        .expect("it starts");
    for _ in 0..10 {
        run.next().await.expect("there are more").expect("a record");
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(
        model.books().counts().calls < 200,
        "{}",
        model.books().counts().calls
    );
    let rest = run.collect().await.expect("complete");
    assert_eq!(rest.len(), 4_990);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_filter_ends_the_run_with_what_is_there() {
    let panics = topicloom::filter::filter_fn("panics", |_| panic!("a bug of the caller's"));
    let error = Pipeline::builder(FaultyModel::new(1))
        .filter(panics)
        .build()
        .generate(input(json!({"topics": ["a"], "num_records": 5})))
        .await
        .expect_err("the filter panics");
    assert_eq!(error.error().kind(), ErrorKind::Plugin);
    assert_eq!(error.report().imbalances(), Vec::<String>::new());
}

/// A model that answers each topic wrongly in its own way.
#[derive(Debug)]
struct Stubborn;

#[async_trait]
impl LlmClient for Stubborn {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let prompt = request.last_text();
        let question = if prompt.contains("Topic: bad calls") {
            return Err(Error::new(
                ErrorKind::ContextLength,
                "the prompt is too long by 7 tokens",
            ));
        } else if prompt.contains("Topic: bad records") {
            json!(7)
        } else if prompt.contains("Topic: bad taste") {
            json!("a joke")
        } else {
            json!("What is it?")
        };
        let record = json!({"question": question, "answer": "x"});
        Ok(ChatResponse::new(record.to_string()))
    }

    fn model(&self) -> &'static str {
        "test/stubborn"
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_says_of_given_up_topics_what_was_wrong_last() {
    let input = input(json!({
        "num_records": 8, "topics": ["bad calls", "bad records", "bad taste", "repetitions"],
        "data_factory_config": {
            "max_concurrency": 1, "max_retries": 0, "seed": 1, "dead_queue_threshold": 3, "records_per_request": 1,
        },
    }));
    let pipeline = Pipeline::builder(Stubborn)
        .filter(filter_fn("no jokes", |record| {
            record.text("question") != Some("a joke")
        }))
        .journal(MemoryJournal::default())
        .build();
    let mut told = Vec::new();
    // Run, and replayed from the journal.
    for _ in 0..2 {
        let error = pipeline
            .generate(input.clone())
            .await
            .expect_err("it is short");
        assert_eq!(error.error().kind(), ErrorKind::Incomplete);
        assert_eq!(error.report().imbalances(), Vec::<String>::new());
        let message = error.error().message();
        assert!(
            message.contains("of the first, \"bad records\", 3 attempts in a row"),
            "{message}"
        );
        assert!(message.ends_with("must be a string"), "{message}");
        let listed = error.report().given_up.listed.iter();
        told.push(
            listed
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    insta::assert_snapshot!(told[0]);
    assert_eq!(told[1], told[0]);
}

#[tokio::test(start_paused = true)]
async fn of_very_many_topics_that_are_given_up_twenty_are_listed_and_the_rest_counted() {
    let topics: Vec<String> = (0..53).map(|number| format!("topic {number}")).collect();
    let input = input(json!({
        "num_records": 53, "topics": topics, "data_factory_config": {"dead_queue_threshold": 1},
    }));
    let pipeline = Pipeline::builder(FaultyModel::new(1).refused(1.0)).build();
    let error = pipeline.generate(input).await.expect_err("it is short");
    let given_up = &error.report().given_up;
    assert_eq!((given_up.listed.len(), given_up.unlisted), (20, 33));
    assert_eq!(given_up.len(), 53);
    assert!(given_up.listed.iter().all(|topic| topic.missing == 1));
}
