//! Runs whose journal is in a PostgreSQL database, shared ones among them.

use std::time::Duration;

use futures::StreamExt;
use topicloom::journal::{Entry, PostgresJournal, PostgresReader, ReadOnlyJournal};
use topicloom::report::Outcome;
use topicloom::{GenerateByTopicInput, Result, SharedRun};

use crate::args::{DriveArgs, InspectArgs, ResumeArgs, RunArgs, WorkArgs};
use crate::ending::{Failure, Way};
use crate::files::Files;
use crate::input::{OFFLINE, adjusted, prices};
use crate::journal::Shown;
use crate::out;
use crate::place::Row;
use crate::progress::Progress;
use crate::roles::Roles;
use crate::run::{builder, builder_for, drive, write};
use crate::signals::{Signals, stop_at_signals};

pub(crate) async fn run(
    way: &Way,
    input: GenerateByTopicInput,
    row: Row,
    args: RunArgs,
) -> Result<(), Failure> {
    if args.shared {
        let lease_time = Duration::from_secs(args.lease_time.max(1));
        return take_part(way, input, row, args.drive, |run| {
            run.lease_time(lease_time)
        })
        .await;
    }
    drive_alone(way, input, row, args.changed_input, args.drive).await
}

pub(crate) async fn resume(way: &mut Way, row: Row, mut args: ResumeArgs) -> Result<(), Failure> {
    let reader = PostgresReader::connect(&row.url, &row.run_id).await?;
    let said = GenerateByTopicInput::from_json_value(reader.input().await?)?;
    let mut input = said.to_builder();
    let state = reader.state().await?;
    if let Some(records) = args.extend_to {
        input = input.num_records(records);
    }
    let input = adjusted(input, &args.drive.adjust)?;
    args.drive.complete(input.settings());
    way.output = args.drive.to.file();
    way.check(Roles::of_run(&input, None, &args.drive))?;
    if state.is_shared && args.extend_to.is_none() {
        return take_part(way, input, row, args.drive, |run| run).await;
    }
    // The first input may be the last one, too, after another.
    let may_change = args.extend_to.is_some() || input.fingerprint() == said.fingerprint();
    drive_alone(way, input, row, may_change, args.drive).await
}

async fn drive_alone(
    way: &Way,
    input: GenerateByTopicInput,
    row: Row,
    changed_input: bool,
    args: DriveArgs,
) -> Result<(), Failure> {
    let mut builder = builder(&input, &args)?;
    let files = Files::open(&args, &input)?;
    builder = builder.journal(PostgresJournal::connect(&row.url, row.run_id).await?);
    if changed_input {
        builder = builder.resume_changed_input();
    }
    drive(way, input, builder, files, args).await
}

/// Begins or joins a shared run, and writes its records when it is over.
async fn take_part(
    way: &Way,
    input: GenerateByTopicInput,
    row: Row,
    args: DriveArgs,
    set_up: impl FnOnce(SharedRun) -> SharedRun,
) -> Result<(), Failure> {
    let prices = prices(&input, args.adjust.prices.as_deref())?;
    let progress = args.progress(input.settings(), true);
    let pipeline = builder_for(&input, args.adjust.offline, args.quiet, progress.clone())?;
    let pipeline = pipeline.prices(prices).build();
    let files = Files::open(&args, &input)?;
    let run = SharedRun::create(&row.url, row.run_id, input).await?;
    let run = set_up(run.pipeline(pipeline));
    until_over(&run).await?;
    progress.end();
    let records = run.records().await?;
    stop_at_signals(records.stop_handle(), Duration::ZERO);
    write(way, records, files, &args).await
}

/// Joins a shared run, and makes calls for it until it is over.
pub(crate) async fn work(args: WorkArgs) -> Result<()> {
    let run = SharedRun::join(&args.url, &args.run_id).await?;
    let mut models = run.input().to_builder();
    let model = args.model.as_deref().or(args.offline.then_some(OFFLINE));
    if let Some(model) = model {
        models = models.generation_model(model).topic_model(model);
    }
    let progress = match run.input().settings().show_progress {
        _ if args.quiet => Progress::Silent,
        false => Progress::Warnings,
        true => Progress::text(true, false),
    };
    let pipeline = builder_for(&models.build()?, args.offline, args.quiet, progress.clone())?;
    let mut run = run
        .pipeline(pipeline.build())
        .lease_time(Duration::from_secs(args.lease_time.max(1)));
    if let Some(calls) = args.concurrency {
        run = run.concurrency(calls);
    }
    let outcome = until_over(&run).await?;
    progress.end();
    if !args.quiet {
        eprintln!("the run is over: {outcome}");
    }
    Ok(())
}

/// Takes part in a run until it is over, or until the user has enough.
async fn until_over(run: &SharedRun) -> Result<Outcome> {
    let leave = run.leave_handle();
    // Not only until it is over: a second signal also ends what comes then.
    tokio::spawn(async move {
        let mut signals = Signals::new();
        signals.next().await;
        leave.leave();
        signals.next().await.exits_soon();
    });
    run.run().await
}

/// Returns the input of a run and its journal, which is only read.
pub(crate) async fn to_export(row: Row) -> Result<(GenerateByTopicInput, ReadOnlyJournal)> {
    let reader = PostgresReader::connect(&row.url, row.run_id).await?;
    let input = GenerateByTopicInput::from_json_value(reader.input().await?)?;
    Ok((input, ReadOnlyJournal::database(reader)))
}

/// Hands on each entry of a journal.
pub(crate) async fn each_entry(row: Row, mut take: impl FnMut(&Entry)) -> Result<()> {
    let reader = PostgresReader::connect(&row.url, row.run_id).await?;
    let mut entries = reader.entries().await?;
    while let Some(entry) = entries.next().await {
        take(&entry?);
    }
    Ok(())
}

pub(crate) async fn inspect(row: Row, args: &InspectArgs) -> Result<()> {
    let reader = PostgresReader::connect(&row.url, row.run_id).await?;
    let mut shown = Shown::new(args);
    let mut entries = reader.entries().await?;
    while let Some(entry) = entries.next().await {
        shown.take(&entry?)?;
    }
    shown.end()?;
    let state = reader.state().await?;
    if state.is_shared && !args.raw && args.task.is_none() {
        out::line(format_args!(
            "shared: {} calls open, {} leases lost, driven by {} processes so far",
            state.calls_open, state.leases_lost, state.writers
        ))?;
        if let Some(reason) = state.reason {
            out::line(format_args!("reason: {reason}"))?;
        }
    }
    Ok(())
}
