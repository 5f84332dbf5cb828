//! Where records go as they are accepted.
//!
//! [`Run::write_to`](crate::Run::write_to) streams a run into a [`Sink`], so that memory does not grow with the
//! number of records.

// Formats without types need none of it.
#[cfg_attr(not(feature = "parquet"), allow(dead_code))]
mod column_type;
mod file;
mod format;
mod function;
mod jsonl;
mod layout;
mod made_file;
#[cfg(feature = "parquet")]
mod parquet;
mod partial_file;
mod rejected;
mod rows;
mod split_report;
mod vec;

use async_trait::async_trait;

use crate::error::Result;
use crate::record::{JsonRecord, Record};

pub use file::FileSink;
pub use function::{SinkFn, sink_fn};
pub use jsonl::JsonlSink;
pub use partial_file::PartialFile;
pub use rejected::RejectedJsonl;
pub use split_report::{ClosestRows, Row, Side, SplitReport};

/// Takes records, and commits them at [`finish`](Self::finish).
///
/// # For implementors
///
/// - [`write`](Self::write) is called for one record after another, in the order of acceptance.
/// - `finish` is called once the run is complete, and only then are the records a data set: until it has returned `Ok`,
///   whatever was there before is left alone, and there is nothing that could be taken for a whole data set. A second
///   `finish` does nothing; a `write` after it is an error.
/// - [`set_aside`](Self::set_aside) is called at any other end of a run, also after a `write` or `finish` that failed. What was
///   written stays, in a place of its own, and so does what earlier runs left there. The same holds for a sink that is
///   dropped, as far as it can. Nothing is called after it.
/// - A slow sink is waited for: nothing more is asked of the model while records are waiting for it.
///
/// `testing::conformance::sink` and `testing::conformance::sink_keeps` check these promises on your implementation;
/// [`PartialFile`] keeps them for files.
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

    /// Keeps what was written of a data set that is not whole, and says where, in words such as a path. By default there is
    /// no such place.
    ///
    /// # Errors
    ///
    /// Where it cannot be kept.
    async fn set_aside(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
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

    async fn set_aside(&mut self) -> Result<Option<String>> {
        (**self).set_aside().await
    }
}
