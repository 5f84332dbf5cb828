//! A connection that is renewed when it breaks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use super::failure::Failure;
use super::migrate::migrate;
use super::run_id::{Channel, RunId};
use super::server::Server;
use crate::error::{Error, ErrorKind, Result, Retry};

/// How long a server that is gone is waited for by default: a restart takes seconds, a fail-over about half a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits between tries double from the first to the longest: short beside a restart, and no load on a server that
/// is down.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a statement is given.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection to the database that is renewed when it breaks.
///
/// A statement that was on its way then is sent once more, and may have been done before: so each is one that can be
/// done twice.
pub(crate) struct Link {
    server: Server,
    channels: Vec<(Channel, String)>,
    patience: Duration,
    /// What is taken again with each connection.
    office: OnceLock<Office>,
    // Held while a new connection comes about, so that it is one for all who wait for it.
    live: tokio::sync::Mutex<Option<Arc<Live>>>,
    wakes: Arc<Wakes>,
}

/// The right to write to a run.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) run: RunId,
    pub(crate) term: i64,
}

struct Live {
    client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

/// Counts what was heard, by channel.
struct Wakes(Vec<(Channel, watch::Sender<u64>)>);

impl Wakes {
    fn wake(&self, heard: impl Fn(Channel) -> bool) {
        for (channel, count) in &self.0 {
            if heard(*channel) {
                count.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

impl Link {
    /// Prepares a connection that listens to channels of a run.
    pub(super) fn new(
        server: &Server,
        patience: Duration,
        run: &RunId,
        channels: &[Channel],
    ) -> Self {
        let named = channels.iter().map(|&c| (c, run.channel(c))).collect();
        let counts = channels.iter().map(|&c| (c, watch::Sender::new(0)));
        Self {
            server: server.clone(),
            channels: named,
            patience,
            office: OnceLock::new(),
            live: tokio::sync::Mutex::new(None),
            wakes: Arc::new(Wakes(counts.collect())),
        }
    }

    /// Connects for the first time in a process, and brings the tables up to date. Tried once: who gave a wrong URL
    /// is told at once.
    pub(super) async fn begin(&self) -> Result<()> {
        let live = self.connect(true).await.map_err(|failure| failure.error)?;
        *self.live.lock().await = Some(Arc::new(live));
        Ok(())
    }

    /// Returns what tells that something was heard on a channel, or may have been: after a new connection, whoever
    /// waits has to look.
    pub(crate) fn heard(&self, channel: Channel) -> watch::Receiver<u64> {
        let (_, count) = self
            .wakes
            .0
            .iter()
            .find(|(known, _)| *known == channel)
            .expect("a link is asked for channels that it listens to");
        count.subscribe()
    }

    /// Holds an office from now on: each new connection takes its lock again.
    pub(super) fn hold(&self, office: Office) {
        let first = self.office.set(office);
        debug_assert!(first.is_ok(), "an office is taken once");
    }

    /// Sends one statement, and again where the connection breaks.
    pub(crate) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>> {
        let mut waits = Waits::new(self.patience);
        loop {
            let live = self.live(&mut waits).await?;
            match live.query(sql, values).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => {
                    self.leave(&live).await;
                    waits.after(self.server.located(failure)).await?;
                }
            }
        }
    }

    /// Sends one statement that gives one row.
    pub(crate) async fn query_one(&self, sql: &'static str, values: Values<'_>) -> Result<Row> {
        let mut rows = self.query(sql, values).await?;
        Ok(rows
            .pop()
            .expect("the statement gives a row, whatever is in the tables"))
    }

    /// Returns the connection, which may be a new one.
    async fn live(&self, waits: &mut Waits) -> Result<Arc<Live>> {
        let mut slot = self.live.lock().await;
        loop {
            if let Some(live) = &*slot
                && !live.client.is_closed()
            {
                return Ok(Arc::clone(live));
            }
            match self.connect(false).await {
                Ok(live) => {
                    *slot = Some(Arc::new(live));
                    // Whatever was said meanwhile was not heard.
                    self.wakes.wake(|_| true);
                }
                Err(failure) => waits.after(failure).await?,
            }
        }
    }

    /// Lets go of a connection that failed.
    async fn leave(&self, failed: &Arc<Live>) {
        let mut slot = self.live.lock().await;
        if slot.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) && failed.client.is_closed()
        {
            *slot = None;
        }
    }

    async fn connect(&self, migrates: bool) -> Result<Live, Failure> {
        let (mut client, mut connection) = self.server.connect().await?;
        let wakes = Arc::clone(&self.wakes);
        let channels = self.channels.clone();
        // Carries what the client sends and gets; it ends with the client or the connection.
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    wakes.wake(|channel| {
                        let heard = channels.iter().find(|(known, _)| *known == channel);
                        heard.is_some_and(|(_, name)| name == notification.channel())
                    });
                }
            }
        });
        self.server.settle(&client).await?;
        if migrates {
            migrate(&mut client).await?;
        }
        for (_, name) in &self.channels {
            // Not data: letters, digits and a hash.
            client.batch_execute(&format!("LISTEN {name}")).await?;
        }
        if let Some(office) = self.office.get() {
            office.resume(&client).await?;
        }
        Ok(Live {
            client,
            prepared: Mutex::default(),
        })
    }
}

impl Office {
    /// Takes the lock again, unless the office has gone to another.
    async fn resume(&self, client: &Client) -> Result<(), Failure> {
        let sql = "SELECT term FROM topicloom.runs WHERE id = $1";
        let row = client.query_opt(sql, &[&self.run.as_str()]).await?;
        if row.is_none_or(|row| row.get::<_, i64>(0) != self.term) {
            return Err(superseded(&self.run).into());
        }
        let sql = "SELECT pg_try_advisory_lock($1)";
        let row = client.query_one(sql, &[&self.run.lock()]).await?;
        if row.get(0) {
            return Ok(());
        }
        // Our own earlier connection may hold it until the server has noticed; or another process does, and
        // will have raised the term the next time we look.
        Err(Failure {
            error: in_use(&self.run),
            is_lost: true,
        })
    }
}

pub(super) fn superseded(run: &RunId) -> Error {
    Error::new(
        ErrorKind::Journal,
        "another process writes the journal of this run now; nothing more was written by this one",
    )
    .with_retry(Retry::Backoff)
    .with_context("run", run.as_str())
}

pub(super) fn in_use(run: &RunId) -> Error {
    Error::new(ErrorKind::Journal, "another run has the journal open")
        .with_context("run", run.as_str())
}

impl Live {
    async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let known = self.prepared().get(sql).cloned();
        let statement = if let Some(statement) = known {
            statement
        } else {
            let statement = self.client.prepare(sql).await?;
            self.prepared().insert(sql, statement.clone());
            statement
        };
        Ok(self.client.query(&statement, values).await?)
    }

    fn prepared(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long is waited before the next try.
struct Waits {
    deadline: Instant,
    next: Duration,
}

impl Waits {
    fn new(patience: Duration) -> Self {
        Self {
            deadline: Instant::now() + patience,
            next: FIRST_WAIT,
        }
    }

    /// Waits after a failure that may pass, and returns any other.
    async fn after(&mut self, failure: Failure) -> Result<()> {
        if !failure.is_lost {
            return Err(failure.error);
        }
        if Instant::now() >= self.deadline {
            return Err(failure.error.with_retry(Retry::Never));
        }
        tracing::debug!(error = %failure.error, "the database is tried again");
        sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

/// Shows where it leads.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
