//! The queue of a run: calls that are asked for, being made, or answered and not in the log yet.
//!
//! The leader of a run puts a call there and takes its result; workers claim it, renew it while they make it, and
//! finish it. Whatever is done is one statement that can be done twice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::journal::postgres::{Channel, Link, RunId};
use crate::llm::{ChatRequest, ChatResponse, TaskRef};

use super::wire;

/// The queue of calls of a run.
pub(super) struct CallQueue {
    link: Arc<Link>,
    run: RunId,
}

/// A call that was claimed.
pub(super) struct Lease {
    pub(super) key: u64,
    pub(super) attempt: i32,
    pub(super) request: ChatRequest,
}

/// What became of asking for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// They are to be made.
    Asked,
    /// Some are there already, asked for by an earlier process, and may have been made.
    Found,
    /// Another process leads the run now.
    Superseded,
}

impl Put {
    fn of(row: &tokio_postgres::Row, asked: usize) -> Self {
        let (is_ours, new): (bool, i64) = (row.get(0), row.get(1));
        if !is_ours {
            Self::Superseded
        } else if usize::try_from(new) == Ok(asked) {
            Self::Asked
        } else {
            Self::Found
        }
    }
}

/// How a call went, to be told.
pub(super) struct CallResult {
    key: u64,
    attempt: i32,
    is_answer: bool,
    result: Vec<u8>,
}

impl CallResult {
    /// Says how a call to a model went.
    pub(super) fn new(lease: &Lease, model: &str, result: Result<ChatResponse>) -> Self {
        Self {
            key: lease.key,
            attempt: lease.attempt,
            is_answer: result.is_ok(),
            result: wire::write_result(model, result),
        }
    }
}

/// A call that went one way or the other.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) key: u64,
    pub(super) attempt: i32,
    pub(super) result: Result<ChatResponse>,
}

impl CallQueue {
    pub(super) fn new(link: Arc<Link>, run: RunId) -> Self {
        Self { link, run }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Asks for calls in the name of a term, unless they are asked for already. No two may have the same seed.
    pub(super) async fn put(&self, term: i64, requests: &[ChatRequest]) -> Result<Put> {
        // The row's lock lets appends go on and keeps the next writer out until the calls are there, so that they are
        // among those that the next writer takes over. A call of the same seed for another task is one that nobody
        // knows of any more.
        let sql = "WITH writer AS (
                SELECT id FROM topicloom.runs WHERE id = $1 AND term = $2 FOR KEY SHARE
            ), put AS (
                INSERT INTO topicloom.leases (run, key, task, topic, wanted, round, request)
                SELECT writer.id, asked.* FROM writer, unnest(
                    $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[]) AS asked
                ON CONFLICT (run, key) DO UPDATE SET
                    task = excluded.task, topic = excluded.topic, wanted = excluded.wanted,
                    round = excluded.round, request = excluded.request, attempt = leases.attempt + 1,
                    issued = excluded.issued, worker = NULL, leased_until = NULL, result = NULL
                WHERE (leases.task, leases.topic, leases.wanted)
                    IS DISTINCT FROM (excluded.task, excluded.topic, excluded.wanted)
                RETURNING run
            ), told AS (
                SELECT pg_notify($9, '') WHERE EXISTS (SELECT FROM put)
            )
            SELECT EXISTS (SELECT FROM writer), (SELECT count(*) FROM put), (SELECT count(*) FROM told)";
        let number = |of: fn(&TaskRef) -> u64| -> Vec<Option<i64>> {
            let tasks = requests.iter().map(|request| request.task.as_ref());
            tasks
                .map(|task| task.map(|task| of(task).cast_signed()))
                .collect()
        };
        let keys: Vec<i64> = requests
            .iter()
            .map(|request| request.seed.cast_signed())
            .collect();
        let bodies: Vec<Vec<u8>> = requests.iter().map(wire::write_request).collect();
        let row = self
            .link
            .query_one(
                sql,
                &[
                    &self.run.as_str(),
                    &term,
                    &keys,
                    &number(|task| task.id),
                    &number(|task| task.topic as u64),
                    &number(|task| task.wanted),
                    &number(|task| task.round.into()),
                    &bodies,
                    &self.run.channel(Channel::Work),
                ],
            )
            .await?;
        Ok(Put::of(&row, requests.len()))
    }

