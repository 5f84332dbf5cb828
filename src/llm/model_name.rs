//! A model's name: `provider/model`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A model's name, `provider/model`; the model part may hold further slashes.
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
            Some((provider, _)) => Ok(Self {
                whole: text.to_owned(),
                slash: provider.len(),
            }),
            None => wrong(format!(
                "the model name `{text}` has no provider; write `provider/model`, such as `openai/{text}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_provider_is_told_how_to_get_one() {
        let error = "gpt-4o-mini".parse::<ModelName>().unwrap_err();
        assert!(error.message().contains("`openai/gpt-4o-mini`"), "{error}");
    }

    #[test]
    fn half_a_name_is_refused() {
        for text in ["", "  ", "/gpt-4", "openai/"] {
            assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        }
    }
}
