//! What it takes to go on from a long journal: `cargo bench --bench resume`.
//!
//! Writes the journal of a run of a million records, then rebuilds the state from it: first only reading, then with the exact
//! deduplicator, then with the default one, on one thread and on two. The records are streamed out and dropped. Prints seconds,
//! microseconds per record, and how much more memory the process holds at the end than before (on Linux).
//!
//! Arguments: a number replaces the million; `anew` leaves out of the journal that its answers were judged, so that all are
//! judged anew; `exact` or `near` runs that alone, on one thread or, with `two`, on two; a path with a slash in it keeps the journal
//! there, and takes one that is there as it is.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt;
use serde_json::json;
use tokio::runtime::Runtime;
use topicloom::dedup::ExactDuplicates;
use topicloom::journal::{
    Answer, Durability, Entry, FileJournal, Header, Journal, JournalReader, JudgedTasks,
    MemoryJournal,
};
use topicloom::llm::OfflineModel;
use topicloom::{GenerateByTopicInput, Pipeline, PipelineBuilder};

const TOPICS: u64 = 1_000;

/// Appends in flight while the journal is written, so that they share writes.
const TOGETHER: usize = 256;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let records = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let is_said = |word: &str| std::env::args().any(|argument| argument == word);
    let only = ["exact", "near"].into_iter().find(|name| is_said(name));
    let directory = tempfile::tempdir().unwrap();
    let kept = std::env::args().skip(1).find(|it| it.contains('/'));
    let path = kept.map_or_else(|| directory.path().join("run.journal"), PathBuf::from);
    let input = input(records);
    let writing = async {
        let rules = if is_said("anew") {
            None
        } else {
            Some(rules(&input).await)
        };
        write(&path, &input, records, rules).await;
    };
    if !path.exists() {
        runtime(2).block_on(writing);
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!(
        "{records} records, {} bytes each in the journal",
        bytes / records
    );

    println!(
        "{:<24} {:>9} {:>10} {:>14}",
        "", "seconds", "µs/record", "bytes/record"
    );
    let report = |name: &str, seconds: f64, held: u64| {
        let each = seconds * 1e6 / records as f64;
        println!(
            "{name:<24} {seconds:>9.2} {each:>10.2} {:>14}",
            held / records
        );
    };
    let began = Instant::now();
    let entries = JournalReader::open(&path).unwrap().map(Result::unwrap);
    let answers = entries.filter(|entry| matches!(entry, Entry::Answered(_)));
    assert_eq!(answers.count() as u64, records);
    report("reading", began.elapsed().as_secs_f64(), 0);
    let pipeline = || Pipeline::builder(OfflineModel::new("offline/loom"));
    let exact = pipeline().deduplicator(ExactDuplicates::default());
    for (name, pipeline) in [("exact", exact), ("near", pipeline())] {
        let threads: &[usize] = match only {
            None => &[1, 2],
            Some(only) if only == name && is_said("two") => &[2],
            Some(only) if only == name => &[1],
            Some(_) => &[],
        };
        for &threads in threads {
            let before = held();
            let began = Instant::now();
            let resumed = resume(pipeline.clone(), &path, &input, records);
            let (made, after) = runtime(threads).block_on(resumed);
            assert_eq!(made, records, "every record is new");
            let name = format!("{name} duplicates, {threads} threads");
            report(
                &name,
                began.elapsed().as_secs_f64(),
                after.saturating_sub(before),
            );
        }
    }
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .enable_time()
        .build()
        .unwrap()
}

fn input(records: u64) -> GenerateByTopicInput {
    let topics: Vec<String> = (0..TOPICS).map(|topic| format!("topic {topic}")).collect();
    let input = json!({"num_records": records, "topics": topics});
    GenerateByTopicInput::from_json_value(input).unwrap()
}

/// Returns by what a run of this input judges, as the beginning of one says it.
async fn rules(input: &GenerateByTopicInput) -> u128 {
    let journal = MemoryJournal::default();
    let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
        .journal(journal.clone())
        .build();
    let mut run = pipeline.run(input.clone()).unwrap();
    loop {
        run.next().await.unwrap().unwrap();
        let entries = journal.entries();
        let rules = entries.iter().find_map(|entry| match entry {
            Entry::Judged(judged) => Some(judged.by),
            _ => None,
        });
        if let Some(rules) = rules {
            return rules;
        }
    }
}

/// Writes what a run leaves that was never refused anything.
async fn write(path: &Path, input: &GenerateByTopicInput, records: u64, rules: Option<u128>) {
    let journal = FileJournal::open(path)
        .unwrap()
        .with_durability(Durability::System);
    let header = Header::new(1, input.to_json(), input.fingerprint());
    journal.append(Entry::Started(header)).await.unwrap();
    let plan = input.allocation().clone().complete(Vec::new()).unwrap();
    journal.append(Entry::Planned(plan)).await.unwrap();
    let model: Answer = serde_json::from_value(json!({
        "task": 0, "topic": 0, "wanted": 1, "round": 1, "model": "test/loom",
        "response": {"text": "", "usage": {"input_tokens": 500, "output_tokens": 80}},
    }))
    .unwrap();
    let answers = (0..records).flat_map(|task| {
        let mut answer = model.clone();
        answer.task = task;
        answer.topic = usize::try_from(task % TOPICS).unwrap();
        answer.response.text = text(task);
        let judged = rules
            .filter(|_| task % 256 == 255)
            .map(|rules| Entry::Judged(JudgedTasks::new(rules, task - 255..=task, [])));
        let entries = [Some(Entry::Answered(answer)), judged];
        entries
            .into_iter()
            .flatten()
            .map(|entry| journal.append(entry))
    });
    let mut appended = futures::stream::iter(answers).buffered(TOGETHER);
    while let Some(number) = appended.next().await {
        number.unwrap();
    }
    drop(appended);
    journal.close().await.unwrap();
}

/// An answer of some 300 bytes, in made-up words that hardly any other answer has.
fn text(task: u64) -> String {
    let mut state = task + 1;
    let mut words = |count: usize| {
        let mut words = String::new();
        for _ in 0..count {
            for _ in 0..3 {
                // Knuth's generator; its high bits are random enough for words.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let [consonant, vowel, ..] = state.to_be_bytes().map(usize::from);
                words.push(char::from(b"bdfgklmnprst"[consonant % 12]));
                words.push(char::from(b"aeiou"[vowel % 5]));
            }
            words.push(' ');
        }
        words
    };
    let (question, answer) = (words(12), words(24));
    json!({"records": [{"question": question, "answer": answer}]}).to_string()
}

/// Replays the journal, and returns how many records came of it and how much memory is held when the last one came.
async fn resume(
    pipeline: PipelineBuilder,
    path: &Path,
    input: &GenerateByTopicInput,
    records: u64,
) -> (u64, u64) {
    let pipeline = pipeline.journal(FileJournal::open(path).unwrap()).build();
    let mut run = pipeline.run(input.clone()).unwrap();
    let (mut made, mut after) = (0, 0);
    while let Some(record) = run.next().await {
        record.unwrap();
        made += 1;
        if made == records {
            after = held();
        }
    }
    (made, after)
}

/// Returns the bytes of memory that this process holds.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
