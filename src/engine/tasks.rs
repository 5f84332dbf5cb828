//! The workers in flight.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{Instrument, debug_span};

use super::ledger::Task;
use super::worker::{Brief, End, Workshop};

/// The workers in flight. Dropping it stops them.
pub(super) struct Tasks<T> {
    workshop: Arc<Workshop<T>>,
    running: JoinSet<End<T>>,
    by_worker: HashMap<Id, Task>,
}

impl<T> Tasks<T>
where
    T: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(workshop: Arc<Workshop<T>>) -> Self {
        Self {
            workshop,
            running: JoinSet::new(),
            by_worker: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Sets a worker on a task.
    pub(super) fn spawn(&mut self, mut brief: Brief) {
        let task = brief.task;
        let workshop = Arc::clone(&self.workshop);
        let span = debug_span!("task", id = task.id, topic = task.topic);
        let handle = self
            .running
            .spawn(async move { workshop.work(&mut brief).await }.instrument(span));
        self.by_worker.insert(handle.id(), task);
    }

    /// Returns the next task that ended and how, or `None` when none is in flight. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<(Task, Result<End<T>, JoinError>)> {
        let (id, end) = match self.running.join_next_with_id().await? {
            Ok((id, end)) => (id, Ok(end)),
            Err(error) => (error.id(), Err(error)),
        };
        let task = self
            .by_worker
            .remove(&id)
            .expect("each worker was set on a task");
        Some((task, end))
    }
}
