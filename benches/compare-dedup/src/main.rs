//! topicloom's deduplicators and gaoya on the same labelled questions, in the same run.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare-dedup/Cargo.toml -- 100000
//! ```

#[path = "../../dedup/generate.rs"]
#[allow(dead_code)]
mod generate;
#[path = "../../dedup/vocabulary.rs"]
#[allow(dead_code)]
mod vocabulary;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gaoya::minhash::{MinHashIndex, MinHasher, MinHasher32};
use generate::Labelled;
use serde_json::{Map, Value};
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, ExactDuplicates, Memory, NearDuplicates, Reference};

fn main() {
    println!(
        "| records | method | precision | recall | F1 | CPU µs per record |\n|---|---|---|---|---|---|"
    );
    let most = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    for count in [10_000, most] {
        let set = generate::generate(&vocabulary::HELD_OUT, count, 7);
        let near = |set: &[Labelled]| ours(&NearDuplicates::default(), set);
        let exact = |set: &[Labelled]| ours(&ExactDuplicates::default().fields(["question"]), set);
        measure("topicloom near", &set, near);
        measure("topicloom exact", &set, exact);
        // gaoya's own setting for a threshold of 0.7, and the n-grams of words it is used with.
        for n in [3, 2] {
            measure(
                &format!("gaoya MinHash, word {n}-grams, 0.7"),
                &set,
                |set| gaoya(set, n),
            );
        }
    }
}

fn measure(name: &str, set: &[Labelled], verdicts: impl Fn(&[Labelled]) -> Vec<bool>) {
    let start = cpu_micros();
    let found = verdicts(set);
    let micros = (cpu_micros() - start) / set.len() as f64;
    let mut seen = HashSet::new();
    let truth: Vec<bool> = set
        .iter()
        .map(|labelled| !seen.insert(labelled.cluster))
        .collect();
    let hits = found.iter().zip(&truth).filter(|(f, t)| **f && **t).count() as f64;
    let precision = hits / found.iter().filter(|f| **f).count() as f64;
    let recall = hits / truth.iter().filter(|t| **t).count() as f64;
    let f1 = 2.0 * precision * recall / (precision + recall);
    println!(
        "| {} | {name} | {precision:.3} | {recall:.3} | {f1:.3} | {micros:.1} |",
        set.len()
    );
}

/// CPU time of this thread, from the kernel's own account.
fn cpu_micros() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .expect("this comparison runs on Linux");
    text.split(' ')
        .next()
        .and_then(|n| n.parse::<f64>().ok())
        .expect("nanoseconds come first")
        / 1e3
}

fn ours<D: Deduplicator>(deduplicator: &D, set: &[Labelled]) -> Vec<bool> {
    let mut memory = deduplicator.memory();
    let mut data = Map::new();
    let mut verdicts = Vec::with_capacity(set.len());
    for (at, labelled) in (0..).zip(set) {
        data.insert("question".to_owned(), Value::String(labelled.text.clone()));
        let print = match pin!(deduplicator.fingerprint(&Candidate::new("t", &data)))
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(print) => print.expect("it does not fail"),
            Poll::Pending => unreachable!("these deduplicators never wait"),
        };
        verdicts.push(!memory.admit(print, Reference::Record(at)).is_unique());
    }
    verdicts
}

fn gaoya(set: &[Labelled], n: usize) -> Vec<bool> {
    let (bands, width) = (42, 3);
    let hasher = MinHasher32::new(bands * width);
    let mut index = MinHashIndex::new(bands, width, 0.7);
    let mut verdicts = Vec::with_capacity(set.len());
    for (at, labelled) in set.iter().enumerate() {
        let text = labelled.text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let grams = words.windows(n.min(words.len())).map(|gram| gram.join(" "));
        let signature = hasher.create_signature(grams);
        let repeats = !index.query(&signature).is_empty();
        if !repeats {
            index.insert(at, signature);
        }
        verdicts.push(repeats);
    }
    verdicts
}
