//! How alike records are to the one they are most alike.

use super::word_set::WordSet;
use crate::random::Random;

/// A random sample of records, as sets of words.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    sample: Vec<WordSet>,
    seen: u64,
    random: Random,
}

/// Records in the sample. 512 are compared with each other in about a millisecond at the end.
const SAMPLE: usize = 512;

/// Words of a record that are looked at; what tells short records apart comes in the first sentences.
const MOST_WORDS: usize = 96;

impl Neighbours {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sample: Vec::new(),
            seen: 0,
            random: Random::new(seed).fork("neighbours"),
        }
    }

    /// Returns the place in the sample that the next record takes, if it takes one (reservoir sampling: every
    /// record is in the sample with the same chance).
    fn place(&mut self) -> Option<usize> {
        self.seen += 1;
        if self.sample.len() < SAMPLE {
            return Some(self.sample.len());
        }
        let place = self.random.below(self.seen);
        usize::try_from(place).ok().filter(|&place| place < SAMPLE)
    }

    pub(super) fn add(&mut self, text: &str) {
        let Some(place) = self.place() else { return };
        let words = WordSet::new(text, MOST_WORDS);
        if place == self.sample.len() {
            self.sample.push(words);
        } else {
            self.sample[place] = words;
        }
    }

    /// Returns the mean, over the sample, of the similarity (Jaccard of word sets) to the nearest other one.
    #[allow(clippy::cast_precision_loss)] // Counts of a hundred.
    pub(super) fn mean_nearest(&self) -> Option<f64> {
        if self.sample.len() < 2 {
            return None;
        }
        // Those that share a word are found by that word; most records share few, and most pairs none.
        let mut holders: Vec<(u32, usize)> = Vec::new();
        for (record, words) in self.sample.iter().enumerate() {
            holders.extend(words.words().iter().map(|&word| (word, record)));
        }
        holders.sort_unstable();
        let mut by_record = vec![Vec::new(); self.sample.len()];
        for of_one_word in holders.chunk_by(|one, other| one.0 == other.0) {
            for &(_, record) in of_one_word {
                by_record[record].push(of_one_word);
            }
        }
        let mut shared = vec![0_usize; self.sample.len()];
        let nearest = by_record.iter().enumerate().map(|(one, its_words)| {
            shared.fill(0);
            for &(_, other) in its_words.iter().copied().flatten() {
                shared[other] += 1;
            }
            let size = |record: usize| self.sample[record].words().len();
            let similarity = |other: usize| {
                let all = size(one) + size(other) - shared[other];
                shared[other] as f64 / all.max(1) as f64
            };
            let others = (0..shared.len()).filter(|&other| other != one);
            others.map(similarity).fold(0.0_f64, f64::max)
        });
        Some(nearest.sum::<f64>() / self.sample.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(texts: &[&str]) -> Option<f64> {
        let mut neighbours = Neighbours::new(1);
        for text in texts {
            neighbours.add(text);
        }
        neighbours.mean_nearest()
    }

    #[test]
    fn each_record_is_compared_with_the_one_most_like_it() {
        assert_eq!(mean(&["alone"]), None);
        assert_eq!(mean(&["a b", "c d"]), Some(0.0));
        assert_eq!(mean(&["a b", "B a!", "c"]), Some(2.0 / 3.0));
        // The first two share two of four words; the third shares one of four with the second.
        assert_eq!(
            mean(&["a b c", "a b d", "d x"]),
            Some((0.5 + 0.5 + 0.25) / 3.0)
        );
        assert_eq!(mean(&["", ""]), Some(0.0));
    }

    #[test]
    fn the_sample_is_bounded_and_fair() {
        let mut neighbours = Neighbours::new(1);
        for n in 0..10_000 {
            neighbours.add(if n < 5_000 { "early" } else { "late" });
        }
        assert_eq!(neighbours.sample.len(), SAMPLE);
        let early = WordSet::new("early", 1);
        let early = neighbours
            .sample
            .iter()
            .filter(|words| words.overlap_above(&early, 0.0) > 0.0)
            .count();
        assert!((200..312).contains(&early), "{early}");
    }
}
