//! What every embedder promises.

use futures::future::join_all;

use crate::embedding::Embedder;

/// How far from 1 the cosine of two vectors of one text may be: servers that batch add up in another order, in half
/// precision.
const ROUNDING: f64 = 0.001;

/// Checks the promises of an [`Embedder`].
///
/// - One vector per text, in the order of the texts; of no text, none.
/// - All vectors have one length, at least 1, and finite numbers.
/// - The same text gets the same direction, alone, along with others, and at the same time as others.
/// - Texts that have nothing in common point elsewhere.
///
/// # Panics
///
/// Panics with the promise that was broken, or where a text cannot be embedded.
///
/// ```
/// use topicloom::embedding::from_fn;
/// use topicloom::testing::conformance;
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// conformance::embedder(&from_fn("bytes", |text| {
///     let mut counts = vec![0.0; 256];
///     text.bytes().for_each(|byte| counts[usize::from(byte)] += 1.0);
///     Ok(counts)
/// }))
/// .await;
/// # });
/// ```
pub async fn embedder(embedder: &(impl Embedder + ?Sized)) {
    let texts = [
        "What is the boiling point of ethanol?",
        "为什么天空是蓝色的？",
        "Who composed the opera Carmen?",
        "What is the boiling point of ethanol?",
    ];
    assert!(!embedder.name().is_empty(), "an embedder must have a name");
    assert!(
        embed(embedder, &[]).await.is_empty(),
        "of no text there must be no vector"
    );
    let together = embed(embedder, &texts).await;
    assert_eq!(together.len(), texts.len(), "each text must get one vector");
    for vector in &together {
        assert!(
            !vector.is_empty() && vector.len() == together[0].len(),
            "all vectors must have one length"
        );
        assert!(
            vector.iter().all(|x| x.is_finite()),
            "all numbers must be finite"
        );
    }
    let same = |one: &[f32], other: &[f32]| cosine(one, other) > 1.0 - ROUNDING;
    assert!(
        same(&together[0], &together[3]),
        "the same text must get the same vector"
    );
    assert!(
        !same(&together[0], &together[1]) && !same(&together[0], &together[2]),
        "texts that have nothing in common must get other vectors"
    );
    let alone = texts.map(|text| async move { embed(embedder, &[text]).await });
    for (alone, together) in join_all(alone).await.iter().zip(&together) {
        assert!(
            alone.len() == 1 && same(&alone[0], together),
            "a text must get the same vector alone as along with others"
        );
    }
}

async fn embed(embedder: &(impl Embedder + ?Sized), texts: &[&str]) -> Vec<Vec<f32>> {
    let vectors = embedder.embed(texts).await;
    vectors.unwrap_or_else(|e| panic!("a text must be embedded: {e}"))
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        let products = one.iter().zip(other);
        products.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::embedding::{Batched, from_fn};
    use crate::llm::layers::Retrying;

    fn bytes(text: &str) -> Vec<f32> {
        let mut counts = vec![0.0; 256];
        text.bytes()
            .for_each(|byte| counts[usize::from(byte)] += 1.0);
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn ours_keep_the_promises() {
        embedder(&from_fn("bytes", |text| Ok(bytes(text)))).await;
        let wrapped = Retrying::new(from_fn("bytes", |text| Ok(bytes(text))));
        embedder(&Batched::new(wrapped).most(3)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "must have one length")]
    async fn vectors_of_different_lengths_are_noticed() {
        embedder(&from_fn("lengths", |text| Ok(vec![1.0; text.len()]))).await;
    }

    #[tokio::test]
    #[should_panic(expected = "must be finite")]
    async fn numbers_that_are_none_are_noticed() {
        embedder(&from_fn("nan", |_| Ok(vec![f32::NAN]))).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the same text must get the same vector")]
    async fn chance_is_noticed() {
        let calls = AtomicU8::new(0);
        let chance = from_fn("chance", move |_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            Ok(vec![1.0, f32::from(call)])
        });
        embedder(&chance).await;
    }

    #[tokio::test]
    #[should_panic(expected = "nothing in common")]
    async fn one_vector_for_all_is_noticed() {
        embedder(&from_fn("constant", |_| Ok(vec![1.0, 2.0]))).await;
    }
}
