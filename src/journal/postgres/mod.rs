//! A journal in a PostgreSQL database.

mod failure;
mod link;
mod migrate;
mod options;
mod pages;
mod reader;
mod run_id;
mod server;
#[cfg(feature = "postgres-tls")]
mod tls;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};

use self::writer::Writer;
use super::{CallNote, Entry, Journal};
use crate::error::{Error, ErrorKind, Result};
use crate::llm::TaskRef;

pub use options::PostgresOptions;
pub use reader::{PostgresReader, RunState};

pub(crate) use link::{END_HOLDER, Link, lost};
pub(crate) use run_id::{Channel, RunId};
pub(crate) use server::Server;
pub(crate) use writer::{no_such_run, try_lock};

/// Keeps a run in a PostgreSQL database, in the schema `topicloom`, which is created by the first who connects and
/// brought up to date by later versions.
///
/// A run that is killed and started again with the same journal goes on where it was. One process at a time writes to
/// a run: it holds a lock, and each append proves that nobody has taken its place since. Appends that
/// arrive together are written together. A connection that breaks is renewed; where an append was on its way, it is
/// neither lost nor doubled.
///
/// ```no_run
/// use topicloom::journal::PostgresJournal;
/// use topicloom::{GenerateByTopicInput, Pipeline};
///
/// # async fn example(input: GenerateByTopicInput) -> Result<(), Box<dyn std::error::Error>> {
/// let journal = PostgresJournal::connect("postgres://weaver@db.example/runs", "questions").await?;
/// let pipeline = Pipeline::builder_from_input(&input, &Default::default())?
///     .journal(journal)
///     .build();
/// let dataset = pipeline.generate(input).await?;
/// # Ok(())
/// # }
/// ```
///
/// Durable is what the server calls so: with `synchronous_commit = off` there, a power failure may cost the last moment. Not
/// promised: that it works through a pooler which gives each transaction another session, since a lock belongs to
/// a session; that an append whose outcome could not be learnt before [patience](PostgresOptions::patience) ran out is not
/// there when the run is resumed.
#[derive(Clone)]
pub struct PostgresJournal(Arc<Inner>);

struct Inner {
    database: Database,
    run: RunId,
    /// Whether the calls of the run are handed out as leases.
    is_shared: bool,
    writer: Mutex<Option<Arc<Writer>>>,
}

/// A server, and how it is dealt with.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) options: PostgresOptions,
}

impl Database {
    /// Connects for the first time in this process, brings the tables up to date, and returns the connection.
    pub(crate) async fn first_link(&self, run: &RunId) -> Result<Link> {
        let link = self.link(run, &[]);
        link.begin().await?;
        Ok(link)
    }

    /// Returns a connection that comes about when it is used, however long the server takes within patience.
    pub(crate) fn link(&self, run: &RunId, channels: &[Channel]) -> Link {
        Link::new(&self.server, self.options, run, channels)
    }
}

impl PostgresJournal {
    /// Opens the journal of a run, creating it if there is none.
    ///
    /// `url` is such as `postgres://user@host:5432/database`; the password may be in it, or in the variable `PGPASSWORD`. It never
    /// shows in an error. `run_id` is any text of up to 200 bytes.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or refuses, a later version of the library has been there, the journal is
    /// open elsewhere, or the run is [shared](crate::SharedRun) and goes on.
    pub async fn connect(url: &str, run_id: impl Into<String>) -> Result<Self> {
        Self::connect_with(url, run_id, PostgresOptions::new()).await
    }

    /// Opens the journal of a run with options of your own.
    ///
    /// # Errors
    ///
    /// As of [`connect`](Self::connect).
    pub async fn connect_with(
        url: &str,
        run_id: impl Into<String>,
        options: PostgresOptions,
    ) -> Result<Self> {
        let server = Server::parse(url)?;
        let journal = Self(Arc::new(Inner {
            database: Database { server, options },
            run: RunId::new(run_id)?,
            is_shared: false,
            writer: Mutex::new(None),
        }));
        journal.open().await?;
        Ok(journal)
    }

