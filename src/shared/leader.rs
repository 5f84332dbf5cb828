//! Drives the run, if it falls to this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tokio_postgres::Row;

use super::queue::CallQueue;
use super::remote_client::RemoteCalls;
use super::{POLL, SharedRun};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RunEvent;
use crate::journal::PostgresJournal;
use crate::journal::postgres::{Channel, END_HOLDER, Link, try_lock};
use crate::outcome::Outcome;
use crate::pipeline::Pipeline;
use crate::run::Run;

/// A process that dies frees its lock without a word. Asked for rather than waited for in the server's queue, since a
/// statement that waits for hours would keep the server from tidying its tables.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// How long the leader may be silent, in lease times. Longer than that of a worker: to be replaced for nothing
/// costs reading the journal.
const SILENCE: u32 = 2;

/// It says that it lives so often in that time.
const SIGNS: u32 = 6;

/// How a term ended.
enum Term {
    /// The run is over.
    Over,
    /// Another process leads it now.
    Lost,
}

/// Drives the run whenever no other process does, until it is over.
///
/// # Errors
///
/// Where this process cannot lead it: the database cannot be reached, or the journal not be read.
pub(super) async fn lead<T>(
    shared: &SharedRun<T>,
    pipeline: &Pipeline,
    link: &Arc<Link>,
) -> Result<()>
where
    T: DeserializeOwned + Send + 'static,
{
    let mut state = link.heard(Channel::State);
    let silence = shared.lease_time * SILENCE;
    loop {
        // The connection that gets the lock becomes that of the writer.
        let candidate = shared.database.link(&shared.run, &[]);
        let mut was_silent = false;
        while !try_lock(&candidate, &shared.run).await? {
            let (is_silent, accepted) = look(link, shared).await?;
            pipeline.notify(&RunEvent::Followed {
                accepted,
                requested: shared.input.allocation().total(),
            })?;
            // Seen twice, since who has just got the lock has not said anything yet.
            if is_silent && was_silent {
                tracing::warn!(run = %shared.run, "the leader of the run is silent, and is replaced");
                // Of a process with another role of the database that may not be allowed.
                if let Err(error) = unseat(link, shared).await {
                    tracing::warn!(%error, "it could not be unseated");
                }
            }
            was_silent = is_silent;
            tokio::select! {
                _ = state.changed() => {}
                () = sleep(BETWEEN_TRIES) => {}
            }
        }
        match PostgresJournal::of_elected(&shared.database, &shared.run, candidate, silence).await {
            Ok(journal) => {
                if let Term::Over = drive(shared, pipeline, link, journal).await? {
                    return Ok(());
                }
            }
            // Superseded before it began, since its connection broke at that moment.
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error),
        }
        sleep(BETWEEN_TRIES).await;
    }
}

async fn drive<T>(
    shared: &SharedRun<T>,
    pipeline: &Pipeline,
    link: &Arc<Link>,
    journal: PostgresJournal,
) -> Result<Term>
where
    T: DeserializeOwned + Send + 'static,
{
    if shared.ended(link).await?.is_some() {
        journal.release().await?;
        return Ok(Term::Over);
    }
    let term = journal.term()?;
    tracing::info!(run = %shared.run, term, "this process leads the run");
    let queue = CallQueue::new(Arc::clone(link), shared.run.clone());
    let calls = Arc::new(RemoteCalls::new(queue, term));
    let run = pipeline
        .leased(
            calls.client(shared.input.generation_model().as_str()),
            calls.client(shared.input.topic_model().as_str()),
            journal.clone(),
        )
        .run(shared.input.clone())?;
    // Dropped before the run: where this process leaves, the run has not ended, and must not say so.
    let mut driven = Driven { journal, run };
    let accepted = AtomicI64::new(0);
    let failure = tokio::select! {
        failure = driven.run_to_end(&accepted) => failure,
        lost = calls.serve() => return lost.map(|()| Term::Lost),
        lost = stay(link, shared, term, &accepted) => return lost.map(|()| Term::Lost),
    };
    let outcome = driven
        .run
        .report()
        .map_or(Outcome::Failed, |report| report.outcome);
    let reason = failure.as_ref().map(Error::to_string);
    let is_over = match &failure {
        // The log is not whole, or not ours any more, so nothing can be said of the run.
        Some(error) if error.kind() == ErrorKind::Journal => false,
        _ => say_ended(link, shared, term, outcome, reason).await?,
    };
    if is_over {
        driven.journal.release().await?;
        return Ok(Term::Over);
    }
    match failure {
        Some(error) if is_term(link, shared, term).await? => Err(error),
        _ => Ok(Term::Lost),
    }
}

