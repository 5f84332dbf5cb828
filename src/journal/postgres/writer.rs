//! Appends entries in groups: those that arrive while one group is on its way share the next.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::link::{Leadership, Link, in_use, lost, superseded};
use super::pages;
use super::run_id::{Channel, RunId};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{CallNote, Entry};

/// Entries and bytes that are written together at most. A group this large costs no less an entry if it grows, and is
/// sent within the time limit of a statement over a slow line.
const LARGEST_GROUP: usize = 512;
const LARGEST_BYTES: usize = 1 << 20;

/// Appends that wait before more of them have to wait for room.
const WAITING: usize = 1_024;

/// Tries to get the lock, and the time between them: a process that was killed, or a run that was dropped, may need
/// a moment to let go.
const LOCK_TRIES: u32 = 40;
const BETWEEN_LOCK_TRIES: Duration = Duration::from_millis(50);

/// Who may write to a run, one process at a time.
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
    abandoned: CancellationToken,
    leadership: Arc<Leadership>,
}

enum Command {
    Append(Appended, oneshot::Sender<Result<u64, Refusal>>),
    Note(Vec<u8>, oneshot::Sender<Result<(), Refusal>>),
    Close(oneshot::Sender<Result<(), Refusal>>),
}

/// An entry on its way.
struct Appended {
    body: Vec<u8>,
    /// What its lease is known by, which ends with it: the task, or the seed of the request.
    task: Option<i64>,
    key: Option<i64>,
    /// The input that the run has from now on.
    input: Option<Vec<u8>>,
}

/// Why nothing can be appended any more; told to everyone who tries.
type Refusal = Arc<Error>;

impl Writer {
    /// Waits a moment for the lock of a run, and becomes its writer.
    pub(super) async fn take(link: Link, run: &RunId) -> Result<Self> {
        for _ in 0..LOCK_TRIES {
            if try_lock(&link, run).await? {
                return Self::begin(link, run, None).await;
            }
            tokio::time::sleep(BETWEEN_LOCK_TRIES).await;
        }
        Err(in_use(run))
    }

    /// Becomes the writer of a run whose lock the link holds. Of a shared run, nobody takes its place before it has been
    /// silent for so long.
    pub(super) async fn begin(link: Link, run: &RunId, silence: Option<Duration>) -> Result<Self> {
        // The lock on the row keeps out a process that still acts for the term before. An append of that
        // term that is on its way is waited for here, and so is seen by what comes after.
        let sql = "WITH locked AS (SELECT id FROM topicloom.runs WHERE id = $1 FOR UPDATE)
            UPDATE topicloom.runs
            SET term = term + 1, driven_until = clock_timestamp() + make_interval(secs => $2)
            FROM locked WHERE runs.id = locked.id
            RETURNING term, pg_backend_pid()";
        let silence = silence.map(|silence| silence.as_secs_f64());
        let rows = link.query(sql, &[&run.as_str(), &silence]).await?;
        let row = rows.first().ok_or_else(|| lost(run))?;
        let leadership = Arc::new(Leadership {
            run: run.clone(),
            term: row.get(0),
            written: AtomicI64::new(0),
            session: AtomicI32::new(row.get(1)),
        });
        link.lead(Arc::clone(&leadership));
        let next = pages::count(&link, run).await?;
        leadership.written.store(next, Ordering::Relaxed);
        let (commands, queue) = mpsc::channel(WAITING);
        let abandoned = CancellationToken::new();
        let writing = Writing {
            link,
            leadership: Arc::clone(&leadership),
            next,
            next_note: 0,
            refusal: None,
        };
        // The one owner of the connection that holds the lock; it ends with the last handle.
        let stop = abandoned.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = writing.serve(queue) => {}
            }
        });
        Ok(Self {
            commands,
            abandoned,
            leadership,
        })
    }

    pub(super) fn term(&self) -> i64 {
        self.leadership.term
    }

    pub(super) async fn append(&self, entry: Entry) -> Result<u64> {
        let appended = Appended::new(&entry)?;
        let (told, outcome) = oneshot::channel();
        self.send(Command::Append(appended, told)).await?;
        self.outcome(outcome).await
    }

    /// Writes a note, and waits until the server has it.
    pub(super) async fn note(&self, call: CallNote) -> Result<()> {
        let body = json(&Entry::Called(call))?;
        let (told, outcome) = oneshot::channel();
        self.send(Command::Note(body, told)).await?;
        self.outcome(outcome).await
    }

    pub(super) async fn close(&self) -> Result<()> {
        let (told, outcome) = oneshot::channel();
        self.send(Command::Close(told)).await?;
        self.outcome(outcome).await
    }

    /// Stops writing at once, as if the process had died.
    pub(super) fn abandon(&self) {
        self.abandoned.cancel();
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| gone())
    }

    async fn outcome<R>(&self, outcome: oneshot::Receiver<Result<R, Refusal>>) -> Result<R> {
        match outcome.await {
            Ok(result) => result.map_err(|refusal| repeated(&refusal)),
            Err(_) => Err(gone()),
        }
    }
}

