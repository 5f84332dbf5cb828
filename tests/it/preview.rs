//! Dry runs and previews: a run of few records, and a few of its tasks in detail.

use std::time::Duration;

use serde_json::{Value, json};
use topicloom::dedup::Reference;
use topicloom::filter::filter_fn;
use topicloom::journal::{Journal, MemoryJournal};
use topicloom::pipeline::RecordVerdict;
use topicloom::report::{Outcome, Rejection};
use topicloom::testing::{FaultyModel, ScriptedAnswer, mock_llm, scripted};
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|topic| format!("given {topic}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_makes_one_record_of_each_topic_and_leaves_the_journal_alone() {
    let journal = MemoryJournal::default();
    let pipeline = Pipeline::builder(FaultyModel::new(1).failures(0.2).duplicates(0.2))
        .journal(journal.clone())
        .build();
    let small = input(json!({"num_records": 500, "topics": names(3)}));
    let dataset = pipeline.dry_run(small.clone()).await.expect("complete");
    let report = dataset.report();
    assert_eq!((dataset.len(), report.requested), (3, 3));
    assert!(report.topics.iter().all(|topic| topic.quota == 1));
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(report.imbalances(), Vec::<String>::new());
    assert!(journal.entries().is_empty());

    // A journal of some other run, that no run of this input could go on with.
    let other = input(json!({"num_records": 2, "topics": ["x"]}));
    pipeline.generate(other).await.expect("complete");
    let entries = journal.entries();
    pipeline.dry_run(small).await.expect("complete");
    assert_eq!(journal.entries(), entries);
    assert!(journal.read().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_many_topics_takes_some_of_the_given_and_some_to_be_generated() {
    // (given, generated) of the input, and of the sample.
    for (of, sample) in [
        ((50, 0), (10, 0)),
        ((50, 50), (5, 5)),
        ((50, 2), (8, 2)),
        ((3, 50), (3, 7)),
        ((0, 50), (0, 10)),
        ((4, 6), (4, 6)),
    ] {
        let (given, generated) = of;
        let mut json = json!({
            "user_instruction": "anything", "num_records": (given + generated) * 2, "records_per_topic": 2,
        });
        if given > 0 {
            json["topics"] = names(given)
                .into_iter()
                .map(|name| json!({name: 2}))
                .collect();
        }
        let model = FaultyModel::new(3);
        let dataset = Pipeline::builder(model)
            .build()
            .dry_run(input(json))
            .await
            .expect("complete");
        let report = dataset.report();
        assert_eq!(dataset.len(), sample.0 + sample.1, "{of:?}");
        let named = report
            .topics
            .iter()
            .filter(|topic| topic.topic.name().starts_with("given "))
            .count();
        assert_eq!(named, sample.0, "{of:?}");
        let all = given + generated;
        let note = format!("a sample: 10 of {all} topics");
        assert_eq!(report.notes.contains(&note), all > 10, "{:?}", report.notes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_a_run_would_stumble_over() {
    let pipeline = Pipeline::builder(FaultyModel::new(1).failure(ErrorKind::Auth, 1.0)).build();
    let error = pipeline
        .dry_run(input(json!({"num_records": 500, "topics": names(3)})))
        .await
        .expect_err("the key is wrong");
    assert_eq!(error.error().kind(), ErrorKind::Auth);
    assert_eq!(error.report().outcome, Outcome::Failed);
}

/// A pipeline whose model makes every mistake there is.
fn mistaken() -> PipelineBuilder {
    let records = |questions: &[Value]| -> String {
        let records: Vec<Value> = questions
            .iter()
            .map(|question| json!({"question": question, "answer": "Because."}))
            .collect();
        json!({ "records": records }).to_string()
    };
    let good = records(&[json!("What is a tree?"), json!("What is a tree?")]);
    Pipeline::builder(scripted([
        ScriptedAnswer::from(format!(
            "Sure!\n```json\n{},\n```",
            good.replace("]}", ",]}")
        )),
        ScriptedAnswer::from(records(&[json!(7), json!("Hm?")])),
        ScriptedAnswer::from(ErrorKind::Overloaded),
        ScriptedAnswer::from("I'd rather not say. \u{1b}[31m"),
        ScriptedAnswer::from(ErrorKind::ContextLength),
        ScriptedAnswer::from(records(&[json!("How is a cycle found?")])),
    ]))
    .filter(filter_fn("too short", |candidate| {
        candidate
            .text("question")
            .is_some_and(|question| question.len() > 5)
    }))
}

fn graphs() -> GenerateByTopicInput {
    input(json!({
        "user_instruction": "Questions about mathematics", "num_records": 50, "topics": ["graphs"],
        "data_factory_config": {"records_per_request": 2, "avoid_examples": 10},
    }))
}

#[tokio::test(start_paused = true)]
async fn a_preview_shows_prompts_answers_and_what_became_of_each_record() {
    let journal = MemoryJournal::default();
    let preview = mistaken()
        .journal(journal.clone())
        .on_accepted(|_| panic!("hooks are not called"))
        .on_event(|_| panic!("observers are not called"))
        .build()
        .preview(graphs(), 5)
        .await
        .expect("there are tasks to show");
    assert!(preview.error.is_none());
    assert!(journal.entries().is_empty());
    insta::assert_snapshot!(preview.to_string());

    let [first, second, third, fourth, fifth] = &preview.tasks[..] else {
        panic!("{} tasks", preview.tasks.len());
    };
    assert!(matches!(
        first.records[0].verdict,
        RecordVerdict::Accepted { ordinal: 0, .. }
    ));
    let RecordVerdict::Rejected {
        rejection, repeats, ..
    } = &first.records[1].verdict
    else {
        panic!("it repeats the first");
    };
    assert_eq!(*rejection, Rejection::Duplicate);
    assert_eq!(
        repeats.as_ref().map(|found| &found.of),
        Some(&Reference::Record(0))
    );
    assert!(!first.repairs.is_empty());
    assert_eq!((second.records.len(), third.calls.len()), (2, 2));
    assert!(third.fault.is_some());
    assert_eq!(
        fourth.error.as_ref().map(|error| error.kind),
        Some(ErrorKind::ContextLength)
    );
    assert_eq!(fifth.records.len(), 1);
    // What went wrong in one task is told in the next, as in a run.
    let prompt = |task: usize| preview.tasks[task].calls[0].messages[1].text.to_string();
    assert!(!prompt(0).contains("What is a tree?") && prompt(1).contains("What is a tree?"));
    assert!(prompt(2).contains("too short"), "{}", prompt(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_a_preview_is_displayed_and_not_debugged() {
    let preview = mistaken().build().preview(graphs(), 5).await;
    let preview = preview.expect("there are tasks to show");
    let debugged = format!("{preview:?} {preview:#?}");
    for secret in ["mathematics", "What is a tree?", "Because.", "rather not"] {
        assert!(preview.to_string().contains(secret), "{secret}");
        assert!(!debugged.contains(secret), "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preview_asks_for_no_more_topics_and_records_than_it_shows() {
    let json = json!({"user_instruction": "anything", "num_records": 1_000});
    let model = FaultyModel::new(1);
    let preview = Pipeline::builder(model.clone())
        .build()
        .preview(input(json.clone()), 4)
        .await
        .expect("there are tasks to show");
    assert_eq!(preview.tasks.len(), 4);
    assert_eq!(preview.report.topics.len(), 4);
    assert_eq!(preview.report.record_calls.made, 4);
    // One at a time.
    assert_eq!(model.books().counts().peak_concurrency, 1);

    let none = Pipeline::builder(model.clone())
        .build()
        .preview(input(json), 0)
        .await
        .expect("there is nothing to show");
    assert!(none.tasks.is_empty());
    let few = input(json!({"num_records": 2, "topics": ["a"]}));
    let all = Pipeline::builder(model).build().preview(few, 10).await;
    assert_eq!(all.expect("it is complete").tasks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_preview_shows_the_prompt_of_a_call_that_timed_out() {
    let (model, mut handle) = mock_llm();
    let json = json!({
        "num_records": 5, "topics": ["graphs"],
        "data_factory_config": {"task_runner_timeout": 2, "max_retries": 1},
    });
    let run = tokio::spawn(async move {
        let pipeline = Pipeline::builder(model).build();
        pipeline.preview(input(json), 1).await
    });
    let first = handle.next_call().await.hang();
    let second = handle.next_call().await.hang();
    let preview = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("it times out")
        .expect("no panic")
        .expect("there is a task to show");
    assert!(first.is_abandoned() && second.is_abandoned());
    let task = &preview.tasks[0];
    assert_eq!(task.calls.len(), 2);
    assert!(task.calls.iter().all(|call| call.end.is_none()));
    assert!(task.calls[1].messages[1].text.contains("Topic: graphs"));
    assert!(preview.to_string().contains("failed: "), "{preview}");
}

#[tokio::test(start_paused = true)]
async fn a_preview_that_cannot_go_on_shows_what_it_has() {
    let records = r#"[{"question": "What is a tree?", "answer": "Because."}]"#;
    let model = scripted([
        ScriptedAnswer::from(records),
        ScriptedAnswer::from(ErrorKind::Quota),
    ]);
    let preview = Pipeline::builder(model).build().preview(graphs(), 3).await;
    let preview = preview.expect("there is a task to show");
    assert_eq!(preview.tasks.len(), 2);
    assert_eq!(
        preview.error.map(|error| error.kind()),
        Some(ErrorKind::Quota)
    );

    let json = json!({"user_instruction": "anything", "num_records": 10});
    let error = Pipeline::builder(scripted([ErrorKind::Auth]))
        .build()
        .preview(input(json), 3)
        .await
        .expect_err("there are no topics");
    assert_eq!(error.kind(), ErrorKind::Auth);
}
