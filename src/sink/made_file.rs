//! A file that is made in one go from what was written before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::partial_file::failed;
use crate::disk;
use crate::error::Result;

/// Is written as `NAME.making`, and gets its name in one step; one that is dropped before leaves nothing.
#[derive(Debug)]
pub(super) struct MadeFile {
    file: File,
    making: PathBuf,
    path: PathBuf,
    has_name: bool,
}

impl MadeFile {
    /// Begins the file. What a process that was killed left of it is overwritten: it can be made again.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let making = disk::with_suffix(path, ".making");
        let file = disk::private()
            .create(true)
            .truncate(true)
            .open(&making)
            .map_err(|error| failed("the output could not be created", &making, error))?;
        Ok(Self {
            file,
            making,
            path: path.to_owned(),
            has_name: false,
        })
    }

    /// Returns where its content goes.
    pub(super) fn writer(&self) -> Result<impl Write + Send + 'static> {
        let writer = self.file.try_clone();
        writer.map_err(|error| failed("the output could not be created", &self.making, error))
    }

    /// Gives the file its name, once its content is durable.
    pub(super) fn commit(mut self) -> Result<()> {
        self.name()
            .map_err(|error| failed("the output could not be made whole", &self.making, error))
    }

    fn name(&mut self) -> io::Result<()> {
        disk::give_name(&self.file, &self.making, &self.path)?;
        self.has_name = true;
        Ok(())
    }
}

impl Drop for MadeFile {
    fn drop(&mut self) {
        if !self.has_name {
            // It is in the way of nobody.
            let _ = fs::remove_file(&self.making);
        }
    }
}
