//! What journals and sinks need of a file system beyond what the standard library offers.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::path::{Path, PathBuf};

/// Returns options that read and write a file; on Unix, one that is created is its owner's alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Returns the permissions of what has the name already, or those that any new file gets in the directory of `making`.
fn usual_permissions(path: &Path, making: &Path) -> io::Result<Permissions> {
    if let Ok(there) = fs::metadata(path) {
        return Ok(there.permissions());
    }
    // The only way to ask for the umask is to make a file. Its name is always the same, so that one left by a kill goes the next
    // time.
    let probe = with_suffix(making, ".new");
    let _ = fs::remove_file(&probe);
    let usual = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .and_then(|file| file.metadata());
    fs::remove_file(&probe)?;
    usual.map(|usual| usual.permissions())
}

/// Gives a file another name, once its content is durable, with the permissions of what has the name already, or those of any
/// new file.
pub(crate) fn give_name(file: &fs::File, from: &Path, name: &Path) -> io::Result<()> {
    file.set_permissions(usual_permissions(name, from)?)?;
    file.sync_all()?;
    fs::rename(from, name)?;
    sync_directory_of(name)
}

/// Gives a file the first name behind its own, as `NAME.1`, that is free, and returns it.
pub(crate) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_name(path)?;
    fs::rename(path, &aside)?;
    sync_directory_of(&aside)?;
    Ok(aside)
}

/// Returns a path with more behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

/// Returns the first name behind a file's own, as `NAME.1`, that is free.
pub(crate) fn free_name(path: &Path) -> io::Result<PathBuf> {
    let mut names = (1..u32::MAX).map(|number| with_suffix(path, &format!(".{number}")));
    let free = names.find(|name| name.symlink_metadata().is_err());
    free.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// Makes the names in the directory of a file durable, after the file was created or renamed.
///
/// Only Unix can and needs to: elsewhere a directory cannot be opened, and renames are durable by themselves.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    fs::File::open(directory)?.sync_all()
}

/// Returns what tells a file from any other, where it is there and the system says so.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        path.exists().then_some((0, 0))
    }
}
