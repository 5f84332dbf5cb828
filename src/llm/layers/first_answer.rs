//! Ends a run that cannot begin, within seconds and with a word on what to do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// A server that is just being started, or a name server that stumbles, is given this time and this many attempts.
const GRACE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// A server that shows a web page runs already.
const PAGE_GRACE: Duration = Duration::from_secs(1);

/// Calls that ran out of time with no answer ever. Some of them must have been sent after the first had: a model that
/// is loaded when it is first asked may well answer the next call.
const TIMEOUTS: u32 = 3;

/// What is known of each model before its first answer. Shared by the clients of a run.
#[derive(Debug, Default)]
pub(crate) struct FirstAnswers(Mutex<BTreeMap<String, Contact>>);

#[derive(Debug, Default)]
struct Contact {
    answered: bool,
    reached: bool,
    unreached: Streak,
    timed_out: Streak,
}

#[derive(Debug, Default, Clone, Copy)]
struct Streak {
    first: Option<Instant>,
    count: u32,
}

impl Streak {
    fn add(&mut self, now: Instant) -> Instant {
        self.count += 1;
        *self.first.get_or_insert(now)
    }
}

/// Makes an error fatal that shows, before the first answer, that there will be none.
///
/// - Nobody is reached: nothing listens, the name is not found, the certificate is not trusted, or a web page is all that is
///   there. After the first reply of any kind such an error is one that passes.
/// - Calls run out of time, round after round, and none was ever answered: each may be billed.
///
/// Each error is told as it comes, as it leaves this layer.
///
/// Put it directly around the time-out, so that a call counts from when it is sent.
pub(crate) struct FirstAnswer<C> {
    inner: C,
    known: Arc<FirstAnswers>,
    tell: Arc<Tell>,
}

/// Is told of an attempt that failed: of which model, and how.
pub(crate) type Tell = dyn Fn(&str, &Error) + Send + Sync;

impl<C: fmt::Debug> fmt::Debug for FirstAnswer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<C> FirstAnswer<C> {
    /// Creates a layer that shares what is known.
    pub(crate) fn new(inner: C, known: Arc<FirstAnswers>, tell: Arc<Tell>) -> Self {
        Self { inner, known, tell }
    }
}

impl FirstAnswers {
    fn judge(
        &self,
        model: &str,
        sent: Instant,
        result: Result<ChatResponse>,
    ) -> Result<ChatResponse> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains_key(model) {
            known.insert(model.to_owned(), Contact::default());
        }
        let contact = known.get_mut(model).expect("it was inserted above");
        let now = Instant::now();
        match result {
            Ok(response) => {
                (contact.answered, contact.reached) = (true, true);
                Ok(response)
            }
            Err(error) if error.is_unreached() => {
                let since = contact.unreached.add(now);
                let grace = if error.kind() == ErrorKind::Network {
                    GRACE
                } else {
                    PAGE_GRACE
                };
                let hopeless =
                    !contact.reached && contact.unreached.count >= ATTEMPTS && now - since >= grace;
                Err(error.with_fatal(hopeless))
            }
            Err(error) if error.kind() == ErrorKind::Timeout && !has_status(&error) => {
                let first = contact.timed_out.add(now);
                let count = contact.timed_out.count;
                if contact.answered || count < TIMEOUTS || sent < first {
                    return Err(error);
                }
                Err(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "none of {count} calls was answered in time; raise `task_runner_timeout`, or set `max_tokens` for \
                         shorter answers"
                    ),
                )
                .with_retry(Retry::Never)
                .with_fatal(true)
                .with_context("model", model)
                .with_context("after", format!("{:.1} s", (now - sent).as_secs_f64())))
            }
            Err(error) => {
                contact.reached |= has_status(&error);
                Err(error)
            }
        }
    }
}

/// Whether a server, or a gateway before it, replied.
fn has_status(error: &Error) -> bool {
    error.context().any(|(name, _)| name == "status")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for FirstAnswer<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let sent = Instant::now();
        let result = self.inner.complete(request).await;
        let result = self.known.judge(self.inner.model(), sent, result);
        if let Err(error) = &result {
            (self.tell)(self.inner.model(), error);
        }
        result
    }

    passes_on_the_rest!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::layers::test_client::{TestClient, request};
    use crate::llm::layers::{Retrying, TimedOut};

    fn refused() -> Error {
        Error::new(ErrorKind::Network, "nothing listens").with_unreached()
    }

    fn layered<C: LlmClient>(client: C) -> Retrying<FirstAnswer<C>> {
        let tell = Arc::new(|_: &str, _: &Error| {});
        Retrying::new(FirstAnswer::new(client, Arc::default(), tell))
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_run_ends_the_run_within_seconds() {
        let start = Instant::now();
        let client = layered(TestClient::answering(
            (0..9).map(|_| Err(refused())).collect(),
        ));
        let error = client.complete(&request()).await.unwrap_err();
        assert!(error.is_fatal() && error.is_unreached());
        assert!(start.elapsed() >= GRACE && start.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_only_a_web_page_the_run_ends_too() {
        let page = || Err(Error::new(ErrorKind::Malformed, "a page").with_unreached());
        let client = layered(TestClient::answering((0..9).map(|_| page()).collect()));
        let error = client.complete(&request()).await.unwrap_err();
        assert!(error.is_fatal() && error.message() == "a page");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_just_starting_is_waited_for() {
        let script = (0..3).map(|_| Err(refused())).collect();
        let client = layered(TestClient::answering(script));
        assert!(client.complete(&request()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_replied_once_may_be_restarted() {
        let busy = Error::new(ErrorKind::Overloaded, "busy").with_context("status", "503");
        let refusals = (0..7).map(|_| Err(refused()));
        let script = std::iter::once(Err(busy)).chain(refusals).collect();
        let client = layered(TestClient::answering(script));
        let error = client.complete(&request()).await.unwrap_err();
        assert!(!error.is_fatal(), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_never_answers_in_time_is_not_asked_for_ever() {
        let slow = TestClient::default().taking(Duration::from_secs(90));
        let client = layered(TimedOut::new(slow, Duration::from_secs(60)));
        let start = Instant::now();
        let error = client.complete(&request()).await.unwrap_err();
        assert!(error.is_fatal());
        assert!(error.message().contains("`task_runner_timeout`"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(200));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_run_out_of_time_together_are_one_round() {
        let known = Arc::<FirstAnswers>::default();
        let slow = || Err(Error::new(ErrorKind::Timeout, "too late"));
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..30 {
            let error = known.judge("a/b", sent, slow()).unwrap_err();
            assert!(!error.is_fatal());
        }
        let later = Instant::now();
        assert!(known.judge("a/b", later, slow()).unwrap_err().is_fatal());
        assert!(!known.judge("a/c", later, slow()).unwrap_err().is_fatal());
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_answer_time_outs_pass() {
        let known = Arc::<FirstAnswers>::default();
        let answer = Ok(ChatResponse::new("text"));
        assert!(known.judge("a/b", Instant::now(), answer).is_ok());
        for _ in 0..9 {
            let slow = Err(Error::new(ErrorKind::Timeout, "too late"));
            let error = known.judge("a/b", Instant::now(), slow).unwrap_err();
            assert!(!error.is_fatal());
        }
    }
}
