//! What a record filter promises.

use futures::future::join_all;

use crate::candidate::Candidate;
use crate::filter::{FilterVerdict, ModelFilter, RecordFilter};
use crate::input::GenerateByTopicInput;
use crate::journal::MemoryJournal;
use crate::llm::{LlmClient, OfflineModel};
use crate::pipeline::Pipeline;
use crate::record::JsonRecord;
use crate::run::Dataset;

/// Checks a filter on samples of your own records: it decides without an error, the same way each time, in any
/// order, and many at once.
///
/// # Panics
///
/// If the filter breaks a promise, with a message that says which; or if there is no sample.
///
/// ```
/// use topicloom::filter::filter_fn;
/// use topicloom::testing::conformance;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let samples = [serde_json::json!({"answer": "yes"}), serde_json::json!({"answer": "no"})];
/// let samples: Vec<_> = samples.iter().map(|sample| sample.as_object().unwrap().clone()).collect();
/// conformance::filter(&filter_fn("not yes", |record| record.text("answer") == Some("yes")), &samples).await;
/// # });
/// ```
pub async fn filter(filter: &impl RecordFilter, samples: &[JsonRecord]) {
    assert!(!samples.is_empty(), "there is no sample to check with");
    let alone = decide(filter, samples.iter()).await;
    let mut backwards = decide(filter, samples.iter().rev()).await;
    backwards.reverse();
    assert_eq!(
        alone, backwards,
        "the verdict on a record depends on the records before it"
    );
    let at_once = join_all(samples.iter().map(|sample| async move {
        let candidate = Candidate::new("a topic", sample);
        filter
            .check(&candidate)
            .await
            .unwrap_or_else(|error| panic!("the filter failed: {error}"))
    }));
    assert_eq!(
        alone,
        at_once.await,
        "the verdict on a record changes when many are judged at once"
    );
}

/// Checks a filter that asks a model, in runs of this input: it decides through the model that it is given, and a run that goes
/// on from its journal asks nothing again and makes the same records. `make` makes the filter and a model for it.
///
/// # Panics
///
/// If the filter breaks a promise, with a message that says which; or if a run with it does not complete.
pub async fn model_filter<F, C>(make: impl Fn() -> (F, C), input: &GenerateByTopicInput)
where
    F: ModelFilter,
    C: LlmClient,
{
    let journal = MemoryJournal::default();
    let first = dataset(&make, input, &journal).await;
    assert!(
        first.report().filter_calls.made > 0,
        "the filter asks no model, or not the one that it is given"
    );
    let entries = journal.entries().len();
    let again = dataset(&make, input, &journal).await;
    assert_eq!(
        journal.entries().len(),
        entries,
        "a run that goes on asks again what was asked before: does the key stay the same?"
    );
    let records = |dataset: &Dataset| -> Vec<JsonRecord> {
        dataset.iter().map(|record| record.data.clone()).collect()
    };
    assert_eq!(
        records(&first),
        records(&again),
        "a run that goes on makes other records"
    );
}

async fn dataset<F: ModelFilter, C: LlmClient>(
    make: &impl Fn() -> (F, C),
    input: &GenerateByTopicInput,
    journal: &MemoryJournal,
) -> Dataset {
    let (filter, model) = make();
    let pipeline = Pipeline::builder(OfflineModel::default())
        .model_filter(filter, model)
        .journal(journal.clone())
        .build();
    let dataset = pipeline.generate(input.clone()).await;
    dataset.unwrap_or_else(|error| panic!("a run with the filter does not complete: {error}"))
}

async fn decide(
    filter: &impl RecordFilter,
    samples: impl Iterator<Item = &JsonRecord>,
) -> Vec<FilterVerdict> {
    let mut verdicts = Vec::new();
    for sample in samples {
        let verdict = filter.check(&Candidate::new("a topic", sample)).await;
        verdicts.push(verdict.unwrap_or_else(|error| panic!("the filter failed: {error}")));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::filter::filter_fn;

    fn samples() -> Vec<JsonRecord> {
        ["yes", "no", "no", "yes", "yes"]
            .map(|answer| {
                json!({"answer": answer})
                    .as_object()
                    .expect("an object")
                    .clone()
            })
            .to_vec()
    }

    #[tokio::test]
    async fn a_closure_keeps_the_promises() {
        filter(
            &filter_fn("not yes", |record| record.text("answer") == Some("yes")),
            &samples(),
        )
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "depends on the records before it")]
    async fn a_filter_with_a_memory_fails() {
        let seen = AtomicBool::new(false);
        let once = filter_fn("seen", move |_| !seen.swap(true, Ordering::Relaxed));
        filter(&once, &samples()).await;
    }
}
