//! The side of those who make calls: claims some, makes them, tells how they went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::queue::{CallQueue, CallResult, Lease};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::postgres::Channel;
use crate::llm::{LlmClient, Purpose};
use crate::pipeline::ProcessClients;

/// A notification may be lost with its connection, and nobody tells of a deadline that passed: after this time it is
/// looked all the same, while there is room for a call.
const POLL: Duration = Duration::from_secs(1);

/// A lease is renewed so often before its deadline, so that one renewal may fail and one be late.
const RENEWALS: u32 = 3;

/// Makes calls of a run.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) queue: Arc<CallQueue>,
    pub(super) clients: ProcessClients,
    pub(super) concurrency: usize,
    pub(super) lease_time: Duration,
}

/// Takes how a call went, and says when it was told.
type ResultSender = mpsc::Sender<(CallResult, oneshot::Sender<()>)>;

/// The calls that a worker is making. Dropping it stops them.
#[derive(Default)]
struct Calls {
    running: JoinSet<(u64, Result<()>)>,
    by_key: HashMap<u64, AbortHandle>,
}

impl Calls {
    fn begin(&mut self, key: u64, call: impl Future<Output = Result<()>> + Send + 'static) {
        let call = self.running.spawn(async move { (key, call.await) });
        self.by_key.insert(key, call);
    }

    /// Waits until one has ended, and returns how; `None` where there is none.
    async fn next_end(&mut self) -> Option<Result<()>> {
        let ended = match self.running.join_next_with_id().await? {
            Ok((id, (key, ended))) => {
                // The next attempt of a call may have begun before it is seen that this one has ended.
                if self.by_key.get(&key).is_some_and(|call| call.id() == id) {
                    self.by_key.remove(&key);
                }
                ended
            }
            Err(stopped) if stopped.is_cancelled() => Ok(()),
            Err(panic) => Err(panicked(panic)),
        };
        Some(ended)
    }

    fn keys(&self) -> Vec<u64> {
        self.by_key.keys().copied().collect()
    }

    /// Stops those that nobody waits for.
    fn keep(&mut self, waited_for: &[u64]) {
        self.by_key.retain(|key, call| {
            let keep = waited_for.contains(key);
            if !keep {
                call.abort();
            }
            keep
        });
    }
}

impl Worker {
    /// Makes calls for as long as it is polled.
    ///
    /// # Errors
    ///
    /// Where this process can make no more calls: its model refuses it, or the database cannot be reached.
    pub(super) async fn work(&self) -> Result<()> {
        let (results, ends) = mpsc::channel(self.concurrency);
        tokio::try_join!(self.call(results), self.tell(ends)).map(drop)
    }

    /// Claims calls and has them made.
    async fn call(&self, results: ResultSender) -> Result<()> {
        let mut calls = Calls::default();
        let mut work = self.queue.link().heard(Channel::Work);
        let between = self.lease_time / RENEWALS;
        let mut renewal = Instant::now() + between;
        loop {
            let free = self.concurrency.saturating_sub(calls.by_key.len());
            if free > 0 {
                work.mark_unchanged();
                let keys = calls.keys();
                let claimed = self.queue.claim(&self.name, free, self.lease_time, &keys);
                for lease in claimed.await? {
                    self.begin(lease, &results, &mut calls);
                }
            }
            let has_room = calls.by_key.len() < self.concurrency;
            tokio::select! {
                Some(ended) = calls.next_end() => ended?,
                () = sleep_until(renewal) => {
                    let keys = calls.keys();
                    if !keys.is_empty() {
                        let waited_for = self.queue.renew(&self.name, self.lease_time, &keys);
                        calls.keep(&waited_for.await?);
                    }
                    renewal = Instant::now() + between;
                }
                _ = work.changed(), if has_room => {}
                () = sleep(POLL), if has_room => {}
            }
        }
    }

    /// Tells how calls went, those together that end while the ones before are being told: each time costs the
    /// database a trip to its disk.
    async fn tell(
        &self,
        mut ends: mpsc::Receiver<(CallResult, oneshot::Sender<()>)>,
    ) -> Result<()> {
        let mut group = Vec::new();
        while ends.recv_many(&mut group, self.concurrency).await > 0 {
            let (ends, told): (Vec<CallResult>, Vec<_>) = group.drain(..).unzip();
            self.queue.finish(&self.name, &ends).await?;
            for told in told {
                // Of a call that was stopped meanwhile nobody needs to know.
                let _ = told.send(());
            }
        }
        Ok(())
    }

    fn begin(&self, lease: Lease, results: &ResultSender, calls: &mut Calls) {
        let client = match lease.request.purpose {
            Purpose::Topics => &self.clients.topics,
            // A run asks the models of its filters by itself.
            Purpose::Records | Purpose::Filters => &self.clients.records,
        };
        // Beside the loop, so that a database that is gone for a moment keeps no call waiting.
        calls.begin(lease.key, call(Arc::clone(client), results.clone(), lease));
    }
}

/// Makes a call, and waits until it was told how it went.
async fn call(client: Arc<dyn LlmClient>, results: ResultSender, lease: Lease) -> Result<()> {
    let result = match client.complete(&lease.request).await {
        Err(error) if is_own(&error) => return Err(error),
        result => result,
    };
    let (told, heard) = oneshot::channel();
    let end = CallResult::new(&lease, client.model(), result);
    // Where nobody tells any more, the worker has failed, and says so itself.
    if results.send((end, told)).await.is_ok() {
        let _ = heard.await;
    }
    Ok(())
}

/// Whether an error is about this process's way to its model: another's may be fine.
fn is_own(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Auth | ErrorKind::Quota | ErrorKind::UnknownModel | ErrorKind::Config
    )
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Plugin, "a call panicked in its client").with_source(error)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn an_attempt_that_ended_is_not_taken_for_the_next_one_of_its_call() {
        let mut calls = Calls::default();
        calls.begin(7, ready(Ok(())));
        tokio::task::yield_now().await;
        calls.begin(7, pending());
        assert!(calls.next_end().await.expect("one has ended").is_ok());
        assert_eq!(
            calls.keys(),
            [7],
            "or it would be claimed and made once more"
        );
    }
}
