//! What moves prompts apart, and what counts as seen before the first record.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};
use topicloom::dedup::KnownRecords;
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::journal::{Entry, MemoryJournal};
use topicloom::llm::{ChatRequest, Purpose};
use topicloom::report::Rejection;
use topicloom::testing::{ScriptedAnswer, ScriptedLlm, mock_llm, scripted};
use topicloom::topic::Angles;
use topicloom::{GenerateByTopicInput, Pipeline};

fn input(records: u64) -> GenerateByTopicInputBuilder {
    GenerateByTopicInput::builder()
        .topic("tides")
        .num_records(records)
        .max_concurrency(1)
        .seed(1)
}

fn record(question: &str) -> ScriptedAnswer {
    json!({"records": [{"question": question, "answer": "Because."}]}).into()
}

/// Answers that have nothing in common.
fn distinct(count: usize) -> Vec<ScriptedAnswer> {
    const NOUNS: [&str; 12] = [
        "apples", "bridges", "comets", "dolls", "engines", "ferries", "glaciers", "harps",
        "islands", "jars", "kites", "lamps",
    ];
    NOUNS[..count]
        .iter()
        .map(|noun| record(&format!("Why are there {noun}?")))
        .collect()
}

/// How often each angle stood in a prompt for records.
fn turns(model: &ScriptedLlm, angles: &[&'static str]) -> BTreeMap<&'static str, usize> {
    let requests = model.requests();
    let prompts = requests
        .iter()
        .filter(|request| request.purpose == Purpose::Records);
    let prompts: Vec<&str> = prompts.map(ChatRequest::last_text).collect();
    let times = |angle: &str| {
        prompts
            .iter()
            .filter(|prompt| prompt.contains(angle))
            .count()
    };
    angles.iter().map(|&angle| (angle, times(angle))).collect()
}

#[tokio::test(start_paused = true)]
async fn angles_take_turns_in_the_prompts_of_a_topic() {
    let model = scripted(distinct(6));
    let angles = ["for a sailor", "a common mistake", "in numbers"];
    let input = input(6).angles(&Angles::given(angles)).build().unwrap();
    Pipeline::builder(model.clone())
        .build()
        .generate(input)
        .await
        .unwrap();
    assert!(turns(&model, &angles).values().all(|&times| times == 2));
}

#[tokio::test(start_paused = true)]
async fn generated_angles_are_asked_for_once_and_kept_by_the_journal() {
    let journal = MemoryJournal::default();
    let angles = ["for a sailor", "in numbers"];
    let mut answers = vec![json!({"topics": angles}).into()];
    answers.extend(distinct(2));
    let model = scripted(answers);
    let with = |records| {
        input(records)
            .angles(&Angles::generated(2))
            .build()
            .unwrap()
    };
    let pipeline = |model: &ScriptedLlm| Pipeline::builder(model.clone()).journal(journal.clone());
    pipeline(&model).build().generate(with(2)).await.unwrap();
    assert_eq!(model.requests()[0].purpose, Purpose::Topics);
    assert!(turns(&model, &angles).values().all(|&times| times == 1));

    // The run is cut off after its first answer, and goes on with the angles it began with.
    let mut entries = journal.entries();
    let is_answer = |entry: &Entry| matches!(entry, Entry::Answered(_));
    let first = entries.iter().position(is_answer);
    entries.truncate(first.expect("there are answers") + 1);
    let model = scripted([record("Why are there lamps?")]);
    let resumed = Pipeline::builder(model.clone()).journal(MemoryJournal::with_entries(entries));
    let dataset = resumed.build().generate(with(2)).await.unwrap();
    assert_eq!(dataset.len(), 2);
    assert_eq!(turns(&model, &angles).values().sum::<usize>(), 1);
}

#[tokio::test(start_paused = true)]
async fn angles_that_cannot_be_had_are_done_without() {
    let mut answers = vec!["I would rather not.".into()];
    answers.extend(distinct(2));
    let model = scripted(answers);
    let input = input(2).angles(&Angles::generated_once(5)).build().unwrap();
    let dataset = Pipeline::builder(model)
        .build()
        .generate(input)
        .await
        .unwrap();
    assert_eq!(dataset.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_repeats_given_material_is_no_record() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", json!({"question": "Why are there bridges?"})).unwrap();
    let seeds = KnownRecords::records("seeds", [json!({"question": "Why are there apples?"})]);
    let mut answers = distinct(4);
    answers.remove(3);
    answers.push(record("Why are there harps?"));
    let model = scripted(answers);
    let journal = MemoryJournal::default();
    let input = input(2).already_seen(file.path()).avoid_examples(3);
    let input = input.build().unwrap();
    let pipeline = |model| {
        let pipeline = Pipeline::builder(model).already_seen(seeds.clone());
        pipeline.journal(journal.clone()).build()
    };
    let dataset = pipeline(model.clone())
        .generate(input.clone())
        .await
        .unwrap();
    let questions = |dataset: &topicloom::Dataset| -> Vec<Value> {
        dataset
            .iter()
            .map(|record| record.data["question"].clone())
            .collect()
    };
    let kept = ["Why are there comets?", "Why are there harps?"];
    assert_eq!(questions(&dataset), kept);
    assert_eq!(
        dataset.report().topics[0].candidates.rejected[Rejection::Duplicate],
        2
    );
    let said = "repeats a record that already exists";
    let requests = model.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.last_text().contains(said))
    );

    let silent = scripted(Vec::<ScriptedAnswer>::new());
    let again = pipeline(silent).generate(input).await.unwrap();
    assert_eq!(questions(&again), kept);
}

#[tokio::test]
async fn a_file_of_given_material_that_is_missing_is_said_before_any_call() {
    let model = scripted(distinct(1));
    let input = input(1).already_seen("no/such/file.jsonl").build().unwrap();
    let error = Pipeline::builder(model.clone())
        .build()
        .generate(input)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no/such/file.jsonl"), "{error}");
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_embedding_model_that_cannot_be_had_is_found_before_the_first_call() {
    use topicloom::dedup::{DeduplicatorExt, NearDuplicates, SemanticDuplicates};
    use topicloom::embedding::from_fn;
    use topicloom::{Error, ErrorKind};

    let embedder = from_fn("gone", |_: &str| -> topicloom::Result<Vec<f32>> {
        Err(Error::new(
            ErrorKind::UnknownModel,
            "there is no such model",
        ))
    });
    let model = scripted(distinct(10));
    let error = Pipeline::builder(model.clone())
        .deduplicator(NearDuplicates::default().then(SemanticDuplicates::new(embedder)))
        .build()
        .generate(
            GenerateByTopicInput::builder()
                .topic("graphs")
                .build()
                .expect("it is valid"),
        )
        .await
        .expect_err("nothing can be compared");
    assert_eq!(error.error().kind(), ErrorKind::UnknownModel);
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_there_are_embeddings_the_report_has_a_vendi_score() {
    use topicloom::dedup::{DeduplicatorExt, NearDuplicates, SemanticDuplicates};
    use topicloom::embedding::from_fn;

    // Each noun has a direction of its own, so five records are worth five.
    let embedder = from_fn("toy", |text: &str| -> topicloom::Result<Vec<f32>> {
        let nouns = ["apples", "bridges", "comets", "dolls", "engines"];
        let direction = |noun: &&str| f32::from(u8::from(text.contains(*noun)));
        Ok(nouns.iter().map(direction).collect())
    });
    for (with_embeddings, expected) in [(true, Some(5.0)), (false, None)] {
        let pipeline = Pipeline::builder(scripted(distinct(5)));
        let near = NearDuplicates::default();
        let pipeline = if with_embeddings {
            pipeline.deduplicator(near.then(SemanticDuplicates::new(embedder.clone())))
        } else {
            pipeline.deduplicator(near)
        };
        let dataset = pipeline
            .build()
            .generate(input(5).build().unwrap())
            .await
            .unwrap();
        let vendi = dataset.report().diversity.vendi;
        assert_eq!(vendi.map(|score| (score * 1e3).round() / 1e3), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_what_was_shown_is_counted_and_not_shown_again_and_a_resume_counts_the_same() {
    let first = "Why are there apples?";
    let mut answers = distinct(2);
    answers.extend([record(first), record("Why are there comets?")]);
    answers.push(record("Why are there dolls?"));
    let model = scripted(answers);
    let journal = MemoryJournal::default();
    let input = input(4).avoid_examples(2).build().unwrap();
    let pipeline = |model| Pipeline::builder(model).journal(journal.clone()).build();
    let dataset = pipeline(model.clone())
        .generate(input.clone())
        .await
        .unwrap();
    let report = dataset.report();
    assert_eq!(
        (
            report.copies,
            report.candidates.rejected[Rejection::Duplicate]
        ),
        (1, 1)
    );
    let copies: u64 = report.shown.values().map(|shown| shown.copies).sum();
    let answers: u64 = report.shown.values().map(|shown| shown.answers).sum();
    assert_eq!((copies, answers), (1, 5));
    let requests = model.requests();
    let shows = |request: &ChatRequest| request.last_text().contains(first);
    assert!(shows(&requests[2]), "{}", requests[2].last_text());
    assert!(!shows(&requests[4]), "{}", requests[4].last_text());

    let silent = scripted(Vec::<ScriptedAnswer>::new());
    let again = pipeline(silent).generate(input).await.unwrap();
    assert_eq!(again.report().copies, 1);
    assert_eq!(again.report().shown, report.shown);
}

#[tokio::test(start_paused = true)]
async fn unless_told_otherwise_nothing_is_shown_while_nothing_repeats() {
    let model = scripted(distinct(12));
    Pipeline::builder(model.clone())
        .build()
        .generate(input(12).build().unwrap())
        .await
        .unwrap();
    let requests = model.requests();
    let shows = |request: &ChatRequest| request.last_text().contains("exist already");
    assert!(!requests.iter().any(shows));
}

#[tokio::test(start_paused = true)]
async fn feedback_that_comes_back_as_the_answer_is_given_no_more() {
    let (model, mut handle) = mock_llm();
    let input = input(2).give_up_after(20).build().unwrap();
    let run = tokio::spawn(async move { Pipeline::builder(model).build().generate(input).await });
    let has_feedback = |prompt: &str| prompt.contains("could not be used");
    let mut fed_back = 0;
    for turn in 0..8 {
        let call = handle.next_call().await;
        let prompt = call.request().last_text().to_owned();
        fed_back += usize::from(has_feedback(&prompt));
        // Another task was worded before the parrot's answer was there.
        assert!(turn < 4 || !has_feedback(&prompt), "{prompt}");
        match turn {
            2 => call.text("The answer contained no JSON."),
            _ => call.text("I would rather talk."),
        }
    }
    assert!(fed_back > 0);
    for question in ["Why are there apples?", "Why are there comets?"] {
        let call = handle.next_call().await;
        call.records([json!({"question": question, "answer": "Because."})]);
    }
    run.await.expect("no panic").expect("complete");
}

#[tokio::test(start_paused = true)]
async fn invented_topics_that_say_the_same_are_asked_for_again() {
    let model = scripted([
        json!({"topics": ["neural networks", "The Neural Network", "decision trees"]}).into(),
        json!({"topics": ["random forests"]}).into(),
        record("Why are there apples?"),
        record("Why are there bridges?"),
        record("Why are there comets?"),
    ]);
    let input = GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "Questions about machine learning", "num_records": 3, "records_per_topic": 1,
        "data_factory_config": {"seed": 1, "max_concurrency": 1, "deduplication": "off"},
    }));
    let dataset = Pipeline::builder(model)
        .build()
        .generate(input.unwrap())
        .await
        .unwrap();
    let topics = &dataset.report().topics;
    let mut topics: Vec<&str> = topics.iter().map(|topic| topic.topic.name()).collect();
    topics.sort_unstable();
    assert_eq!(
        topics,
        ["decision trees", "neural networks", "random forests"]
    );
}
