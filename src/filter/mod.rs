//! A caller's own yes or no to a valid record.

mod added;
mod field;
mod judge;
mod kind;
mod labelled;
mod language;
mod quote;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use added::Added;
pub use field::{FieldFilter, FieldRule};
pub use judge::{Criterion, Judge, NOT_ACCEPTED};
pub use labelled::LabelledRecord;
pub use language::Language;

pub(crate) use kind::{
    Chat, OtherAnswer, PairJudge, Preference, RecordKind, Speaker, SystemMessage, Tool, ToolCalls,
};
pub(crate) use quote::stands_in;

use crate::candidate::Candidate;
use crate::error::Result;
use crate::llm::{LlmClient, Model};
pub use crate::scores::{Scores, Vote};

/// Says whether a valid record is wanted. One that asks a model is a [`ModelFilter`].
///
/// Filters run after validation and before duplicates are looked for, many at a time and in any order.
///
/// # For implementors
///
/// Keep no state that assumes an order. A refusal is normal: it is counted, and another record is asked for.
/// An error is not: it costs the candidate, and several in a row end the run, as a fatal one does at once.
///
/// A closure from [`Candidate`] to `bool` becomes a filter with [`filter_fn`].
#[async_trait]
pub trait RecordFilter: fmt::Debug + Send + Sync + 'static {
    /// Decides on one record.
    ///
    /// # Errors
    ///
    /// Where the decision cannot be made.
    async fn check(&self, candidate: &Candidate<'_>) -> Result<FilterVerdict>;

    /// Names the filter and its configuration: what it says is kept in the journal under this key and the record's hash. It is
    /// asked once about a record, and a resume or replay asks only what is missing or has changed.
    ///
    /// Default: no key, and it is asked again each time. Give one to a filter that costs time, and change it with whatever its
    /// word depends on.
    fn key(&self) -> Option<String> {
        None
    }
}

/// Says whether a valid record is wanted, with the help of a model: a judge.
///
/// It is added together with its model ([`PipelineBuilder::model_filter`](crate::PipelineBuilder::model_filter)), whose calls are
/// calls of the run: they count under its caps, wait in its rate limiters, are retried, and are in the report and the journal. What it
/// says is kept under its key, as with [`RecordFilter::key`], so that nobody pays for it twice.
///
/// # For implementors
///
/// As for [`RecordFilter`]. Ask through the model that you are given and no other. An error of it can be returned as it is.
///
/// `testing::conformance::model_filter` checks these promises on your implementation. A whole one:
///
/// ```
/// use async_trait::async_trait;
/// use topicloom::filter::{FilterVerdict, ModelFilter};
/// use topicloom::llm::{ChatRequest, Message, Role};
/// use topicloom::{Candidate, LlmClient, Result};
///
/// #[derive(Debug)]
/// struct IsCorrect;
///
/// #[async_trait]
/// impl ModelFilter for IsCorrect {
///     async fn check(&self, candidate: &Candidate<'_>, model: &dyn LlmClient) -> Result<FilterVerdict> {
///         let record = serde_json::to_string(candidate.data()).unwrap_or_default();
///         let question = format!("Is this correct? Answer with yes or no.\n{record}");
///         let request = ChatRequest::new(vec![Message::new(Role::User, question)]);
///         let answer = model.complete(&request).await?.text.to_lowercase();
///         Ok(if answer.contains("yes") { FilterVerdict::Keep } else { FilterVerdict::Reject("not correct") })
///     }
///
///     fn key(&self) -> String {
///         "is correct 1".to_owned()
///     }
/// }
/// ```
#[async_trait]
pub trait ModelFilter: fmt::Debug + Send + Sync + 'static {
    /// Decides on one record. The model makes the seed of each request its own, so that a run repeats itself where the model does.
    ///
    /// # Errors
    ///
    /// Where the decision cannot be made.
    async fn check(
        &self,
        candidate: &Candidate<'_>,
        model: &dyn LlmClient,
    ) -> Result<FilterVerdict>;

    /// Names the filter and its configuration; see [`RecordFilter::key`]. The name of the model is added to it.
    fn key(&self) -> String;

    /// Returns why a record with such scores is not wanted, where [`check`](Self::check) returned
    /// [`Scored`](FilterVerdict::Scored): a fixed phrase, as in [`Reject`](FilterVerdict::Reject). It is asked anew when a
    /// run is resumed, and so may change without a call.
    ///
    /// Default: each is wanted.
    fn refuses(&self, scores: &Scores) -> Option<&'static str> {
        let _ = scores;
        None
    }

    /// Puts a record in order that is wanted with such scores, such as by which of two answers is the better one, and its scores
    /// with it; returns whether it changed the record. Like [`refuses`](Self::refuses), it is asked anew when a run is resumed.
    ///
    /// Default: it stays as it is.
    fn settle(&self, record: &mut Map<String, Value>, scores: &mut Scores) -> bool {
        let _ = (record, scores);
        false
    }

    /// Names what [`refuses`](Self::refuses) and [`settle`](Self::settle) decide by.
    fn rule(&self) -> String {
        String::new()
    }

    /// Returns records of which people said what they think: a run asks about them too, before it makes its first record,
    /// and its report says how the filter compares ([`Report::labels`](crate::Report::labels)).
    ///
    /// Default: none.
    fn labelled(&self) -> &[LabelledRecord] {
        &[]
    }
}

