//! Gives each entry its place in the order of settling, durably where there is a journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::journal::{Entry, Journal};
use crate::outcome::Outcome;

/// The journal of a run, or mere numbers where it has none.
pub(super) struct Log {
    journal: Option<Arc<dyn Journal>>,
    next: AtomicU64,
    appended: AtomicBool,
}

impl Log {
    pub(super) fn new(journal: Option<Arc<dyn Journal>>) -> Self {
        Self {
            journal,
            next: AtomicU64::new(0),
            appended: AtomicBool::new(false),
        }
    }

    /// Returns what an earlier process appended.
    pub(super) async fn past(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        match &self.journal {
            Some(journal) => Ok(journal
                .read()
                .await?
                .inspect(|_| {
                    self.next.fetch_add(1, Ordering::Relaxed);
                })
                .fuse()
                .boxed()),
            None => Ok(futures::stream::empty().boxed()),
        }
    }

    /// Returns the first so many entries once more, whatever is appended meanwhile.
    pub(super) async fn past_again(&self, entries: usize) -> Result<BoxStream<'_, Result<Entry>>> {
        match &self.journal {
            Some(journal) => Ok(journal.read().await?.take(entries).fuse().boxed()),
            None => Ok(futures::stream::empty().boxed()),
        }
    }

    /// Returns the number that the next entry gets, while nobody else appends.
    pub(super) fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Appends an entry and returns its number, once it is as durable as the journal promises.
    pub(super) async fn append(&self, entry: impl FnOnce() -> Entry) -> Result<u64> {
        let Some(journal) = &self.journal else {
            return Ok(self.next.fetch_add(1, Ordering::Relaxed));
        };
        let number = journal.append(entry()).await?;
        self.appended.store(true, Ordering::Relaxed);
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        Ok(number)
    }

    /// Writes how the run ended, unless nothing was appended since it last ended, and closes the journal.
    pub(super) async fn finish(&self, outcome: Outcome) -> Result<()> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        if self.appended.load(Ordering::Relaxed) {
            journal.append(Entry::Finished { outcome }).await?;
        }
        journal.close().await
    }
}
