//! One deduplicator behind another.

use async_trait::async_trait;
use futures::future::try_join;

use super::{Deduplicator, Match, Memory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::error::Result;

/// Puts one deduplicator behind another; every [`Deduplicator`] has it.
///
/// ```
/// use topicloom::dedup::{DeduplicatorExt, ExactDuplicates, NearDuplicates};
///
/// // No code twice, and no question twice in other words.
/// let deduplicator = ExactDuplicates::default().fields(["code"]).then(NearDuplicates::default());
/// ```
pub trait DeduplicatorExt: Deduplicator {
    /// Asks `second` for its opinion on what this one finds new; see [`Chain`].
    fn then<D: Deduplicator>(self, second: D) -> Chain<Self, D>
    where
        Self: Sized,
    {
        Chain::new(self, second)
    }
}

impl<D: Deduplicator> DeduplicatorExt for D {}

/// Two deduplicators: a candidate is new if both find it new.
///
/// The second is asked about what the first finds new, and about nothing else. Both fingerprints are made at the
/// same time, and for every candidate, since what the first will say is settled later, in order.
///
/// Looking and remembering are one step, so a candidate that the second refuses stays in the memory of the first. It
/// stands there for the record it repeats: a candidate that repeats it is refused without asking the second, and the
/// verdict names that record. The second remembers what is accepted only, so a chain of repeats ends there.
///
/// A similarity is that of the deduplicator that found the repeat. Cost: 16 bytes for each record the first remembers.
#[derive(Debug, Clone)]
pub struct Chain<A, B> {
    first: A,
    second: B,
}

impl<A: Deduplicator, B: Deduplicator> Chain<A, B> {
    /// Creates a chain of two. Put the cheaper and surer one first.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<A: Deduplicator, B: Deduplicator> Deduplicator for Chain<A, B> {
    type Fingerprint = ChainFingerprint<A::Fingerprint, B::Fingerprint>;
    type Memory = ChainMemory<A::Memory, B::Memory>;

    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<Self::Fingerprint> {
        let first = self.first.fingerprint(candidate);
        let (first, second) = try_join(first, self.second.fingerprint(candidate)).await?;
        Ok(ChainFingerprint(first, second))
    }

    async fn check(&self) -> Result<()> {
        try_join(self.first.check(), self.second.check()).await?;
        Ok(())
    }

    fn memory(&self) -> Self::Memory {
        ChainMemory {
            first: self.first.memory(),
            second: self.second.memory(),
            standing_for: Vec::new(),
        }
    }

    fn describe(&self) -> String {
        let both = [self.first.describe(), self.second.describe()];
        let said: Vec<&str> = both
            .iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        said.join("; then ")
    }
}

/// The fingerprints of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFingerprint<A, B>(A, B);

/// The memories of both.
#[derive(Debug)]
pub struct ChainMemory<A, B> {
    first: A,
    second: B,
    /// For what is in the first, by its number there: itself, or what it repeats in the opinion of the second.
    standing_for: Vec<Reference>,
}

impl<A, B> ChainMemory<A, B> {
    /// Returns what is meant by a number of the first.
    fn stands_for(&self, of: Reference) -> Reference {
        let number = match of {
            Reference::Record(number) => usize::try_from(number).ok(),
            Reference::Given(_) => None,
        };
        let known = number.and_then(|number| self.standing_for.get(number));
        known.cloned().unwrap_or(of)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Memory, B: Memory> Memory for ChainMemory<A, B> {
    type Fingerprint = ChainFingerprint<A::Fingerprint, B::Fingerprint>;

    fn admit(&mut self, fingerprint: Self::Fingerprint, reference: Reference) -> Verdict {
        let ChainFingerprint(first, second) = fingerprint;
        // The first has numbers of its own: what the second refuses has none in the run.
        let number = Reference::Record(self.standing_for.len() as u64);
        if let Verdict::Duplicate(Match {
            of,
            similarity,
            method,
        }) = self.first.admit(first, number)
        {
            return Verdict::duplicate(self.stands_for(of), similarity).by(method);
        }
        let verdict = self.second.admit(second, reference.clone());
        self.standing_for.push(match &verdict {
            Verdict::Unique => reference,
            Verdict::Duplicate(repeat) => repeat.of.clone(),
        });
        verdict
    }

    fn find(&self, fingerprint: &Self::Fingerprint) -> Option<Match> {
        let ChainFingerprint(first, second) = fingerprint;
        match self.first.find(first) {
            Some(found) => Some(Match {
                of: self.stands_for(found.of),
                ..found
            }),
            None => self.second.find(second),
        }
    }

    fn embeddings(&self, most: usize) -> Vec<Vec<f32>> {
        // What is in the second is records alone.
        let second = self.second.embeddings(most);
        if second.is_empty() {
            self.first.embeddings(most)
        } else {
            second
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;

    use super::*;
    use crate::dedup::{AnyDeduplicator, ExactDuplicates, NearDuplicates};

    /// Exact on codes, then near on questions: each refuses what the other would take.
    fn verdicts(records: &[(&str, &str)]) -> Vec<Verdict> {
        let chain = ExactDuplicates::default()
            .fields(["code"])
            .then(NearDuplicates::default().fields(["question"]));
        let chain = AnyDeduplicator::new(chain);
        let mut memory = chain.memory();
        let admit = |(code, question): &(&str, &str)| {
            let data = json!({"code": code, "question": question});
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            let print = chain.fingerprint(&candidate).now_or_never();
            let print = print.expect("it never waits").expect("it does not fail");
            // Which of the two found it is not the question here.
            memory.admit(print).by("either")
        };
        records.iter().map(admit).collect()
    }

    fn repeats(number: u64) -> Verdict {
        Verdict::duplicate(Reference::Record(number), 1.0).by("either")
    }

    #[test]
    fn a_candidate_is_new_if_both_find_it_new() {
        let records = [
            ("a", "What is overfitting?"),
            ("a", "Who composed Carmen?"),
            ("b", "Please tell me what overfitting is."),
            ("c", "Who composed Carmen?"),
        ];
        assert_eq!(
            verdicts(&records),
            [Verdict::Unique, repeats(0), repeats(0), Verdict::Unique]
        );
    }

    #[test]
    fn what_the_second_refused_stands_for_what_it_repeats() {
        let records = [
            ("a", "Who composed Carmen?"),
            ("b", "What is overfitting?"),
            // In the first as its third, though the run has no third record yet.
            ("c", "Please tell me what overfitting is."),
            ("d", "How do tides form?"),
            ("c", "Why is the sky blue?"),
            ("d", "Why is the sky blue?"),
        ];
        let unique = || Verdict::Unique;
        assert_eq!(
            verdicts(&records),
            [
                unique(),
                unique(),
                repeats(1),
                unique(),
                repeats(1),
                repeats(2)
            ]
        );
    }

    #[test]
    fn a_repeat_of_given_material_keeps_its_place_through_both() {
        let chain = ExactDuplicates::default().then(NearDuplicates::default().fields(["question"]));
        let chain = AnyDeduplicator::new(chain);
        let mut memory = chain.memory();
        let print = |question: &str| {
            let data = json!({ "question": question });
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            let print = chain.fingerprint(&candidate).now_or_never();
            print.expect("it never waits").expect("it does not fail")
        };
        let given = Reference::given(&"test set".into(), 9);
        memory.remember(print("What is overfitting?"), given.clone());
        let reworded = "Please tell me what overfitting is.";
        for question in ["What is overfitting?", reworded, reworded] {
            assert_eq!(
                memory.admit(print(question)).by("either"),
                Verdict::duplicate(given.clone(), 1.0).by("either")
            );
        }
        assert_eq!(memory.records(), 0);
    }
}
