//! What a provider says about its limits, beside an answer or an error.

use std::time::Duration;

/// What a provider says about its limits, read from the headers of one answer or refusal.
///
/// Nothing is computed: a field is absent where the provider did not say. Providers differ in what they
/// count (Anthropic's token numbers are those of its tightest token limit) and in how late the numbers are,
/// so take them as hints that only the next answer can confirm.
///
/// ```
/// use std::time::Duration;
/// use topicloom::llm::RateSnapshot;
///
/// let mut rate = RateSnapshot::default();
/// rate.requests_limit = Some(500);
/// rate.requests_remaining = Some(0);
/// rate.requests_reset = Some(Duration::from_millis(120));
/// assert!(!rate.is_empty());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RateSnapshot {
    /// Requests allowed in the provider's window, most often a minute.
    pub requests_limit: Option<u64>,
    /// Requests left in it.
    pub requests_remaining: Option<u64>,
    /// How long after the answer arrived the requests are whole again.
    pub requests_reset: Option<Duration>,
    /// Tokens allowed in the provider's window, most often a minute.
    pub tokens_limit: Option<u64>,
    /// Tokens left in it.
    pub tokens_remaining: Option<u64>,
    /// How long after the answer arrived the tokens are whole again.
    pub tokens_reset: Option<Duration>,
}

impl RateSnapshot {
    /// Returns whether the provider said nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
