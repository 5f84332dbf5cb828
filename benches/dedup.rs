//! Quality, speed and size of the deduplicators on a labelled set of questions.
//!
//! ```sh
//! cargo bench --bench dedup                 # quality, then 100 000 and 1 000 000 records
//! cargo bench --bench dedup -- quality 11   # quality alone, with another seed
//! cargo bench --bench dedup -- wrong second # some wrong verdicts of an open part: `first`, `second` or `blind`
//! cargo bench --bench dedup -- neighbours   # what it takes to find the most similar record of each
//! cargo bench --bench dedup -- set.jsonl    # quality on a set of your own, by its full path; `wrong set.jsonl` for wrong verdicts
//! ```

// Tables go to standard output, and counts of records become shares.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, unreachable_pub)]

#[path = "dedup/blind/mod.rs"]
mod blind;
#[path = "dedup/file.rs"]
mod file;
#[path = "dedup/generate.rs"]
mod generate;
#[path = "dedup/neighbours.rs"]
mod neighbours;
#[path = "dedup/quality.rs"]
mod quality;
#[path = "dedup/vocabulary.rs"]
mod vocabulary;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use generate::generate;
use serde_json::{Map, Value, json};
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, Memory, NearDuplicates, Reference};
use vocabulary::{FIRST, HELD_OUT, SECOND};

/// A third set, of yet another hand.
const THIRD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/dedup/third.jsonl");

/// Questions that were written one by one, with free rewordings.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/dedup/written.jsonl");

/// The part of a set that is read from a file whose misses are not to be looked at.
const CLOSED: &str = "closed";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let seed = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(7);
    if let Some(path) = arguments.iter().find(|name| Path::new(name).is_file()) {
        let set = file::read(path);
        if has("wrong") {
            quality::show_wrong(&set, CLOSED);
        } else {
            quality::tables(&set);
        }
        return;
    }
    if has("wrong") {
        if has("blind") {
            quality::show_wrong(&blind::generate(100_000, seed), blind::CLOSED);
        } else {
            let part = if has("second") { &SECOND } else { &FIRST };
            quality::show_wrong(&generate(part, 100_000, seed), HELD_OUT.name);
        }
        return;
    }
    if has("neighbours") {
        return neighbours::table();
    }
    if !has("speed") {
        for part in [&FIRST, &SECOND, &HELD_OUT] {
            quality::tables(&generate(part, 100_000, seed));
        }
        quality::tables(&blind::generate(100_000, seed));
        for (name, set) in [("third set", THIRD), ("written set", WRITTEN)] {
            println!("\n# {name}");
            quality::tables(&file::read(set));
        }
    }
    if !has("quality") {
        speed();
        neighbours::table();
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
        "\n## Speed and size\n\n| records | fingerprint µs | fingerprint and admit µs | bytes per record |\n|---|---|---|---|"
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
        println!("| {count} | {fingerprint:.2} | {both:.2} | {bytes:.0} |");
    }
}
