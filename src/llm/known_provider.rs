//! A provider that the library knows by its name.

/// A provider that the library knows by its name; see [`known_providers`](super::models::known_providers).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownProvider {
    /// What stands before the slash of its models' names.
    pub name: &'static str,
    /// Other names that are read as this one.
    pub other_names: Vec<&'static str>,
    /// Where it is, unless it is wherever the user runs it; `{NAME}` stands for an environment variable.
    pub base_url: Option<&'static str>,
    /// The environment variables that move it elsewhere, the first one that is set winning.
    pub base_url_variables: Vec<String>,
    /// The environment variables that hold the key, the first one that is set winning.
    pub key_variables: Vec<String>,
    /// Whether it serves nobody without a key.
    pub needs_key: bool,
}
