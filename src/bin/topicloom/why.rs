//! `topicloom why`: the prompt, the answer and the verdicts behind a record.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use topicloom::input::Rows;
use topicloom::{Error, ErrorKind, JsonRecord, Record, Result};

use crate::args::{DataArgs, WhyArgs};
use crate::files;
use crate::out;
use crate::place::Place;
use crate::records::{Records, in_words};
use crate::replay::{self, Replay};

/// What is looked for in a journal.
enum Wanted {
    /// The record of this number in the run.
    Ordinal(u64),
    /// The first record that was exported like this.
    Like(JsonRecord),
}

impl Wanted {
    fn is(&self, record: &Record) -> Result<bool> {
        Ok(match self {
            Self::Ordinal(ordinal) => record.meta.ordinal == *ordinal,
            Self::Like(data) => record.to_json()? == *data,
        })
    }
}

pub(crate) async fn why(args: WhyArgs) -> Result<()> {
    let (place, wanted) = find(args)?;
    let Replay {
        input, pipeline, ..
    } = Replay::of(place).await?;
    let pipeline = pipeline.build();
    let mut run = pipeline.run(input.clone())?;
    let (mut found, mut there) = (None, 0_u64);
    replay::each(&mut run, async |record| {
        there += 1;
        if !wanted.is(&record)? {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(record);
        Ok(ControlFlow::Break(()))
    })
    .await?;
    drop(run);
    let Some(record) = found else {
        if let Wanted::Ordinal(_) = wanted {
            let message = format!("the journal has {there} records, and none with this number");
            return Err(invalid(message));
        }
        return Err(invalid(
            "the journal has no such record; a file that was shaped or split is led back by its provenance: write it with \
             `--provenance sidecar`",
        ));
    };
    let provenance = serde_json::to_value(record.provenance());
    let provenance = provenance.expect("it has no key that JSON cannot hold");
    for (name, value) in provenance.as_object().into_iter().flatten() {
        out::line(format_args!(
            "{name}: {}",
            out::on_one_line(&in_words(value))
        ))?;
    }
    if let Some(words) = record
        .meta
        .scores
        .as_ref()
        .and_then(|scores| scores.words())
    {
        out::line(format_args!("the judge's words: {words}"))?;
    }
    let task = pipeline.explain(input, record.meta.task).await?;
    out::line(format_args!("\n{task}"))
}

/// Returns where the journal is, and what to look for in it.
fn find(args: WhyArgs) -> Result<(Place, Wanted)> {
    let asked = args.record.rsplit_once(':');
    let asked = asked.and_then(|(data, number)| Some((data, number.parse::<u64>().ok()?)));
    let Some((data, number @ 1..)) = asked else {
        return Err(invalid(
            "a record is named by its file and its number there, from 1: `data.jsonl:17`",
        ));
    };
    let named = DataArgs {
        data: data.to_owned(),
        which: args.which.clone(),
    };
    if args.journal.is_none()
        && let Records::Journal(_, place) = Records::of(named)?
    {
        return Ok((place, Wanted::Ordinal(number - 1)));
    }
    let file = Path::new(data);
    if file.is_dir() {
        let message = "a folder has several files: name the one that the record is in, such as `out/data/train.jsonl:17`";
        return Err(invalid(message));
    }
    let place = match args.journal {
        Some(journal) => Place::of(journal, args.which)?,
        None => Place::File(journal_of(file)?),
    };
    let row = nth(file, number)?;
    let ordinal = |row: &JsonRecord| row.get("ordinal").and_then(Value::as_u64);
    let inside = row.get("provenance").and_then(Value::as_object);
    let wanted = match inside.and_then(ordinal) {
        Some(ordinal) => Wanted::Ordinal(ordinal),
        None => match beside(file, number)?.as_ref().and_then(ordinal) {
            Some(ordinal) => Wanted::Ordinal(ordinal),
            None => Wanted::Like(row),
        },
    };
    Ok((place, wanted))
}

/// Returns the record's line in the file of provenance that lies beside, where there is one.
fn beside(file: &Path, number: u64) -> Result<Option<JsonRecord>> {
    let sidecar = topicloom::input::OutputFile::sidecar_of(file);
    sidecar.is_file().then(|| nth(&sidecar, number)).transpose()
}

fn nth(file: &Path, number: u64) -> Result<JsonRecord> {
    let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let mut there = 0_u64;
    let mut rows = Rows::open(file)?.inspect(|_| there += 1);
    if let Some(row) = rows.nth(place) {
        return Ok(row?.1);
    }
    drop(rows);
    let error = invalid(format!(
        "the file has {there} records, and none with this number"
    ));
    Err(error.with_context("file", file.display().to_string()))
}

/// Returns the journal that a run keeps by itself beside its file, or beside the folder of it.
fn journal_of(file: &Path) -> Result<PathBuf> {
    let folder = file.parent().filter(|parent| parent.ends_with("data"));
    let folder = folder.and_then(Path::parent);
    let places = [Some(file), folder].into_iter().flatten();
    let mut journals = places.map(|place| files::beside(place, ".journal"));
    journals.find(|journal| journal.is_file()).ok_or_else(|| {
        let error = invalid("no journal lies beside the file: say where it is with `--journal`");
        error.with_context("file", file.display().to_string())
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}
