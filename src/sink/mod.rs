//! Where records go as they are accepted.
//!
//! [`Run::write_to`](crate::Run::write_to) streams a run into a [`Sink`], so that memory does not grow with the
//! number of records.

mod function;
mod jsonl;
mod partial_file;
mod rejected;
mod vec;

use async_trait::async_trait;

use crate::error::Result;
use crate::record::{JsonRecord, Record};

pub use function::{SinkFn, sink_fn};
pub use jsonl::JsonlSink;
pub use rejected::RejectedJsonl;

/// Takes records, and commits them at [`finish`](Self::finish).
///
/// # For implementors
///
/// - [`write`](Self::write) is called for one record after another, in the order of acceptance.
/// - What is written counts only once `finish` has returned `Ok`: a sink that is dropped before leaves nothing
///   behind that could be taken for a whole data set, and leaves alone what was there before.
/// - `finish` is called at the end of every run, a short or stopped one included, but not after a `write` that
///   failed. A second `finish` does nothing; a `write` after it is an error.
/// - A slow sink is waited for: nothing more is asked of the model while records are waiting for it.
///
/// `testing::conformance::sink` checks these promises on your implementation.
///
/// ```
/// use topicloom::sink::Sink;
/// use topicloom::{Record, Result};
///
/// /// Counts.
/// #[derive(Debug, Default)]
/// struct Count(u64);
///
/// #[async_trait::async_trait]
/// impl<T: Sync> Sink<T> for Count {
///     async fn write(&mut self, _: &Record<T>) -> Result<()> {
///         self.0 += 1;
///         Ok(())
///     }
///
///     async fn finish(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Sink<T = JsonRecord>: Send {
    /// Takes a record.
    ///
    /// # Errors
    ///
    /// Where it cannot be taken; this ends the run.
    async fn write(&mut self, record: &Record<T>) -> Result<()>;

    /// Commits what was written.
    ///
    /// # Errors
    ///
    /// Where it cannot be committed.
    async fn finish(&mut self) -> Result<()>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Sync, S: Sink<T> + ?Sized> Sink<T> for Box<S> {
    async fn write(&mut self, record: &Record<T>) -> Result<()> {
        (**self).write(record).await
    }

    async fn finish(&mut self) -> Result<()> {
        (**self).finish().await
    }
}
