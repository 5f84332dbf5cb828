//! Tries a failed call again, when the failure says that this may help.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::trust::{Doubt, Trust};
use crate::embedding::{Embedder, PLAIN_TEXT, is_refusal, may_be_of_texts};
use crate::error::{Error, Result, Retry};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};
use crate::random::Random;

/// How often a call is made that is refused by a key and model that answered before.
const REFUSED_ATTEMPTS: u32 = 4;

/// How often a text is tried by itself before another is, to tell whether it is the text that fails or the server.
const ATTEMPTS_AT_A_TEXT: u32 = 3;

/// Tries a call again after a delay, as long as its error allows it.
///
/// - [`Retry::After`] is obeyed to the letter, up to [`longest_wait`](Self::longest_wait). A provider that
///   asks for more gets no retry, and the error says so.
/// - [`Retry::Backoff`] waits a random time from zero to a bound that doubles with each attempt ("full
///   jitter", which spreads calls that failed together), drawn from a seeded generator.
/// - [`Retry::Never`] and fatal errors are returned at once, with one exception: a key and a model that answered
///   before are not wrong. A refusal of theirs is tried again after a pause, and costs its call alone. When they are
///   refused several times over several seconds with no answer between, the refusal is returned as it is.
///
/// When the attempts are used up the last error is returned, no longer retryable, and fatal only if it was
/// before: the call is lost, the run goes on. The same happens to answers that were paid and cannot be read, when so
/// many come in a row that trying again is throwing money after them. When none of the first prompts fits into the model's
/// context, that is fatal.
///
/// Put it outside of everything that holds a permit or a reservation, so that nothing is held while it
/// waits. See [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use std::time::Duration;
/// use topicloom::llm::layers::Retrying;
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Retrying::new(client)
///     .max_attempts(5)
///     .longest_wait(Duration::from_secs(30))
///     .seed(7);
/// # }
/// ```
pub struct Retrying<C> {
    inner: C,
    policy: Policy,
    jitter: Mutex<Random>,
    trust: Trust,
    watch: Option<Arc<Watch>>,
}

/// Is told which model is asked again, and after how long.
type Watch = dyn Fn(&str, Duration) + Send + Sync;

