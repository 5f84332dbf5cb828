//! Rows in a file: CSV with the names of its columns in the first line, JSON Lines, or a JSON list of objects.

use serde_json::{Map, Value};

use super::place::Place;

/// Reads the rows of the file that is named here, each with what stands in its columns.
pub(super) fn read(name: &Value, place: &mut Place<'_>) -> Option<Vec<Map<String, Value>>> {
    let text = &place.read_text(name)?;
    let read = match ending(name).as_deref() {
        Some("csv" | "tsv") => table(text),
        Some("json") => match serde_json::from_str(text) {
            Ok(Value::Array(rows)) => rows.into_iter().zip(1..).map(object).collect(),
            _ => Err("names a file that is no JSON list".to_owned()),
        },
        _ => lines(text),
    };
    match read {
        Ok(rows) if rows.is_empty() => place.fault("names a file without a row", "put one in"),
        Ok(rows) => Some(rows),
        Err(problem) => place.fault(
            problem,
            "write CSV with the names of its columns in the first line, or JSON Lines with an object on each",
        ),
    }
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

fn table(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut reader = csv(text).from_reader(text.as_bytes());
    let mut rows = reader.records();
    let unreadable = |_| "names a file that is no CSV".to_owned();
    let names = rows.next().transpose().map_err(unreadable)?;
    let names = names.unwrap_or_default();
    let names: Vec<&str> = names.iter().map(str::trim).collect();
    let mut known = std::collections::HashSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(**name)) {
        return Err(format!("names a file with two columns `{twice}`"));
    }
    let rows = rows.zip(1_u64..).map(|(row, number)| {
        let row = row.map_err(unreadable)?;
        if row.len() > names.len() {
            return Err(format!("has more cells than columns in row {number}"));
        }
        let cells = names.iter().zip(&row);
        Ok(cells
            .map(|(name, cell)| ((*name).to_owned(), cell.into()))
            .collect())
    });
    rows.collect()
}

fn lines(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let lines = text
        .lines()
        .zip(1_u64..)
        .filter(|(line, _)| !line.trim().is_empty());
    let rows = lines.map(|(line, number)| match serde_json::from_str(line) {
        Ok(row) => object((row, number)),
        Err(_) => Err(format!("has no JSON in line {number}")),
    });
    rows.collect()
}

fn object((row, number): (Value, u64)) -> Result<Map<String, Value>, String> {
    match row {
        Value::Object(row) => Ok(row),
        _ => Err(format!("has something else than an object at {number}")),
    }
}
