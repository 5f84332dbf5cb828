//! A journal in one file.
//!
//! How the file is laid out, what is promised and how to read it by hand is in `docs/journal.md`.

#[cfg(feature = "testing")]
mod abort;
mod ahead;
mod codec;
mod committer;
mod for_input;
mod frame;
mod open;
mod reader;
mod scan;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};

use self::ahead::entries_ahead;
use self::committer::Committer;
use self::open::open;
use super::{CallNote, Entry, Journal};
use crate::error::Result;

pub use for_input::{MovedJournal, OpenedJournal};
pub use reader::JournalReader;

/// What an append waits for, and so what a power failure may cost.
///
/// Whatever is chosen, nothing is lost when only the process dies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The disk: nothing that was appended is lost. Appends that arrive while the disk is at work share its next
    /// turn, so that many calls in flight cost few syncs.
    #[default]
    Synced,
    /// The system, which is told to write to the disk within this time: so much time's answers may be lost.
    Within(Duration),
    /// The system, which writes to the disk when it likes, mostly within a minute; the journal syncs when it is
    /// closed.
    System,
}

/// Keeps a run in a file that grows at its end and is never changed before it.
///
/// A run that is killed and started again with the same journal goes on where it was: no answer that was
/// appended is asked for again. Only one process at a time may have the file open.
///
/// ```no_run
/// use std::time::Duration;
/// use topicloom::journal::{Durability, FileJournal};
///
/// // After a power failure, ask again for at most the last second's answers.
/// let journal = FileJournal::open("run.journal")?
///     .with_durability(Durability::Within(Duration::from_secs(1)));
/// # Ok::<(), topicloom::Error>(())
/// ```
///
/// Not promised: that damage by others can be undone. What a crash cut off at the end is dropped when the file is
/// opened; any other damage is an error that names the byte. Where a relaxed [`Durability`] meets a power
/// failure, that may be such damage.
pub struct FileJournal {
    path: PathBuf,
    durability: Durability,
    committer: Mutex<Arc<Committer>>,
}

impl FileJournal {
    /// Opens a journal, creating it if there is none, and reads through it once to find its end. Blocks
    /// meanwhile: a fraction of a second for a million entries.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or written, is damaged, is no journal, or is open elsewhere.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let (path, durability) = (path.into(), Durability::default());
        let committer = Mutex::new(Arc::new(open(&path, durability)?));
        Ok(Self {
            path,
            durability,
            committer,
        })
    }

    /// Sets what an append waits for. Default: [`Durability::Synced`].
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self.committer().set_durability(durability);
        self
    }

    /// Returns where the journal is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn committer(&self) -> Arc<Committer> {
        Arc::clone(&self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Arc<Committer>> {
        self.committer.lock().expect("opening does not panic")
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        self.committer().leave();
    }
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal")
            .field("path", &self.path)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        let committer = {
            let mut committer = self.locked();
            // A pipeline that runs once more begins here.
            if !committer.is_open() {
                *committer = Arc::new(open(&self.path, self.durability)?);
            }
            Arc::clone(&committer)
        };
        Ok(entries_ahead(committer).boxed())
    }

    async fn append(&self, entry: Entry) -> Result<u64> {
        self.committer().append(entry).await
    }

    async fn note(&self, call: CallNote) -> Result<()> {
        self.committer().note(call).await
    }

    fn is_lost(&self) -> bool {
        self.committer().is_lost()
    }

    async fn close(&self) -> Result<()> {
        self.committer().close().await
    }
}
