//! The files of a run that the command writes: `output` and `journal`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::described::{Described, Keys, described};
use super::form::{Choice, Flag, Form, Maybe, PathForm, Text, parts};
use super::place::{Notes, Place, SETTINGS};
use super::providers::holds_a_secret;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Shape, Split};
use crate::schema::{RecordSchema, find_field};

/// The field that holds where a record comes from.
pub(crate) const PROVENANCE_FIELD: &str = "provenance";

/// Where records are written, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutputFile {
    /// The file, or `-` for standard output. The default is `-`.
    pub path: PathBuf,
    /// How records are written. The default is what the file's name says.
    pub format: Option<RecordFormat>,
    /// What a record becomes for training. The default is that it stays what it is.
    pub shape: Option<Shape>,
    /// The sides that the records are split into, each in a file of its own. The default is one file.
    pub split: Option<Split>,
    /// The field whose records stay on one side, or `topic`. The default is that only neighbours do.
    pub split_by: Option<String>,
    /// Whether a text of a CSV file that a spreadsheet would take for a formula gets a `'` before it. The default is that it
    /// stays as it is.
    pub escape_formulas: bool,
    /// Where it is written what each record comes from. The default is nowhere.
    pub provenance: ProvenanceForm,
}

impl OutputFile {
    /// The path of standard output.
    const STANDARD_OUTPUT: &'static str = "-";

    /// Returns the files that there are in the end: of a split, one for each side.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.split {
            None => vec![self.path.clone()],
            Some(split) => {
                let sides = split.names();
                sides.map(|side| Split::file_of(side, &self.path)).collect()
            }
        }
    }

    /// Returns the files beside the records that say where each comes from, if there are to be any.
    #[must_use]
    pub fn sidecars(&self) -> Vec<PathBuf> {
        let files = self.files().into_iter();
        let files = files.filter(|_| self.provenance == ProvenanceForm::Sidecar);
        files.map(|file| Self::sidecar_of(&file)).collect()
    }

    /// Returns the file beside a file of records that says where each of them comes from: `data.provenance.jsonl`.
    #[must_use]
    pub fn sidecar_of(records: &Path) -> PathBuf {
        let name = records.file_name().unwrap_or_default().to_string_lossy();
        // What stands before the format, and how it is packed.
        let packed = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = packed.rsplit_once('.').map_or(packed, |(stem, _)| stem);
        records.with_file_name(format!("{stem}.provenance.jsonl"))
    }

    /// Checks that provenance has a place.
    pub(crate) fn check_provenance(&self, schema: &RecordSchema) -> Result<()> {
        let is_taken =
            self.provenance != ProvenanceForm::None && schema.has_property(PROVENANCE_FIELD);
        let message = "the schema has a field `provenance` of its own; give that another name";
        if is_taken {
            Err(Error::new(ErrorKind::InvalidInput, message))
        } else {
            Ok(())
        }
    }

    /// Checks that provenance has a place beside what is written with records: attributes, and columns that are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where one of them has its name.
    pub fn check_labels<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let mut labels = labels.into_iter();
        if self.provenance == ProvenanceForm::None || labels.all(|it| it != PROVENANCE_FIELD) {
            return Ok(());
        }
        let message = "an attribute or a column that is kept is called `provenance` too; give that another name";
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// Checks that a schema has the field by which records are split.
    pub(crate) fn check_split(&self, schema: &RecordSchema) -> Result<()> {
        let Some(field) = self.split_by.as_ref() else {
            return Ok(());
        };
        match find_field(schema, field) {
            Err((problem, advice)) if field != "topic" => {
                let message = format!("`{field}` {problem}; {advice}");
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
            _ => Ok(()),
        }
    }

    /// Creates the output into a file, in the format that its name says.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
            shape: None,
            split: None,
            split_by: None,
            escape_formulas: false,
            provenance: ProvenanceForm::None,
        }
    }
}

/// Standard output.
impl Default for OutputFile {
    fn default() -> Self {
        Self::new(Self::STANDARD_OUTPUT)
    }
}

/// How records are written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
    /// Parquet.
    Parquet,
}

impl RecordFormat {
    /// Returns its name, as an input says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS.name(self)
    }
}

