//! Quality, speed and size of the deduplicators on a labelled set of questions.
//!
//! ```sh
//! cargo bench --bench dedup                 # quality, then 100 000 and 1 000 000 records
//! cargo bench --bench dedup -- quality      # quality alone
//! cargo bench --bench dedup -- wrong second # some wrong verdicts of an open part, `first` or `second`
//! ```

// Tables go to standard output, and counts of records become shares.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, unreachable_pub)]

#[path = "dedup/generate.rs"]
mod generate;
#[path = "dedup/vocabulary.rs"]
mod vocabulary;

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use generate::{Kind, Labelled, REPEATS, generate};
use serde_json::{Map, Value, json};
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, ExactDuplicates, Memory, NearDuplicates, Reference};
use vocabulary::{FIRST, HELD_OUT, Part, SECOND};

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    if has("wrong") {
        show_wrong(if has("second") { &SECOND } else { &FIRST });
        return;
    }
    for part in [&FIRST, &SECOND, &HELD_OUT]
        .into_iter()
        .filter(|_| !has("speed"))
    {
        quality(part);
    }
    if !has("quality") {
        speed();
    }
}

/// Nothing here waits, so one poll is all there is.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("these deduplicators never wait"),
    }
}

fn record(text: &str) -> Map<String, Value> {
    match json!({ "question": text, "answer": "It depends." }) {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}

/// Returns the verdict on each question of a stream: is it a repeat?
fn verdicts<D: Deduplicator>(deduplicator: &D, set: &[Labelled]) -> Vec<bool> {
    let mut memory = deduplicator.memory();
    (0..)
        .zip(set)
        .map(|(at, labelled)| {
            let data = record(&labelled.text);
            let print = now(deduplicator.fingerprint(&Candidate::new("t", &data)))
                .expect("it does not fail");
            !memory.admit(print, Reference::Record(at)).is_unique()
        })
        .collect()
}

/// Returns for each question whether it repeats an earlier one.
fn truth(set: &[Labelled]) -> Vec<bool> {
    let mut seen = HashSet::new();
    set.iter()
        .map(|labelled| !seen.insert(labelled.cluster))
        .collect()
}

fn quality(part: &Part) {
    let set = generate(part, 100_000, 7);
    let truth = truth(&set);
    // A repeat that came first leaves its base as the second: the pair is what was made.
    let mut kinds = BTreeMap::new();
    for labelled in set.iter().filter(|l| l.kind != Kind::Base) {
        kinds.insert(labelled.cluster, labelled.kind);
    }
    println!(
        "\n## {} part: {} questions, {} repeats\n",
        part.name,
        set.len(),
        truth.iter().filter(|t| **t).count()
    );
    println!("| | precision | recall | F1 |\n|---|---|---|---|");
    let near = verdicts(&NearDuplicates::default(), &set);
    let exact = verdicts(&ExactDuplicates::default().fields(["question"]), &set);
    for (name, found) in [("near", &near), ("exact", &exact)] {
        let hits = found.iter().zip(&truth).filter(|(f, t)| **f && **t).count() as f64;
        let precision = hits / found.iter().filter(|f| **f).count() as f64;
        let recall = hits / truth.iter().filter(|t| **t).count() as f64;
        let f1 = 2.0 * precision * recall / (precision + recall);
        println!("| {name} | {precision:.4} | {recall:.3} | {f1:.3} |");
    }
    println!("\n| kind | number | near finds | exact finds |\n|---|---|---|---|");
    for kind in REPEATS {
        let of_kind = |found: &[bool]| {
            let all = set
                .iter()
                .zip(&truth)
                .zip(found)
                .filter(|((l, t), _)| **t && kinds[&l.cluster] == kind);
            let all: Vec<bool> = all.map(|(_, f)| *f).collect();
            (
                all.len(),
                all.iter().filter(|f| **f).count() as f64 / all.len() as f64,
            )
        };
        let (number, share) = of_kind(&near);
        println!(
            "| {kind:?} | {number} | {share:.3} | {:.3} |",
            of_kind(&exact).1
        );
    }
    println!("\n| neighbour | number | near refuses |\n|---|---|---|");
    let mut refused: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    for ((labelled, is_repeat), found) in set.iter().zip(&truth).zip(&near) {
        if !is_repeat {
            let kind = if REPEATS.contains(&labelled.kind) {
                Kind::Base
            } else {
                labelled.kind
            };
            let entry = refused.entry(kind).or_default();
            entry.0 += 1;
            entry.1 += usize::from(*found);
        }
    }
    for (kind, (number, refused)) in refused {
        println!("| {kind:?} | {number} | {refused} |");
    }
}

fn show_wrong(part: &Part) {
    let set = generate(part, 100_000, 7);
    let truth = truth(&set);
    let found = verdicts(&NearDuplicates::default(), &set);
    let mut shown: BTreeMap<(bool, Kind), usize> = BTreeMap::new();
    for ((labelled, truth), found) in set
        .iter()
        .zip(truth)
        .zip(found)
        .filter(|((_, t), f)| t != f)
    {
        let twin = set
            .iter()
            .find(|l| l.cluster == labelled.cluster && l.text != labelled.text);
        let kind = twin.map_or(labelled.kind, |twin| twin.kind.max(labelled.kind));
        let count = shown.entry((truth, kind)).or_default();
        *count += 1;
        if *count <= 12 {
            println!(
                "{} {kind:?}: {} || {}",
                if truth { "missed" } else { "refused" },
                labelled.text,
                twin.map_or("", |t| &t.text)
            );
            let _ = found;
        }
    }
}

/// Measures the CPU time of this thread where the system tells (Linux), else the time on the wall.
struct Timer(Option<f64>, Instant);

impl Timer {
    fn start() -> Self {
        Self(cpu_micros(), Instant::now())
    }

    fn micros(&self) -> f64 {
        match (self.0, cpu_micros()) {
            (Some(start), Some(end)) => end - start,
            _ => self.1.elapsed().as_secs_f64() * 1e6,
        }
    }
}

fn cpu_micros() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e3)
}

fn speed() {
    println!(
        "\n## Speed and size\n\n| records | fingerprint µs | fingerprint and admit µs | read back µs | bytes per record |\n|---|---|---|---|---|"
    );
    for count in [100_000, 1_000_000] {
        let set = generate(&HELD_OUT, count, 11);
        let data: Vec<Map<String, Value>> = set.iter().map(|l| record(&l.text)).collect();
        let deduplicator = NearDuplicates::default();
        let per_record = |start: Timer| start.micros() / count as f64;
        let read_one = |data| {
            now(deduplicator.fingerprint(&Candidate::new("t", data))).expect("it does not fail")
        };
        let start = Timer::start();
        for data in &data {
            std::hint::black_box(read_one(data));
        }
        let fingerprint = per_record(start);
        let mut memory = deduplicator.memory();
        let start = Timer::start();
        for (at, data) in (0..).zip(&data) {
            memory.admit(read_one(data), Reference::Record(at));
        }
        let both = per_record(start);
        let bytes = memory.bytes() as f64 / count as f64;
        let stored: Vec<Value> = data
            .iter()
            .map(|data| serde_json::to_value(read_one(data)).expect("it is text"))
            .collect();
        let start = Timer::start();
        for value in &stored {
            let print: <NearDuplicates as Deduplicator>::Fingerprint =
                serde::Deserialize::deserialize(value).expect("its own");
            std::hint::black_box(&print);
        }
        let read = per_record(start);
        println!("| {count} | {fingerprint:.2} | {both:.2} | {read:.2} | {bytes:.0} |");
    }
}
