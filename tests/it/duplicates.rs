//! What is taken for a repeat: on pairs of texts, on kinds of records that are all distinct, and over a whole run.
//!
//! The files in `tests/cases/dedup`:
//!
//! - `*.txt`: a pair per line, `same` or `new`, then the two texts with `||` between them. All hold.
//! - `pairs.tsv`: pairs with a label, 1 the same and 0 distinct, written by someone who had not seen the rules. No pair of
//!   distinct texts may be merged; how many of the others are found is counted against a floor.
//! - `rewordings.tsv`: the same, light rewordings alone and pairs that only look like them, in three parts by three more hands. The
//!   rules were changed with each part in view before they met the next.
//! - `kinds.jsonl`: 191 kinds of records, all distinct, by the same hand, and 39 by the last one; of its fortieth, grammar exercises that underline
//!   a part of a sentence, one record of 40 is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use serde_json::{Map, Value, json};
use topicloom::dedup::{AnyDeduplicator, Deduplication, Method, NearDuplicates};
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient};
use topicloom::{Candidate, GenerateByTopicInput, Pipeline, Result};

fn cases() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "cases", "dedup"]
        .iter()
        .collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no record"),
    }
}

/// Returns for each record whether it is new.
fn are_new(records: &[Map<String, Value>]) -> Vec<bool> {
    let deduplicator = AnyDeduplicator::new(NearDuplicates::default());
    let mut memory = deduplicator.memory();
    let is_new = |record| {
        let print = deduplicator
            .fingerprint(&Candidate::new("t", record))
            .now_or_never();
        memory
            .admit(print.expect("it never waits").expect("it does not fail"))
            .is_unique()
    };
    records.iter().map(is_new).collect()
}

fn are_the_same(one: &str, other: &str) -> bool {
    let records = [one, other].map(|text| object(json!({"question": text, "answer": "…"})));
    !are_new(&records)[1]
}

#[test]
fn every_pair_in_the_case_files_gets_its_verdict() {
    let mut wrong = Vec::new();
    let mut pairs = 0;
    for file in std::fs::read_dir(cases()).expect("the folder of cases") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (expected, pair) = line.split_once(' ').expect("a verdict in front");
            let (one, other) = pair.split_once("||").expect("two texts");
            pairs += 1;
            for (one, other) in [(one, other), (other, one)] {
                if are_the_same(one, other) != (expected == "same") {
                    wrong.push(format!("{expected}: {one} {other}"));
                }
            }
        }
    }
    assert!(
        pairs > 200 && wrong.is_empty(),
        "{} of {pairs} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_text_costs_no_more_than_its_length() {
    let seconds = |times: usize| {
        let texts = [
            "in x, ",
            "x and ",
            ", thanks",
            "name the x of ",
            "x's ",
            "how is x tested ",
        ];
        let records = texts
            .map(|text| object(json!({"question": format!("What is {}", text.repeat(times))})));
        let started = std::time::Instant::now();
        are_new(&records);
        started.elapsed().as_secs_f64()
    };
    let (short, long) = (seconds(2_000), seconds(20_000));
    // Ten times as much; the square would be a hundred times.
    assert!(long < 40.0 * short.max(0.02), "{short} and {long} seconds");
}

/// How many pairs of a file were merged, and how many there are, by label and kind.
type Merged = BTreeMap<(String, String), (usize, usize)>;

/// Returns what was merged of the pairs in a file, and which of these are distinct.
fn merged(file: &str) -> (Merged, Vec<String>) {
    let text = std::fs::read_to_string(cases().join(file)).expect("UTF-8");
    let mut found = Merged::new();
    let mut wrong = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [label, kind, one, other] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not four columns: {line}");
        };
        let same = are_the_same(one, other);
        if same && label == "0" {
            wrong.push(format!("{one} | {other}"));
        }
        let counts = found
            .entry((label.to_owned(), kind.to_owned()))
            .or_default();
        counts.0 += usize::from(same);
        counts.1 += 1;
    }
    (found, wrong)
}

#[test]
fn no_distinct_pair_is_merged_and_some_of_the_light_rewordings_are_found() {
    let (found, wrong) = merged("pairs.tsv");
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (light, of) = found[&("1".to_owned(), "light".to_owned())];
    assert!(
        light * 100 >= of * 28,
        "{light} of {of} light rewordings were found"
    );
}

