//! What journals and sinks need of a file system beyond what the standard library offers.

use std::io;
use std::path::Path;

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
    std::fs::File::open(directory)?.sync_all()
}
