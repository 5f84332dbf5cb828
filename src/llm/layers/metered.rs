//! Reports every attempt, whatever became of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::{ErrorKind, Result};
use crate::llm::{
    Attempt, AttemptLog, Capabilities, ChatRequest, ChatResponse, FinishReason, LlmClient, Purpose,
    Usage,
};

/// Is told of every attempt of a [`Metered`] client.
///
/// A closure that takes a [`CallOutcome`] is one:
///
/// ```
/// use std::sync::Arc;
/// use topicloom::llm::layers::{CallOutcome, Metered};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Metered::new(client, Arc::new(|call: &CallOutcome<'_>| {
///     println!("{} took {:?}", call.model, call.latency);
/// }));
/// # }
/// ```
///
/// # For implementors
///
/// Each [`started`](Self::started) is followed by exactly one [`finished`](Self::finished), so calls are
/// answers plus failures plus cancelled calls, always. Both may be called concurrently, and inside a future
/// that is being dropped: be quick, do not block, do not panic.
pub trait CallObserver: Send + Sync + 'static {
    /// Is told that an attempt starts. The number returned comes back as [`CallOutcome::id`].
    fn started(&self, model: &str, request: &ChatRequest) -> u64 {
        let _ = (model, request);
        0
    }

    /// Is told how an attempt ended.
    fn finished(&self, call: &CallOutcome<'_>);
}

impl<F> CallObserver for F
where
    F: Fn(&CallOutcome<'_>) + Send + Sync + 'static,
{
    fn finished(&self, call: &CallOutcome<'_>) {
        self(call);
    }
}

/// One attempt and how it ended.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CallOutcome<'a> {
    /// What [`CallObserver::started`] returned.
    pub id: u64,
    /// The model's name, as `provider/model`.
    pub model: &'a str,
    /// What the call was for.
    pub purpose: Purpose,
    /// From sending to the end.
    pub latency: Duration,
    /// How it ended.
    pub end: CallEnd,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEnd {
    /// An answer arrived.
    #[non_exhaustive]
    Answered {
        /// Tokens used, as the provider counted them.
        usage: Usage,
        /// Why the answer ended.
        finish_reason: FinishReason,
    },
    /// No answer arrived.
    #[non_exhaustive]
    Failed {
        /// Why not.
        kind: ErrorKind,
    },
    /// Nobody waited for the answer any more. The provider may bill for it all the same.
    Cancelled,
}

/// Reports every attempt to a [`CallObserver`]: answered, failed, or cancelled because its future was dropped.
///
/// Put it directly around what gives up an attempt, so that latency is the provider's and a time-out is
/// reported as a failure; see [the order of layers](crate::llm::layers#the-order).
pub struct Metered<C> {
    inner: C,
    observer: Arc<dyn CallObserver>,
}

impl<C> Metered<C> {
    /// Creates a layer that reports to this observer.
    pub fn new(inner: C, observer: Arc<dyn CallObserver>) -> Self {
        Self { inner, observer }
    }
}

impl<C: fmt::Debug> fmt::Debug for Metered<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Metered<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut attempt = Sent::start(&*self.observer, self.inner.model(), request);
        let result = self.inner.complete(request).await;
        attempt.end = match &result {
            Ok(response) => CallEnd::Answered {
                usage: response.usage,
                finish_reason: response.finish_reason,
            },
            Err(error) => CallEnd::Failed { kind: error.kind() },
        };
        result
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// Reports its end when dropped, so that no way out is forgotten.
struct Sent<'a> {
    observer: &'a dyn CallObserver,
    id: u64,
    model: &'a str,
    purpose: Purpose,
    time: SystemTime,
    started: Instant,
    attempts: Option<&'a AttemptLog>,
    end: CallEnd,
}

impl<'a> Sent<'a> {
    fn start(observer: &'a dyn CallObserver, model: &'a str, request: &'a ChatRequest) -> Self {
        let attempts = request.attempts.as_ref();
        if let Some(attempts) = attempts {
            attempts.start();
        }
        Self {
            observer,
            id: observer.started(model, request),
            model,
            purpose: request.purpose,
            time: SystemTime::now(),
            started: Instant::now(),
            attempts,
            end: CallEnd::Cancelled,
        }
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let latency = self.started.elapsed();
        self.observer.finished(&CallOutcome {
            id: self.id,
            model: self.model,
            purpose: self.purpose,
            latency,
            end: self.end,
        });
        if let Some(attempts) = self.attempts {
            let failed = match self.end {
                CallEnd::Answered { .. } => None,
                CallEnd::Failed { kind } => Some(kind),
                CallEnd::Cancelled => Some(ErrorKind::Cancelled),
            };
            attempts.end(Attempt::new(failed).sent(self.time, latency));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::timeout;

    use super::*;
    use crate::error::Error;
    use crate::llm::layers::TimedOut;
    use crate::llm::layers::test_client::{TestClient, request};

    #[derive(Default)]
    struct Seen {
        started: AtomicU64,
        ended: Mutex<Vec<(u64, Duration, CallEnd)>>,
    }

    impl CallObserver for Seen {
        fn started(&self, model: &str, request: &ChatRequest) -> u64 {
            assert_eq!((model, request.purpose), ("test/model", Purpose::Records));
            self.started.fetch_add(1, Ordering::Relaxed)
        }

        fn finished(&self, call: &CallOutcome<'_>) {
            let mut ended = self.ended.lock().unwrap();
            ended.push((call.id, call.latency, call.end));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_ends_in_exactly_one_way() {
        let seen = Arc::new(Seen::default());
        let script = vec![
            Ok(ChatResponse::new("x").with_usage(Usage::new(3, 4))),
            Err(Error::new(ErrorKind::Overloaded, "busy")),
        ];
        let client = TestClient::answering(script).taking(Duration::from_secs(2));
        let client = Metered::new(client, Arc::<Seen>::clone(&seen) as _);
        assert!(client.complete(&request()).await.is_ok());
        assert!(client.complete(&request()).await.is_err());
        let dropped = timeout(Duration::from_secs(1), client.complete(&request())).await;
        assert!(dropped.is_err());

        let answered = CallEnd::Answered {
            usage: Usage::new(3, 4),
            finish_reason: FinishReason::Stop,
        };
        let failed = CallEnd::Failed {
            kind: ErrorKind::Overloaded,
        };
        assert_eq!(seen.started.load(Ordering::Relaxed), 3);
        assert_eq!(
            *seen.ended.lock().unwrap(),
            [
                (0, Duration::from_secs(2), answered),
                (1, Duration::from_secs(2), failed),
                (2, Duration::from_secs(1), CallEnd::Cancelled),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn around_a_time_limit_a_time_out_is_a_failure() {
        let seen = Arc::new(Seen::default());
        let slow = TestClient::default().taking(Duration::from_secs(90));
        let limited = TimedOut::new(slow, Duration::from_secs(60));
        let client = Metered::new(limited, Arc::<Seen>::clone(&seen) as _);
        assert!(client.complete(&request()).await.is_err());
        let timed_out = CallEnd::Failed {
            kind: ErrorKind::Timeout,
        };
        let minute = Duration::from_secs(60);
        assert_eq!(*seen.ended.lock().unwrap(), [(0, minute, timed_out)]);
    }
}
