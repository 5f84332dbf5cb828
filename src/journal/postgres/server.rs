//! Where the database is.

use std::fmt;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};

use super::failure::Failure;
#[cfg(feature = "postgres-tls")]
use super::tls::Tls;
use crate::environment;
use crate::error::{Error, ErrorKind, Result};

/// What a connection carries. Nothing moves before it is polled.
pub(super) type Messages = BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

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
pub(crate) struct Server {
    config: Config,
    #[cfg(feature = "postgres-tls")]
    tls: Option<Tls>,
}

impl Server {
    /// Reads a URL such as `postgres://user@host/database`. The password may be in it, or in `PGPASSWORD` of the environment or a
    /// `.env` file.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        if !is_url(url) {
            return Err(not_a_url());
        }
        let (url, asked) = TlsAsked::take_from(url);
        // Its error may quote the URL.
        let mut config: Config = url.parse().map_err(|_| not_a_url())?;
        if config.get_password().is_none()
            && let Some(password) = environment::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("topicloom");
        }
        config
            .ssl_mode(if asked.is_required {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .keepalives_idle(SILENCE)
            .keepalives_interval(BETWEEN_PROBES)
            .keepalives_retries(PROBES)
            .tcp_user_timeout(SILENCE + BETWEEN_PROBES * PROBES);
        #[cfg(not(feature = "postgres-tls"))]
        if asked.is_required {
            return Err(Error::new(
                ErrorKind::Config,
                "the URL asks for TLS with `sslmode`: build with the feature `postgres-tls`",
            ));
        }
        Ok(Self {
            config,
            #[cfg(feature = "postgres-tls")]
            tls: asked
                .is_required
                .then(|| Tls::new(asked.root_certificates.as_deref()))
                .transpose()?,
        })
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<(Client, Messages), Failure> {
        #[cfg(feature = "postgres-tls")]
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            return Ok((client, messages(connection)));
        }
        let (client, connection) = self.config.connect(NoTls).await?;
        Ok((client, messages(connection)))
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

/// What a URL says of TLS, in the words of PostgreSQL's own clients.
#[derive(Debug, Default)]
struct TlsAsked {
    is_required: bool,
    /// A file in the PEM form.
    root_certificates: Option<String>,
}

impl TlsAsked {
    /// Takes these parameters out of a URL, since the client library does not know them all.
    fn take_from(url: &str) -> (String, Self) {
        let mut asked = Self::default();
        let Some((before, parameters)) = url.split_once('?') else {
            return (url.to_owned(), asked);
        };
        let others = parameters.split('&').filter(|parameter| {
            match parameter.split_once('=') {
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => {
                    asked.is_required = true;
                }
                Some(("sslmode", "disable" | "allow" | "prefer")) => {}
                Some(("sslrootcert", path)) => {
                    asked.root_certificates = Some(path.to_owned());
                }
                _ => return true,
            }
            false
        });
        let others: Vec<&str> = others.collect();
        (format!("{before}?{}", others.join("&")), asked)
    }
}

fn messages<S, T>(mut connection: Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream::poll_fn(move |context| connection.poll_message(context)).boxed()
}

/// Shows host, port and database; never user or password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => f.write_str(host)?,
            #[cfg(unix)]
            Some(Host::Unix(path)) => write!(f, "{}", path.display())?,
            None => f.write_str("?")?,
        }
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        write!(f, ":{port}/{}", self.config.get_dbname().unwrap_or(""))
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
            "postgres://weaver:hunter2@db/runs?sslmode=no",
            "postgres://weaver:hunter2@db/runs?sslmode=require&sslrootcert=missing",
            "postgres://weaver:hunter2@db/runs?no_such_option=hunter2",
            "host=db password=hunter2",
        ] {
            let error = Server::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_dotenv_file_may_have_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "PGPASSWORD=hunter2\n").unwrap();
        environment::read_dotenv(&file).unwrap();
        let said = std::env::var("PGPASSWORD").unwrap_or("hunter2".to_owned());
        let password = |url| {
            Server::parse(url)
                .unwrap()
                .config
                .get_password()
                .map(<[u8]>::to_vec)
        };
        assert_eq!(password("postgres://weaver@db/runs"), Some(said.into()));
        assert_eq!(
            password("postgres://weaver:own@db/runs"),
            Some(b"own".to_vec())
        );
    }

    #[test]
    fn what_a_url_says_of_tls_is_read_and_taken_out_of_it() {
        for (url, rest, is_required, root) in [
            ("postgres://db/runs", "postgres://db/runs", false, None),
            (
                "postgres://db/runs?sslmode=prefer&a=b",
                "postgres://db/runs?a=b",
                false,
                None,
            ),
            (
                "postgres://db/runs?sslmode=verify-full",
                "postgres://db/runs?",
                true,
                None,
            ),
            (
                "postgres://db/runs?a=b&sslmode=require&sslrootcert=/ca.pem",
                "postgres://db/runs?a=b",
                true,
                Some("/ca.pem"),
            ),
        ] {
            let (left, asked) = TlsAsked::take_from(url);
            assert_eq!(left, rest);
            assert_eq!(asked.is_required, is_required);
            assert_eq!(asked.root_certificates.as_deref(), root);
        }
        Server::parse("postgres://db/runs?sslmode=allow").unwrap();
        let error = Server::parse("postgres://db/runs?sslmode=no").unwrap_err();
        assert!(error.message().contains("not given by a URL"), "{error}");
    }

    #[cfg(not(feature = "postgres-tls"))]
    #[test]
    fn tls_that_is_required_is_said_to_be_missing() {
        let error = Server::parse("postgres://db/runs?sslmode=require").unwrap_err();
        assert!(error.message().contains("postgres-tls"), "{error}");
    }
}
