//! The one error type, and the two questions a caller asks of it: may this call be retried, and does it
//! end the run?

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::counts::counted;
// The one import that points up: plain numbers a provider sent along with its refusal.
use crate::rate::RateSnapshot;

/// A result whose error is an [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

counted! {
    /// What went wrong, in terms of what a caller would do about it.
    pub enum ErrorKind {
        /// The input is wrong: change what the message names.
        InvalidInput => "invalid_input",
        /// A part of the pipeline is set up wrongly, such as a missing key or an unknown provider.
        Config => "config",
        /// The topics could not be settled.
        Topics => "topics",
        /// A prompt could not be rendered: a variable is missing or a template is wrong.
        Prompt => "prompt",
        /// The provider does not know the key, or the key may not do this.
        Auth => "auth",
        /// No credit, or a spending limit is reached. Not a rate limit: waiting does not help.
        Quota => "quota",
        /// Too many requests or tokens in a short time: wait, then ask again.
        RateLimited => "rate_limited",
        /// The provider is overloaded or failing: ask again later, and less.
        Overloaded => "overloaded",
        /// No answer arrived in time.
        Timeout => "timeout",
        /// The connection failed or broke off.
        Network => "network",
        /// The model does not exist, or is not open to this key.
        UnknownModel => "unknown_model",
        /// The provider refuses the request as it stands.
        BadRequest => "bad_request",
        /// The provider refuses this schema, or this way of asking for structured output.
        SchemaRefused => "schema_refused",
        /// The prompt and the asked-for output do not fit into the model's context.
        ContextLength => "context_length",
        /// The provider's content filter stopped the prompt or the answer.
        ContentFilter => "content_filter",
        /// The provider answered something that is not the format it documents.
        Malformed => "malformed",
        /// The provider answered successfully but with nothing in it.
        Empty => "empty",
        /// The run ended with fewer records than asked for; the report says what is missing and why.
        #[serde(alias = "short")]
        Incomplete => "incomplete",
        /// The run was stopped by the caller.
        Cancelled => "cancelled",
        /// A cap on money, tokens or calls leaves no room for another call.
        Budget => "budget",
        /// The breaker opened: the provider failed too often in a row.
        Unavailable => "unavailable",
        /// The journal could not be written, read or matched to the input.
        Journal => "journal",
        /// A sink could not take a record or finish.
        Sink => "sink",
        /// A deduplicator, filter or other part of the caller's own failed.
        Plugin => "plugin",
    }
}

impl ErrorKind {
    fn default_retry(self) -> Retry {
        match self {
            Self::RateLimited
            | Self::Overloaded
            | Self::Timeout
            | Self::Network
            | Self::Malformed
            | Self::Empty => Retry::Backoff,
            _ => Retry::Never,
        }
    }

    /// Returns whether a failed call says more about the provider than about what was asked, and passes.
    pub(crate) fn is_provider_trouble(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Overloaded | Self::Timeout | Self::Network
        )
    }

    /// Returns whether a failed call says something of its prompt alone.
    pub(crate) fn is_about_the_prompt(self) -> bool {
        matches!(self, Self::ContentFilter | Self::ContextLength)
    }

    fn is_fatal_by_default(self) -> bool {
        match self {
            Self::InvalidInput
            | Self::Config
            | Self::Topics
            | Self::Prompt
            | Self::Auth
            | Self::Quota
            | Self::UnknownModel
            | Self::BadRequest
            | Self::SchemaRefused
            | Self::Incomplete
            | Self::Cancelled
            | Self::Budget
            | Self::Unavailable
            | Self::Journal
            | Self::Sink
            | Self::Plugin => true,
            Self::RateLimited
            | Self::Overloaded
            | Self::Timeout
            | Self::Network
            | Self::ContextLength
            | Self::ContentFilter
            | Self::Malformed
            | Self::Empty => false,
        }
    }
}

/// Whether the very same call may be tried again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not as it stands: the same call would fail the same way.
    Never,
    /// Yes, after a delay of the caller's choosing that grows with each try.
    Backoff,
    /// Yes, after the delay the provider asked for.
    After(Duration),
}

