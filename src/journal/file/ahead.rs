//! Reads entries ahead of replay, so that decoding and replaying go on side by side.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::committer::Committer;
use super::reader::Entries;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Entry;

/// Bytes of entries that are read ahead. Enough that handing them over costs little beside decoding them, and little enough
/// that they are still in the processor's cache when they are judged.
const AHEAD: u64 = 64 << 10;

/// Returns the entries of a journal from the first one on. Two batches are in memory at most.
pub(super) fn entries_ahead(committer: Arc<Committer>) -> impl Stream<Item = Result<Entry>> {
    let first = Ahead::begin(Reading {
        entries: committer.entries(),
        committer,
        last: 0,
    });
    stream::unfold(Some(first), |ahead| async {
        let (batch, rest) = ahead?.finish().await;
        Some((stream::iter(batch), rest.map(Ahead::begin)))
    })
    .flatten()
}

struct Reading {
    committer: Arc<Committer>,
    entries: Entries,
    /// Entries of the batch before.
    last: usize,
}

/// Some entries, and what is left to read.
type Batch = (Vec<Result<Entry>>, Option<Reading>);

impl Reading {
    fn batch(mut self) -> Batch {
        let end = self.entries.offset() + AHEAD;
        let mut batch = Vec::with_capacity(self.last + 1);
        while self.entries.offset() < end {
            match self.committer.read(&mut self.entries) {
                Some(entry) => batch.push(entry),
                None => return (batch, None),
            }
        }
        self.last = batch.len();
        (batch, Some(self))
    }
}

/// A batch that is being read.
enum Ahead {
    Elsewhere(JoinHandle<Batch>),
    /// Outside of a runtime there is no other place.
    Here(Reading),
}

impl Ahead {
    fn begin(reading: Reading) -> Self {
        match Handle::try_current() {
            Ok(runtime) => Self::Elsewhere(runtime.spawn_blocking(|| reading.batch())),
            Err(_) => Self::Here(reading),
        }
    }

    async fn finish(self) -> Batch {
        match self {
            Self::Here(reading) => reading.batch(),
            Self::Elsewhere(batch) => batch.await.unwrap_or_else(|error| {
                let error = Error::new(ErrorKind::Journal, "the journal could not be read on")
                    .with_source(error);
                (vec![Err(error)], None)
            }),
        }
    }
}
