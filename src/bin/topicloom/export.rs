//! `topicloom export`: what a journal holds, in any format and shape.

use std::ops::ControlFlow;

use topicloom::Result;
use topicloom::sink::Sink;

use crate::args::ExportArgs;
use crate::files::{self, Output};
use crate::folder::Folder;
use crate::place::Place;
use crate::replay::{self, Replay};
use crate::roles::Roles;

/// Makes the records of a journal once more, without a call.
pub(crate) async fn export(mut args: ExportArgs) -> Result<()> {
    let place = Place::of(args.journal, args.which)?;
    let journal = match &place {
        Place::File(path) => Some(path.clone()),
        Place::Database(_) => None,
    };
    let Replay {
        said,
        input,
        mut pipeline,
    } = Replay::of(place).await?;
    args.to.enter_folder();
    Roles::new()
        .reads("journal", journal.as_deref())
        .with_input(&said)
        .with_output(&args.to)
        .check()?;
    let labels = said.labels();
    let labels = labels.iter().map(String::as_str);
    args.to.file().check_labels(labels)?;
    let folder = args.to.folder.clone();
    let mut sink = Output::open(&args.to, input.schema(), std::io::stdout())?;
    let rejected = folder.as_ref().map(Folder::rejected);
    let rejected = rejected.as_deref().map(files::open_rejected).transpose()?;
    if let Some(file) = rejected.clone() {
        pipeline = pipeline.on_rejected(move |candidate| file.write(candidate));
    }
    pipeline = sink.watch(pipeline);
    let mut run = pipeline.build().run(input)?;
    let mut written = 0_u64;
    let ended = replay::each(&mut run, async |record| {
        sink.write(&record).await?;
        written += 1;
        Ok(ControlFlow::Continue(()))
    })
    .await;
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
    if let Some(report) = run.report() {
        files::finish_rejected(rejected.as_ref())?;
        let (prices, output) = (said.prices(), args.to.file());
        sink.finish_folder(&said, prices, &output, report, journal.as_deref())?;
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
