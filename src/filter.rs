//! A caller's own yes or no to a valid record.

use std::fmt;

use async_trait::async_trait;

use crate::candidate::Candidate;
use crate::error::Result;

/// Says whether a valid record is wanted. A model that judges records is a filter too.
///
/// Filters run after validation and before duplicates are looked for, many at a time and in any order.
///
/// # For implementors
///
/// Keep no state that assumes an order. A refusal is normal: it is counted, and another record is asked for.
/// An error is not: it ends the run.
///
/// A closure from [`Candidate`] to `bool` becomes a filter with [`filter_fn`].
#[async_trait]
pub trait RecordFilter: fmt::Debug + Send + Sync + 'static {
    /// Decides on one record.
    ///
    /// # Errors
    ///
    /// Where the decision cannot be made; this ends the run.
    async fn check(&self, candidate: &Candidate<'_>) -> Result<FilterVerdict>;
}

/// A filter's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterVerdict {
    /// The record is wanted.
    Keep,
    /// It is not, with a reason: a fixed phrase, never a piece of the record. The report counts it
    /// ([`Report::filtered`](crate::Report::filtered)), hooks are shown it, and the topic's next prompt tells the model.
    Reject(&'static str),
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
    FilterFn { reason, keep }
}

/// A filter made of a closure; see [`filter_fn`].
pub struct FilterFn<F> {
    reason: &'static str,
    keep: F,
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
}
