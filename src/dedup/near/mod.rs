//! Finds records that say the same in other words.

mod asked;
mod cores;
mod fingerprint;
mod frames;
mod lexer;
mod lexicon;
mod memory;
mod order;
mod reading;
mod sketch;
mod stem;
mod table;
mod terms;

use std::borrow::Cow;

use async_trait::async_trait;
use serde_json::Value;

use super::compared::{Compared, compared_settings, flatten};
use super::{Deduplicator, Fields};
use crate::candidate::Candidate;
use crate::error::Result;

pub use fingerprint::NearFingerprint;
pub use memory::NearMemory;

/// Refuses records that say what another record says, in other words.
///
/// Short texts, up to 60 words, are compared by *what differs*. Differences in form (case, Unicode, markup), in
/// grammar (function words, inflection, word order), in courtesy, in common synonyms and in how a question is
/// framed make no new record, and neither does a clause added or dropped. A difference in any other word does: a
/// number, a unit, an operator, a name, an opposite, a negation, a direction. Longer texts are compared by the
/// share of neighbouring words they have in common.
///
/// By default the question decides where a record has one, else all text fields; see [`Fields::Deciding`]. The
/// rules for words are for English; other languages and scripts are compared after normalisation, word by word.
///
/// The guide *Deduplication* explains the method and gives measured quality, speed and size.
///
/// ```
/// use serde_json::json;
/// use topicloom::Candidate;
/// use topicloom::dedup::{AnyDeduplicator, NearDuplicates};
///
/// # async fn run() -> topicloom::Result<()> {
/// let deduplicator = AnyDeduplicator::new(NearDuplicates::default());
/// let mut memory = deduplicator.memory();
/// for (question, is_new) in [
///     ("What is the difference between TCP and UDP?", true),
///     ("Could you explain how UDP differs from TCP?", false),
///     ("What is the difference between TCP and HTTP?", true),
/// ] {
///     let data = json!({ "question": question, "answer": "…" });
///     let candidate = Candidate::new("networks", data.as_object().expect("it is an object"));
///     let verdict = memory.admit(deduplicator.fingerprint(&candidate).await?);
///     assert_eq!(verdict.is_unique(), is_new, "{question}");
/// }
/// # Ok(())
/// # }
/// # futures::FutureExt::now_or_never(run()).expect("it never waits").expect("it does not fail");
/// ```
#[derive(Debug, Clone)]
pub struct NearDuplicates {
    compared: Compared,
    clauses: bool,
    long_similarity: f32,
}

impl Default for NearDuplicates {
    fn default() -> Self {
        Self {
            compared: Compared::new(Fields::Deciding),
            clauses: true,
            long_similarity: 0.6,
        }
    }
}

impl NearDuplicates {
    compared_settings!("[`Fields::Deciding`](crate::dedup::Fields::Deciding)");

    /// Sets whether a clause more makes a new record: "what is bias" and "what is bias, given a small sample".
    ///
    /// Default: no, they are the same record. A clause with a number, a name or a negation always counts.
    #[must_use]
    pub fn clauses_count(mut self, count: bool) -> Self {
        self.clauses = !count;
        self
    }

    /// Sets from which similarity on two long texts are the same, from 0 to 1. Default: 0.6.
    ///
    /// Each word that is replaced takes away two pairs of neighbours, so 0.6 allows for about one word in eight.
    #[must_use]
    pub fn long_similarity(mut self, similarity: f32) -> Self {
        self.long_similarity = similarity.clamp(0.0, 1.0);
        self
    }

    fn read(&self, candidate: &Candidate<'_>) -> NearFingerprint {
        let texts = self.compared.values(candidate).map(|value| match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => {
                let mut text = String::new();
                flatten(other, &mut text);
                Cow::Owned(text)
            }
        });
        let scope = self.compared.scope_of(candidate);
        NearFingerprint::of(texts, scope, self.clauses)
    }
}

#[async_trait]
impl Deduplicator for NearDuplicates {
    type Fingerprint = NearFingerprint;
    type Memory = NearMemory;

    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<NearFingerprint> {
        Ok(self.read(candidate))
    }

    fn memory(&self) -> NearMemory {
        NearMemory::new(self.long_similarity)
    }