    /// Opens the journal of a run that is shared, for the process that leads it, whose link holds the lock.
    ///
    /// Nobody takes its place before it has been silent for so long.
    pub(crate) async fn of_elected(
        database: &Database,
        run: &RunId,
        link: Link,
        silence: Duration,
    ) -> Result<Self> {
        let writer = Writer::begin(link, run, Some(silence)).await?;
        Ok(Self(Arc::new(Inner {
            database: database.clone(),
            run: run.clone(),
            is_shared: true,
            writer: Mutex::new(Some(Arc::new(writer))),
        })))
    }

    /// Returns the id of the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.0.run.as_str()
    }

    /// Returns the term of this writer. Whatever is done in its name is refused once another process has taken its place.
    pub(crate) fn term(&self) -> Result<i64> {
        Ok(self.writer()?.term())
    }

    /// Stops writing at once, as if the process had died.
    pub(crate) fn abandon(&self) {
        if let Some(writer) = self.locked().take() {
            writer.abandon();
        }
    }

    /// Gives the lock back. Everything appended is durable already.
    pub(crate) async fn release(&self) -> Result<()> {
        let writer = self.locked().take();
        match writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }

    /// Becomes the writer, unless it is already.
    async fn open(&self) -> Result<()> {
        if self.locked().is_some() || self.0.is_shared {
            return Ok(());
        }
        let run = &self.0.run;
        let link = self.0.database.first_link(run).await?;
        let sql = "INSERT INTO topicloom.runs (id) VALUES ($1) ON CONFLICT DO NOTHING";
        link.query(sql, &[&run.as_str()]).await?;
        let sql = "SELECT shared AND ended IS NULL FROM topicloom.runs WHERE id = $1";
        if link.query_one(sql, &[&run.as_str()]).await?.get(0) {
            return Err(Error::new(
                ErrorKind::Journal,
                "the run is shared, and goes on: join it instead",
            )
            .with_context("run", run.as_str()));
        }
        let writer = Writer::take(link, run).await?;
        *self.locked() = Some(Arc::new(writer));
        Ok(())
    }

    fn writer(&self) -> Result<Arc<Writer>> {
        self.locked()
            .clone()
            .ok_or_else(|| Error::new(ErrorKind::Journal, "the journal is closed"))
    }

    fn locked(&self) -> MutexGuard<'_, Option<Arc<Writer>>> {
        let writer = &self.0.writer;
        writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        // A pipeline that runs once more begins here.
        self.open().await?;
        let run = &self.0.run;
        // A link of its own: a reader that is slow must not keep an append waiting.
        let link = self.0.database.link(run, &[]);
        Ok(pages::entries(Arc::new(link), run.clone()).await?.boxed())
    }

    async fn append(&self, entry: Entry) -> Result<u64> {
        self.writer()?.append(entry).await
    }

    async fn note(&self, call: CallNote) -> Result<()> {
        // The calls of a shared run are leases, which outlive a process by themselves.
        if self.0.is_shared {
            return Ok(());
        }
        self.writer()?.note(call).await
    }

    async fn outstanding(&self) -> Result<Vec<TaskRef>> {
        if !self.0.is_shared {
            return Ok(Vec::new());
        }
        let run = &self.0.run;
        let link = self.0.database.link(run, &[]);
        let sql = "SELECT task, topic, wanted, round FROM topicloom.leases
            WHERE run = $1 AND task IS NOT NULL ORDER BY task";
        let rows = link.query(sql, &[&run.as_str()]).await?;
        let tasks = rows.iter().map(|row| {
            let number = |place| row.get::<_, i64>(place).cast_unsigned();
            TaskRef::new(
                number(0),
                usize::try_from(number(1)).unwrap_or(usize::MAX),
                number(2),
                u32::try_from(number(3)).unwrap_or(u32::MAX),
            )
        });
        Ok(tasks.collect())
    }

    async fn close(&self) -> Result<()> {
        // The leader of a shared run announces its end first.
        if self.0.is_shared {
            return Ok(());
        }
        self.release().await
    }
}

/// Shows where it is, without user and password.
impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJournal")
            .field("server", &self.0.database.server)
            .field("run", &self.0.run)
            .finish_non_exhaustive()
    }
}
