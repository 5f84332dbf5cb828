//! Runs that read as a conversation between the library and a model.

use serde_json::{Value, json};
use topicloom::report::Rejection;
use topicloom::testing::{MockHandle, MockLlm, mock_llm};
use topicloom::{Dataset, ErrorKind, GenerateByTopicInput, Pipeline, RunError};

fn input(json: serde_json::Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

fn start(
    model: MockLlm,
    input: GenerateByTopicInput,
) -> tokio::task::JoinHandle<Result<Dataset, RunError>> {
    tokio::spawn(async move { Pipeline::builder(model).build().generate(input).await })
}

fn qa(question: &str) -> serde_json::Value {
    json!({"question": question, "answer": "Because."})
}

async fn last_prompt(handle: &mut MockHandle, question: &str) -> String {
    let call = handle.next_call().await;
    let prompt = call.request().last_text().to_owned();
    call.records([qa(question)]);
    prompt
}

#[tokio::test(start_paused = true)]
async fn a_record_is_asked_for_validated_and_returned_with_its_topic() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({"topics": ["graphs"], "num_records": 1})),
    );
    let prompt = last_prompt(&mut handle, "What is a graph?").await;
    assert!(prompt.contains("Topic: graphs"), "{prompt}");
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.len(), 1);
    assert_eq!(dataset.records()[0].topic.name(), "graphs");
    assert_eq!(dataset.records()[0].data["question"], "What is a graph?");
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn the_next_prompt_shows_what_was_accepted() {
    let (model, mut handle) = mock_llm();
    let json = json!({
        "topics": ["graphs"], "num_records": 2,
        "data_factory_config": {"max_concurrency": 1, "avoid_examples": 10}
    });
    // One task in flight besides the one that calls: it was worded before the first answer arrived.
    let run = start(model, input(json));
    assert!(
        !last_prompt(&mut handle, "What is a tree?")
            .await
            .contains("What is a tree?")
    );
    last_prompt(&mut handle, "What is a tree?").await;
    let third = last_prompt(&mut handle, "What is a cycle?").await;
    assert!(third.contains("What is a tree?"), "{third}");
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(
        dataset.report().candidates.rejected[Rejection::Duplicate],
        1
    );
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn an_invalid_record_is_asked_for_again_with_what_was_wrong() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({"topics": ["graphs"], "num_records": 1})),
    );
    handle
        .next_call()
        .await
        .records([json!({"question": 7, "answer": "Because."})]);
    let prompt = last_prompt(&mut handle, "What is a graph?").await;
    assert!(
        prompt.contains("question"),
        "the prompt says what was wrong: {prompt}"
    );
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.report().candidates.rejected[Rejection::Invalid], 1);
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn prose_is_asked_for_again() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({"topics": ["graphs"], "num_records": 1})),
    );
    handle
        .next_call()
        .await
        .text("I would rather talk about the weather.");
    last_prompt(&mut handle, "What is a graph?").await;
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.report().answers.total, 2);
    assert_eq!(dataset.report().answers.faults.total(), 1);
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_call_is_made_again() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({"topics": ["graphs"], "num_records": 1})),
    );
    handle.next_call().await.fail(ErrorKind::RateLimited);
    last_prompt(&mut handle, "What is a graph?").await;
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.report().record_calls.made, 2);
    assert_eq!(
        dataset.report().record_calls.failed[ErrorKind::RateLimited],
        1
    );
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn missing_topics_are_invented_by_the_topic_model() {
    let (model, mut handle) = mock_llm();
    let json = json!({
        "user_instruction": "Questions about mathematics", "num_records": 4, "records_per_topic": 2,
        "topics": [{"graphs": 1}],
    });
    let run = start(model, input(json));
    let call = handle.next_call().await;
    assert!(
        call.request().last_text().contains("- graphs"),
        "the model is told which topics exist"
    );
    call.text(r#"{"topics": ["Graphs ", "primes", "limits"]}"#);
    for number in 0..4 {
        last_prompt(&mut handle, &format!("What is the number {number}?")).await;
    }
    let dataset = run.await.expect("no panic").expect("complete");
    let quotas: Vec<_> = dataset
        .report()
        .topics
        .iter()
        .map(|topic| (topic.topic.name(), topic.quota))
        .collect();
    assert_eq!(quotas, [("graphs", 1), ("primes", 2), ("limits", 1)]);
    assert_eq!(dataset.report().topic_calls.made, 1);
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn names_that_are_no_topics_are_counted_and_said_why() {
    let sentence = r#"{"topics": ["The sea is deep and very blue today."]}"#;
    for (given, wanted) in [(json!([{"graphs": 1}]), Ok(())), (Value::Null, Err(()))] {
        let (model, mut handle) = mock_llm();
        let run = start(
            model,
            input(json!({
                "user_instruction": "Questions about the sea", "num_records": 2, "records_per_topic": 1, "topics": given,
            })),
        );
        for _ in 0..3 {
            handle.next_call().await.text(sentence);
        }
        if wanted.is_ok() {
            for number in 0..2 {
                last_prompt(&mut handle, &format!("What is the number {number}?")).await;
            }
        }
        let why = "names that the topic model gave were not taken: a sentence (3)";
        match run.await.expect("no panic") {
            Ok(dataset) => {
                assert!(wanted.is_ok());
                let notes = &dataset.report().notes;
                assert!(notes.iter().any(|note| note == why), "{notes:?}");
            }
            Err(error) => {
                assert!(
                    wanted.is_err() && error.to_string().contains(why),
                    "{error}"
                );
            }
        }
    }
}
