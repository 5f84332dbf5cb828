//! Standard output.

use std::fmt::Display;
use std::io::{self, Write};

use topicloom::{Error, ErrorKind, Result};

/// Writes a line to standard output. Where whoever reads has had enough, as `head` has, the command is done.
pub(crate) fn line(text: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let failed = Error::new(ErrorKind::Sink, "standard output cannot be written");
            Err(failed.with_source(error))
        }
    }
}
