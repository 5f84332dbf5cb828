//! The words of a text, as hashes, and as a set that is quickly compared.

/// Calls back with a hash of each word of a text, in order.
///
/// A word is a run of letters, digits and marks, without case. Scripts that are written without spaces give a
/// word for each character: rough, and the same in every run.
pub(super) fn for_each_word(text: &str, mut each: impl FnMut(u64)) {
    let bytes = text.as_bytes();
    let mut word = Word::default();
    let mut at = 0;
    loop {
        // Most text is ASCII, whose letters and digits need no more than a look.
        let run = word.push_plain(&bytes[at..]);
        at += run;
        if run == 8 {
            continue;
        }
        let Some(&byte) = bytes.get(at) else {
            break;
        };
        if byte.is_ascii() {
            at += 1;
            // An apostrophe does not end a word, and does not count either.
            if byte != b'\'' {
                word.end(&mut each);
            }
            continue;
        }
        let Some(character) = text[at..].chars().next() else {
            break;
        };
        at += character.len_utf8();
        if character == '\u{2019}' {
            // It stands for the apostrophe.
        } else if !is_part_of_word(character) {
            word.end(&mut each);
        } else if stands_alone(character) {
            word.end(&mut each);
            word.push(character);
            word.end(&mut each);
        } else {
            character.to_lowercase().for_each(|lower| word.push(lower));
        }
    }
    word.end(&mut each);
}

/// Returns how many of eight bytes, from the lowest on, are letters or digits of ASCII, and the eight without case.
fn plain_run(eight: u64) -> (u32, u64) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH * 0x80;
    // Sets the top bit of each byte that is this one or more, where none has it already.
    let from = |bytes: u64, least: u8| bytes.wrapping_add(EACH * u64::from(0x80 - least));
    // A small letter and a digit have this bit; a capital is a small letter without it.
    let small = eight | (EACH * 0x20);
    let ascii = small & !TOP;
    let letters = from(ascii, b'a') & !from(ascii, b'z' + 1);
    let digits = from(eight & !TOP, b'0') & !from(eight & !TOP, b'9' + 1);
    let plain = (letters | digits) & !eight & TOP;
    ((plain ^ TOP).trailing_zeros() / 8, small)
}

/// The hash of a word that is being read.
#[derive(Default)]
struct Word {
    hash: u64,
    /// ASCII characters that are not in the hash yet: eight go in at once.
    pending: u64,
    length: usize,
}

impl Word {
    /// Takes in the letters and digits of ASCII that a text begins with, eight at most, and returns how many there are.
    #[inline]
    fn push_plain(&mut self, text: &[u8]) -> usize {
        let eight = text.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; 8];
            padded[..text.len()].copy_from_slice(text);
            padded
        });
        let (run, small) = plain_run(u64::from_le_bytes(eight));
        if self.pending == 0 {
            self.length += run as usize;
            self.pending = small.swap_bytes().checked_shr(64 - 8 * run).unwrap_or(0);
            if run == 8 {
                self.mix(0);
            }
        } else {
            for byte in &small.to_le_bytes()[..run as usize] {
                self.push_ascii(*byte);
            }
        }
        run as usize
    }

    /// Takes in a small letter or a digit.
    #[inline]
    fn push_ascii(&mut self, byte: u8) {
        self.length += 1;
        self.pending = self.pending << 8 | u64::from(byte);
        if self.pending >> 56 != 0 {
            self.mix(0);
        }
    }

    /// Takes in a character that has no case any more. It may be ASCII: the Kelvin sign becomes a `k`.
    fn push(&mut self, character: char) {
        if let Ok(byte @ 0..0x80) = u8::try_from(character) {
            self.push_ascii(byte);
        } else {
            self.length += 1;
            self.mix(u64::from(u32::from(character)));
        }
    }

    #[inline]
    fn mix(&mut self, character: u64) {
        // An odd multiplier with its bits well spread, as in the finisher of MurmurHash3.
        let mixed = (self.hash ^ self.pending).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        self.hash = (mixed.rotate_left(29) ^ character).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        self.pending = 0;
    }

    /// Calls back with the hash of the word, if there is one, and begins the next.
    fn end(&mut self, each: &mut impl FnMut(u64)) {
        if self.length > 0 {
            self.mix(self.length as u64);
            each(finish(self.hash));
            *self = Self::default();
        }
    }
}

/// Joins the hash of a sequence with the next one.
pub(super) fn join(sequence: u64, next: u64) -> u64 {
    finish(sequence.rotate_left(23) ^ next)
}

fn finish(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 32)
}

fn is_part_of_word(character: char) -> bool {
    // Dashes, quotes and the ellipsis, which ends what was cut.
    let is_punctuation = matches!(character, '\u{2000}'..='\u{206f}');
    !is_punctuation && (character.is_alphanumeric() || is_mark(character))
}

/// Combining marks of the scripts that need them to tell words apart, and joiners inside of words.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{981}'..='\u{983}'
        | '\u{9bc}'..='\u{9cd}' | '\u{b82}' | '\u{bbe}'..='\u{bcd}' | '\u{e31}' | '\u{e34}'..='\u{e3a}'
        | '\u{e47}'..='\u{e4e}')
}

/// Han, kana, Thai, Lao, Khmer and Burmese are written without spaces.
fn stands_alone(character: char) -> bool {
    matches!(character, '\u{e01}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

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
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    fn words(text: &str) -> Vec<u64> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word));
        words
    }

    #[test]
    fn case_marks_and_spaces_do_not_count() {
        assert_eq!(words("What IS a graph?"), words("what is (a)  graph"));
        assert_eq!(words("don't"), words("don\u{2019}t"));
        assert_eq!(words("ÄRGER"), words("ärger"));
        assert_eq!(words("Grad \u{212a}elvin"), words("grad kelvin"));
        assert_eq!(
            words("internationalisation2"),
            words("INTERNATIONALISATION2")
        );
        assert_ne!(words("abcdefgh i"), words("abcdefghi"));
        assert_ne!(words("a b"), words("b a"));
        assert!(words("  …, ").is_empty());
    }

    proptest! {
        #[test]
        fn a_run_is_hashed_as_its_characters_are(text in "['a-zA-Z0-9]{1,40}") {
            let mut word = Word::default();
            let characters = text.chars().filter(|c| *c != '\'');
            characters.for_each(|c| word.push(c.to_ascii_lowercase()));
            let mut one_by_one = Vec::new();
            word.end(&mut |hash| one_by_one.push(hash));
            prop_assert_eq!(words(&text), one_by_one);
        }
    }

    #[test]
    fn every_script_has_words() {
        for (text, count) in [
            ("one two-three 4.5", 5),
            ("Что такое граф?", 3),
            ("图论是什么", 5),
            ("グラフ理論", 5),
            ("그래프 이론", 2),
            ("ما هو البيان", 3),
        ] {
            assert_eq!(words(text).len(), count, "{text}");
        }
    }

    #[test]
    fn different_words_have_different_hashes() {
        let mut hashes: Vec<u64> = (0..100_000).flat_map(|n| words(&format!("w{n}"))).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 100_000);
    }

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
