//! Runs that go on from a journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use topicloom::filter::{FilterVerdict, RecordFilter};
use topicloom::journal::{Entry, FileJournal, Journal, MemoryJournal};
use topicloom::report::Rejection;
use topicloom::testing::{FaultyModel, mock_llm};
use topicloom::{Candidate, Dataset, ErrorKind, GenerateByTopicInput, Pipeline, RunEvent};

fn input(concurrency: usize) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": 40,
        "topics": ["a", "b", {"c": 7}],
        "data_factory_config": {"max_concurrency": concurrency, "reallocate": true},
    }))
    .expect("the test's input is valid")
}

fn model(seed: u64) -> FaultyModel {
    FaultyModel::new(seed)
        .failures(0.2)
        .duplicates(0.4)
        .malformed(0.1)
}

fn texts(dataset: &Dataset) -> Vec<String> {
    dataset
        .iter()
        .map(|record| serde_json::to_string(record).expect("it is JSON"))
        .collect()
}

async fn journalled(model: FaultyModel, journal: impl Journal, concurrency: usize) -> Dataset {
    match Pipeline::builder(model)
        .journal(journal)
        .build()
        .generate(input(concurrency))
        .await
    {
        Ok(dataset) => dataset,
        Err(error) => {
            assert_eq!(error.error().kind(), ErrorKind::Incomplete, "{error}");
            error.into_dataset()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_journal_gives_the_same_data_set_without_a_call() {
    for seed in 0..20 {
        let journal = MemoryJournal::default();
        let first = journalled(model(seed), journal.clone(), 8).await;
        let entries = journal.entries();
        for concurrency in [1, 8, 64] {
            let silent = model(seed);
            let again = journalled(silent.clone(), journal.clone(), concurrency).await;
            assert_eq!(texts(&again), texts(&first), "seed {seed}");
            assert_eq!(silent.books().counts().calls, 0);
            assert_eq!(again.report().imbalances(), Vec::<String>::new());
            assert_eq!(again.report().usage(), first.report().usage());
        }
        assert_eq!(
            journal.entries().len(),
            entries.len(),
            "a replay writes nothing"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_prefix_of_a_journal_resumes_to_a_whole_run() {
    let journal = MemoryJournal::default();
    journalled(model(5), journal.clone(), 4).await;
    let entries = journal.entries();
    for cut in 0..=entries.len() {
        let kept = entries[..cut].to_vec();
        let answered = kept
            .iter()
            .filter(|entry| matches!(entry, Entry::Answered(_)))
            .count() as u64;
        let journal = MemoryJournal::with_entries(kept);
        let model = model(99)
            .records(|number| json!({"question": format!("new {number}"), "answer": "yes"}));
        let dataset = journalled(model, journal, 4).await;
        let report = dataset.report();
        assert_eq!(report.imbalances(), Vec::<String>::new(), "cut at {cut}");
        assert_eq!(report.resumed_answers, answered, "cut at {cut}");
        let told = report
            .notes
            .iter()
            .any(|note| note.contains("not in the account"));
        assert_eq!(told, cut > 0 && cut < entries.len(), "cut at {cut}");
        assert!(dataset.len() == 40 || report.topics.iter().any(|topic| topic.given_up.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_asks_the_topics_in_the_order_in_which_it_would_have() {
    let journal = MemoryJournal::default();
    let made = Arc::new(AtomicU64::new(0));
    let run = async |journal: &MemoryJournal| {
        let made = Arc::clone(&made);
        let model = FaultyModel::new(1).records(move |_| {
            let number = made.fetch_add(1, Ordering::Relaxed);
            json!({"question": format!("new {number}"), "answer": "yes"})
        });
        let input = GenerateByTopicInput::from_json_value(json!({
            "num_records": 20, "topics": ["a", "b", "c", "d", "e"], "seed": 7,
            "data_factory_config": {"max_concurrency": 1, "records_per_request": 1},
        }));
        let pipeline = Pipeline::builder(model).journal(journal.clone());
        let input = input.expect("the test's input is valid");
        pipeline
            .build()
            .generate(input)
            .await
            .expect("nothing fails");
    };
    let topics = |journal: &MemoryJournal| -> Vec<usize> {
        let entries = journal.entries().into_iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Answered(answer) => Some(answer.topic),
                _ => None,
            })
            .collect()
    };
    run(&journal).await;
    let (entries, whole) = (journal.entries(), topics(&journal));
    for cut in 0..entries.len() {
        let journal = MemoryJournal::with_entries(entries[..cut].to_vec());
        run(&journal).await;
        assert_eq!(topics(&journal), whole, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_another_input_is_refused_and_says_what_differs() {
    let journal = MemoryJournal::default();
    journalled(model(1), journal.clone(), 4).await;
    let other = GenerateByTopicInput::from_json_value(
        json!({"num_records": 41, "topics": ["a", "b", {"c": 7}]}),
    )
    .expect("the test's input is valid");
    let error = Pipeline::builder(model(1))
        .journal(journal)
        .build()
        .generate(other)
        .await
        .expect_err("it is another input");
    assert_eq!(error.error().kind(), ErrorKind::Journal);
    assert!(error.to_string().contains("`num_records`"), "{error}");
}

#[tokio::test]
async fn a_file_journal_resumes_in_another_process() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("run.journal");
    let open = || FileJournal::open(&path).expect("it opens");
    let first = journalled(model(3), open(), 8).await;
    let again = journalled(FaultyModel::new(4).refused(1.0), open(), 2).await;
    assert_eq!(texts(&again), texts(&first));
}

#[tokio::test(start_paused = true)]
async fn invented_topics_are_not_asked_for_again() {
    let json = json!({
        "user_instruction": "anything", "num_records": 6, "records_per_topic": 2,
    });
    let input = GenerateByTopicInput::from_json_value(json).expect("the test's input is valid");
    let journal = MemoryJournal::default();
    let model = FaultyModel::new(1);
    let run = Pipeline::builder(model)
        .journal(journal.clone())
        .build()
        .generate(input.clone())
        .await;
    let first = run.expect("nothing fails");
    let before_plan: Vec<Entry> = journal
        .entries()
        .into_iter()
        .take_while(|entry| !matches!(entry, Entry::Planned(_)))
        .collect();
    assert!(
        before_plan
            .iter()
            .any(|entry| matches!(entry, Entry::TopicAnswered(_)))
    );

    let journal = MemoryJournal::with_entries(before_plan);
    let model = FaultyModel::new(2)
        .records(|number| json!({"question": number.to_string(), "answer": "x"}));
    let resumed = Pipeline::builder(model)
        .journal(journal)
        .build()
        .generate(input)
        .await
        .expect("nothing fails");
    let names = |dataset: &Dataset| -> Vec<String> {
        dataset
            .report()
            .topics
            .iter()
            .map(|topic| topic.topic.name().to_owned())
            .collect()
    };
    assert_eq!(names(&resumed), names(&first));
    assert_eq!(
        resumed.report().topic_calls.made,
        first.report().topic_calls.made
    );
}

/// Refuses every third record that it is asked about, and fails where it is told to.
#[derive(Debug, Clone)]
struct Judge {
    asked: Arc<AtomicU64>,
    key: Option<&'static str>,
    fails: fn(u64) -> bool,
}

#[async_trait::async_trait]
impl RecordFilter for Judge {
    async fn check(&self, candidate: &Candidate<'_>) -> topicloom::Result<FilterVerdict> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if (self.fails)(asked) {
            return Err(topicloom::Error::new(
                ErrorKind::Network,
                "the judge is away",
            ));
        }
        let length = candidate.text("question").map_or(0, str::len);
        Ok(if length.is_multiple_of(3) {
            FilterVerdict::Reject("a third")
        } else {
            FilterVerdict::Keep
        })
    }

    fn key(&self) -> Option<String> {
        self.key.map(str::to_owned)
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_with_a_key_is_asked_once_and_again_only_when_its_key_changes() {
    let journal = MemoryJournal::default();
    let run = async |key, records: u64| {
        let asked = Arc::new(AtomicU64::new(0));
        let judge = Judge {
            asked: Arc::clone(&asked),
            key,
            fails: |_| false,
        };
        let pipeline = Pipeline::builder(model(3))
            .filter(judge)
            .journal(journal.clone())
            .resume_changed_input()
            .build();
        let input = GenerateByTopicInput::from_json_value(json!({
            "num_records": records, "topics": ["tides"],
            "data_factory_config": {"seed": 1, "dead_queue_threshold": 50},
        }))
        .expect("the test's input is valid");
        let dataset = pipeline.generate(input).await.expect("complete");
        (
            texts(&dataset),
            dataset.report().candidates,
            asked.load(Ordering::Relaxed),
        )
    };
    let (first, candidates, asked) = run(Some("judge 1"), 30).await;
    assert!(asked > 30 && candidates.rejected[Rejection::Filtered] > 5);
    assert_eq!(
        run(Some("judge 1"), 30).await,
        (first.clone(), candidates, 0)
    );
    let (more, _, for_the_gap) = run(Some("judge 1"), 40).await;
    assert_eq!(more[..30], first);
    assert!((10..asked).contains(&for_the_gap), "{for_the_gap}");
    let (_, _, changed) = run(Some("judge 2"), 40).await;
    assert!(
        changed >= asked + for_the_gap,
        "another judge is asked of all"
    );
    let (_, _, without) = run(None, 40).await;
    assert!(
        without > changed,
        "without a key it is asked each time, about repeats too"
    );
}

#[tokio::test(start_paused = true)]
async fn a_filter_with_a_key_is_asked_once_about_a_record_that_comes_again() {
    // Two records in turns, three to an answer: some come again at once, some later.
    let model = FaultyModel::new(3)
        .records(|number| json!({"question": format!("Q{}?", number % 2), "answer": "yes"}));
    let asked = Arc::new(AtomicU64::new(0));
    let judge = Judge {
        asked: Arc::clone(&asked),
        key: Some("judge"),
        fails: |_| false,
    };
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 12, "topics": ["tides"],
        "data_factory_config": {"records_per_request": 3, "dead_queue_threshold": 2},
    }))
    .expect("the test's input is valid");
    let pipeline = Pipeline::builder(model).filter(judge).build();
    let error = pipeline.generate(input).await.expect_err("there are two");
    assert!(error.report().candidates.total > 4);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_fails_costs_the_candidate_and_ends_the_run_when_it_goes_on_failing() {
    let run = async |fails| {
        let asked = Arc::default();
        let judge = Judge {
            asked,
            key: Some("judge"),
            fails,
        };
        let pipeline = Pipeline::builder(FaultyModel::new(1)).filter(judge).build();
        pipeline.generate(input(1)).await
    };
    let dataset = run(|asked| asked % 4 == 3).await.expect("complete");
    let filtered = &dataset.report().filtered;
    assert!(filtered["the filter failed"] > 2, "{filtered:?}");
    assert!(dataset.report().imbalances().is_empty());
    let error = run(|asked| asked >= 5)
        .await
        .expect_err("the judge is away");
    assert_eq!(error.error().kind(), ErrorKind::Network);
    assert!(!error.dataset().is_empty(), "what was made is there");
}

#[tokio::test]
async fn calls_that_were_in_flight_at_a_kill_count_under_the_caps_of_all_that_follow() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let journal = |name: &str| FileJournal::open(directory.path().join(name)).expect("it opens");
    let input = |calls: u64| {
        GenerateByTopicInput::from_json_value(json!({
            "num_records": 20, "topics": ["tides"],
            "data_factory_config": {
                "seed": 1, "max_concurrency": 4, "max_calls": calls, "max_retries": 0, "records_per_request": 1,
            },
        }))
        .expect("the test's input is valid")
    };
    let (client, mut handle) = mock_llm();
    let pipeline = Pipeline::builder(client).journal(journal("first")).build();
    let run = pipeline.run(input(10)).expect("the run starts");
    for _ in 0..4 {
        handle.next_call().await.hang();
    }
    // What a process leaves that is killed now.
    let copy = |to: &str| {
        let path = |name: &str| directory.path().join(name);
        std::fs::copy(path("first"), path(to)).expect("it can be copied");
    };
    copy("killed");
    drop(run);

    let model = FaultyModel::new(1);
    for (resumes, cap, made) in [(1, 10, 6), (2, 13, 3)] {
        let pipeline = Pipeline::builder(model.clone())
            .journal(journal("killed"))
            .build();
        let before = model.books().counts().calls;
        let error = pipeline
            .generate(input(cap))
            .await
            .expect_err("the cap is reached");
        assert_eq!(error.error().kind(), ErrorKind::Budget);
        assert_eq!(
            model.books().counts().calls - before,
            made,
            "resume {resumes}"
        );
        let spent = error.report().spending;
        assert_eq!((spent.calls, spent.uncertain_calls), (cap, 4));
        let notes = error.report().notes.join("\n");
        assert!(notes.contains("4 calls were in flight"), "{notes}");
        assert_eq!(error.report().accepted, cap - 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_was_deleted_under_the_run_is_told() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("run.journal");
    for harm in ["deletes", "cuts off", "does nothing"] {
        let is_harmed = harm != "does nothing";
        let journal = FileJournal::open(&path).expect("it opens");
        let gone = path.clone();
        let told = Arc::new(AtomicU64::new(0));
        let (accepted, told_after) = (AtomicU64::new(0), Arc::clone(&told));
        let slow = model(1).delays(Duration::from_millis(1)..=Duration::from_secs(3));
        let pipeline = Pipeline::builder(slow)
            .journal(journal)
            .on_accepted(move |record| {
                if record.meta.ordinal == 3 {
                    match harm {
                        "deletes" => std::fs::remove_file(&gone).expect("it is there"),
                        "cuts off" => drop(std::fs::File::create(&gone).expect("it is there")),
                        _ => {}
                    }
                }
            })
            .on_event(move |event| match event {
                RunEvent::Accepted {
                    accepted: so_far, ..
                } => {
                    accepted.store(*so_far, Ordering::Relaxed);
                }
                RunEvent::Warned { warning, .. } if warning.contains("deleted or replaced") => {
                    told_after.store(accepted.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                _ => {}
            })
            .build();
        let dataset = pipeline.generate(input(4)).await.expect("complete");
        let warnings = dataset.report().warnings.join("\n");
        assert_eq!(
            warnings.contains("deleted or replaced"),
            is_harmed,
            "{warnings}"
        );
        // While the run goes on, and not when it ends.
        let told = told.load(Ordering::Relaxed);
        assert_eq!((4..40).contains(&told), is_harmed, "after {told}");
        if harm == "cuts off" {
            std::fs::remove_file(&path).expect("it is there");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_version_1_gives_its_records_without_a_call() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("run.journal");
    std::fs::copy("tests/cases/journal/version-1.journal", &path).expect("it can be copied");
    let input = GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "about the sea", "num_records": 24, "topics": ["tides", "waves"],
        "generation_model_name": "offline/loom",
        "data_factory_config": {"seed": 5, "records_per_request": 3},
    }))
    .expect("the test's input is valid");
    let silent = FaultyModel::new(1);
    let journal = FileJournal::open(&path).expect("version 1 is read");
    let dataset = journalled_input(silent.clone(), journal, input).await;
    assert_eq!(dataset.len(), 24);
    assert_eq!(silent.books().counts().calls, 0, "the model is not asked");
    assert_eq!(dataset.report().record_calls.answered, 8);
    let first = dataset.records()[0].data["question"].as_str();
    assert_eq!(
        first,
        Some(
            "How would you visualise a bold value so that it perceives a polished harbour in rural development?"
        )
    );
}

async fn journalled_input(
    model: FaultyModel,
    journal: impl Journal,
    input: GenerateByTopicInput,
) -> Dataset {
    let pipeline = Pipeline::builder(model).journal(journal).build();
    pipeline.generate(input).await.expect("complete")
}
