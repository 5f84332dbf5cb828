//! Speed and size of the semantic stage, and what its bytes lose against 32-bit floats.
//!
//! ```sh
//! cargo bench --bench semantic --features semantic                  # rounding, then 10 000 and 100 000 vectors
//! cargo bench --bench semantic --features semantic -- 10000 1536    # one size and number of dimensions
//! cargo bench --bench semantic --features semantic -- index 100000   # the approximate index beside the exact search
//! ```

// Tables go to standard output, and counts become shares.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::json;
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, Memory, Reference, SemanticDuplicates, SemanticFingerprint};
use topicloom::embedding::from_fn;
use topicloom::random::Random;

/// Of small models, and of the usual ones behind an API.
const DIMENSIONS: [usize; 2] = [384, 1536];

/// Cosines of strangers: none, and about those of small and of older embedding models.
const NEARNESS: [f32; 3] = [0.0, 0.3, 0.6];

/// The last admissions of each size, over which the rate at that size is taken.
const LAST: usize = 1000;

/// Vectors that the plain loop looks at; its time grows with their number.
const PLAIN: usize = 10_000;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    if std::env::args().any(|argument| argument == "index") {
        index::beside_exact(numbers.first().copied().unwrap_or(100_000));
        return;
    }
    let (sizes, dimensions, nearness) = match numbers[..] {
        [] => (vec![10_000, 100_000], DIMENSIONS.to_vec(), &NEARNESS[..]),
        [size] => (vec![size], DIMENSIONS.to_vec(), &NEARNESS[..]),
        [size, dimensions, ..] => (vec![size], vec![dimensions], &NEARNESS[1..2]),
    };
    if numbers.is_empty() {
        quantisation();
    }
    println!(
        "| records | dimensions | mean cosine of strangers | admits/s | all admits, s | plain f32 loop, admits/s | bytes per record |"
    );
    println!("|---|---|---|---|---|---|---|");
    for size in sizes {
        for dimensions in &dimensions {
            for near in nearness {
                speed(size, *dimensions, *near);
            }
        }
    }
}

