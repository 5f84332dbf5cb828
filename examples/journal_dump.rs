//! Prints the entries of a journal, one JSON object to a line: `cargo run --example journal_dump run.journal`.

#![allow(clippy::print_stderr)]

use std::error::Error;
use std::io::{self, Write};

use topicloom::journal::JournalReader;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which journal?")?;
    let mut reader = JournalReader::open(path)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for entry in &mut reader {
        serde_json::to_writer(&mut out, &entry?)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    if reader.cut_off() > 0 {
        eprintln!(
            "{} bytes at the end belong to no whole entry",
            reader.cut_off()
        );
    }
    Ok(())
}