/// Tries once to lock a run.
pub(crate) async fn try_lock(link: &Link, run: &RunId) -> Result<bool> {
    let sql = "SELECT pg_try_advisory_lock($1)";
    Ok(link.query_one(sql, &[&run.lock()]).await?.get(0))
}

pub(crate) fn no_such_run(run: &RunId) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "there is no such run in the database",
    )
    .with_context("run", run.as_str())
}

fn gone() -> Error {
    Error::new(ErrorKind::Journal, "the journal is closed")
}

/// Tells once more what ended the journal.
fn repeated(refusal: &Error) -> Error {
    let error = Error::new(refusal.kind(), refusal.message().to_owned());
    refusal.context().fold(error, |error, (name, value)| {
        error.with_context(name, value)
    })
}

impl Appended {
    fn new(entry: &Entry) -> Result<Self> {
        let body = json(entry)?;
        let (mut task, mut key, mut input) = (None, None, None);
        match entry {
            Entry::Answered(answer) => task = Some(answer.task.cast_signed()),
            Entry::Failed(failure) => task = Some(failure.task.cast_signed()),
            Entry::TopicAnswered(answer) => key = Some(answer.seed.cast_signed()),
            Entry::Started(header) => input = Some(json(&header.input)?),
            _ => {}
        }
        Ok(Self {
            body,
            task,
            key,
            input,
        })
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Journal, "an entry cannot be written as JSON").with_source(error)
    })
}

/// The state of the task that writes.
struct Writing {
    link: Link,
    leadership: Arc<Leadership>,
    next: i64,
    /// Notes of this term so far.
    next_note: i64,
    /// Ends the journal: nothing is appended after what could not be written.
    refusal: Option<Refusal>,
}

/// Entries that are written together, and who waits for them.
#[derive(Default)]
struct Group {
    numbers: Vec<i64>,
    bodies: Vec<Vec<u8>>,
    tasks: Vec<i64>,
    keys: Vec<i64>,
    input: Option<Vec<u8>>,
    /// Entries before each note, its own number, and what it says.
    places: Vec<i64>,
    note_numbers: Vec<i64>,
    notes: Vec<Vec<u8>>,
    bytes: usize,
    waiting: Vec<oneshot::Sender<Result<u64, Refusal>>>,
    noting: Vec<oneshot::Sender<Result<(), Refusal>>>,
}

