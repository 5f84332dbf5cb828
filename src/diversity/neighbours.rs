//! How alike records are to the one they are most alike.

use super::words::for_each_word;
use crate::random::Random;

/// A random sample of records, as sets of words.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    sample: Vec<Box<[u32]>>,
    seen: u64,
    random: Random,
    /// Room to work in.
    words: Vec<u32>,
}

/// Records in the sample. 512 have 131 000 pairs, which are compared in some 20 milliseconds at the end.
pub(super) const SAMPLE: usize = 512;

/// Words of a record that are looked at; what tells short records apart comes in the first sentences.
const MOST_WORDS: usize = 96;

impl Neighbours {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sample: Vec::new(),
            seen: 0,
            random: Random::new(seed).fork("neighbours"),
            words: Vec::new(),
        }
    }

    /// Returns the place in the sample that the next record takes, if it takes one (reservoir sampling: every
    /// record is in the sample with the same chance).
    pub(super) fn place(&mut self) -> Option<usize> {
        self.seen += 1;
        if self.sample.len() < SAMPLE {
            return Some(self.sample.len());
        }
        let place = self.random.below(self.seen);
        usize::try_from(place).ok().filter(|&place| place < SAMPLE)
    }

    #[allow(clippy::cast_possible_truncation)] // 32 bits of a hash are enough for sets of a hundred.
    pub(super) fn add(&mut self, text: &str) {
        let Some(place) = self.place() else { return };
        let words = &mut self.words;
        words.clear();
        for_each_word(text, |word| {
            if words.len() < MOST_WORDS {
                words.push(word as u32);
            }
        });
        words.sort_unstable();
        words.dedup();
        let words = words.as_slice().into();
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
        let mut nearest = vec![0.0_f64; self.sample.len()];
        for (one, words) in self.sample.iter().enumerate() {
            for (other, others) in self.sample.iter().enumerate().skip(one + 1) {
                let (fewer, more) = (words.len().min(others.len()), words.len().max(others.len()));
                // What they can have in common at most.
                if more == 0 || (fewer as f64) / (more as f64) <= nearest[one].min(nearest[other]) {
                    continue;
                }
                let shared = shared(words, others);
                let similarity = shared as f64 / (words.len() + others.len() - shared) as f64;
                nearest[one] = nearest[one].max(similarity);
                nearest[other] = nearest[other].max(similarity);
            }
        }
        Some(nearest.iter().sum::<f64>() / nearest.len() as f64)
    }
}

/// Returns how many numbers two sorted sets share.
pub(super) fn shared(one: &[u32], other: &[u32]) -> usize {
    let (mut at, mut shared) = (0, 0);
    for word in one {
        while other.get(at).is_some_and(|next| next < word) {
            at += 1;
        }
        shared += usize::from(other.get(at) == Some(word));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(texts: &[&str]) -> Option<f64> {
        let mut neighbours = Neighbours::new(1);
        texts.iter().for_each(|text| neighbours.add(text));
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
        let mut early = 0;
        for_each_word("early", |word| {
            #[allow(clippy::cast_possible_truncation)]
            let word = word as u32;
            early = neighbours
                .sample
                .iter()
                .filter(|words| words[..] == [word])
                .count();
        });
        assert!((200..312).contains(&early), "{early}");
    }
}
