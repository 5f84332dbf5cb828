//! Notes which answers were judged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Entry, JudgedTasks, Log};
use crate::error::Result;

/// Tasks that are noted in the log together.
const NOTED_TOGETHER: usize = 256;

/// Notes in the log which answers were judged, many at a time.
pub(crate) struct JudgedNotes {
    /// A hash of what decides on an answer, but for duplicates.
    pub(crate) by: u128,
    log: Arc<Log>,
    /// Tasks that are not noted yet: those that are not clean, and those that are.
    unnoted: Mutex<[Vec<u64>; 2]>,
}

impl JudgedNotes {
    pub(crate) fn new(by: u128, log: &Arc<Log>) -> Self {
        Self {
            by,
            log: Arc::clone(log),
            unnoted: Mutex::default(),
        }
    }

    /// Notes that the answer to a task was judged.
    pub(crate) async fn add(&self, task: u64, is_clean: bool) -> Result<()> {
        let is_full = {
            let mut unnoted = self.unnoted();
            unnoted[usize::from(is_clean)].push(task);
            unnoted.iter().map(Vec::len).sum::<usize>() >= NOTED_TOGETHER
        };
        match is_full.then(|| self.rest()).flatten() {
            Some(entry) => self.log.append_aside(|| entry).await,
            None => Ok(()),
        }
    }

    /// Takes what is still to be noted.
    pub(crate) fn rest(&self) -> Option<Entry> {
        let [other, clean] = std::mem::take(&mut *self.unnoted());
        let is_empty = other.is_empty() && clean.is_empty();
        (!is_empty).then(|| Entry::Judged(JudgedTasks::new(self.by, clean, other)))
    }

    fn unnoted(&self) -> MutexGuard<'_, [Vec<u64>; 2]> {
        self.unnoted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
