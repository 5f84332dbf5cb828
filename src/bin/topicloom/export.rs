//! `topicloom export`: what a journal holds, in any format and shape.

use futures::StreamExt;
use serde_json::Value;
use topicloom::journal::ReadOnlyJournal;
use topicloom::llm::models::ModelRegistry;
use topicloom::sink::Sink;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Pipeline, Result};

use crate::args::ExportArgs;
use crate::files::Records;
use crate::folder::Folder;
use crate::place::Place;
use crate::{database, files, run};

/// What says how a run is driven, and would keep its answers from being read.
const OF_THE_RUN: [&str; 5] = [
    "max_cost_usd",
    "max_tokens_total",
    "max_calls",
    "storage",
    "cache",
];

/// Makes the records of a journal once more, without a call.
pub(crate) async fn export(mut args: ExportArgs) -> Result<()> {
    let (input, journal) = match Place::of(args.journal, args.which)? {
        Place::Database(row) => database::to_export(row).await?,
        Place::File(path) => {
            if files::is_same(&path, args.to.path()) {
                let message = "one file cannot be both the journal and the output";
                let error = Error::new(ErrorKind::InvalidInput, message);
                return Err(error.with_context("file", path.display().to_string()));
            }
            (run::last_input(&path)?, ReadOnlyJournal::file(path))
        }
    };
    let said = input.clone();
    let input = without_limits(&input)?;
    args.to.enter_folder()?;
    let folder = args.to.folder.clone();
    let mut sink = Records::open(&args.to, input.schema(), std::io::stdout())?;
    let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::without_calls())?;
    let mut pipeline = pipeline.journal(journal);
    let rejected = folder.as_ref().map(Folder::rejected);
    let rejected = rejected.as_deref().map(files::open_rejected).transpose()?;
    if let Some(file) = rejected.clone() {
        pipeline = pipeline.on_rejected(move |candidate| file.write(candidate));
    }
    let mut run = pipeline.build().run(input)?;
    let mut written = 0_u64;
    let mut ended = Ok(());
    while let Some(record) = run.next().await {
        let taken = match record {
            Ok(record) => sink.write(&record).await,
            Err(error) if is_incomplete(&error) => break,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            ended = taken;
            break;
        }
        written += 1;
    }
    // The stream has an end behind its error, and the report comes with it.
    while ended.is_ok() && run.next().await.is_some() {}
    let ended = match ended {
        Ok(()) => sink.finish().await,
        failed => failed,
    };
    if let Err(error) = ended {
        if files::is_reader_gone(&error) {
            return Ok(());
        }
        sink.set_aside().await?;
        return Err(error);
    }
    if let (Some(folder), Some(report)) = (&folder, run.report()) {
        files::finish_rejected(rejected.as_ref())?;
        folder.finish(&said, &args.to.file(), report, sink.split_report())?;
    }
    if !args.quiet {
        let place = match args.to.path() {
            path if files::is_stdout(path) => "standard output".to_owned(),
            _ => files::names(&args.to.file().files()),
        };
        if let Some(split) = sink.split_report() {
            eprintln!("{split}");
        }
        let wanted = run.report().map_or(written, |report| report.requested);
        if written < wanted {
            eprintln!("{written} of {wanted} records, as many as the journal holds: {place}");
        } else {
            eprintln!("all {written} records: {place}");
        }
    }
    Ok(())
}

/// Whether the answers of the journal are used up, rather than anything wrong with them.
fn is_incomplete(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Short)
}

fn without_limits(input: &GenerateByTopicInput) -> Result<GenerateByTopicInput> {
    let builder = OF_THE_RUN.iter().fold(input.to_builder(), |builder, key| {
        builder.set(key, Value::Null)
    });
    builder.build()
}
