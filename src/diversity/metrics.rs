//! How diverse a data set is, measured while it is made.

use std::collections::HashMap;

use serde::Serialize;

use super::neighbours::mean_nearest;
use super::words::{for_each_word, join};
use crate::random::{Random, Reservoir};

/// Bytes of a record that are looked at, so that a data set of books costs no more than one of answers.
const MOST_BYTES: usize = 4096;

/// Records whose words are looked at; beyond that a random sample of as many stands for all.
const SAMPLE: usize = 2048;

/// Stretches of a run whose duplicate rates are told apart. When there are more, two become one.
const MOST_WINDOWS: usize = 32;

/// Candidates in a stretch at first.
const FIRST_WINDOW: u64 = 16;

/// Measures the diversity of records as they come, in about half a megabyte whatever their number: of most it only draws whether
/// they belong to the sample.
///
/// The same records in the same order give the same report. What each number means is said in
/// `docs/diversity.md`.
///
/// ```
/// use topicloom::diversity::Metrics;
///
/// let mut metrics = Metrics::new();
/// metrics.observe(0, "What is a tide?");
/// metrics.observe(1, "What is a current?");
/// metrics.observe_duplicate();
/// let report = metrics.finish();
/// assert_eq!((report.records, report.duplicates), (2, 1));
/// assert_eq!(report.topics.distinct, 2);
/// assert!(report.distinct_1.is_some_and(|share| (share - 5.0 / 8.0).abs() < 0.01));
/// ```
#[derive(Debug, Clone)]
pub struct Metrics {
    records: u64,
    duplicates: u64,
    topics: Vec<u64>,
    /// The words of each record in the sample.
    sample: Reservoir<Box<[u32]>>,
    windows: Vec<Window>,
    window_size: u64,
}

/// Candidates in a stretch of a run, in the order they were judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// Candidates that were new or repeated something.
    pub candidates: u64,
    /// Those that repeated something.
    pub duplicates: u64,
}

impl Metrics {
    /// Creates the account of a data set without records.
    #[must_use]
    pub fn new() -> Self {
        Self {
            records: 0,
            duplicates: 0,
            topics: Vec::new(),
            // A fixed seed: it decides only who is in the sample.
            sample: Reservoir::new(SAMPLE, Random::new(0).fork("diversity")),
            windows: Vec::new(),
            window_size: FIRST_WINDOW,
        }
    }

    /// Counts an accepted record of the topic with this index; of its text, the first 4 096 bytes.
    pub fn observe(&mut self, topic: usize, text: &str) {
        self.records += 1;
        if topic >= self.topics.len() {
            self.topics.resize(topic + 1, 0);
        }
        self.topics[topic] += 1;
        self.window().candidates += 1;
        self.sample.add(|| words(beginning(text, MOST_BYTES)));
    }

    /// Counts a candidate that was refused because it repeats something.
    pub fn observe_duplicate(&mut self) {
        self.duplicates += 1;
        let window = self.window();
        window.candidates += 1;
        window.duplicates += 1;
    }

    /// Returns what was measured. Compares the records of the sample with each other, which takes some ten milliseconds.
    #[must_use]
    pub fn finish(&self) -> DiversityReport {
        let sample = self.sample.kept();
        let openings = sample
            .iter()
            .map(|words| words.iter().take(3).copied().fold(0, sequence));
        DiversityReport {
            records: self.records,
            duplicates: self.duplicates,
            duplicate_rate: share(self.duplicates, self.records + self.duplicates),
            duplicates_over_time: self.windows.clone(),
            distinct_1: distinct(sample, 1),
            distinct_2: distinct(sample, 2),
            distinct_3: distinct(sample, 3),
            self_similarity: mean_nearest(sample),
            topics: Spread::of(self.topics.iter().copied()),
            openings: Spread::of(tallied(openings).into_values()),
            vendi: None,
        }
    }

