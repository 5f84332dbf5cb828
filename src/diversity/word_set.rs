//! The words of a text as a set that is quickly compared.

use super::words::for_each_word;

/// The first words of a text, without order and repeats.
#[derive(Debug, Clone, Default)]
pub(super) struct WordSet {
    /// Hashes, sorted. 32 bits are enough: texts of fifty words share one by accident in one case of a million.
    words: Box<[u32]>,
    /// One bit for each word, several words to a bit.
    bits: [u64; 4],
    /// Words that found their bit taken.
    hidden: usize,
}

impl WordSet {
    #[allow(clippy::cast_possible_truncation)] // Parts of a hash are hashes.
    pub(super) fn new(text: &str, most_words: usize) -> Self {
        let mut words = Vec::with_capacity(most_words.min(48));
        for_each_word(text, |word| {
            if words.len() < most_words {
                words.push(word as u32);
            }
        });
        words.sort_unstable();
        words.dedup();
        let mut bits = [0_u64; 4];
        for word in &words {
            bits[(word >> 6 & 3) as usize] |= 1 << (word & 63);
        }
        let set: u32 = bits.iter().map(|bits| bits.count_ones()).sum();
        Self {
            hidden: words.len() - set as usize,
            words: words.into_boxed_slice(),
            bits,
        }
    }

    /// Returns the hashes of the words.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    /// Returns how many words two sets share, out of all they have (Jaccard), if that is more than `least`; else 0. Two
    /// empty sets share nothing.
    pub(super) fn overlap_above(&self, other: &Self, least: f64) -> f64 {
        let common = self
            .bits
            .iter()
            .zip(&other.bits)
            .map(|(one, other)| (one & other).count_ones());
        // A shared word has its bit in both, unless it found it taken.
        let at_most = common.sum::<u32>() as usize + self.hidden.min(other.hidden);
        if self.jaccard(other, at_most) <= least {
            return 0.0;
        }
        let exact = self.jaccard(other, self.shared(other));
        if exact > least { exact } else { 0.0 }
    }

    #[allow(clippy::cast_precision_loss)] // At most a hundred words.
    fn jaccard(&self, other: &Self, shared: usize) -> f64 {
        let all = (self.words.len() + other.words.len()).saturating_sub(shared);
        if all == 0 {
            0.0
        } else {
            shared as f64 / all as f64
        }
    }

    fn shared(&self, other: &Self) -> usize {
        let (mut at, mut shared) = (0, 0);
        for word in &self.words {
            while other.words.get(at).is_some_and(|next| next < word) {
                at += 1;
            }
            shared += usize::from(other.words.get(at) == Some(word));
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn overlap(one: &str, other: &str, least: f64) -> f64 {
        WordSet::new(one, 96).overlap_above(&WordSet::new(other, 96), least)
    }

    #[test]
    fn overlap_is_what_is_shared_out_of_all() {
        for (one, other, known) in [
            ("a b c", "c d", 0.25),
            ("a b", "B a, a!", 1.0),
            ("a", "b", 0.0),
            ("", "", 0.0),
        ] {
            assert!(
                (overlap(one, other, 0.0) - known).abs() < 1e-12,
                "{one} / {other}"
            );
        }
        assert!(
            overlap("a b c", "c d", 0.3).abs() < 1e-12,
            "less than asked for is nothing"
        );
    }

    #[test]
    fn the_quick_look_never_hides_an_overlap() {
        let mut random = Random::new(2);
        let mut text = |words: u64| {
            let words: Vec<String> = (0..words).map(|_| random.below(150).to_string()).collect();
            words.join(" ")
        };
        for words in [3, 20, 90] {
            for _ in 0..200 {
                let (one, other) = (
                    WordSet::new(&text(words), 96),
                    WordSet::new(&text(words), 96),
                );
                let exact = one.jaccard(&other, one.shared(&other));
                assert!((one.overlap_above(&other, 0.0) - exact).abs() < 1e-12);
                assert!(exact == 0.0 || one.overlap_above(&other, exact - 1e-9) > 0.0);
            }
        }
    }
}