/// Returns the CPU time of this thread where the system tells (Linux), else the time since the start.
fn clock(start: Instant) -> Duration {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// A direction that has about the cosine `near` with all others.
fn vector(random: &mut Random, dimensions: usize, near: f32) -> Vec<f32> {
    let common = (near / dimensions as f32).sqrt();
    let own = ((1.0 - near) / dimensions as f32).sqrt();
    (0..dimensions)
        .map(|_| common + own * gaussian(random))
        .collect()
}

fn gaussian(random: &mut Random) -> f32 {
    // Twelve uniform numbers add up to a variance of one.
    ((0..12).map(|_| random.unit_f64()).sum::<f64>() - 6.0) as f32
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter()
            .zip(other)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

fn print(vector: &[f32]) -> SemanticFingerprint {
    let vector = vector.to_vec();
    let given = from_fn("given", move |_: &str| Ok(vector.clone()));
    let data = json!({"text": "x"});
    SemanticDuplicates::new(given)
        .fingerprint(&Candidate::new("t", data.as_object().expect("an object")))
        .now_or_never()
        .expect("it never waits")
        .expect("it does not fail")
}

/// Compares pairs around the usual thresholds with what 32-bit floats say.
fn quantisation() {
    let mut random = Random::new(1);
    let mut errors: Vec<f64> = Vec::new();
    let (mut found, mut missed, mut invented) = (0, 0, 0);
    for _ in 0..100_000 {
        let near = 0.8 + 0.2 * random.unit_f64() as f32;
        let one = vector(&mut random, DIMENSIONS[0], 0.3);
        let noise = vector(&mut random, DIMENSIONS[0], 0.0);
        let other: Vec<f32> = one
            .iter()
            .zip(&noise)
            .map(|(x, y)| near * x + (1.0 - near * near).sqrt() * y)
            .collect();
        let exact = cosine(&one, &other);
        let all = SemanticDuplicates::new(from_fn("none", |_: &str| Ok(Vec::new()))).threshold(0.0);
        let mut memory = all.memory();
        memory.admit(print(&one), Reference::Record(0));
        let topicloom::dedup::Verdict::Duplicate(repeat) =
            memory.admit(print(&other), Reference::Record(1))
        else {
            unreachable!("every cosine here is above 0")
        };
        let here = f64::from(repeat.similarity);
        errors.push((here - exact).abs());
        found += usize::from(exact >= 0.93);
        missed += usize::from(exact >= 0.93 && here < 0.93);
        invented += usize::from(exact < 0.93 && here >= 0.93);
    }
    errors.sort_by(f64::total_cmp);
    println!(
        "cosine error against f32 over {} pairs with cosines from 0.8 to 1: mean {:.5}, 99.9 % below {:.5}, largest {:.5}",
        errors.len(),
        errors.iter().sum::<f64>() / errors.len() as f64,
        errors[errors.len() * 999 / 1000],
        errors[errors.len() - 1],
    );
    println!(
        "at 0.93: {found} repeats by f32, {missed} missed and {invented} invented by rounding\n"
    );
}

fn speed(size: usize, dimensions: usize, near: f32) {
    let mut random = Random::new(2);
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    let prints: Vec<SemanticFingerprint> = (0..size)
        .map(|at| {
            let vector = vector(&mut random, dimensions, near);
            let print = print(&vector);
            if at < PLAIN {
                vectors.push(vector);
            }
            print
        })
        .collect();
    let mut memory = SemanticDuplicates::new(from_fn("none", |_: &str| Ok(Vec::new()))).memory();
    let begun = Instant::now();
    let start = clock(begun);
    let mut last = start;
    for (at, print) in prints.into_iter().enumerate() {
        if at + LAST == size {
            last = clock(begun);
        }
        let verdict = memory.admit(print, Reference::Record(at as u64));
        assert!(verdict.is_unique(), "strangers are new");
    }
    let end = clock(begun);
    let (all, last) = (end.saturating_sub(start), end.saturating_sub(last));
    let scans = 20_u8;
    let start = clock(begun);
    let mut nearest = f32::MIN;
    for query in &vectors[..usize::from(scans)] {
        for other in &vectors {
            nearest = nearest.max(query.iter().zip(other).map(|(x, y)| x * y).sum());
        }
    }
    std::hint::black_box(nearest);
    let share = vectors.len() as f64 / size as f64;
    println!(
        "| {size} | {dimensions} | {near} | {:.0} | {:.1} | {:.0} | {} |",
        LAST as f64 / last.as_secs_f64(),
        all.as_secs_f64(),
        share * f64::from(scans) / (clock(begun).saturating_sub(start)).as_secs_f64(),
        memory.bytes() / size,
    );
}

/// The approximate index beside the exact search.
mod index {
    use super::{
        Duration, Instant, LAST, Memory, Random, Reference, SemanticDuplicates,
        SemanticFingerprint, clock, from_fn, print, vector,
    };
    use topicloom::dedup::{Deduplicator, SemanticMemory};

    const DIMENSIONS: usize = 384;

    /// Records that are about the same.
    const OF_A_SUBJECT: usize = 10;

    /// About the cosine of records of one subject, and of a record and its repeat.
    const SUBJECT: f32 = 0.7;
    const REPEATS: [f32; 2] = [0.94, 0.97];

    /// A direction with about this cosine to another.
    fn near(random: &mut Random, one: &[f32], cosine: f32) -> Vec<f32> {
        let noise = vector(random, DIMENSIONS, 0.0);
        let parts = one.iter().zip(&noise);
        parts
            .map(|(x, y)| cosine * x + (1.0 - cosine * cosine).sqrt() * y)
            .collect()
    }

    struct Run {
        memory: SemanticMemory,
        all: Duration,
        last: Duration,
    }

    fn fill(beyond: usize, prints: &[SemanticFingerprint]) -> Run {
        let never = from_fn("none", |_: &str| Ok(Vec::new()));
        let mut memory = SemanticDuplicates::new(never)
            .approximate_beyond(beyond)
            .memory();
        let (begun, mut last) = (Instant::now(), Duration::ZERO);
        let start = clock(begun);
        for (at, print) in prints.iter().enumerate() {
            if at + LAST == prints.len() {
                last = clock(begun);
            }
            let verdict = memory.admit(print.clone(), Reference::Record(at as u64));
            assert!(verdict.is_unique(), "strangers are new");
        }
        let end = clock(begun);
        Run {
            memory,
            all: end.saturating_sub(start),
            last: end.saturating_sub(last),
        }
    }

    pub(super) fn beside_exact(size: usize) {
        let mut random = Random::new(4);
        let mut subject = Vec::new();
        let mut vectors = Vec::with_capacity(size);
        for at in 0..size {
            if at % OF_A_SUBJECT == 0 {
                subject = vector(&mut random, DIMENSIONS, 0.3);
            }
            vectors.push(near(&mut random, &subject, SUBJECT.sqrt()));
        }
        let prints: Vec<SemanticFingerprint> = vectors.iter().map(|vector| print(vector)).collect();
        let repeats = REPEATS.map(|cosine| -> Vec<SemanticFingerprint> {
            let mut repeat = || {
                let of = usize::try_from(random.below(size as u64)).expect("a place in a list");
                print(&near(&mut random, &vectors[of], cosine))
            };
            (0..LAST).map(|_| repeat()).collect()
        });
        drop(vectors);
        println!(
            "| {size} records, {DIMENSIONS} dimensions | admissions/s at the end | all, s | of 1 000 repeats each found at a cosine of 0.94 and of 0.97 | bytes a record |"
        );
        println!("|---|---|---|---|---|");
        for (name, beyond) in [
            ("exact", usize::MAX),
            ("by cells from half of them on", size / 2),
        ] {
            let mut run = fill(beyond, &prints);
            let [some, most] = repeats.each_ref().map(|repeats| {
                let found = repeats.iter().filter(|repeat| {
                    let again = Reference::Record(u64::MAX);
                    !run.memory.admit((*repeat).clone(), again).is_unique()
                });
                found.count()
            });
            println!(
                "| {name} | {:.0} | {:.0} | {some} and {most} | {} |",
                LAST as f64 / run.last.as_secs_f64(),
                run.all.as_secs_f64(),
                run.memory.bytes() / size,
            );
        }
    }
}
