//! The schemas in `tests/cases/schema/public`, in the manner of public ones: what people have runs, or says what to change.
//!
//! Sixty shapes of configuration files, API payloads and data models, each in the words of five drafts, some in the wrapping
//! in which providers take them; and schemas that cannot run.
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use topicloom::schema::RecordSchema;
use topicloom::{GenerateByTopicInput, generate_by_topic};

fn lines(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/schema/public");
    let text = fs::read_to_string(folder.join(file)).expect("a file of cases");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a case a line"))
        .collect()
}

#[tokio::test]
async fn nearly_every_schema_runs_offline() {
    let mut tried = 0;
    let mut short = Vec::new();
    for draft in [
        "draft-04",
        "draft-06",
        "draft-07",
        "draft-2019-09",
        "draft-2020-12",
    ] {
        for case in lines(&format!("{draft}.jsonl")) {
            tried += 1;
            let input = GenerateByTopicInput::from_json_value(json!({
                "user_instruction": "make some",
                "num_records": 1,
                "topics": ["things"],
                "generation_model_name": "offline/loom",
                "output_schema": case["schema"],
                "data_factory_config": {"show_progress": false, "seed": 3},
            }));
            let why = match input {
                Ok(input) => generate_by_topic(input)
                    .await
                    .err()
                    .map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            short.extend(why.map(|why| format!("{draft}, {}: {why}", case["name"])));
        }
    }
    assert!(tried >= 300, "{tried}");
    assert!(
        short.len() * 20 <= tried,
        "{} of {tried} do not run:\n{}",
        short.len(),
        short.join("\n")
    );
    println!(
        "{} of {tried} do not run:\n{}",
        short.len(),
        short.join("\n")
    );
}

#[test]
fn drafts_mean_the_same() {
    let newest = lines("draft-2020-12.jsonl");
    for draft in ["draft-04", "draft-06", "draft-07", "draft-2019-09"] {
        for (case, newest) in lines(&format!("{draft}.jsonl")).into_iter().zip(&newest) {
            let read =
                |case: &Value| RecordSchema::from_json(case["schema"].clone()).expect("a schema");
            let (old, new) = (read(&case), read(newest));
            assert_eq!(
                old.property_names(),
                new.property_names(),
                "{draft}, {}",
                case["name"]
            );
            assert_eq!(
                old.required_names(),
                new.required_names(),
                "{draft}, {}",
                case["name"]
            );
            let told = old.as_json().to_string();
            for word in [
                "additionalItems",
                "\"dependencies\":{\"tls",
                "exclusiveMinimum\":true",
                "nullable",
            ] {
                assert!(!told.contains(word), "{draft}, {}: {word}", case["name"]);
            }
        }
    }
}

#[test]
fn what_cannot_run_says_what_to_change() {
    for case in lines("faults.jsonl") {
        let error = RecordSchema::from_json(case["schema"].clone()).expect_err("a fault");
        let says = case["says"].as_str().unwrap_or_default();
        assert!(
            error.to_string().contains(says),
            "{}: {error}",
            case["name"]
        );
    }
}
