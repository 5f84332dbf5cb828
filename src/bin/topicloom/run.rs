//! `topicloom run`: from an input to records.

use std::io::{self, IsTerminal};
use std::path::Path;

use serde_json::Value;
use topicloom::input::Storage;
use topicloom::journal::{Entry, FileJournal, JournalReader, OpenedJournal};
use topicloom::llm::models::ModelRegistry;
use topicloom::pipeline::Plan;
use topicloom::sink::Sink;
use topicloom::{
    Error, ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder, Report, Result, Run,
};

use crate::args::{DriveArgs, ResumeArgs, RunArgs};
use crate::database;
use crate::ending::{CommandLine, Failure, Way};
use crate::files::{self, Files};
use crate::input::{self, OFFLINE};
use crate::keep;
use crate::place::Place;
use crate::progress::Progress;
use crate::roles::Roles;
use crate::signals::stop_at_signals;
use crate::telemetry;

pub(crate) async fn run(args: RunArgs) -> Result<(), Failure> {
    let mut way = Way {
        output: args.drive.to.file(),
        ..Way::default()
    };
    let ended = run_by(&mut way, args).await;
    ended.map_err(|failure| way.with_last_line(failure))
}

async fn run_by(way: &mut Way, mut args: RunArgs) -> Result<(), Failure> {
    let input = input::read(args.input.as_deref(), &args.drive.adjust, args.drive.quiet)?;
    let input = input::appending(input, args.drive.to.output.as_deref())?;
    args.complete(input.settings());
    way.output = args.drive.to.file();
    way.appended_to = input.appended_to();
    if input.allocation().total() == 0 {
        if !args.drive.quiet {
            let (there, output) = (way.appended_to, args.drive.output().display());
            eprintln!("all {there} records are there: {output}");
        }
        return Ok(());
    }
    if args.dry_run {
        return dry_run(way, input, args).await;
    }
    let journal = match keep::place(&args, &input)? {
        Some(Place::Database(row)) => {
            way.goes_on(&row.url, &CommandLine::of_this_process());
            way.check(Roles::of_run(&input, None, &args.drive))?;
            return database::run(way, input, row, args).await;
        }
        Some(Place::File(_)) if args.shared => {
            let message = "a run is shared through a database: give its URL for the journal";
            return Err(Error::new(ErrorKind::InvalidInput, message).into());
        }
        Some(Place::File(path)) => Some(path),
        None => None,
    };
    way.check(Roles::of_run(&input, journal.as_deref(), &args.drive))?;
    let mut builder = builder(&input, &args.drive)?;
    let files = Files::open(&args.drive, &input)?;
    if let Some(path) = journal {
        let shown = path.display().to_string();
        let command = if args.input.as_deref().is_some_and(files::is_stdout) {
            resuming(&shown, &args.drive)
        } else {
            CommandLine::of_this_process()
        };
        way.goes_on(&shown, &command);
        if matches!(input.settings().storage, Storage::Local(_)) && args.journal.is_none() {
            keep::make_folder(&path)?;
        }
        builder = with_journal(builder, &path, &input, &args)?;
    }
    drive(way, input, builder, files, args.drive).await
}

/// Opens the journal: one that was asked for only for its own input, unless the command line says otherwise.
fn with_journal(
    builder: PipelineBuilder,
    path: &Path,
    input: &GenerateByTopicInput,
    args: &RunArgs,
) -> Result<PipelineBuilder> {
    let opened = if args.fresh {
        FileJournal::open_afresh(path)?
    } else if args.journal.is_some() {
        let builder = builder.journal(FileJournal::open(path)?);
        return Ok(if args.changed_input {
            builder.resume_changed_input()
        } else {
            builder
        });
    } else {
        FileJournal::open_for(path, input)?
    };
    let OpenedJournal {
        journal,
        input_changed,
        moved,
        ..
    } = opened;
    if let Some(moved) = moved {
        eprintln!("note: {moved}");
    }
    let builder = builder.journal(journal);
    Ok(if input_changed {
        builder.resume_changed_input()
    } else {
        builder
    })
}

