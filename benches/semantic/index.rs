//! Measures a search on records of many subjects: how fast they are admitted, and how many repeats of them are found.

use std::time::{Duration, Instant};

use topicloom::dedup::{Deduplicator, Memory, Reference, SemanticDuplicates, SemanticMemory};
use topicloom::embedding::from_fn;

use super::vectors::{LAST, SMALL, Subjects, clock, print};

/// A search under measurement.
pub trait Search {
    /// Looks a record up and remembers it if it is new; returns whether it was.
    fn admit(&mut self, vector: &[f32]) -> bool;

    /// Returns the bytes in use, if they are known.
    fn bytes(&self) -> Option<usize>;
}

/// The library's own, by cells beyond a number of records.
pub struct Ours(SemanticMemory);

impl Ours {
    pub fn new(beyond: usize) -> Self {
        let never = from_fn("none", |_: &str| Ok(Vec::new()));
        let semantic = SemanticDuplicates::new(never).approximate_beyond(beyond);
        Self(semantic.memory())
    }
}

impl Search for Ours {
    fn admit(&mut self, vector: &[f32]) -> bool {
        self.0
            .admit(print(vector), Reference::Record(0))
            .is_unique()
    }

    fn bytes(&self) -> Option<usize> {
        Some(self.0.bytes())
    }
}

pub fn header(size: usize) {
    println!(
        "| {size} records, {SMALL} dimensions | admissions/s at the end | all, s | of {LAST} repeats each found at a cosine of 0.94 and of 0.97 | bytes a record |"
    );
    println!("|---|---|---|---|---|");
}

/// Prints the row of a search.
pub fn measure(name: &str, mut search: impl Search, set: &Subjects) {
    let size = set.vectors.len();
    let (begun, mut last) = (Instant::now(), Duration::ZERO);
    let start = clock(begun);
    for (at, vector) in set.vectors.iter().enumerate() {
        if at + LAST == size {
            last = clock(begun);
        }
        assert!(search.admit(vector), "strangers are new");
    }
    let end = clock(begun);
    let bytes = search
        .bytes()
        .map_or("not told".to_owned(), |bytes| (bytes / size).to_string());
    let [some, most] = set.repeats.each_ref().map(|repeats| {
        let found = repeats.iter().filter(|repeat| !search.admit(repeat));
        found.count()
    });
    println!(
        "| {name} | {:.0} | {:.0} | {some} and {most} | {bytes} |",
        LAST as f64 / end.saturating_sub(last).as_secs_f64(),
        end.saturating_sub(start).as_secs_f64(),
    );
}