impl Writing {
    async fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut group = Group::default();
        while let Some(command) = commands.recv().await {
            let mut closing = None;
            let mut next = Some(command);
            while let Some(command) = next.take() {
                match command {
                    Command::Append(appended, waiting) => {
                        group.add(&mut self.next, appended, waiting);
                    }
                    Command::Note(body, waiting) => {
                        group.note(self.next, self.next_note, body, waiting);
                        self.next_note += 1;
                    }
                    Command::Close(waiting) => closing = Some(waiting),
                }
                if closing.is_none() && !group.is_full() {
                    next = commands.try_recv().ok();
                }
            }
            self.write(mem::take(&mut group)).await;
            if let Some(waiting) = closing {
                let closed = self.close().await;
                // Nobody waits who dropped the journal.
                let _ = waiting.send(closed);
                return;
            }
        }
    }

    async fn write(&mut self, group: Group) {
        if self.refusal.is_none()
            && !group.is_empty()
            && let Err(error) = self.commit(&group).await
        {
            self.refusal = Some(Arc::new(error));
        }
        for (waiting, number) in group.waiting.into_iter().zip(group.numbers) {
            let outcome = match &self.refusal {
                Some(refusal) => Err(Arc::clone(refusal)),
                None => Ok(number.cast_unsigned()),
            };
            // A run that was stopped does not wait any more.
            let _ = waiting.send(outcome);
        }
        for waiting in group.noting {
            let outcome = self
                .refusal
                .as_ref()
                .map_or(Ok(()), |it| Err(Arc::clone(it)));
            let _ = waiting.send(outcome);
        }
    }

    /// Writes a group in one statement, and so in one transaction. Nothing is written where the term is another's; what
    /// was written and not confirmed is not written twice, since nobody else gives out these numbers. Notes alone do not wait
    /// for the server's disk.
    async fn commit(&self, group: &Group) -> Result<()> {
        let sql = "WITH writer AS (
                UPDATE topicloom.runs SET entries = greatest(entries, $3), input = coalesce($8, input)
                WHERE id = $1 AND term = $2 RETURNING id
            ), written AS (
                INSERT INTO topicloom.entries (run, number, body)
                SELECT writer.id, entry.number, entry.body
                FROM writer, unnest($4::bigint[], $5::bytea[]) AS entry(number, body)
                ON CONFLICT DO NOTHING
            ), noted AS (
                INSERT INTO topicloom.notes (run, place, term, number, body)
                SELECT writer.id, note.place, $2, note.number, note.body
                FROM writer, unnest($9::bigint[], $10::bigint[], $11::bytea[]) AS note(place, number, body)
                ON CONFLICT DO NOTHING
            ), settled AS (
                DELETE FROM topicloom.leases USING writer
                WHERE run = writer.id AND (task = ANY ($6::bigint[]) OR key = ANY ($7::bigint[]))
            )
            SELECT (SELECT count(*) FROM writer),
                CASE WHEN cardinality($4) = 0 THEN set_config('synchronous_commit', 'off', true) END";
        let row = self
            .link
            .query_one(
                sql,
                &[
                    &self.leadership.run.as_str(),
                    &self.leadership.term,
                    &self.next,
                    &group.numbers,
                    &group.bodies,
                    &group.tasks,
                    &group.keys,
                    &group.input,
                    &group.places,
                    &group.note_numbers,
                    &group.notes,
                ],
            )
            .await?;
        match row.get(0) {
            1_i64 => {
                self.leadership.written.store(self.next, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(superseded(&self.leadership.run)),
        }
    }

    /// Gives the lock back, so that the next to open the journal need not wait for the connection to end.
    async fn close(self) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let sql = "SELECT pg_advisory_unlock($1), pg_notify($2, '')";
        let run = &self.leadership.run;
        let channel = run.channel(Channel::State);
        self.link
            .query(sql, &[&run.lock(), &channel])
            .await
            .map(drop)
            .map_err(Arc::new)
    }
}

impl Group {
    fn add(
        &mut self,
        next: &mut i64,
        appended: Appended,
        waiting: oneshot::Sender<Result<u64, Refusal>>,
    ) {
        self.numbers.push(*next);
        *next += 1;
        self.bytes += appended.body.len();
        self.bodies.push(appended.body);
        self.tasks.extend(appended.task);
        self.keys.extend(appended.key);
        self.input = appended.input.or(self.input.take());
        self.waiting.push(waiting);
    }

    fn note(
        &mut self,
        place: i64,
        number: i64,
        body: Vec<u8>,
        waiting: oneshot::Sender<Result<(), Refusal>>,
    ) {
        self.places.push(place);
        self.note_numbers.push(number);
        self.bytes += body.len();
        self.notes.push(body);
        self.noting.push(waiting);
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.notes.is_empty()
    }

    fn is_full(&self) -> bool {
        self.numbers.len() + self.notes.len() >= LARGEST_GROUP || self.bytes >= LARGEST_BYTES
    }
}

/// Shows whose it is.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("leadership", &self.leadership)
            .finish_non_exhaustive()
    }
}
