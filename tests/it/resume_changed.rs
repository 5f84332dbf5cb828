//! Runs that go on from a part of their journal, or with another input than the one they began with.

use proptest::prelude::*;
use serde_json::json;
use topicloom::journal::{Entry, MemoryJournal};
use topicloom::testing::FaultyModel;
use topicloom::{Dataset, ErrorKind, GenerateByTopicInput, Pipeline, RunError};

fn input(records: u64, concurrency: usize) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": records,
        "topics": ["a", "b", {"c": 4}],
        "data_factory_config": {"max_concurrency": concurrency, "reallocate": true, "records_per_request": 1},
    }))
    .expect("the test's input is valid")
}

/// Two generated topics of two records each, and one more for every two records above four.
fn inventive(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "anything", "num_records": records, "records_per_topic": 2,
    }))
    .expect("the test's input is valid")
}

fn lines(dataset: &Dataset) -> Vec<String> {
    dataset
        .iter()
        .map(|record| serde_json::to_string(record).expect("it is JSON"))
        .collect()
}

fn topics(dataset: &Dataset) -> Vec<String> {
    let topics = dataset.report().topics.iter();
    topics.map(|topic| topic.topic.name().to_owned()).collect()
}

async fn go_on(
    model: FaultyModel,
    journal: &MemoryJournal,
    input: GenerateByTopicInput,
) -> Result<Dataset, RunError> {
    Pipeline::builder(model)
        .journal(journal.clone())
        .resume_changed_input()
        .build()
        .generate(input)
        .await
}

/// What a run made, whether it is complete or short.
fn made(result: Result<Dataset, RunError>) -> Dataset {
    result.unwrap_or_else(|error| {
        assert_eq!(error.error().kind(), ErrorKind::Incomplete, "{error}");
        error.into_dataset()
    })
}

/// Replays a journal with a model that must not be asked.
async fn replay(journal: &MemoryJournal, input: GenerateByTopicInput) -> Dataset {
    let silent = FaultyModel::new(0);
    let pipeline = Pipeline::builder(silent.clone()).journal(journal.clone());
    let dataset = made(pipeline.build().generate(input).await);
    assert_eq!(silent.books().counts().calls, 0, "a replay asks nothing");
    dataset
}

fn starts(journal: &MemoryJournal) -> usize {
    let entries = journal.entries();
    let starts = entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Started(_)));
    starts.count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// State is a fold: what a process makes that folded a part of the log and went on, perhaps with another number
    /// of records, is what folding the whole log makes.
    #[test]
    fn folding_a_part_and_going_on_is_folding_the_whole(
        seed in any::<u64>(),
        failures in 0.0..0.3_f64,
        duplicates in 0.0..0.5_f64,
        malformed in 0.0..0.3_f64,
        concurrency in 1..12_usize,
        part in 0.0..1.0_f64,
        records in 5..60_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            let model = |seed| FaultyModel::new(seed).failures(failures).duplicates(duplicates).malformed(malformed);
            let whole = MemoryJournal::default();
            made(go_on(model(seed), &whole, input(30, concurrency)).await);
            let mut entries = whole.entries();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            entries.truncate((part * entries.len() as f64) as usize);

            let journal = MemoryJournal::with_entries(entries);
            let dataset = made(go_on(model(!seed), &journal, input(records, concurrency)).await);
            let report = dataset.report();
            assert_eq!(report.imbalances(), Vec::<String>::new());
            assert!(dataset.len() as u64 == records || report.topics.iter().any(|topic| topic.given_up.is_some()));
            let again = replay(&journal, input(records, 3)).await;
            assert_eq!(lines(&again), lines(&dataset));
            assert_eq!(again.report().usage(), report.usage());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn more_records_are_asked_for_only_as_far_as_they_are_missing() {
    let journal = MemoryJournal::default();
    let first = go_on(FaultyModel::new(1), &journal, input(20, 4)).await;
    let first = first.expect("nothing fails");
    let second = FaultyModel::new(2)
        .records(|number| json!({"question": format!("new {number}"), "answer": "yes"}));
    let extended = go_on(second.clone(), &journal, input(30, 4)).await;
    let extended = extended.expect("nothing fails");
    assert_eq!(extended.len(), 30);
    assert_eq!(lines(&extended)[..20], lines(&first));
    assert_eq!(second.books().counts().calls, 10);
    assert_eq!(
        lines(&replay(&journal, input(30, 9)).await),
        lines(&extended)
    );

    let fewer = go_on(FaultyModel::new(3), &journal, input(12, 4)).await;
    assert_eq!(fewer.expect("nothing fails").len(), 12);
    assert_eq!(starts(&journal), 3);
}

#[tokio::test(start_paused = true)]
async fn topics_keep_their_places_and_new_ones_are_behind_them() {
    let journal = MemoryJournal::default();
    let first = go_on(FaultyModel::new(1), &journal, inventive(4)).await;
    let first = first.expect("nothing fails");
    let extended = go_on(FaultyModel::new(5), &journal, inventive(8)).await;
    let extended = extended.expect("nothing fails");
    assert_eq!(extended.len(), 8);
    assert_eq!(topics(&extended).len(), 4);
    assert_eq!(topics(&extended)[..2], topics(&first));
    assert_eq!(
        lines(&replay(&journal, inventive(8)).await),
        lines(&extended)
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_cut_off_at_any_entry_is_made_once_more() {
    let journal = MemoryJournal::default();
    let first = go_on(FaultyModel::new(1), &journal, inventive(4)).await;
    first.expect("nothing fails");
    let before = journal.entries().len();
    let extended = go_on(FaultyModel::new(5), &journal, inventive(8)).await;
    extended.expect("nothing fails");
    let entries = journal.entries();
    for cut in before..=entries.len() {
        let journal = MemoryJournal::with_entries(entries[..cut].to_vec());
        let dataset = go_on(FaultyModel::new(9), &journal, inventive(8)).await;
        let dataset = dataset.expect("nothing fails");
        assert_eq!((dataset.len(), starts(&journal)), (8, 2), "cut at {cut}");
        assert_eq!(
            lines(&replay(&journal, inventive(8)).await),
            lines(&dataset)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_was_left_behind_is_refused() {
    let journal = MemoryJournal::default();
    for records in [20, 30] {
        let run = go_on(FaultyModel::new(1), &journal, input(records, 4)).await;
        assert_eq!(made(run).len() as u64, records);
    }
    let pipeline = Pipeline::builder(FaultyModel::new(1)).journal(journal.clone());
    let error = pipeline.build().generate(input(20, 4)).await;
    let error = error.expect_err("the run went on with another input");
    assert_eq!(error.error().kind(), ErrorKind::Journal);
}
