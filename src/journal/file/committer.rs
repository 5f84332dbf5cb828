//! Writes entries in groups: those that arrive while one group is on its way to the disk share the next.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Durability;
use super::codec::Encoder;
use super::reader::{Entries, Skimmed};
use super::storage::Storage;
use crate::disk::identity;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{CallNote, Entry, Header};

/// The most room that is kept for the next group. A larger one is rare, and its room is given back.
const KEPT_ROOM: usize = 4 << 20;

/// A journal that is open for writing.
///
/// Appends put their entry into a queue and wait. One of them at a time, the first to find nobody at it, has
/// the queue written: on a thread of the runtime's for blocking work, which it leaves when the queue is empty. So
/// no thread outlives the journal or the runtime, and none is held while nothing is written.
pub(super) struct Committer {
    path: PathBuf,
    /// What told its file from others when it was opened.
    identity: Option<(u64, u64)>,
    queue: Mutex<Queue>,
    /// Wakes the writer that waits for more, or for the time to sync.
    more: Condvar,
    /// The inputs that the run had when the journal was opened.
    starts: Vec<Header>,
    /// Locked after `queue` where both are.
    disk: Mutex<Disk>,
}

struct Queue {
    durability: Durability,
    encoder: Encoder,
    /// Entries so far, those that wait included.
    entries: u64,
    group: Group,
    closing: Option<Waiter>,
    /// Whether nobody will append any more, so that there is nothing to wait for before syncing.
    left: bool,
    /// Whether somebody is writing, and will look here again before going.
    busy: bool,
    /// Ends the journal: nothing is appended after what could not be written.
    failure: Option<Failure>,
}

/// Entries that wait to be written together, and who waits for them.
#[derive(Default)]
struct Group {
    frames: Vec<u8>,
    waiters: Vec<Waiter>,
    /// Whether it holds more than notes, and so is worth waiting for the disk.
    has_entries: bool,
}

type Waiter = oneshot::Sender<Result<(), Failure>>;

struct Disk {
    /// `None` once the journal is closed or has failed, so that its lock is free.
    storage: Option<Box<dyn Storage>>,
    /// Bytes of whole groups.
    length: u64,
    /// When the first bytes that are not synced were written.
    unsynced: Option<Instant>,
    /// Whether anything was appended.
    written: bool,
    /// Whether somebody has cut off what was written. A write behind the end hides it afterwards.
    is_cut: bool,
}

/// Why nothing can be appended any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure {
    message: &'static str,
    cause: Option<io::ErrorKind>,
}

impl Failure {
    const CLOSED: Self = Self {
        message: "the journal is closed",
        cause: None,
    };
    const ABANDONED: Self = Self {
        message: "the runtime was shut down while the journal was written",
        cause: None,
    };

    fn new(message: &'static str, error: &io::Error) -> Self {
        Self {
            message,
            cause: Some(error.kind()),
        }
    }
}

/// What the writer does next.
enum Step {
    Write(Group, Durability),
    Sync,
    Close(Waiter, Vec<u8>),
}

impl Committer {
    pub(super) fn new(
        path: PathBuf,
        durability: Durability,
        storage: Box<dyn Storage>,
        found: Skimmed,
    ) -> Self {
        Self {
            identity: identity(&path),
            path,
            queue: Mutex::new(Queue {
                durability,
                encoder: Encoder::new(found.decoder, found.length),
                entries: found.entries,
                group: Group::default(),
                closing: None,
                left: false,
                busy: false,
                failure: None,
            }),
            more: Condvar::new(),
            starts: found.starts,
            disk: Mutex::new(Disk {
                storage: Some(storage),
                length: found.length,
                unsynced: None,
                written: false,
                is_cut: false,
            }),
        }
    }

    /// Returns the inputs that the run had when the journal was opened.
    pub(super) fn starts(&self) -> &[Header] {
        &self.starts
    }

    /// Appends an entry and waits until it is as durable as promised. It is appended even if that wait is dropped.
    pub(super) async fn append(self: &Arc<Self>, entry: Entry) -> Result<u64> {
        let (number, written) = {
            let mut queue = self.queue();
            if let Some(failure) = queue.failure {
                return Err(self.error(failure));
            }
            let Queue { encoder, group, .. } = &mut *queue;
            encoder.encode(entry, &mut group.frames)?;
            group.has_entries = true;
            let number = queue.entries;
            queue.entries += 1;
            let (waiter, written) = oneshot::channel();
            queue.group.waiters.push(waiter);
            self.see_to(queue);
            (number, written)
        };
        self.outcome(written).await?;
        Ok(number)
    }

