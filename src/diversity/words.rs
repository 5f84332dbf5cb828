//! The words of a text, as hashes.

/// Calls back with a hash of each word of a text, in order.
///
/// A word is a run of letters, digits and marks, without case. Scripts that are written without spaces give a
/// word for each character: rough, and the same in every run.
pub(super) fn for_each_word(text: &str, mut each: impl FnMut(u64)) {
    let bytes = text.as_bytes();
    let mut word = Word::default();
    let mut at = 0;
    while at < bytes.len() {
        // Most text is ASCII, which is taken in by runs.
        let run = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric());
        let run = run.count();
        word.push_ascii(&bytes[at..at + run]);
        at += run;
        let Some(character) = text[at..].chars().next() else {
            break;
        };
        at += character.len_utf8();
        if matches!(character, '\'' | '\u{2019}') {
            // An apostrophe does not end a word, and does not count either.
        } else if character.is_ascii() || !is_part_of_word(character) {
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

/// The hash of a word that is being read.
#[derive(Default)]
struct Word {
    hash: u64,
    /// ASCII characters that are not in the hash yet: eight go in at once.
    pending: u64,
    length: usize,
}

impl Word {
    /// Takes in letters and digits without their case.
    fn push_ascii(&mut self, run: &[u8]) {
        self.length += run.len();
        for byte in run {
            // Of ASCII letters this makes small ones, and of digits what they are.
            self.pending = self.pending << 8 | u64::from(byte | 0x20);
            if self.pending >> 56 != 0 {
                self.mix(0);
            }
        }
    }

    /// Takes in a character that has no case any more. It may be ASCII: the Kelvin sign becomes a `k`.
    fn push(&mut self, character: char) {
        if let Ok(byte @ 0..0x80) = u8::try_from(character) {
            self.push_ascii(&[byte]);
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
    character.is_alphanumeric() || is_mark(character)
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
