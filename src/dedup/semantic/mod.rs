//! Finds records that mean the same, by their embeddings.

mod fingerprint;
mod flat_index;
mod index;
mod memory;

use async_trait::async_trait;

use super::compared::{Compared, compared_settings, flatten};
use super::near::details;
use super::{Deduplicator, Fields};
use crate::candidate::Candidate;
use crate::embedding::{Embedder, PLAIN_TEXT, embed_each};
use crate::error::{Error, ErrorKind, Result};

pub use fingerprint::SemanticFingerprint;
pub use memory::SemanticMemory;

/// Refuses records whose embeddings point the same way.
///
/// A second opinion behind [`NearDuplicates`](super::NearDuplicates): it finds the rewording that shares no form with what
/// it rewords. Embeddings hardly see what makes short texts differ (a negation, an opposite, a number, who does what to
/// whom), so two records are merged only where their words allow it: numbers, signs, negations and names are the same,
/// neither only adds something to the other, and they differ in more than one part that is exchanged, or are turned as a whole.
///
/// By default the question decides where a record has one, else all text fields; see [`Fields::Deciding`]. The search
/// is exact up to 100 000 records, and misses a repeat now and then beyond; see
/// [`approximate_beyond`](Self::approximate_beyond). The guide *Deduplication* has measured speed and size.
///
/// An embedder that fails costs the attempt, so put [`Retrying`](crate::llm::layers::Retrying) around a remote one
/// and [`Batched`](crate::embedding::Batched) around both.
///
/// ```
/// use topicloom::dedup::{DeduplicatorExt, NearDuplicates, SemanticDuplicates};
/// # use topicloom::embedding::Embedder;
/// # fn example(embedder: impl Embedder) {
/// let deduplicator = NearDuplicates::default()
///     .then(SemanticDuplicates::new(embedder).threshold(0.95));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SemanticDuplicates<E> {
    embedder: E,
    compared: Compared,
    threshold: f32,
    approximate_beyond: usize,
}

impl<E: Embedder> SemanticDuplicates<E> {
    /// Creates a deduplicator that asks this embedder.
    pub fn new(embedder: E) -> Self {
        Self {
            embedder,
            compared: Compared::new(Fields::Deciding),
            threshold: 0.9,
            approximate_beyond: 100_000,
        }
    }

    compared_settings!("[`Fields::Deciding`](crate::dedup::Fields::Deciding)");

    /// Sets the cosine from which on two records are the same, from 0 to 1. Default: 0.9.
    ///
    /// No number is right for every model: look at some pairs that yours puts around it. The guide *Deduplication* has what
    /// `MiniLM` gives at several. A lower threshold is also slower to search.
    #[must_use]
    pub fn threshold(mut self, cosine: f32) -> Self {
        self.threshold = cosine.clamp(0.0, 1.0);
        self
    }

    /// Sets beyond how many embeddings the search may be approximate. Default: 100 000; `usize::MAX` for never.
    ///
    /// It then looks only where a repeat most probably is. What it finds is compared exactly, so nothing is refused
    /// that the exact search would let pass; the other way round it misses some repeats that are not very near, by
    /// the guide *Deduplication* one in some hundreds. The same records in the same order get the same verdicts.
    ///
    /// Counted are embeddings that are compared with one another: those of the same scope, with the same numbers,
    /// operators and negations in their records.
    ///
    /// ```
    /// use topicloom::dedup::SemanticDuplicates;
    /// # use topicloom::embedding::Embedder;
    /// # fn example(embedder: impl Embedder) {
    /// let exact = SemanticDuplicates::new(embedder).approximate_beyond(usize::MAX);
    /// # }
    /// ```
    #[must_use]
    pub fn approximate_beyond(mut self, embeddings: usize) -> Self {
        self.approximate_beyond = embeddings;
        self
    }

