//! Rows in a file: CSV with the names of its columns in the first line, JSON Lines, or a JSON list of objects.

use std::io::{self, BufRead};
use std::iter;

use serde_json::{Map, Value};

use super::parquet;
use super::place::Place;

/// A row with the line it begins in or, in a JSON list, its number; or what is wrong with the file.
pub(super) type Numbered = Result<(u64, Map<String, Value>), String>;

/// Reads the rows of the file that is named here, each with what stands in its columns.
pub(super) fn read(name: &Value, place: &mut Place<'_>) -> Option<Vec<Map<String, Value>>> {
    let ending = ending(name);
    let numbered = if ending.as_deref() == Some("parquet") {
        parquet::rows(place.open_file(name)?)
    } else {
        let text = place.read_text(name)?;
        Ok(rows(io::Cursor::new(text), ending.as_deref()))
    };
    let read: Result<Vec<_>, String> =
        numbered.and_then(|rows| rows.map(|row| row.map(|(_, row)| row)).collect());
    match read {
        Ok(rows) if rows.is_empty() => place.fault("names a file without a row", "put one in"),
        Ok(rows) => Some(rows),
        Err(problem) if problem.contains(": ") => place.fault_of(&problem.replacen(": ", "; ", 1)),
        Err(problem) => place.fault(
            problem,
            "write CSV with the names of its columns in the first line, or JSON Lines with an object on each",
        ),
    }
}

/// Reads rows one after the other, from a file with this ending.
pub(super) fn rows(
    reader: impl BufRead + Send + 'static,
    ending: Option<&str>,
) -> Box<dyn Iterator<Item = Numbered> + Send> {
    let read = match ending {
        Some("csv" | "tsv") => table(reader),
        Some("json") => match serde_json::from_reader(reader) {
            Ok(Value::Array(rows)) => Ok(Box::new((1..).zip(rows).map(object)) as _),
            _ => Err("names a file that is no JSON list".to_owned()),
        },
        _ => return Box::new(lines(reader)),
    };
    read.unwrap_or_else(|problem| Box::new(iter::once(Err(problem))))
}

/// Returns the ending of a file's name, in lower case.
pub(super) fn ending(name: &Value) -> Option<String> {
    Some(name.as_str()?.rsplit_once('.')?.1.to_ascii_lowercase())
}

/// Returns how a table is taken apart, whose cells stand between commas, semicolons or tabs; lines may be of any number of cells.
pub(super) fn csv(text: &str) -> csv::ReaderBuilder {
    let first = text.lines().next().unwrap_or_default();
    let often = |mark: &u8| first.bytes().filter(|byte| byte == mark).count();
    let mark = [b'\t', b';', b','].into_iter().max_by_key(often);
    let mut builder = csv::ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(mark.unwrap_or(b','));
    builder
}

fn table(
    mut reader: impl BufRead + Send + 'static,
) -> Result<Box<dyn Iterator<Item = Numbered> + Send>, String> {
    let unreadable = |_| "names a file that is no CSV".to_owned();
    let beginning = reader.fill_buf().map_err(|error| unread(&error))?;
    let beginning = String::from_utf8_lossy(beginning).into_owned();
    let mut reader = csv(&beginning).from_reader(reader);
    let names = reader.records().next().transpose().map_err(unreadable)?;
    let names = names.unwrap_or_default();
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let mut known = std::collections::HashSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
        return Err(format!("names a file with two columns `{twice}`"));
    }
    // A line feed behind a carriage return is counted to the next row.
    let late = u64::from(beginning.contains("\r\n"));
    let rows = (1_u64..).zip(reader.into_records());
    Ok(Box::new(rows.map(move |(number, row)| {
        let row = row.map_err(unreadable)?;
        if row.len() > names.len() {
            return Err(format!("has more cells than columns in row {number}"));
        }
        let line = row.position().map_or(number, csv::Position::line) + late;
        let cells = names.iter().zip(&row);
        let cells = cells.map(|(name, cell)| (name.clone(), cell.into()));
        Ok((line, cells.collect()))
    })))
}

fn lines(reader: impl BufRead + Send + 'static) -> impl Iterator<Item = Numbered> + Send {
    let rows = (1_u64..).zip(reader.lines()).map(|(number, line)| {
        let line = line.map_err(|error| unread(&error))?;
        if line.trim().is_empty() {
            return Ok(None);
        }
        match serde_json::from_str(&line) {
            Ok(row) => object((number, row)).map(Some),
            Err(_) => Err(format!("has no JSON in line {number}")),
        }
    });
    rows.filter_map(Result::transpose)
}

fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => "names a file that is not UTF-8".to_owned(),
        kind => format!("names a file that cannot be read: {kind}"),
    }
}

fn object((number, row): (u64, Value)) -> Numbered {
    match row {
        Value::Object(row) => Ok((number, row)),
        _ => Err(format!("has something else than an object at {number}")),
    }
}
