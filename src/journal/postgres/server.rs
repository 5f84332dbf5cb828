//! Where the database is.

use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};

use super::failure::Failure;
use crate::error::{Error, ErrorKind, Result};

/// How long a connection may take to come about, unless the URL says otherwise with `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that vanished without a word is noticed within about half a minute.
const SILENCE: Duration = Duration::from_secs(15);
const BETWEEN_PROBES: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// The other direction: the server notices within the same time that we vanished, and frees our lock. The time-outs are
/// for statements of a person; ours are short, or have their own limits. Settings that a server does not know are left out.
const SETTINGS: &str = "SELECT set_config(name, value, false)
    FROM (VALUES ('tcp_keepalives_idle', '15'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),
                 ('statement_timeout', '0'), ('idle_session_timeout', '0'))
         AS wanted(name, value)
    WHERE EXISTS (SELECT FROM pg_settings WHERE pg_settings.name = wanted.name)";

/// A PostgreSQL database, by its URL.
#[derive(Clone)]
pub(crate) struct Server(Config);

impl Server {
    /// Reads a URL such as `postgres://user@host/database`. The password may be in it, or in `PGPASSWORD`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        if !is_url(url) {
            return Err(not_a_url());
        }
        // Modes that the client library does not know, and takes for a wrong URL.
        if url.contains("sslmode=verify") {
            return Err(no_tls());
        }
        // Its error may quote the URL.
        let mut config: Config = url.parse().map_err(|_| not_a_url())?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(no_tls());
        }
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("topicloom");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config
            .keepalives_idle(SILENCE)
            .keepalives_interval(BETWEEN_PROBES)
            .keepalives_retries(PROBES)
            .tcp_user_timeout(SILENCE + BETWEEN_PROBES * PROBES);
        Ok(Self(config))
    }

    /// Opens a connection. Whoever gets it has to poll the second half.
    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, NoTlsStream>), Failure> {
        self.0
            .connect(NoTls)
            .await
            .map_err(|error| self.located(error.into()))
    }

    /// Says on a new connection what holds for all of them.
    pub(super) async fn settle(&self, client: &Client) -> Result<(), Failure> {
        client.batch_execute(SETTINGS).await?;
        Ok(())
    }

    /// Adds to a failure where it happened.
    pub(super) fn located(&self, mut failure: Failure) -> Failure {
        failure.error = failure.error.with_context("server", self.to_string());
        failure
    }
}

/// Returns whether this is the URL of a PostgreSQL database, and not the path of a file.
#[must_use]
pub(crate) fn is_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn not_a_url() -> Error {
    Error::new(
        ErrorKind::Config,
        "the database is not given by a URL such as `postgres://user@host/database`",
    )
}

fn no_tls() -> Error {
    Error::new(
        ErrorKind::Config,
        "the URL asks for TLS with `sslmode`, which the feature `postgres` is not built with; use `sslmode=prefer` \
         on a network you trust, or a tunnel",
    )
}

/// Shows host, port and database; never user or password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get_hosts().first() {
            Some(Host::Tcp(host)) => f.write_str(host)?,
            #[cfg(unix)]
            Some(Host::Unix(path)) => write!(f, "{}", path.display())?,
            None => f.write_str("?")?,
        }
        let port = self.0.get_ports().first().copied().unwrap_or(5432);
        write!(f, ":{port}/{}", self.0.get_dbname().unwrap_or(""))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let server = Server::parse("postgres://weaver:hunter2@db.example:5433/runs").unwrap();
        assert_eq!(server.to_string(), "db.example:5433/runs");
        assert_eq!(format!("{server:?}"), "Server(db.example:5433/runs)");
        for wrong in [
            "postgres://weaver:hunter2@db.example:port/runs",
            "postgres://weaver:hunter2@db/runs?sslmode=verify-full",
            "postgres://weaver:hunter2@db/runs?sslmode=require",
            "postgres://weaver:hunter2@db/runs?no_such_option=hunter2",
            "host=db password=hunter2",
        ] {
            let error = Server::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn tls_that_is_required_is_said_to_be_missing() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let error = Server::parse(&format!("postgres://db/runs?sslmode={mode}")).unwrap_err();
            assert!(error.message().contains("TLS"), "{error}");
        }
        for mode in ["disable", "prefer"] {
            Server::parse(&format!("postgres://db/runs?sslmode={mode}")).unwrap();
        }
    }
}