    fn text(&self, candidate: &Candidate<'_>) -> String {
        let mut text = String::new();
        for (_, value) in self.compared.values(candidate) {
            flatten(value, &mut text);
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[async_trait]
impl<E: Embedder> Deduplicator for SemanticDuplicates<E> {
    type Fingerprint = SemanticFingerprint;
    type Memory = SemanticMemory;

    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<SemanticFingerprint> {
        let text = self.text(candidate);
        // Providers refuse empty texts.
        let vector = if text.is_empty() {
            Vec::new()
        } else {
            let vectors = embed_each(&self.embedder, &[&text]).await?;
            vectors.into_iter().next().unwrap_or_default()
        };
        let details = details(&self.compared, candidate);
        // Turned, so that a topic does not cancel its own number.
        let place = self.compared.scope_of(candidate).rotate_left(1) ^ details.place();
        let print = SemanticFingerprint::of(place, &vector).ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                "an embedding has numbers that are not finite, or too many of them",
            )
            .with_context("model", self.embedder.name())
            .with_context("dimensions", vector.len().to_string())
        })?;
        Ok(SemanticFingerprint {
            details: Some(Box::new(details)),
            ..print
        })
    }

    async fn check(&self) -> Result<()> {
        embed_each(&self.embedder, &[PLAIN_TEXT]).await.map(drop)
    }

    fn memory(&self) -> SemanticMemory {
        SemanticMemory::new(self.threshold, self.approximate_beyond)
    }