    /// Returns the stretch that the next candidate belongs to.
    fn window(&mut self) -> &mut Window {
        let size = self.window_size;
        if self
            .windows
            .last()
            .is_none_or(|last| last.candidates >= size)
        {
            if self.windows.len() == MOST_WINDOWS {
                self.windows = self
                    .windows
                    .chunks(2)
                    .map(|two| Window {
                        candidates: two.iter().map(|window| window.candidates).sum(),
                        duplicates: two.iter().map(|window| window.duplicates).sum(),
                    })
                    .collect();
                self.window_size *= 2;
            }
            self.windows.push(Window::default());
        }
        self.windows
            .last_mut()
            .expect("one was pushed if there was none")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// How diverse a data set is.
///
/// What is said of words, openings and similarity holds for a random sample of up to 2 048 records. Numbers of smaller data
/// sets of different sizes do not compare: each has more of what was said before the larger it gets. Holds no record data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiversityReport {
    /// Records measured.
    pub records: u64,
    /// Candidates that were refused because they repeat something.
    pub duplicates: u64,
    /// Their share of all candidates that were new or repeated something; `None` without any.
    pub duplicate_rate: Option<f64>,
    /// The same over time: up to 32 stretches of equal length, the last one unfinished.
    pub duplicates_over_time: Vec<Window>,
    /// Different words by all words.
    pub distinct_1: Option<f64>,
    /// Different sequences of two words by all of them.
    pub distinct_2: Option<f64>,
    /// Different sequences of three words by all of them.
    pub distinct_3: Option<f64>,
    /// The similarity of a record to the nearest other one, on average over a sample of up to 512; lower is more
    /// diverse.
    pub self_similarity: Option<f64>,
    /// How records spread over topics.
    pub topics: Spread,
    /// How records spread over openings: their first three words.
    pub openings: Spread,
    /// How many entirely different records a sample is worth, where there are embeddings; see
    /// [`vendi`](super::vendi()).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendi: Option<f64>,
}

/// How things spread over kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spread {
    /// Kinds that occurred.
    pub distinct: u64,
    /// Shannon entropy in bits: 0 if all are of one kind, the logarithm of `distinct` if spread evenly.
    pub bits: f64,
    /// The share of the most frequent kind.
    pub largest: f64,
}

impl Spread {
    fn of(counts: impl Iterator<Item = u64>) -> Self {
        let mut counts: Vec<u64> = counts.filter(|&count| count > 0).collect();
        // In one order, so that sums of floats are the same in every run.
        counts.sort_unstable();
        let total = counts.iter().sum();
        let parts = || counts.iter().filter_map(|&count| share(count, total));
        Self {
            distinct: counts.len() as u64,
            bits: parts()
                .map(|part| -part * part.log2())
                .sum::<f64>()
                .max(0.0),
            largest: parts().next_back().unwrap_or(0.0),
        }
    }
}

/// Returns hashes of the words of a text. 32 bits are enough: of a whole sample, one or two share one by accident.
#[allow(clippy::cast_possible_truncation)] // A part of a hash is a hash.
pub(super) fn words(text: &str) -> Box<[u32]> {
    let mut words = Vec::with_capacity(text.len() / 6);
    for_each_word(text, |word| words.push(word as u32));
    words.into_boxed_slice()
}

/// Joins the hash of a sequence of words with that of the next one.
fn sequence(hash: u64, word: u32) -> u64 {
    join(hash, u64::from(word))
}

/// Returns the share of different sequences of this many words.
fn distinct(sample: &[Box<[u32]>], length: usize) -> Option<f64> {
    let all = sample.iter().flat_map(|words| words.windows(length));
    let mut all: Vec<u64> = all
        .map(|words| words.iter().copied().fold(0, sequence))
        .collect();
    let total = all.len() as u64;
    all.sort_unstable();
    all.dedup();
    share(all.len() as u64, total)
}

fn tallied(hashes: impl Iterator<Item = u64>) -> HashMap<u64, u64> {
    let mut counts = HashMap::new();
    for hash in hashes {
        *counts.entry(hash).or_default() += 1;
    }
    counts
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| float(part) / float(of))
}

#[allow(clippy::cast_precision_loss)] // Counts of words are far below 2⁵³.
fn float(count: u64) -> f64 {
    count as f64
}

