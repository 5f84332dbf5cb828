//! Rows of source data as topics, and examples that a model copies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::journal::{Entry, MemoryJournal};
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, OfflineModel};
use topicloom::{Dataset, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline};

fn input(source: &Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "source": source, "output_schema": [{"name": "remark", "type": "str"}], "deduplication": "exact", "seed": 3,
    }))
    .expect("it is valid")
}

/// Says of which text it was asked, and for the how manieth time; fails now and then.
#[derive(Debug, Clone, Default)]
struct Naming(Arc<AtomicU64>);

#[async_trait]
impl LlmClient for Naming {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        if call % 5 == 4 {
            return Err(Error::new(ErrorKind::Overloaded, "busy"));
        }
        let mut lines = request.last_text().lines();
        let text = lines
            .find_map(|line| line.strip_prefix("text: "))
            .unwrap_or("nothing");
        let record = json!({"remark": format!("{text}, asked {call}")});
        Ok(ChatResponse::new(record.to_string()))
    }

    fn model(&self) -> &'static str {
        "test/naming"
    }
}

async fn run(model: Naming, journal: &MemoryJournal, input: GenerateByTopicInput) -> Dataset {
    let pipeline = Pipeline::builder(model)
        .journal(journal.clone())
        .resume_changed_input();
    pipeline
        .build()
        .generate(input)
        .await
        .expect("it completes")
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_text_are_topics_of_their_own() {
    let rows = json!([{"id": 1, "text": "a"}, {"id": 2, "text": "a"}, {"id": 3, "text": "secret"}]);
    let source = json!({"rows": rows, "columns": ["text"], "keep": ["id"], "records_per_row": 2});
    let journal = MemoryJournal::default();
    let dataset = run(Naming::default(), &journal, input(&source)).await;
    let mut of_row: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for record in &dataset {
        of_row
            .entry(record.topic.row().expect("a row"))
            .or_default()
            .push(json!(record));
    }
    assert_eq!(of_row.values().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    for (row, records) in &of_row {
        let text = if *row == 3 { "secret" } else { "a" };
        assert!(records.iter().all(|record| record["id"] == *row));
        assert!(records.iter().all(|record| {
            record["remark"]
                .as_str()
                .is_some_and(|it| it.starts_with(text))
        }));
    }
    // Each answer of the journal names its row by the place in a plan, which has the numbers and not the texts.
    let plan = journal.entries().into_iter().find_map(|entry| match entry {
        Entry::Planned(plan) => Some(json!(plan)),
        _ => None,
    });
    let plan = plan.expect("it is planned");
    assert_eq!(plan["topics"][1]["topic"]["row"]["number"], 2);
    assert!(!plan.to_string().contains("secret"));
    assert!(!format!("{:?} {:?}", dataset.report(), dataset.records()[0].topic).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_run_over_rows_goes_on_and_asks_anew_of_a_row_that_has_changed() {
    let rows = |second: &str| {
        input(
            &json!({"rows": [{"text": "a"}, {"text": second}, {"text": "c"}], "records_per_row": 4}),
        )
    };
    let journal = MemoryJournal::default();
    let whole = run(Naming::default(), &journal, rows("b")).await;
    let entries = journal.entries();
    for cut in 0..=entries.len() {
        let kept = MemoryJournal::with_entries(entries[..cut].to_vec());
        let again = run(Naming(Arc::new(AtomicU64::new(1_000))), &kept, rows("b")).await;
        let by_topic = again.by_topic();
        assert_eq!(
            by_topic.values().map(Vec::len).collect::<Vec<_>>(),
            [4, 4, 4]
        );
        assert!(
            again
                .iter()
                .all(|record| json!(record)["remark"].is_string())
        );
        assert_eq!(again.report().imbalances(), Vec::<String>::new());
    }
    let refused = Pipeline::builder(Naming::default())
        .journal(journal.clone())
        .build();
    let error = refused
        .generate(rows("other"))
        .await
        .expect_err("the rows are others");
    assert!(error.to_string().contains("differs in `source`"), "{error}");
    let changed = run(
        Naming(Arc::new(AtomicU64::new(2_000))),
        &journal,
        rows("other"),
    )
    .await;
    let remark =
        |record: &topicloom::Record| record.data["remark"].as_str().expect("a text").to_owned();
    let old: Vec<String> = whole.iter().map(remark).collect();
    for record in &changed {
        let is_old = old.contains(&remark(record));
        assert_eq!(is_old, record.topic.row() != Some(2), "{}", record.topic);
    }
    assert_eq!(changed.len(), 12);
}

#[test]
fn a_sample_is_drawn_once_and_shares_are_even() {
    let rows: Value = (0..50)
        .map(|number| json!({"text": number.to_string(), "other": 1}))
        .collect();
    let drawn = input(&json!({"rows": rows, "columns": ["text"], "sample": 7}));
    let numbers: Vec<u64> = drawn
        .allocation()
        .given
        .iter()
        .filter_map(|it| it.topic.row())
        .collect();
    assert_eq!((numbers.len(), drawn.allocation().total()), (7, 7));
    assert!(numbers.is_sorted() && numbers[6] > 7, "{numbers:?}");
    let again = GenerateByTopicInput::from_json_value(drawn.to_json()).expect("it is valid");
    assert_eq!(again.allocation(), drawn.allocation());
    assert_eq!(again.fingerprint(), drawn.fingerprint());
    assert!(
        !drawn.to_json().to_string().contains("other"),
        "what nobody wants is left out"
    );
    let more = drawn
        .to_builder()
        .num_records(10)
        .build()
        .expect("it is valid");
    let quotas: Vec<u64> = more
        .allocation()
        .given
        .iter()
        .map(|planned| planned.quota)
        .collect();
    assert_eq!(quotas, [2, 2, 2, 1, 1, 1, 1]);
}

#[test]
fn a_hundred_thousand_rows_are_planned_at_once() {
    let rows: Value = (0..100_000)
        .map(|number| json!({"text": format!("the text of row {number}")}))
        .collect();
    let document = json!({"source": {"rows": rows}, "attributes": {"level": {"easy": 0.3, "medium": 0.5, "hard": 0.2}}});
    let begun = Instant::now();
    let input = GenerateByTopicInput::from_json_value(document).expect("it is valid");
    let plan = input
        .allocation()
        .clone()
        .complete(Vec::new())
        .expect("there are topics");
    let plan = plan.crossed(input.attributes());
    assert_eq!((plan.topics.len(), plan.total()), (100_000, 100_000));
    println!("planned in {:?}", begun.elapsed());
    // Without optimisation, and beside other tests.
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn what_is_wrong_with_rows_is_said_with_what_to_change() {
    let error = |document: Value| {
        GenerateByTopicInput::from_json_value(document)
            .unwrap_err()
            .to_string()
    };
    let source = json!({
        "rows": [{"name": "a", "level": 1, "question": 8}], "columns": ["nme"], "keep": ["question"], "quoted": "name",
        "records_per_row": 3,
    });
    let said = error(json!({
        "source": source, "topics": ["tides"], "num_records": 3, "attributes": {"level": ["easy", "hard"]},
        "examples": [{"question": "Why?", "answer": "Because.", "topic": "x"}, {"question": 7}],
    }));
    for part in [
        "source.columns: names `nme`, which no row has; did you mean `name`?",
        "source.question: has in row 1 what the field of that name cannot hold",
        "source.quoted: asks for a quote, and a record has no field `quote`",
        "source: has a column `level`, which is an attribute too",
        "source.records_per_row: is said beside `num_records`",
        "topics: are said beside `source`",
        "examples[1]: is no record: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("examples[0]"), "{said}");
    for (document, part) in [
        (
            json!({"source": "rows.csv"}),
            "source.file: names a file, and this input does not come from one",
        ),
        (
            json!({"documents": "manual"}),
            "documents: names a file, and this input does not come from one",
        ),
        (json!({"source": []}), "source: has no rows"),
        (
            json!({"source": {"rows": [7]}}),
            "source.rows[1]: is a number",
        ),
        (
            json!({"topics": ["a"], "examples": []}),
            "examples: has no record",
        ),
    ] {
        let said = error(document);
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Copies the first example that it is shown, most times.
#[derive(Debug, Clone, Default)]
struct Copying(OfflineModel, Arc<AtomicU64>, Arc<AtomicU64>);

#[async_trait]
impl LlmClient for Copying {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let call = self.1.fetch_add(1, Ordering::Relaxed);
        let mut lines = request.last_text().lines();
        match lines.find_map(|line| line.strip_prefix("- ")) {
            Some(example) if !call.is_multiple_of(4) => {
                self.2.fetch_add(1, Ordering::Relaxed);
                Ok(ChatResponse::new(format!("{{\"records\": [{example}]}}")))
            }
            _ => self.0.complete(request).await,
        }
    }

    fn model(&self) -> &'static str {
        "test/copying"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_copies_examples_is_shown_fewer() {
    let examples: Value =
        (0..6).map(|number| json!({"question": format!("Is {number} odd?"), "answer": "Look at the last digit."})).collect();
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 200, "topics": ["a", "b"], "examples": {"given": examples, "shown": 2}, "seed": 4,
        "dead_queue_threshold": 1_000, "max_concurrency": 4, "avoid_examples": 0,
    }))
    .expect("it is valid");
    let model = Copying::default();
    let journal = MemoryJournal::default();
    let pipeline = |model: &Copying| {
        Pipeline::builder(model.clone())
            .journal(journal.clone())
            .build()
    };
    let dataset = pipeline(&model)
        .generate(input.clone())
        .await
        .expect("it completes");
    let copied = model.2.load(Ordering::Relaxed);
    assert_eq!(dataset.len(), 200);
    assert!((1..60).contains(&copied), "{copied} copies");
    assert!(
        dataset
            .iter()
            .all(|record| record.data["answer"] != "Look at the last digit.")
    );
    let again = pipeline(&Copying::default())
        .generate(input)
        .await
        .expect("it completes");
    let texts = |dataset: &Dataset| {
        dataset
            .iter()
            .map(|record| json!(record).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&again), texts(&dataset));
}

#[cfg(feature = "parquet")]
fn parquet(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/parquet")
        .join(name)
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_of_others_is_read_with_its_types() {
    use topicloom::input::Rows;

    let rows = Rows::open(parquet("snappy.parquet")).expect("it is there");
    let rows: Value = rows.map(|row| row.expect("it is a row").1).collect();
    assert_eq!(
        rows[0],
        json!({
            "text": "a", "name": "red", "count": 1, "small": 1, "half": 0.5, "single": 0.1, "yes": true, "tags": ["x", "y"],
            "inner": {"a": 1, "b": ["p"]}, "pairs": {"k": 1}, "day": "2025-03-31", "at_ns": "2025-03-31T12:00:00.5",
            "at_ms": "2025-03-31T12:00:00", "at_us": "2025-03-31T12:00:00", "money": "12.50", "bytes": "plain", "nothing": null,
        })
    );
    assert_eq!(rows[1]["text"], "b\nc");
    assert_eq!(
        [&rows[1]["tags"], &rows[1]["inner"], &rows[1]["bytes"]],
        [&json!([]), &json!({"a": null, "b": []}), &json!("/wA=")]
    );
    assert_eq!(
        [&rows[2]["tags"], &rows[2]["text"], &rows[2]["at_ns"]],
        [&json!(null), &json!(null), &json!("1969-12-31T23:59:59")]
    );
    let packed = Rows::open(parquet("zstd.parquet")).expect_err("it cannot be read");
    assert!(
        packed
            .to_string()
            .contains("the file is Parquet that is compressed with ZSTD"),
        "{packed}"
    );
}

#[cfg(feature = "parquet")]
#[tokio::test(start_paused = true)]
async fn parquet_is_a_source_and_examples_and_labels() {
    use topicloom::input::OutputFile;
    use topicloom::sink::FileSink;

    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("rows.parquet");
    let first = GenerateByTopicInput::from_json_value(
        json!({"topics": ["a", "b"], "num_records": 7, "seed": 1}),
    );
    let first = first.expect("it is valid");
    let mut sink =
        FileSink::create(&OutputFile::new(&file), first.schema()).expect("there is room");
    let pipeline = Pipeline::builder(OfflineModel::default()).build();
    let run = pipeline.run(first).expect("it starts");
    run.write_to(&mut sink).await.expect("it is complete");
    let read = |document: &Value| {
        topicloom::input::GenerateByTopicInputBuilder::from_json_value(document.clone())
            .expect("an object")
            .files_in(folder.path())
            .build()
    };
    let input = read(&json!({
        "source": {"file": "rows.parquet", "columns": ["question"], "records_per_row": 2}, "examples": "rows.parquet", "seed": 2,
    }));
    let input = input.expect("it is valid");
    assert_eq!(input.allocation().total(), 14);
    let made = pipeline.generate(input).await.expect("it completes");
    assert_eq!(made.by_topic().len(), 7);
    let labels = read(
        &json!({"judge": {"criteria": ["clear"], "accept": "clear > 2", "labels": "rows.parquet"}}),
    );
    let fault = labels.expect_err("nobody looked at these").to_string();
    assert!(
        fault.contains("judge.labels: have no label in any row"),
        "{fault}"
    );
    std::fs::copy(parquet("zstd.parquet"), folder.path().join("z.parquet")).expect("there is room");
    std::fs::write(folder.path().join("t.parquet"), "no").expect("there is room");
    for (name, said) in [
        (
            "z.parquet",
            "source.file: names a file of Parquet that is compressed with ZSTD, which is not read here; write it with Snappy, or without",
        ),
        ("t.parquet", "source.file: names a file that is no Parquet"),
        (
            "u.parquet",
            "source.file: names a file that cannot be read: entity not found",
        ),
    ] {
        let fault = read(&json!({"source": name}))
            .expect_err("it cannot be read")
            .to_string();
        assert!(fault.contains(said), "{fault}");
    }
}
