//! Which format a file has: by what was said, and else by its name.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::input::RecordFormat;

/// A format, and whether the file is compressed with gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileFormat {
    pub(super) format: RecordFormat,
    pub(super) is_gzip: bool,
}

const NAMES: [(&str, RecordFormat); 5] = [
    ("jsonl", RecordFormat::Jsonl),
    ("ndjson", RecordFormat::Jsonl),
    ("jsonlines", RecordFormat::Jsonl),
    ("csv", RecordFormat::Csv),
    ("parquet", RecordFormat::Parquet),
];

impl FileFormat {
    /// Returns the format of what has no name, such as standard output.
    pub(super) fn of_stream(said: Option<RecordFormat>) -> Self {
        Self {
            format: said.unwrap_or(RecordFormat::Jsonl),
            is_gzip: false,
        }
    }

    /// Returns the format of a file. A name without an extension says nothing, and is JSON Lines unless something else was
    /// said.
    ///
    /// # Errors
    ///
    /// Where its readers would expect another format, or nobody could tell which.
    pub(super) fn of_file(path: &Path, said: Option<RecordFormat>) -> Result<Self> {
        let refuse = |message: String| {
            let error = Error::new(ErrorKind::InvalidInput, message);
            Err(error.with_context("path", path.display().to_string()))
        };
        let extension = |path: &Path| {
            let extension = path.extension().map(|it| it.to_string_lossy());
            extension.map(|it| it.to_ascii_lowercase())
        };
        let packed = extension(path);
        let is_gzip = packed.as_deref() == Some("gz");
        if matches!(packed.as_deref(), Some("zst" | "bz2" | "xz" | "zip")) {
            let packed = packed.unwrap_or_default();
            return refuse(format!(
                "`.{packed}` is a compression that is not written; name the file `NAME.jsonl.gz`, or compress it afterwards"
            ));
        }
        let named = if is_gzip {
            path.file_stem().and_then(|stem| extension(Path::new(stem)))
        } else {
            packed
        };
        let by_name = named.as_deref().map(|named| {
            let known = NAMES.iter().find(|(name, _)| *name == named);
            known.map(|(_, format)| *format)
        });
        let format = match (by_name, said) {
            (None, said) => said.unwrap_or(RecordFormat::Jsonl),
            (Some(None), Some(said)) => said,
            (Some(Some(format)), Some(said)) if format != said => {
                return refuse(format!(
                    "`.{}` says another format than `{}`; leave one of them out",
                    named.unwrap_or_default(),
                    said.name()
                ));
            }
            (Some(Some(format)), _) => format,
            (Some(None), None) => {
                return refuse(format!(
                    "`.{}` is the extension of no format that is written; name the file `NAME.jsonl`, `NAME.csv` or \
                     `NAME.parquet`, or say `format`",
                    named.unwrap_or_default()
                ));
            }
        };
        if is_gzip && format == RecordFormat::Parquet {
            return refuse("Parquet is compressed in itself; leave `.gz` out".to_owned());
        }
        Ok(Self { format, is_gzip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, said: Option<RecordFormat>) -> Option<(RecordFormat, bool)> {
        let format = FileFormat::of_file(Path::new(name), said);
        if let Err(error) = &format {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        format.ok().map(|it| (it.format, it.is_gzip))
    }

    #[test]
    fn the_name_or_what_was_said_decides_and_never_both_against_each_other() {
        use RecordFormat::{Csv, Jsonl, Parquet};
        for (name, format) in [
            ("a", (Jsonl, false)),
            ("a.JSONL", (Jsonl, false)),
            ("a.b.ndjson", (Jsonl, false)),
            ("a.csv", (Csv, false)),
            ("a.csv.gz", (Csv, true)),
            ("a.gz", (Jsonl, true)),
            ("a.parquet", (Parquet, false)),
        ] {
            assert_eq!(of(name, None), Some(format), "{name}");
        }
        assert_eq!(of("a", Some(Csv)), Some((Csv, false)));
        assert_eq!(of("a.txt", Some(Csv)), Some((Csv, false)));
        assert_eq!(of("a.csv", Some(Csv)), Some((Csv, false)));
        for name in [
            "a.xlsx",
            "a.json",
            "a.jsonl.zst",
            "a.parquet.gz",
            "a.txt.gz",
        ] {
            assert_eq!(of(name, None), None, "{name}");
        }
        assert_eq!(of("a.csv", Some(Jsonl)), None);
    }
}
