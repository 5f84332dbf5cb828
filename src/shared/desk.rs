//! The side of the driver: asks for calls that others make, and waits for them.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::mem;
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
    books: Mutex<Books>,
    /// Wakes for calls that are to be asked for, and for calls that were there.
    asked: Notify,
    found: Notify,
}

#[derive(Debug, Default)]
struct Books {
    /// To be asked for; together, since each time costs the database a trip to its disk.
    asked: HashMap<u64, ChatRequest>,
    /// Being asked for. Nobody is told of a result before the database has confirmed it: the row of a call whose answer
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

impl Desk {
    pub(super) fn new(leases: Leases, term: i64) -> Self {
        Self {
            leases,
            term,
            books: Mutex::default(),
            asked: Notify::new(),
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

    /// Asks for calls and hands out their results, until another process drives the run.
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
            let (asked, failed) = self.books().take_asked();
            let mut puts = Vec::new();
            if !asked.is_empty() {
                puts.push(self.leases.put(self.term, &asked).await?);
            }
            if !failed.is_empty() {
                puts.push(self.leases.put_again(self.term, &failed).await?);
            }
            if puts.contains(&Put::Superseded) {
                return Err(Closed::Superseded);
            }
            if self.books().confirmed() || puts.contains(&Put::Found) {
                self.found.notify_one();
            }
        }
    }

    async fn collect(&self) -> Result<Infallible, Closed> {
        let mut done = self.leases.link().heard(Channel::Done);
        loop {
            done.mark_unchanged();
            let keys: Vec<u64> = self.books().waiting.keys().copied().collect();
            if !keys.is_empty() {
                for finished in self.leases.results(&keys).await? {
                    self.books().hand_over(finished);
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
            let mut books = self.books();
            books.waiting.insert(key, told);
            books.asked.insert(key, request.clone());
        }
        let waits = Waits { desk: self, key };
        self.asked.notify_one();
        let finished = finished.await.map_err(|_| asked_twice())?;
        drop(waits);
        finished.result
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Maps stay whole whoever panics.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
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
        // Whoever asked may have been stopped; the result stays where it is.
        let _ = waiting.send(finished);
    }
}

/// Forgets a call when nobody waits for it any more.
struct Waits<'a> {
    desk: &'a Desk,
    key: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut books = self.desk.books();
        books.waiting.remove(&self.key);
        books.asked.remove(&self.key);
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

    fn asks(books: &mut Books, key: u64) -> oneshot::Receiver<Finished> {
        let (told, waits) = oneshot::channel();
        books.waiting.insert(key, told);
        let request = ChatRequest::new(Vec::new()).with_seed(key);
        books.asked.insert(key, request);
        waits
    }

    #[test]
    fn a_result_is_not_told_before_the_call_is_known_to_be_asked_for() {
        let mut books = Books::default();
        let mut waits = asks(&mut books, 7);
        assert_eq!(books.take_asked().0.len(), 1);
        books.hand_over(finished(7, 1, Ok(ChatResponse::new("early"))));
        assert!(waits.try_recv().is_err());
        assert!(books.confirmed(), "it is to be looked for again");
        books.hand_over(finished(7, 1, Ok(ChatResponse::new("early"))));
        assert!(waits.try_recv().is_ok());
        assert!(!books.confirmed());
    }

    #[test]
    fn a_call_that_failed_is_asked_for_as_its_next_attempt() {
        let mut books = Books::default();
        let mut waits = asks(&mut books, 7);
        books.take_asked();
        books.confirmed();
        books.hand_over(finished(7, 1, failed()));
        assert!(waits.try_recv().expect("it is told").result.is_err());

        let mut waits = asks(&mut books, 7);
        let (new, again) = books.take_asked();
        assert_eq!((new.len(), again), (0, vec![(7, 1)]));
        books.confirmed();
        // What the first attempt left is read once more.
        books.hand_over(finished(7, 1, failed()));
        assert!(waits.try_recv().is_err());
        books.hand_over(finished(7, 2, Ok(ChatResponse::new("at last"))));
        assert!(waits.try_recv().expect("it is told").result.is_ok());
        assert!(books.failed.is_empty());
    }
}
