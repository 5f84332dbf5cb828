//! Clients for model providers: one attempt each, with failures told apart.
//!
//! Siblings look alike: `mod.rs` is the client, `wire.rs` what is asked in its format, `error.rs` what a refusal
//! means. Sending and reading are the same for all: `connection.rs` and `answer`. A provider that speaks OpenAI's format is no code at all but a row in `presets.rs`.

#[cfg(feature = "providers")]
mod answer;
#[cfg(feature = "providers")]
mod anthropic;
#[cfg(feature = "providers")]
mod connection;
#[cfg(feature = "providers")]
mod failure;
#[cfg(feature = "providers")]
mod gemini;
mod offline;
#[cfg(feature = "providers")]
mod openai;
#[cfg(feature = "providers")]
mod options;
#[cfg(feature = "providers")]
mod parameters;
#[cfg(feature = "providers")]
mod presets;

#[cfg(feature = "providers")]
pub use super::http::http_client_builder;
#[cfg(all(feature = "providers", feature = "testing"))]
pub(crate) use answer::read_body;
#[cfg(feature = "providers")]
pub use anthropic::AnthropicClient;
#[cfg(feature = "providers")]
pub use gemini::GeminiClient;
pub use offline::OfflineModel;
#[cfg(feature = "providers")]
pub use openai::OpenAiClient;
#[cfg(feature = "providers")]
pub use openai::OpenAiEmbedder;
#[cfg(feature = "providers")]
pub use options::ClientOptions;
#[cfg(feature = "providers")]
pub use presets::{Preset, presets};