/// Returns the text up to this many bytes, or a few less where a character would be cut.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(texts: impl IntoIterator<Item = (usize, String)>) -> DiversityReport {
        let mut metrics = Metrics::new();
        for (topic, text) in texts {
            metrics.observe(topic, &text);
        }
        metrics.finish()
    }

    fn close(one: Option<f64>, other: f64) -> bool {
        one.is_some_and(|one| (one - other).abs() < 0.01)
    }

    #[test]
    fn an_empty_data_set_has_no_numbers() {
        let report = Metrics::new().finish();
        assert_eq!(report, DiversityReport::default());
    }

    #[test]
    fn distinct_n_is_different_sequences_by_all() {
        let report = measured([(0, "a b a b".to_owned()), (0, "a b c".to_owned())]);
        assert!(close(report.distinct_1, 3.0 / 7.0), "{report:?}");
        assert!(
            close(report.distinct_2, 3.0 / 5.0),
            "ab ba ab, ab bc: {report:?}"
        );
        assert!(close(report.distinct_3, 1.0), "aba bab, abc: {report:?}");
    }

    #[test]
    fn spreads_are_entropies() {
        let openings = [
            "what is the sea",
            "what is the sky",
            "how does it work",
            "why",
        ];
        let report = measured(
            openings
                .iter()
                .enumerate()
                .map(|(n, text)| (n % 2, (*text).to_owned())),
        );
        assert!(
            (report.topics.bits - 1.0).abs() < 1e-9 && (report.topics.largest - 0.5).abs() < 1e-9
        );
        assert_eq!(report.openings.distinct, 3);
        assert!((report.openings.bits - 1.5).abs() < 1e-9, "{report:?}");
    }

    #[test]
    fn a_diverse_set_scores_better_on_everything() {
        let same =
            measured((0..300).map(|n| (0, format!("What is the capital of country number {n}?"))));
        let mut random = Random::new(1);
        let diverse = measured((0..300).map(|n| {
            let words: Vec<String> = (0..8).map(|_| format!("w{}", random.below(5000))).collect();
            (n % 10, words.join(" "))
        }));
        for (poor, good) in [
            (same.distinct_1, diverse.distinct_1),
            (same.distinct_2, diverse.distinct_2),
            (same.distinct_3, diverse.distinct_3),
            (diverse.self_similarity, same.self_similarity),
            (Some(same.topics.bits), Some(diverse.topics.bits)),
            (Some(same.openings.bits), Some(diverse.openings.bits)),
        ] {
            assert!(poor.unwrap() < good.unwrap(), "{same:?}\n{diverse:?}");
        }
    }

    #[test]
    fn stretches_cover_the_run_and_stay_few() {
        let mut metrics = Metrics::new();
        for n in 0..10_000_u64 {
            if n >= 5_000 && n % 2 == 0 {
                metrics.observe_duplicate();
            } else {
                metrics.observe(0, "x");
            }
        }
        let report = metrics.finish();
        let windows = &report.duplicates_over_time;
        assert!((MOST_WINDOWS / 2..=MOST_WINDOWS).contains(&windows.len()));
        assert_eq!(
            windows.iter().map(|window| window.candidates).sum::<u64>(),
            10_000
        );
        assert_eq!(
            windows.iter().map(|window| window.duplicates).sum::<u64>(),
            2_500
        );
        let (first, rest) = windows.split_at(windows.len() - 1);
        assert!(
            first
                .iter()
                .all(|window| window.candidates == metrics.window_size)
        );
        assert!(rest[0].candidates <= metrics.window_size);
        assert_eq!(windows[0].duplicates, 0);
        assert!(close(report.duplicate_rate, 0.25));
    }

    #[test]
    fn long_texts_and_many_records_take_bounded_memory() {
        let mut metrics = Metrics::new();
        metrics.observe(0, &"字".repeat(100_000));
        for n in 0..10_000 {
            metrics.observe(0, &format!("opening number {n}"));
        }
        assert_eq!(metrics.sample.kept().len(), SAMPLE);
        let spread = metrics.finish().openings;
        assert!(
            spread.distinct > 2_000 && spread.largest < 0.01,
            "{spread:?}"
        );
    }

    #[test]
    fn the_report_is_json() {
        let mut report = Metrics::new().finish();
        report.vendi = Some(2.0);
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(json["vendi"], 2.0);
        assert!(json["distinct_1"].is_null());
    }
}
