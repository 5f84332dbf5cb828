//! Records into a closure.

use std::fmt;

use async_trait::async_trait;

use super::Sink;
use crate::error::Result;
use crate::record::Record;

/// Makes a sink of a closure that is called with each record.
///
/// There is nothing to commit. The closure should not block for long: it runs where the run is polled.
///
/// ```
/// use topicloom::sink::sink_fn;
/// use topicloom::{Record, Result};
///
/// let mut hard = Vec::new();
/// let sink = sink_fn(|record: &Record| -> Result<()> {
///     if record.data["difficulty"] == "hard" {
///         hard.push(record.clone());
///     }
///     Ok(())
/// });
/// # drop(sink);
/// ```
pub fn sink_fn<F>(write: F) -> SinkFn<F> {
    SinkFn { write }
}

/// A sink made of a closure; see [`sink_fn`].
pub struct SinkFn<F> {
    write: F,
}

impl<F> fmt::Debug for SinkFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkFn").finish_non_exhaustive()
    }
}

#[async_trait]
impl<T, F> Sink<T> for SinkFn<F>
where
    T: Sync,
    F: FnMut(&Record<T>) -> Result<()> + Send,
{
    async fn write(&mut self, record: &Record<T>) -> Result<()> {
        (self.write)(record)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
