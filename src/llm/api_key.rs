//! A key that cannot be shown by accident.

use std::fmt;
use std::sync::Arc;

use crate::environment;
use crate::error::{Error, ErrorKind, Result};

/// A provider's key. Cheap to clone, and printed by nothing: neither `Debug` nor errors nor logs show it or
/// its length, and there is no `Display`.
///
/// ```
/// use topicloom::llm::ApiKey;
///
/// let key = ApiKey::new("sk-secret");
/// assert_eq!(format!("{key:?}"), "ApiKey(..)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    key: Arc<str>,
    /// The environment variable that held it.
    variable: Option<Arc<str>>,
}

impl ApiKey {
    /// Takes a key. Blanks around it, which a file or a shell easily adds, are dropped.
    #[must_use]
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().trim().into(),
            variable: None,
        }
    }

    /// Reads the first of these environment variables that holds a key.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config), naming the variables, where none is set or all are blank.
    pub fn from_env(variables: &[&str]) -> Result<Self> {
        Self::find_in_env(variables).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "no key found; set the environment variable {}",
                    variables.join(" or ")
                ),
            )
        })
    }

    /// Reads the first of these environment variables that holds a key, where there is one.
    pub(crate) fn find_in_env(variables: &[&str]) -> Option<Self> {
        variables
            .iter()
            .filter_map(|variable| {
                let key = Self::new(environment::var(variable)?);
                Some(Self {
                    variable: Some((*variable).into()),
                    ..key
                })
            })
            .find(|key| !key.is_blank())
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.key.is_empty()
    }

    /// Returns the key itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.key
    }

    /// Returns the environment variable that held it, if it came from there.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.variable.as_deref()
    }
}

/// Shows that there is a key, and nothing of it.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_names_every_variable_that_would_do() {
        let error = ApiKey::from_env(&["TOPICLOOM_NO_SUCH_KEY", "TOPICLOOM_NOR_THIS"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error
                .message()
                .contains("TOPICLOOM_NO_SUCH_KEY or TOPICLOOM_NOR_THIS")
        );
    }

    #[test]
    fn a_line_end_is_not_part_of_a_key() {
        assert_eq!(ApiKey::new(" sk-1\n").expose(), "sk-1");
        assert!(ApiKey::new(" \n").is_blank());
    }
}
