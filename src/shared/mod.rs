//! Runs that several processes share, on one machine or many.
//!
#![doc = include_str!("../../docs/shared.md")]

mod leader;
mod queue;
mod remote_client;
mod replay;
mod wire;
mod worker;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::queue::CallQueue;
use self::replay::{Ended, NoMore};
use self::worker::Worker;
use crate::error::{Error, ErrorKind, Result};
use crate::input::GenerateByTopicInput;
use crate::journal::postgres::{Channel, Database, Link, RunId, Server, lost, no_such_run};
use crate::journal::{PostgresOptions, PostgresReader, ReadOnlyJournal};
use crate::outcome::Outcome;
use crate::pipeline::Pipeline;
use crate::record::JsonRecord;
use crate::run::Run;

/// How long nobody else makes a call that a worker has claimed and does not renew: longer than a worker or its
/// network is ever still, shorter than anybody minds to wait for one call of a worker that died.
const LEASE_TIME: Duration = Duration::from_secs(30);

/// A notification may be lost with its connection; after this time it is looked all the same.
const POLL: Duration = Duration::from_secs(2);

/// A process that leaves does not wait longer to give back what it has: it passes to others in any case.
const FAREWELL: Duration = Duration::from_secs(2);

/// One process's part in a run that several share.
///
/// Each process makes calls with a model of its own, and one of them, whichever it is, leads the run. Any of them may be
/// killed at any time.
///
/// ```no_run
/// use topicloom::{GenerateByTopicInput, SharedRun};
///
/// # async fn example(input: GenerateByTopicInput) -> Result<(), Box<dyn std::error::Error>> {
/// let url = "postgres://weaver@db.example/runs";
///
/// // On one machine: begins the run, or joins it if it is there.
/// let run = SharedRun::create(url, "questions", input).await?;
/// // On any other machine: joins it, with the input that lies in the database.
/// let run = SharedRun::join(url, "questions").await?.concurrency(8);
///
/// let outcome = run.run().await?; // until it is over, for all
/// let dataset = run.records().await?.collect().await?;
/// # Ok(())
/// # }
/// ```
pub struct SharedRun<T = JsonRecord> {
    database: Database,
    run: RunId,
    input: GenerateByTopicInput<T>,
    pipeline: Option<Pipeline>,
    concurrency: Option<usize>,
    lease_time: Duration,
    left: CancellationToken,
}

impl SharedRun {
    /// Joins a run that another process has created. Its input is that of the run.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or refuses, or has no such run, or one that is not shared.
    pub async fn join(url: &str, run_id: impl Into<String>) -> Result<Self> {
        let (database, run) = database(url, run_id)?;
        let link = database.first_link(&run).await?;
        let sql = "SELECT shared FROM topicloom.runs WHERE id = $1";
        let rows = link.query(sql, &[&run.as_str()]).await?;
        let row = rows.first().ok_or_else(|| no_such_run(&run))?;
        if !row.get::<_, bool>(0) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the run is that of one process: it cannot be joined before it was made a shared one",
            )
            .with_context("run", run.as_str()));
        }
        let input = PostgresReader::of(&database, &run).input().await?;
        Ok(Self::new(
            database,
            run,
            GenerateByTopicInput::from_json_value(input)?,
        ))
    }

    /// Decodes records into another type, which must fit the schema of the run.
    ///
    /// All processes that may lead a run must agree on what a record is: one that is refused here must be refused by all.
    #[must_use]
    pub fn decoded_as<U: DeserializeOwned + Send + 'static>(self) -> SharedRun<U> {
        SharedRun {
            database: self.database,
            run: self.run,
            input: self.input.decoded_as(),
            pipeline: self.pipeline,
            concurrency: self.concurrency,
            lease_time: self.lease_time,
            left: self.left,
        }
    }
}

