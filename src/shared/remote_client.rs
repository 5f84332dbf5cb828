//! The side of the leader: asks for calls that others make, and waits for them.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::queue::{CallQueue, Finished, Put};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::postgres::Channel;
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// A notification may be lost with its connection; after this time it is looked all the same.
const POLL: Duration = Duration::from_secs(1);

/// Where the leader of a run waits for the calls it has asked for.
#[derive(Debug)]
pub(super) struct RemoteCalls {
    queue: CallQueue,
    /// The term in whose name calls are asked for.
    term: i64,
    pending: Mutex<Pending>,
    /// Wakes for calls that are to be asked for, and for calls that were there.
    asked: Notify,
    found: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    /// To be asked for; together, since each time costs the database a trip to its disk.
    asked: HashMap<u64, ChatRequest>,
    /// Being asked for. No result is passed on before the database has confirmed it: the row of a call whose answer
    /// is known may be gone a moment later, and asking once more after a broken connection would have it made again.
    asking: HashSet<u64>,
    /// Whether a result was left for later because of that.
    left: bool,
    waiting: HashMap<u64, oneshot::Sender<Finished>>,
    /// The attempts whose failure was told, by call: asked for again, such a call is a new attempt.
    failed: HashMap<u64, i32>,
}

/// Why nothing more is served.
enum Closed {
    Failed(Error),
    Superseded,
}

impl From<Error> for Closed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl RemoteCalls {
    pub(super) fn new(queue: CallQueue, term: i64) -> Self {
        Self {
            queue,
            term,
            pending: Mutex::default(),
            asked: Notify::new(),
            found: Notify::new(),
        }
    }

    /// Returns a client of this name, whose calls are made elsewhere.
    pub(super) fn client(self: &Arc<Self>, model: impl Into<String>) -> RemoteClient {
        RemoteClient {
            calls: Arc::clone(self),
            model: model.into(),
        }
    }

    /// Asks for calls and hands out their results, until another process leads the run.
    ///
    /// # Errors
    ///
    /// Where the database cannot be asked any more.
    pub(super) async fn serve(&self) -> Result<()> {
        let closed = tokio::select! {
            Err(closed) = self.ask() => closed,
            Err(closed) = self.collect() => closed,
        };
        match closed {
            Closed::Failed(error) => Err(error),
            Closed::Superseded => Ok(()),
        }
    }

    async fn ask(&self) -> Result<Infallible, Closed> {
        loop {
            self.asked.notified().await;
            let (asked, failed) = self.pending().take_asked();
            let mut puts = Vec::new();
            if !asked.is_empty() {
                puts.push(self.queue.put(self.term, &asked).await?);
            }
            if !failed.is_empty() {
                puts.push(self.queue.put_again(self.term, &failed).await?);
            }
            if puts.contains(&Put::Superseded) {
                return Err(Closed::Superseded);
            }
            if self.pending().confirmed() || puts.contains(&Put::Found) {
                self.found.notify_one();
            }
        }
    }

