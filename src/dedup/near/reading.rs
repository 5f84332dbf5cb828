//! What a text says: the words that carry meaning, their order, and the phrases they stand in.

use super::detail::{Detail, DetailKind};
use super::hashed::mix;

/// What is compared of a record.
///
/// Two records say the same if they have the same words that carry meaning, and either in the same order or in the same
/// sentences of the same phrases, but for one that is moved from the front to the end: "in Python, how do I sort a list" asks what "how do I sort a list in Python" asks, and "from Rome to Milan" is
/// not "from Milan to Rome".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The sentences, each as the phrases in it, and with the sum of its words.
    pub(super) sentences: Vec<Sentence>,
    /// A hash of the words in their order.
    pub(super) order: u64,
    /// A hash of the sentences in their order; 0 where each text is of one.
    pub(super) sequence: u64,
    /// A hash of every word of the texts that ask for nothing: what is stated counts word by word. 0 for none.
    pub(super) stated: u64,
    /// A hash of the capitals that are not a matter of grammar; 0 where the texts have none to tell.
    pub(super) capitals: u64,
    /// A hash of the verbs that ask for something by its name: "explain" and "list". 0 where it is asked for by "what is".
    pub(super) verbs: u64,
    /// The words one by one, where they were asked for.
    pub(super) words: Option<Vec<Detail>>,
}

/// How the words of a record stand, where the words are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    order: u32,
    /// None where the record lacks a sentence that it is compared with.
    sequence: u32,
    phrases: u32,
    stated: u32,
    verbs: u32,
    capitals: u32,
}

impl Said {
    /// Returns whether each text is of one sentence.
    pub(super) fn is_one_sentence(self) -> bool {
        self.sequence == 0
    }

    /// Returns whether the same words say the same in both: in the same order or the same phrases, with the same capitals
    /// where both have them to tell, word by word where both state something, and by verbs of one sort where both have some.
    pub(super) fn is_the_same(self, other: Self) -> bool {
        let same_unless_none = |one: u32, other: u32| one == other || one == 0 || other == 0;
        let same_phrases =
            || self.phrases == other.phrases && same_unless_none(self.sequence, other.sequence);
        (self.order == other.order || same_phrases())
            && same_unless_none(self.stated, other.stated)
            && same_unless_none(self.verbs, other.verbs)
            && same_unless_none(self.capitals, other.capitals)
    }
}

/// Returns a part of a hash, which is 0 for 0 alone.
fn shorten(hash: u64) -> u32 {
    let part = (hash >> 32) as u32;
    if part == 0 {
        u32::from(hash != 0)
    } else {
        part
    }
}

/// A sentence, or a value that is compared as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sentence {
    /// A hash of its phrases, those in front as if they stood behind.
    pub(super) phrases: u64,
    /// The sum of its words.
    pub(super) words: u64,
}

impl Reading {
    /// Returns the sum of the words, whatever their order.
    pub(super) fn words_sum(&self) -> u64 {
        let words = self.sentences.iter().map(|sentence| sentence.words);
        words.fold(0, u64::wrapping_add)
    }

    /// Returns how the words stand, with further phrases.
    pub(super) fn said(&self, more_phrases: u64) -> Said {
        let phrases = self.sentences.iter().map(|sentence| sentence.phrases);
        Said {
            order: shorten(self.order),
            sequence: if more_phrases == 0 {
                shorten(self.sequence)
            } else {
                0
            },
            phrases: shorten(phrases.fold(more_phrases, u64::wrapping_add)),
            stated: shorten(self.stated),
            verbs: shorten(self.verbs),
            capitals: shorten(self.capitals),
        }
    }

    /// Adds a value that is compared as it is.
    pub(super) fn add_exact(&mut self, place: u64, value: u64) {
        let value = mix(place, value);
        self.sentences.push(Sentence {
            phrases: value,
            words: value,
        });
        self.order = self.order.wrapping_add(value);
        self.keep(value, DetailKind::Exact);
    }

    pub(super) fn keep(&mut self, word: u64, kind: DetailKind) {
        if let Some(words) = &mut self.words {
            words.push(Detail::new(word, kind));
        }
    }
}