    /// Writes a note, and waits until the system has it: no process that dies takes it along.
    pub(super) async fn note(self: &Arc<Self>, call: CallNote) -> Result<()> {
        let written = {
            let mut queue = self.queue();
            if let Some(failure) = queue.failure {
                return Err(self.error(failure));
            }
            let Queue { encoder, group, .. } = &mut *queue;
            encoder.encode(Entry::Called(call), &mut group.frames)?;
            let (waiter, written) = oneshot::channel();
            queue.group.waiters.push(waiter);
            self.see_to(queue);
            written
        };
        self.outcome(written).await
    }

    /// Writes and syncs everything, marks the journal as closed and lets go of the file.
    pub(super) async fn close(self: &Arc<Self>) -> Result<()> {
        let closed = {
            let mut queue = self.queue();
            match queue.failure {
                Some(failure) if failure == Failure::CLOSED => return Ok(()),
                Some(failure) => return Err(self.error(failure)),
                None => {}
            }
            let (waiter, closed) = oneshot::channel();
            queue.closing = Some(waiter);
            self.see_to(queue);
            closed
        };
        self.outcome(closed).await
    }

    pub(super) fn set_durability(&self, durability: Durability) {
        self.queue().durability = durability;
    }

    /// Has what is left to sync synced now. Nothing is appended afterwards.
    pub(super) fn leave(&self) {
        self.queue().left = true;
        self.more.notify_one();
    }

    /// Returns whether its path leads to another file than when it was opened, or to none, or to less than was written.
    pub(super) fn is_lost(&self) -> bool {
        let is_cut = || {
            // The one that writes looks, too.
            let Ok(disk) = self.disk.try_lock() else {
                return false;
            };
            let there = std::fs::metadata(&self.path);
            disk.is_cut || there.is_ok_and(|file| file.len() < disk.length)
        };
        identity(&self.path) != self.identity || is_cut()
    }

    /// Returns whether entries can be read and, unless the next one fails, appended.
    pub(super) fn is_open(&self) -> bool {
        self.disk().storage.is_some()
    }

    /// Returns a reader of the entries that are written.
    pub(super) fn entries(&self) -> Entries {
        Entries::new(self.path.clone(), self.disk().length)
    }

    /// Reads the next entry.
    pub(super) fn read(&self, entries: &mut Entries) -> Option<Result<Entry>> {
        match &mut self.disk().storage {
            Some(storage) => entries.next(&mut **storage),
            None => Some(Err(self.error(Failure::CLOSED))),
        }
    }

    async fn outcome(&self, waiting: oneshot::Receiver<Result<(), Failure>>) -> Result<()> {
        waiting
            .await
            .unwrap_or(Err(Failure::ABANDONED))
            .map_err(|failure| self.error(failure))
    }

    fn error(&self, failure: Failure) -> Error {
        let error = Error::new(ErrorKind::Journal, failure.message)
            .with_context("path", self.path.display().to_string());
        match failure.cause {
            Some(cause) => error
                .with_context("cause", cause.to_string())
                .with_source(io::Error::from(cause)),
            None => error,
        }
    }

    /// Makes sure that somebody sees to the queue.
    fn see_to(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if mem::replace(&mut queue.busy, true) {
            self.more.notify_one();
            return;
        }
        drop(queue);
        let writer = Writer {
            committer: Arc::clone(self),
            done: false,
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || writer.write())),
            Err(_) => writer.write(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("nothing panics while it holds the queue")
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk
            .lock()
            .expect("nothing panics while it holds the disk")
    }
}

/// The one that writes. If it is dropped before it is done, nobody is left waiting.
struct Writer {
    committer: Arc<Committer>,
    done: bool,
}

impl Writer {
    fn write(mut self) {
        while let Some(step) = self.next() {
            match step {
                Step::Write(group, durability) => self.write_group(group, durability),
                Step::Sync => {
                    let synced = self.committer.disk().sync();
                    if let Err(failure) = synced {
                        self.fail(failure);
                    }
                }
                Step::Close(waiter, seal) => {
                    let closed = self.committer.disk().close(&seal);
                    self.fail(closed.err().unwrap_or(Failure::CLOSED));
                    let _ = waiter.send(closed);
                }
            }
        }
    }

