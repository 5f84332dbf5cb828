//! Shares of `tests/cases/parse` that crates for this job recover, leave alone, or get wrong, and their speed on it.
//!
//! A rival's output is given to our own reading of records, so that wrappers and several values count for it as for
//! us. *Recovered* is exactly the records expected, *less* is some of them or none, *wrong* is a record
//! that is not among them. Cases that must give nothing count as recovered when nothing comes.

#[path = "../../../tests/cases/parse/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use corpus::Case;
use serde_json::Value;
use topicloom::parse::{Limits, records};

type Repairer = fn(&str) -> Option<String>;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/parse");
    let cases: Vec<Case> = corpus::cases(&folder)
        .into_iter()
        .filter(|case| case.headers.get("mode").is_none())
        .collect();
    let bytes: usize = cases.iter().map(|case| case.input.len()).sum();
    let rivals: [(&str, Repairer); 7] = [
        ("jsonrepair", |text| {
            jsonrepair::repair_to_string(text, &jsonrepair::Options::default()).ok()
        }),
        ("jsonrepair-rs", |text| jsonrepair_rs::jsonrepair(text).ok()),
        ("llm_json", |text| {
            llm_json::repair_json(text, &llm_json::RepairOptions::default()).ok()
        }),
        ("llm-json-repair", |text| {
            Some(llm_json_repair::repair(text))
        }),
        ("repair_json", |text| {
            repair_json::repair(text.as_bytes().to_vec()).ok()
        }),
        ("json_partial", |text| {
            let value = json_partial::jsonish::parse(text, Default::default()).ok()?;
            Some(json_partial::jsonish::jsonish_to_serde(&value).to_string())
        }),
        ("serde_json alone", |text| Some(text.to_owned())),
    ];
    // A rival that panics is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    println!("{} answers, {bytes} bytes", cases.len());
    println!(
        "{:<18} {:>9} {:>6} {:>6} {:>7} {:>8}",
        "", "recovered", "less", "wrong", "panics", "MB/s"
    );
    let mut ours: BTreeMap<&str, Grade> = BTreeMap::new();
    let mut spent = Duration::ZERO;
    for case in &cases {
        let (shape, limits) = (case.shape(), Limits::default());
        spent += least(|| drop(records(&case.input, &shape, &limits)));
        ours.insert(&case.name, grade(case, &case.run(&case.input).values));
    }
    row("ours", ours.values().copied(), bytes, spent);
    let mut beaten = Vec::new();
    for (name, repair) in rivals {
        let mut grades = Vec::new();
        let mut spent = Duration::ZERO;
        for case in &cases {
            let repaired = catch_unwind(|| repair(&case.input));
            spent += least(|| drop(catch_unwind(|| repair(&case.input))));
            let grade = match repaired {
                Err(_) => Grade::Panic,
                Ok(repaired) => {
                    // A text that is no JSON even now gives nothing, however well our own reader would do with it.
                    let value = repaired.filter(|text| serde_json::from_str::<Value>(text).is_ok());
                    grade(
                        case,
                        &value.map(|text| case.run(&text).values).unwrap_or_default(),
                    )
                }
            };
            if grade == Grade::Recovered && ours[case.name.as_str()] != Grade::Recovered {
                beaten.push(format!("{name} recovers what we do not: {}", case.name));
            }
            grades.push(grade);
        }
        row(name, grades.into_iter(), bytes, spent);
    }
    for line in beaten {
        println!("{line}");
    }
}

/// The least of several times: what the work takes when nothing gets in its way.
fn least(work: impl Fn()) -> Duration {
    let times = (0..9).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Recovered,
    Less,
    Wrong,
    Panic,
}

fn grade(case: &Case, values: &[Value]) -> Grade {
    if values == case.expected {
        Grade::Recovered
    } else if values.iter().all(|value| case.expected.contains(value)) {
        Grade::Less
    } else {
        Grade::Wrong
    }
}

fn row(name: &str, grades: impl Iterator<Item = Grade> + Clone, bytes: usize, time: Duration) {
    let count = |grade| grades.clone().filter(|other| *other == grade).count();
    println!(
        "{name:<18} {:>9} {:>6} {:>6} {:>7} {:>8.1}",
        count(Grade::Recovered),
        count(Grade::Less),
        count(Grade::Wrong),
        count(Grade::Panic),
        bytes as f64 / time.as_secs_f64() / 1e6
    );
}
