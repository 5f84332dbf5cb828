//! Takes plurals and tenses off English words.

/// The longest word that is stemmed; longer ones are left as they are.
const LONGEST: usize = 24;

/// British endings, the American ones, and the shortest words that they are taken for endings of.
const SPELLINGS: &[(&str, &str, usize)] = &[
    ("isation", "ization", 8),
    ("isations", "izations", 9),
    ("ise", "ize", 6),
    ("ises", "izes", 7),
    ("ised", "ized", 7),
    ("ising", "izing", 8),
    ("iser", "izer", 8),
    ("isers", "izers", 9),
    ("yse", "yze", 6),
    ("ysed", "yzed", 7),
    ("ysing", "yzing", 8),
    ("tre", "ter", 5),
    ("tres", "ters", 6),
    ("our", "or", 6),
    ("ours", "ors", 7),
    ("oured", "ored", 8),
    ("ourful", "orful", 9),
    ("ourite", "orite", 9),
    ("ourites", "orites", 10),
    ("elled", "eled", 8),
    ("elling", "eling", 9),
    ("eller", "eler", 8),
    ("ellers", "elers", 9),
];

/// A stem: a beginning of the word, and what is put in place of its ending.
pub(super) struct Stem {
    buffer: [u8; LONGEST],
    length: usize,
}

impl Stem {
    /// Returns the stem of a lower-case word, or nothing where the word is its own stem.
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let mut stem = Self::whole(word)?;
        stem.plural();
        stem.tense();
        (stem.bytes() != word).then_some(stem)
    }

    /// Returns a lower-case word in American spelling, or nothing where it is the same in British.
    pub(super) fn american(word: &[u8]) -> Option<Self> {
        let mut american = Self::whole(word)?;
        american.spelling();
        (american.bytes() != word).then_some(american)
    }

    fn whole(bytes: &[u8]) -> Option<Self> {
        if !(4..LONGEST).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_lowercase) {
            return None;
        }
        let mut whole = Self {
            buffer: [0; LONGEST],
            length: bytes.len(),
        };
        whole.buffer[..bytes.len()].copy_from_slice(bytes);
        Some(whole)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    fn ends(&self, ending: &str) -> bool {
        self.bytes().ends_with(ending.as_bytes())
    }

    fn replace(&mut self, letters: usize, ending: &str) {
        let at = self.length - letters;
        self.buffer[at..at + ending.len()].copy_from_slice(ending.as_bytes());
        self.length = at + ending.len();
    }

    fn plural(&mut self) {
        if self.ends("ies") && self.length > 4 {
            self.replace(3, "y");
        } else if ["sses", "xes", "ches", "shes", "zzes", "oes"]
            .iter()
            .any(|end| self.ends(end))
        {
            self.replace(2, "");
        } else if self.ends("s")
            && !["ss", "us", "is", "as", "os"]
                .iter()
                .any(|end| self.ends(end))
        {
            self.replace(1, "");
        }
    }

    fn tense(&mut self) {
        let ending = if self.ends("ied") && self.length > 4 {
            return self.replace(3, "y");
        } else if self.ends("ing") {
            3
        } else if self.ends("ed") && !self.ends("eed") {
            2
        } else {
            return;
        };
        let rest = &self.bytes()[..self.length - ending];
        let is_vowel = |byte: &u8| b"aeiouy".contains(byte);
        let vowels = rest.iter().filter(|byte| is_vowel(byte)).count();
        let (single, doubled, silent) = match rest {
            [.., before, last] if before == last => (false, !b"lsz".contains(last), false),
            [.., before, vowel, last] => {
                // A short vowel in front of one consonant: were there no silent e, the consonant would be doubled.
                let closed = !is_vowel(before)
                    && is_vowel(vowel)
                    && !is_vowel(last)
                    && !b"wxy".contains(last);
                let silent = b"vuc".contains(last)
                    || b"sz".contains(last) && is_vowel(vowel)
                    || [before, vowel, last] == [&b'a', &b'n', &b'g']
                    || vowels > 1 && !is_vowel(before) && [vowel, last] == [&b'a', &b't'];
                (closed && vowels == 1, false, silent)
            }
            [_, _] => (true, false, false),
            _ => return,
        };
        if vowels == 0 {
            return;
        }
        self.replace(ending, "");
        if doubled {
            self.replace(1, "");
        } else if single || silent {
            self.replace(0, "e");
        }
    }

    /// Brings British spelling to American.
    fn spelling(&mut self) {
        for (british, american, shortest) in SPELLINGS {
            if self.ends(british) && self.length >= *shortest {
                return self.replace(british.len(), american);
            }
        }
    }
}
