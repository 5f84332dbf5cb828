//! What every deduplicator promises.

use futures::future::join_all;
use serde_json::{Map, Value, json};

use crate::candidate::Candidate;
use crate::dedup::{AnyDeduplicator, AnyFingerprint, AnyMemory, Reference, Verdict};

/// Checks the promises of a [`Deduplicator`](crate::dedup::Deduplicator) on question-and-answer records.
///
/// - Of equal candidates, one is unique and the others repeat it, also when all are fingerprinted at once.
/// - Candidates that share nothing are all unique.
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

    let alone = prints(&deduplicator, &strangers[..1]).await;
    assert!(
        admit_all(&mut deduplicator.memory(), alone)[0].is_unique(),
        "every memory must start empty"
    );

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
        "the same admissions must get the same verdicts"
    );

    let reversed: Vec<Map<String, Value>> = stream.iter().rev().cloned().collect();
    let mut late = prints(&deduplicator, &reversed).await;
    late.reverse();
    let late = admit_all(&mut deduplicator.memory(), late);
    assert_eq!(
        late, expected,
        "the order in which fingerprints are made must not matter"
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
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::*;
    use crate::dedup::{Deduplicator, DeduplicatorExt, ExactDuplicates, Memory, NearDuplicates};

    #[tokio::test]
    async fn ours_keep_the_promises() {
        dedup(ExactDuplicates::default()).await;
        dedup(NearDuplicates::default()).await;
        dedup(ExactDuplicates::default().then(NearDuplicates::default())).await;
    }

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
        dedup(SemanticDuplicates::new(toy()).approximate_beyond(0)).await;
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
        IsMoreThanEqual,
        SharesItsMemory,
        RemembersOtherRuns,
        WantsItsOwnOrder,
        TakesGivenForRecords,
    }

    type Seen = Arc<Mutex<HashMap<String, Reference>>>;

    #[derive(Debug)]
    struct BrokenDuplicates {
        broken: Broken,
        fingerprints: AtomicU64,
        memories: AtomicU64,
        seen: Seen,
    }

    #[derive(Debug)]
    struct BrokenMemory {
        broken: Broken,
        number: u64,
        seen: Seen,
        last: u64,
    }

    struct Print {
        text: String,
        number: u64,
    }

    #[async_trait]
    impl Deduplicator for BrokenDuplicates {
        type Fingerprint = Print;
        type Memory = BrokenMemory;

        async fn fingerprint(&self, candidate: &Candidate<'_>) -> crate::Result<Print> {
            let text = candidate.text("question").unwrap_or_default().to_owned();
            let number = self.fingerprints.fetch_add(1, Ordering::Relaxed);
            let text = match self.broken {
                Broken::RefusesStrangers => String::new(),
                Broken::CountsItsFingerprints => format!("{text} {}", number / 20),
                _ => text,
            };
            Ok(Print { text, number })
        }

        fn memory(&self) -> BrokenMemory {
            let seen = match self.broken {
                Broken::SharesItsMemory => Arc::clone(&self.seen),
                _ => Seen::default(),
            };
            BrokenMemory {
                broken: self.broken,
                number: self.memories.fetch_add(1, Ordering::Relaxed),
                seen,
                last: 0,
            }
        }
    }

    impl Memory for BrokenMemory {
        type Fingerprint = Print;

        fn admit(&mut self, print: Print, reference: Reference) -> Verdict {
            let key = print.text;
            let is_late = print.number < self.last;
            self.last = print.number;
            let mut seen = self.seen.lock().expect("nobody panicked");
            match (seen.get(&key), self.broken) {
                (Some(_), Broken::NamesTheWrongRecord) => {
                    Verdict::duplicate(Reference::Record(99), 1.0)
                }
                (Some(first), Broken::IsMoreThanEqual) => Verdict::duplicate(first.clone(), 1.5),
                (Some(Reference::Given(_)), Broken::TakesGivenForRecords) => {
                    Verdict::duplicate(Reference::Record(0), 1.0)
                }
                (Some(first), Broken::RemembersOtherRuns) => {
                    // The third run and those behind it are less sure of what is equal.
                    let similarity = if self.number > 3 { 0.5 } else { 1.0 };
                    Verdict::duplicate(first.clone(), similarity)
                }
                (Some(first), _) => Verdict::duplicate(first.clone(), 1.0),
                (None, Broken::WantsItsOwnOrder) if is_late => {
                    Verdict::duplicate(Reference::Record(0), 1.0)
                }
                (None, broken) => {
                    if !matches!(broken, Broken::ForgetsAtOnce) {
                        seen.insert(key, reference);
                    }
                    Verdict::Unique
                }
            }
        }
    }

    async fn check(broken: Broken) {
        let broken = BrokenDuplicates {
            broken,
            fingerprints: AtomicU64::new(0),
            memories: AtomicU64::new(0),
            seen: Seen::default(),
        };
        dedup(broken).await;
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
    #[should_panic(expected = "a similarity must lie between 0 and 1")]
    async fn a_similarity_above_one_is_noticed() {
        check(Broken::IsMoreThanEqual).await;
    }

    #[tokio::test]
    #[should_panic(expected = "every memory must start empty")]
    async fn a_memory_of_all_runs_is_noticed() {
        check(Broken::SharesItsMemory).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the same admissions must get the same verdicts")]
    async fn another_verdict_in_another_run_is_noticed() {
        check(Broken::RemembersOtherRuns).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the order in which fingerprints are made")]
    async fn depending_on_the_order_of_fingerprints_is_noticed() {
        check(Broken::WantsItsOwnOrder).await;
    }

    #[tokio::test]
    #[should_panic(expected = "must name its place")]
    async fn forgetting_where_given_material_stands_is_noticed() {
        check(Broken::TakesGivenForRecords).await;
    }
}
