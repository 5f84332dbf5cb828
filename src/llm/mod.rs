//! Models: the trait a backend implements, what it is asked and what it answers.

mod api_key;
mod attempts;
mod backend;
mod calls_under_way;
mod chat;
#[cfg(feature = "providers")]
mod http;
mod known_provider;
pub mod layers;
mod looping;
mod model_name;
pub mod models;
mod no_calls;
mod output_limit;
pub mod price;
mod provider_settings;
pub mod providers;
mod rate_limit;
mod records_format;
mod request_parts;
mod usage;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use crate::rate::RateSnapshot;
pub use api_key::ApiKey;
pub(crate) use attempts::AttemptLog;
pub use attempts::{Attempt, UnconfirmedCost, failures};
pub(crate) use backend::{Backend, Model};
pub(crate) use calls_under_way::CallsUnderWay;
pub use chat::{
    ChatRequest, ChatResponse, FinishReason, Message, OutputFormat, OutputSchema, Parameters,
    Purpose, Role, TaskRef,
};
pub(crate) use looping::{is_loop, unfinished};
pub use model_name::ModelName;
pub(crate) use output_limit::{OutputLimits, OwnLimit, cuts};
pub use provider_settings::ProviderSettings;
pub use providers::OfflineModel;
pub use rate_limit::RateLimit;
pub(crate) use records_format::RecordsFormat;
pub use usage::Usage;

use crate::error::Result;
use crate::schema::Dialect;

/// Asks a language model, one attempt at a time.
///
/// # For implementors
///
/// Make one attempt and say truthfully how it went. Retrying, limiting, timing out, budgeting, caching and
/// recording are layers that the pipeline puts around you; a client that retries by itself multiplies the
/// pipeline's retries.
///
/// - An answer that cost something is a [`ChatResponse`], even if it is useless: cut off, refused, or empty
///   text come back as `Ok` with their [`FinishReason`] and [`Usage`].
/// - A failure is an [`Error`](crate::Error) whose kind, retry and fatality are right: a rate limit carries
///   the delay the provider asked for, a spent budget is `Quota` and not `RateLimited`.
/// - Dropping the future must stop the call.
/// - Calls run concurrently, so keep no state that assumes an order.
///
/// `testing::conformance::llm` checks these promises on your implementation.
///
/// ```
/// use async_trait::async_trait;
/// use topicloom::llm::{ChatRequest, ChatResponse, LlmClient};
///
/// #[derive(Debug)]
/// struct Parrot;
///
/// #[async_trait]
/// impl LlmClient for Parrot {
///     async fn complete(&self, request: &ChatRequest) -> topicloom::Result<ChatResponse> {
///         Ok(ChatResponse::new(request.last_text()))
///     }
///
///     fn model(&self) -> &str {
///         "own/parrot"
///     }
/// }
/// ```
#[async_trait]
pub trait LlmClient: fmt::Debug + Send + Sync + 'static {
    /// Makes one attempt.
    ///
    /// # Errors
    ///
    /// Where no answer arrived, or the provider refused the request.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse>;

    /// Returns the model's name as `provider/model`, for reports, prices and limits.
    fn model(&self) -> &str;

    /// Returns what the backend can do. The default is conservative: text in, text out.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient + ?Sized> LlmClient for Arc<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        (**self).complete(request).await
    }

    fn model(&self) -> &str {
        (**self).model()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
}

/// What a backend can do, so that the pipeline asks for no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The ways of asking for structured output that the backend knows, best first. Asking in the prompt
    /// alone is always possible and need not be listed.
    pub output_modes: &'static [OutputMode],
    /// The part of JSON Schema that the backend understands.
    pub dialect: Dialect,
    /// Whether a prompt prefix is served from the provider's cache only once a first answer has started, so
    /// that one call should go ahead of the rest.
    pub warms_cache: bool,
    /// Whether what is answered follows from the request alone, its seed included, so that a run can be made to repeat
    /// itself whatever the concurrency is.
    pub repeats_itself: bool,
}

impl Capabilities {
    /// Describes a backend that knows these ways of structured output, best first, in this dialect.
    #[must_use]
    pub const fn structured(output_modes: &'static [OutputMode], dialect: Dialect) -> Self {
        Self {
            output_modes,
            dialect,
            warms_cache: false,
            repeats_itself: false,
        }
    }

    /// Says that a prompt prefix is cached only once a first answer has started.
    #[must_use]
    pub const fn with_warm_up(mut self) -> Self {
        self.warms_cache = true;
        self
    }

    /// Says that answers follow from the request alone.
    #[must_use]
    pub const fn repeating_itself(mut self) -> Self {
        self.repeats_itself = true;
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::structured(&[], Dialect::Full)
    }
}

/// A way of asking for structured output, from the firmest to the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputMode {
    /// The provider enforces the schema.
    Strict,
    /// The provider is given the schema and tries.
    Schema,
    /// The schema is the parameter of a tool the model has to call.
    Tool,
    /// The provider enforces JSON syntax; the schema is in the prompt.
    Json,
    /// The schema is in the prompt, and nothing is enforced.
    Prompt,
}

const _: Option<&dyn LlmClient> = None; // The pipeline stores clients as `dyn LlmClient`.
