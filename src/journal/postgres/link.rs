//! A connection that is renewed when it breaks.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use super::failure::Failure;
use super::migrate::migrate;
use super::options::PostgresOptions;
use super::run_id::{Channel, RunId};
use super::server::Server;
use crate::error::{Error, ErrorKind, Result, Retry};

/// Waits between tries double from the first to the longest: short beside a restart, and no load on a server that
/// is down.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Ends the session that holds a lock: whichever it is, or only this one.
pub(crate) const END_HOLDER: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND ((classid::bigint << 32) | objid::bigint) = $1 AND pid = coalesce($2::integer, pid)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// What a statement is given.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection to the database that is renewed when it breaks.
///
/// A statement that was on its way then is sent once more, and may have been done before: so each is one that can be
/// done twice.
pub(crate) struct Link {
    server: Server,
    channels: Vec<(Channel, String)>,
    options: PostgresOptions,
    /// What is taken again with each connection.
    leadership: OnceLock<Arc<Leadership>>,
    // Held while a new connection comes about, so that it is one for all who wait for it.
    live: tokio::sync::Mutex<Option<Arc<Live>>>,
    notifier: Arc<Notifier>,
}

/// The right to write to a run: a lock, which goes with a connection, and a term, which is the fencing token.
#[derive(Debug)]
pub(crate) struct Leadership {
    pub(crate) run: RunId,
    pub(crate) term: i64,
    /// Entries that are known to be in the database.
    pub(crate) written: AtomicI64,
    /// The session of the server that has the lock.
    pub(crate) session: AtomicI32,
}

struct Live {
    client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

/// Counts what was heard, by channel.
struct Notifier(Vec<(Channel, watch::Sender<u64>)>);

impl Notifier {
    fn notify(&self, heard: impl Fn(Channel) -> bool) {
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
        options: PostgresOptions,
        run: &RunId,
        channels: &[Channel],
    ) -> Self {
        let named = channels.iter().map(|&c| (c, run.channel(c))).collect();
        let counts = channels.iter().map(|&c| (c, watch::Sender::new(0)));
        Self {
            server: server.clone(),
            channels: named,
            options,
            leadership: OnceLock::new(),
            live: tokio::sync::Mutex::new(None),
            notifier: Arc::new(Notifier(counts.collect())),
        }
    }

    /// Connects for the first time in a process, and brings the tables up to date. Tried once: who gave a wrong URL
    /// is told at once.
    pub(super) async fn begin(&self) -> Result<()> {
        let live = self.connect(true).await.map_err(|failure| failure.error)?;
        *self.live.lock().await = Some(Arc::new(live));
        Ok(())
    }

    /// Returns what tells that something was heard on a channel, or may have been: after a new connection, every
    /// waiter has to look.
    pub(crate) fn heard(&self, channel: Channel) -> watch::Receiver<u64> {
        let (_, count) = self
            .notifier
            .0
            .iter()
            .find(|(known, _)| *known == channel)
            .expect("a link is asked for channels that it listens to");
        count.subscribe()
    }

    /// Leads the run from now on: each new connection takes the lock again.
    pub(super) fn lead(&self, leadership: Arc<Leadership>) {
        let first = self.leadership.set(leadership);
        debug_assert!(first.is_ok(), "a link leads once");
    }

    /// Sends one statement, and again where the connection breaks or the server says nothing.
    pub(crate) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>> {
        let mut waits = Waits::new(self.options.patience);
        loop {
            let live = self.live(&mut waits).await?;
            let answered = timeout(self.options.statement_timeout, live.query(sql, values));
            let (failure, is_over) = match answered.await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(failure)) => (failure, live.client.is_closed()),
                Err(_) => (Failure::silence(self.options.statement_timeout), true),
            };
            if is_over {
                self.let_go_of(&live).await;
            }
            waits.after(self.server.located(failure)).await?;
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
        // Not longer than one's own patience, while others try in vain.
        let slot = timeout_at(waits.deadline, self.live.lock()).await;
        let mut slot = slot.map_err(|_| {
            self.server
                .located(Failure::silence(self.options.patience))
                .error
        })?;
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
                    self.notifier.notify(|_| true);
                }
                Err(failure) => waits.after(failure).await?,
            }
        }
    }

    async fn let_go_of(&self, failed: &Arc<Live>) {
        let mut slot = self.live.lock().await;
        if slot.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) {
            *slot = None;
        }
    }

    /// Connects, which includes all that is said before the first statement.
    async fn connect(&self, migrates: bool) -> Result<Live, Failure> {
        let limit = self.options.statement_timeout;
        // Boxed, since it is large, and part of whatever asks the database.
        let connected = timeout(limit, Box::pin(self.connected(migrates))).await;
        connected
            .unwrap_or_else(|_| Err(Failure::silence(limit)))
            .map_err(|failure| self.server.located(failure))
    }

    async fn connected(&self, migrates: bool) -> Result<Live, Failure> {
        let (mut client, mut messages) = self.server.connect().await?;
        let notifier = Arc::clone(&self.notifier);
        let channels = self.channels.clone();
        // Carries what the client sends and gets; it ends with the client or the connection.
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    notifier.notify(|channel| {
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
        if let Some(leadership) = self.leadership.get() {
            leadership.resume(&client).await?;
        }
        Ok(Live {
            client,
            prepared: Mutex::default(),
        })
    }
}

impl Leadership {
    /// Takes the lock again, unless the run has another leader, or the database is not the one that was written to.
    async fn resume(&self, client: &Client) -> Result<(), Failure> {
        let sql = "SELECT term, entries FROM topicloom.runs WHERE id = $1";
        let row = client.query_opt(sql, &[&self.run.as_str()]).await?;
        let (term, entries): (i64, i64) = row.map_or((0, 0), |row| (row.get(0), row.get(1)));
        if term > self.term {
            return Err(superseded(&self.run).into());
        }
        if term < self.term || entries < self.written.load(Ordering::Relaxed) {
            return Err(lost(&self.run).into());
        }
        let sql = "SELECT pg_try_advisory_lock($1), pg_backend_pid()";
        let row = client.query_one(sql, &[&self.run.lock()]).await?;
        if row.get(0) {
            self.session.store(row.get(1), Ordering::Relaxed);
            return Ok(());
        }
        // Our own earlier connection may hold it until the server notices that it is dead, which we know already; or another
        // process does, and will have raised the term the next time we look.
        let session = Some(self.session.load(Ordering::Relaxed));
        client
            .query(END_HOLDER, &[&self.run.lock(), &session])
            .await?;
        Err(Failure::passing(in_use(&self.run)))
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

/// Says that what was written is not there.
pub(crate) fn lost(run: &RunId) -> Error {
    Error::new(
        ErrorKind::Journal,
        "the database has lost the run, or the end of it, as after a fail-over to a replica that was empty or behind; \
         nothing more was written",
    )
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
