//! The situations a call can come into.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::llm::LlmClient;

type Count = Box<dyn Fn() -> u64 + Send + Sync>;

/// A client in some situation, and what can be known of its backend.
pub struct Scene {
    pub(super) client: Arc<dyn LlmClient>,
    pub(super) calls: Option<Count>,
    pub(super) in_flight: Option<Count>,
    /// What has to live as long as the client.
    pub(super) keep: Option<Box<dyn std::any::Any + Send + Sync>>,
}

impl Scene {
    /// Takes a client.
    #[must_use]
    pub fn new(client: impl LlmClient) -> Self {
        Self {
            client: Arc::new(client),
            calls: None,
            in_flight: None,
            keep: None,
        }
    }

    /// Says how many calls have reached the backend so far, so that it can be checked that a call is one attempt.
    #[must_use]
    pub fn calls(mut self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.calls = Some(Box::new(count));
        self
    }

    /// Says how many calls the backend is working on, so that it can be checked that a dropped call stops.
    #[must_use]
    pub fn in_flight(mut self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.in_flight = Some(Box::new(count));
        self
    }

    /// Keeps this until the scene is over, such as the server that plays the backend.
    #[must_use]
    pub fn keep(mut self, what: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(what));
        self
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("client", &self.client)
            .field("calls", &self.calls.is_some())
            .field("in_flight", &self.in_flight.is_some())
            .field("keeps", &self.keep.is_some())
            .finish()
    }
}

/// A situation that a call can come into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Situation {
    /// The backend asks to slow down, for this long where it says so.
    RateLimited(Option<Duration>),
    /// No credit is left.
    NoCredit,
    /// The key is wrong.
    BadKey,
    /// The model is unknown.
    UnknownModel,
    /// The backend has too much to do, or fails.
    Overloaded,
    /// The connection breaks off, or nobody is there.
    Disconnected,
    /// The answer is not in the format it should be in.
    Malformed,
    /// There is nothing in the answer, which cost nothing.
    Empty,
    /// The request does not fit into the model's context.
    ContextLength,
    /// The backend refuses the schema.
    SchemaRefused,
    /// The answer runs into the output limit.
    CutOff,
    /// The model declines.
    Refusal,
    /// The content filter stops the answer.
    Filtered,
    /// No answer comes, ever.
    Hanging,
}

impl Situation {
    /// Returns every situation.
    #[must_use]
    pub fn all() -> [Self; 14] {
        [
            Self::RateLimited(None),
            Self::NoCredit,
            Self::BadKey,
            Self::UnknownModel,
            Self::Overloaded,
            Self::Disconnected,
            Self::Malformed,
            Self::Empty,
            Self::ContextLength,
            Self::SchemaRefused,
            Self::CutOff,
            Self::Refusal,
            Self::Filtered,
            Self::Hanging,
        ]
    }

    /// Returns its name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimited(_) => "a rate limit",
            Self::NoCredit => "no credit",
            Self::BadKey => "a wrong key",
            Self::UnknownModel => "an unknown model",
            Self::Overloaded => "an overloaded backend",
            Self::Disconnected => "a broken connection",
            Self::Malformed => "a malformed answer",
            Self::Empty => "an empty answer",
            Self::ContextLength => "a full context",
            Self::SchemaRefused => "a refused schema",
            Self::CutOff => "an answer that is cut off",
            Self::Refusal => "a refusal",
            Self::Filtered => "a filtered answer",
            Self::Hanging => "a call that is dropped",
        }
    }
}