    fn format(&self) -> String {
        format!("near-3 {} {}", self.compared.format(), self.clauses)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dedup::{Memory, Reference, Scope, Verdict};

    fn print(deduplicator: &NearDuplicates, data: &Value) -> NearFingerprint {
        deduplicator.read(&Candidate::new("t", data.as_object().expect("an object")))
    }

    fn verdict(deduplicator: &NearDuplicates, first: &Value, second: &Value) -> Verdict {
        let mut memory = deduplicator.memory();
        memory.admit(print(deduplicator, first), Reference::Record(0));
        memory.admit(print(deduplicator, second), Reference::Record(1))
    }

    #[test]
    fn every_pair_in_the_case_files_gets_its_verdict() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/dedup");
        let deduplicator = NearDuplicates::default();
        let mut wrong = Vec::new();
        for file in std::fs::read_dir(folder).expect("the folder of cases") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (expected, pair) = line.split_once(' ').expect("a verdict in front");
                let (a, b) = pair.split_once("||").expect("two texts");
                for (first, second) in [(a, b), (b, a)] {
                    let (first, second) = (json!({"question": first}), json!({"question": second}));
                    let unique = verdict(&deduplicator, &first, &second).is_unique();
                    if unique != (expected == "new") {
                        wrong.push(format!("{expected}: {first} {second}"));
                    }
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }

    fn words(range: std::ops::Range<u32>) -> String {
        let words: Vec<String> = range
            .map(|n| format!("word{}", char::from_u32(n + 0x4e00).unwrap_or('x')))
            .collect();
        words.join(" ")
    }

    #[test]
    fn a_long_text_is_compared_by_what_it_shares() {
        let deduplicator = NearDuplicates::default();
        // Eighty words of Latin letters; each stands for itself.
        let text = |changed: usize| {
            let words = (0..80_usize).map(|at| {
                let word = if at % 4 == 0 && at / 4 < changed {
                    at + 500
                } else {
                    at
                };
                let letters = [word / 26 / 26 % 26, word / 26 % 26, word % 26]
                    .map(|n| char::from(b'a' + n as u8));
                letters.iter().collect::<String>() + "o"
            });
            json!({ "body": words.collect::<Vec<_>>().join(" ") })
        };
        assert!(!verdict(&deduplicator, &text(0), &text(4)).is_unique());
        assert!(verdict(&deduplicator, &text(0), &text(16)).is_unique());
        let stricter = NearDuplicates::default().long_similarity(0.95);
        assert!(verdict(&stricter, &text(0), &text(4)).is_unique());
    }

    #[test]
    fn a_word_problem_with_other_numbers_is_another_one() {
        let deduplicator = NearDuplicates::default();
        let story = |apples: u32| {
            let filler =
                "Anna walks through the village and talks with her neighbours about the weather. "
                    .repeat(6);
            json!({ "question": format!("{filler}She buys {apples} apples. How many apples does she have?") })
        };
        assert!(!verdict(&deduplicator, &story(5), &story(5)).is_unique());
        assert!(verdict(&deduplicator, &story(5), &story(6)).is_unique());
    }

    #[test]
    fn short_fields_must_agree_beside_long_ones() {
        let deduplicator = NearDuplicates::default();
        let passage = words(0..90);
        let record = |question: &str| json!({"question": question, "context": passage});
        let first = record("Who wrote the letter?");
        assert!(
            !verdict(
                &deduplicator,
                &first,
                &record("Please tell me who wrote the letter.")
            )
            .is_unique()
        );
        assert!(verdict(&deduplicator, &first, &record("Who received the letter?")).is_unique());
    }

    #[test]
    fn the_question_decides_unless_the_caller_says_otherwise() {
        let first = json!({"question": "What is rust?", "answer": "A language.", "level": 1});
        let second = json!({"question": "What is rust?", "answer": "Oxidised iron.", "level": 2});
        assert!(!verdict(&NearDuplicates::default(), &first, &second).is_unique());
        assert!(
            verdict(
                &NearDuplicates::default().fields(["question", "answer"]),
                &first,
                &second
            )
            .is_unique()
        );
        assert!(
            verdict(
                &NearDuplicates::default().fields(["level"]),
                &first,
                &second
            )
            .is_unique()
        );
    }

    #[test]
    fn the_same_words_in_other_fields_are_another_record() {
        let first = json!({"premise": "Cats chase mice.", "hypothesis": "Mice run."});
        let second = json!({"premise": "Mice run.", "hypothesis": "Cats chase mice."});
        assert!(verdict(&NearDuplicates::default(), &first, &second).is_unique());
    }

    #[test]
    fn a_topic_is_its_own_world_where_the_scope_says_so() {
        let deduplicator = NearDuplicates::default().scope(Scope::Topic);
        let data = json!({"question": "What is a shell?"});
        let data = data.as_object().expect("an object");
        let mut memory = deduplicator.memory();
        for (topic, is_new) in [("zoology", true), ("computing", true), ("zoology", false)] {
            let print = deduplicator.read(&Candidate::new(topic, data));
            assert_eq!(
                memory.admit(print, Reference::Record(0)).is_unique(),
                is_new
            );
        }
    }

    #[test]
    fn long_runs_of_one_sign_end_and_are_found_again() {
        // Where each sign looks back over all before it, this takes minutes.
        for sign in [
            "\"", "|", "&", "/", "* ", "+ ", "< ", "? ", ", ", "(", "x|", "\"a\" ", "$",
        ] {
            let data = json!({"question": sign.repeat(20_000)});
            let verdict = verdict(&NearDuplicates::default(), &data, &data);
            assert!(!verdict.is_unique(), "{sign}");
        }
    }

    #[test]
    fn an_added_clause_counts_where_the_caller_says_so() {
        let first = json!({"question": "How do tides form?"});
        let second = json!({"question": "How do tides form, assuming a calm ocean?"});
        assert!(!verdict(&NearDuplicates::default(), &first, &second).is_unique());
        assert!(
            verdict(
                &NearDuplicates::default().clauses_count(true),
                &first,
                &second
            )
            .is_unique()
        );
    }

    #[test]
    fn many_questions_that_differ_in_a_pictograph_hide_none() {
        let deduplicator = NearDuplicates::default();
        let mut memory = deduplicator.memory();
        let question = |at: u32| {
            let emoji = char::from_u32(0x1f600 + at).expect("an emoji");
            json!({ "question": format!("What does {emoji} mean in a message?") })
        };
        for is_new in [true, false] {
            for at in 0..40 {
                let verdict =
                    memory.admit(print(&deduplicator, &question(at)), Reference::Record(0));
                assert_eq!(verdict.is_unique(), is_new, "{at}");
            }
        }
    }

    #[test]
    fn a_key_that_many_share_does_not_hide_a_repeat() {
        let deduplicator = NearDuplicates::default();
        let mut memory = deduplicator.memory();
        let mut admit = |question: String| {
            memory.admit(
                print(&deduplicator, &json!({"question": question})),
                Reference::Record(0),
            )
        };
        for number in 0..100 {
            let name = format!(
                "{}{}",
                char::from(b'a' + number / 26),
                char::from(b'a' + number % 26)
            );
            assert!(
                admit(format!(
                    "What is the best laptop for the {name}ic sciences?"
                ))
                .is_unique(),
                "{name}"
            );
        }
        assert!(!admit("What's the best laptop for the azic sciences".to_owned()).is_unique());
    }

    proptest::proptest! {
        #[test]
        fn any_text_equals_itself_and_survives_storage(text in "\\PC{0,300}", more in "\\PC{0,40}") {
            let deduplicator = NearDuplicates::default();
            for data in [json!({"question": text}), json!({"a": text, "b": more})] {
                let first = print(&deduplicator, &data);
                let stored = serde_json::to_string(&first).expect("it is text");
                let read: NearFingerprint = serde_json::from_str(&stored).expect("its own");
                proptest::prop_assert_eq!(&read, &first);
                let mut memory = deduplicator.memory();
                proptest::prop_assert!(memory.admit(first, Reference::Record(0)).is_unique());
                proptest::prop_assert!(!memory.admit(read, Reference::Record(1)).is_unique());
            }
        }

        #[test]
        fn what_is_no_fingerprint_is_refused(text in "[0-9a-f]{0,80}") {
            // Whatever is read must not make the memory fail.
            if let Ok(read) = serde_json::from_value::<NearFingerprint>(json!(text)) {
                NearDuplicates::default().memory().admit(read, Reference::Record(0));
            }
        }
    }
}
