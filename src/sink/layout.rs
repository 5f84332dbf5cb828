//! What a file is made of: its format, and what stands in its rows.

use std::io::Write;

use super::column_type::ColumnType;
use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet::Parquet;
use super::rows::{Csv, Encoder, JsonLines, Lines};
use crate::candidate::at_path;
use crate::dedup::Neighbours;
use crate::error::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::input::{OutputFile, PROVENANCE_FIELD, ProvenanceForm, RecordFormat};
use crate::record::{JsonRecord, Shape, Split};
use crate::schema::RecordSchema;

/// The field that holds the topic, which an export adds.
const TOPIC: &str = "topic";

pub(super) struct Layout {
    format: FileFormat,
    shape: Option<Shape>,
    escapes_formulas: bool,
    /// Those that the schema names, and the topic.
    pub(super) columns: Columns,
    /// How the records are split, and by which field beside.
    pub(super) split: Option<(Split, Option<String>)>,
    /// That of the records.
    schema: RecordSchema,
    /// Where it is written what records come from.
    pub(super) provenance: ProvenanceForm,
    /// Whether a record may have what the schema does not say, and the format has to know it beforehand.
    pub(super) looks_ahead: bool,
}

/// The columns of a table.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// Whether the last one is the topic that an export adds.
    adds_topic: bool,
    /// Their types, where the format has any.
    types: Vec<ColumnType>,
}

impl Columns {
    fn new(schema: &RecordSchema, adds_topic: bool, format: FileFormat) -> Self {
        let mut names = schema.property_names().to_vec();
        names.extend(adds_topic.then(|| TOPIC.to_owned()));
        let types = match format.format {
            #[cfg(feature = "parquet")]
            RecordFormat::Parquet => names
                .iter()
                .map(|name| {
                    if adds_topic && name == TOPIC {
                        ColumnType::Text
                    } else {
                        ColumnType::of_property(schema.as_json(), name)
                    }
                })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            names,
            adds_topic,
            types,
        }
    }

    /// Makes room for a row: for fields that have no column yet, before the topic, and for values that do not fit.
    pub(super) fn see(&mut self, row: &JsonRecord) {
        for name in row.keys() {
            if !self.names.contains(name) {
                let end = self.names.len() - usize::from(self.adds_topic);
                self.names.insert(end, name.clone());
                if !self.types.is_empty() {
                    self.types.insert(end, ColumnType::Null);
                }
            }
        }
        for (column, name) in self.types.iter_mut().zip(&self.names) {
            if let Some(value) = row.get(name) {
                column.fit(value);
            }
        }
    }
}

impl Layout {
    /// # Errors
    ///
    /// Where the name of the file and its format contradict each other, or this build does not have it; where the schema does
    /// not have the fields of the shape.
    pub(super) fn of_file(output: &OutputFile, schema: &RecordSchema) -> Result<Self> {
        Self::new(
            FileFormat::of_file(&output.path, output.format)?,
            output,
            schema,
        )
    }

    /// # Errors
    ///
    /// Where this build does not have the format, and where there would be several files.
    pub(super) fn of_stream(output: &OutputFile, schema: &RecordSchema) -> Result<Self> {
        if output.split.is_some() {
            let message = "a split is written into files of its own; name a file for the output";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if output.provenance == ProvenanceForm::Sidecar {
            let message = "provenance goes into a file beside the records; name a file for the output, or write `columns`";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Self::new(FileFormat::of_stream(output.format), output, schema)
    }

    fn new(format: FileFormat, output: &OutputFile, schema: &RecordSchema) -> Result<Self> {
        if format.format == RecordFormat::Parquet && !cfg!(feature = "parquet") {
            let message = "this build writes no Parquet: rebuild it with `--features parquet`";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if let Some(shape) = &output.shape {
            shape.check(schema)?;
        }
        output.check_split(schema)?;
        output.check_provenance(schema)?;
        let shaped = output.shape.as_ref().map(Shape::schema);
        let is_table = format.format != RecordFormat::Jsonl;
        Ok(Self {
            format,
            shape: output.shape.clone(),
            escapes_formulas: output.escape_formulas,
            columns: match &shaped {
                Some(shaped) => Columns::new(shaped, false, format),
                None => Columns::new(schema, !schema.has_property(TOPIC), format),
            },
            split: output.split.clone().map(|it| (it, output.split_by.clone())),
            schema: schema.clone(),
            provenance: output.provenance,
            looks_ahead: is_table,
        })
    }

    /// Returns whether the file is the very lines that are written while the run goes on.
    pub(super) fn is_written_at_once(&self) -> bool {
        self.format.format == RecordFormat::Jsonl
            && !self.format.is_gzip
            && self.shape.is_none()
            && self.split.is_none()
            && self.provenance == ProvenanceForm::None
    }

    /// Begins to look for neighbours, where the records are split, or the nearest of each is told.
    pub(super) fn neighbours(&self) -> Option<Neighbours> {
        let tells_nearest = self.provenance != ProvenanceForm::None;
        (tells_nearest || self.split.is_some()).then(|| Neighbours::new(&self.schema))
    }

    /// Shows a record, with its topic, to who looks for neighbours.
    pub(super) fn show(&self, record: &mut JsonRecord, neighbours: &mut Neighbours) {
        let by = self.split.as_ref().and_then(|(_, by)| by.as_deref());
        let together = by.map(|by| at_path(record, by).cloned().unwrap_or_default());
        if !self.schema.has_property(TOPIC) {
            // It is the export's, and says nothing of the record.
            record.shift_remove(TOPIC);
        }
        if self.provenance != ProvenanceForm::None {
            record.shift_remove(PROVENANCE_FIELD);
        }
        neighbours.see(record, together.as_ref());
    }

    /// Returns the row that a record becomes, and where the record comes from if that is written beside the rows.
    pub(super) fn row(&self, mut record: JsonRecord) -> (JsonRecord, Option<Value>) {
        let provenance = match self.provenance {
            ProvenanceForm::None => None,
            _ => record.shift_remove(PROVENANCE_FIELD),
        };
        let mut row = match &self.shape {
            Some(shape) => shape.row(&record),
            None => record,
        };
        if self.provenance == ProvenanceForm::Columns {
            row.extend(provenance.map(|it| (PROVENANCE_FIELD.to_owned(), it)));
            return (row, None);
        }
        (row, provenance)
    }

    /// Begins a file of JSON Lines beside the records.
    pub(super) fn lines(out: Box<dyn Write + Send>) -> Box<dyn Encoder> {
        Box::new(JsonLines {
            lines: Lines::new(out, false),
            line: Vec::new(),
        })
    }

    /// Begins a file.
    pub(super) fn encoder(
        &self,
        out: Box<dyn Write + Send>,
        columns: Columns,
    ) -> Result<Box<dyn Encoder>> {
        #[cfg(feature = "parquet")]
        if self.format.format == RecordFormat::Parquet {
            return Ok(Box::new(Parquet::new(out, &columns.names, &columns.types)?));
        }
        let lines = Lines::new(out, self.format.is_gzip);
        Ok(match self.format.format {
            RecordFormat::Csv => Box::new(Csv::new(lines, columns.names, self.escapes_formulas)?),
            _ => Box::new(JsonLines {
                lines,
                line: Vec::new(),
            }),
        })
    }
}