    /// Asks in the name of a term once more for calls whose attempts failed.
    pub(super) async fn put_again(&self, term: i64, failed: &[(u64, i32)]) -> Result<Put> {
        let sql = "WITH writer AS (
                SELECT id FROM topicloom.runs WHERE id = $1 AND term = $2 FOR KEY SHARE
            ), put AS (
                UPDATE topicloom.leases
                SET attempt = leases.attempt + 1, issued = clock_timestamp(),
                    worker = NULL, leased_until = NULL, result = NULL
                FROM writer, unnest($3::bigint[], $4::integer[]) AS failed(key, attempt)
                WHERE run = writer.id AND leases.key = failed.key AND leases.attempt = failed.attempt
                RETURNING run
            ), told AS (
                SELECT pg_notify($5, '') WHERE EXISTS (SELECT FROM put)
            )
            SELECT EXISTS (SELECT FROM writer), (SELECT count(*) FROM put), (SELECT count(*) FROM told)";
        let keys: Vec<i64> = failed.iter().map(|(key, _)| key.cast_signed()).collect();
        let attempts: Vec<i32> = failed.iter().map(|&(_, attempt)| attempt).collect();
        let channel = self.run.channel(Channel::Work);
        let row = self
            .link
            .query_one(
                sql,
                &[&self.run.as_str(), &term, &keys, &attempts, &channel],
            )
            .await?;
        Ok(Put::of(&row, failed.len()))
    }

    /// Returns the results that are there of these calls.
    pub(super) async fn results(&self, keys: &[u64]) -> Result<Vec<Finished>> {
        let sql = "SELECT key, attempt, result FROM topicloom.leases
            WHERE run = $1 AND key = ANY ($2::bigint[]) AND result IS NOT NULL";
        let keys = signed(keys);
        let rows = self.link.query(sql, &[&self.run.as_str(), &keys]).await?;
        let finished = rows.iter().map(|row| Finished {
            key: row.get::<_, i64>(0).cast_unsigned(),
            attempt: row.get(1),
            result: wire::read_result(row.get(2)),
        });
        Ok(finished.collect())
    }

    /// Claims up to this many calls: those that nobody makes, those whose worker let the deadline pass, and this
    /// worker's own that it does not know of, since the answer to its claim was lost.
    pub(super) async fn claim(
        &self,
        worker: &str,
        calls: usize,
        lease_time: Duration,
        known: &[u64],
    ) -> Result<Vec<Lease>> {
        let sql = "WITH due AS (
                SELECT key, worker AS before FROM topicloom.leases
                WHERE run = $1 AND result IS NULL AND (
                    leased_until IS NULL OR leased_until < clock_timestamp()
                    OR (worker = $2 AND key <> ALL ($5::bigint[])))
                ORDER BY issued LIMIT $3
                FOR UPDATE SKIP LOCKED
            ), lost AS (
                INSERT INTO topicloom.lost_leases (run, key, worker)
                SELECT $1, key, before FROM due WHERE before <> $2
            )
            UPDATE topicloom.leases
            SET worker = $2, leased_until = clock_timestamp() + make_interval(secs => $4)
            FROM due WHERE run = $1 AND leases.key = due.key
            RETURNING leases.key, attempt, request";
        let (calls, known) = (i64::try_from(calls).unwrap_or(i64::MAX), signed(known));
        let seconds = lease_time.as_secs_f64();
        let rows = self
            .link
            .query(
                sql,
                &[&self.run.as_str(), &worker, &calls, &seconds, &known],
            )
            .await?;
        let lease = |row: &tokio_postgres::Row| {
            Ok(Lease {
                key: row.get::<_, i64>(0).cast_unsigned(),
                attempt: row.get(1),
                request: wire::read_request(row.get(2))?,
            })
        };
        rows.iter().map(lease).collect()
    }

    /// Renews a worker's leases. Returns which of these calls are still waited for, no matter which worker has them now.
    pub(super) async fn renew(
        &self,
        worker: &str,
        lease_time: Duration,
        keys: &[u64],
    ) -> Result<Vec<u64>> {
        let sql = "WITH renewed AS (
                UPDATE topicloom.leases
                SET leased_until = clock_timestamp() + make_interval(secs => $3)
                WHERE run = $1 AND worker = $2 AND key = ANY ($4::bigint[]) AND result IS NULL
            )
            SELECT key FROM topicloom.leases
            WHERE run = $1 AND key = ANY ($4::bigint[]) AND result IS NULL";
        let (seconds, keys) = (lease_time.as_secs_f64(), signed(keys));
        let rows = self
            .link
            .query(sql, &[&self.run.as_str(), &worker, &seconds, &keys])
            .await?;
        let key = |row: &tokio_postgres::Row| row.get::<_, i64>(0).cast_unsigned();
        Ok(rows.iter().map(key).collect())
    }

    /// Tells how calls went. The first answer counts, also one of a worker that lost the lease, since it is paid for; a
    /// failure counts where the worker still has the lease.
    pub(super) async fn finish(&self, worker: &str, ends: &[CallResult]) -> Result<()> {
        let sql = "WITH finished AS (
                UPDATE topicloom.leases SET result = made.result
                FROM unnest($3::bigint[], $4::integer[], $5::boolean[], $6::bytea[])
                    AS made(key, attempt, is_answer, result)
                WHERE run = $1 AND leases.key = made.key AND leases.result IS NULL
                    AND (is_answer OR (leases.attempt = made.attempt AND worker = $2))
                RETURNING run
            )
            SELECT pg_notify($7, '') WHERE EXISTS (SELECT FROM finished)";
        let keys: Vec<i64> = ends.iter().map(|end| end.key.cast_signed()).collect();
        let attempts: Vec<i32> = ends.iter().map(|end| end.attempt).collect();
        let answers: Vec<bool> = ends.iter().map(|end| end.is_answer).collect();
        let results: Vec<&[u8]> = ends.iter().map(|end| &*end.result).collect();
        self.link
            .query(
                sql,
                &[
                    &self.run.as_str(),
                    &worker,
                    &keys,
                    &attempts,
                    &answers,
                    &results,
                    &self.run.channel(Channel::Done),
                ],
            )
            .await?;
        Ok(())
    }

    /// Gives back all that a worker has, so that others need not wait for the deadline.
    pub(super) async fn give_back(&self, worker: &str) -> Result<()> {
        let sql = "WITH given AS (
                UPDATE topicloom.leases SET worker = NULL, leased_until = NULL
                WHERE run = $1 AND worker = $2 AND result IS NULL RETURNING run
            )
            SELECT pg_notify($3, '') FROM given";
        let channel = self.run.channel(Channel::Work);
        self.link
            .query(sql, &[&self.run.as_str(), &worker, &channel])
            .await?;
        Ok(())
    }
}

fn signed(keys: &[u64]) -> Vec<i64> {
    keys.iter().map(|key| key.cast_signed()).collect()
}

/// Shows whose they are.
impl fmt::Debug for CallQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallQueue")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
