//! Where requests go, without ever showing the secrets a URL can hold.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;

use crate::error::{Error, ErrorKind, Result};

/// A base URL or one below it. `Debug` and errors show scheme, host and port only: user, password, query
/// and path may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: Url,
    /// The environment variable that it came from, or that moves it elsewhere.
    variable: Option<Arc<str>>,
}

impl Endpoint {
    /// Reads a base URL.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        // The text is not repeated in the error: it may hold a key.
        let wrong = |what: &str| {
            Error::new(
                ErrorKind::Config,
                format!("the base URL {what}; write it as `https://host/v1`"),
            )
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither `http` nor `https`"));
        }
        if url.host_str().is_none() {
            return Err(wrong("names no host"));
        }
        Ok(Self {
            url,
            variable: None,
        })
    }

    /// Remembers the environment variable that it came from, or that moves it elsewhere.
    pub(crate) fn moved_by(mut self, variable: String) -> Self {
        self.variable = Some(variable.into());
        self
    }

    /// Returns the environment variable that it came from, or that moves it elsewhere.
    pub(crate) fn variable(&self) -> Option<&str> {
        self.variable.as_deref()
    }

    /// Returns the endpoint `path` below this one; a query stays.
    pub(crate) fn join(&self, path: &str) -> Self {
        let mut joined = self.clone();
        let base = self.url.path().trim_end_matches('/');
        joined
            .url
            .set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        joined
    }

    /// Returns this endpoint with one more pair in its query.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> Self {
        let mut longer = self.clone();
        longer.url.query_pairs_mut().append_pair(name, value);
        longer
    }

    /// Returns this endpoint without the end of its path, if it ends like this.
    pub(crate) fn without(&self, end: &str) -> Self {
        let mut shorter = self.clone();
        let path = self.url.path().trim_end_matches('/');
        shorter.url.set_path(path.strip_suffix(end).unwrap_or(path));
        shorter
    }

    /// Returns whether the path of the URL ends like this.
    pub(crate) fn path_ends_with(&self, end: &str) -> bool {
        self.url.path().trim_end_matches('/').ends_with(end)
    }

    /// Returns whether the path of the URL holds this.
    pub(crate) fn path_contains(&self, part: &str) -> bool {
        self.url.path().contains(part)
    }

    /// Returns whether the query has a pair of this name.
    pub(crate) fn has_query(&self, name: &str) -> bool {
        self.url.query_pairs().any(|(found, _)| found == name)
    }

    /// Returns the whole URL, for the one place that sends to it.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns whether it is plain HTTP to this very machine.
    pub(crate) fn is_plain_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        self.url.scheme() == "http"
            && (host == "localhost"
                || address
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback()))
    }

    /// Returns the URL as it may be shown: without user, password and query, and without parts of the path that may be a
    /// key: those longer than `deployments`, and those with digits that name no version.
    pub(crate) fn shown(&self) -> String {
        let names_version = |part: &str| {
            let digits = part.strip_prefix('v').unwrap_or_default();
            digits.starts_with(|c: char| c.is_ascii_digit()) && part.len() < 8
        };
        let looks_like_a_key = |part: &str| {
            let has_digits = part.contains(|c: char| c.is_ascii_digit());
            part.len() >= 12 || (has_digits && !names_version(part))
        };
        let path = self.url.path().trim_end_matches('/').split('/');
        let path: Vec<&str> = path
            .map(|part| if looks_like_a_key(part) { "***" } else { part })
            .collect();
        self.origin() + &path.join("/")
    }

    /// Returns scheme, host and port, which may be shown.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_once_and_a_query_stays() {
        for base in [
            "https://host/v1?api-version=1",
            "https://host/v1/?api-version=1",
        ] {
            let url = Endpoint::parse(base).unwrap().join("/chat/completions");
            assert_eq!(
                url.url().as_str(),
                "https://host/v1/chat/completions?api-version=1"
            );
        }
    }

    #[test]
    fn nothing_but_the_origin_is_shown() {
        let url =
            Endpoint::parse("https://user:SECRET@host:8443/SECRET/v1?key=SECRET#SECRET").unwrap();
        assert_eq!(format!("{url:?}"), "Endpoint(https://host:8443)");
    }

    #[test]
    fn a_path_is_shown_without_what_looks_like_a_key() {
        for secret in [
            "a1b2c3d4e5f6g7",
            "correct-horse-battery",
            "s3cret",
            "vOqRzUuWpLmXk",
        ] {
            let url = format!("https://user:SECRET@host/gw/{secret}/v1beta1/?key=SECRET");
            let shown = Endpoint::parse(&url).unwrap().shown();
            assert_eq!(shown, "https://host/gw/***/v1beta1");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        for text in [
            "",
            "SECRET",
            "ftp://SECRET/",
            "https://",
            "SECRET:80/v1",
            "http://:SECRET",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?}").contains("SECRET"), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_other_hosts() {
        for (text, loopback) in [
            ("http://localhost:1234/v1", true),
            ("http://127.0.0.1:8000", true),
            ("http://[::1]:8000", true),
            ("https://localhost/v1", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap().is_plain_loopback(),
                loopback,
                "{text}"
            );
        }
    }
}
