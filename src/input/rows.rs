//! Rows of a file, one after the other.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

use super::parquet;
use super::table::{self, Numbered};
use crate::error::{Error, ErrorKind, Result};

/// Reads the rows of a file, each with a number, while none is kept in memory.
///
/// The file's name says how it is read: `.csv` and `.tsv` with the names of the columns in the first line, `.json` as a list of
/// objects, `.parquet` where the feature `parquet` is there, anything else as JSON Lines; each of them but Parquet also with `.gz`
/// behind. The number is the line a row begins in; in a JSON list and in Parquet it is that of the row, from 1.
///
/// CSV has no types: a cell that is JSON, such as `3`, `true` or `["a"]`, is taken for that, and an empty one is left out.
///
/// ```
/// use topicloom::input::Rows;
///
/// # fn example() -> topicloom::Result<()> {
/// for row in Rows::open("data.jsonl.gz")? {
///     let (line, record) = row?;
///     println!("{line}: {} fields", record.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Rows {
    rows: Box<dyn Iterator<Item = Numbered> + Send>,
    path: PathBuf,
}

impl Rows {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened. What is wrong with its content is an error of the iterator, which names the line.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = File::open(&path).map_err(|error| {
            let message = "the file cannot be read";
            at(&path, message.to_owned()).with_source(error)
        })?;
        let name = path.to_string_lossy().to_ascii_lowercase();
        let ending = |name: &str| Some(name.rsplit_once('.')?.1.to_owned());
        let packed = name.strip_suffix(".gz");
        let ending = ending(packed.unwrap_or(&name));
        let rows = match ending.as_deref() {
            Some("parquet") => parquet::rows(file).map_err(|problem| in_file(&path, &problem))?,
            ending => {
                let plain = BufReader::new(file);
                let mut text: Box<dyn BufRead + Send> = match packed {
                    Some(_) => Box::new(BufReader::new(MultiGzDecoder::new(plain))),
                    None => Box::new(plain),
                };
                if text
                    .fill_buf()
                    .is_ok_and(|it| it.starts_with(b"\xef\xbb\xbf"))
                {
                    text.consume(3);
                }
                let rows = table::rows(text, ending);
                match ending {
                    Some("csv" | "tsv") => Box::new(rows.map(typed)),
                    _ => rows,
                }
            }
        };
        Ok(Self { rows, path })
    }
}

impl Iterator for Rows {
    type Item = Result<(u64, Map<String, Value>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.map_err(|problem| in_file(&self.path, &problem)))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Says what is wrong with a file, where it is not named by an input.
fn in_file(path: &Path, problem: &str) -> Error {
    let problem = problem.trim_start_matches("names a file that ");
    let problem = problem.replacen("names a file of", "is", 1);
    at(path, format!("the file {problem}"))
}

fn at(path: &Path, message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_context("file", path.display().to_string())
}

/// Gives the cells of a row the types that they look like.
fn typed(row: Numbered) -> Numbered {
    let (number, mut row) = row?;
    row.retain(|_, cell| cell.as_str() != Some(""));
    for cell in row.values_mut() {
        if let Some(value) = cell.as_str().and_then(|it| serde_json::from_str(it).ok())
            && !matches!(value, Value::String(_) | Value::Null)
        {
            *cell = value;
        }
    }
    Ok((number, row))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_with_their_lines_from_each_kind_of_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = json!([{"q": "a", "n": 1}, {"q": "b,\nc", "n": true}]);
        let lines = "\u{feff}{\"q\": \"a\", \"n\": 1}\n\n{\"q\": \"b,\\nc\", \"n\": true}\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(lines.as_bytes()).expect("memory");
        let files: [(&str, Vec<u8>, [u64; 2]); 5] = [
            ("a.jsonl", lines.into(), [1, 3]),
            ("a.JSONL.GZ", packed.finish().expect("memory"), [1, 3]),
            ("a.json", list.to_string().into(), [1, 2]),
            ("a.csv", "q,n\n\"a\",1\n\"b,\nc\",true\n".into(), [2, 3]),
            (
                "a.tsv",
                "q\tn\r\na\t1\r\n\"b,\nc\"\ttrue\r\n".into(),
                [2, 3],
            ),
        ];
        for (name, bytes, numbers) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("there is room");
            let rows = Rows::open(path).expect("it is there");
            let rows: Vec<_> = rows.map(|row| row.expect("a row")).collect();
            let values: Value = rows.iter().map(|(_, row)| row.clone()).collect();
            assert_eq!(values, list, "{name}");
            assert_eq!(
                rows.iter().map(|row| row.0).collect::<Vec<_>>(),
                numbers,
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_wrong_names_the_line_and_quotes_nothing() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{{\"q\": 1}}\nsecret").expect("written");
        let error = Rows::open(file.path()).expect("it is there").nth(1);
        let error = error
            .expect("a second line")
            .expect_err("no JSON")
            .to_string();
        assert!(error.contains("has no JSON in line 2"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(Rows::open("no/such").is_err());
    }
}
