//! What a caller can set on any provider client.

use std::fmt;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind, Result};
use crate::llm::http::{Endpoint, Transport};
use crate::llm::{ApiKey, OutputMode};
use crate::schema::Dialect;

/// What a caller can set on any provider client; what is not set comes from the environment and the
/// provider's preset.
///
/// ```
/// use topicloom::llm::providers::{ClientOptions, OpenAiClient};
///
/// let options = ClientOptions::new()
///     .base_url("http://localhost:8000/v1")
///     .api_key("sk-secret");
/// let client = OpenAiClient::new(&"hosted_vllm/qwen3".parse()?, options)?;
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ClientOptions {
    base_url: Option<String>,
    api_key: Option<ApiKey>,
    headers: Vec<(String, String)>,
    output: Option<(&'static [OutputMode], Dialect)>,
    transport: Transport,
}

impl ClientOptions {
    /// Starts with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends to this base URL instead of the provider's own or the one in the environment. A query stays on
    /// every request, such as Azure's `?api-version=`.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Uses this key instead of the one in the environment.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sends one more header with every request, such as `OpenAI-Organization`. It replaces a header of the
    /// library's own of that name. Values are treated as secret: they are never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends through this client, for a proxy, certificates or limits of your own, instead of the pool that
    /// all clients of the process share.
    ///
    /// Start from [`http_client_builder`](super::http_client_builder), which follows no redirects: reqwest keeps
    /// `Authorization` from going to another host, but not the headers in which Anthropic, Gemini and Azure take
    /// their keys. A time limit on it counts as well as the pipeline's, which is per attempt.
    #[must_use]
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.transport.set_client(client);
        self
    }

    /// Reads answers of at most so many bytes; a longer one is malformed. The default is 8 MiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.transport.set_body_limit(bytes);
        self
    }

    /// Says how this server can be asked for structured output, best first, and the part of JSON Schema it
    /// understands, where its preset does not know.
    #[must_use]
    pub fn structured_output(mut self, modes: &'static [OutputMode], dialect: Dialect) -> Self {
        self.output = Some((modes, dialect));
        self
    }

    pub(super) fn output(&self) -> Option<(&'static [OutputMode], Dialect)> {
        self.output
    }

    pub(super) fn own_base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    /// Returns the base URL: the caller's, or else the first in the environment, or else the provider's own;
    /// and whether it is the provider's own.
    pub(super) fn endpoint(
        &self,
        variables: &[&str],
        own: Option<&str>,
        provider: &str,
    ) -> Result<(Endpoint, bool)> {
        if let Some(url) = &self.base_url {
            return Ok((Endpoint::parse(url)?, false));
        }
        for variable in variables {
            match std::env::var(variable) {
                Ok(url) if !url.trim().is_empty() => {
                    let endpoint = Endpoint::parse(&url)
                        .map_err(|error| error.with_context("variable", (*variable).to_owned()))?;
                    return Ok((endpoint, false));
                }
                _ => {}
            }
        }
        match own {
            Some(url) => Ok((Endpoint::parse(url)?, true)),
            None => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`{provider}` has no base URL of its own; set the environment variable {}",
                    variables.join(" or ")
                ),
            )),
        }
    }

    /// Returns the key: the caller's, or else the first in the environment, or else none where none is needed.
    pub(super) fn key(&self, variables: &[&str], needed: bool) -> Result<Option<ApiKey>> {
        match &self.api_key {
            Some(key) => Ok(Some(key.clone()).filter(|key| !key.is_blank())),
            None if needed => ApiKey::from_env(variables).map(Some),
            None => Ok(ApiKey::find_in_env(variables)),
        }
    }

    /// Returns the headers of every request: JSON, the key where one is given, and the caller's.
    pub(super) fn headers(
        &self,
        key: Option<(&'static str, String)>,
        fixed: &[(&'static str, &'static str)],
    ) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in fixed {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        if let Some((name, value)) = key {
            headers.insert(
                HeaderName::from_static(name),
                secret(&value).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        "the key has characters that no key has, such as a line break in the middle",
                    )
                })?,
            );
        }
        for (name, value) in &self.headers {
            let pair = name.parse::<HeaderName>().ok().zip(secret(value));
            let (name, value) = pair.ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    "a header set by the caller has a name or value that HTTP does not allow",
                )
            })?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    pub(super) fn into_transport(self) -> Transport {
        self.transport
    }
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Shows which things are set, and none of their values.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("base_url", &self.base_url.is_some())
            .field("api_key", &self.api_key.is_some())
            .field("headers", &self.headers.len())
            .field("output", &self.output)
            .field("transport", &self.transport)
            .finish()
    }
}