    fn describe(&self) -> String {
        self.compared.describe(&format!(
            "semantic ({}, {})",
            self.embedder.name(),
            self.threshold
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt;
    use futures::future::join_all;
    use serde_json::{Value, json};
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::dedup::{
        AnyDeduplicator, DeduplicatorExt, NearDuplicates, Reference, Scope, Verdict,
    };
    use crate::embedding::{Batched, FromFn, from_fn};

    /// Words of one meaning share a dimension, as a list that is the model here has it; others are hashed.
    const MEANINGS: [&[&str]; 5] = [
        &["automobile", "car", "vehicle"],
        &["purchase", "buy", "acquired"],
        &["cost", "price", "expensive"],
        &["low", "little", "small"],
        &[
            "where", "which", "is", "an", "of", "to", "can", "i", "be", "at", "a", "that",
            "applies",
        ],
    ];

    fn toy() -> impl Embedder {
        let closure = |text: &str| -> Result<Vec<f32>> {
            let mut vector = vec![0.0; 256];
            for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
                let known = MEANINGS.iter().position(|words| words.contains(&word));
                let hashed = 5 + usize::from(u8::try_from(xxh3_64(word.as_bytes()) % 251).unwrap());
                let weighs =
                    known.is_some_and(|meaning| meaning < 4) || known.is_none() && word.len() > 3;
                vector[known.unwrap_or(hashed)] += if weighs { 1.0 } else { 0.1 };
            }
            Ok(vector)
        };
        let embedder: FromFn<_> = from_fn("toy", closure);
        embedder
    }

    fn verdicts(deduplicator: impl Into<AnyDeduplicator>, questions: &[&str]) -> Vec<Verdict> {
        let deduplicator = deduplicator.into();
        let mut memory = deduplicator.memory();
        let admit = |question: &&str| {
            let data = json!({"question": question, "answer": "…", "level": 3});
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            let print = deduplicator.fingerprint(&candidate).now_or_never();
            memory.admit(print.expect("it never waits").expect("it does not fail"))
        };
        questions.iter().map(admit).collect()
    }

    fn are_new(deduplicator: impl Into<AnyDeduplicator>, questions: &[&str]) -> Vec<bool> {
        let verdicts = verdicts(deduplicator, questions);
        verdicts.iter().map(Verdict::is_unique).collect()
    }

    /// The second and the fourth mean what the first does; the third has another word in the place of one.
    const QUESTIONS: [&str; 4] = [
        "Where is an automobile of low price to buy?",
        "Which car of little cost can I purchase?",
        "Which boat of little cost can I purchase?",
        "Which vehicle can be acquired at a cost that is small?",
    ];

    #[test]
    fn what_means_the_same_is_refused_and_the_nearest_is_named() {
        let found = verdicts(SemanticDuplicates::new(toy()), &QUESTIONS);
        let names: Vec<Option<&Reference>> = found
            .iter()
            .map(|verdict| match verdict {
                Verdict::Unique => None,
                Verdict::Duplicate(repeat) => {
                    assert!(repeat.similarity > 0.93 && repeat.similarity <= 1.0);
                    Some(&repeat.of)
                }
            })
            .collect();
        let first = Some(&Reference::Record(0));
        assert_eq!(names, [None, first, None, first]);
        let strict = SemanticDuplicates::new(toy()).threshold(1.0);
        assert_eq!(
            are_new(strict, &[QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]]),
            [true, true, false]
        );
    }

    #[test]
    fn as_a_second_opinion_it_finds_what_the_near_stage_misses() {
        let near = NearDuplicates::default;
        let questions = [
            QUESTIONS[0],
            "Please tell me where an automobile of low price is to buy.",
            QUESTIONS[1],
        ];
        let both = near().then(SemanticDuplicates::new(toy()));
        assert_eq!(are_new(both, &questions), [true, false, false]);
    }

    #[test]
    fn other_numbers_make_another_record() {
        let questions = ["Is a car of 900 kg heavy?", "Is a car of 950 kg heavy?"];
        assert_eq!(
            are_new(SemanticDuplicates::new(toy()), &questions),
            [true, true]
        );
    }

    #[test]
    fn a_topic_is_its_own_world_where_the_scope_says_so() {
        let deduplicator = AnyDeduplicator::new(SemanticDuplicates::new(toy()).scope(Scope::Topic));
        let data = json!({"question": "What is a shell?"});
        let data = data.as_object().expect("an object");
        let mut memory = deduplicator.memory();
        for (topic, is_new) in [("zoology", true), ("computing", true), ("zoology", false)] {
            let print = deduplicator
                .fingerprint(&Candidate::new(topic, data))
                .now_or_never();
            let print = print.expect("it never waits").expect("it does not fail");
            assert_eq!(memory.admit(print).is_unique(), is_new);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fingerprints_made_at_once_share_a_call_also_behind_another_stage() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let counted = Counted(Arc::clone(&calls));
        let semantic = SemanticDuplicates::new(Batched::new(counted));
        let deduplicator = AnyDeduplicator::new(NearDuplicates::default().then(semantic));
        let records: Vec<Value> = (0..10)
            .map(|number| json!({"question": format!("What is {number}?")}))
            .collect();
        let prints = records.iter().map(|data| async {
            let candidate = Candidate::new("t", data.as_object().expect("an object"));
            deduplicator.fingerprint(&candidate).await
        });
        for print in join_all(prints).await {
            print.expect("it does not fail");
        }
        assert_eq!(*calls.lock().unwrap(), [10]);
    }

    /// Remembers how many texts each call had.
    #[derive(Debug)]
    struct Counted(Arc<Mutex<Vec<usize>>>);

    #[async_trait]
    impl Embedder for Counted {
        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            self.0.lock().unwrap().push(texts.len());
            Ok(texts.iter().map(|_| vec![1.0]).collect())
        }

        fn name(&self) -> &'static str {
            "counted"
        }
    }

    #[test]
    fn nothing_is_sent_for_a_record_without_text() {
        let never = from_fn("never", |text: &str| panic!("asked for {}", text.len()));
        let deduplicator = AnyDeduplicator::new(SemanticDuplicates::new(never));
        let data = json!({"question": " ", "note": null});
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        let print = deduplicator.fingerprint(&candidate).now_or_never();
        print.expect("it never waits").expect("nothing is asked");
    }

    #[test]
    fn what_is_no_vector_is_an_error_that_names_the_model() {
        let broken = from_fn("broken", |_: &str| Ok(vec![1.0, f32::NAN]));
        let deduplicator = SemanticDuplicates::new(broken);
        let data = json!({"question": "secret?"});
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        let error = deduplicator.fingerprint(&candidate).now_or_never();
        let error = error.expect("it never waits").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("broken") && !format!("{error:?}").contains("secret"));
    }
}
