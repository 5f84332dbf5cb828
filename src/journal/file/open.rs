//! Opens a journal to be written on.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::warn;

use super::Durability;
use super::committer::Committer;
use super::frame::MAGIC;
use super::reader::Entries;
use super::scan::{Start, read_start};
use super::storage::Storage;
use crate::disk::{self, sync_directory_of};
use crate::error::{Error, ErrorKind, Result};

/// How long a lock is waited for: a process that was killed, or a run that was dropped, may need a moment to
/// let go of the file.
const LOCK_TRIES: u32 = 20;
const BETWEEN_LOCK_TRIES: Duration = Duration::from_millis(25);

/// Opens a journal for writing, at the end of its last whole entry.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Committer> {
    let file = open_alone(path)?;
    let there = file.metadata().map_err(|error| unopened(path, error))?;
    if !there.is_file() {
        return Err(Error::new(ErrorKind::Journal, "the journal is not a file")
            .with_context("path", path.display().to_string()));
    }
    continue_at_end(path, durability, Box::new(file), there.len())
}

pub(super) fn continue_at_end(
    path: &Path,
    durability: Durability,
    mut storage: Box<dyn Storage>,
    length: u64,
) -> Result<Committer> {
    let started = read_start(&mut *storage, path)? == Start::Journal;
    if !started {
        storage
            .truncate(0)
            .and_then(|()| storage.write_at(0, MAGIC))
            .and_then(|()| storage.sync())
            .and_then(|()| sync_directory_of(path))
            .map_err(|error| unopened(path, error))?;
    }
    let length = if started { length } else { MAGIC.len() as u64 };
    let found = Entries::new(path.to_owned(), length).skim(&mut *storage)?;
    if found.cut_off > 0 {
        warn!(
            bytes = found.cut_off,
            "dropped an entry that a crash had cut off"
        );
        storage
            .truncate(found.length)
            .and_then(|()| storage.sync())
            .map_err(|error| unopened(path, error))?;
    }
    Ok(Committer::new(path.to_owned(), durability, storage, found))
}

fn open_alone(path: &Path) -> Result<File> {
    let file = disk::private()
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| unopened(path, error))?;
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_LOCK_TRIES),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                warn!("the file system has no locks, so a second writer would not be noticed");
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(unopened(path, error)),
        }
    }
    Err(
        Error::new(ErrorKind::Journal, "another run has the journal open")
            .with_context("path", path.display().to_string()),
    )
}

fn unopened(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Journal,
        "the journal could not be opened for writing",
    )
    .with_context("path", path.display().to_string())
    .with_context("cause", error.kind().to_string())
    .with_source(error)
}
