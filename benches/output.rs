//! What it takes to write a million records: bytes, time and memory, each format in a process of its own.
//!
//! ```sh
//! cargo bench --bench output --all-features                       # every format
//! TOPICLOOM_PYTHON=python3 cargo bench --bench output --all-features  # pyarrow beside them, of the same rows
//! ```

// The table goes to standard output, and counts of records become shares.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use futures::FutureExt;
use serde_json::{Map, Value, json};
use topicloom::input::OutputFile;
use topicloom::random::Random;
use topicloom::record::RecordMeta;
use topicloom::schema::RecordSchema;
use topicloom::sink::{FileSink, Sink};
use topicloom::topic::Topic;
use topicloom::{JsonRecord, Record};

const FORMATS: [&str; 5] = ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"];

/// Reads the rows as pyarrow does, writes them, and says how many seconds of CPU and kilobytes of memory each took.
const PYARROW: &str = include_str!("output/pyarrow_writes.py");

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let records = arguments
        .first()
        .map_or(1_000_000, |it| it.parse().expect("a number of records"));
    if let [_, path] = &*arguments {
        return write(records, Path::new(path));
    }
    let folder = tempfile::tempdir().expect("there is room");
    println!(
        "| {records} records | bytes a record | µs of CPU a record | peak memory, MB |\n|---|---|---|---|"
    );
    let row = |name: &str, path: &Path, seconds: f64, kilobytes: f64| {
        let bytes = std::fs::metadata(path).expect("it was written").len();
        let each = |of: f64| of / records as f64;
        println!(
            "| {name} | {:.0} | {:.1} | {:.0} |",
            each(bytes as f64),
            each(seconds * 1e6),
            kilobytes / 1024.0
        );
    };
    for format in FORMATS {
        if format == "parquet" && !cfg!(feature = "parquet") {
            continue;
        }
        let path = folder.path().join(format!("data.{format}"));
        let this = std::env::current_exe().expect("it runs");
        let told = told(Command::new(this).arg(records.to_string()).arg(&path));
        row(format, &path, told[0], told[1]);
    }
    if let Some(python) = std::env::var_os("TOPICLOOM_PYTHON") {
        for format in ["csv", "parquet"] {
            let path = folder.path().join(format!("pyarrow.{format}"));
            let mut command = Command::new(&python);
            let from = folder.path().join("data.jsonl");
            let told = told(command.arg("-c").arg(PYARROW).arg(from).arg(&path));
            row(&format!("{format}, pyarrow"), &path, told[0], told[1]);
        }
    }
}

fn told(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    told.split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect()
}

/// Writes records, and says how many seconds of CPU and kilobytes of memory that took, without what making them takes.
fn write(records: u64, path: &Path) {
    let schema = RecordSchema::from_json(json!({"type": "object", "properties": {
        "question": {"type": "string"}, "answer": {"type": "string"}, "level": {"type": "integer"}, "score": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "source": {"type": "object", "properties": {"name": {"type": "string"}, "page": {"type": "integer"}}},
    }}))
    .expect("it is a schema");
    let start = cpu_seconds();
    make(records, |record| {
        std::hint::black_box(record);
    });
    let making = cpu_seconds() - start;
    let mut sink = FileSink::create(&OutputFile::new(path), &schema).expect("there is room");
    let start = cpu_seconds();
    make(records, |record| {
        now(sink.write(&record)).expect("there is room");
    });
    now(Sink::<JsonRecord>::finish(&mut sink)).expect("there is room");
    println!("{} {}", cpu_seconds() - start - making, peak_kilobytes());
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("files never wait")
}

fn make(records: u64, mut take: impl FnMut(Record)) {
    let mut random = Random::new(1);
    for number in 0..records {
        let mut words = |count: u64| -> String {
            let mut text = String::new();
            for _ in 0..count {
                let _ = write!(text, "word{} ", random.below(5000));
            }
            text
        };
        let data = json!({
            "question": words(12), "answer": words(30), "level": number % 5, "score": number as f64 / 7.0,
            "tags": [words(1), words(1)], "source": {"name": words(2), "page": number % 300},
        });
        let data: Map<String, Value> = match data {
            Value::Object(data) => data,
            _ => unreachable!("an object was written"),
        };
        let meta = RecordMeta::new(0, number, "test/loom");
        take(Record::new(Topic::new("tides"), data, meta));
    }
}

/// Returns the CPU time of this process, in which one thread works.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("this is Linux");
    let nanos = text.split(' ').next().and_then(|it| it.parse::<f64>().ok());
    nanos.expect("it begins with a number") / 1e9
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.expect("it is a number of kilobytes")
}
