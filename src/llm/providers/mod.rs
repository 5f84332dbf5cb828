//! Clients for model providers: one attempt each, with failures told apart.
//!
//! Siblings look alike: `mod.rs` is the client, `wire.rs` what is asked in its format, `error.rs` what a refusal
//! means. Sending and reading are the same for all: `connection.rs` and `answer`. A provider that speaks OpenAI's format is no code at all but a row in `presets.rs`.

#[cfg(feature = "providers")]
mod answer;
#[cfg(feature = "providers")]
mod anthropic;
#[cfg(feature = "providers")]
mod body_hint;
#[cfg(feature = "providers")]
mod connection;
#[cfg(feature = "providers")]
mod failure;
#[cfg(feature = "providers")]
mod gemini;
mod offline;
#[cfg(feature = "providers")]
mod ollama;
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
pub use ollama::OllamaClient;
#[cfg(feature = "providers")]
pub use openai::OpenAiClient;
#[cfg(feature = "providers")]
pub use openai::OpenAiEmbedder;
#[cfg(feature = "providers")]
pub use options::ClientOptions;
#[cfg(feature = "providers")]
pub use presets::{Preset, presets};
#[cfg(feature = "providers")]
pub(super) use presets::{base_url_variables, preset};

#[cfg(feature = "providers")]
use crate::llm::known_provider::KnownProvider;

/// Describes all of them: those of OpenAI's format, and then those of a protocol of their own.
#[cfg(feature = "providers")]
pub(super) fn known() -> Vec<KnownProvider> {
    use presets::key_variables;
    let own = [
        (
            "anthropic",
            anthropic::BASE_URL,
            anthropic::BASE_URL_VARIABLES,
            anthropic::KEY_VARIABLES,
        ),
        (
            gemini::NAME,
            gemini::BASE_URL,
            gemini::BASE_URL_VARIABLES,
            gemini::KEY_VARIABLES,
        ),
    ];
    let compatible = presets().iter().map(|preset| {
        (
            preset.name,
            preset.base_url,
            preset.base_url_variables(),
            preset.key_variables(),
            preset.needs_key,
        )
    });
    let own = own.into_iter().map(|(name, url, urls, keys)| {
        let (urls, keys) = (base_url_variables(urls, name), key_variables(keys, name));
        (name, Some(url), urls, keys, true)
    });
    compatible
        .chain(own)
        .map(
            |(name, base_url, base_url_variables, key_variables, needs_key)| KnownProvider {
                name,
                other_names: crate::llm::model_name::other_names(name).collect(),
                base_url,
                base_url_variables,
                key_variables,
                needs_key,
            },
        )
        .collect()
}