/// A filter, as a pipeline has it.
#[derive(Clone)]
pub(crate) enum Filter {
    Own(Arc<dyn RecordFilter>),
    Asking(Arc<dyn ModelFilter>, Model),
}

impl Filter {
    /// Returns what decides on a record, where it can be said.
    pub(crate) fn rule(&self) -> Option<[String; 2]> {
        let rule = match self {
            Self::Own(_) => String::new(),
            Self::Asking(filter, _) => filter.rule(),
        };
        Some([self.key()?, rule])
    }

    /// Returns under what its word is kept.
    pub(crate) fn key(&self) -> Option<String> {
        match self {
            Self::Own(filter) => filter.key(),
            Self::Asking(filter, model) => {
                let models = model.backends().map(|backend| backend.client.model());
                Some(format!(
                    "{} by {}",
                    filter.key(),
                    models.collect::<Vec<_>>().join(", ")
                ))
            }
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(filter) => filter.fmt(f),
            Self::Asking(filter, _) => filter.fmt(f),
        }
    }
}

/// A filter's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterVerdict {
    /// The record is wanted.
    Keep,
    /// It is not, with a reason: a fixed phrase, never a piece of the record. The report counts it
    /// ([`Report::filtered`](crate::Report::filtered)), hooks are shown it, and the topic's next prompt tells the model.
    Reject(&'static str),
    /// A filter that asks a model gives it these scores, and [`ModelFilter::refuses`] says whether they are enough. The topic's
    /// next prompt is told what the judge said of a record that is refused. From any other filter, it is wanted.
    Scored(Scores),
    /// The record is wanted with these fields put into it, such as what another model answers: they are journalled, filters
    /// behind this one are shown them, and the record has them when it is accepted; one that no longer fits the schema with them is invalid. From a filter that asks no model, the record is wanted
    /// as it is.
    Completed(Added),
}

/// Makes a filter of a closure that returns whether a record is wanted.
///
/// ```
/// use topicloom::Candidate;
/// use topicloom::filter::filter_fn;
///
/// let long_enough = filter_fn("answer too short", |candidate: &Candidate<'_>| {
///     candidate.text("answer").is_some_and(|answer| answer.len() >= 20)
/// });
/// # drop(long_enough);
/// ```
pub fn filter_fn<F>(reason: &'static str, keep: F) -> FilterFn<F>
where
    F: Fn(&Candidate<'_>) -> bool + Send + Sync + 'static,
{
    FilterFn {
        reason,
        keep,
        key: None,
    }
}

/// A filter made of a closure; see [`filter_fn`].
pub struct FilterFn<F> {
    reason: &'static str,
    keep: F,
    key: Option<String>,
}

impl<F> FilterFn<F> {
    /// Has a run ask once about each record; see [`RecordFilter::key`].
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl<F> fmt::Debug for FilterFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterFn")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<F> RecordFilter for FilterFn<F>
where
    F: Fn(&Candidate<'_>) -> bool + Send + Sync + 'static,
{
    async fn check(&self, candidate: &Candidate<'_>) -> Result<FilterVerdict> {
        if (self.keep)(candidate) {
            Ok(FilterVerdict::Keep)
        } else {
            Ok(FilterVerdict::Reject(self.reason))
        }
    }

    fn key(&self) -> Option<String> {
        self.key.clone()
    }
}

/// Returns a reason as the label that filters give, which live as long as the program; nothing where there are too many of
/// them to be labels.
pub(crate) fn label(reason: &str) -> Option<&'static str> {
    const MOST: usize = 1_024;
    static LABELS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut labels = LABELS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = labels.get(reason) {
        return Some(known);
    }
    if labels.len() >= MOST {
        return None;
    }
    let label: &'static str = reason.to_owned().leak();
    labels.insert(label);
    Some(label)
}
