//! A model's name: `provider/model`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Other names of providers, as LiteLLM and the providers' own tools have them.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("ollama_chat", "ollama"),
    ("vllm", "hosted_vllm"),
    ("lmstudio", "lm_studio"),
    ("llamafile", "llama.cpp"),
    ("llama_cpp", "llama.cpp"),
    ("cohere_chat", "cohere"),
    ("ai21_chat", "ai21"),
    ("google", "gemini"),
    ("azure_openai", "azure"),
    ("together", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("hf", "huggingface"),
];

/// Beginnings of names that one provider's models have and nobody else's.
const FAMILIES: [(&str, &str); 8] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("ft:gpt-", "openai"),
    ("text-embedding-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
    ("grok-", "xai"),
    ("command-", "cohere"),
];

/// A model's name, `provider/model`; the model part may hold further slashes.
///
/// Other names of a provider, such as `ollama_chat` for `ollama`, are read as the one it has here. A name without a
/// provider is read where its family tells whose it is: `gpt-4o` is `openai/gpt-4o`.
///
/// ```
/// use topicloom::llm::ModelName;
///
/// let name: ModelName = "openrouter/meta-llama/llama-3.3-70b".parse()?;
/// assert_eq!(name.provider(), "openrouter");
/// assert_eq!(name.model(), "meta-llama/llama-3.3-70b");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    whole: String,
    slash: usize,
}

impl ModelName {
    /// Returns the part before the first slash.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.whole[..self.slash]
    }

    /// Returns the part after the first slash.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.whole[self.slash + 1..]
    }

    /// Returns the whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.whole
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        let named = |provider: &str, model: &str| {
            let other = OTHER_NAMES.iter().find(|(other, _)| *other == provider);
            let provider = other.map_or(provider, |(_, name)| name);
            Ok(Self {
                whole: format!("{provider}/{model}"),
                slash: provider.len(),
            })
        };
        match text.split_once('/') {
            _ if text.is_empty() => {
                wrong("the model name is empty; write `provider/model`".to_owned())
            }
            Some(("", _)) => wrong(format!(
                "the model name `{text}` has no provider; write `provider/model`"
            )),
            Some((provider, "")) => wrong(format!(
                "the model name `{text}` names no model; write `{provider}/` and the model's name"
            )),
            Some((provider, model)) => named(provider, model),
            None => match provider_of(text) {
                Some(provider) => named(provider, text),
                None => wrong(format!(
                    "the model name `{text}` has no provider; write `provider/model`, such as `openai/{text}`"
                )),
            },
        }
    }
}

/// Returns the other names of a provider.
#[cfg(feature = "providers")]
pub(super) fn other_names(provider: &str) -> impl Iterator<Item = &'static str> {
    let others = OTHER_NAMES
        .iter()
        .filter(move |(_, name)| *name == provider);
    others.map(|(other, _)| *other)
}

/// Returns whose model this is, where the name tells.
fn provider_of(model: &str) -> Option<&'static str> {
    let name = model.to_ascii_lowercase();
    // Open weights, which others serve and OpenAI does not.
    if name.starts_with("gpt-oss") {
        return None;
    }
    let is_o_series = name
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let family = FAMILIES.iter().find(|(start, _)| name.starts_with(start));
    family
        .map(|(_, provider)| *provider)
        .or(is_o_series.then_some("openai"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_tell_its_provider_is_told_how_to_get_one() {
        for name in ["llama3", "gpt-oss:20b", "olmo-2", "qwen3-32b"] {
            let error = name.parse::<ModelName>().unwrap_err();
            assert!(
                error.message().contains(&format!("`openai/{name}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_family_tells_whose_it_is_and_other_names_are_known() {
        for (given, name) in [
            ("gpt-4o-mini", "openai/gpt-4o-mini"),
            ("o4-mini", "openai/o4-mini"),
            ("o3", "openai/o3"),
            ("gpt-9-something", "openai/gpt-9-something"),
            ("chatgpt-4o-latest", "openai/chatgpt-4o-latest"),
            ("claude-opus-5", "anthropic/claude-opus-5"),
            ("gemini-3-pro", "gemini/gemini-3-pro"),
            ("ollama_chat/llama3.2:3b", "ollama/llama3.2:3b"),
            ("vllm/Qwen/Qwen3-8B", "hosted_vllm/Qwen/Qwen3-8B"),
            ("lmstudio/x", "lm_studio/x"),
        ] {
            let read: ModelName = given.parse().unwrap();
            assert_eq!(read.as_str(), name);
            assert_eq!(format!("{}/{}", read.provider(), read.model()), name);
        }
    }

    #[test]
    fn half_a_name_is_refused() {
        for text in ["", "  ", "/gpt-4", "openai/"] {
            assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        }
    }
}
