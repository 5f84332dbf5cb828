//! The parts of JSON Schema that providers understand.

/// The part of JSON Schema that a backend understands.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// All of it: nothing is changed.
    #[default]
    Full,
    /// `OpenAI`'s strict mode: every key required, no free-form maps, few keywords.
    OpenAiStrict,
    /// Azure's deployment of the same, with lower limits on old API versions.
    Azure,
    /// Anthropic's structured output: no recursion, no limits on numbers, lengths or items.
    Anthropic,
    /// Gemini's `responseJsonSchema`.
    Gemini,
    /// The grammar subset of llama.cpp and Ollama.
    LlamaCpp,
    /// vLLM with the xgrammar backend.
    Vllm,
    /// Mistral, near `OpenAI`'s strict mode.
    Mistral,
    /// Groq, `OpenAI`'s strict rules on the models that enforce them.
    Groq,
}
