//! The ways a run can end before it is complete. Whatever was accepted is there.

use futures::StreamExt;
use serde_json::{Value, json};
use topicloom::outcome::Outcome;
use topicloom::testing::{FaultyModel, mock_llm};
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline};

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
