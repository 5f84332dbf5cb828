//! A journal that is read and never written.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

#[cfg(feature = "postgres")]
use super::PostgresReader;
use super::{Entry, Journal, JournalReader};
use crate::error::Result;

/// Gives the entries of a journal to a run, also while another goes on with it, and keeps nothing of what that run appends.
///
/// With [`ModelRegistry::without_calls`](crate::llm::models::ModelRegistry::without_calls) it makes the records of a journal once
/// more:
///
/// ```no_run
/// # async fn example(input: topicloom::GenerateByTopicInput) -> topicloom::Result<()> {
/// use topicloom::Pipeline;
/// use topicloom::journal::ReadOnlyJournal;
/// use topicloom::llm::models::ModelRegistry;
///
/// let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::without_calls())?
///     .journal(ReadOnlyJournal::file("run.journal"))
///     .build();
/// let run = pipeline.run(input)?;
/// # drop(run);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadOnlyJournal {
    source: Source,
    next: AtomicU64,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Database(PostgresReader),
}

impl ReadOnlyJournal {
    /// Reads a journal in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(path.into()))
    }

    /// Reads a journal in a database.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn database(reader: PostgresReader) -> Self {
        Self::new(Source::Database(reader))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            next: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl Journal for ReadOnlyJournal {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        let entries = match &self.source {
            Source::File(path) => stream::iter(JournalReader::open(path)?).boxed(),
            #[cfg(feature = "postgres")]
            Source::Database(reader) => reader.entries().await?,
        };
        let mut read = 0;
        let counted = entries.inspect(move |entry| {
            if !matches!(entry, Ok(Entry::Called(_))) {
                read += 1;
                self.next.fetch_max(read, Ordering::Relaxed);
            }
        });
        Ok(counted.boxed())
    }

    async fn append(&self, _: Entry) -> Result<u64> {
        Ok(self.next.fetch_add(1, Ordering::Relaxed))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
