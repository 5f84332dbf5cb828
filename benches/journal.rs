//! What the file journal costs: `cargo bench --bench journal`.
//!
//! Appends answers of about 300 bytes with 1, 16 and 64 appends in flight under each [`Durability`], then opens and
//! reads a journal of a million of them. Prints entries per second, process CPU per entry (building the entry
//! not counted; on Linux), bytes beside the answers' texts, and what reading takes in time and memory.
//!
//! An argument that is a number replaces the million.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use topicloom::journal::{Answer, Durability, Entry, FileJournal, Journal, MemoryJournal};

fn main() {
    let entries = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.journal");
    let within = Durability::Within(Duration::from_millis(100));

    println!("appending answers of {} bytes", text_bytes(1000) / 1000);
    println!(
        "{:<16} {:>9} {:>12} {:>14}",
        "durability", "in flight", "entries/s", "CPU µs/entry"
    );
    for (name, durability) in [
        ("synced", Durability::Synced),
        ("within 100 ms", within),
        ("system", Durability::System),
    ] {
        for in_flight in [1, 16, 64] {
            let count = match durability {
                Durability::Synced => 1_000 * in_flight.min(32),
                _ => 100_000,
            };
            let _ = fs::remove_file(&path);
            let journal = FileJournal::open(&path).unwrap();
            let journal = Arc::new(journal.with_durability(durability));
            let (seconds, cpu) = runtime.block_on(append(journal, count, in_flight));
            let rate = rate(count, seconds);
            println!("{name:<16} {in_flight:>9} {rate:>12.0} {cpu:>14.1}");
        }
    }
    let memory = Arc::new(MemoryJournal::default());
    let (seconds, cpu) = runtime.block_on(append(memory, 100_000, 64));
    let rate = rate(100_000, seconds);
    println!("{:<16} {:>9} {rate:>12.0} {cpu:>14.1}", "(in memory)", 64);

    let _ = fs::remove_file(&path);
    let journal = FileJournal::open(&path).unwrap();
    let journal = Arc::new(journal.with_durability(Durability::System));
    runtime.block_on(append(journal, entries, 64));
    let size = fs::metadata(&path).unwrap().len();
    let text = text_bytes(entries);
    #[allow(clippy::cast_precision_loss)]
    let share = (size - text) as f64 * 100.0 / text as f64;
    println!("\n{entries} entries: {size} bytes, of which {text} are text: {share:.1} % more");

    let memory = memory_kb("VmRSS:");
    let began = Instant::now();
    let journal = FileJournal::open(&path).unwrap();
    let opened = began.elapsed();
    let read = runtime.block_on(async {
        let mut read = 0_u64;
        let mut stream = journal.read().await.unwrap();
        while let Some(entry) = stream.next().await {
            read += u64::from(matches!(entry.unwrap(), Entry::Answered(_)));
        }
        read
    });
    assert_eq!(read, entries);
    println!(
        "opened in {:.2} s, opened and read in {:.2} s; {} KB resident before, {} KB afterwards",
        opened.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        memory,
        memory_kb("VmRSS:")
    );
}

/// Appends so many entries from so many tasks. Returns seconds, and microseconds of CPU an entry.
async fn append(journal: Arc<dyn Journal>, count: u64, in_flight: u64) -> (f64, f64) {
    let template = template();
    let began = cpu_seconds();
    for task in 0..count {
        std::hint::black_box(answer(&template, task));
    }
    let building = cpu_seconds() - began;

    let (began, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..in_flight)
        .map(|first| {
            let (journal, template) = (Arc::clone(&journal), template.clone());
            tokio::spawn(async move {
                let mut task = first;
                while task < count {
                    journal.append(answer(&template, task)).await.unwrap();
                    task += in_flight;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - cpu - building;
    journal.close().await.unwrap();
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    (seconds, cpu * 1e6 / count)
}

fn rate(count: u64, seconds: f64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    count / seconds
}

/// An answer as a provider gives it.
fn template() -> Answer {
    serde_json::from_value(serde_json::json!({
        "task": 0,
        "topic": 0,
        "wanted": 1,
        "round": 0,
        "model": "openai/gpt-4o-mini",
        "response": {
            "text": "",
            "usage": {"input_tokens": 612, "output_tokens": 95, "cached_input_tokens": 512},
            "finish_reason": "stop",
            "provider_model": "gpt-4o-mini-2024-07-18",
            "asked": ["strict", "open_ai_strict"],
        },
    }))
    .unwrap()
}

fn answer(template: &Answer, task: u64) -> Entry {
    let mut answer = template.clone();
    answer.task = task;
    answer.topic = usize::try_from(task % 40).unwrap();
    answer.response.usage.output_tokens += task % 40;
    answer.response.text = text(task);
    Entry::Answered(answer)
}

/// One record, which is the least an answer holds.
fn text(task: u64) -> String {
    format!(
        r#"{{"records":[{{"question":"How does gradient descent find the minimum of loss function no. {task}?","answer":"It follows the negative gradient in steps whose size is the learning rate, until the gradient vanishes or the loss on held-out data stops falling; too large a step overshoots.","difficulty":"medium"}}]}}"#
    )
}

fn text_bytes(count: u64) -> u64 {
    (0..count).map(|task| text(task).len() as u64).sum()
}

/// User and system time of the process in seconds, or 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, counted behind the name, which may hold spaces; in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / 100.0
}

fn memory_kb(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