impl<T> SharedRun<T> {
    /// Begins a shared run, or joins the one that has this id, if its input is the same. One that ended before it was complete
    /// goes on.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or refuses, or the run has another input.
    pub async fn create(
        url: &str,
        run_id: impl Into<String>,
        input: GenerateByTopicInput<T>,
    ) -> Result<Self> {
        let (database, run) = database(url, run_id)?;
        let link = database.first_link(&run).await?;
        let sql = "INSERT INTO topicloom.runs (id, input, shared) VALUES ($1, $2, true)
            ON CONFLICT (id) DO UPDATE SET input = coalesce(runs.input, excluded.input)
            RETURNING input";
        let own = input.to_json().to_string().into_bytes();
        let row = link.query_one(sql, &[&run.as_str(), &own]).await?;
        if !is_of(row.get(0), &input) {
            return Err(Error::new(
                ErrorKind::Journal,
                "the run belongs to another input; use that, or another id",
            )
            .with_context("run", run.as_str()));
        }
        let sql = "UPDATE topicloom.runs SET shared = true, ended = NULL, reason = NULL
            WHERE id = $1 AND (NOT shared OR ended <> $2)";
        let complete = Outcome::Complete.as_str();
        link.query(sql, &[&run.as_str(), &complete]).await?;
        Ok(Self::new(database, run, input))
    }

    fn new(database: Database, run: RunId, input: GenerateByTopicInput<T>) -> Self {
        Self {
            database,
            run,
            input,
            pipeline: None,
            concurrency: None,
            lease_time: LEASE_TIME,
            left: CancellationToken::new(),
        }
    }

    /// Sets the parts that this process uses: its models for the calls it makes, everything else where it leads the run.
    ///
    /// The default is [`Pipeline::from_input`]. The journal of the pipeline is not used. Deduplicator, filters, prompts
    /// and scheduling should be the same in all processes, since any may lead the run.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// Sets how many calls this process makes at once. The default is `max_concurrency` of the input, which also bounds
    /// the calls of all processes together. With 0 it makes none, and only stands by to lead the run.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Sets how long nobody else makes a call of this process if it dies: the default is 30 seconds. A process that lives
    /// renews its leases three times in that time, so calls may take longer.
    #[must_use]
    pub fn lease_time(mut self, time: Duration) -> Self {
        self.lease_time = time;
        self
    }

    /// Sets how long a server that goes away is waited for. The default is 60 seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.database.options.patience = patience;
        self
    }

    /// Sets how long a connection or a statement may take before it is given up and tried again. The default is 10 seconds.
    #[must_use]
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.database.options.statement_timeout = limit;
        self
    }

    /// Returns the input of the run.
    #[must_use]
    pub fn input(&self) -> &GenerateByTopicInput<T> {
        &self.input
    }

    /// Returns the id of the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.run.as_str()
    }

    /// Returns a handle that makes this process leave the run, such as in a signal handler.
    #[must_use]
    pub fn leave_handle(&self) -> LeaveHandle {
        LeaveHandle(self.left.clone())
    }

    /// Returns how far the run is, if it is there.
    async fn progress(&self, link: &Link) -> Result<Option<Progress>> {
        let sql = "SELECT term, entries, ended, reason FROM topicloom.runs WHERE id = $1";
        let rows = link.query(sql, &[&self.run.as_str()]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let outcome: Option<String> = row.get(2);
        let outcome = outcome.map(|outcome| serde_json::from_value(Value::String(outcome)));
        let outcome = outcome.transpose().map_err(|_| {
            Error::new(
                ErrorKind::Journal,
                "the run ended in a way that this version of the library does not know",
            )
        })?;
        let reason: Option<String> = row.get(3);
        Ok(Some(Progress {
            term: row.get(0),
            entries: row.get(1),
            ended: outcome.map(|outcome| Ended { outcome, reason }),
        }))
    }

    /// Returns how the run ended, or `None` while it goes on.
    async fn ended(&self, link: &Link) -> Result<Option<Ended>> {
        let progress = self.progress(link).await?;
        Ok(progress.ok_or_else(|| lost(&self.run))?.ended)
    }

    async fn until_ended(&self, link: &Link) -> Result<Ended> {
        let mut state = link.heard(Channel::State);
        let (mut term, mut entries) = (0, 0);
        loop {
            state.mark_unchanged();
            let progress = self.progress(link).await?;
            let progress = progress.filter(|now| now.term >= term && now.entries >= entries);
            let progress = progress.ok_or_else(|| lost(&self.run))?;
            if let Some(ended) = progress.ended {
                return Ok(ended);
            }
            (term, entries) = (progress.term, progress.entries);
            tokio::select! {
                _ = state.changed() => {}
                () = sleep(POLL) => {}
            }
        }
    }
}

/// How far a run is. Term and entries only grow, unless another database has taken the place of the one that was there.
struct Progress {
    term: i64,
    entries: i64,
    ended: Option<Ended>,
}

