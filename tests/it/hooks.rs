//! What hooks are shown, and what filters say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use topicloom::dedup::Reference;
use topicloom::filter::filter_fn;
use topicloom::journal::{Entry, MemoryJournal};
use topicloom::report::{Outcome, Rejection};
use topicloom::testing::{FaultyModel, ScriptedAnswer, scripted};
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder, Report, RunEvent};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

/// What hooks were shown, a line for each call.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn push(&self, line: String) {
        self.0.lock().expect("pushing does not panic").push(line);
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("taking does not panic"))
    }

    fn hooked(&self, builder: PipelineBuilder) -> PipelineBuilder {
        let [accepted, rejected, failed] = [self.clone(), self.clone(), self.clone()];
        let from = |is_replayed| if is_replayed { "journal" } else { "model" };
        builder
            .on_accepted(move |record| {
                let question = &record.data["question"];
                accepted.push(format!(
                    "{} {}: accepted {question} ({})",
                    from(record.is_replayed),
                    record.topic,
                    record.meta.ordinal
                ));
            })
            .on_rejected(move |candidate| {
                let question = candidate.data.map(|data| &data["question"]);
                let of = candidate.repeats.map(|found| found.of.to_string());
                rejected.push(format!(
                    "{} {}: {} {question:?} {:?} {of:?}",
                    from(candidate.is_replayed),
                    candidate.topic,
                    candidate.rejection,
                    candidate.reason
                ));
            })
            .on_failed(move |task| {
                failed.push(format!(
                    "{} {}: {} after {} calls, ends the run: {}",
                    from(task.is_replayed),
                    task.topic,
                    task.error,
                    task.calls,
                    task.ends_run
                ));
            })
    }
}

fn one_at_a_time(records: u64) -> GenerateByTopicInput {
    input(json!({
        "num_records": records, "topics": ["graphs"],
        "data_factory_config": {"max_concurrency": 1, "max_retries": 1},
    }))
}

#[tokio::test(start_paused = true)]
async fn hooks_are_shown_each_candidate_with_its_data_and_what_became_of_it() {
    let records = |questions: &[Value]| {
        let records: Vec<Value> = questions
            .iter()
            .map(|question| json!({"question": question, "answer": "Because."}))
            .collect();
        ScriptedAnswer::from(json!({ "records": records }))
    };
    let model = scripted([
        records(&[json!("What is a tree?"), json!("What is a tree?")]),
        records(&[json!(7)]),
        records(&[json!("Hm?")]),
        ScriptedAnswer::from(ErrorKind::Overloaded),
        ScriptedAnswer::from(ErrorKind::Timeout),
        records(&[
            json!("How is a cycle found?"),
            json!("What joins two cliques?"),
        ]),
    ]);
    let requests = model.clone();
    let journal = MemoryJournal::default();
    let shown = Shown::default();
    let pipeline = |model| {
        shown
            .hooked(Pipeline::builder(model))
            .filter(filter_fn("too short", |candidate| {
                candidate
                    .text("question")
                    .is_some_and(|text| text.len() > 5)
            }))
            .journal(journal.clone())
            .build()
    };
    let dataset = pipeline(model)
        .generate(one_at_a_time(2))
        .await
        .expect("complete");
    let lines = shown.lines();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(
        dataset.report().filtered,
        BTreeMap::from([("too short".to_owned(), 1)])
    );
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
    let prompts = requests.requests();
    assert!(
        prompts
            .iter()
            .any(|request| request.last_text().contains("too short")),
        "the model is told what the filter said"
    );

    let again = pipeline(scripted([] as [&str; 0]))
        .generate(one_at_a_time(2))
        .await
        .expect("complete");
    assert_eq!(again.len(), 2);
    let replayed: Vec<String> = lines
        .iter()
        .map(|line| line.replacen("model", "journal", 1))
        .collect();
    assert_eq!(shown.lines(), replayed);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_ends_the_run_is_shown_to_the_hook() {
    let shown = Shown::default();
    let model = scripted([ErrorKind::Auth]);
    let run = shown.hooked(Pipeline::builder(model)).build();
    let error = run.generate(one_at_a_time(1)).await.expect_err("no key");
    assert_eq!(error.error().kind(), ErrorKind::Auth);
    let lines = shown.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with("after 0 calls, ends the run: true"),
        "{lines:?}"
    );
}

/// What hooks counted of a run, against what its report says.
#[derive(Default)]
struct Counts {
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    replayed: u64,
    last_ordinal: Option<u64>,
}

