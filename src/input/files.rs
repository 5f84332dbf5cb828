//! The files of a run that the command writes: `output` and `journal`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::described::{Described, Keys, described};
use super::form::{Choice, Flag, Form, Maybe, PathForm, Text, parts};
use super::place::Place;
use super::providers::holds_a_secret;

/// Where the command writes records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputFile {
    /// The file, or `-` for standard output.
    pub path: PathBuf,
    /// How records are written.
    pub format: RecordFormat,
}

/// How records are written into a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// JSON Lines.
    #[default]
    Jsonl,
}

/// Where the command keeps answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalPlace {
    /// A file, or the URL of a database.
    pub path: String,
    /// The run's name in the database.
    pub run_id: Option<String>,
    /// Whether other processes may join the run.
    pub shared: bool,
}

const FORMATS: Choice<RecordFormat> = parts! {
    RecordFormat {
        "jsonl" => Jsonl, "JSON Lines: one record on each line.";
    }
};

described! {
    impl OutputFile {
        /// The file, or `-` for standard output.
        #[example("\"qa.jsonl\"")]
        path: PathBuf, PathForm;
        /// How records are written.
        #[example("\"jsonl\"")]
        format: RecordFormat, FORMATS;
    }
}

described! {
    impl JournalPlace {
        /// A file, or the URL of a database, such as `postgres://user@host/database`.
        #[example("\"qa.journal\"")]
        path: String, Text;
        /// The run's name in the database; needed where it is one.
        #[example("\"questions\"")]
        run_id: Option<String>, Maybe(Text);
        /// Whether other processes may join the run, with `topicloom work`.
        #[example("true")]
        shared: bool, Flag;
    }
}

/// An object with a path, or the path by itself.
pub(super) struct Placed;

/// What has a path.
pub(super) trait HasPath: Described {
    fn path(&self) -> &str;
}

impl HasPath for OutputFile {
    fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }
}

impl HasPath for JournalPlace {
    fn path(&self) -> &str {
        &self.path
    }
}

impl<T: HasPath> Form<T> for Placed {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let value = match value {
            Value::String(path) => json!({"path": path}),
            other => other,
        };
        let before = place.faults();
        let read: T = Keys.read(value, place)?;
        if place.faults() > before {
            return None;
        }
        if read.path().trim().is_empty() {
            return place.fault("names no file", "write its name");
        }
        if holds_a_secret(read.path()) {
            let advice = "take it out; the password of a database is taken from `PGPASSWORD`";
            return place.fault(
                "holds a password, which would be written into journals",
                advice,
            );
        }
        Some(read)
    }

    fn write(&self, value: &T) -> Value {
        Keys.write(value)
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [{"type": "string", "pattern": "\\S"}, T::schema()]})
    }
}