impl<T: DeserializeOwned + Send + 'static> SharedRun<T> {
    /// Takes part in the run until it is over for all, and returns how it ended.
    ///
    /// Dropping the future leaves the run, as does [`leave_handle`](Self::leave_handle), which also gives back the calls that
    /// this process was making.
    ///
    /// # Errors
    ///
    /// Where this process cannot take part any more, while the run may go on without it: its model refuses it (key, quota,
    /// unknown model), the database cannot be reached, it was made to leave. A run that ended short or failed is no
    /// error here, and one of [`records`](Self::records).
    pub async fn run(&self) -> Result<Outcome> {
        let pipeline = self.parts()?;
        let channels = [Channel::Work, Channel::Done, Channel::State];
        let link = Arc::new(self.database.link(&self.run, &channels));
        let queue = Arc::new(CallQueue::new(Arc::clone(&link), self.run.clone()));
        let settings = self.input.settings();
        let concurrency = self.concurrency.unwrap_or(settings.max_concurrency);
        let worker = Worker {
            name: worker_name(),
            queue: Arc::clone(&queue),
            clients: pipeline.process_clients(settings, concurrency.max(1)),
            concurrency,
            lease_time: self.lease_time,
        };
        let ended = {
            // Boxed, since they are large, and a caller holds this future wherever it likes.
            let working = Box::pin(async {
                match concurrency {
                    0 => std::future::pending().await,
                    _ => worker.work().await,
                }
            });
            let leading = Box::pin(async {
                leader::lead(self, &pipeline, &link).await?;
                // Over, which the process learns as all others do.
                std::future::pending::<Result<()>>().await
            });
            tokio::select! {
                biased;
                () = self.left.cancelled() => Err(Error::new(
                    ErrorKind::Cancelled,
                    "this process left the run, which goes on without it",
                )),
                ended = self.until_ended(&link) => ended,
                failed = working => Err(failed.expect_err("it works until it fails")),
                failed = leading => Err(failed.expect_err("it is over for all at the same time")),
            }
        };
        if ended.is_err() {
            // What cannot be given back is handed out again after its deadline.
            let _ = timeout(FAREWELL, queue.give_back(&worker.name)).await;
        }
        ended.map(|ended| ended.outcome)
    }

    /// Returns the records of a run that is over, from its journal and without a call: the same in every process.
    ///
    /// # Errors
    ///
    /// Where the run is not over, or its journal cannot be read. In the stream, as its last item, why the run did not complete.
    pub async fn records(&self) -> Result<Run<T>> {
        let link = self.database.link(&self.run, &[]);
        let Some(ended) = self.ended(&link).await? else {
            return Err(Error::new(ErrorKind::Journal, "the run is not over yet")
                .with_context("run", self.run.as_str()));
        };
        let model = self.input.generation_model().to_string();
        let journal = PostgresReader::of(&self.database, &self.run);
        let journal = ReadOnlyJournal::database(journal);
        self.parts()?
            .replaying(NoMore { model, ended }, journal)
            .run(self.input.clone())
    }

    fn parts(&self) -> Result<Pipeline> {
        match &self.pipeline {
            Some(pipeline) => Ok(pipeline.clone()),
            None => Pipeline::from_input(&self.input),
        }
    }
}

/// Makes a process leave a shared run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LeaveHandle(CancellationToken);

impl LeaveHandle {
    /// Drops the calls of this process, which others then make, and ends its [`run`](SharedRun::run).
    pub fn leave(&self) {
        self.0.cancel();
    }
}

fn database(url: &str, run_id: impl Into<String>) -> Result<(Database, RunId)> {
    let server = Server::parse(url)?;
    let options = PostgresOptions::new();
    Ok((Database { server, options }, RunId::new(run_id)?))
}

/// Whether what lies in the database is the same input, but for how the run is driven.
fn is_of<T>(stored: &[u8], input: &GenerateByTopicInput<T>) -> bool {
    serde_json::from_slice(stored)
        .ok()
        .and_then(|stored| GenerateByTopicInput::from_json_value(stored).ok())
        .is_some_and(|stored| stored.fingerprint() == input.fingerprint())
}

/// Draws a name that no other worker has; the standard library's hasher is seeded by the system.
fn worker_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{random:016x}", std::process::id())
}

/// Shows where it is, without user and password.
impl<T> fmt::Debug for SharedRun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRun")
            .field("server", &self.database.server)
            .field("run", &self.run)
            .field("concurrency", &self.concurrency)
            .field("lease_time", &self.lease_time)
            .finish_non_exhaustive()
    }
}
