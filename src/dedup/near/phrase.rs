//! A phrase: words that stand together, and the word that opens them.

use super::hashed::mix;

/// The phrase that is being read. Kept and cleared, so that a record needs few allocations.
#[derive(Debug, Default)]
pub(super) struct Phrase {
    pub(super) words: Vec<u64>,
    pub(super) label: Option<Label>,
    /// Whether a form of "be" stands in it.
    pub(super) has_be: bool,
    /// Where the thing begins that is named last: "affect | the company".
    pub(super) thing: usize,
    pub(super) ends_with_name: bool,
    /// Whether a word for who asks or is asked stands in it.
    pub(super) has_person: bool,
}

/// The word that opens a phrase, such as a preposition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) word: u64,
    /// Another one in its place tells nothing, where the order of the words is the same.
    pub(super) is_link: bool,
}

/// A phrase that has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    /// A hash of its words in their order.
    pub(super) hash: u64,
    /// The sum of its words.
    pub(super) sum: u64,
    /// Whether it is a mark of the sentence rather than a part of it, so that its place tells nothing.
    pub(super) is_lone: bool,
    /// Whether a word such as a preposition opens it.
    pub(super) is_labelled: bool,
    /// Whether it stands in front of what the sentence says: "in spring, ...".
    pub(super) is_front: bool,
}

impl Phrase {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let mut words = std::mem::take(&mut self.words);
        words.clear();
        *self = Self {
            words,
            ..Self::default()
        };
    }

    /// Takes the thing that is named last for the owner of what follows, as a phrase that `of` would open: "Rome's bridges" are "the
    /// bridges of Rome". Nothing where no word names one.
    pub(super) fn owner(&mut self, of: Label, place: u64, order: &mut u64) -> Option<Closed> {
        let words = self.words.split_off(self.thing.min(self.words.len()));
        let mut owner = Self {
            words,
            label: Some(of),
            ..Self::default()
        };
        owner.close(place, order)
    }

    /// Ends the phrase: returns it, and adds its words to the order of the text. Nothing where it
    /// says nothing, as in "explain to me".
    pub(super) fn close(&mut self, place: u64, order: &mut u64) -> Option<Closed> {
        let is_bare = self.label.is_none() || self.has_person;
        if self.words.is_empty() && is_bare {
            self.clear();
            return None;
        }
        let label = self.label;
        let mut hash = mix(place, label.map_or(0, |label| label.word));
        let mut sum = 0_u64;
        if let Some(label) = self.label.filter(|label| !label.is_link) {
            sum = mix(place, label.word);
            *order = mix(*order, label.word);
        }
        for word in &self.words {
            sum = sum.wrapping_add(mix(place, *word));
            *order = mix(*order, *word);
            hash = mix(hash, *word);
        }
        self.clear();
        Some(Closed {
            hash,
            sum,
            is_lone: false,
            is_labelled: label.is_some(),
            is_front: false,
        })
    }
}
