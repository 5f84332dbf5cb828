//! Asks the next model when one is out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::common_capabilities;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};

/// A model that was overloaded or unreachable is tried again after this time: longer than a usual rate-limit
/// window, shorter than most outages.
const OUT_FOR: Duration = Duration::from_secs(90);

/// Asks the next model when one is out.
///
/// | the error of a model | what follows |
/// |--|--|
/// | key, quota, unknown model, where that is fatal | the model is out permanently, and the next one is asked |
/// | rate limit, overload, time-out, network, unavailable | it is out for 90 seconds, and the next one is asked |
/// | too long, filtered, malformed, empty, schema refused, or anything else that is not fatal | the next one is asked this time |
/// | anything else | the error is returned: another model would not help |
///
/// Where all models are out, those that are out for a time are asked all the same, in order. The last error
/// is returned where none answers.
///
/// Put it outside of [`Retrying`](super::Retrying), with each model's layers inside, so that an error that
/// arrives here is one that retrying could not repair; see
/// [the order of layers](crate::llm::layers#the-order). Answers name their model in `provider_model`.
///
/// ```
/// use topicloom::llm::layers::Fallback;
/// # use topicloom::llm::LlmClient;
/// # fn example(first: impl LlmClient, second: impl LlmClient) {
/// let client = Fallback::new(first).then(second);
/// # }
/// ```
#[derive(Debug)]
pub struct Fallback {
    models: Vec<Model>,
}

#[derive(Debug)]
struct Model {
    client: Arc<dyn LlmClient>,
    out: Mutex<Out>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    No,
    Until(Instant),
    ForGood,
}

impl Fallback {
    /// Creates a chain of one model.
    pub fn new(first: impl LlmClient) -> Self {
        Self { models: Vec::new() }.then(first)
    }

    /// Adds the model to ask when those before it are out.
    #[must_use]
    pub fn then(mut self, next: impl LlmClient) -> Self {
        self.models.push(Model {
            client: Arc::new(next),
            out: Mutex::new(Out::No),
        });
        self
    }

    /// The models in the order to ask them now, settled before the first is asked.
    fn order(&self) -> Vec<&Model> {
        let now = Instant::now();
        let rank = |model: &&Model| match model.out() {
            Out::Until(until) if until > now => 1,
            Out::ForGood => 2,
            _ => 0,
        };
        let mut order: Vec<_> = self.models.iter().collect();
        order.sort_by_key(rank);
        let hopeful = order
            .iter()
            .filter(|model| model.out() != Out::ForGood)
            .count();
        order.truncate(hopeful.max(1));
        order
    }
}

impl Model {
    fn out(&self) -> Out {
        *self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_out(&self, out: Out) {
        *self.out.lock().unwrap_or_else(PoisonError::into_inner) = out;
    }

    /// Takes note of an error. Returns whether the next model may do better.
    fn failed(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::UnknownModel if error.is_fatal() => {
                self.set_out(Out::ForGood);
            }
            ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::Timeout
            | ErrorKind::Network
            | ErrorKind::Unavailable => self.set_out(Out::Until(Instant::now() + OUT_FOR)),
            ErrorKind::ContextLength
            | ErrorKind::ContentFilter
            | ErrorKind::Malformed
            | ErrorKind::Empty
            | ErrorKind::SchemaRefused => {}
            // A slip of a model that answered before.
            _ if !error.is_fatal() => {}
            _ => return false,
        }
        true
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Fallback {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut last = None;
        for model in self.order() {
            match model.client.complete(request).await {
                Ok(response) => {
                    model.set_out(Out::No);
                    return Ok(response);
                }
                Err(error) if model.failed(&error) => {
                    tracing::warn!(
                        model = model.client.model(),
                        kind = error.kind().as_str(),
                        "a model is out"
                    );
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("there is at least one model, and each was asked"))
    }

    /// Returns the name of the first model.
    fn model(&self) -> &str {
        self.models[0].client.model()
    }

    /// Returns what all models can do.
    fn capabilities(&self) -> Capabilities {
        common_capabilities(self.models.iter().map(|model| model.client.capabilities()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::layers::test_client::{TestClient, request};

    fn failing(kinds: &[ErrorKind]) -> Arc<TestClient> {
        let errors = kinds.iter().map(|kind| Err(Error::new(*kind, "no answer")));
        Arc::new(TestClient::answering(errors.collect()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_without_credit_is_never_asked_again() {
        let (first, second) = (failing(&[ErrorKind::Quota]), failing(&[]));
        let client = Fallback::new(Arc::clone(&first)).then(Arc::clone(&second));
        for _ in 0..3 {
            assert!(client.complete(&request()).await.is_ok());
            tokio::time::advance(Duration::from_secs(3_600)).await;
        }
        assert_eq!((first.calls(), second.calls()), (1, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overloaded_model_is_asked_again_after_a_while() {
        let (first, second) = (failing(&[ErrorKind::Overloaded]), failing(&[]));
        let client = Fallback::new(Arc::clone(&first)).then(Arc::clone(&second));
        for _ in 0..3 {
            assert!(client.complete(&request()).await.is_ok());
        }
        assert_eq!((first.calls(), second.calls()), (1, 3));
        tokio::time::advance(OUT_FOR).await;
        assert!(client.complete(&request()).await.is_ok());
        assert_eq!((first.calls(), second.calls()), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_the_request_moves_on_but_keeps_the_model() {
        let (first, second) = (failing(&[ErrorKind::ContextLength]), failing(&[]));
        let client = Fallback::new(Arc::clone(&first)).then(Arc::clone(&second));
        assert!(client.complete(&request()).await.is_ok());
        assert!(client.complete(&request()).await.is_ok());
        assert_eq!((first.calls(), second.calls()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_model_would_not_repair_is_returned() {
        for kind in [
            ErrorKind::Budget,
            ErrorKind::Cancelled,
            ErrorKind::BadRequest,
            ErrorKind::Config,
        ] {
            let (first, second) = (failing(&[kind]), failing(&[]));
            let client = Fallback::new(first).then(Arc::clone(&second));
            assert_eq!(client.complete(&request()).await.unwrap_err().kind(), kind);
            assert_eq!(second.calls(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_out_the_last_error_tells() {
        let first = failing(&[ErrorKind::Quota]);
        let second = failing(&[
            ErrorKind::Overloaded,
            ErrorKind::Overloaded,
            ErrorKind::Auth,
            ErrorKind::Auth,
        ]);
        let client = Fallback::new(Arc::clone(&first)).then(Arc::clone(&second));
        for kind in [
            ErrorKind::Overloaded,
            ErrorKind::Overloaded,
            ErrorKind::Auth,
        ] {
            assert_eq!(client.complete(&request()).await.unwrap_err().kind(), kind);
        }
        // Both are out permanently: the first one says so, and perhaps has credit again.
        assert!(client.complete(&request()).await.is_ok());
        assert_eq!((first.calls(), second.calls()), (2, 3));
    }
}