/// An error that says what happened, where, and what may be done about it.
///
/// [`retry`](Self::retry) and [`is_fatal`](Self::is_fatal) are separate answers: a rate-limited call that
/// was retried until the retries ran out may not be retried again, and yet the run goes on.
///
/// An error never carries a key, a prompt, or record data; keep that promise when you build one.
///
/// ```
/// use std::time::Duration;
/// use topicloom::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::RateLimited, "the provider asked to slow down")
///     .with_retry(Retry::After(Duration::from_secs(2)))
///     .with_context("model", "openai/gpt-4o-mini");
/// assert!(!error.is_fatal());
/// assert_eq!(
///     error.to_string(),
///     "the provider asked to slow down (rate_limited, model: openai/gpt-4o-mini)"
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry: Retry,
    fatal: bool,
    context: Vec<(&'static str, String)>,
    rate: Option<RateSnapshot>,
    unreached: bool,
    of_its_text: bool,
    provider_words: Option<Box<str>>,
    source: Option<Source>,
}

impl Error {
    /// Creates an error whose retry and fatality are the usual ones of its kind.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retry: kind.default_retry(),
            fatal: kind.is_fatal_by_default(),
            context: Vec::new(),
            rate: None,
            unreached: false,
            of_its_text: false,
            provider_words: None,
            source: None,
        }))
    }

    /// Says whether and when the same call may be tried again.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says whether this error ends the run, where that differs from what is usual for its kind.
    #[must_use]
    pub fn with_fatal(mut self, fatal: bool) -> Self {
        self.0.fatal = fatal;
        self
    }

    /// Adds a pair that helps the reader find the place.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Keeps what the provider said about its limits.
    #[must_use]
    pub fn with_rate(mut self, rate: Option<RateSnapshot>) -> Self {
        self.0.rate = rate;
        self
    }

    /// Says that no provider was reached: nothing listens there, the name is not found, the certificate is not trusted, or a web
    /// page is all that is there.
    #[must_use]
    pub fn with_unreached(mut self) -> Self {
        self.0.unreached = true;
        self
    }

    /// Says that the one text that was asked about is at fault, since another passes.
    pub(crate) fn with_text_at_fault(mut self) -> Self {
        self.0.of_its_text = true;
        self.with_retry(Retry::Never).with_fatal(false)
    }

    /// Keeps what the provider itself said, without keys. Neither `Display` nor `Debug` shows it: it may quote the prompt.
    #[must_use]
    pub fn with_provider_words(mut self, words: impl Into<String>) -> Self {
        self.0.provider_words = Some(words.into().into());
        self
    }

    /// Keeps the underlying error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same call may be tried again, and when.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Returns whether the same call may be tried again at all.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retry != Retry::Never
    }

    /// Returns whether this error ends the run.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    /// Returns whether a run ended with fewer records than asked for, and nothing is wrong with those it made: it was stopped,
    /// or no more came.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Cancelled | ErrorKind::Incomplete)
    }

    /// Returns what happened, without kind and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the pairs that say where it happened, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0
            .context
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns whether no provider was reached, so that the same call fails until the server, its URL or the network changes.
    #[must_use]
    pub fn is_unreached(&self) -> bool {
        self.0.unreached
    }

    /// Returns whether the one text that was asked about is at fault.
    pub(crate) fn is_of_its_text(&self) -> bool {
        self.0.of_its_text
    }

    /// Returns what the provider itself said, without keys. It may quote the prompt, so it is for the user's own terminal
    /// and for no log.
    #[must_use]
    pub fn provider_words(&self) -> Option<&str> {
        self.0.provider_words.as_deref()
    }

    /// Returns what the provider said about its limits, if it did.
    #[must_use]
    pub fn rate(&self) -> Option<&RateSnapshot> {
        self.0.rate.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.0.message, self.0.kind)?;
        for (name, value) in &self.0.context {
            write!(f, ", {name}: {value}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("retry", &self.0.retry)
            .field("fatal", &self.0.fatal)
            .field("context", &self.0.context)
            .field("rate", &self.0.rate)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_and_fatality_are_separate_answers() {
        let exhausted =
            Error::new(ErrorKind::RateLimited, "still too fast").with_retry(Retry::Never);
        assert!(!exhausted.is_retryable());
        assert!(!exhausted.is_fatal());
        assert!(Error::new(ErrorKind::Quota, "no credit left").is_fatal());
    }

    #[test]
    fn the_cause_is_left_to_source() {
        let error = Error::new(ErrorKind::Network, "the connection broke off")
            .with_source(std::io::Error::other("reset"));
        assert!(!error.to_string().contains("reset"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
