//! What is printed: data on standard output, all else on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use topicloom::{Error, ErrorKind, Result};

/// Writes a line to standard output. When the reader has had enough, as `head` has, the command is done.
pub(crate) fn line(text: impl Display) -> Result<()> {
    write(&clean(&text.to_string()))
}

/// Writes a model's own words to standard output: as they are, unless a terminal would obey them.
pub(crate) fn words(text: &str) -> Result<()> {
    if io::stdout().is_terminal() {
        return line(text);
    }
    write(text)
}

/// The bar that is to make room for whatever else is printed.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

pub(crate) fn share_screen_with(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Prints while there is no bar.
fn beside_bar<T>(print: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

fn write(text: &str) -> Result<()> {
    let write = || {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush())
    };
    match beside_bar(write) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let failed = Error::new(ErrorKind::Sink, "standard output cannot be written");
            Err(failed.with_source(error))
        }
    }
}

/// Writes a line to standard error, if it is still there: the terminal of a run may have been closed.
pub(crate) fn note(text: impl Display) {
    let text = clean(&text.to_string());
    let _ = beside_bar(|| writeln!(io::stderr().lock(), "{text}"));
}

/// Takes what is logged, a line at a time.
pub(crate) struct Notes;

impl Write for Notes {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        note(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a name on one line, as it stands in a table.
pub(crate) fn on_one_line(name: &str) -> String {
    clean(name).replace('\n', "\\n").replace('\t', "\\t")
}

/// Writes control characters as JSON escapes, so that no text of a user or a model changes what a terminal shows.
pub(crate) fn clean(text: &str) -> String {
    let turns_direction = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_order = |c: char| turns_direction(c) || (c.is_control() && !matches!(c, '\n' | '\t'));
    let parts = text.split_inclusive(is_order).map(|part| {
        let order = part.chars().next_back().filter(|c| is_order(*c));
        order.map_or_else(
            || part.to_owned(),
            |order| {
                format!(
                    "{}\\u{:04x}",
                    part.trim_end_matches(order),
                    u32::from(order)
                )
            },
        )
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_orders() {
        assert_eq!(
            clean("a\tb\nred \u{1b}[31m\u{7}\u{9b}2J, é 日本 🧵"),
            "a\tb\nred \\u001b[31m\\u0007\\u009b2J, é 日本 🧵"
        );
        assert_eq!(
            on_one_line("tides\n 9999  \u{202e}waves"),
            "tides\\n 9999  \\u202ewaves"
        );
    }
}