/// A run, and its journal, which is let go of first.
struct Driven<T> {
    journal: PostgresJournal,
    run: Run<T>,
}

impl<T: 'static> Driven<T> {
    /// Lets go of the records, which are in the journal, and counts them. Returns why the run did not complete.
    async fn run_to_end(&mut self, accepted: &AtomicI64) -> Option<Error> {
        let mut failure = None;
        while let Some(record) = self.run.next().await {
            accepted.fetch_add(i64::from(record.is_ok()), Ordering::Relaxed);
            failure = record.err();
        }
        failure
    }
}

impl<T> Drop for Driven<T> {
    fn drop(&mut self) {
        self.journal.abandon();
    }
}

/// Tells all processes that the run is over, and drops what is left of its calls. Returns whether it was for this
/// process to say.
async fn say_ended<T>(
    link: &Link,
    shared: &SharedRun<T>,
    term: i64,
    outcome: Outcome,
    reason: Option<String>,
) -> Result<bool> {
    let sql = "WITH over AS (
            UPDATE topicloom.runs SET ended = $3, reason = $4 WHERE id = $1 AND term = $2 RETURNING id
        ), gone AS (
            DELETE FROM topicloom.leases USING over WHERE run = over.id
        ), told AS (
            SELECT count(pg_notify($5, '')) AS times FROM over
        )
        SELECT EXISTS (SELECT FROM over), times FROM told";
    let channel = shared.run.channel(Channel::State);
    let row = link
        .query_one(
            sql,
            &[
                &shared.run.as_str(),
                &term,
                &outcome.as_str(),
                &reason,
                &channel,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Says again and again that the process which leads the run lives, and how many records there are. Ends when another has
/// taken its place.
async fn stay<T>(
    link: &Link,
    shared: &SharedRun<T>,
    term: i64,
    accepted: &AtomicI64,
) -> Result<()> {
    // A new leader reads the journal before it has as many records as the one before.
    let sql =
        "UPDATE topicloom.runs SET driven_until = clock_timestamp() + make_interval(secs => $3),
            accepted = greatest(accepted, $4)
        WHERE id = $1 AND term = $2 RETURNING id";
    let silence = shared.lease_time * SILENCE;
    let seconds = silence.as_secs_f64();
    loop {
        let accepted = accepted.load(Ordering::Relaxed);
        let rows = link
            .query(sql, &[&shared.run.as_str(), &term, &seconds, &accepted])
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        sleep(POLL.min(silence / SIGNS)).await;
    }
}

/// Returns whether the leader is silent, and how many records it says there are.
async fn look<T>(link: &Link, shared: &SharedRun<T>) -> Result<(bool, u64)> {
    let sql = "SELECT coalesce(driven_until < clock_timestamp(), false), accepted
        FROM topicloom.runs WHERE id = $1";
    let rows = link.query(sql, &[&shared.run.as_str()]).await?;
    let seen = |row: &Row| (row.get(0), row.get::<_, i64>(1).cast_unsigned());
    Ok(rows.first().map_or((false, 0), seen))
}

/// Ends the connection that has the lock. A process that was stopped, and not killed, keeps it permanently
/// otherwise; when it goes on, it finds that its term is over.
async fn unseat<T>(link: &Link, shared: &SharedRun<T>) -> Result<()> {
    let any: Option<i32> = None;
    link.query(END_HOLDER, &[&shared.run.lock(), &any]).await?;
    Ok(())
}

async fn is_term<T>(link: &Link, shared: &SharedRun<T>, term: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM topicloom.runs WHERE id = $1 AND term = $2)";
    let row = link.query_one(sql, &[&shared.run.as_str(), &term]).await?;
    Ok(row.get(0))
}
