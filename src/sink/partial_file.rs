//! A file that gets its name once it is whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::{self, with_suffix};
use crate::error::{Error, ErrorKind, Result};

/// Is written as `NAME.partial`, and gets its name in one step once it is whole; for sinks that write files.
///
/// Until then, whatever has the name already is left alone, and what is written stays if the process dies. What an earlier
/// process left in `NAME.partial` is never dropped: as long as the new content is the same it is kept as it is, and
/// once it differs, the rest of the old one is moved to `NAME.partial.1`, or the next number that is free.
///
/// On Unix the partial file can be read by its owner alone; the whole one has the permissions of the file that it
/// replaces, or those of any new file.
///
/// ```
/// use topicloom::sink::PartialFile;
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("notes.txt");
/// let mut file = PartialFile::create(&path)?;
/// file.write_whole(b"tides\n")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path).unwrap(), b"tides\n");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug)]
pub struct PartialFile {
    /// `None` once the file has its name or was set aside.
    file: Option<File>,
    /// Bytes that are this run's.
    length: u64,
    /// Bytes of an earlier run that lie behind them.
    earlier: u64,
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// Returns the file that is written for a path: the one behind a link, whether it is there or not, since the link stays.
    #[must_use]
    pub fn target_of(path: &Path) -> PathBuf {
        /// As many as Linux follows.
        const MOST_LINKS: usize = 40;
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let Ok(target) = fs::read_link(&path) else {
                break;
            };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        path
    }

    /// Opens the partial file, in a directory that exists.
    ///
    /// # Errors
    ///
    /// Where it cannot be created, or another process is writing to it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = Self::target_of(path.as_ref());
        if path.file_name().is_none() || path.is_dir() {
            return Err(
                Error::new(ErrorKind::Sink, "the output is a directory, not a file")
                    .with_context("path", path.display().to_string()),
            );
        }
        let partial = with_suffix(&path, ".partial");
        let (file, earlier) = open_alone(&partial)?;
        Ok(Self {
            file: Some(file),
            length: 0,
            earlier,
            partial,
            path,
        })
    }

    /// Writes all of `bytes` and leaves no part of them behind if that fails.
    ///
    /// # Errors
    ///
    /// Where they cannot be written, and once the file has its name.
    pub fn write_whole(&mut self, bytes: &[u8]) -> Result<()> {
        if self.file.is_none() {
            return Err(Error::new(
                ErrorKind::Sink,
                "the output is finished and takes no more records",
            )
            .with_context("path", self.path.display().to_string()));
        }
        let written = match self.is_there(bytes) {
            Ok(true) => Ok(()),
            Ok(false) => self.append(bytes),
            Err(error) => Err(error),
        };
        written.map_err(|error| failed("the output could not be written", &self.partial, error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name, once its content is durable. Does nothing if it has it or was set aside.
    ///
    /// # Errors
    ///
    /// Where it cannot be made durable or moved. It is still there as `NAME.partial` then.
    pub fn commit(&mut self) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        self.make_whole()
            .map_err(|error| failed("the output could not be made whole", &self.partial, error))?;
        self.file = None;
        Ok(())
    }

    /// Keeps what was written where it is and returns where that is; a file without content is removed. Does nothing
    /// if the file has its name.
    ///
    /// # Errors
    ///
    /// Where the content cannot be made durable.
    pub fn set_aside(&mut self) -> Result<Option<&Path>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        if self.length + self.earlier == 0 {
            self.remove_empty();
            return Ok(None);
        }
        file.sync_all().map_err(|error| {
            failed("the output could not be made durable", &self.partial, error)
        })?;
        self.file = None;
        Ok(Some(&self.partial))
    }

    /// Writes first, line by line, what is there under the name already.
    pub(super) fn begin_with_lines(&mut self) -> Result<()> {
        let unreadable = |error, path: &Path| failed("the output could not be read", path, error);
        let path = self.path.clone();
        let there = match File::open(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error, &path)),
        };
        for line in BufReader::new(there).split(b'\n') {
            let mut line = line.map_err(|error| unreadable(error, &path))?;
            if !line.trim_ascii().is_empty() {
                line.push(b'\n');
                self.write_whole(&line)?;
            }
        }
        Ok(())
    }

    /// Returns the name that the file is to have.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file has its name already, or was set aside.
    pub(super) fn is_finished(&self) -> bool {
        self.file.is_none()
    }

    /// Returns what was written, to be read from the start.
    pub(super) fn written(&self) -> Result<BufReader<io::Take<File>>> {
        let file = File::open(&self.partial)
            .map_err(|error| failed("the output could not be read", &self.partial, error))?;
        Ok(BufReader::new(file.take(self.length)))
    }

    /// Removes what was written, once other files have been made of it. What an earlier run left behind it stays.
    pub(super) fn discard(&mut self) -> Result<()> {
        let moved = match self.earlier {
            0 => Ok(()),
            _ => self.move_earlier_away(),
        };
        self.file = None;
        moved
            .and_then(|()| fs::remove_file(&self.partial))
            .map_err(|error| failed("the output could not be tidied up", &self.partial, error))
    }

    /// Returns whether an earlier run left these bytes in this place. Where it left others, they are moved out of the way.
    fn is_there(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(file) = self.file.as_mut().filter(|_| self.earlier > 0) else {
            return Ok(false);
        };
        let mut there = Vec::new();
        file.take(bytes.len() as u64).read_to_end(&mut there)?;
        if !bytes.starts_with(&there) {
            self.move_earlier_away()?;
            return Ok(false);
        }
        self.earlier -= there.len() as u64;
        if there.len() == bytes.len() {
            return Ok(true);
        }
        // It was cut off within these bytes, which are written over what there is of them.
        file.seek(SeekFrom::Start(self.length))?;
        self.earlier = 0;
        Ok(false)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().expect("the caller has looked");
        file.write_all(bytes).inspect_err(|_| {
            // If this fails too, the last line is a torn one, which is all that can be said for a failing disk.
            let _ = file.set_len(self.length);
        })
    }

    /// Moves what the earlier run has beyond what the two have in common to a file of its own.
    fn move_earlier_away(&mut self) -> io::Result<()> {
        let file = self.file.as_mut().expect("the caller has looked");
        if self.length == 0 {
            // The usual case, in one step: a process that is killed leaves nothing twice.
            disk::move_aside(&self.partial)?;
            *file = disk::private().create_new(true).open(&self.partial)?;
            // Where it cannot be locked, it could not be before.
            let _ = file.try_lock();
            self.earlier = 0;
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.length))?;
        let aside = disk::free_name(&self.partial)?;
        let mut moved = disk::private().create_new(true).open(&aside)?;
        let copied = io::copy(file, &mut moved).and_then(|_| moved.sync_all());
        if let Err(error) = copied {
            // It is all still where it was.
            let _ = fs::remove_file(aside);
            return Err(error);
        }
        file.set_len(self.length)?;
        file.seek(SeekFrom::Start(self.length))?;
        self.earlier = 0;
        Ok(())
    }

    fn make_whole(&mut self) -> io::Result<()> {
        if self.earlier > 0 {
            self.move_earlier_away()?;
        }
        let file = self.file.as_ref().expect("the caller has looked");
        disk::give_name(file, &self.partial, &self.path)
    }

    fn remove_empty(&mut self) {
        self.file = None;
        // An empty file in the way harms nobody.
        let _ = fs::remove_file(&self.partial);
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.file.is_some() && self.length + self.earlier == 0 {
            self.remove_empty();
        }
    }
}

