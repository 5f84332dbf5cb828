//! A file that gets its name once it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::disk::sync_directory_of;
use crate::error::{Error, ErrorKind, Result};

/// Is written as `NAME.partial` beside its place, and moved there as a whole.
///
/// What is written stays if the process dies, and so does what had the name before.
#[derive(Debug)]
pub(super) struct PartialFile {
    /// `None` once the file has its name.
    file: Option<File>,
    length: u64,
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// Creates the file. What a process that died left in it is dropped.
    pub(super) fn create(path: &Path) -> Result<Self> {
        // The file behind a link is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.file_name().is_none() || path.is_dir() {
            return Err(
                Error::new(ErrorKind::Sink, "the output is a directory, not a file")
                    .with_context("path", path.display().to_string()),
            );
        }
        let mut partial = OsString::from(path.as_os_str());
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = create_alone(&partial)?;
        Ok(Self {
            file: Some(file),
            length: 0,
            partial,
            path,
        })
    }

    /// Writes all of `bytes` and leaves no part of them behind if that fails.
    pub(super) fn write_whole(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Err(Error::new(
                ErrorKind::Sink,
                "the output is finished and takes no more records",
            )
            .with_context("path", self.path.display().to_string()));
        };
        if let Err(error) = file.write_all(bytes) {
            // If this fails too, the last line is a torn one, which is all that can be said for a failing disk.
            let _ = file.set_len(self.length);
            return Err(failed(
                "the output could not be written",
                &self.partial,
                error,
            ));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name, once its content is durable. Does nothing if it has it.
    pub(super) fn commit(&mut self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.sync_all()
            .and_then(|()| fs::rename(&self.partial, &self.path))
            .and_then(|()| sync_directory_of(&self.path))
            .map_err(|error| failed("the output could not be made whole", &self.partial, error))?;
        self.file = None;
        Ok(())
    }
}

/// Creates an empty file that no other process writes to.
fn create_alone(path: &Path) -> Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| failed("the output could not be created", path, error))?;
        if let Err(refusal) = file.try_lock() {
            match refusal {
                TryLockError::WouldBlock => {
                    return Err(Error::new(
                        ErrorKind::Sink,
                        "another run is writing to the same output",
                    )
                    .with_context("path", path.display().to_string()));
                }
                // A file system without locks: two runs on one output cannot be told apart there.
                TryLockError::Error(error) if error.kind() == io::ErrorKind::Unsupported => {}
                TryLockError::Error(error) => {
                    return Err(failed("the output could not be locked", path, error));
                }
            }
        }
        // The other run may have finished in between, and then what was opened is its output.
        if path.exists() {
            file.set_len(0)
                .map_err(|error| failed("the output could not be emptied", path, error))?;
            return Ok(file);
        }
    }
}

fn failed(message: &'static str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Sink, message)
        .with_context("path", path.display().to_string())
        .with_context("cause", error.kind().to_string())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_do_not_write_to_the_same_output() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut first = PartialFile::create(&path).unwrap();
        let error = PartialFile::create(&path).unwrap_err();
        assert!(error.message().contains("another run"), "{error}");
        first.write_whole(b"first").unwrap();
        first.commit().unwrap();
        drop(PartialFile::create(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn what_a_dead_process_left_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut dead = PartialFile::create(&path).unwrap();
        dead.write_whole(b"something long").unwrap();
        drop(dead);
        let mut file = PartialFile::create(&path).unwrap();
        file.write_whole(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(!file.partial.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("out"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        PartialFile::create(&link).unwrap().commit().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing").join("out");
        for path in [missing, directory.path().to_owned()] {
            let error = PartialFile::create(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Sink);
            let named = error
                .context()
                .any(|(_, value)| value.starts_with(path.to_str().unwrap()));
            assert!(named, "{error}");
        }
    }
}
