//! What a caller is shown of each record, of each candidate that was not accepted, and of each task that failed.
//!
//! [`on_accepted`](crate::PipelineBuilder::on_accepted), [`on_rejected`](crate::PipelineBuilder::on_rejected) and
//! [`on_failed`](crate::PipelineBuilder::on_failed) set a hook, and any number of them may be set. Unlike
//! [events](crate::RunEvent), which may be logged as they are, a hook is shown record data.
//!
//! - Hooks are called where a run is driven, one at a time and in the order in which things are settled: that of the
//!   journal. Be quick, and do not block; what takes time is handed on, through a channel say.
//! - A record is shown before the stream or the data set has it, after the event that tells of it. Hooks of one kind are
//!   called in the order in which they were set.
//! - A run that goes on from a journal settles what is there once more, and its hooks are called for that too, so that
//!   a hook that counts or collects has all of it. Then `is_replayed` is set: nothing was paid for a second time. A process
//!   that is killed may have called a hook for what its successor tells of again.
//! - A hook watches and does not decide: whether a record is wanted is for a [filter](crate::filter), what is a
//!   duplicate for a [deduplicator](crate::dedup), and whether a call is made again for the layers around a client.
//! - A hook that panics ends the run with the records in hand and an error that says so, as with an observer.
//! - Data is kept for hooks only where one is set that is shown it.
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::sync::Arc;
//! use topicloom::Pipeline;
//! use topicloom::llm::OfflineModel;
//!
//! let paid_for = Arc::new(AtomicU64::new(0));
//! let count = Arc::clone(&paid_for);
//! let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
//!     .on_accepted(move |record| {
//!         count.fetch_add(u64::from(!record.is_replayed), Ordering::Relaxed);
//!     })
//!     .on_rejected(|candidate| {
//!         let reason = candidate.reason.unwrap_or_default();
//!         eprintln!("{}: {} {reason}", candidate.topic, candidate.rejection);
//!     })
//!     .on_failed(|task| eprintln!("{}: {}", task.topic, task.error))
//!     .build();
//! # drop(pipeline);
//! ```

use std::fmt;
use std::sync::Arc;

use crate::dedup::Match;
use crate::outcome::{CallError, Rejection};
use crate::record::{JsonRecord, RecordMeta};
use crate::topic::Topic;

/// A record that was accepted.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Accepted<'a> {
    /// The topic it was asked under.
    pub topic: &'a Topic,
    /// The record as it was validated, before it was decoded to the caller's type.
    pub data: &'a JsonRecord,
    /// Where it comes from.
    pub meta: &'a RecordMeta,
    /// Whether its answer was in the journal already, and so cost nothing now.
    pub is_replayed: bool,
}

/// A candidate that was not accepted.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The topic it was asked under.
    pub topic: &'a Topic,
    /// The task that asked for it.
    pub task: u64,
    /// Why.
    pub rejection: Rejection,
    /// Why in words: the violations of the schema, where schema and type disagree, or what the filter said. Never holds
    /// values of the record.
    pub reason: Option<&'a str>,
    /// What it repeats, and how closely, where it is a duplicate.
    pub repeats: Option<&'a Match>,
    /// The candidate, as far as it got: after it was brought back into the caller's shape, if it could be.
    pub data: Option<&'a JsonRecord>,
    /// Whether its answer was in the journal already, and so cost nothing now.
    pub is_replayed: bool,
}

/// A task that failed: its calls are used up, or its error ends the run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Failed<'a> {
    /// Its topic.
    pub topic: &'a Topic,
    /// The task.
    pub task: u64,
    /// How its last call failed.
    pub error: &'a CallError,
    /// Calls it made, retries included; 0 of an error that ends the run, which is not counted by task.
    pub calls: usize,
    /// Whether the run ends with it. Otherwise the topic is asked again, or given up.
    pub ends_run: bool,
    /// Whether the failure was in the journal already.
    pub is_replayed: bool,
}

/// Shows everything but the record.
impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("topic", &self.topic)
            .field("meta", &self.meta)
            .field("is_replayed", &self.is_replayed)
            .finish_non_exhaustive()
    }
}

/// Shows everything but the candidate.
impl fmt::Debug for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("topic", &self.topic)
            .field("task", &self.task)
            .field("rejection", &self.rejection)
            .field("reason", &self.reason)
            .field("repeats", &self.repeats)
            .field("is_replayed", &self.is_replayed)
            .finish_non_exhaustive()
    }
}

type OnAccepted = Arc<dyn Fn(&Accepted<'_>) + Send + Sync>;
type OnRejected = Arc<dyn Fn(&Rejected<'_>) + Send + Sync>;
type OnFailed = Arc<dyn Fn(&Failed<'_>) + Send + Sync>;

/// The hooks of a run.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) accepted: Vec<OnAccepted>,
    pub(crate) rejected: Vec<OnRejected>,
    pub(crate) failed: Vec<OnFailed>,
}

impl Hooks {
    /// Returns whether the data of candidates is worth keeping.
    pub(crate) fn want_data(&self) -> bool {
        !(self.accepted.is_empty() && self.rejected.is_empty())
    }

    pub(crate) fn accepted(&self, record: &Accepted<'_>) {
        self.accepted.iter().for_each(|hook| hook(record));
    }

    pub(crate) fn rejected(&self, candidate: &Rejected<'_>) {
        self.rejected.iter().for_each(|hook| hook(candidate));
    }

    pub(crate) fn failed(&self, task: &Failed<'_>) {
        self.failed.iter().for_each(|hook| hook(task));
    }
}
