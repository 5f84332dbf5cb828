//! The side of the driver: asks for calls that others make, and waits for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::leases::{Finished, Leases, Put};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::postgres::Channel;
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// A notification may be lost with its connection; after this time it is looked all the same.
const POLL: Duration = Duration::from_secs(1);

/// Where the driver of a run waits for the calls it has asked for.
#[derive(Debug)]
pub(super) struct Desk {
    leases: Leases,
    /// The term in whose name calls are asked for.
    term: i64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Finished>>>,
    /// The attempts whose failure was told, by call: asked for again, such a call is a new attempt.
    failed: Mutex<HashMap<u64, i32>>,
    /// Wakes for calls that were there.
    found: Notify,
}

impl Desk {
    pub(super) fn new(leases: Leases, term: i64) -> Self {
        Self {
            leases,
            term,
            waiting: Mutex::default(),
            failed: Mutex::default(),
            found: Notify::new(),
        }
    }

    /// Returns a client of this name, whose calls are made elsewhere.
    pub(super) fn client(self: &Arc<Self>, model: impl Into<String>) -> LeasingClient {
        LeasingClient {
            desk: Arc::clone(self),
            model: model.into(),
        }
    }

    /// Hands results to those who wait, for as long as it is polled.
    ///
    /// # Errors
    ///
    /// Where the database cannot be asked any more.
    pub(super) async fn serve(&self) -> Result<()> {
        let mut done = self.leases.link().heard(Channel::Done);
        loop {
            done.mark_unchanged();
            let keys: Vec<u64> = lock(&self.waiting).keys().copied().collect();
            if !keys.is_empty() {
                for finished in self.leases.results(&keys).await? {
                    self.hand_over(finished);
                }
            }
            tokio::select! {
                _ = done.changed() => {}
                () = self.found.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    fn hand_over(&self, finished: Finished) {
        let (key, attempt) = (finished.key, finished.attempt);
        // What a failed attempt left is still there until the call is asked for again.
        if lock(&self.failed).get(&key) == Some(&attempt) {
            return;
        }
        let Some(waiting) = lock(&self.waiting).remove(&key) else {
            return;
        };
        match finished.result {
            Ok(_) => lock(&self.failed).remove(&key),
            Err(_) => lock(&self.failed).insert(key, attempt),
        };
        // Whoever asked may have been stopped; the result stays where it is.
        let _ = waiting.send(finished);
    }

    async fn call(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let key = request.seed;
        // Before it is asked for: a worker may be quicker than the answer of the database.
        let (told, finished) = oneshot::channel();
        lock(&self.waiting).insert(key, told);
        let waits = Waits { desk: self, key };
        let failed = lock(&self.failed).get(&key).copied();
        let put = match failed {
            Some(attempt) => self.leases.put_again(self.term, key, attempt).await?,
            None => self.leases.put(self.term, request).await?,
        };
        if put == Put::Superseded {
            return Err(taken_over());
        }
        // It may have been answered already.
        if put == Put::Found {
            self.found.notify_one();
        }
        let finished = finished.await.map_err(|_| taken_over())?;
        drop(waits);
        finished.result
    }
}

/// Takes a call from the list when nobody waits for it any more.
struct Waits<'a> {
    desk: &'a Desk,
    key: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        lock(&self.desk.waiting).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps of numbers stay whole whoever panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taken_over() -> Error {
    Error::new(ErrorKind::Journal, "another process drives this run now")
}

/// A model whose calls are made by whichever process of the run claims them.
#[derive(Debug)]
pub(super) struct LeasingClient {
    desk: Arc<Desk>,
    model: String,
}

#[async_trait]
impl LlmClient for LeasingClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.desk.call(request).await
    }

    fn model(&self) -> &str {
        &self.model
    }
}