    /// Returns what to do, after waiting for it where something is still to be synced; `None` where nothing is.
    fn next(&mut self) -> Option<Step> {
        let mut queue = self.committer.queue();
        loop {
            let unsynced = self.committer.disk().unsynced;
            let left = match (queue.durability, unsynced) {
                (Durability::Within(_), Some(_)) if queue.left => Some(Duration::ZERO),
                (Durability::Within(most), Some(since)) => {
                    Some(most.saturating_sub(since.elapsed()))
                }
                _ => None,
            };
            if left == Some(Duration::ZERO) {
                return Some(Step::Sync);
            }
            if !queue.group.frames.is_empty() {
                let group = mem::take(&mut queue.group);
                let durability = match queue.durability {
                    Durability::Synced if !group.has_entries => Durability::System,
                    durability => durability,
                };
                // A group that is not on the disk when the next one is written must not look as if it was.
                let is_behind =
                    durability == Durability::System && queue.durability == Durability::Synced;
                queue.encoder.is_behind_notes(is_behind);
                return Some(Step::Write(group, durability));
            }
            if let Some(waiter) = queue.closing.take() {
                let mut seal = Vec::new();
                queue.encoder.seal(&mut seal);
                return Some(Step::Close(waiter, seal));
            }
            let Some(left) = left else {
                queue.busy = false;
                self.done = true;
                return None;
            };
            (queue, _) = self
                .committer
                .more
                .wait_timeout(queue, left)
                .expect("nothing panics while it holds the queue");
        }
    }

    fn write_group(&self, mut group: Group, durability: Durability) {
        let written = self.committer.disk().append(&group.frames, durability);
        if let Err(failure) = written {
            self.fail(failure);
        }
        for waiter in group.waiters.drain(..) {
            let _ = waiter.send(written);
        }
        group.frames.clear();
        group.frames.shrink_to(KEPT_ROOM);
        let mut queue = self.committer.queue();
        // What was just written leaves its room to the next group, unless that has taken its own.
        if queue.group.frames.is_empty() {
            queue.group.frames = group.frames;
        }
    }

    /// Ends the journal for everybody who waits or comes later.
    fn fail(&self, failure: Failure) {
        let mut queue = self.committer.queue();
        let failure = *queue.failure.get_or_insert(failure);
        let group = mem::take(&mut queue.group);
        let closing = queue.closing.take();
        self.committer.disk().let_go();
        drop(queue);
        for waiter in group.waiters.into_iter().chain(closing) {
            let _ = waiter.send(Err(failure));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            self.fail(Failure::ABANDONED);
        }
    }
}

impl Disk {
    /// Writes a group, or leaves nothing of it behind.
    fn append(&mut self, frames: &[u8], durability: Durability) -> Result<(), Failure> {
        let Some(storage) = &mut self.storage else {
            return Err(Failure::CLOSED);
        };
        self.is_cut |= storage.is_cut(self.length);
        let mut written = storage
            .write_at(self.length, frames)
            .map_err(|error| Failure::new("the journal could not be written", &error));
        #[cfg(feature = "testing")]
        super::abort::after_write();
        if written.is_ok() && durability == Durability::Synced {
            written = storage
                .sync()
                .map_err(|error| Failure::new("the journal could not be synced", &error));
        }
        if let Err(failure) = written {
            // If this fails too, the disk is beyond what can be promised.
            let _ = storage.truncate(self.length).and_then(|()| storage.sync());
            return Err(failure);
        }
        self.length += frames.len() as u64;
        self.written = true;
        if durability == Durability::Synced {
            self.unsynced = None;
        } else {
            self.unsynced.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Closes the file, which frees its lock.
    fn let_go(&mut self) {
        self.storage = None;
        self.unsynced = None;
    }

    /// Syncs everything and marks the end, if anything was appended.
    fn close(&mut self, seal: &[u8]) -> Result<(), Failure> {
        self.sync()?;
        if self.written {
            // The mark itself need not be durable: without it the journal is merely taken for an unclosed one.
            self.append(seal, Durability::System)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        match (self.unsynced.take(), &mut self.storage) {
            (Some(_), Some(storage)) => storage
                .sync()
                .map_err(|error| Failure::new("the journal could not be synced", &error)),
            _ => Ok(()),
        }
    }
}
