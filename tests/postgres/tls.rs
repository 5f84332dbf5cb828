//! The way to the database with TLS.

use std::fs;
use std::process::{Command, Stdio};

use topicloom::ErrorKind;
use topicloom::journal::{Entry, Journal, PostgresJournal};
use topicloom::llm::UnconfirmedCost;
use topicloom::report::Outcome;

use crate::support::{PostgresServer, connect};

/// The certificate of nobody here, for the same name.
const ANOTHER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUeaNVUBwzkx2P8C4tLy9njaGD/OwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDAyMzA0OFoYDzIxMjYxMTA2
MDIzMDQ4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARi6NdXP1SSOYE74TOP9r3Auczt8VgtgO1VQvAQjXfmMvih2cLgNQPQ
igDx6kTWa4RDXg7F9KXO3NknrVt6jSKpo1MwUTAdBgNVHQ4EFgQUPh3Dnj9eVrA9
qXbIM58cw8O1OS8wHwYDVR0jBBgwFoAUPh3Dnj9eVrA9qXbIM58cw8O1OS8wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiA37g9qY2rlc9ucLET/1M4i
Sxbtd0hxskTmEqlUS/3zlQIgMWuPiUg+qjOajNwFVmiJk16Kv7OLSKZa4/d8cHzo
f44=
-----END CERTIFICATE-----
";

fn has_openssl() -> bool {
    let version = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    let is_there = version.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "openssl is not installed");
        eprintln!("SKIPPED: openssl is not installed");
    }
    is_there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_requires_tls_gets_it_from_a_server_whose_certificate_is_known() {
    let Some(server) = PostgresServer::start().filter(|_| has_openssl()) else {
        return;
    };
    let plain = server.database().await;
    let url = format!("{plain}?sslmode=require");
    let error = PostgresJournal::connect(&url, "run").await.unwrap_err();
    assert!(
        error.to_string().contains("does not support TLS"),
        "{error}"
    );

    let certificate = server.speak_tls().await;
    let error = PostgresJournal::connect(&url, "run").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("not trusted"), "{error}");
    let of_another = server.speak_tls().await.with_file_name("another.crt");
    fs::write(&of_another, ANOTHER).unwrap();
    let url = |file: &std::path::Path, mode| {
        format!("{plain}?sslmode={mode}&sslrootcert={}", file.display())
    };
    let error = PostgresJournal::connect(&url(&of_another, "verify-full"), "run")
        .await
        .unwrap_err();
    assert!(error.message().contains("not trusted"), "{error}");

    for mode in ["require", "verify-ca", "verify-full"] {
        let journal = PostgresJournal::connect(&url(&certificate, mode), mode)
            .await
            .unwrap();
        let (outcome, uncertain) = (Outcome::Incomplete, UnconfirmedCost::default());
        journal
            .append(Entry::Finished { outcome, uncertain })
            .await
            .unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'topicloom'";
        let sessions = connect(&plain).await.query(sql, &[]).await.unwrap();
        assert!(!sessions.is_empty() && sessions.iter().all(|session| session.get(0)));
        journal.close().await.unwrap();
    }
}