/// Returns the command that goes on with a journal whose input came from standard input.
fn resuming(journal: &str, args: &DriveArgs) -> CommandLine {
    let mut arguments = vec!["resume".to_owned(), journal.to_owned()];
    if args.adjust.offline {
        arguments.push("--offline".to_owned());
    }
    arguments.extend(["-o".to_owned(), args.output().display().to_string()]);
    CommandLine::new(arguments)
}

pub(crate) async fn resume(args: ResumeArgs) -> Result<(), Failure> {
    let mut way = Way {
        output: args.drive.to.file(),
        ..Way::default()
    };
    way.goes_on(&args.journal, &CommandLine::of_this_process());
    let ended = resume_by(&mut way, args).await;
    ended.map_err(|failure| way.with_last_line(failure))
}

async fn resume_by(way: &mut Way, mut args: ResumeArgs) -> Result<(), Failure> {
    let path = match Place::of(args.journal.clone(), args.which.clone())? {
        Place::Database(row) => return database::resume(way, row, args).await,
        Place::File(path) => path,
    };
    let last = LastStart::of(&path)?;
    let said = GenerateByTopicInput::from_json_value(last.input)?;
    let mut input = said.to_builder();
    if let Some(records) = args.extend_to {
        input = input.num_records(records);
    }
    let input = input::adjusted(input, &args.drive.adjust)?;
    args.drive.complete(input.settings());
    way.output = args.drive.to.file();
    way.check(Roles::of_run(&input, Some(&path), &args.drive))?;
    let mut builder = builder(&input, &args.drive)?;
    let files = Files::open(&args.drive, &input)?;
    builder = builder.journal(FileJournal::open(&path)?);
    let comes_back = last.is_changed && input.fingerprint() == said.fingerprint();
    if args.extend_to.is_some() || comes_back {
        builder = builder.resume_changed_input();
    }
    drive(way, input, builder, files, args.drive).await
}

/// What a journal belongs to: the input of its last start, since a run may go on with another one.
pub(crate) struct LastStart {
    /// As it stands in the journal.
    pub(crate) input: Value,
    /// The last plan.
    pub(crate) plan: Option<Plan>,
    /// Whether there was another input before, which may come back.
    pub(crate) is_changed: bool,
}

impl LastStart {
    pub(crate) fn of(journal: &Path) -> Result<Self> {
        let mut last: Option<Self> = None;
        for entry in JournalReader::open(journal)? {
            match (entry?, &mut last) {
                (Entry::Started(header), _) => {
                    last = Some(Self {
                        input: header.input,
                        plan: last.as_mut().and_then(|before| before.plan.take()),
                        is_changed: last.is_some(),
                    });
                }
                (Entry::Planned(settled), Some(last)) => last.plan = Some(settled),
                _ => {}
            }
        }
        last.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the journal holds no run that could go on",
            )
            .with_context("file", journal.display().to_string())
        })
    }
}

/// Makes the records of an input in this process, and writes them as they are accepted.
pub(crate) async fn drive(
    way: &Way,
    input: GenerateByTopicInput,
    builder: PipelineBuilder,
    files: Files,
    args: DriveArgs,
) -> Result<(), Failure> {
    let longest_call = input.settings().call_timeout;
    let run = files.keep_rejected(builder).build().run(input)?;
    stop_at_signals(run.stop_handle(), longest_call);
    if way.journal.is_none() {
        files.stop_without_reader(run.stop_handle());
    }
    write(way, run, files, &args).await
}

/// Writes the records of a run as they come, and the report when it has ended.
pub(crate) async fn write(
    way: &Way,
    run: Run,
    mut files: Files,
    args: &DriveArgs,
) -> Result<(), Failure> {
    match run.write_to(&mut files.sink).await {
        Ok(report) => conclude(way, &report, None, files, args),
        Err(error) => {
            let (error, left) = error.into_parts();
            conclude(way, left.report(), Some((error, left.len())), files, args)
        }
    }
}

