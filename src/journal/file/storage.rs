//! The file behind a journal, as little of it as the journal needs.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes that can be read anywhere, written at the end, cut off and synced. A trait, so that tests can have
/// disks that are full or fail.
pub(super) trait Storage: Send {
    /// Reads some bytes at `offset`; none at the end.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes at `offset`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is behind `length`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Returns whether somebody has cut off what was written, of which there were this many bytes.
    fn is_cut(&self, _written: u64) -> bool {
        false
    }
}

impl Storage for File {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(offset))?;
        self.read(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    // The length is synced with the data, the times of access and change are not, which spares a second write.
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn is_cut(&self, written: u64) -> bool {
        self.metadata().is_ok_and(|file| file.len() < written)
    }
}
