//! Reads a journal without writing to it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::codec::Decoder;
use super::scan::{Scan, Start, read_start, unreadable};
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Entry, Header};

/// Reads the entries of a file journal one by one, without a lock and without changing it, also while a run
/// writes to it: then it ends at the last whole entry that was there when it was opened.
///
/// ```no_run
/// use topicloom::journal::{Entry, JournalReader};
///
/// let mut answers = 0;
/// for entry in JournalReader::open("run.journal")? {
///     if let Entry::Answered(_) = entry? {
///         answers += 1;
///     }
/// }
/// println!("{answers} answers");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug)]
pub struct JournalReader {
    file: File,
    entries: Entries,
}

impl JournalReader {
    /// Opens a journal.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (mut file, length) = open().map_err(|error| unreadable(path, error))?;
        let entries = match read_start(&mut file, path)? {
            Start::Journal => Entries::new(path.to_owned(), length),
            Start::Nothing => Entries::new(path.to_owned(), 0),
        };
        Ok(Self { file, entries })
    }

    /// Returns how many bytes at the end belong to an entry that was cut off, once all entries are read.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.entries.scan.cut_off()
    }
}

/// Ends after the first error.
impl Iterator for JournalReader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next(&mut self.file)
    }
}

/// The entries of a journal, read from whatever holds its bytes.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    scan: Scan,
    decoder: Decoder,
    failed: bool,
}

impl Entries {
    /// Begins at the first entry of a journal of this many bytes.
    pub(super) fn new(path: PathBuf, length: u64) -> Self {
        Self {
            path,
            scan: Scan::new(length),
            decoder: Decoder::default(),
            failed: false,
        }
    }

    /// Returns the offset of the next entry.
    pub(super) fn offset(&self) -> u64 {
        self.scan.offset()
    }

    /// Reads the next entry.
    pub(super) fn next(&mut self, storage: &mut (impl Storage + ?Sized)) -> Option<Result<Entry>> {
        if self.failed {
            return None;
        }
        let entry = self.read(storage).transpose();
        self.failed = matches!(entry, Some(Err(_)));
        entry
    }

    fn read(&mut self, storage: &mut (impl Storage + ?Sized)) -> Result<Option<Entry>> {
        while let Some(body) = self.scan.next(storage, &self.path)? {
            match self.decoder.decode(body.bytes) {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                Err(_) => return Err(unknown(&self.path, body.offset)),
            }
        }
        Ok(None)
    }

    /// Goes to the end without reading the entries. Returns how many there are, how many bytes at the end belong
    /// to none, and what is needed to write on.
    pub(super) fn skim(mut self, storage: &mut (impl Storage + ?Sized)) -> Result<Skimmed> {
        let mut entries = 0;
        let mut starts = Vec::new();
        while let Some(body) = self.scan.next(storage, &self.path)? {
            if let Some(Ok(Entry::Started(header))) =
                Decoder::start(body.bytes).map(serde_json::from_slice)
            {
                starts.push(header);
            }
            match self.decoder.skim(body.bytes) {
                Ok(is_entry) => entries += u64::from(is_entry),
                Err(_) => return Err(unknown(&self.path, body.offset)),
            }
        }
        Ok(Skimmed {
            entries,
            starts,
            length: self.scan.offset(),
            cut_off: self.scan.cut_off(),
            decoder: self.decoder,
        })
    }
}

/// A journal as it was found.
pub(super) struct Skimmed {
    pub(super) entries: u64,
    /// The inputs that the run had, in order.
    pub(super) starts: Vec<Header>,
    /// Bytes of the file up to the end of the last whole entry.
    pub(super) length: u64,
    /// Bytes behind it.
    pub(super) cut_off: u64,
    pub(super) decoder: Decoder,
}

fn unknown(path: &Path, offset: u64) -> Error {
    Error::new(
        ErrorKind::Journal,
        "the journal holds an entry that this version does not know",
    )
    .with_context("path", path.display().to_string())
    .with_context("byte", offset.to_string())
}
