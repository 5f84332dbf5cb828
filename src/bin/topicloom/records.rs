//! The records that are looked at: those in files, or those of a journal.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use topicloom::input::Rows;
use topicloom::{Error, ErrorKind, JsonRecord, Result};

use crate::args::DataArgs;
use crate::place::Place;
use crate::replay::{self, Replay};

/// How a journal in a file begins.
const JOURNAL: &[u8] = b"topicloom journal ";

/// Where records are.
pub(crate) enum Records {
    Files(Vec<PathBuf>),
    Journal(String, Place),
}

/// A record, and where it stands: the file or journal, and the line in the file, or the number of the record.
pub(crate) struct Row<'a> {
    pub(crate) source: &'a str,
    pub(crate) number: u64,
    pub(crate) data: JsonRecord,
}

impl Records {
    /// Finds out what is named: a file of records, a folder of such, or a journal.
    pub(crate) fn of(args: DataArgs) -> Result<Self> {
        let DataArgs { data, which } = args;
        let path = Path::new(&data);
        let mut beginning = [0; JOURNAL.len()];
        let read = |mut file: fs::File| file.read_exact(&mut beginning);
        let is_journal = data.contains("://")
            || which.run_id.is_some()
            || (fs::File::open(path).and_then(read).is_ok() && beginning == JOURNAL);
        if is_journal {
            return Ok(Self::Journal(data.clone(), Place::of(data, which)?));
        }
        if !path.is_dir() {
            return Ok(Self::Files(vec![data.into()]));
        }
        let inner = path.join("data");
        let folder = if inner.is_dir() { &inner } else { path };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let is_data = |name: &str| {
            let has_rows = [".jsonl", ".csv", ".parquet"]
                .iter()
                .any(|it| name.contains(it));
            let is_aside = [".provenance.jsonl", ".partial", ".making"]
                .iter()
                .any(|it| name.ends_with(it));
            has_rows && !is_aside
        };
        files.retain(|file| is_data(&file.to_string_lossy()));
        files.sort();
        if files.is_empty() {
            let error = Error::new(ErrorKind::InvalidInput, "the folder has no records");
            return Err(error.with_context("folder", folder.display().to_string()));
        }
        Ok(Self::Files(files))
    }

    /// Hands on one record after the other, as it is exported.
    pub(crate) async fn each(
        self,
        mut take: impl AsyncFnMut(Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Self::Files(files) => {
                for file in files {
                    let source = file.display().to_string();
                    for row in Rows::open(file)? {
                        let (number, data) = row?;
                        let source = &source;
                        if take(Row {
                            source,
                            number,
                            data,
                        })
                        .await?
                        .is_break()
                        {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
            Self::Journal(source, place) => {
                let Replay {
                    input, pipeline, ..
                } = Replay::of(place).await?;
                let mut run = pipeline.build().run(input)?;
                replay::each(&mut run, async |record| {
                    let (number, data) = (record.meta.ordinal + 1, record.to_json()?);
                    let source = &source;
                    take(Row {
                        source,
                        number,
                        data,
                    })
                    .await
                })
                .await
            }
        }
    }
}

/// Returns a text as it is, and any other value as JSON.
pub(crate) fn in_words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