fn counted(builder: PipelineBuilder, counts: &Arc<Mutex<Counts>>) -> Pipeline {
    let [first, second] = [Arc::clone(counts), Arc::clone(counts)];
    builder
        .on_accepted(move |record| {
            let mut counts = first.try_lock().expect("hooks are called one at a time");
            counts.accepted += 1;
            counts.replayed += u64::from(record.is_replayed);
            let before = counts.last_ordinal.replace(record.meta.ordinal);
            assert_eq!(record.meta.ordinal, before.map_or(0, |before| before + 1));
        })
        .on_rejected(move |candidate| {
            let mut counts = second.try_lock().expect("hooks are called one at a time");
            let name = candidate.rejection.to_string();
            *counts.rejected.entry(name).or_default() += 1;
            let of = candidate.repeats.map(|found| found.of.clone());
            if candidate.rejection == Rejection::Duplicate {
                let is_earlier = matches!(of, Some(Reference::Record(of)) if of < counts.accepted);
                assert!(is_earlier, "{of:?}");
            }
            assert!(candidate.data.is_some());
        })
        .build()
}

fn balances(counts: &Counts, report: &Report) {
    let of = |name: &str| counts.rejected.get(name).copied().unwrap_or_default();
    let found = &report.candidates;
    assert_eq!(counts.accepted, report.accepted);
    assert_eq!(
        [
            of("invalid"),
            of("duplicate"),
            of("surplus"),
            of("filtered")
        ],
        [
            found.rejected[Rejection::Invalid],
            found.rejected[Rejection::Duplicate],
            found.rejected[Rejection::Surplus],
            found.rejected[Rejection::Filtered]
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn hooks_are_called_once_for_each_candidate_of_the_report_also_when_a_run_goes_on() {
    for seed in 0..30 {
        let input = input(json!({
            "num_records": 40, "topics": ["a", "b"],
            "data_factory_config": {"max_concurrency": 8, "records_per_request": 2, "dead_queue_threshold": 100},
        }));
        let model = || {
            FaultyModel::new(seed)
                .failures(0.2)
                .duplicates(0.3)
                .malformed(0.1)
                .invalid(0.1)
        };
        let builder = |model, journal| Pipeline::builder(model).journal(journal);
        let journal = MemoryJournal::default();
        let counts = Arc::new(Mutex::new(Counts::default()));
        let run = counted(builder(model(), journal.clone()), &counts);
        let whole = run.generate(input.clone()).await.expect("complete");
        balances(&counts.lock().expect("no panic"), whole.report());

        let mut entries = journal.entries();
        entries.truncate(entries.len() / 2);
        let is_answer = |entry: &&Entry| matches!(entry, Entry::Answered(_));
        let kept = entries.iter().filter(is_answer).count();
        let counts = Arc::new(Mutex::new(Counts::default()));
        let other = model().records(|number| {
            json!({"question": format!("anew {number}"), "answer": format!("{}", number * 7_919)})
        });
        let run = counted(
            builder(other, MemoryJournal::with_entries(entries)),
            &counts,
        );
        let resumed = run.generate(input).await.expect("complete");
        let counts = counts.lock().expect("no panic");
        balances(&counts, resumed.report());
        assert_eq!(resumed.report().resumed_answers, kept as u64);
        assert!((1..40).contains(&counts.replayed), "{}", counts.replayed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_or_observer_that_panics_ends_the_run_with_the_records_in_hand() {
    let builder = || Pipeline::builder(FaultyModel::new(1));
    for (pipeline, part, made) in [
        (
            builder()
                .on_accepted(|record| assert_eq!(record.meta.ordinal, 0, "no more"))
                .build(),
            "a hook (`on_accepted`) panicked",
            2,
        ),
        (
            builder()
                .on_event(|event| {
                    let second = matches!(event, RunEvent::Accepted { accepted: 2, .. });
                    assert!(!second, "no more");
                })
                .build(),
            "an observer (`on_event`) panicked",
            2,
        ),
        (
            builder()
                .on_event(|event| assert!(!matches!(event, RunEvent::Finished { .. }), "no more"))
                .build(),
            "an observer (`on_event`) panicked",
            3,
        ),
    ] {
        let error = pipeline
            .generate(one_at_a_time(3))
            .await
            .expect_err("it panics");
        assert_eq!(error.error().message(), part);
        assert_eq!(error.dataset().len(), made);
        assert_eq!(error.report().outcome, Outcome::Failed);
        assert_eq!(error.report().imbalances(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_hooks_are_shown_does_not_print_the_record() {
    let printed = Shown::default();
    let [first, second] = [printed.clone(), printed.clone()];
    let pipeline = Pipeline::builder(scripted([
        r#"[{"question": "my secret", "answer": "my own secret"}]"#,
        r#"[{"question": "my secret", "answer": "my own secret"}]"#,
        r#"[{"question": "another secret", "answer": "x"}]"#,
    ]))
    .on_accepted(move |record| first.push(format!("{record:?} {record:#?}")))
    .on_rejected(move |record| second.push(format!("{record:?} {record:#?}")))
    .build();
    pipeline.generate(one_at_a_time(2)).await.expect("complete");
    let lines = printed.lines();
    assert_eq!(lines.len(), 3);
    assert!(!lines.concat().contains("secret"), "{lines:?}");
}
