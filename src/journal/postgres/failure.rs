//! What the server or the way to it says, in the library's words.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::{Error, ErrorKind};

/// An error, and whether it is that of a connection, which another connection may not have.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) is_lost: bool,
}

impl Failure {
    /// An error that another try may not have.
    pub(super) fn passing(error: Error) -> Self {
        Self {
            error,
            is_lost: true,
        }
    }

    /// The failure of a server that said nothing for so long.
    pub(super) fn silence(limit: Duration) -> Self {
        Self::passing(Error::new(
            ErrorKind::Journal,
            format!(
                "the PostgreSQL server has said nothing for {} s",
                limit.as_secs_f64()
            ),
        ))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            is_lost: false,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return unconnected(&error);
        };
        let message = match *said.code() {
            // They are made when a process connects for the first time.
            SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => {
                "the database has lost its tables, as after a fail-over to an empty replica; nothing more was written"
            }
            _ => "the PostgreSQL server refused",
        };
        // Not the detail, which may quote a row, and so what is in it.
        let message = Error::new(ErrorKind::Journal, message)
            .with_context("said", said.message())
            .with_context("sqlstate", said.code().code());
        Self {
            error: message,
            is_lost: passes(said.code()),
        }
    }
}

/// Whether the same may go well in a moment, on this connection or another.
fn passes(code: &SqlState) -> bool {
    // 08: connection; 40: deadlock and the like; 57: shutting down, starting up, cancelled by an administrator.
    let class = &code.code()[..2];
    matches!(class, "08" | "40" | "57")
        || *code == SqlState::TOO_MANY_CONNECTIONS
        || *code == SqlState::LOCK_NOT_AVAILABLE
        // After a fail-over, until the server is promoted.
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

fn unconnected(error: &tokio_postgres::Error) -> Failure {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    #[cfg(feature = "postgres-tls")]
    if let Some(rustls::Error::InvalidCertificate(cause)) =
        io.and_then(|io| io.get_ref()?.downcast_ref())
    {
        let message = "the PostgreSQL server's certificate is not trusted; name the file of it, or of its issuer, with \
                       `sslrootcert` in the URL";
        let error = Error::new(ErrorKind::Config, message);
        return error.with_context("cause", cause.to_string()).into();
    }
    let is_lost = error.is_closed() || io.is_some();
    let message = if is_lost {
        "the PostgreSQL server cannot be reached"
    } else {
        "the connection to the PostgreSQL server cannot be used"
    };
    let said = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Failure {
        error: Error::new(ErrorKind::Journal, message).with_context("cause", said),
        is_lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_passes_and_a_wrong_password_does_not() {
        for code in ["57P01", "57P03", "08006", "40P01", "53300"] {
            assert!(passes(&SqlState::from_code(code)), "{code}");
        }
        for code in ["28P01", "3D000", "42P01", "53100"] {
            assert!(!passes(&SqlState::from_code(code)), "{code}");
        }
    }
}
