//! What every deduplicator promises.

use futures::future::join_all;
use serde_json::{Map, Value, json};

use crate::candidate::Candidate;
use crate::dedup::{AnyDeduplicator, AnyFingerprint, AnyMemory, Reference, Verdict};

/// Checks the promises of a [`Deduplicator`](crate::dedup::Deduplicator) on question-and-answer records.
///
/// - Of equal candidates, one is unique and the others repeat it, also when all are fingerprinted at once.
/// - Candidates that share nothing are all unique.
/// - A fingerprint that was stored and read again is as good as the first one.
/// - The order in which fingerprints are made changes nothing; the order of admission alone decides.
/// - Every memory starts empty, and the same admissions get the same verdicts.
/// - A repeat of given material names its source and line.
///
/// For a deduplicator that needs other fields use [`dedup_with`].
///
/// # Panics
///
/// Panics with the promise that was broken, or where a fingerprint cannot be made.
///
/// ```
/// use topicloom::dedup::NearDuplicates;
/// use topicloom::testing::conformance;
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// conformance::dedup(NearDuplicates::default()).await;
/// # });
/// ```
pub async fn dedup(deduplicator: impl Into<AnyDeduplicator>) {
    let strangers = [
        (
            "What is the boiling point of ethanol?",
            "About 78 degrees Celsius.",
        ),
        ("Who composed the opera Carmen?", "Georges Bizet."),
        ("为什么天空是蓝色的？", "因为瑞利散射。"),
        (
            "How do bees find their way home?",
            "By the sun and by landmarks.",
        ),
        ("Почему кошки мурлычут?", "Так они общаются."),
    ];
    let records =
        strangers.map(
            |(question, answer)| match json!({"question": question, "answer": answer}) {
                Value::Object(record) => record,
                _ => unreachable!("an object was written"),
            },
        );
    dedup_with(deduplicator, &records).await;
}

/// Checks the promises of a deduplicator on records of the caller's, none of which may repeat another.
///
/// # Panics
///
/// Panics as [`dedup`] does, and where fewer than two records are given.
pub async fn dedup_with(
    deduplicator: impl Into<AnyDeduplicator>,
    strangers: &[Map<String, Value>],
) {
    let deduplicator = deduplicator.into();
    assert!(
        strangers.len() > 1,
        "two records or more are needed to tell strangers apart"
    );

    let mut memory = deduplicator.memory();
    for (at, verdict) in (0..).zip(admit_all(
        &mut memory,
        prints(&deduplicator, strangers).await,
    )) {
        assert!(
            verdict.is_unique(),
            "strangers must all be unique, but number {at} was refused"
        );
    }

    let equals = vec![strangers[0].clone(); 16];
    let verdicts = admit_all(
        &mut deduplicator.memory(),
        prints(&deduplicator, &equals).await,
    );
    let unique = verdicts
        .iter()
        .filter(|verdict| verdict.is_unique())
        .count();
    assert_eq!(unique, 1, "exactly one of equal candidates must be unique");
    for verdict in &verdicts[1..] {
        let Verdict::Duplicate(repeat) = verdict else {
            panic!("the first of equal candidates must be the unique one");
        };
        assert_eq!(
            repeat.of,
            Reference::Record(0),
            "a repeat must name the record it repeats"
        );
        assert!(
            (0.0..=1.0).contains(&repeat.similarity),
            "a similarity must lie between 0 and 1"
        );
    }

    // Every record twice: its repeat comes after all the others.
    let stream: Vec<Map<String, Value>> = strangers.iter().chain(strangers).cloned().collect();
    let expected = admit_all(
        &mut deduplicator.memory(),
        prints(&deduplicator, &stream).await,
    );
    let again = admit_all(
        &mut deduplicator.memory(),
        prints(&deduplicator, &stream).await,
    );
    assert_eq!(
        again, expected,
        "every memory must start empty and judge the same way"
    );

    let reversed: Vec<Map<String, Value>> = stream.iter().rev().cloned().collect();
    let mut late = prints(&deduplicator, &reversed).await;
    late.reverse();
    let late = admit_all(&mut deduplicator.memory(), late);
    assert_eq!(
        late, expected,
        "the order in which fingerprints are made must not matter"
    );

    let stored: Vec<Value> = prints(&deduplicator, &stream)
        .await
        .iter()
        .map(|print| {
            print
                .to_value()
                .unwrap_or_else(|e| panic!("a fingerprint must be storable: {e}"))
        })
        .collect();
    let read = stored.iter().map(|value| {
        let text = value.to_string();
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("a stored fingerprint must be JSON: {e}"));
        deduplicator
            .read_fingerprint(&value)
            .unwrap_or_else(|e| panic!("a stored fingerprint must be readable: {e}"))
    });
    let read = admit_all(&mut deduplicator.memory(), read.collect());
    assert_eq!(
        read, expected,
        "a stored fingerprint must be as good as the first one"
    );

    let mut memory = deduplicator.memory();
    let given = Reference::given(&"given".into(), 7);
    let mut twice = prints(&deduplicator, &equals[..2]).await;
    if let (Some(second), Some(first)) = (twice.pop(), twice.pop()) {
        memory.remember(first, given.clone());
        let Verdict::Duplicate(repeat) = memory.admit(second) else {
            panic!("a repeat of given material must be refused");
        };
        assert_eq!(
            repeat.of, given,
            "a repeat of given material must name its place"
        );
    }
}

