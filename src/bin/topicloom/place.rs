//! Where a journal is: in a file or in a database.

use std::path::PathBuf;

use topicloom::{Error, ErrorKind, Result};

use crate::args::WhichRun;

#[derive(Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Database(Row),
}

/// A run in a database.
#[derive(Clone)]
#[cfg_attr(not(feature = "postgres"), allow(dead_code))] // What is told then is only that there is no PostgreSQL.
pub(crate) struct Row {
    pub(crate) url: String,
    pub(crate) run_id: String,
}

impl Place {
    /// Reads what was given for a journal.
    pub(crate) fn of(journal: String, which: WhichRun) -> Result<Self> {
        let is_url = journal.starts_with("postgres://") || journal.starts_with("postgresql://");
        let invalid = |message| Error::new(ErrorKind::InvalidInput, message);
        match (is_url, which.run_id) {
            (true, Some(run_id)) => Ok(Self::Database(Row {
                url: journal,
                run_id,
            })),
            (false, None) => Ok(Self::File(journal.into())),
            (true, None) => Err(invalid(
                "a database holds many runs: say which with `--run-id`",
            )),
            (false, Some(_)) => Err(invalid(
                "`--run-id` is for a journal in a database, such as `postgres://user@host/database`; a file holds one run",
            )),
        }
    }
}
