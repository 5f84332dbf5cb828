//! `topicloom run`: from an input to records.

use std::fs;
use std::io;
use std::path::Path;

use topicloom::journal::{Entry, FileJournal, Journal, JournalReader};
use topicloom::llm::models::ModelRegistry;
use topicloom::report::TopicReport;
use topicloom::sink::{JsonlSink, Sink};
use topicloom::{
    Error, ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder, Report, Result, Run,
};

use crate::args::{DriveArgs, ResumeArgs, RunArgs};
use crate::database;
use crate::input::{self, OFFLINE};
use crate::place::Place;
use crate::progress::Progress;

pub(crate) async fn run(args: RunArgs) -> Result<()> {
    let input = input::read(&args.input, args.drive.quiet)?;
    if args.dry_run {
        return dry_run(&input, args.drive).await;
    }
    let journal = match &args.journal {
        None => None,
        Some(journal) => match Place::of(journal.clone(), args.which.clone())? {
            Place::Database(row) => return database::run(input, row, args).await,
            Place::File(path) if !args.shared => Some(FileJournal::open(path)?),
            Place::File(_) => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a run is shared through a database: give its URL for the journal",
                ));
            }
        },
    };
    drive(input, journal, args.changed_input, args.drive).await
}

pub(crate) async fn resume(args: ResumeArgs) -> Result<()> {
    let path = match Place::of(args.journal.clone(), args.which.clone())? {
        Place::Database(row) => return database::resume(row, args).await,
        Place::File(path) => path,
    };
    let mut input = last_input(&path)?;
    if let Some(records) = args.extend_to {
        input = input.to_builder().num_records(records).build()?;
    }
    let journal = FileJournal::open(&path)?;
    drive(input, Some(journal), args.extend_to.is_some(), args.drive).await
}

/// Returns the input that a journal belongs to: that of the last start, since a run may go on with another one.
fn last_input(journal: &Path) -> Result<GenerateByTopicInput> {
    let mut last = None;
    for entry in JournalReader::open(journal)? {
        if let Entry::Started(header) = entry? {
            last = Some(header.input);
        }
    }
    let Some(input) = last else {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the journal holds no run that could go on",
        )
        .with_context("file", journal.display().to_string()));
    };
    GenerateByTopicInput::from_json_value(input)
}

/// Makes the records of an input in this process, and writes them as they are accepted.
pub(crate) async fn drive(
    input: GenerateByTopicInput,
    journal: Option<impl Journal>,
    changed_input: bool,
    args: DriveArgs,
) -> Result<()> {
    let input = input::adjusted(&input, &args.adjust)?;
    let mut builder = builder(&input, &args)?;
    if let Some(journal) = journal {
        builder = builder.journal(journal);
    }
    if changed_input {
        builder = builder.resume_changed_input();
    }
    let pipeline = builder.build();
    // Before the first call: a file that cannot be written is found out while it costs nothing.
    let mut sink = sink(&args.output)?;
    let run = pipeline.run(input)?;
    let stop = run.stop_handle();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });
    write(run, &mut *sink, &args).await
}

/// Writes the records of a run as they come, and the report when it has ended.
pub(crate) async fn write(run: Run, sink: &mut dyn Sink, args: &DriveArgs) -> Result<()> {
    let (report, error) = match run.write_to(sink).await {
        Ok(report) => (report, None),
        Err(error) => {
            let report = error.report().clone();
            (report, Some(error.into_parts().0))
        }
    };
    conclude(&report, error, args)
}

async fn dry_run(input: &GenerateByTopicInput, args: DriveArgs) -> Result<()> {
    let input = input::adjusted(input, &args.adjust)?;
    let pipeline = builder(&input, &args)?.build();
    let mut sink = sink(&args.output)?;
    let (dataset, error) = match pipeline.dry_run(input).await {
        Ok(dataset) => (dataset, None),
        Err(ended) => {
            let (error, dataset) = ended.into_parts();
            (dataset, Some(error))
        }
    };
    for record in &dataset {
        sink.write(record).await?;
    }
    sink.finish().await?;
    conclude(dataset.report(), error, &args)
}

