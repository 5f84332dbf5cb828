//! Vectors as embedding models make them: with something in common, and nearer to one another where the subject is the
//! same.

use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::json;
use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, SemanticDuplicates, SemanticFingerprint};
use topicloom::embedding::from_fn;
use topicloom::random::Random;

/// Dimensions of small models.
pub const SMALL: usize = 384;

/// The last admissions of each size, over which the rate at that size is taken.
pub const LAST: usize = 1000;

/// Records that are about the same.
const OF_A_SUBJECT: usize = 10;

/// About the cosine of records of one subject, and of a record and its repeat.
const SUBJECT: f32 = 0.7;
const REPEATS: [f32; 2] = [0.94, 0.97];

/// Returns the CPU time of this thread where the system tells (Linux), else the time since the start.
pub fn clock(start: Instant) -> Duration {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// A direction that has about the cosine `near` with all others.
pub fn vector(random: &mut Random, dimensions: usize, near: f32) -> Vec<f32> {
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

/// A direction with about this cosine to another.
pub fn near(random: &mut Random, one: &[f32], cosine: f32) -> Vec<f32> {
    let noise = vector(random, one.len(), 0.0);
    let parts = one.iter().zip(&noise);
    parts
        .map(|(x, y)| cosine * x + (1.0 - cosine * cosine).sqrt() * y)
        .collect()
}

pub fn print(vector: &[f32]) -> SemanticFingerprint {
    let vector = vector.to_vec();
    let given = from_fn("given", move |_: &str| Ok(vector.clone()));
    let data = json!({"text": "x"});
    SemanticDuplicates::new(given)
        .fingerprint(&Candidate::new("t", data.as_object().expect("an object")))
        .now_or_never()
        .expect("it never waits")
        .expect("it does not fail")
}

/// Records of many subjects, and repeats of some of them, at two distances.
pub struct Subjects {
    pub vectors: Vec<Vec<f32>>,
    pub repeats: [Vec<Vec<f32>>; 2],
}

impl Subjects {
    pub fn draw(size: usize) -> Self {
        let mut random = Random::new(4);
        let mut subject = Vec::new();
        let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(size);
        for at in 0..size {
            if at % OF_A_SUBJECT == 0 {
                subject = vector(&mut random, SMALL, 0.3);
            }
            vectors.push(near(&mut random, &subject, SUBJECT.sqrt()));
        }
        let repeats = REPEATS.map(|cosine| {
            let mut repeat = || {
                let of = usize::try_from(random.below(size as u64)).expect("a place in a list");
                near(&mut random, &vectors[of], cosine)
            };
            (0..LAST).map(|_| repeat()).collect()
        });
        Self { vectors, repeats }
    }
}