impl<C: fmt::Debug> fmt::Debug for Retrying<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<C> Retrying<C> {
    /// Creates a layer with the default policy: 8 attempts, delays up to 0.5 s that double up to 30 s.
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            policy: Policy::default(),
            jitter: Mutex::new(Random::new(0)),
            trust: Trust::default(),
            watch: None,
        }
    }

    /// Sets how often a call is made at most, the first time included. The default is 8: with the default
    /// delays the retries then span up to a minute, the window in which most providers count.
    ///
    /// 0 means 1, since a call that is never made has no answer.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts.max(1);
        self
    }

    /// Sets the bounds of the random delay: the first, and the one it stops doubling at. The defaults are
    /// 0.5 s, as in the clients that providers publish, and 30 s, half of a usual rate-limit window.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.policy.first_delay = first;
        self.policy.longest_delay = longest;
        self
    }

    /// Sets the longest delay that is obeyed when a provider asks for one. The default is 120 s, the most
    /// that any provider's own client waits (openai-python, August 2026; others stop at 60 s).
    #[must_use]
    pub fn longest_wait(mut self, longest: Duration) -> Self {
        self.policy.longest_wait = longest;
        self
    }

    /// Sets the seed of the jitter. The default is 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.jitter = Mutex::new(Random::new(seed));
        self
    }

    /// Tells of each wait before a call is made again: of which model, and how long. By default nobody is told.
    #[must_use]
    pub fn watched_by(mut self, watch: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    fn next(&self, error: &Error, attempt: u32) -> Next {
        let mut jitter = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        self.policy.next(error, attempt, &mut jitter)
    }

    /// Returns whether an embedder passes a plain text where it failed at these.
    async fn passes_another(&self, texts: &[&str]) -> Result<bool>
    where
        C: Embedder,
    {
        if texts == [PLAIN_TEXT] {
            return Ok(false);
        }
        match self.inner.embed(&[PLAIN_TEXT]).await {
            Err(error) if error.is_fatal() => Err(error),
            result => Ok(result.is_ok()),
        }
    }

    /// Waits before the next attempt, or returns the error of the last one.
    async fn wait(&self, model: &str, error: Error, attempt: u32) -> Result<()> {
        let (error, next) = match self.trust.failed(&error, Instant::now()) {
            Doubt::None => {
                let next = self.next(&error, attempt);
                (error, next)
            }
            Doubt::Refusal => {
                let error = error.with_fatal(false).with_retry(Retry::Backoff);
                let next = self.policy.after_refusal(attempt);
                (error, next)
            }
            Doubt::AllAnswers => (error, Next::Exhausted),
            Doubt::AllPrompts => (error.with_fatal(true), Next::AsItIs),
        };
        if let (Some(watch), Next::Wait(delay)) = (&self.watch, &next) {
            watch(model, *delay);
        }
        match next {
            Next::Wait(delay) => {
                tracing::debug!(
                    model,
                    kind = error.kind().as_str(),
                    attempt,
                    ?delay,
                    "trying again"
                );
                sleep(delay).await;
                Ok(())
            }
            Next::AsItIs => Err(error),
            Next::Exhausted => Err(error
                .with_retry(Retry::Never)
                .with_context("attempts", attempt.to_string())),
            Next::TooLong(asked) => Err(error
                .with_retry(Retry::Never)
                .with_context("asked_to_wait", format!("{asked:?}"))
                .with_context("longest_wait", format!("{:?}", self.policy.longest_wait))),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Retrying<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut attempt = 1;
        loop {
            match self.inner.complete(request).await {
                Ok(response) => {
                    self.trust.answered();
                    return Ok(response);
                }
                Err(error) => self.wait(self.inner.model(), error, attempt).await?,
            }
            attempt += 1;
        }
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// Retries an embedder as it does a model, but for what may be the fault of a text.
///
/// Several texts that are refused are not tried again, and those that a server fails at once only, since
/// [`Batched`](crate::embedding::Batched) asks for their halves. A single one that keeps failing is given up as soon as a text
/// that every model embeds passes in its place.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: Embedder> Embedder for Retrying<E> {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut attempt = 1;
        loop {
            let error = match self.inner.embed(texts).await {
                Ok(vectors) => {
                    self.trust.answered();
                    return Ok(vectors);
                }
                Err(error) => error,
            };
            let may_be_of_texts = may_be_of_texts(&error);
            if may_be_of_texts && texts.len() > 1 && (attempt > 1 || is_refusal(&error)) {
                return Err(error);
            }
            if may_be_of_texts
                && attempt == ATTEMPTS_AT_A_TEXT
                && self.passes_another(texts).await?
            {
                return Err(error.with_text_at_fault());
            }
            if let Err(error) = self.wait(self.inner.name(), error, attempt).await {
                let is_of_text = may_be_of_texts && self.passes_another(texts).await?;
                return Err(if is_of_text {
                    error.with_text_at_fault()
                } else {
                    error
                });
            }
            attempt += 1;
        }
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    max_attempts: u32,
    first_delay: Duration,
    longest_delay: Duration,
    longest_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            longest_wait: Duration::from_secs(120),
        }
    }
}

/// What follows from a failed attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Wait(Duration),
    AsItIs,
    Exhausted,
    TooLong(Duration),
}

impl Policy {
    fn next(&self, error: &Error, attempt: u32, jitter: &mut Random) -> Next {
        if error.is_fatal() {
            return Next::AsItIs;
        }
        match error.retry() {
            Retry::Never => Next::AsItIs,
            Retry::After(asked) if asked > self.longest_wait => Next::TooLong(asked),
            _ if attempt >= self.max_attempts => Next::Exhausted,
            Retry::After(asked) => Next::Wait(asked),
            Retry::Backoff => Next::Wait(self.bound(attempt).mul_f64(jitter.unit_f64())),
        }
    }

