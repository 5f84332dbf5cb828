//! A server with a certificate of a company's own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::server::Server;

/// Makes `ca.crt`, and `server.crt` for `localhost` that it has signed, with `server.key`. False without openssl.
fn certificates(place: &Path) -> bool {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(place);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if openssl("version").is_err() {
        assert!(std::env::var_os("CI").is_none(), "openssl is not installed");
        eprintln!("SKIPPED: openssl is not installed");
        return false;
    }
    fs::write(place.join("names"), "subjectAltName=DNS:localhost").unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=House -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
    ] {
        assert!(openssl(arguments).unwrap().success(), "{arguments}");
    }
    true
}

/// Speaks TLS for a server that does not, on a port of its own.
async fn speak_tls(place: &Path, address: String) -> u16 {
    let certificate = CertificateDer::from_pem_file(place.join("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(place.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut plain = TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut plain).await
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_ca_is_trusted_once_it_is_named() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    if !certificates(place) {
        return;
    }
    let server = Server::start(vec![serde_json::from_str("{}").unwrap()]);
    let port = speak_tls(place, server.address().to_owned()).await;
    let run = |trusted: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topicloom"));
        command
            .args(["run", "--instruction", "Questions about places"])
            .args([
                "--topics",
                "coasts",
                "--num-records",
                "2",
                "-o",
                "data.jsonl",
            ])
            .args(["--model", "house/m", "--no-journal"])
            .env("HOUSE_API_BASE", format!("https://localhost:{port}/v1"))
            .env_remove("SSL_CERT_FILE")
            .envs(trusted.map(|file| ("SSL_CERT_FILE", place.join(file))))
            .current_dir(place);
        tokio::task::block_in_place(|| command.output().unwrap())
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let refused = run(None);
    assert!(!refused.status.success() && server.calls() == 0);
    let words = said(&refused);
    assert!(
        words.contains("not trusted") && words.contains("SSL_CERT_FILE"),
        "{words}"
    );
    let trusted = run(Some("ca.crt"));
    assert!(trusted.status.success(), "{}", said(&trusted));
    let records = fs::read_to_string(place.join("data.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 2);
}
