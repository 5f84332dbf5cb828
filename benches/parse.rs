//! How much is recovered from the answers in `tests/cases/parse`, and how fast answers are read.
//!
//! `cargo bench --bench parse`. Numbers are the best of several rounds in one run: compare the columns of one table, not
//! tables of different runs. The comparison with other crates that repair JSON is in `benches/compare-parse`, a
//! crate of its own, so that their dependencies burden no other build.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use topicloom::parse::{Limits, Shape, records};

fn main() {
    valid();
    broken();
    hostile();
}

/// Valid JSON against `serde_json` alone: the aim is 0.8 of its speed at least.
fn valid() {
    println!("valid JSON, MB/s                 serde_json    records   ratio");
    for (name, text) in [
        ("short records", valid_answer(2_000, 1, false)),
        ("long texts", valid_answer(200, 40, false)),
        ("escapes in every text", valid_answer(1_000, 4, true)),
        ("one answer of ten records", valid_answer(10, 6, true)),
    ] {
        let shape = shape();
        let limits = Limits::default();
        // A sample reads a few megabytes, beside which the cost of reading the clock is nothing.
        let repeats = 4_000_000 / text.len() + 1;
        let (base, ours) = race(
            || {
                (0..repeats)
                    .all(|_| black_box(serde_json::from_str::<Value>(black_box(&text)).is_ok()))
            },
            || {
                (0..repeats).all(|_| {
                    black_box(!records(black_box(&text), &shape, &limits).values.is_empty())
                })
            },
        );
        println!(
            "  {name:<28} {:>12.0} {:>10.0}   {:.2}",
            speed(text.len() * repeats, base),
            speed(text.len() * repeats, ours),
            base.as_secs_f64() / ours.as_secs_f64()
        );
    }
}

/// Broken JSON: the aim is 50 MB/s at least.
fn broken() {
    println!("broken JSON, MB/s                   records");
    let base = valid_answer(1_000, 4, true);
    let fenced = format!("Here you are:\n```json\n{base}\n```\nEnjoy!");
    let trailing = base.replace("},", ",},");
    let raw = base.replace("\\n", "\n");
    let inner = base.replace("\\\"", "\"");
    let latex = base.replace("the model", "\\frac{1}{2} \\alpha");
    let lines = base[1..base.len() - 1].replace("},", "}\n");
    let cut = base[..base.len() - 40].to_owned();
    let single = base.replace("\\\"", "").replace('"', "'");
    for (name, text) in [
        ("in a fence with prose", fenced),
        ("trailing commas", trailing),
        ("raw newlines", raw),
        ("quotes not escaped", inner),
        ("LaTeX not escaped", latex),
        ("JSON Lines", lines),
        ("cut off", cut),
        ("single quotes", single),
    ] {
        let shape = shape();
        let limits = Limits::default();
        let found = records(&text, &shape, &limits).values.len();
        let time = least(30, || {
            black_box(records(black_box(&text), &shape, &limits));
        });
        println!(
            "  {name:<28} {:>12.0}   ({found} records)",
            speed(text.len(), time)
        );
    }
}

/// A megabyte of the worst there is: the aim is 50 ms at most.
fn hostile() {
    println!("a megabyte of                            ms");
    let megabyte = 1 << 20;
    let mut worst = Duration::ZERO;
    for unit in [
        "[",
        "{",
        "\"",
        "\\",
        "'",
        "`",
        "```",
        "```json\n",
        "<think>",
        "</think>",
        "<think></think>",
        "<",
        "(",
        ",",
        ":",
        "[{",
        "{\"",
        "[\"",
        "{\"question\":",
        "{\"question\":\"",
        "[{\"question\":\"",
        "[\"\"",
        "[\"\",",
        "{}",
        "[]",
        "{\"a\":1}",
        "{\"question\":1,\"answer\":2} and ",
        "{\"question\":1,\"answer\":x y},",
        "\"a\" ",
        "\\\"",
        "/*",
        "//",
        "[//",
        "[/*",
        "{\"question\":\"a\"b",
        "[1,",
        "[-",
        "...",
        "[...,",
        "&quot;",
        "{&quot;",
        "{\\\"",
        "“",
        "{“",
        "\u{feff}",
        "｛",
        "[\"\\u",
        "[\"\\begin{ \\\\ \\a",
        "[\"$\\nu",
        "\n",
        "{\"question\":\"\\t",
        "[THINK]",
        "[\"<think>",
        "<think>\n",
        "\n<think>",
        "a <think> ",
        "[see] ",
        "{a} ",
        "[1] ",
        "{a:b} ",
        "{\"question\":\"</think>",
        "{\"question\":\"x\"}}",
        "[[{\"question\":1}",
        "\"\"\"",
        "[\"\"\"",
        "{\"question\":\"\"\"",
        "~~~",
        "é",
        "{ ",
        "[\" ",
        "{\"question\": x y ",
        "{\"question\":\"a\n\"answer\":",
        "x\\ny",
        "[\"a\"+",
        "{\"question\":\"a\"+",
        "{\"question\":1,000,",
    ] {
        for closed in [false, true] {
            let mut text = unit.repeat(megabyte / unit.len());
            if closed {
                // What comes last may decide how all before it is read.
                text.push_str("\"}]</think>");
            }
            let open = Shape::new(Vec::<String>::new());
            let time = [shape(), open]
                .iter()
                .map(|shape| {
                    least(3, || {
                        black_box(records(&text, shape, &Limits::default()));
                    })
                })
                .max()
                .unwrap_or_default();
            worst = worst.max(time);
            if time > Duration::from_millis(20) {
                println!(
                    "  {unit:<28?} {:>12.1}{}",
                    time.as_secs_f64() * 1e3,
                    if closed { " closed" } else { "" }
                );
            }
        }
    }
    println!(
        "  worst                        {:>12.1}",
        worst.as_secs_f64() * 1e3
    );
}

fn shape() -> Shape {
    Shape::new(["question", "answer"]).required(["question", "answer"])
}

/// An answer of so many records, whose texts have so many sentences.
fn valid_answer(records: usize, sentences: usize, escapes: bool) -> String {
    let mut text = String::from("[");
    for record in 0..records {
        let question = format!("What does the model learn in step {record}?");
        let mut answer = String::new();
        for sentence in 0..sentences {
            let _ = write!(
                answer,
                "In sentence {sentence} the model learns a little more than before. "
            );
            if escapes {
                answer.push_str("\\nIt is called \\\"fitting\\\" here. ");
            }
        }
        let comma = if record == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{{\"question\":\"{question}\",\"answer\":\"{answer}\"}}"
        );
    }
    text.push(']');
    text
}

fn speed(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

/// Time this thread has spent on a processor, where the system tells, so that a busy machine blurs the numbers less;
/// else the time of day.
fn clock() -> Duration {
    // The system brings the number up to date when a thread gives way.
    std::thread::yield_now();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|line| line.split(' ').next()?.parse().ok());
    spent.map_or_else(
        || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        },
        Duration::from_nanos,
    )
}

/// The least of several times: what the work takes when nothing gets in its way.
fn least(rounds: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let start = clock();
        work();
        clock().saturating_sub(start)
    });
    times.min().unwrap_or_default()
}

/// The least times of two works that take turns, so that the machine's moods hit both.
fn race(mut one: impl FnMut() -> bool, mut two: impl FnMut() -> bool) -> (Duration, Duration) {
    let mut times = (Duration::MAX, Duration::MAX);
    for _ in 0..60 {
        times.0 = times.0.min(least(1, || {
            one();
        }));
        times.1 = times.1.min(least(1, || {
            two();
        }));
    }
    times
}