/// Starts with the models of the input, and shows progress.
pub(crate) fn builder(input: &GenerateByTopicInput, args: &DriveArgs) -> Result<PipelineBuilder> {
    let prices = input::prices(input, args.adjust.prices.as_deref())?;
    let builder = builder_for(
        input,
        args.adjust.offline,
        args.quiet,
        args.show_provider_errors,
    )?;
    Ok(builder.prices(prices))
}

pub(crate) fn builder_for(
    input: &GenerateByTopicInput,
    offline: bool,
    quiet: bool,
    shows_words: bool,
) -> Result<PipelineBuilder> {
    if offline && !quiet {
        eprintln!(
            "{OFFLINE} is a stand-in, not a language model: its records have the right shape, and mean nothing"
        );
    }
    let progress = Progress::new(!quiet && input.settings().show_progress, shows_words);
    let builder = Pipeline::builder_from_input(input, &ModelRegistry::new())?;
    Ok(builder.on_event(move |event| progress.observe(event)))
}

/// Writes and tells what a run did, and returns how it ended.
fn conclude(report: &Report, error: Option<Error>, args: &DriveArgs) -> Result<()> {
    if let Some(path) = &args.report {
        write_report(path, report)?;
    }
    if !args.quiet {
        summarise(report);
    }
    error.map_or(Ok(()), Err)
}

pub(crate) fn sink(output: &Path) -> Result<Box<dyn Sink>> {
    if output == Path::new("-") {
        return Ok(Box::new(JsonlSink::to_writer(io::stdout())));
    }
    Ok(Box::new(JsonlSink::create(output)?))
}

fn write_report(path: &Path, report: &Report) -> Result<()> {
    let text =
        serde_json::to_string_pretty(report).expect("a report has no key that JSON cannot hold");
    fs::write(path, text + "\n").map_err(|error| {
        Error::new(ErrorKind::Sink, "the report cannot be written")
            .with_context("file", path.display().to_string())
            .with_source(error)
    })
}

/// Says in a few lines what was made, what it took and what is missing.
fn summarise(report: &Report) {
    let calls = &report.record_calls;
    let usage = report.usage();
    eprintln!(
        "{} of {} records, {} topics; {} calls ({} failed); {} tokens in, {} out; {:.1} s",
        report.accepted,
        report.requested,
        report.topics.len(),
        calls.made + report.topic_calls.made,
        calls.failures() + report.topic_calls.failures(),
        usage.input_tokens,
        usage.output_tokens,
        report.elapsed.as_secs_f64(),
    );
    let rejected = report.candidates.total - report.candidates.accepted;
    if rejected > 0 {
        eprintln!(
            "{rejected} candidates rejected: {} duplicate, {} invalid, {} undecodable, {} filtered, {} surplus",
            report.candidates.duplicate,
            report.candidates.invalid,
            report.candidates.undecodable,
            report.candidates.filtered,
            report.candidates.surplus,
        );
    }
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    for (reason, count) in &report.filtered {
        eprintln!("{count} refused by a filter: {reason}");
    }
    for topic in &report.given_up.listed {
        eprintln!("{topic}");
    }
    if report.given_up.unlisted > 0 {
        eprintln!(
            "gave up {} more topics; `--report` writes each",
            report.given_up.unlisted
        );
    }
    // A run that was stopped owes records to topics that were not given up.
    let owing = |topic: &&TopicReport| topic.given_up.is_none() && topic.missing() > 0;
    let (topics, missing) = report
        .topics
        .iter()
        .filter(owing)
        .fold((0, 0), |(topics, missing), topic| {
            (topics + 1, missing + topic.missing())
        });
    if missing > 0 {
        eprintln!("{missing} missing under {topics} topics that were not given up");
    }
}