async fn prints(
    deduplicator: &AnyDeduplicator,
    records: &[Map<String, Value>],
) -> Vec<AnyFingerprint> {
    let prints = records.iter().map(|record| async move {
        let print = deduplicator
            .fingerprint(&Candidate::new("topic", record))
            .await;
        print.unwrap_or_else(|e| panic!("a fingerprint must be made: {e}"))
    });
    join_all(prints).await
}

fn admit_all(memory: &mut AnyMemory, prints: Vec<AnyFingerprint>) -> Vec<Verdict> {
    prints
        .into_iter()
        .map(|print| memory.admit(print))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::dedup::{Deduplicator, DeduplicatorExt, ExactDuplicates, Memory, NearDuplicates};
    use crate::error::Result;

    #[tokio::test]
    async fn ours_keep_the_promises() {
        dedup(ExactDuplicates::default()).await;
        dedup(NearDuplicates::default()).await;
        dedup(ExactDuplicates::default().then(NearDuplicates::default())).await;
    }

    #[cfg(feature = "semantic")]
    #[tokio::test(start_paused = true)]
    async fn meanings_keep_the_promises() {
        use crate::dedup::SemanticDuplicates;
        use crate::embedding::{Batched, from_fn};

        // Sequences of three characters, hashed.
        let toy = || {
            from_fn("trigrams", |text| {
                let mut vector = vec![0.0; 384];
                let chars: Vec<char> = text.chars().collect();
                for window in chars.windows(3) {
                    let hash = window.iter().fold(7, |hash, c| hash * 31 + *c as usize);
                    vector[hash % 384] += 1.0;
                }
                Ok(vector)
            })
        };
        dedup(SemanticDuplicates::new(toy())).await;
        let batched = SemanticDuplicates::new(Batched::new(toy()).most(7));
        dedup(NearDuplicates::default().then(batched)).await;
    }

    /// A way to break a promise.
    #[derive(Debug, Clone, Copy)]
    enum Broken {
        RefusesStrangers,
        ForgetsAtOnce,
        CountsItsFingerprints,
        NamesTheWrongRecord,
        DropsPrecisionInStorage,
    }

    #[derive(Debug)]
    struct BrokenDuplicates(Broken, AtomicU64);

    #[derive(Debug)]
    struct BrokenMemory(Broken, HashMap<String, Reference>);

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Print(#[serde(skip)] String, String);

    #[async_trait]
    impl Deduplicator for BrokenDuplicates {
        type Fingerprint = Print;
        type Memory = BrokenMemory;

        async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<Print> {
            let text = candidate.text("question").unwrap_or_default().to_owned();
            let number = self.1.fetch_add(1, Ordering::Relaxed);
            Ok(match self.0 {
                Broken::RefusesStrangers => Print(String::new(), String::new()),
                Broken::CountsItsFingerprints => {
                    Print(String::new(), format!("{text} {}", number / 20))
                }
                Broken::DropsPrecisionInStorage => Print(text, String::new()),
                _ => Print(String::new(), text),
            })
        }

        fn memory(&self) -> BrokenMemory {
            BrokenMemory(self.0, HashMap::new())
        }
    }

    impl Memory for BrokenMemory {
        type Fingerprint = Print;

        fn admit(&mut self, print: Print, reference: Reference) -> Verdict {
            let key = format!("{}{}", print.0, print.1);
            match self.1.get(&key) {
                Some(_) if matches!(self.0, Broken::NamesTheWrongRecord) => {
                    Verdict::duplicate(Reference::Record(99), 1.0)
                }
                Some(first) => Verdict::duplicate(first.clone(), 1.0),
                None => {
                    if !matches!(self.0, Broken::ForgetsAtOnce) {
                        self.1.insert(key, reference);
                    }
                    Verdict::Unique
                }
            }
        }
    }

    async fn check(broken: Broken) {
        dedup(BrokenDuplicates(broken, AtomicU64::new(0))).await;
    }

    #[tokio::test]
    #[should_panic(expected = "strangers must all be unique")]
    async fn refusing_strangers_is_noticed() {
        check(Broken::RefusesStrangers).await;
    }

    #[tokio::test]
    #[should_panic(expected = "exactly one of equal candidates")]
    async fn forgetting_is_noticed() {
        check(Broken::ForgetsAtOnce).await;
    }

    #[tokio::test]
    #[should_panic(expected = "exactly one of equal candidates")]
    async fn state_in_fingerprints_is_noticed() {
        check(Broken::CountsItsFingerprints).await;
    }

    #[tokio::test]
    #[should_panic(expected = "must name the record it repeats")]
    async fn naming_the_wrong_record_is_noticed() {
        check(Broken::NamesTheWrongRecord).await;
    }

    #[tokio::test]
    #[should_panic(expected = "as good as the first one")]
    async fn losing_something_in_storage_is_noticed() {
        check(Broken::DropsPrecisionInStorage).await;
    }
}
