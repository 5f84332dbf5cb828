//! The ways a run can end before it is complete. Whatever was accepted is there.

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use topicloom::filter::filter_fn;
use topicloom::journal::MemoryJournal;
use topicloom::llm::{ChatRequest, ChatResponse};
use topicloom::outcome::Outcome;
use topicloom::testing::{FaultyModel, mock_llm};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

fn qa(question: &str) -> Value {
    json!({"question": question, "answer": "Because."})
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_topic_is_given_up_and_reported() {
    let model = FaultyModel::new(1).refused(1.0);
    let error = Pipeline::builder(model)
        .build()
        .generate(input(json!({"topics": ["graphs"], "num_records": 5})))
        .await
        .expect_err("nothing can be made");
    assert_eq!(error.error().kind(), ErrorKind::Short);
    let report = error.report();
    assert_eq!((report.outcome, report.missing()), (Outcome::Short, 5));
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
        "data_factory_config": {"max_concurrency": 1, "max_retries": 0, "seed": 1},
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
        assert_eq!(error.error().kind(), ErrorKind::Short);
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
