//! The log of a run: what was asked and answered, durable before anything is done with it.
//!
#![doc = include_str!("../../docs/journal.md")]

mod asked_once;
mod entry;
mod file;
mod header;
mod judged_notes;
mod lost_calls;
mod memory;
mod noted;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod read_only;
mod run_log;

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::llm::TaskRef;

pub(crate) use asked_once::{FilterVerdicts, RunEmbedder};
pub use entry::{
    Answer, CallFailure, CallNote, CallOf, Embedding, Entry, Filtered, JudgedTasks, PromptChoice,
    SideCall, TopicAnswer,
};
pub use file::{Durability, FileJournal, JournalReader, MovedJournal, OpenedJournal};
pub use header::{FORMAT, Header};
pub(crate) use judged_notes::JudgedNotes;
pub use lost_calls::LostCalls;
pub use memory::MemoryJournal;
pub(crate) use noted::Noted;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresJournal, PostgresOptions, PostgresReader, RunState};
pub use read_only::ReadOnlyJournal;
pub(crate) use run_log::{Line, Log, Turn};

/// Keeps the entries of one run, in order.
///
/// # For implementors
///
/// - [`append`](Self::append) is called concurrently. It gives each entry the next number, from 0 and without
///   gaps, and returns once the entry is as durable as you promise.
/// - [`read`](Self::read) is called before the first append, and once more if the run goes on with another input; the
///   second stream may be polled after an append, and gives what was there before it first. It returns what an
///   earlier process appended, in order. An entry that was cut off at the very end by a crash is left out; any other damage is an error.
/// - An append that failed must not show up later.
///
/// - [`outstanding`](Self::outstanding) is for journals whose calls are made by other processes, and outlive the one
///   that asked. Leave it as it is otherwise.
///
/// `testing::conformance::journal` checks these promises on your implementation.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Returns the entries that are there, in order. They are streamed, since a long run's do not fit into memory.
    ///
    /// # Errors
    ///
    /// Where they cannot be read, or are damaged.
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>>;

    /// Appends an entry and returns its number, once it is durable.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; this ends the run.
    async fn append(&self, entry: Entry) -> Result<u64>;

    /// Notes that a call is about to be sent, before it is: a run that goes on after a kill then knows what was in flight.
    ///
    /// The note is read as [`Entry::Called`] in its place, takes no number, and must survive the death of the process, not a
    /// power failure. The default keeps none, so that what a killed process had in flight is in no account.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; this ends the run.
    async fn note(&self, call: CallNote) -> Result<()> {
        let _ = call;
        Ok(())
    }

    /// Returns the tasks whose calls go on although the process that asked is gone, and which are neither answered nor
    /// failed in the log. The run asks for each of them once more, with the same seed, and gets the answer of the
    /// call that was made. The default is none.
    ///
    /// # Errors
    ///
    /// Where that cannot be told; this ends the run.
    async fn outstanding(&self) -> Result<Vec<TaskRef>> {
        Ok(Vec::new())
    }

    /// Returns whether what was appended can no longer be found, such as where the file was deleted or replaced: the report warns
    /// of it. Called when the run ends, and every second while it goes on. The default is that it can.
    fn is_lost(&self) -> bool {
        false
    }

    /// Makes everything appended durable and releases what is held. Nothing is appended afterwards.
    ///
    /// # Errors
    ///
    /// Where something could not be written.
    async fn close(&self) -> Result<()>;
}
