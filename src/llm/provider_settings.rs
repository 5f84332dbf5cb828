//! How a provider is reached, as an input says it.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(any(feature = "providers", test))]
use crate::environment;
#[cfg(any(feature = "providers", test))]
use crate::error::{Error, ErrorKind, Result};
use crate::llm::OutputMode;
use crate::schema::Dialect;

/// What stands for a header's value where it may not be shown.
pub(super) const MASK: &str = "***";

/// How a provider is reached: one entry of `providers` in the JSON form of an input.
///
/// What is not set comes from the environment and from what the library knows of the provider. A provider of a new name
/// speaks OpenAI's format.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// Where it is.
    pub base_url: Option<String>,
    /// The environment variable that holds its key. The key itself is never written into an input.
    pub api_key_env: Option<String>,
    /// Headers of every request. `$NAME` and `${NAME}` in a value stand for what an environment variable holds.
    pub headers: BTreeMap<String, String>,
    /// The part of JSON Schema that it understands.
    pub dialect: Option<Dialect>,
    /// The firmest way in which it can be asked for structured output.
    pub output_mode: Option<OutputMode>,
}

impl ProviderSettings {
    /// Returns the same without the values of headers that name no variable.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        for value in masked.headers.values_mut() {
            if !names_variables(value) {
                MASK.clone_into(value);
            }
        }
        masked
    }
}

/// Shows what is set, and neither a URL nor the value of a header.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("base_url", &self.base_url.is_some())
            .field("api_key_env", &self.api_key_env)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("dialect", &self.dialect)
            .field("output_mode", &self.output_mode)
            .finish()
    }
}

fn names_variables(text: &str) -> bool {
    pieces(text)
        .iter()
        .any(|piece| matches!(piece, Piece::Variable(_)))
}

/// Puts what environment variables hold into a text, as a shell does: `$NAME` and `${NAME}`.
#[cfg(any(feature = "providers", test))]
pub(super) fn expanded(text: &str) -> Result<String> {
    let value = |name: &str| {
        environment::var(name).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "a value in `providers` names the environment variable {name}, which is not set"
                ),
            )
        })
    };
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Variable(name) => value(name),
        })
        .collect()
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    // LiteLLM's way of saying it.
    if let Some(name) = text.strip_prefix("os.environ/") {
        return vec![Piece::Variable(name.trim())];
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let braced = after
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'));
        let (name, after_name) = braced.unwrap_or_else(|| {
            after.split_at(after.find(|letter| !is_name(letter)).unwrap_or(after.len()))
        });
        let starts = !name.starts_with(|first: char| first.is_ascii_digit());
        if name.is_empty() || !starts || !name.chars().all(is_name) {
            let (text, left) = rest.split_at(before.len() + 1);
            pieces.push(Piece::Text(text));
            rest = left;
            continue;
        }
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Variable(name));
        rest = after_name;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(header: &str) -> ProviderSettings {
        ProviderSettings {
            headers: [("X-Token".to_owned(), header.to_owned())].into(),
            ..ProviderSettings::default()
        }
    }

    #[test]
    fn variables_are_named_as_in_a_shell() {
        for (text, names) in [
            ("$HOUSE", vec!["HOUSE"]),
            ("Bearer ${HOUSE_1}", vec!["HOUSE_1"]),
            ("$A-$B", vec!["A", "B"]),
            ("os.environ/HOUSE", vec!["HOUSE"]),
            ("costs 5$", vec![]),
            ("$5 a month, ${", vec![]),
            ("sk-plain", vec![]),
        ] {
            let found: Vec<_> = pieces(text)
                .into_iter()
                .filter_map(|piece| match piece {
                    Piece::Variable(name) => Some(name),
                    Piece::Text(_) => None,
                })
                .collect();
            assert_eq!(found, names, "{text}");
        }
        assert_eq!(expanded("costs 5$ and ${").unwrap(), "costs 5$ and ${");
        let error = expanded("Bearer ${TOPICLOOM_NO_SUCH}").unwrap_err();
        assert!(error.message().contains("TOPICLOOM_NO_SUCH"), "{error}");
    }

    #[test]
    fn only_what_names_a_variable_is_written_down() {
        assert_eq!(settings("Bearer ${T}").masked(), settings("Bearer ${T}"));
        assert_eq!(settings("sk-SECRET").masked(), settings(MASK));
        assert!(!format!("{:?}", settings("sk-SECRET")).contains("SECRET"));
    }
}