    /// What follows from a refusal that is probably a slip: a pause that no jitter shortens, a few times. A request that
    /// is refused each time is refused for what is in it.
    fn after_refusal(&self, attempt: u32) -> Next {
        if attempt >= self.max_attempts.min(REFUSED_ATTEMPTS) {
            Next::Exhausted
        } else {
            Next::Wait(self.bound(attempt + 1))
        }
    }

    /// The longest delay after this many attempts.
    fn bound(&self, attempts: u32) -> Duration {
        2_u32
            .checked_pow(attempts.saturating_sub(1))
            .and_then(|factor| self.first_delay.checked_mul(factor))
            .map_or(self.longest_delay, |bound| bound.min(self.longest_delay))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::error::ErrorKind;
    use crate::llm::layers::test_client::{TestClient, request};

    fn failing(errors: Vec<Error>) -> TestClient {
        TestClient::answering(errors.into_iter().map(Err).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_the_provider_asks_for_is_obeyed_to_the_letter() {
        let slow_down = Error::new(ErrorKind::RateLimited, "slow down")
            .with_retry(Retry::After(Duration::from_millis(7_250)));
        let client = Retrying::new(failing(vec![slow_down]));
        let start = Instant::now();
        assert!(client.complete(&request()).await.is_ok());
        assert_eq!(start.elapsed(), Duration::from_millis(7_250));
        assert_eq!(client.inner.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_beyond_the_longest_wait_is_not_retried_and_the_error_says_so() {
        let tomorrow = Error::new(ErrorKind::RateLimited, "slow down")
            .with_retry(Retry::After(Duration::from_secs(3_600)));
        let client = Retrying::new(failing(vec![tomorrow]));
        let error = client.complete(&request()).await.unwrap_err();
        assert_eq!(client.inner.calls(), 1);
        assert!(!error.is_retryable() && !error.is_fatal());
        assert!(
            error.to_string().contains("asked_to_wait: 3600s"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_attempts_are_used_up_is_lost_but_not_the_run() {
        let errors = (0..9).map(|_| Error::new(ErrorKind::Overloaded, "busy"));
        let client = Retrying::new(failing(errors.collect())).max_attempts(3);
        let error = client.complete(&request()).await.unwrap_err();
        assert_eq!(client.inner.calls(), 3);
        assert!(!error.is_retryable() && !error.is_fatal());
        assert!(error.to_string().contains("attempts: 3"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_succeed_is_not_tried_again() {
        let fatal_though_retryable = Error::new(ErrorKind::Overloaded, "gone").with_fatal(true);
        for error in [
            Error::new(ErrorKind::Quota, "no credit"),
            Error::new(ErrorKind::ContextLength, "too long"),
            fatal_though_retryable,
        ] {
            let client = Retrying::new(failing(vec![error]));
            assert!(client.complete(&request()).await.is_err());
            assert_eq!(client.inner.calls(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_a_model_that_answered_before_costs_its_call_alone() {
        let refused = |kind| Err(Error::new(kind, "no"));
        let mut script = vec![Ok(ChatResponse::new("x")), refused(ErrorKind::Auth)];
        script.push(Ok(ChatResponse::new("x")));
        script.extend((0..4).map(|_| refused(ErrorKind::BadRequest)));
        let client = Retrying::new(TestClient::answering(script));
        assert!(client.complete(&request()).await.is_ok());
        let start = Instant::now();
        assert!(client.complete(&request()).await.is_ok());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        let error = client.complete(&request()).await.unwrap_err();
        assert!(!error.is_fatal() && !error.is_retryable(), "{error:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(1 + 1 + 2 + 4));
        assert_eq!(client.inner.calls(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_stays_ends_the_run() {
        let mut script = vec![Ok(ChatResponse::new("x"))];
        script.extend((0..99).map(|_| Err(Error::new(ErrorKind::Auth, "no"))));
        let client = Retrying::new(TestClient::answering(script));
        assert!(client.complete(&request()).await.is_ok());
        assert!(!client.complete(&request()).await.unwrap_err().is_fatal());
        assert!(client.complete(&request()).await.unwrap_err().is_fatal());
        assert_eq!(client.inner.calls(), 1 + 4 + 1);
    }

    #[test]
    fn the_delay_is_spread_from_zero_to_a_bound_that_doubles() {
        let policy = Policy::default();
        let error = Error::new(ErrorKind::Overloaded, "busy");
        let mut jitter = Random::new(3);
        for (attempt, bound_ms) in [(1, 500), (2, 1_000), (3, 2_000), (6, 16_000), (7, 30_000)] {
            let bound = Duration::from_millis(bound_ms);
            assert_eq!(policy.bound(attempt), bound);
            let delays: Vec<_> = (0..100)
                .map(|_| match policy.next(&error, attempt, &mut jitter) {
                    Next::Wait(delay) => delay,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(delays.iter().all(|delay| *delay < bound));
            assert!(delays.iter().any(|delay| *delay < bound / 4));
            assert!(delays.iter().any(|delay| *delay > bound * 3 / 4));
        }
        assert_eq!(policy.bound(u32::MAX), policy.longest_delay);
    }

    /// Is down for its first calls, and never takes one text.
    #[derive(Debug, Default)]
    struct Picky {
        down_for: usize,
        never: &'static str,
        kind: Option<ErrorKind>,
        calls: Mutex<Vec<Vec<String>>>,
    }

    #[async_trait]
    impl Embedder for Picky {
        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            let mut calls = self.calls.lock().unwrap();
            calls.push(texts.iter().map(ToString::to_string).collect());
            if calls.len() <= self.down_for || texts.contains(&self.never) {
                let kind = self.kind.unwrap_or(ErrorKind::Overloaded);
                return Err(Error::new(kind, "no"));
            }
            Ok(vec![vec![1.0]; texts.len()])
        }

        fn name(&self) -> &'static str {
            "picky"
        }
    }

    async fn embed(picky: Picky, texts: &[&str]) -> (Result<Vec<Vec<f32>>>, Vec<Vec<String>>) {
        let client = Retrying::new(picky);
        let result = client.embed(texts).await;
        let calls = std::mem::take(&mut *client.inner.calls.lock().unwrap());
        (result, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn texts_that_may_be_halved_are_hardly_tried_again() {
        for (kind, tried) in [
            (ErrorKind::BadRequest, 1),
            (ErrorKind::ContextLength, 1),
            (ErrorKind::Overloaded, 2),
            (ErrorKind::Malformed, 2),
            (ErrorKind::Network, 8),
        ] {
            let picky = Picky {
                never: "bad",
                kind: Some(kind),
                ..Picky::default()
            };
            let (result, calls) = embed(picky, &["good", "bad"]).await;
            assert_eq!((result.unwrap_err().kind(), calls.len()), (kind, tried));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_is_given_up_when_another_passes_in_its_place() {
        for kind in [
            ErrorKind::Overloaded,
            ErrorKind::Malformed,
            ErrorKind::BadRequest,
            ErrorKind::ContextLength,
        ] {
            let picky = Picky {
                never: "bad",
                kind: Some(kind),
                ..Picky::default()
            };
            let (result, calls) = embed(picky, &["bad"]).await;
            let error = result.unwrap_err();
            assert!(error.is_of_its_text() && !error.is_fatal(), "{error}");
            assert_eq!(calls.last().unwrap(), &[PLAIN_TEXT]);
            assert!(calls.len() <= 4, "{calls:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_is_no_texts_fault() {
        let down_for = |down_for| Picky {
            down_for,
            ..Picky::default()
        };
        let (result, calls) = embed(down_for(usize::MAX), &["good"]).await;
        assert!(!result.unwrap_err().is_of_its_text());
        assert_eq!(calls.len(), 8 + 2);
        let (result, _) = embed(down_for(6), &["good"]).await;
        result.expect("it is up again");
        let (result, calls) = embed(down_for(usize::MAX), &[PLAIN_TEXT]).await;
        assert!(!result.unwrap_err().is_of_its_text());
        assert_eq!(calls.len(), 8);
    }
}
