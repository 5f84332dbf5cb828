//! Runs whose journal is in a PostgreSQL database, shared ones among them.

use std::time::Duration;

use futures::StreamExt;
use topicloom::journal::{PostgresJournal, PostgresReader};
use topicloom::outcome::Outcome;
use topicloom::{GenerateByTopicInput, Result, SharedRun};

use crate::args::{DriveArgs, InspectArgs, ResumeArgs, RunArgs, WorkArgs};
use crate::input::{OFFLINE, adjusted};
use crate::journal::Shown;
use crate::out;
use crate::place::Row;
use crate::run::{builder, builder_for, drive, sink, write};

pub(crate) async fn run(input: GenerateByTopicInput, row: Row, args: RunArgs) -> Result<()> {
    if args.shared {
        let lease_time = Duration::from_secs(args.lease_time.max(1));
        return take_part(input, row, args.drive, |run| run.lease_time(lease_time)).await;
    }
    let journal = PostgresJournal::connect(&row.url, row.run_id).await?;
    drive(input, Some(journal), args.changed_input, args.drive).await
}

pub(crate) async fn resume(row: Row, args: ResumeArgs) -> Result<()> {
    let reader = PostgresReader::connect(&row.url, &row.run_id).await?;
    let mut input = GenerateByTopicInput::from_json_value(reader.input().await?)?;
    let state = reader.state().await?;
    if state.is_shared && args.extend_to.is_none() {
        return take_part(input, row, args.drive, |run| run).await;
    }
    if let Some(records) = args.extend_to {
        input = input.to_builder().num_records(records).build()?;
    }
    let journal = PostgresJournal::connect(&row.url, row.run_id).await?;
    drive(input, Some(journal), args.extend_to.is_some(), args.drive).await
}

/// Begins or joins a shared run, and writes its records when it is over.
async fn take_part(
    input: GenerateByTopicInput,
    row: Row,
    args: DriveArgs,
    set_up: impl FnOnce(SharedRun) -> SharedRun,
) -> Result<()> {
    let input = adjusted(&input, &args.adjust)?;
    let pipeline = builder(&input, &args)?.build();
    // Before the first call: a file that cannot be written is found out while it costs nothing.
    let mut sink = sink(&args.output)?;
    let run = SharedRun::create(&row.url, row.run_id, input).await?;
    let run = set_up(run.pipeline(pipeline));
    until_over(&run).await?;
    write(run.records().await?, &mut *sink, &args).await
}

/// Joins a shared run, and makes calls for it until it is over.
pub(crate) async fn work(args: WorkArgs) -> Result<()> {
    let run = SharedRun::join(&args.url, &args.run_id).await?;
    let mut models = run.input().to_builder();
    let model = args.model.as_deref().or(args.offline.then_some(OFFLINE));
    if let Some(model) = model {
        models = models.generation_model(model).topic_model(model);
    }
    let pipeline = builder_for(&models.build()?, args.offline, args.quiet, false)?.build();
    let mut run = run
        .pipeline(pipeline)
        .lease_time(Duration::from_secs(args.lease_time.max(1)));
    if let Some(calls) = args.concurrency {
        run = run.concurrency(calls);
    }
    let outcome = until_over(&run).await?;
    if !args.quiet {
        eprintln!("the run is over: {outcome}");
    }
    Ok(())
}

/// Takes part in a run until it is over, or until the user has enough.
async fn until_over(run: &SharedRun) -> Result<Outcome> {
    let leave = run.leave_handle();
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            leave.leave();
        }
    });
    let outcome = run.run().await;
    interrupted.abort();
    outcome
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
