//! Goes over the frames of a journal, and tells a cut-off end from damage.

use std::io;
use std::path::Path;

use super::codec::{STARTS_GROUP, is_kind};
use super::frame::{Head, LONGEST_HEAD, MAGIC, MAGIC_NAME};
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// The most bytes behind a broken frame that can be what a crash left of the last write. A write is of the
/// answers that arrived during the one before: a few megabytes.
const LONGEST_TAIL: u64 = 256 << 20;

/// Goes over frames in order. Holds a window of the file and never more.
#[derive(Debug)]
pub(super) struct Scan {
    /// Its bytes from `held` on are room for more.
    window: Vec<u8>,
    held: usize,
    /// Where in the file the window begins.
    start: u64,
    /// The next frame, in the window.
    next: usize,
    /// Bytes of the file, as far as it is read.
    length: u64,
    cut_off: u64,
}

/// A body whose checksum is right.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) bytes: &'a [u8],
    /// Where its frame begins in the file.
    pub(super) offset: u64,
}

impl Scan {
    /// Begins behind the magic line of a file of this many bytes.
    pub(super) fn new(length: u64) -> Self {
        Self {
            window: Vec::new(),
            held: 0,
            start: MAGIC.len() as u64,
            next: 0,
            length,
            cut_off: 0,
        }
    }

    /// Returns where the next frame begins, which at the end is how long the whole part of the file is.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.next as u64
    }

    /// Returns how many bytes at the end belong to no whole frame.
    pub(super) fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// Returns the next body, or `None` at the end, which a crash may have cut off.
    pub(super) fn next(
        &mut self,
        storage: &mut (impl Storage + ?Sized),
        path: &Path,
    ) -> Result<Option<Body<'_>>> {
        let unread = |error| unreadable(path, error);
        let offset = self.offset();
        if offset >= self.length {
            return Ok(None);
        }
        self.hold(LONGEST_HEAD, storage).map_err(unread)?;
        let whole = match Head::read(&self.window[self.next..self.held]) {
            Some(head) if (head.bytes + head.body) as u64 <= self.length - offset => {
                self.hold(head.bytes + head.body, storage).map_err(unread)?;
                self.body_here(head).map(|body| (head, body))
            }
            _ => None,
        };
        let Some((head, body)) = whole else {
            if self.is_damaged(storage).map_err(unread)? {
                return Err(damaged(path, offset));
            }
            self.cut_off = self.length - offset;
            self.length = offset;
            return Ok(None);
        };
        self.next += head.bytes + head.body;
        Ok(Some(Body {
            bytes: &self.window[body],
            offset,
        }))
    }

    fn body_here(&self, head: Head) -> Option<std::ops::Range<usize>> {
        let begin = self.next + head.bytes;
        let range = begin..begin + head.body;
        let body = self.window[..self.held].get(range.clone())?;
        head.fits(body, self.offset()).then_some(range)
    }

    /// Reads until the window holds this many bytes from the next frame on, or all there are.
    fn hold(&mut self, bytes: usize, storage: &mut (impl Storage + ?Sized)) -> io::Result<()> {
        if self.held - self.next >= bytes {
            return Ok(());
        }
        self.window.copy_within(self.next..self.held, 0);
        self.held -= self.next;
        self.start += self.next as u64;
        self.next = 0;
        while self.held < bytes {
            let end = self.start + self.held as u64;
            let left = usize::try_from(self.length - end).unwrap_or(usize::MAX);
            if left == 0 {
                break;
            }
            let full = self.held + left.min(CHUNK);
            if self.window.len() < full {
                self.window.resize(full, 0);
            }
            let read = storage.read_at(end, &mut self.window[self.held..full])?;
            self.held += read;
            if read == 0 {
                // The file is shorter than it was a moment ago.
                self.length = end;
            }
        }
        Ok(())
    }

    /// Whether the broken frame here was once whole, which is so if a later write is behind it: a write begins
    /// once the one before is on the disk, so a crash breaks frames of the last write alone.
    fn is_damaged(&mut self, storage: &mut (impl Storage + ?Sized)) -> io::Result<bool> {
        let left = self.length - self.offset();
        if left > LONGEST_TAIL {
            return Ok(true);
        }
        let left = usize::try_from(left).expect("a tail fits into memory");
        self.hold(left, storage)?;
        let tail = &self.window[self.next..self.held];
        Ok((1..tail.len()).any(|skipped| {
            let rest = &tail[skipped..];
            let Some(head) = Head::read(rest) else {
                return false;
            };
            let Some(body) = rest.get(head.bytes..head.bytes + head.body) else {
                return false;
            };
            body[0] & STARTS_GROUP != 0
                && is_kind(body[0])
                && head.fits(body, self.offset() + skipped as u64)
        }))
    }
}

/// What the first bytes of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It is a journal.
    Journal,
    /// It is empty, or was cut off before its first line was written.
    Nothing,
}

/// Reads the first line.
pub(super) fn read_start(storage: &mut (impl Storage + ?Sized), path: &Path) -> Result<Start> {
    let mut bytes = [0; MAGIC.len()];
    let mut held = 0;
    while held < bytes.len() {
        match storage.read_at(held as u64, &mut bytes[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    let bytes = &bytes[..held];
    if bytes == MAGIC {
        return Ok(Start::Journal);
    }
    if MAGIC.starts_with(bytes) {
        return Ok(Start::Nothing);
    }
    let message = if bytes.starts_with(MAGIC_NAME) {
        "the journal has a format that this version does not read"
    } else {
        "the file is not a journal"
    };
    Err(Error::new(ErrorKind::Journal, message)
        .with_context("path", path.display().to_string())
        .with_context("byte", "0"))
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Journal, "the journal could not be read")
        .with_context("path", path.display().to_string())
        .with_context("cause", error.kind().to_string())
        .with_source(error)
}

fn damaged(path: &Path, offset: u64) -> Error {
    Error::new(
        ErrorKind::Journal,
        "the journal is damaged, and more was written behind the damage; restore it from a copy, or cut it off \
         at this byte to go on with what is before",
    )
    .with_context("path", path.display().to_string())
    .with_context("byte", offset.to_string())
}
