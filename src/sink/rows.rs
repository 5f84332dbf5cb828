//! How a row stands in a file of text: as JSON on a line of its own, or as a line of CSV.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::record::JsonRecord;

/// Writes rows in one format.
pub(super) trait Encoder: Send {
    /// Writes a row.
    fn row(&mut self, row: &JsonRecord) -> Result<()>;

    /// Writes what is held back, and what belongs at the end. Nothing is called after it.
    fn finish(&mut self) -> Result<()>;
}

/// Writes a record as a line of JSON.
pub(super) fn json_line(record: &impl Serialize, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, record).map_err(|error| {
        let message = "a record does not serialise to a JSON object";
        Error::new(ErrorKind::Sink, message).with_source(error)
    })?;
    line.push(b'\n');
    Ok(())
}

/// Where lines go, compressed or not.
pub(super) enum Lines {
    Plain(Box<dyn Write + Send>),
    Gzip(GzEncoder<Box<dyn Write + Send>>),
}

impl Lines {
    pub(super) fn new(out: Box<dyn Write + Send>, is_gzip: bool) -> Self {
        if is_gzip {
            // Neither a name nor a time is in it: the same rows are the same bytes.
            Self::Gzip(GzEncoder::new(out, Compression::default()))
        } else {
            Self::Plain(out)
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<()> {
        let written = match self {
            Self::Plain(out) => out.write_all(line),
            Self::Gzip(out) => out.write_all(line),
        };
        written.map_err(failed)
    }

    fn finish(&mut self) -> Result<()> {
        let finished = match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.try_finish().and_then(|()| out.get_mut().flush()),
        };
        finished.map_err(failed)
    }
}

/// JSON Lines.
pub(super) struct JsonLines {
    pub(super) lines: Lines,
    pub(super) line: Vec<u8>,
}

impl Encoder for JsonLines {
    fn row(&mut self, row: &JsonRecord) -> Result<()> {
        json_line(row, &mut self.line)?;
        self.lines.write(&self.line)
    }

    fn finish(&mut self) -> Result<()> {
        self.lines.finish()
    }
}

/// CSV, as `docs/output.md` tells its rules.
pub(super) struct Csv {
    lines: Lines,
    line: Vec<u8>,
    columns: Vec<String>,
    escapes_formulas: bool,
}

impl Csv {
    /// Begins with the names of the columns.
    pub(super) fn new(lines: Lines, columns: Vec<String>, escapes_formulas: bool) -> Result<Self> {
        let mut csv = Self {
            lines,
            line: Vec::new(),
            columns,
            escapes_formulas,
        };
        for (index, name) in csv.columns.iter().enumerate() {
            if index > 0 {
                csv.line.push(b',');
            }
            quote(name, csv.escapes_formulas, &mut csv.line);
        }
        csv.line.push(b'\n');
        csv.lines.write(&csv.line)?;
        Ok(csv)
    }
}

impl Encoder for Csv {
    fn row(&mut self, row: &JsonRecord) -> Result<()> {
        self.line.clear();
        let mut known = 0;
        for (index, name) in self.columns.iter().enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            let value = row.get(name);
            known += usize::from(value.is_some());
            match value {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => quote(text, self.escapes_formulas, &mut self.line),
                Some(plain @ (Value::Bool(_) | Value::Number(_))) => {
                    write!(self.line, "{plain}").expect("a vector takes what it is given");
                }
                Some(nested) => quote(&nested.to_string(), false, &mut self.line),
            }
        }
        if known < row.len() {
            return Err(surplus("CSV"));
        }
        if self.line.is_empty() {
            // Readers take an empty line for no row.
            quote("", false, &mut self.line);
        }
        self.line.push(b'\n');
        self.lines.write(&self.line)
    }

    fn finish(&mut self) -> Result<()> {
        self.lines.finish()
    }
}

/// Writes a text in quotes. A spreadsheet takes one that begins like a formula for one, unless a `'` stands before it.
fn quote(text: &str, escapes_formulas: bool, line: &mut Vec<u8>) {
    line.push(b'"');
    if escapes_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        line.push(b'\'');
    }
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            line.extend(b"\"\"");
        }
        line.extend(part.as_bytes());
    }
    line.push(b'"');
}

/// Says that a row has a field without a column.
pub(super) fn surplus(format: &str) -> Error {
    Error::new(
        ErrorKind::Sink,
        format!(
            "a record has a field that neither the schema nor the first record names, and {format} needs its columns before the first \
             record; write to a file"
        ),
    )
}

pub(super) fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Sink, "the output could not be written")
        .with_context("cause", error.kind().to_string())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn csv(columns: &[&str], rows: &[Value], escapes: bool) -> Result<String> {
        let shared = Shared::default();
        let columns = columns.iter().map(ToString::to_string).collect();
        let lines = Lines::new(Box::new(shared.clone()), false);
        let mut csv = Csv::new(lines, columns, escapes)?;
        for row in rows {
            csv.row(row.as_object().unwrap())?;
        }
        csv.finish()?;
        let bytes = shared.0.lock().unwrap().clone();
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn texts_are_quoted_numbers_are_not_and_null_is_nothing() {
        let row = json!({
            "text": "a \"b\",\nc", "none": null, "empty": "", "number": -1.5, "yes": true,
            "nested": {"a": ["x", 1]}, "digits": "007",
        });
        let columns = [
            "text", "none", "empty", "number", "yes", "nested", "digits", "missing",
        ];
        let written = csv(&columns, &[row], false).unwrap();
        assert_eq!(
            written,
            "\"text\",\"none\",\"empty\",\"number\",\"yes\",\"nested\",\"digits\",\"missing\"\n\
             \"a \"\"b\"\",\nc\",,\"\",-1.5,true,\"{\"\"a\"\":[\"\"x\"\",1]}\",\"007\",\n"
        );
    }

    #[test]
    fn formulas_are_made_harmless_on_demand() {
        let rows = ["=1+1", "+1", "-1", "@a", "\t=1", "1+1"].map(|text| json!({"a": text}));
        let plain = csv(&["a"], &rows, false).unwrap();
        assert_eq!(
            plain,
            "\"a\"\n\"=1+1\"\n\"+1\"\n\"-1\"\n\"@a\"\n\"\t=1\"\n\"1+1\"\n"
        );
        let harmless = csv(&["a"], &rows, true).unwrap();
        assert_eq!(
            harmless,
            "\"a\"\n\"'=1+1\"\n\"'+1\"\n\"'-1\"\n\"'@a\"\n\"'\t=1\"\n\"1+1\"\n"
        );
        let number = csv(&["a"], &[json!({"a": -1})], true).unwrap();
        assert_eq!(number, "\"a\"\n-1\n", "a number is no formula");
    }

    #[test]
    fn a_lone_null_is_a_row_and_a_field_without_a_column_is_an_error() {
        assert_eq!(
            csv(&["a"], &[json!({"a": null})], false).unwrap(),
            "\"a\"\n\"\"\n"
        );
        let error = csv(&["a"], &[json!({"a": 1, "b": 2})], false).unwrap_err();
        assert!(error.message().contains("write to a file"), "{error}");
    }
}