#[test]
fn few_distinct_pairs_that_look_like_rewordings_are_merged() {
    let (found, wrong) = merged("rewordings.tsv");
    let merged = |label: &str, part: &str| {
        let of_part = found
            .iter()
            .filter(|((is, kind), _)| is == label && kind.starts_with(part));
        of_part.fold((0, 0), |sum, (_, counts)| {
            (sum.0 + counts.0, sum.1 + counts.1)
        })
    };
    // What is left are participles, plurals and capitals with another sense, and articles.
    for (part, least, most) in [("first", 28, 1), ("second", 36, 3), ("third", 65, 10)] {
        let (light, of) = merged("1", part);
        assert!(light * 100 >= of * least, "{part}: {light} of {of}");
        let (distinct, _) = merged("0", part);
        assert!(distinct <= most, "{part}: {distinct} of {wrong:#?}");
    }
}

#[test]
fn of_no_kind_of_distinct_records_more_than_one_in_a_hundred_is_refused() {
    let text = std::fs::read_to_string(cases().join("kinds.jsonl")).expect("UTF-8");
    let mut kinds: BTreeMap<String, Vec<Map<String, Value>>> = BTreeMap::new();
    for line in text.lines() {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        let kind = record["kind"].as_str().expect("a name").to_owned();
        kinds
            .entry(kind)
            .or_default()
            .push(object(record["data"].take()));
    }
    assert!(kinds.len() >= 60 && kinds.values().map(Vec::len).sum::<usize>() >= 10_000);
    for (kind, records) in &kinds {
        let refused = are_new(records)
            .into_iter()
            .filter(|is_new| !is_new)
            .count();
        assert!(
            refused * 100 <= records.len(),
            "{kind}: {refused} of {} refused",
            records.len()
        );
    }
}

/// Writes one record after the other.
#[derive(Debug)]
struct InTurn {
    records: Vec<Value>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl LlmClient for InTurn {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(ChatResponse::new(
            self.records[turn % self.records.len()].to_string(),
        ))
    }

    fn model(&self) -> &'static str {
        "in/turn"
    }
}

/// Runs until as many records as there are have been accepted, and returns the calls that took.
async fn calls_for(records: Vec<Value>, deduplication: Deduplication) -> u64 {
    let fields = object(records[0].clone());
    let properties: Map<String, Value> = fields
        .keys()
        .map(|name| (name.clone(), json!(true)))
        .collect();
    let input = GenerateByTopicInput::builder()
        .user_instruction("records of a kind")
        .num_records(records.len() as u64)
        .topics(["everything"])
        .output_json_schema(json!({"type": "object", "properties": properties}))
        .deduplication(deduplication)
        .give_up_after(1_000)
        .max_concurrency(4)
        .build()
        .expect("an input");
    let asked = AtomicUsize::new(0);
    let dataset = Pipeline::builder(InTurn { records, asked })
        .build()
        .generate(input)
        .await;
    let dataset = dataset.unwrap_or_else(|error| panic!("{error}"));
    dataset.report().record_calls.made
}

#[tokio::test]
async fn a_model_that_never_repeats_itself_is_asked_once_a_record() {
    let text = std::fs::read_to_string(cases().join("kinds.jsonl")).expect("UTF-8");
    let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        let kind = record["kind"].as_str().expect("a name").to_owned();
        kinds.entry(kind).or_default().push(record["data"].take());
    }
    // Every tenth kind, so that they are of all sorts.
    for (kind, records) in kinds.into_iter().step_by(18) {
        let wanted = records.len() as u64;
        let calls = calls_for(records, Deduplication::default()).await;
        assert!(
            calls * 10 <= wanted * 11,
            "{kind}: {calls} calls for {wanted} records"
        );
    }
}

#[tokio::test]
async fn the_input_says_what_decides() {
    let records = |count: u32| {
        (0..count)
            .map(|n| json!({"name": "Ada", "note": format!("note {}", n % 7)}))
            .collect()
    };
    // By the note alone, and by nothing, each is accepted.
    assert_eq!(
        calls_for(records(7), Deduplication::default().fields(["note"])).await,
        7
    );
    assert_eq!(calls_for(records(20), Method::Off.into()).await, 20);
    let faulty = GenerateByTopicInput::from_json_str(
        r#"{"user_instruction": "x", "topics": ["t"], "deduplication": {"fields": ["qestion"]}}"#,
    );
    let message = faulty.expect_err("no such field").to_string();
    assert!(message.contains("did you mean `question`?"), "{message}");
    let nested = |field: &str| {
        GenerateByTopicInput::from_json_value(json!({
            "user_instruction": "x", "topics": ["t"], "deduplication": {"fields": [field]},
            "output_schema": {"type": "object", "properties": {
                "name": {"type": "string"},
                "meta": {"type": "object", "properties": {"source": {"type": "string"}}},
            }},
        }))
    };
    assert!(nested("meta.source").is_ok() && nested("meta").is_ok());
    for (field, advice) in [
        ("meta.sorce", "did you mean `meta.source`?"),
        ("name.x", "name the field"),
    ] {
        let message = nested(field).expect_err("no such field").to_string();
        assert!(message.contains(advice), "{message}");
    }
}
