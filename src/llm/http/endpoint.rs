//! Where requests go, without ever showing the secrets a URL can hold.

use std::fmt;

use reqwest::Url;

use crate::error::{Error, ErrorKind, Result};

/// A base URL or one below it. `Debug` and errors show scheme, host and port only: user, password, query
/// and path may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

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
        Ok(Self(url))
    }

    /// Returns the endpoint `path` below this one; a query stays.
    pub(crate) fn join(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        Self(url)
    }

    /// Returns this endpoint with one more pair in its query.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        Self(url)
    }

    /// Returns whether the path of the URL ends like this.
    pub(crate) fn path_ends_with(&self, end: &str) -> bool {
        self.0.path().trim_end_matches('/').ends_with(end)
    }

    /// Returns whether the path of the URL holds this.
    pub(crate) fn path_contains(&self, part: &str) -> bool {
        self.0.path().contains(part)
    }

    /// Returns whether the query has a pair of this name.
    pub(crate) fn has_query(&self, name: &str) -> bool {
        self.0.query_pairs().any(|(found, _)| found == name)
    }

    /// Returns the whole URL, for the one place that sends to it.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Returns whether it is plain HTTP to this very machine.
    pub(crate) fn is_plain_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        self.0.scheme() == "http"
            && (host == "localhost"
                || address
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback()))
    }

    /// Returns scheme, host and port, which may be shown.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
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
