//! A journal that lasts as long as the process.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::{Entry, Journal};
use crate::error::Result;

/// Keeps the entries in memory. Clones share them, so a second run can resume from what a first one left.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl MemoryJournal {
    /// Creates a journal that already holds entries.
    #[must_use]
    pub fn with_entries(entries: Vec<Entry>) -> Self {
        Self {
            entries: Arc::new(Mutex::new(entries)),
        }
    }

    /// Returns a copy of the entries.
    ///
    /// # Panics
    ///
    /// If a thread panicked in the middle of an append.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().expect("an append does not panic")
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        Ok(stream::iter(self.entries()).map(Ok).boxed())
    }

    async fn append(&self, entry: Entry) -> Result<u64> {
        let mut entries = self.lock();
        entries.push(entry);
        Ok(entries.len() as u64 - 1)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
