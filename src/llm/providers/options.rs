//! What a caller can set on any provider client.

use std::fmt;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::presets::{OLLAMA_HOST, base_url_variables, key_variables};
use crate::environment;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::http::{Endpoint, Transport};
use crate::llm::provider_settings::{MASK, expanded};
use crate::llm::{ApiKey, OutputMode, ProviderSettings};
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
    api_key_variable: Option<String>,
    headers: Vec<(String, String)>,
    output_modes: Option<&'static [OutputMode]>,
    dialect: Option<Dialect>,
    transport: Transport,
}

impl ClientOptions {
    /// Starts with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with what an input says of a provider.
    pub(in crate::llm) fn of(settings: &ProviderSettings, provider: &str) -> Result<Self> {
        let mut options = Self::new();
        if let Some(url) = &settings.base_url {
            options = options.base_url(expanded(url)?);
        }
        if let Some(variable) = &settings.api_key_env {
            options = options.api_key_variable(variable);
        }
        for (name, value) in &settings.headers {
            if value == MASK {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "the header `{name}` of `{provider}` was masked when the input was written down; have its value \
                         name an environment variable, such as `${{TOKEN}}`"
                    ),
                ));
            }
            options = options.header(name, expanded(value)?);
        }
        Ok(options.asked_for(settings.output_mode, settings.dialect))
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

    /// Uses the key in this environment variable instead of those of the provider's name.
    #[must_use]
    pub fn api_key_variable(mut self, variable: impl Into<String>) -> Self {
        self.api_key_variable = Some(variable.into());
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
    /// Start from [`http_client_builder`](super::http_client_builder), which follows no redirect to another server: reqwest keeps
    /// `Authorization` from going to another host, but not the headers in which Anthropic, Gemini and Azure take
    /// their keys. A time limit on it counts as well as the pipeline's, which is per attempt.
    #[must_use]
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.transport.set_client(client);
        self
    }

    /// Reads answers of at most this many bytes; a longer one is malformed. The default is 8 MiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.transport.set_body_limit(bytes);
        self
    }

    /// Says the firmest way in which this server can be asked for structured output, and what it understands of JSON
    /// Schema, where either is given.
    fn asked_for(mut self, firmest: Option<OutputMode>, dialect: Option<Dialect>) -> Self {
        use OutputMode::{Json, Prompt, Schema, Strict, Tool};
        const ALL: [OutputMode; 5] = [Strict, Schema, Tool, Json, Prompt];
        const MODES: &[OutputMode] = &[Strict, Schema, Tool, Json];
        let from = |mode| ALL.iter().position(|known| *known == mode).unwrap_or(0);
        self.output_modes = firmest.map(|mode| &MODES[from(mode)..]);
        self.dialect = dialect;
        self
    }

    /// Returns how the server is asked for structured output: as the caller says, or else as its preset does.
    pub(super) fn output(
        &self,
        modes: &'static [OutputMode],
        dialect: Dialect,
    ) -> (&'static [OutputMode], Dialect) {
        (
            self.output_modes.unwrap_or(modes),
            self.dialect.unwrap_or(dialect),
        )
    }

    /// Returns the base URL: the caller's, or else the first in the environment, or else the provider's own;
    /// and whether it is the provider's own.
    pub(super) fn endpoint(
        &self,
        variables: &[&str],
        own: Option<&str>,
        provider: &str,
    ) -> Result<(Endpoint, bool)> {
        let variables = base_url_variables(variables, provider);
        if let Some(url) = &self.base_url {
            return Ok((Endpoint::parse(url)?, false));
        }
        for variable in &variables {
            if let Some(url) = set(variable) {
                let url = if variable == OLLAMA_HOST {
                    ollama_host(&url)
                } else {
                    url
                };
                let endpoint = Endpoint::parse(&url)
                    .map_err(|error| error.with_context("variable", variable.clone()))?;
                return Ok((endpoint.moved_by(variable.clone()), false));
            }
        }
        match own {
            Some(url) => {
                let endpoint = Endpoint::parse(&filled(url)?)?;
                Ok((endpoint.moved_by(variables[0].clone()), true))
            }
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
    pub(super) fn key(
        &self,
        variables: &[&str],
        needed: bool,
        provider: &str,
    ) -> Result<Option<ApiKey>> {
        if let Some(key) = &self.api_key {
            return Ok(Some(key.clone()).filter(|key| !key.is_blank()));
        }
        if let Some(variable) = &self.api_key_variable {
            return ApiKey::from_env(&[variable]).map(Some);
        }
        let variables = key_variables(variables, provider);
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        if needed {
            ApiKey::from_env(&variables).map(Some)
        } else {
            Ok(ApiKey::find_in_env(&variables))
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

/// Returns what an environment variable holds, unless it is blank.
fn set(variable: &str) -> Option<String> {
    let value = environment::var(variable)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Puts environment variables into the places of a URL that is each user's own: `{NAME}`, or `{NAME|OTHER}` for the first
/// one that is set.
fn filled(url: &str) -> Result<String> {
    let mut filled = String::new();
    let mut rest = url;
    while let Some((before, (names, after))) = rest
        .split_once('{')
        .and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
    {
        let value = names.split('|').find_map(set).ok_or_else(|| {
            let names = names.replace('|', " or ");
            Error::new(
                ErrorKind::Config,
                format!("the base URL is not complete; set the environment variable {names}"),
            )
        })?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Reads Ollama's own variable as Ollama does: scheme and port are optional, and an address to listen to at all of this
/// machine is this machine (`envconfig.Host`).
fn ollama_host(text: &str) -> String {
    let (scheme, rest, usual_port) = match text.split_once("://") {
        Some(("https", rest)) => ("https", rest, None),
        Some((_, rest)) => ("http", rest, None),
        None => ("http", text, Some("11434")),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (name, port) = match host.rsplit_once(':') {
        // A colon within brackets, or one of several, is part of an address.
        Some((name, port))
            if !port.contains(']') && (!name.contains(':') || name.ends_with(']')) =>
        {
            (name, Some(port))
        }
        _ => (host, usual_port),
    };
    let name = match name.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        name => name.to_owned(),
    };
    let port = port
        .filter(|port| !port.is_empty())
        .map(|port| format!(":{port}"));
    format!("{scheme}://{name}{}{path}", port.unwrap_or_default())
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
            .field("api_key_variable", &self.api_key_variable)
            .field("headers", &self.headers.len())
            .field("output_modes", &self.output_modes)
            .field("dialect", &self.dialect)
            .field("transport", &self.transport)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollamas_own_variable_is_read_as_ollama_does() {
        for (text, url) in [
            ("localhost", "http://localhost:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            (":8080", "http://127.0.0.1:8080"),
            ("10.0.0.7:11434", "http://10.0.0.7:11434"),
            ("http://box", "http://box"),
            ("https://box/ollama", "https://box/ollama"),
            ("box:1234/", "http://box:1234/"),
            ("::", "http://127.0.0.1:11434"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("::1", "http://[::1]:11434"),
        ] {
            assert_eq!(ollama_host(text), url, "{text}");
        }
    }

    #[test]
    fn a_place_in_a_url_that_nothing_fills_names_the_variables() {
        assert_eq!(filled("https://host/v1").unwrap(), "https://host/v1");
        let error = filled("https://{TOPICLOOM_NO_SUCH|TOPICLOOM_NOR_THIS}.host").unwrap_err();
        assert!(
            error
                .message()
                .contains("TOPICLOOM_NO_SUCH or TOPICLOOM_NOR_THIS"),
            "{error}"
        );
    }

    #[test]
    fn a_masked_header_says_how_to_name_it() {
        let settings = ProviderSettings {
            headers: [("X-Token".to_owned(), MASK.to_owned())].into(),
            ..ProviderSettings::default()
        };
        let error = ClientOptions::of(&settings, "house").unwrap_err();
        assert!(error.message().contains("environment variable"), "{error}");
    }
}
