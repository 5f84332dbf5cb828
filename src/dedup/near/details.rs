//! What tells two records apart that mean almost the same to an embedding.

use super::detail::{Detail, DetailKind};
use super::hashed::mix;
use super::reading::{Reading, Said};

/// What the words of a record tell that no embedding does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dedup) struct Details {
    said: Said,
    words: Vec<Detail>,
}

impl Details {
    pub(super) fn new(mut reading: Reading) -> Self {
        Self {
            said: reading.said(0),
            words: reading.words.take().unwrap_or_default(),
        }
    }

    /// Returns the same number for all records that can be the same at all, by their numbers, signs and negations.
    pub(in crate::dedup) fn place(&self) -> u64 {
        place(&self.words)
    }

    /// Returns the bytes in use beside those of this.
    pub(in crate::dedup) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<Detail>()
    }
}

/// How two records differ, as far as words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dedup) enum Difference {
    /// In numbers, signs, code, negations or names, or in the order of the same words.
    Telling,
    /// One says what the other says and something more.
    Addition,
    /// One part is exchanged, and most around it stays: "ascending" for "descending".
    Exchange,
    /// Nothing that words can tell: they are equal, share too little, or one begins with what the other ends with.
    Wording,
}

impl Difference {
    pub(in crate::dedup) fn between(one: &Details, other: &Details) -> Self {
        if one.words == other.words {
            // What the near stage parts stays apart.
            let is_the_same = one.said.is_the_same(other.said);
            return if is_the_same {
                Self::Wording
            } else {
                Self::Telling
            };
        }
        // Two sentences that change places may tell another story.
        let may_be_turned = one.said.is_one_sentence() && other.said.is_one_sentence();
        Self::between_words(&one.words, &other.words, may_be_turned)
    }

    fn between_words(one: &[Detail], other: &[Detail], may_be_turned: bool) -> Self {
        let lacks = |from: &[Detail], to: &[Detail], only: Option<DetailKind>| {
            let mut from = from
                .iter()
                .filter(|detail| only.is_none_or(|kind| detail.is(kind)));
            from.any(|detail| !to.iter().any(|other| other.word() == detail.word()))
        };
        let name = Some(DetailKind::Name);
        if place(one) != place(other) || lacks(one, other, name) || lacks(other, one, name) {
            return Self::Telling;
        }
        match (lacks(one, other, None), lacks(other, one, None)) {
            (false, false) if may_be_turned && is_turned(one, other) => Self::Wording,
            (false, false) => Self::Telling,
            (true, true) if 2 * common(one, other) >= one.len().max(other.len()) => Self::Exchange,
            (true, true) => Self::Wording,
            _ => Self::Addition,
        }
    }
}

/// Sums up what has to be the same in two records that are compared at all: numbers, signs, code and negations.
fn place(details: &[Detail]) -> u64 {
    let counts = |detail: &&Detail| detail.is(DetailKind::Exact) || detail.is(DetailKind::Negation);
    let hashed = details
        .iter()
        .filter(counts)
        .map(|detail| mix(u64::from(detail.0), 1));
    hashed.fold(0, u64::wrapping_add)
}

/// Returns whether one only begins with what the other ends with: "tomorrow remind me to call", "remind me to call tomorrow".
///
/// What two things do to each other stays in the middle where they change places ("the dog bit the man"). Where it is a word of
/// grammar it is not here to be seen, so two words tell nothing; nor does what a number or a negation may have belonged to.
fn is_turned(one: &[Detail], other: &[Detail]) -> bool {
    let counts = |detail: &Detail| detail.is(DetailKind::Exact) || detail.is(DetailKind::Negation);
    let words = |details: &[Detail]| {
        details
            .iter()
            .map(|detail| detail.word())
            .collect::<Vec<_>>()
    };
    let (mut turned, other) = (words(one), words(other));
    turned.len() > 2
        && turned.len() == other.len()
        && !one.iter().any(counts)
        && (1..turned.len()).any(|_| {
            turned.rotate_left(1);
            turned == other
        })
}

/// Returns the length of the longest sequence of words that both have in this order.
fn common(one: &[Detail], other: &[Detail]) -> usize {
    let mut lengths = vec![0; other.len() + 1];
    for left in one {
        let mut diagonal = 0;
        for (at, right) in other.iter().enumerate() {
            let above = lengths[at + 1];
            lengths[at + 1] = if left.word() == right.word() {
                diagonal + 1
            } else {
                above.max(lengths[at])
            };
            diagonal = above;
        }
    }
    lengths[other.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::Fields;
    use super::super::{Compared, details};
    use super::*;
    use crate::candidate::Candidate;

    fn between(one: &str, other: &str) -> Difference {
        let [one, other] = [one, other].map(|text| {
            let data = json!({ "question": text });
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            details(&Compared::new(Fields::Deciding), &candidate)
        });
        assert_eq!(
            Difference::between(&one, &other),
            Difference::between(&other, &one)
        );
        Difference::between(&one, &other)
    }

    #[test]
    fn words_tell_what_no_embedding_does() {
        use Difference::{Addition, Exchange, Telling, Wording};
        for (one, other, difference) in [
            (
                "Is a car of 900 kg heavy?",
                "Is a car of 950 kg heavy?",
                Telling,
            ),
            (
                "How do I get from Rome to Milan?",
                "How do I get from Milan to Rome?",
                Telling,
            ),
            (
                "How many pounds are in an ounce?",
                "How many ounces are in a pound?",
                Telling,
            ),
            (
                "How much is 500 euros in Swedish kronor?",
                "How much is 500 Swedish kronor in euros?",
                Telling,
            ),
            ("The dog bit the man.", "The man bit the dog.", Telling),
            (
                "The committee approved the budget on Monday.",
                "On Monday the committee approved the budget.",
                Wording,
            ),
            ("Which birds can fly?", "Which birds cannot fly?", Telling),
            ("When did Darwin die?", "When did Newton die?", Telling),
            (
                "How far is it in miles?",
                "How far is it in kilometres?",
                Exchange,
            ),
            (
                "Sort the list in ascending order.",
                "Sort the list in descending order.",
                Exchange,
            ),
            (
                "Can I pay for a season ticket by card?",
                "Can I pay for a season ticket with a gift voucher?",
                Exchange,
            ),
            (
                "How is asthma treated?",
                "How is asthma treated in pregnancy?",
                Addition,
            ),
            (
                "Ann asked the price. Ben smiled.",
                "Ben smiled. Ann asked the price.",
                Telling,
            ),
            ("How is asthma treated?", "How is asthma treated?", Wording),
            (
                "Is it possible to make the payments smaller?",
                "May the rates be lowered?",
                Wording,
            ),
        ] {
            assert_eq!(between(one, other), difference, "{one} | {other}");
        }
    }
}
