//! Names of parts of a request that a refusal speaks of, and that the next request has otherwise.

/// The output limit in the requests of those who speak `OpenAI`'s format.
pub(crate) const MAX_TOKENS: &str = "max_tokens";

/// The same as younger models of `OpenAI`'s want it.
pub(crate) const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

/// The system message, which is no parameter.
pub(crate) const SYSTEM: &str = "system";

/// The marks that have the beginning of a conversation kept in a provider's cache.
pub(crate) const CACHE_MARKS: &str = "cache_control";
