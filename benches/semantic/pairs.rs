//! What an embedding model finds behind the near stage, on pairs of texts with a label.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::FutureExt;
use serde_json::json;
use topicloom::Candidate;
use topicloom::dedup::{AnyDeduplicator, DeduplicatorExt, NearDuplicates, SemanticDuplicates};
use topicloom::embedding::from_fn;
use topicloom::llm::models::ModelRegistry;

struct Pair {
    is_same: bool,
    kind: String,
    texts: [String; 2],
}

/// Prints what is merged of each kind of pairs at some cosines, on the pairs of odd and of even lines.
///
/// The model is one as the input names it: `static/DIRECTORY`, or `provider/model`. Files have a pair a line, as
/// `tests/cases/dedup/pairs.tsv`.
pub fn tables(model: &str, files: &[String]) {
    let pairs: Vec<Pair> = files.iter().flat_map(|file| read(file)).collect();
    let vectors = embedded(model, &pairs);
    for (name, keeps) in [
        ("odd lines", [false, true]),
        ("even lines", [true, false]),
        ("all", [true, true]),
    ] {
        let half: Vec<&Pair> = pairs
            .iter()
            .enumerate()
            .filter(|(at, _)| keeps[at % 2])
            .map(|(_, pair)| pair)
            .collect();
        println!("\n{name}: {} pairs", half.len());
        row("near alone", &half, &|| NearDuplicates::default().into());
        for cosine in [0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5] {
            let known = &vectors;
            row(&format!("cosine from {cosine}"), &half, &|| {
                let known = known.clone();
                let read = from_fn("read", move |text: &str| Ok(known[text.trim()].clone()));
                NearDuplicates::default()
                    .then(SemanticDuplicates::new(read).threshold(cosine))
                    .into()
            });
        }
    }
}

fn read(file: &str) -> Vec<Pair> {
    let lines = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let pair = |line: &str| {
        let [label, kind, one, other] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{file}: {line}")
        };
        let is_same = label == "1";
        let kind = if is_same { kind } else { "distinct" };
        Pair {
            is_same,
            kind: kind.to_owned(),
            texts: [one.to_owned(), other.to_owned()],
        }
    };
    lines
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(pair)
        .collect()
}

fn embedded(model: &str, pairs: &[Pair]) -> HashMap<String, Vec<f32>> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begun = Instant::now();
    let name = model
        .parse()
        .unwrap_or_else(|error| panic!("{model}: {error}"));
    let embedder = ModelRegistry::new()
        .embedder(&name)
        .unwrap_or_else(|error| panic!("{model}: {error}"));
    println!("{embedder:?}, ready in {:.0?}", begun.elapsed());
    let texts: Vec<&str> = pairs
        .iter()
        .flat_map(|pair| &pair.texts)
        .map(|text| text.trim())
        .collect();
    let begun = Instant::now();
    let mut vectors = HashMap::new();
    for some in texts.chunks(32) {
        let answer = runtime
            .block_on(embedder.embed(some))
            .unwrap_or_else(|error| panic!("{model}: {error}"));
        vectors.extend(some.iter().map(ToString::to_string).zip(answer));
    }
    let letters: usize = texts.iter().map(|text| text.len()).sum();
    println!(
        "{:.1} µs a text of {} bytes on average",
        begun.elapsed().as_secs_f64() * 1e6 / texts.len() as f64,
        letters / texts.len(),
    );
    vectors
}

fn row(name: &str, pairs: &[&Pair], deduplicator: &dyn Fn() -> AnyDeduplicator) {
    let mut kinds: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let (mut merged, mut right) = (0, 0);
    let deduplicator = deduplicator();
    for pair in pairs {
        let mut memory = deduplicator.memory();
        let is_new = pair.texts.each_ref().map(|text| {
            let data = json!({"question": text});
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            let print = deduplicator.fingerprint(&candidate).now_or_never();
            memory
                .admit(print.expect("it never waits").expect("it does not fail"))
                .is_unique()
        });
        let is_merged = !is_new[1];
        let counts = kinds.entry(&pair.kind).or_default();
        counts[0] += usize::from(is_merged);
        counts[1] += 1;
        merged += usize::from(is_merged);
        right += usize::from(is_merged && pair.is_same);
    }
    let counts: Vec<String> = kinds
        .iter()
        .map(|(kind, [merged, all])| format!("{kind} {merged} of {all}"))
        .collect();
    println!(
        "| {name} | {} | {:.3} |",
        counts.join(" | "),
        right as f64 / merged as f64
    );
}
