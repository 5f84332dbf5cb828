//! The connection pool that all clients of a process share.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::Endpoint;

/// A TCP and TLS handshake takes well under a second; ten leave room for the lost packets whose repeats TCP
/// sends after 1, 3 and 7 seconds. There is no other time limit here: how long an answer may take is the
/// caller's to say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the process's client for this endpoint. Cheap: the pool is behind a reference count.
pub(super) fn shared(endpoint: &Endpoint) -> Client {
    static REMOTE: OnceLock<Client> = OnceLock::new();
    static LOOPBACK: OnceLock<Client> = OnceLock::new();
    if endpoint.is_plain_loopback() {
        // No proxy can reach this machine's own loopback, and plain HTTP needs no certificates.
        LOOPBACK.get_or_init(|| without_certificates(http_client_builder().no_proxy()))
    } else {
        REMOTE.get_or_init(remote)
    }
    .clone()
}

fn remote() -> Client {
    let builder = http_client_builder().tls_certs_merge(named_certificates());
    builder.build().unwrap_or_else(|_| {
        // Plain HTTP still works on a machine without certificates; HTTPS will say that it trusts nobody.
        tracing::warn!("no certificates found on this system: connections over HTTPS will fail");
        without_certificates(http_client_builder())
    })
}

/// Returns the certificates that curl and Python's requests are told to trust, such as a company's own. What is named in
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` is read as the system's.
fn named_certificates() -> Vec<Certificate> {
    let files = ["CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"].into_iter();
    let files = files.filter_map(|variable| Some((variable, std::env::var_os(variable)?)));
    files
        .flat_map(|(variable, file)| {
            let read = std::fs::read(file).ok();
            let certificates = read.and_then(|pem| Certificate::from_pem_bundle(&pem).ok());
            certificates.unwrap_or_else(|| {
                tracing::warn!("the file that {variable} names holds no certificates");
                Vec::new()
            })
        })
        .collect()
}

fn without_certificates(builder: ClientBuilder) -> Client {
    builder
        .tls_certs_only([])
        .build()
        .expect("without certificates to load, building a client reads nothing from outside")
}

/// Returns a client builder set up as the shared pool's is, to add a proxy, certificates or limits to and pass to
/// [`ClientOptions::http_client`](crate::llm::providers::ClientOptions::http_client): no redirects but those
/// that send the same request to another path of the same server, 10 s to connect, HTTP/1.1, and ring for TLS unless the process has chosen otherwise.
///
/// ```
/// let client = topicloom::llm::providers::http_client_builder()
///     .no_proxy()
///     .build()
///     .expect("certificates can be loaded");
/// ```
pub fn http_client_builder() -> ClientBuilder {
    install_crypto();
    Client::builder()
        .user_agent(concat!("topicloom/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::custom(|attempt| {
            if stays_there(&attempt) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        // One connection per call in flight. Over HTTP/2 all calls share one, and the server's limit on its
        // streams (often 100) would silently be the limit on concurrency.
        .http1_only()
}

/// Whether a redirect sends the same request to the same server. Others turn a POST into a GET, or would carry keys in headers
/// of the provider's own making to another host.
fn stays_there(attempt: &Attempt<'_>) -> bool {
    /// Servers mend a path once, and a proxy before them may.
    const MOST: usize = 4;
    let from = attempt.previous();
    from.len() <= MOST
        && matches!(attempt.status().as_u16(), 307 | 308)
        && from.last().map(Url::origin) == Some(attempt.url().origin())
}

/// Makes ring the process's crypto unless the caller has chosen one.
fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error says that another thread was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_had_for_every_kind_of_endpoint() {
        for url in ["http://127.0.0.1:1/v1", "https://example.org/v1"] {
            let _ = shared(&Endpoint::parse(url).unwrap());
        }
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
