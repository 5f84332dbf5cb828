//! What a real model finds behind the near stage, on labelled questions.

use std::collections::{HashMap, HashSet};

use futures::FutureExt;
use serde_json::{Value, json};
use topicloom::Candidate;
use topicloom::dedup::{AnyDeduplicator, DeduplicatorExt, NearDuplicates, SemanticDuplicates};
use topicloom::embedding::from_fn;

struct Labelled {
    text: String,
    cluster: u64,
}

/// Prints precision and recall at some thresholds for a set as `benches/dedup` reads it and the vectors of its texts:
/// numbers of 32 bits, one text after the other.
pub fn tables(set: &str, vectors: &str) {
    let lines = std::fs::read_to_string(set).unwrap_or_else(|error| panic!("{set}: {error}"));
    let questions: Vec<Labelled> = lines
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = row["text"].as_str().expect("a text").to_owned();
            let cluster = row["cluster"].as_u64().expect("a cluster");
            Labelled { text, cluster }
        })
        .collect();
    let bytes = std::fs::read(vectors).unwrap_or_else(|error| panic!("{vectors}: {error}"));
    let numbers = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("four bytes")));
    let numbers: Vec<f32> = numbers.collect();
    let dimensions = numbers.len() / questions.len();
    let texts = questions
        .iter()
        .map(|question| question.text.trim().to_owned());
    let known: HashMap<String, Vec<f32>> = texts
        .zip(numbers.chunks(dimensions).map(<[f32]>::to_vec))
        .collect();

    println!(
        "| {} questions | precision | recall | F1 |\n|---|---|---|---|",
        questions.len()
    );
    row("near", &NearDuplicates::default().into(), &questions);
    for threshold in [0.97, 0.95, 0.93, 0.9, 0.87] {
        let known = known.clone();
        let model = from_fn("read", move |text: &str| Ok(known[text.trim()].clone()));
        let semantic = SemanticDuplicates::new(model).threshold(threshold);
        let both = NearDuplicates::default().then(semantic);
        row(
            &format!("near, then semantic at {threshold}"),
            &both.into(),
            &questions,
        );
    }
}

fn row(name: &str, deduplicator: &AnyDeduplicator, questions: &[Labelled]) {
    let mut memory = deduplicator.memory();
    let mut seen = HashSet::new();
    let (mut hits, mut found, mut repeats) = (0, 0, 0);
    for question in questions {
        let data = json!({"question": question.text});
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        let print = deduplicator.fingerprint(&candidate).now_or_never();
        let print = print.expect("it never waits").expect("it does not fail");
        let refused = !memory.admit(print).is_unique();
        let is_repeat = !seen.insert(question.cluster);
        repeats += usize::from(is_repeat);
        found += usize::from(refused);
        hits += usize::from(refused && is_repeat);
    }
    let (precision, recall) = (hits as f64 / found as f64, hits as f64 / repeats as f64);
    let f1 = 2.0 * precision * recall / (precision + recall);
    println!("| {name} | {precision:.3} | {recall:.3} | {f1:.3} |");
}