/// A dry run replaces nothing: its few records are not the data set.
async fn dry_run(way: &mut Way, input: GenerateByTopicInput, args: RunArgs) -> Result<(), Failure> {
    let args = RunArgs {
        journal: None,
        ..args
    };
    way.check(Roles::of_run(&input, None, &args.drive))?;
    if let Some(there) = files::with_records(args.drive.output()).first() {
        let message = "a dry run replaces no records: give it another output, or none";
        let error = Error::new(ErrorKind::InvalidInput, message);
        return Err(error
            .with_context("file", there.display().to_string())
            .into());
    }
    let pipeline = builder(&input, &args.drive)?.build();
    let mut files = Files::open(&args.drive, &input)?;
    let (dataset, error) = match pipeline.dry_run(input).await {
        Ok(dataset) => (dataset, None),
        Err(ended) => {
            let (error, dataset) = ended.into_parts();
            (dataset, Some((error, 0)))
        }
    };
    for record in &dataset {
        files.sink.write(record).await?;
    }
    let mut report = dataset.report().clone();
    if error.is_none() {
        files.sink.finish().await?;
    } else {
        report.kept_in = files.sink.set_aside().await?;
    }
    conclude(way, &report, error, files, &args.drive)
}

/// Starts with the models of the input, and shows progress.
pub(crate) fn builder(input: &GenerateByTopicInput, args: &DriveArgs) -> Result<PipelineBuilder> {
    let prices = input::prices(input, args.adjust.prices.as_deref())?;
    // Records on the same screen are no place for a bar.
    let has_bar = !(files::is_stdout(args.output()) && io::stdout().is_terminal());
    let progress = args.progress(input.settings(), has_bar).begun();
    let builder = builder_for(input, args.adjust.offline, args.quiet, progress)?;
    Ok(builder.prices(prices))
}

pub(crate) fn builder_for(
    input: &GenerateByTopicInput,
    offline: bool,
    quiet: bool,
    progress: Progress,
) -> Result<PipelineBuilder> {
    if offline && !quiet {
        eprintln!(
            "{OFFLINE} is a stand-in, not a language model: its records have the right shape, and mean nothing"
        );
    }
    let builder = Pipeline::builder_from_input(input, &ModelRegistry::new())?;
    let builder = builder.on_event(move |event| progress.observe(event));
    Ok(telemetry::counted(builder))
}

/// Writes and tells what a run did, and returns how it ended: with an error and this many records that were not written.
fn conclude(
    way: &Way,
    report: &Report,
    error: Option<(Error, usize)>,
    mut files: Files,
    args: &DriveArgs,
) -> Result<(), Failure> {
    let reported = files.write_report(report).and(files.finish_rejected());
    let (error, unwritten) = error.map_or((None, 0), |(error, left)| (Some(error), left));
    let is_reader_gone = error.as_ref().is_some_and(files::is_reader_gone);
    if !args.quiet {
        eprintln!("{report}");
        if let Some(journal) = way.journal.as_ref().filter(|_| report.resumed_answers > 0) {
            let (answered, resumed) = (report.record_calls.answered, report.resumed_answers);
            let new = answered.saturating_sub(resumed);
            eprintln!("{resumed} of {answered} answers were in {journal} already, {new} are new");
        }
    }
    if let Some(split) = files.sink.split_report().filter(|_| !args.quiet) {
        eprintln!("{split}");
    }
    let finished = match error {
        None => files.finish_folder(report, way.journal.as_ref().map(Path::new)),
        Some(_) => files.keep_report(report),
    };
    let last_line = way.last_line(report, error.as_ref().map(Error::kind), unwritten);
    match error.map_or(reported.and(finished), Err) {
        // A reader of the first records alone, such as `head`, has what it wanted.
        Err(_) if is_reader_gone => {
            if !args.quiet {
                eprintln!("the reader of standard output has gone");
            }
            Ok(())
        }
        Err(error) => Err(Failure {
            error,
            last_line: Some(last_line),
        }),
        Ok(()) => {
            if !args.quiet {
                eprintln!("{last_line}");
                if let Some(folder) = &args.to.folder {
                    eprintln!("{}", folder.upload());
                }
            }
            Ok(())
        }
    }
}
