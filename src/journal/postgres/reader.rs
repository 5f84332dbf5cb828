//! Looks into the journal of a run without writing to it.

use std::fmt;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use serde_json::Value;

use super::writer::no_such_run;
use super::{Database, Entry, Link, PostgresOptions, RunId, Server, pages};
use crate::error::{Error, ErrorKind, Result};

/// Looks into the journal of a run in a PostgreSQL database without writing to it. The run may go on meanwhile.
///
/// ```no_run
/// use futures::StreamExt;
/// use topicloom::journal::PostgresReader;
///
/// # async fn example() -> topicloom::Result<()> {
/// let reader = PostgresReader::connect("postgres://weaver@db.example/runs", "questions").await?;
/// let mut entries = reader.entries().await?;
/// while let Some(entry) = entries.next().await {
///     println!("{:?}", entry?);
/// }
/// # Ok(())
/// # }
/// ```
pub struct PostgresReader {
    link: Arc<Link>,
    run: RunId,
}

/// How far a run in a database is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunState {
    /// Entries in its journal.
    pub entries: u64,
    /// Whether its calls are handed out as leases.
    pub is_shared: bool,
    /// How a shared run ended, as in its report; `None` while it goes on.
    pub ended: Option<String>,
    /// Why a shared run ended otherwise than complete.
    pub reason: Option<String>,
    /// Calls that are waited for or made at this moment.
    pub calls_open: u64,
    /// Calls that were handed out again, since their worker let the deadline pass.
    pub leases_lost: u64,
    /// How many processes have written to the run, one after another.
    pub writers: u64,
}

impl PostgresReader {
    /// Finds a run.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or refuses, or has no such run.
    pub async fn connect(url: &str, run_id: impl Into<String>) -> Result<Self> {
        let database = Database {
            server: Server::parse(url)?,
            options: PostgresOptions::new(),
        };
        let run = RunId::new(run_id)?;
        let reader = Self {
            link: Arc::new(database.first_link(&run).await?),
            run,
        };
        reader.state().await?;
        Ok(reader)
    }

    /// Looks at a run in a database that this process knows.
    pub(crate) fn of(database: &Database, run: &RunId) -> Self {
        Self {
            link: Arc::new(database.link(run, &[])),
            run: run.clone(),
        }
    }

    /// Returns the entries that are there now, in order.
    ///
    /// # Errors
    ///
    /// Where they cannot be read; a damaged one is an error in the stream.
    pub async fn entries(&self) -> Result<BoxStream<'static, Result<Entry>>> {
        let link = Arc::clone(&self.link);
        Ok(pages::entries(link, self.run.clone()).await?.boxed())
    }

    /// Returns how far the run is.
    ///
    /// # Errors
    ///
    /// Where the server cannot be asked, or the run is gone.
    pub async fn state(&self) -> Result<RunState> {
        let sql = "SELECT entries, shared, ended, reason, term,
                (SELECT count(*) FROM topicloom.leases WHERE run = id AND result IS NULL),
                (SELECT count(*) FROM topicloom.lost_leases WHERE run = id)
            FROM topicloom.runs WHERE id = $1";
        let rows = self.link.query(sql, &[&self.run.as_str()]).await?;
        let row = rows.first().ok_or_else(|| no_such_run(&self.run))?;
        let count = |place| row.get::<_, i64>(place).cast_unsigned();
        Ok(RunState {
            entries: count(0),
            is_shared: row.get(1),
            ended: row.get(2),
            reason: row.get(3),
            writers: count(4),
            calls_open: count(5),
            leases_lost: count(6),
        })
    }

    /// Returns the input of the run, in its canonical form: that of the last start.
    ///
    /// # Errors
    ///
    /// Where the run has not begun, or its input cannot be read.
    pub async fn input(&self) -> Result<Value> {
        let sql = "SELECT input FROM topicloom.runs WHERE id = $1";
        let rows = self.link.query(sql, &[&self.run.as_str()]).await?;
        let input: Option<&[u8]> = rows.first().and_then(|row| row.get(0));
        let error = |message| {
            Error::new(ErrorKind::InvalidInput, message).with_context("run", self.run.as_str())
        };
        let input = input.ok_or_else(|| error("the journal holds no run that could go on"))?;
        serde_json::from_slice(input).map_err(|_| error("the input in the database cannot be read"))
    }
}

/// Shows what it looks at.
impl fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReader")
            .field("link", &self.link)
            .field("run", &self.run)
            .finish()
    }
}
