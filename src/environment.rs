//! Environment variables, and those that a `.env` file adds.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use crate::error::{Error, ErrorKind, Result};

static ADDED: RwLock<BTreeMap<String, String>> = RwLock::new(BTreeMap::new());

/// Returns the value of a variable: what the environment of the process says, and else a `.env` file that was
/// [read](read_dotenv).
#[must_use]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| {
        let added = ADDED.read().unwrap_or_else(PoisonError::into_inner);
        added.get(name).cloned()
    })
}

/// Reads a `.env` file for this library alone: the environment of the process stays as it is, and wins. A file that is not there
/// says nothing.
///
/// Lines are `NAME=value`, with `export` before it or not. A value may stand between quotation marks, in which a `#` begins no
/// comment; between double ones, `\n`, `\"` and `\\` are as in most languages. Nothing is expanded.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the line where there is something else. No value is ever in it.
pub fn read_dotenv(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let wrong = |message: &'static str| {
        Error::new(ErrorKind::Config, message).with_context("file", path.display().to_string())
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), Io::NotFound | Io::IsADirectory) => return Ok(()),
        Err(error) => return Err(wrong("it cannot be read").with_source(error)),
    };
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let read = lines.map(|(line, number)| {
        let unreadable = || {
            let error = wrong("a line is not `NAME=value`");
            error.with_context("line", number.to_string())
        };
        pair(line).map_err(|()| unreadable())
    });
    let pairs = read.collect::<Result<Vec<_>>>()?;
    let mut added = ADDED.write().unwrap_or_else(PoisonError::into_inner);
    added.extend(pairs.into_iter().flatten());
    Ok(())
}

/// Reads a line; nothing of one that is blank or a comment.
fn pair(line: &str) -> Result<Option<(String, String)>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or(())?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(());
    }
    let value = value.trim();
    let value = if let Some(mark @ ('"' | '\'')) = value.chars().next() {
        quoted(&value[1..], mark)?
    } else {
        let comment = value.find(" #").or_else(|| value.find("\t#"));
        let value = &value[..comment.unwrap_or(value.len())];
        let value = if value.starts_with('#') { "" } else { value };
        value.trim_end().to_owned()
    };
    Ok(Some((name.to_owned(), value)))
}

/// Reads up to a quotation mark, behind which there may be a comment.
fn quoted(text: &str, mark: char) -> Result<String, ()> {
    let mut value = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == mark => {
                let rest = letters.as_str().trim();
                let ends = rest.is_empty() || rest.starts_with('#');
                return if ends { Ok(value) } else { Err(()) };
            }
            '\\' if mark == '"' => match letters.next().ok_or(())? {
                'n' => value.push('\n'),
                letter @ ('"' | '\\' | '$') => value.push(letter),
                letter => value.extend(['\\', letter]),
            },
            letter => value.push(letter),
        }
    }
    Err(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_people_write_them() {
        for (line, wanted) in [
            ("A_KEY=sk-1", Some(("A_KEY", "sk-1"))),
            ("  export A_KEY = sk-1  # mine", Some(("A_KEY", "sk-1"))),
            ("A_KEY=\"sk # 1\" # mine", Some(("A_KEY", "sk # 1"))),
            ("A_KEY='sk\\n$1'", Some(("A_KEY", "sk\\n$1"))),
            (r#"A_KEY="a\n\"b\"\\c""#, Some(("A_KEY", "a\n\"b\"\\c"))),
            (
                "URL=http://host/a#b?c=d",
                Some(("URL", "http://host/a#b?c=d")),
            ),
            ("EMPTY=", Some(("EMPTY", ""))),
            ("EMPTY= # none", Some(("EMPTY", ""))),
            ("# A_KEY=sk-1", None),
            ("", None),
        ] {
            let read = pair(line).expect("it is a line");
            let read = read.as_ref().map(|(name, value)| (&**name, &**value));
            assert_eq!(read, wanted, "{line}");
        }
        for line in ["A_KEY", "A KEY=1", "=1", "A=\"open", "A='x' y"] {
            assert!(pair(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_file_adds_what_the_environment_does_not_say_and_no_fault_shows_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        read_dotenv(&file).unwrap();
        fs::write(&file, "TOPICLOOM_TEST_DOTENV=added\nPATH=nowhere\n").unwrap();
        read_dotenv(&file).unwrap();
        assert_eq!(var("TOPICLOOM_TEST_DOTENV").as_deref(), Some("added"));
        assert!(std::env::var("TOPICLOOM_TEST_DOTENV").is_err());
        assert_ne!(var("PATH").as_deref(), Some("nowhere"));
        fs::write(&file, "A=1\nsk-SECRET\n").unwrap();
        let error = read_dotenv(&file).unwrap_err().to_string();
        assert!(
            error.contains("line: 2") || error.contains("line 2"),
            "{error}"
        );
        assert!(!error.contains("SECRET"), "{error}");
    }
}
