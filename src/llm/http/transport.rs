//! Sends one request and takes what comes back, or says why nothing did.

use std::fmt;
use std::time::SystemTime;

use reqwest::Client;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use super::body::{self, Body};
use super::{Endpoint, json_values, pool, unreached, words};
use crate::error::{Error, ErrorKind, Result};

/// What came back, whatever its status.
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; for a failure status at most the part that explains it.
    pub(crate) body: Vec<u8>,
    /// When the headers arrived, to which their dates are compared.
    pub(crate) at: SystemTime,
}

impl Reply {
    /// Returns whether the status says success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Adds to the error of this reply where it came from, and what it said, without what was sent in secret headers and in
    /// the URL.
    pub(crate) fn explain(&self, error: Error, endpoint: &Endpoint, sent: &HeaderMap) -> Error {
        let secrets = words::secrets(endpoint, sent);
        let error = match self.redirects_to(endpoint) {
            Some(origin) => error.with_context("redirects_to", origin),
            None => error,
        };
        error
            .with_context("url", endpoint.shown())
            .with_provider_words(words::without(&secrets, &self.body))
    }

    /// Returns the scheme, host and port to which a redirect leads.
    fn redirects_to(&self, endpoint: &Endpoint) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        let to = endpoint.url().join(location).ok()?;
        (300..400)
            .contains(&self.status)
            .then(|| to.origin().ascii_serialization())
    }

    /// Returns the JSON of the body.
    ///
    /// # Errors
    ///
    /// Where there is none, saying what arrived instead.
    pub(crate) fn json(&self) -> Result<Vec<Value>> {
        json_values(&self.headers, &self.body)
    }

    /// Returns what a body that explains a failure says: JSON, or else a text.
    pub(crate) fn explanation(&self) -> Value {
        let values = self.json().unwrap_or_default().into_iter();
        let explains = |value: &Value| value.get("error").is_some();
        values
            .reduce(|best, next| if explains(&best) { best } else { next })
            .unwrap_or_else(|| body::text(&self.headers, &self.body).into())
    }
}

/// A connection pool and a limit on what is read from it.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Option<Client>,
    body_limit: usize,
}

impl Transport {
    /// The longest body that is read. A long answer of today's models, 128 000 tokens of some four bytes,
    /// is half a megabyte; escaped as `\u` sequences with hidden reasoning beside it, it still fits.
    pub(crate) const BODY_LIMIT: usize = 8 * 1024 * 1024;

    /// Error objects are short; what follows this much of one is of no use.
    const ERROR_BODY_LIMIT: usize = 64 * 1024;

    /// Sends through a client of the caller's own.
    pub(crate) fn set_client(&mut self, client: Client) {
        self.client = Some(client);
    }

    /// Reads bodies of at most this many bytes.
    pub(crate) fn set_body_limit(&mut self, bytes: usize) {
        self.body_limit = bytes;
    }

    /// Posts JSON and reads the reply.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Reply> {
        let shared;
        let client = if let Some(own) = &self.client {
            own
        } else {
            shared = pool::shared(endpoint);
            &shared
        };
        let sent = client
            .post(endpoint.url().clone())
            .headers(headers)
            .body(body)
            .send()
            .await;
        let mut response = sent.map_err(|error| not_sent(endpoint, error))?;
        let at = SystemTime::now();
        let status = response.status().as_u16();
        let failed = !response.status().is_success();
        let limit = if failed {
            Self::ERROR_BODY_LIMIT
        } else {
            self.body_limit
        };
        let body = body::read(&mut response, limit).await;
        let body = match body {
            Ok(Body::Whole(bytes)) => body::unpack(response.headers(), bytes, limit),
            // The status alone says most, so a body that breaks off is no further failure.
            Err(_) if failed => Body::Whole(Vec::new()),
            Err(error) => return Err(broken_off(endpoint, error)),
            Ok(too_long) => too_long,
        };
        let body = match body {
            Body::TooLong(_) if !failed => return Err(self.too_long()),
            Body::Whole(bytes) | Body::TooLong(bytes) => bytes,
        };
        Ok(Reply {
            status,
            headers: std::mem::take(response.headers_mut()),
            body,
            at,
        })
    }

    fn too_long(&self) -> Error {
        let limit = match self.body_limit {
            bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
            bytes => format!("{bytes} bytes"),
        };
        Error::new(
            ErrorKind::Malformed,
            format!("the provider's answer is longer than the limit of {limit}; see `body_limit`"),
        )
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            client: None,
            body_limit: Self::BODY_LIMIT,
        }
    }
}

/// Shows whose client it is, and nothing of it: it may hold headers and proxies with passwords.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("own_client", &self.client.is_some())
            .field("body_limit", &self.body_limit)
            .finish()
    }
}

/// Classifies a request that got no reply. The URL is taken out: it may hold a key.
fn not_sent(endpoint: &Endpoint, error: reqwest::Error) -> Error {
    if let Some(said) = unreached::explain(endpoint, &error) {
        return Error::new(ErrorKind::Network, said)
            .with_unreached()
            .with_source(error.without_url());
    }
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "the provider did not answer in time")
    } else if error.is_builder() || error.is_redirect() {
        (
            ErrorKind::Config,
            "the request could not be built or was redirected in circles",
        )
    } else {
        (
            ErrorKind::Network,
            "the connection to the provider broke off before an answer",
        )
    };
    Error::new(kind, message)
        .with_context("url", endpoint.shown())
        .with_source(error.without_url())
}

/// Classifies a body that did not arrive whole.
fn broken_off(endpoint: &Endpoint, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (
            ErrorKind::Timeout,
            "the provider did not finish its answer in time",
        )
    } else {
        (
            ErrorKind::Network,
            "the connection to the provider broke off in the middle of an answer",
        )
    };
    Error::new(kind, message)
        .with_context("url", endpoint.shown())
        .with_source(error.without_url())
}
