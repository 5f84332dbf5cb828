//! Why nobody was reached, and what to do about it.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, ErrorKind::ConnectionRefused};

use rustls::CertificateError;

use super::Endpoint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Refused,
    NameNotFound,
    NameNotFoundForSocks,
    Untrusted(&'static str),
    NoTls,
    NoAnswer,
    Other,
}

/// Returns what to tell a user of a connection that was never made; `None` where one was made and then failed.
pub(super) fn explain(endpoint: &Endpoint, error: &reqwest::Error) -> Option<String> {
    let cause = cause(error).or_else(|| {
        error.is_connect().then_some(if error.is_timeout() {
            Cause::NoAnswer
        } else {
            Cause::Other
        })
    })?;
    Some(sentence(cause, endpoint, proxy(endpoint)))
}

/// Finds the cause among the sources of an error. An I/O error passes over the error that it wraps when it is asked for
/// its source, so that one is looked at too.
fn cause(error: &(dyn StdError + 'static)) -> Option<Cause> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        if io.is_some_and(|io| io.kind() == ConnectionRefused) {
            return Some(Cause::Refused);
        }
        // tokio-rustls's own words, where a server hangs up on a handshake.
        if io.is_some_and(|io| io.to_string() == "tls handshake eof") {
            return Some(Cause::NoTls);
        }
        // hyper-util's own words; its type is private.
        if error.to_string().starts_with("dns error") {
            return Some(Cause::NameNotFound);
        }
        if error.to_string() == "error resolving for socks proxy" {
            return Some(Cause::NameNotFoundForSocks);
        }
        next = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn of_tls(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(error) => Cause::Untrusted(match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is made for another host"
            }
            CertificateError::UnknownIssuer => "who issued it is not known here",
            _ => "it is not valid",
        }),
        rustls::Error::InvalidMessage(_) => Cause::NoTls,
        _ => Cause::Other,
    }
}

fn sentence(cause: Cause, endpoint: &Endpoint, proxy: Option<&str>) -> String {
    let url = endpoint.shown();
    let place = match endpoint.variable() {
        Some(variable) => format!("the URL in {variable}"),
        None => "the base URL".to_owned(),
    };
    let mut said = match cause {
        Cause::Refused => format!(
            "nothing listens at {url} (connection refused); is the server running? If it is elsewhere, set {place}"
        ),
        Cause::NameNotFound => {
            format!("the host of {url} is not found (DNS); check {place} and the network")
        }
        Cause::NameNotFoundForSocks => format!(
            "the host of {url} is not found on this machine (DNS); a proxy with `socks5h://` instead of `socks5://` looks \
             it up itself"
        ),
        Cause::Untrusted(why) => format!(
            "the certificate of {url} is not trusted: {why}; name a file with your company's certificates in SSL_CERT_FILE, \
             or check {place}"
        ),
        Cause::NoTls => format!(
            "the server at {url} does not seem to speak TLS; if so, set {place} to one that begins with http://"
        ),
        Cause::NoAnswer => format!(
            "no connection to {url} within 10 s; check {place}, and whether a firewall, VPN or proxy is in the way"
        ),
        Cause::Other => format!("no connection to {url}; check {place} and the network"),
    };
    if let Some(variable) = proxy {
        let _ = write!(
            said,
            ". A proxy is set in {variable}: it may be what is not reached"
        );
    }
    said
}

/// Returns the variable that sets a proxy for this endpoint, as far as it can be told.
fn proxy(endpoint: &Endpoint) -> Option<&'static str> {
    if endpoint.is_plain_loopback() {
        return None;
    }
    let variables: &[&str] = if endpoint.url().scheme() == "https" {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    let is_set = |variable: &&&str| std::env::var(variable).is_ok_and(|value| !value.is_empty());
    variables.iter().find(is_set).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_to_change() {
        let endpoint = Endpoint::parse("https://llm.example.org/v1?key=SECRET").unwrap();
        let moved = endpoint.clone().moved_by("HOUSE_API_BASE".to_owned());
        for (cause, parts) in [
            (Cause::Refused, ["is the server running?", "HOUSE_API_BASE"]),
            (Cause::NameNotFound, ["DNS", "HOUSE_API_BASE"]),
            (Cause::NameNotFoundForSocks, ["DNS", "socks5h://"]),
            (
                Cause::Untrusted("it has expired"),
                ["SSL_CERT_FILE", "expired"],
            ),
            (Cause::NoTls, ["http://", "HOUSE_API_BASE"]),
            (Cause::NoAnswer, ["firewall", "10 s"]),
            (Cause::Other, ["https://llm.example.org/v1", "network"]),
        ] {
            let said = sentence(cause, &moved, None);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
            assert!(!said.contains("SECRET"), "{said}");
        }
        let said = sentence(Cause::Refused, &endpoint, Some("HTTPS_PROXY"));
        assert!(
            said.contains("the base URL") && said.contains("HTTPS_PROXY"),
            "{said}"
        );
    }

    #[test]
    fn a_cause_is_found_however_deep_it_is_wrapped() {
        let issuer = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, issuer));
        assert!(matches!(cause(&wrapped), Some(Cause::Untrusted(_))));
        assert_eq!(
            cause(&io::Error::from(ConnectionRefused)),
            Some(Cause::Refused)
        );
        assert_eq!(
            cause(&io::Error::from(io::ErrorKind::ConnectionReset)),
            None
        );
    }
}