impl FromStr for RecordFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let message = || format!("`{name}` is no format; write one of {}", FORMATS.names());
        let format = FORMATS.find(name);
        format.ok_or_else(|| Error::new(ErrorKind::InvalidInput, message()))
    }
}

/// Where it is written what each record comes from, as [`Provenance`](crate::record::Provenance) says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvenanceForm {
    /// Nowhere.
    #[default]
    None,
    /// In each record, as a field `provenance`.
    Columns,
    /// In a file of JSON Lines beside the records, one line for each of them; see [`OutputFile::sidecar_of`].
    Sidecar,
}

impl FromStr for ProvenanceForm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let message = || {
            format!(
                "`{name}` is no place for provenance; write one of {}",
                PROVENANCE.names()
            )
        };
        let form = PROVENANCE.find(name);
        form.ok_or_else(|| Error::new(ErrorKind::InvalidInput, message()))
    }
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
        "csv" => Csv, "CSV, with a column for each field of the schema.";
        "parquet" => Parquet, "Parquet, with the types of the schema; needs the feature `parquet`.";
    }
};

const PROVENANCE: Choice<ProvenanceForm> = parts! {
    ProvenanceForm {
        "none" => None, "Nowhere.";
        "columns" => Columns, "In each record, as a field `provenance`.";
        "sidecar" => Sidecar, "In a file beside, such as `qa.provenance.jsonl`, one line for each record.";
    }
};

described! {
    impl OutputFile {
        /// The file, or `-` for standard output.
        #[example("\"qa.jsonl\"")]
        path: PathBuf, PathForm;
        /// How records are written; unless given, what the file's name says.
        #[example("\"csv\"")]
        format: Option<RecordFormat>, Maybe(FORMATS);
        /// What a record becomes for training: `KIND=FIELD:FIELD`, with `,system=TEXT` behind it for a system prompt. Kinds are
        /// `messages`, `sharegpt`, `alpaca`, `prompt-completion`, `preference` and `text`.
        #[example("\"messages=question:answer,system=You are a helpful tutor.\"")]
        shape: Option<Shape>, Maybe(Said);
        /// The sides that the records are split into, with shares that add up to 1, each in a file of its own such as
        /// `qa.train.jsonl`. Neighbours stay on one side.
        #[example("\"train=0.9,test=0.1\"")]
        split: Option<Split>, Maybe(Said);
        /// A field, or `topic`: all records that have the same in it stay on one side of the split, too.
        #[example("\"topic\"")]
        split_by: Option<String>, Maybe(Text);
        /// Whether a text of a CSV file that a spreadsheet would take for a formula gets a `'` before it.
        #[example("true")]
        escape_formulas: bool, Flag;
        /// Where it is written what each record comes from: its number, topic, task, model, tokens, cost, repairs, scores, and the
        /// record that is most like it.
        #[example("\"sidecar\"")]
        provenance: ProvenanceForm, PROVENANCE;
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

/// What is read from a text, as it is written on the command line.
struct Said;

impl<T: FromStr<Err = Error> + Display> Form<T> for Said {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let said: String = Text.read(value, place)?;
        match said.parse() {
            Ok(read) => Some(read),
            Err(error) => place.fault_of(Error::message(&error)),
        }
    }

    fn write(&self, read: &T) -> Value {
        read.to_string().into()
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// Checks that the schema has the fields that are named.
pub(super) fn check<'a>(
    output: &OutputFile,
    schema: &RecordSchema,
    labels: impl IntoIterator<Item = &'a str>,
    notes: &mut Notes,
) {
    let mut settings = Place::new(SETTINGS, notes);
    let mut place = settings.at("output");
    if let Some(Err(error)) = output.shape.as_ref().map(|shape| shape.check(schema)) {
        place.at("shape").fault_of::<()>(error.message());
    }
    let is_free = output.check_provenance(schema);
    if let Err(error) = is_free.and_then(|()| output.check_labels(labels)) {
        place.at("provenance").fault_of::<()>(error.message());
    }
    if let Err(error) = output.check_split(schema) {
        place.at("split_by").fault_of::<()>(error.message());
    } else if output.split_by.is_some() && output.split.is_none() {
        place
            .at("split_by")
            .warn("has no effect: nothing is split without `split`");
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
