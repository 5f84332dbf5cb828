//! What a model may be asked a minute, as an input says it.

use super::layers::RateLimiter;

/// What a model may be asked a minute: one entry of `rate_limits` in the input. What is not set is found out while it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Calls a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, prompts and answers together.
    pub tokens_per_minute: Option<u32>,
}

impl RateLimit {
    /// Has a rate limiter keep to it.
    pub(crate) fn apply(&self, limiter: &RateLimiter) {
        if let Some(requests) = self.requests_per_minute {
            limiter.limit_requests(requests);
        }
        if let Some(tokens) = self.tokens_per_minute {
            limiter.limit_tokens(tokens);
        }
    }
}