    async fn collect(&self) -> Result<Infallible, Closed> {
        let mut done = self.queue.link().heard(Channel::Done);
        loop {
            done.mark_unchanged();
            let keys: Vec<u64> = self.pending().waiting.keys().copied().collect();
            if !keys.is_empty() {
                for finished in self.queue.results(&keys).await? {
                    self.pending().hand_over(finished);
                }
            }
            tokio::select! {
                _ = done.changed() => {}
                () = self.found.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    async fn call(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let key = request.seed;
        let (told, finished) = oneshot::channel();
        {
            // Waited for before it is asked for: a worker may be quicker than the answer of the database.
            let mut pending = self.pending();
            pending.waiting.insert(key, told);
            pending.asked.insert(key, request.clone());
        }
        let waits = Waits { calls: self, key };
        self.asked.notify_one();
        let finished = finished.await.map_err(|_| asked_twice())?;
        drop(waits);
        finished.result
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Maps stay whole even if a caller panics.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Returns the calls that are to be asked for: new ones, and failed attempts that are to be made again.
    fn take_asked(&mut self) -> (Vec<ChatRequest>, Vec<(u64, i32)>) {
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for (key, request) in mem::take(&mut self.asked) {
            self.asking.insert(key);
            match self.failed.get(&key) {
                Some(&attempt) => again.push((key, attempt)),
                None => new.push(request),
            }
        }
        (new, again)
    }

    /// Takes note that what was being asked for is in the database. Returns whether a result was left for now.
    fn confirmed(&mut self) -> bool {
        self.asking.clear();
        mem::take(&mut self.left)
    }

    fn hand_over(&mut self, finished: Finished) {
        let (key, attempt) = (finished.key, finished.attempt);
        if self.asking.contains(&key) {
            self.left = true;
            return;
        }
        // What a failed attempt left is there until the call is asked for again.
        if self.failed.get(&key) == Some(&attempt) {
            return;
        }
        let Some(waiting) = self.waiting.remove(&key) else {
            return;
        };
        match finished.result {
            Ok(_) => self.failed.remove(&key),
            Err(_) => self.failed.insert(key, attempt),
        };
        // The caller may have been stopped; the result stays where it is.
        let _ = waiting.send(finished);
    }
}

/// Forgets a call when nobody waits for it any more.
struct Waits<'a> {
    calls: &'a RemoteCalls,
    key: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut pending = self.calls.pending();
        pending.waiting.remove(&self.key);
        pending.asked.remove(&self.key);
    }
}

fn asked_twice() -> Error {
    Error::new(
        ErrorKind::Plugin,
        "two calls of a run have the same seed; a topic provider must give each its own",
    )
}

/// A model whose calls are made by whichever process of the run claims them.
#[derive(Debug)]
pub(super) struct RemoteClient {
    calls: Arc<RemoteCalls>,
    model: String,
}

#[async_trait]
impl LlmClient for RemoteClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.calls.call(request).await
    }

    fn model(&self) -> &str {
        &self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(key: u64, attempt: i32, result: Result<ChatResponse>) -> Finished {
        Finished {
            key,
            attempt,
            result,
        }
    }

    fn failed() -> Result<ChatResponse> {
        Err(Error::new(ErrorKind::Timeout, "too late"))
    }

    fn asks(pending: &mut Pending, key: u64) -> oneshot::Receiver<Finished> {
        let (told, waits) = oneshot::channel();
        pending.waiting.insert(key, told);
        let request = ChatRequest::new(Vec::new()).with_seed(key);
        pending.asked.insert(key, request);
        waits
    }

    #[test]
    fn a_result_is_not_told_before_the_call_is_known_to_be_asked_for() {
        let mut pending = Pending::default();
        let mut waits = asks(&mut pending, 7);
        assert_eq!(pending.take_asked().0.len(), 1);
        pending.hand_over(finished(7, 1, Ok(ChatResponse::new("early"))));
        assert!(waits.try_recv().is_err());
        assert!(pending.confirmed(), "it is to be looked for again");
        pending.hand_over(finished(7, 1, Ok(ChatResponse::new("early"))));
        assert!(waits.try_recv().is_ok());
        assert!(!pending.confirmed());
    }

    #[test]
    fn a_call_that_failed_is_asked_for_as_its_next_attempt() {
        let mut pending = Pending::default();
        let mut waits = asks(&mut pending, 7);
        pending.take_asked();
        pending.confirmed();
        pending.hand_over(finished(7, 1, failed()));
        assert!(waits.try_recv().expect("it is told").result.is_err());

        let mut waits = asks(&mut pending, 7);
        let (new, again) = pending.take_asked();
        assert_eq!((new.len(), again), (0, vec![(7, 1)]));
        pending.confirmed();
        // What the first attempt left is read once more.
        pending.hand_over(finished(7, 1, failed()));
        assert!(waits.try_recv().is_err());
        pending.hand_over(finished(7, 2, Ok(ChatResponse::new("at last"))));
        assert!(waits.try_recv().expect("it is told").result.is_ok());
        assert!(pending.failed.is_empty());
    }
}
