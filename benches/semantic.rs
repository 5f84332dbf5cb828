//! Speed and size of the semantic stage, and what its bytes lose against 32-bit floats.
//!
//! ```sh
//! cargo bench --bench semantic --features semantic                  # rounding, then 10 000 and 100 000 vectors
//! cargo bench --bench semantic --features semantic -- 10000 1536    # one size and number of dimensions
//! cargo bench --bench semantic --features semantic -- index 100000   # the approximate index beside the exact search
//! cargo bench --bench semantic --features semantic -- labelled set.jsonl vectors.f32 # what a model of yours finds
//! cargo bench --bench semantic --features static-embeddings -- pairs static/DIRECTORY tests/cases/dedup/pairs.tsv
//! ```

// Tables go to standard output, and counts become shares.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    unreachable_pub
)]

#[path = "semantic/index.rs"]
mod index;
#[path = "semantic/labelled.rs"]
mod labelled;
#[path = "semantic/pairs.rs"]
mod pairs;
#[path = "semantic/vectors.rs"]
mod vectors;

use std::time::Instant;

use index::Ours;
use topicloom::dedup::{Deduplicator, Memory, Reference, SemanticDuplicates, SemanticFingerprint};
use topicloom::embedding::from_fn;
use topicloom::random::Random;
use vectors::{LAST, SMALL, Subjects, clock, print, vector};

/// Of small models, and of the usual ones behind an API.
const DIMENSIONS: [usize; 2] = [SMALL, 1536];

/// Cosines of strangers: none, and about those of small and of older embedding models.
const NEARNESS: [f32; 3] = [0.0, 0.3, 0.6];

/// Vectors that the plain loop looks at; its time grows with their number.
const PLAIN: usize = 10_000;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let arguments: Vec<String> = std::env::args().filter(|a| a != "--bench").collect();
    if let [_, what, set, vectors] = &arguments[..]
        && what == "labelled"
    {
        labelled::tables(set, vectors);
        return;
    }
    if let [_, what, model, files @ ..] = &arguments[..]
        && what == "pairs"
    {
        pairs::tables(model, files);
        return;
    }
    if std::env::args().any(|argument| argument == "index") {
        let size = numbers.first().copied().unwrap_or(100_000);
        let set = Subjects::draw(size);
        index::header(size);
        index::measure("exact", Ours::new(usize::MAX), &set);
        index::measure("by cells from half of them on", Ours::new(size / 2), &set);
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

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter()
            .zip(other)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
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
