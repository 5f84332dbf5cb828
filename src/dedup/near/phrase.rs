//! A phrase: words that stand together, and the word that opens them.

use super::hashed::mix;

/// The phrase that is being read. Kept and cleared, so that a record needs few allocations.
#[derive(Debug, Default)]
pub(super) struct Phrase {
    pub(super) words: Vec<u64>,
    pub(super) label: Option<Label>,
    /// Where a verb would stand if this were said actively: behind an auxiliary.
    pub(super) verb: Option<usize>,
    pub(super) form: Form,
    /// Whether a word for who asks or is asked stands in it.
    pub(super) has_person: bool,
}

/// The word that opens a phrase, such as a preposition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) word: u64,
    /// Another one in its place tells nothing, where the order of the words is the same.
    pub(super) is_link: bool,
    /// It is that of the phrase before: "between cats and dogs".
    pub(super) is_carried: bool,
    /// How many phrases of the sentence it has opened before: "noon in Rome, in Lima" is not "noon in Lima, in Rome".
    pub(super) earlier: u64,
}

/// How far a phrase has gone to say something passively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    #[default]
    Active,
    /// A form of "be" stands in it.
    Be,
    /// And its last word is a participle: "vaccines are tested".
    Passive,
}

impl Phrase {
    /// Adds a word.
    pub(super) fn add(&mut self, word: u64, is_participle: bool) {
        self.words.push(word);
        self.form = match self.form {
            Form::Active => Form::Active,
            _ if is_participle => Form::Passive,
            _ => Form::Be,
        };
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let mut words = std::mem::take(&mut self.words);
        words.clear();
        *self = Self {
            words,
            ..Self::default()
        };
    }

    /// Ends the phrase: returns its hash and the sum of its words, and adds them to the order of the text. Nothing where it
    /// says nothing, as in "explain to me".
    pub(super) fn close(&mut self, place: u64, order: &mut u64) -> Option<(u64, u64)> {
        if self.form == Form::Passive
            && let Some(verb) = self.verb
            && let Some(participle) = self.words.pop()
        {
            // "How are vaccines tested" is "how do you test vaccines".
            self.words.insert(verb.min(self.words.len()), participle);
        }
        let is_bare = self.label.is_none_or(|label| label.is_carried) || self.has_person;
        if self.words.is_empty() && is_bare {
            self.clear();
            return None;
        }
        let label = self.label.map_or(0, |label| mix(label.earlier, label.word));
        let mut phrase = mix(place, label);
        let mut sum = 0_u64;
        if let Some(label) = self.label.filter(|label| !label.is_link) {
            sum = mix(place, label.word);
            if !label.is_carried {
                *order = mix(*order, label.word);
            }
        }
        for word in &self.words {
            sum = sum.wrapping_add(mix(place, *word));
            *order = mix(*order, *word);
            phrase = mix(phrase, *word);
        }
        self.clear();
        Some((phrase, sum))
    }
}