/// Opens a file that no other process writes to. Returns how long it is.
fn open_alone(path: &Path) -> Result<(File, u64)> {
    loop {
        let file = disk::private()
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
            let there = file
                .metadata()
                .map_err(|error| failed("the output could not be opened", path, error))?;
            return Ok((file, there.len()));
        }
    }
}

pub(super) fn failed(message: &'static str, path: &Path, error: io::Error) -> Error {
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

    /// Writes what a process that is killed leaves, then what the next one makes of it; returns both files.
    fn after(dead: &[&str], next: &[&str], is_whole: bool) -> (Option<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for (lines, is_whole) in [(dead, false), (next, is_whole)] {
            let mut file = PartialFile::create(&path).unwrap();
            for line in lines {
                file.write_whole(line.as_bytes()).unwrap();
            }
            if is_whole {
                file.commit().unwrap();
            }
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        let beside = ["out.partial", "out.partial.1", "out.partial.2"];
        (read("out"), beside.into_iter().filter_map(read).collect())
    }

    #[test]
    fn what_a_dead_process_left_is_taken_up_or_kept_beside() {
        let whole = |text: &str| Some(text.to_owned());
        let dead = ["one\n", "two\n"];
        assert_eq!(
            after(&dead, &["one\n", "two\n", "three\n"], true),
            (whole("one\ntwo\nthree\n"), vec![])
        );
        assert_eq!(
            after(&dead, &["one\n", "2\n"], true),
            (whole("one\n2\n"), vec!["two\n".to_owned()])
        );
        // The next one ends before it has caught up, or makes less.
        assert_eq!(
            after(&dead, &["one\n"], false),
            (None, vec!["one\ntwo\n".to_owned()])
        );
        assert_eq!(
            after(&dead, &["one\n"], true),
            (whole("one\n"), vec!["two\n".to_owned()])
        );
        assert_eq!(
            after(&dead, &["1\n"], false),
            (None, vec!["1\n".to_owned(), "one\ntwo\n".to_owned()])
        );
        // A line that a crash cut off.
        assert_eq!(
            after(&["one\n", "tw"], &["one\n", "two\n"], true),
            (whole("one\ntwo\n"), vec![])
        );
    }

    #[test]
    fn a_file_without_content_leaves_no_trace() {
        assert_eq!(after(&[], &[], false), (None, vec![]));
    }

    #[cfg(unix)]
    #[test]
    fn a_partial_file_is_its_owners_alone_and_a_whole_one_as_any() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let usual = directory.path().join("usual");
        fs::write(&usual, "").unwrap();
        let path = directory.path().join("out");
        let mut file = PartialFile::create(&path).unwrap();
        file.write_whole(b"x").unwrap();
        assert_eq!(mode(&file.partial), 0o600);
        file.commit().unwrap();
        assert_eq!(mode(&path), mode(&usual));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        PartialFile::create(&path).unwrap().commit().unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
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

        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("link", directory.path().join("to the link")).unwrap();
        for link in ["link", "to the link"].map(|name| directory.path().join(name)) {
            PartialFile::create(&link).unwrap().commit().unwrap();
            assert!(link.is_symlink());
            fs::remove_file(&path).expect("it was written behind the links");
        }
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
